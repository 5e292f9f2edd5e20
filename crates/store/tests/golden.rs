//! A journal of every format that was ever written is replayed, for ever, into the same state.
//!
//! `tests/golden/v1` is what `examples/golden_journal.rs` wrote when format 1 was made, with the
//! digest of the state it makes. Neither is ever changed: a test that fails here has found a
//! release that reads old records differently.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use domain::click_id::Keyring;
use domain::command::{Act, Outcome};
use domain::id::{NodeId, Position};
use domain::ledger;
use domain::reason::Verdict;
use domain::record::{self, Kind, Record};
use domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use store::disk::RealDisk;
use store::facts::Facts;
use store::journal::{self, Found, Journal};
use store::records::{JournalRecords, decode};
use store::sqlite::{Options, SqliteStore};
use store::{Effect, Store};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1");
/// Of the ring that made the click ids in it.
const CLICK_KEY: [u8; 32] = [3; 32];
/// How many commands there are.
const ACTS: usize = 23;
/// What becomes of its hits and commands. The digest says more, but not what.
const STATE: &str = "\
    done: 33, duplicate already_processed: 3, failed not_found: 1, \
    failed transition_not_allowed: 1, parked internal_error: 1, recorded: 38, \
    refused campaign_inactive: 4, refused invalid_payload: 21, refused macro_not_replaced: 2, \
    refused missing_parameter: 1, refused transition_not_allowed: 8, \
    refused unknown_click: 1, refused unknown_goal: 1, refused unknown_status: 6, updated: 2";

fn golden() -> (tempfile::TempDir, Arc<Journal>) {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(Path::new(GOLDEN).join("journal")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let options = journal::Options::new(NodeId::new(0).unwrap(), record::RULES, [0; 16]);
    let clock = Arc::new(|| 1_790_000_000_000_000);
    let journal = Journal::open(Arc::new(RealDisk), dir.path(), options, clock).unwrap();
    (dir, Arc::new(journal))
}

/// What the records that are quarantined say of themselves, read ahead as at a start.
fn quarantined(journal: &Journal) -> Vec<Position> {
    let mut found = Vec::new();
    for_each(journal, |record| {
        if let Record::Command(command) = record
            && let Act::Quarantine { position } = command.act
        {
            found.push(position);
        }
    });
    found
}

fn for_each(journal: &Journal, mut each: impl FnMut(Record<'_>)) {
    let mut reader = journal.reader(Position(1)).unwrap();
    while let Some(chunk) = reader.next(usize::MAX, usize::MAX).unwrap() {
        for (position, header, payload) in chunk.iter() {
            each(decode(position, header, payload).unwrap().record);
        }
    }
}

#[test]
fn every_checksum_of_the_golden_journal_holds() {
    let dir = Path::new(GOLDEN).join("journal");
    let verified = journal::verify(&RealDisk, &dir, &mut |found| match found {
        Found::Damage(damage) | Found::Torn(damage) => panic!("{damage}"),
        Found::Record(..) => {}
    });
    assert!(verified.unwrap().segments > 1, "records go on from one segment to the next");
}

#[test]
fn every_kind_of_record_and_command_is_in_it() {
    let (_dir, journal) = golden();
    let (mut kinds, mut acts) = (BTreeSet::new(), BTreeSet::new());
    for_each(&journal, |record| {
        kinds.insert(record.kind() as u8);
        if let Record::Command(command) = record {
            acts.insert(command.act.name());
        }
    });
    assert_eq!(kinds.len(), [Kind::Click, Kind::Hit, Kind::Command, Kind::Tick].len());
    assert_eq!(acts.len(), ACTS, "{acts:?}");
}

#[tokio::test]
async fn the_golden_journal_makes_the_state_it_always_made() {
    let recorded = fs::read_to_string(Path::new(GOLDEN).join("digest")).unwrap();
    for batch in [1, 7, usize::MAX] {
        let (state, digest) = replayed(batch).await;
        assert_eq!(state, STATE, "in batches of {batch}");
        assert_eq!(digest, recorded.trim(), "in batches of {batch}");
    }
}

/// What came of it all, and the digest of the state.
async fn replayed(batch: usize) -> (String, String) {
    let (_journal_dir, journal) = golden();
    let dir = tempfile::tempdir().unwrap();
    let records = Arc::new(JournalRecords(Arc::clone(&journal)));
    let facts = Facts::open(Arc::new(RealDisk), &dir.path().join("facts"), records).unwrap();
    let keyring = Keyring::new([(0, CLICK_KEY)]).unwrap();
    let options =
        Options { journal_id: journal.id(), keyring, secrets: None, decide: ledger::decide };
    let path = dir.path().join("ledger.db");
    let store = SqliteStore::open(&path, Arc::new(facts), options).unwrap();
    let quarantined = quarantined(&journal);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut reader = journal.reader(Position(1)).unwrap();
    while let Some(chunk) = reader.next(batch, usize::MAX).unwrap() {
        let records: Vec<_> = chunk
            .iter()
            .map(|(position, header, payload)| decode(position, header, payload).unwrap())
            .collect();
        let decided_at = Timestamp::from_s(1_800_000_000);
        for applied in store.apply(&records, &quarantined, decided_at).await.unwrap() {
            let what = match applied.effect {
                Effect::Decided(verdict) => shown(verdict.verdict, verdict.reason),
                Effect::Commanded { outcome, .. } => match *outcome {
                    Outcome::Done(_) => "done".to_owned(),
                    Outcome::Failed(failure) => format!("failed {}", failure.code),
                },
            };
            *counts.entry(what).or_default() += 1;
        }
    }
    assert_eq!(store.verify().await.unwrap(), []);
    let counts: Vec<String> =
        counts.iter().map(|(what, count)| format!("{what}: {count}")).collect();
    let digest = store.digest().await.unwrap();
    (counts.join(", "), digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn shown(verdict: Verdict, reason: Option<domain::reason::Reason>) -> String {
    match reason {
        Some(reason) => format!("{} {}", verdict.name(), reason.name()),
        None => verdict.name().to_owned(),
    }
}
