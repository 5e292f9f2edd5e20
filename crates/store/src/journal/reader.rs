//! Reads records in order, never past what is durable.
//!
//! This is how records are applied, live and after a restart. Whole batches are read from the page
//! cache, their checksums verified, and handed out without a copy of each record.

use std::sync::Arc;

use bytes::Bytes;
use domain::id::Position;

use super::find::Finder;
use super::format::{BatchHeader, Header, RECORD_HEADER_BYTES, split_record};
use super::scan::{BLOCK_BYTES, Batch, Scan, Step, size};
use super::segment::{Place, Shared};
use super::{Damage, ReadError};
use crate::disk::File;

/// A place in the journal.
pub struct Reader {
    shared: Arc<Shared>,
    file: Arc<dyn File>,
    scan: Scan,
    limit: Limit,
    /// What is left of the batch that was read last.
    rest: Option<Run>,
}

/// How far a segment can be read.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// It is being written, and durable up to here.
    Durable(u64),
    /// Another one follows it. It is this long, with the zeros behind its last batch.
    Whole(u64),
}

impl Reader {
    /// See [`super::Journal::reader`].
    pub(super) fn open(finder: &Finder, from: Position) -> Result<Self, ReadError> {
        let shared = Arc::clone(&finder.shared);
        let ordinal = from.0.max(1);
        let place = shared.table().look_up(ordinal)?;
        let (file, mut scan) = finder.near(&place, ordinal)?;
        scan.read_at_once(BLOCK_BYTES);
        let mut reader = Self { shared, file, scan, limit: Limit::Durable(0), rest: None };
        reader.seek(ordinal)?;
        Ok(reader)
    }

    /// Up to `records_max` records whose headers and payloads take up to `bytes_max`, but one at
    /// least; `None` where everything durable has been read. After an error nothing is skipped:
    /// the next call comes to the same place.
    pub fn next(
        &mut self,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Option<Chunk>, ReadError> {
        let mut chunk = Chunk::default();
        loop {
            let run = match self.rest.take() {
                Some(run) => run,
                None => match self.load() {
                    Ok(Some(batch)) => Run::from(&batch),
                    Ok(None) => break,
                    // What was gathered is good; the error comes again at the next call.
                    Err(_) if chunk.count > 0 => break,
                    Err(error) => return Err(error),
                },
            };
            let (records, bytes) =
                (records_max - chunk.count, bytes_max - chunk.bytes.min(bytes_max));
            let (taken, rest) = run.cut(records, bytes, chunk.count == 0);
            chunk.push(taken);
            self.rest = rest;
            if self.rest.is_some() || chunk.count >= records_max {
                break;
            }
        }
        Ok((chunk.count > 0).then_some(chunk))
    }

    /// Where the next record stands, or will.
    pub fn position(&self) -> Position {
        Position(self.rest.as_ref().map_or(self.scan.next, |rest| rest.first))
    }

    /// Moves to `ordinal`, or behind what was skipped there.
    fn seek(&mut self, ordinal: u64) -> Result<(), ReadError> {
        while let Some(header) = self.advance()? {
            if header.first >= ordinal {
                break;
            }
            if header.end() <= ordinal {
                self.scan.skip(&header);
                continue;
            }
            let run = Run::from(&self.take(header)?);
            let before = size(ordinal - run.first);
            self.rest = run.cut(before, usize::MAX, false).1;
            break;
        }
        Ok(())
    }

    /// The next batch; `None` at the end of what is durable.
    fn load(&mut self) -> Result<Option<Batch>, ReadError> {
        let header = self.advance()?;
        header.map(|header| self.take(header)).transpose()
    }

    fn take(&mut self, header: BatchHeader) -> Result<Batch, ReadError> {
        let what = match self.scan.take(header, self.limit.bytes())? {
            Step::Batch(batch) => return Ok(batch),
            Step::Torn(what) => what.to_owned(),
            Step::Wrong(what) => what,
            Step::End => "it is zero".to_owned(),
        };
        Err(Damage::new(self.scan.number, self.scan.offset, what).into())
    }

    /// The header of the next batch, over the ends of segments; `None` at the end of what is
    /// durable.
    fn advance(&mut self) -> Result<Option<BatchHeader>, ReadError> {
        loop {
            let what = match (self.scan.header(self.limit.bytes())?, self.limit) {
                (Step::Batch(header), _) => return Ok(Some(header)),
                (Step::Torn(what), _) => what.to_owned(),
                (Step::Wrong(what), _) => what,
                (Step::End, Limit::Durable(limit)) if self.scan.offset < limit => {
                    "it is zero where a batch was written".to_owned()
                }
                (Step::End, _) if self.extend()? => continue,
                (Step::End, _) => return Ok(None),
            };
            return Err(Damage::new(self.scan.number, self.scan.offset, what).into());
        }
    }

    /// Looks whether more can be read than before, in this segment or the next.
    fn extend(&mut self) -> Result<bool, ReadError> {
        let (here, after, oldest) = {
            let table = self.shared.table();
            let number = self.scan.number;
            (table.place(number), table.place(number + 1), Position(table.oldest()))
        };
        match (self.limit, here.and_then(|here| here.limit)) {
            (_, Some(durable)) => {
                let before = self.limit.bytes();
                self.limit = Limit::Durable(durable);
                Ok(durable > before)
            }
            (Limit::Durable(_), None) => {
                self.limit = Limit::Whole(self.file.len()?);
                Ok(true)
            }
            // A segment may be removed while it is read to its end; the next one goes on from it.
            (Limit::Whole(_), None) => {
                self.enter(&after.ok_or(ReadError::Removed { oldest })?)?;
                Ok(true)
            }
        }
    }

    fn enter(&mut self, place: &Place) -> Result<(), ReadError> {
        let extent = place.extent;
        if extent.follows != self.scan.next {
            return Err(self.scan.ends_early(extent.follows).into());
        }
        self.file = self.shared.open(extent.number)?;
        let file = Arc::clone(&self.file);
        self.scan = Scan::new(file, self.shared.seed, extent.number, extent.first);
        self.limit = Limit::Durable(0);
        Ok(())
    }
}

impl Limit {
    fn bytes(self) -> u64 {
        let (Self::Durable(bytes) | Self::Whole(bytes)) = self;
        bytes
    }
}

/// Some records, in order. A clone shares their bytes.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    runs: Vec<Run>,
    count: usize,
    bytes: usize,
}

impl Chunk {
    /// How many records there are: one at least.
    #[expect(clippy::len_without_is_empty, reason = "there is no empty chunk")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The position of the first record.
    pub fn first(&self) -> Position {
        Position(self.runs[0].first)
    }

    /// The position after the last record.
    pub fn end(&self) -> Position {
        let last = &self.runs[self.runs.len() - 1];
        Position(last.first + last.count as u64)
    }

    /// The records with their positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Position, Header, &[u8])> {
        self.runs.iter().flat_map(Run::iter)
    }

    fn push(&mut self, run: Run) {
        if run.count > 0 {
            self.count += run.count;
            self.bytes += run.bytes.len();
            self.runs.push(run);
        }
    }
}

/// Records whose positions are dense.
#[derive(Clone, Debug)]
pub(super) struct Run {
    first: u64,
    count: usize,
    bytes: Bytes,
}

impl From<&Batch> for Run {
    fn from(batch: &Batch) -> Self {
        let BatchHeader { first, count, .. } = batch.header;
        Self { first, count: size(count.into()), bytes: batch.records() }
    }
}

impl Run {
    pub(super) fn iter(&self) -> impl Iterator<Item = (Position, Header, &[u8])> {
        let mut rest = &self.bytes[..];
        (self.first..).take(self.count).map(move |ordinal| {
            let (header, payload, after) =
                split_record(rest).expect("the records were counted when the batch was read");
            rest = after;
            (Position(ordinal), header, payload)
        })
    }

    /// The first `records` that take up to `bytes`, one at least where `some` is set, and what is
    /// left.
    fn cut(self, records: usize, bytes: usize, some: bool) -> (Run, Option<Run>) {
        if self.count <= records && self.bytes.len() <= bytes {
            return (self, None);
        }
        let (mut count, mut len) = (0, 0);
        for (_, _, payload) in self.iter() {
            let longer = len + RECORD_HEADER_BYTES + payload.len();
            if (count >= records || longer > bytes) && !(some && count == 0) {
                break;
            }
            (count, len) = (count + 1, longer);
        }
        let taken = Run { first: self.first, count, bytes: self.bytes.slice(..len) };
        let rest = Run {
            first: self.first + count as u64,
            count: self.count - count,
            bytes: self.bytes.slice(len..),
        };
        (taken, (rest.count > 0).then_some(rest))
    }
}
