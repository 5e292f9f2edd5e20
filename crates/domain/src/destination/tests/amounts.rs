//! Amounts: what is told adds up, and stays what it was under its key.

use super::owing::sent;
use super::*;
use crate::outbound::Request;

const URL: &str = "https://t.example/?c={external_id}&s={status}&p={payout}";

fn attempt(url: &str, corrections: &str) -> Option<String> {
    let mut world = World::new(plain(), LEAD);
    let rules = format!(r#"{{"corrections":{corrections}}}"#);
    let made = world.attempt(&Act::CreateDestination(Box::new(ruled(url, &rules))));
    made.err().map(|failure| failure.detail)
}

/// The requests that a destination is told everything with, as it stands in the end.
fn told(network: &Network) -> Vec<Request> {
    let destination = network.world.setup.destination(DestinationId(1)).unwrap();
    let conversion = network.world.conversions.values().next().unwrap();
    let one = |owed: &Owed| {
        let told = Told {
            owed,
            idempotency_key: &owed.idempotency_key(&network.world.setup),
            conversion,
            click_id: "c",
            click: None,
            receipt: "r",
            at: network.world.now,
            random: 1,
        };
        destination.request(&told).unwrap().request
    };
    network.owed.iter().map(one).collect()
}

#[test]
fn a_difference_needs_a_request_that_says_it() {
    // Without it, a withdrawal is the very request that told of the conversion.
    let url = "https://t.example/?c={external_id}&amount={revenue}";
    assert!(attempt(url, r#"{"how":"difference"}"#).is_some());
    for url in ["amount={full_payout}", "amount={minor:payout}"] {
        let url = format!("https://t.example/?c={{external_id}}&{url}");
        assert_eq!(attempt(&url, r#"{"how":"difference"}"#), None);
    }
}

#[test]
fn a_status_that_corrects_has_a_word() {
    let said = |map: &str| {
        let url = format!("https://t.example/?c={{external_id}}&s={{status{map}}}");
        attempt(&url, r#"{"how":"status"}"#)
    };
    assert_eq!(said(""), None);
    assert_eq!(said(":approved=1,rejected=2,reversed=3"), None);
    for (map, status) in [(":approved=1", "rejected"), (":approved=1,rejected=2", "reversed")] {
        let detail = said(map).unwrap();
        assert!(detail.contains(&format!("no word for `{status}`")), "{detail}");
    }
}

#[test]
fn what_is_approved_is_not_taken_back_from_who_is_told_of_leads() {
    let mut network = sent(Some(r#"{"statuses":["pending"]}"#));
    assert_eq!(network.send("?click_id=@a&status=pending&payout=2"), "1 notice pending 2/2");
    assert_eq!(network.send("?click_id=@a&status=approved&payout=2"), "");
    let sent = network.send("?click_id=@a&status=reversed&payout=2");
    assert_eq!(sent, "1 withdrawal reversed 0/-2");
}

#[test]
fn what_does_not_count_is_worth_nothing_where_that_is_told_too() {
    let mut network = sent(Some(r#"{"statuses":["approved","reversed"]}"#));
    assert_eq!(network.send("?click_id=@a&status=approved&payout=2"), "1 notice approved 2/2");
    assert_eq!(network.send("?click_id=@a&status=reversed&payout=2"), "1 notice reversed 0/-2");
}

#[test]
fn differences_in_the_smallest_unit_add_up() {
    let url = "https://t.example/?c={external_id}&p={minor:payout}";
    let mut network = sent(None);
    network.add(ruled(url, r#"{"corrections":{"how":"difference"}}"#));
    for payout in ["0.015", "0.03", "0.045", "0.06", "0.075"] {
        network.send(&format!("?click_id=@a&status=approved&payout={payout}"));
    }
    let told = told(&network);
    let all = told.iter().map(|one| one.url.rsplit_once('=').unwrap().1.parse::<i64>().unwrap());
    let stands = 8;
    assert_eq!(all.sum::<i64>(), stands, "7.5 cents, half to even");
}

#[test]
fn what_a_key_was_sent_with_is_what_it_is_sent_with_again() {
    let mut network = sent(None);
    let url = format!("{URL}&full={{full_payout}}");
    network.add(ruled(&url, r#"{"corrections":{"how":"difference"}}"#));
    network.send("?click_id=@a&status=approved&payout=2");
    let before = told(&network).remove(0).url;
    // The first attempt has failed; the conversion changes before the second.
    network.send("?click_id=@a&status=approved&payout=3");
    assert_eq!(told(&network).remove(0).url, before, "the same key says two things");
}
