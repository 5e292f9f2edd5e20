//! Fills a data directory with clicks and conversions, without HTTP: through the journal, the
//! store and the facts, by the calls the server itself makes.
//!
//! Numbers and times are drawn from a fixed seed, so two fills are alike but for their keys and
//! the present. Journal times are those of the story told here, never later than now.

use super::child::ADMIN_KEY;
use crate::catalogue;
use crate::clock::Clock;
use crate::keys::{self, Keys, Missing};
use crate::open::{DELIVERIES, FACTS, JOURNAL, LEDGER};
use crate::terminal::Progress;
use anyhow::{Context, bail};
use domain::campaign::{Goal, Kind, Status, Term};
use domain::click::{Click, Label, Labels, Personal};
use domain::click_id::{ClickId, ClickIdText, Minter};
use domain::command::{Act, Answer, Command, NewCampaign, NewDestination, NewOutbound, Outcome};
use domain::destination::{Owner, Pace, Rules};
use domain::hit::Hit;
use domain::id::{AdvertiserId, CampaignId, LinkId, NodeId, Position, PublisherId};
use domain::money::{Currency, Micros};
use domain::outbound::Outbound;
use domain::reason::Verdict;
use domain::record::{self, Kind as RecordKind, Record};
use domain::setup::Setup;
use domain::time::Timestamp;
use domain::visitor::{Agent, Country, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::deliveries::SqliteDeliveries;
use store::disk::{Disk, RealDisk};
use store::facts::Facts;
use store::journal::{self, Journal, Reader};
use store::records::{JournalRecords, decode};
use store::sqlite::{self, SqliteStore};
use store::{Applied, Effect, Store};

/// How many clicks are journaled before they are applied.
const CHUNK: u64 = 20_000;
/// How many records one transaction applies at the most.
const APPLY_RECORDS_MAX: usize = 2_048;
/// How many bytes of the journal one transaction applies at the most.
const APPLY_BYTES_MAX: usize = 4 << 20;
/// Who says "bench" in the audit trail.
const ACTOR: &str = "bench";
/// How many kinds of user agents there are.
const AGENTS: u64 = 6;
/// How many publishers send the clicks, by one link each.
pub(crate) const PUBLISHERS: u64 = 20;
/// The window of the campaign: older clicks than this convert no more.
const WINDOW_DAYS: u16 = 60;
/// The landing URL every click is sent to.
const LANDING_URL: &str = "https://advertiser.example/landing?click_id={click_id}&source={sub1}";
/// How many different values each of sub1 to sub5 has; some are much more frequent than others.
pub(crate) const LABELS: [u64; 5] = [60, 5_000, 24, 500, 50_000];
/// What an advertiser pays for each conversion.
const REVENUE: Micros = Micros(2_500_000);

/// What clicks and conversions are to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) clicks: u64,
    /// Of the first clicks of each stretch, one each; at most as many as clicks.
    pub(crate) conversions: u64,
    /// Over how many days before now they are spread.
    pub(crate) days: u16,
    /// One click of so many is handed back by its id.
    pub(crate) keep_every: u64,
}

/// A data directory that is being filled.
pub(crate) struct Filler {
    journal: Arc<Journal>,
    facts: Arc<Facts>,
    store: SqliteStore,
    reader: Reader,
    keys: Keys,
    runtime: tokio::runtime::Runtime,
    /// What the journal takes for the time.
    now_us: Arc<AtomicI64>,
    minter: Minter,
    random: Random,
    campaign_id: CampaignId,
    links: Vec<(LinkId, PublisherId)>,
    /// Which of them are clicked.
    clicked: Range<usize>,
    pub(crate) tokens: Vec<String>,
    /// Of the integration that reads the campaign's postbacks.
    pub(crate) integration_key: String,
}

impl Filler {
    /// Sets a campaign with its links up in `dir`, which holds nothing yet, `days` before now.
    pub(crate) fn begin(dir: &Path, days: u16) -> anyhow::Result<Self> {
        Self::with_segments(dir, days, journal::SEGMENT_BYTES)
    }

    /// The same with journal segments of another length.
    pub(crate) fn with_segments(dir: &Path, days: u16, segment_bytes: u64) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let since = Clock::default().now().plus_days(-i64::from(days));
        let now_us = Arc::new(AtomicI64::new(since.as_us()));
        let node = NodeId::new(0).expect("0 is a node");
        let mut options = journal::Options::new(node, record::RULES, keys::random());
        options.segment_bytes = segment_bytes;
        let told = now_us.clone();
        let clock: journal::Clock = Arc::new(move || told.load(Ordering::Relaxed));
        let journal = Arc::new(Journal::open(disk.clone(), &dir.join(JOURNAL), options, clock)?);
        let keys = Keys::open(dir, Some(ADMIN_KEY), Missing::MakeAll)?;
        let records = Arc::new(JournalRecords(journal.clone()));
        let facts = Arc::new(Facts::open(disk, &dir.join(FACTS), records)?);
        let options = sqlite::Options {
            journal_id: journal.id(),
            keyring: keys.click.clone(),
            secrets: Some(keys.secrets.clone()),
            decide: domain::ledger::decide,
        };
        let store = SqliteStore::open(&dir.join(LEDGER), facts.clone(), options)?;
        // There before anything is owed, so that nothing of it may have been sent.
        SqliteDeliveries::open(&dir.join(DELIVERIES), journal.id(), since)?;
        let reader = journal.reader(journal.next())?;
        let floor_ms = u64::try_from(since.as_ms()).unwrap_or(0);
        let mut filler = Self {
            journal,
            facts,
            store,
            reader,
            keys,
            runtime,
            now_us,
            minter: Minter::new(node, floor_ms),
            random: Random(0x9E37_79B9_7F4A_7C15),
            campaign_id: CampaignId(0),
            links: Vec::new(),
            clicked: 0..0,
            tokens: Vec::new(),
            integration_key: "bench-integration".to_owned(),
        };
        filler.set_up().context("cannot set the campaign up")?;
        Ok(filler)
    }

    fn set_up(&mut self) -> anyhow::Result<()> {
        for partners in catalogue::loads(&Setup::default(), catalogue::partners()) {
            self.command(Act::LoadCatalogue { partners, key: "bench-global".to_owned() })?;
        }
        let Answer::Advertiser(advertiser) =
            self.command(Act::CreateAdvertiser { name: "Bench".to_owned() })?
        else {
            bail!("an advertiser was not answered with");
        };
        let campaign = new_campaign(advertiser.id);
        let Answer::Campaign(campaign) = self.command(Act::CreateCampaign(Box::new(campaign)))?
        else {
            bail!("a campaign was not answered with");
        };
        self.campaign_id = campaign.id;
        for to in [Status::PendingApproval, Status::Approved, Status::Active] {
            let (id, key) = (campaign.id, self.integration_key.clone());
            self.command(Act::SetCampaignStatus { id, to, key })?;
        }
        for number in 1..=PUBLISHERS {
            let name = format!("Publisher {number}");
            let Answer::Publisher(publisher) = self.command(Act::CreatePublisher { name })? else {
                bail!("a publisher was not answered with");
            };
            let act = Act::CreateLink {
                campaign_id: campaign.id,
                publisher_id: publisher.id,
                token: format!("bench{number:02}"),
                landing_url: None,
                test: false,
            };
            let Answer::Link(link) = self.command(act)? else {
                bail!("a link was not answered with");
            };
            self.links.push((link.id, publisher.id));
            self.tokens.push(link.token);
        }
        self.clicked = 0..self.links.len();
        Ok(())
    }

    /// From now on only these links are clicked, by their places from 0 on.
    pub(crate) fn click_only(&mut self, links: Range<usize>) {
        self.clicked = links;
    }

    /// Has the publisher of each of these links told at `url`, from now on.
    pub(crate) fn tell(&mut self, links: Range<usize>, url: &str) -> anyhow::Result<()> {
        let publishers: Vec<_> = self.links[links].iter().map(|(_, id)| *id).collect();
        for publisher_id in publishers {
            let url = url.to_owned();
            let outbound = NewOutbound::Own(Box::new(Outbound::calling(url)));
            let new = NewDestination {
                owner: Owner::Publisher { publisher_id },
                outbound,
                account: BTreeMap::new(),
                secrets: BTreeMap::new(),
                scheme: None,
                rules: Rules::default(),
                pace: Pace::default(),
            };
            self.command(Act::CreateDestination(Box::new(new)))?;
        }
        Ok(())
    }

    fn command(&mut self, act: Act) -> anyhow::Result<Answer> {
        let command = Command { actor: ACTOR.to_owned(), idempotency: None, act };
        let payload = record::write(&Record::Command(Box::new(command)));
        let ticket =
            self.journal.append(RecordKind::Command, RecordKind::Command.format(), &payload)?;
        ticket.wait_blocking()?;
        for applied in self.apply()? {
            if let Effect::Commanded { outcome, .. } = applied.effect {
                match *outcome {
                    Outcome::Done(answer) => return Ok(*answer),
                    Outcome::Failed(failure) => bail!(failure.detail),
                }
            }
        }
        bail!("a command was not applied")
    }

    /// Makes what the plan says, and answers with the ids it keeps, oldest first.
    pub(crate) fn fill(&mut self, plan: Plan) -> anyhow::Result<Vec<ClickIdText>> {
        let now = Clock::default().now().as_us();
        let from = self.now_us.load(Ordering::Relaxed);
        let since = (now - i64::from(plan.days) * 86_400_000_000).max(from);
        let mut progress = Progress::new();
        let mut kept = Vec::new();
        let mut done = 0;
        while done < plan.clicks {
            let count = CHUNK.min(plan.clicks - done);
            let at_us = |done: u64| {
                let passed = i128::from(now - since) * i128::from(done) / i128::from(plan.clicks);
                since + i64::try_from(passed).expect("it is no longer than the whole")
            };
            // They are journaled together, when the last of them is made.
            self.now_us.store(at_us(done + count), Ordering::Relaxed);
            let ids = self.clicks((done..done + count).map(at_us))?;
            let share = |clicks| u128::from(plan.conversions) * u128::from(clicks);
            let share = |clicks| share(clicks) / u128::from(plan.clicks);
            let converted = share(done + count) - share(done);
            let converted = usize::try_from(converted).unwrap_or(ids.len()).min(ids.len());
            self.conversions(&ids[..converted])?;
            let every = usize::try_from(plan.keep_every).unwrap_or(usize::MAX).max(1);
            kept.extend(ids.into_iter().step_by(every));
            done += count;
            progress.at("clicks stored", done);
        }
        self.now_us.store(now, Ordering::Relaxed);
        Ok(kept)
    }

    /// A click at each of the times, in microseconds.
    fn clicks(&mut self, times: impl Iterator<Item = i64>) -> anyhow::Result<Vec<ClickIdText>> {
        let mut ids = Vec::new();
        let mut payload = Vec::new();
        let mut last = None;
        for at_us in times {
            let at_ms = u64::try_from(Timestamp::from_us(at_us).as_ms()).unwrap_or(0);
            let place = self.clicked.start + self.random.below(self.clicked.len() as u64);
            let (link_id, publisher_id) = self.links[place];
            let id = self.minter.next(at_ms, link_id, self.random.next());
            let click = click(&mut self.random, id, self.campaign_id, publisher_id);
            payload.clear();
            record::write_click(&click, &mut payload);
            let ticket =
                self.journal.append(RecordKind::Click, RecordKind::Click.format(), &payload)?;
            last = Some(ticket);
            ids.push(self.keys.click.format(id));
        }
        if let Some(ticket) = last {
            ticket.wait_blocking()?;
        }
        self.apply()?;
        Ok(ids)
    }

    /// One conversion of each click, by a hit as a partner sends it.
    fn conversions(&mut self, ids: &[ClickIdText]) -> anyhow::Result<()> {
        let mut last = None;
        for id in ids {
            let key = &self.integration_key;
            let target = format!("/postback/{key}?click_id={id}&txn_id=stored&status=approved");
            let hit = Hit {
                method: "GET".to_owned(),
                target: target.into_bytes(),
                peer: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                salt: u128::from(self.random.next()).to_le_bytes(),
                ..Hit::default()
            };
            let payload = record::write(&Record::Hit(hit));
            last =
                Some(self.journal.append(RecordKind::Hit, RecordKind::Hit.format(), &payload)?);
        }
        let Some(last) = last else { return Ok(()) };
        last.wait_blocking()?;
        let applied = self.apply()?;
        let recorded = |one: &&Applied| matches!(&one.effect, Effect::Decided(verdict) if verdict.verdict == Verdict::Recorded);
        let recorded = applied.iter().filter(recorded).count();
        if recorded != ids.len() {
            bail!("{} of {} stored postbacks were not recorded", ids.len() - recorded, ids.len());
        }
        Ok(())
    }

    /// Applies what has been journaled, and seals what is full.
    fn apply(&mut self) -> anyhow::Result<Vec<Applied>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.reader.next(APPLY_RECORDS_MAX, APPLY_BYTES_MAX)? {
            let records = chunk
                .iter()
                .map(|(position, header, payload)| decode(position, header, payload))
                .collect::<Result<Vec<_>, _>>()?;
            let decided_at = Timestamp::from_us(self.now_us.load(Ordering::Relaxed));
            all.extend(self.runtime.block_on(self.store.apply(&records, &[], decided_at))?);
            // At the earliest time there is, only what is full is due.
            while self.facts.seal(Timestamp::from_us(i64::MIN))?.is_some() {
                while self.facts.merge()?.is_some() {}
                self.runtime.block_on(self.store.checkpoint())?;
            }
        }
        Ok(all)
    }

    /// Seals everything that was stored.
    pub(crate) fn seal(&mut self) -> anyhow::Result<()> {
        while self.facts.seal_all()?.is_some() {}
        while self.facts.merge()?.is_some() {}
        Ok(())
    }

    /// Writes all of it to disk, and removes the journal segments that nothing needs any more, as
    /// a server does after some days.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.runtime.block_on(self.store.checkpoint_fully())?;
        let applied = self.runtime.block_on(self.store.position())?;
        let needed: Position = applied.min(self.facts.sealed());
        self.journal.remove_before(needed)?;
        Ok(())
    }
}

fn new_campaign(advertiser_id: AdvertiserId) -> NewCampaign {
    NewCampaign {
        advertiser_id,
        name: "Bench".to_owned(),
        kind: Some(Kind::Cpa),
        landing_url: LANDING_URL.to_owned(),
        fallback_url: None,
        currency: Currency::USD,
        time_zone: None,
        window_days: Some(WINDOW_DAYS),
        partner: None,
        integration_id: None,
        goals: vec![Goal {
            key: "sale".to_owned(),
            name: String::new(),
            default: true,
            revenue: Term::Fixed(REVENUE),
            payout: Term::Fixed(Micros(REVENUE.0 / 2)),
        }],
    }
}

/// Five labels of the sizes and frequencies that publishers use, and a visitor.
fn click<'a>(
    random: &mut Random,
    id: ClickId,
    campaign_id: CampaignId,
    publisher_id: PublisherId,
) -> Click<'a> {
    let mut labels = Labels::default();
    let [countries, placements, phases, creatives, zones] =
        LABELS.map(|many| random.often_low(many));
    labels.set(Label::Sub(1), country(countries));
    labels.set(Label::Sub(2), format!("placement-{placements}"));
    labels.set(Label::Sub(3), format!("phase-{phases}"));
    labels.set(Label::Sub(4), format!("creative-{creatives:04}"));
    labels.set(Label::Sub(5), format!("{}", 100_000 + zones));
    let agent = agent(random);
    let [a, b, c, d, ..] = random.next().to_le_bytes();
    let Agent { device, os, browser } = Agent::read(agent.as_bytes());
    let country = Country::parse(country(countries).as_bytes());
    Click {
        id,
        campaign_id,
        publisher_id,
        is_live: true,
        is_test: false,
        cost: None,
        external_id: Cow::Borrowed(&[]),
        labels,
        personal: Personal {
            ip: Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            user_agent: Cow::Owned(agent),
            referrer: Cow::Borrowed(""),
        },
        visitor: Visitor { country, device, os: os.into(), browser: browser.into() },
    }
}

/// What phones send, mostly, and some others.
fn agent(random: &mut Random) -> String {
    let numbers = [8, 40, 20, 50].map(|many| random.often_low(many));
    let [system, version, build, patch] = numbers;
    let (begins, browser, ends) = match random.often_low(AGENTS) {
        0 => (format!("Linux; Android {}", 8 + system), "Chrome/1", " Mobile Safari/537.36"),
        1 => (format!("iPhone; CPU iPhone OS 1{system}_1"), "Version/1", " Mobile Safari/605.1"),
        2 => ("Windows NT 10.0; Win64".to_owned(), "Chrome/1", " Safari/537.36"),
        3 => (format!("iPhone; CPU iPhone OS 1{system}_1"), "FBAV/1", " Mobile [FBAN/FBIOS]"),
        4 => (format!("Linux; Android {}", 8 + system), "SamsungBrowser/1", " Mobile Safari/53"),
        _ => ("Macintosh; Intel Mac OS X 10_15".to_owned(), "Version/1", " Safari/605.1"),
    };
    let version = format!("{version:02}.0.{}.{patch}", 5_000 + build);
    format!("Mozilla/5.0 ({begins}) AppleWebKit/537.36 {browser}{version}{ends}")
}

/// Two letters that look like a country.
fn country(number: usize) -> String {
    let letter = |place: usize| char::from(b'a' + u8::try_from(place % 26).unwrap_or(0));
    [letter(number), letter(number / 3 + 7)].iter().collect()
}

/// Numbers that look random and are the same each time: xorshift64*.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `end`, each as likely as another.
    pub(crate) fn below(&mut self, end: u64) -> usize {
        let number = (u128::from(self.next()) * u128::from(end)) >> 64;
        usize::try_from(number).expect("it is below a number of things in memory")
    }

    /// Below `end`, low numbers much more often than high ones.
    fn often_low(&mut self, end: u64) -> usize {
        let part = self.next() >> 32;
        let part = (part * part) >> 32;
        usize::try_from((part * end) >> 32).expect("it is below a number of things in memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_below_their_end_and_reach_it() {
        let mut random = Random(7);
        let mut seen = [0; 10];
        let mut low = [0; 10];
        for _ in 0..10_000 {
            seen[random.below(10)] += 1;
            low[random.often_low(10)] += 1;
        }
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
        assert!(low[0] > 2 * low[2] && low[9] > 0, "{low:?}");
    }

    #[test]
    fn a_directory_is_filled_as_planned() {
        let dir = tempfile::tempdir().unwrap();
        let mut filler = Filler::begin(dir.path(), 10).unwrap();
        let plan = Plan { clicks: 1_000, conversions: 250, days: 10, keep_every: 100 };
        let kept = filler.fill(plan).unwrap();
        assert_eq!(kept.len(), 10);
        let recent =
            filler.fill(Plan { clicks: 5, conversions: 0, days: 0, keep_every: 1 }).unwrap();
        assert_eq!(recent.len(), 5);
        for text in kept.iter().chain(&recent) {
            let id = filler.keys.click.parse(text).unwrap();
            let found = filler.runtime.block_on(filler.store.click(id)).unwrap();
            assert_eq!(found.unwrap().1.labels.iter().count(), 5);
        }
        let filter = store::list::ConversionFilter { limit: 1_000, ..Default::default() };
        let conversions = filler.runtime.block_on(filler.store.conversions(&filter)).unwrap();
        assert_eq!(conversions.items.len(), 250);
        filler.seal().unwrap();
        assert_eq!(filler.facts.sealed(), filler.journal.next());
        filler.finish().unwrap();
    }
}
