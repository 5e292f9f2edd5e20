//! The reading connections: threads that answer questions beside the writer.

use super::{READER_CACHE_KIB, connect};
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

pub(super) struct Readers {
    /// `None` once they are to end.
    questions: Option<mpsc::SyncSender<Question>>,
    threads: Vec<JoinHandle<()>>,
}

/// Their connections are closed when this is over, so the files are at rest.
impl Drop for Readers {
    fn drop(&mut self) {
        self.questions = None;
        for thread in self.threads.drain(..) {
            _ = thread.join();
        }
    }
}

impl Readers {
    /// Some threads with a connection each, called `name`, which wait so long for a lock.
    pub(super) fn start(
        path: &Path,
        name: &str,
        count: usize,
        busy_timeout: Duration,
    ) -> Result<Self, Error> {
        let (questions, inbox) = mpsc::sync_channel::<Question>(WAITING_MAX);
        let inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let mut connection = connect(path, READER_CACHE_KIB)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.busy_timeout(busy_timeout)?;
            let inbox = inbox.clone();
            let thread = std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || {
                    loop {
                        let question = inbox.lock().expect("no reader panics in here").recv();
                        match question {
                            Ok(question) => question(&mut connection),
                            Err(mpsc::RecvError) => return,
                        }
                    }
                })
                .map_err(|error| Error::Unavailable(format!("no reader thread: {error}")))?;
            threads.push(thread);
        }
        Ok(Self { questions: Some(questions), threads })
    }

    /// Answers one question. One whose asker has gone is skipped, or given up amid its answer.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let asker = Arc::new(());
        let asked = Arc::downgrade(&asker);
        let question: Question = Box::new(move |connection| {
            if answer.is_closed() {
                return;
            }
            let answered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let has_gone = move || asked.strong_count() == 0;
                connection.progress_handler(STEPS_PER_LOOK, Some(has_gone))?;
                ask(connection)
            }));
            let failed = |_| Err(Error::Unavailable("a question panicked".to_owned()));
            _ = answer.send(answered.unwrap_or_else(failed));
        });
        let closed = || Error::Unavailable("the store is closed".to_owned());
        self.questions
            .as_ref()
            .ok_or_else(closed)?
            .try_send(question)
            .map_err(|_| Error::Unavailable("too many questions are waiting".to_owned()))?;
        let answered = answered.await.map_err(|_| closed())?;
        drop(asker);
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It would take some hours.
    const ENDLESS: &str = "with recursive n (i) as (select 1 union all select i + 1 from n)
        select count(*) from n where i > 1e12 limit 1";

    #[tokio::test]
    async fn a_question_whose_asker_has_gone_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let readers =
            Readers::start(&dir.path().join("ledger.db"), "reader", 1, Duration::ZERO).unwrap();
        let (begun, has_begun) = oneshot::channel();
        let long = readers.read(move |connection| {
            _ = begun.send(());
            Ok(connection.query_row(ENDLESS, [], |row| row.get::<_, u64>(0))?)
        });
        tokio::select! {
            answer = long => panic!("it cannot be over: {answer:?}"),
            _ = has_begun => {}
        }
        let short = readers.read(|connection| {
            Ok(connection.query_row("select 1", [], |row| row.get::<_, u64>(0))?)
        });
        assert_eq!(short.await.unwrap(), 1);
    }
}
