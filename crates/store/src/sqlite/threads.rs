//! Connections on threads of their own, which answer questions one after the other.

use super::connect;
use crate::Error;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How many may wait; one more is told that the store is busy.
const WAITING_MAX: usize = 1_024;
/// After how many of SQLite's steps it is looked whether the asker is still there: some tenths of a
/// millisecond.
const STEPS_PER_LOOK: i32 = 10_000;

type Question = Box<dyn FnOnce(&mut Connection) + Send>;

/// What a connection is opened for.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    /// SQLite's page cache, in KiB.
    pub(crate) cache_kib: i64,
    /// How long it waits for another's lock.
    pub(crate) busy_timeout: Duration,
    /// After how many pages of the write-ahead log it copies them into the file; `None`: it only
    /// reads.
    pub(crate) log_pages: Option<u32>,
    /// What it removes is not left in the file for others to find.
    pub(crate) erases: bool,
}

pub(crate) struct Threads {
    /// The name of the file, for what is said of it.
    file: String,
    /// `None` once they are to end.
    questions: Option<mpsc::SyncSender<Question>>,
    running: Vec<JoinHandle<()>>,
}

/// Their connections are closed when this is over, so the files are at rest.
impl Drop for Threads {
    fn drop(&mut self) {
        self.questions = None;
        for thread in self.running.drain(..) {
            _ = thread.join();
        }
    }
}

impl Threads {
    /// Some threads with a connection each, called `name`.
    pub(crate) fn start(
        path: &Path,
        name: &str,
        count: usize,
        access: Access,
    ) -> Result<Self, Error> {
        let (questions, inbox) = mpsc::sync_channel::<Question>(WAITING_MAX);
        let inbox = Arc::new(Mutex::new(inbox));
        let mut running = Vec::with_capacity(count);
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for number in 0..count {
            let mut connection = connect(path, access.cache_kib)?;
            connection.pragma_update(None, "secure_delete", access.erases)?;
            connection.busy_timeout(access.busy_timeout)?;
            match access.log_pages {
                Some(pages) => connection.pragma_update(None, "wal_autocheckpoint", pages)?,
                None => connection.pragma_update(None, "query_only", true)?,
            }
            let inbox = inbox.clone();
            let thread = std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || {
                    loop {
                        let question =
                            inbox.lock().expect("no question is answered in here").recv();
                        match question {
                            Ok(question) => question(&mut connection),
                            Err(mpsc::RecvError) => return,
                        }
                    }
                })
                .map_err(|error| {
                    Error::Unavailable(format!("no thread to answer questions: {error}"))
                })?;
            running.push(thread);
        }
        Ok(Self { file, questions: Some(questions), running })
    }

    /// Answers one question. One whose asker has gone is skipped, or given up amid its answer.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let asker = Arc::new(());
        let asked = Arc::downgrade(&asker);
        let asked_for: Question = Box::new(move |connection| {
            if answer.is_closed() {
                return;
            }
            let answered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let has_gone = move || asked.strong_count() == 0;
                connection.progress_handler(STEPS_PER_LOOK, Some(has_gone))?;
                question(connection)
            }));
            let failed = |_| Err(Error::Unavailable("a question panicked".to_owned()));
            _ = answer.send(answered.unwrap_or_else(failed));
        });
        let closed = || Error::Unavailable("the store is closed".to_owned());
        self.questions
            .as_ref()
            .ok_or_else(closed)?
            .try_send(asked_for)
            .map_err(|_| Error::Unavailable("too many questions are waiting".to_owned()))?;
        let answered = answered.await.map_err(|_| closed())?;
        drop(asker);
        answered.map_err(|error| error.of_file(&self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: Access =
        Access { cache_kib: 1_024, busy_timeout: Duration::ZERO, log_pages: None, erases: false };
    /// It would take some hours.
    const ENDLESS: &str = "with recursive n (i) as (select 1 union all select i + 1 from n)
        select count(*) from n where i > 1e12 limit 1";

    #[tokio::test]
    async fn a_question_whose_asker_has_gone_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let threads = Threads::start(&dir.path().join("ledger.db"), "reader", 1, ACCESS).unwrap();
        let (begun, has_begun) = oneshot::channel();
        let long = threads.ask(move |connection| {
            _ = begun.send(());
            Ok(connection.query_row(ENDLESS, [], |row| row.get::<_, u64>(0))?)
        });
        tokio::select! {
            answer = long => panic!("it cannot be over: {answer:?}"),
            _ = has_begun => {}
        }
        let short = threads.ask(|connection| {
            Ok(connection.query_row("select 1", [], |row| row.get::<_, u64>(0))?)
        });
        assert_eq!(short.await.unwrap(), 1);
    }
}
