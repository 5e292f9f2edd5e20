//! The files of one kind: their names, which of them count, and what a crash left.
//!
//! A file's name is the stretch of the journal it holds, so the names alone tell what is sealed.
//! A file that lies within a wider one was merged into it, and counts no more. A sidecar takes
//! its name before its file does, so a file with its name has all that it will ever have.

use super::layout::{CLICK, CLICK_PERSONAL, HIT, HIT_PERSONAL, Layout};
use super::table::{Blob, Table};
use super::{Error, JournalId, Snapshot, Span};
use crate::disk::Disk;
use domain::id::Position;
use parquet::file::reader::Length;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The end of every file's name, of a sidecar's, and of what is not complete.
const ENDING: &str = ".parquet";
const PERSONAL_ENDING: &str = ".personal.parquet";
const TEMPORARY_ENDING: &str = ".tmp";
/// Positions are written with so many digits, so that names sort.
const DIGITS: usize = 20;

/// What is wrong with a file from elsewhere.
pub(super) const OF_ANOTHER_JOURNAL: &str = "it belongs to another journal";

/// What files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Click,
    Hit,
}

/// Where the files of one kind are.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    kind: Kind,
    dir: PathBuf,
    /// Whose files they have to be, where that is known.
    journal: Option<JournalId>,
    pub(super) layout: &'static Layout,
    pub(super) personal: &'static Layout,
}

/// A sealed file with its index, and the sidecar beside it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) table: Table,
    pub(super) sidecar: PathBuf,
    has_sidecar: AtomicBool,
    sidecar_bytes: u64,
    /// No two segments of a process have the same.
    pub(super) serial: u64,
}

impl Segment {
    /// With the sidecar's length, where there is one.
    fn new(table: Table, sidecar: PathBuf, sidecar_bytes: Option<u64>) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let has_sidecar = AtomicBool::new(sidecar_bytes.is_some());
        let sidecar_bytes = sidecar_bytes.unwrap_or(0);
        Self { table, sidecar, has_sidecar, sidecar_bytes, serial }
    }

    /// How long the file and its sidecar are.
    pub(super) fn bytes(&self) -> u64 {
        self.table.bytes + if self.has_sidecar() { self.sidecar_bytes } else { 0 }
    }

    pub(super) fn has_sidecar(&self) -> bool {
        self.has_sidecar.load(Ordering::Acquire)
    }

    pub(super) fn span(&self) -> Span {
        self.table.span
    }

    /// Whether it is this file, or its sidecar, that could not be read.
    pub(super) fn is_cause_of(&self, error: &Error) -> bool {
        match error {
            Error::Io { path, .. } | Error::Corrupt { path, .. } => {
                *path == self.table.path || *path == self.sidecar
            }
            Error::Journal { .. } | Error::TooManyGroups => false,
        }
    }

    /// Removes the sidecar, where somebody else has not. Whoever is about to open it finds none.
    pub(super) fn remove_sidecar(&self, disk: &dyn Disk) -> Result<(), Error> {
        match disk.remove(&self.sidecar) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(&self.sidecar, error));
            }
            _ => self.has_sidecar.store(false, Ordering::Release),
        }
        Ok(())
    }
}

/// What a file's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) from: Position,
    pub(super) to: Position,
    pub(super) is_personal: bool,
}

impl Name {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let personal = name.strip_suffix(PERSONAL_ENDING);
        let (from, to) = personal.or_else(|| name.strip_suffix(ENDING))?.split_once('-')?;
        let position = |digits: &str| {
            let is_digits = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
            is_digits.then(|| digits.parse().ok().map(Position))?
        };
        let (from, to) = (position(from)?, position(to)?);
        (from < to).then_some(Self { from, to, is_personal: personal.is_some() })
    }

    pub(super) fn file_name(self) -> String {
        let ending = if self.is_personal { PERSONAL_ENDING } else { ENDING };
        format!("{:0DIGITS$}-{:0DIGITS$}{ending}", self.from.0, self.to.0)
    }
}

/// Whether it is what a file of ours is called while it is written.
pub(super) fn is_temporary(name: &str) -> bool {
    name.strip_suffix(TEMPORARY_ENDING).is_some_and(|name| Name::parse(name).is_some())
}

/// Which of the names count: those that do not lie within another. Or where they overlap or
/// leave a gap.
pub(super) fn standing(names: &[Name]) -> Result<Vec<Name>, String> {
    let mut sorted: Vec<_> = names.iter().copied().filter(|name| !name.is_personal).collect();
    sorted.sort_unstable_by_key(|name| (name.from, Reverse(name.to)));
    let mut kept: Vec<Name> = Vec::with_capacity(sorted.len());
    for name in sorted {
        match kept.last() {
            Some(last) if name.to <= last.to => {}
            Some(last) if name.from < last.to => {
                let (name, last) = (name.file_name(), last.file_name());
                return Err(format!("{name} overlaps {last}, and neither lies within the other"));
            }
            Some(last) if name.from > last.to => {
                let (from, to) = (last.to, name.from);
                return Err(format!("the file with positions {from} to {to} is missing"));
            }
            _ => kept.push(name),
        }
    }
    Ok(kept)
}

/// Where the furthest of the files in `dir` ends, by their names alone: nothing is opened or
/// changed. The journal that they came from goes at least so far. 0 where there are none.
pub fn sealed_in(disk: &dyn Disk, dir: &Path) -> Result<Position, Error> {
    let mut furthest = Position(0);
    for folder in [Folder::clicks(dir, None), Folder::hits(dir, None)] {
        let names = match disk.list(&folder.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            names => names.map_err(|error| Error::io(&folder.dir, error))?,
        };
        let ends = names.iter().filter_map(|name| Name::parse(name)).map(|name| name.to);
        furthest = ends.fold(furthest, Position::max);
    }
    Ok(furthest)
}

impl Folder {
    pub(super) fn clicks(facts: &Path, journal: Option<JournalId>) -> Self {
        let (layout, personal) = (&CLICK, &CLICK_PERSONAL);
        Self { kind: Kind::Click, dir: facts.join("click"), journal, layout, personal }
    }

    pub(super) fn hits(facts: &Path, journal: Option<JournalId>) -> Self {
        let (layout, personal) = (&HIT, &HIT_PERSONAL);
        Self { kind: Kind::Hit, dir: facts.join("hit"), journal, layout, personal }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files of this kind in a snapshot.
    pub(super) fn of<'s>(&self, snapshot: &'s Snapshot) -> &'s [Arc<Segment>] {
        match self.kind {
            Kind::Click => &snapshot.clicks,
            Kind::Hit => &snapshot.hits,
        }
    }

    pub(super) fn of_mut<'s>(&self, snapshot: &'s mut Snapshot) -> &'s mut Vec<Arc<Segment>> {
        match self.kind {
            Kind::Click => &mut snapshot.clicks,
            Kind::Hit => &mut snapshot.hits,
        }
    }

    /// Where a file, or its sidecar, is.
    pub(super) fn path(&self, span: &Span, is_personal: bool) -> PathBuf {
        let name = Name { from: span.from, to: span.to, is_personal };
        self.dir.join(name.file_name())
    }

    /// Where it is written.
    pub(super) fn temporary(&self, span: &Span, is_personal: bool) -> PathBuf {
        let mut path = self.path(span, is_personal).into_os_string();
        path.push(TEMPORARY_ENDING);
        path.into()
    }

    /// Opens all files that count, and removes what a crash left: unfinished files, those that
    /// were merged, sidecars without a file.
    pub(super) fn open(&self, disk: &dyn Disk) -> Result<Vec<Arc<Segment>>, Error> {
        let in_dir = |error| Error::io(&self.dir, error);
        disk.create_dir_all(&self.dir).map_err(in_dir)?;
        let names = disk.list(&self.dir).map_err(in_dir)?;
        let parsed: Vec<_> = names.iter().filter_map(|name| Name::parse(name)).collect();
        let kept = standing(&parsed)
            .map_err(|detail| Error::Corrupt { path: self.dir.clone(), detail })?;
        let wanted: BTreeSet<_> = kept
            .iter()
            .flat_map(|name| [*name, Name { is_personal: true, ..*name }])
            .map(Name::file_name)
            .collect();
        for name in &names {
            let is_ours = Name::parse(name).is_some() || is_temporary(name);
            if is_ours && !wanted.contains(name) {
                let path = self.dir.join(name);
                disk.remove(&path).map_err(|error| Error::io(&path, error))?;
            }
        }
        // The process before may have died between naming a file and this.
        disk.sync_dir(&self.dir).map_err(in_dir)?;
        let sidecars: BTreeSet<_> = parsed.iter().filter(|name| name.is_personal).collect();
        kept.iter()
            .map(|name| {
                let has_sidecar = sidecars.contains(&Name { is_personal: true, ..*name });
                self.open_segment(disk, *name, has_sidecar).map(Arc::new)
            })
            .collect()
    }

    fn open_segment(
        &self,
        disk: &dyn Disk,
        name: Name,
        has_sidecar: bool,
    ) -> Result<Segment, Error> {
        let path = self.dir.join(name.file_name());
        let table = Table::open(disk, &path, self.layout)?;
        if (table.span.from, table.span.to) != (name.from, name.to) {
            let detail = "its footer has other positions than its name".to_owned();
            return Err(Error::Corrupt { path, detail });
        }
        if self.journal.is_some_and(|journal| journal != table.span.journal) {
            return Err(Error::Corrupt { path, detail: OF_ANOTHER_JOURNAL.to_owned() });
        }
        let sidecar = self.dir.join(Name { is_personal: true, ..name }.file_name());
        let sidecar_bytes = match has_sidecar {
            true => Some(Blob::open(disk, &sidecar)?.len()),
            false => None,
        };
        Ok(Segment::new(table, sidecar, sidecar_bytes))
    }

    /// Gives a finished file and its sidecar their names, and opens it. All is durable then; on
    /// an error the same may be written and published again.
    pub(super) fn publish(
        &self,
        disk: &dyn Disk,
        span: &Span,
        has_sidecar: bool,
    ) -> Result<Arc<Segment>, Error> {
        for is_personal in [true, false] {
            if is_personal && !has_sidecar {
                _ = disk.remove(&self.temporary(span, true));
                continue;
            }
            let (from, to) = (self.temporary(span, is_personal), self.path(span, is_personal));
            disk.rename(&from, &to).map_err(|error| Error::io(&from, error))?;
            // Between the two: no crash may leave the file with its name and the sidecar without.
            disk.sync_dir(&self.dir).map_err(|error| Error::io(&self.dir, error))?;
        }
        let name = Name { from: span.from, to: span.to, is_personal: false };
        self.open_segment(disk, name, has_sidecar).map(Arc::new)
    }

    /// Removes what was not published, as far as it can: what stays is removed at the next open.
    pub(super) fn discard(&self, disk: &dyn Disk, span: &Span) {
        for is_personal in [true, false] {
            _ = disk.remove(&self.temporary(span, is_personal));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(from: u64, to: u64) -> Name {
        Name { from: Position(from), to: Position(to), is_personal: false }
    }

    #[test]
    fn a_name_reads_as_it_was_written_and_names_sort() {
        let names = [name(0, 7), name(7, 10), name(10, u64::MAX)];
        let texts = names.map(Name::file_name);
        assert!(texts.is_sorted());
        assert_eq!(texts.each_ref().map(|text| Name::parse(text).unwrap()), names);
        let personal = Name { is_personal: true, ..name(0, 7) };
        assert_eq!(Name::parse(&personal.file_name()), Some(personal));
        for other in ["", "a.parquet", "1-2.parquet", &texts[0].replace(".parquet", ".tmp")] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_wider_file_supersedes_those_it_contains() {
        let names = [name(0, 10), name(10, 20), name(0, 20), name(20, 30), name(25, 30)];
        assert_eq!(standing(&names), Ok(vec![name(0, 20), name(20, 30)]));
    }

    #[test]
    fn files_that_overlap_or_leave_a_gap_are_refused() {
        assert!(standing(&[name(0, 10), name(5, 20)]).unwrap_err().contains("overlaps"));
        assert!(standing(&[name(0, 10), name(11, 20)]).unwrap_err().contains("10 to 11"));
        // What comes first may have expired.
        assert_eq!(standing(&[name(5, 9)]), Ok(vec![name(5, 9)]));
    }
}
