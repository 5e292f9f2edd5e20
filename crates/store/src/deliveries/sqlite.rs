//! Deliveries in a SQLite file of their own, beside the ledger.
//!
//! One thread writes and one reads. `synchronous = normal`: a power cut may forget that something
//! was sent, which is then sent again under the same key, and never that it is owed.

mod queue;
mod rows;
#[cfg(test)]
mod tests;

use super::{
    Attempt, Condition, Deliveries, Delivery, DeliveryFilter, Due, Figures, Incoming, Lane, Pause,
    PauseRule, StoredAttempt,
};
use crate::Error;
use crate::list::Page;
use crate::sqlite::threads::{Access, Threads};
use crate::sqlite::{connect, migrate};
use async_trait::async_trait;
use domain::id::{DeliveryId, DestinationId};
use domain::time::Timestamp;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// Every step of the schema, in order: name and SQL.
const MIGRATIONS: &[(&str, &str)] =
    &[("0001_deliveries", include_str!("../../migrations/deliveries/0001_deliveries.sql"))];
/// The page cache of each connection, in KiB.
const CACHE_KIB: i64 = 8 * 1024;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// After how many pages the write-ahead log is copied into the file.
const LOG_PAGES: u32 = 4_000;

/// The file's name in the data directory.
const FILE: &str = "deliveries.db";

/// Deliveries in one file.
pub struct SqliteDeliveries {
    writer: Threads,
    reader: Threads,
}

impl SqliteDeliveries {
    /// Opens the file at `path`, or makes it; `owed` is the last that the ledger has. A file that is
    /// new holds all up to there: it may have been sent.
    pub fn open(path: &Path, journal_id: [u8; 16], owed: DeliveryId) -> Result<Self, Error> {
        let mut connection = connect(path, CACHE_KIB)?;
        migrate::migrate(&mut connection, FILE, MIGRATIONS)?;
        begin(&connection, journal_id, owed)?;
        drop(connection);
        let access = Access { cache_kib: CACHE_KIB, busy_timeout: BUSY_TIMEOUT, log_pages: None };
        let reader = Threads::start(path, "delivery-reader", 1, access)?;
        let access = Access { log_pages: Some(LOG_PAGES), ..access };
        let writer = Threads::start(path, "delivery-writer", 1, access)?;
        Ok(Self { writer, reader })
    }
}

/// Binds a new file to its journal, and refuses another journal's.
fn begin(connection: &Connection, journal_id: [u8; 16], owed: DeliveryId) -> Result<(), Error> {
    connection.execute(
        "-- deliveries::begin
        insert into state (id, journal_id, cursor, held_to) values (1, ?1, 0, ?2)
        on conflict do nothing",
        (journal_id, owed.0),
    )?;
    let (own, cursor): ([u8; 16], u64) = connection.query_row(
        "-- deliveries::begin
        select journal_id, cursor from state",
        [],
        |row| Ok((row.get("journal_id")?, row.get("cursor")?)),
    )?;
    let detail = match own == journal_id {
        false => "it belongs to another journal than the one beside it",
        true if cursor > owed.0 => "it is newer than the ledger beside it",
        true => return Ok(()),
    };
    Err(Error::Corrupt { place: FILE.to_owned(), detail: detail.to_owned() })
}

#[async_trait]
impl Deliveries for SqliteDeliveries {
    async fn cursor(&self) -> Result<DeliveryId, Error> {
        self.writer.ask(|connection| queue::cursor(connection)).await
    }

    async fn take_over(&self, incoming: Vec<Incoming>) -> Result<(), Error> {
        self.writer.ask(move |connection| queue::take_over(connection, &incoming)).await
    }

    async fn due(&self) -> Result<Vec<Due>, Error> {
        self.writer.ask(|connection| queue::due(connection)).await
    }

    async fn lease(
        &self,
        destination: DestinationId,
        lane: Lane,
        limit: u32,
        times: (Timestamp, Timestamp),
    ) -> Result<Vec<Delivery>, Error> {
        let lease = move |connection: &mut Connection| {
            queue::lease(connection, destination, lane, limit, times)
        };
        self.writer.ask(lease).await
    }

    async fn settle(
        &self,
        attempts: Vec<Attempt>,
        rule: PauseRule,
    ) -> Result<Vec<DestinationId>, Error> {
        self.writer.ask(move |connection| queue::settle(connection, &attempts, rule)).await
    }

    async fn find(&self, id: DeliveryId) -> Result<Option<(Delivery, Vec<StoredAttempt>)>, Error> {
        self.reader.ask(move |connection| rows::find(connection, id)).await
    }

    async fn list(&self, filter: &DeliveryFilter) -> Result<Page<Delivery>, Error> {
        let filter = filter.clone();
        self.reader.ask(move |connection| rows::list(connection, &filter)).await
    }

    async fn count_replayable(&self, filter: &DeliveryFilter) -> Result<u64, Error> {
        let filter = filter.clone();
        self.reader.ask(move |connection| rows::count_replayable(connection, &filter)).await
    }

    async fn replay(&self, filter: &DeliveryFilter, now: Timestamp) -> Result<u64, Error> {
        let (mut after, mut all) = (Some(0), 0);
        while let Some(from) = after {
            let filter = filter.clone();
            let replay =
                move |connection: &mut Connection| queue::replay(connection, &filter, from, now);
            let (count, next) = self.writer.ask(replay).await?;
            (all, after) = (all + count, next);
        }
        Ok(all)
    }

    async fn cancel(&self, destination: DestinationId, now: Timestamp) -> Result<u64, Error> {
        let (mut after, mut all) = (Some(0), 0);
        while let Some(from) = after {
            let cancel = move |connection: &mut Connection| {
                queue::cancel(connection, destination, from, now)
            };
            let (count, next) = self.writer.ask(cancel).await?;
            (all, after) = (all + count, next);
        }
        Ok(all)
    }

    async fn pause(&self, destination: DestinationId, pause: Pause) -> Result<(), Error> {
        self.writer.ask(move |connection| queue::pause(connection, destination, &pause)).await
    }

    async fn resume(&self, destination: DestinationId) -> Result<(), Error> {
        self.writer.ask(move |connection| queue::resume(connection, destination)).await
    }

    async fn conditions(&self) -> Result<Vec<(DestinationId, Condition)>, Error> {
        // Sending asks for it all the time, and waits for no list.
        self.writer.ask(|connection| rows::conditions_of_all(connection)).await
    }

    async fn figures(&self, now: Timestamp) -> Result<Vec<Figures>, Error> {
        self.reader.ask(move |connection| rows::figures(connection, now)).await
    }
}
