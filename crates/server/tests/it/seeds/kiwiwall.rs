//! KiwiWall, "Postback URL parameters guide": a strict parameter map, a token for a signature, and
//! a reason for every refusal.

use crate::network::{Campaign, Network, filled, text};
use crate::past::{self, Origin};
use serde_json::{Value, json};

const TOKEN: &str = "s3cret-of-kiwi";
const TXN: &str = "t_7a8c1";

/// A network with a campaign of two goals, and its postback URL.
struct Kiwi {
    network: Network,
    campaign: Campaign,
    url: String,
}

impl Kiwi {
    fn start() -> Self {
        Self::start_with(&json!({}))
    }

    /// The campaign has these fields besides.
    fn start_with(more: &Value) -> Self {
        let mut network = Network::start();
        let from_postback = json!({ "from": "postback" });
        let mut fields = json!({
            "type": "cpi",
            "goals": [
                { "key": "install", "default": true, "revenue": from_postback, "payout": "1.60" },
                { "key": "deposit", "revenue": from_postback, "payout": from_postback },
            ],
        });
        for (name, value) in more.as_object().expect("fields are an object") {
            fields[name] = value.clone();
        }
        let campaign = network.campaign_with("kiwiwall", &fields);
        network.set_token(campaign.integration, TOKEN);
        let shown = network.ask(&format!("/campaigns/{}/postback-url", campaign.id));
        let url = text(&shown["url"]).to_owned();
        Self { network, campaign, url }
    }

    /// A visitor from post content in the US, as in the guide.
    fn click(&mut self) -> String {
        let query = "sub1=us&sub2=post-content-banner&sub3=spring-test";
        self.network.click_with(&self.campaign, query)
    }

    /// The guide's postback for a click.
    fn postback(&self, click: &str) -> String {
        let values = [
            ("{click_id}", click),
            ("{txn_id}", TXN),
            ("{status}", "approved"),
            ("{payout}", "2.35"),
            ("{signature}", TOKEN),
        ];
        filled(&self.url, &values)
    }
}

#[test]
fn the_scenario_of_the_guide_ends_in_figures_by_sub1_and_sub2() {
    let mut kiwi = Kiwi::start();
    let click = kiwi.click();
    let postback = kiwi.postback(&click);
    let answer = kiwi.network.sends(&postback, "recorded");
    assert_eq!((text(&answer["status"]), &answer["flags"]), ("approved", &json!([])));
    let conversion = &kiwi.network.conversions(&click)[0];
    assert_eq!((text(&conversion["txn_id"]), text(&conversion["revenue"])), (TXN, "2.35"));
    assert_eq!(text(&conversion["payout"]), "1.60");
    assert_eq!(text(&conversion["sub2"]), "post-content-banner");
    let other = kiwi.network.click_with(&kiwi.campaign, "sub1=ca");
    let refused = kiwi.postback(&other).replace("=approved", "=maybe");
    kiwi.network.refuses(&refused, (422, "unknown_status", Some("status")));
    let report = kiwi.network.report("&group_by=sub1&sort=sub1");
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{report}");
    let ca = json!({ "clicks": 1, "hits": 1, "refused": 1, "approved": 0, "revenue": "0.00" });
    let us = json!({ "clicks": 1, "hits": 1, "refused": 0, "approved": 1, "revenue": "2.35" });
    for (row, (sub1, expected)) in rows.iter().zip([("ca", ca), ("us", us)]) {
        assert_eq!(row["sub1"], sub1);
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&row[name], value, "{name} of {sub1}");
        }
    }
}

#[test]
fn a_conversion_is_one_for_its_click_transaction_and_event_type() {
    let mut kiwi = Kiwi::start();
    let (first, second) = (kiwi.click(), kiwi.click());
    let postback = kiwi.postback(&first);
    kiwi.network.sends(&postback, "recorded");
    kiwi.network.sends(&postback, "duplicate");
    kiwi.network.sends(&format!("{postback}&event_type=install"), "duplicate");
    kiwi.network.sends(&format!("{postback}&event_type=deposit"), "recorded");
    kiwi.network.sends(&format!("{postback}&event_type=deposit"), "duplicate");
    kiwi.network.sends(&postback.replace(TXN, "t_7a8c2"), "recorded");
    kiwi.network.sends(&postback.replace(TXN, "T_7A8C1"), "recorded");
    let of_another_click = kiwi.postback(&second);
    kiwi.network.sends(&of_another_click, "recorded");
    let unknown = (422, "unknown_goal", Some("event_type"));
    kiwi.network.refuses(&format!("{postback}&event_type=refund"), unknown);
    assert_eq!(kiwi.network.conversions(&first).len(), 4);
    assert_eq!(kiwi.network.totals()["conversions"], 5);
}

#[test]
fn three_of_the_guides_reasons_are_told_apart_before_the_window_ends() {
    let mut kiwi = Kiwi::start();
    let click = kiwi.click();
    let postback = kiwi.postback(&click);
    let invalid = (400, "invalid_payload", Some("payout"));
    kiwi.network.refuses(&postback.replace("=2.35", "=two"), invalid);
    let mismatch = (401, "signature_mismatch", Some("signature"));
    kiwi.network.refuses(&postback.replace(TOKEN, "guessed"), mismatch);
    kiwi.network.refuses(&postback.replace(TOKEN, ""), mismatch);
    kiwi.network.sends(&postback, "recorded");
    let answer = kiwi.network.sends(&postback, "duplicate");
    assert_eq!(answer["reason"], "already_processed");
}

#[test]
fn a_postback_after_the_window_is_late_and_one_before_its_end_is_not() {
    let mut kiwi = Kiwi::start_with(&json!({ "window_days": 7 }));
    let origin = Origin {
        campaign: kiwi.campaign.id,
        publisher: kiwi.network.publisher,
        link: kiwi.campaign.link,
    };
    kiwi.network.server.stop();
    let clicks = past::clicks(&kiwi.network.server, &origin, &[7 * 24 + 1, 7 * 24 - 1]);
    kiwi.network.server.restart();
    kiwi.network.client = kiwi.network.server.client();
    let late = kiwi.postback(&clicks[0]);
    let answer = kiwi.network.refuses(&late, (422, "late_window", None));
    assert_eq!(answer["retriable"], false);
    let in_time = kiwi.postback(&clicks[1]);
    let answer = kiwi.network.sends(&in_time, "recorded");
    assert_eq!(answer["flags"], json!([]), "the click's own row was found");
    assert_eq!(kiwi.network.totals()["conversions"], 1);
}

#[test]
fn the_same_mistake_is_always_answered_alike() {
    let mut kiwi = Kiwi::start();
    let click = kiwi.click();
    let postback = kiwi.postback(&click);
    let wrong = [
        postback.replace("=2.35", "=-1"),
        postback.replace(TOKEN, "x"),
        postback.replace("=approved", "=great"),
        postback.replace(&format!("txn_id={TXN}"), "txid=1"),
        postback.replace(&click, "c_94f1f2"),
        postback.replace("=2.35", "={payout}"),
    ];
    let told = |kiwi: &mut Kiwi, target: &str| {
        let reply = kiwi.network.client.get(target);
        let mut answer = reply.json();
        for of_its_own in ["receipt", "received_at", "decided_at"] {
            assert!(answer.as_object_mut().unwrap().remove(of_its_own).is_some());
        }
        (reply.status, answer)
    };
    let first: Vec<(u16, Value)> = wrong.iter().map(|target| told(&mut kiwi, target)).collect();
    for _ in 0..3 {
        let again: Vec<_> = wrong.iter().map(|target| told(&mut kiwi, target)).collect();
        assert_eq!(again, first);
    }
    let reasons: Vec<&str> = first.iter().map(|(_, answer)| text(&answer["reason"])).collect();
    assert_eq!(
        reasons,
        [
            "invalid_payload",
            "signature_mismatch",
            "unknown_status",
            "missing_parameter",
            "unknown_click",
            "macro_not_replaced"
        ]
    );
}

#[test]
fn whitespace_around_ids_is_trimmed() {
    let mut kiwi = Kiwi::start();
    let click = kiwi.click();
    let postback = kiwi.postback(&click);
    let padded = postback
        .replace(&click, &format!("%20{click}+"))
        .replace(TXN, &format!("%09{TXN}%20"))
        .replace("=approved", "=%20APPROVED");
    kiwi.network.sends(&padded, "recorded");
    assert_eq!(kiwi.network.conversions(&click)[0]["txn_id"], TXN);
    kiwi.network.sends(&postback, "duplicate");
    let upper = postback.replace(&click, &click.to_ascii_uppercase());
    kiwi.network.sends(&upper, "duplicate");
}

#[test]
fn a_postback_without_a_transaction_id_or_status_is_refused() {
    let mut kiwi = Kiwi::start();
    let click = kiwi.click();
    let postback = kiwi.postback(&click);
    for (from, to, missing) in [
        (format!("&txn_id={TXN}"), "", "txn_id"),
        (format!("={TXN}"), "=", "txn_id"),
        ("&status=approved".to_owned(), "", "status"),
        ("=approved".to_owned(), "=%20", "status"),
    ] {
        let told = (400, "missing_parameter", Some(missing));
        kiwi.network.refuses(&postback.replace(&from, to), told);
    }
    assert_eq!(kiwi.network.totals()["conversions"], 0);
}

#[test]
fn nothing_is_accepted_before_the_token_is_agreed() {
    let mut network = Network::start();
    let campaign = network.campaign("kiwiwall");
    let click = network.click(&campaign);
    let target =
        format!("{}?click_id={click}&txn_id=1&status=approved&signature=", campaign.postback);
    for guess in ["", "x", "null"] {
        let reply = network.client.get(format!("{target}{guess}"));
        assert_eq!(reply.status, 401, "{}", reply.text());
        assert_eq!(reply.json()["reason"], "signature_mismatch");
    }
    network.set_token(campaign.integration, TOKEN);
    network.sends(&format!("{target}{TOKEN}"), "recorded");
}

#[test]
fn the_token_is_never_shown() {
    let mut kiwi = Kiwi::start();
    let click = kiwi.click();
    let answer = kiwi.network.sends(&kiwi.postback(&click), "recorded");
    let shown = [
        kiwi.network.hit(&answer),
        kiwi.network.ask(&format!("/conversions/{}", answer["conversion"])),
        kiwi.network.ask(&format!("/integrations/{}", kiwi.campaign.integration)),
        kiwi.network.ask(&format!("/integrations/{}/contracts", kiwi.campaign.integration)),
        json!(kiwi.url),
        json!(kiwi.network.server.log()),
    ];
    for shown in shown {
        assert!(!shown.to_string().contains(TOKEN), "{shown}");
    }
}

#[test]
fn a_payout_beside_a_revenue_is_the_publishers() {
    let mut kiwi = Kiwi::start();
    let click = kiwi.click();
    let target = format!("{}&revenue=3.10&event_type=deposit", kiwi.postback(&click));
    kiwi.network.sends(&target, "recorded");
    let conversion = &kiwi.network.conversions(&click)[0];
    assert_eq!((text(&conversion["revenue"]), text(&conversion["payout"])), ("3.10", "2.35"));
}

#[test]
fn a_pending_conversion_is_approved_or_rejected_later() {
    let mut kiwi = Kiwi::start();
    let (first, second) = (kiwi.click(), kiwi.click());
    for (click, last) in [(first, "approved"), (second, "rejected")] {
        let postback = kiwi.postback(&click);
        let pending = postback.replace("=approved", "=pending");
        kiwi.network.sends(&pending, "recorded");
        let to_last = postback.replace("=approved", &format!("={last}"));
        kiwi.network.sends(&to_last, "updated");
        assert_eq!(kiwi.network.conversions(&click)[0]["status"], last);
        kiwi.network.sends(&pending, "duplicate");
        assert_eq!(
            kiwi.network.conversions(&click)[0]["status"],
            last,
            "an old hit changes nothing"
        );
    }
    assert_eq!(kiwi.network.totals()["revenue"], "2.35");
}
