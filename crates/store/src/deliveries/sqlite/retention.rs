//! What is removed of attempts when it is old: URLs hold addresses and user agents, and answers
//! may repeat them. That there was an attempt, when, and what it has led to stays.

use crate::Error;
use domain::time::Timestamp;
use rusqlite::Connection;

/// Of how many attempts in one transaction: sending goes on between them.
const CHUNK: u32 = 1_000;

/// One chunk, the oldest first; how many there were.
pub(super) fn remove_personal_before(
    connection: &Connection,
    before: Timestamp,
) -> Result<u64, Error> {
    let removed = connection
        .prepare_cached(
            "-- deliveries::remove_personal_before
            update attempt set url = null, answer = null
            where (delivery_id, number) in (
                select delivery_id, number from attempt indexed by attempt_personal
                where url is not null and at < ?1 order by at limit ?2)",
        )?
        .execute((before.as_us(), CHUNK))?;
    Ok(removed as u64)
}
