//! What is handed out, and what is said of what was pasted.

use super::*;
use crate::id::IntegrationId;
use crate::integration::Scope;
use crate::secret::Secret;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

fn contract(parameters: &[(&str, &str, &str)]) -> serde_json::Value {
    let all: Vec<_> = parameters
        .iter()
        .map(|(canonical, name, placeholder)| {
            let in_url = matches!(*canonical, "click_id" | "revenue" | "campaign_id");
            let required = *canonical == "campaign_id";
            let mut one = json!({
                "canonical": canonical, "names": [name], "in_url": in_url, "required": required,
            });
            if !placeholder.is_empty() {
                one["macro"] = json!(placeholder);
            }
            one
        })
        .collect();
    json!({"parameters": all, "statuses": {"absent": "approved"}})
}

fn partner(name: &str, click: &[(&str, &str)], parameters: &[(&str, &str, &str)]) -> Partner {
    let click: Vec<_> =
        click.iter().map(|(name, text)| json!({"name": name, "macro": text})).collect();
    let mut partner = json!({
        "name": name, "title": name, "kind": "k", "source": "s", "source_on": "2026-11-20",
        "click": click,
    });
    if !parameters.is_empty() {
        partner["contract"] = contract(parameters);
    }
    serde_json::from_value(partner).unwrap()
}

fn affise() -> Partner {
    let click = [("external_id", "{clickid}"), ("source", "{pid}")];
    let parameters = [
        ("click_id", "clickid", "{sub1}"),
        ("revenue", "sum", "{sum}"),
        ("goal", "goal", "{goal}"),
    ];
    partner("affise", &click, &parameters)
}

fn ours() -> Integration {
    let parameters = [
        ("click_id", "click_id", "{click_id}"),
        ("campaign_id", "campaign_id", ""),
        ("txn_id", "txn_id", "{txn_id}"),
        ("goal", "goal value", "{goal}"),
        ("revenue", "revenue", "{revenue}"),
        ("token", "token", ""),
    ];
    Integration {
        id: IntegrationId(1),
        key: "k3y".to_owned(),
        scope: Scope::Global,
        partner: "counterfoil".to_owned(),
        landing_params: None,
        secrets: BTreeMap::from([("token".to_owned(), Secret::new("s3cret".to_owned()))]),
        retiring: Vec::new(),
        macros: BTreeMap::new(),
        version: 1,
        contract: serde_json::from_value(contract(&parameters)).unwrap(),
        earlier: Vec::new(),
        archived: false,
    }
}

fn goal(default: bool) -> Goal {
    let goal = json!({"key": "a sale", "default": default, "revenue": "1", "payout": "1"});
    serde_json::from_value(goal).unwrap()
}

#[test]
fn a_link_gets_the_macros_of_who_sends_visitors() {
    let url = |link| click_url(link, &affise()).unwrap();
    assert_eq!(
        url("https://t.example/c/a"),
        "https://t.example/c/a?external_id={clickid}&source={pid}"
    );
    assert!(
        url("https://t.example/c/a?sub1=x")
            .ends_with("a?sub1=x&external_id={clickid}&source={pid}")
    );
    assert_eq!(click_url("https://t.example/c/a", &partner("x", &[], &[])), None);
}

#[test]
fn only_a_link_of_ours_is_given_macros_and_none_twice() {
    let fault = |link: &str| link_fault(link, &affise()).unwrap_or_default();
    assert_eq!(fault("https://t.example/c/a"), "");
    assert_eq!(fault("http://127.0.0.1:8080/c/a?sub1=z&p=external_id"), "");
    for none in [
        "",
        "garbage",
        "https://t.example",
        "https://t.example/c/",
        "https://t.example/c/a/b",
        "https://t.example/postback/k",
        "ftp://t.example/c/a",
        "t.example/c/a",
    ] {
        assert!(fault(none).contains("is no link of ours"), "{none}: {}", fault(none));
    }
    assert!(fault("https://t.example/c/a#top").starts_with("what stands behind a #"));
    for twice in ["https://t.example/c/a?sub1=x&source=z", "https://t.example/c/a?sourc%65"] {
        let said = "`source` stands in it already, and affise has {pid} for it: take it out";
        assert_eq!(fault(twice), said);
    }
}

#[test]
fn a_postback_url_has_our_names_and_their_macros() {
    let ours = ours();
    let url = |partner: Option<&Partner>, campaign_id, goal: Option<&Goal>| {
        postback_url("https://t.example", &ours, partner, campaign_id, goal)
            .replace("https://t.example/postback/k3y?", "")
    };
    let own = "click_id={click_id}&campaign_id=REPLACE_WITH_CAMPAIGN_ID&revenue={revenue}";
    assert_eq!(url(None, None, None), own);
    let theirs = "click_id={sub1}&campaign_id=7&revenue={sum}";
    assert_eq!(url(Some(&affise()), Some(CampaignId(7)), None), theirs);
    let sale = "click_id={sub1}&campaign_id=7&goal%20value=a%20sale&revenue={sum}";
    assert_eq!(url(Some(&affise()), Some(CampaignId(7)), Some(&goal(false))), sale);
    assert!(!url(Some(&affise()), None, Some(&goal(true))).contains("goal"));
}

#[test]
fn the_senders_own_table_comes_first_and_adds_its_rows() {
    let mut ours = ours();
    ours.macros.insert(Canonical::ClickId, "{aff_sub}".to_owned());
    ours.macros.insert(Canonical::TxnId, "{order}".to_owned());
    let url = postback_url("", &ours, Some(&affise()), Some(CampaignId(7)), None);
    let rows = "click_id={aff_sub}&campaign_id=7&txn_id={order}&revenue={sum}";
    assert_eq!(url, format!("/postback/k3y?{rows}"));
    assert!(!url.contains("s3cret"));
}

#[test]
fn a_token_that_is_enforced_stands_in_the_url_by_its_name() {
    let asked = |tokens: &str, rules: serde_json::Value| {
        let mut ours = ours();
        if tokens.is_empty() {
            ours.secrets.clear();
        }
        ours.contract.parameters[5].names = vec!["k ey".to_owned(), "token".to_owned()];
        ours.contract.verification = serde_json::from_value(rules).unwrap();
        let url = postback_url("", &ours, Some(&affise()), Some(CampaignId(7)), None);
        assert!(!url.contains("s3cret"), "{url}");
        url.ends_with("&k%20ey=REPLACE_WITH_TOKEN")
    };
    let token = json!({"token": "token"});
    assert!(asked("s3cret", token.clone()));
    assert!(!asked("", token), "nothing is asked for before it is set");
    assert!(asked("", json!({"token": "token", "token_required": true})));
    assert!(!asked("s3cret", json!({"token": "token", "shadow": ["token"]})), "it is only tried");
    assert!(!asked("s3cret", json!({})), "the contract has none");
}

#[test]
fn beside_a_signed_body_the_url_has_proofs_alone() {
    let mut signed = ours();
    signed.macros.insert(Canonical::TxnId, "{order}".to_owned());
    let mut parts = serde_json::to_value(&signed.contract).unwrap();
    parts["parameters"][5]["required"] = json!(true);
    let webhook = json!({"kind": "webhook", "id": "x-id", "timestamp": "x-time"});
    for input in [json!({"kind": "body"}), webhook] {
        parts["verification"]["signature"] = json!({"algorithm": "hmac_sha256", "input": input});
        signed.contract = serde_json::from_value(parts.clone()).unwrap();
        for partner in [None, Some(&affise())] {
            let url = postback_url("", &signed, partner, Some(CampaignId(7)), Some(&goal(false)));
            assert_eq!(url, "/postback/k3y?token=REPLACE_WITH_TOKEN", "{input}");
        }
    }
}

#[test]
fn a_url_is_whole_and_without_blanks() {
    for whole in ["https://t.example", "HTTP://127.0.0.1:8080/postback/k?c=#s2#&d=[X]", "http://a"]
    {
        assert!(is_url(whole), "{whole}");
    }
    for none in [
        "",
        "not a url",
        "t.example/c/a",
        "https://",
        "https:///a",
        "ftp://a/",
        "https://a/b c",
        "https://a/\n",
    ] {
        assert!(!is_url(none), "{none:?}");
    }
}

#[test]
fn what_the_other_side_is_not_known_to_have_is_said() {
    let (ours, affise) = (ours(), affise());
    let known = |partner| {
        let all = parameters(&ours, partner);
        let all = all.map(|one| (one.parameter.canonical, one.placeholder.is_some()));
        all.collect::<BTreeMap<_, _>>()
    };
    let theirs = known(Some(&affise));
    assert!(theirs[&Canonical::ClickId] && theirs[&Canonical::Goal]);
    assert!(!theirs[&Canonical::TxnId] && !theirs[&Canonical::Token]);
    assert!(known(None)[&Canonical::TxnId]);
}

#[test]
fn one_of_a_pair_stands_for_the_other_where_we_have_it_alone() {
    let wall = partner(
        "wall",
        &[],
        &[("click_id", "c", "{c}"), ("payout", "p", "{paid}"), ("event_type", "e", "{event}")],
    );
    let placeholder = |ours: &Integration, canonical| {
        let mut all = parameters(ours, Some(&wall));
        let found = all.find(|one| one.parameter.canonical == canonical).unwrap();
        found.placeholder.map(str::to_owned)
    };
    let alone = ours();
    assert_eq!(placeholder(&alone, Canonical::Revenue), Some("{paid}".to_owned()));
    assert_eq!(placeholder(&alone, Canonical::Goal), Some("{event}".to_owned()));
    let mut both = ours();
    let both_of = [
        ("revenue", "revenue", ""),
        ("payout", "payout", ""),
        ("goal", "g", ""),
        ("event_type", "e", ""),
    ];
    both.contract = serde_json::from_value(contract(&both_of)).unwrap();
    assert_eq!(placeholder(&both, Canonical::Revenue), None);
    assert_eq!(placeholder(&both, Canonical::Payout), Some("{paid}".to_owned()));
    assert_eq!(placeholder(&both, Canonical::Goal), None);
}

#[test]
fn what_must_be_there_and_nobody_knows_is_a_gap_and_the_rest_is_left_out() {
    let mut ours = ours();
    ours.contract.verification.token = Some(Canonical::Token);
    for parameter in &mut ours.contract.parameters {
        let is_asked_for = [Canonical::TxnId, Canonical::Token, Canonical::Sub(1)];
        parameter.required = is_asked_for.contains(&parameter.canonical);
    }
    let silent = partner("silent", &[], &[("goal", "g", "")]);
    let url = postback_url("", &ours, Some(&silent), None, None);
    let expected = "/postback/k3y?click_id=REPLACE_WITH_THEIR_CLICK_ID_MACRO\
        &txn_id=REPLACE_WITH_THEIR_TXN_ID_MACRO&token=REPLACE_WITH_TOKEN";
    assert_eq!(url, expected);
    assert_eq!(
        judged(&silent, &url),
        [
            "click_id REPLACE_WITH_THEIR_CLICK_ID_MACRO gap click_id",
            "txn_id REPLACE_WITH_THEIR_TXN_ID_MACRO gap txn_id",
            "token REPLACE_WITH_TOKEN gap",
        ]
    );
    let checked = check(&affise(), &url, Use::Postback);
    assert_eq!(checked[0].nearest.as_deref(), Some("{sub1}"));
    assert_eq!(checked[1].note.as_deref(), Some("fill in the platform's macro for txn_id"));
    assert_eq!(checked[2].note.as_deref(), Some("fill in the agreed token"));
    let manual = check(&affise(), "https://t.example/postback/k?c=YOUR_CLICK_ID", Use::Postback);
    assert_eq!(manual[0].judged, Judged::Gap);
}

#[test]
fn what_a_sender_adds_by_itself_stands_in_no_url() {
    let mut wall = partner("wall", &[], &[("click_id", "uid", ""), ("txn_id", "id", "{tx}")]);
    let parameters = &mut wall.contract.as_mut().unwrap().parameters;
    (parameters[0].in_url, parameters[0].appended) = (false, true);
    for one in parameters.iter_mut() {
        one.required = true;
    }
    let mut own = Integration {
        partner: "wall".to_owned(),
        contract: wall.contract.clone().unwrap(),
        ..ours()
    };
    for asked in [None, Some(&wall)] {
        assert_eq!(postback_url("", &own, asked, None, None), "/postback/k3y?id={tx}");
    }
    assert_eq!(unreadable(&own, &wall), None);
    own.macros.insert(Canonical::ClickId, "{user}".to_owned());
    assert_eq!(postback_url("", &own, None, None, None), "/postback/k3y?uid={user}&id={tx}");

    let mut ours = ours();
    ours.contract.parameters[0].required = true;
    let found = unreadable(&ours, &wall).map(|(ours, theirs)| (ours.name(), theirs.name()));
    assert_eq!(found, Some(("click_id", "uid")));
    ours.macros.insert(Canonical::ClickId, "{user}".to_owned());
    assert!(unreadable(&ours, &wall).is_some(), "the row is of another sender");
    let its_own = Integration { partner: "wall".to_owned(), ..ours.clone() };
    assert_eq!(
        unreadable(&its_own, &wall),
        None,
        "whoever saved the row knows that it is filled in"
    );
    ours.macros.clear();
    ours.contract.parameters[0].names.push("uid".to_owned());
    assert_eq!(unreadable(&ours, &wall), None);
    assert!(!postback_url("", &ours, Some(&wall), None, None).contains("click_id"));
}

#[test]
fn a_goal_that_its_sender_adds_by_itself_stands_in_no_url() {
    let parameters = [("click_id", "uid", "{user}"), ("goal", "event", "")];
    let mut wall = partner("wall", &[], &parameters);
    wall.contract.as_mut().unwrap().parameters[1].appended = true;
    let contract = wall.contract.clone().unwrap();
    let mut own = Integration { partner: "wall".to_owned(), contract, ..ours() };
    let goal = json!({"key": "sale", "revenue": "9"});
    let goal: Goal = serde_json::from_value(goal).unwrap();
    for asked in [None, Some(&wall)] {
        let url = postback_url("", &own, asked, None, Some(&goal));
        assert_eq!(url, "/postback/k3y?uid={user}");
    }
    // Who has a macro for it fills that in, and what we pay for is one goal all the same.
    own.macros.insert(Canonical::Goal, "{event}".to_owned());
    let url = postback_url("", &own, None, None, Some(&goal));
    assert_eq!(url, "/postback/k3y?uid={user}&event=sale");
}

/// Macro, verdict and the right one of each.
fn judged(partner: &Partner, url: &str) -> Vec<String> {
    let checked = check(partner, url, Use::of(partner, url)).into_iter().map(|one| {
        let parameter = one.parameter.unwrap_or_default();
        let right = one.nearest.or(one.means).unwrap_or_default();
        format!("{parameter} {} {} {right}", one.text, one.judged.name()).trim().to_owned()
    });
    checked.collect()
}

#[test]
fn each_macro_of_a_pasted_url_is_judged() {
    let click = "https://t.example/c/abc?external_id={clickid}&sub1={pidd}&sub2={zzzzzz}&sub3=x";
    assert_eq!(
        judged(&affise(), click),
        [
            "external_id {clickid} recognised external_id",
            "sub1 {pidd} misspelt {pid}",
            "sub2 {zzzzzz} unknown",
        ]
    );
    let postback =
        "https://t.example/postback/k?click_id={clickid}&sum={smu}&x={sub1}-{goal}&y=%7B";
    assert_eq!(
        judged(&affise(), postback),
        [
            "click_id {clickid} elsewhere {sub1}",
            "sum {smu} misspelt {sum}",
            "x {sub1} recognised click_id",
            "x {goal} recognised goal",
        ]
    );
    assert_eq!(judged(&affise(), "https://t.example/postback/{key}?a=1"), ["{key} unknown"]);
}

/// What is said of a whole URL: the parameters, and in words.
fn complained(partner: &Partner, reader: Option<&Integration>, url: &str) -> Vec<String> {
    let url = format!("https://t.example{url}");
    let all = complaints(partner, reader, &url, Use::of(partner, &url)).into_iter();
    all.map(|one| format!("{}: {}", one.parameter.unwrap_or_default(), one.detail)).collect()
}

#[test]
fn a_postback_url_has_to_carry_our_click_id_as_a_macro_that_stands_as_it_is() {
    let told = |url: &str| complained(&affise(), None, url);
    for good in [
        "/postback/k?click_id={sub1}",
        "/postback/k?clickid={sub1}&goal=sale&status=1",
        "/postback/k?cid=pre-{sub1}",
        "/postback/k?click_id={zzz}&x=%20",
        "/postback/k?click_id=REPLACE_WITH_THEIR_CLICK_ID_MACRO",
    ] {
        assert_eq!(told(good), Vec::<String>::new(), "{good}");
    }
    let missing = ": it has to carry our click id, in the platform's macro {sub1}";
    for url in ["/postback/k", "/postback/k?", "/postback/k?click_id=", "/postback/k?x=1"] {
        assert_eq!(told(url), [missing], "{url}");
    }
    let fixed = "click_id: `click_id` would be `static` in every postback: what belongs there is \
        the platform's macro, {sub1}";
    assert_eq!(told("/postback/k?click_id=static"), [fixed]);
    let encoded = "click_id: `%7Bsub1%7D` is `{sub1}` percent-encoded, which nobody fills in: it \
        has to stand there as `{sub1}`";
    assert_eq!(told("/postback/k?click_id=%7Bsub1%7D"), [encoded]);
    assert_eq!(told("/postback/k?click_id={sub1}&x=1&x=2"), ["x: `x` stands twice"]);
}

#[test]
fn a_postback_url_is_held_against_the_integration_of_its_key() {
    let mut ours = ours();
    for parameter in &mut ours.contract.parameters {
        parameter.required =
            [Canonical::TxnId, Canonical::CampaignId].contains(&parameter.canonical);
    }
    let told = |ours: &Integration, url: &str| complained(&affise(), Some(ours), url);
    let good = "/postback/k3y?click_id={sub1}&campaign_id=7&txn_id={transactionid}";
    assert_eq!(told(&ours, good), Vec::<String>::new());
    assert_eq!(
        told(&ours, "/postback/k3y?clickid={sub1}&txn_id=1"),
        [
            "click_id: it has to be there: `click_id={sub1}`",
            "campaign_id: it has to be there: `campaign_id`",
            "txn_id: `txn_id` would be `1` in every postback: what belongs there is the platform's \
             macro",
        ]
    );
    ours.contract.verification.token = Some(Canonical::Token);
    assert_eq!(told(&ours, good), ["token: it has to be there: `token`"]);
    let with_token = format!("{good}&token=s3cret");
    assert_eq!(told(&ours, &with_token), Vec::<String>::new());
    let own = postback_url("", &ours, Some(&affise()), Some(CampaignId(7)), None);
    assert_eq!(told(&ours, &own), Vec::<String>::new());
}

#[test]
fn a_url_has_to_be_for_what_the_platform_does() {
    let source = partner("source", &[("external_id", "{id}")], &[]);
    let never = [": source never calls us"];
    assert_eq!(complained(&source, None, "/postback/k?click_id={id}"), never);
    let other = [": links of ours have the path `/c/…`, not `/click.php`"];
    assert_eq!(complained(&source, None, "/click.php?external_id={id}"), other);
    let all = complaints(&affise(), None, "https://t.example/c/a?clickid={sub1}", Use::Postback);
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].detail.starts_with("a link of ours is for visitors"), "{all:?}");
    let good = Vec::<String>::new();
    assert_eq!(complained(&source, None, "/c/a?external_id={id}&sub1=x"), good);
    let fixed = complained(&source, None, "/c/a?external_id=5");
    assert_eq!(fixed.len(), 1, "{fixed:?}");
    assert!(fixed[0].contains("would be `5` in every click"), "{fixed:?}");
}

#[test]
fn known_traps_are_told() {
    let note = |partner: &Partner, url: &str| {
        let checked = check(partner, url, Use::Click);
        assert_eq!(checked.len(), 1, "{checked:?}");
        (checked[0].judged, checked[0].nearest.clone(), checked[0].note.clone().unwrap_or_default())
    };
    let tiktok = partner("tiktok", &[("external_id", "__CLICKID__")], &[]);
    let (how, nearest, text) = note(&tiktok, "https://t.example/c/a?external_id=_CLICKID_&x=1");
    assert_eq!((how, nearest.as_deref()), (Judged::Misspelt, Some("__CLICKID__")));
    assert!(text.contains("two underscores"), "{text}");
    let (how, _, text) = note(&affise(), "https://t.example/c/a?external_id=#reqid#");
    assert_eq!(how, Judged::Unknown);
    assert!(text.contains("never reaches"), "{text}");
    let cake = partner("cake", &[("external_id", "#reqid#")], &[]);
    assert_eq!(note(&cake, "https://t.example/c/a?x=#reqid#").0, Judged::Recognised);
    let (how, nearest, text) = note(&affise(), "https://t.example/c/a?external_id={{clickid}}");
    assert_eq!((how, nearest.as_deref()), (Judged::Misspelt, Some("{clickid}")));
    assert!(text.contains("one brace"), "{text}");
    let monlix = partner("monlix", &[("external_id", "{{userId}}")], &[]);
    let (how, _, text) = note(&monlix, "https://t.example/c/a?external_id={userId}");
    assert_eq!(how, Judged::Misspelt);
    assert!(text.contains("two braces"), "{text}");
}

#[test]
fn encoded_bytes_and_plain_values_are_no_macros() {
    let url = "https://t.example/postback/k?a=%AB%CD%20x&b=100%&c=_x_&d=a_b_c&e=(none)&f=#top";
    assert_eq!(judged(&affise(), url), Vec::<String>::new());
}

#[test]
fn what_a_url_is_for_is_seen() {
    let both = affise();
    let (source, sender) =
        (partner("s", &[("sub1", "{a}")], &[]), partner("p", &[], &[("click_id", "c", "{c}")]));
    assert_eq!(Use::of(&both, "https://t.example/c/abc"), Use::Click);
    assert_eq!(Use::of(&both, "https://t.example/click.php?x"), Use::Postback);
    assert_eq!(Use::of(&source, "https://t.example/click.php?x"), Use::Click);
    assert_eq!(Use::of(&source, "https://t.example/postback?sub1={a}"), Use::Postback);
    assert_eq!(Use::of(&source, "https://t.example/postback/k"), Use::Postback);
    assert_eq!(Use::of(&both, "https://t.example/c/abc?x=/postback/"), Use::Click);
    assert_eq!(Use::of(&sender, "no URL"), Use::Postback);
}

proptest! {
    #[test]
    fn any_text_is_looked_at_without_harm(url in "(\\PC|[{}%#_=&?/\\[\\]$]|__X__|\\{sub1\\}){0,60}") {
        for of in Use::ALL {
            for one in check(&affise(), &url, of) {
                prop_assert!(url.contains(&one.text));
            }
            for reader in [None, Some(&ours())] {
                _ = complaints(&affise(), reader, &url, of);
            }
        }
    }
}
