//! A client's socket, and every wait for it: each has an end.

use super::buffered::Lease;
use super::head::HEAD_BYTES_MAX;
use super::worker::{Watch, Worker};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// What is read at once, to begin with.
const READ_BYTES: usize = 4 * 1024;
/// How long a client may take to read a part of its answer, in seconds.
const WRITE_TIMEOUT_S: u64 = 30;
/// How long the rest of a refused request is read, in seconds: a socket that is closed with bytes
/// unread takes the answer with it.
const LINGER_S: u64 = 2;

pub(super) struct Socket {
    stream: TcpStream,
    worker: Rc<Worker>,
    number: u64,
    watch: Rc<Watch>,
    /// What was received and not used yet is `bytes[start..end]`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// For what `bytes` has grown beyond [`READ_BYTES`].
    lease: Lease,
}

/// How a wait for more bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    More,
    /// The client will send nothing more.
    Closed,
    TooLate,
    /// There is no memory for them, with all that other connections hold.
    NoRoom,
}

impl Socket {
    pub(super) fn new(worker: Rc<Worker>, stream: TcpStream) -> Self {
        let (number, watch) = worker.watch();
        let lease = worker.buffered.lease();
        Self { stream, worker, number, watch, bytes: Vec::new(), start: 0, end: 0, lease }
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The first `bytes` of what is unread have been used.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Waits for more bytes, up to the tick `until`. When the server stops, nobody waits for a
    /// request that has not begun: `is_idle`.
    pub(super) async fn fill(&mut self, until: u64, is_idle: bool) -> io::Result<Filled> {
        if is_idle && self.worker.is_stopping() {
            return Ok(Filled::TooLate);
        }
        if !self.make_room() {
            return Ok(Filled::NoRoom);
        }
        self.watch.begin(until, is_idle);
        let Self { stream, watch, bytes, end, .. } = self;
        let filled = poll_fn(|cx| {
            if watch.is_expired(cx.waker()) {
                return Poll::Ready(Ok(Filled::TooLate));
            }
            let mut room = ReadBuf::new(&mut bytes[*end..]);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut room))?;
            let received = room.filled().len();
            *end += received;
            Poll::Ready(Ok(if received == 0 { Filled::Closed } else { Filled::More }))
        });
        let filled = filled.await;
        self.watch.end();
        filled
    }

    /// Whether there is room behind what is unread, as there is as long as that is not longer than
    /// a head may be. What a long head needed is given back when all of it is used.
    fn make_room(&mut self) -> bool {
        if self.end == 0 && self.bytes.len() > READ_BYTES {
            self.bytes = Vec::new();
        }
        if self.end == self.bytes.len() {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
                return true;
            }
            let bytes = (self.bytes.len() * 2).clamp(READ_BYTES, HEAD_BYTES_MAX + READ_BYTES);
            assert!(bytes > self.end, "a head that long has been refused");
            if self.lease.resize(bytes - READ_BYTES).is_err() {
                return false;
            }
            self.bytes.resize(bytes, 0);
        }
        true
    }

    /// Sends all of `out`, and empties it.
    pub(super) async fn send(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut sent = 0;
        while sent < out.len() {
            sent += match self.stream.try_write(&out[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.send_part(&out[sent..]).await?
                }
                Err(error) => return Err(error),
            };
        }
        out.clear();
        Ok(())
    }

    /// As soon as the client has room for it.
    async fn send_part(&mut self, out: &[u8]) -> io::Result<usize> {
        self.watch.begin(self.worker.tick_in(WRITE_TIMEOUT_S), false);
        let Self { stream, watch, .. } = self;
        let sent = poll_fn(|cx| {
            if watch.is_expired(cx.waker()) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Pin::new(&mut *stream).poll_write(cx, out)
        });
        let sent = sent.await;
        self.watch.end();
        sent
    }

    /// Says that nothing more will be sent, and reads on for a moment.
    pub(super) async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let until = self.worker.tick_in(LINGER_S);
        loop {
            (self.start, self.end) = (0, 0);
            if self.fill(until, false).await? != Filled::More {
                return Ok(());
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.worker.forget(self.number);
    }
}
