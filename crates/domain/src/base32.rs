//! Crockford's base32, in lower case: what click ids, receipts and tokens are written in.
//!
//! It survives partners that fold case, and people who read it aloud. Each value has exactly one
//! text up to case and the folds `o`→0, `i`/`l`→1: bits that are left over are zero and checked.

use std::iter;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What stands in [`VALUES`] for a byte that is no digit.
const NO_DIGIT: u8 = 0xFF;

/// The value of each byte as a digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 32_u8 {
        let digit = ALPHABET[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values[b'o' as usize] = 0;
    values[b'O' as usize] = 0;
    values[b'i' as usize] = 1;
    values[b'I' as usize] = 1;
    values[b'l' as usize] = 1;
    values[b'L' as usize] = 1;
    values
};

/// How many characters `bytes` bytes take.
pub const fn text_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Writes `bytes` to `text`, which has [`text_len`] bytes.
pub fn encode(bytes: &[u8], text: &mut [u8]) {
    assert_eq!(text.len(), text_len(bytes.len()), "the text is as long as the bytes need");
    let mut digits = text.iter_mut();
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            if let Some(digit) = digits.next() {
                *digit = ALPHABET[(held >> bits & 31) as usize];
            }
        }
    }
    if let Some(digit) = digits.next() {
        *digit = ALPHABET[(held << (5 - bits) & 31) as usize];
    }
}

/// `bytes` as text.
pub fn to_string(bytes: &[u8]) -> String {
    let mut text = vec![0; text_len(bytes.len())];
    encode(bytes, &mut text);
    String::from_utf8(text).expect("the alphabet is ASCII")
}

/// Reads `text` into `bytes`. `None`, with `bytes` in any state, where the length is not
/// [`text_len`] of `bytes`, a character is no digit, or a spare bit is not zero.
pub fn decode(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if text.len() != text_len(bytes.len()) {
        return None;
    }
    let mut digits = text.iter().map(|digit| VALUES[usize::from(*digit)]);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        while bits < 8 {
            let value = digits.next().filter(|value| *value != NO_DIGIT)?;
            held = held << 5 | u32::from(value);
            bits += 5;
        }
        bits -= 8;
        *byte = (held >> bits & 0xFF) as u8;
        held &= (1 << bits) - 1;
    }
    iter::once(held).chain(digits.map(u32::from)).all(|spare| spare == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bits_are_read_from_the_front() {
        assert_eq!(to_string(&[]), "");
        assert_eq!(to_string(&[0xFF]), "zw");
        assert_eq!(to_string(&[0, 0, 0, 0, 1]), "00000001");
        assert_eq!(to_string(b"counterfoil"), "cdqqavkmcns6cvv9dg");
    }

    #[test]
    fn a_wrong_length_character_or_spare_bit_is_refused() {
        let mut byte = [0];
        assert_eq!(decode(b"zw", &mut byte), Some(()));
        assert_eq!(byte, [0xFF]);
        for text in ["", "z", "zww", "zx", "zu", "z ", "z-", "z\u{e4}", "zz"] {
            assert_eq!(decode(text.as_bytes(), &mut byte), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes: Vec<u8>, upper: bool) {
            let mut text = to_string(&bytes);
            if upper {
                text = text.to_ascii_uppercase().replace('0', "O").replace('1', "L");
            }
            let mut read = vec![0; bytes.len()];
            prop_assert_eq!(decode(text.as_bytes(), &mut read), Some(()));
            prop_assert_eq!(read, bytes);
        }

        #[test]
        fn a_text_that_reads_is_the_one_that_is_written(text in "[0-9a-zA-Z]{0,40}") {
            let mut bytes = vec![0; text.len() * 5 / 8];
            if decode(text.as_bytes(), &mut bytes).is_some() {
                let folded = text.to_ascii_lowercase().replace('o', "0").replace(['i', 'l'], "1");
                prop_assert_eq!(to_string(&bytes), folded);
            }
        }
    }
}
