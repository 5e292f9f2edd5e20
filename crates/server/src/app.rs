//! Builds everything once, in the order in which it depends on each other, and stops it in the
//! opposite one.
//!
//! A ledger that does not open keeps nobody from being redirected: the server then comes up with
//! the setup as it was last written, journals what it is sent, and opens the ledger when it can.

use crate::clock::Clock;
use crate::config::{Config, Secret, WhenDiskFails};
use crate::countries::Countries;
use crate::deliver::{self, Halted, Teller, Watch};
use crate::engine::Engine;
use crate::http::ring::Ring;
use crate::ingest::{Handle, Progress};
use crate::keys::{Keys, Missing};
use crate::ledger::Ledger;
use crate::live::Live;
use crate::open::{self, FIRST, Failure, LEDGER, Parts, RESTORED};
use crate::snapshot;
use anyhow::Context;
use domain::click_id::Minter;
use domain::id::{NodeId, Position};
use domain::secret::SecretsKey;
use domain::setup::Setup;
use domain::time::Timestamp;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use store::Store;
use store::deliveries::Deliveries;
use store::disk::{Disk, RealDisk};
use store::journal::Journal;
use tokio::sync::{Notify, watch};

/// How many destinations are tried out at once.
const TRIALS_MAX: usize = 8;

/// Everything that requests need.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) node: NodeId,
    pub(crate) clock: Arc<Clock>,
    pub(crate) journal: Arc<Journal>,
    /// Whether there is a ledger to ask.
    pub(crate) ledger: Arc<Ledger>,
    /// The same, for whoever asks it.
    pub(crate) store: Arc<dyn Store>,
    /// What has come of what destinations are owed, once there is a ledger and they have opened.
    pub(crate) deliveries: Arc<OnceLock<Arc<dyn Deliveries>>>,
    /// Something may be due that was not.
    pub(crate) wake_sender: Arc<Notify>,
    /// To which destinations nothing is begun.
    pub(crate) halted: Arc<Halted>,
    /// Which alerts hold.
    pub(crate) watch: Watch,
    /// Calls destinations.
    pub(crate) teller: Arc<Teller>,
    /// Who holds one of them tries a destination out.
    pub(crate) trials: tokio::sync::Semaphore,
    pub(crate) live: Arc<Live>,
    /// Where visitors are.
    pub(crate) countries: Arc<Countries>,
    pub(crate) keys: Keys,
    pub(crate) minter: Mutex<Minter>,
    pub(crate) ingest: Handle,
    pub(crate) progress: Arc<Progress>,
    pub(crate) ring: Ring,
    /// Who holds it rehearses: that takes much memory, so it is one at a time.
    pub(crate) stage: tokio::sync::Semaphore,
    /// Who holds it has deliveries sent once more: whoever asks for the same finds it done.
    pub(crate) replays: tokio::sync::Mutex<()>,
    /// Who holds it changes a destination: what is made of what it was is not overtaken by another.
    pub(crate) changes: tokio::sync::Mutex<()>,
    /// Who holds it pauses a destination or resumes one.
    pub(crate) pauses: tokio::sync::Mutex<()>,
    pub(crate) metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// Where it listens, once it does: the configured port may be 0.
    pub(crate) address: OnceLock<SocketAddr>,
}

impl App {
    /// How many connections to destinations are open at the most: under way, with
    /// other addresses of their names beside them, tried out and kept.
    pub(crate) fn outbound_max(&self) -> usize {
        let under_way = usize::try_from(self.config.outbound_concurrency).unwrap_or(usize::MAX);
        [TRIALS_MAX, deliver::FURTHER_MAX, deliver::IDLE_MAX]
            .into_iter()
            .fold(under_way, usize::saturating_add)
    }
}

/// What a server stands on.
pub(crate) struct Ground {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) seen: Box<Seen>,
}

/// The store as requests and applying see it.
pub(crate) type Seen = dyn Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync;

/// What runs beside the requests.
pub(crate) struct Running {
    pub(crate) app: Arc<App>,
    engine: Arc<Engine>,
    /// Opens the ledger, or finishes the start, where that has to wait.
    task: Option<tokio::task::JoinHandle<()>>,
    /// Writes the setup's snapshot.
    writer: tokio::task::JoinHandle<()>,
    write_last: watch::Sender<bool>,
    /// Becomes true when applying or keeping has ended, for whatever reason.
    pub(crate) ended: watch::Receiver<bool>,
}

impl App {
    /// What links and postback URLs begin with, without a slash at the end.
    pub(crate) fn base_url(&self) -> String {
        match (&self.config.external_url, self.address.get()) {
            (Some(url), _) => url.clone(),
            (None, Some(address)) => format!("http://{address}"),
            (None, None) => format!("http://{}", self.config.listen),
        }
    }

    /// Opens the data directory and starts what runs beside the requests. When this returns,
    /// every record that was journaled before is applied, as far as there is a ledger that takes
    /// it.
    pub(crate) async fn start(
        config: Config,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> anyhow::Result<Running> {
        let ground = Ground { disk: Arc::new(RealDisk), seen: Box::new(|store| store) };
        Self::start_on(ground, config, metrics).await
    }

    /// The same on a disk, and with a store, that may have bad days.
    pub(crate) async fn start_on(
        ground: Ground,
        config: Config,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> anyhow::Result<Running> {
        let (disk, data) = (ground.disk.clone(), config.data.clone());
        let countries = Arc::new(Countries::open(config.country_database.as_deref())?);
        open::data_dir(&*disk, &data)?;
        let clock = Arc::new(Clock::default());
        let is_restored = data.join(RESTORED).exists();
        let journal = open::journal(&disk, &config, &clock, is_restored)?;
        let is_new = journal.next() <= FIRST && !data.join(LEDGER).exists();
        let missing = if is_new { Missing::MakeAll } else { Missing::MakeAdmin };
        let keys = Keys::open(&data, config.admin_key.as_ref().map(Secret::expose), missing)?;
        let next = journal.next();
        let opened = open::parts(disk, &data, &journal, next, &keys).await;
        let (setup, parts) = match opened {
            Ok(parts) => (newest(&parts, next, &data, (journal.id(), &keys.secrets)), Some(parts)),
            Err(Failure::Closed(error)) if config.when_disk_fails == WhenDiskFails::Redirect => {
                let error = format!("{error:#}");
                tracing::error!(error, "the ledger is closed: visitors are redirected only");
                let setup = snapshot::read(&data, journal.id(), &keys.secrets).context(error)?;
                (setup, None)
            }
            Err(failure) => return Err(failure.into_error()),
        };
        clock.not_before(Timestamp::from_us(journal.last_at_us()));
        let floor_ms = u64::try_from(clock.now().as_ms()).unwrap_or(0) + 1;
        let node = config.node();
        let ledger = Arc::<Ledger>::default();
        let teller = Arc::new(Teller {
            store: ledger.clone(),
            clock: clock.clone(),
            caller: deliver::caller(&config),
            keyring: keys.click.clone(),
            receipts: keys.receipt.clone(),
            node,
            schedule: deliver::schedule(&config),
        });
        let secrets = keys.secrets.clone();
        let app = Arc::new(Self {
            node,
            clock,
            journal: journal.clone(),
            store: ledger.clone(),
            ledger,
            deliveries: Arc::default(),
            wake_sender: Arc::default(),
            halted: Arc::default(),
            watch: Watch::default(),
            teller,
            trials: tokio::sync::Semaphore::new(TRIALS_MAX),
            live: Arc::new(Live::new(setup)),
            countries,
            keys,
            minter: Mutex::new(Minter::new(node, floor_ms)),
            ingest: Handle::new(journal, secrets),
            progress: Arc::default(),
            ring: Ring::default(),
            stage: tokio::sync::Semaphore::new(1),
            replays: tokio::sync::Mutex::default(),
            changes: tokio::sync::Mutex::default(),
            pauses: tokio::sync::Mutex::default(),
            metrics,
            config,
            address: OnceLock::new(),
        });
        Running::begin(app, ground, parts, next).await
    }
}

/// What visitors are redirected by until the ledger has applied everything before `next`: its own
/// setup, or the one that was last written, where that is newer.
fn newest(
    parts: &Parts,
    next: Position,
    data: &Path,
    (journal_id, secrets): ([u8; 16], &SecretsKey),
) -> Setup {
    let changed_at = |setup: &Setup| setup.in_force().map(|(since, _)| since).max();
    let written = (parts.applied < next).then(|| snapshot::read(data, journal_id, secrets).ok());
    let written = written.flatten();
    let newer = written.filter(|written| changed_at(written) > changed_at(&parts.setup));
    newer.unwrap_or_else(|| parts.setup.clone())
}

impl Running {
    async fn begin(
        app: Arc<App>,
        ground: Ground,
        parts: Option<Parts>,
        next: Position,
    ) -> anyhow::Result<Self> {
        let (ended, has_ended) = watch::channel(false);
        let engine = Arc::new(Engine::new(app.clone(), ground, ended, next));
        engine.skip_ids().await?;
        let task = match parts {
            Some(parts) => {
                engine.launch(parts)?;
                if engine.catch_up().await? {
                    engine.settle().await?;
                    None
                } else {
                    Some(tokio::spawn(engine.clone().settle_later()))
                }
            }
            None => Some(tokio::spawn(engine.clone().open_later())),
        };
        engine.watch();
        let writer = snapshot::Writer {
            data: app.config.data.clone(),
            journal_id: app.journal.id(),
            live: app.live.clone(),
        };
        let (write_last, is_last) = watch::channel(false);
        let writer = tokio::spawn(writer.run(is_last));
        Ok(Self { app, engine, task, writer, write_last, ended: has_ended })
    }

    /// Sends nothing more, once what is under way has ended.
    pub(crate) async fn end_sending(&self) {
        self.engine.end_sending().await;
    }

    /// Stops applying, after all that is on disk has been applied, and closes the store.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.engine.end_sending().await;
        self.engine.stop();
        if let Some(task) = self.task {
            _ = task.await;
        }
        let engine = self.engine;
        let applied = tokio::task::spawn_blocking(move || engine.join()).await?;
        _ = self.write_last.send(true);
        _ = self.writer.await;
        applied
    }
}
