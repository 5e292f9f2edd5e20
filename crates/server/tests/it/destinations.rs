//! How destinations are set up: whose they are, what is called, and what of it is refused.

use crate::network::{Network, text};
use serde_json::{Value, json};

const URL: &str = "https://t.example/?c={external_id}&p={payout}";

/// What the destination is made of, beside whose it is.
fn with(network: &Network, fields: &Value) -> Value {
    let mut body = json!({ "publisher_id": network.publisher });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[test]
fn what_is_wrong_with_one_is_named() {
    let mut network = Network::start();
    let signature = "https://t.example/?s={signature}";
    let scheme = json!({ "algorithm": "hmac_sha256", "input": { "kind": "sorted_query" } });
    let input = json!({ "kind": "fields", "fields": ["c"] });
    let fields = json!({ "algorithm": "hmac_sha256", "input": input });
    let cases = [
        (json!({}), "url"),
        (json!({ "url": "t.example/?c={click_id}" }), "url"),
        (json!({ "url": "https://t.example/?c={clik_id}" }), "url"),
        (json!({ "url": "https://{sub1}/" }), "url"),
        (json!({ "url": URL, "partner": "voluum" }), "partner"),
        (json!({ "partner": "volum" }), "partner"),
        (json!({ "partner": "voluum" }), "account.domain"),
        (
            json!({ "partner": "voluum", "account": { "domain": "https://t.example/" } }),
            "account.domain",
        ),
        (json!({ "url": URL, "account": { "key": "1" } }), "account"),
        (json!({ "url": URL, "secrets": { "x": "1" } }), "secrets.x"),
        (json!({ "url": URL, "secrets": { "signing": "x" } }), "secrets.signing"),
        (json!({ "url": URL, "secrets": { "token": "***" } }), "secrets.token"),
        (json!({ "url": signature }), "scheme"),
        (json!({ "url": signature, "scheme": scheme }), "secret"),
        (json!({ "url": URL, "scheme": scheme, "secret": "a secret" }), "url"),
        (json!({ "url": URL, "secret": "no base64!" }), "secret"),
        (json!({ "url": URL, "body": "x" }), "body"),
        (json!({ "url": URL, "headers": { "Host": "x" } }), "headers.Host"),
        (json!({ "url": "https://t.example/?c=REPLACE&p={payout}" }), "url"),
        (json!({ "url": URL, "success": {} }), "success"),
        (json!({ "url": URL, "success": { "status": [200, 99] } }), "success.status[1]"),
        (json!({ "url": signature, "scheme": fields, "secret": "s" }), "scheme.input.fields[0]"),
        (json!({ "url": URL, "statuses": [] }), "statuses"),
        (json!({ "url": URL, "statuses": ["paid"] }), "statuses[0]"),
        (json!({ "url": URL, "sampling": "101" }), "sampling"),
        (json!({ "url": URL, "payout_share": "-1" }), "payout_share"),
        (json!({ "url": URL, "min_payout": "-0.01" }), "min_payout"),
        (json!({ "url": URL, "delay_s": 2_592_001 }), "delay_s"),
        (json!({ "url": URL, "concurrency": 0 }), "concurrency"),
        (json!({ "url": URL, "corrections": { "how": "status" } }), "corrections"),
        (json!({ "url": URL, "corrections": { "how": "none", "url": URL } }), "corrections"),
        (json!({ "url": URL, "corrections": { "how": "url", "url": "x" } }), "corrections.url"),
        (json!({ "url": URL, "link_id": 1 }), "link_id"),
    ];
    for (fields, name) in cases {
        let body = with(&network, &fields);
        let said =
            network.refused("POST", "/destinations", Some(&body), (400, "invalid_parameter"));
        assert_eq!(said["parameter"], name, "{fields}: {said}");
    }
    for (owner, name) in [
        (json!({ "url": URL }), "publisher_id"),
        (json!({ "url": URL, "publisher_id": 77 }), "publisher_id"),
        (json!({ "url": URL, "link_id": 77 }), "link_id"),
    ] {
        let said =
            network.refused("POST", "/destinations", Some(&owner), (400, "invalid_parameter"));
        assert_eq!(said["parameter"], name, "{owner}: {said}");
    }
}

#[test]
fn a_change_leaves_what_it_does_not_say() {
    let mut network = Network::start();
    let fields = json!({
        "url": "https://{account.host}/?c={external_id}&k={account.key}&p={payout}",
        "account": { "host": "t.example" }, "secrets": { "key": "k1" }, "min_payout": "0.10",
        "success": { "body": "OK" }, "goals": ["install"], "per_second": 5,
    });
    let body = with(&network, &fields);
    let made = network.make("/destinations", &body);
    let path = format!("/destinations/{}", made["id"]);
    let mut expected = made.clone();
    let mut change = |change: Value, now: Value| {
        for (name, value) in now.as_object().unwrap() {
            expected[name] = value.clone();
        }
        let changed = network.change("PATCH", &path, &change);
        assert_eq!(changed, expected, "{change}");
        assert_eq!(network.ask(&path), expected, "{change}");
    };
    change(json!({ "secrets": { "key": "k2" } }), json!({}));
    let host = json!({ "account": { "host": "u.example" } });
    change(host.clone(), host);
    let null = json!({ "min_payout": null, "per_second": null, "success": null });
    change(null.clone(), null);
    let rules = json!({ "statuses": ["pending", "approved"], "sampling": "12.5", "delay_s": 60 });
    change(rules.clone(), rules);
    let url = "https://{account.host}/?c={external_id}";
    change(json!({ "url": url, "secrets": { "key": null } }), json!({ "url": url, "secrets": {} }));
    network.refused("PATCH", &path, Some(&json!({})), (400, "invalid_request"));
    let said = json!({ "publisher_id": 1 });
    network.refused("PATCH", &path, Some(&said), (400, "invalid_parameter"));
    network.make(&format!("{path}/archive"), &json!({}));
    let said = json!({ "url": URL });
    network.refused("PATCH", &path, Some(&said), (409, "archived"));
}

#[test]
fn how_it_signs_is_taken_away_by_null() {
    let mut network = Network::start();
    let signed = format!("{URL}&s={{signature}}");
    let scheme = json!({ "algorithm": "hmac_sha256", "input": { "kind": "sorted_query" } });
    let fields = json!({ "url": signed, "secret": "s", "scheme": scheme });
    let made = network.make("/destinations", &with(&network, &fields));
    assert_eq!(made["scheme"], scheme);
    let path = format!("/destinations/{}", made["id"]);
    network.refused("PATCH", &path, Some(&json!({ "url": URL })), (400, "invalid_parameter"));
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let standard = json!({ "url": URL, "secret": secret, "scheme": null });
    let changed = network.change("PATCH", &path, &standard);
    assert_eq!(changed["headers"]["webhook-signature"], "{signature}", "{changed}");
    assert_eq!(changed["scheme"]["input"]["kind"], "webhook", "{changed}");
    let own = json!({ "url": signed, "secret": "s", "scheme": scheme });
    assert_eq!(network.change("PATCH", &path, &own)["headers"], json!({}));
    let none = json!({ "url": URL, "secret": null, "scheme": null });
    assert_eq!(network.change("PATCH", &path, &none)["scheme"], Value::Null);
    network.make("/destinations", &with(&network, &none));
}

#[test]
fn one_of_the_catalogue_keeps_its_platform_until_it_says_more() {
    let mut network = Network::start();
    let fields = json!({ "partner": "voluum", "account": { "domain": "track.example" } });
    let body = with(&network, &fields);
    let made = network.make("/destinations", &body);
    assert_eq!((&made["partner"], &made["verifiable"]), (&json!("voluum"), &json!(false)));
    assert!(text(&made["url"]).starts_with("https://{account.domain}/postback?"), "{made}");
    let path = format!("/destinations/{}", made["id"]);
    let other = json!({ "account": { "domain": "other.example" } });
    let changed = network.change("PATCH", &path, &other);
    assert_eq!((&changed["partner"], &changed["account"]), (&json!("voluum"), &other["account"]));
    for (name, value) in
        [("verifiable", json!(true)), ("method", json!("GET")), ("body", json!(null))]
    {
        let mut body = json!({});
        body[name] = value;
        let said = network.refused("PATCH", &path, Some(&body), (400, "invalid_parameter"));
        assert_eq!(said["parameter"], name);
        assert!(text(&said["detail"]).contains("`voluum`"), "{said}");
    }
    let own = network.change("PATCH", &path, &json!({ "partner": null, "verifiable": true }));
    assert_eq!((&own["partner"], &own["url"]), (&json!(null), &made["url"]));
    // As it was read, it is written.
    let same = json!({ "partner": null, "url": own["url"], "method": own["method"] });
    assert_eq!(network.change("PATCH", &path, &same), own);
    let again = network.change("PATCH", &path, &json!({ "partner": "voluum" }));
    assert_eq!((&again["partner"], &again["verifiable"]), (&json!("voluum"), &json!(false)));
    let own = network.change("PATCH", &path, &json!({ "partner": null }));
    assert_eq!((&own["partner"], &own["url"]), (&json!(null), &made["url"]));
    let found = network.ask("/destinations?partner=voluum");
    assert_eq!(found["items"], json!([]));
}

#[test]
fn one_of_the_catalogue_hears_of_changes_as_its_platform_does_or_as_it_is_said() {
    let mut network = Network::start();
    let keitaro = json!({ "partner": "keitaro", "account": { "domain": "t.example" },
        "secrets": { "key": "k1" } });
    let voluum = json!({ "partner": "voluum", "account": { "domain": "t.example" } });
    let (status, none) = (json!({ "how": "status" }), json!({ "how": "none" }));
    for (fields, said, expected) in [
        (&keitaro, None, &status),
        (&keitaro, Some(&none), &none),
        (&voluum, None, &none),
        (&json!({ "url": "https://t.example/?s={status}" }), None, &none),
    ] {
        let mut body = with(&network, fields);
        body["statuses"] = json!(["pending", "approved"]);
        if let Some(said) = said {
            body["corrections"] = said.clone();
        }
        let made = network.make("/destinations", &body);
        assert_eq!(made["corrections"], *expected, "{body}");
        let path = format!("/destinations/{}", made["id"]);
        let changed = network.change("PATCH", &path, &json!({ "delay_s": 60 }));
        assert_eq!(changed["corrections"], *expected, "{body}");
    }
    let partner = network.ask("/partners/keitaro");
    assert_eq!(
        (&partner["corrections"], &partner["outbound"]["corrections"]),
        (&status, &json!(null))
    );
}

#[test]
fn every_platform_that_is_called_needs_its_name_and_the_accounts_values_and_no_more() {
    let mut network = Network::start();
    let partners = network.ask("/partners?limit=200");
    assert_eq!(partners["next"], json!(null));
    let partners = partners["items"].as_array().unwrap().iter();
    let called: Vec<&Value> = partners.filter(|one| !one["outbound"].is_null()).collect();
    assert!(called.len() > 40, "{}", called.len());
    for partner in called {
        let name = text(&partner["name"]);
        let mut body = with(&network, &json!({ "partner": name, "account": {}, "secrets": {} }));
        for asked in partner["outbound"]["accounts"].as_array().into_iter().flatten() {
            let (key, is_secret) = (text(&asked["name"]), asked["secret"] == true);
            let place = if is_secret { "secrets" } else { "account" };
            // One after the other is asked for, with where it is found.
            let said =
                network.refused("POST", "/destinations", Some(&body), (400, "invalid_parameter"));
            assert_eq!(said["parameter"], format!("{place}.{key}"), "{name}: {said}");
            assert!(text(&said["detail"]).contains(text(&asked["about"])), "{name}: {said}");
            body[place][key] = if is_secret { "hidden.example" } else { "known.example" }.into();
        }
        let made = network.make("/destinations", &body);
        assert_eq!(made["partner"], name);
        let path = format!("/destinations/{}", made["id"]);
        let tried = network.make(&format!("{path}/test"), &json!({ "preview": true }));
        assert_eq!(tried["error"], json!(null), "{name}: {tried}");
        let target = format!("{}{}", text(&tried["url"]), tried["body"]);
        assert!(target.contains("test-external-"), "{name}: {tried}");
        assert!(!format!("{made}{tried}").contains("hidden"), "{name}: {tried}");
        network.make(&format!("{path}/archive"), &json!({}));
    }
}
