//! The paths on which other platforms' senders call already: nobody has to edit a saved URL.

use crate::network::{Network, text};
use serde_json::json;

/// The partner, and a postback as people have it saved for that platform.
const SAVED: [(&str, &str); 9] = [
    ("binom", "/click.php?cnv_id=@&payout=2"),
    ("binom", "/click?cnv_id=@&payout=2"),
    ("tune", "/aff_lsr?transaction_id=@"),
    ("cake", "/p.ashx?r=@"),
    ("scaleo", "/track/conv?click_id=@"),
    ("offer18", "/p?mid=1001&tid=@&event=sale"),
    ("prosper202", "/tracking202/static/gpb.php?subid=@&amount=2"),
    ("clickflare", "/cf/cv?click_id=@&payout=2"),
    ("pushground", "/conversion?click_id=@&amount=2"),
];

#[test]
fn a_saved_url_of_another_platform_is_read_as_that_platform_speaks() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    for (partner, saved) in SAVED {
        let click = network.click(&campaign);
        let reply = network.client.get(saved.replace('@', &click));
        let verdict = network.verdict(&reply);
        assert_eq!(verdict["contract"], partner, "{saved}: {verdict}");
        let read =
            matches!(text(&verdict["verdict"]), "recorded") || verdict["reason"] == "unknown_goal";
        assert!(read, "{saved}: {verdict}");
    }
}

#[test]
fn an_integration_of_the_platform_reads_before_its_bare_contract() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let made = network.make("/integrations", &json!({ "level": "global", "partner": "binom" }));
    let click = network.click(&campaign);
    let reply = network.client.get(format!("/click.php?cnv_id={click}&payout=2"));
    let verdict = network.verdict(&reply);
    assert_eq!(verdict["contract"], format!("{}.1", made["id"]), "{verdict}");
}

#[test]
fn keys_in_paths_and_our_own_paths_are_nobodys() {
    let mut network = Network::start();
    let made = network.make("/integrations", &json!({ "level": "global", "partner": "keitaro" }));
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let key = text(&made["key"]);
    let reply = network.client.get(format!("/{key}/postback?subid={click}&status=sale&payout=2"));
    let verdict = network.verdict(&reply);
    assert_eq!(
        (&verdict["verdict"], &verdict["contract"]),
        (&json!("recorded"), &json!(format!("{}.1", made["id"])))
    );
    let reply = network.client.get(format!("/%7Bkey%7D/postback?subid={click}"));
    assert_eq!(network.verdict(&reply)["reason"], "unknown_integration");
    assert_eq!(network.client.get("/healthz").status, 200);
}
