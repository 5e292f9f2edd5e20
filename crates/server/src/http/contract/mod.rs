//! `GET /contracts/{token}`: a version of a contract as a page, for the other side to read.
//!
//! Tokens cannot be guessed, so none asks for a login; but an address travels. So no secret is on
//! a page and no key, and nothing on it is fetched from elsewhere or run.

mod answers;
mod document;
mod html;
mod markdown;
mod parameters;

use crate::app::App;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use document::Document;
use domain::contract::version::Status;

/// Everything a page looks like; beside the pages, so that none has styles of its own.
const STYLE: &str = "style.css";
/// What stands behind a token for the same as Markdown.
const MARKDOWN: &str = ".md";
/// Nothing is run, sent, framed, or fetched but the style.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// The page at what stands behind `/contracts/`.
pub(super) fn show(app: &App, name: &str) -> Response {
    if name == STYLE {
        return shown("text/css; charset=utf-8", html::STYLE.to_owned());
    }
    let (token, is_markdown) =
        name.strip_suffix(MARKDOWN).map_or((name, false), |token| (token, true));
    let setup = app.live.setup();
    let found = setup.contract_by_token(token);
    let Some(version) = found.filter(|version| version.status != Status::Discarded) else {
        return (StatusCode::NOT_FOUND, shown("text/html; charset=utf-8", html::nothing()))
            .into_response();
    };
    // Who asks has no key, so what it calls us by is not repeated to it.
    let base = app.config.external_url.as_deref().map(|url| url.trim_end_matches('/'));
    let document = Document::of(&setup, version, base.unwrap_or_default(), app.clock.now());
    if is_markdown {
        shown("text/markdown; charset=utf-8", markdown::of(&document))
    } else {
        shown("text/html; charset=utf-8", html::of(&document, &format!("{token}{MARKDOWN}")))
    }
}

fn shown(content_type: &'static str, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (ROBOTS, HeaderValue::from_static("noindex, nofollow")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}
