//! The hits that are not worth the journal: they name no key that we gave and no click id that we
//! made.
//!
//! They are kept in memory only, bounded in bytes and for each address, so that a stranger fills
//! neither the disk nor the place of others. Their receipts work as long as they are kept.

use domain::hit::Hit;
use domain::reason::{Reason, Verdict};
use domain::time::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much all hits in the ring may take, in bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// How many hits of one address are kept: of an IPv6 network of 64 bits, which is what one
/// customer has.
const HITS_PER_ADDRESS_MAX: usize = 50;
/// What an entry takes beside what was sent, in bytes, roughly.
const ENTRY_BYTES: usize = 512;

/// A hit that counts for nothing, and why.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) ordinal: u64,
    pub(crate) at: Timestamp,
    pub(crate) hit: Hit,
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    pub(crate) parameter: Option<String>,
    pub(crate) nearest: Option<String>,
    pub(crate) detail: String,
    pub(crate) contract: Option<String>,
    /// What its sender is answered with.
    pub(crate) http_status: u16,
}

/// Made empty, with [`Ring::default`].
#[derive(Debug, Default)]
pub(crate) struct Ring(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The oldest first; their ordinals only grow.
    kept: VecDeque<Arc<Kept>>,
    bytes: usize,
    /// The ordinals of an address's hits, the oldest first.
    by_address: HashMap<Option<IpAddr>, VecDeque<u64>>,
    last: u64,
}

impl Ring {
    /// Keeps a hit, and forgets older ones where it must. The ordinal it is given is in `kept`.
    ///
    /// Ordinals begin at the time in microseconds: those of an earlier run do not come again.
    pub(crate) fn keep(&self, mut kept: Kept) -> Arc<Kept> {
        let mut inner = self.inner();
        let now_us = u64::try_from(kept.at.as_us()).unwrap_or(0);
        kept.ordinal = now_us.max(inner.last + 1);
        inner.last = kept.ordinal;
        let kept = Arc::new(kept);
        inner.add(kept.clone());
        kept
    }

    pub(crate) fn find(&self, ordinal: u64) -> Option<Arc<Kept>> {
        let inner = self.inner();
        let place = inner.kept.binary_search_by_key(&ordinal, |kept| kept.ordinal).ok()?;
        Some(inner.kept[place].clone())
    }

    /// The newest first: those before the ordinal `before`, at most `limit`.
    pub(crate) fn list(&self, before: Option<u64>, limit: usize) -> Vec<Arc<Kept>> {
        let inner = self.inner();
        let end = match before {
            Some(before) => inner.kept.partition_point(|kept| kept.ordinal < before),
            None => inner.kept.len(),
        };
        inner.kept.range(..end).rev().take(limit).cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // It is of use even where a panic left a count wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, kept: Arc<Kept>) {
        let own = self.by_address.entry(whose(&kept.hit)).or_default();
        own.push_back(kept.ordinal);
        if own.len() > HITS_PER_ADDRESS_MAX {
            let oldest = own[0];
            let place = self.kept.binary_search_by_key(&oldest, |kept| kept.ordinal);
            self.forget(place.expect("what is listed is kept"));
        }
        self.bytes += bytes_of(&kept);
        self.kept.push_back(kept);
        while self.bytes > BYTES_MAX {
            self.forget(0);
        }
    }

    /// Forgets the hit at that place: the oldest of its address.
    fn forget(&mut self, place: usize) {
        let kept = self.kept.remove(place).expect("there is one");
        self.bytes -= bytes_of(&kept);
        let address = whose(&kept.hit);
        let own = self.by_address.get_mut(&address).expect("what is kept is listed");
        own.pop_front();
        if own.is_empty() {
            self.by_address.remove(&address);
        }
    }
}

fn whose(hit: &Hit) -> Option<IpAddr> {
    match hit.peer? {
        IpAddr::V4(address) => Some(address.into()),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Some(std::net::Ipv6Addr::from(network).into())
        }
    }
}

fn bytes_of(kept: &Kept) -> usize {
    let hit = &kept.hit;
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    ENTRY_BYTES
        + hit.method.len()
        + hit.target.len()
        + hit.body.len()
        + text(&hit.content_type)
        + text(&hit.forwarded)
        + text(&kept.parameter)
        + text(&kept.nearest)
        + kept.detail.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_s(1_795_000_000);

    fn kept(peer: &str, body_bytes: usize) -> Kept {
        let hit = Hit {
            peer: Some(peer.parse().unwrap()),
            body: vec![b'a'; body_bytes],
            ..Hit::default()
        };
        Kept {
            ordinal: 0,
            at: NOW,
            hit,
            verdict: Verdict::Refused,
            reason: Reason::UnknownClick,
            parameter: None,
            nearest: None,
            detail: String::new(),
            contract: None,
            http_status: 404,
        }
    }

    /// `i`th of many addresses.
    fn address(i: usize) -> String {
        format!("203.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255)
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let ring = Ring::default();
        let first = ring.keep(kept("203.0.113.9", 1)).ordinal;
        let second = ring.keep(kept("203.0.113.9", 2)).ordinal;
        assert_eq!(i64::try_from(first).unwrap(), NOW.as_us());
        assert_eq!(second, first + 1, "ordinals grow within a microsecond too");
        assert_eq!(ring.find(second).unwrap().hit.body.len(), 2);
        assert!(ring.find(second + 1).is_none());
        let listed =
            |before| -> Vec<u64> { ring.list(before, 9).iter().map(|kept| kept.ordinal).collect() };
        assert_eq!(listed(None), [second, first]);
        assert_eq!(listed(Some(second)), [first]);
        assert_eq!(ring.list(None, 1).len(), 1);
    }

    #[test]
    fn one_address_takes_the_place_of_no_other() {
        let ring = Ring::default();
        let other = ring.keep(kept("203.0.113.10", 0)).ordinal;
        let first = ring.keep(kept("2001:db8::1", 0)).ordinal;
        for i in 0..HITS_PER_ADDRESS_MAX {
            ring.keep(kept(&format!("2001:db8::{i:x}"), 0));
        }
        assert!(ring.find(other).is_some());
        assert!(ring.find(first).is_none(), "its own oldest goes");
        assert_eq!(ring.list(None, 1_000).len(), HITS_PER_ADDRESS_MAX + 1);
    }

    #[test]
    fn all_together_stay_within_the_bytes() {
        let ring = Ring::default();
        let body_bytes = 64 * 1024;
        let many = 3 * BYTES_MAX / body_bytes;
        for i in 0..many {
            ring.keep(kept(&address(i), body_bytes));
        }
        let inner = ring.inner();
        let sum: usize = inner.kept.iter().map(|kept| bytes_of(kept)).sum();
        assert_eq!(inner.bytes, sum);
        assert!(sum <= BYTES_MAX && sum > BYTES_MAX - 2 * body_bytes);
        assert_eq!(inner.by_address.len(), inner.kept.len());
        assert_eq!(inner.by_address.values().map(VecDeque::len).sum::<usize>(), inner.kept.len());
    }
}
