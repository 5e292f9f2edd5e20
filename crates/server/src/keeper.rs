//! What time asks for beside the requests: sealing, checkpoints, and removal of what is old.
//!
//! Each has a thread of its own, because a merge may take a while and a checkpoint must not wait.

use crate::clock::Clock;
use crate::config::Config;
use anyhow::Context;
use domain::id::Position;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Store;
use store::deliveries::Deliveries;
use store::facts::Facts;
use store::journal::Journal;
use store::sqlite::SqliteStore;
use tokio::sync::watch;

/// How often it looks whether a seal is due.
const SEAL_EVERY: Duration = Duration::from_millis(100);
/// A seal that fails is tried again after twice the time each time, but after this at the latest:
/// each try reads a stretch of the journal and writes files.
const SEAL_AGAIN_WITHIN: Duration = Duration::from_secs(60);
/// How often the ledger's write-ahead log is copied into its file.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How often it looks for small files to merge and old ones to remove.
const TIDY_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct Keeper {
    pub(crate) facts: Arc<Facts>,
    pub(crate) store: Arc<SqliteStore>,
    /// Once they have opened.
    pub(crate) deliveries: Arc<OnceLock<Arc<dyn Deliveries>>>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) config: Config,
}

impl Keeper {
    /// The threads end soon after `stopped` says so. When one does, `ended` becomes true: without
    /// it the server must not go on for long.
    pub(crate) fn spawn(
        self,
        stopped: &watch::Receiver<bool>,
        ended: &watch::Sender<bool>,
    ) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let keeper = Arc::new(self);
        let (sealer, pointer, tidier) = (keeper.clone(), keeper.clone(), keeper);
        let (mut sealing, mut pointing) = (Task::new("seal"), Task::new("checkpoint"));
        let mut tidying = Tidying::default();
        let is_stopped = stopped.clone();
        Ok(vec![
            every("seal", stopped, ended, async move || sealer.seal(&mut sealing))?,
            every("checkpoint", stopped, ended, async move || {
                pointing.note(pointer.store.checkpoint().await);
                CHECKPOINT_EVERY
            })?,
            every("tidy", stopped, ended, async move || {
                tidier.tidy(&mut tidying, &is_stopped).await;
                TIDY_EVERY
            })?,
        ])
    }

    /// Answers when to look again.
    fn seal(&self, task: &mut Task) -> Duration {
        let sealed = self.facts.seal(self.clock.now());
        if sealed.is_err() {
            metrics::counter!("counterfoil_seal_failures_total").increment(1);
        }
        task.note(sealed);
        SEAL_AGAIN_WITHIN.min(SEAL_EVERY.saturating_mul(1 << task.failures.min(u32::BITS - 1)))
    }

    /// Removes what is old, personal data first, and then merges small files. What fails holds up
    /// nothing else.
    async fn tidy(&self, tasks: &mut Tidying, stopped: &watch::Receiver<bool>) {
        let days_ago = |days: u16| self.clock.now().plus_days(-i64::from(days));
        let personal_before = days_ago(self.config.personal_data_days);
        tasks.personal.note(self.facts.remove_personal_before(personal_before));
        if let Some(deliveries) = self.deliveries.get() {
            tasks.attempts.note(deliveries.remove_personal_before(personal_before).await);
        }
        tasks.hits.note(self.facts.remove_hits_before(days_ago(self.config.hits_keep_days)));
        tasks.journal.note(self.remove_journal().await.map_err(|error| format!("{error:#}")));
        while !*stopped.borrow() && tasks.merges.note(self.facts.merge()).flatten().is_some() {}
    }

    /// Removes segments of the journal that are old and that nothing needs.
    async fn remove_journal(&self) -> anyhow::Result<()> {
        let position = self.store.position().await?;
        let before = self.old_enough(position.min(self.facts.sealed()));
        if before > self.journal.oldest() {
            self.store.checkpoint_fully().await.context("the ledger could not be synced")?;
            let segments = self.journal.remove_before(before)?;
            tracing::info!(segments, "old journal segments were removed");
        }
        Ok(())
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

/// What [`Keeper::tidy`] does.
struct Tidying {
    personal: Task,
    attempts: Task,
    hits: Task,
    journal: Task,
    merges: Task,
}

impl Default for Tidying {
    fn default() -> Self {
        Self {
            personal: Task::new("remove personal data"),
            attempts: Task::new("remove personal data of deliveries"),
            hits: Task::new("remove hits"),
            journal: Task::new("remove journal segments"),
            merges: Task::new("merge facts"),
        }
    }
}

/// Something that is tried again and again. The log hears when it begins to fail, when it fails
/// for another reason, and when it works again: not of each try.
struct Task {
    name: &'static str,
    /// How often it has failed since it last worked.
    failures: u32,
    reason: String,
}

impl Task {
    fn new(name: &'static str) -> Self {
        Self { name, failures: 0, reason: String::new() }
    }

    fn note<T>(&mut self, done: Result<T, impl ToString>) -> Option<T> {
        let task = self.name;
        match done {
            Ok(done) => {
                if self.failures > 0 {
                    tracing::info!(task, failures = self.failures, "upkeep works again");
                    *self = Self::new(task);
                }
                Some(done)
            }
            Err(error) => {
                let error = error.to_string();
                self.failures = self.failures.saturating_add(1);
                if self.reason != error {
                    tracing::error!(task, error, "upkeep failed, and is tried again");
                    self.reason = error;
                }
                None
            }
        }
    }
}

/// Says so when a thread ends, for whatever reason.
pub(crate) struct SaysEnded(pub(crate) watch::Sender<bool>);

impl Drop for SaysEnded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a thread panicked that the server needs");
        }
        _ = self.0.send(true);
    }
}

/// Does `work` on a thread of its own, until it is stopped; each time it answers how long to wait
/// until the next.
fn every(
    name: &str,
    stopped: &watch::Receiver<bool>,
    ended: &watch::Sender<bool>,
    mut work: impl AsyncFnMut() -> Duration + Send + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (mut stopped, ended) = (stopped.clone(), SaysEnded(ended.clone()));
    let run = move || {
        let _ended = ended;
        runtime.block_on(async {
            while !*stopped.borrow() {
                let wait = work().await;
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
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

#[cfg(test)]
mod tests;
