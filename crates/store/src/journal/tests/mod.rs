//! What the journal promises, on a disk that forgets what was not synced.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::disk::fault::FaultDisk;

mod append;
mod crash;
mod damage;
mod full;
mod golden;
mod reading;
mod verifying;

const ID: [u8; 16] = *b"a journal's id..";
const DIR: &str = "data/journal";

/// A disk with a clock, on which a journal is opened time and again.
struct Desk {
    disk: FaultDisk,
    now_us: Arc<AtomicI64>,
    fatal: Arc<Mutex<Vec<String>>>,
    options: Options,
}

impl Desk {
    fn new() -> Self {
        Self::on(FaultDisk::new())
    }

    fn on(disk: FaultDisk) -> Self {
        let fatal: Arc<Mutex<Vec<String>>> = Arc::default();
        let reasons = Arc::clone(&fatal);
        let options = Options {
            segment_bytes: SEGMENT_BYTES_MIN,
            retry_full_after: Duration::ZERO,
            fatal: Arc::new(move |reason| reasons.lock().unwrap().push(reason.to_owned())),
            ..Options::new(NodeId::new(5).unwrap(), 7, ID)
        };
        Self { disk, now_us: Arc::new(AtomicI64::new(1_000)), fatal, options }
    }

    fn try_open(&self) -> Result<Journal, OpenError> {
        let now_us = Arc::clone(&self.now_us);
        let clock: Clock = Arc::new(move || now_us.load(Ordering::SeqCst));
        Journal::open(Arc::new(self.disk.clone()), Path::new(DIR), self.options.clone(), clock)
    }

    fn open(&self) -> Journal {
        self.try_open().unwrap()
    }

    fn at(&self, now_us: i64) {
        self.now_us.store(now_us, Ordering::SeqCst);
    }

    /// Waits until a segment has been prepared.
    fn await_segment(&self, number: u32) {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while self.disk.bytes(&segment(number)).is_err() {
            assert!(std::time::Instant::now() < deadline, "it was not prepared");
            std::thread::yield_now();
        }
    }

    /// Why the process would have ended.
    fn reasons(&self) -> Vec<String> {
        self.fatal.lock().unwrap().clone()
    }
}

fn segment(number: u32) -> PathBuf {
    path_of(Path::new(DIR), number)
}

/// Waits until a segment can be gone over to.
fn await_ready(journal: &Journal, number: u32) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !journal.preparer.is_ready(number) {
        assert!(std::time::Instant::now() < deadline, "it was not prepared");
        std::thread::yield_now();
    }
}

/// Appends one record and waits for it.
fn put(journal: &Journal, payload: &[u8]) -> Result<u64, AppendError> {
    journal.append(Kind::Hit, 1, payload)?.wait_blocking().map(|position| position.0)
}

/// All records from `from` on.
fn all_from(journal: &Journal, from: u64) -> Vec<(u64, Header, Vec<u8>)> {
    try_all_from(journal, from).unwrap()
}

fn try_all_from(journal: &Journal, from: u64) -> Result<Vec<(u64, Header, Vec<u8>)>, ReadError> {
    let mut reader = journal.reader(Position(from))?;
    let mut all = Vec::new();
    while let Some(chunk) = reader.next(1000, 1 << 20)? {
        all.extend(chunk.iter().map(|(at, header, payload)| (at.0, header, payload.to_vec())));
    }
    Ok(all)
}

/// The positions and payloads of all records.
fn payloads(journal: &Journal) -> Vec<(u64, Vec<u8>)> {
    let from = journal.oldest().0;
    all_from(journal, from).into_iter().map(|(at, _, payload)| (at, payload)).collect()
}
