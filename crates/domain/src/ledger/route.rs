//! Which integration reads a hit, and what it reads.

use super::choose::{Chosen, Clue, choose};
use super::payload::Payload;
use super::spoken::spoken;
use super::transaction::{self, Asked};
use super::{Key, events, payload, triage};
use crate::campaign::{Campaign, Goal, Link};
use crate::click_id::{ClickId, Keyring};
use crate::contract::{Canonical, Contract, Identity, TxnIdAbsent};
use crate::hit::Hit;
use crate::id::IntegrationId;
use crate::integration::{Integration, Scope};
use crate::partner::{KEYED_PATH, without_blanks};
use crate::postback::{self, Pairs, Postback, Problem, Proof, Reading, Sender, earlier};
use crate::reason::{Flag, Reason};
use crate::settings::Unverified;
use crate::setup::{AsOf, Setup};
use crate::time::Timestamp;
use std::borrow::Cow;

/// What stands in the path of every postback to us.
pub(super) const POSTBACK: &str = "postback";

/// Where a hit was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/postback/{key}` or `/{key}/postback`. Whatever else stands behind `/postback/` is a key
    /// too, which is none of ours.
    Key(&'a str),
    /// A path of the catalogue, which several partners may share.
    Path(&'a str),
    /// `/postback`.
    Plain,
    /// No postback endpoint.
    Elsewhere,
}

/// Reads the path of a request. A slash too many, in it or at its end, is no difference.
pub fn route<'a>(setup: &'a Setup, path: &'a [u8]) -> Route<'a> {
    route_as_of(setup.latest(), path)
}

pub(super) fn route_as_of<'a>(setup: AsOf<'a>, path: &'a [u8]) -> Route<'a> {
    let Ok(path) = std::str::from_utf8(path) else { return Route::Elsewhere };
    let mut names = path.split('/').filter(|name| !name.is_empty());
    let named = (names.next(), names.next(), names.next());
    match named {
        (Some(POSTBACK), None, None) => return Route::Plain,
        _ if without_blanks(path) == KEYED_PATH => {}
        _ if setup.partners_by_path(path).next().is_some() => return Route::Path(path),
        _ => {}
    }
    match named {
        (Some(POSTBACK), Some(key), None) | (Some(key), Some(POSTBACK), None) => Route::Key(key),
        (Some(POSTBACK), ..) => {
            let rest = path.trim_matches('/').strip_prefix(POSTBACK).unwrap_or_default();
            Route::Key(rest.trim_start_matches('/'))
        }
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
    /// The key in its path is none of ours: a partner's own keys stand there, and our click id came
    /// under one of its names.
    pub has_foreign_key: bool,
    /// On the path without a key, our click id came under a name that the integration in charge
    /// does not read, and a partner of the catalogue does.
    pub has_foreign_name: bool,
    pub reading: Reading,
    /// Its time is not near enough to ours, which refuses whatever is not known already.
    pub(super) stale: Option<Problem>,
    /// What was agreed with the campaign's own integration when the click was made; where it has
    /// none, with the reader.
    pub(super) agreed: Option<&'a Contract>,
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
    /// What an earlier version would have made of the same words: its conversion may stand there.
    pub(super) earlier_keys: Vec<Key>,
    /// The digests of all that it says, where that counts: its own first, then those that earlier
    /// versions would have made.
    pub(super) payloads: Vec<Payload>,
    /// It names a transaction in place of a click.
    pub(super) asked: Option<Box<Asked<'a>>>,
    /// Who reads, and what was sent: what it takes to speak of another campaign.
    pub(super) spoken: Option<(Option<&'a Integration>, Pairs<'a>)>,
}

impl Read<'_> {
    fn of(reading: Reading) -> Self {
        Self {
            contract_ref: None,
            contract: None,
            has_foreign_key: false,
            has_foreign_name: false,
            reading,
            stale: None,
            agreed: None,
            click_id: None,
            link: None,
            campaign: None,
            goal: None,
            out_of_scope: None,
            key: None,
            earlier_keys: Vec::new(),
            payloads: Vec::new(),
            asked: None,
            spoken: None,
        }
    }

    pub fn postback(&self) -> Result<&Postback, &Problem> {
        self.reading.result.as_ref()
    }

    /// What its conversion may stand under, its own key first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.key.iter().chain(&self.earlier_keys)
    }

    /// The click whose events it tells.
    pub fn tells_of(&self) -> Option<ClickId> {
        let postback = self.postback().ok()?;
        self.click_id.filter(|_| events::has_any(postback))
    }

    /// The click, where it would make a conversion in triage.
    pub fn waits(&self) -> Option<ClickId> {
        let lacks = self.postback().ok()?.flags.has(Flag::TxnIdMissing);
        self.click_id.filter(|_| lacks && self.key.is_some())
    }

    /// The click and the goal's key, where a conversion that has another one of both before it is
    /// marked.
    pub fn marks(&self) -> Option<(ClickId, &str)> {
        let agreed = self.agreed.filter(|agreed| agreed.repeats.mark);
        let (_, click_id, goal) = (agreed?, self.click_id?, self.goal?);
        Some((click_id, &goal.key))
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
    let Chosen { by, contract, integration, is_in_sunset, clue, fault } = chosen;
    let sender = Sender::of(integration, hit.peer, at);
    let mut reading = postback::read(contract, &sent, &sender);
    if triage::is_due(contract, &reading, at) {
        reading = triage::flagged(postback::read(&triage::lenient(contract), &sent, &sender));
    }
    let stale = reading.judge_time(contract, &sender, at);
    reading.result = earlier(fault, reading.result);
    if let Ok(postback) = &mut reading.result
        && is_in_sunset
    {
        postback.flags.add(Flag::ContractInSunset);
    }
    let mut read = Read {
        contract: Some(contract),
        has_foreign_key: clue == Clue::ForeignKey,
        has_foreign_name: clue == Clue::ForeignName,
        stale,
        ..Read::of(reading)
    };
    let said = read.reading.values.iter().find(|value| value.canonical == Canonical::ClickId);
    read.click_id = said.and_then(|value| keyring.parse(&value.text));
    read.link = read.click_id.and_then(|id| as_of.link(id.link()));
    read.campaign = read.link.and_then(|link| as_of.campaign(link.campaign_id));
    if let (Some(click_id), Some(campaign)) = (read.click_id, read.campaign) {
        let reader = Reader { integration, contract };
        read.place(reader, (campaign, click_id), &sent, (setup, at));
    } else if let Some(asked) = integration
        .filter(|_| clue == Clue::Key)
        .and_then(|reader| Asked::of(as_of, reader, contract, &read.reading, &sent))
    {
        read.reading.result = Err(transaction::unknown(contract, &read.reading));
        read.asked = Some(Box::new(asked));
    } else if let Ok(postback) = &read.reading.result {
        let asked = contract.parameter(Canonical::ClickId).map(|one| sent.name_of(one));
        let name = said.map_or(asked.unwrap_or("click_id"), |value| value.name.as_str());
        let detail = if postback.click_id.is_empty() {
            sent.missing(format!("`{name}` was not sent, or was blank"))
        } else if read.click_id.is_some() {
            format!("`{name}` is a click id of a link that is not here")
        } else {
            format!("`{name}` is not a click id that we made")
        };
        read.reading.result = Err(Problem::new(Reason::UnknownClick, Some(name), detail));
    }
    if read.click_id.is_none() && read.asked.is_none() {
        read.show_held(as_of, keyring, &sent);
    }
    read.contract_ref = Some(by);
    if read.key.as_ref().is_some_and(|key| !key.is_of_click()) {
        read.spoken = Some((integration, sent));
    }
    read
}

/// Who reads, and what its contract says; `None`: a partner's own.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) integration: Option<&'a Integration>,
    pub(super) contract: &'a Contract,
}

impl<'a> Read<'a> {
    /// It is about a click of that campaign: who else has to be satisfied, whether the key it came
    /// with serves it, and which conversion it names.
    pub(super) fn place(
        &mut self,
        Reader { integration, contract }: Reader<'a>,
        (campaign, click_id): (&'a Campaign, ClickId),
        sent: &Pairs<'_>,
        (setup, at): (&'a Setup, Timestamp),
    ) {
        let level = integration.map(|one| Level::of(campaign, one));
        let proof = verify_beside(setup.as_of(at), campaign, (level, contract), sent, at);
        let proof = proof.map(|proof| {
            self.reading.shadow = self.reading.shadow.take().or(proof.shadow);
            self.stale = self.stale.take().or(proof.stale);
            proof.is_verified
        });
        let result = &mut self.reading.result;
        match proof {
            Ok(is_verified) => {
                if is_verified && let Ok(postback) = result {
                    postback.flags.remove(Flag::Unverified);
                }
            }
            Err(other) => {
                let is_later = |first: &Problem| first.reason <= other.reason;
                if !result.as_ref().is_err_and(is_later) {
                    *result = Err(other);
                }
            }
        }
        if level == Some(Level::Other) {
            let detail = "the click is of a campaign that this postback URL does not serve";
            self.out_of_scope = Some(Problem::new(Reason::CampaignMismatch, None, detail));
        }
        let reader = Reader { integration, contract };
        name_conversion(self, reader, (campaign, click_id), sent, (setup, at));
    }
}

/// Says which conversion a postback is about, as far as it can be about one.
fn name_conversion<'a>(
    read: &mut Read<'a>,
    Reader { integration, contract }: Reader<'a>,
    (campaign, click_id): (&'a Campaign, ClickId),
    sent: &Pairs<'_>,
    (setup, at): (&'a Setup, Timestamp),
) {
    let Ok(postback) = &read.reading.result else { return };
    let then = campaign_then(setup, campaign, click_id);
    read.goal = read.goal.or_else(|| goal_of(then, campaign, postback));
    let makes_one = !postback.is_event_only && read.out_of_scope.is_none();
    let own = agreed_with(setup, campaign, click_id);
    let agreed = own.unwrap_or(contract);
    read.agreed = Some(agreed);
    let is_by_payload = makes_one && is_by_payload(agreed, postback);
    let is_needed = is_by_payload || events::has_any(postback);
    let digests = || payload::digests((setup, click_id), (integration, contract), own, sent);
    read.payloads = if is_needed { digests() } else { Vec::new() };
    let key = |payload| key_of(agreed, campaign, read.goal, click_id, postback, payload);
    let (payload, earlier) = read.payloads.split_first().filter(|_| is_by_payload).unzip();
    read.key = makes_one.then(|| key(payload)).flatten();
    read.earlier_keys =
        earlier.into_iter().flatten().filter_map(|payload| key(Some(payload))).collect();
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
    let proof = verify_beside(setup, campaign, reading, sent, setup.at());
    let is_satisfied = proof.is_ok_and(|proof| proof.stale.is_none());
    if is_satisfied { Ok(()) } else { Err(mismatch()) }
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

/// What makes a campaign's conversions one, and what a second postback may do to it, is agreed with
/// its advertiser, and the same whoever reads and whenever: or one act, told in two ways, would
/// count twice, and whoever knows another URL would choose which amount counts. So it is what was
/// agreed when the click was made, like its terms.
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
    payload: Option<&Payload>,
) -> Option<Key> {
    let goal = goal.map(|goal| goal.key.as_str()).or(postback.goal.as_deref())?;
    if let Some(payload) = payload {
        return Some(Key::of_payload(click_id, goal, payload));
    }
    let txn_id = postback.txn_id.as_ref().map(|txn_id| folded(agreed.txn_id_folded, txn_id));
    Some(Key::new(agreed.identity, campaign.advertiser_id, click_id, goal, txn_id.as_deref()))
}

/// A transaction id as conversions are told apart by it.
pub(super) fn folded(is_folded: bool, txn_id: &str) -> Cow<'_, str> {
    if is_folded { txn_id.to_lowercase().into() } else { txn_id.into() }
}

/// How near to a campaign what reads its postbacks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It serves other campaigns.
    Other,
    Global,
    Advertiser,
    Campaign,
}

impl Level {
    pub(super) fn of(campaign: &Campaign, integration: &Integration) -> Self {
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
/// of those at the nearest level, one must be satisfied. Whoever only tries its proofs, or has no
/// secret yet for those that it does not try, refuses nothing, and lets nobody pass who would be
/// refused without it.
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
                    && sender.must_prove(contract)
                    && sender.is_refused_unproven(contract) != in_shadow;
                verifies.then_some((level, contract, sender))
            })
        };
        let nearest = verifying().map(|(level, ..)| level).max();
        let (mut problem, mut late) = (None, None);
        for (_, contract, sender) in verifying().filter(|(level, ..)| Some(*level) == nearest) {
            match postback::verify(contract, reading, sent, &sender, at) {
                Ok(Proof { shadow: Some(other), .. } | Proof { stale: Some(other), .. })
                    if in_shadow =>
                {
                    problem = problem.or(Some(other));
                }
                Ok(proof) if proof.stale.is_some() => late = late.or(Some(proof)),
                Ok(proof) => return Ok(proof),
                Err(other) => problem = problem.or(Some(other)),
            }
        }
        match (late, problem) {
            // Whoever is proven, and late, is told so.
            (Some(proof), _) => Ok(proof),
            (None, problem) => problem.map_or(Ok(Proof::default()), Err),
        }
    };
    let Proof { is_verified, shadow, stale } = satisfied(false)?;
    Ok(match satisfied(true) {
        Ok(tried) => Proof { is_verified: is_verified || tried.is_verified, shadow, stale },
        Err(problem) => Proof { is_verified, shadow: shadow.or(Some(problem)), stale },
    })
}
