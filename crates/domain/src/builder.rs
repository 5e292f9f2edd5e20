//! URLs that are handed out to be pasted elsewhere: a link with the macros of a source of
//! visitors, a postback URL with the macros of whoever sends it; and what is wrong with one that
//! somebody has pasted together.
//!
//! They are for a person to copy and adapt, so macros stay readable. A secret is never filled in.

mod check;

#[cfg(test)]
mod tests;

pub use check::{CHECKED_BYTES_MAX, Checked, Judged, Use, check};

use crate::campaign::Goal;
use crate::contract::{Canonical, Contract, Parameter};
use crate::id::CampaignId;
use crate::integration::Integration;
use crate::macros::{encode, is_unreserved};
use crate::partner::Partner;

/// One parameter of a URL that is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled<'a> {
    pub parameter: &'a Parameter,
    /// What stands for its sender's value.
    pub placeholder: String,
    /// `false`: nobody has told us that the sender knows it.
    pub is_known: bool,
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

/// Every parameter that an integration accepts, with the macro for it: the one that was saved for
/// its sender, else `partner`'s for the same thing, else its contract's, else our own word.
pub fn parameters<'a>(
    integration: &'a Integration,
    partner: Option<&'a Partner>,
) -> impl Iterator<Item = Filled<'a>> {
    let theirs = partner.and_then(|partner| partner.contract.as_ref());
    let own = partner.is_none_or(|partner| partner.name == integration.partner);
    integration.contract.parameters.iter().map(move |parameter| {
        let canonical = parameter.canonical;
        let saved = integration.macros.get(&canonical);
        let of_partner =
            theirs.and_then(|theirs| placeholder_for(&integration.contract, theirs, canonical));
        let of_contract = parameter.placeholder.as_ref();
        let known = saved.or(of_partner).or(of_contract.filter(|_| own));
        let placeholder = known.or(of_contract);
        Filled {
            parameter,
            placeholder: placeholder.cloned().unwrap_or_else(|| format!("{{{canonical}}}")),
            is_known: known.is_some(),
        }
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
/// is known; `goal` is added where it is not the default, which needs no telling.
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
    for Filled { parameter, placeholder, .. } in parameters(integration, partner) {
        if parameter.in_header {
            continue;
        }
        let canonical = parameter.canonical;
        let is_asked_for =
            parameter.in_url || parameter.required || integration.macros.contains_key(&canonical);
        let goal = goal.filter(|_| names_goal == Some(canonical));
        let value = match (canonical, campaign_id, goal) {
            (_, _, Some(goal)) if is_asked_for || !goal.default => {
                encoded(word_for(contract, goal))
            }
            _ if !is_asked_for => continue,
            (Canonical::CampaignId, Some(id), _) => id.to_string(),
            _ => placeholder,
        };
        url.push(joint);
        url.push_str(&encoded(parameter.name()));
        url.push('=');
        url.push_str(&value);
        joint = '&';
    }
    url
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
