//! Remembers: journal, ledger and facts.
//!
//! **A method of [`Store`] is a transaction.** No transaction handle leaves this crate, so none
//! can stay open across a network call. The only way to change what counts is [`Store::apply`],
//! with records of the journal, in its order.

pub mod deliveries;
pub mod disk;
pub mod facts;
pub mod journal;
pub mod list;
pub mod records;
pub mod sqlite;

use async_trait::async_trait;
use domain::click::Click;
use domain::click_id::ClickId;
use domain::command::Outcome;
use domain::destination::{Backfilled, Destination, Period};
use domain::id::{ConversionId, DeliveryId, Position, PublisherId};
use domain::ledger::{ClickEvents, Conversion, Key};
use domain::record::Stamped;
use domain::report;
use domain::setup::{Change, Setup};
use domain::time::Timestamp;
use list::{
    ConversionFilter, Fault, KeptHit, Page, StoredCommand, StoredEntry, StoredOwed, StoredVerdict,
    VerdictFilter,
};

/// Why a store cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was changed: the call may be repeated.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored is not what was stored.
    #[error("{place} is damaged: {detail}")]
    Corrupt { place: String, detail: String },
    /// Written by a later release.
    #[error("{0}")]
    Newer(String),
    /// The question is too large to answer; it says what would be right.
    #[error("{0}")]
    TooLarge(String),
    /// Secrets that are needed were encrypted with another key, or are damaged.
    #[error("the secrets of {place} were not encrypted with the key that is there")]
    WrongKey { place: String },
    /// Deciding a record panicked. Nothing of the batch was applied.
    #[error("the decision on record {position} panicked: {detail}")]
    Panicked { position: Position, detail: String },
}

/// What came of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    pub position: Position,
    pub at: Timestamp,
    pub effect: Effect,
}

/// By kind of record.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Decided(Box<StoredVerdict>),
    /// The setup's changes are in force once every reader has put them.
    Commanded {
        outcome: Box<Outcome>,
        changes: Vec<Change>,
    },
}

/// What any store does.
#[async_trait]
pub trait Store: Send + Sync {
    /// The first record that is not applied yet. Records before it that are given again change
    /// nothing.
    async fn position(&self) -> Result<Position, Error>;

    /// Applies records in the journal's order, all or none. `decided_at` is noted beside each
    /// verdict and decides nothing; `quarantined` names the positions whose decision panicked
    /// before. One [`Applied`] for each hit and command that was not applied before, in order.
    async fn apply(
        &self,
        records: &[Stamped<'_>],
        quarantined: &[Position],
        decided_at: Timestamp,
    ) -> Result<Vec<Applied>, Error>;

    /// All that is set up, with its history.
    async fn setup(&self) -> Result<Setup, Error>;

    /// The click, without what is personal once that has been removed.
    async fn click(&self, id: ClickId) -> Result<Option<(Position, Click<'static>)>, Error>;

    async fn conversion(
        &self,
        id: ConversionId,
    ) -> Result<Option<(Conversion, Vec<StoredEntry>)>, Error>;

    /// The conversion that has what makes it one.
    async fn conversion_by_key(&self, key: &Key) -> Result<Option<Conversion>, Error>;

    /// Newest first.
    async fn conversions(&self, filter: &ConversionFilter) -> Result<Page<Conversion>, Error>;

    /// The events that postbacks have told of a click.
    async fn events(&self, id: ClickId) -> Result<Option<ClickEvents>, Error>;

    /// What destinations came to be owed after `after`, oldest first.
    async fn owed(&self, after: DeliveryId, limit: u32) -> Result<Vec<StoredOwed>, Error>;

    /// What a backfill of that destination, which is told of that publisher's conversions, would
    /// come to at `at`. `None`: there is no such conversion as it is to go on after.
    async fn backfillable(
        &self,
        destination: &Destination,
        publisher: PublisherId,
        period: Period,
        at: Timestamp,
    ) -> Result<Option<Backfilled>, Error>;

    async fn verdict(&self, position: Position) -> Result<Option<StoredVerdict>, Error>;

    /// Newest first.
    async fn verdicts(&self, filter: &VerdictFilter) -> Result<Page<StoredVerdict>, Error>;

    /// The request itself, as far as it is still kept.
    async fn hit(&self, position: Position) -> Result<Option<KeptHit>, Error>;

    /// The command at that position, with its outcome; its secrets are masked.
    async fn command(&self, position: Position) -> Result<Option<StoredCommand>, Error>;

    /// The outcome of the command that had that idempotency key.
    async fn command_by_key(&self, actor: &str, key: &str) -> Result<Option<StoredCommand>, Error>;

    async fn report(&self, query: &report::Query) -> Result<report::Answer, Error>;

    /// SHA-256 over every reproducible table, in the order of its keys, but for words that are for
    /// people.
    async fn digest(&self) -> Result<[u8; 32], Error>;

    /// Checks every invariant that can be checked from what is stored.
    async fn verify(&self) -> Result<Vec<Fault>, Error>;
}
