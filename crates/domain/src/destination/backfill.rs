//! Backfill: a destination is told of what happened before it was there, or before it wanted to
//! know.

use super::owed::{Owed, OwedKind, last_of, of_one};
use super::{Destination, Owner};
use crate::id::ConversionId;
use crate::ledger::Conversion;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many conversions one command looks at, wanted or not: hits wait while it does.
pub const BACKFILL_CONVERSIONS_MAX: u32 = 2_000;

/// When the conversions were made that are looked at: in the order of those times, and of their ids
/// where they are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// Only what comes after this one: where the backfill before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ConversionId>,
}

impl Period {
    /// The field that is wrong, and why.
    pub fn fault(&self, now: Timestamp) -> Option<(&'static str, String)> {
        if self.to > now {
            let detail = format!("it is in the future: it is {now} now");
            return Some(("to", detail));
        }
        let is_empty = self.from >= self.to;
        is_empty.then(|| ("from", format!("it is not before `to`, {}", self.to)))
    }
}

/// What a backfill came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfilled {
    /// How many conversions the destination came to be owed.
    pub owed: u32,
    /// How many were looked at, at most [`BACKFILL_CONVERSIONS_MAX`].
    pub examined: u32,
    /// The last of them, where there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<ConversionId>,
}

/// What the destination is owed of a conversion as it stands, by a backfill at `at`; `before` is
/// what anybody was owed about it until then, oldest first. `None`: it knows already, or does not
/// want to.
pub fn backfilled(
    destination: &Destination,
    now: &Conversion,
    before: &[Owed],
    at: Timestamp,
) -> Option<Owed> {
    if destination.archived || !Owner::of(now).contains(&destination.owner) {
        return None;
    }
    let last = last_of(destination.id, before);
    // One thing that happened is told once, whatever the rules have become since.
    let is_told = |last: &Owed| last.kind != OwedKind::Withdrawal || last.sequence >= now.sequence;
    if last.is_some_and(is_told) {
        return None;
    }
    let owed = of_one(destination, now, last)?;
    Some(Owed { backfilled_at: Some(at), ..owed })
}
