//! What vouches for a sender: its network, a token it knows, a signature it made.
//!
//! Whatever a contract asks for must hold, and anything that holds vouches. What does not hold and
//! is only tried, as a shadow of what will be asked for, is noted and refuses nothing.

use super::{NEAREST_OF_MAX, Pair, Pairs, Problem, Reader, Reading, Value, missing, signature};
use crate::contract::{Canonical, Contract, Parameter, ProofKind, SIGNATURE, TOKEN, Verification};
use crate::integration::Integration;
use crate::macros;
use crate::reason::{Flag, Reason};
use crate::secret::Secret;
use crate::time::Timestamp;
use std::net::IpAddr;

/// The sender as far as the connection shows it, and the secrets it should know: those in force,
/// and those on their way out.
#[derive(Clone, Debug, Default)]
pub struct Sender<'a> {
    pub address: Option<IpAddr>,
    pub tokens: Vec<&'a Secret>,
    pub signing: Vec<&'a Secret>,
}

impl<'a> Sender<'a> {
    /// Whoever calls at `at` as `integration`; without one, nothing has been agreed.
    pub fn of(
        integration: Option<&'a Integration>,
        address: Option<IpAddr>,
        at: Timestamp,
    ) -> Self {
        let secrets = |name: &'static str| {
            let all = integration.into_iter().flat_map(move |one| one.secrets_at(name, at));
            all.filter(|secret| !secret.is_empty()).collect()
        };
        Self { address, tokens: secrets(TOKEN), signing: secrets(SIGNATURE) }
    }

    /// Whether the parameter proves it, as things are agreed.
    pub(crate) fn proves_by(&self, contract: &Contract, canonical: Canonical) -> bool {
        let rules = &contract.verification;
        let is_agreed = |secrets: &[&Secret]| rules.token_required || !secrets.is_empty();
        let is_token = rules.token == Some(canonical) && is_agreed(&self.tokens);
        let is_signed = canonical == Canonical::Signature && rules.signature.is_some();
        is_token || is_signed && is_agreed(&self.signing)
    }

    /// Whether it calls from a network that vouches for it.
    pub(crate) fn is_inside(&self, contract: &Contract) -> bool {
        let networks = &contract.verification.networks;
        self.address.is_some_and(|address| networks.iter().any(|net| net.contains(address)))
    }

    /// Whether it has to prove anything by `contract`'s rules, be it only tried.
    pub fn must_prove(&self, contract: &Contract) -> bool {
        let rules = &contract.verification;
        ProofKind::ALL.into_iter().any(|kind| rules.asks_for(kind) && self.can_fail(rules, kind))
    }

    /// Whether it is refused by `contract`'s rules where it proves nothing.
    pub(crate) fn is_refused_unproven(&self, contract: &Contract) -> bool {
        let rules = &contract.verification;
        ProofKind::ALL.into_iter().any(|kind| rules.enforces(kind) && self.can_fail(rules, kind))
    }

    /// Whether that proof can be judged, and vouches for it where it holds: a secret that nobody
    /// has set is not asked for yet, and a time vouches for nobody.
    fn can_fail(&self, rules: &Verification, kind: ProofKind) -> bool {
        match kind {
            ProofKind::Token => rules.token_required || !self.tokens.is_empty(),
            ProofKind::Signature => rules.token_required || !self.signing.is_empty(),
            ProofKind::Networks => true,
            ProofKind::Timestamp => false,
        }
    }
}

/// What a contract's verification comes to, where it refuses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Something vouches for the sender, and nothing speaks against it.
    pub is_verified: bool,
    /// What would be refused, were it not in shadow mode.
    pub shadow: Option<Problem>,
    /// Its time is not near enough to ours, which refuses whatever is not known already.
    pub stale: Option<Problem>,
}

/// Judges the sender by `contract`'s rules alone, where `reading` is what the hit is read through;
/// a problem where something speaks against it.
pub fn verify(
    contract: &Contract,
    reading: &Contract,
    sent: &Pairs<'_>,
    sender: &Sender<'_>,
    at: Timestamp,
) -> Result<Proof, Problem> {
    let mut reader = Reader { reading, ..Reader::new(contract, sent, sender) };
    let rules = &contract.verification;
    let time = rules.timestamp_tolerance_s.and_then(|_| contract.parameter(Canonical::Timestamp));
    let token = rules.token.and_then(|token| contract.parameter(token));
    for parameter in token.into_iter().chain(time) {
        match reader.value(parameter) {
            Ok(value) => reader.found.extend(value),
            Err(problem) if reader.is_shadowed(parameter) => {
                reader.shadow.get_or_insert(problem);
            }
            Err(problem) => return Err(problem),
        }
    }
    let sent_at = reader.timestamp()?;
    let is_verified = reader.verify()?;
    let late = match time {
        Some(time) if reader.text(Canonical::Timestamp).is_none() => {
            let missing = reader.missing_time(time);
            if rules.enforces(ProofKind::Timestamp) {
                return Err(missing);
            }
            Some(missing)
        }
        _ => sent_at.and_then(|sent_at| stale(contract, &reader.found, sent_at, at)),
    };
    let (stale, tried) = parted(contract, late);
    let shadow = reader.shadow.or(tried);
    let is_spoilt = shadow.is_some() && !sender.is_refused_unproven(contract);
    Ok(Proof { is_verified: is_verified && !is_spoilt, shadow, stale })
}

impl Reading {
    /// Judges the time that was read. `Some`: it is not near enough to ours, which refuses whatever
    /// is not known already. Where the time is only tried, that is noted instead; and where anything
    /// that is tried fails, nothing vouches for the sender but what is enforced.
    pub(crate) fn judge_time(
        &mut self,
        contract: &Contract,
        sender: &Sender<'_>,
        at: Timestamp,
    ) -> Option<Problem> {
        let postback = self.result.as_mut().ok()?;
        let stale = postback.timestamp.and_then(|sent| stale(contract, &self.values, sent, at));
        let (stale, tried) = parted(contract, stale);
        self.shadow = self.shadow.take().or(tried);
        if self.shadow.is_some() && !sender.is_refused_unproven(contract) {
            postback.flags.add(Flag::Unverified);
        }
        stale
    }
}

/// What is wrong with a time, where the contract enforces it, and where it only tries it.
fn parted(contract: &Contract, problem: Option<Problem>) -> (Option<Problem>, Option<Problem>) {
    let is_enforced = contract.verification.enforces(ProofKind::Timestamp);
    if is_enforced { (problem, None) } else { (None, problem) }
}

/// What is wrong with a time of the sender's at `at`; `None`: it is near enough, or need not be.
fn stale(contract: &Contract, values: &[Value], sent: Timestamp, at: Timestamp) -> Option<Problem> {
    let tolerance_s = contract.verification.timestamp_tolerance_s?;
    if at.as_us().abs_diff(sent.as_us()) <= u64::from(tolerance_s) * 1_000_000 {
        return None;
    }
    let value = values.iter().find(|value| value.canonical == Canonical::Timestamp);
    let name = value.map_or("timestamp", |value| value.name.as_str());
    let detail = format!("`{name}` is more than {tolerance_s} s from our time");
    Some(Problem::new(Reason::StaleTimestamp, Some(name), detail))
}

impl Reader<'_> {
    /// Whether the parameter proves the sender, as things are agreed.
    pub(super) fn is_proof(&self, canonical: Canonical) -> bool {
        self.sender.proves_by(self.contract, canonical)
    }

    /// Whether what is wrong with it refuses nothing yet.
    pub(super) fn is_shadowed(&self, parameter: &Parameter) -> bool {
        let rules = &self.contract.verification;
        let kind = match parameter.canonical {
            canonical if rules.token == Some(canonical) => ProofKind::Token,
            Canonical::Signature => ProofKind::Signature,
            Canonical::Timestamp => ProofKind::Timestamp,
            _ => return false,
        };
        rules.shadow.contains(&kind)
    }

    /// Whether anything vouches for the sender; a problem where something speaks against it.
    pub(super) fn verify(&mut self) -> Result<bool, Problem> {
        let rules = &self.contract.verification;
        let proofs = [
            (ProofKind::Networks, self.network()),
            (ProofKind::Token, self.token()),
            (ProofKind::Signature, self.signature()),
        ];
        // What is only tried vouches for nobody where anything that is tried fails.
        let (mut by_enforced, mut by_tried) = (false, false);
        for (kind, proof) in proofs {
            match proof {
                Ok(is_proven) if rules.enforces(kind) => by_enforced |= is_proven,
                Ok(is_proven) => by_tried |= is_proven,
                Err(problem) if rules.enforces(kind) => return Err(problem),
                Err(problem) => _ = self.shadow.get_or_insert(problem),
            }
        }
        Ok(by_enforced || by_tried && self.shadow.is_none())
    }

    fn network(&self) -> Result<bool, Problem> {
        let networks = &self.contract.verification.networks;
        if networks.is_empty() || self.sender.is_inside(self.contract) {
            return Ok(!networks.is_empty());
        }
        let detail = "the sender's address is outside the contract's networks";
        Err(Problem::new(Reason::SourceNotAllowed, None, detail))
    }

    fn token(&self) -> Result<bool, Problem> {
        let rules = &self.contract.verification;
        let Some(canonical) = rules.token else { return Ok(false) };
        let parameter = self.contract.parameter(canonical);
        let name = parameter.map_or(TOKEN, |parameter| self.sent.name_of(parameter));
        let wrong = |detail: String| Problem::new(Reason::SignatureMismatch, Some(name), detail);
        let tokens = &self.sender.tokens;
        if tokens.is_empty() {
            let detail = || wrong(format!("no token has been set for `{name}` yet"));
            return if rules.token_required { Err(detail()) } else { Ok(false) };
        }
        let Some(text) = self.text(canonical) else {
            let is_header = parameter.is_some_and(|parameter| parameter.in_header);
            let detail = format!("`{name}` is missing");
            return Err(self.missing_proof((name, is_header), parameter, detail));
        };
        // All are compared: how long it takes says nothing about which one it is.
        let is_right = tokens.iter().fold(false, |is_right, token| is_right | token.verifies(text));
        if is_right { Ok(true) } else { Err(wrong(format!("`{name}` is not the agreed token"))) }
    }

    fn signature(&self) -> Result<bool, Problem> {
        let rules = &self.contract.verification;
        let parameter = self.contract.parameter(Canonical::Signature);
        let (Some(scheme), Some(parameter)) = (&rules.signature, parameter) else {
            return Ok(false);
        };
        let name = self.sent.name_of(parameter);
        let wrong = |detail| Problem::new(Reason::SignatureMismatch, Some(name), detail);
        let signing = &self.sender.signing;
        if signing.is_empty() {
            let detail = || wrong(format!("no secret has been set for `{name}` yet"));
            return if rules.token_required { Err(detail()) } else { Ok(false) };
        }
        signature::verify([self.contract, self.reading], scheme, parameter, self.sent, signing)
            .map(|()| true)
            .map_err(|fault| match fault {
                signature::Fault::Wrong(detail) => wrong(detail),
                signature::Fault::Missing { name: missing, is_header, detail } => {
                    let carrier = Some(parameter).filter(|_| missing == name);
                    self.missing_proof((&missing, is_header), carrier, detail)
                }
            })
    }

    /// What is to be said where a proof, or something that it is made over, was not sent as
    /// `name`, or was blank; a proof may have other names too.
    fn missing_proof(
        &self,
        (name, is_header): (&str, bool),
        carrier: Option<&Parameter>,
        detail: String,
    ) -> Problem {
        let own = carrier.map(|carrier| carrier.canonical.to_string());
        let others = carrier.into_iter().flat_map(|carrier| &carrier.names).chain(&own);
        let wanted: Vec<&str> = others.map(String::as_str).chain([name]).collect();
        let is_unread = |pair: &&Pair| !self.is_looked_at(pair);
        let sent = self.sent.all.iter().filter(is_unread).take(NEAREST_OF_MAX);
        let headers = self.sent.headers.iter().filter(is_unread).take(NEAREST_OF_MAX);
        let unread: Vec<&Pair> = sent.chain(headers).collect();
        let names: Vec<&str> = unread.iter().map(|pair| pair.name.as_str()).collect();
        let nearest = macros::nearest_to_any(&wanted, &names);
        let pair = nearest.and_then(|near| unread.iter().find(|pair| pair.name == near));
        let detail = match pair {
            None => self.sent.missing(detail),
            Some(Pair { name, is_header: true, .. }) if !is_header => {
                format!("{detail}; the nearest name sent is the header `{name}`")
            }
            Some(Pair { name, is_header: false, .. }) if is_header => {
                format!("{detail}; the nearest name sent is `{name}`, which is no header")
            }
            Some(Pair { name, .. }) => format!("{detail}; the nearest name sent is `{name}`"),
        };
        let nearest = nearest.map(str::to_owned);
        Problem { nearest, ..Problem::new(Reason::SignatureMismatch, Some(name), detail) }
    }

    fn missing_time(&self, time: &Parameter) -> Problem {
        let unread = self.sent.all.iter().filter(|pair| !self.is_looked_at(pair));
        let unread: Vec<String> = unread.map(|pair| pair.name.clone()).collect();
        missing(time, self.sent.name_of(time), &unread)
    }

    /// Whether anything is read from it, or signed with it.
    fn is_looked_at(&self, pair: &Pair) -> bool {
        let both = [self.contract, self.reading].into_iter().flat_map(|one| &one.parameters);
        let scheme = self.contract.verification.signature.as_ref();
        both.into_iter().any(|parameter| pair.is_of(parameter))
            || scheme.is_some_and(|scheme| match pair.is_header {
                true => scheme.headers().any(|name| name.eq_ignore_ascii_case(&pair.name)),
                false => scheme.input.fields().any(|name| name == pair.name),
            })
    }
}
