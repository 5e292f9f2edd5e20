//! What was acknowledged is there afterwards, once: whatever ended the server, whatever was taken
//! from its data directory or brought back to it.
//!
//! A directory that cannot be right any more is refused, with what is wrong with it.

use crate::load::{Load, check, convert_clicks};
use crate::network::{Campaign, Network, text};
use crate::server::{PROGRAM, Server};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// How often the server is killed.
const ROUNDS: usize = 10;
/// How much is acknowledged before it is.
const REQUESTS: usize = 120;
/// How many ids and positions a restore skips.
const SKIPPED: u64 = 1 << 16;
/// Where the first batch of a segment is, in bytes.
const FIRST_BATCH: usize = 4_096;

/// A command that must have succeeded: what it said.
#[track_caller]
fn succeeded(output: &Output) -> String {
    let said = format!("{}{}", lossy(&output.stdout), lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

/// A command that must have failed: what it said.
#[track_caller]
fn failed(output: &Output) -> String {
    let said = format!("{}{}", lossy(&output.stdout), lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn verify(server: &Server) {
    let said = succeeded(&server.run(&["verify"]));
    assert!(said.contains("clean: nothing is wrong"), "{said}");
}

fn started() -> (Network, Campaign) {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    (network, campaign)
}

/// Some clicks, conversions and mistakes, made one after the other.
fn converse(network: &mut Network, campaign: &Campaign, name: &str) {
    for number in 0..6 {
        let click = network.click_with(campaign, &format!("sub1={name}&external_id=e{number}"));
        let sent = format!("{}?click_id={click}&txn_id={name}-{number}", campaign.postback);
        network.sends(&format!("{sent}&status=pending"), "recorded");
        if number % 2 == 0 {
            network.sends(&sent, "updated");
            network.sends(&sent, "duplicate");
        } else {
            let reply = network.client.get(format!("{sent}&status=perhaps"));
            assert_eq!(reply.status, 422, "{}", reply.text());
        }
    }
}

/// Everything the ledger holds, as it is told, without what only says where a clock stood and
/// where the server listens.
fn told(network: &mut Network) -> Value {
    let mut told = json!({});
    let lists = ["advertisers", "publishers", "campaigns", "links", "integrations", "hits"];
    for list in lists {
        told[list] = network.ask(&format!("/{list}?limit=1000"))["items"].clone();
    }
    let conversions = network.ask("/conversions?limit=1000")["items"].clone();
    let mut whole = Vec::new();
    for conversion in conversions.as_array().expect("a page has items") {
        whole.push(network.ask(&format!("/conversions/{}", conversion["id"])));
    }
    told["conversions"] = whole.into();
    told["totals"] = network.totals();
    without_decided_at(&mut told);
    // The port is another one after each start.
    let address = network.server.address().to_string();
    let told = told.to_string().replace(&address, "here");
    serde_json::from_str(&told).expect("it was JSON")
}

fn without_decided_at(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("decided_at");
            fields.values_mut().for_each(without_decided_at);
        }
        Value::Array(items) => items.iter_mut().for_each(without_decided_at),
        _ => {}
    }
}

fn segment(server: &Server, number: u32) -> PathBuf {
    server.data().join(format!("journal/{number:08}.log"))
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn ten_kills_under_load_lose_nothing_and_count_nothing_twice() {
    let (mut network, campaign) = started();
    let mut logs = Vec::new();
    for round in 0..ROUNDS {
        let mut load = Load::start(&network, &campaign, round);
        // Another number each time, so that it is not always the same moment.
        load.until(REQUESTS + 17 * round);
        network.server.kill9();
        let log = load.ended();
        network.server.restart();
        network.client = network.server.client();
        check(&mut network, &campaign, &log);
        if round % 3 == 0 {
            convert_clicks(&mut network, &campaign, &log);
        } else {
            logs.push(log);
        }
    }
    // Clicks and postbacks of every round outlast the kills that came after it.
    for log in &logs {
        check(&mut network, &campaign, log);
        convert_clicks(&mut network, &campaign, log);
    }
    assert!(network.server.stop().success());
    verify(&network.server);
}

#[test]
fn a_server_that_is_asked_to_end_finishes_what_it_has_taken() {
    let (mut network, campaign) = started();
    let mut load = Load::start(&network, &campaign, 0);
    load.until(REQUESTS);
    let status = network.server.stop();
    assert!(status.success(), "{status}");
    let log = load.ended();
    verify(&network.server);
    network.server.restart();
    network.client = network.server.client();
    check(&mut network, &campaign, &log);
    convert_clicks(&mut network, &campaign, &log);
}

#[test]
fn a_backup_made_under_load_is_served_and_its_new_ids_are_new() {
    let (network, campaign) = started();
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy");
    let copy_name = copy.to_str().unwrap();
    let mut load = Load::start(&network, &campaign, 0);
    load.until(REQUESTS);
    let before = load.so_far();
    let (receipts, publishers) = (before.postbacks.clone(), before.publishers.clone());
    succeeded(&network.server.run(&["backup", "--to", copy_name]));
    let at_backup = load.so_far().len();
    load.until(at_backup + REQUESTS);
    let all = load.end();

    let mut server = Server::start();
    server.stop();
    fs::remove_dir_all(server.data()).unwrap();
    succeeded(&server.run(&["restore", "--from", copy_name]));
    server.restart();
    let mut restored = Network {
        client: server.client(),
        server,
        advertiser: network.advertiser,
        publisher: network.publisher,
    };
    for (receipt, sent) in &receipts {
        let reply = restored.client.get(format!("/receipts/{receipt}"));
        assert_eq!(reply.status, 200, "{sent:?}: {}", reply.text());
        assert!(!reply.json()["verdict"].is_null(), "{sent:?}");
        restored.sends(&sent.target(&campaign), "duplicate");
    }
    for id in &publishers {
        restored.ask(&format!("/publishers/{id}"));
    }
    let known = restored.conversions("")[0]["id"].as_u64().expect("there are conversions");
    let newest = *all.publishers.last().expect("publishers were made");
    let id = restored.created("/publishers", &json!({ "name": "After" }));
    assert!(id > newest && id > SKIPPED, "{id} may have been given after the backup");
    let other = restored.campaign("counterfoil");
    assert!(other.id > campaign.id + SKIPPED, "{}", other.id);
    let click = restored.click(&other);
    let sent = format!("{}?click_id={click}", other.postback);
    let answer = restored.sends(&sent, "recorded");
    let conversion = answer["conversion"].as_u64().expect("it made one");
    assert!(conversion > known + SKIPPED, "{conversion} after {known}");
    for (receipt, sent) in &all.postbacks {
        assert_ne!(text(&answer["receipt"]), receipt, "a receipt means one hit");
        let reply = restored.client.get(format!("/receipts/{receipt}"));
        if reply.status == 200 {
            let found = restored.hits(&format!("receipt={receipt}"));
            assert_eq!(found[0]["click_id"], sent.click.as_str(), "a receipt means one hit");
        } else {
            assert_eq!(reply.status, 404, "it was given after the backup: {}", reply.text());
        }
    }
    assert!(restored.server.stop().success());
    verify(&restored.server);
}

#[test]
fn a_data_directory_that_is_served_is_not_served_twice() {
    let (mut network, campaign) = started();
    converse(&mut network, &campaign, "a");
    let before = told(&mut network);
    let said = failed(&network.server.run(&["serve"]));
    assert!(said.contains("another process has the journal open"), "{said}");
    let said = failed(&network.server.run(&["verify"]));
    assert!(said.contains("a server is running on"), "{said}");
    assert_eq!(told(&mut network), before, "the first one goes on undisturbed");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let first = Server::start();
    for (setting, taken) in [
        ("COUNTERFOIL_LISTEN", first.address()),
        ("COUNTERFOIL_METRICS_LISTEN", first.metrics_address()),
    ] {
        let data = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new(PROGRAM);
        command.arg("serve").current_dir(data.path());
        command.env("COUNTERFOIL_LISTEN", "127.0.0.1:0");
        command.env("COUNTERFOIL_METRICS_LISTEN", "127.0.0.1:0");
        let said = failed(&command.env(setting, taken.to_string()).output().unwrap());
        let setting = setting.trim_start_matches("COUNTERFOIL_").to_lowercase();
        assert!(said.contains(&format!("cannot listen: {setting} = {taken}: ")), "{said}");
    }
}

#[test]
fn a_ledger_that_is_ahead_of_its_journal_is_refused() {
    let (mut network, campaign) = started();
    converse(&mut network, &campaign, "a");
    assert!(network.server.stop().success());
    let journal = network.server.data().join("journal");
    let older = tempfile::tempdir().unwrap();
    copy_dir(&journal, older.path());
    network.server.restart();
    network.client = network.server.client();
    converse(&mut network, &campaign, "b");
    let before = told(&mut network);
    assert!(network.server.stop().success());
    let newer = tempfile::tempdir().unwrap();
    copy_dir(&journal, newer.path());

    fs::remove_dir_all(&journal).unwrap();
    copy_dir(older.path(), &journal);
    let said = failed(&network.server.run(&["serve"]));
    assert!(said.contains("a part of the journal is missing"), "{said}");
    let said = failed(&network.server.run(&["verify"]));
    assert!(said.contains("ledger.db: it stands at record"), "{said}");

    // Without any segment, a new journal is made: it is not this ledger's.
    fs::remove_dir_all(&journal).unwrap();
    let said = failed(&network.server.run(&["serve"]));
    assert!(said.contains("journal"), "{said}");

    fs::remove_dir_all(&journal).unwrap();
    copy_dir(newer.path(), &journal);
    network.server.restart();
    network.client = network.server.client();
    assert_eq!(told(&mut network), before, "being refused changed nothing");
}

#[test]
fn a_journal_with_a_byte_changed_in_its_middle_is_refused_with_the_place() {
    let (mut network, campaign) = started();
    converse(&mut network, &campaign, "a");
    let before = told(&mut network);
    assert!(network.server.stop().success());
    let path = segment(&network.server, 1);
    let sound = fs::read(&path).unwrap();
    let mut damaged = sound.clone();
    damaged[FIRST_BATCH + 100] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let place = format!("journal segment 00000001 is damaged at byte {FIRST_BATCH}");
    for verb in ["serve", "verify"] {
        let said = failed(&network.server.run(&[verb]));
        assert!(said.contains(&place), "{verb}: {said}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "nothing is cut from it");
    }
    fs::write(&path, &sound).unwrap();
    network.server.restart();
    network.client = network.server.client();
    assert_eq!(told(&mut network), before);
}

#[test]
fn a_ledger_that_was_removed_comes_back_from_the_journal_as_it_was() {
    let (mut network, campaign) = started();
    converse(&mut network, &campaign, "a");
    let change = json!({ "to": "reversed", "reason": "returned" });
    let conversion = network.ask("/conversions?status=approved")["items"][0]["id"].clone();
    network.make(&format!("/conversions/{conversion}/status"), &change);
    let before = told(&mut network);
    assert!(network.server.stop().success());
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let path = network.server.data().join(name);
        if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
    network.server.restart();
    network.client = network.server.client();
    let after = told(&mut network);
    assert_eq!(after, before, "entries with their hashes among it");
    assert!(network.server.stop().success());
    verify(&network.server);
}
