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

/// How many it has had sent once more before, and after which delivery it goes on, if it does.
pub(super) fn begin(
    connection: &Connection,
    under: &Idempotency,
    now: Timestamp,
) -> Result<(u64, Option<u64>), Error> {
    connection
        .prepare_cached(
            "-- deliveries::begin_replay
            insert into replay (key, request, count, at, next) values (?1, ?2, 0, ?3, 0)
            on conflict do nothing",
        )?
        .execute((&under.key, &under.request, now.as_us()))?;
    let begun = connection
        .prepare_cached(
            "-- deliveries::begin_replay
            select count, next from replay where key = ?1",
        )?
        .query_row([&under.key], |row| Ok((row.get("count")?, row.get("next")?)))?;
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
