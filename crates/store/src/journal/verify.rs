//! Checks every checksum of a journal, and changes nothing.
//!
//! It may run beside the process that writes the journal: what that has not finished looks like
//! what recovery would cut, which is told and is not damage.

use std::io;
use std::path::Path;
use std::sync::Arc;

use domain::id::Position;

use super::format::{Header, Seed, SegmentHeader};
use super::open::{check_end, check_neighbours, list, read_header};
use super::reader::Run;
use super::scan::{Scan, Step, first_not_zero, later_batch};
use super::segment::path_of;
use super::{Damage, OpenError};
use crate::disk::{Disk, File};

/// What there is in a journal.
pub enum Found<'a> {
    Record(Position, Header, &'a [u8]),
    /// Something that no crash can leave. Records may be missing; what comes after is still read.
    Damage(Damage),
    /// What the next start cuts: behind the last whole batch of the last segment it is not zero.
    Torn(Damage),
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub segments: u64,
    pub batches: u64,
    pub records: u64,
    pub damages: u64,
}

/// Reads the journal in `dir` from end to end and tells everything it finds, in order.
///
/// An error means that it could not be looked at, for one because a later release wrote it.
pub fn verify(
    disk: &dyn Disk,
    dir: &Path,
    tell: &mut dyn FnMut(Found<'_>),
) -> Result<Verified, OpenError> {
    let mut walk = Walk { tell, verified: Verified::default(), last_at_us: i64::MIN };
    // All headers first: a segment that another was seen to follow is not written any more.
    let heads = walk.heads(disk, dir)?;
    for (at, header) in heads.iter().enumerate() {
        let after = heads.get(at + 1);
        let file: Arc<dyn File> = match disk.open_read(&path_of(dir, header.number)) {
            // The process that writes the journal has removed it since.
            Err(error) if error.kind() == io::ErrorKind::NotFound && after.is_some() => continue,
            opened => opened?.into(),
        };
        let scan = walk.segment(&file, header)?;
        let len = file.len()?;
        if let Some(after) = after {
            let damage = match check_neighbours(header, after) {
                Err(damage) => Some(damage),
                Ok(()) => check_end(&*file, &scan, len, after.follows)?,
            };
            if let Some(damage) = damage {
                walk.damage(damage);
            }
        } else if let Some(at) = first_not_zero(&*file, scan.offset, len)? {
            let what = format!("no whole batch stands there, and byte {at} is not zero");
            (walk.tell)(Found::Torn(Damage::new(scan.number, scan.offset, what)));
        }
    }
    Ok(walk.verified)
}

struct Walk<'a> {
    tell: &'a mut dyn FnMut(Found<'_>),
    verified: Verified,
    last_at_us: i64,
}

impl Walk<'_> {
    fn damage(&mut self, damage: Damage) {
        self.verified.damages += 1;
        (self.tell)(Found::Damage(damage));
    }

    /// The headers of all segments that were begun.
    fn heads(&mut self, disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentHeader>, OpenError> {
        let (numbers, _) = list(disk, dir)?;
        let mut heads = Vec::new();
        for (at, number) in numbers.iter().enumerate() {
            let file = match disk.open_read(&path_of(dir, *number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            match read_header(&*file, *number) {
                Ok(Some((header, _))) => heads.push(header),
                // Prepared, and not in use.
                Ok(None) if at > 0 && at + 1 == numbers.len() => {}
                Ok(None) => self.damage(Damage::new(*number, 0, "the segment has no header")),
                Err(OpenError::Damaged(damage)) => self.damage(damage),
                Err(error) => return Err(error),
            }
        }
        Ok(heads)
    }

    /// Tells a segment's records, up to where no valid batch follows.
    fn segment(&mut self, file: &Arc<dyn File>, header: &SegmentHeader) -> io::Result<Scan> {
        self.verified.segments += 1;
        let seed = Seed::new(&header.id);
        let number = header.number;
        let mut scan = Scan::new(Arc::clone(file), seed, number, header.first);
        let limit = file.len()?;
        loop {
            let what = match scan.step(limit)? {
                Step::Batch(batch) => {
                    self.verified.batches += 1;
                    self.records(&Run::from(&batch), number, scan.offset - batch.header.len());
                    continue;
                }
                Step::End => "it is zero".to_owned(),
                Step::Torn(what) => what.to_owned(),
                Step::Wrong(what) => what,
            };
            let Some(at) = later_batch(&**file, seed, number, scan.offset, scan.next)? else {
                return Ok(scan);
            };
            let what = format!("{what}, but a valid batch follows at byte {at}");
            self.damage(Damage::new(number, scan.offset, what));
            scan.jump(at, limit)?;
        }
    }

    fn records(&mut self, run: &Run, segment: u32, offset: u64) {
        for (position, header, payload) in run.iter() {
            if header.at_us < self.last_at_us {
                let what = format!("the time goes back at position {position}");
                self.damage(Damage::new(segment, offset, what));
            }
            self.last_at_us = header.at_us;
            self.verified.records += 1;
            (self.tell)(Found::Record(position, header, payload));
        }
    }
}
