//! A destination is tried out: one request now, by which nothing changes.

use crate::network::{Network, text};
use crate::receiver::Receiver;
use crate::server::{ADMIN_KEY, PROGRAM, Server};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::process::Command;
use std::sync::mpsc;

/// The receivers of the tests are on this machine.
const ALLOWED: (&str, &str) = ("COUNTERFOIL_OUTBOUND_ALLOW", r#"["127.0.0.1/32"]"#);
/// How many may be tried out at once.
const AT_ONCE: usize = 8;

fn network() -> Network {
    Network::on(Server::start_with(&[ALLOWED]))
}

/// A publisher's destination.
fn destination(network: &mut Network, url: &str, fields: &Value) -> u64 {
    let mut body = fields.clone();
    body["publisher_id"] = network.publisher.into();
    body["url"] = url.into();
    network.created("/destinations", &body)
}

fn path(destination: u64) -> String {
    format!("/destinations/{destination}/test")
}

#[test]
fn a_made_up_conversion_is_told_signed_and_leaves_nothing_behind() {
    let mut network = network();
    let receiver = Receiver::start();
    let url =
        receiver.url("/p?c={external_id}&t={txn_id}&p={payout}&k={account.key}&s={signature}");
    let input = json!({ "kind": "fields", "fields": ["c", "t", "p", "{secret}"] });
    let fields = json!({
        "secret": "agreed", "scheme": { "algorithm": "sha256", "input": input },
        "secrets": { "key": "hidden" }, "headers": { "x-key": "{account.key}" },
        "method": "POST", "content_type": "application/json",
        "body": r#"{{"key":"{account.key}","sum":{payout}}}"#,
    });
    let id = destination(&mut network, &url, &fields);
    let before = network.ask(&format!("/destinations/{id}"));
    receiver.says(200, "OK hidden");
    let tried = network.make(&path(id), &json!({}));
    let told = receiver.hears(1).remove(0);
    let (c, rest) = told.target.strip_prefix("/p?c=").unwrap().split_once("&t=").unwrap();
    let (t, _) = rest.split_once('&').unwrap();
    assert!(c.starts_with("test-") && t.starts_with("test-"), "{told:?}");
    let signature = Sha256::digest(format!("{c}{t}1agreed"));
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(told.target.ends_with(&format!("&p=1&k=hidden&s={signature}")), "{told:?}");
    assert_eq!(
        (told.header("x-key"), told.body.as_str()),
        ("hidden", r#"{"key":"hidden","sum":1}"#)
    );
    assert!(told.key().starts_with("test-"), "{told:?}");
    let shown = receiver.url(&told.target.replace("hidden", "***"));
    assert_eq!((&tried["method"], &tried["url"]), (&json!("POST"), &json!(shown)));
    assert_eq!(tried["body"], r#"{"key":"***","sum":1}"#);
    let headers = &tried["headers"];
    assert_eq!(
        (&headers["x-key"], &headers["content-type"]),
        (&json!("***"), &json!("application/json"))
    );
    assert_eq!(headers["idempotency-key"], told.key());
    assert_eq!(headers["host"], told.header("host"));
    assert_eq!(headers["user-agent"], told.header("user-agent"));
    assert_eq!((&tried["http_status"], &tried["answer"]), (&json!(200), &json!("OK ***")));
    assert_eq!((&tried["led_to"], &tried["error"]), (&json!("delivered"), &json!(null)));
    assert!(tried["latency_ms"].is_u64() && tried["conversion_id"].is_null(), "{tried}");
    assert_eq!(network.ask(&format!("/destinations/{id}")), before);
    assert_eq!(network.ask("/deliveries")["items"], json!([]));
    assert!(!network.server.log().contains("hidden"));
}

#[test]
fn a_preview_shows_the_same_and_sends_nothing() {
    let mut network = network();
    let receiver = Receiver::start();
    let id = destination(&mut network, &receiver.url("/p?c={external_id}"), &json!({}));
    let tried = network.make(&path(id), &json!({ "preview": true }));
    assert_eq!(tried["preview"], true);
    assert!(text(&tried["url"]).starts_with(&receiver.url("/p?c=test-")), "{tried}");
    assert!(text(&tried["headers"]["idempotency-key"]).starts_with("test-"), "{tried}");
    for name in ["http_status", "answer", "latency_ms", "error", "led_to", "body"] {
        assert_eq!(tried[name], json!(null), "{name}");
    }
    assert_eq!(receiver.told(), []);
}

#[test]
fn an_answer_says_what_it_would_lead_to() {
    let mut network = network();
    let receiver = Receiver::start();
    let fields = json!({ "failure": [{ "body": "unknown" }] });
    let id = destination(&mut network, &receiver.url("/?c={external_id}"), &fields);
    for (status, body, led_to) in [
        (200, "OK", "delivered"),
        (200, "unknown click", "rejected"),
        (404, "", "rejected"),
        (410, "", "rejected"),
        (302, "", "rejected"),
        (503, "", "again"),
    ] {
        receiver.says(status, body);
        let tried = network.make(&path(id), &json!({}));
        assert_eq!((&tried["http_status"], &tried["led_to"]), (&json!(status), &json!(led_to)));
    }
    receiver.answers(|_, _| None);
    let tried = network.make(&path(id), &json!({}));
    assert_eq!((&tried["http_status"], &tried["led_to"]), (&json!(null), &json!("again")));
    assert!(text(&tried["error"]).contains("no answer"), "{tried}");
    let condition = network.ask(&format!("/destinations/{id}"))["condition"].clone();
    let none = json!({ "attempts": 0, "good": 0 });
    let nothing = json!({
        "failures": 0, "last_good_at": null, "pause": null, "hour": none, "day": none,
    });
    assert_eq!(condition, nothing);
    let private = destination(&mut network, "http://10.0.0.1/?c={external_id}", &json!({}));
    let tried = network.make(&path(private), &json!({}));
    assert!(text(&tried["error"]).contains("outbound_allow"), "{tried}");
}

#[test]
fn a_conversion_is_told_as_it_stands_to_whom_it_may_be_told() {
    let mut network = network();
    let campaign = network.campaign("counterfoil");
    let receiver = Receiver::start();
    let url = receiver.url("/?c={external_id}&s={status}&p={payout}&k={idempotency_key}");
    let status = json!({ "corrections": { "how": "status" }, "goals": ["another"] });
    let id = destination(&mut network, &url, &status);
    let deaf = destination(&mut network, &url, &json!({ "goals": ["another"] }));
    let click = network.click_with(&campaign, "external_id=ext-1");
    let sent = format!("{}?click_id={click}&txn_id=t-1&status=", campaign.postback);
    network.sends(&format!("{sent}approved"), "recorded");
    let conversion = network.conversions(&click)[0]["id"].as_u64().unwrap();
    let body = json!({ "conversion_id": conversion });
    let tried = network.make(&path(id), &body);
    let told = receiver.hears(1).remove(0);
    assert_eq!(tried["conversion_id"], conversion);
    assert!(told.target.starts_with("/?c=ext-1&s=approved&p=1.75&k=test-"), "{told:?}");
    network.sends(&format!("{sent}reversed"), "updated");
    network.make(&path(id), &body);
    let told = receiver.hears(2).remove(1);
    assert!(told.target.starts_with("/?c=ext-1&s=reversed&p=0&k=test-"), "{told:?}");
    let mut refused = |id: u64, body: &Value, part: &str| {
        let said = network.refused("POST", &path(id), Some(body), (400, "invalid_parameter"));
        assert_eq!(said["parameter"], "conversion_id");
        assert!(text(&said["detail"]).contains(part), "{said}");
    };
    refused(deaf, &body, "it is reversed, and the destination is told of: approved");
    refused(id, &json!({ "conversion_id": 99 }), "there is no conversion 99");
    let other = network.created("/publishers", &json!({ "name": "Other" }));
    let others = json!({ "publisher_id": other, "url": url });
    let others = network.created("/destinations", &others);
    let said = network.refused("POST", &path(others), Some(&body), (400, "invalid_parameter"));
    assert!(text(&said["detail"]).contains("publisher 1's"), "{said}");
}

#[test]
fn one_that_is_paused_is_tried_out_and_one_that_is_archived_not() {
    let mut network = network();
    let receiver = Receiver::start();
    let id = destination(&mut network, &receiver.url("/?c={external_id}"), &json!({}));
    network.make(&format!("/destinations/{id}/pause"), &json!({ "why": "they move" }));
    assert_eq!(network.make(&path(id), &json!({}))["led_to"], "delivered");
    let condition = network.ask(&format!("/destinations/{id}"))["condition"].clone();
    assert_eq!(condition["pause"]["by"], "person");
    network.make(&format!("/destinations/{id}/archive"), &json!({}));
    for preview in [true, false] {
        let body = json!({ "preview": preview });
        network.refused("POST", &path(id), Some(&body), (409, "archived"));
    }
    network.refused("POST", &path(77), Some(&json!({})), (404, "not_found"));
    assert_eq!(receiver.told().len(), 1);
}

#[test]
fn only_some_are_tried_out_at_once() {
    let mut network = network();
    let receiver = Receiver::start();
    let id = destination(&mut network, &receiver.url("/?c={external_id}"), &json!({}));
    // None is answered before this ends.
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    receiver.answers(move |_, _| {
        _ = released.lock().unwrap().recv();
        Some((200, "OK".to_owned()))
    });
    std::thread::scope(|scope| {
        let mut tries = Vec::new();
        for _ in 0..AT_ONCE {
            let mut client = network.server.client();
            let try_out = move || client.api("POST", &path(id), Some(&json!({}))).status;
            tries.push(scope.spawn(try_out));
        }
        receiver.hears(AT_ONCE);
        network.refused("POST", &path(id), Some(&json!({})), (429, "busy"));
        drop(release);
        for one in tries {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
    assert_eq!(network.make(&path(id), &json!({}))["led_to"], "delivered");
}

#[test]
fn an_operator_tries_one_out_from_the_command_line() {
    let mut network = network();
    let receiver = Receiver::start();
    let id = destination(&mut network, &receiver.url("/?c={external_id}"), &json!({}));
    let address = network.server.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["deliveries", "test", &id.to_string()]).args(arguments);
        command.current_dir(folder.path()).env("COUNTERFOIL_LISTEN", &address);
        let output = command.env("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    let (is_good, said) = run(&["--preview"]);
    let begins = format!("GET {}", receiver.url("/?c=test-external-"));
    assert!(is_good && said.starts_with(&begins), "{said}");
    assert!(!said.contains("led_to") && receiver.told().is_empty(), "{said}");
    let (is_good, said) = run(&[]);
    assert!(is_good && said.contains("\nhttp_status: 200\nanswer: OK\n"), "{said}");
    assert!(said.ends_with("\nled_to: delivered\n"), "{said}");
    receiver.says(404, "\u{1b}[31mno such \"click\"");
    let (is_good, said) = run(&[]);
    assert!(!is_good && said.contains("answer: \\u{1b}[31mno such \"click\"\n"), "{said}");
    let (is_good, said) = run(&["--conversion", "99"]);
    assert!(!is_good && said.contains("conversion_id: there is no conversion 99"), "{said}");
}
