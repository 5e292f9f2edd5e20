//! What is known of a visitor beside its address: worked out once, when its click is made.

use super::client;
use crate::app::App;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use domain::visitor::{Agent, Country, Visitor};
use std::borrow::Cow;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

/// What Cloudflare calls the network that hides where its visitors are.
const TOR: &[u8] = b"T1";

/// What a request says of its sender, and who connected.
pub(super) struct Signs<'r> {
    pub(super) peer: IpAddr,
    /// The visitor's own address.
    pub(super) ip: IpAddr,
    pub(super) agent: &'r [u8],
    /// What stands in the header in which proxies name the country: in the last one, for a visitor
    /// may have sent one before.
    pub(super) country: Option<&'r [u8]>,
}

pub(super) fn visitor(app: &App, signs: &Signs<'_>) -> Visitor<'static> {
    let Agent { device, os, browser } = Agent::read(signs.agent);
    let country = country(app, signs);
    Visitor { country, device, os: Cow::Borrowed(os), browser: Cow::Borrowed(browser) }
}

/// What a proxy that is trusted says comes first: it may know more than its address tells.
fn country(app: &App, signs: &Signs<'_>) -> Option<Country> {
    let is_trusted = client::is_trusted(signs.peer, &app.config.trusted_proxies);
    match signs.country.filter(|_| is_trusted).map(<[u8]>::trim_ascii) {
        Some(TOR) => None,
        Some(named) => Country::parse(named).or_else(|| app.countries.find(signs.ip)),
        None => app.countries.find(signs.ip),
    }
}

/// Who connected to send a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// What is known of whoever asks, where that is to make a click.
pub(super) struct Asking(pub(super) Visitor<'static>);

impl FromRequestParts<Arc<App>> for Asking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let Some(Peer(peer)) = parts.extensions.get::<Peer>().copied() else {
            return Ok(Self(Visitor::default()));
        };
        let forwarded = parts.headers.get_all(client::FORWARDED_FOR);
        let forwarded: Vec<_> = forwarded.iter().map(HeaderValue::as_bytes).collect();
        let trusted = &app.config.trusted_proxies;
        let ip = client::address(peer, forwarded.into_iter(), trusted);
        let agent = parts.headers.get(USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
        let country = app.config.country_header.as_deref();
        let country = country.and_then(|name| parts.headers.get_all(name).iter().next_back());
        let country = country.map(HeaderValue::as_bytes);
        Ok(Self(visitor(app, &Signs { peer, ip, agent, country })))
    }
}
