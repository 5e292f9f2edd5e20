//! Hits and commands through the store: what is recorded, once, and what can be asked.

use super::world::{World, shown};
use domain::command::{Act, Answer, Idempotency, Outcome};
use domain::conversion::Status;
use domain::id::ConversionId;
use domain::ledger::{self, Cause, Decision, Facts, Occasion, Read};
use domain::money::{Currency, Micros};
use domain::reason::{Reason, Verdict};
use domain::report::{Dimension, Query, Test, Value};
use domain::setup::Setup;
use store::list::{ConversionFilter, VerdictFilter};

#[tokio::test]
async fn a_resent_postback_is_a_duplicate() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    let mut verdicts = Vec::new();
    for query in [
        "click_id={click}&txn_id=order-1",
        "click_id={click}&txn_id=order-2",
        "click_id={click}&txn_id=order-1",
        "click_id={click}&txn_id=order-1&goal=sale&revenue=9.99",
    ] {
        verdicts.push(world.hit(click, query).await);
    }
    let shown: Vec<String> = verdicts.iter().map(shown).collect();
    assert_eq!(shown, ["recorded", "recorded", "duplicate already_processed", "recorded"]);
    assert_eq!(verdicts[2].original, Some(verdicts[0].position));
    assert_eq!(verdicts[2].conversion_id, verdicts[0].conversion_id);
}

#[tokio::test]
async fn the_life_of_a_conversion_is_in_its_entries() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    for (status, verdict) in [
        ("pending", "recorded"),
        ("approved", "updated"),
        ("pending", "duplicate already_processed"),
        ("reversed", "updated"),
        ("approved", "duplicate already_processed"),
        ("rejected", "refused transition_not_allowed"),
    ] {
        let query = format!("click_id={{click}}&txn_id=1&status={status}");
        assert_eq!(shown(&world.hit(click, &query).await), verdict, "{status}");
    }
    let (conversion, entries) = world.store.conversion(ConversionId(1)).await.unwrap().unwrap();
    assert_eq!(conversion.status, Status::Reversed);
    assert_eq!(conversion.external_id, b"ext");
    let deltas: Vec<_> = entries.iter().map(|one| (one.entry.to, one.entry.revenue.0)).collect();
    let expected =
        [(Status::Pending, 0), (Status::Approved, 2_500_000), (Status::Reversed, -2_500_000)];
    assert_eq!(deltas, expected);
    assert_eq!(world.store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_person_changes_a_status_with_a_reason() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    world.hit(click, "click_id={click}").await;
    let id = ConversionId(1);
    let reverse = |reason: &str| Act::ChangeConversionStatus {
        id,
        to: Status::Reversed,
        reason: reason.to_owned(),
    };
    assert!(matches!(world.act(reverse(" ")).await, Outcome::Failed(_)), "a reason is needed");
    assert_eq!(world.done(reverse("charged back")).await, Answer::Conversion(id));
    let failed = world.act(reverse("again")).await;
    let Outcome::Failed(failure) = failed else { panic!("{failed:?}") };
    assert_eq!(failure.code, "transition_not_allowed");
    let (conversion, entries) = world.store.conversion(id).await.unwrap().unwrap();
    assert_eq!(conversion.paid_revenue, Micros::ZERO);
    assert_eq!(entries.len(), 2);
    let expected = entries[1].entry.hash(&entries[0].hash);
    assert_eq!(entries[1].hash, expected, "each hash takes in the one before");
    let Cause::Command(position) = entries[1].entry.cause else { panic!("a person did it") };
    let command = world.store.command(position).await.unwrap().unwrap().command;
    assert_eq!(command.act, reverse("charged back"));
    let missing = Act::ChangeConversionStatus {
        id: ConversionId(99),
        to: Status::Reversed,
        reason: "x".to_owned(),
    };
    let Outcome::Failed(failure) = world.act(missing).await else { panic!("it is not there") };
    assert_eq!(failure.code, "not_found");
    assert_eq!(world.store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_stored_answer() {
    let mut world = World::new().await;
    let key =
        |request: &str| Some(Idempotency { key: "k".to_owned(), request: request.to_owned() });
    let create = |name: &str| Act::CreateAdvertiser { name: name.to_owned() };
    let first = world.command(create("A"), key("1")).await;
    let again = world.command(create("A"), key("1")).await;
    assert_eq!(first, again);
    let other = world.command(create("B"), key("2")).await;
    let Outcome::Failed(failure) = other else { panic!("{other:?}") };
    assert_eq!(failure.code, "idempotency_key_reused");
    assert_eq!(world.store.setup().await.unwrap().advertisers.len(), 2);
    let stored = world.store.command_by_key("tester", "k").await.unwrap().unwrap();
    assert_eq!(stored.outcome, first);
}

#[tokio::test]
async fn hits_are_found_by_what_is_known_of_them() {
    let mut world = World::new().await;
    let (one, other) = (world.click("us").await, world.click("ca").await);
    world.hit(one, "click_id={click}&txn_id=a").await;
    world.hit(one, "click_id={click}&txn_id=a").await;
    world.hit(other, "click_id={click}&txn_id=b&status=maybe").await;
    world.hit(other, "txn_id=b").await;
    let count = async |filter: VerdictFilter| {
        let filter = VerdictFilter { limit: 100, ..filter };
        world.store.verdicts(&filter).await.unwrap().items.len()
    };
    assert_eq!(count(VerdictFilter::default()).await, 4);
    assert_eq!(count(VerdictFilter { click_id: Some(one), ..Default::default() }).await, 2);
    let txn_id = Some("b".to_owned());
    assert_eq!(count(VerdictFilter { txn_id, ..Default::default() }).await, 1);
    let reason = Some(Reason::MissingParameter);
    assert_eq!(count(VerdictFilter { reason, ..Default::default() }).await, 1);
    let verdict = Some(Verdict::Refused);
    assert_eq!(count(VerdictFilter { verdict, ..Default::default() }).await, 2);
    let first = VerdictFilter { limit: 3, ..Default::default() };
    let page = world.store.verdicts(&first).await.unwrap();
    assert_eq!(page.items.len(), 3);
    let rest = VerdictFilter { before: page.next, ..first };
    let rest = world.store.verdicts(&rest).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let of_click = ConversionFilter { click_id: Some(one), limit: 10, ..Default::default() };
    assert_eq!(world.store.conversions(&of_click).await.unwrap().items.len(), 1);
    for (status, count) in [(Status::Approved, 1), (Status::Pending, 0)] {
        let filter = ConversionFilter { status: Some(status), limit: 10, ..Default::default() };
        assert_eq!(world.store.conversions(&filter).await.unwrap().items.len(), count);
    }
}

#[tokio::test]
async fn a_report_counts_clicks_hits_and_money_alike() {
    let mut world = World::new().await;
    let (us, ca) = (world.click("us").await, world.click("ca").await);
    world.click("us").await;
    world.hit(us, "click_id={click}").await;
    world.hit(ca, "click_id={click}&status=pending").await;
    world.hit(ca, "click_id={click}&status=maybe").await;
    let sub1 = Dimension::from_name("sub1").unwrap();
    let day = |at: domain::time::Timestamp| at.plus_days(1);
    let query = Query {
        day_bounds: vec![super::world::BEGIN, day(super::world::BEGIN)],
        group_by: vec![Dimension::Day, sub1],
        campaign_id: Some(world.campaign),
        publisher_id: None,
        test: Test::Without,
    };
    let answer = world.store.report(&query).await.unwrap();
    let group = |sub1: &str| vec![Value::Day(0), Value::Text(sub1.to_owned())];
    let us = &answer[&group("us")];
    assert_eq!((us.clicks, us.hits, us.refused, us.approved), (2, 1, 0, 1));
    assert_eq!(us.money[&Currency::USD].revenue, Micros(2_500_000));
    assert_eq!(us.money[&Currency::USD].payout, Micros(1_750_000));
    let ca = &answer[&group("ca")];
    assert_eq!((ca.clicks, ca.hits, ca.refused, ca.pending), (1, 2, 1, 1));
    assert_eq!(ca.money[&Currency::USD].revenue, Micros::ZERO);
    let whole = Query { group_by: Vec::new(), ..query };
    let answer = world.store.report(&whole).await.unwrap();
    assert_eq!(answer[&vec![]].clicks, 3);
    let test = Query { test: Test::Only, ..whole };
    let answer = world.store.report(&test).await.unwrap();
    assert_eq!(answer.get(&vec![]).map_or(0, |sums| sums.clicks + sums.hits), 0);
}

/// No postback can say as much, and ten thousand can together.
fn decide_richly(setup: &Setup, read: &Read<'_>, facts: Facts<'_>, occasion: Occasion) -> Decision {
    let mut decision = ledger::decide(setup, read, facts, occasion);
    if let Some(effect) = &mut decision.effect {
        effect.conversion.paid_revenue = Micros(i64::MAX);
    }
    decision
}

#[tokio::test]
async fn a_sum_that_is_out_of_range_is_told_and_one_that_is_not_is_exact() {
    let mut world = World::deciding_with(decide_richly).await;
    let click = world.click("us").await;
    let sale = "click_id={click}&goal=sale&revenue=1";
    assert_eq!(shown(&world.hit(click, sale).await), "recorded");
    let query = Query {
        day_bounds: vec![super::world::BEGIN, super::world::BEGIN.plus_days(1)],
        group_by: Vec::new(),
        campaign_id: None,
        publisher_id: None,
        test: Test::Without,
    };
    let answer = world.store.report(&query).await.unwrap();
    assert_eq!(answer[&vec![]].money[&Currency::USD].revenue, Micros(i64::MAX));
    let other = world.click("us").await;
    assert_eq!(shown(&world.hit(other, sale).await), "recorded");
    let error = world.store.report(&query).await.unwrap_err();
    assert!(matches!(error, store::Error::TooLarge(_)), "{error}");
}

#[tokio::test]
async fn lists_are_newest_first_within_their_times_and_go_on_where_a_page_ended() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    let mut ats = Vec::new();
    for txn in 0..9 {
        let query = format!("click_id={{click}}&txn_id={txn}&revenue=1");
        ats.push(world.hit(click, &query).await.at);
    }
    for (from, to, numbers) in [
        (None, None, 0..9),
        (Some(ats[2]), None, 2..9),
        (None, Some(ats[7]), 0..7),
        (Some(ats[2]), Some(ats[7]), 2..7),
        (Some(ats[8].plus_ms(1)), None, 0..0),
        (None, Some(ats[0]), 0..0),
    ] {
        let expected: Vec<_> = ats[numbers].iter().rev().copied().collect();
        let mut hits = VerdictFilter { from, to, limit: 2, ..Default::default() };
        let mut conversions = ConversionFilter { from, to, limit: 2, ..Default::default() };
        let (mut hits_at, mut conversions_at) = (Vec::new(), Vec::new());
        loop {
            let page = world.store.verdicts(&hits).await.unwrap();
            hits_at.extend(page.items.into_iter().map(|verdict| verdict.at));
            let Some(next) = page.next else { break };
            hits.before = Some(next);
        }
        loop {
            let page = world.store.conversions(&conversions).await.unwrap();
            conversions_at.extend(page.items.into_iter().map(|one| one.created_at));
            let Some(next) = page.next else { break };
            conversions.before = Some(next);
        }
        assert_eq!(hits_at, expected, "{from:?} {to:?}");
        assert_eq!(conversions_at, expected, "{from:?} {to:?}");
    }
}

/// What is journaled together has one time.
#[tokio::test]
async fn pages_of_one_moment_have_each_conversion_once() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    let query = |txn: u64| format!("click_id={{click}}&txn_id={txn}");
    let mut hits: Vec<_> = (0..7).map(|txn| world.hit_record(click, &query(txn))).collect();
    let (at, parked) = (hits[0].at, hits[3].position);
    for hit in &mut hits {
        hit.at = at;
    }
    for record in &mut *world.memory.0.lock().unwrap() {
        record.at = record.at.min(at);
    }
    world.store.apply(&hits, &[parked], world.now).await.unwrap();
    world.hit(click, &query(7)).await;
    world.done(Act::Redecide { position: parked }).await;
    for limit in 1..=3 {
        let mut filter = ConversionFilter { limit, ..Default::default() };
        let mut ids = Vec::new();
        loop {
            let page = world.store.conversions(&filter).await.unwrap();
            ids.extend(page.items.into_iter().map(|one| one.id.0));
            let Some(next) = page.next else { break };
            filter.before = Some(next);
        }
        // The parked hit's is the youngest, of the earlier moment.
        assert_eq!(ids, [7, 8, 6, 5, 4, 3, 2, 1], "{limit} a page");
    }
}
