//! How a reversal names what it reverses, where it comes with a transaction id of its own.

use super::{Canonical, Contract, Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 20;

/// Where the status means a reversal, the original's transaction id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reversal {
    /// What the sender puts before it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub txn_id_prefix: String,
    /// What carries it; `None`: `txn_id` itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<Canonical>,
}

impl Reversal {
    /// What is wrong with it, for whoever wrote it; `None`: nothing.
    pub(super) fn fault(&self, contract: &Contract) -> Option<Fault> {
        let prefix = &self.txn_id_prefix;
        if prefix.len() > PREFIX_BYTES_MAX || prefix.trim_start() != prefix {
            let detail = format!("at most {PREFIX_BYTES_MAX} bytes, and no blank before them");
            return Some(Fault::at("reversal.txn_id_prefix", detail));
        }
        match self.txn_id {
            None if prefix.is_empty() => {
                Some(Fault::at("reversal", "it needs txn_id_prefix, or txn_id, or both"))
            }
            Some(other) if contract.parameter(other).is_none() => {
                let detail = format!("no parameter is `{other}`: add it to `parameters`");
                Some(Fault::at("reversal.txn_id", detail))
            }
            Some(other) if !other.may_identify() => {
                let detail = format!("`{other}` cannot be a transaction id");
                Some(Fault::at("reversal.txn_id", detail))
            }
            _ => None,
        }
    }

    /// The original's transaction id, of what was sent.
    pub(crate) fn original<'a>(
        &self,
        sent: Option<&'a str>,
        text: impl Fn(Canonical) -> Option<&'a str>,
    ) -> Option<&'a str> {
        let own = self.txn_id.and_then(text).or(sent)?;
        Some(own.strip_prefix(&self.txn_id_prefix).filter(|rest| !rest.is_empty()).unwrap_or(own))
    }
}
