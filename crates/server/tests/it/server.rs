//! A server under test: `counterfoil serve` as a process, on a data directory of its own.
//!
//! It ends when this is dropped, whatever became of the test. It listens where the system says,
//! so that any number of them run at once.

use crate::client::Client;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_counterfoil");
/// The API's key of every server under test.
pub(crate) const ADMIN_KEY: &str = "key-of-the-tests";
/// How long a server may take until it says where it is.
const GREETS_WITHIN: Duration = Duration::from_secs(90);
/// What stands before the address in the greeting.
const SERVES: &str = " serves http://";
/// The same, where it is known under an `https` address of its own.
const LISTENS: &str = " listens: http://";
/// What stands before the metrics' address in the greeting.
const METRICS: &str = "metrics: http://";

/// A server, running or stopped, and its data.
pub(crate) struct Server {
    dir: TempDir,
    settings: Vec<(String, String)>,
    running: Option<Process>,
}

struct Process {
    child: Child,
    address: SocketAddr,
    metrics: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts on an empty data directory.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts with settings besides its own, such as `("COUNTERFOIL_HEADER_TIMEOUT_S", "1")`.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let mut server = Self { dir, settings: settings.collect(), running: None };
        server.restart();
        server
    }

    /// Starts again on the same data, after [`Self::stop`] or [`Self::kill9`]. It may listen
    /// elsewhere than before: clients are to be made anew.
    pub(crate) fn restart(&mut self) {
        assert!(self.running.is_none(), "it is still running");
        let child = self.command(&["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        self.running = Some(Process::greeted(child.expect("the program starts")));
    }

    /// The program with these arguments, on this server's data.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("COUNTERFOIL_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            // So that no configuration of the directory the tests run in is taken for its own.
            .current_dir(self.dir.path())
            .env("COUNTERFOIL_DATA", self.data())
            .env("COUNTERFOIL_LISTEN", "127.0.0.1:0")
            .env("COUNTERFOIL_METRICS_LISTEN", "127.0.0.1:0")
            .env("COUNTERFOIL_ADMIN_KEY", ADMIN_KEY)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs another command of the program on this server's data, such as `["verify"]`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.process().address
    }

    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.process().metrics
    }

    /// A connection to it, with the API's key.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address())
    }

    /// What it has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.process().log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut process = self.running.take().expect("it is running");
        let asked = Command::new("kill").arg(process.child.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "it can be asked to end");
        process.child.wait().expect("a child can be waited for")
    }

    /// Ends it at once, in the middle of whatever it does, and waits until it is gone.
    pub(crate) fn kill9(&mut self) {
        let mut process = self.running.take().expect("it is running");
        process.kill();
    }

    fn process(&self) -> &Process {
        self.running.as_ref().expect("it is running")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.running.take() {
            if std::thread::panicking() {
                eprintln!(
                    "the server said:\n{}",
                    process.log.lock().unwrap_or_else(PoisonError::into_inner)
                );
            }
            process.kill();
        }
    }
}

impl Process {
    /// Waits until it has said where it is.
    fn greeted(mut child: Child) -> Self {
        let stderr = child.stderr.take().expect("standard error is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let (send, receive) = mpsc::channel();
        let copy = Arc::clone(&log);
        std::thread::spawn(move || listen(stderr, &copy, &send));
        let wait = || receive.recv_timeout(GREETS_WITHIN).ok();
        let (Some(address), Some(metrics)) = (wait(), wait()) else {
            _ = child.kill();
            _ = child.wait();
            panic!(
                "the server did not start: {}",
                log.lock().unwrap_or_else(PoisonError::into_inner)
            );
        };
        Self { child, address, metrics, log }
    }

    fn kill(&mut self) {
        _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }
}

/// Keeps what is said, and sends on the two addresses of the greeting.
fn listen(stderr: ChildStderr, log: &Mutex<String>, greeting: &Sender<SocketAddr>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let address = [SERVES, LISTENS, METRICS].iter().find_map(|before| line.split_once(before));
        if let Some((_, address)) = address {
            let address = address.trim_end_matches("/metrics");
            // Nobody listens any more once it has been greeted.
            _ = greeting.send(address.parse().expect("an address stands in the greeting"));
        }
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&line);
        log.push('\n');
    }
}
