//! Checks what is said to the API and what it answers against its own document.
//!
//! Every client here does so with every call, so whatever any test meets is described: the path,
//! the status, the code of an error, and every field of an answer.

use crate::client::Reply;
use crate::server::PROGRAM;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::process::Command;
use std::sync::LazyLock;

const BASE: &str = "/api/v1";
/// What says something about a schema and asks for nothing.
const NOTES: [&str; 8] =
    ["description", "title", "default", "examples", "format", "minLength", "maxLength", "$defs"];

/// The document, as `counterfoil openapi` prints it.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&printed()).expect("the document is JSON"));

pub(crate) fn printed() -> String {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let output = Command::new(PROGRAM).arg("openapi").current_dir(dir.path()).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

/// A request as it was sent.
#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// Checks a call of the API; anything else is not described.
#[track_caller]
pub(crate) fn check(said: Said<'_>, reply: &Reply) {
    let Ok(target) = std::str::from_utf8(said.target) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(path) = path.strip_prefix(BASE).filter(|rest| rest.starts_with('/')) else { return };
    if let Err(fault) = fault(said, path, query, reply) {
        panic!("{} {target}: {} {}: {fault}", said.method, reply.status, reply.text());
    }
}

fn fault(said: Said<'_>, path: &str, query: &str, reply: &Reply) -> Result<(), String> {
    let Some(operation) = operation(said.method, path) else {
        let is_refused = (400..500).contains(&reply.status) || reply.status == 503;
        return if is_refused { of_error(reply) } else { Err("it is not described".to_owned()) };
    };
    if reply.status < 300 {
        of_query(operation, query)?;
        if !said.body.is_empty() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let sent = serde_json::from_slice(said.body).map_err(|error| error.to_string())?;
            matches(schema, &sent).map_err(|fault| format!("its body was taken: {fault}"))?;
        }
    }
    let described = &operation["responses"][reply.status.to_string()];
    if described.is_null() {
        return Err("this status is not described".to_owned());
    }
    if said.method == "HEAD" {
        return Ok(());
    }
    let media = reply.header("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default();
    match &resolved(described)["content"][media]["schema"] {
        Value::Null => Err(format!("`{media}` is not described")),
        schema if media == "application/json" => matches(schema, &reply.json()),
        _ => Ok(()),
    }
}

fn of_error(reply: &Reply) -> Result<(), String> {
    if reply.body.is_empty() {
        return Ok(());
    }
    matches(&DOCUMENT["components"]["schemas"]["Error"], &reply.json())
}

/// What the document says of a method on a path; what is written out goes before what stands in
/// braces.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let method = if method == "HEAD" { "GET" } else { method };
    let is_it = |template: &&String| {
        let (mut theirs, mut ours) = (template.split('/'), path.split('/'));
        let is_same = theirs
            .by_ref()
            .zip(ours.by_ref())
            .all(|(theirs, ours)| theirs == ours || theirs.starts_with('{') && !ours.is_empty());
        is_same && template.split('/').count() == path.split('/').count()
    };
    let paths = DOCUMENT["paths"].as_object().expect("there are paths");
    let template = paths.keys().filter(is_it).min_by_key(|template| template.matches('{').count());
    paths[template?].get(method.to_ascii_lowercase())
}

/// Each parameter of a query that was answered is described, and is what it is described as.
fn of_query(operation: &Value, query: &str) -> Result<(), String> {
    let decode = |text: &str| {
        percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().trim().to_owned()
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        let all = operation["parameters"].as_array().expect("there are parameters");
        let is_it = |one: &&Value| one["in"] == "query" && one["name"] == *name;
        let described = all.iter().find(is_it).ok_or(format!("`{name}` is not described"))?;
        if !value.is_empty() {
            let schema = &described["schema"];
            matches(schema, &typed(schema, &value)).map_err(|fault| format!("{name}: {fault}"))?;
        }
    }
    Ok(())
}

/// A parameter's text as the value that its schema speaks of.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("array") => text.split(',').map(|one| typed(&schema["items"], one.trim())).collect(),
        Some("integer" | "boolean") => serde_json::from_str(text).unwrap_or_default(),
        _ => text.into(),
    }
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => pointed(reference),
        None => value,
    }
}

fn pointed(reference: &str) -> &'static Value {
    let found = reference.strip_prefix('#').and_then(|pointer| DOCUMENT.pointer(pointer));
    found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// Whether a value is what a schema says. A property that an object's schema does not name is a
/// fault, for it would be one that nobody was told of.
pub(crate) fn matches(schema: &Value, value: &Value) -> Result<(), String> {
    let Some(rules) = schema.as_object() else {
        return if schema == &Value::Bool(true) { Ok(()) } else { Err("nothing fits".to_owned()) };
    };
    rules.iter().try_for_each(|(rule, says)| holds(rules, rule, says, value))?;
    let is_closed = rules.get("type").is_some_and(|kind| kind == "object")
        && rules.contains_key("properties")
        && !rules.contains_key("additionalProperties");
    match value.as_object().and_then(|members| members.keys().find(|name| !names(rules, name))) {
        Some(stray) if is_closed => Err(format!("`{stray}` is not described")),
        _ => Ok(()),
    }
}

fn names(rules: &Map<String, Value>, name: &str) -> bool {
    rules.get("properties").is_some_and(|properties| properties.get(name).is_some())
}

fn holds(
    rules: &Map<String, Value>,
    rule: &str,
    says: &Value,
    value: &Value,
) -> Result<(), String> {
    let each = || says.as_array().expect("alternatives are a list").iter();
    let is_kept = match rule {
        _ if NOTES.contains(&rule) => true,
        "$ref" => return matches(pointed(says.as_str().expect("a reference is text")), value),
        "allOf" => return each().try_for_each(|schema| matches(schema, value)),
        "anyOf" => each().any(|schema| matches(schema, value).is_ok()),
        "oneOf" => each().filter(|schema| matches(schema, value).is_ok()).count() == 1,
        "const" => says == value,
        "enum" => each().any(|one| one == value),
        "type" => match says {
            Value::Array(types) => types.iter().any(|one| is_of(one, value)),
            one => is_of(one, value),
        },
        "required" => {
            let missing = |members: &Map<String, Value>| {
                each()
                    .find(|name| !members.contains_key(name.as_str().expect("a name is text")))
                    .cloned()
            };
            match value.as_object().and_then(missing) {
                Some(name) => return Err(format!("{name} is missing")),
                None => true,
            }
        }
        "properties" => return members(says, value, |schema, name| schema.get(name)),
        "additionalProperties" => {
            return members(says, value, |schema, name| (!names(rules, name)).then_some(schema));
        }
        "items" => {
            let mut all = value.as_array().into_iter().flatten();
            return all.try_for_each(|one| matches(says, one));
        }
        "minimum" => number(value).is_none_or(|one| Some(one) >= number(says)),
        "maximum" => number(value).is_none_or(|one| Some(one) <= number(says)),
        "maxItems" => value.as_array().is_none_or(|all| Some(all.len() as i128) <= number(says)),
        "uniqueItems" => value.as_array().is_none_or(|all| {
            all.iter().enumerate().all(|(place, one)| !all[..place].contains(one))
        }),
        "maxProperties" => {
            value.as_object().is_none_or(|all| Some(all.len() as i128) <= number(says))
        }
        other => panic!("a rule nobody checks: {other}"),
    };
    if is_kept { Ok(()) } else { Err(format!("{value} is not {rule} {says}")) }
}

fn members<'s>(
    says: &'s Value,
    value: &Value,
    schema_of: impl Fn(&'s Value, &str) -> Option<&'s Value>,
) -> Result<(), String> {
    let mut all = value.as_object().into_iter().flatten();
    all.try_for_each(|(name, member)| match schema_of(says, name) {
        Some(schema) => matches(schema, member).map_err(|fault| format!("{name}: {fault}")),
        None => Ok(()),
    })
}

fn number(value: &Value) -> Option<i128> {
    value.as_number().and_then(|number| number.to_string().parse().ok())
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type is a word") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => number(value).is_some(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type: {other}"),
    }
}
