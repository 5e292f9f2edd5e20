//! Builds everything once, in the order in which it depends on each other, and stops it in the
//! opposite one.

use crate::catalogue;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::ring::Ring;
use crate::ingest::{Applier, Handle, Progress, SYSTEM};
use crate::keeper::Keeper;
use crate::keys::{self, Keys};
use crate::live::Live;
use anyhow::{Context, bail};
use domain::click_id::Minter;
use domain::command::{Act, Command, Outcome};
use domain::id::{NodeId, Position};
use domain::time::Timestamp;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use store::Store;
use store::disk::{Disk, RealDisk};
use store::facts::Facts;
use store::journal::{self, Ballast, Journal};
use store::records::JournalRecords;
use store::sqlite::{self, SqliteStore};
use tokio::sync::watch;

/// The journal's folder in the data directory.
pub(crate) const JOURNAL: &str = "journal";
/// The facts' folder.
pub(crate) const FACTS: &str = "facts";
/// The ledger's file.
pub(crate) const LEDGER: &str = "ledger.db";
/// A file that is given up when the disk is full, so that there is room to recover.
const BALLAST: &str = "ballast";
/// Says that the data directory was restored, and that ids have to be skipped.
pub(crate) const RESTORED: &str = "restored";

/// Everything that requests need.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) node: NodeId,
    pub(crate) clock: Arc<Clock>,
    pub(crate) journal: Arc<Journal>,
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

/// What runs beside the requests.
pub(crate) struct Running {
    pub(crate) app: Arc<App>,
    stop: watch::Sender<bool>,
    applier: std::thread::JoinHandle<anyhow::Result<()>>,
    keepers: Vec<std::thread::JoinHandle<()>>,
    /// Becomes true when applying has ended, for whatever reason.
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
    /// every record that was journaled before is applied.
    pub(crate) async fn start(
        config: Config,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> anyhow::Result<Running> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let data = config.data.clone();
        make_data_dir(&*disk, &data)?;
        let clock = Arc::new(Clock::default());
        let is_restored = data.join(RESTORED).exists();
        let journal = open_journal(&disk, &config, &clock, is_restored)?;
        let admin_key = config.admin_key.as_ref().map(crate::config::Secret::expose);
        let keys = Keys::open(&data, admin_key, true)?;
        let (facts, store) = open_store(disk, &data, &journal, &keys).await?;
        let position = store.position().await?;
        let live = Arc::new(Live::new(store.setup().await?));
        let last_at = Timestamp::from_us(journal.last_at_us());
        clock.not_before(last_at);
        let floor_ms = u64::try_from(clock.now().as_ms()).unwrap_or(0) + 1;
        let node = config.node();
        let ingest = Handle::new(journal.clone());
        let app = Arc::new(Self {
            node,
            clock: clock.clone(),
            journal: journal.clone(),
            store: store.clone(),
            live: live.clone(),
            keys,
            minter: Mutex::new(Minter::new(node, floor_ms)),
            ingest: ingest.clone(),
            progress: Arc::default(),
            ring: Ring::default(),
            metrics,
            config,
            address: OnceLock::new(),
        });
        let (stop, stopped) = watch::channel(false);
        let applier = Applier {
            journal: journal.clone(),
            store: store.clone(),
            live,
            clock: clock.clone(),
            handle: ingest,
            progress: app.progress.clone(),
            quarantined: Vec::new(),
            from: position.min(facts.sealed()).max(journal.oldest()),
        };
        let (ended_sender, ended) = watch::channel(false);
        let applier = spawn_applier(applier, stopped.clone(), ended_sender)?;
        let keeper =
            Keeper { facts, store, journal: journal.clone(), clock, config: app.config.clone() };
        let keepers = keeper.spawn(&stopped)?;
        let running = Running { app, stop, applier, keepers, ended };
        running.catch_up(journal.next()).await?;
        running.begin(is_restored).await?;
        Ok(running)
    }
}

impl Running {
    /// Waits until everything before `position` is applied.
    async fn catch_up(&self, position: Position) -> anyhow::Result<()> {
        const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(2);
        while self.app.progress.position() < position {
            if *self.ended.borrow() {
                bail!("the journal could not be applied: the log says why");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// What every start does: this release's catalogue, and after a restore the skipped ids.
    async fn begin(&self, is_restored: bool) -> anyhow::Result<()> {
        if is_restored {
            self.command(Act::SkipIds).await?;
            std::fs::remove_file(self.app.config.data.join(RESTORED))
                .context("cannot note that the restore is done")?;
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

    async fn command(&self, act: Act) -> anyhow::Result<()> {
        let name = act.name();
        let command = Command { actor: SYSTEM.to_owned(), idempotency: None, act };
        match self.app.ingest.command(command).await {
            Ok(Outcome::Done(_)) => Ok(()),
            Ok(Outcome::Failed(failure)) => bail!("{name}: {}", failure.detail),
            Err(unavailable) => bail!("{name}: the journal does not take it: {unavailable:?}"),
        }
    }

    /// Stops applying, after all that is on disk has been applied, and closes the store.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        _ = self.stop.send(true);
        let applied = self.applier.join();
        for keeper in self.keepers {
            _ = keeper.join();
        }
        match applied {
            Ok(result) => result,
            Err(_) => bail!("applying has panicked"),
        }
    }
}

fn make_data_dir(disk: &dyn Disk, data: &Path) -> anyhow::Result<()> {
    disk.create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(data, mode)
        .with_context(|| format!("cannot keep {} to its owner", data.display()))
}

fn open_journal(
    disk: &Arc<dyn Disk>,
    config: &Config,
    clock: &Arc<Clock>,
    is_restored: bool,
) -> anyhow::Result<Arc<Journal>> {
    let dir = config.data.join(JOURNAL);
    let ballast = Arc::new(Ballast::open(disk.clone(), config.data.join(BALLAST)));
    let node = config.node();
    let mut options = journal::Options::new(node, domain::record::RULES, keys::random());
    options.skip = if is_restored { journal::RESTORE_SKIP } else { 0 };
    options.ballast = Some(ballast);
    let clock = clock.clone();
    let now = Arc::new(move || clock.now().as_us());
    let journal = Journal::open(disk.clone(), &dir, options, now)
        .with_context(|| format!("the journal in {} does not open", dir.display()))?;
    Ok(Arc::new(journal))
}

/// Facts and ledger, which is never ahead of its journal.
async fn open_store(
    disk: Arc<dyn Disk>,
    data: &Path,
    journal: &Arc<Journal>,
    keys: &Keys,
) -> anyhow::Result<(Arc<Facts>, Arc<SqliteStore>)> {
    let records = Arc::new(JournalRecords(journal.clone()));
    let facts = Facts::open(disk, &data.join(FACTS), records).context("the facts do not open")?;
    let facts = Arc::new(facts);
    let options = sqlite::Options {
        journal_id: journal.id(),
        keyring: keys.click.clone(),
        decide: domain::ledger::decide,
    };
    let store = SqliteStore::open(&data.join(LEDGER), facts.clone(), options)
        .context("the ledger does not open")?;
    let position = store.position().await?;
    if position > journal.next() {
        bail!(
            "the ledger is at record {position} and its journal ends before {}: a part of the \
             journal is missing",
            journal.next()
        );
    }
    Ok((facts, Arc::new(store)))
}

fn spawn_applier(
    applier: Applier,
    stopped: watch::Receiver<bool>,
    ended: watch::Sender<bool>,
) -> anyhow::Result<std::thread::JoinHandle<anyhow::Result<()>>> {
    std::thread::Builder::new()
        .name("applier".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let result = runtime.block_on(applier.run(stopped));
            if let Err(error) = &result {
                tracing::error!(error = format!("{error:#}"), "applying has ended");
            }
            _ = ended.send(true);
            result
        })
        .context("no thread to apply records")
}
