//! Who of this thread's connections waits for the disk.
//!
//! The journal's thread wakes each worker thread once for a whole batch; the rest happens here,
//! without a lock. Waking every click from there would cost more than writing it.

use domain::id::Position;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use store::journal::{AppendError, Ticket};
use tokio::sync::watch;

/// Wakers with the batch they wait for, in the order of their tickets: batches only grow.
#[derive(Default)]
pub(super) struct Waiting(RefCell<VecDeque<(u64, Waker)>>);

impl Waiting {
    /// Wakes whoever waits for what is settled, until the journal is gone.
    pub(super) async fn run(self: Rc<Self>, mut settled: watch::Receiver<u64>) {
        loop {
            let batch = *settled.borrow_and_update();
            self.wake(batch);
            if settled.changed().await.is_err() {
                self.wake(u64::MAX);
                return;
            }
        }
    }

    fn wake(&self, settled: u64) {
        loop {
            let mut queue = self.0.borrow_mut();
            match queue.front() {
                Some((batch, _)) if *batch <= settled => {}
                _ => return,
            }
            let (_, waker) = queue.pop_front().expect("it was just seen");
            drop(queue);
            waker.wake();
        }
    }

    /// Waits until the ticket's record is on disk, or known not to come there.
    pub(super) fn wait<'a>(&'a self, ticket: &'a Ticket) -> Wait<'a> {
        Wait { waiting: self, ticket, is_queued: false }
    }
}

/// The future of [`Waiting::wait`]. It stays with the task that polled it first.
pub(super) struct Wait<'a> {
    waiting: &'a Waiting,
    ticket: &'a Ticket,
    is_queued: bool,
}

impl Future for Wait<'_> {
    type Output = Result<Position, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.ticket.result() {
            return Poll::Ready(result);
        }
        if !self.is_queued {
            self.is_queued = true;
            let entry = (self.ticket.batch(), cx.waker().clone());
            self.waiting.0.borrow_mut().push_back(entry);
        }
        Poll::Pending
    }
}
