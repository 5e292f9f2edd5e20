//! Sends what is owed: takes it over from the ledger, leases what is due, calls, and settles.
//!
//! Three tasks. One takes over as the ledger goes on. One begins attempts: of every destination
//! first those that were never tried, so that none waits behind another's retries, nor behind
//! another destination. One settles, many at a time.

use super::halted::Halted;
use super::lag;
use super::settling::Settling;
use super::slots::{Asked, Slots};
use super::teller::{Called, Teller, Unmade};
use super::trouble::{Trouble, Work};
use crate::clock::Clock;
use crate::ingest::Progress;
use crate::live::Live;
use domain::destination::{Destination, Hearing, Next, OwedKind};
use domain::id::{DeliveryId, DestinationId, Position};
use domain::time::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;
use store::deliveries::{Attempt, Deliveries, Delivery, Due, Fate, Incoming, Lane};
use store::list::StoredOwed;
use tokio::sync::{Notify, mpsc, watch};

/// How many are taken over at once.
const TAKEN_MAX: u32 = 500;
/// How many attempts are settled at once.
const SETTLED_MAX: usize = 500;
/// How long nothing may happen before it is looked again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it is waited after a store did not answer.
const STORE_AGAIN: Duration = Duration::from_millis(500);

/// What sends.
pub(crate) struct Sender {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) deliveries: Arc<dyn Deliveries>,
    pub(crate) live: Arc<Live>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) progress: Arc<Progress>,
    /// Nothing is sent before the ledger is there: it may be made again just now, and know neither
    /// destinations nor conversions yet.
    pub(crate) begins_at: Position,
    pub(crate) teller: Arc<Teller>,
    /// Nobody else begins an attempt for so long after one was begun.
    pub(crate) lease: Duration,
    pub(crate) settling: Settling,
    pub(crate) trouble: Arc<Trouble>,
    pub(crate) halted: Arc<Halted>,
    /// Something may be due.
    pub(crate) wake: Arc<Notify>,
    pub(crate) slots: Mutex<Slots>,
}

/// An attempt's place among those that are under way, however that ends.
struct Slot {
    sender: Arc<Sender>,
    delivery: DeliveryId,
    id: DestinationId,
    lane: Lane,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.sender.settling.unsettled.end(self.delivery);
        self.sender.slots().end(self.id, self.lane);
    }
}

struct Ended {
    attempt: Attempt,
    slot: Slot,
}

/// What has come of beginning attempts.
struct Begun {
    look_at: Timestamp,
    /// Not all that is due could be leased.
    failure: Option<store::Error>,
}

/// What every attempt is begun with.
#[derive(Clone)]
struct Way {
    done: mpsc::Sender<Ended>,
    stopped: watch::Receiver<bool>,
}

impl Way {
    /// No attempt begins any more.
    fn is_closed(&self) -> bool {
        *self.stopped.borrow()
    }
}

impl Sender {
    /// Begins attempts until `stopped` says so, and settles those that are under way then.
    pub(crate) async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.progress.reaches(self.begins_at) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        let (done, settled) = mpsc::channel(SETTLED_MAX);
        let taking = self.clone().take_over(stopped.clone());
        let settling = self.clone().settle(settled);
        let sending = self.send(Way { done, stopped });
        tokio::join!(taking, settling, sending);
    }

    async fn take_over(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut cursor = None;
        while !*stopped.borrow() {
            let position = self.progress.position();
            let taken = self.take_some(&mut cursor).await;
            if taken.is_ok() {
                self.trouble.has_succeeded(Work::TakingOver);
            }
            match taken {
                Ok(0) => tokio::select! {
                    () = self.progress.passes(position) => {}
                    _ = stopped.changed() => {}
                },
                Ok(_) => self.wake.notify_one(),
                Err(error) => {
                    self.trouble.has_failed(Work::TakingOver, &error, self.clock.now());
                    pause(STORE_AGAIN, &mut stopped).await;
                }
            }
        }
    }

    /// How many there were.
    async fn take_some(&self, cursor: &mut Option<DeliveryId>) -> Result<usize, store::Error> {
        let after = match *cursor {
            Some(cursor) => cursor,
            None => self.deliveries.cursor().await?,
        };
        let mut owed = self.store.owed(after, TAKEN_MAX).await?;
        {
            // The ledger has a destination a moment before it is in force.
            let setup = self.live.setup();
            let unknown = |one: &StoredOwed| setup.destination(one.owed.destination_id).is_none();
            let known = owed.iter().position(unknown).unwrap_or(owed.len());
            owed.truncate(known);
        }
        let last = owed.last().map_or(after, |last| last.id);
        let count = owed.len();
        let incoming = owed.into_iter().map(|stored| self.incoming(stored)).collect();
        self.deliveries.take_over(incoming).await?;
        *cursor = Some(last);
        Ok(count)
    }

    fn incoming(&self, stored: StoredOwed) -> Incoming {
        let setup = self.live.setup();
        let rules = setup.destination(stored.owed.destination_id).map(|one| &one.rules);
        let delay_s = rules.map_or(0, |rules| rules.delay_s);
        let hearing = rules.map(|rules| Hearing::of(&rules.corrections)).unwrap_or_default();
        let due_at = stored.owed.at.plus_s(delay_s.into()).max(stored.owed.owed_at());
        Incoming { stored, due_at, hearing }
    }

    async fn send(self: Arc<Self>, way: Way) {
        let mut stopped = way.stopped.clone();
        let mut turn = 0;
        while !way.is_closed() {
            turn += 1;
            self.settling.look_again();
            let begun = self.begin_some(&way, turn).await;
            let now = self.clock.now();
            let failure = begun.as_ref().map_or_else(Some, |begun| begun.failure.as_ref());
            match failure {
                None => self.trouble.has_succeeded(Work::Leasing),
                Some(error) => self.trouble.has_failed(Work::Leasing, error, now),
            }
            let Ok(Begun { look_at, .. }) = begun else {
                pause(STORE_AGAIN, &mut stopped).await;
                continue;
            };
            let wait_us = u64::try_from(look_at.us_since(now)).unwrap_or(0);
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(Duration::from_micros(wait_us).min(LOOK_EVERY)) => {}
                _ = stopped.changed() => {}
            }
        }
    }

    /// Begins as many attempts as there is room for. `Err`: it is not known what is due.
    async fn begin_some(self: &Arc<Self>, way: &Way, turn: usize) -> Result<Begun, store::Error> {
        let now = self.clock.now();
        let mut due = self.deliveries.due().await?;
        lag::note(&due, now);
        let mut look_at = Timestamp::MAX;
        // Nobody is always the first.
        let places = due.len().max(1);
        due.rotate_left(turn % places);
        let mut failure = None;
        let again_at = now.plus_ms(i64::try_from(STORE_AGAIN.as_millis()).unwrap_or(0));
        for one in due {
            if way.is_closed() {
                break;
            }
            match self.begin_of(way, &one, now).await {
                Ok(at) => look_at = look_at.min(at),
                // The others go on, and are not looked at later for it.
                Err(error) => {
                    look_at = look_at.min(again_at);
                    failure = Some(error);
                }
            }
        }
        Ok(Begun { look_at, failure })
    }

    /// The same of one destination: when to look again.
    async fn begin_of(
        self: &Arc<Self>,
        way: &Way,
        due: &Due,
        now: Timestamp,
    ) -> Result<Timestamp, store::Error> {
        let id = due.destination_id;
        let known = self.live.setup().destination(id).map(|one| (one.archived, one.pace));
        let Some((is_archived, pace)) = known else { return Ok(Timestamp::MAX) };
        if is_archived {
            let is_done = self.deliveries.cancel(id, now).await? == 0;
            return Ok(if is_done { Timestamp::MAX } else { now });
        }
        let until = now.plus_ms(i64::try_from(self.lease.as_millis()).unwrap_or(0));
        let Due { failures, is_paused, .. } = *due;
        let asked = |lane| Asked { id, lane, pace, failures, is_paused, now };
        if is_paused {
            let probe_at = due.probe_at.unwrap_or(Timestamp::MAX);
            // It is known to fail: that is no first attempt which others must not wait for.
            let asked = asked(Lane::Again);
            if probe_at <= now && self.slots().room(asked) > 0 {
                let _turn = self.settling.unsettled.turn.lock().await;
                let leased = self.deliveries.probe(id, (now, until)).await?;
                self.begin(way, asked, leased.into_iter().collect());
                return Ok(Timestamp::MAX);
            }
            return Ok(if probe_at > now { probe_at } else { Timestamp::MAX });
        }
        let mut look_at = Timestamp::MAX;
        for (lane, due_at) in due.lanes() {
            let Some(due_at) = due_at else { continue };
            if due_at > now {
                look_at = look_at.min(due_at);
                continue;
            }
            let asked = asked(lane);
            let room = self.slots().room(asked);
            if room == 0 {
                look_at = look_at.min(self.slots().next_at(id, now));
                continue;
            }
            let _turn = self.settling.unsettled.turn.lock().await;
            let leased = self.deliveries.lease(id, lane, room, (now, until)).await?;
            self.begin(way, asked, leased);
        }
        Ok(look_at)
    }

    /// Begins attempts at what was leased of one destination.
    fn begin(self: &Arc<Self>, way: &Way, asked: Asked, leased: Vec<Delivery>) {
        if leased.is_empty() {
            return;
        }
        let Asked { id, lane, now, .. } = asked;
        let destination = self.live.setup().destination(id).cloned().map(Arc::new);
        // None is ever removed; were it so, the leases would run out.
        let Some(destination) = destination else { return };
        let unsettled = &self.settling.unsettled;
        for delivery in leased {
            // Their leases run out, or are settled by what is under way.
            if unsettled.is_left_alone(delivery.id, now)
                || !unsettled.begin(delivery.id, delivery.attempts)
            {
                continue;
            }
            self.slots().begin(asked);
            let slot = Slot { sender: self.clone(), delivery: delivery.id, id, lane };
            let (destination, way) = (destination.clone(), way.clone());
            tokio::spawn(async move {
                if let Some(attempt) = slot.sender.attempt(&way, &destination, delivery).await {
                    // Where nobody settles any more, the lease runs out.
                    _ = way.done.send(Ended { attempt, slot }).await;
                }
            });
        }
    }

    async fn settle(self: Arc<Self>, mut settled: mpsc::Receiver<Ended>) {
        let mut ended = Vec::with_capacity(SETTLED_MAX);
        while settled.recv_many(&mut ended, SETTLED_MAX).await > 0 {
            let (attempts, slots): (Vec<_>, Vec<_>) =
                ended.drain(..).map(|one| (one.attempt, one.slot)).unzip();
            if !self.settling.settle(attempts).await.is_empty() {
                self.trouble.wake.notify_one();
            }
            // Only now is it known who fails, and may have fewer.
            drop(slots);
            self.wake.notify_one();
        }
    }

    /// One try, from the request to what it leads to; `None`: it was not begun.
    async fn attempt(
        &self,
        way: &Way,
        destination: &Destination,
        delivery: Delivery,
    ) -> Option<Attempt> {
        if !hears(destination, delivery.owed.kind) {
            self.give_back(&delivery, true).await;
            // What comes after it of the same conversion may be due.
            self.wake.notify_one();
            return None;
        }
        let at = self.clock.now();
        let number = delivery.attempts;
        let tries = number.saturating_sub(delivery.attempts_past);
        let bare = Attempt {
            delivery_id: delivery.id,
            destination_id: delivery.owed.destination_id,
            number,
            at,
            latency_ms: 0,
            method: destination.outbound.method.name().to_owned(),
            url: destination.outbound.url.clone(),
            http_status: None,
            answer: None,
            error: None,
            fate: Fate::Unmade,
            next: Next::Rejected,
        };
        let key = delivery.owed.idempotency_key(&self.live.setup());
        let made = self.teller.request(destination, &delivery.owed, &key, at).await;
        // That may have taken long.
        if way.is_closed() || self.is_halted(destination.id) {
            self.give_back(&delivery, false).await;
            return None;
        }
        let made = match made {
            Ok(made) => made,
            Err(why) => {
                let next = match why {
                    Unmade::Ever(_) => Next::Rejected,
                    Unmade::Now(_) => self.teller.again((delivery.id, tries)),
                };
                return Some(Attempt { error: Some(why.why()), next, ..bare });
            }
        };
        let Called { latency_ms, http_status, answer, error, fate, next } =
            self.teller.call(destination, &made, &key, (delivery.id, tries)).await;
        let url = made.shown.url;
        Some(Attempt { url, latency_ms, http_status, answer, error, fate, next, ..bare })
    }

    /// Whether a person has paused or archived it since this was leased.
    fn is_halted(&self, id: DestinationId) -> bool {
        let setup = self.live.setup();
        self.halted.has(id) || setup.destination(id).is_none_or(|one| one.archived)
    }

    /// Where that fails, the lease runs out.
    async fn give_back(&self, leased: &Delivery, unheard: bool) {
        let (id, number, now) = (leased.id, leased.attempts, self.clock.now());
        if let Err(error) = self.deliveries.give_back(id, number, unheard, now).await {
            tracing::debug!(%error, delivery.id = id.0, "a lease has to run out");
        }
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().expect("no panic happens under this lock")
    }
}

/// Whether it can be told that by now. What it could hear when that came to be owed may have changed.
fn hears(destination: &Destination, kind: OwedKind) -> bool {
    let hearing = Hearing::of(&destination.rules.corrections);
    match kind {
        OwedKind::Notice => true,
        OwedKind::Correction => hearing.corrections,
        OwedKind::Withdrawal => hearing.withdrawals,
    }
}

async fn pause(time: Duration, stopped: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        _ = stopped.changed() => {}
    }
}
