//! What goes wrong with deliveries that are open: said once when it begins and once when it is over,
//! and told by an alert for as long as it lasts.

use domain::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// What is done with the deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    TakingOver,
    Leasing,
    Settling,
}

impl Work {
    /// How its failure and its success after that stand in the log.
    fn said(self) -> (&'static str, &'static str) {
        match self {
            Self::TakingOver => {
                ("what is owed cannot be taken over", "what is owed is taken over again")
            }
            Self::Leasing => ("not all that is due can be leased", "what is due is leased again"),
            Self::Settling => ("attempts cannot be settled", "attempts are settled again"),
        }
    }
}

/// What fails now, since when, and why.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    standing: Mutex<BTreeMap<Work, (Timestamp, String)>>,
    /// It has begun or is over, or a destination has just been paused.
    pub(crate) wake: Arc<Notify>,
}

impl Trouble {
    /// It has failed, once more or for the first time.
    pub(crate) fn has_failed(&self, work: Work, error: &store::Error, now: Timestamp) {
        let why = format!("{}: {error}", work.said().0);
        let is_new = {
            let mut standing = self.standing();
            let is_new = !standing.contains_key(&work);
            standing.entry(work).or_insert((now, String::new())).1 = why;
            is_new
        };
        if is_new {
            tracing::warn!(%error, "{}", work.said().0);
            self.wake.notify_one();
        }
    }

    pub(crate) fn has_succeeded(&self, work: Work) {
        if self.standing().remove(&work).is_some() {
            tracing::info!("{}", work.said().1);
            self.wake.notify_one();
        }
    }

    /// Since when anything fails, and why it does.
    pub(crate) fn all(&self) -> Option<(Timestamp, String)> {
        let standing = self.standing();
        let since = standing.values().map(|(since, _)| *since).min()?;
        let why: Vec<&str> = standing.values().map(|(_, why)| why.as_str()).collect();
        Some((since, why.join("; ")))
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<Work, (Timestamp, String)>> {
        self.standing.lock().expect("no panic happens under this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_s(1_800_000_000);

    fn unavailable(why: &str) -> store::Error {
        store::Error::Unavailable(why.to_owned())
    }

    #[test]
    fn what_fails_is_known_since_it_began_until_it_is_over() {
        let trouble = Trouble::default();
        assert_eq!(trouble.all(), None);
        trouble.has_failed(Work::Settling, &unavailable("full"), NOW.plus_s(3));
        trouble.has_failed(Work::Settling, &unavailable("fuller"), NOW.plus_s(9));
        trouble.has_failed(Work::Leasing, &unavailable("locked"), NOW.plus_s(5));
        let (since, why) = trouble.all().unwrap();
        assert_eq!(since, NOW.plus_s(3));
        assert!(
            why.contains("locked") && why.contains("fuller") && !why.contains("full;"),
            "{why}"
        );
        trouble.has_succeeded(Work::Settling);
        assert_eq!(trouble.all().map(|(since, _)| since), Some(NOW.plus_s(5)));
        trouble.has_succeeded(Work::Leasing);
        assert_eq!(trouble.all(), None);
    }
}
