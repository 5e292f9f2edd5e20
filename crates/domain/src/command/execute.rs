//! What a command does to the setup: new versions of nouns, or a failure in words.
//!
//! Commands that touch the ledger (conversions, hits, clicks) are judged beside it, where the
//! facts are; here they only pass the checks that need no facts.

use super::secrets::mask;
use super::{Act, Answer, By, Failure, IDS_SKIPPED, NewIntegration, REPLAY_HITS_MAX};
use crate::builder;
use crate::campaign::{Advertiser, Campaign, Link, NAME_BYTES_MAX};
use crate::contract::{Canonical, Contract, Lack, SIGNATURE, TOKEN, no_such_secret};
use crate::id::{AdvertiserId, CampaignId, IntegrationId, LinkId, Position, PublisherId};
use crate::integration::{Integration, RetiringSecret, Scope};
use crate::macros::{LandingUrl, nearest};
use crate::partner::Partner;
use crate::secret::Secret;
use crate::setup::{Change, History, Setup};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// For how long replaced secrets may count at the most.
const OLD_SECRETS_DAYS_MAX: i64 = 90;
/// How many of them may count at once.
const OLD_SECRETS_MAX: usize = 5;
/// Where whoever names a partner finds them all.
pub const ALL_PARTNERS: &str = "`GET /api/v1/partners` lists them all";

/// The changes a command leads to, and what its caller is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub changes: Vec<Change>,
    pub answer: Answer,
}

impl Effect {
    pub(super) fn of(change: Change) -> Self {
        let answer = match &change {
            Change::Advertiser(new) => Answer::Advertiser(new.clone()),
            Change::Publisher(new) => Answer::Publisher(new.clone()),
            Change::Campaign(new) => Answer::Campaign(new.clone()),
            Change::Link(new) => Answer::Link(new.clone()),
            Change::Integration(new) => {
                let mut shown = new.clone();
                mask(shown.secrets_mut());
                Answer::Integration(Box::new(shown))
            }
            Change::Contract(new) => Answer::Contract(Box::new(new.clone())),
            Change::Destination(new) => {
                let mut shown = new.clone();
                mask(shown.secrets_mut());
                Answer::Destination(shown)
            }
            Change::SubLabels(new) => Answer::SubLabels(new.clone()),
            Change::Settings(new) => Answer::Settings(*new),
            Change::Partner(_) | Change::IdFloor(_) => Answer::Nothing,
        };
        Self { changes: vec![change], answer }
    }

    pub(super) fn nothing(answer: Answer) -> Self {
        Self { changes: Vec::new(), answer }
    }
}

pub(super) type Executed = Result<Effect, Failure>;

impl Setup {
    /// What `act` does to this setup. Nothing is changed yet: the caller puts the changes.
    pub fn execute(&self, act: &Act, by: By<'_>) -> Executed {
        match act {
            Act::CreateAdvertiser { name } => {
                let id = AdvertiserId(self.next_id(&self.advertisers));
                let name = checked_name(name)?;
                Ok(Effect::of(Change::Advertiser(Advertiser { id, name, archived: false })))
            }
            Act::ChangeAdvertiser { id, name } => self.change_advertiser(*id, name),
            Act::ArchiveAdvertiser { id } => {
                let new = Advertiser { archived: true, ..self.the_advertiser(*id)? };
                Ok(Effect::of(Change::Advertiser(new)))
            }
            Act::CreatePublisher { .. }
            | Act::ChangePublisher { .. }
            | Act::ArchivePublisher { .. }
            | Act::SetSubLabels { .. } => self.execute_on_publisher(act),
            Act::CreateCampaign(new) => self.create_campaign(new),
            Act::ChangeCampaign { id, changes } => self.change_campaign(*id, changes),
            Act::ArchiveCampaign { id } => self.archive_campaign(*id),
            Act::SetCampaignStatus { id, to, key } => self.set_campaign_status(*id, *to, key),
            Act::AddGoal { id, goal } => self.add_goal(*id, goal),
            Act::CreateLink { campaign_id, publisher_id, token, landing_url, test } => {
                let landing_url = landing_url.as_deref();
                self.create_link(*campaign_id, *publisher_id, token, landing_url, *test)
            }
            Act::ChangeLink { id, landing_url } => self.change_link(*id, landing_url.as_deref()),
            Act::ArchiveLink { id } => self.archive_link(*id),
            Act::CreateIntegration(new) => self.create_integration(new),
            Act::ChangeIntegration { id, landing_params, secrets, old_secrets_until } => {
                let secrets = NewSecrets { secrets, old_until: *old_secrets_until, at: by.at };
                self.change_integration(*id, landing_params.as_ref(), secrets)
            }
            Act::ArchiveIntegration { id } => self.archive_integration(*id),
            Act::DraftContract { .. }
            | Act::ChangeDraft { .. }
            | Act::DiscardDraft { .. }
            | Act::SignOffContract { .. }
            | Act::ActivateContract { .. }
            | Act::RetireContract { .. } => self.execute_on_contract(act, by),
            Act::SetMacros { id, macros } => self.set_macros(*id, macros),
            Act::CreateDestination(_)
            | Act::ChangeDestination { .. }
            | Act::ArchiveDestination { .. }
            | Act::BackfillDestination { .. } => self.execute_on_destination(act, by.at),
            Act::MakeTestClick { link_id, click_id } => self.make_test_click(*link_id, *click_id),
            Act::SetSettings { settings } => Ok(Effect::of(Change::Settings(*settings))),
            Act::LoadCatalogue { partners, key } => self.load_catalogue(partners, key),
            Act::SkipIds => Ok(self.skip_ids()),
            Act::ChangeConversionStatus { id, .. }
            | Act::RepairTxnId { id, .. }
            | Act::MergeConversion { id, .. } => Ok(Effect::nothing(Answer::Conversion(*id))),
            Act::Quarantine { position } | Act::Redecide { position } => {
                Ok(Effect::nothing(Answer::Hit(*position)))
            }
            Act::Replay { id, hits, .. } => self.replay(*id, hits),
        }
    }

    fn archive_link(&self, id: LinkId) -> Executed {
        Ok(Effect::of(Change::Link(Link { archived: true, ..self.the_link(id)? })))
    }

    fn skip_ids(&self) -> Effect {
        Effect::of(Change::IdFloor(self.id_max().saturating_add(IDS_SKIPPED)))
    }

    fn change_advertiser(&self, id: AdvertiserId, name: &str) -> Executed {
        let old = self.the_advertiser(id)?;
        in_use("advertiser", id, old.archived)?;
        let new = Advertiser { name: checked_name(name)?, ..old };
        Ok(Effect::of(Change::Advertiser(new)))
    }

    fn the_advertiser(&self, id: AdvertiserId) -> Result<Advertiser, Failure> {
        self.advertiser(id).cloned().ok_or_else(|| Failure::not_found("advertiser", id))
    }

    fn the_link(&self, id: LinkId) -> Result<Link, Failure> {
        self.link(id).cloned().ok_or_else(|| Failure::not_found("link", id))
    }

    pub(super) fn the_integration(&self, id: IntegrationId) -> Result<Integration, Failure> {
        self.integration(id).cloned().ok_or_else(|| Failure::not_found("integration", id))
    }

    fn create_link(
        &self,
        campaign_id: CampaignId,
        publisher_id: PublisherId,
        token: &str,
        landing_url: Option<&str>,
        test: bool,
    ) -> Executed {
        let campaign = self.campaign(campaign_id).filter(|campaign| !campaign.archived);
        let campaign = campaign.ok_or_else(|| {
            Failure::invalid("campaign_id", format!("there is no campaign {campaign_id} in use"))
        })?;
        if self.publisher(publisher_id).is_none_or(|publisher| publisher.archived) {
            let detail = format!("there is no publisher {publisher_id} in use");
            return Err(Failure::invalid("publisher_id", detail));
        }
        if test && !campaign.status.is_approved() {
            let detail = format!(
                "campaign {campaign_id} is {}: a test link can be made once it is approved",
                campaign.status.name()
            );
            return Err(Failure::conflict("campaign_not_approved", detail).of("test"));
        }
        if self.link_by_token(token).is_some() {
            return Err(Failure::conflict("in_use", "the token is another link's"));
        }
        let landing_url =
            landing_url.map(|url| self.checked_link_url(campaign, url)).transpose()?;
        let id = LinkId(self.next_id(&self.links));
        let token = token.to_owned();
        let archived = false;
        let link = Link { id, token, campaign_id, publisher_id, landing_url, test, archived };
        Ok(Effect::of(Change::Link(link)))
    }

    fn change_link(&self, id: LinkId, landing_url: Option<&str>) -> Executed {
        let link = self.the_link(id)?;
        in_use("link", id, link.archived)?;
        let campaign = self.campaign(link.campaign_id).expect("a link's campaign exists");
        let landing_url =
            landing_url.map(|url| self.checked_link_url(campaign, url)).transpose()?;
        Ok(Effect::of(Change::Link(Link { landing_url, ..link })))
    }

    fn create_integration(&self, new: &NewIntegration) -> Executed {
        match new.scope {
            Scope::Global => {}
            Scope::Advertiser { advertiser_id } => {
                if self.advertiser(advertiser_id).is_none_or(|one| one.archived) {
                    let detail = format!("there is no advertiser {advertiser_id} in use");
                    return Err(Failure::invalid("advertiser_id", detail));
                }
            }
            Scope::Campaign { campaign_id } => {
                let campaign = self.campaign(campaign_id).filter(|one| !one.archived);
                let campaign = campaign.ok_or_else(|| {
                    let detail = format!("there is no campaign {campaign_id} in use");
                    Failure::invalid("campaign_id", detail)
                })?;
                if !campaign.status.is_approved() {
                    let detail = format!(
                        "campaign {campaign_id} is {}: its integration is made at approval",
                        campaign.status.name()
                    );
                    let failure = Failure::conflict("campaign_not_approved", detail);
                    return Err(failure.of("campaign_id"));
                }
            }
        }
        let mut integration = self.new_integration(new.scope, &new.partner, &new.key)?;
        integration.landing_params =
            new.landing_params.as_deref().map(checked_landing_params).transpose()?;
        for (name, secret) in &new.secrets {
            let secret = checked_secret(&[&integration.contract], name, Some(secret))?;
            integration.secrets.extend(secret.map(|secret| (name.clone(), secret)));
        }
        Ok(Effect::of(Change::Integration(integration)))
    }

    /// An integration that speaks as `partner`, with the next id.
    pub(super) fn new_integration(
        &self,
        scope: Scope,
        partner: &str,
        key: &str,
    ) -> Result<Integration, Failure> {
        let (known, contract) = self.calling_partner(partner)?;
        if self.integration_by_key(key).is_some() {
            return Err(Failure::conflict("in_use", "the key is another integration's"));
        }
        Ok(Integration {
            id: IntegrationId(self.next_id(&self.integrations)),
            key: key.to_owned(),
            scope,
            partner: known.name.clone(),
            landing_params: None,
            secrets: BTreeMap::new(),
            retiring: Vec::new(),
            macros: BTreeMap::new(),
            version: 1,
            contract: contract.clone(),
            earlier: Vec::new(),
            archived: false,
        })
    }

    /// A partner that calls us, and how it speaks.
    pub(super) fn calling_partner(&self, name: &str) -> Result<(&Partner, &Contract), Failure> {
        let Some(partner) = self.partner(name) else {
            let near = nearest(name, self.partners.keys().map(String::as_str));
            let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
            let detail = format!("no partner is called `{name}`{near}; {ALL_PARTNERS}");
            return Err(Failure::invalid("partner", detail));
        };
        let Some(contract) = &partner.contract else {
            let detail = format!(
                "`{name}` never calls us, so nothing can be read as it sends it; {ALL_PARTNERS}"
            );
            return Err(Failure::invalid("partner", detail));
        };
        Ok((partner, contract))
    }

    fn change_integration(
        &self,
        id: IntegrationId,
        landing_params: Option<&Option<String>>,
        secrets: NewSecrets<'_>,
    ) -> Executed {
        let mut integration = self.the_integration(id)?;
        in_use("integration", id, integration.archived)?;
        if let Some(params) = landing_params {
            integration.landing_params =
                params.as_deref().map(checked_landing_params).transpose()?;
        }
        let contracts: Vec<&Contract> = self.contracts_to_prove_by(id, secrets.at).collect();
        secrets.take_over(&mut integration, &contracts)?;
        if let Some(campaign) = self.first_without_click_id(&integration) {
            let detail = format!(
                "campaign {campaign} is active and its landing URL has our click id only \
                 through these landing_params: keep one with {{click_id}}, or pause it first"
            );
            let failure = Failure::conflict("landing_url_without_click_id", detail);
            return Err(failure.of("landing_params"));
        }
        Ok(Effect::of(Change::Integration(integration)))
    }

    /// The contracts that hits are or may soon be read by, the active one first: what a draft asks
    /// for has to be there before it is activated.
    fn contracts_to_prove_by(
        &self,
        id: IntegrationId,
        at: Timestamp,
    ) -> impl Iterator<Item = &Contract> {
        let in_force = self.integration(id).into_iter().flat_map(move |one| {
            let in_sunset = one.in_sunset(at).map(|earlier| &earlier.contract);
            std::iter::once(&one.contract).chain(in_sunset)
        });
        let open = self.contracts_of(id).map(History::latest).filter(|one| one.is_open());
        in_force.chain(open.map(|one| &one.contract))
    }

    fn set_macros(&self, id: IntegrationId, macros: &BTreeMap<Canonical, String>) -> Executed {
        let integration = self.the_integration(id)?;
        in_use("integration", id, integration.archived)?;
        for (canonical, text) in macros {
            let fault = |why: String| Failure::invalid(&format!("macros.{canonical}"), why);
            let Some(parameter) = integration.contract.parameter(*canonical) else {
                let all = &integration.contract.parameters;
                let all: Vec<String> = all.iter().map(|one| one.canonical.to_string()).collect();
                let why = format!("the contract has no `{canonical}`, but: {}", all.join(", "));
                return Err(fault(why));
            };
            if canonical.is_secret() || parameter.in_header {
                return Err(fault("it is no part of a postback URL".to_owned()));
            }
            if *canonical == Canonical::CampaignId {
                return Err(fault("we fill it in ourselves".to_owned()));
            }
            if let Some(why) = builder::row_fault(&integration.contract, *canonical, text) {
                return Err(fault(why));
            }
        }
        Ok(Effect::of(Change::Integration(Integration { macros: macros.clone(), ..integration })))
    }

    /// An active campaign that uses the integration and would lose its click id by the change,
    /// on its own landing URL or a link's.
    fn first_without_click_id(&self, changed: &Integration) -> Option<CampaignId> {
        let mut users = self.campaigns.values().map(crate::setup::History::latest).filter(|one| {
            one.status.is_live() && one.integration_id == Some(changed.id) && !one.archived
        });
        let loses = |campaign: &&Campaign| {
            self.landing_urls(campaign).any(|url| {
                LandingUrl::parse(url, changed.landing_params.as_deref())
                    .is_ok_and(|url| !url.has_click_id())
            })
        };
        users.find(loses).map(|campaign| campaign.id)
    }

    fn archive_integration(&self, id: IntegrationId) -> Executed {
        let integration = self.the_integration(id)?;
        let is_last_global = integration.scope == Scope::Global
            && self.integrations_of(Scope::Global).all(|one| one.id == id);
        if is_last_global {
            let detail = format!("integration {id} is the only global one: make another first");
            return Err(Failure::conflict("in_use", detail));
        }
        let mut users = self.campaigns.values().map(crate::setup::History::latest);
        let is_user = |one: &&Campaign| one.integration_id == Some(id) && !one.archived;
        if let Some(campaign) = users.find(is_user) {
            let campaign = campaign.id;
            let detail = format!("campaign {campaign} uses integration {id}: archive it first");
            return Err(Failure::conflict("in_use", detail));
        }
        Ok(Effect::of(Change::Integration(Integration { archived: true, ..integration })))
    }

    fn make_test_click(&self, link_id: LinkId, click_id: crate::click_id::ClickId) -> Executed {
        let link = self.link(link_id).filter(|link| !link.archived);
        let link = link.ok_or_else(|| {
            Failure::invalid("link_id", format!("there is no link {link_id} in use"))
        })?;
        let campaign = self.campaign(link.campaign_id).expect("a link's campaign exists");
        in_use("campaign", campaign.id, campaign.archived)?;
        if !campaign.status.is_approved() {
            let detail = format!(
                "campaign {} is {}: test clicks can be made once it is approved",
                campaign.id,
                campaign.status.name()
            );
            return Err(Failure::conflict("campaign_not_approved", detail).of("link_id"));
        }
        Ok(Effect::nothing(Answer::TestClick { click_id, link_id }))
    }

    fn replay(&self, id: IntegrationId, hits: &[Position]) -> Executed {
        let integration = self.the_integration(id)?;
        in_use("integration", id, integration.archived)?;
        if hits.len() > REPLAY_HITS_MAX {
            let detail = format!("at most {REPLAY_HITS_MAX} hits at a time");
            return Err(Failure::invalid("hits", detail));
        }
        Ok(Effect::nothing(Answer::Replayed(Vec::new())))
    }

    fn load_catalogue(&self, partners: &[Partner], key: &str) -> Executed {
        let fault =
            |partner: &Partner| partner.fault().map(|fault| format!("{}: {fault}", partner.name));
        if let Some(fault) = partners.iter().find_map(fault) {
            return Err(Failure::invalid("partners", fault));
        }
        let is_news = |partner: &&Partner| self.partner(&partner.name) != Some(*partner);
        let mut changes: Vec<Change> =
            partners.iter().filter(is_news).cloned().map(Change::Partner).collect();
        let own = partners.iter().find(|partner| partner.name == OWN_PARTNER);
        if let Some(own) = own
            && let Some(contract) = &own.contract
            && self.integrations_of(Scope::Global).next().is_none()
        {
            changes.push(Change::Integration(Integration {
                id: IntegrationId(self.next_id(&self.integrations)),
                key: key.to_owned(),
                scope: Scope::Global,
                partner: own.name.clone(),
                landing_params: None,
                secrets: BTreeMap::new(),
                retiring: Vec::new(),
                macros: BTreeMap::new(),
                version: 1,
                contract: contract.clone(),
                earlier: Vec::new(),
                archived: false,
            }));
        }
        Ok(Effect { changes, answer: Answer::Nothing })
    }
}

/// The partner whose contract is our own, under the canonical names.
pub const OWN_PARTNER: &str = "counterfoil";

/// What is archived stays as it is.
pub(super) fn in_use(
    noun: &str,
    id: impl std::fmt::Display,
    is_archived: bool,
) -> Result<(), Failure> {
    if is_archived {
        let detail =
            format!("{noun} {id} is archived, and what is archived is not used or changed");
        return Err(Failure::conflict("archived", detail));
    }
    Ok(())
}

pub(super) fn checked_name(name: &str) -> Result<String, Failure> {
    let name = name.trim();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        let detail = format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
        return Err(Failure::invalid("name", detail));
    }
    Ok(name.to_owned())
}

fn checked_landing_params(params: &str) -> Result<String, Failure> {
    let params = params.trim().trim_start_matches(['?', '&']);
    match LandingUrl::parse_new("https://example.com/", Some(params)) {
        Ok(_) if !params.is_empty() => Ok(params.to_owned()),
        Ok(_) => {
            let detail = "it is empty: parameters such as `aff_sub={clickid}`, or null for none";
            Err(Failure::invalid("landing_params", detail))
        }
        Err(error) => Err(Failure::invalid("landing_params", error.to_string())),
    }
}

/// The secrets that an integration is given beside those it has, and those that it loses.
struct NewSecrets<'a> {
    /// By their names; `None`: it has that one no longer.
    secrets: &'a Option<BTreeMap<String, Option<Secret>>>,
    /// Until when those they replace still count; `None`: no longer.
    old_until: Option<Timestamp>,
    at: Timestamp,
}

impl NewSecrets<'_> {
    /// `contracts`: those that may have a use for them.
    fn take_over(
        self,
        integration: &mut Integration,
        contracts: &[&Contract],
    ) -> Result<(), Failure> {
        let Self { secrets, old_until, at } = self;
        let wrong = |detail: String| Err(Failure::invalid("old_secrets_until", detail));
        let Some(secrets) = secrets.as_ref().filter(|secrets| !secrets.is_empty()) else {
            let is_idle = old_until.is_some();
            return if is_idle { wrong("goes with new `secrets`".to_owned()) } else { Ok(()) };
        };
        let mut replaced = Vec::new();
        let before = integration.secrets.clone();
        for (name, secret) in secrets {
            let secret = checked_secret(contracts, name, secret.as_ref())?;
            let old = match secret {
                Some(secret) => integration.secrets.insert(name.clone(), secret),
                None => integration.secrets.remove(name),
            };
            replaced.extend(old.map(|old| (name.clone(), old)));
            check_still_proves(integration, name, &before)?;
        }
        let Some(until) = old_until else {
            integration.retiring.retain(|one| !secrets.contains_key(&one.name));
            return Ok(());
        };
        if until <= at || until > at.plus_days(OLD_SECRETS_DAYS_MAX) {
            return wrong(format!("a time within the next {OLD_SECRETS_DAYS_MAX} days"));
        }
        let retiring = std::mem::take(&mut integration.retiring);
        let is_in_use = |name: &str, secret: &Secret| {
            integration.secrets.get(name).is_some_and(|one| one.is_same(secret))
        };
        let replaced =
            replaced.into_iter().map(|(name, secret)| RetiringSecret { name, secret, until });
        let all = retiring.into_iter().filter(|one| one.until > at).chain(replaced);
        let all: Vec<RetiringSecret> =
            all.filter(|one| !is_in_use(&one.name, &one.secret)).collect();
        if all.len() > OLD_SECRETS_MAX {
            return wrong(format!(
                "{OLD_SECRETS_MAX} older secrets still count: replace them first"
            ));
        }
        integration.retiring = all;
        Ok(())
    }
}

/// What the active contract accepts nothing without gives way only to what it can use.
fn check_still_proves(
    integration: &Integration,
    name: &str,
    before: &BTreeMap<String, Secret>,
) -> Result<(), Failure> {
    let (contract, path) = (&integration.contract, format!("secrets.{name}"));
    if contract.lacks_secret(name, before).is_some() {
        return Ok(());
    }
    let reference = format!("{}.{}", integration.id, integration.version);
    match contract.lacks_secret(name, &integration.secrets) {
        None => Ok(()),
        Some(Lack::NotSet) => {
            let detail = format!(
                "contract {reference} is active and accepts nothing without the secret `{name}`: \
                 give another in its place"
            );
            Err(Failure::conflict("in_use", detail).of(&path))
        }
        Some(Lack::Useless(why)) => {
            let detail = format!(
                "contract {reference} is active, accepts nothing without it, and cannot use this \
                 one: {why}"
            );
            Err(Failure::invalid(&path, detail))
        }
    }
}

/// A secret as it is kept under its name: one of the contracts has a use for it.
fn checked_secret(
    contracts: &[&Contract],
    name: &str,
    secret: Option<&Secret>,
) -> Result<Option<Secret>, Failure> {
    let fault = |fault: String| Failure::invalid(&format!("secrets.{name}"), fault);
    let Some(secret) = secret else {
        return if matches!(name, TOKEN | SIGNATURE) {
            Ok(None)
        } else {
            Err(fault(no_such_secret(name)))
        };
    };
    let mut first = None;
    // Of those that have a use for it, the first one says what is wrong with it.
    let (able, unable): (Vec<&Contract>, Vec<&Contract>) =
        contracts.iter().partition(|one| one.uses_secret(name));
    for contract in able.into_iter().chain(unable) {
        match contract.checked_secret(name, secret) {
            Ok(secret) => return Ok(Some(secret)),
            Err(why) => _ = first.get_or_insert(why),
        }
    }
    Err(fault(first.unwrap_or_else(|| no_such_secret(name))))
}
