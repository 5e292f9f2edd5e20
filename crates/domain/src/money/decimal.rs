//! Reads decimals exactly: digit by digit, however many there are, into a whole number of the
//! last decimal that is kept. No float is ever made, of JSON numbers neither.

use super::AmountError;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::fmt;

/// A decimal, in units of the last decimal kept.
pub(super) struct Decimal {
    pub(super) number: i64,
    /// Digits other than 0 stood behind the last decimal kept.
    pub(super) rounded: bool,
}

/// Reads a decimal, keeping so many decimals and rounding half to even.
pub(super) fn parse(text: &str, decimals: u8) -> Result<Decimal, AmountError> {
    if text.is_empty() {
        return Err(AmountError::Empty);
    }
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut digits = whole.bytes().chain(fraction.bytes()).peekable();
    if digits.peek().is_none() || !digits.all(|digit| digit.is_ascii_digit()) {
        return Err(AmountError::NotDecimal);
    }
    let fraction = fraction.as_bytes();
    let (kept, rest) = fraction.split_at(fraction.len().min(decimals.into()));
    let zeros = std::iter::repeat_n(b'0', usize::from(decimals) - kept.len());
    let mut number = 0_i128;
    for digit in whole.bytes().chain(kept.iter().copied()).chain(zeros) {
        number = number * 10 + i128::from(digit - b'0');
        if number > i128::from(u64::MAX) {
            return Err(AmountError::OutOfRange);
        }
    }
    if is_rounded_up(number % 2 == 1, rest) {
        number += 1;
    }
    let number = if is_negative { -number } else { number };
    let number = i64::try_from(number).map_err(|_| AmountError::OutOfRange)?;
    Ok(Decimal { number, rounded: has_value(rest) })
}

fn is_rounded_up(is_odd: bool, rest: &[u8]) -> bool {
    match rest.split_first() {
        Some((b'5', behind)) => is_odd || has_value(behind),
        Some((first, _)) => *first > b'5',
        None => false,
    }
}

fn has_value(digits: &[u8]) -> bool {
    digits.iter().any(|digit| *digit != b'0')
}

/// Reads a string or a number that needs no rounding to so many decimals. `range` says what would
/// be in it.
pub(super) fn deserialize_exact<'de, D: Deserializer<'de>>(
    deserializer: D,
    decimals: u8,
    range: fmt::Arguments<'_>,
) -> Result<i64, D::Error> {
    match parse(&deserializer.deserialize_any(Text)?, decimals) {
        Ok(Decimal { number, rounded: false }) => Ok(number),
        Ok(_) => Err(de::Error::custom(AmountError::TooPrecise)),
        Err(AmountError::OutOfRange) => Err(de::Error::custom(range)),
        Err(error) => Err(de::Error::custom(error)),
    }
}

/// The digits of a string or a number.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal such as \"12.5\"")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    /// `serde_json` hands over a number of any precision as a map that only its own type reads.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<String, A::Error> {
        let number = serde_json::Number::deserialize(MapAccessDeserializer::new(map))?;
        Ok(number.to_string())
    }
}
