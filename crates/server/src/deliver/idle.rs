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
    connections: HashMap<O, Vec<(Instant, C)>>,
    count: usize,
    /// Somebody removes those that are old.
    is_swept: bool,
}

impl<O, C> Default for Idle<O, C> {
    fn default() -> Self {
        let kept = Kept { connections: HashMap::new(), count: 0, is_swept: false };
        Self(Arc::new(Mutex::new(kept)))
    }
}

impl<O: Clone + Eq + Hash + Send + 'static, C: Send + 'static> Idle<O, C> {
    /// The newest of them, which is not kept any more.
    pub(super) fn take(&self, origin: &O, is_good: impl Fn(&C) -> bool) -> Option<C> {
        let mut kept = lock(&self.0);
        while let Some((since, connection)) = kept.pop(origin) {
            if since.elapsed() < IDLE_FOR && is_good(&connection) {
                return Some(connection);
            }
        }
        None
    }

    /// Where there is no room for it, it is closed. To be called within a runtime.
    pub(super) fn keep(&self, origin: &O, connection: C) {
        let mut kept = lock(&self.0);
        if kept.count >= IDLE_MAX {
            kept.sweep();
        }
        let own = kept.connections.get(origin).map_or(0, Vec::len);
        if kept.count >= IDLE_MAX || own >= OF_ONE_MAX {
            return;
        }
        let new = (Instant::now(), connection);
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
    fn pop(&mut self, origin: &O) -> Option<(Instant, C)> {
        let own = self.connections.get_mut(origin)?;
        let popped = own.pop();
        if own.is_empty() {
            self.connections.remove(origin);
        }
        self.count -= usize::from(popped.is_some());
        popped
    }

    /// Closes those that are old.
    fn sweep(&mut self) {
        self.connections.retain(|_, own| {
            own.retain(|(since, _)| since.elapsed() < IDLE_FOR);
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
        idle.keep(&"a", one);
        pass(IDLE_FOR / 2).await;
        let (two, seen_later) = connection();
        idle.keep(&"b", two);
        assert!(seen.upgrade().is_some());
        pass(IDLE_FOR).await;
        assert!(seen.upgrade().is_none());
        pass(IDLE_FOR).await;
        assert!(seen_later.upgrade().is_none());
        // And so is what is kept after that.
        let (three, seen) = connection();
        idle.keep(&"a", three);
        pass(IDLE_FOR * 2).await;
        assert!(seen.upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_that_is_good_is_taken() {
        let idle = Idle::default();
        for number in 1..=3 {
            idle.keep(&"a", number);
        }
        assert_eq!(idle.take(&"b", |_| true), None);
        assert_eq!(idle.take(&"a", |number| *number < 3), Some(2));
        assert_eq!(idle.take(&"a", |_| true), Some(1));
        assert_eq!(idle.take(&"a", |_| true), None);
        idle.keep(&"a", 4);
        tokio::time::advance(IDLE_FOR).await;
        assert_eq!(idle.take(&"a", |_| true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_kept_and_no_more() {
        let idle = Idle::default();
        let count = || lock(&idle.0).count;
        for _ in 0..2 * OF_ONE_MAX {
            idle.keep(&0, ());
        }
        assert_eq!(count(), OF_ONE_MAX);
        for origin in 1..=IDLE_MAX {
            idle.keep(&origin, ());
        }
        assert_eq!(count(), IDLE_MAX);
        tokio::time::advance(IDLE_FOR).await;
        idle.keep(&0, ());
        assert_eq!(count(), 1, "the old ones make room");
    }
}
