//! What is asked of a store and what it answers: rows, filters and pages.

use domain::click::Labels;
use domain::click_id::ClickId;
use domain::command::{Command, Outcome};
use domain::conversion::Status;
use domain::destination::Owed;
use domain::hit::Hit;
use domain::id::{CampaignId, ConversionId, DeliveryId, IntegrationId, Position, PublisherId};
use domain::ledger::Entry;
use domain::reason::{Flag, Flags, Reason, Verdict};
use domain::time::Timestamp;

/// The most rows a page may have.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// Some rows, and where the next ones begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// They may be fewer than the limit, or none, though there are more: no page looks at more than
    /// so many rows.
    pub items: Vec<T>,
    /// To be given as the filter's `before`; `None`: these were the last.
    pub next: Option<u64>,
}

/// What became of a hit, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredVerdict {
    pub position: Position,
    pub at: Timestamp,
    /// By the clock; the only field that a replay does not bring back.
    pub decided_at: Timestamp,
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub parameter: Option<String>,
    pub nearest: Option<String>,
    pub detail: Option<String>,
    pub flags: Flags,
    /// The contract that read it, such as `12.3`.
    pub contract: Option<String>,
    /// What its sender is answered with.
    pub http_status: u16,
    /// The command by which it was decided again, where one was.
    pub decided_by: Option<Position>,
    pub click_id: Option<ClickId>,
    pub campaign_id: Option<CampaignId>,
    pub publisher_id: Option<PublisherId>,
    pub goal: Option<String>,
    pub txn_id: Option<String>,
    /// For a duplicate: the hit that made the conversion.
    pub original: Option<Position>,
    pub conversion_id: Option<ConversionId>,
    /// The conversion's status after it.
    pub status: Option<Status>,
    pub is_test: bool,
    /// The click's.
    pub labels: Labels<'static>,
}

/// Which verdicts. What is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VerdictFilter {
    pub click_id: Option<ClickId>,
    pub txn_id: Option<String>,
    pub campaign_id: Option<CampaignId>,
    pub conversion_id: Option<ConversionId>,
    pub verdict: Option<Verdict>,
    pub reason: Option<Reason>,
    pub flag: Option<Flag>,
    /// Only what a contract of it has read.
    pub integration_id: Option<IntegrationId>,
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
    /// Only what comes after the row of this position.
    pub before: Option<u64>,
    /// At most [`PAGE_ROWS_MAX`].
    pub limit: u32,
}

/// Which conversions. What is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversionFilter {
    pub click_id: Option<ClickId>,
    pub txn_id: Option<String>,
    pub campaign_id: Option<CampaignId>,
    pub publisher_id: Option<PublisherId>,
    pub goal: Option<String>,
    pub status: Option<Status>,
    pub is_test: Option<bool>,
    /// It lacks the transaction id that it should have.
    pub is_triaged: Option<bool>,
    pub merged_into: Option<ConversionId>,
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
    /// Only what comes after the row of this id.
    pub before: Option<u64>,
    /// At most [`PAGE_ROWS_MAX`].
    pub limit: u32,
}

/// An entry with its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEntry {
    pub entry: Entry,
    /// The chain's, after it.
    pub hash: [u8; 32],
}

/// One thing that a destination is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOwed {
    pub id: DeliveryId,
    pub owed: Owed,
}

/// A request as far as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptHit {
    pub at: Timestamp,
    pub digest: [u8; 32],
    pub method: String,
    /// Without the query.
    pub path: String,
    /// `None`: it has been removed with what is personal in it.
    pub hit: Option<Hit>,
}

/// A command with what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCommand {
    pub position: Position,
    pub at: Timestamp,
    pub command: Command,
    pub outcome: Outcome,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A file, or a table and row.
    pub place: String,
    pub detail: String,
}
