//! What contracts can agree on beside one conversion for each click, goal and transaction id.

use super::world::{BEGIN, World, decided, own_partner, shown};
use domain::click::Label;
use domain::click_id::ClickId;
use domain::command::{Act, Answer, DraftSource, Outcome, Sunset};
use domain::contract::{Contract, Role};
use domain::conversion::Status;
use domain::id::ConversionId;
use domain::ledger::WAITING_MAX;
use domain::report::{Dimension, Query, Test};
use serde_json::{Value, json};
use store::list::{ConversionFilter, VerdictFilter};

/// The parameters of a contract: canonical names, `!` where required.
fn parameters(text: &str) -> Value {
    let parameter = |name: &str| {
        let bare = name.trim_end_matches('!');
        json!({"canonical": bare, "names": [bare], "required": bare != name})
    };
    text.split_whitespace().map(parameter).collect()
}

async fn conversions_of(world: &World, click: ClickId) -> Vec<u64> {
    let filter = ConversionFilter { click_id: Some(click), limit: 100, ..Default::default() };
    let found = world.store.conversions(&filter).await.unwrap().items;
    found.iter().map(|one| one.id.0).collect()
}

async fn hits_of(world: &World, conversion: u64) -> usize {
    let conversion_id = Some(ConversionId(conversion));
    let filter = VerdictFilter { conversion_id, limit: 100, ..Default::default() };
    world.store.verdicts(&filter).await.unwrap().items.len()
}

#[tokio::test]
async fn a_transaction_id_makes_one_conversion_of_many_clicks_and_is_found_by_its_own() {
    let mut world = World::agreeing(json!({
        "identity": "txn",
        "parameters": parameters("click_id! txn_id! status revenue token"),
    }))
    .await;
    let (one, other) = (world.click("us").await, world.click("ca").await);
    let mut said = Vec::new();
    for (click, query) in [
        (one, "txn_id=1&status=pending"),
        (other, "txn_id=1"),
        (other, "txn_id=1"),
        (one, "txn_id=2"),
        (other, "txn_id=3"),
    ] {
        said.push(shown(&world.hit(click, &format!("click_id={{click}}&{query}")).await));
    }
    let duplicate = "duplicate already_processed";
    assert_eq!(said, ["recorded", "updated", duplicate, "recorded", "recorded"]);
    assert_eq!(conversions_of(&world, one).await, [2, 1]);
    assert_eq!(conversions_of(&world, other).await, [3]);
    assert_eq!(hits_of(&world, 1).await, 3, "those of other clicks too");
    assert_eq!(hits_of(&world, 2).await, 1);
    assert_eq!(hits_of(&world, 9).await, 0);
    assert_eq!(world.store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_transaction_alone_finds_its_conversion_and_its_click() {
    let mut world = World::agreeing(json!({
        "identity": "txn",
        "parameters": parameters("click_id txn_id! status revenue token"),
    }))
    .await;
    let click = world.click("us").await;
    let (second, third) = (world.click_record("ca"), world.click_record("de"));
    let reversal = "txn_id=1&status=reversed";
    let early = world.hit(click, reversal).await;
    assert_eq!(shown(&early), "refused unknown_click");
    assert_eq!((early.click_id, early.conversion_id), (None, None));
    // In one batch with what it finds, and between hits that name their clicks.
    let batch = [
        second.1,
        world.hit_record(second.0, "click_id={click}&txn_id=2"),
        world.hit_record(click, "click_id={click}&txn_id=1"),
        world.hit_record(click, reversal),
        third.1,
        world.hit_record(third.0, "click_id={click}&txn_id=3"),
        world.hit_record(click, "txn_id=9"),
    ];
    let applied = world.apply(&batch).await.unwrap();
    let verdicts: Vec<_> = applied.into_iter().map(decided).collect();
    let said: Vec<String> = verdicts.iter().map(shown).collect();
    assert_eq!(said, ["recorded", "recorded", "updated", "recorded", "refused unknown_click"]);
    let reversed = &verdicts[2];
    assert_eq!(reversed.click_id, Some(click));
    assert_eq!(reversed.labels.get(Label::Sub(1)), Some("us"), "its click's");
    assert_eq!(verdicts[3].labels.get(Label::Sub(1)), Some("de"));
    assert_eq!((hits_of(&world, 2).await, hits_of(&world, 1).await), (2, 1));
    let (conversion, entries) = world.store.conversion(ConversionId(2)).await.unwrap().unwrap();
    assert_eq!((conversion.status, entries.len()), (Status::Reversed, 2));
    let key = conversion.key;
    assert_eq!(world.store.conversion_by_key(&key).await.unwrap().unwrap().id, conversion.id);
    assert_eq!(world.store.verify().await.unwrap(), []);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}

#[tokio::test]
async fn what_comes_after_the_first_of_a_click_is_marked() {
    let keys = json!({"txn_id_absent": "payload", "repeats": {"mark": true}});
    let mut world = World::agreeing(keys).await;
    let (one, other) = (world.click("us").await, world.click("ca").await);
    let mut said = Vec::new();
    for (click, query) in [
        (one, "x=1"),
        (one, "x=2"),
        (one, "x=2"),
        (one, "txn_id=1"),
        (one, "goal=sale"),
        (other, "x=1"),
    ] {
        let verdict = world.hit(click, &format!("click_id={{click}}&revenue=1&{query}")).await;
        let flags = verdict.flags.names().into_iter().filter(|name| *name == "repeated");
        said.push([vec![verdict.verdict.name()], flags.collect()].concat().join(" "));
    }
    let marked = "recorded repeated";
    assert_eq!(said, ["recorded", marked, "duplicate", marked, "recorded", "recorded"]);
    assert_eq!(conversions_of(&world, one).await, [4, 3, 2, 1]);
    assert_eq!(hits_of(&world, 2).await, 2);
    assert_eq!(world.store.verify().await.unwrap(), []);
}

/// What a report says of each group's events.
async fn events_by(world: &World, by: &[Dimension]) -> Vec<String> {
    let query = Query {
        day_bounds: (0..3).map(|day| BEGIN.plus_days(day)).collect(),
        group_by: by.to_vec(),
        campaign_id: Some(world.campaign),
        publisher_id: None,
        test: Test::Without,
    };
    let answer = world.store.report(&query).await.unwrap();
    let shown = answer.into_iter().flat_map(|(group, sums)| {
        let events = sums.events.into_iter();
        events.map(move |(number, sum)| format!("{group:?} {number}={sum}")).collect::<Vec<_>>()
    });
    shown.collect()
}

#[tokio::test]
async fn events_are_kept_with_their_click_and_summed_up() {
    let keys = json!({
        "repeats": {"events": "add"},
        "parameters": parameters("click_id! txn_id revenue event1 event30 token sub1"),
    });
    let mut world = World::agreeing(keys).await;
    let (one, other) = (world.click("us").await, world.click("ca").await);
    let mut said = Vec::new();
    for (click, query) in [
        (one, "event1=7.5&event30=-2"),
        (one, "event1=7.5&event30=-2"),
        (one, "txn_id=1&event1=0.5"),
        (other, "event1=999999999.999999"),
    ] {
        said.push(shown(&world.hit(click, &format!("click_id={{click}}&{query}")).await));
    }
    assert_eq!(said, ["recorded", "duplicate already_processed", "recorded", "recorded"]);
    let events = world.store.events(one).await.unwrap().unwrap();
    let values: Vec<_> = events.events.iter().map(|(number, one)| (*number, one.value.0)).collect();
    assert_eq!(values, [(1, 8_000_000), (30, -2_000_000)]);
    assert_eq!((events.click_id, events.seen.len()), (one, 2));
    assert!(events.events[&1].changed_at > events.events[&30].changed_at);
    assert_eq!(events_by(&world, &[]).await, ["[] 1=1000000007.999999", "[] 30=-2"]);
    let by_sub = events_by(&world, &[Dimension::Label(Label::Sub(1))]).await;
    let expected = ["Text(\"ca\")] 1=999999999.999999", "Text(\"us\")] 1=8", "Text(\"us\")] 30=-2"];
    assert_eq!(by_sub, expected.map(|one| format!("[{one}")));
    let by_day = events_by(&world, &[Dimension::Day, Dimension::Goal]).await;
    assert_eq!(by_day, ["[Day(0), None] 1=1000000007.999999", "[Day(0), None] 30=-2"]);
    assert_eq!(world.store.verify().await.unwrap(), []);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}

#[tokio::test]
async fn events_of_one_click_that_come_at_one_instant_all_count() {
    let keys = json!({
        "repeats": {"events": "add"},
        "parameters": parameters("click_id! event1 token"),
    });
    let mut world = World::agreeing(keys).await;
    let click = world.click("us").await;
    let mut hit = |n: u8| world.hit_record(click, &format!("click_id={{click}}&event1=1&n={n}"));
    let mut batch: Vec<_> = (0..5).map(&mut hit).collect();
    let at = batch[0].at;
    for record in &mut batch {
        record.at = at;
    }
    world.memory.0.lock().unwrap().iter_mut().rev().take(batch.len()).for_each(|one| one.at = at);
    world.apply(&batch).await.unwrap();
    let events = world.store.events(click).await.unwrap().unwrap();
    assert_eq!((events.events[&1].value.0, events.seen.len()), (5_000_000, 5));
    assert_eq!(events_by(&world, &[]).await, ["[] 1=5"]);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}

/// Puts a contract with these keys in the place of the campaign's own, which is the only one.
async fn agree(world: &mut World, keys: Value) {
    let mut contract = serde_json::to_value(own_partner().contract).unwrap();
    for (key, value) in keys.as_object().unwrap() {
        contract[key] = value.clone();
    }
    let contract: Contract = serde_json::from_value(contract).unwrap();
    let campaign = world.store.setup().await.unwrap().campaign(world.campaign).unwrap().clone();
    let integration_id = campaign.integration_id.unwrap();
    let source = DraftSource::Contract(Box::new(contract));
    let token = format!("page-{}", world.records().len());
    let (note, cutover_on) = (None, None);
    let draft = Act::DraftContract { integration_id, source, note, cutover_on, token };
    let Answer::Contract(draft) = world.done(draft).await else { panic!("it is a contract") };
    let number = draft.number;
    for role in Role::ALL {
        let name = "A. Person".to_owned();
        world.done(Act::SignOffContract { integration_id, number, role, name }).await;
    }
    let sunset = Sunset::Days(0);
    world.done(Act::ActivateContract { integration_id, number, sunset }).await;
}

#[tokio::test]
async fn what_was_said_before_another_version_is_known_after_it() {
    let keys = |more: &str| {
        json!({
            "txn_id_absent": "payload",
            "repeats": {"events": "add"},
            "parameters": parameters(&format!("click_id! txn_id status revenue event1 token {more}")),
        })
    };
    let mut world = World::agreeing(keys("")).await;
    let click = world.click("us").await;
    let (paid, told) = ("goal=sale&revenue=1&timestamp=7", "event1=2&timestamp=7");
    for query in [paid, told] {
        let sent = world.hit(click, &format!("click_id={{click}}&{query}")).await;
        assert_eq!(shown(&sent), "recorded", "{query}");
    }
    agree(&mut world, keys("timestamp")).await;
    for (query, expected) in [
        (paid, "duplicate already_processed"),
        (told, "duplicate already_processed"),
        ("goal=sale&revenue=2&timestamp=7", "recorded"),
        ("goal=sale&revenue=2&timestamp=8", "duplicate already_processed"),
    ] {
        let sent = world.hit(click, &format!("click_id={{click}}&{query}")).await;
        assert_eq!(shown(&sent), expected, "{query}");
    }
    assert_eq!(conversions_of(&world, click).await, [2, 1]);
    assert_eq!(world.store.events(click).await.unwrap().unwrap().seen.len(), 1);
    assert_eq!(world.store.verify().await.unwrap(), []);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}

async fn triaging() -> World {
    World::agreeing(json!({
        "triage_until": "2030-01-01T00:00:00Z",
        "parameters": parameters("click_id! txn_id! goal status revenue token"),
    }))
    .await
}

fn repair(id: u64, txn_id: &str) -> Act {
    let (id, txn_id) = (ConversionId(id), txn_id.to_owned());
    Act::RepairTxnId { id, txn_id, reason: "found in their log".to_owned() }
}

fn merge(id: u64, into: u64) -> Act {
    let (id, into) = (ConversionId(id), ConversionId(into));
    Act::MergeConversion { id, into, reason: "the same order".to_owned() }
}

fn code(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => failure.code,
        Outcome::Done(_) => "done".to_owned(),
    }
}

async fn triaged(world: &World) -> Vec<u64> {
    let filter = ConversionFilter { is_triaged: Some(true), limit: 100, ..Default::default() };
    let found = world.store.conversions(&filter).await.unwrap().items;
    found.iter().map(|one| one.id.0).collect()
}

#[tokio::test]
async fn only_so_many_conversions_of_a_click_wait_for_their_ids() {
    let mut world = triaging().await;
    let (click, other) = (world.click("us").await, world.click("ca").await);
    let mut records = Vec::new();
    for number in 0..WAITING_MAX + 2 {
        records.push(world.hit_record(click, &format!("click_id={{click}}&n={number}")));
    }
    let applied = world.apply(&records).await.unwrap();
    let verdicts = applied.into_iter().map(|one| shown(&decided(one)));
    let verdicts: Vec<String> = verdicts.collect();
    let (first, last) = verdicts.split_at(verdicts.len() - 2);
    assert!(first.iter().all(|one| one == "recorded"), "{first:?}");
    assert_eq!(last, ["refused missing_parameter"; 2]);
    for (id, n, expected) in [
        (click, "x", "refused missing_parameter"),
        (click, "0", "duplicate already_processed"),
        (other, "x", "recorded"),
    ] {
        let sent = world.hit(id, &format!("click_id={{click}}&n={n}")).await;
        assert_eq!(shown(&sent), expected, "{n}");
    }
    world.done(repair(1, "T-1")).await;
    for (n, expected) in [("x", "recorded"), ("y", "refused missing_parameter")] {
        let sent = world.hit(click, &format!("click_id={{click}}&n={n}")).await;
        assert_eq!(shown(&sent), expected, "one of them has its id: {n}");
    }
    let (id, to, reason) = (ConversionId(2), Status::Rejected, "junk".to_owned());
    world.done(Act::ChangeConversionStatus { id, to, reason }).await;
    for (n, expected) in [("y", "recorded"), ("z", "refused missing_parameter")] {
        let sent = world.hit(click, &format!("click_id={{click}}&n={n}")).await;
        assert_eq!(shown(&sent), expected, "one of them is rejected: {n}");
    }
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}

#[tokio::test]
async fn triage_ends_with_a_repair_or_a_merger_and_no_entry_is_changed() {
    let mut world = triaging().await;
    let click = world.click("us").await;
    for query in ["x=1", "x=2", "x=1", "txn_id=T-1", "x=3&status=pending"] {
        world.hit(click, &format!("click_id={{click}}&{query}")).await;
    }
    assert_eq!(triaged(&world).await, [4, 2, 1]);
    assert_eq!(code(world.act(repair(1, "T-1")).await), "already_exists");
    assert_eq!(code(world.act(repair(3, "T-1")).await), "not_in_triage");
    assert_eq!(code(world.act(repair(9, "T-1")).await), "not_found");
    assert_eq!(code(world.act(merge(1, 9)).await), "invalid_parameter");
    assert_eq!(world.done(merge(1, 3)).await, Answer::Conversion(ConversionId(1)));
    assert_eq!(world.done(repair(2, "T-2")).await, Answer::Conversion(ConversionId(2)));
    assert_eq!(triaged(&world).await, [4]);
    let (merged, entries) = world.store.conversion(ConversionId(1)).await.unwrap().unwrap();
    assert_eq!((merged.status, merged.merged_into), (Status::Rejected, Some(ConversionId(3))));
    assert_eq!(entries.len(), 2);
    let (repaired, entries) = world.store.conversion(ConversionId(2)).await.unwrap().unwrap();
    assert_eq!((repaired.status, repaired.txn_id.as_deref()), (Status::Approved, Some("T-2")));
    assert_eq!(entries[1].entry.from, Some(Status::Pending));
    let of_one = ConversionFilter {
        click_id: Some(click),
        merged_into: Some(ConversionId(3)),
        limit: 9,
        ..Default::default()
    };
    let into = world.store.conversions(&of_one).await.unwrap().items;
    assert_eq!(into.len(), 1);
    for query in ["x=1", "x=2", "txn_id=T-2"] {
        let again = world.hit(click, &format!("click_id={{click}}&{query}")).await;
        assert_eq!(shown(&again), "duplicate already_processed", "{query}");
    }
    assert_eq!(world.store.verify().await.unwrap(), []);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}
