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

/// What waits to be removed.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// Files that no new snapshot has, in the order in which they go.
    pub(super) retired: Vec<Arc<Segment>>,
    /// What a failed merge may have left under names that nothing else may overlap.
    pub(super) debris: Vec<PathBuf>,
    /// A removal could not be made durable, and nothing is known of it any more: were others to
    /// follow, a power cut might bring back the first and not the second, and so leave a gap.
    pub(super) is_unsure: bool,
}

impl Facts {
    /// Removes the personal data of clicks and hits whose newest was journaled before `at`:
    /// sidecars, whole. Answers how many. They are gone for good when this answers.
    pub fn remove_personal_before(&self, at: Timestamp) -> Result<usize, Error> {
        let mut upkeep = lock(&self.upkeep);
        self.sweep(&mut upkeep)?;
        let snapshot = self.snapshot();
        let mut changed = BTreeSet::new();
        let mut removed = 0;
        let all = snapshot.clicks.iter().chain(&snapshot.hits).chain(&upkeep.retired);
        for segment in all.filter(|segment| segment.span().newest_at < at) {
            if segment.has_sidecar() {
                segment.remove_sidecar(&*self.disk)?;
                changed.extend(segment.sidecar.parent());
                removed += 1;
            }
        }
        for dir in changed {
            self.disk.sync_dir(dir).map_err(|error| Error::io(dir, error))?;
        }
        Ok(removed)
    }

    /// Removes files of hits whose newest was journaled before `at`, with their sidecars. Answers
    /// how many. The newest file stays, whatever its age: its name says how far hits are sealed.
    pub fn remove_hits_before(&self, at: Timestamp) -> Result<usize, Error> {
        let mut upkeep = lock(&self.upkeep);
        self.sweep(&mut upkeep)?;
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
        let dir = path.parent().expect("a file is in a folder");
        if upkeep.is_unsure {
            let error = io::Error::other("an earlier removal may not be durable: start again");
            return Err(Error::io(dir, error));
        }
        match self.disk.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed.map_err(|error| Error::io(path, error))?,
        }
        self.disk.sync_dir(dir).map_err(|error| {
            upkeep.is_unsure = true;
            Error::io(dir, error)
        })
    }
}
