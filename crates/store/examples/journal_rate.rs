//! How fast the journal is on this machine's disk, and how fast the disk itself is.
//!
//! `cargo run --release -p store --example journal_rate -- [FOLDER]` (default: the current one, in
//! which it makes a folder of its own and removes it).

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain::id::{NodeId, Position};
use domain::record::Kind;
use store::disk::{Disk, RealDisk};
use store::journal::{Journal, Options};

/// What a click takes, about.
const PAYLOAD: [u8; 120] = [0x5a; 120];
const RUN: Duration = Duration::from_secs(4);
/// How many threads append, where there is as much to do.
const THREADS_MAX: usize = 4;
const SYNCS: usize = 2000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = tempfile::tempdir_in(folder)?;
    println!("payload {} bytes, {} s each", PAYLOAD.len(), RUN.as_secs());
    let syncs = bare_syncs(folder.path())?;
    println!("bare write of 4 KiB and fdatasync: {}", Shown(syncs));
    for outstanding in [1, 16, 256, 4096] {
        let dir = folder.path().join(outstanding.to_string());
        let journal = open(&dir)?;
        let begun = Instant::now();
        let latencies = append(&journal, outstanding);
        let seconds = begun.elapsed().as_secs_f64();
        let records = latencies.len();
        println!(
            "{outstanding:5} outstanding: {:9.0} appends/s, {:6.0} batches/s, {}",
            per_second(records, seconds),
            per_second(usize::try_from(*journal.settled().borrow())?, seconds),
            Shown(latencies),
        );
        if outstanding == 4096 {
            read(&journal, records)?;
            drop(journal);
            let begun = Instant::now();
            open(&dir)?;
            println!("open again: {:?}", begun.elapsed());
        }
    }
    Ok(())
}

fn open(dir: &Path) -> Result<Journal, Box<dyn std::error::Error>> {
    let now_us = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    };
    let node = NodeId::new(0).ok_or("0 is a node")?;
    let options = Options::new(node, 1, [7; 16]);
    Ok(Journal::open(Arc::new(RealDisk), dir, options, Arc::new(now_us))?)
}

/// Overwrites a file that is there page by page, and syncs each.
fn bare_syncs(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let file = RealDisk.create(&folder.join("bare"))?;
    file.write_all_at(&vec![0; 4096 * SYNCS], 0)?;
    file.sync()?;
    let mut latencies = Vec::new();
    for page in 0..SYNCS as u64 {
        let begun = Instant::now();
        file.write_all_at(&[1; 4096], page * 4096)?;
        file.sync()?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

/// Keeps so many records on their way for a while, and tells how long each took.
fn append(journal: &Journal, outstanding: usize) -> Vec<Duration> {
    let threads = outstanding.min(THREADS_MAX);
    let run = || {
        let begun = Instant::now();
        let mut latencies = Vec::new();
        let mut waiting = VecDeque::new();
        while begun.elapsed() < RUN || !waiting.is_empty() {
            while begun.elapsed() < RUN && waiting.len() < outstanding / threads {
                let ticket = journal.append(Kind::Click, 1, &PAYLOAD);
                waiting.push_back((Instant::now(), ticket.expect("there is room")));
            }
            if let Some((appended, ticket)) = waiting.pop_front() {
                ticket.wait_blocking().expect("the disk writes");
                latencies.push(appended.elapsed());
            }
        }
        latencies
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

/// Reads everything in order, and some of it at random.
fn read(journal: &Journal, records: usize) -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let mut reader = journal.reader(Position(1))?;
    let (mut read, mut bytes) = (0, 0);
    while let Some(chunk) = reader.next(10_000, 1 << 20)? {
        read += chunk.len();
        bytes += chunk.iter().map(|(_, _, payload)| payload.len()).sum::<usize>();
    }
    assert_eq!((read, bytes), (records, records * PAYLOAD.len()));
    println!("read in order: {:9.0} records/s", per_second(read, begun.elapsed().as_secs_f64()));
    let mut latencies = Vec::new();
    let mut position = 1;
    for _ in 0..20_000 {
        position = (position * 6_364_136_223_846_793_005_u128 + 1) % records as u128;
        let begun = Instant::now();
        let found = journal.read(Position(u64::try_from(position)? + 1))?;
        latencies.push(begun.elapsed());
        assert!(found.is_some());
    }
    println!("read by position: {}", Shown(latencies));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be printed")]
fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

struct Shown(Vec<Duration>);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |permille: usize| sorted[(sorted.len() - 1) * permille / 1000];
        write!(f, "p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}", at(500), at(990), at(999), at(1000))
    }
}
