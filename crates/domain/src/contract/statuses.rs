//! What raw values of the status parameter mean.

use super::Fault;
use crate::conversion::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The longest row of values that whoever sends an unknown one is told, in bytes.
const KNOWN_BYTES_MAX: usize = 300;

/// What raw values of the status parameter mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statuses {
    /// What an absent status means; `None`: it must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Status>,
    /// What a blank one means; `None`: the same as an absent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank: Option<Status>,
    /// The raw values of each status, compared without case.
    #[serde(default)]
    pub values: BTreeMap<Status, Vec<String>>,
    /// Raw values that ask for nothing, as pings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Raw values that reverse what was approved, and reject anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<String>,
    /// What a negative amount means, whatever the status says: `reversed` or `rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<Status>,
}

/// What a raw status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Status(Status),
    /// Reversed where it was approved, else rejected.
    Undone,
    Ignore,
    Unknown,
}

impl Statuses {
    pub(super) fn fault(&self) -> Option<Fault> {
        let mut raws = BTreeSet::new();
        let values = self.values.iter();
        let lists =
            values.map(|(status, raws)| (format!("statuses.values.{}", status.name()), raws));
        let lists = lists.chain([
            ("statuses.ignore".to_owned(), &self.ignore),
            ("statuses.undone".to_owned(), &self.undone),
        ]);
        for (path, all) in lists {
            for (place, raw) in all.iter().enumerate() {
                let fault = |detail| Some(Fault::at(format!("{path}[{place}]"), detail));
                if raw.trim() != raw || raw.is_empty() {
                    return fault(format!("`{raw}` is blank, or has blanks around it"));
                }
                if !raws.insert(raw.to_ascii_lowercase()) {
                    return fault(format!(
                        "`{raw}` has two meanings, and case makes no difference"
                    ));
                }
            }
        }
        let is_no_end = |status| !matches!(status, Status::Reversed | Status::Rejected);
        let negative = self.negative.filter(|status| is_no_end(*status))?;
        let detail = format!("`reversed` or `rejected`, not `{}`", negative.name());
        Some(Fault::at("statuses.negative", detail))
    }

    /// The raw values it knows, in a row that is not too long.
    pub fn known(&self) -> String {
        let all = self.values.values().flatten().chain(&self.undone).chain(&self.ignore);
        let mut told = String::new();
        let mut left = 0_usize;
        for raw in all {
            let joint = if told.is_empty() { "" } else { ", " };
            if left > 0 || told.len() + joint.len() + raw.len() + 2 > KNOWN_BYTES_MAX {
                left += 1;
            } else {
                told.extend([joint, "`", raw, "`"]);
            }
        }
        match (told.is_empty(), left) {
            (true, 0) => "none".to_owned(),
            (true, left) => format!("{left} too long to tell"),
            (false, 0) => told,
            (false, left) => format!("{told} and {left} more"),
        }
    }

    pub fn meaning(&self, raw: &str) -> Meaning {
        let is_raw = |value: &String| value.eq_ignore_ascii_case(raw);
        if self.ignore.iter().any(is_raw) {
            return Meaning::Ignore;
        }
        if self.undone.iter().any(is_raw) {
            return Meaning::Undone;
        }
        let mapped = self.values.iter().find(|(_, raws)| raws.iter().any(is_raw));
        mapped.map_or(Meaning::Unknown, |(status, _)| Meaning::Status(*status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_it_knows_are_told_as_far_as_there_is_room() {
        let mut statuses = Statuses::default();
        assert_eq!(statuses.known(), "none");
        statuses.ignore = vec!["ping".to_owned()];
        statuses.undone = vec!["void".to_owned()];
        statuses.values.insert(Status::Approved, vec!["1".to_owned(), "paid".to_owned()]);
        assert_eq!(statuses.known(), "`1`, `paid`, `void`, `ping`");
        statuses.undone = (0..100).map(|number| format!("word{number}")).collect();
        let told = statuses.known();
        assert!(told.len() <= KNOWN_BYTES_MAX + 20, "{told}");
        let told_words = told.matches('`').count() / 2;
        assert!(told.ends_with(&format!(" and {} more", 103 - told_words)), "{told}");
        let long = Statuses { ignore: vec!["x".repeat(KNOWN_BYTES_MAX)], ..Statuses::default() };
        assert_eq!(long.known(), "1 too long to tell");
    }
}
