//! Postbacks: what is kept of them, and what their senders are told.

use super::{Reply, Rig, TOKEN};
use domain::command::{Act, NewIntegration};
use domain::hit::{BODY_BYTES_MAX, TARGET_BYTES_MAX};
use domain::integration::Scope;
use domain::record::Record;
use std::collections::BTreeMap;

pub(super) fn key(rig: &Rig) -> String {
    let setup = rig.app.live.setup();
    let integration = setup.integrations_of(Scope::Global).next().expect("a start makes one");
    integration.key.clone()
}

/// A new click's id.
pub(super) fn click(rig: &Rig) -> String {
    let reply = rig.get(&format!("/c/{TOKEN}"));
    reply.location().split(['=', '&']).nth(1).expect("the landing URL has it").to_owned()
}

pub(super) fn receipt(reply: &Reply) -> String {
    reply.header("counterfoil-receipt").expect("every hit has a receipt").to_owned()
}

#[test]
fn a_postback_is_answered_with_its_verdict() {
    let rig = Rig::start(|_| {});
    let (key, id) = (key(&rig), click(&rig));
    let first = rig.get(&format!("/postback/{key}?click_id={id}&txn_id=a"));
    assert_eq!(first.status(), 200, "{}", first.text);
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let json = first.json();
    let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(names.contains(&"verdict"), "{names:?}");
    let order = [
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
    let places: Vec<_> =
        order.iter().map(|name| first.body().find(&format!("\"{name}\":")).expect(name)).collect();
    assert!(places.is_sorted(), "{}", first.body());
    assert_eq!(json["receipt"], receipt(&first));
    assert_eq!(json["verdict"], "recorded");
    assert_eq!(json["status"], "approved");
    assert_eq!(json["conversion"], 1);
    assert_eq!(json["flags"], serde_json::json!(["unverified"]));
    let looked_up = rig.get(&format!("/receipts/{}", receipt(&first)));
    assert_eq!((looked_up.status(), looked_up.body()), (200, first.body()));
    for path in [format!("/{key}/postback"), "/postback".to_owned()] {
        let again = rig.get(&format!("{path}?txn_id=a&click_id={id}"));
        assert_eq!(again.status(), 200);
        assert_eq!(again.json()["reason"], "already_processed");
        assert_eq!(again.json()["original"], receipt(&first));
    }
    let body = format!("{{\"click_id\":\"{id}\",\"txn_id\":7}}");
    let posted = rig.ask(format!(
        "POST /postback HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Authorization: Bearer s3cret\r\nCookie: s3cret\r\nX-Forwarded-For: 1.2.3.4\r\n\
         X-Forwarded-For: 5.6.7.8\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(posted.json()["conversion"], 2, "{}", posted.text);
    let Record::Hit(hit) = rig.last_record() else { panic!("it is a hit") };
    assert_eq!((hit.method.as_str(), &*hit.target), ("POST", &b"/postback"[..]));
    assert_eq!(hit.body, body.as_bytes());
    assert_eq!(hit.content_type.as_deref(), Some("application/json"));
    assert_eq!(hit.peer, Some("127.0.0.1".parse().unwrap()), "no proxy is trusted");
    assert_eq!(hit.forwarded.as_deref(), Some("1.2.3.4, 5.6.7.8"));
    assert!(!format!("{hit:?}").contains("s3cret"));
}

#[test]
fn a_hit_is_kept_with_what_its_sender_signs() {
    let rig = Rig::start(|_| {});
    let ask = |path: &str| {
        rig.ask(format!(
            "POST /postback{path}?click_id={} HTTP/1.1\r\nHost: t.example\r\nContent-Length: 0\r\n\
             Webhook-Id: m1\r\nWebhook-Other: x\r\nConnection: close\r\n\r\n",
            click(&rig)
        ));
        let Record::Hit(hit) = rig.last_record() else { panic!("it is a hit") };
        (hit.headers, hit.base)
    };
    let header = ("webhook-id".to_owned(), "m1".to_owned());
    assert_eq!(ask(""), (vec![header.clone()], String::new()), "nobody signs URLs yet");
    rig.act(Act::CreateIntegration(Box::new(NewIntegration {
        scope: Scope::Global,
        partner: "bitlabs".to_owned(),
        key: "b1t".to_owned(),
        landing_params: None,
        secrets: BTreeMap::new(),
    })));
    assert_eq!(ask(""), (vec![header], "http://t.example".to_owned()));
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let rig = Rig::start(|_| {});
    let (key, id) = (key(&rig), click(&rig));
    let missing = rig.get(&format!("/postback/{key}?clickid={id}"));
    assert_eq!(missing.status(), 400);
    let json = missing.json();
    assert_eq!(json["reason"], "missing_parameter");
    assert_eq!((&json["parameter"], &json["nearest"]), (&"click_id".into(), &"clickid".into()));
    assert_eq!(json["http_status"], 400);
    // A fragment to every URL parser, and yet what this sender has sent.
    let target = format!("/postback/{key}?click_id=##CLICK_ID##&a=<b>\u{ff}");
    let hash = rig.ask(format!("GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n"));
    assert_eq!(hash.json()["reason"], "macro_not_replaced", "{}", hash.text);
    let Record::Hit(hit) = rig.last_record() else { panic!("it is a hit") };
    assert_eq!(hit.target, target.as_bytes());
    assert_eq!(rig.get(&format!("/receipts/{}", receipt(&hash))).json(), hash.json());
}

#[test]
fn what_nobody_knows_is_answered_and_not_journaled() {
    let rig = Rig::start(|_| {});
    let next = rig.app.journal.next();
    let unknown = rig.get("/postback/nokey?click_id=1");
    assert_eq!(
        (unknown.status(), unknown.json()["reason"].as_str()),
        (404, Some("unknown_integration"))
    );
    let click = rig.get("/postback?click_id=abc");
    assert_eq!((click.status(), click.json()["reason"].as_str()), (404, Some("unknown_click")));
    let pushed = rig.get("/conversion?click_id=abc&amount=1");
    assert_eq!((pushed.status(), pushed.body()), (200, "OK"), "as its contract promises");
    for (reply, status) in [(&unknown, 404), (&click, 404), (&pushed, 200)] {
        let looked_up = rig.get(&format!("/receipts/{}", receipt(reply)));
        assert_eq!(looked_up.json()["verdict"], "refused");
        assert_eq!(looked_up.json()["http_status"], status);
    }
    assert_eq!(rig.app.ring.list(None, 9).len(), 3);
    assert_eq!(rig.app.journal.next(), next);
}

#[test]
fn the_acknowledge_profile_hears_nothing_of_the_verdict() {
    let rig = Rig::start(|_| {});
    let id = click(&rig);
    for (amount, verdict) in [("1.5", "recorded"), ("1,5", "refused")] {
        let reply = rig.get(&format!("/conversion?click_id={id}&amount={amount}"));
        assert_eq!((reply.status(), reply.body()), (200, "OK"));
        let looked_up = || rig.get(&format!("/receipts/{}", receipt(&reply))).json();
        let json = std::iter::repeat_with(looked_up).find(|json| !json["verdict"].is_null());
        let json = json.expect("it is decided in the end");
        assert_eq!((&json["verdict"], &json["http_status"]), (&verdict.into(), &200.into()));
    }
}

#[test]
fn what_is_no_hit_leaves_no_record() {
    let rig = Rig::start(|_| {});
    let (key, id) = (key(&rig), click(&rig));
    let next = rig.app.journal.next();
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "get"] {
        let reply =
            rig.ask(format!("{method} /postback/{key} HTTP/1.1\r\nConnection: close\r\n\r\n"));
        assert_eq!((reply.status(), reply.header("allow")), (405, Some("GET, POST")), "{method}");
    }
    let long = "a".repeat(TARGET_BYTES_MAX);
    assert_eq!(rig.get(&format!("/postback/{key}?click_id={id}&a={long}")).status(), 414);
    assert_eq!(rig.get(&format!("/postback/{key}?{}", long.repeat(10))).status(), 414);
    let large = "a".repeat(BODY_BYTES_MAX + 1);
    let head = format!("POST /postback/{key}?click_id={id} HTTP/1.1\r\n");
    let length = rig.ask(format!("{head}Content-Length: {}\r\n\r\n{large}", large.len()));
    assert_eq!(length.status(), 413);
    let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}", large.len());
    assert_eq!(rig.ask(chunk).status(), 413);
    for receipt in ["0", "nothing", &"0".repeat(26), "a/b", ""] {
        assert_eq!(rig.get(&format!("/receipts/{receipt}")).status(), 404, "{receipt}");
    }
    assert_eq!(rig.app.journal.next(), next);
    let largest = format!("{head}Connection: close\r\nContent-Length: {BODY_BYTES_MAX}\r\n\r\n");
    assert_eq!(rig.ask(largest + &large[1..]).status(), 200);
}
