//! A store with a journal in memory, and a small network set up in it.

use domain::campaign::Status;
use domain::click::{Click, Label, Labels, Personal};
use domain::click_id::{ClickId, Keyring, Minter};
use domain::command::{
    Act, Answer, Command, Idempotency, NewCampaign, NewDestination, NewOutbound, Outcome,
};
use domain::contract::Contract;
use domain::destination::{Owner, Pace, Rules};
use domain::hit::Hit;
use domain::id::{CampaignId, LinkId, NodeId, Position, PublisherId};
use domain::ledger;
use domain::record::{self, Kind, Record, Stamped};
use domain::secret::{NONCE_BYTES, SecretsKey};
use domain::time::Timestamp;
use domain::visitor::Visitor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use store::disk::RealDisk;
use store::facts::{self, Facts, JournalId, Records};
use store::list::StoredVerdict;
use store::sqlite::{Decide, Options, SqliteStore};
use store::{Applied, Effect, Error, Store};

/// Where time begins in a world.
pub(crate) const BEGIN: Timestamp = Timestamp::from_s(1_780_000_000);
pub(crate) const JOURNAL_ID: [u8; 16] = [7; 16];

/// Every record, as a journal would have it.
#[derive(Clone, Default)]
pub(crate) struct Memory(pub(crate) Arc<Mutex<Vec<Stamped<'static>>>>);

impl Records for Memory {
    fn id(&self) -> JournalId {
        JOURNAL_ID
    }

    fn scan(
        &self,
        from: Position,
        to: Position,
        each: &mut dyn FnMut(Stamped<'_>) -> Result<(), facts::Error>,
    ) -> Result<(), facts::Error> {
        let records = self.0.lock().unwrap().clone();
        for record in records {
            if record.position >= from && record.position < to {
                each(record)?;
            }
        }
        Ok(())
    }

    fn read(&self, position: Position) -> Result<Option<Stamped<'static>>, facts::Error> {
        let records = self.0.lock().unwrap();
        Ok(records.iter().find(|record| record.position == position).cloned())
    }
}

pub(crate) fn keyring() -> Keyring {
    Keyring::new([(0, [3; 32])]).unwrap()
}

pub(crate) fn secrets_key() -> SecretsKey {
    SecretsKey::new([4; 32])
}

/// The store that the suite is for, in `dir`; it decides with `decide`. Another one takes its place
/// here.
pub(crate) fn open(dir: &Path, memory: &Memory, decide: Decide) -> Result<Arc<dyn Store>, Error> {
    Ok(Arc::new(open_sqlite(dir, memory, decide)?))
}

pub(crate) fn open_sqlite(
    dir: &Path,
    memory: &Memory,
    decide: Decide,
) -> Result<SqliteStore, Error> {
    open_with(Some(secrets_key()), dir, memory, decide)
}

pub(crate) fn open_with(
    secrets: Option<SecretsKey>,
    dir: &Path,
    memory: &Memory,
    decide: Decide,
) -> Result<SqliteStore, Error> {
    let facts = Facts::open(Arc::new(RealDisk), &dir.join("facts"), Arc::new(memory.clone()))?;
    let options = Options { journal_id: JOURNAL_ID, keyring: keyring(), secrets, decide };
    SqliteStore::open(&dir.join("ledger.db"), Arc::new(facts), options)
}

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) memory: Memory,
    pub(crate) now: Timestamp,
    pub(crate) dir: PathBuf,
    pub(crate) link: LinkId,
    pub(crate) campaign: CampaignId,
    /// Of the campaign's own integration.
    pub(crate) key: String,
    minter: Minter,
    pub(crate) _temporary: tempfile::TempDir,
}

impl World {
    /// An active campaign with two goals, two publishers, a link and a test link.
    pub(crate) async fn new() -> Self {
        Self::deciding_with(ledger::decide).await
    }

    pub(crate) async fn deciding_with(decide: Decide) -> Self {
        Self::of(decide, &[]).await
    }

    /// Its contract has these keys beside, or in place of, its own.
    pub(crate) async fn agreeing(keys: serde_json::Value) -> Self {
        let keys = keys.as_object().unwrap().clone();
        Self::of(ledger::decide, &keys.into_iter().collect::<Vec<_>>()).await
    }

    async fn of(decide: Decide, keys: &[(String, serde_json::Value)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().to_owned();
        let memory = Memory::default();
        let store = open(&dir, &memory, decide).unwrap();
        let mut world = Self {
            store,
            memory,
            now: BEGIN,
            dir,
            link: LinkId(1),
            campaign: CampaignId(1),
            key: "campaign-key".to_owned(),
            minter: Minter::new(NodeId::new(0).unwrap(), 0),
            _temporary: temporary,
        };
        world.set_up(keys).await;
        world
    }

    async fn set_up(&mut self, keys: &[(String, serde_json::Value)]) {
        let mut own = own_partner();
        let mut contract = serde_json::to_value(&own.contract).unwrap();
        for (key, value) in keys {
            contract[key] = value.clone();
        }
        own.contract = serde_json::from_value(contract).unwrap();
        let partners = vec![own];
        self.done(Act::LoadCatalogue { partners, key: "global-key".to_owned() }).await;
        self.done(Act::CreateAdvertiser { name: "Acme".to_owned() }).await;
        self.done(Act::CreatePublisher { name: "News".to_owned() }).await;
        self.done(Act::CreateCampaign(Box::new(new_campaign()))).await;
        for to in [Status::PendingApproval, Status::Approved, Status::Active] {
            let key = self.key.clone();
            self.done(Act::SetCampaignStatus { id: self.campaign, to, key }).await;
        }
        for (token, test) in [("link", false), ("test-link", true)] {
            self.done(Act::CreateLink {
                campaign_id: self.campaign,
                publisher_id: PublisherId(1),
                token: token.to_owned(),
                landing_url: None,
                test,
            })
            .await;
        }
    }

    /// The next record, not applied.
    pub(crate) fn record(&mut self, record: Record<'static>) -> Stamped<'static> {
        self.now = self.now.plus_ms(1);
        let mut records = self.memory.0.lock().unwrap();
        let position = Position(records.len() as u64);
        let stamped = Stamped { position, at: self.now, rules: 1, record };
        records.push(stamped.clone());
        stamped
    }

    pub(crate) async fn apply(&self, records: &[Stamped<'_>]) -> Result<Vec<Applied>, Error> {
        self.store.apply(records, &[], self.now).await
    }

    pub(crate) async fn act(&mut self, act: Act) -> Outcome {
        self.command(act, None).await
    }

    pub(crate) async fn command(&mut self, act: Act, idempotency: Option<Idempotency>) -> Outcome {
        let mut command = Command { actor: "tester".to_owned(), idempotency, act };
        command.encrypt_secrets(&secrets_key(), || [5; NONCE_BYTES]);
        let payload = record::write(&Record::Command(Box::new(command)));
        let kind = Kind::Command;
        let journaled = record::read(kind as u8, kind.format(), record::RULES, &payload).unwrap();
        let Record::Command(command) = journaled else { panic!("it is a command") };
        let record = self.record(Record::Command(command));
        let applied = self.apply(&[record]).await.unwrap();
        match applied.into_iter().next().unwrap().effect {
            Effect::Commanded { outcome, .. } => *outcome,
            other @ Effect::Decided(_) => panic!("a command has an outcome, not {other:?}"),
        }
    }

    pub(crate) async fn done(&mut self, act: Act) -> Answer {
        match self.act(act).await {
            Outcome::Done(answer) => *answer,
            Outcome::Failed(failure) => panic!("{failure:?}"),
        }
    }

    /// A click record, not applied.
    pub(crate) fn click_record(&mut self, sub1: &str) -> (ClickId, Stamped<'static>) {
        let now_ms = u64::try_from(self.now.as_ms()).unwrap();
        let id = self.minter.next(now_ms, self.link, 42);
        let mut labels = Labels::default();
        labels.set(Label::Sub(1), sub1.to_owned());
        let click = Click {
            id,
            campaign_id: self.campaign,
            publisher_id: PublisherId(1),
            is_live: true,
            is_test: false,
            cost: None,
            external_id: b"ext".to_vec().into(),
            labels,
            personal: Personal::default(),
            visitor: Visitor::default(),
        };
        (id, self.record(Record::Click(click)))
    }

    pub(crate) async fn click(&mut self, sub1: &str) -> ClickId {
        let (id, record) = self.click_record(sub1);
        self.apply(&[record]).await.unwrap();
        id
    }

    /// A hit record, not applied. `{click}` in the query stands for the click id's text.
    pub(crate) fn hit_record(&mut self, click: ClickId, query: &str) -> Stamped<'static> {
        let text = keyring().format(click);
        let query = query.replace("{click}", text.as_str());
        let hit = Hit {
            method: "GET".to_owned(),
            target: format!("/postback/{}?{query}", self.key).into_bytes(),
            salt: [9; 16],
            ..Hit::default()
        };
        self.record(Record::Hit(hit))
    }

    pub(crate) async fn hit(&mut self, click: ClickId, query: &str) -> StoredVerdict {
        let record = self.hit_record(click, query);
        let applied = self.apply(&[record]).await.unwrap();
        decided(applied.into_iter().next().unwrap())
    }

    /// The digest of what the same records make of an empty store.
    pub(crate) async fn replayed(&self) -> [u8; 32] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), &self.memory, ledger::decide).unwrap();
        for record in self.records() {
            store.apply(&[record], &[], BEGIN).await.unwrap();
        }
        store.digest().await.unwrap()
    }

    pub(crate) fn records(&self) -> Vec<Stamped<'static>> {
        self.memory.0.lock().unwrap().clone()
    }
}

/// The first publisher's, which is told of what is approved.
pub(crate) fn destination(url: &str) -> Act {
    let outbound = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
    Act::CreateDestination(Box::new(NewDestination {
        owner: Owner::Publisher { publisher_id: PublisherId(1) },
        outbound: NewOutbound::Own(Box::new(outbound)),
        account: BTreeMap::new(),
        secrets: BTreeMap::new(),
        scheme: None,
        rules: Rules::default(),
        pace: Pace::default(),
    }))
}

pub(crate) fn decided(applied: Applied) -> StoredVerdict {
    match applied.effect {
        Effect::Decided(verdict) => *verdict,
        other @ Effect::Commanded { .. } => panic!("a hit is decided, not {other:?}"),
    }
}

/// `recorded`, or `refused late_window`.
pub(crate) fn shown(verdict: &StoredVerdict) -> String {
    match verdict.reason {
        Some(reason) => format!("{} {}", verdict.verdict.name(), reason.name()),
        None => verdict.verdict.name().to_owned(),
    }
}

pub(crate) fn own_partner() -> domain::partner::Partner {
    let contract: Contract = serde_json::from_value(serde_json::json!({
        "parameters": [
            {"canonical": "click_id", "names": ["click_id"], "required": true},
            {"canonical": "goal", "names": ["goal"]},
            {"canonical": "txn_id", "names": ["txn_id"]},
            {"canonical": "status", "names": ["status"]},
            {"canonical": "revenue", "names": ["revenue"]},
            {"canonical": "sub1", "names": ["sub1"]},
            {"canonical": "token", "names": ["token"]},
        ],
        "statuses": {
            "absent": "approved",
            "values": {
                "approved": ["approved"], "pending": ["pending"],
                "rejected": ["rejected"], "reversed": ["reversed"],
            },
        },
        "verification": {"token": "token"},
    }))
    .unwrap();
    serde_json::from_value(serde_json::json!({
        "name": "counterfoil", "title": "Counterfoil", "kind": "ours", "source": "ours",
        "source_on": "2026-11-20", "contract": contract,
    }))
    .unwrap()
}

fn new_campaign() -> NewCampaign {
    serde_json::from_value(serde_json::json!({
        "advertiser_id": 1,
        "name": "Game",
        "landing_url": "https://shop.example.com/?c={click_id}",
        "currency": "USD",
        "goals": [
            {"key": "install", "default": true, "revenue": "2.50", "payout": "1.75"},
            {"key": "sale", "revenue": {"from": "postback"}, "payout": "1"},
        ],
    }))
    .unwrap()
}
