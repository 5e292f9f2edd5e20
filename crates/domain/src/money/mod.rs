//! Money: exact amounts, currencies and percentages.
//!
//! An amount is a whole number of millionths of its currency's unit, never a float. There are no
//! operators: what could overflow answers `None`. Decimals are read strictly, for a guess at what
//! `1,50` means costs somebody money.

mod currency;
mod decimal;
mod percent;

pub use currency::{Currency, CurrencyError};
pub use percent::Percent;

use decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

const DECIMALS: u8 = 6;
const MICROS_PER_UNIT: i64 = 1_000_000;
/// The most one conversion is worth, 1,000,000,000 units: above it somebody wrote something else,
/// and sums over many could not be written.
pub const AMOUNT_MAX: Micros = Micros(1_000_000_000 * MICROS_PER_UNIT);
/// How many decimals an amount is shown with at least where it is money to a person.
const DECIMALS_SHOWN_MIN: usize = 2;

/// An amount in millionths of a currency's unit.
///
/// JSON has it as a decimal string, and a JSON number is read by its digits; binary formats have
/// it as `i64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

/// An amount as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub amount: Micros,
    /// Digits other than 0 stood after the sixth decimal.
    pub rounded: bool,
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    Empty,
    /// It is not digits with at most one point, and a minus before them.
    NotDecimal,
    /// It would have to be rounded, where that is not done.
    TooPrecise,
    /// Its kind of amount does not go so high, or so low.
    OutOfRange,
}

impl fmt::Display for AmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty, not a decimal such as 12.5",
            Self::NotDecimal => "not a decimal such as 12.5",
            Self::TooPrecise => "more decimals than are kept",
            Self::OutOfRange => "out of range",
        })
    }
}

impl std::error::Error for AmountError {}

impl Micros {
    pub const ZERO: Self = Self(0);

    /// Reads a decimal in units: digits, at most one point among or beside them (`5`, `12.5`,
    /// `.5`, `5.`), a minus before them. More than six decimals are rounded, half to even.
    ///
    /// Whatever has two readings is an error: `1,50`, `1 000`, `1_000`, `1e9`, `0x5`, and `+5`,
    /// which may mean five more. So are `NaN`, `inf` and blanks around: the caller trims.
    pub fn parse(text: &str) -> Result<Parsed, AmountError> {
        let Decimal { number, rounded } = decimal::parse(text, DECIMALS)?;
        Ok(Parsed { amount: Self(number), rounded })
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    pub fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The decimal that people read: two decimals at least (`5.00`, `2.35`, `0.000001`).
    pub fn to_fixed(self) -> String {
        struct Fixed(Micros);
        impl fmt::Display for Fixed {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(f, DECIMALS_SHOWN_MIN)
            }
        }
        Fixed(self).to_string()
    }

    fn write(self, f: &mut fmt::Formatter<'_>, decimals_min: usize) -> fmt::Result {
        let units = (self.0 / MICROS_PER_UNIT).unsigned_abs();
        let mut fraction = (self.0 % MICROS_PER_UNIT).unsigned_abs();
        let mut decimals = usize::from(DECIMALS);
        while decimals > decimals_min && fraction.is_multiple_of(10) {
            fraction /= 10;
            decimals -= 1;
        }
        if self.is_negative() {
            f.write_str("-")?;
        }
        write!(f, "{units}")?;
        if decimals > 0 { write!(f, ".{fraction:0decimals$}") } else { Ok(()) }
    }
}

/// The shortest decimal: `5`, `2.35`, `-0.5`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

/// What would be rounded is an error here: whoever writes a setup means what they write.
impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let range = format_args!("an amount is at most {AMOUNT_MAX}");
            decimal::deserialize_exact(deserializer, DECIMALS, range).map(Self)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<(i64, bool), AmountError> {
        Micros::parse(text).map(|parsed| (parsed.amount.0, parsed.rounded))
    }

    #[test]
    fn a_decimal_is_read_digit_by_digit() {
        let cases = [
            ("12.5", 12_500_000),
            ("-5", -5_000_000),
            ("-0", 0),
            (".5", 500_000),
            ("5.", 5_000_000),
            ("-.000001", -1),
            ("007.50", 7_500_000),
            ("1.50000000000000000000", 1_500_000),
            ("9223372036854.775807", i64::MAX),
            ("-9223372036854.775808", i64::MIN),
        ];
        for (text, micros) in cases {
            assert_eq!(read(text), Ok((micros, false)), "{text}");
        }
    }

    #[test]
    fn a_seventh_decimal_rounds_half_to_even_and_is_told() {
        let cases = [
            ("0.30000000000000004", 300_000),
            ("0.0000005", 0),
            ("0.0000015", 2),
            ("0.0000025", 2),
            ("0.00000250000000000000000000001", 3),
            ("0.0000024999999999999999999999", 2),
            ("-0.0000015", -2),
            ("-0.0000025", -2),
            ("0.9999996", 1_000_000),
            ("9223372036854.7758074", i64::MAX),
        ];
        for (text, micros) in cases {
            assert_eq!(read(text), Ok((micros, true)), "{text}");
        }
    }

    #[test]
    fn what_has_two_readings_or_none_is_no_amount() {
        let texts = [
            "1,50",
            "1.234,50",
            "1,234.50",
            "1e9",
            "1E-3",
            "NaN",
            "nan",
            "inf",
            "Infinity",
            "+5",
            "--5",
            "-",
            ".",
            "-.",
            "1.2.3",
            "0x10",
            "1 000",
            " 5",
            "5 ",
            "1_000",
            "$5",
            "5USD",
            "5-",
            "\u{2212}5",
            "\u{665}",
            "{payout}",
            "1.5\0",
            "1.-5",
        ];
        for text in texts {
            assert_eq!(read(text), Err(AmountError::NotDecimal), "{text:?}");
        }
        assert_eq!(read(""), Err(AmountError::Empty));
    }

    #[test]
    fn an_amount_that_does_not_fit_is_refused_whatever_its_length() {
        let long = "9".repeat(100_000);
        let texts =
            ["99999999999999999999", "9223372036854.775808", "9223372036854.7758075", &long];
        for text in texts {
            assert_eq!(read(text), Err(AmountError::OutOfRange), "{text}");
        }
        let zeros = format!("{}5.{}", "0".repeat(100_000), "0".repeat(100_000));
        assert_eq!(read(&zeros), Ok((5_000_000, false)));
    }

    #[test]
    fn the_shortest_decimal_and_the_one_for_people() {
        let cases = [
            (0, "0", "0.00"),
            (5_000_000, "5", "5.00"),
            (2_350_000, "2.35", "2.35"),
            (-500_000, "-0.5", "-0.50"),
            (1, "0.000001", "0.000001"),
            (1_234_000, "1.234", "1.234"),
            (i64::MIN, "-9223372036854.775808", "-9223372036854.775808"),
        ];
        for (micros, short, fixed) in cases {
            assert_eq!(Micros(micros).to_string(), short);
            assert_eq!(Micros(micros).to_fixed(), fixed);
        }
    }

    #[test]
    fn arithmetic_that_overflows_says_so() {
        let (low, one) = (Micros(i64::MIN), Micros(1));
        assert_eq!(low.checked_neg(), None);
        assert_eq!(low.checked_sub(one), None);
        assert_eq!(Micros(i64::MAX).checked_add(one), None);
        assert_eq!(Micros(2).checked_sub(one), Some(one));
    }

    #[test]
    fn json_numbers_are_read_by_their_digits() {
        let read = |json: &str| serde_json::from_str::<Micros>(json);
        for json in ["2.35", r#""2.35""#] {
            assert_eq!(read(json).unwrap(), Micros(2_350_000), "{json}");
        }
        assert_eq!(read("9007199254740.993").unwrap(), Micros(9_007_199_254_740_993_000));
        assert_eq!(read("-3").unwrap(), Micros(-3_000_000));
        let value = serde_json::json!({ "revenue": 5 });
        assert_eq!(
            serde_json::from_value::<Micros>(value["revenue"].clone()).unwrap().0,
            5_000_000
        );
        for json in ["0.30000000000000004", "1e2", r#""""#, r#"" 5""#, "null", "true", "{}", "[5]"]
        {
            assert!(read(json).is_err(), "{json}");
        }
        let error = read(r#""1,50""#).unwrap_err().to_string();
        assert!(error.starts_with("not a decimal such as 12.5"), "{error}");
    }

    #[test]
    #[expect(clippy::disallowed_types, reason = "serde's code for flattening names floats")]
    fn an_amount_is_read_inside_a_flattened_type() {
        #[derive(Deserialize)]
        struct Inner {
            revenue: Micros,
        }
        #[derive(Deserialize)]
        struct Outer {
            #[serde(flatten)]
            inner: Inner,
        }
        let outer: Outer = serde_json::from_str(r#"{"revenue":2.5}"#).unwrap();
        assert_eq!(outer.inner.revenue, Micros(2_500_000));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(micros: i64) {
            let amount = Micros(micros);
            for text in [amount.to_string(), amount.to_fixed()] {
                prop_assert_eq!(read(&text), Ok((micros, false)));
            }
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Micros>(&json).unwrap(), amount);
            let bytes = postcard::to_stdvec(&amount).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Micros>(&bytes).unwrap(), amount);
        }

        #[test]
        fn any_text_is_read_or_refused_without_harm(text: String, digits in "[-+0-9.,]{0,40}") {
            _ = read(&text);
            _ = read(&digits);
        }
    }
}
