//! The debugger: how a request would be read and decided now, and why; nothing is recorded.

use super::body::{Sent, text};
use super::field::Field;
use super::hits::receipt;
use super::kind::Kind;
use super::rehearsals::Standing;
use super::reply::Body;
use super::route::Route;
use super::trace::Reading;
use super::{caught_up, mask::Mask, show::MASK};
use crate::app::App;
use crate::config::Config;
use crate::http::{self, Error, client};
use crate::rehearsal::{conversion_of, find_transaction};
use axum::extract::State;
use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue};
use domain::click::Click;
use domain::contract::Contract;
use domain::conversion::Status;
use domain::hit::{BODY_BYTES_MAX, Hit, TARGET_BYTES_MAX};
use domain::id::{CampaignId, ConversionId, LinkId, Position, PublisherId};
use domain::ledger::{
    self, Cause, ContractRef, Conversion, Decision, Facts, Occasion, Read, Route as Way,
};
use domain::reason::{Flag, Reason, Verdict};
use domain::setup::Setup;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use store::list::ConversionFilter;

/// How many header lines of a pasted request are looked at.
const HEADERS_MAX: usize = 100;
/// The longest method there is a use for, in bytes.
const METHOD_BYTES_MAX: usize = 20;

const REQUEST: &[Field] = &[
    Field::required(
        "request",
        Kind::Text,
        "A URL, or a whole request: its first line, headers, a blank line and the body",
    )
    .such_as("https://t.example.com/postback/k3y?click_id=abc&status=approved"),
    Field::optional(
        "remote_ip",
        Kind::Text,
        "The address it comes from; needed where the contract lets in some networks alone",
    )
    .such_as("203.0.113.7"),
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/debug",
            "How a request would be read and decided now, recording nothing",
            debug,
        )
        .body(REQUEST),
    ]
}

/// What would become of a request.
#[derive(JsonSchema, Serialize)]
struct Debugged {
    /// How its path was understood: `key`, `catalogue`, `plain`, `none`: no postback endpoint; or
    /// `foreign_key`: the key before `/postback` is none of ours, and a partner of the catalogue
    /// with keys there reads it by its click; or `foreign_name`: on `/postback`, a partner of the
    /// catalogue reads what the integration in charge has no name for.
    route: &'static str,
    /// Whose contract reads it: a name of the catalogue.
    partner: Option<String>,
    /// Scheme and host that the request is taken to have called, which signatures of whole URLs are
    /// checked with: `external_url`, else `http://` and the host that it names.
    called_as: Option<String>,
    /// Where that is not what the request says, what to know about it.
    note: Option<String>,
    click: Option<About>,
    /// Null: it is no postback, and is answered as any page that is not there.
    verdict: Option<Verdict>,
    reason: Option<Reason>,
    /// The parameter that is to blame.
    parameter: Option<String>,
    /// The name that was sent and is nearest to a missing one.
    nearest: Option<String>,
    detail: Option<String>,
    /// The reason's page in the manual.
    page: Option<String>,
    /// What its sender would be answered with; null: the path is of something else that is there.
    http_status: Option<u16>,
    /// The conversion as it would stand: one that is new or changed, else the one there is already.
    conversion: Option<Known>,
    /// Of a duplicate: the receipt of the hit that made the conversion.
    original: Option<String>,
    /// What matters for it and was not sent, by the names that are asked for.
    missing: Vec<String>,
    flags: Vec<Flag>,
    /// What was taken under which name, and what nobody asked for.
    read: Reading,
}

/// The click it is about.
#[derive(JsonSchema, Serialize)]
struct About {
    click_id: String,
    clicked_at: Timestamp,
    campaign_id: Option<CampaignId>,
    publisher_id: Option<PublisherId>,
    link_id: LinkId,
    /// Whether its own row is there, beside what its id says.
    detail: bool,
}

/// A conversion, and which one it is.
#[derive(JsonSchema, Serialize)]
struct Known {
    /// Null: it would be made.
    id: Option<ConversionId>,
    #[serde(flatten)]
    standing: Standing,
}

async fn debug(State(app): State<Arc<App>>, mut sent: Sent) -> Result<Body<Debugged>, Error> {
    let mut fields = sent.fields();
    let request = fields.required("request", text)?;
    let peer = fields.optional("remote_ip", text)?;
    let peer: Option<IpAddr> = peer
        .map(|text| text.trim().parse())
        .transpose()
        .map_err(|_| Error::parameter("remote_ip", "an address such as 203.0.113.7"))?;
    let Pasted { hit, address } = pasted(&app.config, &request, peer)?;
    caught_up(&app).await?;
    let found = http::found(&app, hit.path());
    if found != http::Found::Postback {
        return Ok(Body::of(Debugged::elsewhere(&hit, found)));
    }
    let setup = app.live.setup().clone();
    let now = app.clock.now();
    let mut read = ledger::read(&setup, &app.keys.click, &hit, now);
    find_transaction(&app, &setup, &mut read).await?;
    let click = match read.click_id {
        Some(id) => app.store.click(id).await?.map(|(_, click)| click),
        None => None,
    };
    let conversion = conversion_of(&app, &read).await?;
    let events = match read.tells_of() {
        Some(id) => app.store.events(id).await?,
        None => None,
    };
    let facts = Facts {
        click: click.as_ref(),
        conversion: conversion.as_ref(),
        has_earlier: has_earlier(&app, &read).await?,
        waiting: waiting(&app, &read).await?,
        events: events.as_ref(),
        next_id: ConversionId(u64::MAX),
    };
    let position = Position(u64::MAX);
    let occasion = Occasion {
        at: now,
        entered_at: now,
        position,
        cause: Cause::Hit(position),
        evidence: [0; 32],
    };
    let decision = ledger::decide(&setup, &read, facts, occasion);
    let note = note(&app.config, &hit, address.as_deref(), &read);
    let found = Found { click: click.as_ref(), conversion: conversion.as_ref(), note };
    Ok(Body::of(Debugged::of(&app, &setup, &hit, &read, &found, &decision)))
}

/// What there is already.
struct Found<'a> {
    click: Option<&'a Click<'a>>,
    conversion: Option<&'a Conversion>,
    /// About the address that was called.
    note: Option<String>,
}

/// Whether the click has a conversion of the goal already, where that marks another one.
async fn has_earlier(app: &App, read: &Read<'_>) -> Result<bool, Error> {
    let Some((click_id, goal)) = read.marks() else { return Ok(false) };
    let (click_id, goal) = (Some(click_id), Some(goal.to_owned()));
    let filter = ConversionFilter { click_id, goal, limit: 1, ..ConversionFilter::default() };
    Ok(!app.store.conversions(&filter).await?.items.is_empty())
}

/// How many conversions of the click wait in triage, where it would be one more.
async fn waiting(app: &App, read: &Read<'_>) -> Result<u32, Error> {
    let Some(click_id) = read.waits() else { return Ok(0) };
    let (click_id, is_triaged, limit) = (Some(click_id), Some(true), ledger::WAITING_MAX);
    let status = Some(Status::Pending);
    let filter =
        ConversionFilter { click_id, status, is_triaged, limit, ..ConversionFilter::default() };
    let found = app.store.conversions(&filter).await?.items.len();
    Ok(u32::try_from(found).unwrap_or(u32::MAX))
}

impl Debugged {
    /// A request to no postback endpoint.
    fn elsewhere(hit: &Hit, found: http::Found) -> Self {
        let is_taken = found == http::Found::Other;
        let detail = if is_taken {
            "no postback is received on this path: what begins with /c/, /receipts/, /contracts/ \
             or /api/v1 is something else, and so are /healthz and /readyz"
        } else {
            "no postback is received on this path: there are /postback, /postback/{key}, \
             /{key}/postback, and the paths of the catalogue"
        };
        Self {
            route: "none",
            partner: None,
            called_as: called_as(hit),
            note: None,
            click: None,
            verdict: None,
            reason: None,
            parameter: None,
            nearest: None,
            detail: Some(detail.to_owned()),
            page: None,
            http_status: (!is_taken).then_some(404),
            conversion: None,
            original: None,
            missing: Vec::new(),
            flags: Vec::new(),
            read: Reading::nothing(hit),
        }
    }

    fn of(
        app: &App,
        setup: &Setup,
        hit: &Hit,
        read: &Read<'_>,
        found: &Found<'_>,
        decision: &Decision,
    ) -> Self {
        let route = match ledger::route(setup, hit.path()) {
            Way::Key(_) if read.has_foreign_key => "foreign_key",
            Way::Key(_) => "key",
            Way::Path(_) => "catalogue",
            Way::Plain if read.has_foreign_name => "foreign_name",
            Way::Plain => "plain",
            Way::Elsewhere => "none",
        };
        let answers = read.contract.map(|contract| contract.answers.clone()).unwrap_or_default();
        let reference = read.contract_ref.as_ref().map(ToString::to_string);
        let mask = Mask::of(setup, reference.as_deref());
        // A parameter is blamed by the name that was sent: what is secret in it stays hidden.
        let parameter = decision
            .parameter
            .clone()
            .map(|name| if mask.hides("", &name) { MASK.to_owned() } else { name });
        Self {
            route,
            partner: partner(setup, read),
            called_as: called_as(hit),
            note: found.note.clone(),
            click: read.click_id.map(|id| About {
                click_id: app.keys.click.format(id).to_string(),
                clicked_at: super::clicks::made_at(id),
                campaign_id: read.campaign.map(|campaign| campaign.id),
                publisher_id: read.link.map(|link| link.publisher_id),
                link_id: id.link(),
                detail: found.click.is_some(),
            }),
            verdict: Some(decision.verdict),
            reason: decision.reason,
            parameter,
            nearest: decision.nearest.clone(),
            detail: detail(hit, read, decision),
            page: decision.reason.map(|reason| format!("docs/reasons/{}.md", reason.name())),
            http_status: Some(answers.http_status(Some(decision.verdict), decision.reason)),
            conversion: standing(found, decision),
            original: decision.original.map(|position| receipt(app, position)),
            missing: missing(read),
            flags: decision.flags.iter().collect(),
            read: Reading::of(setup, hit, read),
        }
    }
}

/// The conversion that it would make or change, else the one that it tells of.
fn standing(found: &Found<'_>, decision: &Decision) -> Option<Known> {
    let effect = decision.effect.as_ref().map(|effect| &effect.conversion);
    let one = effect.or_else(|| found.conversion.filter(|_| decision.conversion.is_some()))?;
    let id = Some(one.id).filter(|id| id.0 != u64::MAX);
    Some(Known { id, standing: Standing::of(one) })
}

/// In words. That no address was given is no fault of the request's.
fn detail(hit: &Hit, read: &Read<'_>, decision: &Decision) -> Option<String> {
    if decision.reason != Some(Reason::SourceNotAllowed) || hit.peer.is_some() {
        return decision.detail.clone();
    }
    let networks = read.contract.map(|contract| &contract.verification.networks);
    let networks = networks.into_iter().flatten().map(|network| String::from(*network));
    let networks: Vec<String> = networks.collect();
    Some(format!(
        "its contract lets in {} alone, and the request has no address here: give the sender's as \
         `remote_ip`",
        networks.join(", ")
    ))
}

fn partner(setup: &Setup, read: &Read<'_>) -> Option<String> {
    match read.contract_ref.as_ref()? {
        ContractRef::Integration { id, .. } => Some(setup.integration(*id)?.partner.clone()),
        ContractRef::Partner(name) => Some(name.clone()),
    }
}

/// The names that the contract requires and that carry nothing.
fn missing(read: &Read<'_>) -> Vec<String> {
    let parameters = read.contract.map_or(&[][..], |contract| &contract.parameters);
    let is_sent = |canonical| read.reading.values.iter().any(|value| value.canonical == canonical);
    let wanted = parameters.iter().filter(|one| one.required && !one.canonical.is_secret());
    wanted.filter(|one| !is_sent(one.canonical)).map(|one| one.name().to_owned()).collect()
}

fn called_as(hit: &Hit) -> Option<String> {
    (!hit.base.is_empty()).then(|| hit.base.clone())
}

/// What to know about the address that was called, where it is not the one that was pasted.
fn note(config: &Config, hit: &Hit, address: Option<&str>, read: &Read<'_>) -> Option<String> {
    let signs_urls = read.contract.is_some_and(Contract::signs_urls);
    if hit.base.is_empty() {
        let note = "the request names no host, so that its signature cannot be checked: paste the \
             whole URL, or a `Host`";
        return signs_urls.then(|| note.to_owned());
    }
    let (address, called) = (address?.to_ascii_lowercase(), hit.base.to_ascii_lowercase());
    let is_same_host = host(&address) == host(&called);
    if address == called || is_same_host && !signs_urls {
        return None;
    }
    Some(match (&config.external_url, is_same_host) {
        (Some(_), false) => format!(
            "the request calls `{address}`, which is not `external_url`: it is read as if it had \
             reached this server as `{called}`"
        ),
        (Some(_), true) => format!(
            "the request calls `{address}`, and `external_url` is `{called}`: what is signed is \
             checked with that"
        ),
        (None, _) => format!(
            "without `external_url` a request is taken to have called `{called}`, and what is \
             signed is checked with that: set it to `{address}` if that is what senders call"
        ),
    })
}

fn host(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, host)| host)
}

/// A request as it would arrive.
struct Pasted {
    hit: Hit,
    /// Scheme and host of the URL that was pasted.
    address: Option<String>,
}

/// Reads what was pasted: a URL or a path is a GET; else a request as it goes over the wire.
fn pasted(config: &Config, text: &str, peer: Option<IpAddr>) -> Result<Pasted, Error> {
    let wrong = |detail: &str| Err(Error::parameter("request", detail));
    let text = text.trim_start();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .or_else(|| text.split_once("\n\n"))
        .unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default().trim();
    let (method, target) = match first.split_once(' ') {
        Some((method @ ("GET" | "POST"), rest)) => {
            let target = rest.trim();
            (method, target.rsplit_once(" HTTP/").map_or(target, |(target, _)| target.trim_end()))
        }
        Some((method, _)) if is_method(method) => {
            return wrong(&format!(
                "a postback is a GET or a POST; nothing is read from a {method}"
            ));
        }
        _ => ("GET", first),
    };
    let (address, target) = split(target);
    if !target.starts_with('/') {
        return wrong(
            "a URL such as https://t.example.com/postback/k3y?click_id=abc, or a request",
        );
    }
    if target.len() > TARGET_BYTES_MAX || body.len() > BODY_BYTES_MAX {
        return wrong("path and query have at most 16 KiB, a body has 64 KiB");
    }
    let mut headers = Vec::new();
    for line in lines.take(HEADERS_MAX) {
        let Some((name, value)) = line.split_once(':') else {
            return wrong("a header is a name, a colon and a value");
        };
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let header = |name: &str| headers.iter().find(|(own, _)| own == name).map(|(_, value)| value);
    let host = header("host").map(String::as_str).or(address.map(host));
    let host = host.and_then(|host| HeaderValue::from_str(host).ok());
    let called: HeaderMap = host.into_iter().map(|host| (HOST, host)).collect();
    let hit = Hit {
        method: method.to_owned(),
        target: target.as_bytes().to_vec(),
        content_type: header("content-type").cloned(),
        body: body.as_bytes().to_vec(),
        peer,
        forwarded: header("x-forwarded-for").cloned(),
        base: client::called(config, &called).unwrap_or_default(),
        headers,
        salt: [0; 16],
    };
    Ok(Pasted { hit, address: address.map(str::to_owned) })
}

/// Whether it stands for what is asked in a request's first line.
fn is_method(word: &str) -> bool {
    (1..=METHOD_BYTES_MAX).contains(&word.len()) && word.bytes().all(|it| it.is_ascii_uppercase())
}

/// Scheme and host, where there are any, and the rest.
fn split(url: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = url.split_once("://") else { return (None, url) };
    if !matches!(scheme, "http" | "https") {
        return (None, url);
    }
    let host_bytes = rest.find('/').unwrap_or(rest.len());
    url.split_at_checked(scheme.len() + 3 + host_bytes)
        .map_or((None, url), |(base, target)| (Some(base), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_by(config: &Config, text: &str) -> Hit {
        let pasted = pasted(config, text, None);
        pasted.unwrap_or_else(|error| panic!("{text}: {error}")).hit
    }

    fn read(text: &str) -> Hit {
        read_by(&Config::default(), text)
    }

    #[test]
    fn the_address_that_was_called_is_the_one_the_server_takes_it_for() {
        let raw = "GET /postback HTTP/1.1\r\nHost: t.example:8080\r\n\r\n";
        let known =
            Config { external_url: Some("https://known.example/".to_owned()), ..Config::default() };
        for (text, alone, configured) in [
            ("https://t.example/postback", "http://t.example", "https://known.example"),
            ("http://t.example:1/postback", "http://t.example:1", "https://known.example"),
            (raw, "http://t.example:8080", "https://known.example"),
            ("/postback", "", "https://known.example"),
            ("https://user@t.example/postback", "", "https://known.example"),
        ] {
            let bases = (read(text).base, read_by(&known, text).base);
            assert_eq!(bases, (alone.to_owned(), configured.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_url_or_a_request_is_read_as_it_would_arrive() {
        let url = read(" https://t.example:8443/postback/k?a=1&b=%20\n");
        assert_eq!((url.method.as_str(), &url.target[..]), ("GET", &b"/postback/k?a=1&b=%20"[..]));
        assert_eq!(read("/postback?cid=##X##").target, b"/postback?cid=##X##");
        let request = "POST /postback/k?x=1 HTTP/1.1\r\nHost: t.example\r\n\
            Content-Type: application/json\r\nWebhook-Id: m1\r\n\r\n{\"a\": 1}\n";
        let hit = read(request);
        assert_eq!((hit.method.as_str(), &hit.target[..]), ("POST", &b"/postback/k?x=1"[..]));
        assert_eq!(hit.content_type.as_deref(), Some("application/json"));
        assert_eq!(hit.body, b"{\"a\": 1}\n");
        assert!(hit.headers.contains(&("webhook-id".to_owned(), "m1".to_owned())));
        assert_eq!(read("GET /a b HTTP/1.0").target, b"/a b");
    }

    #[test]
    fn a_method_that_no_postback_has_is_told_so() {
        for (text, is_told) in [
            ("PUT /postback?a=1 HTTP/1.1", true),
            ("HEAD /postback?a=1", true),
            ("OPTIONS *", true),
            ("hello there", false),
        ] {
            let error = pasted(&Config::default(), text, None).err().unwrap().to_string();
            assert_eq!(error.contains("GET or a POST"), is_told, "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_request_is_told_so() {
        let long = format!("/p?{}", "x".repeat(TARGET_BYTES_MAX));
        for text in ["", "hello", "ftp://t/p", "DELETE /p", "GET /p\nno header", &long, "https://t"]
        {
            let error = pasted(&Config::default(), text, None).err();
            assert!(matches!(error, Some(Error::Invalid { .. })), "{text:.20}");
        }
    }
}
