//! `GET /receipts/{receipt}`: what became of a hit, for whoever has its receipt.
//!
//! Receipts cannot be guessed, so none asks for a login. One that we did not give, and one of a
//! hit that is not kept any more, are alike: there is no such receipt.

use super::answer::Answer;
use super::error::Error;
use crate::app::App;
use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use domain::id::Position;
use domain::receipt::Place;
use domain::record::Kind;
use domain::time::Timestamp;

pub(super) async fn show(app: &App, text: &str) -> Result<Response, Error> {
    let found = find(app, text).await?;
    let answer = found.ok_or_else(|| Error::NotFound("such receipt".to_owned()))?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

async fn find(app: &App, text: &str) -> Result<Option<Answer>, Error> {
    let Some((node, place)) = app.keys.receipt.parse(text) else { return Ok(None) };
    if node != app.node {
        return Ok(None);
    }
    Ok(match place {
        Place::Ring(ordinal) => app.ring.find(ordinal).map(|kept| Answer::ring(app, &kept)),
        Place::Journal(position) => match app.store.verdict(position).await? {
            Some(verdict) => Some(Answer::decided(app, &verdict)),
            None => received_at(app, position).map(|at| Answer::received(app, position, Some(at))),
        },
    })
}

/// When a hit was journaled that is still in the journal; `None` where it is not.
pub(super) fn received_at(app: &App, position: Position) -> Option<Timestamp> {
    match app.journal.read(position) {
        Ok(Some((header, _))) if header.kind == Kind::Hit as u8 => {
            Some(Timestamp::from_us(header.at_us))
        }
        _ => None,
    }
}
