//! URLs that are handed out to be pasted elsewhere: a link with the macros of a source of
//! visitors, a postback URL with the macros of whoever sends it; and what is wrong with one that
//! somebody has pasted together.
//!
//! They are for a person to copy and adapt, so macros stay readable. A secret is never filled in.
//! Where nobody has told us a macro, none is made up: what must be there is a gap that says so.

mod check;
mod complaint;
mod gap;
mod table;

#[cfg(test)]
mod tests;

pub use check::{CHECKED_BYTES_MAX, Checked, Judged, Use, check, is_url};
pub use complaint::{Complaint, complaints};
pub use gap::Gap;
pub use table::row_fault;

use crate::campaign::Goal;
use crate::contract::{Canonical, Contract, Parameter, ProofKind, TOKEN};
use crate::id::CampaignId;
use crate::integration::Integration;
use crate::macros::{encode, is_unreserved};
use crate::partner::{ClickParameter, Partner};
use complaint::{is_link, pairs};

/// One parameter of a URL that is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled<'a> {
    pub parameter: &'a Parameter,
    /// What stands for its sender's value; `None`: nobody has told us what the sender has.
    pub placeholder: Option<&'a str>,
    /// Its sender adds it by itself: it stands in no URL.
    pub is_appended: bool,
}

/// A link with what a source of visitors fills in; `None`: it is not known to fill in anything.
pub fn click_url(link: &str, partner: &Partner) -> Option<String> {
    if partner.click.is_empty() {
        return None;
    }
    let mut url = link.to_owned();
    let mut joint = if link.contains('?') { '&' } else { '?' };
    for parameter in &partner.click {
        url.push(joint);
        url.push_str(&parameter.name);
        url.push('=');
        url.push_str(&parameter.placeholder);
        joint = '&';
    }
    Some(url)
}

/// What keeps a link from being given a source's macros: it is none of ours, or has one of the
/// parameters already, and would have it twice.
pub fn link_fault(link: &str, partner: &Partner) -> Option<String> {
    if !is_url(link) || !is_link(link) {
        return Some(format!("`{link}` is no link of ours, such as https://track.example/c/a"));
    }
    if link.contains('#') {
        return Some("what stands behind a # never reaches the server: take it out".to_owned());
    }
    let given = pairs(link);
    let is_given = |one: &&ClickParameter| given.iter().any(|pair| pair.name == one.name);
    let ClickParameter { name, placeholder } = partner.click.iter().find(is_given)?;
    let title = &partner.title;
    Some(format!(
        "`{name}` stands in it already, and {title} has {placeholder} for it: take it out"
    ))
}

/// Every parameter that an integration accepts, with the macro for it: the one that was saved for
/// its sender, else `partner`'s for the same thing, else its contract's where that is made for the
/// same sender.
pub fn parameters<'a>(
    integration: &'a Integration,
    partner: Option<&'a Partner>,
) -> impl Iterator<Item = Filled<'a>> {
    let theirs = partner.and_then(|partner| partner.contract.as_ref());
    let own = partner.is_none_or(|partner| partner.name == integration.partner);
    let contract = &integration.contract;
    contract.parameters.iter().map(move |parameter| {
        let canonical = parameter.canonical;
        let of_partner = theirs.and_then(|theirs| placeholder_for(contract, theirs, canonical));
        let of_contract = parameter.placeholder.as_ref().filter(|_| own);
        let known = integration.macros.get(&canonical).or(of_partner).or(of_contract);
        let adds = |one: &Parameter| one.appended && one.is_named_as(parameter);
        let is_theirs = theirs.and_then(|theirs| theirs.parameter(canonical)).is_some_and(adds);
        Filled {
            parameter,
            placeholder: known.map(String::as_str),
            is_appended: known.is_none() && (is_theirs || own && parameter.appended),
        }
    })
}

/// What `partner` adds to URLs by itself, under a name that the integration does not read, though
/// it has to: no URL of the integration's is of use to it.
pub fn unreadable<'a>(
    integration: &'a Integration,
    partner: &'a Partner,
) -> Option<(&'a Parameter, &'a Parameter)> {
    let theirs = partner.contract.as_ref()?;
    // The rows of the table are of another sender, whose macros this one does not have.
    let is_its_own = partner.name == integration.partner;
    let all = integration.contract.parameters.iter();
    let mut needed = all.filter(|one| one.required && !one.canonical.is_secret());
    needed.find_map(|ours| {
        let canonical = ours.canonical;
        let has_macro = is_its_own && integration.macros.contains_key(&canonical);
        let other = theirs.parameter(canonical).filter(|one| one.appended && !has_macro)?;
        (!other.is_named_as(ours)).then_some((ours, other))
    })
}

/// What a sender that speaks as `theirs` has for the same thing. Where we have one of a pair alone,
/// it may be the other one to them: a goal or a kind of event, what they pay or what we earn.
fn placeholder_for<'a>(
    ours: &Contract,
    theirs: &'a Contract,
    canonical: Canonical,
) -> Option<&'a String> {
    let of = |canonical| theirs.parameter(canonical)?.placeholder.as_ref();
    let alike = match canonical {
        Canonical::Goal => Canonical::EventType,
        Canonical::EventType => Canonical::Goal,
        Canonical::Payout => Canonical::Revenue,
        Canonical::Revenue => Canonical::Payout,
        _ => return of(canonical),
    };
    let pays_us = canonical == Canonical::Revenue && theirs.payout_may_be_revenue;
    let is_alone = ours.parameter(alike).is_none() || pays_us;
    of(canonical).or_else(|| of(alike).filter(|_| is_alone))
}

/// A postback URL: what the contract asks for, in its order. `campaign_id` is filled in where it
/// is known; `goal` is added where it is not the default, which needs no telling. What must be
/// there and nobody knows is a [`Gap`], and so is a token that is enforced; what may be there and
/// nobody knows is left out. Where the body is signed, all but proofs stands in it: beside it, the
/// URL says nothing.
pub fn postback_url(
    base: &str,
    integration: &Integration,
    partner: Option<&Partner>,
    campaign_id: Option<CampaignId>,
    goal: Option<&Goal>,
) -> String {
    let contract = &integration.contract;
    let names_goal = goal_parameter(contract);
    let mut url = format!("{base}/postback/{}", integration.key);
    let mut joint = '?';
    for filled in parameters(integration, partner) {
        let parameter = filled.parameter;
        let goal = goal.filter(|_| names_goal == Some(parameter.canonical));
        let Some(value) = value(integration, &filled, campaign_id, goal) else { continue };
        url.push(joint);
        url.push_str(&encoded(parameter.name()));
        url.push('=');
        url.push_str(&value);
        joint = '&';
    }
    url
}

/// What a parameter has in the URL; `None`: it does not stand in it.
fn value(
    integration: &Integration,
    filled: &Filled<'_>,
    campaign_id: Option<CampaignId>,
    goal: Option<&Goal>,
) -> Option<String> {
    let Filled { parameter, placeholder, is_appended } = *filled;
    let (contract, canonical) = (&integration.contract, parameter.canonical);
    let is_in_body = contract.signs_bodies() && !canonical.is_secret();
    // What its sender adds stands in the URL once it calls: twice, the two would disagree.
    if parameter.in_header || is_appended || is_in_body {
        return None;
    }
    let is_needed = parameter.required || carries_token(integration, canonical);
    let is_asked_for = is_needed || parameter.in_url || integration.macros.contains_key(&canonical);
    if let Some(goal) = goal.filter(|goal| is_asked_for || !goal.default) {
        return Some(encoded(word_for(contract, goal)));
    }
    if !is_asked_for {
        return None;
    }
    if let (Canonical::CampaignId, Some(id)) = (canonical, campaign_id) {
        return Some(id.to_string());
    }
    if let Some(placeholder) = placeholder {
        return Some(placeholder.to_owned());
    }
    let is_gap = is_needed || canonical == Canonical::ClickId;
    is_gap.then(|| Gap::of(contract, canonical).to_string())
}

/// Whether it carries a token without which nothing is accepted: one is set, or none is needed for
/// that. What is only tried refuses nothing.
fn carries_token(integration: &Integration, canonical: Canonical) -> bool {
    let rules = &integration.contract.verification;
    let is_agreed = rules.token_required || integration.secrets.contains_key(TOKEN);
    rules.token == Some(canonical) && rules.enforces(ProofKind::Token) && is_agreed
}

/// The parameter that names the goal.
pub fn goal_parameter(contract: &Contract) -> Option<Canonical> {
    let all = [Canonical::Goal, Canonical::EventType];
    all.into_iter().find(|canonical| contract.parameter(*canonical).is_some())
}

/// What the contract's sender calls a goal: its own word where it has one, else the goal's key.
fn word_for<'a>(contract: &'a Contract, goal: &'a Goal) -> &'a str {
    let is_it = |(_, key): &(&String, &String)| key.eq_ignore_ascii_case(&goal.key);
    contract.goals.iter().find(is_it).map_or(&goal.key, |(word, _)| word)
}

fn encoded(text: &str) -> String {
    let mut out = Vec::new();
    encode(text.as_bytes(), &mut out, is_unreserved);
    String::from_utf8(out).expect("what is encoded is ASCII")
}
