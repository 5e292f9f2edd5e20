//! What is said inside of JSON bodies, and what comes of it.

use super::world::{LEAD, World, contract, plain};
use crate::contract::TxnIdAbsent;
use crate::hit::Hit;
use crate::reason::{Reason, Verdict};

#[test]
fn what_stands_inside_of_a_body_tells_one_postback_from_another() {
    let mut payload =
        contract("click_id!=data.click.id revenue=data.sale.amount timestamp=data.at");
    payload.txn_id_absent = TxnIdAbsent::Payload;
    let mut world = World::new(payload, LEAD);
    let bare = world.hit("?c=@a");
    let query = String::from_utf8(bare.target.clone()).unwrap();
    let (path, click_id) = query.split_once("?c=").unwrap();
    let mut receive = |sale: &str, rest: &str| {
        let body = format!(r#"{{"data":{{"click":{{"id":"{click_id}"}},"sale":{sale}{rest}}}}}"#);
        let content_type = Some("application/json".to_owned());
        let target = path.as_bytes().to_vec();
        world.receive(&Hit { target, content_type, body: body.into(), ..bare.clone() }).verdict
    };
    assert_eq!(receive(r#"{"amount":1,"lines":[7,8]}"#, ""), Verdict::Recorded);
    let spaced = r#"{ "lines" : [7, 8], "amount" : 1 }"#;
    assert_eq!(receive(spaced, r#","at":1795210215"#), Verdict::Duplicate);
    assert_eq!(receive(r#"{"amount":1,"lines":[8,7]}"#, ""), Verdict::Recorded);
}

#[test]
fn a_body_of_a_kind_that_is_not_read_is_named_where_something_is_missing() {
    let mut world = World::new(plain(), LEAD);
    let bare = world.hit("?c=@a");
    let query = String::from_utf8(bare.target.clone()).unwrap();
    let (path, click_id) = query.split_once("?c=").unwrap();
    let mut told = |content_type: &str, body: String| {
        let content_type = Some(content_type.to_owned());
        let target = path.as_bytes().to_vec();
        let hit = Hit { target, content_type, body: body.into(), ..bare.clone() };
        let decision = world.receive(&hit);
        (decision.reason, decision.detail.unwrap_or_default())
    };
    let long = format!("x/{}", "y".repeat(5_000));
    for kind in ["multipart/form-data; boundary=x", "text/xml", "application/octet-stream", &long] {
        let (reason, detail) = told(kind, format!("--x click_id={click_id}"));
        assert_eq!(reason, Some(Reason::MissingParameter), "{kind}");
        let shown = kind.split(';').next().unwrap();
        let shown = if kind == long { "x/yyy" } else { shown };
        assert!(detail.contains(&format!("the body is `{shown}")), "{detail}");
        assert!(detail.contains("(`application/x-www-form-urlencoded`)"), "{detail}");
        assert!(detail.ends_with("JSON (`application/json`)") && detail.len() < 400, "{detail}");
    }
    let own = "`click_id` is required and was not sent, or was blank";
    for (kind, body) in [("application/json", "{}"), ("text/plain", "a=b"), ("text/xml", " ")] {
        let missing = (Some(Reason::MissingParameter), own.to_owned());
        assert_eq!(told(kind, body.to_owned()), missing, "{kind}");
    }
}

#[test]
fn no_verdict_repeats_what_was_sent_at_any_length() {
    let mut world = World::new(contract("click_id! currency"), LEAD);
    let long = "x".repeat(5_000);
    let mut told = |query: &str, body: &str| {
        let hit = world.hit(query);
        let content_type = Some("application/json".to_owned());
        let decision = world.receive(&Hit { content_type, body: body.into(), ..hit });
        assert!(decision.reason.is_some(), "{query:.40} {body:.40}");
        let told = [decision.detail, decision.nearest, decision.parameter];
        told.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    for (query, body) in [
        ("?click_id=@a".to_owned(), format!("\"{long}\"")),
        (format!("?click_id=@a&currency={}", &long[..400]), String::new()),
        (format!("?{long}.click_id=5"), String::new()),
        (format!("?{long}=5"), String::new()),
        (format!("?click_id={long}"), String::new()),
    ] {
        let told = told(&query, &body);
        assert!(told.len() < 400, "{query:.40} {body:.40}: {told:.500}");
    }
}

#[test]
fn an_object_or_a_list_in_place_of_a_value_is_told_as_what_it_is() {
    let mut world = World::new(contract("click_id! txn_id revenue"), LEAD);
    let told = [
        (r#"{"a":1}"#, "`txn_id` is an object, not a value"),
        ("{}", "`txn_id` is an object, not a value"),
        ("[1]", "`txn_id` is a list, not a value"),
        (r#""\u0007""#, "`txn_id` is not properly encoded text"),
    ];
    for (value, detail) in told {
        let mut hit = world.hit("?click_id=@a");
        hit.method = "POST".to_owned();
        hit.content_type = Some("application/json".to_owned());
        hit.body = format!(r#"{{"txn_id":{value}}}"#).into_bytes();
        let decision = world.receive(&hit);
        assert_eq!(decision.reason, Some(Reason::InvalidPayload), "{value}");
        assert_eq!(decision.detail.as_deref(), Some(detail));
    }
}
