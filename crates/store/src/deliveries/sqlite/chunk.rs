//! What is done to very many deliveries: in chunks, for sending goes on between them.

use super::super::{DeliveryFilter, Lane, State};
use super::filter::Walk;
use super::{line, rows};
use crate::Error;
use crate::sqlite::row::integer;
use domain::id::{ConversionId, DestinationId};
use domain::time::Timestamp;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// How many are sent once more, or cancelled, in one transaction.
const CHUNK: u64 = 1_000;

/// One chunk of what is to be sent once more, after `after`: how many, and where it ended.
pub(super) fn replay(
    connection: &mut Connection,
    filter: &DeliveryFilter,
    after: u64,
    now: Timestamp,
) -> Result<(u64, Option<u64>), Error> {
    let tx = connection.transaction()?;
    let also = format!(" and {} and id > {after}", rows::replayable(filter));
    let states = rows::replayable_states(filter);
    let (ids, next) = ids(&tx, filter, states, &also)?;
    let sql = format!(
        "-- deliveries::replay
        update delivery set state = 'waiting', lane = {lane}, due_at = {now}, attempts_past = attempts,
            is_replay = 1, settled_at = null, leased_until = null
        where id = ?1
        returning conversion_id, destination_id",
        lane = Lane::Past.number(),
        now = now.as_us()
    );
    let line = |row: &rusqlite::Row<'_>| {
        Ok((ConversionId(row.get("conversion_id")?), DestinationId(row.get("destination_id")?)))
    };
    let mut lines = Vec::with_capacity(ids.len());
    for id in ids {
        lines.extend(rows::all(&tx, &sql, &[integer(id).into()], line)?);
    }
    let count = lines.len() as u64;
    for (conversion, destination) in lines.into_iter().collect::<BTreeSet<_>>() {
        line::advance(&tx, conversion, destination, now)?;
    }
    tx.commit()?;
    Ok((count, next))
}

/// One chunk of what waits for a destination or is held, and is not under way. They are found in
/// their states, which hold none that was cancelled before.
pub(super) fn cancel(
    connection: &mut Connection,
    destination: DestinationId,
    now: Timestamp,
) -> Result<u64, Error> {
    let filter = DeliveryFilter { destination_id: Some(destination), ..DeliveryFilter::default() };
    let tx = connection.transaction()?;
    let states = [State::Waiting, State::Held];
    let (ids, _) = ids(&tx, &filter, &states, " and leased_until is null")?;
    for id in &ids {
        tx.prepare_cached(
            "-- deliveries::cancel
            update delivery set state = 'cancelled', settled_at = ?2 where id = ?1",
        )?
        .execute((integer(*id), now.as_us()))?;
    }
    tx.commit()?;
    Ok(ids.len() as u64)
}

/// The ids of a chunk, and where the next begins.
fn ids(
    connection: &Connection,
    filter: &DeliveryFilter,
    states: &[State],
    also: &str,
) -> Result<(Vec<u64>, Option<u64>), Error> {
    let (query, values) = Walk { filter, states, also, order: "asc", limit: CHUNK }.query();
    let sql = format!("-- deliveries::ids\n{query}");
    let ids = rows::all(connection, &sql, &values, |row| Ok(row.get::<_, u64>("id")?))?;
    let next = ids.last().copied().filter(|_| ids.len() as u64 == CHUNK);
    Ok((ids, next))
}
