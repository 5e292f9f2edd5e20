//! The journal: an append-only file of what arrives, in the order in which it counts.
//!
//! **Acknowledged means on disk.** A [`Ticket`] is good only after the sync that covers its record;
//! readers see nothing that is not durable; after a failed sync the process ends. The bytes are
//! described in `docs/journal.md`.
//!
//! In reading order: `format` (the bytes), `scan` (what of them to believe), `segment` (the files),
//! `queue` and `writer` (group commit), `prepare` (the next file), `open` (after a crash), `reader`
//! and `find` (reading on, reading one), `verify`, and `ballast` and `fatal` for bad days.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::id::{NodeId, Position};
use domain::record::Kind;
use tokio::sync::watch;

use self::find::Finder;
use self::format::{BATCH_HEADER_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use self::prepare::{Preparer, Work};
use self::queue::Queue;
use self::segment::{Shared, path_of};
use self::writer::Writer;
use crate::disk::{Disk, Lock};

pub mod ballast;
pub mod fatal;
mod find;
mod format;
mod open;
mod prepare;
mod queue;
mod reader;
mod scan;
mod segment;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use self::ballast::Ballast;
pub use self::format::Header;
pub use self::queue::Ticket;
pub use self::reader::{Chunk, Reader};
pub use self::verify::{Found, Verified, verify};

/// How long a segment's file is, unless [`Options`] say otherwise.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// The shortest segment there can be.
pub const SEGMENT_BYTES_MIN: u64 = 8 << 10;
/// The longest payload of a record.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// How much may wait for the writer, and so how long a batch can be. A disk that takes 10 MB a
/// second of clicks can stall for more than a second before anybody is refused.
pub const PENDING_BYTES_MAX: usize = 16 << 20;
/// How many ordinals a journal that was restored from a backup skips: records that were
/// acknowledged after the backup had them, and their receipts must not come to mean others. This
/// many are not used up in years, and a receipt has room for 2⁵³.
pub const RESTORE_SKIP: u64 = 1 << 40;
/// How long a segment is written after its first record, in microseconds: a day. Only what is not
/// written any more can be removed, and what it holds of persons is not to stay for want of traffic.
pub const SEGMENT_AGE_MAX_US: i64 = 24 * 60 * 60 * 1_000_000;
/// How long nothing arrives before the writer looks whether its segment is that old.
const IDLE_AFTER: Duration = Duration::from_secs(60);
/// How long after a failed attempt to make a segment, for want of room, the next one waits.
const RETRY_FULL_AFTER: Duration = Duration::from_secs(1);

/// The time, in microseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a journal is opened with.
#[derive(Clone)]
pub struct Options {
    /// The node whose journal it is. A journal of another node is refused.
    pub node: NodeId,
    /// The rules in force, stamped on each record.
    pub rules: u16,
    /// Random bits: the id of the journal, where this call makes a new one.
    pub id: [u8; 16],
    /// How long a segment is. A segment that is there keeps what it has.
    pub segment_bytes: u64,
    /// How many ordinals to skip before the next record; see [`RESTORE_SKIP`]. With a number above
    /// zero a segment is begun at each opening.
    pub skip: u64,
    /// The position that whoever applies records has come to. A journal that ends before is
    /// refused, and what looks torn at its end is left as it is.
    pub must_reach: Position,
    /// While the disk is full, how long after a failed attempt to make a segment the next one waits.
    pub retry_full_after: Duration,
    /// How long nothing arrives before it is looked whether the segment has become old.
    pub idle_after: Duration,
    /// What is released when a record is refused because the disk is full.
    pub ballast: Option<Arc<Ballast>>,
    /// What ends the process.
    pub fatal: fatal::Hook,
}

impl Options {
    pub fn new(node: NodeId, rules: u16, id: [u8; 16]) -> Self {
        Self {
            node,
            rules,
            id,
            segment_bytes: SEGMENT_BYTES,
            skip: 0,
            must_reach: Position(0),
            retry_full_after: RETRY_FULL_AFTER,
            idle_after: IDLE_AFTER,
            ballast: None,
            fatal: fatal::abort(),
        }
    }
}

/// Why a record is not in the journal. It will not be there later either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("the record is longer than {max} bytes")]
    TooLarge { max: usize },
    /// The disk is slower than what arrives. Nothing was queued.
    #[error("too much waits to be written to the journal")]
    Busy,
    /// Each later append finds out by itself whether there is room again.
    #[error("the disk is full")]
    Full,
    #[error("the journal cannot be written: {0}")]
    Io(io::ErrorKind),
    /// The journal is being closed, or something fatal has happened. In the latter case alone the
    /// record may be found after a restart all the same.
    #[error("the journal has stopped")]
    Stopped,
}

/// Bytes of the journal that no crash can have left as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal segment {segment:08} is damaged at byte {offset}: {what}")]
pub struct Damage {
    pub segment: u32,
    pub offset: u64,
    pub what: String,
}

impl Damage {
    fn new(segment: u32, offset: u64, what: impl Into<String>) -> Self {
        Self { segment, offset, what: what.into() }
    }
}

/// Why a journal cannot be opened. Nothing that was in it is changed then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another process has the journal open")]
    Locked,
    #[error(
        "journal segment {segment:08} has format version {version}, which a later release wrote; \
         this one reads up to {known}", known = format::VERSION
    )]
    Newer { segment: u32, version: u32 },
    #[error("the journal is that of node {found}, not of node {asked}")]
    Node { found: u16, asked: u16 },
    /// What was acknowledged and applied is not there any more.
    #[error(
        "the journal ends at position {next}, and the ledger has applied what came before \
         position {must_reach}: a part of the journal is missing, or is damaged"
    )]
    Short { next: Position, must_reach: Position },
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error("the journal cannot be opened: {0}")]
    Io(#[from] io::Error),
}

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the journal does not hold that record any more; it begins at position {oldest}")]
    Removed { oldest: Position },
    #[error("the journal ends before that record; its next position is {next}")]
    Ahead { next: Position },
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error("the journal cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// A file of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    pub path: PathBuf,
    /// The position its first record has, or will have.
    pub from: Position,
    /// Everything before `from` was journaled at this time or earlier, everything from there on at
    /// this time or later. The first segment's is the earliest time there is.
    pub since_us: i64,
    /// How much of it is durable; `None` where it is closed, and so all of it is.
    pub durable_bytes: Option<u64>,
}

/// A journal that is open. There is one writer; dropping it writes what is queued and ends.
pub struct Journal {
    shared: Arc<Shared>,
    finder: Finder,
    queue: Arc<Queue>,
    preparer: Arc<Preparer>,
    settled: watch::Receiver<u64>,
    durable: watch::Receiver<Position>,
    node: NodeId,
    rules: u16,
    fatal: Arc<fatal::Fatal>,
    prepares: Option<JoinHandle<()>>,
    writes: Option<JoinHandle<()>>,
    removing: Mutex<()>,
    _lock: Lock,
}

impl Journal {
    /// Opens the journal in `dir`, and makes it where there is none. What a crash has left
    /// unfinished is cut; all that can be read afterwards is durable.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        mut options: Options,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let bytes = options.segment_bytes.max(SEGMENT_BYTES_MIN);
        options.segment_bytes = bytes.next_multiple_of(SEGMENT_HEADER_BYTES);
        let lock = open::lock(&*disk, dir)?;
        let opened = open::open(&*disk, dir, &options)?;
        let (settled, settled_seen) = watch::channel(0);
        let (durable, durable_seen) = watch::channel(Position(opened.table.next));
        let shared = Arc::new(Shared::new(disk, dir.to_owned(), opened.id, opened.table));
        let number = opened.segment.number;
        let (fatal, preparer, queue) = (
            Arc::new(fatal::Fatal::new(options.fatal)),
            Arc::new(Preparer::new(options.retry_full_after)),
            Arc::new(queue_for(options.segment_bytes)),
        );
        let work = Work {
            disk: Arc::clone(&shared.disk),
            dir: dir.to_owned(),
            segment_bytes: options.segment_bytes,
            ballast: options.ballast.clone(),
            fatal: Arc::clone(&fatal),
        };
        let writer = Writer {
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
            preparer: Arc::clone(&preparer),
            ballast: options.ballast,
            fatal: Arc::clone(&fatal),
            clock,
            node: options.node.get(),
            settled,
            durable,
            segment: opened.segment,
            idle_after: options.idle_after,
        };
        let mut journal = Self {
            finder: Finder::new(Arc::clone(&shared)),
            shared,
            queue,
            preparer: Arc::clone(&preparer),
            settled: settled_seen,
            durable: durable_seen,
            node: options.node,
            rules: options.rules,
            fatal: Arc::clone(&fatal),
            prepares: None,
            writes: None,
            removing: Mutex::new(()),
            _lock: lock,
        };
        preparer.want(number + 1);
        let guard = Arc::clone(&fatal);
        journal.prepares = Some(spawn("journal-prepare", guard, move || preparer.run(&work))?);
        journal.writes = Some(spawn("journal-write", fatal, move || writer.run())?);
        Ok(journal)
    }

    /// The random id that the journal got when it was made. The ledger keeps it too.
    pub fn id(&self) -> [u8; 16] {
        self.shared.id
    }

    /// The position after the last durable record. A ledger that is further has lost its journal.
    pub fn next(&self) -> Position {
        Position(self.shared.table().next)
    }

    /// The position from which on everything is kept.
    pub fn oldest(&self) -> Position {
        Position(self.shared.table().oldest())
    }

    /// The time of the last durable record; the earliest time there is where there never was one.
    pub fn last_at_us(&self) -> i64 {
        self.shared.table().last_at_us
    }

    /// Queues a record, and does not wait for the disk. It counts from the moment its ticket says
    /// so; after an error, here or from the ticket, it is not there.
    pub fn append(&self, kind: Kind, format: u8, payload: &[u8]) -> Result<Ticket, AppendError> {
        let (node, rules) = (self.node.get(), self.rules);
        self.queue.push(&Header { format, kind: kind as u8, node, at_us: 0, rules }, payload)
    }

    /// The number of the last commit that is settled: durable or failed, and so are those before.
    pub fn settled(&self) -> watch::Receiver<u64> {
        self.settled.clone()
    }

    /// The position after the last durable record, as it moves.
    pub fn durable(&self) -> watch::Receiver<Position> {
        self.durable.clone()
    }

    /// Reads on from `from`, or from the next record where that was skipped. It may be
    /// [`Journal::next`], and not later.
    pub fn reader(&self, from: Position) -> Result<Reader, ReadError> {
        Reader::open(&self.finder, from)
    }

    /// One record; `None` where there is none at this position: not yet, or skipped.
    pub fn read(&self, position: Position) -> Result<Option<(Header, Vec<u8>)>, ReadError> {
        self.finder.read(position)
    }

    /// The files, oldest first. Copied in this order, of each what is durable, they are a journal.
    pub fn segments(&self) -> Vec<SegmentFile> {
        let table = self.shared.table().clone();
        let last = table.last().number;
        let file = |extent: &segment::Extent| SegmentFile {
            path: path_of(&self.shared.dir, extent.number),
            from: Position(extent.first),
            since_us: extent.floor_us,
            durable_bytes: (extent.number == last).then_some(table.end),
        };
        table.segments.iter().map(file).collect()
    }

    /// Removes the segments all of whose records stand before `position`, and tells how many. The
    /// one that is written stays. On an error those that are left are the later ones.
    pub fn remove_before(&self, position: Position) -> io::Result<usize> {
        let _alone = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut removed = 0;
        loop {
            let oldest = {
                let mut table = self.shared.table();
                match table.segments.get(1) {
                    Some(after) if after.follows <= position.0 => {}
                    _ => return Ok(removed),
                }
                table.segments.pop_front().expect("there are two at least")
            };
            // From here on readers are told that it is gone.
            self.finder.forget_before(oldest.number + 1);
            let path = path_of(&self.shared.dir, oldest.number);
            if let Err(error) = self.shared.disk.remove(&path) {
                self.shared.table().segments.push_front(oldest);
                return Err(error);
            }
            // One at a time, so that no crash can leave a gap.
            if let Err(error) = self.shared.disk.sync_dir(&self.shared.dir) {
                self.fatal.happen(&format!("the journal's folder cannot be synced: {error}"));
                return Err(error);
            }
            removed += 1;
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue.close();
        // A panic of one of them has ended the process, or was told to who asked for that.
        _ = self.writes.take().map(JoinHandle::join);
        // Only now, for the writer may still have needed a segment.
        self.preparer.stop();
        _ = self.prepares.take().map(JoinHandle::join);
    }
}

/// A queue whose batches fit into a segment.
fn queue_for(segment_bytes: u64) -> Queue {
    let room = segment_bytes - SEGMENT_HEADER_BYTES - BATCH_HEADER_BYTES as u64;
    let batch = usize::try_from(room).unwrap_or(usize::MAX).min(PENDING_BYTES_MAX);
    Queue::new(RECORD_BYTES_MAX.min(batch - RECORD_HEADER_BYTES), batch)
}

fn spawn(
    name: &str,
    fatal: Arc<fatal::Fatal>,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _guard = Guard(fatal);
        run();
    })
}

/// Ends the process when a thread of the journal panics: nobody would do its work.
struct Guard(Arc<fatal::Fatal>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.happen("a thread of the journal has panicked");
        }
    }
}
