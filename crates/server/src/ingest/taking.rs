//! Whether the journal takes what it is given.
//!
//! A refusal counts for a while and is then forgotten: whoever is sent no traffic because of it
//! would never hear that records are taken again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use store::journal::AppendError;

/// How long after a record was refused the journal counts as not taking them, in milliseconds.
const REFUSED_FOR_MS: u64 = 5_000;
/// Why records are refused, as figures have it.
pub(crate) const CAUSES: [&str; 5] = ["full", "io", "busy", "too_large", "stopped"];

/// Shared by all who journal.
#[derive(Debug)]
pub(crate) struct Taking {
    began: Instant,
    /// When a record was last refused, in milliseconds after `began`; 0: none was, or long ago.
    refused_ms: AtomicU64,
}

impl Default for Taking {
    fn default() -> Self {
        Self { began: Instant::now(), refused_ms: AtomicU64::new(0) }
    }
}

impl Taking {
    /// A record is on disk. Costs one look as long as none was refused.
    pub(super) fn taken(&self) {
        let refused_ms = self.refused_ms.load(Ordering::Relaxed);
        if refused_ms == 0 || is_recent(refused_ms, self.now_ms()) {
            return;
        }
        let forgotten =
            self.refused_ms.compare_exchange(refused_ms, 0, Ordering::Relaxed, Ordering::Relaxed);
        if forgotten.is_ok() {
            tracing::info!("the journal takes records again");
        }
    }

    /// A record was refused. It is counted each time and logged once, so that a full disk is not
    /// filled with that.
    pub(super) fn refused(&self, error: &AppendError) {
        metrics::counter!("counterfoil_refused_records_total", "cause" => cause(error))
            .increment(1);
        // One that is too long says nothing of the next one.
        if matches!(error, AppendError::TooLarge { .. }) {
            return;
        }
        if self.refused_ms.swap(self.now_ms().max(1), Ordering::Relaxed) == 0 {
            tracing::error!(%error, "the journal does not take records");
        }
    }

    /// Whether a record was refused a short while ago.
    pub(crate) fn has_refused(&self) -> bool {
        is_recent(self.refused_ms.load(Ordering::Relaxed), self.now_ms())
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets the last refusal be as long ago as it takes to be forgotten.
    #[cfg(test)]
    pub(crate) fn age(&mut self) {
        self.began -= std::time::Duration::from_millis(REFUSED_FOR_MS + 1);
    }
}

fn is_recent(refused_ms: u64, now_ms: u64) -> bool {
    refused_ms != 0 && now_ms - refused_ms.min(now_ms) < REFUSED_FOR_MS
}

fn cause(error: &AppendError) -> &'static str {
    let [full, io, busy, too_large, stopped] = CAUSES;
    match error {
        AppendError::Full => full,
        AppendError::Io(_) => io,
        AppendError::Busy => busy,
        AppendError::TooLarge { .. } => too_large,
        AppendError::Stopped => stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_forgotten_with_or_without_another_record() {
        for error in [AppendError::Full, AppendError::Busy, AppendError::Stopped] {
            let mut taking = Taking::default();
            assert!(!taking.has_refused());
            taking.refused(&error);
            taking.taken();
            assert!(taking.has_refused(), "{error}: one success among refusals is none");
            taking.age();
            assert!(!taking.has_refused(), "{error}");
            taking.taken();
            taking.refused(&error);
            assert!(taking.has_refused(), "{error}");
        }
    }

    #[test]
    fn a_record_that_is_too_long_says_nothing_of_the_next() {
        let taking = Taking::default();
        taking.refused(&AppendError::TooLarge { max: 1 });
        assert!(!taking.has_refused());
    }
}
