//! Checks the ledger against itself: the chain, and the invariants that finance lives by.
//!
//! Whoever may have damaged it is not trusted: everything is recomputed from the entries. A row
//! that does not read is a fault of its own, and hides no other.

use super::{FILE, conversion, setup};
use crate::Error;
use crate::list::Fault;
use domain::conversion::{Status, may_change};
use domain::ledger::{Conversion, Entry};
use domain::money::Micros;
use domain::setup::Setup;
use rusqlite::{Connection, Params, Row, named_params};

/// How many faults are listed; what is this broken needs no more of them.
const FAULTS_MAX: usize = 1_000;

/// Rows that refer to what is not there, or say otherwise: how they are found, and the fault.
const ORPHANS: [(&str, &str); 11] = [
    (
        "select distinct 'conversion ' || conversion_id as place from entry
            where not exists (select 1 from conversion c
                where c.id = conversion_id and c.home = entry.home)
            order by conversion_id",
        "it has entries and is not there",
    ),
    (
        "select 'conversion ' || id as place from conversion where not exists (
            select 1 from verdict where position = created_by and conversion_id = id)
            order by id",
        "the hit that made it says otherwise",
    ),
    (
        "select 'verdict ' || position as place from verdict v where verdict = 'recorded'
            and conversion_id is not null and not exists (
            select 1 from conversion c where c.id = v.conversion_id
                and c.created_by = v.position)
            order by position",
        "the conversion it recorded is not there, or another hit made it",
    ),
    (
        "select 'conversion ' || id as place from conversion where triaged is not null
            and status not in ('pending', 'rejected') order by id",
        "it counts without the transaction id that it should have",
    ),
    (
        "select 'conversion ' || id as place from conversion m where merged_into is not null
            and (status <> 'rejected' or not exists (
            select 1 from conversion c
                where c.id = m.merged_into and c.click_id = m.click_id))
            order by id",
        "it was merged, and counts, or stands for another click",
    ),
    (
        "select 'delivery ' || id as place from delivery d where not exists (
            select 1 from entry e where e.home = d.home and e.conversion_id = d.conversion_id
                and e.sequence = d.sequence and e.to_status = d.status)
            order by id",
        "the entry that it tells of is not there, or says otherwise",
    ),
    (
        "select 'delivery ' || id as place from delivery d where id > 1 and not exists (
            select 1 from delivery before where before.id = d.id - 1)
            order by id",
        "the one before it is not there",
    ),
    (
        "select 'delivery ' || id as place from delivery where backfilled_at is not null
            and (backfilled_at < at or backfilled_at not in (
                select at from command where act = 'backfill_destination'))
            order by id",
        "nobody asked for it then",
    ),
    (
        "select 'event ' || hex(click_id) || ' ' || number as place from event
            where not exists (select 1 from event_click c
                where c.home = event.home and c.click_id = event.click_id)
            order by click_id, number",
        "the click it was told of is not there",
    ),
    (
        "select 'verdict ' || position as place from verdict
            where position >= (select position from state) order by position",
        "it stands beyond the position that was applied",
    ),
    (
        "select 'command ' || position as place from command
            where position >= (select position from state) order by position",
        "it stands beyond the position that was applied",
    ),
];

/// What the entries of one conversion add up to.
struct Sum {
    sequence: u32,
    status: Status,
    revenue: i128,
    payout: i128,
}

pub(super) fn verify(connection: &mut Connection) -> Result<Vec<Fault>, Error> {
    let tx = connection.transaction()?;
    let mut faults = Faults::default();
    // Indexes too, for what is decided is found through them.
    let sql = format!("-- verify::verify\npragma integrity_check({FAULTS_MAX})");
    each_row(&tx, &sql, [], &mut faults, |row, faults| {
        let said: String = row.get("integrity_check")?;
        if said != "ok" {
            faults.add(FILE, said);
        }
        Ok(())
    })?;
    let setup = faults.unless("setup", setup::load(&tx, None))?;
    chain(&tx, &mut faults)?;
    conversions(&tx, setup.as_ref(), &mut faults)?;
    orphans(&tx, &mut faults)?;
    Ok(faults.0)
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(Fault { place: place.into(), detail: detail.into() });
        }
    }

    /// What was read, unless that is what is wrong with the place.
    fn unless<T>(&mut self, place: &str, read: Result<T, Error>) -> Result<Option<T>, Error> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(Error::Corrupt { detail, .. }) => {
                self.add(place, detail);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Looks at each row. Where SQLite cannot go on, that is a fault, and the rows end.
fn each_row(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    faults: &mut Faults,
    mut look: impl FnMut(&Row<'_>, &mut Faults) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = faults.unless(FILE, rows.next().map_err(Error::from))?.flatten() {
        look(row, faults)?;
    }
    Ok(())
}

/// Walks the chain from its beginning.
fn chain(connection: &Connection, faults: &mut Faults) -> Result<(), Error> {
    let state = connection.query_row(
        "-- verify::chain
        select journal_id, chain, entries from state",
        [],
        |row| Ok((row.get("journal_id")?, row.get("chain")?, row.get("entries")?)),
    );
    let state: Option<([u8; 16], [u8; 32], u64)> =
        faults.unless("state", state.map_err(Error::from))?;
    let Some((journal_id, last, count)) = state else { return Ok(()) };
    let mut previous = Entry::genesis(journal_id);
    let mut number = 0;
    let sql = "-- verify::chain\nselect * from entry order by number";
    each_row(connection, sql, [], faults, |row, faults| {
        number += 1;
        let stored: u64 = row.get("number")?;
        if stored != number {
            let detail = format!("it is missing: the next one is {stored}");
            faults.add(format!("entry {number}"), detail);
            number = stored;
        }
        let place = format!("entry {number}");
        let Some((entry, hash)) = faults.unless(&place, conversion::entry(row))? else {
            // The chain goes on behind it, if its hash can still be read.
            previous = row.get("hash").unwrap_or(previous);
            return Ok(());
        };
        if entry.hash(&previous) != hash {
            faults.add(&place, "its hash does not follow from it and the entry before it");
        }
        previous = hash;
        Ok(())
    })?;
    if number != count {
        faults.add("state", format!("it counts {count} entries, and the last one is {number}"));
    }
    if previous != last {
        faults.add("state", "its hash is not that of the last entry");
    }
    Ok(())
}

/// What the entries of a conversion add up to; `None` where there are none.
fn sum(
    connection: &Connection,
    conversion: &Conversion,
    faults: &mut Faults,
) -> Result<Option<Sum>, Error> {
    let mut sum: Option<Sum> = None;
    let sql = "-- verify::sum
        select * from entry where home = :home and conversion_id = :id order by sequence";
    let of_it = named_params! { ":home": conversion.key.home.0, ":id": conversion.id.0 };
    each_row(connection, sql, of_it, faults, |row, faults| {
        let number: u64 = row.get("number")?;
        // Where it does not read, that stands in the list already.
        let Ok((entry, _)) = conversion::entry(row) else { return Ok(()) };
        add(&mut sum, &entry, &format!("entry {number}"), faults);
        Ok(())
    })?;
    Ok(sum)
}

fn add(sum: &mut Option<Sum>, entry: &Entry, place: &str, faults: &mut Faults) {
    let known = sum.as_ref();
    if entry.from != known.map(|sum| sum.status) {
        faults.add(place, "it begins with another status than the one before it ended with");
    }
    if entry.from != Some(entry.to) && !may_change(entry.from, entry.to) {
        faults.add(place, "the status may not change like this");
    }
    let sequence = known.map_or(1, |sum| sum.sequence.saturating_add(1));
    if entry.sequence != sequence {
        faults.add(place, format!("its sequence is {} and not {sequence}", entry.sequence));
    }
    let (revenue, payout) = known.map_or((0, 0), |sum| (sum.revenue, sum.payout));
    *sum = Some(Sum {
        sequence: entry.sequence,
        status: entry.to,
        revenue: revenue + i128::from(entry.revenue.0),
        payout: payout + i128::from(entry.payout.0),
    });
}

/// `setup` is `None` where it does not read.
fn conversions(
    connection: &Connection,
    setup: Option<&Setup>,
    faults: &mut Faults,
) -> Result<(), Error> {
    let sql = "-- verify::conversions\nselect * from conversion order by id";
    each_row(connection, sql, [], faults, |row, faults| {
        let place = format!("conversion {}", row.get::<_, i64>("id")?);
        let Some(conversion) = faults.unless(&place, conversion::read(row))? else {
            return Ok(());
        };
        match sum(connection, &conversion, faults)? {
            Some(sum) => against_entries(&conversion, &sum, &place, faults),
            None => faults.add(&place, "it has no entry"),
        }
        if let Some(setup) = setup {
            against_setup(&conversion, setup, &place, faults);
        }
        Ok(())
    })
}

fn against_entries(conversion: &Conversion, sum: &Sum, place: &str, faults: &mut Faults) {
    if (conversion.status, conversion.sequence) != (sum.status, sum.sequence) {
        faults.add(place, "status and sequence are not those of its last entry");
    }
    let paid = (i128::from(conversion.paid_revenue.0), i128::from(conversion.paid_payout.0));
    if paid != (sum.revenue, sum.payout) {
        faults.add(place, "what is paid is not the sum of its entries");
    }
    let owed = if conversion.status.is_paid() {
        (conversion.revenue, conversion.payout)
    } else {
        (Micros::ZERO, Micros::ZERO)
    };
    if owed != (conversion.paid_revenue, conversion.paid_payout) {
        faults.add(place, "what is paid is not what its status says is owed");
    }
}

/// Exactly one click, link, campaign and publisher, and they belong together.
fn against_setup(conversion: &Conversion, setup: &Setup, place: &str, faults: &mut Faults) {
    if !conversion.key.is_at_home(conversion.click_id) {
        faults.add(place, "its home is not its click's");
    }
    if conversion.click_id.link() != conversion.link_id {
        faults.add(place, "its link is not its click's");
    }
    let link = setup.link(conversion.link_id);
    let belongs = link.is_some_and(|link| {
        link.campaign_id == conversion.campaign_id && link.publisher_id == conversion.publisher_id
    });
    if !belongs {
        faults.add(place, "its link is not of its campaign and publisher");
    }
    if setup.campaign(conversion.campaign_id).is_none() {
        faults.add(place, "its campaign is not there");
    }
}

/// Each entry has its conversion, each conversion was made by exactly one hit, and nothing stands
/// beyond the position.
fn orphans(connection: &Connection, faults: &mut Faults) -> Result<(), Error> {
    for (sql, detail) in ORPHANS {
        let sql = format!("-- verify::orphans\n{sql} limit {FAULTS_MAX}");
        each_row(connection, &sql, [], faults, |row, faults| {
            faults.add(row.get::<_, String>("place")?, detail);
            Ok(())
        })?;
    }
    Ok(())
}
