//! Landing URLs: where visitors go, as an operator writes it.
//!
//! Scheme, host and port are written out, so nothing a request says can send a visitor elsewhere.

use super::template::{Macro, Template, Value};
use std::fmt;
use std::net::Ipv6Addr;

/// The longest a landing URL may be as it is written, in bytes, without added parameters.
pub const URL_BYTES_MAX: usize = 2_048;
/// The longest the parameters that an integration adds may be, in bytes.
pub const PARAMS_BYTES_MAX: usize = 512;

/// The longest a host may be (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

/// A landing URL, ready to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandingUrl(Template);

/// What is wrong with a landing URL, or with the parameters added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LandingError {
    Empty,
    TooLong,
    Scheme,
    UserInfo,
    MacroInHost,
    HostNotAscii,
    Host,
    Port,
    Fragments,
    Control,
    ParamsTooLong,
    ParamsFragment,
    ParamsPairs,
}

impl fmt::Display for LandingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty, not a URL such as https://example.com/"),
            Self::TooLong => write!(f, "a landing URL has at most {URL_BYTES_MAX} bytes"),
            Self::Scheme => f.write_str("a URL begins with https:// or http://"),
            Self::UserInfo => f.write_str("a URL has no user or password before its host"),
            Self::MacroInHost => {
                f.write_str("host and port are written out: macros begin after the first slash")
            }
            Self::HostNotAscii => {
                f.write_str("a host with other letters is written in its xn-- form")
            }
            Self::Host => f.write_str("not a host such as example.com after the scheme"),
            Self::Port => f.write_str("a port is a number from 1 to 65535"),
            Self::Fragments => {
                f.write_str("a URL has one # at most: what follows it never reaches the server")
            }
            Self::Control => f.write_str("a landing URL has no control characters"),
            Self::ParamsTooLong => {
                write!(f, "added parameters have at most {PARAMS_BYTES_MAX} bytes")
            }
            Self::ParamsFragment => f.write_str("added parameters have no #"),
            Self::ParamsPairs => f.write_str(
                "added parameters are pairs such as `aff_sub={clickid}`, with & between them, \
                 without blanks and control characters",
            ),
        }
    }
}

impl std::error::Error for LandingError {}

impl LandingUrl {
    /// Reads a URL, and adds parameters such as `aff_sub={clickid}` to its query. Blanks around
    /// either are dropped, and so is a `?` or `&` before the parameters.
    ///
    /// Each is valid or not by itself: a valid URL stays so with any valid parameters.
    pub fn parse(url: &str, params: Option<&str>) -> Result<Self, LandingError> {
        let url = url.trim();
        if url.len() > URL_BYTES_MAX {
            return Err(LandingError::TooLong);
        }
        check_origin(url)?;
        let (before, fragment) = match url.split_once('#') {
            Some((_, fragment)) if fragment.contains('#') => return Err(LandingError::Fragments),
            Some((before, _)) => url.split_at(before.len()),
            None => (url, ""),
        };
        let params = params.unwrap_or_default().trim().trim_start_matches(['?', '&']);
        if params.len() > PARAMS_BYTES_MAX {
            return Err(LandingError::ParamsTooLong);
        }
        if params.contains('#') {
            return Err(LandingError::ParamsFragment);
        }
        let joint = match before.contains('?') {
            _ if params.is_empty() => "",
            true if before.ends_with(['?', '&']) => "",
            true => "&",
            false => "?",
        };
        Ok(Self(Template::parse(&[before, joint, params, fragment].concat())))
    }

    /// Reads what somebody writes down now. What is harmless in what was written down before, and
    /// meant by nobody, is refused: control characters, and parameters that are no pairs.
    pub fn parse_new(url: &str, params: Option<&str>) -> Result<Self, LandingError> {
        let landing = Self::parse(url, params)?;
        if url.trim().contains(char::is_control) {
            return Err(LandingError::Control);
        }
        let params = params.unwrap_or_default().trim().trim_start_matches(['?', '&']);
        let is_pair = |part: &str| part.split_once('=').is_some_and(|(name, _)| !name.is_empty());
        let is_odd = |letter: char| letter.is_whitespace() || letter.is_control();
        if params.contains(is_odd) || !params.is_empty() && !params.split('&').all(is_pair) {
            return Err(LandingError::ParamsPairs);
        }
        Ok(landing)
    }

    /// Whether the visitor takes our click id along.
    pub fn has_click_id(&self) -> bool {
        self.0.has(Macro::ClickId)
    }

    /// Appends the URL as it goes into `Location`: printable ASCII without blanks.
    pub fn render<'v>(&self, out: &mut Vec<u8>, resolve: impl FnMut(Macro) -> Value<'v>) {
        self.0.render(out, resolve);
    }
}

/// Checks everything before the path.
fn check_origin(url: &str) -> Result<(), LandingError> {
    if url.is_empty() {
        return Err(LandingError::Empty);
    }
    let (scheme, rest) = url.split_once("://").ok_or(LandingError::Scheme)?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(LandingError::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains(['{', '}']) {
        return Err(LandingError::MacroInHost);
    }
    if authority.contains('@') {
        return Err(LandingError::UserInfo);
    }
    if !authority.is_ascii() {
        return Err(LandingError::HostNotAscii);
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<Ipv6Addr>().map_err(|_| LandingError::Host)?;
            ("[]", port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    if host != "[]" && !is_host(host) {
        return Err(LandingError::Host);
    }
    if port.is_empty() || port.strip_prefix(':').is_some_and(is_port) {
        Ok(())
    } else {
        Err(LandingError::Port)
    }
}

fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && !label.starts_with('-') && label.bytes().all(is_kept)
    };
    host.len() <= HOST_BYTES_MAX && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|digit| digit.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn render(url: &str, params: Option<&str>) -> Result<String, LandingError> {
        let mut out = Vec::new();
        LandingUrl::parse(url, params)?.render(&mut out, |found| {
            Value::from(if found == Macro::ClickId { "01abc" } else { "a/b c" })
        });
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_landing_url_is_filled_in() {
        let cases = [
            ("https://example.com", "https://example.com"),
            ("https://example.com?c={click_id}", "https://example.com?c=01abc"),
            ("HTTP://Example.com:8080/{sub1}#{clickid}", "HTTP://Example.com:8080/a%2Fb%20c#01abc"),
            ("https://[2001:db8::1]:443/", "https://[2001:db8::1]:443/"),
            ("https://192.0.2.1/", "https://192.0.2.1/"),
            ("https://a_b.example.com./", "https://a_b.example.com./"),
            (" https://example.com/a b?\u{e9} ", "https://example.com/a%20b?%C3%A9"),
            ("https://example.com/?a={gaid}&b={{x}}", "https://example.com/?a={gaid}&b={{x}}"),
            ("https://example.com/?u=x@y:z", "https://example.com/?u=x@y:z"),
            ("https://example.com/\r\nSet-Cookie:a", "https://example.com/%0D%0ASet-Cookie:a"),
        ];
        for (url, rendered) in cases {
            assert_eq!(render(url, None).as_deref(), Ok(rendered), "{url}");
        }
    }

    #[test]
    fn what_is_no_landing_url_is_refused_with_the_reason() {
        let long = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX));
        let cases = [
            ("", LandingError::Empty),
            ("  ", LandingError::Empty),
            (&long, LandingError::TooLong),
            ("example.com", LandingError::Scheme),
            ("//example.com", LandingError::Scheme),
            ("javascript:alert(1)", LandingError::Scheme),
            ("ftp://example.com/", LandingError::Scheme),
            ("{sub1}://example.com/", LandingError::Scheme),
            ("{sub1}", LandingError::Scheme),
            ("https:/example.com/", LandingError::Scheme),
            ("https://{sub1}/", LandingError::MacroInHost),
            ("https://{sub1}.example.com/", LandingError::MacroInHost),
            ("https://example.com{sub1}/", LandingError::MacroInHost),
            ("https://example.com:{sub1}/", LandingError::MacroInHost),
            ("https://user:password@example.com/", LandingError::UserInfo),
            ("https://example.com@evil.example/", LandingError::UserInfo),
            ("https://b\u{fc}cher.example/", LandingError::HostNotAscii),
            ("https://", LandingError::Host),
            ("https:///path", LandingError::Host),
            ("https://?c={click_id}", LandingError::Host),
            ("https://:80/", LandingError::Host),
            ("https://exa mple.com/", LandingError::Host),
            ("https://example.com\\@evil.example", LandingError::UserInfo),
            ("https://example.com\\.evil.example", LandingError::Host),
            ("https://exam%70le.com/", LandingError::Host),
            ("https://example..com/", LandingError::Host),
            ("https://-example.com/", LandingError::Host),
            ("https://[example]/", LandingError::Host),
            ("https://[::1/", LandingError::Host),
            ("https://example.com:/", LandingError::Port),
            ("https://example.com:0/", LandingError::Port),
            ("https://example.com:65536/", LandingError::Port),
            ("https://example.com:+80/", LandingError::Port),
            ("https://example.com:80:80/", LandingError::Port),
            ("https://[::1]80/", LandingError::Port),
            ("https://example.com/?s=##SUB##&c={click_id}", LandingError::Fragments),
        ];
        for (url, error) in cases {
            assert_eq!(render(url, None), Err(error), "{url}");
        }
    }

    #[test]
    fn parameters_are_added_to_the_query() {
        let cases = [
            ("https://example.com", "https://example.com?s=01abc"),
            ("https://example.com/", "https://example.com/?s=01abc"),
            ("https://example.com/?", "https://example.com/?s=01abc"),
            ("https://example.com/?a=1", "https://example.com/?a=1&s=01abc"),
            ("https://example.com/?a=1&", "https://example.com/?a=1&s=01abc"),
            ("https://example.com/#top", "https://example.com/?s=01abc#top"),
            ("https://example.com/?a=1#top?x", "https://example.com/?a=1&s=01abc#top?x"),
            ("https://example.com/#/x?y", "https://example.com/?s=01abc#/x?y"),
        ];
        for (url, rendered) in cases {
            for params in ["s={clickid}", "?s={click_id}", "&s={click_id} "] {
                assert_eq!(render(url, Some(params)).as_deref(), Ok(rendered), "{url} {params}");
            }
            assert_eq!(render(url, Some("")).as_deref(), Ok(url));
        }
        assert_eq!(render("https://example.com", Some("a#b")), Err(LandingError::ParamsFragment));
        let long = "a".repeat(PARAMS_BYTES_MAX + 1);
        assert_eq!(render("https://example.com", Some(&long)), Err(LandingError::ParamsTooLong));
    }

    #[test]
    fn what_is_written_now_has_no_control_characters_and_adds_pairs() {
        let url = |url: &str| LandingUrl::parse_new(url, None).map(|_| ());
        assert_eq!(url(" https://example.com/a b?c={click_id}\n"), Ok(()));
        for odd in ["\r\nSet-Cookie: x=1", "a\0b", "a\tb", "a\u{85}b"] {
            let odd = format!("https://example.com/{odd}");
            assert_eq!(url(&odd), Err(LandingError::Control), "{odd:?}");
        }
        let params =
            |params: &str| LandingUrl::parse_new("https://example.com/", Some(params)).map(|_| ());
        for good in ["", "a={clickid}", " ?a={clickid}&b=\u{e9}&c= ", "&~a=b=c", "a=1&a=2"] {
            assert_eq!(params(good), Ok(()), "{good:?}");
        }
        for odd in [
            "<script>",
            "a\r\nSet-Cookie: x=1",
            "a=b c",
            "a=b\u{a0}c",
            "a",
            "=b",
            "a=1&&b=2",
            "a=1&",
        ] {
            assert_eq!(params(odd), Err(LandingError::ParamsPairs), "{odd:?}");
        }
    }

    #[test]
    fn a_click_id_is_known_to_be_there() {
        let has = |url, params| LandingUrl::parse(url, params).unwrap().has_click_id();
        assert!(has("https://example.com/?c={clickid}", None));
        assert!(has("https://example.com/", Some("c={click_id}")));
        assert!(!has("https://example.com/?c={{click_id}}&d=${click_id}", None));
        assert!(!has("https://example.com/?c={CLICK_ID}", None));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_printable_ascii_and_goes_to_the_host_of_the_setup(
            path in "(/|\\?|#|\\{sub1\\}|\\{click_id\\}|\\PC|[\r\n\0@\\\\{}]){0,20}",
            value: Vec<u8>,
            params in "(&|=|\\{sub1\\}|\\PC){0,20}",
        ) {
            let url = format!("https://example.com/{path}");
            let Ok(plain) = LandingUrl::parse(&url, None) else { return Ok(()) };
            let with_params = LandingUrl::parse(&url, Some(&params));
            let with_params = if params.contains('#') { &plain } else { &with_params.unwrap() };
            for landing in [&plain, with_params] {
                let mut out = Vec::new();
                landing.render(&mut out, |_| Value::Bytes(&value));
                prop_assert!(out.starts_with(b"https://example.com/"));
                prop_assert!(out.iter().all(u8::is_ascii_graphic));
            }
        }
    }
}
