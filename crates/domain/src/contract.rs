//! A contract: what one integration agrees on with its sender, as data.
//!
//! It is immutable once in use. Aliases belong to a contract, never to the server: `tid` is a
//! transaction id to one platform and a click id to another.

mod network;
mod secret;

#[cfg(test)]
mod tests;

pub use network::Network;
pub use secret::Secret;

use crate::conversion::Status;
use crate::id::{AdvertiserId, CampaignId, IntegrationId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many parameters a contract may have.
pub const PARAMETERS_MAX: usize = 100;
/// How many names a parameter may be accepted under.
pub const NAMES_MAX: usize = 20;
/// How many words that stand for no value a contract may have.
pub const UNREPLACED_MAX: usize = 50;
/// The longest a transaction id may be where its contract does not say, in bytes.
pub const TXN_ID_BYTES: usize = 255;
/// The longest any other value may be where its contract does not say, in bytes.
pub const VALUE_BYTES: usize = 500;
/// The longest length a contract may allow, in bytes.
pub const VALUE_BYTES_MAX: usize = 4096;

/// What a value means, whatever its sender calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
type Numbered = fn(u8) -> Canonical;

impl Canonical {
    const PLAIN: [(Self, &'static str); 18] = [
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
    const NUMBERED: [(Numbered, &'static str, u8); 3] =
        [(Self::Sub, "sub", 10), (Self::Param, "param", 20), (Self::Event, "event", 30)];

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

    /// Where it is an amount of money.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Revenue | Self::SaleAmount | Self::Payout)
    }

    /// What a sender says must not be shown.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Signature | Self::Token)
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
        Self::from_name(&name).ok_or_else(|| format!("no canonical parameter is called `{name}`"))
    }
}

/// One thing a sender may or must say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    pub canonical: Canonical,
    /// The names it is accepted under, case-sensitive; the first is the one we ask for.
    pub names: Vec<String>,
    #[serde(default)]
    pub required: bool,
    /// It is part of the postback URL we hand out.
    #[serde(default)]
    pub in_url: bool,
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

    /// The longest its value may be, in bytes.
    pub fn length_max(&self) -> usize {
        self.max_length.unwrap_or(match self.canonical {
            Canonical::TxnId => TXN_ID_BYTES,
            _ => VALUE_BYTES,
        })
    }
}

/// What an amount is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// `2.35` is two dollars and 35 cents.
    #[default]
    Decimal,
    /// `235` is.
    Minor,
}

/// What raw values of the status parameter mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statuses {
    /// What an absent status means; `None`: it must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Status>,
    /// What a blank one means; `None`: the same as an absent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank: Option<Status>,
    /// The raw values of each status, compared without case.
    #[serde(default)]
    pub values: BTreeMap<Status, Vec<String>>,
    /// Raw values that ask for nothing, as pings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
}

/// What a raw status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Status(Status),
    Ignore,
    Unknown,
}

impl Statuses {
    fn fault(&self) -> Option<String> {
        let mut raws = BTreeSet::new();
        for raw in self.values.values().flatten().chain(&self.ignore) {
            if raw.trim() != raw || raw.is_empty() {
                return Some(format!("statuses: `{raw}` is blank, or has blanks around it"));
            }
            if !raws.insert(raw.to_ascii_lowercase()) {
                return Some(format!("statuses: `{raw}` has two meanings"));
            }
        }
        None
    }

    pub fn meaning(&self, raw: &str) -> Meaning {
        let is_raw = |value: &String| value.eq_ignore_ascii_case(raw);
        if self.ignore.iter().any(is_raw) {
            return Meaning::Ignore;
        }
        let mapped = self.values.iter().find(|(_, raws)| raws.iter().any(is_raw));
        mapped.map_or(Meaning::Unknown, |(status, _)| Meaning::Status(*status))
    }
}

/// What makes two postbacks the same conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    #[default]
    ClickGoalTxn,
    ClickGoal,
    Click,
}

/// What a second postback of one conversion may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repeats {
    /// It may change the status, as far as transitions allow.
    pub status: bool,
    pub amount: RepeatedAmount,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { status: true, amount: RepeatedAmount::Keep }
    }
}

/// What becomes of the amount of a second postback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedAmount {
    /// The first one stays.
    #[default]
    Keep,
    /// The last one counts.
    Replace,
    /// They add up; one that changes the status says the whole again.
    Add,
}

/// How a sender proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Verification {
    /// The parameter that carries the shared token, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Canonical>,
    /// Nothing is accepted before the integration has a token.
    pub token_required: bool,
    /// The networks the sender's address is in; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// How far the `timestamp` may be from our time, in seconds; `None`: it is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_tolerance_s: Option<u32>,
}

/// What the sender is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    pub profile: Profile,
    /// After how many seconds, and how often, a sender may repeat what may succeed later.
    pub retry_after_s: Option<u32>,
    pub max_retries: Option<u32>,
}

/// A way of answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// JSON with the verdict, and the reason's own HTTP status.
    #[default]
    Receipt,
    /// 200 as soon as the hit is on disk, whatever the verdict will be.
    Acknowledge,
}

/// The agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A `payout` without a `revenue` is our revenue; beside one, it is the publisher's payout.
    #[serde(default)]
    pub payout_may_be_revenue: bool,
    /// Words that a sender leaves where it has no value, and that only its own people would take
    /// for a macro, such as `xxc1xx`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreplaced: Vec<String>,
    #[serde(default)]
    pub verification: Verification,
    #[serde(default)]
    pub answers: Answers,
}

impl Contract {
    pub fn parameter(&self, canonical: Canonical) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.canonical == canonical)
    }

    /// The names under which it accepts our click id.
    pub fn click_id_names(&self) -> &[String] {
        self.parameter(Canonical::ClickId).map_or(&[], |parameter| &parameter.names)
    }

    /// What is wrong with it, for whoever wrote it; `None`: nothing.
    pub fn fault(&self) -> Option<String> {
        if self.parameters.len() > PARAMETERS_MAX {
            return Some(format!("more than {PARAMETERS_MAX} parameters"));
        }
        self.parameter_fault()
            .map(|(_, fault)| fault)
            .or_else(|| self.statuses.fault())
            .or_else(|| self.goals_fault())
            .or_else(|| self.unreplaced_fault())
            .or_else(|| self.missing_part())
    }

    /// The first parameter that is wrong by itself or beside those before it, by its place, and
    /// what is wrong with it.
    pub fn parameter_fault(&self) -> Option<(usize, String)> {
        let mut names = BTreeMap::new();
        let mut canonicals = BTreeSet::new();
        for (place, parameter) in self.parameters.iter().enumerate() {
            let canonical = parameter.canonical;
            let fault = |fault: String| Some((place, fault));
            if !canonicals.insert(canonical) {
                return fault(format!("`{canonical}` stands twice among the parameters"));
            }
            if parameter.names.is_empty() || parameter.names.len() > NAMES_MAX {
                return fault(format!("`{canonical}` needs 1 to {NAMES_MAX} names"));
            }
            if !(1..=VALUE_BYTES_MAX).contains(&parameter.length_max()) {
                return fault(format!("`{canonical}`: max_length is 1 to {VALUE_BYTES_MAX}"));
            }
            if parameter.unit != Unit::Decimal && !canonical.is_money() {
                return fault(format!("`{canonical}` is no money, so it has no unit"));
            }
            for name in &parameter.names {
                if !is_name(name) {
                    return fault(format!("`{canonical}` has a name that is empty or too long"));
                }
                if let Some(other) = names.insert(name, canonical) {
                    return fault(format!("`{name}` names both `{other}` and `{canonical}`"));
                }
            }
        }
        None
    }

    fn goals_fault(&self) -> Option<String> {
        let mut raws = BTreeSet::new();
        let mut raw_values = self.goals.keys();
        if let Some(raw) = self.goals.keys().find(|raw| raw.trim() != *raw || raw.is_empty()) {
            return Some(format!("goals: `{raw}` is blank, or has blanks around it"));
        }
        let twice = raw_values.find(|raw| !raws.insert(raw.to_ascii_lowercase()))?;
        Some(format!("goals: `{twice}` stands twice, and case makes no difference"))
    }

    fn unreplaced_fault(&self) -> Option<String> {
        if self.unreplaced.len() > UNREPLACED_MAX {
            return Some(format!("unreplaced: more than {UNREPLACED_MAX} words"));
        }
        let is_bad = |word: &&String| word.trim() != *word || !is_name(word);
        let bad = self.unreplaced.iter().find(is_bad)?;
        Some(format!("unreplaced: `{bad}` is blank, too long, or has blanks around it"))
    }

    fn missing_part(&self) -> Option<String> {
        if self.parameter(Canonical::ClickId).is_none() {
            return Some("no parameter carries the click id".to_owned());
        }
        let status = self.parameter(Canonical::Status);
        if self.statuses.absent.is_none() && status.is_none_or(|status| !status.required) {
            return Some("a status that may be absent needs a meaning: statuses.absent".to_owned());
        }
        let timestamp = self.parameter(Canonical::Timestamp);
        let has_tolerance = self.verification.timestamp_tolerance_s.is_some();
        if has_tolerance && timestamp.is_none_or(|timestamp| !timestamp.required) {
            let fault = "verification.timestamp_tolerance_s needs a required `timestamp` parameter";
            return Some(fault.to_owned());
        }
        match self.verification.token {
            Some(token) if !token.is_secret() => {
                Some(format!("verification.token is `signature` or `token`, not `{token}`"))
            }
            Some(token) if self.parameter(token).is_none() => {
                Some(format!("verification.token: no parameter is `{token}`"))
            }
            None if self.verification.token_required => {
                Some("verification.token_required needs verification.token".to_owned())
            }
            _ => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=crate::campaign::NAME_BYTES_MAX).contains(&name.len())
}

/// A known platform: an entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// Its stable name, as in `POST /integrations`.
    pub name: String,
    pub title: String,
    /// What kind of platform it is, in a few words.
    pub kind: String,
    /// Where the facts are from.
    pub source: String,
    /// When the source was read: a date.
    pub source_on: String,
    /// Paths on which its senders call, beside `/postback` and `/postback/{key}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    pub contract: Contract,
}

/// A contract in use, with its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integration {
    pub id: IntegrationId,
    /// In its postback URL; unguessable.
    pub key: String,
    pub scope: Scope,
    pub partner: String,
    /// Added to the landing URLs of campaigns that use it, such as `aff_sub={clickid}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing_params: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// The number of its contract.
    pub version: u32,
    pub contract: Contract,
    pub archived: bool,
}

/// The clicks an integration's key counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "level", rename_all = "snake_case")]
pub enum Scope {
    Global,
    Advertiser { advertiser_id: AdvertiserId },
    Campaign { campaign_id: CampaignId },
}

impl Scope {
    pub fn level(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Advertiser { .. } => "advertiser",
            Self::Campaign { .. } => "campaign",
        }
    }

    /// Whether a click of that advertiser and campaign is in it.
    pub fn covers(self, advertiser_id: AdvertiserId, campaign_id: CampaignId) -> bool {
        match self {
            Self::Global => true,
            Self::Advertiser { advertiser_id: own } => own == advertiser_id,
            Self::Campaign { campaign_id: own } => own == campaign_id,
        }
    }
}
