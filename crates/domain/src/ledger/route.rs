//! Which integration reads a hit, and what it reads.

use super::Key;
use crate::campaign::{Campaign, Goal, Link};
use crate::click_id::{ClickId, Keyring};
use crate::contract::{Canonical, Contract, Integration, Scope};
use crate::hit::Hit;
use crate::id::IntegrationId;
use crate::macros;
use crate::postback::{self, Postback, Problem, Reading, Sender, pairs};
use crate::reason::{Flag, Reason};
use crate::setup::Setup;
use crate::time::Timestamp;

/// Where a hit was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/postback/{key}` or `/{key}/postback`.
    Key(&'a str),
    /// A path of the catalogue.
    Partner(&'a str),
    /// `/postback`.
    Plain,
    /// No postback endpoint.
    Elsewhere,
}

/// Reads the path of a request.
pub fn route<'a>(setup: &'a Setup, path: &'a [u8]) -> Route<'a> {
    let Ok(path) = std::str::from_utf8(path) else { return Route::Elsewhere };
    if path == "/postback" {
        return Route::Plain;
    }
    if let Some(partner) = setup.partner_by_path(path) {
        return Route::Partner(&partner.name);
    }
    let key = path
        .strip_prefix("/postback/")
        .or_else(|| path.strip_prefix('/')?.strip_suffix("/postback"));
    match key {
        Some(key) if !key.is_empty() && !key.contains('/') => Route::Key(key),
        _ => Route::Elsewhere,
    }
}

/// The contract that read a hit: an integration's, or a partner's own where no integration of
/// it is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContractRef {
    Integration { id: IntegrationId, version: u32 },
    Partner(String),
}

impl ContractRef {
    fn of(integration: &Integration) -> Self {
        Self::Integration { id: integration.id, version: integration.version }
    }
}

impl std::fmt::Display for ContractRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integration { id, version } => write!(f, "{id}.{version}"),
            Self::Partner(name) => f.write_str(name),
        }
    }
}

/// A hit read: by which contract, about which click, and what it says.
#[derive(Clone, Debug)]
pub struct Read<'a> {
    pub contract_ref: Option<ContractRef>,
    pub contract: Option<&'a Contract>,
    pub reading: Reading,
    /// The click it is about, where that is one of ours.
    pub click_id: Option<ClickId>,
    pub link: Option<&'a Link>,
    /// As of the hit.
    pub campaign: Option<&'a Campaign>,
    /// The goal it is about: as agreed when the click was made, or added since.
    pub goal: Option<&'a Goal>,
    /// The key it came with does not serve the click's campaign.
    pub out_of_scope: Option<Problem>,
    /// What would make its conversion one; `None` where it can make or change none.
    pub key: Option<Key>,
}

impl Read<'_> {
    fn of(reading: Reading) -> Self {
        Self {
            contract_ref: None,
            contract: None,
            reading,
            click_id: None,
            link: None,
            campaign: None,
            goal: None,
            out_of_scope: None,
            key: None,
        }
    }

    pub fn postback(&self) -> Result<&Postback, &Problem> {
        self.reading.result.as_ref()
    }
}

/// Whether a hit has a key we gave or a click id we made, so that it is worth keeping.
pub fn is_ours(setup: &Setup, keyring: &Keyring, hit: &Hit) -> bool {
    match route(setup, hit.path()) {
        Route::Key(key) if setup.integration_by_key(key).is_some() => true,
        Route::Elsewhere => false,
        Route::Key(_) | Route::Partner(_) | Route::Plain => pairs(hit)
            .is_ok_and(|pairs| pairs.iter().any(|pair| keyring.parse(pair.text.trim()).is_some())),
    }
}

/// Reads a hit as of now.
pub fn read<'a>(setup: &'a Setup, keyring: &Keyring, hit: &Hit) -> Read<'a> {
    let (contract_ref, contract, scope, sender) = match choose(setup, keyring, hit) {
        Ok(chosen) => chosen,
        Err(problem) => return unread(problem),
    };
    let sender = Sender { address: hit.peer, ..sender };
    let reading = postback::read(contract, hit, sender);
    let mut read = Read { contract: Some(contract), ..Read::of(reading) };
    let said = read.reading.values.iter().find(|value| value.canonical == Canonical::ClickId);
    read.click_id = said.and_then(|value| keyring.parse(&value.text));
    read.link = read.click_id.and_then(|id| setup.link(id.link()));
    read.campaign = read.link.and_then(|link| setup.campaign(link.campaign_id));
    if let (Some(click_id), Some(campaign)) = (read.click_id, read.campaign) {
        let level = Level::of(campaign, &contract_ref, scope);
        let verified = verify_beside(setup, campaign, level, hit);
        read.reading.result = with_proof(read.reading.result, verified);
        if level == Some(Level::Other) {
            let detail = "the click is of a campaign that this postback URL does not serve";
            read.out_of_scope = Some(Problem::new(Reason::CampaignMismatch, None, detail));
        }
        if let Ok(postback) = &read.reading.result {
            let then = campaign_then(setup, campaign, click_id);
            read.goal = goal_of(then, campaign, postback);
            let makes_one = !postback.is_event_only && read.out_of_scope.is_none();
            let agreed = agreed_with(setup, campaign).unwrap_or(contract);
            read.key = makes_one.then(|| key_of(agreed, read.goal, click_id, postback)).flatten();
        }
    } else if let Ok(postback) = &read.reading.result {
        let name = said.map_or("click_id", |value| value.name.as_str());
        let detail = if postback.click_id.is_empty() {
            format!("`{name}` is blank")
        } else {
            format!("`{name}` is not a click id that we made")
        };
        read.reading.result = Err(Problem::new(Reason::UnknownClick, Some(name), detail));
    }
    read.contract_ref = Some(contract_ref);
    read
}

/// The instant as of which a click's terms hold: ids have milliseconds, setup is finer, and what
/// was set up before the click must not be taken for later.
pub(super) fn clicked_at(click_id: ClickId) -> Timestamp {
    let at_ms = i64::try_from(click_id.at_ms()).expect("it has 48 bits");
    Timestamp::from_ms(at_ms).plus_us(999)
}

/// The campaign as it was agreed when the click was made.
pub(super) fn campaign_then<'a>(
    setup: &'a Setup,
    campaign: &'a Campaign,
    click_id: ClickId,
) -> &'a Campaign {
    setup.campaign_at(campaign.id, clicked_at(click_id)).unwrap_or(campaign)
}

fn goal_of<'a>(then: &'a Campaign, now: &'a Campaign, postback: &Postback) -> Option<&'a Goal> {
    match &postback.goal {
        Some(key) => then.goal(key).or_else(|| now.goal(key)),
        None => then.default_goal(),
    }
}

fn unread(problem: Problem) -> Read<'static> {
    Read::of(Reading { result: Err(problem), values: Vec::new(), unread: Vec::new() })
}

/// What makes a campaign's conversions one is agreed with its advertiser, and the same whoever
/// reads: or one act, told in two ways, would count twice.
fn agreed_with<'a>(setup: &'a Setup, campaign: &Campaign) -> Option<&'a Contract> {
    let own = campaign.integration_id.and_then(|id| setup.integration(id));
    own.map(|own| &own.contract)
}

/// A goal that is not known any more still says which conversion is meant.
fn key_of(
    agreed: &Contract,
    goal: Option<&Goal>,
    click_id: ClickId,
    postback: &Postback,
) -> Option<Key> {
    let goal = goal.map(|goal| goal.key.as_str()).or(postback.goal.as_deref())?;
    let folded;
    let txn_id = match &postback.txn_id {
        Some(txn_id) if agreed.txn_id_folded => {
            folded = txn_id.to_lowercase();
            Some(folded.as_str())
        }
        txn_id => txn_id.as_deref(),
    };
    Some(Key::new(agreed.identity, click_id, goal, txn_id))
}

type Chosen<'a> = (ContractRef, &'a Contract, Option<Scope>, Sender<'a>);

fn choose<'a>(setup: &'a Setup, keyring: &Keyring, hit: &Hit) -> Result<Chosen<'a>, Problem> {
    let by = |integration: &'a Integration| {
        let token = integration.secrets.get("token");
        let sender = Sender { address: None, token };
        (ContractRef::of(integration), &integration.contract, Some(integration.scope), sender)
    };
    match route(setup, hit.path()) {
        Route::Key(key) => setup
            .integration_by_key(key)
            .filter(|integration| !integration.archived)
            .map(by)
            .ok_or_else(|| {
                let detail = "the postback URL's key is not one of ours";
                Problem::new(Reason::UnknownIntegration, None, detail)
            }),
        Route::Partner(name) => {
            let partner = setup.partner(name).expect("the path led to it");
            let campaign = clicked_campaign(setup, keyring, hit, &partner.contract)?;
            let own = campaign.into_iter().flat_map(|campaign| {
                let campaign_id = campaign.id;
                let used = campaign.integration_id.and_then(|id| setup.integration(id));
                let advertiser_id = campaign.advertiser_id;
                used.into_iter()
                    .chain(setup.integrations_of(Scope::Campaign { campaign_id }))
                    .chain(setup.integrations_of(Scope::Advertiser { advertiser_id }))
            });
            let mut all = own.chain(setup.integrations_of(Scope::Global));
            match all.find(|integration| integration.partner == name) {
                Some(integration) => Ok(by(integration)),
                None => Ok((
                    ContractRef::Partner(name.to_owned()),
                    &partner.contract,
                    None,
                    Sender::default(),
                )),
            }
        }
        Route::Plain | Route::Elsewhere => {
            let campaign = any_clicked_campaign(setup, keyring, hit)?;
            campaign
                .and_then(|campaign| setup.integrations_for(campaign).next())
                .or_else(|| setup.integrations_of(Scope::Global).next())
                .map(by)
                .ok_or_else(|| {
                    let detail = "there is no global integration to read it";
                    Problem::new(Reason::UnknownIntegration, None, detail)
                })
        }
    }
}

/// The campaign of the click that a contract's own click-id names carry.
fn clicked_campaign<'a>(
    setup: &'a Setup,
    keyring: &Keyring,
    hit: &Hit,
    contract: &Contract,
) -> Result<Option<&'a Campaign>, Problem> {
    let names = contract.click_id_names();
    campaign_of(setup, keyring, hit, |name| names.iter().any(|own| own == name))
}

/// The campaign of the click that any contract's click-id names carry.
fn any_clicked_campaign<'a>(
    setup: &'a Setup,
    keyring: &Keyring,
    hit: &Hit,
) -> Result<Option<&'a Campaign>, Problem> {
    campaign_of(setup, keyring, hit, |name| setup.is_click_id_name(name))
}

fn campaign_of<'a>(
    setup: &'a Setup,
    keyring: &Keyring,
    hit: &Hit,
    is_click_id: impl Fn(&str) -> bool,
) -> Result<Option<&'a Campaign>, Problem> {
    // What is wrong with the whole is said when it is read.
    let Ok(pairs) = pairs(hit) else { return Ok(None) };
    let mut found: Option<(ClickId, &str)> = None;
    for pair in pairs.iter().filter(|pair| is_click_id(&pair.name)) {
        let text = pair.text.trim();
        if macros::is_unreplaced(text, &[]) {
            continue;
        }
        let Some(id) = keyring.parse(text) else { continue };
        match found {
            Some((first, name)) if first != id => {
                let detail = format!("`{name}` and `{}` are different clicks", pair.name);
                return Err(Problem::new(Reason::InvalidPayload, Some(&pair.name), detail));
            }
            _ => found = Some((id, &pair.name)),
        }
    }
    let link = found.and_then(|(id, _)| setup.link(id.link()));
    Ok(link.and_then(|link| setup.campaign(link.campaign_id)))
}

/// How near to a campaign what reads its postbacks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// It serves other campaigns.
    Other,
    Global,
    Advertiser,
    Campaign,
}

impl Level {
    /// `None`: a partner's own contract, which serves every campaign and speaks for none.
    fn of(campaign: &Campaign, by: &ContractRef, scope: Option<Scope>) -> Option<Self> {
        let ContractRef::Integration { id, .. } = by else { return None };
        let scope = scope.expect("an integration has a scope");
        Some(Self::of_integration(campaign, *id, scope))
    }

    fn of_integration(campaign: &Campaign, id: IntegrationId, scope: Scope) -> Self {
        if campaign.integration_id == Some(id) {
            return Self::Campaign;
        }
        match scope {
            _ if !scope.covers(campaign.advertiser_id, campaign.id) => Self::Other,
            Scope::Global => Self::Global,
            Scope::Advertiser { .. } => Self::Advertiser,
            Scope::Campaign { .. } => Self::Campaign,
        }
    }
}

/// Whoever is nearer to the campaign than the reader, and verifies its senders, is not passed by:
/// of those at the nearest level, one must be satisfied. Whether one was.
fn verify_beside(
    setup: &Setup,
    campaign: &Campaign,
    reader: Option<Level>,
    hit: &Hit,
) -> Result<bool, Problem> {
    let verifying = || {
        let all = setup.integrations_around(campaign);
        all.filter_map(|integration| {
            let level = Level::of_integration(campaign, integration.id, integration.scope);
            let rules = &integration.contract.verification;
            let token = integration.secrets.get("token");
            let verifies = token.is_some() || rules.token_required || !rules.networks.is_empty();
            (verifies && Some(level) > reader).then_some((level, integration, token))
        })
    };
    let Some(nearest) = verifying().map(|(level, ..)| level).max() else { return Ok(false) };
    let mut problem = None;
    for (_, integration, token) in verifying().filter(|(level, ..)| *level == nearest) {
        match postback::verify(&integration.contract, hit, Sender { address: hit.peer, token }) {
            Ok(is_verified) => return Ok(is_verified),
            Err(other) => problem = problem.or(Some(other)),
        }
    }
    problem.map_or(Ok(false), Err)
}

/// What a hit says, once who else vouches for its sender is known.
fn with_proof(
    result: Result<Postback, Problem>,
    verified: Result<bool, Problem>,
) -> Result<Postback, Problem> {
    match (result, verified) {
        (Ok(mut postback), Ok(is_verified)) => {
            if is_verified {
                postback.flags.remove(Flag::Unverified);
            }
            Ok(postback)
        }
        (Err(read), Err(unproven)) if unproven.reason < read.reason => Err(unproven),
        (Ok(_), Err(unproven)) => Err(unproven),
        (Err(read), _) => Err(read),
    }
}
