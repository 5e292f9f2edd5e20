//! `/advertisers`: who pays us.

use super::body::{Sent, text};
use super::field::Field;
use super::kind::Kind;
use super::paging::{ARCHIVED, List, PAGING, Slice, nouns};
use super::postback_url::{PostbackUrl, of_advertiser};
use super::query::Query;
use super::refusal;
use super::reply::{Body, Created};
use super::route::Route;
use super::{Base, Id, command, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::campaign::Advertiser;
use domain::command::{Act, Answer};
use domain::id::AdvertiserId;
use std::sync::Arc;

const NOUN: &str = "advertiser";
const FIELDS: &[Field] =
    &[Field::required("name", Kind::Text, "1 to 200 bytes without control characters")
        .such_as("Acme")];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/advertisers", "Advertisers, who pay us", list).query(&[PAGING, &[ARCHIVED]]),
        Route::post("/advertisers", "Makes an advertiser", create).body(FIELDS),
        Route::get("/advertisers/{id}", "An advertiser", one),
        Route::patch("/advertisers/{id}", "Renames an advertiser", change)
            .body(FIELDS)
            .refuses(&[refusal::ARCHIVED]),
        Route::post("/advertisers/{id}/archive", "Takes an advertiser out of use", archive)
            .refuses(&[refusal::ARCHIVED, refusal::IN_USE]),
        Route::get(
            "/advertisers/{id}/postback-url",
            "The postback URL for all campaigns of an advertiser",
            postback_url,
        ),
    ]
}

/// Has the command carried out and answers with the advertiser as it left it.
async fn settle(app: &App, sent: Sent, act: Act) -> Result<Advertiser, Error> {
    match command(app, sent, act).await? {
        Answer::Advertiser(advertiser) => Ok(advertiser),
        other => Err(odd(&other)),
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Query,
) -> Result<Body<List<show::Advertiser<'static>>>, Error> {
    let (slice, archived) = (Slice::of(&query)?, query.flag("archived")?);
    let setup = app.live.setup();
    let is_asked = |one: &Advertiser| archived.is_none_or(|archived| one.archived == archived);
    let list: List<_> = nouns(&setup.advertisers, &slice, is_asked, |history| {
        show::Advertiser::of(&setup, history.latest())
    });
    Ok(Body::of(list))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
) -> Result<Body<show::Advertiser<'static>>, Error> {
    let id: AdvertiserId = id.of(NOUN)?;
    let setup = app.live.setup();
    let advertiser = setup.advertiser(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Body::of(show::Advertiser::of(&setup, advertiser)))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    mut sent: Sent,
) -> Result<Created<show::Advertiser<'static>>, Error> {
    let name = sent.fields().required("name", text)?;
    let made = settle(&app, sent, Act::CreateAdvertiser { name }).await?;
    Ok(Created::of(show::Advertiser::of(&app.live.setup(), &made)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<show::Advertiser<'static>>, Error> {
    let id = id.of(NOUN)?;
    let name = sent.fields().required("name", text)?;
    let changed = settle(&app, sent, Act::ChangeAdvertiser { id, name }).await?;
    Ok(Body::of(show::Advertiser::of(&app.live.setup(), &changed)))
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Body<show::Advertiser<'static>>, Error> {
    let id = id.of(NOUN)?;
    let archived = settle(&app, sent, Act::ArchiveAdvertiser { id }).await?;
    Ok(Body::of(show::Advertiser::of(&app.live.setup(), &archived)))
}

/// The URL for all campaigns of the advertiser.
pub(super) async fn postback_url(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
) -> Result<Body<PostbackUrl<'static>>, Error> {
    let id: AdvertiserId = id.of(NOUN)?;
    let setup = app.live.setup();
    setup.advertiser(id).ok_or_else(|| not_found(NOUN, id))?;
    let integration = of_advertiser(&setup, id)?;
    Ok(Body::of(PostbackUrl::of(&setup, &base, integration, None, None)))
}
