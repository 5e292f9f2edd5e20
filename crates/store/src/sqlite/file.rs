//! The ledger as a file: what can be had from it without opening a store, and without changing
//! anything in it.

use super::BUSY_TIMEOUT;
use crate::Error;
use domain::id::Position;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::Path;

/// The position that the ledger at `path` was saved with; `None` where there is no ledger yet.
pub fn saved_position(path: &Path) -> Result<Option<Position>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = open(path)?;
    let has_state: bool = connection.query_row(
        "-- file::saved_position
        select exists (select 1 from sqlite_schema where name = 'state')",
        [],
        |row| row.get(0),
    )?;
    if !has_state {
        return Ok(None);
    }
    let position = connection
        .query_row(
            "-- file::saved_position
            select position from state",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(position.map(Position))
}

/// Writes a consistent copy of the ledger at `from` to `to`, which must not exist. A server may
/// have it open, of this release or another.
pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let Some(to) = to.to_str() else {
        return Err(Error::Unavailable(format!("{} is not UTF-8", to.display())));
    };
    open(from)?.execute("-- file::copy\nvacuum into ?1", [to])?;
    Ok(())
}

/// A connection that cannot write.
fn open(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}
