//! Writes the golden journal of this format: `cargo run -p store --example golden_journal -- DIR`.
//!
//! It is run once for each format of the records, and what it made is kept under `tests/golden/`
//! for ever; `tests/golden.rs` replays it. Every kind of record and every command is in it. It is
//! always the same: times, keys and salts are fixed, and a batch holds one record.

use domain::click::{Click, Label, Labels, Personal};
use domain::click_id::{ClickId, Keyring, Minter};
use domain::command::{Act, Command, Idempotency};
use domain::hit::Hit;
use domain::id::{CampaignId, LinkId, NodeId, Position, PublisherId};
use domain::money::Micros;
use domain::record::{self, Record};
use domain::visitor::{Country, Device, Visitor};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::disk::RealDisk;
use store::journal::{Journal, Options, SEGMENT_BYTES_MIN};

/// When the first record is journaled, in microseconds; each later one a second after it.
const BEGIN_US: i64 = 1_780_000_000_000_000;
const SECOND_US: i64 = 1_000_000;
const JOURNAL_ID: [u8; 16] = *b"a golden journal";
/// The one key of the ring that makes the click ids.
const CLICK_KEY: [u8; 32] = [3; 32];
const CLICKS: u32 = 40;
const STATUSES: [&str; 6] = ["approved", "pending", "reversed", "rejected", "what", ""];

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let dir = std::env::args().nth(1).ok_or("where to?")?;
    let mut recorder = Recorder::new(Path::new(&dir))?;
    recorder.set_up()?;
    recorder.traffic()?;
    recorder.wind_up()?;
    println!("{} records", recorder.journal.next().0 - 1);
    Ok(())
}

struct Recorder {
    journal: Journal,
    now_us: Arc<AtomicI64>,
    minter: Minter,
    keyring: Keyring,
}

impl Recorder {
    fn new(dir: &Path) -> Result<Self, Failed> {
        let node = NodeId::new(0).ok_or("0 is a node")?;
        let now_us = Arc::new(AtomicI64::new(BEGIN_US));
        let clock = Arc::clone(&now_us);
        let mut options = Options::new(node, record::RULES, JOURNAL_ID);
        options.segment_bytes = 2 * SEGMENT_BYTES_MIN;
        let clock = Arc::new(move || clock.load(Ordering::SeqCst));
        let journal = Journal::open(Arc::new(RealDisk), dir, options, clock)?;
        let keyring = Keyring::new([(0, CLICK_KEY)]).ok_or("one key is a ring")?;
        Ok(Self { journal, now_us, minter: Minter::new(node, 0), keyring })
    }

    fn put(&self, record: &Record<'_>) -> Result<Position, Failed> {
        self.now_us.fetch_add(SECOND_US, Ordering::SeqCst);
        let payload = record::write(record);
        let ticket = self.journal.append(record.kind(), record.kind().format(), &payload)?;
        Ok(ticket.wait_blocking()?)
    }

    /// A command, as the journal has it in JSON.
    fn act(&self, act: &Value) -> Result<Position, Failed> {
        self.command(act, None)
    }

    fn command(&self, act: &Value, key: Option<&str>) -> Result<Position, Failed> {
        let act: Act = serde_json::from_str(&act.to_string())?;
        let idempotency =
            key.map(|key| Idempotency { key: key.to_owned(), request: "the same".to_owned() });
        let command = Command { actor: "admin".to_owned(), idempotency, act };
        self.put(&Record::Command(Box::new(command)))
    }

    fn click_id(&mut self, link: u32) -> ClickId {
        let now_ms = u64::try_from(self.now_us.load(Ordering::SeqCst) / 1_000).unwrap_or(0);
        self.minter.next(now_ms, LinkId(link), 42)
    }

    fn click(&mut self, number: u32) -> Result<ClickId, Failed> {
        let link = 1 + u32::from(number % 10 == 9);
        let id = self.click_id(link);
        let mut labels = Labels::default();
        labels.set(Label::Sub(1), format!("s{}", number % 3));
        if number.is_multiple_of(4) {
            for label in Label::ALL {
                labels.set(label, format!("{} \u{e9} {number}", label.name()));
            }
        }
        let ip = if number.is_multiple_of(2) { "203.0.113.9" } else { "2001:db8::9" };
        let click = Click {
            id,
            campaign_id: CampaignId(1),
            publisher_id: PublisherId(1),
            is_live: number % 7 != 6,
            is_test: link == 2,
            cost: number.is_multiple_of(5).then_some(Micros(15_000)),
            external_id: format!("ext-{number}\u{0}").into_bytes().into(),
            labels,
            personal: Personal {
                ip: Some(ip.parse()?),
                user_agent: "Mozilla/5.0".into(),
                referrer: "https://news.example/".into(),
            },
            visitor: Visitor {
                country: Country::parse([&b"AT"[..], b"XX"][(number % 2) as usize]),
                device: Device::ALL.get((number % 8) as usize).copied(),
                os: "Android".into(),
                browser: "".into(),
            },
        };
        self.put(&Record::Click(click))?;
        Ok(id)
    }

    fn hit(&self, path: &str, click: ClickId, rest: &str) -> Result<Position, Failed> {
        let query = format!("click_id={}{rest}", self.keyring.format(click).as_str());
        let target = format!("{path}?{query}").into_bytes();
        let method = "GET".to_owned();
        let peer = Some("198.51.100.7".parse()?);
        self.put(&Record::Hit(Hit { method, target, peer, salt: [9; 16], ..Hit::default() }))
    }

    fn posted(&self, content_type: &str, body: &str) -> Result<Position, Failed> {
        self.put(&Record::Hit(Hit {
            method: "POST".to_owned(),
            target: b"/postback/campaign-key".to_vec(),
            content_type: Some(content_type.to_owned()),
            body: body.as_bytes().to_vec(),
            peer: Some("2001:db8::7".parse()?),
            forwarded: Some("192.0.2.1, 192.0.2.2".to_owned()),
            salt: [7; 16],
            ..Hit::default()
        }))
    }

    fn set_up(&self) -> Result<(), Failed> {
        let partners = json!([partner("counterfoil", "receipt"), partner("told", "acknowledge")]);
        let global = json!({"level": "global"});
        let advertiser = json!({"level": "advertiser", "advertiser_id": 1});
        for act in [
            json!({"act": "load_catalogue", "partners": partners, "key": "global-key"}),
            json!({"act": "create_advertiser", "name": "Acme"}),
            json!({"act": "create_advertiser", "name": "Other"}),
            json!({"act": "change_advertiser", "id": 2, "name": "Another"}),
            json!({"act": "archive_advertiser", "id": 2}),
            json!({"act": "create_publisher", "name": "News"}),
            json!({"act": "create_publisher", "name": "Games"}),
            json!({"act": "change_publisher", "id": 2, "name": "More games"}),
            json!({"act": "archive_publisher", "id": 2}),
            campaign("Game"),
            json!({"act": "set_campaign_status", "id": 1, "to": "pending_approval", "key": "no-key"}),
            json!({"act": "set_campaign_status", "id": 1, "to": "approved", "key": "campaign-key"}),
            json!({"act": "set_campaign_status", "id": 1, "to": "active", "key": "no-key"}),
            json!({"act": "set_campaign_status", "id": 1, "to": "draft", "key": "refused"}),
            json!({"act": "add_goal", "id": 1,
                   "goal": {"key": "sale", "revenue": {"percent": "12.5"}, "payout": "1"}}),
            json!({"act": "create_link", "campaign_id": 1, "publisher_id": 1, "token": "link",
                   "landing_url": null, "test": false}),
            json!({"act": "create_link", "campaign_id": 1, "publisher_id": 1, "token": "test",
                   "landing_url": null, "test": true}),
            json!({"act": "change_link", "id": 2,
                   "landing_url": "https://shop.example/b?c={click_id}"}),
            json!({"act": "create_integration", "scope": advertiser, "partner": "told",
                   "key": "advertiser-key", "landing_params": "aff_sub={clickid}"}),
            json!({"act": "create_integration", "scope": global, "partner": "told",
                   "key": "told-key", "secrets": {"token": "secret"}}),
            json!({"act": "change_integration", "id": 3, "landing_params": null,
                   "secrets": {"token": "other secret"}}),
            json!({"act": "archive_integration", "id": 4}),
            json!({"act": "change_campaign", "id": 1, "changes": {"window_days": 7}}),
        ] {
            self.act(&act)?;
        }
        for _ in 0..2 {
            self.command(&json!({"act": "create_advertiser", "name": "Once"}), Some("once"))?;
        }
        Ok(())
    }

    fn traffic(&mut self) -> Result<(), Failed> {
        let mut clicks = Vec::new();
        for number in 0..CLICKS {
            clicks.push(self.click(number)?);
            let click = clicks[number as usize / 2];
            let status = STATUSES[number as usize % STATUSES.len()];
            let rest = format!("&txn_id={}&status={status}", number % 4);
            self.hit("/postback/campaign-key", click, &rest)?;
            if number % 4 == 1 {
                self.hit("/told", click, "&goal=sale&revenue=1,50")?;
                self.hit("/postback", click, "&goal=sale&sale=20.125&txn_id=%FF")?;
                self.hit("/postback", click, "&goal=sale&sale=20.125&txn_id=S")?;
            }
        }
        for status in ["pending", "approved", "approved", "reversed", "rejected", "approved"] {
            let rest = format!("&txn_id=life&status={status}");
            self.hit("/postback/campaign-key", clicks[3], &rest)?;
        }
        for rest in ["", "", "&goal=none", "&click_id={click_id}", "&txn_id=##TXN##", "&g=sale"] {
            self.hit("/postback/campaign-key", clicks[4], rest)?;
        }
        self.posted("application/x-www-form-urlencoded", "txn_id=without+a+click")?;
        self.posted("application/x-www-form-urlencoded", "click_id=of+somebody+else")?;
        let text = self.keyring.format(clicks[0]);
        let json = format!(r#"{{"click_id":"{}","txn_id":"json","revenue":2.500}}"#, text.as_str());
        self.posted("application/json", &json)?;
        self.posted("application/json", "{")?;
        let form = format!("click_id={}&txn_id=a+form", text.as_str());
        self.posted("application/x-www-form-urlencoded", &form)?;
        let boom = self.hit("/postback/campaign-key", clicks[1], "&txn_id=boom")?;
        self.act(&json!({"act": "quarantine", "position": boom.0}))?;
        self.act(&json!({"act": "redecide", "position": boom.0}))?;
        self.put(&Record::Tick)?;
        Ok(())
    }

    fn wind_up(&mut self) -> Result<(), Failed> {
        let click_id = serde_json::to_value(self.click_id(1))?;
        for act in [
            json!({"act": "make_test_click", "link_id": 1, "click_id": click_id}),
            json!({"act": "change_conversion_status", "id": 1, "to": "reversed",
                   "reason": "returned"}),
            json!({"act": "change_conversion_status", "id": 999, "to": "reversed",
                   "reason": "it is not there"}),
            json!({"act": "skip_ids"}),
            json!({"act": "create_publisher", "name": "After the skip"}),
            json!({"act": "archive_link", "id": 2}),
            json!({"act": "set_campaign_status", "id": 1, "to": "ended", "key": "no-key"}),
            json!({"act": "archive_campaign", "id": 1}),
        ] {
            self.act(&act)?;
        }
        Ok(())
    }
}

fn campaign(name: &str) -> Value {
    json!({
        "act": "create_campaign", "advertiser_id": 1, "name": name, "type": "cpi",
        "landing_url": "https://shop.example/?c={click_id}",
        "fallback_url": "https://shop.example/sorry", "currency": "EUR",
        "time_zone": "Europe/Berlin", "window_days": 30, "partner": "counterfoil",
        "goals": [
            {"key": "install", "default": true, "revenue": "2.50", "payout": "1.75"},
            {"key": "lead", "revenue": {"from": "postback", "default": "0.000001"}, "payout": "1"},
        ],
    })
}

fn partner(name: &str, profile: &str) -> Value {
    json!({
        "name": name, "title": name, "kind": "ours", "source": "ours", "source_on": "2026-11-20",
        "paths": if name == "told" { json!(["/told"]) } else { json!([]) },
        "contract": {
            "parameters": [
                {"canonical": "click_id", "names": ["click_id"], "required": true},
                {"canonical": "goal", "names": ["goal", "g"]},
                {"canonical": "txn_id", "names": ["txn_id"], "max_length": 64},
                {"canonical": "status", "names": ["status"]},
                {"canonical": "revenue", "names": ["revenue"]},
                {"canonical": "sale_amount", "names": ["sale"]},
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
            "answers": {"profile": profile},
        },
    })
}
