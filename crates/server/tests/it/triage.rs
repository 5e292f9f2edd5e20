//! What lacks its transaction id, from the postback to the repair, on the real program.

use crate::network::{Campaign, Network, text};
use serde_json::{Value, json};

/// A campaign whose contract requires a transaction id, and triages what lacks it.
fn start() -> (Network, Campaign) {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let path = format!("/integrations/{}/contracts", campaign.integration);
    let mut contract = network.ask(&path)["items"][0]["contract"].clone();
    let parameters = contract["parameters"].as_array_mut().unwrap();
    let txn_id = parameters.iter_mut().find(|one| one["canonical"] == "txn_id");
    txn_id.expect("the contract reads it")["required"] = true.into();
    contract["triage_until"] = "2199-01-01T00:00:00Z".into();
    let drafted = network.make(&path, &json!({ "contract": contract }));
    for role in drafted["sign_offs_missing"].as_array().unwrap() {
        let body = json!({ "role": role, "name": "Ada" });
        network.make(&format!("{path}/2/sign-off"), &body);
    }
    network.make(&format!("{path}/2/activate"), &json!({ "sunset_days": 0 }));
    (network, campaign)
}

fn listed(network: &mut Network) -> Vec<Value> {
    network.ask("/conversions?triage=true")["items"].as_array().unwrap().clone()
}

#[test]
fn what_lacks_its_transaction_id_is_listed_repaired_and_merged() {
    let (mut network, campaign) = start();
    let click = network.click(&campaign);
    let target = format!("{}?click_id={click}", campaign.postback);
    let first = network.sends(&format!("{target}&order_ref=A-17&note=hello"), "recorded");
    assert_eq!((text(&first["status"]), &first["flags"][1]), ("pending", &json!("txn_id_missing")));
    network.sends(&format!("{target}&note=hello&order_ref=A-17"), "duplicate");
    let second = network.sends(&format!("{target}&status=pending"), "recorded");
    let third = network.sends(&format!("{target}&txn_id=B-1"), "recorded");
    assert_eq!(network.totals()["revenue"], "2.50", "only what has an id is paid");
    let (one, two, three) = (&first["conversion"], &second["conversion"], &third["conversion"]);

    let list = listed(&mut network);
    assert_eq!((&list[0]["id"], &list[1]["id"], list.len()), (two, one, 2));
    let triage = json!({
        "sent_status": "approved", "until": "2199-01-01T00:00:00Z",
        "candidates": [{ "id": three, "txn_id": "B-1", "status": "approved" }],
        "likely_ids": [{ "name": "order_ref", "value": "A-17" }],
    });
    assert_eq!(list[1]["triage"], triage);
    assert_eq!(network.ask("/conversions?triage=false")["items"].as_array().unwrap().len(), 1);

    let approve = json!({ "to": "approved", "reason": "it looks good" });
    let status = format!("/conversions/{one}/status");
    let told = network.refused("POST", &status, Some(&approve), (409, "transition_not_allowed"));
    assert!(text(&told["detail"]).contains("transaction id is missing"), "{told}");
    let repair = |txn_id: &str| json!({ "txn_id": txn_id, "reason": "order_ref of the request" });
    let path = format!("/conversions/{one}/repair");
    let told = network.refused("POST", &path, Some(&repair("B-1")), (409, "already_exists"));
    assert!(text(&told["detail"]).contains(&format!("conversion {three}")), "{told}");
    let told = network.refused("POST", &path, Some(&repair("")), (400, "invalid_parameter"));
    assert_eq!(told["parameter"], "txn_id");

    let repaired = network.make(&path, &repair("A-17"));
    assert_eq!((text(&repaired["status"]), text(&repaired["txn_id"])), ("approved", "A-17"));
    assert!(repaired.get("triage").is_none(), "{repaired}");
    assert_eq!(repaired["entries"][1]["cause"]["reason"], "order_ref of the request");
    assert_eq!(network.totals()["revenue"], "5.00");
    network.sends(&format!("{target}&order_ref=A-17&note=hello"), "duplicate");
    network.sends(&format!("{target}&txn_id=A-17"), "duplicate");

    let merge = json!({ "into": three, "reason": "sent twice" });
    let merged = network.make(&format!("/conversions/{two}/merge"), &merge);
    assert_eq!((text(&merged["status"]), &merged["merged_into"]), ("rejected", three));
    assert_eq!(network.ask(&format!("/conversions/{three}"))["merged"], json!([two]));
    let told = network.refused(
        "POST",
        &format!("/conversions/{two}/merge"),
        Some(&merge),
        (409, "not_in_triage"),
    );
    assert!(text(&told["detail"]).contains(&format!("conversion {two}")), "{told}");
    assert_eq!(listed(&mut network), Vec::<Value>::new());
    assert_eq!(network.totals()["revenue"], "5.00");

    network.restart();
    network.sends(&format!("{target}&status=pending"), "duplicate");
    network.sends(&format!("{target}&order_ref=A-17&note=hello"), "duplicate");
}

#[test]
fn a_secret_under_an_unread_name_is_no_likely_id() {
    let (mut network, campaign) = start();
    let click = network.click(&campaign);
    let target = format!("{}?click_id={click}", campaign.postback);
    network.sends(&format!("{target}&tokn=abc123&Token=abc124&lead=L-9"), "recorded");
    let likely = listed(&mut network)[0]["triage"]["likely_ids"].clone();
    assert_eq!(likely, json!([{ "name": "lead", "value": "L-9" }]));
}
