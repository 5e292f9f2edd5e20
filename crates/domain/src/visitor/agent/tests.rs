//! User agents as they are sent, by the devices and apps that send them.

use super::*;
use crate::visitor::words::WORDS;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Device, system and browser; `-` where nothing is known.
fn read(text: &str) -> String {
    let Agent { device, os, browser } = Agent::read(text.as_bytes());
    let device = device.map_or("", Device::name);
    [device, os, browser].map(|word| if word.is_empty() { "-" } else { word }).join(", ")
}

#[track_caller]
fn all(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(read(text), *expected, "{text}");
    }
}

const ANDROID: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) \
    AppleWebKit/605.1.15 (KHTML, like Gecko)";
const WINDOWS: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";

#[test]
fn desktops() {
    let chrome = format!("{WINDOWS} Chrome/131.0.0.0 Safari/537.36");
    all(&[
        (&chrome, "desktop, Windows, Chrome"),
        (&format!("{chrome} Edg/131.0.0.0"), "desktop, Windows, Edge"),
        (&format!("{chrome} OPR/115.0.0.0"), "desktop, Windows, Opera"),
        (&format!("{chrome} Vivaldi/6.9"), "desktop, Windows, Vivaldi"),
        (
            &format!("{WINDOWS} Chrome/128.0.0.0 YaBrowser/24.10.0 Yowser/2.5 Safari/537.36"),
            "desktop, Windows, Yandex Browser",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
            "desktop, Windows, Firefox",
        ),
        (
            "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; Touch; Tablet PC 2.0; rv:11.0) \
             like Gecko",
            "desktop, Windows, Internet Explorer",
        ),
        (
            "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
            "desktop, Windows, Internet Explorer",
        ),
        ("Opera/9.80 (Windows NT 6.1) Presto/2.12 Version/12.16", "desktop, Windows, Opera"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
            "desktop, macOS, Safari",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            "desktop, macOS, Chrome",
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/131.0.0.0 Safari/537.36",
            "desktop, ChromeOS, Chrome",
        ),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
            "desktop, Linux, Firefox",
        ),
        (
            "Mozilla/5.0 (X11; FreeBSD amd64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "desktop, BSD, Firefox",
        ),
    ]);
}

#[test]
fn phones_with_android() {
    let chrome = format!("{ANDROID} Chrome/131.0.0.0 Mobile Safari/537.36");
    all(&[
        (&chrome, "mobile, Android, Chrome"),
        (&format!("{chrome} EdgA/131.0.0.0"), "mobile, Android, Edge"),
        (&format!("{chrome} OPR/86.0.0.0"), "mobile, Android, Opera"),
        (
            &format!("{ANDROID} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36"),
            "mobile, Android, Samsung Internet",
        ),
        (
            "Mozilla/5.0 (Linux; U; Android 13; en-us; 22101316G Build/TP1A.220624.014) \
             AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0.5615.136 Mobile \
             Safari/537.36 XiaoMi/MiuiBrowser/14.12.0-gn",
            "mobile, Android, Mi Browser",
        ),
        (
            "Mozilla/5.0 (Linux; U; Android 12; en-US; RMX3085) AppleWebKit/537.36 \
             (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.4.2.1307 Mobile \
             Safari/537.36",
            "mobile, Android, UC Browser",
        ),
        (
            "Mozilla/5.0 (Linux; Android 12; HarmonyOS; NOH-AN00) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/114.0 HuaweiBrowser/15.0 Mobile Safari/537.36",
            "mobile, HarmonyOS, Huawei Browser",
        ),
        (
            "Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0",
            "mobile, Android, Firefox",
        ),
        (
            "Opera/9.80 (Android; Opera Mini/36.2.2254/191.303; U; en) Presto/2.12 Version/12.16",
            "mobile, Android, Opera Mini",
        ),
        ("Opera/9.80 (J2ME/MIDP; Opera Mini/9.80; U; en) Presto/2.8", "mobile, -, Opera Mini"),
        (
            "Mozilla/5.0 (Linux; U; Android 4.1.2; de-de; GT-I8190 Build/JZO54K) \
             AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
            "mobile, Android, Android Browser",
        ),
        (
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/96.0 Mobile Safari/537.36",
            "mobile, Android, Chrome",
        ),
    ]);
}

#[test]
fn other_phones() {
    all(&[
        (&format!("{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1"), "mobile, iOS, Safari"),
        (
            &format!("{IPHONE} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1"),
            "mobile, iOS, Chrome",
        ),
        (&format!("{IPHONE} FxiOS/133.0 Mobile/15E148 Safari/605.1.15"), "mobile, iOS, Firefox"),
        (
            &format!("{IPHONE} Version/17.0 EdgiOS/131.0 Mobile/15E148 Safari/605.1.15"),
            "mobile, iOS, Edge",
        ),
        (&format!("{IPHONE} GSA/346.0 Mobile/15E148 Safari/604.1"), "mobile, iOS, Google"),
        (
            &format!("{IPHONE} Version/17.5 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15"),
            "mobile, iOS, DuckDuckGo",
        ),
        (
            "Mozilla/5.0 (Mobile; Windows Phone 8.1; Android 4.0; ARM; Trident/7.0; Touch; \
             rv:11.0; IEMobile/11.0; NOKIA; Lumia 520) like iPhone OS 7_0_3 Mac OS X \
             AppleWebKit/537 (KHTML, like Gecko) Mobile Safari/537",
            "mobile, Windows Phone, Internet Explorer",
        ),
        (
            "Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
            "mobile, KaiOS, Firefox",
        ),
    ]);
}

#[test]
fn apps_that_show_pages_themselves() {
    let view = "Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A; wv) AppleWebKit/537.36 \
        (KHTML, like Gecko) Version/4.0 Chrome/130.0.6723.107 Mobile Safari/537.36";
    let phone = format!("{IPHONE} Mobile/21F90");
    let in_android = |end: &str| format!("{view} {end}");
    let in_iphone = |end: &str| format!("{phone} {end}");
    all(&[
        (view, "mobile, Android, Android WebView"),
        (&phone, "mobile, iOS, iOS WebView"),
        (&in_android("[FB_IAB/FB4A;FBAV/490.0.0.63.82;IABMV/1;]"), "mobile, Android, Facebook"),
        (
            &in_iphone("[FBAN/FBIOS;FBAV/487.0.0.48.111;FBDV/iPhone14,5;FBSN/iOS;FBOP/5]"),
            "mobile, iOS, Facebook",
        ),
        (&in_android("[FB_IAB/Orca-Android;FBAV/482.0.0.13;]"), "mobile, Android, Messenger"),
        (&in_iphone("[FBAN/MessengerForiOS;FBAV/484.0;FBSN/iOS]"), "mobile, iOS, Messenger"),
        (
            &in_android("Instagram 357.0.0.25.101 Android (34/14; 480dpi; samsung; SM-S911B)"),
            "mobile, Android, Instagram",
        ),
        (
            &in_iphone("Instagram 356.0.0.20.91 (iPhone14,5; iOS 17_5_1; en_US; scale=3.00)"),
            "mobile, iOS, Instagram",
        ),
        (&in_iphone("Barcelona 357.0 (iPhone14,5; iOS 17_5_1)"), "mobile, iOS, Threads"),
        (
            &in_android(
                "musical_ly_2023608040 JsSdk/1.0 NetType/WIFI ByteLocale/en \
                BytedanceWebview/d8a21c6",
            ),
            "mobile, Android, TikTok",
        ),
        (&in_iphone("musical_ly_36.8.0 JsSdk/2.0 Channel/App Store"), "mobile, iOS, TikTok"),
        (&in_android("trill_370104 AppName/trill ByteLocale/vi"), "mobile, Android, TikTok"),
        (&in_iphone("Snapchat/13.16.0.34 (like Safari/8617.2, panda)"), "mobile, iOS, Snapchat"),
        (&in_android("[Pinterest/Android]"), "mobile, Android, Pinterest"),
        (&in_iphone("[LinkedInApp]/9.30.1"), "mobile, iOS, LinkedIn"),
        (&in_iphone("Twitter for iPhone/10.70"), "mobile, iOS, Twitter"),
        (&in_android("TwitterAndroid"), "mobile, Android, Twitter"),
        (&in_android("MMWEBID/4 MicroMessenger/8.0.50"), "mobile, Android, WeChat"),
        (&in_iphone("Safari Line/14.19.0"), "mobile, iOS, LINE"),
        (&in_android("KAKAOTALK/25.1.0 (INAPP)"), "mobile, Android, KakaoTalk"),
        (&in_android("Telegram-Android/11.4.2 (Samsung)"), "mobile, Android, Telegram"),
        (
            "Instagram 275.0.0.27.98 Android (33/13; 420dpi; 1080x2194; Google; Pixel 6)",
            "mobile, Android, Instagram",
        ),
    ]);
}

#[test]
fn tablets() {
    all(&[
        (
            "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) CriOS/131.0 Mobile/15E148 Safari/604.1",
            "tablet, iOS, Chrome",
        ),
        // An iPad's app that asks for the pages of desktops.
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) Mobile/15E148",
            "tablet, iOS, iOS WebView",
        ),
        (&format!("{ANDROID} Chrome/131.0.0.0 Safari/537.36"), "tablet, Android, Chrome"),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) \
             SamsungBrowser/23.0 Chrome/115.0.0.0 Safari/537.36",
            "tablet, Android, Samsung Internet",
        ),
        (
            "Mozilla/5.0 (Android 13; Tablet; rv:133.0) Gecko/133.0 Firefox/133.0",
            "tablet, Android, Firefox",
        ),
        (
            "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) \
             Silk/108.4.6 like Chrome/108.0.5359.220 Safari/537.36",
            "tablet, Android, Silk",
        ),
    ]);
}

#[test]
fn televisions_consoles_and_what_is_worn() {
    all(&[
        (
            "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) \
             SamsungBrowser/4.0 Chrome/76.0 TV Safari/537.36",
            "tv, Tizen, Samsung Internet",
        ),
        (
            "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/94.0 Safari/537.36 WebAppManager",
            "tv, webOS, Chrome",
        ),
        (
            "Mozilla/5.0 (Linux; Android 9; AFTKA Build/PS7484; wv) AppleWebKit/537.36 \
             (KHTML, like Gecko) Version/4.0 Chrome/120.0 Mobile Safari/537.36",
            "tv, Android, Android WebView",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; BRAVIA 4K VH2) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/119.0 Safari/537.36",
            "tv, Android, Chrome",
        ),
        ("Roku/DVP-9.10 (519.10E04111A)", "tv, Roku, -"),
        ("AppleTV11,1/11.1", "-, -, -"),
        (
            "Mozilla/5.0 (PlayStation; PlayStation 5/6.00) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) Version/15.4 Safari/605.1.15",
            "console, PlayStation, -",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0",
            "console, Windows, Edge",
        ),
        (
            "Mozilla/5.0 (Nintendo Switch; WifiWebAuthApplet) AppleWebKit/609.4 \
             (KHTML, like Gecko) NF/6.0.2.21.3 NintendoBrowser/5.1.0.22474",
            "console, Nintendo, -",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) \
             OculusBrowser/35.3 Chrome/130.0 VR Safari/537.36",
            "wearable, Linux, Oculus Browser",
        ),
    ]);
}

#[test]
fn programs_that_follow_links_by_themselves() {
    all(&[
        (
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; \
             +http://www.google.com/bot.html)",
            "bot, Android, Chrome",
        ),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "bot, -, -"),
        ("Mozilla/5.0 (compatible; Baiduspider/2.0)", "bot, -, -"),
        ("AdsBot-Google (+http://www.google.com/adsbot.html)", "bot, -, -"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 14_7_1 like Mac OS X) AppleWebKit/605.1.15 \
             (KHTML, like Gecko) Version/14.1.2 Mobile/15E148 Safari/604.1 \
             (compatible; AdsBot-Google-Mobile)",
            "bot, iOS, Safari",
        ),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "bot, -, -"),
        ("meta-externalagent/1.1", "bot, -, -"),
        ("TelegramBot (like TwitterBot)", "bot, -, -"),
        ("Slackbot-LinkExpanding 1.0", "bot, -, -"),
        ("WhatsApp/2.23.20.0", "bot, -, -"),
        (&format!("{WINDOWS} HeadlessChrome/131.0.0.0 Safari/537.36"), "bot, Windows, -"),
        (
            &format!("{ANDROID} Chrome/131.0 Mobile Safari/537.36 Chrome-Lighthouse"),
            "bot, Android, Chrome",
        ),
        ("curl/8.10.1", "bot, -, -"),
        ("Wget/1.24.5", "bot, -, -"),
        ("python-requests/2.32.3", "bot, -, -"),
        ("Go-http-client/1.1", "bot, -, -"),
        ("Apache-HttpClient/4.5.14 (Java/17.0.9)", "bot, -, -"),
        ("okhttp/4.12.0", "bot, -, -"),
    ]);
}

#[test]
fn what_is_not_known_is_not_guessed() {
    all(&[("", "-, -, -"), ("x", "-, -, -"), ("Mozilla/5.0", "-, -, -"), ("robots", "-, -, -")]);
}

#[test]
fn of_a_long_one_only_so_much_is_read() {
    let padded = |bytes: usize| format!("{}Firefox", " ".repeat(bytes));
    let is_read = |text: &str| Agent::read(text.as_bytes()).browser == "Firefox";
    assert!(is_read(&padded(AGENT_BYTES_MAX - "Firefox".len())));
    assert!(!is_read(&padded(AGENT_BYTES_MAX - "Firefox".len() + 1)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_words_of_ours(
        bytes: Vec<u8>,
        words in prop::collection::vec(prop::sample::select(WORDS), 0..20),
        between in "[ ;/(),\u{e9}.-]",
    ) {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let words = words.join(&between).into_bytes();
        let texts = [&bytes[..], &words, &[&bytes[..], &words].concat()].map(<[u8]>::to_vec);
        let made = ["Windows Phone", "Opera Mini", "Android WebView", "Android Browser",
            "iOS WebView", "Safari", ""];
        let known: BTreeSet<&str> = WORDS.iter().filter_map(|(_, word)| match word {
            Word::Os(name, _) | Word::Browser(name, _) | Word::Only(name, _)
            | Word::BrowserOf(name, _) => Some(*name),
            Word::Device(_) | Word::Remark(_) => None,
        }).chain(made).collect();
        for text in texts {
            let Agent { os, browser, .. } = Agent::read(&text);
            prop_assert!(known.contains(os) && known.contains(browser), "{os} {browser}");
        }
    }
}
