//! What the API says to whoever makes a mistake: each refusal names the field and says what would
//! be right.

use crate::network::{Network, text};
use serde_json::{Value, json};

/// A call; the status, the field that is blamed, and what the detail has to say.
type Mistake<'a> = (&'a str, &'a str, Value, (u16, &'a str, &'a str));

/// A campaign with one field added, or in place of what was there.
fn campaign(field: &str, value: &Value) -> Value {
    let mut body = json!({
        "advertiser_id": 1, "name": "Spring", "currency": "USD",
        "landing_url": "https://example.com/?c={click_id}",
    });
    body[field] = value.clone();
    body
}

#[track_caller]
fn refuse(network: &mut Network, mistakes: Vec<Mistake<'_>>) {
    for (method, path, body, (status, field, says)) in mistakes {
        let body = Some(&body).filter(|body| !body.is_null());
        let reply = network.client.api(method, path, body);
        let told = reply.json();
        let found = (reply.status, told["parameter"].as_str().unwrap_or_default());
        assert_eq!(found, (status, field), "{method} {path} {body:?}: {told}");
        assert!(text(&told["detail"]).contains(says), "{method} {path} {body:?}: {told}");
    }
}

#[test]
fn a_mistake_in_a_campaign_is_told_where_it_stands() {
    let mut network = Network::start();
    let wrong = [
        ("advertiser_id", json!(99), "advertiser_id", "advertiser 99 in use"),
        ("advertiser_id", json!("1"), "advertiser_id", "whole number"),
        ("advertiser_id", json!(99_999_999_999_u64), "advertiser_id", "not too large"),
        ("name", json!(" "), "name", "1 to 200 bytes"),
        ("type", json!("cpx"), "type", "one of: cpi, cpl, cpa, cps"),
        ("landing_url", json!("ftp://example.com/"), "landing_url", "https://"),
        ("landing_url", json!("https://{sub1}/"), "landing_url", "after the first slash"),
        ("landing_url", json!("https://a.example/\r\nX: y"), "landing_url", "no control"),
        ("fallback_url", json!("https://a.example/a\tb"), "fallback_url", "no control"),
        ("fallback_url", json!("example.com"), "fallback_url", "https://"),
        ("currency", json!("EURO"), "currency", "ISO 4217"),
        ("currency", json!(978), "currency", "ISO 4217"),
        ("time_zone", json!("Mars/Olympus"), "time_zone", "Europe/Berlin"),
        ("window_days", json!(731), "window_days", "from 1 to 730"),
        ("partner", json!("nobody"), "partner", "`GET /api/v1/partners` lists them all"),
        ("partner", json!("click-wal"), "partner", "the nearest is `clickwall`"),
        ("integration_id", json!(99), "integration_id", "no integration 99"),
        ("goals", json!({}), "goals", "a list"),
        ("goals", json!([{ "name": "Lead" }]), "goals[0].key", "required"),
        ("goals", json!([{ "key": "a" }, { "key": "" }]), "goals[1].key", "such as `lead`"),
        ("goals", json!([{ "key": "a" }, { "key": "A" }]), "goals[1].key", "a key of its own"),
        ("goals", json!([{ "key": "{goal}" }]), "goals[0].key", "macro"),
        (
            "goals",
            json!([{ "key": "a", "revenue": "1,5" }]),
            "goals[0].revenue",
            "a decimal such as 12.5",
        ),
        (
            "goals",
            json!([{ "key": "a", "revenue": "99999999999999999999" }]),
            "goals[0].revenue",
            "at most 1000000000",
        ),
        ("goals", json!([{ "key": "a", "payout": "1000000000.01" }]), "goals[0].payout", "at most"),
        ("goals", json!([{ "key": "a", "revenue": {} }]), "goals[0].revenue", "percent"),
        ("goals", json!([{ "key": "a", "payout": "-1" }]), "goals[0].payout", "not negative"),
        ("goals", json!([{ "key": "a", "payuot": "1" }]), "goals[0].payuot", "`payout`"),
        ("landing-url", json!("https://example.com"), "landing-url", "`landing_url`"),
    ];
    let wrong = wrong.iter().map(|(field, value, blamed, says)| {
        ("POST", "/campaigns", campaign(field, value), (400, *blamed, *says))
    });
    refuse(&mut network, wrong.collect());
    assert_eq!(network.ask("/campaigns")["items"], json!([]));
}

#[test]
fn a_mistake_in_the_rest_of_the_setup_is_told_where_it_stands() {
    let mut network = Network::start();
    let draft = network.draft("counterfoil", &json!({}));
    let own = format!("/campaigns/{draft}");
    let (status, goals, archive) =
        (format!("{own}/status"), format!("{own}/goals"), format!("{own}/archive"));
    let link = |campaign: u64, more: &Value| {
        let mut body = json!({ "campaign_id": campaign, "publisher_id": 1 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let none = json!({});
    let mistakes: Vec<Mistake<'_>> = vec![
        ("POST", "/advertisers", json!({ "name": 5 }), (400, "name", "text, in quotes")),
        ("PATCH", "/publishers/1", none.clone(), (400, "name", "required")),
        ("PATCH", &own, none.clone(), (400, "", "what can change is: name, landing_url")),
        ("PATCH", &own, json!({ "name": null }), (400, "name", "cannot be null")),
        ("PATCH", &own, json!({ "currency": "EUR" }), (400, "currency", "there are: name")),
        ("POST", &status, json!({ "to": "live" }), (400, "to", "one of: draft, pending_approval")),
        ("POST", &status, json!({ "to": "active" }), (409, "to", "can become pending_approval")),
        ("POST", &goals, json!({ "key": "install" }), (400, "key", "a key of its own")),
        ("POST", &goals, json!({ "key": "a", "payout": "-1" }), (400, "payout", "not negative")),
        ("POST", &archive, json!({ "now": true }), (400, "now", "takes no fields")),
        ("POST", "/links", link(99, &none), (400, "campaign_id", "no campaign 99 in use")),
        (
            "POST",
            "/links",
            link(draft, &json!({ "test": true })),
            (409, "test", "once it is approved"),
        ),
        (
            "POST",
            "/links",
            link(draft, &json!({ "test": "yes" })),
            (400, "test", "`true` or `false`"),
        ),
        ("POST", "/test-clicks", json!({ "link_id": 9 }), (400, "link_id", "no link 9 in use")),
    ];
    refuse(&mut network, mistakes);
}

#[test]
fn a_mistake_in_an_integration_is_told_where_it_stands() {
    let mut network = Network::start();
    let draft = network.draft("counterfoil", &json!({}));
    let integration = |level: &str, more: &Value| {
        let mut body = json!({ "level": level, "partner": "kiwiwall" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let none = json!({});
    let mistakes: Vec<Mistake<'_>> = vec![
        ("POST", "/integrations", integration("network", &none), (400, "level", "one of: global")),
        (
            "POST",
            "/integrations",
            integration("advertiser", &none),
            (400, "advertiser_id", "needs"),
        ),
        (
            "POST",
            "/integrations",
            integration("campaign", &json!({ "campaign_id": draft })),
            (409, "campaign_id", "made at approval"),
        ),
        (
            "POST",
            "/integrations",
            integration("global", &json!({ "landing_params": " " })),
            (400, "landing_params", "such as `aff_sub={clickid}`"),
        ),
        (
            "PATCH",
            "/integrations/1",
            json!({ "landing_params": "a=b\r\nSet-Cookie: x=1" }),
            (400, "landing_params", "pairs such as `aff_sub={clickid}`"),
        ),
        (
            "POST",
            "/integrations",
            integration("global", &json!({ "secrets": { "tokens": "x" } })),
            (400, "secrets.tokens", "there are: token"),
        ),
        (
            "POST",
            "/integrations",
            integration("global", &json!({ "secrets": { "token": "***" } })),
            (400, "secrets.token", "give the secret itself"),
        ),
        (
            "POST",
            "/integrations",
            integration("global", &json!({ "secrets": "token" })),
            (400, "secrets", "an object, in braces"),
        ),
        ("POST", "/integrations/1/archive", Value::Null, (409, "", "make another first")),
    ];
    refuse(&mut network, mistakes);
}

#[test]
fn a_refusal_repeats_what_was_sent_at_no_length() {
    let mut network = Network::start();
    let own = network.campaign("counterfoil");
    let (long, ticks) = ("n".repeat(5_000), "`".repeat(5_000));
    let contracts = format!("/integrations/{}/contracts", own.integration);
    let active = network.ask(&format!("{contracts}/1"))["contract"].clone();
    let with = |pointer: &str, name: &str, value: Value| {
        let mut contract = active.clone();
        if contract.pointer(pointer).is_none() {
            contract[&pointer[1..]] = json!({});
        }
        contract.pointer_mut(pointer).unwrap()[name] = value;
        json!({ "contract": contract })
    };
    let one = |name: &str, value: &str| json!({ name: value });
    for (method, path, body) in [
        ("POST", "/campaigns", campaign(&long, &json!(5))),
        ("POST", "/campaigns", campaign("partner", &json!(long))),
        ("POST", "/campaigns", campaign("time_zone", &json!(long))),
        ("POST", "/campaigns", campaign("goals", &json!([{ "key": "a", &long: 1 }]))),
        (
            "POST",
            "/campaigns",
            campaign("goals", &json!([{ "key": "a", "revenue": { &long: 1 } }])),
        ),
        ("POST", &contracts, with("", &long, json!(1))),
        ("POST", &contracts, with("", &ticks, json!(1))),
        ("POST", &contracts, with("", "identity", json!(long))),
        ("POST", &contracts, with("/times", "zone", json!(long))),
        ("POST", &contracts, with("/times", "zone", json!(ticks))),
        ("POST", &contracts, with("/times", "formats", json!([long]))),
        ("POST", &contracts, with("/goals", " ", json!(long))),
        ("POST", &contracts, with("/goals", &format!(" {long}"), json!("install"))),
        ("POST", &contracts, with("/parameters/0", "canonical", json!(long))),
        ("POST", &contracts, with("/parameters/0", "names", json!([long]))),
        ("POST", &contracts, with("/parameters/0", &long, json!(1))),
        ("POST", &contracts, with("/verification", "networks", json!([long]))),
        ("POST", &contracts, with("/repeats", "transitions", json!([long]))),
        ("PATCH", "/integrations/1", json!({ "secrets": { &long: "x" } })),
        ("PUT", "/integrations/1/macros", one("click_id", &long)),
        ("PUT", "/integrations/1/macros", one(&long, "{x}")),
        ("POST", "/builder/check", json!({ "partner": long, "url": "https://a.example/" })),
        ("GET", &format!("/hits?{long}=1"), Value::Null),
        ("GET", &format!("/hits?verdict={long}"), Value::Null),
        ("GET", &format!("/reports?group_by={long}"), Value::Null),
        ("GET", &format!("/reports?time_zone={long}"), Value::Null),
        ("GET", &format!("/campaigns/1/postback-url?goal={long}"), Value::Null),
        ("GET", &format!("/partners/{long}"), Value::Null),
        ("GET", &format!("/clicks/{long}"), Value::Null),
        ("GET", &format!("/hits/{long}"), Value::Null),
        ("POST", "/advertisers", json!(long)),
    ] {
        let body = Some(&body).filter(|body| !body.is_null());
        let reply = network.client.api(method, path, body);
        let told = reply.text();
        assert!((400..500).contains(&reply.status), "{method} {path:.60} {body:.200?}: {told}");
        let has_ticks = body.is_some_and(|body| body.to_string().contains(&ticks));
        let bytes_max = if has_ticks { 2_500 } else { 1_200 };
        assert!(told.len() < bytes_max, "{method} {path:.60}: {} {told}", told.len());
    }
    let near = network.refused("GET", "/partners/kiwiwal", None, (404, "not_found"));
    assert_eq!(near["detail"], "there is no partner kiwiwal; the nearest is `kiwiwall`");
}

#[test]
fn where_no_field_is_required_an_empty_body_is_enough() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let contracts = format!("/integrations/{}/contracts", campaign.integration);
    let active = network.ask(&format!("{contracts}/1"))["contract"].clone();
    network.make(&contracts, &json!({ "contract": active }));
    let replay = format!("/integrations/{}/replay", campaign.integration);
    for (path, status) in [(format!("{contracts}/2/try"), 200), (replay, 200)] {
        let reply = network.client.api("POST", &path, None);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
    }
    let (activate, own) =
        (format!("{contracts}/2/activate"), format!("/campaigns/{}", campaign.id));
    let mistakes = vec![
        ("POST", &*activate, Value::Null, (409, "", "sign")),
        ("PATCH", &own, Value::Null, (400, "", "it changes nothing")),
        ("POST", "/advertisers", Value::Null, (400, "", "it is empty")),
    ];
    refuse(&mut network, mistakes);
}

#[test]
fn what_is_right_but_not_now_says_what_has_to_come_first() {
    let mut network = Network::start();
    let bare = json!({ "landing_url": "https://shop.example/" });
    let campaign = network.draft("counterfoil", &bare);
    let status = format!("/campaigns/{campaign}/status");
    for to in ["pending_approval", "approved"] {
        network.status(campaign, to);
    }
    let active = json!({ "to": "active" });
    let mistake = ("POST", &*status, active.clone(), (409, "landing_url", "{click_id}"));
    refuse(&mut network, vec![mistake]);
    let integration = network.ask(&format!("/campaigns/{campaign}"))["integration_id"].clone();
    let own = format!("/integrations/{integration}");
    network.change("PATCH", &own, &json!({ "landing_params": "cid={clickid}" }));
    network.make(&status, &active);
    let (archive, bare) = (format!("{own}/archive"), json!({ "landing_params": null }));
    let end = format!("/campaigns/{campaign}/archive");
    refuse(
        &mut network,
        vec![
            ("PATCH", &own, bare, (409, "landing_params", "pause it first")),
            ("POST", &archive, Value::Null, (409, "", "archive it first")),
            ("POST", &end, Value::Null, (409, "", "pause or end it first")),
        ],
    );
    network.make("/publishers/1/archive", &json!({}));
    let renamed = json!({ "name": "B" });
    let told = network.refused("PATCH", "/publishers/1", Some(&renamed), (409, "archived"));
    assert!(text(&told["detail"]).contains("not used or changed"), "{told}");
}

#[test]
fn a_mistake_about_what_came_in_is_told_where_it_stands() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
    let to = |to: &str, reason: &str| json!({ "to": to, "reason": reason });
    let status = "/conversions/1/status";
    let get = |path: &'static str, field: &'static str, says: &'static str| {
        ("GET", path, Value::Null, (400, field, says))
    };
    let mistakes = vec![
        ("POST", status, to("paid", "x"), (400, "to", "one of: pending, approved")),
        ("POST", status, to("pending", "x"), (409, "to", "can become reversed")),
        ("POST", status, to("reversed", " "), (400, "reason", "1 to 1000 bytes")),
        ("POST", status, json!({ "to": "reversed" }), (400, "reason", "required")),
        get("/conversions?status=paid", "status", "one of: pending, approved"),
        get("/conversions?from=yesterday", "from", "2026-11-20T09:30:00Z"),
        get("/conversions?click_id=x", "click_id", "a click id that we made"),
        get("/conversions?limit=5000", "limit", "from 1 to 1000"),
        get("/conversions?campaing_id=1", "campaing_id", "`campaign_id`"),
        get("/hits?receipt=x", "receipt", "`receipt` is one that we gave, such as "),
        get("/hits?verdict=lost", "verdict", "one of: recorded"),
        get("/hits?journaled=false&txn_id=1", "txn_id", "not journaled"),
        get("/reports?group_by=day,dya", "group_by", "the nearest is `day`"),
        get("/reports?group_by=day,goal,campaign,publisher,sub1", "group_by", "at most 4"),
        get("/reports?metrics=clicsk", "metrics", "the nearest is `clicks`"),
        get("/reports?sort=day", "sort", "there are: clicks"),
        get("/reports?test=yes", "test", "one of: without, only, with"),
        get("/reports?from=2026-11-20T00:00:00Z", "from", "a date such as 2026-11-20"),
        get("/reports?time_zone=Mars", "time_zone", "Europe/Berlin"),
        get("/campaigns/1/postback-url?goal=sale", "goal", "it has: install"),
        get("/campaigns/1/postback-url?level=all", "level", "one of: campaign"),
    ];
    refuse(&mut network, mistakes);
    let told = network.refused("GET", "/advertisers/1/postback-url", None, (404, "not_found"));
    assert!(text(&told["detail"]).contains("make one with POST"), "{told}");
}
