//! What carries records from the journal into facts and ledger: its threads, from a ledger that
//! opens, sooner or later, to the end.

use crate::app::{App, Ground};
use crate::catalogue;
use crate::deliver::{self, Sender, Settling, Slots, Unsettled, Watch};
use crate::ingest::{Applier, SYSTEM, Unavailable};
use crate::keeper::{Keeper, SaysEnded};
use crate::open::{self, DELIVERIES, Failure, LEDGER, Parts, RESTORED};
use anyhow::{Context, anyhow, bail};
use domain::command::{Act, Command, Outcome};
use domain::id::Position;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use store::deliveries::Deliveries;
use tokio::sync::watch;

/// How often it is tried again to open a ledger or deliveries that did not open, or to finish a start.
const TRY_EVERY: Duration = Duration::from_secs(5);
/// How long attempts that are under way may take once the server stops: as long as requests that are
/// being answered.
const SENT_WITHIN: Duration = Duration::from_secs(10);
/// How long what they have led to may take to be written.
const SETTLED_WITHIN: Duration = Duration::from_secs(1);

pub(crate) struct Engine {
    app: Arc<App>,
    ground: Ground,
    /// The journal's next record when it was opened.
    next: Position,
    stop: watch::Sender<bool>,
    sending: Sending,
    ended: watch::Sender<bool>,
    threads: Mutex<Option<Threads>>,
}

/// What sends what is owed, once the deliveries are open.
struct Sending {
    stop: watch::Sender<bool>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

struct Threads {
    applier: JoinHandle<anyhow::Result<()>>,
    keepers: Vec<JoinHandle<()>>,
}

impl Sending {
    fn task(&self) -> MutexGuard<'_, Option<tokio::task::JoinHandle<()>>> {
        self.task.lock().expect("no panic happens under this lock")
    }
}

impl Engine {
    /// `ended` hears of it when records cannot be applied any more.
    pub(crate) fn new(
        app: Arc<App>,
        ground: Ground,
        ended: watch::Sender<bool>,
        next: Position,
    ) -> Self {
        let (stop, _) = watch::channel(false);
        let sending = Sending { stop: watch::Sender::new(false), task: Mutex::default() };
        Self { app, ground, next, stop, sending, ended, threads: Mutex::default() }
    }

    fn threads(&self) -> MutexGuard<'_, Option<Threads>> {
        self.threads.lock().expect("no panic happens under this lock")
    }

    /// After a restore ids are skipped before anything else is journaled.
    pub(crate) async fn skip_ids(&self) -> anyhow::Result<()> {
        let restored = self.app.config.data.join(RESTORED);
        if !restored.exists() {
            return Ok(());
        }
        let command = Command { actor: SYSTEM.to_owned(), idempotency: None, act: Act::SkipIds };
        let journaled = self.app.ingest.journal(command).await;
        journaled.map_err(|why| anyhow!("the restore cannot be journaled: {why:?}"))?;
        std::fs::remove_file(restored).context("cannot note that the restore is done")
    }

    /// Begins to apply what is journaled, and opens the ledger to requests.
    pub(crate) fn launch(self: &Arc<Self>, parts: Parts) -> anyhow::Result<()> {
        let Parts { facts, store, deliveries, setup, applied, from } = parts;
        let app = &self.app;
        let seen = (self.ground.seen)(store.clone());
        app.live.follow(setup, applied, app.journal.next());
        app.progress.begin(from);
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
        let keeper = Keeper {
            facts,
            store,
            deliveries: app.deliveries.clone(),
            journal: app.journal.clone(),
            clock: app.clock.clone(),
            config: app.config.clone(),
        };
        let stopped = self.stop.subscribe();
        let keepers = keeper.spawn(&stopped, &self.ended)?;
        let applier = spawn_applier(applier, stopped, self.ended.clone())?;
        *self.threads() = Some(Threads { applier, keepers });
        app.ledger.open(seen);
        match deliveries {
            Ok(deliveries) => self.deliver(deliveries),
            Err(error) => {
                app.watch.close(format!("{error:#}"), app.clock.now());
                tokio::spawn(self.clone().open_deliveries_later());
            }
        }
        Ok(())
    }

    /// Begins to send what is owed.
    fn deliver(&self, deliveries: Arc<dyn Deliveries>) {
        let app = &self.app;
        _ = app.deliveries.set(deliveries.clone());
        let trouble = app.watch.trouble.clone();
        let settling = Settling {
            deliveries: deliveries.clone(),
            clock: app.clock.clone(),
            trouble: trouble.clone(),
            rule: deliver::pause_rule(&app.config),
            unsettled: Unsettled::default(),
        };
        let sender = Arc::new(Sender {
            store: app.store.clone(),
            deliveries,
            live: app.live.clone(),
            clock: app.clock.clone(),
            progress: app.progress.clone(),
            begins_at: app.journal.next(),
            teller: app.teller.clone(),
            lease: deliver::lease(&app.config),
            settling,
            trouble,
            halted: app.halted.clone(),
            wake: app.wake_sender.clone(),
            slots: Mutex::new(Slots::new(app.config.outbound_concurrency)),
        });
        let task = tokio::spawn(sender.run(self.sending.stop.subscribe()));
        *self.sending.task() = Some(task);
    }

    /// Begins no attempt any more, and waits for those that are under way, though not for ever: of
    /// what was cut off nobody would know whether it has arrived, so it would be sent again.
    pub(crate) async fn end_sending(&self) {
        _ = self.sending.stop.send_replace(true);
        let task = self.sending.task().take();
        let Some(mut task) = task else { return };
        let longest = Duration::from_millis(self.app.config.outbound_timeout_ms) + SETTLED_WITHIN;
        let ended = tokio::time::timeout(longest.min(SENT_WITHIN), &mut task).await;
        if ended.is_err() {
            task.abort();
            tracing::warn!("attempts are still under way: the next start makes them again");
        }
    }

    /// Looks after the deliveries, once there are any, and after the country database.
    pub(crate) fn watch(&self) {
        tokio::spawn(Watch::run(self.app.clone(), self.stop.subscribe()));
        tokio::spawn(self.app.countries.clone().run(self.stop.subscribe()));
    }

    /// Tries to open the deliveries until they open: nobody else waits for them.
    async fn open_deliveries_later(self: Arc<Self>) {
        let app = &self.app;
        let mut stopped = self.stop.subscribe();
        while tokio::time::timeout(TRY_EVERY, stopped.wait_for(|stopped| *stopped)).await.is_err() {
            let engine = self.clone();
            let Ok(opened) = tokio::task::spawn_blocking(move || engine.open_deliveries()).await
            else {
                return;
            };
            match opened {
                Ok(deliveries) => {
                    self.deliver(deliveries);
                    app.watch.trouble.wake.notify_one();
                    return;
                }
                Err(error) => app.watch.close(format!("{error:#}"), app.clock.now()),
            }
        }
    }

    fn open_deliveries(&self) -> anyhow::Result<Arc<dyn Deliveries>> {
        let app = &self.app;
        let data = &app.config.data;
        if !data.join(DELIVERIES).exists() {
            // As with the ledger: it may be on its way.
            bail!("{DELIVERIES} is not there; the next start makes a new one");
        }
        Ok(open::deliveries(data, &app.journal, self.next)?)
    }

    /// Waits until everything that was journaled before is applied; `false` where it has to wait
    /// for the ledger.
    pub(crate) async fn catch_up(&self) -> anyhow::Result<bool> {
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

    /// What every start does last: what is new in this release's catalogue is loaded.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let loads = {
            let setup = self.app.live.setup();
            catalogue::loads(&setup, catalogue::partners())
        };
        for partners in loads {
            let key = crate::http::api::draw::key();
            let act = Act::LoadCatalogue { partners, key };
            let command = Command { actor: SYSTEM.to_owned(), idempotency: None, act };
            match self.app.ingest.command(command).await {
                // What is late is journaled.
                Ok(Outcome::Done(_)) | Err(Unavailable::Late) => {}
                Ok(Outcome::Failed(failure)) => bail!("the catalogue: {}", failure.detail),
                Err(why) => bail!("the catalogue cannot be journaled: {why:?}"),
            }
        }
        Ok(())
    }

    /// The same, once the ledger takes what it is given.
    pub(crate) async fn settle_later(self: Arc<Self>) {
        let settled = async {
            self.app.progress.reaches(self.app.journal.next()).await;
            while let Err(error) = self.settle().await {
                tracing::error!(error = format!("{error:#}"), "the start is not finished yet");
                tokio::time::sleep(TRY_EVERY).await;
            }
        };
        let mut stopped = self.stop.subscribe();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = settled => {}
        }
    }

    /// Tries to open the ledger until it opens.
    pub(crate) async fn open_later(self: Arc<Self>) {
        let mut stopped = self.stop.subscribe();
        let mut said = String::new();
        while tokio::time::timeout(TRY_EVERY, stopped.wait_for(|stopped| *stopped)).await.is_err() {
            let engine = self.clone();
            let runtime = tokio::runtime::Handle::current();
            // Opening reads files, which requests do not wait for.
            let open = tokio::task::spawn_blocking(move || runtime.block_on(engine.open()));
            let Ok(opened) = open.await else { return };
            let error = match opened {
                Ok(()) => {
                    tracing::info!("the ledger is open: what was journaled meanwhile is applied");
                    return self.settle_later().await;
                }
                Err(Failure::Refused(error)) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "the ledger must not be opened");
                    _ = self.ended.send(true);
                    return;
                }
                Err(Failure::Closed(error)) => format!("{error:#}"),
            };
            if error != said {
                tracing::error!(error, "the ledger is still closed");
                said = error;
            }
        }
    }

    async fn open(self: &Arc<Self>) -> Result<(), Failure> {
        let app = &self.app;
        let data = &app.config.data;
        if !data.join(LEDGER).exists() {
            // It may be on its way; who wants a new one starts anew.
            return Err(Failure::Closed(anyhow!("{LEDGER} is not there")));
        }
        let disk = self.ground.disk.clone();
        let parts = open::parts(disk, data, &app.journal, self.next, &app.keys).await?;
        self.launch(parts).map_err(Failure::Refused)
    }

    /// Applying ends once all that is on disk has been applied.
    pub(crate) fn stop(&self) {
        _ = self.stop.send(true);
    }

    /// Waits until it has.
    pub(crate) fn join(&self) -> anyhow::Result<()> {
        let Some(Threads { applier, keepers }) = self.threads().take() else { return Ok(()) };
        let applied = applier.join();
        for keeper in keepers {
            _ = keeper.join();
        }
        applied.unwrap_or_else(|_| bail!("applying has panicked"))
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
