//! A disk that looks like a directory and never changes it: what is written goes elsewhere.
//!
//! So journal and facts can be opened as a start opens them, with what that cuts and removes, and
//! the directory stays byte for byte as it was.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::disk::{Disk, File, Lock, RealDisk};

/// The directory below, and the one where changes are.
pub(super) struct Overlay {
    below: PathBuf,
    changes: PathBuf,
    /// Files below that have been removed or renamed.
    removed: Mutex<BTreeSet<PathBuf>>,
}

impl Overlay {
    pub(super) fn new(below: &Path, changes: &Path) -> Self {
        let removed = Mutex::default();
        Self { below: below.to_owned(), changes: changes.to_owned(), removed }
    }

    /// Where a path's changed file is, or would be. Its folder is made.
    fn changed(&self, path: &Path) -> io::Result<PathBuf> {
        let within = path.strip_prefix(&self.below).map_err(|_| {
            io::Error::new(io::ErrorKind::PermissionDenied, "it is outside of the directory")
        })?;
        let changed = self.changes.join(within);
        if let Some(folder) = changed.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(changed)
    }

    fn removed(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        // Nothing panics under this lock.
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file that counts: the changed one, or the one below.
    fn present(&self, path: &Path) -> io::Result<PathBuf> {
        let changed = self.changed(path)?;
        if changed.exists() {
            return Ok(changed);
        }
        if self.removed().contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(path.to_owned())
    }
}

impl Disk for Overlay {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        RealDisk.create(&self.changed(path)?)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let (present, changed) = (self.present(path)?, self.changed(path)?);
        if present != changed {
            std::fs::copy(present, &changed)?;
        }
        RealDisk.open(&changed)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        RealDisk.open_read(&self.present(path)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        RealDisk.lock(&self.changed(path)?)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = BTreeSet::new();
        let changed = self.changed(dir)?;
        if changed.is_dir() {
            names.extend(RealDisk.list(&changed)?);
        }
        match RealDisk.list(dir) {
            Ok(below) => {
                let removed = self.removed();
                names.extend(below.into_iter().filter(|name| !removed.contains(&dir.join(name))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && changed.is_dir() => {}
            Err(error) => return Err(error),
        }
        Ok(names.into_iter().collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(self.changed(dir)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (present, source) = (self.present(from)?, self.changed(from)?);
        let target = self.changed(to)?;
        if present == source {
            std::fs::rename(source, target)?;
        } else {
            std::fs::copy(present, target)?;
        }
        self.removed().insert(from.to_owned());
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (present, changed) = (self.present(path)?, self.changed(path)?);
        if present == changed {
            std::fs::remove_file(changed)?;
        } else if !present.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.removed().insert(path.to_owned());
        Ok(())
    }

    /// What is written here is thrown away soon.
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(&self.changed(dir)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &Overlay, path: &Path) -> Option<Vec<u8>> {
        let file = disk.open_read(path).ok()?;
        let mut bytes = vec![0; 16];
        let len = file.read_at(&mut bytes, 0).unwrap();
        bytes.truncate(len);
        Some(bytes)
    }

    #[test]
    fn changes_are_seen_and_the_directory_stays_as_it_was() {
        let below = tempfile::tempdir().unwrap();
        let changes = tempfile::tempdir().unwrap();
        let path = |name: &str| below.path().join("in").join(name);
        std::fs::create_dir(path("")).unwrap();
        for name in ["a", "b", "c", "d"] {
            std::fs::write(path(name), name).unwrap();
        }
        let disk = Overlay::new(below.path(), changes.path());
        disk.remove(&path("a")).unwrap();
        disk.rename(&path("b"), &path("e")).unwrap();
        disk.open(&path("c")).unwrap().write_all_at(b"C", 0).unwrap();
        disk.create(&path("f")).unwrap().write_all_at(b"new", 0).unwrap();
        disk.rename(&path("f"), &path("d")).unwrap();
        let mut names = disk.list(&path("")).unwrap();
        names.sort();
        assert_eq!(names, ["c", "d", "e"]);
        assert_eq!(read(&disk, &path("a")), None);
        assert_eq!(read(&disk, &path("c")).unwrap(), b"C");
        assert_eq!(read(&disk, &path("d")).unwrap(), b"new");
        assert_eq!(read(&disk, &path("e")).unwrap(), b"b");
        assert!(disk.remove(&path("a")).is_err(), "it is gone already");
        let mut untouched = RealDisk.list(&path("")).unwrap();
        untouched.sort();
        assert_eq!(untouched, ["a", "b", "c", "d"]);
        for name in untouched {
            assert_eq!(std::fs::read(path(&name)).unwrap(), name.as_bytes());
        }
    }

    #[test]
    fn a_folder_that_is_made_is_there_and_nothing_outside_can_be_reached() {
        let below = tempfile::tempdir().unwrap();
        let changes = tempfile::tempdir().unwrap();
        let disk = Overlay::new(below.path(), changes.path());
        let dir = below.path().join("x/y");
        assert!(disk.list(&dir).is_err());
        disk.create_dir_all(&dir).unwrap();
        assert_eq!(disk.list(&dir).unwrap(), [""; 0]);
        assert!(!dir.exists());
        assert!(disk.create(&std::env::temp_dir().join("elsewhere")).is_err());
    }
}
