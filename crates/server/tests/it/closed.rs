//! A ledger that does not open: visitors are redirected all the same, postbacks are kept, and all
//! of it counts once the ledger is back.

use crate::network::{Network, parameter, text};
use crate::server::Server;
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

/// How long a ledger that has been mended may take to be open.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

/// Ruins the ledger of a server that is stopped; the answer is what mends it.
fn ruin(server: &Server) -> impl FnOnce() + use<> {
    let path = server.data().join("ledger.db");
    for log in ["ledger.db-wal", "ledger.db-shm"] {
        assert!(!server.data().join(log).exists(), "a server that ends well leaves no {log}");
    }
    let sound = fs::read(&path).unwrap();
    fs::write(&path, vec![b'x'; sound.len()]).unwrap();
    move || {
        let beside = path.with_extension("mended");
        fs::write(&beside, sound).unwrap();
        fs::rename(beside, path).unwrap();
    }
}

fn wait_until_ready(network: &mut Network) {
    let since = Instant::now();
    while network.client.get("/readyz").status != 200 {
        assert!(since.elapsed() < OPEN_WITHIN, "the ledger is not open: {}", network.server.log());
        std::thread::yield_now();
    }
}

#[test]
fn visitors_are_redirected_and_postbacks_kept_while_the_ledger_is_closed() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let acknowledging = network.campaign("pushground");
    let before = network.click(&campaign);
    assert!(network.server.stop().success());
    let mend = ruin(&network.server);
    network.server.restart();
    network.client = network.server.client();

    let log = network.server.log();
    assert!(log.contains("the ledger is closed"), "{log}");
    let location = network.visit(&campaign.token, "sub1=us");
    let during = parameter(&location, "cid").unwrap().to_owned();
    let mut kept = Vec::new();
    for click in [&before, &during] {
        let reply = network.client.get(format!("{}?click_id={click}", campaign.postback));
        assert_eq!((reply.status, &reply.json()["verdict"]), (202, &json!(null)));
        kept.push(reply);
    }
    let reply = network.client.get(format!("{}?click_id={during}", acknowledging.postback));
    assert_eq!((reply.status, &*reply.text()), (200, "OK"));
    let unknown = network.client.get("/postback/no-such-key?click_id=1");
    assert_eq!(unknown.json()["reason"], "unknown_integration", "what is nobody's is told so");
    for (method, path, body) in [
        ("GET", "/reports", None),
        ("GET", "/conversions", None),
        ("GET", "/hits?journaled=false", None),
        ("GET", "/advertisers", None),
        ("GET", "/campaigns", None),
        ("GET", "/postback-url", None),
        ("GET", "/partners", None),
        ("POST", "/publishers", Some(json!({ "name": "Later" }))),
        ("POST", "/publishers", None),
        ("GET", "/nowhere", None),
    ] {
        let reply = network.client.api(method, path, body.as_ref());
        assert_eq!((reply.status, text(&reply.json()["code"])), (503, "unavailable"), "{path}");
        assert!(reply.header("retry-after").is_some(), "{path}");
    }
    let stranger = network.client.get("/api/v1/advertisers");
    assert_eq!(stranger.status, 401, "what there is a stranger is not told now either");
    assert_eq!(network.client.get("/healthz").status, 200);
    let ready = network.client.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("the ledger is closed"), "{}", ready.text());

    mend();
    wait_until_ready(&mut network);
    for reply in kept {
        assert_eq!(network.verdict(&reply)["verdict"], "recorded");
    }
    assert_eq!(network.conversions(&during)[0]["sub1"], "us");
    assert_eq!(network.totals()["approved"], 2);
    network.created("/publishers", &json!({ "name": "Now" }));
    assert!(network.server.stop().success());
    let verified = network.server.run(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn an_older_ledger_that_is_put_back_takes_no_link_away() {
    let mut network = Network::start();
    let old = network.campaign("counterfoil");
    assert!(network.server.stop().success());
    let path = network.server.data().join("ledger.db");
    let older = fs::read(&path).unwrap();
    network.server.restart();
    network.client = network.server.client();
    let new = network.campaign("pushground");
    for _ in 0..200 {
        network.click(&new);
    }
    assert!(network.server.stop().success());
    let _mend = ruin(&network.server);
    network.server.restart();
    network.client = network.server.client();
    let click = network.click(&new);
    let beside = path.with_extension("older");
    fs::write(&beside, older).unwrap();
    fs::rename(beside, &path).unwrap();
    let since = Instant::now();
    while network.client.get("/readyz").status != 200 {
        network.click(&new);
        network.click(&old);
        assert!(since.elapsed() < OPEN_WITHIN, "{}", network.server.log());
    }
    let reply = network.client.get(format!("{}?click_id={click}", new.postback));
    assert_eq!(network.verdict(&reply)["verdict"], "recorded");
    assert!(network.server.stop().success());
    assert!(network.server.run(&["verify"]).status.success());
}

#[test]
fn a_ledger_that_is_on_its_way_is_waited_for() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    assert!(network.server.stop().success());
    let path = network.server.data().join("ledger.db");
    let away = path.with_extension("away");
    let mend = ruin(&network.server);
    network.server.restart();
    network.client = network.server.client();
    fs::rename(&path, &away).unwrap();
    let since = Instant::now();
    while !network.server.log().contains("ledger.db is not there") {
        assert!(since.elapsed() < OPEN_WITHIN, "{}", network.server.log());
        std::thread::yield_now();
    }
    assert!(!path.exists(), "nothing is made in its place");
    mend();
    wait_until_ready(&mut network);
    network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
}

#[test]
fn what_was_changed_last_holds_while_the_ledger_is_closed() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    network.status(campaign.id, "paused");
    let fallback = json!({ "fallback_url": "https://shop.example/over?c={click_id}" });
    network.change("PATCH", &format!("/campaigns/{}", campaign.id), &fallback);
    assert!(network.server.stop().success());
    let _mend = ruin(&network.server);
    network.server.restart();
    network.client = network.server.client();
    let location = network.visit(&campaign.token, "");
    assert!(location.starts_with("https://shop.example/over?c="), "{location}");
    assert!(network.server.stop().success(), "it ends well without a ledger, too");
}

#[test]
fn a_server_that_is_told_to_refuse_does_not_start_without_its_ledger() {
    let settings = [("COUNTERFOIL_WHEN_DISK_FAILS", "refuse")];
    let mut network = Network::on(Server::start_with(&settings));
    network.campaign("counterfoil");
    assert!(network.server.stop().success());
    let _mend = ruin(&network.server);
    let said = network.server.run(&["serve"]);
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("the ledger does not open"), "{said}");
}

#[test]
fn without_the_setup_as_it_was_written_nobody_can_be_redirected() {
    let mut network = Network::start();
    network.campaign("counterfoil");
    assert!(network.server.stop().success());
    let _mend = ruin(&network.server);
    fs::remove_file(network.server.data().join("setup.json")).unwrap();
    let said = network.server.run(&["serve"]);
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("the ledger does not open") && said.contains("setup.json"), "{said}");
}

#[test]
fn keys_that_are_lost_are_not_made_anew() {
    let mut network = Network::start();
    network.campaign("counterfoil");
    assert!(network.server.stop().success());
    let keys = network.server.data().join("keys");
    let lost = keys.join("click-ids.json");
    let sound = fs::read(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    let said = network.server.run(&["serve"]);
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("click-ids.json is missing"), "{said}");
    fs::write(&lost, sound).unwrap();
    network.server.restart();
}
