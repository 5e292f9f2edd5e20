//! Hides secrets in what a receiver answers, however it writes them.
//!
//! An answer may hold a request as it was sent, or as programs print it: in JSON, in HTML, in a
//! URL, and one within another. All that a text can be read as is found once; then all places of
//! all secrets are followed through it at the same time, a bit for each. So it takes as long for
//! what nearly is a secret as for anything else.

mod readings;
#[cfg(test)]
mod tests;

use readings::{READING_BYTES_MAX, Readings};
use std::collections::BTreeMap;

/// What stands for a secret.
pub(super) const MASK: &str = "***";
/// How much of an answer is read, in bytes: one that is as long may go on.
pub const ANSWER_READ_BYTES_MAX: usize = 64 * 1024;
/// How much of it is kept, in bytes.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// How long a secret may be, in bytes.
pub const SECRET_BYTES_MAX: usize = 2 * 1024;
/// How long all secrets of a destination may be together, in bytes: every answer is held against each
/// place of them.
pub const SECRETS_BYTES_MAX: usize = 4 * 1024;
/// How many bytes a secret's characters are written with on average, at the most, for its end to be
/// looked for. Of one that takes more, the beginning is masked.
const WRITTEN_BYTES_MAX: usize = 24;

/// The beginning of a text, with [`MASK`] for the secrets. What is cut off of it hides none: one
/// that is not there to its end is masked as well.
pub(super) fn masked<'a>(text: &[u8], secrets: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let kept = &text[..text.len().min(ANSWER_BYTES_MAX)];
    let Some(sought) = Sought::of(secrets) else { return kept.to_vec() };
    let reach = ANSWER_BYTES_MAX + sought.longest * WRITTEN_BYTES_MAX + 2 * READING_BYTES_MAX;
    let looked_at = &text[..text.len().min(reach)];
    let is_cut = looked_at.len() < text.len() || text.len() >= ANSWER_READ_BYTES_MAX;
    let readings = Readings::of(looked_at, |read| sought.places.contains_key(&folded(read)));
    let hidden = sought.hidden(&readings, kept.len(), is_cut);
    let mut made = Vec::with_capacity(kept.len());
    let mut was_hidden = false;
    for (byte, is_hidden) in kept.iter().zip(hidden) {
        match (was_hidden, is_hidden) {
            (_, false) => made.push(*byte),
            (false, true) => made.extend_from_slice(MASK.as_bytes()),
            (true, true) => {}
        }
        was_hidden = is_hidden;
    }
    made
}

/// Letters are the same in either case: `%2f` is `%2F`.
fn folded(character: char) -> char {
    character.to_ascii_lowercase()
}

/// Places in secrets, a bit for each. Those of one secret are followed by one behind its end, and
/// that by those of the next secret.
type Places = Vec<u64>;

/// The secrets.
struct Sought {
    /// Where each character stands in them.
    places: BTreeMap<char, Places>,
    beginnings: Places,
    ends: Places,
    /// How many characters the longest has.
    longest: usize,
}

impl Sought {
    /// `None`: there are none.
    fn of<'a>(secrets: impl Iterator<Item = &'a str>) -> Option<Self> {
        let secrets: Vec<&str> = secrets.filter(|secret| !secret.is_empty()).collect();
        let count = |secret: &&str| secret.chars().count();
        let longest = secrets.iter().map(count).max()?;
        let all = secrets.iter().map(|secret| count(secret) + 1).sum::<usize>();
        let none = vec![0; all.div_ceil(64)];
        let mut sought =
            Self { places: BTreeMap::new(), beginnings: none.clone(), ends: none.clone(), longest };
        let mut place = 0;
        let mark = |places: &mut Places, place: usize| places[place / 64] |= 1 << (place % 64);
        for secret in secrets {
            mark(&mut sought.beginnings, place);
            for character in secret.chars() {
                let own = sought.places.entry(folded(character)).or_insert_with(|| none.clone());
                mark(own, place);
                place += 1;
            }
            mark(&mut sought.ends, place);
            place += 1;
        }
        Some(sought)
    }

    /// Whether each of the first `kept` bytes is of a secret.
    fn hidden(&self, readings: &Readings, kept: usize, is_cut: bool) -> Vec<bool> {
        let words = self.ends.len();
        let fitting = self.fitting(readings, is_cut);
        let mut hidden = vec![false; kept];
        // The places that are reached from a beginning, and go on to an end.
        let mut reached = vec![0; kept * words];
        for at in 0..kept {
            let (before, behind) = reached.split_at_mut((at + 1) * words);
            let own = &mut before[at * words..];
            for (word, own) in own.iter_mut().enumerate() {
                *own |= self.beginnings[word] & fitting[at * words + word];
            }
            if own.iter().all(|own| *own == 0) {
                continue;
            }
            for (places, end) in self.steps(readings, at) {
                let mut carried = 0;
                let mut is_any = false;
                for word in 0..words {
                    let stepping = own[word] & places[word];
                    let stepped = (stepping << 1 | carried) & fitting[end * words + word];
                    carried = stepping >> 63;
                    is_any |= stepped != 0;
                    if end < kept {
                        behind[(end - at - 1) * words + word] |= stepped;
                    }
                }
                if is_any {
                    hidden[at..end.min(kept)].fill(true);
                }
            }
        }
        hidden
    }

    /// For each place in the text the places in secrets from which on it can be read to their end.
    fn fitting(&self, readings: &Readings, is_cut: bool) -> Places {
        let words = self.ends.len();
        let length = readings.text_bytes();
        let mut all = vec![0; (length + 1) * words];
        for at in (0..=length).rev() {
            let (before, behind) = all.split_at_mut((at + 1) * words);
            let own = &mut before[at * words..];
            if is_cut && at + READING_BYTES_MAX >= length {
                // Whatever it would have become.
                own.fill(u64::MAX);
                continue;
            }
            own.copy_from_slice(&self.ends);
            for (places, end) in self.steps(readings, at) {
                let next = &behind[(end - at - 1) * words..][..words];
                for word in 0..words {
                    let carried = next.get(word + 1).map_or(0, |next| next << 63);
                    own[word] |= (next[word] >> 1 | carried) & places[word];
                }
            }
        }
        all
    }

    /// What a text can be read as from there on, by the places of that in secrets, and where it
    /// ends.
    fn steps<'s>(
        &'s self,
        readings: &'s Readings,
        at: usize,
    ) -> impl Iterator<Item = (&'s Places, usize)> {
        let known = |(character, end)| Some((self.places.get(&folded(character))?, end));
        readings.at(at).filter_map(known)
    }
}
