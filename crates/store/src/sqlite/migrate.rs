//! Brings a file's schema up to this release's: numbered steps, each one transaction.
//!
//! A step that was applied is never edited: its checksum is stored and compared. A file that a
//! later release has touched is refused rather than misread.

use crate::Error;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

/// Every step of the ledger, in order: name and SQL.
pub const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_ledger", include_str!("../../migrations/sqlite/0001_ledger.sql")),
    ("0002_answers", include_str!("../../migrations/sqlite/0002_answers.sql")),
    ("0003_agreements", include_str!("../../migrations/sqlite/0003_agreements.sql")),
    ("0004_deliveries", include_str!("../../migrations/sqlite/0004_deliveries.sql")),
];

/// The number of this release's schema.
pub const SCHEMA: usize = MIGRATIONS.len();

/// Brings a ledger up to this release.
pub(super) fn ledger(connection: &mut Connection) -> Result<(), Error> {
    migrate(connection, super::FILE, MIGRATIONS)
}

/// `steps` are those of `file`, in order: name and SQL.
pub(crate) fn migrate(
    connection: &mut Connection,
    file: &str,
    steps: &[(&str, &str)],
) -> Result<(), Error> {
    connection.execute_batch(
        "-- migrate::migrate
        create table if not exists migration (
            number   integer primary key,
            name     text not null,
            checksum blob not null
        ) strict;",
    )?;
    let applied: usize = connection.query_row(
        "-- migrate::migrate
        select coalesce(max(number), 0) from migration",
        [],
        |row| row.get(0),
    )?;
    let known = steps.len();
    if applied > known {
        return Err(Error::Newer(format!(
            "{file} has schema {applied} and this release knows {known}: \
             start the release that wrote it, or a later one"
        )));
    }
    for (place, (name, sql)) in steps.iter().enumerate() {
        step(connection, file, place + 1, name, sql)?;
    }
    Ok(())
}

fn step(
    connection: &mut Connection,
    file: &str,
    number: usize,
    name: &str,
    sql: &str,
) -> Result<(), Error> {
    let checksum: [u8; 32] = Sha256::digest(sql).into();
    let tx = connection.transaction()?;
    let applied: Option<[u8; 32]> = tx
        .query_row(
            "-- migrate::step
            select checksum from migration where number = ?1",
            [number],
            |row| row.get(0),
        )
        .optional()?;
    match applied {
        Some(applied) if applied == checksum => return Ok(()),
        Some(_) => {
            return Err(Error::Corrupt {
                place: file.to_owned(),
                detail: format!("its schema step {name} is not the one of this release"),
            });
        }
        None => {}
    }
    tx.execute_batch(sql)?;
    tx.execute(
        "-- migrate::step
        insert into migration (number, name, checksum) values (?1, ?2, ?3)",
        (number, name, checksum),
    )?;
    tx.commit()?;
    Ok(())
}
