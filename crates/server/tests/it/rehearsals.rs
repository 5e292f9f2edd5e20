//! A contract tried on what was sent, refused hits decided again, and a request debugged, on the
//! real program.

use crate::client::Client;
use crate::network::{Campaign, Network, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Orders that a sender told of under a name that its contract does not know.
const ORDERS: [&str; 3] = ["a", "b", "c"];

/// A campaign whose sender says `clickid` where the contract wants `click_id`.
fn misunderstood() -> (Network, Campaign, String) {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    for order in ORDERS {
        let target = format!("{}?clickid={click}&txn_id={order}", campaign.postback);
        network.refuses(&target, (400, "missing_parameter", Some("click_id")));
    }
    let target = format!("{}?click_id={click}&txn_id=known", campaign.postback);
    network.sends(&target, "recorded");
    (network, campaign, click)
}

/// The contract in force, taking the click id under that name too.
fn understanding(network: &mut Network, campaign: &Campaign) -> Value {
    let all = network.ask(&format!("/integrations/{}/contracts", campaign.integration));
    let mut contract = all["items"][0]["contract"].clone();
    let parameters = contract["parameters"].as_array_mut().unwrap();
    let one = parameters.iter_mut().find(|one| one["canonical"] == "click_id").unwrap();
    one["names"] = json!(["click_id", "clickid"]);
    contract
}

fn conversions(network: &mut Network) -> usize {
    network.ask("/conversions")["items"].as_array().unwrap().len()
}

#[test]
fn a_draft_is_tried_and_then_what_was_refused_is_replayed_once() {
    let (mut network, campaign, _) = misunderstood();
    let own = format!("/integrations/{}", campaign.integration);
    let contract = understanding(&mut network, &campaign);
    let tried = network.make(&format!("{own}/try"), &json!({ "contract": contract }));
    assert_eq!((&tried["hits"], &tried["complete"]), (&json!(4), &json!(true)), "{tried}");
    let moved = json!([{
        "was": { "verdict": "refused", "reason": "missing_parameter" },
        "would_be": { "verdict": "recorded", "reason": null },
        "hits": 3,
    }]);
    assert_eq!(tried["verdicts"], moved);
    assert_eq!(tried["conversions"], json!({ "added": 3, "lost": 0, "changed": 0 }));
    let money = &tried["money"][0];
    assert_eq!((text(&money["revenue"]), text(&money["currency"])), ("0.00", "USD"), "{tried}");
    assert_ne!(money["revenue_would_be"], "0.00");
    assert_eq!(tried["changed_hits"].as_array().unwrap().len(), 3);
    assert_eq!(conversions(&mut network), 1, "nothing was touched");

    let drafted = network.make(&format!("{own}/contracts"), &json!({ "contract": contract }));
    let version = format!("{own}/contracts/{}", drafted["number"]);
    let again = network.make(&format!("{version}/try"), &json!({ "days": 1 }));
    assert_eq!(again["conversions"], tried["conversions"]);
    for role in ["operations", "engineering"] {
        network.make(&format!("{version}/sign-off"), &json!({ "role": role, "name": "Ada" }));
    }
    let replay = format!("{own}/replay");
    let early = network.make(&replay, &json!({ "preview": true }));
    assert_eq!(early["found"], 0, "the draft is not in force");
    network.make(&format!("{version}/activate"), &json!({}));
    let preview = network.make(&replay, &json!({ "preview": true }));
    assert_eq!((&preview["found"], &preview["left"]), (&json!(3), &json!(3)));
    assert_eq!(preview["changes"]["conversions"]["added"], 3);
    assert_eq!(conversions(&mut network), 1);

    let key = [("Idempotency-Key", "once")];
    let replayed = network.client.api_with("POST", &replay, &key, Some(&json!({}))).json();
    assert_eq!((&replayed["found"], &replayed["left"]), (&json!(3), &json!(0)), "{replayed}");
    assert!(replayed["changes"].is_null(), "a preview tells what it would change");
    let again = network.client.api_with("POST", &replay, &key, Some(&json!({}))).json();
    assert_eq!(again, replayed, "it is answered as before");
    let other = network.client.api_with("POST", &replay, &key, Some(&json!({ "days": 3 })));
    assert_eq!((other.status, text(&other.json()["code"])), (409, "idempotency_key_reused"));
    let hits = replayed["replayed"].as_array().unwrap();
    assert!(hits.iter().all(|hit| hit["verdict"] == "recorded"), "{replayed}");
    assert_eq!(conversions(&mut network), 4);
    let receipt = text(&hits[0]["receipt"]);
    let told = network.ask(&format!("/hits?receipt={receipt}"));
    let id = &told["items"][0]["conversion"];
    let conversion = network.ask(&format!("/conversions/{id}"));
    assert_eq!(conversion["status"], "approved");
    let cause = &conversion["entries"][0]["cause"];
    assert_eq!((text(&cause["actor"]), text(&cause["reason"])), ("admin", "replay"));
    let by = format!("{}.2", campaign.integration);
    assert_eq!(text(&conversion["trace"]["contract"]), by, "as it was read in the end");
    let after = network.make(&replay, &json!({}));
    assert_eq!((&after["found"], conversions(&mut network)), (&json!(0), 4), "it counts once");
}

#[test]
fn what_a_shadow_would_refuse_is_counted_and_counts() {
    let (mut network, campaign, click) = misunderstood();
    let own = format!("/integrations/{}", campaign.integration);
    let mut contract = network.ask(&format!("{own}/contracts"))["items"][0]["contract"].clone();
    contract["verification"]["shadow"] = json!(["token"]);
    network.set_token(campaign.integration, "s3cret");
    let drafted = network.make(&format!("{own}/contracts"), &json!({ "contract": contract }));
    let version = format!("{own}/contracts/{}", drafted["number"]);
    for role in ["operations", "engineering"] {
        network.make(&format!("{version}/sign-off"), &json!({ "role": role, "name": "Ada" }));
    }
    network.make(&format!("{version}/activate"), &json!({}));
    for (txn, token) in [("1", "&token=s3cret"), ("2", "&token=wrong"), ("3", ""), ("4", "")] {
        let target = format!("{}?click_id={click}&txn_id={txn}{token}", campaign.postback);
        network.sends(&target, "recorded");
    }
    let shadow = network.ask(&format!("{own}/shadow"));
    assert_eq!(
        (&shadow["shadow"], &shadow["complete"]),
        (&json!(["token"]), &json!(true)),
        "{shadow}"
    );
    assert_eq!((&shadow["hits"], &shadow["would_be_refused"]), (&json!(8), &json!(3)), "{shadow}");
    let causes: Vec<_> =
        shadow["causes"].as_array().unwrap().iter().map(|one| &one["hits"]).collect();
    assert_eq!(causes, [2, 1]);
    let path = format!("/hits?flag=shadow_refused&integration_id={}", campaign.integration);
    assert_eq!(network.ask(&path)["items"].as_array().unwrap().len(), 3);
    assert_eq!(network.ask("/hits?flag=shadow_refused&integration_id=99")["items"], json!([]));
}

#[test]
fn a_network_may_wait_for_proof_or_ask_for_it() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let sends = |txn: u32| format!("{}?click_id={click}&txn_id={txn}", campaign.postback);
    assert_eq!(network.ask("/settings"), json!({ "unverified": "allow" }));
    assert_eq!(network.sends(&sends(1), "recorded")["status"], "approved");
    let set = |network: &mut Network, unverified: &str| {
        network.change("PUT", "/settings", &json!({ "unverified": unverified }));
    };
    set(&mut network, "pending");
    assert_eq!(network.sends(&sends(2), "recorded")["status"], "pending");
    set(&mut network, "refuse");
    network.refuses(&sends(3), (401, "signature_mismatch", None));
    network.set_token(campaign.integration, "s3cret");
    let proven = format!("{}&token=s3cret", sends(2));
    assert_eq!(network.sends(&proven, "updated")["status"], "approved");
    let body = json!({ "unverified": "maybe" });
    network.refused("PUT", "/settings", Some(&body), (400, "invalid_parameter"));
}

#[test]
fn a_request_is_debugged_and_nothing_is_recorded() {
    let (mut network, campaign, click) = misunderstood();
    let hits = network.ask("/hits")["items"].as_array().unwrap().len();
    let mut debug = |request: String| network.make("/debug", &json!({ "request": request }));
    let url = |query: &str| format!("https://t.example{}?{query}", campaign.postback);
    let wrong = debug(url(&format!("clickid={click}&status=sold")));
    assert_eq!((text(&wrong["verdict"]), text(&wrong["reason"])), ("refused", "missing_parameter"));
    assert_eq!((text(&wrong["parameter"]), text(&wrong["nearest"])), ("click_id", "clickid"));
    assert_eq!((&wrong["missing"], &wrong["http_status"]), (&json!(["click_id"]), &json!(400)));
    assert_eq!(wrong["read"]["unread"], json!(["clickid"]));
    let known = debug(url(&format!("click_id={click}&txn_id=known")));
    assert_eq!(text(&known["reason"]), "already_processed");
    let there = &network.ask("/conversions")["items"][0];
    for key in ["id", "txn_id", "status", "revenue"] {
        assert_eq!(known["conversion"][key], there[key], "{known}");
    }
    let receipt = text(&known["original"]);
    assert_eq!(network.ask(&format!("/hits?receipt={receipt}"))["items"][0]["verdict"], "recorded");
    let keys: Vec<_> = known["read"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["contract", "foreign_key", "foreign_name", "parameters", "unread"]);
    let mut debug = |request: String| network.make("/debug", &json!({ "request": request }));
    let new = debug(format!(
        "POST {} HTTP/1.1\nHost: t.example\nContent-Type: application/json\n\n\
         {{\"click_id\":\"{click}\",\"txn_id\":\"new\",\"status\":\"pending\"}}",
        campaign.postback
    ));
    assert_eq!((text(&new["verdict"]), text(&new["route"])), ("recorded", "key"), "{new}");
    assert_eq!((&new["conversion"]["id"], text(&new["partner"])), (&Value::Null, "counterfoil"));
    assert_eq!(text(&new["conversion"]["status"]), "pending");
    assert_eq!(text(&new["click"]["click_id"]), click);
    let nowhere = debug("https://t.example/favicon.ico?click_id=1".to_owned());
    assert_eq!((text(&nowhere["route"]), &nowhere["http_status"]), ("none", &json!(404)));
    assert_eq!(nowhere["verdict"], Value::Null);
    let wall = network.make("/integrations", &json!({ "level": "global", "partner": "adscend" }));
    let target = format!("{}?sub1={click}", text(&wall["postback_url"]).split('?').next().unwrap());
    let mut from = |address: &Value| {
        network.make("/debug", &json!({ "request": target, "remote_ip": address }))
    };
    let anywhere = from(&Value::Null);
    assert_eq!(text(&anywhere["reason"]), "source_not_allowed");
    let detail = text(&anywhere["detail"]);
    assert!(detail.contains("54.204.57.82/32") && detail.contains("`remote_ip`"), "{detail}");
    let outside = from(&json!("192.0.2.1"));
    assert!(!text(&outside["detail"]).contains("remote_ip"), "{outside}");
    assert_ne!(text(&from(&json!("54.204.57.82"))["reason"]), "source_not_allowed");
    for body in [json!({ "request": "hello" }), json!({ "request": "/p", "remote_ip": "x" })] {
        network.refused("POST", "/debug", Some(&body), (400, "invalid_parameter"));
    }
    assert_eq!(network.ask("/hits")["items"].as_array().unwrap().len(), hits);
    assert_eq!(conversions(&mut network), 1);
}

/// Puts `contract` in force for the campaign, signed by all.
fn agree(network: &mut Network, campaign: &Campaign, contract: &Value) {
    let own = format!("/integrations/{}", campaign.integration);
    let drafted = network.make(&format!("{own}/contracts"), &json!({ "contract": contract }));
    let version = format!("{own}/contracts/{}", drafted["number"]);
    for role in ["operations", "engineering", "finance"] {
        network.make(&format!("{version}/sign-off"), &json!({ "role": role, "name": "Ada" }));
    }
    network.make(&format!("{version}/activate"), &json!({}));
}

#[test]
fn a_replay_leaves_what_was_overtaken() {
    let (mut network, campaign, click) = misunderstood();
    for said in ["txn_id=a&status=pending", "txn_id=a&status=approved", "txn_id=a&status=reversed"]
    {
        let target = format!("{}?click_id={click}&{said}", campaign.postback);
        network.sends(&target, if said.ends_with("pending") { "recorded" } else { "updated" });
    }
    let contract = understanding(&mut network, &campaign);
    agree(&mut network, &campaign, &contract);
    let replay = format!("/integrations/{}/replay", campaign.integration);
    let preview = network.make(&replay, &json!({ "preview": true }));
    assert_eq!((&preview["found"], &preview["overtaken"]), (&json!(2), &json!(1)), "{preview}");
    assert_eq!(preview["changes"]["conversions"], json!({ "added": 2, "lost": 0, "changed": 0 }));
    let replayed = network.make(&replay, &json!({}));
    assert_eq!(replayed["replayed"].as_array().unwrap().len(), 2, "{replayed}");
    let all = network.ask("/conversions?txn_id=a");
    assert_eq!(text(&all["items"][0]["status"]), "reversed", "{all}");
    let after = network.make(&replay, &json!({ "preview": true }));
    assert_eq!((&after["found"], &after["overtaken"]), (&json!(0), &json!(1)), "{after}");
}

#[test]
fn another_identity_pays_nothing_twice() {
    let (mut network, campaign, click) = misunderstood();
    let known = format!("{}?click_id={click}&txn_id=known", campaign.postback);
    let mut contract = understanding(&mut network, &campaign);
    contract["identity"] = json!("click_goal");
    agree(&mut network, &campaign, &contract);
    network.sends(&known, "duplicate");
    let replay = format!("/integrations/{}/replay", campaign.integration);
    let preview = network.make(&replay, &json!({ "preview": true }));
    assert_eq!(preview["changes"]["conversions"]["added"], 3, "{preview}");
    let replayed = network.make(&replay, &json!({}));
    let verdicts = replayed["replayed"].as_array().unwrap().iter();
    assert!(verdicts.clone().all(|one| one["verdict"] == "recorded"), "{replayed}");
    assert_eq!((verdicts.len(), conversions(&mut network)), (3, 4), "as agreed for the click");
    let new = network.click(&campaign);
    for (order, verdict) in [("1", "recorded"), ("2", "duplicate")] {
        network.sends(&format!("{}?click_id={new}&txn_id={order}", campaign.postback), verdict);
    }
}

/// All conversions, by their transaction ids: status and what is paid.
fn standing(network: &mut Network) -> BTreeMap<String, [String; 3]> {
    let all = network.ask("/conversions");
    let one = |one: &Value| {
        let told = ["status", "revenue", "payout"].map(|field| text(&one[field]).to_owned());
        (text(&one["txn_id"]).to_owned(), told)
    };
    all["items"].as_array().unwrap().iter().map(one).collect()
}

/// What was recorded under the words of then keeps what it was, whatever they mean now.
#[test]
fn a_preview_tells_what_the_replay_then_does() {
    let (mut network, campaign, click) = misunderstood();
    let goals = ["pending", "approved"].map(|status| format!("txn_id={status}&status={status}"));
    for said in &goals {
        network.sends(&format!("{}?click_id={click}&{said}", campaign.postback), "recorded");
    }
    let decline = format!("{}?clickid={click}&txn_id=pending&status=approved", campaign.postback);
    network.refuses(&decline, (400, "missing_parameter", Some("click_id")));
    let mut contract = understanding(&mut network, &campaign);
    contract["statuses"]["values"] = json!({ "pending": ["approved"], "rejected": ["pending"] });
    contract["statuses"]["absent"] = json!("pending");
    agree(&mut network, &campaign, &contract);
    let before = standing(&mut network);
    let replay = format!("/integrations/{}/replay", campaign.integration);
    let preview = network.make(&replay, &json!({ "preview": true }));
    assert_eq!(standing(&mut network), before, "nothing was touched");
    let replayed = network.make(&replay, &json!({}));
    let after = standing(&mut network);

    assert_eq!(preview["found"], replayed["found"], "{preview} {replayed}");
    let mut foretold = before.clone();
    for change in preview["changes"]["changed_conversions"].as_array().unwrap() {
        let would = &change["would_be"];
        let told = ["status", "revenue", "payout"].map(|field| text(&would[field]).to_owned());
        foretold.insert(text(&would["txn_id"]).to_owned(), told);
    }
    assert_eq!(foretold, after, "{preview}");
    let count = |is_new: bool| {
        let changed = after.iter().filter(|(txn, one)| before.get(*txn) != Some(*one));
        json!(changed.filter(|(txn, _)| before.contains_key(*txn) != is_new).count())
    };
    let counts = &preview["changes"]["conversions"];
    assert_eq!((&counts["added"], &counts["changed"]), (&count(true), &count(false)), "{preview}");
    assert_eq!(counts["added"], 3, "{preview}");
    let would: Vec<_> = preview["changes"]["changed_hits"].as_array().unwrap().iter().collect();
    for (would, is) in would.iter().zip(replayed["replayed"].as_array().unwrap()) {
        assert_eq!(would["receipt"], is["receipt"]);
        assert_eq!(would["would_be"]["verdict"], is["verdict"]);
    }
}

#[test]
fn a_trial_foretells_what_is_retired() {
    let (mut network, campaign, click) = misunderstood();
    let mut contract = understanding(&mut network, &campaign);
    let parameters = contract["parameters"].as_array_mut().unwrap();
    let one = parameters.iter_mut().find(|one| one["canonical"] == "click_id").unwrap();
    one["names"] = json!(["cid"]);
    let own = format!("/integrations/{}", campaign.integration);
    let recorded = |tried: &Value| {
        let moves = tried["verdicts"].as_array().unwrap().clone();
        let mut moves = moves.into_iter().filter(|one| one["was"]["verdict"] == "recorded");
        moves.next().map(|one| one["would_be"]["reason"].clone())
    };
    for (with_sunset, reason) in [(false, Some(json!("contract_retired"))), (true, None)] {
        let body = json!({ "contract": contract, "with_sunset": with_sunset });
        let tried = network.make(&format!("{own}/try"), &body);
        assert_eq!(recorded(&tried), reason, "{tried}");
    }
    agree(&mut network, &campaign, &contract);
    network.make(&format!("{own}/contracts/1/retire"), &json!({}));
    let target = format!("{}?click_id={click}&txn_id=late", campaign.postback);
    let late = network.refuses(&target, (410, "contract_retired", Some("click_id")));
    let tried = network.make(&format!("{own}/contracts/2/try"), &json!({}));
    assert_eq!(recorded(&tried), Some(json!("contract_retired")), "{tried}");
    let mut changed = tried["changed_hits"].as_array().unwrap().iter();
    assert!(!changed.any(|one| one["receipt"] == late["receipt"]), "{tried}");
}

/// Many at once have their turn, one after the other.
#[test]
fn several_who_try_at_once_are_all_answered() {
    let (mut network, campaign, _) = misunderstood();
    let contract = understanding(&mut network, &campaign);
    let address = network.server.address();
    let path = format!("/integrations/{}/try", campaign.integration);
    let body = json!({ "contract": contract });
    let answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let ask = || {
            let reply = Client::new(address).api("POST", &path, Some(&body));
            (reply.status, reply.json()["conversions"].clone())
        };
        let all: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let expected = json!({ "added": 3, "lost": 0, "changed": 0 });
    assert!(answers.iter().all(|one| *one == (200, expected.clone())), "{answers:?}");
}
