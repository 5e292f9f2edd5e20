//! Commands with their outcomes: the audit trail. Secrets in it are masked.

use super::row::integer;
use crate::Error;
use crate::list::StoredCommand;
use domain::command::{Command, Outcome};
use domain::id::Position;
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

pub(super) fn add(
    connection: &Connection,
    position: Position,
    at: Timestamp,
    command: &Command,
    outcome: &Outcome,
) -> Result<(), Error> {
    let masked = command.masked();
    let body = serde_json::to_string(&masked).expect("a command is plain data");
    let outcome = serde_json::to_string(outcome).expect("an outcome is plain data");
    // A key that was used with another request keeps its first command.
    let idempotency = command.idempotency.as_ref();
    connection
        .prepare_cached(
            "-- command::add
            insert into command (position, at, actor, act, body, idempotency_key, request, outcome)
            values (:position, :at, :actor, :act, :body,
                case when exists (select 1 from command
                    where actor = :actor and idempotency_key = :key) then null else :key end,
                :request, :outcome)",
        )?
        .execute(named_params! {
            ":position": position.0,
            ":at": at.as_us(),
            ":actor": command.actor,
            ":act": command.act.name(),
            ":body": body,
            ":key": idempotency.map(|one| &one.key),
            ":request": idempotency.map(|one| &one.request),
            ":outcome": outcome,
        })?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    position: Position,
) -> Result<Option<StoredCommand>, Error> {
    connection
        .prepare_cached(
            "-- command::find
            select position, at, body, outcome from command where position = ?1",
        )?
        .query_row([integer(position.0)], |row| Ok(stored(row)))
        .optional()?
        .transpose()
}

/// The first command that had the key.
pub(super) fn by_key(
    connection: &Connection,
    actor: &str,
    key: &str,
) -> Result<Option<StoredCommand>, Error> {
    connection
        .prepare_cached(
            "-- command::by_key
            select position, at, body, outcome from command
            where actor = :actor and idempotency_key = :key",
        )?
        .query_row(named_params! { ":actor": actor, ":key": key }, |row| Ok(stored(row)))
        .optional()?
        .transpose()
}

fn stored(row: &Row<'_>) -> Result<StoredCommand, Error> {
    let position = Position(row.get("position")?);
    let corrupt = |error: serde_json::Error| Error::Corrupt {
        place: format!("command {position}"),
        detail: error.to_string(),
    };
    let body: String = row.get("body")?;
    let outcome: String = row.get("outcome")?;
    Ok(StoredCommand {
        position,
        at: Timestamp::from_us(row.get("at")?),
        command: serde_json::from_str(&body).map_err(corrupt)?,
        outcome: serde_json::from_str(&outcome).map_err(corrupt)?,
    })
}
