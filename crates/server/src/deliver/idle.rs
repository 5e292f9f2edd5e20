//! Connections that are kept for the next call: so many, for so long, whether or not anybody calls
//! again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How many are kept for one host.
const OF_ONE_MAX: usize = 16;
/// How many are kept in all: each is an open file.
pub(crate) const IDLE_MAX: usize = 256;
/// For how long.
const IDLE_FOR: Duration = Duration::from_secs(20);

/// What is kept for whom.
pub(super) struct Idle<O, C>(Arc<Mutex<Kept<O, C>>>);

struct Kept<O, C> {
    /// Of each the newest last.
    connections: HashMap<O, Vec<One<C>>>,
    count: usize,
    /// Somebody removes those that are old.
    is_swept: bool,
}

struct One<C> {
    since: Instant,
    /// It is not used before.
    rests_until: Instant,
    connection: C,
}

impl<O, C> Default for Idle<O, C> {
    fn default() -> Self {
        let kept = Kept { connections: HashMap::new(), count: 0, is_swept: false };
        Self(Arc::new(Mutex::new(kept)))
    }
}

impl<O: Clone + Eq + Hash + Send + 'static, C: Send + 'static> Idle<O, C> {
    /// The newest of them that has rested, which is not kept any more.
    pub(super) fn take(&self, origin: &O, is_good: impl Fn(&C) -> bool) -> Option<C> {
        let mut kept = lock(&self.0);
        while let Some(One { since, connection, .. }) = kept.pop(origin) {
            if since.elapsed() < IDLE_FOR && is_good(&connection) {
                return Some(connection);
            }
        }
        None
    }

    /// It is used again after `rest` at the earliest. Where there is no room for it, it is closed.
    /// To be called within a runtime.
    pub(super) fn keep(&self, origin: &O, connection: C, rest: Duration) {
        let mut kept = lock(&self.0);
        if kept.count >= IDLE_MAX {
            kept.sweep();
        }
        let own = kept.connections.get(origin).map_or(0, Vec::len);
        if kept.count >= IDLE_MAX || own >= OF_ONE_MAX {
            return;
        }
        let since = Instant::now();
        let new = One { since, rests_until: since + rest, connection };
        kept.connections.entry(origin.clone()).or_default().push(new);
        kept.count += 1;
        if !kept.is_swept {
            kept.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
    }

    /// Closes all of them.
    #[cfg(test)]
    pub(super) fn clear(&self) {
        let mut kept = lock(&self.0);
        kept.connections.clear();
        kept.count = 0;
    }
}

impl<O: Eq + Hash, C> Kept<O, C> {
    fn pop(&mut self, origin: &O) -> Option<One<C>> {
        let own = self.connections.get_mut(origin)?;
        let now = Instant::now();
        let popped = own.remove(own.iter().rposition(|one| one.rests_until <= now)?);
        if own.is_empty() {
            self.connections.remove(origin);
        }
        self.count -= 1;
        Some(popped)
    }

    /// Closes those that are old.
    fn sweep(&mut self) {
        self.connections.retain(|_, own| {
            own.retain(|one| one.since.elapsed() < IDLE_FOR);
            !own.is_empty()
        });
        self.count = self.connections.values().map(Vec::len).sum();
    }
}

/// As long as any are kept.
async fn sweep<O: Eq + Hash, C>(kept: Weak<Mutex<Kept<O, C>>>) {
    loop {
        tokio::time::sleep(IDLE_FOR).await;
        let Some(kept) = kept.upgrade() else { return };
        let mut kept = lock(&kept);
        kept.sweep();
        kept.is_swept = kept.count > 0;
        if !kept.is_swept {
            return;
        }
    }
}

fn lock<O, C>(kept: &Mutex<Kept<O, C>>) -> MutexGuard<'_, Kept<O, C>> {
    kept.lock().expect("no panic happens under this lock")
}

#[cfg(test)]
mod tests {
    use super::super::pass;
    use super::*;

    const NONE: Duration = Duration::ZERO;

    /// Says who holds it: the pool, or nobody any more.
    fn connection() -> (Arc<()>, Weak<()>) {
        let one = Arc::new(());
        let seen = Arc::downgrade(&one);
        (one, seen)
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_calls_again_is_closed() {
        let idle = Idle::default();
        let (one, seen) = connection();
        idle.keep(&"a", one, NONE);
        pass(IDLE_FOR / 2).await;
        let (two, seen_later) = connection();
        idle.keep(&"b", two, NONE);
        assert!(seen.upgrade().is_some());
        pass(IDLE_FOR).await;
        assert!(seen.upgrade().is_none());
        pass(IDLE_FOR).await;
        assert!(seen_later.upgrade().is_none());
        // And so is what is kept after that.
        let (three, seen) = connection();
        idle.keep(&"a", three, NONE);
        pass(IDLE_FOR * 2).await;
        assert!(seen.upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_that_is_good_is_taken() {
        let idle = Idle::default();
        for number in 1..=3 {
            idle.keep(&"a", number, NONE);
        }
        assert_eq!(idle.take(&"b", |_| true), None);
        assert_eq!(idle.take(&"a", |number| *number < 3), Some(2));
        assert_eq!(idle.take(&"a", |_| true), Some(1));
        assert_eq!(idle.take(&"a", |_| true), None);
        idle.keep(&"a", 4, NONE);
        tokio::time::advance(IDLE_FOR).await;
        assert_eq!(idle.take(&"a", |_| true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_rests_is_passed_over_and_kept() {
        let rest = IDLE_FOR / 4;
        let idle = Idle::default();
        idle.keep(&"a", 1, NONE);
        idle.keep(&"a", 2, rest);
        assert_eq!(idle.take(&"a", |_| true), Some(1));
        assert_eq!(idle.take(&"a", |_| true), None);
        tokio::time::advance(rest).await;
        assert_eq!(idle.take(&"a", |_| true), Some(2));
        assert_eq!(idle.take(&"a", |_| true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_kept_and_no_more() {
        let idle = Idle::default();
        let count = || lock(&idle.0).count;
        for _ in 0..2 * OF_ONE_MAX {
            idle.keep(&0, (), NONE);
        }
        assert_eq!(count(), OF_ONE_MAX);
        for origin in 1..=IDLE_MAX {
            idle.keep(&origin, (), NONE);
        }
        assert_eq!(count(), IDLE_MAX);
        tokio::time::advance(IDLE_FOR).await;
        idle.keep(&0, (), NONE);
        assert_eq!(count(), 1, "the old ones make room");
    }
}
