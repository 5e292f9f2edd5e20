//! Facts on a disk in memory, beside a journal that is a list, and a model that is a loop.

mod crash;
mod files;
mod formats;
mod keeping;
mod model;
mod property;
mod threads;

use super::{Error, Facts, JournalId, Records};
use crate::disk::fault::{FaultDisk, Random};
use domain::click::{Click, Label, Labels, Personal};
use domain::click_id::ClickId;
use domain::hit::Hit;
use domain::id::{CampaignId, Position, PublisherId};
use domain::money::Micros;
use domain::record::{Record, Stamped};
use domain::time::Timestamp;
use domain::visitor::{Country, Device, Visitor};
use std::path::Path;
use std::sync::{Arc, Mutex};

const DIR: &str = "facts";
/// 2026-11-20T00:00:00Z.
const START: Timestamp = Timestamp::from_s(1_795_132_800);

/// A journal that forgets nothing.
#[derive(Default)]
struct Journal {
    id: JournalId,
    records: Mutex<Vec<Stamped<'static>>>,
}

impl Journal {
    fn push(&self, at: Timestamp, record: Record<'static>) -> Position {
        let mut records = self.records.lock().unwrap();
        let position = Position(records.len() as u64);
        records.push(Stamped { position, at, rules: 1, record });
        position
    }

    fn all(&self) -> Vec<Stamped<'static>> {
        self.records.lock().unwrap().clone()
    }

    fn clicks(&self) -> Vec<(Position, Timestamp, Click<'static>)> {
        let click = |stamped: Stamped<'static>| match stamped.record {
            Record::Click(click) => Some((stamped.position, stamped.at, click)),
            _ => None,
        };
        self.all().into_iter().filter_map(click).collect()
    }

    fn hits(&self) -> Vec<(Position, Timestamp, Hit)> {
        let hit = |stamped: Stamped<'static>| match stamped.record {
            Record::Hit(hit) => Some((stamped.position, stamped.at, hit)),
            _ => None,
        };
        self.all().into_iter().filter_map(hit).collect()
    }
}

impl Records for Journal {
    fn id(&self) -> JournalId {
        self.id
    }

    fn scan(
        &self,
        from: Position,
        to: Position,
        each: &mut dyn FnMut(Stamped<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let index = |position: Position| usize::try_from(position.0).unwrap();
        let records = self.records.lock().unwrap()[index(from)..index(to)].to_vec();
        records.into_iter().try_for_each(each)
    }

    fn read(&self, position: Position) -> Result<Option<Stamped<'static>>, Error> {
        Ok(self.records.lock().unwrap().get(usize::try_from(position.0).unwrap()).cloned())
    }
}

/// Facts with what they stand on.
struct Bench {
    disk: FaultDisk,
    journal: Arc<Journal>,
    facts: Facts,
}

impl Bench {
    fn new() -> Self {
        Self::open(FaultDisk::new(), Arc::default()).unwrap()
    }

    /// Opens what is on the disk, and hands the journal's records over from `sealed` on.
    fn open(disk: FaultDisk, journal: Arc<Journal>) -> Result<Self, Error> {
        let records: Arc<dyn Records> = journal.clone();
        let facts = Facts::open(Arc::new(disk.clone()), Path::new(DIR), records)?;
        let bench = Self { disk, journal, facts };
        for stamped in bench.journal.all() {
            if stamped.position >= bench.facts.sealed() {
                bench.hand_over(&stamped);
            }
        }
        Ok(bench)
    }

    fn reopen(self) -> Self {
        Self::open(self.disk, self.journal).unwrap()
    }

    fn hand_over(&self, stamped: &Stamped<'static>) {
        match &stamped.record {
            Record::Click(click) => self.facts.add_click(stamped.position, stamped.at, click),
            Record::Hit(hit) => self.facts.add_hit(stamped.position, stamped.at, hit),
            _ => self.facts.pass(stamped.position, stamped.at),
        }
    }

    fn add(&self, at: Timestamp, record: Record<'static>) -> Position {
        let position = self.journal.push(at, record.clone());
        self.hand_over(&Stamped { position, at, rules: 1, record });
        position
    }

    /// Adds so many records from the number `from` on: see [`record`].
    fn add_records(&self, from: u64, count: u64) {
        for number in from..from + count {
            let (at, record) = record(number);
            self.add(at, record);
        }
    }
}

/// A small number that looks like none in particular.
fn noise(number: u64, of: u64) -> u64 {
    Random(number ^ of.rotate_right(8)).draw()
}

fn id(ms: u64, link: u32, tail: u64) -> ClickId {
    let bits = u128::from(ms) << 80 | u128::from(link) << 48 | u128::from(tail & ((1 << 48) - 1));
    ClickId::from_bytes(bits.to_be_bytes())
}

/// The click of a number, made up to two seconds before it was journaled.
fn click(number: u64, at: Timestamp) -> Click<'static> {
    let pick = |of: u64, count: u64| noise(number, of) % count;
    let ms = u64::try_from(at.as_ms()).unwrap() - pick(0, 2_000);
    let mut labels = Labels::default();
    labels.set(Label::Sub(1), format!("placement-{}", pick(1, 40)));
    if pick(2, 3) > 0 {
        labels.set(Label::Sub(2), ["us", "de", "fr"][usize::try_from(pick(3, 3)).unwrap()]);
    }
    if pick(4, 50) == 0 {
        labels.set(Label::Creative, "é🎈".repeat(usize::try_from(pick(5, 60)).unwrap()));
    }
    let external_id = match pick(6, 4) {
        0 => Vec::new(),
        1 => vec![0xff; usize::try_from(pick(7, 512)).unwrap()],
        _ => number.to_be_bytes().to_vec(),
    };
    Click {
        id: id(ms, u32::try_from(1 + pick(8, 20)).unwrap(), noise(number, 9)),
        campaign_id: CampaignId(u32::try_from(1 + pick(10, 5)).unwrap()),
        publisher_id: PublisherId(u32::try_from(1 + pick(11, 9)).unwrap()),
        is_live: pick(12, 8) > 0,
        is_test: pick(13, 8) == 0,
        cost: (pick(14, 3) == 0).then(|| Micros(noise(number, 15).cast_signed() % 1_000 - 3)),
        external_id: external_id.into(),
        labels,
        personal: Personal {
            ip: (pick(16, 9) > 0).then(|| [192, 0, 2, noise(number, 17).to_be_bytes()[0]].into()),
            user_agent: ["Mozilla/5.0", "", "curl/8"][usize::try_from(pick(18, 3)).unwrap()].into(),
            referrer: format!("https://example.net/{number}").into(),
        },
        visitor: Visitor {
            country: Country::parse(
                [*b"XX", *b"DE", *b"FR"][usize::try_from(pick(19, 3)).unwrap()].as_slice(),
            ),
            device: Device::ALL.get(usize::try_from(pick(20, 9)).unwrap()).copied(),
            os: ["", "iOS"][usize::try_from(pick(21, 2)).unwrap()].into(),
            browser: ["", "Chrome", "Samsung Internet"][usize::try_from(pick(22, 3)).unwrap()]
                .into(),
        },
    }
}

fn hit(number: u64) -> Hit {
    let pick = |of: u64, count: u64| usize::try_from(noise(number, of) % count).unwrap();
    Hit {
        method: ["GET", "POST"][pick(0, 2)].to_owned(),
        target: format!("/postback/key{}?click_id={number}&n=\u{e9}", pick(1, 3)).into_bytes(),
        content_type: (pick(2, 2) == 0).then(|| "application/json".to_owned()),
        body: vec![b'x'; pick(3, 2) * pick(4, 900)],
        peer: (pick(5, 3) > 0).then(|| "2001:db8::7".parse().unwrap()),
        forwarded: [None, Some(String::new()), Some("198.51.100.7, 10.0.0.1".to_owned())]
            [pick(6, 3)]
        .clone(),
        salt: std::array::from_fn(|place| noise(number, 7).to_be_bytes()[place % 8]),
        headers: vec![("webhook-id".to_owned(), "m".repeat(pick(8, 400))); pick(9, 3)],
        base: ["", "https://t.example"][pick(10, 2)].to_owned(),
    }
}

/// The record of a number, and when it is journaled: two a second, of which one in five is a hit
/// and one in thirty neither.
fn record(number: u64) -> (Timestamp, Record<'static>) {
    let at = START.plus_ms(i64::try_from(number).unwrap() * 500);
    let record = match noise(number, 99) % 30 {
        0 => Record::Tick,
        1..=6 => Record::Hit(hit(number)),
        _ => Record::Click(click(number, at)),
    };
    (at, record)
}
