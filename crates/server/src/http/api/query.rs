//! Query strings of the API: every parameter is known, and none is given twice.
//!
//! A misspelt filter that is silently ignored answers another question than was asked, so an
//! unknown name is refused, with the nearest right one.

use super::field::{Field, names};
use crate::http::Error;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::macros::nearest;
use domain::time::Timestamp;
use percent_encoding::percent_decode_str;
use std::convert::Infallible;
use std::str::FromStr;

fn encoding(name: &str) -> Error {
    Error::parameter(name, "it is not percent-encoded UTF-8")
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

fn unknown(name: &str, known: &[&str]) -> Error {
    let detail = match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("there is no such parameter; the nearest is `{nearest}`"),
        None if known.is_empty() => "this call takes no parameters".to_owned(),
        None => format!("there is no such parameter; there are: {}", known.join(", ")),
    };
    Error::parameter(name, detail)
}

/// The parameters of a request, each of which its route knows; a blank one is as good as absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// As the route has read them.
impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.remove().unwrap_or_default())
    }
}

impl Query {
    pub(super) fn read(
        sent: &str,
        known: impl IntoIterator<Item = &'static Field>,
    ) -> Result<Self, Error> {
        let known: Vec<&Field> = known.into_iter().collect();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in sent.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(name).ok_or_else(|| encoding(name))?;
            let value = decode(value).ok_or_else(|| encoding(&name))?;
            let Some(field) = known.iter().find(|field| field.name == name) else {
                return Err(unknown(&name, &names(known)));
            };
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(Error::parameter(&name, "it is given twice"));
            }
            let value = value.trim();
            if !value.is_empty() {
                field.kind.check_text(&name, value)?;
            }
            pairs.push((name, value.to_owned()));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        let is_given = |field: &Field| pairs.iter().any(|(name, _)| name == field.name);
        match known.iter().find(|field| field.is_required() && !is_given(field)) {
            Some(field) => Err(Error::parameter(field.name, "it is required")),
            None => Ok(Self(pairs)),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A value that `read` understands; otherwise an error that says what it has to be.
    pub(super) fn value<T>(
        &self,
        name: &str,
        shape: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::parameter(name, format!("it is {shape}"))),
        }
    }

    /// An id that is a number.
    pub(super) fn id<T: FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        self.value(name, "an id, which is a whole number", |text| text.parse().ok())
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        self.value(name, "`true` or `false`", |text| text.parse().ok())
    }

    pub(super) fn instant(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let shape = "an RFC 3339 instant such as 2026-11-20T09:30:00Z";
        self.value(name, shape, |text| text.parse().ok())
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(
        &self,
        name: &str,
        all: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, Error> {
        let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
        let shape = format!("one of: {}", words.join(", "));
        self.value(name, &shape, |text| all.iter().copied().find(|one| word(*one) == text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::*;

    fn query(text: &str, known: &[&'static str]) -> Result<Query, Error> {
        let known = known.iter().map(|name| Field::optional(name, Kind::Text, ""));
        Query::read(text, Vec::leak(known.collect()) as &[Field])
    }

    fn detail(text: &str, known: &[&'static str]) -> (String, String) {
        match query(text, known) {
            Err(Error::Invalid { parameter, detail, .. }) => (parameter.unwrap(), detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parameters_are_decoded_and_trimmed() {
        let query =
            query("goal=a%20b+c%C3%A9&&limit=%205%20&cursor=", &["goal", "limit", "cursor"]);
        let query = query.unwrap();
        assert_eq!(query.text("goal"), Some("a b c\u{e9}"));
        assert_eq!(query.text("limit"), Some("5"));
        assert_eq!(query.text("cursor"), None);
    }

    #[test]
    fn an_unknown_parameter_is_named_with_the_nearest_right_one() {
        let known = ["campaign_id", "publisher_id"];
        let (name, told) = detail("campaing_id=1", &known);
        assert_eq!(name, "campaing_id");
        assert!(told.ends_with("the nearest is `campaign_id`"), "{told}");
        let (_, told) = detail("x=1", &known);
        assert!(told.ends_with("there are: campaign_id, publisher_id"), "{told}");
        let (_, told) = detail("x", &[]);
        assert_eq!(told, "this call takes no parameters");
    }

    #[test]
    fn a_parameter_that_has_to_be_there_is_asked_for() {
        const KNOWN: &[Field] = &[Field::required("partner", Kind::Text, "")];
        assert!(Query::read("partner=voluum", KNOWN).is_ok());
        for text in ["", "partner=", "partner=%20"] {
            let error = Query::read(text, KNOWN).unwrap_err();
            assert_eq!(error.to_string(), "it is required", "{text}");
        }
    }

    #[test]
    fn a_parameter_stands_once_and_is_utf_8() {
        assert_eq!(detail("a=1&a=1", &["a"]).1, "it is given twice");
        for text in ["a=%FF", "a=%00", "%FF=1"] {
            assert_eq!(detail(text, &["a", "%FF"]).1, "it is not percent-encoded UTF-8", "{text}");
        }
    }

    #[test]
    fn a_value_is_of_its_kind_or_the_error_says_what_it_has_to_be() {
        let known = ["id", "test", "from", "word"];
        let good = query("id=7&test=true&from=2026-11-20T10:00:00%2B01:00&word=b", &known).unwrap();
        assert_eq!(good.id::<u32>("id").unwrap(), Some(7));
        assert_eq!(good.flag("test").unwrap(), Some(true));
        let instant = good.instant("from").unwrap().unwrap();
        assert_eq!(instant.to_string(), "2026-11-20T09:00:00Z");
        assert_eq!(good.word("word", &["a", "b"], |word| word).unwrap(), Some("b"));
        let bad = query("id=4294967296&test=1&from=2026-11-20&word=c", &known).unwrap();
        assert!(bad.id::<u32>("id").is_err());
        assert!(bad.flag("test").is_err());
        assert!(bad.instant("from").is_err());
        let error = bad.word("word", &["a", "b"], |word| word).unwrap_err();
        assert_eq!(error.to_string(), "it is one of: a, b");
    }
}
