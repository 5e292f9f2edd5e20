//! One digest over everything that the same records must bring back.

use crate::Error;
use domain::command::Outcome;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

/// Every reproducible table in the order of its key. Two columns are left out, which decide nothing:
/// `decided_at` says when a clock stood where, and `detail` puts for people what reason, parameter
/// and flags say, in words that every release may choose anew.
const TABLES: [(&str, &str); 9] = [
    ("state", "select * from state"),
    ("setup", "select * from setup order by number"),
    ("command", "select * from command order by position"),
    ("verdict", "select * from verdict order by position"),
    ("conversion", "select * from conversion order by id"),
    ("entry", "select * from entry order by number"),
    ("event_click", "select * from event_click order by home, click_id"),
    ("event", "select * from event order by home, click_id, number"),
    ("delivery", "select * from delivery order by id"),
];
/// How many of them the first schema step made.
const FIRST_TABLES: usize = 6;
const LEFT_OUT: [&str; 2] = ["decided_at", "detail"];
/// Of a command that failed, it has a `detail` too.
const OUTCOME: &str = "outcome";
/// Columns of later schema steps. They count where they say something, and later tables where they
/// have rows, so that records that were there before them make the digest that they always made.
const ADDED: [&str; 5] =
    ["conversion_home", "triaged", "triage_identity", "merged_into", "backfilled_at"];

pub(super) fn digest(connection: &mut Connection) -> Result<[u8; 32], Error> {
    let tx = connection.transaction()?;
    let mut hash = Sha256::new_with_prefix(b"counterfoil state 2");
    for (place, (table, sql)) in TABLES.into_iter().enumerate() {
        let mut statement = tx.prepare(&format!("-- digest::digest\n{sql}"))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([])?;
        let mut is_named = false;
        if place < FIRST_TABLES {
            hash.update(table);
            is_named = true;
        }
        while let Some(row) = rows.next()? {
            if !is_named {
                hash.update(table);
                is_named = true;
            }
            for (place, column) in columns.iter().enumerate() {
                let value = row.get_ref(place)?;
                let is_added = ADDED.contains(&column.as_str());
                if LEFT_OUT.contains(&column.as_str()) || is_added && value == ValueRef::Null {
                    continue;
                }
                if is_added {
                    hash.update(column);
                }
                if let Some(outcome) = (column == OUTCOME).then(|| without_detail(value)).flatten()
                {
                    update(&mut hash, ValueRef::Text(outcome.as_bytes()));
                    continue;
                }
                update(&mut hash, value);
            }
        }
    }
    Ok(hash.finalize().into())
}

/// What came of a command that failed, but for the words of it; `None`: it has none.
fn without_detail(outcome: ValueRef<'_>) -> Option<String> {
    let Outcome::Failed(mut failure) = serde_json::from_str(outcome.as_str().ok()?).ok()? else {
        return None;
    };
    failure.detail.clear();
    let outcome = Outcome::Failed(failure);
    Some(serde_json::to_string(&outcome).expect("an outcome is plain data"))
}

/// A tag for the type, then the value; of variable length, preceded by it.
fn update(hash: &mut Sha256, value: ValueRef<'_>) {
    let sized = |hash: &mut Sha256, tag: u8, bytes: &[u8]| {
        hash.update([tag]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    match value {
        ValueRef::Null => hash.update([0]),
        ValueRef::Integer(number) => {
            hash.update([1]);
            hash.update(number.to_be_bytes());
        }
        ValueRef::Real(number) => {
            hash.update([2]);
            hash.update(number.to_bits().to_be_bytes());
        }
        ValueRef::Text(text) => sized(hash, 3, text),
        ValueRef::Blob(bytes) => sized(hash, 4, bytes),
    }
}
