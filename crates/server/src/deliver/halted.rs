//! The destinations that a person has paused: once that is answered, no attempt at them begins, not
//! even one that was leased before.

use domain::id::DestinationId;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

#[derive(Debug, Default)]
pub(crate) struct Halted(Mutex<BTreeSet<DestinationId>>);

/// It is over with this, unless it is kept: who is halted and not paused would never be sent anything.
#[derive(Debug)]
pub(crate) struct Halt<'a> {
    halted: &'a Halted,
    id: DestinationId,
    is_kept: bool,
}

impl Halted {
    /// Nothing begins from now on.
    pub(crate) fn halt(&self, id: DestinationId) -> Halt<'_> {
        // What holds already, holds on.
        let is_kept = !self.all().insert(id);
        Halt { halted: self, id, is_kept }
    }

    pub(crate) fn release(&self, id: DestinationId) {
        self.all().remove(&id);
    }

    pub(super) fn has(&self, id: DestinationId) -> bool {
        self.all().contains(&id)
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<DestinationId>> {
        self.0.lock().expect("no panic happens under this lock")
    }
}

impl Halt<'_> {
    /// It holds until it is released.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Halt<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.halted.release(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_that_is_not_kept_is_over() {
        let (halted, id) = (Halted::default(), DestinationId(1));
        let halt = halted.halt(id);
        assert!(halted.has(id) && !halted.has(DestinationId(2)));
        drop(halt);
        assert!(!halted.has(id));
        halted.halt(id).keep();
        drop(halted.halt(id));
        assert!(halted.has(id), "the first holds on");
        halted.release(id);
        assert!(!halted.has(id));
    }
}
