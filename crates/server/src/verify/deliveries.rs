//! The deliveries held against the ledger: each is what a destination is owed, and nothing that was
//! taken over is gone. Both are read a page at a time, for there may be more than memory holds.

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
    let cursor = look.wait(found.cursor())?;
    let (mut after, mut count) = (DeliveryId(0), 0);
    let mut progress = Progress::new();
    loop {
        let page = look.owed(after)?;
        let last = page.last().map(|stored| stored.id);
        let mut taken = taken(look, found, after, last)?;
        for stored in &page {
            let (id, owed) = (stored.id, &stored.owed);
            let expected = (owed.destination_id.0, owed.conversion_id.0, owed.sequence);
            match taken.remove(&id) {
                Some(of) if of == expected => count += 1,
                Some(_) => {
                    report.fault(format!("delivery {id}"), "it is not what the ledger owes");
                }
                None if id <= cursor => {
                    report.fault(format!("delivery {id}"), "it was taken over and is gone");
                }
                None => {}
            }
        }
        // A ledger that is behind its journal comes to owe them again.
        if look.position >= look.next {
            for id in taken.keys() {
                report.fault(format!("delivery {id}"), "the ledger does not owe it");
            }
        }
        progress.at("deliveries", count);
        let Some(last) = last else { break };
        after = last;
    }
    report.counted("deliveries held against what is owed", count);
    Ok(())
}

/// Those after `after`, as far as `last`: as many as one page of what is owed, where both are whole.
/// Without `last`: all that are left, which the ledger does not owe.
pub(super) fn taken(
    look: &Look,
    found: &SqliteDeliveries,
    after: DeliveryId,
    last: Option<DeliveryId>,
) -> anyhow::Result<BTreeMap<DeliveryId, Of>> {
    let mut taken = BTreeMap::new();
    let before = last.map(|last| last.0.saturating_add(1));
    let mut filter = DeliveryFilter { before, limit: PAGE_ROWS_MAX, ..DeliveryFilter::default() };
    loop {
        let page = look.wait(found.list(&filter))?;
        for one in page.items.iter().take_while(|one| one.id > after) {
            let owed = &one.owed;
            let of = (owed.destination_id.0, owed.conversion_id.0, owed.sequence);
            taken.insert(one.id, of);
        }
        filter.before = page.next.filter(|next| *next > after.0.saturating_add(1));
        if filter.before.is_none() {
            return Ok(taken);
        }
    }
}
