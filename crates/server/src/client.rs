//! The client of our own load and demo: HTTP/1.1 over one kept connection, one exchange at a time.
//!
//! It reads what it needs of an answer and no more (status, length, body), so that a machine
//! under test spends its time in the server and not here. It talks to servers we started.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer it reads, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// What is read at once.
const READ_BYTES: usize = 4 * 1024;
const HEAD_ENDS: &[u8] = b"\r\n\r\n";

/// A connection that stays open.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, for as long as the next request is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'b> {
    pub(crate) status: u16,
    head: &'b [u8],
    pub(crate) body: &'b [u8],
}

/// Where an answer's parts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    status: u16,
    head_bytes: usize,
    body_bytes: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ_BYTES) })
    }

    /// Sends a request and reads its answer. After an error the connection is of no use.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let frame = loop {
            self.read().await?;
            if let Some(frame) = frame(&self.buffer)? {
                break frame;
            }
        };
        let bytes = frame.head_bytes + frame.body_bytes;
        if bytes > ANSWER_BYTES_MAX {
            return Err(malformed("the answer is too long"));
        }
        while self.buffer.len() < bytes {
            self.read().await?;
        }
        if self.buffer.len() > bytes {
            return Err(malformed("more came than the answer is long"));
        }
        let (head, body) = self.buffer.split_at(frame.head_bytes);
        Ok(Answer { status: frame.status, head, body })
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.buffer.len() > ANSWER_BYTES_MAX {
            return Err(malformed("the answer is too long"));
        }
        self.buffer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection before it had answered",
            )),
            _ => Ok(()),
        }
    }
}

impl<'b> Answer<'b> {
    /// The first header of that name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&'b str> {
        header(self.head, name.as_bytes())
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads an answer's head; `None` where its end has not come yet.
fn frame(bytes: &[u8]) -> io::Result<Option<Frame>> {
    let Some(end) = bytes.windows(HEAD_ENDS.len()).position(|four| four == HEAD_ENDS) else {
        return Ok(None);
    };
    let head = &bytes[..end + 2];
    let status = head
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(|| malformed("the answer does not begin with `HTTP/1.1` and a status"))?;
    let has_no_body = status == 204 || status == 304;
    let length = header(head, b"content-length").map(str::parse);
    let body_bytes = match length {
        Some(Ok(length)) => length,
        None if has_no_body => 0,
        _ => return Err(malformed("the answer has no Content-Length")),
    };
    Ok(Some(Frame { status, head_bytes: end + HEAD_ENDS.len(), body_bytes }))
}

fn header<'b>(head: &'b [u8], name: &[u8]) -> Option<&'b str> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let mut values = lines.filter_map(|line| {
        let (own, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        own.eq_ignore_ascii_case(name).then(|| str::from_utf8(value).ok())?
    });
    values.next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_length() {
        let bytes = b"HTTP/1.1 302 Found\r\nLocation: /x?a=1\r\ncontent-LENGTH: 5\r\n\r\nhello";
        let frame = frame(bytes).unwrap().unwrap();
        assert_eq!((frame.status, frame.body_bytes), (302, 5));
        let (head, body) = bytes.split_at(frame.head_bytes);
        assert_eq!(body, b"hello");
        let answer = Answer { status: 302, head, body };
        assert_eq!(answer.header("location"), Some("/x?a=1"));
        assert_eq!(answer.header("loc"), None, "the beginning of a name is another name");
    }

    #[test]
    fn every_beginning_of_a_head_waits_for_the_rest() {
        let bytes = b"HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n";
        for end in 0..bytes.len() {
            assert_eq!(frame(&bytes[..end]).unwrap(), None, "{end}");
        }
        assert_eq!(frame(bytes).unwrap().unwrap().body_bytes, 0);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in [
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "SSH-2.0-x\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(frame(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_comes_byte_by_byte_is_read_whole() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            for _ in 0..2 {
                let mut request = [0; 4];
                stream.read_exact(&mut request).await.unwrap();
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc" {
                    stream.write_all(&[*byte]).await.unwrap();
                }
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        for _ in 0..2 {
            let answer = connection.exchange(b"ping").await.unwrap();
            assert_eq!((answer.status, answer.body), (200, &b"abc"[..]));
        }
        server.await.unwrap();
        let error = connection.exchange(b"ping").await.unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
}
