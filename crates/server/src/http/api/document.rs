//! The API's document, OpenAPI 3.1, written from the routes as they are served.

use super::field::{Field, object};
use super::refusal::{INVALID_BODY, KEY_REUSED, NOT_FOUND, OF_ALL, Refusal, UNAUTHORIZED};
use super::reply::Reply;
use super::route::Route;
use crate::http::Error;
use crate::http::error::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use domain::command::IDEMPOTENCY_KEY_BYTES_MAX;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Where it is served, without a key: there is nothing secret in it.
pub(super) const PATH: &str = "/openapi.json";
const SCHEMAS: &str = "/components/schemas";
const JSON: &str = "application/json";
const ABOUT: &str = "Everything that can be set up, looked up or counted. Each call takes the \
    query parameters and fields it has here and refuses any other with 400. `HEAD` goes wherever \
    `GET` does; another method is 405 `method_not_allowed`, and a path that is not here is 404 \
    `not_found`. Where no field is required, an empty body is as good as `{}`. Amounts are decimals in strings, instants RFC 3339 in UTC, and what is not there \
    is `null`.";

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&document()).expect("names in JSON are text");
    text.push('\n');
    text
});

/// The document as it is served and printed.
pub(crate) fn text() -> &'static str {
    &TEXT
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get(PATH, "This document", show).without_key()]
}

/// The document itself, for [`show`].
pub(super) struct Document;

impl Reply for Document {
    fn content(_: &mut SchemaGenerator) -> Value {
        json!({ JSON: { "schema": { "type": "object" } } })
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, JSON)], text()).into_response()
    }
}

async fn show() -> Result<Document, Error> {
    Ok(Document)
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut writer = Writer { schemas: settings.into_generator(), responses: BTreeMap::new() };
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in super::routes() {
        let operation = writer.operation(&route);
        let operations = paths.entry(route.path).or_default();
        operations.insert(route.method.to_ascii_lowercase(), operation);
    }
    let mut components = json!({
        "schemas": writer.schemas.take_definitions(true),
        "responses": writer.responses,
        "securitySchemes": {
            "key": { "type": "http", "scheme": "bearer", "description": "The admin key" },
        },
    });
    unwrap_lines(&mut components);
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Counterfoil",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": components,
    })
}

/// Comments of the source are wrapped; descriptions are one line.
fn unwrap_lines(within: &mut Value) {
    match within {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = text.replace('\n', " "),
                    member => unwrap_lines(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        _ => {}
    }
}

/// What the operations share, as it comes together.
struct Writer {
    schemas: SchemaGenerator,
    responses: BTreeMap<String, Value>,
}

impl Writer {
    fn operation(&mut self, route: &Route) -> Value {
        let tag = route.path.split('/').nth(1).unwrap_or_default();
        let mut operation = json!({
            "operationId": operation_id(route),
            "tags": [tag],
            "summary": route.summary,
            "parameters": parameters(route),
            "responses": self.answers(route),
        });
        if !route.needs_key {
            operation["security"] = json!([]);
        }
        if route.takes.body {
            let content = json!({ JSON: { "schema": object(route.declared.body) } });
            let is_required = route.declared.body.iter().any(Field::is_required);
            operation["requestBody"] = json!({ "required": is_required, "content": content });
        }
        operation
    }

    /// The answers by status: the one that is wished for, and every refusal.
    fn answers(&mut self, route: &Route) -> Map<String, Value> {
        let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
        for refusal in refusals(route) {
            by_status.entry(refusal.status).or_default().push(refusal);
        }
        let mut answers = Map::new();
        let content = (route.reply.content)(&mut self.schemas);
        let done = json!({ "description": "Done", "content": content });
        answers.insert(route.reply.status.to_string(), done);
        for (status, refusals) in by_status {
            answers.insert(status.to_string(), self.refused(&refusals));
        }
        answers
    }

    /// A reference to the answer that has one of these codes.
    fn refused(&mut self, refusals: &[Refusal]) -> Value {
        let codes: Vec<&str> = refusals.iter().map(|refusal| refusal.code).collect();
        let name = codes.join(".");
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        if !self.responses.contains_key(&name) {
            let means = refusals.iter().map(|one| format!("`{}`: {}", one.code, one.means));
            let error = self.schemas.subschema_for::<Body<'_>>();
            let one_of_them = json!({ "properties": { "code": { "enum": codes } } });
            let response = json!({
                "description": means.collect::<Vec<_>>().join(". "),
                "content": { JSON: { "schema": { "allOf": [error, one_of_them] } } },
            });
            self.responses.insert(name, response);
        }
        reference
    }
}

/// Everything a route may be refused with.
fn refusals(route: &Route) -> Vec<Refusal> {
    let mut all = OF_ALL.to_vec();
    if route.needs_key {
        all.push(UNAUTHORIZED);
    }
    if route.path.contains('{') {
        all.push(NOT_FOUND);
    }
    if route.takes.body {
        all.push(INVALID_BODY);
    }
    if route.once_by_key {
        all.push(KEY_REUSED);
    }
    for refusal in route.refusals {
        if !all.contains(refusal) {
            all.push(*refusal);
        }
    }
    all
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '-', '.', '{', '}']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", route.method.to_ascii_lowercase(), words.join("_"))
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let schema = match name {
            "id" | "number" => json!({ "type": "integer", "minimum": 1 }),
            _ => json!({ "type": "string" }),
        };
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    });
    let mut all: Vec<Value> = in_path.collect();
    all.extend(route.declared.query().map(Field::parameter));
    if route.once_by_key {
        all.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Sent again under the same key, a request is done once",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": IDEMPOTENCY_KEY_BYTES_MAX,
            },
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_a_route_declares_its_handler_takes() {
        for route in super::super::routes() {
            let at = format!("{} {}", route.method, route.path);
            let has_query = route.declared.query().next().is_some();
            assert_eq!(route.takes.query, has_query, "{at}: its query");
            assert_eq!(route.takes.body, route.method != "GET", "{at}: its body");
            assert!(!route.summary.ends_with('.'), "{at}: its summary");
        }
    }

    #[test]
    fn what_is_done_every_time_promises_nothing_of_a_key() {
        let all = super::super::routes();
        let every_time = all.iter().filter(|route| route.takes.body && !route.once_by_key);
        let every_time: Vec<&Route> = every_time.collect();
        let paths: Vec<&str> = every_time.iter().map(|route| route.path).collect();
        let expected = ["pause", "resume", "test"].map(|one| format!("/destinations/{{id}}/{one}"));
        assert_eq!(paths, expected);
        for route in every_time {
            let named = |one: &Value| one["name"] == "Idempotency-Key";
            assert!(!parameters(route).iter().any(named), "{}", route.path);
            assert!(!refusals(route).contains(&KEY_REUSED), "{}", route.path);
        }
    }

    #[test]
    fn no_two_operations_are_called_alike() {
        let ids: Vec<String> = super::super::routes().iter().map(operation_id).collect();
        let unlike: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(unlike.len(), ids.len(), "{ids:?}");
    }
}
