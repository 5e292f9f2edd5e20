//! Makes the next segment ahead of need, on its own thread.
//!
//! A segment is written full of zeros, synced, and only then gets its name: what is called
//! `NNNNNNNN.log` is whole. After that no write to it changes its size or its extents, so a sync
//! of a batch is a sync of data alone, and going over to it costs one sync of its header.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ballast::Ballast;
use super::fatal::Fatal;
use super::segment::{path_of, unfinished_path_of};
use crate::disk::{Disk, File};

/// Zeros are written this many bytes at a time, and each piece is synced, so that a batch waits
/// behind one piece at most.
const PIECE_BYTES: u64 = 1 << 20;

/// A segment that is whole but for its header.
pub(super) struct Prepared {
    pub(super) number: u32,
    pub(super) file: Arc<dyn File>,
    pub(super) bytes: u64,
}

/// Hands prepared segments over.
pub(super) struct Preparer {
    slot: Mutex<Slot>,
    changed: Condvar,
    retry_full_after: Duration,
}

enum Slot {
    Idle,
    Wanted(u32),
    Making,
    Ready(Prepared),
    Failed { kind: io::ErrorKind, at: Instant },
    Stopped,
}

/// What the thread works with.
pub(super) struct Work {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) ballast: Option<Arc<Ballast>>,
    pub(super) fatal: Arc<Fatal>,
}

impl Preparer {
    pub(super) fn new(retry_full_after: Duration) -> Self {
        Self { slot: Mutex::new(Slot::Idle), changed: Condvar::new(), retry_full_after }
    }

    /// Asks for the segment of this number. It is made in the background.
    pub(super) fn want(&self, number: u32) {
        let mut slot = self.slot();
        if !matches!(*slot, Slot::Stopped) {
            *slot = Slot::Wanted(number);
            self.changed.notify_all();
        }
    }

    /// The segment of this number, which was asked for. Waits while it is being made. Where that
    /// has failed it is tried once more, but not within `retry_full_after` of the last failure.
    pub(super) fn take(&self, number: u32) -> io::Result<Prepared> {
        let mut retried = false;
        let mut slot = self.slot();
        loop {
            match &*slot {
                Slot::Wanted(_) | Slot::Making => {
                    slot = self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
                }
                Slot::Failed { at, .. } if !retried && at.elapsed() >= self.retry_full_after => {
                    retried = true;
                    *slot = Slot::Wanted(number);
                    self.changed.notify_all();
                }
                Slot::Failed { kind, .. } => return Err((*kind).into()),
                Slot::Stopped => return Err(io::Error::other("the journal has stopped")),
                Slot::Idle | Slot::Ready(_) => match std::mem::replace(&mut *slot, Slot::Idle) {
                    Slot::Ready(prepared) => return Ok(prepared),
                    _ => return Err(io::Error::other("nobody asked for the segment")),
                },
            }
        }
    }

    /// Whether [`Preparer::take`] would answer with a segment at once. Where making it has failed, it
    /// is asked for again, but not within `retry_full_after` of the last failure.
    pub(super) fn is_ready(&self, number: u32) -> bool {
        let mut slot = self.slot();
        if matches!(&*slot, Slot::Failed { at, .. } if at.elapsed() >= self.retry_full_after) {
            *slot = Slot::Wanted(number);
            self.changed.notify_all();
        }
        matches!(*slot, Slot::Ready(_))
    }

    /// Takes back a segment that could not be begun after all; the next [`Preparer::take`] gets it.
    pub(super) fn put_back(&self, prepared: Prepared) {
        let mut slot = self.slot();
        if matches!(*slot, Slot::Idle) {
            *slot = Slot::Ready(prepared);
        }
    }

    /// Ends the thread when it is through with what it does.
    pub(super) fn stop(&self) {
        *self.slot() = Slot::Stopped;
        self.changed.notify_all();
    }

    /// The thread: makes what is wanted until it is stopped.
    pub(super) fn run(&self, work: &Work) {
        loop {
            let number = {
                let mut slot = self.slot();
                loop {
                    match *slot {
                        Slot::Stopped => return,
                        Slot::Wanted(number) => {
                            *slot = Slot::Making;
                            break number;
                        }
                        _ => {
                            slot = self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
                        }
                    }
                }
            };
            let made = work.make(number);
            let mut slot = self.slot();
            if matches!(*slot, Slot::Stopped) {
                return;
            }
            *slot = match made {
                Ok(prepared) => Slot::Ready(prepared),
                Err(kind) => Slot::Failed { kind, at: Instant::now() },
            };
            self.changed.notify_all();
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn make(&self, number: u32) -> Result<Prepared, io::ErrorKind> {
        let unfinished = unfinished_path_of(&self.dir, number);
        // To find out by writing would take what the ballast was given up for.
        if self.disk.free_bytes(&self.dir).is_ok_and(|free| free < self.needed_bytes()) {
            tracing::warn!(segment = number, "there is no room for a new journal segment");
            return Err(io::ErrorKind::StorageFull);
        }
        let file = match lay_out(&*self.disk, &unfinished, &[], self.segment_bytes) {
            Ok(file) => file,
            Err(failure) => {
                let error = failure.error();
                // A disk may tell only at a sync that it is full. Nothing depends on this file.
                if matches!(failure, Failure::Sync(_)) && !is_full(error.kind()) {
                    self.fatal.happen(&format!("a new segment cannot be synced: {error}"));
                }
                tracing::warn!(%error, segment = number, "no new journal segment can be made");
                _ = self.disk.remove(&unfinished);
                return Err(error.kind());
            }
        };
        if let Err(error) = self.disk.rename(&unfinished, &path_of(&self.dir, number)) {
            tracing::warn!(%error, segment = number, "a new journal segment cannot be named");
            _ = self.disk.remove(&unfinished);
            return Err(error.kind());
        }
        if let Err(error) = self.disk.sync_dir(&self.dir) {
            self.fatal.happen(&format!("the journal's folder cannot be synced: {error}"));
            return Err(error.kind());
        }
        // There was room for a segment: perhaps there is for the ballast.
        if let Some(Err(error)) = self.ballast.as_ref().map(|ballast| ballast.make()) {
            tracing::warn!(%error, "there is no room for the ballast file yet");
        }
        Ok(Prepared { number, file, bytes: self.segment_bytes })
    }

    /// A segment, and the ballast where that is to be made again.
    fn needed_bytes(&self) -> u64 {
        self.segment_bytes + self.ballast.as_ref().map_or(0, |ballast| ballast.missing_bytes())
    }
}

/// Why a file was not laid out.
pub(super) enum Failure {
    Write(io::Error),
    Sync(io::Error),
}

impl Failure {
    pub(super) fn error(&self) -> &io::Error {
        let (Self::Write(error) | Self::Sync(error)) = self;
        error
    }

    pub(super) fn into_error(self) -> io::Error {
        let (Self::Write(error) | Self::Sync(error)) = self;
        error
    }
}

/// Makes a file that begins with `head` and goes on with zeros up to `bytes`, and syncs it.
pub(super) fn lay_out(
    disk: &dyn Disk,
    path: &std::path::Path,
    head: &[u8],
    bytes: u64,
) -> Result<Arc<dyn File>, Failure> {
    let file: Arc<dyn File> = disk.create(path).map_err(Failure::Write)?.into();
    if !head.is_empty() {
        file.write_all_at(head, 0).map_err(Failure::Write)?;
    }
    let mut at = head.len() as u64;
    loop {
        let end = bytes.min(at + PIECE_BYTES);
        write_zeros(&*file, at, end).map_err(Failure::Write)?;
        file.sync().map_err(Failure::Sync)?;
        at = end;
        if at >= bytes {
            return Ok(file);
        }
    }
}

/// Writes zeros from `from` up to `to`.
pub(super) fn write_zeros(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    let left = |at: u64| to.saturating_sub(at).min(PIECE_BYTES);
    let zeros = vec![0; super::scan::size(left(from))];
    let mut at = from;
    while at < to {
        file.write_all_at(&zeros[..super::scan::size(left(at))], at)?;
        at += left(at);
    }
    Ok(())
}

/// Whether a write failed for want of room.
pub(super) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
