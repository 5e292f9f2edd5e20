//! Receivers as they are: slow, talkative, rude, and not where they say they are.

use super::*;
use async_trait::async_trait;
use domain::contract::Network;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const PATIENCE: Patience =
    Patience { connect: Duration::from_secs(5), total: Duration::from_secs(30) };

fn loopback() -> Guard {
    Guard { allowed: vec![Network::parse("127.0.0.1/32").unwrap()] }
}

fn get(url: &str) -> Request {
    let url = url.to_owned();
    let headers = vec![("x-a".to_owned(), "b c".to_owned())];
    Request { method: Method::Get, url, headers, content_type: None, body: None }
}

/// Answers each connection with what `answer` writes, and says what was asked.
async fn receiver<F>(
    answer: impl Fn(TcpStream) -> F + Send + 'static,
) -> (u16, mpsc::Receiver<String>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (said, heard) = mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read_buf(&mut asked).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            _ = said.send(String::from_utf8_lossy(&asked).into_owned()).await;
            tokio::spawn(answer(stream));
        }
    });
    (port, heard)
}

/// Says the same to everybody.
async fn saying(text: &'static [u8]) -> (u16, mpsc::Receiver<String>) {
    receiver(move |mut stream| async move {
        _ = stream.write_all(text).await;
    })
    .await
}

async fn call(port: u16, patience: Patience) -> Result<Heard, Failure> {
    let caller = Caller::new(loopback(), patience);
    caller.call(&get(&format!("http://127.0.0.1:{port}/c?a=%20&b={{x}}")), "1-1-1").await
}

#[tokio::test]
async fn a_request_is_written_as_it_was_made_and_the_answer_is_read() {
    let answer = b"HTTP/1.1 200 OK\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nOK";
    let (port, mut heard) = saying(answer).await;
    let expected = Heard {
        status: 200,
        retry_after_s: Some(7),
        is_repeat: false,
        body: Bytes::from_static(b"OK"),
    };
    assert_eq!(call(port, PATIENCE).await, Ok(expected));
    let asked = heard.recv().await.unwrap().to_ascii_lowercase();
    assert!(asked.starts_with("get /c?a=%20&b={x} http/1.1\r\n"), "{asked}");
    for line in [&*format!("host: 127.0.0.1:{port}"), "idempotency-key: 1-1-1", "x-a: b c"] {
        assert!(asked.lines().any(|own| own == line), "{line} in {asked}");
    }
}

#[tokio::test]
async fn a_body_is_sent_with_its_type_and_its_length() {
    let (port, mut heard) = saying(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let request = Request {
        method: Method::Post,
        content_type: Some("application/json".to_owned()),
        body: Some("{\"a\":1}".to_owned()),
        ..get(&format!("http://127.0.0.1:{port}"))
    };
    let answer = Caller::new(loopback(), PATIENCE).call(&request, "k").await.unwrap();
    assert_eq!(answer.status, 204);
    let asked = heard.recv().await.unwrap().to_ascii_lowercase();
    assert!(asked.starts_with("post / http/1.1\r\n"), "{asked}");
    assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
    assert!(asked.contains("content-length: 7\r\n"), "{asked}");
}

#[tokio::test]
async fn a_post_without_a_body_says_so_and_a_get_does_not() {
    for (method, lengths) in [(Method::Post, 1), (Method::Get, 0)] {
        let (port, mut heard) = saying(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        let request = Request { method, ..get(&format!("http://127.0.0.1:{port}")) };
        Caller::new(loopback(), PATIENCE).call(&request, "k").await.unwrap();
        let asked = heard.recv().await.unwrap().to_ascii_lowercase();
        let said = asked.lines().filter(|line| line.starts_with("content-length:"));
        assert_eq!(said.clone().count(), lengths, "{asked}");
        assert!(said.into_iter().all(|line| line == "content-length: 0"), "{asked}");
    }
}

#[tokio::test]
async fn who_is_slow_is_not_waited_for() {
    let (port, _heard) = receiver(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let patience = Patience { total: Duration::from_millis(50), ..PATIENCE };
    assert_eq!(call(port, patience).await, Err(Failure::Timeout(patience.total)));
}

#[tokio::test]
async fn who_answers_a_byte_at_a_time_is_not_waited_for() {
    let (port, _heard) = receiver(|mut stream| async move {
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    })
    .await;
    let patience = Patience { total: Duration::from_millis(50), ..PATIENCE };
    let answer = call(port, patience).await;
    // On a fast machine it may be done with what is read of it.
    let is_bounded = answer.as_ref().is_ok_and(|heard| heard.body.len() == BODY_BYTES_MAX);
    assert!(is_bounded || answer == Err(Failure::Timeout(patience.total)), "{answer:?}");
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let all: [&'static [u8]; 5] = [
        b"SMTP ready\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"",
    ];
    for garbage in all {
        let (port, _heard) = saying(garbage).await;
        let answer = call(port, PATIENCE).await;
        assert!(matches!(answer, Err(Failure::Answer(_))), "{garbage:?}: {answer:?}");
    }
}

#[tokio::test]
async fn an_endless_head_is_no_answer() {
    let (port, _heard) = receiver(|mut stream| async move {
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").await.is_ok() {}
    })
    .await;
    let answer = call(port, PATIENCE).await;
    assert!(matches!(answer, Err(Failure::Answer(_))), "{answer:?}");
}

#[tokio::test]
async fn of_an_endless_body_the_beginning_is_read() {
    let (port, _heard) = receiver(|mut stream| async move {
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
    })
    .await;
    let heard = call(port, PATIENCE).await.unwrap();
    assert_eq!((heard.status, heard.body.len()), (200, BODY_BYTES_MAX));
}

#[tokio::test]
async fn who_resets_gives_no_answer() {
    let (port, _heard) = receiver(|stream| async move {
        // What was not read makes the end of the connection a reset.
        stream.set_zero_linger().unwrap();
    })
    .await;
    let answer = call(port, PATIENCE).await;
    assert!(matches!(answer, Err(Failure::Answer(_))), "{answer:?}");
}

#[tokio::test]
async fn who_is_not_there_gives_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let answer = call(port, PATIENCE).await;
    assert!(matches!(answer, Err(Failure::Connect(_))), "{answer:?}");
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_an_answer_and_is_not_followed() {
    let (private, mut followed) = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{private}/\r\nContent-Length: 0\r\n\r\n"
    );
    let answer: &'static [u8] = answer.into_bytes().leak();
    let (port, _heard) = saying(answer).await;
    assert_eq!(call(port, PATIENCE).await.unwrap().status, 302);
    assert!(followed.try_recv().is_err());
}

#[tokio::test]
async fn private_addresses_are_not_called_however_they_are_written() {
    let caller = Caller::new(Guard::default(), PATIENCE);
    for host in [
        "127.0.0.1",
        "localhost",
        "10.0.0.1:8080",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]:80",
        "[64:ff9b::7f00:1]",
        "[fd00::1]",
    ] {
        let answer = caller.call(&get(&format!("http://{host}/")), "k").await;
        assert!(matches!(answer, Err(Failure::Forbidden { .. })), "{host}: {answer:?}");
    }
    // What is no address in four numbers is a name to us, and whatever it is found to be is checked.
    for host in ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"] {
        let answer = caller.call(&get(&format!("http://{host}/")), "k").await;
        let is_refused = matches!(answer, Err(Failure::Forbidden { .. } | Failure::Name(_)));
        assert!(is_refused, "{host}: {answer:?}");
    }
}

/// Says something else each time it is asked.
struct Fickle {
    answers: Vec<Vec<SocketAddr>>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Lookup for Fickle {
    async fn addresses(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.answers[self.asked.fetch_add(1, Ordering::Relaxed)].clone())
    }
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_connection_is_called_where_it_was_checked() {
    let (port, mut heard) = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let good = vec![SocketAddr::from(([127, 0, 0, 1], port))];
    let bad = vec![SocketAddr::from(([127, 0, 0, 2], port))];
    let both = [good.clone(), bad.clone()].concat();
    let asked = Arc::<AtomicUsize>::default();
    let names = Fickle { answers: vec![good, bad, both], asked: asked.clone() };
    let caller = Caller::looking_up(loopback(), PATIENCE, Arc::new(names));
    let request = get(&format!("http://t.example:{port}/"));
    assert_eq!(caller.call(&request, "k").await.unwrap().status, 200);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "it is looked up once");
    assert!(heard.recv().await.unwrap().contains("host: t.example"));
    // Changed for good, and with one good address beside the bad one.
    for _ in 0..2 {
        caller.idle.clear();
        caller.names.clear();
        let answer = caller.call(&request, "k").await;
        assert!(matches!(answer, Err(Failure::Forbidden { .. })), "{answer:?}");
    }
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_is_used_again_and_one_that_was_closed_is_not_missed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::<AtomicUsize>::default();
    let counted = connections.clone();
    // Each connection answers twice, and is closed without a word.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            for _ in 0..2 {
                let mut asked = Vec::new();
                while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    });
    let caller = Caller::new(loopback(), PATIENCE);
    let request = get(&format!("http://127.0.0.1:{port}/"));
    for _ in 0..6 {
        assert_eq!(caller.call(&request, "k").await.unwrap().status, 200);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_was_heard_in_part_is_not_sent_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::<AtomicUsize>::default();
    let counted = requests.clone();
    // The second request of a connection is answered in part.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            for length in [2, 200] {
                let mut asked = Vec::new();
                while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nOK");
                _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    let caller = Caller::new(loopback(), PATIENCE);
    let request = get(&format!("http://127.0.0.1:{port}/"));
    assert_eq!(caller.call(&request, "k").await.unwrap().status, 200);
    let broken = caller.call(&request, "k").await;
    assert!(matches!(broken, Err(Failure::Answer(_))), "{broken:?}");
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[test]
fn how_long_a_receiver_wants_to_be_left_alone() {
    let date = "Sat, 21 Nov 2026 10:00:00 GMT";
    for (asked, date, expected) in [
        ("120", None, Some(120)),
        (" 5 ", Some(date), Some(5)),
        ("Sat, 21 Nov 2026 10:01:30 GMT", Some(date), Some(90)),
        ("Sat, 21 Nov 2026 10:01:30 GMT", None, None),
        ("Sat, 21 Nov 2026 09:00:00 GMT", Some(date), None),
        ("soon", Some(date), None),
        ("-1", Some(date), None),
        ("86401", None, Some(86_400)),
        ("99999999999", None, Some(86_400)),
        ("99999999999999999999999999", None, Some(86_400)),
        ("Tue, 21 Nov 2226 10:00:00 GMT", Some(date), Some(86_400)),
        ("", Some(date), None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, asked.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        assert_eq!(retry_after(&headers), expected, "{asked}");
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_is_told_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        _ = stream.read_buf(&mut asked).await;
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        drop(stream.shutdown().await);
        _ = stream.read_to_end(&mut asked).await;
        asked
    });
    let caller = Caller::new(loopback(), PATIENCE);
    let answer = caller.call(&get(&format!("https://127.0.0.1:{port}/secret")), "k").await;
    assert!(matches!(answer, Err(Failure::Tls(_))), "{answer:?}");
    let asked = receiver.await.unwrap();
    assert!(!asked.windows(6).any(|part| part == b"secret"));
}

#[test]
fn the_parts_of_a_url() {
    let cases = [
        ("http://t.example", "t.example 80 t.example /"),
        ("https://T.example?a=b#c", "t.example 443 T.example /?a=b"),
        ("https://t.example:8443/p?x#y", "t.example 8443 t.example:8443 /p?x"),
        ("http://[2001:db8::1]/", "[2001:db8::1] 80 [2001:db8::1] /"),
        ("http://[2001:db8::1]:81/", "[2001:db8::1] 81 [2001:db8::1]:81 /"),
    ];
    for (url, expected) in cases {
        let (origin, authority, target) = parts(url).unwrap();
        let found = format!("{} {} {authority} {target}", origin.host, origin.port);
        assert_eq!(found, expected, "{url}");
    }
    for url in ["", "t.example", "http://", "http://:80/", "http://t.example:x/"] {
        assert!(parts(url).is_err(), "{url}");
    }
}

#[tokio::test]
async fn what_was_sent_over_a_kept_connection_may_have_arrived_whoever_is_gone_then() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // It takes the second request, and is gone before it answers.
    let receiver = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for is_answered in [true, false] {
            let mut asked = Vec::new();
            while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
            }
            if is_answered {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    let caller = Caller::new(loopback(), PATIENCE);
    let request = get(&format!("http://127.0.0.1:{port}/"));
    assert_eq!(caller.call(&request, "k").await.unwrap().status, 200);
    let failure = caller.call(&request, "k").await.unwrap_err();
    receiver.await.expect("it has read the second request");
    assert!(failure.may_have_arrived(), "{failure}");
}

/// Takes a request to its end; whether there was one.
async fn takes(stream: &mut tokio::net::TcpStream) -> bool {
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn what_is_said_to_a_repeat_is_told_from_a_first_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // It takes the second request and says nothing; sent again, it knows the key.
    tokio::spawn(async move {
        let answers: [&[u8]; 3] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"",
            b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n",
        ];
        let (mut first, _) = listener.accept().await.unwrap();
        for answer in &answers[..2] {
            assert!(takes(&mut first).await);
            first.write_all(answer).await.unwrap();
        }
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        assert!(takes(&mut second).await);
        second.write_all(answers[2]).await.unwrap();
    });
    let caller = Caller::new(loopback(), PATIENCE);
    let request = get(&format!("http://127.0.0.1:{port}/"));
    for (status, is_repeat) in [(200, false), (409, true)] {
        let heard = caller.call(&request, "k").await.unwrap();
        assert_eq!((heard.status, heard.is_repeat), (status, is_repeat));
    }
}

#[tokio::test]
async fn what_follows_an_answer_without_a_body_does_not_break_the_next_call() {
    // What is said, what is said a moment later, and what only before the next answer.
    for (lines, soon, late) in [
        ("204 No Content\r\nContent-Length: 2\r\n", "", "OK"),
        ("204 No Content\r\nTransfer-Encoding: chunked\r\n", "", "2\r\nOK\r\n0\r\n\r\n"),
        ("304 Not Modified\r\nContent-Length: 2\r\n", "", "OK"),
        ("204 No Content\r\n", "OK", ""),
        ("204 No Content\r\nContent-Length: 0\r\n", "OK", ""),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<AtomicUsize>::default();
        let counted = requests.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counted = counted.clone();
                tokio::spawn(async move {
                    let mut before = "";
                    while takes(&mut stream).await {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let answer = format!("{before}HTTP/1.1 {lines}\r\n");
                        _ = stream.write_all(answer.as_bytes()).await;
                        tokio::task::yield_now().await;
                        _ = stream.write_all(soon.as_bytes()).await;
                        before = late;
                    }
                });
            }
        });
        let caller = Caller::new(loopback(), PATIENCE);
        let request = get(&format!("http://127.0.0.1:{port}/"));
        for _ in 0..4 {
            let heard = caller.call(&request, "k").await;
            assert!(heard.as_ref().is_ok_and(|heard| heard.status < 400), "{lines}: {heard:?}");
        }
        assert_eq!(requests.load(Ordering::Relaxed), 4, "{lines}");
    }
}

#[test]
fn how_long_a_connection_rests() {
    let now = Duration::ZERO;
    for (status, lines, expected) in [
        (200, "content-length: 2", Some(now)),
        (200, "transfer-encoding: chunked", Some(now)),
        (404, "", Some(now)),
        (204, "", Some(REST)),
        (204, "content-length: 0", Some(REST)),
        (304, "etag: x", Some(REST)),
        (204, "content-length: 2", None),
        (204, "transfer-encoding: chunked", None),
        (304, "content-length: 2", None),
    ] {
        let mut answer = hyper::Response::builder().status(status);
        if let Some((name, value)) = lines.split_once(": ") {
            answer = answer.header(name, value);
        }
        assert_eq!(rest_behind(&answer.body(()).unwrap()), expected, "{status} {lines}");
    }
}

/// A name with several addresses.
struct Several(Vec<SocketAddr>);

#[async_trait]
impl Lookup for Several {
    async fn addresses(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.clone())
    }
}

/// Says nothing at any of those, on that port: who comes when a queue is full is not answered.
async fn silent(hosts: &[[u8; 4]], port: u16) -> (Vec<TcpListener>, Vec<TcpStream>) {
    let (mut listeners, mut streams) = (Vec::new(), Vec::new());
    for host in hosts {
        let address = SocketAddr::from((*host, port));
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        listeners.push(socket.listen(1).unwrap());
        let patience = Duration::from_millis(200);
        while let Ok(Ok(stream)) = tokio::time::timeout(patience, TcpStream::connect(address)).await
        {
            streams.push(stream);
        }
    }
    (listeners, streams)
}

#[tokio::test]
async fn a_host_whose_first_addresses_say_nothing_is_called_at_its_next() {
    let dead = [[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 4]];
    let (port, _heard) = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let _silent = silent(&dead, port).await;
    let hosts = dead.into_iter().chain([[127, 0, 0, 1]]);
    let all = hosts.map(|host| SocketAddr::from((host, port))).collect();
    let allowed = vec![Network::parse("127.0.0.0/8").unwrap()];
    let patience = Patience { connect: Duration::from_secs(2), ..PATIENCE };
    let caller = Caller::looking_up(Guard { allowed }, patience, Arc::new(Several(all)));
    let request = get(&format!("http://both.example:{port}/"));
    assert_eq!(caller.call(&request, "k").await.map(|heard| heard.status), Ok(200));
    // And where there is room for one connection alone.
    caller.idle.clear();
    let _none = caller.further.acquire_many(u32::try_from(FURTHER_MAX).unwrap()).await.unwrap();
    assert_eq!(caller.call(&request, "k").await.map(|heard| heard.status), Ok(200));
}

#[tokio::test]
async fn where_none_of_a_hosts_addresses_answers_that_is_said_in_time() {
    let (port, _heard) = saying(b"").await;
    let dead = [[127, 0, 0, 5], [127, 0, 0, 6]];
    let _silent = silent(&dead, port).await;
    let all = dead.map(|host| SocketAddr::from((host, port))).to_vec();
    let allowed = vec![Network::parse("127.0.0.0/8").unwrap()];
    let patience = Patience { connect: Duration::from_millis(100), ..PATIENCE };
    let caller = Caller::looking_up(Guard { allowed }, patience, Arc::new(Several(all)));
    let answer = caller.call(&get(&format!("http://none.example:{port}/")), "k").await;
    assert_eq!(answer, Err(Failure::ConnectTimeout(patience.connect)));
}

#[test]
fn addresses_are_tried_by_turns_of_their_families() {
    let all = |text: &str| -> Vec<SocketAddr> {
        text.split(' ').map(|one| SocketAddr::new(one.parse().unwrap(), 80)).collect()
    };
    for (found, tried) in [
        ("8.8.8.8", "8.8.8.8"),
        ("::1 ::2 ::3 8.8.8.8 8.8.4.4", "::1 8.8.8.8 ::2 8.8.4.4 ::3"),
        ("8.8.8.8 ::1 ::2", "8.8.8.8 ::1 ::2"),
        ("::1 ::2 ::3 ::4 ::5 ::6 ::7 ::8 ::9 8.8.8.8", "::1 8.8.8.8 ::2 ::3 ::4 ::5 ::6 ::7"),
    ] {
        assert_eq!(by_turns(all(found)), all(tried), "{found}");
    }
}
