//! What a report counts, and the one place that says how.

use domain::money::Micros;
use domain::report::{Money, Sums, Total};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Clicks,
    Hits,
    Refused,
    /// All of them, whatever their status.
    Conversions,
    Pending,
    Approved,
    Rejected,
    Reversed,
    Revenue,
    Payout,
    /// `event1` …: the sum of these numbers.
    Event(u8),
}

/// The names of the numbers that postbacks tell.
const EVENTS: [&str; 30] = [
    "event1", "event2", "event3", "event4", "event5", "event6", "event7", "event8", "event9",
    "event10", "event11", "event12", "event13", "event14", "event15", "event16", "event17",
    "event18", "event19", "event20", "event21", "event22", "event23", "event24", "event25",
    "event26", "event27", "event28", "event29", "event30",
];

impl Metric {
    /// Those that every report has, in the order of the columns.
    pub(super) const PLAIN: [Self; 10] = [
        Self::Clicks,
        Self::Hits,
        Self::Refused,
        Self::Conversions,
        Self::Pending,
        Self::Approved,
        Self::Rejected,
        Self::Reversed,
        Self::Revenue,
        Self::Payout,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Clicks => "clicks",
            Self::Hits => "hits",
            Self::Refused => "refused",
            Self::Conversions => "conversions",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
            Self::Revenue => "revenue",
            Self::Payout => "payout",
            Self::Event(number) => EVENTS[usize::from(number) - 1],
        }
    }

    /// With the events, which a report has where there are any.
    pub(super) fn all() -> Vec<Self> {
        let events = (1..=30).map(Self::Event);
        Self::PLAIN.into_iter().chain(events).collect()
    }

    pub(super) fn names() -> Vec<&'static str> {
        Self::all().into_iter().map(Self::name).collect()
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|metric| metric.name() == name)
    }

    /// The event it is the sum of.
    pub(super) fn event(self) -> Option<u8> {
        match self {
            Self::Event(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn total(self, sums: &Sums) -> Total {
        self.event().and_then(|number| sums.events.get(&number)).copied().unwrap_or_default()
    }

    pub(super) fn is_money(self) -> bool {
        matches!(self, Self::Revenue | Self::Payout)
    }

    pub(super) fn count(self, sums: &Sums) -> u64 {
        match self {
            Self::Clicks => sums.clicks,
            Self::Hits => sums.hits,
            Self::Refused => sums.refused,
            Self::Conversions => sums
                .pending
                .saturating_add(sums.approved)
                .saturating_add(sums.rejected)
                .saturating_add(sums.reversed),
            Self::Pending => sums.pending,
            Self::Approved => sums.approved,
            Self::Rejected => sums.rejected,
            Self::Reversed => sums.reversed,
            Self::Revenue | Self::Payout | Self::Event(_) => 0,
        }
    }

    pub(super) fn amount(self, money: Money) -> Micros {
        if self == Self::Payout { money.payout } else { money.revenue }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_known_by_its_name() {
        for metric in Metric::all() {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
        }
        assert_eq!(Metric::Event(7).name(), "event7");
        for unknown in ["event0", "event31", "event", "click"] {
            assert_eq!(Metric::from_name(unknown), None, "{unknown}");
        }
    }
}
