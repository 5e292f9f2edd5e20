//! What stored hits would have led to, had an integration spoken otherwise: nothing is written.
//!
//! The hits of every click that comes into question are decided from its first one on, twice: as
//! they were agreed on, and as if. What differs is what the change would bring. A person's changes
//! of status are taken along, at their place.

mod replay;

pub(crate) use replay::replay;

use crate::app::App;
use domain::click::Click;
use domain::click_id::ClickId;
use domain::command::Act;
use domain::conversion::Status;
use domain::hit::Hit;
use domain::id::{ConversionId, Position};
use domain::integration::Integration;
use domain::ledger::{self, Cause, ContractRef, Conversion, Decision, Occasion, Read, Rehearsal};
use domain::reason::{Reason, Verdict};
use domain::setup::Setup;
use domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::Error;
use store::list::{ConversionFilter, PAGE_ROWS_MAX, StoredVerdict, VerdictFilter};

/// How many hits are looked at, the newest first, and how many are decided, with the others of
/// their clicks: enough for a day of a busy integration.
pub(crate) const HITS_MAX: usize = 50_000;
/// How much their requests hold at the most: all are in memory at once.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Since ever.
const BEGIN: Timestamp = Timestamp::UNIX_EPOCH;

/// What would differ.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// How many hits were read by the integration, or would be.
    pub(crate) hits: usize,
    /// Whether all hits since then were looked at.
    pub(crate) is_complete: bool,
    /// Hits whose request is not kept any more.
    pub(crate) removed: usize,
    /// Hits that a replay leaves as they are: what came later has changed their conversions.
    pub(crate) overtaken: usize,
    /// In the order they arrived.
    pub(crate) verdicts: Vec<HitChange>,
    pub(crate) conversions: Vec<ConversionChange>,
}

/// A hit with another verdict.
#[derive(Debug)]
pub(crate) struct HitChange {
    pub(crate) position: Position,
    pub(crate) at: Timestamp,
    pub(crate) was: Told,
    pub(crate) would: Told,
}

/// A verdict in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Option<Reason>,
    pub(crate) parameter: Option<String>,
}

impl Told {
    fn stored(verdict: &StoredVerdict) -> Self {
        let StoredVerdict { verdict, reason, parameter, .. } = verdict;
        Self { verdict: *verdict, reason: *reason, parameter: parameter.clone() }
    }

    fn of(decision: &Decision) -> Self {
        let Decision { verdict, reason, parameter, .. } = decision;
        Self { verdict: *verdict, reason: *reason, parameter: parameter.clone() }
    }
}

/// A conversion that would be another one, or be there on one side alone.
#[derive(Debug)]
pub(crate) struct ConversionChange {
    pub(crate) made_by: Position,
    pub(crate) was: Option<Conversion>,
    pub(crate) would: Option<Conversion>,
}

/// Tries `integration` on the hits that arrived from `since` on.
pub(crate) async fn rehearse(
    app: &App,
    integration: Integration,
    since: Timestamp,
) -> Result<Difference, Error> {
    let setup = app.live.setup().clone();
    let tried = setup.as_if(&integration, since);
    let now = setup.integration(integration.id).unwrap_or(&integration);
    let (was, would) = (setup.read_as_if(now, BEGIN), tried.read_as_if(&integration, BEGIN));
    let again = Versions { was: &was, would: &would };
    let first = Versions { was: &setup, would: &tried };
    let by = ContractRef::Integration { id: integration.id, version: integration.version };
    let mut gathered =
        Gathered { app, tried: &tried, by: &by, hits: BTreeMap::new(), room: Room::new() };
    let mut difference = Difference::default();
    let clicks = gathered.recent(since, &mut difference).await?;
    gathered.of_clicks(&clicks, &mut difference).await?;
    difference.is_complete &= !gathered.room.is_full;
    let deeds = deeds(app, &clicks).await?;
    difference.hits = gathered.hits.values().filter(|one| one.is_meant).count();
    let hits = gathered.hits;
    let clicks = HashMap::new();
    Stage { app, first, again, difference, clicks }.play(hits, deeds).await
}

/// A hit on its way into the rehearsal.
struct Request {
    at: Timestamp,
    hit: Hit,
    /// What has come of it.
    was: Told,
    /// It is one of those that the change is tried on.
    is_meant: bool,
    /// A command had it decided again, as the integration spoke then.
    is_again: bool,
}

/// How much more is gathered.
#[derive(Debug)]
struct Room {
    hits: usize,
    bytes: usize,
    /// Something found no place in it: nothing more is gathered.
    is_full: bool,
}

impl Room {
    fn new() -> Self {
        Self { hits: HITS_MAX, bytes: REQUEST_BYTES_MAX, is_full: false }
    }

    /// Whether there is a place for it.
    fn take(&mut self, hit: &Hit) -> bool {
        let headers = hit.headers.iter().map(|(name, value)| name.len() + value.len());
        let texts = hit.base.len() + hit.forwarded.as_ref().map_or(0, String::len);
        let bytes = hit.target.len() + hit.body.len() + texts + headers.sum::<usize>();
        match (self.hits.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(hits), Some(bytes)) if !self.is_full => (self.hits, self.bytes) = (hits, bytes),
            _ => self.is_full = true,
        }
        !self.is_full
    }
}

struct Gathered<'a> {
    app: &'a App,
    tried: &'a Setup,
    by: &'a ContractRef,
    hits: BTreeMap<Position, Request>,
    room: Room,
}

impl Gathered<'_> {
    /// The hits since then that the integration read or would read; answers their clicks.
    async fn recent(
        &mut self,
        since: Timestamp,
        difference: &mut Difference,
    ) -> Result<BTreeSet<ClickId>, Error> {
        let mut clicks = BTreeSet::new();
        let limit = PAGE_ROWS_MAX;
        let mut filter = VerdictFilter { from: Some(since), limit, ..VerdictFilter::default() };
        let mut seen = 0;
        loop {
            let page = self.app.store.verdicts(&filter).await?;
            for verdict in page.items {
                seen += 1;
                if seen > HITS_MAX {
                    return Ok(clicks);
                }
                clicks.extend(self.add_if_meant(&verdict, difference).await?);
                if self.room.is_full {
                    return Ok(clicks);
                }
            }
            filter.before = page.next;
            if filter.before.is_none() {
                difference.is_complete = true;
                return Ok(clicks);
            }
        }
    }

    /// Adds it where the change concerns it; answers its click.
    async fn add_if_meant(
        &mut self,
        verdict: &StoredVerdict,
        difference: &mut Difference,
    ) -> Result<Option<ClickId>, Error> {
        let own = |contract: &str| contract.split_once('.').map(|(id, _)| id.to_owned());
        let read_by = verdict.contract.as_deref().and_then(own);
        let is_its = matches!(self.by, ContractRef::Integration { id, .. }
            if read_by.as_deref() == Some(id.to_string().as_str()));
        if read_by.is_some() && !is_its {
            return Ok(None);
        }
        let Some(kept) = self.app.store.hit(verdict.position).await? else { return Ok(None) };
        let Some(hit) = kept.hit else {
            difference.removed += usize::from(is_its);
            return Ok(None);
        };
        let mut read = ledger::read(self.tried, &self.app.keys.click, &hit, kept.at);
        find_transaction(self.app, self.tried, &mut read).await?;
        let would_be =
            read.contract_ref.as_ref().is_some_and(|one| one.is_same_integration(self.by));
        if !is_its && !would_be {
            return Ok(None);
        }
        let click_id = read.click_id.or(verdict.click_id);
        if !self.room.take(&hit) {
            return Ok(None);
        }
        let is_again = verdict.decided_by.is_some();
        let was = Told::stored(verdict);
        let gathered = Request { at: kept.at, hit, was, is_meant: true, is_again };
        self.hits.insert(verdict.position, gathered);
        Ok(click_id)
    }

    /// All other hits of those clicks, for what came before decides too.
    async fn of_clicks(
        &mut self,
        clicks: &BTreeSet<ClickId>,
        difference: &mut Difference,
    ) -> Result<(), Error> {
        for click_id in clicks {
            let limit = PAGE_ROWS_MAX;
            let mut filter =
                VerdictFilter { click_id: Some(*click_id), limit, ..VerdictFilter::default() };
            loop {
                let page = self.app.store.verdicts(&filter).await?;
                for verdict in page.items {
                    if self.hits.contains_key(&verdict.position) {
                        continue;
                    }
                    let kept = self.app.store.hit(verdict.position).await?;
                    match kept.map(|kept| (kept.at, kept.hit)) {
                        Some((at, Some(hit))) => {
                            if !self.room.take(&hit) {
                                return Ok(());
                            }
                            let is_again = verdict.decided_by.is_some();
                            let was = Told::stored(&verdict);
                            let gathered = Request { at, hit, was, is_meant: false, is_again };
                            self.hits.insert(verdict.position, gathered);
                        }
                        _ => difference.removed += 1,
                    }
                }
                filter.before = page.next;
                if filter.before.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// What a person did to a conversion.
struct Deed {
    /// The hit that made it.
    made_by: Position,
    done: Done,
    reason: String,
    at: Timestamp,
}

enum Done {
    Status(Status),
    Repair(String),
    /// Into the one that the hit at that position made.
    Merge(Position),
}

/// What an act does to a conversion, and why; `None` where it does something else.
async fn done(app: &App, act: Act) -> Result<Option<(Done, String)>, Error> {
    Ok(match act {
        Act::ChangeConversionStatus { to, reason, .. } => Some((Done::Status(to), reason)),
        Act::RepairTxnId { txn_id, reason, .. } => Some((Done::Repair(txn_id), reason)),
        Act::MergeConversion { into, reason, .. } => {
            let into = app.store.conversion(into).await?;
            into.map(|(into, _)| (Done::Merge(into.created_by), reason))
        }
        _ => None,
    })
}

/// What was done by hand to the conversions of those clicks, by position.
async fn deeds(app: &App, clicks: &BTreeSet<ClickId>) -> Result<BTreeMap<Position, Deed>, Error> {
    let mut deeds = BTreeMap::new();
    for click_id in clicks {
        let limit = PAGE_ROWS_MAX;
        let filter =
            ConversionFilter { click_id: Some(*click_id), limit, ..ConversionFilter::default() };
        for conversion in app.store.conversions(&filter).await?.items {
            add_deeds(app, conversion.id, &mut deeds).await?;
        }
    }
    Ok(deeds)
}

async fn add_deeds(
    app: &App,
    id: ConversionId,
    deeds: &mut BTreeMap<Position, Deed>,
) -> Result<(), Error> {
    let Some((conversion, entries)) = app.store.conversion(id).await? else { return Ok(()) };
    for entry in entries {
        let Cause::Command(position) = entry.entry.cause else { continue };
        let Some(stored) = app.store.command(position).await? else { continue };
        if let Some((done, reason)) = done(app, stored.command.act).await? {
            let made_by = conversion.created_by;
            deeds.insert(position, Deed { made_by, done, reason, at: stored.at });
        }
    }
    Ok(())
}

/// The setups that hits are read with, as it was and as it would be.
#[derive(Clone, Copy)]
struct Versions<'a> {
    was: &'a Setup,
    would: &'a Setup,
}

/// Where both rehearsals are played.
struct Stage<'a> {
    app: &'a App,
    /// For hits that were decided once.
    first: Versions<'a>,
    /// For those that a command had decided again.
    again: Versions<'a>,
    difference: Difference,
    clicks: HashMap<ClickId, Option<(Position, Click<'static>)>>,
}

impl Stage<'_> {
    async fn play(
        mut self,
        hits: BTreeMap<Position, Request>,
        mut deeds: BTreeMap<Position, Deed>,
    ) -> Result<Difference, Error> {
        let mut was = Rehearsal::new(self.first.was);
        let mut would = Rehearsal::new(self.first.would);
        for (position, gathered) in hits {
            let later = deeds.split_off(&position);
            for (position, deed) in std::mem::replace(&mut deeds, later) {
                do_again(&mut was, position, &deed);
                do_again(&mut would, position, &deed);
            }
            let occasion = occasion(gathered.at, Cause::Hit(position));
            let setups = if gathered.is_again { self.again } else { self.first };
            let was = self.decide(&mut was, setups.was, &gathered.hit, occasion).await?;
            let would = self.decide(&mut would, setups.would, &gathered.hit, occasion).await?;
            let (was, would) = (Told::of(&was), Told::of(&would));
            if was != would {
                let at = gathered.at;
                self.difference.verdicts.push(HitChange { position, at, was, would });
            }
        }
        for (position, deed) in deeds {
            do_again(&mut was, position, &deed);
            do_again(&mut would, position, &deed);
        }
        self.difference.conversions =
            changes(&was.conversions().collect(), &would.conversions().collect());
        Ok(self.difference)
    }

    async fn decide(
        &mut self,
        rehearsal: &mut Rehearsal<'_>,
        setup: &Setup,
        hit: &Hit,
        occasion: Occasion,
    ) -> Result<Decision, Error> {
        let mut read = ledger::read(setup, &self.app.keys.click, hit, occasion.at);
        rehearsal.find(setup, &mut read);
        let click = self.click(&read, occasion.position).await?;
        Ok(rehearsal.decide(&read, click, occasion))
    }

    /// The click it is about, where it came before.
    async fn click(
        &mut self,
        read: &Read<'_>,
        before: Position,
    ) -> Result<Option<&Click<'static>>, Error> {
        let Some(id) = read.click_id else { return Ok(None) };
        if let std::collections::hash_map::Entry::Vacant(place) = self.clicks.entry(id) {
            place.insert(self.app.store.click(id).await?);
        }
        let found = self.clicks[&id].as_ref().filter(|(position, _)| *position < before);
        Ok(found.map(|(_, click)| click))
    }
}

/// Finds the click of what names a transaction in its place: that of the conversion that has it.
pub(crate) async fn find_transaction<'s>(
    app: &App,
    setup: &'s Setup,
    read: &mut Read<'s>,
) -> Result<(), Error> {
    for key in read.asks_for().to_vec() {
        let Some(conversion) = app.store.conversion_by_key(&key).await? else { continue };
        if read.found(setup, &conversion) {
            break;
        }
    }
    Ok(())
}

/// The conversion that a postback is about, where it is there already.
pub(crate) async fn conversion_of(app: &App, read: &Read<'_>) -> Result<Option<Conversion>, Error> {
    for key in read.keys() {
        if let Some(found) = app.store.conversion_by_key(key).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// As it was when it was decided in truth; nothing is entered, so nothing is proven.
fn occasion(at: Timestamp, cause: Cause) -> Occasion {
    Occasion { at, entered_at: at, position: cause.position(), cause, evidence: [0; 32] }
}

fn do_again(rehearsal: &mut Rehearsal<'_>, position: Position, deed: &Deed) {
    let occasion = occasion(deed.at, Cause::Command(position));
    let (made_by, reason) = (deed.made_by, &*deed.reason);
    match &deed.done {
        Done::Status(to) => rehearsal.change_status(made_by, *to, reason, occasion),
        Done::Repair(txn_id) => rehearsal.repair(made_by, txn_id, reason, occasion),
        Done::Merge(into) => rehearsal.merge(made_by, *into, reason, occasion),
    }
}

/// The conversions that differ in status, in what is paid for them, or in being there.
fn changes(
    before: &BTreeMap<Position, &Conversion>,
    after: &BTreeMap<Position, &Conversion>,
) -> Vec<ConversionChange> {
    let all: BTreeSet<&Position> = before.keys().chain(after.keys()).collect();
    let stands = |one: &Conversion| {
        (one.status, one.paid_revenue, one.paid_payout, one.goal.clone(), one.txn_id.clone())
    };
    let changed = all.into_iter().filter_map(|made_by| {
        let (was, would) = (before.get(made_by).copied(), after.get(made_by).copied());
        (was.map(stands) != would.map(stands)).then(|| ConversionChange {
            made_by: *made_by,
            was: was.cloned(),
            would: would.cloned(),
        })
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(body_bytes: usize) -> usize {
        let hit = Hit { body: vec![b'x'; body_bytes], ..Hit::default() };
        let mut room = Room::new();
        let taken = (0..=HITS_MAX).take_while(|_| room.take(&hit)).count();
        assert!(room.is_full && !room.take(&Hit::default()), "and nothing after it");
        taken
    }

    #[test]
    fn what_is_gathered_is_bounded_in_hits_and_in_bytes() {
        assert_eq!(taken(100), HITS_MAX);
        assert_eq!(taken(64 * 1024), 1024);
    }
}
