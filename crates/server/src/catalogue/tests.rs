//! The files of this build, and files that are wrong in every way.

use super::*;
use domain::contract::{Canonical, Meaning, Parameter};
use domain::conversion::Status;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// What linting all partners and trying all fixtures may take, in seconds.
const TRIED_WITHIN_S: u64 = 10;

fn told(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_file_reads_keeps_the_rules_and_its_fixtures_come_out() {
    let began = Instant::now();
    let catalogue = Catalogue::built_in();
    let mut faults = catalogue.faults.clone();
    for entry in &catalogue.entries {
        faults.extend(catalogue.lint(entry));
        faults.extend(catalogue.try_fixtures(entry));
    }
    faults.extend(catalogue.lint_together());
    assert!(faults.is_empty(), "\n{}", told(&faults));
    assert_eq!(catalogue.entries.len(), FILES.len());
    assert!(began.elapsed() < Duration::from_secs(TRIED_WITHIN_S));
}

#[test]
fn the_manuals_example_is_a_good_one() {
    let manual = include_str!("../../../../docs/partners.md");
    let (_, after) = manual.split_once("```toml\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    let catalogue = Catalogue::read([("example.toml", example)], &[]);
    assert_eq!(told(&catalogue.faults), "");
    let entry = &catalogue.entries[0];
    let mut faults = catalogue.lint(entry);
    faults.extend(catalogue.try_fixtures(entry));
    assert_eq!(told(&faults), "");
    assert!(entry.fixtures() > 3);
}

/// The partners of the product's own documents.
fn seeds() -> Vec<Partner> {
    let names = ["clickwall", "counterfoil", "kiwiwall", "peerclick", "pushground", "trackier"];
    partners().into_iter().filter(|partner| names.contains(&&*partner.name)).collect()
}

/// What a partner agrees on, a line each, without what it has nothing of.
fn agreed(partner: &Partner) -> String {
    let contract = partner.contract.as_ref().unwrap();
    let names = |is_meant: &dyn Fn(&Parameter) -> bool| {
        let meant = contract.parameters.iter().filter(|one| is_meant(one));
        meant.map(Parameter::name).collect::<Vec<_>>().join(", ")
    };
    let of = |canonical| names(&|one| one.canonical == canonical);
    let yes = |is: bool| if is { "yes".to_owned() } else { String::new() };
    let lines = [
        ("required", names(&|one| one.required)),
        ("status absent", contract.statuses.absent.map_or("refused", Status::name).to_owned()),
        ("revenue", of(Canonical::Revenue)),
        ("payout", of(Canonical::Payout)),
        ("payout may be revenue", yes(contract.payout_may_be_revenue)),
        ("sale amount", of(Canonical::SaleAmount)),
        ("goal", of(Canonical::Goal)),
        ("event type", of(Canonical::EventType)),
        ("txn_id", of(Canonical::TxnId)),
        ("token", contract.verification.token.map_or_else(String::new, of)),
        ("token required", yes(contract.verification.token_required)),
        ("identity", format!("{:?}", contract.identity)),
        ("answers", format!("{:?}", contract.answers.profile)),
        ("paths", partner.paths.join(", ")),
        ("in the URL", names(&|one| one.in_url)),
        ("parameters", contract.parameters.len().to_string()),
    ];
    let lines = lines.iter().filter(|(_, is)| !is.is_empty());
    let lines: Vec<String> = lines.map(|(what, is)| format!("  {what}: {is}")).collect();
    format!("{}\n{}", partner.name, lines.join("\n"))
}

#[test]
fn the_partners_are_as_agreed() {
    let table = seeds().iter().map(agreed).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(table, @r"
    clickwall
      required: click_id, campaign_id
      status absent: approved
      sale amount: sale_amount
      txn_id: txn_id
      identity: Click
      answers: Receipt
      in the URL: click_id, campaign_id
      parameters: 5
    counterfoil
      required: click_id
      status absent: approved
      revenue: revenue
      payout: payout
      sale amount: sale_amount
      goal: goal
      event type: event_type
      txn_id: txn_id
      token: token
      identity: ClickGoalTxn
      answers: Receipt
      in the URL: click_id, txn_id, status, revenue
      parameters: 76
    kiwiwall
      required: click_id, txn_id, status, signature
      status absent: refused
      revenue: revenue
      payout: payout
      payout may be revenue: yes
      event type: event_type
      txn_id: txn_id
      token: signature
      token required: yes
      identity: ClickGoalTxn
      answers: Receipt
      in the URL: click_id, txn_id, status, payout, signature
      parameters: 17
    peerclick
      required: cid
      status absent: approved
      revenue: payout
      txn_id: txid
      identity: ClickGoalTxn
      answers: Receipt
      in the URL: cid, payout, status, txid
      parameters: 56
    pushground
      required: click_id
      status absent: approved
      revenue: amount
      identity: Click
      answers: Acknowledge
      paths: /conversion
      in the URL: click_id, amount
      parameters: 2
    trackier
      required: click_id
      status absent: approved
      revenue: revenue
      sale amount: sale_amount
      goal: goal_value
      txn_id: txn_id
      token: security_token
      identity: ClickGoalTxn
      answers: Receipt
      in the URL: click_id, txn_id, revenue, status
      parameters: 18
    ");
}

#[test]
fn statuses_are_the_words_of_the_guides() {
    let mut lines = Vec::new();
    for partner in seeds() {
        let statuses = &partner.contract.as_ref().unwrap().statuses;
        let blank = statuses.blank.or(statuses.absent).map_or("refused", Status::name);
        lines.push(format!("{}\n  blank: {blank}", partner.name));
        for (status, raws) in &statuses.values {
            lines.push(format!("  {}: {}", status.name(), raws.join(", ")));
            for raw in raws {
                let meaning = statuses.meaning(&raw.to_uppercase());
                assert_eq!(meaning, Meaning::Status(*status), "{raw}");
            }
        }
        if !statuses.ignore.is_empty() {
            lines.push(format!("  ignored: {}", statuses.ignore.join(", ")));
        }
    }
    let table = lines.join("\n");
    insta::assert_snapshot!(table, @r"
    clickwall
      blank: approved
      pending: pending
      approved: approved
      rejected: rejected
      reversed: reversed
    counterfoil
      blank: approved
      pending: pending
      approved: approved
      rejected: rejected
      reversed: reversed
    kiwiwall
      blank: refused
      pending: pending
      approved: approved, 1
      rejected: rejected
      reversed: reversed, 2
    peerclick
      blank: approved
      pending: pending, hold
      approved: approved, sale, start, rebill, buy out
      rejected: rejected, reject
      reversed: reversed
      ignored: stop
    pushground
      blank: approved
    trackier
      blank: approved
      pending: pending
      approved: approved
      rejected: rejected, cancelled
      reversed: reversed
    ");
}

#[test]
fn a_range_stands_for_each_of_its_parameters() {
    let catalogue = Catalogue::built_in();
    let contract = catalogue.entry("peerclick").unwrap().partner.contract.clone().unwrap();
    let event = contract.parameter(Canonical::Event(30)).unwrap();
    assert_eq!(event.names, ["event30"]);
    assert_eq!(event.placeholder.as_deref(), Some("{event30}"));
    let all = |text| family::range(text).map(|all| all.len());
    assert_eq!(all("param1..param20"), Ok(20));
    for text in [
        "sub1..",
        "..sub1",
        "sub1..param2",
        "sub1..sub11",
        "sub0..sub2",
        "sub2..sub1",
        "sub1..sub1",
        "sub1..sub300",
        "geo1..geo2",
        "sub01..sub2",
    ] {
        assert!(all(text).is_err(), "{text}");
    }
}

/// A small entry that is as it should be, and may be extended.
const GOOD: &str = r#"name = "good"
title = "Good"
kind = "a test"
confidence = "A"
sources = ["Good: a guide"]
source_on = "2026-11-20"
notes = ["Its macros are odd, and it has no more than http."]
paths = ["/conversion"]

[[click.parameters]]
name = "external_id"
macro = "{id}"

[outbound]
url = "http://a.example/?c={external_id}&s={status:approved=1}"
[outbound.success]
body = "OK"
[[outbound.fixtures]]
values = { external_id = "a b", status = "approved" }
url = "http://a.example/?c=a%20b&s=1"
[[outbound.answers]]
status = 200
body = "not OK?"
means = "delivered"

[contract]
identity = "click"

[contract.statuses]
absent = "approved"
values = { rejected = ["no"], approved = ["yes"] }

[[contract.parameters]]
canonical = "click_id"
names = ["click_id"]
required = true
in_url = true
macro = "{your_parameter}"

[[contract.parameters]]
canonical = "revenue"
names = ["amount"]
macro = "{payout}"

[[contract.parameters]]
canonical = "sub1..sub2"
names = ["s{n}"]

[[fixtures]]
request = "GET /conversion?click_id=abc&amount=2.50"
says = { click_id = "abc", revenue = "2.5", status = "approved" }
answer = { http_status = 200 }
"#;

/// Everything that is said about these files.
fn complaints(files: &[(&str, &str)]) -> String {
    let catalogue = Catalogue::read(files.iter().copied(), &[]);
    let mut faults = catalogue.faults.clone();
    for entry in &catalogue.entries {
        faults.extend(catalogue.lint(entry));
        faults.extend(catalogue.try_fixtures(entry));
    }
    faults.extend(catalogue.lint_together());
    told(&faults)
}

/// The good entry with one thing changed.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    complaints(&[("good.toml", &GOOD.replacen(from, to, 1))])
}

#[test]
fn a_mistake_is_told_with_file_line_and_key() {
    assert_eq!(complaints(&[("good.toml", GOOD)]), "");
    let told = [
        changed("kind = ", "kin = "),
        changed("name = \"good\"", "name = \"God\""),
        changed("confidence = \"A\"", "confidence = \"AB\""),
        changed("paths = [\"/conv", "paths = [\"conv"),
        changed("name = \"external_id\"", "name = \"sub11\""),
        changed("{external_id}", "{externalid}"),
        changed("http://a", "http://{sub1}"),
        changed("{status:approved=1}", "{status:aproved=1}"),
        changed("&s={status:approved=1}\"", "\"\ncorrections = { how = \"status\" }"),
        changed("body = \"OK\"", "body = \"\""),
        changed("identity = \"click\"", "identity = \"clicks\""),
        changed("absent = \"approved\"", "absent = \"paid\""),
        changed("absent = \"approved\"", ""),
        changed("canonical = \"revenue\"", "canonical = \"amount\""),
        changed("canonical = \"revenue\"", "canonical = \"click_id\""),
        changed("canonical = \"revenue\"", "canonical = \"sub1..sub3\""),
        changed("sub1..sub2", "sub2..sub1"),
        changed("names = [\"amount\"]", "names = [\"click_id\"]"),
        changed("names = [\"amount\"]", "names = []"),
        changed("names = [\"amount\"]", "names = [\"amount\"]\nunit = \"cents\""),
        changed("required = true", "required = \"yes\""),
        changed("[contract.statuses]", "[contract.statuses"),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    good.toml:3: kin: unknown field `kin`, expected one of `name`, `title`, `kind`, `confidence`, `sources`, `source_on`, `notes`, `extends`, `menu`, `landing_params`, `click`, `paths`, `outbound`, `contract`, `fixtures`
    good.toml:1: name: a file is called as its partner is
    good.toml:4: confidence: unknown variant `AB`, expected one of `A`, `B`, `C`
    good.toml:8: paths: paths: `conversion` does not begin with a slash
    good.toml:10: click.parameters: click: our links take no `sub11`, but: external_id, source, creative, placement, cost, sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10
    good.toml:15: url: outbound.url: there is no macro {externalid}; the nearest is {external_id}
    good.toml:15: url: outbound.url: the host is written out, or a value of the account: other macros begin after the first slash
    good.toml:15: url: outbound.url: {status:aproved=1}: there is no status `aproved`; the nearest is `approved`
    good.toml:16: corrections: outbound.corrections: the request does not say the `{status}`
    good.toml:17: body: outbound.success.body: a body has 1 to 500 bytes
    good.toml:27: identity: unknown variant `clicks`, expected one of `click_goal_txn`, `click_goal`, `click`, `txn`
    good.toml:30: absent: unknown variant `paid`, expected one of `pending`, `approved`, `rejected`, `reversed`
    good.toml:29: contract.statuses: contract.statuses.absent: a status that may be absent needs a meaning: one of pending, approved, rejected, reversed
    good.toml:41: canonical: no canonical name is `amount`; there are: click_id, campaign_id, txn_id, status, goal, event_type, revenue, sale_amount, payout, currency, conversion_ref, geo, device, placement, campaign, timestamp, signature, token, sub1 to sub10, param1 to param20, event1 to event30
    good.toml:41: canonical: contract.parameters[1].canonical: `click_id` stands twice among the parameters
    good.toml:42: names: `amount` names a range, so it has {n} in it
    good.toml:45: contract.parameters: `sub2..sub1` ends before it begins
    good.toml:42: names: contract.parameters[1].names[0]: `click_id` names both `click_id` and `revenue`
    good.toml:42: names: contract.parameters[1].names: `revenue` has 1 to 20 names
    good.toml:43: unit: unknown variant `cents`, expected `decimal` or `minor`
    good.toml:36: required: invalid type: string "yes", expected a boolean
    good.toml:29: contract.statuses: unclosed table, expected `]`
    "#);
}

#[test]
fn the_rules_are_held() {
    let told = [
        changed("sources = [\"Good: a guide\"]", "sources = []"),
        changed("Good: a guide", "https://example.com/"),
        changed("2026-11-20", "20.11.2026"),
        changed("notes", "#"),
        complaints(&[("good.toml", &GOOD.replace("\"A\"", "\"C\"").replace("notes", "#"))]),
        changed("/conversion\"]", "/c/x\"]"),
        changed("/conversion\"]", "/api/v1\"]"),
        changed("/conversion\"]", "/healthz\"]"),
        changed("/conversion\"]", "/postback/x\"]"),
        changed("/conversion\"]", "/a?b\"]"),
        changed("/conversion\"]", "/a\", \"/a\"]"),
        changed("/conversion\"]", "/postback\", \"/{key}/postback\"]"),
        changed("{your_parameter}", "xxc1xx"),
        changed("{your_parameter}", "REPLACE"),
        changed("c={external_id}&", ""),
        changed(
            "[\"amount\"]",
            "[\"amount\"]\nallowed = [\n    \"2.50\",\n    \" \",\n    \"2.50\",\n]",
        ),
        changed("[\"amount\"]", "[\" \"]"),
        changed("in_url = true\n", "appended = true\n"),
        complaints(&[(
            "good.toml",
            &GOOD.replace("macro = \"{your_parameter}\"", "").replace("notes", "#"),
        )]),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    good.toml:5: sources: at least one: a title, or a title and its URL
    good.toml:5: sources: a title before the URL: `Platform: title, https://example.com/guide`
    good.toml:6: source_on: a date such as 2026-11-20
    good.toml:15: url: https; where the platform has no more than http, `notes` say so
    good.toml:4: confidence: what is known from code alone needs `notes` that say so
    good.toml:15: url: https; where the platform has no more than http, `notes` say so
    good.toml:8: paths: `/c/x` would stand in the way of our own `/c`
    good.toml:8: paths: `/api/v1` would stand in the way of our own `/api/v1`
    good.toml:8: paths: `/healthz` would stand in the way of our own `/healthz`
    good.toml:8: paths: `/postback/x` would be taken for one with a key in it
    good.toml:8: paths: `/a?b` is no path such as /click.php, without query
    good.toml:8: paths: `/a` stands twice

    good.toml:34: canonical: the macro of `click_id`, `xxc1xx`, would be taken for a value when it comes back as it is: put it into `unreplaced`
    good.toml:33: contract.parameters: `REPLACE` is for a person to replace: REPLACE
    good.toml:15: url: without {external_id} the platform cannot know which click it was
    good.toml:18: outbound.fixtures: it calls http://a.example/?s=1
    good.toml:45: allowed: a blank text
    good.toml:46: allowed: `2.50` stands twice
    good.toml:42: names: contract.parameters[1].names[0]: `revenue` has a name that is blank, too long, or has control characters or backticks
    good.toml:37: appended: contract.parameters[0].appended: `click_id` is added by its sender, so it has no place and no macro in the URL
    good.toml:15: url: https; where the platform has no more than http, `notes` say so
    good.toml:34: canonical: `click_id` must be sent, is not `appended` and has no macro: where nobody knows it, `notes` say so
    "#);
}

#[test]
fn a_fixture_that_does_not_come_out_says_how() {
    let told = [
        changed("c=a%20b&s=1", "c=a+b&s=1"),
        changed("status = \"approved\" }\nurl", "statu = \"approved\" }\nurl"),
        changed("means = \"delivered\"", "means = \"rejected\""),
        changed("revenue = \"2.5\"", "revenue = \"2.4\""),
        changed("revenue = \"2.5\"", "revenu = \"2.5\""),
        changed("status = \"approved\" }\nanswer", "status = \"pending\" }\nanswer"),
        changed("http_status = 200", "http_status = 201"),
        changed("answer = {", "verified = true\nanswer = {"),
        changed("says = {", "reason = \"late_window\"\nsays = {"),
        changed("GET /conversion?click_id=abc", "GET /conversion?click_id=%7Bx%7D"),
        changed("GET /conversion", "PUT /conversion"),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    good.toml:18: outbound.fixtures: it calls http://a.example/?c=a%20b&s=1
    good.toml:18: outbound.fixtures: values: there is no `statu`; the nearest is `status`
    good.toml:21: outbound.answers: 200 `not OK?` means delivered, not rejected
    good.toml:49: fixtures: says.revenue: `2.4` is what it should be, and it is `2.50`
    good.toml:49: fixtures: says: no canonical parameter is called `revenu`; the nearest is `revenue`
    good.toml:49: fixtures: says.status: `pending` is what it should be, and it is Status(Approved)
    good.toml:49: fixtures: it is answered with 200 instead of 201
    good.toml:49: fixtures: its sender is not vouched for, which is not what it says
    good.toml:49: fixtures: it has either `says` or `reason`
    good.toml:49: fixtures: it is not read: macro_not_replaced: `click_id` still holds a macro
    good.toml:49: fixtures: a request is a method and a target, such as `GET /postback/key?click_id=abc`
    "#);
}

const MEMBER: &str = r#"name = "member"
title = "Member"
extends = "good"
notes = ["A note of its own about macros."]
[contract.statuses.values]
approved = ["ja"]
[[contract.parameters]]
canonical = "sub2"
names = ["two"]
[[contract.parameters]]
canonical = "goal"
names = ["goal"]
[outbound]
url = "https://b.example/?c={external_id}&s={status:approved=1}"
corrections = { how = "status" }
[[outbound.fixtures]]
values = { external_id = "a", status = "approved" }
url = "https://b.example/?c=a&s=1"
"#;

#[test]
fn a_member_takes_from_its_family_what_it_does_not_say() {
    let files = [("good.toml", GOOD), ("member.toml", MEMBER)];
    assert_eq!(complaints(&files), "");
    let catalogue = Catalogue::read(files, &[]);
    let Partner { contract, outbound, corrections, notes, kind, paths, .. } =
        &catalogue.entry("member").unwrap().partner;
    assert_eq!((kind.as_str(), paths.as_slice()), ("a test", &["/conversion".to_owned()][..]));
    assert_eq!(notes, &["A note of its own about macros."]);
    let contract = contract.as_ref().unwrap();
    let names: Vec<&str> = contract.parameters.iter().map(Parameter::name).collect();
    assert_eq!(names, ["click_id", "amount", "s1", "two", "goal"]);
    assert_eq!(contract.statuses.values[&Status::Approved], ["ja"]);
    assert_eq!(contract.statuses.values[&Status::Rejected], ["no"]);
    let outbound = outbound.as_ref().unwrap();
    assert_eq!(outbound.success.as_ref().unwrap().body.as_deref(), Some("OK"));
    assert!(outbound.url.starts_with("https://b.example"));
    assert_eq!(corrections.as_ref().unwrap().name(), "status");
}

#[test]
fn a_family_that_cannot_be_followed_is_told() {
    let of = |name: &str, extends: &str| format!("name = \"{name}\"\nextends = \"{extends}\"\n");
    let cases = [
        vec![("a", "nobody")],
        vec![("a", "a")],
        vec![("a", "b"), ("b", "a")],
        vec![("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f")],
    ];
    let told = cases.map(|chain| {
        let texts: Vec<(String, String)> = chain
            .into_iter()
            .map(|(name, extends)| (format!("{name}.toml"), of(name, extends)))
            .collect();
        let files: Vec<(&str, &str)> =
            texts.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
        told(&Catalogue::read(files, &[]).faults[..1])
    });
    insta::assert_snapshot!(told.join("\n"), @r#"
    a.toml:2: extends: there is no entry `nobody`
    a.toml:2: extends: a.toml extends itself: a.toml
    b.toml:2: extends: a.toml extends itself: a.toml → b.toml
    d.toml:2: extends: more than 4 files: a.toml → b.toml → c.toml → d.toml → e.toml
    "#);
    let typed = complaints(&[("a.toml", "extends = 5\n")]);
    assert!(typed.starts_with("a.toml:1: extends: "), "{typed}");
    let bad = GOOD.replace("{external_id}", "{nothing}");
    let member = complaints(&[("good.toml", &bad), ("member.toml", &MEMBER.replace("url =", "#"))]);
    assert!(member.starts_with("good.toml:15: url: outbound.url: "), "{member}");
}

#[test]
fn two_entries_with_one_title_are_told() {
    let other = GOOD.replace("name = \"good\"", "name = \"other\"");
    let told = complaints(&[("good.toml", GOOD), ("other.toml", &other)]);
    assert!(told.contains("other.toml:2: title: `good` has the same title"), "{told}");
}

#[test]
fn what_is_too_large_or_too_deep_is_told() {
    let long = format!("{GOOD}\n# {}", "x".repeat(FILE_BYTES_MAX));
    assert!(complaints(&[("good.toml", &long)]).contains("at most 65536 bytes"));
    let many = GOOD.replace("\n[[fixtures]]", &"\n[[contract.parameters]]\ncanonical = \"event1..event30\"\nnames = [\"e{n}\"]\n\n[[fixtures]]".repeat(4));
    assert!(complaints(&[("good.toml", &many)]).contains("more than 100 parameters"));
    for deep in [
        format!("a = {}{}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("a = {}", "{b=".repeat(15_000)),
        format!("[{}a]\nb = 1", "a.".repeat(30_000)),
        format!("{}a = 1", "a.".repeat(30_000)),
        format!("[contract]\n{}a = 1", "a.".repeat(30_000)),
    ] {
        assert!(complaints(&[("good.toml", &deep)]).starts_with("good.toml:"), "{}", &deep[..20]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_file_never_does_harm(
        file in 0..FILES.len(),
        cuts in proptest::collection::vec((0_usize..4_000, 0_usize..40, "(\\PC|[\\[\\]{}\"'=.#\n0-9a-z]|\\{n\\}|\\.\\.){0,8}"), 1..6),
    ) {
        let (name, text) = FILES[file];
        let mut text = text.to_owned();
        for (from, len, new) in cuts {
            let ends = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            let (from, to) = (ends(from).unwrap_or(0), ends(from + len).unwrap_or(0));
            text.replace_range(from..to, &new);
        }
        _ = complaints(&[(name, &text)]);
    }

    #[test]
    fn any_text_is_judged_without_harm(text: String) {
        _ = complaints(&[("any.toml", &text)]);
    }
}

#[test]
fn only_what_changed_is_loaded_and_in_pieces() {
    let mut setup = Setup::default();
    let mut partners = Vec::new();
    for number in 0..200 {
        let note = "x".repeat(domain::partner::LINE_BYTES_MAX);
        let name = format!("p{number}");
        partners.push(Partner { name, notes: vec![note; 3], ..seeds()[0].clone() });
    }
    partners.push(seeds()[1].clone());
    let all = loads(&setup, partners.clone());
    assert!(all.len() > 1);
    for load in &all {
        assert!(serde_json::to_vec(load).unwrap().len() <= LOAD_BYTES_MAX + load.len());
    }
    let loaded: Vec<Partner> = all.into_iter().flatten().collect();
    assert_eq!(loaded, partners);
    for partner in &partners {
        let change = domain::setup::Change::Partner(partner.clone());
        setup.put(domain::time::Timestamp::UNIX_EPOCH, change);
    }
    let own = loads(&setup, partners.clone());
    assert_eq!(own.concat().len(), 1, "there is no global integration yet");
    let act = domain::command::Act::LoadCatalogue { partners: own.concat(), key: "k".to_owned() };
    let by = domain::command::By { actor: "system", at: domain::time::Timestamp::UNIX_EPOCH };
    for change in setup.execute(&act, by).unwrap().changes {
        setup.put(domain::time::Timestamp::UNIX_EPOCH, change);
    }
    assert_eq!(loads(&setup, partners.clone()), Vec::<Vec<Partner>>::new());
    partners[7].title.push('!');
    assert_eq!(loads(&setup, partners.clone()), [[partners[7].clone()]]);
}
