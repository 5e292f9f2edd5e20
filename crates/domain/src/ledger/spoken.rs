//! Which of an integration's contracts a hit speaks: the active one, or one in sunset.

use crate::contract::{Canonical, Contract, Parameter};
use crate::integration::Integration;
use crate::postback::{Pair, Pairs, Problem, Sender};
use crate::reason::Reason;
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// The contract that a hit is read through.
#[derive(Clone, Debug)]
pub(super) struct Spoken<'a> {
    pub(super) version: u32,
    pub(super) contract: &'a Contract,
    /// Another one has taken its place.
    pub(super) is_in_sunset: bool,
}

/// Of the contracts in force at `at`, the one that a hit speaks: the active one, unless an earlier
/// one finds more in it, and something that the active one has under no name.
///
/// Whoever brings the proof that a contract asks for speaks it, before anything is counted. What is
/// counted is what decides, and not the names it is said under: labels that the active contract
/// has dropped, or one name sent often, choose nothing.
pub(super) fn spoken<'a>(integration: &'a Integration, sent: &Pairs, at: Timestamp) -> Spoken<'a> {
    let (version, active) = (integration.version, &integration.contract);
    let mut best = Spoken { version, contract: active, is_in_sunset: false };
    let mut in_sunset = integration.in_sunset(at).peekable();
    if in_sunset.peek().is_none() {
        return best;
    }
    let sender = Sender::of(Some(integration), sent.hit.peer, at);
    let listener = Listener { active, sender: &sender, sent };
    let known = listener.heard(active);
    let mut most = known.rank();
    for earlier in in_sunset {
        let here = listener.heard(&earlier.contract);
        if here.rank() > most && listener.hears_more(&earlier.contract, &known) {
            most = here.rank();
            let (version, contract) = (earlier.version, &earlier.contract);
            best = Spoken { version, contract, is_in_sunset: true };
        }
    }
    best
}

/// What a contract finds in a hit.
struct Heard {
    /// How many of the proofs that it asks for are there; none where the active contract asks for
    /// none.
    proofs: usize,
    /// What decides, whatever it is called.
    said: BTreeSet<Canonical>,
}

impl Heard {
    fn rank(&self) -> (usize, usize) {
        (self.proofs, self.said.len())
    }
}

struct Listener<'a> {
    active: &'a Contract,
    sender: &'a Sender<'a>,
    sent: &'a Pairs<'a>,
}

impl Listener<'_> {
    fn heard(&self, contract: &Contract) -> Heard {
        let chooses = contract.parameters.iter().filter(|one| self.chooses(contract, one));
        let said = chooses.filter(|one| is_said(self.sent, one));
        let said: BTreeSet<Canonical> = said.map(|one| as_one(one.canonical)).collect();
        let by_name = said.iter().filter(|one| self.proves(contract, **one)).count();
        let by_network = self.must_prove() && self.sender.is_inside(contract);
        Heard { proofs: by_name + usize::from(by_network), said }
    }

    /// Whether the contract reads something under a name that the active one does not know, and
    /// that the active one has under no other.
    fn hears_more(&self, contract: &Contract, known: &Heard) -> bool {
        all(self.sent).filter(|pair| has_value(pair)).any(|pair| {
            let is_more = |one: &Parameter| {
                self.chooses(contract, one) && !known.said.contains(&as_one(one.canonical))
            };
            parameter(self.active, pair).is_none() && parameter(contract, pair).is_some_and(is_more)
        })
    }

    /// Whether what is said there tells the contracts apart: what decides, and events where the
    /// active contract reads them too, for a hit that tells of nothing else makes no conversion.
    fn chooses(&self, contract: &Contract, parameter: &Parameter) -> bool {
        let canonical = parameter.canonical;
        let is_event = matches!(canonical, Canonical::Event(_));
        self.decides(contract, parameter) || is_event && self.active.parameter(canonical).is_some()
    }

    /// Whether what is said there decides if something counts, or as what: no label, but where the
    /// active contract requires it as well.
    fn decides(&self, contract: &Contract, parameter: &Parameter) -> bool {
        let canonical = parameter.canonical;
        let is_required = |one: &Parameter| one.required;
        match canonical {
            Canonical::Timestamp if contract.verification.timestamp_tolerance_s.is_some() => true,
            canonical if self.proves(contract, canonical) => true,
            canonical
                if canonical.is_label()
                    || canonical.is_secret()
                    || canonical == Canonical::Timestamp =>
            {
                parameter.required && self.active.parameter(canonical).is_some_and(is_required)
            }
            _ => true,
        }
    }

    fn must_prove(&self) -> bool {
        self.sender.must_prove(self.active)
    }

    /// A proof decides only where the active contract asks for one.
    fn proves(&self, contract: &Contract, canonical: Canonical) -> bool {
        self.must_prove() && self.sender.proves_by(contract, canonical)
    }
}

/// Any number of events is one thing that is said.
fn as_one(canonical: Canonical) -> Canonical {
    match canonical {
        Canonical::Event(_) => Canonical::Event(1),
        other => other,
    }
}

/// Headers too: a contract may name them.
fn all<'a>(sent: &'a Pairs<'_>) -> impl Iterator<Item = &'a Pair> {
    sent.all.iter().chain(&sent.headers)
}

fn has_value(pair: &Pair) -> bool {
    !pair.text.trim().is_empty()
}

fn is_said(sent: &Pairs, parameter: &Parameter) -> bool {
    all(sent).any(|pair| has_value(pair) && pair.is_of(parameter))
}

fn parameter<'a>(contract: &'a Contract, pair: &Pair) -> Option<&'a Parameter> {
    contract.parameters.iter().find(|one| pair.is_of(one))
}

/// A problem where a hit says something that decides under a name whose sunset is over, and under
/// no name that is read, though the active contract reads it. What the active contract dropped on
/// purpose it does without.
pub(super) fn retired(
    integration: &Integration,
    sent: &Pairs,
    at: Timestamp,
) -> Result<(), Problem> {
    if integration.retired(at).next().is_none() {
        return Ok(());
    }
    let active = &integration.contract;
    let sender = Sender::of(Some(integration), sent.hit.peer, at);
    let listener = Listener { active, sender: &sender, sent };
    let in_force = || {
        let earlier = integration.in_sunset(at).map(|one| &one.contract);
        std::iter::once(active).chain(earlier)
    };
    let is_said_now = |canonical: Canonical| {
        let mut names = in_force().filter_map(|one| one.parameter(canonical));
        names.any(|one| is_said(sent, one))
    };
    for pair in all(sent).filter(|pair| has_value(pair)) {
        if in_force().any(|contract| parameter(contract, pair).is_some()) {
            continue;
        }
        let known = integration.retired(at).find_map(|one| {
            let old = parameter(&one.contract, pair)?;
            // A payout that was taken for our revenue said what the revenue says now.
            let was_revenue =
                one.contract.payout_may_be_revenue && old.canonical == Canonical::Payout;
            let now = active
                .parameter(old.canonical)
                .or_else(|| was_revenue.then(|| active.parameter(Canonical::Revenue)).flatten())?;
            listener.decides(&one.contract, old).then_some((one.version, now))
        });
        if let Some((version, now)) = known
            && !is_said_now(now.canonical)
        {
            let name = &pair.name;
            let detail = format!(
                "`{name}` is of contract {}.{version}, whose sunset is over; it is called `{}` now",
                integration.id,
                now.name()
            );
            return Err(Problem::new(Reason::ContractRetired, Some(name), detail));
        }
    }
    Ok(())
}
