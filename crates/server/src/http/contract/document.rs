//! What the page of a contract says, before it is written as HTML or Markdown: so both say the
//! same.

use domain::builder;
use domain::contract::version::Status;
use domain::contract::{
    Answers, Canonical, Contract, Parameter, Profile, TxnIdAbsent, Unit, Version, difference, words,
};
use domain::integration::{Integration, Scope};
use domain::reason::{Reason, Verdict};
use domain::setup::{History, Setup};
use domain::time::Timestamp;
use std::collections::BTreeSet;

/// What stands where the key does in a real URL.
const KEY: &str = "KEY";
/// A receipt, as an example.
const RECEIPT: &str = r#"{"receipt":"0000…","verdict":"refused","reason":"missing_parameter","parameter":"txn_id",
 "conversion":null,"status":null,"flags":[],"original":null,"retriable":false,"retry_after_s":null,
 "max_retries":null,"received_at":"2026-11-20T09:31:00Z","decided_at":"2026-11-20T09:31:00.002Z",
 "contract":"12.3","http_status":400}"#;

/// A page. Between backticks stands what is to be taken as it stands.
pub(super) struct Document {
    pub(super) title: String,
    pub(super) lead: Vec<String>,
    pub(super) sections: Vec<Section>,
}

pub(super) struct Section {
    pub(super) heading: &'static str,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Text(String),
    List(Vec<String>),
    /// Heads, and rows of as many cells.
    Table(Vec<&'static str>, Vec<Vec<String>>),
    Code(String),
}

/// A part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span<'a> {
    Text(&'a str),
    Code(&'a str),
}

/// The parts of a line. One whose backticks do not come in pairs is all text.
pub(super) fn spans(text: &str) -> Vec<Span<'_>> {
    if !text.matches('`').count().is_multiple_of(2) {
        return vec![Span::Text(text)];
    }
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts
        .map(
            |(place, part)| {
                if place.is_multiple_of(2) { Span::Text(part) } else { Span::Code(part) }
            },
        )
        .collect()
}

fn text(text: impl Into<String>) -> Block {
    Block::Text(text.into())
}

fn section(heading: &'static str, blocks: Vec<Block>) -> Section {
    Section { heading, blocks }
}

impl Document {
    /// The page of that version, as things stand at `now`.
    pub(super) fn of(setup: &Setup, version: &Version, base: &str, now: Timestamp) -> Self {
        let integration = setup.integration(version.integration_id);
        let integration = integration.expect("a version is of an integration");
        let contract = &version.contract;
        let partner = setup.partner(&integration.partner);
        let partner = partner.map_or(&*integration.partner, |partner| &partner.title);
        let (id, number) = (version.integration_id, version.number);
        let mut sections = vec![
            url(setup, integration, contract, base),
            parameters(contract),
            statuses(contract),
            goals(contract),
            identity(contract),
            times(contract),
            proof(contract),
            answers(contract),
        ];
        sections.extend(changes(setup, version));
        Self {
            title: format!("{partner}: contract of integration {id}, version {number}"),
            lead: lead(setup, version, integration, now),
            sections,
        }
    }
}

fn lead(
    setup: &Setup,
    version: &Version,
    integration: &Integration,
    now: Timestamp,
) -> Vec<String> {
    let mut lead = vec![match version.status {
        _ if integration.archived => "This integration is not in use any more.".to_owned(),
        Status::Draft | Status::SignedOff => "This is a draft: it is not in force.".to_owned(),
        Status::Active => {
            let history = setup.contracts.get(&(version.integration_id, version.number));
            let since = history.map_or(now, History::changed_at);
            format!("It is in force since {since}.")
        }
        Status::Sunset { until } if until > now => format!(
            "Version {} has taken its place. Postbacks that speak as this one says are still \
             read until {until}.",
            integration.version
        ),
        Status::Sunset { until } => format!(
            "Version {} has taken its place. This one is not in force since {until}.",
            integration.version
        ),
        Status::Discarded => "This draft was discarded.".to_owned(),
    }];
    let cutover = version.cutover_on.as_ref();
    lead.extend(cutover.map(|date| format!("Date of the cutover: {date}.")));
    let note = version.note.iter().flat_map(|note| note.lines());
    lead.extend(note.filter(|line| !line.trim().is_empty()).map(str::to_owned));
    lead
}

fn url(setup: &Setup, integration: &Integration, contract: &Contract, base: &str) -> Section {
    let partner = setup.partner(&integration.partner);

    let shown =
        Integration { key: KEY.to_owned(), contract: contract.clone(), ..integration.clone() };
    let campaign_id = match integration.scope {
        Scope::Campaign { campaign_id } => Some(campaign_id),
        _ => None,
    };
    let url = builder::postback_url(base, &shown, partner, campaign_id, None);
    let how = "Sent by GET, or by POST as a form or as JSON. `KEY` stands for the key in the \
        postback URL that you were given. What stands in braces, or says `REPLACE_WITH_…`, is \
        yours to fill in.";
    let added = contract.parameters.iter().filter(|one| one.appended);
    let added: Vec<&str> = added.map(Parameter::name).collect();
    let mut blocks = vec![Block::Code(url), text(how)];
    if !added.is_empty() {
        let added = words::listed(&added, "and");
        blocks.push(text(format!("You add {added} to it yourself.")));
    }
    section("The postback URL", blocks)
}

fn parameters(contract: &Contract) -> Section {
    let row = |parameter: &Parameter| {
        let names = words::listed(&parameter.names, "or");
        let names = if parameter.in_header { format!("header {names}") } else { names };
        let required = if parameter.required { "yes" } else { "no" };
        vec![
            names,
            words::meaning(parameter.canonical),
            required.to_owned(),
            parameter.length_max().to_string(),
            values(parameter),
        ]
    };
    let head = vec!["Name", "Means", "Required", "Bytes at most", "Values"];
    let mut rules = vec![
        "Names are case-sensitive. Blanks around a value are taken away; a blank value is as good \
         as none."
            .to_owned(),
        "Two values for one thing that differ are refused. Names that are not here do no harm."
            .to_owned(),
        "A value that is too long is refused, never cut; one that only describes is left out."
            .to_owned(),
        "A macro that was not replaced is refused, or left out where it only describes.".to_owned(),
    ];
    if let Some(currency) = contract.currency {
        rules.push(format!("Amounts are in {currency}, where a postback does not say otherwise."));
    }
    if contract.payout_may_be_revenue {
        rules.push("A payout without a revenue is what you pay us.".to_owned());
    }
    if !contract.unreplaced.is_empty() {
        let all = words::listed(&contract.unreplaced, "or");
        rules.push(format!("{all} stands for no value."));
    }
    let rows = contract.parameters.iter().map(row).collect();
    section("Parameters", vec![Block::Table(head, rows), Block::List(rules)])
}

fn values(parameter: &Parameter) -> String {
    match parameter.canonical {
        _ if !parameter.allowed.is_empty() => words::listed(&parameter.allowed, "or"),
        Canonical::Event(_) => "a number".to_owned(),
        canonical if canonical.is_money() => match parameter.unit {
            Unit::Decimal => "an amount such as `2.35`".to_owned(),
            Unit::Minor => "whole minor units: `235` is 2.35".to_owned(),
        },
        _ => "any".to_owned(),
    }
}

fn statuses(contract: &Contract) -> Section {
    let statuses = &contract.statuses;
    let mut rows: Vec<Vec<String>> = statuses
        .values
        .iter()
        .filter(|(_, raws)| !raws.is_empty())
        .map(|(status, raws)| vec![words::listed(raws, "or"), status.name().to_owned()])
        .collect();
    if !statuses.undone.is_empty() {
        let undone = "reversed where it was approved, else rejected";
        rows.push(vec![words::listed(&statuses.undone, "or"), undone.to_owned()]);
    }
    if !statuses.ignore.is_empty() {
        rows.push(vec![words::listed(&statuses.ignore, "or"), "nothing: a ping".to_owned()]);
    }
    let absent = words::assumed(statuses.absent);
    let blank = words::assumed(statuses.blank.or(statuses.absent));
    let rest = if absent == blank {
        format!("Without one, a postback is {absent}.")
    } else {
        format!("Without one, a postback is {absent}; with a blank one, it is {blank}.")
    };
    let rest = format!("{rest} Case makes no difference, and any other word is refused.");
    let mut blocks = vec![text(rest)];
    if !rows.is_empty() {
        blocks.insert(0, Block::Table(vec!["Word", "Status"], rows));
    }
    if let Some(status) = statuses.negative {
        let name = status.name();
        blocks.push(text(format!("With a negative amount it is {name}, whatever the word says.")));
    }
    for (canonical, values) in &contract.ignore_where {
        let name = contract.parameter(*canonical).map_or("", Parameter::name);
        let all = words::listed(values, "or");
        blocks.push(text(format!("A postback whose `{name}` is {all} asks for nothing.")));
    }
    section("Status words", blocks)
}

fn goals(contract: &Contract) -> Section {
    let is_named = [Canonical::Goal, Canonical::EventType]
        .into_iter()
        .any(|canonical| contract.parameter(canonical).is_some());
    let mut blocks = Vec::new();
    if !contract.goals.is_empty() {
        let rows =
            contract.goals.iter().map(|(raw, key)| vec![format!("`{raw}`"), format!("`{key}`")]);
        blocks.push(Block::Table(vec!["Word", "Goal"], rows.collect()));
    }
    blocks.push(text(if is_named {
        "A goal's own key names it too. Without one, a postback is for the campaign's default goal."
    } else {
        "Every postback is for the campaign's default goal."
    }));
    section("Goals", blocks)
}

fn identity(contract: &Contract) -> Section {
    let repeats = &contract.repeats;
    let mut rules = vec![format!(
        "Two postbacks are one conversion by {}.",
        words::identity(contract.identity)
    )];
    if !contract.txn_id_parts.is_empty() {
        let parts: Vec<String> = contract.txn_id_parts.iter().map(ToString::to_string).collect();
        rules.push(format!("A transaction id is made of {}.", words::listed(&parts, "and")));
    }
    if contract.txn_id_folded {
        rules.push("Transaction ids are compared without case.".to_owned());
    }
    if contract.txn_id_absent != TxnIdAbsent::One {
        let absent = words::txn_id_absent(contract.txn_id_absent);
        rules.push(format!("Postbacks without a transaction id are {absent}."));
    }
    if let Some(reversal) = &contract.reversal {
        let name = reversal.txn_id.and_then(|canonical| contract.parameter(canonical));
        let name = name.map_or("txn_id", Parameter::name);
        let prefix = match reversal.txn_id_prefix.as_str() {
            "" => String::new(),
            prefix => format!(", behind `{prefix}`"),
        };
        rules.push(format!("A reversal names what it reverses by `{name}`{prefix}."));
    }
    if let Some(until) = contract.triage_until {
        rules.push(format!(
            "Until {until} a postback without its transaction id is kept, pending and unpaid, \
             until the id is found."
        ));
    }
    rules.push("The same postback again changes nothing, however often it comes.".to_owned());
    rules.push(if repeats.status {
        "A later postback of one conversion may change its status.".to_owned()
    } else {
        "A later postback of one conversion does not change its status.".to_owned()
    });
    if !repeats.transitions.is_empty() {
        let all: Vec<String> = repeats.transitions.iter().map(|one| String::from(*one)).collect();
        rules.push(format!("It may ask for {}.", words::listed(&all, "and")));
    }
    rules.push(format!(
        "Of two amounts for one conversion {} counts.",
        words::repeated_amount(repeats.amount)
    ));
    let is_event = |parameter: &Parameter| matches!(parameter.canonical, Canonical::Event(_));
    if contract.parameters.iter().any(is_event) {
        rules.push(format!(
            "Events that come alone, with a click id, make no conversion. Of two numbers for one \
             event {} counts.",
            words::repeated_events(repeats.events)
        ));
    }
    section("What makes one conversion", vec![Block::List(rules)])
}

fn times(contract: &Contract) -> Section {
    let times = &contract.times;
    let formats: Vec<String> = times.formats.iter().map(|it| words::time_format(it)).collect();
    let mut blocks = vec![text(format!(
        "A time is written as {}. One that names no zone is of `{}`.",
        formats.join(", or as "),
        times.zone
    ))];
    if let Some(seconds) = contract.verification.timestamp_tolerance_s {
        let limit = format!("What was sent more than {seconds} seconds ago, or ahead, is refused.");
        blocks.push(text(limit));
    }
    section("Time", blocks)
}

fn proof(contract: &Contract) -> Section {
    let rules = &contract.verification;
    let mut told = Vec::new();
    if let Some(parameter) = rules.token.and_then(|token| contract.parameter(token)) {
        let name = parameter.name();
        told.push(format!("`{name}` carries the token that we share; it is told in another way."));
    }
    let signature = rules.signature.as_ref().zip(contract.parameter(Canonical::Signature));
    if let Some((scheme, parameter)) = signature {
        let (name, how) = (parameter.name(), words::signature(scheme));
        told.push(format!("`{name}` is {how}. The secret is told in another way."));
    }
    if rules.token_required {
        told.push("Nothing is accepted without that proof.".to_owned());
    }
    if !rules.networks.is_empty() {
        let all: Vec<String> = rules.networks.iter().map(|one| String::from(*one)).collect();
        told.push(format!("Postbacks come from {}.", words::listed(&all, "or")));
    }
    if rules.shadow {
        told.push("For now nothing is refused for want of that proof; it is counted.".to_owned());
    }
    if told.is_empty() {
        return section("Proof of the sender", vec![text("None is asked for.")]);
    }
    section("Proof of the sender", vec![Block::List(told)])
}

fn answers(contract: &Contract) -> Section {
    let answers = &contract.answers;
    let row = |verdict| {
        let (about, how) = (words::occasion(verdict), words::reply(answers, verdict));
        vec![about.to_owned(), how, statuses_of(answers, verdict)]
    };
    let verdicts = Verdict::ALL.map(Some).into_iter().chain([None]);
    let head = vec!["To", "Answer", "HTTP"];
    let mut blocks = vec![Block::Table(head, verdicts.clone().map(row).collect())];
    let is_receipt = answers.reply(Some(Verdict::Refused)).is_none();
    if answers.profile == Profile::Receipt && is_receipt {
        let refusals = Reason::ALL.into_iter().filter(|one| one.verdict() == Verdict::Refused);
        let row = |one: Reason| vec![format!("`{}`", one.name()), one.http_status().to_string()];
        blocks.push(Block::Table(vec!["Reason of a refusal", "HTTP"], refusals.map(row).collect()));
        blocks.push(text("A receipt, as an example:"));
        blocks.push(Block::Code(RECEIPT.to_owned()));
    }
    if let Some(name) = &answers.return_name {
        blocks.push(text(format!("The value of `{name}` is the body of all but refusals.")));
    }
    blocks.push(text(
        "Every answer has the receipt in its header `Counterfoil-Receipt`; what became of the \
         postback can be looked up with it at `/receipts/{receipt}`.",
    ));
    let mut retries = "503 means that it was not received: send it again".to_owned();
    if let Some(seconds) = answers.retry_after_s {
        retries.extend([format!(" after {seconds} seconds")]);
    }
    if let Some(max) = answers.max_retries {
        retries.extend([format!(", at most {max} times")]);
    }
    retries.push_str(". What was refused is refused again unless something has changed.");
    blocks.push(text(retries));
    section("Answers and retries", blocks)
}

/// The HTTP statuses that an answer may have.
fn statuses_of(answers: &Answers, verdict: Option<Verdict>) -> String {
    let reasons = Reason::ALL.into_iter().filter(|one| Some(one.verdict()) == verdict).map(Some);
    let without = matches!(verdict, None | Some(Verdict::Recorded | Verdict::Updated));
    let all: BTreeSet<u16> = reasons
        .chain(without.then_some(None))
        .map(|reason| answers.http_status(verdict, reason))
        .collect();
    all.into_iter().map(|status| status.to_string()).collect::<Vec<_>>().join(", ")
}

fn changes(setup: &Setup, version: &Version) -> Option<Section> {
    let base = setup.contract(version.integration_id, version.base?)?;
    let all = difference(&base.contract, &version.contract);
    let heading = "What has changed";
    let since = format!("Since version {}:", base.number);
    if all.is_empty() {
        return Some(section(heading, vec![text(format!("{since} nothing."))]));
    }
    let told = all.into_iter().map(|one| one.sentence).collect();
    Some(section(heading, vec![text(since), Block::List(told)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_come_in_pairs_or_stand_for_themselves() {
        use Span::{Code, Text};
        assert_eq!(spans("a `b` c"), [Text("a "), Code("b"), Text(" c")]);
        assert_eq!(spans("`b`"), [Code("b")]);
        assert_eq!(spans("a `b"), [Text("a `b")]);
        assert_eq!(spans(""), []);
    }
}
