//! The line of what waits of one conversion for one destination: one thing at a time is sent, in
//! its order, and only what is news to the receiver by then.

use super::super::{Delivery, State};
use super::rows;
use crate::Error;
use crate::sqlite::row::integer;
use domain::destination::{News, Owed, OwedKind, news};
use domain::id::{ConversionId, DeliveryId, DestinationId};
use domain::time::Timestamp;
use rusqlite::{Connection, named_params};

/// All that the destination was ever owed about the conversion, in its order.
pub(super) fn all(
    connection: &Connection,
    conversion: ConversionId,
    destination: DestinationId,
) -> Result<Vec<Delivery>, Error> {
    let sql = "-- deliveries::line
        select * from delivery where conversion_id = ?1 and destination_id = ?2 order by sequence";
    let values = [integer(conversion.0).into(), destination.0.into()];
    rows::all(connection, sql, &values, rows::delivery)
}

/// Moves the line up after something came into it or left it.
pub(super) fn advance(
    connection: &Connection,
    conversion: ConversionId,
    destination: DestinationId,
    now: Timestamp,
) -> Result<(), Error> {
    let all = all(connection, conversion, destination)?;
    let waiting: Vec<&Delivery> = all.iter().filter(|one| one.state == State::Waiting).collect();
    let mut kept = Vec::new();
    for (place, one) in waiting.iter().enumerate() {
        let is_overtaken = waiting[place + 1..].iter().any(|later| overtakes(later, one));
        if is_overtaken && one.leased_until.is_none() {
            end(connection, one.id, State::Cancelled, now)?;
        } else {
            kept.push(*one);
        }
    }
    let mut kept = kept.into_iter().peekable();
    while let Some(head) = kept.peek() {
        // What was tried under a key stays what it is.
        if head.attempts > 0 {
            break;
        }
        let is_before =
            |one: &&Delivery| one.may_have_arrived && one.owed.sequence < head.owed.sequence;
        let told = all.iter().rfind(is_before).map(|one| &one.owed);
        match news(&head.owed, told, head.hearing) {
            News::Tell(owed) => {
                rewrite(connection, head.id, &owed)?;
                break;
            }
            News::None => end(connection, head.id, State::Cancelled, now)?,
            News::Unheard(owed) => {
                rewrite(connection, head.id, &owed)?;
                end(connection, head.id, State::Uncorrectable, now)?;
            }
        }
        kept.next();
    }
    for (place, one) in kept.enumerate() {
        line_up(connection, one.id, place > 0)?;
    }
    Ok(())
}

/// What takes back or corrects something ends what still waits before it: it says more. Where both
/// are sent once more, both are wanted.
///
/// Of what may have arrived nobody knows what there is to take back or correct, so it is tried until
/// that is known; unless it would be told for good, although it does not count any more.
fn overtakes(later: &Delivery, one: &Delivery) -> bool {
    let are_new = one.attempts == 0 && later.attempts == 0;
    let is_due = !later.is_replay || are_new;
    is_due
        && match later.owed.kind {
            OwedKind::Notice => false,
            OwedKind::Correction => !one.may_have_arrived,
            OwedKind::Withdrawal => !one.may_have_arrived || !later.hearing.withdrawals,
        }
}

/// Puts it behind another one, or to the head. What is under way is put behind when it is settled: its
/// lease would run out unnoticed there.
fn line_up(connection: &Connection, id: DeliveryId, is_behind: bool) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::line_up
            update delivery set lane = case
                when :is_behind then 3
                when lane < 3 then lane
                when is_replay or backfilled_at is not null then 2
                when attempts > 0 then 1
                else 0
            end
            where id = :id and (lane = 3) <> :is_behind and (leased_until is null or not :is_behind)",
        )?
        .execute(named_params! { ":id": integer(id.0), ":is_behind": is_behind })?;
    Ok(())
}

fn rewrite(connection: &Connection, id: DeliveryId, owed: &Owed) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::rewrite
            update delivery set kind = :kind, difference = :difference,
                full_difference = :full_difference
            where id = :id and (kind, difference, full_difference)
                <> (:kind, :difference, :full_difference)",
        )?
        .execute(named_params! {
            ":id": integer(id.0),
            ":kind": owed.kind.name(),
            ":difference": owed.difference.0,
            ":full_difference": owed.full_difference.0,
        })?;
    Ok(())
}

fn end(connection: &Connection, id: DeliveryId, state: State, at: Timestamp) -> Result<(), Error> {
    connection
        .prepare_cached(
            "-- deliveries::end
            update delivery set state = :state, settled_at = :at, leased_until = null
            where id = :id",
        )?
        .execute(
            named_params! { ":id": integer(id.0), ":state": state.name(), ":at": at.as_us() },
        )?;
    Ok(())
}
