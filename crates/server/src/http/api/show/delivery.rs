//! A delivery as JSON: what a destination is told, and every try at it.

use super::Amount;
use domain::conversion::Status;
use domain::id::{ConversionId, DeliveryId, DestinationId};
use domain::money::Currency;
use domain::setup::Setup;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use store::deliveries::{Delivery, State, StoredAttempt};

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Delivery")]
pub(in crate::http::api) struct Shown<'a> {
    id: DeliveryId,
    destination_id: DestinationId,
    conversion_id: ConversionId,
    /// Of the entry that it tells of.
    sequence: u32,
    /// `notice`, `correction` or `withdrawal`.
    kind: &'static str,
    status: Status,
    /// The destination's share, as it stands after the change.
    payout: Amount,
    /// What that adds to what it was told before.
    difference: Amount,
    revenue: Amount,
    currency: Option<Currency>,
    /// When the conversion changed.
    changed_at: Timestamp,
    state: &'static str,
    /// Of one that waits: when it is tried next.
    due_at: Option<Timestamp>,
    settled_at: Option<Timestamp>,
    attempt_count: u32,
    /// Those that have ended, where one delivery or one conversion is asked for.
    attempts: Option<Vec<Attempt<'a>>>,
    is_replay: bool,
    /// It was told late, because somebody has asked for it.
    is_backfill: bool,
    idempotency_key: String,
}

#[derive(JsonSchema, Serialize)]
struct Attempt<'a> {
    number: u32,
    at: Timestamp,
    latency_ms: u64,
    method: &'a str,
    /// With secrets masked. Null once what it may say of a visitor is not kept any longer.
    url: Option<&'a str>,
    http_status: Option<u16>,
    /// The beginning of it, as text, as long as the URL is kept.
    answer: Option<Cow<'a, str>>,
    /// Why there was no answer, or no request.
    error: Option<&'a str>,
    /// `again`, or the state that it has led to.
    led_to: &'a str,
    is_replay: bool,
}

impl<'a> Shown<'a> {
    pub(in crate::http::api) fn of(
        setup: &Setup,
        one: &'a Delivery,
        attempts: Option<&'a [StoredAttempt]>,
        currency: Option<Currency>,
    ) -> Self {
        let owed = &one.owed;
        Self {
            id: one.id,
            destination_id: owed.destination_id,
            conversion_id: owed.conversion_id,
            sequence: owed.sequence,
            kind: owed.kind.name(),
            status: owed.status,
            payout: Amount(owed.payout),
            difference: Amount(owed.difference),
            revenue: Amount(owed.revenue),
            currency,
            changed_at: owed.at,
            state: one.state.name(),
            due_at: (one.state == State::Waiting).then_some(one.due_at),
            settled_at: one.settled_at,
            attempt_count: one.attempts,
            attempts: attempts.map(|all| all.iter().map(Attempt::of).collect()),
            is_replay: one.is_replay,
            is_backfill: owed.backfilled_at.is_some(),
            idempotency_key: owed.idempotency_key(setup),
        }
    }
}

impl<'a> Attempt<'a> {
    fn of(one: &'a StoredAttempt) -> Self {
        Self {
            number: one.number,
            at: one.at,
            latency_ms: one.latency_ms,
            method: &one.method,
            url: one.url.as_deref(),
            http_status: one.http_status,
            answer: one.answer.as_deref().map(String::from_utf8_lossy),
            error: one.error.as_deref(),
            led_to: &one.led_to,
            is_replay: one.is_replay,
        }
    }
}
