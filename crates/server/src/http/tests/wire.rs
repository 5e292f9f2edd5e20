//! Connections: how requests arrive, and what is done about clients that misbehave.

use super::{PATIENCE, Reply, Rig, TOKEN};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const CLOSE: &str = "Connection: close\r\n\r\n";

/// Reads one answer that has no body from a connection that stays open.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "it stays open");
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn requests_are_answered_in_their_order() {
    let rig = Rig::start(|_| {});
    let click = format!("GET /c/{TOKEN} HTTP/1.1\r\n\r\n");
    let body = "POST /postback HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n";
    let api = "GET /nowhere HTTP/1.1\r\n\r\n";
    let last = format!("GET /c/nowhere HTTP/1.1\r\n{CLOSE}");
    let health = "GET /healthz HTTP/1.1\r\n\r\n";
    let all = [&click, &click, body, &click, api, "\r\n", health, &click, &last].concat();
    let expected = [302, 302, 400, 302, 404, 200, 302, 404];
    assert_eq!(rig.ask(&all).statuses(), expected);
    // However it is cut, and whatever follows the last one.
    let mut stream = rig.connect();
    for piece in (all + &click).as_bytes().chunks(7) {
        stream.write_all(piece).unwrap();
    }
    assert_eq!(Reply::read(stream).statuses(), expected);
}

#[test]
fn a_connection_lasts_as_its_client_wishes() {
    let rig = Rig::start(|_| {});
    let mut stream = rig.connect();
    for _ in 0..3 {
        write!(stream, "GET /c/{TOKEN} HTTP/1.1\r\n\r\n").unwrap();
        assert!(!read_head(&mut stream).contains("connection:"));
    }
    write!(stream, "GET /c/{TOKEN} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).contains("\r\nconnection: keep-alive\r\n"));
    write!(stream, "GET http://any.example/c/{TOKEN} HTTP/1.0\r\n\r\n").unwrap();
    let last = Reply::read(stream);
    assert_eq!((last.status(), last.header("connection")), (302, Some("close")));
    // One that says nothing more after its request is answered all the same.
    let mut stream = rig.connect();
    write!(stream, "GET /c/{TOKEN} HTTP/1.1\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(Reply::read(stream).status(), 302);
}

#[test]
fn a_client_that_waits_for_it_is_asked_for_its_body() {
    let rig = Rig::start(|_| {});
    let head = "POST /postback HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n";
    let mut stream = rig.connect();
    write!(stream, "{head}{CLOSE}").unwrap();
    assert_eq!(read_head(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"a=b").unwrap();
    assert_eq!(Reply::read(stream).json()["reason"], "missing_parameter");
    let large = "POST /postback HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n";
    assert_eq!(rig.ask(large).statuses(), [413], "and not where it would be refused");
}

#[test]
fn what_does_not_read_is_refused_and_closed() {
    let rig = Rig::start(|_| {});
    let cases: [(&[u8], u16); 8] = [
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA b\r\n\r\n", 400),
        (
            b"POST /postback HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"POST /postback HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST /postback HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", 413),
        (b"GET /%zz/\xff?%00 HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /%zz/%ff?%00 HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
    ];
    for (request, status) in cases {
        let reply = rig.ask(request);
        assert_eq!(reply.statuses(), [status], "{}", request.escape_ascii());
        assert!(reply.json()["detail"].is_string());
        assert_eq!(reply.header("connection"), Some("close"));
    }
    // The answer arrives although most of the request has not been read.
    let large = [b"GET /", &vec![b'a'; 4 << 20][..]].concat();
    let mut stream = rig.connect();
    _ = stream.write_all(&large);
    assert_eq!(Reply::read(stream).status(), 414);
}

#[test]
fn a_stranger_to_the_api_is_told_so_before_anything_else() {
    let rig =
        Rig::start(|config| config.admin_key = Some(serde_json::from_str("\"k3y\"").unwrap()));
    let head = "POST /api/v1/links HTTP/1.1\r\nExpect: 100-continue\r\n";
    let with_key = format!("{head}Authorization: Bearer k3y\r\n");
    for (request, statuses) in [
        (format!("{head}Content-Length: 9999999999\r\n\r\n"), vec![401]),
        (format!("{head}Content-Length: 10\r\n\r\n"), vec![401]),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n"), vec![401]),
        (format!("GET /api/v1/\u{ff} HTTP/1.1\r\n{CLOSE}"), vec![401]),
        (format!("GET /api/v1 HTTP/1.1\r\n{CLOSE}"), vec![401]),
        (format!("{with_key}Content-Length: 262145\r\n\r\n"), vec![413]),
        (format!("{with_key}Content-Length: 2\r\n{CLOSE}{{}}"), vec![400]),
        // A path of its own, whatever it begins with.
        (format!("POST /api/v1x HTTP/1.1\r\nContent-Length: 65537\r\n{CLOSE}"), vec![413]),
    ] {
        assert_eq!(rig.ask(&request).statuses(), statuses, "{request}");
    }
}

#[test]
fn nobody_is_waited_for_longer_than_configured() {
    let rig = Rig::start(|config| {
        config.header_timeout_s = 1;
        config.body_timeout_s = 1;
        config.idle_timeout_s = 1;
    });
    let since = Instant::now();
    let begun = |text: &str| {
        let mut stream = rig.connect();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let silent = begun("");
    let slow_head = begun("GET /c/spring HTTP/1.1\r\nA: ");
    let slow_body = begun("POST /postback HTTP/1.1\r\nContent-Length: 9\r\n\r\na=");
    let slow_chunk = begun("POST /postback HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na");
    let idle = begun(&format!("GET /c/{TOKEN} HTTP/1.1\r\n\r\n"));
    assert_eq!(Reply::read(silent).status(), 0, "it never asked for anything");
    assert_eq!(Reply::read(slow_head).status(), 408);
    assert_eq!(Reply::read(slow_body).status(), 408);
    assert_eq!(Reply::read(slow_chunk).status(), 408);
    assert_eq!(Reply::read(idle).statuses(), [302]);
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert!(since.elapsed() < PATIENCE);
    assert_eq!(rig.get(&format!("/c/{TOKEN}")).status(), 302);
}

#[test]
fn connections_over_the_limit_are_closed_at_once() {
    let rig = Rig::start(|config| config.connections_max = 3);
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..3 {
        let mut stream = rig.connect();
        write!(stream, "GET /c/{TOKEN} HTTP/1.1\r\n\r\n").unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 302 "));
        open.push(stream);
    }
    let asked = || {
        let mut stream = rig.connect();
        _ = write!(stream, "GET /c/{TOKEN} HTTP/1.1\r\n{CLOSE}");
        Reply::read(stream).status()
    };
    assert_eq!(asked(), 0);
    open.pop();
    // As soon as the server has seen that there is room again.
    let since = Instant::now();
    let status = std::iter::repeat_with(asked)
        .find(|status| *status != 0 || since.elapsed() > PATIENCE)
        .expect("it repeats for ever");
    assert_eq!(status, 302);
}

#[test]
fn a_stop_finishes_what_has_begun() {
    // On one thread, so that what is idle is closed when the rest has heard of it.
    let mut rig = Rig::start(|config| config.threads = 1);
    let mut idle = rig.connect();
    write!(idle, "GET /c/{TOKEN} HTTP/1.1\r\n\r\n").unwrap();
    read_head(&mut idle);
    let mut busy = rig.connect();
    write!(busy, "POST /postback HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .unwrap();
    read_head(&mut busy);
    let front = rig.front.take().unwrap();
    let address = front.address;
    let stopping = rig.runtime.spawn(front.stop());
    assert_eq!(Reply::read(idle).text, "", "what is idle is closed");
    busy.write_all(b"a=b").unwrap();
    let answer = Reply::read(busy);
    assert_eq!((answer.status(), answer.header("connection")), (400, Some("close")));
    rig.runtime.block_on(stopping).unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_process_says_how_it_is() {
    let rig = Rig::start(|_| {});
    assert_eq!(rig.get("/healthz").body(), "ok");
    assert_eq!(rig.get("/readyz").body(), "ready");
    assert_eq!(rig.ask(format!("HEAD /readyz HTTP/1.1\r\n{CLOSE}")).body(), "");
    assert_eq!(rig.ask(format!("POST /readyz HTTP/1.1\r\n{CLOSE}")).status(), 405);
    assert_eq!(rig.get("/metrics").status(), 404, "not on the address of the public");
    let metrics = |target: &str| {
        let mut stream = TcpStream::connect(rig.front.as_ref().unwrap().metrics_address).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\n{CLOSE}").unwrap();
        Reply::read(stream).status()
    };
    assert_eq!(metrics("/metrics"), 200);
    assert_eq!(metrics("/healthz"), 404);
    assert_eq!(metrics(&format!("/c/{TOKEN}")), 404);
}
