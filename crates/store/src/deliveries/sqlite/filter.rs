//! Which rows a filter is of, and the index that they are found within.
//!
//! The index is always named: nothing counts the rows, so SQLite would guess which is the narrower.

use super::super::{DeliveryFilter, State};
use crate::sqlite::row::integer;
use rusqlite::types::Value;

/// Rows that are gone through in the order of their ids.
pub(super) struct Walk<'a> {
    pub(super) filter: &'a DeliveryFilter,
    /// All that they are in, where the filter names no state.
    pub(super) states: &'a [State],
    /// What else holds of them.
    pub(super) also: &'a str,
    /// `asc` or `desc`.
    pub(super) order: &'a str,
    pub(super) limit: u64,
}

impl Walk<'_> {
    /// A query for their ids, and its values. Those of a destination stand in their order within
    /// each state: SQLite merges them, and looks at none behind the last.
    pub(super) fn query(&self) -> (String, Vec<Value>) {
        let Self { filter, also, order, limit, .. } = self;
        let index = match narrowest(filter) {
            // They would be sorted for each chunk.
            Index::At if *order == "asc" => Index::Id,
            index => index,
        };
        let (conditions, values) = index.conditions(filter);
        let all = format!("select id from delivery {} {conditions}{also}", index.source());
        let all = match index == Index::Destination && filter.state.is_none() {
            false => all,
            true => {
                let of = |state: &State| format!("{all} and state = '{}'", state.name());
                self.states.iter().map(of).collect::<Vec<_>>().join("\nunion all\n")
            }
        };
        (format!("{all}\norder by id {order} limit {limit}"), values)
    }
}

/// What rows are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    Id,
    Conversion,
    Destination,
    State,
    At,
}

/// The index that the fewest rows of the filter have to be looked for in.
pub(super) fn narrowest(filter: &DeliveryFilter) -> Index {
    if filter.id.is_some() {
        Index::Id
    } else if filter.conversion_id.is_some() {
        Index::Conversion
    } else if filter.destination_id.is_some() {
        Index::Destination
    } else if filter.state.is_some() {
        Index::State
    } else if filter.from.is_some() || filter.to.is_some() {
        Index::At
    } else {
        Index::Id
    }
}

impl Index {
    /// As it stands behind the table's name.
    pub(super) fn source(self) -> &'static str {
        match self {
            // The table is in the order of its ids.
            Self::Id => "not indexed",
            Self::Conversion => "indexed by delivery_conversion",
            Self::Destination => "indexed by delivery_destination",
            Self::State => "indexed by delivery_state",
            Self::At => "indexed by delivery_at",
        }
    }

    /// The conditions of a filter for a query within it.
    pub(super) fn conditions(self, filter: &DeliveryFilter) -> (String, Vec<Value>) {
        conditions_on(if self == Self::At { "at" } else { "+at" }, filter)
    }
}

/// The conditions of a filter, which begin with `where`, and their values. They are from a closed
/// list, never from input. No time is looked up in an index by them.
pub(super) fn conditions(filter: &DeliveryFilter) -> (String, Vec<Value>) {
    conditions_on("+at", filter)
}

/// The same with the time as it is written there.
fn conditions_on(at: &str, filter: &DeliveryFilter) -> (String, Vec<Value>) {
    let number = |number: u64| Value::from(integer(number));
    let asked = [
        ("id = ?", filter.id.map(|id| number(id.0))),
        ("destination_id = ?", filter.destination_id.map(|id| number(id.0.into()))),
        ("conversion_id = ?", filter.conversion_id.map(|id| number(id.0))),
        ("state = ?", filter.state.map(|state| state.name().to_owned().into())),
        ("{at} >= ?", filter.from.map(|from| from.as_us().into())),
        ("{at} < ?", filter.to.map(|to| to.as_us().into())),
        ("id < ?", filter.before.map(number)),
    ];
    let mut text = "where true".to_owned();
    let mut values = Vec::new();
    for (condition, value) in asked {
        let Some(value) = value else { continue };
        values.push(value);
        text += " and ";
        text += &condition.replace("{at}", at).replace('?', &format!("?{}", values.len()));
    }
    if !filter.except.is_empty() {
        let ids: Vec<String> = filter.except.iter().map(|id| id.0.to_string()).collect();
        text += " and destination_id not in (";
        text += &ids.join(", ");
        text += ")";
    }
    (text, values)
}
