//! What can be done to destinations.

use super::execute::{ALL_PARTNERS, Executed, in_use};
use super::{Act, Answer, Effect, Failure, given};
use crate::contract::Scheme;
use crate::destination::{
    Backfilled, DESTINATIONS_MAX, Destination, Owner, Pace, Period, Rules, SIGNING,
    standard_webhooks,
};
use crate::id::{DestinationId, PublisherId};
use crate::macros::nearest_in_words;
use crate::outbound::Outbound;
use crate::secret::Secret;
use crate::setup::{Change, Setup};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /destinations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDestination {
    pub owner: Owner,
    pub outbound: NewOutbound,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub account: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    #[serde(default)]
    pub rules: Rules,
    #[serde(default)]
    pub pace: Pace,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewOutbound {
    /// As the catalogue has it for that platform now.
    Partner(String),
    Own(Box<Outbound>),
}

/// `PATCH /destinations/{id}`: what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DestinationChanges {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<NewOutbound>,
    /// All of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<BTreeMap<String, String>>,
    /// By their names, beside those it has; `None` takes one away.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Option<Secret>>,
    /// `Some(None)` takes it away.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub scheme: Option<Option<Scheme>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
}

impl Setup {
    pub(super) fn execute_on_destination(&self, act: &Act, at: Timestamp) -> Executed {
        match act {
            Act::CreateDestination(new) => self.create_destination(new),
            Act::ChangeDestination { id, changes } => self.change_destination(*id, changes),
            Act::ArchiveDestination { id } => {
                let destination = Destination { archived: true, ..self.the_destination(*id)? };
                Ok(Effect::of(Change::Destination(Box::new(destination))))
            }
            Act::BackfillDestination { id, period } => {
                self.to_backfill(*id, *period, at)?;
                Ok(Effect::nothing(Answer::Backfilled(Backfilled::default())))
            }
            _ => unreachable!("only acts on destinations are handed here"),
        }
    }

    /// The destination that may be told of that period at `at`, and the publisher whose conversions
    /// it is told of.
    pub fn to_backfill(
        &self,
        id: DestinationId,
        period: Period,
        at: Timestamp,
    ) -> Result<(&Destination, PublisherId), Failure> {
        let found = self.destination(id).and_then(|one| Some((one, self.publisher_of(one.owner)?)));
        let (destination, publisher) =
            found.ok_or_else(|| Failure::not_found("destination", id))?;
        in_use("destination", id, destination.archived)?;
        match period.fault(at) {
            Some((field, detail)) => Err(Failure::invalid(field, detail)),
            None => Ok((destination, publisher)),
        }
    }

    fn publisher_of(&self, owner: Owner) -> Option<PublisherId> {
        match owner {
            Owner::Publisher { publisher_id } => Some(publisher_id),
            Owner::Link { link_id } => self.link(link_id).map(|link| link.publisher_id),
        }
    }

    fn the_destination(&self, id: DestinationId) -> Result<Destination, Failure> {
        self.destination(id).cloned().ok_or_else(|| Failure::not_found("destination", id))
    }

    fn create_destination(&self, new: &NewDestination) -> Executed {
        match new.owner {
            Owner::Publisher { publisher_id } => {
                if self.publisher(publisher_id).is_none_or(|one| one.archived) {
                    let detail = format!("there is no publisher {publisher_id} in use");
                    return Err(Failure::invalid("publisher_id", detail));
                }
            }
            Owner::Link { link_id } => {
                if self.link(link_id).is_none_or(|one| one.archived) {
                    let detail = format!("there is no link {link_id} in use");
                    return Err(Failure::invalid("link_id", detail));
                }
            }
        }
        let used = self.destinations_of(new.owner).filter(|one| !one.archived).count();
        if used >= DESTINATIONS_MAX {
            let detail = format!("it has {used} destinations, which is as many as there may be");
            return Err(Failure::conflict("in_use", detail));
        }
        let (partner, outbound) = self.outbound_of(&new.outbound)?;
        let destination = Destination {
            id: DestinationId(self.next_id(&self.destinations)),
            owner: new.owner,
            partner,
            outbound,
            account: new.account.clone(),
            secrets: new.secrets.clone(),
            scheme: new.scheme.clone(),
            rules: new.rules.clone(),
            pace: new.pace,
            archived: false,
        };
        put(destination)
    }

    fn change_destination(&self, id: DestinationId, changes: &DestinationChanges) -> Executed {
        let mut destination = self.the_destination(id)?;
        in_use("destination", id, destination.archived)?;
        if let Some(outbound) = &changes.outbound {
            (destination.partner, destination.outbound) = self.outbound_of(outbound)?;
        }
        if let Some(account) = &changes.account {
            destination.account.clone_from(account);
        }
        for (name, secret) in &changes.secrets {
            match secret {
                Some(secret) => destination.secrets.insert(name.clone(), secret.clone()),
                None => destination.secrets.remove(name),
            };
        }
        if let Some(scheme) = &changes.scheme {
            destination.scheme.clone_from(scheme);
        }
        if let Some(rules) = &changes.rules {
            destination.rules = rules.clone();
        }
        destination.pace = changes.pace.unwrap_or(destination.pace);
        put(destination)
    }

    fn outbound_of(&self, new: &NewOutbound) -> Result<(Option<String>, Outbound), Failure> {
        let name = match new {
            NewOutbound::Own(outbound) => return Ok((None, (**outbound).clone())),
            NewOutbound::Partner(name) => name,
        };
        let called = |name: &str| self.partner(name).and_then(|one| one.outbound.as_deref());
        if let Some(outbound) = called(name) {
            return Ok((Some(name.clone()), outbound.clone()));
        }
        let detail = match self.partner(name) {
            Some(_) => {
                format!("the catalogue has no URL that `{name}` is called at: give `url`")
            }
            None => {
                let names = self.partners.keys().filter(|name| called(name).is_some());
                let near = nearest_in_words(name, names.map(String::as_str));
                format!("no partner is called `{name}`{near}; {ALL_PARTNERS}")
            }
        };
        Err(Failure::invalid("partner", detail))
    }
}

/// With a secret and nothing that says how it signs, it signs by Standard Webhooks. The headers of
/// that come and go with it.
fn put(mut destination: Destination) -> Executed {
    let (standard, headers) = standard_webhooks();
    let is_standard = destination.scheme.as_ref().is_none_or(|scheme| *scheme == standard);
    let mut bare = destination.outbound.clone();
    bare.headers.retain(|name, value| headers.get(name) != Some(value));
    if is_standard && !destination.secrets.contains_key(SIGNING) {
        destination.scheme = None;
        destination.outbound = bare;
    } else if is_standard && bare.signature_place() == Ok(None) {
        destination.outbound.headers.extend(headers);
        destination.scheme = Some(standard);
    } else if destination.outbound.signature_place().is_err() && bare.signature_place().is_ok() {
        destination.outbound = bare;
    }
    match destination.fault() {
        Some(fault) => Err(Failure::invalid(&fault.path, fault.detail)),
        None => Ok(Effect::of(Change::Destination(Box::new(destination)))),
    }
}
