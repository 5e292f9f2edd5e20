//! What a platform's answer is held against.

use super::WORD_BYTES_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many statuses a condition may name.
const STATUSES_MAX: usize = 20;
/// No more of an answer is looked at, in bytes.
const LOOKED_AT_BYTES_MAX: usize = 64 * 1024;

/// What became of a request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Delivered,
    Rejected,
    /// It was received, and nothing says whether it counted.
    Unverified,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Unverified => "unverified",
        }
    }
}

/// It holds where everything it says holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// One of these; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// A text that the body contains, case-sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Condition {
    /// What is wrong with what stands at `place`, as `key: fault`.
    pub(super) fn fault(&self, place: &str) -> Option<String> {
        let body = self.body.as_deref();
        if self.status.is_empty() && body.is_none() {
            return Some(format!("{place}: it says nothing: `status`, `body`, or both"));
        }
        if self.status.len() > STATUSES_MAX {
            return Some(format!("{place}.status: more than {STATUSES_MAX}"));
        }
        let mut all = self.status.iter().enumerate();
        if let Some((number, status)) = all.find(|(_, status)| !(200..600).contains(*status)) {
            let fault = "is not the status of an answer";
            return Some(format!("{place}.status[{number}]: {status} {fault}"));
        }
        let is_bad = |body: &str| !(1..=WORD_BYTES_MAX).contains(&body.len());
        body.is_some_and(is_bad)
            .then(|| format!("{place}.body: a body has 1 to {WORD_BYTES_MAX} bytes"))
    }

    pub(super) fn holds(&self, status: u16, body: &[u8]) -> bool {
        let body = &body[..body.len().min(LOOKED_AT_BYTES_MAX)];
        let has = |wanted: &String| contains(body, wanted.as_bytes());
        (self.status.is_empty() || self.status.contains(&status))
            && self.body.as_ref().is_none_or(has)
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}
