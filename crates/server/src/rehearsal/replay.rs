//! What a replay now would do, by the rules of the store's: hits that were refused or parked are
//! decided once more, one after the other, on top of what there is. All others stay as they are.

use super::{
    BEGIN, Difference, Gathered, HitChange, Request, Room, Told, changes, conversion_of, occasion,
};
use crate::app::App;
use domain::click::Click;
use domain::command::Act;
use domain::conversion::Status;
use domain::id::{ConversionId, Position};
use domain::integration::Integration;
use domain::ledger::{
    self, Cause, ContractRef, Conversion, Occasion, Read, Rehearsal, WAITING_MAX,
};
use domain::reason::Verdict;
use domain::setup::Setup;
use domain::time::Timestamp;
use std::collections::BTreeMap;
use store::Error;
use store::list::{ConversionFilter, VerdictFilter};

/// What having the hits that arrived from `since` on decided again would change, as `integration`
/// speaks now. Its verdicts are those of the hits that would be mended.
pub(crate) async fn replay(
    app: &App,
    integration: &Integration,
    since: Timestamp,
) -> Result<Difference, Error> {
    let setup = app.live.setup().read_as_if(integration, BEGIN);
    let by = ContractRef::Integration { id: integration.id, version: integration.version };
    let hits = BTreeMap::new();
    let mut gathered = Gathered { app, tried: &setup, by: &by, hits, room: Room::new() };
    let mut difference = Difference::default();
    gathered.recent(since, &mut difference).await?;
    difference.is_complete &= !gathered.room.is_full;
    difference.hits = gathered.hits.len();
    let (ledger, was) = (Rehearsal::new(&setup), BTreeMap::new());
    let mut replayed = Replayed { app, setup: &setup, by: &by, ledger, was };
    for (position, request) in gathered.hits {
        if is_waiting(request.was.verdict) {
            replayed.take(position, request, &mut difference).await?;
        }
    }
    let before = replayed.was.iter().map(|(position, one)| (*position, one)).collect();
    difference.conversions = changes(&before, &replayed.ledger.conversions().collect());
    Ok(difference)
}

/// Whether a replay decides such hits again.
fn is_waiting(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Refused | Verdict::Parked)
}

/// What there would be, as far as it matters for what is decided again.
struct Replayed<'a> {
    app: &'a App,
    setup: &'a Setup,
    by: &'a ContractRef,
    ledger: Rehearsal<'a>,
    /// The conversions that are there, by the hits that made them.
    was: BTreeMap<Position, Conversion>,
}

impl Replayed<'_> {
    async fn take(
        &mut self,
        position: Position,
        request: Request,
        difference: &mut Difference,
    ) -> Result<(), Error> {
        let Request { at, hit, was, .. } = request;
        let (app, setup) = (self.app, self.setup);
        let mut read = ledger::read(setup, &app.keys.click, &hit, at);
        for key in read.asks_for() {
            let found = app.store.conversion_by_key(key).await?;
            self.know(found);
        }
        self.ledger.find(setup, &mut read);
        if read.contract_ref.as_ref().is_none_or(|one| !one.is_same_integration(self.by)) {
            return Ok(());
        }
        let click = match read.click_id {
            Some(id) => app.store.click(id).await?.filter(|(made_at, _)| *made_at < position),
            None => None,
        };
        let click: Option<&Click<'_>> = click.as_ref().map(|(_, click)| click);
        let decided = occasion(at, Cause::Hit(position));
        let occasion = Occasion { entered_at: app.clock.now(), ..decided };
        if self.is_overtaken(&read, position).await? {
            let alone = Rehearsal::new(setup).decision(&read, click, occasion);
            difference.overtaken += usize::from(!is_waiting(alone.verdict));
            return Ok(());
        }
        self.learn(&read).await?;
        if is_waiting(self.ledger.decision(&read, click, occasion).verdict) {
            return Ok(());
        }
        let would = Told::of(&self.ledger.decide(&read, click, occasion));
        difference.verdicts.push(HitChange { position, at, was, would });
        Ok(())
    }

    /// What is there already and decides about it.
    async fn learn(&mut self, read: &Read<'_>) -> Result<(), Error> {
        let store = &self.app.store;
        for key in read.keys() {
            let found = store.conversion_by_key(key).await?;
            self.know(found);
        }
        if let Some((click_id, goal)) = read.marks() {
            let (click_id, goal) = (Some(click_id), Some(goal.to_owned()));
            let filter =
                ConversionFilter { click_id, goal, limit: 1, ..ConversionFilter::default() };
            self.know(store.conversions(&filter).await?.items);
        }
        if let Some(click_id) = read.waits() {
            let filter = ConversionFilter {
                click_id: Some(click_id),
                is_triaged: Some(true),
                status: Some(Status::Pending),
                limit: WAITING_MAX,
                ..ConversionFilter::default()
            };
            self.know(store.conversions(&filter).await?.items);
        }
        if let Some(click_id) = read.tells_of()
            && let Some(events) = store.events(click_id).await?
        {
            self.ledger.know_events(events);
        }
        Ok(())
    }

    fn know(&mut self, conversions: impl IntoIterator<Item = Conversion>) {
        for conversion in conversions {
            self.was.entry(conversion.created_by).or_insert_with(|| conversion.clone());
            self.ledger.know(conversion);
        }
    }

    /// Whether what came later has changed its conversion.
    async fn is_overtaken(&self, read: &Read<'_>, position: Position) -> Result<bool, Error> {
        match conversion_of(self.app, read).await? {
            Some(conversion) => is_changed_after(self.app, conversion.id, position).await,
            None => Ok(false),
        }
    }
}

/// Whether a hit that arrived after `position` has made or changed it, or a person has since then:
/// by the rule of the store's replay.
async fn is_changed_after(app: &App, id: ConversionId, position: Position) -> Result<bool, Error> {
    for verdict in [Verdict::Recorded, Verdict::Updated] {
        let (conversion_id, verdict) = (Some(id), Some(verdict));
        let filter = VerdictFilter { conversion_id, verdict, limit: 1, ..VerdictFilter::default() };
        let latest = app.store.verdicts(&filter).await?.items;
        if latest.iter().any(|one| one.position > position) {
            return Ok(true);
        }
    }
    let Some((_, entries)) = app.store.conversion(id).await? else { return Ok(false) };
    for entry in entries {
        let Cause::Command(by) = entry.entry.cause else { continue };
        if by <= position {
            continue;
        }
        let stored = app.store.command(by).await?;
        if stored.is_some_and(|one| !matches!(one.command.act, Act::Replay { .. })) {
            return Ok(true);
        }
    }
    Ok(false)
}
