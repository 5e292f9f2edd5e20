//! The setup in a file of its own beside the ledger: what visitors are redirected by while the
//! ledger cannot be opened.
//!
//! It is written soon after each change, whole, and holds what is in force without its history.
//! Nothing is ever decided by it.

use crate::keys;
use crate::live::Live;
use anyhow::{Context, bail};
use domain::secret::SecretsKey;
use domain::setup::{Change, Setup};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The file's name in the data directory.
pub(crate) const FILE: &str = "setup.json";
/// How long a change may be missing in it.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Goes up when an older release could not read it.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    format: u32,
    /// The id of the journal beside it, in hex.
    journal: String,
    setup: Vec<Version>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    since_us: i64,
    change: Change,
}

/// The setup as it was last written in `data`, by the server with that journal.
pub(crate) fn read(
    data: &Path,
    journal_id: [u8; 16],
    secrets: &SecretsKey,
) -> anyhow::Result<Setup> {
    let path = data.join(FILE);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let snapshot: Snapshot =
        serde_json::from_str(&text).with_context(|| format!("{} does not read", path.display()))?;
    if snapshot.format != FORMAT || snapshot.journal != keys::hex(&journal_id) {
        bail!("{} belongs to another release or another journal", path.display());
    }
    let mut setup = Setup::default();
    for Version { since_us, change } in snapshot.setup {
        setup.put(Timestamp::from_us(since_us), change);
    }
    if let Err(whose) = setup.decrypt_secrets(secrets) {
        bail!("{} has secrets of {whose} that keys/secrets.key does not decrypt", path.display());
    }
    Ok(setup)
}

fn versions(setup: &Setup) -> Vec<Version> {
    let version = |(since, change): (Timestamp, _)| Version { since_us: since.as_us(), change };
    setup.in_force().map(version).collect()
}

/// Replaces the file in `data`, readable by its owner alone.
fn write(data: &Path, journal_id: [u8; 16], setup: Vec<Version>) -> anyhow::Result<()> {
    let snapshot = Snapshot { format: FORMAT, journal: keys::hex(&journal_id), setup };
    let text = serde_json::to_string(&snapshot).expect("a setup is plain data");
    keys::write_secret(data, FILE, &text)
}

/// Keeps the file up to date.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) data: PathBuf,
    pub(crate) journal_id: [u8; 16],
    pub(crate) live: Arc<Live>,
}

impl Writer {
    /// Runs until `stopped` says so, and writes once more then.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut written = None;
        let mut said = String::new();
        loop {
            let is_last = *stopped.borrow();
            let version = self.live.version();
            // What did not come from a ledger came from the file.
            if self.live.is_current() && written != Some(version) {
                let writer = self.clone();
                match tokio::task::spawn_blocking(move || writer.write()).await {
                    Ok(Ok(())) => written = Some(version),
                    Ok(Err(error)) => {
                        let error = format!("{error:#}");
                        if error != said {
                            tracing::warn!(error, "the setup was not written: it is tried again");
                            said = error;
                        }
                    }
                    Err(_) => return,
                }
            }
            if is_last {
                return;
            }
            _ = tokio::time::timeout(WRITE_EVERY, stopped.wait_for(|stopped| *stopped)).await;
        }
    }

    fn write(self) -> anyhow::Result<()> {
        // Whoever wants to look at the setup waits for neither text nor disk.
        let versions = versions(&self.live.setup());
        write(&self.data, self.journal_id, versions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn setup() -> Setup {
        let mut setup = Setup::default();
        for (day, partner) in catalogue::partners().into_iter().enumerate() {
            let day = i64::try_from(day).unwrap();
            setup.put(Timestamp::UNIX_EPOCH.plus_days(day), Change::Partner(partner));
        }
        setup.put(Timestamp::UNIX_EPOCH, Change::IdFloor(7));
        setup
    }

    fn again(data: &Path, journal_id: [u8; 16]) -> anyhow::Result<Setup> {
        read(data, journal_id, &SecretsKey::new([1; 32]))
    }

    #[test]
    fn what_was_written_is_read() {
        let data = tempfile::tempdir().unwrap();
        let setup = setup();
        write(data.path(), [7; 16], versions(&setup)).unwrap();
        assert_eq!(again(data.path(), [7; 16]).unwrap(), setup);
        let mode = std::fs::metadata(data.path().join(FILE)).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    }

    #[test]
    fn what_was_written_for_another_journal_is_refused() {
        let data = tempfile::tempdir().unwrap();
        assert!(again(data.path(), [7; 16]).is_err());
        write(data.path(), [7; 16], versions(&setup())).unwrap();
        assert!(again(data.path(), [8; 16]).is_err());
        let path = data.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        for text in [&text[..text.len() / 2], &text.replace("\"format\":1", "\"format\":2"), ""] {
            std::fs::write(&path, text).unwrap();
            assert!(again(data.path(), [7; 16]).is_err());
        }
    }
}
