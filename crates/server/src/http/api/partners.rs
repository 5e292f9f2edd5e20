//! `/partners`: the catalogue of how known platforms speak.

use super::paging::{List, PAGING, Slice, nouns};
use super::query::Query;
use super::reply::Body;
use super::route::Route;
use super::{Id, not_found};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::contract::Partner;
use domain::setup::History;
use std::sync::Arc;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/partners", "How known platforms speak: a list", list).query(&[PAGING]),
        Route::get("/partners/{name}", "One", one),
    ]
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Query,
) -> Result<Body<List<&'static Partner>>, Error> {
    let slice = Slice::of(&query)?;
    let setup = app.live.setup();
    let list = nouns(&setup.partners, &slice, |_| true, History::latest);
    Ok(Body::of(list))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Id(name): Id,
) -> Result<Body<&'static Partner>, Error> {
    let setup = app.live.setup();
    let partner = setup.partner(&name).ok_or_else(|| not_found("partner", &name))?;
    Ok(Body::of(partner))
}
