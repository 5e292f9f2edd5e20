//! `/publishers`: who sends us visitors.

use super::body::{Sent, text};
use super::field::Field;
use super::kind::Kind;
use super::paging::{ARCHIVED, List, PAGING, Slice, nouns};
use super::query::Query;
use super::refusal;
use super::reply::{Body, Created};
use super::route::Route;
use super::{Id, command, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::campaign::Publisher;
use domain::command::{Act, Answer};
use domain::id::PublisherId;
use std::sync::Arc;

pub(super) const NOUN: &str = "publisher";
const FIELDS: &[Field] =
    &[Field::required("name", Kind::Text, "1 to 200 bytes without control characters")
        .such_as("Spring Media")];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/publishers", "Publishers, who send us visitors", list)
            .query(&[PAGING, &[ARCHIVED]]),
        Route::post("/publishers", "Makes a publisher", create).body(FIELDS),
        Route::get("/publishers/{id}", "A publisher", one),
        Route::patch("/publishers/{id}", "Renames a publisher", change)
            .body(FIELDS)
            .refuses(&[refusal::ARCHIVED]),
        Route::post("/publishers/{id}/archive", "Takes a publisher out of use", archive)
            .refuses(&[refusal::ARCHIVED, refusal::IN_USE]),
    ]
}

/// Has the command carried out and answers with the publisher as it left it.
async fn settle(app: &App, sent: Sent, act: Act) -> Result<Publisher, Error> {
    match command(app, sent, act).await? {
        Answer::Publisher(publisher) => Ok(publisher),
        other => Err(odd(&other)),
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Query,
) -> Result<Body<List<show::Publisher<'static>>>, Error> {
    let (slice, archived) = (Slice::of(&query)?, query.flag("archived")?);
    let setup = app.live.setup();
    let is_asked = |one: &Publisher| archived.is_none_or(|archived| one.archived == archived);
    let list: List<_> = nouns(&setup.publishers, &slice, is_asked, |history| {
        show::Publisher::of(&setup, history.latest())
    });
    Ok(Body::of(list))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
) -> Result<Body<show::Publisher<'static>>, Error> {
    let id: PublisherId = id.of(NOUN)?;
    let setup = app.live.setup();
    let publisher = setup.publisher(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Body::of(show::Publisher::of(&setup, publisher)))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    mut sent: Sent,
) -> Result<Created<show::Publisher<'static>>, Error> {
    let name = sent.fields().required("name", text)?;
    let made = settle(&app, sent, Act::CreatePublisher { name }).await?;
    Ok(Created::of(show::Publisher::of(&app.live.setup(), &made)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<show::Publisher<'static>>, Error> {
    let id = id.of(NOUN)?;
    let name = sent.fields().required("name", text)?;
    let changed = settle(&app, sent, Act::ChangePublisher { id, name }).await?;
    Ok(Body::of(show::Publisher::of(&app.live.setup(), &changed)))
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Body<show::Publisher<'static>>, Error> {
    let id = id.of(NOUN)?;
    let archived = settle(&app, sent, Act::ArchivePublisher { id }).await?;
    Ok(Body::of(show::Publisher::of(&app.live.setup(), &archived)))
}
