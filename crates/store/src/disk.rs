//! The seam between this crate's own files and the disk.
//!
//! Journal and facts reach the disk through [`Disk`] alone, so a test can drop or tear every byte
//! that was not synced, at every step: a killed process would not notice a missing sync, because
//! the kernel keeps what it had written.

use std::io;
use std::path::Path;

#[cfg(any(test, feature = "fault"))]
pub mod fault;

/// A directory tree on some disk.
pub trait Disk: Send + Sync + 'static {
    /// Makes an empty file, or empties the one that is there. It is durable under its name only
    /// after [`Disk::sync_dir`] of its folder.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens a file that exists for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens a file that exists for reading alone; it may belong to another user.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Locks the file at `path`, made where it is missing, for this process alone until the lock
    /// is dropped. [`io::ErrorKind::WouldBlock`] where somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
    /// The names (not paths) of the files and folders in `dir`, in any order; without those that
    /// are not UTF-8, for they are not ours.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes `dir` and its parents where they are missing, and syncs what held them.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Replaces `to` where it exists. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// How much may be written on the disk that holds `dir`. Quotas may allow less. An error where the
    /// file system does not know.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file. Offsets are explicit, so readers and the writer share one handle.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait File: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`. On an error any part of them may be written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the file's bytes and length durable. After a failure nothing may be assumed of any
    /// byte written since the last success: the caller ends the process.
    fn sync(&self) -> io::Result<()>;
}

/// Keeps other processes out until it is dropped.
pub struct Lock {
    _held: Box<dyn Send + Sync>,
}

/// The machine's own disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(RealFile(options.open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(RealFile(std::fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(RealFile(std::fs::File::open(path)?)))
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        file.try_lock()?;
        Ok(Lock { _held: Box::new(file) })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let Some(parent) = dir.parent() else { return Ok(()) };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        if dir.is_dir() {
            // Whoever made it may have died before this.
            return match self.sync_dir(parent) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                synced => synced,
            };
        }
        self.create_dir_all(parent)?;
        match std::fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        self.sync_dir(parent)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(dir)?;
        if disk.f_blocks == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

struct RealFile(std::fs::File);

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            match std::os::unix::fs::FileExt::read_at(&self.0, &mut buffer[filled..], at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_disk_does_what_the_seam_says() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b");
        RealDisk.create_dir_all(&dir).unwrap();
        RealDisk.create_dir_all(&dir).unwrap();
        let file = RealDisk.create(&dir.join("new")).unwrap();
        file.write_all_at(b"0123456789", 2).unwrap();
        file.sync().unwrap();
        assert_eq!(file.len().unwrap(), 12);
        file.set_len(6).unwrap();
        RealDisk.rename(&dir.join("new"), &dir.join("file")).unwrap();
        RealDisk.sync_dir(&dir).unwrap();
        assert_eq!(RealDisk.list(&dir).unwrap(), ["file"]);
        let mut buffer = [9; 8];
        let read = RealDisk.open_read(&dir.join("file")).unwrap().read_at(&mut buffer, 1).unwrap();
        assert_eq!((read, buffer), (5, [0, b'0', b'1', b'2', b'3', 9, 9, 9]));
        assert!(RealDisk.open_read(&dir.join("file")).unwrap().write_all_at(b"x", 0).is_err());
        RealDisk.remove(&dir.join("file")).unwrap();
        let gone = RealDisk.open(&dir.join("file")).err().unwrap();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_system_that_does_not_say_its_size_is_not_full() {
        // The kernel's own has no blocks.
        let error = RealDisk.free_bytes(Path::new("/proc")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(RealDisk.free_bytes(Path::new(".")).is_ok());
    }

    #[test]
    fn a_lock_is_held_once_and_until_it_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let lock = RealDisk.lock(&path).unwrap();
        assert_eq!(RealDisk.lock(&path).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        RealDisk.lock(&path).unwrap();
    }
}
