//! What the sender of a postback can find out afterwards: by the receipt alone, without a key, and
//! without seeing money.

use crate::network::{Network, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn a_receipt_shows_what_the_sender_was_answered_and_no_more() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    for query in [
        format!("click_id={click}&revenue=7.77&txn_id=secret-order"),
        format!("click_id={click}&revenue=7.77&txn_id=secret-order"),
        format!("click_id={click}&status=zzz"),
        format!("clickid={click}"),
    ] {
        let answer = network.client.get(format!("{}?{query}", campaign.postback)).json();
        let path = format!("/receipts/{}", text(&answer["receipt"]));
        let reply = network.client.get(&path);
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
        assert_eq!(reply.json(), answer, "the receipt says what the answer said");
        let mut shown = reply.json();
        for instant in ["received_at", "decided_at"] {
            // Its seconds look like an amount now and then.
            shown[instant] = Value::Null;
        }
        for hidden in ["7.77", "2.50", "1.75", "secret-order", &click] {
            assert!(!shown.to_string().contains(hidden), "{hidden} in {shown}");
        }
    }
}

#[test]
fn the_fields_of_a_receipt_are_these() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let answer = network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
    let fields: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "receipt",
        "verdict",
        "reason",
        "parameter",
        "conversion",
        "status",
        "flags",
        "original",
        "retriable",
        "retry_after_s",
        "max_retries",
        "received_at",
        "decided_at",
        "contract",
        "http_status",
    ];
    expected.sort_unstable();
    let mut found = fields.clone();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert!(text(&answer["received_at"]).ends_with('Z'));
    assert!(text(&answer["received_at"]) <= text(&answer["decided_at"]));
    assert_eq!(answer["contract"], format!("{}.1", campaign.integration));
}

#[test]
fn a_receipt_cannot_be_guessed() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let target = format!("{}?click_id={click}", campaign.postback);
    let mut receipts = BTreeSet::new();
    for _ in 0..20 {
        let answer = network.client.get(&target).json();
        assert!(receipts.insert(text(&answer["receipt"]).to_owned()), "each hit has its own");
    }
    let one = receipts.first().unwrap();
    for place in 0..one.len() {
        let new = if one.as_bytes()[place] == b'0' { "1" } else { "0" };
        let mut guess = one.clone();
        guess.replace_range(place..=place, new);
        let reply = network.client.get(format!("/receipts/{guess}"));
        assert_eq!(reply.status, 404, "{guess} is not {one}");
    }
    for guess in ["1", "", "%00", "%ff", &"0".repeat(5_000)] {
        let reply = network.client.get(format!("/receipts/{guess}"));
        assert_eq!(reply.status, 404, "{guess}");
    }
}

#[test]
fn a_receipt_holds_across_a_restart_and_a_crash() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let answer = network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
    let path = format!("/receipts/{}", text(&answer["receipt"]));
    network.restart();
    assert_eq!(network.client.get(&path).json(), answer);
    network.server.kill9();
    network.server.restart();
    network.client = network.server.client();
    let again = network.client.get(&path).json();
    let without_time = |answer: &Value| {
        let mut answer = answer.clone();
        // Where the crash took the decision, it was made again.
        answer.as_object_mut().unwrap().remove("decided_at");
        answer
    };
    assert_eq!(without_time(&again), without_time(&answer));
}

#[test]
fn what_is_not_journaled_has_a_receipt_while_it_lasts() {
    let mut network = Network::start();
    network.campaign("counterfoil");
    let answer = network.refuses("/postback/unknown?x=1", (404, "unknown_integration", None));
    let reply = network.client.get(format!("/receipts/{}", text(&answer["receipt"])));
    assert_eq!(reply.json(), answer);
    let listed = network.hits("journaled=false");
    assert_eq!((listed.len(), &listed[0]["receipt"]), (1, &answer["receipt"]));
    assert_eq!(listed[0]["journaled"], false);
    assert_eq!(network.totals()["hits"], 0, "a stranger's hit is in no figure");
    network.restart();
    let reply = network.client.get(format!("/receipts/{}", text(&answer["receipt"])));
    assert_eq!(reply.status, 404);
}

#[test]
fn a_hit_is_found_by_every_id_it_names() {
    let mut network = Network::start();
    let (campaign, other) = (network.campaign("counterfoil"), network.campaign("counterfoil"));
    let (click, another) = (network.click(&campaign), network.click(&other));
    let target = format!("{}?click_id={click}&txn_id=Order-1", campaign.postback);
    let answer = network.sends(&target, "recorded");
    network.sends(&format!("{}?click_id={another}&txn_id=Order-2", other.postback), "recorded");
    for filter in [
        format!("receipt={}", text(&answer["receipt"])),
        format!("click_id={click}"),
        "txn_id=Order-1".to_owned(),
        format!("campaign_id={}", campaign.id),
        format!("conversion_id={}", answer["conversion"]),
    ] {
        let found = network.hits(&filter);
        assert_eq!(found.len(), 1, "{filter}: {found:?}");
        assert_eq!(found[0]["receipt"], answer["receipt"], "{filter}");
        assert_eq!(found[0]["url"], target);
    }
    assert_eq!(network.hits("txn_id=order-1"), Vec::<Value>::new(), "it keeps its case");
}

#[test]
fn a_conversion_shows_the_hits_and_the_decision_behind_it() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let target = format!("{}?click_id={click}&status=pending&colour=red", campaign.postback);
    let first = network.sends(&target, "recorded");
    let target = target.replace("pending", "approved");
    let second = network.sends(&target, "updated");
    let conversion = network.ask(&format!("/conversions/{}", first["conversion"]));
    let receipts: Vec<&Value> =
        conversion["hits"].as_array().unwrap().iter().map(|hit| &hit["receipt"]).collect();
    assert_eq!(receipts, [&first["receipt"], &second["receipt"]]);
    let causes: Vec<&Value> = conversion["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["cause"]["receipt"])
        .collect();
    assert_eq!(causes, receipts);
    let trace = &conversion["trace"];
    assert!(trace["unread"].to_string().contains("colour"), "{trace}");
    assert_eq!(trace["verdict"], "recorded");
}

#[test]
fn a_persons_change_is_an_entry_that_says_who_and_why() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let made = network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
    let path = format!("/conversions/{}", made["conversion"]);
    let change = json!({ "to": "reversed", "reason": "the order was returned" });
    let changed = network.make(&format!("{path}/status"), &change);
    assert_eq!(changed["status"], "reversed");
    let conversion = network.ask(&path);
    let entries = conversion["entries"].as_array().unwrap();
    let last = entries.last().unwrap();
    assert_eq!((text(&last["from"]), text(&last["revenue"])), ("approved", "-2.50"));
    assert_eq!(network.totals()["revenue"], "0.00");
    assert_eq!(last["cause"]["reason"], "the order was returned", "{last}");
    assert!(last["cause"]["actor"].is_string(), "{last}");
}

#[test]
fn every_entry_shows_its_hash_in_the_chain() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let target = format!("{}?click_id={click}&status=", campaign.postback);
    let made = network.sends(&format!("{target}pending"), "recorded");
    network.sends(&format!("{target}approved"), "updated");
    let conversion = network.ask(&format!("/conversions/{}", made["conversion"]));
    let entries = conversion["entries"].as_array().unwrap();
    let hashes: BTreeSet<&str> = entries.iter().map(|entry| text(&entry["hash"])).collect();
    assert_eq!(hashes.len(), 2);
    assert!(hashes.iter().all(|hash| hash.len() == 64), "{hashes:?}");
}

#[test]
fn a_page_of_large_hits_ends_early_and_the_next_goes_on() {
    const HITS: usize = 100;
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let long = "a".repeat(60_000);
    for number in 0..HITS {
        let body = format!("click_id={click}&txn_id={number}&sub1={long}");
        let reply = network.client.post_form(&campaign.postback, &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let (mut receipts, mut pages, mut cursor) = (BTreeSet::new(), 0, String::new());
    loop {
        let reply = network.client.api("GET", &format!("/hits?limit=1000{cursor}"), None);
        assert!(reply.body.len() < 5 << 20, "{}", reply.body.len());
        let page = reply.json();
        let items = page["items"].as_array().unwrap();
        receipts.extend(items.iter().map(|hit| text(&hit["receipt"]).to_owned()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((receipts.len(), pages), (HITS, 2));
}
