//! The events of clicks: one row for each click, and one for each of its numbers.

use super::row::{LABEL_COLUMNS, LABELS, labels, marks};
use crate::Error;
use domain::click::Label;
use domain::click_id::ClickId;
use domain::id::{CampaignId, LinkId, PublisherId};
use domain::ledger::{ClickEvents, Event, Home};
use domain::money::Micros;
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params_from_iter};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The events of a click, where any were told.
pub(super) fn of_click(
    connection: &Connection,
    click_id: ClickId,
) -> Result<Option<ClickEvents>, Error> {
    let home = Home::of(click_id).0;
    let by_click = named_params! { ":home": home, ":click_id": click_id.to_bytes() };
    let found = connection
        .prepare_cached(
            "-- event::of_click
            select * from event_click where home = :home and click_id = :click_id",
        )?
        .query_row(by_click, |row| Ok(read(row, click_id)))
        .optional()?
        .transpose()?;
    let Some(mut found) = found else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "-- event::of_click
        select * from event where home = :home and click_id = :click_id",
    )?;
    let mut rows = statement.query(by_click)?;
    while let Some(row) = rows.next()? {
        let event = Event {
            value: Micros(row.get("value")?),
            first_at: Timestamp::from_us(row.get("first_at")?),
            changed_at: Timestamp::from_us(row.get("changed_at")?),
        };
        found.events.insert(row.get("number")?, event);
    }
    Ok(Some(found))
}

fn read(row: &Row<'_>, click_id: ClickId) -> Result<ClickEvents, Error> {
    let seen: Vec<u8> = row.get("seen")?;
    let (seen, rest) = seen.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Error::Corrupt {
            place: "event_click".to_owned(),
            detail: "`seen` is not made of eight bytes each".to_owned(),
        });
    }
    Ok(ClickEvents {
        click_id,
        campaign_id: CampaignId(row.get("campaign_id")?),
        publisher_id: PublisherId(row.get("publisher_id")?),
        link_id: LinkId(row.get("link_id")?),
        is_test: row.get("is_test")?,
        labels: labels(row)?,
        events: BTreeMap::new(),
        seen: seen.to_vec(),
    })
}

/// How many columns there are beside the labels.
const OWN: usize = 7;
static SAVE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "-- event::save
        insert into event_click (home, click_id, campaign_id, publisher_id, link_id, is_test, seen,
            {LABEL_COLUMNS})
        values ({}) on conflict do update set seen = excluded.seen",
        marks(OWN + LABELS)
    )
});

/// Writes what a postback has changed.
pub(super) fn save(connection: &Connection, new: &ClickEvents) -> Result<(), Error> {
    let (home, click_id) = (Home::of(new.click_id).0, new.click_id.to_bytes());
    let seen = new.seen.concat();
    let labels = Label::ALL.map(|label| new.labels.get(label));
    let values: [&dyn ToSql; OWN] = [
        &home,
        &click_id,
        &new.campaign_id.0,
        &new.publisher_id.0,
        &new.link_id.0,
        &new.is_test,
        &seen,
    ];
    let values = values.into_iter().chain(labels.iter().map(|label| label as &dyn ToSql));
    connection.prepare_cached(&SAVE)?.execute(params_from_iter(values))?;
    let mut statement = connection.prepare_cached(
        "-- event::save
        insert into event (home, click_id, number, value, first_at, changed_at)
        values (:home, :click_id, :number, :value, :first_at, :changed_at)
        on conflict do update set value = excluded.value, changed_at = excluded.changed_at
            where value <> excluded.value or changed_at <> excluded.changed_at",
    )?;
    for (number, event) in &new.events {
        statement.execute(named_params! {
            ":home": home,
            ":click_id": click_id,
            ":number": number,
            ":value": event.value.0,
            ":first_at": event.first_at.as_us(),
            ":changed_at": event.changed_at.as_us(),
        })?;
    }
    Ok(())
}
