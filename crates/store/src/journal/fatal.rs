//! The end of the process: after a failed sync, or where the journal cannot be cut back.
//!
//! What the kernel shows then may not be on the disk, and a later sync may succeed without making
//! it so. Only a start from the disk helps, and nothing may be acknowledged before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What ends the process. It gets the reason. A test's may return; then the journal has stopped.
pub type Hook = Arc<dyn Fn(&str) + Send + Sync>;

/// Logs the reason and aborts.
pub fn abort() -> Hook {
    Arc::new(|reason| {
        tracing::error!(reason, "the journal cannot go on, the process ends");
        std::process::abort();
    })
}

pub(super) struct Fatal {
    hook: Hook,
    happened: AtomicBool,
}

impl Fatal {
    pub(super) fn new(hook: Hook) -> Self {
        Self { hook, happened: AtomicBool::new(false) }
    }

    pub(super) fn happen(&self, reason: &str) {
        self.happened.store(true, Ordering::SeqCst);
        (self.hook)(reason);
    }

    pub(super) fn has_happened(&self) -> bool {
        self.happened.load(Ordering::SeqCst)
    }
}
