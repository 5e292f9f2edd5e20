//! What the debugger says of a request is what the server makes of it when it comes.

use crate::network::{Campaign, Network, text};
use crate::server::Server;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const SECRET: &str = "s3cret";

/// A campaign whose sender signs the URL that it calls.
fn signed(network: &mut Network) -> (Campaign, String) {
    let campaign = network.campaign("counterfoil");
    let own = format!("/integrations/{}", campaign.integration);
    let mut contract = network.ask(&format!("{own}/contracts"))["items"][0]["contract"].clone();
    contract["verification"] = json!({
        "signature": { "algorithm": "sha256", "secret": "after", "input": { "kind": "url" } }
    });
    let parameters = contract["parameters"].as_array_mut().unwrap();
    parameters.retain(|one| !["signature", "token"].contains(&text(&one["canonical"])));
    parameters.push(json!({ "canonical": "signature", "names": ["hash"] }));
    let drafted = network.make(&format!("{own}/contracts"), &json!({ "contract": contract }));
    let version = format!("{own}/contracts/{}", drafted["number"]);
    for role in ["operations", "engineering", "finance"] {
        network.make(&format!("{version}/sign-off"), &json!({ "role": role, "name": "Ada" }));
    }
    network.make(&format!("{version}/activate"), &json!({}));
    let body = json!({ "secrets": { "signature": SECRET } });
    network.change("PATCH", &own, &body);
    let click = network.click(&campaign);
    (campaign, click)
}

/// The target, with the signature of whoever calls it at that address.
fn sign(address: &str, target: &str) -> String {
    let digest = Sha256::digest(format!("{address}{target}{SECRET}"));
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{target}&hash={hash}")
}

fn debug(network: &mut Network, request: &str) -> Value {
    network.make("/debug", &json!({ "request": request }))
}

#[test]
fn a_signed_url_is_checked_with_the_address_that_the_server_knows() {
    let settings = [("COUNTERFOIL_EXTERNAL_URL", "https://known.example")];
    let mut network = Network::on(Server::start_with(&settings));
    let (campaign, click) = signed(&mut network);
    let target = |txn: &str| format!("{}?click_id={click}&txn_id={txn}", campaign.postback);
    let good = sign("https://known.example", &target("good"));
    let bad = sign("http://other.example", &target("bad"));
    for (request, verdict, is_noted) in [
        (format!("https://known.example{good}"), "recorded", false),
        (format!("http://other.example{good}"), "recorded", true),
        (good.clone(), "recorded", false),
        (format!("GET {good} HTTP/1.1\r\nHost: other.example\r\n\r\n"), "recorded", false),
        (format!("http://other.example{bad}"), "refused", true),
    ] {
        let told = debug(&mut network, &request);
        assert_eq!(text(&told["verdict"]), verdict, "{request}: {told}");
        assert_eq!(text(&told["called_as"]), "https://known.example");
        assert_eq!(told["note"].is_string(), is_noted, "{request}: {told}");
    }
    network.sends(&good, "recorded");
    network.refuses(&bad, (401, "signature_mismatch", Some("hash")));
}

#[test]
fn without_a_known_address_it_is_the_one_of_the_request() {
    let mut network = Network::start();
    let (campaign, click) = signed(&mut network);
    let host = network.server.address().to_string();
    let target = format!("{}?click_id={click}&txn_id=a", campaign.postback);
    let plain = sign(&format!("http://{host}"), &target);
    let raw = format!("GET {plain} HTTP/1.1\nHost: {host}\n\n");
    for request in [format!("http://{host}{plain}"), raw] {
        let told = debug(&mut network, &request);
        assert_eq!((text(&told["verdict"]), &told["note"]), ("recorded", &Value::Null), "{told}");
    }
    let secure = format!("https://{host}{}", sign(&format!("https://{host}"), &target));
    let told = debug(&mut network, &secure);
    assert_eq!(text(&told["reason"]), "signature_mismatch", "{told}");
    assert!(text(&told["note"]).contains("set it to `https://"), "{told}");
    assert!(text(&debug(&mut network, &plain)["note"]).contains("no host"));
    network.sends(&plain, "recorded");
}

#[test]
fn a_path_is_taken_for_what_it_is_when_it_is_called() {
    let mut network = Network::start();
    network.make("/integrations", &json!({ "level": "global", "partner": "keitaro" }));
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    for path in ["/c", "/receipts", "/contracts", "/api/v1", "/k3y"] {
        let target = format!("{path}/postback?subid={click}");
        let told = debug(&mut network, &target);
        let is_read = path == "/k3y";
        assert_eq!(text(&told["route"]), if is_read { "foreign_key" } else { "none" }, "{told}");
        assert_eq!(told["verdict"].is_null(), !is_read, "{told}");
        let reply = network.client.get(&target);
        assert_eq!(reply.header("counterfoil-receipt").is_some(), is_read, "{}", reply.text());
        assert_eq!(told["http_status"].is_null(), !is_read, "{told}");
        if !is_read {
            assert_eq!(told["read"]["unread"], json!(["subid"]), "{told}");
            assert_eq!(told["read"]["foreign_key"], json!(false), "{told}");
        }
    }
}
