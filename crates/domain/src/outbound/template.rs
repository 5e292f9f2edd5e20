//! The template of a URL that we call, or of its body.
//!
//! `{payout}` is a field, `{raw:payout}` the same without encoding, `{account.aid}` a value of
//! the operator's account, `{status:approved=1,rejected=2}` a word for our status, and empty for
//! one that is not listed. `{{` and `}}` are braces. What is anything else is a fault: a macro
//! that nobody fills in would be sent as it stands for months.

use crate::conversion::Status;
use crate::macros::{Value, encode, is_unreserved, nearest};
use std::collections::BTreeMap;
use std::fmt;

/// The longest a name of an account's value may be, in bytes.
const ACCOUNT_NAME_BYTES_MAX: usize = 50;
/// How many fields a template may have.
const FIELDS_MAX: usize = 200;
/// Stands for an account's value in an authority: it can be a host's part, or a port.
const ACCOUNT_IN_HOST: char = '1';

const RAW: &str = "raw:";
const ACCOUNT: &str = "account.";
const STATUS: &str = "status:";
const SCHEMES: [&str; 2] = ["https", "http"];

/// What can be filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The platform's own id of the click, byte for byte.
    ExternalId,
    ClickId,
    Payout,
    Revenue,
    Currency,
    /// Our word for it, lower-case.
    Status,
    Goal,
    TxnId,
    ConversionId,
    /// `sub1` … `sub10`.
    Sub(u8),
    Source,
    Creative,
    Placement,
    /// Unix seconds.
    Timestamp,
    Random,
    /// A value of the operator's account.
    Account(String),
}

impl Field {
    const PLAIN: [(Self, &'static str); 14] = [
        (Self::ExternalId, "external_id"),
        (Self::ClickId, "click_id"),
        (Self::Payout, "payout"),
        (Self::Revenue, "revenue"),
        (Self::Currency, "currency"),
        (Self::Status, "status"),
        (Self::Goal, "goal"),
        (Self::TxnId, "txn_id"),
        (Self::ConversionId, "conversion_id"),
        (Self::Source, "source"),
        (Self::Creative, "creative"),
        (Self::Placement, "placement"),
        (Self::Timestamp, "timestamp"),
        (Self::Random, "random"),
    ];

    /// The field of a name, as it stands between the braces.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(account) = name.strip_prefix(ACCOUNT) {
            return is_account_name(account).then(|| Self::Account(account.to_owned()));
        }
        let plain = Self::PLAIN.into_iter().find(|(_, plain)| *plain == name);
        let (field, _) = plain.or_else(|| {
            let sub = (1..=crate::click::SUBS).find(|number| format!("sub{number}") == name)?;
            Some((Self::Sub(sub), ""))
        })?;
        Some(field)
    }

    /// Every name but those of accounts.
    pub fn names() -> impl Iterator<Item = String> {
        let subs = (1..=crate::click::SUBS).map(|number| format!("sub{number}"));
        Self::PLAIN.iter().map(|(_, name)| (*name).to_owned()).chain(subs)
    }
}

pub(super) fn is_account_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= ACCOUNT_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(is_part)
}

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
    /// A status map that does not read.
    StatusMap {
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
            Self::StatusMap { text, why } => write!(f, "{{{text}}}: {why}"),
            Self::TooMany => write!(f, "more than {FIELDS_MAX} macros"),
        }
    }
}

/// How values are written, so that none can leave its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Percent-encoded; the text around them too, where it has to be.
    Url,
    /// Percent-encoded.
    Form,
    /// As the inside of a JSON string.
    Json,
    Xml,
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
    Statuses(BTreeMap<Status, String>),
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
            Piece::Statuses(_) => Some(&Field::Status),
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

    /// The text with every field filled in.
    pub fn render<'v>(&self, mut value: impl FnMut(&Field) -> Value<'v>) -> String {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) if self.syntax == Syntax::Url => {
                    encode(text.as_bytes(), &mut out, |byte| byte.is_ascii_graphic());
                }
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Field { field, is_raw } => self.write(value(field), *is_raw, &mut out),
                Piece::Statuses(words) => {
                    let status = bytes(value(&Field::Status));
                    let status = std::str::from_utf8(&status).ok().and_then(Status::from_name);
                    if let Some(word) = status.and_then(|status| words.get(&status)) {
                        self.write(word.as_str().into(), false, &mut out);
                    }
                }
            }
        }
        String::from_utf8(out).expect("nothing but text was written")
    }

    fn write(&self, value: Value<'_>, is_raw: bool, out: &mut Vec<u8>) {
        let bytes = bytes(value);
        match self.syntax {
            // What is not printable is encoded all the same: it would end the line.
            Syntax::Url | Syntax::Form if is_raw => {
                encode(&bytes, out, |byte| byte.is_ascii_graphic());
            }
            Syntax::Url | Syntax::Form => encode(&bytes, out, is_unreserved),
            _ if is_raw => push_plain(&bytes, out),
            Syntax::Json => push_json(&bytes, out),
            Syntax::Xml => push_xml(&bytes, out),
            Syntax::Plain => push_plain(&bytes, out),
        }
    }
}

impl Piece {
    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(map) = text.strip_prefix(STATUS) {
            return status_map(map).map_err(|why| Fault::StatusMap { text: text.to_owned(), why });
        }
        let (name, is_raw) = match text.strip_prefix(RAW) {
            Some(name) => (name, true),
            None => (text, false),
        };
        match Field::from_name(name) {
            Some(field) => Ok(Self::Field { field, is_raw }),
            None => Err(unknown(name)),
        }
    }
}

fn unknown(name: &str) -> Fault {
    let names: Vec<String> = Field::names().collect();
    let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
    Fault::Unknown { name: name.to_owned(), nearest }
}

/// `approved=1,pending=2`.
fn status_map(text: &str) -> Result<Piece, String> {
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
        if words.insert(status, word.trim().to_owned()).is_some() {
            return Err(format!("`{name}` stands twice"));
        }
    }
    Ok(Piece::Statuses(words))
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

fn push_plain(bytes: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    let kept: String = text.chars().filter(|char| !char.is_control()).collect();
    out.extend_from_slice(kept.as_bytes());
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
