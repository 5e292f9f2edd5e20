//! How much memory requests may take that are not answered yet, all of them together.
//!
//! Each connection bounds its own head and body; many connections would still add up to more than
//! a machine has.

use super::error::Error;
use crate::ingest::Unavailable;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much heads and bodies may take that are not answered yet, in bytes, beside the first
/// 4 KiB of each connection.
const BUFFERED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Shared by all workers.
#[derive(Debug, Default)]
pub(super) struct Buffered(AtomicUsize);

/// A part of the room, which is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    of: Arc<Buffered>,
    bytes: usize,
}

impl Buffered {
    pub(super) fn lease(self: &Arc<Self>) -> Lease {
        Lease { of: Arc::clone(self), bytes: 0 }
    }
}

impl Lease {
    /// Makes it so many bytes. Where there is no room for that it stays as it was.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            let before = self.of.0.fetch_add(more, Ordering::Relaxed);
            if before + more > BUFFERED_BYTES_MAX {
                self.of.0.fetch_sub(more, Ordering::Relaxed);
                return Err(Unavailable::Busy.into());
            }
        } else {
            self.of.0.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let buffered = Arc::<Buffered>::default();
        let (mut one, mut other) = (buffered.lease(), buffered.lease());
        one.resize(BUFFERED_BYTES_MAX - 10).unwrap();
        other.resize(10).unwrap();
        let refused = other.resize(11).unwrap_err();
        assert_eq!(refused.status(), 503);
        one.resize(5).unwrap();
        other.resize(11).unwrap();
        drop((one, other));
        assert_eq!(buffered.0.load(Ordering::Relaxed), 0);
    }
}
