//! Opens what a data directory holds, and refuses parts that do not fit together: going on from
//! there would lose what was acknowledged, or count it twice.

use crate::clock::Clock;
use crate::config::Config;
use crate::keys::{self, Keys};
use anyhow::{Context, anyhow};
use domain::id::Position;
use domain::setup::Setup;
use domain::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use store::Store;
use store::deliveries::SqliteDeliveries;
use store::disk::Disk;
use store::facts::{self, Facts};
use store::journal::{self, Ballast, Journal};
use store::records::JournalRecords;
use store::sqlite::{self, SqliteStore};

/// The journal's folder in the data directory.
pub(crate) const JOURNAL: &str = "journal";
/// The facts' folder.
pub(crate) const FACTS: &str = "facts";
/// The ledger's file.
pub(crate) const LEDGER: &str = "ledger.db";
/// What came of what destinations are owed.
pub(crate) const DELIVERIES: &str = "deliveries.db";
/// Says that the data directory was restored, and that ids have to be skipped.
pub(crate) const RESTORED: &str = "restored";
/// The position of a journal's first record.
pub(crate) const FIRST: Position = Position(1);
/// A file that is given up when the disk is full, so that there is room to recover.
const BALLAST: &str = "ballast";

/// Facts and ledger, which belong to the journal beside them.
pub(crate) struct Parts {
    pub(crate) facts: Arc<Facts>,
    pub(crate) store: Arc<SqliteStore>,
    /// What has come of what destinations are owed, or why it cannot be told.
    pub(crate) deliveries: anyhow::Result<Arc<SqliteDeliveries>>,
    /// As the ledger has it.
    pub(crate) setup: Setup,
    /// The first record that the ledger has not applied.
    pub(crate) applied: Position,
    /// Where applying goes on: what is before is applied and sealed.
    pub(crate) from: Position,
}

/// Why facts and ledger were not opened.
pub(crate) enum Failure {
    /// They may open later: what is journaled meanwhile is applied then.
    Closed(anyhow::Error),
    /// Nothing may be journaled behind what is there.
    Refused(anyhow::Error),
}

impl Failure {
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Closed(error) | Self::Refused(error) => error,
        }
    }
}

pub(crate) fn data_dir(disk: &dyn Disk, data: &Path) -> anyhow::Result<()> {
    disk.create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(data, mode)
        .with_context(|| format!("cannot keep {} to its owner", data.display()))
}

pub(crate) fn journal(
    disk: &Arc<dyn Disk>,
    config: &Config,
    clock: &Arc<Clock>,
    is_restored: bool,
) -> anyhow::Result<Arc<Journal>> {
    let dir = config.data.join(JOURNAL);
    let ballast = Arc::new(Ballast::open(disk.clone(), config.data.join(BALLAST)));
    let node = config.node();
    let mut options = journal::Options::new(node, domain::record::RULES, keys::random());
    options.skip = if is_restored { journal::RESTORE_SKIP } else { 0 };
    options.must_reach = reached(&**disk, &config.data);
    options.ballast = Some(ballast);
    let clock = clock.clone();
    let now = Arc::new(move || clock.now().as_us());
    let journal = Journal::open(disk.clone(), &dir, options, now)
        .with_context(|| format!("the journal in {} does not open", dir.display()))?;
    Ok(Arc::new(journal))
}

/// How far the journal has to go, by what has been made of it. What does not read here is told
/// when it is opened.
fn reached(disk: &dyn Disk, data: &Path) -> Position {
    let applied = sqlite::saved_position(&data.join(LEDGER)).ok().flatten();
    let sealed = facts::sealed_in(disk, &data.join(FACTS)).ok();
    applied.max(sealed).unwrap_or(Position(0))
}

/// Facts and ledger, as far as they fit the journal, whose next record was `next` when it was
/// opened: what has come since tells nothing about what is missing before.
pub(crate) async fn parts(
    disk: Arc<dyn Disk>,
    data: &Path,
    journal: &Arc<Journal>,
    next: Position,
    keys: &Keys,
) -> Result<Parts, Failure> {
    let records = Arc::new(JournalRecords(journal.clone()));
    let facts = Facts::open(disk, &data.join(FACTS), records)
        .map_err(|error| Failure::Closed(anyhow!(error).context("the facts do not open")))?;
    let facts = Arc::new(facts);
    let options = sqlite::Options {
        journal_id: journal.id(),
        keyring: keys.click.clone(),
        secrets: Some(keys.secrets.clone()),
        decide: domain::ledger::decide,
    };
    let closed = |error: store::Error| {
        let is_refused = matches!(error, store::Error::Newer(_) | store::Error::WrongKey { .. });
        let error = match error {
            store::Error::WrongKey { .. } => {
                anyhow!(
                    "{error}\nhint: put {}/{} of a backup in its place",
                    keys::DIR,
                    keys::SECRETS
                )
            }
            _ => anyhow!(error),
        };
        let error = error.context("the ledger does not open");
        if is_refused { Failure::Refused(error) } else { Failure::Closed(error) }
    };
    let store = SqliteStore::open(&data.join(LEDGER), facts.clone(), options).map_err(closed)?;
    let deliveries = deliveries(data, journal, next);
    let applied = store.position().await.map_err(closed)?;
    let setup = store.setup().await.map_err(closed)?;
    let from = meet(applied, facts.sealed(), journal.oldest(), next)
        .map_err(|detail| Failure::Refused(anyhow!(detail)))?;
    Ok(Parts { facts, store: Arc::new(store), deliveries, setup, applied, from })
}

/// What has come of what destinations are owed. What was journaled before `next` may have been sent
/// by whoever was here before.
pub(crate) fn deliveries(
    data: &Path,
    journal: &Journal,
    next: Position,
) -> anyhow::Result<Arc<SqliteDeliveries>> {
    let ends_at = ends_at(journal, next);
    let deliveries = SqliteDeliveries::open(&data.join(DELIVERIES), journal.id(), ends_at)?;
    Ok(Arc::new(deliveries))
}

/// When the last record before `next` was journaled.
fn ends_at(journal: &Journal, next: Position) -> Timestamp {
    let last = Position(next.0.saturating_sub(1));
    let header = journal.read(last).ok().flatten().map(|(header, _)| header);
    Timestamp::from_us(header.map_or_else(|| journal.last_at_us(), |header| header.at_us))
}

/// Where applying goes on, if journal, facts and ledger meet: nothing between them is missing.
fn meet(
    applied: Position,
    sealed: Position,
    oldest: Position,
    next: Position,
) -> Result<Position, String> {
    let missing = "a part of the journal is missing";
    if applied > next {
        return Err(format!(
            "the ledger is at record {applied} and its journal ends before {next}: {missing}"
        ));
    }
    if sealed > next {
        return Err(format!(
            "facts are sealed up to record {sealed} and their journal ends before {next}: {missing}"
        ));
    }
    let needed = applied.min(sealed).max(FIRST);
    if oldest > needed {
        return Err(format!(
            "the journal begins at record {oldest}, and records from {needed} on are neither \
             applied nor sealed without it: {missing}, or ledger and facts are older than it"
        ));
    }
    Ok(needed.max(oldest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applying_goes_on_where_everything_is_still_there() {
        let meet = |applied, sealed, oldest, next| {
            meet(Position(applied), Position(sealed), Position(oldest), Position(next))
                .map(|from| from.0)
                .map_err(|detail| detail.split(' ').take(2).collect::<Vec<_>>().join(" "))
        };
        let refused = |what: &str| Err(what.to_owned());
        // A new one; one that goes on; one whose ledger is behind, or its facts.
        assert_eq!(meet(0, 0, 1, 1), Ok(1));
        assert_eq!(meet(70, 50, 10, 80), Ok(50));
        assert_eq!(meet(50, 70, 50, 80), Ok(50));
        assert_eq!(meet(80, 80, 80, 80), Ok(80));
        // The journal's end is gone, and its front.
        assert_eq!(meet(81, 80, 10, 80), refused("the ledger"));
        assert_eq!(meet(80, 81, 10, 80), refused("facts are"));
        assert_eq!(meet(0, 80, 10, 80), refused("the journal"));
        assert_eq!(meet(80, 0, 10, 80), refused("the journal"));
        assert_eq!(meet(49, 70, 50, 80), refused("the journal"));
    }
}
