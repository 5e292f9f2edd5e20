//! What is to go goes, whole, and nothing else does.

use super::model::{check, check_files, merge_all};
use super::{Bench, START, record};
use crate::disk::Disk;
use crate::facts::hits::SIDECARS_KEPT;
use crate::facts::{Error, SEAL_AFTER_S};
use domain::id::Position;
use domain::record::{Record, Stamped};

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
    check_files(&bench, START);
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
}

#[test]
fn a_sidecar_that_somebody_else_removed_holds_up_no_other() {
    let bench = filled(3);
    let snapshot = bench.facts.snapshot();
    let segment = &snapshot.clicks[0];
    assert!(segment.bytes() > segment.table.bytes);
    bench.disk.remove(&segment.sidecar).unwrap();
    bench.facts.remove_personal_before(START.plus_days(2)).unwrap();
    assert_eq!(segment.bytes(), segment.table.bytes, "and is counted no more");
    for segment in snapshot.clicks.iter().chain(&snapshot.hits) {
        let is_old = segment.span().newest_at < START.plus_days(2);
        assert_eq!(bench.disk.bytes(&segment.sidecar).is_err(), is_old);
    }
}

/// Where a page of a file begins.
const IN_A_PAGE: usize = 40;

#[test]
fn a_damaged_file_holds_up_neither_removals_nor_other_merges() {
    let bench = Bench::new();
    for seal in 0..12 {
        bench.add_records(seal / 3 * 172_800 + seal % 3 * RECORDS, RECORDS);
        bench.facts.seal_all().unwrap();
    }
    // Of the first day's three files the middle one.
    let damaged = bench.facts.snapshot().clicks[1].table.path.clone();
    bench.disk.tamper(&damaged, |bytes| bytes[IN_A_PAGE] ^= 1).unwrap();
    let error = bench.facts.merge().unwrap_err();
    assert!(matches!(&error, Error::Corrupt { path, .. } if *path == damaged), "{error}");
    assert_eq!(bench.facts.remove_personal_before(START.plus_days(1)).unwrap(), 6);
    // Clicks of two days, hits of three; the last day goes on.
    assert_eq!(merge_all(&bench.facts).unwrap(), 5);
    assert_eq!(bench.facts.remove_hits_before(START.plus_days(1)).unwrap(), 1);
    bench.disk.tamper(&damaged, |bytes| bytes[IN_A_PAGE] ^= 1).unwrap();
    let bench = bench.reopen();
    assert_eq!(merge_all(&bench.facts).unwrap(), 1, "it is tried again after a start");
    check(&bench, START.plus_days(1), START.plus_days(1));
    check_files(&bench, START.plus_days(1));
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
    check_files(&bench, START.plus_days(2));
    check(&bench, START, START.plus_days(2));
}

#[test]
fn a_missing_file_of_hits_is_damage_and_not_a_removal() {
    let bench = filled(1);
    let (position, ..) = bench.journal.hits()[0];
    let path = bench.facts.snapshot().hits[0].table.path.clone();
    bench.disk.remove(&path).unwrap();
    let error = bench.facts.read_hit(position).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { path: of, .. } if *of == path), "{error}");
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
    check_files(&bench.reopen(), START);
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
    check_files(&bench, START);
}

#[test]
fn records_that_are_neither_clicks_nor_hits_are_sealed_too() {
    let mut bench = Bench::new();
    for day in 0..3 {
        let at = START.plus_days(day);
        bench.add(at, Record::Click(super::click(1, at)));
        bench.facts.seal_all().unwrap();
        let last = bench.add(at.plus_s(1), Record::Tick);
        let due_at = at.plus_s(1 + SEAL_AFTER_S);
        assert_eq!(bench.facts.seal(due_at.plus_us(-1)).unwrap(), None);
        let sealed = bench.facts.seal(due_at).unwrap().unwrap();
        assert_eq!((sealed.clicks, sealed.hits, sealed.to), (0, 0, Position(last.0 + 1)));
        assert_eq!(bench.facts.seal_all().unwrap(), None);
        bench = bench.reopen();
        assert_eq!(bench.facts.sealed(), Position(last.0 + 1));
    }
    assert!(merge_all(&bench.facts).unwrap() > 0);
    check(&bench, START, START);
    check_files(&bench, START);
    assert_eq!(bench.facts.remove_personal_before(START.plus_days(3)).unwrap(), 3);
}

#[test]
fn what_the_journal_does_not_have_is_not_sealed() {
    let (at, click) = (START, super::click(1, START));
    for handed_over in [Record::Click(click), Record::Hit(super::hit(1))] {
        let bench = Bench::new();
        let position = bench.journal.push(at, Record::Tick);
        bench.hand_over(&Stamped { position, at, rules: 1, record: handed_over });
        let error = bench.facts.seal_all().unwrap_err();
        assert!(matches!(error, Error::Journal { .. }), "{error}");
        assert_eq!(bench.facts.sealed(), Position(0));
    }
}

#[test]
fn the_indexes_of_the_sidecars_that_were_read_last_are_kept() {
    let bench = filled(i64::try_from(SIDECARS_KEPT).unwrap() + 2);
    let hits = bench.journal.hits();
    let serials: Vec<_> = bench.facts.snapshot().hits.iter().map(|it| it.serial).collect();
    for _ in 0..2 {
        for (position, _, hit) in &hits {
            let stored = bench.facts.read_hit(*position).unwrap().unwrap();
            assert_eq!(stored.request.as_ref(), Some(hit));
        }
        assert_eq!(bench.facts.sidecars.serials(), serials[2..]);
    }
    // One that is kept already becomes the latest.
    let of_first = hits.iter().find(|(_, at, _)| *at >= START.plus_days(2)).unwrap().0;
    bench.facts.read_hit(of_first).unwrap();
    assert_eq!(bench.facts.sidecars.serials().last(), Some(&serials[2]));
    // And with the sidecar the requests are gone, kept or not.
    bench.facts.remove_personal_before(START.plus_days(100)).unwrap();
    assert_eq!(bench.facts.read_hit(of_first).unwrap().unwrap().request, None);
}
