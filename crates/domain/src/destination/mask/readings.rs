//! All that a text can be read as: each character as it stands, and as what JSON, HTML, a URL or a
//! form writes so, one within another, and in UTF-16.
//!
//! It is read from its end on. What stands for a character is written with characters, and those
//! are known by then with all that may stand for them: so `%252F` is a slash as `%2F` is, and so is
//! `\\\/` in JSON within JSON. How many readings a place has is bounded.

use std::ops::Range;

/// How many bytes one character is written with at the most.
pub(super) const READING_BYTES_MAX: usize = 256;
/// How many readings a place has at the most.
pub(super) const READINGS_MAX: usize = 12;
/// The ASCII characters that HTML has names for.
const NAMES: [(&str, char); 49] = [
    ("AMP", '&'),
    ("DiacriticalGrave", '`'),
    ("GT", '>'),
    ("Hat", '^'),
    ("LT", '<'),
    ("LeftBrace", '{'),
    ("LeftBracket", '['),
    ("NewLine", '\n'),
    ("QUOT", '"'),
    ("RightBrace", '}'),
    ("RightBracket", ']'),
    ("Tab", '\t'),
    ("UnderBar", '_'),
    ("VerticalLine", '|'),
    ("amp", '&'),
    ("apos", '\''),
    ("ast", '*'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("comma", ','),
    ("commat", '@'),
    ("dollar", '$'),
    ("equals", '='),
    ("excl", '!'),
    ("grave", '`'),
    ("gt", '>'),
    ("lbrace", '{'),
    ("lbrack", '['),
    ("lcub", '{'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("lsqb", '['),
    ("lt", '<'),
    ("midast", '*'),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("quest", '?'),
    ("quot", '"'),
    ("rbrace", '}'),
    ("rbrack", ']'),
    ("rcub", '}'),
    ("rpar", ')'),
    ("rsqb", ']'),
    ("semi", ';'),
    ("sol", '/'),
    ("verbar", '|'),
    ("vert", '|'),
];

/// What a text can be read as.
pub(super) struct Readings {
    /// Of each byte of the text, those in `all` that begin there.
    begun: Vec<Range<usize>>,
    /// Each with where it ends.
    all: Vec<(char, usize)>,
}

impl Readings {
    /// Of those that are not printable ASCII only those that are wanted.
    pub(super) fn of(text: &[u8], is_wanted: impl Fn(char) -> bool) -> Self {
        let is_kept = |read: char| matches!(read, ' '..='~') || is_wanted(read);
        let is_kept_by_number = |value| char::from_u32(value).is_some_and(is_kept);
        let mut readings =
            Self { begun: vec![0..0; text.len()], all: Vec::with_capacity(text.len()) };
        for at in (0..text.len()).rev() {
            let from = readings.all.len();
            if let Some((read, length)) = plain(&text[at..]).filter(|(read, _)| is_kept(*read)) {
                readings.all.push((read, at + length));
            }
            // UTF-16, in either order of its bytes.
            if let [0, read @ b' '..=b'~', ..] | [read @ b' '..=b'~', 0, ..] = text[at..] {
                readings.all.push((char::from(read), at + 2));
            }
            let mut next = from;
            while let Some((read, end)) = readings.all.get(next).copied() {
                if readings.all.len() - from >= READINGS_MAX {
                    break;
                }
                next += 1;
                for (value, end) in readings.stood_for(read, end, &is_kept_by_number).iter() {
                    let known = &readings.all[from..];
                    let Some(read) = char::from_u32(value).filter(|read| is_kept(*read)) else {
                        continue;
                    };
                    if known.len() < READINGS_MAX
                        && end - at <= READING_BYTES_MAX
                        && !known.contains(&(read, end))
                    {
                        readings.all.push((read, end));
                    }
                }
            }
            readings.begun[at] = from..readings.all.len();
        }
        readings
    }

    pub(super) fn text_bytes(&self) -> usize {
        self.begun.len()
    }

    /// What begins there, each with where it ends.
    pub(super) fn at(&self, place: usize) -> impl Iterator<Item = (char, usize)> {
        let begun = self.begun.get(place).cloned().unwrap_or_default();
        self.all[begun].iter().copied()
    }

    /// What that character stands for, with what follows it from `end` on.
    fn stood_for(&self, read: char, end: usize, is_kept: &impl Fn(u32) -> bool) -> Found {
        match read {
            '+' => Found::one(' '.into(), end),
            '%' => {
                let mut found = Found::default();
                self.utf_8("%", self.hexadecimal(Found::one(0, end), 2), &mut found);
                found
            }
            '\\' => self.escaped(end),
            '&' => self.entity(end, is_kept),
            _ => Found::default(),
        }
    }

    /// As in the strings of JSON, and of what looks like them.
    fn escaped(&self, end: usize) -> Found {
        let start = Found::one(0, end);
        let mut found = self.then(start, |_, read| match read {
            'b' => Some(0x8),
            'f' => Some(0xc),
            'n' => Some('\n'.into()),
            'r' => Some('\r'.into()),
            't' => Some('\t'.into()),
            '"' | '\'' | '\\' | '/' => Some(read.into()),
            _ => None,
        });
        let bytes = self.hexadecimal(self.literally(start, "x"), 2);
        self.utf_8("\\x", bytes, &mut found);
        // Some write code points so.
        found.add(bytes);
        let units = self.hexadecimal(self.literally(start, "u"), 4);
        found.add(units);
        let high = units.iter().filter(|(unit, _)| matches!(unit, 0xd800..=0xdbff));
        for (unit, end) in high {
            let low = self.hexadecimal(self.literally(Found::one(0, end), "\\u"), 4);
            for (low, end) in low.iter().filter(|(low, _)| matches!(low, 0xdc00..=0xdfff)) {
                found.push((0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), end));
            }
        }
        found
    }

    /// By its number or its name. Browsers read it without a semicolon too.
    fn entity(&self, end: usize, is_kept: &impl Fn(u32) -> bool) -> Found {
        let start = Found::one(0, end);
        let mut found = Found::default();
        let numbers = self.literally(start, "#");
        let hexadecimal = self.then(numbers, |_, read| matches!(read, 'x' | 'X').then_some(0));
        self.numbers(numbers, 10, is_kept, &mut found);
        self.numbers(hexadecimal, 16, is_kept, &mut found);
        for (name, character) in NAMES {
            if !self.at(end).any(|(read, _)| name.starts_with(read)) {
                continue;
            }
            let named = self.literally(start, name);
            for (_, end) in named.iter() {
                self.closed(Found::one(character.into(), end), &mut found);
            }
        }
        found
    }

    /// All numbers that can be read with one digit or more, of those that are kept.
    fn numbers(
        &self,
        mut begun: Found,
        base: u32,
        is_kept: &impl Fn(u32) -> bool,
        found: &mut Found,
    ) {
        for _ in 0..READING_BYTES_MAX {
            if begun.count == 0 {
                return;
            }
            begun = self.then(begun, |value, read| {
                let value = value * base + read.to_digit(base)?;
                (value <= char::MAX.into()).then_some(value)
            });
            for (value, end) in begun.iter().filter(|(value, _)| is_kept(*value)) {
                self.closed(Found::one(value, end), found);
            }
        }
    }

    /// With a semicolon, and without one.
    fn closed(&self, begun: Found, found: &mut Found) {
        found.add(begun);
        found.add(self.then(begun, |value, read| (read == ';').then_some(value)));
    }

    /// Characters of UTF-8, of whose bytes the first are `begun`, and each other is written behind
    /// `sign`.
    fn utf_8(&self, sign: &str, begun: Found, found: &mut Found) {
        for (byte, end) in begun.iter() {
            let (others, bits) = match byte {
                0x00..=0x7f => (0, byte),
                0xc2..=0xdf => (1, byte & 0x1f),
                0xe0..=0xef => (2, byte & 0xf),
                0xf0..=0xf4 => (3, byte & 0x7),
                _ => continue,
            };
            let mut read = Found::one(bits, end);
            for _ in 0..others {
                read = self.literally(read, sign);
                read = self.then(read, |value, read| match read.to_digit(16)? {
                    high @ 0x8..=0xb => Some(value << 2 | high & 0x3),
                    _ => None,
                });
                read = self.hexadecimal(read, 1);
            }
            found.add(read);
        }
    }

    fn hexadecimal(&self, mut found: Found, digits: usize) -> Found {
        for _ in 0..digits {
            if found.count == 0 {
                break;
            }
            found = self.then(found, |value, read| Some(value << 4 | read.to_digit(16)?));
        }
        found
    }

    fn literally(&self, mut found: Found, text: &str) -> Found {
        for wanted in text.chars() {
            if found.count == 0 {
                break;
            }
            found = self.then(found, |value, read| (read == wanted).then_some(value));
        }
        found
    }

    /// With one more character, of which `value` makes what it has been so far to what it is then.
    fn then(&self, found: Found, value: impl Fn(u32, char) -> Option<u32>) -> Found {
        let mut next = Found::default();
        for (was, end) in found.iter() {
            for (read, end) in self.at(end) {
                if let Some(value) = value(was, read) {
                    next.push((value, end));
                }
            }
        }
        next
    }
}

/// What was found so far: numbers, and where each ends. As many as a place has readings.
#[derive(Clone, Copy, Default)]
struct Found {
    all: [(u32, usize); READINGS_MAX],
    count: usize,
}

impl Found {
    fn one(value: u32, end: usize) -> Self {
        let mut found = Self::default();
        found.push((value, end));
        found
    }

    fn push(&mut self, new: (u32, usize)) {
        if self.count < READINGS_MAX && !self.all[..self.count].contains(&new) {
            self.all[self.count] = new;
            self.count += 1;
        }
    }

    fn add(&mut self, others: Self) {
        others.iter().for_each(|other| self.push(other));
    }

    fn iter(&self) -> impl Iterator<Item = (u32, usize)> {
        self.all[..self.count].iter().copied()
    }
}

/// A text's first character, and how many bytes it has.
fn plain(text: &[u8]) -> Option<(char, usize)> {
    let length = match text.first()? {
        0x00..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return None,
    };
    let read = std::str::from_utf8(text.get(..length)?).ok()?.chars().next()?;
    Some((read, length))
}
