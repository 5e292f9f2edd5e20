//! Room kept for the moment when the disk is full.
//!
//! A file of zeros that is removed when a write finds no room, so that what must be written to
//! recover can be written. It is made again when the journal has found room for a whole segment.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;

/// How much room is kept.
pub const BALLAST_BYTES: u64 = 16 << 20;

/// The file. All who write to the same disk share one.
pub struct Ballast {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
    is_there: Mutex<bool>,
}

impl Ballast {
    /// Takes the file at `path` as it was left; makes it where it is missing and there is room.
    /// It should lie on the disk whose fullness it is for. Never fails: without room there is
    /// none, which [`Ballast::is_there`] tells.
    pub fn open(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self::of(disk, path, BALLAST_BYTES)
    }

    pub(super) fn of(disk: Arc<dyn Disk>, path: PathBuf, bytes: u64) -> Self {
        let len = disk.open_read(&path).and_then(|file| file.len());
        let is_there = Mutex::new(len.is_ok_and(|len| len == bytes));
        let ballast = Self { disk, path, bytes, is_there };
        if let Err(error) = ballast.make() {
            tracing::warn!(%error, "there is no room for the ballast file");
        }
        ballast
    }

    /// Whether there is room to release.
    pub fn is_there(&self) -> bool {
        *self.lock()
    }

    /// How much room has to be left for it: none where it is there.
    pub(super) fn missing_bytes(&self) -> u64 {
        if self.is_there() { 0 } else { self.bytes }
    }

    /// Makes the file, unless it is there. On a failure nothing of it is left.
    pub fn make(&self) -> io::Result<()> {
        let mut is_there = self.lock();
        if *is_there {
            return Ok(());
        }
        let made = self.write();
        match &made {
            Ok(()) => *is_there = true,
            Err(_) => _ = self.disk.remove(&self.path),
        }
        made
    }

    /// Gives the room back. False where there was none to give, or it cannot be removed.
    pub fn release(&self) -> bool {
        let mut is_there = self.lock();
        if !std::mem::take(&mut *is_there) {
            return false;
        }
        match self.disk.remove(&self.path) {
            Ok(()) => {
                tracing::warn!(bytes = self.bytes, "the disk is full: the ballast is released");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the disk is full and the ballast cannot be released");
                false
            }
        }
    }

    fn write(&self) -> io::Result<()> {
        let file = self.disk.create(&self.path)?;
        super::prepare::write_zeros(&*file, 0, self.bytes)?;
        file.sync()
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
