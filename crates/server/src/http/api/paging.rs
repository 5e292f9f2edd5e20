//! Lists in pages: `?limit=&cursor=` → `{"items":[…],"next":…}`.
//!
//! A cursor names the last row of the page it came with, so what is added or removed meanwhile
//! shifts nothing. It is for giving back as it came; what is in it may change.

use super::field::Field;
use super::kind::Kind;
use super::query::Query;
use crate::http::Error;
use domain::setup::History;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Bound;
use std::str::FromStr;
use store::list::PAGE_ROWS_MAX;

/// How many rows a page has where the caller does not say.
const ROWS_DEFAULT: u32 = 50;

/// The parameters of a list: how many rows, and after which.
pub(super) const PAGING: &[Field] = &[
    Field::optional("limit", Kind::Number(1, PAGE_ROWS_MAX as u64), "How many; 50 without it")
        .such_as("100"),
    Field::optional("cursor", Kind::Text, "What the page before gave as `next`"),
];

/// Of a list of nouns that can be archived.
pub(super) const ARCHIVED: Field =
    Field::optional("archived", Kind::Flag, "Only those that are, or are not; both without it")
        .such_as("false");

/// The part of a list that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slice<K> {
    pub(super) limit: u32,
    /// The last row of the page before.
    pub(super) cursor: Option<K>,
}

impl<K: FromStr> Slice<K> {
    pub(super) fn of(query: &Query) -> Result<Self, Error> {
        let shape = format!("a number from 1 to {PAGE_ROWS_MAX}");
        let limit = query.value("limit", &shape, |text| {
            text.parse().ok().filter(|limit| (1..=PAGE_ROWS_MAX).contains(limit))
        })?;
        let shape = "what the page before gave as `next`";
        let cursor = query.value("cursor", shape, |text| text.parse().ok())?;
        Ok(Self { limit: limit.unwrap_or(ROWS_DEFAULT), cursor })
    }
}

/// A page, and the cursor for the one after it; without one these were the last.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "{T}List")]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

impl<T> List<T> {
    /// A list that is always whole.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// A page of what is set up: those of a noun that `is_asked`, in the order of their ids.
pub(super) fn nouns<'a, K, T, S>(
    all: &'a BTreeMap<K, History<T>>,
    slice: &Slice<K>,
    is_asked: impl Fn(&T) -> bool,
    show: impl Fn(&'a History<T>) -> S,
) -> List<S>
where
    K: Ord + Display,
{
    let after = slice.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rows =
        all.range((after, Bound::Unbounded)).filter(|(_, history)| is_asked(history.latest()));
    let page: Vec<_> = rows.by_ref().take(slice.limit as usize).collect();
    let has_more = rows.next().is_some();
    let next = page.last().filter(|_| has_more).map(|(key, _)| key.to_string());
    List { items: page.into_iter().map(|(_, history)| show(history)).collect(), next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::campaign::Publisher;
    use domain::id::PublisherId;
    use domain::setup::{Change, Setup};
    use domain::time::Timestamp;

    fn setup(publishers: u32) -> Setup {
        let mut setup = Setup::default();
        for id in (1..=publishers).map(PublisherId) {
            let new = Publisher { id, name: format!("p{id}"), archived: id.0.is_multiple_of(2) };
            setup.put(Timestamp::UNIX_EPOCH, Change::Publisher(new));
        }
        setup
    }

    fn page(setup: &Setup, text: &str) -> (Vec<u32>, Option<String>) {
        let slice = Slice::of(&Query::read(text, PAGING).unwrap()).unwrap();
        let is_asked = |publisher: &Publisher| !publisher.archived;
        let list = nouns(&setup.publishers, &slice, is_asked, |one| one.latest().id.0);
        (list.items, list.next)
    }

    #[test]
    fn pages_follow_one_another_and_the_last_says_so() {
        let setup = setup(7);
        assert_eq!(page(&setup, "limit=2"), (vec![1, 3], Some("3".to_owned())));
        assert_eq!(page(&setup, "limit=2&cursor=3"), (vec![5, 7], None));
        assert_eq!(page(&setup, "limit=2&cursor=7"), (vec![], None));
        assert_eq!(page(&setup, ""), (vec![1, 3, 5, 7], None));
    }

    #[test]
    fn a_limit_or_cursor_that_is_none_is_refused() {
        let wrong = ["limit=0", "limit=1001", "limit=-1", "limit=x", "cursor=x", "cursor=-1"];
        for text in wrong {
            let slice =
                Query::read(text, PAGING).and_then(|query| Slice::<PublisherId>::of(&query));
            assert!(slice.is_err(), "{text}");
        }
        let slice = Slice::<PublisherId>::of(&Query::read("limit=1000", PAGING).unwrap()).unwrap();
        assert_eq!(slice, Slice { limit: 1000, cursor: None });
    }
}
