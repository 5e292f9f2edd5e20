//! The words of user agents that tell something, and what they tell.
//!
//! Every click looks some twenty words up, so they are found by a table that is worked out when
//! this is compiled.

use super::Device;

/// What a word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The system, and how much it counts beside others: Android also says that it is Linux.
    Os(&'static str, u8),
    /// The browser, and how much it counts: all say that they are like some other one.
    Browser(&'static str, u8),
    /// The device, whatever else is said.
    Device(Device),
    /// The system, and the device that alone has it.
    Only(&'static str, Device),
    /// The browser, and the device that alone has it.
    BrowserOf(&'static str, Device),
    /// A remark about the rest.
    Remark(Remark),
}

/// What is worth knowing of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    Mobile,
    Tablet,
    Phone,
    Mini,
    WebView,
    Version,
    Safari,
    /// Pages are drawn: it is no bare HTTP client.
    Engine,
}

/// The system underneath.
pub(super) const BASE: u8 = 1;
/// A system of its own.
pub(super) const OWN: u8 = 2;
/// One that poses as several others.
pub(super) const POSES: u8 = 3;

/// What others are like.
pub(super) const COMMON: u8 = 2;
/// A view of the system's, within some app.
pub(super) const VIEW: u8 = 3;
/// A browser that is made of a common one.
pub(super) const MADE: u8 = 4;
/// An app that shows pages itself.
pub(super) const APP: u8 = 5;
/// One of a family of apps that all name the family.
pub(super) const MEMBER: u8 = 6;

const fn app(name: &'static str) -> Word {
    Word::Browser(name, APP)
}

const fn made(name: &'static str) -> Word {
    Word::Browser(name, MADE)
}

const BOT: Word = Word::Device(Device::Bot);
const TV: Word = Word::Device(Device::Tv);
const CONSOLE: Word = Word::Device(Device::Console);

/// How many places the table has: more than twice as many as words.
const PLACES: usize = 512;
/// A place that leads nowhere.
const EMPTY: u8 = u8::MAX;

/// For each place the number of a word, which is there or in one of the places behind it.
static TABLE: [u8; PLACES] = {
    let mut table = [EMPTY; PLACES];
    let mut number = 0;
    while (number as usize) < WORDS.len() {
        let mut place = place_of(WORDS[number as usize].0.as_bytes());
        while table[place] != EMPTY {
            place = (place + 1) % PLACES;
        }
        table[place] = number;
        number += 1;
    }
    table
};

/// Where a word is looked for: by its length and some of its letters.
const fn place_of(word: &[u8]) -> usize {
    let last = word.len() - 1;
    let (first, middle, last) = (word[0], word[word.len() / 2], word[last]);
    let mixed = (first as usize * 31 + middle as usize) * 31 + last as usize;
    (mixed * 7 + word.len()) % PLACES
}

impl Word {
    /// What a word tells; it is not empty.
    pub(super) fn find(word: &[u8]) -> Option<Self> {
        let mut place = place_of(word);
        while TABLE[place] != EMPTY {
            let (known, tells) = WORDS[usize::from(TABLE[place])];
            if known.as_bytes() == word {
                return Some(tells);
            }
            place = (place + 1) % PLACES;
        }
        None
    }
}

/// By the words as they are written, in the order of their bytes.
pub(super) const WORDS: &[(&str, Word)] = &[
    ("Android", Word::Os("Android", OWN)),
    ("AppleWebKit", Word::Remark(Remark::Engine)),
    ("BB10", Word::Os("BlackBerry", OWN)),
    ("BRAVIA", TV),
    ("Barcelona", Word::Browser("Threads", MEMBER)),
    ("BingPreview", BOT),
    ("BlackBerry", Word::Os("BlackBerry", OWN)),
    ("Brave", made("Brave")),
    ("BytedanceWebview", app("TikTok")),
    ("Chrome", Word::Browser("Chrome", COMMON)),
    ("Chromium", made("Chromium")),
    ("CrKey", TV),
    ("CrOS", Word::Os("ChromeOS", OWN)),
    ("CriOS", made("Chrome")),
    ("Ddg", made("DuckDuckGo")),
    ("DragonFly", Word::Os("BSD", BASE)),
    ("DuckDuckGo", made("DuckDuckGo")),
    ("Edg", made("Edge")),
    ("EdgA", made("Edge")),
    ("Edge", made("Edge")),
    ("EdgiOS", made("Edge")),
    ("FB", app("Facebook")),
    ("FBAN", app("Facebook")),
    ("FBAV", app("Facebook")),
    ("Firefox", Word::Browser("Firefox", COMMON)),
    ("FreeBSD", Word::Os("BSD", BASE)),
    ("FxiOS", made("Firefox")),
    ("GSA", app("Google")),
    ("Gecko", Word::Remark(Remark::Engine)),
    ("GoogleImageProxy", BOT),
    ("GoogleOther", BOT),
    ("HTTrack", BOT),
    ("HarmonyOS", Word::Os("HarmonyOS", POSES)),
    ("HeadlessChrome", BOT),
    ("HeyTapBrowser", made("OPPO Browser")),
    ("HttpClient", BOT),
    ("HuaweiBrowser", made("Huawei Browser")),
    ("IEMobile", made("Internet Explorer")),
    ("InspectionTool", BOT),
    ("Instagram", Word::Browser("Instagram", MEMBER)),
    ("KAIOS", Word::Only("KaiOS", Device::Mobile)),
    ("KAKAOTALK", app("KakaoTalk")),
    ("Kindle", Word::Device(Device::Tablet)),
    ("Lighthouse", BOT),
    ("Line", app("LINE")),
    ("LinkedInApp", app("LinkedIn")),
    ("Linux", Word::Os("Linux", BASE)),
    ("MIBOX4", TV),
    ("MIDP", Word::Remark(Remark::Mobile)),
    ("MSIE", made("Internet Explorer")),
    ("Macintosh", Word::Os("macOS", BASE)),
    ("Mediapartners", BOT),
    ("MessengerForiOS", Word::Browser("Messenger", MEMBER)),
    ("MessengerLiteForiOS", Word::Browser("Messenger", MEMBER)),
    ("MicroMessenger", app("WeChat")),
    ("Mini", Word::Remark(Remark::Mini)),
    ("MiuiBrowser", made("Mi Browser")),
    ("Mobi", Word::Remark(Remark::Mobile)),
    ("Mobile", Word::Remark(Remark::Mobile)),
    ("NAVER", app("NAVER")),
    ("NetBSD", Word::Os("BSD", BASE)),
    ("NetCast", TV),
    ("Nintendo", Word::Only("Nintendo", Device::Console)),
    ("OPR", made("Opera")),
    ("OPT", made("Opera")),
    ("OPX", made("Opera")),
    ("OPiOS", made("Opera")),
    ("OculusBrowser", Word::BrowserOf("Oculus Browser", Device::Wearable)),
    ("OpenBSD", Word::Os("BSD", BASE)),
    ("OpenHarmony", Word::Os("HarmonyOS", POSES)),
    ("Opera", made("Opera")),
    ("Orca", Word::Browser("Messenger", MEMBER)),
    ("PLAYSTATION", Word::Only("PlayStation", Device::Console)),
    ("PageSpeed", BOT),
    ("PhantomJS", BOT),
    ("PhoenixBrowser", made("Phoenix Browser")),
    ("Phone", Word::Remark(Remark::Phone)),
    ("Pingdom", BOT),
    ("Pinterest", app("Pinterest")),
    ("PlayStation", Word::Only("PlayStation", Device::Console)),
    ("PostmanRuntime", BOT),
    ("Preview", BOT),
    ("Puffin", made("Puffin")),
    ("QQBrowser", made("QQ Browser")),
    ("Roku", Word::Only("Roku", Device::Tv)),
    ("Safari", Word::Remark(Remark::Safari)),
    ("SamsungBrowser", made("Samsung Internet")),
    ("Scrapy", BOT),
    ("SeaMonkey", made("SeaMonkey")),
    ("Silk", made("Silk")),
    ("Slurp", BOT),
    ("Snapchat", app("Snapchat")),
    ("Symbian", Word::Os("Symbian", OWN)),
    ("SymbianOS", Word::Os("Symbian", OWN)),
    ("Tablet", Word::Remark(Remark::Tablet)),
    ("Telegram", app("Telegram")),
    ("TikTok", app("TikTok")),
    ("Tizen", Word::Os("Tizen", OWN)),
    ("Trident", made("Internet Explorer")),
    ("Twitter", app("Twitter")),
    ("TwitterAndroid", app("Twitter")),
    ("UCBrowser", made("UC Browser")),
    ("UCWEB", made("UC Browser")),
    ("UptimeRobot", BOT),
    ("VIDAA", TV),
    ("VKAndroidApp", app("VK")),
    ("Version", Word::Remark(Remark::Version)),
    ("Viber", app("Viber")),
    ("Viera", TV),
    ("Vivaldi", made("Vivaldi")),
    ("VivoBrowser", made("vivo Browser")),
    ("Watch", Word::Device(Device::Wearable)),
    ("Web0S", Word::Os("webOS", OWN)),
    ("WebOS", Word::Os("webOS", OWN)),
    ("Weibo", app("Weibo")),
    ("Wget", BOT),
    ("Whale", made("Whale")),
    // What shows pages in it is the system's browser: this fetches previews.
    ("WhatsApp", BOT),
    ("Windows", Word::Os("Windows", BASE)),
    ("Xbox", CONSOLE),
    ("YaApp", app("Yandex")),
    ("YaBrowser", made("Yandex Browser")),
    ("YaSearchBrowser", app("Yandex")),
    ("Zalo", app("Zalo")),
    ("aiohttp", BOT),
    ("archiver", BOT),
    ("aweme", app("Douyin")),
    ("axios", BOT),
    ("baiduboxapp", app("Baidu")),
    ("baidubrowser", made("Baidu Browser")),
    ("curl", BOT),
    ("externalagent", BOT),
    ("facebookexternalhit", BOT),
    ("fetch", BOT),
    ("http", BOT),
    ("https", BOT),
    ("httpx", BOT),
    ("iOS", Word::Os("iOS", OWN)),
    ("iPad", Word::Only("iOS", Device::Tablet)),
    ("iPhone", Word::Only("iOS", Device::Mobile)),
    ("iPod", Word::Only("iOS", Device::Mobile)),
    ("libwww", BOT),
    ("musical", app("TikTok")),
    ("musically", app("TikTok")),
    ("okhttp", BOT),
    ("python", BOT),
    ("trill", app("TikTok")),
    ("tvOS", Word::Only("tvOS", Device::Tv)),
    ("watchOS", Word::Only("watchOS", Device::Wearable)),
    ("webOS", Word::Os("webOS", OWN)),
    ("wv", Word::Remark(Remark::WebView)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_soon() {
        let mut steps_max = 0;
        for (word, tells) in WORDS {
            assert_eq!(Word::find(word.as_bytes()), Some(*tells), "{word}");
            let (mut place, mut steps) = (place_of(word.as_bytes()), 0);
            while WORDS[usize::from(TABLE[place])].0 != *word {
                place = (place + 1) % PLACES;
                steps += 1;
            }
            steps_max = steps_max.max(steps);
        }
        assert!(steps_max < 8, "{steps_max}");
        assert_eq!(Word::find(b"K"), None);
        assert!(WORDS.len() < usize::from(EMPTY) && WORDS.len() * 2 < PLACES);
    }

    #[test]
    fn the_words_are_in_order_and_are_words() {
        for pair in WORDS.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} before {}", pair[1].0, pair[0].0);
        }
        for (word, _) in WORDS {
            assert!(word.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{word}");
            assert!(!word.as_bytes()[0].is_ascii_digit(), "{word}: numbers are not looked up");
        }
    }
}
