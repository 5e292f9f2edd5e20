//! Hits that were refused, decided once more as the integration speaks now.

use super::world::{World, open, shown};
use domain::command::{Act, Answer, Outcome, REPLAY_HITS_MAX};
use domain::conversion::Status;
use domain::id::{ConversionId, IntegrationId, Position};
use domain::ledger::{self, Cause, Key};
use domain::reason::Verdict;
use domain::secret::Secret;
use std::collections::BTreeMap;

/// The campaign's own integration: the global one was made before it.
const OWN: IntegrationId = IntegrationId(2);

async fn agree_on(world: &mut World, token: &str) {
    let secrets = Some(BTreeMap::from([("token".to_owned(), Some(Secret::new(token.to_owned())))]));
    let change =
        Act::ChangeIntegration { id: OWN, landing_params: None, secrets, old_secrets_until: None };
    world.done(change).await;
}

async fn replayed(
    world: &mut World,
    id: IntegrationId,
    hits: &[Position],
) -> Vec<(Position, Verdict)> {
    match world.done(Act::Replay { id, hits: hits.to_vec(), found: hits.len(), overtaken: 0 }).await
    {
        Answer::Replayed(replayed) => replayed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_refused_for_a_wrong_token_counts_once_the_token_is_mended() {
    let mut world = World::new().await;
    agree_on(&mut world, "mistyped").await;
    let click = world.click("us").await;
    let mut hits = Vec::new();
    for query in [
        "click_id={click}&txn_id=1&token=right",
        "click_id={click}&txn_id=1&token=right",
        "click_id={click}&txn_id=2&token=wrong",
        "click_id={click}&txn_id=3&token=mistyped",
        "click_id={click}&txn_id=4&token=right&status=what",
    ] {
        hits.push(world.hit(click, query).await.position);
    }
    assert_eq!(replayed(&mut world, OWN, &hits).await, [], "nothing has changed yet");
    agree_on(&mut world, "right").await;
    assert_eq!(replayed(&mut world, IntegrationId(1), &hits).await, [], "it is not its sender");
    let expected = [(hits[0], Verdict::Recorded), (hits[1], Verdict::Duplicate)];
    assert_eq!(replayed(&mut world, OWN, &hits).await, expected);
    assert_eq!(replayed(&mut world, OWN, &hits).await, [], "it counts once");

    let mut verdicts = Vec::new();
    for hit in &hits {
        verdicts.push(shown(&world.store.verdict(*hit).await.unwrap().unwrap()));
    }
    let refused = "refused signature_mismatch";
    let wanted = ["recorded", "duplicate already_processed", refused, "recorded", refused];
    assert_eq!(verdicts, wanted, "what would be refused again stays as it was answered");
    let first = world.store.verdict(hits[0]).await.unwrap().unwrap();
    let by = first.decided_by.unwrap();
    assert!(matches!(world.store.command(by).await.unwrap().unwrap().outcome, Outcome::Done(_)));
    let id = first.conversion_id.unwrap();
    let (conversion, entries) = world.store.conversion(id).await.unwrap().unwrap();
    assert_eq!((conversion.created_by, conversion.status), (hits[0], Status::Approved));
    let causes: Vec<Cause> = entries.iter().map(|one| one.entry.cause).collect();
    assert_eq!(causes, [Cause::Command(by)], "its cause is the replay");
    let key: Key = conversion.key.clone();
    let found = world.store.conversion_by_key(&key).await.unwrap();
    assert_eq!(found.map(|found| found.id), Some(id));
    assert_eq!(world.store.verify().await.unwrap(), []);

    let dir = tempfile::tempdir().unwrap();
    let again = open(dir.path(), &world.memory, ledger::decide).unwrap();
    again.apply(&world.records(), &[], world.now).await.unwrap();
    assert_eq!(again.digest().await.unwrap(), world.store.digest().await.unwrap());
}

#[tokio::test]
async fn a_replay_names_what_it_is_of_and_is_short() {
    let mut world = World::new().await;
    let code = |outcome: Outcome| match outcome {
        Outcome::Failed(failure) => (failure.code, failure.parameter.unwrap_or_default()),
        Outcome::Done(done) => panic!("{done:?}"),
    };
    let position = Position(1);
    let hits = vec![position; REPLAY_HITS_MAX + 1];
    let outcome = world.act(Act::Replay { id: OWN, found: hits.len(), hits, overtaken: 0 }).await;
    assert_eq!(code(outcome), ("invalid_parameter".to_owned(), "hits".to_owned()));
    assert_eq!(replayed(&mut world, OWN, &[]).await, []);
    let unknown =
        Act::Replay { id: IntegrationId(9), hits: vec![position], found: 1, overtaken: 0 };
    assert_eq!(code(world.act(unknown).await).0, "not_found");
    // A command, and what is not there yet.
    assert_eq!(replayed(&mut world, OWN, &[position, Position(9_999)]).await, []);
    assert_eq!(world.store.conversion(ConversionId(1)).await.unwrap(), None);
}

/// A hit that a token refuses, `later` with the right one, and what the replay of the first does.
async fn overtaken(first: &str, later: &[&str]) -> (World, Position, Vec<(Position, Verdict)>) {
    let mut world = World::new().await;
    agree_on(&mut world, "right").await;
    let click = world.click("us").await;
    let refused = world.hit(click, &format!("{first}&token=mistyped")).await.position;
    for query in later {
        world.hit(click, &format!("{query}&token=right")).await;
    }
    agree_on(&mut world, "mistyped").await;
    let replayed = replayed(&mut world, OWN, &[refused]).await;
    (world, refused, replayed)
}

#[tokio::test]
async fn a_replay_undoes_nothing_that_came_later() {
    let approved = "click_id={click}&txn_id=1&status=approved";
    let reversed = "click_id={click}&txn_id=1&status=reversed";
    let pending = "click_id={click}&txn_id=1&status=pending";
    for later in [&[approved, reversed][..], &[pending], &[approved]] {
        let (world, refused, replayed) = overtaken(approved, later).await;
        assert_eq!(replayed, [], "{later:?}");
        let verdict = world.store.verdict(refused).await.unwrap().unwrap();
        assert_eq!(shown(&verdict), "refused signature_mismatch");
        let (_, entries) = world.store.conversion(ConversionId(1)).await.unwrap().unwrap();
        assert_eq!(entries.len(), later.len());
    }
    let (_, refused, replayed) = overtaken(approved, &["click_id={click}&txn_id=2"]).await;
    assert_eq!(replayed, [(refused, Verdict::Recorded)], "that is another one");
}

#[tokio::test]
async fn hits_of_one_conversion_are_replayed_in_their_order_and_a_persons_word_stands() {
    let mut world = World::new().await;
    agree_on(&mut world, "mistyped").await;
    let click = world.click("us").await;
    let mut hits = Vec::new();
    for status in ["pending", "approved", "reversed", "approved&revenue=1"] {
        let query = format!("click_id={{click}}&txn_id=1&status={status}&token=right");
        hits.push(world.hit(click, &query).await.position);
    }
    agree_on(&mut world, "right").await;
    let recorded = [(hits[0], Verdict::Recorded)];
    assert_eq!(replayed(&mut world, OWN, &hits[..1]).await, recorded);
    let updated = [(hits[1], Verdict::Updated), (hits[2], Verdict::Updated)];
    assert_eq!(replayed(&mut world, OWN, &hits[1..3]).await, updated, "one replay after the other");
    let (id, reason) = (ConversionId(1), "they called".to_owned());
    world.done(Act::ChangeConversionStatus { id, to: Status::Approved, reason }).await;
    assert_eq!(replayed(&mut world, OWN, &hits[3..]).await, [], "a person has decided since");
    assert_eq!(world.store.verify().await.unwrap(), []);
}
