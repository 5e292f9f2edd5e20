//! The one reader of the journal: decodes, applies, puts setup changes in force, wakes askers.

use super::{Asker, Handle};
use crate::clock::Clock;
use crate::live::Live;
use anyhow::{Context, bail};
use domain::command::{Act, Command};
use domain::id::Position;
use domain::record::{self, Kind, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use store::journal::{Chunk, Journal};
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
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The first position that is not applied.
    position: AtomicU64,
    /// The ledger did not take what was last given to it.
    waits: AtomicBool,
}

impl Progress {
    pub(crate) fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// Whether records wait for a ledger that does not take them.
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Acquire)
    }

    /// Applying goes on from there.
    pub(crate) fn begin(&self, from: Position) {
        self.position.store(from.0, Ordering::Release);
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
        loop {
            let end = *durable.borrow_and_update();
            let next = reader.next(BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
            if let Some(chunk) = next.context("the journal does not read")? {
                self.apply(&chunk, &stop).await?;
                continue;
            }
            // What was skipped after a restore has no records to be applied.
            self.progress.position.fetch_max(end.0, Ordering::AcqRel);
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
        let next = last.position.0 + 1;
        loop {
            let decided_at = self.clock.now();
            match self.store.apply(&records, &self.quarantined, decided_at).await {
                Ok(applied) => {
                    self.progress.waits.store(false, Ordering::Release);
                    self.answer(applied);
                    self.progress.position.store(next, Ordering::Release);
                    return Ok(());
                }
                Err(Error::Panicked { position, detail }) => {
                    self.quarantine(position, &detail).await?;
                }
                Err(error @ Error::Unavailable(_)) => {
                    tracing::error!(%error, "records wait: the ledger cannot be written");
                    metrics::counter!("counterfoil_apply_failures_total").increment(1);
                    self.progress.waits.store(true, Ordering::Release);
                    tokio::time::sleep(RETRY_AFTER).await;
                    if *stop.borrow() {
                        bail!("stopped while the ledger could not be written: {error}");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn quarantine(&mut self, position: Position, detail: &str) -> anyhow::Result<()> {
        tracing::error!(
            hit.position = position.0,
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
        let ticket = self
            .journal
            .append(Kind::Command, record::FORMAT, &payload)
            .context("a quarantine cannot be journaled")?;
        ticket.wait().await.context("a quarantine cannot be journaled")?;
        self.quarantined.push(position);
        Ok(())
    }

    /// Setup changes are in force before anybody hears of them.
    fn answer(&self, applied: Vec<Applied>) {
        for one in &applied {
            if let Effect::Commanded { changes, .. } = &one.effect {
                self.live.put(one.at, changes);
            }
            count(one);
        }
        let mut askers = self.handle.askers.lock().expect("no panic happens under this lock");
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
