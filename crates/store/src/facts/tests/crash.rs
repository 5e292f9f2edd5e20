//! The machine may stop at any step, and a disk may fail at any.

use super::model::{check, check_files, merge_all};
use super::{Bench, START, hit, noise, record};
use crate::disk::fault::{Crash, Fault, FaultDisk};
use crate::facts::Error;
use domain::record::Record;
use domain::time::Timestamp;
use std::io;
use std::sync::Arc;

/// Seals in two days, which merging then makes one file each of.
const SEALS: u64 = 6;
const RECORDS: u64 = 30;

/// When the first day's personal data and hits are removed.
fn expiry() -> Timestamp {
    START.plus_days(1)
}

/// The number of the first record of a seal.
fn first(seal: u64) -> u64 {
    // Half an hour apart, and a day after three.
    seal * 3_600 + seal / 3 * 172_800
}

/// Fills, merges and removes. Stops at the first failure, or else tries once more.
fn run(bench: &Bench, is_patient: bool) -> Result<(), Error> {
    let attempt = |act: &dyn Fn() -> Result<(), Error>| match act() {
        Err(_) if is_patient => act(),
        done => done,
    };
    for seal in 0..SEALS {
        if bench.journal.all().len() as u64 <= seal * RECORDS {
            bench.add_records(first(seal), RECORDS);
        }
        attempt(&|| bench.facts.seal_all().map(drop))?;
        attempt(&|| merge_all(&bench.facts).map(drop))?;
    }
    attempt(&|| bench.facts.remove_personal_before(expiry()).map(drop))?;
    attempt(&|| bench.facts.remove_hits_before(expiry()).map(drop))
}

fn operations() -> u64 {
    let bench = Bench::new();
    run(&bench, false).unwrap();
    check(&bench, expiry(), expiry());
    check_files(&bench, expiry());
    bench.disk.operations()
}

#[test]
fn a_crash_at_any_step_loses_nothing_and_doubles_nothing() {
    let mut crashes = 0;
    for operation in 1..=operations() {
        for (seed, crash) in [Crash::Dropped, Crash::Torn, Crash::Kept].into_iter().enumerate() {
            let disk = FaultDisk::new();
            disk.fail(operation, Fault::Crash);
            let Ok(bench) = Bench::open(disk.clone(), Arc::default()) else { continue };
            let outcome = run(&bench, false);
            // Some steps are removals of what mostly is not there.
            if !disk.is_crashed() {
                continue;
            }
            outcome.unwrap_err();
            crashes += 1;
            let sealed = bench.facts.sealed();
            let left = disk.after_crash(operation * 7 + seed as u64, crash);
            let journal = bench.journal.clone();
            let bench = Bench::open(left, journal)
                .unwrap_or_else(|error| panic!("{error}\n{}", disk.trace()));
            assert!(bench.facts.sealed() >= sealed, "{}", disk.trace());
            check(&bench, expiry(), expiry());
            check_files(&bench, expiry());
            // What the next process found is durable, for it builds on that.
            let sealed = bench.facts.sealed();
            let left = bench.disk.after_crash(operation, Crash::Dropped);
            let left = Bench::open(left, bench.journal.clone()).unwrap();
            assert!(left.facts.sealed() >= sealed, "{}", disk.trace());
            // And it goes on as if nothing had been.
            run(&bench, false).unwrap();
            check(&bench, expiry(), expiry());
        }
    }
    assert!(crashes > 250, "{crashes}");
}

#[test]
fn a_failure_at_any_step_harms_nothing_and_is_made_good_by_another_try() {
    for operation in 1..=operations() {
        for fault in
            [Fault::Error(io::ErrorKind::Other), Fault::Short(100, io::ErrorKind::StorageFull)]
        {
            let disk = FaultDisk::new();
            disk.fail(operation, fault);
            let Ok(bench) = Bench::open(disk.clone(), Arc::default()) else { continue };
            run(&bench, true).unwrap_or_else(|error| panic!("{error}\n{}", disk.trace()));
            check(&bench, expiry(), expiry());
            let left = disk.after_crash(operation, Crash::Dropped);
            let journal = bench.journal.clone();
            let bench = Bench::open(left, journal)
                .unwrap_or_else(|error| panic!("{error}\n{}", disk.trace()));
            check(&bench, expiry(), expiry());
            check_files(&bench, expiry());
            for (position, _, _) in bench.journal.clicks().iter().filter(|it| it.1 < expiry()) {
                let personal = bench.facts.read_personal(*position).unwrap();
                assert_eq!(personal, None, "what was removed came back\n{}", disk.trace());
            }
        }
    }
}

#[test]
fn a_seal_whose_sync_fails_is_written_again() {
    let bench = Bench::new();
    bench.add_records(0, RECORDS);
    bench.disk.fail_sync(".parquet.tmp", Fault::Error(io::ErrorKind::Other));
    let error = bench.facts.seal_all().unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    check(&bench, START, START);
    let (_, later) = record(RECORDS);
    bench.add(START.plus_s(60), later);
    let sealed = bench.facts.seal(START).unwrap().expect("what failed is due");
    assert_eq!(sealed.to.0, RECORDS);
    check(&bench, START, START);
    check_files(&bench, START);
}

#[test]
fn a_full_disk_is_the_disks_fault_wherever_it_is_noticed() {
    let bench = Bench::new();
    let mut large = hit(1);
    // What does not compress reaches the disk before the file's end.
    large.body = (0..400_000).flat_map(|word| noise(word, 1).to_le_bytes()).collect();
    bench.add(START, Record::Hit(large));
    bench.disk.set_capacity(Some(64 * 1024));
    let error = bench.facts.seal_all().unwrap_err();
    let Error::Io { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    bench.disk.set_capacity(None);
    assert_eq!(bench.facts.seal_all().unwrap().map(|sealed| sealed.hits), Some(1));
    check(&bench, START, START);
}
