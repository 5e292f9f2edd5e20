//! How a sender proves who it is.

use super::{Canonical, Fault, Network, Scheme};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The proofs a contract asks for; every one of them has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Verification {
    /// The parameter that carries the shared token, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Canonical>,
    /// Nothing is accepted before the integration has the secrets that prove it.
    pub token_required: bool,
    /// How the parameter `signature` is made, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Scheme>,
    /// The networks the sender's address is in; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// How far the `timestamp` may be from our time, in seconds; `None`: it is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_tolerance_s: Option<u32>,
    /// The proofs that are only tried: what would be refused for want of one is flagged
    /// `shadow_refused`, and not refused for it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub shadow: BTreeSet<ProofKind>,
}

/// One of the ways in which a sender proves who it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    Token,
    Signature,
    Networks,
    Timestamp,
}

impl ProofKind {
    pub const ALL: [Self; 4] = [Self::Token, Self::Signature, Self::Networks, Self::Timestamp];

    /// Its word in contracts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Signature => "signature",
            Self::Networks => "networks",
            Self::Timestamp => "timestamp",
        }
    }
}

impl Verification {
    /// Whether that proof is asked for, be it only tried.
    pub fn asks_for(&self, kind: ProofKind) -> bool {
        match kind {
            ProofKind::Token => self.token.is_some(),
            ProofKind::Signature => self.signature.is_some(),
            ProofKind::Networks => !self.networks.is_empty(),
            ProofKind::Timestamp => self.timestamp_tolerance_s.is_some(),
        }
    }

    /// Whether what lacks that proof is refused.
    pub fn enforces(&self, kind: ProofKind) -> bool {
        self.asks_for(kind) && !self.shadow.contains(&kind)
    }

    /// What is wrong with what is only tried.
    pub(super) fn shadow_fault(&self) -> Option<Fault> {
        let stray = self.shadow.iter().find(|kind| !self.asks_for(**kind))?;
        let has = ProofKind::ALL.into_iter().filter(|kind| self.asks_for(*kind));
        let has: Vec<&str> = has.map(ProofKind::name).collect();
        let detail = match has.as_slice() {
            [] => format!("`{}` is not asked for, and nor is any other proof", stray.name()),
            has => format!("`{}` is not asked for; what is: {}", stray.name(), has.join(", ")),
        };
        Some(Fault::at("verification.shadow", detail))
    }
}
