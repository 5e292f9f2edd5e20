//! An entry: one immutable row of the ledger, chained to the one before it.
//!
//! The hash commits to everything finance may ask about. `docs/chain.md` has the encoding byte
//! by byte, so that anybody can recompute it without this program.

use super::{Conversion, Effect};
use crate::conversion::Status;
use crate::id::{ConversionId, Position};
use crate::money::{Currency, Micros};
use crate::time::Timestamp;
use sha2::{Digest, Sha256};

/// What the first entry of a journal's chain has before it, together with the journal's id.
pub const GENESIS: &[u8] = b"counterfoil chain 1";

/// How many bytes an entry is encoded in.
pub const ENCODED_BYTES: usize = 115;

const FORMAT: u8 = 1;

/// What brought an entry about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The hit at that position.
    Hit(Position),
    /// The command at that position: a person or a key.
    Command(Position),
}

impl Cause {
    pub fn position(self) -> Position {
        match self {
            Self::Hit(position) | Self::Command(position) => position,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Hit(_) => 1,
            Self::Command(_) => 2,
        }
    }
}

/// A change of a conversion's status or amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub conversion_id: ConversionId,
    /// Within its conversion, from 1 on without gaps.
    pub sequence: u32,
    pub at: Timestamp,
    pub cause: Cause,
    /// The salted digest of the hit, or the digest of the command.
    pub evidence: [u8; 32],
    /// `None`: the conversion begins here.
    pub from: Option<Status>,
    pub to: Status,
    /// Signed: what this entry adds to what is owed.
    pub revenue: Micros,
    pub payout: Micros,
    pub currency: Currency,
}

impl Entry {
    /// What a chain begins with.
    pub fn genesis(journal_id: [u8; 16]) -> [u8; 32] {
        Sha256::new_with_prefix(GENESIS).chain_update(journal_id).finalize().into()
    }

    /// The entry's hash, given the hash of the entry before it in the journal's order.
    pub fn hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        Sha256::digest(self.encode(previous)).into()
    }

    /// [`ENCODED_BYTES`] bytes, format 1: every field has its own place and width, so no two
    /// entries have the same bytes.
    pub fn encode(&self, previous: &[u8; 32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENCODED_BYTES);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.conversion_id.0.to_be_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.at.as_us().to_be_bytes());
        bytes.push(self.cause.code());
        bytes.extend_from_slice(&self.cause.position().0.to_be_bytes());
        bytes.push(self.from.map_or(0, Status::code));
        bytes.push(self.to.code());
        bytes.extend_from_slice(&self.revenue.0.to_be_bytes());
        bytes.extend_from_slice(&self.payout.0.to_be_bytes());
        bytes.extend_from_slice(self.currency.as_str().as_bytes());
        bytes.extend_from_slice(&self.evidence);
        bytes.extend_from_slice(previous);
        debug_assert_eq!(bytes.len(), ENCODED_BYTES, "every field has its width");
        bytes
    }
}

/// Makes the entry that brings what is paid in line with status and amounts. `None` where a
/// difference is out of range.
pub(super) fn settle(
    mut conversion: Conversion,
    from: Option<Status>,
    cause: Cause,
    at: Timestamp,
    evidence: [u8; 32],
) -> Option<Effect> {
    let (revenue, payout) = if conversion.status.is_paid() {
        (conversion.revenue, conversion.payout)
    } else {
        (Micros::ZERO, Micros::ZERO)
    };
    conversion.sequence += 1;
    conversion.changed_at = at;
    let entry = Entry {
        conversion_id: conversion.id,
        sequence: conversion.sequence,
        at,
        cause,
        evidence,
        from,
        to: conversion.status,
        revenue: revenue.checked_sub(conversion.paid_revenue)?,
        payout: payout.checked_sub(conversion.paid_payout)?,
        currency: conversion.currency,
    };
    conversion.paid_revenue = revenue;
    conversion.paid_payout = payout;
    Some(Effect { conversion, entry: Some(entry) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            conversion_id: ConversionId(7),
            sequence: 1,
            at: Timestamp::from_us(1_700_000_000_000_000),
            cause: Cause::Hit(Position(42)),
            evidence: [0x11; 32],
            from: None,
            to: Status::Approved,
            revenue: Micros(2_500_000),
            payout: Micros(-1),
            currency: Currency::USD,
        }
    }

    #[test]
    fn the_encoding_is_the_manuals() {
        let bytes = entry().encode(&[0x22; 32]);
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let fields = [
            "01",
            "0000000000000007",
            "00000001",
            "00060a24181e4000",
            "01",
            "000000000000002a",
            "00",
            "02",
            "00000000002625a0",
            "ffffffffffffffff",
            "555344",
            &"11".repeat(32),
            &"22".repeat(32),
        ];
        assert_eq!(hex, fields.concat());
    }

    #[test]
    fn every_field_changes_the_hash() {
        let original = entry();
        let previous = [0; 32];
        let changes: [fn(&mut Entry); 10] = [
            |entry| entry.conversion_id = ConversionId(8),
            |entry| entry.sequence = 2,
            |entry| entry.at = Timestamp::from_us(1),
            |entry| entry.cause = Cause::Command(Position(42)),
            |entry| entry.evidence[31] = 0,
            |entry| entry.from = Some(Status::Pending),
            |entry| entry.to = Status::Pending,
            |entry| entry.revenue = Micros(0),
            |entry| entry.payout = Micros(0),
            |entry| entry.currency = Currency::EUR,
        ];
        for change in changes {
            let mut other = original.clone();
            change(&mut other);
            assert_ne!(other.hash(&previous), original.hash(&previous), "{other:?}");
        }
        assert_ne!(original.hash(&[1; 32]), original.hash(&previous));
    }
}
