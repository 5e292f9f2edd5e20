//! A postback: kept byte for byte, on disk, and answered in the words of its contract.
//!
//! What has neither a key that we gave nor a click id that we made does not reach the journal: it
//! is judged here, from the setup in memory, and goes into the ring.

use super::answer::Answer;
use super::client;
use super::error::Error;
use super::head::{self, Request};
use super::receipt;
use super::ring::Kept;
use super::worker::Worker;
use crate::app::App;
use crate::keys;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use domain::contract::Answers;
use domain::hit::Hit;
use domain::ledger::{self, Read, Route};
use domain::postback::{Pairs, Problem};
use domain::setup::Setup;
use domain::time::Timestamp;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The longest a content type is kept, in bytes; the rest is cut.
const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// The longest `X-Forwarded-For` is kept, in bytes; the rest is cut.
const FORWARDED_BYTES_MAX: usize = 1_024;
/// How many headers that contracts name are kept of one request.
const HEADERS_MAX: usize = 20;
/// The longest of them is kept, in bytes; the rest is cut.
const HEADER_BYTES_MAX: usize = 1_024;

pub(super) async fn receive(worker: &Worker, peer: IpAddr, request: Request) -> Response {
    if !matches!(request.method, Method::GET | Method::POST) {
        return Error::Method("GET, POST".into()).into_response();
    }
    let since = Instant::now();
    let hit = hit(&worker.app, peer, request);
    let answer = take(worker, hit, since).await.unwrap_or_else(IntoResponse::into_response);
    worker.figures.hit_seconds.record(since.elapsed());
    answer
}

/// The request as it is kept: no other header than these and those that a contract names,
/// whatever was sent.
fn hit(app: &App, peer: IpAddr, request: Request) -> Hit {
    let Request { method, target, headers, body } = request;
    let setup = app.live.setup();
    let named = named(&setup, &headers);
    let base = setup.signs_urls().then(|| client::called(&app.config, &headers)).flatten();
    let forwarded = headers.get_all(client::FORWARDED_FOR);
    let values: Vec<&[u8]> = forwarded.iter().map(HeaderValue::as_bytes).collect();
    let peer = client::address(peer, values.iter().copied(), &app.config.trusted_proxies);
    let forwarded = match &*values {
        [] => None,
        values => {
            let joined = values.join(&b", "[..]);
            Some(head::text(&joined, FORWARDED_BYTES_MAX).into_owned())
        }
    };
    Hit {
        method: method.as_str().to_owned(),
        target,
        content_type: content_type(&headers),
        body,
        peer: Some(peer),
        forwarded,
        headers: named,
        base: base.unwrap_or_default(),
        salt: keys::random(),
    }
}

/// The headers that a contract names.
fn named(setup: &Setup, headers: &HeaderMap) -> Vec<(String, String)> {
    let mut named = Vec::new();
    for name in setup.header_names() {
        for value in headers.get_all(name) {
            if named.len() < HEADERS_MAX {
                let value = head::text(value.as_bytes(), HEADER_BYTES_MAX).into_owned();
                named.push((name.to_owned(), value));
            }
        }
    }
    named
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    Some(head::text(value.as_bytes(), CONTENT_TYPE_BYTES_MAX).into_owned())
}

async fn take(worker: &Worker, hit: Hit, since: Instant) -> Result<Response, Error> {
    let app = &worker.app;
    match judge(app, &hit) {
        Judged::Ours(answers) => keep(worker, &hit, &answers, since).await,
        Judged::Nobodys(verdict) => {
            let Verdict { problem, answers, contract } = *verdict;
            let reason = problem.reason;
            let returned = returned(&answers, &hit);
            let kept = app.ring.keep(Kept {
                ordinal: 0,
                at: app.clock.now(),
                hit,
                verdict: reason.verdict(),
                reason,
                parameter: problem.parameter,
                nearest: problem.nearest,
                detail: problem.detail,
                contract,
                http_status: answers.http_status(Some(reason.verdict()), Some(reason)),
            });
            metrics::counter!("counterfoil_ring_hits_total", "reason" => reason.name())
                .increment(1);
            Ok(Answer::ring(app, &kept).respond(&answers, returned))
        }
    }
}

/// Whether a hit is worth the journal, and how its sender is answered.
enum Judged {
    Ours(Box<Answers>),
    Nobodys(Box<Verdict>),
}

struct Verdict {
    problem: Problem,
    answers: Answers,
    contract: Option<String>,
}

fn judge(app: &App, hit: &Hit) -> Judged {
    let setup = app.live.setup();
    let keyring = &app.keys.click;
    let is_ours = ledger::is_ours(&setup, keyring, hit);
    let now = app.clock.now();
    if is_ours && let Some(answers) = answers_by_key(&setup, hit, now) {
        return Judged::Ours(Box::new(answers));
    }
    let Read { contract, contract_ref, reading, .. } = ledger::read(&setup, keyring, hit, now);
    let answers = contract.map_or_else(Answers::default, |contract| contract.answers.clone());
    match reading.result {
        Err(problem) if !is_ours => {
            let contract = contract_ref.map(|contract| contract.to_string());
            Judged::Nobodys(Box::new(Verdict { problem, answers, contract }))
        }
        _ => Judged::Ours(Box::new(answers)),
    }
}

/// Where the key alone names the contract, nothing has to be read to know it. Beside a contract in
/// sunset it does not.
fn answers_by_key(setup: &Setup, hit: &Hit, now: Timestamp) -> Option<Answers> {
    let Route::Key(key) = ledger::route(setup, hit.path()) else { return None };
    let integration = setup.integration_by_key(key)?;
    if integration.archived {
        return Some(Answers::default());
    }
    let answers = &integration.contract.answers;
    let is_alike = integration.in_sunset(now).all(|one| one.contract.answers == *answers);
    is_alike.then(|| answers.clone())
}

/// Journals a hit that came at `since`, and waits for its verdict as long as its contract wants to
/// hear it and the sender can be expected to stay.
async fn keep(
    worker: &Worker,
    hit: &Hit,
    answers: &Answers,
    since: Instant,
) -> Result<Response, Error> {
    let app = &worker.app;
    if !app.ledger.is_open() {
        return keep_for_later(worker, hit, answers).await;
    }
    let received = app.ingest.receive(hit).await;
    let received = received.map_err(|unavailable| Error::not_received(unavailable, answers))?;
    let position = received.position;
    let undecided =
        |at| Answer::received(app, position, at).respond(answers, returned(answers, hit));
    if answers.is_blind() {
        return Ok(undecided(None));
    }
    let within = Duration::from_millis(app.config.answer_within_ms);
    let until = tokio::time::Instant::from_std(since + within);
    let verdict = tokio::time::timeout_at(until, received.verdict()).await;
    if let Ok(Ok(verdict)) = verdict {
        return Ok(Answer::decided(app, &verdict).respond(answers, returned(answers, hit)));
    }
    // It is on disk, and will be decided: by the next start, if this one is stopping.
    worker.figures.hits_late.increment(1);
    Ok(undecided(receipt::received_at(app, position)))
}

/// Journals a hit while there is no ledger to decide by.
async fn keep_for_later(worker: &Worker, hit: &Hit, answers: &Answers) -> Result<Response, Error> {
    let app = &worker.app;
    let kept = app.ingest.keep(hit).await;
    let position = kept.map_err(|unavailable| Error::not_received(unavailable, answers))?;
    worker.figures.hits_late.increment(1);
    let at = receipt::received_at(app, position);
    let answer = Answer::received(app, position, at);
    Ok(answer.respond(answers, returned(answers, hit)))
}

/// The body that the sender asks for, where its contract lets it.
fn returned(answers: &Answers, hit: &Hit) -> Option<String> {
    let name = answers.return_name.as_ref()?;
    let pair = Pairs::of(hit).all.into_iter().find(|pair| pair.name == *name)?;
    answers.returned(&pair.text).filter(|_| !pair.is_malformed).map(str::to_owned)
}
