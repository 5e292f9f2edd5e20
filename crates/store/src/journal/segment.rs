//! The segments of a journal: their names, where each begins, and how far the last one is durable.
//!
//! The writer moves the durable end after a sync and never else; whoever reads stops there.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::id::Position;

use super::format::{Seed, SegmentHeader};
use super::{Damage, ReadError};
use crate::disk::{Disk, File};

/// What a file is called while it is being made.
pub(super) const UNFINISHED: &str = ".new";
const ENDING: &str = ".log";

/// The file of a segment.
pub(super) fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}{ENDING}"))
}

/// The file of a segment while it is being made.
pub(super) fn unfinished_path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}{ENDING}{UNFINISHED}"))
}

/// The number of the segment that a file is, if it is one.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(ENDING)?;
    let number = digits.parse().ok()?;
    (digits == format!("{number:08}")).then_some(number)
}

/// Where a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) number: u32,
    pub(super) follows: u64,
    pub(super) first: u64,
    pub(super) floor_us: i64,
}

impl From<&SegmentHeader> for Extent {
    fn from(header: &SegmentHeader) -> Self {
        let SegmentHeader { number, follows, first, floor_us, .. } = *header;
        Self { number, follows, first, floor_us }
    }
}

/// What the writer and all readers of one journal share.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) id: [u8; 16],
    pub(super) seed: Seed,
    table: Mutex<Table>,
}

/// The segments from the oldest kept to the one that is written, which is always there.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) segments: VecDeque<Extent>,
    /// How far the last segment's file is durable.
    pub(super) end: u64,
    /// The ordinal after the last durable record.
    pub(super) next: u64,
    /// The time of the last durable record.
    pub(super) last_at_us: i64,
}

/// Where to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) extent: Extent,
    /// How far the segment's file is durable; `None` where all of it is.
    pub(super) limit: Option<u64>,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, id: [u8; 16], table: Table) -> Self {
        Self { disk, dir, id, seed: Seed::new(&id), table: Mutex::new(table) }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the table, so it is whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a segment for reading. One that is gone was removed in the meantime.
    pub(super) fn open(&self, number: u32) -> Result<Arc<dyn File>, ReadError> {
        match self.disk.open_read(&path_of(&self.dir, number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let table = self.table();
                let oldest = table.segments[0];
                if number < oldest.number {
                    return Err(ReadError::Removed { oldest: Position(oldest.follows) });
                }
                Err(Damage::new(number, 0, "its file is missing").into())
            }
            opened => Ok(opened?.into()),
        }
    }
}

impl Table {
    pub(super) fn last(&self) -> Extent {
        *self.segments.back().expect("the written segment is always there")
    }

    /// The ordinal from which on everything is kept; it may be one that was skipped.
    pub(super) fn oldest(&self) -> u64 {
        self.segments[0].follows
    }

    /// The segment of this number, or nothing if it was removed.
    pub(super) fn place(&self, number: u32) -> Option<Place> {
        let at = number.checked_sub(self.segments[0].number)?;
        let extent = *self.segments.get(usize::try_from(at).ok()?)?;
        let limit = (number == self.last().number).then_some(self.end);
        Some(Place { extent, limit })
    }

    /// The segment that holds the record `ordinal`, or the next one where that was skipped; for
    /// the next ordinal the segment that is written.
    pub(super) fn look_up(&self, ordinal: u64) -> Result<Place, ReadError> {
        if ordinal > self.next {
            return Err(ReadError::Ahead { next: Position(self.next) });
        }
        if ordinal < self.oldest() {
            return Err(ReadError::Removed { oldest: Position(self.oldest()) });
        }
        let begun = self.segments.partition_point(|extent| extent.first <= ordinal);
        let at = match self.segments.get(begun) {
            Some(after) if begun == 0 || after.follows <= ordinal => begun,
            _ => begun - 1,
        };
        Ok(self.place(self.segments[at].number).expect("the segment is in the table"))
    }
}
