//! Which of an integration's contracts a hit speaks: the active one, or one in sunset.

use crate::contract::{Canonical, Contract, Parameter};
use crate::integration::Integration;
use crate::postback::{Pair, Pairs, Problem};
use crate::reason::Reason;
use crate::time::Timestamp;

/// The contract that a hit is read through.
#[derive(Clone, Debug)]
pub(super) struct Spoken<'a> {
    pub(super) version: u32,
    pub(super) contract: &'a Contract,
    /// Another one has taken its place.
    pub(super) is_in_sunset: bool,
}

/// Of the contracts in force at `at`, the one that knows most of the names that were sent: the
/// active one, unless another one knows more.
pub(super) fn spoken<'a>(integration: &'a Integration, sent: &Pairs, at: Timestamp) -> Spoken<'a> {
    let (version, contract) = (integration.version, &integration.contract);
    let mut best = Spoken { version, contract, is_in_sunset: false };
    let mut in_sunset = integration.in_sunset(at).peekable();
    if in_sunset.peek().is_none() {
        return best;
    }
    let mut known = names_known(best.contract, sent);
    for earlier in in_sunset {
        let here = names_known(&earlier.contract, sent);
        if here > known {
            known = here;
            let (version, contract) = (earlier.version, &earlier.contract);
            best = Spoken { version, contract, is_in_sunset: true };
        }
    }
    best
}

fn names_known(contract: &Contract, sent: &Pairs) -> usize {
    all(sent).filter(|pair| parameter(contract, pair).is_some()).count()
}

/// Headers too: a contract may name them.
fn all<'a>(sent: &'a Pairs<'_>) -> impl Iterator<Item = &'a Pair> {
    sent.all.iter().chain(&sent.headers)
}

fn parameter<'a>(contract: &'a Contract, pair: &Pair) -> Option<&'a Parameter> {
    contract.parameters.iter().find(|one| pair.is_of(one))
}

/// A problem where a hit says something that matters under a name whose sunset is over, and says
/// it under no name that is read.
pub(super) fn retired(
    integration: &Integration,
    sent: &Pairs,
    at: Timestamp,
) -> Result<(), Problem> {
    if integration.retired(at).next().is_none() {
        return Ok(());
    }
    let in_force = || {
        let earlier = integration.in_sunset(at).map(|one| &one.contract);
        std::iter::once(&integration.contract).chain(earlier)
    };
    let is_said = |canonical: Canonical| {
        let mut names = in_force().filter_map(|one| one.parameter(canonical));
        names.any(|one| all(sent).any(|pair| pair.is_of(one)))
    };
    for pair in all(sent).filter(|pair| !pair.text.trim().is_empty()) {
        if in_force().any(|contract| parameter(contract, pair).is_some()) {
            continue;
        }
        let known = integration.retired(at).find_map(|one| {
            let parameter = parameter(&one.contract, pair)?;
            matters(&one.contract, parameter).then_some((one.version, parameter.canonical))
        });
        if let Some((version, canonical)) = known
            && !is_said(canonical)
        {
            return Err(problem(integration, &pair.name, version, canonical));
        }
    }
    Ok(())
}

/// Whether what is said there decides if something counts, or as what.
fn matters(contract: &Contract, parameter: &Parameter) -> bool {
    let rules = &contract.verification;
    parameter.required
        || match parameter.canonical {
            Canonical::Timestamp => rules.timestamp_tolerance_s.is_some(),
            Canonical::Signature if rules.signature.is_some() => true,
            canonical if canonical.is_secret() => rules.token == Some(canonical),
            canonical => !canonical.is_label(),
        }
}

fn problem(integration: &Integration, name: &str, version: u32, canonical: Canonical) -> Problem {
    let active = integration.contract.parameter(canonical);
    let instead = match active {
        Some(parameter) => format!("it is called `{}` now", parameter.name()),
        None => "nothing has taken its place".to_owned(),
    };
    let detail = format!(
        "`{name}` is of contract {}.{version}, whose sunset is over; {instead}",
        integration.id
    );
    Problem::new(Reason::ContractRetired, Some(name), detail)
}
