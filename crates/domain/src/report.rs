//! What can be asked of the figures: one query, one definition of each metric.
//!
//! A store is told instants, never zones, so a day is the same day on every store and in every
//! report. Every figure is a sum over rows that are only ever added.

use crate::click::Label;
use crate::id::{CampaignId, PublisherId};
use crate::money::{Currency, Micros};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How many dimensions one query may group by.
pub const DIMENSIONS_MAX: usize = 4;
/// How many days one query may span.
pub const DAYS_MAX: usize = 1_100;
/// How many groups one answer may have; a query with more is refused rather than cut.
pub const GROUPS_MAX: usize = 100_000;

/// What rows can be told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    Day,
    Campaign,
    Goal,
    Publisher,
    Label(Label),
}

impl Dimension {
    /// The word for it in a query and in an answer's rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Campaign => "campaign",
            Self::Goal => "goal",
            Self::Publisher => "publisher",
            Self::Label(label) => label.name(),
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "campaign" => Some(Self::Campaign),
            "goal" => Some(Self::Goal),
            "publisher" => Some(Self::Publisher),
            _ => Label::from_name(name).map(Self::Label),
        }
    }
}

/// Which traffic counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    #[default]
    Without,
    Only,
    With,
}

impl Test {
    pub fn admits(self, is_test: bool) -> bool {
        match self {
            Self::Without => !is_test,
            Self::Only => is_test,
            Self::With => true,
        }
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Where each day begins, ascending, and last where the range ends: at least two instants.
    /// Rows are counted from the first up to, not including, the last.
    pub day_bounds: Vec<Timestamp>,
    /// In the order of the answer's columns, none twice, at most [`DIMENSIONS_MAX`].
    pub group_by: Vec<Dimension>,
    pub campaign_id: Option<CampaignId>,
    pub publisher_id: Option<PublisherId>,
    pub test: Test,
}

impl Query {
    pub fn from(&self) -> Timestamp {
        self.day_bounds[0]
    }

    /// Exclusive.
    pub fn to(&self) -> Timestamp {
        self.day_bounds[self.day_bounds.len() - 1]
    }

    /// The day `at` falls in, counted from the first; `None` outside the range.
    pub fn day(&self, at: Timestamp) -> Option<u32> {
        if at < self.from() || at >= self.to() {
            return None;
        }
        let after = self.day_bounds.partition_point(|bound| *bound <= at);
        u32::try_from(after - 1).ok()
    }
}

/// A row's value in one dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Counted from the query's first day.
    Day(u32),
    Campaign(CampaignId),
    Publisher(PublisherId),
    /// A goal's key or a label's value.
    Text(String),
    /// The row has none, as a click has no goal.
    None,
}

/// One value for each of the query's dimensions, in its order.
pub type Group = Vec<Value>;

/// The sums of one group. Money is by currency: amounts in two currencies are never added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub clicks: u64,
    /// Requests to a postback endpoint that were journaled.
    pub hits: u64,
    /// Of those, refused.
    pub refused: u64,
    /// Conversions by the status they have now, counted when they were made.
    pub pending: u64,
    pub approved: u64,
    pub rejected: u64,
    pub reversed: u64,
    /// What is owed for them: the sum of their entries.
    pub money: BTreeMap<Currency, Money>,
    /// The numbers of their events, as they are now, counted when a click was first told of.
    pub events: BTreeMap<u8, Total>,
}

/// A sum of events: millionths. Whatever is told of however many clicks, it does not overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Total(pub i128);

impl Total {
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// The shortest decimal.
impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, fraction) =
            (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{units}");
        }
        write!(f, "{sign}{units}.{}", format!("{fraction:06}").trim_end_matches('0'))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    pub revenue: Micros,
    pub payout: Micros,
}

/// The answer: groups in order of their values.
pub type Answer = BTreeMap<Group, Sums>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_events_is_shown_as_it_is() {
        let shown = [0, 5_000_000, -1_500_000, 1, -1, i128::MAX, i128::MIN];
        let shown = shown.map(|sum| Total(sum).to_string());
        assert_eq!(shown[..5], ["0", "5", "-1.5", "0.000001", "-0.000001"]);
        assert_eq!(shown[5], "170141183460469231731687303715884.105727");
        assert_eq!(shown[6], "-170141183460469231731687303715884.105728");
        assert_eq!(Total(i128::MAX).saturating_add(Total(1)), Total(i128::MAX));
    }
}
