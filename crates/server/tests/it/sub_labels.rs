//! What subs mean, from the call that says so to the headings of reports.

use crate::network::Network;
use serde_json::json;

#[test]
fn reports_are_headed_by_what_subs_mean() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    network.click_with(&campaign, "sub1=blog&sub2=x");
    let empty = json!({ "labels": {}, "versions": [] });
    assert_eq!(network.ask("/sub-labels"), empty);
    assert!(network.report("&group_by=sub1").get("headings").is_none());
    network.change("PUT", "/sub-labels", &json!({ "sub1": "Placement" }));
    let set = network.change("PUT", "/sub-labels", &json!({ "sub1": "Site", "sub2": "Creative" }));
    assert_eq!(set["labels"], json!({ "sub1": "Site", "sub2": "Creative" }));
    assert_eq!(set["versions"][1]["labels"], json!({ "sub1": "Placement" }));
    let publisher = format!("/publishers/{}/sub-labels", network.publisher);
    network.change("PUT", &publisher, &json!({ "sub2": "Banner, large" }));
    assert_eq!(network.ask(&publisher)["labels"], json!({ "sub2": "Banner, large" }));
    let headings = |network: &mut Network, more: &str| {
        network.report(&format!("&group_by=sub1,sub2,sub3{more}"))["headings"].clone()
    };
    let of_network = json!({ "sub1": "Site", "sub2": "Creative" });
    assert_eq!(headings(&mut network, ""), of_network);
    let filtered = format!("&publisher_id={}", network.publisher);
    let of_publisher = json!({ "sub1": "Site", "sub2": "Banner, large" });
    assert_eq!(headings(&mut network, &filtered), of_publisher);
    let days = network.every_day();
    let target = format!("/reports?{days}&group_by=sub1,sub2&metrics=clicks&format=csv{filtered}");
    let csv = network.client.api("GET", &target, None);
    assert_eq!(csv.text(), "sub1: Site,\"sub2: Banner, large\",clicks\r\nblog,x,1\r\n");
    let long = json!({ "sub2": "x".repeat(61) });
    let told = network.refused("PUT", "/sub-labels", Some(&long), (400, "invalid_parameter"));
    assert_eq!(told["parameter"], "sub2");
    let unknown = json!({ "sub11": "x" });
    network.refused("PUT", "/sub-labels", Some(&unknown), (400, "invalid_parameter"));
    network.refused("PUT", "/publishers/99/sub-labels", Some(&json!({})), (404, "not_found"));
    network.restart();
    assert_eq!(headings(&mut network, ""), of_network);
}
