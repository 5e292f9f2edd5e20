//! Finds a single record by its position.
//!
//! A sparse index notes where a batch begins about every 64 KiB of a segment. It is built as far as
//! it is asked for, by going from batch header to batch header, and kept for the segments that were
//! asked for last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::id::Position;

use super::format::{Header, SEGMENT_HEADER_BYTES};
use super::reader::Run;
use super::scan::{Scan, Step};
use super::segment::{Place, Shared};
use super::{Damage, ReadError};
use crate::disk::File;

/// How far two notes are apart, about.
const NOTE_EVERY_BYTES: u64 = 64 << 10;
/// For how many segments notes are kept: each takes a file handle, and about 16 KiB.
const INDEXES_MAX: usize = 64;

pub(super) struct Finder {
    pub(super) shared: Arc<Shared>,
    /// The one asked for last stands first.
    indexes: Mutex<VecDeque<Arc<Index>>>,
}

/// What is known of one segment.
struct Index {
    number: u32,
    file: Arc<dyn File>,
    /// Offsets at which batches begin, with their first ordinals, ascending in both.
    notes: Mutex<Vec<(u64, u64)>>,
}

impl Finder {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, indexes: Mutex::new(VecDeque::new()) }
    }

    /// See [`super::Journal::read`].
    pub(super) fn read(&self, at: Position) -> Result<Option<(Header, Vec<u8>)>, ReadError> {
        let place = match self.shared.table().look_up(at.0) {
            Err(ReadError::Removed { .. }) if at.0 == 0 => return Ok(None),
            Err(ReadError::Ahead { .. }) => return Ok(None),
            // It was skipped.
            Ok(place) if at.0 < place.extent.first => return Ok(None),
            found => found?,
        };
        let (file, mut scan) = self.near(&place, at.0)?;
        let limit = match place.limit {
            Some(limit) => limit,
            None => file.len()?,
        };
        let found = loop {
            match scan.header(limit)? {
                Step::Batch(header) if header.end() <= at.0 => scan.skip(&header),
                Step::Batch(header) => break scan.take(header, limit)?,
                Step::End => break Step::End,
                Step::Torn(what) => break Step::Torn(what),
                Step::Wrong(what) => break Step::Wrong(what),
            }
        };
        let what = match found {
            Step::Batch(batch) => {
                let run = Run::from(&batch);
                let record = run.iter().find(|(position, ..)| *position == at);
                return Ok(record.map(|(_, header, payload)| (header, payload.to_vec())));
            }
            Step::End => match place.limit {
                Some(limit) if scan.offset < limit => "it is zero where a batch was written".into(),
                Some(_) => return Ok(None),
                None => return Err(self.ends_early(&scan)),
            },
            Step::Torn(what) => what.to_owned(),
            Step::Wrong(what) => what,
        };
        Err(Damage::new(scan.number, scan.offset, what).into())
    }

    /// A closed segment has ended where a record was looked for that the next one follows.
    fn ends_early(&self, scan: &Scan) -> ReadError {
        let table = self.shared.table();
        match table.place(scan.number + 1) {
            Some(after) => scan.ends_early(after.extent.follows).into(),
            None => ReadError::Removed { oldest: Position(table.oldest()) },
        }
    }

    /// A segment's file, and a place in it that is not behind `ordinal` and not far before.
    pub(super) fn near(
        &self,
        place: &Place,
        ordinal: u64,
    ) -> Result<(Arc<dyn File>, Scan), ReadError> {
        let index = self.index(place.extent.number)?;
        let limit = match place.limit {
            Some(limit) => limit,
            None => index.file.len()?,
        };
        let mut notes = index.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.is_empty() {
            notes.push((SEGMENT_HEADER_BYTES, place.extent.first));
        }
        let known = notes.partition_point(|(_, first)| *first <= ordinal).max(1);
        let (mut last, first) = notes[known - 1];
        let (seed, file) = (self.shared.seed, Arc::clone(&index.file));
        let mut scan = Scan::from(file, seed, index.number, last, first);
        scan.read_at_once(NOTE_EVERY_BYTES);
        if known == notes.len() {
            // What does not read is met again, and reported, by who reads on from here.
            while let Step::Batch(header) = scan.header(limit)? {
                if scan.offset >= last + NOTE_EVERY_BYTES {
                    last = scan.offset;
                    notes.push((last, header.first));
                }
                if header.end() > ordinal {
                    break;
                }
                scan.skip(&header);
            }
        }
        Ok((Arc::clone(&index.file), scan))
    }

    /// Forgets the segments before this one.
    pub(super) fn forget_before(&self, number: u32) {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.retain(|index| index.number >= number);
    }

    fn index(&self, number: u32) -> Result<Arc<Index>, ReadError> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match indexes.iter().position(|index| index.number == number) {
            Some(0) => return Ok(Arc::clone(&indexes[0])),
            Some(at) => indexes.remove(at).expect("its place was just found"),
            None => Arc::new(Index {
                number,
                file: self.shared.open(number)?,
                notes: Mutex::new(Vec::new()),
            }),
        };
        indexes.push_front(Arc::clone(&index));
        indexes.truncate(INDEXES_MAX);
        Ok(index)
    }
}
