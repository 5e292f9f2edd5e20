//! Listens, and hands connections to the worker threads.
//!
//! One runtime per core, and a connection stays on the one it was given to: a click shares
//! nothing with another thread but the journal's queue. What is over the limit is refused when it
//! is accepted, so what has been accepted is answered.

use super::buffered::Buffered;
use super::connection::{self, Surface};
use super::figures::Figures;
use super::worker::Worker;
use crate::app::App;
use crate::open_files;
use metrics_exporter_prometheus::PrometheusHandle;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// How many connections `/metrics` may have at once.
const METRICS_CONNECTIONS_MAX: usize = 32;
/// How long requests that are being answered may take once the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long nothing is accepted when the process has no file descriptor left.
const REST_AFTER_ERROR: Duration = Duration::from_millis(100);
/// How often the samples of durations are put into their buckets: they take memory until then.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// How many tasks run before sockets are looked at again.
const EVENT_INTERVAL: u32 = 128;

/// Connections are answered as long as this has not been stopped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) metrics_address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Front {
    /// Listens on the configured addresses. To be called within a runtime, on which everything
    /// runs that is neither click nor postback.
    pub(crate) fn start(app: &Arc<App>) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(upkeep(app.metrics.clone(), stopped.clone()));
        let (crew, mut threads) = hire(app)?;
        let acceptor = Acceptor {
            crew,
            public: Gate {
                surface: Surface::Public,
                open: Arc::default(),
                max: open_files::connections_max(app.config.connections_max, app.outbound_max()),
            },
            metrics: Gate {
                surface: Surface::Metrics,
                open: Arc::default(),
                max: METRICS_CONNECTIONS_MAX,
            },
            figures: Figures::new(),
        };
        // On a thread of its own: a long list that the API reads must not keep visitors out.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let bound = {
            let _entered = runtime.enter();
            listen("listen", app.config.listen).and_then(|public| {
                Ok((public, listen("metrics_listen", app.config.metrics_listen)?))
            })
        };
        let (public, metrics) = match bound {
            Ok(bound) => bound,
            Err(error) => {
                // A runtime that is dropped within another one panics.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let (address, metrics_address) = (public.local_addr()?, metrics.local_addr()?);
        threads.push(essential("accept", move || {
            runtime.block_on(acceptor.run(public, metrics, stopped));
        })?);
        Ok(Self { address, metrics_address, stop, threads })
    }

    /// Accepts nothing more, lets what is being answered finish, and closes the rest.
    pub(crate) async fn stop(self) {
        _ = self.stop.send(true);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                _ = thread.join();
            }
        });
        _ = joined.await;
    }
}

/// The threads that answer requests.
fn hire(app: &Arc<App>) -> io::Result<(Vec<Colleague>, Vec<JoinHandle<()>>)> {
    let count = match app.config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let router = super::router(app.clone());
    let buffered = Arc::<Buffered>::default();
    let mut crew = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count + 1);
    for number in 0..count {
        let (inbox, arrivals) = mpsc::unbounded_channel();
        crew.push(Colleague { inbox, open: Arc::default() });
        let (app, router, buffered) = (app.clone(), router.clone(), buffered.clone());
        let rest = Handle::current();
        let runtime =
            Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build()?;
        threads.push(essential(&format!("http-{number}"), move || {
            let work = work(Worker::new(app, router, rest, buffered), arrivals);
            LocalSet::new().block_on(&runtime, work);
        })?);
    }
    Ok((crew, threads))
}

/// A thread without which requests would hang that have been accepted.
fn essential(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _ends = EndsWithPanic;
        run();
    })
}

/// Ends the process when what it is held by panics: nobody else would do its work, and whoever
/// watches over the process starts it again.
struct EndsWithPanic;

impl Drop for EndsWithPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("what all requests need has panicked: the process ends");
            std::process::abort();
        }
    }
}

async fn upkeep(metrics: PrometheusHandle, mut stopped: watch::Receiver<bool>) {
    while tokio::time::timeout(UPKEEP_EVERY, stopped.wait_for(|stopped| *stopped)).await.is_err() {
        metrics.run_upkeep();
    }
}

/// `setting` is what the address is configured by.
fn listen(setting: &str, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    let bound = socket.bind(address).and_then(|()| socket.listen(BACKLOG));
    bound.map_err(|error| io::Error::new(error.kind(), format!("{setting} = {address}: {error}")))
}

/// A connection on its way to a worker.
struct Arrival {
    stream: TcpStream,
    peer: IpAddr,
    surface: Surface,
    _places: [Place; 2],
}

/// A count that goes down again when this is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A worker as the acceptor sees it.
struct Colleague {
    inbox: mpsc::UnboundedSender<Arrival>,
    open: Arc<AtomicUsize>,
}

/// How many may come in by one listener.
struct Gate {
    surface: Surface,
    open: Arc<AtomicUsize>,
    max: usize,
}

struct Acceptor {
    crew: Vec<Colleague>,
    public: Gate,
    metrics: Gate,
    figures: Figures,
}

impl Acceptor {
    /// Runs until it is told to stop. The workers' inboxes close with it.
    async fn run(
        self,
        public: TcpListener,
        metrics: TcpListener,
        mut stopped: watch::Receiver<bool>,
    ) {
        while !*stopped.borrow() {
            let accepted = tokio::select! {
                accepted = public.accept() => accepted.map(|it| (it, &self.public)),
                accepted = metrics.accept() => accepted.map(|it| (it, &self.metrics)),
                _ = stopped.changed() => continue,
            };
            match accepted {
                Ok(((stream, peer), gate)) => self.hand_over(stream, peer, gate),
                // The client is gone again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "connections cannot be accepted");
                    tokio::time::sleep(REST_AFTER_ERROR).await;
                }
            }
        }
    }

    /// To the worker with the fewest connections.
    fn hand_over(&self, stream: tokio::net::TcpStream, peer: SocketAddr, gate: &Gate) {
        if gate.open.load(Ordering::Relaxed) >= gate.max {
            self.figures.connections_refused.increment(1);
            return;
        }
        self.figures.connections.increment(1);
        // What fails here has failed at the client's end.
        let Ok(stream) = stream.set_nodelay(true).and_then(|()| stream.into_std()) else { return };
        let colleague = self
            .crew
            .iter()
            .min_by_key(|colleague| colleague.open.load(Ordering::Relaxed))
            .expect("there is one thread at least");
        let places = [Place::take(&gate.open), Place::take(&colleague.open)];
        let arrival = Arrival { stream, peer: peer.ip(), surface: gate.surface, _places: places };
        // A worker lives as long as this does: its panic ends the process.
        _ = colleague.inbox.send(arrival);
    }
}

/// A worker thread's life: until its inbox is closed and its connections are answered.
async fn work(worker: Worker, mut arrivals: mpsc::UnboundedReceiver<Arrival>) {
    let worker = Rc::new(worker);
    let settled = worker.app.journal.settled();
    spawn_local(holding_on(worker.waiting.clone().run(settled)));
    spawn_local(holding_on(worker.clone().sweep()));
    while let Some(arrival) = arrivals.recv().await {
        spawn_local(welcome(worker.clone(), arrival));
    }
    if tokio::time::timeout(STOP_WITHIN, worker.stop()).await.is_err() {
        tracing::warn!("connections were closed before their requests were answered");
    }
}

/// A task whose panic ends the process.
async fn holding_on(work: impl Future<Output = ()>) {
    let _ends = EndsWithPanic;
    work.await;
}

async fn welcome(worker: Rc<Worker>, arrival: Arrival) {
    let Arrival { stream, peer, surface, _places } = arrival;
    if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
        connection::serve(worker, stream, peer, surface).await;
    }
}
