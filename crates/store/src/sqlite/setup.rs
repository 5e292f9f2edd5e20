//! The setup's versions: one row each, only ever added.

use crate::Error;
use domain::id::Position;
use domain::secret::SecretsKey;
use domain::setup::{Change, Setup};
use domain::time::Timestamp;
use rusqlite::{Connection, named_params};

/// Without a `key` secrets stay encrypted.
pub(super) fn load(connection: &Connection, key: Option<&SecretsKey>) -> Result<Setup, Error> {
    let mut setup = Setup::default();
    let mut statement = connection.prepare(
        "-- setup::load
        select number, since, body from setup order by number",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get("number")?;
        let body = row.get_ref("body")?.as_str().map_err(rusqlite::Error::from)?;
        let change: Change = serde_json::from_str(body).map_err(|error| Error::Corrupt {
            place: format!("setup {number}"),
            detail: error.to_string(),
        })?;
        setup.put(Timestamp::from_us(row.get("since")?), change);
    }
    if let Some(key) = key {
        setup.decrypt_secrets(key).map_err(|place| Error::WrongKey { place })?;
    }
    Ok(setup)
}

pub(super) fn add(
    connection: &Connection,
    since: Timestamp,
    position: Position,
    change: &Change,
) -> Result<(), Error> {
    let body = serde_json::to_string(change).expect("a change is plain data");
    connection
        .prepare_cached(
            "-- setup::add
            insert into setup (noun, id, since, position, body)
            values (:noun, :id, :since, :position, :body)",
        )?
        .execute(named_params! {
            ":noun": change.noun(),
            ":id": change.id(),
            ":since": since.as_us(),
            ":position": position.0,
            ":body": body,
        })?;
    Ok(())
}
