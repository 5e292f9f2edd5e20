//! A disk in memory that forgets what was not synced: the test double for whatever uses [`Disk`].
//!
//! It holds each file twice, as the kernel shows it and as it is on the platter, and each folder's
//! names likewise; only a sync moves something from the one to the other. Every operation that
//! changes something has a number, from 1, so a test can run its workload once for each number,
//! let the disk fail or the machine stop there, and look at what [`FaultDisk::after_crash`] leaves.
//!
//! ```
//! # use std::path::Path;
//! # use store::disk::{Disk, fault::{Crash, Fault, FaultDisk}};
//! let disk = FaultDisk::new();
//! disk.fail(3, Fault::Crash); // 1 makes the file, 2 writes, 3 syncs
//! let file = disk.create(Path::new("a"))?;
//! file.write_all_at(b"hello", 0)?;
//! assert!(file.sync().is_err() && disk.is_crashed());
//! let left = disk.after_crash(7, Crash::Dropped);
//! assert!(left.open(Path::new("a")).is_err(), "neither its bytes nor its name were synced");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::platter::{Change, Dir, DirChange, Node};
use super::{Disk, File, Lock};

mod platter;
#[cfg(test)]
mod tests;

pub use self::platter::{Random, SECTOR_BYTES};

/// How long [`Held::reached`] waits before it calls the test failed.
const HELD_DEADLINE: Duration = Duration::from_secs(30);
/// How many operations [`FaultDisk::trace`] shows.
const TRACE_MAX: usize = 60;

/// How a workload ends, and so what is left of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Power is lost, and nothing unsynced has reached the disk: neither bytes nor names.
    Dropped,
    /// Power is lost, and any part has: each sector as it was after any of the unsynced writes to
    /// it, each length likewise, and of each folder's unsynced changes the first few.
    Torn,
    /// The process alone dies: the kernel keeps all that was written, synced or not. What a failed
    /// sync has lost is still shown, and still not on the disk.
    Kept,
}

/// What happens at one operation.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is begun, and everything fails from here on. See [`FaultDisk::after_crash`].
    Crash,
    /// It fails and has no effect; except that a failed sync of a file writes every other sector
    /// and forgets, as kernels do, that the rest was never written: no later sync makes up for it.
    /// Of names nothing is forgotten: a file system that cannot write those lets no sync succeed.
    Error(io::ErrorKind),
    /// A write has written this many of its bytes when it fails; others as `Error`.
    Short(usize, io::ErrorKind),
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct FaultDisk {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<u64, Node>,
    dirs: BTreeMap<PathBuf, Dir>,
    locks: Vec<PathBuf>,
    plan: Vec<(When, Fault)>,
    /// The file name ending whose syncs wait, and how many wait.
    held: Option<String>,
    waiting: usize,
    capacity: Option<u64>,
    crashed: bool,
    trace: Vec<(&'static str, PathBuf)>,
    node_next: u64,
}

enum When {
    Operation(u64),
    Next(&'static str, String),
}

impl Default for FaultDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultDisk {
    /// An empty disk: there is the folder of paths without one, and nothing in it.
    pub fn new() -> Self {
        let dirs = BTreeMap::from([(PathBuf::new(), Dir::default())]);
        Self::of(State { dirs, ..State::default() })
    }

    /// How many operations there were. The next one has this number plus one.
    pub fn operations(&self) -> u64 {
        self.state().trace.len() as u64
    }

    /// Plans `fault` for the operation of this number.
    pub fn fail(&self, operation: u64, fault: Fault) {
        self.state().plan.push((When::Operation(operation), fault));
    }

    /// Plans `fault` for the next sync of a file whose name ends so.
    pub fn fail_sync(&self, ending: &str, fault: Fault) {
        self.state().plan.push((When::Next("sync", ending.to_owned()), fault));
    }

    /// Plans `fault` for the next write to a file whose name ends so.
    pub fn fail_write(&self, ending: &str, fault: Fault) {
        self.state().plan.push((When::Next("write", ending.to_owned()), fault));
    }

    /// Lets all files together be no longer than this; a write beyond writes what fits, and fails
    /// with [`io::ErrorKind::StorageFull`].
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// How long all files are together.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Lets syncs of files whose names end so wait until the answer is dropped.
    pub fn hold_syncs(&self, ending: &str) -> Held {
        self.state().held = Some(ending.to_owned());
        Held { disk: self.clone() }
    }

    /// Whether a planned crash has happened.
    pub fn is_crashed(&self) -> bool {
        self.state().crashed
    }

    /// The disk as the next process may find it if all stops now, or where it has stopped.
    /// The same seed tears the same state the same way. This disk is left as it is.
    #[must_use]
    pub fn after_crash(&self, seed: u64, crash: Crash) -> FaultDisk {
        let state = self.state();
        let mut random = Random(seed);
        let dirs: BTreeMap<PathBuf, Dir> = state
            .dirs
            .iter()
            .map(|(path, dir)| (path.clone(), dir.after(crash, &mut random)))
            .collect();
        let named = |node: u64| {
            dirs.values().any(|dir| dir.now.values().chain(dir.kept.values()).any(|it| *it == node))
        };
        let nodes = state.nodes.iter().filter(|(number, _)| named(**number));
        let mut nodes: BTreeMap<u64, Node> =
            nodes.map(|(number, node)| (*number, node.after(crash, &mut random))).collect();
        for (path, dir) in &dirs {
            for (name, number) in &dir.now {
                if let Some(node) = nodes.get_mut(number) {
                    node.path = path.join(name);
                }
            }
        }
        let node_next = state.node_next;
        let left = State { nodes, dirs, node_next, ..State::default() };
        Self::of(left)
    }

    /// The last operations, one a line, for a failing test's message.
    pub fn trace(&self) -> String {
        let state = self.state();
        let mut text = String::new();
        for (number, (what, path)) in state.trace.iter().enumerate() {
            if number + TRACE_MAX >= state.trace.len() {
                _ = writeln!(text, "{:5} {what} {}", number + 1, path.display());
            }
        }
        text
    }

    /// The bytes of a file as the kernel shows them.
    pub fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        Ok(state.nodes[&state.find(path)?].now.clone())
    }

    /// Changes a file behind everybody's back, on the platter too: rot, or an operator's hand.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state();
        let number = state.find(path)?;
        let node = state.node(number);
        change(&mut node.now);
        node.kept = node.now.clone();
        node.unsynced.clear();
        Ok(())
    }

    fn of(state: State) -> Self {
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed: Condvar::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, node: u64, writable: bool) -> Box<dyn File> {
        Box::new(FaultFile { disk: self.clone(), node, writable })
    }
}

impl Disk for FaultDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        let fault = state.begin("create", path)?;
        let number = match state.find(path) {
            Ok(number) => number,
            Err(_) if state.dirs.contains_key(parent(path)) => state.node_next,
            Err(error) => return Err(error),
        };
        if !matches!(fault, Some(Fault::Error(_) | Fault::Short(..))) {
            if number == state.node_next {
                state.node_next += 1;
                let node = Node { path: path.to_owned(), ..Node::default() };
                state.nodes.insert(number, node);
                state.dir(path)?.change(DirChange::Put(name(path)?, number));
            } else {
                state.node(number).change(Change::Len(0));
            }
        }
        state.end(fault)?;
        Ok(self.file(number, true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(self.state().find(path)?, true))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(self.state().find(path)?, false))
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let mut state = self.state();
        state.alive()?;
        if state.locks.iter().any(|locked| locked == path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locks.push(path.to_owned());
        Ok(Lock { _held: Box::new(FaultLock { disk: self.clone(), path: path.to_owned() }) })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.alive()?;
        let files = state.dirs.get(dir).ok_or(io::ErrorKind::NotFound)?.now.keys().cloned();
        let dirs = state.dirs.keys().filter(|path| path.parent() == Some(dir));
        Ok(files.chain(dirs.filter_map(|path| name(path).ok())).collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.dirs.contains_key(dir) {
            return state.alive();
        }
        let fault = state.begin("create_dir", dir)?;
        if fault.is_none() {
            for path in dir.ancestors() {
                state.dirs.entry(path.to_owned()).or_default();
            }
        }
        state.end(fault)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin("rename", from)?;
        if parent(from) != parent(to) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "renames stay in one folder"));
        }
        let number = state.find(from)?;
        if !matches!(fault, Some(Fault::Error(_) | Fault::Short(..))) {
            state.dir(from)?.change(DirChange::Rename(name(from)?, name(to)?));
            to.clone_into(&mut state.node(number).path);
        }
        state.end(fault)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin("remove", path)?;
        state.find(path)?;
        if !matches!(fault, Some(Fault::Error(_) | Fault::Short(..))) {
            state.dir(path)?.change(DirChange::Remove(name(path)?));
        }
        state.end(fault)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin("sync_dir", dir)?;
        let dir = state.dirs.get_mut(dir).ok_or(io::ErrorKind::NotFound)?;
        if fault.is_none() {
            dir.sync();
        }
        state.end(fault)
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let state = self.state();
        state.alive()?;
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

struct FaultFile {
    disk: FaultDisk,
    node: u64,
    writable: bool,
}

impl FaultFile {
    /// Begins a change of this file.
    fn begin(&self, what: &'static str) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let mut state = self.disk.state();
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let path = state.node(self.node).path.clone();
        let fault = state.begin(what, &path)?;
        Ok((state, fault))
    }
}

impl File for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.alive()?;
        let bytes = &state.node(self.node).now;
        let from = index(offset).min(bytes.len());
        let read = buffer.len().min(bytes.len() - from);
        buffer[..read].copy_from_slice(&bytes[from..from + read]);
        Ok(read)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut state, fault) = self.begin("write")?;
        let at = index(offset);
        let fits = state.fits(self.node, at, bytes.len());
        let written = match fault {
            Some(Fault::Error(_)) => 0,
            Some(Fault::Short(written, _)) => written.min(fits),
            Some(Fault::Crash) | None => fits,
        };
        state.node(self.node).change(Change::Write { at, bytes: bytes[..written].to_vec() });
        state.end(fault)?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.alive()?;
        Ok(state.node(self.node).now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut state, fault) = self.begin("set_len")?;
        if !matches!(fault, Some(Fault::Error(_) | Fault::Short(..))) {
            state.node(self.node).change(Change::Len(index(len)));
        }
        state.end(fault)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, fault) = self.begin("sync")?;
        let ends = |state: &State, held: &str| {
            state.nodes[&self.node].path.to_str().is_some_and(|path| path.ends_with(held))
        };
        state.waiting += 1;
        self.disk.inner.changed.notify_all();
        while !state.crashed && state.held.as_deref().is_some_and(|held| ends(&state, held)) {
            let changed = &self.disk.inner.changed;
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        state.alive()?;
        let node = state.node(self.node);
        match fault {
            None => node.sync(),
            Some(Fault::Crash) => {}
            Some(Fault::Error(_) | Fault::Short(..)) => node.fail_sync(),
        }
        state.end(fault)
    }
}

struct FaultLock {
    disk: FaultDisk,
    path: PathBuf,
}

impl Drop for FaultLock {
    fn drop(&mut self) {
        self.disk.state().locks.retain(|locked| *locked != self.path);
    }
}

/// Holds syncs back until it is dropped.
pub struct Held {
    disk: FaultDisk,
}

impl Held {
    /// Waits until a sync is being held back.
    ///
    /// # Panics
    /// If none comes.
    pub fn reached(&self) {
        let state = self.disk.state();
        let (_state, waited) = self
            .disk
            .inner
            .changed
            .wait_timeout_while(state, HELD_DEADLINE, |state| state.waiting == 0)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "no sync came");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.state().held = None;
        self.disk.inner.changed.notify_all();
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the machine has stopped")) } else { Ok(()) }
    }

    /// Numbers an operation, and says what is planned for it.
    fn begin(&mut self, what: &'static str, path: &Path) -> io::Result<Option<Fault>> {
        self.alive()?;
        self.trace.push((what, path.to_owned()));
        let number = self.trace.len() as u64;
        let text = path.to_string_lossy();
        let planned = self.plan.iter().position(|(when, _)| match when {
            When::Operation(operation) => *operation == number,
            When::Next(which, ending) => *which == what && text.ends_with(ending.as_str()),
        });
        Ok(planned.map(|at| self.plan.remove(at).1))
    }

    /// The result of an operation for which `fault` was planned.
    fn end(&mut self, fault: Option<Fault>) -> io::Result<()> {
        match fault {
            None => Ok(()),
            Some(Fault::Crash) => {
                self.crashed = true;
                self.alive()
            }
            Some(Fault::Error(kind) | Fault::Short(_, kind)) => Err(kind.into()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        self.alive()?;
        let dir = self.dirs.get(parent(path)).ok_or(io::ErrorKind::NotFound)?;
        Ok(*dir.now.get(&name(path)?).ok_or(io::ErrorKind::NotFound)?)
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        Ok(self.dirs.get_mut(parent(path)).ok_or(io::ErrorKind::NotFound)?)
    }

    fn node(&mut self, number: u64) -> &mut Node {
        self.nodes.get_mut(&number).expect("a node stays while its disk does")
    }

    fn used(&self) -> u64 {
        let named = self.dirs.values().flat_map(|dir| dir.now.values());
        named.map(|number| self.nodes[number].now.len() as u64).sum()
    }

    /// How many of `len` bytes at `at` the disk has room for.
    fn fits(&mut self, node: u64, at: usize, len: usize) -> usize {
        let Some(capacity) = self.capacity else { return len };
        let free = index(capacity.saturating_sub(self.used()));
        let end = self.node(node).now.len();
        len.min((end + free).saturating_sub(at))
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn name(path: &Path) -> io::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name.ok_or(io::ErrorKind::InvalidInput)?.to_owned())
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a disk in memory is smaller than memory")
}
