//! How a sender writes the time.

use crate::time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many ways of writing the time a contract may take.
pub const FORMATS_MAX: usize = 5;
/// The longest pattern, in bytes.
pub const FORMAT_BYTES_MAX: usize = 60;
/// The zone of times that name none, where the contract does not say.
const ZONE: &str = "UTC";

/// The ways of writing the time that a contract takes, tried in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// `unix`, `unix_ms`, `rfc3339`, or a pattern such as `%Y-%m-%d %H:%M:%S`.
    pub formats: Vec<String>,
    /// The IANA zone of times that name none.
    pub zone: String,
}

impl Default for Times {
    fn default() -> Self {
        Self { formats: vec!["unix".to_owned(), "rfc3339".to_owned()], zone: ZONE.to_owned() }
    }
}

impl Times {
    /// What is wrong with it, for whoever wrote it; `None`: nothing.
    pub(super) fn fault(&self) -> Option<String> {
        if self.formats.is_empty() || self.formats.len() > FORMATS_MAX {
            return Some(format!("times.formats: 1 to {FORMATS_MAX} of them"));
        }
        let is_bad = |format: &&String| {
            let is_named = matches!(format.as_str(), "unix" | "unix_ms" | "rfc3339");
            !is_named && (!format.contains('%') || format.len() > FORMAT_BYTES_MAX)
        };
        if let Some(bad) = self.formats.iter().find(is_bad) {
            return Some(format!(
                "times.formats: `{bad}` is none of unix, unix_ms, rfc3339, and no pattern of at \
                 most {FORMAT_BYTES_MAX} bytes such as `%Y-%m-%d %H:%M:%S`"
            ));
        }
        let is_known = time::zone(&self.zone).is_some();
        (!is_known).then(|| {
            format!("times.zone: `{}` is no IANA time zone such as `Europe/Berlin`", self.zone)
        })
    }
}
