//! Numbers that postbacks tell of a click: they are kept with it, and add up as the contract says.

use super::world::{LEAD, World, contract};
use crate::command::Sunset;
use crate::contract::RepeatedEvents;
use crate::ledger::MESSAGES_MAX;

fn world(repeated: RepeatedEvents) -> World {
    let mut told =
        contract("click_id! txn_id status revenue sub1 event1 event2 event30 token timestamp=ts");
    told.repeats.events = repeated;
    World::new(told, LEAD)
}

#[test]
fn the_last_number_counts() {
    let mut world = world(RepeatedEvents::Replace);
    world.check(
        "
        ?click_id=@a&event1=3&event2=-1.5  -> recorded
        ?click_id=@a&event1=5              -> recorded
        ?event1=5&click_id=@a              -> duplicate already_processed
        ?click_id=@a&event1=5&sub1=        -> duplicate already_processed
        ?click_id=@b&event30=0             -> recorded
        ?click_id=@b&event30=0.000         -> duplicate already_processed
        ",
    );
    assert_eq!(world.events_of("a"), "1=5 2=-1.5");
    assert_eq!(world.events_of("b"), "30=0");
    // What was told before never comes back.
    world.check("?click_id=@a&event1=3&event2=-1.5 -> duplicate already_processed");
    assert_eq!(world.events_of("a"), "1=5 2=-1.5");
}

#[test]
fn numbers_add_up_and_an_identical_repeat_adds_nothing() {
    let mut world = world(RepeatedEvents::Add);
    world.check(
        "
        ?click_id=@a&event1=3              -> recorded
        ?click_id=@a&event1=3              -> duplicate already_processed
        ?click_id=@a&event1=3&ts=1&token=t -> duplicate already_processed
        ?click_id=@a&event1=3&n=2          -> recorded
        ?click_id=@a&event1=0              -> duplicate already_processed
        ?click_id=@a&event1=-0.000001      -> recorded
        ",
    );
    assert_eq!(world.events_of("a"), "1=5.999999");
}

#[test]
fn events_beside_a_conversion_count_too() {
    let mut world = world(RepeatedEvents::Add);
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=1&event1=10    -> recorded approved 1/1.75
        ?click_id=@a&txn_id=1&revenue=1&event1=10    -> duplicate already_processed
        ?click_id=@a&txn_id=1&revenue=1&event1=7     -> duplicate already_processed
        ?click_id=@a&txn_id=2&revenue=1&event1=10    -> recorded approved 1/1.75
        ?click_id=@a&txn_id=2&status=reversed&event1=1 -> updated reversed -1/-1.75
        ?click_id=@a&txn_id=3&status=never&event1=100 -> refused unknown_status status
        ?click_id=@a&txn_id=4&status=ping&event1=100 -> ignored status_ignored status
        ?click_id=nobodys&event1=1                   -> refused unknown_click click_id
        ?click_id=@a&event1=0.5                      -> recorded
        ",
    );
    assert_eq!(world.events_of("a"), "1=28.5");
}

#[test]
fn an_event_that_does_not_read_makes_no_conversion() {
    let mut world = world(RepeatedEvents::Replace);
    world.check(
        "
        ?click_id=@a&event1=abc                -> refused invalid_payload event1
        ?click_id=@a&sub1=us&event2=1%2C5      -> refused invalid_payload event2
        ?click_id=@a&event1=%00                -> refused invalid_payload event1
        ?click_id=@a&event1=abc&revenue=       -> refused invalid_payload event1
        ?click_id=nobodys&event1=abc           -> refused invalid_payload event1
        ?click_id=@a&event1=abc&event2=4       -> recorded !label_dropped
        ?click_id=@b&event1=abc&revenue=1      -> recorded approved 1/1.75 !label_dropped
        ?click_id=@c&event1=abc&status=hold    -> recorded pending 0/0 !amount_missing !label_dropped
        ?click_id=@d&event1=abc&txn_id=1       -> recorded approved 0/1.75 !amount_missing !label_dropped
        ?click_id=@e&event1={event1}           -> recorded approved 0/1.75 !amount_missing !label_dropped
        ?click_id=@f&event1=                   -> recorded approved 0/1.75 !amount_missing
        ?click_id=@g&event1={event1}&event2=x  -> refused invalid_payload event2
        ",
    );
    assert_eq!(world.events_of("a"), "2=4");
}

#[test]
fn a_number_never_leaves_its_range() {
    let mut world = world(RepeatedEvents::Add);
    world.check(
        "
        ?click_id=@a&event1=1000000000&event2=1    -> recorded
        ?click_id=@a&event1=1&event2=1             -> recorded !label_dropped
        ?click_id=@a&event1=0.000001               -> duplicate already_processed !label_dropped
        ?click_id=@a&event1=-1000000000            -> recorded
        ?click_id=@b&event1=-1000000000.000001     -> refused invalid_payload event1
        ?click_id=@b&event1=-9223372036854.775808  -> refused invalid_payload event1
        ?click_id=@b&event1=2000000000             -> refused invalid_payload event1
        ?click_id=@c&event1=2000000000&revenue=1   -> recorded approved 1/1.75 !label_dropped
        ",
    );
    for far in ["2000000000", "-1000000000.000001", &"9".repeat(29)] {
        let hit = world.hit(&format!("?click_id=@b&event1={far}"));
        let detail = world.receive(&hit).detail;
        assert_eq!(detail.as_deref(), Some("`event1` is not within -1000000000 and 1000000000"));
    }
    assert_eq!(world.events_of("a"), "1=0 2=2");
    assert_eq!(world.events_of("b"), "");
}

#[test]
fn a_number_with_more_decimals_than_are_kept_is_flagged() {
    let mut world = world(RepeatedEvents::Replace);
    world.check(
        "
        ?click_id=@a&event1=0.1234565                -> recorded !amount_rounded
        ?click_id=@a&event1=0.1234560&event2=1       -> recorded
        ?click_id=@b&event1=1.00000049&revenue=1     -> recorded approved 1/1.75 !amount_rounded
        ?click_id=@c&event1=1.0000000&revenue=1      -> recorded approved 1/1.75
        ",
    );
    assert_eq!(world.events_of("a"), "1=0.123456 2=1");
    assert_eq!(world.events_of("b"), "1=1");
}

#[test]
fn so_many_different_postbacks_count_and_no_more() {
    let mut world = world(RepeatedEvents::Add);
    for number in 0..MESSAGES_MAX {
        assert_eq!(world.send(&format!("?click_id=@a&event1=1&n={number}")), "recorded");
    }
    world.check("?click_id=@a&event1=1&n=more -> duplicate already_processed");
    assert_eq!(world.events_of("a"), format!("1={MESSAGES_MAX}"));
}

#[test]
fn what_a_signed_time_forbids_adds_nothing_to_a_known_conversion() {
    let mut signed = contract("click_id! txn_id revenue event1 timestamp!=ts");
    signed.verification.timestamp_tolerance_s = Some(60);
    let mut world = World::new(signed, LEAD);
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=1&event1=1&ts=@now -> recorded approved 1/1.75
        ?click_id=@a&txn_id=1&revenue=1&event1=9&ts=1    -> duplicate already_processed
        ?click_id=@a&event1=9&ts=1                       -> refused stale_timestamp ts
        ",
    );
    assert_eq!(world.events_of("a"), "1=1");
}

#[test]
fn they_carry_what_is_known_of_their_click() {
    let mut world = world(RepeatedEvents::Replace);
    world.labelled_click("a", &[("sub1", "us")]);
    world.click("b", super::world::LINK);
    world.forget("b");
    world.check(
        "
        ?click_id=@a&event1=3 -> recorded
        ?click_id=@b&event1=3 -> recorded !click_detail_missing
        ",
    );
    let all: Vec<_> = world.events.values().collect();
    assert_eq!(all[0].labels.get(crate::click::Label::Sub(1)), Some("us"));
    assert_eq!(all[1].labels, crate::click::Labels::default());
    assert_eq!(
        (all[0].publisher_id, all[1].publisher_id),
        (all[1].publisher_id, all[0].publisher_id)
    );
    assert!(all[0].events[&1].first_at < all[1].events[&1].first_at);
}

/// A new version names what the sender always sent: it tells nothing new.
#[test]
fn an_event_is_added_once_whichever_version_reads_it() {
    let adding = |speaks: &str| {
        let mut told = contract(speaks);
        told.repeats.events = RepeatedEvents::Add;
        told
    };
    let speaks = "click_id!=cid txn_id revenue event1";
    let mut world = World::new(adding(speaks), LEAD);
    world.check("?cid=@a&event1=2&ts=7 -> recorded");
    world.agree(adding(&format!("{speaks} timestamp=ts")), Sunset::default());
    world.check(
        "
        ?cid=@a&event1=2&ts=7             -> duplicate already_processed
        ?cid=@a&event1=2&ts=7&revenue=1   -> recorded approved 1/1.75
        ?cid=@a&event1=3&ts=7             -> recorded
        ",
    );
    assert_eq!(world.events_of("a"), "1=7");
}
