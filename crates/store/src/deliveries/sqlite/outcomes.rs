//! How attempts have ended, by destination and hour: what a success rate is made of.

use super::super::{Attempt, Fate, Outcomes, Recent};
use super::rows;
use crate::Error;
use domain::destination::Next;
use domain::id::DestinationId;
use domain::time::Timestamp;
use rusqlite::{Connection, Row, named_params};
use std::collections::BTreeMap;

const HOUR_US: i64 = 3_600 * 1_000_000;
/// How long they are kept: a week to compare with, and the hours that are compared.
const KEPT_HOURS: i64 = 8 * 24;
const DAY_HOURS: i64 = 24;
const WEEK_HOURS: i64 = 7 * 24;

/// Whole hours since 1970.
fn hour(at: Timestamp) -> i64 {
    at.as_us().div_euclid(HOUR_US)
}

/// Counts attempts that have ended: one row for each destination and hour, however many they are.
pub(super) fn note(connection: &Connection, attempts: &[Attempt]) -> Result<(), Error> {
    let mut counted: BTreeMap<(i64, DestinationId), Outcomes> = BTreeMap::new();
    for attempt in attempts.iter().filter(|one| one.fate != Fate::Unmade) {
        let of = counted.entry((hour(attempt.at), attempt.destination_id)).or_default();
        of.attempts += 1;
        of.good += u64::from(matches!(attempt.next, Next::Delivered | Next::Unverified));
    }
    for ((hour, destination), Outcomes { attempts, good }) in &counted {
        connection
            .prepare_cached(
                "-- deliveries::note
                insert into outcome (hour, destination_id, attempts, good)
                values (:hour, :destination_id, :attempts, :good)
                on conflict do update set attempts = attempts + :attempts, good = good + :good",
            )?
            .execute(named_params! {
                ":hour": hour,
                ":destination_id": destination.0,
                ":attempts": attempts,
                ":good": good,
            })?;
    }
    if let Some(((last, _), _)) = counted.last_key_value() {
        connection
            .prepare_cached(
                "-- deliveries::note
                delete from outcome where hour <= ?1",
            )?
            .execute([last - KEPT_HOURS])?;
    }
    Ok(())
}

/// The same of every destination that anything was sent to, over the spans that end `now`.
pub(super) fn recent(
    connection: &Connection,
    now: Timestamp,
) -> Result<Vec<(DestinationId, Recent)>, Error> {
    let sql = format!(
        "-- deliveries::recent
        select destination_id, {}
        from outcome where hour > ?1 - {KEPT_HOURS}
        group by destination_id order by destination_id",
        spans()
    );
    rows::all(connection, &sql, &[hour(now).into()], |row| {
        Ok((DestinationId(row.get("destination_id")?), read(row)?))
    })
}

/// The same of one destination: an hour after the other is looked up, and nobody else's are read.
pub(super) fn recent_of(
    connection: &Connection,
    destination: DestinationId,
    now: Timestamp,
) -> Result<Recent, Error> {
    let sql = format!(
        "-- deliveries::recent_of
        with recursive kept (one) as (
            select ?1 - {KEPT_HOURS} + 1 union all select one + 1 from kept where one < ?1
        )
        select {} from kept cross join outcome
        where hour = kept.one and destination_id = ?2",
        spans()
    );
    let values = [hour(now).into(), destination.0.into()];
    let found = rows::all(connection, &sql, &values, read)?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// The sums of each span that ends in the hour `?1`.
fn spans() -> String {
    let sums = |name: &str, of: &str| {
        format!(
            "coalesce(sum(case when {of} then attempts else 0 end), 0) as {name}_attempts,
            coalesce(sum(case when {of} then good else 0 end), 0) as {name}_good"
        )
    };
    let all = [
        sums("hour", "hour >= ?1"),
        sums("before", "hour = ?1 - 1"),
        sums("day", &format!("hour > ?1 - {DAY_HOURS}")),
        sums("week", &format!("hour between ?1 - 1 - {WEEK_HOURS} and ?1 - 2")),
    ];
    all.join(", ")
}

fn read(row: &Row<'_>) -> Result<Recent, Error> {
    let of = |name: &str| -> Result<Outcomes, Error> {
        Ok(Outcomes {
            attempts: row.get(format!("{name}_attempts").as_str())?,
            good: row.get(format!("{name}_good").as_str())?,
        })
    };
    Ok(Recent {
        hour: of("hour")?,
        hour_before: of("before")?,
        day: of("day")?,
        week_before: of("week")?,
    })
}
