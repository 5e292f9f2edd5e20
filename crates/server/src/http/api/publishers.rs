//! `/publishers`: who sends us visitors.

use super::body::{Sent, text};
use super::paging::{List, Slice, nouns};
use super::query::{self, PAGING};
use super::{Id, command, created, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::campaign::Publisher;
use domain::command::{Act, Answer};
use domain::id::PublisherId;
use std::sync::Arc;

const NOUN: &str = "publisher";
const FIELDS: &[&str] = &["name"];

/// Has the command carried out and answers with the publisher as it left it.
async fn settle(app: &App, sent: Sent, act: Act) -> Result<Publisher, Error> {
    match command(app, sent, act).await? {
        Answer::Publisher(publisher) => Ok(publisher),
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
    let is_asked = |one: &Publisher| archived.is_none_or(|archived| one.archived == archived);
    let list: List<_> = nouns(&setup.publishers, &slice, is_asked, |history| {
        show::Publisher::of(&setup, history.latest())
    });
    Ok(Json(list).into_response())
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let id: PublisherId = id.of(NOUN)?;
    let setup = app.live.setup();
    let publisher = setup.publisher(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Json(show::Publisher::of(&setup, publisher)).into_response())
}

pub(super) async fn create(State(app): State<Arc<App>>, sent: Sent) -> Result<Response, Error> {
    let name = sent.fields(FIELDS)?.required("name", text)?;
    let made = settle(&app, sent, Act::CreatePublisher { name }).await?;
    Ok(created(show::Publisher::of(&app.live.setup(), &made)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    let name = sent.fields(FIELDS)?.required("name", text)?;
    let changed = settle(&app, sent, Act::ChangePublisher { id, name }).await?;
    Ok(Json(show::Publisher::of(&app.live.setup(), &changed)).into_response())
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    sent.nothing()?;
    let archived = settle(&app, sent, Act::ArchivePublisher { id }).await?;
    Ok(Json(show::Publisher::of(&app.live.setup(), &archived)).into_response())
}
