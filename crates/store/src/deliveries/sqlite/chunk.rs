//! What is done to very many deliveries: in chunks, for sending goes on between them.

use super::super::{DeliveryFilter, Lane, State};
use super::filter::{self, Walk};
use super::once::{self, Begun};
use super::{line, queue, rows};
use crate::Error;
use crate::sqlite::row::integer;
use domain::id::DestinationId;
use domain::time::Timestamp;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// How many are sent once more, cancelled or put back in one transaction.
pub(super) const CHUNK: u64 = 1_000;
/// How many are looked at in one transaction of a replay.
const SPAN: u64 = 50_000;
/// How many are put back for each destination, where many were resumed at once: as many as can be
/// under way to it.
const SHARE_MIN: u64 = 100;

/// One chunk of a replay: how many, and where the next one begins.
pub(super) fn replay(
    connection: &mut Connection,
    filter: &DeliveryFilter,
    begun: &Begun,
    now: Timestamp,
) -> Result<(u64, Option<u64>), Error> {
    let Some(after) = begun.next else { return Ok((0, None)) };
    let before = filter.before.map_or(begun.last + 1, |before| before.min(begun.last + 1));
    let filter = &DeliveryFilter { before: Some(before), ..filter.clone() };
    let tx = connection.transaction()?;
    let is_narrow = filter.id.is_some() || filter.conversion_id.is_some();
    let until = if is_narrow { begun.last } else { begun.last.min(after + SPAN) };
    let replayable = rows::replayable(filter);
    let also = format!(
        " and {replayable} and id > {after} and id <= {until} and not exists (
            select 1 from delivery twin
            where twin.conversion_id = delivery.conversion_id
                and twin.destination_id = delivery.destination_id and twin.replayed_at = {at})",
        at = begun.at.as_us()
    );
    let (ids, next) = ids(&tx, filter, rows::replayable_states(filter), &also)?;
    let next = next.or((until < begun.last).then_some(until));
    let mut lines = BTreeSet::new();
    for id in ids {
        let sql = "-- deliveries::replay
            select conversion_id, destination_id from delivery where id = ?1";
        lines.extend(rows::all(&tx, sql, &[integer(id).into()], queue::line_of)?);
    }
    let (conditions, values) = filter::conditions(filter);
    let (conversion, destination) = (values.len() + 1, values.len() + 2);
    let of_line = format!(
        "-- deliveries::replay
        select id from delivery indexed by delivery_conversion
        {conditions} and conversion_id = ?{conversion} and destination_id = ?{destination}
            and {replayable}"
    );
    let mut count: u64 = 0;
    for (conversion, destination) in lines {
        // All of one line at once: were it cut, what stands might not be the last that is heard.
        let line = [integer(conversion.0).into(), destination.0.into()];
        let values = [&values[..], &line].concat();
        for id in rows::all(&tx, &of_line, &values, |row| Ok(row.get::<_, i64>("id")?))? {
            count += tx
                .prepare_cached(
                    "-- deliveries::replay
                    update delivery set state = 'waiting', lane = ?2, due_at = ?3,
                        attempts_past = attempts, is_replay = 1, replayed_at = ?4,
                        settled_at = null, leased_until = null
                    where id = ?1",
                )?
                .execute((id, Lane::Past.number(), now.as_us(), begun.at.as_us()))?
                as u64;
        }
        line::advance(&tx, conversion, destination, now)?;
    }
    if let Some(key) = &begun.key {
        once::note(&tx, key, count, next)?;
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

/// One chunk of what was tried before destinations were resumed. What is cut short goes on from
/// where it was, so before anything of a chunk is sent all that is older is in its place.
pub(super) fn put_back_some(connection: &mut Connection) -> Result<(), Error> {
    let sql = "-- deliveries::put_back_some
        select id from destination indexed by destination_resumed where resumed_to is not null";
    let resumed = rows::all(connection, sql, &[], |row| Ok(DestinationId(row.get("id")?)))?;
    if resumed.is_empty() {
        return Ok(());
    }
    let share = (CHUNK / resumed.len() as u64).max(SHARE_MIN);
    let tx = connection.transaction()?;
    for destination in resumed {
        put_back(&tx, destination, share)?;
    }
    tx.commit()?;
    Ok(())
}

/// The same of one destination: at most so many of what waits are looked at.
pub(super) fn put_back(
    connection: &Connection,
    destination: DestinationId,
    limit: u64,
) -> Result<(), Error> {
    let sql = "-- deliveries::put_back
        select id, lane = ?2 as is_again from delivery indexed by delivery_destination
        where destination_id = ?1 and state = 'waiting'
            and id > (select resumed_to from destination where id = ?1)
        order by id limit ?3";
    let values = [destination.0.into(), Lane::Again.number().into(), integer(limit).into()];
    let waiting = rows::all(connection, sql, &values, |row| {
        Ok((row.get::<_, u64>("id")?, row.get::<_, bool>("is_again")?))
    })?;
    for (id, _) in waiting.iter().filter(|(_, is_again)| *is_again) {
        connection
            .prepare_cached(
                "-- deliveries::put_back
                update delivery set lane = ?2, due_at = min(due_at, at) where id = ?1",
            )?
            .execute((integer(*id), Lane::First.number()))?;
    }
    let last = waiting.last().filter(|_| waiting.len() as u64 == limit);
    connection
        .prepare_cached(
            "-- deliveries::put_back
            update destination set resumed_to = ?2 where id = ?1",
        )?
        .execute((destination.0, last.map(|(id, _)| integer(*id))))?;
    Ok(())
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
