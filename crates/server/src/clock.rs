//! The server's one clock: wall time that never goes back, not even over a restart, and never
//! stands still.

use domain::time::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// How many times slower it goes while it is ahead of the wall, until that has caught up.
const SLOWER: i64 = 2;
/// How far behind the wall may be for a moment: another thread has looked at it since.
const LOOKED_AT_US: i64 = 1_000;

/// Records, click ids and verdicts are all stamped by this one.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last_us: AtomicI64,
    is_ahead: AtomicBool,
    /// Since when it is ahead, and what it said then.
    ahead: Mutex<Option<(Instant, i64)>>,
}

impl Clock {
    /// Microseconds, at least as late as anything it said before. While the wall has gone back,
    /// what waits for a time still comes to its turn.
    pub(crate) fn now(&self) -> Timestamp {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_us = i64::try_from(wall.as_micros()).unwrap_or(i64::MAX);
        self.at(wall_us, Instant::now)
    }

    fn at(&self, wall_us: i64, instant: impl Fn() -> Instant) -> Timestamp {
        let last_us = self.last_us.fetch_max(wall_us, Ordering::Relaxed);
        if wall_us >= last_us {
            if self.is_ahead.load(Ordering::Relaxed) {
                self.is_ahead.store(false, Ordering::Relaxed);
                *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            return Timestamp::from_us(wall_us);
        }
        if last_us.saturating_sub(wall_us) <= LOOKED_AT_US {
            return Timestamp::from_us(last_us);
        }
        Timestamp::from_us(self.ahead(last_us, instant()))
    }

    /// The clock is ahead of the wall.
    fn ahead(&self, last_us: i64, now: Instant) -> i64 {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_ahead.store(true, Ordering::Relaxed);
        let (since, from_us) = *ahead.get_or_insert((now, last_us));
        let passed_us = i64::try_from(now.saturating_duration_since(since).as_micros());
        let said_us = from_us.saturating_add(passed_us.unwrap_or(i64::MAX) / SLOWER);
        self.last_us.fetch_max(said_us, Ordering::Relaxed).max(said_us)
    }

    /// From now on it says nothing earlier than `at`.
    pub(crate) fn not_before(&self, at: Timestamp) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        self.last_us.fetch_max(at.as_us(), Ordering::Relaxed);
        *ahead = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn it_never_goes_back() {
        let clock = Clock::default();
        let ahead = clock.now().plus_days(1);
        clock.not_before(ahead);
        assert!(clock.now() >= ahead);
        clock.not_before(Timestamp::UNIX_EPOCH);
        assert!(clock.now() >= ahead);
    }

    #[test]
    fn while_the_wall_catches_up_it_goes_at_half_its_pace() {
        let (clock, start) = (Clock::default(), Instant::now());
        // The wall in seconds, how many have passed, and what the clock says.
        let cases = [
            (1_000, 0, 1_000),
            (900, 0, 1_000),
            (960, 60, 1_030),
            (1_020, 120, 1_060),
            (1_101, 201, 1_101),
            (1_111, 211, 1_111),
            // It goes back once more: what was is forgotten.
            (1_011, 211, 1_111),
            (1_021, 221, 1_116),
        ];
        for (wall, passed, said) in cases {
            let now = || start + Duration::from_secs(passed);
            assert_eq!(clock.at(wall * 1_000_000, now), Timestamp::from_s(said), "after {passed}");
        }
        clock.not_before(Timestamp::from_s(2_000));
        for (wall, passed, said) in [(1_031, 231, 2_000), (1_041, 241, 2_005)] {
            let now = || start + Duration::from_secs(passed);
            assert_eq!(clock.at(wall * 1_000_000, now), Timestamp::from_s(said), "after {passed}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_wall_does_it_goes_on(
            jumps in prop::collection::vec((-5_000_i64..5_000, 0_u64..5_000), 1..50),
        ) {
            let (clock, start) = (Clock::default(), Instant::now());
            let (mut wall_us, mut passed_us, mut last) = (1_000_000, 0, Timestamp::UNIX_EPOCH);
            for (jump, passes) in jumps {
                wall_us += jump + i64::try_from(passes).unwrap();
                passed_us += passes;
                let said = clock.at(wall_us, || start + Duration::from_micros(passed_us));
                prop_assert!(said >= last);
                prop_assert!(said >= Timestamp::from_us(wall_us));
                last = said;
            }
        }
    }
}
