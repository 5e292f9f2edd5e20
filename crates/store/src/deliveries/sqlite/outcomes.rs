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
    let sums = |name: &str, of: &str| {
        format!(
            "sum(case when {of} then attempts else 0 end) as {name}_attempts,
            sum(case when {of} then good else 0 end) as {name}_good"
        )
    };
    let sql = format!(
        "-- deliveries::recent
        select destination_id, {}, {}, {}, {}
        from outcome where hour > ?1 - {KEPT_HOURS}
        group by destination_id order by destination_id",
        sums("hour", "hour >= ?1"),
        sums("before", "hour = ?1 - 1"),
        sums("day", &format!("hour > ?1 - {DAY_HOURS}")),
        sums("week", &format!("hour between ?1 - 1 - {WEEK_HOURS} and ?1 - 2")),
    );
    let of = |row: &Row<'_>, name: &str| -> Result<Outcomes, Error> {
        Ok(Outcomes {
            attempts: row.get(format!("{name}_attempts").as_str())?,
            good: row.get(format!("{name}_good").as_str())?,
        })
    };
    rows::all(connection, &sql, &[hour(now).into()], |row| {
        let recent = Recent {
            hour: of(row, "hour")?,
            hour_before: of(row, "before")?,
            day: of(row, "day")?,
            week_before: of(row, "week")?,
        };
        Ok((DestinationId(row.get("destination_id")?), recent))
    })
}
