//! The API: everything that is set up, decided and counted, as JSON under `/api/v1`.
//!
//! A handler reads its request, makes one call, and shows what came of it. What changes anything
//! is a command: it is journaled and judged where commands are applied, not here.

mod advertisers;
pub(super) mod auth;
mod body;
mod campaigns;
mod clicks;
mod conversions;
pub(crate) mod draw;
mod hits;
mod idempotency;
mod integrations;
mod links;
mod mask;
mod paging;
mod partners;
mod postback_url;
mod publishers;
mod query;
mod reports;
mod show;
mod test_clicks;
mod trace;

use crate::app::App;
use crate::http::Error;
use crate::ingest::Unavailable;
use axum::Router;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use body::Sent;
use domain::command::{Act, Answer, Command, Outcome};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How long a question waits for what was acknowledged before it to be applied.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(1);

/// All of the API, to be mounted under `/api/v1`, for requests that [`auth::check`] has let in.
pub(crate) fn router(app: Arc<App>) -> Router {
    setup_routes()
        .merge(ledger_routes())
        .fallback(async || Error::NotFound("such path in the API".to_owned()))
        .layer(middleware::from_fn_with_state(app.clone(), admit))
        .with_state(app)
}

type Routes = Router<Arc<App>>;

/// What an operator sets up.
fn setup_routes() -> Routes {
    let changed = |archive: MethodRouter<Arc<App>>| only("POST", archive);
    Router::new()
        .route("/advertisers", listed(get(advertisers::list).post(advertisers::create)))
        .route("/advertisers/{id}", single(get(advertisers::one).patch(advertisers::change)))
        .route("/advertisers/{id}/archive", changed(post(advertisers::archive)))
        .route("/advertisers/{id}/postback-url", read(get(advertisers::postback_url)))
        .route("/publishers", listed(get(publishers::list).post(publishers::create)))
        .route("/publishers/{id}", single(get(publishers::one).patch(publishers::change)))
        .route("/publishers/{id}/archive", changed(post(publishers::archive)))
        .route("/campaigns", listed(get(campaigns::list).post(campaigns::create)))
        .route("/campaigns/{id}", single(get(campaigns::one).patch(campaigns::change)))
        .route("/campaigns/{id}/archive", changed(post(campaigns::archive)))
        .route("/campaigns/{id}/status", changed(post(campaigns::set_status)))
        .route("/campaigns/{id}/goals", changed(post(campaigns::add_goal)))
        .route("/campaigns/{id}/postback-url", read(get(campaigns::postback_url)))
        .route("/links", listed(get(links::list).post(links::create)))
        .route("/links/{id}", single(get(links::one).patch(links::change)))
        .route("/links/{id}/archive", changed(post(links::archive)))
        .route("/integrations", listed(get(integrations::list).post(integrations::create)))
        .route("/integrations/{id}", single(get(integrations::one).patch(integrations::change)))
        .route("/integrations/{id}/archive", changed(post(integrations::archive)))
        .route("/integrations/{id}/contracts", read(get(integrations::contracts)))
        .route("/postback-url", read(get(integrations::postback_url)))
        .route("/partners", read(get(partners::list)))
        .route("/partners/{id}", read(get(partners::one)))
}

/// What came in, and what became of it.
fn ledger_routes() -> Routes {
    Router::new()
        .route("/test-clicks", only("POST", post(test_clicks::create)))
        .route("/clicks/{id}", read(get(clicks::one)))
        .route("/hits", read(get(hits::list)))
        .route("/hits/{id}", read(get(hits::one)))
        .route("/hits/{id}/redecide", only("POST", post(hits::redecide)))
        .route("/conversions", read(get(conversions::list)))
        .route("/conversions/{id}", read(get(conversions::one)))
        .route("/conversions/{id}/status", only("POST", post(conversions::set_status)))
        .route("/reports", read(get(reports::report)))
}

/// A route with the answer for methods it does not have.
fn only(methods: &'static str, route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    route.fallback(async move || Error::Method(methods))
}

fn read(route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    only("GET, HEAD", route)
}

fn listed(route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    only("GET, HEAD, POST", route)
}

fn single(route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    only("GET, HEAD, PATCH", route)
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
    Error::NotFound(format!("{noun} {id}"))
}

/// Where the server is reached from outside, without a slash at its end.
///
/// Where it has not been told, it is where this request reached it: its sender has the admin
/// key, and is the only one who is answered with it.
struct Base(String);

impl FromRequestParts<Arc<App>> for Base {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let configured = app.config.external_url.as_deref().map(|url| url.trim_end_matches('/'));
        let base = configured.map(str::to_owned).or_else(|| requested(&parts.headers));
        Ok(Self(base.unwrap_or_else(|| app.base_url())))
    }
}

fn requested(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_kept)).then(|| format!("http://{host}"))
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
    let actor = auth::ACTOR.to_owned();
    let command = Command { actor, idempotency: sent.idempotency, act };
    match app.ingest.command(command).await? {
        Outcome::Done(answer) => Ok(*answer),
        Outcome::Failed(failure) => Err(Error::from(failure)),
    }
}

/// The answer to a request whose command was answered with another noun than it makes, which
/// the store does not do.
fn odd(answer: &Answer) -> Error {
    Error::Internal(format!("a command was answered with {answer:?}"))
}

/// 201 with the noun that was made.
fn created(body: impl serde::Serialize) -> Response {
    (StatusCode::CREATED, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use domain::id::CampaignId;

    #[test]
    fn an_id_is_written_in_one_way() {
        let id = |text: &str| Id(text.to_owned()).of::<CampaignId>("campaign").ok();
        assert_eq!(id("7"), Some(CampaignId(7)));
        for text in ["", "07", "+7", "-7", "7.0", " 7", "x", "4294967296", "99999999999999999999"] {
            assert_eq!(id(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let base = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            requested(&headers)
        };
        assert_eq!(base("127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(base("[::1]:8080").as_deref(), Some("http://[::1]:8080"));
        for host in ["", "a/b", "a b", "a\"b", "user@host"] {
            assert_eq!(base(host), None, "{host}");
        }
    }
}
