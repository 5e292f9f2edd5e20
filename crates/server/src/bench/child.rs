//! Processes that are measured: this program's own server, and what it is compared with.
//!
//! They end with whoever started them: when this is dropped, by SIGTERM, and by SIGKILL if that
//! does not help in time.

use crate::client::Connection;
use anyhow::{Context, bail};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const START_WITHIN: Duration = Duration::from_secs(300);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long a process may take to end by itself.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// The environment that is kept from the server under test: it is to run on its defaults.
const SETTINGS: &str = "COUNTERFOIL_";
/// The API's key of servers under test. They listen on the loopback alone, and not for long.
pub(crate) const ADMIN_KEY: &str = "bench";

/// A process that was started for a measurement.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    pub(crate) fn start(name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `is_ready`, unless the process ends before.
    pub(crate) fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        let from = Instant::now();
        while !is_ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} has ended before it was ready: {status}", self.name);
            }
            if from.elapsed() > START_WITHIN {
                bail!("{} was not ready within {} s", self.name, START_WITHIN.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Ends it and waits until it is gone.
    pub(crate) fn stop(&mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let from = Instant::now();
        while asked.as_ref().is_ok_and(std::process::ExitStatus::success)
            && from.elapsed() < STOP_WITHIN
        {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(LOOK_EVERY),
                _ => return,
            }
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}

/// `counterfoil serve` on some data directory.
pub(crate) struct Server {
    process: Process,
    pub(crate) address: SocketAddr,
    /// From its start until it was ready.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts this very program on `data`, and waits until it is ready.
    pub(crate) fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_with(data, &[])
    }

    /// The same with settings that are not the defaults, as environment variables.
    pub(crate) fn start_with(data: &Path, others: &[(&str, String)]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let (address, metrics) = (free_address()?, free_address()?);
        let settings = std::env::vars_os().map(|(name, _)| name);
        let settings = settings.filter(|name| name.to_string_lossy().starts_with(SETTINGS));
        let mut command = Command::new(program);
        for name in settings {
            command.env_remove(name);
        }
        let data = data.canonicalize().with_context(|| format!("no {}", data.display()))?;
        command
            .arg("serve")
            // So that no configuration of this directory is taken for its own.
            .current_dir(&data)
            .env("COUNTERFOIL_DATA", &data)
            .env("COUNTERFOIL_LISTEN", address.to_string())
            .env("COUNTERFOIL_METRICS_LISTEN", metrics.to_string())
            .env("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY)
            .env("COUNTERFOIL_LOG", "warn")
            .envs(others.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let from = Instant::now();
        let mut process = Process::start("the server", &mut command)?;
        pass_on_errors(&mut process);
        process.wait_until(|| is_ready(address))?;
        Ok(Self { process, address, started_in: from.elapsed() })
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        super::machine::resident_bytes(self.process.id()).unwrap_or(0)
    }

    /// Gracefully: what is queued is written.
    pub(crate) fn stop(mut self) {
        self.process.stop();
    }
}

/// What the server complains about is shown; its greeting is not.
fn pass_on_errors(process: &mut Process) {
    use std::io::{BufRead, BufReader};
    let Some(stderr) = process.child.stderr.take() else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if ["WARN", "ERROR", "error", "panicked"].iter().any(|word| line.contains(word)) {
                remark!("server: {line}");
            }
        }
    });
}

fn is_ready(address: SocketAddr) -> bool {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
        return false;
    };
    runtime.block_on(async {
        let Ok(mut connection) = Connection::open(address).await else { return false };
        let answer = connection.exchange(b"GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n").await;
        answer.is_ok_and(|answer| answer.status == 200)
    })
}

/// A loopback port that nobody listens on now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}

/// Whether somebody listens there.
pub(crate) fn is_listening(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

/// A program on the search path or in one of the other directories, where system programs are.
pub(crate) fn find_program(name: &str, more: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = more.iter().cloned().chain(std::env::split_paths(&path)).collect();
    dirs.into_iter().map(|dir| dir.join(name)).find(|program| program.is_file())
}
