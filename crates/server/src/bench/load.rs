//! The load: many kept connections, each with one request under way, and what their answers were.
//!
//! Connections are driven by few threads with a runtime each, so that the generator takes as
//! little as it can from the server on the same machine. What is compared is driven by the same
//! code.

use super::histogram::Histogram;
use crate::client::{Answer, Connection};
use anyhow::{Context, bail};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// What is sent, and what has to come back.
pub(crate) trait Traffic: Send + Sync + 'static {
    /// Appends request `number` to `out`; numbers begin at 0 and none comes twice.
    fn write(&self, number: u64, out: &mut Vec<u8>);

    /// The kinds of answers; the first is the one that is right.
    fn kinds(&self) -> &'static [&'static str];

    /// Which of the kinds an answer is.
    fn kind(&self, answer: &Answer<'_>) -> usize;
}

/// How much is sent, to whom, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    /// Requests a second, of all connections together; `None`: as many as are answered. At a rate a
    /// latency begins when the request was due.
    pub(crate) rate: Option<u32>,
    /// Not counted.
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Of the right answers.
    pub(crate) latency: Histogram,
    /// How many answers there were of each kind, with its name.
    pub(crate) kinds: Vec<(&'static str, u64)>,
    /// Connections that broke, and why the first did.
    pub(crate) broken: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) time: Duration,
}

impl Tally {
    fn new(kinds: &[&'static str], time: Duration) -> Self {
        let kinds = kinds.iter().map(|kind| (*kind, 0)).collect();
        Self { latency: Histogram::default(), kinds, broken: 0, first_error: None, time }
    }

    fn merge(&mut self, other: Self) {
        self.latency.merge(&other.latency);
        for (own, other) in self.kinds.iter_mut().zip(&other.kinds) {
            own.1 += other.1;
        }
        self.broken += other.broken;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// Right answers a second.
    pub(crate) fn rate(&self) -> u64 {
        crate::terminal::rate(self.latency.count(), self.time)
    }

    /// What was not as it must be, in words; `None` where all was well.
    pub(crate) fn complaint(&self) -> Option<String> {
        let mut wrong: Vec<String> = self.kinds[1..]
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        if self.broken > 0 {
            let error = self.first_error.as_deref().unwrap_or_default();
            wrong.push(format!("{} connections broke ({error})", self.broken));
        }
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

impl Load {
    /// Sends `traffic` and waits until the time is over. `numbers` is where its requests go on.
    pub(crate) fn run<T: Traffic>(
        self,
        traffic: &Arc<T>,
        numbers: &Arc<AtomicU64>,
    ) -> anyhow::Result<Tally> {
        let threads = self.threads.clamp(1, self.connections);
        let first = numbers.load(Ordering::Relaxed);
        let all_open = Arc::new(Barrier::new(threads));
        let spawn = |thread: usize| {
            let connections =
                self.connections / threads + usize::from(thread < self.connections % threads);
            let part = Part {
                load: Self { connections, ..self },
                traffic: traffic.clone(),
                numbers: numbers.clone(),
                first,
                all_open: all_open.clone(),
            };
            std::thread::Builder::new()
                .name(format!("load-{thread}"))
                .spawn(move || part.run())
                .context("no thread to send from")
        };
        let running = (0..threads).map(spawn).collect::<anyhow::Result<Vec<_>>>()?;
        let mut all = Tally::new(traffic.kinds(), self.time);
        for thread in running {
            match thread.join() {
                Ok(tally) => all.merge(tally?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        if all.latency.count() == 0 {
            let why = all.complaint().unwrap_or_else(|| "nothing came back".to_owned());
            bail!("no answer was right: {why}");
        }
        Ok(all)
    }
}

/// What one thread does.
struct Part<T> {
    load: Load,
    traffic: Arc<T>,
    numbers: Arc<AtomicU64>,
    /// Where they began.
    first: u64,
    all_open: Arc<Barrier>,
}

impl<T: Traffic> Part<T> {
    fn run(self) -> anyhow::Result<Tally> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let opened = runtime.block_on(async {
            let mut opened = Vec::with_capacity(self.load.connections);
            for _ in 0..self.load.connections {
                opened.push(Connection::open(self.load.address).await?);
            }
            std::io::Result::Ok(opened)
        });
        // Whoever cannot connect must not keep the others waiting.
        self.all_open.wait();
        let opened = opened.context("cannot connect to the server under test")?;
        let begun = Instant::now();
        let from = begun + self.load.warm_up;
        let until = from + self.load.time;
        let tally = Rc::new(RefCell::new(Tally::new(self.traffic.kinds(), self.load.time)));
        let local = LocalSet::new();
        for connection in opened {
            let lane = Lane {
                traffic: self.traffic.clone(),
                numbers: self.numbers.clone(),
                tally: tally.clone(),
                pace: self.load.rate.map(|rate| Pace { begun, first: self.first, rate }),
                from,
                until,
            };
            local.spawn_local(lane.run(connection));
        }
        runtime.block_on(local);
        let tally = tally.borrow().clone();
        Ok(tally)
    }
}

/// When which request is due.
#[derive(Clone, Copy, Debug)]
struct Pace {
    begun: Instant,
    first: u64,
    rate: u32,
}

impl Pace {
    fn due(&self, number: u64) -> Instant {
        let us = (number - self.first).saturating_mul(1_000_000) / u64::from(self.rate);
        self.begun + Duration::from_micros(us)
    }
}

/// One connection's work.
struct Lane<T> {
    traffic: Arc<T>,
    numbers: Arc<AtomicU64>,
    tally: Rc<RefCell<Tally>>,
    pace: Option<Pace>,
    from: Instant,
    until: Instant,
}

impl<T: Traffic> Lane<T> {
    async fn run(self, mut connection: Connection) {
        let mut request = Vec::new();
        loop {
            let mut sent = Instant::now();
            if sent >= self.until {
                return;
            }
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            if let Some(pace) = self.pace {
                sent = pace.due(number);
                if sent >= self.until {
                    return;
                }
                tokio::time::sleep_until(sent.into()).await;
            }
            request.clear();
            self.traffic.write(number, &mut request);
            let answer = connection.exchange(&request).await;
            let kind = answer.map(|answer| self.traffic.kind(&answer));
            let answered = Instant::now();
            let mut tally = self.tally.borrow_mut();
            match kind {
                Ok(kind) if sent >= self.from && answered <= self.until => {
                    tally.kinds[kind].1 += 1;
                    if kind == 0 {
                        tally.latency.record(answered - sent);
                    }
                }
                // Wrong answers count whenever they come.
                Ok(kind) if kind > 0 => tally.kinds[kind].1 += 1,
                Ok(_) => {}
                Err(error) => {
                    tally.broken += 1;
                    tally.first_error.get_or_insert_with(|| error.to_string());
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(counts: [u64; 2], broken: u64) -> Tally {
        let mut tally = Tally::new(&["recorded", "refused"], Duration::from_secs(2));
        tally.kinds[0].1 = counts[0];
        tally.kinds[1].1 = counts[1];
        for _ in 0..counts[0] {
            tally.latency.record(Duration::from_millis(1));
        }
        tally.broken = broken;
        tally
    }

    #[test]
    fn threads_are_added_up() {
        let mut all = tally([10, 0], 0);
        all.merge(tally([20, 1], 0));
        assert_eq!(all.kinds, [("recorded", 30), ("refused", 1)]);
        assert_eq!(all.rate(), 15);
    }

    #[test]
    fn only_what_is_wrong_is_complained_about() {
        assert_eq!(tally([10, 0], 0).complaint(), None);
        assert_eq!(tally([10, 3], 0).complaint().unwrap(), "3 refused");
        let mut broken = tally([0, 0], 2);
        broken.first_error = Some("reset".to_owned());
        assert_eq!(broken.complaint().unwrap(), "2 connections broke (reset)");
    }
}
