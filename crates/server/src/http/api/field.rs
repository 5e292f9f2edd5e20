//! What a caller may say: the fields of bodies and the parameters of queries.
//!
//! Each is declared once, in a table of its handler's module. Requests are checked against that
//! table and the API's document is written from it, so neither knows a name the other does not.

use super::kind::Kind;
use crate::http::Error;
use serde_json::{Map, Value, json};

/// A field of a body, or a parameter of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    presence: Presence,
    /// What it is, in a sentence without a full stop.
    means: &'static str,
    /// A value it may have, as JSON; a text may stand without its quotes.
    example: Option<&'static str>,
}

/// Whether a field has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Required,
    /// Null is a value, or the same as leaving it out.
    Optional,
    /// Left out, what it stands for stays as it is; null is a mistake.
    Change,
}

impl Field {
    const fn new(name: &'static str, kind: Kind, presence: Presence, means: &'static str) -> Self {
        Self { name, kind, presence, means, example: None }
    }

    /// A field that has to be there.
    pub(super) const fn required(name: &'static str, kind: Kind, means: &'static str) -> Self {
        Self::new(name, kind, Presence::Required, means)
    }

    /// A field that may be left out, or be null.
    pub(super) const fn optional(name: &'static str, kind: Kind, means: &'static str) -> Self {
        Self::new(name, kind, Presence::Optional, means)
    }

    /// A field of a change that may be left out, and cannot be null.
    pub(super) const fn change(name: &'static str, kind: Kind, means: &'static str) -> Self {
        Self::new(name, kind, Presence::Change, means)
    }

    pub(super) const fn such_as(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    fn example(&self) -> Option<Value> {
        let text = self.example?;
        Some(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
    }

    /// What the body has under its name, or that it has nothing.
    pub(super) fn check(&self, at: &str, given: Option<&Value>) -> Result<(), Error> {
        match (given, self.presence) {
            (None | Some(Value::Null), Presence::Required) => {
                Err(Error::parameter(at, "it is required"))
            }
            (Some(Value::Null), Presence::Change) => Err(Error::parameter(at, "it cannot be null")),
            (None | Some(Value::Null), _) => Ok(()),
            (Some(value), _) => self.kind.check(at, value),
        }
    }

    pub(super) fn is_required(&self) -> bool {
        self.presence == Presence::Required
    }

    /// The schema of its values in a body.
    fn schema(&self) -> Value {
        let mut schema = self.kind.schema();
        if self.presence == Presence::Optional {
            schema = or_null(schema);
        }
        schema["description"] = self.means.into();
        if let Some(example) = self.example() {
            schema["examples"] = json!([example]);
        }
        schema
    }

    /// As a parameter of a query.
    pub(super) fn parameter(&self) -> Value {
        let mut parameter = json!({
            "name": self.name,
            "in": "query",
            "description": self.means,
            "schema": self.kind.schema(),
        });
        if self.is_required() {
            parameter["required"] = true.into();
        }
        if matches!(self.kind, Kind::Words(_)) {
            parameter["style"] = "form".into();
            parameter["explode"] = false.into();
        }
        if let Some(example) = self.example() {
            parameter["example"] = example;
        }
        parameter
    }
}

/// The schema of an object that has these fields and no others.
pub(super) fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), field.schema())).collect();
    let required = fields.iter().filter(|field| field.is_required()).map(|field| field.name);
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    let required: Vec<&str> = required.collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// The same, or null.
fn or_null(mut schema: Value) -> Value {
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    match schema.get("type").cloned() {
        Some(Value::String(one)) => {
            schema["type"] = json!([one, "null"]);
            schema
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

/// The names, for errors.
pub(super) fn names(fields: impl IntoIterator<Item = &'static Field>) -> Vec<&'static str> {
    fields.into_iter().map(|field| field.name).collect()
}
