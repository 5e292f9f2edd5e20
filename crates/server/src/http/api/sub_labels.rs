//! `/sub-labels`: what sub1 … sub10 mean, to the network or to one publisher; headings of reports.

use super::body::{Sent, text};
use super::field::{Field, names};
use super::kind::Kind;
use super::publishers;
use super::refusal;
use super::reply::Body;
use super::route::Route;
use super::{Id, command, not_found, odd};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::command::{Act, Answer};
use domain::id::PublisherId;
use domain::setup::{History, Setup};
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const MEANING: &str = "What it means, in 1 to 60 bytes; without it, nothing";
const FIELDS: &[Field] = &[
    Field::optional("sub1", Kind::Text, MEANING).such_as("Site"),
    Field::optional("sub2", Kind::Text, MEANING).such_as("Creative"),
    Field::optional("sub3", Kind::Text, MEANING),
    Field::optional("sub4", Kind::Text, MEANING),
    Field::optional("sub5", Kind::Text, MEANING),
    Field::optional("sub6", Kind::Text, MEANING),
    Field::optional("sub7", Kind::Text, MEANING),
    Field::optional("sub8", Kind::Text, MEANING),
    Field::optional("sub9", Kind::Text, MEANING),
    Field::optional("sub10", Kind::Text, MEANING),
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/sub-labels", "What subs mean to the network, now and before", of_network),
        Route::put("/sub-labels", "Says anew what all subs mean", set_of_network).body(FIELDS),
        Route::get("/publishers/{id}/sub-labels", "What subs mean to a publisher", of_publisher),
        Route::put("/publishers/{id}/sub-labels", "Says anew what they mean", set_of_publisher)
            .body(FIELDS)
            .refuses(&[refusal::ARCHIVED]),
    ]
}

/// The meanings of subs. A publisher's own go before the network's in what it is shown.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SubLabels")]
pub(super) struct Shown {
    labels: BTreeMap<String, String>,
    /// The newest first.
    versions: Vec<Version>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SubLabelsVersion")]
struct Version {
    since: Timestamp,
    labels: BTreeMap<String, String>,
}

fn shown(setup: &Setup, publisher_id: Option<PublisherId>) -> Shown {
    let history = setup.sub_labels.get(&publisher_id);
    let versions = history.into_iter().flat_map(History::versions);
    let versions =
        versions.map(|(since, version)| Version { since, labels: version.labels.clone() });
    let mut versions: Vec<Version> = versions.collect();
    versions.reverse();
    let labels = versions.first().map(|version| version.labels.clone()).unwrap_or_default();
    Shown { labels, versions }
}

async fn of_network(State(app): State<Arc<App>>) -> Result<Body<Shown>, Error> {
    Ok(Body::of(shown(&app.live.setup(), None)))
}

async fn of_publisher(State(app): State<Arc<App>>, id: Id) -> Result<Body<Shown>, Error> {
    let id: PublisherId = id.of(publishers::NOUN)?;
    let setup = app.live.setup();
    setup.publisher(id).ok_or_else(|| not_found(publishers::NOUN, id))?;
    Ok(Body::of(shown(&setup, Some(id))))
}

async fn set_of_network(State(app): State<Arc<App>>, sent: Sent) -> Result<Body<Shown>, Error> {
    set(&app, sent, None).await
}

async fn set_of_publisher(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Body<Shown>, Error> {
    set(&app, sent, Some(id.of(publishers::NOUN)?)).await
}

async fn set(
    app: &App,
    mut sent: Sent,
    publisher_id: Option<PublisherId>,
) -> Result<Body<Shown>, Error> {
    let mut fields = sent.fields();
    let mut labels = BTreeMap::new();
    for name in names(FIELDS) {
        let meaning = fields.optional(name, text)?;
        labels.extend(meaning.map(|meaning| (name.to_owned(), meaning)));
    }
    match command(app, sent, Act::SetSubLabels { publisher_id, labels }).await? {
        Answer::SubLabels(_) => Ok(Body::of(shown(&app.live.setup(), publisher_id))),
        other => Err(odd(&other)),
    }
}
