//! What is known of deliveries as a whole: what an operator is told without asking for it.

use super::State;
use domain::id::DestinationId;
use domain::time::Timestamp;

/// How attempts have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub attempts: u64,
    /// Those of them that the receiver has taken.
    pub good: u64,
}

/// How the attempts at a destination have ended, by hours of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// Since this hour began.
    pub hour: Outcomes,
    /// In the one before.
    pub hour_before: Outcomes,
    /// In this hour and the 23 before.
    pub day: Outcomes,
    /// In the seven days before those two hours.
    pub week_before: Outcomes,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub count: u64,
    /// Those of them that are due.
    pub due: u64,
}

/// A destination of which a person says what becomes of deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided {
    pub destination_id: DestinationId,
    /// [`State::Exhausted`] or [`State::Held`].
    pub state: State,
    /// When the newest of them was tried last, or came to be owed where it is held.
    pub last_at: Timestamp,
}
