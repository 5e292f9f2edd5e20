//! `/partners`: the catalogue of how known platforms speak.

use super::paging::{Slice, nouns};
use super::query::{self, PAGING};
use super::{Id, not_found};
use crate::app::App;
use crate::http::Error;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::setup::History;
use std::sync::Arc;

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: query::Sent,
) -> Result<Response, Error> {
    let slice = Slice::of(&query.read(&PAGING)?)?;
    let setup = app.live.setup();
    let list = nouns(&setup.partners, &slice, |_| true, History::latest);
    Ok(Json(list).into_response())
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Id(name): Id,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let setup = app.live.setup();
    let partner = setup.partner(&name).ok_or_else(|| not_found("partner", &name))?;
    Ok(Json(partner).into_response())
}
