//! A postback: what a hit says when it is read through a contract.
//!
//! Reading judges form alone: names, encodings, lengths, numbers, the sender's proof. Whether the
//! postback counts is the ledger's decision. Nothing here fails on what a stranger may send: what
//! cannot be read is a [`Problem`] with a reason.

mod amounts;
mod json;
mod pairs;
mod proof;
mod signature;

#[cfg(test)]
mod tests;

pub use amounts::Amount;
pub(crate) use pairs::decode;
pub use pairs::{Inside, PAIRS_MAX, Pair, Pairs};
pub use proof::{Proof, Sender, verify};
pub(crate) use signature::sign;

use crate::campaign::NAME_BYTES_MAX;
use crate::click_id;
use crate::contract::{Canonical, Contract, Meaning, Parameter, ProofKind, TXN_ID_BYTES};
use crate::conversion::Status;
use crate::echo::echoed;
use crate::macros;
use crate::money::{AMOUNT_MAX, AmountError, Currency, Micros};
use crate::reason::{Flag, Flags, Reason};
use crate::time::Timestamp;
use amounts::Amounts;

/// The smallest number an event may have; the largest is that of amounts.
const EVENT_MIN: Micros = Micros(-AMOUNT_MAX.0);
/// How many names that nobody asked for are looked at for the one that was meant: a body may hold
/// many more, and to compare them all takes long.
const NEAREST_OF_MAX: usize = 100;

/// Why a postback cannot be read, in the sender's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub reason: Reason,
    /// The parameter that is to blame, as it was sent; of a missing one, as the contract asks
    /// for it.
    pub parameter: Option<String>,
    /// The name that was sent and is nearest to the missing one.
    pub nearest: Option<String>,
    pub detail: String,
}

impl Problem {
    pub fn new(reason: Reason, parameter: Option<&str>, detail: impl Into<String>) -> Self {
        let parameter = parameter.map(str::to_owned);
        Self { reason, parameter, nearest: None, detail: detail.into() }
    }
}

/// A value with the name it was sent under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub canonical: Canonical,
    pub name: String,
    pub text: String,
}

/// What becomes of a conversion, as a postback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Status(Status),
    /// Reversed where it was approved, else rejected.
    Undone,
    /// It asks for nothing: what says so.
    Ignore(Canonical),
    /// Not in the contract.
    Unknown,
}

/// What a hit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postback {
    /// As it was sent; whether it is one of ours is for the caller to see.
    pub click_id: String,
    pub campaign_id: Option<String>,
    pub txn_id: Option<String>,
    pub status: Said,
    pub raw_status: Option<String>,
    /// The value that names the goal, mapped by the contract where it maps it.
    pub goal: Option<String>,
    pub revenue: Option<Amount>,
    pub sale_amount: Option<Amount>,
    pub payout: Option<Amount>,
    /// `Err`: three letters that are no currency, or something else altogether.
    pub currency: Option<Result<Currency, String>>,
    pub timestamp: Option<Timestamp>,
    /// Labels, events and the sender's reference, as they were sent.
    pub labels: Vec<Value>,
    /// Events were sent, and nothing that would make a conversion.
    pub is_event_only: bool,
    pub flags: Flags,
}

impl Postback {
    /// A label as it was sent.
    pub fn label(&self, canonical: Canonical) -> Option<&str> {
        let value = self.labels.iter().find(|value| value.canonical == canonical)?;
        Some(&value.text)
    }

    /// The sender's own id of the conversion.
    pub fn conversion_ref(&self) -> Option<&str> {
        self.label(Canonical::ConversionRef)
    }
}

/// A hit read through a contract, with all that an engineer wants to see when it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub result: Result<Postback, Problem>,
    /// What was read, in the contract's order; secrets are left out.
    pub values: Vec<Value>,
    /// The names that were sent and that nobody asked for.
    pub unread: Vec<String>,
    /// What a proof that is only tried would have refused it for.
    pub shadow: Option<Problem>,
}

/// Reads what was sent through `contract`. The first reason that applies, in the order of
/// [`Reason::ALL`], becomes the problem.
pub fn read(contract: &Contract, sent: &Pairs<'_>, sender: &Sender<'_>) -> Reading {
    let mut reader = Reader::new(contract, sent, sender);
    let collected = reader.collect();
    let is_read = |pair: &&Pair| {
        let mut all = contract.parameters.iter();
        all.any(|parameter| pair.is_of(parameter) || pair.holds_any_of(parameter))
    };
    let unread: Vec<String> =
        sent.all.iter().filter(|pair| !is_read(pair)).map(|pair| pair.name.clone()).collect();
    let whole = sent
        .fault_for(contract)
        .map_or(Ok(()), |fault| Err(Problem::new(Reason::InvalidPayload, None, fault)));
    let result = earlier(collected, whole).and_then(|()| reader.postback(&unread));
    let values = reader.found.into_iter().filter(|found| !found.canonical.is_secret()).collect();
    Reading { result, values, unread, shadow: reader.shadow }
}

/// Where either is a problem, the one that is looked for first; else the second.
pub(crate) fn earlier<T, U>(
    first: Result<T, Problem>,
    second: Result<U, Problem>,
) -> Result<U, Problem> {
    match (first, second) {
        (Err(first), Err(second)) if second.reason <= first.reason => Err(second),
        (Err(first), _) => Err(first),
        (Ok(_), second) => second,
    }
}

struct Reader<'a> {
    contract: &'a Contract,
    /// What decides is read through this one.
    reading: &'a Contract,
    sent: &'a Pairs<'a>,
    sender: &'a Sender<'a>,
    /// Neither blank nor dropped.
    found: Vec<Value>,
    /// Something was sent, and dropped because it only describes.
    has_dropped: bool,
    is_status_blank: bool,
    /// An event was sent whose value does not read: neither blank nor a macro.
    bad_event: Option<Problem>,
    /// What speaks against the sender where that refuses nothing yet.
    shadow: Option<Problem>,
}

impl<'a> Reader<'a> {
    fn new(contract: &'a Contract, sent: &'a Pairs<'a>, sender: &'a Sender<'a>) -> Self {
        Self {
            contract,
            reading: contract,
            sent,
            sender,
            found: Vec::new(),
            has_dropped: false,
            is_status_blank: false,
            bad_event: None,
            shadow: None,
        }
    }

    /// Finds every parameter's value. What is wrong with one does not hide the others: the click
    /// a refused hit is about is worth knowing.
    fn collect(&mut self) -> Result<(), Problem> {
        let contract = self.contract;
        let mut problem: Option<Problem> = None;
        for parameter in &contract.parameters {
            match self.value(parameter) {
                Ok(value) => self.found.extend(value),
                Err(other) if self.is_shadowed(parameter) => {
                    self.shadow.get_or_insert(other);
                }
                Err(other) if problem.as_ref().is_none_or(|first| other.reason < first.reason) => {
                    problem = Some(other);
                }
                Err(_) => {}
            }
        }
        // An event ping makes no conversion because its number was misspelt.
        let is_ping = !self.found.iter().any(|value| is_event(value) || makes_conversion(value));
        let problem = problem.or_else(|| self.bad_event.take().filter(|_| is_ping));
        problem.map_or(Ok(()), Err)
    }

    /// Whether a value decides if something counts, or as what, so that it must be readable.
    fn matters(&self, parameter: &Parameter) -> bool {
        let rules = &self.contract.verification;
        parameter.required
            || self.contract.tells_apart(parameter.canonical)
            || match parameter.canonical {
                Canonical::Timestamp => rules.timestamp_tolerance_s.is_some(),
                canonical if canonical.is_secret() => self.is_proof(canonical),
                canonical => !canonical.is_label(),
            }
    }

    /// `%AFF_SUB%` is a macro, though `%AF` is a byte too.
    fn is_unreplaced(&self, pair: &Pair) -> bool {
        let is_macro = |text: &str| macros::is_unreplaced(text.trim(), &self.contract.unreplaced);
        // What is not plain has no text, and the brackets around it are no macro's.
        let raw = pair.raw.as_deref().filter(|_| !pair.text.is_empty());
        is_macro(&pair.text) || raw.is_some_and(is_macro)
    }

    fn value(&mut self, parameter: &Parameter) -> Result<Option<Value>, Problem> {
        let pairs = self.sent;
        let sent = || pairs.of_parameter(parameter);
        let is_blank = |pair: &&Pair| pair.text.trim().is_empty() && !pair.is_malformed;
        if parameter.canonical == Canonical::Status && sent().any(|pair| is_blank(&pair)) {
            self.is_status_blank = true;
        }
        let matters = self.matters(parameter);
        let (macros, sent): (Vec<&Pair>, Vec<&Pair>) =
            sent().filter(|pair| !is_blank(pair)).partition(|pair| self.is_unreplaced(pair));
        if let Some(pair) = macros.first() {
            if matters {
                let detail = format!("`{}` still holds a macro", pair.name);
                return Err(Problem::new(Reason::MacroNotReplaced, Some(&pair.name), detail));
            }
            self.has_dropped = true;
        }
        let Some(first) = sent.first() else { return Ok(None) };
        let invalid = |pair: &Pair, detail| {
            Err(Problem::new(Reason::InvalidPayload, Some(&pair.name), detail))
        };
        let is_same = |one: &str, other: &str| match parameter.canonical {
            Canonical::ClickId => click_id::are_same(one, other),
            Canonical::Status | Canonical::Goal | Canonical::EventType | Canonical::Currency => {
                one.eq_ignore_ascii_case(other)
            }
            _ => one == other,
        };
        let differs = |pair: &&&Pair| !is_same(pair.text.trim(), first.text.trim());
        if let Some(other) = sent.iter().find(differs) {
            let detail = if first.name == other.name {
                format!("`{}` was sent twice, with different values", other.name)
            } else {
                format!("`{}` and `{}` disagree", first.name, other.name)
            };
            return invalid(other, detail);
        }
        match fault(parameter, first) {
            None => Ok(Some(Value {
                canonical: parameter.canonical,
                name: first.name.clone(),
                text: first.text.trim().to_owned(),
            })),
            Some(detail) if matters => invalid(first, detail),
            Some(detail) => {
                self.has_dropped = true;
                if matches!(parameter.canonical, Canonical::Event(_)) {
                    let name = Some(first.name.as_str());
                    let problem = Problem::new(Reason::InvalidPayload, name, detail);
                    self.bad_event.get_or_insert(problem);
                }
                Ok(None)
            }
        }
    }

    fn text(&self, canonical: Canonical) -> Option<&str> {
        let value = self.found.iter().find(|value| value.canonical == canonical)?;
        Some(&value.text)
    }

    fn postback(&mut self, unread: &[String]) -> Result<Postback, Problem> {
        let mut flags = Flags::default();
        if self.has_dropped {
            flags.add(Flag::LabelDropped);
        }
        let amounts = self.amounts()?;
        let status = self.status(&amounts);
        self.check_sign(&amounts, status.as_ref())?;
        if amounts.is_rounded() || self.found.iter().any(is_rounded_event) {
            flags.add(Flag::AmountRounded);
        }
        let txn_id = self.txn_id(status.as_ref())?;
        let Amounts { revenue, sale_amount, payout, .. } = amounts;
        let timestamp = self.timestamp()?;
        let is_verified = self.verify()?;
        self.missing(unread)?;
        if !is_verified {
            flags.add(Flag::Unverified);
        }
        let owned = |canonical| self.text(canonical).map(str::to_owned);
        let labels: Vec<Value> =
            self.found.iter().filter(|value| value.canonical.is_label()).cloned().collect();
        Ok(Postback {
            click_id: owned(Canonical::ClickId).unwrap_or_default(),
            campaign_id: owned(Canonical::CampaignId),
            txn_id,
            // Its absence has a meaning, or it is required and was missed above.
            status: status.unwrap_or(Said::Unknown),
            raw_status: owned(Canonical::Status),
            goal: self.goal(),
            revenue,
            sale_amount,
            payout,
            currency: self.currency(),
            timestamp,
            is_event_only: self.is_event_only(),
            labels,
            flags,
        })
    }

    /// `None`: it is absent, and may not be.
    fn status(&self, amounts: &Amounts) -> Option<Said> {
        let statuses = &self.contract.statuses;
        let raw = self.text(Canonical::Status).map(|raw| statuses.meaning(raw));
        let ignored = raw.filter(|raw| *raw == Meaning::Ignore).map(|_| Canonical::Status);
        if let Some(canonical) = ignored.or_else(|| self.ignored()) {
            return Some(Said::Ignore(canonical));
        }
        if let (Some(meant), Some(_)) = (statuses.negative, &amounts.negative) {
            return Some(Said::Status(meant));
        }
        match raw {
            Some(Meaning::Status(status)) => Some(Said::Status(status)),
            Some(Meaning::Undone) => Some(Said::Undone),
            Some(Meaning::Ignore | Meaning::Unknown) => Some(Said::Unknown),
            None if self.is_status_blank => statuses.blank.or(statuses.absent).map(Said::Status),
            None => statuses.absent.map(Said::Status),
        }
    }

    /// What beside the status says that nothing is asked for.
    fn ignored(&self) -> Option<Canonical> {
        let is_ignored = |canonical: Canonical, values: &[String]| {
            let text = self.text(canonical);
            text.is_some_and(|text| values.iter().any(|value| value.eq_ignore_ascii_case(text)))
        };
        let mut all = self.contract.ignore_where.iter();
        all.find(|(canonical, values)| is_ignored(**canonical, values)).map(|(one, _)| *one)
    }

    /// A minus belongs to what takes something back.
    fn check_sign(&self, amounts: &Amounts, status: Option<&Said>) -> Result<(), Problem> {
        let takes_back = matches!(status, Some(Said::Status(Status::Reversed) | Said::Undone))
            || self.contract.statuses.negative.is_some();
        match &amounts.negative {
            Some(name) if !takes_back => {
                let detail = format!("`{name}` is negative");
                Err(Problem::new(Reason::InvalidPayload, Some(name), detail))
            }
            _ => Ok(()),
        }
    }

    /// The transaction that is meant, whatever it is made of. A part that was not sent leaves its
    /// place blank: without it, other parts could pass for it.
    fn txn_id(&self, status: Option<&Said>) -> Result<Option<String>, Problem> {
        let contract = self.contract;
        let is_reversal = matches!(status, Some(Said::Status(Status::Reversed) | Said::Undone));
        let sent = self.text(Canonical::TxnId);
        let own = match contract.reversal.as_ref().filter(|_| is_reversal) {
            Some(reversal) => reversal.original(sent, |canonical| self.text(canonical)),
            None => sent,
        };
        if contract.txn_id_parts.is_empty() {
            return Ok(own.map(str::to_owned));
        }
        let part = |canonical: &Canonical| match canonical {
            Canonical::TxnId => own.map(str::to_owned),
            Canonical::Goal => self.goal().map(|goal| goal.to_ascii_lowercase()),
            Canonical::Status | Canonical::EventType | Canonical::Currency => {
                self.text(*canonical).map(str::to_ascii_lowercase)
            }
            other => self.text(*other).map(str::to_owned),
        };
        let parts: Vec<Option<String>> = contract.txn_id_parts.iter().map(part).collect();
        if parts.iter().all(Option::is_none) {
            return Ok(None);
        }
        let parts = parts.into_iter().map(Option::unwrap_or_default);
        let whole = match contract.txn_id_parts.len() {
            1 => parts.collect(),
            _ => parts.map(|part| escaped(&part)).collect::<Vec<_>>().join("_"),
        };
        let length_max = contract.parameter(Canonical::TxnId).map(Parameter::length_max);
        let length_max = length_max.unwrap_or(TXN_ID_BYTES);
        if whole.len() > length_max {
            let detail =
                format!("the parts of the transaction id are longer than {length_max} bytes");
            return Err(Problem::new(Reason::InvalidPayload, None, detail));
        }
        Ok(Some(whole))
    }

    /// The one that was sent, else the one agreed on.
    fn currency(&self) -> Option<Result<Currency, String>> {
        let sent = self.text(Canonical::Currency);
        let sent = sent.map(|text| text.parse().map_err(|_| text.to_owned()));
        sent.or_else(|| self.contract.currency.map(Ok))
    }

    fn goal(&self) -> Option<String> {
        let raw = self.text(Canonical::Goal).or_else(|| self.text(Canonical::EventType))?;
        let mapped = self.contract.goals.iter().find(|(from, _)| from.eq_ignore_ascii_case(raw));
        Some(mapped.map_or(raw, |(_, key)| key).to_owned())
    }

    fn timestamp(&mut self) -> Result<Option<Timestamp>, Problem> {
        let value = self.found.iter().find(|value| value.canonical == Canonical::Timestamp);
        let (Some(value), Some(_)) = (value, self.contract.verification.timestamp_tolerance_s)
        else {
            return Ok(None);
        };
        let times = &self.contract.times;
        let Some(at) = times.read(&value.text) else {
            let formats = times.formats.join(", ");
            let detail = format!("`{}` is no time as it was agreed: {formats}", value.name);
            let problem = Problem::new(Reason::InvalidPayload, Some(&value.name), detail);
            if self.contract.verification.enforces(ProofKind::Timestamp) {
                return Err(problem);
            }
            self.shadow.get_or_insert(problem);
            return Ok(None);
        };
        Ok(Some(at))
    }

    fn missing(&mut self, unread: &[String]) -> Result<(), Problem> {
        let is_missing = |one: &&Parameter| {
            let has_meaning = one.canonical == Canonical::Status
                && self.is_status_blank
                && self.contract.statuses.blank.is_some();
            one.required && self.text(one.canonical).is_none() && !has_meaning
        };
        let all = self.contract.parameters.iter().filter(is_missing);
        let (shadowed, refused): (Vec<_>, Vec<_>) = all.partition(|one| self.is_shadowed(one));
        if let Some(parameter) = shadowed.first() {
            let problem = self.missed(parameter, unread);
            self.shadow.get_or_insert(problem);
        }
        refused.first().map_or(Ok(()), |parameter| Err(self.missed(parameter, unread)))
    }

    fn missed(&self, parameter: &Parameter, unread: &[String]) -> Problem {
        let problem = missing(parameter, self.sent.name_of(parameter), unread);
        if problem.nearest.is_some() {
            return problem;
        }
        Problem { detail: self.sent.missing(problem.detail), ..problem }
    }

    fn is_event_only(&self) -> bool {
        // A macro that nobody filled in is no event: most senders leave them in one URL for all.
        self.found.iter().any(is_event) && !self.found.iter().any(makes_conversion)
    }
}

fn is_event(value: &Value) -> bool {
    matches!(value.canonical, Canonical::Event(_))
}

fn is_rounded_event(value: &Value) -> bool {
    is_event(value) && Micros::parse(&value.text).is_ok_and(|told| told.rounded)
}

/// Whether it says that there is a conversion, beside an event.
fn makes_conversion(value: &Value) -> bool {
    match value.canonical {
        Canonical::TxnId
        | Canonical::Status
        | Canonical::Goal
        | Canonical::EventType
        | Canonical::ConversionRef => true,
        canonical => canonical.is_money(),
    }
}

/// A part of a transaction id, so that no two lists of parts make one id: `1_2` and `3` are not `1`
/// and `2_3`.
fn escaped(part: &str) -> String {
    part.replace('~', "~~").replace('_', "~_")
}

/// What is wrong with the form of a value; `None`: nothing.
fn fault(parameter: &Parameter, pair: &Pair) -> Option<String> {
    let (name, text) = (&pair.name, pair.text.trim());
    if let Some(kind) = pair.nest() {
        return Some(format!("`{name}` is {kind}, not a value"));
    }
    if pair.is_malformed || text.contains(char::is_control) {
        return Some(format!("`{name}` is not properly encoded text"));
    }
    let length_max = parameter.length_max();
    if text.len() > length_max {
        return Some(format!("`{name}` is longer than {length_max} bytes"));
    }
    let is_allowed = |allowed: &String| allowed.eq_ignore_ascii_case(text);
    if !parameter.allowed.is_empty() && !parameter.allowed.iter().any(is_allowed) {
        return Some(format!("`{name}` is none of: {}", parameter.allowed.join(", ")));
    }
    if matches!(parameter.canonical, Canonical::Event(_)) { event_fault(name, text) } else { None }
}

fn event_fault(name: &str, text: &str) -> Option<String> {
    match Micros::parse(text) {
        Ok(told) if told.amount <= AMOUNT_MAX && told.amount >= EVENT_MIN => None,
        Ok(_) | Err(AmountError::OutOfRange) => {
            Some(format!("`{name}` is not within {EVENT_MIN} and {AMOUNT_MAX}"))
        }
        Err(_) => Some(format!("`{name}` is not a number")),
    }
}

/// `name` is what it was sent as, and blank, else what it is asked for as. The nearest name is one
/// that is near to any that is accepted, or to our own word for it.
pub(crate) fn missing(parameter: &Parameter, name: &str, unread: &[String]) -> Problem {
    let own = parameter.canonical.to_string();
    let accepted: Vec<&str> = parameter.names.iter().chain([&own]).map(String::as_str).collect();
    let sent: Vec<&str> = unread.iter().take(NEAREST_OF_MAX).map(String::as_str).collect();
    let nearest = macros::nearest_to_any(&accepted, &sent);
    // What stands deeper in a body than it is asked for goes by another name there.
    let deeper = || {
        // Longer names are no contract's.
        let short = sent.iter().filter(|name| name.len() <= NAME_BYTES_MAX);
        let deeper = short.filter_map(|name| Some((*name, name.rsplit_once('.')?.1)));
        let (paths, lasts): (Vec<&str>, Vec<&str>) = deeper.unzip();
        let last = macros::nearest_to_any(&accepted, &lasts)?;
        lasts.iter().position(|one| *one == last).map(|place| paths[place])
    };
    let nearest = nearest.or_else(deeper).map(str::to_owned);
    let detail = match &nearest {
        Some(nearest) => {
            let nearest = echoed(nearest);
            format!("`{name}` is required; the nearest name sent is `{nearest}`")
        }
        None => format!("`{name}` is required and was not sent, or was blank"),
    };
    let parameter = Some(name.to_owned());
    Problem { reason: Reason::MissingParameter, parameter, nearest, detail }
}
