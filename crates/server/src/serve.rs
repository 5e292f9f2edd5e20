//! `counterfoil serve`: from the first start to a graceful end.

use crate::app::{App, Running};
use crate::config::{Config, LogFormat};
use crate::http::{figures, serve::Front};
use anyhow::{Context, bail};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) fn run(config: Config) -> anyhow::Result<()> {
    log(&config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let served = Served::start(config).await?;
        served.greet()?;
        let result = served.until_stopped().await;
        let mut again = signal(SignalKind::interrupt())?;
        tokio::select! {
            stopped = served.stop() => stopped.and(result),
            _ = again.recv() => bail!("interrupted while stopping: the next start goes on from here"),
        }
    })
}

/// A server that answers.
pub(crate) struct Served {
    running: Running,
    front: Front,
}

impl Served {
    /// Opens the data directory, applies what is waiting, and begins to answer.
    pub(crate) async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = figures::install()?;
        let running = App::start(config, metrics).await?;
        let front = match Front::start(&running.app) {
            Ok(front) => front,
            Err(error) => {
                running.stop().await?;
                return Err(error).context("cannot listen");
            }
        };
        _ = running.app.address.set(front.address);
        Ok(Self { running, front })
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.running.app
    }

    /// Where it is, and on the first start the key, which is not stored and not shown again.
    fn greet(&self) -> anyhow::Result<()> {
        let app = self.app();
        remark!("Counterfoil {} serves {}", env!("CARGO_PKG_VERSION"), app.base_url());
        if app.config.external_url.is_some() {
            remark!("  listens: http://{}", self.front.address);
        }
        remark!("  data: {}", app.config.data.display());
        remark!("  metrics: http://{}/metrics", self.front.metrics_address);
        if let Some(key) = &app.keys.new_admin_key
            && remark!("  admin key, shown this once: {key}")
        {
            app.keys.admin_key_shown(&app.config.data)?;
        }
        if !app.ledger.is_open() {
            remark!(
                "  the ledger is closed: visitors are redirected by the setup as it was last \
                 written, and postbacks are kept until they can be decided"
            );
        }
        Ok(())
    }

    /// Until a signal says so, or applying has ended.
    pub(crate) async fn until_stopped(&self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut ended = self.running.ended.clone();
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            _ = ended.wait_for(|ended| *ended) => bail!("the server cannot go on: the log says why"),
        }
    }

    /// Finishes what is being answered and what is being sent, then what is journaled.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        tokio::join!(self.front.stop(), self.running.end_sending());
        self.running.stop().await
    }
}

/// Logs go to standard error, as text or as JSON.
pub(crate) fn log(config: &Config) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("log is no filter: `{}`", config.log))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
