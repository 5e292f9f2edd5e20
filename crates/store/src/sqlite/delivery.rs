//! What destinations are owed: one row for each thing, only ever added.

use super::row::{integer, word};
use crate::Error;
use crate::list::StoredOwed;
use domain::conversion::Status;
use domain::destination::{Owed, OwedKind};
use domain::id::{ConversionId, DeliveryId, DestinationId};
use domain::ledger::Home;
use domain::money::Micros;
use domain::time::Timestamp;
use rusqlite::{Connection, Row, named_params};

/// The last one.
pub(super) fn last(connection: &Connection) -> Result<DeliveryId, Error> {
    let id = connection
        .prepare_cached(
            "-- delivery::last
            select coalesce(max(id), 0) from delivery",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(DeliveryId(id))
}

pub(super) fn add(
    connection: &Connection,
    id: DeliveryId,
    home: Home,
    owed: &Owed,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- delivery::add
            insert into delivery (id, home, conversion_id, sequence, destination_id, kind, status,
                payout, difference, full_payout, full_difference, revenue, at, backfilled_at)
            values (:id, :home, :conversion_id, :sequence, :destination_id, :kind, :status,
                :payout, :difference, :full_payout, :full_difference, :revenue, :at,
                :backfilled_at)",
        )?
        .execute(named_params! {
            ":id": id.0,
            ":home": home.0,
            ":conversion_id": owed.conversion_id.0,
            ":sequence": owed.sequence,
            ":destination_id": owed.destination_id.0,
            ":kind": owed.kind.name(),
            ":status": owed.status.name(),
            ":payout": owed.payout.0,
            ":difference": owed.difference.0,
            ":full_payout": owed.full_payout.0,
            ":full_difference": owed.full_difference.0,
            ":revenue": owed.revenue.0,
            ":at": owed.at.as_us(),
            ":backfilled_at": owed.backfilled_at.map(Timestamp::as_us),
        })?;
    Ok(())
}

/// All that was ever owed about a conversion, oldest first.
pub(super) fn of_conversion(
    connection: &Connection,
    home: Home,
    id: ConversionId,
) -> Result<Vec<Owed>, Error> {
    let mut statement = connection.prepare_cached(
        "-- delivery::of_conversion
        select * from delivery where home = :home and conversion_id = :id
        order by sequence, destination_id",
    )?;
    let mut rows = statement.query(named_params! { ":home": home.0, ":id": id.0 })?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// What came to be owed after `after`, oldest first.
pub(super) fn after(
    connection: &Connection,
    after: DeliveryId,
    limit: u32,
) -> Result<Vec<StoredOwed>, Error> {
    let mut statement = connection.prepare_cached(
        "-- delivery::after
        select * from delivery where id > :after order by id limit :limit",
    )?;
    let after = integer(after.0);
    let mut rows = statement.query(named_params! { ":after": after, ":limit": limit })?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(StoredOwed { id: DeliveryId(row.get("id")?), owed: read(row)? });
    }
    Ok(all)
}

/// What is owed, from any row that has its columns.
pub(crate) fn read(row: &Row<'_>) -> Result<Owed, Error> {
    Ok(Owed {
        destination_id: DestinationId(row.get("destination_id")?),
        conversion_id: ConversionId(row.get("conversion_id")?),
        sequence: row.get("sequence")?,
        kind: word(row, "kind", OwedKind::from_name)?,
        status: word(row, "status", Status::from_name)?,
        payout: Micros(row.get("payout")?),
        difference: Micros(row.get("difference")?),
        full_payout: Micros(row.get("full_payout")?),
        full_difference: Micros(row.get("full_difference")?),
        revenue: Micros(row.get("revenue")?),
        at: Timestamp::from_us(row.get("at")?),
        backfilled_at: row.get::<_, Option<i64>>("backfilled_at")?.map(Timestamp::from_us),
    })
}
