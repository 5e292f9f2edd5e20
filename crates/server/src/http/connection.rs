//! One connection: requests come in, answers go out, in their order.
//!
//! A handler that panics costs its own request, and no other.

use super::body::Body;
use super::buffered::Lease;
use super::click::{self, Click};
use super::error::Error;
use super::head::{self, Framing, Head, Read, Request};
use super::reply::{Ending, LAST_CHUNK, Manner, push_chunk};
use super::socket::{Filled, Socket};
use super::worker::Worker;
use crate::ingest::Unavailable;
use axum::body::HttpBody;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;
use tokio::net::TcpStream;

/// An answer is sent whenever so much of it is ready, in bytes.
const SEND_BYTES: usize = 64 * 1024;

/// Who is served on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    Public,
    /// `/metrics` alone.
    Metrics,
}

/// Serves a connection until either side closes it.
pub(super) async fn serve(worker: Rc<Worker>, stream: TcpStream, peer: IpAddr, surface: Surface) {
    let socket = Socket::new(worker.clone(), stream);
    let head_until = worker.tick_in(worker.app.config.header_timeout_s);
    let mut connection = Connection {
        worker,
        socket,
        peer,
        surface,
        seen: 0,
        out: Vec::new(),
        head_until,
        is_first: true,
        keeps_alive: true,
        is_http_1_0: false,
    };
    // What goes wrong at the client's end is over with the connection; nobody need hear of it.
    _ = connection.run().await;
}

struct Connection {
    worker: Rc<Worker>,
    socket: Socket,
    peer: IpAddr,
    surface: Surface,
    /// So many unread bytes have been looked at: they are the beginning of a head.
    seen: usize,
    /// The answer to the request at hand.
    out: Vec<u8>,
    /// The tick by which the next head must be here, once it has begun.
    head_until: u64,
    /// No request has been answered.
    is_first: bool,
    /// After the request at hand.
    keeps_alive: bool,
    is_http_1_0: bool,
}

/// What comes next on a connection.
enum Step {
    /// More bytes are needed.
    More,
    /// A click, and when its request was here.
    Click(Click, Instant),
    /// Anything else; it may want to be asked for its body.
    Request {
        request: Request,
        framing: Framing,
        expects_continue: bool,
    },
    Refused(Error),
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            let step = self.step();
            let step = match step {
                Step::More => match self.more().await? {
                    Some(refused) => Step::Refused(refused),
                    None => continue,
                },
                step => step,
            };
            match step {
                Step::More => unreachable!("it was waited for"),
                Step::Click(click, since) => {
                    self.settle(click).await;
                    self.socket.send(&mut self.out).await?;
                    self.worker.figures.click_seconds.record(since.elapsed());
                }
                Step::Request { request, framing, expects_continue } => {
                    // Given back when the request is answered.
                    let mut lease = self.worker.buffered.lease();
                    let received = self.with_body(request, framing, expects_continue, &mut lease);
                    match received.await? {
                        Ok(request) => self.answer(request).await?,
                        Err(error) => return self.refuse(error).await,
                    }
                }
                Step::Refused(error) => return self.refuse(error).await,
            }
            if !self.keeps_alive {
                return self.close().await;
            }
            self.is_first = false;
            self.head_until = self.worker.tick_in(self.worker.app.config.header_timeout_s);
        }
    }

    /// Reads the next head, if it is there, and answers it as far as it is a click.
    fn step(&mut self) -> Step {
        let bytes = self.socket.unread();
        if bytes.is_empty() {
            return Step::More;
        }
        let mut room = head::room();
        let (head, len) = match head::read(bytes, self.seen, &mut room) {
            Read::Head(head, len) => (head, len),
            Read::Partial => {
                self.seen = bytes.len();
                return Step::More;
            }
            Read::Refused(error) => return Step::Refused(error),
        };
        self.seen = 0;
        self.keeps_alive = head.keeps_alive && !self.worker.is_stopping();
        self.is_http_1_0 = head.is_http_1_0;
        let step = match click::token(head::path(head.target)) {
            Some(token) if self.surface == Surface::Public => {
                let (keeps_alive, is_http_1_0) = (self.keeps_alive, self.is_http_1_0);
                let date = self.worker.date();
                let manner = Manner { date: &date, keeps_alive, is_http_1_0 };
                click_step(&self.worker, self.peer, &head, token, manner, &mut self.out)
            }
            _ => match head.to_owned() {
                Some(request) => {
                    let Head { framing, expects_continue, .. } = head;
                    Step::Request { request, framing, expects_continue }
                }
                None => Step::Refused(Error::request("a method or header does not read")),
            },
        };
        self.socket.consume(len);
        step
    }

    /// Waits for more of a head. `Some`: it has not come in time.
    async fn more(&mut self) -> io::Result<Option<Error>> {
        let is_idle = self.socket.unread().is_empty();
        let idle_until = self.worker.tick_in(self.worker.app.config.idle_timeout_s);
        let until = if is_idle && !self.is_first { idle_until } else { self.head_until };
        match self.socket.fill(until, is_idle).await? {
            Filled::More if is_idle && !self.is_first => {
                self.head_until = self.worker.tick_in(self.worker.app.config.header_timeout_s);
                Ok(None)
            }
            Filled::More => Ok(None),
            Filled::NoRoom => Ok(Some(Unavailable::Busy.into())),
            Filled::TooLate if !is_idle => {
                self.worker.figures.connections_slow.increment(1);
                Ok(Some(Error::Slow))
            }
            Filled::Closed | Filled::TooLate => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Waits until a click is on disk. Its answer is ready already.
    async fn settle(&mut self, click: Click) {
        match click {
            Click::Answered => {}
            Click::Waiting(pending) => {
                let result = self.worker.waiting.wait(&pending.ticket).await;
                let worker = self.worker.clone();
                let date = worker.date();
                let Self { keeps_alive, is_http_1_0, .. } = *self;
                let manner = Manner { date: &date, keeps_alive, is_http_1_0 };
                pending.settle(&worker, result, manner, &mut self.out);
            }
        }
    }

    /// Receives the request's body. An error within is to be told to the client.
    async fn with_body(
        &mut self,
        mut request: Request,
        framing: Framing,
        expects_continue: bool,
        lease: &mut Lease,
    ) -> io::Result<Result<Request, Error>> {
        if framing == Framing::Empty {
            return Ok(Ok(request));
        }
        let bytes_max = match self.surface {
            Surface::Public => super::body_bytes_max(&self.worker.app, &request),
            Surface::Metrics => Ok(0),
        };
        let mut body = match bytes_max.and_then(|bytes_max| Body::new(framing, bytes_max)) {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        if expects_continue && !body.is_done() && self.socket.unread().is_empty() {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.socket.send(&mut self.out).await?;
        }
        let until = self.worker.tick_in(self.worker.app.config.body_timeout_s);
        while !body.is_done() {
            match body.take(self.socket.unread()) {
                Ok(taken) => self.socket.consume(taken),
                Err(error) => return Ok(Err(error)),
            }
            if let Err(error) = lease.resize(body.len()) {
                return Ok(Err(error));
            }
            if body.is_done() {
                break;
            }
            match self.socket.fill(until, false).await? {
                Filled::More => {}
                Filled::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
                Filled::NoRoom => return Ok(Err(Unavailable::Busy.into())),
                Filled::TooLate => {
                    self.worker.figures.connections_slow.increment(1);
                    return Ok(Err(Error::Slow));
                }
            }
        }
        request.body = body.into_bytes();
        Ok(Ok(request))
    }

    async fn answer(&mut self, request: Request) -> io::Result<()> {
        let is_head = request.method == Method::HEAD;
        let worker = self.worker.clone();
        let mut answer = pin!(super::answer(&worker, self.surface, self.peer, request));
        let answer =
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
                Ok(Poll::Ready(answer)) => Poll::Ready(Some(answer)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(_) => Poll::Ready(None),
            });
        let answer = match answer.await {
            Some(answer) => answer,
            None => panicked(&worker).into_response(),
        };
        self.reply(answer, is_head).await
    }

    /// Sends an answer, as it comes.
    async fn reply(&mut self, answer: Response, is_head: bool) -> io::Result<()> {
        let (parts, mut body) = answer.into_parts();
        let declared = parts.headers.get(CONTENT_LENGTH).filter(|_| is_head);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let ending = match declared.or_else(|| body.size_hint().exact()) {
            _ if is_without_body(parts.status) => Ending::None,
            Some(length) => Ending::Length(length),
            None if self.is_http_1_0 => Ending::Close,
            None => Ending::Chunks,
        };
        self.keeps_alive &= ending != Ending::Close && !self.worker.is_stopping();
        {
            let date = self.worker.date();
            let Self { keeps_alive, is_http_1_0, .. } = *self;
            Manner { date: &date, keeps_alive, is_http_1_0 }.head(&mut self.out, &parts, ending);
        }
        if is_head || ending == Ending::None {
            return self.socket.send(&mut self.out).await;
        }
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(io::Error::other)?.into_data() else { continue };
            match ending {
                Ending::Chunks => push_chunk(&mut self.out, &data),
                _ => self.out.extend_from_slice(&data),
            }
            if self.out.len() >= SEND_BYTES {
                self.socket.send(&mut self.out).await?;
            }
        }
        if ending == Ending::Chunks {
            self.out.extend_from_slice(LAST_CHUNK);
        }
        self.socket.send(&mut self.out).await
    }

    /// Says why a request was not read, and closes: where the next one begins is unknown.
    async fn refuse(&mut self, error: Error) -> io::Result<()> {
        self.worker.figures.requests_refused.increment(1);
        self.keeps_alive = false;
        self.reply(error.into_response(), false).await?;
        self.socket.linger().await
    }

    async fn close(&mut self) -> io::Result<()> {
        if self.socket.unread().is_empty() { Ok(()) } else { self.socket.linger().await }
    }
}

/// A click's answer, in `out`: at once, or for when it is on disk.
fn click_step(
    worker: &Worker,
    peer: IpAddr,
    head: &Head<'_, '_>,
    token: &[u8],
    manner: Manner<'_>,
    out: &mut Vec<u8>,
) -> Step {
    let since = Instant::now();
    if !matches!(head.method, "GET" | "HEAD") {
        return Step::Refused(Error::Method("GET, HEAD".into()));
    }
    if head.framing != Framing::Empty {
        return Step::Refused(Error::request("a click has no body"));
    }
    let made =
        catch_unwind(AssertUnwindSafe(|| click::receive(worker, peer, head, token, manner, out)));
    if let Ok(click) = made {
        Step::Click(click, since)
    } else {
        out.clear();
        Step::Refused(panicked(worker))
    }
}

fn panicked(worker: &Worker) -> Error {
    worker.figures.panics.increment(1);
    Error::Internal("a handler panicked: the line before says where".to_owned())
}

fn is_without_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
