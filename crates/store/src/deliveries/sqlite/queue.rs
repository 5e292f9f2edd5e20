//! The queue: what is taken over from the ledger, leased, and settled.

use super::super::{
    ANSWER_BYTES_MAX, Attempt, Delivery, Due, Fate, Incoming, Lane, Pause, PauseRule, PausedBy,
    State,
};
use super::overview::destinations_of;
use super::{chunk, line, outcomes, rows};
use crate::Error;
use crate::list::StoredOwed;
use crate::sqlite::row::integer;
use domain::destination::{Next, OwedKind};
use domain::id::{ConversionId, DeliveryId, DestinationId};
use domain::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

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

/// What was owed before may have to give way, or may make this no news.
fn take_over_one(connection: &Connection, one: &Incoming, is_held: bool) -> Result<(), Error> {
    let owed = &one.stored.owed;
    let (conversion, destination) = (owed.conversion_id, owed.destination_id);
    let is_alone = line::all(connection, conversion, destination)?.is_empty();
    let state = if is_held { State::Held } else { State::Waiting };
    insert(connection, one, state)?;
    if !is_alone || owed.kind != OwedKind::Notice {
        line::advance(connection, conversion, destination, owed.owed_at())?;
    }
    Ok(())
}

fn insert(connection: &Connection, one: &Incoming, state: State) -> Result<(), Error> {
    let Incoming { stored: StoredOwed { id, owed }, due_at, hearing } = one;
    // What happens now goes first, however much of what happened before is told late.
    let lane = if owed.backfilled_at.is_some() { Lane::Past } else { Lane::First };
    connection
        .prepare_cached(
            "-- deliveries::insert
            insert into delivery (id, destination_id, conversion_id, sequence, kind, status, payout,
                difference, full_payout, full_difference, revenue, at, backfilled_at, state, lane,
                due_at, attempts, attempts_past, is_replay, may_have_arrived, hears_corrections,
                hears_withdrawals)
            values (:id, :destination_id, :conversion_id, :sequence, :kind, :status, :payout,
                :difference, :full_payout, :full_difference, :revenue, :at, :backfilled_at, :state,
                :lane, :due_at, 0, 0, 0, :is_held, :hears_corrections, :hears_withdrawals)",
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
            ":full_payout": owed.full_payout.0,
            ":full_difference": owed.full_difference.0,
            ":revenue": owed.revenue.0,
            ":at": owed.at.as_us(),
            ":backfilled_at": owed.backfilled_at.map(Timestamp::as_us),
            ":state": state.name(),
            ":lane": lane.number(),
            ":due_at": due_at.as_us(),
            ":is_held": state == State::Held,
            ":hears_corrections": hearing.corrections,
            ":hears_withdrawals": hearing.withdrawals,
        })?;
    Ok(())
}

/// Those of which something is held are there too, for they may be archived.
pub(super) fn due(connection: &Connection) -> Result<Vec<Due>, Error> {
    let (waiting, held) = (destinations_of(State::Waiting), destinations_of(State::Held));
    let first = |lane: Lane| {
        format!(
            "(select min(due_at) from delivery indexed by delivery_due
                where state = 'waiting' and destination_id = open.id and lane = {})",
            lane.number()
        )
    };
    let sql = format!(
        "-- deliveries::due
        with recursive {waiting}, {held},
            open (id) as (select id from waiting union select id from held)
        select open.id as destination_id, {} as first, {} as again, {} as past,
            coalesce(failures, 0) as failures, paused_at is not null as is_paused, probe_at
        from open left join destination on destination.id = open.id
        where open.id is not null",
        first(Lane::First),
        first(Lane::Again),
        first(Lane::Past)
    );
    rows::all(connection, &sql, &[], |row| {
        let time = |us: Option<i64>| us.map(Timestamp::from_us);
        Ok(Due {
            destination_id: DestinationId(row.get("destination_id")?),
            first: time(row.get("first")?),
            again: time(row.get("again")?),
            past: time(row.get("past")?),
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
    let sql = "-- deliveries::lease
        select id, conversion_id, destination_id, leased_until is not null as is_over
        from delivery indexed by delivery_due
        where state = 'waiting' and destination_id = ?1 and lane = ?2 and due_at <= ?3
            and (leased_until is null or leased_until <= ?3)
        order by due_at, id limit ?4";
    let values: [Value; 4] =
        [destination.0.into(), lane.number().into(), now.as_us().into(), limit.into()];
    take(connection, sql, &values, (now, until), false)
}

/// What has been due for longest or will be first, for the next attempt may be a day off. Of what was
/// tried before this uses up no wait: a destination may be away for longer than all of them.
pub(super) fn probe(
    connection: &mut Connection,
    destination: DestinationId,
    (now, until): (Timestamp, Timestamp),
) -> Result<Option<Delivery>, Error> {
    let oldest = [Lane::First, Lane::Again, Lane::Past].map(|lane| {
        format!(
            "select * from (select id, conversion_id, destination_id, due_at,
                    leased_until is not null as is_over
                from delivery indexed by delivery_due
                where state = 'waiting' and destination_id = ?1 and lane = {}{}
                    and (leased_until is null or leased_until <= ?2)
                order by due_at, id limit 1)",
            lane.number(),
            // What was never tried is not told before its delay is over.
            if lane == Lane::First { " and due_at <= ?2" } else { "" }
        )
    });
    let oldest = oldest.join(" union all ");
    let sql = format!("-- deliveries::probe\n{oldest} order by due_at, id limit 1");
    let values: [Value; 2] = [destination.0.into(), now.as_us().into()];
    Ok(take(connection, &sql, &values, (now, until), true)?.pop())
}

/// Begins attempts at what `sql` finds.
fn take(
    connection: &mut Connection,
    sql: &str,
    values: &[Value],
    (now, until): (Timestamp, Timestamp),
    is_probe: bool,
) -> Result<Vec<Delivery>, Error> {
    let tx = connection.transaction()?;
    let find = || {
        rows::all(&tx, sql, values, |row| {
            Ok((DeliveryId(row.get("id")?), line_of(row)?, row.get::<_, bool>("is_over")?))
        })
    };
    let mut found = find()?;
    // Each may make room for another one.
    while found.iter().any(|(_, _, is_over)| *is_over) {
        for (id, line, _) in found.iter().filter(|(_, _, is_over)| *is_over) {
            unheard(&tx, *id, *line, now)?;
        }
        found = find()?;
    }
    let mut taken = Vec::with_capacity(found.len());
    for (id, ..) in found {
        let lease = "-- deliveries::take
            update delivery set leased_until = ?1, attempts = attempts + 1,
                attempts_past = attempts_past + (?3 and attempts > attempts_past)
            where id = ?2 returning *";
        let values = [until.as_us().into(), integer(id.0).into(), is_probe.into()];
        taken.extend(rows::all(&tx, lease, &values, rows::delivery)?);
    }
    tx.commit()?;
    Ok(taken)
}

/// Whose line a row is in.
pub(super) fn line_of(row: &Row<'_>) -> Result<(ConversionId, DestinationId), Error> {
    Ok((ConversionId(row.get("conversion_id")?), DestinationId(row.get("destination_id")?)))
}

/// Nothing is known of an attempt that was under way: it uses up no wait.
pub(super) fn unheard(
    connection: &Connection,
    id: DeliveryId,
    (conversion, destination): (ConversionId, DestinationId),
    now: Timestamp,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::unheard
            update delivery set leased_until = null, may_have_arrived = 1,
                attempts_past = attempts_past + 1
            where id = ?1",
        )?
        .execute([id.0])?;
    line::advance(connection, conversion, destination, now)
}

/// Nothing, where the lease is another's by now.
pub(super) fn give_back(
    connection: &mut Connection,
    id: DeliveryId,
    number: u32,
    unheard: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let state = if unheard { State::Uncorrectable } else { State::Waiting };
    let tx = connection.transaction()?;
    let given_back = tx
        .prepare_cached(
            "-- deliveries::give_back
            update delivery set attempts = attempts - 1, leased_until = null, state = :state,
                settled_at = case when :unheard then :now end
            where id = :id and attempts = :number and leased_until is not null
                and state = 'waiting'
            returning conversion_id, destination_id",
        )?
        .query_row(
            named_params! {
                ":id": id.0,
                ":number": number,
                ":state": state.name(),
                ":unheard": unheard,
                ":now": now.as_us(),
            },
            |row| Ok(line_of(row)),
        )
        .optional()?;
    if let Some(line) = given_back {
        let (conversion, destination) = line?;
        line::advance(&tx, conversion, destination, now)?;
    }
    tx.commit()?;
    Ok(())
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
                settled_at = case when :due_at is null then :at end,
                may_have_arrived = may_have_arrived or :may_have_arrived
            where id = :id and attempts = :number and leased_until is not null
            returning conversion_id, destination_id",
        )?
        .query_row(
            named_params! {
                ":id": attempt.delivery_id.0,
                ":number": attempt.number,
                ":state": state,
                ":due_at": due_at,
                ":at": attempt.ended_at().as_us(),
                ":may_have_arrived": attempt.fate == Fate::MayHaveArrived,
            },
            |row| Ok(line_of(row)),
        )
        .optional()?;
    let Some(line) = settled else { return Ok(None) };
    let (conversion, destination) = line?;
    line::advance(connection, conversion, destination, attempt.at)?;
    Ok(Some(destination))
}

/// What an attempt says of its destination; the destination where this pauses it.
fn judge(
    connection: &Connection,
    destination: DestinationId,
    attempt: &Attempt,
    rule: PauseRule,
) -> Result<Option<DestinationId>, Error> {
    let is_answer_good = attempt.http_status.is_some_and(|status| (200..300).contains(&status));
    match attempt.next {
        _ if attempt.fate == Fate::Unmade => {
            if matches!(attempt.next, Next::Again { .. }) {
                probe_later(connection, destination, attempt, rule)?;
            }
            return Ok(None);
        }
        Next::Delivered | Next::Unverified => {
            alive(connection, destination, Some(attempt.ended_at()))?;
        }
        // It has looked at this one, and does not want it: the next may be another matter.
        Next::Rejected if is_answer_good => alive(connection, destination, None)?,
        _ => return failed(connection, destination, attempt, rule),
    }
    Ok(None)
}

/// One that was paused by its failures is back.
fn alive(
    connection: &Connection,
    destination: DestinationId,
    good_at: Option<Timestamp>,
) -> Result<(), Error> {
    let is_back = connection
        .prepare_cached(
            "-- deliveries::alive
            select 1 from destination where id = ?1 and paused_by = 'failures'",
        )?
        .exists([destination.0])?;
    if is_back {
        resume(connection, destination)?;
    }
    connection
        .prepare_cached(
            "-- deliveries::alive
            insert into destination (id, failures, last_good_at) values (:id, 0, :at)
            on conflict do update set failures = 0, last_good_at = coalesce(:at, last_good_at)",
        )?
        .execute(named_params! { ":id": destination.0, ":at": good_at.map(Timestamp::as_us) })?;
    Ok(())
}

/// The destination where this pauses it.
fn failed(
    connection: &Connection,
    destination: DestinationId,
    attempt: &Attempt,
    rule: PauseRule,
) -> Result<Option<DestinationId>, Error> {
    let (failures, paused_by): (u32, Option<String>) = connection
        .prepare_cached(
            "-- deliveries::failed
            insert into destination (id, failures) values (?1, 1)
            on conflict do update set failures = failures + 1
            returning failures, paused_by",
        )?
        .query_row([destination.0], |row| Ok((row.get("failures")?, row.get("paused_by")?)))?;
    let probe_at = attempt.at.plus_s(rule.probe_every_s.into());
    let is_paused_by = |by: PausedBy| paused_by.as_deref() == Some(by.name());
    let is_gone = attempt.http_status == Some(GONE);
    let (by, why, probe_at) = if is_gone && !is_paused_by(PausedBy::Person) {
        (PausedBy::Gone, "it answered 410: it wants to hear nothing more".to_owned(), None)
    } else if paused_by.is_none() && failures >= rule.after_failures {
        let last = match (&attempt.error, attempt.http_status) {
            (Some(error), _) => error.clone(),
            (None, Some(status)) => format!("it answered {status}"),
            (None, None) => "it did not answer".to_owned(),
        };
        let why = format!("{failures} attempts in a row have failed; the last: {last}");
        (PausedBy::Failures, why, Some(probe_at))
    } else {
        probe_later(connection, destination, attempt, rule)?;
        return Ok(None);
    };
    pause(connection, destination, &Pause { at: attempt.at, by, why, probe_at })?;
    Ok(Some(destination))
}

/// One that is paused by its failures is probed once more when it is time.
fn probe_later(
    connection: &Connection,
    destination: DestinationId,
    attempt: &Attempt,
    rule: PauseRule,
) -> Result<(), Error> {
    let probe_at = attempt.at.plus_s(rule.probe_every_s.into());
    connection
        .prepare_cached(
            "-- deliveries::probe_later
            update destination set probe_at = :probe_at
            where id = :id and paused_by = 'failures' and probe_at < :probe_at",
        )?
        .execute(named_params! { ":id": destination.0, ":probe_at": probe_at.as_us() })?;
    Ok(())
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

/// What was tried before the pause is sent in its place again, oldest first: the first chunk of it
/// now, and the next ones whenever it is asked what is due.
pub(super) fn resume(connection: &Connection, destination: DestinationId) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::resume
            insert into destination (id, failures, resumed_to) values (?1, 0, 0)
            on conflict do update set failures = 0, paused_at = null, paused_by = null,
                paused_why = null, probe_at = null, resumed_to = 0",
        )?
        .execute([destination.0])?;
    chunk::put_back(connection, destination, chunk::CHUNK)
}
