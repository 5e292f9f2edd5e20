//! `bench click`: redirects a second, each click on disk before its answer.
//!
//! First beside nginx, in turns on the same machine; then with more and more clicks stored, to
//! show that a redirect does not get slower with them.

use super::child::Server;
use super::fill::{Filler, Plan, Random};
use super::load::{Load, Tally, Traffic};
use super::nginx::Nginx;
use super::{Common, WARM_UP, absolute, count, median, print_machine, result, results};
use crate::client::Answer;
use crate::scratch::Scratch;
use crate::terminal::{bold, number, ratio};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How many different requests are sent, over and over.
const REQUESTS: usize = 4_096;
/// Over how many days stored clicks are spread.
const STORED_DAYS: u16 = 10;

/// Options of `bench click`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Connections that stay open, each with one request under way
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Turns of each, beside nginx
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many clicks are stored before, one run for each
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = count, default_values_t = [10_000, 100_000, 1_000_000])]
    stored: Vec<u64>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let parent = absolute(&args.common.data)?;
    print_machine(&parent);
    beside_nginx(args, &parent)?;
    with_more_stored(args, &parent)
}

impl Args {
    fn load(&self, address: SocketAddr) -> Load {
        Load {
            address,
            connections: usize::try_from(self.connections).unwrap_or(usize::MAX),
            threads: self.common.threads(),
            rate: None,
            warm_up: WARM_UP,
            time: self.common.time(),
        }
    }
}

fn beside_nginx(args: &Args, parent: &Path) -> anyhow::Result<()> {
    say!(
        "{}: {} connections, {} s a round, nothing stored before",
        bold("Clicks"),
        args.connections,
        args.common.seconds
    );
    let scratch = Scratch::new(parent, "bench")?;
    let data = scratch.path().join("data");
    let (server, clicks) = serve(&data, 0)?;
    let nginx_dir = scratch.path().join("nginx");
    std::fs::create_dir(&nginx_dir)?;
    let nginx = Nginx::start(&nginx_dir)?;
    let redirects = Arc::new(Clicks { requests: clicks.requests.clone(), of: Kind::Nginx });
    let numbers = Arc::new(AtomicU64::new(0));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut table = results("round", "redirects/s");
    let mut measure = |name: String, tally: Tally, rates: &mut Vec<u64>| {
        result(&mut table, &name, &tally);
        rates.push(tally.rate());
    };
    for round in 1..=args.rounds {
        let tally = args.load(server.address).run(&clicks, &numbers)?;
        measure(format!("{round}  counterfoil"), tally, &mut ours);
        if let Some(nginx) = &nginx {
            let tally = args.load(nginx.address).run(&redirects, &numbers)?;
            measure(format!("{round}  nginx"), tally, &mut theirs);
        }
    }
    table.print(2);
    if nginx.is_some() {
        let (ours, theirs) = (median(ours), median(theirs));
        say!("  counterfoil / nginx: {} (medians)", ratio(ours, theirs));
    } else {
        say!("  there is no nginx on this machine to compare with");
    }
    say!();
    server.stop();
    Ok(())
}

fn with_more_stored(args: &Args, parent: &Path) -> anyhow::Result<()> {
    if args.stored.is_empty() {
        return Ok(());
    }
    say!("{}: clicks that are stored before, and redirects beside them", bold("Growth"));
    let mut table = results("stored before", "redirects/s");
    for stored in &args.stored {
        let scratch = Scratch::new(parent, "bench")?;
        let (server, clicks) = serve(&scratch.path().join("data"), *stored)?;
        let numbers = Arc::new(AtomicU64::new(0));
        let tally = args.load(server.address).run(&clicks, &numbers)?;
        result(&mut table, &number(*stored), &tally);
        server.stop();
    }
    table.print(2);
    say!("  each server keeps its own clicks of the run beside those");
    Ok(())
}

/// A server with so many clicks, and what to send it.
fn serve(data: &Path, stored: u64) -> anyhow::Result<(Server, Arc<Clicks>)> {
    std::fs::create_dir(data)?;
    let mut filler = Filler::begin(data, STORED_DAYS)?;
    filler.fill(Plan {
        clicks: stored,
        conversions: 0,
        days: STORED_DAYS,
        keep_every: u64::MAX,
    })?;
    let clicks = Clicks::new(&filler.tokens);
    filler.finish()?;
    Ok((Server::start(data)?, Arc::new(clicks)))
}

/// Whose answers are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counterfoil,
    Nginx,
}

/// Visitors: link and labels differ, the rest is what a phone sends.
struct Clicks {
    requests: Vec<Vec<u8>>,
    of: Kind,
}

impl Clicks {
    fn new(tokens: &[String]) -> Self {
        let mut random = Random(42);
        let mut request = || {
            let token = &tokens[random.below(tokens.len() as u64)];
            format!(
                "GET /c/{token}?sub1=us&sub2=placement-{}&sub3=phase-{}&sub4=creative-{:04}\
                 &sub5={} HTTP/1.1\r\nHost: go.example.com\r\nUser-Agent: Mozilla/5.0 (Linux; \
                 Android 15) AppleWebKit/537.36 Chrome/131.0.0.0 Mobile Safari/537.36\r\n\
                 Accept: text/html\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n",
                random.below(2_000),
                random.below(24),
                random.below(500),
                100_000 + random.below(10_000),
            )
            .into_bytes()
        };
        Self { requests: (0..REQUESTS).map(|_| request()).collect(), of: Kind::Counterfoil }
    }
}

impl Traffic for Clicks {
    fn write(&self, number: u64, out: &mut Vec<u8>) {
        let place = usize::try_from(number % REQUESTS as u64).expect("it is below a small number");
        out.extend_from_slice(&self.requests[place]);
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["redirects", "other answers"]
    }

    fn kind(&self, answer: &Answer<'_>) -> usize {
        let is_right = answer.status == 302
            && (self.of == Kind::Nginx
                || answer.header("location").is_some_and(|url| url.contains("?click_id=0")));
        usize::from(!is_right)
    }
}
