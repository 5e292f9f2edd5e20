//! The names and values of a hit, wherever they stand: query string, form body, JSON body, headers.
//!
//! Decoding is lenient, because an unexpanded `%macro%` is worth recognising; what was not
//! properly encoded is marked, and refused where it matters.

use super::json;
use crate::contract::{Contract, Parameter};
use crate::echo::echoed;
use crate::hit::Hit;

/// How many parameters a hit may have, over query and body; what stands inside of one is not
/// counted.
pub const PAIRS_MAX: usize = 100;
/// How many are looked at all the same, so that a hit with too many is known by its click id.
pub(super) const PAIRS_SEEN_MAX: usize = 1_000;

/// One parameter as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub text: String,
    /// Bad percent-encoding, bytes that are not UTF-8, or a JSON value that is not plain.
    pub is_malformed: bool,
    /// Of a value with bad percent-encoding, or one that is not plain: what was sent, not decoded.
    pub raw: Option<String>,
    /// It stands in a header: no parameter passes for one, and none for a parameter.
    pub is_header: bool,
    /// It stands in the URL.
    pub is_in_url: bool,
    pub inside: Inside,
}

/// What has become of what stands inside of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inside {
    /// There is nothing, or not all of it was taken out.
    #[default]
    Left,
    /// It stands behind the value too, under names with dots.
    Taken,
}

impl Pair {
    pub(super) fn new(name: String, text: String) -> Self {
        Self {
            name,
            text,
            is_malformed: false,
            raw: None,
            is_header: false,
            is_in_url: false,
            inside: Inside::Left,
        }
    }

    /// What is no text, as it was sent.
    pub(super) fn unread(name: String, raw: &str) -> Self {
        let raw = Some(raw.to_owned());
        Self { is_malformed: true, raw, ..Self::new(name, String::new()) }
    }

    /// Whether something stands inside of it that is what the parameter is called.
    pub(super) fn holds_any_of(&self, parameter: &Parameter) -> bool {
        let is_inside = |name: &String| {
            let rest = name.strip_prefix(self.name.as_str());
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        self.is_nest() && !parameter.in_header && parameter.names.iter().any(is_inside)
    }

    pub(super) fn is_nest(&self) -> bool {
        self.nest().is_some()
    }

    /// What kind of JSON it is, where that has others inside of it.
    pub(super) fn nest(&self) -> Option<&'static str> {
        let raw = self.raw.as_deref().filter(|_| self.is_malformed && self.text.is_empty())?;
        match raw.as_bytes().first()? {
            b'{' => Some("an object"),
            b'[' => Some("a list"),
            _ => None,
        }
    }

    /// Whether it is what a parameter of the contract is called.
    pub fn is_of(&self, parameter: &Parameter) -> bool {
        self.is_header == parameter.in_header
            && parameter.names.iter().any(|name| match self.is_header {
                true => name.eq_ignore_ascii_case(&self.name),
                false => *name == self.name,
            })
    }
}

/// What a hit has of them.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    pub hit: &'a Hit,
    /// In the order they were sent: all, or those before the fault. What stands inside of others
    /// stands behind them.
    pub all: Vec<Pair>,
    /// The headers that a contract may name.
    pub headers: Vec<Pair>,
    /// What is wrong with the whole.
    pub fault: Option<String>,
    /// What is wrong for whoever reads what stands inside of others.
    inner_fault: Option<String>,
}

impl<'a> Pairs<'a> {
    pub fn of(hit: &'a Hit) -> Self {
        let mut all = Vec::new();
        urlencoded(hit.query(), &mut all);
        for pair in &mut all {
            pair.is_in_url = true;
        }
        let read = match body_kind(hit) {
            _ if is_bodiless(hit) => Ok(()),
            Body::Form => {
                urlencoded(&hit.body, &mut all);
                Ok(())
            }
            Body::Json => json::members(&hit.body, &mut all),
            Body::Other => Ok(()),
        };
        let is_too_many = all.len() > PAIRS_MAX;
        let too_many = is_too_many.then(|| format!("more than {PAIRS_MAX} parameters"));
        let inner_fault = json::nested(&mut all).err();
        let header = |(name, text): &(String, String)| Pair {
            is_header: true,
            ..Pair::new(name.clone(), text.clone())
        };
        let headers = hit.headers.iter().map(header).collect();
        Self { hit, all, headers, fault: too_many.or(read.err()), inner_fault }
    }

    /// Of what is missing: that it may stand in a body which is not read for what kind it is of.
    pub fn missing(&self, detail: String) -> String {
        if is_bodiless(self.hit) || !matches!(body_kind(self.hit), Body::Other) {
            return detail;
        }
        let kind = essence(self.hit);
        format!(
            "{detail}; the body is `{}`, which is not read: what is read is a form \
             (`application/x-www-form-urlencoded`) or JSON (`application/json`)",
            echoed(&kind)
        )
    }

    /// What is wrong with the whole for whoever reads it through `contract`: values that are
    /// beyond what is looked at matter where any of that kind is read.
    pub fn fault_for(&self, contract: &Contract) -> Option<&String> {
        let reads_inner = || {
            let mut names = contract.parameters.iter().flat_map(|parameter| &parameter.names);
            names.any(|name| name.contains('.'))
        };
        self.fault.as_ref().or_else(|| self.inner_fault.as_ref().filter(|_| reads_inner()))
    }

    /// The name that the parameter was sent under, else the one it is asked for by.
    pub fn name_of<'b>(&'b self, parameter: &'b Parameter) -> &'b str {
        let sent = self.of_parameter(parameter).next();
        let as_agreed = |pair: &'b Pair| match pair.is_header {
            true => parameter.names.iter().find(|name| name.eq_ignore_ascii_case(&pair.name)),
            false => Some(&pair.name),
        };
        sent.and_then(as_agreed).map_or(parameter.name(), String::as_str)
    }

    /// Those that stand where the parameter does and are called as it is.
    pub fn of_parameter(&self, parameter: &Parameter) -> impl Iterator<Item = &Pair> {
        let all = if parameter.in_header { &self.headers } else { &self.all };
        all.iter().filter(|pair| pair.is_of(parameter))
    }
}

/// The form body of a hit, where it has one.
pub(super) fn form(hit: &Hit) -> Option<&[u8]> {
    matches!(body_kind(hit), Body::Form).then_some(&hit.body)
}

/// Whether a hit has no body worth speaking of.
pub(super) fn is_bodiless(hit: &Hit) -> bool {
    hit.body.iter().all(u8::is_ascii_whitespace)
}

enum Body {
    Form,
    Json,
    Other,
}

/// By its content type; without one, by what it looks like.
fn body_kind(hit: &Hit) -> Body {
    match essence(hit).as_str() {
        "application/x-www-form-urlencoded" => Body::Form,
        "application/json" | "text/json" => Body::Json,
        kind if kind.starts_with("application/") && kind.ends_with("+json") => Body::Json,
        "" | "text/plain" if hit.body.trim_ascii_start().starts_with(b"{") => Body::Json,
        "" | "text/plain" => Body::Form,
        _ => Body::Other,
    }
}

/// The media type that a hit's body is said to be of, without its parameters.
fn essence(hit: &Hit) -> String {
    let declared = hit.content_type.as_deref().unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What stands between the `&`.
pub(super) fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'&').filter(|part| !part.is_empty())
}

/// Name and value of a part, not decoded.
pub(super) fn halves(part: &[u8]) -> (&[u8], &[u8]) {
    match part.iter().position(|byte| *byte == b'=') {
        Some(place) => (&part[..place], &part[place + 1..]),
        None => (part, &[]),
    }
}

fn urlencoded(bytes: &[u8], pairs: &mut Vec<Pair>) {
    for part in parts(bytes).take(PAIRS_SEEN_MAX.saturating_sub(pairs.len())) {
        let (name, value) = halves(part);
        let (name, _) = decode(name);
        let (text, is_malformed) = decode(value);
        let raw = is_malformed.then(|| String::from_utf8_lossy(value).into_owned());
        pairs.push(Pair { is_malformed, raw, ..Pair::new(name, text) });
    }
}

/// The text, and whether anything in it was not properly encoded.
pub(crate) fn decode(bytes: &[u8]) -> (String, bool) {
    let mut is_malformed = false;
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                if let Some((byte, after)) = escaped(after) {
                    out.push(byte);
                    rest = after;
                } else {
                    is_malformed = true;
                    out.push(b'%');
                }
            }
            other => out.push(other),
        }
    }
    match String::from_utf8(out) {
        Ok(text) => (text, is_malformed),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
    }
}

/// The byte that two hexadecimal digits stand for, and what is behind them.
fn escaped(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], after) = bytes.split_first_chunk()?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(target: &str, content_type: Option<&str>, body: &[u8]) -> Result<String, String> {
        let hit = Hit {
            method: "POST".to_owned(),
            target: target.as_bytes().to_vec(),
            content_type: content_type.map(str::to_owned),
            body: body.to_vec(),
            ..Hit::default()
        };
        let shown = |pair: &Pair| {
            format!("{}={}{}", pair.name, pair.text, if pair.is_malformed { "!" } else { "" })
        };
        let Pairs { all, fault, .. } = Pairs::of(&hit);
        fault.map_or_else(|| Ok(all.iter().map(shown).collect::<Vec<_>>().join(" ")), Err)
    }

    #[test]
    fn query_form_and_json_are_read_alike() {
        let form = Some("application/x-www-form-urlencoded; charset=utf-8");
        let json = Some("application/json");
        assert_eq!(sent("/p?a=1&b=x+y%21&c", None, b"").unwrap(), "a=1 b=x y! c=");
        assert_eq!(sent("/p?a=1", form, b"b=2&a=3").unwrap(), "a=1 b=2 a=3");
        assert_eq!(sent("/p", None, b"b=2").unwrap(), "b=2");
        let body = br#"{"a":"1","n":0.30000000000000004,"t":true,"z":null,"l":[1],"o":{"x":1}}"#;
        let read = "a=1 n=0.30000000000000004 t=true z= l=! o=! l.0=1 o.x=1";
        assert_eq!(sent("/p", json, body).unwrap(), read);
        assert_eq!(sent("/p", None, body).unwrap(), read);
        assert_eq!(sent("/p", json, br#"{"a":"1","a":"2"}"#).unwrap(), "a=1 a=2");
        let escaped = br#"{ "a" : "x\u00e4\"" , "n" : -2.50e3 , "l" : [ ] }"#;
        assert_eq!(sent("/p", json, escaped).unwrap(), "a=x\u{e4}\" n=-2.50e3 l=!");
        let number = br#"{"a":{"$serde_json::private::Number":"5"}}"#;
        let read = "a=! a.$serde_json::private::Number=5";
        assert_eq!(sent("/p", json, number).unwrap(), read, "it is no number");
    }

    #[test]
    fn what_is_badly_encoded_is_marked_and_never_lost() {
        assert_eq!(sent("/p?a=%zz&b=%&c=%4", None, b"").unwrap(), "a=%zz! b=%! c=%4!");
        assert_eq!(sent("/p?a=%ff", None, b"").unwrap(), "a=\u{fffd}!");
        assert_eq!(sent("/p?a=%00", None, b"").unwrap(), "a=\0");
        assert_eq!(sent("/p?&&=&=x", None, b"").unwrap(), "= =x");
    }

    #[test]
    fn a_body_that_does_not_read_is_refused_in_words() {
        let json = Some("application/json");
        assert_eq!(sent("/p?a=1", json, b" \r\n").unwrap(), "a=1", "an empty body says nothing");
        for body in [
            &b"{"[..],
            b"[1]",
            b"7",
            b"{\"a\":1}x",
            b"\xff",
            b"nul",
            br#"{"a":"\ud800"}"#,
            b"{\"a\":[\"\xff\"]}",
        ] {
            assert!(sent("/p", json, body).unwrap_err().contains("JSON"), "{body:?}");
        }
        let deep = [b"{\"a\":".repeat(20_000), b"1".to_vec(), b"}".repeat(20_000)].concat();
        let read = "a=! a.a.a.a.a.a.a.a=!";
        assert_eq!(sent("/p", json, &deep).unwrap(), read, "what is not read costs nothing");
        assert_eq!(sent("/p?a=1", Some("multipart/form-data"), b"--x").unwrap(), "a=1");
    }

    #[test]
    fn more_parameters_than_the_limit_are_refused() {
        let query = |count: usize| format!("/p?{}", vec!["a=1"; count].join("&"));
        assert!(sent(&query(PAIRS_MAX), None, b"").is_ok());
        let many = sent(&query(10_000), None, b"");
        assert_eq!(many.unwrap_err(), "more than 100 parameters");
        let names: Vec<String> = (0..=PAIRS_MAX).map(|n| format!("\"{n}\":1")).collect();
        let body = format!("{{{}}}", names.join(","));
        let many = sent("/p", Some("application/json"), body.as_bytes()).unwrap_err();
        assert_eq!(many, "more than 100 parameters");
    }

    #[test]
    fn what_can_be_read_is_there_whatever_is_wrong_with_the_rest() {
        let read = |target: &str, body: &str| {
            let content_type = Some("application/json".to_owned());
            let (target, body) = (target.as_bytes().to_vec(), body.as_bytes().to_vec());
            let hit = Hit { target, content_type, body, ..Hit::default() };
            let pairs = Pairs::of(&hit);
            assert!(pairs.fault.is_some(), "{pairs:?}");
            pairs.all.iter().map(|pair| pair.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(read("/p?a=1", r#"{"b":2,"c":"#), ["1", "2"]);
        assert_eq!(read("/p?a=1", "[]"), ["1"]);
        assert_eq!(read(&format!("/p?{}a=7", "x&".repeat(PAIRS_MAX)), "")[PAIRS_MAX], "7");
        let endless = "x&".repeat(100_000);
        assert_eq!(read(&format!("/p?{endless}"), "").len(), PAIRS_SEEN_MAX);
        let members = vec!["\"x\":1"; 2 * PAIRS_SEEN_MAX].join(",");
        assert_eq!(read("/p?a=1", &format!("{{{members}}}")).len(), PAIRS_SEEN_MAX);
    }
}
