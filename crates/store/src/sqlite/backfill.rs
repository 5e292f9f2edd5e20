//! Backfill: looks at conversions as they stand, in the order in which they were made.
//!
//! Bounded, for hits wait while the writer does it.

use super::apply::guarded;
use super::{Writer, conversion, delivery};
use crate::Error;
use domain::command::Failure;
use domain::destination::{self, BACKFILL_CONVERSIONS_MAX, Backfilled, Destination, Owed, Period};
use domain::id::{ConversionId, DestinationId, Position, PublisherId};
use domain::ledger::{Conversion, Home};
use domain::time::Timestamp;
use rusqlite::{Connection, named_params};

/// Where the conversions of a publisher begin that come after the given place.
const LOOK: &str = "-- backfill::look
    select * from conversion where publisher_id = :publisher
        and created_at >= :from and created_at < :to and (created_at, id) > (:after_at, :after)
    order by created_at, id limit :limit";

/// What a backfill comes to, and what it has the destination owed.
type Looked = (Backfilled, Vec<(Home, Owed)>);

/// Has `decide` say of each conversion of the period what is owed, from what was before. `None`:
/// there is no such conversion as it is to go on after.
fn look(
    connection: &Connection,
    publisher: PublisherId,
    period: Period,
    mut decide: impl FnMut(&Conversion, &[Owed]) -> Result<Option<Owed>, Error>,
) -> Result<Option<Looked>, Error> {
    let (after_at, after) = match period.after {
        None => (period.from, ConversionId(0)),
        Some(after) => match conversion::by_id(connection, after)? {
            Some(found) => (found.created_at, after),
            None => return Ok(None),
        },
    };
    let mut statement = connection.prepare_cached(LOOK)?;
    let mut rows = statement.query(named_params! {
        ":publisher": publisher.0,
        ":from": period.from.max(after_at).as_us(),
        ":to": period.to.as_us(),
        ":after_at": after_at.as_us(),
        ":after": after.0,
        ":limit": BACKFILL_CONVERSIONS_MAX + 1,
    })?;
    let (mut done, mut all, mut last) = (Backfilled::default(), Vec::new(), None);
    while let Some(row) = rows.next()? {
        if done.examined == BACKFILL_CONVERSIONS_MAX {
            done.next = last;
            break;
        }
        let conversion = conversion::read(row)?;
        let home = conversion.key.home;
        let before = delivery::of_conversion(connection, home, conversion.id)?;
        all.extend(decide(&conversion, &before)?.map(|owed| (home, owed)));
        done.examined += 1;
        last = Some(conversion.id);
    }
    done.owed = u32::try_from(all.len()).expect("they are not more than were looked at");
    Ok(Some((done, all)))
}

/// What a backfill at `at` would come to.
pub(super) fn preview(
    connection: &mut Connection,
    destination: &Destination,
    publisher: PublisherId,
    period: Period,
    at: Timestamp,
) -> Result<Option<Backfilled>, Error> {
    let tx = connection.transaction()?;
    let looked = look(&tx, publisher, period, |conversion, before| {
        Ok(destination::backfilled(destination, conversion, before, at))
    })?;
    Ok(looked.map(|(done, _)| done))
}

impl Writer {
    /// `by` is the command at `at`.
    pub(super) fn backfill(
        &mut self,
        id: DestinationId,
        period: Period,
        (by, at): (Position, Timestamp),
    ) -> Result<Result<Backfilled, Failure>, Error> {
        let setup = self.setup.clone();
        let (destination, publisher) = match setup.to_backfill(id, period, at) {
            Ok(found) => found,
            Err(failure) => return Ok(Err(failure)),
        };
        let looked = look(&self.connection, publisher, period, |conversion, before| {
            guarded(by, || destination::backfilled(destination, conversion, before, at))
        })?;
        let Some((done, all)) = looked else {
            let after = period.after.map_or(0, u64::from);
            let detail = format!("there is no conversion {after}");
            return Ok(Err(Failure::invalid("after", detail)));
        };
        for (home, owed) in all {
            self.add_owed(home, &owed)?;
        }
        Ok(Ok(done))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{WRITER_CACHE_KIB, connect, migrate};
    use super::*;

    #[test]
    fn only_the_publisher_s_conversions_of_the_period_are_read_and_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = connect(&dir.path().join("ledger.db"), WRITER_CACHE_KIB).unwrap();
        migrate::ledger(&mut connection).unwrap();
        let mut statement = connection.prepare(&format!("explain query plan {LOOK}")).unwrap();
        let names = [":publisher", ":from", ":to", ":after_at", ":after", ":limit"];
        let values = names.map(|name| (name, &1 as &dyn rusqlite::ToSql));
        let steps = statement.query_map(&values[..], |row| row.get::<_, String>("detail")).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        let [step] = &steps[..] else { panic!("nothing is sorted: {steps:?}") };
        let index = "conversion_publisher (publisher_id=? AND created_at>? AND created_at<?)";
        assert!(step.contains(index), "{step}");
    }
}
