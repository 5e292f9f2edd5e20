//! The server's one clock: wall time that never goes back, not even over a restart.

use domain::time::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Records, click ids and verdicts are all stamped by this one.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last_us: AtomicI64,
}

impl Clock {
    /// Microseconds, at least as late as anything it said before.
    pub(crate) fn now(&self) -> Timestamp {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_us = i64::try_from(wall.as_micros()).unwrap_or(i64::MAX);
        let last_us = self.last_us.fetch_max(wall_us, Ordering::Relaxed);
        Timestamp::from_us(last_us.max(wall_us))
    }

    /// From now on it says nothing earlier than `at`.
    pub(crate) fn not_before(&self, at: Timestamp) {
        self.last_us.fetch_max(at.as_us(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let clock = Clock::default();
        let ahead = clock.now().plus_days(1);
        clock.not_before(ahead);
        assert!(clock.now() >= ahead);
        clock.not_before(Timestamp::UNIX_EPOCH);
        assert!(clock.now() >= ahead);
    }
}
