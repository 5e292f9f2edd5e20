//! ClickWall, "Advertiser Postback (S2S)": a postback URL for each approved campaign, two required
//! ids, and one conversion for a click.

use crate::network::{Network, filled, parameter, text};
use serde_json::{Value, json};

/// The postback URL of a campaign's dashboard.
fn url(network: &mut Network, campaign: u64) -> String {
    let shown = network.ask(&format!("/campaigns/{campaign}/postback-url"));
    text(&shown["url"]).to_owned()
}

/// An active campaign, and a postback for a click of its own.
fn campaign_and_postback() -> (Network, crate::network::Campaign, String) {
    let mut network = Network::start();
    let campaign = network.campaign("clickwall");
    let click = network.click(&campaign);
    let url = url(&mut network, campaign.id);
    let postback = filled(&url, &[("{click_id}", &click)]);
    (network, campaign, postback)
}

#[test]
fn there_is_no_postback_url_before_the_campaign_is_approved() {
    let mut network = Network::start();
    let campaign = network.draft("clickwall", &json!({}));
    let path = format!("/campaigns/{campaign}/postback-url");
    network.refused("GET", &path, None, (409, "campaign_not_approved"));
    network.status(campaign, "pending_approval");
    network.refused("GET", &path, None, (409, "campaign_not_approved"));
    network.status(campaign, "approved");
    let shown = network.ask(&path);
    let url = text(&shown["url"]);
    assert_eq!(parameter(url, "click_id"), Some("{click_id}"));
    assert_eq!(parameter(url, "campaign_id"), Some(campaign.to_string().as_str()));
    assert_eq!(shown["method"], "GET");
    let required: Vec<&str> = shown["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|parameter| parameter["required"] == true)
        .map(|parameter| text(&parameter["name"]))
        .collect();
    assert_eq!(required, ["click_id", "campaign_id"]);
}

#[test]
fn a_rejected_campaign_gets_no_postback_url() {
    let mut network = Network::start();
    let campaign = network.draft("clickwall", &json!({}));
    network.status(campaign, "pending_approval");
    network.status(campaign, "rejected");
    let path = format!("/campaigns/{campaign}/postback-url");
    network.refused("GET", &path, None, (409, "campaign_not_approved"));
}

#[test]
fn the_postback_url_is_unique_for_each_campaign_and_stays_as_it_is() {
    let mut network = Network::start();
    let (first, second) = (network.campaign("clickwall"), network.campaign("clickwall"));
    let urls = [url(&mut network, first.id), url(&mut network, second.id)];
    let path = |url: &str| url.split('?').next().unwrap().to_owned();
    assert_ne!(path(&urls[0]), path(&urls[1]), "each has its own key");
    network.restart();
    let again = url(&mut network, first.id);
    let behind_the_host = |url: &str| url.splitn(4, '/').nth(3).unwrap().to_owned();
    assert_eq!(behind_the_host(&again), behind_the_host(&urls[0]));
}

#[test]
fn a_click_leads_to_the_campaign_and_its_postback_records_the_conversion() {
    let mut network = Network::start();
    let landing = json!({ "landing_url": "https://quest.example/i?cid={click_id}&geo={sub1}" });
    let campaign = network.campaign_with("clickwall", &landing);
    let location = network.visit(&campaign.token, "sub1=us");
    let click = parameter(&location, "cid").unwrap().to_owned();
    assert_eq!(location, format!("https://quest.example/i?cid={click}&geo=us"));
    let url = url(&mut network, campaign.id);
    let answer = network.sends(&filled(&url, &[("{click_id}", &click)]), "recorded");
    assert_eq!(answer["status"], "approved");
    let totals = network.totals();
    assert_eq!((&totals["clicks"], &totals["approved"]), (&json!(1), &json!(1)));
    assert_eq!((text(&totals["revenue"]), text(&totals["payout"])), ("2.50", "1.75"));
}

#[test]
fn each_required_parameter_is_refused_when_it_is_missing_or_blank() {
    let (mut network, campaign, postback) = campaign_and_postback();
    let id = campaign.id;
    let click = parameter(&postback, "click_id").unwrap();
    let key = &campaign.postback;
    for (target, missing) in [
        (format!("{key}?campaign_id={id}"), "click_id"),
        (format!("{key}?click_id=&campaign_id={id}"), "click_id"),
        (format!("{key}?click_id=%20%09&campaign_id={id}"), "click_id"),
        (format!("{key}?click_id={click}"), "campaign_id"),
        (format!("{key}?click_id={click}&campaign_id="), "campaign_id"),
        (key.clone(), "click_id"),
    ] {
        network.refuses(&target, (400, "missing_parameter", Some(missing)));
    }
    assert_eq!(network.totals()["conversions"], 0);
}

#[test]
fn a_renamed_parameter_is_refused_with_the_nearest_name_that_was_sent() {
    let (mut network, _, postback) = campaign_and_postback();
    for (from, to, nearest) in [
        ("click_id=", "clickid=", "clickid"),
        ("click_id=", "Click_ID=", "Click_ID"),
        ("campaign_id=", "campain_id=", "campain_id"),
        ("campaign_id=", "campaignId=", "campaignId"),
    ] {
        let missing = from.trim_end_matches('=');
        let renamed = postback.replace(from, to);
        let answer = network.refuses(&renamed, (400, "missing_parameter", Some(missing)));
        assert_eq!(answer["nearest"], nearest, "{answer}");
        assert!(text(&answer["detail"]).contains(nearest), "{answer}");
    }
    assert_eq!(network.totals()["conversions"], 0);
}

#[test]
fn a_wrong_parameter_is_refused_with_its_reason() {
    let (mut network, campaign, postback) = campaign_and_postback();
    let other = network.campaign("clickwall");
    let own = format!("campaign_id={}", campaign.id);
    let others = format!("campaign_id={}", other.id);
    let mismatch = (422, "campaign_mismatch", Some("campaign_id"));
    network.refuses(&postback.replace(&own, &others), mismatch);
    network.refuses(&postback.replace(&own, "campaign_id=99999"), mismatch);
    let click = parameter(&postback, "click_id").unwrap();
    let unknown = (404, "unknown_click", Some("click_id"));
    network.refuses(&postback.replace(click, "c_94f1f2"), unknown);
    let macro_left = (400, "macro_not_replaced", Some("click_id"));
    network.refuses(&postback.replace(click, "{click_id}"), macro_left);
    // A click of another campaign, through this campaign's URL.
    let foreign = network.click(&other);
    let reply = network.client.get(postback.replace(click, &foreign));
    assert_eq!((reply.status, reply.json()["reason"].clone()), (422, json!("campaign_mismatch")));
    network.refuses("/postback/no-such-key?click_id=1", (404, "unknown_integration", None));
    assert_eq!(network.totals()["conversions"], 0);
    network.sends(&postback, "recorded");
}

#[test]
fn a_second_postback_of_the_same_click_is_a_duplicate() {
    let (mut network, campaign, postback) = campaign_and_postback();
    let first = network.sends(&postback, "recorded");
    for more in ["", "", "&txn_id=another", "&utm=x"] {
        let answer = network.sends(&format!("{postback}{more}"), "duplicate");
        assert_eq!(answer["reason"], "already_processed");
        assert_eq!(answer["original"], first["receipt"], "it names the first");
        assert_ne!(answer["receipt"], first["receipt"], "it has its own receipt");
        assert_eq!(answer["conversion"], first["conversion"]);
    }
    let totals = network.totals();
    assert_eq!((&totals["conversions"], &totals["hits"]), (&json!(1), &json!(5)));
    assert_eq!(totals["revenue"], "2.50");
    let again = network.click(&campaign);
    let click = parameter(&postback, "click_id").unwrap();
    network.sends(&postback.replace(click, &again), "recorded");
    assert_eq!(network.totals()["conversions"], 2, "another click is another conversion");
}

#[test]
fn another_allowed_status_updates_the_conversion_and_shows_in_the_figures() {
    let (mut network, _, postback) = campaign_and_postback();
    let figures = |network: &mut Network| {
        let totals = network.totals();
        let names = ["conversions", "pending", "approved", "rejected", "reversed"];
        let counts = names.map(|name| totals[name].as_u64().unwrap());
        (counts, text(&totals["revenue"]).to_owned(), text(&totals["payout"]).to_owned())
    };
    let expect = |counts, revenue: &str, payout: &str| (counts, revenue.into(), payout.into());
    network.sends(&format!("{postback}&status=pending"), "recorded");
    assert_eq!(figures(&mut network), expect([1, 1, 0, 0, 0], "0.00", "0.00"));
    let answer = network.sends(&format!("{postback}&status=Approved"), "updated");
    assert_eq!(answer["status"], "approved");
    assert_eq!(figures(&mut network), expect([1, 0, 1, 0, 0], "2.50", "1.75"));
    let not_allowed = (409, "transition_not_allowed", Some("status"));
    let reply = network.client.get(format!("{postback}&status=rejected"));
    assert_eq!((reply.status, text(&reply.json()["reason"])), (not_allowed.0, not_allowed.1));
    network.sends(&format!("{postback}&status=reversed"), "updated");
    assert_eq!(figures(&mut network), expect([1, 0, 0, 0, 1], "0.00", "0.00"));
    network.sends(&format!("{postback}&status=approved"), "duplicate");
    let unknown = (422, "unknown_status", Some("status"));
    network.refuses(&format!("{postback}&status=great"), unknown);
    assert_eq!(figures(&mut network), expect([1, 0, 0, 0, 1], "0.00", "0.00"));
}

#[test]
fn the_campaign_must_be_approved_and_active_when_the_click_is_made() {
    let mut network = Network::start();
    let fallback = json!({ "fallback_url": "https://quest.example/closed?cid={click_id}" });
    let id = network.draft("clickwall", &fallback);
    network.status(id, "pending_approval");
    network.status(id, "approved");
    let campaign = network.open(id);
    let url = url(&mut network, id);
    let too_early = network.click(&campaign);
    network.status(id, "active");
    let in_time = network.click(&campaign);
    network.status(id, "paused");
    let too_late = network.click(&campaign);
    let inactive = (422, "campaign_inactive", None);
    for click in [&too_early, &too_late] {
        network.refuses(&filled(&url, &[("{click_id}", click)]), inactive);
    }
    // What was clicked in time still counts, however the campaign stands by then.
    network.sends(&filled(&url, &[("{click_id}", &in_time)]), "recorded");
    network.status(id, "ended");
    network.sends(&filled(&url, &[("{click_id}", &in_time)]), "duplicate");
    network.refuses(&filled(&url, &[("{click_id}", &too_late)]), inactive);
    assert_eq!(network.totals()["conversions"], 1);
}

#[test]
fn a_test_conversion_is_visible_as_test_and_stays_out_of_the_figures() {
    let mut network = Network::start();
    let campaign = network.campaign("clickwall");
    let made = network.make("/test-clicks", &json!({ "link_id": campaign.link }));
    let click = text(&made["click_id"]).to_owned();
    assert_eq!(parameter(text(&made["landing_url"]), "cid"), Some(click.as_str()));
    let url = url(&mut network, campaign.id);
    let answer = network.sends(&filled(&url, &[("{click_id}", &click)]), "recorded");
    assert_eq!(network.hit(&answer)["is_test"], true);
    let conversions = network.conversions(&click);
    assert_eq!((conversions.len(), &conversions[0]["is_test"]), (1, &Value::Bool(true)));
    let totals = network.totals();
    for name in ["clicks", "hits", "conversions", "approved"] {
        assert_eq!(totals[name], 0, "{name}");
    }
    assert_eq!(totals["revenue"], "0.00");
    let of_tests = network.report("&test=only")["totals"].clone();
    assert_eq!((&of_tests["clicks"], &of_tests["approved"]), (&json!(1), &json!(1)));
}

#[test]
fn support_finds_a_refused_postback_by_its_campaign() {
    let (mut network, campaign, postback) = campaign_and_postback();
    let own = format!("campaign_id={}", campaign.id);
    network.refuses(
        &postback.replace(&own, "campain_id=1"),
        (400, "missing_parameter", Some("campaign_id")),
    );
    let hits = network.hits(&format!("campaign_id={}&verdict=refused", campaign.id));
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!(hits[0]["reason"], "missing_parameter");
    assert_eq!(hits[0]["nearest"], "campain_id");
    assert!(text(&hits[0]["url"]).contains("campain_id=1"), "{}", hits[0]["url"]);
}
