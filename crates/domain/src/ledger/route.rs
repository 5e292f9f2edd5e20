//! Which integration reads a hit, and what it reads.

use super::spoken::{self, Spoken, spoken};
use super::{Key, events, payload, triage};
use crate::campaign::{Campaign, Goal, Link};
use crate::click_id::{ClickId, Keyring};
use crate::contract::{Canonical, Contract, Identity, TxnIdAbsent};
use crate::hit::Hit;
use crate::id::IntegrationId;
use crate::integration::{Integration, Scope};
use crate::partner::Partner;
use crate::postback::{self, Pairs, Postback, Problem, Proof, Reading, Sender, earlier};
use crate::reason::{Flag, Reason};
use crate::settings::Unverified;
use crate::setup::{AsOf, Setup};
use crate::time::Timestamp;
use std::borrow::Cow;

/// Where a hit was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/postback/{key}` or `/{key}/postback`.
    Key(&'a str),
    /// A path of the catalogue, which several partners may share.
    Path(&'a str),
    /// `/postback`.
    Plain,
    /// No postback endpoint.
    Elsewhere,
}

/// Reads the path of a request.
pub fn route<'a>(setup: &'a Setup, path: &'a [u8]) -> Route<'a> {
    route_as_of(setup.latest(), path)
}

fn route_as_of<'a>(setup: AsOf<'a>, path: &'a [u8]) -> Route<'a> {
    let Ok(path) = std::str::from_utf8(path) else { return Route::Elsewhere };
    if path == "/postback" {
        return Route::Plain;
    }
    if setup.partners_by_path(path).next().is_some() {
        return Route::Path(path);
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
    /// Whether both are of one integration, whatever their versions.
    pub fn is_same_integration(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integration { id: one, .. }, Self::Integration { id: other, .. }) => {
                one == other
            }
            _ => false,
        }
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
    /// The digest of all that it says, where that counts.
    pub payload: Option<[u8; 32]>,
    /// Who reads, and what was sent: what it takes to speak of another campaign.
    spoken: Option<(Option<&'a Integration>, Pairs<'a>)>,
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
            payload: None,
            spoken: None,
        }
    }

    pub fn postback(&self) -> Result<&Postback, &Problem> {
        self.reading.result.as_ref()
    }

    /// The click whose events it tells.
    pub fn tells_of(&self) -> Option<ClickId> {
        let postback = self.postback().ok()?;
        self.click_id.filter(|_| events::has_any(postback))
    }
}

/// Whether a hit has a key we gave or a click id we made, so that it is worth keeping, whatever is
/// wrong with the rest of it.
pub fn is_ours(setup: &Setup, keyring: &Keyring, hit: &Hit) -> bool {
    match route(setup, hit.path()) {
        Route::Key(key) if setup.integration_by_key(key).is_some() => true,
        Route::Elsewhere => false,
        Route::Key(_) | Route::Path(_) | Route::Plain => {
            Pairs::of(hit).all.iter().any(|pair| keyring.parse(pair.text.trim()).is_some())
        }
    }
}

/// Reads a hit with the setup as it was at `at`, when the hit arrived.
pub fn read<'a>(setup: &'a Setup, keyring: &Keyring, hit: &'a Hit, at: Timestamp) -> Read<'a> {
    let as_of = setup.as_of(at);
    let sent = Pairs::of(hit);
    let chosen = match choose(as_of, keyring, hit, &sent) {
        Ok(chosen) => chosen,
        Err(problem) => return unread(problem),
    };
    let Chosen { by, contract, integration, is_in_sunset, fault } = chosen;
    let sender = Sender::of(integration, hit.peer, at);
    let mut reading = postback::read(contract, &sent, &sender);
    if triage::is_due(contract, &reading, at) {
        reading = triage::flagged(postback::read(&triage::lenient(contract), &sent, &sender));
    }
    reading.result = earlier(fault, reading.result);
    if let Ok(postback) = &mut reading.result
        && is_in_sunset
    {
        postback.flags.add(Flag::ContractInSunset);
    }
    let mut read = Read { contract: Some(contract), ..Read::of(reading) };
    let said = read.reading.values.iter().find(|value| value.canonical == Canonical::ClickId);
    read.click_id = said.and_then(|value| keyring.parse(&value.text));
    read.link = read.click_id.and_then(|id| as_of.link(id.link()));
    read.campaign = read.link.and_then(|link| as_of.campaign(link.campaign_id));
    if let (Some(click_id), Some(campaign)) = (read.click_id, read.campaign) {
        let level = integration.map(|one| Level::of(campaign, one));
        let mut proof = verify_beside(as_of, campaign, (level, contract), &sent, at);
        let is_verified = proof.as_ref().is_ok_and(|proof| proof.is_verified);
        let shadow = proof.as_mut().ok().and_then(|proof| proof.shadow.take());
        read.reading.shadow = read.reading.shadow.or(shadow);
        read.reading.result = earlier(proof, read.reading.result);
        if level == Some(Level::Other) {
            let detail = "the click is of a campaign that this postback URL does not serve";
            read.out_of_scope = Some(Problem::new(Reason::CampaignMismatch, None, detail));
        }
        if is_verified && let Ok(postback) = &mut read.reading.result {
            postback.flags.remove(Flag::Unverified);
        }
        name_conversion(&mut read, contract, (campaign, click_id), &sent, (setup, at));
    } else if let Ok(postback) = &read.reading.result {
        let asked = contract.parameter(Canonical::ClickId).map(|one| sent.name_of(one));
        let name = said.map_or(asked.unwrap_or("click_id"), |value| value.name.as_str());
        let detail = if postback.click_id.is_empty() {
            format!("`{name}` is blank")
        } else if read.click_id.is_some() {
            format!("`{name}` is a click id of a link that is not here")
        } else {
            format!("`{name}` is not a click id that we made")
        };
        read.reading.result = Err(Problem::new(Reason::UnknownClick, Some(name), detail));
    }
    read.contract_ref = Some(by);
    if read.key.as_ref().is_some_and(|key| !key.is_of_click()) {
        read.spoken = Some((integration, sent));
    }
    read
}

/// Says which conversion a postback is about, as far as it can be about one.
fn name_conversion<'a>(
    read: &mut Read<'a>,
    contract: &'a Contract,
    (campaign, click_id): (&'a Campaign, ClickId),
    sent: &Pairs<'_>,
    (setup, at): (&'a Setup, Timestamp),
) {
    let Ok(postback) = &read.reading.result else { return };
    let then = campaign_then(setup, campaign, click_id);
    read.goal = goal_of(then, campaign, postback);
    let makes_one = !postback.is_event_only && read.out_of_scope.is_none();
    let agreed = agreed_with(setup, campaign, click_id).unwrap_or(contract);
    let is_by_payload = makes_one && is_by_payload(agreed, postback);
    let is_needed = is_by_payload || events::has_any(postback);
    read.payload = is_needed.then(|| payload::digest([contract, agreed], sent));
    let payload = read.payload.filter(|_| is_by_payload);
    read.key = makes_one
        .then(|| key_of(agreed, campaign, read.goal, click_id, postback, payload))
        .flatten();
    let is_refused = setup.as_of(at).settings().unverified == Unverified::Refuse;
    if is_refused && postback.flags.has(Flag::Unverified) {
        let detail = "nothing vouches for the sender, and this network takes no such hits";
        read.reading.result = Err(Problem::new(Reason::SignatureMismatch, None, detail));
    } else if makes_one && !may_stand(agreed, postback) {
        read.reading.result = Err(without_txn_id(contract, sent));
    }
}

/// Why a hit changes nothing of that campaign, although it names a transaction of it: it came with
/// a click of another one, so the key it came with has to serve this one too, and whoever is nearer
/// to this one has to be satisfied as well.
pub(super) fn barred(setup: AsOf<'_>, read: &Read<'_>, campaign: &Campaign) -> Result<(), Problem> {
    let detail = "the transaction is of a campaign that this postback cannot speak for";
    let mismatch = || Problem::new(Reason::CampaignMismatch, None, detail);
    let ((reader, sent), reading) = read.spoken.as_ref().zip(read.contract).ok_or_else(mismatch)?;
    let level = reader.map(|one| Level::of(campaign, one));
    if level == Some(Level::Other) {
        return Err(mismatch());
    }
    let reading = (level, reading);
    verify_beside(setup, campaign, reading, sent, setup.at()).map(drop).map_err(|_| mismatch())
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
    let (values, unread) = (Vec::new(), Vec::new());
    Read::of(Reading { result: Err(problem), values, unread, shadow: None })
}

/// What makes a campaign's conversions one is agreed with its advertiser, and the same whoever
/// reads and whenever: or one act, told in two ways, would count twice. So it is what was agreed
/// when the click was made, like its terms.
pub(super) fn agreed_with<'a>(
    setup: &'a Setup,
    campaign: &Campaign,
    click_id: ClickId,
) -> Option<&'a Contract> {
    let then = campaign_then(setup, campaign, click_id);
    let id = then.integration_id.or(campaign.integration_id)?;
    let own = setup.integration_agreed(id, clicked_at(click_id));
    own.map(|own| &own.contract)
}

/// Whether all that it says stands for the transaction id that it does not have.
fn is_by_payload(agreed: &Contract, postback: &Postback) -> bool {
    let is_for_it =
        agreed.txn_id_absent == TxnIdAbsent::Payload || postback.flags.has(Flag::TxnIdMissing);
    agreed.identity == Identity::ClickGoalTxn && postback.txn_id.is_none() && is_for_it
}

/// Whether it can do without the transaction id that it does not have.
fn may_stand(agreed: &Contract, postback: &Postback) -> bool {
    postback.txn_id.is_some()
        || match agreed.identity {
            Identity::ClickGoalTxn => true,
            Identity::ClickGoal | Identity::Click => !postback.flags.has(Flag::TxnIdMissing),
            Identity::Txn => false,
        }
}

fn without_txn_id(contract: &Contract, sent: &Pairs<'_>) -> Problem {
    let asked = contract.parameter(Canonical::TxnId);
    let name = asked.map_or("txn_id", |parameter| sent.name_of(parameter));
    let detail = format!("`{name}` is needed for a conversion of this campaign, and is missing");
    Problem::new(Reason::MissingParameter, Some(name), detail)
}

/// A goal that is not known any more still says which conversion is meant.
fn key_of(
    agreed: &Contract,
    campaign: &Campaign,
    goal: Option<&Goal>,
    click_id: ClickId,
    postback: &Postback,
    payload: Option<[u8; 32]>,
) -> Option<Key> {
    let goal = goal.map(|goal| goal.key.as_str()).or(postback.goal.as_deref())?;
    if let Some(payload) = payload {
        return Some(Key::of_payload(click_id, goal, &payload));
    }
    let txn_id = postback.txn_id.as_ref().map(|txn_id| folded(agreed, txn_id));
    Some(Key::new(agreed.identity, campaign.advertiser_id, click_id, goal, txn_id.as_deref()))
}

/// A transaction id as conversions are told apart by it.
pub(super) fn folded<'t>(agreed: &Contract, txn_id: &'t str) -> Cow<'t, str> {
    if agreed.txn_id_folded { txn_id.to_lowercase().into() } else { txn_id.into() }
}

/// Who reads a hit.
struct Chosen<'a> {
    by: ContractRef,
    contract: &'a Contract,
    /// `None`: a partner's own contract.
    integration: Option<&'a Integration>,
    /// Another contract has taken the place of the one that reads.
    is_in_sunset: bool,
    /// Names that carry click ids and do not agree, or whose sunset is over.
    fault: Result<(), Problem>,
}

impl<'a> Chosen<'a> {
    fn integration(integration: &'a Integration, sent: &Pairs, at: Timestamp) -> Self {
        let Spoken { version, contract, is_in_sunset } = spoken(integration, sent, at);
        Self {
            by: ContractRef::Integration { id: integration.id, version },
            contract,
            integration: Some(integration),
            is_in_sunset,
            fault: spoken::retired(integration, sent, at),
        }
    }

    fn partner(partner: &'a Partner, contract: &'a Contract) -> Self {
        let by = ContractRef::Partner(partner.name.clone());
        Self { by, contract, integration: None, is_in_sunset: false, fault: Ok(()) }
    }

    /// The same, where the click ids may disagree.
    fn with(self, conflict: Result<(), Problem>) -> Self {
        Self { fault: earlier(self.fault, conflict), ..self }
    }
}

fn choose<'a>(
    setup: AsOf<'a>,
    keyring: &Keyring,
    hit: &Hit,
    sent: &Pairs,
) -> Result<Chosen<'a>, Problem> {
    let by_integration = |one| Chosen::integration(one, sent, setup.at());
    match route_as_of(setup, hit.path()) {
        Route::Key(key) => setup
            .integration_by_key(key)
            .filter(|integration| !integration.archived)
            .map(by_integration)
            .ok_or_else(|| {
                let detail = "the postback URL's key is not one of ours";
                Problem::new(Reason::UnknownIntegration, None, detail)
            }),
        Route::Path(path) => Ok(choose_by_path(setup, keyring, path, sent)),
        Route::Plain | Route::Elsewhere => {
            let is_click_id = |name: &str| setup.is_click_id_name(name);
            let (campaign, conflict) = clicked_campaign(setup, keyring, sent, is_click_id);
            campaign
                .and_then(|campaign| setup.integrations_for(campaign).next())
                .or_else(|| setup.integrations_of(Scope::Global).next())
                .map(|integration| by_integration(integration).with(conflict))
                .ok_or_else(|| {
                    let detail = "there is no global integration to read it";
                    Problem::new(Reason::UnknownIntegration, None, detail)
                })
        }
    }
}

/// On a path that partners share, an integration around the click's campaign reads for its partner;
/// else it is the partner under whose names our click id came.
fn choose_by_path<'a>(setup: AsOf<'a>, keyring: &Keyring, path: &str, sent: &Pairs) -> Chosen<'a> {
    let partners: Vec<(&Partner, &Contract)> = setup.partners_by_path(path).collect();
    let is_click_id = |name: &str| {
        partners.iter().any(|(partner, contract)| {
            contract.click_id_names().iter().any(|own| own == name)
                || setup.is_click_id_name_of(&partner.name, name)
        })
    };
    let (campaign, conflict) = clicked_campaign(setup, keyring, sent, is_click_id);
    let around = campaign.into_iter().flat_map(|one| setup.integrations_around(one));
    let mut all = around.chain(setup.integrations_of(Scope::Global));
    let own = all.find(|one| partners.iter().any(|(partner, _)| partner.name == one.partner));
    let names_ours = |(_, contract): &&(&Partner, &Contract)| {
        let names = contract.click_id_names();
        let mut sent = sent.all.iter().filter(|pair| names.contains(&pair.name));
        sent.any(|pair| keyring.parse(pair.text.trim()).is_some())
    };
    let chosen = own.map_or_else(
        || {
            let named = partners.iter().find(names_ours).or(partners.first());
            let (partner, contract) = named.expect("the path is somebody's");
            Chosen::partner(partner, contract)
        },
        |own| Chosen::integration(own, sent, setup.at()),
    );
    chosen.with(conflict)
}

/// The campaign of the first click that such names carry, and whether they all carry that click.
fn clicked_campaign<'a>(
    setup: AsOf<'a>,
    keyring: &Keyring,
    sent: &Pairs,
    is_click_id: impl Fn(&str) -> bool,
) -> (Option<&'a Campaign>, Result<(), Problem>) {
    let ids = sent.all.iter().filter(|pair| is_click_id(&pair.name));
    let mut ids = ids.filter_map(|pair| Some((keyring.parse(pair.text.trim())?, &pair.name)));
    let Some((id, name)) = ids.next() else { return (None, Ok(())) };
    let link = setup.link(id.link());
    let campaign = link.and_then(|link| setup.campaign(link.campaign_id));
    let conflict = ids.find(|(other, _)| *other != id).map_or(Ok(()), |(_, other)| {
        let detail = format!("`{name}` and `{other}` are different clicks");
        Err(Problem::new(Reason::InvalidPayload, Some(other), detail))
    });
    (campaign, conflict)
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
    fn of(campaign: &Campaign, integration: &Integration) -> Self {
        if campaign.integration_id == Some(integration.id) {
            return Self::Campaign;
        }
        let scope = integration.scope;
        match scope {
            _ if !scope.covers(campaign.advertiser_id, campaign.id) => Self::Other,
            Scope::Global => Self::Global,
            Scope::Advertiser { .. } => Self::Advertiser,
            Scope::Campaign { .. } => Self::Campaign,
        }
    }
}

/// Whoever is nearer to the campaign than the reader, and verifies its senders, is not passed by:
/// of those at the nearest level, one must be satisfied. Whoever only tries its proofs refuses
/// nothing, and lets nobody pass who would be refused without it.
///
/// The reader's level is `None` for a partner's own contract: it serves every campaign and speaks
/// for none.
fn verify_beside(
    setup: AsOf<'_>,
    campaign: &Campaign,
    (reader, reading): (Option<Level>, &Contract),
    sent: &Pairs<'_>,
    at: Timestamp,
) -> Result<Proof, Problem> {
    let satisfied = |in_shadow: bool| {
        let verifying = || {
            let all = setup.integrations_around(campaign);
            all.filter_map(|one| {
                let level = Level::of(campaign, one);
                let contract = spoken(one, sent, at).contract;
                let sender = Sender::of(Some(one), sent.hit.peer, at);
                let verifies = Some(level) > reader
                    && contract.verification.is_enforced() != in_shadow
                    && sender.must_prove(contract);
                verifies.then_some((level, contract, sender))
            })
        };
        let nearest = verifying().map(|(level, ..)| level).max();
        let mut problem = None;
        for (_, contract, sender) in verifying().filter(|(level, ..)| Some(*level) == nearest) {
            match postback::verify(contract, reading, sent, &sender) {
                Ok(Proof { shadow: Some(other), .. }) if in_shadow => {
                    problem = problem.or(Some(other));
                }
                Ok(proof) => return Ok(proof),
                Err(other) => problem = problem.or(Some(other)),
            }
        }
        problem.map_or(Ok(Proof { is_verified: false, shadow: None }), Err)
    };
    let Proof { is_verified, shadow } = satisfied(false)?;
    Ok(match satisfied(true) {
        Ok(tried) => Proof { is_verified: is_verified || tried.is_verified, shadow },
        Err(problem) => Proof { is_verified, shadow: shadow.or(Some(problem)) },
    })
}
