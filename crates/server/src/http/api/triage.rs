//! Conversions in triage: what may be the transaction id that they lack, and the two ways to end it.

use super::Id;
use super::body::{Sent, number, text};
use super::conversions::{NOUN, Whole, settle};
use super::field::Field;
use super::kind::Kind;
use super::mask::Mask;
use super::refusal;
use super::reply::Body;
use super::route::Route;
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::command::Act;
use domain::conversion::Status;
use domain::id::ConversionId;
use domain::ledger::{self, ContractRef, Conversion};
use domain::postback::Pairs;
use domain::setup::Setup;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use store::list::ConversionFilter;

/// How many rows of the list are shown at once: each has what its request said.
pub(super) const ROWS_MAX: u32 = 100;
/// How many other conversions of a click and goal are looked at.
const OTHERS_MAX: u32 = 50;

const REPAIR: &[Field] = &[
    Field::required("txn_id", Kind::Text, "The transaction id that it lacks").such_as("order-1001"),
    Field::required("reason", Kind::Text, "Where it was found, in a person's words")
        .such_as("order_id of the same request"),
];
const MERGE: &[Field] = &[
    Field::required("into", Kind::Id, "The conversion that it is, of the same click and campaign")
        .such_as("2"),
    Field::required("reason", Kind::Text, "Why, in a person's words")
        .such_as("the same order, sent twice"),
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/conversions/{id}/repair", "Gives it its transaction id, in triage", repair)
            .body(REPAIR)
            .refuses(&[refusal::NOT_IN_TRIAGE, refusal::ALREADY_EXISTS]),
        Route::post("/conversions/{id}/merge", "Says which other one it is, in triage", merge)
            .body(MERGE)
            .refuses(&[refusal::NOT_IN_TRIAGE]),
    ]
}

/// A conversion without the transaction id that it should have, for whoever looks for it.
#[derive(JsonSchema, Serialize)]
pub(super) struct Triage {
    /// The status it gets once it is repaired.
    sent_status: Status,
    /// When triage ends, by the contract in force; null where it has none any more.
    until: Option<Timestamp>,
    /// Other conversions of the click and goal: it may be one of them.
    candidates: Vec<Candidate>,
    /// What was sent, is not read, and looks like an id; null where the request has been removed.
    likely_ids: Option<Vec<LikelyId>>,
}

#[derive(JsonSchema, Serialize)]
struct Candidate {
    id: ConversionId,
    txn_id: String,
    status: Status,
}

#[derive(JsonSchema, Serialize)]
struct LikelyId {
    name: String,
    value: String,
}

/// What is known of it beside the conversion; `None` where that is not in triage.
pub(super) async fn of(app: &App, one: &Conversion) -> Result<Option<Triage>, Error> {
    let Some(sent_status) = one.triaged else { return Ok(None) };
    let filter = ConversionFilter {
        click_id: Some(one.click_id),
        goal: Some(one.goal.clone()),
        limit: OTHERS_MAX,
        ..ConversionFilter::default()
    };
    let others = app.store.conversions(&filter).await?.items;
    let candidate = |other: Conversion| {
        let txn_id = other.txn_id.filter(|_| other.id != one.id)?;
        Some(Candidate { id: other.id, txn_id, status: other.status })
    };
    let kept = app.store.hit(one.created_by).await?;
    let hit = kept.and_then(|kept| Some((kept.hit?, kept.at)));
    let setup = app.live.setup();
    let likely_ids = hit.map(|(hit, at)| {
        let read = ledger::read(&setup, &app.keys.click, &hit, at);
        let mask = Mask::of(&setup, Some(&one.contract.to_string()));
        let found = read.contract.map(|contract| ledger::likely_ids(contract, &Pairs::of(&hit)));
        let found = found.unwrap_or_default().into_iter();
        let shown = found.filter(|(name, value)| !mask.hides(name, value));
        shown.map(|(name, value)| LikelyId { name, value }).collect()
    });
    let until = until(&setup, &one.contract);
    let candidates = others.into_iter().filter_map(candidate).collect();
    Ok(Some(Triage { sent_status, until, candidates, likely_ids }))
}

/// When triage ends by the contract as it is now.
fn until(setup: &Setup, contract: &ContractRef) -> Option<Timestamp> {
    match contract {
        ContractRef::Integration { id, .. } => setup.integration(*id)?.contract.triage_until,
        ContractRef::Partner(name) => setup.partner(name)?.contract.as_ref()?.triage_until,
    }
}

/// The conversions that were merged into it.
pub(super) async fn merged_into(app: &App, one: &Conversion) -> Result<Vec<ConversionId>, Error> {
    let filter = ConversionFilter {
        click_id: Some(one.click_id),
        merged_into: Some(one.id),
        limit: OTHERS_MAX,
        ..ConversionFilter::default()
    };
    let merged = app.store.conversions(&filter).await?.items;
    Ok(merged.into_iter().map(|other| other.id).collect())
}

async fn repair(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<Whole<'static>>, Error> {
    let id = id.of(NOUN)?;
    let mut fields = sent.fields();
    let (txn_id, reason) = (fields.required("txn_id", text)?, fields.required("reason", text)?);
    settle(&app, sent, Act::RepairTxnId { id, txn_id, reason }).await
}

async fn merge(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<Whole<'static>>, Error> {
    let id = id.of(NOUN)?;
    let mut fields = sent.fields();
    let into = ConversionId(fields.required("into", number)?);
    let reason = fields.required("reason", text)?;
    settle(&app, sent, Act::MergeConversion { id, into, reason }).await
}
