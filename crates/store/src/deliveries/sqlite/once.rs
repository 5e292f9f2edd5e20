//! Replays under a key: each is done once. How far one has come is written with every chunk of it, so
//! that it goes on there, whatever has cut it off.

use super::super::Replayed;
use crate::Error;
use domain::command::Idempotency;
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};

pub(super) fn replayed(connection: &Connection, key: &str) -> Result<Option<Replayed>, Error> {
    let found = connection
        .prepare_cached(
            "-- deliveries::replayed
            select request, count, next is null as is_done from replay where key = ?1",
        )?
        .query_row([key], |row| {
            Ok(Replayed {
                request: row.get("request")?,
                count: row.get("count")?,
                is_done: row.get("is_done")?,
            })
        })
        .optional()?;
    Ok(found)
}

/// A replay, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) key: Option<String>,
    /// What it has had sent once more is marked with it.
    pub(super) at: Timestamp,
    /// What came after this one is not of it.
    pub(super) last: u64,
    pub(super) count: u64,
    /// After which delivery it goes on; `None`: it is done.
    pub(super) next: Option<u64>,
}

/// Begins one, or finds what was begun under the key.
pub(super) fn begin(
    connection: &Connection,
    under: Option<&Idempotency>,
    now: Timestamp,
) -> Result<Begun, Error> {
    let last = connection
        .prepare_cached(
            "-- deliveries::begin_replay
            select coalesce(max(id), 0) from delivery",
        )?
        .query_row([], |row| row.get(0))?;
    let Some(under) = under else {
        return Ok(Begun { key: None, at: now, last, count: 0, next: Some(0) });
    };
    connection
        .prepare_cached(
            "-- deliveries::begin_replay
            insert into replay (key, request, count, at, last, next) values (?1, ?2, 0, ?3, ?4, 0)
            on conflict do nothing",
        )?
        .execute((&under.key, &under.request, now.as_us(), last))?;
    let begun = connection
        .prepare_cached(
            "-- deliveries::begin_replay
            select at, last, count, next from replay where key = ?1",
        )?
        .query_row([&under.key], |row| {
            Ok(Begun {
                key: Some(under.key.clone()),
                at: Timestamp::from_us(row.get("at")?),
                last: row.get("last")?,
                count: row.get("count")?,
                next: row.get("next")?,
            })
        })?;
    Ok(begun)
}

/// One chunk more is done of it.
pub(super) fn note(
    connection: &Connection,
    key: &str,
    count: u64,
    next: Option<u64>,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::note_replay
            update replay set count = count + ?2, next = ?3 where key = ?1",
        )?
        .execute((key, count, next))?;
    Ok(())
}
