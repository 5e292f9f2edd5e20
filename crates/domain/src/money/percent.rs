//! Percentages: shares of an amount, exact to a ten-thousandth of a percent.

use super::decimal::{self, Decimal};
use super::{AmountError, Micros};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

const DECIMALS: u8 = 4;
/// 1,000 %: above it, somebody wrote an amount.
const PPM_MAX: u32 = 10_000_000;
const PPM_PER_WHOLE: i128 = 1_000_000;

/// A percentage from 0 to 1,000, in parts per million.
///
/// JSON has it as a decimal string in percent (`"12.5"`), and a JSON number is read by its
/// digits; binary formats have the parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

impl Percent {
    /// 100 %.
    pub const WHOLE: Self = Self(1_000_000);

    /// `None` above 1,000 %.
    pub const fn from_ppm(ppm: u32) -> Option<Self> {
        if ppm <= PPM_MAX { Some(Self(ppm)) } else { None }
    }

    pub const fn as_ppm(self) -> u32 {
        self.0
    }

    /// This share of an amount, rounded half to even. `None` where it does not fit.
    pub fn of(self, amount: Micros) -> Option<Micros> {
        let parts = i128::from(amount.0) * i128::from(self.0);
        let (down, over) = (parts.div_euclid(PPM_PER_WHOLE), parts.rem_euclid(PPM_PER_WHOLE));
        let is_up = over * 2 > PPM_PER_WHOLE || over * 2 == PPM_PER_WHOLE && down % 2 != 0;
        i64::try_from(down + i128::from(is_up)).ok().map(Micros)
    }
}

/// Reads a decimal in percent. More than four decimals are an error.
impl FromStr for Percent {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Decimal { number, rounded } = decimal::parse(text, DECIMALS)?;
        if rounded {
            return Err(AmountError::TooPrecise);
        }
        u32::try_from(number).ok().and_then(Self::from_ppm).ok_or(AmountError::OutOfRange)
    }
}

/// The shortest decimal, without the sign: `12.5`.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Micros(i64::from(self.0) * 100), f)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u32(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const RANGE: &str = "a percentage is from 0 to 1000";
        let ppm = if deserializer.is_human_readable() {
            let range = format_args!("{RANGE}");
            u32::try_from(decimal::deserialize_exact(deserializer, DECIMALS, range)?).ok()
        } else {
            Some(u32::deserialize(deserializer)?)
        };
        ppm.and_then(Self::from_ppm).ok_or_else(|| de::Error::custom(RANGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentage_reads_in_percent() {
        let read = |text: &str| text.parse::<Percent>().map(Percent::as_ppm);
        assert_eq!(read("12.5"), Ok(125_000));
        assert_eq!(read("0"), Ok(0));
        assert_eq!(read("0.0001"), Ok(1));
        assert_eq!(read("1000"), Ok(PPM_MAX));
        assert_eq!(read("1000.0001"), Err(AmountError::OutOfRange));
        assert_eq!(read("-1"), Err(AmountError::OutOfRange));
        assert_eq!(read("0.00001"), Err(AmountError::TooPrecise));
        assert_eq!(read("12.5%"), Err(AmountError::NotDecimal));
        assert_eq!(read("12,5"), Err(AmountError::NotDecimal));
    }

    #[test]
    fn a_share_rounds_half_to_even() {
        let of = |percent: &str, micros| percent.parse::<Percent>().unwrap().of(Micros(micros));
        assert_eq!(of("12.5", 99_990_000), Some(Micros(12_498_750)));
        assert_eq!(of("50", 1), Some(Micros(0)));
        assert_eq!(of("50", 3), Some(Micros(2)));
        assert_eq!(of("50", -1), Some(Micros(0)));
        assert_eq!(of("50", -3), Some(Micros(-2)));
        assert_eq!(of("33.3333", 1_000_000), Some(Micros(333_333)));
        assert_eq!(of("100", i64::MIN), Some(Micros(i64::MIN)));
        assert_eq!(of("100.0001", i64::MAX), None);
    }

    #[test]
    fn json_has_a_string_and_takes_a_number() {
        let read = |json: &str| serde_json::from_str::<Percent>(json);
        assert_eq!(read("12.5").unwrap(), read(r#""12.50""#).unwrap());
        assert_eq!(serde_json::to_string(&read("12.50").unwrap()).unwrap(), r#""12.5""#);
        for json in ["-1", "1000.1", "0.00001", r#""12%""#, "null"] {
            assert!(read(json).is_err(), "{json}");
        }
        let too_much = postcard::to_stdvec(&(PPM_MAX + 1)).unwrap();
        assert!(postcard::from_bytes::<Percent>(&too_much).is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(ppm in 0..=PPM_MAX) {
            let percent = Percent(ppm);
            prop_assert_eq!(percent.to_string().parse(), Ok(percent));
            let bytes = postcard::to_stdvec(&percent).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Percent>(&bytes).unwrap(), percent);
        }

        #[test]
        fn a_share_and_the_share_of_its_opposite_cancel(ppm in 0..=PPM_MAX, micros in -1_000_000_000..1_000_000_000_i64) {
            let percent = Percent(ppm);
            let share = percent.of(Micros(micros)).unwrap();
            prop_assert_eq!(percent.of(Micros(-micros)), share.checked_neg());
        }
    }
}
