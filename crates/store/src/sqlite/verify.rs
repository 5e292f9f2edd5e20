//! Checks the ledger against itself: the chain, and the invariants that finance lives by.
//!
//! Whoever may have damaged it is not trusted: everything is recomputed from the entries.

use super::{conversion, setup};
use crate::Error;
use crate::list::Fault;
use domain::conversion::{Status, may_change};
use domain::ledger::{Conversion, Entry, Home};
use domain::money::Micros;
use domain::setup::Setup;
use rusqlite::Connection;
use std::collections::HashMap;

/// How many faults are listed; what is this broken needs no more of them.
const FAULTS_MAX: usize = 1_000;

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
    let integrity: String =
        tx.query_row("-- verify::verify\npragma quick_check", [], |row| row.get(0))?;
    if integrity != "ok" {
        faults.add("ledger.db", integrity);
    }
    let setup = setup::load(&tx)?;
    let sums = entries(&tx, &mut faults)?;
    conversions(&tx, &setup, sums, &mut faults)?;
    verdicts(&tx, &mut faults)?;
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
}

/// Walks the chain from its beginning.
fn entries(connection: &Connection, faults: &mut Faults) -> Result<HashMap<u64, Sum>, Error> {
    let (journal_id, chain, count): ([u8; 16], [u8; 32], u64) = connection.query_row(
        "-- verify::entries
        select journal_id, chain, entries from state",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let mut previous = Entry::genesis(journal_id);
    let mut sums: HashMap<u64, Sum> = HashMap::new();
    let mut number = 0;
    let mut statement =
        connection.prepare("-- verify::entries\nselect * from entry order by number")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        number += 1;
        let stored: u64 = row.get("number")?;
        if stored != number {
            let detail = format!("it is missing: the next one is {stored}");
            faults.add(format!("entry {number}"), detail);
            number = stored;
        }
        let place = format!("entry {number}");
        let (entry, hash) = conversion::entry(row)?;
        if entry.hash(&previous) != hash {
            faults.add(&place, "its hash does not follow from it and the entry before it");
        }
        previous = hash;
        add(&mut sums, &entry, &place, faults);
    }
    if number != count {
        faults.add("state", format!("it counts {count} entries, and the last one is {number}"));
    }
    if previous != chain {
        faults.add("state", "its hash is not that of the last entry");
    }
    Ok(sums)
}

fn add(sums: &mut HashMap<u64, Sum>, entry: &Entry, place: &str, faults: &mut Faults) {
    let known = sums.get(&entry.conversion_id.0);
    if entry.from != known.map(|sum| sum.status) {
        faults.add(place, "it begins with another status than the one before it ended with");
    }
    if entry.from != Some(entry.to) && !may_change(entry.from, entry.to) {
        faults.add(place, "the status may not change like this");
    }
    let sequence = known.map_or(1, |sum| sum.sequence + 1);
    if entry.sequence != sequence {
        faults.add(place, format!("its sequence is {} and not {sequence}", entry.sequence));
    }
    let sum = sums.entry(entry.conversion_id.0).or_insert(Sum {
        sequence,
        status: entry.to,
        revenue: 0,
        payout: 0,
    });
    sum.sequence = entry.sequence;
    sum.status = entry.to;
    sum.revenue += i128::from(entry.revenue.0);
    sum.payout += i128::from(entry.payout.0);
}

fn conversions(
    connection: &Connection,
    setup: &Setup,
    mut sums: HashMap<u64, Sum>,
    faults: &mut Faults,
) -> Result<(), Error> {
    let mut statement =
        connection.prepare("-- verify::conversions\nselect * from conversion order by id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let conversion = conversion::read(row)?;
        let place = format!("conversion {}", conversion.id);
        match sums.remove(&conversion.id.0) {
            Some(sum) => against_entries(&conversion, &sum, &place, faults),
            None => faults.add(&place, "it has no entry"),
        }
        against_setup(&conversion, setup, &place, faults);
    }
    for id in sums.keys() {
        faults.add(format!("conversion {id}"), "it has entries and is not there");
    }
    Ok(())
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
    if conversion.key.home != Home::of(conversion.click_id) {
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

/// Each conversion was made by exactly one hit, and nothing stands beyond the position.
fn verdicts(connection: &Connection, faults: &mut Faults) -> Result<(), Error> {
    let checks = [
        (
            "select 'conversion ' || id from conversion where not exists (
                select 1 from verdict where position = created_by and conversion_id = id)",
            "the hit that made it says otherwise",
        ),
        (
            "select 'verdict ' || position from verdict v where verdict = 'recorded'
                and conversion_id is not null and not exists (
                select 1 from conversion c where c.id = v.conversion_id
                    and c.created_by = v.position)",
            "the conversion it recorded is not there, or another hit made it",
        ),
        (
            "select 'verdict ' || position from verdict
                where position >= (select position from state)",
            "it stands beyond the position that was applied",
        ),
        (
            "select 'command ' || position from command
                where position >= (select position from state)",
            "it stands beyond the position that was applied",
        ),
    ];
    for (sql, detail) in checks {
        let sql = format!("-- verify::verdicts\n{sql} limit {FAULTS_MAX}");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            faults.add(row.get::<_, String>(0)?, detail);
        }
    }
    Ok(())
}
