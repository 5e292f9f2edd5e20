//! Postbacks that name a transaction and no click, on the real program.

use crate::network::{Network, text};
use serde_json::{Value, json};

/// A reconciliation as the platform sends it.
const TAKES_BACK: &str = "status=reversed&ps_rstatus=33&oldStatus=21&supSid=s-1&supCpi=1.25";

fn status(network: &mut Network, click: &str) -> Value {
    let conversions = network.conversions(click);
    assert_eq!(conversions.len(), 1, "{conversions:?}");
    conversions[0]["status"].clone()
}

#[test]
fn a_reconciliation_that_names_no_visitor_finds_its_conversion() {
    let mut network = Network::start();
    let campaign = network.campaign("purespectrum");
    let other = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let takes_back = format!("{}?{TAKES_BACK}", campaign.postback);
    network.refuses(&takes_back, (404, "unknown_click", Some("supSid")));
    let complete = format!("{}?transactionId=s-1&memberId={click}&cpi=1.25", campaign.postback);
    network.sends(&complete, "recorded");

    let debugged = network.make("/debug", &json!({ "request": takes_back }));
    assert_eq!(
        (&debugged["verdict"], &debugged["conversion"]["status"], &debugged["click"]["click_id"]),
        (&json!("updated"), &json!("reversed"), &json!(click)),
        "{debugged}"
    );
    network.refuses(
        &format!("{}?{TAKES_BACK}", other.postback),
        (400, "missing_parameter", Some("click_id")),
    );
    assert_eq!(status(&mut network, &click), "approved");

    let answer = network.sends(&takes_back, "updated");
    assert_eq!(answer["status"], "reversed");
    let hit = network.hit(&answer);
    assert_eq!((&hit["click_id"], &hit["campaign_id"]), (&json!(click), &json!(campaign.id)));
    network.sends(&takes_back, "duplicate");
    let back = takes_back.replace("reversed", "approved").replace("33&oldStatus=21", "21");
    assert_eq!(network.sends(&back, "updated")["status"], "approved");
    assert_eq!(status(&mut network, &click), "approved");
    assert_eq!(network.hits(&format!("click_id={click}")).len(), 4, "with those that name none");
    let missing = format!("{}?transactionId=s-2&memberid={click}", campaign.postback);
    network.refuses(&missing, (400, "missing_parameter", Some("memberId")));

    network.restart();
    assert_eq!(status(&mut network, &click), "approved");
    network.sends(&takes_back, "duplicate");
}

#[test]
fn a_trial_and_a_replay_find_it_too() {
    let mut network = Network::start();
    let campaign = network.campaign("purespectrum");
    let click = network.click(&campaign);
    let complete = format!("{}?transactionId=s-1&memberId={click}&cpi=1.25", campaign.postback);
    network.sends(&complete, "recorded");
    network.sends(&format!("{}?{TAKES_BACK}", campaign.postback), "updated");
    let own = format!("/integrations/{}", campaign.integration);
    let mut contract = network.ask(&format!("{own}/contracts"))["items"][0]["contract"].clone();
    let same = network.make(&format!("{own}/try"), &json!({ "contract": contract }));
    assert_eq!((&same["hits"], &same["verdicts"]), (&json!(2), &json!([])), "{same}");
    let parameters = contract["parameters"].as_array_mut().unwrap();
    parameters.iter_mut().find(|one| one["canonical"] == "click_id").unwrap()["required"] =
        json!(true);
    let tried = network.make(&format!("{own}/try"), &json!({ "contract": contract }));
    let moved = &tried["verdicts"][0];
    assert_eq!(
        (text(&moved["was"]["verdict"]), text(&moved["would_be"]["reason"])),
        ("updated", "missing_parameter"),
        "{tried}"
    );
    assert_eq!(tried["conversions"], json!({ "added": 0, "lost": 0, "changed": 1 }));
}
