//! However many senders speak at once, each conversion is made once, and none is lost.

use crate::client::Client;
use crate::network::{Network, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Barrier;

/// How many identical postbacks are sent at once, and how often.
const SENDERS: usize = 8;
const ROUNDS: usize = 200;
/// How many transactions of one click are sent at once.
const TRANSACTIONS: usize = 20;

/// Sends one target from each of several connections at once; answers with status and body.
fn at_once(address: SocketAddr, targets: &[Vec<String>]) -> Vec<Vec<(u16, Value)>> {
    let barrier = Barrier::new(targets.len());
    std::thread::scope(|scope| {
        let senders: Vec<_> = targets
            .iter()
            .map(|targets| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let mut client = Client::new(address);
                    let send = |target: &String| {
                        barrier.wait();
                        let reply = client.get(target);
                        (reply.status, reply.json())
                    };
                    targets.iter().map(send).collect::<Vec<_>>()
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().expect("a sender ends")).collect()
    })
}

#[test]
fn eight_identical_postbacks_at_once_are_one_conversion_and_seven_duplicates() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let targets: Vec<String> = (0..ROUNDS)
        .map(|round| {
            let click = network.click(&campaign);
            format!("{}?click_id={click}&txn_id=t-{round}", campaign.postback)
        })
        .collect();
    let answers = at_once(network.server.address(), &vec![targets.clone(); SENDERS]);
    for (round, target) in targets.iter().enumerate() {
        let of_round: Vec<&Value> = answers.iter().map(|sender| &sender[round].1).collect();
        assert!(answers.iter().all(|sender| sender[round].0 == 200), "{of_round:?}");
        let (recorded, others): (Vec<&Value>, Vec<&Value>) =
            of_round.iter().partition(|answer| answer["verdict"] == "recorded");
        assert_eq!((recorded.len(), others.len()), (1, SENDERS - 1), "{target}: {of_round:?}");
        for other in others {
            assert_eq!(other["verdict"], "duplicate", "{other}");
            assert_eq!(other["reason"], "already_processed");
            assert_eq!(other["original"], recorded[0]["receipt"]);
            assert_eq!(other["conversion"], recorded[0]["conversion"]);
        }
    }
    let totals = network.totals();
    assert_eq!(totals["conversions"], ROUNDS);
    assert_eq!(totals["hits"], ROUNDS * SENDERS);
    assert_eq!(text(&totals["revenue"]), "500.00");
}

#[test]
fn twenty_transactions_of_one_click_at_once_are_twenty_conversions() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let targets: Vec<Vec<String>> = (0..TRANSACTIONS)
        .map(|number| vec![format!("{}?click_id={click}&txn_id=t-{number}", campaign.postback)])
        .collect();
    let answers = at_once(network.server.address(), &targets);
    let mut conversions = BTreeSet::new();
    for (status, answer) in answers.into_iter().flatten() {
        assert_eq!((status, text(&answer["verdict"])), (200, "recorded"), "{answer}");
        assert!(conversions.insert(answer["conversion"].as_u64()), "one number each: {answer}");
    }
    assert_eq!(network.conversions(&click).len(), TRANSACTIONS);
    assert_eq!(network.totals()["revenue"], "50.00");
}

#[test]
fn opposite_statuses_at_once_leave_a_conversion_that_adds_up() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let target = |click: &str, status: &str| {
        format!("{}?click_id={click}&txn_id=1&status={status}", campaign.postback)
    };
    let clicks: Vec<String> = (0..50).map(|_| network.click(&campaign)).collect();
    for click in &clicks {
        network.sends(&target(click, "pending"), "recorded");
    }
    let of = |status: &str| clicks.iter().map(|click| target(click, status)).collect();
    let answers = at_once(network.server.address(), &[of("approved"), of("rejected")]);
    for (status, answer) in answers.iter().flatten() {
        assert!(matches!(status, 200 | 409), "{answer}");
    }
    let totals = network.totals();
    let count = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!(count("approved") + count("rejected"), 50, "{totals}");
    for click in &clicks {
        let id = network.conversions(click)[0]["id"].clone();
        let conversion = network.ask(&format!("/conversions/{id}"));
        let owed = conversion["status"] == "approved";
        let entries = conversion["entries"].as_array().unwrap();
        let last = entries.last().unwrap();
        assert_eq!(last["to"], conversion["status"]);
        assert_eq!(last["revenue"] == "2.50", owed, "{conversion}");
    }
    let cents = count("approved") * 250;
    assert_eq!(text(&totals["revenue"]), format!("{}.{:02}", cents / 100, cents % 100));
}

#[test]
fn query_form_and_json_give_the_same_verdict() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let path = &campaign.postback;
    for (query, verdict, reason) in [
        ("txn_id=a%201&status=approved&revenue=2.50&sub1=%E2%82%AC", "recorded", json!(null)),
        ("txn_id=a&status=zzz", "refused", json!("unknown_status")),
        ("txn_id=a&revenue=-1", "refused", json!("invalid_payload")),
        ("txn_id=%7Btxn_id%7D", "refused", json!("macro_not_replaced")),
        ("goal=refund", "refused", json!("unknown_goal")),
    ] {
        let mut told = Vec::new();
        for way in 0..4 {
            let click = network.click(&campaign);
            let pairs = format!("click_id={click}&{query}");
            let reply = match way {
                0 => network.client.get(format!("{path}?{pairs}")),
                1 => network.client.post_form(path, &pairs),
                2 => network.client.post_json(path, &object(&pairs)),
                _ => network.client.post_form(format!("{path}?click_id={click}"), query),
            };
            let answer = reply.json();
            told.push((reply.status, answer["verdict"].clone(), answer["parameter"].clone()));
            assert_eq!((text(&answer["verdict"]), &answer["reason"]), (verdict, &reason), "{way}");
            if verdict == "recorded" {
                let conversion = &network.conversions(&click)[0];
                assert_eq!(conversion["txn_id"], "a 1");
                assert_eq!(conversion["revenue"], "2.50");
            }
        }
        assert!(told.iter().all(|it| *it == told[0]), "{query}: {told:?}");
    }
}

#[test]
fn the_same_postback_is_a_duplicate_whichever_way_it_comes_again() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let pairs = format!("click_id={click}&txn_id=a&revenue=2.50");
    network.sends(&format!("{}?{pairs}", campaign.postback), "recorded");
    let global = network.ask("/postback-url")["url"].clone();
    let global = format!("/{}", text(&global).splitn(4, '/').nth(3).unwrap());
    let global = global.split('?').next().unwrap().to_owned();
    for path in [&campaign.postback, "/postback", &global] {
        for way in 0..3 {
            let reply = match way {
                0 => network.client.get(format!("{path}?{pairs}")),
                1 => network.client.post_form(path, &pairs),
                _ => network.client.post_json(path, &object(&pairs)),
            };
            assert_eq!(reply.json()["verdict"], "duplicate", "{path}: {}", reply.text());
        }
    }
    assert_eq!(network.totals()["conversions"], 1);
}

/// Pairs of a query as a JSON object.
fn object(query: &str) -> Value {
    let decoded = |value: &str| {
        let value = value.replace("%20", " ").replace("%7B", "{").replace("%7D", "}");
        value.replace("%E2%82%AC", "\u{20ac}")
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), json!(decoded(value)))).collect())
}
