//! Events: numbers that postbacks tell of a click, whether or not they make a conversion.
//!
//! What was told in the same words is told once: a sender that tries again adds nothing.

use super::payload::Payload;
use crate::click::Labels;
use crate::click_id::ClickId;
use crate::contract::{Canonical, RepeatedEvents};
use crate::id::{CampaignId, LinkId, PublisherId};
use crate::money::{AMOUNT_MAX, Micros};
use crate::postback::Postback;
use crate::reason::{Flag, Flags};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// How many different postbacks count for the events of one click. None of them is ever forgotten,
/// so a late repeat can never add again; what comes after them changes nothing.
pub const MESSAGES_MAX: usize = 1_000;
/// The largest number an event may have, up or down.
const VALUE_MAX: u64 = AMOUNT_MAX.0.unsigned_abs();

/// The events of one click, with what reports tell clicks apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClickEvents {
    pub click_id: ClickId,
    pub campaign_id: CampaignId,
    pub publisher_id: PublisherId,
    pub link_id: LinkId,
    pub is_test: bool,
    /// The click's.
    pub labels: Labels<'static>,
    /// By the number in their name: `event1` …
    pub events: BTreeMap<u8, Event>,
    /// Digests of what its postbacks said, oldest first.
    pub seen: Vec<[u8; 8]>,
}

/// One number of a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Millionths, as of money.
    pub value: Micros,
    /// When it was first told: reports count it then, as they count a conversion when it was made.
    pub first_at: Timestamp,
    pub changed_at: Timestamp,
}

impl ClickEvents {
    /// Whether one of its postbacks said just this, by any of its digests.
    pub(super) fn has_seen_any(&self, payloads: &[Payload]) -> bool {
        payloads.iter().any(|payload| self.seen.contains(&said(payload)))
    }

    /// Adds what a postback tells at `at`, remembered by the first of its digests; false where that changes nothing. A number that would
    /// leave its range stays as it is, and is flagged.
    pub(super) fn tell(
        &mut self,
        postback: &Postback,
        payloads: &[Payload],
        repeated: RepeatedEvents,
        at: Timestamp,
        flags: &mut Flags,
    ) -> bool {
        let Some(own) = payloads.first() else { return false };
        if self.has_seen_any(payloads) || self.seen.len() >= MESSAGES_MAX {
            return false;
        }
        let mut is_changed = false;
        for (number, told) in told(postback) {
            let old = self.events.get(&number).copied();
            let base = old.filter(|_| repeated == RepeatedEvents::Add);
            let value = base.map_or(Some(told), |old| old.value.checked_add(told));
            let Some(value) = value.filter(|value| value.0.unsigned_abs() <= VALUE_MAX) else {
                flags.add(Flag::LabelDropped);
                continue;
            };
            if old.is_none_or(|old| old.value != value) {
                let first_at = old.map_or(at, |old| old.first_at);
                self.events.insert(number, Event { value, first_at, changed_at: at });
                is_changed = true;
            }
        }
        if is_changed {
            self.seen.push(said(own));
        }
        is_changed
    }
}

/// What a postback remembers itself by.
fn said(payload: &Payload) -> [u8; 8] {
    *payload.first_chunk().expect("a digest has 32 bytes")
}

/// Whether a postback tells any.
pub(super) fn has_any(postback: &Postback) -> bool {
    postback.labels.iter().any(|value| matches!(value.canonical, Canonical::Event(_)))
}

fn told(postback: &Postback) -> impl Iterator<Item = (u8, Micros)> {
    postback.labels.iter().filter_map(|value| match value.canonical {
        Canonical::Event(number) => Some((number, Micros::parse(&value.text).ok()?.amount)),
        _ => None,
    })
}
