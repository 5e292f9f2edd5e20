//! What of something owed is news to the receiver, by what it may have heard before.
//!
//! The ledger owes by what was owed before. What came of that is known only when it is sent: the
//! receiver may have refused it, or may have no way to hear that it does not count any more.

use super::{Corrections, Owed, OwedKind};
use crate::money::Micros;

/// What a destination can be told of a conversion that it was told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hearing {
    /// That it is worth something else.
    pub corrections: bool,
    /// That it does not count any more.
    pub withdrawals: bool,
}

impl Hearing {
    pub fn of(corrections: &Corrections) -> Self {
        match corrections {
            Corrections::None {} => Self { corrections: false, withdrawals: false },
            Corrections::Status {} | Corrections::Difference {} => {
                Self { corrections: true, withdrawals: true }
            }
            // The same request again would count it twice.
            Corrections::Url { .. } => Self { corrections: false, withdrawals: true },
        }
    }
}

/// What becomes of something owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is sent so.
    Tell(Owed),
    /// The receiver knows, or was never told of the conversion at all.
    None,
    /// The receiver was told something else, and cannot hear this.
    Unheard(Owed),
}

/// What of `owed` is told a receiver that may have heard `told` last.
pub fn news(owed: &Owed, told: Option<&Owed>, hearing: Hearing) -> News {
    let told = told.filter(|told| told.kind != OwedKind::Withdrawal);
    let amounts = |owed: &Owed| (owed.payout, owed.full_payout);
    let (kind, is_heard) = match (told, owed.kind) {
        (None, OwedKind::Withdrawal) => return News::None,
        (None, _) => (OwedKind::Notice, true),
        (Some(_), OwedKind::Withdrawal) => (OwedKind::Withdrawal, hearing.withdrawals),
        (Some(told), _) if told.status != owed.status => (OwedKind::Notice, true),
        (Some(told), _) if amounts(told) == amounts(owed) => return News::None,
        (Some(_), _) => (OwedKind::Correction, hearing.corrections),
    };
    let (payout, full_payout) = told.map_or((Micros::ZERO, Micros::ZERO), amounts);
    let less = |now: Micros, before: Micros| Micros(now.0.saturating_sub(before.0));
    let owed = Owed {
        kind,
        difference: less(owed.payout, payout),
        full_difference: less(owed.full_payout, full_payout),
        ..owed.clone()
    };
    if is_heard { News::Tell(owed) } else { News::Unheard(owed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversion::Status;
    use crate::id::{ConversionId, DestinationId};
    use crate::time::Timestamp;

    /// `notice approved 2`
    fn owed(text: &str) -> Owed {
        let words: Vec<&str> = text.split(' ').collect();
        let payout = Micros(words[2].parse::<i64>().unwrap() * 1_000_000);
        Owed {
            destination_id: DestinationId(1),
            conversion_id: ConversionId(1),
            sequence: 1,
            kind: OwedKind::from_name(words[0]).unwrap(),
            status: Status::from_name(words[1]).unwrap(),
            payout,
            difference: payout,
            full_payout: payout,
            full_difference: payout,
            revenue: Micros::ZERO,
            at: Timestamp::UNIX_EPOCH,
            backfilled_at: None,
        }
    }

    #[test]
    fn what_is_told_is_what_is_news() {
        let status = Hearing::of(&Corrections::Status {});
        let url = Hearing::of(&Corrections::Url { url: String::new() });
        let none = Hearing::of(&Corrections::None {});
        for (text, told, hearing, expected) in [
            ("notice approved 2", None, none, "notice 2"),
            ("correction approved 3", None, none, "notice 3"),
            ("withdrawal reversed 0", None, status, "none"),
            ("notice approved 2", Some("notice approved 2"), status, "none"),
            ("notice approved 3", Some("notice approved 2"), status, "correction 1"),
            ("correction approved 1", Some("notice approved 2"), status, "correction -1"),
            ("correction approved 1", Some("notice approved 2"), url, "unheard"),
            ("correction approved 1", Some("notice approved 2"), none, "unheard"),
            ("notice approved 3", Some("notice pending 2"), none, "notice 1"),
            ("notice reversed 0", Some("notice approved 2"), none, "notice -2"),
            ("withdrawal reversed 0", Some("notice approved 2"), status, "withdrawal -2"),
            ("withdrawal reversed 0", Some("notice approved 2"), url, "withdrawal -2"),
            ("withdrawal reversed 0", Some("notice approved 2"), none, "unheard"),
            ("notice approved 2", Some("withdrawal reversed 0"), none, "notice 2"),
            ("withdrawal reversed 0", Some("withdrawal reversed 0"), status, "none"),
        ] {
            let told = told.map(owed);
            let shown = match news(&owed(text), told.as_ref(), hearing) {
                News::Tell(owed) => format!("{} {}", owed.kind.name(), owed.difference),
                News::None => "none".to_owned(),
                News::Unheard(_) => "unheard".to_owned(),
            };
            assert_eq!(shown, expected, "{text} after {told:?}");
        }
    }
}
