//! Looks names up, so that those nobody answers for hold up no others.
//!
//! The system's look-up holds a thread until it gives up, whoever still waits for it. So there is
//! one under way for each name, however many ask, and a bounded number in all. What was found is
//! good for a few seconds, a failure as well; and a name that has failed is looked up again in
//! places that others do not need.

use async_trait::async_trait;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// How many look-ups are under way at once.
const PLACES: usize = 24;
/// The same, of names whose last look-up has failed, beside the others.
const PLACES_OF_FAILED: usize = 8;
/// For how long an answer is good.
const KEPT_FOR: Duration = Duration::from_secs(5);
/// How many names are remembered.
const NAMES_MAX: usize = 4_096;

/// Looks names up.
#[async_trait]
pub(super) trait Lookup: Send + Sync {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// As the machine does.
pub(super) struct System;

#[async_trait]
impl Lookup for System {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host, port)).await?.collect())
    }
}

/// A name's addresses, or why it has none.
type Found = Result<Vec<IpAddr>, String>;

/// How a look-up has ended, and when.
type Ended = (Found, Instant);

/// The names that were looked up of late.
pub(super) struct Names {
    lookup: Arc<dyn Lookup>,
    known: Mutex<HashMap<String, watch::Receiver<Option<Ended>>>>,
    places: Arc<Semaphore>,
    places_of_failed: Arc<Semaphore>,
}

impl Names {
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self {
            lookup,
            known: Mutex::default(),
            places: Arc::new(Semaphore::new(PLACES)),
            places_of_failed: Arc::new(Semaphore::new(PLACES_OF_FAILED)),
        }
    }

    /// Every address of a name. Who does not wait any longer leaves the look-up to the next.
    pub(super) async fn addresses(&self, host: &str) -> Found {
        let mut ended = self.look_up(host);
        let given_up = || "the look-up was given up".to_owned();
        let ended = ended.wait_for(Option::is_some).await.map_err(|_| given_up())?;
        ended.as_ref().map_or_else(|| Err(given_up()), |(found, _)| found.clone())
    }

    /// Remembers none.
    #[cfg(test)]
    pub(super) fn clear(&self) {
        self.known.lock().unwrap().clear();
    }

    /// The one that is under way or has just ended, or a new one.
    fn look_up(&self, host: &str) -> watch::Receiver<Option<Ended>> {
        let mut known = self.known.lock().expect("no panic happens under this lock");
        let before = known.get(host);
        if let Some(before) = before
            && is_good(before)
        {
            return before.clone();
        }
        let has_failed = before.is_some_and(|one| matches!(&*one.borrow(), Some((Err(_), _))));
        let places = if has_failed { &self.places_of_failed } else { &self.places };
        if known.len() >= NAMES_MAX {
            known.retain(|_, one| is_good(one));
            // They are all of the last seconds: what is under way goes on for who waits for it.
            if known.len() >= NAMES_MAX {
                known.clear();
            }
        }
        let (say, hear) = watch::channel(None);
        let (lookup, places, host) = (self.lookup.clone(), places.clone(), host.to_owned());
        known.insert(host.clone(), hear.clone());
        tokio::spawn(async move {
            let _place = places.acquire().await;
            let found = lookup.addresses(&host, 0).await.map_err(|error| error.to_string());
            let found = found.map(|all| all.iter().map(SocketAddr::ip).collect());
            say.send_replace(Some((found, Instant::now())));
        });
        hear
    }
}

/// It is under way, or has ended just now.
fn is_good(one: &watch::Receiver<Option<Ended>>) -> bool {
    match &*one.borrow() {
        Some((_, at)) => at.elapsed() < KEPT_FOR,
        // Who would say it may be gone without.
        None => one.has_changed().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pass;
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    /// How long the system waits for a name server that says nothing.
    const DEAD_FOR: Duration = Duration::from_secs(20);

    /// Nobody answers for names with `dead` in them. Counts how often it was asked, and how many
    /// look-ups are under way.
    #[derive(Default)]
    struct Resolver {
        asked: AtomicUsize,
        under_way: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Lookup for Resolver {
        async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(under_way, Ordering::Relaxed);
            let is_dead = host.contains("dead");
            let time = if is_dead { DEAD_FOR } else { Duration::from_millis(20) };
            pass(time).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            match is_dead {
                true => Err(io::Error::other("nobody answers")),
                false => Ok(vec![SocketAddr::new(HERE, port)]),
            }
        }
    }

    fn names() -> (Arc<Names>, Arc<Resolver>) {
        let resolver = Arc::<Resolver>::default();
        (Arc::new(Names::new(resolver.clone())), resolver)
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_looked_up_once_for_all_who_ask() {
        let (names, resolver) = names();
        let asked = || resolver.asked.load(Ordering::Relaxed);
        let (one, two) = tokio::join!(names.addresses("a"), names.addresses("a"));
        assert_eq!((one, two), (Ok(vec![HERE]), Ok(vec![HERE])));
        assert_eq!(asked(), 1);
        names.addresses("a").await.unwrap();
        assert_eq!(asked(), 1, "it has just been found");
        names.addresses("b").await.unwrap();
        assert_eq!(asked(), 2);
        tokio::time::advance(KEPT_FOR).await;
        names.addresses("a").await.unwrap();
        assert_eq!(asked(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_good_for_as_long() {
        let (names, resolver) = names();
        for _ in 0..2 {
            assert_eq!(names.addresses("dead").await, Err("nobody answers".to_owned()));
        }
        assert_eq!(resolver.asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(KEPT_FOR).await;
        names.addresses("dead").await.unwrap_err();
        assert_eq!(resolver.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_wait_leaves_the_look_up_to_the_next() {
        let (names, resolver) = names();
        for _ in 0..3 {
            let waited = Duration::from_secs(5);
            assert!(tokio::time::timeout(waited, names.addresses("dead")).await.is_err());
        }
        assert!(names.addresses("dead").await.is_err());
        assert_eq!(resolver.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_nobody_answers_for_hold_up_no_others() {
        let (names, resolver) = names();
        let ask_all_dead = || {
            for number in 0..100 {
                let names = names.clone();
                tokio::spawn(async move { names.addresses(&format!("dead{number}")).await });
            }
        };
        ask_all_dead();
        pass(DEAD_FOR * 6).await;
        // All have failed once.
        ask_all_dead();
        pass(Duration::from_secs(1)).await;
        let asked_at = Instant::now();
        assert_eq!(names.addresses("good").await, Ok(vec![HERE]));
        assert!(asked_at.elapsed() < Duration::from_secs(1), "{:?}", asked_at.elapsed());
        assert_eq!(resolver.under_way.load(Ordering::Relaxed), PLACES_OF_FAILED);
        assert_eq!(resolver.most.load(Ordering::Relaxed), PLACES);
    }
}
