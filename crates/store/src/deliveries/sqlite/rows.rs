//! Rows of deliveries, attempts and destinations, as they are read and asked for.

use super::super::{
    Condition, Delivery, DeliveryFilter, Pause, PausedBy, Replayable, State, StoredAttempt,
};
use super::filter::{Walk, conditions, narrowest};
use crate::Error;
use crate::list::{PAGE_ROWS_MAX, Page};
use crate::sqlite::delivery as owed;
use crate::sqlite::row::{integer, word};
use domain::destination::Hearing;
use domain::id::{DeliveryId, DestinationId};
use domain::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

pub(super) fn delivery(row: &Row<'_>) -> Result<Delivery, Error> {
    let time = |us: Option<i64>| us.map(Timestamp::from_us);
    Ok(Delivery {
        id: DeliveryId(row.get("id")?),
        owed: owed::read(row)?,
        state: word(row, "state", State::from_name)?,
        due_at: Timestamp::from_us(row.get("due_at")?),
        attempts: row.get("attempts")?,
        attempts_past: row.get("attempts_past")?,
        leased_until: time(row.get("leased_until")?),
        settled_at: time(row.get("settled_at")?),
        is_replay: row.get("is_replay")?,
        may_have_arrived: row.get("may_have_arrived")?,
        hearing: Hearing {
            corrections: row.get("hears_corrections")?,
            withdrawals: row.get("hears_withdrawals")?,
        },
    })
}

/// Every row of a query, read.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

pub(super) fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
) -> Result<Page<Delivery>, Error> {
    let limit = filter.limit.min(PAGE_ROWS_MAX);
    let (sql, values) = list_query(filter, limit);
    let mut items = all(connection, &sql, &values, delivery)?;
    let has_more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| has_more).map(|last| last.id.0);
    Ok(Page { items, next })
}

/// Finds the ids within an index, and reads only the rows that are shown.
pub(super) fn list_query(filter: &DeliveryFilter, limit: u32) -> (String, Vec<Value>) {
    let limit = u64::from(limit) + 1;
    let walk = Walk { filter, states: &State::ALL, also: "", order: "desc", limit };
    let (ids, values) = walk.query();
    let sql = format!(
        "-- deliveries::list
        select * from delivery where id in ({ids}) order by id desc"
    );
    (sql, values)
}

/// Which states a replay by that filter is of. What is held is released by asking for it, or with
/// the rest of its conversion.
pub(super) fn replayable_states(filter: &DeliveryFilter) -> &'static [State] {
    match (filter.state, filter.conversion_id) {
        (Some(State::Held), _) => &[State::Held],
        (None, Some(_)) => {
            &[State::Held, State::Delivered, State::Unverified, State::Rejected, State::Exhausted]
        }
        _ => &[State::Delivered, State::Unverified, State::Rejected, State::Exhausted],
    }
}

/// The same as a condition.
fn states(filter: &DeliveryFilter) -> String {
    let names = replayable_states(filter).iter().map(|state| format!("'{}'", state.name()));
    format!("state in ({})", names.collect::<Vec<_>>().join(", "))
}

/// Which of a filter's deliveries are sent once more.
///
/// What may have arrived: where it says what stands, or something that does is sent behind it. For
/// the last that the receiver hears must be so. What is under way may be heard before.
///
/// What has not: where it says what stands, and nothing came into its place. For what was owed later
/// was told as if this had never been.
pub(super) fn replayable(filter: &DeliveryFilter) -> String {
    let (conditions, _) = conditions(filter);
    let conditions = conditions.trim_start_matches("where ");
    let states = states(filter);
    let stands = |row: &str| {
        format!(
            "({row}.status, {row}.payout, {row}.full_payout, {row}.kind = 'withdrawal') =
                (select last.status, last.payout, last.full_payout, last.kind = 'withdrawal'
                from delivery last
                where last.conversion_id = delivery.conversion_id
                    and last.destination_id = delivery.destination_id
                order by last.sequence desc limit 1)"
        )
    };
    let has_its_place = |row: &str| {
        format!(
            "not exists (select 1 from delivery other
                where other.conversion_id = delivery.conversion_id
                    and other.destination_id = delivery.destination_id
                    and other.sequence > {row}.sequence and other.state <> 'cancelled')"
        )
    };
    // Names without a table are of the later one.
    format!(
        "{states} and case when delivery.may_have_arrived then exists (
                select 1 from delivery later
                where later.conversion_id = delivery.conversion_id
                    and later.destination_id = delivery.destination_id
                    and later.sequence >= delivery.sequence
                    and {later_stands}
                    and (later.state = 'waiting' and later.leased_until is null
                        or ({conditions}) and {states}
                            and (later.may_have_arrived or {later_has_its_place})))
            else {stands} and {has_its_place} end",
        later_stands = stands("later"),
        later_has_its_place = has_its_place("later"),
        stands = stands("delivery"),
        has_its_place = has_its_place("delivery"),
    )
}

pub(super) fn count_replayable(
    connection: &Connection,
    filter: &DeliveryFilter,
) -> Result<Replayable, Error> {
    let (sql, values) = count_query(filter);
    Ok(connection.query_row(&sql, params_from_iter(values), |row| {
        let (found, count): (u64, u64) = (row.get("found")?, row.get("count")?);
        Ok(Replayable { count, overtaken: found - count })
    })?)
}

pub(super) fn count_query(filter: &DeliveryFilter) -> (String, Vec<Value>) {
    let index = narrowest(filter);
    let (conditions, values) = index.conditions(filter);
    let (states, replayable, source) = (states(filter), replayable(filter), index.source());
    let sql = format!(
        "-- deliveries::count_replayable
        select count(*) as found, coalesce(sum({replayable}), 0) as count
        from delivery {source} {conditions} and {states}"
    );
    (sql, values)
}

pub(super) fn find(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<(Delivery, Vec<StoredAttempt>)>, Error> {
    let tx = connection.unchecked_transaction()?;
    let found = tx
        .prepare_cached(
            "-- deliveries::find
            select * from delivery where id = ?1",
        )?
        .query_row([integer(id.0)], |row| Ok(delivery(row)))
        .optional()?
        .transpose()?;
    let Some(found) = found else { return Ok(None) };
    let sql = "-- deliveries::find
        select * from attempt where delivery_id = ?1 order by number";
    Ok(Some((found, all(&tx, sql, &[integer(id.0).into()], attempt)?)))
}

fn attempt(row: &Row<'_>) -> Result<StoredAttempt, Error> {
    Ok(StoredAttempt {
        number: row.get("number")?,
        at: Timestamp::from_us(row.get("at")?),
        latency_ms: row.get("latency_ms")?,
        method: row.get("method")?,
        url: row.get("url")?,
        http_status: row.get("http_status")?,
        answer: row.get("answer")?,
        error: row.get("error")?,
        led_to: row.get("led_to")?,
        is_replay: row.get("is_replay")?,
    })
}

pub(super) fn conditions_of_all(
    connection: &Connection,
) -> Result<Vec<(DestinationId, Condition)>, Error> {
    let sql = "-- deliveries::conditions
        select * from destination order by id";
    all(connection, sql, &[], |row| {
        let time = |us: Option<i64>| us.map(Timestamp::from_us);
        let pause = match time(row.get("paused_at")?) {
            None => None,
            Some(at) => Some(Pause {
                at,
                by: word(row, "paused_by", PausedBy::from_name)?,
                why: row.get("paused_why")?,
                probe_at: time(row.get("probe_at")?),
            }),
        };
        let condition = Condition {
            failures: row.get("failures")?,
            last_good_at: time(row.get("last_good_at")?),
            pause,
        };
        Ok((DestinationId(row.get("id")?), condition))
    })
}
