//! Whatever is sent, the server says what is wrong with it and goes on: it never panics, never
//! answers 5xx, and never lets out what it was told in confidence.

use crate::client::{Client, Reply};
use crate::network::{Network, text};
use crate::server::{ADMIN_KEY, Server};
use serde_json::json;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long anything here may take before the test fails.
const WITHIN: Duration = Duration::from_secs(60);
/// Every label and id that a visitor can set, in every part of a URL.
const LANDING: &str = "https://shop.example/{sub1}/x;{sub2}?cid={click_id}&e={external_id}\
    &s={source}&c={creative}&p={placement}&u={user_agent}&n={sub10}#{sub3}";
const CLICK_PARAMETERS: [&str; 8] =
    ["sub1", "sub2", "sub3", "sub10", "external_id", "source", "creative", "placement"];
/// A click id nobody made.
const NO_CLICK: &str = "000000000000000000000000000000000000";

/// Ways in which trackers write what they will fill in.
const MACROS: [&str; 24] = [
    "{click_id}",
    "{{click_id}}",
    "${SUBID}",
    "%7Bclickid%7D",
    "{:clickid}",
    "{$clickid}",
    "%23%23CLICK_ID%23%23",
    "%23click%23",
    "__CLICKID__",
    "%25CLICK%25",
    "[CLICKID]",
    "[[clickid]]",
    "[%25CLICK%25]",
    "[=click=]",
    "[:click:]",
    "<click_id>",
    "(clickid)",
    "-SUBID-",
    "_~click~_",
    "{!click!}",
    "REPLACE",
    "YOUR_CLICK_ID",
    "CLICK_ID_HERE",
    "INSERT_CLICK_ID_HERE",
];

/// What no amount can be.
const NO_AMOUNTS: [&str; 8] =
    ["1,50", "-5", "1e9", "NaN", "inf", "99999999999999999999", "0x10", "%D9%A1"];

/// Checks that an answer is no fault of ours.
#[track_caller]
fn sane(reply: &Reply, what: &str) {
    assert!((200..500).contains(&reply.status), "{what}: {} {}", reply.status, reply.text());
}

/// The server is as well as before, and what it was sent can be looked at.
#[track_caller]
fn unharmed(network: &mut Network) {
    assert_eq!(network.client.get("/healthz").status, 200);
    network.hits("limit=1000");
    network.hits("journaled=false&limit=1000");
    let log = network.server.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

/// Sends bytes, and answers with all that comes until the other side closes.
fn exchanged(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    rest(&mut stream)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream
}

fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn no_byte_of_a_click_reaches_its_location_raw() {
    let mut network = Network::start();
    let campaign = network.campaign_with("counterfoil", &json!({ "landing_url": LANDING }));
    let plain = |location: &str| {
        assert!(location.starts_with("https://shop.example/"), "{location}");
        assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location:?}");
    };
    for byte in 0..=u8::MAX {
        let said = |value: &str| CLICK_PARAMETERS.map(|name| format!("{name}={value}")).join("&");
        let query = said(&format!("a%{byte:02X}b%0d%0aSet-Cookie:x"));
        plain(&network.visit(&campaign.token, &query));
        plain(&network.visit(&campaign.token, &said(&format!("a%{byte:02x}b"))));
        // As it is, where it can stand in a request line at all.
        let mut target = format!("/c/{}?sub1=a", campaign.token).into_bytes();
        target.push(byte);
        target.extend_from_slice(b"b&external_id=");
        target.push(byte);
        let reply = network.client.send("GET", &target, &[("User-Agent", "\u{e9}{x}\u{7f}")], b"");
        match reply.status {
            302 => plain(reply.header("location").expect("a redirect leads somewhere")),
            status => assert_eq!(status, 400, "byte {byte:02x}"),
        }
        assert_eq!(reply.header("set-cookie"), None);
    }
    unharmed(&mut network);
}

#[test]
fn clicks_take_whatever_comes() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let token = &campaign.token;
    let many = "sub1=a&".repeat(2_000);
    for query in
        ["%", "sub1=%zz", "sub1=%", "=&&==", "sub1=%FF%FE%00", "cost=NaN", "cost=-5", &many]
    {
        network.visit(token, query);
    }
    let long = "a".repeat(8_000);
    for path in [&long, "%00", "%FF", "", "a/b", "..%2f..", "'", &format!("{token}/")] {
        let reply = network.client.get(format!("/c/{path}"));
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    let too_long = format!("/c/{token}?sub1={}", "a".repeat(20_000));
    assert_eq!(network.client.get(too_long).status, 414);
    let before = network.totals()["clicks"].clone();
    let head = network.client.send("HEAD", format!("/c/{token}"), &[], b"");
    assert_eq!(head.status, 302);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let reply = network.client.send(method, format!("/c/{token}"), &[], b"");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    assert_eq!(network.totals()["clicks"], before, "none of these is a click");
    unharmed(&mut network);
}

#[test]
fn heads_of_every_kind_are_read_or_refused() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let address = network.server.address();
    let target = format!("/c/{}", campaign.token);
    for (line, hosts, status) in [
        (format!("GET http://evil.example{target} HTTP/1.1"), "Host: a\r\n", "302"),
        (format!("GET {target} HTTP/1.1"), "Host: a\r\nHost: b\r\n", "400"),
        (format!("GET {target} HTTP/1.1"), "", "302"),
        ("GET evil.example:443 HTTP/1.1".to_owned(), "Host: a\r\n", "400"),
        ("GET * HTTP/1.1".to_owned(), "Host: a\r\n", "400"),
        (format!("GET {target} HTTP/9.9"), "Host: a\r\n", "400"),
        (format!("GET {target}\0 HTTP/1.1"), "Host: a\r\n", "400"),
        (format!("GET {target} HTTP/1.1"), "Content-Length: 1\r\nContent-Length: 2\r\n", "400"),
        (format!("GET {target} HTTP/1.1"), "X\0: y\r\n", "400"),
    ] {
        let request = format!("{line}\r\n{hosts}Connection: close\r\n\r\n");
        let answer = exchanged(address, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{line}: {answer}");
        assert!(!answer.contains("evil.example"), "{line}: {answer}");
    }
    let one = format!("GET {target} HTTP/1.1\r\nHost: a\r\n");
    let pipelined = format!("{one}\r\n{one}\r\n{one}Connection: close\r\n\r\n");
    let answer = exchanged(address, pipelined.as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 302").count(), 3, "{answer}");
    unharmed(&mut network);
}

/// What may be wrong in a query, with `{click}` for a click of ours.
fn wrong_queries() -> Vec<String> {
    let mut queries: Vec<String> = [
        "",
        "%",
        "click_id=%zz",
        "click_id=%FF%FE",
        "click_id=%00",
        "click_id={click}%00",
        "click_id={click}&txn_id=%FF",
        "click_id={click}&txn_id=a%00b",
        "=&&==&",
        "click_id={click}&click_id=other",
        "click_id={click}&txn_id=a&txn_id=b",
        "click_id={click}&status=maybe",
        "click_id={click}&goal=none",
        "click_id=",
        "click_id={click}{click}",
        "CLICK_ID={click}",
    ]
    .map(str::to_owned)
    .into();
    queries.push(format!("click_id={{click}}&{}", "a=b&".repeat(3_000)));
    queries.push(format!("click_id={{click}}&txn_id={}", "a".repeat(10_000)));
    queries.push(format!("click_id={NO_CLICK}"));
    queries
}

#[test]
fn bad_postbacks_are_answered_with_a_receipt() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    for path in [campaign.postback.as_str(), "/postback", "/conversion", "/postback/nobodys-key"] {
        for query in wrong_queries() {
            let query = query.replace("{click}", &click);
            let told = |reply: &Reply, network: &mut Network| {
                sane(reply, &format!("{path}?{query}"));
                let answer = network.verdict(reply);
                assert!(!answer["verdict"].is_null(), "{answer}");
            };
            let reply = network.client.get(format!("{path}?{query}"));
            told(&reply, &mut network);
            let reply = network.client.post_form(path, &query);
            told(&reply, &mut network);
        }
        for body in ["", "{", "[]", "null", "7", "{\"click_id\":{}}", "{\"click_id\":[1]}", "\u{0}"]
        {
            let reply = network.client.post(path, "application/json", body);
            sane(&reply, body);
            assert!(reply.header("counterfoil-receipt").is_some(), "{path} {body}");
        }
        let deep = "[".repeat(60_000);
        sane(&network.client.post(path, "application/json", deep), "deep JSON");
        let pairs: Vec<String> = (0..10_000).map(|number| format!("{number}=")).collect();
        sane(&network.client.post_form(path, &pairs.join("&")), "10,000 parameters");
        sane(&network.client.post(path, "\u{e9}/\u{7f};;=", b"\xff\x00"), "an odd content type");
        for body in [&b"{\"a\":\"\xff\"}"[..], b"{\"\xc3\":1}", b"{\"click_id\":\"\xed\xa0\x80\"}"]
        {
            sane(&network.client.post(path, "application/json", body), "JSON that is no text");
        }
        let huge = "a".repeat(64 * 1024 + 1);
        assert_eq!(network.client.post_form(path, &huge).status, 413, "{path}");
        let long = format!("{path}?click_id={}", "a".repeat(16 * 1024));
        assert_eq!(network.client.get(long).status, 414, "{path}");
        let put = network.client.send("PUT", path, &[], b"");
        assert_eq!((put.status, put.header("allow")), (405, Some("GET, POST")), "{path}");
    }
    unharmed(&mut network);
}

#[test]
fn macros_that_nobody_filled_in_are_named() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    for value in MACROS {
        let mistake = |name| (400, "macro_not_replaced", Some(name));
        network.refuses(&format!("{}?click_id={value}", campaign.postback), mistake("click_id"));
        let click = network.click(&campaign);
        let target = format!("{}?click_id={click}&txn_id={value}", campaign.postback);
        network.refuses(&target, mistake("txn_id"));
        assert!(network.conversions(&click).is_empty(), "{value}");
        let target = format!("{}?click_id={click}&sub1={value}", campaign.postback);
        network.sends(&target, "recorded");
    }
    unharmed(&mut network);
}

#[test]
fn amounts_that_are_none_are_refused() {
    let mut network = Network::start();
    let terms = json!({ "goals": [
        { "key": "sale", "default": true, "revenue": { "from": "postback" }, "payout": "1" },
    ] });
    let campaign = network.campaign_with("counterfoil", &terms);
    let click = network.click(&campaign);
    let target = format!("{}?click_id={click}&revenue=", campaign.postback);
    for amount in NO_AMOUNTS {
        let mistake = (400, "invalid_payload", Some("revenue"));
        network.refuses(&format!("{target}{amount}"), mistake);
    }
    assert!(network.conversions(&click).is_empty());
    network.sends(&format!("{target}0.30000000000000004"), "recorded");
    let found = network.conversions(&click);
    assert_eq!((found.len(), text(&found[0]["revenue"])), (1, "0.30"), "{found:?}");
    let click = network.click(&campaign);
    let body = format!("{{\"click_id\":\"{click}\",\"revenue\":0.1234565}}");
    let reply = network.client.post(&campaign.postback, "application/json", body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let found = network.conversions(&click);
    assert_eq!(text(&found[0]["revenue"]), "0.123456", "half goes to even: {found:?}");
    unharmed(&mut network);
}

#[test]
fn chunks_make_the_same_hit_and_broken_ones_none() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    let address = network.server.address();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n",
        campaign.postback
    );
    let (first, second) = ("click_", format!("id={click}"));
    let whole = format!(
        "{head}\r\n{:x}\r\n{first}\r\n{:x};a=b\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    let answer = exchanged(address, whole.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("recorded"), "{answer}");
    for (rest, status) in [
        ("\r\nzz\r\n", "400"),
        ("\r\n-1\r\n", "400"),
        ("\r\n1\nA", "400"),
        ("\r\nffffffffffffffffffff\r\n", "413"),
        ("Content-Length: 4\r\n\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ] {
        let answer = exchanged(address, format!("{head}{rest}").as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{rest:?}: {answer}");
    }
    unharmed(&mut network);
}

#[test]
fn whoever_is_slow_or_gone_is_let_go() {
    let settings = [
        ("COUNTERFOIL_HEADER_TIMEOUT_S", "1"),
        ("COUNTERFOIL_BODY_TIMEOUT_S", "1"),
        ("COUNTERFOIL_IDLE_TIMEOUT_S", "2"),
    ];
    let mut network = Network::on(Server::start_with(&settings));
    let campaign = network.campaign("counterfoil");
    let address = network.server.address();
    let path = &campaign.postback;
    let slow_body = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab");
    for (sent, status) in [("GET /c/", "408"), (slow_body.as_str(), "408"), ("", "")] {
        let answer = exchanged(address, sent.as_bytes());
        assert!(
            answer.is_empty() == status.is_empty() && !answer.starts_with("HTTP/1.1 5"),
            "{sent}: {answer}"
        );
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    for sent in ["GET /c/", slow_body.as_str(), ""] {
        let mut half_open = connect(address);
        half_open.write_all(sent.as_bytes()).unwrap();
        half_open.shutdown(Shutdown::Write).unwrap();
        let answer = rest(&mut half_open);
        assert!(!answer.starts_with("HTTP/1.1 5"), "{sent}: {answer}");
        // Gone without a word.
        connect(address).write_all(sent.as_bytes()).unwrap();
    }
    network.client = network.server.client();
    assert!(network.hits("").is_empty(), "half a hit is none");
    unharmed(&mut network);
}

#[test]
fn more_connections_than_may_be_are_refused_and_the_others_answered() {
    let network = Network::on(Server::start_with(&[("COUNTERFOIL_CONNECTIONS_MAX", "3")]));
    let address = network.server.address();
    // With the one of the network these are all there may be.
    let mut open = [Client::new(address), Client::new(address)];
    for client in &mut open {
        assert_eq!(client.get("/healthz").status, 200);
    }
    let asks = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let refused = || {
        let mut stream = connect(address);
        // It may be closed before it is written to.
        stream.write_all(asks).is_err() || rest(&mut stream).is_empty()
    };
    assert!(refused());
    for client in &mut open {
        assert_eq!(client.get("/healthz").status, 200);
    }
    drop(open);
    let from = Instant::now();
    while refused() {
        assert!(from.elapsed() < WITHIN, "there is room again");
    }
}

#[test]
fn the_api_says_what_is_wrong() {
    let mut network = Network::start();
    let address = network.server.address();
    let huge = "9".repeat(40);
    for path in [
        "/campaigns/0",
        "/campaigns/-1",
        "/campaigns/1.5",
        "/campaigns/x",
        "/campaigns/%00",
        "/campaigns/4294967296",
        "/conversions/18446744073709551616",
        "/clicks/x",
        "/links/%FF",
        &format!("/advertisers/{huge}"),
        "/hits?limit=0",
        "/hits?limit=99999999999999999999",
        "/hits?cursor=x",
        "/hits?receipt=x",
        "/conversions?click_id=%00",
        "/hits?nobody=knows",
        "/reports?from=2026-02-30",
        "/reports?from=9999-12-31&to=0000-01-01",
        "/reports?time_zone=../etc/passwd",
        "/reports?group_by=day,day,day,day,day",
        "/nowhere",
        "/",
    ] {
        let reply = network.client.api("GET", path, None);
        assert!(matches!(reply.status, 400 | 404), "{path}: {} {}", reply.status, reply.text());
        assert!(reply.json()["code"].is_string(), "{path}: {}", reply.text());
    }
    let key = format!("Bearer {ADMIN_KEY}");
    let deep = "{\"name\":".repeat(5_000);
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"name\":7}",
        "{\"name\":null}",
        "{\"name\":\"\"}",
        &deep,
        "{\"name\":\"a\",\"naem\":\"b\"}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":\"\\u0000\"}",
        "{\"name\":\"\\ud800\"}",
    ] {
        let headers = [("Authorization", key.as_str())];
        let reply = network.client.send("POST", "/api/v1/advertisers", &headers, body.as_bytes());
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
    }
    let large = format!("{{\"name\":\"{}\"}}", "a".repeat(300_000));
    let headers = [("Authorization", key.as_str())];
    let reply = network.client.send("POST", "/api/v1/advertisers", &headers, large.as_bytes());
    assert_eq!(reply.status, 413, "{}", reply.text());
    let mut stranger = Client::new(address);
    for sent in [None, Some("Bearer wrong"), Some("Bearer "), Some("Basic a2V5"), Some(ADMIN_KEY)] {
        let headers: Vec<_> = sent.map(|sent| ("Authorization", sent)).into_iter().collect();
        for path in ["/api/v1/advertisers", "/api/v1/nowhere", "/api/v1/hits"] {
            let reply = stranger.send("GET", path, &headers, b"");
            assert_eq!(reply.status, 401, "{sent:?} {path}: {}", reply.text());
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(network.ask("/advertisers")["items"].as_array().map(Vec::len), Some(1));
    unharmed(&mut network);
}

#[test]
fn hits_of_strangers_do_not_reach_the_disk() {
    let mut network = Network::start();
    let campaign = network.campaign("counterfoil");
    let click = network.click(&campaign);
    for number in 0..200 {
        let path = ["/postback", "/conversion", "/postback/nobodys-key"][number % 3];
        let reply = network.client.get(format!("{path}?click_id={NO_CLICK}&txn_id=of-a-stranger"));
        let answer = network.verdict(&reply);
        assert_eq!(answer["verdict"], "refused", "{answer}");
    }
    assert!(!network.hits("journaled=false").is_empty());
    assert!(network.hits("").is_empty(), "none of them is in the log of what counts");
    network.sends(&format!("/postback?click_id={click}&txn_id=of-a-friend"), "recorded");
    let journal = fs::read(network.server.data().join("journal/00000001.log")).unwrap();
    let holds = |text: &str| journal.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(holds("of-a-friend"));
    assert!(!holds("of-a-stranger"));
}

#[test]
fn secrets_are_told_to_nobody() {
    const TOKEN: &str = "s3cret-of-kiwiwall";
    const WRONG: &str = "s3cret-but-another";
    let settings = [("COUNTERFOIL_LOG", "debug")];
    let mut network = Network::on(Server::start_with(&settings));
    let campaign = network.campaign("kiwiwall");
    network.set_token(campaign.integration, TOKEN);
    let click = network.click(&campaign);
    let mut told = Vec::new();
    for signature in [TOKEN, WRONG] {
        let query = format!("click_id={click}&txn_id=1&status=approved&signature={signature}");
        for reply in [
            network.client.get(format!("{}?{query}", campaign.postback)),
            network.client.post_form(&campaign.postback, &query),
        ] {
            let receipt = reply.header("counterfoil-receipt").expect("a receipt").to_owned();
            told.push(reply.text());
            told.push(network.client.get(format!("/receipts/{receipt}")).text());
        }
    }
    let integration = format!("/integrations/{}", campaign.integration);
    for path in [
        "/hits",
        "/hits?journaled=false",
        "/conversions",
        "/conversions/1",
        "/integrations",
        "/integrations?partner=kiwiwall",
        &integration,
        &format!("{integration}/contracts"),
        "/partners",
        "/partners/kiwiwall",
        "/campaigns",
        "/links",
        "/reports",
        "/postback-url",
        &format!("/campaigns/{}/postback-url", campaign.id),
        &format!("/clicks/{click}"),
    ] {
        told.push(network.client.api("GET", path, None).text());
    }
    let mut metrics = Client::new(network.server.metrics_address());
    told.push(metrics.get("/metrics").text());
    told.push(network.server.log());
    for text in &told {
        for secret in [TOKEN, WRONG, ADMIN_KEY] {
            assert!(!text.contains(secret), "{secret} stands in {text}");
        }
    }
    assert!(told.iter().any(|text| text.contains("signature=***")), "the hits were there to see");
    unharmed(&mut network);
}
