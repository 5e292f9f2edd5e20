//! Words: the values of a coded column, each once, and the code of each.
//!
//! A code is the place of a word in the order in which words were first seen. Words are bytes:
//! text as it is, numbers in their little-endian bytes.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// The code of a row without a value.
pub(super) const NONE: u32 = u32::MAX;

/// Byte strings one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Words {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, code: usize) -> Option<&[u8]> {
        let end = *self.ends.get(code)?;
        let start = if code == 0 { 0 } else { self.ends[code - 1] };
        Some(&self.bytes[start as usize..end as usize])
    }

    pub(super) fn push(&mut self, word: &[u8]) {
        self.bytes.extend_from_slice(word);
        let end = u32::try_from(self.bytes.len()).expect("generations and row groups are bounded");
        self.ends.push(end);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|code| self.get(code).expect("the code is below the count"))
    }

    /// How much memory it takes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>()
    }
}

/// Words, and the way back from a word to its code.
#[derive(Debug, Default)]
pub(super) struct Interner {
    words: Words,
    codes: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// The word's code; a new one where it was not there.
    pub(super) fn intern(&mut self, word: &[u8]) -> u32 {
        let Self { words, codes, hasher } = self;
        let hash = hasher.hash_one(word);
        let found = codes.find(hash, |code| words.get(*code as usize) == Some(word));
        if let Some(code) = found {
            return *code;
        }
        let code = u32::try_from(words.len()).expect("generations and row groups are bounded");
        words.push(word);
        codes.insert_unique(hash, code, |code| {
            hasher.hash_one(words.get(*code as usize).expect("only codes given out are stored"))
        });
        code
    }

    /// The word's code, where it is there.
    pub(super) fn find(&self, word: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(word);
        self.codes.find(hash, |code| self.words.get(*code as usize) == Some(word)).copied()
    }

    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    pub(super) fn into_words(self) -> Words {
        self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_code_and_a_code_one_word() {
        let mut interner = Interner::default();
        let codes: Vec<_> = [&b"us"[..], b"", b"de", b"us", b""].map(|w| interner.intern(w)).into();
        assert_eq!(codes, [0, 1, 2, 0, 1]);
        assert_eq!(interner.words().iter().collect::<Vec<_>>(), [&b"us"[..], b"", b"de"]);
        assert_eq!(interner.find(b"de"), Some(2));
        assert_eq!(interner.find(b"fr"), None);
        assert_eq!(interner.words().get(3), None);
    }
}
