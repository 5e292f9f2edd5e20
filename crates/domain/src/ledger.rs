//! Decides what a postback does to the ledger, and makes the rows it leads to.
//!
//! Pure: the store calls [`read`], loads the facts it names, and calls [`decide`], inside one
//! transaction, so the answer holds when it is written. Setup is as of the hit; a goal's terms,
//! the window and whether the campaign was live are as of the click.

mod amounts;
mod choose;
mod conversion;
mod decide;
mod decision;
mod entry;
mod events;
mod held;
mod payload;
mod person;
mod rehearsal;
mod route;
mod spoken;
mod transaction;
mod triage;

#[cfg(test)]
pub(crate) mod tests;

pub use amounts::Missing;
pub use conversion::{CHANGES_MAX, Conversion, IDLE_MAX};
pub use decide::decide;
pub use decision::{Decision, Effect, Facts, Occasion};
pub use entry::{Cause, ENCODED_BYTES, Entry, GENESIS};
pub use events::{ClickEvents, Event, MESSAGES_MAX};
pub use person::{change_by_person, merge, repair, repaired_key};
pub use rehearsal::Rehearsal;
pub use route::{ContractRef, Read, Route, is_ours, read, route};
pub use triage::{WAITING_MAX, likely_ids};

use crate::click_id::ClickId;
use crate::contract::Identity;
use crate::id::AdvertiserId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where a conversion lives: its click's millisecond, then a part of the click's counter. Every
/// unique key of the ledger leads with it, so that it can be spread over machines; and what comes
/// together lies together, so that each new row does not touch a page of its own in each index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Home(pub i64);

impl Home {
    /// How many bits of the counter there are in it: with the time's 48 it is never negative.
    const COUNTER_BITS: u32 = 15;

    pub fn of(click_id: ClickId) -> Self {
        let counter = u64::from(click_id.counter()) & ((1 << Self::COUNTER_BITS) - 1);
        let home = click_id.at_ms() << Self::COUNTER_BITS | counter;
        Self(home.cast_signed())
    }

    /// Of what a transaction id alone makes one.
    fn of_txn(identity: &[u8]) -> Self {
        let hash = Sha256::new_with_prefix(b"counterfoil home 1").chain_update(identity);
        let hash: [u8; 32] = hash.finalize().into();
        let home = i64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"));
        Self(home & i64::MAX)
    }
}

/// The rule of what click, goal and transaction id make one, in an identity.
const OF_CLICK_GOAL_TXN: u8 = 1;
/// That of what a transaction id alone makes one.
const OF_TXN: u8 = 4;
/// That of what click, goal and all that is said make one.
const OF_PAYLOAD: u8 = 5;

/// The canonical bytes of what makes a conversion one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub home: Home,
    pub identity: Vec<u8>,
}

impl Key {
    /// One byte for the rule, the click id, then each part as length and bytes. No transaction
    /// id is a value of its own: there is one conversion per click and goal without it.
    pub fn new(
        rule: Identity,
        advertiser_id: AdvertiserId,
        click_id: ClickId,
        goal: &str,
        txn_id: Option<&str>,
    ) -> Self {
        let goal = goal.to_ascii_lowercase();
        let (code, parts): (u8, &[Option<&str>]) = match rule {
            Identity::Txn => return Self::of_txn(advertiser_id, txn_id),
            Identity::ClickGoalTxn => (OF_CLICK_GOAL_TXN, &[Some(&goal), txn_id]),
            Identity::ClickGoal => (2, &[Some(&goal)]),
            Identity::Click => (3, &[]),
        };
        let mut identity = Vec::with_capacity(48);
        identity.push(code);
        identity.extend_from_slice(&click_id.to_bytes());
        for part in parts {
            add_part(&mut identity, *part);
        }
        Self { home: Home::of(click_id), identity }
    }

    /// Click, goal and what the postback says as a whole, in place of a transaction id.
    pub fn of_payload(click_id: ClickId, goal: &str, payload: &[u8; 32]) -> Self {
        let mut identity = vec![OF_PAYLOAD];
        identity.extend_from_slice(&click_id.to_bytes());
        add_part(&mut identity, Some(&goal.to_ascii_lowercase()));
        identity.extend_from_slice(payload);
        Self { home: Home::of(click_id), identity }
    }

    /// Whether it has its click's home. Where the transaction id alone makes conversions one,
    /// they live apart from their clicks.
    pub fn is_of_click(&self) -> bool {
        self.identity.first() != Some(&OF_TXN)
    }

    /// Whether its transaction id tells it from others; none is an id too.
    fn is_of_transaction(&self) -> bool {
        matches!(self.identity.first(), Some(&(OF_CLICK_GOAL_TXN | OF_TXN)))
    }

    /// Whether all that is said makes it one, in place of a transaction id.
    pub fn is_of_payload(&self) -> bool {
        self.identity.first() == Some(&OF_PAYLOAD)
    }

    /// Whether its home is where it lives.
    pub fn is_at_home(&self, click_id: ClickId) -> bool {
        let home =
            if self.is_of_click() { Home::of(click_id) } else { Home::of_txn(&self.identity) };
        self.home == home
    }

    /// Whichever click it is told of: it lives where advertiser and transaction id say.
    fn of_txn(advertiser_id: AdvertiserId, txn_id: Option<&str>) -> Self {
        let mut identity = vec![OF_TXN];
        identity.extend_from_slice(&advertiser_id.0.to_be_bytes());
        add_part(&mut identity, txn_id);
        Self { home: Home::of_txn(&identity), identity }
    }
}

/// A part of an identity: its length, then its bytes; none has a length that no text has.
fn add_part(identity: &mut Vec<u8>, part: Option<&str>) {
    let length = part.map_or(u32::MAX, |text| u32::try_from(text.len()).expect("limited"));
    identity.extend_from_slice(&length.to_be_bytes());
    identity.extend_from_slice(part.unwrap_or_default().as_bytes());
}
