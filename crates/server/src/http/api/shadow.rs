//! Shadow mode, counted: what would have been refused for want of proofs that are only tried.

use super::field::Field;
use super::kind::Kind;
use super::query::Query;
use super::rehearsals::{DAYS, DAYS_MAX};
use super::reply::Body;
use super::route::Route;
use super::{Id, not_found};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::contract::ProofKind;
use domain::id::IntegrationId;
use domain::reason::Flag;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::list::{PAGE_ROWS_MAX, VerdictFilter};

/// How many hits are counted, the newest first.
const HITS_MAX: usize = 200_000;
/// How many different causes are told apart.
const CAUSES_MAX: usize = 50;

const WINDOW: &[Field] = &[Field::optional(
    "days",
    Kind::Number(1, DAYS_MAX as u64),
    "The hits of so many days are counted; 7 without it",
)
.such_as("7")];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/integrations/{id}/shadow",
            "How many hits would have been refused for want of proofs that are only tried",
            count,
        )
        .query(&[WINDOW]),
    ]
}

/// What shadow mode has seen.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Shadow")]
struct Counted {
    /// The proofs that the contract in force only tries.
    shadow: BTreeSet<ProofKind>,
    from: Timestamp,
    /// How many hits the integration has read.
    hits: usize,
    /// How many of them it would have refused.
    would_be_refused: usize,
    /// Why, the most frequent first.
    causes: Vec<Cause>,
    /// Whether all hits since then were counted: there is a bound, and the newest come first.
    complete: bool,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ShadowCause")]
struct Cause {
    detail: String,
    hits: usize,
}

async fn count(State(app): State<Arc<App>>, id: Id, query: Query) -> Result<Body<Counted>, Error> {
    let id: IntegrationId = id.of("integration")?;
    let shadow =
        app.live.setup().integration(id).map(|one| one.contract.verification.shadow.clone());
    let shadow = shadow.ok_or_else(|| not_found("integration", id))?;
    let days = query.id("days")?.unwrap_or(DAYS);
    let from = app.clock.now().plus_days(-i64::from(days));
    let mut filter = VerdictFilter {
        integration_id: Some(id),
        from: Some(from),
        limit: PAGE_ROWS_MAX,
        ..VerdictFilter::default()
    };
    let (mut hits, mut would_be_refused) = (0, 0);
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    let complete = loop {
        let page = app.store.verdicts(&filter).await?;
        for verdict in page.items {
            hits += 1;
            if !verdict.flags.has(Flag::ShadowRefused) {
                continue;
            }
            would_be_refused += 1;
            let detail = verdict.detail.unwrap_or_default();
            if causes.len() < CAUSES_MAX || causes.contains_key(&detail) {
                *causes.entry(detail).or_default() += 1;
            }
        }
        filter.before = page.next;
        if filter.before.is_none() || hits >= HITS_MAX {
            break filter.before.is_none();
        }
    };
    let mut causes: Vec<Cause> =
        causes.into_iter().map(|(detail, hits)| Cause { detail, hits }).collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.hits));
    Ok(Body::of(Counted { shadow, from, hits, would_be_refused, causes, complete }))
}
