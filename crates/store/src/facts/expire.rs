//! Removes what is no longer to be kept: sidecars with personal data, hits, files that were
//! merged.
//!
//! Files go whole, when their newest record is old enough. A file goes only once no snapshot has
//! it, so whoever is reading comes to an end first.

use super::folder::Segment;
use super::{Error, Facts, lock};
use domain::time::Timestamp;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What waits to be removed, and what upkeep has learned of the files.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// Files that no new snapshot has, in the order in which they go.
    pub(super) retired: Vec<Arc<Segment>>,
    /// What a failed merge may have left under names that nothing else may overlap.
    pub(super) debris: Vec<PathBuf>,
    /// Folders from which something was removed that a power cut may bring back. Until they are
    /// synced nothing else goes that has to go later.
    unsynced: BTreeSet<PathBuf>,
    /// The serials of segments that could not be read: merges leave them out until the next
    /// start, so that one damaged page does not hold up all others.
    pub(super) unreadable: BTreeSet<u64>,
}

impl Facts {
    /// Removes the personal data of clicks and hits whose newest was journaled before `at`:
    /// sidecars, whole. Answers how many. They are gone for good when this answers.
    ///
    /// One that cannot be removed is an error, and holds up no other.
    pub fn remove_personal_before(&self, at: Timestamp) -> Result<usize, Error> {
        let mut upkeep = lock(&self.upkeep);
        let Upkeep { retired, unsynced, .. } = &mut *upkeep;
        let snapshot = self.snapshot();
        let all = snapshot.clicks.iter().chain(&snapshot.hits).chain(&*retired);
        let old = all.filter(|it| it.has_sidecar() && it.span().newest_at < at);
        let (mut removed, mut failed) = (0, Ok(()));
        for segment in old {
            unsynced.insert(folder_of(&segment.sidecar).to_owned());
            match segment.remove_sidecar(&*self.disk) {
                Ok(()) => removed += 1,
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        drop(snapshot);
        self.sync_removals(&mut upkeep)?;
        failed?;
        self.sweep(&mut upkeep)?;
        Ok(removed)
    }

    /// Removes files of hits whose newest was journaled before `at`, with their sidecars. Answers
    /// how many. The newest file stays, whatever its age: its name says how far hits are sealed.
    pub fn remove_hits_before(&self, at: Timestamp) -> Result<usize, Error> {
        let mut upkeep = lock(&self.upkeep);
        let mut expired = Vec::new();
        self.swap(|snapshot| {
            let old = snapshot.hits.iter().take_while(|hits| hits.span().newest_at < at).count();
            let old = old.min(snapshot.hits.len().saturating_sub(1));
            expired.extend(snapshot.hits.drain(..old));
        });
        let removed = expired.len();
        upkeep.retired.extend(expired);
        self.sweep(&mut upkeep)?;
        Ok(removed)
    }

    /// Removes files from the front for as long as nobody reads them.
    ///
    /// In order, and each one for good before the next: what a merged file superseded must not
    /// outlive it, and hits must not leave a gap, or the next start would take them for damage.
    pub(super) fn sweep(&self, upkeep: &mut Upkeep) -> Result<(), Error> {
        while let Some(path) = upkeep.debris.first().cloned() {
            self.remove_for_good(upkeep, &path)?;
            upkeep.debris.remove(0);
        }
        while let Some(first) = upkeep.retired.first() {
            if Arc::strong_count(first) > 1 {
                break;
            }
            let paths = [first.sidecar.clone(), first.table.path.clone()];
            for path in &paths {
                self.remove_for_good(upkeep, path)?;
            }
            upkeep.retired.remove(0);
        }
        Ok(())
    }

    /// Removes a file that may be gone already.
    fn remove_for_good(&self, upkeep: &mut Upkeep, path: &Path) -> Result<(), Error> {
        self.sync_removals(upkeep)?;
        match self.disk.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed.map_err(|error| Error::io(path, error))?,
        }
        upkeep.unsynced.insert(folder_of(path).to_owned());
        self.sync_removals(upkeep)
    }

    /// Makes all removals durable, those too that an earlier call could not.
    fn sync_removals(&self, upkeep: &mut Upkeep) -> Result<(), Error> {
        while let Some(dir) = upkeep.unsynced.first() {
            self.disk.sync_dir(dir).map_err(|error| Error::io(dir, error))?;
            upkeep.unsynced.pop_first();
        }
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().expect("a file is in a folder")
}
