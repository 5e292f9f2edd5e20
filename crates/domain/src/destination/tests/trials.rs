//! What a destination is told when it is tried out.

use super::*;
use crate::ledger::tests::world::CAMPAIGN;
use crate::outbound::Field;

const NOW: Timestamp = Timestamp::from_s(1_800_000_000);

fn told(network: &Network, template: &str) -> String {
    let mut destination = network.world.setup.destination(DestinationId(1)).unwrap().clone();
    destination.outbound.url = format!("https://t.example/{template}");
    let made_up = destination.made_up(&network.world.setup, 0xab, NOW);
    let made = destination.request(&made_up.told("test-1", NOW, 42)).unwrap();
    made.request.url.strip_prefix("https://t.example/").unwrap().to_owned()
}

#[test]
fn a_made_up_conversion_says_so_wherever_it_can() {
    let network = Network::of([ruled("https://a.example/", r#"{"payout_share":"50"}"#)]);
    let cases = [
        ("{external_id}/{click_id}", "test-external-000000ab/test-click-000000ab"),
        ("{txn_id}/{conversion_ref}", "test-txn-000000ab/test-ref-000000ab"),
        ("{conversion_id}/{sequence}/{receipt}", "0/1/test-receipt-000000ab"),
        ("{idempotency_key}", "test-1"),
        ("{campaign_id}/{publisher_id}/{link_id}", "1/1/1"),
        ("{payout}/{full_payout}/{revenue}/{sale_amount}/{currency}", "0.5/1/2/10/USD"),
        ("{status}/{raw_status}/{goal}", "approved/approved/lead"),
        (
            "{sub1}/{sub10}/{placement}/{param20}",
            "test-sub1/test-sub10/test-placement/test-param20",
        ),
        ("{ip}/{user_agent}", "192.0.2.1/test-user-agent"),
        ("{country}/{device}/{os}/{browser}", "AQ/desktop/test-os/test-browser"),
        ("{clicked_at:unix}/{converted_at:unix}", "1800000000/1800000000"),
    ];
    for (template, expected) in cases {
        assert_eq!(told(&network, template), expected, "{template}");
    }
}

#[test]
fn no_macro_is_empty_in_it() {
    let network = Network::of([new("https://a.example/")]);
    let unlike = ["signature", "account"];
    for name in Field::names().filter(|name| !unlike.contains(&name.as_str())) {
        assert_ne!(told(&network, &format!("{{{name}}}")), "", "{name}");
    }
}

#[test]
fn it_is_one_that_the_destination_is_told_of() {
    let rules = r#"{"statuses":["pending","reversed"],"goals":["deposit"]}"#;
    let mut network = Network::of([ruled("https://a.example/", rules)]);
    assert_eq!(told(&network, "{status}/{goal}"), "pending/deposit");
    let link = network.world.link(CAMPAIGN, false);
    let owner = Owner::Link { link_id: link };
    let id = network.add(NewDestination { owner, ..new("https://b.example/{goal}/{link_id}") });
    let destination = network.world.setup.destination(id).unwrap();
    let made_up = destination.made_up(&network.world.setup, 1, NOW);
    let made = destination.request(&made_up.told("test-1", NOW, 42)).unwrap();
    assert_eq!(made.request.url, format!("https://b.example/lead/{link}"));
}

#[test]
fn a_conversion_is_told_as_it_stands() {
    let cases = [
        ("", r#"{"corrections":{"how":"none"}}"#, Some("1 notice approved 1.75/1.75")),
        ("&status=pending", r#"{"corrections":{"how":"difference"}}"#, None),
        ("&status=rejected", r#"{"corrections":{"how":"none"}}"#, None),
        (
            "&status=rejected",
            r#"{"corrections":{"how":"difference"},"payout_share":"50"}"#,
            Some("1 withdrawal rejected 0/-0.875"),
        ),
        ("&status=rejected", r#"{"statuses":["rejected"]}"#, Some("1 notice rejected 0/0")),
        // Of goals and the least payout it is not asked.
        ("", r#"{"goals":["other"],"min_payout":"100"}"#, Some("1 notice approved 1.75/1.75")),
    ];
    for (status, rules, expected) in cases {
        let mut network = Network::of([ruled("https://a.example/?p={payout}", rules)]);
        network.send(&format!("?click_id=@a&payout=2{status}"));
        let destination = network.world.setup.destination(DestinationId(1)).unwrap();
        let owed = destination.would_be_told(network.world.conversion());
        let text = owed.map(|one| {
            let (id, kind, status) = (one.destination_id, one.kind.name(), one.status.name());
            format!("{id} {kind} {status} {}/{}", one.payout, one.difference)
        });
        assert_eq!(text.as_deref(), expected, "{status} {rules}");
    }
}

#[test]
fn no_key_of_a_delivery_begins_as_that_of_a_trial() {
    let mut network = Network::of([new("https://a.example/")]);
    network.send("?click_id=@a&payout=2");
    assert!(!network.owed[0].idempotency_key(&network.world.setup).starts_with(MADE_UP));
}
