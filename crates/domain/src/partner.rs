//! A partner: an entry of the catalogue, how a known platform speaks.
//!
//! It is data. As a sender it has a contract; as a source of visitors it has what is appended to
//! our links; as a receiver it has the URL that we call. None has to have all of them.

use crate::contract::Contract;
use crate::destination::Corrections;
use crate::macros::{LandingUrl, Macro};
use crate::outbound::{Amount, Field, Outbound};
use schemars::JsonSchema;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;

/// How many sources, notes and paths a partner may have of each.
pub const LINES_MAX: usize = 50;
/// The longest a line that is for people may be, in bytes.
pub const LINE_BYTES_MAX: usize = 2_000;
/// The longest a name may be, in bytes.
pub const NAME_BYTES_MAX: usize = 50;

/// The path of partners whose own keys stand before `/postback`. With our key it is served as any;
/// with one of theirs, for a sender who has not changed more than the host.
pub const KEYED_PATH: &str = "/{key}/postback";

/// The path without a key, which is everybody's.
pub const PLAIN_PATH: &str = "/postback";

/// A path without the slashes that make no difference: doubled ones, and those at its end.
pub fn without_blanks(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.ends_with('/') {
        return Cow::Borrowed(path);
    }
    let names = path.split('/').filter(|name| !name.is_empty());
    Cow::Owned(names.flat_map(|name| ["/", name]).collect())
}

/// A known platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// Its stable name, as in `POST /integrations`.
    pub name: String,
    pub title: String,
    /// What kind of platform it is, in a few words.
    pub kind: String,
    /// `None`: loaded before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Where the facts are from, at least one. One alone is written as it was before there
    /// could be several.
    #[serde(rename = "source", alias = "sources", with = "one_or_more")]
    #[schemars(with = "Vec<String>")]
    pub sources: Vec<String>,
    /// When the sources were read: a date.
    pub source_on: String,
    /// What whoever picks it has to know: contradictions, traps, what is unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Where the platform's own menu takes our postback URL or link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub menu: Option<String>,
    /// What our landing URLs need so that our click id comes back, such as `sub1={click_id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing_params: Option<String>,
    /// What our links need so that it fills in what it knows about a visitor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub click: Vec<ClickParameter>,
    /// Paths on which its senders call, beside `/postback` and `/postback/{key}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// What we call to tell it of a conversion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Box<Outbound>>,
    /// How it hears of changes, as its documentation says; `None`: it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrections: Option<Corrections>,
    /// How it speaks when it calls us; `None`: it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
}

/// How well the facts are known.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Confidence {
    /// The platform's own documentation.
    A,
    /// Another tracker's preset.
    B,
    /// Somebody's working code.
    C,
}

impl Confidence {
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }

    /// What it means, for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::A => "the platform's own documentation",
            Self::B => "another tracker's preset",
            Self::C => "somebody's working code",
        }
    }
}

/// One parameter of our links, with the macro that a source of visitors puts its value for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClickParameter {
    /// Ours: `external_id`, `sub1` … `sub10`, `source`, `creative`, `placement`, `cost`.
    pub name: String,
    /// Theirs, such as `{clickid}`.
    #[serde(rename = "macro")]
    pub placeholder: String,
}

/// The names of the parameters that our links take, but for the numbered ones.
const CLICK_NAMES: [&str; 5] = ["external_id", "source", "creative", "placement", "cost"];

impl ClickParameter {
    /// Whether our links take a parameter of that name.
    pub fn is_known(name: &str) -> bool {
        CLICK_NAMES.contains(&name) || matches!(Macro::from_name(name), Some(Macro::Sub(_)))
    }

    /// Every name that our links take.
    pub fn names() -> impl Iterator<Item = String> {
        let subs = (1..=crate::click::SUBS).map(|number| format!("sub{number}"));
        CLICK_NAMES.iter().map(|name| (*name).to_owned()).chain(subs)
    }
}

impl Partner {
    /// What is wrong with it, for whoever wrote it; `None`: nothing.
    pub fn fault(&self) -> Option<String> {
        self.text_fault()
            .or_else(|| self.click_fault())
            .or_else(|| self.landing_fault())
            .or_else(|| Some(format!("outbound.{}", self.outbound.as_ref()?.fault()?)))
            .or_else(|| Some(format!("outbound.corrections: {}", self.corrections_fault()?)))
            .or_else(|| self.paths_fault())
            .or_else(|| Some(format!("contract.{}", self.contract.as_ref()?.fault()?)))
    }

    fn corrections_fault(&self) -> Option<String> {
        let corrections = self.corrections.as_ref()?;
        let Some(outbound) = &self.outbound else { return Some("nothing is called".to_owned()) };
        let says = |is_it: fn(&Field) -> bool| outbound.fields().iter().any(is_it);
        match corrections {
            Corrections::Status {} if !says(|field| *field == Field::Status) => {
                Some("the request does not say the `{status}`".to_owned())
            }
            Corrections::Difference {}
                if !says(|field| matches!(field, Field::Money { of: Amount::Payout, .. })) =>
            {
                Some("the request does not say the `{payout}`".to_owned())
            }
            Corrections::Url { url } => {
                let mut retracting = outbound.clone();
                url.clone_into(&mut retracting.url);
                let used = retracting.used_accounts();
                retracting.accounts.retain(|account| used.contains(&account.name));
                retracting.fault()
            }
            Corrections::None {} | Corrections::Status {} | Corrections::Difference {} => None,
        }
    }

    fn paths_fault(&self) -> Option<String> {
        if self.contract.is_none() && !self.paths.is_empty() {
            return Some("paths: nobody calls on them without a contract".to_owned());
        }
        let path = self.paths.iter().find(|path| !path.starts_with('/'))?;
        Some(format!("paths: `{path}` does not begin with a slash"))
    }

    fn text_fault(&self) -> Option<String> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_name = (1..=NAME_BYTES_MAX).contains(&self.name.len())
            && self.name.bytes().all(|byte| is_letter(byte) || byte == b'-');
        if !is_name {
            let fault = "name: lower-case letters, digits and `-`, at most";
            return Some(format!("{fault} {NAME_BYTES_MAX}"));
        }
        let lists = [("sources", &self.sources), ("notes", &self.notes), ("paths", &self.paths)];
        if let Some((key, _)) = lists.iter().find(|(_, list)| list.len() > LINES_MAX) {
            return Some(format!("{key}: more than {LINES_MAX}"));
        }
        let lines = lists.iter().flat_map(|(key, list)| list.iter().map(move |line| (*key, line)));
        let single = [("title", &self.title), ("kind", &self.kind)];
        let single = single.into_iter().chain(self.menu.as_ref().map(|menu| ("menu", menu)));
        let is_bad = |line: &str| {
            line.trim() != line
                || !(1..=LINE_BYTES_MAX).contains(&line.len())
                || line.contains(char::is_control)
        };
        let (key, _) = lines.chain(single).find(|(_, line)| is_bad(line))?;
        Some(format!("{key}: blank, longer than {LINE_BYTES_MAX} bytes, or not plain text"))
    }

    fn click_fault(&self) -> Option<String> {
        if self.click.len() > ClickParameter::names().count() {
            return Some("click: more parameters than our links take".to_owned());
        }
        for (place, parameter) in self.click.iter().enumerate() {
            let name = &parameter.name;
            if !ClickParameter::is_known(name) {
                let all: Vec<String> = ClickParameter::names().collect();
                let fault = format!("click: our links take no `{name}`, but: {}", all.join(", "));
                return Some(fault);
            }
            if self.click[..place].iter().any(|other| other.name == *name) {
                return Some(format!("click: `{name}` stands twice"));
            }
            let text = &parameter.placeholder;
            if text.is_empty() || text.len() > LINE_BYTES_MAX || !text.bytes().all(is_in_query) {
                return Some(format!("click: the macro of `{name}` cannot stand in a query"));
            }
        }
        None
    }

    fn landing_fault(&self) -> Option<String> {
        let params = self.landing_params.as_deref()?;
        match LandingUrl::parse_new("https://example.com/", Some(params)) {
            Ok(url) if url.has_click_id() => None,
            Ok(_) => Some("landing_params: they carry no {click_id}".to_owned()),
            Err(error) => Some(format!("landing_params: {error}")),
        }
    }
}

/// A macro may need `#` for itself (`#s2#`), though it begins the fragment in most places.
fn is_in_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'&'
}

/// One text alone, several as a list; read either way.
mod one_or_more {
    use super::{Deserializer, Error, SeqAccess, Serialize, Visitor, fmt};
    use serde::Serializer;

    pub(super) fn serialize<S: Serializer>(all: &[String], to: S) -> Result<S::Ok, S::Error> {
        match all {
            [one] => one.serialize(to),
            several => several.serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        from.deserialize_any(Texts)
    }

    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, or a list of texts")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(text) = texts.next_element()? {
                all.push(text);
            }
            Ok(all)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"name":"old","title":"Old","kind":"k","source":"Old: a guide",
        "source_on":"2026-11-20","contract":{"parameters":[{"canonical":"click_id",
        "names":["c"]}],"statuses":{"absent":"approved"}}}"#;

    fn partner(rest: &str) -> Partner {
        let text = format!(
            r#"{{"name":"p","title":"P","kind":"k","sources":["s"],"source_on":"2026-11-20"{rest}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_was_loaded_before_reads_and_is_written_as_it_was() {
        let old: Partner = serde_json::from_str(OLD).unwrap();
        assert_eq!(old.sources, ["Old: a guide"]);
        assert_eq!((old.confidence, old.fault()), (None, None));
        let json = serde_json::to_value(&old).unwrap();
        assert_eq!(json["source"], "Old: a guide");
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["contract", "kind", "name", "source", "source_on", "title"]);
    }

    #[test]
    fn several_sources_read_back() {
        let mut one = partner(r#","confidence":"B","notes":["n"]"#);
        for sources in [vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned()], Vec::new()] {
            one.sources = sources;
            let json = serde_json::to_string(&one).unwrap();
            assert_eq!(serde_json::from_str::<Partner>(&json).unwrap(), one, "{json}");
        }
    }

    #[test]
    fn a_fault_names_its_key() {
        let click =
            |name: &str, text: &str| format!(r#","click":[{{"name":"{name}","macro":"{text}"}}]"#);
        let corrected = |query: &str, how: &str| {
            let outbound = format!(r#","outbound":{{"url":"https://a.example/?{query}"}}"#);
            format!(r#"{outbound},"corrections":{{"how":{how}}}"#)
        };
        let twice = r#","click":[{"name":"sub1","macro":"a"},{"name":"sub1","macro":"b"}]"#;
        let cases = [
            (String::new(), None),
            (click("external_id", "#s2#"), None),
            (click("sub10", "{a b}"), Some("click: the macro of `sub10`")),
            (click("sub10", "a&b"), Some("click: the macro of `sub10`")),
            (click("sub11", "a"), Some("click: our links take no `sub11`, but: external_id")),
            (click("click_id", "a"), Some("click: our links take no `click_id`")),
            (twice.to_owned(), Some("click: `sub1` stands twice")),
            (r#","menu":"""#.to_owned(), Some("menu: blank")),
            (r#","notes":["a\nb"]"#.to_owned(), Some("notes: blank")),
            (r#","landing_params":"a={click_id}""#.to_owned(), None),
            (r#","landing_params":"a={sub1}""#.to_owned(), Some("landing_params: they carry no")),
            (r#","landing_params":"a={click_id}#""#.to_owned(), Some("landing_params: added")),
            (r#","outbound":{"url":"x"}"#.to_owned(), Some("outbound.url: it begins with")),
            (corrected("a={status}", r#""status""#), None),
            (corrected("a=1", r#""status""#), Some("outbound.corrections: the request does not")),
            (corrected("a={payout}", r#""difference""#), None),
            (corrected("a={full_payout}", r#""difference""#), Some("outbound.corrections: the")),
            (corrected("a=1", r#""url","url":"https://a.example/x?c={click_id}""#), None),
            (corrected("a=1", r#""url","url":"x""#), Some("outbound.corrections: url: it begins")),
            (r#","corrections":{"how":"none"}"#.to_owned(), Some("outbound.corrections: nothing")),
            (r#","paths":["/x"]"#.to_owned(), Some("paths: nobody calls on them")),
        ];
        for (rest, expected) in cases {
            let fault = partner(&rest).fault();
            match expected {
                None => assert_eq!(fault, None, "{rest}"),
                Some(start) => assert!(fault.as_ref().unwrap().starts_with(start), "{fault:?}"),
            }
        }
        for name in ["", "P", "a_b", "a b", &"a".repeat(NAME_BYTES_MAX + 1)] {
            let named = Partner { name: name.to_owned(), ..partner("") };
            assert!(named.fault().unwrap().starts_with("name: "), "{name}");
        }
        let many = Partner { notes: vec!["n".to_owned(); LINES_MAX + 1], ..partner("") };
        assert_eq!(many.fault().unwrap(), "notes: more than 50");
    }
}
