//! `bench lookup`: how fast a click is found among many, and what many cost: the time to start,
//! memory, and disk per click.
//!
//! The data are made once and kept, because making them takes longer than measuring.

use super::child::{ADMIN_KEY, Server};
use super::fill::{Filler, LABELS, Plan, Random};
use super::histogram::Histogram;
use super::load::{Load, Traffic};
use super::{Common, WARM_UP, absolute, count, print_machine, result, results};
use crate::client::Answer;
use crate::keys::{Keys, Missing};
use crate::open::{FACTS, JOURNAL};
use crate::terminal::{Side, Table, bold, bytes, number, ratio, time};
use anyhow::{Context, bail};
use domain::click_id::{ClickId, ClickIdText};
use domain::id::{NodeId, Position};
use domain::record;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;
use store::disk::RealDisk;
use store::facts::Facts;
use store::journal::{self, Journal};
use store::records::JournalRecords;

/// How many of the stored clicks are looked up.
const LOOKED_UP: u64 = 100_000;
/// How many of them directly, without HTTP.
const LOOKED_UP_DIRECTLY: usize = 20_000;
/// Over how many days stored clicks are spread.
const STORED_DAYS: u16 = 10;
/// The ids that are looked up, one a line, beside the data.
const IDS: &str = "ids.txt";

/// Options of `bench lookup`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Connections that stay open, each with one request under way
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How many clicks are stored and sealed
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 10_000_000)]
    stored: u64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let parent = absolute(&args.common.data)?;
    print_machine(&parent);
    let set = DataSet::at(&parent, args.stored)?;
    say!("{}: {} clicks, sealed, in {}", bold("Stored"), number(args.stored), set.data.display());
    set.print_sizes(args.stored)?;
    say!();
    over_http(args, &set)?;
    directly(&set)
}

fn over_http(args: &Args, set: &DataSet) -> anyhow::Result<()> {
    let server = Server::start(&set.data)?;
    say!("{}: {}", bold("Start"), time(server.started_in));
    say!("  memory after it: {}", bytes(server.resident_bytes()));
    say!();
    say!(
        "{}: GET /api/v1/clicks/{{id}}, {} connections, {} s",
        bold("Look-ups"),
        args.connections,
        args.common.seconds
    );
    let lookups = Arc::new(Lookups { ids: set.ids.clone() });
    let load = Load {
        address: server.address,
        connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
        threads: args.common.threads(),
        rate: None,
        warm_up: WARM_UP,
        time: args.common.time(),
    };
    let tally = load.run(&lookups, &Arc::new(AtomicU64::new(0)))?;
    let mut table = results("by", "look-ups/s");
    result(&mut table, "HTTP", &tally);
    table.print(2);
    say!("  memory after them: {}", bytes(server.resident_bytes()));
    say!();
    server.stop();
    Ok(())
}

/// The facts alone, one look-up after the other.
fn directly(set: &DataSet) -> anyhow::Result<()> {
    let keys = Keys::open(&set.data, None, Missing::Refuse)?;
    let options =
        journal::Options::new(NodeId::new(0).expect("0 is a node"), record::RULES, [0; 16]);
    let now = Arc::new(|| 0);
    let journal = Journal::open(Arc::new(RealDisk), &set.data.join(JOURNAL), options, now)?;
    let records = Arc::new(JournalRecords(Arc::new(journal)));
    let from = Instant::now();
    let facts = Facts::open(Arc::new(RealDisk), &set.data.join(FACTS), records)?;
    let opened_in = from.elapsed();
    let ids: Vec<ClickId> = set
        .ids
        .iter()
        .take(LOOKED_UP_DIRECTLY)
        .map(|id| keys.click.parse(id).context("an id is none of this directory's"))
        .collect::<anyhow::Result<_>>()?;
    let mut latency = Histogram::default();
    for id in &ids {
        let from = Instant::now();
        let found = facts.find(&[*id], Position(u64::MAX))?;
        latency.record(from.elapsed());
        if found.iter().flatten().count() != 1 {
            bail!("a stored click was not found");
        }
    }
    say!("{}: {} one after the other", bold("The facts alone"), number(latency.count()));
    say!("  opened in: {}", time(opened_in));
    let mut table =
        Table::new([("p50", Side::Right), ("p99", Side::Right), ("p99.9", Side::Right)]);
    table.row([500, 990, 999].map(|per_mille| time(latency.within(per_mille))));
    table.print(2);
    Ok(())
}

/// A data directory that is kept, and some ids of it in no order.
struct DataSet {
    data: PathBuf,
    ids: Vec<String>,
}

impl DataSet {
    /// Opens the one in `parent`, or makes it.
    fn at(parent: &Path, stored: u64) -> anyhow::Result<Self> {
        let data = parent.join(format!("counterfoil-lookup-{stored}"));
        let file = data.join(IDS);
        if let Ok(text) = std::fs::read_to_string(&file) {
            let ids = text.lines().map(str::to_owned).collect();
            return Ok(Self { data, ids });
        }
        if data.exists() {
            bail!("{} is there and not finished; remove it first", data.display());
        }
        std::fs::create_dir(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let mut filler = Filler::begin(&data, STORED_DAYS)?;
        let keep_every = (stored / LOOKED_UP).max(1);
        let plan = Plan { clicks: stored, conversions: 0, days: STORED_DAYS, keep_every };
        let mut ids = filler.fill(plan)?;
        filler.seal()?;
        filler.finish()?;
        let mut random = Random(5);
        for place in (1..ids.len()).rev() {
            ids.swap(place, random.below(place as u64 + 1));
        }
        let ids: Vec<String> = ids.iter().map(ClickIdText::to_string).collect();
        std::fs::write(&file, ids.join("\n"))?;
        Ok(Self { data, ids })
    }

    fn print_sizes(&self, stored: u64) -> anyhow::Result<()> {
        let (mut columns, mut personal, mut files) = (0, 0, 0);
        for entry in std::fs::read_dir(self.data.join(FACTS).join("click"))? {
            let entry = entry?;
            let len = entry.metadata()?.len();
            if entry.file_name().to_string_lossy().contains(".personal.") {
                personal += len;
            } else {
                columns += len;
                files += 1;
            }
        }
        let each = |bytes: u64| ratio(bytes, stored);
        let labels = LABELS.map(number).join(", ");
        say!("  files: {files}");
        say!("  disk per click: {} bytes, with five sub ids of {labels} values", each(columns));
        say!("  and for address and user agent, which go first: {} bytes", each(personal));
        Ok(())
    }
}

/// Whoever asks for a click with its id.
struct Lookups {
    ids: Vec<String>,
}

impl Traffic for Lookups {
    fn write(&self, number: u64, out: &mut Vec<u8>) {
        let place = number % self.ids.len() as u64;
        let id = &self.ids[usize::try_from(place).expect("it is below a number of ids")];
        let request = format!(
            "GET /api/v1/clicks/{id} HTTP/1.1\r\nHost: bench\r\n\
             Authorization: Bearer {ADMIN_KEY}\r\n\r\n"
        );
        out.extend_from_slice(request.as_bytes());
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["found", "other answers"]
    }

    fn kind(&self, answer: &Answer<'_>) -> usize {
        usize::from(answer.status != 200)
    }
}
