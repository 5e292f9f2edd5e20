//! The queue: what is taken over from the ledger, leased, and settled.

use super::super::{
    ANSWER_BYTES_MAX, Attempt, Delivery, DeliveryFilter, Due, Incoming, Lane, Pause, PauseRule,
    PausedBy, Replayed, State,
};
use super::{outcomes, rows};
use crate::Error;
use crate::list::StoredOwed;
use crate::sqlite::row::integer;
use domain::destination::{Next, Owed, OwedKind};
use domain::id::{ConversionId, DeliveryId, DestinationId};
use domain::money::Micros;
use domain::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, named_params, params_from_iter};

/// How many deliveries are sent once more, or cancelled, in one transaction: sending goes on
/// between them.
const CHUNK: u64 = 5_000;
/// What a receiver says that wants to hear nothing more.
const GONE: u16 = 410;

pub(super) fn cursor(connection: &Connection) -> Result<DeliveryId, Error> {
    let cursor = connection
        .prepare_cached(
            "-- deliveries::cursor
            select cursor from state",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(DeliveryId(cursor))
}

pub(super) fn take_over(connection: &mut Connection, incoming: &[Incoming]) -> Result<(), Error> {
    let tx = connection.transaction()?;
    let (cursor, held_until): (u64, i64) = tx
        .prepare_cached(
            "-- deliveries::take_over
            select cursor, held_until from state",
        )?
        .query_row([], |row| Ok((row.get("cursor")?, row.get("held_until")?)))?;
    let mut last = cursor;
    for one in incoming.iter().filter(|one| one.stored.id.0 > cursor) {
        take_over_one(&tx, one, one.stored.owed.owed_at().as_us() <= held_until)?;
        last = last.max(one.stored.id.0);
    }
    tx.prepare_cached(
        "-- deliveries::take_over
        update state set cursor = ?1",
    )?
    .execute([last])?;
    tx.commit()?;
    Ok(())
}

/// What was never tried is not sent any more where this says otherwise; what was tried may have
/// arrived, and has to be corrected.
fn take_over_one(connection: &Connection, one: &Incoming, is_held: bool) -> Result<(), Error> {
    let Incoming { stored: StoredOwed { id, owed }, due_at, is_correctable } = one;
    let sql = "-- deliveries::take_over_one
        select * from delivery where conversion_id = ?1 and destination_id = ?2
            and state not in ('cancelled', 'uncorrectable') order by sequence";
    let values = [owed.conversion_id.0.cast_signed().into(), owed.destination_id.0.into()];
    let earlier = rows::all(connection, sql, &values, rows::delivery)?;
    let is_unsent = |one: &&Delivery| one.attempts == 0 && one.state == State::Waiting;
    let (unsent, sent): (Vec<_>, Vec<_>) = earlier.iter().partition(is_unsent);
    let mut owed = owed.clone();
    let mut state = State::Waiting;
    if owed.kind != OwedKind::Notice {
        for one in &unsent {
            end(connection, one.id, State::Cancelled, owed.at)?;
        }
        let told = sent.last().map_or(Micros::ZERO, |one| one.owed.payout);
        let replaces = unsent.last().is_some_and(|one| one.owed.kind == OwedKind::Notice);
        owed.difference = owed.payout.checked_sub(told).unwrap_or(owed.difference);
        match owed.kind {
            OwedKind::Withdrawal if sent.is_empty() => state = State::Cancelled,
            OwedKind::Correction if sent.is_empty() || replaces => owed.kind = OwedKind::Notice,
            _ if !is_correctable => state = State::Uncorrectable,
            _ => {}
        }
    }
    if state == State::Waiting && is_held {
        state = State::Held;
    }
    insert(connection, *id, &owed, state, *due_at)?;
    if earlier.iter().any(|one| one.state == State::Waiting) {
        line_up(connection, owed.conversion_id, owed.destination_id)?;
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    id: DeliveryId,
    owed: &Owed,
    state: State,
    due_at: Timestamp,
) -> Result<(), Error> {
    let is_settled = matches!(state, State::Cancelled | State::Uncorrectable);
    // What happens now goes first, however much of what happened before is told late.
    let lane = if owed.backfilled_at.is_some() { Lane::Again } else { Lane::First };
    connection
        .prepare_cached(
            "-- deliveries::insert
            insert into delivery (id, destination_id, conversion_id, sequence, kind, status, payout,
                difference, revenue, at, backfilled_at, state, lane, due_at, attempts,
                attempts_past, settled_at, is_replay)
            values (:id, :destination_id, :conversion_id, :sequence, :kind, :status, :payout,
                :difference, :revenue, :at, :backfilled_at, :state, :lane, :due_at, 0, 0,
                :settled_at, 0)",
        )?
        .execute(named_params! {
            ":id": id.0,
            ":destination_id": owed.destination_id.0,
            ":conversion_id": owed.conversion_id.0,
            ":sequence": owed.sequence,
            ":kind": owed.kind.name(),
            ":status": owed.status.name(),
            ":payout": owed.payout.0,
            ":difference": owed.difference.0,
            ":revenue": owed.revenue.0,
            ":at": owed.at.as_us(),
            ":backfilled_at": owed.backfilled_at.map(Timestamp::as_us),
            ":state": state.name(),
            ":lane": lane.number(),
            ":due_at": due_at.as_us(),
            ":settled_at": is_settled.then_some(owed.at.as_us()),
        })?;
    Ok(())
}

/// In which lane each of those is that wait: of one conversion only the first can be sent.
const LANE: &str = "case
    when exists (select 1 from delivery earlier
        where earlier.conversion_id = delivery.conversion_id
            and earlier.destination_id = delivery.destination_id
            and earlier.sequence < delivery.sequence and earlier.state = 'waiting') then 2
    when attempts > 0 or is_replay or backfilled_at is not null then 1
    else 0
end";

/// Puts those of a conversion that wait into their lanes, after one of them came or went.
fn line_up(
    connection: &Connection,
    conversion: ConversionId,
    destination: DestinationId,
) -> Result<(), Error> {
    let sql = format!(
        "-- deliveries::line_up
        update delivery set lane = {LANE}
        where conversion_id = ?1 and destination_id = ?2 and state = 'waiting' and lane <> {LANE}"
    );
    connection.prepare_cached(&sql)?.execute((integer(conversion.0), destination.0))?;
    Ok(())
}

fn end(connection: &Connection, id: DeliveryId, state: State, at: Timestamp) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::end
            update delivery set state = :state, settled_at = :at, leased_until = null
            where id = :id",
        )?
        .execute(named_params! { ":id": id.0, ":state": state.name(), ":at": at.as_us() })?;
    Ok(())
}

/// The index is jumped through, one destination after the other: what is due may be millions. It is
/// named, for SQLite would take the one of all states, and read every row.
pub(super) fn due(connection: &Connection) -> Result<Vec<Due>, Error> {
    let sql = "-- deliveries::due
        with recursive waiting (id) as (
            select min(destination_id) from delivery indexed by delivery_due
            where state = 'waiting'
            union all
            select (select min(destination_id) from delivery indexed by delivery_due
                where state = 'waiting' and destination_id > waiting.id)
            from waiting where waiting.id is not null
        )
        select waiting.id as destination_id,
            (select min(due_at) from delivery indexed by delivery_due
                where state = 'waiting' and destination_id = waiting.id and lane = 0) as first,
            (select min(due_at) from delivery indexed by delivery_due
                where state = 'waiting' and destination_id = waiting.id and lane = 1) as again,
            coalesce(failures, 0) as failures, paused_at is not null as is_paused, probe_at
        from waiting left join destination on destination.id = waiting.id
        where waiting.id is not null";
    rows::all(connection, sql, &[], |row| {
        let time = |us: Option<i64>| us.map(Timestamp::from_us);
        Ok(Due {
            destination_id: DestinationId(row.get("destination_id")?),
            first: time(row.get("first")?),
            again: time(row.get("again")?),
            failures: row.get("failures")?,
            is_paused: row.get("is_paused")?,
            probe_at: time(row.get("probe_at")?),
        })
    })
}

pub(super) fn lease(
    connection: &mut Connection,
    destination: DestinationId,
    lane: Lane,
    limit: u32,
    (now, until): (Timestamp, Timestamp),
) -> Result<Vec<Delivery>, Error> {
    let tx = connection.transaction()?;
    let sql = "-- deliveries::lease
        update delivery set leased_until = ?1, attempts = attempts + 1
        where id in (
            select id from delivery indexed by delivery_due
            where state = 'waiting' and destination_id = ?2 and lane = ?3 and due_at <= ?4
                and (leased_until is null or leased_until <= ?4)
            order by due_at, id limit ?5)
        returning *";
    let values: [Value; 5] = [
        until.as_us().into(),
        destination.0.into(),
        lane.number().into(),
        now.as_us().into(),
        limit.into(),
    ];
    let mut leased = rows::all(&tx, sql, &values, rows::delivery)?;
    tx.commit()?;
    leased.sort_by_key(|one| (one.due_at, one.id));
    Ok(leased)
}

pub(super) fn settle(
    connection: &mut Connection,
    attempts: &[Attempt],
    rule: PauseRule,
) -> Result<Vec<DestinationId>, Error> {
    let tx = connection.transaction()?;
    let mut paused = Vec::new();
    for attempt in attempts {
        add_attempt(&tx, attempt)?;
        if let Some(destination) = move_on(&tx, attempt)? {
            paused.extend(judge(&tx, destination, attempt, rule)?);
        }
    }
    outcomes::note(&tx, attempts)?;
    tx.commit()?;
    Ok(paused)
}

fn add_attempt(connection: &Connection, attempt: &Attempt) -> Result<(), Error> {
    let kept = |answer: &[u8]| answer[..answer.len().min(ANSWER_BYTES_MAX)].to_vec();
    connection
        .prepare_cached(
            "-- deliveries::add_attempt
            insert into attempt (delivery_id, number, at, latency_ms, method, url, http_status,
                answer, error, led_to, is_replay)
            select id, :number, :at, :latency_ms, :method, :url, :http_status, :answer, :error,
                :led_to, is_replay
            from delivery where id = :id
            on conflict do nothing",
        )?
        .execute(named_params! {
            ":id": attempt.delivery_id.0,
            ":number": attempt.number,
            ":at": attempt.at.as_us(),
            ":latency_ms": attempt.latency_ms,
            ":method": attempt.method,
            ":url": attempt.url,
            ":http_status": attempt.http_status,
            ":answer": attempt.answer.as_deref().map(kept),
            ":error": attempt.error,
            ":led_to": attempt.led_to(),
        })?;
    Ok(())
}

/// Settles the delivery, or has it wait for its next attempt. `None`: the lease was another's.
fn move_on(connection: &Connection, attempt: &Attempt) -> Result<Option<DestinationId>, Error> {
    let (state, due_at) = match attempt.next {
        Next::Again { at } => (State::Waiting.name(), Some(at.as_us())),
        _ => (attempt.led_to(), None),
    };
    let settled = connection
        .prepare_cached(
            "-- deliveries::move_on
            update delivery set state = :state, lane = max(lane, 1), leased_until = null,
                due_at = coalesce(:due_at, due_at),
                settled_at = case when :due_at is null then :at end
            where id = :id and attempts = :number and leased_until is not null
            returning conversion_id, destination_id",
        )?
        .query_row(
            named_params! {
                ":id": attempt.delivery_id.0,
                ":number": attempt.number,
                ":state": state,
                ":due_at": due_at,
                ":at": attempt.at.as_us(),
            },
            |row| {
                Ok((
                    ConversionId(row.get("conversion_id")?),
                    DestinationId(row.get("destination_id")?),
                ))
            },
        )
        .optional()?;
    let Some((conversion, destination)) = settled else { return Ok(None) };
    if due_at.is_none() {
        line_up(connection, conversion, destination)?;
    }
    Ok(Some(destination))
}

/// What an attempt says of its destination; the destination where this pauses it.
fn judge(
    connection: &Connection,
    destination: DestinationId,
    attempt: &Attempt,
    rule: PauseRule,
) -> Result<Option<DestinationId>, Error> {
    let at = attempt.at.as_us();
    if matches!(attempt.next, Next::Delivered | Next::Unverified) {
        connection
            .prepare_cached(
                "-- deliveries::judge
                insert into destination (id, failures, last_good_at) values (:id, 0, :at)
                on conflict do update set failures = 0, last_good_at = :at,
                    paused_at = case when paused_by = 'failures' then null else paused_at end,
                    probe_at = case when paused_by = 'failures' then null else probe_at end,
                    paused_why = case when paused_by = 'failures' then null else paused_why end,
                    paused_by = case when paused_by = 'failures' then null else paused_by end",
            )?
            .execute(named_params! { ":id": destination.0, ":at": at })?;
        return Ok(None);
    }
    let (failures, is_paused): (u32, bool) = connection
        .prepare_cached(
            "-- deliveries::judge
            insert into destination (id, failures) values (?1, 1)
            on conflict do update set failures = failures + 1
            returning failures, paused_at is not null as is_paused",
        )?
        .query_row([destination.0], |row| Ok((row.get("failures")?, row.get("is_paused")?)))?;
    let probe_at = attempt.at.plus_s(rule.probe_every_s.into());
    if is_paused {
        connection
            .prepare_cached(
                "-- deliveries::judge
                update destination set probe_at = :probe_at
                where id = :id and paused_by = 'failures' and probe_at < :probe_at",
            )?
            .execute(named_params! { ":id": destination.0, ":probe_at": probe_at.as_us() })?;
        return Ok(None);
    }
    let (by, why, probe_at) = if attempt.http_status == Some(GONE) {
        (PausedBy::Gone, "it answered 410: it wants to hear nothing more".to_owned(), None)
    } else if failures >= rule.after_failures {
        let last = match (&attempt.error, attempt.http_status) {
            (Some(error), _) => error.clone(),
            (None, Some(status)) => format!("it answered {status}"),
            (None, None) => "it did not answer".to_owned(),
        };
        let why = format!("{failures} attempts in a row have failed; the last: {last}");
        (PausedBy::Failures, why, Some(probe_at))
    } else {
        return Ok(None);
    };
    pause(connection, destination, &Pause { at: attempt.at, by, why, probe_at })?;
    Ok(Some(destination))
}

pub(super) fn pause(
    connection: &Connection,
    destination: DestinationId,
    pause: &Pause,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::pause
            insert into destination (id, failures, paused_at, paused_by, paused_why, probe_at)
            values (:id, 0, :at, :by, :why, :probe_at)
            on conflict do update set paused_at = :at, paused_by = :by, paused_why = :why,
                probe_at = :probe_at",
        )?
        .execute(named_params! {
            ":id": destination.0,
            ":at": pause.at.as_us(),
            ":by": pause.by.name(),
            ":why": pause.why,
            ":probe_at": pause.probe_at.map(Timestamp::as_us),
        })?;
    Ok(())
}

pub(super) fn resume(connection: &Connection, destination: DestinationId) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::resume
            update destination set failures = 0, paused_at = null, paused_by = null,
                paused_why = null, probe_at = null
            where id = ?1",
        )?
        .execute([destination.0])?;
    Ok(())
}

/// One chunk of what is to be sent once more, after `after`: how many, and where it ended.
pub(super) fn replay(
    connection: &mut Connection,
    filter: &DeliveryFilter,
    after: u64,
    now: Timestamp,
) -> Result<(u64, Option<u64>), Error> {
    let states = rows::replayable(filter);
    let set = format!(
        "state = 'waiting', lane = 1, due_at = {}, attempts_past = attempts, is_replay = 1,
            settled_at = null, leased_until = null",
        now.as_us()
    );
    chunk(connection, filter, states, &set, after)
}

pub(super) fn replayed(connection: &Connection, key: &str) -> Result<Option<Replayed>, Error> {
    let found = connection
        .prepare_cached(
            "-- deliveries::replayed
            select request, count from replay where key = ?1",
        )?
        .query_row([key], |row| {
            Ok(Replayed { request: row.get("request")?, count: row.get("count")? })
        })
        .optional()?;
    Ok(found)
}

pub(super) fn keep_replayed(
    connection: &Connection,
    key: &str,
    replayed: &Replayed,
    now: Timestamp,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::keep_replayed
            insert into replay (key, request, count, at) values (?1, ?2, ?3, ?4)
            on conflict do nothing",
        )?
        .execute((key, &replayed.request, replayed.count, now.as_us()))?;
    Ok(())
}

/// One chunk of what waits and is cancelled.
pub(super) fn cancel(
    connection: &mut Connection,
    destination: DestinationId,
    after: u64,
    now: Timestamp,
) -> Result<(u64, Option<u64>), Error> {
    let filter = DeliveryFilter { destination_id: Some(destination), ..DeliveryFilter::default() };
    let states = "state in ('waiting', 'held')";
    let set = format!("state = 'cancelled', settled_at = {}, leased_until = null", now.as_us());
    chunk(connection, &filter, states, &set, after)
}

fn chunk(
    connection: &mut Connection,
    filter: &DeliveryFilter,
    states: &str,
    set: &str,
    after: u64,
) -> Result<(u64, Option<u64>), Error> {
    let (conditions, values) = rows::conditions(filter);
    let tx = connection.transaction()?;
    let sql = format!(
        "-- deliveries::chunk
        select id from delivery {conditions} and {states} and id > {after} order by id
        limit {CHUNK}"
    );
    let ids = rows::all(&tx, &sql, &values, |row| Ok(row.get::<_, u64>("id")?))?;
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok((0, None)) };
    let sql = format!(
        "-- deliveries::chunk
        update delivery set {set} {conditions} and {states} and id between {first} and {last}"
    );
    let changed = tx.execute(&sql, params_from_iter(values))?;
    let sql = format!(
        "-- deliveries::chunk
        update delivery set lane = {LANE}
        where state = 'waiting' and lane <> {LANE} and (conversion_id, destination_id) in (
            select conversion_id, destination_id from delivery where id between ?1 and ?2)"
    );
    tx.execute(&sql, [first, last])?;
    tx.commit()?;
    let is_full = ids.len() as u64 == CHUNK;
    Ok((changed as u64, is_full.then_some(*last)))
}
