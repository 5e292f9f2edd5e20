//! A click: found in memory, journaled, and sent on when it is on disk.
//!
//! No database, no lock that is held for long, and nothing that waits but for the disk. `GET`
//! makes a click. `HEAD` makes none: it is told where a click would go, with an id that no link
//! ever had, so that nothing can be claimed for it.

use super::client;
use super::head::{self, Head};
use super::reply::Manner;
use super::visitor::{self, Signs};
use super::worker::Worker;
use crate::config::WhenDiskFails;
use axum::http::StatusCode;
use domain::click::{
    Click as Record, EXTERNAL_ID_BYTES_MAX, LABEL_BYTES_MAX, Label, Labels, PERSONAL_BYTES_MAX,
    Personal,
};
use domain::click_id::ClickId;
use domain::id::Position;
use domain::landing::{Target, Visit};
use domain::money::Micros;
use domain::postback::PAIRS_MAX;
use domain::record::{self, Kind};
use domain::visitor::Visitor;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::PoisonError;
use store::journal::{AppendError, Ticket};

/// Where links are.
const PREFIX: &[u8] = b"/c/";

const GONE: &str = "<!doctype html><title>Not available</title>\
    <p>This offer is not available at the moment.";
const UNKNOWN: &str = "<!doctype html><title>Not found</title><p>There is no such link.";
const REFUSED: &str = "<!doctype html><title>Try again</title>\
    <p>This link cannot be followed right now. Please try again in a moment.";

/// The link's token, where the path is one of a link.
pub(super) fn token(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(PREFIX)
}

/// What came of a request for a link.
pub(super) enum Click {
    /// The answer stands.
    Answered,
    /// The answer holds when this is on disk.
    Waiting(Pending),
}

/// A click on its way to the disk.
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
enum Outcome {
    Live,
    Test,
    Inactive,
}

impl Pending {
    /// Counts the click, and mends its answer in `out` where the disk has not taken it.
    pub(super) fn settle(
        self,
        worker: &Worker,
        result: Result<Position, AppendError>,
        manner: Manner<'_>,
        out: &mut Vec<u8>,
    ) {
        match worker.app.ingest.note(result) {
            Ok(_) => count(worker, self.outcome),
            Err(_) => lost(worker, manner, out),
        }
    }
}

fn count(worker: &Worker, outcome: Outcome) {
    let clicks = &worker.figures.clicks;
    match outcome {
        Outcome::Live => clicks.live.increment(1),
        Outcome::Test => clicks.test.increment(1),
        Outcome::Inactive => clicks.inactive.increment(1),
    }
}

/// The disk did not take a click. Its id says link and time, so the visitor may go on all the
/// same: what converts is flagged as without its details.
fn lost(worker: &Worker, manner: Manner<'_>, out: &mut Vec<u8>) {
    match worker.app.config.when_disk_fails {
        WhenDiskFails::Redirect => worker.figures.clicks.unrecorded.increment(1),
        WhenDiskFails::Refuse => {
            worker.figures.clicks.refused.increment(1);
            out.clear();
            manner.page(out, StatusCode::SERVICE_UNAVAILABLE, REFUSED, false);
        }
    }
}

/// Makes the click, and its answer in `out`.
pub(super) fn receive(
    worker: &Worker,
    peer: IpAddr,
    head: &Head<'_, '_>,
    token: &[u8],
    manner: Manner<'_>,
    out: &mut Vec<u8>,
) -> Click {
    let is_head = head.method == "HEAD";
    let target = std::str::from_utf8(token).ok().and_then(|token| worker.app.live.target(token));
    let Some(target) = target else {
        worker.figures.clicks.unknown.increment(1);
        manner.page(out, StatusCode::NOT_FOUND, UNKNOWN, is_head);
        return Click::Answered;
    };
    let said = Said::read(query(head.target));
    let personal = personal(worker, peer, head);
    let click = Record {
        id: if is_head { ClickId::from_bytes([0; 16]) } else { mint(worker, &target) },
        campaign_id: target.campaign_id,
        publisher_id: target.publisher_id,
        is_live: target.is_live,
        is_test: target.is_test,
        cost: said.cost,
        external_id: said.external_id,
        labels: said.labels,
        visitor: visitor(worker, peer, head, &personal),
        personal,
    };
    let ticket = if is_head { None } else { Some(journal(worker, &click)) };
    if said.dropped > 0 && !is_head {
        worker.figures.labels_dropped.increment(said.dropped);
    }
    // While the disk is at work.
    write_answer(worker, &target, &click, manner, is_head, out);
    let outcome = match (click.is_live, click.is_test) {
        (false, _) => Outcome::Inactive,
        (true, true) => Outcome::Test,
        (true, false) => Outcome::Live,
    };
    match ticket {
        None => Click::Answered,
        Some(Ok(ticket)) => Click::Waiting(Pending { ticket, outcome }),
        Some(Err(_)) => {
            lost(worker, manner, out);
            Click::Answered
        }
    }
}

fn mint(worker: &Worker, target: &Target) -> ClickId {
    let app = &worker.app;
    let now_ms = u64::try_from(app.clock.now().as_ms()).unwrap_or(0);
    // What a panic could leave behind is a counter that went too far.
    let mut minter = app.minter.lock().unwrap_or_else(PoisonError::into_inner);
    minter.next(now_ms, target.link_id, worker.random())
}

fn journal(worker: &Worker, click: &Record<'_>) -> Result<Ticket, AppendError> {
    let mut payload = worker.record.borrow_mut();
    payload.clear();
    record::write_click(click, &mut payload);
    worker.app.ingest.queue(Kind::Click, &payload)
}

fn write_answer(
    worker: &Worker,
    target: &Target,
    click: &Record<'_>,
    manner: Manner<'_>,
    is_head: bool,
    out: &mut Vec<u8>,
) {
    let click_id = worker.app.keys.click.format(click.id);
    let visit = Visit { click_id: &click_id, random: worker.random() };
    let mut has_landing = true;
    manner.redirect(out, |out| has_landing = target.write_location(click, visit, out));
    if !has_landing {
        out.clear();
        manner.page(out, StatusCode::GONE, GONE, is_head);
    }
}

fn personal<'b>(worker: &Worker, peer: IpAddr, head: &Head<'_, 'b>) -> Personal<'b> {
    let trusted = &worker.app.config.trusted_proxies;
    let ip = client::address(peer, head.values(client::FORWARDED_FOR), trusted);
    let text = |name| {
        let value = head.values(name).next().unwrap_or_default();
        head::text(value, PERSONAL_BYTES_MAX)
    };
    Personal { ip: Some(ip), user_agent: text("user-agent"), referrer: text("referer") }
}

fn visitor(
    worker: &Worker,
    peer: IpAddr,
    head: &Head<'_, '_>,
    personal: &Personal<'_>,
) -> Visitor<'static> {
    let app = &worker.app;
    let header = app.config.country_header.as_deref();
    let country = header.and_then(|name| head.values(name).next_back());
    let agent = head.values("user-agent").next().unwrap_or_default();
    visitor::visitor(app, &Signs { peer, ip: personal.ip.unwrap_or(peer), agent, country })
}

fn query(target: &[u8]) -> &[u8] {
    let path = head::path(target).len();
    target.get(path + 1..).unwrap_or_default()
}

/// What the query of a click's URL says.
#[derive(Debug, Default)]
struct Said<'q> {
    labels: Labels<'q>,
    external_id: Cow<'q, [u8]>,
    cost: Option<Micros>,
    /// How many values could not be kept.
    dropped: u64,
}

impl<'q> Said<'q> {
    /// Whatever does not read is left out: a visitor is never stopped for it. Of values that are
    /// sent twice, the first counts.
    fn read(query: &'q [u8]) -> Self {
        let mut said = Self::default();
        let parts = query.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
        for part in parts.take(PAIRS_MAX) {
            let end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let value = part.get(end + 1..).unwrap_or_default();
            if let Ok(name) = std::str::from_utf8(&decode(&part[..end]))
                && said.take(name, value).is_none()
            {
                said.dropped += 1;
            }
        }
        said
    }

    /// `None` where a value cannot be kept.
    fn take(&mut self, name: &str, value: &'q [u8]) -> Option<()> {
        if let Some(label) = Label::from_name(name) {
            if self.labels.get(label).is_none() {
                self.labels.set(label, text(value)?);
            }
        } else if name == "external_id" {
            if self.external_id.is_empty() {
                let value = trim(decode(value));
                self.external_id = Some(value).filter(|it| it.len() <= EXTERNAL_ID_BYTES_MAX)?;
            }
        } else if name == "cost" && self.cost.is_none() {
            let value = text(value)?;
            if !value.is_empty() {
                let cost = Micros::parse(&value).ok()?.amount;
                self.cost = Some(Some(cost).filter(|cost| !cost.is_negative())?);
            }
        }
        Some(())
    }
}

/// A label's value, trimmed. `None` where it is too long or holds what is no text.
fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let text = match trim(decode(value)) {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
    };
    Some(text).filter(|text| text.len() <= LABEL_BYTES_MAX && !text.contains(char::is_control))
}

fn trim(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.trim_ascii()),
        Cow::Owned(bytes) => {
            let trimmed = bytes.trim_ascii();
            if trimmed.len() == bytes.len() { Cow::Owned(bytes) } else { trimmed.to_vec().into() }
        }
    }
}

/// Undoes percent-encoding. A `%` that begins none stands for itself.
fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let hex = |byte: Option<&u8>| u8::try_from(char::from(*byte?).to_digit(16)?).ok();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, hex(after.first()), hex(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = &after[2..];
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(*first),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The labels, external id and cost that were read, and how many values were dropped.
    fn read(query: &str) -> String {
        let said = Said::read(query.as_bytes());
        let labels = said.labels.iter().map(|(label, value)| format!("{}={value}", label.name()));
        let mut shown: Vec<String> = labels.collect();
        if !said.external_id.is_empty() {
            shown.push(format!("external_id={}", said.external_id.escape_ascii()));
        }
        if let Some(cost) = said.cost {
            shown.push(format!("cost={}", cost.to_fixed()));
        }
        if said.dropped > 0 {
            shown.push(format!("dropped {}", said.dropped));
        }
        shown.join(" ")
    }

    #[test]
    fn a_click_says_where_it_comes_from() {
        let cases = [
            ("", ""),
            (
                "sub1=us&sub10=x&source=fb&creative=c&placement=p",
                "sub1=us sub10=x source=fb creative=c placement=p",
            ),
            ("sub1=a%20b+c&sub2=%C3%A9&sub3=%zz%4", "sub1=a b c sub2=\u{e9} sub3=%zz%4"),
            ("sub1=+us%09&external_id=%20AbC%00%FF%20", "sub1=us external_id=AbC\\x00\\xff"),
            ("sub1=&sub1=a&sub1=b&sub2", "sub1=a"),
            ("s%75b1=a&Sub2=b&sub11=c&sub0=d&utm=e&=f&&", "sub1=a"),
            ("sub1={sub1}&sub2=a=b", "sub1={sub1} sub2=a=b"),
            ("cost=0.015", "cost=0.015"),
            ("cost=&sub1=a", "sub1=a"),
        ];
        for (query, expected) in cases {
            assert_eq!(read(query), expected, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_dropped_and_counted() {
        let long = "a".repeat(LABEL_BYTES_MAX);
        assert_eq!(read(&format!("sub1={long}&sub2={long}b")), format!("sub1={long} dropped 1"));
        let id = "a".repeat(EXTERNAL_ID_BYTES_MAX);
        assert_eq!(read(&format!("external_id={id}")), format!("external_id={id}"));
        assert_eq!(read(&format!("external_id={id}b")), "dropped 1");
        assert_eq!(read("sub1=a%0D%0Ab&sub2=%00&sub3=c"), "sub3=c dropped 2");
        assert_eq!(read("cost=-1&sub1=a"), "sub1=a dropped 1");
        for cost in ["1,50", "NaN", "1e9", "{cost}", "99999999999999999999"] {
            assert_eq!(read(&format!("cost={cost}")), "dropped 1", "{cost}");
        }
    }

    #[test]
    fn a_query_with_thousands_of_parameters_is_not_read_to_its_end() {
        let query = "a=b&".repeat(PAIRS_MAX - 1);
        assert_eq!(read(&format!("{query}sub1=x&sub2=y")), "sub1=x");
    }

    #[test]
    fn a_token_is_all_behind_the_prefix() {
        assert_eq!(token(b"/c/abc"), Some(&b"abc"[..]));
        assert_eq!(token(b"/c/a/b"), Some(&b"a/b"[..]));
        assert_eq!(token(b"/c"), None);
        assert_eq!(token(b"/conversion"), None);
        assert_eq!(query(b"/c/a?b?c"), b"b?c");
        assert_eq!(query(b"/c/a"), b"");
    }

    proptest! {
        #[test]
        fn any_query_is_read_without_harm(query: Vec<u8>, name in "sub1|cost|external_id") {
            _ = Said::read(&query);
            let query = [name.as_bytes(), b"=", &query].concat();
            let said = Said::read(&query);
            prop_assert!(said.labels.iter().all(|(_, value)| value.len() <= LABEL_BYTES_MAX));
        }
    }
}
