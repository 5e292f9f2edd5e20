//! The embedded store: setup, commands, verdicts, conversions and entries in SQLite; clicks and
//! hits in [`Facts`].
//!
//! One connection writes, behind a lock that [`Store::apply`] takes, and a checkpoint for a moment;
//! a few threads read. `synchronous = normal`: a power cut may roll back the last transactions
//! together with the position, and the journal applies them again.

mod apply;
mod backfill;
mod checkpoint;
mod command;
mod conversion;
pub(crate) mod delivery;
mod digest;
mod event;
mod file;
pub(crate) mod migrate;
mod report;
pub(crate) mod row;
mod setup;
pub(crate) mod threads;
mod triage;
mod verdict;
mod verify;
pub(crate) mod walk;

pub use file::{copy, saved_position};
pub use migrate::{MIGRATIONS, SCHEMA};

use crate::facts::{self, Facts};
use crate::list::{
    ConversionFilter, Fault, KeptHit, Page, StoredCommand, StoredEntry, StoredOwed, StoredVerdict,
    VerdictFilter,
};
use crate::{Applied, Error, Store};
use async_trait::async_trait;
use domain::click::Click;
use domain::click_id::{ClickId, Keyring};
use domain::destination::{Backfilled, Destination, Period};
use domain::id::{ConversionId, DeliveryId, Position, PublisherId};
use domain::ledger::{self, ClickEvents, Conversion, Decision, Entry, Key, Occasion, Read};
use domain::record::Stamped;
use domain::report as question;
use domain::secret::SecretsKey;
use domain::setup::Setup;
use domain::time::Timestamp;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use threads::{Access, Threads};

/// How many records may be applied before the position is written, where they change nothing in
/// the ledger: this many clicks are looked at once more after a restart.
const POSITION_LAG_MAX: u64 = 100_000;
/// SQLite's page cache of the writing connection, in KiB.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// The same of each reading connection.
const READER_CACHE_KIB: i64 = 8 * 1024;
/// How long a batch waits for the facts to be sealed; then it goes on as long as memory allows.
const ROOM_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
/// The file's name in the data directory.
pub(crate) const FILE: &str = "ledger.db";
/// How many long questions are answered at the same time.
const READERS: usize = 2;
/// How long a connection waits for another's lock.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Judges one hit; [`ledger::decide`] outside of tests.
pub type Decide = fn(&Setup, &Read<'_>, ledger::Facts<'_>, Occasion) -> Decision;

/// What a store is opened with.
pub struct Options {
    /// Whose records it holds.
    pub journal_id: [u8; 16],
    pub keyring: Keyring,
    /// `None`: secrets stay encrypted, and what has any is not applied.
    pub secrets: Option<SecretsKey>,
    pub decide: Decide,
}

/// The embedded store.
pub struct SqliteStore {
    writer: Arc<Mutex<Writer>>,
    /// For lists, reports and checks, which may take long.
    readers: Threads,
    /// For one record by its key, which nobody else's question holds up.
    finders: Threads,
    checkpoints: Threads,
    facts: Arc<Facts>,
}

struct Writer {
    connection: Connection,
    facts: Arc<Facts>,
    keyring: Keyring,
    secrets: Option<SecretsKey>,
    decide: Decide,
    /// As it stands after every record that was applied.
    setup: Arc<Setup>,
    state: State,
    /// The position that is written.
    saved: Position,
    /// The last batch failed, and what it began may not be taken back yet.
    has_failed: bool,
}

/// Where the ledger stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    position: Position,
    next_conversion: ConversionId,
    chain: [u8; 32],
    entries: u64,
    /// Not written: its row says it.
    last_delivery: DeliveryId,
}

impl SqliteStore {
    /// Opens the ledger at `path`, makes it where it is missing, and brings its schema up to
    /// this release's. Refuses a newer schema, and the ledger of another journal.
    pub fn open(path: &Path, facts: Arc<Facts>, options: Options) -> Result<Self, Error> {
        let mut connection = connect(path, WRITER_CACHE_KIB)?;
        migrate::ledger(&mut connection)?;
        State::begin(&connection, options.journal_id)?;
        let state = State::load(&connection, options.journal_id)?;
        let setup = setup::load(&connection, options.secrets.as_ref())?.into();
        let saved = state.position;
        let access = Access {
            cache_kib: READER_CACHE_KIB,
            busy_timeout: BUSY_TIMEOUT,
            log_pages: None,
            erases: false,
        };
        let readers = Threads::start(path, "reader", READERS, access)?;
        let finders = Threads::start(path, "finder", 1, access)?;
        let access = Access { busy_timeout: checkpoint::RESTART_WITHIN, ..access };
        let checkpoints = Threads::start(path, "checkpoint", 1, access)?;
        let writer = Writer {
            connection,
            facts: facts.clone(),
            keyring: options.keyring,
            secrets: options.secrets,
            decide: options.decide,
            setup,
            state,
            saved,
            has_failed: false,
        };
        let writer = Arc::new(Mutex::new(writer));
        Ok(Self { writer, readers, finders, checkpoints, facts })
    }

    /// Copies the write-ahead log into the ledger's file, and lets it begin anew when it is long.
    /// It runs beside readers and the writer, which waits while the last pages are copied.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        let writer = self.writer.clone();
        self.checkpoints
            .ask(move |connection| {
                checkpoint::checkpoint(connection, checkpoint::LOG_PAGES_MAX, || locked(&writer))
            })
            .await
    }

    /// Copies all of the write-ahead log into the ledger's file and syncs it: what has been
    /// applied is then durable without the journal.
    pub async fn checkpoint_fully(&self) -> Result<(), Error> {
        self.writer().save_position()?;
        self.checkpoints.ask(|connection| checkpoint::checkpoint_fully(connection)).await
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        locked(&self.writer)
    }
}

fn locked(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().expect("a panic while writing ends the process")
}

impl Writer {
    /// Writes the position, where only clicks have moved it.
    fn save_position(&mut self) -> Result<(), Error> {
        self.recover()?;
        if self.saved != self.state.position {
            self.state.save(&self.connection)?;
            self.saved = self.state.position;
        }
        Ok(())
    }
}

/// A click, with what is personal as far as that is kept.
fn kept_click(facts: &Facts, id: ClickId) -> Result<Option<(Position, Click<'static>)>, Error> {
    let found = facts.find(&[id], Position(u64::MAX))?.pop().flatten();
    let Some(facts::Found { position, mut click }) = found else { return Ok(None) };
    if let Some(personal) = facts.read_personal(position)? {
        click.personal = personal;
    }
    Ok(Some((position, click)))
}

/// A hit as far as the facts or the journal still have it.
fn kept_hit(facts: &Facts, position: Position) -> Result<Option<KeptHit>, Error> {
    let stored = facts.read_hit(position)?;
    Ok(stored.map(|stored| KeptHit {
        at: stored.at,
        digest: stored.digest,
        method: stored.method,
        path: stored.path,
        hit: stored.request,
    }))
}

impl State {
    fn begin(connection: &Connection, journal_id: [u8; 16]) -> Result<(), Error> {
        connection.execute(
            "-- sqlite::begin
            insert into state (id, journal_id, position, next_conversion, chain, entries)
            values (1, :journal_id, 0, 1, :chain, 0)
            on conflict do nothing",
            rusqlite::named_params! {
                ":journal_id": journal_id,
                ":chain": Entry::genesis(journal_id),
            },
        )?;
        Ok(())
    }

    fn load(connection: &Connection, journal_id: [u8; 16]) -> Result<Self, Error> {
        let (own, state) = connection.query_row(
            "-- sqlite::load
            select journal_id, position, next_conversion, chain, entries from state",
            [],
            |row| {
                let own: [u8; 16] = row.get("journal_id")?;
                let state = Self {
                    position: Position(row.get("position")?),
                    next_conversion: ConversionId(row.get("next_conversion")?),
                    chain: row.get("chain")?,
                    entries: row.get("entries")?,
                    last_delivery: DeliveryId(0),
                };
                Ok((own, state))
            },
        )?;
        if own != journal_id {
            return Err(Error::Corrupt {
                place: FILE.to_owned(),
                detail: "it belongs to another journal than the one beside it".to_owned(),
            });
        }
        Ok(Self { last_delivery: delivery::last(connection)?, ..state })
    }

    fn save(&self, connection: &Connection) -> Result<(), Error> {
        connection
            .prepare_cached(
                "-- sqlite::save
                update state set position = :position, next_conversion = :next_conversion,
                    chain = :chain, entries = :entries",
            )?
            .execute(rusqlite::named_params! {
                ":position": self.position.0,
                ":next_conversion": self.next_conversion.0,
                ":chain": self.chain,
                ":entries": self.entries,
            })?;
        Ok(())
    }
}

/// A connection as this store uses it.
pub(crate) fn connect(path: &Path, cache_kib: i64) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let file = path.display();
        let detail = format!("{file} cannot have a write-ahead log here, only: {mode}");
        return Err(Error::Unavailable(detail));
    }
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    // Checkpoints are made on a thread of their own, not inside a commit.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", checkpoint::LOG_KEPT_BYTES)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// What may pass by itself is worth another try; all else would fail the same way again.
impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed,
            OperationAborted, OperationInterrupted, OutOfMemory, PermissionDenied, ReadOnly,
            SchemaChanged, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(
                CannotOpen
                | DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | FileLockingProtocolFailed
                | OperationAborted
                | OperationInterrupted
                | OutOfMemory
                | PermissionDenied
                | ReadOnly
                | SchemaChanged
                | SystemIoFailure,
            ) => Self::Unavailable(error.to_string()),
            _ => Self::Corrupt { place: FILE.to_owned(), detail: error.to_string() },
        }
    }
}

impl Error {
    /// The same of another file than the ledger: SQLite does not say which one it reads.
    pub(crate) fn of_file(self, file: &str) -> Self {
        match self {
            Self::Corrupt { place, detail } if place == FILE => {
                Self::Corrupt { place: file.to_owned(), detail }
            }
            other => other,
        }
    }
}

impl From<facts::Error> for Error {
    fn from(error: facts::Error) -> Self {
        match error {
            facts::Error::Io { .. } => Self::Unavailable(error.to_string()),
            facts::Error::Corrupt { path, detail } => {
                let remedy = "put the file back as it is in a backup";
                let detail = format!("{detail}; {remedy}");
                Self::Corrupt { place: path.display().to_string(), detail }
            }
            facts::Error::Journal { detail } => {
                Self::Corrupt { place: "the journal".to_owned(), detail }
            }
            facts::Error::TooManyGroups => Self::TooLarge(error.to_string()),
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn position(&self) -> Result<Position, Error> {
        Ok(self.writer().state.position)
    }

    async fn apply(
        &self,
        records: &[Stamped<'_>],
        quarantined: &[Position],
        decided_at: Timestamp,
    ) -> Result<Vec<Applied>, Error> {
        // Where sealing cannot keep up, applying slows down, and stops before memory is full.
        if !self.facts.wait_for_room(ROOM_WITHIN) {
            return Err(Error::Unavailable("the facts in memory cannot be sealed".to_owned()));
        }
        self.writer().apply(records, quarantined, decided_at)
    }

    async fn setup(&self) -> Result<Setup, Error> {
        let mut writer = self.writer();
        writer.recover()?;
        Ok(Setup::clone(&writer.setup))
    }

    async fn click(&self, id: ClickId) -> Result<Option<(Position, Click<'static>)>, Error> {
        let facts = self.facts.clone();
        self.finders.ask(move |_| kept_click(&facts, id)).await
    }

    async fn conversion(
        &self,
        id: ConversionId,
    ) -> Result<Option<(Conversion, Vec<StoredEntry>)>, Error> {
        self.finders.ask(move |connection| conversion::with_entries(connection, id)).await
    }

    async fn conversion_by_key(&self, key: &Key) -> Result<Option<Conversion>, Error> {
        let key = key.clone();
        self.finders.ask(move |connection| conversion::by_key(connection, &key)).await
    }

    async fn conversions(&self, filter: &ConversionFilter) -> Result<Page<Conversion>, Error> {
        let filter = filter.clone();
        self.readers.ask(move |connection| conversion::list(connection, &filter)).await
    }

    async fn events(&self, id: ClickId) -> Result<Option<ClickEvents>, Error> {
        self.finders.ask(move |connection| event::of_click(connection, id)).await
    }

    async fn owed(&self, after: DeliveryId, limit: u32) -> Result<Vec<StoredOwed>, Error> {
        self.finders.ask(move |connection| delivery::after(connection, after, limit)).await
    }

    async fn backfillable(
        &self,
        destination: &Destination,
        publisher: PublisherId,
        period: Period,
        at: Timestamp,
    ) -> Result<Option<Backfilled>, Error> {
        let destination = destination.clone();
        self.readers
            .ask(move |connection| {
                backfill::preview(connection, &destination, publisher, period, at)
            })
            .await
    }

    async fn verdict(&self, position: Position) -> Result<Option<StoredVerdict>, Error> {
        self.finders.ask(move |connection| verdict::find(connection, position)).await
    }

    async fn verdicts(&self, filter: &VerdictFilter) -> Result<Page<StoredVerdict>, Error> {
        let filter = filter.clone();
        self.readers.ask(move |connection| verdict::list(connection, &filter)).await
    }

    async fn hit(&self, position: Position) -> Result<Option<KeptHit>, Error> {
        let facts = self.facts.clone();
        self.finders.ask(move |_| kept_hit(&facts, position)).await
    }

    async fn command(&self, position: Position) -> Result<Option<StoredCommand>, Error> {
        self.finders.ask(move |connection| command::find(connection, position)).await
    }

    async fn command_by_key(&self, actor: &str, key: &str) -> Result<Option<StoredCommand>, Error> {
        let (actor, key) = (actor.to_owned(), key.to_owned());
        self.finders.ask(move |connection| command::by_key(connection, &actor, &key)).await
    }

    async fn report(&self, query: &question::Query) -> Result<question::Answer, Error> {
        let (query, facts) = (query.clone(), self.facts.clone());
        self.readers.ask(move |connection| report::answer(connection, &facts, &query)).await
    }

    async fn digest(&self) -> Result<[u8; 32], Error> {
        // Clicks alone move the position without writing it: how batches were cut is no state.
        self.writer().save_position()?;
        self.readers.ask(digest::digest).await
    }

    async fn verify(&self) -> Result<Vec<Fault>, Error> {
        self.readers.ask(verify::verify).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fault::FaultDisk;
    use crate::journal::{self, Journal};
    use crate::records::JournalRecords;
    use domain::id::NodeId;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    fn store(dir: &Path) -> SqliteStore {
        let disk = Arc::new(FaultDisk::new());
        let node = NodeId::new(0).unwrap();
        let mut options = journal::Options::new(node, domain::record::RULES, [7; 16]);
        options.segment_bytes = journal::SEGMENT_BYTES_MIN;
        let clock = Arc::new(|| 1);
        let journal = Journal::open(disk.clone(), Path::new("journal"), options, clock).unwrap();
        let options = Options {
            journal_id: journal.id(),
            keyring: Keyring::new([(0, [3; 32])]).unwrap(),
            secrets: None,
            decide: ledger::decide,
        };
        let records = Arc::new(JournalRecords(Arc::new(journal)));
        let facts = Facts::open(disk, Path::new("facts"), records).unwrap();
        SqliteStore::open(&dir.join("ledger.db"), Arc::new(facts), options).unwrap()
    }

    #[tokio::test]
    async fn one_click_or_hit_is_found_while_all_readers_are_at_long_questions() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let (doors, gates): (Vec<_>, Vec<_>) = (0..READERS).map(|_| mpsc::channel::<()>()).unzip();
        let ask = |gate: mpsc::Receiver<()>| store.readers.ask(move |_| Ok(gate.recv().is_err()));
        let mut questions = gates.into_iter().map(ask);
        let (first, second) = (questions.next().unwrap(), questions.next().unwrap());
        assert!(questions.next().is_none());
        let find = async {
            let click = store.click(ClickId::from_bytes([0; 16])).await.unwrap();
            (click, store.hit(Position(1)).await.unwrap())
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        let wait = async {
            while Instant::now() < deadline {
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::select! {
            biased;
            _ = async { tokio::join!(first, second) } => None,
            found = find => Some(found),
            () = wait => None,
        };
        drop(doors);
        assert_eq!(found, Some((None, None)));
    }
}
