//! A publisher gives its URL when it has conversions already, and is told of them.

use crate::deliveries::Scene;
use crate::network::text;
use crate::server::{ADMIN_KEY, PROGRAM};
use serde_json::{Value, json};
use std::process::Command;

const BEGIN: &str = "2020-01-01T00:00:00Z";
const URL: &str = "/?c={external_id}&p={payout}";

impl Scene {
    /// When the destination was made: everything before it is what it was not told of.
    fn made_at(&mut self, destination: u64) -> Value {
        self.network.ask(&format!("/destinations/{destination}"))["created_at"].clone()
    }

    /// What it is told late, or would be.
    fn backfill(&mut self, destination: u64, preview: bool) -> Value {
        let to = self.made_at(destination);
        let body = json!({ "from": BEGIN, "to": to, "preview": preview });
        self.network.make(&format!("/destinations/{destination}/backfill"), &body)
    }

    fn targets(&self, count: usize) -> Vec<String> {
        self.receiver.hears(count).into_iter().map(|told| told.target).collect()
    }
}

#[test]
fn what_happened_before_is_counted_first_told_once_and_corrected() {
    let mut scene = Scene::start(&[]);
    let conversions: Vec<(String, u64)> = (0..4).map(|_| scene.converts()).collect();
    scene.says(&conversions[1].0, "reversed", "updated");
    let target = "/?c={external_id}&p={payout}&at={converted_at:unix_ms}";
    let fields = json!({ "corrections": { "how": "difference" }, "concurrency": 1 });
    let destination = scene.destination(target, &fields);
    let expected = |preview| json!({ "count": 3, "examined": 4, "next": null, "preview": preview });
    assert_eq!(scene.backfill(destination, true), expected(true));
    assert_eq!(scene.network.ask("/deliveries")["items"], json!([]), "nothing is owed yet");
    let to = scene.made_at(destination);
    let body = json!({ "from": BEGIN, "to": to, "preview": false });
    let path = format!("/destinations/{destination}/backfill");
    let key = [("Idempotency-Key", "backfill-1")];
    for _ in 0..2 {
        let done = scene.network.client.api_with("POST", &path, &key, Some(&body));
        assert_eq!(done.json(), expected(false));
    }
    assert_eq!(scene.backfill(destination, false)["count"], 0, "they know by now");
    let told = scene.targets(3);
    for (target, number) in told.iter().zip([1, 3, 4]) {
        let (_, conversion) = &conversions[number - 1];
        let delivery = scene.come_to(*conversion, &["delivered"]).remove(0);
        assert_eq!(delivery["is_backfill"], true);
        let shown = scene.network.ask(&format!("/conversions/{conversion}"));
        let made: jiff::Timestamp = text(&shown["created_at"]).parse().unwrap();
        let made = made.as_millisecond();
        assert_eq!(*target, format!("/?c=ext-{number}&p=1.75&at={made}"), "in their order");
    }
    // From then on it is told of changes like anybody.
    scene.says(&conversions[0].0, "reversed", "updated");
    let deliveries = scene.come_to(conversions[0].1, &["delivered", "delivered"]);
    let last = &deliveries[1];
    assert_eq!((&last["kind"], &last["is_backfill"]), (&json!("withdrawal"), &json!(false)));
    assert!(scene.targets(4)[3].starts_with("/?c=ext-1&p=-1.75&"));
}

#[test]
fn what_happens_now_goes_before_what_is_told_late() {
    let mut scene = Scene::start(&[]);
    let before: Vec<u64> = (0..5).map(|_| scene.converts().1).collect();
    let destination = scene.destination(URL, &json!({ "concurrency": 1 }));
    let path = format!("/destinations/{destination}");
    scene.network.make(&format!("{path}/pause"), &json!({ "why": "not yet" }));
    assert_eq!(scene.backfill(destination, false)["count"], 5);
    let (_, now) = scene.converts();
    for conversion in before.into_iter().chain([now]) {
        scene.come_to(conversion, &["waiting"]);
    }
    scene.network.make(&format!("{path}/resume"), &json!({}));
    let expected = [6, 1, 2, 3, 4, 5].map(|number| format!("/?c=ext-{number}&p=1.75"));
    assert_eq!(scene.targets(6), expected);
}

#[test]
fn what_cannot_be_backfilled_is_refused_with_the_field() {
    let mut scene = Scene::start(&[]);
    let (destination, archived) =
        (scene.destination(URL, &json!({})), scene.destination(URL, &json!({})));
    scene.network.make(&format!("/destinations/{archived}/archive"), &json!({}));
    let (past, later) = ("2026-01-01T00:00:00Z", "9000-01-01T00:00:00Z");
    for preview in [true, false] {
        let cases = [
            (json!({ "from": past, "to": BEGIN }), "from"),
            (json!({ "from": past, "to": past }), "from"),
            (json!({ "from": past, "to": later }), "to"),
            (json!({ "from": later, "to": past }), "from"),
            (json!({ "from": "yesterday", "to": past }), "from"),
            (json!({ "to": past }), "from"),
            (json!({ "from": BEGIN }), "to"),
            (json!({ "from": BEGIN, "to": past, "after": 99 }), "after"),
        ];
        for (mut body, name) in cases {
            body["preview"] = preview.into();
            let path = format!("/destinations/{destination}/backfill");
            let refusal = (400, "invalid_parameter");
            let said = scene.network.refused("POST", &path, Some(&body), refusal);
            assert_eq!(said["parameter"], name, "{body}: {said}");
        }
        let body = json!({ "from": BEGIN, "to": past, "preview": preview });
        for (id, refusal) in [(archived, (409, "archived")), (99, (404, "not_found"))] {
            let path = format!("/destinations/{id}/backfill");
            scene.network.refused("POST", &path, Some(&body), refusal);
        }
    }
    let path = format!("/destinations/{destination}/backfill");
    let body = json!({ "from": BEGIN, "to": past });
    let said = scene.network.refused("POST", &path, Some(&body), (400, "invalid_parameter"));
    assert_eq!(said["parameter"], "preview", "nobody is told by mistake");
}

#[test]
fn an_operator_backfills_from_the_command_line_and_a_ledger_made_again_owes_the_same() {
    let mut scene = Scene::start(&[]);
    let conversions: Vec<u64> = (0..2).map(|_| scene.converts().1).collect();
    let destination = scene.destination(URL, &json!({})).to_string();
    let to = text(&scene.made_at(1)).to_owned();
    let address = scene.network.server.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["deliveries", "backfill", &destination, "--from", BEGIN, "--to"]).args(more);
        command.env("COUNTERFOIL_LISTEN", &address).env("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY);
        let output = command.current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    let (_, counted) = run(&[&to]);
    assert!(counted.contains("would be told late: 2\n"), "{counted}");
    assert_eq!(scene.receiver.told(), []);
    let (_, told) = run(&[&to, "--yes"]);
    assert!(told.contains("told late: 2\n"), "{told}");
    for conversion in &conversions {
        scene.come_to(*conversion, &["delivered"]);
    }
    let (is_good, said) = run(&["9000-01-01T00:00:00Z", "--yes"]);
    assert!(!is_good && said.contains("to: it is in the future"), "{said}");
    let server = &mut scene.network.server;
    server.stop();
    for ending in ["", "-wal", "-shm"] {
        _ = std::fs::remove_file(server.data().join(format!("ledger.db{ending}")));
    }
    server.restart();
    scene.network.client = scene.network.server.client();
    for conversion in conversions {
        let delivery = scene.come_to(conversion, &["delivered"]).remove(0);
        assert_eq!(delivery["is_backfill"], true);
    }
    scene.network.server.stop();
    let output = scene.network.server.run(&["verify"]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(scene.receiver.told().len(), 2);
}
