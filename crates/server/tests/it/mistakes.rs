//! What other systems of this kind were seen to do wrong, each as a test that it does not happen
//! here.

use crate::network::{Campaign, Network, parameter, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Amounts that are none.
const NO_AMOUNTS: [&str; 12] = [
    "1,50",
    "1e9",
    "NaN",
    "Infinity",
    "$5",
    "5USD",
    "0x10",
    "1.2.3",
    "--1",
    "five",
    "99999999999999999999",
    "1%2B1",
];

/// A campaign whose revenue is what postbacks say, of our own contract.
fn start() -> (Network, Campaign) {
    let mut network = Network::start();
    let from_postback = json!({ "from": "postback" });
    let goal =
        json!([{ "key": "sale", "default": true, "revenue": from_postback, "payout": "1.00" }]);
    let campaign = network.campaign_with("counterfoil", &json!({ "goals": goal }));
    (network, campaign)
}

/// A click, and the beginning of its postbacks.
fn begun(network: &mut Network, campaign: &Campaign) -> (String, String) {
    let click = network.click(campaign);
    let target = format!("{}?click_id={click}", campaign.postback);
    (click, target)
}

#[test]
fn twenty_postbacks_without_a_transaction_id_are_one_conversion() {
    let (mut network, campaign) = start();
    let (click, target) = begun(&mut network, &campaign);
    network.sends(&format!("{target}&revenue=1"), "recorded");
    for blank in ["", "&txn_id=", "&txn_id=%20"].into_iter().cycle().take(19) {
        network.sends(&format!("{target}&revenue=1{blank}"), "duplicate");
    }
    assert_eq!(network.conversions(&click).len(), 1);
    assert_eq!(network.totals()["revenue"], "1.00");
}

#[test]
fn a_negative_amount_is_refused_and_drives_no_revenue_down() {
    let (mut network, campaign) = start();
    let (_, target) = begun(&mut network, &campaign);
    for amount in ["-5", "-0.01", "%20-7"] {
        let told = (400, "invalid_payload", Some("revenue"));
        network.refuses(&format!("{target}&revenue={amount}"), told);
    }
    let told = (400, "invalid_payload", Some("sale_amount"));
    network.refuses(&format!("{target}&revenue=1&sale_amount=-5"), told);
    assert_eq!(network.totals()["revenue"], "0.00");
    assert_eq!(network.totals()["conversions"], 0);
}

#[test]
fn an_amount_that_does_not_read_is_refused_and_never_zero() {
    let (mut network, campaign) = start();
    let (_, target) = begun(&mut network, &campaign);
    for amount in NO_AMOUNTS {
        let told = (400, "invalid_payload", Some("revenue"));
        network.refuses(&format!("{target}&revenue={amount}"), told);
    }
    assert_eq!(network.totals()["conversions"], 0);
    // The sender's floating point shows; it is not held against the conversion.
    network.sends(&format!("{target}&revenue=0.30000000000000004"), "recorded");
    assert_eq!(network.totals()["revenue"], "0.30");
}

#[test]
fn a_macro_that_was_not_replaced_is_refused_where_it_matters_and_inherits_no_amount() {
    let (mut network, campaign) = start();
    let (click, target) = begun(&mut network, &campaign);
    network.sends(&format!("{target}&revenue=3&txn_id=1"), "recorded");
    for unreplaced in [
        "{payout}",
        "{{payout}}",
        "${PAYOUT}",
        "$%7BPAYOUT%7D",
        "[payout]",
        "[[payout]]",
        "<payout>",
        "%23%23payout%23%23",
        "%23payout%23",
        "%25payout%25",
        "__PAYOUT__",
        "REPLACE",
        "YOUR_PAYOUT_HERE",
    ] {
        let told = (400, "macro_not_replaced", Some("revenue"));
        network.refuses(&format!("{target}&txn_id=2&revenue={unreplaced}"), told);
        let told = (400, "macro_not_replaced", Some("txn_id"));
        network.refuses(&format!("{target}&revenue=1&txn_id={unreplaced}"), told);
    }
    let told = (400, "macro_not_replaced", Some("click_id"));
    network.refuses(&format!("{}?click_id={{click_id}}", campaign.postback), told);
    assert_eq!(network.conversions(&click).len(), 1);
    assert_eq!(network.totals()["revenue"], "3.00");
}

#[test]
fn a_macro_in_a_label_costs_no_conversion() {
    let (mut network, campaign) = start();
    let (_, target) = begun(&mut network, &campaign);
    let answer =
        network.sends(&format!("{target}&revenue=1&sub1={{sub1}}&geo=__GEO__"), "recorded");
    assert!(answer["flags"].to_string().contains("label_dropped"), "{answer}");
}

#[test]
fn click_ids_cannot_be_guessed_from_one_another() {
    let (mut network, campaign) = start();
    let clicks: Vec<String> = (0..50).map(|_| network.click(&campaign)).collect();
    assert_eq!(clicks.iter().collect::<BTreeSet<_>>().len(), clicks.len(), "no id is given twice");
    let target = |click: &str| format!("{}?click_id={click}&revenue=1", campaign.postback);
    for click in &clicks[..5] {
        for place in 0..click.len() {
            let old = click.as_bytes()[place];
            let new = if old == b'0' { '1' } else { '0' };
            let mut guess = click.clone();
            guess.replace_range(place..=place, new.encode_utf8(&mut [0; 4]));
            let reply = network.client.get(target(&guess));
            let answer = reply.json();
            let told = (reply.status, text(&answer["reason"]));
            assert_eq!(told, (404, "unknown_click"), "{guess} is not {click}");
        }
    }
    for number in 0..100 {
        let reply = network.client.get(target(&number.to_string()));
        assert_eq!(reply.status, 404, "{number}");
    }
    assert_eq!(network.totals()["conversions"], 0);
}

#[test]
fn an_accepted_postback_is_never_answered_with_nothing() {
    let (mut network, campaign) = start();
    let (_, target) = begun(&mut network, &campaign);
    for _ in 0..2 {
        let reply = network.client.get(format!("{target}&revenue=1"));
        let answer = reply.json();
        assert!(!text(&answer["receipt"]).is_empty());
        assert_eq!(reply.header("counterfoil-receipt"), answer["receipt"].as_str());
    }
}

#[test]
fn a_duplicate_is_answered_200_so_that_nobody_retries_for_ever() {
    let (mut network, campaign) = start();
    let (_, target) = begun(&mut network, &campaign);
    let first = network.sends(&format!("{target}&revenue=1&txn_id=a"), "recorded");
    let again = network.sends(&format!("{target}&revenue=1&txn_id=a"), "duplicate");
    assert_eq!((&again["retriable"], &again["original"]), (&json!(false), &first["receipt"]));
}

#[test]
fn the_same_transaction_with_a_new_status_is_an_update() {
    let (mut network, campaign) = start();
    let (click, target) = begun(&mut network, &campaign);
    let target = format!("{target}&revenue=2&txn_id=a");
    network.sends(&format!("{target}&status=pending"), "recorded");
    network.sends(&format!("{target}&status=approved"), "updated");
    network.sends(&format!("{target}&status=reversed"), "updated");
    let conversion = network.conversions(&click)[0].clone();
    let alone = network.ask(&format!("/conversions/{}", conversion["id"]));
    let steps: Vec<(&str, &str)> = alone["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (text(&entry["to"]), text(&entry["revenue"])))
        .collect();
    assert_eq!(steps, [("pending", "0.00"), ("approved", "2.00"), ("reversed", "-2.00")]);
    assert_eq!(network.totals()["revenue"], "0.00");
}

#[test]
fn an_unknown_status_is_refused_and_neither_kept_nor_taken_for_approved() {
    let (mut network, campaign) = start();
    let (click, target) = begun(&mut network, &campaign);
    for status in ["zzz", "approve", "1", "null", "approved,rejected"] {
        let told = (422, "unknown_status", Some("status"));
        network.refuses(&format!("{target}&revenue=1&status={status}"), told);
    }
    assert!(network.conversions(&click).is_empty());
}

#[test]
fn a_rejected_conversion_adds_no_money() {
    let (mut network, campaign) = start();
    let (_, target) = begun(&mut network, &campaign);
    network.sends(&format!("{target}&revenue=9&status=rejected"), "recorded");
    let totals = network.totals();
    assert_eq!((&totals["rejected"], &totals["approved"]), (&json!(1), &json!(0)));
    assert_eq!((text(&totals["revenue"]), text(&totals["payout"])), ("0.00", "0.00"));
}

#[test]
fn one_transaction_id_of_two_clicks_is_two_conversions() {
    let (mut network, campaign) = start();
    let other = network.campaign("counterfoil");
    for campaign in [&campaign, &campaign, &other] {
        let (_, target) = begun(&mut network, campaign);
        network.sends(&format!("{target}&revenue=1&txn_id=order-1"), "recorded");
    }
    assert_eq!(network.totals()["conversions"], 3);
}

#[test]
fn a_duplicate_with_another_amount_leaves_a_record_of_it() {
    let (mut network, campaign) = start();
    let (click, target) = begun(&mut network, &campaign);
    network.sends(&format!("{target}&revenue=1&txn_id=a"), "recorded");
    let second = network.client.get(format!("{target}&revenue=4&txn_id=a")).json();
    let hit = network.hit(&second);
    assert!(text(&hit["url"]).contains("revenue=4"), "the log has what was sent");
    assert_eq!(network.conversions(&click)[0]["revenue"], "1.00", "{second}");
}

#[test]
fn one_hot_click_takes_a_thousand_conversions_one_by_one() {
    let (mut network, campaign) = start();
    let (_, target) = begun(&mut network, &campaign);
    for number in 0..1_000 {
        network.sends(&format!("{target}&revenue=0.01&txn_id={number}"), "recorded");
    }
    network.sends(&format!("{target}&revenue=0.01&txn_id=0"), "duplicate");
    let totals = network.totals();
    assert_eq!((&totals["conversions"], text(&totals["revenue"])), (&json!(1_000), "10.00"));
}

#[test]
fn a_postback_right_after_its_redirect_finds_the_click() {
    let (mut network, campaign) = start();
    for number in 0..200 {
        let (click, target) = begun(&mut network, &campaign);
        let answer = network.sends(&format!("{target}&revenue=1&txn_id={number}"), "recorded");
        let flags = answer["flags"].to_string();
        assert!(!flags.contains("click_detail_missing"), "{click}: {flags}");
    }
}

#[test]
fn what_the_landing_url_says_is_from_this_click() {
    let (mut network, campaign) = start();
    for sub1 in ["a", "b", "c%20d", "%E2%82%AC"] {
        let location = network.visit(&campaign.token, &format!("sub1={sub1}"));
        assert_eq!(parameter(&location, "s"), Some(sub1), "{location}");
    }
}

#[test]
fn the_clicks_address_is_no_substitute_for_its_id() {
    let (mut network, campaign) = start();
    network.click(&campaign);
    for id in ["0", "", "subid"] {
        let reply = network.client.get(format!("{}?click_id={id}&revenue=1", campaign.postback));
        assert!(matches!(reply.status, 400 | 404), "{}", reply.text());
    }
    assert_eq!(network.totals()["conversions"], 0);
}

#[test]
fn an_empty_secret_opens_nothing() {
    let (mut network, campaign) = start();
    let path = format!("/integrations/{}", campaign.integration);
    for secret in ["", " "] {
        let body = json!({ "secrets": { "token": secret } });
        let reply = network.client.api("PATCH", &path, Some(&body));
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
    // Pasted with the end of its line.
    network.set_token(campaign.integration, " long-and-random\n");
    let (_, target) = begun(&mut network, &campaign);
    let told = (401, "signature_mismatch", Some("token"));
    for token in ["", "&token=", "&token=long-and-rando", "&token=LONG-AND-RANDOM"] {
        network.refuses(&format!("{target}&revenue=1{token}"), told);
    }
    network.sends(&format!("{target}&revenue=1&token=long-and-random"), "recorded");
}

#[test]
fn the_exact_token_is_asked_for_at_every_way_in() {
    let (mut network, campaign) = start();
    network.set_token(campaign.integration, "long-and-random");
    let (_, target) = begun(&mut network, &campaign);
    let query = target.split_once('?').unwrap().1.to_owned();
    for path in ["/postback", "/conversion"] {
        let reply = network.client.get(format!("{path}?{query}&revenue=1&amount=1"));
        let verdict = network.verdict(&reply);
        let told = (text(&verdict["verdict"]), verdict["reason"].clone());
        assert_eq!(told, ("refused", json!("signature_mismatch")), "{path}");
    }
    assert_eq!(network.totals()["conversions"], 0);
}

#[test]
fn a_campaign_without_an_offer_is_gone_and_answers_no_page_with_200() {
    let (mut network, campaign) = start();
    network.status(campaign.id, "paused");
    let reply = network.client.get(format!("/c/{}", campaign.token));
    assert_eq!((reply.status, reply.header("location")), (410, None));
    let reply = network.client.get("/c/nosuchlink");
    assert_eq!(reply.status, 404);
}

#[test]
fn resending_everything_changes_no_figure() {
    let (mut network, campaign) = start();
    let mut sent = Vec::new();
    for number in 0..10 {
        let (_, target) = begun(&mut network, &campaign);
        for status in ["pending", "approved"] {
            sent.push(format!("{target}&revenue=1.5&txn_id={number}&status={status}"));
        }
    }
    for target in &sent {
        network.client.get(target);
    }
    let figures = |network: &mut Network| -> Value {
        let mut totals = network.totals();
        totals.as_object_mut().unwrap().remove("hits");
        totals
    };
    let before = figures(&mut network);
    assert_eq!((&before["approved"], text(&before["revenue"])), (&json!(10), "15.00"));
    for target in sent.iter().rev().chain(&sent) {
        network.sends(target, "duplicate");
    }
    assert_eq!(figures(&mut network), before);
    network.restart();
    assert_eq!(figures(&mut network), before);
}

#[test]
fn an_error_says_nothing_about_our_insides() {
    let (mut network, _) = start();
    for target in
        ["/postback/%00%ff", "/receipts/%00", "/api/v1/clicks/%00", "/c/%ff%00", "/nowhere"]
    {
        let reply = network.client.get(target);
        assert!((400..500).contains(&reply.status), "{target}: {}", reply.status);
        let text = reply.text();
        for inside in ["panicked", "sqlite", "src/", ".rs:", "/tmp"] {
            assert!(!text.to_lowercase().contains(inside), "{target}: {text}");
        }
    }
}
