//! A conversion's status, and the changes that are allowed to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is agreed about a conversion at the moment. Only an approved one is paid for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ConversionStatus")]
pub enum Status {
    Pending,
    Approved,
    Rejected,
    Reversed,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Approved, Self::Rejected, Self::Reversed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name().eq_ignore_ascii_case(name))
    }

    /// Its number in the ledger's encoding; 0 stands for "none yet".
    pub fn code(self) -> u8 {
        match self {
            Self::Pending => 1,
            Self::Approved => 2,
            Self::Rejected => 3,
            Self::Reversed => 4,
        }
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// Revenue and payout are owed in this status.
    pub fn is_paid(self) -> bool {
        self == Self::Approved
    }
}

/// Whether a conversion may go from one status to another; `None` is one that does not exist yet.
/// Staying where it is is no change, and not in this table.
pub fn may_change(from: Option<Status>, to: Status) -> bool {
    matches!(
        (from, to),
        (None, Status::Pending | Status::Approved | Status::Rejected)
            | (Some(Status::Pending), Status::Approved | Status::Rejected)
            | (Some(Status::Approved), Status::Reversed)
            | (Some(Status::Rejected | Status::Reversed), Status::Approved)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_transitions_is_the_manuals() {
        let from = [None].into_iter().chain(Status::ALL.map(Some));
        let table: Vec<String> = from
            .map(|from| {
                let to: Vec<_> = Status::ALL
                    .into_iter()
                    .filter(|to| may_change(from, *to))
                    .map(Status::name)
                    .collect();
                format!("{} -> {}", from.map_or("(new)", Status::name), to.join(" | "))
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"), @r"
        (new) -> pending | approved | rejected
        pending -> approved | rejected
        approved -> reversed
        rejected -> approved
        reversed -> approved
        ");
    }

    #[test]
    fn codes_and_names_come_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(status));
            assert_eq!(Status::from_name(&status.name().to_uppercase()), Some(status));
        }
        assert_eq!(Status::from_code(0), None);
    }
}
