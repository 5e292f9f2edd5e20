//! URLs to be pasted elsewhere, over the API and from the command line; and the catalogue as an
//! operator looks at it.

use crate::network::{Network, filled, text};
use crate::server::{ADMIN_KEY, PROGRAM};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder).envs(settings.iter().copied());
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(all).unwrap()
}

#[test]
fn a_sender_that_signs_bodies_is_given_a_url_that_says_nothing_else() {
    let mut network = Network::start();
    let campaign = network.campaign("standard-webhooks");
    let own = format!("/integrations/{}/postback-url", campaign.integration);
    let base = format!("http://{}/postback/", network.server.address());
    for path in [own.clone(), format!("{own}?partner=affise")] {
        let given = network.ask(&path);
        let key = text(&given["url"]).strip_prefix(&base).unwrap();
        assert!(!key.is_empty() && !key.contains(['?', '&', '/']), "{given}");
        assert_eq!(given["method"], "POST", "{path}");
        let names: Vec<&str> =
            given["parameters"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect();
        assert!(names.contains(&"click_id") && names.contains(&"txn_id"), "{names:?}");
    }
}

#[test]
fn a_postback_url_that_is_handed_out_is_accepted_once_its_gaps_are_filled() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let path = format!("/integrations/{}", campaign.integration);
    let asked = |network: &mut Network| {
        let given = network.ask(&format!("{path}/postback-url"));
        text(&given["url"]).to_owned()
    };
    assert!(!asked(&mut network).contains("token="), "nothing is agreed");
    let changed = network.change("PATCH", &path, &json!({ "secrets": { "token": "s3cret" } }));
    let url = asked(&mut network);
    assert!(url.contains("&token=REPLACE_WITH_TOKEN") && !url.contains("s3cret"), "{url}");
    assert_eq!(changed["postback_url"], url.as_str());
    let click = network.click(&campaign);
    let values = [
        ("{click_id}", click.as_str()),
        ("{txn_id}", "T-1"),
        ("{status}", "approved"),
        ("{revenue}", "2.50"),
    ];
    let open = filled(&url, &values);
    network.refuses(&open, (400, "macro_not_replaced", Some("token")));
    network.sends(&open.replace("REPLACE_WITH_TOKEN", "s3cret"), "recorded");
}

#[test]
fn a_link_and_a_postback_url_have_the_macros_of_whom_they_are_for() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let base = format!("http://{}", network.server.address());
    let link = format!("/links/{}/click-url", campaign.link);
    let click = network.ask(&format!("{link}?partner=propellerads"));
    let url = text(&click["url"]);
    let start = format!("{base}/c/{}?external_id=${{SUBID}}", campaign.token);
    assert!(url.starts_with(&start), "{url}");
    let wrong = network.refused("GET", &link, None, (400, "invalid_parameter"));
    assert_eq!(wrong["parameter"], "partner");
    let misspelt = format!("{link}?partner=propelerads");
    let wrong = network.refused("GET", &misspelt, None, (400, "invalid_parameter"));
    assert!(text(&wrong["detail"]).contains("nearest is `propellerads`"), "{wrong}");
    let silent = format!("{link}?partner=clickwall");
    network.refused("GET", &silent, None, (400, "invalid_parameter"));

    let own = "/integrations/1/postback-url";
    let affise = network.ask(&format!("{own}?partner=affise"));
    let url = text(&affise["url"]);
    assert!(url.contains("click_id={sub1}") && url.contains("revenue={sum}"), "{url}");
    assert!(url.contains("txn_id={transactionid}"), "{url}");
    let never = format!("{own}?partner=tiktok");
    let wrong = network.refused("GET", &never, None, (400, "invalid_parameter"));
    assert!(text(&wrong["detail"]).contains("never calls us"), "{wrong}");
    let unknown = network.ask(&format!("{own}?partner=offer18"));
    let url_with_gap = text(&unknown["url"]);
    assert!(url_with_gap.ends_with("?click_id=REPLACE_WITH_THEIR_CLICK_ID_MACRO"), "{unknown}");
    let click_id = &unknown["parameters"][0];
    assert!(click_id["macro"].is_null(), "{click_id}");
    assert_eq!((&click_id["macro_known"], &click_id["appended"]), (&json!(false), &json!(false)));
    let body = json!({ "partner": "offer18", "url": url_with_gap });
    let said = network.make("/builder/check", &body);
    assert_eq!((&said["ok"], &said["macros"][0]["judged"]), (&json!(false), &json!("gap")));
    assert_eq!(said["macros"][0]["note"], "fill in the platform's macro for click_id");
    let target = url_with_gap.strip_prefix(base.as_str()).unwrap();
    network.refuses(target, (400, "macro_not_replaced", Some("click_id")));
    let appends = format!("{own}?partner=tapjoy");
    let wrong = network.refused("GET", &appends, None, (400, "invalid_parameter"));
    assert!(text(&wrong["detail"]).contains("`snuid`"), "{wrong}");
    network.change("PUT", "/integrations/1/macros", &json!({ "click_id": "{user}" }));
    let wrong = network.refused("GET", &appends, None, (400, "invalid_parameter"));
    assert!(text(&wrong["detail"]).contains("`snuid`"), "a row of another sender: {wrong}");
    let goal = format!("{own}?goal=nothing");
    let wrong = network.refused("GET", &goal, None, (400, "invalid_parameter"));
    assert_eq!(wrong["parameter"], "goal");
}

#[test]
fn the_command_line_tells_what_the_api_tells() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let affise = network.ask("/integrations/1/postback-url?partner=affise");
    let url = text(&affise["url"]);
    let base = format!("http://{}", network.server.address());
    let start = format!("{base}/c/{}?external_id=${{SUBID}}", campaign.token);
    let listen = network.server.address().to_string();
    let settings = [("COUNTERFOIL_LISTEN", listen.as_str()), ("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY)];
    let folder = tempfile::tempdir().unwrap();
    let asked = run(folder.path(), &["url", "postback", "1", "--partner", "affise"], &settings);
    assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), url);
    assert!(printed(&asked).contains("macro not known, and left out: "), "{asked:?}");
    let gap = run(folder.path(), &["url", "postback", "1", "--partner", "superrewards"], &settings);
    assert!(printed(&gap).contains("`uid`"), "{gap:?}");
    let gap = run(folder.path(), &["url", "postback", "1", "--partner", "theoremreach"], &settings);
    for text in [
        "click_id=REPLACE_WITH_THEIR_CLICK_ID_MACRO",
        "macro not known, and to be filled in: click_id\n",
        "confidence: C: ",
        "note: All of this is from receivers' working code",
    ] {
        assert!(printed(&gap).contains(text), "{text}: {gap:?}");
    }
    let number = campaign.link.to_string();
    let asked =
        run(folder.path(), &["url", "click", &number, "--partner", "propellerads"], &settings);
    assert!(printed(&asked).starts_with(&start), "{asked:?}");
    let nobody = run(folder.path(), &["url", "postback", "99"], &settings);
    assert!(!nobody.status.success());
    assert!(printed(&nobody).contains("integration 99"), "{nobody:?}");
    let wall = network.make("/integrations", &json!({ "level": "global", "partner": "adscend" }));
    let wall = wall["id"].to_string();
    let asked = run(folder.path(), &["url", "postback", &wall], &settings);
    for text in [
        "&secret=REPLACE_WITH_TOKEN\n",
        "the agreed token, to be filled in: secret\n",
        "macro not known, and to be filled in: sub1, transaction, status\n",
        "macro not known, and left out: rate, reward\n",
    ] {
        assert!(printed(&asked).contains(text), "{text}: {asked:?}");
    }
    for (link, said) in [
        ("garbage", "no link of ours"),
        ("https://t.example/postback/k", "no link of ours"),
        ("https://t.example/c/a?external_id=z", "`external_id` stands in it already"),
    ] {
        let wrong = run(folder.path(), &["url", "click", link, "--partner", "propellerads"], &[]);
        assert!(!wrong.status.success() && wrong.stdout.is_empty(), "{link}: {wrong:?}");
        assert!(printed(&wrong).contains(said), "{link}: {wrong:?}");
    }
    let no_key = run(folder.path(), &["url", "postback", "1"], &settings[..1]);
    assert!(printed(&no_key).contains("COUNTERFOIL_ADMIN_KEY"), "{no_key:?}");
}

#[test]
fn a_senders_own_macros_are_saved_and_every_postback_url_follows() {
    let mut network = Network::start();
    let body = json!({ "level": "global", "partner": "peerclick" });
    let made = network.make("/integrations", &body);
    let (id, before) = (made["id"].as_u64().unwrap(), text(&made["postback_url"]).to_owned());
    assert!(before.contains("cid={clickid}"), "{before}");
    let table = json!({ "click_id": "{aff_sub}", "conversion_ref": "{order}" });
    let path = format!("/integrations/{id}/macros");
    let changed = network.change("PUT", &path, &table);
    assert_eq!(changed["macros"], table);
    let after = text(&changed["postback_url"]).to_owned();
    assert_eq!(after, before.replace("{clickid}", "{aff_sub}") + "&conversion_id={order}");
    let address = network.server.address().to_string();
    network.restart();
    let (after, before) = {
        let now = network.server.address().to_string();
        (after.replace(&address, &now), before.replace(&address, &now))
    };
    assert_eq!(network.ask(&format!("/integrations/{id}"))["postback_url"], after.as_str());
    assert_eq!(network.ask(&format!("/integrations/{id}/postback-url"))["url"], after.as_str());
    for (table, parameter) in [
        (json!({ "geo": "{country}" }), "macros.geo"),
        (json!({ "click_id": "{a b}" }), "macros.click_id"),
        (json!({ "clickid": "{x}" }), "clickid"),
        (json!({ "token": "{x}" }), "token"),
    ] {
        let wrong = network.refused("PUT", &path, Some(&table), (400, "invalid_parameter"));
        assert_eq!(wrong["parameter"], parameter);
    }
    for wrong in ["http://evil", "#", "a=b", "{x}#top", "fixed", "REPLACE_WITH_CLICK_ID"] {
        let table = json!({ "click_id": wrong });
        let wrong = network.refused("PUT", &path, Some(&table), (400, "invalid_parameter"));
        assert_eq!(wrong["parameter"], "macros.click_id");
    }
    let none = network.change("PUT", &path, &json!({}));
    assert_eq!(text(&none["postback_url"]), before);
}

#[test]
fn a_senders_macros_are_shown_and_changed_from_the_command_line() {
    let mut network = Network::start();
    let made = network.make("/integrations", &json!({ "level": "global", "partner": "peerclick" }));
    let id = made["id"].as_u64().unwrap().to_string();
    let listen = network.server.address().to_string();
    let settings = [("COUNTERFOIL_LISTEN", listen.as_str()), ("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY)];
    let folder = tempfile::tempdir().unwrap();
    let macros = |rows: &[&str]| {
        let output = run(folder.path(), &[&["url", "macros", &id], rows].concat(), &settings);
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned(), output)
    };
    assert!(printed(&macros(&[]).2).contains("no macros are saved"));
    let (is_done, table, output) = macros(&["click_id={aff_sub}", "conversion_ref={order}"]);
    assert!(is_done, "{output:?}");
    assert_eq!(table, "click_id={aff_sub}\nconversion_ref={order}\n");
    assert!(printed(&output).contains("its postback URL: http://"), "{output:?}");
    assert_eq!(macros(&["click_id={sub}", "conversion_ref="]).1, "click_id={sub}\n");
    assert_eq!(macros(&["status=1"]).1, "click_id={sub}\nstatus=1\n");
    for (row, said) in [
        ("click_id=http://evil", "macros.click_id: `http://evil` is no macro"),
        ("click_id", "`click_id` is no row"),
        ("nothing={x}", "nothing"),
    ] {
        let (is_done, _, output) = macros(&[row]);
        assert!(!is_done && printed(&output).contains(said), "{output:?}");
    }
    assert!(!macros(&["--replace", "geo={c}"]).0, "the contract has no geo");
    assert_eq!(macros(&["--replace"]).1, "");
    assert_eq!(network.ask(&format!("/integrations/{id}"))["macros"], json!({}));
}

/// Whoever reads no further, such as `head`, is no mistake; what cannot be written is one.
#[test]
fn a_closed_pipe_is_no_panic_and_a_full_disk_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let url = "https://t.example/c/a";
    for arguments in [
        &["partners", "list"][..],
        &["partners", "lint"],
        &["partners", "test"],
        &["partners", "show", "affise"],
        &["url", "click", url, "--partner", "affise"],
        &["openapi"],
        &["check-config"],
    ] {
        let run = |stdout: Stdio, stderr: Stdio| {
            let mut command = Command::new(PROGRAM);
            command.args(arguments).current_dir(folder.path());
            command.stdout(stdout).stderr(stderr).spawn().unwrap().wait_with_output().unwrap()
        };
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            Stdio::from(writer)
        };
        let quiet = run(closed(), Stdio::piped());
        assert_eq!(quiet.status.code(), Some(0), "{arguments:?}: {quiet:?}");
        let said = printed(&quiet);
        assert!(!said.contains("panic") && !said.contains("error"), "{arguments:?}: {said}");
        assert_eq!(run(closed(), closed()).status.code(), Some(0), "{arguments:?}");
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let failed = run(Stdio::from(full), Stdio::piped());
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}: {failed:?}");
        let said = printed(&failed);
        assert!(said.contains("error: cannot write to the standard output: "), "{said}");
        assert!(!said.contains("panic"), "{said}");
    }
    let nothing = ["url", "check", "--partner", "tiktok", "https://t.example/c/a?x=_CLICKID_"];
    let mut command = Command::new(PROGRAM);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let failed = command.args(nothing).current_dir(folder.path()).stdout(writer).status().unwrap();
    assert_eq!(failed.code(), Some(1), "a verdict is told all the same");
}

#[test]
fn a_pasted_url_is_judged_macro_by_macro() {
    let mut network = Network::start();
    let body = json!({
        "partner": "affise",
        "url": "https://t.example/postback/k?click_id={clickid}&revenue={sum}&x={transctionid}",
    });
    let said = network.make("/builder/check", &body);
    assert_eq!((&said["ok"], &said["use"]), (&json!(false), &json!("postback")));
    let judged: Vec<String> = said["macros"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {}", text(&one["macro"]), text(&one["judged"]), one["nearest"]))
        .collect();
    assert_eq!(
        judged,
        [
            "{clickid} elsewhere \"{sub1}\"",
            "{sum} recognised null",
            "{transctionid} misspelt \"{transactionid}\"",
        ]
    );
    let long = json!({ "partner": "affise", "url": "x".repeat(20_000) });
    network.refused("POST", "/builder/check", Some(&long), (400, "invalid_parameter"));
    let other = json!({ "partner": "affise", "url": "https://t.example/", "use": "landing" });
    network.refused("POST", "/builder/check", Some(&other), (400, "invalid_parameter"));

    for no_url in ["", "not a url", "t.example/c/a?external_id={clickid}"] {
        let body = json!({ "partner": "affise", "url": no_url });
        let told =
            network.refused("POST", "/builder/check", Some(&body), (400, "invalid_parameter"));
        assert_eq!(told["parameter"], "url", "{no_url}: {told}");
        assert!(text(&told["detail"]).starts_with("a URL such as "), "{no_url}: {told}");
    }

    let folder = tempfile::tempdir().unwrap();
    let check = |url: &str| run(folder.path(), &["url", "check", "--partner", "tiktok", url], &[]);
    let none = check("not a url");
    assert!(!none.status.success() && printed(&none).contains("a URL such as "), "{none:?}");
    let good = check("https://t.example/c/a?external_id=__CLICKID__");
    assert!(good.status.success(), "{good:?}");
    let bad = check("https://t.example/c/a?external_id=_CLICKID_");
    assert!(!bad.status.success());
    assert!(printed(&bad).contains("the right one is __CLICKID__"), "{bad:?}");
}

#[test]
fn a_pasted_url_is_judged_as_a_whole() {
    let mut network = Network::start();
    let told = |network: &mut Network, partner: &str, url: &str| {
        let said = network.make("/builder/check", &json!({ "partner": partner, "url": url }));
        let all = said["complaints"].as_array().unwrap().clone();
        assert_eq!(said["ok"], all.is_empty(), "{said}");
        all.iter().map(|one| text(&one["detail"]).to_owned()).collect::<Vec<_>>().join("; ")
    };
    let base = format!("http://{}", network.server.address());
    let campaign = network.campaign("clickwall");
    let url =
        text(&network.ask(&format!("/campaigns/{}/postback-url", campaign.id))["url"]).to_owned();
    let own = told(&mut network, "clickwall", &url);
    assert_eq!(own, "", "{url}");
    let less = told(&mut network, "clickwall", url.split('&').next().unwrap());
    assert_eq!(less, "it has to be there: `campaign_id`", "of the contract whose key it has");
    let key = url.split(['/', '?']).nth(4).unwrap();
    for (partner, url, said) in [
        ("affise", "/postback/k", "it has to carry our click id"),
        ("affise", "/postback/k?click_id=static", "would be `static` in every postback"),
        ("affise", "/postback/k?click_id=%7Bsub1%7D", "`{sub1}` percent-encoded"),
        ("popads", "/postback/k?click_id=[IMPRESSIONID]", "PopAds never calls us"),
        (
            "clickwall",
            &format!("/{key}/postback?click_id=static&campaign_id=1"),
            "in every postback",
        ),
    ] {
        let all = told(&mut network, partner, &format!("{base}{url}"));
        assert!(all.contains(said), "{url}: {all}");
    }

    let folder = tempfile::tempdir().unwrap();
    let check = |url: &str| run(folder.path(), &["url", "check", "--partner", "tiktok", url], &[]);
    let never = check("https://t.example/postback/k?click_id=__CLICKID__");
    assert!(!never.status.success() && printed(&never).contains("never calls us"), "{never:?}");
}

#[test]
fn the_catalogue_is_shown_and_checked() {
    let mut network = Network::start();
    let partner = network.ask("/partners/tiktok");
    assert!(partner["contract"].is_null() && !partner["notes"].as_array().unwrap().is_empty());
    assert!(partner["sources"].is_array(), "{partner}");
    let body = json!({ "level": "global", "partner": "tiktok" });
    let wrong = network.refused("POST", "/integrations", Some(&body), (400, "invalid_parameter"));
    assert!(text(&wrong["detail"]).contains("never calls us"), "{wrong}");

    let folder = tempfile::tempdir().unwrap();
    let partners =
        |arguments: &[&str]| run(folder.path(), &[&["partners"], arguments].concat(), &[]);
    for verb in ["lint", "test", "list"] {
        let all = partners(&[verb]);
        assert!(all.status.success(), "{all:?}");
    }
    let shown = printed(&partners(&["show", "tiktok"]));
    assert!(shown.contains("confidence: ") && shown.contains("note: "), "{shown}");
    let unknown = partners(&["show", "tictok"]);
    assert!(!unknown.status.success());
    assert!(printed(&unknown).contains("nearest is `tiktok`"), "{unknown:?}");

    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    let dir = own.to_str().unwrap();
    assert!(!partners(&["lint", "--dir", dir]).status.success(), "there is no file");
    let file = own.join("mine.toml");
    fs::write(&file, "name = \"mine\"\ntitle = \"Mine\"\nextends = \"affise\"\n").unwrap();
    let lint = partners(&["lint", "--dir", dir]);
    assert!(lint.status.success(), "{lint:?}");
    assert!(printed(&partners(&["list", "--dir", dir])).contains("Mine"));
    fs::write(&file, "name = \"mine\"\ntitle = \"Mine\"\nextends = \"afise\"\n").unwrap();
    for verb in ["lint", "test", "list"] {
        let wrong = partners(&[verb, "--dir", dir]);
        assert_eq!(wrong.status.code(), Some(1));
        assert!(printed(&wrong).contains("mine.toml:3: extends: there is no entry `afise`"));
    }
    fs::write(&file, vec![b'#'; 70_000]).unwrap();
    assert!(printed(&partners(&["lint", "--dir", dir])).contains("at most 65536 bytes"));
    fs::write(&file, b"name = \"mine\"\ntitle = \"\xFF\"\n").unwrap();
    let other = own.join("other.toml");
    let doubled = "name = \"other\"\ntitle = \"Other\"\nextends = \"affise\"\n\
        sources = [\n    \"A: a\",\n    \"A: a\",\n]\n";
    fs::write(&other, doubled).unwrap();
    for verb in ["lint", "test", "list"] {
        let wrong = partners(&[verb, "--dir", dir]);
        assert_eq!(wrong.status.code(), Some(1));
        assert!(printed(&wrong).contains("mine.toml:2: it is no UTF-8 from here on"), "{wrong:?}");
    }
    let lint = printed(&partners(&["lint", "--dir", dir]));
    assert!(lint.contains("1 partners read, 2 complaints"), "{lint}");
    assert!(lint.contains("other.toml:6: sources: `A: a` stands twice"), "{lint}");
    fs::remove_file(&file).unwrap();
    fs::write(&other, doubled.replace("    \"A: a\",\n]", "    \" \",\n]")).unwrap();
    let lint = printed(&partners(&["lint", "--dir", dir]));
    assert!(lint.contains("sources: blank"), "{lint}");
}
