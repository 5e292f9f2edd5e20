//! What commands do to campaigns: creation, changes, goals, and the life from draft to ended.

use super::execute::{Effect, Executed, OWN_PARTNER, checked_name, in_use};
use super::{CampaignChanges, Failure, NewCampaign};
use crate::campaign::{
    Campaign, GOALS_MAX, Goal, Kind, NAME_BYTES_MAX, Status, Term, WINDOW_DAYS_DEFAULT,
    WINDOW_DAYS_MAX,
};
use crate::id::CampaignId;
use crate::integration::Scope;
use crate::macros::{self, LandingUrl};
use crate::money::AMOUNT_MAX;
use crate::setup::{Change, Setup};
use crate::time;

impl Setup {
    fn the_campaign(&self, id: CampaignId) -> Result<Campaign, Failure> {
        self.campaign(id).cloned().ok_or_else(|| Failure::not_found("campaign", id))
    }

    pub(super) fn create_campaign(&self, new: &NewCampaign) -> Executed {
        let advertiser_id = new.advertiser_id;
        if self.advertiser(advertiser_id).is_none_or(|one| one.archived) {
            let detail = format!("there is no advertiser {advertiser_id} in use");
            return Err(Failure::invalid("advertiser_id", detail));
        }
        if let Some(id) = new.integration_id {
            let covers = |scope: Scope| match scope {
                Scope::Global => true,
                Scope::Advertiser { advertiser_id: own } => own == advertiser_id,
                Scope::Campaign { .. } => false,
            };
            let integration = self.integration(id).filter(|one| !one.archived);
            if !integration.is_some_and(|one| covers(one.scope)) {
                let detail = format!(
                    "there is no integration {id} at global level or of advertiser {advertiser_id}"
                );
                return Err(Failure::invalid("integration_id", detail));
            }
        }
        let partner = match (&new.partner, new.integration_id.and_then(|id| self.integration(id))) {
            (Some(partner), Some(integration)) if *partner != integration.partner => {
                let (id, speaks) = (integration.id, &integration.partner);
                let detail = format!("integration {id} speaks as `{speaks}`: leave `partner` out");
                return Err(Failure::invalid("partner", detail));
            }
            (Some(partner), _) => self.calling_partner(partner)?.0.name.clone(),
            (None, Some(integration)) => integration.partner.clone(),
            (None, None) => OWN_PARTNER.to_owned(),
        };
        let campaign = Campaign {
            id: CampaignId(self.next_id(&self.campaigns)),
            advertiser_id,
            name: checked_name(&new.name)?,
            kind: new.kind,
            status: Status::Draft,
            landing_url: checked_url("landing_url", &new.landing_url)?,
            fallback_url: new
                .fallback_url
                .as_deref()
                .map(|url| checked_url("fallback_url", url))
                .transpose()?,
            currency: new.currency,
            time_zone: checked_zone(new.time_zone.as_deref().unwrap_or("UTC"))?,
            window_days: checked_window(new.window_days.unwrap_or(WINDOW_DAYS_DEFAULT))?,
            partner,
            integration_id: new.integration_id,
            goals: checked_goals(&new.goals, new.kind)?,
            archived: false,
        };
        Ok(Effect::of(Change::Campaign(campaign)))
    }

    pub(super) fn change_campaign(&self, id: CampaignId, changes: &CampaignChanges) -> Executed {
        let mut campaign = self.the_campaign(id)?;
        in_use("campaign", id, campaign.archived)?;
        if let Some(name) = &changes.name {
            campaign.name = checked_name(name)?;
        }
        if let Some(url) = &changes.landing_url {
            campaign.landing_url = checked_url("landing_url", url)?;
            self.check_click_id_if_used(&campaign, &campaign.landing_url)?;
        }
        if let Some(url) = &changes.fallback_url {
            let url = Some(url).filter(|url| !url.is_empty());
            campaign.fallback_url = url.map(|url| checked_url("fallback_url", url)).transpose()?;
        }
        if let Some(zone) = &changes.time_zone {
            campaign.time_zone = checked_zone(zone)?;
        }
        if let Some(days) = changes.window_days {
            campaign.window_days = checked_window(days)?;
        }
        if let Some(goals) = &changes.goals {
            campaign.goals = checked_goals(goals, campaign.kind)?;
        }
        Ok(Effect::of(Change::Campaign(campaign)))
    }

    pub(super) fn archive_campaign(&self, id: CampaignId) -> Executed {
        let campaign = self.the_campaign(id)?;
        if campaign.status.is_live() {
            let detail = format!("campaign {id} is active: pause or end it first");
            return Err(Failure::conflict("in_use", detail));
        }
        Ok(Effect::of(Change::Campaign(Campaign { archived: true, ..campaign })))
    }

    pub(super) fn add_goal(&self, id: CampaignId, goal: &Goal) -> Executed {
        let mut campaign = self.the_campaign(id)?;
        in_use("campaign", id, campaign.archived)?;
        let mut goals = campaign.goals;
        check_goal(goal, "")?;
        let key = goal.key.trim();
        if goals.iter().any(|other| other.key.eq_ignore_ascii_case(key)) {
            return Err(same_key("key", key));
        }
        if goal.default {
            for other in &mut goals {
                other.default = false;
            }
        }
        goals.push(goal.clone());
        campaign.goals = checked_goals(&goals, campaign.kind)?;
        Ok(Effect::of(Change::Campaign(campaign)))
    }

    pub(super) fn set_campaign_status(&self, id: CampaignId, to: Status, key: &str) -> Executed {
        let mut campaign = self.the_campaign(id)?;
        in_use("campaign", id, campaign.archived)?;
        if !campaign.status.may_become(to) {
            let next: Vec<&str> = Status::ALL
                .into_iter()
                .filter(|next| campaign.status.may_become(*next))
                .map(Status::name)
                .collect();
            let next =
                if next.is_empty() { "no other status".to_owned() } else { next.join(" or ") };
            let detail = format!(
                "campaign {id} is {} and can become {next}, not {}",
                campaign.status.name(),
                to.name()
            );
            return Err(Failure::conflict("transition_not_allowed", detail).of("to"));
        }
        campaign.status = to;
        if to.is_live() {
            for url in self.landing_urls(&campaign) {
                self.check_click_id(&campaign, url)?;
            }
        }
        let mut changes = Vec::new();
        if to == Status::Approved && campaign.integration_id.is_none() {
            let scope = Scope::Campaign { campaign_id: id };
            let integration = self.new_integration(scope, &campaign.partner, key)?;
            campaign.integration_id = Some(integration.id);
            changes.push(Change::Integration(integration));
        }
        let Effect { changes: last, answer } = Effect::of(Change::Campaign(campaign));
        changes.extend(last);
        Ok(Effect { changes, answer })
    }

    /// A visitor who arrives without our click id can never convert.
    fn check_click_id(&self, campaign: &Campaign, url: &str) -> Result<(), Failure> {
        let params = self.landing_params(campaign);
        let url = LandingUrl::parse(url, params)
            .map_err(|error| Failure::invalid("landing_url", error.to_string()))?;
        if url.has_click_id() {
            return Ok(());
        }
        let detail = "the landing URL does not carry our click id: add a parameter with \
             {click_id}, or landing_params to the integration";
        let code = "landing_url_without_click_id";
        Err(Failure::conflict(code, detail).of("landing_url"))
    }

    /// Before activation, which looks at all of them, a landing URL may still be without.
    fn check_click_id_if_used(&self, campaign: &Campaign, url: &str) -> Result<(), Failure> {
        match campaign.status {
            Status::Active | Status::Paused => self.check_click_id(campaign, url),
            _ => Ok(()),
        }
    }

    /// A link's own landing URL must carry the click id where its campaign's has to.
    pub(super) fn checked_link_url(
        &self,
        campaign: &Campaign,
        url: &str,
    ) -> Result<String, Failure> {
        let landing_url = checked_url("landing_url", url)?;
        self.check_click_id_if_used(campaign, &landing_url)?;
        Ok(landing_url)
    }
}

fn checked_url(parameter: &str, url: &str) -> Result<String, Failure> {
    match LandingUrl::parse_new(url, None) {
        Ok(_) => Ok(url.trim().to_owned()),
        Err(error) => Err(Failure::invalid(parameter, error.to_string())),
    }
}

fn checked_zone(name: &str) -> Result<String, Failure> {
    if time::zone(name).is_some() {
        return Ok(name.to_owned());
    }
    let detail = format!("`{name}` is no IANA time zone such as `Europe/Berlin` or `UTC`");
    Err(Failure::invalid("time_zone", detail))
}

fn checked_window(days: u16) -> Result<u16, Failure> {
    if (1..=WINDOW_DAYS_MAX).contains(&days) {
        return Ok(days);
    }
    Err(Failure::invalid("window_days", format!("a window is 1 to {WINDOW_DAYS_MAX} days")))
}

/// Goals with names, unique keys and exactly one default; where none is given, the campaign
/// type's own.
fn checked_goals(goals: &[Goal], kind: Option<Kind>) -> Result<Vec<Goal>, Failure> {
    let mut goals = goals.to_vec();
    if goals.is_empty() {
        let (key, name) = kind.map_or(("conversion", "Conversion"), Kind::default_goal);
        let (revenue, payout) = (Term::default(), Term::default());
        let (key, name) = (key.to_owned(), name.to_owned());
        goals.push(Goal { key, name, default: true, revenue, payout });
    }
    if goals.len() > GOALS_MAX {
        let detail = format!("a campaign has at most {GOALS_MAX} goals");
        return Err(Failure::invalid("goals", detail));
    }
    for place in 0..goals.len() {
        let at = format!("goals[{place}].");
        check_goal(&goals[place], &at)?;
        let key = goals[place].key.trim().to_owned();
        if goals[..place].iter().any(|goal| goal.key.eq_ignore_ascii_case(&key)) {
            return Err(same_key(&format!("{at}key"), &key));
        }
        if goals[place].name.trim().is_empty() {
            goals[place].name.clone_from(&key);
        }
        goals[place].key = key;
    }
    let mut defaults = (0..goals.len()).filter(|place| goals[*place].default);
    match (defaults.next(), defaults.next()) {
        (None, _) => goals[0].default = true,
        (Some(_), None) => {}
        (Some(_), Some(second)) => {
            let parameter = format!("goals[{second}].default");
            return Err(Failure::invalid(&parameter, "only one goal can be the default"));
        }
    }
    Ok(goals)
}

fn same_key(parameter: &str, key: &str) -> Failure {
    let detail = format!("another goal is called `{key}`: each has a key of its own");
    Failure::invalid(parameter, detail)
}

/// `at` stands before the goal's fields in errors, such as `goals[0].`.
fn check_goal(goal: &Goal, at: &str) -> Result<(), Failure> {
    let wrong =
        |field: &str, detail: String| Err(Failure::invalid(&format!("{at}{field}"), detail));
    let key = goal.key.trim();
    let is_good = |text: &str| text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control);
    for (field, text) in [("key", key), ("name", goal.name.as_str())] {
        if !is_good(text) {
            let detail = format!("it has at most {NAME_BYTES_MAX} bytes and no control characters");
            return wrong(field, detail);
        }
    }
    if key.is_empty() {
        return wrong("key", "it is the word that postbacks call the goal, such as `lead`".into());
    }
    if macros::is_unreplaced(key, &[]) {
        let detail = format!("`{key}` would be taken for a macro that was not replaced");
        return wrong("key", detail);
    }
    for (term, field) in [(&goal.revenue, "revenue"), (&goal.payout, "payout")] {
        let amount = match term {
            Term::Fixed(amount) | Term::FromPostback { default: Some(amount) } => amount.0,
            Term::Percent(_) | Term::FromPostback { default: None } => 0,
        };
        if amount < 0 {
            return wrong(field, "an amount is not negative".to_owned());
        }
        if amount > AMOUNT_MAX.0 {
            return wrong(field, format!("an amount is at most {AMOUNT_MAX}"));
        }
    }
    Ok(())
}
