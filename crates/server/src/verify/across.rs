//! The parts of a data directory held against each other: journal and facts against the ledger.
//!
//! What the ledger says is read once and kept small (a click id for each conversion, a position
//! for each verdict, a digest for each entry); journal and facts then go past it.

use super::{Look, Report};
use crate::terminal::Progress;
use domain::click_id::ClickId;
use domain::id::Position;
use domain::ledger::Cause;
use domain::reason::Flag;

/// What the ledger says, and what of it has been found elsewhere.
#[derive(Default)]
pub(super) struct Across {
    /// Whether the ledger could be read: without it, nothing is held against it.
    is_loaded: bool,
    /// The first position without verdicts.
    position: u64,
    /// Of the clicks that have a conversion, in the order of their ids.
    converted: Vec<Converted>,
    /// Of the hits that have a verdict, ascending.
    verdicts: Vec<u64>,
    /// Of the hits that led to entries, by position.
    evidence: Vec<Evidence>,
    hits_checked: u64,
}

struct Converted {
    click_id: ClickId,
    /// The conversion, or one of them.
    conversion: u64,
    /// It was noted when it was decided that the click's row is gone.
    is_known_missing: bool,
    is_found: bool,
}

struct Evidence {
    position: u64,
    digest: [u8; 32],
    is_compared: bool,
}

impl Across {
    /// Reads the ledger.
    pub(super) fn load(&mut self, look: &Look, report: &mut Report) -> Result<(), store::Error> {
        let mut progress = Progress::new();
        let mut before = None;
        loop {
            let page = look.verdicts(before)?;
            self.verdicts.extend(page.items.iter().map(|verdict| verdict.position.0));
            progress.at("verdicts", self.verdicts.len() as u64);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        loop {
            let page = look.conversions(before)?;
            for conversion in &page.items {
                self.converted.push(Converted {
                    click_id: conversion.click_id,
                    conversion: conversion.id.0,
                    is_known_missing: conversion.flags.has(Flag::ClickDetailMissing),
                    is_found: false,
                });
                for entry in look.entries(conversion.id)? {
                    if let Cause::Hit(Position(position)) = entry.cause {
                        let (digest, is_compared) = (entry.evidence, false);
                        self.evidence.push(Evidence { position, digest, is_compared });
                    }
                }
                progress.at("conversions", self.converted.len() as u64);
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        report.counted("verdicts", self.verdicts.len() as u64);
        report.counted("conversions", self.converted.len() as u64);
        report.counted("entries made by hits", self.evidence.len() as u64);
        self.verdicts.sort_unstable();
        self.converted.sort_unstable_by_key(|one| one.click_id);
        self.evidence.sort_unstable_by_key(|one| one.position);
        self.position = look.position.0;
        self.is_loaded = true;
        Ok(())
    }

    /// A click that is there.
    pub(super) fn click(&mut self, id: ClickId) {
        let first = self.converted.partition_point(|one| one.click_id < id);
        let of_it = self.converted[first..].iter_mut().take_while(|one| one.click_id == id);
        of_it.for_each(|one| one.is_found = true);
    }

    /// A hit that is there, in the journal with its digest.
    pub(super) fn hit(
        &mut self,
        position: Position,
        digest: Option<[u8; 32]>,
        report: &mut Report,
    ) {
        if !self.is_loaded {
            return;
        }
        self.hits_checked += 1;
        if position.0 < self.position && self.verdicts.binary_search(&position.0).is_err() {
            report.fault(format!("hit {position}"), "it was applied and has no verdict");
        }
        if let Some(digest) = digest {
            self.compare(position, &digest, report);
        }
    }

    fn compare(&mut self, position: Position, digest: &[u8; 32], report: &mut Report) {
        let first = self.evidence.partition_point(|one| one.position < position.0);
        let of_it = self.evidence[first..].iter_mut();
        for entry in of_it.take_while(|one| one.position == position.0) {
            if entry.digest != *digest && !entry.is_compared {
                let detail = "it is not the one that the ledger's entry commits to";
                report.fault(format!("hit {position}"), detail);
            }
            entry.is_compared = true;
        }
    }

    /// The hits that led to entries and are not in the journal any more, as far as they are kept.
    pub(super) fn sealed_hits(&mut self, look: &Look, report: &mut Report) -> anyhow::Result<()> {
        let mut progress = Progress::new();
        let rest = self.evidence.iter().filter(|one| !one.is_compared);
        let mut positions: Vec<u64> = rest.map(|one| one.position).collect();
        positions.dedup();
        for (done, position) in (0..).zip(positions.into_iter().map(Position)) {
            progress.at("sealed hits compared", done);
            match look.hit(position) {
                Ok(Some(hit)) => {
                    let whole = hit.request.as_ref().map(domain::hit::Hit::digest);
                    if whole.is_some_and(|whole| whole != hit.digest) {
                        let detail = "the request that is kept has another digest than it had";
                        report.fault(format!("hit {position}"), detail);
                    }
                    self.compare(position, &hit.digest, report);
                }
                // It was kept for as long as hits are.
                Ok(None) => {}
                Err(error @ store::facts::Error::Io { .. }) => return Err(error.into()),
                Err(error) => report.fault(format!("hit {position}"), error.to_string()),
            }
        }
        Ok(())
    }

    /// What was found nowhere. Clicks are kept for ever, so age is no excuse.
    pub(super) fn conclude(&self, report: &mut Report) {
        for one in &self.converted {
            if !one.is_found && !one.is_known_missing {
                let place = format!("conversion {}", one.conversion);
                report.fault(place, "its click is neither in the journal nor in the facts");
            }
        }
        let compared = self.evidence.iter().filter(|one| one.is_compared).count();
        report.counted("hits held against their verdicts", self.hits_checked);
        report.counted("entries held against their hits", compared as u64);
        let found = self.converted.iter().filter(|one| one.is_found).count();
        report.counted("conversions held against their clicks", found as u64);
    }
}
