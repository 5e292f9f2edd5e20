//! The paths on which other platforms' senders call already: nobody has to edit a saved URL.

use crate::network::{Network, text};
use serde_json::json;

/// The partner, and a postback as people have it saved for that platform.
const SAVED: [(&str, &str); 11] = [
    ("binom", "/click.php?cnv_id=@&payout=2"),
    ("binom", "/click?cnv_id=@&payout=2"),
    ("tune", "/aff_lsr?transaction_id=@"),
    ("cake", "/p.ashx?r=@"),
    ("scaleo", "/track/conv?click_id=@"),
    ("offer18", "/p?mid=1001&tid=@&event=sale"),
    ("prosper202", "/tracking202/static/gpb.php?subid=@&amount=2"),
    ("clickflare", "/cf/cv?click_id=@&payout=2"),
    ("pushground", "/conversion?click_id=@&amount=2"),
    ("bemob", "/postback?cid=@&payout=2&txid=9"),
    ("affise", "/postback?clickid=@&sum=2"),
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
fn a_slash_too_many_is_no_difference_and_a_doubled_path_is_found() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let at = campaign.postback.clone();
    let key = at.trim_start_matches("/postback/").to_owned();
    let all = [
        format!("{at}/"),
        format!("/{at}"),
        "/postback/".to_owned(),
        format!("//{key}//postback/"),
    ];
    for target in all {
        let click = network.click(&campaign);
        network.sends(&format!("{target}?click_id={click}"), "recorded");
    }
    let click = network.click(&campaign);
    for doubled in [format!("{at}{at}"), format!("{at}/x")] {
        let reply = network.client.get(format!("{doubled}?click_id={click}"));
        assert_eq!((reply.status, &reply.json()["reason"]), (404, &json!("unknown_integration")));
        let hit = network.verdict(&reply);
        assert_eq!(hit["reason"], "unknown_integration", "{hit}");
    }
    assert_eq!(network.hits("reason=unknown_integration").len(), 2);
}

#[test]
fn on_the_plain_path_the_debugger_says_that_a_partner_reads() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let mut told = |sent: String| {
        let told = network.make("/debug", &json!({ "request": sent }));
        let of = |name: &str| told[name].clone();
        (of("route"), of("partner"), told["read"]["foreign_name"].clone(), of("verdict"))
    };
    let by_name = told(format!("/postback?cid={click}&payout=2"));
    assert_eq!(by_name, (json!("foreign_name"), json!("bemob"), json!(true), json!("recorded")));
    let own = told(format!("/postback?click_id={click}&cid={click}"));
    assert_eq!(own, (json!("plain"), json!("counterfoil"), json!(false), json!("recorded")));
    let nobodys = told(format!("/postback?aff={click}"));
    assert_eq!(nobodys, (json!("plain"), json!("counterfoil"), json!(false), json!("refused")));
    let reply = network.client.get(format!("/postback?aff={click}"));
    let hit = network.verdict(&reply);
    assert_eq!(hit["nearest"], "aff", "{hit}");
    let detail = "`aff` holds our click id; this contract calls it `click_id`";
    assert_eq!(hit["detail"], detail, "{hit}");
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

#[test]
fn a_keitaro_url_with_its_old_key_is_read_by_its_click() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let sent = format!("/e89bcbe/postback?subid={click}&status=sale&payout=2&tid=77&return=OK");
    let request = json!({ "request": sent });
    let told = network.make("/debug", &request);
    assert_eq!(
        (&told["route"], &told["partner"], &told["read"]["foreign_key"]),
        (&json!("foreign_key"), &json!("keitaro"), &json!(true)),
        "{told}"
    );
    let reply = network.client.get(&sent);
    assert_eq!((reply.status, reply.text()), (200, "OK".to_owned()));
    let verdict = network.verdict(&reply);
    assert_eq!(
        (&verdict["verdict"], &verdict["contract"]),
        (&json!("recorded"), &json!("keitaro")),
        "{verdict}"
    );
    for refusal in ["0", "ERROR", "%20"] {
        let reply = network.client.get(sent.replace("return=OK", &format!("return={refusal}")));
        assert_eq!((reply.status, &reply.json()["verdict"]), (200, &json!("duplicate")));
    }
    let strangers = ["/e89bcbe/postback?subid=51ts6sgr1cbkdhljnrv", "/e89bcbe/postback"];
    let elsewhere = format!("/postback/e89bcbe?subid={click}&status=sale&payout=2");
    for sent in strangers.into_iter().chain([elsewhere.as_str()]) {
        let reply = network.client.get(sent);
        assert_eq!(reply.json()["reason"], "unknown_integration", "{sent}");
        let told = network.make("/debug", &json!({ "request": sent }));
        assert_eq!(told["reason"], "unknown_integration", "{told}");
        assert_eq!((&told["route"], &told["read"]["foreign_key"]), (&json!("key"), &json!(false)));
    }
}
