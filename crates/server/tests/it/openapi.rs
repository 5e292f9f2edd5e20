//! The API's document and the API itself say the same.

use crate::client::Reply;
use crate::described::{DOCUMENT, matches, printed};
use crate::network::{Campaign, Network, text};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The methods a path of the document may have, as it has them and as they are sent.
const METHODS: [(&str, &str); 4] =
    [("get", "GET"), ("post", "POST"), ("patch", "PATCH"), ("put", "PUT")];
/// What is no value of most kinds; each kind has one here that it does not take.
const WRONG: [&str; 5] = ["5.5", "true", "\"\\u0001\"", "[0.5]", "{\"no\":0.5}"];

/// A network in which everything there is to ask for is there.
struct Peopled {
    network: Network,
    campaign: Campaign,
    click: String,
    receipt: String,
}

fn peopled() -> Peopled {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    // No destination may be at such an address, so what it is owed waits.
    let url = "http://127.0.0.1:9/?c={external_id}";
    let destination = json!({ "publisher_id": network.publisher, "url": url });
    network.make("/destinations", &destination);
    let click = network.click_with(&campaign, "sub1=us&external_id=%ff&cost=0.10");
    let said = format!("click_id={click}&txn_id=order-1001&param1=a&event1=5&sub1=de&revenue=9");
    let hit = network.sends(&format!("{}?{said}", campaign.postback), "recorded");
    network.sends(&format!("{}?click_id={click}&txn_id=order-1002", campaign.postback), "recorded");
    network.refuses(
        &format!("{}?clickid={click}&token=x", campaign.postback),
        (400, "missing_parameter", Some("click_id")),
    );
    network.client.get("/postback?nothing=known");
    let (link, _) = network.link(campaign.id, true);
    network.make("/test-clicks", &json!({ "link_id": link }));
    let integration = json!({ "level": "advertiser", "advertiser_id": 1, "partner": "kiwiwall" });
    network.make("/integrations", &integration);
    network.until("/deliveries/figures", |figures| !figures["items"][0].is_null());
    Peopled { network, campaign, click, receipt: text(&hit["receipt"]).to_owned() }
}

impl Peopled {
    /// A path of the document with something that is there in place of its braces.
    fn path(&self, template: &str) -> String {
        let id = match template.split('/').nth(1) {
            Some("campaigns") => self.campaign.id,
            Some("links") => self.campaign.link,
            Some("integrations") => self.campaign.integration,
            _ => 1,
        };
        let filled = template
            .replace("{id}", &id.to_string())
            .replace("{number}", "1")
            .replace("{receipt}", &self.receipt)
            .replace("{click_id}", &self.click)
            .replace("{name}", "clickwall");
        assert!(!filled.contains('{'), "say here what stands for the rest of {filled}");
        filled
    }

    fn send(&mut self, call: &Call, query: &str, body: Option<&Value>) -> Reply {
        let path = self.path(call.path);
        self.network.client.api(call.method, &format!("{path}?{query}"), body)
    }
}

/// An operation of the document.
struct Call {
    method: &'static str,
    path: &'static str,
    operation: &'static Value,
}

/// All of them; what ends something comes last.
fn calls() -> Vec<Call> {
    let mut all = Vec::new();
    for (path, operations) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let known = METHODS.iter().find(|(name, _)| name == method);
            let (_, method) = *known.expect("a method is one of them");
            all.push(Call { method, path, operation });
        }
    }
    all.sort_by_key(|call| call.path.ends_with("/archive"));
    assert!(all.len() > 30, "{}", all.len());
    all
}

impl Call {
    fn parameters(&self) -> impl Iterator<Item = &'static Value> + use<> {
        let all = self.operation["parameters"].as_array().unwrap().iter();
        all.filter(|parameter| parameter["in"] == "query")
    }

    /// The fields of its body and their schemas.
    fn fields(&self) -> &'static Map<String, Value> {
        self.operation.pointer(BODY).and_then(|schema| schema["properties"].as_object()).unwrap()
    }

    fn is_required(&self, field: &str) -> bool {
        let schema = self.operation.pointer(BODY).unwrap();
        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == field))
    }

    /// Every field with the example that the document gives for it.
    fn example(&self) -> Map<String, Value> {
        let given = self.fields().iter().filter_map(|(name, schema)| {
            schema["examples"].get(0).map(|example| (name.clone(), example.clone()))
        });
        given.collect()
    }
}

const BODY: &str = "/requestBody/content/application~1json/schema";

/// A value that a schema does not take, where there is one.
fn wrong(schema: &Value) -> Option<Value> {
    let all = WRONG.iter().map(|json| serde_json::from_str(json).unwrap());
    all.into_iter().find(|value| matches(schema, value).is_err())
}

/// A parameter of a query with the example that the document gives for it.
fn example(parameter: &Value) -> Option<String> {
    let value = match &parameter["example"] {
        Value::Null => return None,
        Value::Array(words) => words.iter().map(text).collect::<Vec<_>>().join(","),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(format!("{}={value}", text(&parameter["name"])))
}

/// That a call was refused because of a field or parameter, and that it says what would be right.
#[track_caller]
fn blames(reply: &Reply, name: &str, what: &str) {
    let json = reply.json();
    assert_eq!((reply.status, json["parameter"].as_str()), (400, Some(name)), "{what}: {json}");
    assert_eq!(json["code"], "invalid_parameter", "{what}: {json}");
    assert!(text(&json["detail"]).len() > 10, "{what}: {json}");
}

#[test]
fn the_document_in_the_repository_is_the_one_that_is_printed() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let is_the_same = std::fs::read_to_string(kept).is_ok_and(|text| text == printed());
    assert!(
        is_the_same,
        "docs/openapi.json is not what the routes say. Renew it, look at what changed, and commit \
         it with the change:\n    cargo run -- openapi > docs/openapi.json"
    );
}

#[test]
fn whatever_the_document_names_is_in_it() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").map(|one| text(one).to_owned()));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&DOCUMENT, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for reference in found {
        assert!(DOCUMENT.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn the_check_of_answers_sees_what_is_not_described() {
    let schema = &DOCUMENT["components"]["schemas"]["Advertiser"];
    let right = json!({ "id": 1, "name": "A", "archived": false, "created_at": null });
    assert_eq!(matches(schema, &right), Ok(()));
    for (name, value) in [("id", json!("1")), ("name", json!(null)), ("more", json!(1))] {
        let mut wrong = right.clone();
        wrong[name] = value;
        assert!(matches(schema, &wrong).is_err(), "{wrong}");
    }
    let mut missing = right;
    missing.as_object_mut().unwrap().remove("created_at");
    assert!(matches(schema, &missing).is_err());
}

/// The answers are checked against their schemas by the client.
#[test]
fn every_question_is_answered_as_it_is_described() {
    let mut peopled = peopled();
    for call in calls().iter().filter(|call| call.method == "GET") {
        let all: Vec<_> = call.parameters().filter_map(example).collect();
        let required: Vec<_> =
            call.parameters().filter(|one| one["required"] == true).filter_map(example).collect();
        for query in [required.join("&"), all.join("&")] {
            let reply = peopled.send(call, &query, None);
            assert_eq!(reply.status, 200, "{}?{query}: {}", call.path, reply.text());
        }
    }
}

#[test]
fn a_parameter_that_is_wrong_or_unknown_is_named() {
    let mut peopled = peopled();
    for call in calls() {
        let reply = peopled.send(&call, "no_such=1", None);
        blames(&reply, "no_such", call.path);
        for parameter in call.parameters() {
            let is_any = parameter["schema"] == json!({ "type": "string" });
            let name = text(&parameter["name"]);
            if !is_any {
                let reply = peopled.send(&call, &format!("{name}=%01"), None);
                blames(&reply, name, call.path);
            }
            let reply = peopled.send(&call, &format!("{name}=%ff"), None);
            blames(&reply, name, call.path);
        }
    }
}

#[test]
fn a_field_that_is_wrong_missing_or_unknown_is_named() {
    let mut peopled = peopled();
    for call in calls().iter().filter(|call| call.method != "GET") {
        let good = call.example();
        let mut refused = |field: &str, value: Option<Value>, at: &str| {
            let mut body = good.clone();
            match value {
                Some(value) => body.insert(field.to_owned(), value),
                None => body.remove(field),
            };
            let reply = peopled.send(call, "", Some(&body.clone().into()));
            blames(&reply, at, &format!("{} {} {body:?}", call.method, call.path));
        };
        refused("no_such", Some(json!(1)), "no_such");
        for (field, schema) in call.fields() {
            if let Some(value) = wrong(schema) {
                refused(field, Some(value), field);
            }
            if matches(schema, &Value::Null).is_err() {
                refused(field, Some(Value::Null), field);
            }
            if call.is_required(field) {
                refused(field, None, field);
            }
        }
        let reply = peopled.send(call, "", Some(&json!(["no", "object"])));
        assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("invalid_body")));
    }
}

#[test]
fn the_examples_of_the_document_are_taken() {
    let mut peopled = peopled();
    for call in calls().iter().filter(|call| call.method != "GET") {
        let body = call.example().into();
        let reply = peopled.send(call, "", Some(&body));
        let what = format!("{} {} {body}: {}", call.method, call.path, reply.text());
        assert!(matches!(reply.status, 200 | 201 | 409), "{what}");
    }
}

#[test]
fn only_what_the_document_says_is_told_without_the_key() {
    let mut peopled = peopled();
    let mut open = Vec::new();
    for call in calls() {
        let path = format!("/api/v1{}", peopled.path(call.path));
        let reply = peopled.network.client.send(call.method, &path, &[], b"");
        match call.operation["security"].as_array() {
            Some(none) if none.is_empty() => {
                assert_eq!(reply.status, 200, "{path}");
                open.push(call.path);
            }
            _ => assert_eq!(reply.status, 401, "{path}"),
        }
    }
    assert_eq!(open, ["/openapi.json"]);
    let served = peopled.network.client.get("/api/v1/openapi.json");
    assert_eq!(served.text(), printed());
}

#[test]
fn a_path_says_which_methods_it_has() {
    let mut peopled = peopled();
    for (template, operations) in DOCUMENT["paths"].as_object().unwrap() {
        let path = peopled.path(template);
        let reply = peopled.network.client.api("DELETE", &path, None);
        let told: BTreeSet<String> =
            reply.header("allow").unwrap_or_default().split(", ").map(str::to_owned).collect();
        let mut expected: BTreeSet<String> =
            operations.as_object().unwrap().keys().map(|one| one.to_uppercase()).collect();
        if expected.contains("GET") {
            expected.insert("HEAD".to_owned());
        }
        assert_eq!((reply.status, told), (405, expected), "{path}");
    }
}

/// The codes of errors that stand in the source, by the ways in which they are given.
fn codes_given() -> BTreeSet<String> {
    fn gather(path: &Path, found: &mut BTreeSet<String>) {
        if path.is_dir() {
            let inside = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            inside.filter(|path| !path.ends_with("tests")).for_each(|path| gather(&path, found));
            return;
        }
        let whole = std::fs::read_to_string(path).unwrap_or_default();
        let source = whole.split("#[cfg(test)]").next().unwrap_or_default();
        for way in ["conflict(", "code: ", "code = "] {
            for rest in source.split(way).skip(1) {
                let code =
                    rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                found.extend(code.map(str::to_owned));
            }
        }
    }
    let mut found = BTreeSet::new();
    for part in ["domain", "store", "server"] {
        gather(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part).join("src"),
            &mut found,
        );
    }
    found
}

#[test]
fn every_code_of_an_error_is_described() {
    let mut described = BTreeSet::new();
    for response in DOCUMENT["components"]["responses"].as_object().unwrap().values() {
        let codes =
            response.pointer("/content/application~1json/schema/allOf/1/properties/code/enum");
        described
            .extend(codes.unwrap().as_array().unwrap().iter().map(|code| text(code).to_owned()));
    }
    let given = codes_given();
    assert!(given.contains("in_use") && given.contains("invalid_parameter"), "{given:?}");
    let untold: Vec<_> = given.difference(&described).collect();
    assert!(untold.is_empty(), "no route says that it may give {untold:?}");
    let page = include_str!("../../../../docs/api.md");
    let absent: Vec<_> =
        described.iter().filter(|code| !page.contains(&format!("`{code}`"))).collect();
    assert!(absent.is_empty(), "docs/api.md does not have {absent:?}");
}
