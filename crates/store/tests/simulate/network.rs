//! What happens in a network: everybody's next move is drawn, journaled and, sooner or later,
//! applied and held against the model.

use crate::machine::{Machine, On, keyring};
use crate::model::{Model, Said, WINDOW_DAYS};
use crate::told::{Told, destination};
use domain::campaign::Status as CampaignStatus;
use domain::click::{Click, Label, Labels, Personal};
use domain::click_id::{ClickId, Minter};
use domain::command::{Act, Command, Outcome};
use domain::conversion::Status;
use domain::destination::Period;
use domain::hit::Hit;
use domain::id::{CampaignId, ConversionId, DestinationId, LinkId, NodeId, Position, PublisherId};
use domain::money::{Currency, Micros};
use domain::record::{Record, Stamped};
use domain::report::{Dimension, Query, Sums, Test};
use domain::time::Timestamp;
use domain::visitor::Visitor;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use store::disk::fault::{Crash, Random};
use store::list::ConversionFilter;
use store::{Applied, Effect, Store};

const BEGIN_US: i64 = 1_780_000_000_000_000;
const MS: i64 = 1_000;
const HOUR: i64 = 3_600_000 * MS;
const DAY: i64 = 24 * HOUR;
const CAMPAIGN: CampaignId = CampaignId(1);
const KEY: &str = "campaign-key";
/// One destination is there from the beginning, the other one comes then.
const COMES_AT_STEP: usize = 150;
/// How long triage lasts: a part of a life, which jumps over days.
const TRIAGE_DAYS: i64 = 80;

pub(crate) struct Network {
    machine: Machine,
    model: Model,
    told: Told,
    random: Random,
    minter: Minter,
    /// Every click there is, oldest first.
    clicks: Vec<ClickId>,
    /// Every hit there is, and what it says.
    sent: Vec<Vec<u8>>,
    said: HashMap<Vec<u8>, Said>,
    /// What must have come of each hit and command.
    expected: BTreeMap<Position, String>,
    /// The next record that is given to the ledger, and to the model.
    next: Position,
    modelled: Position,
    /// The last record that was acknowledged.
    acknowledged: Position,
    /// A ledger that a power cut may bring back.
    older: Option<PathBuf>,
    steps: usize,
}

impl Network {
    pub(crate) async fn new(seed: u64) -> Self {
        let mut network = Self {
            machine: Machine::new(BEGIN_US),
            model: Model::default(),
            told: Told::default(),
            random: Random(seed),
            minter: Minter::new(NodeId::new(0).unwrap(), 0),
            clicks: Vec::new(),
            sent: Vec::new(),
            said: HashMap::new(),
            expected: BTreeMap::new(),
            next: Position(1),
            modelled: Position(1),
            acknowledged: Position(0),
            older: None,
            steps: 0,
        };
        // In every other life, transaction ids are required, and triaged for some weeks.
        if seed % 2 == 1 {
            network.model.triage_until = Some(Timestamp::from_us(BEGIN_US + TRIAGE_DAYS * DAY));
        }
        network.set_up().await;
        network
    }

    async fn set_up(&mut self) {
        let campaign = json!({
            "advertiser_id": 1, "name": "Game", "currency": "USD", "window_days": WINDOW_DAYS,
            "landing_url": "https://shop.example/?c={click_id}",
            "goals": [
                {"key": "install", "default": true, "revenue": "2.50", "payout": "1.75"},
                {"key": "sale", "revenue": {"from": "postback"}, "payout": "1"},
            ],
        });
        let status = |to| Act::SetCampaignStatus { id: CAMPAIGN, to, key: KEY.to_owned() };
        let acts = [
            Act::LoadCatalogue {
                partners: vec![partner(self.model.triage_until)],
                key: "global-key".to_owned(),
            },
            Act::CreateAdvertiser { name: "Acme".to_owned() },
            Act::CreatePublisher { name: "News".to_owned() },
            Act::CreateCampaign(Box::new(serde_json::from_value(campaign).unwrap())),
            status(CampaignStatus::PendingApproval),
            status(CampaignStatus::Approved),
            status(CampaignStatus::Active),
            destination(),
            Act::CreateLink {
                campaign_id: CAMPAIGN,
                publisher_id: PublisherId(1),
                token: "link".to_owned(),
                landing_url: None,
                test: false,
            },
        ];
        for act in acts {
            self.command(act).await;
        }
        self.apply(usize::MAX).await;
    }

    /// One thing happens.
    pub(crate) async fn step(&mut self) {
        self.steps += 1;
        self.pass_time();
        if self.steps == COMES_AT_STEP {
            self.command(destination()).await;
        }
        match self.random.below(100) {
            0..30 => self.visit().await,
            30..60 => self.convert().await,
            60..66 => self.repeat().await,
            66..68 => self.backfill().await,
            68..70 => self.change_status().await,
            70..72 => self.end_triage().await,
            72..75 => self.pause_or_go_on().await,
            75..87 => {
                let records = 1 + self.random.below(40);
                self.apply(records).await;
            }
            87..89 => self.machine.on().store.checkpoint().await.unwrap(),
            89..90 => self.remove_old().await,
            90..92 => drop(self.machine.on().facts.seal_all().unwrap()),
            92..93 => while self.machine.on().facts.merge().unwrap().is_some() {},
            93..95 => self.older = Some(self.machine.remember_ledger(self.steps)),
            95..97 => self.lose_power().await,
            _ => self.compare().await,
        }
    }

    /// Everything is applied, and everything is looked at.
    pub(crate) async fn end(&mut self) {
        self.compare().await;
        let store = &self.machine.on().store;
        assert_eq!(store.verify().await.unwrap(), []);
        let digest = store.digest().await.unwrap();
        for cut in [1, 7, 1_000] {
            assert_eq!(self.machine.replayed(cut).await, digest, "in batches of {cut}");
        }
    }

    /// Mostly a little; now and then days, or back.
    fn pass_time(&mut self) {
        let us = match self.random.below(40) {
            0 => DAY * 11,
            1 => HOUR * 5,
            2 => -HOUR,
            3..10 => 0,
            _ => MS * 700,
        };
        self.machine.clock.fetch_add(us, Ordering::Relaxed);
    }

    async fn journal(&mut self, record: Record<'_>) {
        let position = self.machine.append(&record).await;
        assert!(position > self.acknowledged, "no position is given twice");
        self.acknowledged = position;
    }

    async fn command(&mut self, act: Act) {
        let command = Command { actor: "tester".to_owned(), idempotency: None, act };
        self.journal(Record::Command(Box::new(command))).await;
    }

    async fn visit(&mut self) {
        let now_ms = self.machine.clock.load(Ordering::Relaxed) / 1_000;
        let random = self.random.draw();
        let id = self.minter.next(u64::try_from(now_ms).unwrap(), LinkId(1), random);
        let mut labels = Labels::default();
        labels.set(Label::Sub(1), ["us", "de", "in"][self.random.below(3)].to_owned());
        self.clicks.push(id);
        let click = Click {
            id,
            campaign_id: CAMPAIGN,
            publisher_id: PublisherId(1),
            is_live: self.model.is_live,
            is_test: false,
            cost: None,
            external_id: Vec::new().into(),
            labels,
            personal: Personal::default(),
            visitor: Visitor::default(),
        };
        self.journal(Record::Click(click)).await;
    }

    /// A postback, mostly for a click of late, and mostly a sensible one.
    async fn convert(&mut self) {
        if self.clicks.is_empty() {
            return;
        }
        let recent = self.random.below(self.clicks.len().min(6));
        let any = self.random.below(self.clicks.len());
        let click = match self.random.below(10) {
            0 => None,
            1 | 2 => Some(self.clicks[any]),
            _ => Some(self.clicks[self.clicks.len() - 1 - recent]),
        };
        let statuses = ["pending", "approved", "rejected", "reversed", "perhaps"];
        let said = Said {
            click,
            goal: pick(&mut self.random, &["install", "sale", "sale", "nothing"]),
            txn: pick(&mut self.random, &["a", "b", "{txn}"]),
            status: pick(&mut self.random, &statuses),
            revenue: pick(&mut self.random, &["1", "2.5", "1,50"]),
        };
        let id =
            click.map_or("no-id-of-ours".to_owned(), |id| keyring().format(id).as_str().to_owned());
        let mut target = format!("/postback/{KEY}?click_id={id}");
        let rest = [
            ("goal", said.goal),
            ("txn_id", said.txn),
            ("status", said.status),
            ("revenue", said.revenue),
        ];
        for (name, value) in rest {
            if let Some(value) = value {
                target.extend(["&", name, "=", value]);
            }
        }
        let target = target.into_bytes();
        self.said.insert(target.clone(), said);
        self.sent.push(target.clone());
        self.send(target).await;
    }

    async fn repeat(&mut self) {
        if !self.sent.is_empty() {
            let any = self.random.below(self.sent.len());
            self.send(self.sent[any].clone()).await;
        }
    }

    async fn send(&mut self, target: Vec<u8>) {
        let salt = [self.random.below(256).to_le_bytes()[0]; 16];
        let hit = Hit { method: "GET".to_owned(), target, salt, ..Hit::default() };
        self.journal(Record::Hit(hit)).await;
    }

    async fn change_status(&mut self) {
        let id = 1 + self.random.below(self.model.made.len() + 1);
        let to = [Status::Approved, Status::Rejected, Status::Reversed][self.random.below(3)];
        let reason = "the order was looked at".to_owned();
        let id = ConversionId(id as u64);
        self.command(Act::ChangeConversionStatus { id, to, reason }).await;
    }

    /// A person looks at something in triage, or at anything else.
    async fn end_triage(&mut self) {
        let made = self.model.made.len();
        let in_triage =
            |id: &usize| self.model.conversions[&self.model.made[*id - 1]].triaged.is_some();
        let waiting: Vec<usize> = (1..=made).filter(in_triage).collect();
        let any = |random: &mut Random| 1 + random.below(made + 1);
        let id = match waiting.len() {
            0 => any(&mut self.random),
            count => waiting[self.random.below(count)],
        };
        let click = self.model.made.get(id - 1).map(|key| key.0);
        let of_click = (1..=made).filter(|other| click == Some(self.model.made[*other - 1].0));
        let of_click: Vec<usize> = of_click.collect();
        let reason = "their log was looked at".to_owned();
        let act = if self.random.below(2) == 0 {
            let txn_id = ["a", "b", "c"][self.random.below(3)].to_owned();
            Act::RepairTxnId { id: ConversionId(id as u64), txn_id, reason }
        } else {
            let into = match of_click.len() {
                0 => any(&mut self.random),
                count => of_click[self.random.below(count)],
            };
            let (id, into) = (ConversionId(id as u64), ConversionId(into as u64));
            Act::MergeConversion { id, into, reason }
        };
        self.command(act).await;
    }

    /// Somebody was set up late, or asks whether all was told.
    async fn backfill(&mut self) {
        let to = self.machine.clock.load(Ordering::Relaxed);
        let days = i64::try_from(self.random.below(60)).unwrap();
        let from = if self.random.below(2) == 0 { BEGIN_US } else { to - days * DAY };
        let (from, to) = (Timestamp::from_us(from), Timestamp::from_us(to));
        let id = DestinationId([1, 2][self.random.below(2)]);
        let period = Period { from, to, after: None };
        self.command(Act::BackfillDestination { id, period }).await;
    }

    async fn pause_or_go_on(&mut self) {
        let to = [CampaignStatus::Paused, CampaignStatus::Active][self.random.below(2)];
        self.command(Act::SetCampaignStatus { id: CAMPAIGN, to, key: KEY.to_owned() }).await;
    }

    /// What the journal's removed segments held comes from the ledger and the facts alone.
    async fn remove_old(&mut self) {
        let now = Timestamp::from_us(self.machine.clock.load(Ordering::Relaxed));
        let On { facts, store, .. } = self.machine.on();
        facts.remove_personal_before(now.plus_days(-9)).unwrap();
        facts.remove_hits_before(now.plus_days(-20)).unwrap();
        let needed = store.position().await.unwrap().min(facts.sealed());
        store.checkpoint_fully().await.unwrap();
        self.machine.remove_journal(needed);
        // What is synced no power cut takes back.
        self.older = None;
    }

    async fn lose_power(&mut self) {
        let crash = [Crash::Dropped, Crash::Torn, Crash::Kept][self.random.below(3)];
        let ledger = if self.random.below(2) == 0 { self.older.take() } else { None };
        self.machine.crash(self.random.draw(), crash, ledger.as_deref());
        self.next = self.machine.from().await;
        let end = self.machine.on().journal.next();
        assert_eq!(end, Position(self.acknowledged.0 + 1), "what was acknowledged is there");
    }

    /// Gives the ledger up to so many records, and holds what comes of each against the model.
    async fn apply(&mut self, records: usize) {
        let journal = self.machine.on().journal.clone();
        let mut reader = journal.reader(self.next).unwrap();
        let Some(chunk) = reader.next(records, usize::MAX).unwrap() else { return };
        let decoded = chunk.iter().map(|(position, header, payload)| {
            store::records::decode(position, header, payload).unwrap()
        });
        let records: Vec<_> = decoded.collect();
        for record in &records {
            if record.position >= self.modelled {
                self.expect(record);
            }
        }
        let now = Timestamp::from_us(self.machine.clock.load(Ordering::Relaxed));
        let applied = self.machine.on().store.apply(&records, &[], now).await.unwrap();
        for one in applied {
            let position = one.position;
            let expected = &self.expected[&position];
            assert_eq!(&shown(&one), expected, "record {position}, of {:?}", one.at);
        }
        let last = records.last().expect("a chunk has records").position;
        self.next = Position(last.0 + 1);
        self.modelled = self.modelled.max(self.next);
    }

    /// What must come of a record.
    fn expect(&mut self, record: &Stamped<'_>) {
        let done = |is_done: bool| if is_done { "done" } else { "failed" }.to_owned();
        let expected = match &record.record {
            Record::Click(click) => {
                let clicked_at = Timestamp::from_ms(i64::try_from(click.id.at_ms()).unwrap());
                self.model.clicks.insert(click.id, (clicked_at, click.is_live));
                return;
            }
            Record::Hit(hit) => self.model.hit(&self.said[&hit.target], record.at),
            Record::Command(command) => match &command.act {
                Act::ChangeConversionStatus { id, to, .. } => {
                    done(self.model.change(usize::try_from(id.0).unwrap(), *to))
                }
                Act::RepairTxnId { id, txn_id, .. } => {
                    let known = ["a", "b", "c"].into_iter().find(|known| known == txn_id).unwrap();
                    done(self.model.repair(usize::try_from(id.0).unwrap(), known))
                }
                Act::MergeConversion { id, into, .. } => {
                    let number = |id: &ConversionId| usize::try_from(id.0).unwrap();
                    done(self.model.merge(number(id), number(into)))
                }
                Act::SetCampaignStatus { to, .. } => {
                    let will_live = *to == CampaignStatus::Active;
                    let is_known = matches!(to, CampaignStatus::Active | CampaignStatus::Paused);
                    let is_done = !is_known || will_live != self.model.is_live;
                    self.model.is_live = will_live;
                    done(is_done)
                }
                Act::CreateDestination(_) => {
                    self.told.add_destination();
                    done(true)
                }
                Act::BackfillDestination { id, period } => {
                    done(self.told.backfill(*id, *period, &self.model, record.at))
                }
                _ => done(true),
            },
            Record::Tick => return,
        };
        self.told.pass(&self.model, record.at);
        self.expected.insert(record.position, expected);
    }

    /// Applies what waits; then every conversion and every figure is what the model says.
    async fn compare(&mut self) {
        while self.next <= self.acknowledged {
            self.apply(usize::MAX).await;
        }
        let limit = 1 + u32::try_from(self.random.below(9)).unwrap();
        let store = &self.machine.on().store;
        let mut filter = ConversionFilter { limit, ..ConversionFilter::default() };
        let mut found = 0;
        loop {
            let page = store.conversions(&filter).await.unwrap();
            for conversion in &page.items {
                let number = usize::try_from(conversion.id.0).unwrap();
                let key = self.model.made[number - 1].clone();
                let expected = &self.model.conversions[&key];
                let own = (conversion.click_id, &*conversion.goal, conversion.txn_id.as_deref());
                assert_eq!(own, (key.0, key.1, key.2));
                assert_eq!(conversion.triaged, expected.triaged, "{key:?}");
                assert_eq!(conversion.status, expected.status, "{key:?}");
                assert_eq!(conversion.revenue, expected.revenue.unwrap_or_default(), "{key:?}");
                assert_eq!(conversion.payout, expected.payout, "{key:?}");
                found += 1;
            }
            filter.before = page.next;
            if filter.before.is_none() {
                break;
            }
        }
        assert_eq!(found, self.model.made.len());
        self.told.compare(&self.model, &self.machine.on().store).await;
        let whole = self.report(&[]).await;
        self.compare_sums(&whole);
        for by in [Dimension::Day, Dimension::Campaign, Dimension::Label(Label::Sub(1))] {
            assert_eq!(self.report(&[by]).await, whole, "{by:?}: the parts are the whole");
        }
    }

    /// A report, added up.
    async fn report(&self, by: &[Dimension]) -> Sums {
        let day = |number: i64| Timestamp::from_us(BEGIN_US + (number - 1) * DAY);
        let query = Query {
            day_bounds: (0..1_000).map(day).collect(),
            group_by: by.to_vec(),
            campaign_id: None,
            publisher_id: None,
            test: Test::Without,
        };
        let mut whole = Sums::default();
        for sums in self.machine.on().store.report(&query).await.unwrap().into_values() {
            whole.clicks += sums.clicks;
            whole.hits += sums.hits;
            whole.refused += sums.refused;
            whole.pending += sums.pending;
            whole.approved += sums.approved;
            whole.rejected += sums.rejected;
            whole.reversed += sums.reversed;
            for (currency, money) in sums.money {
                let own = whole.money.entry(currency).or_default();
                own.revenue = own.revenue.checked_add(money.revenue).unwrap();
                own.payout = own.payout.checked_add(money.payout).unwrap();
            }
        }
        whole
    }

    fn compare_sums(&self, sums: &Sums) {
        let all = || self.model.conversions.values();
        let count = |status| all().filter(|one| one.status == status).count() as u64;
        assert_eq!(sums.clicks, self.model.clicks.len() as u64);
        assert_eq!((sums.hits, sums.refused), (self.model.hits, self.model.refused));
        assert_eq!(
            [sums.pending, sums.approved, sums.rejected, sums.reversed],
            [Status::Pending, Status::Approved, Status::Rejected, Status::Reversed].map(count)
        );
        let paid = |amount: fn(&crate::model::Conversion) -> Micros| {
            let approved = all().filter(|one| one.status == Status::Approved);
            approved.fold(Micros::default(), |sum, one| sum.checked_add(amount(one)).unwrap())
        };
        let usd: Currency = "USD".parse().unwrap();
        let money = sums.money.get(&usd).copied().unwrap_or_default();
        assert_eq!(money.revenue, paid(|one| one.revenue.unwrap_or_default()));
        assert_eq!(money.payout, paid(|one| one.payout));
    }
}

fn shown(applied: &Applied) -> String {
    match &applied.effect {
        Effect::Decided(verdict) => match verdict.reason {
            Some(reason) => format!("{} {}", verdict.verdict.name(), reason.name()),
            None => verdict.verdict.name().to_owned(),
        },
        Effect::Commanded { outcome, .. } => match **outcome {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Failed(_) => "failed".to_owned(),
        },
    }
}

fn partner(triage_until: Option<Timestamp>) -> domain::partner::Partner {
    let mut partner = json!({
        "name": "counterfoil", "title": "Counterfoil", "kind": "ours", "source": "ours",
        "source_on": "2026-11-20", "paths": [],
        "contract": {
            "parameters": [
                {"canonical": "click_id", "names": ["click_id"], "required": true},
                {"canonical": "goal", "names": ["goal"]},
                {"canonical": "txn_id", "names": ["txn_id"]},
                {"canonical": "status", "names": ["status"]},
                {"canonical": "revenue", "names": ["revenue"]},
            ],
            "statuses": {
                "absent": "approved",
                "values": {
                    "approved": ["approved"], "pending": ["pending"],
                    "rejected": ["rejected"], "reversed": ["reversed"],
                },
            },
        },
    });
    if let Some(until) = triage_until {
        let contract = &mut partner["contract"];
        contract["parameters"][2]["required"] = true.into();
        contract["triage_until"] = serde_json::to_value(until).unwrap();
    }
    serde_json::from_value(partner).unwrap()
}

/// One of these, the last more seldom; or none.
fn pick(random: &mut Random, values: &[&'static str]) -> Option<&'static str> {
    match random.below(3 * values.len()) {
        place if place < values.len() => None,
        place => values.get(place % values.len()).copied(),
    }
}
