//! JSON bodies, read field by field, so that an error names the field that is wrong.
//!
//! A field that nobody asked for is refused: it is a misspelt one, or one that would be lost.

use super::field::{Field, names};
use super::idempotency;
use super::route::Declared;
use super::typed;
use crate::app::App;
use crate::http::Error;
use axum::extract::{FromRequest, Request};
use domain::command::Idempotency;
use domain::macros::nearest;
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A request that changes something.
pub(super) struct Sent {
    fields: Fields,
    /// Its key, where it has one.
    pub(super) idempotency: Option<Idempotency>,
}

impl FromRequest<Arc<App>> for Sent {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let known = parts.extensions.get::<Declared>().map_or(&[][..], |declared| declared.body);
        // The connection has bounded it, and has received all of it.
        let collected = body.collect().await;
        let bytes = collected.map_err(|_| Error::request("the body broke off"))?.to_bytes();
        let idempotency = idempotency::read(&parts, &bytes, &app.keys.secrets)?;
        Ok(Self { fields: Fields::read(&bytes, known)?, idempotency })
    }
}

impl Sent {
    /// The body's fields, each of which its route knows.
    pub(super) fn fields(&mut self) -> Fields {
        std::mem::take(&mut self.fields)
    }
}

/// What a body says of a field where null is a value of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given<T> {
    Absent,
    Null,
    Value(T),
}

/// The fields of one JSON object.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// What stands before a field's name in errors, such as `goals[0].`.
    path: String,
    given: Map<String, Value>,
    known: &'static [Field],
}

impl Fields {
    /// The fields of a whole body. An empty one has none.
    pub(super) fn read(bytes: &[u8], known: &'static [Field]) -> Result<Self, Error> {
        let wrong = |detail: String| Error::Invalid {
            code: "invalid_body",
            parameter: None,
            detail: format!("the body is not a JSON object: {detail}"),
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            if known.iter().any(Field::is_required) {
                return Err(wrong("it is empty".to_owned()));
            }
            return Ok(Self { known, ..Self::default() });
        }
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(wrong("it begins with no brace".to_owned()));
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let given = reader
            .deserialize_map(Object)
            .and_then(|given| reader.end().map(|()| given))
            .map_err(|error| wrong(error.to_string()))?;
        Self { path: String::new(), given, known }.checked()
    }

    /// The fields of the object at `path` of a body.
    pub(super) fn of(path: &str, value: Value, known: &'static [Field]) -> Result<Self, Error> {
        match value {
            Value::Object(given) => Self { path: format!("{path}."), given, known }.checked(),
            _ => Err(Error::parameter(path, "it is an object")),
        }
    }

    fn checked(self) -> Result<Self, Error> {
        Self::check(&self.path, &self.given, self.known)?;
        Ok(self)
    }

    /// That all of `known` that has to be there is, each of its kind, and nothing else.
    pub(super) fn check(
        path: &str,
        given: &Map<String, Value>,
        known: &'static [Field],
    ) -> Result<(), Error> {
        let names = names(known);
        if let Some(name) = given.keys().find(|name| !names.contains(&name.as_str())) {
            let detail = match nearest(name, names.iter().copied()) {
                Some(nearest) => format!("there is no such field here; the nearest is `{nearest}`"),
                None if known.is_empty() => "this call takes no fields".to_owned(),
                None => format!("there is no such field here; there are: {}", names.join(", ")),
            };
            return Err(Error::parameter(&format!("{path}{name}"), detail));
        }
        let check =
            |field: &Field| field.check(&format!("{path}{}", field.name), given.get(field.name));
        known.iter().try_for_each(check)
    }

    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// The same, where there are any: an empty change says nothing.
    pub(super) fn some(self) -> Result<Self, Error> {
        if self.given.is_empty() {
            let names = names(self.known).join(", ");
            let detail = format!("it changes nothing; what can change is: {names}");
            return Err(Error::request(detail));
        }
        Ok(self)
    }

    /// A field that has to be there, and not null.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, Value) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let at = self.at(name);
        self.optional(name, read)?.ok_or_else(|| Error::parameter(&at, "it is required"))
    }

    /// A field that may be absent, or null for the same.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, Value) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        Ok(match self.nullable(name, read)? {
            Given::Value(value) => Some(value),
            Given::Absent | Given::Null => None,
        })
    }

    /// A field where null is not the same as absent.
    pub(super) fn nullable<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, Value) -> Result<T, Error>,
    ) -> Result<Given<T>, Error> {
        debug_assert!(self.known.iter().any(|one| one.name == name), "`{name}` is not declared");
        match self.given.remove(name) {
            None => Ok(Given::Absent),
            Some(Value::Null) => Ok(Given::Null),
            Some(value) => read(&self.at(name), value).map(Given::Value),
        }
    }

    /// A field of a change: what is left out stays, and null is no value.
    pub(super) fn change<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str, Value) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.nullable(name, read)? {
            Given::Null => Err(Error::parameter(&self.at(name), "it cannot be null")),
            Given::Value(value) => Ok(Some(value)),
            Given::Absent => Ok(None),
        }
    }
}

/// An object's members; a name that stands twice says two things.
struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut given = Map::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if given.contains_key(&name) {
                return Err(A::Error::custom(format!("`{name}` stands in it twice")));
            }
            given.insert(name, value);
        }
        Ok(given)
    }
}

pub(super) fn text(at: &str, value: Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Error::parameter(at, "it is text, in quotes")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fields are read by any of these alike")]
pub(super) fn flag(at: &str, value: Value) -> Result<bool, Error> {
    match value {
        Value::Bool(flag) => Ok(flag),
        _ => Err(Error::parameter(at, "it is `true` or `false`")),
    }
}

/// A whole number, such as an id, that fits its type.
pub(super) fn number<T: FromStr>(at: &str, value: Value) -> Result<T, Error> {
    let number = match value {
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| Error::parameter(at, "it is a whole number that is not too large"))
}

/// Whatever reads itself from JSON and says what it expects.
pub(super) fn plain<T: DeserializeOwned>(at: &str, value: Value) -> Result<T, Error> {
    typed::read(at, value)
}

pub(super) fn list<T>(
    at: &str,
    value: Value,
    read: impl Fn(&str, Value) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let Value::Array(values) = value else {
        return Err(Error::parameter(at, "it is a list, in brackets"));
    };
    let read_one = |(place, value)| read(&format!("{at}[{place}]"), value);
    values.into_iter().enumerate().map(read_one).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::kind::Kind;
    use super::*;

    pub(in crate::http::api) fn blamed(error: Error) -> (Option<String>, String) {
        match error {
            Error::Invalid { parameter, detail, .. } => (parameter, detail),
            other => panic!("{other:?}"),
        }
    }

    /// Fields of these names, of any kind.
    macro_rules! known {
        ($($name:literal),*) => {
            const { &[$(Field::optional($name, Kind::Shape(|| Value::Null), "")),*] }
        };
    }

    fn fields(json: &str, known: &'static [Field]) -> Result<Fields, Error> {
        Fields::read(json.as_bytes(), known)
    }

    #[test]
    fn fields_are_read_by_name_and_kind() {
        let json = r#"{"name":"A","id":4294967295,"test":true,"none":null,"list":["x"]}"#;
        let mut fields =
            fields(json, known!["name", "id", "test", "none", "list", "more"]).unwrap();
        assert_eq!(fields.required("name", text).unwrap(), "A");
        assert_eq!(fields.required("id", number::<u32>).unwrap(), u32::MAX);
        assert!(fields.required("test", flag).unwrap());
        assert_eq!(fields.nullable("none", text).unwrap(), Given::Null);
        assert_eq!(fields.optional("more", text).unwrap(), None);
        let read = |at: &str, value| list(at, value, text);
        assert_eq!(fields.required("list", read).unwrap(), ["x"]);
    }

    #[test]
    fn an_error_names_the_field() {
        let json = r#"{"a":5,"b":"x","c":1.0,"d":4294967296,"e":[{"f":1}],"g":null}"#;
        let mut fields = fields(json, known!["a", "b", "c", "d", "e", "g", "z"]).unwrap();
        let name = |error| blamed(error).0.unwrap();
        assert_eq!(name(fields.required("a", text).unwrap_err()), "a");
        assert_eq!(name(fields.required("b", flag).unwrap_err()), "b");
        assert_eq!(name(fields.required("c", number::<u32>).unwrap_err()), "c");
        assert_eq!(name(fields.required("d", number::<u32>).unwrap_err()), "d");
        let read = |at: &str, value: Value| {
            list(at, value, |at, value| Fields::of(at, value, known!["f"])?.required("f", text))
        };
        assert_eq!(name(fields.required("e", read).unwrap_err()), "e[0].f");
        assert_eq!(name(fields.required("z", text).unwrap_err()), "z");
        assert_eq!(name(fields.change("g", text).unwrap_err()), "g");
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_nearest_right_one() {
        let (name, detail) = blamed(fields(r#"{"nmae":"A"}"#, known!["name"]).unwrap_err());
        assert_eq!(name.as_deref(), Some("nmae"));
        assert!(detail.ends_with("the nearest is `name`"), "{detail}");
        let inner = serde_json::json!({ "x": 1 });
        let (name, _) = blamed(Fields::of("goals[1]", inner, known!["key"]).unwrap_err());
        assert_eq!(name.as_deref(), Some("goals[1].x"));
    }

    #[test]
    fn where_no_field_is_required_an_empty_body_says_none() {
        for json in ["", " \r\n", "{}"] {
            let mut none = fields(json, known!["a"]).unwrap();
            assert_eq!(none.optional("a", text).unwrap(), None, "{json:?}");
            let (_, detail) = blamed(fields(json, known!["a"]).unwrap().some().unwrap_err());
            assert_eq!(detail, "it changes nothing; what can change is: a", "{json:?}");
            assert!(fields(json, &[]).is_ok(), "{json:?}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_without_harm() {
        const KNOWN: &[Field] = &[Field::required("a", Kind::Shape(|| Value::Null), "")];
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep_member = format!(r#"{{"a":{deep}}}"#);
        let wrong: [&[u8]; 14] = [
            b"",
            b" \n",
            b"null",
            b"5",
            b"\"a\"",
            b"[]",
            b"{",
            b"{}x",
            b"{\"a\":1,\"a\":1}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{a:1}",
            deep.as_bytes(),
            deep_member.as_bytes(),
        ];
        for json in wrong {
            let (_, detail) = blamed(Fields::read(json, KNOWN).unwrap_err());
            let text = String::from_utf8_lossy(&json[..json.len().min(40)]);
            assert!(detail.starts_with("the body is not a JSON object: "), "{text}: {detail}");
        }
    }
}
