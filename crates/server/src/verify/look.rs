//! A data directory opened as a start would open it, and changed by nothing: journal and facts
//! through an overlay, ledger and deliveries as copies.

use super::overlay::Overlay;
use crate::keys::{Keys, Missing};
use crate::open::{DELIVERIES, FACTS, JOURNAL, LEDGER};
use crate::scratch::Scratch;
use anyhow::Context;
use domain::click_id::Keyring;
use domain::id::{ConversionId, DeliveryId, NodeId, Position};
use domain::ledger::{Conversion, Entry};
use domain::record;
use domain::secret::SecretsKey;
use domain::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use store::deliveries::SqliteDeliveries;
use store::disk::Disk;
use store::facts::{Facts, StoredHit};
use store::journal::{self, Journal, OpenError};
use store::list::{
    ConversionFilter, Fault, PAGE_ROWS_MAX, Page, StoredOwed, StoredVerdict, VerdictFilter,
};
use store::records::JournalRecords;
use store::sqlite::{self, SqliteStore};
use store::{Error, Store};

/// How long the segments are that opening begins, in an overlay or a copy.
const SEGMENT_BYTES: u64 = 1 << 20;
/// SQLite's file beside another, with what is not in that yet.
const WAL_ENDING: &str = "-wal";

/// What there is in the directory.
pub(super) struct Look {
    store: SqliteStore,
    facts: Arc<Facts>,
    runtime: tokio::runtime::Runtime,
    /// The position after the journal's last record.
    pub(super) next: Position,
    /// The journal's oldest one, skipped or not.
    pub(super) oldest: Position,
    /// The first record that is not applied.
    pub(super) position: Position,
    pub(super) journal_id: [u8; 16],
    /// When the journal's last record was written.
    ends_at: Timestamp,
    /// Last, for what is above is in there.
    scratch: Scratch,
}

impl Look {
    /// An error says which part does not open, and why.
    pub(super) fn at(data: &Path, node: NodeId) -> anyhow::Result<Self> {
        let data = data.canonicalize()?;
        let scratch = beside(&data)?;
        let disk: Arc<dyn Disk> = Arc::new(Overlay::new(&data, &scratch.path().join("changes")));
        let journal = Arc::new(open_journal(&disk, &data.join(JOURNAL), node)?);
        let records = Arc::new(JournalRecords(journal.clone()));
        let facts = Arc::new(Facts::open(disk, &data.join(FACTS), records).context("the facts")?);
        let ledger = scratch.path().join(LEDGER);
        copy_file(&data.join(LEDGER), &ledger)
            .context("the ledger cannot be copied to be checked")?;
        let store = open_store(&ledger, journal.id(), keyring(&data), facts.clone())?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let position = runtime.block_on(store.position())?;
        let (next, oldest) = (journal.next(), journal.oldest());
        let (journal_id, ends_at) = (journal.id(), Timestamp::from_us(journal.last_at_us()));
        Ok(Self { store, facts, runtime, next, oldest, position, journal_id, ends_at, scratch })
    }

    /// The deliveries beside the ledger, as a copy; `None`: there are none yet.
    pub(super) fn deliveries(&self, data: &Path) -> anyhow::Result<Option<SqliteDeliveries>> {
        let (from, to) = (data.join(DELIVERIES), self.scratch.path().join(DELIVERIES));
        if !from.exists() {
            return Ok(None);
        }
        copy_file(&from, &to).context("they cannot be copied to be checked")?;
        Ok(Some(SqliteDeliveries::open(&to, self.journal_id, self.ends_at)?))
    }

    /// What destinations are owed, oldest first, after `after`.
    pub(super) fn owed(&self, after: DeliveryId) -> Result<Vec<StoredOwed>, Error> {
        self.runtime.block_on(self.store.owed(after, PAGE_ROWS_MAX))
    }

    pub(super) fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.block_on(asked)
    }

    /// Whose secrets that key does not decrypt.
    pub(super) fn undecrypted(&self, key: &SecretsKey) -> Result<Option<String>, Error> {
        let mut setup = self.runtime.block_on(self.store.setup())?;
        Ok(setup.decrypt_secrets(key).err())
    }

    /// What is wrong with the ledger by itself.
    pub(super) fn verify(&self) -> Result<Vec<Fault>, Error> {
        self.runtime.block_on(self.store.verify())
    }

    /// The first position that is not sealed.
    pub(super) fn sealed(&self) -> Position {
        self.facts.sealed()
    }

    /// Verdicts, newest first, from `before` on.
    pub(super) fn verdicts(&self, before: Option<u64>) -> Result<Page<StoredVerdict>, Error> {
        let filter = VerdictFilter { before, limit: PAGE_ROWS_MAX, ..VerdictFilter::default() };
        self.runtime.block_on(self.store.verdicts(&filter))
    }

    /// Conversions, newest first, from `before` on.
    pub(super) fn conversions(&self, before: Option<u64>) -> Result<Page<Conversion>, Error> {
        let filter =
            ConversionFilter { before, limit: PAGE_ROWS_MAX, ..ConversionFilter::default() };
        self.runtime.block_on(self.store.conversions(&filter))
    }

    pub(super) fn entries(&self, id: ConversionId) -> Result<Vec<Entry>, Error> {
        let found = self.runtime.block_on(self.store.conversion(id))?;
        let entries = found.map(|(_, entries)| entries).unwrap_or_default();
        Ok(entries.into_iter().map(|stored| stored.entry).collect())
    }

    /// A hit as far as it is kept.
    pub(super) fn hit(&self, position: Position) -> Result<Option<StoredHit>, store::facts::Error> {
        self.facts.read_hit(position)
    }
}

/// On the directory's own disk, or where temporary files are if that cannot be written.
fn beside(data: &Path) -> anyhow::Result<Scratch> {
    let parent = data.parent().unwrap_or(data);
    Scratch::new(parent, "verify").or_else(|_| Scratch::new(&std::env::temp_dir(), "verify"))
}

/// The ledger's file, opened as this release does.
fn open_store(
    ledger: &Path,
    journal_id: [u8; 16],
    keyring: Keyring,
    facts: Arc<Facts>,
) -> anyhow::Result<SqliteStore> {
    let decide = domain::ledger::decide;
    let options = sqlite::Options { journal_id, keyring, secrets: None, decide };
    SqliteStore::open(ledger, facts, options).context("the ledger")
}

/// The directory's keys; nothing that is done here depends on them, so any will do where they do
/// not read.
fn keyring(data: &Path) -> Keyring {
    match Keys::open(data, None, Missing::Refuse) {
        Ok(keys) => keys.click,
        Err(_) => Keyring::new([(0, [0; 32])]).expect("one key for all times is a keyring"),
    }
}

/// The journal in `dir`, whichever node's it is: whose it ought to be is for `serve` to judge.
pub(crate) fn open_journal(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    node: NodeId,
) -> anyhow::Result<Journal> {
    let open = |node| {
        let mut options = journal::Options::new(node, record::RULES, [0; 16]);
        options.segment_bytes = SEGMENT_BYTES;
        // Nothing is appended, so nobody asks for the time.
        Journal::open(disk.clone(), dir, options, Arc::new(|| 0))
    };
    let opened = match open(node) {
        Err(OpenError::Node { found, .. }) => {
            open(NodeId::new(found).context("the journal's node is no node")?)
        }
        opened => opened,
    };
    opened.context("the journal does not open")
}

/// A file of SQLite's, with what is not in it yet.
fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    let copy = |ending: &str| {
        let named = |path: &Path| {
            let mut path = path.as_os_str().to_owned();
            path.push(ending);
            std::path::PathBuf::from(path)
        };
        match std::fs::copy(named(from), named(to)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !ending.is_empty() => {
                Ok(())
            }
            copied => copied.map(drop),
        }
    };
    copy("").and_then(|()| copy(WAL_ENDING))
}
