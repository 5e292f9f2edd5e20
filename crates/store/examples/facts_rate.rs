//! Measures the facts: disk per click, sealing, merging, look-ups, sums and memory.
//!
//! `cargo run --release -p store --example facts_rate -- [clicks] [folder]` makes so many clicks
//! (10,000,000 without) of one day's traffic with five sub ids, none with an external id or
//! personal data in what is counted per click, and prints what it took. Figures depend on the
//! machine and on what else it does.

use domain::click::{Click, Label, Labels, Personal};
use domain::click_id::ClickId;
use domain::id::{CampaignId, Position, PublisherId};
use domain::record::{Record, Stamped};
use domain::report::{Dimension, Query, Test};
use domain::time::Timestamp;
use domain::visitor::{Country, Device, Visitor};
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::disk::RealDisk;
use store::facts::{Error, Facts, JournalId, Records, SEAL_ROWS};

/// Clicks a second, of which those of one day follow one another.
const RATE: u64 = 400;
/// 2026-11-20T00:00:00Z.
const START: Timestamp = Timestamp::from_s(1_795_132_800);
const LOOK_UPS: u64 = 20_000;
/// How many clicks are made before they are added: so that making them is not measured.
const BATCH: usize = 10_000;

/// Clicks made from their position: a journal that needs no disk.
struct Made;

/// Looks random, and is the same each time.
fn noise(number: u64, of: u64) -> u64 {
    let mut state =
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ of.wrapping_mul(0xd1b5_4a32_d192_ed03);
    state ^= state >> 30;
    state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state ^= state >> 27;
    state = state.wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

/// One of so many, of which the first come far more often than the last.
fn pick(number: u64, of: u64, count: u64) -> u64 {
    let unit = noise(number, of) >> 40;
    // The square of a number below 1 is mostly small.
    (((unit * unit) >> 24) * count) >> 24
}

fn at(position: u64) -> Timestamp {
    START.plus_us(i64::try_from(position * 1_000_000 / RATE).expect("it is a number of clicks"))
}

fn id(position: u64) -> ClickId {
    // Requests end in another order than they begin in.
    let ms =
        u64::try_from(at(position).as_ms()).expect("it is after 1970") - noise(position, 0) % 20;
    let link = 1 + pick(position, 1, 1_500);
    let tail = noise(position, 2) & ((1 << 38) - 1);
    let bits = u128::from(ms) << 80 | u128::from(link) << 48 | u128::from(tail);
    ClickId::from_bytes(bits.to_be_bytes())
}

fn click(position: u64, has_extras: bool) -> Click<'static> {
    let link = 1 + pick(position, 1, 1_500);
    let small = |number: u64| u32::try_from(number).expect("it is below a bound");
    let mut labels = Labels::default();
    let placement = noise(pick(position, 3, 5_000), 4) % 100_000_000;
    labels.set(Label::Sub(1), format!("pl{placement}"));
    labels.set(Label::Sub(2), format!("banner-{}", pick(position, 5, 200)));
    labels.set(Label::Sub(3), format!("c{}", pick(position, 6, 50)));
    labels.set(Label::Sub(4), format!("campaign-{}", pick(position, 7, 30)));
    labels.set(Label::Sub(5), format!("aff-{}", pick(position, 8, 500)));
    let mut personal = Personal::default();
    let mut external_id = Vec::new();
    if has_extras {
        external_id = format!("{:016x}{:08x}", noise(position, 9), position).into_bytes();
        personal.ip = Some(
            noise(position, 10).to_be_bytes()[..4]
                .try_into()
                .map_or([0, 0, 0, 0].into(), |bytes: [u8; 4]| bytes.into()),
        );
        personal.user_agent = format!(
            "Mozilla/5.0 (Linux; Android {}; K) AppleWebKit/537.36 Chrome/{}.0 Mobile",
            pick(position, 11, 14),
            pick(position, 12, 140)
        )
        .into();
        personal.referrer = format!("https://site-{}.example/", pick(position, 13, 9_000)).into();
    }
    Click {
        id: id(position),
        campaign_id: CampaignId(small(1 + link % 30)),
        publisher_id: PublisherId(small(1 + link % 500)),
        is_live: true,
        is_test: noise(position, 14).is_multiple_of(5_000),
        cost: None,
        external_id: external_id.into(),
        labels,
        personal,
        visitor: visitor(position),
    }
}

/// Mostly phones, of fifty countries.
fn visitor(position: u64) -> Visitor<'static> {
    let country = pick(position, 15, 50).to_le_bytes()[0];
    let (device, os, browser) = match pick(position, 16, 20) {
        0..9 => (Device::Mobile, "Android", "Chrome"),
        9..13 => (Device::Mobile, "iOS", "Safari"),
        13 => (Device::Mobile, "iOS", "Facebook"),
        14 => (Device::Mobile, "Android", "Samsung Internet"),
        15 => (Device::Tablet, "iOS", "Safari"),
        16 => (Device::Desktop, "macOS", "Safari"),
        _ => (Device::Desktop, "Windows", "Chrome"),
    };
    Visitor {
        country: Country::parse(&[b'A' + country % 10, b'A' + country / 10]),
        device: Some(device),
        os: os.into(),
        browser: browser.into(),
    }
}

fn stamped(position: u64) -> Stamped<'static> {
    Stamped {
        position: Position(position),
        at: at(position),
        rules: 1,
        record: Record::Click(click(position, true)),
    }
}

impl Records for Made {
    fn id(&self) -> JournalId {
        [0; 16]
    }

    fn scan(
        &self,
        from: Position,
        to: Position,
        each: &mut dyn FnMut(Stamped<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        (from.0..to.0).try_for_each(|position| each(stamped(position)))
    }

    fn read(&self, position: Position) -> Result<Option<Stamped<'static>>, Error> {
        Ok(Some(stamped(position.0)))
    }
}

/// The process's memory in MiB, and its greatest so far.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

fn per_second(count: u64, took: Duration) -> u128 {
    u128::from(count) * 1_000_000_000 / took.as_nanos().max(1)
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 1_000).min(times.len() - 1)];
    let sum: Duration = times.iter().sum();
    println!(
        "{what}: p50 {:?}, p99 {:?}, p99.9 {:?}, {} a second",
        at(500),
        at(990),
        at(999),
        per_second(times.len() as u64, sum)
    );
}

fn open(dir: &Path) -> Facts {
    Facts::open(Arc::new(RealDisk), dir, Arc::new(Made)).expect("the folder can be used")
}

/// What this thread has had of a processor.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

fn look_up(facts: &Facts, what: &str, from: u64, to: u64) {
    let mut times = Vec::new();
    let before = processor();
    for number in 0..LOOK_UPS {
        let position = from + noise(number, 77) % (to - from);
        let id = id(position);
        let began = Instant::now();
        let found = facts.find(&[id], Position(u64::MAX)).expect("the files are whole");
        times.push(began.elapsed());
        let found = found[0].as_ref().expect("each click is found");
        assert_eq!(found.position.0, position);
    }
    print_times(what, times);
    println!("    of a processor: {:?} each", processor().saturating_sub(before) / 20_000);
}

fn fill(facts: &Facts, clicks: u64) {
    let (mut adding, mut sealing, mut merging) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut merged, mut position) = (0, 0);
    while position < clicks {
        let until = clicks.min(position + SEAL_ROWS as u64);
        for first in (position..until).step_by(BATCH) {
            let batch = first..until.min(first + BATCH as u64);
            let clicks: Vec<_> = batch.map(|place| (place, click(place, false))).collect();
            let began = Instant::now();
            for (place, click) in &clicks {
                facts.add_click(Position(*place), at(*place), click);
            }
            adding += began.elapsed();
        }
        if position == 0 {
            look_up(facts, "look-up in memory", 0, until);
        }
        let began = Instant::now();
        facts.seal_all().expect("the disk works");
        sealing += began.elapsed();
        let began = Instant::now();
        while let Some(done) = facts.merge().expect("the disk works") {
            merged += done.rows;
        }
        merging += began.elapsed();
        position = until;
    }
    println!("adding: {} a second", per_second(clicks, adding));
    println!("sealing, with making the records anew: {} a second", per_second(clicks, sealing));
    if merged > 0 {
        println!("merging: {} rows a second, {merged} rows", per_second(merged, merging));
    }
}

/// What each column takes on the disk.
fn print_sizes(dir: &Path, clicks: u64) {
    let mut columns: BTreeMap<String, u64> = BTreeMap::new();
    let (mut files, mut bytes, mut sidecars) = (0, 0, 0);
    let names = std::fs::read_dir(dir.join("click")).expect("there are clicks");
    let paths: Vec<PathBuf> = names.map(|name| name.expect("it lists").path()).collect();
    for path in paths {
        let len = path.metadata().expect("it is there").len();
        if path.to_string_lossy().contains("personal") {
            sidecars += len;
            continue;
        }
        files += 1;
        bytes += len;
        let file = std::fs::File::open(&path).expect("it is there");
        let reader = SerializedFileReader::new(file).expect("it is whole");
        for group in reader.metadata().row_groups() {
            for chunk in group.columns() {
                *columns.entry(chunk.column_path().string()).or_default() +=
                    chunk.compressed_size().unsigned_abs();
            }
        }
    }
    let each = |bytes: u64| format!("{}.{:02}", bytes / clicks, bytes * 100 / clicks % 100);
    println!("{files} files, {} bytes a click; sidecars {}", each(bytes), each(sidecars));
    for (column, bytes) in columns {
        if bytes * 100 > clicks {
            println!("    {column}: {}", each(bytes));
        }
    }
}

fn sum(facts: &Facts, what: &str, clicks: u64, group_by: &[Dimension], days: i64) {
    let mut query = Query {
        day_bounds: (0..=days).map(|day| START.plus_days(day)).collect(),
        group_by: group_by.to_vec(),
        campaign_id: None,
        publisher_id: None,
        test: Test::Without,
    };
    if what.contains("one campaign") {
        query.campaign_id = Some(CampaignId(7));
    }
    let mut best = Duration::MAX;
    let mut groups = 0;
    for _ in 0..3 {
        let began = Instant::now();
        groups = facts.sum_clicks(&query).map_or(0, |answer| answer.len());
        best = best.min(began.elapsed());
    }
    println!("sum {what}: {best:?}, {} rows a second, {groups} groups", per_second(clicks, best));
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let clicks = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    let dir = arguments.next().map_or_else(
        || std::env::temp_dir().join(format!("facts-rate-{}", std::process::id())),
        PathBuf::from,
    );
    println!("{clicks} clicks in {}", dir.display());
    if !dir.join("click").exists() {
        let facts = open(&dir);
        fill(&facts, clicks);
        println!("memory after filling, and at most: {:?} MiB", memory());
    }
    print_sizes(&dir, clicks);
    let before = memory().0;
    let began = Instant::now();
    let facts = open(&dir);
    println!("opening: {:?}; memory {} -> {} MiB", began.elapsed(), before, memory().0);
    look_up(&facts, "look-up in files, first", 0, clicks);
    look_up(&facts, "look-up in files, again", 0, clicks);
    println!("memory after look-ups: {} MiB", memory().0);
    let days = 2 + i64::try_from(clicks / RATE / 86_400).expect("there are few days");
    let (campaign, publisher) = (Dimension::Campaign, Dimension::Publisher);
    let sub = |number| Dimension::Label(Label::Sub(number));
    sum(&facts, "without a group", clicks, &[], days);
    sum(&facts, "by day", clicks, &[Dimension::Day], days);
    sum(&facts, "by campaign, publisher, sub3", clicks, &[campaign, publisher, sub(3)], days);
    sum(&facts, "by day, sub1", clicks, &[Dimension::Day, sub(1)], days);
    sum(&facts, "by sub2, sub3 of one campaign", clicks, &[sub(2), sub(3)], days);
    println!("memory after sums: {} MiB", memory().0);
}
