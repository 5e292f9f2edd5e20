//! What a click knows of its visitor that is no personal data: country, device, system, browser.
//!
//! It is worked out once, when the click is made, and kept with it: what a click says must not
//! depend on when, or by which release, it is read.

mod agent;
mod words;

pub use agent::{AGENT_BYTES_MAX, Agent};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One of the things that may be known of a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Known {
    Country,
    Device,
    Os,
    Browser,
}

impl Known {
    /// All of them, in the order of [`Visitor::words`].
    pub const ALL: [Self; 4] = [Self::Country, Self::Device, Self::Os, Self::Browser];

    /// The word for it in URLs, JSON, columns and pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Device => "device",
            Self::Os => "os",
            Self::Browser => "browser",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// Where a visitor is, and what it uses. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor<'a> {
    pub country: Option<Country>,
    pub device: Option<Device>,
    /// Such as `Android`.
    #[serde(borrow)]
    pub os: Cow<'a, str>,
    /// Such as `Samsung Internet`; of an app that shows pages itself, the app's name.
    #[serde(borrow)]
    pub browser: Cow<'a, str>,
}

impl Visitor<'_> {
    /// What is known, as it is written; empty where nothing is.
    pub fn words(&self) -> [&str; Known::ALL.len()] {
        let country = self.country.as_ref().map_or("", Country::as_str);
        [country, self.device.map_or("", Device::name), &self.os, &self.browser]
    }

    /// The word for one thing; empty where it is not known.
    pub fn word(&self, known: Known) -> &str {
        self.words()[known as usize]
    }

    pub fn into_owned(self) -> Visitor<'static> {
        Visitor {
            country: self.country,
            device: self.device,
            os: Cow::Owned(self.os.into_owned()),
            browser: Cow::Owned(self.browser.into_owned()),
        }
    }
}

impl Visitor<'static> {
    /// The inverse of [`Visitor::words`]. `None`: one of them is no such word.
    pub fn from_words(words: [String; Known::ALL.len()]) -> Option<Self> {
        let [country, device, os, browser] = words;
        let country = match country.as_bytes() {
            [] => None,
            bytes => Some(Country::parse(bytes)?),
        };
        let device = match &*device {
            "" => None,
            name => Some(Device::from_name(name)?),
        };
        Some(Self { country, device, os: Cow::Owned(os), browser: Cow::Owned(browser) })
    }
}

/// A country by its code of ISO 3166-1: two letters, in capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "[u8; 2]", try_from = "[u8; 2]")]
pub struct Country([u8; 2]);

impl Country {
    /// Two letters that databases and proxies write where they know no country: unknown, and
    /// groups of countries.
    const NONE: [[u8; 2]; 4] = [*b"XX", *b"ZZ", *b"EU", *b"AP"];

    /// Reads a code in any case. `None` where it names no country, such as `XX`.
    pub fn parse(code: &[u8]) -> Option<Self> {
        let code = <[u8; 2]>::try_from(code).ok()?.map(|letter| letter.to_ascii_uppercase());
        let is_country = code.iter().all(u8::is_ascii_uppercase) && !Self::NONE.contains(&code);
        is_country.then_some(Self(code))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it is two letters")
    }
}

impl From<Country> for [u8; 2] {
    fn from(country: Country) -> Self {
        country.0
    }
}

impl TryFrom<[u8; 2]> for Country {
    type Error = &'static str;
    fn try_from(code: [u8; 2]) -> Result<Self, Self::Error> {
        Self::parse(&code).filter(|country| country.0 == code).ok_or("no such country")
    }
}

/// What a visitor holds in its hands, or sits before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Device {
    Desktop,
    Mobile,
    Tablet,
    Tv,
    Console,
    /// A watch, or glasses.
    Wearable,
    /// A program that follows links by itself.
    Bot,
}

impl Device {
    /// All of them, in the order of their codes, which are part of the record format.
    pub const ALL: [Self; 7] = [
        Self::Desktop,
        Self::Mobile,
        Self::Tablet,
        Self::Tv,
        Self::Console,
        Self::Wearable,
        Self::Bot,
    ];

    /// The word for it in URLs, JSON, columns and pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Console => "console",
            Self::Wearable => "wearable",
            Self::Bot => "bot",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|device| device.name() == name)
    }
}

impl From<Device> for u8 {
    fn from(device: Device) -> Self {
        device as Self
    }
}

impl TryFrom<u8> for Device {
    type Error = &'static str;
    fn try_from(code: u8) -> Result<Self, Self::Error> {
        Self::ALL.get(usize::from(code)).copied().ok_or("no such device")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_letters_that_name_one() {
        for (code, expected) in [("DE", "DE"), ("de", "DE"), ("gB", "GB"), ("XK", "XK")] {
            let country = Country::parse(code.as_bytes());
            assert_eq!(country.as_ref().map(Country::as_str), Some(expected), "{code}");
        }
        for code in ["", "D", "DEU", "XX", "xx", "T1", "A1", "ZZ", "EU", "AP", "D ", "\u{e9}"] {
            assert_eq!(Country::parse(code.as_bytes()), None, "{code}");
        }
        assert!(Country::try_from(*b"de").is_err(), "kept as it is written");
    }

    #[test]
    fn words_lead_back_to_what_they_were_made_of() {
        for (place, device) in Device::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(u8::from(device)), place);
            assert_eq!(Device::try_from(u8::from(device)), Ok(device));
            let visitor = Visitor {
                country: Country::parse(b"AT"),
                device: Some(device),
                os: "Android".into(),
                browser: "Samsung Internet".into(),
            };
            let words = visitor.words().map(str::to_owned);
            assert_eq!(words, ["AT", device.name(), "Android", "Samsung Internet"]);
            assert_eq!(Visitor::from_words(words), Some(visitor));
        }
        for (place, known) in Known::ALL.into_iter().enumerate() {
            assert_eq!(known as usize, place);
            assert_eq!(Known::from_name(known.name()), Some(known));
        }
        let unknown = Visitor::default();
        assert_eq!(unknown.words(), [""; 4]);
        assert_eq!(Visitor::from_words([const { String::new() }; 4]), Some(unknown));
        for (place, word) in [(0, "XX"), (0, "Austria"), (1, "phone")] {
            let mut words = [const { String::new() }; 4];
            words[place] = word.to_owned();
            assert_eq!(Visitor::from_words(words), None, "{word}");
        }
        assert!(Device::try_from(7).is_err());
    }
}
