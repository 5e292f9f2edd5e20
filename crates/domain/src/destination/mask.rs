//! Hides secrets in what a receiver answers, however it writes them.
//!
//! An answer may hold a request as it was sent, or as a program prints it: in JSON, in HTML, in a
//! URL. A secret is found in any of these, and in a mixture of them.

/// What stands for a secret.
pub(super) const MASK: &str = "***";
/// The longest way to write one character that is looked for: `&#x0010FFFF;`, in bytes.
const ENTITY_BYTES_MAX: usize = 12;
/// The characters that HTML and XML have names for.
const ENTITIES: [(&str, char); 5] =
    [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];

/// The text with [`MASK`] for each secret.
pub(super) fn masked<'a>(text: &[u8], secrets: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let secrets: Vec<&str> = secrets.filter(|secret| !secret.is_empty()).collect();
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        // One secret may begin as another does.
        match secrets.iter().filter_map(|secret| length_of(secret, rest)).max() {
            Some(length) => {
                made.extend_from_slice(MASK.as_bytes());
                rest = &rest[length..];
            }
            None => {
                made.push(*first);
                rest = after;
            }
        }
    }
    made
}

/// How many bytes the text begins with that can be read as the secret; letters in either case.
fn length_of(secret: &str, text: &[u8]) -> Option<usize> {
    // A backslash, say, is one as it stands and one where two stand: both are followed.
    let mut ends = vec![0];
    for wanted in secret.chars() {
        let mut next: Vec<usize> = Vec::new();
        for end in ends {
            let fitting = readings(&text[end..])
                .filter(|(read, _)| read.eq_ignore_ascii_case(&wanted))
                .map(|(_, length)| end + length);
            next.extend(fitting);
        }
        next.sort_unstable();
        next.dedup();
        ends = next;
        if ends.is_empty() {
            return None;
        }
    }
    ends.last().copied()
}

/// What the first character of a text may be, and how many bytes it takes.
fn readings(text: &[u8]) -> impl Iterator<Item = (char, usize)> {
    let written = match text.first() {
        Some(b'%') => percent_encoded(text),
        Some(b'+') => Some((' ', 1)),
        Some(b'\\') => escaped(text),
        Some(b'&') => entity(text),
        _ => None,
    };
    plain(text).into_iter().chain(written)
}

fn plain(text: &[u8]) -> Option<(char, usize)> {
    let length = character_length(*text.first()?)?;
    let read = std::str::from_utf8(text.get(..length)?).ok()?.chars().next()?;
    Some((read, length))
}

/// How many bytes a character of UTF-8 has that begins so.
fn character_length(first: u8) -> Option<usize> {
    match first {
        0x00..=0x7f => Some(1),
        0xc0..=0xdf => Some(2),
        0xe0..=0xef => Some(3),
        0xf0..=0xf7 => Some(4),
        _ => None,
    }
}

fn percent_encoded(text: &[u8]) -> Option<(char, usize)> {
    let byte = |place: usize| {
        let three = text.get(place * 3..place * 3 + 3)?;
        let digits = three.strip_prefix(b"%")?;
        u8::try_from(hexadecimal(digits)?).ok()
    };
    let length = character_length(byte(0)?)?;
    let bytes: Vec<u8> = (0..length).map_while(byte).collect();
    let (read, taken) = plain(&bytes)?;
    Some((read, taken * 3))
}

/// As in the strings of JSON, and of what looks like them.
fn escaped(text: &[u8]) -> Option<(char, usize)> {
    let read = match text.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return utf_16(text),
        other @ (b'"' | b'\'' | b'\\' | b'/') => char::from(*other),
        _ => return None,
    };
    Some((read, 2))
}

fn utf_16(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::try_from(hexadecimal(digits)?).ok()
    };
    let units = [unit(0)?].into_iter().chain(unit(6));
    let read = char::decode_utf16(units).next()?.ok()?;
    Some((read, read.len_utf16() * 6))
}

fn entity(text: &[u8]) -> Option<(char, usize)> {
    let end = text.iter().take(ENTITY_BYTES_MAX).position(|byte| *byte == b';')?;
    let name = &text[1..end];
    let read = match name.strip_prefix(b"#") {
        Some([b'x' | b'X', digits @ ..]) => char::from_u32(hexadecimal(digits)?)?,
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
            char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?
        }
        Some(_) => return None,
        None => ENTITIES.into_iter().find(|(own, _)| own.as_bytes() == name)?.1,
    };
    Some((read, end + 1))
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    let is_number = digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    u32::from_str_radix(text, 16).ok()
}
