//! The same records give the same state, however they are cut into batches and however often
//! they are given.

use super::world::{Memory, World, destination, open, shown};
use domain::command::{Act, Answer, Command, DraftSource, Outcome, Sunset};
use domain::contract::Role;
use domain::id::IntegrationId;
use domain::ledger::{self, Decision, Facts, Occasion, Read};
use domain::record::{Record, Stamped};
use domain::setup::Setup;
use store::Error;

/// A day in the life of a network, in records that are applied.
async fn busy_world() -> World {
    let mut world = World::new().await;
    world.done(destination("https://t.example/?{click_id}")).await;
    let mut clicks = Vec::new();
    for number in 0..40 {
        let sub = format!("s{}", number % 3);
        clicks.push(world.click(&sub).await);
        let click = clicks[number / 2];
        let status = ["approved", "pending", "reversed", "rejected", "what"][number % 5];
        let query = format!("click_id={{click}}&txn_id={}&status={status}", number % 4);
        world.hit(click, &query).await;
        if number == 20 {
            agree(&mut world).await;
        }
        if number % 10 == 3 {
            let name = format!("Advertiser {number}");
            world.act(Act::CreateAdvertiser { name }).await;
        }
    }
    let tick = world.record(Record::Tick);
    world.apply(&[tick]).await.unwrap();
    // Nothing in the ledger comes of the last records.
    for _ in 0..3 {
        world.click("us").await;
    }
    world
}

/// Puts a contract with other names in the place of the campaign's own, which is still read.
async fn agree(world: &mut World) {
    let integration_id = IntegrationId(2);
    let mut contract = super::world::own_partner().contract.unwrap();
    contract.parameters[0].names = vec!["cid".to_owned()];
    let draft = Act::DraftContract {
        integration_id,
        source: DraftSource::Contract(Box::new(contract)),
        note: Some("Other names.".to_owned()),
        cutover_on: None,
        token: "page".to_owned(),
    };
    let Answer::Contract(draft) = world.done(draft).await else { panic!("it is a contract") };
    let number = draft.number;
    for role in Role::ALL {
        let name = "A. Person".to_owned();
        world.done(Act::SignOffContract { integration_id, number, role, name }).await;
    }
    let sunset = Sunset::Days(1);
    world.done(Act::ActivateContract { integration_id, number, sunset }).await;
}

async fn replayed(records: &[Stamped<'static>], cut: impl Fn(usize) -> usize) -> [u8; 32] {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::default();
    *memory.0.lock().unwrap() = records.to_vec();
    let store = open(dir.path(), &memory, ledger::decide).unwrap();
    let mut rest = records;
    let mut number = 0;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(cut(number).clamp(1, rest.len()));
        // Another clock: only `decided_at` may see it.
        let now = super::world::BEGIN.plus_days(900);
        store.apply(batch, &[], now).await.unwrap();
        // A batch given again changes nothing.
        assert_eq!(store.apply(batch, &[], now).await.unwrap(), []);
        rest = after;
        number += 1;
    }
    assert_eq!(store.verify().await.unwrap(), []);
    store.digest().await.unwrap()
}

#[tokio::test]
async fn replaying_into_an_empty_store_gives_the_same_digest() {
    let world = busy_world().await;
    let digest = world.store.digest().await.unwrap();
    let records = world.records();
    for cut in [|_| 1, |_| 7, |_| 1_000, |number| 1 + number * number % 13] {
        assert_eq!(replayed(&records, cut).await, digest);
    }
    for fewer in [1, 5] {
        let shorter = &records[..records.len() - fewer];
        assert_ne!(replayed(shorter, |_| 5).await, digest, "the digest sees every record");
    }
}

#[tokio::test]
async fn a_contract_has_its_life_and_its_names_again_when_a_store_is_opened() {
    let mut world = busy_world().await;
    let setup = world.store.setup().await.unwrap();
    let id = IntegrationId(2);
    let life = |setup: &Setup| {
        let all = setup.contracts_of(id);
        let words = all.map(|one| one.latest().status.word(world.now)).collect::<Vec<_>>();
        (words, setup.contract_by_token("page").map(|one| one.number))
    };
    assert_eq!(life(&setup), (vec!["sunset", "active"], Some(2)));
    world.store = open(&world.dir, &world.memory, ledger::decide).unwrap();
    assert_eq!(world.store.setup().await.unwrap(), setup);
    let records = world.records();
    world.store.apply(&records, &[], world.now).await.unwrap();
    let click = world.click("later").await;
    for (query, version) in [("cid={click}&txn_id=1", "2.2"), ("click_id={click}&txn_id=2", "2.1")]
    {
        let verdict = world.hit(click, query).await;
        assert_eq!(shown(&verdict), "recorded");
        assert_eq!(verdict.contract.as_deref(), Some(version));
    }
    assert_eq!(world.store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_store_goes_on_where_it_was_closed() {
    let mut world = busy_world().await;
    let position = world.store.position().await.unwrap();
    let memory = world.memory.clone();
    let again = open(&world.dir, &memory, ledger::decide).unwrap();
    // Clicks since the last seal live in memory: they are handed over again.
    let records = world.records();
    again.apply(&records, &[], world.now).await.unwrap();
    assert_eq!(again.position().await.unwrap(), position);
    world.store = again;
    let click = world.click("later").await;
    assert_eq!(shown(&world.hit(click, "click_id={click}").await), "recorded");
    assert_eq!(world.store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_second_decision_that_panics_too_is_quarantined_by_its_command() {
    let mut world = World::deciding_with(panics_at_boom).await;
    let click = world.click("us").await;
    let hit = world.hit_record(click, "click_id={click}&txn_id=boom");
    let planted = hit.position;
    world.store.apply(&[hit], &[planted], world.now).await.unwrap();
    let act = Act::Redecide { position: planted };
    let command = Command { actor: "tester".to_owned(), idempotency: None, act };
    let command = world.record(Record::Command(Box::new(command)));
    let error = world.apply(std::slice::from_ref(&command)).await.unwrap_err();
    let by = command.position;
    assert!(matches!(error, Error::Panicked { position, .. } if position == by), "{error}");

    // Both quarantines hold for whoever applies the records from the beginning, too.
    let quarantined = [planted, by];
    world.store.apply(&[command], &quarantined, world.now).await.unwrap();
    let failed = world.store.command(by).await.unwrap().unwrap().outcome;
    assert!(matches!(&failed, Outcome::Failed(why) if why.code == "internal_error"), "{failed:?}");
    assert_eq!(shown(&world.hit(click, "click_id={click}&txn_id=1").await), "recorded");
    let dir = tempfile::tempdir().unwrap();
    let again = open(dir.path(), &world.memory, panics_at_boom).unwrap();
    again.apply(&world.records(), &quarantined, world.now).await.unwrap();
    assert_eq!(again.digest().await.unwrap(), world.store.digest().await.unwrap());
    assert_eq!(shown(&again.verdict(planted).await.unwrap().unwrap()), "parked internal_error");
}

pub(crate) fn panics_at_boom(
    setup: &Setup,
    read: &Read<'_>,
    facts: Facts<'_>,
    occasion: Occasion,
) -> Decision {
    let postback = read.postback();
    assert!(!postback.is_ok_and(|postback| postback.txn_id.as_deref() == Some("boom")), "boom");
    ledger::decide(setup, read, facts, occasion)
}

#[tokio::test]
async fn a_decision_that_panics_is_quarantined_and_the_rest_goes_on() {
    let mut world = World::deciding_with(panics_at_boom).await;
    let click = world.click("us").await;
    let records = [
        world.hit_record(click, "click_id={click}&txn_id=1"),
        world.hit_record(click, "click_id={click}&txn_id=boom"),
        world.hit_record(click, "click_id={click}&txn_id=2"),
    ];
    let before = world.store.digest().await.unwrap();
    let error = world.apply(&records).await.unwrap_err();
    let planted = records[1].position;
    assert!(matches!(error, Error::Panicked { position, .. } if position == planted), "{error}");
    assert_eq!(world.store.digest().await.unwrap(), before, "nothing of the batch was applied");
    let applied = world.store.apply(&records, &[planted], world.now).await.unwrap();
    let verdicts: Vec<String> =
        applied.into_iter().map(|one| shown(&super::world::decided(one))).collect();
    assert_eq!(verdicts, ["recorded", "parked internal_error", "recorded"]);

    // The next release decides it: the hit counts, at the time it arrived.
    world.store = open(&world.dir, &world.memory, ledger::decide).unwrap();
    let records = world.records();
    world.store.apply(&records, &[planted], world.now).await.unwrap();
    let redecide = Act::Redecide { position: planted };
    assert_eq!(world.done(redecide.clone()).await, Answer::Hit(planted));
    let verdict = world.store.verdict(planted).await.unwrap().unwrap();
    assert_eq!(shown(&verdict), "recorded");
    let Outcome::Failed(failure) = world.act(redecide).await else { panic!("it is decided") };
    assert_eq!(failure.code, "not_parked");
    assert_eq!(world.store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn a_parked_hit_undoes_nothing_that_came_later() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    let query = |status: &str| format!("click_id={{click}}&txn_id=1&status={status}");
    let hit = world.hit_record(click, &query("approved"));
    world.store.apply(std::slice::from_ref(&hit), &[hit.position], world.now).await.unwrap();
    for status in ["approved&revenue=9", "reversed"] {
        world.hit(click, &query(status)).await;
    }
    let redecide = Act::Redecide { position: hit.position };
    let Outcome::Failed(failure) = world.act(redecide).await else { panic!("it is overtaken") };
    assert_eq!(failure.code, "overtaken");
    let parked = world.store.verdict(hit.position).await.unwrap().unwrap();
    assert_eq!(shown(&parked), "parked internal_error");

    // What says nothing new undoes nothing either.
    let hit = world.hit_record(click, "click_id={click}&txn_id=2");
    world.store.apply(std::slice::from_ref(&hit), &[hit.position], world.now).await.unwrap();
    world.hit(click, "click_id={click}&txn_id=2").await;
    world.done(Act::Redecide { position: hit.position }).await;
    let known = world.store.verdict(hit.position).await.unwrap().unwrap();
    assert_eq!(shown(&known), "duplicate already_processed");
    assert_eq!(world.store.verify().await.unwrap(), []);
}
