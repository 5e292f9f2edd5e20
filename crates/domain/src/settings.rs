//! What holds for the whole network, whatever its integrations agree on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub unverified: Unverified,
}

/// What becomes of a postback whose sender nothing vouches for but a click id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unverified {
    /// It is decided like any other, and flagged.
    #[default]
    Allow,
    /// It approves nothing: what it says is approved waits for a person, or for proof.
    Pending,
    /// It is refused.
    Refuse,
}

impl Unverified {
    pub const ALL: [Self; 3] = [Self::Allow, Self::Pending, Self::Refuse];

    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Pending => "pending",
            Self::Refuse => "refuse",
        }
    }
}
