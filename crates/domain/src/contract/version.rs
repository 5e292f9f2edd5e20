//! A numbered version of an integration's contract, and its life: draft, signed off, active,
//! sunset, retired.
//!
//! What a version says is changed only while it is a draft. That a sunset is over is brought about
//! by time alone, so it is never stored: it follows from the instant that is asked for.

use super::{Contract, Difference, difference};
use crate::base32;
use crate::id::IntegrationId;
use crate::integration::Integration;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How many versions one integration may have, discarded ones included.
pub const VERSIONS_MAX: u32 = 500;
/// How many drafts of one integration may wait at once.
pub const DRAFTS_MAX: usize = 20;
/// How many earlier contracts are kept to be read or known by.
pub const EARLIER_MAX: usize = 20;
/// How long a sunset lasts where nobody says so.
pub const SUNSET_DAYS_DEFAULT: u16 = 30;
/// The longest a sunset may last.
pub const SUNSET_DAYS_MAX: u16 = 730;
/// The longest the name of somebody who signs may be, in bytes.
pub const SIGNER_BYTES_MAX: usize = 200;
/// The longest a note may be, in bytes.
pub const NOTE_BYTES_MAX: usize = 4_000;
/// The longest a contract may be, written as JSON: every change of its integration repeats it.
pub const CONTRACT_BYTES_MAX: usize = 64 * 1024;
/// How many bytes of a hash a page's token is made of.
const TOKEN_BYTES: usize = 16;

/// One version of the agreement with an integration's sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub integration_id: IntegrationId,
    /// 1, 2, 3 …
    pub number: u32,
    pub status: Status,
    pub contract: Contract,
    /// The number of the one it was drafted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sign_offs: BTreeMap<Role, SignOff>,
    /// What the other side should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The date from which its senders are to speak so, as agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutover_on: Option<String>,
    /// In the address of its page; unguessable.
    pub token: String,
}

/// How far a version has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Draft,
    SignedOff,
    /// Its sender is to speak so: exactly one version of an integration is.
    Active,
    /// Another one has taken its place: it is read before that instant, and retired from it on.
    Sunset {
        until: Timestamp,
    },
    /// A draft that came to nothing.
    Discarded,
}

impl Status {
    /// The word for it at `at`.
    pub fn word(self, at: Timestamp) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::SignedOff => "signed_off",
            Self::Active => "active",
            Self::Sunset { until } if until > at => "sunset",
            Self::Sunset { .. } => "retired",
            Self::Discarded => "discarded",
        }
    }
}

/// Who has to sign a version off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Operations,
    Engineering,
    /// Only where a version changes money.
    Finance,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Operations, Self::Engineering, Self::Finance];

    pub fn name(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::Engineering => "engineering",
            Self::Finance => "finance",
        }
    }
}

/// Who signed, through whose key, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    pub name: String,
    pub actor: String,
    pub at: Timestamp,
}

impl Version {
    /// The first version of an integration: in force since it was made.
    pub(crate) fn first(integration: &Integration) -> Self {
        Self {
            integration_id: integration.id,
            number: integration.version,
            status: Status::Active,
            contract: integration.contract.clone(),
            base: None,
            sign_offs: BTreeMap::new(),
            note: None,
            cutover_on: None,
            token: first_token(&integration.key),
        }
    }

    /// What stands before the number in a reference such as `12.3` is the integration.
    pub fn reference(&self) -> String {
        format!("{}.{}", self.integration_id, self.number)
    }

    /// Whether it still can be changed, signed or discarded.
    pub fn is_open(&self) -> bool {
        matches!(self.status, Status::Draft | Status::SignedOff)
    }

    /// Whether it has ever been in force.
    pub fn was_active(&self) -> bool {
        matches!(self.status, Status::Active | Status::Sunset { .. })
    }

    /// Who has to sign it, to take the place of `active`.
    pub fn roles_needed(&self, active: &Contract) -> Vec<Role> {
        let touches_money = difference(active, &self.contract).iter().any(Difference::is_money);
        let is_needed = |role: &Role| *role != Role::Finance || touches_money;
        Role::ALL.into_iter().filter(is_needed).collect()
    }

    /// Who of them has not signed yet.
    pub fn roles_missing(&self, active: &Contract) -> Vec<Role> {
        let mut roles = self.roles_needed(active);
        roles.retain(|role| !self.sign_offs.contains_key(role));
        roles
    }
}

/// The token of a first version's page. It follows from the integration's key, which is as hard to
/// guess and is not to be had from it; so those made by earlier releases have one too.
fn first_token(key: &str) -> String {
    let hash = Sha256::new_with_prefix(b"counterfoil contract page 1").chain_update(key);
    let hash: [u8; 32] = hash.finalize().into();
    base32::to_string(&hash[..TOKEN_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sunset_is_over_at_its_instant_and_not_before() {
        let until: Timestamp = "2026-12-20T09:00:00Z".parse().unwrap();
        let sunset = Status::Sunset { until };
        assert_eq!(sunset.word(until.plus_us(-1)), "sunset");
        assert_eq!(sunset.word(until), "retired");
        assert_eq!(sunset.word(until.plus_us(1)), "retired");
    }

    #[test]
    fn a_page_is_found_by_whoever_was_told_of_it_alone() {
        let token = first_token("k1");
        assert_eq!(token.len(), 26);
        assert_ne!(token, first_token("k2"));
        assert!(!token.contains("k1"));
    }
}
