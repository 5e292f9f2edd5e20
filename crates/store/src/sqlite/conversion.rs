//! Conversions and their entries: load by key, save with an effect, list.

use super::row::{LABEL_COLUMNS, LABELS, click_id, integer, labels, marks, optional_word, word};
use super::walk::{self, Walk};
use crate::Error;
use crate::list::{ConversionFilter, Page, StoredEntry};
use domain::click::Label;
use domain::click_id::ClickId;
use domain::conversion::Status;
use domain::id::{CampaignId, ConversionId, IntegrationId, LinkId, Position, PublisherId};
use domain::ledger::{
    Cause, ContractRef, Conversion, Entry, Home, Key, Missing, Read, WAITING_MAX,
};
use domain::money::Micros;
use domain::reason::Flags;
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params_from_iter};
use std::sync::LazyLock;

/// The conversion that a postback is about, where it is there already.
pub(super) fn of(connection: &Connection, read: &Read<'_>) -> Result<Option<Conversion>, Error> {
    for key in read.keys() {
        if let Some(found) = by_key(connection, key)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The conversion with that key, or that had it in triage.
pub(super) fn by_key(connection: &Connection, key: &Key) -> Result<Option<Conversion>, Error> {
    match with_key(connection, key)? {
        None if key.is_of_payload() => with_earlier_key(connection, key),
        found => Ok(found),
    }
}

fn with_earlier_key(connection: &Connection, key: &Key) -> Result<Option<Conversion>, Error> {
    connection
        .prepare_cached(
            "-- conversion::with_earlier_key
            select * from conversion where home = :home and triage_identity = :identity",
        )?
        .query_row(named_params! { ":home": key.home.0, ":identity": key.identity }, |row| {
            Ok(read(row))
        })
        .optional()?
        .transpose()
}

fn with_key(connection: &Connection, key: &Key) -> Result<Option<Conversion>, Error> {
    connection
        .prepare_cached(
            "-- conversion::with_key
            select * from conversion where home = :home and identity = :identity",
        )?
        .query_row(named_params! { ":home": key.home.0, ":identity": key.identity }, |row| {
            Ok(read(row))
        })
        .optional()?
        .transpose()
}

pub(super) fn by_id(
    connection: &Connection,
    id: ConversionId,
) -> Result<Option<Conversion>, Error> {
    connection
        .prepare_cached(
            "-- conversion::by_id
            select * from conversion where id = ?1",
        )?
        .query_row([integer(id.0)], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// Whether the click has a conversion of the goal.
pub(super) fn has(connection: &Connection, click_id: ClickId, goal: &str) -> Result<bool, Error> {
    let found = connection
        .prepare_cached(
            "-- conversion::has
            select exists (select 1 from conversion
                    where home = :home and click_id = :click_id and goal = :goal)
                or exists (select 1 from conversion where click_id = :click_id
                    and substr(identity, 1, 1) = x'04' and goal = :goal)",
        )?
        .query_row(
            named_params! {
                ":home": Home::of(click_id).0,
                ":click_id": click_id.to_bytes(),
                ":goal": goal,
            },
            |row| row.get(0),
        )?;
    Ok(found)
}

/// How many conversions of the click wait in triage, as far as it matters.
pub(super) fn waiting(connection: &Connection, click_id: ClickId) -> Result<u32, Error> {
    let found = connection
        .prepare_cached(
            "-- conversion::waiting
            select count(*) from (select 1 from conversion indexed by conversion_waiting
                where home = :home and triaged is not null and click_id = :click_id
                    and status = 'pending' limit :max)",
        )?
        .query_row(
            named_params! {
                ":home": Home::of(click_id).0,
                ":click_id": click_id.to_bytes(),
                ":max": WAITING_MAX,
            },
            |row| row.get(0),
        )?;
    Ok(found)
}

/// Whether a hit that arrived after `position` has made or changed it, whenever that was decided,
/// or a person has since then.
pub(super) fn is_changed_after(
    connection: &Connection,
    conversion: &Conversion,
    position: Position,
) -> Result<bool, Error> {
    let by_hit = if conversion.key.is_of_click() {
        "-- conversion::is_changed_after
        select exists (select 1 from verdict where home = :home and conversion_id = :id
            and position > :position and verdict in ('recorded', 'updated'))"
    } else {
        "-- conversion::is_changed_after
        select exists (select 1 from verdict where conversion_home = :home and conversion_id = :id
            and position > :position and verdict in ('recorded', 'updated'))"
    };
    let by_person = "-- conversion::is_changed_after
        select exists (select 1 from entry join command on command.position = entry.position
            where entry.home = :home and entry.conversion_id = :id and entry.cause = 'command'
            and entry.position > :position and command.act <> 'replay')";
    for sql in [by_hit, by_person] {
        let values = named_params! {
            ":home": conversion.key.home.0,
            ":id": conversion.id.0,
            ":position": position.0,
        };
        if connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Both as they were at one moment.
pub(super) fn with_entries(
    connection: &mut Connection,
    id: ConversionId,
) -> Result<Option<(Conversion, Vec<StoredEntry>)>, Error> {
    let tx = connection.transaction()?;
    let Some(conversion) = by_id(&tx, id)? else { return Ok(None) };
    let mut statement = tx.prepare_cached(
        "-- conversion::with_entries
        select * from entry where home = :home and conversion_id = :id order by sequence",
    )?;
    let home = conversion.key.home.0;
    let rows =
        statement.query_map(named_params! { ":home": home, ":id": id.0 }, |row| Ok(entry(row)))?;
    let mut entries = Vec::new();
    for row in rows {
        let (entry, hash) = row??;
        entries.push(StoredEntry { entry, hash });
    }
    Ok(Some((conversion, entries)))
}

/// Walks `conversion_created` from its end; the conversions of a click through its home. One that
/// was made of a parked hit stands where the hit does, so the order is not that of the ids.
pub(super) fn list(
    connection: &mut Connection,
    filter: &ConversionFilter,
) -> Result<Page<Conversion>, Error> {
    let mut walk = Walk::new("conversion", "id", "created_at desc, id desc");
    walk.within_either([
        ("home = ?", filter.click_id.map(|id| Home::of(id).0.into())),
        (
            "click_id = ? and substr(identity, 1, 1) = x'04'",
            filter.click_id.map(|id| id.to_bytes().to_vec().into()),
        ),
    ]);
    walk.within("created_at >= ?", filter.from.map(Timestamp::as_us));
    // Of two upper bounds SQLite begins at the first: a later page where the one before ended.
    walk.within(
        "created_at <= (select created_at from conversion where id = ?)",
        filter.before.map(integer),
    );
    walk.within("created_at < ?", filter.to.map(Timestamp::as_us));
    walk.within(
        "(id < ? or created_at < (select created_at from conversion where id = ?))",
        filter.before.map(integer),
    );
    if filter.is_triaged == Some(true) {
        walk.within("? and triaged is not null", Some(true));
    }
    walk.ask("(triaged is not null) = ?", filter.is_triaged);
    walk.ask("merged_into = ?", filter.merged_into.map(|id| integer(id.0)));
    walk.ask("click_id = ?", filter.click_id.map(|id| id.to_bytes().to_vec()));
    walk.ask("txn_id = ?", filter.txn_id.clone());
    walk.ask("campaign_id = ?", filter.campaign_id.map(|id| i64::from(id.0)));
    walk.ask("publisher_id = ?", filter.publisher_id.map(|id| i64::from(id.0)));
    walk.ask("goal = ? collate nocase", filter.goal.clone());
    walk.ask("status = ?", filter.status.map(|status| status.name().to_owned()));
    walk.ask("is_test = ?", filter.is_test);
    let tx = connection.transaction()?;
    walk.page(&tx, filter.limit, walk::ROWS_MAX, |id| by_id(&tx, ConversionId(id)))
}

/// How many columns there are beside the labels.
const OWN: usize = 32;
static INSERT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "-- conversion::insert
        insert into conversion (id, home, identity, campaign_id, publisher_id, link_id, goal,
            click_id, txn_id, status, raw_status, revenue, payout, paid_revenue, paid_payout,
            currency, sent_amount, sale_amount, revenue_missing, payout_missing, conversion_ref,
            extra, external_id, is_test, flags, contract, created_by, created_at, changed_at,
            sequence, seen, triaged, {LABEL_COLUMNS})
        values ({})",
        marks(OWN + LABELS)
    )
});

pub(super) fn insert(connection: &Connection, new: &Conversion) -> Result<(), Error> {
    let (click_id, contract) = (new.click_id.to_bytes(), new.contract.to_string());
    let extra = (!new.values.is_empty())
        .then(|| serde_json::to_string(&new.values).expect("pairs of text are plain data"));
    let external_id = (!new.external_id.is_empty()).then_some(&new.external_id);
    let seen = new.seen.concat();
    let labels = Label::ALL.map(|label| new.labels.get(label));
    let (status, triaged) = (new.status.name(), new.triaged.map(Status::name));
    let (sent, sale) = (new.sent_amount.map(|one| one.0), new.sale_amount.map(|one| one.0));
    let (flags, currency) = (new.flags.bits(), new.currency.as_str());
    let (created_at, changed_at) = (new.created_at.as_us(), new.changed_at.as_us());
    let values: [&dyn ToSql; OWN] = [
        &new.id.0,
        &new.key.home.0,
        &new.key.identity,
        &new.campaign_id.0,
        &new.publisher_id.0,
        &new.link_id.0,
        &new.goal,
        &click_id,
        &new.txn_id,
        &status,
        &new.raw_status,
        &new.revenue.0,
        &new.payout.0,
        &new.paid_revenue.0,
        &new.paid_payout.0,
        &currency,
        &sent,
        &sale,
        &new.missing.revenue,
        &new.missing.payout,
        &new.conversion_ref,
        &extra,
        &external_id,
        &new.is_test,
        &flags,
        &contract,
        &new.created_by.0,
        &created_at,
        &changed_at,
        &new.sequence,
        &seen,
        &triaged,
    ];
    let values = values.into_iter().chain(labels.iter().map(|label| label as &dyn ToSql));
    connection.prepare_cached(&INSERT)?.execute(params_from_iter(values))?;
    Ok(())
}

/// Writes what a change may change.
pub(super) fn update(connection: &Connection, new: &Conversion) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- conversion::update
            update conversion set status = :status, raw_status = :raw_status, revenue = :revenue,
                payout = :payout, paid_revenue = :paid_revenue, paid_payout = :paid_payout,
                sent_amount = :sent_amount, sale_amount = :sale_amount,
                revenue_missing = :revenue_missing, payout_missing = :payout_missing,
                flags = :flags, changed_at = :changed_at, sequence = :sequence, seen = :seen
            where id = :id",
        )?
        .execute(named_params! {
            ":status": new.status.name(),
            ":raw_status": new.raw_status,
            ":revenue": new.revenue.0,
            ":payout": new.payout.0,
            ":paid_revenue": new.paid_revenue.0,
            ":paid_payout": new.paid_payout.0,
            ":sent_amount": new.sent_amount.map(|one| one.0),
            ":sale_amount": new.sale_amount.map(|one| one.0),
            ":revenue_missing": new.missing.revenue,
            ":payout_missing": new.missing.payout,
            ":flags": new.flags.bits(),
            ":changed_at": new.changed_at.as_us(),
            ":sequence": new.sequence,
            ":seen": new.seen.concat(),
            ":id": new.id.0,
        })?;
    Ok(())
}

/// Writes what only the end of triage changes.
pub(super) fn end_triage(connection: &Connection, new: &Conversion) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- conversion::end_triage
            update conversion set identity = :identity, txn_id = :txn_id, triaged = :triaged,
                triage_identity = :triage_identity, merged_into = :merged_into
            where id = :id",
        )?
        .execute(named_params! {
            ":identity": new.key.identity,
            ":txn_id": new.txn_id,
            ":triaged": new.triaged.map(Status::name),
            ":triage_identity": new.triage_identity,
            ":merged_into": new.merged_into.map(|id| id.0),
            ":id": new.id.0,
        })?;
    Ok(())
}

pub(super) fn add_entry(
    connection: &Connection,
    home: Home,
    number: u64,
    entry: &Entry,
    hash: &[u8; 32],
) -> Result<(), Error> {
    let cause = match entry.cause {
        Cause::Hit(_) => "hit",
        Cause::Command(_) => "command",
    };
    connection
        .prepare_cached(
            "-- conversion::add_entry
            insert into entry (number, home, conversion_id, sequence, at, cause, position,
                evidence, from_status, to_status, revenue, payout, currency, hash)
            values (:number, :home, :conversion_id, :sequence, :at, :cause, :position,
                :evidence, :from_status, :to_status, :revenue, :payout, :currency, :hash)",
        )?
        .execute(named_params! {
            ":number": number,
            ":home": home.0,
            ":conversion_id": entry.conversion_id.0,
            ":sequence": entry.sequence,
            ":at": entry.at.as_us(),
            ":cause": cause,
            ":position": entry.cause.position().0,
            ":evidence": entry.evidence,
            ":from_status": entry.from.map(Status::name),
            ":to_status": entry.to.name(),
            ":revenue": entry.revenue.0,
            ":payout": entry.payout.0,
            ":currency": entry.currency.as_str(),
            ":hash": hash,
        })?;
    Ok(())
}

/// An entry and its hash.
pub(super) fn entry(row: &Row<'_>) -> Result<(Entry, [u8; 32]), Error> {
    let position = Position(row.get("position")?);
    let entry = Entry {
        conversion_id: ConversionId(row.get("conversion_id")?),
        sequence: row.get("sequence")?,
        at: Timestamp::from_us(row.get("at")?),
        cause: word(row, "cause", |cause| match cause {
            "hit" => Some(Cause::Hit(position)),
            "command" => Some(Cause::Command(position)),
            _ => None,
        })?,
        evidence: row.get("evidence")?,
        from: optional_word(row, "from_status", Status::from_name)?,
        to: word(row, "to_status", Status::from_name)?,
        revenue: Micros(row.get("revenue")?),
        payout: Micros(row.get("payout")?),
        currency: word(row, "currency", |code| code.parse().ok())?,
    };
    Ok((entry, row.get("hash")?))
}

pub(super) fn read(row: &Row<'_>) -> Result<Conversion, Error> {
    let id = ConversionId(row.get("id")?);
    let corrupt = |detail: String| Error::Corrupt { place: format!("conversion {id}"), detail };
    let seen: Vec<u8> = row.get("seen")?;
    let (seen, rest) = seen.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(corrupt("`seen` is not made of eight bytes each".to_owned()));
    }
    let extra: Option<String> = row.get("extra")?;
    let values = match extra {
        Some(extra) => serde_json::from_str(&extra).map_err(|error| corrupt(error.to_string()))?,
        None => Vec::new(),
    };
    let click_id = click_id(row)?.ok_or_else(|| corrupt("it has no click id".to_owned()))?;
    Ok(Conversion {
        id,
        key: Key { home: Home(row.get("home")?), identity: row.get("identity")? },
        campaign_id: CampaignId(row.get("campaign_id")?),
        publisher_id: PublisherId(row.get("publisher_id")?),
        link_id: LinkId(row.get("link_id")?),
        goal: row.get("goal")?,
        click_id,
        txn_id: row.get("txn_id")?,
        status: word(row, "status", Status::from_name)?,
        raw_status: row.get("raw_status")?,
        revenue: Micros(row.get("revenue")?),
        payout: Micros(row.get("payout")?),
        paid_revenue: Micros(row.get("paid_revenue")?),
        paid_payout: Micros(row.get("paid_payout")?),
        currency: word(row, "currency", |code| code.parse().ok())?,
        sent_amount: row.get::<_, Option<i64>>("sent_amount")?.map(Micros),
        sale_amount: row.get::<_, Option<i64>>("sale_amount")?.map(Micros),
        missing: Missing {
            revenue: row.get("revenue_missing")?,
            payout: row.get("payout_missing")?,
        },
        conversion_ref: row.get("conversion_ref")?,
        values,
        external_id: row.get::<_, Option<Vec<u8>>>("external_id")?.unwrap_or_default(),
        labels: labels(row)?,
        is_test: row.get("is_test")?,
        flags: Flags::from_bits(row.get("flags")?),
        contract: word(row, "contract", |text| Some(contract_ref(text)))?,
        created_by: Position(row.get("created_by")?),
        created_at: Timestamp::from_us(row.get("created_at")?),
        changed_at: Timestamp::from_us(row.get("changed_at")?),
        sequence: row.get("sequence")?,
        seen: seen.to_vec(),
        triaged: optional_word(row, "triaged", Status::from_name)?,
        triage_identity: row.get("triage_identity")?,
        merged_into: row.get::<_, Option<u64>>("merged_into")?.map(ConversionId),
    })
}

/// `12.3`, or a partner's name.
fn contract_ref(text: &str) -> ContractRef {
    let numbers = text
        .split_once('.')
        .and_then(|(id, version)| Some((IntegrationId(id.parse().ok()?), version.parse().ok()?)));
    match numbers {
        Some((id, version)) => ContractRef::Integration { id, version },
        None => ContractRef::Partner(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{READER_CACHE_KIB, connect, migrate};
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    const CONVERSIONS: u64 = 3_000;
    const MANY: &str = "insert into conversion (id, home, identity, campaign_id, publisher_id,
            link_id, goal, click_id, status, revenue, payout, paid_revenue, paid_payout, currency,
            revenue_missing, payout_missing, is_test, flags, contract, created_by, created_at,
            changed_at, sequence, seen)
        with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000)
        select i, 1, cast(i as blob), 1, 1, 1, 'install', zeroblob(16), 'approved', 0, 0, 0, 0,
            'USD', 0, 0, 0, 0, '1.1', i, i / 3, i, 1, x'' from n";

    #[test]
    fn where_a_list_ends_makes_its_later_pages_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = connect(&dir.path().join("ledger.db"), READER_CACHE_KIB).unwrap();
        migrate::ledger(&mut connection).unwrap();
        connection.execute_batch(MANY).unwrap();
        let mut steps_until = |to: Option<i64>| {
            let counted = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&counted);
            let count = move || {
                counter.fetch_add(1, Ordering::Relaxed);
                false
            };
            connection.progress_handler(1, Some(count)).unwrap();
            let to = to.map(Timestamp::from_us);
            let mut filter = ConversionFilter { to, limit: 100, ..ConversionFilter::default() };
            let mut listed = 0;
            loop {
                let page = list(&mut connection, &filter).unwrap();
                listed += page.items.len() as u64;
                filter.before = page.next;
                if page.next.is_none() {
                    break;
                }
            }
            assert_eq!(listed, CONVERSIONS);
            counted.load(Ordering::Relaxed)
        };
        let (all, until) = (steps_until(None), steps_until(Some(1_001)));
        assert!(until < 2 * all, "{until} steps, but {all} without an end");
    }

    #[test]
    fn what_is_in_triage_is_found_among_many() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = connect(&dir.path().join("ledger.db"), READER_CACHE_KIB).unwrap();
        migrate::ledger(&mut connection).unwrap();
        connection.execute_batch(MANY).unwrap();
        let mark = "update conversion set triaged = 'approved' where id in (7, 8, 2999)";
        connection.execute_batch(mark).unwrap();
        let counted = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&counted);
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.progress_handler(1, Some(count)).unwrap();
        let is_triaged = Some(true);
        let filter = ConversionFilter { is_triaged, limit: 100, ..ConversionFilter::default() };
        let page = list(&mut connection, &filter).unwrap();
        assert_eq!(page.items.iter().map(|one| one.id.0).collect::<Vec<_>>(), [2999, 8, 7]);
        let steps = counted.load(Ordering::Relaxed);
        assert!(steps < CONVERSIONS, "{steps} steps for three of {CONVERSIONS}");
    }
}
