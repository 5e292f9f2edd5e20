//! What comes of what destinations are owed: leases, attempts, pauses.
//!
//! This is the operational half. The ledger says what is owed, and is made again from the journal;
//! what was sent cannot be made again, so it is kept apart, and no send waits for the ledger.

mod list;
mod overview;
mod sqlite;

pub use list::{DeliveryFilter, Figures};
pub use overview::{Outcomes, Recent, Undecided, Waiting};
pub use sqlite::{SqliteDeliveries, copy};

use crate::Error;
use crate::list::{Page, StoredOwed};
use async_trait::async_trait;
use domain::command::Idempotency;
use domain::destination::{Hearing, Next, Owed};
use domain::id::{DeliveryId, DestinationId};
use domain::time::Timestamp;
use std::sync::Arc;

/// How much of an answer is kept, in bytes.
pub const ANSWER_BYTES_MAX: usize = domain::destination::ANSWER_BYTES_MAX;

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It will be sent, or sent again.
    Waiting,
    /// The receiver said that it counted.
    Delivered,
    /// The receiver has it, and does not say whether it counted.
    Unverified,
    /// The receiver said no, and would again.
    Rejected,
    /// The last attempt has failed.
    Exhausted,
    /// It was taken back before it was sent.
    Cancelled,
    /// The receiver was told something that has changed, and has no way to be told so.
    Uncorrectable,
    /// It may have been sent before a restore: an operator says what is to become of it.
    Held,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Delivered,
        Self::Unverified,
        Self::Rejected,
        Self::Exhausted,
        Self::Cancelled,
        Self::Uncorrectable,
        Self::Held,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Unverified => "unverified",
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
            Self::Uncorrectable => "uncorrectable",
            Self::Held => "held",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Which of what is due goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Never tried, or to be sent at once by a destination that is back.
    First,
    /// Tried before.
    Again,
    /// Backfilled or replayed: there may be any number of them, which others do not wait for.
    Past,
}

impl Lane {
    fn number(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Again => 1,
            Self::Past => 2,
        }
    }
}

/// One thing that a destination is owed, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    /// As it is sent.
    pub owed: Owed,
    pub state: State,
    pub due_at: Timestamp,
    /// Those that were begun.
    pub attempts: u32,
    /// How many of them were made before it was sent once more: the waits begin anew then.
    pub attempts_past: u32,
    pub leased_until: Option<Timestamp>,
    pub settled_at: Option<Timestamp>,
    /// It was sent once more by hand.
    pub is_replay: bool,
    /// Some attempt has reached the receiver, or may have, and was not turned away.
    pub may_have_arrived: bool,
    /// What the destination could be told when it came to be owed.
    pub hearing: Hearing,
}

/// When the first delivery of each lane is due, and whether its destination can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub destination_id: DestinationId,
    /// When the next one is due, by lane.
    pub first: Option<Timestamp>,
    pub again: Option<Timestamp>,
    pub past: Option<Timestamp>,
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    pub is_paused: bool,
    /// Of one that is paused: when one delivery is tried again.
    pub probe_at: Option<Timestamp>,
}

impl Due {
    /// When the next one of each lane is due, in the order in which they go.
    pub fn lanes(&self) -> [(Lane, Option<Timestamp>); 3] {
        [(Lane::First, self.first), (Lane::Again, self.again), (Lane::Past, self.past)]
    }
}

/// What comes over from the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub stored: StoredOwed,
    pub due_at: Timestamp,
    /// What the destination can be told.
    pub hearing: Hearing,
}

/// One try at a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub delivery_id: DeliveryId,
    pub destination_id: DestinationId,
    /// From 1 on: only the attempt that holds the lease can settle it.
    pub number: u32,
    pub at: Timestamp,
    pub latency_ms: u64,
    pub method: String,
    /// With secrets masked.
    pub url: String,
    pub http_status: Option<u16>,
    /// At most [`ANSWER_BYTES_MAX`] are kept.
    pub answer: Option<Vec<u8>>,
    pub error: Option<String>,
    pub fate: Fate,
    pub next: Next,
}

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// There was none, for a reason of ours: that says nothing of the destination.
    Unmade,
    /// It did not come through, or was turned away.
    TurnedAway,
    /// It was taken, or may have been: nothing that reads was heard.
    MayHaveArrived,
}

impl Attempt {
    /// When what came of it was known.
    pub fn ended_at(&self) -> Timestamp {
        self.at.plus_ms(i64::try_from(self.latency_ms).unwrap_or(i64::MAX))
    }

    pub fn led_to(&self) -> &'static str {
        led_to(self.next)
    }
}

/// `again`, or the name of the state it leads to.
pub fn led_to(next: Next) -> &'static str {
    match next {
        Next::Delivered => State::Delivered.name(),
        Next::Unverified => State::Unverified.name(),
        Next::Rejected => State::Rejected.name(),
        Next::Exhausted => State::Exhausted.name(),
        Next::Again { .. } => "again",
    }
}

/// The same as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAttempt {
    pub number: u32,
    pub at: Timestamp,
    pub latency_ms: u64,
    pub method: String,
    /// `None`, like the answer, once it is not kept any longer.
    pub url: Option<String>,
    pub http_status: Option<u16>,
    pub answer: Option<Vec<u8>>,
    pub error: Option<String>,
    /// `again`, or the state it has led to.
    pub led_to: String,
    pub is_replay: bool,
}

/// Why nothing is sent to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub at: Timestamp,
    pub by: PausedBy,
    pub why: String,
    /// When one delivery is tried again; `None`: never before a person resumes it.
    pub probe_at: Option<Timestamp>,
}

/// Who has paused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    /// It kept failing.
    Failures,
    /// It said that it is gone for good.
    Gone,
    Person,
}

impl PausedBy {
    pub const ALL: [Self; 3] = [Self::Failures, Self::Gone, Self::Person];

    pub fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Gone => "gone",
            Self::Person => "person",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }
}

/// How a destination is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    pub last_good_at: Option<Timestamp>,
    pub pause: Option<Pause>,
}

/// What a replay would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayable {
    /// How many would be sent once more.
    pub count: u64,
    /// How many are left out, for something was owed since that says otherwise.
    pub overtaken: u64,
}

/// A replay that was asked for under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// What the request was, as a hash.
    pub request: String,
    /// How many were sent once more, so far.
    pub count: u64,
    /// Nothing is left of it; else it was cut off.
    pub is_done: bool,
}

/// When a destination is paused by itself, and how it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseRule {
    /// So many attempts have failed, and none between them has not.
    pub after_failures: u32,
    /// How long after a pause, or a probe that failed, one is tried.
    pub probe_every_s: u32,
}

/// What any store of deliveries does. A method is a transaction.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// The last of the ledger's rows that was taken over.
    async fn cursor(&self) -> Result<DeliveryId, Error>;

    /// Takes over what the ledger has after the cursor, in its order; what was taken over before
    /// changes nothing. What takes back something that was never sent cancels it, and itself; what
    /// was sent, or may have been, is corrected where the destination can hear that.
    async fn take_over(&self, incoming: Vec<Incoming>) -> Result<(), Error>;

    /// When the first delivery of each lane is due, by destination: of all that anything waits for,
    /// or is held of. Each call puts some more of what was resumed back in its place.
    async fn due(&self) -> Result<Vec<Due>, Error>;

    /// Begins attempts at up to `limit` deliveries of a destination that are due; nobody else
    /// begins one at them before `until`.
    async fn lease(
        &self,
        destination: DestinationId,
        lane: Lane,
        limit: u32,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Vec<Delivery>, Error>;

    /// The same of the one that waits for a destination and is due first, whether it is by now or not;
    /// nothing of which the delay is not over. It uses up no wait.
    async fn probe(
        &self,
        destination: DestinationId,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Option<Delivery>, Error>;

    /// Writes what attempts have led to. One whose lease another has taken over is kept, and
    /// changes nothing. The destinations that this has paused.
    async fn settle(
        &self,
        attempts: Arc<[Attempt]>,
        rule: PauseRule,
    ) -> Result<Vec<DestinationId>, Error>;

    /// Gives back what was leased for its attempt of that number, and was not begun: that attempt has
    /// never been. It waits as before; where it is `unheard`, its destination cannot be told any more.
    async fn give_back(
        &self,
        id: DeliveryId,
        number: u32,
        unheard: bool,
        now: Timestamp,
    ) -> Result<(), Error>;

    async fn find(&self, id: DeliveryId) -> Result<Option<(Delivery, Vec<StoredAttempt>)>, Error>;

    /// Newest first.
    async fn list(&self, filter: &DeliveryFilter) -> Result<Page<Delivery>, Error>;

    /// What [`Deliveries::replay`] would do.
    async fn count_replayable(&self, filter: &DeliveryFilter) -> Result<Replayable, Error>;

    /// Has those that were sent, or tried, sent once more, from `now` on; how many. Those that are
    /// held only where the filter names that state, or one conversion and no state.
    async fn replay(&self, filter: &DeliveryFilter, now: Timestamp) -> Result<u64, Error>;

    /// The same under a key: it is done once, whatever cuts it off. It goes on where it was, and what
    /// was done before counts.
    async fn replay_once(
        &self,
        filter: &DeliveryFilter,
        under: &Idempotency,
        now: Timestamp,
    ) -> Result<u64, Error>;

    /// The replay that was asked for under that key.
    async fn replayed(&self, key: &str) -> Result<Option<Replayed>, Error>;

    /// Cancels some of what waits for a destination that is gone, or is held of it; how many. None are
    /// left once there are none, but those under way.
    async fn cancel(&self, destination: DestinationId, now: Timestamp) -> Result<u64, Error>;

    async fn pause(&self, destination: DestinationId, pause: Pause) -> Result<(), Error>;

    /// Ends a pause. What was tried before is due in its place again, oldest first: some of it now, and
    /// some with each [`Deliveries::due`], for there may be millions.
    async fn resume(&self, destination: DestinationId) -> Result<(), Error>;

    async fn conditions(&self) -> Result<Vec<(DestinationId, Condition)>, Error>;

    /// How many there are of each state, by destination, and since when the oldest is due.
    async fn figures(&self, now: Timestamp) -> Result<Vec<Figures>, Error>;

    /// How attempts have ended of late, by destination; what was never tried is not there.
    async fn recent(&self, now: Timestamp) -> Result<Vec<(DestinationId, Recent)>, Error>;

    /// The same of one of them.
    async fn recent_of(&self, destination: DestinationId, now: Timestamp) -> Result<Recent, Error>;

    /// How much waits in all, and is due.
    async fn waiting(&self, now: Timestamp) -> Result<Waiting, Error>;

    /// The destinations that are not paused, and whose first attempts are due since before `since`:
    /// when the first of them was.
    async fn late(&self, since: Timestamp) -> Result<Vec<(DestinationId, Timestamp)>, Error>;

    /// Of which destinations anything is exhausted, or held.
    async fn undecided(&self) -> Result<Vec<Undecided>, Error>;

    /// Removes what attempts before then may say of visitors: URLs and answers. How many attempts
    /// there were.
    async fn remove_personal_before(&self, before: Timestamp) -> Result<u64, Error>;
}
