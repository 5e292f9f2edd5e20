//! Builds everything once, in the order in which it depends on each other, and stops it in the
//! opposite one.
//!
//! A ledger that does not open keeps nobody from being redirected: the server then comes up with
//! the setup as it was last written, journals what it is sent, and opens the ledger when it can.

use crate::catalogue;
use crate::clock::Clock;
use crate::config::{Config, Secret, WhenDiskFails};
use crate::http::ring::Ring;
use crate::ingest::{Applier, Handle, Progress, SYSTEM};
use crate::keeper::{Keeper, SaysEnded};
use crate::keys::{Keys, Missing};
use crate::ledger::Ledger;
use crate::live::Live;
use crate::open::{self, FIRST, Failure, LEDGER, Parts, RESTORED};
use crate::snapshot;
use anyhow::{Context, bail};
use domain::click_id::Minter;
use domain::command::{Act, Command, Outcome};
use domain::id::NodeId;
use domain::time::Timestamp;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Store;
use store::disk::{Disk, RealDisk};
use store::journal::Journal;
use tokio::sync::watch;

/// How often it is tried again to open a ledger that did not open.
const OPEN_EVERY: Duration = Duration::from_secs(5);

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
    pub(crate) live: Arc<Live>,
    pub(crate) keys: Keys,
    pub(crate) minter: Mutex<Minter>,
    pub(crate) ingest: Handle,
    pub(crate) progress: Arc<Progress>,
    pub(crate) ring: Ring,
    pub(crate) metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// Where it listens, once it does: the configured port may be 0.
    pub(crate) address: OnceLock<SocketAddr>,
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
    /// Writes the setup's snapshot; opens the ledger where it was not opened.
    tasks: Vec<tokio::task::JoinHandle<()>>,
    /// Becomes true when applying or keeping has ended, for whatever reason.
    pub(crate) ended: watch::Receiver<bool>,
}

/// The threads that carry records from the journal into facts and ledger.
struct Engine {
    app: Arc<App>,
    ground: Ground,
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    applier: JoinHandle<anyhow::Result<()>>,
    keepers: Vec<JoinHandle<()>>,
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
        open::data_dir(&*disk, &data)?;
        let clock = Arc::new(Clock::default());
        let is_restored = data.join(RESTORED).exists();
        let journal = open::journal(&disk, &config, &clock, is_restored)?;
        let is_new = journal.next() <= FIRST && !data.join(LEDGER).exists();
        let missing = if is_new { Missing::MakeAll } else { Missing::MakeAdmin };
        let keys = Keys::open(&data, config.admin_key.as_ref().map(Secret::expose), missing)?;
        let opened = open::parts(disk, &data, &journal, &keys).await;
        let (setup, parts) = match opened {
            Ok(parts) => (parts.store.setup().await?, Some(parts)),
            Err(Failure::Closed(error)) if config.when_disk_fails == WhenDiskFails::Redirect => {
                let error = format!("{error:#}");
                tracing::error!(error, "the ledger is closed: visitors are redirected only");
                let setup = snapshot::read(&data, journal.id()).context(error)?;
                (setup, None)
            }
            Err(failure) => return Err(failure.into_error()),
        };
        clock.not_before(Timestamp::from_us(journal.last_at_us()));
        let floor_ms = u64::try_from(clock.now().as_ms()).unwrap_or(0) + 1;
        let node = config.node();
        let ledger = Arc::<Ledger>::default();
        let app = Arc::new(Self {
            node,
            clock,
            journal: journal.clone(),
            store: ledger.clone(),
            ledger,
            live: Arc::new(Live::new(setup)),
            keys,
            minter: Mutex::new(Minter::new(node, floor_ms)),
            ingest: Handle::new(journal),
            progress: Arc::default(),
            ring: Ring::default(),
            metrics,
            config,
            address: OnceLock::new(),
        });
        Running::begin(app, ground, parts).await
    }
}

impl Running {
    async fn begin(app: Arc<App>, ground: Ground, parts: Option<Parts>) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (ended, has_ended) = watch::channel(false);
        let engine = Engine { app: app.clone(), ground, stop, ended, threads: Mutex::default() };
        let engine = Arc::new(engine);
        let writer = snapshot::Writer {
            data: app.config.data.clone(),
            journal_id: app.journal.id(),
            live: app.live.clone(),
            ledger: app.ledger.clone(),
        };
        let mut tasks = vec![tokio::spawn(writer.run(stopped))];
        match parts {
            Some(parts) => {
                engine.launch(parts)?;
                if engine.catch_up().await? {
                    engine.settle().await?;
                } else {
                    tasks.push(tokio::spawn(engine.clone().settle_later()));
                }
            }
            None => tasks.push(tokio::spawn(engine.clone().open_later())),
        }
        Ok(Self { app, engine, tasks, ended: has_ended })
    }

    /// Stops applying, after all that is on disk has been applied, and closes the store.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        _ = self.engine.stop.send(true);
        for task in self.tasks {
            _ = task.await;
        }
        let threads = self.engine.threads().take();
        let Some(Threads { applier, keepers }) = threads else { return Ok(()) };
        let join = move || {
            let applied = applier.join();
            for keeper in keepers {
                _ = keeper.join();
            }
            applied.unwrap_or_else(|_| bail!("applying has panicked"))
        };
        tokio::task::spawn_blocking(join).await?
    }
}

impl Engine {
    fn threads(&self) -> std::sync::MutexGuard<'_, Option<Threads>> {
        self.threads.lock().expect("no panic happens under this lock")
    }

    /// Opens the ledger to requests and begins to apply what is journaled.
    fn launch(&self, parts: Parts) -> anyhow::Result<()> {
        let Parts { facts, store, from } = parts;
        let app = &self.app;
        let seen = (self.ground.seen)(store.clone());
        let applier = Applier {
            journal: app.journal.clone(),
            store: seen.clone(),
            live: app.live.clone(),
            clock: app.clock.clone(),
            handle: app.ingest.clone(),
            progress: app.progress.clone(),
            receipt: app.keys.receipt.clone(),
            node: app.node,
            quarantined: Vec::new(),
            from,
        };
        let stopped = self.stop.subscribe();
        let keeper = Keeper {
            facts,
            store,
            journal: app.journal.clone(),
            clock: app.clock.clone(),
            config: app.config.clone(),
        };
        let keepers = keeper.spawn(&stopped, &self.ended)?;
        app.progress.begin(from);
        let applier = spawn_applier(applier, stopped, self.ended.clone())?;
        *self.threads() = Some(Threads { applier, keepers });
        app.ledger.open(seen);
        Ok(())
    }

    /// Waits until everything that was journaled before is applied; `false` where it has to wait
    /// for the ledger.
    async fn catch_up(&self) -> anyhow::Result<bool> {
        let position = self.app.journal.next();
        let mut ended = self.ended.subscribe();
        tokio::select! {
            () = self.app.progress.reaches(position) => Ok(true),
            () = self.app.progress.waits() => Ok(false),
            _ = ended.wait_for(|ended| *ended) => {
                bail!("the journal could not be applied: the log says why")
            }
        }
    }

    /// What every start does: after a restore the skipped ids, and this release's catalogue.
    async fn settle(&self) -> anyhow::Result<()> {
        let restored = self.app.config.data.join(RESTORED);
        if restored.exists() {
            self.command(Act::SkipIds).await?;
            std::fs::remove_file(restored).context("cannot note that the restore is done")?;
        }
        let partners = catalogue::partners();
        let is_known = {
            let setup = self.app.live.setup();
            partners.iter().all(|partner| setup.partner(&partner.name) == Some(partner))
                && setup.integrations_of(domain::contract::Scope::Global).next().is_some()
        };
        if !is_known {
            let key = crate::http::api::draw::key();
            self.command(Act::LoadCatalogue { partners, key }).await?;
        }
        Ok(())
    }

    /// The same, once the ledger takes what it is given.
    async fn settle_later(self: Arc<Self>) {
        let mut stopped = self.stop.subscribe();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            settled = self.settle_once_applied() => if let Err(error) = settled {
                tracing::error!(error = format!("{error:#}"), "the start could not be finished");
            },
        }
    }

    async fn settle_once_applied(&self) -> anyhow::Result<()> {
        self.app.progress.reaches(self.app.journal.next()).await;
        self.settle().await
    }

    /// Tries to open the ledger until it opens.
    async fn open_later(self: Arc<Self>) {
        let mut stopped = self.stop.subscribe();
        let mut said = String::new();
        while tokio::time::timeout(OPEN_EVERY, stopped.wait_for(|stopped| *stopped)).await.is_err()
        {
            let error = match self.open().await {
                Ok(()) => {
                    tracing::info!("the ledger is open: what was journaled meanwhile is applied");
                    return self.settle_later().await;
                }
                Err(error) => format!("{error:#}"),
            };
            if error != said {
                tracing::error!(error, "the ledger is still closed");
                said = error;
            }
        }
    }

    async fn open(&self) -> anyhow::Result<()> {
        let app = &self.app;
        let parts =
            open::parts(self.ground.disk.clone(), &app.config.data, &app.journal, &app.keys);
        let parts = parts.await.map_err(Failure::into_error)?;
        app.live.replace(parts.store.setup().await?);
        self.launch(parts)
    }

    async fn command(&self, act: Act) -> anyhow::Result<()> {
        let name = act.name();
        let command = Command { actor: SYSTEM.to_owned(), idempotency: None, act };
        match self.app.ingest.command(command).await {
            Ok(Outcome::Done(_)) => Ok(()),
            Ok(Outcome::Failed(failure)) => bail!("{name}: {}", failure.detail),
            Err(unavailable) => bail!("{name}: the journal does not take it: {unavailable:?}"),
        }
    }
}

fn spawn_applier(
    applier: Applier,
    stopped: watch::Receiver<bool>,
    ended: watch::Sender<bool>,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let run = move || {
        let _ended = SaysEnded(ended);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let result = runtime.block_on(applier.run(stopped));
        if let Err(error) = &result {
            tracing::error!(error = format!("{error:#}"), "applying has ended");
        }
        result
    };
    std::thread::Builder::new()
        .name("applier".to_owned())
        .spawn(run)
        .context("no thread to apply records")
}
