//! `/clicks/{id}`: one visit, with what came of it.
//!
//! Link and time are in a click's id, so they are known even where the click's own row is gone:
//! then the rest is null, and `detail_missing` says so.

use super::conversions;
use super::reply::Body;
use super::route::Route;
use super::show::{Amount, ExternalId, ShownLabels};
use super::{Id, not_found};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::click::{Click, Labels};
use domain::click_id::ClickId;
use domain::contract::Canonical;
use domain::id::{CampaignId, LinkId, PublisherId};
use domain::money::Currency;
use domain::time::Timestamp;
use domain::visitor::Known;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use store::list::{ConversionFilter, PAGE_ROWS_MAX};

const NOUN: &str = "click";

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/clicks/{click_id}", "One visit, and what came of it", one)]
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Click")]
pub(super) struct Shown<'a> {
    id: &'a str,
    at: Timestamp,
    link_id: LinkId,
    campaign_id: CampaignId,
    publisher_id: PublisherId,
    #[serde(flatten)]
    external_id: ExternalId<'a>,
    #[serde(flatten)]
    labels: ShownLabels<'a>,
    cost: Option<Amount>,
    currency: Option<Currency>,
    is_test: bool,
    is_live: Option<bool>,
    /// ISO 3166-1 alpha-2, in capitals.
    country: Option<&'a str>,
    /// `desktop`, `mobile`, `tablet`, `tv`, `console`, `wearable` or `bot`.
    device: Option<&'a str>,
    os: Option<&'a str>,
    browser: Option<&'a str>,
    ip: Option<IpAddr>,
    user_agent: Option<&'a str>,
    referrer: Option<&'a str>,
    detail_missing: bool,
    /// The numbers that postbacks have told of it, by their names: exact decimals.
    events: BTreeMap<String, String>,
    conversions: Vec<conversions::Shown<'a>>,
}

/// When the click was made.
pub(super) fn made_at(id: ClickId) -> Timestamp {
    Timestamp::from_ms(i64::try_from(id.at_ms()).expect("it has 48 bits"))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Id(text): Id,
) -> Result<Body<Shown<'static>>, Error> {
    let id = app.keys.click.parse(text.trim()).ok_or_else(|| not_found(NOUN, &text))?;
    let found = app.store.click(id).await?.map(|(_, click)| click);
    let filter = ConversionFilter {
        click_id: Some(id),
        limit: PAGE_ROWS_MAX,
        ..ConversionFilter::default()
    };
    let conversions = app.store.conversions(&filter).await?.items;
    let events = app.store.events(id).await?.map(|told| told.events).unwrap_or_default();
    let events = events
        .iter()
        .map(|(number, event)| (Canonical::Event(*number).to_string(), event.value.to_string()));
    let events = events.collect();
    let text = app.keys.click.format(id);
    let setup = app.live.setup();
    let link = setup.link(id.link()).ok_or_else(|| not_found(NOUN, text))?;
    let none = Labels::default();
    let click = found.as_ref();
    let campaign_id = click.map_or(link.campaign_id, |click| click.campaign_id);
    let shown = Shown {
        id: text.as_str(),
        at: made_at(id),
        link_id: link.id,
        campaign_id,
        publisher_id: click.map_or(link.publisher_id, |click| click.publisher_id),
        external_id: ExternalId(click.map_or(&[], |click| &click.external_id)),
        labels: ShownLabels(click.map_or(&none, |click| &click.labels)),
        cost: click.and_then(|click| click.cost).map(Amount),
        currency: setup.campaign(campaign_id).map(|campaign| campaign.currency),
        is_test: click.map_or(link.test, |click| click.is_test),
        is_live: click.map(|click| click.is_live),
        country: known(click, Known::Country),
        device: known(click, Known::Device),
        os: known(click, Known::Os),
        browser: known(click, Known::Browser),
        ip: click.and_then(|click| click.personal.ip),
        user_agent: said(click, |click| &click.personal.user_agent),
        referrer: said(click, |click| &click.personal.referrer),
        detail_missing: found.is_none(),
        events,
        conversions: conversions
            .iter()
            .map(|one| conversions::Shown::of(&app.keys.click, one))
            .collect(),
    };
    Ok(Body::of(shown))
}

fn known<'a>(click: Option<&'a Click<'static>>, known: Known) -> Option<&'a str> {
    said(click, |click| click.visitor.word(known))
}

/// Empty is none.
fn said<'a>(
    click: Option<&'a Click<'static>>,
    text: impl FnOnce(&'a Click<'static>) -> &'a str,
) -> Option<&'a str> {
    click.map(text).filter(|text| !text.is_empty())
}
