//! What a request says, and how it is signed.

use super::*;
use crate::contract::{Canonical, Contract, Parameter, Unit, Verification};
use crate::hit::Hit;
use crate::ledger::tests::world;
use crate::outbound::{Method, Request};
use crate::postback::{Pairs, Sender, verify};
use crate::visitor::{Country, Device, Visitor};

const NOW: Timestamp = Timestamp::from_s(1_800_000_000);

/// What the first destination is told of a conversion of click `a`.
fn requests(new: NewDestination, lines: &[&str]) -> Vec<Result<Made, Unmade>> {
    let mut network = Network::of([new]);
    network.world.labelled_click("a", &[("sub1", "us&eu"), ("source", "s 1")]);
    for line in lines {
        network.send(line);
    }
    let destination = network.world.setup.destination(DestinationId(1)).unwrap();
    let made = network.owed.iter().map(|owed| {
        let conversion = network.world.conversion();
        let click_id = network.world.id("a");
        destination.request(&Told {
            owed,
            idempotency_key: &owed.idempotency_key(&network.world.setup),
            conversion,
            click_id: click_id.as_str(),
            click: None,
            receipt: "r3c31pt",
            at: NOW,
            random: 42,
        })
    });
    made.collect()
}

fn url(template: &str) -> String {
    let line = "?click_id=@a&txn_id=t%2F7&payout=2&revenue=3.5&sale_amount=70&param1=p";
    let made = requests(new(template), &[line]);
    made.into_iter().next().unwrap().unwrap().request.url
}

/// With `ID` for a click id.
fn without_id(url: &str) -> String {
    let is_id = |part: &&str| world::keyring().parse(part).is_some();
    let id = url.split(['/', '=', '&']).find(is_id);
    id.map_or(url.to_owned(), |id| url.replace(id, "ID"))
}

#[test]
fn every_macro_is_filled_in() {
    let cases = [
        ("{click_id}", "ID"),
        ("{campaign_id}/{publisher_id}/{link_id}", "1/1/1"),
        ("{payout}/{full_payout}/{revenue}/{sale_amount}/{currency}", "1.75/1.75/3.5/70/USD"),
        ("{minor:payout}/{minor:revenue}/{minor:sale_amount}", "175/350/7000"),
        ("{status}/{raw_status}/{goal}", "approved//lead"),
        ("{status:approved=1,reversed=2}", "1"),
        ("{txn_id}/{raw:txn_id}", "t%2F7/t/7"),
        ("{conversion_id}/{sequence}/{idempotency_key}/{receipt}", "1/1/1-1-1/r3c31pt"),
        ("{sub1}/{raw:sub1}/{source}/{sub2}", "us%26eu/us&eu/s%201/"),
        ("{param1}/{param2}", "p/"),
        ("{ip}/{user_agent}", "/"),
        ("{country}/{device}/{os}/{browser}", "///"),
        ("{timestamp}/{random}", "1800000000/42"),
        ("{clicked_at:%Y}", "2026"),
        ("{converted_at:unix}/{changed_at:%d,Europe/Kyiv}", "1795165200/20"),
    ];
    for (template, expected) in cases {
        let made = without_id(&url(&format!("https://t.example/{template}")));
        assert_eq!(made.strip_prefix("https://t.example/"), Some(expected), "{template}");
    }
}

#[test]
fn what_its_click_knows_of_the_visitor_is_told() {
    let template = "https://t.example/{country}/{device}/{os}/{browser}/{raw:browser}/{ip}";
    let mut network = Network::of([new(template)]);
    let visitor = Visitor {
        country: Country::parse(b"AT"),
        device: Some(Device::Tablet),
        os: "iOS".into(),
        browser: "Samsung Internet".into(),
    };
    let click = network.world.click("a", world::LINK);
    click.visitor = visitor;
    let click = click.clone();
    network.send("?click_id=@a");
    let made = network.world.setup.destination(DestinationId(1)).unwrap().request(&Told {
        owed: &network.owed[0],
        idempotency_key: "1-1-1",
        conversion: network.world.conversion(),
        click_id: "ID",
        click: Some(&click),
        receipt: "r3c31pt",
        at: NOW,
        random: 42,
    });
    let url = made.unwrap().request.url;
    let expected = "https://t.example/AT/tablet/iOS/Samsung%20Internet/Samsung%20Internet/";
    assert_eq!(url, expected);
}

#[test]
fn shares_and_differences_are_what_is_told() {
    let told = |corrections: &str| -> Vec<String> {
        let rules = format!(r#"{{"payout_share":"50","corrections":{corrections}}}"#);
        let template = "https://t.example/?p={payout}&m={minor:payout}&s={status}";
        let lines = ["?click_id=@a&payout=2", "?click_id=@a&status=reversed"];
        let made = requests(ruled(template, &rules), &lines).into_iter();
        made.map(|one| one.map_or_else(|why| why.to_string(), |one| one.request.url)).collect()
    };
    let first = "https://t.example/?p=0.875&m=88&s=approved".to_owned();
    let cases = [
        (r#"{"how":"none"}"#, "this destination cannot be told of a correction"),
        (r#"{"how":"status"}"#, "https://t.example/?p=0&m=0&s=reversed"),
        (r#"{"how":"difference"}"#, "https://t.example/?p=-0.875&m=-88&s=reversed"),
        (
            r#"{"how":"url","url":"https://t.example/gone?s={status}"}"#,
            "https://t.example/gone?s=reversed",
        ),
    ];
    for (corrections, expected) in cases {
        assert_eq!(told(corrections), [first.clone(), expected.to_owned()], "{corrections}");
    }
}

/// A contract that reads what a destination sends, and the hit that arrives.
fn arrives(request: &Request, scheme: &Scheme, in_header: Option<&str>) -> (Contract, Hit) {
    let (_, rest) = request.url.split_once("://").unwrap();
    let (host, target) = rest.split_once('/').unwrap();
    let signature = Parameter {
        canonical: Canonical::Signature,
        names: vec![in_header.unwrap_or("signature").to_owned()],
        in_header: in_header.is_some(),
        required: true,
        in_url: false,
        appended: false,
        placeholder: None,
        max_length: None,
        allowed: Vec::new(),
        unit: Unit::Decimal,
    };
    let mut contract = world::contract("click_id! txn_id payout status");
    contract.parameters.push(signature);
    contract.verification =
        Verification { signature: Some(scheme.clone()), ..Verification::default() };
    let hit = Hit {
        method: request.method.name().to_owned(),
        target: format!("/{target}").into_bytes(),
        content_type: request.content_type.clone(),
        body: request.body.clone().unwrap_or_default().into_bytes(),
        headers: request.headers.clone(),
        base: format!("https://{host}"),
        ..Hit::default()
    };
    (contract, hit)
}

fn is_verified(contract: &Contract, hit: &Hit, secret: &str) -> bool {
    let mut world = World::new(contract.clone(), LEAD);
    let secrets = BTreeMap::from([(
        crate::contract::SIGNATURE.to_owned(),
        Some(Secret::new(secret.to_owned())),
    )]);
    let id = world::OWN_ID;
    let (landing_params, old_secrets_until) = (None, None);
    let secrets = Some(secrets);
    world.act(Act::ChangeIntegration { id, landing_params, secrets, old_secrets_until });
    let integration = world.setup.integration(id).unwrap();
    let sender = Sender::of(Some(integration), None, NOW);
    verify(contract, contract, &Pairs::of(hit), &sender, NOW).is_ok_and(|proof| proof.is_verified)
}

#[test]
fn what_is_sent_verifies_by_the_scheme_it_was_signed_with() {
    let query =
        "https://t.example/c?status={status}&click_id={click_id}&txn_id={txn_id}&payout={payout}";
    let schemes = [
        r#"{"algorithm":"hmac_sha256","input":{"kind":"fields","fields":["click_id","txn_id","payout"],"separator":":"}}"#,
        r#"{"algorithm":"md5","input":{"kind":"fields","fields":["click_id","payout","{secret}"]}}"#,
        r#"{"algorithm":"sha1","encoding":"base64","secret":"after","input":{"kind":"query"}}"#,
        r#"{"algorithm":"hmac_sha1","encoding":"base64url","input":{"kind":"sorted_query"}}"#,
        r#"{"algorithm":"sha256","secret":"before","input":{"kind":"url"}}"#,
    ];
    for scheme in schemes {
        let scheme: Scheme = serde_json::from_str(scheme).unwrap();
        for template in [
            format!("{query}&signature={{signature}}"),
            query.replace('?', "?signature={signature}&"),
        ] {
            let mut new = new(&template);
            new.secrets.insert(SIGNING.to_owned(), Secret::new("s3cret".to_owned()));
            new.scheme = Some(scheme.clone());
            let line = "?click_id=@a&txn_id=a%20b%2F%26c&payout=2";
            let made = requests(new, &[line]).remove(0).unwrap().request;
            let (contract, hit) = arrives(&made, &scheme, None);
            assert!(is_verified(&contract, &hit, "s3cret"), "{scheme:?} {}", made.url);
            assert!(!is_verified(&contract, &hit, "other"), "{scheme:?}");
            let mut changed = hit;
            changed.target =
                String::from_utf8(changed.target).unwrap().replace("1.75", "9.75").into();
            assert!(!is_verified(&contract, &changed, "s3cret"), "{scheme:?}");
        }
    }
}

#[test]
fn a_secret_alone_signs_by_standard_webhooks() {
    let mut new = new("https://t.example/hook");
    let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
    outbound.method = Method::Post;
    outbound.content_type = Some("application/json".to_owned());
    outbound.body = Some(r#"{{"click_id":"{click_id}","txn_id":"{txn_id}"}}"#.to_owned());
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    new.secrets.insert(SIGNING.to_owned(), Secret::new(secret.to_owned()));
    let made = requests(new, &["?click_id=@a&txn_id=t\"1"]).remove(0).unwrap().request;
    let header = |name: &str| {
        let found = made.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(header("webhook-id"), "1-1-1");
    assert_eq!(header("webhook-timestamp"), "1800000000");
    assert!(header("webhook-signature").starts_with("v1,"));
    let (scheme, _) = standard_webhooks();
    let (contract, hit) = arrives(&made, &scheme, Some("webhook-signature"));
    assert!(is_verified(&contract, &hit, secret));
    let changed = Hit { body: b"{}".to_vec(), ..hit };
    assert!(!is_verified(&contract, &changed, secret));
}

#[test]
fn secrets_are_sent_and_not_shown() {
    let mut new = new("https://{account.host}/c?k={account.key}&s={signature}&c={click_id}");
    let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
    let account = |name: &str, secret| {
        let (name, about) = (name.to_owned(), "x".to_owned());
        crate::outbound::Account { name, about, secret }
    };
    outbound.accounts = vec![account("host", false), account("key", true)];
    new.account.insert("host".to_owned(), "t.example".to_owned());
    for (name, secret) in [("key", "k e/y"), (SIGNING, "s3cret")] {
        new.secrets.insert(name.to_owned(), Secret::new(secret.to_owned()));
    }
    let json = r#"{"algorithm":"md5","input":{"kind":"fields","fields":["c","{secret}"]}}"#;
    new.scheme = Some(serde_json::from_str(json).unwrap());
    let made = requests(new, &["?click_id=@a"]).remove(0).unwrap();
    assert!(made.request.url.starts_with("https://t.example/c?k=k%20e%2Fy&s="));
    let masked = made.request.url.replace("k%20e%2Fy", "***");
    assert_eq!(made.shown.url, masked);
}

#[test]
fn secrets_in_headers_and_bodies_are_not_shown_either() {
    let cases = [
        ("application/json", r#"{{"k":"{account.key}","c":"{txn_id}"}}"#),
        ("application/x-www-form-urlencoded", "k={account.key}&c={txn_id}"),
    ];
    for (content_type, body) in cases {
        let mut new = new("https://t.example/c");
        let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
        let account = |name: &str| {
            let (name, about) = (name.to_owned(), "x".to_owned());
            crate::outbound::Account { name, about, secret: true }
        };
        outbound.method = Method::Post;
        outbound.accounts = vec![account("key")];
        outbound.headers = [("x-key".to_owned(), "Key {account.key}".to_owned())].into();
        outbound.content_type = Some(content_type.to_owned());
        outbound.body = Some(body.to_owned());
        new.secrets.insert("key".to_owned(), Secret::new("k e/y".to_owned()));
        let made = requests(new.clone(), &["?click_id=@a&txn_id=7"]).remove(0).unwrap();
        assert_eq!(made.request.headers[0].1, "Key k e/y");
        assert_eq!(made.shown.headers, [("x-key".to_owned(), "Key ***".to_owned())]);
        let shown = body.replace("{account.key}", "***").replace("{txn_id}", "7");
        assert_eq!(made.shown.body, Some(shown.replace("{{", "{").replace("}}", "}")));
        let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
        // Where even the host is one, nothing is filled in.
        outbound.accounts.push(account("host"));
        outbound.url = "https://{account.host}/c".to_owned();
        new.secrets.insert("host".to_owned(), Secret::new("secret.example".to_owned()));
        let made = requests(new, &["?click_id=@a&txn_id=7"]).remove(0).unwrap();
        assert_eq!(made.request.url, "https://secret.example/c");
        assert_eq!(made.shown.url, "https://{account.host}/c");
        assert_eq!(made.shown.body.as_deref(), Some(body));
    }
}

#[test]
fn what_comes_back_shows_no_secret_either() {
    const SIGNED: &str = "czNjcmV0czNjcmV0czNjcmV0";
    let mut new = new("https://t.example/c?k={account.key}&c={click_id}");
    let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
    let (name, about) = ("key".to_owned(), "x".to_owned());
    outbound.accounts = vec![crate::outbound::Account { name, about, secret: true }];
    for (name, secret) in [("key", "k e/y"), (SIGNING, SIGNED)] {
        new.secrets.insert(name.to_owned(), Secret::new(secret.to_owned()));
    }
    let network = Network::of([new]);
    let destination = network.world.setup.destination(DestinationId(1)).unwrap();
    let shown = |answer: &[u8]| destination.masked(answer);
    let answer = b"\xffno k e/y, k%20e%2Fy, k%20e%2fy, k+e%2Fy, czNjcmV0czNjcmV0czNjcmV0";
    assert_eq!(shown(answer), b"\xffno ***, ***, ***, ***, ***");
    assert_eq!(shown(b"OK"), b"OK");
    assert_eq!(shown(b"czNjcmV0"), b"czNjcmV0");
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    const SECRET: &str = r#"pa"ss/w+rd \<é&'😀"#;
    let mut new = new("https://t.example/c?k={account.key}&l={account.longer}");
    let NewOutbound::Own(outbound) = &mut new.outbound else { unreachable!() };
    let account = |name: &str| {
        let (name, about) = (name.to_owned(), "x".to_owned());
        crate::outbound::Account { name, about, secret: true }
    };
    outbound.accounts = vec![account("key"), account("longer")];
    new.secrets.insert("key".to_owned(), Secret::new(SECRET.to_owned()));
    // It begins as the other does, and comes behind it.
    new.secrets.insert("longer".to_owned(), Secret::new(format!("{SECRET}%21")));
    let network = Network::of([new]);
    let destination = network.world.setup.destination(DestinationId(1)).unwrap();
    let cases = [
        ("as it is", SECRET),
        ("the longer one", r#"pa"ss/w+rd \<é&'😀%21"#),
        ("JSON", r#"pa\"ss/w+rd \<é&'😀"#),
        ("JSON by PHP", r#"pa\"ss\/w+rd \<\u00e9&'\ud83d\ude00"#),
        ("JSON by Go", r#"pa\"ss/w+rd \\u003c\u00E9\u0026\u0027😀"#),
        ("XML", r"pa&quot;ss/w+rd \&lt;é&amp;&apos;😀"),
        ("HTML by PHP", r"pa&quot;ss/w+rd \&lt;é&amp;&#039;&#128512;"),
        ("XML by number", r"pa&#34;ss&#x2F;w+rd \&#60;&#xe9;&#38;&#39;&#X1F600;"),
        ("a URL", "pa%22ss%2Fw%2Brd%20%5C%3C%C3%A9%26%27%F0%9F%98%80"),
        ("a URL in lower case", "pa%22ss%2fw%2brd%20%5c%3c%c3%a9%26%27%f0%9f%98%80"),
        ("a URL that leaves delimiters", "pa%22ss/w+rd%20%5C%3C%C3%A9&'%F0%9F%98%80"),
        ("a form", "pa%22ss%2Fw%2Brd+%5C%3C%C3%A9%26%27%F0%9F%98%80"),
    ];
    for (how, written) in cases {
        let shown = destination.masked(format!("no, {written}!").as_bytes());
        assert_eq!(String::from_utf8(shown).unwrap(), "no, ***!", "{how}");
    }
    for other in ["%", "%2", "%zz", "%c3", r"\", r"\u", r"\ud83d", "&", "&#;", "&#x;", "&lt"] {
        assert_eq!(destination.masked(other.as_bytes()), other.as_bytes());
        let behind = format!("pa{other}");
        assert_eq!(destination.masked(behind.as_bytes()), behind.as_bytes());
    }
}
