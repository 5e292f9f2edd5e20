//! The fault test: whatever operation the machine stops at, and whatever part of what was not
//! synced is then on the disk, every acknowledged record is there once, where it was, as it was.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::disk::fault::{Crash, Fault, Random};

/// How many steps a workload has, and how many different ones there are.
const STEPS: u32 = 16;
const WORKLOADS: u64 = 3;
/// How often the same state is torn differently.
const TEARS: u64 = 4;
/// At how many of its first operations recovery is cut short.
const STOPS: u64 = 16;
/// How often in a row recovery is cut short by another crash.
const CRASHES_IN_RECOVERY: u64 = 3;

/// What a client knows of the journal: what must hold of it, whatever happens.
#[derive(Clone)]
struct Told {
    /// What was acknowledged, or read: by position.
    acknowledged: BTreeMap<u64, Vec<u8>>,
    /// Every payload that was ever handed over. No two are the same.
    appended: BTreeSet<Vec<u8>>,
    /// Everything before this was given up.
    removed_before: u64,
    last_at_us: i64,
}

impl Told {
    fn nothing() -> Self {
        Self {
            acknowledged: BTreeMap::new(),
            appended: BTreeSet::new(),
            removed_before: 0,
            last_at_us: i64::MIN,
        }
    }

    /// Appends some records at once, and remembers what is said about them. False where the
    /// journal has stopped.
    fn append(&mut self, desk: &Desk, journal: &Journal, random: &mut Random) -> bool {
        desk.at(i64::try_from(random.below(1000)).unwrap());
        let records: Vec<_> = (0..=random.below(4))
            .map(|_| {
                let mut payload = (self.appended.len() as u64).to_le_bytes().to_vec();
                payload.resize(8 + random.below(900), 0xa5);
                self.appended.insert(payload.clone());
                (journal.append(Kind::Hit, 1, &payload), payload)
            })
            .collect();
        let mut goes_on = true;
        for (ticket, payload) in records {
            match ticket.and_then(|ticket| ticket.wait_blocking()) {
                Ok(position) => {
                    let before = self.acknowledged.insert(position.0, payload);
                    assert_eq!(before, None, "position {position} was given twice");
                }
                Err(error) => goes_on = error != AppendError::Stopped,
            }
        }
        goes_on
    }

    /// Looks at all that the journal holds, and remembers it: what was read once stays. Where the
    /// machine stops in the background meanwhile, there is nothing to look at.
    fn check(&mut self, desk: &Desk, journal: &Journal) {
        let oldest = journal.oldest().0;
        let all = match try_all_from(journal, oldest) {
            Ok(all) => all,
            Err(error) => return assert!(desk.disk.is_crashed(), "{error}"),
        };
        assert!(oldest <= self.removed_before.max(1), "more was removed than asked for");
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut at_us = i64::MIN;
        for (position, header, payload) in all {
            assert!(header.at_us >= at_us, "time went back");
            at_us = header.at_us;
            assert!(self.appended.contains(&payload), "nobody appended position {position}");
            assert!(seen.insert(payload.clone()), "position {position} is there twice");
            found.insert(position, payload);
        }
        for (position, payload) in self.acknowledged.range(oldest..) {
            assert_eq!(found.get(position), Some(payload), "position {position} was acknowledged");
        }
        let next = found.last_key_value().map_or(oldest, |(last, _)| last + 1);
        assert!(journal.next().0 >= next);
        assert!(journal.last_at_us() >= self.last_at_us.max(at_us), "time goes back");
        self.last_at_us = journal.last_at_us();
        self.acknowledged.append(&mut found);
    }

    /// The workload: batches, removals, restarts, skips, until the machine stops or it is through.
    fn work(&mut self, desk: &mut Desk, seed: u64) -> Result<(), OpenError> {
        let mut random = Random(seed * 7919 + 1);
        let mut journal = desk.try_open()?;
        for _ in 0..STEPS {
            match random.below(10) {
                0 => {
                    self.removed_before = journal.next().0.saturating_sub(random.below(3) as u64);
                    _ = journal.remove_before(Position(self.removed_before));
                }
                1 | 2 => {
                    desk.options.skip = random.below(3) as u64 * 5;
                    drop(journal);
                    journal = desk.try_open()?;
                }
                _ => {
                    if !self.append(desk, &journal, &mut random) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Recovers, is interrupted at each of these operations of that, recovers again, and so on.
    /// On a full disk the last segment cannot be copied.
    fn recover(&mut self, left: FaultDisk, stops: &[u64], is_full: bool, seed: u64) {
        let mut desk = Desk::on(left);
        for stop in stops {
            desk.disk.set_capacity(is_full.then_some(1));
            desk.disk.fail(*stop, Fault::Crash);
            match desk.try_open() {
                Ok(journal) => {
                    self.check(&desk, &journal);
                    self.append(&desk, &journal, &mut Random(seed + 2));
                }
                Err(OpenError::Io(error)) if is_full && prepare::is_full(error.kind()) => {}
                Err(error) => assert!(desk.disk.is_crashed(), "{error}"),
            }
            let crash = if seed.is_multiple_of(2) { Crash::Torn } else { Crash::Dropped };
            desk = Desk::on(desk.disk.after_crash(seed + stop, crash));
        }
        let journal = desk.open();
        self.check(&desk, &journal);
        assert!(self.append(&desk, &journal, &mut Random(seed + 1)), "it goes on");
        assert_eq!(journal.id(), ID);
        drop(journal);
        let after = Desk::on(desk.disk.after_crash(seed, Crash::Dropped));
        self.check(&after, &after.open());
        assert_eq!(desk.reasons(), [""; 0]);
    }
}

#[test]
fn no_crash_costs_an_acknowledged_record() {
    for workload in 0..WORKLOADS {
        for operation in 1.. {
            let mut desk = Desk::new();
            let mut told = Told::nothing();
            desk.disk.fail(operation, Fault::Crash);
            let worked = told.work(&mut desk, workload);
            assert!(worked.is_ok() || desk.disk.is_crashed(), "{:?}", worked.err());
            for seed in 0..TEARS {
                let crash = match seed {
                    0 => Crash::Dropped,
                    1 => Crash::Kept,
                    _ => Crash::Torn,
                };
                let crashes = (operation + seed) % (CRASHES_IN_RECOVERY + 1);
                let stop = |crash| (operation * 31 + seed * 7 + crash * 3) % STOPS + 1;
                let stops: Vec<u64> = (0..crashes).map(stop).collect();
                let left = desk.disk.after_crash(seed, crash);
                told.clone().recover(left, &stops, operation.is_multiple_of(2), seed);
            }
            if !desk.disk.is_crashed() {
                assert!(operation > 60, "the workload is too short: {operation}");
                break;
            }
        }
    }
}

#[test]
fn no_failure_costs_an_acknowledged_record_though_the_cache_hides_it() {
    for workload in 0..WORKLOADS {
        for operation in 1.. {
            let mut desk = Desk::new();
            let mut told = Told::nothing();
            desk.disk.fail(operation, Fault::Error(io::ErrorKind::Other));
            let worked = told.work(&mut desk, workload);
            assert!(worked.is_ok() || desk.disk.operations() >= operation, "{:?}", worked.err());
            // The process starts again, and sees what the kernel shows; then power is lost.
            let left = desk.disk.after_crash(workload, Crash::Kept);
            told.recover(left, &[], operation.is_multiple_of(2), workload);
            if desk.disk.operations() < operation {
                break;
            }
        }
    }
}
