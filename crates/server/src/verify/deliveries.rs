//! The deliveries held against the ledger: each is what a destination is owed, and nothing that was
//! taken over is gone.

use super::{Look, Report};
use crate::open::DELIVERIES;
use crate::terminal::Progress;
use domain::id::DeliveryId;
use std::collections::BTreeMap;
use std::path::Path;
use store::deliveries::{Deliveries, DeliveryFilter, SqliteDeliveries};
use store::list::PAGE_ROWS_MAX;

/// What a delivery is of: destination, conversion and sequence.
type Of = (u32, u64, u32);

/// Where there is no such file, the next start begins one.
pub(super) fn check(look: &Look, data: &Path, report: &mut Report) {
    let checked = look.deliveries(data).and_then(|found| match found {
        Some(deliveries) => compare(look, &deliveries, report),
        None => Ok(()),
    });
    if let Err(error) = checked {
        report.fault(DELIVERIES, format!("{error:#}"));
    }
}

fn compare(look: &Look, found: &SqliteDeliveries, report: &mut Report) -> anyhow::Result<()> {
    let damages = look.wait(found.damages())?;
    let is_whole = damages.is_empty();
    for damage in damages {
        report.fault(DELIVERIES, damage);
    }
    if !is_whole {
        return Ok(());
    }
    let mut taken = taken(look, found)?;
    let cursor = look.wait(found.cursor())?;
    let (mut after, mut count) = (DeliveryId(0), 0);
    loop {
        let page = look.owed(after)?;
        for stored in &page {
            let (id, owed) = (stored.id, &stored.owed);
            let expected = (owed.destination_id.0, owed.conversion_id.0, owed.sequence);
            match taken.remove(&id.0) {
                Some(of) if of == expected => count += 1,
                Some(_) => {
                    report.fault(format!("delivery {id}"), "it is not what the ledger owes");
                }
                None if id <= cursor => {
                    report.fault(format!("delivery {id}"), "it was taken over and is gone");
                }
                None => {}
            }
            after = id;
        }
        if page.is_empty() {
            break;
        }
    }
    // A ledger that is behind its journal comes to owe them again.
    if look.position >= look.next {
        for id in taken.keys() {
            report.fault(format!("delivery {id}"), "the ledger does not owe it");
        }
    }
    report.counted("deliveries held against what is owed", count);
    Ok(())
}

fn taken(look: &Look, found: &SqliteDeliveries) -> anyhow::Result<BTreeMap<u64, Of>> {
    let mut progress = Progress::new();
    let mut taken = BTreeMap::new();
    let mut filter = DeliveryFilter { limit: PAGE_ROWS_MAX, ..DeliveryFilter::default() };
    loop {
        let page = look.wait(found.list(&filter))?;
        for one in &page.items {
            let owed = &one.owed;
            let of = (owed.destination_id.0, owed.conversion_id.0, owed.sequence);
            taken.insert(one.id.0, of);
        }
        progress.at("deliveries", taken.len() as u64);
        filter.before = page.next;
        if filter.before.is_none() {
            return Ok(taken);
        }
    }
}
