//! Reads the head of an HTTP/1 request.
//!
//! We read it ourselves, the header lines with httparse, because a hit is kept byte for byte: general purpose
//! servers cut `##CLICK_ID##` off as a fragment and refuse what is no URL, and a sender would get
//! no receipt for it. In turn framing is strict: a request whose length could be read in two ways
//! is refused, so nobody in front of us can be made to see other requests than we do.

use super::error::Error;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use domain::hit::TARGET_BYTES_MAX;
use httparse::{EMPTY_HEADER, Header, Status, parse_headers};
use std::borrow::Cow;

/// The longest a request's head may be, in bytes.
pub(super) const HEAD_BYTES_MAX: usize = 48 * 1024;
/// How many header lines a request may have.
const HEADERS_MAX: usize = 64;
/// How many line ends may stand before a request, in bytes: some clients end a body with one that
/// they do not count.
const EMPTY_BYTES_MAX: usize = 4;
/// The longest a method may be, in bytes.
const METHOD_BYTES_MAX: usize = 32;

/// Room for the header lines of one request.
pub(super) type Room<'b> = [Header<'b>; HEADERS_MAX];

/// Empty room, to be lent to [`read`].
pub(super) const fn room<'b>() -> Room<'b> {
    [EMPTY_HEADER; HEADERS_MAX]
}

/// How a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    Length(u64),
    Chunked,
}

/// A request without its body.
#[derive(Debug)]
pub(super) struct Head<'h, 'b> {
    pub(super) method: &'b str,
    /// Path and query as they were sent.
    pub(super) target: &'b [u8],
    pub(super) headers: &'h [Header<'b>],
    pub(super) framing: Framing,
    pub(super) keeps_alive: bool,
    /// The client keeps its body back until it is asked for it.
    pub(super) expects_continue: bool,
    pub(super) is_http_1_0: bool,
}

/// What the first bytes of a connection's buffer are.
#[derive(Debug)]
pub(super) enum Read<'h, 'b> {
    /// A head, and how many bytes it takes.
    Head(Head<'h, 'b>, usize),
    /// The beginning of one.
    Partial,
    /// None that could be understood: nothing behind it can be either.
    Refused(Error),
}

/// Reads a head from the beginning of `bytes`. The first `seen` of them were read before, and were
/// the beginning of one: a client that sends them one by one does not make us read all of them
/// again each time.
pub(super) fn read<'h, 'b>(bytes: &'b [u8], seen: usize, room: &'h mut Room<'b>) -> Read<'h, 'b> {
    let (line, rest) = match RequestLine::read(bytes) {
        Ok(Some(read)) => read,
        Ok(None) => return Read::Partial,
        Err(error) => return Read::Refused(error),
    };
    let is_same = seen > 0 && !bytes[seen..].contains(&b'\n');
    if is_same && bytes.len() < HEAD_BYTES_MAX {
        return Read::Partial;
    }
    let (lines_len, headers) = match parse_headers(rest, room) {
        Ok(Status::Complete(parsed)) => parsed,
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Read::Partial,
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Read::Refused(too_large());
        }
        Err(error) => {
            return Read::Refused(Error::request(format!("a header does not read: {error}")));
        }
    };
    let len = bytes.len() - rest.len() + lines_len;
    if len > HEAD_BYTES_MAX {
        return Read::Refused(too_large());
    }
    let mut head = Head {
        method: line.method,
        target: line.target,
        headers,
        framing: Framing::Empty,
        keeps_alive: !line.is_http_1_0,
        expects_continue: false,
        is_http_1_0: line.is_http_1_0,
    };
    match head.interpret() {
        Ok(()) => Read::Head(head, len),
        Err(detail) => Read::Refused(Error::request(detail)),
    }
}

fn too_large() -> Error {
    Error::HeadTooLarge(HEAD_BYTES_MAX)
}

/// The first line of a head.
struct RequestLine<'b> {
    method: &'b str,
    target: &'b [u8],
    is_http_1_0: bool,
}

impl<'b> RequestLine<'b> {
    /// The line, and what follows it; `None` where it is not all there. That it can never be
    /// short enough is told at once, not when the buffer is full.
    fn read(bytes: &'b [u8]) -> Result<Option<(Self, &'b [u8])>, Error> {
        let wrong = || Error::request("the request line does not read");
        let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let empty = bytes.iter().take_while(is_line_end).count();
        if empty > EMPTY_BYTES_MAX {
            return Err(wrong());
        }
        let bytes = &bytes[empty..];
        let Some(method_len) = bytes.iter().position(|byte| !byte.is_ascii_alphanumeric()) else {
            return if bytes.len() > METHOD_BYTES_MAX { Err(wrong()) } else { Ok(None) };
        };
        let (method, rest) = bytes.split_at(method_len);
        let method = std::str::from_utf8(method).map_err(|_| wrong())?;
        let rest = rest.strip_prefix(b" ").filter(|_| (1..=METHOD_BYTES_MAX).contains(&method_len));
        let rest = rest.ok_or_else(wrong)?;
        let target_len = rest.iter().position(|byte| *byte <= b' ' || *byte == 0x7f);
        if target_len.unwrap_or(rest.len()) > TARGET_BYTES_MAX {
            return Err(Error::TargetTooLong(TARGET_BYTES_MAX));
        }
        let Some(target_len) = target_len else { return Ok(None) };
        let (target, rest) = rest.split_at(target_len);
        let (is_http_1_0, rest) = match rest {
            [
                b' ',
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'1',
                b'.',
                version @ (b'0' | b'1'),
                rest @ ..,
            ] => (*version == b'0', rest),
            _ if b" HTTP/1.0".starts_with(rest) || b" HTTP/1.1".starts_with(rest) => {
                return Ok(None);
            }
            _ => return Err(wrong()),
        };
        let rest = match rest {
            [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => rest,
            [b'\r'] | [] => return Ok(None),
            _ => return Err(wrong()),
        };
        Ok(Some((Self { method, target, is_http_1_0 }, rest)))
    }
}

impl<'h, 'b> Head<'h, 'b> {
    /// The values of a header, in the order they were sent.
    pub(super) fn values<'n>(
        &self,
        name: &'n str,
    ) -> impl DoubleEndedIterator<Item = &'b [u8]> + use<'h, 'b, 'n> {
        let headers: &'h [Header<'b>] = self.headers;
        let is_named = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
        headers.iter().filter(is_named).map(|header| header.value)
    }

    /// Draws from target and headers what the connection must know.
    fn interpret(&mut self) -> Result<(), &'static str> {
        self.target = origin_form(self.target).ok_or("the target is no path")?;
        let (mut length, mut is_chunked, mut closes) = (None, false, false);
        let mut hosts = 0;
        for header in self.headers {
            let name = header.name;
            if name.eq_ignore_ascii_case("content-length") {
                let sent = content_length(header.value).ok_or("Content-Length is no number")?;
                if length.is_some_and(|first| first != sent) {
                    return Err("there are two Content-Length headers, and they differ");
                }
                length = Some(sent);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if is_chunked || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err("the only transfer encoding here is chunked");
                }
                is_chunked = true;
            } else if name.eq_ignore_ascii_case("connection") {
                closes |= has_token(header.value, "close");
                self.keeps_alive |= has_token(header.value, "keep-alive");
            } else if name.eq_ignore_ascii_case("host") {
                // None at all does no harm here: a sender that leaves it out has still converted.
                hosts += 1;
            } else if name.eq_ignore_ascii_case("expect") {
                self.expects_continue = header.value.eq_ignore_ascii_case(b"100-continue");
            }
        }
        if hosts > 1 {
            return Err("there are two Host headers");
        }
        if is_chunked && length.is_some() {
            return Err("a body has either a Content-Length or chunks");
        }
        if is_chunked && self.is_http_1_0 {
            return Err("HTTP/1.0 has no chunks");
        }
        self.keeps_alive &= !closes;
        self.framing = match length {
            _ if is_chunked => Framing::Chunked,
            None | Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
        };
        Ok(())
    }

    /// The head as it can be kept while the body is read. `None` where a header is none that
    /// the `http` crate takes.
    pub(super) fn to_owned(&self) -> Option<Request> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for header in self.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
        }
        Some(Request {
            method: Method::from_bytes(self.method.as_bytes()).ok()?,
            target: self.target.to_vec(),
            headers,
            body: Vec::new(),
        })
    }
}

/// A request that is not a click.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query as they were sent.
    pub(super) target: Vec<u8>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The target up to its query.
    pub(super) fn path(&self) -> &[u8] {
        path(&self.target)
    }
}

/// A target up to its query.
pub(super) fn path(target: &[u8]) -> &[u8] {
    target.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// A header's value as text, at most so many bytes of it.
pub(super) fn text(value: &[u8], bytes_max: usize) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(value);
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// Path and query of a target; `None` where it has neither. What a proxy would be asked for
/// (`GET http://host/path`) loses scheme and host: there is only one host here.
fn origin_form(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return Some(target);
    }
    let is_absolute = |scheme: &str| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let scheme = ["http://", "https://"].into_iter().find(|scheme| is_absolute(scheme))?;
    let rest = &target[scheme.len()..];
    let path = rest.iter().position(|byte| *byte == b'/')?;
    Some(&rest[path..])
}

/// Digits alone. More than 64 bits can hold is as long as can be: it is refused for that.
fn content_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn has_token(value: &[u8], token: &str) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Method, target and framing; or the status it is refused with.
    fn shown(text: impl AsRef<[u8]>) -> Result<String, u16> {
        match read(text.as_ref(), 0, &mut room()) {
            Read::Head(head, _) => Ok(format!(
                "{} {} {:?}{}{}",
                head.method,
                String::from_utf8_lossy(head.target),
                head.framing,
                if head.keeps_alive { "" } else { " close" },
                if head.expects_continue { " expects" } else { "" },
            )),
            Read::Partial => Ok("partial".to_owned()),
            Read::Refused(error) => Err(error.status().as_u16()),
        }
    }

    #[test]
    fn a_head_is_read() {
        let cases = [
            ("GET /c/a?b=1 HTTP/1.1\r\n\r\n", "GET /c/a?b=1 Empty"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "GET / Empty"),
            ("POST /p HTTP/1.1\r\ncontent-LENGTH: 5\r\n\r\nhello", "POST /p Length(5)"),
            (
                "POST /p HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
                "POST /p Length(5)",
            ),
            ("POST /p HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", "POST /p Chunked"),
            (
                "POST /p HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n",
                "POST /p Length(1) expects",
            ),
            ("GET / HTTP/1.0\r\n\r\n", "GET / Empty close"),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / Empty"),
            (
                "GET / HTTP/1.1\r\nConnection: x, close\r\nConnection: keep-alive\r\n\r\n",
                "GET / Empty close",
            ),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / Empty"),
            ("GET http://example.com/c/a?b HTTP/1.1\r\n\r\n", "GET /c/a?b Empty"),
            ("GET HTTPS://example.com:1/?/ HTTP/1.1\r\n\r\n", "GET /?/ Empty"),
            (
                "GET /?click_id=##SUB##&a=<b>\"{c}|^`\\ HTTP/1.1\r\n\r\n",
                "GET /?click_id=##SUB##&a=<b>\"{c}|^`\\ Empty",
            ),
            ("GET / HTTP/1.1\r\nA: b\r\n", "partial"),
            ("GE", "partial"),
            ("", "partial"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_in_a_target() {
        let text = b"GET /postback?a=\xff\x80 HTTP/1.1\r\n\r\n";
        let mut room = room();
        let Read::Head(head, len) = read(text, 0, &mut room) else { panic!("it is a head") };
        assert_eq!(head.target, b"/postback?a=\xff\x80");
        assert_eq!(len, text.len());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let cases = [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nA\0: b\r\n\r\n",
            "GET /\0 HTTP/1.1\r\n\r\n",
            "GET / a HTTP/1.1\r\n\r\n",
            "GET a HTTP/1.1\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\n\r\n",
            "CONNECT example.com:443 HTTP/1.1\r\n\r\n",
            "GET http://example.com HTTP/1.1\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.2\r\n\r\n",
            "\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "GET / http/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET / HTTP/1.1\rA: b\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET /\tHTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nA b\r\n\r\n",
            " GET / HTTP/1.1\r\n\r\n",
            "G\u{e9}T / HTTP/1.1\r\n\r\n",
            "GETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n\r\n",
            "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        ];
        for text in cases {
            assert_eq!(shown(text), Err(400), "{text:?}");
        }
    }

    #[test]
    fn too_much_is_refused_as_soon_as_it_is_seen() {
        let target = "a".repeat(TARGET_BYTES_MAX - 1);
        assert!(shown(format!("GET /{target} HTTP/1.1\r\n\r\n")).is_ok());
        assert_eq!(shown(format!("GET /{target}a HTTP/1.1\r\n\r\n")), Err(414));
        assert_eq!(shown(format!("GET /{target}a")), Err(414));
        assert_eq!(shown("G".repeat(METHOD_BYTES_MAX + 1)), Err(400));
        let line = format!("A: {}\r\n", "b".repeat(1_000));
        let lines = line.repeat(HEAD_BYTES_MAX / line.len() + 1);
        assert_eq!(shown(format!("GET / HTTP/1.1\r\n{lines}")), Err(431));
        assert_eq!(shown(format!("GET / HTTP/1.1\r\n{lines}\r\n")), Err(431));
        let many = "A: b\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(shown(format!("GET / HTTP/1.1\r\n{many}\r\n")), Err(431));
        let long = "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n";
        assert_eq!(shown(long), Ok(format!("POST / Length({})", u64::MAX)));
    }

    #[test]
    fn nothing_goes_on_for_ever() {
        let begun = ["", "GET", "GET ", "GET /", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nA: "];
        for begun in begun {
            for more in ["\r", "\n", "\r\n", "a", " ", "\t", "A: b\r\n", "\u{e9}"] {
                let text = begun.to_owned() + &more.repeat(HEAD_BYTES_MAX);
                assert_ne!(shown(&text).as_deref(), Ok("partial"), "{begun:?} {more:?}");
            }
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = "\u{e9}".repeat(512);
        assert_eq!(text(long.as_bytes(), 512).len(), 512);
        assert_eq!(text(&[b"a", long.as_bytes()].concat(), 512).len(), 511);
        assert_eq!(text(b"Mozilla/5.0 \xff", 512), "Mozilla/5.0 \u{fffd}");
        assert_eq!(text(&[0xff; 512], 512).len(), 510);
        assert_eq!(text(b"abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn a_head_is_read_alike_however_it_arrives(
            target in "/[!-~]{0,40}", name in "[A-Za-z-]{1,10}", value in "[ -~]{0,20}",
        ) {
            let text = format!("POST {target} HTTP/1.1\r\n{name}: {value}\r\n\r\n");
            let whole = shown(&text);
            for end in 0..text.len() {
                let part = shown(&text[..end]);
                prop_assert!(part == Ok("partial".to_owned()) || part == whole);
                let mut room = room();
                let rest = read(text.as_bytes(), end, &mut room);
                prop_assert_eq!(matches!(rest, Read::Head(..)), whole.is_ok());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_harm(bytes: Vec<u8>) {
            _ = shown(&bytes);
            _ = shown([b"GET / HTTP/1.1\r\n", &bytes[..], b"\r\n\r\n"].concat());
        }
    }
}
