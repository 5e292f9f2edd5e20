//! What is said inside of JSON bodies, and what comes of it.

use super::world::{LEAD, World, contract};
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
