//! The reading connections: threads that answer questions beside the writer.

use super::{READER_CACHE_KIB, connect};
use crate::Error;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// How many may wait; one more is told that the store is busy.
const WAITING_MAX: usize = 1_024;

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
    /// Some threads with a connection each, called `name`.
    pub(super) fn start(path: &Path, name: &str, count: usize) -> Result<Self, Error> {
        let (questions, inbox) = mpsc::sync_channel::<Question>(WAITING_MAX);
        let inbox = Arc::new(Mutex::new(inbox));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let mut connection = connect(path, READER_CACHE_KIB)?;
            connection.pragma_update(None, "query_only", true)?;
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

    /// Answers one question. A question whose asker has gone is skipped.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            if !answer.is_closed() {
                let answered =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(connection)));
                let failed = |_| Err(Error::Unavailable("a question panicked".to_owned()));
                _ = answer.send(answered.unwrap_or_else(failed));
            }
        });
        let closed = || Error::Unavailable("the store is closed".to_owned());
        self.questions
            .as_ref()
            .ok_or_else(closed)?
            .try_send(question)
            .map_err(|_| Error::Unavailable("too many questions are waiting".to_owned()))?;
        answered.await.map_err(|_| closed())?
    }
}
