//! Numbers that postbacks tell of a click, from the request to the report.

use crate::network::Network;
use serde_json::json;

#[test]
fn events_are_read_on_the_click_and_summed_in_reports() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click_with(&campaign, "sub1=us");
    let other = network.click_with(&campaign, "sub1=de");
    let told = |click: &str| format!("{}?click_id={click}", campaign.postback);
    network.sends(&format!("{}&event1=7.5&event30=-2", told(&click)), "recorded");
    network.sends(&format!("{}&event30=-2&event1=7.5", told(&click)), "duplicate");
    network.sends(&format!("{}&event1=8", told(&click)), "recorded");
    network.sends(&format!("{}&txn_id=1&event2=0.000001", told(&click)), "recorded");
    network.sends(&format!("{}&event1=1", told(&other)), "recorded");
    let shown = network.ask(&format!("/clicks/{click}"));
    let events = json!({ "event1": "8", "event2": "0.000001", "event30": "-2" });
    assert_eq!(shown["events"], events);
    assert_eq!(shown["conversions"][0]["event2"], "0.000001");
    assert_eq!(network.totals()["event1"], "9");
    let rows = network.report("&group_by=sub1&metrics=event1,event30,event4");
    let expected = json!([
        { "sub1": "de", "event1": "1", "event30": "0", "event4": "0" },
        { "sub1": "us", "event1": "8", "event30": "-2", "event4": "0" },
    ]);
    assert_eq!(rows["rows"], expected);
    network.restart();
    assert_eq!(network.ask(&format!("/clicks/{click}"))["events"], events);
}
