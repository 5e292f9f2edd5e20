//! What an operator sets up: advertisers, publishers, campaigns with goals and terms, links.

use crate::id::{AdvertiserId, CampaignId, IntegrationId, LinkId, PublisherId};
use crate::money::{Currency, Micros, Percent};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The longest a name or a goal's key may be, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// How many goals a campaign may have.
pub const GOALS_MAX: usize = 100;
/// The longest window, in days.
pub const WINDOW_DAYS_MAX: u16 = 730;
/// The window of a campaign that names none.
pub const WINDOW_DAYS_DEFAULT: u16 = 30;

/// Who pays us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertiser {
    pub id: AdvertiserId,
    pub name: String,
    pub archived: bool,
}

/// Who sends us visitors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    pub id: PublisherId,
    pub name: String,
    pub archived: bool,
}

/// What an advertiser pays for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    pub id: CampaignId,
    pub advertiser_id: AdvertiserId,
    pub name: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    pub status: Status,
    pub landing_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_url: Option<String>,
    pub currency: Currency,
    /// The IANA zone its days are counted in.
    pub time_zone: String,
    pub window_days: u16,
    /// Whose contract the campaign's own integration speaks.
    pub partner: String,
    /// The integration that reads its postbacks: one it shares with other campaigns, or its own,
    /// which is made at approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration_id: Option<IntegrationId>,
    /// At least one; exactly one is the default.
    pub goals: Vec<Goal>,
    pub archived: bool,
}

impl Campaign {
    pub fn goal(&self, key: &str) -> Option<&Goal> {
        self.goals.iter().find(|goal| goal.key.eq_ignore_ascii_case(key))
    }

    pub fn default_goal(&self) -> Option<&Goal> {
        self.goals.iter().find(|goal| goal.default)
    }
}

/// How a campaign is paid for: proposes the default goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CampaignType")]
pub enum Kind {
    Cpi,
    Cpl,
    Cpa,
    Cps,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Cpi, Self::Cpl, Self::Cpa, Self::Cps];

    pub fn name(self) -> &'static str {
        match self {
            Self::Cpi => "cpi",
            Self::Cpl => "cpl",
            Self::Cpa => "cpa",
            Self::Cps => "cps",
        }
    }

    /// The key and name of the default goal where the operator names none.
    pub fn default_goal(self) -> (&'static str, &'static str) {
        match self {
            Self::Cpi => ("install", "Install"),
            Self::Cpl => ("lead", "Lead"),
            Self::Cpa => ("action", "Action"),
            Self::Cps => ("purchase", "Purchase"),
        }
    }
}

/// A campaign's life.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CampaignStatus")]
pub enum Status {
    Draft,
    PendingApproval,
    Approved,
    Rejected,
    Active,
    Paused,
    Ended,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::PendingApproval,
        Self::Approved,
        Self::Rejected,
        Self::Active,
        Self::Paused,
        Self::Ended,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::PendingApproval => "pending_approval",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }

    /// Whether a person may take a campaign from this status to `to`.
    pub fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Draft, Self::PendingApproval)
                | (Self::PendingApproval, Self::Approved | Self::Rejected)
                | (Self::Rejected, Self::Draft)
                | (Self::Approved, Self::Active)
                | (Self::Active, Self::Paused | Self::Ended)
                | (Self::Paused, Self::Active | Self::Ended)
        )
    }

    /// It was approved once, so its postback URL exists.
    pub fn is_approved(self) -> bool {
        matches!(self, Self::Approved | Self::Active | Self::Paused | Self::Ended)
    }

    /// Its clicks convert.
    pub fn is_live(self) -> bool {
        self == Self::Active
    }
}

/// A kind of conversion of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// What postbacks call it; unique in its campaign, without regard to case.
    pub key: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub default: bool,
    #[serde(default)]
    pub revenue: Term,
    #[serde(default)]
    pub payout: Term,
}

/// How an amount comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// `"2.50"`: that much for each conversion.
    Fixed(Micros),
    /// `{"percent":"10"}`: that part of the sale amount.
    Percent(Percent),
    /// `{"from":"postback","default":"1.00"}`: what the postback says, or the default.
    FromPostback { default: Option<Micros> },
}

impl Default for Term {
    fn default() -> Self {
        Self::Fixed(Micros(0))
    }
}

impl Term {
    /// The amount where it is known before any postback.
    pub fn fixed(&self) -> Option<Micros> {
        match self {
            Self::Fixed(amount) => Some(*amount),
            Self::Percent(_) | Self::FromPostback { .. } => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermObject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<Percent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Micros>,
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = match self {
            Self::Fixed(amount) => return amount.serialize(serializer),
            Self::Percent(percent) => {
                TermObject { percent: Some(*percent), from: None, default: None }
            }
            Self::FromPostback { default } => {
                TermObject { percent: None, from: Some("postback".to_owned()), default: *default }
            }
        };
        object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const SHAPE: &str = "an amount such as \"2.50\", {\"percent\":\"10\"}, or \
             {\"from\":\"postback\"} with an optional \"default\"";
        // A number is its digits: handed on as it is, it could come as a float.
        let digits = |value: Value| match value {
            Value::Number(number) => Value::String(number.to_string()),
            other => other,
        };
        let value = match Value::deserialize(deserializer)? {
            Value::Object(object) => {
                object.into_iter().map(|(name, value)| (name, digits(value))).collect()
            }
            other => digits(other),
        };
        if !value.is_object() {
            return Micros::deserialize(value).map(Self::Fixed).map_err(D::Error::custom);
        }
        let object = TermObject::deserialize(value)
            .map_err(|error| D::Error::custom(format!("{error}; a term is {SHAPE}")))?;
        match object {
            TermObject { percent: Some(percent), from: None, default: None } => {
                Ok(Self::Percent(percent))
            }
            TermObject { percent: None, from: Some(from), default } if from == "postback" => {
                Ok(Self::FromPostback { default })
            }
            _ => Err(D::Error::custom(format!("a term is {SHAPE}"))),
        }
    }
}

/// A publisher's way into a campaign: `/c/{token}`. It never changes campaign or publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub id: LinkId,
    pub token: String,
    pub campaign_id: CampaignId,
    pub publisher_id: PublisherId,
    /// In place of the campaign's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing_url: Option<String>,
    /// Its clicks and conversions are marked test and kept out of money.
    pub test: bool,
    pub archived: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_read_by_its_digits_however_they_are_written() {
        let percent: Percent = "12.5".parse().unwrap();
        let default = Some(Micros(1_250_000));
        let cases = [
            (r#""2.50""#, "2.50", Term::Fixed(Micros(2_500_000))),
            (r#"{"percent":"12.5"}"#, r#"{"percent":12.5}"#, Term::Percent(percent)),
            (
                r#"{"from":"postback","default":"1.25"}"#,
                r#"{"from":"postback","default":1.25}"#,
                Term::FromPostback { default },
            ),
        ];
        for (text, number, term) in cases {
            for json in [text, number] {
                assert_eq!(serde_json::from_str::<Term>(json).unwrap(), term, "{json}");
                let value: Value = serde_json::from_str(json).unwrap();
                assert_eq!(serde_json::from_value::<Term>(value).unwrap(), term, "{json}");
            }
        }
        for wrong in ["true", "null", "2.1234567", r#"{"percent":true}"#, r#"{"percent":1e400}"#] {
            assert!(serde_json::from_str::<Term>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_told_with_the_range() {
        let amount = "an amount is at most 1000000000";
        let percent = "a percentage is from 0 to 1000";
        for (wrong, says) in [
            (r#""99999999999999999999""#, amount),
            ("99999999999999999999", amount),
            (r#"{"from":"postback","default":"99999999999999999999"}"#, amount),
            (r#"{"percent":"1000.0001"}"#, percent),
            (r#"{"percent":"-1"}"#, percent),
            (r#"{"percent":"99999999999999999999"}"#, percent),
        ] {
            let error = serde_json::from_str::<Term>(wrong).unwrap_err().to_string();
            assert!(error.starts_with(says), "{wrong}: {error}");
        }
    }
}
