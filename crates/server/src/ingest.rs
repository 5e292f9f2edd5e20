//! From the journal into the store: one reader applies records in order and wakes who waits.
//!
//! A hit or a command is queued and its asker noted under one lock, so askers stand in the
//! journal's own order. A record whose decision panics is quarantined by a command, and the rest
//! goes on.

mod applier;
mod taking;
#[cfg(test)]
mod tests;

pub(crate) use applier::{Applier, Progress, SYSTEM};
pub(crate) use taking::{CAUSES, Taking};

use crate::keys;
use domain::click::Click;
use domain::command::{Command, Outcome};
use domain::hit::Hit;
use domain::id::Position;
use domain::record::{self, Kind, Record};
use domain::secret::SecretsKey;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use store::Effect;
use store::journal::{AppendError, Journal, Ticket};
use store::list::StoredVerdict;
use tokio::sync::oneshot;

/// How long the caller of a command waits for it to be applied.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// Above so many askers those who have gone are looked for; then above twice as many as are left.
const ASKERS_SWEPT: usize = 1_024;

/// Why there is no outcome. But for [`Unavailable::Late`] nothing was taken in: the sender may
/// repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The disk has no room, or does not write.
    Disk,
    /// Too much is waiting already.
    Busy,
    /// The server is stopping.
    Stopped,
    /// The ledger is closed: what people set up and ask for has to wait.
    Closed,
    /// It is longer than a record can be.
    TooLarge { max: usize },
    /// It is on disk and will be applied, only not in time for whoever waits.
    Late,
}

impl From<AppendError> for Unavailable {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy => Self::Busy,
            AppendError::Stopped => Self::Stopped,
            AppendError::TooLarge { max } => Self::TooLarge { max },
            AppendError::Full | AppendError::Io(_) => Self::Disk,
        }
    }
}

struct Asker {
    ticket: Ticket,
    answer: oneshot::Sender<Effect>,
}

/// Who waits for a record to be applied, in the journal's order.
struct Askers {
    queue: VecDeque<Asker>,
    /// How long the queue is when it is next looked through.
    swept_at: usize,
}

impl Askers {
    /// Whoever was refused or has given up goes, so the queue is bounded by those who wait.
    fn push(&mut self, asker: Asker) {
        if self.queue.len() >= self.swept_at {
            self.queue.retain(|asker| !asker.answer.is_closed());
            self.swept_at = ASKERS_SWEPT.max(2 * self.queue.len());
        }
        self.queue.push_back(asker);
    }
}

/// The way in for everything that counts and is no click.
#[derive(Clone)]
pub(crate) struct Handle {
    journal: Arc<Journal>,
    /// What the secrets in commands are encrypted with.
    secrets: SecretsKey,
    askers: Arc<Mutex<Askers>>,
    taking: Arc<Taking>,
}

/// A hit that is on disk.
pub(crate) struct Received {
    pub(crate) position: Position,
    answer: oneshot::Receiver<Effect>,
}

impl Received {
    /// Waits for the decision, however long it takes.
    pub(crate) async fn verdict(self) -> Result<StoredVerdict, Unavailable> {
        match self.answer.await {
            Ok(Effect::Decided(verdict)) => Ok(*verdict),
            Ok(_) => unreachable!("a hit is decided"),
            Err(_) => Err(Unavailable::Late),
        }
    }
}

impl Handle {
    pub(crate) fn new(journal: Arc<Journal>, secrets: SecretsKey) -> Self {
        let askers = Askers { queue: VecDeque::new(), swept_at: ASKERS_SWEPT };
        Self { journal, secrets, askers: Arc::new(Mutex::new(askers)), taking: Arc::default() }
    }

    /// Whether the journal takes what it is given.
    pub(crate) fn taking(&self) -> &Taking {
        &self.taking
    }

    /// Queues a record, and notes where that is refused.
    pub(crate) fn queue(&self, kind: Kind, payload: &[u8]) -> Result<Ticket, AppendError> {
        let queued = self.journal.append(kind, kind.format(), payload);
        queued.inspect_err(|error| self.taking.refused(error))
    }

    /// Notes what became of a record that was queued.
    pub(crate) fn note(
        &self,
        settled: Result<Position, AppendError>,
    ) -> Result<Position, AppendError> {
        match &settled {
            Ok(_) => self.taking.taken(),
            Err(error) => self.taking.refused(error),
        }
        settled
    }

    /// Journals a hit; it is on disk when this returns.
    pub(crate) async fn receive(&self, hit: &Hit) -> Result<Received, Unavailable> {
        let payload = record::write(&Record::Hit(hit.clone()));
        let (position, answer) = self.append(Kind::Hit, &payload).await?;
        Ok(Received { position, answer })
    }

    /// Journals a hit whose decision nobody waits for; it is on disk when this returns.
    pub(crate) async fn keep(&self, hit: &Hit) -> Result<Position, Unavailable> {
        let payload = record::write(&Record::Hit(hit.clone()));
        let ticket = self.queue(Kind::Hit, &payload)?;
        Ok(self.note(ticket.wait().await)?)
    }

    /// Journals a command whose outcome nobody waits for; it is on disk when this returns.
    pub(crate) async fn journal(&self, command: Command) -> Result<Position, Unavailable> {
        let payload = self.written(command);
        let ticket = self.queue(Kind::Command, &payload)?;
        Ok(self.note(ticket.wait().await)?)
    }

    /// Journals a command and waits until it is applied and its changes are in force, or for
    /// [`COMMAND_WITHIN`].
    pub(crate) async fn command(&self, command: Command) -> Result<Outcome, Unavailable> {
        let payload = self.written(command);
        let (_, answer) = self.append(Kind::Command, &payload).await?;
        match tokio::time::timeout(COMMAND_WITHIN, answer).await {
            Ok(Ok(Effect::Commanded { outcome, .. })) => Ok(*outcome),
            Ok(Ok(_)) => unreachable!("a command has an outcome"),
            // By the next start, where this one is stopping.
            Ok(Err(_)) | Err(_) => Err(Unavailable::Late),
        }
    }

    /// Journals a click outside of the redirect path; it is on disk when this returns.
    pub(crate) async fn click(&self, click: &Click<'_>) -> Result<Position, Unavailable> {
        let mut payload = Vec::new();
        record::write_click(click, &mut payload);
        let ticket = self.queue(Kind::Click, &payload)?;
        Ok(self.note(ticket.wait().await)?)
    }

    /// What is journaled of a command: nothing that is secret can be read in it.
    fn written(&self, mut command: Command) -> Vec<u8> {
        command.encrypt_secrets(&self.secrets, keys::random);
        record::write(&Record::Command(Box::new(command)))
    }

    async fn append(
        &self,
        kind: Kind,
        payload: &[u8],
    ) -> Result<(Position, oneshot::Receiver<Effect>), Unavailable> {
        let (answer, answered) = oneshot::channel();
        let ticket = {
            let mut askers = self.askers();
            let ticket = self.queue(kind, payload)?;
            askers.push(Asker { ticket: ticket.clone(), answer });
            ticket
        };
        let position = self.note(ticket.wait().await)?;
        Ok((position, answered))
    }

    fn askers(&self) -> MutexGuard<'_, Askers> {
        self.askers.lock().expect("no panic happens under this lock")
    }
}
