//! The machine figures were measured on: without it they mean nothing.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many syncs the median is taken of.
const SYNCS: usize = 101;
/// What is written before each of them.
const SYNC_BYTES: usize = 4_096;

/// Where a bench ran.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// Of one small append to a file where the data are; the median. `None`: it cannot be synced.
    pub(crate) sync: Option<Duration>,
}

impl Machine {
    /// Looks at this one. `dir` is on the disk that is used.
    pub(crate) fn look(dir: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor(&read("/proc/cpuinfo")),
            memory_bytes: kib(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0) << 10,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            sync: sync(dir).ok(),
        }
    }

    /// What is printed above all figures.
    pub(crate) fn lines(&self) -> Vec<String> {
        let sync = self.sync.map_or_else(|| "unknown".to_owned(), crate::terminal::time);
        vec![
            format!("cores:      {}", self.cores),
            format!("processor:  {}", self.processor),
            format!("memory:     {}", crate::terminal::bytes(self.memory_bytes)),
            format!("kernel:     {}", self.kernel),
            format!("one fsync:  {sync} (median of {SYNCS} appends of {SYNC_BYTES} bytes)"),
        ]
    }
}

/// How much memory a process has in use, in bytes; `None` once it is gone.
pub(crate) fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    kib(&status, "VmRSS:").map(|kib| kib << 10)
}

fn processor(cpuinfo: &str) -> String {
    let names = ["model name", "Model", "Hardware"];
    let of = |name: &str| cpuinfo.lines().find_map(|line| line.strip_prefix(name));
    let line = names.into_iter().find_map(of).and_then(|line| line.split_once(':'));
    line.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// A line such as `VmRSS:    1234 kB`.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn sync(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join("sync.tmp");
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let from = Instant::now();
        file.write_all(&[0; SYNC_BYTES])?;
        file.sync_data()?;
        times.push(from.elapsed());
    }
    fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        let status = "Name:\tcounterfoil\nVmPeak:\t  900 kB\nVmRSS:\t  120 kB\n";
        assert_eq!(kib(status, "VmRSS:"), Some(120));
        assert_eq!(kib(status, "VmSwap:"), None);
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2.0 GHz\nflags\t: a b\n";
        assert_eq!(processor(cpuinfo), "Some CPU @ 2.0 GHz");
        assert_eq!(processor(""), "unknown");
    }

    #[test]
    fn this_machine_has_a_core_and_this_process_takes_memory() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::look(dir.path());
        assert!(machine.cores > 0 && machine.sync.is_some());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays behind");
        assert!(resident_bytes(std::process::id()).unwrap() > 1 << 20);
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
