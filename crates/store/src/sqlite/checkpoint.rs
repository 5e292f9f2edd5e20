//! Copies the write-ahead log into the ledger's file, and lets the log begin anew.
//!
//! SQLite begins the log anew only when all of it is copied while nobody writes, which under load
//! is never: the log would grow for ever, and every page of it would be one the file system has
//! to find room for. So the bulk is copied beside the writer, and only the last pages while it
//! is held up.

use crate::Error;
use rusqlite::Connection;
use std::time::Duration;

/// How many pages of 4 KiB the log has before it begins anew: 64 MiB.
pub(super) const LOG_PAGES_MAX: u64 = 16 * 1024;
/// How much of the log's file is kept to be written over, where a burst has made it longer.
pub(super) const LOG_KEPT_BYTES: i64 = 256 * 1024 * 1024;
/// How many pages may be left to copy while the writer is held up.
const TAIL_PAGES_MAX: u64 = 1_024;
/// How often the copying beside the writer is repeated until no more than that is left.
const PASSES_MAX: usize = 4;
/// How long the writer is held up by a question that still reads the log.
pub(super) const RESTART_WITHIN: Duration = Duration::from_millis(20);
/// How often it is looked whether a question has let go of the log, and the pause in between.
const SETTLE_TRIES: usize = 250;
const SETTLE_EVERY: Duration = Duration::from_millis(20);

/// The log as one pass found it and left it, in pages.
struct Pass {
    length: u64,
    copied: u64,
}

/// Copies what there is, and lets a log of more than `pages_max` begin anew, for which `hold` keeps
/// the writer out for [`RESTART_WITHIN`]: the connection's timeout. Where a question is in the way,
/// the next checkpoint tries again.
pub(super) fn checkpoint<H>(
    connection: &Connection,
    pages_max: u64,
    hold: impl FnOnce() -> H,
) -> Result<(), Error> {
    let mut pass = copy(connection)?;
    if pass.length <= pages_max {
        return Ok(());
    }
    for _ in 1..PASSES_MAX {
        let before = pass.copied;
        pass = copy(connection)?;
        if pass.copied.saturating_sub(before) <= TAIL_PAGES_MAX {
            break;
        }
    }
    if pass.length.saturating_sub(pass.copied) > TAIL_PAGES_MAX {
        return Ok(());
    }
    let held = hold();
    connection.query_row(
        "-- checkpoint::checkpoint
        pragma wal_checkpoint(restart)",
        [],
        |_| Ok(()),
    )?;
    drop(held);
    Ok(())
}

/// Copies all that the log has now, and syncs it. Only questions are waited for.
pub(super) fn checkpoint_fully(connection: &Connection) -> Result<(), Error> {
    let first = copy(connection)?;
    let mut pass = Pass { ..first };
    for _ in 0..SETTLE_TRIES {
        // A log that has begun anew was copied whole before.
        if pass.copied >= first.length || pass.length < first.length {
            return Ok(());
        }
        // SQLite tells nobody when a question lets go of the log. This is a thread of its own.
        std::thread::sleep(SETTLE_EVERY);
        pass = copy(connection)?;
    }
    Err(Error::Unavailable("a question holds the write-ahead log".to_owned()))
}

/// One pass beside readers and the writer; it waits for neither.
fn copy(connection: &Connection) -> Result<Pass, Error> {
    let (length, copied): (i64, i64) = connection.query_row(
        "-- checkpoint::copy
        pragma wal_checkpoint(passive)",
        [],
        |row| Ok((row.get("log")?, row.get("checkpointed")?)),
    )?;
    match (u64::try_from(length), u64::try_from(copied)) {
        (Ok(length), Ok(copied)) => Ok(Pass { length, copied }),
        // SQLite says -1 where it could not begin.
        _ => Err(Error::Unavailable("another process copies the write-ahead log".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{READER_CACHE_KIB, connect};
    use super::*;
    use std::path::Path;

    /// A writer that is always in the middle of a transaction when a checkpoint begins.
    struct Busy {
        writer: Connection,
        checkpoints: Connection,
    }

    impl Busy {
        fn new(path: &Path) -> Self {
            let writer = connect(path, READER_CACHE_KIB).unwrap();
            writer.execute_batch("create table t (v blob) strict; begin immediate").unwrap();
            Self { writer, checkpoints: connect(path, READER_CACHE_KIB).unwrap() }
        }

        /// Some ten pages more.
        fn write(&self) {
            self.writer.execute_batch("insert into t values (zeroblob(40000))").unwrap();
        }

        /// The writer commits when it is asked to stand back, and goes on afterwards.
        fn checkpoint(&self) {
            checkpoint(&self.checkpoints, 100, || self.commit()).unwrap();
            if !self.writer.is_autocommit() {
                self.commit();
            }
            self.writer.execute_batch("begin immediate").unwrap();
        }

        fn commit(&self) {
            self.writer.execute_batch("commit").unwrap();
        }
    }

    fn log_bytes(path: &Path) -> u64 {
        std::fs::metadata(path.with_extension("db-wal")).unwrap().len()
    }

    #[test]
    fn the_log_stays_short_however_busy_the_writer_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let busy = Busy::new(&path);
        for _ in 0..200 {
            busy.write();
            busy.checkpoint();
        }
        let bytes = log_bytes(&path);
        assert!(bytes < 2 * 100 * 4_096, "{bytes} bytes of log after 2,000 pages");
    }

    #[test]
    fn a_question_that_reads_the_log_puts_it_off_to_the_next_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let busy = Busy::new(&path);
        busy.commit();
        let reader = connect(&path, READER_CACHE_KIB).unwrap();
        let ask = "begin; select count(*) from t";
        reader.execute_batch(ask).unwrap();
        for _ in 0..150 {
            busy.writer.execute_batch("begin immediate").unwrap();
            busy.write();
            busy.commit();
        }
        checkpoint(&busy.checkpoints, 100, || panic!("the writer is not held up")).unwrap();
        assert!(copy(&busy.checkpoints).unwrap().copied < 10, "the question needs the log");
        reader.execute_batch("commit").unwrap();
        checkpoint_fully(&busy.checkpoints).unwrap();
        let pass = copy(&busy.checkpoints).unwrap();
        assert_eq!(pass.copied, pass.length);
    }
}
