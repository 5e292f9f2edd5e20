//! URL templates: compiled once, rendered for each visitor without an allocation of their own.
//!
//! Whatever comes out is printable ASCII without blanks: values are percent-encoded when they are
//! filled in, and the text around them when it is compiled.

use crate::money::Micros;
use crate::visitor::Known;
use std::fmt::{self, Write};
use std::net::IpAddr;

/// How many `subN` macros there are.
const SUBS: u8 = 10;

/// What a landing URL can have filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Macro {
    ClickId,
    CampaignId,
    PublisherId,
    Payout,
    Revenue,
    Currency,
    /// `sub1` … `sub10`, by number.
    Sub(u8),
    ExternalId,
    Source,
    Creative,
    Placement,
    /// `country`, `device`, `os` or `browser`.
    Visitor(Known),
    Ip,
    UserAgent,
    Timestamp,
    Random,
}

impl Macro {
    /// The macro of a name, as it stands between the braces. Names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "click_id" | "clickid" => Self::ClickId,
            "campaign_id" => Self::CampaignId,
            "publisher_id" => Self::PublisherId,
            "payout" => Self::Payout,
            "revenue" => Self::Revenue,
            "currency" => Self::Currency,
            "external_id" => Self::ExternalId,
            "source" => Self::Source,
            "creative" => Self::Creative,
            "placement" => Self::Placement,
            "ip" => Self::Ip,
            "user_agent" => Self::UserAgent,
            "timestamp" => Self::Timestamp,
            "random" => Self::Random,
            _ => return Known::from_name(name).map(Self::Visitor).or_else(|| sub(name)),
        })
    }
}

fn sub(name: &str) -> Option<Macro> {
    let digits = name.strip_prefix("sub")?;
    let digits = Some(digits).filter(|it| it.starts_with(|digit| matches!(digit, '1'..='9')))?;
    digits.parse().ok().filter(|number| *number <= SUBS).map(Macro::Sub)
}

/// What a macro stands for in one visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing is known: nothing is written.
    Empty,
    Bytes(&'a [u8]),
    Number(u64),
    /// Written as the shortest decimal.
    Money(Micros),
    Ip(IpAddr),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

/// A URL, or a part of one, with macros in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Printable ASCII.
    Literal(Box<[u8]>),
    Macro(Macro),
}

impl Piece {
    /// Takes the bytes for a literal, unless there are none.
    fn literal(bytes: &mut Vec<u8>) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self::Literal(std::mem::take(bytes).into()))
    }
}

impl Template {
    /// Compiles a text. A known name in single braces is a macro, unless the brace belongs to
    /// another style: `{{click_id}}`, `${click_id}` and `%{click_id}` stay as they are.
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        let mut before = None;
        while let Some(next) = rest.chars().next() {
            if let Some((found, behind)) = leading_macro(before, rest) {
                pieces.extend(Piece::literal(&mut literal));
                pieces.push(Piece::Macro(found));
                rest = behind;
                before = Some('}');
            } else {
                let (this, behind) = rest.split_at(next.len_utf8());
                encode(this.as_bytes(), &mut literal, |byte| byte.is_ascii_graphic());
                rest = behind;
                before = Some(next);
            }
        }
        pieces.extend(Piece::literal(&mut literal));
        Self(pieces.into())
    }

    /// Whether the macro is filled in anywhere.
    pub fn has(&self, wanted: Macro) -> bool {
        self.macros().any(|found| found == wanted)
    }

    /// The macros, in the order in which they stand.
    pub fn macros(&self) -> impl Iterator<Item = Macro> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Macro(found) => Some(*found),
            Piece::Literal(_) => None,
        })
    }

    /// Appends the text to `out` with each macro resolved. Of a value, everything but letters,
    /// digits and `-._~` is percent-encoded.
    pub fn render<'v>(&self, out: &mut Vec<u8>, mut resolve: impl FnMut(Macro) -> Value<'v>) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Macro(found) => resolve(*found).write(out),
            }
        }
    }
}

impl Value<'_> {
    /// Appends the value percent-encoded.
    fn write(self, out: &mut Vec<u8>) {
        let mut text = Encoded(out);
        let written = match self {
            Self::Empty => Ok(()),
            Self::Bytes(bytes) => {
                encode(bytes, out, is_unreserved);
                Ok(())
            }
            Self::Number(number) => write!(text, "{number}"),
            Self::Money(amount) => write!(text, "{amount}"),
            Self::Ip(address) => write!(text, "{address}"),
        };
        written.expect("memory takes all that is written");
    }
}

/// Percent-encodes what is formatted into it.
struct Encoded<'a>(&'a mut Vec<u8>);

impl fmt::Write for Encoded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        encode(text.as_bytes(), self.0, is_unreserved);
        Ok(())
    }
}

/// The macro that a text begins with, and what follows it.
fn leading_macro(before: Option<char>, text: &str) -> Option<(Macro, &str)> {
    if matches!(before, Some('{' | '$' | '%')) {
        return None;
    }
    let (name, behind) = text.strip_prefix('{')?.split_once('}')?;
    Some((Macro::from_name(name)?, behind))
}

/// RFC 3986, section 2.3.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Appends bytes to `out`, percent-encoding those that may not stand as they are.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>, is_kept: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if is_kept(*byte) {
            out.push(*byte);
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
            out.extend_from_slice(&[b'%', high, low]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolve(found: Macro) -> Value<'static> {
        match found {
            Macro::ClickId => "01abc".into(),
            Macro::CampaignId => Value::Number(42),
            Macro::Payout => Value::Money(Micros(1_750_000)),
            Macro::Ip => Value::Ip("2001:db8::1".parse().unwrap()),
            Macro::UserAgent => "M\u{f6}zilla/5.0 (X11)\r\nA: b".into(),
            Macro::ExternalId => Value::Bytes(&[0, 0xFF, b'~', b'&', b'=', b'#', b'{', b'}']),
            Macro::Visitor(Known::Browser) => "Samsung Internet".into(),
            Macro::Visitor(known) => known.name().into(),
            Macro::Sub(1) => "one".into(),
            Macro::Sub(10) => "ten".into(),
            _ => Value::Empty,
        }
    }

    fn render(text: &str) -> String {
        let mut out = b"\r\n".to_vec();
        Template::parse(text).render(&mut out, resolve);
        String::from_utf8(out).unwrap().split_off(2)
    }

    #[test]
    fn macros_are_filled_in() {
        let cases = [
            ("", ""),
            ("?a={click_id}&b={clickid}", "?a=01abc&b=01abc"),
            ("{click_id}{campaign_id}", "01abc42"),
            ("{sub1}-{sub10}", "one-ten"),
            ("{payout}:{revenue}:", "1.75::"),
            ("{ip}", "2001%3Adb8%3A%3A1"),
            ("{country}-{device}-{os}-{browser}", "country-device-os-Samsung%20Internet"),
            ("#{click_id}", "#01abc"),
            ("({click_id})", "(01abc)"),
        ];
        for (text, rendered) in cases {
            assert_eq!(render(text), rendered, "{text}");
        }
    }

    #[test]
    fn a_value_cannot_leave_its_place() {
        assert_eq!(render("{user_agent}"), "M%C3%B6zilla%2F5.0%20%28X11%29%0D%0AA%3A%20b");
        assert_eq!(render("{external_id}"), "%00%FF~%26%3D%23%7B%7D");
    }

    #[test]
    fn other_braces_pass_through_untouched() {
        let texts = [
            "{",
            "}",
            "{}",
            "{x}",
            "{sub0}",
            "{sub01}",
            "{sub11}",
            "{sub}",
            "{sub+1}",
            "{click_id",
            "click_id}",
            "{CLICK_ID}",
            "{+click_id+}",
            "{click_id:raw}",
            "{Country}",
            "{country_code}",
            "{gaid}",
            "{{click_id}}",
            "{{{click_id}}}",
            "${click_id}",
            "%{click_id}",
            "#{a.b.c}",
            "[click_id]",
            "{$click_id}",
            "{!x!}",
            "##X##",
            "__X__",
            "%x%",
            "{a{b}",
            "{status:lead=0}",
        ];
        for text in texts {
            assert_eq!(render(text), text);
        }
        assert_eq!(render("{x{click_id}"), "{x01abc");
        assert_eq!(render(r#"{"id":{click_id}}"#), r#"{"id":01abc}"#);
        assert_eq!(render("{x}{click_id}{y}"), "{x}01abc{y}");
    }

    #[test]
    fn control_and_non_ascii_characters_of_the_text_are_encoded() {
        assert_eq!(render("a b\r\n\0\u{e9}\u{7f}%20"), "a%20b%0D%0A%00%C3%A9%7F%20");
    }

    #[test]
    fn a_template_says_what_it_fills_in() {
        let template = Template::parse("/{sub2}/{clickid}/{nothing}/{click_id}");
        let macros = [Macro::Sub(2), Macro::ClickId, Macro::ClickId];
        assert_eq!(template.macros().collect::<Vec<_>>(), macros);
        assert!(template.has(Macro::ClickId));
        assert!(!template.has(Macro::Payout));
    }

    proptest! {
        #[test]
        fn whatever_is_rendered_is_printable_ascii(
            text in "(\\{(click_id|sub1|user_agent|x)\\}|\\PC|[{}$%\r\n\0 ]){0,20}",
            value: Vec<u8>,
        ) {
            let mut out = Vec::new();
            Template::parse(&text).render(&mut out, |_| Value::Bytes(&value));
            prop_assert!(out.iter().all(u8::is_ascii_graphic));
        }

        #[test]
        fn a_text_without_macros_stays_as_it_is(text in "[!-z|}~]{0,40}") {
            prop_assert_eq!(render(&text), text);
        }
    }
}
