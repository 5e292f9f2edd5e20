//! `/advertisers`: who pays us.

use super::body::{Sent, text};
use super::paging::{List, Slice, nouns};
use super::postback_url::{PostbackUrl, of_advertiser};
use super::query::{self, PAGING};
use super::{Base, Id, command, created, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::campaign::Advertiser;
use domain::command::{Act, Answer};
use domain::id::AdvertiserId;
use std::sync::Arc;

const NOUN: &str = "advertiser";
const FIELDS: &[&str] = &["name"];

/// Has the command carried out and answers with the advertiser as it left it.
async fn settle(app: &App, sent: Sent, act: Act) -> Result<Advertiser, Error> {
    match command(app, sent, act).await? {
        Answer::Advertiser(advertiser) => Ok(advertiser),
        other => Err(odd(&other)),
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: query::Sent,
) -> Result<Response, Error> {
    let query = query.read(&[&PAGING[..], &["archived"]].concat())?;
    let (slice, archived) = (Slice::of(&query)?, query.flag("archived")?);
    let setup = app.live.setup();
    let is_asked = |one: &Advertiser| archived.is_none_or(|archived| one.archived == archived);
    let list: List<_> = nouns(&setup.advertisers, &slice, is_asked, |history| {
        show::Advertiser::of(&setup, history.latest())
    });
    Ok(Json(list).into_response())
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let id: AdvertiserId = id.of(NOUN)?;
    let setup = app.live.setup();
    let advertiser = setup.advertiser(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Json(show::Advertiser::of(&setup, advertiser)).into_response())
}

pub(super) async fn create(State(app): State<Arc<App>>, sent: Sent) -> Result<Response, Error> {
    let name = sent.fields(FIELDS)?.required("name", text)?;
    let made = settle(&app, sent, Act::CreateAdvertiser { name }).await?;
    Ok(created(show::Advertiser::of(&app.live.setup(), &made)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    let name = sent.fields(FIELDS)?.required("name", text)?;
    let changed = settle(&app, sent, Act::ChangeAdvertiser { id, name }).await?;
    Ok(Json(show::Advertiser::of(&app.live.setup(), &changed)).into_response())
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    sent.nothing()?;
    let archived = settle(&app, sent, Act::ArchiveAdvertiser { id }).await?;
    Ok(Json(show::Advertiser::of(&app.live.setup(), &archived)).into_response())
}

/// The URL for all campaigns of the advertiser.
pub(super) async fn postback_url(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let id: AdvertiserId = id.of(NOUN)?;
    let setup = app.live.setup();
    setup.advertiser(id).ok_or_else(|| not_found(NOUN, id))?;
    let integration = of_advertiser(&setup, id)?;
    Ok(Json(PostbackUrl::of(&base, integration, None, None)).into_response())
}
