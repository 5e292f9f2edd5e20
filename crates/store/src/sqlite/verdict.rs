//! Verdicts: what became of each hit. One row a hit, written with the effects of its decision.

use super::conversion;
use super::row::{LABEL_COLUMNS, LABELS, click_id, integer, labels, marks, optional_word, word};
use super::walk::{self, Walk};
use crate::Error;
use crate::list::{Page, StoredVerdict, VerdictFilter};
use domain::click::Label;
use domain::conversion::Status;
use domain::id::{CampaignId, ConversionId, Position, PublisherId};
use domain::ledger::Home;
use domain::reason::{Flags, Reason, Verdict};
use domain::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params_from_iter};
use std::sync::LazyLock;

pub(super) fn find(
    connection: &Connection,
    position: Position,
) -> Result<Option<StoredVerdict>, Error> {
    connection
        .prepare_cached(
            "-- verdict::find
            select * from verdict where position = ?1",
        )?
        .query_row([integer(position.0)], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// Walks the table itself, from its end; the hits of a click, or of a conversion, through their
/// home. Times lead to
/// positions through `verdict_at`, for both grow together.
pub(super) fn list(
    connection: &mut Connection,
    filter: &VerdictFilter,
) -> Result<Page<StoredVerdict>, Error> {
    let tx = connection.transaction()?;
    let mut walk = Walk::new("verdict", "position", "position desc");
    walk.within("home = ?", filter.click_id.map(|id| Home::of(id).0));
    if let (Some(id), None) = (filter.conversion_id, filter.click_id)
        && let Some(conversion) = conversion::by_id(&tx, id)?
    {
        let is_of_click = conversion.key.is_of_click();
        let home = if is_of_click { "home = ?" } else { "conversion_home = ?" };
        walk.within(home, Some(conversion.key.home.0));
    }
    walk.within("position < ?", filter.before.map(integer));
    walk.within(
        "position >= (select position from verdict where at >= ? order by at, position limit 1)",
        filter.from.map(Timestamp::as_us),
    );
    walk.within(
        "position <= (select position from verdict where at < ? order by at desc, position desc \
         limit 1)",
        filter.to.map(Timestamp::as_us),
    );
    walk.ask("click_id = ?", filter.click_id.map(|id| id.to_bytes().to_vec()));
    walk.ask("txn_id = ?", filter.txn_id.clone());
    walk.ask("campaign_id = ?", filter.campaign_id.map(|id| i64::from(id.0)));
    walk.ask("conversion_id = ?", filter.conversion_id.map(|id| integer(id.0)));
    walk.ask("verdict = ?", filter.verdict.map(|verdict| verdict.name().to_owned()));
    walk.ask("reason = ?", filter.reason.map(|reason| reason.name().to_owned()));
    walk.ask("flags & ? != 0", filter.flag.map(|flag| i64::from(Flags::from_iter([flag]).bits())));
    walk.ask("contract glob ?", filter.integration_id.map(|id| format!("{id}.*")));
    walk.page(&tx, filter.limit, walk::ROWS_MAX, |position| find(&tx, Position(position)))
}

/// How many columns there are beside the labels.
const OWN: usize = 23;
/// The columns, in the order in which [`write`] gives their values.
static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "position, home, at, decided_at, verdict, reason, parameter, nearest, detail, flags, \
         contract, click_id, campaign_id, publisher_id, goal, txn_id, original, conversion_id, \
         status, is_test, http_status, decided_by, conversion_home, {LABEL_COLUMNS}"
    )
});
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let (columns, marks) = (&*COLUMNS, marks(OWN + LABELS));
    format!("-- verdict::insert\ninsert into verdict ({columns}) values ({marks})")
});
static REPLACE: LazyLock<String> = LazyLock::new(|| {
    let (columns, marks) = (&*COLUMNS, marks(OWN + LABELS));
    format!(
        "-- verdict::replace
        update verdict set ({columns}) = ({marks}) where position = ?1
            and verdict in ('parked', 'refused')"
    )
});

/// Writes what became of a hit. `elsewhere` is the home of its conversion, where that does not live
/// with the click that the hit names.
pub(super) fn insert(
    connection: &Connection,
    new: &StoredVerdict,
    elsewhere: Option<Home>,
) -> Result<(), Error> {
    write(connection, &INSERT, new, elsewhere).map(drop)
}

/// Writes what became of a hit that was parked or refused.
pub(super) fn replace(
    connection: &Connection,
    new: &StoredVerdict,
    elsewhere: Option<Home>,
) -> Result<(), Error> {
    let written = write(connection, &REPLACE, new, elsewhere)?;
    assert_eq!(written, 1, "only what is parked or refused is decided again");
    Ok(())
}

fn write(
    connection: &Connection,
    sql: &str,
    new: &StoredVerdict,
    elsewhere: Option<Home>,
) -> Result<usize, Error> {
    let (home, elsewhere) = (new.click_id.map(|id| Home::of(id).0), elsewhere.map(|home| home.0));
    let (at, decided_at) = (new.at.as_us(), new.decided_at.as_us());
    let (verdict, reason) = (new.verdict.name(), new.reason.map(Reason::name));
    let click_id = new.click_id.map(domain::click_id::ClickId::to_bytes);
    let campaign_id = new.campaign_id.map(|id| id.0);
    let publisher_id = new.publisher_id.map(|id| id.0);
    let original = new.original.map(|position| position.0);
    let conversion_id = new.conversion_id.map(|id| id.0);
    let (status, flags) = (new.status.map(Status::name), new.flags.bits());
    let decided_by = new.decided_by.map(|position| position.0);
    let labels = Label::ALL.map(|label| new.labels.get(label));
    let values: [&dyn ToSql; OWN] = [
        &new.position.0,
        &home,
        &at,
        &decided_at,
        &verdict,
        &reason,
        &new.parameter,
        &new.nearest,
        &new.detail,
        &flags,
        &new.contract,
        &click_id,
        &campaign_id,
        &publisher_id,
        &new.goal,
        &new.txn_id,
        &original,
        &conversion_id,
        &status,
        &new.is_test,
        &new.http_status,
        &decided_by,
        &elsewhere,
    ];
    let values = values.into_iter().chain(labels.iter().map(|label| label as &dyn ToSql));
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.execute(params_from_iter(values))?)
}

fn read(row: &Row<'_>) -> Result<StoredVerdict, Error> {
    Ok(StoredVerdict {
        position: Position(row.get("position")?),
        at: Timestamp::from_us(row.get("at")?),
        decided_at: Timestamp::from_us(row.get("decided_at")?),
        verdict: word(row, "verdict", Verdict::from_name)?,
        reason: optional_word(row, "reason", Reason::from_name)?,
        parameter: row.get("parameter")?,
        nearest: row.get("nearest")?,
        detail: row.get("detail")?,
        flags: Flags::from_bits(row.get("flags")?),
        contract: row.get("contract")?,
        http_status: row.get("http_status")?,
        decided_by: row.get::<_, Option<u64>>("decided_by")?.map(Position),
        click_id: click_id(row)?,
        campaign_id: row.get::<_, Option<u32>>("campaign_id")?.map(CampaignId),
        publisher_id: row.get::<_, Option<u32>>("publisher_id")?.map(PublisherId),
        goal: row.get("goal")?,
        txn_id: row.get("txn_id")?,
        original: row.get::<_, Option<u64>>("original")?.map(Position),
        conversion_id: row.get::<_, Option<u64>>("conversion_id")?.map(ConversionId),
        status: optional_word(row, "status", Status::from_name)?,
        is_test: row.get("is_test")?,
        labels: labels(row)?,
    })
}
