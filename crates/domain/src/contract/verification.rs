//! How a sender proves who it is.

use super::{Canonical, Network, Scheme};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// What would be refused is flagged `shadow_refused` and refused by nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}
