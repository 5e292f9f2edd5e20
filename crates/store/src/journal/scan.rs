//! Walks a segment's batches, and believes none before its checksums agree.
//!
//! Reading, recovery and verification all go through here, so they cannot disagree on what a
//! batch is.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::Damage;
use super::format::{
    ALIGNMENT, BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, Header, RECORD_HEADER_BYTES,
    SEGMENT_HEADER_BYTES, Seed, split_record,
};
use crate::disk::File;

/// How much is read at once where batches are small.
pub(super) const BLOCK_BYTES: u64 = 256 << 10;

/// A place in a segment, and what stands there.
pub(super) struct Scan {
    file: Arc<dyn File>,
    seed: Seed,
    pub(super) number: u32,
    /// Where the next batch begins.
    pub(super) offset: u64,
    /// The ordinal it must begin with.
    pub(super) next: u64,
    block: Bytes,
    block_at: u64,
    block_bytes: u64,
}

/// What stands where a batch may begin.
pub(super) enum Step<T> {
    Batch(T),
    /// Zeros, or the end of what there is.
    End,
    /// Something that a write which was cut short can leave.
    Torn(&'static str),
    /// Something that no crash can leave.
    Wrong(String),
}

/// A batch whose checksums agree.
pub(super) struct Batch {
    pub(super) header: BatchHeader,
    /// Header, records and the zeros behind them.
    pub(super) raw: Bytes,
    /// The time of its last record.
    pub(super) at_us: i64,
}

impl Batch {
    pub(super) fn records(&self) -> Bytes {
        let bytes = usize::try_from(self.header.bytes).expect("the batch is in memory");
        self.raw.slice(BATCH_HEADER_BYTES..BATCH_HEADER_BYTES + bytes)
    }
}

impl Scan {
    /// From the first batch of a segment, which begins with the ordinal `first`.
    pub(super) fn new(file: Arc<dyn File>, seed: Seed, number: u32, first: u64) -> Self {
        Self::from(file, seed, number, SEGMENT_HEADER_BYTES, first)
    }

    /// From a batch that is known to begin at `offset`, with the ordinal `next`.
    pub(super) fn from(
        file: Arc<dyn File>,
        seed: Seed,
        number: u32,
        offset: u64,
        next: u64,
    ) -> Self {
        Self {
            file,
            seed,
            number,
            offset,
            next,
            block: Bytes::new(),
            block_at: 0,
            block_bytes: BLOCK_BYTES,
        }
    }

    /// Reads this much at once where batches are small.
    pub(super) fn read_at_once(&mut self, bytes: u64) {
        self.block_bytes = bytes;
    }

    /// The next batch, and moves behind it. What lies at and after `limit` does not exist; what
    /// lies before it does not change.
    pub(super) fn step(&mut self, limit: u64) -> io::Result<Step<Batch>> {
        match self.header(limit)? {
            Step::Batch(header) => self.take(header, limit),
            Step::End => Ok(Step::End),
            Step::Torn(what) => Ok(Step::Torn(what)),
            Step::Wrong(what) => Ok(Step::Wrong(what)),
        }
    }

    /// The header of the next batch, without a look at its records.
    pub(super) fn header(&mut self, limit: u64) -> io::Result<Step<BatchHeader>> {
        let raw = self.window(BATCH_HEADER_BYTES as u64, limit)?;
        if raw.iter().all(|byte| *byte == 0) {
            return Ok(Step::End);
        }
        let Some(header) = BatchHeader::decode(&raw, self.seed) else {
            return Ok(Step::Torn("no batch header stands there, and it is not zero"));
        };
        Ok(if header.segment != self.number {
            Step::Wrong(format!("the batch belongs to segment {}", header.segment))
        } else if header.first != self.next {
            Step::Wrong(format!("position {} follows {}", header.first, self.next))
        } else if header.count == 0 {
            Step::Wrong("the batch is empty".to_owned())
        } else if limit.saturating_sub(self.offset) < header.len() {
            Step::Torn("the batch is longer than what there is")
        } else {
            Step::Batch(header)
        })
    }

    /// Reads the batch whose header stands here, and moves behind it.
    pub(super) fn take(&mut self, header: BatchHeader, limit: u64) -> io::Result<Step<Batch>> {
        let raw = self.window(header.len(), limit)?;
        if raw.len() as u64 != header.len() {
            return Ok(Step::Torn("the batch is longer than what there is"));
        }
        if BatchHeader::decode(&raw, self.seed).as_ref() != Some(&header) {
            return Ok(Step::Torn("the batch header changes while it is read"));
        }
        if crc32c::crc32c(&raw[BATCH_HEADER_BYTES..]) != header.crc {
            return Ok(Step::Torn("the checksum of the batch does not agree"));
        }
        let mut batch = Batch { header, raw, at_us: i64::MIN };
        let Some(last) = last_of(&batch.records(), batch.header.count) else {
            return Ok(Step::Wrong("the records do not fill the batch".to_owned()));
        };
        batch.at_us = last.at_us;
        self.skip(&batch.header);
        Ok(Step::Batch(batch))
    }

    /// What is wrong where the segment ends here and another goes on with the ordinal `follows`.
    pub(super) fn ends_early(&self, follows: u64) -> Damage {
        let what = format!(
            "it ends before position {}, and the next segment follows {follows}",
            self.next
        );
        Damage::new(self.number, self.offset, what)
    }

    /// Moves behind the batch whose header stands here.
    pub(super) fn skip(&mut self, header: &BatchHeader) {
        self.offset += header.len();
        self.next = header.end();
    }

    /// Moves to the batch at `at`, whatever its first ordinal is.
    pub(super) fn jump(&mut self, at: u64, limit: u64) -> io::Result<()> {
        self.offset = at;
        let raw = self.window(BATCH_HEADER_BYTES as u64, limit)?;
        if let Some(header) = BatchHeader::decode(&raw, self.seed) {
            self.next = header.first;
        }
        Ok(())
    }

    /// Up to `len` bytes from here on; fewer where they end.
    fn window(&mut self, len: u64, limit: u64) -> io::Result<Bytes> {
        let left = limit.saturating_sub(self.offset);
        let len = len.min(left);
        let at = self.offset.wrapping_sub(self.block_at);
        if self.offset < self.block_at || at + len > self.block.len() as u64 {
            let mut block = vec![0; size(len.max(self.block_bytes).min(left))];
            let read = self.file.read_at(&mut block, self.offset)?;
            block.truncate(read);
            self.block = block.into();
            self.block_at = self.offset;
        }
        let at = size(self.offset - self.block_at);
        Ok(self.block.slice(at..self.block.len().min(at + size(len))))
    }
}

/// The header of the last of `count` records, where they are just what `records` holds.
fn last_of(records: &[u8], count: u32) -> Option<Header> {
    if (records.len() / RECORD_HEADER_BYTES) < size(count.into()) {
        return None;
    }
    let (mut last, mut rest) = (None, records);
    for _ in 0..count {
        let (header, _, after) = split_record(rest)?;
        (last, rest) = (Some(header), after);
    }
    last.filter(|_| rest.is_empty())
}

/// Where, from `from` on, a batch of segment `number` begins whose ordinal is later than `next`.
/// Behind the one batch that was being written at a crash there is none.
pub(super) fn later_batch(
    file: &dyn File,
    seed: Seed,
    number: u32,
    from: u64,
    next: u64,
) -> io::Result<Option<u64>> {
    let step = ALIGNMENT as u64;
    let mut at = from.next_multiple_of(step);
    let mut block = vec![0; size(BLOCK_BYTES)];
    loop {
        let read = file.read_at(&mut block, at)?;
        if read < BATCH_HEADER_BYTES {
            return Ok(None);
        }
        let starts = (read - BATCH_HEADER_BYTES) / ALIGNMENT + 1;
        for start in (0..starts).map(|start| start * ALIGNMENT) {
            if !block[start..].starts_with(&BATCH_MAGIC) {
                continue;
            }
            let header = BatchHeader::decode(&block[start..read], seed);
            if header.is_some_and(|it| it.segment == number && it.first > next) {
                return Ok(Some(at + start as u64));
            }
        }
        at += starts as u64 * step;
    }
}

/// Where, from `from` up to `to`, the first byte is that is not zero.
pub(super) fn first_not_zero(file: &dyn File, from: u64, to: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; size(BLOCK_BYTES)];
    let mut at = from;
    while at < to {
        let wanted = size((to - at).min(BLOCK_BYTES));
        let read = file.read_at(&mut block[..wanted], at)?;
        // Whole words first: this looks at every byte of an empty segment at each start.
        let (words, rest) = block[..read].as_chunks::<16>();
        let zeros = words.iter().take_while(|word| u128::from_le_bytes(**word) == 0).count() * 16;
        if zeros < read - rest.len() || rest.iter().any(|byte| *byte != 0) {
            let found = block[zeros..read].iter().position(|byte| *byte != 0);
            return Ok(found.map(|found| at + (zeros + found) as u64));
        }
        if read < wanted {
            return Ok(None);
        }
        at += read as u64;
    }
    Ok(None)
}

/// A length that is bounded by a segment's.
pub(super) fn size(len: u64) -> usize {
    usize::try_from(len).expect("a segment fits into the address space")
}
