//! `counterfoil url`: URLs to be pasted elsewhere, with the macros of whoever they are for.
//!
//! What the catalogue alone says needs no server. What an integration or a link says is asked of
//! the one that runs, with its admin key.

use crate::catalogue;
use crate::client::Connection;
use crate::config::Config;
use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use domain::builder::{self, Checked, Judged, Use};
use domain::partner::Partner;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// How long a server that is asked may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

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
    /// Judge each macro of a URL that was pasted together
    Check(Check),
}

#[derive(ClapArgs)]
struct Click {
    /// The link's URL, or its number, of which the running server is asked
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
        What::Click(Click { link, partner }) => {
            let url = match link.parse::<u32>() {
                Ok(id) => {
                    asked(config, &format!("/links/{id}/click-url"), &[("partner", &partner)])?
                }
                Err(_) => {
                    let partner = known(&partner)?;
                    builder::click_url(&link, &partner).with_context(|| {
                        format!("`{}` is not known to fill anything into links", partner.name)
                    })?
                }
            };
            println!("{url}");
        }
        What::Postback(Postback { integration, partner, goal }) => {
            let given = [("partner", partner), ("goal", goal)];
            let query: Vec<(&str, &str)> =
                given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
            let path = format!("/integrations/{integration}/postback-url");
            println!("{}", asked(config, &path, &query)?);
        }
        What::Check(Check { url, partner, of }) => return check(&url, &known(&partner)?, of),
    }
    Ok(ExitCode::SUCCESS)
}

fn known(name: &str) -> anyhow::Result<Partner> {
    let partners = catalogue::partners();
    let names = partners.iter().map(|partner| partner.name.as_str());
    let near = domain::macros::nearest(name, names);
    let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
    let known = partners.into_iter().find(|partner| partner.name == name);
    known.with_context(|| format!("no partner is called `{name}`{near}"))
}

fn check(url: &str, partner: &Partner, of: Option<Purpose>) -> anyhow::Result<ExitCode> {
    if url.len() > builder::CHECKED_BYTES_MAX {
        bail!("at most {} bytes are looked at", builder::CHECKED_BYTES_MAX);
    }
    let of = match of {
        Some(Purpose::Click) => Use::Click,
        Some(Purpose::Postback) => Use::Postback,
        None => Use::of(partner, url),
    };
    let checked = builder::check(partner, url, of);
    if checked.is_empty() {
        println!("there is no macro in it");
    }
    for one in &checked {
        println!("{}", line(one));
    }
    for note in &partner.notes {
        println!("note: {note}");
    }
    let is_good = checked.iter().all(|one| one.judged == Judged::Recognised);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

/// The `url` of what the running server answers.
fn asked(config: &Config, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
    let Some(key) = &config.admin_key else {
        bail!("the server is asked with its admin key: set COUNTERFOIL_ADMIN_KEY");
    };
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let query: Vec<String> =
        query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let address = reachable(config.listen);
    let request = format!(
        "GET /api/v1{path}?{} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        query.join("&"),
        key.expose()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, answer) = runtime.block_on(async {
        let asked = async {
            let mut connection = Connection::open(address).await?;
            let answer = connection.exchange(request.as_bytes()).await?;
            let json = serde_json::from_slice::<Value>(answer.body).unwrap_or_default();
            anyhow::Ok((answer.status, json))
        };
        tokio::time::timeout(ANSWER_WITHIN, asked)
            .await
            .context("it took too long")?
            .with_context(|| format!("no server answers at {address}"))
    })?;
    match (status, answer["url"].as_str()) {
        (200, Some(url)) => Ok(url.to_owned()),
        _ => bail!("{}", answer["detail"].as_str().unwrap_or("it is no answer of ours")),
    }
}

/// Where a server that listens everywhere is reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
