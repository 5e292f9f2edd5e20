//! A publisher's tracker: it keeps what it is told, and answers as a test wants it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long something may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Told {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(own, _)| own == name);
        found.next().map_or("", |(_, value)| value)
    }

    pub(crate) fn key(&self) -> &str {
        self.header("idempotency-key")
    }
}

/// Status and body, by how many requests there were before; `None`: the connection is closed.
type Answers = dyn Fn(usize, &Told) -> Option<(u16, String)> + Send + Sync;

struct Shared {
    told: Mutex<Vec<Told>>,
    arrived: Condvar,
    answers: Mutex<Arc<Answers>>,
    is_over: AtomicBool,
}

pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    /// One that says OK to everything.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let ok: Arc<Answers> = Arc::new(|_, _| Some((200, "OK".to_owned())));
        let shared = Arc::new(Shared {
            told: Mutex::default(),
            arrived: Condvar::new(),
            answers: Mutex::new(ok),
            is_over: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.is_over.load(Ordering::SeqCst) {
                    break;
                }
                // A sender that was killed may have left a connection that is none.
                let Ok(stream) = stream else { continue };
                let shared = accepting.clone();
                // It ends with its connection, which the sender closes.
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, shared }
    }

    /// A URL of it.
    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// From now on it answers so.
    pub(crate) fn answers(
        &self,
        answers: impl Fn(usize, &Told) -> Option<(u16, String)> + Send + Sync + 'static,
    ) {
        *self.shared.answers.lock().unwrap() = Arc::new(answers);
    }

    /// Always the same.
    pub(crate) fn says(&self, status: u16, body: &'static str) {
        self.answers(move |_, _| Some((status, body.to_owned())));
    }

    /// What it was told so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.shared.told.lock().unwrap().clone()
    }

    /// The same, once there are so many.
    #[track_caller]
    pub(crate) fn hears(&self, count: usize) -> Vec<Told> {
        let until = Instant::now() + ARRIVES_WITHIN;
        let mut told = self.shared.told.lock().unwrap();
        while told.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it was told {} of {count}: {told:?}", told.len());
            told = self.shared.arrived.wait_timeout(told, left).unwrap().0;
        }
        told.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // So that it looks.
        _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(told) = read(&mut reader) {
            let before = {
                let mut all = self.told.lock().unwrap();
                all.push(told.clone());
                self.arrived.notify_all();
                all.len() - 1
            };
            let answers = self.answers.lock().unwrap().clone();
            let Some((status, body)) = answers(before, &told) else { return };
            let answer =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// One request; `None`: there is no whole one any more.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Told> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.strip_suffix("\r\n").map(str::to_owned)
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut told = Told { method, target, headers, body: String::new() };
    let length = told.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    told.body = String::from_utf8(body).ok()?;
    Some(told)
}
