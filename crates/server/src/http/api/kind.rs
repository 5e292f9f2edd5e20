//! What a value has to be: its JSON Schema for the document, and the check of what was sent.
//!
//! They stand side by side, for the document may promise no more and no less than is checked. An
//! error says what would be right.

use super::body::Fields;
use super::field::{Field, object};
use crate::http::Error;
use domain::macros::nearest;
use domain::time::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// Null takes it away.
    TextOrNull,
    /// A whole number given out by us.
    Id,
    /// A whole number between these two.
    Number(u64, u64),
    Flag,
    /// RFC 3339.
    Instant,
    Date,
    /// One of these.
    Word(fn() -> Vec<&'static str>),
    /// Some of these, with commas between them.
    Words(fn() -> Vec<&'static str>),
    /// At most so many of one kind.
    List(&'static Kind, usize),
    Object(&'static [Field]),
    /// At most so many of one kind, by names that the caller chooses.
    Map(&'static Kind, usize),
    /// Anything else, by its JSON Schema; whoever reads it says what is wrong with it.
    Shape(fn() -> Value),
}

impl Kind {
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::TextOrNull => json!({ "type": ["string", "null"] }),
            Self::Id => json!({ "type": "integer", "minimum": 1 }),
            Self::Number(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Instant => json!({ "type": "string", "format": "date-time" }),
            Self::Date => json!({ "type": "string", "format": "date" }),
            Self::Word(words) => json!({ "type": "string", "enum": words() }),
            Self::Words(words) => {
                json!({ "type": "array", "items": { "type": "string", "enum": words() } })
            }
            Self::List(of, max) => {
                json!({ "type": "array", "items": of.schema(), "maxItems": max })
            }
            Self::Object(fields) => object(fields),
            Self::Map(of, max) => {
                let of = of.schema();
                json!({ "type": "object", "additionalProperties": of, "maxProperties": max })
            }
            Self::Shape(schema) => schema(),
        }
    }

    /// What would be right, after "it is".
    fn says(self) -> String {
        match self {
            Self::Text => "text, in quotes".to_owned(),
            Self::TextOrNull => "text, in quotes, or null".to_owned(),
            Self::Id => "an id, which is a whole number".to_owned(),
            Self::Number(min, max) => format!("a whole number from {min} to {max}"),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Instant => "an RFC 3339 instant such as 2026-11-20T09:30:00Z".to_owned(),
            Self::Date => "a date such as 2026-11-20".to_owned(),
            Self::Word(words) => format!("one of: {}", words().join(", ")),
            Self::Words(words) => format!("some of: {}", words().join(", ")),
            Self::List(_, max) => format!("a list, in brackets, of at most {max}"),
            Self::Object(_) => "an object, in braces".to_owned(),
            Self::Map(_, max) => format!("an object, in braces, of at most {max}"),
            Self::Shape(_) => "of another kind".to_owned(),
        }
    }

    fn refused(self, at: &str) -> Error {
        Error::parameter(at, format!("it is {}", self.says()))
    }

    /// A value of a body, with whatever is in it.
    pub(super) fn check(self, at: &str, value: &Value) -> Result<(), Error> {
        let is_it = match (self, value) {
            (Self::Shape(_), _)
            | (Self::Flag, Value::Bool(_))
            | (Self::Text | Self::TextOrNull, Value::String(_))
            | (Self::TextOrNull, Value::Null) => true,
            (Self::Instant | Self::Date | Self::Word(_) | Self::Words(_), Value::String(text)) => {
                return self.check_text(at, text);
            }
            (Self::Id | Self::Number(..), Value::Number(number)) => {
                return self.check_text(at, &number.to_string());
            }
            (Self::List(of, max), Value::Array(values)) if values.len() <= max => {
                let mut places = values.iter().enumerate();
                return places
                    .try_for_each(|(place, one)| of.check(&format!("{at}[{place}]"), one));
            }
            (Self::Map(of, max), Value::Object(values)) if values.len() <= max => {
                let mut values = values.iter();
                return values.try_for_each(|(name, one)| of.check(&format!("{at}.{name}"), one));
            }
            (Self::Object(fields), Value::Object(given)) => {
                return Fields::check(&format!("{at}."), given, fields);
            }
            _ => false,
        };
        if is_it { Ok(()) } else { Err(self.refused(at)) }
    }

    /// A value of a query.
    pub(super) fn check_text(self, at: &str, text: &str) -> Result<(), Error> {
        let number = || text.parse::<u64>().ok();
        let is_it = match self {
            Self::Id => number().is_some_and(|number| number > 0),
            Self::Number(min, max) => number().is_some_and(|one| (min..=max).contains(&one)),
            Self::Flag => text.parse::<bool>().is_ok(),
            Self::Instant => text.parse::<Timestamp>().is_ok(),
            // Parsing would take an instant's date too.
            Self::Date => text.parse::<Date>().is_ok_and(|date| date.to_string() == text),
            Self::Word(words) => words().contains(&text),
            Self::Words(words) => return check_words(at, text, &words()),
            Self::Text
            | Self::TextOrNull
            | Self::List(..)
            | Self::Object(_)
            | Self::Map(..)
            | Self::Shape(_) => true,
        };
        if is_it { Ok(()) } else { Err(self.refused(at)) }
    }
}

fn check_words(at: &str, text: &str, known: &[&str]) -> Result<(), Error> {
    match listed(text).find(|word| !known.contains(word)) {
        Some(word) => Err(no_such_word(at, word, known)),
        None => Ok(()),
    }
}

/// Words with commas between them.
pub(super) fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// An error about a word that is none of `known`.
pub(super) fn no_such_word(parameter: &str, word: &str, known: &[&str]) -> Error {
    let detail = match nearest(word, known.iter().copied()) {
        Some(nearest) => format!("there is no `{word}`; the nearest is `{nearest}`"),
        None => format!("there is no `{word}`; there are: {}", known.join(", ")),
    };
    Error::parameter(parameter, detail)
}

/// The words of all these, for [`Kind::Word`].
pub(super) fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|one| word(*one)).collect()
}

/// The schema of whatever a type reads itself from, for [`Kind::Shape`].
pub(super) fn read_as<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::blamed;
    use super::*;

    const WORD: Kind = Kind::Word(|| vec!["a", "b"]);
    const FIELDS: &[Field] =
        &[Field::required("name", Kind::Text, ""), Field::optional("id", Kind::Id, "")];

    #[test]
    fn what_a_kind_takes_is_let_through() {
        let good = [
            (Kind::Text, json!("")),
            (Kind::Id, json!(18_446_744_073_709_551_615_u64)),
            (Kind::Number(1, 730), json!(730)),
            (Kind::Flag, json!(false)),
            (Kind::Instant, json!("2026-11-20T10:00:00+01:00")),
            (Kind::Date, json!("2026-11-20")),
            (WORD, json!("b")),
            (Kind::List(&Kind::Text, 2), json!(["a", "b"])),
            (Kind::Map(&Kind::Text, 1), json!({ "token": "x" })),
            (Kind::Object(FIELDS), json!({ "name": "A", "id": null })),
            (Kind::Shape(|| json!({})), json!([null])),
        ];
        for (kind, value) in good {
            assert!(kind.check("x", &value).is_ok(), "{kind:?}: {value}");
        }
    }

    #[test]
    fn anything_else_is_refused_where_it_stands() {
        let wrong = [
            (Kind::Text, json!(5), "x"),
            (Kind::Id, json!(0), "x"),
            (Kind::Id, json!(-1), "x"),
            (Kind::Id, json!(1.0), "x"),
            (Kind::Id, json!("1"), "x"),
            (Kind::Number(1, 730), json!(731), "x"),
            (Kind::Flag, json!("true"), "x"),
            (Kind::Instant, json!("2026-11-20"), "x"),
            (Kind::Date, json!("2026-11-20T10:00:00Z"), "x"),
            (WORD, json!("c"), "x"),
            (WORD, json!(["a"]), "x"),
            (Kind::List(&Kind::Text, 2), json!("a"), "x"),
            (Kind::List(&Kind::Text, 2), json!(["a", "b", "c"]), "x"),
            (Kind::List(&Kind::Text, 2), json!(["a", 5]), "x[1]"),
            (Kind::Map(&Kind::Text, 1), json!([]), "x"),
            (Kind::Map(&Kind::Text, 1), json!({ "a": "", "b": "" }), "x"),
            (Kind::Map(&Kind::Text, 1), json!({ "token": null }), "x.token"),
            (Kind::Object(FIELDS), json!("a"), "x"),
            (Kind::Object(FIELDS), json!({}), "x.name"),
            (Kind::Object(FIELDS), json!({ "name": null }), "x.name"),
            (Kind::Object(FIELDS), json!({ "name": "A", "id": "1" }), "x.id"),
            (Kind::Object(FIELDS), json!({ "nmae": "A" }), "x.nmae"),
        ];
        for (kind, value, at) in wrong {
            let (name, detail) = blamed(kind.check("x", &value).unwrap_err());
            assert_eq!(name.as_deref(), Some(at), "{kind:?}: {value}: {detail}");
        }
    }

    #[test]
    fn a_refusal_says_what_would_be_right() {
        let said = |kind: Kind, text: &str| blamed(kind.check_text("x", text).unwrap_err()).1;
        assert_eq!(said(Kind::Number(1, 730), "731"), "it is a whole number from 1 to 730");
        assert_eq!(said(WORD, "c"), "it is one of: a, b");
        let some = Kind::Words(|| vec!["day", "goal"]);
        assert_eq!(said(some, "day,dya"), "there is no `dya`; the nearest is `day`");
        assert!(some.check_text("x", " day , goal,").is_ok());
    }
}
