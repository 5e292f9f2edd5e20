//! The figures: whatever they are grouped by, they add up to what was sent.

use crate::network::{Network, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The figures that are counts.
const COUNTS: [&str; 8] =
    ["clicks", "hits", "refused", "conversions", "pending", "approved", "rejected", "reversed"];

/// Two campaigns, visitors from three countries, and postbacks of every kind.
fn busy() -> Network {
    let mut network = Network::start();
    let campaigns = [network.campaign("counterfoil"), network.campaign("counterfoil")];
    for number in 0..24 {
        let campaign = &campaigns[number % 2];
        let country = ["us", "de", "fr"][number % 3];
        let click = network.click_with(campaign, &format!("sub1={country}&sub2=b-{}", number % 4));
        let target = format!("{}?click_id={click}&status=", campaign.postback);
        match number % 6 {
            0 => network.sends(&format!("{target}approved"), "recorded"),
            1 => network.sends(&format!("{target}pending"), "recorded"),
            2 => network.sends(&format!("{target}rejected"), "recorded"),
            3 => {
                network.sends(&format!("{target}approved"), "recorded");
                network.sends(&format!("{target}reversed"), "updated")
            }
            4 => network.refuses(&format!("{target}zzz"), (422, "unknown_status", Some("status"))),
            _ => json!(null),
        };
    }
    network
}

fn counts(row: &Value) -> Vec<u64> {
    COUNTS
        .iter()
        .map(|name| row[*name].as_u64().unwrap_or_else(|| panic!("{name} in {row}")))
        .collect()
}

/// An amount in hundredths.
fn cents(value: &Value) -> i64 {
    text(value).replace('.', "").parse().expect("an amount has two decimals here")
}

#[test]
fn the_totals_are_what_was_sent() {
    let mut network = busy();
    let totals = network.totals();
    assert_eq!(counts(&totals), [24, 24, 4, 16, 4, 4, 4, 4], "{totals}");
    assert_eq!((text(&totals["revenue"]), text(&totals["payout"])), ("10.00", "7.00"));
    assert_eq!(totals["currency"], "USD");
    let report = network.report("");
    assert_eq!(report["rows"].as_array().unwrap().len(), 1, "without groups there is one row");
    assert_eq!(counts(&report["rows"][0]), counts(&totals));
}

#[test]
fn every_grouping_adds_up_to_the_totals() {
    let mut network = busy();
    let totals = network.totals();
    for (group_by, rows) in [
        ("campaign", 2),
        ("publisher", 1),
        ("sub1", 3),
        ("sub2", 4),
        ("sub3", 1),
        ("day,sub1", 3),
        ("sub1,sub2", 12),
        ("campaign,sub1,sub2,day", 12),
    ] {
        let report = network.report(&format!("&group_by={group_by}"));
        let found = report["rows"].as_array().unwrap();
        // One that runs over midnight has two days.
        assert!(found.len() >= rows && found.len() <= 2 * rows, "{group_by}: {}", found.len());
        let sums = found
            .iter()
            .map(counts)
            .reduce(|sum, row| sum.iter().zip(row).map(|(sum, count)| sum + count).collect());
        assert_eq!(sums.unwrap(), counts(&totals), "{group_by}");
        for money in ["revenue", "payout"] {
            let sum: i64 = found.iter().map(|row| cents(&row[money])).sum();
            assert_eq!(sum, cents(&totals[money]), "{money} by {group_by}");
        }
        assert_eq!(report["totals"], totals, "{group_by}");
    }
}

#[test]
fn figures_by_country_are_what_was_sent_for_each() {
    let mut network = busy();
    let report = network.report("&group_by=sub1&sort=-revenue");
    let found: BTreeMap<&str, (Vec<u64>, i64)> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(&row["sub1"]), (counts(row), cents(&row["revenue"]))))
        .collect();
    // Of each six visitors, the countries take turns: 0 and 3, 1 and 4, 2 and 5.
    let expected = BTreeMap::from([
        ("us", (vec![8, 12, 0, 8, 0, 4, 0, 4], 1_000)),
        ("de", (vec![8, 8, 4, 4, 4, 0, 0, 0], 0)),
        ("fr", (vec![8, 4, 0, 4, 0, 0, 4, 0], 0)),
    ]);
    assert_eq!(found, expected);
    assert_eq!(report["rows"][0]["sub1"], "us", "sorted by revenue, most first");
}

#[test]
fn a_day_is_that_of_the_zone_which_is_asked_for() {
    let mut network = busy();
    let from = network.ask(&format!("/advertisers/{}", network.advertiser))["created_at"].clone();
    // The days of two zones 26 hours apart are never the same.
    let day = |network: &mut Network, zone: &str| {
        let report = network.report(&format!("&group_by=day&time_zone={zone}"));
        let rows = report["rows"].as_array().unwrap();
        let sum: u64 = rows.iter().map(|row| row["clicks"].as_u64().unwrap()).sum();
        assert_eq!(sum, 24, "{zone}");
        text(&rows[0]["day"]).to_owned()
    };
    let days = ["Pacific/Kiritimati", "Etc/GMT%2B12"].map(|zone| day(&mut network, zone));
    assert_ne!(days[0], days[1]);
    let utc = day(&mut network, "UTC");
    assert!(days[1] <= utc && utc <= days[0], "{days:?} around {utc}");
    assert!(text(&from).starts_with(&utc), "{from} is on {utc}");
    let reply = network.client.api("GET", "/reports?time_zone=Mars/Olympus", None);
    assert_eq!((reply.status, text(&reply.json()["parameter"])), (400, "time_zone"));
}

#[test]
fn a_report_of_other_days_is_empty() {
    let mut network = busy();
    let report = network.ask("/reports?from=2020-01-01&to=2020-12-31");
    assert_eq!(counts(&report["totals"]), [0; 8]);
    for (query, parameter) in [
        ("from=2020-13-01&to=2020-12-31", "from"),
        ("from=2020-01-02&to=2020-01-01", "to"),
        ("group_by=colour", "group_by"),
        ("metrics=love", "metrics"),
        ("format=xml", "format"),
        ("test=maybe", "test"),
        ("colour=red", "colour"),
    ] {
        let reply = network.client.api("GET", &format!("/reports?{query}"), None);
        let answer = reply.json();
        assert_eq!((reply.status, answer["code"].as_str()), (400, Some("invalid_parameter")));
        assert_eq!(answer["parameter"], parameter, "{query}: {answer}");
    }
}

#[test]
fn filters_leave_the_rest_out() {
    let mut network = busy();
    let campaigns = network.report("&group_by=campaign");
    for row in campaigns["rows"].as_array().unwrap() {
        let of_one = network.report(&format!("&campaign_id={}", row["campaign"]));
        assert_eq!(counts(&of_one["totals"]), counts(row));
    }
    assert_eq!(counts(&network.report("&publisher_id=1")["totals"])[0], 24);
    assert_eq!(counts(&network.report("&test=only")["totals"]), [0; 8]);
}

#[test]
fn csv_has_the_same_rows_and_defuses_formulas() {
    let mut network = busy();
    let campaign = network.campaign("counterfoil");
    for value in ["%3DHYPERLINK(1)", "a,%22b%22", "%2B1", "@x"] {
        network.click_with(&campaign, &format!("sub1={value}"));
    }
    let days = network.every_day();
    let path = format!("/reports?{days}&group_by=sub1&sort=sub1&metrics=clicks,revenue");
    let rows = network.ask(&path)["rows"].clone();
    let reply = network.client.api("GET", &format!("{path}&format=csv"), None);
    assert_eq!(reply.status, 200);
    let kind = reply.header("content-type").unwrap();
    assert!(kind.starts_with("text/csv"), "{kind}");
    let csv = reply.text();
    let lines: Vec<&str> = csv.split("\r\n").filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), rows.as_array().unwrap().len() + 1, "{csv}");
    assert!(lines[0].starts_with("sub1,clicks,revenue"), "{}", lines[0]);
    assert!(lines.iter().any(|line| line.starts_with("us,8,10.00,USD")), "{csv}");
    for defused in ["'=HYPERLINK(1),1,", "\"a,\"\"b\"\"\",1,", "'+1,1,", "'@x,1,"] {
        assert!(lines.iter().any(|line| line.starts_with(defused)), "{defused} in {csv}");
    }
}

#[test]
fn a_report_holds_what_was_acknowledged_before_it_was_asked_for() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    for number in 1..=50 {
        let click = network.click(&campaign);
        assert_eq!(network.totals()["clicks"], number);
        network.sends(&format!("{}?click_id={click}", campaign.postback), "recorded");
        assert_eq!(network.totals()["approved"], number);
    }
}

#[test]
fn figures_are_the_same_after_a_restart() {
    let mut network = busy();
    let before = network.report("&group_by=campaign,sub1,sub2");
    network.restart();
    assert_eq!(network.report("&group_by=campaign,sub1,sub2"), before);
    network.server.kill9();
    network.server.restart();
    network.client = network.server.client();
    assert_eq!(network.report("&group_by=campaign,sub1,sub2"), before);
}
