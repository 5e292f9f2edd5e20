//! Receipts: the id of a hit, given to its sender, by which the verdict can be looked up.
//!
//! A receipt says where its hit is, so that it needs no index, and cannot be guessed. 128 bits:
//! 10 of node, 54 of place (the top one: in the ring, not in the journal), a 64-bit MAC.

use crate::base32;
use crate::id::{NodeId, Position};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// How many characters a receipt has.
pub const TEXT_LEN: usize = base32::text_len(PLACE_BYTES + MAC_BYTES);

const PLACE_BYTES: usize = 8;
const MAC_BYTES: usize = 8;
/// Keeps these MACs apart from any other use of the same key.
const DOMAIN: &[u8] = b"counterfoil receipt 1";

const PLACE_BITS: u32 = 54;
const RING_BIT: u64 = 1 << (PLACE_BITS - 1);

/// Where a hit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Journal(Position),
    /// The ordinal of a hit that was not worth the journal: it is kept for a while only.
    Ring(u64),
}

/// What receipts are signed with.
#[derive(Clone)]
pub struct ReceiptKey(Hmac<Sha256>);

impl ReceiptKey {
    pub fn new(secret: [u8; 32]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length is a key");
        Self(mac.chain_update(DOMAIN))
    }

    /// The receipt of a hit: 26 characters of lower-case base32.
    pub fn format(&self, node: NodeId, place: Place) -> String {
        let (ring, ordinal) = match place {
            Place::Journal(position) => (0, position.0),
            Place::Ring(ordinal) => (RING_BIT, ordinal),
        };
        assert!(ordinal < RING_BIT, "a journal has fewer than 2^53 records");
        let place = (u64::from(node.get()) << PLACE_BITS | ring | ordinal).to_be_bytes();
        let mac = self.0.clone().chain_update(place).finalize().into_bytes();
        let mut bytes = [0; PLACE_BYTES + MAC_BYTES];
        bytes[..PLACE_BYTES].copy_from_slice(&place);
        bytes[PLACE_BYTES..].copy_from_slice(&mac[..MAC_BYTES]);
        base32::to_string(&bytes)
    }

    /// Where the hit of a receipt is, whatever the receipt's case. `None` where the text is not
    /// a receipt that was given with this key; MACs are compared in constant time.
    pub fn parse(&self, text: &str) -> Option<(NodeId, Place)> {
        let mut bytes = [0; PLACE_BYTES + MAC_BYTES];
        base32::decode(text.as_bytes(), &mut bytes)?;
        let (place, mac) = bytes.split_first_chunk().expect("a place is shorter than its text");
        self.0.clone().chain_update(place).verify_truncated_left(mac).ok()?;
        let bits = u64::from_be_bytes(*place);
        let node = NodeId::new((bits >> PLACE_BITS) as u16).expect("ten bits are a node");
        let ordinal = bits & (RING_BIT - 1);
        let place = if bits & RING_BIT == 0 {
            Place::Journal(Position(ordinal))
        } else {
            Place::Ring(ordinal)
        };
        Some((node, place))
    }
}

/// Never shows the key.
impl fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiptKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> ReceiptKey {
        ReceiptKey::new([7; 32])
    }

    fn places() -> impl Strategy<Value = (NodeId, Place)> {
        (0..=1023_u16, any::<bool>(), 0..RING_BIT).prop_map(|(node, in_ring, ordinal)| {
            let place =
                if in_ring { Place::Ring(ordinal) } else { Place::Journal(Position(ordinal)) };
            (NodeId::new(node).unwrap(), place)
        })
    }

    /// The text is for ever: senders keep it.
    #[test]
    fn the_text_of_a_receipt_is_stable() {
        let node = NodeId::new(3).unwrap();
        let journal = key().format(node, Place::Journal(Position(12)));
        assert_eq!(journal, "030000000000rf6dby5qs1s2b0");
        assert_eq!(key().format(node, Place::Ring(12)), "03g000000000r29yrbmbyddzxr");
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", key()), "ReceiptKey(***)");
    }

    #[test]
    fn a_receipt_of_another_key_is_refused() {
        let receipt = key().format(NodeId::MAX, Place::Ring(0));
        assert_eq!(ReceiptKey::new([8; 32]).parse(&receipt), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back((node, place) in places()) {
            let text = key().format(node, place);
            prop_assert_eq!(text.len(), TEXT_LEN);
            prop_assert_eq!(key().parse(&text), Some((node, place)));
            prop_assert_eq!(key().parse(&text.to_ascii_uppercase()), Some((node, place)));
        }

        #[test]
        fn one_wrong_character_is_refused(
            (node, place) in places(), at in 0..TEXT_LEN, other in "[0-9a-hjkmnp-tv-z]",
        ) {
            let mut text = key().format(node, place);
            prop_assume!(text[at..=at] != other);
            text.replace_range(at..=at, &other);
            prop_assert_eq!(key().parse(&text), None);
        }

        #[test]
        fn anything_else_is_refused_without_harm(text in "\\PC{0,30}") {
            prop_assert_eq!(key().parse(&text), None);
        }
    }
}
