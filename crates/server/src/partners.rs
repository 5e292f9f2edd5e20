//! `counterfoil partners`: looks at the catalogue of this build, or at files of one's own.

use crate::catalogue::{Catalogue, Entry, FILE_BYTES_MAX, Fault};
use crate::terminal;
use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use domain::contract::{
    Answers, Canonical, Contract, Identity, Parameter, Profile, ProofKind, words,
};
use domain::destination::Corrections;
use domain::macros::nearest_in_words;
use domain::outbound::Outbound;
use domain::partner::Partner;
use domain::reason::Verdict;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How many files a folder may have.
const FILES_MAX: usize = 1_000;
/// No column of a table is wider, in characters.
const COLUMN_CHARS_MAX: usize = 40;

#[derive(Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Look at the files of this folder instead; they may extend those of this build
    #[arg(long, global = true, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Check every file against the rules of the catalogue
    Lint,
    /// List the partners
    List,
    /// Show all that is known of a partner
    Show {
        /// Its name, as `list` has it in its first column
        name: String,
    },
    /// Try every fixture: requests both ways, and what answers mean
    Test,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = args.dir.as_deref().map(read_folder).transpose()?;
    let mut catalogue = match &folder {
        Some(folder) => Catalogue::of_folder(&folder.files),
        None => Catalogue::built_in(),
    };
    catalogue.faults.extend(folder.iter().flat_map(|folder| folder.faults.clone()));
    let (text, faults) = match &args.what {
        What::Lint => lint(&catalogue),
        What::Test => test(&catalogue),
        What::List => (list(&catalogue), catalogue.faults.clone()),
        What::Show { name } => match catalogue.entry(name) {
            Some(entry) => (show(entry), Vec::new()),
            None => {
                let own = |fault: &&Fault| fault.file.strip_suffix(".toml") == Some(name);
                let faults: Vec<Fault> = catalogue.faults.iter().filter(own).cloned().collect();
                if faults.is_empty() {
                    let names = catalogue.entries.iter().map(|entry| entry.partner.name.as_str());
                    bail!("no partner is called `{name}`{}", nearest_in_words(name, names));
                }
                (String::new(), faults)
            }
        },
    };
    terminal::print(format_args!("{text}"));
    for fault in &faults {
        remark!("{fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a folder has.
#[derive(Default)]
struct Folder {
    /// The names and contents of its TOML files, in the order of their names.
    files: Vec<(String, String)>,
    /// Of those that are no text of a fair size; the others are looked at all the same.
    faults: Vec<Fault>,
}

fn read_folder(path: &Path) -> anyhow::Result<Folder> {
    let cannot = || format!("cannot read {}", path.display());
    let mut folder = Folder::default();
    for entry in fs::read_dir(path).with_context(cannot)? {
        let file = entry.with_context(cannot)?.path();
        if file.extension().is_none_or(|extension| extension != "toml") || !file.is_file() {
            continue;
        }
        if folder.files.len() + folder.faults.len() == FILES_MAX {
            bail!("{}: more than {FILES_MAX} files", path.display());
        }
        let name = file.file_name().unwrap_or_default();
        match (name.to_str(), read_text(&file)) {
            (Some(name), Ok(text)) => folder.files.push((name.to_owned(), text)),
            (name, text) => {
                let (line, detail) = match text {
                    Ok(_) => (1, "the name of a file is a partner's".to_owned()),
                    Err(fault) => fault,
                };
                let file = name.map_or_else(|| file.display().to_string(), str::to_owned);
                folder.faults.push(Fault { file, line, key: String::new(), detail });
            }
        }
    }
    if folder.files.is_empty() && folder.faults.is_empty() {
        bail!("{}: there is no .toml file", path.display());
    }
    folder.files.sort();
    folder.faults.sort();
    Ok(folder)
}

/// A file's text, else the line that keeps it from being one, and why.
fn read_text(file: &Path) -> Result<String, (usize, String)> {
    let cannot = |error: std::io::Error| (1, format!("it cannot be read: {error}"));
    let bytes = fs::metadata(file).map_err(cannot)?.len();
    if bytes > FILE_BYTES_MAX as u64 {
        return Err((1, format!("a file has at most {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(fs::read(file).map_err(cannot)?).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        (line, "it is no UTF-8 from here on".to_owned())
    })
}

fn lint(catalogue: &Catalogue<'_>) -> (String, Vec<Fault>) {
    let mut faults = catalogue.faults.clone();
    faults.extend(catalogue.entries.iter().flat_map(|entry| catalogue.lint(entry)));
    faults.extend(catalogue.lint_together());
    // One mistake of a family is all its members'.
    let mut told = BTreeSet::new();
    faults.retain(|fault| told.insert(fault.clone()));
    let count = catalogue.entries.len();
    (format!("{count} partners read, {} complaints\n", faults.len()), faults)
}

fn test(catalogue: &Catalogue<'_>) -> (String, Vec<Fault>) {
    let mut faults = catalogue.faults.clone();
    faults.extend(catalogue.entries.iter().flat_map(|entry| catalogue.try_fixtures(entry)));
    let count = catalogue.entries.len();
    let tried: usize = catalogue.entries.iter().map(Entry::fixtures).sum();
    (format!("{count} partners, {tried} fixtures, {} complaints\n", faults.len()), faults)
}

fn list(catalogue: &Catalogue<'_>) -> String {
    let head = ["NAME", "TITLE", "KIND", "CONFIDENCE", "DOES"].map(str::to_owned);
    let rows = catalogue.entries.iter().map(|Entry { partner, .. }| {
        let confidence = partner.confidence.map_or("-", |confidence| confidence.name());
        let (name, title) = (partner.name.clone(), partner.title.clone());
        [name, title, partner.kind.clone(), confidence.to_owned(), does(partner)]
    });
    table(std::iter::once(head).chain(rows).collect())
}

/// What it is to us.
fn does(partner: &Partner) -> String {
    let does = [
        (partner.contract.is_some(), "calls us"),
        (partner.outbound.is_some(), "is called"),
        (!partner.click.is_empty(), "sends visitors"),
    ];
    let does = does.iter().filter(|(does, _)| *does).map(|(_, what)| *what);
    does.collect::<Vec<_>>().join(", ")
}

/// Columns as wide as what is in them.
fn table<const N: usize>(rows: Vec<[String; N]>) -> String {
    let shown = |cell: &str| {
        let mut chars = cell.chars();
        let short: String = chars.by_ref().take(COLUMN_CHARS_MAX).collect();
        if chars.next().is_some() { format!("{short}…") } else { short }
    };
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| shown(&cell))).collect();
    let widths: Vec<usize> = (0..N)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn show(entry: &Entry<'_>) -> String {
    let partner = &entry.partner;
    let mut text = format!("{} ({}), {}\n", partner.title, partner.name, partner.kind);
    if let Some(confidence) = partner.confidence {
        line(&mut text, "confidence", &format!("{}: {}", confidence.name(), confidence.about()));
    }
    for source in &partner.sources {
        line(&mut text, "source", source);
    }
    line(&mut text, "read on", &partner.source_on);
    if let Some(family) = &entry.extends {
        line(&mut text, "extends", family);
    }
    for note in &partner.notes {
        line(&mut text, "note", note);
    }
    if let Some(menu) = &partner.menu {
        line(&mut text, "its menu", menu);
    }
    if !partner.click.is_empty() {
        text.push_str("\nAppended to our links:\n");
        let cells = partner.click.iter().map(|one| [one.name.clone(), one.placeholder.clone()]);
        indented(&mut text, &table(cells.collect()));
    }
    if let Some(params) = &partner.landing_params {
        text.push_str("\nAppended to our landing URLs:\n");
        indented(&mut text, params);
    }
    if let Some(outbound) = &partner.outbound {
        text.push_str("\nCalled for each conversion:\n");
        indented(&mut text, &format!("{} {}", outbound.method.name(), outbound.url));
        outbound.body.iter().for_each(|body| indented(&mut text, body));
        for account in &outbound.accounts {
            let secret = if account.secret { " (secret)" } else { "" };
            line(
                &mut text,
                &format!("account.{}", account.name),
                &format!("{}{secret}", account.about),
            );
        }
        if !outbound.verifiable {
            indented(&mut text, "its answer does not say whether the conversion counted");
        }
        line(&mut text, "corrections", &corrections_of(partner));
        line(&mut text, "as a destination", &destination_of(partner, outbound));
    }
    if let Some(contract) = &partner.contract {
        text.push_str("\nCalls us:\n");
        show_contract(&mut text, partner, contract);
    }
    line(&mut text, "\nfixtures", &entry.fixtures().to_string());
    text
}

/// How it hears of changes, where a destination does not say otherwise.
fn corrections_of(partner: &Partner) -> String {
    match &partner.corrections {
        None => "none, as no documentation says how it hears of changes".to_owned(),
        Some(Corrections::Url { url }) => format!("url {url}"),
        Some(corrections) => corrections.name().to_owned(),
    }
}

/// What is posted to `/api/v1/destinations` to have it called.
fn destination_of(partner: &Partner, outbound: &Outbound) -> String {
    let values = |secret: bool| {
        let asked = outbound.accounts.iter().filter(|one| one.secret == secret);
        let values = asked.map(|one| format!("\"{}\":\"...\"", one.name)).collect::<Vec<_>>();
        let place = if secret { "secrets" } else { "account" };
        match values.is_empty() {
            true => String::new(),
            false => format!(",\"{place}\":{{{}}}", values.join(",")),
        }
    };
    let (account, secrets) = (values(false), values(true));
    format!("{{\"publisher_id\":1,\"partner\":\"{}\"{account}{secrets}}}", partner.name)
}

fn show_contract(text: &mut String, partner: &Partner, contract: &Contract) {
    if !partner.paths.is_empty() {
        line(text, "paths", &partner.paths.join(", "));
    }
    let head = ["CANONICAL", "NAMES", "MACRO", "REQUIRED"].map(str::to_owned);
    let rows = contract.parameters.iter().map(|one: &Parameter| {
        let names = one.names.join(", ");
        let names = if one.in_header { format!("header {names}") } else { names };
        let required = if one.required { "yes" } else { "" };
        let added = if one.appended { "(it adds it itself)" } else { "" };
        [
            one.canonical.to_string(),
            names,
            one.placeholder.clone().unwrap_or_else(|| added.to_owned()),
            required.to_owned(),
        ]
    });
    indented(text, &table(std::iter::once(head).chain(rows).collect()));
    for (status, raws) in &contract.statuses.values {
        line(text, status.name(), &raws.join(", "));
    }
    if let Some(absent) = contract.statuses.absent {
        line(text, "no status", absent.name());
    }
    if !contract.statuses.ignore.is_empty() {
        line(text, "ignored", &contract.statuses.ignore.join(", "));
    }
    show_identity(text, contract);
    show_proof(text, contract);
    show_answers(text, &contract.answers);
}

fn show_identity(text: &mut String, contract: &Contract) {
    line(text, "one conversion", words::identity(contract.identity));
    if !contract.txn_id_parts.is_empty() {
        let parts: Vec<String> = contract.txn_id_parts.iter().map(ToString::to_string).collect();
        line(text, "transaction id", &format!("{}, joined by `_`", words::listed(&parts, "and")));
    }
    if contract.txn_id_folded {
        line(text, "transaction id", "compared without case");
    }
    let counts = matches!(contract.identity, Identity::ClickGoalTxn | Identity::Txn);
    let txn_id = contract.parameter(Canonical::TxnId);
    if counts && txn_id.is_none_or(|one| !one.required) && contract.txn_id_parts.is_empty() {
        line(text, "without transaction id", words::txn_id_absent(contract.txn_id_absent));
    }
    let repeats = &contract.repeats;
    let has = |is_it: fn(Canonical) -> bool| {
        contract.parameters.iter().any(|parameter| is_it(parameter.canonical))
    };
    let status = match (repeats.status, repeats.transitions.is_empty()) {
        (true, true) => "may change the status".to_owned(),
        (true, false) => {
            let all: Vec<String> =
                repeats.transitions.iter().map(|one| String::from(*one)).collect();
            format!("may change the status: {}", all.join(", "))
        }
        (false, _) => "does not change the status".to_owned(),
    };
    line(text, "a later postback", &status);
    if has(Canonical::is_money) {
        line(text, "of two amounts", words::repeated_amount(repeats.amount));
    }
    if has(|canonical| matches!(canonical, Canonical::Event(_))) {
        line(text, "of two numbers of an event", words::repeated_events(repeats.events));
    }
    if repeats.mark {
        line(text, "the click's second of a goal", "flagged `repeated`");
    }
}

fn show_proof(text: &mut String, contract: &Contract) {
    let rules = &contract.verification;
    let token = rules.token.and_then(|token| contract.parameter(token));
    if let Some(parameter) = token {
        let place = if parameter.in_header { "header " } else { "" };
        line(text, "token", &format!("in {place}`{}`", parameter.name()));
    }
    if let Some(scheme) = &rules.signature {
        let name = contract.parameter(Canonical::Signature).map_or("signature", Parameter::name);
        line(text, "signature", &format!("`{name}` is {}", words::signature(scheme)));
    }
    if rules.token_required {
        line(text, "without its secret", "nothing is accepted");
    }
    if !rules.networks.is_empty() {
        let all: Vec<String> = rules.networks.iter().map(|one| String::from(*one)).collect();
        line(text, "accepted from", &all.join(", "));
    }
    if let Some(seconds) = rules.timestamp_tolerance_s {
        line(text, "time", &format!("at most {seconds} seconds from ours"));
    }
    let tried: Vec<&str> = rules.shadow.iter().map(|kind| words::proof(*kind)).collect();
    if !tried.is_empty() {
        line(text, "only tried", &tried.join(" and "));
    }
    if !ProofKind::ALL.into_iter().any(|kind| rules.asks_for(kind)) {
        line(text, "proof", "none is asked for");
    }
}

fn show_answers(text: &mut String, answers: &Answers) {
    let profile = match answers.profile {
        Profile::Receipt => "JSON with the verdict and the receipt, and the reason's HTTP status",
        Profile::Acknowledge => "200 whatever the verdict",
    };
    line(text, "answers", profile);
    for verdict in std::iter::once(None).chain(Verdict::ALL.map(Some)) {
        if answers.reply(verdict).is_some() {
            let occasion = format!("answer to {}", words::occasion(verdict));
            line(text, &occasion, &words::reply(answers, verdict));
        }
    }
    if let Some(name) = &answers.return_name {
        line(text, "answer to anything but a refusal", &format!("what `{name}` says"));
    }
    let retries = answers.max_retries.map(|times| format!("{times} times")).into_iter();
    let after = answers.retry_after_s.map(|seconds| format!("after {seconds} seconds"));
    let retries: Vec<String> = retries.chain(after).collect();
    if !retries.is_empty() {
        line(text, "it may repeat", &retries.join(", "));
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    _ = writeln!(text, "{key}: {value}");
}

fn indented(text: &mut String, block: &str) {
    for line in block.lines() {
        _ = writeln!(text, "  {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES_ALL: &str = r#"
name = "all"
title = "All"
kind = "a test"
confidence = "A"
sources = ["All: a guide"]
source_on = "2026-11-20"
[contract]
identity = "txn"
txn_id_folded = true
parameters = [
    { canonical = "click_id", names = ["c"], required = true },
    { canonical = "txn_id", names = ["order"], required = true },
    { canonical = "revenue", names = ["sum"] },
    { canonical = "event1", names = ["e"] },
    { canonical = "token", names = ["x-token"], in_header = true },
    { canonical = "signature", names = ["sign"] },
    { canonical = "timestamp", names = ["ts"], required = true },
]
[contract.statuses]
absent = "approved"
[contract.repeats]
amount = "add"
mark = true
transitions = ["pending > approved"]
[contract.verification]
token = "token"
token_required = true
networks = ["203.0.113.0/24"]
timestamp_tolerance_s = 300
shadow = ["signature"]
[contract.verification.signature]
algorithm = "md5"
input = { kind = "fields", fields = ["c", "{secret}"] }
[contract.answers]
profile = "acknowledge"
max_retries = 3
retry_after_s = 60
return_name = "return"
[contract.answers.refused]
http_status = 200
body = "ERROR"
"#;

    fn shown(text: &str) -> String {
        let files = [("all.toml".to_owned(), text.to_owned())];
        let catalogue = Catalogue::of_folder(&files);
        assert_eq!(catalogue.faults, []);
        let shown = show(&catalogue.entries[0]);
        let (_, agreed) = shown.split_once("no status: approved\n").unwrap();
        agreed.split_once("\nfixtures").unwrap().0.to_owned()
    }

    #[test]
    fn all_that_is_agreed_with_a_partner_is_told_in_words() {
        insta::assert_snapshot!(shown(TAKES_ALL), @"
        one conversion: the same transaction id, whichever click it is told of
        transaction id: compared without case
        a later postback: may change the status: pending > approved
        of two amounts: their sum
        of two numbers of an event: the last one
        the click's second of a goal: flagged `repeated`
        token: in header `x-token`
        signature: `sign` is MD5 over the values of `c` and `{secret}`, one behind the other; as they are before they are percent-encoded; written in hexadecimal
        without its secret: nothing is accepted
        accepted from: 203.0.113.0/24
        time: at most 300 seconds from ours
        only tried: the signature
        answers: 200 whatever the verdict
        answer to a refusal: 200 `ERROR`
        answer to anything but a refusal: what `return` says
        it may repeat: 3 times, after 60 seconds
        ");
        let (before, _) = TAKES_ALL.split_once("[contract.repeats]").unwrap();
        let plain =
            before.replace("txn_id_folded = true", "").replace("\"txn\"", "\"click_goal_txn\"");
        let plain = plain.replace("[\"order\"], required = true", "[\"order\"]");
        insta::assert_snapshot!(shown(&plain), @"
        one conversion: the same click, goal and transaction id
        without transaction id: one conversion for each click and goal
        a later postback: may change the status
        of two amounts: the first one
        of two numbers of an event: the last one
        proof: none is asked for
        answers: JSON with the verdict and the receipt, and the reason's HTTP status
        ");
    }
}
