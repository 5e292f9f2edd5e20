//! The one thread that writes the journal.
//!
//! It takes everything that is queued, writes it as one batch, syncs, and only then tells anybody:
//! readers first, then those who wait. There is no timer: what queues up during one sync is the
//! next batch. What fails is cut back to the last durable byte, and a failed sync ends the process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::id::Position;
use tokio::sync::watch;

use super::ballast::Ballast;
use super::fatal::Fatal;
use super::format::{
    ALIGNMENT, BATCH_HEADER_BYTES, BatchHeader, SEGMENT_HEADER_BYTES, SegmentHeader, stamp,
};
use super::prepare::{Preparer, is_full, write_zeros};
use super::queue::{Batch, Next, Queue, Taken, Written};
use super::segment::{Extent, Shared};
use super::{AppendError, Clock, SEGMENT_AGE_MAX_US};
use crate::disk::File;

/// What the thread works with.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    pub(super) preparer: Arc<Preparer>,
    pub(super) ballast: Option<Arc<Ballast>>,
    pub(super) fatal: Arc<Fatal>,
    pub(super) clock: Clock,
    pub(super) node: u16,
    pub(super) settled: watch::Sender<u64>,
    pub(super) durable: watch::Sender<Position>,
    pub(super) segment: Segment,
    pub(super) idle_after: Duration,
}

/// The segment that is written.
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) file: Arc<dyn File>,
    /// How long it may become.
    pub(super) bytes: u64,
    /// The last durable byte, exclusively: where the next batch begins.
    pub(super) end: u64,
    /// The ordinal of the next record.
    pub(super) next: u64,
    /// The time of its first record.
    pub(super) first_at_us: Option<i64>,
    pub(super) last_at_us: i64,
}

enum Failure {
    /// The batch is not there, and the journal is as it was before.
    Batch(io::Error),
    Fatal(String),
}

impl Writer {
    /// The thread: ends when the queue is closed and empty, or after what is fatal.
    pub(super) fn run(mut self) {
        let mut spare = Vec::new();
        loop {
            let mut taken = match self.queue.take(spare, self.idle_after) {
                Next::Batch(taken) => taken,
                Next::Idle(buffer) => {
                    spare = buffer;
                    match self.leave_old((self.clock)()) {
                        Ok(()) => continue,
                        Err(reason) => {
                            self.fatal.happen(&reason);
                            return self.stop();
                        }
                    }
                }
                Next::End => return,
            };
            let outcome = match self.commit(&mut taken) {
                Ok(written) if !self.fatal.has_happened() => Ok(written),
                Err(Failure::Batch(error)) if !self.fatal.has_happened() => {
                    Err(self.refusal(&error))
                }
                stopped => {
                    if let Err(Failure::Fatal(reason)) = stopped {
                        self.fatal.happen(&reason);
                    }
                    taken.batch.settle(Err(AppendError::Stopped));
                    return self.stop();
                }
            };
            if let Ok(written) = outcome {
                self.publish(&taken.batch, written);
            }
            taken.batch.settle(outcome);
            self.settled.send_replace(taken.batch.number());
            spare = taken.bytes;
        }
    }

    fn stop(&self) {
        self.settled.send_replace(self.queue.stop());
    }

    /// Makes a batch durable.
    fn commit(&mut self, taken: &mut Taken) -> Result<Written, Failure> {
        let at_us = (self.clock)().max(self.segment.last_at_us);
        let records = taken.bytes.len() - BATCH_HEADER_BYTES;
        taken.bytes.resize(taken.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let len = taken.bytes.len() as u64;
        self.leave_old(at_us).map_err(Failure::Fatal)?;
        if self.segment.end + len > self.segment.bytes {
            self.roll_over()?;
        }
        let (head, rest) = taken.bytes.split_at_mut(BATCH_HEADER_BYTES);
        stamp(&mut rest[..records], at_us);
        let header = BatchHeader {
            segment: self.segment.number,
            first: self.segment.next,
            count: taken.count,
            bytes: u32::try_from(records).expect("a batch fits into a segment"),
            crc: crc32c::crc32c(rest),
        };
        head.copy_from_slice(&header.encode(self.shared.seed));
        let Segment { file, end, .. } = &self.segment;
        if let Err(error) = file.write_all_at(&taken.bytes, *end) {
            return Err(cut_back(&**file, *end, len, error));
        }
        file.sync()
            .map_err(|error| Failure::Fatal(format!("a batch cannot be synced: {error}")))?;
        self.segment.end += len;
        self.segment.next = header.end();
        self.segment.last_at_us = at_us;
        self.segment.first_at_us.get_or_insert(at_us);
        Ok(Written { first: header.first, at_us })
    }

    /// Goes over to the next segment where this one has held records for long enough. Until that is
    /// made it goes on with this one, which has room: nobody waits. An error is fatal.
    fn leave_old(&mut self, at_us: i64) -> Result<(), String> {
        let is_old = |first_at_us| at_us.saturating_sub(first_at_us) >= SEGMENT_AGE_MAX_US;
        let is_due = self.segment.first_at_us.is_some_and(is_old);
        if !is_due || !self.preparer.is_ready(self.segment.number + 1) {
            return Ok(());
        }
        match self.roll_over() {
            Err(Failure::Fatal(reason)) => Err(reason),
            Err(Failure::Batch(_)) | Ok(()) => Ok(()),
        }
    }

    /// Goes over to the next segment. Its header is durable before any batch is written behind it,
    /// so recovery need never guess whether a segment without one was in use.
    fn roll_over(&mut self) -> Result<(), Failure> {
        let prepared = self.preparer.take(self.segment.number + 1).map_err(Failure::Batch)?;
        let Segment { next, last_at_us, .. } = self.segment;
        let header = SegmentHeader {
            number: prepared.number,
            id: self.shared.id,
            node: self.node,
            follows: next,
            first: next,
            floor_us: last_at_us,
        };
        if let Err(error) = prepared.file.write_all_at(&header.encode(), 0) {
            let failure = cut_back(&*prepared.file, 0, SEGMENT_HEADER_BYTES, error);
            self.preparer.put_back(prepared);
            return Err(failure);
        }
        let synced = prepared.file.sync();
        synced.map_err(|error| Failure::Fatal(format!("a header cannot be synced: {error}")))?;
        let (number, bytes, end) = (prepared.number, prepared.bytes, SEGMENT_HEADER_BYTES);
        let (file, first_at_us) = (prepared.file, None);
        self.segment = Segment { number, file, bytes, end, next, first_at_us, last_at_us };
        self.preparer.want(number + 1);
        let mut table = self.shared.table();
        table.segments.push_back(Extent::from(&header));
        table.end = end;
        Ok(())
    }

    /// Lets readers see what is durable, before anybody is told so. All of it happens under one
    /// lock: whoever has read a record finds its ticket settled, and whoever has a settled ticket
    /// can read its record, and sees how far the journal is.
    fn publish(&self, batch: &Batch, written: Written) {
        let mut table = self.shared.table();
        table.end = self.segment.end;
        table.next = self.segment.next;
        table.last_at_us = written.at_us;
        self.durable.send_replace(Position(self.segment.next));
        batch.decide(Ok(written));
    }

    fn refusal(&self, error: &io::Error) -> AppendError {
        if !is_full(error.kind()) {
            tracing::error!(%error, "a batch of the journal was not written");
            return AppendError::Io(error.kind());
        }
        if self.ballast.as_ref().is_some_and(|ballast| ballast.release()) {
            tracing::error!("the journal is full: records are refused until there is room");
        }
        AppendError::Full
    }
}

/// Undoes a failed write of `len` bytes at `offset`, so that nothing of it can be taken for a batch
/// and whatever is written next stands before zeros.
fn cut_back(file: &dyn File, offset: u64, len: u64, error: io::Error) -> Failure {
    let zeroed = write_zeros(file, offset, offset + len);
    // Where even zeros are refused, the file is made shorter: it grows again with the next batch.
    match zeroed.or_else(|_| file.set_len(offset)).and_then(|()| file.sync()) {
        Ok(()) => Failure::Batch(error),
        Err(second) => Failure::Fatal(format!(
            "a write failed ({error}), and cutting it back to byte {offset} did too: {second}"
        )),
    }
}
