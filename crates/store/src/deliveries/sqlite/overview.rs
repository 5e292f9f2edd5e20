//! What is seen of the queue as a whole: how much waits, what is late, what a person decides on.
//!
//! Indexes are jumped through, one destination after the other, for what waits, has failed or is
//! held may be millions. Each is named: SQLite would take the one of all states, and read every row.

use super::super::{Figures, State, Undecided, Waiting};
use super::rows;
use crate::Error;
use crate::sqlite::row::word;
use domain::id::DestinationId;
use domain::time::Timestamp;
use rusqlite::Connection;

/// The destinations that have any in a state, as a table expression of that state's name with an
/// `id`, null at last. It jumps through the state's own index.
pub(super) fn destinations_of(state: State) -> String {
    let (name, index) = (state.name(), if state == State::Waiting { "due" } else { state.name() });
    format!(
        "{name} (id) as (
            select min(destination_id) from delivery indexed by delivery_{index}
            where state = '{name}'
            union all
            select (select min(destination_id) from delivery indexed by delivery_{index}
                where state = '{name}' and destination_id > {name}.id)
            from {name} where {name}.id is not null
        )"
    )
}

/// What is behind another one is not due, whatever its time. Every row of the index of what waits is looked at: 1,000,000 take 0.2 s.
pub(super) fn waiting(connection: &Connection, now: Timestamp) -> Result<Waiting, Error> {
    let waiting = connection
        .prepare_cached(
            "-- deliveries::waiting
            select count(*) as count, coalesce(sum(lane < 3 and due_at <= ?1), 0) as due
            from delivery indexed by delivery_due where state = 'waiting'",
        )?
        .query_row([now.as_us()], |row| {
            Ok(Waiting { count: row.get("count")?, due: row.get("due")? })
        })?;
    Ok(waiting)
}

pub(super) fn late(
    connection: &Connection,
    since: Timestamp,
) -> Result<Vec<(DestinationId, Timestamp)>, Error> {
    let destinations = destinations_of(State::Waiting);
    let sql = format!(
        "-- deliveries::late
        with recursive {destinations}, late (id, due_at) as (
            select id, (select min(due_at) from delivery indexed by delivery_due
                where state = 'waiting' and destination_id = waiting.id and lane = 0
                    and due_at < ?1)
            from waiting where id is not null and not exists (
                select 1 from destination
                where destination.id = waiting.id and paused_at is not null)
        )
        select id, due_at from late where due_at is not null"
    );
    rows::all(connection, &sql, &[since.as_us().into()], |row| {
        Ok((DestinationId(row.get("id")?), Timestamp::from_us(row.get("due_at")?)))
    })
}

pub(super) fn undecided(connection: &Connection) -> Result<Vec<Undecided>, Error> {
    let mut all = Vec::new();
    for (state, at) in [(State::Exhausted, "settled_at"), (State::Held, "at")] {
        let (name, destinations) = (state.name(), destinations_of(state));
        let sql = format!(
            "-- deliveries::undecided
            with recursive {destinations}
            select id, (select max({at}) from delivery indexed by delivery_{name}
                where state = '{name}' and destination_id = {name}.id) as last_at
            from {name} where id is not null"
        );
        all.extend(rows::all(connection, &sql, &[], |row| {
            Ok(Undecided {
                destination_id: DestinationId(row.get("id")?),
                state,
                last_at: Timestamp::from_us(row.get("last_at")?),
            })
        })?);
    }
    Ok(all)
}

/// How many there are is kept as they come and change. When the oldest is due is looked up in each
/// lane.
pub(super) fn figures(connection: &Connection, now: Timestamp) -> Result<Vec<Figures>, Error> {
    let oldest = [0, 1, 2].map(|lane| {
        format!(
            "select (select min(due_at) from delivery indexed by delivery_due
                where state = 'waiting' and destination_id = figure.destination_id
                    and lane = {lane} and due_at <= ?1) as due_at"
        )
    });
    let sql = format!(
        "-- deliveries::figures
        select destination_id, state, count,
            case when state = 'waiting' then (select min(due_at) from ({})) end as oldest_due_at
        from figure where count > 0 order by destination_id, state",
        oldest.join(" union all ")
    );
    rows::all(connection, &sql, &[now.as_us().into()], |row| {
        let oldest: Option<i64> = row.get("oldest_due_at")?;
        Ok(Figures {
            destination_id: DestinationId(row.get("destination_id")?),
            state: word(row, "state", State::from_name)?,
            count: row.get("count")?,
            oldest_due_at: oldest.map(Timestamp::from_us),
        })
    })
}
