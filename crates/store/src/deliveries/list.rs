//! What is asked of deliveries.

use super::State;
use domain::id::{ConversionId, DeliveryId, DestinationId};
use domain::time::Timestamp;

/// Which deliveries. What is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub id: Option<DeliveryId>,
    pub destination_id: Option<DestinationId>,
    pub conversion_id: Option<ConversionId>,
    pub state: Option<State>,
    /// None of these destinations'.
    pub except: Vec<DestinationId>,
    /// By when the conversion changed.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
    /// Only what comes after the row of this id.
    pub before: Option<u64>,
    /// At most [`crate::list::PAGE_ROWS_MAX`].
    pub limit: u32,
}

/// How many deliveries of a destination are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    pub destination_id: DestinationId,
    pub state: State,
    pub count: u64,
    /// Of those that wait: when the first was due that is due now.
    pub oldest_due_at: Option<Timestamp>,
}
