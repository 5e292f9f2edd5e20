//! What cannot be a destination, and why.

use super::*;
use crate::command::{DestinationChanges, Failure};
use crate::ledger::tests::world::partner;
use crate::outbound::Account;
use crate::setup::Change;

fn refused(new: NewDestination) -> (String, String) {
    let mut world = World::new(plain(), LEAD);
    let failure = world.attempt(&Act::CreateDestination(Box::new(new))).unwrap_err();
    (failure.parameter.unwrap_or_default(), failure.detail)
}

/// A destination whose URL is filled in with that value of the account.
fn hosted(url: &str, value: &str, secret: bool) -> NewDestination {
    let mut new = new(url);
    let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
    let (name, about) = ("domain".to_owned(), "x".to_owned());
    outbound.accounts = vec![crate::outbound::Account { name: name.clone(), about, secret }];
    match secret {
        true => _ = new.secrets.insert(name, Secret::new(value.to_owned())),
        false => _ = new.account.insert(name, value.to_owned()),
    }
    new
}

#[test]
fn what_makes_no_host_is_refused_before_it_is_called() {
    let url = "https://{account.domain}/?c={click_id}";
    let within = "https://{account.domain}.t.example/?c={click_id}";
    let cases = [
        (hosted(url, "https://t.example", false), "account.domain", "a host alone"),
        (hosted(url, "t.example/", false), "account.domain", "a host alone"),
        (hosted(url, "t example", true), "secrets.domain", "a host alone"),
        (hosted(within, "a/b", false), "account.domain", "a host alone"),
    ];
    check(cases);
    for good in [
        hosted(url, "t.example", false),
        hosted(url, "192.0.2.1", true),
        hosted(within, "a", false),
        hosted("https://t.example/{account.domain}?c={click_id}", "https://a b/", false),
    ] {
        let mut world = World::new(plain(), LEAD);
        let shown = format!("{good:?}");
        let made = world.attempt(&Act::CreateDestination(Box::new(good)));
        assert!(made.is_ok(), "{shown}: {made:?}");
    }
}

fn check<const N: usize>(cases: [(NewDestination, &str, &str); N]) {
    for (new, field, detail) in cases {
        let shown = format!("{new:?}");
        let (found, why) = refused(new);
        assert_eq!(found, field, "{why} {shown}");
        assert!(why.contains(detail), "{why} {shown}");
    }
}

/// A destination that signs one parameter.
fn signing(url: &str, field: &str, method: &str) -> NewDestination {
    let mut new = new(url);
    let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
    outbound.method = serde_json::from_value(method.into()).unwrap();
    new.secrets.insert(SIGNING.to_owned(), Secret::new("s".to_owned()));
    let input = serde_json::json!({ "kind": "fields", "fields": [field] });
    let scheme = serde_json::json!({ "algorithm": "hmac_sha256", "input": input });
    new.scheme = Some(serde_json::from_value(scheme).unwrap());
    new
}

#[test]
fn what_is_in_the_request_can_be_signed_wherever_it_stands() {
    let mut in_body = signing("https://t.example/", "click_id", "POST");
    let NewOutbound::Own(outbound) = &mut in_body.outbound else { unreachable!() };
    outbound.content_type = Some("application/json".to_owned());
    outbound.body = Some(r#"{{"click_id":{click_id},"s":"{signature}"}}"#.to_owned());
    let in_query = signing("https://t.example/?click_id={sub1}&s={signature}", "click_id", "GET");
    for new in [in_body, in_query] {
        let mut world = World::new(plain(), LEAD);
        let shown = format!("{new:?}");
        let made = world.attempt(&Act::CreateDestination(Box::new(new)));
        assert!(made.is_ok(), "{shown}: {made:?}");
    }
}

#[test]
fn what_is_optional_is_signed_where_it_is_in_the_request_and_may_be_missing() {
    for (url, optional, expected) in [
        ("https://t.example/?click_id={sub1}&s={signature}", true, None),
        ("https://t.example/?click_id={sub1}&txn={txn_id}&s={signature}", true, None),
        ("https://t.example/?click_id={sub1}&txn={txn_id}&s={signature}", false, None),
        ("https://t.example/?click_id={sub1}&s={signature}", false, Some("scheme.input.fields[1]")),
    ] {
        let mut new = signing(url, "click_id", "GET");
        let optional: &[&str] = if optional { &["txn"] } else { &[] };
        let input = serde_json::json!({
            "kind": "fields", "fields": ["click_id", "txn"], "separator": ":", "optional": optional
        });
        let scheme = serde_json::json!({ "algorithm": "hmac_sha256", "input": input });
        new.scheme = Some(serde_json::from_value(scheme).unwrap());
        let made = World::new(plain(), LEAD).attempt(&Act::CreateDestination(Box::new(new)));
        let field = made.err().and_then(|failure| failure.parameter);
        assert_eq!(field.as_deref(), expected, "{url} {optional:?}");
    }
}

#[test]
fn the_url_that_takes_back_may_use_values_of_its_own() {
    let with = |own: &str, other: &str| {
        let rules =
            format!(r#"{{"corrections":{{"how":"url","url":"https://t.example{other}"}}}}"#);
        let mut new = ruled(&format!("https://t.example{own}"), &rules);
        let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
        let (name, about) = ("key".to_owned(), "x".to_owned());
        outbound.accounts = vec![crate::outbound::Account { name, about, secret: true }];
        outbound.headers.insert("x-a".to_owned(), "{goal}".to_owned());
        new.secrets.insert("key".to_owned(), Secret::new("k".to_owned()));
        new
    };
    for (own, other) in [("/{account.key}", "/"), ("/", "/{raw:account.key}?{ip}")] {
        let network = Network::of([with(own, other)]);
        let made = network.world.setup.destination(DestinationId(1)).unwrap();
        assert!(made.fields().contains(&Field::Account("key".to_owned())), "{own} {other}");
        assert_eq!(made.fields().contains(&Field::Ip), other.contains("{ip}"), "{own} {other}");
    }
    let (field, why) = refused(with("/", "/"));
    assert!(field == "secrets.key" && why.contains("nothing uses `key`"), "{field}: {why}");
    let signed = "https://t.example/?click_id={click_id}&s={signature}";
    let mut new = signing(signed, "click_id", "GET");
    let url = "https://t.example/?clickid={click_id}&s={signature}".to_owned();
    new.rules.corrections = Corrections::Url { url };
    let (field, why) = refused(new);
    assert!(field == "corrections.url" && why.contains("the nearest is `clickid`"), "{why}");
}

#[test]
fn corrections_that_do_not_read_say_why() {
    let why = |json: &str| serde_json::from_str::<Corrections>(json).unwrap_err().to_string();
    assert!(why(r#"{"how":"none","url":"x"}"#).contains("`url` is for `\"how\":\"url\"` alone"));
    assert!(why(r#"{"how":"url"}"#).contains("missing field `url`"));
    assert!(why(r#"{"how":"never"}"#).contains("one of `none`, `status`, `difference`, `url`"));
    for one in ["none", "status", "difference"] {
        let json = format!(r#"{{"how":"{one}"}}"#);
        let read: Corrections = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}

#[test]
fn a_faulty_one_is_refused_with_the_field() {
    let secret = |name: &str| BTreeMap::from([(name.to_owned(), Secret::new("s".to_owned()))]);
    let scheme = || {
        let json = r#"{"algorithm":"sha256","secret":"after","input":{"kind":"query"}}"#;
        Some(serde_json::from_str(json).unwrap())
    };
    let url = "https://t.example/?c={click_id}";
    let signed = "https://t.example/?c={click_id}&s={signature}";
    let twice = "https://t.example/?s={signature}&t={signature}";
    let within = "https://t.example/?s=v1{signature}";
    let named = "https://t.example/?click_id={click_id}&s={signature}";
    let cases = [
        (new("t.example"), "url", "begins with https://"),
        (new("https://t.example/?{clikid}"), "url", "the nearest is {click_id}"),
        (new("https://{sub1}/"), "url", "the host is written out"),
        (new("https://t.example/?{account.aid}"), "url", "not among the accounts"),
        (new("https://t.example/?{clicked_at:%Y,Mars/Base}"), "url", "no IANA time zone"),
        (new("https://t.example/?{clicked_at:%}"), "url", "no pattern"),
        (new("https://t.example/?{minor:goal}"), "url", "is no amount"),
        (new(signed), "scheme", "needs a scheme"),
        (NewDestination { scheme: scheme(), ..new(signed) }, "secret", "needs the agreed secret"),
        (NewDestination { scheme: scheme(), ..new(url) }, "url", "nothing carries"),
        (
            NewDestination { scheme: scheme(), secrets: secret(SIGNING), ..new(twice) },
            "url",
            "once",
        ),
        (
            NewDestination { scheme: scheme(), secrets: secret(SIGNING), ..new(within) },
            "url",
            "alone",
        ),
        (signing(url, "click_id", "POST"), "url", "nothing carries"),
        (signing(named, "clickid", "GET"), "scheme.input.fields[0]", "the nearest is `click_id`"),
        (signing(named, "zzz", "GET"), "scheme.input.fields[0]", "no parameter `zzz`"),
        (signing("https://t.example/?a=1&a=2&s={signature}", "a", "GET"), "scheme", "sent twice"),
        (NewDestination { secrets: secret("x"), ..new(url) }, "secrets.x", "nothing uses"),
        (NewDestination { secrets: secret(SIGNING), ..new(url) }, "secret", "base64"),
    ];
    check(cases);
}

#[test]
fn faulty_rules_are_refused_with_the_field() {
    let url = "https://t.example/?c={click_id}";
    let paced = |concurrency: u32, per_second: Option<u32>| NewDestination {
        pace: Pace { concurrency, per_second },
        ..new(url)
    };
    let cases = [
        (ruled(url, r#"{"statuses":[]}"#), "statuses", "at least one"),
        (ruled(url, r#"{"sampling":"101"}"#), "sampling", "0 to 100"),
        (ruled(url, r#"{"payout_share":"100.1"}"#), "payout_share", "0 to 100"),
        (ruled(url, r#"{"min_payout":"-1"}"#), "min_payout", "not negative"),
        (ruled(url, r#"{"delay_s":4000000}"#), "delay_s", "at most"),
        (ruled(url, r#"{"corrections":{"how":"status"}}"#), "corrections", "{status}"),
        (
            ruled(url, r#"{"corrections":{"how":"url","url":"x"}}"#),
            "corrections.url",
            "begins with",
        ),
        (paced(0, None), "concurrency", "from 1"),
        (paced(1, Some(0)), "per_second", "from 1"),
        (
            NewDestination { owner: Owner::Link { link_id: LinkId(9) }, ..new(url) },
            "link_id",
            "no link 9",
        ),
        (
            NewDestination { outbound: NewOutbound::Partner("nobody".to_owned()), ..new(url) },
            "partner",
            "GET /api/v1/partners",
        ),
        (
            NewDestination { outbound: NewOutbound::Partner("it".to_owned()), ..new(url) },
            "partner",
            "give `url`",
        ),
    ];
    check(cases);
}

#[test]
fn one_from_the_catalogue_asks_for_the_account_s_values() {
    let mut world = World::new(plain(), LEAD);
    let mut known = partner("known", plain());
    let json = r#"{"url":"https://t.example/{account.aid}?k={account.key}",
        "accounts":[{"name":"aid","about":"the id"},{"name":"key","about":"the key","secret":true}]}"#;
    known.outbound = Some(serde_json::from_str(json).unwrap());
    let now = world.now;
    world.setup.put(now, Change::Partner(known));
    let mut new = NewDestination { outbound: NewOutbound::Partner("known".to_owned()), ..new("") };
    let mut attempt =
        |new: &NewDestination| world.attempt(&Act::CreateDestination(Box::new(new.clone())));
    let failure = attempt(&new).unwrap_err();
    assert_eq!(failure.parameter.as_deref(), Some("account.aid"));
    assert!(failure.detail.contains("the id"));
    new.account.insert("aid".to_owned(), "7".to_owned());
    assert_eq!(attempt(&new).unwrap_err().parameter.as_deref(), Some("secrets.key"));
    new.secrets.insert("key".to_owned(), Secret::new("s3cret".to_owned()));
    let Answered::Destination(made) = attempt(&new).unwrap() else { panic!() };
    assert_eq!(made.partner.as_deref(), Some("known"));
    let shown = serde_json::to_string(&made).unwrap();
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_change_leaves_the_rest_and_an_archived_one_is_not_changed() {
    let mut network = Network::of([new("https://t.example/?{click_id}")]);
    let id = DestinationId(1);
    let pace = Some(Pace { concurrency: 2, per_second: Some(5) });
    let changes = DestinationChanges { pace, ..DestinationChanges::default() };
    let change = Act::ChangeDestination { id, changes: Box::new(changes) };
    let Answered::Destination(changed) = network.world.act(change.clone()) else { panic!() };
    assert_eq!(changed.pace.concurrency, 2);
    assert_eq!(changed.outbound.url, "https://t.example/?{click_id}");
    network.world.act(Act::ArchiveDestination { id });
    assert_eq!(network.world.attempt(&change).unwrap_err().code, "archived");
}

#[test]
fn a_signing_secret_brings_its_headers_and_takes_them_along() {
    let mut network = Network::of([new("https://t.example/?{click_id}")]);
    let id = DestinationId(1);
    let mut set = |secret: Option<&str>| {
        let secret = secret.map(|secret| Secret::new(secret.to_owned()));
        let secrets = BTreeMap::from([(SIGNING.to_owned(), secret)]);
        let changes = DestinationChanges { secrets, ..DestinationChanges::default() };
        network.world.act(Act::ChangeDestination { id, changes: Box::new(changes) });
        network.world.setup.destination(id).unwrap().clone()
    };
    assert_eq!(set(Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).outbound.headers.len(), 3);
    assert_eq!(set(Some("whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).outbound.headers.len(), 3);
    let bare = set(None);
    assert_eq!((bare.outbound.headers.len(), bare.scheme), (0, None));
}

#[test]
fn the_way_it_is_signed_can_be_taken_away_and_replaced() {
    const BASE64: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signed = "https://t.example/?click_id={click_id}&s={signature}";
    let bare = "https://t.example/?click_id={click_id}";
    let own = signing(signed, "click_id", "GET");
    let scheme = own.scheme.clone();
    let mut network = Network::of([own]);
    let id = DestinationId(1);
    let mut set = |url: &str, secret: Option<&str>, scheme: Option<Option<Scheme>>| {
        let secret = secret.map(|secret| Secret::new(secret.to_owned()));
        let mut outbound = network.world.setup.destination(id).unwrap().outbound.clone();
        url.clone_into(&mut outbound.url);
        let changes = DestinationChanges {
            outbound: Some(NewOutbound::Own(Box::new(outbound))),
            secrets: BTreeMap::from([(SIGNING.to_owned(), secret)]),
            scheme,
            ..DestinationChanges::default()
        };
        let json = serde_json::to_value(&changes).unwrap();
        assert_eq!(serde_json::from_value::<DestinationChanges>(json).unwrap(), changes);
        network.world.attempt(&Act::ChangeDestination { id, changes: Box::new(changes) })?;
        Ok::<_, Failure>(network.world.setup.destination(id).unwrap().clone())
    };
    let standard = Some(standard_webhooks().0);
    assert!(set(bare, Some(BASE64), None).unwrap_err().detail.contains("\"scheme\":null"));
    assert_eq!(set(bare, Some(BASE64), Some(None)).unwrap().scheme, standard);
    let again = set(bare, Some(BASE64), Some(None)).unwrap();
    assert_eq!((again.scheme, again.outbound.headers.len()), (standard, 3));
    let own = set(signed, Some("s"), Some(scheme.clone())).unwrap();
    assert_eq!((own.scheme, own.outbound.headers.len()), (scheme, 0));
    let none = set(bare, None, Some(None)).unwrap();
    assert_eq!((none.scheme, none.outbound.headers.len(), none.secrets.len()), (None, 0, 0));
}

#[test]
fn there_are_only_so_many() {
    let all = (0..DESTINATIONS_MAX).map(|_| new("https://t.example/"));
    let mut network = Network::of(all);
    let one_more = Act::CreateDestination(Box::new(new("https://t.example/")));
    assert_eq!(network.world.attempt(&one_more).unwrap_err().code, "in_use");
    network.world.act(Act::ArchiveDestination { id: DestinationId(3) });
    assert!(network.world.attempt(&one_more).is_ok());
}

#[test]
fn a_secret_that_is_too_long_is_refused_where_it_is_given() {
    let url = "https://t.example/{account.domain}?c={click_id}";
    let of_length = |length: usize| hosted(url, &"s".repeat(length), true);
    let detail = "at most 2048 bytes";
    check([(of_length(SECRET_BYTES_MAX + 1), "secrets.domain", detail)]);
    let mut world = World::new(plain(), LEAD);
    let made = world.attempt(&Act::CreateDestination(Box::new(of_length(SECRET_BYTES_MAX))));
    assert!(made.is_ok(), "{made:?}");
    let mut signed = new("https://t.example/?c={click_id}");
    signed.secrets.insert(SIGNING.to_owned(), Secret::new("c3Nz".repeat(513)));
    check([(signed, "secret", detail)]);
    let url = "https://{account.domain}/{account.a}/{account.b}?c={click_id}";
    let mut many = hosted(url, &"s".repeat(2_000), true);
    if let NewOutbound::Own(outbound) = &mut many.outbound {
        let domain = outbound.accounts[0].clone();
        for name in ["a", "b"] {
            outbound.accounts.push(Account { name: name.to_owned(), ..domain.clone() });
            many.secrets.insert(name.to_owned(), Secret::new("s".repeat(2_000)));
        }
    }
    check([(many, "secrets", "all together have at most 4096 bytes")]);
}
