//! `counterfoil bench`: what this machine does with this program, and beside what.
//!
//! The server under test is this very program as a process of its own, on its defaults; the load
//! is ours, and drives in the same run whatever the result is compared with. The stored clicks
//! and conversions it begins with are not sent over HTTP but written by the server's own calls.

mod child;
mod click;
mod delivery;
pub(crate) mod fill;
mod histogram;
mod load;
mod lookup;
mod machine;
mod nginx;
mod postback;
mod receiver;
mod upsert;

use crate::config::Config;
use crate::scratch;
use crate::terminal::{Side, Table, bold, number, time};
use load::Tally;
use machine::Machine;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// What is sent before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// What to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Redirects: fsynced clicks, beside nginx, and with more and more clicks stored
    Click(click::Args),
    /// Postbacks: decided and durable, beside one-row upserts on the same disk
    Postback(postback::Args),
    /// Deliveries: publishers told beside postbacks, and beside a destination that is dead
    Delivery(delivery::Args),
    /// Look-ups among stored clicks; start time, memory, and disk per click
    Lookup(lookup::Args),
}

/// What all of them take.
#[derive(clap::Args, Clone, Debug)]
struct Common {
    /// How long each round takes, in seconds
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Where files are made: on the disk to be measured
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,
    /// Threads that send; by default half as many as there are cores
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Common {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(cores / 2).max(1)
    }
}

/// Measures. The configuration is not used: a server under test runs on the defaults.
pub(crate) fn run(args: Args, _config: Config) -> anyhow::Result<ExitCode> {
    scratch::until_interrupted(move || match args.what {
        What::Click(args) => click::run(&args),
        What::Postback(args) => postback::run(&args),
        What::Delivery(args) => delivery::run(&args),
        What::Lookup(args) => lookup::run(&args),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The first lines of every result.
fn print_machine(dir: &Path) {
    say!("{}", bold("Machine"));
    for line in Machine::look(dir).lines() {
        say!("  {line}");
    }
    say!("  release:    {} ({})", env!("CARGO_PKG_VERSION"), build());
    say!(
        "  durable:    answered after the fsync of the journal, which takes what came together; \
         the ledger follows (WAL, synchronous=normal)"
    );
    say!();
}

fn build() -> &'static str {
    if cfg!(debug_assertions) { "a debug build: its figures mean nothing" } else { "optimised" }
}

/// The table that results are printed in.
fn results(what: &str, unit: &str) -> Table {
    Table::new([
        (what, Side::Left),
        (unit, Side::Right),
        ("p50", Side::Right),
        ("p99", Side::Right),
        ("p99.9", Side::Right),
        ("not as expected", Side::Left),
    ])
}

fn result(table: &mut Table, what: &str, tally: &Tally) {
    table.row([
        what.to_owned(),
        number(tally.rate()),
        time(tally.latency.within(500)),
        time(tally.latency.within(990)),
        time(tally.latency.within(999)),
        tally.complaint().unwrap_or_default(),
    ]);
}

/// The middle one; of an even number, the lower of the two.
fn median(mut rates: Vec<u64>) -> u64 {
    rates.sort_unstable();
    rates.get(rates.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// A number such as `10000000`, `10_000_000` or `1e7`.
fn count(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no number such as 10000, 10_000 or 1e4");
    let text = text.replace('_', "");
    let (digits, zeros) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: u64 = digits.parse().map_err(|_| wrong())?;
    let zeros = zeros.parse().map_err(|_| wrong())?;
    10_u64.checked_pow(zeros).and_then(|power| digits.checked_mul(power)).ok_or_else(wrong)
}

/// Makes paths of our own relative to none.
fn absolute(dir: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    Ok(dir.canonicalize()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_clicks_may_be_written_short() {
        assert_eq!(count("10000"), Ok(10_000));
        assert_eq!(count("10_000_000"), Ok(10_000_000));
        assert_eq!(count("1e7"), Ok(10_000_000));
        assert_eq!(count("25e2"), Ok(2_500));
        for text in ["", "e7", "1e", "-1", "1e20", "1e99", "1.5e3", "x"] {
            assert!(count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![4, 1, 3, 2]), 2);
        assert_eq!(median(Vec::new()), 0);
    }
}
