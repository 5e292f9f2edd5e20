//! Reads user agents: which device, system and browser they tell of.
//!
//! Browsers pose as one another, so a word counts more the fewer others use it. What no word of
//! the table names stays empty: it is never guessed. It is read once for each click, in one pass
//! and without an allocation.

use super::Device;
use super::words::{APP, MADE, POSES, Remark, VIEW, Word};

/// So much of a user agent is read, in bytes: those of apps are long, and name them at their end.
pub const AGENT_BYTES_MAX: usize = 1024;
/// The longest name of a model of Amazon's sticks for televisions: `AFT` and some capitals.
const STICK_BYTES_MAX: usize = 10;
const OPERA_MINI: &str = "Opera Mini";
/// A make of phones, and no robot.
const CUBOT: &[u8] = b"cubot";

/// What a user agent tells. Texts are empty where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    pub device: Option<Device>,
    pub os: &'static str,
    pub browser: &'static str,
}

impl Agent {
    pub fn read(text: &[u8]) -> Self {
        let text = &text[..text.len().min(AGENT_BYTES_MAX)];
        let mut seen = Seen::default();
        for word in text.split(|byte| !byte.is_ascii_alphanumeric()) {
            // Most of the rest are numbers of versions.
            if word.first().is_some_and(u8::is_ascii_alphabetic) {
                seen.take(word);
            }
        }
        seen.conclude()
    }
}

/// What was told so far.
#[derive(Debug, Default)]
struct Seen {
    device: Option<Device>,
    is_bot: bool,
    os: (u8, &'static str),
    browser: (u8, &'static str),
    /// A bit for each remark that there was.
    remarks: u8,
    /// The word before was this one.
    after: Option<After>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Windows,
    Opera,
}

impl Seen {
    fn take(&mut self, word: &[u8]) {
        let after = self.after.take();
        match Word::find(word) {
            Some(Word::Os(name, weight)) => self.os(name, weight),
            Some(Word::Browser(name, weight)) => self.browser(name, weight),
            Some(Word::Device(device)) => self.device(device),
            Some(Word::Only(name, device)) => {
                self.os(name, POSES - 1);
                self.device(device);
            }
            Some(Word::BrowserOf(name, device)) => {
                self.browser(name, MADE);
                self.device(device);
            }
            Some(Word::Remark(remark)) => self.remark(remark, after),
            None if is_robot(word) => self.is_bot = true,
            None if is_television(word) => self.device(Device::Tv),
            None => {}
        }
        self.after = match word {
            b"Windows" => Some(After::Windows),
            b"Opera" => Some(After::Opera),
            _ => None,
        };
    }

    fn os(&mut self, name: &'static str, weight: u8) {
        if weight > self.os.0 {
            self.os = (weight, name);
        }
    }

    fn browser(&mut self, name: &'static str, weight: u8) {
        if weight > self.browser.0 {
            self.browser = (weight, name);
        }
    }

    /// The first one that is named counts, but for a robot, which poses as any.
    fn device(&mut self, device: Device) {
        if device == Device::Bot {
            self.is_bot = true;
        } else {
            self.device.get_or_insert(device);
        }
    }

    fn remark(&mut self, remark: Remark, after: Option<After>) {
        match (remark, after) {
            (Remark::Phone, Some(After::Windows)) => self.os("Windows Phone", u8::MAX),
            (Remark::Mini, Some(After::Opera)) => self.browser(OPERA_MINI, APP),
            _ => {}
        }
        self.remarks |= 1 << remark as u8;
    }

    fn has(&self, remark: Remark) -> bool {
        self.remarks & 1 << remark as u8 != 0
    }

    fn is_mobile(&self) -> bool {
        self.has(Remark::Mobile) || self.has(Remark::Phone) || self.browser.1 == OPERA_MINI
    }

    fn conclude(mut self) -> Agent {
        // An iPad that asks for the pages of desktops; no Mac says that it is mobile.
        if self.os.1 == "macOS" && self.is_mobile() {
            self.os.1 = "iOS";
            self.device(Device::Tablet);
        }
        let has_chrome = self.browser.1 == "Chrome" && self.browser.0 < VIEW;
        let is_safari = self.has(Remark::Version) && self.has(Remark::Safari);
        match self.os.1 {
            "Android" if self.has(Remark::WebView) || has_chrome && self.has(Remark::Version) => {
                self.browser("Android WebView", VIEW);
            }
            "Android" if is_safari => self.browser("Android Browser", 1),
            "iOS" if self.has(Remark::Engine) && !self.has(Remark::Safari) => {
                self.browser("iOS WebView", VIEW);
            }
            "macOS" | "iOS" | "Windows" if is_safari => self.browser("Safari", 1),
            _ => {}
        }
        Agent { device: self.any_device(), os: self.os.1, browser: self.browser.1 }
    }

    fn any_device(&self) -> Option<Device> {
        if self.is_bot {
            return Some(Device::Bot);
        }
        if self.device.is_some() {
            return self.device;
        }
        Some(match self.os.1 {
            // Of old, it said of itself that it can be used by a pen.
            "Windows" if !self.is_mobile() => Device::Desktop,
            _ if self.has(Remark::Tablet) => Device::Tablet,
            _ if self.is_mobile() => Device::Mobile,
            // A browser says `Mobile` on a phone; an app may not.
            "Android" if self.has(Remark::Engine) => Device::Tablet,
            "Android" | "BlackBerry" | "Symbian" | "HarmonyOS" => Device::Mobile,
            "webOS" => Device::Tv,
            "macOS" | "ChromeOS" | "Linux" | "BSD" => Device::Desktop,
            _ => return None,
        })
    }
}

/// Whether a word is the name of a program that follows links by itself.
fn is_robot(word: &[u8]) -> bool {
    let ends_in = |end: &[u8]| {
        let start = word.len().checked_sub(end.len());
        start.is_some_and(|start| word[start..].eq_ignore_ascii_case(end))
    };
    match word.last() {
        Some(b't' | b'T') => ends_in(b"bot") && !word.eq_ignore_ascii_case(CUBOT),
        Some(b'r' | b'R') => ends_in(b"spider") || ends_in(b"crawler"),
        Some(b'l' | b'L') => ends_in(b"crawl"),
        _ => false,
    }
}

/// Whether it is a television, such as `SmartTV`, or what is plugged into one.
fn is_television(word: &[u8]) -> bool {
    let is_stick = word.starts_with(b"AFT")
        && (4..=STICK_BYTES_MAX).contains(&word.len())
        && word.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    word.ends_with(b"TV") || is_stick
}

#[cfg(test)]
mod tests;
