//! What is known of a visitor beside its address: worked out once, when its click is made.

use crate::app::App;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use domain::visitor::{Agent, Visitor};
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

pub(super) fn visitor(agent: &[u8]) -> Visitor<'static> {
    let Agent { device, os, browser } = Agent::read(agent);
    Visitor { country: None, device, os: Cow::Borrowed(os), browser: Cow::Borrowed(browser) }
}

/// What is known of whoever asks, where that is to make a click.
pub(super) struct Asking(pub(super) Visitor<'static>);

impl FromRequestParts<Arc<App>> for Asking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        let agent = parts.headers.get(USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
        Ok(Self(visitor(agent)))
    }
}
