//! Publishers' trackers as small as they can be, so that the machine is left to the sender: one
//! that says OK and notes how long after the conversion it was told, one that never answers.

use super::histogram::Histogram;
use anyhow::Context;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
/// The parameter of a URL that says when its conversion was, in milliseconds since 1970.
pub(super) const AT: &str = "at=";
const HEAD_ENDS: &[u8] = b"\r\n\r\n";
/// The longest request it reads, in bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// What a tracker does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Answers,
    Hangs,
}

/// One that listens until it is dropped.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    lags: Arc<Mutex<Histogram>>,
    /// Its one thread.
    _runtime: Runtime,
}

impl Receiver {
    pub(super) fn start(manner: Manner) -> anyhow::Result<Self> {
        Self::start_at(manner, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Where a URL that is known before leads to.
    pub(super) fn start_at(manner: Manner, address: SocketAddr) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("receiver")
            .enable_io()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(address));
        let listener = listener.context("a receiver cannot listen")?;
        let address = listener.local_addr()?;
        let lags = Arc::new(Mutex::new(Histogram::default()));
        let noting = lags.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, noting.clone()));
            }
        });
        Ok(Self { address, lags, _runtime: runtime })
    }

    /// How long after their conversions requests came, since this was last asked.
    pub(super) fn lags(&self) -> Histogram {
        std::mem::take(&mut *locked(&self.lags))
    }
}

fn locked(lags: &Mutex<Histogram>) -> MutexGuard<'_, Histogram> {
    lags.lock().expect("no panic happens under this lock")
}

async fn serve(mut stream: TcpStream, manner: Manner, lags: Arc<Mutex<Histogram>>) {
    let mut buffer = Vec::with_capacity(2_048);
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(1..) if buffer.len() <= REQUEST_BYTES_MAX => {}
            _ => return,
        }
        while let Some(end) = buffer.windows(HEAD_ENDS.len()).position(|four| four == HEAD_ENDS) {
            if let Some(lag) = lag(&buffer[..end]) {
                locked(&lags).record(lag);
            }
            buffer.drain(..end + HEAD_ENDS.len());
            if manner == Manner::Answers && stream.write_all(OK).await.is_err() {
                return;
            }
        }
    }
}

/// How long ago the conversion was that a request tells of.
fn lag(request: &[u8]) -> Option<Duration> {
    let line = std::str::from_utf8(request.split(|byte| *byte == b'\r').next()?).ok()?;
    let (_, at) = line.split_once(AT)?;
    let digits = at.split(|letter: char| !letter.is_ascii_digit()).next()?;
    let at = Duration::from_millis(digits.parse().ok()?);
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.saturating_sub(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_late_a_request_is_stands_in_its_url() {
        let of = |text: &str| lag(text.as_bytes());
        let long_ago = of("GET /?c=1&at=1000&x=2 HTTP/1.1\r\nHost: a").unwrap();
        assert!(long_ago > Duration::from_secs(1_700_000_000), "{long_ago:?}");
        assert_eq!(of("GET /?at=99999999999999 HTTP/1.1"), Some(Duration::ZERO));
        for text in ["", "GET / HTTP/1.1", "GET /?at= HTTP/1.1", "GET / HTTP/1.1\r\nat=5: 1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
