//! Questions see each click once while files come and go.

use super::model::{check, check_files, merge_all, query};
use super::{Bench, START, hit, record};
use crate::facts::{HOT_BYTES_MAX, Kind, SEAL_AFTER_S, SEAL_BYTES, SEAL_ROWS};
use domain::id::Position;
use domain::record::Record;
use domain::time::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[test]
fn every_question_sees_all_that_was_added_before_it_and_no_click_twice() {
    const ROUNDS: u64 = 60;
    const RECORDS: u64 = 50;
    let bench = Bench::new();
    bench.add_records(0, RECORDS);
    let added = AtomicU64::new(0);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while !is_done.load(Ordering::Acquire) {
                    let least = added.load(Ordering::Acquire).max(seen);
                    let sums = bench.facts.sum_clicks(&query(&[])).unwrap();
                    seen = sums.values().sum();
                    assert!(seen >= least, "{seen} of {least}");
                    assert!(seen <= bench.journal.clicks().len() as u64);
                    let newest = bench.journal.clicks().len().saturating_sub(1);
                    let (position, _, click) = bench.journal.clicks().swap_remove(newest / 2);
                    let found = bench.facts.find(&[click.id], Position(u64::MAX)).unwrap();
                    assert_eq!(found[0].as_ref().map(|found| found.position), Some(position));
                }
            });
        }
        scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                bench.facts.seal_all().unwrap();
                merge_all(&bench.facts).unwrap();
            }
        });
        let day = 172_800;
        for round in 1..ROUNDS {
            bench.add_records(round * RECORDS + round / 10 * day, RECORDS);
            added.store(bench.journal.clicks().len() as u64, Ordering::Release);
        }
        is_done.store(true, Ordering::Release);
    });
    check(&bench, START, START);
    check_files(&bench, START);
}

#[test]
fn a_click_is_found_while_its_generation_is_being_sealed() {
    let bench = Bench::new();
    bench.add_records(0, 40);
    let held = bench.disk.hold_syncs(".parquet.tmp");
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| bench.facts.seal_all().unwrap());
        held.reached();
        bench.add_records(40, 40);
        check(&bench, START, START);
        assert_eq!(bench.facts.sealed(), Position(0));
        drop(held);
        assert!(sealing.join().unwrap().is_some());
    });
    assert_eq!(bench.facts.sealed(), Position(40), "what was added meanwhile waits for the next");
    check(&bench, START, START);
}

#[test]
fn a_question_that_began_before_a_merge_reads_on_from_the_old_files() {
    let bench = Bench::new();
    for seal in 0..8 {
        bench.add_records(seal * 40, 40);
        bench.facts.seal_all().unwrap();
    }
    let before = bench.facts.snapshot();
    assert_eq!(merge_all(&bench.facts).unwrap(), 2);
    for segment in before.clicks.iter().chain(&before.hits) {
        let mut reading = segment.table.read(&bench.disk).unwrap();
        reading.find(segment.table.index.last_key).unwrap();
    }
    let path = before.clicks[0].table.path.clone();
    drop(before);
    bench.facts.merge().unwrap();
    assert!(bench.disk.bytes(&path).is_err(), "and they go when nobody reads them any more");
    check_files(&bench, START);
}

#[test]
fn a_generation_is_due_when_it_is_old() {
    let bench = Bench::new();
    let now = |seconds: i64| START.plus_s(seconds);
    assert!(!bench.facts.is_seal_due(now(SEAL_AFTER_S)), "there is nothing to seal");
    assert_eq!(bench.facts.seal(now(SEAL_AFTER_S)).unwrap(), None);
    bench.add(now(10), Record::Hit(hit(1)));
    bench.add(now(20), Record::Tick);
    assert!(!bench.facts.is_seal_due(now(9 + SEAL_AFTER_S)));
    assert!(bench.facts.is_seal_due(now(10 + SEAL_AFTER_S)));
    let sealed = bench.facts.seal(now(10 + SEAL_AFTER_S)).unwrap().unwrap();
    assert_eq!((sealed.clicks, sealed.hits, sealed.to), (0, 1, Position(2)));
    assert!(!bench.facts.is_seal_due(Timestamp::MAX));
}

#[test]
fn records_that_are_far_apart_do_not_share_a_file() {
    let bench = Bench::new();
    let late = START.plus_days(3);
    for at in [START, START.plus_s(SEAL_AFTER_S - 1), late] {
        bench.add(at, Record::Hit(hit(1)));
    }
    // As after a stop: what came before it need not wait for what comes after.
    let sealed = bench.facts.seal(late).unwrap().unwrap();
    assert_eq!((sealed.hits, sealed.to), (2, Position(2)));
    assert_eq!(bench.facts.remove_personal_before(late).unwrap(), 1);
    bench.facts.seal_all().unwrap();
    check(&bench, late, START);
    check_files(&bench, START);
}

#[test]
fn whoever_adds_is_told_to_wait_while_two_generations_are_full() {
    let bench = Bench::new();
    let large = {
        let mut hit = hit(1);
        hit.body = vec![b'b'; SEAL_BYTES / 8];
        Record::Hit(hit)
    };
    for _ in 0..8 {
        assert!(!bench.facts.is_full());
        bench.add(START, large.clone());
    }
    assert!(bench.facts.is_seal_due(START) && !bench.facts.is_full(), "a second one begins");
    for _ in 0..8 {
        assert!(!bench.facts.is_full());
        bench.add(START, large.clone());
    }
    assert!(bench.facts.is_full());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bench.facts.wait_for_room(Duration::from_mins(1)));
        assert_eq!(bench.facts.seal(START).unwrap().unwrap().hits, 8);
        assert!(waiting.join().unwrap());
    });
    assert_eq!(bench.facts.seal(START).unwrap().unwrap().hits, 8);
    assert_eq!(bench.facts.seal(START).unwrap(), None);
    check(&bench, START, START);
}

#[test]
fn no_more_is_added_than_memory_is_meant_for() {
    let bench = Bench::new();
    let mut large = hit(1);
    large.body = vec![b'b'; SEAL_BYTES / 8];
    let added = (0..).take_while(|place| {
        let has_room = bench.facts.wait_for_room(Duration::ZERO);
        if has_room {
            bench.facts.add_hit(Position(*place), START, &large);
        }
        has_room
    });
    // Eight in the generation that waits to be sealed, and all that the next may have.
    assert_eq!(added.count(), 8 + HOT_BYTES_MAX.div_ceil(SEAL_BYTES / 8));
}

#[test]
fn a_full_generation_becomes_files_of_several_row_groups() {
    let bench = Bench::new();
    for number in 0..SEAL_ROWS as u64 + 10 {
        let (at, record) = record(number);
        // A few of them in each stretch, so that the model is not what takes the time.
        let record = match record {
            Record::Click(click) => Record::Click(click),
            _ => Record::Click(super::click(number, at)),
        };
        bench.add(START, record);
    }
    assert_eq!(bench.facts.seal(START).unwrap().unwrap().clicks, SEAL_ROWS);
    let clicks = bench.journal.clicks();
    let some: Vec<_> = clicks.iter().step_by(997).collect();
    let ids: Vec<_> = some.iter().map(|(_, _, click)| click.id).collect();
    let found = bench.facts.find(&ids, Position(u64::MAX)).unwrap();
    for ((position, _, click), found) in some.iter().zip(found) {
        let found = found.unwrap();
        assert_eq!(found.position, *position);
        assert_eq!(found.click, super::model::without_personal(click));
    }
    let mut stored = 0;
    let problems = crate::facts::verify(&bench.disk, super::DIR.as_ref(), &mut |fact| {
        stored += usize::from(fact.kind == Kind::Click);
    });
    assert_eq!((problems, stored), (vec![], SEAL_ROWS));
    let group_by = [domain::report::Dimension::Publisher, domain::report::Dimension::Day];
    let query = query(&group_by);
    assert_eq!(bench.facts.sum_clicks(&query).unwrap(), super::model::sums(&bench.journal, &query));
}
