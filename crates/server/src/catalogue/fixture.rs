//! Requests and answers that stand in the catalogue's files, tried on what the files say.

use super::place::{Fault, Texts};
use super::reader::Entry;
use domain::contract::{Canonical, Contract, Parameter};
use domain::hit::Hit;
use domain::macros::{Value, nearest_in_words};
use domain::money::{Currency, Micros};
use domain::outbound::{Field, Outbound, Verdict as Heard};
use domain::postback::{self, Amount, Pairs, Postback, Problem, Reading, Said, Sender};
use domain::reason::{Flag, Reason, Verdict};
use domain::secret::Secret;
use domain::time::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use toml::Spanned;

/// A request as a platform sends it, and what is made of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    #[serde(default)]
    pub(super) name: String,
    /// Method and target.
    pub(super) request: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    body: String,
    /// The sender's address; left out, one that the contract lets in.
    #[serde(default)]
    address: Option<IpAddr>,
    /// The agreed secret.
    #[serde(default)]
    pub(super) secret: Option<Secret>,
    /// Where we are reached from outside.
    #[serde(default)]
    external_url: Option<String>,
    /// What is read, by canonical names.
    #[serde(default)]
    says: Option<BTreeMap<String, String>>,
    /// Something vouched for the sender.
    #[serde(default)]
    pub(super) verified: bool,
    /// Why it is not read.
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default)]
    parameter: Option<String>,
    /// What the sender is told.
    #[serde(default)]
    answer: Option<Told>,
    /// Where the signature in it was computed.
    #[serde(default)]
    pub(super) vector: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    #[serde(default)]
    http_status: Option<u16>,
    #[serde(default)]
    body: Option<String>,
}

/// A request that we make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Called {
    #[serde(default)]
    name: String,
    values: BTreeMap<String, String>,
    url: String,
    #[serde(default)]
    body: Option<String>,
}

/// What a platform answers, and what that means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answered {
    status: u16,
    #[serde(default)]
    body: String,
    means: Heard,
}

impl Entry<'_> {
    /// How many fixtures it has.
    pub(crate) fn fixtures(&self) -> usize {
        self.fixtures.len() + self.called.len() + self.answered.len()
    }

    /// Tries all of them; what does not come out as it should.
    pub(super) fn try_fixtures(&self, texts: &Texts<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut add = |span: std::ops::Range<usize>, tried: Result<(), String>| {
            faults.extend(tried.err().map(|why| texts.fault(&span, why)));
        };
        for one in &self.fixtures {
            let fixture = one.get_ref();
            let tried = match &self.partner.contract {
                Some(contract) => fixture.try_on(contract),
                None => Err("there is no contract to read it by".to_owned()),
            };
            add(one.span(), tried.map_err(|why| named(&fixture.name, &why)));
        }
        if let Some(outbound) = &self.partner.outbound {
            for one in &self.called {
                let tried = one.get_ref().try_on(outbound);
                add(one.span(), tried.map_err(|why| named(&one.get_ref().name, &why)));
            }
            for one in &self.answered {
                add(one.span(), one.get_ref().try_on(outbound));
            }
        }
        faults
    }
}

fn named(name: &str, why: &str) -> String {
    if name.is_empty() { why.to_owned() } else { format!("{name}: {why}") }
}

impl Fixture {
    fn try_on(&self, contract: &Contract) -> Result<(), String> {
        let hit = self.hit(contract)?;
        let sent = Pairs::of(&hit);
        let reading = self.read(contract, &hit, &sent);
        let problem = problem(&reading);
        match (&self.says, &self.reason) {
            (Some(says), None) => {
                if let Some(problem) = problem {
                    let (reason, detail) = (problem.reason.name(), &problem.detail);
                    return Err(format!("it is not read: {reason}: {detail}"));
                }
                let postback = reading.result.as_ref().map_err(|problem| problem.detail.clone())?;
                for (name, expected) in says {
                    check_value(contract, &reading, postback, name, expected)?;
                }
                let verified = !postback.flags.has(Flag::Unverified);
                if verified != self.verified {
                    let says = if verified { "vouched for" } else { "not vouched for" };
                    return Err(format!("its sender is {says}, which is not what it says"));
                }
            }
            (None, Some(reason)) => {
                let Some(problem) = problem else { return Err(format!("it is read: no {reason}")) };
                let found = problem.reason.name();
                if found != reason {
                    return Err(format!("{found} instead of {reason}: {}", problem.detail));
                }
                if self.parameter.is_some() && self.parameter != problem.parameter {
                    let found = problem.parameter.as_deref().unwrap_or("no parameter");
                    return Err(format!("{found} is to blame: {}", problem.detail));
                }
            }
            _ => return Err("it has either `says` or `reason`".to_owned()),
        }
        self.check_answer(contract, &sent, problem_of(&reading))
    }

    fn hit(&self, contract: &Contract) -> Result<Hit, String> {
        let line = "a request is a method and a target, such as `GET /postback/key?click_id=abc`";
        let (method, target) = self.request.split_once(' ').ok_or(line)?;
        if !matches!(method, "GET" | "POST") || !target.starts_with('/') || target.contains(' ') {
            return Err(line.to_owned());
        }
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        Ok(Hit {
            method: method.to_owned(),
            target: target.as_bytes().to_vec(),
            content_type: self.content_type.clone(),
            body: self.body.as_bytes().to_vec(),
            peer: self.address.or_else(|| an_address(contract)),
            headers: headers.collect(),
            base: self.external_url.clone().unwrap_or_default(),
            ..Hit::default()
        })
    }

    fn read(&self, contract: &Contract, hit: &Hit, sent: &Pairs<'_>) -> Reading {
        let mut sender = Sender { address: hit.peer, ..Sender::default() };
        match contract.verification.signature {
            Some(_) => sender.signing.extend(&self.secret),
            None => sender.tokens.extend(&self.secret),
        }
        postback::read(contract, sent, &sender)
    }

    fn check_answer(
        &self,
        contract: &Contract,
        sent: &Pairs<'_>,
        reason: Option<Reason>,
    ) -> Result<(), String> {
        let Some(told) = &self.answer else { return Ok(()) };
        let verdict = reason.map_or(Verdict::Recorded, Reason::verdict);
        let answers = &contract.answers;
        let status = answers.http_status(Some(verdict), reason);
        if let Some(expected) = told.http_status
            && expected != status
        {
            return Err(format!("it is answered with {status} instead of {expected}"));
        }
        let Some(expected) = &told.body else { return Ok(()) };
        let returned = answers.return_name.as_ref().filter(|_| verdict != Verdict::Refused);
        let returned = returned.and_then(|name| sent.all.iter().find(|pair| pair.name == *name));
        let returned = returned.and_then(|pair| answers.returned(&pair.text));
        let body = match (returned, answers.reply(Some(verdict))) {
            (Some(asked), _) => asked.to_owned(),
            (None, Some(reply)) => reply.filled(|part| match part {
                "verdict" => Some(verdict.name()),
                "reason" => Some(reason.map_or("", Reason::name)),
                // Nobody has its own receipt in a file.
                _ => None,
            }),
            (None, None) => {
                let verdict = verdict.name();
                return Err(format!("answers.{verdict} spells no body out to compare with"));
            }
        };
        if body == *expected {
            Ok(())
        } else {
            Err(format!("it is answered with `{body}` instead of `{expected}`"))
        }
    }
}

/// The first address of the networks that a contract lets in.
fn an_address(contract: &Contract) -> Option<IpAddr> {
    let network = String::from(*contract.verification.networks.first()?);
    network.split('/').next()?.parse().ok()
}

/// Why a request that was read would come to nothing, as far as its contract says.
fn problem(reading: &Reading) -> Option<Problem> {
    let of = |reason, canonical: Canonical, detail: &str| {
        let sent = reading.values.iter().find(|value| value.canonical == canonical);
        Some(Problem::new(reason, sent.map(|value| value.name.as_str()), detail))
    };
    match &reading.result {
        Err(problem) => Some(problem.clone()),
        Ok(Postback { status: Said::Ignore(canonical), .. }) => {
            of(Reason::StatusIgnored, *canonical, "it asks for nothing")
        }
        Ok(postback) if postback.status == Said::Unknown => {
            of(Reason::UnknownStatus, Canonical::Status, "the status is not in the contract")
        }
        Ok(postback) if matches!(postback.currency, Some(Err(_))) => {
            of(Reason::UnknownCurrency, Canonical::Currency, "there is no such currency")
        }
        Ok(_) => None,
    }
}

fn problem_of(reading: &Reading) -> Option<Reason> {
    problem(reading).map(|problem| problem.reason)
}

fn check_value(
    contract: &Contract,
    reading: &Reading,
    postback: &Postback,
    name: &str,
    expected: &str,
) -> Result<(), String> {
    let canonical = Canonical::from_name(name).ok_or_else(|| {
        let names: Vec<String> =
            contract.parameters.iter().map(|one| one.canonical.to_string()).collect();
        let near = nearest_in_words(name, names.iter().map(String::as_str));
        format!("says: no canonical parameter is called `{name}`{near}")
    })?;
    if canonical.is_secret() {
        return Err(format!("says: `{name}` is a secret, and never told"));
    }
    let raw = reading.values.iter().find(|value| value.canonical == canonical);
    let raw = raw.map(|value| value.text.clone());
    let amount = |amount: Option<Amount>| {
        let Some(amount) = amount else { return Ok(false) };
        let currency = postback.currency.as_ref().and_then(|read| read.as_ref().ok());
        let wanted = Micros::parse(expected).map_err(|error| format!("says.{name}: {error}"))?;
        Ok::<_, String>(amount.of(currency.copied().unwrap_or(Currency::USD)) == wanted.amount)
    };
    let is_it = match canonical {
        Canonical::Revenue => amount(postback.revenue)?,
        Canonical::SaleAmount => amount(postback.sale_amount)?,
        Canonical::Payout => amount(postback.payout)?,
        Canonical::Status => match &postback.status {
            Said::Status(status) => status.name() == expected,
            // What it means, only the conversion's status says.
            Said::Undone => expected == "undone",
            Said::Ignore(_) | Said::Unknown => false,
        },
        Canonical::Goal => postback.goal.as_deref() == Some(expected),
        Canonical::TxnId => postback.txn_id.as_deref() == Some(expected),
        Canonical::Currency => {
            let read = postback.currency.as_ref().and_then(|read| read.as_ref().ok());
            read.is_some_and(|currency| currency.to_string() == expected)
        }
        Canonical::Timestamp => {
            let instant: Option<Timestamp> = expected.parse().ok();
            raw.as_deref() == Some(expected) || instant.is_some() && postback.timestamp == instant
        }
        _ => raw.as_deref() == Some(expected),
    };
    if is_it {
        return Ok(());
    }
    let asked_for = contract.parameter(canonical).map(Parameter::name).unwrap_or_default();
    let found = match (canonical, &raw) {
        (Canonical::Status, _) => format!("{:?}", postback.status),
        (Canonical::Goal, _) => format!("`{}`", postback.goal.as_deref().unwrap_or_default()),
        (_, Some(raw)) => format!("`{raw}`"),
        (_, None) => format!("nothing, and is sent as `{asked_for}`"),
    };
    Err(format!("says.{name}: `{expected}` is what it should be, and it is {found}"))
}

impl Called {
    fn try_on(&self, outbound: &Outbound) -> Result<(), String> {
        let mut values = BTreeMap::new();
        for (name, value) in &self.values {
            let field = Field::parse(name)?.ok_or_else(|| {
                let names: Vec<String> = Field::names().collect();
                let near = nearest_in_words(name, names.iter().map(String::as_str));
                format!("values: there is no `{name}`{near}")
            })?;
            values.insert(field, value.as_str());
        }
        let value = |field: &Field| values.get(field).map_or(Value::Empty, |text| (*text).into());
        let request = outbound.request(value).map_err(|why| why.to_string())?;
        if request.url != self.url {
            return Err(format!("it calls {}", request.url));
        }
        match (&self.body, &request.body) {
            (Some(expected), Some(body)) if expected != body => Err(format!("it sends {body}")),
            (Some(_), None) => Err("it sends no body".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Answered {
    fn try_on(&self, outbound: &Outbound) -> Result<(), String> {
        let means = outbound.verdict_of(self.status, self.body.as_bytes());
        if means == self.means {
            return Ok(());
        }
        let (status, body) = (self.status, &self.body);
        Err(format!("{status} `{body}` means {}, not {}", means.name(), self.means.name()))
    }
}

/// The fixtures in which a signature was computed by somebody else.
pub(super) fn vectors<'e>(entry: &'e Entry<'_>) -> impl Iterator<Item = &'e Spanned<Fixture>> {
    entry.fixtures.iter().filter(|one| {
        let fixture = one.get_ref();
        let has_vector = fixture.vector.as_ref().is_some_and(|vector| !vector.trim().is_empty());
        has_vector && fixture.verified && fixture.secret.is_some() && fixture.reason.is_none()
    })
}
