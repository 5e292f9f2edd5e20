//! What was appended and is not written yet, and the tickets of who waits for it.
//!
//! Everything that queues up while one batch is being written becomes the next batch. An appender
//! copies its payload under a lock and goes on; it never waits for the disk.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use domain::id::Position;
use tokio::sync::Notify;

use super::AppendError;
use super::format::{BATCH_HEADER_BYTES, Header, RECORD_HEADER_BYTES, put_record};

/// A buffer that has grown larger than this in a burst is not kept for the next batch.
const BUFFER_KEPT_BYTES_MAX: usize = 1 << 20;

/// The records that are written together, as those see them who wait for them.
pub(super) struct Batch {
    number: u64,
    outcome: OnceLock<Result<Written, AppendError>>,
    settled: Notify,
}

/// Where a batch was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) first: u64,
    pub(super) at_us: i64,
}

impl Batch {
    fn new(number: u64) -> Arc<Self> {
        Arc::new(Self { number, outcome: OnceLock::new(), settled: Notify::new() })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A batch is decided once; who comes second says the same, or is a stop on top of a failure.
    pub(super) fn decide(&self, outcome: Result<Written, AppendError>) {
        _ = self.outcome.set(outcome);
    }

    pub(super) fn settle(&self, outcome: Result<Written, AppendError>) {
        self.decide(outcome);
        self.settled.notify_waiters();
    }
}

/// A claim on a record that was appended. Clones are claims on the same record.
#[derive(Clone)]
pub struct Ticket {
    batch: Arc<Batch>,
    index: u32,
}

impl Ticket {
    /// The number of the commit the record belongs to. It is settled, one way or the other, once
    /// [`super::Journal::settled`] has reached it.
    pub fn batch(&self) -> u64 {
        self.batch.number
    }

    /// The record's position once it is durable, or why it is not there and will not be; `None`
    /// until that is settled. Takes no lock.
    pub fn result(&self) -> Option<Result<Position, AppendError>> {
        self.batch.outcome.get().map(|outcome| self.position(outcome))
    }

    /// The time the record was stamped with, in microseconds since 1970, once it is durable.
    pub fn at_us(&self) -> Option<i64> {
        self.batch.outcome.get().and_then(|outcome| outcome.as_ref().ok()).map(|it| it.at_us)
    }

    /// Waits until the record is settled.
    pub async fn wait(&self) -> Result<Position, AppendError> {
        // Made before the look, so that a batch that is settled in between still wakes it.
        let settled = self.batch.settled.notified();
        if let Some(result) = self.result() {
            return result;
        }
        settled.await;
        self.wait_blocking()
    }

    /// As [`Ticket::wait`], for a thread that may block.
    pub fn wait_blocking(&self) -> Result<Position, AppendError> {
        self.position(self.batch.outcome.wait())
    }

    fn position(&self, outcome: &Result<Written, AppendError>) -> Result<Position, AppendError> {
        outcome.as_ref().map(|it| Position(it.first + u64::from(self.index))).map_err(Clone::clone)
    }
}

/// The records of one batch as they are handed to the writer.
pub(super) struct Taken {
    /// Room for the batch's header, and the records behind it.
    pub(super) bytes: Vec<u8>,
    pub(super) count: u32,
    pub(super) batch: Arc<Batch>,
}

/// What the writer has to do.
pub(super) enum Next {
    Batch(Taken),
    /// Nothing has come for a while. The buffer that was handed over comes back.
    Idle(Vec<u8>),
    /// The queue is closed and empty, or stopped.
    End,
}

/// Where records wait for the writer.
pub(super) struct Queue {
    pending: Mutex<Pending>,
    woken: Condvar,
    record_bytes_max: usize,
    batch_bytes_max: usize,
}

struct Pending {
    bytes: Vec<u8>,
    count: u32,
    batch: Arc<Batch>,
    /// The writer sleeps and has not been woken yet.
    asleep: bool,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    /// What is queued is still written, nothing is added.
    Closing,
    /// Nothing is written any more.
    Stopped,
}

impl Queue {
    /// `batch_bytes_max` bounds the records that wait, `record_bytes_max` one payload.
    pub(super) fn new(record_bytes_max: usize, batch_bytes_max: usize) -> Self {
        let pending = Pending {
            bytes: vec![0; BATCH_HEADER_BYTES],
            count: 0,
            batch: Batch::new(1),
            asleep: false,
            state: State::Open,
        };
        let (pending, woken) = (Mutex::new(pending), Condvar::new());
        Self { pending, woken, record_bytes_max, batch_bytes_max }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Nothing panics while it holds the lock, short of memory running out, which aborts.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, header: &Header, payload: &[u8]) -> Result<Ticket, AppendError> {
        if payload.len() > self.record_bytes_max {
            return Err(AppendError::TooLarge { max: self.record_bytes_max });
        }
        let mut pending = self.pending();
        if pending.state != State::Open {
            return Err(AppendError::Stopped);
        }
        let bytes = pending.bytes.len() - BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + payload.len();
        if bytes > self.batch_bytes_max {
            return Err(AppendError::Busy);
        }
        put_record(header, payload, &mut pending.bytes);
        let ticket = Ticket { batch: Arc::clone(&pending.batch), index: pending.count };
        pending.count += 1;
        let asleep = std::mem::take(&mut pending.asleep);
        drop(pending);
        if asleep {
            self.woken.notify_one();
        }
        Ok(ticket)
    }

    /// Everything that is queued, as soon as that is something. `spare` is the last batch's
    /// buffer, to be filled again.
    pub(super) fn take(&self, mut spare: Vec<u8>, idle_after: Duration) -> Next {
        if spare.capacity() > BUFFER_KEPT_BYTES_MAX {
            spare = Vec::new();
        }
        spare.clear();
        spare.resize(BATCH_HEADER_BYTES, 0);
        let mut pending = self.pending();
        while pending.count == 0 && pending.state == State::Open {
            pending.asleep = true;
            let woken = self.woken.wait_timeout(pending, idle_after);
            let (waited, timed_out) = woken.unwrap_or_else(PoisonError::into_inner);
            pending = waited;
            pending.asleep = false;
            if timed_out.timed_out() && pending.count == 0 && pending.state == State::Open {
                return Next::Idle(spare);
            }
        }
        if pending.count == 0 || pending.state == State::Stopped {
            return Next::End;
        }
        Next::Batch(pending.cut(spare))
    }

    /// Lets the writer finish what is queued and end.
    pub(super) fn close(&self) {
        let mut pending = self.pending();
        if pending.state == State::Open {
            pending.state = State::Closing;
        }
        drop(pending);
        self.woken.notify_one();
    }

    /// Refuses everything from here on, what is queued included. The answer is its batch, for the
    /// one who counts settled batches.
    pub(super) fn stop(&self) -> u64 {
        let mut pending = self.pending();
        pending.state = State::Stopped;
        let taken = pending.cut(Vec::new());
        drop(pending);
        taken.batch.settle(Err(AppendError::Stopped));
        self.woken.notify_one();
        taken.batch.number
    }
}

impl Pending {
    fn cut(&mut self, buffer: Vec<u8>) -> Taken {
        let next = Batch::new(self.batch.number + 1);
        Taken {
            bytes: std::mem::replace(&mut self.bytes, buffer),
            count: std::mem::take(&mut self.count),
            batch: std::mem::replace(&mut self.batch, next),
        }
    }
}
