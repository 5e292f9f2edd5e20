//! Facts: the clicks and hits of the journal, in columns, for look-ups and sums.
//!
//! **Everything here can be made again from the journal**, up to [`Facts::sealed`]; what is
//! before that lies in sealed files, written, synced and only then named, and never changed. A
//! caller hands each record over once, in journal order ([`Facts::add_click`],
//! [`Facts::add_hit`], [`Facts::pass`]), and after a restart again from `sealed` on. So a failed sync harms
//! nothing: the file is thrown away and written anew, for the journal still has its records, and
//! keeps them until `sealed` has passed them.
//!
//! **A question sees each click exactly once.** Files and the rows since the last seal change
//! places in one swap of a `Snapshot`, and a question works on the one it began with; files
//! that were merged or expired are removed when no snapshot has them any more.
//!
//! Threads: one adds; one calls [`Facts::seal`]; one calls [`Facts::merge`] and the removals;
//! any number ask. None waits for a disk that another one writes to.
//!
//! | Module | Is |
//! |---|---|
//! | `hot` | the clicks since the last seal |
//! | `layout`, `column`, `page`, `bits`, `value`, `words` | the files' columns, and how they are coded |
//! | `write`, `table` | one file: written, read |
//! | `folder` | the files of a kind: their names, which ones count, what a crash left |
//! | `find`, `sum`, `tally` | look-ups and reports |
//! | `seal`, `merge`, `expire` | from memory to files, from small files to large ones, and away |
//! | `hits`, `verify` | one hit or a click's visitor; a check of everything |

mod bits;
mod column;
mod expire;
mod find;
mod folder;
mod hits;
mod hot;
mod layout;
mod merge;
mod page;
mod seal;
mod sum;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod value;
mod verify;
mod words;
mod write;

use self::folder::{Folder, Segment};
use self::hot::Generation;
use crate::disk::Disk;
use domain::click::Click;
use domain::hit::Hit;
use domain::id::Position;
use domain::record::Stamped;
use domain::report::GROUPS_MAX;
use domain::time::Timestamp;
use parquet::errors::ParquetError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Duration;

pub use self::find::Found;
pub use self::folder::{Kind, sealed_in};
pub use self::hits::StoredHit;
pub use self::hot::{HOT_BYTES_MAX, HOT_ROWS_MAX, SEAL_AFTER_S, SEAL_BYTES, SEAL_ROWS};
pub use self::merge::{MERGE_BYTES_MAX, MERGE_FILES, MERGE_HITS_MAX, MERGE_ROWS_MAX, Merged};
pub use self::seal::Sealed;
pub use self::verify::{Fact, Problem, verify};

/// Where records come from that are no longer, or not yet, in memory: the journal.
pub trait Records: Send + Sync {
    /// The journal's own: files of another one are refused.
    fn id(&self) -> JournalId;

    /// Hands each record at positions from `from` up to, not including, `to` to `each`, in order,
    /// and stops at its first error. All of them are durable.
    fn scan(
        &self,
        from: Position,
        to: Position,
        each: &mut dyn FnMut(Stamped<'_>) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// The record at a position; `None` where the journal does not have it, or no longer.
    fn read(&self, position: Position) -> Result<Option<Stamped<'static>>, Error>;
}

/// What tells a journal from all others.
pub type JournalId = [u8; 16];

/// Why facts could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed; the same call may succeed later.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// A file is not as it was written.
    #[error("{}: {detail}", path.display())]
    Corrupt { path: PathBuf, detail: String },
    /// The journal could not be read, or does not have what was handed over.
    #[error("the journal: {detail}")]
    Journal { detail: String },
    /// The answer would have too many groups.
    #[error("the report has more than {GROUPS_MAX} groups: group by less, or ask for fewer days")]
    TooManyGroups,
}

impl Error {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// What the disk said within the `parquet` crate stays what it is. A file that is too short
    /// is damaged.
    fn parquet(path: &Path, error: ParquetError) -> Self {
        let detail = error.to_string();
        if let ParquetError::External(source) = error
            && let Ok(source) = source.downcast::<io::Error>()
            && source.kind() != io::ErrorKind::UnexpectedEof
        {
            return Self::io(path, *source);
        }
        Self::Corrupt { path: path.to_owned(), detail }
    }
}

/// A stretch of a journal, and when its records were journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    journal: JournalId,
    from: Position,
    /// Exclusive.
    to: Position,
    first_at: Timestamp,
    newest_at: Timestamp,
}

/// All facts at one moment.
struct Snapshot {
    /// In journal order, without gaps.
    clicks: Vec<Arc<Segment>>,
    hits: Vec<Arc<Segment>>,
    /// What is not sealed: the generation that is being sealed, if one is, and the one that
    /// grows.
    hot: Vec<Arc<Generation>>,
}

/// What the adding thread and the sealing one agree on.
struct Adding {
    growing: Arc<Generation>,
    /// The generation to be sealed, and the position where it ends.
    frozen: Option<(Arc<Generation>, Position)>,
    /// Where the next file of each kind begins.
    clicks_from: Position,
    hits_from: Position,
    /// What is below was added before.
    clicks_next: Position,
    hits_next: Position,
    /// All records below were handed over, in this process or before.
    handed: Position,
}

/// The facts of one data directory.
pub struct Facts {
    disk: Arc<dyn Disk>,
    journal: Arc<dyn Records>,
    clicks: Folder,
    hits: Folder,
    now: RwLock<Arc<Snapshot>>,
    adding: Mutex<Adding>,
    /// Signalled when a frozen generation has become files.
    room: Condvar,
    sealing: Mutex<()>,
    upkeep: Mutex<expire::Upkeep>,
    words: find::WordCache,
    sidecars: hits::Sidecars,
}

impl Facts {
    /// Opens the facts in `dir`, which is made where it is missing; throws away what a crash left
    /// half done. The caller then hands over the journal's records from [`Facts::sealed`] on.
    ///
    /// Files that overlap, between which one is missing, or of another journal are an error.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, journal: Arc<dyn Records>) -> Result<Self, Error> {
        let clicks = Folder::clicks(dir, Some(journal.id()));
        let hits = Folder::hits(dir, Some(journal.id()));
        let click_segments = clicks.open(&*disk)?;
        let hit_segments = hits.open(&*disk)?;
        let end = |segments: &[Arc<Segment>]| {
            segments.last().map_or(Position(0), |segment| segment.table.span.to)
        };
        let (clicks_from, hits_from) = (end(&click_segments), end(&hit_segments));
        let growing = Arc::new(Generation::new());
        let hot = vec![Arc::clone(&growing)];
        let snapshot = Snapshot { clicks: click_segments, hits: hit_segments, hot };
        Ok(Self {
            disk,
            journal,
            clicks,
            hits,
            now: RwLock::new(Arc::new(snapshot)),
            adding: Mutex::new(Adding {
                growing,
                frozen: None,
                clicks_from,
                hits_from,
                clicks_next: clicks_from,
                hits_next: hits_from,
                handed: clicks_from.min(hits_from),
            }),
            room: Condvar::new(),
            sealing: Mutex::new(()),
            upkeep: Mutex::default(),
            words: find::WordCache::default(),
            sidecars: hits::Sidecars::default(),
        })
    }

    /// The journal's records before this are in files, synced; from here on it has to keep them,
    /// and after a restart they are handed over again.
    pub fn sealed(&self) -> Position {
        let adding = lock(&self.adding);
        adding.clicks_from.min(adding.hits_from)
    }

    /// Adds a click; it is found and counted from now on. Clicks come in journal order, from one
    /// thread; one that was added or sealed before changes nothing.
    pub fn add_click(&self, position: Position, at: Timestamp, click: &Click<'_>) {
        let mut adding = lock(&self.adding);
        if position >= adding.clicks_next {
            self.freeze_if_due(&mut adding, at);
            adding.growing.add_click(position, at, click);
            adding.clicks_next = Position(position.0 + 1);
        }
        adding.handed = adding.handed.max(Position(position.0 + 1));
    }

    /// Notes a hit, which the journal goes on to hold until it is sealed. Otherwise as
    /// [`Facts::add_click`].
    pub fn add_hit(&self, position: Position, at: Timestamp, hit: &Hit) {
        let mut adding = lock(&self.adding);
        if position >= adding.hits_next {
            self.freeze_if_due(&mut adding, at);
            adding.growing.add_hit(at, hit.target.len() + hit.body.len());
            adding.hits_next = Position(position.0 + 1);
        }
        adding.handed = adding.handed.max(Position(position.0 + 1));
    }

    /// Notes a record that is neither click nor hit. It is in no file, but one ends behind it: else
    /// the journal would keep all beside it for as long as no click or hit follows.
    pub fn pass(&self, position: Position, at: Timestamp) {
        let mut adding = lock(&self.adding);
        if position >= adding.handed {
            self.freeze_if_due(&mut adding, at);
            adding.growing.pass(at);
            adding.handed = Position(position.0 + 1);
        }
    }

    /// Whether whoever adds should wait: the growing generation is full, and the one before it is
    /// not sealed yet. What is added all the same takes memory: see [`Facts::wait_for_room`].
    pub fn is_full(&self) -> bool {
        let adding = lock(&self.adding);
        adding.frozen.is_some() && adding.growing.rows().is_full()
    }

    /// Waits while [`Facts::is_full`], but no longer than `at_most`: sealing may then catch up.
    /// Answers whether more may be added. It may not where sealing has failed for so long that the
    /// growing generation is at [`HOT_ROWS_MAX`] or [`HOT_BYTES_MAX`].
    pub fn wait_for_room(&self, at_most: Duration) -> bool {
        let adding = lock(&self.adding);
        let is_full =
            |adding: &mut Adding| adding.frozen.is_some() && adding.growing.rows().is_full();
        let waited = self.room.wait_timeout_while(adding, at_most, is_full);
        let (adding, _) = waited.unwrap_or_else(PoisonError::into_inner);
        adding.frozen.is_none() || !adding.growing.rows().is_overfull()
    }

    /// Whether [`Facts::seal`] has something to do.
    pub fn is_seal_due(&self, now: Timestamp) -> bool {
        let adding = lock(&self.adding);
        adding.frozen.is_some() || adding.growing.rows().is_due(now)
    }

    /// Before a record of `at` is added: what is full gets no more, and what is old has not to
    /// wait until newer records expire.
    fn freeze_if_due(&self, adding: &mut Adding, at: Timestamp) {
        if adding.frozen.is_none() && adding.growing.rows().is_due(at) {
            self.freeze(adding);
        }
    }

    /// Lets a new generation grow. There must be none that is frozen.
    fn freeze(&self, adding: &mut Adding) {
        assert!(adding.frozen.is_none(), "there are at most two generations");
        let to = adding.handed;
        let growing = Arc::new(Generation::new());
        let frozen = std::mem::replace(&mut adding.growing, Arc::clone(&growing));
        self.swap(|snapshot| snapshot.hot = vec![Arc::clone(&frozen), growing]);
        adding.frozen = Some((frozen, to));
        adding.clicks_next = adding.clicks_next.max(to);
        adding.hits_next = adding.hits_next.max(to);
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&read_lock(&self.now))
    }

    /// Puts a changed snapshot in the place of the present one, for whoever asks from now on.
    fn swap(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut now: RwLockWriteGuard<'_, _> =
            self.now.write().unwrap_or_else(PoisonError::into_inner);
        let mut next =
            Snapshot { clicks: now.clicks.clone(), hits: now.hits.clone(), hot: now.hot.clone() };
        change(&mut next);
        *now = Arc::new(next);
    }
}

/// A panic while a lock was held ends the process where it matters; elsewhere the state was
/// replaced whole or not at all.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_lock<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
