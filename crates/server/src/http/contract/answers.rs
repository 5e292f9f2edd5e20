//! The answers on the page of a contract: what its sender is told, and when to send again.

use super::document::{Block, Section, section as titled, text};
use domain::contract::{Answers, Canonical, ContentType, Contract, Profile, Reply, words};
use domain::reason::{Reason, Verdict};
use std::collections::BTreeSet;

/// A receipt, as an example.
const RECEIPT: &str = r#"{"receipt":"0000…","verdict":"refused","reason":"missing_parameter",
 "parameter":"txn_id","conversion":null,"status":null,"flags":[],"original":null,
 "retriable":false,"retry_after_s":null,"max_retries":null,
 "received_at":"2026-11-20T09:31:00Z","decided_at":"2026-11-20T09:31:00.002Z",
 "contract":"12.3","http_status":400,
 "detail":"`txn_id` is required and was not sent, or was blank"}"#;
/// What an answer that is spelt out may hold.
const FILLED_IN: [&str; 4] = ["{receipt}", "{verdict}", "{reason}", "{detail}"];

/// `base` is how the server is called from outside, where that is known.
pub(super) fn section(contract: &Contract, base: &str) -> Section {
    let answers = &contract.answers;
    let has_reasons =
        answers.profile == Profile::Receipt && answers.reply(Some(Verdict::Refused)).is_none();
    let mut blocks = vec![Block::Table(vec!["To", "HTTP", "Answer"], rows(answers, has_reasons))];
    if all_replies(answers).any(|reply| FILLED_IN.iter().any(|name| reply.body.contains(name))) {
        let filled_in = words::listed(&FILLED_IN, "and");
        blocks.push(text(format!("In an answer {filled_in} are filled in.")));
    }
    if let Some(name) = &answers.return_name {
        blocks.push(text(format!("The value of `{name}` is the body of all but refusals, unless it is blank or reads as one.")));
    }
    if has_reasons {
        blocks.push(text("A refusal has the first of these reasons that applies:"));
        let head = vec!["Reason", "HTTP", "Means"];
        blocks.push(Block::Table(head, reasons(contract)));
    }
    blocks.push(text(format!(
        "Every answer has the receipt in its header `Counterfoil-Receipt`; what became of the \
         postback can be looked up with it at `{base}/receipts/{{receipt}}`. A receipt, as an example:"
    )));
    blocks.push(Block::Code(RECEIPT.to_owned()));
    blocks.push(text(retries(answers)));
    titled("Answers and retries", blocks)
}

/// What is answered alike is told at once.
fn rows(answers: &Answers, has_reasons: bool) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for verdict in Verdict::ALL.map(Some).into_iter().chain([None]) {
        let status = match verdict {
            Some(Verdict::Refused) if has_reasons => "by its reason".to_owned(),
            _ => statuses(answers, verdict),
        };
        let (occasion, answer) = (words::occasion(verdict), answer(answers, verdict));
        match rows.iter_mut().find(|row| row[1] == status && row[2] == answer) {
            Some(row) => row[0].extend(["; ", occasion]),
            None => rows.push(vec![occasion.to_owned(), status, answer]),
        }
    }
    rows
}

fn all_replies(answers: &Answers) -> impl Iterator<Item = &Reply> {
    let verdicts = Verdict::ALL.map(Some).into_iter().chain([None]);
    verdicts.filter_map(|verdict| answers.reply(verdict))
}

fn answer(answers: &Answers, verdict: Option<Verdict>) -> String {
    match (answers.reply(verdict), answers.profile) {
        (Some(reply), _) if reply.body.is_empty() => "no body".to_owned(),
        (Some(Reply { body, content_type, .. }), _) => {
            let kind = match content_type {
                ContentType::Plain => "plain text",
                ContentType::Json => "JSON",
                ContentType::Xml => "XML",
            };
            format!("`{body}`, as {kind}")
        }
        (None, Profile::Receipt) => "the receipt, as JSON".to_owned(),
        (None, Profile::Acknowledge) => "`OK`, as soon as it is on disk".to_owned(),
    }
}

/// The HTTP statuses that an answer may have.
fn statuses(answers: &Answers, verdict: Option<Verdict>) -> String {
    let reasons = Reason::ALL.into_iter().filter(|one| Some(one.verdict()) == verdict).map(Some);
    let without = matches!(verdict, None | Some(Verdict::Recorded | Verdict::Updated));
    let all: BTreeSet<u16> = reasons
        .chain(without.then_some(None))
        .map(|reason| answers.http_status(verdict, reason))
        .collect();
    all.into_iter().map(|status| status.to_string()).collect::<Vec<_>>().join(", ")
}

/// Why a postback may be refused, in the order in which it is looked at.
fn reasons(contract: &Contract) -> Vec<Vec<String>> {
    let rules = &contract.verification;
    let may_be = |reason: &Reason| match reason {
        Reason::SourceNotAllowed => !rules.networks.is_empty(),
        Reason::StaleTimestamp => rules.timestamp_tolerance_s.is_some(),
        Reason::UnknownStatus => contract.parameter(Canonical::Status).is_some(),
        Reason::UnknownCurrency => contract.parameter(Canonical::Currency).is_some(),
        _ => reason.verdict() == Verdict::Refused,
    };
    let row = |one: Reason| {
        vec![
            format!("`{}`", one.name()),
            one.http_status().to_string(),
            words::reason(one).to_owned(),
        ]
    };
    Reason::ALL.into_iter().filter(may_be).map(row).collect()
}

fn retries(answers: &Answers) -> String {
    let mut told = "503 means that it was not received, and so does no answer at all: send it \
        again"
        .to_owned();
    if let Some(seconds) = answers.retry_after_s {
        told.extend([format!(" after {seconds} seconds")]);
    }
    if let Some(max) = answers.max_retries {
        told.extend([format!(", at most {max} times")]);
    }
    told.push_str(
        ". What was received and comes again does no harm; what was refused is refused again \
         unless something has changed.",
    );
    told
}
