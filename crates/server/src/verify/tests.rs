//! A sound directory is clean, and each kind of damage is found where it is.

use super::*;
use crate::bench::fill::{Filler, Plan};
use crate::config::Config;
use crate::open::DELIVERIES;
use domain::conversion::Status;
use domain::destination::{Hearing, Owed, OwedKind};
use domain::id::{ConversionId, DeliveryId, DestinationId};
use domain::money::Micros;
use domain::time::Timestamp;
use std::fs;
use std::os::unix::fs::FileExt;
use store::deliveries::{Deliveries, Incoming, SqliteDeliveries};
use store::list::StoredOwed;

/// So short that the first clicks' segment is removed once they are sealed.
const SEGMENT_BYTES: u64 = 128 << 10;

/// Later than anything in the directory.
const NOW: Timestamp = Timestamp::from_s(4_000_000_000);

/// A byte of a segment that is written, so far in that records stand there.
const IN_A_RECORD: u64 = 5_000;

/// Clicks with conversions, the first ones sealed, the last ones in the journal alone.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut filler = Filler::with_segments(&data, 2, SEGMENT_BYTES).unwrap();
    let sealed = Plan { clicks: 400, conversions: 40, days: 2, keep_every: u64::MAX };
    filler.fill(sealed).unwrap();
    filler.seal().unwrap();
    let recent = Plan { clicks: 400, conversions: 10, days: 0, keep_every: u64::MAX };
    filler.fill(recent).unwrap();
    filler.finish().unwrap();
    dir
}

fn checked(data: &Path) -> Report {
    check(data, NodeId::new(0).unwrap()).unwrap()
}

/// The number that was counted of something.
fn count(report: &Report, what: &str) -> u64 {
    report.checked.iter().find(|(name, _)| *name == what).unwrap().1
}

fn faults(report: &Report) -> Vec<String> {
    report.faults.iter().map(|fault| format!("{}: {}", fault.place, fault.detail)).collect()
}

/// The names and bytes of all files.
fn bytes_of(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_of(&path));
        } else {
            all.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

fn sealed_file(data: &Path, kind: &str) -> PathBuf {
    let names = fs::read_dir(data.join(FACTS).join(kind)).unwrap();
    let is_main = |path: &PathBuf| !path.display().to_string().contains(".personal.");
    names.map(|entry| entry.unwrap().path()).find(is_main).unwrap()
}

/// A segment of the journal that has records up to [`IN_A_RECORD`] and further.
fn written_segment(data: &Path) -> PathBuf {
    let names = fs::read_dir(data.join(JOURNAL)).unwrap();
    let is_written = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        let place = usize::try_from(IN_A_RECORD).unwrap();
        bytes.get(place..2 * place).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0))
    };
    let segments = names.map(|entry| entry.unwrap().path());
    segments.filter(|path| path.extension().is_some_and(|it| it == "log")).find(is_written).unwrap()
}

#[test]
fn a_sound_directory_is_clean_and_stays_byte_for_byte() {
    let dir = directory();
    let data = dir.path().join("data");
    let before = bytes_of(&data);
    let report = checked(&data);
    assert_eq!(faults(&report), [""; 0]);
    assert!(report.is_clean());
    for (what, expected) in [
        ("sealed clicks", 400),
        ("sealed hits", 40),
        ("verdicts", 50),
        ("conversions", 50),
        ("entries held against their hits", 50),
        ("conversions held against their clicks", 50),
    ] {
        assert_eq!(count(&report, what), expected, "{what}");
    }
    assert!(bytes_of(&data) == before, "verify has changed something");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing stays beside it");
}

#[test]
fn a_byte_that_turned_in_the_journal_is_found() {
    let dir = directory();
    let data = dir.path().join("data");
    let segment = written_segment(&data);
    let file = fs::OpenOptions::new().read(true).write(true).open(segment).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, IN_A_RECORD).unwrap();
    file.write_all_at(&[!byte[0]], IN_A_RECORD).unwrap();
    let report = checked(&data);
    let found = faults(&report);
    assert!(found.iter().any(|fault| fault.starts_with("journal: journal segment")), "{found:?}");
}

#[test]
fn a_sealed_file_that_is_damaged_is_found() {
    let dir = directory();
    let data = dir.path().join("data");
    let path = sealed_file(&data, "click");
    let bytes = fs::read(&path).unwrap();
    let mut turned = bytes.clone();
    turned[bytes.len() / 3] ^= 0xFF;
    fs::write(&path, turned).unwrap();
    let found = faults(&checked(&data));
    assert!(found.iter().any(|fault| fault.starts_with("facts/click/")), "{found:?}");
    fs::write(&path, &bytes).unwrap();
    assert!(checked(&data).is_clean());
}

#[test]
fn a_missing_journal_and_a_missing_key_are_told() {
    let dir = directory();
    let data = dir.path().join("data");
    fs::remove_file(data.join("keys/receipts.key")).unwrap();
    let found = faults(&checked(&data));
    assert!(found.len() == 1 && found[0].starts_with("keys: "), "{found:?}");
    fs::remove_dir_all(data.join(JOURNAL)).unwrap();
    let error = check(&data, NodeId::new(0).unwrap()).unwrap_err();
    assert!(error.to_string().ends_with("is no data directory: it has no journal"), "{error}");
}

#[test]
fn a_ledger_that_lags_is_told_and_is_no_fault() {
    let dir = directory();
    let data = dir.path().join("data");
    let node = NodeId::new(0).unwrap();
    let options = journal::Options::new(node, domain::record::RULES, [0; 16]);
    let clock = std::sync::Arc::new(|| i64::MAX);
    let disk = std::sync::Arc::new(RealDisk);
    let open = journal::Journal::open(disk, &data.join(JOURNAL), options, clock).unwrap();
    for _ in 0..3 {
        let ticket = open
            .append(domain::record::Kind::Tick, domain::record::Kind::Tick.format(), &[])
            .unwrap();
        ticket.wait_blocking().unwrap();
    }
    drop(open);
    let report = checked(&data);
    assert!(report.is_clean(), "{:?}", faults(&report));
    assert_eq!(report.remarks, ["records that the next start applies: 3"]);
}

#[test]
fn a_running_server_is_left_alone() {
    let dir = directory();
    let data = dir.path().join("data");
    let held = RealDisk.lock(&data.join(JOURNAL).join(LOCK)).unwrap();
    let args = || Args { data: Some(data.clone()) };
    let error = run(args(), Config::default()).unwrap_err();
    assert!(error.to_string().starts_with("a server is running on"), "{error}");
    drop(held);
    assert_eq!(run(args(), Config::default()).unwrap(), ExitCode::SUCCESS);
}

/// The name of the lock is the journal's own business: this notices if it changes.
#[test]
fn an_open_journal_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let options = journal::Options::new(NodeId::new(0).unwrap(), 1, [7; 16]);
    let disk = std::sync::Arc::new(RealDisk);
    let open =
        journal::Journal::open(disk, &dir.path().join(JOURNAL), options, std::sync::Arc::new(|| 0));
    let _open = open.unwrap();
    assert!(keep_server_out(dir.path()).is_err());
}

#[test]
fn deliveries_that_nobody_is_owed_and_those_of_another_journal_are_found() {
    let dir = directory();
    let data = dir.path().join("data");
    let look = Look::at(&data, NodeId::new(0).unwrap()).unwrap();
    let path = data.join(DELIVERIES);
    let deliveries = SqliteDeliveries::open(&path, look.journal_id, NOW).unwrap();
    look.wait(deliveries.take_over(vec![incoming(1)])).unwrap();
    drop(deliveries);
    assert_eq!(faults(&checked(&data)), ["delivery 1: the ledger does not owe it"]);
    fs::remove_file(&path).unwrap();
    drop(SqliteDeliveries::open(&path, [9; 16], NOW).unwrap());
    let found = faults(&checked(&data));
    assert!(found[0].starts_with("deliveries.db: ") && found[0].contains("another journal"));
}

#[test]
fn deliveries_are_read_from_one_to_another() {
    let dir = directory();
    let data = dir.path().join("data");
    let look = Look::at(&data, NodeId::new(0).unwrap()).unwrap();
    let path = data.join(DELIVERIES);
    let found = SqliteDeliveries::open(&path, look.journal_id, NOW).unwrap();
    look.wait(found.take_over((1..=2_500).map(incoming).collect())).unwrap();
    for (after, last, expected) in [
        (0, Some(1_000), 1..=1_000),
        (0, Some(2_400), 1..=2_400),
        (700, Some(1_900), 701..=1_900),
        (1_000, None, 1_001..=2_500),
        (1_500, Some(2_500), 1_501..=2_500),
        (2_499, None, 2_500..=2_500),
    ] {
        let last = last.map(DeliveryId);
        let taken = super::deliveries::taken(&look, &found, DeliveryId(after), last).unwrap();
        assert!(taken.keys().map(|id| id.0).eq(expected), "{after} {last:?}");
    }
    let none = super::deliveries::taken(&look, &found, DeliveryId(2_500), None).unwrap();
    assert!(none.is_empty());
}

/// What no ledger owes.
fn incoming(id: u64) -> Incoming {
    let owed = Owed {
        destination_id: DestinationId(1),
        conversion_id: ConversionId(id),
        sequence: 1,
        kind: OwedKind::Notice,
        status: Status::Approved,
        payout: Micros(1),
        difference: Micros(1),
        full_payout: Micros(1),
        full_difference: Micros(1),
        revenue: Micros(1),
        at: Timestamp::UNIX_EPOCH,
        backfilled_at: None,
    };
    let stored = StoredOwed { id: DeliveryId(id), owed };
    Incoming { stored, due_at: Timestamp::UNIX_EPOCH, hearing: Hearing::default() }
}
