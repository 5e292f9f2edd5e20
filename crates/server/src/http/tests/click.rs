//! Clicks: what is journaled, and where visitors are sent.

use super::super::click::{Click, Pending};
use super::super::reply::Manner;
use super::super::worker::Worker;
use super::{LANDING, Rig, TOKEN};
use crate::config::WhenDiskFails;
use domain::click::Label;
use domain::command::CampaignChanges;
use domain::record::Record;
use std::sync::Arc;
use store::journal::AppendError;

/// The click id in a location of the rig's campaign.
fn click_id(location: &str) -> &str {
    let rest = location.strip_prefix("https://shop.example/?c=").expect("it is the landing URL");
    rest.split('&').next().expect("a split has a first part")
}

#[test]
fn a_click_is_in_the_journal_when_its_visitor_is_sent_on() {
    let rig = Rig::start(|config| {
        config.trusted_proxies = serde_json::from_str("[\"127.0.0.0/8\"]").unwrap();
    });
    let next = rig.app.journal.next();
    let reply = rig.ask(format!(
        "GET /c/{TOKEN}?sub1=us+east&external_id=Ab%2F1&cost=0.02&sub2={} HTTP/1.1\r\n\
         X-Forwarded-For: 192.0.2.1, 203.0.113.9\r\nUser-Agent: Firefox/1 (Windows)\r\n\
         Referer: https://news.example/\r\nCookie: secret\r\nConnection: close\r\n\r\n",
        "a".repeat(501),
    ));
    assert_eq!(reply.status(), 302, "{}", reply.text);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("content-length"), Some("0"));
    assert!(reply.header("date").unwrap().ends_with(" GMT"));
    let id = click_id(reply.location());
    let parsed = rig.app.keys.click.parse(id).expect("it is an id of ours");
    let expected =
        format!("https://shop.example/?c={id}&s=us%20east&x=Ab%2F1&u=Firefox%2F1%20%28Windows%29");
    assert_eq!(reply.location(), expected);
    assert_eq!(rig.app.journal.next().0, next.0 + 1);
    let Record::Click(click) = rig.last_record() else { panic!("it is a click") };
    assert_eq!(click.id, parsed);
    assert_eq!((click.campaign_id, click.publisher_id), (rig.campaign, rig.publisher));
    assert!(click.is_live && !click.is_test);
    assert_eq!(click.labels.get(Label::Sub(1)), Some("us east"));
    assert_eq!(click.labels.get(Label::Sub(2)), None, "too long");
    assert_eq!(&*click.external_id, b"Ab/1");
    assert_eq!(click.cost.map(|cost| cost.0), Some(20_000));
    assert_eq!(click.personal.ip, Some("203.0.113.9".parse().unwrap()));
    assert_eq!(click.personal.user_agent, "Firefox/1 (Windows)");
    assert_eq!(click.visitor.words(), ["", "desktop", "Windows", "Firefox"]);
    assert_eq!(click.personal.referrer, "https://news.example/");
}

#[test]
fn what_makes_no_click_leaves_no_record() {
    let rig = Rig::start(|_| {});
    let next = rig.app.journal.next();
    let head = rig.ask(format!("HEAD /c/{TOKEN}?sub1=a HTTP/1.1\r\nConnection: close\r\n\r\n"));
    assert_eq!((head.status(), head.body()), (302, ""));
    let id = rig.app.keys.click.parse(click_id(head.location()));
    assert!(id.is_none_or(|id| id.link().0 == 0), "an id of no link");
    assert!(head.location().contains("&s=a&"));
    let long = "a".repeat(10_000);
    for token in ["nowhere", "", "spring/", "SPRING", "%73pring", "sp\u{e9}", &long, "../c/spring"]
    {
        assert_eq!(rig.get(&format!("/c/{token}")).status(), 404, "{token}");
    }
    let odd = rig.ask(b"GET /c/\xff\x80 HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(odd.status(), 404);
    let post = rig.ask(format!("POST /c/{TOKEN} HTTP/1.1\r\n\r\n"));
    assert_eq!((post.status(), post.header("allow")), (405, Some("GET, HEAD")));
    let body = rig.ask(format!("GET /c/{TOKEN} HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"));
    assert_eq!(body.status(), 400);
    assert_eq!(rig.app.journal.next(), next);
}

#[test]
fn a_campaign_that_is_not_active_sends_its_visitors_to_the_fallback() {
    let rig = Rig::start(|_| {});
    rig.link("try", true);
    rig.become_("paused");
    let gone = rig.get(&format!("/c/{TOKEN}"));
    assert_eq!(gone.status(), 410);
    assert_eq!(gone.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(gone.body().contains("not available"));
    let Record::Click(click) = rig.last_record() else { panic!("it is a click") };
    assert!(!click.is_live);
    let fallback_url = Some("https://other.example/?p={publisher_id}".to_owned());
    rig.change(CampaignChanges { fallback_url, ..CampaignChanges::default() });
    let sent = rig.get(&format!("/c/{TOKEN}"));
    assert_eq!(sent.location(), format!("https://other.example/?p={}", rig.publisher));
    let test = rig.get("/c/try");
    assert!(test.location().starts_with("https://shop.example/"));
    let Record::Click(click) = rig.last_record() else { panic!("it is a click") };
    assert!(click.is_live && click.is_test);
    rig.become_("active");
    assert!(rig.get(&format!("/c/{TOKEN}")).location().starts_with("https://shop.example/"));
}

/// Every byte, percent-encoded and as it is, in everything that reaches `Location`.
#[test]
fn no_byte_breaks_out_of_a_location() {
    let rig = Rig::start(|_| {});
    let names = Label::ALL.map(Label::name);
    let macros = names.map(|name| format!("&{name}={{{name}}}")).concat();
    let landing_url = Some(format!("{LANDING}{macros}"));
    rig.change(CampaignChanges { landing_url, ..CampaignChanges::default() });
    for byte in 0..=255_u8 {
        let encoded = format!("a%{byte:02x}b").into_bytes();
        let raw = [b'a', byte, b'b'].to_vec();
        for value in [encoded, raw] {
            let mut request = format!("GET /c/{TOKEN}?external_id=").into_bytes();
            request.extend(&value);
            for name in names {
                request.extend(format!("&{name}=").bytes().chain(value.iter().copied()));
            }
            request.extend(b" HTTP/1.1\r\nConnection: close\r\nUser-Agent: a");
            let is_header_byte = byte == b'\t' || byte >= b' ' && byte != 0x7f;
            request.push(if is_header_byte { byte } else { b'a' });
            request.extend(b"b\r\n\r\n");
            let reply = rig.ask(&request);
            let is_target_byte = byte > b' ' && byte != 0x7f;
            if reply.status() == 400 {
                assert!(value.len() == 3 && !is_target_byte, "{byte:#x}: {}", reply.text);
                continue;
            }
            let location = reply.location();
            assert!(location.starts_with("https://shop.example/?c="), "{byte:#x}: {location}");
            assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{byte:#x}: {location}");
            let names = reply.text.split_once("\r\n\r\n").unwrap().0.lines().count();
            assert_eq!(names, 6, "{byte:#x}: {}", reply.text);
        }
    }
}

#[test]
fn a_click_that_the_disk_does_not_take_is_answered_as_configured() {
    for (when_disk_fails, status) in [(WhenDiskFails::Redirect, 302), (WhenDiskFails::Refuse, 503)]
    {
        let rig = Rig::start(|config| config.when_disk_fails = when_disk_fails);
        let handle = rig.runtime.handle().clone();
        let worker = Worker::new(rig.app.clone(), axum::Router::new(), handle, Arc::default());
        let manner = Manner { date: "D", keeps_alive: true, is_http_1_0: false };
        let (pending, mut out) = made(&worker, manner);
        pending.settle(&worker, Err(AppendError::Full), manner, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        assert_eq!(text.contains("retry-after: 5\r\n"), status == 503);
        assert_eq!(text.contains("location: "), status == 302);
    }
}

/// A click and its answer, before either is settled.
fn made(worker: &Worker, manner: Manner<'_>) -> (Pending, Vec<u8>) {
    use super::super::{click, head};
    let bytes = format!("GET /c/{TOKEN} HTTP/1.1\r\n\r\n");
    let mut room = head::room();
    let head::Read::Head(head, _) = head::read(bytes.as_bytes(), 0, &mut room) else {
        panic!("it is a head")
    };
    let mut out = Vec::new();
    let peer = "203.0.113.9".parse().unwrap();
    match click::receive(worker, peer, &head, TOKEN.as_bytes(), manner, &mut out) {
        Click::Waiting(pending) => (pending, out),
        Click::Answered => panic!("it waits for the disk"),
    }
}
