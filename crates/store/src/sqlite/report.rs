//! Sums for a report: clicks from the facts, hits and conversions from their rows.
//!
//! The days of a query are asked one by one, each a range of an index that grows at its end, so
//! a day's bounds never depend on what the database thinks of time zones.

use super::row::integer;
use crate::Error;
use crate::facts::{self, Facts};
use domain::conversion::Status;
use domain::id::{CampaignId, PublisherId};
use domain::money::Micros;
use domain::report::{Answer, Dimension, GROUPS_MAX, Group, Query, Sums, Test, Total, Value};
use rusqlite::{Connection, Row};

pub(super) fn answer(
    connection: &mut Connection,
    facts: &Facts,
    query: &Query,
) -> Result<Answer, Error> {
    let mut answer = Answer::new();
    for (group, clicks) in facts.sum_clicks(query)? {
        answer.entry(group).or_default().clicks = clicks;
    }
    let tx = connection.transaction()?;
    let has_days = query.group_by.contains(&Dimension::Day);
    let days: Vec<(u32, i64, i64)> = if has_days {
        let bounds = query.day_bounds.windows(2).zip(0..);
        bounds.map(|(day, number)| (number, day[0].as_us(), day[1].as_us())).collect()
    } else {
        vec![(0, query.from().as_us(), query.to().as_us())]
    };
    for (day, from, to) in days {
        add_hits(&tx, query, day, (from, to), &mut answer)?;
        add_conversions(&tx, query, day, (from, to), &mut answer)?;
        add_events(&tx, query, day, (from, to), &mut answer)?;
    }
    Ok(answer)
}

/// What the row adds to.
fn sums<'a>(
    answer: &'a mut Answer,
    query: &Query,
    day: u32,
    row: &Row<'_>,
) -> Result<&'a mut Sums, Error> {
    let group = group(query, day, row)?;
    if answer.len() == GROUPS_MAX && !answer.contains_key(&group) {
        return Err(facts::Error::TooManyGroups.into());
    }
    Ok(answer.entry(group).or_default())
}

fn add_hits(
    connection: &Connection,
    query: &Query,
    day: u32,
    (from, to): (i64, i64),
    answer: &mut Answer,
) -> Result<(), Error> {
    let columns = columns(query);
    let sql = format!(
        "-- report::add_hits
        select {columns} count(*) as hits,
            sum(case when verdict = 'refused' then 1 else 0 end) as refused
        from verdict where at >= ?1 and at < ?2 and {} group by {}",
        conditions(query),
        group_columns(query),
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(parameters(query, from, to))?;
    while let Some(row) = rows.next()? {
        let sums = sums(answer, query, day, row)?;
        sums.hits += row.get::<_, u64>("hits")?;
        sums.refused += row.get::<_, u64>("refused")?;
    }
    Ok(())
}

fn add_conversions(
    connection: &Connection,
    query: &Query,
    day: u32,
    (from, to): (i64, i64),
    answer: &mut Answer,
) -> Result<(), Error> {
    let columns = columns(query);
    let sql = format!(
        "-- report::add_conversions
        select {columns} status, currency, count(*) as conversions,
            sum(paid_revenue >> 32) as revenue_high, sum(paid_revenue & 0xffffffff) as revenue_low,
            sum(paid_payout >> 32) as payout_high, sum(paid_payout & 0xffffffff) as payout_low
        from conversion where created_at >= ?1 and created_at < ?2 and {}
        group by {}, status, currency",
        conditions(query),
        group_columns(query),
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(parameters(query, from, to))?;
    while let Some(row) = rows.next()? {
        let sums = sums(answer, query, day, row)?;
        add_conversion_row(sums, row)?;
    }
    Ok(())
}

/// Each number counts when it was first told, as a conversion counts when it was made.
fn add_events(
    connection: &Connection,
    query: &Query,
    day: u32,
    (from, to): (i64, i64),
    answer: &mut Answer,
) -> Result<(), Error> {
    let sql = format!(
        "-- report::add_events
        select {} number, sum(value >> 32) as high, sum(value & 0xffffffff) as low
        from (select event_click.*, null as goal, number, value, first_at
            from event join event_click using (home, click_id))
        where first_at >= ?1 and first_at < ?2 and {} group by {}, number",
        columns(query),
        conditions(query),
        group_columns(query),
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(parameters(query, from, to))?;
    while let Some(row) = rows.next()? {
        let sums = sums(answer, query, day, row)?;
        let total = sums.events.entry(row.get("number")?).or_default();
        let (high, low): (i64, i64) = (row.get("high")?, row.get("low")?);
        *total = total.saturating_add(Total((i128::from(high) << 32) + i128::from(low)));
    }
    Ok(())
}

fn add_conversion_row(sums: &mut Sums, row: &Row<'_>) -> Result<(), Error> {
    let conversions: u64 = row.get("conversions")?;
    match super::row::word(row, "status", Status::from_name)? {
        Status::Pending => sums.pending += conversions,
        Status::Approved => sums.approved += conversions,
        Status::Rejected => sums.rejected += conversions,
        Status::Reversed => sums.reversed += conversions,
    }
    let currency = super::row::word(row, "currency", |code| code.parse().ok())?;
    let money = sums.money.entry(currency).or_default();
    money.revenue = add(money.revenue, row, "revenue", ["revenue_high", "revenue_low"])?;
    money.payout = add(money.payout, row, "payout", ["payout_high", "payout_low"])?;
    Ok(())
}

/// SQLite's sums fail where they leave 64 bits, so the halves of the amounts are summed apart.
fn add(sum: Micros, row: &Row<'_>, name: &str, [high, low]: [&str; 2]) -> Result<Micros, Error> {
    let (high, low): (i64, i64) = (row.get(high)?, row.get(low)?);
    let more = (i128::from(high) << 32) + i128::from(low);
    i64::try_from(more).ok().and_then(|more| sum.checked_add(Micros(more))).ok_or_else(|| {
        Error::TooLarge(format!("a sum of {name} is out of range: ask for fewer days"))
    })
}

/// The columns that stand for the query's dimensions, from a closed list.
fn dimension_columns(query: &Query) -> impl Iterator<Item = &'static str> {
    query.group_by.iter().filter_map(|dimension| match dimension {
        Dimension::Day => None,
        Dimension::Campaign => Some("campaign_id"),
        Dimension::Publisher => Some("publisher_id"),
        Dimension::Goal => Some("goal"),
        Dimension::Label(label) => Some(label.name()),
    })
}

fn columns(query: &Query) -> String {
    dimension_columns(query).flat_map(|column| [column, ", "]).collect()
}

fn group_columns(query: &Query) -> String {
    let columns: Vec<&str> = dimension_columns(query).collect();
    // A group by nothing is still one group, but none where there are no rows.
    if columns.is_empty() { "null".to_owned() } else { columns.join(", ") }
}

fn conditions(query: &Query) -> &'static str {
    match query.test {
        Test::Without => {
            "is_test = 0 and (?3 is null or campaign_id = ?3) and (?4 is null or publisher_id = ?4)"
        }
        Test::Only => {
            "is_test = 1 and (?3 is null or campaign_id = ?3) and (?4 is null or publisher_id = ?4)"
        }
        Test::With => "(?3 is null or campaign_id = ?3) and (?4 is null or publisher_id = ?4)",
    }
}

fn parameters(query: &Query, from: i64, to: i64) -> impl rusqlite::Params {
    let campaign_id = query.campaign_id.map(|id| integer(id.0.into()));
    let publisher_id = query.publisher_id.map(|id| integer(id.0.into()));
    rusqlite::params_from_iter([Some(from), Some(to), campaign_id, publisher_id])
}

fn group(query: &Query, day: u32, row: &Row<'_>) -> Result<Group, Error> {
    query
        .group_by
        .iter()
        .map(|dimension| {
            let none = Value::None;
            Ok(match dimension {
                Dimension::Day => Value::Day(day),
                Dimension::Campaign => row
                    .get::<_, Option<u32>>("campaign_id")?
                    .map_or(none, |id| Value::Campaign(CampaignId(id))),
                Dimension::Publisher => row
                    .get::<_, Option<u32>>("publisher_id")?
                    .map_or(none, |id| Value::Publisher(PublisherId(id))),
                Dimension::Goal => row.get::<_, Option<String>>("goal")?.map_or(none, Value::Text),
                Dimension::Label(label) => {
                    row.get::<_, Option<String>>(label.name())?.map_or(none, Value::Text)
                }
            })
        })
        .collect()
}
