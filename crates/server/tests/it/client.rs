//! A client that sends exactly what it is told to: HTTP/1.1 over one kept connection.
//!
//! Nothing is mended on the way and nothing is tried twice: a test sees what a sender would.

use crate::described::{self, Said};
use crate::server::ADMIN_KEY;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before the test fails.
const ANSWERS_WITHIN: Duration = Duration::from_secs(90);
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// One connection, opened when it is first needed.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(own, _)| own == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    pub(crate) fn get(&mut self, target: impl AsRef<[u8]>) -> Reply {
        self.send("GET", target, &[], b"")
    }

    pub(crate) fn post(
        &mut self,
        target: impl AsRef<[u8]>,
        content_type: &str,
        body: impl AsRef<[u8]>,
    ) -> Reply {
        self.send("POST", target, &[("Content-Type", content_type)], body.as_ref())
    }

    pub(crate) fn post_form(&mut self, target: impl AsRef<[u8]>, body: &str) -> Reply {
        self.post(target, FORM, body)
    }

    pub(crate) fn post_json(&mut self, target: impl AsRef<[u8]>, body: &Value) -> Reply {
        self.post(target, JSON, body.to_string())
    }

    /// A call of the API, with its key; `path` is what follows `/api/v1`. Without a body, none is
    /// sent.
    pub(crate) fn api(&mut self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.api_with(method, path, &[], body)
    }

    /// The same, with headers besides.
    pub(crate) fn api_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let key = format!("Bearer {ADMIN_KEY}");
        let mut all = vec![("Authorization", key.as_str())];
        all.extend_from_slice(headers);
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, format!("/api/v1{path}"), &all, body.as_bytes())
    }

    /// A request with these headers besides `Host` and `Content-Length`. The target's bytes go
    /// out as they are.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: impl AsRef<[u8]>,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request = format!("{method} ").into_bytes();
        request.extend_from_slice(target.as_ref());
        request.extend_from_slice(format!(" HTTP/1.1\r\nHost: {}\r\n", self.address).as_bytes());
        for (name, value) in headers {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !body.is_empty() || method != "GET" {
            request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        let reply = self.exchange(&request, method == "HEAD").unwrap_or_else(|error| {
            panic!("{method} {:?}: {error}", target.as_ref().escape_ascii().to_string())
        });
        described::check(Said { method, target: target.as_ref(), body }, &reply);
        reply
    }

    /// Sends these bytes and reads one answer.
    pub(crate) fn exchange(&mut self, request: &[u8], is_head: bool) -> std::io::Result<Reply> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => open(self.address)?,
        };
        stream.get_mut().write_all(request)?;
        let reply = read(&mut stream, is_head)?;
        if reply.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(reply)
    }
}

fn open(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn read(stream: &mut BufReader<TcpStream>, is_head: bool) -> std::io::Result<Reply> {
    let first = line(stream)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| broken(&first))?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut reply = Reply { status, headers, body: Vec::new() };
    if is_head || status == 204 || status == 304 {
        return Ok(reply);
    }
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = chunks(stream)?;
        return Ok(reply);
    }
    let length = reply.header("content-length").unwrap_or("0");
    let length = length.parse().map_err(|_| broken(length))?;
    reply.body = vec![0; length];
    stream.read_exact(&mut reply.body)?;
    Ok(reply)
}

fn chunks(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = usize::from_str_radix(&size, 16).map_err(|_| broken(&size))?;
        let start = body.len();
        body.resize(start + size, 0);
        stream.read_exact(&mut body[start..])?;
        line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// A line of the head, without its end.
fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.strip_suffix(b"\r\n").ok_or_else(|| broken("no line end"))?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn broken(what: &str) -> std::io::Error {
    std::io::Error::other(format!("the answer does not read: {what:?}"))
}
