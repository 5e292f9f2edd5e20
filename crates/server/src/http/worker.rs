//! What one worker thread keeps for its connections. None of it is shared, so none of it locks.

use super::buffered::Buffered;
use super::figures::Figures;
use super::waiting::Waiting;
use crate::app::App;
use crate::keys;
use jiff::fmt::rfc2822::DateTimePrinter;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How often time-outs are looked at, and so how exact they are.
pub(super) const TICK: Duration = Duration::from_millis(250);
const TICKS_PER_S: u64 = 4;

pub(super) struct Worker {
    pub(super) app: Arc<App>,
    pub(super) figures: Figures,
    pub(super) waiting: Rc<Waiting>,
    /// Answers everything that is neither click nor postback.
    pub(super) router: axum::Router,
    /// Where it runs: a long list must not hold up the clicks of this thread.
    pub(super) rest: Handle,
    /// Shared by all workers.
    pub(super) buffered: Arc<Buffered>,
    /// For the record that is being written.
    pub(super) record: RefCell<Vec<u8>>,
    random: Cell<u64>,
    tick: Cell<u64>,
    date: RefCell<String>,
    watches: RefCell<HashMap<u64, Rc<Watch>>>,
    watched: Cell<u64>,
    stopping: Cell<bool>,
    emptied: Notify,
}

impl Worker {
    pub(super) fn new(
        app: Arc<App>,
        router: axum::Router,
        rest: Handle,
        buffered: Arc<Buffered>,
    ) -> Self {
        let worker = Self {
            app,
            figures: Figures::new(),
            waiting: Rc::default(),
            router,
            rest,
            buffered,
            record: RefCell::default(),
            random: Cell::new(u64::from_le_bytes(keys::random())),
            tick: Cell::new(0),
            date: RefCell::default(),
            watches: RefCell::default(),
            watched: Cell::new(0),
            stopping: Cell::new(false),
            emptied: Notify::new(),
        };
        worker.renew_date();
        worker
    }

    /// 64 bits that differ from draw to draw (splitmix64). They keep ids apart and are no secret:
    /// what proves a click id is its MAC.
    pub(super) fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.random.set(state);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Now, as the `Date` header has it.
    pub(super) fn date(&self) -> std::cell::Ref<'_, String> {
        self.date.borrow()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Watches over a new connection.
    pub(super) fn watch(&self) -> (u64, Rc<Watch>) {
        let number = self.watched.get();
        self.watched.set(number + 1);
        let watch = Rc::new(Watch::default());
        self.watches.borrow_mut().insert(number, watch.clone());
        self.figures.connections_open.increment(1);
        (number, watch)
    }

    /// The connection is closed.
    pub(super) fn forget(&self, number: u64) {
        let mut watches = self.watches.borrow_mut();
        watches.remove(&number);
        self.figures.connections_open.decrement(1);
        if watches.is_empty() {
            self.emptied.notify_one();
        }
    }

    /// The tick after `seconds` from now.
    pub(super) fn tick_in(&self, seconds: u64) -> u64 {
        self.tick.get() + seconds.saturating_mul(TICKS_PER_S) + 1
    }

    /// Looks after time-outs and the date, for ever.
    pub(super) async fn sweep(self: Rc<Self>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let tick = self.tick.get() + 1;
            self.tick.set(tick);
            self.renew_date();
            for watch in self.watches.borrow().values() {
                watch.look(tick);
            }
        }
    }

    /// Closes what is idle, and waits until the rest has been answered.
    pub(super) async fn stop(&self) {
        self.stopping.set(true);
        for watch in self.watches.borrow().values() {
            if watch.is_idle() {
                watch.expire();
            }
        }
        while !self.watches.borrow().is_empty() {
            self.emptied.notified().await;
        }
    }

    fn renew_date(&self) {
        let now = self.app.clock.now().to_jiff();
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
        self.date.replace(date.expect("the clock is within the years that RFC 9110 knows"));
    }
}

/// What a connection waits for, and how long it may.
#[derive(Default)]
pub(super) struct Watch {
    wait: Cell<Option<Wait>>,
    waker: RefCell<Option<Waker>>,
    is_expired: Cell<bool>,
}

#[derive(Clone, Copy)]
struct Wait {
    until: u64,
    is_idle: bool,
}

impl Watch {
    /// The connection waits for its client, up to the tick `until`.
    pub(super) fn begin(&self, until: u64, is_idle: bool) {
        self.wait.set(Some(Wait { until, is_idle }));
    }

    /// It does not wait for its client any more.
    pub(super) fn end(&self) {
        self.wait.set(None);
    }

    /// Whether the wait has taken too long; if not, the task is woken when it has.
    pub(super) fn is_expired(&self, waker: &Waker) -> bool {
        let mut kept = self.waker.borrow_mut();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
        self.is_expired.get()
    }

    fn is_idle(&self) -> bool {
        self.wait.get().is_some_and(|wait| wait.is_idle)
    }

    fn look(&self, tick: u64) {
        if self.wait.get().is_some_and(|wait| wait.until <= tick) {
            self.expire();
        }
    }

    fn expire(&self) {
        self.is_expired.set(true);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}
