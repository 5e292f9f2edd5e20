//! What is told of destinations whose attempts end worse than before.

use super::Rig;
use domain::command::{Act, Answer, NewDestination, NewOutbound};
use domain::destination::{Next, Owner, Pace, Rules};
use domain::id::{DeliveryId, DestinationId};
use domain::outbound::Outbound;
use std::collections::BTreeMap;
use store::deliveries::{Attempt, Fate, PauseRule};

const RULE: PauseRule = PauseRule { after_failures: 1_000, probe_every_s: 600 };

/// So many attempts at a destination have ended so many days ago.
fn ended(rig: &Rig, destination_id: DestinationId, (count, next): (u64, Next), days_ago: i64) {
    let attempt = |id| Attempt {
        delivery_id: DeliveryId(id),
        destination_id,
        number: 1,
        at: rig.app.clock.now().plus_days(-days_ago),
        latency_ms: 1,
        method: "GET".to_owned(),
        url: String::new(),
        http_status: None,
        answer: None,
        error: None,
        fate: Fate::TurnedAway,
        next,
    };
    let deliveries = rig.app.deliveries.get().unwrap();
    rig.runtime.block_on(deliveries.settle((1..=count).map(attempt).collect(), RULE)).unwrap();
}

#[test]
fn a_destination_that_takes_much_less_than_before_is_told() {
    let rig = Rig::start(|_| {});
    let new = NewDestination {
        owner: Owner::Publisher { publisher_id: rig.publisher },
        outbound: NewOutbound::Own(Box::new(Outbound::calling("https://t.example/".to_owned()))),
        account: BTreeMap::new(),
        secrets: BTreeMap::new(),
        scheme: None,
        rules: Rules::default(),
        pace: Pace::default(),
    };
    let Answer::Destination(made) = rig.act(Act::CreateDestination(Box::new(new))) else {
        panic!("a destination was asked for")
    };
    let told = || {
        let alerts = rig.runtime.block_on(rig.app.watch.look(&rig.app));
        alerts.iter().map(|one| (one.kind.name(), one.destination_id)).collect::<Vec<_>>()
    };
    ended(&rig, made.id, (30, Next::Delivered), 1);
    ended(&rig, made.id, (19, Next::Rejected), 0);
    assert_eq!(told(), [], "that is too few");
    ended(&rig, made.id, (1, Next::Exhausted), 0);
    assert_eq!(told(), [("success_rate", Some(made.id))]);
    ended(&rig, made.id, (100, Next::Unverified), 0);
    assert_eq!(told(), [("success_rate", Some(made.id))], "it is not back yet");
    ended(&rig, made.id, (100, Next::Delivered), 0);
    assert_eq!(told(), []);
    rig.act(Act::ArchiveDestination { id: made.id });
    ended(&rig, made.id, (1_000, Next::Rejected), 0);
    assert_eq!(told(), [], "nobody has to look at one that is archived");
}
