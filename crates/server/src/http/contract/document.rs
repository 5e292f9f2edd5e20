//! What the page of a contract says, before it is written as HTML or Markdown: so both say the
//! same.

use super::{answers, parameters};
use domain::builder;
use domain::campaign::Campaign;
use domain::contract::version::Status;
use domain::contract::{
    Canonical, Contract, Difference, Identity, Input, Parameter, ProofKind, Statuses, Version,
    difference, words,
};
use domain::integration::{Integration, Scope};
use domain::settings::Unverified;
use domain::setup::{History, Setup};
use domain::time::Timestamp;
use std::collections::BTreeSet;

/// What stands where the key does in a real URL.
const KEY: &str = "KEY";
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

pub(super) fn text(text: impl Into<String>) -> Block {
    Block::Text(text.into())
}

pub(super) fn section(heading: &'static str, blocks: Vec<Block>) -> Section {
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
        let campaign = match integration.scope {
            Scope::Campaign { campaign_id } => setup.campaign(campaign_id),
            _ => None,
        };
        let (id, number) = (version.integration_id, version.number);
        let mut sections = vec![
            url(setup, integration, contract, base),
            parameters::section(contract),
            statuses(contract),
            goals(contract, campaign),
            identity(contract),
            times(contract, campaign),
            proof(contract, setup.as_of(now).settings().unverified),
            answers::section(contract, base),
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
            format!("It has been in force since {}.", words::instant(since))
        }
        Status::Sunset { until } if until > now => format!(
            "Version {} has taken its place. Postbacks that speak as this one says are still \
             read until {}.",
            integration.version,
            words::instant(until)
        ),
        Status::Sunset { until } => format!(
            "Version {} has taken its place. This one has not been read since {}: what only it \
             knew is refused.",
            integration.version,
            words::instant(until)
        ),
        Status::Discarded => "This draft was discarded.".to_owned(),
    }];
    let cutover = version.cutover_on.as_ref();
    lead.extend(cutover.map(|date| format!("Date of the cutover: {date}.")));
    let note = version.note.iter().flat_map(|note| note.lines());
    let mut note = note.filter(|line| !line.trim().is_empty());
    lead.extend(note.next().map(|first| format!("Note: {first}")));
    lead.extend(note.map(str::to_owned));
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
    let mut told = vec![
        how_sent(contract).to_owned(),
        "`KEY` stands for the key in the postback URL that you were given.".to_owned(),
    ];
    if url.contains('=') {
        let own = "What stands behind a `=` is to be replaced by your value: by your platform, where \
            it knows that macro, else by you.";
        told.push(own.to_owned());
    }
    let fixed = campaign_id.zip(contract.parameter(Canonical::CampaignId));
    let fixed = fixed.map(|(id, parameter)| format!("{}={id}", parameter.name()));
    if let Some(fixed) = fixed.filter(|fixed| url.contains(fixed)) {
        told.push(format!("`{fixed}` stays as it is."));
    }
    if let Some(parameter) = contract.parameter(Canonical::ClickId) {
        told.push(format!(
            "`{}` is our id of the click. It comes with each visitor, in the address that we send \
             the visitor to: keep it, and send it back as it is.",
            parameter.name()
        ));
    }
    if let Some(params) = &integration.landing_params {
        told.push(format!("To that address we append `{params}`, filled in."));
    }
    let added = contract.parameters.iter().filter(|one| one.appended);
    let added: Vec<&str> = added.map(Parameter::name).collect();
    if !added.is_empty() {
        told.push(format!("You add {} to it yourself.", words::listed(&added, "and")));
    }
    section("The postback URL", vec![Block::Code(url), Block::List(told)])
}

/// By which method, and where the parameters stand.
fn how_sent(contract: &Contract) -> &'static str {
    let scheme = contract.verification.signature.as_ref();
    match scheme.map(|scheme| &scheme.input) {
        Some(Input::Body {} | Input::Webhook { .. }) => {
            "Sent by POST. All that is said stands in the body, which is signed: one JSON object \
             (`application/json`), or a form (`application/x-www-form-urlencoded`)."
        }
        Some(Input::Url {}) => "Sent by GET.",
        _ => {
            "Sent by GET; or by POST, as a form (`application/x-www-form-urlencoded`) or as one \
             JSON object (`application/json`)."
        }
    }
}

fn statuses(contract: &Contract) -> Section {
    let statuses = &contract.statuses;
    let mut blocks = match contract.parameter(Canonical::Status) {
        Some(parameter) => status_words(statuses, parameter.required),
        None => vec![text(format!("Every postback is {}.", words::assumed(statuses.absent)))],
    };
    if let Some(status) = statuses.negative {
        let name = status.name();
        blocks.push(text(format!("With a negative amount it is {name}, whatever the word says.")));
    }
    for (canonical, values) in &contract.ignore_where {
        let name = contract.parameter(*canonical).map_or("", Parameter::name);
        let all = words::listed(values, "or");
        blocks.push(text(format!("A postback whose `{name}` is {all} asks for nothing.")));
    }
    if !says_status(contract) {
        return section("Status words", blocks);
    }
    blocks.push(text(
        "What is approved is paid. What is pending waits for a later postback; what is rejected is \
         not paid. What is reversed takes back what was approved.",
    ));
    section("Status words", blocks)
}

/// Whether postbacks may have one status or another.
fn says_status(contract: &Contract) -> bool {
    contract.parameter(Canonical::Status).is_some() || contract.statuses.negative.is_some()
}

fn status_words(statuses: &Statuses, is_required: bool) -> Vec<Block> {
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
        rows.push(vec![
            words::listed(&statuses.ignore, "or"),
            "none: it asks for nothing".to_owned(),
        ]);
    }
    let assumed = statuses.absent.filter(|_| !is_required);
    let absent = words::assumed(assumed);
    let blank = words::assumed(statuses.blank.or(assumed));
    let rest = if absent == blank {
        format!("Without one, a postback is {absent}.")
    } else {
        format!("Without one, a postback is {absent}; with a blank one, it is {blank}.")
    };
    let rest = text(format!("{rest} Case makes no difference, and any other word is refused."));
    if rows.is_empty() {
        vec![rest]
    } else {
        vec![Block::Table(vec!["Word", "Status"], rows), rest]
    }
}

fn goals(contract: &Contract, campaign: Option<&Campaign>) -> Section {
    let mut blocks = Vec::new();
    if !contract.goals.is_empty() {
        let rows =
            contract.goals.iter().map(|(raw, key)| vec![format!("`{raw}`"), format!("`{key}`")]);
        blocks.push(Block::Table(vec!["Word", "Goal"], rows.collect()));
    }
    let all = campaign.map_or(&[][..], |campaign| &campaign.goals);
    let default = match all.iter().find(|goal| goal.default) {
        Some(goal) => format!("the campaign's default goal, `{}`", goal.key),
        None => "the campaign's default goal".to_owned(),
    };
    let Some(parameter) = builder::goal_parameter(contract).and_then(|it| contract.parameter(it))
    else {
        blocks.push(text(format!("Every postback is for {default}.")));
        return section("Goals", blocks);
    };
    let also = if contract.goals.is_empty() { "" } else { " too" };
    let name = parameter.name();
    let without = if parameter.required {
        String::new()
    } else {
        format!(" Without one, a postback is for {default}.")
    };
    blocks.push(text(format!("In `{name}` a goal's own key names it{also}.{without}")));
    let keys: Vec<&str> = all.iter().map(|goal| goal.key.as_str()).collect();
    if !keys.is_empty() {
        blocks.push(text(format!("The campaign's goals are {}.", words::listed(&keys, "and"))));
    }
    section("Goals", blocks)
}

fn identity(contract: &Contract) -> Section {
    let same = words::identity(contract.identity);
    let mut rules = vec![format!("Postbacks with {same} are one conversion.")];
    let click = contract.parameter(Canonical::ClickId);
    if contract.identity == Identity::Txn && click.is_some_and(|click| !click.required) {
        rules.push(
            "A postback without a click id is about the conversion that has its transaction id, \
             and makes none."
                .to_owned(),
        );
    }
    rules.extend(transaction_ids(contract));
    rules.push("The same postback again changes nothing, however often it comes.".to_owned());
    let repeats = &contract.repeats;
    if says_status(contract) {
        let may = if repeats.status { "may change" } else { "does not change" };
        rules.push(format!("A later postback of one conversion {may} its status."));
    }
    if !repeats.transitions.is_empty() {
        let all: Vec<String> = repeats.transitions.iter().map(|one| String::from(*one)).collect();
        rules.push(format!("It may ask for {}.", words::listed(&all, "and")));
    }
    if contract.parameters.iter().any(|parameter| parameter.canonical.is_money()) {
        let amount = words::repeated_amount(repeats.amount);
        rules.push(format!("Of two amounts for one conversion {amount} counts."));
    }
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

fn transaction_ids(contract: &Contract) -> Vec<String> {
    let mut rules = Vec::new();
    let name = |canonical: Canonical| {
        contract
            .parameter(canonical)
            .map_or_else(|| canonical.to_string(), |it| it.name().to_owned())
    };
    if !contract.txn_id_parts.is_empty() {
        let parts: Vec<String> = contract.txn_id_parts.iter().copied().map(name).collect();
        let parts = words::listed(&parts, "and");
        rules.push(format!("A transaction id is made of {parts}, joined by `_`."));
    }
    if contract.txn_id_folded {
        rules.push("Transaction ids are compared without case.".to_owned());
    }
    let is_required =
        contract.parameter(Canonical::TxnId).is_some_and(|parameter| parameter.required);
    let counts = matches!(contract.identity, Identity::ClickGoalTxn | Identity::Txn);
    if counts && !is_required && contract.txn_id_parts.is_empty() {
        let absent = words::txn_id_absent(contract.txn_id_absent);
        rules.push(format!("Postbacks without a transaction id are {absent}."));
    }
    if let Some(reversal) = &contract.reversal {
        let name = name(reversal.txn_id.unwrap_or(Canonical::TxnId));
        let prefix = match reversal.txn_id_prefix.as_str() {
            "" => String::new(),
            prefix => format!(", with `{prefix}` before it"),
        };
        rules.push(format!(
            "A reversal has the transaction id of what it takes back in `{name}`{prefix}."
        ));
    }
    if let Some(until) = contract.triage_until {
        rules.push(format!(
            "Until {} a postback without its transaction id is kept, pending and unpaid, until the \
             id is found.",
            words::instant(until)
        ));
    }
    rules
}

fn times(contract: &Contract, campaign: Option<&Campaign>) -> Section {
    let times = &contract.times;
    let mut blocks = vec![match contract.parameter(Canonical::Timestamp) {
        None => {
            text("No time is read from a postback: what counts is when it reaches us, in `UTC`.")
        }
        Some(parameter) => {
            let formats: Vec<String> =
                times.formats.iter().map(|it| words::time_format(it)).collect();
            text(format!(
                "`{}` is written as {}. A time that names no zone is of `{}`.",
                parameter.name(),
                formats.join(", or as "),
                times.zone
            ))
        }
    }];
    match contract.verification.timestamp_tolerance_s {
        Some(seconds) => blocks.push(text(format!(
            "What was sent more than {seconds} seconds ago, or ahead, is refused."
        ))),
        None if contract.parameter(Canonical::Timestamp).is_some() => blocks.push(text(
            "It is not compared with our time: what counts is when a postback reaches us.",
        )),
        None => {}
    }
    blocks.push(text(match campaign {
        Some(campaign) => {
            format!("A new conversion counts within {} days after its click.", campaign.window_days)
        }
        None => {
            "A new conversion counts as long after its click as its campaign allows.".to_owned()
        }
    }));
    section("Time", blocks)
}

fn proof(contract: &Contract, unverified: Unverified) -> Section {
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
    } else if !told.is_empty() {
        told.push(
            "As soon as the secret is agreed on, a postback without that proof is refused."
                .to_owned(),
        );
    }
    if !rules.networks.is_empty() {
        let all: Vec<String> = rules.networks.iter().map(|one| String::from(*one)).collect();
        told.push(format!("Postbacks are accepted from {} only.", words::listed(&all, "or")));
    }
    let tried: Vec<&str> = rules.shadow.iter().map(|kind| words::proof(*kind)).collect();
    if !tried.is_empty() {
        let proofs = tried.join(" and ");
        told.push(format!("For now nothing is refused for want of {proofs}; it is counted."));
    }
    let heading = "Proof of the sender";
    if told.is_empty() {
        return section(heading, vec![text(without_proof(unverified))]);
    }
    if !is_always_proven(contract) {
        told.extend(unproven(unverified).map(str::to_owned));
    }
    section(heading, vec![Block::List(told)])
}

/// Whether nothing is accepted that nobody vouches for, whatever the network does with it.
fn is_always_proven(contract: &Contract) -> bool {
    let rules = &contract.verification;
    let enforces = |kind| rules.enforces(kind);
    let is_secret = enforces(ProofKind::Token) || enforces(ProofKind::Signature);
    enforces(ProofKind::Networks) || rules.token_required && is_secret
}

/// What becomes of a postback where a contract asks for no proof.
fn without_proof(unverified: Unverified) -> &'static str {
    match unverified {
        Unverified::Allow => "None is asked for.",
        Unverified::Pending => {
            "This contract asks for none. What a postback without proof says is approved stays \
             pending, until we have looked at it."
        }
        Unverified::Refuse => {
            "This contract asks for none, and we refuse every postback without proof: one has to be \
             agreed on first."
        }
    }
}

/// What becomes of a postback for which none of a contract's proofs vouches.
fn unproven(unverified: Unverified) -> Option<&'static str> {
    match unverified {
        Unverified::Allow => None,
        Unverified::Pending => Some(
            "Where no proof of the sender holds, what a postback says is approved stays pending, \
             until we have looked at it.",
        ),
        Unverified::Refuse => {
            Some("Where no proof of the sender holds, a postback is refused in any case.")
        }
    }
}

fn changes(setup: &Setup, version: &Version) -> Option<Section> {
    let base = setup.contract(version.integration_id, version.base?)?;
    let all = difference(&base.contract, &version.contract);
    let heading = "What has changed";
    let since = format!("Since version {}:", base.number);
    if all.is_empty() {
        return Some(section(heading, vec![text(format!("{since} nothing."))]));
    }
    let mut blocks = vec![text(since)];
    blocks.extend(called(&version.contract, &all));
    blocks.push(Block::List(all.into_iter().map(|one| one.sentence).collect()));
    Some(section(heading, blocks))
}

/// What the reader calls the parameters that differences name by our words.
fn called(contract: &Contract, all: &[Difference]) -> Option<Block> {
    let ours = all.iter().filter_map(|one| one.path.strip_prefix("parameters.")?.split('.').next());
    let ours: BTreeSet<Canonical> = ours.filter_map(Canonical::from_name).collect();
    let told: Vec<String> = ours
        .into_iter()
        .filter_map(|canonical| contract.parameter(canonical))
        .filter(|parameter| parameter.canonical.to_string() != parameter.name())
        .map(|parameter| format!("`{}` is `{}`", parameter.canonical, parameter.name()))
        .collect();
    (!told.is_empty()).then(|| text(format!("By our words, {}.", told.join(", "))))
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

    #[test]
    fn what_becomes_of_postbacks_without_proof_is_told() {
        let contract = |verification: &str| -> Contract {
            let text = format!(
                r#"{{"parameters":[{{"canonical":"click_id","names":["c"]}},
                    {{"canonical":"token","names":["t"]}}],
                    "statuses":{{}},"verification":{verification}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let rows = [
            ("none", "{}"),
            ("a token", r#"{"token":"token"}"#),
            ("a token, required", r#"{"token":"token","token_required":true}"#),
            ("a token, tried", r#"{"token":"token","shadow":["token"]}"#),
            ("networks", r#"{"networks":["192.0.2.0/24"]}"#),
        ];
        let mut told = Vec::new();
        for (name, verification) in rows {
            let last = Unverified::ALL.map(|unverified| {
                let blocks = proof(&contract(verification), unverified).blocks;
                match blocks.into_iter().next() {
                    Some(Block::Text(text)) => text,
                    Some(Block::List(rules)) => rules.last().unwrap().clone(),
                    _ => String::new(),
                }
            });
            told.push(format!("{name}\n  {}", last.join("\n  ")));
        }
        insta::assert_snapshot!(told.join("\n"), @"
        none
          None is asked for.
          This contract asks for none. What a postback without proof says is approved stays pending, until we have looked at it.
          This contract asks for none, and we refuse every postback without proof: one has to be agreed on first.
        a token
          As soon as the secret is agreed on, a postback without that proof is refused.
          Where no proof of the sender holds, what a postback says is approved stays pending, until we have looked at it.
          Where no proof of the sender holds, a postback is refused in any case.
        a token, required
          Nothing is accepted without that proof.
          Nothing is accepted without that proof.
          Nothing is accepted without that proof.
        a token, tried
          For now nothing is refused for want of the shared token; it is counted.
          Where no proof of the sender holds, what a postback says is approved stays pending, until we have looked at it.
          Where no proof of the sender holds, a postback is refused in any case.
        networks
          Postbacks are accepted from `192.0.2.0/24` only.
          Postbacks are accepted from `192.0.2.0/24` only.
          Postbacks are accepted from `192.0.2.0/24` only.
        ");
    }
}
