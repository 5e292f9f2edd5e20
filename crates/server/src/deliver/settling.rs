//! Writes what attempts have led to, many at a time. Where not all of them can be written, those that
//! can are found: a damaged page holds up only what is on it.

use super::trouble::{Trouble, Work};
use crate::clock::Clock;
use domain::id::{DeliveryId, DestinationId};
use domain::time::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use store::deliveries::{Attempt, Deliveries, PauseRule};

/// How long it is waited after a store did not answer.
const STORE_AGAIN: Duration = Duration::from_millis(500);
/// How long a delivery whose attempt could not be settled is left alone at first, in seconds; each
/// time twice as long.
const ALONE_S: i64 = 120;
/// It is never left alone for longer, in seconds.
const ALONE_S_MAX: i64 = 86_400;
/// What was not tried again for so long after it was left alone, in seconds, is not tried any more: it
/// was cancelled, or waits for something else.
const OUTLIVED_S: i64 = 3_600;
/// More often it need not be doubled.
const DOUBLED_MAX: u32 = 20;
/// Of so many is it known at the most how long they are left alone.
const UNSETTLED_MAX: usize = 100_000;

pub(crate) struct Settling {
    pub(crate) deliveries: Arc<dyn Deliveries>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) trouble: Arc<Trouble>,
    pub(crate) rule: PauseRule,
    pub(crate) unsettled: Unsettled,
}

/// The deliveries that were sent, and of which that is not written: their leases run out, and they
/// would be sent again whenever they do.
#[derive(Default)]
pub(crate) struct Unsettled {
    /// Those of which it could not be written.
    alone: Mutex<HashMap<DeliveryId, Alone>>,
    /// Those that are under way, until that is written; the attempt that holds their leases.
    under_way: Mutex<HashMap<DeliveryId, u32>>,
    /// Held while a lease is taken and known here, and while attempts are written: what is written
    /// is of the attempt that holds the lease.
    pub(super) turn: tokio::sync::Mutex<()>,
}

struct Alone {
    times: u32,
    until: Timestamp,
}

impl Settling {
    /// Settles them, as far as they can be settled; the destinations that this has paused.
    pub(super) async fn settle(&self, attempts: Vec<Attempt>) -> Vec<DestinationId> {
        for attempt in &attempts {
            let labels = [("led_to", attempt.led_to())];
            metrics::counter!("counterfoil_delivery_attempts_total", &labels).increment(1);
        }
        let settle = |some: Arc<[Attempt]>| async move {
            let _turn = self.unsettled.turn.lock().await;
            self.deliveries.settle(self.unsettled.renumbered(&some), self.rule).await
        };
        let is_away = |error: &store::Error| {
            self.trouble.has_failed(Work::Settling, error, self.clock.now());
        };
        let (settled, paused, failed) = halved(attempts, settle, is_away).await;
        for id in settled {
            self.unsettled.forget(id);
        }
        for (id, error) in failed {
            let now = self.clock.now();
            self.trouble.has_failed(Work::Settling, &error, now);
            self.unsettled.leave_alone(id, now);
        }
        self.unsettled.outlive(self.clock.now());
        if self.unsettled.is_empty() {
            self.trouble.has_succeeded(Work::Settling);
        }
        paused
    }

    /// What could not be settled and is not tried any more is no trouble any more, even where nothing
    /// else is settled.
    pub(super) fn look_again(&self) {
        if self.unsettled.outlive(self.clock.now()) && self.unsettled.is_empty() {
            self.trouble.has_succeeded(Work::Settling);
        }
    }
}

/// Settles all of them at once; where that fails, one half after the other, down to those that fail
/// by themselves. A store that is away is waited for. Which were settled, which destinations that has
/// paused, and what is wrong with the others.
async fn halved<F>(
    attempts: Vec<Attempt>,
    settle: impl Fn(Arc<[Attempt]>) -> F,
    is_away: impl Fn(&store::Error),
) -> (Vec<DeliveryId>, Vec<DestinationId>, Vec<(DeliveryId, store::Error)>)
where
    F: Future<Output = Result<Vec<DestinationId>, store::Error>>,
{
    let (mut settled, mut all_paused, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let mut left: VecDeque<Arc<[Attempt]>> = VecDeque::from([attempts.into()]);
    while let Some(some) = left.pop_front() {
        match (settle(some.clone()).await, &*some) {
            (Ok(paused), _) => {
                settled.extend(some.iter().map(|one| one.delivery_id));
                all_paused.extend(paused);
            }
            (Err(error @ store::Error::Unavailable(_)), _) => {
                is_away(&error);
                tokio::time::sleep(STORE_AGAIN).await;
                left.push_front(some);
            }
            (Err(_), []) => {}
            (Err(error), [one]) => failed.push((one.delivery_id, error)),
            (Err(_), _) => {
                let (first, last) = some.split_at(some.len() / 2);
                left.push_front(last.into());
                left.push_front(first.into());
            }
        }
    }
    (settled, all_paused, failed)
}

impl Unsettled {
    /// Whether it is not to be sent now.
    pub(super) fn is_left_alone(&self, id: DeliveryId, now: Timestamp) -> bool {
        self.all().get(&id).is_some_and(|alone| alone.until > now)
    }

    /// Whether it was not under way before. Where it was, its lease has run out before it could be
    /// settled: what it leads to is that of the attempt which holds the lease now, and is not made.
    pub(super) fn begin(&self, id: DeliveryId, number: u32) -> bool {
        self.under_way().insert(id, number).is_none()
    }

    pub(super) fn end(&self, id: DeliveryId) {
        self.under_way().remove(&id);
    }

    /// They, as attempts that hold the leases.
    fn renumbered(&self, attempts: &Arc<[Attempt]>) -> Arc<[Attempt]> {
        let under_way = self.under_way();
        let number = |one: &Attempt| under_way.get(&one.delivery_id).map_or(one.number, |n| *n);
        if attempts.iter().all(|one| number(one) == one.number) {
            return attempts.clone();
        }
        attempts.iter().map(|one| Attempt { number: number(one), ..one.clone() }).collect()
    }

    fn leave_alone(&self, id: DeliveryId, now: Timestamp) {
        let mut all = self.all();
        if all.len() >= UNSETTLED_MAX && !all.contains_key(&id) {
            return;
        }
        let alone = all.entry(id).or_insert(Alone { times: 0, until: now });
        let times_longer = 1_i64.checked_shl(alone.times).unwrap_or(i64::MAX);
        alone.times = (alone.times + 1).min(DOUBLED_MAX);
        alone.until = now.plus_s(ALONE_S.saturating_mul(times_longer).min(ALONE_S_MAX));
    }

    fn forget(&self, id: DeliveryId) {
        self.all().remove(&id);
    }

    /// Forgets what is not tried any more; whether there was any.
    fn outlive(&self, now: Timestamp) -> bool {
        let mut all = self.all();
        let before = all.len();
        all.retain(|_, alone| alone.until.plus_s(OUTLIVED_S) > now);
        all.len() < before
    }

    fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<DeliveryId, Alone>> {
        self.alone.lock().expect("no panic happens under this lock")
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<DeliveryId, u32>> {
        self.under_way.lock().expect("no panic happens under this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::destination::Next;
    use std::cell::{Cell, RefCell};
    use store::deliveries::Fate;

    const NOW: Timestamp = Timestamp::from_s(1_800_000_000);

    fn attempt(id: u64) -> Attempt {
        Attempt {
            delivery_id: DeliveryId(id),
            destination_id: DestinationId(1),
            number: 1,
            at: NOW,
            latency_ms: 1,
            method: "GET".to_owned(),
            url: "https://t.example/".to_owned(),
            http_status: Some(200),
            answer: None,
            error: None,
            fate: Fate::MayHaveArrived,
            next: Next::Delivered,
        }
    }

    fn damaged() -> store::Error {
        store::Error::Corrupt { place: "a page".to_owned(), detail: "malformed".to_owned() }
    }

    #[tokio::test]
    async fn what_can_be_settled_is_settled_beside_what_cannot() {
        for bad in [vec![], vec![1], vec![7, 8], vec![1, 4, 9], (1..=9).collect()] {
            let written = RefCell::new(Vec::new());
            let settle = async |some: Arc<[Attempt]>| {
                let ids = some.iter().map(|one| one.delivery_id.0);
                if ids.clone().any(|id| bad.contains(&id)) {
                    return Err(damaged());
                }
                written.borrow_mut().extend(ids);
                Ok(vec![DestinationId(1)])
            };
            let away = |error: &store::Error| panic!("{error}");
            let all = (1..=9).map(attempt).collect();
            let (settled, paused, failed) = halved(all, settle, away).await;
            let failed: Vec<u64> = failed.into_iter().map(|(id, _)| id.0).collect();
            assert_eq!(failed, bad);
            let good: Vec<u64> = (1..=9).filter(|id| !bad.contains(id)).collect();
            assert_eq!(*written.borrow(), good, "in their order, each once");
            assert_eq!(settled.iter().map(|id| id.0).collect::<Vec<_>>(), good);
            assert_eq!(paused.is_empty(), good.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_waited_for() {
        let (tries, waits) = (Cell::new(0), Cell::new(0));
        let settle = async |_: Arc<[Attempt]>| {
            tries.set(tries.get() + 1);
            match tries.get() {
                1..=3 => Err(store::Error::Unavailable("full".to_owned())),
                _ => Ok(Vec::new()),
            }
        };
        let away = |_: &store::Error| waits.set(waits.get() + 1);
        let (settled, _, failed) = halved(vec![attempt(1), attempt(2)], settle, away).await;
        assert_eq!((settled.len(), failed.len(), tries.get(), waits.get()), (2, 0, 4, 3));
    }

    #[test]
    fn what_cannot_be_settled_is_left_alone_for_longer_each_time() {
        let unsettled = Unsettled::default();
        let id = DeliveryId(1);
        assert!(!unsettled.is_left_alone(id, NOW));
        for seconds in [120, 240, 480] {
            unsettled.leave_alone(id, NOW);
            assert!(unsettled.is_left_alone(id, NOW.plus_s(seconds - 1)), "{seconds}");
            assert!(!unsettled.is_left_alone(id, NOW.plus_s(seconds)), "{seconds}");
        }
        for _ in 0..200 {
            unsettled.leave_alone(id, NOW);
        }
        assert!(unsettled.is_left_alone(id, NOW.plus_s(ALONE_S_MAX - 1)));
        assert!(!unsettled.is_left_alone(id, NOW.plus_s(ALONE_S_MAX)));
        assert!(!unsettled.is_left_alone(DeliveryId(2), NOW));
        unsettled.forget(id);
        assert!(unsettled.is_empty());
    }

    #[test]
    fn what_is_leased_while_it_is_under_way_is_not_begun_and_settled_by_that_lease() {
        let unsettled = Unsettled::default();
        assert!(unsettled.begin(DeliveryId(1), 1) && unsettled.begin(DeliveryId(2), 1));
        let numbers = |unsettled: &Unsettled| {
            let all: Arc<[Attempt]> = [1, 2, 3].map(attempt).into();
            unsettled.renumbered(&all).iter().map(|one| one.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&unsettled), [1, 1, 1]);
        assert!(!unsettled.begin(DeliveryId(2), 2), "it is under way");
        assert_eq!(numbers(&unsettled), [1, 2, 1]);
        unsettled.end(DeliveryId(2));
        assert!(unsettled.begin(DeliveryId(2), 3), "it is settled");
    }

    #[test]
    fn what_is_not_tried_any_more_is_outlived() {
        let unsettled = Unsettled::default();
        unsettled.leave_alone(DeliveryId(1), NOW);
        unsettled.leave_alone(DeliveryId(2), NOW.plus_s(60));
        let until = NOW.plus_s(ALONE_S + OUTLIVED_S);
        assert!(!unsettled.outlive(until.plus_s(-1)), "it may be tried again any moment");
        assert!(unsettled.outlive(until) && !unsettled.is_empty(), "the other may");
        assert!(unsettled.outlive(until.plus_s(60)) && unsettled.is_empty());
        assert!(!unsettled.outlive(until.plus_s(60)), "there is none");
    }
}
