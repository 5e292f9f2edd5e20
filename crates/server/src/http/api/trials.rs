//! Trying a destination out: one request, sent now or only shown. Nothing of it is stored, counts
//! or pauses.

use super::body::{Sent, flag, number};
use super::destinations::{self, there};
use super::field::Field;
use super::kind::Kind;
use super::refusal;
use super::reply::Body;
use super::route::Route;
use super::{CAUGHT_UP_WITHIN, Id, auth, caught_up};
use crate::app::App;
use crate::deliver::{Called, Unmade, headers};
use crate::http::Error;
use crate::keys;
use axum::extract::State;
use domain::destination::{Destination, MADE_UP, Made, Owed, Owner};
use domain::id::{ConversionId, DeliveryId};
use domain::outbound::Method;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::deliveries::{ANSWER_BYTES_MAX, State as DeliveryState, led_to};

/// What is only tried out is no delivery; deliveries are numbered from 1 on.
const NO_DELIVERY: DeliveryId = DeliveryId(0);
const TEST: &[Field] = &[
    Field::optional(
        "conversion_id",
        Kind::Id,
        "Tells of it as it stands; without it of one made up",
    ),
    Field::optional(
        "preview",
        Kind::Flag,
        "true: what would be sent is shown, and nothing is sent",
    )
    .such_as("true"),
];

pub(super) fn routes() -> Vec<Route> {
    let summary = "Sends it one request now, or shows it, and stores nothing";
    let route = Route::post("/destinations/{id}/test", summary, test);
    vec![route.body(TEST).every_time().refuses(&[refusal::ARCHIVED, refusal::BUSY])]
}

/// What a destination was sent, or would be, and what it answered.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "DestinationTest")]
struct Trial {
    /// Nothing was sent.
    preview: bool,
    /// Null: it is made up.
    conversion_id: Option<ConversionId>,
    at: Timestamp,
    method: Method,
    /// With secrets masked, as in headers and body.
    url: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    http_status: Option<u16>,
    /// The beginning of it, as text.
    answer: Option<String>,
    latency_ms: Option<u64>,
    /// Why there was no answer, or is no request.
    error: Option<String>,
    /// `again`, or the state that a delivery would come to; null where nothing was sent.
    led_to: Option<&'static str>,
}

impl Trial {
    fn of(destination: &Destination, owed: Option<&Owed>, at: Timestamp, preview: bool) -> Self {
        Self {
            preview,
            conversion_id: owed.map(|owed| owed.conversion_id),
            at,
            method: destination.outbound.method,
            url: destination.outbound.url.clone(),
            headers: BTreeMap::new(),
            body: None,
            http_status: None,
            answer: None,
            latency_ms: None,
            error: None,
            led_to: None,
        }
    }

    /// There is no such request: a delivery would not be tried again.
    fn unmade(self, why: String) -> Self {
        Self { error: Some(why), led_to: Some(DeliveryState::Rejected.name()), ..self }
    }

    fn showing(self, made: Made, key: &str) -> Self {
        let headers = headers(&made.shown, key).unwrap_or_default();
        let (url, body) = (made.shown.url, made.shown.body);
        Self { url, headers: headers.into_iter().collect(), body, ..self }
    }

    fn answered(self, called: Called) -> Self {
        let text = |mut answer: Vec<u8>| {
            answer.truncate(ANSWER_BYTES_MAX);
            String::from_utf8_lossy(&answer).into_owned()
        };
        Self {
            http_status: called.http_status,
            answer: called.answer.map(text),
            latency_ms: Some(called.latency_ms),
            error: called.error,
            led_to: Some(led_to(called.next)),
            ..self
        }
    }
}

/// What tells of a conversion of the destination's as it stands.
async fn standing(app: &App, destination: &Destination, id: ConversionId) -> Result<Owed, Error> {
    let refused = |detail: String| Error::parameter("conversion_id", detail);
    let found = app.store.conversion(id).await?;
    let (conversion, _) = found.ok_or_else(|| refused(format!("there is no conversion {id}")))?;
    if !Owner::of(&conversion).contains(&destination.owner) {
        let detail = match destination.owner {
            Owner::Publisher { publisher_id } => format!(
                "it is publisher {}'s, and the destination is told of publisher {publisher_id}'s",
                conversion.publisher_id
            ),
            Owner::Link { link_id } => format!(
                "it is of link {}, and the destination is told of link {link_id}",
                conversion.link_id
            ),
        };
        return Err(refused(detail));
    }
    destination.would_be_told(&conversion).ok_or_else(|| {
        let told = destination.rules.statuses.iter().map(|status| status.name());
        let told = told.collect::<Vec<_>>().join(", ");
        let status = conversion.status.name();
        refused(format!("it is {status}, and the destination is told of: {told}"))
    })
}

async fn test(State(app): State<Arc<App>>, id: Id, mut sent: Sent) -> Result<Body<Trial>, Error> {
    let id = id.of(destinations::NOUN)?;
    let mut fields = sent.fields();
    let conversion_id = fields.optional("conversion_id", number)?.map(ConversionId);
    let preview = fields.optional("preview", flag)?.unwrap_or(false);
    caught_up(&app).await?;
    let destination = there(&app.live.setup(), id)?.clone();
    if destination.archived {
        let detail = format!("destination {id} is archived: nothing is sent to it");
        return Err(Error::Conflict { code: "archived", detail });
    }
    let owed = match conversion_id {
        Some(id) => Some(standing(&app, &destination, id).await?),
        None => None,
    };
    let at = app.clock.now();
    let key = format!("{MADE_UP}-{}", keys::hex(&keys::random::<16>()));
    let made = match &owed {
        Some(owed) => {
            let request = app.teller.request(&destination, owed, &key, at);
            let in_time = tokio::time::timeout(CAUGHT_UP_WITHIN, request).await;
            in_time.map_err(|_| Error::Behind)?.map_err(Unmade::why)
        }
        None => {
            let number = u32::from_be_bytes(keys::random());
            let made_up = destination.made_up(&app.live.setup(), number, at);
            let told = made_up.told(&key, at, u64::from_be_bytes(keys::random()));
            destination.request(&told).map_err(|why| why.to_string())
        }
    };
    let bare = Trial::of(&destination, owed.as_ref(), at, preview);
    let made = match made {
        Ok(made) => made,
        Err(why) => return Ok(Body::of(bare.unmade(why))),
    };
    if preview {
        return Ok(Body::of(bare.showing(made, &key)));
    }
    let busy = Error::Busy("other destinations are being tried out");
    let _turn = app.trials.try_acquire().map_err(|_| busy)?;
    tracing::info!(actor = auth::ACTOR, destination.id = id.0, "a destination is tried out");
    let called = app.teller.call(&destination, &made, &key, (NO_DELIVERY, 1)).await;
    Ok(Body::of(bare.showing(made, &key).answered(called)))
}
