//! Measures what one postback takes: reading it through its contract, verifying its signature,
//! deciding what becomes of it.
//!
//! `cargo run --release -p domain --example reading_rate` reads postbacks of 200 bytes with a
//! contract of 17 parameters and an HMAC over the query, and prints microseconds a postback, the
//! best and the middle of many rounds. Beside them stands what SHA-256 of the same bytes takes on
//! the same machine at the same time.

use domain::click::{Click, Labels, Personal};
use domain::click_id::{ClickId, Keyring, Minter};
use domain::command::{Act, By};
use domain::hit::Hit;
use domain::id::{CampaignId, ConversionId, LinkId, NodeId, Position, PublisherId};
use domain::ledger::{Cause, Facts, Occasion, decide, read};
use domain::reason::Verdict;
use domain::setup::Setup;
use domain::time::Timestamp;
use domain::visitor::Visitor;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

const POSTBACKS: usize = 200;
const ROUNDS: usize = 1_000;
const SECRET: &str = "a secret of thirty-two characters";
/// 2026-11-20T09:00:00Z.
const AT: Timestamp = Timestamp::from_s(1_795_165_200);
/// The canonical names of the contract's parameters; the first is required.
const PARAMETERS: [&str; 17] = [
    "click_id",
    "campaign_id",
    "txn_id",
    "status",
    "goal",
    "revenue",
    "sale_amount",
    "currency",
    "conversion_ref",
    "sub1",
    "sub2",
    "sub3",
    "sub4",
    "sub5",
    "geo",
    "timestamp",
    "signature",
];

fn main() {
    let keyring = Keyring::new([(0, [7; 32])]).expect("one key for all times");
    let setup = setup();
    let node = NodeId::new(0).expect("0 is a node");
    let mut minter = Minter::new(node, 0);
    let at_ms = u64::try_from(AT.as_ms()).expect("it is after 1970");
    let clicks: Vec<Click> =
        (0..POSTBACKS as u64).map(|number| click(minter.next(at_ms, LinkId(1), number))).collect();
    let hits: Vec<Hit> =
        clicks.iter().zip(1..).map(|(click, number)| hit(&keyring, click.id, number)).collect();
    let bytes = hits.iter().map(|hit| hit.target.len()).sum::<usize>() / hits.len();
    println!("{} parameters, {bytes} bytes, {ROUNDS} rounds of {POSTBACKS}", PARAMETERS.len());
    let at = AT.plus_s(60);
    let both = || clicks.iter().zip(&hits);
    measure("read and verify", || {
        for hit in &hits {
            black_box(read(&setup, &keyring, hit, at));
        }
    });
    measure("read, verify and decide", || {
        for (click, hit) in both() {
            let read = read(&setup, &keyring, hit, at);
            let next_id = ConversionId(1);
            let (click, conversion) = (Some(click), None);
            let facts =
                Facts { click, conversion, has_earlier: false, waiting: 0, events: None, next_id };
            let cause = Cause::Hit(Position(1));
            let evidence = [0; 32];
            let occasion = Occasion { at, entered_at: at, position: Position(1), cause, evidence };
            let decision = decide(&setup, &read, facts, occasion);
            assert_eq!(decision.verdict, Verdict::Recorded, "{decision:?}");
            assert_eq!(decision.flags.names(), [""; 0], "nothing but what was sent counts");
        }
    });
    measure("SHA-256 of the same bytes", || {
        for hit in &hits {
            black_box(Sha256::digest(&hit.target));
        }
    });
    measure("HMAC-SHA-256 of the same bytes", || {
        for hit in &hits {
            black_box(mac(&hit.target));
        }
    });
}

/// One campaign whose advertiser signs the query of its postbacks.
fn setup() -> Setup {
    let parameters: Vec<serde_json::Value> = PARAMETERS
        .iter()
        .enumerate()
        .map(|(place, name)| {
            let is_required = place == 0 || *name == "timestamp";
            serde_json::json!({"canonical": name, "names": [name, format!("p_{name}")],
                "required": is_required})
        })
        .collect();
    let contract = serde_json::json!({
        "parameters": parameters,
        "statuses": {"absent": "approved", "values":
            {"pending": ["2", "hold"], "approved": ["1", "ok"], "rejected": ["3"], "reversed": ["4"]}},
        "verification": {"token_required": true, "timestamp_tolerance_s": 300,
            "signature": {"algorithm": "hmac_sha256", "input": {"kind": "query"}}},
    });
    let partner = serde_json::json!({"name": "signed", "title": "Signed", "kind": "network",
        "source": "none", "source_on": "2026-11-20", "contract": contract});
    let goals = serde_json::json!([{"key": "sale", "default": true,
        "revenue": {"from": "postback"}, "payout": "1.75"}]);
    let mut acts = vec![
        serde_json::json!({"act": "load_catalogue", "partners": [partner], "key": "global"}),
        serde_json::json!({"act": "create_advertiser", "name": "Shop"}),
        serde_json::json!({"act": "create_publisher", "name": "Blog"}),
        serde_json::json!({"act": "create_campaign", "advertiser_id": 1, "name": "Hats",
            "landing_url": "https://shop.example/?c={click_id}", "currency": "USD",
            "partner": "signed", "goals": goals}),
    ];
    acts.extend(["pending_approval", "approved", "active"].map(
        |to| serde_json::json!({"act": "set_campaign_status", "id": 1, "to": to, "key": "k3y"}),
    ));
    acts.push(serde_json::json!({"act": "create_link", "campaign_id": 1, "publisher_id": 1,
        "token": "l1nk", "landing_url": null, "test": false}));
    acts.push(serde_json::json!({"act": "change_integration", "id": 1,
        "secrets": {"signature": SECRET}}));
    let mut setup = Setup::default();
    for act in acts {
        let act: Act = serde_json::from_value(act).expect("an act reads");
        let effect =
            setup.execute(&act, By { actor: "bench", at: AT }).expect("an act that is allowed");
        for change in effect.changes {
            setup.put(AT.plus_s(-60), change);
        }
    }
    setup
}

fn click(id: ClickId) -> Click<'static> {
    Click {
        id,
        campaign_id: CampaignId(1),
        publisher_id: PublisherId(1),
        is_live: true,
        is_test: false,
        cost: None,
        external_id: Cow::Borrowed(b"external"),
        labels: Labels::default(),
        personal: Personal::default(),
        visitor: Visitor::default(),
    }
}

fn hit(keyring: &Keyring, id: ClickId, number: u64) -> Hit {
    let click_id = keyring.format(id);
    let query = format!(
        "click_id={}&txn_id=order-{number}&status=ok&revenue=12.50&currency=USD&geo=DE\
         &conversion_ref=c%3A{number}&goal=sale&timestamp={}",
        click_id.as_str(),
        AT.as_s()
    );
    let signature: String =
        mac(query.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let target = format!("/postback/k3y?{query}&signature={signature}").into_bytes();
    Hit { method: "GET".to_owned(), target, ..Hit::default() }
}

fn mac(bytes: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length is a key");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// Runs rounds, and prints what one postback took in the best and in the middle one.
fn measure(what: &str, mut round: impl FnMut()) {
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            #[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
            let begun = Instant::now();
            round();
            begun.elapsed().as_nanos() / POSTBACKS as u128
        })
        .collect();
    rounds.sort_unstable();
    let shown = |ns: u128| format!("{}.{:02}", ns / 1_000, ns % 1_000 / 10);
    let (best, middle) = (shown(rounds[0]), shown(rounds[ROUNDS / 2]));
    println!("{what:32} {best:>7} µs at best, {middle:>7} µs in the middle");
}
