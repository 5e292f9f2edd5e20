//! Finds out what a crash has left, and makes it durable before anybody reads it.
//!
//! The last segment is copied, synced and renamed over itself: after a failed sync the kernel may
//! show bytes that are not on the disk. What follows its last valid batch is cut. Whatever no crash
//! can leave is refused, for it would have to be guessed what was lost.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use domain::id::Position;

use super::format::{NoSegment, SEGMENT_HEADER_BYTES, Seed, SegmentHeader};
use super::prepare::{Failure, is_full, lay_out, write_zeros};
use super::scan::{Scan, Step, first_not_zero, later_batch, size};
use super::segment::{Extent, Table, UNFINISHED, number_of, path_of, unfinished_path_of};
use super::writer::Segment;
use super::{Damage, OpenError, Options};
use crate::disk::{Disk, File};

/// The file that is locked as long as a journal is open.
const LOCK: &str = "lock";
/// Copied batches are written in pieces of about this size.
const COPY_BYTES: usize = 1 << 20;

/// A journal as it was found, ready to be read and written.
pub(super) struct Opened {
    pub(super) id: [u8; 16],
    pub(super) table: Table,
    pub(super) segment: Segment,
}

/// Keeps other processes out of the journal in `dir`.
pub(super) fn lock(disk: &dyn Disk, dir: &Path) -> Result<crate::disk::Lock, OpenError> {
    disk.create_dir_all(dir)?;
    disk.lock(&dir.join(LOCK)).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => error.into(),
    })
}

/// Opens the journal in `dir`, which is locked, and makes one where there is none.
pub(super) fn open(disk: &dyn Disk, dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    let (numbers, unfinished) = list(disk, dir)?;
    for name in unfinished {
        disk.remove(&dir.join(name))?;
    }
    // A process that died between a rename and its sync has left names that are shown, and are not
    // durable.
    disk.sync_dir(dir)?;
    let mut heads = Vec::new();
    for number in &numbers {
        let path = path_of(dir, *number);
        match read_header(&*disk.open_read(&path)?, *number)? {
            Some(head) => heads.push(head),
            // Prepared and never begun, or with a header that was being written at the crash.
            None if Some(number) == numbers.last() && numbers.len() > 1 => {
                disk.remove(&path)?;
                disk.sync_dir(dir)?;
            }
            None => return Err(Damage::new(*number, 0, "the segment has no header").into()),
        }
    }
    let Some((last, page)) = heads.last() else {
        reaches(1, options)?;
        return Ok(Opened::begin(disk, dir, options, VecDeque::new(), None)?);
    };
    if last.node != options.node.get() {
        return Err(OpenError::Node { found: last.node, asked: options.node.get() });
    }
    for pair in heads.windows(2) {
        check_neighbours(&pair[0].0, &pair[1].0)?;
    }
    if let [.., (before, _), _] = &heads[..] {
        check_closed(&disk.open_read(&path_of(dir, before.number))?.into(), before, last.follows)?;
    }
    let segment = rewrite(disk, dir, (last, page), options)?;
    let extents = heads.iter().map(|(header, _)| Extent::from(header)).collect();
    let opened = Opened::new(last.id, extents, segment);
    if options.skip == 0 {
        return Ok(opened);
    }
    Ok(Opened::begin(disk, dir, options, opened.table.segments.clone(), Some(&opened))?)
}

impl Opened {
    fn new(id: [u8; 16], segments: VecDeque<Extent>, segment: Segment) -> Self {
        let Segment { end, next, last_at_us, .. } = segment;
        Self { id, table: Table { segments, end, next, last_at_us }, segment }
    }

    /// Begins a segment behind `before`, or the first one, `options.skip` ordinals on.
    fn begin(
        disk: &dyn Disk,
        dir: &Path,
        options: &Options,
        mut segments: VecDeque<Extent>,
        before: Option<&Opened>,
    ) -> io::Result<Self> {
        let follows = before.map_or(1, |it| it.table.next);
        let header = SegmentHeader {
            number: before.map_or(1, |it| it.segment.number + 1),
            id: before.map_or(options.id, |it| it.id),
            node: options.node.get(),
            follows,
            first: follows.saturating_add(options.skip),
            floor_us: before.map_or(i64::MIN, |it| it.table.last_at_us),
        };
        let unfinished = unfinished_path_of(dir, header.number);
        let laid_out = lay_out(disk, &unfinished, &header.encode(), options.segment_bytes);
        let file = laid_out.map_err(Failure::into_error)?;
        disk.rename(&unfinished, &path_of(dir, header.number))?;
        disk.sync_dir(dir)?;
        segments.push_back(Extent::from(&header));
        let segment = Segment {
            number: header.number,
            file,
            bytes: options.segment_bytes,
            end: SEGMENT_HEADER_BYTES,
            next: header.first,
            first_at_us: None,
            last_at_us: header.floor_us,
        };
        Ok(Self::new(header.id, segments, segment))
    }
}

/// A segment's header, and the page it was read from.
pub(super) type Head = (SegmentHeader, Bytes);

/// The numbers of the segments in `dir`, in order, and the names of what was left unfinished.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<(Vec<u32>, Vec<String>)> {
    let (mut numbers, mut unfinished) = (Vec::new(), Vec::new());
    for name in disk.list(dir)? {
        match name.strip_suffix(UNFINISHED) {
            Some(segment) if number_of(segment).is_some() => unfinished.push(name),
            _ => numbers.extend(number_of(&name)),
        }
    }
    numbers.sort_unstable();
    Ok((numbers, unfinished))
}

/// Reads the header of segment `number`; `None` where it has not been begun.
pub(super) fn read_header(file: &dyn File, number: u32) -> Result<Option<Head>, OpenError> {
    let mut page = vec![0; size(SEGMENT_HEADER_BYTES)];
    file.read_at(&mut page, 0)?;
    match SegmentHeader::decode(&page) {
        Ok(header) if header.number != number => {
            Err(Damage::new(number, 0, format!("it is segment {}", header.number)).into())
        }
        Ok(header) => Ok(Some((header, page.into()))),
        Err(NoSegment::Newer(version)) => Err(OpenError::Newer { segment: number, version }),
        // The header is durable before anything is written behind it.
        Err(NoSegment::Invalid) => match first_not_zero(file, SEGMENT_HEADER_BYTES, file.len()?)? {
            None => Ok(None),
            Some(at) => {
                let what = format!("the header does not read, and byte {at} is not zero");
                Err(Damage::new(number, 0, what).into())
            }
        },
    }
}

/// Whether `after` can come next after `before`, as far as their headers tell.
pub(super) fn check_neighbours(
    before: &SegmentHeader,
    after: &SegmentHeader,
) -> Result<(), Damage> {
    let what = if before.id != after.id {
        "it belongs to another journal than the segment before".to_owned()
    } else if u64::from(before.number) + 1 != u64::from(after.number) {
        format!("the segment before it is missing; there is {}", before.number)
    } else if after.follows < before.first || after.first < after.follows {
        "its positions do not follow those of the segment before".to_owned()
    } else {
        return Ok(());
    };
    Err(Damage::new(after.number, 0, what))
}

/// Whether a segment that is followed by another is whole, up to the ordinal `follows`.
fn check_closed(
    file: &Arc<dyn File>,
    header: &SegmentHeader,
    follows: u64,
) -> Result<(), OpenError> {
    let limit = file.len()?;
    let seed = Seed::new(&header.id);
    let mut scan = Scan::new(Arc::clone(file), seed, header.number, header.first);
    let what = loop {
        match scan.step(limit)? {
            Step::Batch(_) => {}
            Step::Torn(what) => break what.to_owned(),
            Step::Wrong(what) => break what,
            Step::End => match check_end(&**file, &scan, limit, follows)? {
                Some(damage) => return Err(damage.into()),
                None => return Ok(()),
            },
        }
    };
    Err(Damage::new(header.number, scan.offset, what).into())
}

/// What is wrong with the end of a closed segment that `scan` has reached.
pub(super) fn check_end(
    file: &dyn File,
    scan: &Scan,
    limit: u64,
    follows: u64,
) -> io::Result<Option<Damage>> {
    if scan.next != follows {
        return Ok(Some(scan.ends_early(follows)));
    }
    let found = first_not_zero(file, scan.offset, limit)?;
    Ok(found.map(|at| Damage::new(scan.number, at, "it is not zero behind the last batch")))
}

/// Makes the last segment durable as it is read now: a copy up to the last valid batch, then zeros.
fn rewrite(
    disk: &dyn Disk,
    dir: &Path,
    (header, page): (&SegmentHeader, &Bytes),
    options: &Options,
) -> Result<Segment, OpenError> {
    let old: Arc<dyn File> = disk.open(&path_of(dir, header.number))?.into();
    let unfinished = unfinished_path_of(dir, header.number);
    let copy = || -> Result<Segment, OpenError> {
        let file: Arc<dyn File> = disk.create(&unfinished)?.into();
        let mut segment = transfer(header, page, &old, file)?;
        reaches(segment.next, options)?;
        segment.bytes = options.segment_bytes.max(segment.end);
        write_zeros(&*segment.file, segment.end, segment.bytes)?;
        segment.file.sync()?;
        disk.rename(&unfinished, &path_of(dir, header.number))?;
        Ok(segment)
    };
    match copy() {
        Ok(segment) => {
            // From the rename on the old file has no name: what is written to it would be lost.
            disk.sync_dir(dir)?;
            Ok(segment)
        }
        Err(OpenError::Io(error)) if is_full(error.kind()) => {
            _ = disk.remove(&unfinished);
            tracing::warn!("no room to copy the last journal segment: it is rewritten in place");
            rewrite_in_place(header, page, &old, options)
        }
        Err(error) => {
            _ = disk.remove(&unfinished);
            Err(error)
        }
    }
}

/// As [`rewrite`] on a full disk: writes over every byte with what it is, which makes the kernel
/// write it again. What was durable is overwritten with itself, so a crash amid this loses nothing.
fn rewrite_in_place(
    header: &SegmentHeader,
    page: &Bytes,
    old: &Arc<dyn File>,
    options: &Options,
) -> Result<Segment, OpenError> {
    let mut segment = transfer(header, page, old, Arc::clone(old))?;
    reaches(segment.next, options)?;
    let len = old.len()?;
    write_zeros(&**old, segment.end, len)?;
    old.sync()?;
    segment.bytes = options.segment_bytes.max(segment.end);
    Ok(segment)
}

/// Whether the journal, whose next position is `next`, is as long as it has to be.
fn reaches(next: u64, options: &Options) -> Result<(), OpenError> {
    let (next, must_reach) = (Position(next), options.must_reach);
    if next < must_reach { Err(OpenError::Short { next, must_reach }) } else { Ok(()) }
}

/// Writes the page and each valid batch of `old` to the same place in `to`: the very bytes whose
/// checksums were found to agree. Refuses a segment where a batch is valid behind one that is not.
fn transfer(
    header: &SegmentHeader,
    page: &Bytes,
    old: &Arc<dyn File>,
    to: Arc<dyn File>,
) -> Result<Segment, OpenError> {
    let limit = old.len()?;
    let (seed, number) = (Seed::new(&header.id), header.number);
    let mut scan = Scan::new(Arc::clone(old), seed, number, header.first);
    let (mut first_at_us, mut last_at_us) = (None, header.floor_us);
    let mut piece = page.to_vec();
    let mut piece_at = 0;
    loop {
        match scan.step(limit)? {
            Step::Batch(batch) => {
                first_at_us.get_or_insert(batch.at_us);
                last_at_us = last_at_us.max(batch.at_us);
                piece.extend_from_slice(&batch.raw);
            }
            Step::Wrong(what) => return Err(Damage::new(number, scan.offset, what).into()),
            Step::End | Step::Torn(_) => break,
        }
        if piece.len() >= COPY_BYTES {
            to.write_all_at(&piece, piece_at)?;
            piece_at = scan.offset;
            piece.clear();
        }
    }
    if let Some(at) = later_batch(&**old, seed, number, scan.offset, scan.next)? {
        let what = format!("no valid batch stands there, but one does at byte {at}");
        return Err(Damage::new(number, scan.offset, what).into());
    }
    to.write_all_at(&piece, piece_at)?;
    if let Some(at) = first_not_zero(&**old, scan.offset, limit)? {
        tracing::warn!(segment = number, offset = scan.offset, at, "a torn batch is cut");
    }
    let (end, next) = (scan.offset, scan.next);
    Ok(Segment { number, file: to, bytes: limit, end, next, first_at_us, last_at_us })
}
