//! An operator is told of what needs a person's attention: in the API, the log and the figures.

use crate::client::Client;
use crate::network::{Campaign, Network, text};
use crate::receiver::Receiver;
use crate::server::{ADMIN_KEY, PROGRAM, Server};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// The receivers of the tests are on this machine.
const ALLOWED: (&str, &str) = ("COUNTERFOIL_OUTBOUND_ALLOW", r#"["127.0.0.1/32"]"#);
/// Of a file of SQLite's.
const PAGE_BYTES: usize = 4_096;
/// How long something may take to be said.
const SAID_WITHIN: Duration = Duration::from_secs(30);

/// A network whose publisher is told of conversions.
struct Told {
    network: Network,
    campaign: Campaign,
    receiver: Receiver,
    destination: u64,
    conversions: usize,
}

impl Told {
    fn start(settings: &[(&str, &str)]) -> Self {
        let settings = [&[ALLOWED], settings].concat();
        let mut network = Network::on(Server::start_with(&settings));
        let campaign = network.campaign("counterfoil");
        let receiver = Receiver::start();
        let body =
            json!({ "publisher_id": network.publisher, "url": receiver.url("/?c={click_id}") });
        let destination = network.created("/destinations", &body);
        Self { network, campaign, receiver, destination, conversions: 0 }
    }

    fn converts(&mut self) {
        self.conversions += 1;
        let click = self.network.click(&self.campaign);
        let txn_id = self.conversions;
        let sent = format!("{}?click_id={click}&txn_id={txn_id}", self.campaign.postback);
        self.network.sends(&sent, "recorded");
    }

    /// The alerts, once they are of these kinds.
    fn until(&mut self, kinds: &[&str]) -> Vec<Value> {
        let found = self.network.until("/alerts", |found| {
            let items = found["items"].as_array().unwrap().iter();
            items.map(|one| text(&one["kind"])).eq(kinds.iter().copied())
        });
        assert_eq!(found["next"], json!(null));
        found["items"].as_array().unwrap().clone()
    }

    fn until_states(&mut self, states: &Value) {
        self.network.until("/deliveries/figures", |found| found["items"][0]["states"] == *states);
    }

    fn until_said(&self, line: &str) {
        let from = Instant::now();
        while !self.network.server.log().contains(line) {
            assert!(from.elapsed() < SAID_WITHIN, "{line} in {}", self.network.server.log());
            std::thread::yield_now();
        }
    }

    fn until_figure(&self, line: &str) {
        let from = Instant::now();
        let mut client = Client::new(self.network.server.metrics_address());
        loop {
            let figures = client.get("/metrics").text();
            if figures.lines().any(|one| one == line) {
                return;
            }
            assert!(from.elapsed() < SAID_WITHIN, "{line} in {figures}");
            std::thread::yield_now();
        }
    }

    fn restart(&mut self) {
        self.network.server.restart();
        self.network.client = self.network.server.client();
    }

    fn condition(&mut self) -> Value {
        let path = format!("/destinations/{}", self.destination);
        self.network.ask(&path)["condition"].clone()
    }
}

#[test]
fn a_pause_is_told_until_it_is_over() {
    let settings = [
        ("COUNTERFOIL_OUTBOUND_WAITS_S", "[1, 1, 1, 1, 1, 1, 1, 1, 1]"),
        ("COUNTERFOIL_OUTBOUND_PAUSE_AFTER", "2"),
        ("COUNTERFOIL_OUTBOUND_PROBE_EVERY_S", "1"),
    ];
    let mut told = Told::start(&settings);
    told.until(&[]);
    told.until_figure("counterfoil_alerts{kind=\"destination_paused\"} 0");
    told.receiver.says(500, "broken");
    told.converts();
    let alert = told.until(&["destination_paused"]).remove(0);
    assert_eq!(alert["destination_id"], told.destination);
    assert_eq!(alert["since"], told.condition()["pause"]["at"]);
    let detail = text(&alert["detail"]);
    assert!(detail.contains("it answered 500") && detail.contains("its failures"), "{detail}");
    told.until_said("a destination is paused");
    told.until_figure("counterfoil_alerts{kind=\"destination_paused\"} 1");
    told.receiver.says(200, "OK");
    told.until(&[]);
    told.until_said("a destination is resumed");
    told.until_figure("counterfoil_alerts{kind=\"destination_paused\"} 0");
    let condition = told.condition();
    assert_eq!(condition["hour"]["good"], 1);
    assert!(condition["day"]["attempts"].as_u64().unwrap() >= 3, "{condition}");
    let path = format!("/destinations/{}/pause", told.destination);
    told.network.make(&path, &json!({ "why": "they move" }));
    let detail = told.until(&["destination_paused"]).remove(0)["detail"].clone();
    assert!(text(&detail).starts_with("a person has paused destination 1: they move."), "{detail}");
    told.network.make(&path.replace("pause", "archive"), &json!({}));
    told.until(&[]);
}

#[test]
fn what_waits_is_a_figure() {
    let mut told = Told::start(&[]);
    let path = format!("/destinations/{}/pause", told.destination);
    told.network.make(&path, &json!({ "why": "they move" }));
    let delay = json!({ "publisher_id": told.network.publisher, "delay_s": 3_600,
        "url": told.receiver.url("/later") });
    told.network.created("/destinations", &delay);
    for _ in 0..2 {
        told.converts();
    }
    told.network.until("/deliveries/figures", |found| {
        let waiting = |place: usize| found["items"][place]["states"]["waiting"].as_u64();
        waiting(0) == Some(2) && waiting(1) == Some(2)
    });
    told.until_figure("counterfoil_deliveries_waiting 4");
    told.until_figure("counterfoil_deliveries_due 2");
}

#[test]
fn what_a_person_has_to_decide_is_told_until_it_is_decided() {
    let mut told = Told::start(&[("COUNTERFOIL_OUTBOUND_WAITS_S", "[1]")]);
    told.receiver.says(503, "busy");
    told.converts();
    let alert = told.until(&["deliveries_exhausted"]).remove(0);
    assert_eq!(alert["destination_id"], told.destination);
    told.receiver.says(200, "OK");
    told.network.make("/deliveries/replay", &json!({ "state": "exhausted", "preview": false }));
    told.until(&[]);
    told.until_states(&json!({ "delivered": 1 }));
    // A ledger that has lost the file does not know what was sent.
    told.network.server.stop();
    fs::remove_file(told.network.server.data().join("deliveries.db")).unwrap();
    told.restart();
    let alert = told.until(&["deliveries_held"]).remove(0);
    assert!(text(&alert["detail"]).contains("--state held"), "{alert}");
    told.network.make("/deliveries/replay", &json!({ "state": "held", "preview": false }));
    told.until(&[]);
}

#[test]
fn deliveries_that_do_not_open_keep_nobody_from_being_decided() {
    let mut told = Told::start(&[]);
    told.converts();
    told.until_states(&json!({ "delivered": 1 }));
    told.network.server.stop();
    let path = told.network.server.data().join("deliveries.db");
    let sound = fs::read(&path).unwrap();
    let other = {
        let mut other = Network::start();
        assert!(other.server.stop().success());
        fs::read(other.server.data().join("deliveries.db")).unwrap()
    };
    for (ruined, why) in [(vec![b'x'; sound.len()], "not a database"), (other, "another journal")] {
        fs::write(&path, ruined).unwrap();
        told.restart();
        let alert = told.until(&["deliveries_closed"]).remove(0);
        assert!(text(&alert["detail"]).contains(why), "{alert}");
        assert_eq!(alert["destination_id"], json!(null));
        told.until_said("the deliveries do not open or answer");
        told.until_figure("counterfoil_alerts{kind=\"deliveries_closed\"} 1");
        assert!(told.network.server.log().contains("ERROR"));
        let ready = told.network.client.get("/readyz");
        assert_eq!(ready.status, 200, "traffic goes on");
        assert!(ready.text().contains("the deliveries are closed"), "{}", ready.text());
        told.converts();
        assert_eq!(told.condition(), json!(null));
        for path in ["/deliveries", "/destinations?paused=true"] {
            let refused = told.network.refused("GET", path, None, (503, "unavailable"));
            assert!(text(&refused["detail"]).contains("the deliveries are closed"), "{refused}");
        }
        let body = json!({ "why": "they move" });
        told.network.refused("POST", "/destinations/1/pause", Some(&body), (503, "unavailable"));
        assert!(!told.network.server.log().contains("they move"), "nobody has paused it");
        assert!(told.network.server.stop().success());
        let verified = told.network.server.run(&["verify"]);
        let said = String::from_utf8([verified.stdout, verified.stderr].concat()).unwrap();
        assert!(!verified.status.success() && said.contains(why), "{said}");
    }
    fs::write(&path, vec![b'x'; sound.len()]).unwrap();
    told.restart();
    told.until(&["deliveries_closed"]);
    told.converts();
    // What is put back is found without a restart, and what was owed meanwhile is sent.
    let beside = path.with_extension("mended");
    fs::write(&beside, sound).unwrap();
    fs::rename(beside, &path).unwrap();
    told.until(&[]);
    told.until_said("the deliveries open and answer");
    assert_eq!(told.network.client.get("/readyz").text(), "ready");
    told.until_states(&json!({ "delivered": 4 }));
    assert_eq!(told.receiver.told().len(), 4);
}

#[test]
fn a_damaged_page_holds_up_nobody_and_is_told() {
    let mut told = Told::start(&[]);
    told.converts();
    told.until_states(&json!({ "delivered": 1 }));
    told.network.server.stop();
    let path = told.network.server.data().join("deliveries.db");
    let mut file = fs::read(&path).unwrap();
    // What was sent is where the attempts are.
    let url = told.receiver.url("/?c=");
    let is_of_attempts = |page: &[u8]| page.windows(url.len()).any(|part| part == url.as_bytes());
    for page in file.chunks_mut(PAGE_BYTES).filter(|page| is_of_attempts(page)) {
        page[0] = 0xff;
    }
    fs::write(&path, file).unwrap();
    told.restart();
    // More than there may be under way at once.
    for _ in 0..20 {
        told.converts();
    }
    told.receiver.hears(21);
    let alert = told.until(&["deliveries_closed"]).remove(0);
    let detail = text(&alert["detail"]);
    assert!(detail.contains("attempts cannot be settled: "), "{detail}");
    assert!(detail.contains("malformed") && detail.contains("counterfoil verify"), "{detail}");
    let log = told.network.server.log();
    assert_eq!(log.matches("attempts cannot be settled error=").count(), 1, "{log}");
}

#[test]
fn an_operator_asks_from_the_command_line() {
    let mut told = Told::start(&[]);
    let address = told.network.server.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = Command::new(PROGRAM);
        command.arg("alerts").current_dir(folder.path());
        command.env("COUNTERFOIL_LISTEN", &address).env("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(), "there are no alerts\n");
    let path = format!("/destinations/{}/pause", told.destination);
    told.network.make(&path, &json!({ "why": "they \u{202e}move" }));
    let said = run();
    assert!(said.starts_with("destination_paused since 20"), "{said}");
    let detail = "Z: a person has paused destination 1: they \\u{202e}move.";
    assert!(said.contains(detail), "{said}");
}
