//! Trackier, "Advertiser Server Postback Integration": postbacks at three levels, goals beside the
//! default one, a test link, and the hits log that shows what went wrong.

use crate::network::{Campaign, Network, filled, parameter, text};
use serde_json::{Value, json};

/// The guide's example: Install by default, Registration and Purchase as goals.
fn three_goals() -> Value {
    json!({
        "type": "cpi",
        "goals": [
            { "key": "install", "name": "Install", "default": true,
              "revenue": "1.00", "payout": "0.70" },
            { "key": "registration", "name": "Registration",
              "revenue": { "from": "postback" }, "payout": "1.20" },
            { "key": "purchase", "name": "Purchase",
              "revenue": { "percent": "10" }, "payout": { "percent": "6" } },
        ],
    })
}

fn start() -> (Network, Campaign) {
    let mut network = Network::start();
    let campaign = network.campaign_with("trackier", &three_goals());
    (network, campaign)
}

fn url(network: &mut Network, path: &str) -> String {
    text(&network.ask(path)["url"]).to_owned()
}

/// A postback URL as an advertiser fills it in.
fn of(url: &str, click: &str, txn_id: &str) -> String {
    let values =
        [("{click_id}", click), ("{txn_id}", txn_id), ("{revenue}", ""), ("{status}", "approved")];
    filled(url, &values)
}

#[test]
fn the_default_postback_is_an_install() {
    let (mut network, campaign) = start();
    let click = network.click(&campaign);
    let url = url(&mut network, &format!("/campaigns/{}/postback-url", campaign.id));
    assert_eq!(parameter(&url, "goal_value"), None, "the default needs no goal: {url}");
    network.sends(&of(&url, &click, "i-1"), "recorded");
    let conversion = &network.conversions(&click)[0];
    assert_eq!((text(&conversion["goal"]), text(&conversion["revenue"])), ("install", "1.00"));
}

#[test]
fn a_goal_has_a_postback_url_of_its_own_and_its_own_terms() {
    let (mut network, campaign) = start();
    let click = network.click(&campaign);
    let base = format!("/campaigns/{}/postback-url", campaign.id);
    let install = url(&mut network, &base);
    let registration = url(&mut network, &format!("{base}?goal=registration"));
    let purchase = url(&mut network, &format!("{base}?goal=purchase"));
    assert_eq!(parameter(&registration, "goal_value"), Some("registration"));
    network.sends(&of(&install, &click, "1"), "recorded");
    let registered = of(&registration, &click, "1").replace("revenue=", "revenue=2.25");
    network.sends(&registered, "recorded");
    network.sends(&format!("{}&sale_amount=49.90", of(&purchase, &click, "1")), "recorded");
    network.sends(&of(&install, &click, "1"), "duplicate");
    let report = network.report("&group_by=goal&sort=goal");
    let money: Vec<(&str, &str, &str)> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| !row["goal"].is_null() && row["conversions"] != 0)
        .map(|row| (text(&row["goal"]), text(&row["revenue"]), text(&row["payout"])))
        .collect();
    let expected = [
        ("install", "1.00", "0.70"),
        ("purchase", "4.99", "2.994"),
        ("registration", "2.25", "1.20"),
    ];
    assert_eq!(money, expected);
    network.refused("GET", &format!("{base}?goal=refund"), None, (400, "invalid_parameter"));
    let other = format!("{}&goal_value=refund", of(&install, &click, "2"));
    network.refuses(&other, (422, "unknown_goal", Some("goal_value")));
}

#[test]
fn an_advertisers_postback_serves_every_campaign_of_it() {
    let (mut network, first) = start();
    let second = network.campaign_with("trackier", &three_goals());
    let path = format!("/advertisers/{}/postback-url", network.advertiser);
    network.refused("GET", &path, None, (404, "not_found"));
    let body = json!({
        "level": "advertiser", "advertiser_id": network.advertiser, "partner": "trackier",
    });
    network.created("/integrations", &body);
    let url = url(&mut network, &path);
    for campaign in [&first, &second] {
        let click = network.click(campaign);
        network.sends(&of(&url, &click, "i-1"), "recorded");
        assert_eq!(network.conversions(&click)[0]["campaign_id"], campaign.id);
    }
    // Not of another advertiser's.
    let other = network.created("/advertisers", &json!({ "name": "Other" }));
    let foreign = network.campaign_with("trackier", &json!({ "advertiser_id": other }));
    let click = network.click(&foreign);
    let reply = network.client.get(of(&url, &click, "i-1"));
    assert_eq!((reply.status, text(&reply.json()["reason"])), (422, "campaign_mismatch"));
}

#[test]
fn the_global_postback_serves_every_campaign_there_is() {
    let (mut network, first) = start();
    let other = network.created("/advertisers", &json!({ "name": "Other" }));
    let fields = json!({ "advertiser_id": other });
    let second = network.campaign_with("clickwall", &fields);
    let url = url(&mut network, "/postback-url");
    for campaign in [&first, &second] {
        let click = network.click(campaign);
        network.sends(&of(&url, &click, "g-1"), "recorded");
    }
    let body = json!({ "level": "global", "partner": "trackier" });
    let made = network.make("/integrations", &body);
    let click = network.click(&first);
    let target = of(text(&made["postback_url"]), &click, "g-2");
    network.sends(&format!("{target}&goal_value=purchase&sale_amount=10"), "recorded");
    assert_eq!(network.totals()["conversions"], 3);
}

#[test]
fn revenue_sale_amount_txn_id_sub1_to_sub10_and_status_are_read() {
    let (mut network, campaign) = start();
    let click = network.click_with(&campaign, "sub1=us&sub10=last");
    let shown = network.ask(&format!("/campaigns/{}/postback-url", campaign.id));
    let parameters = shown["parameters"].as_array().unwrap();
    let names: Vec<&str> = parameters.iter().map(|it| text(&it["name"])).collect();
    for name in ["click_id", "revenue", "sale_amount", "txn_id", "sub1", "sub10", "status"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let subs: Vec<String> = (1..=10).map(|number| format!("sub{number}=said-{number}")).collect();
    let target = format!(
        "{}?click_id={click}&revenue=1.10&sale_amount=20.00&txn_id=T-9&status=pending&{}",
        campaign.postback,
        subs.join("&")
    );
    let answer = network.sends(&target, "recorded");
    let conversion = network.ask(&format!("/conversions/{}", answer["conversion"]));
    for (name, value) in [
        ("txn_id", "T-9"),
        ("status", "pending"),
        ("raw_status", "pending"),
        ("sent_amount", "1.10"),
        ("sale_amount", "20.00"),
        ("revenue", "1.00"),
        // Reports use what the click said; what the postback says is kept beside it.
        ("sub1", "us"),
        ("sub10", "last"),
    ] {
        assert_eq!(conversion[name], value, "{name} of {conversion}");
    }
    assert_eq!(conversion["said"]["sub10"], "said-10", "{conversion}");
    let flags = conversion["flags"].to_string();
    assert!(flags.contains("sent_amount_differs"), "{flags}");
    assert!(conversion["trace"].to_string().contains("said-10"), "{}", conversion["trace"]);
}

#[test]
fn a_test_link_makes_test_conversions() {
    let mut network = Network::start();
    let id = network.draft("trackier", &three_goals());
    let body = json!({ "campaign_id": id, "publisher_id": network.publisher, "test": true });
    network.refused("POST", "/links", Some(&body), (409, "campaign_not_approved"));
    network.status(id, "pending_approval");
    network.status(id, "approved");
    let (_, token) = network.link(id, true);
    let location = network.visit(&token, "sub1=qa");
    let click = parameter(&location, "cid").unwrap().to_owned();
    let url = url(&mut network, &format!("/campaigns/{id}/postback-url"));
    let answer = network.sends(&of(&url, &click, "test-1"), "recorded");
    assert_eq!(network.hit(&answer)["is_test"], true);
    assert_eq!(network.conversions(&click)[0]["is_test"], true);
    assert_eq!(network.totals()["conversions"], 0);
    let with = network.report("&test=with")["totals"].clone();
    assert_eq!((&with["clicks"], &with["conversions"]), (&json!(1), &json!(1)));
    assert_eq!(network.ask("/conversions?test=false")["items"], json!([]));
}

#[test]
fn the_hits_log_shows_what_was_wrong_with_a_postback() {
    let (mut network, campaign) = start();
    let click = network.click(&campaign);
    let key = &campaign.postback;
    let wrong = format!("{key}?click_id={click}&revenue={{payout}}");
    let refused = network.refuses(&wrong, (400, "macro_not_replaced", Some("revenue")));
    network.refuses(&format!("{key}?cid={click}"), (400, "missing_parameter", Some("click_id")));
    network.sends(&format!("{key}?click_id={click}"), "recorded");
    let of_the_click = network.hits(&format!("click_id={click}"));
    let verdicts: Vec<&str> = of_the_click.iter().map(|hit| text(&hit["verdict"])).collect();
    assert_eq!(verdicts, ["recorded", "refused", "refused"], "newest first");
    let by_another_name = text(&of_the_click[1]["detail"]);
    assert_eq!(by_another_name, "`cid` holds our click id; this contract calls it `click_id`");
    let hit = &network.hits("reason=macro_not_replaced")[0];
    assert_eq!(hit["receipt"], refused["receipt"]);
    assert_eq!(hit["parameter"], "revenue");
    assert_eq!((text(&hit["method"]), hit["http_status"].as_u64()), ("GET", Some(400)));
    assert!(text(&hit["url"]).ends_with("revenue={payout}"), "{}", hit["url"]);
    assert!(text(&hit["detail"]).contains("`revenue`"), "{}", hit["detail"]);
    assert_eq!(hit["remote_ip"], "127.0.0.1");
    assert_eq!(network.hits("verdict=refused").len(), 2);
    assert_eq!(network.hits("verdict=recorded").len(), 1);
}
