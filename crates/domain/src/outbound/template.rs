//! The template of a URL that we call, or of its body.
//!
//! `{payout}` is a field, `{raw:payout}` the same without encoding but for what a URL cannot hold, `{account.aid}` a value of
//! the operator's account, `{status:approved=1,rejected=2}` a word for our status, and empty for
//! one that is not listed. `{{` and `}}` are braces. What is anything else is a fault: a macro
//! that nobody fills in would be sent as it stands for months.

use super::Field;
use crate::conversion::Status;
use crate::macros::{Value, encode, is_unreserved, nearest};
use std::collections::BTreeMap;
use std::fmt;

/// How many fields a template may have.
const FIELDS_MAX: usize = 200;
/// So much is shown of a body that would be no JSON, in characters.
const SHOWN_CHARS_MAX: usize = 200;
/// Stands for an account's value in an authority: it can be a host's part, or a port.
const ACCOUNT_IN_HOST: char = '1';

const RAW: &str = "raw:";
const STATUS: &str = "status:";
const SCHEMES: [&str; 2] = ["https", "http"];

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A `{` that no `}` follows, by its place in bytes.
    Open(usize),
    /// A `}` that no `{` precedes.
    Close(usize),
    /// A macro that we do not have, and the nearest that we do.
    Unknown {
        name: String,
        nearest: Option<String>,
    },
    /// A status map, an amount or a time that does not read.
    Unread {
        text: String,
        why: String,
    },
    TooMany,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(place) => {
                write!(f, "the `{{` at byte {place} is not closed; `{{{{` is a brace")
            }
            Self::Close(place) => {
                write!(f, "the `}}` at byte {place} closes nothing; `}}}}` is a brace")
            }
            Self::Unknown { name, nearest: Some(nearest) } => {
                write!(f, "there is no macro {{{name}}}; the nearest is {{{nearest}}}")
            }
            Self::Unknown { name, nearest: None } => {
                let names: Vec<String> = Field::names().collect();
                write!(f, "there is no macro {{{name}}}; there are: {}", names.join(", "))
            }
            Self::Unread { text, why } => write!(f, "{{{text}}}: {why}"),
            Self::TooMany => write!(f, "more than {FIELDS_MAX} macros"),
        }
    }
}

/// How values are written, so that none can leave its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Percent-encoded; the text around them too, where it has to be. A value of the account that
    /// is the host keeps the colon before its port.
    Url,
    /// Percent-encoded.
    Form,
    /// As the inside of a JSON string; outside of one as a number or a string, and nothing as
    /// `null`.
    Json,
    Xml,
    /// Percent-encoded where they are no printable ASCII.
    Header,
    /// As they are, without control characters.
    Plain,
}

impl Syntax {
    /// That of a body with this content type.
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            json if json.ends_with("/json") || json.ends_with("+json") => Self::Json,
            xml if xml.ends_with("/xml") || xml.ends_with("+xml") => Self::Xml,
            _ => Self::Plain,
        }
    }
}

/// A text with fields in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    syntax: Syntax,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field {
        field: Field,
        is_raw: bool,
    },
    /// The words for our statuses.
    Statuses {
        words: BTreeMap<Status, String>,
        is_raw: bool,
    },
}

impl Template {
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, Fault> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut fields = 0;
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            let at = text.len() - rest.len() + place;
            literal.push_str(&rest[..place]);
            let is_open = rest.as_bytes()[place] == b'{';
            let behind = &rest[place + 1..];
            let brace = if is_open { '{' } else { '}' };
            if let Some(behind) = behind.strip_prefix(brace) {
                literal.push(brace);
                rest = behind;
                continue;
            }
            if !is_open {
                return Err(Fault::Close(at));
            }
            let (name, behind) = behind.split_once('}').ok_or(Fault::Open(at))?;
            if name.contains('{') {
                return Err(Fault::Open(at));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::parse(name)?);
            fields += 1;
            if fields > FIELDS_MAX {
                return Err(Fault::TooMany);
            }
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { syntax, pieces })
    }

    /// What is filled in, in the order in which it stands; a status map is [`Field::Status`].
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Field { field, .. } => Some(field),
            Piece::Statuses { .. } => Some(&Field::Status),
        })
    }

    /// Whether it says that status, by our word or one of its own.
    pub(super) fn says(&self, status: Status) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Field { field, .. } => *field == Field::Status,
            Piece::Statuses { words, .. } => {
                words.get(&status).is_some_and(|word| !word.is_empty())
            }
            Piece::Literal(_) => false,
        })
    }

    /// Scheme and authority as they could be, whatever the account's values are; or why this is no
    /// URL that could be called.
    pub(super) fn origin(&self) -> Result<(&str, String), String> {
        let scheme = || "it begins with https:// or http://".to_owned();
        let Some(Piece::Literal(first)) = self.pieces.first() else { return Err(scheme()) };
        let (found, start) = first.split_once("://").ok_or_else(scheme)?;
        if !SCHEMES.contains(&found) {
            return Err(scheme());
        }
        let mut authority = String::new();
        let literal_start = |text: &str| text.find(['/', '?', '#']);
        let mut pieces = self.pieces[1..].iter();
        let mut next = Some(start);
        loop {
            if let Some(text) = next {
                if let Some(end) = literal_start(text) {
                    authority.push_str(&text[..end]);
                    return Ok((found, authority));
                }
                authority.push_str(text);
            }
            next = match pieces.next() {
                Some(Piece::Literal(text)) => Some(text),
                Some(Piece::Field { field: Field::Account(_), .. }) => {
                    authority.push(ACCOUNT_IN_HOST);
                    None
                }
                Some(_) => {
                    let why = "the host is written out, or a value of the account: other macros \
                               begin after the first slash";
                    return Err(why.to_owned());
                }
                None => return Ok((found, authority)),
            };
        }
    }

    /// Whether a `#` is written out in it.
    pub(super) fn has_fragment(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Literal(text) if text.contains('#')))
    }

    pub(super) fn is_signed(&self) -> bool {
        self.fields().any(|field| *field == Field::Signature)
    }

    /// The name of the parameter that carries the signature, where it stands alone as the value
    /// of one; `Err`: it does not.
    pub(super) fn signed_parameter(&self) -> Option<Result<String, String>> {
        let is_signature =
            |piece: &Piece| matches!(piece, Piece::Field { field: Field::Signature, .. });
        let mut places = self.pieces.iter().enumerate().filter(|(_, piece)| is_signature(piece));
        let (place, _) = places.next()?;
        let alone = "{signature} stands once, alone as the value of a parameter";
        if places.next().is_some() {
            return Some(Err(alone.to_owned()));
        }
        let literal = |place: Option<usize>| match self.pieces.get(place?) {
            Some(Piece::Literal(text)) => Some(text.as_str()),
            _ => None,
        };
        let before = literal(place.checked_sub(1)).unwrap_or_default();
        let is_last = place + 1 == self.pieces.len();
        let behind = literal(Some(place + 1)).unwrap_or_default();
        let name = match self.syntax {
            Syntax::Url | Syntax::Form => {
                let name = before.strip_suffix('=').map(|text| {
                    let start = text.rfind(['?', '&', '#']).map_or(0, |place| place + 1);
                    &text[start..]
                });
                name.filter(|_| is_last || behind.starts_with(['&', '#']))
            }
            Syntax::Json => json_name(before).filter(|_| behind.starts_with('"')),
            Syntax::Xml | Syntax::Header | Syntax::Plain => None,
        };
        let is_name = |name: &&str| !name.is_empty() && name.bytes().all(is_unreserved);
        Some(name.filter(is_name).map(str::to_owned).ok_or_else(|| alone.to_owned()))
    }

    /// Why it makes no JSON, where it is to; `None`: it does.
    pub(super) fn json_fault(&self) -> Option<String> {
        if self.syntax != Syntax::Json {
            return None;
        }
        // What is raw may be anything, and a number can stand wherever something can.
        let filled = self.render(|_| Value::Number(1));
        let error = serde_json::from_str::<serde::de::IgnoredAny>(&filled).err()?;
        let part: String = filled.chars().take(SHOWN_CHARS_MAX).collect();
        Some(format!("filled in it would be no JSON ({error}): {part}"))
    }

    /// The text with every field filled in.
    pub fn render<'v>(&self, mut value: impl FnMut(&Field) -> Value<'v>) -> String {
        let mut out = Vec::new();
        let mut place = Place::start(self.syntax);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => {
                    place = place.behind(text);
                    self.write_literal(text, &mut out);
                }
                Piece::Field { field: Field::Account(name), .. } if place == Place::Host => {
                    let bytes = bytes(value(&Field::Account(name.clone())));
                    encode(&bytes, &mut out, |byte| is_unreserved(byte) || byte == b':');
                }
                Piece::Field { field, is_raw } => {
                    self.write(value(field), *is_raw, place, &mut out);
                }
                Piece::Statuses { words, is_raw } => {
                    let status = bytes(value(&Field::Status));
                    let status = std::str::from_utf8(&status).ok().and_then(Status::from_name);
                    let word = status.and_then(|status| words.get(&status));
                    let word = word.map_or(Value::Empty, |word| word.as_str().into());
                    self.write(word, *is_raw, place, &mut out);
                }
            }
        }
        String::from_utf8(out).expect("nothing but text was written")
    }

    fn write_literal(&self, text: &str, out: &mut Vec<u8>) {
        match self.syntax {
            Syntax::Url => encode(text.as_bytes(), out, is_of_urls),
            Syntax::Header => encode(text.as_bytes(), out, is_printable),
            _ => out.extend_from_slice(text.as_bytes()),
        }
    }

    fn write(&self, value: Value<'_>, is_raw: bool, place: Place, out: &mut Vec<u8>) {
        let bytes = bytes(value);
        match self.syntax {
            Syntax::Header => encode(&bytes, out, is_printable),
            // What no URL may hold is encoded all the same: nobody could be called with it. And so
            // is what would cut off the rest.
            Syntax::Url if is_raw => encode(&bytes, out, |byte| is_of_urls(byte) && byte != b'#'),
            Syntax::Form if is_raw => encode(&bytes, out, is_of_urls),
            Syntax::Url | Syntax::Form => encode(&bytes, out, is_unreserved),
            Syntax::Json if bytes.is_empty() && place == Place::Outside => {
                out.extend_from_slice(b"null");
            }
            _ if is_raw => push_plain(&bytes, out),
            Syntax::Json if place == Place::Outside && !is_json(&bytes) => {
                out.push(b'"');
                push_json(&bytes, out);
                out.push(b'"');
            }
            Syntax::Json => push_json(&bytes, out),
            Syntax::Xml => push_xml(&bytes, out),
            Syntax::Plain => push_plain(&bytes, out),
        }
    }
}

/// Where a value stands, as far as it matters to how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Scheme,
    Host,
    /// Outside of JSON strings.
    Outside,
    /// In a JSON string.
    Inside,
    Anywhere,
}

impl Place {
    fn start(syntax: Syntax) -> Self {
        match syntax {
            Syntax::Url => Self::Scheme,
            Syntax::Json => Self::Outside,
            _ => Self::Anywhere,
        }
    }

    /// Where what follows that text stands.
    fn behind(self, text: &str) -> Self {
        let ends_host = |text: &str| text.contains(['/', '?', '#']);
        match self {
            Self::Scheme => match text.split_once("://") {
                Some((_, text)) => Self::Host.behind(text),
                None => Self::Scheme,
            },
            Self::Host if ends_host(text) => Self::Anywhere,
            Self::Host | Self::Anywhere => self,
            Self::Outside | Self::Inside => behind_json(self, text),
        }
    }
}

fn behind_json(mut place: Place, text: &str) -> Place {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        place = match (place, byte) {
            (Place::Outside, b'"') => Place::Inside,
            (Place::Inside, b'"') => Place::Outside,
            (Place::Inside, b'\\') => {
                bytes.next();
                Place::Inside
            }
            _ => place,
        };
    }
    place
}

impl Piece {
    fn parse(text: &str) -> Result<Self, Fault> {
        let unread = |why| Fault::Unread { text: text.to_owned(), why };
        let (name, is_raw) = match text.strip_prefix(RAW) {
            Some(name) => (name, true),
            None => (text, false),
        };
        if let Some(map) = name.strip_prefix(STATUS) {
            let words = status_map(map).map_err(unread)?;
            return Ok(Self::Statuses { words, is_raw });
        }
        let field = Field::parse(name).map_err(unread)?.ok_or_else(|| unknown(name))?;
        Ok(Self::Field { field, is_raw })
    }
}

fn unknown(name: &str) -> Fault {
    let names: Vec<String> = Field::names().collect();
    let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
    Fault::Unknown { name: name.to_owned(), nearest }
}

/// `approved=1,pending=2`.
fn status_map(text: &str) -> Result<BTreeMap<Status, String>, String> {
    let mut words = BTreeMap::new();
    for part in text.split(',') {
        let (name, word) =
            part.split_once('=').ok_or_else(|| format!("`{part}` is not `status=word`"))?;
        let name = name.trim();
        let Some(status) = Status::from_name(name) else {
            let names = Status::ALL.map(Status::name);
            let near = nearest(name, names).map(|near| format!("; the nearest is `{near}`"));
            let near = near.unwrap_or_else(|| format!("; there are: {}", names.join(", ")));
            return Err(format!("there is no status `{name}`{near}"));
        };
        if Status::ALL.iter().any(|status| word.contains(&format!("{}=", status.name()))) {
            return Err(format!("`{part}` has two: commas stand between them"));
        }
        if words.insert(status, word.trim().to_owned()).is_some() {
            return Err(format!("`{name}` stands twice"));
        }
    }
    Ok(words)
}

/// The name before `": "`.
fn json_name(before: &str) -> Option<&str> {
    let before = before.strip_suffix('"')?.trim_end().strip_suffix(':')?.trim_end();
    Some(before.strip_suffix('"')?.rsplit_once('"')?.1)
}

fn bytes(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Empty => Vec::new(),
        Value::Bytes(bytes) => bytes.to_vec(),
        Value::Number(number) => number.to_string().into_bytes(),
        Value::Money(amount) => amount.to_string().into_bytes(),
        Value::Ip(address) => address.to_string().into_bytes(),
    }
}

/// RFC 3986: all that may stand in a URL, and the sign of what is encoded.
fn is_of_urls(byte: u8) -> bool {
    is_unreserved(byte) || b":/?#[]@!$&'()*+,;=%".contains(&byte)
}

fn is_printable(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

fn push_plain(bytes: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    let kept: String = text.chars().filter(|char| !char.is_control()).collect();
    out.extend_from_slice(kept.as_bytes());
}

/// Whether it is a number, or one of the words, as JSON writes them.
fn is_json(bytes: &[u8]) -> bool {
    use serde_json::Value::{Bool, Null, Number};
    // Around one, blanks could stand.
    !bytes.iter().any(u8::is_ascii_whitespace)
        && matches!(serde_json::from_slice(bytes), Ok(Bool(_) | Null | Number(_)))
}

fn push_json(bytes: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    let quoted = serde_json::Value::from(&*text).to_string();
    out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
}

fn push_xml(bytes: &[u8], out: &mut Vec<u8>) {
    let mut text = String::new();
    for char in String::from_utf8_lossy(bytes).chars() {
        match char {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&apos;"),
            control if control.is_control() => {}
            other => text.push(other),
        }
    }
    out.extend_from_slice(text.as_bytes());
}
