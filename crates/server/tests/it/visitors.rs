//! What a click knows of its visitor: in the URL it is sent to, in the API, and in what its
//! publisher is told.

use crate::client::Client;
use crate::mmdb;
use crate::network::{Campaign, Network, parameter, text};
use crate::receiver::Receiver;
use crate::server::Server;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) \
    AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21F90 \
    Instagram 356.0.0.20.91 (iPhone14,5; iOS 17_5_1; en_US; scale=3.00)";
const LANDING: &str = "https://shop.example/{country}?cid={click_id}&d={device}&o={os}&b={browser}";
const HEADER: (&str, &str) = ("COUNTERFOIL_COUNTRY_HEADER", "CF-IPCountry");
const HERE: (&str, &str) = ("COUNTERFOIL_TRUSTED_PROXIES", r#"["127.0.0.1/32"]"#);
const ELSEWHERE: (&str, &str) = ("COUNTERFOIL_TRUSTED_PROXIES", r#"["192.0.2.0/24"]"#);
/// Receivers of tests are on this machine.
const ALLOWED: (&str, &str) = ("COUNTERFOIL_OUTBOUND_ALLOW", r#"["127.0.0.1/32"]"#);

struct Scene {
    network: Network,
    campaign: Campaign,
}

impl Scene {
    fn start(settings: &[(&str, &str)]) -> Self {
        let mut network = Network::on(Server::start_with(settings));
        let campaign = network.campaign_with("counterfoil", &json!({ "landing_url": LANDING }));
        Self { network, campaign }
    }

    /// Where a visitor with these headers goes.
    fn visit(&mut self, headers: &[(&str, &str)]) -> String {
        let target = format!("/c/{}", self.campaign.token);
        let reply = self.network.client.send("GET", target, headers, b"");
        assert_eq!(reply.status, 302, "{}", reply.text());
        reply.header("location").expect("a redirect leads somewhere").to_owned()
    }

    /// The country of such a visitor, as the landing URL is told it.
    fn country(&mut self, headers: &[(&str, &str)]) -> String {
        let location = self.visit(headers);
        let path = location.strip_prefix("https://shop.example/").expect("it is the landing URL");
        path.split_once('?').expect("it has a query").0.to_owned()
    }
}

fn click_id(location: &str) -> String {
    parameter(location, "cid").expect("it is told the click id").to_owned()
}

/// What the API says of a click's visitor.
fn known(network: &mut Network, click: &str) -> [Value; 4] {
    let click = network.ask(&format!("/clicks/{click}"));
    ["country", "device", "os", "browser"].map(|name| click[name].clone())
}

#[test]
fn landing_urls_the_api_and_publishers_are_told_of_a_clicks_visitor() {
    let mut scene = Scene::start(&[HEADER, HERE, ALLOWED]);
    let receiver = Receiver::start();
    let told = "/told?c={country}&d={device}&o={os}&b={browser}";
    let destination = json!({ "publisher_id": scene.network.publisher, "url": receiver.url(told) });
    scene.network.created("/destinations", &destination);
    let location = scene.visit(&[("User-Agent", IPHONE), ("CF-IPCountry", "at")]);
    let click = click_id(&location);
    let expected = format!("https://shop.example/AT?cid={click}&d=mobile&o=iOS&b=Instagram");
    assert_eq!(location, expected);
    let unknown = click_id(&scene.visit(&[]));
    // Also after a restart.
    for _ in 0..2 {
        let Scene { network, campaign } = &mut scene;
        assert_eq!(known(network, &click), ["AT", "mobile", "iOS", "Instagram"]);
        assert_eq!(known(network, &unknown), [const { Value::Null }; 4]);
        for click in [&click, &unknown] {
            let sent = format!("{}?click_id={click}&txn_id=t", campaign.postback);
            network.client.get(&sent);
        }
        network.restart();
    }
    let told = receiver.hears(2);
    let mut targets: Vec<&str> = told.iter().map(|told| told.target.as_str()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["/told?c=&d=&o=&b=", "/told?c=AT&d=mobile&o=iOS&b=Instagram"]);
}

#[test]
fn a_country_is_believed_of_a_trusted_proxy_alone() {
    let named = |country: &'static str| [("CF-IPCountry", country)];
    let mut scene = Scene::start(&[HEADER, HERE]);
    for (sent, expected) in
        [("AT", "AT"), (" de ", "DE"), ("XX", ""), ("T1", ""), ("Austria", ""), ("", "")]
    {
        assert_eq!(scene.country(&named(sent)), expected, "{sent}");
    }
    assert_eq!(scene.country(&[("X-Country", "AT")]), "", "another header");
    let own = [("CF-IPCountry", "AT"), ("CF-IPCountry", "DE")];
    assert_eq!(scene.country(&own), "DE", "the visitor's own comes before the proxy's");
    for settings in [&[HEADER, ELSEWHERE][..], &[HEADER], &[HERE]] {
        assert_eq!(Scene::start(settings).country(&named("AT")), "", "{settings:?}");
    }
}

#[test]
fn a_database_says_where_an_address_is_and_a_proxy_may_know_better() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("country.mmdb");
    fs::write(&path, mmdb::small()).unwrap();
    let database = ("COUNTERFOIL_COUNTRY_DATABASE", path.to_str().unwrap());
    let mut scene = Scene::start(&[HEADER, HERE, database]);
    assert_eq!(scene.country(&[]), "CH", "this machine");
    let from = |address: &'static str| ("X-Forwarded-For", address);
    let named = |country: &'static str| ("CF-IPCountry", country);
    for (headers, expected) in [
        ([from("192.0.2.7"), ("X", "")], "AT"),
        ([from("2001:db8::7"), ("X", "")], "FR"),
        ([from("203.0.113.7"), ("X", "")], ""),
        ([from("192.0.2.7"), named("GB")], "GB"),
        ([from("192.0.2.7"), named("XX")], "AT"),
        ([from("192.0.2.7"), named("T1")], ""),
    ] {
        assert_eq!(scene.country(&headers), expected, "{headers:?}");
    }
    let checked = scene.network.server.run(&["check-config"]);
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && told.contains("Test-Country of 2026-10-19"), "{told}");
}

#[test]
fn a_database_that_does_not_read_is_named_and_nothing_starts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("country.mmdb");
    fs::write(&path, mmdb::small()).unwrap();
    let database = ("COUNTERFOIL_COUNTRY_DATABASE", path.to_str().unwrap());
    let mut server = Server::start_with(&[database]);
    assert!(server.stop().success());
    let refused = |path: &Path, why: &str| {
        for verb in ["serve", "check-config"] {
            let output = server.run(&[verb]);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{verb}: {told}");
            let named = format!("country_database: {}: {why}", path.display());
            assert!(told.contains(&named), "{verb}: {told}");
        }
    };
    fs::write(&path, &mmdb::small()[..200]).unwrap();
    refused(&path, "it is no MMDB file, or a damaged one");
    fs::remove_file(&path).unwrap();
    refused(&path, "No such file");
}

#[test]
fn a_test_clicks_visitor_is_whoever_makes_it() {
    let mut scene = Scene::start(&[HEADER, HERE]);
    let headers = [("User-Agent", IPHONE), ("CF-IPCountry", "LI"), ("Idempotency-Key", "once")];
    let body = json!({ "link_id": scene.campaign.link });
    let make = |client: &mut Client, agent: &str| {
        let headers = [("User-Agent", agent), headers[1], headers[2]];
        client.api_with("POST", "/test-clicks", &headers, Some(&body)).json()
    };
    let made = make(&mut scene.network.client, IPHONE);
    let landing = text(&made["landing_url"]);
    assert!(landing.starts_with("https://shop.example/LI?"), "{landing}");
    assert!(landing.ends_with("&d=mobile&o=iOS&b=Instagram"), "{landing}");
    // Whoever repeats it asks for the click that there is.
    assert_eq!(make(&mut scene.network.client, "curl/8.10.1"), made);
    let click = text(&made["click_id"]);
    assert_eq!(known(&mut scene.network, click), ["LI", "mobile", "iOS", "Instagram"]);
}
