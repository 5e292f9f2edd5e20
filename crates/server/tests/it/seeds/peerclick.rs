//! PeerClick, "Track Conversions via S2S Postback URL": an offer source set up once, with the
//! parameter that carries the click id, and used by many campaigns.

use crate::network::{Network, filled, parameter, text};
use serde_json::{Value, json};

/// A network with one offer source and two campaigns that use it.
struct Source {
    network: Network,
    integration: Value,
    /// Each with a click id of its own.
    clicks: Vec<String>,
}

impl Source {
    fn start() -> Self {
        let mut network = Network::start();
        let integration = network.make(
            "/integrations",
            &json!({
                "level": "advertiser", "advertiser_id": network.advertiser,
                "partner": "peerclick", "landing_params": "aff_sub={clickid}",
            }),
        );
        let mut clicks = Vec::new();
        for landing_url in ["https://offers.example/sweeps?offer=11", "https://offers.example/t"] {
            let id = network.draft(
                "peerclick",
                &json!({
                    "partner": null, "integration_id": integration["id"], "type": "cpl",
                    "landing_url": landing_url,
                    "goals": [{ "key": "lead", "default": true,
                        "revenue": { "from": "postback" }, "payout": "0" }],
                }),
            );
            network.activate(id);
            let (_, token) = network.link(id, false);
            let location = network.visit(&token, "");
            let separator = if landing_url.contains('?') { '&' } else { '?' };
            let click = parameter(&location, "aff_sub").expect("the source adds its parameter");
            assert_eq!(location, format!("{landing_url}{separator}aff_sub={click}"));
            clicks.push(click.to_owned());
        }
        Self { network, integration, clicks }
    }

    /// A postback of the offer source, in full.
    fn postback(&self, click: &str, status: &str, txid: &str) -> String {
        let values =
            [("{clickid}", click), ("{payout}", "1.25"), ("{status}", status), ("{txid}", txid)];
        filled(text(&self.integration["postback_url"]), &values)
    }
}

#[test]
fn the_offer_url_carries_our_click_id_in_the_clickid_macro() {
    let mut network = Network::start();
    let landing = json!({ "landing_url": "http://offer.example/?src={clickid}&x={unknown}" });
    let id = network.draft("peerclick", &landing);
    network.activate(id);
    let (_, token) = network.link(id, false);
    let location = network.visit(&token, "");
    let click = parameter(&location, "src").unwrap();
    assert_eq!(click.len(), 36, "{location}");
    assert!(location.contains("x={unknown}"), "other braces pass through: {location}");
    let shown = network.ask(&format!("/campaigns/{id}/postback-url"));
    let target = filled(
        text(&shown["url"]),
        &[("{clickid}", click), ("{payout}", ""), ("{status}", ""), ("{txid}", "")],
    );
    network.sends(&target, "recorded");
}

#[test]
fn an_offer_url_without_our_click_id_cannot_go_live() {
    let mut network = Network::start();
    let landing = json!({ "landing_url": "https://offers.example/sweeps" });
    let id = network.draft("peerclick", &landing);
    network.status(id, "pending_approval");
    network.status(id, "approved");
    let active = json!({ "to": "active" });
    let path = format!("/campaigns/{id}/status");
    network.refused("POST", &path, Some(&active), (409, "landing_url_without_click_id"));
}

#[test]
fn an_offer_source_made_once_is_used_by_many_campaigns() {
    let mut source = Source::start();
    for click in source.clicks.clone() {
        let target = source.postback(&click, "sale", "n-1");
        source.network.sends(&target, "recorded");
    }
    let report = source.network.report("&group_by=campaign");
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{report}");
    for row in rows {
        assert_eq!((&row["approved"], text(&row["revenue"])), (&json!(1), "1.25"));
    }
    let path = format!("/integrations/{}", source.integration["id"]);
    let refused = (409, "in_use");
    source.network.refused("POST", &format!("{path}/archive"), Some(&json!({})), refused);
}

#[test]
fn only_the_cid_is_required() {
    let mut source = Source::start();
    let path = filled(text(&source.integration["postback_url"]), &[]);
    let path = path.split('?').next().unwrap().to_owned();
    let missing = (400, "missing_parameter", Some("cid"));
    let answer = source.network.refuses(&format!("{path}?CID=1&payout=1"), missing);
    assert_eq!(answer["nearest"], "CID", "names are case-sensitive");
    let click = source.clicks[0].clone();
    let answer = source.network.sends(&format!("{path}?cid={click}"), "recorded");
    assert_eq!(answer["status"], "approved");
    let flags = answer["flags"].to_string();
    assert!(flags.contains("amount_missing"), "{flags}");
    assert_eq!(source.network.conversions(&click)[0]["revenue"], "0.00");
}

#[test]
fn a_blank_status_is_approved_and_every_word_of_the_schemes_is_known() {
    let mut source = Source::start();
    let click = source.clicks[0].clone();
    for (place, (word, status)) in [
        ("", "approved"),
        ("hold", "pending"),
        ("sale", "approved"),
        ("Reject", "rejected"),
        ("start", "approved"),
        ("REBILL", "approved"),
        ("buy%20out", "approved"),
        ("buy+out", "approved"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = source.postback(&click, word, &format!("tx-{place}"));
        let answer = source.network.sends(&target, "recorded");
        assert_eq!(answer["status"], status, "{word}");
    }
    let stop = source.postback(&click, "stop", "tx-0");
    let answer = source.network.sends(&stop, "ignored");
    assert_eq!(answer["reason"], "status_ignored");
    let held = source.postback(&click, "sale", "tx-1");
    source.network.sends(&held, "updated");
    let unknown = source.postback(&click, "unheard-of", "tx-9");
    source.network.refuses(&unknown, (422, "unknown_status", Some("status")));
}

#[test]
fn a_txid_tells_conversions_of_one_click_apart() {
    let mut source = Source::start();
    let click = source.clicks[0].clone();
    let first = source.postback(&click, "sale", "n-1");
    source.network.sends(&first, "recorded");
    source.network.sends(&first, "duplicate");
    let second = source.postback(&click, "sale", "n-2");
    source.network.sends(&second, "recorded");
    // Without one there is one conversion of the click.
    let without = source.postback(&click, "sale", "");
    source.network.sends(&without, "recorded");
    source.network.sends(&without, "duplicate");
    assert_eq!(source.network.conversions(&click).len(), 3);
}

#[test]
fn conversion_id_params_and_numeric_events_are_kept() {
    let mut source = Source::start();
    let click = source.clicks[0].clone();
    let more = "&conversion_id=CV-1&param1=blue&param20=last&event1=3&event30=2.5&event2=many";
    let target = format!("{}{more}", source.postback(&click, "sale", "n-1"));
    let answer = source.network.sends(&target, "recorded");
    let conversion = &source.network.conversions(&click)[0];
    for (name, value) in [
        ("conversion_ref", "CV-1"),
        ("param1", "blue"),
        ("param20", "last"),
        ("event1", "3"),
        ("event30", "2.5"),
    ] {
        assert_eq!(conversion[name], value, "{name} of {conversion}");
    }
    assert!(conversion["event2"].is_null(), "an event is a number");
    assert!(answer["flags"].to_string().contains("label_dropped"), "{answer}");
}

#[test]
fn the_payout_is_in_the_campaigns_currency_or_waits() {
    let mut source = Source::start();
    let click = source.clicks[0].clone();
    let own = format!("{}&currency=usd", source.postback(&click, "sale", "n-1"));
    source.network.sends(&own, "recorded");
    let other = format!("{}&currency=EUR", source.postback(&click, "sale", "n-2"));
    let reply = source.network.client.get(&other);
    let answer = reply.json();
    assert_eq!((reply.status, text(&answer["verdict"])), (202, "parked"));
    assert_eq!(answer["reason"], "rate_missing");
    let none = format!("{}&currency=XYZ1", source.postback(&click, "sale", "n-3"));
    let reply = source.network.client.get(&none);
    assert_eq!((reply.status, text(&reply.json()["reason"])), (422, "unknown_currency"));
    assert_eq!(source.network.totals()["revenue"], "1.25");
}
