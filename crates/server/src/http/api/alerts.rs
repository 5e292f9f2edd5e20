//! `/alerts`: what an operator should know of now.

use super::paging::List;
use super::reply::Body;
use super::route::Route;
use crate::app::App;
use crate::deliver::Alert;
use crate::http::Error;
use axum::extract::State;
use domain::id::DestinationId;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/alerts", "What needs a person's attention now", list)]
}

/// Something that an operator should know of.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Alert")]
struct Shown {
    /// Such as `destination_paused`.
    kind: &'static str,
    destination_id: Option<DestinationId>,
    since: Timestamp,
    /// What is so, and what to do about it.
    detail: String,
}

async fn list(State(app): State<Arc<App>>) -> Result<Body<List<Shown>>, Error> {
    let shown = |Alert { kind, destination_id, since, detail }: Alert| Shown {
        kind: kind.name(),
        destination_id,
        since,
        detail,
    };
    let alerts = app.watch.look(&app).await;
    Ok(Body::of(List::whole(alerts.into_iter().map(shown).collect())))
}
