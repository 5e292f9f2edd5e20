//! What is to go goes, whole, and nothing else does.

use super::model::{check, check_files, merge_all};
use super::{Bench, START, record};
use domain::id::Position;
use domain::record::Record;

const RECORDS: u64 = 60;

/// A seal a day.
fn filled(days: i64) -> Bench {
    let bench = Bench::new();
    for day in 0..days {
        bench.add_records(u64::try_from(day).unwrap() * 172_800, RECORDS);
        bench.facts.seal_all().unwrap();
    }
    bench
}

/// The positions of one kind of record in a day.
fn of_day(bench: &Bench, day: i64, is_wanted: impl Fn(&Record<'_>) -> bool) -> Vec<Position> {
    let day = START.plus_days(day)..START.plus_days(day + 1);
    let records = bench.journal.all().into_iter();
    let wanted = records.filter(|it| day.contains(&it.at) && is_wanted(&it.record));
    wanted.map(|it| it.position).collect()
}

#[test]
fn personal_data_go_with_their_day_and_digests_stay() {
    let bench = filled(4);
    assert_eq!(bench.facts.remove_personal_before(START.plus_days(2)).unwrap(), 4);
    assert_eq!(bench.facts.remove_personal_before(START.plus_days(2)).unwrap(), 0);
    let bench = bench.reopen();
    check(&bench, START.plus_days(2), START);
    check_files(&bench);
    let clicks = |day| of_day(&bench, day, |record| matches!(record, Record::Click(_)));
    let hits = |day| of_day(&bench, day, |record| matches!(record, Record::Hit(_)));
    for position in clicks(1) {
        assert_eq!(bench.facts.read_personal(position).unwrap(), None);
    }
    for position in hits(1) {
        assert_eq!(bench.facts.read_hit(position).unwrap().unwrap().request, None);
    }
    assert!(bench.facts.read_personal(clicks(2)[0]).unwrap().is_some());
    assert!(bench.facts.read_hit(hits(2)[0]).unwrap().unwrap().request.is_some());
    let names = bench.disk.bytes(std::path::Path::new("facts/click")).is_err();
    assert!(names, "a folder has no bytes");
}

#[test]
fn hits_go_when_they_are_old_and_the_newest_file_stays() {
    let bench = filled(3);
    assert_eq!(bench.facts.remove_hits_before(START.plus_days(1)).unwrap(), 1);
    let hits = |day| of_day(&bench, day, |record| matches!(record, Record::Hit(_)));
    // The journal of the test still has them; a sealed position is not looked up in it.
    let first = hits(1)[0];
    assert!(bench.facts.read_hit(first).unwrap().is_some());
    assert_eq!(bench.facts.remove_hits_before(START.plus_days(100)).unwrap(), 1);
    let sealed = bench.facts.sealed();
    let bench = bench.reopen();
    assert_eq!(bench.facts.sealed(), sealed);
    check_files(&bench);
    check(&bench, START, START.plus_days(2));
}

#[test]
fn what_was_merged_loses_its_personal_data_together() {
    let bench = Bench::new();
    for seal in 0..8 {
        bench.add_records(seal * RECORDS, RECORDS);
        bench.facts.seal_all().unwrap();
    }
    let some_at = record(4 * RECORDS).0;
    assert!(bench.facts.remove_personal_before(some_at).unwrap() > 0);
    assert_eq!(merge_all(&bench.facts).unwrap(), 2);
    check(&bench, some_at, START);
    assert_eq!(bench.facts.remove_personal_before(some_at.plus_s(1)).unwrap(), 0);
    assert_eq!(bench.facts.remove_personal_before(START.plus_days(1)).unwrap(), 2);
    check(&bench, START.plus_days(1), START);
    check_files(&bench.reopen());
}

#[test]
fn what_was_handed_over_before_changes_nothing() {
    let bench = filled(2);
    bench.add_records(4 * 172_800, RECORDS);
    for stamped in bench.journal.all() {
        bench.hand_over(&stamped);
    }
    check(&bench, START, START);
    bench.facts.seal_all().unwrap();
    check(&bench, START, START);
    check_files(&bench);
}
