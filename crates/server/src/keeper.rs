//! What time asks for beside the requests: sealing, checkpoints, and removal of what is old.
//!
//! Each has a thread of its own, because a merge may take a while and a checkpoint must not wait.

use crate::clock::Clock;
use crate::config::Config;
use anyhow::Context;
use domain::id::Position;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use store::Store;
use store::facts::Facts;
use store::journal::Journal;
use store::sqlite::SqliteStore;
use tokio::sync::watch;

/// How often it looks whether a seal is due.
const SEAL_EVERY: Duration = Duration::from_millis(100);
/// How often the ledger's write-ahead log is copied into its file.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How often it looks for small files to merge and old ones to remove.
const TIDY_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct Keeper {
    pub(crate) facts: Arc<Facts>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) config: Config,
}

impl Keeper {
    /// The threads end soon after `stopped` says so.
    pub(crate) fn spawn(
        self,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let keeper = Arc::new(self);
        let (sealer, pointer, tidier) = (keeper.clone(), keeper.clone(), keeper);
        Ok(vec![
            every("seal", SEAL_EVERY, stopped.clone(), async move || sealer.seal())?,
            every("checkpoint", CHECKPOINT_EVERY, stopped.clone(), async move || {
                pointer.checkpoint().await;
            })?,
            every("tidy", TIDY_EVERY, stopped.clone(), async move || tidier.tidy().await)?,
        ])
    }

    fn seal(&self) {
        if let Err(error) = self.facts.seal(self.clock.now()) {
            tracing::error!(%error, "facts could not be sealed; the journal keeps them");
            metrics::counter!("counterfoil_seal_failures_total").increment(1);
        }
    }

    async fn checkpoint(&self) {
        if let Err(error) = self.store.checkpoint().await {
            tracing::warn!(%error, "the ledger's write-ahead log could not be shortened");
        }
    }

    /// Merges small files; removes personal data first, then hits and journal when they are old
    /// and nothing needs them.
    async fn tidy(&self) {
        let days_ago = |days: u16| self.clock.now().plus_days(-i64::from(days));
        let tidied = self
            .facts
            .merge()
            .map(drop)
            .and_then(|()| {
                self.facts.remove_personal_before(days_ago(self.config.personal_data_days))
            })
            .and_then(|_| self.facts.remove_hits_before(days_ago(self.config.hits_keep_days)));
        if let Err(error) = tidied {
            tracing::error!(%error, "old facts could not be merged or removed");
        }
        let position = match self.store.position().await {
            Ok(position) => position.min(self.facts.sealed()),
            Err(error) => {
                tracing::error!(%error, "the journal is kept: the ledger does not answer");
                return;
            }
        };
        let before = self.old_enough(position);
        if before <= self.journal.oldest() {
            return;
        }
        if let Err(error) = self.store.checkpoint_fully().await {
            tracing::error!(%error, "the journal is kept: the ledger could not be synced");
            return;
        }
        match self.journal.remove_before(before) {
            Ok(segments) => tracing::info!(segments, "old journal segments were removed"),
            Err(error) => tracing::error!(%error, "old journal segments could not be removed"),
        }
    }

    /// The first position that is either younger than the journal is kept, or still needed.
    fn old_enough(&self, needed: Position) -> Position {
        let keep = i64::from(self.config.journal_keep_days);
        let before_us = self.clock.now().plus_days(-keep).as_us();
        let segments = self.journal.segments();
        // A segment's records are older than the time at which the next one begins.
        let old = segments.iter().take_while(|segment| segment.since_us <= before_us).last();
        old.map_or(Position(0), |segment| segment.from.min(needed))
    }
}

/// Does `work` on a thread of its own, again and again, until it is stopped.
fn every(
    name: &str,
    interval: Duration,
    mut stopped: watch::Receiver<bool>,
    work: impl AsyncFn() + Send + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || {
        runtime.block_on(async {
            let mut tick = tokio::time::interval(interval);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !*stopped.borrow() {
                tokio::select! {
                    _ = tick.tick() => work().await,
                    changed = stopped.changed() => if changed.is_err() { return },
                }
            }
        });
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .with_context(|| format!("no thread to {name}"))
}
