//! What comes back is what was there, and what is damaged does not come back.

use super::*;
use crate::bench::fill::{Filler, Plan};
use domain::id::NodeId;
use domain::time::Timestamp;
use std::fs;

/// So short that the first clicks' segment is removed once they are sealed.
const SEGMENT_BYTES: u64 = 128 << 10;

fn directory(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    fs::create_dir(&data).unwrap();
    let mut filler = Filler::with_segments(&data, 2, SEGMENT_BYTES).unwrap();
    let sealed = Plan { clicks: 400, conversions: 40, days: 2, keep_every: u64::MAX };
    filler.fill(sealed).unwrap();
    filler.seal().unwrap();
    let recent = Plan { clicks: 400, conversions: 10, days: 0, keep_every: u64::MAX };
    filler.fill(recent).unwrap();
    filler.finish().unwrap();
    data
}

fn backed_up(data: &Path, to: &Path) -> anyhow::Result<ExitCode> {
    let args = BackupArgs { to: to.to_owned(), data: Some(data.to_owned()) };
    backup(args, Config::default())
}

fn restored(from: &Path, data: &Path) -> anyhow::Result<ExitCode> {
    let args = RestoreArgs { from: from.to_owned(), data: Some(data.to_owned()) };
    restore(args, Config::default())
}

fn is_clean(data: &Path) -> bool {
    verify::check(data, NodeId::new(0).unwrap()).unwrap().is_clean()
}

#[test]
fn a_backup_is_restored_whole_and_marked() {
    let dir = tempfile::tempdir().unwrap();
    let data = directory(dir.path());
    let (copy, new) = (dir.path().join("copy"), dir.path().join("new/data"));
    backed_up(&data, &copy).unwrap();
    restored(&copy, &new).unwrap();
    assert!(is_clean(&new));
    assert!(new.join(RESTORED).exists());
    for name in manifest::Manifest::read(&copy).unwrap().names() {
        assert_eq!(fs::read(new.join(name)).unwrap(), fs::read(copy.join(name)).unwrap(), "{name}");
    }
    let beside: Vec<_> = fs::read_dir(new.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "nothing unfinished stays behind");
}

#[test]
fn damaged_deliveries_are_left_out_of_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let data = directory(dir.path());
    // One that is no file of SQLite's, and one whose pages are not what they were.
    let no_database = b"no database at all".repeat(1_000);
    let broken = dir.path().join("broken.db");
    drop(deliveries::SqliteDeliveries::open(&broken, [7; 16], Timestamp::UNIX_EPOCH).unwrap());
    let mut torn = fs::read(&broken).unwrap();
    torn[100..9_000].fill(0xff);
    for (number, bytes) in [no_database, torn].iter().enumerate() {
        fs::write(data.join(DELIVERIES), bytes).unwrap();
        let (copy, new) = (dir.path().join(format!("copy{number}")), dir.path().join("new"));
        backed_up(&data, &copy).unwrap();
        assert!(!copy.join(DELIVERIES).exists());
        restored(&copy, &new).unwrap();
        assert!(is_clean(&new));
        fs::remove_dir_all(&new).unwrap();
    }
}

#[test]
fn an_empty_directory_is_filled_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let data = directory(dir.path());
    let (copy, new) = (dir.path().join("copy"), dir.path().join("new"));
    fs::create_dir(&new).unwrap();
    backed_up(&data, &copy).unwrap();
    restored(&copy, &new).unwrap();
    assert!(is_clean(&new));
    let mut names: Vec<_> = RealDisk.list(&new).unwrap();
    names.sort();
    assert_eq!(names, ["deliveries.db", "facts", "journal", "keys", "ledger.db", "restored"]);
}

#[test]
fn what_is_there_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let data = directory(dir.path());
    let copy = dir.path().join("copy");
    assert!(backed_up(&data, &data.join("keys")).is_err(), "not empty");
    assert!(backed_up(&data, &data.join("inside")).is_err(), "a part of itself");
    backed_up(&data, &copy).unwrap();
    assert!(backed_up(&data, &copy).unwrap_err().to_string().ends_with("is not empty"));
    assert!(restored(&copy, &data).unwrap_err().to_string().ends_with("is not empty"));
    assert!(is_clean(&data));
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (nowhere, file) = (dir.path().join("nowhere"), dir.path().join("file"));
    fs::write(&file, "").unwrap();
    let to = dir.path().join("to");
    for none in [&nowhere, &file] {
        let wanted = format!("there is no directory {}", none.display());
        assert_eq!(format!("{:#}", backed_up(none, &to).unwrap_err()), wanted);
        assert_eq!(format!("{:#}", restored(none, &to).unwrap_err()), wanted);
    }
    assert!(!to.exists());
}

#[test]
fn a_damaged_backup_is_refused_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = directory(dir.path());
    let (copy, new) = (dir.path().join("copy"), dir.path().join("new"));
    backed_up(&data, &copy).unwrap();
    let key = copy.join("keys/receipts.key");
    let text = fs::read_to_string(&key).unwrap();
    let first = if text.starts_with('0') { "1" } else { "0" };
    fs::write(&key, format!("{first}{}", &text[1..])).unwrap();
    let error = format!("{:#}", restored(&copy, &new).unwrap_err());
    assert!(error.contains("keys/receipts.key is not as it was backed up"), "{error}");
    fs::write(&key, text).unwrap();
    fs::remove_file(copy.join(LEDGER)).unwrap();
    assert!(restored(&copy, &new).is_err());
    assert!(!new.exists());
}

/// The order of the parts, seen from the copy: nothing in it is ahead of its journal.
#[test]
fn a_directory_that_is_written_meanwhile_is_copied_whole() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut filler = Filler::begin(&data, 1).unwrap();
    let plan = |clicks| Plan { clicks, conversions: clicks / 10, days: 0, keep_every: u64::MAX };
    filler.fill(plan(500)).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (stopped, from) = (stop.clone(), data.clone());
    let writer = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            filler.fill(plan(200)).unwrap();
            filler.seal().unwrap();
        }
        filler.finish().unwrap();
    });
    let results: Vec<_> =
        (0..3).map(|number| backed_up(&from, &dir.path().join(number.to_string()))).collect();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    for result in results {
        result.unwrap();
    }
    assert!(is_clean(&data));
    let new = dir.path().join("new");
    restored(&dir.path().join("2"), &new).unwrap();
    assert!(is_clean(&new));
}
