//! `/partners`: the catalogue of how known platforms speak.

use super::Id;
use super::paging::{List, PAGING, Slice, nouns};
use super::query::Query;
use super::reply::Body;
use super::route::Route;
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::contract::Contract;
use domain::destination::Corrections;
use domain::echo::echoed;
use domain::macros::nearest_in_words;
use domain::outbound::Outbound;
use domain::partner::{self, ClickParameter, Confidence};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/partners", "Partners: how known platforms speak", list).query(&[PAGING]),
        Route::get("/partners/{name}", "A partner", one),
    ]
}

/// All that is known of a platform. What it is not, or nobody knows, is null or empty.
#[derive(JsonSchema, Serialize)]
pub(super) struct Partner<'a> {
    name: &'a str,
    title: &'a str,
    kind: &'a str,
    /// A: its own documentation; B: another tracker's preset; C: somebody's working code.
    confidence: Option<Confidence>,
    sources: &'a [String],
    source_on: &'a str,
    /// For whoever picks it: contradictions, traps, what is unknown.
    notes: &'a [String],
    /// Where its own menu takes our URL.
    menu: Option<&'a str>,
    /// What our landing URLs need so that it sends our click id back.
    landing_params: Option<&'a str>,
    /// What our links need so that it fills it in.
    click: &'a [ClickParameter],
    paths: &'a [String],
    /// What is called to tell it of a conversion.
    outbound: Option<&'a Outbound>,
    /// How a destination hears of changes that is made by its name and does not say.
    corrections: Option<&'a Corrections>,
    /// How it calls us.
    contract: Option<&'a Contract>,
}

impl<'a> Partner<'a> {
    fn of(one: &'a partner::Partner) -> Self {
        Self {
            name: &one.name,
            title: &one.title,
            kind: &one.kind,
            confidence: one.confidence,
            sources: &one.sources,
            source_on: &one.source_on,
            notes: &one.notes,
            menu: one.menu.as_deref(),
            landing_params: one.landing_params.as_deref(),
            click: &one.click,
            paths: &one.paths,
            outbound: one.outbound.as_deref(),
            corrections: one.corrections.as_ref(),
            contract: one.contract.as_ref(),
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Query,
) -> Result<Body<List<Partner<'static>>>, Error> {
    let slice = Slice::of(&query)?;
    let setup = app.live.setup();
    let list = nouns(&setup.partners, &slice, |_| true, |history| Partner::of(history.latest()));
    Ok(Body::of(list))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Id(name): Id,
) -> Result<Body<Partner<'static>>, Error> {
    let setup = app.live.setup();
    let partner = setup.partner(&name).ok_or_else(|| {
        let near = nearest_in_words(&name, setup.partners.keys().map(String::as_str));
        Error::NotFound(format!("partner {}{near}", echoed(&name)))
    })?;
    Ok(Body::of(Partner::of(partner)))
}
