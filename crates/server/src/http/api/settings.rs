//! `/settings`: what holds for the whole network.

use super::body::{Sent, plain};
use super::field::Field;
use super::kind::{Kind, words};
use super::reply::Body;
use super::route::Route;
use super::{command, odd};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::command::{Act, Answer};
use domain::settings::{Settings, Unverified};
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

const FIELDS: &[Field] = &[Field::required(
    "unverified",
    Kind::Word(|| words(&Unverified::ALL, Unverified::name)),
    "What becomes of a postback whose sender nothing vouches for but a click id",
)
.such_as("pending")];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/settings", "What holds for the whole network", show),
        Route::put("/settings", "Says anew what holds", set).body(FIELDS),
    ]
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Settings")]
struct Shown {
    unverified: Unverified,
}

impl From<Settings> for Shown {
    fn from(settings: Settings) -> Self {
        Self { unverified: settings.unverified }
    }
}

async fn show(State(app): State<Arc<App>>) -> Result<Body<Shown>, Error> {
    let settings = app.live.setup().as_of(Timestamp::MAX).settings();
    Ok(Body::of(settings.into()))
}

async fn set(State(app): State<Arc<App>>, mut sent: Sent) -> Result<Body<Shown>, Error> {
    let unverified = sent.fields().required("unverified", plain)?;
    let settings = Settings { unverified };
    match command(&app, sent, Act::SetSettings { settings }).await? {
        Answer::Settings(settings) => Ok(Body::of(settings.into())),
        other => Err(odd(&other)),
    }
}
