//! A destination is told of what happened before it was there, once, and a bounded part at a time.

use super::deliveries::{URL, owed};
use super::world::{BEGIN, World, destination};
use domain::command::{Act, Answer, Idempotency, Outcome};
use domain::destination::{BACKFILL_CONVERSIONS_MAX, Backfilled, Owner, Period};
use domain::id::{CampaignId, ConversionId, DeliveryId, DestinationId, LinkId, PublisherId};
use domain::time::Timestamp;

const ONE: DestinationId = DestinationId(1);

impl World {
    /// Everything until now.
    fn ever(&self) -> Period {
        Period { from: BEGIN, to: self.now, after: None }
    }

    /// What a backfill would come to, which has to be what it comes to.
    async fn backfill(&mut self, id: DestinationId, period: Period) -> Backfilled {
        let setup = self.store.setup().await.unwrap();
        let (destination, publisher) = setup.to_backfill(id, period, self.now).unwrap();
        let preview = self.store.backfillable(destination, publisher, period, self.now);
        let preview = preview.await.unwrap().unwrap();
        let before = self.store.owed(DeliveryId(0), 10_000).await.unwrap().len();
        let answer = self.done(Act::BackfillDestination { id, period }).await;
        assert_eq!(answer, Answer::Backfilled(preview), "{period:?}");
        let after = self.store.owed(DeliveryId(0), 10_000).await.unwrap().len();
        assert_eq!(after - before, preview.owed as usize, "{period:?}");
        preview
    }
}

#[tokio::test]
async fn what_was_before_is_told_once_and_corrected_afterwards() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    for number in 1..=4 {
        world.hit(click, &format!("click_id={{click}}&txn_id={number}&status=pending")).await;
    }
    for number in [2, 1, 4] {
        world.hit(click, &format!("click_id={{click}}&txn_id={number}&status=approved")).await;
    }
    world.done(destination(URL)).await;
    world.hit(click, "click_id={click}&txn_id=3&status=approved").await;
    world.hit(click, "click_id={click}&txn_id=4&status=reversed").await;
    let asked_at = world.now.plus_ms(1);
    let done = world.backfill(ONE, world.ever()).await;
    assert_eq!(done, Backfilled { owed: 2, examined: 4, next: None });
    let done = world.backfill(ONE, world.ever()).await;
    assert_eq!(done, Backfilled { owed: 0, examined: 4, next: None });
    world.hit(click, "click_id={click}&txn_id=1&status=reversed").await;
    // In the order in which they were made, whatever they have become since and when.
    let expected = [
        "1: 3/2 to 1 notice approved 1.75",
        "2: 1/2 to 1 notice approved 1.75",
        "3: 2/2 to 1 notice approved 1.75",
        "4: 1/3 to 1 withdrawal reversed 0",
    ];
    assert_eq!(owed(&world).await, expected);
    let all = world.store.owed(DeliveryId(0), 10).await.unwrap();
    let asked: Vec<_> = all.iter().map(|one| one.owed.backfilled_at).collect();
    assert_eq!(asked, [None, Some(asked_at), Some(asked_at), None]);
    let (second, _) = world.store.conversion(ConversionId(2)).await.unwrap().unwrap();
    assert_eq!(all[2].owed.at, second.changed_at);
    assert_eq!(world.store.verify().await.unwrap(), []);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}

#[tokio::test]
async fn a_period_takes_what_was_made_in_it_and_no_other_publisher_s_or_link_s() {
    let mut world = World::new().await;
    world.done(Act::CreatePublisher { name: "Blog".to_owned() }).await;
    for (token, publisher) in [("second", 1), ("other", 2)] {
        world.done(link(token, publisher)).await;
    }
    let mut made = Vec::new();
    for link in [1, 3, 4, 1] {
        world.link = LinkId(link);
        let click = world.click("us").await;
        world.hit(click, "click_id={click}").await;
        made.push(world.now);
    }
    world.done(destination(URL)).await;
    let Act::CreateDestination(mut new) = destination(URL) else { unreachable!() };
    new.owner = Owner::Link { link_id: LinkId(3) };
    world.done(Act::CreateDestination(new)).await;
    let tell = |id, from: Timestamp, to| (DestinationId(id), Period { from, to, after: None });
    let later = made[3].plus_ms(1);
    for ((id, period), owed, examined) in [
        (tell(1, BEGIN, made[0]), 0, 0),
        (tell(1, made[0], made[1]), 1, 1),
        (tell(2, BEGIN, made[1]), 0, 1),
        (tell(2, BEGIN, later), 1, 3),
        (tell(1, made[1], later), 2, 2),
    ] {
        let done = world.backfill(id, period).await;
        assert_eq!(done, Backfilled { owed, examined, next: None }, "{id} {period:?}");
    }
    let expected = [
        "1: 1/1 to 1 notice approved 1.75",
        "2: 2/1 to 2 notice approved 1.75",
        "3: 2/1 to 1 notice approved 1.75",
        "4: 4/1 to 1 notice approved 1.75",
    ];
    assert_eq!(owed(&world).await, expected);
    assert_eq!(world.store.verify().await.unwrap(), []);
}

fn link(token: &str, publisher: u32) -> Act {
    Act::CreateLink {
        campaign_id: CampaignId(1),
        publisher_id: PublisherId(publisher),
        token: token.to_owned(),
        landing_url: None,
        test: false,
    }
}

#[tokio::test]
async fn one_command_looks_at_so_many_and_says_where_to_go_on() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    let (many, more) = (u64::from(BACKFILL_CONVERSIONS_MAX), 5);
    let made_at = world.now;
    let mut records = Vec::new();
    for number in 0..many + more {
        // All at one instant, which the ids then tell apart.
        world.now = made_at;
        records.push(world.hit_record(click, &format!("click_id={{click}}&txn_id={number}")));
    }
    world.apply(&records).await.unwrap();
    world.done(destination(URL)).await;
    let first = world.backfill(ONE, world.ever()).await;
    let all = BACKFILL_CONVERSIONS_MAX;
    let last = ConversionId(many);
    assert_eq!(first, Backfilled { owed: all, examined: all, next: Some(last) });
    let rest = Period { after: first.next, ..world.ever() };
    let done = world.backfill(ONE, rest).await;
    assert_eq!(done, Backfilled { owed: 5, examined: 5, next: None });
    let later = Period { from: made_at.plus_ms(2), after: Some(ConversionId(1)), ..world.ever() };
    let done = world.backfill(ONE, later).await;
    assert_eq!(done, Backfilled::default(), "it goes on no earlier than the period begins");
    assert_eq!(world.store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_a_key_backfills_once() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    world.hit(click, "click_id={click}").await;
    world.done(destination(URL)).await;
    let ever = world.ever();
    let unknown = Period { after: Some(ConversionId(9)), ..ever };
    let future = Period { to: world.now.plus_days(1), ..ever };
    for (id, period, blamed) in
        [(ONE, unknown, "after"), (ONE, future, "to"), (DestinationId(2), ever, "not_found")]
    {
        let failed = match world.act(Act::BackfillDestination { id, period }).await {
            Outcome::Failed(failure) => failure.parameter.unwrap_or(failure.code),
            Outcome::Done(answer) => panic!("{answer:?}"),
        };
        assert_eq!(failed, blamed);
    }
    assert!(owed(&world).await.is_empty());
    let key = Idempotency { key: "k".to_owned(), request: "r".to_owned() };
    let expected = Backfilled { owed: 1, examined: 1, next: None };
    for _ in 0..2 {
        let act = Act::BackfillDestination { id: ONE, period: ever };
        let outcome = world.command(act, Some(key.clone())).await;
        assert_eq!(outcome, Outcome::Done(Box::new(Answer::Backfilled(expected))));
    }
    assert_eq!(owed(&world).await, ["1: 1/1 to 1 notice approved 1.75"]);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}
