//! Deliveries in a SQLite file of their own, beside the ledger.
//!
//! One thread writes and one reads. `synchronous = normal`: a power cut never forgets that something
//! is owed. It may forget that something was sent in the last moments, which is then sent again under
//! the same key, or, where the conversion changed meanwhile, gives way to what is owed since.

mod chunk;
mod filter;
mod line;
mod once;
mod outcomes;
mod overview;
mod queue;
mod retention;
mod rows;
#[cfg(test)]
mod tests;

use super::{
    Attempt, Condition, Deliveries, Delivery, DeliveryFilter, Due, Figures, Incoming, Lane, Pause,
    PauseRule, Recent, Replayable, Replayed, StoredAttempt, Undecided, Waiting,
};
use crate::Error;
use crate::list::Page;
use crate::sqlite::threads::{Access, Threads};
use crate::sqlite::{connect, migrate};
use async_trait::async_trait;
use domain::command::Idempotency;
use domain::id::{DeliveryId, DestinationId};
use domain::time::Timestamp;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
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
    /// Opens the file at `path`, or makes it; `ends_at` is when the last record of the journal beside
    /// it was written. A file that is new, or a copy, holds all that changed by then: it may have
    /// been told.
    ///
    /// Nobody else has it open, so attempts that were under way have ended.
    pub fn open(path: &Path, journal_id: [u8; 16], ends_at: Timestamp) -> Result<Self, Error> {
        let at_rest = || {
            let mut connection = connect(path, CACHE_KIB)?;
            migrate::migrate(&mut connection, FILE, MIGRATIONS)?;
            begin(&connection, journal_id, ends_at)
        };
        at_rest().map_err(|error| error.of_file(FILE))?;
        let access = Access {
            cache_kib: CACHE_KIB,
            busy_timeout: BUSY_TIMEOUT,
            log_pages: None,
            erases: false,
        };
        let reader = Threads::start(path, "delivery-reader", 1, access)?;
        let access = Access { log_pages: Some(LOG_PAGES), erases: true, ..access };
        let writer = Threads::start(path, "delivery-writer", 1, access)?;
        Ok(Self { writer, reader })
    }
}

impl SqliteDeliveries {
    /// Goes on with a replay chunk by chunk: what it has done before, and after which delivery it goes
    /// on.
    async fn replay_all(
        &self,
        filter: &DeliveryFilter,
        under: Option<&Idempotency>,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let under = under.cloned();
        let begin = move |connection: &mut Connection| once::begin(connection, under.as_ref(), now);
        let mut begun = self.writer.ask(begin).await?;
        while begun.next.is_some() {
            let (filter, done) = (filter.clone(), begun.clone());
            let replay =
                move |connection: &mut Connection| chunk::replay(connection, &filter, &done, now);
            let (count, next) = self.writer.ask(replay).await?;
            (begun.count, begun.next) = (begun.count + count, next);
        }
        Ok(begun.count)
    }

    /// What is wrong with the file itself; nothing, where it is whole.
    pub async fn damages(&self) -> Result<Vec<String>, Error> {
        let check = |connection: &mut Connection| {
            let sql = "-- deliveries::damages
                select integrity_check as found from pragma_integrity_check";
            rows::all(connection, sql, &[], |row| Ok(row.get::<_, String>("found")?))
        };
        let found = self.reader.ask(check).await?;
        Ok(found.into_iter().filter(|line| line != "ok").collect())
    }
}

/// Binds a new file to its journal, and refuses another journal's.
fn begin(connection: &Connection, journal_id: [u8; 16], ends_at: Timestamp) -> Result<(), Error> {
    connection.execute(
        "-- deliveries::begin
        insert into state (id, journal_id, cursor) values (1, ?1, 0) on conflict do nothing",
        [journal_id],
    )?;
    let (own, newest): ([u8; 16], Option<i64>) = connection.query_row(
        "-- deliveries::begin
        select journal_id, (select coalesce(backfilled_at, at) from delivery
            order by id desc limit 1) as newest from state",
        [],
        |row| Ok((row.get("journal_id")?, row.get("newest")?)),
    )?;
    let detail = match own == journal_id {
        false => "it belongs to another journal than the one beside it",
        true if newest > Some(ends_at.as_us()) => "it is newer than the journal beside it",
        true => {
            connection.execute(
                "-- deliveries::begin
                update state set held_until = ?1 where held_until is null",
                [ends_at.as_us()],
            )?;
            return give_back(connection, ends_at);
        }
    };
    Err(Error::Corrupt { place: FILE.to_owned(), detail: detail.to_owned() })
}

/// Whoever had something under way is gone.
fn give_back(connection: &Connection, now: Timestamp) -> Result<(), Error> {
    let sql = "-- deliveries::give_back
        select id, conversion_id, destination_id from delivery
        where state = 'waiting' and leased_until is not null";
    let under_way = rows::all(connection, sql, &[], |row| {
        Ok((DeliveryId(row.get("id")?), queue::line_of(row)?))
    })?;
    let tx = connection.unchecked_transaction()?;
    for (id, line) in under_way {
        queue::unheard(&tx, id, line, now)?;
    }
    Ok(tx.commit()?)
}

/// Copies the file, while it is in use, to one that is not there yet. What waits is held in the
/// copy: it may be sent while there is one.
pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    copy_held(from, to).map_err(|error| error.of_file(FILE))
}

fn copy_held(from: &Path, to: &Path) -> Result<(), Error> {
    crate::sqlite::copy(from, to)?;
    let copied = Connection::open(to)?;
    // So that it is one file.
    copied.pragma_update(None, "journal_mode", "delete")?;
    copied.execute_batch(
        "-- deliveries::copy
        begin;
        update delivery set state = 'held', leased_until = null, may_have_arrived = 1
        where state = 'waiting';
        update state set held_until = null;
        commit;",
    )?;
    Ok(())
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
        let due = |connection: &mut Connection| {
            chunk::put_back_some(connection)?;
            queue::due(connection)
        };
        self.writer.ask(due).await
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

    async fn probe(
        &self,
        destination: DestinationId,
        times: (Timestamp, Timestamp),
    ) -> Result<Option<Delivery>, Error> {
        self.writer.ask(move |connection| queue::probe(connection, destination, times)).await
    }

    async fn settle(
        &self,
        attempts: Arc<[Attempt]>,
        rule: PauseRule,
    ) -> Result<Vec<DestinationId>, Error> {
        self.writer.ask(move |connection| queue::settle(connection, &attempts, rule)).await
    }

    async fn give_back(
        &self,
        id: DeliveryId,
        number: u32,
        unheard: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let give_back = move |connection: &mut Connection| {
            queue::give_back(connection, id, number, unheard, now)
        };
        self.writer.ask(give_back).await
    }

    async fn find(&self, id: DeliveryId) -> Result<Option<(Delivery, Vec<StoredAttempt>)>, Error> {
        self.reader.ask(move |connection| rows::find(connection, id)).await
    }

    async fn list(&self, filter: &DeliveryFilter) -> Result<Page<Delivery>, Error> {
        let filter = filter.clone();
        self.reader.ask(move |connection| rows::list(connection, &filter)).await
    }

    async fn count_replayable(&self, filter: &DeliveryFilter) -> Result<Replayable, Error> {
        let filter = filter.clone();
        self.reader.ask(move |connection| rows::count_replayable(connection, &filter)).await
    }

    async fn replay(&self, filter: &DeliveryFilter, now: Timestamp) -> Result<u64, Error> {
        self.replay_all(filter, None, now).await
    }

    async fn replay_once(
        &self,
        filter: &DeliveryFilter,
        under: &Idempotency,
        now: Timestamp,
    ) -> Result<u64, Error> {
        self.replay_all(filter, Some(under), now).await
    }

    async fn replayed(&self, key: &str) -> Result<Option<Replayed>, Error> {
        let key = key.to_owned();
        self.writer.ask(move |connection| once::replayed(connection, &key)).await
    }

    async fn cancel(&self, destination: DestinationId, now: Timestamp) -> Result<u64, Error> {
        self.writer.ask(move |connection| chunk::cancel(connection, destination, now)).await
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
        self.reader.ask(move |connection| overview::figures(connection, now)).await
    }

    async fn recent(&self, now: Timestamp) -> Result<Vec<(DestinationId, Recent)>, Error> {
        self.reader.ask(move |connection| outcomes::recent(connection, now)).await
    }

    async fn recent_of(&self, destination: DestinationId, now: Timestamp) -> Result<Recent, Error> {
        let recent =
            move |connection: &mut Connection| outcomes::recent_of(connection, destination, now);
        self.reader.ask(recent).await
    }

    async fn waiting(&self, now: Timestamp) -> Result<Waiting, Error> {
        self.reader.ask(move |connection| overview::waiting(connection, now)).await
    }

    async fn late(&self, since: Timestamp) -> Result<Vec<(DestinationId, Timestamp)>, Error> {
        self.reader.ask(move |connection| overview::late(connection, since)).await
    }

    async fn undecided(&self) -> Result<Vec<Undecided>, Error> {
        self.reader.ask(|connection| overview::undecided(connection)).await
    }

    async fn remove_personal_before(&self, before: Timestamp) -> Result<u64, Error> {
        let mut all = 0;
        loop {
            let remove = move |connection: &mut Connection| {
                retention::remove_personal_before(connection, before)
            };
            match self.writer.ask(remove).await? {
                0 => return Ok(all),
                count => all += count,
            }
        }
    }
}
