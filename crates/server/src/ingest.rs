//! From the journal into the store: one reader applies records in order and wakes who waits.
//!
//! A hit or a command is queued and its asker noted under one lock, so askers stand in the
//! journal's own order. A record whose decision panics is quarantined by a command, and the rest
//! goes on.

mod applier;

pub(crate) use applier::{Applier, Progress, SYSTEM};

use domain::click::Click;
use domain::command::{Command, Outcome};
use domain::hit::Hit;
use domain::id::Position;
use domain::record::{self, Kind, Record};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use store::Effect;
use store::journal::{AppendError, Journal, Ticket};
use store::list::StoredVerdict;
use tokio::sync::oneshot;

/// Nothing was taken in: the sender may repeat.
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
}

impl From<AppendError> for Unavailable {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy => Self::Busy,
            AppendError::Stopped => Self::Stopped,
            AppendError::Full | AppendError::Io(_) | AppendError::TooLarge { .. } => Self::Disk,
        }
    }
}

struct Asker {
    ticket: Ticket,
    answer: oneshot::Sender<Effect>,
}

type Askers = Arc<Mutex<VecDeque<Asker>>>;

/// The way in for everything that counts and is no click.
#[derive(Clone)]
pub(crate) struct Handle {
    journal: Arc<Journal>,
    askers: Askers,
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
            Err(_) => Err(Unavailable::Stopped),
        }
    }
}

impl Handle {
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, askers: Askers::default() }
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
        let ticket = self.journal.append(Kind::Hit, record::FORMAT, &payload)?;
        Ok(ticket.wait().await?)
    }

    /// Journals a command and waits until it is applied and its changes are in force.
    pub(crate) async fn command(&self, command: Command) -> Result<Outcome, Unavailable> {
        let payload = record::write(&Record::Command(Box::new(command)));
        let (_, answer) = self.append(Kind::Command, &payload).await?;
        match answer.await {
            Ok(Effect::Commanded { outcome, .. }) => Ok(*outcome),
            Ok(_) => unreachable!("a command has an outcome"),
            Err(_) => Err(Unavailable::Stopped),
        }
    }

    /// Journals a click outside of the redirect path; it is on disk when this returns.
    pub(crate) async fn click(&self, click: &Click<'_>) -> Result<Position, Unavailable> {
        let mut payload = Vec::new();
        record::write_click(click, &mut payload);
        let ticket = self.journal.append(Kind::Click, record::FORMAT, &payload)?;
        Ok(ticket.wait().await?)
    }

    async fn append(
        &self,
        kind: Kind,
        payload: &[u8],
    ) -> Result<(Position, oneshot::Receiver<Effect>), Unavailable> {
        let (answer, answered) = oneshot::channel();
        let ticket = {
            let mut askers = self.askers.lock().expect("no panic happens under this lock");
            let ticket = self.journal.append(kind, record::FORMAT, payload)?;
            askers.push_back(Asker { ticket: ticket.clone(), answer });
            ticket
        };
        let position = ticket.wait().await?;
        Ok((position, answered))
    }
}
