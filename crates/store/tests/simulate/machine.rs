//! A machine that can lose its power: journal and facts on a disk that forgets what was not
//! synced, and a ledger that may lose its last moments with it.

use domain::click_id::Keyring;
use domain::id::{NodeId, Position};
use domain::ledger;
use domain::record::{self, Record};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::Store;
use store::disk::fault::{Crash, FaultDisk};
use store::facts::Facts;
use store::journal::{self, Header, Journal};
use store::records::JournalRecords;
use store::sqlite::{Options, SqliteStore};

/// Short, so that a life has several.
const SEGMENT_BYTES: u64 = 64 << 10;
const LEDGER: [&str; 2] = ["ledger.db", "ledger.db-wal"];

pub(crate) fn keyring() -> Keyring {
    Keyring::new([(0, [3; 32])]).unwrap()
}

pub(crate) struct Machine {
    /// Microseconds; it may go back.
    pub(crate) clock: Arc<AtomicI64>,
    disk: FaultDisk,
    dir: tempfile::TempDir,
    /// What the journal held in segments that were removed.
    removed: Vec<Kept>,
    on: Option<On>,
}

/// A record as it is in the journal.
type Kept = (Position, Header, Vec<u8>);

/// What is there while the power is.
pub(crate) struct On {
    pub(crate) journal: Arc<Journal>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) store: SqliteStore,
}

impl Machine {
    pub(crate) fn new(now_us: i64) -> Self {
        let mut machine = Self {
            clock: Arc::new(AtomicI64::new(now_us)),
            disk: FaultDisk::new(),
            dir: tempfile::tempdir().unwrap(),
            removed: Vec::new(),
            on: None,
        };
        machine.start();
        machine
    }

    pub(crate) fn on(&self) -> &On {
        self.on.as_ref().expect("the power is on")
    }

    fn start(&mut self) {
        let disk = Arc::new(self.disk.clone());
        let mut options = journal::Options::new(NodeId::new(0).unwrap(), record::RULES, [7; 16]);
        options.segment_bytes = SEGMENT_BYTES;
        let clock = self.clock.clone();
        let now = Arc::new(move || clock.load(Ordering::Relaxed));
        let journal = Journal::open(disk.clone(), Path::new("journal"), options, now).unwrap();
        let journal = Arc::new(journal);
        let records = Arc::new(JournalRecords(journal.clone()));
        let facts = Arc::new(Facts::open(disk, Path::new("facts"), records).unwrap());
        let store = open_ledger(self.dir.path(), &journal, facts.clone());
        self.on = Some(On { journal, facts, store });
    }

    /// The power is lost and comes back. Where it is given, the ledger comes back as it was then.
    pub(crate) fn crash(&mut self, seed: u64, crash: Crash, ledger: Option<&Path>) {
        self.on = None;
        self.disk = self.disk.after_crash(seed, crash);
        if let Some(older) = ledger {
            for name in LEDGER.iter().chain(&["ledger.db-shm"]) {
                _ = fs::remove_file(self.dir.path().join(name));
            }
            copy_ledger(older, self.dir.path());
        }
        self.start();
    }

    /// Copies the ledger as it is now, so that a crash can bring it back.
    pub(crate) fn remember_ledger(&self, number: usize) -> PathBuf {
        let to = self.dir.path().join(format!("older-{number}"));
        fs::create_dir(&to).unwrap();
        copy_ledger(self.dir.path(), &to);
        to
    }

    /// Journals a record; it is on the disk when this returns.
    pub(crate) async fn append(&self, record: &Record<'_>) -> Position {
        let payload = record::write(record);
        let journal = &self.on().journal;
        let ticket = journal.append(record.kind(), record.kind().format(), &payload).unwrap();
        ticket.wait().await.unwrap()
    }

    /// Where the ledger and the facts have to hear of records again.
    pub(crate) async fn from(&self) -> Position {
        let On { journal, facts, store } = self.on();
        let position = store.position().await.unwrap();
        position.min(facts.sealed()).max(journal.oldest())
    }

    /// All that the journal still has.
    fn kept(&self) -> Vec<Kept> {
        let journal = &self.on().journal;
        let mut reader = journal.reader(journal.oldest()).unwrap();
        let mut kept = Vec::new();
        while let Some(chunk) = reader.next(usize::MAX, usize::MAX).unwrap() {
            let records = chunk.iter();
            kept.extend(records.map(|(at, header, payload)| (at, header, payload.to_vec())));
        }
        kept
    }

    /// Removes the journal's segments before `needed`.
    pub(crate) fn remove_journal(&mut self, needed: Position) {
        let mut kept = self.kept();
        self.on().journal.remove_before(needed).unwrap();
        let oldest = self.on().journal.oldest();
        kept.retain(|(position, ..)| *position < oldest);
        self.removed.extend(kept);
    }

    /// The digest of another ledger that is given the same records, cut by `cut`.
    pub(crate) async fn replayed(&self, cut: usize) -> [u8; 32] {
        let dir = tempfile::tempdir().unwrap();
        let journal = &self.on().journal;
        let records = Arc::new(JournalRecords(journal.clone()));
        let disk = Arc::new(FaultDisk::new());
        let facts = Arc::new(Facts::open(disk, Path::new("facts"), records).unwrap());
        let store = open_ledger(dir.path(), journal, facts);
        for batch in [&self.removed[..], &self.kept()].concat().chunks(cut) {
            let records = batch.iter().map(|(position, header, payload)| {
                store::records::decode(*position, *header, payload).unwrap()
            });
            let records: Vec<_> = records.collect();
            let now = records[0].at.plus_days(900);
            store.apply(&records, &[], now).await.unwrap();
        }
        assert_eq!(store.verify().await.unwrap(), []);
        store.digest().await.unwrap()
    }
}

fn open_ledger(dir: &Path, journal: &Journal, facts: Arc<Facts>) -> SqliteStore {
    let options = Options {
        journal_id: journal.id(),
        keyring: keyring(),
        secrets: None,
        decide: ledger::decide,
    };
    SqliteStore::open(&dir.join("ledger.db"), facts, options).unwrap()
}

fn copy_ledger(from: &Path, to: &Path) {
    for name in LEDGER {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}
