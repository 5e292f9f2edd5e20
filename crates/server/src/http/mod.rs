//! HTTP: the routes, one list, by who calls them.
//!
//! Clicks and postbacks are answered on the thread their connection is on, from the request as it
//! was sent. Everything else goes through axum, on the runtime beside.

mod answer;
pub(crate) mod api;
mod body;
mod buffered;
mod click;
mod client;
mod connection;
mod contract;
mod error;
pub(crate) mod figures;
mod head;
mod health;
mod postback;
mod receipt;
mod reply;
pub(crate) mod ring;
pub(crate) mod serve;
mod socket;
#[cfg(test)]
mod tests;
mod visitor;
mod waiting;
mod worker;

pub(crate) use answer::Answer;
pub(crate) use error::Error;

use crate::app::App;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request as ApiRequest, Uri};
use axum::response::{IntoResponse, Response};
use connection::Surface;
use domain::hit::BODY_BYTES_MAX;
use domain::ledger::{self, Route};
use head::Request;
use std::net::IpAddr;
use std::sync::Arc;
use tower::ServiceExt;
use visitor::Peer;
use worker::Worker;

/// The longest a body of an API request may be, in bytes.
const API_BODY_BYTES_MAX: usize = 256 * 1024;
/// Everything that people and their programs set up and ask for.
const API: &str = "/api/v1";

/// What a path is for. Links (`GET|HEAD /c/{token}`) have been answered before.
enum Place<'p> {
    /// `GET|POST /postback/{key}`, `/{key}/postback`, `/postback`, and the catalogue's paths:
    /// whoever reports conversions.
    Postback,
    /// `GET|HEAD /receipts/{receipt}`: whoever has reported one.
    Receipt(&'p str),
    /// `GET|HEAD /contracts/{token}`: whoever is to speak as it says.
    Contract(&'p str),
    /// `GET|HEAD /healthz`: whoever starts and stops the process.
    Alive,
    /// `GET|HEAD /readyz`: whoever sends it traffic.
    Ready,
    /// Everything else: `/api/v1`, and what is nowhere.
    Api,
}

fn place<'p>(app: &App, path: &'p [u8]) -> Place<'p> {
    let Ok(text) = std::str::from_utf8(path) else { return Place::Api };
    match text {
        "/healthz" => return Place::Alive,
        "/readyz" => return Place::Ready,
        _ if is_api(path) => return Place::Api,
        _ => {}
    }
    if let Some(receipt) = text.strip_prefix("/receipts/") {
        return Place::Receipt(receipt);
    }
    if let Some(name) = text.strip_prefix("/contracts/") {
        return Place::Contract(name);
    }
    match ledger::route(&app.live.setup(), path) {
        Route::Elsewhere => Place::Api,
        _ => Place::Postback,
    }
}

/// What is on a path, for whoever asks before a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Postback,
    /// Something else that is ours: a link, a receipt, a page, the API.
    Other,
    Nothing,
}

fn found(app: &App, path: &[u8]) -> Found {
    match place(app, path) {
        _ if click::token(path).is_some() => Found::Other,
        Place::Postback => Found::Postback,
        Place::Api if !is_api(path) => Found::Nothing,
        _ => Found::Other,
    }
}

fn is_api(path: &[u8]) -> bool {
    path.strip_prefix(API.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

fn needs_key(path: &[u8]) -> bool {
    is_api(path) && !api::is_open(&path[API.len()..])
}

/// The longest a body may be that comes with that head. Where the API's key is missing nothing is
/// read: a stranger is told nothing else and takes no memory.
fn body_bytes_max(app: &App, request: &Request) -> Result<usize, Error> {
    if !needs_key(request.path()) {
        return Ok(BODY_BYTES_MAX);
    }
    api::auth::check(app, &request.headers)?;
    Ok(API_BODY_BYTES_MAX)
}

/// Answers whatever is no click.
async fn answer(worker: &Worker, surface: Surface, peer: IpAddr, request: Request) -> Response {
    let app = &worker.app;
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    if surface == Surface::Metrics {
        return match request.path() {
            b"/metrics" if is_read => health::metrics(app),
            b"/metrics" => Error::Method("GET, HEAD".into()).into_response(),
            _ => Error::NotFound("such path: only /metrics".to_owned()).into_response(),
        };
    }
    match place(app, request.path()) {
        Place::Postback => postback::receive(worker, peer, request).await,
        Place::Api => api(worker, peer, request).await,
        _ if !is_read => Error::Method("GET, HEAD".into()).into_response(),
        Place::Receipt(receipt) => receipt::show(app, receipt).await.into_response(),
        Place::Contract(name) => contract::show(app, name),
        Place::Alive => health::alive(),
        Place::Ready => health::ready(app),
    }
}

/// What is answered beside the threads of clicks and postbacks.
fn router(app: Arc<App>) -> Router {
    Router::new()
        .nest(API, api::router(app))
        .fallback(async || Error::NotFound("such path".to_owned()))
}

async fn api(worker: &Worker, peer: IpAddr, request: Request) -> Response {
    if needs_key(request.path())
        && let Err(error) = api::auth::check(&worker.app, &request.headers)
    {
        return error.into_response();
    }
    let Ok(uri) = Uri::try_from(&*request.target) else {
        return Error::request("the target is no URL").into_response();
    };
    let mut sent = ApiRequest::new(Body::from(request.body));
    *sent.method_mut() = request.method;
    *sent.uri_mut() = uri;
    *sent.headers_mut() = request.headers;
    sent.extensions_mut().insert(Peer(peer));
    let router = worker.router.clone();
    match worker.rest.spawn(router.oneshot(sent)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(never)) => match never {},
        Err(error) => {
            worker.figures.panics.increment(1);
            Error::Internal(format!("a handler did not end well: {error}")).into_response()
        }
    }
}
