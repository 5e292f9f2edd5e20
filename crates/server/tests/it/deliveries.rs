//! A publisher is told of its conversions, reliably: by a server and a receiver over real HTTP.

use crate::client::Client;
use crate::network::{Campaign, Network, parameter, text};
use crate::receiver::Receiver;
use crate::server::{ADMIN_KEY, PROGRAM, Server};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

/// The receivers of the tests are on this machine.
const ALLOWED: (&str, &str) = ("COUNTERFOIL_OUTBOUND_ALLOW", r#"["127.0.0.1/32"]"#);
/// What failed is tried again soon.
const SOON: (&str, &str) = ("COUNTERFOIL_OUTBOUND_WAITS_S", "[1, 1, 1, 1, 1, 1, 1, 1, 1]");
const SECRET: &str = "t0p-s3cret of theirs";
/// How often the server is killed, and how many conversions there are before each.
const KILLS: usize = 5;
const CONVERSIONS: usize = 12;

/// A network with a campaign, and a publisher's tracker.
pub(crate) struct Scene {
    pub(crate) network: Network,
    campaign: Campaign,
    pub(crate) receiver: Receiver,
    conversions: usize,
}

impl Scene {
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let settings = [&[ALLOWED], settings].concat();
        let mut network = Network::on(Server::start_with(&settings));
        let campaign = network.campaign("counterfoil");
        Self { network, campaign, receiver: Receiver::start(), conversions: 0 }
    }

    /// The publisher wants to be told there; `fields` are added.
    pub(crate) fn destination(&mut self, target: &str, fields: &Value) -> u64 {
        let mut body = fields.clone();
        body["publisher_id"] = self.network.publisher.into();
        body["url"] = self.receiver.url(target).into();
        self.network.created("/destinations", &body)
    }

    /// The campaign's own.
    pub(crate) fn integration(&self) -> u64 {
        self.campaign.integration
    }

    pub(crate) fn click(&mut self, external_id: &str) -> String {
        self.network.click_with(&self.campaign, &format!("external_id={external_id}"))
    }

    /// What the answer is to whoever says that the click has converted, with that token.
    pub(crate) fn answer_to(&mut self, click: &str, token: &str) -> Value {
        let token = token.replace(' ', "%20");
        let sent = format!("{}?click_id={click}&txn_id=1&token={token}", self.campaign.postback);
        self.network.client.get(sent).json()
    }

    /// A visitor converts: its click and its conversion.
    pub(crate) fn converts(&mut self) -> (String, u64) {
        self.conversions += 1;
        let number = self.conversions;
        let click = self.network.click_with(&self.campaign, &format!("external_id=ext-{number}"));
        self.says(&click, "approved", "recorded");
        let id = self.network.conversions(&click)[0]["id"].as_u64().unwrap();
        (click, id)
    }

    /// The advertiser says what has become of a click's conversion.
    pub(crate) fn says(&mut self, click: &str, status: &str, verdict: &str) {
        let sent =
            format!("{}?click_id={click}&txn_id=t-{click}&status={status}", self.campaign.postback);
        self.network.sends(&sent, verdict);
    }

    /// What a conversion's deliveries are, once they all are in one of these states.
    pub(crate) fn come_to(&mut self, conversion: u64, states: &[&str]) -> Vec<Value> {
        let states: Vec<String> = states.iter().map(|state| (*state).to_owned()).collect();
        let path = format!("/deliveries?conversion_id={conversion}");
        let found = self.network.until(&path, |found| {
            let items = found["items"].as_array().unwrap().iter().rev();
            items.map(|one| text(&one["state"])).eq(states.iter().map(String::as_str))
        });
        found["items"].as_array().unwrap().iter().rev().cloned().collect()
    }

    fn condition(&mut self, destination: u64) -> Value {
        self.network.ask(&format!("/destinations/{destination}"))["condition"].clone()
    }
}

/// The query of what was told, by its names.
fn query(target: &str) -> BTreeMap<&str, &str> {
    let pairs = target.split_once('?').unwrap().1.split('&');
    pairs.map(|pair| pair.split_once('=').unwrap()).collect()
}

#[test]
fn a_publisher_is_sent_the_postback_that_it_asked_for_signed() {
    let mut scene = Scene::start(&[]);
    let goal = json!({ "key": "install", "default": true, "revenue": "3.00", "payout": "2.35" });
    scene.campaign = scene.network.campaign_with("counterfoil", &json!({ "goals": [goal] }));
    let target = "/postback?status={status}&click_id={external_id}&txn_id={txn_id}\
        &payout={payout}&signature={signature}";
    let fields = json!(["click_id", "txn_id", "payout", "{secret}"]);
    let input = json!({ "kind": "fields", "fields": fields, "separator": ":" });
    let scheme = json!({ "algorithm": "sha256", "input": input });
    let destination = scene
        .destination(target, &json!({ "secret": SECRET, "scheme": scheme, "goals": ["install"] }));
    let (click, conversion) = scene.converts();
    let told = scene.receiver.hears(1).remove(0);
    let said = query(&told.target);
    assert_eq!((said["status"], said["click_id"]), ("approved", "ext-1"));
    assert_eq!((said["payout"], said["txn_id"]), ("2.35", format!("t-{click}").as_str()));
    let signed = format!("ext-1:t-{click}:2.35:{SECRET}");
    let expected: String =
        Sha256::digest(signed).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(said["signature"], expected);
    assert_eq!(told.key(), format!("{conversion}-1-{destination}"));
    let delivery = scene.come_to(conversion, &["delivered"]).remove(0);
    assert_eq!(delivery["idempotency_key"], told.key());
    assert_eq!((&delivery["payout"], &delivery["currency"]), (&json!("2.35"), &json!("USD")));
    let attempt = &delivery["attempts"][0];
    assert_eq!((&attempt["http_status"], &attempt["answer"]), (&json!(200), &json!("OK")));
    assert_eq!(attempt["url"], scene.receiver.url(&told.target));
    let condition = scene.condition(destination);
    assert_eq!((&condition["failures"], &condition["pause"]), (&json!(0), &json!(null)));
    assert_eq!(condition["last_good_at"], delivery["settled_at"]);
    let metrics = Client::new(scene.network.server.metrics_address()).get("/metrics").text();
    let counted = r#"counterfoil_delivery_attempts_total{led_to="delivered"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn a_body_is_posted_and_signed_by_standard_webhooks() {
    let mut scene = Scene::start(&[]);
    let fields = json!({
        "method": "POST", "content_type": "application/json", "headers": { "x-goal": "{goal}" },
        "body": r#"{{"cid":"{external_id}","amount":{minor:payout}}}"#,
        "secret": "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw==",
    });
    scene.destination("/hook", &fields);
    scene.converts();
    let told = scene.receiver.hears(1).remove(0);
    assert_eq!((told.method.as_str(), told.target.as_str()), ("POST", "/hook"));
    assert_eq!(told.body, r#"{"cid":"ext-1","amount":175}"#);
    assert_eq!(
        (told.header("content-type"), told.header("x-goal")),
        ("application/json", "install")
    );
    assert_eq!(told.header("webhook-id"), told.key());
    assert!(told.header("webhook-signature").starts_with("v1,"), "{told:?}");
    assert!(told.header("webhook-timestamp").parse::<u64>().is_ok(), "{told:?}");
}

#[test]
fn what_was_told_is_taken_back_in_the_destination_s_words_or_listed() {
    let mut scene = Scene::start(&[]);
    let difference = json!({ "corrections": { "how": "difference" } });
    scene.destination("/minus?p={payout}&c={external_id}", &difference);
    let status = json!({ "corrections": { "how": "status" } });
    scene.destination("/status?s={status:approved=1,reversed=2,rejected=2}&p={payout}", &status);
    let url = scene.receiver.url("/retract?c={external_id}");
    scene.destination("/url?p={payout}", &json!({ "corrections": { "how": "url", "url": url } }));
    scene.destination("/deaf?p={payout}", &json!({}));
    let (click, conversion) = scene.converts();
    scene.come_to(conversion, &["delivered"; 4]);
    scene.says(&click, "reversed", "updated");
    let states = ["delivered", "delivered", "delivered", "uncorrectable"];
    let deliveries = scene.come_to(conversion, &[["delivered"; 4], states].concat());
    let told: BTreeSet<String> =
        scene.receiver.hears(7).into_iter().map(|told| told.target).collect();
    let expected = [
        "/minus?p=1.75&c=ext-1",
        "/minus?p=-1.75&c=ext-1",
        "/status?s=1&p=1.75",
        "/status?s=2&p=0",
        "/url?p=1.75",
        "/retract?c=ext-1",
        "/deaf?p=1.75",
    ];
    assert_eq!(told, expected.map(str::to_owned).into());
    let last = &deliveries[7];
    assert_eq!((&last["kind"], &last["difference"]), (&json!("withdrawal"), &json!("-1.75")));
    assert_eq!(last["attempt_count"], 0);
}

#[test]
fn what_failed_is_sent_again_under_the_same_key() {
    let mut scene = Scene::start(&[SOON]);
    scene.destination("/?c={external_id}&r={random}", &json!({}));
    scene.receiver.answers(|before, _| match before {
        0 => Some((503, "busy".to_owned())),
        // Of a connection that was kept it is tried once more on another.
        1 | 2 => None,
        _ => Some((204, String::new())),
    });
    let (_, conversion) = scene.converts();
    let delivery = scene.come_to(conversion, &["delivered"]).remove(0);
    let attempts = delivery["attempts"].as_array().unwrap();
    let led_to: Vec<&str> = attempts.iter().map(|one| text(&one["led_to"])).collect();
    assert_eq!(led_to, ["again", "again", "delivered"]);
    assert_eq!(attempts[0]["http_status"], 503);
    assert_eq!(attempts[0]["answer"], "busy");
    assert_eq!(attempts[1]["http_status"], json!(null));
    assert!(text(&attempts[1]["error"]).len() > 5, "{delivery}");
    let keys: BTreeSet<_> =
        scene.receiver.hears(4).iter().map(|told| told.key().to_owned()).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[test]
fn an_answer_means_what_the_destination_s_conditions_say() {
    let mut scene = Scene::start(&[]);
    let fields = json!({ "success": { "body": "accepted" }, "failure": [{ "body": "unknown" }] });
    scene.destination("/strict", &fields);
    scene.destination("/silent", &json!({ "verifiable": false }));
    scene.receiver.answers(|_, told| match told.target.as_str() {
        "/strict" => Some((200, "accepted: unknown click".to_owned())),
        _ => Some((200, String::new())),
    });
    let (_, first) = scene.converts();
    scene.come_to(first, &["rejected", "unverified"]);
    scene.receiver.says(200, "accepted");
    let (_, second) = scene.converts();
    scene.come_to(second, &["delivered", "unverified"]);
    scene.receiver.says(302, "");
    let (_, third) = scene.converts();
    scene.come_to(third, &["rejected", "rejected"]);
    let figures = scene.network.ask("/deliveries/figures")["items"].clone();
    assert_eq!(figures[0]["states"], json!({ "rejected": 2, "delivered": 1 }));
    assert_eq!(figures[1]["states"], json!({ "rejected": 1, "unverified": 2 }));
}

#[test]
fn one_that_keeps_failing_is_paused_probed_and_sent_what_it_is_owed() {
    let settings = [
        SOON,
        ("COUNTERFOIL_OUTBOUND_PAUSE_AFTER", "3"),
        ("COUNTERFOIL_OUTBOUND_PROBE_EVERY_S", "1"),
    ];
    let mut scene = Scene::start(&settings);
    let destination = scene.destination("/?c={external_id}", &json!({}));
    scene.receiver.says(500, "broken");
    let conversions: Vec<u64> = (0..5).map(|_| scene.converts().1).collect();
    let paused =
        scene.network.until("/destinations?paused=true", |found| !found["items"][0].is_null());
    let pause = &paused["items"][0]["condition"]["pause"];
    assert_eq!(pause["by"], "failures");
    assert!(text(&pause["why"]).ends_with("it answered 500"), "{pause}");
    assert!(!pause["probe_at"].is_null(), "{pause}");
    scene.receiver.says(200, "OK");
    for conversion in conversions {
        scene.come_to(conversion, &["delivered"]);
    }
    assert_eq!(scene.condition(destination)["pause"], json!(null));
}

#[test]
fn a_person_pauses_and_resumes() {
    let mut scene = Scene::start(&[]);
    let paused = scene.destination("/paused?c={external_id}", &json!({}));
    scene.destination("/other?c={external_id}", &json!({}));
    let path = format!("/destinations/{paused}");
    let shown = scene.network.make(&format!("{path}/pause"), &json!({ "why": "they move" }));
    let pause = &shown["condition"]["pause"];
    assert_eq!((&pause["by"], &pause["why"]), (&json!("person"), &json!("they move")));
    assert_eq!(pause["probe_at"], json!(null));
    let conversions: Vec<u64> = (0..3).map(|_| scene.converts().1).collect();
    for conversion in &conversions {
        let deliveries = scene.come_to(*conversion, &["waiting", "delivered"]);
        assert_eq!(deliveries[0]["attempt_count"], 0);
    }
    scene.network.make(&format!("{path}/resume"), &json!({}));
    for conversion in &conversions {
        scene.come_to(*conversion, &["delivered", "delivered"]);
    }
    scene.network.make(&format!("{path}/pause"), &json!({ "why": "they end" }));
    let (_, last) = scene.converts();
    scene.come_to(last, &["waiting", "delivered"]);
    assert_eq!(scene.network.ask("/destinations?paused=true")["items"][0]["id"], paused);
    scene.network.make(&format!("{path}/archive"), &json!({}));
    scene.come_to(last, &["cancelled", "delivered"]);
    assert_eq!(scene.network.ask("/destinations?paused=true")["items"], json!([]));
    for (call, body) in [("pause", json!({ "why": "again" })), ("resume", json!({}))] {
        let path = format!("{path}/{call}");
        scene.network.refused("POST", &path, Some(&body), (409, "archived"));
    }
    let replay = json!({ "destination_id": paused, "preview": false });
    scene.network.refused("POST", "/deliveries/replay", Some(&replay), (409, "archived"));
    let replay = json!({ "conversion_id": last, "preview": true });
    assert_eq!(scene.network.make("/deliveries/replay", &replay)["count"], 1);
}

#[test]
fn a_replay_is_counted_first_and_keeps_the_key() {
    let mut scene = Scene::start(&[]);
    let destination = scene.destination("/?c={external_id}", &json!({}));
    scene.receiver.says(403, "no");
    let (_, refused) = scene.converts();
    scene.come_to(refused, &["rejected"]);
    scene.receiver.says(200, "OK");
    let (_, good) = scene.converts();
    scene.come_to(good, &["delivered"]);
    let mut replay = json!({ "destination_id": destination, "state": "rejected", "preview": true });
    let counted = scene.network.make("/deliveries/replay", &replay);
    assert_eq!(counted, json!({ "count": 1, "overtaken": 0, "preview": true }));
    replay["preview"] = false.into();
    let once = |scene: &mut Scene, body: &Value| {
        let key = [("Idempotency-Key", "replay-1")];
        scene.network.client.api_with("POST", "/deliveries/replay", &key, Some(body))
    };
    let done = once(&mut scene, &replay).json();
    assert_eq!(done, json!({ "count": 1, "overtaken": null, "preview": false }));
    let delivery = scene.come_to(refused, &["delivered"]).remove(0);
    assert_eq!(delivery["is_replay"], true);
    let marks: Vec<&Value> =
        delivery["attempts"].as_array().unwrap().iter().map(|one| &one["is_replay"]).collect();
    assert_eq!(marks, [&json!(false), &json!(true)]);
    let told = scene.receiver.hears(3);
    assert_eq!(told[0].key(), told[2].key());
    scene.receiver.says(403, "no");
    let (_, third) = scene.converts();
    scene.come_to(third, &["rejected"]);
    assert_eq!(once(&mut scene, &replay).json(), done, "it is done once");
    assert_eq!(scene.come_to(third, &["rejected"])[0]["is_replay"], false);
    let key = [("Idempotency-Key", "replay-1")];
    let other = json!({ "name": "Another" });
    let reply = scene.network.client.api_with("POST", "/advertisers", &key, Some(&other));
    assert_eq!((reply.status, &reply.json()["code"]), (409, &json!("idempotency_key_reused")));
    let key = [("Idempotency-Key", "advertiser-1")];
    let reply = scene.network.client.api_with("POST", "/advertisers", &key, Some(&other));
    assert_eq!(reply.status, 201);
    let reply = scene.network.client.api_with("POST", "/deliveries/replay", &key, Some(&replay));
    assert_eq!((reply.status, &reply.json()["code"]), (409, &json!("idempotency_key_reused")));
    replay["state"] = "delivered".into();
    let reused = once(&mut scene, &replay);
    assert_eq!(reused.json()["code"], "idempotency_key_reused");
    let one = json!({ "id": delivery["id"], "preview": true });
    assert_eq!(scene.network.make("/deliveries/replay", &one)["count"], 1);
    let none = json!({ "preview": true });
    scene.network.refused("POST", "/deliveries/replay", Some(&none), (400, "invalid_request"));
}

#[test]
fn secrets_are_sent_and_never_shown() {
    let mut scene = Scene::start(&[SOON]);
    let target = "/?k={account.token}&c={external_id}";
    let destination = scene.destination(target, &json!({ "secrets": { "token": SECRET } }));
    // It answers with what it was sent.
    scene.receiver.answers(|before, told| {
        let status = if before == 0 { 500 } else { 200 };
        Some((status, format!("{} of {SECRET}", told.target)))
    });
    let (_, conversion) = scene.converts();
    let delivery = scene.come_to(conversion, &["delivered"]).remove(0);
    let told = scene.receiver.hears(2).remove(0);
    assert_eq!(parameter(&told.target, "k"), Some("t0p-s3cret%20of%20theirs"));
    assert_eq!(delivery["attempts"][0]["url"], scene.receiver.url("/?k=***&c=ext-1"));
    assert_eq!(delivery["attempts"][1]["answer"], "/?k=***&c=ext-1 of ***");
    let shown = scene.network.ask(&format!("/destinations/{destination}"));
    assert_eq!(shown["secrets"], json!({ "token": "***" }));
    let changed = json!({ "secrets": { "token": "***" } });
    let path = format!("/destinations/{destination}");
    scene.network.refused("PATCH", &path, Some(&changed), (400, "invalid_parameter"));
    let all = format!("{}{shown}{delivery}", scene.network.server.log());
    assert!(!all.contains("s3cret"), "{all}");
}

#[test]
fn no_private_address_is_called() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let receiver = Receiver::start();
    let body = json!({ "publisher_id": network.publisher, "url": receiver.url("/?c={click_id}") });
    network.make("/destinations", &body);
    let click = network.click(&campaign);
    network.sends(&format!("{}?click_id={click}&txn_id=1", campaign.postback), "recorded");
    let found = network
        .until("/deliveries?conversion_id=1", |found| !found["items"][0]["attempts"][0].is_null());
    let attempt = &found["items"][0]["attempts"][0];
    assert_eq!(attempt["http_status"], json!(null), "{attempt}");
    assert!(text(&attempt["error"]).contains("127.0.0.1"), "{attempt}");
    assert_eq!(receiver.told(), []);
}

#[test]
fn kills_while_sending_lose_nothing_and_repeats_keep_their_key() {
    let mut scene = Scene::start(&[SOON]);
    let destination = scene.destination("/?c={external_id}", &json!({}));
    scene.receiver.answers(|before, _| {
        let status = if before % 5 == 1 { 503 } else { 200 };
        Some((status, String::new()))
    });
    let mut owed = BTreeSet::new();
    for round in 0..KILLS {
        let before = scene.receiver.told().len();
        for _ in 0..CONVERSIONS {
            let (_, conversion) = scene.converts();
            owed.insert(format!("{conversion}-1-{destination}"));
        }
        scene.receiver.hears(before + 2 * round);
        scene.network.server.kill9();
        scene.network.server.restart();
        scene.network.client = scene.network.server.client();
    }
    let figures = scene.network.until("/deliveries/figures", |figures| {
        figures["items"][0]["states"]["delivered"] == owed.len()
    });
    assert_eq!(figures["items"][0]["states"].as_object().unwrap().len(), 1, "{figures}");
    let told = scene.receiver.told();
    let keys: BTreeSet<String> = told.iter().map(|told| told.key().to_owned()).collect();
    assert_eq!(keys, owed);
    for key in &keys {
        let of_it = told.iter().filter(|told| told.key() == key);
        let targets: BTreeSet<&str> = of_it.map(|told| told.target.as_str()).collect();
        assert_eq!(targets.len(), 1, "{key} tells one thing: {targets:?}");
    }
}

#[test]
fn what_a_restored_server_may_have_sent_is_held_for_a_person() {
    let mut scene = Scene::start(&[]);
    let destination = scene.destination("/?c={external_id}", &json!({}));
    let (_, before) = scene.converts();
    scene.come_to(before, &["delivered"]);
    let path = format!("/destinations/{destination}");
    scene.network.make(&format!("{path}/pause"), &json!({ "why": "they move" }));
    let (_, waiting) = scene.converts();
    scene.come_to(waiting, &["waiting"]);
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy");
    let copy = copy.to_str().unwrap();
    let server = &mut scene.network.server;
    let run = |server: &Server, arguments: &[&str]| {
        let output = server.run(arguments);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    run(server, &["backup", "--to", copy]);
    server.stop();
    assert!(run(server, &["verify"]).contains("deliveries held against what is owed"));
    std::fs::remove_dir_all(server.data()).unwrap();
    run(server, &["restore", "--from", copy]);
    server.restart();
    scene.network.client = scene.network.server.client();
    scene.come_to(before, &["delivered"]);
    scene.come_to(waiting, &["held"]);
    scene.network.make(&format!("{path}/resume"), &json!({}));
    let (_, after) = scene.converts();
    scene.come_to(after, &["delivered"]);
    scene.come_to(waiting, &["held"]);
    let mut replay = json!({ "state": "held", "preview": false });
    assert_eq!(scene.network.make("/deliveries/replay", &replay)["count"], 1);
    scene.come_to(waiting, &["delivered"]);
    // The old server may have told other changes under the keys that come next.
    let keys: Vec<String> =
        scene.receiver.told().iter().map(|told| told.key().to_owned()).collect();
    let (own, new) = (format!("{waiting}-1-{destination}"), format!("{after}-1-{destination}-"));
    assert_eq!((keys[0].split('-').count(), &keys[2]), (3, &own));
    assert!(keys[1].starts_with(&new), "{keys:?}");
    let delivery = scene.come_to(after, &["delivered"]).remove(0);
    assert_eq!(delivery["idempotency_key"], *keys[1]);
    // A ledger that has lost the file does not know what was sent.
    scene.network.server.stop();
    std::fs::remove_file(scene.network.server.data().join("deliveries.db")).unwrap();
    scene.network.server.restart();
    scene.network.client = scene.network.server.client();
    for conversion in [before, waiting, after] {
        scene.come_to(conversion, &["held"]);
    }
    replay["preview"] = true.into();
    assert_eq!(scene.network.make("/deliveries/replay", &replay)["count"], 3);
    assert_eq!(scene.receiver.told().len(), 3);
}

#[test]
fn a_ledger_that_is_made_again_goes_on_where_sending_was() {
    let mut scene = Scene::start(&[SOON]);
    scene.destination("/?c={external_id}", &json!({}));
    scene.receiver.says(503, "busy");
    let conversions: Vec<u64> = (0..3).map(|_| scene.converts().1).collect();
    scene.receiver.hears(3);
    scene.network.server.stop();
    for ending in ["", "-wal", "-shm"] {
        _ = std::fs::remove_file(scene.network.server.data().join(format!("ledger.db{ending}")));
    }
    scene.receiver.says(200, "OK");
    scene.network.server.restart();
    scene.network.client = scene.network.server.client();
    for conversion in conversions {
        scene.come_to(conversion, &["delivered"]);
    }
}

#[test]
fn an_operator_looks_replays_and_pauses_from_the_command_line() {
    let mut scene = Scene::start(&[]);
    scene.destination("/?c={external_id}", &json!({}));
    scene.receiver.says(404, "\u{1b}[31mno such click");
    let (_, conversion) = scene.converts();
    scene.come_to(conversion, &["rejected"]);
    let address = scene.network.server.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("deliveries").args(arguments).current_dir(folder.path());
        command.env("COUNTERFOIL_LISTEN", &address).env("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY);
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    let (_, listed) = run(&["list", "--state", "rejected", "--destination", "1"]);
    let row = listed.lines().nth(1).unwrap_or_else(|| panic!("{listed}"));
    let words: Vec<&str> = row.split_whitespace().take(9).collect();
    let expected = ["1", "1", "1", "notice", "approved", "1.75", "USD", "rejected", "1"];
    assert_eq!(words, expected);
    let (_, shown) = run(&["show", "1"]);
    assert!(shown.contains("  http_status: 404\n"), "{shown}");
    assert!(shown.contains("  answer: \\u{1b}[31mno such click\n"), "{shown}");
    let (_, counted) = run(&["replay", "--state", "rejected"]);
    assert!(counted.contains("would be sent once more: 1\n"), "{counted}");
    assert_eq!(scene.receiver.told().len(), 1);
    assert!(run(&["pause", "1", "--why", "they move"]).0);
    assert_eq!(scene.condition(1)["pause"]["why"], "they move");
    assert!(run(&["resume", "1"]).0);
    scene.receiver.says(200, "OK");
    let (_, sent) = run(&["replay", "--state", "rejected", "--yes"]);
    assert!(sent.contains("sent once more: 1\n"), "{sent}");
    scene.come_to(conversion, &["delivered"]);
    let replay = ["replay", "--state", "delivered", "--yes", "--key", "again"];
    for _ in 0..2 {
        let (_, sent) = run(&replay);
        assert!(sent.contains("sent once more: 1\n"), "{sent}");
    }
    scene.receiver.hears(3);
    scene.come_to(conversion, &["delivered"]);
    assert_eq!(scene.receiver.told().len(), 3, "under one key it is done once");
    let asks = |address: String| {
        let mut command = Command::new(PROGRAM);
        command.args(["deliveries", "replay", "--id", "1", "--yes"]).current_dir(folder.path());
        command.env("COUNTERFOIL_LISTEN", address).env("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let hangs_up = thread::spawn(move || drop(listener.accept().unwrap()));
    let said = asks(address.clone());
    hangs_up.join().unwrap();
    assert!(said.contains("no server answers") && said.contains("`--key "), "{said}");
    let said = asks(address);
    assert!(said.contains("no server answers") && !said.contains("--key"), "nothing left: {said}");
    let (is_good, said) = run(&["replay", "--yes"]);
    assert!(!is_good && said.contains("at least one of --id, --destination"), "{said}");
    let (is_good, said) = run(&["replay", "--state", "waiting"]);
    assert!(!is_good && said.contains("state: it is one of"), "{said}");
}

#[test]
fn one_that_is_paused_is_probed_although_the_next_attempt_is_far_off() {
    let settings = [
        ("COUNTERFOIL_OUTBOUND_WAITS_S", "[3600]"),
        ("COUNTERFOIL_OUTBOUND_PAUSE_AFTER", "3"),
        ("COUNTERFOIL_OUTBOUND_PROBE_EVERY_S", "1"),
    ];
    let mut scene = Scene::start(&settings);
    let destination = scene.destination("/?c={external_id}", &json!({}));
    scene.receiver.says(500, "broken");
    let conversions: Vec<u64> = (0..3).map(|_| scene.converts().1).collect();
    scene.network.until("/destinations?paused=true", |found| !found["items"][0].is_null());
    scene.receiver.says(200, "OK");
    for conversion in conversions {
        scene.come_to(conversion, &["delivered"]);
    }
    assert_eq!(scene.condition(destination)["pause"], json!(null));
}
