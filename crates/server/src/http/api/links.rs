//! `/links`: publishers' ways into campaigns.

use super::body::{Given, Sent, flag, number, text};
use super::campaigns::nothing_to_change;
use super::paging::{Slice, nouns};
use super::query::{self, PAGING};
use super::{Base, Id, command, created, draw, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::campaign::Link;
use domain::command::{Act, Answer};
use domain::id::{CampaignId, LinkId, PublisherId};
use std::sync::Arc;

const NOUN: &str = "link";
const FIELDS: &[&str] = &["campaign_id", "publisher_id", "landing_url", "test"];
const CHANGES: &[&str] = &["landing_url"];
const FILTERS: &[&str] = &["archived", "campaign_id", "publisher_id", "test"];

async fn settle(app: &App, sent: Sent, act: Act) -> Result<Link, Error> {
    match command(app, sent, act).await? {
        Answer::Link(link) => Ok(link),
        other => Err(odd(&other)),
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Base(base): Base,
    query: query::Sent,
) -> Result<Response, Error> {
    let query = query.read(&[&PAGING[..], FILTERS].concat())?;
    let (slice, archived, test) =
        (Slice::of(&query)?, query.flag("archived")?, query.flag("test")?);
    let campaign_id: Option<CampaignId> = query.id("campaign_id")?;
    let publisher_id: Option<PublisherId> = query.id("publisher_id")?;
    let is_asked = |one: &Link| {
        archived.is_none_or(|archived| one.archived == archived)
            && test.is_none_or(|test| one.test == test)
            && campaign_id.is_none_or(|id| one.campaign_id == id)
            && publisher_id.is_none_or(|id| one.publisher_id == id)
    };
    let setup = app.live.setup();
    let list = nouns(&setup.links, &slice, is_asked, |history| {
        show::Link::of(&setup, &base, history.latest())
    });
    Ok(Json(list).into_response())
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let id: LinkId = id.of(NOUN)?;
    let setup = app.live.setup();
    let link = setup.link(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Json(show::Link::of(&setup, &base, link)).into_response())
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Base(base): Base,
    sent: Sent,
) -> Result<Response, Error> {
    let mut fields = sent.fields(FIELDS)?;
    let act = Act::CreateLink {
        campaign_id: fields.required("campaign_id", number)?,
        publisher_id: fields.required("publisher_id", number)?,
        token: draw::token(&app.live.setup())?,
        landing_url: fields.optional("landing_url", text)?,
        test: fields.optional("test", flag)?.unwrap_or_default(),
    };
    let made = settle(&app, sent, act).await?;
    Ok(created(show::Link::of(&app.live.setup(), &base, &made)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    let landing_url = match sent.fields(CHANGES)?.nullable("landing_url", text)? {
        Given::Absent => return Err(nothing_to_change(CHANGES)),
        Given::Null => None,
        Given::Value(url) => Some(url),
    };
    let changed = settle(&app, sent, Act::ChangeLink { id, landing_url }).await?;
    Ok(Json(show::Link::of(&app.live.setup(), &base, &changed)).into_response())
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    sent.nothing()?;
    let archived = settle(&app, sent, Act::ArchiveLink { id }).await?;
    Ok(Json(show::Link::of(&app.live.setup(), &base, &archived)).into_response())
}
