//! A conversion as it stands: what its entries add up to, and what is known about it.

use super::amounts::{Amounts, Missing};
use super::{ContractRef, Key};
use crate::click::Labels;
use crate::click_id::ClickId;
use crate::conversion::Status;
use crate::id::{CampaignId, ConversionId, LinkId, Position, PublisherId};
use crate::money::{Currency, Micros};
use crate::postback::{Postback, Said};
use crate::reason::{Flag, Flags};
use crate::time::Timestamp;
use sha2::{Digest, Sha256};

/// How often postbacks can change one conversion. None is ever forgotten, so a late repeat can
/// never count again; beyond them only a reversal changes it, or a person.
pub const CHANGES_MAX: u32 = 1_000;
/// How many postbacks that change nothing a conversion remembers, so that a late repeat of one
/// cannot count either. Who only knows the click id uses up nothing by sending more.
pub const IDLE_MAX: usize = 200;

/// One paid-for act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    pub id: ConversionId,
    pub key: Key,
    pub campaign_id: CampaignId,
    pub publisher_id: PublisherId,
    pub link_id: LinkId,
    /// The goal's key.
    pub goal: String,
    pub click_id: ClickId,
    pub txn_id: Option<String>,
    pub status: Status,
    /// As the sender last said it.
    pub raw_status: Option<String>,
    /// What it is worth once approved.
    pub revenue: Micros,
    pub payout: Micros,
    /// What its entries add up to: the same while it is approved, else nothing.
    pub paid_revenue: Micros,
    pub paid_payout: Micros,
    pub currency: Currency,
    pub sent_amount: Option<Micros>,
    pub sale_amount: Option<Micros>,
    pub missing: Missing,
    pub conversion_ref: Option<String>,
    /// Labels and events as they were first sent, under their canonical names. What is said of
    /// the click (`sub1` …, `placement` …) is kept, and `labels` are what counts.
    pub values: Vec<(String, String)>,
    /// The click's.
    pub external_id: Vec<u8>,
    pub labels: Labels<'static>,
    pub is_test: bool,
    pub flags: Flags,
    pub contract: ContractRef,
    /// The hit that made it.
    pub created_by: Position,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    /// Of its last entry, from 1 on.
    pub sequence: u32,
    /// Digests of what its postbacks said, oldest first.
    pub seen: Vec<[u8; 8]>,
    /// It is in triage, without the transaction id that it should have: the status it was sent
    /// with.
    pub triaged: Option<Status>,
    /// The identity it had in triage, once it is repaired: what was said then still leads to it.
    pub triage_identity: Option<Vec<u8>>,
    /// It turned out to be this one.
    pub merged_into: Option<ConversionId>,
}

impl Conversion {
    /// Whether one of its postbacks said just this.
    pub fn has_seen(&self, said: [u8; 8]) -> bool {
        self.seen.contains(&said)
    }

    /// Whether it waits for its transaction id: one that a person has rejected takes nobody's place.
    pub fn waits(&self) -> bool {
        self.triaged.is_some() && self.status == Status::Pending
    }

    /// Whether one more postback that changes nothing is to be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.seen.len().saturating_sub(self.sequence as usize) < IDLE_MAX
    }

    pub(super) fn set_amounts(&mut self, amounts: Amounts) {
        self.revenue = amounts.revenue;
        self.payout = amounts.payout;
        self.sent_amount = amounts.sent_amount;
        self.sale_amount = amounts.sale_amount;
        self.missing = amounts.missing;
        if !amounts.missing.is_any() {
            self.flags.remove(Flag::AmountMissing);
        }
    }

    pub(super) fn remember(&mut self, said: [u8; 8]) {
        self.seen.push(said);
    }
}

/// A digest of what a postback says about its conversion: identical repeats have identical ones.
/// Labels are left out, and so is the time, which some senders set anew for each try. `txn_id` is
/// its own, or none: what it would have said without.
pub(super) fn said(postback: &Postback, txn_id: Option<&str>, may_not_approve: bool) -> [u8; 8] {
    let mut hash = Sha256::new_with_prefix(b"counterfoil said 1");
    let mut part = |text: Option<&str>| {
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(text.unwrap_or_default());
    };
    let status = match &postback.status {
        Said::Status(status) => status.name(),
        Said::Undone => "undone",
        Said::Ignore(_) => "ignore",
        Said::Unknown => "unknown",
    };
    part(Some(status));
    part(postback.raw_status.as_deref().map(str::to_lowercase).as_deref());
    part(postback.campaign_id.as_deref());
    part(txn_id);
    part(postback.goal.as_deref().map(str::to_lowercase).as_deref());
    for amount in [postback.revenue, postback.sale_amount, postback.payout] {
        part(amount.map(|amount| amount.micros.to_string()).as_deref());
    }
    part(postback.conversion_ref());
    let currency = postback.currency.as_ref().map(|currency| match currency {
        Ok(currency) => currency.to_string(),
        Err(text) => text.clone(),
    });
    part(currency.as_deref());
    // With proof it says more than it did without.
    if may_not_approve {
        part(Some("without proof"));
    }
    let hash: [u8; 32] = hash.finalize().into();
    *hash.first_chunk().expect("a hash has 32 bytes")
}
