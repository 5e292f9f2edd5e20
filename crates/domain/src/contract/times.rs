//! How a sender writes the time.

use super::Fault;
use crate::time::{self, Timestamp};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many ways of writing the time a contract may take.
pub const FORMATS_MAX: usize = 5;
/// The longest pattern, in bytes.
pub const FORMAT_BYTES_MAX: usize = 60;
/// The zone of times that name none, where the contract does not say.
const ZONE: &str = "UTC";
/// What a pattern is tried with: 2026-11-20T21:30:15Z, and that minute, and that day.
const EXAMPLES: [Timestamp; 3] = [
    Timestamp::from_s(1_795_210_215),
    Timestamp::from_s(1_795_210_200),
    Timestamp::from_s(1_795_132_800),
];

/// The ways of writing the time that a contract takes, tried in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// `unix`, `unix_ms`, `rfc3339`, or a pattern such as `%Y-%m-%d %H:%M:%S`.
    pub formats: Vec<String>,
    /// The IANA zone of times that name none.
    pub zone: String,
}

impl Default for Times {
    fn default() -> Self {
        Self { formats: vec!["unix".to_owned(), "rfc3339".to_owned()], zone: ZONE.to_owned() }
    }
}

impl Times {
    /// What is wrong with it, for whoever wrote it; `None`: nothing.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.formats.is_empty() || self.formats.len() > FORMATS_MAX {
            return Some(Fault::at("times.formats", format!("1 to {FORMATS_MAX} of them")));
        }
        if let Some(place) = self.formats.iter().position(|format| !is_format(format)) {
            let detail = format!(
                "`{}` is none of unix, unix_ms, rfc3339, and no pattern for day and time of at \
                 most {FORMAT_BYTES_MAX} bytes such as `%Y-%m-%d %H:%M:%S`",
                self.formats[place]
            );
            return Some(Fault::at(format!("times.formats[{place}]"), detail));
        }
        let is_known = time::zone(&self.zone).is_some();
        (!is_known).then(|| {
            let detail = format!("`{}` is no IANA time zone such as `Europe/Berlin`", self.zone);
            Fault::at("times.zone", detail)
        })
    }

    /// The instant a text stands for, by the first format it is written in.
    pub(crate) fn read(&self, text: &str) -> Option<Timestamp> {
        self.formats.iter().find_map(|format| match format.as_str() {
            "unix" => {
                let seconds = whole(text)?;
                let at = Timestamp::from_s(seconds);
                // Milliseconds read as seconds lie outside the years there are.
                (at.as_s() == seconds).then_some(at)
            }
            "unix_ms" => {
                let ms = whole(text)?;
                let at = Timestamp::from_ms(ms);
                (at.as_ms() == ms).then_some(at)
            }
            "rfc3339" => text.parse().ok(),
            pattern => by_pattern(pattern, text, &self.zone),
        })
    }
}

fn whole(text: &str) -> Option<i64> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// An offset or a zone in the text comes before `zone`. Where clocks are put back, the earlier of
/// two instants is meant.
fn by_pattern(pattern: &str, text: &str, zone: &str) -> Option<Timestamp> {
    let read = BrokenDownTime::parse(pattern, text).ok()?;
    let instant = match read.to_timestamp() {
        Ok(instant) => instant,
        Err(_) => {
            let zone = time::zone(read.iana_time_zone().unwrap_or(zone))?;
            zone.to_timestamp(read.to_datetime().ok()?).ok()?
        }
    };
    let at = Timestamp::from_jiff(instant);
    (at.to_jiff() == instant || at != Timestamp::MAX && at != Timestamp::MIN).then_some(at)
}

/// Whether it is a way of writing an instant: one that is written so reads back.
fn is_format(format: &str) -> bool {
    if matches!(format, "unix" | "unix_ms" | "rfc3339") {
        return true;
    }
    if format.len() > FORMAT_BYTES_MAX {
        return false;
    }
    let example = BrokenDownTime::from(&EXAMPLES[0].to_jiff().to_zoned(TimeZone::UTC));
    let read = example.to_string(format).ok().and_then(|text| by_pattern(format, &text, ZONE));
    read.is_some_and(|read| EXAMPLES.contains(&read))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(formats: &[&str], zone: &str) -> Times {
        let formats = formats.iter().map(|format| (*format).to_owned()).collect();
        Times { formats, zone: zone.to_owned() }
    }

    fn read(format: &str, zone: &str, text: &str) -> String {
        let times = times(&[format], zone);
        assert_eq!(times.fault(), None, "{format}");
        times.read(text).map_or_else(|| "none".to_owned(), |at| at.to_string())
    }

    #[test]
    fn a_time_is_read_as_its_format_says() {
        let local = "%Y-%m-%d %H:%M:%S";
        let cases = [
            ("unix", "UTC", "1795210215", "2026-11-20T21:30:15Z"),
            ("unix", "UTC", "1795210215000", "none"),
            ("unix", "UTC", "-1", "none"),
            ("unix", "UTC", "+1", "none"),
            ("unix", "UTC", "1.5", "none"),
            ("unix", "UTC", "", "none"),
            ("unix_ms", "UTC", "1795210215123", "2026-11-20T21:30:15.123Z"),
            ("unix_ms", "UTC", "99999999999999999999", "none"),
            ("rfc3339", "UTC", "2026-11-20T21:30:15+02:00", "2026-11-20T19:30:15Z"),
            ("rfc3339", "UTC", "2026-11-20 21:30:15", "none"),
            (local, "UTC", "2026-11-20 21:30:15", "2026-11-20T21:30:15Z"),
            (local, "Europe/Berlin", "2026-11-20 21:30:15", "2026-11-20T20:30:15Z"),
            (local, "America/New_York", "2026-07-01 00:00:00", "2026-07-01T04:00:00Z"),
            // An hour that there is twice, and one that there is not.
            (local, "Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
            (local, "Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),
            (local, "UTC", "2026-11-20", "none"),
            (local, "UTC", "2026-02-30 00:00:00", "none"),
            (local, "UTC", "2026-11-20 21:30:15 x", "none"),
            ("%d/%m/%Y %I:%M %p", "UTC", "20/11/2026 09:30 pm", "2026-11-20T21:30:00Z"),
            (
                "%Y-%m-%d %H:%M:%S %z",
                "Asia/Tokyo",
                "2026-11-20 21:30:15 +0100",
                "2026-11-20T20:30:15Z",
            ),
            ("%Y-%m-%d %H:%M %Q", "UTC", "2026-11-20 21:30 Europe/Berlin", "2026-11-20T20:30:00Z"),
            ("%Y%m%d", "Asia/Kathmandu", "20261120", "2026-11-19T18:15:00Z"),
            ("%s", "Asia/Tokyo", "1795210215", "2026-11-20T21:30:15Z"),
        ];
        for (format, zone, text, at) in cases {
            assert_eq!(read(format, zone, text), at, "{format} {zone} {text}");
        }
    }

    #[test]
    fn the_first_format_that_fits_counts() {
        let both = times(&["unix", "unix_ms", "%Y-%m-%d"], "UTC");
        let read = |text: &str| both.read(text).unwrap().to_string();
        assert_eq!(read("1795210215"), "2026-11-20T21:30:15Z");
        assert_eq!(read("1795210215000"), "2026-11-20T21:30:15Z");
        assert_eq!(read("2026-11-20"), "2026-11-20T00:00:00Z");
    }

    #[test]
    fn a_format_that_nobody_could_read_by_is_told_so() {
        let long = "%Y-%m-%d ".repeat(7);
        let wrong = [
            "",
            "unixtime",
            "%H:%M",
            "%Y-%m",
            "%Y-%m-%d %I:%M",
            "%Y-%m-%d %",
            "%!",
            "%Y-%m-%d %~",
            &long,
        ];
        for format in wrong {
            let fault = times(&["unix", format], "UTC").fault().unwrap();
            assert!(fault.path.starts_with("times.formats"), "{format}: {fault}");
        }
        assert!(times(&[], "UTC").fault().unwrap().detail.contains("1 to 5"));
        assert!(
            times(&["unix"; FORMATS_MAX + 1], "UTC").fault().unwrap().detail.contains("1 to 5")
        );
        for zone in ["", "Berlin", "+01:00", "../etc/passwd"] {
            assert!(
                times(&["unix"], zone).fault().unwrap().path.starts_with("times.zone"),
                "{zone}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_text_does_harm(pattern in "(%[-_0^#:.]{0,2}[0-9]{0,3}[a-zA-Z%]|.){0,8}", text in ".{0,20}") {
            let times = times(&[&pattern], "Europe/Berlin");
            _ = times.fault();
            _ = times.read(&text);
        }
    }
}
