//! What a value means: the canonical names, whatever a sender calls them.

use crate::macros;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many parameters without a meaning of ours a contract may read: param1 … param20.
pub const PARAMS: u8 = 20;

/// What a value means, whatever its sender calls it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(into = "String", try_from = "String")]
pub enum Canonical {
    ClickId,
    CampaignId,
    TxnId,
    Status,
    Goal,
    /// The sender's word for the kind of event; read as the goal where there is no `goal`.
    EventType,
    Revenue,
    SaleAmount,
    Payout,
    Currency,
    /// `sub1` … `sub10`.
    Sub(u8),
    /// `param1` … `param20`.
    Param(u8),
    /// `event1` … `event30`: numbers.
    Event(u8),
    /// The sender's own id of the conversion.
    ConversionRef,
    Geo,
    Device,
    Placement,
    /// The sender's word for the campaign: our id of it, or its name. It only describes.
    Campaign,
    Timestamp,
    Signature,
    Token,
}

/// Makes one of a numbered kind.
pub(super) type Numbered = fn(u8) -> Canonical;

impl Canonical {
    pub(super) const PLAIN: [(Self, &'static str); 18] = [
        (Self::ClickId, "click_id"),
        (Self::CampaignId, "campaign_id"),
        (Self::TxnId, "txn_id"),
        (Self::Status, "status"),
        (Self::Goal, "goal"),
        (Self::EventType, "event_type"),
        (Self::Revenue, "revenue"),
        (Self::SaleAmount, "sale_amount"),
        (Self::Payout, "payout"),
        (Self::Currency, "currency"),
        (Self::ConversionRef, "conversion_ref"),
        (Self::Geo, "geo"),
        (Self::Device, "device"),
        (Self::Placement, "placement"),
        (Self::Campaign, "campaign"),
        (Self::Timestamp, "timestamp"),
        (Self::Signature, "signature"),
        (Self::Token, "token"),
    ];
    pub(super) const NUMBERED: [(Numbered, &'static str, u8); 3] =
        [(Self::Sub, "sub", 10), (Self::Param, "param", PARAMS), (Self::Event, "event", 30)];

    pub fn from_name(name: &str) -> Option<Self> {
        if let Some((canonical, _)) = Self::PLAIN.iter().find(|(_, plain)| *plain == name) {
            return Some(*canonical);
        }
        Self::NUMBERED.iter().find_map(|(make, stem, max)| {
            let number: u8 = name.strip_prefix(stem)?.parse().ok()?;
            // Parsing would also take `sub01` and `sub+1`.
            let canonical = make(number);
            ((1..=*max).contains(&number) && canonical.to_string() == name).then_some(canonical)
        })
    }

    /// Every one there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let numbered = Self::NUMBERED.iter();
        let numbered = numbered.flat_map(|(make, _, max)| (1..=*max).map(*make));
        Self::PLAIN.iter().map(|(plain, _)| *plain).chain(numbered)
    }

    /// All of them in a row, numbered ones from the first to the last.
    fn listed() -> String {
        let plain = Self::PLAIN.iter().map(|(_, name)| (*name).to_owned());
        let numbered =
            Self::NUMBERED.iter().map(|(_, stem, max)| format!("{stem}1 to {stem}{max}"));
        plain.chain(numbered).collect::<Vec<_>>().join(", ")
    }

    /// Where it is an amount of money.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Revenue | Self::SaleAmount | Self::Payout)
    }

    /// What a sender says must not be shown.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Signature | Self::Token)
    }

    /// It may be, or be a part of, what tells one transaction from another.
    pub(crate) fn may_identify(self) -> bool {
        !self.is_money() && !self.is_secret() && self != Self::ClickId
    }

    /// It only describes: too long or still a macro, it is dropped and flagged, because it must
    /// not cost a paid conversion.
    pub fn is_label(self) -> bool {
        matches!(
            self,
            Self::Sub(_)
                | Self::Param(_)
                | Self::Event(_)
                | Self::ConversionRef
                | Self::Geo
                | Self::Device
                | Self::Placement
                | Self::Campaign
        )
    }
}

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sub(number) => write!(f, "sub{number}"),
            Self::Param(number) => write!(f, "param{number}"),
            Self::Event(number) => write!(f, "event{number}"),
            plain => {
                let name = Self::PLAIN.iter().find(|(canonical, _)| canonical == plain);
                f.write_str(name.expect("every plain canonical is in the table").1)
            }
        }
    }
}

impl From<Canonical> for String {
    fn from(canonical: Canonical) -> Self {
        canonical.to_string()
    }
}

impl TryFrom<String> for Canonical {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::from_name(&name).ok_or_else(|| {
            let all: Vec<String> = Self::all().map(|one| one.to_string()).collect();
            let near = macros::nearest(&name, all.iter().map(String::as_str));
            let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
            format!("no canonical name is `{name}`{near}; there are: {}", Self::listed())
        })
    }
}
