//! What destinations must have been told: what was made after they were, what a backfill took, and
//! of it always what stands.

use crate::model::Model;
use domain::command::Act;
use domain::conversion::Status;
use domain::destination::Period;
use domain::id::{DeliveryId, DestinationId};
use domain::money::Micros;
use domain::time::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use store::Store;

/// More than a life has.
const OWED_MAX: u32 = 100_000;

#[derive(Default)]
pub(crate) struct Told {
    /// When each conversion was made, the first first.
    created: Vec<Timestamp>,
    destinations: Vec<Knowing>,
}

/// What one destination has to know.
struct Knowing {
    /// How many conversions there were before it.
    missed: usize,
    backfilled: BTreeSet<usize>,
}

impl Told {
    /// A record at that time may have made a conversion.
    pub(crate) fn pass(&mut self, model: &Model, at: Timestamp) {
        self.created.resize(model.made.len(), at);
    }

    pub(crate) fn add_destination(&mut self) {
        let missed = self.created.len();
        self.destinations.push(Knowing { missed, backfilled: BTreeSet::new() });
    }

    /// Whether it has an effect.
    pub(crate) fn backfill(
        &mut self,
        id: DestinationId,
        period: Period,
        model: &Model,
        at: Timestamp,
    ) -> bool {
        let Some(destination) = self.destinations.get_mut(id.0 as usize - 1) else { return false };
        if period.from >= period.to || period.to > at {
            return false;
        }
        let is_in = |number: &usize| {
            let is_approved = model.conversions[&model.made[*number]].status == Status::Approved;
            is_approved && (period.from..period.to).contains(&self.created[*number])
        };
        destination.backfilled.extend((0..self.created.len()).filter(is_in));
        true
    }

    /// What was told adds up to what stands, of all that a destination has to know; of the rest too,
    /// once it was told anything.
    pub(crate) async fn compare(&self, model: &Model, store: &dyn Store) {
        let mut told: BTreeMap<(usize, usize), (u32, i64)> = BTreeMap::new();
        for stored in store.owed(DeliveryId(0), OWED_MAX).await.unwrap() {
            let owed = stored.owed;
            let number = usize::try_from(owed.conversion_id.0).unwrap() - 1;
            let own = told.entry((owed.destination_id.0 as usize - 1, number)).or_default();
            assert!(own.0 < owed.sequence, "{owed:?} is told twice");
            *own = (owed.sequence, own.1 + owed.difference.0);
        }
        for (place, destination) in self.destinations.iter().enumerate() {
            for (number, key) in model.made.iter().enumerate() {
                let conversion = &model.conversions[key];
                let is_approved = conversion.status == Status::Approved;
                let stands = if is_approved { conversion.payout } else { Micros::ZERO };
                let own = told.get(&(place, number)).map(|(_, sum)| Micros(*sum));
                let has_to =
                    number >= destination.missed || destination.backfilled.contains(&number);
                if has_to || own.is_some() {
                    assert_eq!(own.unwrap_or_default(), stands, "{place}: {key:?}");
                }
            }
        }
    }
}

/// The publisher's, which is told of what is approved.
pub(crate) fn destination() -> Act {
    let new = json!({
        "owner": {"level": "publisher", "publisher_id": 1},
        "outbound": {"own": {"url": "https://t.example/?c={click_id}&p={payout}"}},
    });
    Act::CreateDestination(Box::new(serde_json::from_value(new).unwrap()))
}
