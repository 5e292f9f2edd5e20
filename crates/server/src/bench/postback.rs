//! `bench postback`: postbacks decided and durable a second, with conversions stored already.
//!
//! Each is a new conversion and must be answered `recorded`: first one for every click, then by
//! further transaction ids. Beside it, in the same run, one-row upserts of PostgreSQL or SQLite.

use super::child::Server;
use super::fill::{Filler, Plan};
use super::load::{Load, Traffic};
use super::upsert::Upserts;
use super::{Common, WARM_UP, absolute, count, print_machine, result, results};
use crate::client::Answer;
use crate::scratch::Scratch;
use crate::terminal::{bold, bytes, number, ratio};
use domain::click_id::ClickIdText;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How many clicks are recent, and get the postbacks.
const RECENT: u64 = 200_000;
/// With `--spread`, how many clicks among all get them.
const SPREAD: u64 = 500_000;
/// Over how many days stored clicks are spread.
const STORED_DAYS: u16 = 10;
/// What an answer can say, the right one first.
const VERDICTS: [&str; 8] =
    ["recorded", "updated", "duplicate", "parked", "ignored", "refused", "received", "other"];

/// Options of `bench postback`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Connections that stay open, each with one request under way
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How many rounds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many conversions are stored before
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 1_000_000)]
    stored: u64,
    /// Postbacks for clicks spread over all that are stored, instead of recent ones
    #[arg(long)]
    spread: bool,
    /// How many clicks are stored before; by default as many as conversions, with `--spread` 1e7
    #[arg(long, value_name = "N", value_parser = count)]
    clicks: Option<u64>,
}

impl Args {
    fn clicks(&self) -> u64 {
        let default = if self.spread { 10_000_000 } else { self.stored };
        self.clicks.unwrap_or(default).max(self.stored)
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let parent = absolute(&args.common.data)?;
    print_machine(&parent);
    let scratch = Scratch::new(&parent, "bench")?;
    let data = scratch.path().join("data");
    std::fs::create_dir(&data)?;
    let postbacks = Arc::new(fill(args, &data)?);
    let server = Server::start(&data)?;
    let of = if args.spread { "spread over all stored ones" } else { "recent ones" };
    say!(
        "{}: {} connections, {} s a round, clicks: {of}",
        bold("Postbacks"),
        args.connections,
        args.common.seconds
    );
    say!("  conversions stored before: {}", number(args.stored));
    say!("  clicks stored before: {}", number(args.clicks()));
    say!("  ledger: {}", bytes(ledger_bytes(&data)));
    let numbers = Arc::new(AtomicU64::new(0));
    let load = Load {
        address: server.address,
        connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
        threads: args.common.threads(),
        rate: None,
        warm_up: WARM_UP,
        time: args.common.time(),
    };
    let mut rates = Vec::new();
    let mut table = results("round", "decided and durable/s");
    for round in 1..=args.rounds {
        let tally = load.run(&postbacks, &numbers)?;
        result(&mut table, &round.to_string(), &tally);
        rates.push(tally.rate());
    }
    table.print(2);
    say!("  memory of the server: {}", bytes(server.resident_bytes()));
    server.stop();
    say!();
    let ours = super::median(rates);
    compare(args, scratch.path(), ours)
}

fn compare(args: &Args, dir: &Path, ours: u64) -> anyhow::Result<()> {
    say!("{}: one-row upserts on the same disk", bold("Reference"));
    let (connections, rows) = (args.connections, args.stored);
    match Upserts::measure(dir, connections, rows, args.common.time())? {
        Some(upserts) => {
            say!("  {}: {}/s{}", upserts.what, number(upserts.rate), upserts.latency);
            say!("  postbacks / upserts: {}", ratio(ours, upserts.rate));
        }
        None => say!("  neither PostgreSQL with pgbench nor sqlite3 is here to compare with"),
    }
    Ok(())
}

fn fill(args: &Args, data: &Path) -> anyhow::Result<Postbacks> {
    let mut filler = Filler::begin(data, STORED_DAYS)?;
    let clicks = args.clicks();
    let keep_every = if args.spread { (clicks / SPREAD).max(1) } else { u64::MAX };
    let plan = Plan { clicks, conversions: args.stored, days: STORED_DAYS, keep_every };
    let mut ids = filler.fill(plan)?;
    filler.seal()?;
    if !args.spread {
        ids = filler.fill(Plan { clicks: RECENT, conversions: 0, days: 0, keep_every: 1 })?;
    }
    let key = filler.integration_key.clone();
    filler.finish()?;
    Ok(Postbacks::new(ids, key))
}

fn ledger_bytes(data: &Path) -> u64 {
    data.join(crate::open::LEDGER).metadata().map_or(0, |file| file.len())
}

/// Postbacks as an advertiser sends them, none twice.
pub(super) struct Postbacks {
    ids: Vec<ClickIdText>,
    key: String,
}

impl Postbacks {
    /// Of these clicks, in no order, as partners send them.
    pub(super) fn new(mut ids: Vec<ClickIdText>, key: String) -> Self {
        let mut random = super::fill::Random(11);
        for place in (1..ids.len()).rev() {
            ids.swap(place, random.below(place as u64 + 1));
        }
        Self { ids, key }
    }
}

impl Traffic for Postbacks {
    fn write(&self, number: u64, out: &mut Vec<u8>) {
        let clicks = self.ids.len() as u64;
        let place = usize::try_from(number % clicks).expect("it is below a number of clicks");
        let (id, turn) = (&self.ids[place], number / clicks);
        let mut request = String::with_capacity(256);
        _ = write!(
            request,
            "GET /postback/{}?click_id={id}&txn_id=order-{turn}&status=approved HTTP/1.1\r\n\
             Host: go.example.com\r\nUser-Agent: advertiser/1.0\r\nAccept: */*\r\n\r\n",
            self.key
        );
        out.extend_from_slice(request.as_bytes());
    }

    fn kinds(&self) -> &'static [&'static str] {
        &VERDICTS
    }

    fn kind(&self, answer: &Answer<'_>) -> usize {
        verdict(answer.body)
    }
}

/// Which of [`VERDICTS`] a receipt says.
fn verdict(body: &[u8]) -> usize {
    const NAME: &[u8] = b"\"verdict\":";
    let other = VERDICTS.len() - 1;
    let Some(place) = body.windows(NAME.len()).position(|part| part == NAME) else { return other };
    let value = &body[place + NAME.len()..];
    if value.starts_with(b"null") {
        return other - 1;
    }
    let word = value.strip_prefix(b"\"").and_then(|rest| rest.split(|byte| *byte == b'"').next());
    let known = VERDICTS[..other - 1].iter().position(|verdict| word == Some(verdict.as_bytes()));
    known.unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_read_from_a_receipt() {
        let of = |body: &str| VERDICTS[verdict(body.as_bytes())];
        assert_eq!(of(r#"{"receipt":"x","verdict":"recorded","reason":null}"#), "recorded");
        assert_eq!(of(r#"{"receipt":"x","verdict":"refused","reason":"late"}"#), "refused");
        assert_eq!(of(r#"{"receipt":"x","verdict":null}"#), "received");
        for body in ["", "OK", r#"{"verdict":"other"}"#, r#"{"verdict":5}"#, r#"{"verdict":"#] {
            assert_eq!(of(body), "other", "{body}");
        }
    }
}
