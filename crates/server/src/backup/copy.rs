//! Copies the files of a data directory whose server goes on writing.
//!
//! Sealed facts never change under their names, so a name that is copied is copied for good. A
//! journal segment grows at its end: it is copied from its end to its beginning, and so are the
//! segments, so nothing is missing before a byte that was seen.

use anyhow::{Context, bail};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use store::disk::{Disk, RealDisk};

/// How often the facts are listed until the list stays the same.
const LISTINGS_MAX: u32 = 100;
/// What of a file is read at once. The kernel writes page by page, too.
const PAGE_BYTES: usize = 4_096;
/// The folders of the facts, one for each kind.
const KINDS: [&str; 2] = ["click", "hit"];
/// How the names of segments end.
const SEGMENT: &str = ".log";
/// How the names of facts end that are not finished.
const UNSEALED: &str = ".tmp";
/// How the names of keys end that are not finished.
pub(super) const UNFINISHED: &str = ".new";

/// The names in a folder, in order; none where it is missing.
pub(super) fn names(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = match RealDisk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names.with_context(|| format!("cannot list {}", dir.display()))?,
    };
    names.sort_unstable();
    Ok(names)
}

/// The names of a journal's segments, the oldest first.
pub(super) fn segments(journal: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = names(journal)?;
    names.retain(|name| name.ends_with(SEGMENT));
    Ok(names)
}

/// Copies a file that nobody changes, and syncs it.
pub(super) fn whole(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = || -> io::Result<()> {
        let mut source = File::open(from)?;
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut target = create(to)?;
        io::copy(&mut source, &mut target)?;
        target.sync_all()
    };
    copied().with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Makes a file durable.
pub(super) fn sync(path: &Path) -> anyhow::Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .with_context(|| format!("cannot sync {}", path.display()))
}

/// Makes the names in `dir`, and in all folders below it, durable.
pub(super) fn sync_dirs(dir: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_dirs(&entry.path())?;
        }
    }
    RealDisk.sync_dir(dir).with_context(|| format!("cannot sync {}", dir.display()))
}

/// Copies the sealed facts as they stand at one moment, whatever is sealed, merged or removed
/// meanwhile.
pub(super) fn facts(from: &Path, to: &Path) -> anyhow::Result<()> {
    for kind in KINDS {
        let (from, to) = (from.join(kind), to.join(kind));
        RealDisk.create_dir_all(&to)?;
        sealed(&from, &to)?;
    }
    Ok(())
}

fn sealed(from: &Path, to: &Path) -> anyhow::Result<()> {
    let list = |dir: &Path| -> anyhow::Result<BTreeSet<String>> {
        Ok(names(dir)?.into_iter().filter(|name| !name.ends_with(UNSEALED)).collect())
    };
    let mut wanted = list(from)?;
    for _ in 0..LISTINGS_MAX {
        for name in wanted.iter().filter(|name| !to.join(name).exists()) {
            match whole(&from.join(name), &to.join(name)) {
                Err(error) if is_gone(&error) => {}
                copied => copied?,
            }
        }
        let now = list(from)?;
        if now == wanted && list(to)?.is_superset(&now) {
            for name in list(to)?.difference(&now) {
                std::fs::remove_file(to.join(name))?;
            }
            return Ok(());
        }
        wanted = now;
    }
    bail!("{} was never the same twice, however often it was listed", from.display())
}

fn is_gone(error: &anyhow::Error) -> bool {
    let source = error.downcast_ref::<io::Error>();
    source.is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
}

/// Copies a journal, anew if it was copied before.
pub(super) fn journal(from: &Path, to: &Path) -> anyhow::Result<()> {
    RealDisk.create_dir_all(to)?;
    for name in segments(to)? {
        std::fs::remove_file(to.join(name))?;
    }
    for name in segments(from)?.iter().rev() {
        match segment(&from.join(name), &to.join(name)) {
            // Removed as old; those that are newer have been copied.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            copied => copied.with_context(|| format!("cannot copy segment {name}"))?,
        }
    }
    Ok(())
}

/// Copies a segment from its end to its beginning. Pages without anything in them are left out,
/// and a segment that has nothing else was only prepared.
fn segment(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let len = source.metadata()?.len();
    let mut target = None;
    let mut page = [0; PAGE_BYTES];
    for number in (0..len.div_ceil(PAGE_BYTES as u64)).rev() {
        let offset = number * PAGE_BYTES as u64;
        let read = read_at(&source, &mut page, offset)?;
        if page[..read].iter().all(|byte| *byte == 0) {
            continue;
        }
        if target.is_none() {
            target = Some(create(to)?);
        }
        if let Some(target) = &target {
            target.write_all_at(&page[..read], offset)?;
        }
    }
    let Some(target) = target else { return Ok(()) };
    target.set_len(len)?;
    target.sync_all()
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A new file that only its owner reads.
fn create(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_copied_with_its_holes_and_a_prepared_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut bytes = vec![0; 5 * PAGE_BYTES + 100];
        bytes[0] = 1;
        bytes[3 * PAGE_BYTES + 7] = 2;
        std::fs::write(path("1.log"), &bytes).unwrap();
        std::fs::write(path("2.log"), vec![0; 3 * PAGE_BYTES]).unwrap();
        segment(&path("1.log"), &path("copy")).unwrap();
        assert_eq!(std::fs::read(path("copy")).unwrap(), bytes);
        segment(&path("2.log"), &path("none")).unwrap();
        assert!(!path("none").exists());
    }

    #[test]
    fn facts_are_copied_without_what_is_unfinished_or_superseded() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for kind in KINDS {
            std::fs::create_dir_all(from.join(kind)).unwrap();
        }
        for name in ["1-2.parquet", "2-3.parquet", "3-4.parquet.tmp"] {
            std::fs::write(from.join("click").join(name), name).unwrap();
        }
        facts(&from, &to).unwrap();
        assert_eq!(names(&to.join("click")).unwrap(), ["1-2.parquet", "2-3.parquet"]);
        // Merged since, and copied once more.
        std::fs::write(from.join("click/1-3.parquet"), "both").unwrap();
        for name in ["1-2.parquet", "2-3.parquet"] {
            std::fs::remove_file(from.join("click").join(name)).unwrap();
        }
        facts(&from, &to).unwrap();
        assert_eq!(names(&to.join("click")).unwrap(), ["1-3.parquet"]);
        assert!(names(&to.join("hit")).unwrap().is_empty());
    }

    #[test]
    fn a_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, "new").unwrap();
        std::fs::write(&to, "old").unwrap();
        assert!(whole(&from, &to).is_err());
        assert_eq!(std::fs::read(&to).unwrap(), b"old");
    }
}
