//! `counterfoil url`: URLs to be pasted elsewhere, with the macros of whoever they are for.
//!
//! What the catalogue alone says needs no server. What an integration or a link says is asked of
//! the one that runs, with its admin key. A URL stands alone on the standard output; what is to be
//! known about it is beside it, on the standard error.

use crate::asking::{asked, exchanged};
use crate::catalogue;
use crate::config::Config;
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use domain::builder::{self, Checked, Complaint, Gap, Judged, Use};
use domain::macros::nearest_in_words;
use domain::partner::{Confidence, Partner};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::process::ExitCode;

/// How many names of one kind are told.
const NAMES_MAX: usize = 10;

#[derive(Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A link with what a platform fills in
    Click(Click),
    /// An integration's postback URL, with its sender's macros; asks the running server
    Postback(Postback),
    /// The macros that are saved for an integration's sender, and new ones; asks the running server
    Macros(Macros),
    /// Judge each macro of a URL that was pasted together
    Check(Check),
}

#[derive(ClapArgs)]
struct Click {
    /// The link's URL (http://…/c/…), or its number, of which the running server is asked
    link: String,
    /// Whose macros: a name of the catalogue
    #[arg(long)]
    partner: String,
}

#[derive(ClapArgs)]
struct Postback {
    /// The integration's number
    integration: u32,
    /// Whose macros; the contract's own without it
    #[arg(long)]
    partner: Option<String>,
    /// The goal that it is for, by its key
    #[arg(long)]
    goal: Option<String>,
}

#[derive(ClapArgs)]
struct Macros {
    /// The integration's number
    integration: u32,
    /// What the sender writes for a value, by our name for it; nothing behind the = takes the row
    /// away. What is not named stays
    #[arg(value_name = "NAME=MACRO")]
    rows: Vec<String>,
    /// Take all rows away that are not given
    #[arg(long)]
    replace: bool,
}

#[derive(ClapArgs)]
struct Check {
    /// The URL as it was pasted
    url: String,
    /// Whose macros it should have
    #[arg(long)]
    partner: String,
    /// What it is for; seen by its path without it
    #[arg(long = "use", value_name = "USE")]
    of: Option<Purpose>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Purpose {
    Click,
    Postback,
}

pub(crate) fn run(args: Args, config: &Config) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Click(Click { link, partner }) => match link.parse::<u32>() {
            Ok(id) => {
                let path = format!("/links/{id}/click-url");
                show(&asked(config, &path, &[("partner", &partner)])?)?;
            }
            Err(_) => {
                let partner = known(&partner)?;
                let link = link.trim();
                if let Some(fault) = builder::link_fault(link, &partner) {
                    bail!("{fault}");
                }
                let url = builder::click_url(link, &partner).with_context(|| {
                    format!("`{}` is not known to fill anything into links", partner.name)
                })?;
                say!("{url}");
                remarks(partner.confidence, &partner.notes);
            }
        },
        What::Postback(Postback { integration, partner, goal }) => {
            let given = [("partner", partner), ("goal", goal)];
            let query: Vec<(&str, &str)> =
                given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
            let path = format!("/integrations/{integration}/postback-url");
            show(&asked(config, &path, &query)?)?;
        }
        What::Macros(macros) => change_macros(config, &macros)?,
        What::Check(Check { url, partner, of }) => return check(&url, &known(&partner)?, of),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the server says of a URL: the URL, and what to know before it is pasted.
fn show(answer: &Value) -> anyhow::Result<()> {
    let odd = "it is no answer of ours";
    let url = answer["url"].as_str().context(odd)?;
    say!("{url}");
    let all = answer["parameters"].as_array().context(odd)?;
    let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
    let agreed = names_of(url, &Gap::Token.to_string());
    // None of these is the sender's: an id of ours, and what was agreed on.
    let is_theirs = |one: &Value| {
        let is_ours = one["canonical"] == "campaign_id" || one["canonical"] == "token";
        !is_ours && !agreed.contains(&name(one))
    };
    let is_unknown =
        |one: &&Value| one["macro_known"] == false && one["appended"] != true && is_theirs(one);
    let is_needed = |one: &&Value| one["required"] == true;
    let unknown = || all.iter().filter(is_unknown);
    let needed: Vec<String> = unknown().filter(is_needed).map(name).collect();
    let others: Vec<String> = unknown().filter(|one| !is_needed(one)).map(name).collect();
    let added: Vec<String> = all.iter().filter(|one| one["appended"] == true).map(name).collect();
    for (names, what) in [
        (agreed, "the agreed token, to be filled in"),
        (needed, "macro not known, and to be filled in"),
        (others, "macro not known, and left out"),
        (added, "added by the sender itself"),
    ] {
        if !names.is_empty() {
            remark!("{what}: {}", shortened(&names));
        }
    }
    let confidence = serde_json::from_value(answer["confidence"].clone()).context(odd)?;
    let notes: Vec<String> = serde_json::from_value(answer["notes"].clone()).context(odd)?;
    remarks(confidence, &notes);
    Ok(())
}

/// The names under which a URL has that value.
fn names_of(url: &str, value: &str) -> Vec<String> {
    let pairs = url.split(['?', '&']).filter_map(|part| part.split_once('='));
    let found = pairs.filter(|(_, other)| *other == value);
    found.map(|(name, _)| percent_decode_str(name).decode_utf8_lossy().into_owned()).collect()
}

/// The first of many names, and how many there are besides.
fn shortened(names: &[String]) -> String {
    let shown = names.len().min(NAMES_MAX);
    let text = names[..shown].join(", ");
    match names.len() - shown {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// What the catalogue has for people, and how well it knows, where that is not from the platform
/// itself.
fn remarks(confidence: Option<Confidence>, notes: &[String]) {
    if let Some(one) = confidence.filter(|one| *one != Confidence::A) {
        remark!("confidence: {}: {}", one.name(), one.about());
    }
    for note in notes {
        remark!("note: {note}");
    }
}

/// Shows the table of an integration's sender, with the rows that were given in it.
fn change_macros(config: &Config, macros: &Macros) -> anyhow::Result<()> {
    let path = format!("/integrations/{}", macros.integration);
    let mut integration = asked(config, &path, &[])?;
    if !macros.rows.is_empty() || macros.replace {
        let mut table = integration["macros"].as_object().cloned().unwrap_or_default();
        if macros.replace {
            table.clear();
        }
        for row in &macros.rows {
            let (name, text) = row.split_once('=').with_context(|| {
                format!("`{row}` is no row such as click_id={{aff_sub}}: our name, =, their macro")
            })?;
            match text.trim() {
                "" => _ = table.remove(name),
                text => _ = table.insert(name.to_owned(), text.into()),
            }
        }
        let body = Value::Object(table).to_string();
        integration = exchanged(config, "PUT", &format!("{path}/macros"), &body)?;
    }
    let table = integration["macros"].as_object().context("it is no answer of ours")?;
    for (name, text) in table {
        say!("{name}={}", text.as_str().unwrap_or_default());
    }
    if table.is_empty() {
        remark!("no macros are saved for its sender");
    }
    if let Some(url) = integration["postback_url"].as_str() {
        remark!("its postback URL: {url}");
    }
    Ok(())
}

fn known(name: &str) -> anyhow::Result<Partner> {
    let partners = catalogue::partners();
    let names = partners.iter().map(|partner| partner.name.as_str());
    let near = nearest_in_words(name, names);
    let known = partners.into_iter().find(|partner| partner.name == name);
    known.with_context(|| format!("no partner is called `{name}`{near}"))
}

fn check(url: &str, partner: &Partner, of: Option<Purpose>) -> anyhow::Result<ExitCode> {
    if url.len() > builder::CHECKED_BYTES_MAX {
        bail!("at most {} bytes are looked at", builder::CHECKED_BYTES_MAX);
    }
    let url = url.trim();
    if !builder::is_url(url) {
        bail!("a URL such as `https://track.example/c/a?external_id={{clickid}}`");
    }
    let of = match of {
        Some(Purpose::Click) => Use::Click,
        Some(Purpose::Postback) => Use::Postback,
        None => Use::of(partner, url),
    };
    let checked = builder::check(partner, url, of);
    let complaints = builder::complaints(partner, None, url, of);
    if checked.is_empty() {
        say!("there is no macro in it");
    }
    for one in &checked {
        say!("{}", line(one));
    }
    for Complaint { parameter, detail } in &complaints {
        let name = parameter.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        say!("wrong: {name}{detail}");
    }
    for note in &partner.notes {
        say!("note: {note}");
    }
    let is_known = |one: &Checked| one.judged == Judged::Recognised;
    Ok(if complaints.is_empty() && checked.iter().all(is_known) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One macro, for people.
fn line(one: &Checked) -> String {
    let name = one.parameter.as_ref().map(|name| format!("{name}=")).unwrap_or_default();
    let mut line = format!("{name}{}: {}", one.text, one.judged.name());
    let parts = [
        one.means.as_ref().map(|means| format!(", our {means}")),
        one.nearest.as_ref().map(|nearest| format!(", the right one is {nearest}")),
        one.note.as_ref().map(|note| format!(": {note}")),
    ];
    line.extend(parts.into_iter().flatten());
    line
}
