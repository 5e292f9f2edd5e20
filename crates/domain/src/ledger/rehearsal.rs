//! What hits would make of an empty ledger: decided one after the other, and written nowhere.
//!
//! Two rehearsals of the same hits, with two setups, tell what a change of the setup would change.

use super::{
    ClickEvents, Conversion, Decision, Facts, Key, Occasion, Read, change_by_person, decide, merge,
    repair, repaired_key,
};
use crate::click::Click;
use crate::click_id::ClickId;
use crate::conversion::Status;
use crate::id::{ConversionId, Position};
use crate::setup::Setup;
use std::collections::{HashMap, HashSet};

/// A ledger that is only thought of.
pub struct Rehearsal<'s> {
    setup: &'s Setup,
    conversions: HashMap<Key, Conversion>,
    /// By the hit that made them.
    keys: HashMap<Position, Key>,
    /// Clicks, and the goals they have conversions of.
    told: HashSet<(ClickId, String)>,
    events: HashMap<ClickId, ClickEvents>,
    /// What waits in triage, by its click, as the hits that made it.
    waiting: HashMap<ClickId, HashSet<Position>>,
    /// Keys by the identities in triage of what was repaired.
    since_triage: HashMap<Vec<u8>, Key>,
}

impl<'s> Rehearsal<'s> {
    pub fn new(setup: &'s Setup) -> Self {
        Self {
            setup,
            conversions: HashMap::new(),
            keys: HashMap::new(),
            told: HashSet::new(),
            events: HashMap::new(),
            waiting: HashMap::new(),
            since_triage: HashMap::new(),
        }
    }

    /// A conversion that is there already, unless it is known.
    pub fn know(&mut self, conversion: Conversion) {
        if !self.keys.contains_key(&conversion.created_by) {
            self.put(conversion);
        }
    }

    /// The events of a click that are there already, unless they are known.
    pub fn know_events(&mut self, events: ClickEvents) {
        self.events.entry(events.click_id).or_insert(events);
    }

    /// Finds the click of what names a transaction in its place.
    pub fn find<'a>(&self, setup: &'a Setup, read: &mut Read<'a>) {
        for key in read.asks_for().to_vec() {
            let conversion = self.conversions.get(&key);
            if conversion.is_some_and(|conversion| read.found(setup, conversion)) {
                return;
            }
        }
    }

    /// What would come of what was read.
    pub fn decision(
        &self,
        read: &Read<'_>,
        click: Option<&Click<'_>>,
        occasion: Occasion,
    ) -> Decision {
        let conversion = read.keys().find_map(|key| self.conversion(key));
        let next_id = ConversionId(self.conversions.len() as u64 + 1);
        let told = read.marks().map(|(id, goal)| (id, goal.to_owned()));
        let has_earlier = told.is_some_and(|told| self.told.contains(&told));
        let waiting = read.waits().and_then(|id| self.waiting.get(&id)).map_or(0, HashSet::len);
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let events = read.tells_of().and_then(|id| self.events.get(&id));
        let facts = Facts { click, conversion, has_earlier, waiting, events, next_id };
        decide(self.setup, read, facts, occasion)
    }

    /// Decides what was read, and remembers what it does.
    pub fn decide(
        &mut self,
        read: &Read<'_>,
        click: Option<&Click<'_>>,
        occasion: Occasion,
    ) -> Decision {
        let decision = self.decision(read, click, occasion);
        if let Some(events) = &decision.events {
            self.events.insert(events.click_id, ClickEvents::clone(events));
        }
        if let Some(effect) = &decision.effect {
            self.put(effect.conversion.clone());
        }
        decision
    }

    /// What a person did to the conversion that the hit at `made_by` made, where there is one and
    /// it can be done to it.
    pub fn change_status(
        &mut self,
        made_by: Position,
        to: Status,
        reason: &str,
        occasion: Occasion,
    ) {
        let old = self.made_by(made_by);
        let changed = old.map(|old| change_by_person(old, to, reason, occasion));
        if let Some(Ok(effect)) = changed {
            self.put(effect.conversion);
        }
    }

    /// A person found the transaction id of the one that the hit at `made_by` made.
    pub fn repair(&mut self, made_by: Position, txn_id: &str, reason: &str, occasion: Occasion) {
        let Some(old) = self.made_by(made_by) else { return };
        let Ok(key) = repaired_key(self.setup, old, txn_id) else { return };
        let existing = self.conversions.get(&key);
        if let Ok(effect) = repair(old, key, txn_id, reason, existing, occasion) {
            self.put(effect.conversion);
        }
    }

    /// A person said that it is the one that the hit at `into` made.
    pub fn merge(&mut self, made_by: Position, into: Position, reason: &str, occasion: Occasion) {
        let both = self.made_by(made_by).zip(self.made_by(into));
        let merged = both.map(|(old, into)| merge(old, into, reason, occasion));
        if let Some(Ok(effects)) = merged {
            for effect in effects {
                self.put(effect.conversion);
            }
        }
    }

    fn made_by(&self, position: Position) -> Option<&Conversion> {
        self.conversions.get(self.keys.get(&position)?)
    }

    /// What was said in triage leads to what it has become since.
    fn conversion(&self, key: &Key) -> Option<&Conversion> {
        let since = || self.conversions.get(self.since_triage.get(&key.identity)?);
        self.conversions.get(key).or_else(since)
    }

    /// What came of it all, by the hits that made them.
    pub fn conversions(&self) -> impl Iterator<Item = (Position, &Conversion)> {
        self.conversions.values().map(|conversion| (conversion.created_by, conversion))
    }

    fn put(&mut self, conversion: Conversion) {
        let old = self.keys.insert(conversion.created_by, conversion.key.clone());
        if let Some(old) = old.filter(|old| *old != conversion.key) {
            self.conversions.remove(&old);
        }
        if let Some(identity) = &conversion.triage_identity {
            self.since_triage.insert(identity.clone(), conversion.key.clone());
        }
        let waiting = self.waiting.entry(conversion.click_id).or_default();
        match conversion.waits() {
            true => waiting.insert(conversion.created_by),
            false => waiting.remove(&conversion.created_by),
        };
        self.told.insert((conversion.click_id, conversion.goal.clone()));
        self.conversions.insert(conversion.key.clone(), conversion);
    }
}
