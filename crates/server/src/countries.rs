//! Which country an address is in, by a database that the operator brings.
//!
//! The file is read whole when the server starts and whenever it has changed, into a table of our
//! own: what is wrong with a file shows then, and never while a visitor waits. One that does not
//! read any more leaves the table as it was.

mod mmdb;
mod table;

#[cfg(test)]
mod tests;

use anyhow::{Context, bail};
use domain::visitor::Country;
use std::fs::{self, Metadata};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use table::Table;
use tokio::sync::watch;

/// How often it is looked whether there is a new file.
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// The largest file that is read: ten times what the largest on offer takes.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What is in force; empty without a database.
#[derive(Debug, Default)]
pub(crate) struct Countries {
    path: Option<PathBuf>,
    table: RwLock<Table>,
    read: Mutex<Seen>,
}

/// What is known of the file.
#[derive(Debug, Default)]
struct Seen {
    /// Of the one that is in force.
    stamp: Option<Stamp>,
    /// Why a later one is not; empty where there is none.
    fault: String,
}

/// What differs between a file and the one that took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: Option<SystemTime>,
    bytes: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let (modified, bytes) = (metadata.modified().ok(), metadata.len());
        Self { inode: metadata.ino(), modified, bytes }
    }
}

impl Countries {
    /// Reads the file, where there is to be one.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let (stamp, table) = read(path)?;
        tracing::info!(database = %table, "the country database was read");
        Ok(Self {
            path: Some(path.to_owned()),
            table: RwLock::new(table),
            read: Mutex::new(Seen { stamp: Some(stamp), fault: String::new() }),
        })
    }

    /// The address is as it was sent, never within another one's notation.
    pub(crate) fn find(&self, address: IpAddr) -> Option<Country> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).find(address)
    }

    /// What is in force, for people; `None` without a database.
    pub(crate) fn described(&self) -> Option<String> {
        let path = self.path.as_ref()?;
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        Some(format!("{}: {table}", path.display()))
    }

    /// Looks after the file until the server stops.
    pub(crate) async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        if self.path.is_none() {
            return;
        }
        while tokio::time::timeout(RENEW_EVERY, stopped.wait_for(|stopped| *stopped)).await.is_err()
        {
            let countries = self.clone();
            if tokio::task::spawn_blocking(move || countries.renew()).await.is_err() {
                tracing::error!("the country database could not be read: reading it panicked");
            }
        }
    }

    /// Reads the file again where it has changed. What is wrong with it is said once.
    fn renew(&self) {
        let Some(path) = &self.path else { return };
        let mut seen = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata));
        if stamp.is_some() && stamp == seen.stamp && seen.fault.is_empty() {
            return;
        }
        match read(path) {
            Ok((stamp, table)) => {
                let described = table.to_string();
                let mut now = self.table.write().unwrap_or_else(PoisonError::into_inner);
                let before = std::mem::replace(&mut *now, table);
                drop(now);
                // No visitor waits while its memory is given back.
                drop(before);
                *seen = Seen { stamp: Some(stamp), fault: String::new() };
                tracing::info!(database = described, "the country database was read");
            }
            Err(error) => {
                let fault = format!("{error:#}");
                if fault != seen.fault {
                    tracing::error!(error = fault, "the country database stays as it was");
                    seen.fault = fault;
                }
            }
        }
    }
}

fn read(path: &Path) -> anyhow::Result<(Stamp, Table)> {
    let named = || format!("country_database: {}", path.display());
    let file = fs::File::open(path).with_context(named)?;
    let metadata = file.metadata().with_context(named)?;
    if !metadata.is_file() {
        bail!("{}: it is no file", named());
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).with_context(named)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("{}: it is larger than {FILE_BYTES_MAX} bytes", named());
    }
    let table = mmdb::read(bytes).map_err(|fault| anyhow::anyhow!("{}: {fault}", named()))?;
    Ok((Stamp::of(&metadata), table))
}
