//! The API: everything that is set up, decided and counted, as JSON under `/api/v1`.
//!
//! A handler reads its request, makes one call, and shows what came of it. What changes anything
//! is a command: it is journaled and judged where commands are applied, not here.

mod advertisers;
mod alerts;
pub(super) mod auth;
mod backfills;
mod body;
mod builder;
mod campaigns;
mod clicks;
mod contracts;
mod conversions;
mod debugger;
mod deliveries;
mod destinations;
pub(crate) mod document;
pub(crate) mod draw;
mod field;
mod hits;
mod idempotency;
mod integrations;
mod kind;
mod links;
mod mask;
mod paging;
mod partners;
mod postback_url;
mod publishers;
mod query;
mod refusal;
mod rehearsals;
mod reply;
mod reports;
mod route;
mod settings;
mod shadow;
mod show;
mod sub_labels;
mod test_clicks;
mod trace;
mod triage;
mod trials;
mod typed;

use crate::app::App;
use crate::http::{Error, client};
use crate::ingest::Unavailable;
use axum::Router;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;
use body::Sent;
use domain::command::{Act, Answer, Command, Outcome};
use domain::echo::echoed;
use domain::id::IntegrationId;
use route::Route;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How long a question waits for what was acknowledged before it to be applied.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(1);

/// All of the API, to be mounted under `/api/v1`, for requests that [`auth::check`] has let in
/// where they need a key.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (keyed, open): (Vec<_>, Vec<_>) = routes().into_iter().partition(|route| route.needs_key);
    route::mounted(keyed)
        .fallback(async || Error::NotFound("such path in the API".to_owned()))
        .layer(middleware::from_fn_with_state(app.clone(), admit))
        .merge(route::mounted(open))
        .with_state(app)
}

/// Whether that path is for whoever asks.
pub(super) fn is_open(path: &[u8]) -> bool {
    path == document::PATH.as_bytes()
}

type Routes = Router<Arc<App>>;

/// Every route, in the order of the document.
fn routes() -> Vec<Route> {
    let all = [
        advertisers::routes(),
        publishers::routes(),
        sub_labels::routes(),
        campaigns::routes(),
        links::routes(),
        destinations::routes(),
        backfills::routes(),
        trials::routes(),
        deliveries::routes(),
        alerts::routes(),
        integrations::routes(),
        contracts::routes(),
        rehearsals::routes(),
        shadow::routes(),
        settings::routes(),
        debugger::routes(),
        partners::routes(),
        builder::routes(),
        test_clicks::routes(),
        hits::routes(),
        clicks::routes(),
        conversions::routes(),
        triage::routes(),
        reports::routes(),
        document::routes(),
    ];
    all.into_iter().flatten().collect()
}

/// The id in a path. What cannot be one names nothing, as an unknown one does.
struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Error::NotFound("such path in the API".to_owned())),
        }
    }
}

impl Id {
    /// The number that it is, written in the one way there is to write it.
    fn of<T: FromStr + Display>(&self, noun: &str) -> Result<T, Error> {
        let id = self.0.parse().ok().filter(|id: &T| id.to_string() == self.0);
        id.ok_or_else(|| not_found(noun, &self.0))
    }
}

fn not_found(noun: &str, id: impl Display) -> Error {
    Error::NotFound(format!("{noun} {}", echoed(&id.to_string())))
}

/// The integration and the number of one of its contracts in a path.
struct ContractId(Id, Id);

impl<S: Send + Sync> FromRequestParts<S> for ContractId {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match Path::<(String, String)>::from_request_parts(parts, state).await {
            Ok(Path((integration, number))) => Ok(Self(Id(integration), Id(number))),
            Err(_) => Err(Error::NotFound("such path in the API".to_owned())),
        }
    }
}

impl ContractId {
    fn of(&self) -> Result<(IntegrationId, u32), Error> {
        Ok((self.0.of("integration")?, self.1.of("contract")?))
    }
}

/// Where the server is reached from outside, without a slash at its end.
///
/// Where it has not been told, it is where this request reached it: its sender has the admin
/// key, and is the only one who is answered with it.
struct Base(String);

impl FromRequestParts<Arc<App>> for Base {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let base = client::called(&app.config, &parts.headers);
        Ok(Self(base.unwrap_or_else(|| app.base_url())))
    }
}

/// Lets no request in while the ledger is closed: the setup that is in force then has lost its
/// history. A question is answered once everything before it is applied.
async fn admit(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if !app.ledger.is_open() {
        return Err(Unavailable::Closed.into());
    }
    if request.method().is_safe() {
        caught_up(&app).await?;
    }
    Ok(next.run(request).await)
}

/// Waits until what was on disk when this was called is applied: whoever had something
/// acknowledged finds it. A stale answer would look like any other, so there is none after
/// [`CAUGHT_UP_WITHIN`].
async fn caught_up(app: &App) -> Result<(), Error> {
    let asked_at = app.journal.next();
    let reached = tokio::time::timeout(CAUGHT_UP_WITHIN, app.progress.reaches(asked_at)).await;
    reached.map_err(|_| Error::Behind)
}

/// Has a command carried out. Its caller is answered from what came of it, whatever it is now,
/// so a request that is sent again is answered as before.
async fn command(app: &App, sent: Sent, act: Act) -> Result<Answer, Error> {
    if let Some(idempotency) = &sent.idempotency {
        deliveries::refuse_key_of_replay(app, idempotency).await?;
    }
    let actor = auth::ACTOR.to_owned();
    let command = Command { actor, idempotency: sent.idempotency, act };
    answered(app.ingest.command(command).await?)
}

/// What a command's caller is told.
fn answered(outcome: Outcome) -> Result<Answer, Error> {
    match outcome {
        Outcome::Done(answer) => Ok(*answer),
        Outcome::Failed(failure) => Err(Error::from(failure)),
    }
}

/// The answer to a request whose command was answered with another noun than it makes, which
/// the store does not do.
fn odd(answer: &Answer) -> Error {
    Error::Internal(format!("a command was answered with {answer:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::CampaignId;

    #[test]
    fn an_id_is_written_in_one_way() {
        let id = |text: &str| Id(text.to_owned()).of::<CampaignId>("campaign").ok();
        assert_eq!(id("7"), Some(CampaignId(7)));
        for text in ["", "07", "+7", "-7", "7.0", " 7", "x", "4294967296", "99999999999999999999"] {
            assert_eq!(id(text), None, "{text:?}");
        }
    }
}
