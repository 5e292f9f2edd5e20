//! What sub1 … sub10 mean: to the whole network, and to one publisher where it differs.
//!
//! They are headings and nothing else: what clicks carry, and what is counted, stays as it is.

use crate::click::Label;
use crate::id::PublisherId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest such a meaning may be, in bytes.
pub const MEANING_BYTES_MAX: usize = 60;

/// The meanings of subs, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubLabels {
    /// `None`: they are the network's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher_id: Option<PublisherId>,
    /// `sub1` … with what each of them means; a sub that is not here has no meaning.
    pub labels: BTreeMap<String, String>,
}

/// What is wrong with one of them: the name to blame, and why.
pub(crate) fn fault(labels: &BTreeMap<String, String>) -> Option<(&str, String)> {
    labels.iter().find_map(|(name, meaning)| {
        let is_sub = matches!(Label::from_name(name), Some(Label::Sub(_)));
        if !is_sub {
            return Some((name.as_str(), "there are sub1 to sub10".to_owned()));
        }
        let is_bad = meaning.trim() != meaning
            || meaning.is_empty()
            || meaning.len() > MEANING_BYTES_MAX
            || meaning.contains(char::is_control);
        is_bad.then(|| {
            let detail = format!(
                "1 to {MEANING_BYTES_MAX} bytes, without control characters and blanks around them"
            );
            (name.as_str(), detail)
        })
    })
}
