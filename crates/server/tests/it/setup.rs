//! Setup as people change it while visitors and partners come: each change holds from the next
//! request.

use crate::client::Client;
use crate::network::{Network, filled, parameter, text};
use crate::server::Server;
use serde_json::{Value, json};

#[test]
fn a_paused_campaign_sends_its_next_visitor_to_the_fallback() {
    let mut network = Network::start();
    let fallback = json!({ "fallback_url": "https://shop.example/closed?was={click_id}" });
    let campaign = network.campaign_with("counterfoil", &fallback);
    assert!(network.visit(&campaign.token, "").starts_with("https://shop.example/offer?"));
    for _ in 0..20 {
        network.status(campaign.id, "paused");
        let location = network.visit(&campaign.token, "");
        assert!(location.starts_with("https://shop.example/closed?was="), "{location}");
        let click = parameter(&location, "was").unwrap();
        assert_eq!(network.ask(&format!("/clicks/{click}"))["is_live"], false);
        network.status(campaign.id, "active");
        let location = network.visit(&campaign.token, "");
        assert!(location.starts_with("https://shop.example/offer?"), "{location}");
    }
}

#[test]
fn without_a_fallback_the_visitor_of_a_paused_campaign_is_told_that_it_is_gone() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    network.status(campaign.id, "paused");
    let reply = network.client.get(format!("/c/{}", campaign.token));
    assert_eq!((reply.status, reply.header("cache-control")), (410, Some("no-store")));
    let fallback = json!({ "fallback_url": "https://shop.example/closed" });
    network.change("PATCH", &format!("/campaigns/{}", campaign.id), &fallback);
    assert_eq!(network.visit(&campaign.token, ""), "https://shop.example/closed");
    let none = json!({ "fallback_url": null });
    network.change("PATCH", &format!("/campaigns/{}", campaign.id), &none);
    assert_eq!(network.client.get(format!("/c/{}", campaign.token)).status, 410);
}

#[test]
fn a_new_landing_url_holds_for_the_next_visitor() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    for place in 0..20 {
        let landing =
            json!({ "landing_url": format!("https://shop.example/{place}?c={{click_id}}") });
        network.change("PATCH", &format!("/campaigns/{}", campaign.id), &landing);
        let location = network.visit(&campaign.token, "");
        assert!(location.starts_with(&format!("https://shop.example/{place}?c=")), "{location}");
    }
    let own = json!({ "landing_url": "https://shop.example/own?c={click_id}" });
    network.change("PATCH", &format!("/links/{}", campaign.link), &own);
    assert!(network.visit(&campaign.token, "").starts_with("https://shop.example/own?"));
    let back = json!({ "landing_url": null });
    network.change("PATCH", &format!("/links/{}", campaign.link), &back);
    assert!(network.visit(&campaign.token, "").starts_with("https://shop.example/19?"));
}

#[test]
fn new_terms_hold_for_clicks_made_from_now_on() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let before = network.click(&campaign);
    // A click's time is a millisecond, and what changes within it holds for the click already.
    let millisecond = || std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let clicked_by = millisecond();
    while millisecond() <= clicked_by {
        std::thread::yield_now();
    }
    let goals = json!({ "goals": [
        { "key": "install", "default": true, "revenue": "4.00", "payout": "3.00" }] });
    network.change("PATCH", &format!("/campaigns/{}", campaign.id), &goals);
    let after = network.click(&campaign);
    for (click, revenue, payout) in [(&before, "2.50", "1.75"), (&after, "4.00", "3.00")] {
        network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
        let conversion = &network.conversions(click)[0];
        assert_eq!((text(&conversion["revenue"]), text(&conversion["payout"])), (revenue, payout));
    }
}

#[test]
fn a_goal_that_is_added_can_be_converted_at_once() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let target = format!("{}?click_id={click}&goal=purchase", campaign.postback);
    network.refuses(&target, (422, "unknown_goal", Some("goal")));
    let goal = json!({ "key": "purchase", "revenue": "9.00", "payout": "5.00" });
    network.make(&format!("/campaigns/{}/goals", campaign.id), &goal);
    network.sends(&target, "recorded");
    assert_eq!(network.conversions(&click)[0]["revenue"], "9.00");
}

#[test]
fn a_new_token_holds_for_the_next_postback() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let target = |token: &str, txn: u32| {
        format!("{}?click_id={click}&txn_id={txn}&token={token}", campaign.postback)
    };
    for round in 0..10 {
        network.set_token(campaign.integration, &format!("token-{round}"));
        network.sends(&target(&format!("token-{round}"), round), "recorded");
        let old = format!("token-{}", round + 1);
        network.refuses(&target(&old, round), (401, "signature_mismatch", Some("token")));
    }
}

#[test]
fn the_same_idempotency_key_makes_one_noun() {
    let mut network = Network::start();
    let post = |network: &mut Network, path: &str, key: &str, body: &Value| {
        network.client.api_with("POST", path, &[("Idempotency-Key", key)], Some(body))
    };
    let body = json!({ "name": "Once" });
    let first = post(&mut network, "/advertisers", "key-1", &body);
    assert_eq!(first.status, 201);
    for _ in 0..3 {
        let again = post(&mut network, "/advertisers", "key-1", &body);
        assert_eq!((again.status, again.json()), (201, first.json()));
    }
    network.restart();
    let again = post(&mut network, "/advertisers", "key-1", &body);
    assert_eq!((again.status, again.json()), (201, first.json()), "also after a restart");
    let other = post(&mut network, "/advertisers", "key-1", &json!({ "name": "Twice" }));
    assert_eq!((other.status, text(&other.json()["code"])), (409, "idempotency_key_reused"));
    let elsewhere = post(&mut network, "/publishers", "key-1", &body);
    assert_eq!(elsewhere.status, 409);
    let names: Vec<Value> = network.ask("/advertisers")["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(names, ["Acme", "Once"]);
    // A failure is answered as before, too.
    let unknown = json!({ "to": "active" });
    let path = "/campaigns/99/status";
    let failed = post(&mut network, path, "key-2", &unknown);
    assert_eq!(failed.status, 404);
    assert_eq!(post(&mut network, path, "key-2", &unknown).json(), failed.json());
}

#[test]
fn a_status_change_sent_again_under_its_key_is_no_second_change() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let path = format!("/campaigns/{}/status", campaign.id);
    let send = |network: &mut Network, key: &str, to: &str| {
        let body = json!({ "to": to });
        network.client.api_with("POST", &path, &[("Idempotency-Key", key)], Some(&body)).status
    };
    assert_eq!(send(&mut network, "pause", "paused"), 200);
    assert_eq!(send(&mut network, "resume", "active"), 200);
    assert_eq!(send(&mut network, "pause", "paused"), 200, "answered as before");
    let shown = network.ask(&format!("/campaigns/{}", campaign.id));
    assert_eq!(shown["status"], "active", "and done once");
}

#[test]
fn a_change_names_what_is_wrong_with_it() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let path = format!("/campaigns/{}", campaign.id);
    for (body, parameter) in [
        (json!({ "landing_ulr": "https://x.example/" }), "landing_ulr"),
        (json!({ "landing_url": "javascript:alert(1)" }), "landing_url"),
        (json!({ "landing_url": "https://{sub1}.example/?c={click_id}" }), "landing_url"),
        (json!({ "fallback_url": "ftp://x.example/" }), "fallback_url"),
        (json!({ "window_days": 0 }), "window_days"),
        (json!({ "window_days": 731 }), "window_days"),
        (json!({ "time_zone": "Mars/Olympus" }), "time_zone"),
        (json!({ "currency": "EUR" }), "currency"),
    ] {
        let reply = network.client.api("PATCH", &path, Some(&body));
        let answer = reply.json();
        assert_eq!(
            (reply.status, answer["parameter"].as_str()),
            (400, Some(parameter)),
            "{answer}"
        );
    }
    let empty = network.client.api("PATCH", &path, Some(&json!({})));
    assert_eq!(empty.status, 400);
    // What would be read in a question is not silently left out of a change.
    let asked = json!({ "name": "x" });
    let reply = network.client.api("PATCH", &format!("{path}?window_days=1"), Some(&asked));
    assert_eq!((reply.status, text(&reply.json()["parameter"])), (400, "window_days"));
    let gone = network.client.api("PATCH", "/campaigns/99", Some(&json!({ "name": "x" })));
    assert_eq!(gone.status, 404);
    // A landing URL that would lose the click id, of a campaign that is active.
    let without = json!({ "landing_url": "https://shop.example/" });
    let reply = network.client.api("PATCH", &path, Some(&without));
    let answer = reply.json();
    assert_eq!((reply.status, text(&answer["code"])), (409, "landing_url_without_click_id"));
}

#[test]
fn an_archived_link_leads_nowhere_and_is_still_found() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    network.make(&format!("/links/{}/archive", campaign.link), &json!({}));
    let reply = network.client.get(format!("/c/{}", campaign.token));
    assert!(matches!(reply.status, 404 | 410), "{}", reply.status);
    assert_eq!(network.ask(&format!("/links/{}", campaign.link))["archived"], true);
    assert_eq!(network.ask("/links?archived=false")["items"], json!([]));
    network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
}

#[test]
fn an_active_campaign_is_not_archived_and_an_ended_one_is() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let path = format!("/campaigns/{}/archive", campaign.id);
    network.refused("POST", &path, Some(&json!({})), (409, "in_use"));
    let click = network.click(&campaign);
    network.status(campaign.id, "ended");
    network.make(&path, &json!({}));
    assert_eq!(network.ask("/campaigns?archived=true")["items"][0]["id"], campaign.id);
    // What was clicked before still counts.
    network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
}

#[test]
fn a_campaign_goes_no_other_way_than_its_life_cycle() {
    let mut network = Network::start();
    let id = network.draft("counterfoil", &json!({}));
    let path = format!("/campaigns/{id}/status");
    for (refused, then) in [
        (&["active", "approved", "paused", "ended", "rejected"][..], "pending_approval"),
        (&["active", "paused", "ended", "draft"], "rejected"),
        (&["active", "approved", "pending_approval"], "draft"),
        (&["active"], "pending_approval"),
        (&["active"], "approved"),
        (&["paused", "draft", "rejected"], "active"),
        (&["approved", "draft"], "paused"),
        (&["approved"], "ended"),
        (&["active", "paused", "draft"], ""),
    ] {
        for to in refused {
            let body = json!({ "to": to });
            network.refused("POST", &path, Some(&body), (409, "transition_not_allowed"));
        }
        if !then.is_empty() {
            network.status(id, then);
        }
    }
    let unknown = json!({ "to": "sleeping" });
    assert_eq!(network.client.api("POST", &path, Some(&unknown)).status, 400);
}

#[test]
fn nothing_is_told_without_the_key() {
    let mut network = Network::start();
    for (name, value) in
        [("X-Nothing", "x"), ("Authorization", "Bearer wrong"), ("Authorization", "Basic x")]
    {
        for path in ["/api/v1/campaigns", "/api/v1/no-such-thing", "/api/v1/reports"] {
            let reply = network.client.send("GET", path, &[(name, value)], b"");
            assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
            assert_eq!(reply.json()["code"], "unauthorized");
        }
    }
}

#[test]
fn setup_survives_a_crash_once_it_is_answered() {
    let mut network = Network::start();
    let campaign = network.campaign("clickwall");
    let shown = network.ask(&format!("/campaigns/{}", campaign.id));
    network.server.kill9();
    network.server.restart();
    network.client = network.server.client();
    assert_eq!(network.ask(&format!("/campaigns/{}", campaign.id)), shown);
    let click = network.click(&campaign);
    let url = network.ask(&format!("/campaigns/{}/postback-url", campaign.id))["url"].clone();
    network.sends(&filled(text(&url), &[("{click_id}", &click)]), "recorded");
}

#[test]
fn metrics_are_told_at_their_own_address_alone() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    network.click(&campaign);
    let reply = network.client.get("/metrics");
    assert_eq!(reply.status, 404, "{}", reply.text());
    let reply = Client::new(network.server.metrics_address()).get("/metrics");
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("counterfoil_clicks_total"), "{}", reply.text());
}

#[test]
fn a_configuration_that_is_there_and_cannot_be_read_is_not_passed_over() {
    let server = Server::start();
    let file = server.data().with_file_name("counterfoil.toml");
    assert!(server.run(&["check-config"]).status.success(), "there is none");
    std::fs::create_dir(file).unwrap();
    let output = server.run(&["check-config"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("cannot read counterfoil.toml"), "{told}");
}
