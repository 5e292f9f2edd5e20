//! What raw values of the status parameter mean.

use crate::conversion::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
}

/// What a raw status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Status(Status),
    Ignore,
    Unknown,
}

impl Statuses {
    pub(super) fn fault(&self) -> Option<String> {
        let mut raws = BTreeSet::new();
        for raw in self.values.values().flatten().chain(&self.ignore) {
            if raw.trim() != raw || raw.is_empty() {
                return Some(format!("statuses: `{raw}` is blank, or has blanks around it"));
            }
            if !raws.insert(raw.to_ascii_lowercase()) {
                return Some(format!("statuses: `{raw}` has two meanings"));
            }
        }
        None
    }

    pub fn meaning(&self, raw: &str) -> Meaning {
        let is_raw = |value: &String| value.eq_ignore_ascii_case(raw);
        if self.ignore.iter().any(is_raw) {
            return Meaning::Ignore;
        }
        let mapped = self.values.iter().find(|(_, raws)| raws.iter().any(is_raw));
        mapped.map_or(Meaning::Unknown, |(status, _)| Meaning::Status(*status))
    }
}
