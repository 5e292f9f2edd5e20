//! The life of a contract, on the real program: drafted, signed off, active, read through its
//! sunset, refused after it, rolled back; and the page that the other side reads.

use crate::client::Reply;
use crate::network::{Campaign, Network, text};
use serde_json::{Value, json};

/// What a campaign's contracts are reached by.
fn path(campaign: &Campaign) -> String {
    format!("/integrations/{}/contracts", campaign.integration)
}

/// The contract in force, as it would be drafted again.
fn active(network: &mut Network, campaign: &Campaign) -> Value {
    let all = network.ask(&path(campaign));
    let items = all["items"].as_array().unwrap();
    let one = items.iter().find(|one| one["status"] == "active").expect("one is active");
    one["contract"].clone()
}

/// The same, with another name for what is meant.
fn renamed(mut contract: Value, canonical: &str, names: &Value) -> Value {
    let parameters = contract["parameters"].as_array_mut().unwrap();
    let one = parameters.iter_mut().find(|one| one["canonical"] == canonical);
    one.expect("the contract reads it")["names"] = names.clone();
    contract
}

fn sign(network: &mut Network, version: &str, roles: &[&str]) -> Value {
    let sign = |role: &&str| {
        let body = json!({ "role": role, "name": format!("the one for {role}") });
        network.make(&format!("{version}/sign-off"), &body)
    };
    roles.iter().map(sign).last().expect("somebody signs")
}

fn statuses(network: &mut Network, campaign: &Campaign) -> Vec<String> {
    let all = network.ask(&path(campaign));
    let items = all["items"].as_array().unwrap();
    items.iter().map(|one| text(&one["status"]).to_owned()).collect()
}

#[test]
fn a_contract_lives_from_its_draft_to_its_retirement_and_comes_back() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let sends = |name: &str, txn: u32| format!("{}?{name}={click}&txn_id={txn}", campaign.postback);
    assert_eq!(statuses(&mut network, &campaign), ["active"]);
    let contract = renamed(active(&mut network, &campaign), "click_id", &json!(["cid"]));
    let body = json!({ "contract": contract, "note": "One name.", "cutover_on": "2026-12-01" });
    let drafted = network.make(&path(&campaign), &body);
    assert_eq!((&drafted["number"], text(&drafted["status"])), (&json!(2), "draft"));
    assert_eq!(drafted["sign_offs_missing"], json!(["operations", "engineering"]));
    let version = format!("{}/2", path(&campaign));
    network.refuses(&sends("cid", 1), (400, "missing_parameter", Some("click_id")));
    let activate = format!("{version}/activate");
    network.refused("POST", &activate, Some(&json!({})), (409, "not_signed_off"));
    let signed = sign(&mut network, &version, &["operations", "engineering"]);
    assert_eq!(signed["status"], "signed_off");
    assert_eq!(signed["sign_offs"][1]["name"], "the one for engineering");
    network.make(&activate, &json!({ "sunset_days": 1 }));
    assert_eq!(statuses(&mut network, &campaign), ["sunset", "active"]);

    let new = network.sends(&sends("cid", 1), "recorded");
    let id = campaign.integration;
    assert_eq!(
        (text(&new["contract"]), &new["flags"][0]),
        (&*format!("{id}.2"), &json!("unverified"))
    );
    let old = network.sends(&sends("click_id", 2), "recorded");
    assert_eq!(text(&old["contract"]), format!("{id}.1"));
    assert!(old["flags"].as_array().unwrap().contains(&json!("contract_in_sunset")), "{old}");

    network.make(&format!("{}/1/retire", path(&campaign)), &json!({}));
    assert_eq!(statuses(&mut network, &campaign), ["retired", "active"]);
    let refused =
        network.refuses(&sends("click_id", 3), (410, "contract_retired", Some("click_id")));
    assert!(text(&refused["detail"]).contains("it is called `cid` now"), "{refused}");
    let plain = format!("/postback?click_id={click}&txn_id=3");
    network.refuses(&plain, (410, "contract_retired", Some("click_id")));

    network.restart();
    network.refuses(&sends("click_id", 3), (410, "contract_retired", Some("click_id")));
    network.make(&format!("{}/1/activate", path(&campaign)), &json!({ "sunset_days": 0 }));
    assert_eq!(statuses(&mut network, &campaign), ["active", "retired"]);
    network.sends(&sends("click_id", 3), "recorded");
    network.refuses(&sends("cid", 4), (410, "contract_retired", Some("cid")));
    assert_eq!(network.ask(&format!("/integrations/{id}"))["contract"], 1);
    assert!(network.server.stop().success());
    let verified = network.server.run(&["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn whoever_speaks_as_before_is_answered_as_before() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let mut contract = renamed(active(&mut network, &campaign), "click_id", &json!(["cid"]));
    contract["answers"] = json!({ "recorded": { "http_status": 201, "body": "thanks" } });
    network.make(&path(&campaign), &json!({ "contract": contract }));
    let version = format!("{}/2", path(&campaign));
    sign(&mut network, &version, &["operations", "engineering"]);
    network.make(&format!("{version}/activate"), &json!({ "sunset_days": 1 }));
    let new = network.client.get(format!("{}?cid={click}&txn_id=1", campaign.postback));
    assert_eq!((new.status, new.text()), (201, "thanks".to_owned()));
    assert_eq!(network.verdict(&new)["http_status"], 201);
    network.sends(&format!("{}?click_id={click}&txn_id=2", campaign.postback), "recorded");
}

/// printf '%s' '1:s3cret-s3cret' | md5sum
const SIGNED: &str = "txn_id=1&sig=689d51e365fd21a2b82ed1e9cb6aae1a";

/// The same, proven by a signature over the transaction id instead of a token.
fn signed(mut contract: Value) -> Value {
    let parameters = contract["parameters"].as_array_mut().unwrap();
    parameters.retain(|one| one["canonical"] != "token" && one["canonical"] != "signature");
    parameters.push(json!({ "canonical": "signature", "names": ["sig"] }));
    contract["verification"] = json!({ "signature": {
        "algorithm": "md5",
        "input": { "kind": "fields", "fields": ["txn_id", "{secret}"], "separator": ":" },
    } });
    contract
}

#[test]
fn each_version_asks_for_its_own_proof_through_the_sunset() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let integration = format!("/integrations/{}", campaign.integration);
    let sends = |rest: &str| format!("{}?click_id={click}&{rest}", campaign.postback);
    network.set_token(campaign.integration, "hunter2-hunter2");
    network.sends(&sends("txn_id=8&token=hunter2-hunter2"), "recorded");
    let secret = json!({ "secrets": { "signature": "s3cret-s3cret" } });
    let early = network.client.api("PATCH", &integration, Some(&secret)).json();
    assert_eq!(early["parameter"], "secrets.signature", "nothing asks for it yet: {early}");

    let contract = signed(active(&mut network, &campaign));
    network.make(&path(&campaign), &json!({ "contract": contract }));
    let changed = network.change("PATCH", &integration, &secret);
    assert_eq!(changed["secrets"], json!({ "signature": "***", "token": "***" }));
    network.refuses(&sends("txn_id=9"), (401, "signature_mismatch", Some("token")));
    let version = format!("{}/2", path(&campaign));
    sign(&mut network, &version, &["operations", "engineering"]);
    network.make(&format!("{version}/activate"), &json!({ "sunset_days": 1 }));

    network.sends(&sends(SIGNED), "recorded");
    let old = network.sends(&sends("txn_id=2&token=hunter2-hunter2"), "recorded");
    assert_eq!(text(&old["contract"]), format!("{}.1", campaign.integration));
    for (rest, name) in [
        ("txn_id=3", "sig"),
        ("txn_id=3&sig=", "sig"),
        ("txn_id=3&sig=689d51e365fd21a2b82ed1e9cb6aae1a", "sig"),
        ("txn_id=3&token=wrong", "token"),
        ("txn_id=3&token=wrong&txn_id=3&goal=", "token"),
    ] {
        network.refuses(&sends(rest), (401, "signature_mismatch", Some(name)));
    }
    // What replaces one leaves the other.
    let next = json!({ "secrets": { "signature": "another-s3cret" } });
    network.change("PATCH", &integration, &next);
    network.refuses(&sends(SIGNED), (401, "signature_mismatch", Some("sig")));
    network.refuses(&sends("txn_id=3&token=wrong"), (401, "signature_mismatch", Some("token")));
    network.restart();
    let changed = network.change("PATCH", &integration, &json!({ "secrets": { "token": null } }));
    assert_eq!(changed["secrets"], json!({ "signature": "***" }));
    network.refuses(
        &sends("txn_id=4&token=hunter2-hunter2"),
        (401, "signature_mismatch", Some("sig")),
    );
}

#[test]
fn finance_signs_what_changes_money() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let contract = active(&mut network, &campaign);
    let names = json!(["revenue", "sum"]);
    let contract = renamed(contract, "revenue", &names);
    network.make(&path(&campaign), &json!({ "contract": contract }));
    let version = format!("{}/2", path(&campaign));
    let differs = network.ask(&format!("{version}/diff?with=1"));
    assert_eq!((&differs["from"], &differs["to"]), (&json!(1), &json!(2)));
    assert_eq!(differs["touches_money"], true);
    assert_eq!(differs["differences"][0]["sentence"], "`revenue` is read from `sum` too");
    let signed = sign(&mut network, &version, &["operations", "engineering"]);
    assert_eq!(
        (&signed["status"], &signed["sign_offs_missing"]),
        (&json!("draft"), &json!(["finance"]))
    );
    let activate = format!("{version}/activate");
    network.refused("POST", &activate, Some(&json!({})), (409, "not_signed_off"));
    assert_eq!(sign(&mut network, &version, &["finance"])["status"], "signed_off");
    let changed = network.change("PATCH", &version, &json!({ "note": "Read it again." }));
    assert_eq!((&changed["status"], &changed["sign_offs"]), (&json!("draft"), &json!([])));
    sign(&mut network, &version, &["operations", "engineering", "finance"]);
    network.make(&activate, &json!({}));
    let refused = network.client.api("PATCH", &version, Some(&json!({ "note": "x" })));
    assert_eq!((refused.status, text(&refused.json()["code"])), (409, "not_a_draft"));
}

#[test]
fn a_mistake_in_a_contract_is_named_by_its_place() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let contract = active(&mut network, &campaign);
    let trial = path(&campaign).replace("/contracts", "/try");
    let with = |field: &str, value: Value| {
        let mut contract = contract.clone();
        contract[field] = value;
        json!({ "contract": contract })
    };
    for (body, parameter) in [
        (with("identiti", json!("click")), "contract.identiti"),
        (with("identity", json!("clicks")), "contract.identity"),
        (
            with("parameters", json!([{ "canonical": "clickid", "names": [] }])),
            "contract.parameters[0].canonical",
        ),
        (
            with("parameters", json!([{ "canonical": "click_id", "names": [] }])),
            "contract.parameters[0].names",
        ),
        (with("parameters", json!([])), "contract.parameters"),
        (
            with(
                "verification",
                json!({ "signature": { "algorithm": "md5", "input": { "kind": "x" } } }),
            ),
            "contract.verification.signature.input.kind",
        ),
        (with("times", json!({ "zone": "Mars" })), "contract.times.zone"),
        (json!({ "partner": "nobody" }), "partner"),
        (json!({ "from": 9 }), "from"),
        (json!({ "from": 1, "partner": "kiwiwall" }), "from"),
        (json!({ "cutover_on": "tomorrow" }), "cutover_on"),
        (json!({ "notes": "x" }), "notes"),
    ] {
        let reply = network.client.api("POST", &path(&campaign), Some(&body));
        let answer = reply.json();
        assert_eq!(
            (reply.status, answer["parameter"].as_str()),
            (400, Some(parameter)),
            "{answer}"
        );
        if parameter.starts_with("contract") {
            let tried = network.client.api("POST", &trial, Some(&body)).json();
            assert_eq!(tried["parameter"], parameter, "{tried}");
        }
    }
    assert_eq!(statuses(&mut network, &campaign), ["active"]);
    let nowhere = network.client.api("GET", &format!("{}/2", path(&campaign)), None);
    assert_eq!(nowhere.status, 404);
    network.make(&path(&campaign), &json!({ "partner": "kiwiwall" }));
    let version = format!("{}/2", path(&campaign));
    for (call, body, parameter) in [
        ("sign-off", json!({ "role": "legal", "name": "x" }), "role"),
        ("sign-off", json!({ "role": "finance", "name": " " }), "name"),
        ("activate", json!({ "sunset_days": 731 }), "sunset_days"),
        ("activate", json!({ "sunset_until": "2001-01-01T00:00:00Z" }), "sunset_until"),
    ] {
        let reply = network.client.api("POST", &format!("{version}/{call}"), Some(&body));
        let answer = reply.json();
        assert_eq!(
            (reply.status, answer["parameter"].as_str()),
            (400, Some(parameter)),
            "{answer}"
        );
    }
    network.make(&format!("{version}/discard"), &json!({}));
    assert_eq!(network.ask(&version)["page_url"], Value::Null);
    network.refused("POST", &format!("{version}/retire"), Some(&json!({})), (409, "not_in_sunset"));
}

/// What stands behind the address of a version's page.
fn page(network: &mut Network, version: &str, ending: &str) -> Reply {
    let url = network.ask(version)["page_url"].clone();
    let (_, token) = text(&url).rsplit_once("/contracts/").expect("it is an address");
    network.client.send("GET", format!("/contracts/{token}{ending}"), &[], b"")
}

#[test]
fn a_page_tells_what_the_network_makes_of_unproven_postbacks() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let version = format!("{}/1", path(&campaign));
    for (unverified, told) in
        [("allow", None), ("refuse", Some("a postback is refused in any case"))]
    {
        network.change("PUT", "/settings", &json!({ "unverified": unverified }));
        let shown = page(&mut network, &version, ".md").text();
        assert_eq!(shown.contains("Where no proof"), told.is_some(), "{shown}");
        assert!(told.is_none_or(|told| shown.contains(told)), "{shown}");
    }
}

#[test]
fn a_contract_is_a_page_that_tells_no_secret() {
    let mut network = Network::start();
    let campaign = network.campaign("kiwiwall");
    network.set_token(campaign.integration, "hunter2-hunter2");
    let contract = active(&mut network, &campaign);
    let evil = json!(["txn_id", "<script>alert(1)</script>"]);
    let contract = renamed(contract, "txn_id", &evil);
    let note = "Soon.\n<b>& now</b>";
    let body = json!({ "contract": contract, "note": note, "cutover_on": "2026-12-01" });
    network.make(&path(&campaign), &body);
    let key = campaign.postback.trim_start_matches("/postback/").to_owned();
    for number in [1, 2] {
        for (ending, kind) in
            [("", "text/html; charset=utf-8"), (".md", "text/markdown; charset=utf-8")]
        {
            let shown = page(&mut network, &format!("{}/{number}", path(&campaign)), ending);
            assert_eq!((shown.status, shown.header("content-type")), (200, Some(kind)));
            let policy = shown.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
            assert_eq!(shown.header("x-robots-tag"), Some("noindex, nofollow"));
            assert_eq!(shown.header("referrer-policy"), Some("no-referrer"));
            let text = shown.text();
            for said in ["KiwiWall", "click_id", "255", "postback/KEY?", "UTC", "503"] {
                assert!(text.contains(said), "{said} is missing: {text}");
            }
            // In Markdown it stands between backticks, where it is only text.
            let told = text.replace("`<script>alert(1)</script>`", "");
            assert_eq!(told != text, number == 2 && ending == ".md");
            for never in ["<script", "<b>", "hunter2", &key] {
                assert!(!told.contains(never), "{never} stands in {text}");
            }
            let is_draft = text.contains("This is a draft") && text.contains("2026-12-01");
            assert_eq!(is_draft, number == 2, "{text}");
        }
    }
    let head = network.ask(&path(&campaign))["items"][0]["page_url"].clone();
    let (_, token) = text(&head).rsplit_once('/').unwrap();
    let head = network.client.send("HEAD", format!("/contracts/{token}"), &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let style = network.client.send("GET", "/contracts/style.css", &[], b"");
    assert_eq!(
        (style.status, style.header("content-type")),
        (200, Some("text/css; charset=utf-8"))
    );
    for nowhere in ["/contracts/", "/contracts/.md", "/contracts/0000000000", "/contracts/a/b"] {
        let nothing = network.client.send("GET", nowhere, &[], b"");
        assert_eq!(nothing.status, 404, "{nowhere}");
        assert_eq!(nothing.header("cache-control"), Some("no-store"), "{nowhere}");
        assert!(nothing.text().contains("There is no contract at this address"), "{nowhere}");
    }
    assert_eq!(network.client.send("POST", "/contracts/style.css", &[], b"").status, 405);
    let token = network.ask(&format!("{}/2", path(&campaign)))["page_url"].clone();
    network.make(&format!("{}/2/discard", path(&campaign)), &json!({}));
    let (_, token) = text(&token).rsplit_once('/').unwrap();
    assert_eq!(network.client.send("GET", format!("/contracts/{token}"), &[], b"").status, 404);
}

/// What has to stand on the page of a partner's contract, and what must not.
#[test]
fn a_page_says_what_its_reader_has_to_know() {
    let mut network = Network::start();
    for (partner, said, never) in [
        (
            "clickwall",
            &["`campaign_id=1` stays as it is", "within 30 days", "default goal, `install`"][..],
            &["As soon as the secret"][..],
        ),
        (
            "counterfoil",
            &["`sub1` … `sub10`", "`event1` … `event30`", "once it is agreed on", "`UTC`"],
            &["`sub2`"],
        ),
        (
            "ayet",
            &[
                "in `transaction_id`, with `r-` before it",
                "header `x-ayetstudios-security-hash`",
                "No time is read",
                "see Status words",
            ],
            &["in `txn_id`"],
        ),
        (
            "trackier",
            &["In `goal_value` a goal's own key", "goals are `install`."],
            &["`campaign_id=`"],
        ),
        ("kiwiwall", &["| what you pay us for it; beside a revenue, what our"], &["| what our"]),
        ("playtime", &["made of `", ", joined by `_`"], &["made of `param2`"]),
        ("pushground", &["Every postback is taken for approved", "`OK`"], &["any other word"]),
        ("kiwiwall-wall", &["`1`, as plain text", "`34.193.235.172/32` only"], &["a ping"]),
        (
            "standard-webhooks",
            &["Sent by POST", "more than 300 seconds ago", "`stale_timestamp`"],
            &["Sent by GET", "`source_not_allowed`"],
        ),
    ] {
        let campaign = network.campaign(partner);
        let shown = page(&mut network, &format!("{}/1", path(&campaign)), ".md").text();
        for said in said {
            assert!(shown.contains(said), "{partner}: {said} is missing: {shown}");
        }
        for never in never {
            assert!(!shown.contains(never), "{partner}: {never} stands in {shown}");
        }
    }
}

#[test]
fn a_page_follows_its_version_from_draft_to_retirement() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let contract = renamed(active(&mut network, &campaign), "click_id", &json!(["visit"]));
    network.make(&path(&campaign), &json!({ "contract": contract, "note": "Soon.\nReally." }));
    let all = path(&campaign);
    let says = |network: &mut Network, number: u32, said: &str| {
        let shown = page(network, &format!("{all}/{number}"), ".md").text();
        assert!(shown.contains(said), "{said} is missing: {shown}");
    };
    says(&mut network, 1, "It has been in force since");
    for said in
        ["This is a draft", "\nNote: Soon.\n\nReally.\n", "By our words, `click_id` is `visit`."]
    {
        says(&mut network, 2, said);
    }
    sign(&mut network, &format!("{all}/2"), &["operations", "engineering", "finance"]);
    says(&mut network, 2, "This is a draft");
    network.make(&format!("{all}/2/activate"), &json!({}));
    says(&mut network, 1, "Version 2 has taken its place. Postbacks that speak as this one says");
    says(&mut network, 2, "It has been in force since");
    network.make(&format!("{all}/1/retire"), &json!({}));
    says(&mut network, 1, "This one has not been read since");
    network.make(&format!("{all}/1/activate"), &json!({}));
    says(&mut network, 1, "It has been in force since");
    says(&mut network, 2, "Version 1 has taken its place.");
}
