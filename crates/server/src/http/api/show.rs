//! How what is set up becomes JSON: one shape a noun, the same in a list, alone, and as the
//! answer to the call that made or changed it.
//!
//! Money is text with at least two decimals, instants are RFC 3339 in UTC, what is absent is
//! null, and of a secret it is shown only that it is set.

pub(super) mod delivery;
pub(super) mod destination;

use super::postback_url;
use crate::keys::hex;
use domain::campaign::{self, Term};
use domain::click::{Label, Labels};
use domain::contract::Canonical;
use domain::id::{AdvertiserId, CampaignId, IntegrationId, LinkId, PublisherId};
use domain::money::{Currency, Micros};
use domain::partner::Confidence;
use domain::setup::{History, Setup};
use domain::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is shown in place of a secret.
pub(super) const MASK: &str = "***";

/// An amount as people read it: `2.50`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount(pub(super) Micros);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_fixed())
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A decimal with at least two decimals, such as `2.50`.",
            "type": "string",
        })
    }
}

/// Since when there is such a noun; `None` only where it is not in force here yet.
pub(super) fn since<K: Ord, T>(all: &BTreeMap<K, History<T>>, id: &K) -> Option<Timestamp> {
    all.get(id).map(History::created_at)
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Advertiser<'a> {
    id: AdvertiserId,
    name: &'a str,
    archived: bool,
    created_at: Option<Timestamp>,
}

impl<'a> Advertiser<'a> {
    pub(super) fn of(setup: &Setup, one: &'a campaign::Advertiser) -> Self {
        let created_at = since(&setup.advertisers, &one.id);
        Self { id: one.id, name: &one.name, archived: one.archived, created_at }
    }
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Publisher<'a> {
    id: PublisherId,
    name: &'a str,
    archived: bool,
    created_at: Option<Timestamp>,
}

impl<'a> Publisher<'a> {
    pub(super) fn of(setup: &Setup, one: &'a campaign::Publisher) -> Self {
        let created_at = since(&setup.publishers, &one.id);
        Self { id: one.id, name: &one.name, archived: one.archived, created_at }
    }
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Campaign<'a> {
    id: CampaignId,
    advertiser_id: AdvertiserId,
    name: &'a str,
    #[serde(rename = "type")]
    kind: Option<campaign::Kind>,
    status: campaign::Status,
    landing_url: &'a str,
    fallback_url: Option<&'a str>,
    currency: Currency,
    time_zone: &'a str,
    window_days: u16,
    partner: &'a str,
    integration_id: Option<IntegrationId>,
    goals: Vec<Goal<'a>>,
    archived: bool,
    created_at: Option<Timestamp>,
}

impl<'a> Campaign<'a> {
    pub(super) fn of(setup: &Setup, one: &'a campaign::Campaign) -> Self {
        Self {
            id: one.id,
            advertiser_id: one.advertiser_id,
            name: &one.name,
            kind: one.kind,
            status: one.status,
            landing_url: &one.landing_url,
            fallback_url: one.fallback_url.as_deref(),
            currency: one.currency,
            time_zone: &one.time_zone,
            window_days: one.window_days,
            partner: &one.partner,
            integration_id: one.integration_id,
            goals: one.goals.iter().map(Goal::of).collect(),
            archived: one.archived,
            created_at: since(&setup.campaigns, &one.id),
        }
    }
}

#[derive(JsonSchema, Serialize)]
struct Goal<'a> {
    key: &'a str,
    name: &'a str,
    default: bool,
    revenue: ShownTerm<'a>,
    payout: ShownTerm<'a>,
}

impl<'a> Goal<'a> {
    fn of(goal: &'a campaign::Goal) -> Self {
        Self {
            key: &goal.key,
            name: &goal.name,
            default: goal.default,
            revenue: ShownTerm(&goal.revenue),
            payout: ShownTerm(&goal.payout),
        }
    }
}

/// A term as it is written in a goal, with its amounts as people read them.
struct ShownTerm<'a>(&'a Term);

impl Serialize for ShownTerm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Term::Fixed(amount) => Amount(*amount).serialize(serializer),
            Term::Percent(percent) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("percent", percent)?;
                map.end()
            }
            Term::FromPostback { default } => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("from", "postback")?;
                if let Some(default) = default {
                    map.serialize_entry("default", &Amount(*default))?;
                }
                map.end()
            }
        }
    }
}

impl JsonSchema for ShownTerm<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Term".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let amount = schemas.subschema_for::<Amount>();
        json_schema!({
            "description": "How an amount comes about: that much for each conversion, a part of \
                the sale amount, or what the postback says.",
            "anyOf": [
                amount,
                {
                    "type": "object",
                    "properties": { "percent": { "type": "string" } },
                    "required": ["percent"],
                },
                {
                    "type": "object",
                    "properties": { "from": { "const": "postback" }, "default": amount },
                    "required": ["from"],
                },
            ],
        })
    }
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Link<'a> {
    id: LinkId,
    token: &'a str,
    /// Where visitors are sent to.
    url: String,
    campaign_id: CampaignId,
    publisher_id: PublisherId,
    landing_url: Option<&'a str>,
    test: bool,
    archived: bool,
    created_at: Option<Timestamp>,
}

impl<'a> Link<'a> {
    pub(super) fn of(setup: &Setup, base: &str, one: &'a campaign::Link) -> Self {
        Self {
            id: one.id,
            token: &one.token,
            url: format!("{base}/c/{}", one.token),
            campaign_id: one.campaign_id,
            publisher_id: one.publisher_id,
            landing_url: one.landing_url.as_deref(),
            test: one.test,
            archived: one.archived,
            created_at: since(&setup.links, &one.id),
        }
    }
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Integration<'a> {
    id: IntegrationId,
    key: &'a str,
    level: &'static str,
    advertiser_id: Option<AdvertiserId>,
    campaign_id: Option<CampaignId>,
    partner: &'a str,
    /// How sure the catalogue is of what it says of that partner.
    confidence: Option<Confidence>,
    /// What the catalogue has to say to whoever picks it.
    notes: Vec<String>,
    /// The number of the contract in use.
    contract: u32,
    postback_url: String,
    landing_params: Option<&'a str>,
    secrets: BTreeMap<&'a str, &'static str>,
    /// Those that were replaced and count beside them for a while.
    old_secrets: Vec<OldSecret<'a>>,
    /// The sender's own, by canonical name.
    macros: &'a BTreeMap<Canonical, String>,
    archived: bool,
    created_at: Option<Timestamp>,
}

#[derive(JsonSchema, Serialize)]
struct OldSecret<'a> {
    name: &'a str,
    until: Timestamp,
}

impl<'a> OldSecret<'a> {
    fn of(one: &'a domain::integration::RetiringSecret) -> Self {
        Self { name: &one.name, until: one.until }
    }
}

impl<'a> Integration<'a> {
    pub(super) fn of(setup: &Setup, base: &str, one: &'a domain::integration::Integration) -> Self {
        let (advertiser_id, campaign_id) = match one.scope {
            domain::integration::Scope::Global => (None, None),
            domain::integration::Scope::Advertiser { advertiser_id } => (Some(advertiser_id), None),
            domain::integration::Scope::Campaign { campaign_id } => (None, Some(campaign_id)),
        };
        let partner = setup.partner(&one.partner);
        Self {
            id: one.id,
            key: &one.key,
            level: one.scope.level(),
            advertiser_id,
            campaign_id,
            partner: &one.partner,
            confidence: partner.and_then(|partner| partner.confidence),
            notes: partner.map(|partner| partner.notes.clone()).unwrap_or_default(),
            contract: one.version,
            postback_url: postback_url::url(base, one, campaign_id, None),
            landing_params: one.landing_params.as_deref(),
            secrets: one.secrets.keys().map(|name| (name.as_str(), MASK)).collect(),
            old_secrets: one.retiring.iter().map(OldSecret::of).collect(),
            macros: &one.macros,
            archived: one.archived,
            created_at: since(&setup.integrations, &one.id),
        }
    }
}

/// A click's labels by their names; `source` is always there. For flattening.
pub(super) struct ShownLabels<'a>(pub(super) &'a Labels<'a>);

impl Serialize for ShownLabels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("source", &self.0.get(Label::Source))?;
        for (label, value) in self.0.iter().filter(|(label, _)| *label != Label::Source) {
            map.serialize_entry(label.name(), value)?;
        }
        map.end()
    }
}

impl JsonSchema for ShownLabels<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties: Map<String, Value> = Label::ALL
            .into_iter()
            .map(|label| match label {
                Label::Source => (label.name().to_owned(), json!({ "type": ["string", "null"] })),
                _ => (label.name().to_owned(), json!({ "type": "string" })),
            })
            .collect();
        json_schema!({
            "type": "object",
            "properties": properties,
            "required": [Label::Source.name()],
        })
    }
}

/// A publisher's own id of a click: text where it is text, otherwise its bytes. For flattening.
pub(super) struct ExternalId<'a>(pub(super) &'a [u8]);

impl Serialize for ExternalId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let text = str::from_utf8(self.0).ok();
        map.serialize_entry("external_id", &text.filter(|text| !text.is_empty()))?;
        if text.is_none() {
            map.serialize_entry("external_id_hex", &hex(self.0))?;
        }
        map.end()
    }
}

impl JsonSchema for ExternalId<'_> {
    fn schema_name() -> Cow<'static, str> {
        "ExternalId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "external_id": { "type": ["string", "null"] },
                "external_id_hex": {
                    "description": "Its bytes, where they are no text.",
                    "type": "string",
                },
            },
            "required": ["external_id"],
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use domain::campaign::{Kind, Status};
    use domain::contract::{Canonical, Contract, Parameter, Statuses};
    use domain::integration::Scope;
    use domain::secret::Secret;
    use domain::setup::Change;

    pub(in crate::http::api) fn parameter(canonical: Canonical, required: bool) -> Parameter {
        Parameter {
            canonical,
            names: vec![canonical.to_string()],
            in_header: false,
            required,
            in_url: false,
            appended: false,
            placeholder: None,
            max_length: None,
            allowed: Vec::new(),
            unit: domain::contract::Unit::Decimal,
        }
    }

    pub(in crate::http::api) fn contract_of(parameters: Vec<Parameter>) -> Contract {
        Contract {
            parameters,
            statuses: Statuses {
                absent: Some(domain::conversion::Status::Approved),
                ..Statuses::default()
            },
            ..Contract::default()
        }
    }

    pub(in crate::http::api) fn integration(
        scope: Scope,
        contract: Contract,
    ) -> domain::integration::Integration {
        domain::integration::Integration {
            id: IntegrationId(3),
            key: "k3y".to_owned(),
            scope,
            partner: "kiwiwall".to_owned(),
            landing_params: None,
            secrets: BTreeMap::from([("token".to_owned(), Secret::new("s3cret".to_owned()))]),
            retiring: Vec::new(),
            macros: BTreeMap::new(),
            version: 1,
            contract,
            earlier: Vec::new(),
            archived: false,
        }
    }

    pub(in crate::http::api) fn a_campaign() -> campaign::Campaign {
        let goal = |key: &str, default, revenue| campaign::Goal {
            key: key.to_owned(),
            name: key.to_owned(),
            default,
            revenue,
            payout: Term::FromPostback { default: Some(Micros(1_000_000)) },
        };
        campaign::Campaign {
            id: CampaignId(7),
            advertiser_id: AdvertiserId(1),
            name: "Spring".to_owned(),
            kind: Some(Kind::Cpi),
            status: Status::Approved,
            landing_url: "https://example.com/?c={click_id}".to_owned(),
            fallback_url: None,
            currency: Currency::USD,
            time_zone: "UTC".to_owned(),
            window_days: 30,
            partner: "kiwiwall".to_owned(),
            integration_id: Some(IntegrationId(3)),
            goals: vec![
                goal("install", true, Term::Fixed(Micros(2_500_000))),
                goal("purchase", false, Term::Percent("12.5".parse().unwrap())),
            ],
            archived: false,
        }
    }

    #[test]
    fn a_campaign_shows_its_terms_as_they_are_written() {
        let mut setup = Setup::default();
        setup.put(Timestamp::UNIX_EPOCH, Change::Campaign(a_campaign()));
        let shown = serde_json::to_value(Campaign::of(&setup, &a_campaign())).unwrap();
        assert_eq!(shown["type"], "cpi");
        assert_eq!(shown["status"], "approved");
        assert_eq!(shown["fallback_url"], json!(null));
        assert_eq!(shown["created_at"], "1970-01-01T00:00:00Z");
        let payout = json!({ "from": "postback", "default": "1.00" });
        let goals = json!([
            { "key": "install", "name": "install", "default": true,
              "revenue": "2.50", "payout": payout },
            { "key": "purchase", "name": "purchase", "default": false,
              "revenue": { "percent": "12.5" }, "payout": payout },
        ]);
        assert_eq!(shown["goals"], goals);
    }

    #[test]
    fn an_integration_shows_which_secrets_are_set_and_never_a_secret() {
        let parameters = vec![parameter(Canonical::ClickId, true)];
        let mut one = integration(Scope::Global, contract_of(parameters));
        let (name, until) = ("token".to_owned(), Timestamp::UNIX_EPOCH);
        let secret = Secret::new("old s3cret".to_owned());
        one.retiring = vec![domain::integration::RetiringSecret { name, secret, until }];
        let shown = Integration::of(&Setup::default(), "https://t.example", &one);
        let text = serde_json::to_string(&shown).unwrap();
        assert!(text.contains(r#""secrets":{"token":"***"}"#), "{text}");
        let old = r#""old_secrets":[{"name":"token","until":"1970-01-01T00:00:00Z"}]"#;
        assert!(text.contains(old), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        let url = r#""postback_url":"https://t.example/postback/k3y?click_id=REPLACE_WITH_THEIR_CLICK_ID_MACRO""#;
        assert!(text.contains(url), "{text}");
    }

    #[test]
    fn an_external_id_that_is_no_text_is_shown_by_its_bytes() {
        let shown = |id: &[u8]| serde_json::to_value(ExternalId(id)).unwrap();
        assert_eq!(shown(b"x-1"), json!({ "external_id": "x-1" }));
        assert_eq!(shown(b""), json!({ "external_id": null }));
        let hex = json!({ "external_id": null, "external_id_hex": "ff0a" });
        assert_eq!(shown(b"\xff\x0a"), hex);
    }
}
