//! Calls a destination: one request, one answer, within limits.
//!
//! A name is looked up once, every address it has is checked, and only those that were checked
//! are called. Redirects are answers like any other. Whatever the other side does, a call ends within
//! its time and reads no more than it may.

#[cfg(test)]
mod tests;

use super::guard::Guard;
use super::idle::Idle;
use super::names::{Lookup, Names, System};
use bytes::Bytes;
use domain::destination::{ANSWER_READ_BYTES_MAX, RETRY_AFTER_S_MAX};
use domain::outbound::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How much of an answer's body is read, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = ANSWER_READ_BYTES_MAX;
/// How long an answer's head may be, in bytes, and how many headers it may have.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;
/// How many of a host's addresses are tried.
const ADDRESSES_MAX: usize = 8;
/// How many connections are tried beside the first of their requests at once: each is an open file.
pub(crate) const FURTHER_MAX: usize = 128;
/// After how long without a connection the next address is tried as well, at the latest.
const TURN_MAX: Duration = Duration::from_millis(250);
/// How long a connection rests behind an answer that has no body. Some send one all the same, a
/// moment later: that would be taken for the beginning of the next answer.
const REST: Duration = Duration::from_millis(200);
/// What we call ourselves.
const USER_AGENT: &str = concat!("counterfoil/", env!("CARGO_PKG_VERSION"));
/// The header that stays the same however often something is sent.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) retry_after_s: Option<u32>,
    /// It was sent before, over a connection that broke: that may have arrived, whatever is said to
    /// the repeat.
    pub(crate) is_repeat: bool,
    /// The beginning of it.
    pub(crate) body: Bytes,
}

/// Why there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Url(&'static str),
    Name(String),
    Forbidden {
        host: String,
        address: IpAddr,
    },
    Own {
        host: String,
        address: IpAddr,
    },
    Connect(String),
    Tls(String),
    Answer(String),
    ConnectTimeout(Duration),
    Timeout(Duration),
    /// It was sent over a connection that broke, and then this.
    Repeat(Box<Failure>),
}

impl Failure {
    /// The request may have been read: only the answer was not.
    pub(crate) fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Answer(_) | Self::Timeout(_) | Self::Repeat(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => f.write_str(why),
            Self::Name(why) => write!(f, "the name was not found: {why}"),
            Self::Forbidden { host, address } => write!(
                f,
                "{host} is {address}, which is no address of the internet; `outbound_allow` lists \
                 those that may be called beside them"
            ),
            Self::Own { host, address } => write!(
                f,
                "{host} is {address}, which is this machine itself; `outbound_allow` lists the \
                 networks that may be called beside the internet"
            ),
            Self::Connect(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "no secure connection: {why}"),
            Self::Answer(why) => write!(f, "no answer that reads: {why}"),
            Self::ConnectTimeout(time) => {
                write!(f, "no connection within {} ms", time.as_millis())
            }
            Self::Timeout(time) => write!(f, "no answer within {} ms", time.as_millis()),
            Self::Repeat(then) => write!(f, "the connection ended once it was sent; then {then}"),
        }
    }
}

/// An exchange without an answer.
struct Broken {
    failure: Failure,
    /// The connection ended before anything was heard: a kept one may have been closed before the
    /// request came.
    is_closed: bool,
    /// Some of the request was written.
    was_sent: bool,
}

impl Broken {
    fn by(error: &hyper::Error, was_sent: bool) -> Self {
        let is_closed = error.is_closed()
            || error.is_canceled()
            || error.is_incomplete_message()
            || causing(error).any(|cause| {
                let cause = cause.downcast_ref::<io::Error>().map(io::Error::kind);
                matches!(cause, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
            });
        Self { failure: Failure::Answer(causes(error)), is_closed, was_sent }
    }
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until there is a connection.
    pub(crate) connect: Duration,
    /// Until the answer is read, connection and all.
    pub(crate) total: Duration,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Origin {
    is_secure: bool,
    host: String,
    port: u16,
}

/// Calls destinations, and keeps connections for the next call.
pub(crate) struct Caller {
    guard: Guard,
    patience: Patience,
    names: Names,
    further: Arc<Semaphore>,
    tls: TlsConnector,
    idle: Idle<Origin, SendRequest<Full<Bytes>>>,
}

impl Caller {
    pub(crate) fn new(guard: Guard, patience: Patience) -> Self {
        Self::looking_up(guard, patience, Arc::new(System))
    }

    fn looking_up(guard: Guard, patience: Patience, lookup: Arc<dyn Lookup>) -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        let (names, idle) = (Names::new(lookup), Idle::default());
        let further = Arc::new(Semaphore::new(FURTHER_MAX));
        Self { guard, patience, names, further, tls, idle }
    }

    /// Sends a request; `key` stays the same however often that is done.
    pub(crate) async fn call(&self, request: &Request, key: &str) -> Result<Heard, Failure> {
        let total = self.patience.total;
        let called = tokio::time::timeout(total, self.call_in_time(request, key));
        called.await.unwrap_or(Err(Failure::Timeout(total)))
    }

    async fn call_in_time(&self, request: &Request, key: &str) -> Result<Heard, Failure> {
        let (origin, authority, target) = parts(&request.url).map_err(Failure::Url)?;
        let wire = || wire(request, authority, &target, key).map_err(Failure::Url);
        let mut is_repeat = false;
        if let Some(sender) = self.idle.take(&origin, |sender| !sender.is_closed()) {
            match self.exchange(&origin, sender, wire()?).await {
                // It was closed meanwhile: another is tried.
                Err(Broken { is_closed: true, was_sent, .. }) => is_repeat = was_sent,
                exchanged => return exchanged.map_err(|broken| broken.failure),
            }
        }
        match self.call_anew(&origin, wire()?).await {
            Ok(heard) => Ok(Heard { is_repeat, ..heard }),
            Err(failure) if is_repeat => Err(Failure::Repeat(Box::new(failure))),
            Err(failure) => Err(failure),
        }
    }

    async fn call_anew(
        &self,
        origin: &Origin,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<Heard, Failure> {
        let sender = self.connect(origin).await?;
        self.exchange(origin, sender, request).await.map_err(|broken| broken.failure)
    }

    async fn exchange(
        &self,
        origin: &Origin,
        mut sender: SendRequest<Full<Bytes>>,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<Heard, Broken> {
        sender.ready().await.map_err(|error| Broken::by(&error, false))?;
        let answered = sender.try_send_request(request).await;
        let answer = answered.map_err(|mut error| {
            // Whoever gets it back knows that none of it was written.
            let was_sent = error.take_message().is_none();
            Broken::by(error.error(), was_sent)
        })?;
        let status = answer.status().as_u16();
        let retry_after_s = retry_after(answer.headers());
        let rest = rest_behind(&answer);
        let body = read(answer.into_body()).await;
        let (body, is_whole) =
            body.map_err(|failure| Broken { failure, is_closed: false, was_sent: true })?;
        if let Some(rest) = rest.filter(|_| is_whole) {
            self.idle.keep(origin, sender, rest);
        }
        Ok(Heard { status, retry_after_s, is_repeat: false, body })
    }

    async fn connect(&self, origin: &Origin) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let patience = self.patience.connect;
        let connected = tokio::time::timeout(patience, self.open(origin));
        connected.await.unwrap_or(Err(Failure::ConnectTimeout(patience)))
    }

    async fn open(&self, origin: &Origin) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let addresses = by_turns(self.resolve(origin).await?);
        let stream = self.first_of(&addresses).await?;
        self.check(origin, &stream)?;
        self.greet(origin, stream).await
    }

    /// The first connection that is made. One address after another is tried, so that all have
    /// their turn within the time, each beside those before, or in their place where there is no
    /// room.
    async fn first_of(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
        let places = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
        let turn = TURN_MAX.min(self.patience.connect / places);
        let mut rest = addresses.iter().copied();
        let mut under_way = JoinSet::new();
        let mut failed = Failure::Name("it has no address".to_owned());
        loop {
            if let Some(address) = rest.next() {
                let mut room = None;
                if !under_way.is_empty() {
                    room = self.further.clone().try_acquire_owned().ok();
                    if room.is_none() {
                        under_way.shutdown().await;
                    }
                }
                under_way.spawn(async move {
                    let _room = room;
                    TcpStream::connect(address).await
                });
            }
            let ended = match rest.len() {
                0 => under_way.join_next().await,
                _ => match tokio::time::timeout(turn, under_way.join_next()).await {
                    Ok(ended) => ended,
                    Err(_) => continue,
                },
            };
            match ended {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failed = Failure::Connect(error.to_string()),
                Some(Err(error)) => failed = Failure::Connect(error.to_string()),
                None => return Err(failed),
            }
        }
    }

    /// Every address of the host. One that must not be called is reason enough to call none: a
    /// name that has both is not an honest mistake.
    async fn resolve(&self, origin: &Origin) -> Result<Vec<SocketAddr>, Failure> {
        let bare = origin.host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, origin.port)],
            Err(_) => {
                let found = self.names.addresses(bare).await.map_err(Failure::Name)?;
                found.into_iter().map(|one| SocketAddr::new(one, origin.port)).collect()
            }
        };
        match found.iter().find(|address| !self.guard.admits(address.ip())) {
            Some(address) => {
                let (host, address) = (origin.host.clone(), address.ip());
                Err(Failure::Forbidden { host, address })
            }
            None => Ok(found),
        }
    }

    /// Before anything is said: only the connection shows which addresses are this machine's own.
    fn check(&self, origin: &Origin, stream: &TcpStream) -> Result<(), Failure> {
        let ends = stream.local_addr().and_then(|local| Ok((local.ip(), stream.peer_addr()?.ip())));
        let (local, peer) = ends.map_err(|error| Failure::Connect(error.to_string()))?;
        match self.guard.admits_between(local, peer) {
            true => Ok(()),
            false => Err(Failure::Own { host: origin.host.clone(), address: peer }),
        }
    }

    async fn greet(
        &self,
        origin: &Origin,
        stream: TcpStream,
    ) -> Result<SendRequest<Full<Bytes>>, Failure> {
        stream.set_nodelay(true).map_err(|error| Failure::Connect(error.to_string()))?;
        if !origin.is_secure {
            return shake_hands(stream).await;
        }
        let bare = origin.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|error| Failure::Tls(error.to_string()))?;
        let secure = self.tls.connect(name, stream).await;
        shake_hands(secure.map_err(|error| Failure::Tls(error.to_string()))?).await
    }
}

/// The addresses that are tried, each family in its turn: one of them may lead nowhere from here.
fn by_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first = found.first().is_none_or(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|one| one.is_ipv6() == is_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let turns = std::iter::from_fn(|| match (first.next(), second.next()) {
        (None, None) => None,
        turn => Some([turn.0, turn.1]),
    });
    turns.flatten().flatten().take(ADDRESSES_MAX).collect()
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let mut builder = Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let shaken = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| Failure::Connect(causes(&error)))?;
    // It ends with its last sender.
    tokio::spawn(connection);
    Ok(sender)
}

/// How long a connection rests before it is used again; `None`: nobody knows where that answer
/// ends, for it can have no body, and says that it has one.
fn rest_behind<B>(answer: &hyper::Response<B>) -> Option<Duration> {
    if !matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Some(Duration::ZERO);
    }
    let headers = answer.headers();
    let lengths = headers.get_all(header::CONTENT_LENGTH);
    let is_empty = lengths.iter().all(|length| length == "0");
    (is_empty && !headers.contains_key(header::TRANSFER_ENCODING)).then_some(REST)
}

/// The beginning of a body, and whether that was all of it.
async fn read(mut body: Incoming) -> Result<(Bytes, bool), Failure> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Answer(causes(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        let room = BODY_BYTES_MAX - all.len();
        all.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() >= room {
            return Ok((all.into(), false));
        }
    }
    Ok((all.into(), true))
}

/// In whole seconds, up to a day. A date is held against the receiver's own, for its clock may be another.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(header::RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // What has no place in a number is long as well.
        return Some(
            asked.parse().map_or(RETRY_AFTER_S_MAX, |asked: u32| asked.min(RETRY_AFTER_S_MAX)),
        );
    }
    let instant = |text| Some(rfc2822::parse(text).ok()?.timestamp().as_second());
    let seconds = instant(asked)? - instant(text(header::DATE)?)?;
    u32::try_from(seconds.min(RETRY_AFTER_S_MAX.into())).ok()
}

/// Origin, authority and target of a URL.
fn parts(url: &str) -> Result<(Origin, &str, String), &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
    let is_secure = scheme.eq_ignore_ascii_case("https");
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let target = target.split('#').next().unwrap_or_default();
    let port_starts = authority.rfind(':').filter(|place| !authority[*place..].contains(']'));
    let (host, port) = match port_starts {
        Some(place) => {
            let port = authority[place + 1..].parse().map_err(|_| "it has no port that reads")?;
            (&authority[..place], port)
        }
        None => (authority, if is_secure { 443 } else { 80 }),
    };
    if host.is_empty() {
        return Err("it has no host");
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    let origin = Origin { is_secure, host: host.to_ascii_lowercase(), port };
    Ok((origin, authority, format!("{slash}{target}")))
}

fn wire(
    request: &Request,
    authority: &str,
    target: &str,
    key: &str,
) -> Result<hyper::Request<Full<Bytes>>, &'static str> {
    let body = request.body.clone().map(Bytes::from).unwrap_or_default();
    let mut made = hyper::Request::builder()
        .method(request.method.name())
        .uri(target)
        .body(Full::new(body))
        .map_err(|_| "it holds what no URL may hold")?;
    let headers = made.headers_mut();
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "a header holds no text");
    headers.insert(header::HOST, value(authority)?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(IDEMPOTENCY_KEY, value(key)?);
    if request.method == Method::Post && request.body.as_ref().is_none_or(String::is_empty) {
        // There are servers that take no POST whose length they are not told.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if let Some(content_type) = &request.content_type {
        headers.insert(header::CONTENT_TYPE, value(content_type)?);
    }
    for (name, text) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header has no name")?;
        headers.insert(name, value(text)?);
    }
    Ok(made)
}

/// All headers of a request, as they are sent, but for the length of its body.
pub(crate) fn headers(request: &Request, key: &str) -> Result<Vec<(String, String)>, Failure> {
    let (_, authority, target) = parts(&request.url).map_err(Failure::Url)?;
    let made = wire(request, authority, &target, key).map_err(Failure::Url)?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let all = made.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    Ok(all.collect())
}

/// An error with what lies beneath it.
fn causes(error: &(dyn Error + 'static)) -> String {
    causing(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The error, and what lies beneath it.
fn causing<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
}
