//! The URL that a sender is given: a contract's parameters with a macro for each, in the
//! contract's order.
//!
//! It is for a person to copy and adapt, so macros stay readable. A secret is never filled in. A
//! macro that nobody knows is not made up: the URL says where a person has to fill one in.

use crate::http::Error;
use domain::builder::{self, Filled};
use domain::campaign::{Campaign, Goal};
use domain::contract::Canonical;
use domain::id::{AdvertiserId, CampaignId};
use domain::integration::{Integration, Scope};
use domain::partner::{Confidence, Partner};
use domain::setup::Setup;
use schemars::JsonSchema;
use serde::Serialize;

/// What whoever sets a postback up needs.
#[derive(JsonSchema, Serialize)]
pub(super) struct PostbackUrl<'a> {
    /// What says `REPLACE_WITH_…` in it is for a person to fill in.
    url: String,
    /// `POST` where the body is signed.
    method: &'static str,
    parameters: Vec<Described<'a>>,
    /// Whose macros they are: a name of the catalogue.
    partner: &'a str,
    /// How well they are known; A: from its own documentation.
    confidence: Option<Confidence>,
    /// Of the catalogue, for whoever uses it: contradictions, traps, what is unknown.
    notes: &'a [String],
}

/// One parameter of the contract, whether it is in the URL or may be added to it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "PostbackParameter")]
struct Described<'a> {
    name: &'a str,
    canonical: Canonical,
    required: bool,
    /// What its sender writes for its value; null: nobody has told us.
    #[serde(rename = "macro")]
    placeholder: Option<&'a str>,
    #[serde(rename = "macro_known")]
    is_known: bool,
    /// Its sender adds it by itself: it needs no place in the URL.
    #[serde(rename = "appended")]
    is_appended: bool,
    /// In bytes.
    max_length: usize,
}

impl<'a> PostbackUrl<'a> {
    pub(super) fn of(
        setup: &'a Setup,
        base: &str,
        integration: &'a Integration,
        campaign_id: Option<CampaignId>,
        goal: Option<&Goal>,
    ) -> Self {
        Self::for_partner(setup, base, integration, None, campaign_id, goal)
    }

    /// With the macros of `partner`.
    pub(super) fn for_partner(
        setup: &'a Setup,
        base: &str,
        integration: &'a Integration,
        partner: Option<&'a Partner>,
        campaign_id: Option<CampaignId>,
        goal: Option<&Goal>,
    ) -> Self {
        let described = |Filled { parameter, placeholder, is_appended }| Described {
            name: parameter.name(),
            canonical: parameter.canonical,
            required: parameter.required,
            placeholder,
            is_known: placeholder.is_some(),
            is_appended,
            max_length: parameter.length_max(),
        };
        let sender = partner.or_else(|| setup.partner(&integration.partner));
        Self {
            url: builder::postback_url(base, integration, partner, campaign_id, goal),
            method: if integration.contract.signs_bodies() { "POST" } else { "GET" },
            parameters: builder::parameters(integration, partner).map(described).collect(),
            partner: sender.map_or(&integration.partner, |sender| &sender.name),
            confidence: sender.and_then(|sender| sender.confidence),
            notes: sender.map_or(&[], |sender| &sender.notes),
        }
    }
}

/// The URL alone, with the macros of whoever the contract is made for.
pub(super) fn url(
    base: &str,
    integration: &Integration,
    campaign_id: Option<CampaignId>,
    goal: Option<&Goal>,
) -> String {
    builder::postback_url(base, integration, None, campaign_id, goal)
}

/// Whose integration reads the postbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Level {
    #[default]
    Campaign,
    Advertiser,
    Global,
}

impl Level {
    pub(super) const ALL: [Self; 3] = [Self::Campaign, Self::Advertiser, Self::Global];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Advertiser => "advertiser",
            Self::Global => "global",
        }
    }
}

/// The URL for a campaign, at any level, for its default goal or another one.
pub(super) fn of_campaign<'a>(
    setup: &'a Setup,
    base: &str,
    campaign: &Campaign,
    level: Level,
    goal: Option<&str>,
) -> Result<PostbackUrl<'a>, Error> {
    let goal = goal.map(|key| find_goal(campaign, key)).transpose()?;
    let (integration, campaign_id) = match level {
        Level::Campaign => (of_its_own(setup, campaign)?, Some(campaign.id)),
        Level::Advertiser => (of_advertiser(setup, campaign.advertiser_id)?, None),
        Level::Global => (global(setup)?, None),
    };
    if let Some(goal) = goal.filter(|goal| !goal.default)
        && builder::goal_parameter(&integration.contract).is_none()
    {
        let detail = format!(
            "the contract of `{}` names no goal, so every postback is for the default one, not `{}`",
            integration.partner, goal.key
        );
        return Err(Error::parameter("goal", detail));
    }
    Ok(PostbackUrl::of(setup, base, integration, campaign_id, goal))
}

fn find_goal<'a>(campaign: &'a Campaign, key: &str) -> Result<&'a Goal, Error> {
    campaign.goal(key).ok_or_else(|| {
        let keys: Vec<&str> = campaign.goals.iter().map(|goal| goal.key.as_str()).collect();
        let detail =
            format!("campaign {} has no such goal; it has: {}", campaign.id, keys.join(", "));
        Error::parameter("goal", detail)
    })
}

/// The integration that reads the campaign's postbacks: there is none before approval.
fn of_its_own<'a>(setup: &'a Setup, campaign: &Campaign) -> Result<&'a Integration, Error> {
    let own = campaign.integration_id.and_then(|id| setup.integration(id));
    own.filter(|_| campaign.status.is_approved()).ok_or_else(|| Error::Conflict {
        code: "campaign_not_approved",
        detail: format!(
            "campaign {} is {}: its postback URL is made when it is approved",
            campaign.id,
            campaign.status.name()
        ),
    })
}

pub(super) fn of_advertiser(setup: &Setup, id: AdvertiserId) -> Result<&Integration, Error> {
    setup.integrations_of(Scope::Advertiser { advertiser_id: id }).next().ok_or_else(|| {
        Error::NotFound(format!(
            "integration of advertiser {id}; make one with POST /api/v1/integrations and \
             {{\"level\":\"advertiser\",\"advertiser_id\":{id},\"partner\":\"…\"}}, or use the \
             global one"
        ))
    })
}

pub(super) fn global(setup: &Setup) -> Result<&Integration, Error> {
    setup.integrations_of(Scope::Global).next().ok_or_else(|| {
        Error::NotFound(
            "global integration; make one with POST /api/v1/integrations and \
             {\"level\":\"global\",\"partner\":\"…\"}"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::{a_campaign, contract_of, integration, parameter};
    use super::*;
    use domain::campaign::Status;
    use domain::contract::Contract;
    use domain::setup::Change;
    use domain::time::Timestamp;

    const BASE: &str = "https://t.example";

    /// Asks for the campaign, takes a goal, and has a token.
    fn clickwall() -> Contract {
        let mut goal = parameter(Canonical::Goal, false);
        goal.names = vec!["goal value".to_owned(), "g".to_owned()];
        let mut revenue = parameter(Canonical::Revenue, false);
        revenue.in_url = true;
        revenue.placeholder = Some("{payout}".to_owned());
        contract_of(vec![
            parameter(Canonical::ClickId, true),
            parameter(Canonical::CampaignId, true),
            goal,
            revenue,
            parameter(Canonical::TxnId, false),
            parameter(Canonical::Signature, true),
        ])
    }

    fn setup(campaign: Campaign) -> Setup {
        let mut setup = Setup::default();
        let scope = Scope::Campaign { campaign_id: campaign.id };
        let own = integration(scope, clickwall());
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(own));
        setup.put(Timestamp::UNIX_EPOCH, Change::Campaign(campaign));
        setup
    }

    fn asked(level: Level, goal: Option<&str>) -> Result<String, Error> {
        let campaign = a_campaign();
        let setup = setup(campaign.clone());
        of_campaign(&setup, BASE, &campaign, level, goal).map(|found| found.url)
    }

    #[test]
    fn the_url_has_what_the_contract_asks_for_in_its_order() {
        assert_eq!(
            asked(Level::Campaign, None).unwrap(),
            "https://t.example/postback/k3y?click_id=REPLACE_WITH_THEIR_CLICK_ID_MACRO\
             &campaign_id=7&revenue={payout}&signature=REPLACE_WITH_THEIR_SIGNATURE_MACRO"
        );
    }

    #[test]
    fn a_goal_is_added_in_its_place_and_the_default_one_is_not() {
        let with_goal = asked(Level::Campaign, Some("Purchase")).unwrap();
        assert!(with_goal.contains("&campaign_id=7&goal%20value=purchase&revenue="), "{with_goal}");
        let default = asked(Level::Campaign, Some("install")).unwrap();
        assert_eq!(default, asked(Level::Campaign, None).unwrap());
    }

    #[test]
    fn a_goal_is_called_as_the_contract_calls_it() {
        let mut contract = clickwall();
        contract.goals.insert("buy & pay".to_owned(), "PURCHASE".to_owned());
        let one = integration(Scope::Global, contract);
        let campaign = a_campaign();
        let url = url(BASE, &one, None, campaign.goal("purchase"));
        assert!(url.contains("&goal%20value=buy%20%26%20pay&"), "{url}");
        assert!(url.contains("&campaign_id=REPLACE_WITH_CAMPAIGN_ID&"), "{url}");
    }

    #[test]
    fn an_unknown_goal_is_refused_with_those_there_are() {
        let error = asked(Level::Campaign, Some("sale")).unwrap_err();
        assert_eq!(error.to_string(), "campaign 7 has no such goal; it has: install, purchase");
    }

    #[test]
    fn there_is_no_url_before_approval() {
        for status in [Status::Draft, Status::PendingApproval, Status::Rejected] {
            let campaign = Campaign { status, ..a_campaign() };
            let setup = setup(campaign.clone());
            let found = of_campaign(&setup, BASE, &campaign, Level::Campaign, None);
            let error = found.err().unwrap();
            assert!(matches!(error, Error::Conflict { code: "campaign_not_approved", .. }));
        }
    }

    #[test]
    fn a_level_without_an_integration_says_how_to_make_one() {
        for (level, word) in [(Level::Advertiser, "\"advertiser_id\":1"), (Level::Global, "global")]
        {
            let error = asked(level, None).unwrap_err();
            assert_eq!(error.status(), 404);
            assert!(error.to_string().contains(word), "{error}");
            assert!(error.to_string().contains("POST /api/v1/integrations"), "{error}");
        }
    }

    #[test]
    fn a_contract_that_names_no_goal_takes_none_but_the_default() {
        let campaign = a_campaign();
        let mut setup = setup(campaign.clone());
        let contract = contract_of(vec![parameter(Canonical::ClickId, true)]);
        let mut global = integration(Scope::Global, contract);
        (global.id, global.key) = (domain::id::IntegrationId(4), "other".to_owned());
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(global));
        let found = |goal| of_campaign(&setup, BASE, &campaign, Level::Global, Some(goal));
        assert!(found("install").is_ok());
        assert!(matches!(found("purchase"), Err(Error::Invalid { .. })));
    }

    #[test]
    fn every_parameter_is_described() {
        let one = integration(Scope::Global, clickwall());
        let setup = Setup::default();
        let shown = PostbackUrl::of(&setup, BASE, &one, None, None);
        let shown = serde_json::to_value(shown).unwrap();
        assert_eq!(shown["method"], "GET");
        let expected = serde_json::json!({
            "name": "txn_id", "canonical": "txn_id", "required": false,
            "macro": null, "macro_known": false, "appended": false, "max_length": 255,
        });
        assert_eq!(shown["parameters"][4], expected);
        assert_eq!(shown["parameters"].as_array().unwrap().len(), 6);
    }
}
