//! Instants, zones and days.
//!
//! An instant is whole microseconds of UTC; a zone is an argument wherever a day is meant. Zones
//! come from the database that is built in, so that a day is the same on every machine.

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// The most days one range may have: ten years.
pub const RANGE_DAYS_MAX: usize = 3_660;

const US_PER_MS: i64 = 1_000;
const US_PER_S: i64 = 1_000_000;
const US_PER_DAY: i64 = 86_400 * US_PER_S;

/// An instant: microseconds since 1970-01-01 UTC, within the years 0000 to 9999.
///
/// JSON has it in RFC 3339 with `Z` and no more decimals than it needs, binary formats as `i64`.
/// Whatever would leave the range stays at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const UNIX_EPOCH: Self = Self(0);
    /// 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200 * US_PER_S);
    /// 9999-12-30T22:00:00Z: the end of what has a local time in every zone.
    pub const MAX: Self = Self(253_402_207_200 * US_PER_S);

    pub const fn from_us(us: i64) -> Self {
        if us < Self::MIN.0 {
            Self::MIN
        } else if us > Self::MAX.0 {
            Self::MAX
        } else {
            Self(us)
        }
    }

    pub const fn from_ms(ms: i64) -> Self {
        Self::from_us(ms.saturating_mul(US_PER_MS))
    }

    pub const fn from_s(s: i64) -> Self {
        Self::from_us(s.saturating_mul(US_PER_S))
    }

    pub const fn as_us(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_ms(self) -> i64 {
        self.0.div_euclid(US_PER_MS)
    }

    /// Whole seconds, rounded down.
    pub const fn as_s(self) -> i64 {
        self.0.div_euclid(US_PER_S)
    }

    /// A jiff instant to the microsecond, rounded down.
    pub fn from_jiff(instant: jiff::Timestamp) -> Self {
        let us = instant.as_nanosecond().div_euclid(1_000);
        Self::from_us(i64::try_from(us).expect("jiff's range fits microseconds in 64 bits"))
    }

    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).expect("the range is within jiff's")
    }

    /// The civil day it falls on in a zone.
    pub fn date_in(self, zone: &TimeZone) -> Date {
        zone.to_datetime(self.to_jiff()).date()
    }

    /// So many times 24 hours later, or earlier.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus_us(days.saturating_mul(US_PER_DAY))
    }

    #[must_use]
    pub const fn plus_s(self, s: i64) -> Self {
        self.plus_us(s.saturating_mul(US_PER_S))
    }

    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        self.plus_us(ms.saturating_mul(US_PER_MS))
    }

    #[must_use]
    pub const fn plus_us(self, us: i64) -> Self {
        Self::from_us(self.0.saturating_add(us))
    }

    /// Microseconds from `earlier` to this, negative where that is the later one.
    pub const fn us_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_jiff(), f)
    }
}

/// The text is no instant: no RFC 3339, without an offset, or outside the years 0000 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampError;

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 instant such as 2026-11-20T09:30:00Z")
    }
}

impl std::error::Error for TimestampError {}

/// Reads RFC 3339 with any offset. What is finer than a microsecond is rounded down.
impl FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| TimestampError)?;
        let is_in_range = (Self::MIN.to_jiff()..=Self::MAX.to_jiff()).contains(&instant);
        if is_in_range { Ok(Self::from_jiff(instant)) } else { Err(TimestampError) }
    }
}

/// As readable formats have it.
impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text)
        } else {
            i64::deserialize(deserializer).map(Self::from_us)
        }
    }
}

struct Text;

impl de::Visitor<'_> for Text {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 instant such as 2026-11-20T09:30:00Z")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// The time zone of an IANA name such as `Europe/Berlin`, in any case.
pub fn zone(name: &str) -> Option<TimeZone> {
    static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    ZONES.get(name).ok()
}

/// Why there are no days from one date to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// The last day is before the first.
    Reversed,
    /// There are more than [`RANGE_DAYS_MAX`].
    TooLong,
    /// A day lies outside the years 0000 to 9999.
    OutOfRange,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reversed => f.write_str("the last day is before the first"),
            Self::TooLong => write!(f, "a range has at most {RANGE_DAYS_MAX} days"),
            Self::OutOfRange => f.write_str("a day is within the years 0000 to 9999"),
        }
    }
}

impl std::error::Error for RangeError {}

/// The instants at which the days from `first` up to `last` begin in `zone`, and where `last`
/// ends: one more than there are days.
///
/// A day is 23 or 25 hours long where the clocks change, and none where a zone skipped it; its
/// rows are counted once all the same.
pub fn day_bounds(zone: &TimeZone, first: Date, last: Date) -> Result<Vec<Timestamp>, RangeError> {
    if last < first {
        return Err(RangeError::Reversed);
    }
    let end = last.tomorrow().map_err(|_| RangeError::OutOfRange)?;
    let days = first.duration_until(end).as_hours() / 24;
    if usize::try_from(days).map_or(true, |days| days > RANGE_DAYS_MAX) {
        return Err(RangeError::TooLong);
    }
    let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day <= end);
    let bounds = days.map(|day| {
        let start = day.to_zoned(zone.clone()).and_then(|day| day.start_of_day());
        let start = start.map_err(|_| RangeError::OutOfRange)?.timestamp();
        if (Timestamp::MIN.to_jiff()..=Timestamp::MAX.to_jiff()).contains(&start) {
            Ok(Timestamp::from_jiff(start))
        } else {
            Err(RangeError::OutOfRange)
        }
    });
    bounds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    const US_PER_HOUR: i64 = 3_600 * US_PER_S;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The hours of each day of a range.
    fn hours(name: &str, first: Date, last: Date) -> Vec<i64> {
        let bounds = day_bounds(&zone(name).unwrap(), first, last).unwrap();
        bounds.windows(2).map(|day| day[1].us_since(day[0]) / US_PER_HOUR).collect()
    }

    #[test]
    fn an_instant_is_shown_with_no_more_decimals_than_it_needs() {
        assert_eq!(Timestamp::UNIX_EPOCH.to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_ms(1_795_000_000_120).to_string(), "2026-11-18T11:06:40.12Z");
        assert_eq!(Timestamp::from_us(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00Z");
    }

    #[test]
    fn an_offset_is_read_and_required() {
        assert_eq!(at("2026-11-20T10:00:00+01:00"), at("2026-11-20T09:00:00Z"));
        assert_eq!(at("2026-11-20T09:00:00.1234569Z").as_us() % US_PER_S, 123_456);
        assert_eq!(at("1969-12-31T23:59:59.9999999Z"), Timestamp::from_us(-1));
        let wrong =
            ["", "2026-11-20", "2026-11-20T09:00:00", "1795000000", "-000001-01-01T00:00:00Z"];
        for text in wrong {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text:?}");
        }
    }

    #[test]
    fn what_would_leave_the_range_stays_at_its_end() {
        assert_eq!(Timestamp::from_us(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_ms(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.plus_days(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.plus_days(i64::MIN), Timestamp::MIN);
        assert_eq!(at("2026-11-20T09:00:00Z").plus_days(30), at("2026-12-20T09:00:00Z"));
    }

    #[test]
    fn seconds_and_milliseconds_round_down() {
        assert_eq!(Timestamp::from_us(-1).as_ms(), -1);
        assert_eq!(Timestamp::from_us(1_999_999).as_s(), 1);
        assert_eq!(Timestamp::from_s(2).plus_s(1).plus_ms(5).as_us(), 3_005_000);
    }

    #[test]
    fn json_has_text_and_the_journal_a_number() {
        let instant = at("2026-11-20T09:00:00.5Z");
        assert_eq!(serde_json::to_string(&instant).unwrap(), r#""2026-11-20T09:00:00.5Z""#);
        assert!(serde_json::from_str::<Timestamp>("1795000000").is_err());
        let bytes = postcard::to_stdvec(&instant).unwrap();
        assert_eq!(bytes, postcard::to_stdvec(&instant.as_us()).unwrap());
        assert_eq!(postcard::from_bytes::<Timestamp>(&bytes).unwrap(), instant);
    }

    #[test]
    fn a_day_in_berlin_has_23_24_or_25_hours() {
        assert_eq!(hours("Europe/Berlin", date(2026, 3, 28), date(2026, 3, 30)), [24, 23, 24]);
        assert_eq!(hours("Europe/Berlin", date(2026, 10, 24), date(2026, 10, 26)), [24, 25, 24]);
    }

    #[test]
    fn a_day_begins_after_midnight_where_midnight_did_not_exist() {
        let zone = zone("America/Sao_Paulo").unwrap();
        let bounds = day_bounds(&zone, date(2018, 11, 3), date(2018, 11, 4)).unwrap();
        let expected = ["2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"];
        assert_eq!(bounds, expected.map(at));
    }

    #[test]
    fn a_day_in_kathmandu_begins_at_a_quarter_past() {
        let zone = zone("Asia/Kathmandu").unwrap();
        let bounds = day_bounds(&zone, date(2026, 11, 20), date(2026, 11, 20)).unwrap();
        assert_eq!(bounds, ["2026-11-19T18:15:00Z", "2026-11-20T18:15:00Z"].map(at));
        assert_eq!(bounds[0].date_in(&zone), date(2026, 11, 20));
        assert_eq!(bounds[0].plus_us(-1).date_in(&zone), date(2026, 11, 19));
    }

    #[test]
    fn a_day_that_was_skipped_has_no_hours() {
        assert_eq!(hours("Pacific/Apia", date(2011, 12, 29), date(2011, 12, 31)), [24, 0, 24]);
    }

    #[test]
    fn a_zone_has_an_iana_name() {
        assert!(zone("UTC").is_some());
        assert!(zone("europe/berlin").is_some());
        for name in ["", "Mars/Olympus", "../../etc/passwd", "+01:00"] {
            assert!(zone(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn a_range_that_cannot_be_is_refused() {
        let utc = TimeZone::UTC;
        let refused = |first, last| day_bounds(&utc, first, last).unwrap_err();
        assert_eq!(refused(date(2026, 1, 2), date(2026, 1, 1)), RangeError::Reversed);
        assert_eq!(refused(Date::MIN, Date::MAX), RangeError::OutOfRange);
        assert_eq!(refused(date(1000, 1, 1), date(2026, 1, 1)), RangeError::TooLong);
        assert_eq!(refused(date(-1, 1, 1), date(-1, 1, 1)), RangeError::OutOfRange);
        assert_eq!(refused(date(9999, 12, 30), date(9999, 12, 30)), RangeError::OutOfRange);
        let longest = day_bounds(&utc, date(2000, 1, 1), date(2010, 1, 7)).unwrap();
        assert_eq!(longest.len(), RANGE_DAYS_MAX + 1);
        assert_eq!(refused(date(2000, 1, 1), date(2010, 1, 8)), RangeError::TooLong);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(us in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let instant = Timestamp::from_us(us);
            prop_assert_eq!(instant.to_string().parse(), Ok(instant));
        }

        #[test]
        fn any_text_is_read_or_refused_without_harm(text: String) {
            _ = text.parse::<Timestamp>();
            _ = zone(&text);
        }
    }
}
