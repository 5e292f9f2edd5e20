//! What makes two postbacks one conversion, and what a second one may do to it.

use crate::conversion::{Status, may_change};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What makes two postbacks the same conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    #[default]
    ClickGoalTxn,
    ClickGoal,
    Click,
    /// The advertiser's transaction id alone, whichever click it is told of.
    Txn,
}

/// What stands for a transaction id that is not sent, where it may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TxnIdAbsent {
    /// Its absence is one value: one conversion per click and goal without it.
    #[default]
    One,
    /// What the postback says: each different one is a conversion of its own.
    Payload,
}

/// What a second postback of one conversion may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Repeats {
    /// It may change the status, as far as transitions allow.
    pub status: bool,
    pub amount: RepeatedAmount,
    #[serde(skip_serializing_if = "is_default")]
    pub events: RepeatedEvents,
    /// A conversion whose click has another one of the goal already is flagged `repeated`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mark: bool,
    /// The changes of status a postback may ask for; empty: all that there are.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub transitions: BTreeSet<Transition>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            status: true,
            amount: RepeatedAmount::Keep,
            events: RepeatedEvents::Replace,
            mark: false,
            transitions: BTreeSet::new(),
        }
    }
}

impl Repeats {
    /// Whether a postback may take a conversion from one status to another; `None` is one that
    /// does not exist yet, which a contract has no say in.
    pub fn may_change(&self, from: Option<Status>, to: Status) -> bool {
        let is_agreed = from.is_none_or(|from| {
            self.transitions.is_empty() || self.transitions.contains(&Transition { from, to })
        });
        is_agreed && may_change(from, to)
    }
}

/// What becomes of the amount of a second postback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedAmount {
    /// The first one stays.
    #[default]
    Keep,
    /// The last one counts.
    Replace,
    /// They add up; one that changes the status says the whole again.
    Add,
}

/// What becomes of an event's number that is sent again for one click.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedEvents {
    /// The last one counts.
    #[default]
    Replace,
    /// They add up.
    Add,
}

/// A change of status, written `pending > approved`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(into = "String", try_from = "String")]
pub struct Transition {
    pub from: Status,
    pub to: Status,
}

impl From<Transition> for String {
    fn from(transition: Transition) -> Self {
        format!("{} > {}", transition.from.name(), transition.to.name())
    }
}

impl TryFrom<String> for Transition {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let status = |word: &str| Status::from_name(word.trim());
        let both = text.split_once('>').and_then(|(from, to)| Some((status(from)?, status(to)?)));
        match both {
            Some((from, to)) if may_change(Some(from), to) => Ok(Self { from, to }),
            Some(_) => Err(format!("`{text}` is no change that a conversion can go through")),
            None => Err(format!("`{text}` is no change such as `pending > approved`")),
        }
    }
}

/// What is not said need not be written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_may_allow_fewer_changes_and_never_more() {
        let read = |json: &str| serde_json::from_str::<Repeats>(json);
        let few = read(r#"{"transitions":["pending > approved"]}"#).unwrap();
        let all = Repeats::default();
        let (pending, approved) = (Some(Status::Pending), Some(Status::Approved));
        assert!(few.may_change(None, Status::Rejected));
        assert!(few.may_change(pending, Status::Approved));
        assert!(!few.may_change(pending, Status::Rejected));
        assert!(all.may_change(pending, Status::Rejected));
        assert!(!few.may_change(approved, Status::Reversed));
        assert!(all.may_change(approved, Status::Reversed));
        let wrong = ["pending", "approved > pending", "a > b", "new > approved", ""];
        for text in wrong {
            let json = format!(r#"{{"transitions":["{text}"]}}"#);
            assert!(read(&json).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_written() {
        let json = serde_json::to_string(&Repeats::default()).unwrap();
        assert_eq!(json, r#"{"status":true,"amount":"keep"}"#);
    }
}
