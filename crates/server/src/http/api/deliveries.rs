//! `/deliveries`: what destinations are told, what came of it, and what is told once more.

use super::body::{Fields, Sent, flag, number, plain};
use super::field::Field;
use super::kind::{Kind, words};
use super::paging::{List, PAGING, Slice};
use super::query::Query;
use super::refusal;
use super::reply::Body;
use super::route::Route;
use super::show::delivery::Shown;
use super::{Id, auth, caught_up, destinations, not_found};
use crate::app::App;
use crate::http::Error;
use crate::ingest::Unavailable;
use axum::extract::State as Extracted;
use domain::command::Idempotency;
use domain::id::{ConversionId, DeliveryId, DestinationId};
use domain::money::Currency;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use store::deliveries::{Deliveries, Delivery, DeliveryFilter, Replayable, State, StoredAttempt};

const NOUN: &str = "delivery";
/// So many of them are shown with their attempts at once at the most: each may have many, with what was
/// answered.
const WITH_ATTEMPTS_MAX: u32 = 20;
/// How long what is set up waits for deliveries that do not answer.
const KEY_WITHIN: Duration = Duration::from_secs(2);
/// What can be sent once more.
const REPLAYABLE: [State; 5] =
    [State::Delivered, State::Unverified, State::Rejected, State::Exhausted, State::Held];

const FILTERS: &[Field] = &[
    Field::optional("destination_id", Kind::Id, "Only this destination's").such_as("1"),
    Field::optional("conversion_id", Kind::Id, "Only of this conversion, with their attempts")
        .such_as("1"),
    Field::optional("state", Kind::Word(|| words(&State::ALL, State::name)), "Only in it")
        .such_as("waiting"),
    Field::optional("from", Kind::Instant, "Of changes then or later")
        .such_as("2026-11-20T00:00:00Z"),
    Field::optional("to", Kind::Instant, "Of changes before").such_as("2026-11-21T00:00:00Z"),
];
const REPLAY: &[Field] = &[
    Field::optional("id", Kind::Id, "Only this delivery"),
    Field::optional("destination_id", Kind::Id, "Only this destination's").such_as("1"),
    Field::optional("conversion_id", Kind::Id, "Only of this conversion"),
    Field::optional(
        "state",
        Kind::Word(|| words(&REPLAYABLE, State::name)),
        "Only in it; what is held \
        only where this says so, or with all of one conversion",
    )
    .such_as("exhausted"),
    Field::optional("from", Kind::Instant, "Of changes then or later")
        .such_as("2026-11-20T00:00:00Z"),
    Field::optional("to", Kind::Instant, "Of changes before").such_as("2026-11-21T00:00:00Z"),
    Field::required("preview", Kind::Flag, "true: they are counted, and nothing is sent")
        .such_as("true"),
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/deliveries", "What destinations are told, newest first", list)
            .query(&[PAGING, FILTERS]),
        Route::get("/deliveries/figures", "How many there are of each state", figures),
        Route::get("/deliveries/{id}", "A delivery, with every attempt at it", one),
        Route::post("/deliveries/replay", "Sends deliveries once more, or counts them", replay)
            .body(REPLAY)
            .refuses(&[refusal::ARCHIVED]),
    ]
}

/// What has come of what destinations are owed.
pub(super) fn of(app: &App) -> Result<&dyn Deliveries, Error> {
    let deliveries = app.deliveries.get().map(|deliveries| &**deliveries);
    deliveries.ok_or(Error::DeliveriesClosed)
}

/// The currency of a conversion, looked up once for all of its deliveries.
#[derive(Default)]
struct Currencies(HashMap<ConversionId, Option<Currency>>);

impl Currencies {
    async fn of(&mut self, app: &App, id: ConversionId) -> Result<Option<Currency>, Error> {
        if let Some(known) = self.0.get(&id) {
            return Ok(*known);
        }
        let found = app.store.conversion(id).await?;
        let currency = found.map(|(conversion, _)| conversion.currency);
        self.0.insert(id, currency);
        Ok(currency)
    }
}

async fn list(
    Extracted(app): Extracted<Arc<App>>,
    query: Query,
) -> Result<Body<List<Shown<'static>>>, Error> {
    let slice = Slice::<u64>::of(&query)?;
    let filter = DeliveryFilter {
        destination_id: query.id("destination_id")?,
        conversion_id: query.id("conversion_id")?,
        state: query.word("state", &State::ALL, State::name)?,
        from: query.instant("from")?,
        to: query.instant("to")?,
        before: slice.cursor,
        limit: slice.limit,
        ..DeliveryFilter::default()
    };
    let filter = match filter.conversion_id {
        None => filter,
        Some(_) => DeliveryFilter { limit: slice.limit.min(WITH_ATTEMPTS_MAX), ..filter },
    };
    let deliveries = of(&app)?;
    let page = deliveries.list(&filter).await?;
    let mut currencies = Currencies::default();
    let mut rows: Vec<(Delivery, Option<Vec<StoredAttempt>>, Option<Currency>)> = Vec::new();
    for delivery in page.items {
        let currency = currencies.of(&app, delivery.owed.conversion_id).await?;
        let row = match filter.conversion_id {
            None => (delivery, None, currency),
            Some(_) => match deliveries.find(delivery.id).await? {
                Some((delivery, attempts)) => (delivery, Some(attempts), currency),
                None => continue,
            },
        };
        rows.push(row);
    }
    let setup = app.live.setup();
    let items = rows.iter().map(|(delivery, attempts, currency)| {
        Shown::of(&setup, delivery, attempts.as_deref(), *currency)
    });
    let items = items.collect();
    Ok(Body::of(List { items, next: page.next.map(|next| next.to_string()) }))
}

async fn one(Extracted(app): Extracted<Arc<App>>, id: Id) -> Result<Body<Shown<'static>>, Error> {
    let id: DeliveryId = id.of(NOUN)?;
    let found = of(&app)?.find(id).await?;
    let (delivery, attempts) = found.ok_or_else(|| not_found(NOUN, id))?;
    let currency = Currencies::default().of(&app, delivery.owed.conversion_id).await?;
    Ok(Body::of(Shown::of(&app.live.setup(), &delivery, Some(&attempts), currency)))
}

/// How many deliveries of a destination are in each state.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "DeliveryFigures")]
struct DestinationFigures {
    destination_id: DestinationId,
    /// By their states; those that there are none of are left out.
    states: BTreeMap<&'static str, u64>,
    /// Since when the first of those is due that wait and are due.
    oldest_due_at: Option<Timestamp>,
}

async fn figures(
    Extracted(app): Extracted<Arc<App>>,
) -> Result<Body<List<DestinationFigures>>, Error> {
    let mut all: BTreeMap<DestinationId, DestinationFigures> = BTreeMap::new();
    for one in of(&app)?.figures(app.clock.now()).await? {
        let id = one.destination_id;
        let figures = all.entry(id).or_insert_with(|| DestinationFigures {
            destination_id: id,
            states: BTreeMap::new(),
            oldest_due_at: None,
        });
        figures.states.insert(one.state.name(), one.count);
        figures.oldest_due_at = figures.oldest_due_at.or(one.oldest_due_at);
    }
    Ok(Body::of(List::whole(all.into_values().collect())))
}

/// How many deliveries are sent once more.
#[derive(JsonSchema, Serialize)]
struct Replay {
    count: u64,
    /// Of a preview: how many are left out, for something was owed since that says otherwise.
    overtaken: Option<u64>,
    /// They were counted only.
    preview: bool,
}

fn replayed(fields: &mut Fields) -> Result<DeliveryFilter, Error> {
    let filter = DeliveryFilter {
        id: fields.optional("id", number)?.map(DeliveryId),
        destination_id: fields.optional("destination_id", number)?.map(DestinationId),
        conversion_id: fields.optional("conversion_id", number)?.map(ConversionId),
        state: fields.optional("state", plain::<String>)?.and_then(|name| State::from_name(&name)),
        from: fields.optional("from", plain)?,
        to: fields.optional("to", plain)?,
        ..DeliveryFilter::default()
    };
    if filter == DeliveryFilter::default() {
        let detail = "it names none: give at least one of id, destination_id, conversion_id, \
            state, from, to";
        return Err(Error::request(detail));
    }
    Ok(filter)
}

/// The key was used with another request.
fn reused() -> Error {
    let detail = "the key was used with another request".to_owned();
    Error::Conflict { code: "idempotency_key_reused", detail }
}

/// Refuses a command whose key is a replay's: those are not in the journal. Where deliveries do not
/// answer it is not known, and nothing that is set up waits for them.
pub(super) async fn refuse_key_of_replay(app: &App, sent: &Idempotency) -> Result<(), Error> {
    let Some(deliveries) = app.deliveries.get() else { return Ok(()) };
    match tokio::time::timeout(KEY_WITHIN, deliveries.replayed(&sent.key)).await {
        Ok(Ok(Some(_))) => Err(reused()),
        Ok(Ok(None)) => Ok(()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "it is not known whether a key is a replay's");
            Ok(())
        }
        Err(_) => {
            tracing::debug!("it is not known in time whether a key is a replay's");
            Ok(())
        }
    }
}

/// How many the same request has had sent once more before, where it was done; what was cut off goes
/// on.
async fn earlier(
    app: &App,
    deliveries: &dyn Deliveries,
    sent: Option<&Idempotency>,
) -> Result<Option<u64>, Error> {
    let Some(Idempotency { key, request }) = sent else { return Ok(None) };
    let earlier = deliveries.replayed(key).await?;
    caught_up(app).await.map_err(|_| Unavailable::Busy)?;
    let is_command = app.store.command_by_key(auth::ACTOR, key).await?.is_some();
    match earlier {
        Some(earlier) if earlier.request == *request => {
            Ok(Some(earlier.count).filter(|_| earlier.is_done))
        }
        None if !is_command => Ok(None),
        _ => Err(reused()),
    }
}

/// What an archived destination was told is never told it again.
async fn replay(
    Extracted(app): Extracted<Arc<App>>,
    mut sent: Sent,
) -> Result<Body<Replay>, Error> {
    let mut fields = sent.fields();
    let mut filter = replayed(&mut fields)?;
    let preview = fields.required("preview", flag)?;
    {
        let setup = app.live.setup();
        if let Some(id) = filter.destination_id {
            let destination = destinations::there(&setup, id).map_err(|_| {
                Error::parameter("destination_id", format!("there is no destination {id}"))
            })?;
            if destination.archived {
                let detail = format!("destination {id} is archived: nothing is sent to it");
                return Err(Error::Conflict { code: "archived", detail });
            }
        }
        let archived = setup.destinations.values().map(domain::setup::History::latest);
        filter.except = archived.filter(|one| one.archived).map(|one| one.id).collect();
    }
    let deliveries = of(&app)?;
    if preview {
        let Replayable { count, overtaken } = deliveries.count_replayable(&filter).await?;
        return Ok(Body::of(Replay { count, overtaken: Some(overtaken), preview }));
    }
    let _turn = app.replays.lock().await;
    if let Some(count) = earlier(&app, deliveries, sent.idempotency.as_ref()).await? {
        return Ok(Body::of(Replay { count, overtaken: None, preview }));
    }
    let replayed = match &sent.idempotency {
        Some(under) => deliveries.replay_once(&filter, under, app.clock.now()).await,
        None => deliveries.replay(&filter, app.clock.now()).await,
    };
    let count = replayed.map_err(|error| match error {
        // Some of them may have been done before: it is not so that nothing was changed.
        store::Error::Unavailable(_) => Error::Late,
        error => error.into(),
    })?;
    tracing::info!(
        actor = auth::ACTOR,
        count,
        delivery.id = filter.id.map(|id| id.0),
        destination.id = filter.destination_id.map(|id| id.0),
        conversion.id = filter.conversion_id.map(|id| id.0),
        state = filter.state.map(State::name),
        from = filter.from.map(tracing::field::display),
        to = filter.to.map(tracing::field::display),
        "deliveries are sent once more"
    );
    app.wake_sender.notify_one();
    Ok(Body::of(Replay { count, overtaken: None, preview }))
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::blamed;
    use super::*;

    fn read(json: &str) -> Result<DeliveryFilter, Error> {
        replayed(&mut Fields::read(json.as_bytes(), REPLAY)?)
    }

    #[test]
    fn what_is_sent_once_more_is_said() {
        let filter = read(r#"{"destination_id":4,"state":"held","preview":true}"#).unwrap();
        assert_eq!(filter.destination_id, Some(DestinationId(4)));
        assert_eq!(filter.state, Some(State::Held));
        let (name, detail) = blamed(read(r#"{"preview":false}"#).unwrap_err());
        assert_eq!(name, None);
        assert!(detail.starts_with("it names none"), "{detail}");
        for (json, name) in [
            (r#"{"id":1}"#, "preview"),
            (r#"{"state":"waiting","preview":true}"#, "state"),
            (r#"{"state":"cancelled","preview":true}"#, "state"),
            (r#"{"from":"yesterday","preview":true}"#, "from"),
        ] {
            assert_eq!(blamed(read(json).unwrap_err()).0.as_deref(), Some(name), "{json}");
        }
    }
}
