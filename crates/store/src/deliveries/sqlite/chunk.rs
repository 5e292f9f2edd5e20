//! What is done to very many deliveries: in chunks, for sending goes on between them.

use super::super::{DeliveryFilter, Lane};
use super::{line, once, rows};
use crate::Error;
use domain::id::{ConversionId, DestinationId};
use domain::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeSet;

/// How many are sent once more, or cancelled, in one transaction.
const CHUNK: u64 = 1_000;

/// One chunk of what is to be sent once more, after `after`: how many, and where it ended. Under a
/// key that is noted with it.
pub(super) fn replay(
    connection: &mut Connection,
    filter: &DeliveryFilter,
    key: Option<&str>,
    after: u64,
    now: Timestamp,
) -> Result<(u64, Option<u64>), Error> {
    let (conditions, values) = rows::conditions(filter);
    let conditions = format!("{conditions} and {}", rows::replayable(filter));
    let tx = connection.transaction()?;
    let note = |count, next| key.map_or(Ok(()), |key| once::note(&tx, key, count, next));
    let Some((first, last, next)) = ids(&tx, &conditions, &values, after)? else {
        note(0, None)?;
        tx.commit()?;
        return Ok((0, None));
    };
    let sql = format!(
        "-- deliveries::replay
        update delivery set state = 'waiting', lane = {lane}, due_at = {now}, attempts_past = attempts,
            is_replay = 1, settled_at = null, leased_until = null
        {conditions} and id between {first} and {last}
        returning conversion_id, destination_id",
        lane = Lane::Past.number(),
        now = now.as_us()
    );
    let line = |row: &rusqlite::Row<'_>| {
        Ok((ConversionId(row.get("conversion_id")?), DestinationId(row.get("destination_id")?)))
    };
    let lines = rows::all(&tx, &sql, &values, line)?;
    let count = lines.len() as u64;
    for (conversion, destination) in lines.into_iter().collect::<BTreeSet<_>>() {
        line::advance(&tx, conversion, destination, now)?;
    }
    note(count, next)?;
    tx.commit()?;
    Ok((count, next))
}

/// One chunk of what waits for a destination, and is not under way.
pub(super) fn cancel(
    connection: &mut Connection,
    destination: DestinationId,
    now: Timestamp,
) -> Result<u64, Error> {
    let filter = DeliveryFilter { destination_id: Some(destination), ..DeliveryFilter::default() };
    let (conditions, values) = rows::conditions(&filter);
    let conditions =
        format!("{conditions} and state in ('waiting', 'held') and leased_until is null");
    let tx = connection.transaction()?;
    let Some((first, last, _)) = ids(&tx, &conditions, &values, 0)? else { return Ok(0) };
    let sql = format!(
        "-- deliveries::cancel
        update delivery set state = 'cancelled', settled_at = {}
        {conditions} and id between {first} and {last}",
        now.as_us()
    );
    let count = tx.execute(&sql, params_from_iter(values))?;
    tx.commit()?;
    Ok(count as u64)
}

/// The first and the last of a chunk, and where the next begins.
fn ids(
    connection: &Connection,
    conditions: &str,
    values: &[Value],
    after: u64,
) -> Result<Option<(u64, u64, Option<u64>)>, Error> {
    let sql = format!(
        "-- deliveries::ids
        select id from delivery {conditions} and id > {after} order by id limit {CHUNK}"
    );
    let ids = rows::all(connection, &sql, values, |row| Ok(row.get::<_, u64>("id")?))?;
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(None) };
    let is_full = ids.len() as u64 == CHUNK;
    Ok(Some((*first, *last, is_full.then_some(*last))))
}
