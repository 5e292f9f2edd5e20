//! Who is told what, how it is written, and when it is tried again.

mod amounts;
mod backfills;
mod faults;
mod owing;
mod requests;
mod schedules;
mod trials;

use super::*;
use crate::command::{Act, Answer as Answered, DestinationChanges, NewDestination, NewOutbound};
use crate::id::{ConversionId, DeliveryId, PublisherId};
use crate::ledger::tests::world::{LEAD, LINK, World, plain};
use crate::time::Timestamp;

pub(super) const PUBLISHER: Owner = Owner::Publisher { publisher_id: PublisherId(1) };

/// A destination with a URL of its own and nothing else.
pub(super) fn new(url: &str) -> NewDestination {
    let json = serde_json::json!({ "url": url });
    NewDestination {
        owner: PUBLISHER,
        outbound: NewOutbound::Own(Box::new(serde_json::from_value(json).unwrap())),
        account: BTreeMap::new(),
        secrets: BTreeMap::new(),
        scheme: None,
        rules: Rules::default(),
        pace: Pace::default(),
    }
}

/// The same with rules.
pub(super) fn ruled(url: &str, rules: &str) -> NewDestination {
    NewDestination { rules: serde_json::from_str(rules).unwrap(), ..new(url) }
}

/// A network whose publisher is told.
pub(super) struct Network {
    pub(super) world: World,
    pub(super) owed: Vec<Owed>,
    sequences: BTreeMap<ConversionId, u32>,
}

impl Network {
    pub(super) fn of(destinations: impl IntoIterator<Item = NewDestination>) -> Self {
        let world = World::new(plain(), LEAD);
        let mut network = Self { world, owed: Vec::new(), sequences: BTreeMap::new() };
        for destination in destinations {
            network.add(destination);
        }
        network
    }

    pub(super) fn add(&mut self, new: NewDestination) -> DestinationId {
        match self.world.act(Act::CreateDestination(Box::new(new))) {
            Answered::Destination(made) => made.id,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a postback, and says what it had to be owed: destination, kind, status, payout,
    /// difference.
    pub(super) fn send(&mut self, line: &str) -> String {
        self.world.send(line);
        self.owe()
    }

    pub(super) fn owe(&mut self) -> String {
        let mut new = Vec::new();
        for conversion in self.world.conversions.values() {
            let known = self.sequences.insert(conversion.id, conversion.sequence);
            if known != Some(conversion.sequence) {
                let is_own = |one: &&Owed| one.conversion_id == conversion.id;
                let before: Vec<Owed> = self.owed.iter().filter(is_own).cloned().collect();
                new.extend(owed(&self.world.setup, conversion, &before));
            }
        }
        self.told(new)
    }

    /// Keeps what is owed, and says it.
    fn told(&mut self, new: Vec<Owed>) -> String {
        let texts = new.iter().map(|one| {
            let (id, kind, status) = (one.destination_id, one.kind.name(), one.status.name());
            format!("{id} {kind} {status} {}/{}", one.payout, one.difference)
        });
        let text = texts.collect::<Vec<_>>().join(", ");
        self.owed.extend(new);
        text
    }
}

#[test]
fn a_test_link_tells_nobody_who_did_not_ask() {
    let asks = ruled("https://b.example/", r#"{"tests":true}"#);
    let mut network = Network::of([new("https://a.example/"), asks]);
    let link = network.world.link(crate::ledger::tests::world::CAMPAIGN, true);
    network.world.click("t", link);
    assert_eq!(network.send("?click_id=@t&payout=2"), "2 notice approved 1.75/1.75");
    network.world.click("r", LINK);
    let told = "1 notice approved 1.75/1.75, 2 notice approved 1.75/1.75";
    assert_eq!(network.send("?click_id=@r&payout=2"), told);
}
