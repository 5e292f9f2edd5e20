//! What a destination is owed when a conversion changes.
//!
//! Pure, and decided from what it was owed before: so it is written in the transaction that
//! changes the conversion, and a ledger that is made again owes the same.

use super::{Destination, Owner};
use crate::conversion::Status;
use crate::id::{ConversionId, DestinationId};
use crate::ledger::Conversion;
use crate::money::Micros;
use crate::setup::Setup;
use crate::time::Timestamp;

/// One thing a destination has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    pub destination_id: DestinationId,
    pub conversion_id: ConversionId,
    /// The entry that it tells of.
    pub sequence: u32,
    pub kind: OwedKind,
    pub status: Status,
    /// The destination's share, as it stands after the change.
    pub payout: Micros,
    /// What that adds to what it was told before.
    pub difference: Micros,
    /// The same two before the share was taken.
    pub full_payout: Micros,
    pub full_difference: Micros,
    pub revenue: Micros,
    /// When the conversion changed.
    pub at: Timestamp,
    /// When it was asked for, where it tells of what happened before.
    pub backfilled_at: Option<Timestamp>,
}

impl Owed {
    /// Since when it is owed.
    pub fn owed_at(&self) -> Timestamp {
        self.backfilled_at.unwrap_or(self.at)
    }

    /// The same however often it is sent, and for nothing else. A conversion that changed between a
    /// backup and its restore has used sequences that come again: so the restore is part of it.
    pub fn idempotency_key(&self, setup: &Setup) -> String {
        let key = format!("{}-{}-{}", self.conversion_id, self.sequence, self.destination_id);
        match setup.restored_at(self.at) {
            Some(restored_at) => format!("{key}-{}", restored_at.as_us()),
            None => key,
        }
    }
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwedKind {
    /// The conversion has come into a status that is told.
    Notice,
    /// It stays in it, and is worth something else.
    Correction,
    /// It does not count any more.
    Withdrawal,
}

impl OwedKind {
    pub const ALL: [Self; 3] = [Self::Notice, Self::Correction, Self::Withdrawal];

    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Correction => "correction",
            Self::Withdrawal => "withdrawal",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What everybody is owed now that the conversion has changed; `before` is what they were owed
/// about it until now, oldest first.
pub fn owed(setup: &Setup, now: &Conversion, before: &[Owed]) -> Vec<Owed> {
    let destinations = Owner::of(now).into_iter().flat_map(|owner| setup.destinations_of(owner));
    let owed = destinations
        .filter(|one| !one.archived)
        .filter_map(|destination| of_one(destination, now, last_of(destination.id, before)));
    owed.collect()
}

/// What a destination was owed last, of what everybody was, oldest first.
pub(super) fn last_of(id: DestinationId, before: &[Owed]) -> Option<&Owed> {
    before.iter().rev().find(|one| one.destination_id == id)
}

/// `last` is what it was owed about it before. What does not count any more is worth nothing. `None`: nothing, or nothing that fits into an
/// amount.
pub(super) fn of_one(
    destination: &Destination,
    now: &Conversion,
    last: Option<&Owed>,
) -> Option<Owed> {
    let rules = &destination.rules;
    let told = last.filter(|last| last.kind != OwedKind::Withdrawal);
    let is_told = rules.statuses.contains(&now.status) && now.merged_into.is_none();
    let is_undone =
        matches!(now.status, Status::Rejected | Status::Reversed) || now.merged_into.is_some();
    let full_payout = if is_undone { Micros::ZERO } else { now.payout };
    let payout = rules.payout_share.of(full_payout)?;
    let kind = match told {
        None if is_told && wants(destination, now) => OwedKind::Notice,
        Some(told) if is_told && told.status != now.status => OwedKind::Notice,
        Some(told) if is_told && told.payout != payout => OwedKind::Correction,
        // What moves on to a status that is not told counts as before.
        Some(_) if !is_told && is_undone => OwedKind::Withdrawal,
        _ => return None,
    };
    let (before, full_before) =
        told.map_or((Micros::ZERO, Micros::ZERO), |told| (told.payout, told.full_payout));
    Some(Owed {
        destination_id: destination.id,
        conversion_id: now.id,
        sequence: now.sequence,
        kind,
        status: now.status,
        payout,
        difference: payout.checked_sub(before)?,
        full_payout,
        full_difference: full_payout.checked_sub(full_before)?,
        revenue: now.revenue,
        at: now.changed_at,
        backfilled_at: None,
    })
}

/// Whether a conversion that was not told yet is one to be told.
fn wants(destination: &Destination, conversion: &Conversion) -> bool {
    let rules = &destination.rules;
    (rules.tests || !conversion.is_test)
        && rules.wants_goal(&conversion.goal)
        && rules.min_payout.is_none_or(|least| conversion.payout >= least)
        && rules.samples(destination.id, conversion.id)
}
