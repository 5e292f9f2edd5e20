//! `Idempotency-Key`: every POST under one key is done once, however often and however
//! concurrently it comes, and is answered alike each time.

use crate::client::Client;
use crate::network::{Network, text};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Barrier;

/// How many identical requests are sent at once.
const SENDERS: usize = 8;

/// A request, and another one that could come under the same key by mistake.
struct Post {
    path: String,
    body: Option<Value>,
    other: Option<Value>,
}

fn post(path: impl Into<String>, body: Value, other: Value) -> Post {
    Post { path: path.into(), body: Some(body), other: Some(other) }
}

/// For what takes no fields: an empty body and an empty object are two requests.
fn bare(path: String) -> Post {
    Post { path, body: None, other: Some(json!({})) }
}

/// Every POST there is.
fn posts(network: &mut Network) -> Vec<Post> {
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let answer = network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
    let (receipt, conversion) = (text(&answer["receipt"]), &answer["conversion"]);
    let draft = network.draft("counterfoil", &json!({}));
    let advertiser = network.created("/advertisers", &json!({ "name": "To be archived" }));
    let publisher = network.created("/publishers", &json!({ "name": "To be archived" }));
    let integration = json!({ "level": "global", "partner": "peerclick" });
    let archived = network.created("/integrations", &integration);
    let new_campaign = |name: &str| {
        json!({
            "advertiser_id": network.advertiser, "name": name, "currency": "USD", "type": "cpi",
            "landing_url": "https://shop.example/?c={click_id}",
        })
    };
    let new_link = |test: bool| json!({ "campaign_id": campaign.id, "publisher_id": network.publisher, "test": test });
    let goal = |key: &str| json!({ "key": key, "revenue": "1", "payout": "1" });
    let reversed = |reason: &str| json!({ "to": "reversed", "reason": reason });
    vec![
        post("/advertisers", json!({ "name": "A" }), json!({ "name": "B" })),
        post("/publishers", json!({ "name": "A" }), json!({ "name": "B" })),
        post("/campaigns", new_campaign("A"), new_campaign("B")),
        post(format!("/campaigns/{draft}/goals"), goal("a"), goal("b")),
        post(
            format!("/campaigns/{draft}/status"),
            json!({ "to": "pending_approval" }),
            json!({ "to": "approved" }),
        ),
        post("/links", new_link(false), new_link(true)),
        post("/integrations", integration, json!({ "level": "global", "partner": "kiwiwall" })),
        post("/test-clicks", json!({ "link_id": campaign.link }), json!({ "link_id": 99 })),
        post(format!("/conversions/{conversion}/status"), reversed("a"), reversed("b")),
        bare(format!("/hits/{receipt}/redecide")),
        bare(format!("/integrations/{archived}/archive")),
        bare(format!("/links/{}/archive", campaign.link)),
        bare(format!("/campaigns/{draft}/archive")),
        bare(format!("/advertisers/{advertiser}/archive")),
        bare(format!("/publishers/{publisher}/archive")),
    ]
}

fn send(client: &mut Client, path: &str, key: &str, body: Option<&Value>) -> (u16, Value) {
    let reply = client.api_with("POST", path, &[("Idempotency-Key", key)], body);
    (reply.status, reply.json())
}

/// The answers to one request that is sent from several connections at once.
fn at_once(address: SocketAddr, key: &str, post: &Post) -> Vec<(u16, Value)> {
    let barrier = Barrier::new(SENDERS);
    std::thread::scope(|scope| {
        let sender = || {
            let mut client = Client::new(address);
            barrier.wait();
            send(&mut client, &post.path, key, post.body.as_ref())
        };
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(sender)).collect();
        senders.into_iter().map(|sender| sender.join().expect("a sender ends")).collect()
    })
}

#[test]
fn every_post_under_one_key_is_done_once_and_answered_alike() {
    let mut network = Network::start();
    for (number, post) in posts(&mut network).iter().enumerate() {
        let (path, key) = (&post.path, format!("key-{number}"));
        let answers = at_once(network.server.address(), &key, post);
        let first = answers[0].clone();
        // Nothing was parked: that is the one that is refused, and alike each time.
        let expected = if path.ends_with("/redecide") { 409..410 } else { 200..202 };
        assert!(expected.contains(&first.0), "{path}: {first:?}");
        for answer in answers {
            assert_eq!(answer, first, "{path}");
        }
        assert_eq!(send(&mut network.client, path, &key, post.body.as_ref()), first, "{path}");
        let (status, other) = send(&mut network.client, path, &key, post.other.as_ref());
        assert_eq!((status, text(&other["code"])), (409, "idempotency_key_reused"), "{path}");
        // The first one's answer stands.
        assert_eq!(send(&mut network.client, path, &key, post.body.as_ref()), first, "{path}");
    }
    let names = network.ask("/advertisers")["items"].clone();
    let named_a = names.as_array().unwrap().iter().filter(|one| one["name"] == "A").count();
    assert_eq!(named_a, 1, "{names}");
    let totals = network.report("&test=only")["totals"].clone();
    assert_eq!(totals["clicks"], 1, "one test click was made: {totals}");
}

#[test]
fn a_request_that_was_not_understood_has_not_used_its_key() {
    let mut network = Network::start();
    let wrong = json!({ "nmae": "A" });
    let (status, answer) = send(&mut network.client, "/publishers", "k", Some(&wrong));
    assert_eq!((status, text(&answer["code"])), (400, "invalid_parameter"));
    let right = json!({ "name": "A" });
    assert_eq!(send(&mut network.client, "/publishers", "k", Some(&right)).0, 201);
    // One that was understood and refused has.
    let refused = json!({ "name": "" });
    let first = send(&mut network.client, "/publishers", "l", Some(&refused));
    assert_eq!(first.0, 400, "{first:?}");
    assert_eq!(send(&mut network.client, "/publishers", "l", Some(&refused)), first);
    let (status, answer) = send(&mut network.client, "/publishers", "l", Some(&right));
    assert_eq!((status, text(&answer["code"])), (409, "idempotency_key_reused"));
}
