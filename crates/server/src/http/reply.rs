//! Writes answers as they go over the wire.

use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use axum::http::response::Parts;
use axum::http::{HeaderName, StatusCode};

/// What an answer's head says beside the answer itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'a> {
    pub(super) date: &'a str,
    /// Another request may follow on this connection.
    pub(super) keeps_alive: bool,
    /// HTTP/1.0 closes unless it is told otherwise.
    pub(super) is_http_1_0: bool,
}

/// How the client knows where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// There can be none (304, 204, …).
    None,
    Length(u64),
    Chunks,
    /// With the connection.
    Close,
}

impl Manner<'_> {
    /// The lines that end every head.
    fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(self.date.as_bytes());
        out.extend_from_slice(match (self.keeps_alive, self.is_http_1_0) {
            (true, false) => b"\r\n\r\n",
            (true, true) => b"\r\nconnection: keep-alive\r\n\r\n",
            (false, _) => b"\r\nconnection: close\r\n\r\n",
        });
    }

    /// A redirect without a body. `location` appends the URL: visible ASCII, as its maker
    /// promises.
    pub(super) fn redirect(self, out: &mut Vec<u8>, location: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(b"HTTP/1.1 302 Found\r\nlocation: ");
        let start = out.len();
        location(out);
        assert!(
            out[start..].iter().all(u8::is_ascii_graphic),
            "values are percent-encoded where they are put in"
        );
        out.extend_from_slice(b"\r\ncache-control: no-store\r\ncontent-length: 0\r\n");
        self.end(out);
    }

    /// A short answer that people read.
    pub(super) fn page(self, out: &mut Vec<u8>, status: StatusCode, html: &str, is_head: bool) {
        push_status(out, status);
        out.extend_from_slice(b"content-type: text/html; charset=utf-8\r\n");
        out.extend_from_slice(b"cache-control: no-store\r\n");
        if status == StatusCode::SERVICE_UNAVAILABLE {
            push_number(out, "retry-after", u64::from(super::error::RETRY_AFTER_S));
        }
        push_number(out, "content-length", html.len() as u64);
        self.end(out);
        if !is_head {
            out.extend_from_slice(html.as_bytes());
        }
    }

    /// The head of any answer. What belongs to the connection is ours to say.
    pub(super) fn head(self, out: &mut Vec<u8>, parts: &Parts, ending: Ending) {
        const OURS: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING];
        push_status(out, parts.status);
        for (name, value) in parts.headers.iter().filter(|(name, _)| !OURS.contains(name)) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        match ending {
            Ending::Length(length) => push_number(out, "content-length", length),
            Ending::Chunks => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Ending::None | Ending::Close => {}
        }
        self.end(out);
    }
}

fn push_status(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or("Unknown").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// One chunk; an empty one would end the body, and is left out.
pub(super) fn push_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

/// The end of a body in chunks.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

fn push_number(out: &mut Vec<u8>, name: &str, number: u64) {
    out.extend_from_slice(format!("{name}: {number}\r\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::{IntoResponse, Response};

    const KEEP: Manner<'_> = Manner { date: "D", keeps_alive: true, is_http_1_0: false };

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_redirect_has_no_body_and_is_not_kept() {
        let shown = text(|out| KEEP.redirect(out, |out| out.extend_from_slice(b"http://a/?b")));
        insta::assert_snapshot!(
            shown.replace("\r\n", "|"),
            @"HTTP/1.1 302 Found|location: http://a/?b|cache-control: no-store|content-length: 0|date: D||"
        );
    }

    #[test]
    #[should_panic(expected = "percent-encoded")]
    fn a_location_never_carries_a_line_end() {
        text(|out| KEEP.redirect(out, |out| out.extend_from_slice(b"http://a/\r\nb: c")));
    }

    #[test]
    fn a_page_has_a_body_unless_it_was_not_asked_for() {
        let page = |is_head| text(|out| KEEP.page(out, StatusCode::GONE, "<p>x", is_head));
        insta::assert_snapshot!(
            page(false).replace("\r\n", "|"),
            @"HTTP/1.1 410 Gone|content-type: text/html; charset=utf-8|cache-control: no-store|content-length: 4|date: D||<p>x"
        );
        assert_eq!(page(true) + "<p>x", page(false));
    }

    #[test]
    fn what_belongs_to_the_connection_is_ours_to_say() {
        let answer: Response =
            (StatusCode::CREATED, [("connection", "x"), ("content-length", "9"), ("a", "b")])
                .into_response();
        let (parts, _) = answer.into_parts();
        let head = |manner: Manner<'_>, ending| {
            text(|out| manner.head(out, &parts, ending)).replace("\r\n", "|")
        };
        assert_eq!(
            head(KEEP, Ending::Length(5)),
            "HTTP/1.1 201 Created|a: b|content-length: 5|date: D||"
        );
        let old = Manner { is_http_1_0: true, ..KEEP };
        assert_eq!(
            head(old, Ending::None),
            "HTTP/1.1 201 Created|a: b|date: D|connection: keep-alive||"
        );
        let last = Manner { keeps_alive: false, ..KEEP };
        assert_eq!(
            head(last, Ending::Chunks),
            "HTTP/1.1 201 Created|a: b|transfer-encoding: chunked|date: D|connection: close||"
        );
    }

    #[test]
    fn an_empty_chunk_does_not_end_a_body() {
        assert_eq!(text(|out| push_chunk(out, b"")), "");
        assert_eq!(text(|out| push_chunk(out, &[b'a'; 17])).len(), 2 + 2 + 17 + 2);
    }
}
