//! Pushground, "What Are Postbacks And How To Set Them Up": a tracker in the middle carries the id
//! through, and whoever fires a postback is told 200, whatever came of it.

use crate::network::{Campaign, Network, parameter, text};
use serde_json::json;

fn start() -> (Network, Campaign) {
    let mut network = Network::start();
    let id = network.draft(
        "pushground",
        &json!({
            "landing_url": "http://tracker.example/go?your_parameter={click_id}&amount={payout}",
            "goals": [{ "key": "action", "default": true,
                "revenue": { "from": "postback" }, "payout": "3.00" }],
        }),
    );
    network.activate(id);
    let campaign = network.open(id);
    (network, campaign)
}

/// A visitor who is sent through the tracker: answers with the id that reaches the advertiser.
fn through_the_tracker(network: &mut Network, campaign: &Campaign) -> String {
    let to_the_tracker = network.visit(&campaign.token, "");
    let carried =
        parameter(&to_the_tracker, "your_parameter").expect("the tracker is given the id");
    // The tracker sends the visitor on, with what it was given.
    let to_the_advertiser = format!("http://advertiser.example/?sub={carried}&via=tracker");
    parameter(&to_the_advertiser, "sub").expect("the advertiser is given the id").to_owned()
}

#[test]
fn the_click_is_recorded_and_sent_on_with_its_id_and_the_payout() {
    let (mut network, campaign) = start();
    let location = network.visit(&campaign.token, "");
    let click = parameter(&location, "your_parameter").unwrap();
    assert_eq!(location, format!("http://tracker.example/go?your_parameter={click}&amount=3"));
    let shown = network.ask(&format!("/clicks/{click}"));
    assert_eq!((&shown["campaign_id"], &shown["is_live"]), (&json!(campaign.id), &json!(true)));
}

#[test]
fn a_postback_on_the_conversion_path_records_the_conversion_with_its_amount() {
    let (mut network, campaign) = start();
    let click = through_the_tracker(&mut network, &campaign);
    let reply = network.client.get(format!("/conversion?click_id={click}&amount=5"));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text(), "OK");
    let verdict = network.verdict(&reply);
    assert_eq!((text(&verdict["verdict"]), text(&verdict["status"])), ("recorded", "approved"));
    let totals = network.totals();
    assert_eq!((text(&totals["revenue"]), text(&totals["payout"])), ("5.00", "3.00"));
}

#[test]
fn the_answer_is_200_whatever_the_verdict_and_our_log_has_receipt_and_reason() {
    let (mut network, campaign) = start();
    let click = through_the_tracker(&mut network, &campaign);
    let good = format!("/conversion?click_id={click}&amount=5");
    for (target, verdict, reason, parameter) in [
        (good.replace("=5", "=-5"), "refused", json!("invalid_payload"), json!("amount")),
        (good.replace("=5", "={payout}"), "refused", json!("macro_not_replaced"), json!("amount")),
        (good.clone(), "recorded", json!(null), json!(null)),
        (good.clone(), "duplicate", json!("already_processed"), json!(null)),
        (good.replace("click_id", "cid"), "refused", json!("missing_parameter"), json!("click_id")),
        (
            good.replace(&click, "push_71872t38713891u12u0313"),
            "refused",
            json!("unknown_click"),
            json!("click_id"),
        ),
        ("/conversion".to_owned(), "refused", json!("missing_parameter"), json!("click_id")),
    ] {
        let reply = network.client.get(&target);
        assert_eq!((reply.status, reply.text()), (200, "OK".to_owned()), "{target}");
        let found = network.verdict(&reply);
        let told = (text(&found["verdict"]), &found["reason"], &found["parameter"]);
        assert_eq!(told, (verdict, &reason, &parameter), "{target}: {found}");
        assert_eq!(found["http_status"], 200);
        let hit = network.hit(&found);
        assert_eq!((&hit["reason"], text(&hit["url"])), (&reason, target.as_str()));
    }
    assert_eq!(network.totals()["conversions"], 1);
}

#[test]
fn an_acknowledged_postback_survives_a_restart() {
    let (mut network, campaign) = start();
    let clicks: Vec<String> =
        (0..20).map(|_| through_the_tracker(&mut network, &campaign)).collect();
    for click in &clicks {
        let reply = network.client.get(format!("/conversion?click_id={click}&amount=5"));
        assert_eq!(reply.status, 200);
    }
    network.restart();
    assert_eq!(network.totals()["conversions"], 20);
}

#[test]
fn a_click_has_one_conversion() {
    let (mut network, campaign) = start();
    let click = through_the_tracker(&mut network, &campaign);
    for amount in ["5", "5", "7.50"] {
        let reply = network.client.get(format!("/conversion?click_id={click}&amount={amount}"));
        assert_eq!(reply.status, 200);
    }
    let conversions = network.conversions(&click);
    assert_eq!(conversions.len(), 1);
    assert_eq!(conversions[0]["revenue"], "5.00", "the first amount stays");
}
