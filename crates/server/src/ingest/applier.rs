//! The one reader of the journal: decodes, applies, puts setup changes in force, wakes askers.

use super::{Asker, Handle};
use crate::clock::Clock;
use crate::live::Live;
use anyhow::{Context, bail};
use domain::command::{Act, Command};
use domain::id::{NodeId, Position};
use domain::receipt::{Place, ReceiptKey};
use domain::record::{self, Kind, Record};
use std::sync::Arc;
use std::time::Duration;
use store::journal::{AppendError, Chunk, Journal};
use store::records::decode;
use store::{Applied, Effect, Error, Store};
use tokio::sync::watch;

/// How many records one transaction applies at the most.
const BATCH_RECORDS_MAX: usize = 2_048;
/// How many bytes of the journal one transaction applies at the most.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long it waits before it tries again what the store could not do.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Who says "the server" in the audit trail.
pub(crate) const SYSTEM: &str = "system";

/// How far applying has come.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The first position that is not applied.
    position: watch::Sender<Position>,
    /// Why the records that are next are not applied; `None` where they are.
    waits: watch::Sender<Option<String>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { position: watch::Sender::new(Position(0)), waits: watch::Sender::new(None) }
    }
}

impl Progress {
    pub(crate) fn position(&self) -> Position {
        *self.position.borrow()
    }

    /// Waits until everything before `position` is applied.
    pub(crate) async fn reaches(&self, position: Position) {
        let mut seen = self.position.subscribe();
        let reached = seen.wait_for(|applied| *applied >= position).await;
        debug_assert!(reached.is_ok(), "its sender is borrowed here");
    }

    /// Waits until more is applied than what is before `position`.
    pub(crate) async fn passes(&self, position: Position) {
        let mut seen = self.position.subscribe();
        let passed = seen.wait_for(|applied| *applied > position).await;
        debug_assert!(passed.is_ok(), "its sender is borrowed here");
    }

    fn advance(&self, position: Position) {
        self.position.send_if_modified(|applied| {
            let is_further = position > *applied;
            *applied = position.max(*applied);
            is_further
        });
    }

    /// Waits until records wait for what does not take them.
    pub(crate) async fn waits(&self) {
        let mut seen = self.waits.subscribe();
        let waits = seen.wait_for(Option::is_some).await;
        debug_assert!(waits.is_ok(), "its sender is borrowed here");
    }

    /// Records wait, and `reason` says why. Each reason is logged once and not at each try, so
    /// that a full disk is not filled with that; answers whether it was.
    fn hold(&self, reason: &str) -> bool {
        let is_new = self.waits.send_if_modified(|waits| {
            let is_new = waits.as_deref() != Some(reason);
            *waits = Some(reason.to_owned());
            is_new
        });
        if is_new {
            tracing::error!(error = reason, "records wait: they cannot be applied");
        }
        is_new
    }

    /// Records are applied; answers whether they had waited.
    fn go_on(&self) -> bool {
        let had_waited = self.waits.send_if_modified(|waits| waits.take().is_some());
        if had_waited {
            tracing::info!("records are applied again");
        }
        had_waited
    }

    /// Applying goes on from there.
    pub(crate) fn begin(&self, from: Position) {
        self.advance(from);
    }
}

/// Applies records until it is told to stop.
pub(crate) struct Applier {
    pub(crate) journal: Arc<Journal>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) live: Arc<Live>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) handle: Handle,
    pub(crate) progress: Arc<Progress>,
    /// What senders' receipts are made with: who mends a decision looks for the hit by its own.
    pub(crate) receipt: ReceiptKey,
    pub(crate) node: NodeId,
    pub(crate) quarantined: Vec<Position>,
    /// Where the facts have to hear of clicks and hits again.
    pub(crate) from: Position,
}

impl Applier {
    /// Runs until `stop` says so or something cannot be mended here.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        self.find_quarantined()?;
        let mut durable = self.journal.durable();
        let mut reader = self.journal.reader(self.from).context("the journal does not read")?;
        self.progress.advance(self.from);
        loop {
            let end = *durable.borrow_and_update();
            let next = reader.next(BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
            if let Some(chunk) = next.context("the journal does not read")? {
                self.apply(&chunk, &stop).await?;
                continue;
            }
            // What was skipped after a restore has no records to be applied.
            self.live.reached(end);
            self.progress.advance(end);
            if *stop.borrow() {
                return Ok(());
            }
            tokio::select! {
                changed = durable.changed() => changed.context("the journal has ended")?,
                _ = stop.changed() => {}
            }
        }
    }

    /// A quarantine stands in the journal after the record it is about: what has to be known
    /// before that record is applied again is read ahead.
    fn find_quarantined(&mut self) -> anyhow::Result<()> {
        let mut reader = self.journal.reader(self.from).context("the journal does not read")?;
        let next = |reader: &mut store::journal::Reader| {
            reader.next(BATCH_RECORDS_MAX, BATCH_BYTES_MAX).context("the journal does not read")
        };
        while let Some(chunk) = next(&mut reader)? {
            for (position, header, payload) in chunk.iter() {
                if header.kind != Kind::Command as u8 {
                    continue;
                }
                let record = decode(position, header, payload)?;
                if let Record::Command(command) = record.record
                    && let Act::Quarantine { position } = command.act
                {
                    self.quarantined.push(position);
                }
            }
        }
        Ok(())
    }

    async fn apply(&mut self, chunk: &Chunk, stop: &watch::Receiver<bool>) -> anyhow::Result<()> {
        let records = chunk
            .iter()
            .map(|(position, header, payload)| decode(position, header, payload))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(last) = records.last() else { return Ok(()) };
        let next = Position(last.position.0 + 1);
        loop {
            let decided_at = self.clock.now();
            match self.store.apply(&records, &self.quarantined, decided_at).await {
                Ok(applied) => {
                    // Nobody sees how far it has come before what was set up until there.
                    self.put_in_force(&applied);
                    self.live.reached(next);
                    self.progress.advance(next);
                    self.progress.go_on();
                    self.answer(applied);
                    return Ok(());
                }
                Err(Error::Panicked { position, detail }) => {
                    self.quarantine(position, &detail, stop).await?;
                }
                Err(error @ Error::Unavailable(_)) => {
                    metrics::counter!("counterfoil_apply_failures_total").increment(1);
                    self.progress.hold(&error.to_string());
                    tokio::time::sleep(RETRY_AFTER).await;
                    if *stop.borrow() {
                        bail!("stopped while the ledger could not be written: {error}");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn quarantine(
        &mut self,
        position: Position,
        detail: &str,
        stop: &watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        tracing::error!(
            hit.position = position.0,
            hit.receipt = self.receipt.format(self.node, Place::Journal(position)),
            detail,
            "deciding a record panicked: it is quarantined, and the rest goes on"
        );
        metrics::counter!("counterfoil_quarantined_total").increment(1);
        if self.quarantined.contains(&position) {
            bail!("record {position} panics although it is quarantined: {detail}");
        }
        let act = Act::Quarantine { position };
        let command = Command { actor: SYSTEM.to_owned(), idempotency: None, act };
        let payload = record::write(&Record::Command(Box::new(command)));
        while let Err(error) = self.journal_quarantine(&payload).await {
            if *stop.borrow() || error == AppendError::Stopped {
                return Err(error).context("a quarantine cannot be journaled");
            }
            self.progress.hold(&format!("a quarantine cannot be journaled: {error}"));
            tokio::time::sleep(RETRY_AFTER).await;
        }
        self.quarantined.push(position);
        Ok(())
    }

    async fn journal_quarantine(&self, payload: &[u8]) -> Result<Position, AppendError> {
        let ticket = self.handle.queue(Kind::Command, payload)?;
        self.handle.note(ticket.wait().await)
    }

    /// Setup changes are in force before anybody hears of them.
    fn put_in_force(&self, applied: &[Applied]) {
        for one in applied {
            if let Effect::Commanded { changes, .. } = &one.effect {
                self.live.put(one.at, changes);
            }
        }
    }

    fn answer(&self, applied: Vec<Applied>) {
        applied.iter().for_each(count);
        let askers = &mut self.handle.askers().queue;
        for one in applied {
            while let Some(asker) = askers.front() {
                // The journal settles a record's ticket before the record can be read.
                match asker.ticket.result() {
                    Some(Ok(position)) if position > one.position => break,
                    Some(Ok(position)) if position == one.position => {
                        let Some(Asker { answer, .. }) = askers.pop_front() else { break };
                        _ = answer.send(one.effect);
                        break;
                    }
                    Some(_) => drop(askers.pop_front()),
                    None => break,
                }
            }
        }
    }
}

fn count(applied: &Applied) {
    if let Effect::Decided(verdict) = &applied.effect {
        let reason = verdict.reason.map_or("none", domain::reason::Reason::name);
        metrics::counter!(
            "counterfoil_hits_total",
            "verdict" => verdict.verdict.name(),
            "reason" => reason
        )
        .increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_records_wait_is_said_once_for_each_reason() {
        let progress = Progress::default();
        assert!(!progress.go_on(), "nothing has waited");
        for (reason, is_said) in [("full", true), ("full", false), ("busy", true), ("full", true)] {
            assert_eq!(progress.hold(reason), is_said, "{reason}");
        }
        assert!(progress.go_on());
        assert!(!progress.go_on());
        assert!(progress.hold("full"), "it waits anew");
    }
}
