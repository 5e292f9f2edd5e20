//! `bench delivery`: publishers told beside postbacks that come in, and what a dead one does to
//! the others.
//!
//! Every postback is a new conversion, of which one destination is told: as many deliveries a
//! second go out as postbacks come in. Beside it, in the same run, what the receiver takes of plain
//! requests, and how late publishers are told while nothing else is owed.

use super::child::{Server, free_address};
use super::fill::{Filler, PUBLISHERS, Plan};
use super::histogram::Histogram;
use super::load::{Load, Tally, Traffic};
use super::postback::Postbacks;
use super::receiver::{AT, Manner, Receiver};
use super::{Common, WARM_UP, absolute, count, print_machine};
use crate::client::{Answer, Connection};
use crate::scratch::Scratch;
use crate::terminal::{Side, Table, bold, bytes, number, rate, ratio, time};
use anyhow::{Context, bail};
use serde_json::Value;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// How many clicks get the postbacks, of those that are told and of one that is not.
const RECENT: u64 = 200_000;
/// What is owed to those that are told before anything is measured.
const OWED: u64 = 50_000;
/// Over how many days stored clicks are spread.
const STORED_DAYS: u16 = 10;
/// How long something may take to be told.
const TOLD_WITHIN: Duration = Duration::from_secs(600);
/// How often it is looked whether it was: seldom, for looking takes from the server on the machine.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// More failures than there can be: the destination is never paused.
const NEVER: u32 = 1_000_000;

/// Options of `bench delivery`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Postbacks a second, and so deliveries
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Connections that stay open, each with one postback under way
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How many deliveries the dead destination is owed
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 500_000)]
    due: u64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let parent = absolute(&args.common.data)?;
    print_machine(&parent);
    let scratch = Scratch::new(&parent, "bench")?;
    let data = scratch.path().join("data");
    std::fs::create_dir(&data)?;
    let receiver = Receiver::start(Manner::Answers)?;
    let dead = free_address()?;
    let bench = Bench { args, data: &data, receiver, dead, numbers: Arc::default() };
    let postbacks = bench.fill()?;
    say!(
        "{}: {} publishers who are told, {} postbacks/s, {} s a round",
        bold("Deliveries"),
        PUBLISHERS - 2,
        number(args.rate.into()),
        args.common.seconds
    );
    bench.owed_before()?;
    bench.beside_a_dead_one(&postbacks)
}

struct Bench<'a> {
    args: &'a Args,
    data: &'a Path,
    receiver: Receiver,
    dead: SocketAddr,
    numbers: Arc<AtomicU64>,
}

impl Bench<'_> {
    /// The first publisher is told at an address where nobody is, the last nowhere, all others at
    /// the receiver's.
    fn fill(&self) -> anyhow::Result<[Arc<Postbacks>; 2]> {
        let last = usize::try_from(PUBLISHERS)? - 1;
        let others = 1..last;
        let url =
            |address| format!("http://{address}/p?cid={{click_id}}&{AT}{{converted_at:unix_ms}}");
        let mut filler = Filler::begin(self.data, STORED_DAYS)?;
        filler.tell(0..1, &url(self.dead))?;
        filler.tell(others.clone(), &url(self.receiver.address))?;
        let plan = |conversions| Plan {
            clicks: conversions,
            conversions,
            days: STORED_DAYS,
            keep_every: u64::MAX,
        };
        filler.click_only(0..1);
        filler.fill(plan(self.args.due))?;
        filler.click_only(others.clone());
        filler.fill(plan(OWED))?;
        filler.seal()?;
        let recent = Plan { clicks: RECENT, conversions: 0, days: 0, keep_every: 1 };
        let mut postbacks = |links| {
            filler.click_only(links);
            let ids = filler.fill(recent)?;
            anyhow::Ok(Arc::new(Postbacks::new(ids, filler.integration_key.clone())))
        };
        let both = [postbacks(last..last + 1)?, postbacks(others)?];
        filler.finish()?;
        Ok(both)
    }

    fn server(&self, pause_after: Option<u32>) -> anyhow::Result<Server> {
        let mut settings = vec![
            ("COUNTERFOIL_OUTBOUND_ALLOW", r#"["127.0.0.1/32"]"#.to_owned()),
            // That a destination is dead is meant to be.
            ("COUNTERFOIL_LOG", "error".to_owned()),
        ];
        settings.extend(
            pause_after.map(|count| ("COUNTERFOIL_OUTBOUND_PAUSE_AFTER", count.to_string())),
        );
        Server::start_with(self.data, &settings)
    }

    fn load(&self, address: SocketAddr, rate: Option<u32>) -> Load {
        Load {
            address,
            connections: usize::try_from(self.args.connections).unwrap_or(usize::MAX),
            threads: self.args.common.threads(),
            rate,
            warm_up: WARM_UP,
            time: self.args.common.time(),
        }
    }

    /// How fast what was owed before goes out, beside plain requests to the same receiver.
    fn owed_before(&self) -> anyhow::Result<()> {
        let plain = self.load(self.receiver.address, None).run(&Arc::new(Plain), &self.numbers)?;
        self.receiver.lags();
        let server = self.server(None)?;
        let from = Instant::now();
        let mut told = 0;
        let (mut first, mut last) = (None, from);
        while told < OWED {
            // What was told is counted by the receiver meanwhile.
            std::thread::sleep(LOOK_EVERY);
            let more = self.receiver.lags().count();
            if more > 0 {
                last = Instant::now();
                first = first.or(Some((last, more)));
            }
            told += more;
            if from.elapsed() > TOLD_WITHIN {
                bail!("only {told} of {OWED} were told");
            }
        }
        let (first, before) = first.unwrap_or((from, 0));
        let drained = rate(told - before, last - first);
        say!("  plain requests to the receiver:  {}/s", number(plain.rate()));
        say!(
            "  deliveries that were owed before: {}/s ({} of them); of plain requests: {}",
            number(drained),
            number(OWED),
            ratio(drained, plain.rate())
        );
        say!("  memory of the server: {}", bytes(server.resident_bytes()));
        server.stop();
        Ok(())
    }

    fn beside_a_dead_one(&self, [untold, told]: &[Arc<Postbacks>; 2]) -> anyhow::Result<()> {
        let mut table = Table::new([
            ("the dead destination", Side::Left),
            ("it is owed", Side::Right),
            ("postbacks/s", Side::Right),
            ("p99", Side::Right),
            ("deliveries/s", Side::Right),
            ("told after p50", Side::Right),
            ("p99", Side::Right),
            ("at the latest", Side::Right),
            ("memory", Side::Right),
            ("not as expected", Side::Left),
        ]);
        let server = self.server(None)?;
        self.round(&mut table, "is paused; nobody is told", &server, untold)?;
        self.round(&mut table, "is paused: it refused", &server, told)?;
        change(&server, "POST", "/destinations/1/pause", r#"{"why":"the bench"}"#)?;
        self.round(&mut table, "is paused by a person", &server, told)?;
        change(&server, "POST", "/destinations/1/resume", "{}")?;
        server.stop();
        let server = self.server(Some(NEVER))?;
        self.round(&mut table, "refuses, and is never paused", &server, told)?;
        server.stop();
        let hanging = Receiver::start_at(Manner::Hangs, self.dead)?;
        let server = self.server(Some(NEVER))?;
        self.round(&mut table, "never answers, nor is paused", &server, told)?;
        server.stop();
        drop(hanging);
        table.print(2);
        Ok(())
    }

    fn round(
        &self,
        table: &mut Table,
        what: &str,
        server: &Server,
        postbacks: &Arc<Postbacks>,
    ) -> anyhow::Result<()> {
        self.receiver.lags();
        let rate_asked = Some(self.args.rate);
        let from = Instant::now();
        let tally = self.load(server.address, rate_asked).run(postbacks, &self.numbers)?;
        let passed = from.elapsed();
        let lags = self.receiver.lags();
        let memory = server.resident_bytes();
        let left = wait_for_rest(server)?;
        table.row([
            what.to_owned(),
            number(left),
            number(tally.rate()),
            time(tally.latency.within(990)),
            number(rate(lags.count(), passed)),
            time(lags.within(500)),
            time(lags.within(990)),
            time(lags.within(1_000)),
            bytes(memory),
            complaint(&tally, &lags),
        ]);
        Ok(())
    }
}

/// Until all are told but the dead one; what that is owed.
fn wait_for_rest(server: &Server) -> anyhow::Result<u64> {
    let from = Instant::now();
    loop {
        let figures = change(server, "GET", "/deliveries/figures", "")?;
        let items = figures["items"].as_array().cloned().unwrap_or_default();
        let waiting = |item: &Value| item["states"]["waiting"].as_u64().unwrap_or(0);
        let is_dead = |item: &&Value| item["destination_id"] == 1;
        let all: u64 = items.iter().map(waiting).sum();
        let dead = items.iter().filter(is_dead).map(waiting).sum();
        if all == dead {
            return Ok(dead);
        }
        if from.elapsed() > TOLD_WITHIN {
            bail!("{} deliveries were not told", all - dead);
        }
        // The API says how many there are, and not when there are none.
        std::thread::sleep(LOOK_EVERY);
    }
}

fn complaint(tally: &Tally, lags: &Histogram) -> String {
    let mut complaints: Vec<String> = tally.complaint().into_iter().collect();
    if lags.within(1_000) > Duration::from_secs(1) {
        complaints.push("told more than a second after".to_owned());
    }
    complaints.join(", ")
}

/// Asks the server under test, with its key; it must be answered 200.
fn change(server: &Server, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
    let mut request = String::new();
    _ = write!(
        request,
        "{method} /api/v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        super::child::ADMIN_KEY,
        body.len()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(server.address).await?;
        let answer = connection.exchange(request.as_bytes()).await?;
        if answer.status != 200 {
            bail!("{method} {path}: {}", String::from_utf8_lossy(answer.body));
        }
        serde_json::from_slice(answer.body).context("no JSON")
    })
}

/// What a delivery is on the wire, without anything behind it.
struct Plain;

impl Traffic for Plain {
    fn write(&self, number: u64, out: &mut Vec<u8>) {
        let request = format!(
            "GET /p?cid={number:026}&{AT}1800000000000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             User-Agent: bench/1.0\r\nIdempotency-Key: {number}-1-1\r\n\r\n"
        );
        out.extend_from_slice(request.as_bytes());
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["answers", "other answers"]
    }

    fn kind(&self, answer: &Answer<'_>) -> usize {
        usize::from(answer.status != 200)
    }
}
