//! A contract: what one integration agrees on with its sender, as data.
//!
//! It is immutable once in use. Aliases belong to a contract, never to the server: `tid` is a
//! transaction id to one platform and a click id to another.

mod answers;
mod canonical;
mod difference;
mod fault;
mod network;
mod repeats;
mod reversal;
mod scheme;
mod secret;
mod statuses;
mod times;
mod verification;
pub mod version;
pub mod words;

#[cfg(test)]
mod tests;

pub use answers::{Answers, ContentType, FILLERS, Profile, REPLY_BYTES_MAX, Reply};
pub use canonical::{Canonical, PARAMS};
pub use difference::{Difference, difference};
pub use fault::Fault;
pub use network::Network;
pub use repeats::{Identity, RepeatedAmount, RepeatedEvents, Repeats, Transition, TxnIdAbsent};
pub use reversal::Reversal;
pub use scheme::{Algorithm, Encoding, Input, Key, SECRET_FIELD, Scheme, SecretPlace, Values};
pub(crate) use secret::{Lack, no_such_secret};
pub use secret::{SIGNATURE, TOKEN};
pub use statuses::{Meaning, Statuses};
pub use times::{FORMAT_BYTES_MAX, FORMATS_MAX, Times};
pub use verification::{ProofKind, Verification};
pub use version::{Role, SignOff, Version};

use crate::money::Currency;
use crate::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many parameters a contract may have.
pub const PARAMETERS_MAX: usize = 100;
/// How many names a parameter may be accepted under.
pub const NAMES_MAX: usize = 20;
/// How many values a transaction id may be made of.
pub const TXN_ID_PARTS_MAX: usize = 5;
/// How many words that stand for no value a contract may have.
pub const UNREPLACED_MAX: usize = 50;
/// The longest a transaction id may be where its contract does not say, in bytes.
pub const TXN_ID_BYTES: usize = 255;
/// The longest any other value may be where its contract does not say, in bytes.
pub const VALUE_BYTES: usize = 500;
/// The longest length a contract may allow, in bytes.
pub const VALUE_BYTES_MAX: usize = 4096;

/// What logs a request's sender in is never kept.
const SECRET_HEADERS: [&str; 2] = ["authorization", "cookie"];

/// One thing a sender may or must say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of its own in files and in the API"
)]
pub struct Parameter {
    pub canonical: Canonical,
    /// The names it is accepted under, case-sensitive; the first is the one we ask for.
    pub names: Vec<String>,
    /// They are names of headers, which have no case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_header: bool,
    #[serde(default)]
    pub required: bool,
    /// It is part of the postback URL we hand out.
    #[serde(default)]
    pub in_url: bool,
    /// Its sender adds it by itself: it never stands in the postback URL we hand out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub appended: bool,
    /// What stands for the sender's value in the URL we hand out, such as `{click_id}`.
    #[serde(default, rename = "macro", skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// The values it may have, compared without case; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    #[serde(default)]
    pub unit: Unit,
}

impl Parameter {
    pub fn name(&self) -> &str {
        &self.names[0]
    }

    /// Whether one of its names is one of the other's.
    pub(crate) fn is_named_as(&self, other: &Self) -> bool {
        self.names.iter().any(|name| other.names.contains(name))
    }

    /// The longest its value may be, in bytes.
    pub fn length_max(&self) -> usize {
        self.max_length.unwrap_or(match self.canonical {
            Canonical::TxnId => TXN_ID_BYTES,
            _ => VALUE_BYTES,
        })
    }
}

/// What an amount is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// `2.35` is two dollars and 35 cents.
    #[default]
    Decimal,
    /// `235` is.
    Minor,
}

/// The agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// In the order of the postback URL.
    pub parameters: Vec<Parameter>,
    pub statuses: Statuses,
    /// Raw values of goal or event type that are not the goal's key, to the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub goals: BTreeMap<String, String>,
    #[serde(default)]
    pub identity: Identity,
    #[serde(default)]
    pub repeats: Repeats,
    /// `txn_id` is compared without case.
    #[serde(default)]
    pub txn_id_folded: bool,
    /// The transaction id is these values, joined by `_`; empty: `txn_id` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub txn_id_parts: Vec<Canonical>,
    #[serde(default, skip_serializing_if = "repeats::is_default")]
    pub txn_id_absent: TxnIdAbsent,
    /// Until then a postback without the transaction id that it should have is recorded, pending
    /// and unpaid, for somebody to find the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triage_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversal: Option<Reversal>,
    /// What all amounts are in, where a postback does not say; `None`: the campaign's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// A postback with one of these values asks for nothing, compared without case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ignore_where: BTreeMap<Canonical, Vec<String>>,
    /// A `payout` without a `revenue` is our revenue; beside one, it is the publisher's payout.
    #[serde(default)]
    pub payout_may_be_revenue: bool,
    /// Words that a sender leaves where it has no value, and that only its own people would take
    /// for a macro, such as `xxc1xx`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreplaced: Vec<String>,
    #[serde(default, skip_serializing_if = "repeats::is_default")]
    pub times: Times,
    #[serde(default)]
    pub verification: Verification,
    #[serde(default)]
    pub answers: Answers,
}

impl Contract {
    pub fn parameter(&self, canonical: Canonical) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.canonical == canonical)
    }

    /// A value that makes one postback another conversion, or none: whatever it is, it is no mere
    /// label.
    pub(crate) fn tells_apart(&self, canonical: Canonical) -> bool {
        self.txn_id_parts.contains(&canonical)
            || self.ignore_where.contains_key(&canonical)
            || self.reversal.as_ref().is_some_and(|one| one.txn_id == Some(canonical))
    }

    /// What it reads in headers and does more than describe; proofs are none of it.
    pub(crate) fn deciding_in_headers(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| {
            let canonical = parameter.canonical;
            let makes_one = matches!(canonical, Canonical::Event(_) | Canonical::ConversionRef);
            let only_describes = canonical.is_label() && !makes_one && !self.tells_apart(canonical);
            parameter.in_header && !only_describes && !canonical.is_secret()
        })
    }

    /// The names under which it accepts our click id.
    pub fn click_id_names(&self) -> &[String] {
        self.parameter(Canonical::ClickId).map_or(&[], |parameter| &parameter.names)
    }

    /// The headers it reads, in lower case.
    pub fn header_names(&self) -> impl Iterator<Item = String> {
        let in_headers = self.parameters.iter().filter(|parameter| parameter.in_header);
        let names = in_headers.flat_map(|parameter| &parameter.names).map(String::as_str);
        let signed = self.verification.signature.iter().flat_map(Scheme::headers);
        names.chain(signed).map(str::to_ascii_lowercase)
    }

    /// Its senders sign the address that they call.
    pub fn signs_urls(&self) -> bool {
        self.verification.signature.as_ref().is_some_and(Scheme::needs_base)
    }

    /// Its senders sign a body, and what stands beside it in the URL is not read.
    pub fn signs_bodies(&self) -> bool {
        self.verification.signature.as_ref().is_some_and(|scheme| scheme.input.is_body())
    }
}

/// What a header that is kept may be called.
fn is_header_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    name.bytes().all(is_plain)
        && !SECRET_HEADERS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Names are shown as code, on pages that others read.
fn is_name(name: &str) -> bool {
    let is_plain = |letter: char| !letter.is_control() && letter != '`';
    let is_blank = name.trim().is_empty();
    let is_short = name.len() <= crate::campaign::NAME_BYTES_MAX;
    !is_blank && is_short && name.chars().all(is_plain)
}
