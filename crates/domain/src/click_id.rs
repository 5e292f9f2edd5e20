//! Click ids: made here, and refused without a look-up where they were not.
//!
//! An id is 128 bits, most significant first, so that the order of the bytes is the order in
//! time: 48 bits of Unix milliseconds, 32 of link, 10 of node, 18 of counter, 20 random. Its text
//! is the id followed by a 48-bit MAC under the key in force at the id's own time.

use crate::base32;
use crate::id::{LinkId, NodeId};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

/// How many characters the text of a click id has.
pub const TEXT_LEN: usize = base32::text_len(ID_BYTES + MAC_BYTES);
/// The last millisecond an id can hold, in the year 10889.
pub const AT_MS_MAX: u64 = (1 << 48) - 1;

const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 6;
/// Keeps these MACs apart from any other use of the same key.
const DOMAIN: &[u8] = b"counterfoil click id 1";

const COUNTER_BITS: u32 = 18;
const COUNTER_MAX: u32 = (1 << COUNTER_BITS) - 1;
/// A millisecond's counter starts below this, so that each has room for 131,072 ids at least.
const COUNTER_START_MASK: u64 = (1 << (COUNTER_BITS - 1)) - 1;
const RANDOM_BITS: u32 = 20;
const RANDOM_MASK: u64 = (1 << RANDOM_BITS) - 1;

/// A click's id, without its MAC. Ordered by time, then link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClickId([u8; ID_BYTES]);

impl ClickId {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// When the click was made, in Unix milliseconds.
    pub fn at_ms(self) -> u64 {
        (self.bits() >> 80) as u64
    }

    pub fn link(self) -> LinkId {
        LinkId((self.bits() >> 48 & 0xFFFF_FFFF) as u32)
    }

    /// The node whose journal holds the click.
    pub fn node(self) -> NodeId {
        let number = (self.bits() >> 38 & 0x3FF) as u16;
        NodeId::new(number).expect("ten bits are a node")
    }

    /// What tells the clicks of one millisecond apart: it only grows within one.
    pub fn counter(self) -> u32 {
        (self.bits() >> RANDOM_BITS & 0x3_FFFF) as u32
    }

    fn bits(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

/// In hexadecimal: the text strangers see needs the [`Keyring`].
impl fmt::Debug for ClickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClickId({:032x})", self.bits())
    }
}

/// A click id as strangers see it: 36 characters of lower-case base32.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClickIdText([u8; TEXT_LEN]);

impl ClickIdText {
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("base32 is ASCII")
    }

    pub const fn as_bytes(&self) -> &[u8; TEXT_LEN] {
        &self.0
    }
}

impl AsRef<[u8]> for ClickIdText {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ClickIdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ClickIdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The keys that click ids are signed with, each in force from an instant until the next one's.
#[derive(Clone)]
pub struct Keyring(Vec<Key>);

#[derive(Clone)]
struct Key {
    from_ms: u64,
    /// Keyed and with the domain taken in: an id costs two blocks of SHA-256.
    mac: Hmac<Sha256>,
}

impl Keyring {
    /// Keys with the Unix millisecond each is in force from, in any order. `None` without a key,
    /// or with two from one instant.
    pub fn new(keys: impl IntoIterator<Item = (u64, [u8; 32])>) -> Option<Self> {
        let mut keys: Vec<Key> = keys
            .into_iter()
            .map(|(from_ms, secret)| {
                let mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length is a key");
                Key { from_ms, mac: mac.chain_update(DOMAIN) }
            })
            .collect();
        keys.sort_unstable_by_key(|key| key.from_ms);
        let is_clear = keys.windows(2).all(|pair| pair[0].from_ms < pair[1].from_ms);
        (is_clear && !keys.is_empty()).then_some(Self(keys))
    }

    /// The text of an id. That of an id older than the oldest key is made with the oldest, and
    /// [`Keyring::parse`] refuses it.
    pub fn format(&self, id: ClickId) -> ClickIdText {
        let key = self.key_at(id.at_ms()).unwrap_or(&self.0[0]);
        let mac = key.mac.clone().chain_update(id.0).finalize().into_bytes();
        let mut bytes = [0; ID_BYTES + MAC_BYTES];
        bytes[..ID_BYTES].copy_from_slice(&id.0);
        bytes[ID_BYTES..].copy_from_slice(&mac[..MAC_BYTES]);
        let mut text = [0; TEXT_LEN];
        base32::encode(&bytes, &mut text);
        ClickIdText(text)
    }

    /// The id, where the text is one that was made with these keys, whatever its case. What is
    /// not 36 digits costs no hashing; MACs are compared in constant time.
    pub fn parse(&self, text: impl AsRef<[u8]>) -> Option<ClickId> {
        let mut bytes = [0; ID_BYTES + MAC_BYTES];
        base32::decode(text.as_ref(), &mut bytes)?;
        let (id, mac) = bytes.split_first_chunk().expect("an id is shorter than its text");
        let id = ClickId(*id);
        let key = self.key_at(id.at_ms())?;
        key.mac.clone().chain_update(id.0).verify_truncated_left(mac).ok()?;
        Some(id)
    }

    /// The key in force at an instant; `None` before the first.
    fn key_at(&self, at_ms: u64) -> Option<&Key> {
        self.0.iter().rev().find(|key| key.from_ms <= at_ms)
    }
}

/// Whether two texts are one id, where they are ids at all: digits that look alike are alike.
pub(crate) fn are_same(one: &str, other: &str) -> bool {
    let decoded = |text: &str| {
        let mut bytes = [0; ID_BYTES + MAC_BYTES];
        base32::decode(text.as_bytes(), &mut bytes).map(|()| bytes)
    };
    one == other || decoded(one).is_some_and(|id| decoded(other) == Some(id))
}

/// Shows since when the keys hold, never the keys.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring")
            .field(&self.0.iter().map(|key| key.from_ms).collect::<Vec<_>>())
            .finish()
    }
}

/// Makes the click ids of one node. Time and counter of its ids, taken together, only grow.
#[derive(Debug)]
pub struct Minter {
    node: NodeId,
    ms: u64,
    counter: u32,
}

impl Minter {
    /// A minter whose ids are all later than the millisecond `floor_ms`: after a restart, the
    /// latest that any id of this node may hold.
    pub fn new(node: NodeId, floor_ms: u64) -> Self {
        Self { node, ms: floor_ms, counter: COUNTER_MAX }
    }

    /// A new id. Where the clock went back, or a millisecond is used up, it is in the
    /// millisecond of the last id or in the next.
    ///
    /// Of `random`, all bits drawn for this id, 37 are used.
    pub fn next(&mut self, now_ms: u64, link: LinkId, random: u64) -> ClickId {
        if now_ms > self.ms || self.counter == COUNTER_MAX {
            self.ms = now_ms.max(self.ms + 1);
            self.counter = (random >> RANDOM_BITS & COUNTER_START_MASK) as u32;
        } else {
            self.counter += 1;
        }
        assert!(self.ms <= AT_MS_MAX, "the time fits an id until the year 10889");
        let bits = u128::from(self.ms) << 80
            | u128::from(link.0) << 48
            | u128::from(self.node.get()) << 38
            | u128::from(self.counter) << RANDOM_BITS
            | u128::from(random & RANDOM_MASK);
        ClickId(bits.to_be_bytes())
    }

    /// The latest millisecond any id made so far holds, or the floor.
    pub fn latest_ms(&self) -> u64 {
        self.ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_795_000_000_000;

    fn keyring() -> Keyring {
        Keyring::new([(0, [1; 32]), (NOW_MS, [2; 32])]).unwrap()
    }

    fn id(at_ms: u64, rest: u128) -> ClickId {
        ClickId::from_bytes((u128::from(at_ms) << 80 | rest & ((1 << 80) - 1)).to_be_bytes())
    }

    #[test]
    fn an_id_says_when_where_and_by_which_link() {
        let node = NodeId::new(1001).unwrap();
        let mut minter = Minter::new(node, 0);
        let id = minter.next(NOW_MS, LinkId(0xDEAD_BEEF), u64::MAX);
        assert_eq!(id.at_ms(), NOW_MS);
        assert_eq!(id.link(), LinkId(0xDEAD_BEEF));
        assert_eq!(id.node(), node);
        assert_eq!(u64::from(id.counter()), COUNTER_START_MASK);
        let next = minter.next(NOW_MS, LinkId(0xDEAD_BEEF), 0);
        assert_eq!(next.counter(), id.counter() + 1);
        assert_eq!(format!("{id:?}"), format!("ClickId({:032x})", id.bits()));
    }

    /// The text is for ever: it stands in partners' reports.
    #[test]
    fn the_text_of_an_id_is_stable() {
        let text = |id| keyring().format(id).to_string();
        let first = id(NOW_MS - 1, 0);
        assert_eq!(text(first), "06gywnjxzw0000000000000000p3aqjp7z00");
        let second = id(NOW_MS, 0x0123_4567_89ab_cdef_0123);
        assert_eq!(text(second), "06gywnjy000j6hb7h6nwvvr14fgtf4zs9mwg");
    }

    #[test]
    fn the_key_is_the_one_in_force_at_the_ids_own_time() {
        let ids = [id(NOW_MS - 1, 7), id(NOW_MS, 7)];
        let [old, new] = ids.map(|id| keyring().format(id));
        let first = Keyring::new([(0, [1; 32])]).unwrap();
        assert_eq!(first.parse(old), Some(ids[0]));
        assert_eq!(first.parse(new), None);
        let second = Keyring::new([(NOW_MS, [2; 32])]).unwrap();
        assert_eq!(second.parse(old), None);
        assert_eq!(second.parse(new), Some(ids[1]));
        assert_eq!(second.parse(second.format(ids[0])), None, "older than every key");
    }

    #[test]
    fn a_keyring_has_a_key_and_no_doubt_which() {
        assert!(Keyring::new([]).is_none());
        assert!(Keyring::new([(5, [1; 32]), (0, [2; 32]), (5, [3; 32])]).is_none());
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?}", Keyring::new([(0, [0xAB; 32])]).unwrap());
        assert_eq!(shown, "Keyring([0])");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let text = keyring().format(id(NOW_MS, 7)).to_string();
        let long = format!("{text}0");
        let blank = format!(" {}", &text[1..]);
        let of_another_platform = "102a5c1b9a2d4f0e8b7c6d5e4f3a2b1c0d9e";
        for text in ["", "c_94f1f2", &text[..35], &long, &blank, of_another_platform] {
            assert_eq!(keyring().parse(text), None, "{text:?}");
        }
        assert_eq!(keyring().parse([0xFF; 36]), None);
    }

    #[test]
    fn a_spare_bit_that_is_set_is_refused() {
        let text = *keyring().format(id(NOW_MS, 7)).as_bytes();
        let digits = b"0123456789abcdefghjkmnpqrstvwxyz";
        for last in digits.iter().filter(|last| **last != text[35]) {
            let mut changed = text;
            changed[35] = *last;
            assert_eq!(keyring().parse(changed), None, "{}", char::from(*last));
        }
    }

    /// What makes ids unique: on one node, no two have the same millisecond and counter, for
    /// every id is after the one before, over 10⁷ ids, clocks that step back and restarts.
    #[test]
    fn ten_million_ids_are_ten_million_ids() {
        let mut minter = Minter::new(NodeId::MAX, NOW_MS);
        let (mut last, mut now_ms, mut random) = ((NOW_MS, COUNTER_MAX), NOW_MS, 0x9E37_u64);
        for step in 0..10_000_000_u64 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E);
            match random >> 44 {
                0..1000 => now_ms -= random & 0xFFF,
                1000..200_000 => now_ms += 1,
                200_000..200_010 => minter = Minter::new(NodeId::MAX, minter.latest_ms()),
                _ => {}
            }
            let id = minter.next(now_ms, LinkId(1), random ^ step);
            let this = (id.at_ms(), id.counter());
            assert!(this > last, "step {step}");
            assert!(id.at_ms() >= now_ms);
            last = this;
        }
    }

    #[test]
    fn a_clock_that_went_back_leaves_the_time_where_it_is() {
        let mut minter = Minter::new(NodeId::MAX, 0);
        let first = minter.next(NOW_MS, LinkId(1), 0);
        let second = minter.next(NOW_MS - 3_600_000, LinkId(1), u64::MAX);
        assert_eq!((second.at_ms(), second.counter()), (NOW_MS, first.counter() + 1));
        assert_eq!(minter.latest_ms(), NOW_MS);
    }

    #[test]
    fn a_millisecond_that_is_used_up_borrows_the_next() {
        let mut minter = Minter::new(NodeId::MAX, 0);
        let first = minter.next(NOW_MS, LinkId(1), u64::MAX);
        for _ in 0..=COUNTER_START_MASK {
            assert_eq!(minter.next(NOW_MS, LinkId(1), 0).at_ms(), NOW_MS);
        }
        let borrowed = minter.next(NOW_MS, LinkId(1), 0);
        assert_eq!((borrowed.at_ms(), borrowed.counter()), (NOW_MS + 1, 0));
        assert!(borrowed > first);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(at_ms in 0..=AT_MS_MAX, rest: u128, flips: u64) {
            let id = id(at_ms, rest);
            let text = keyring().format(id);
            prop_assert_eq!(keyring().parse(text), Some(id));
            // Any case, and o, i and l for what they look like.
            let folded: Vec<u8> = text
                .as_bytes()
                .iter()
                .enumerate()
                .map(|(place, digit)| match (flips >> place & 1, digit, place % 2) {
                    (0, digit, _) => *digit,
                    (_, b'0', _) => b'O',
                    (_, b'1', 0) => b'i',
                    (_, b'1', _) => b'L',
                    (_, digit, _) => digit.to_ascii_uppercase(),
                })
                .collect();
            prop_assert_eq!(keyring().parse(folded), Some(id));
        }

        #[test]
        fn one_wrong_character_is_refused(rest: u128, place in 0..TEXT_LEN, other: u8) {
            let text = *keyring().format(id(NOW_MS, rest)).as_bytes();
            let mut changed = text;
            changed[place] = other;
            let fold = |digit: u8| match digit.to_ascii_lowercase() {
                b'o' => b'0',
                b'i' | b'l' => b'1',
                digit => digit,
            };
            prop_assume!(fold(other) != text[place]);
            prop_assert_eq!(keyring().parse(changed), None);
        }

        #[test]
        fn an_id_of_another_key_is_refused(rest: u128, secret: [u8; 32]) {
            prop_assume!(secret != [2; 32]);
            let other = Keyring::new([(0, secret)]).unwrap();
            prop_assert_eq!(keyring().parse(other.format(id(NOW_MS, rest))), None);
        }

        #[test]
        fn the_order_of_the_bytes_is_the_order_in_time(a in 0..=AT_MS_MAX, b in 0..=AT_MS_MAX, rest: u128) {
            prop_assume!(a != b);
            prop_assert_eq!(id(a, rest).cmp(&id(b, !rest)), a.cmp(&b));
        }
    }
}
