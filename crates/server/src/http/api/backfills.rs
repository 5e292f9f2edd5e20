//! `/destinations/{id}/backfill`: a destination is told of what happened before it was there.

use super::body::{Sent, flag, number, plain};
use super::destinations::NOUN;
use super::field::Field;
use super::kind::Kind;
use super::refusal;
use super::reply::Body;
use super::route::Route;
use super::{Id, auth, caught_up, command, odd};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::command::{Act, Answer};
use domain::destination::{Backfilled, Period};
use domain::id::{ConversionId, DestinationId};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

const FIELDS: &[Field] = &[
    Field::required("from", Kind::Instant, "Of conversions that were made then or later")
        .such_as("2026-11-01T00:00:00Z"),
    Field::required("to", Kind::Instant, "Of conversions that were made before; not in the future")
        .such_as("2026-11-20T00:00:00Z"),
    Field::optional("after", Kind::Id, "Only what comes after it: the `next` of the call before"),
    Field::required("preview", Kind::Flag, "true: they are counted, and nothing is owed")
        .such_as("true"),
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/destinations/{id}/backfill",
            "Tells it of conversions that it was never told of, or counts them",
            backfill,
        )
        .body(FIELDS)
        .refuses(&[refusal::ARCHIVED]),
    ]
}

/// What a destination is told late.
#[derive(JsonSchema, Serialize)]
struct Backfill {
    /// How many conversions it is told of.
    count: u32,
    /// How many were looked at; no more than so many are at a time.
    examined: u32,
    /// Where there are more to look at: what the next call gives as `after`.
    next: Option<ConversionId>,
    /// They were counted only.
    preview: bool,
}

async fn backfill(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<Backfill>, Error> {
    let id: DestinationId = id.of(NOUN)?;
    let mut fields = sent.fields();
    let period = Period {
        from: fields.required("from", plain)?,
        to: fields.required("to", plain)?,
        after: fields.optional("after", number)?.map(ConversionId),
    };
    let preview = fields.required("preview", flag)?;
    let done = match preview {
        true => counted(&app, id, period).await?,
        false => match command(&app, sent, Act::BackfillDestination { id, period }).await? {
            Answer::Backfilled(done) => done,
            other => return Err(odd(&other)),
        },
    };
    if !preview {
        tracing::info!(
            actor = auth::ACTOR,
            destination.id = id.0,
            count = done.owed,
            "a destination is told of what happened before"
        );
    }
    let Backfilled { owed, examined, next } = done;
    Ok(Body::of(Backfill { count: owed, examined, next, preview }))
}

/// What the command would come to now.
async fn counted(app: &App, id: DestinationId, period: Period) -> Result<Backfilled, Error> {
    caught_up(app).await?;
    let now = app.clock.now();
    let (destination, publisher) = {
        let setup = app.live.setup();
        let (destination, publisher) = setup.to_backfill(id, period, now)?;
        (destination.clone(), publisher)
    };
    let done = app.store.backfillable(&destination, publisher, period, now).await?;
    done.ok_or_else(|| {
        let after = period.after.map_or(0, u64::from);
        Error::parameter("after", format!("there is no conversion {after}"))
    })
}
