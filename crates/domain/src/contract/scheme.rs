//! A signature scheme: how one sender signs what it sends, as data.
//!
//! It says what is hashed, with what, and how the result is written. Whoever writes one is told
//! in words what is wrong with it; what the hashes are is [`crate::postback`]'s business.

use super::Fault;
use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// How many fields a signature may be made over.
const FIELDS_MAX: usize = 30;
/// The longest name of a field or a header, in bytes.
const FIELD_BYTES_MAX: usize = 100;
/// The longest text between fields, between signatures or before one, in bytes.
const JOINT_BYTES_MAX: usize = 20;
/// The longest secret that signs, in bytes as it is written.
const SIGNING_SECRET_BYTES_MAX: usize = 500;
/// What stands for the agreed secret among fields.
pub const SECRET_FIELD: &str = "{secret}";
/// Stands before secrets that are written in base64, by the Standard Webhooks' custom.
const BASE64_SECRET_PREFIX: &str = "whsec_";

/// How a sender signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    pub algorithm: Algorithm,
    #[serde(default, skip_serializing_if = "is_default")]
    pub encoding: Encoding,
    /// Stands before each signature.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Stands between several signatures; empty: there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub separator: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub key: Key,
    /// Where the secret stands when a plain hash is made over anything but fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretPlace>,
    pub input: Input,
}

/// What the signature is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    HmacSha1,
    HmacSha256,
}

impl Algorithm {
    /// The secret is its key; a plain hash has it in its input.
    pub fn is_keyed(self) -> bool {
        matches!(self, Self::HmacSha1 | Self::HmacSha256)
    }
}

/// How the signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// In either case.
    #[default]
    Hex,
    /// Padding may be missing, as in the next.
    Base64,
    Base64url,
}

impl Encoding {
    /// Bytes as they are written: hexadecimal in lower case, base64 with padding.
    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        let base64 = |alphabet| GeneralPurpose::new(alphabet, GeneralPurposeConfig::new());
        match self {
            Self::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Base64 => base64(&STANDARD).encode(bytes),
            Self::Base64url => base64(&URL_SAFE).encode(bytes),
        }
    }

    /// The bytes a text stands for; `None`: it is not written so.
    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex(text),
            Self::Base64 => base64(&STANDARD, text),
            Self::Base64url => base64(&URL_SAFE, text),
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn base64(alphabet: &Alphabet, text: &str) -> Option<Vec<u8>> {
    let padding = DecodePaddingMode::Indifferent;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

/// How the agreed secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Its bytes are the secret.
    #[default]
    Text,
    /// They are written in base64; a `whsec_` before them is no part of it.
    Base64,
}

impl Key {
    /// The secret itself; `None`: it is not written so.
    pub(crate) fn bytes(self, secret: &str) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Text => Some(Cow::Borrowed(secret.as_bytes())),
            Self::Base64 => {
                let bare = secret.strip_prefix(BASE64_SECRET_PREFIX).unwrap_or(secret);
                base64(&STANDARD, bare).map(Cow::Owned)
            }
        }
    }
}

/// Where the secret stands beside what is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretPlace {
    Before,
    After,
}

/// How the values of fields are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    #[default]
    Decoded,
    /// With the percent-encoding they came in.
    Received,
}

/// What is signed.
///
/// Kinds without keys are structs all the same: serde would let unknown keys pass beside a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
    /// The values of these names, as they are sent, joined.
    Fields {
        fields: Vec<String>,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        separator: String,
        /// Left out together with its separator where it is absent or blank.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        optional: Vec<String>,
        /// Of these what stands before the point.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        integers: Vec<String>,
        #[serde(default, skip_serializing_if = "is_default")]
        values: Values,
    },
    /// All parameters but the signature, by name, as `name=value` joined by `&`.
    SortedQuery {},
    /// The query as received, without the signature.
    Query {},
    /// The URL as the sender called it, without the signature.
    Url {},
    /// The body, byte for byte.
    Body {},
    /// Id, timestamp and body, joined by dots.
    Webhook {
        /// The header that carries the id.
        id: String,
        /// The header that carries the timestamp.
        timestamp: String,
    },
}

/// The same as it is written. An enum with a tag would be read whole before any of it is looked
/// at, and nobody could be told which of its keys is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInput {
    kind: InputKind,
    fields: Option<Vec<String>>,
    separator: Option<String>,
    optional: Option<Vec<String>>,
    integers: Option<Vec<String>>,
    values: Option<Values>,
    id: Option<String>,
    timestamp: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InputKind {
    Fields,
    SortedQuery,
    Query,
    Url,
    Body,
    Webhook,
}

impl WrittenInput {
    /// A key that belongs to another kind, and that kind.
    fn stray(&self) -> Option<(&'static str, InputKind)> {
        let (fields, webhook) = (InputKind::Fields, InputKind::Webhook);
        let given = [
            ("fields", self.fields.is_some(), fields),
            ("separator", self.separator.is_some(), fields),
            ("optional", self.optional.is_some(), fields),
            ("integers", self.integers.is_some(), fields),
            ("values", self.values.is_some(), fields),
            ("id", self.id.is_some(), webhook),
            ("timestamp", self.timestamp.is_some(), webhook),
        ];
        let stray = given.into_iter().find(|(_, is_given, kind)| *is_given && *kind != self.kind);
        stray.map(|(key, _, kind)| (key, kind))
    }
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = WrittenInput::deserialize(deserializer)?;
        if let Some((key, kind)) = written.stray() {
            let kind = if kind == InputKind::Fields { "fields" } else { "webhook" };
            return Err(D::Error::custom(format!("`{key}` is for the kind `{kind}` alone")));
        }
        let input = match written.kind {
            InputKind::Fields => Self::Fields {
                fields: written.fields.ok_or_else(|| D::Error::missing_field("fields"))?,
                separator: written.separator.unwrap_or_default(),
                optional: written.optional.unwrap_or_default(),
                integers: written.integers.unwrap_or_default(),
                values: written.values.unwrap_or_default(),
            },
            InputKind::Webhook => Self::Webhook {
                id: written.id.ok_or_else(|| D::Error::missing_field("id"))?,
                timestamp: written.timestamp.ok_or_else(|| D::Error::missing_field("timestamp"))?,
            },
            InputKind::SortedQuery => Self::SortedQuery {},
            InputKind::Query => Self::Query {},
            InputKind::Url => Self::Url {},
            InputKind::Body => Self::Body {},
        };
        Ok(input)
    }
}

impl Input {
    /// Its word in contracts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fields { .. } => "fields",
            Self::SortedQuery {} => "sorted_query",
            Self::Query {} => "query",
            Self::Url {} => "url",
            Self::Body {} => "body",
            Self::Webhook { .. } => "webhook",
        }
    }

    /// It is made over the body.
    pub(crate) fn is_body(&self) -> bool {
        matches!(self, Self::Body {} | Self::Webhook { .. })
    }

    /// The names of the fields it is made over, without the secret's.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let fields = match self {
            Self::Fields { fields, .. } => fields.as_slice(),
            _ => &[],
        };
        fields.iter().map(String::as_str).filter(|field| *field != SECRET_FIELD)
    }
}

impl Scheme {
    /// The headers it is made over.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        let headers = match &self.input {
            Input::Webhook { id, timestamp } => [Some(id), Some(timestamp)],
            _ => [None, None],
        };
        headers.into_iter().flatten().map(String::as_str)
    }

    /// It is made over the whole of what was sent, but not over this header.
    pub(crate) fn leaves_open(&self, header: &str) -> bool {
        !matches!(self.input, Input::Fields { .. })
            && !self.headers().any(|signed| signed.eq_ignore_ascii_case(header))
    }

    /// It is made over scheme and host as the sender called them.
    pub fn needs_base(&self) -> bool {
        matches!(self.input, Input::Url {})
    }

    /// What is wrong with it, for whoever wrote it; `None`: nothing.
    pub fn fault(&self) -> Option<Fault> {
        let fault = match &self.input {
            Input::Fields { .. } => self.fields_fault(),
            Input::Webhook { id, timestamp } => self.webhook_fault(id, timestamp),
            _ => None,
        };
        fault.or_else(|| self.secret_place_fault()).or_else(|| self.joints_fault())
    }

    fn fields_fault(&self) -> Option<Fault> {
        let Input::Fields { fields, separator, optional, integers, .. } = &self.input else {
            return None;
        };
        let at_fields = |detail: &str| Some(Fault::at("input.fields", detail));
        if fields.is_empty() || fields.len() > FIELDS_MAX {
            return at_fields(&format!("1 to {FIELDS_MAX} fields"));
        }
        for (place, field) in fields.iter().enumerate().filter(|(_, one)| *one != SECRET_FIELD) {
            let fault = |detail| Some(Fault::at(format!("input.fields[{place}]"), detail));
            if field.is_empty() || field.len() > FIELD_BYTES_MAX {
                return fault(format!("a name has 1 to {FIELD_BYTES_MAX} bytes"));
            }
            if field.contains(['{', '}']) {
                return fault(format!("`{field}` is neither a name nor `{{secret}}`"));
            }
        }
        for (key, names) in [("optional", optional), ("integers", integers)] {
            if names.len() > FIELDS_MAX {
                return Some(Fault::at(
                    format!("input.{key}"),
                    format!("at most {FIELDS_MAX} names"),
                ));
            }
            let is_field = |name: &String| self.input.fields().any(|field| field == name);
            if let Some(place) = names.iter().position(|name| !is_field(name)) {
                let detail = format!("`{}` is none of the fields", names[place]);
                return Some(Fault::at(format!("input.{key}[{place}]"), detail));
            }
        }
        if self.input.fields().all(|field| optional.iter().any(|name| name == field)) {
            return at_fields("one at least that is not optional");
        }
        let has_secret = fields.iter().any(|field| field == SECRET_FIELD);
        match self.algorithm.is_keyed() {
            true if has_secret => at_fields("an hmac has the secret as its key, not as a field"),
            false if !has_secret => {
                at_fields("a plain hash needs `{secret}`, or anybody could make it")
            }
            _ => joint_fault("input.separator", separator),
        }
    }

    fn webhook_fault(&self, id: &str, timestamp: &str) -> Option<Fault> {
        for (key, name) in [("id", id), ("timestamp", timestamp)] {
            if name.is_empty() || name.len() > FIELD_BYTES_MAX || !super::is_header_name(name) {
                let detail = format!("`{name}` is no header that is kept");
                return Some(Fault::at(format!("input.{key}"), detail));
            }
        }
        if id.eq_ignore_ascii_case(timestamp) {
            return Some(Fault::at("input.timestamp", "another header than `id`"));
        }
        let is_keyed = self.algorithm.is_keyed();
        let detail = "a webhook is signed by hmac_sha1 or hmac_sha256";
        (!is_keyed).then(|| Fault::at("algorithm", detail))
    }

    fn secret_place_fault(&self) -> Option<Fault> {
        let needs_place = !self.algorithm.is_keyed() && !matches!(self.input, Input::Fields { .. });
        let detail = match self.secret {
            None if needs_place => format!(
                "a plain hash over `{}` needs `before` or `after`, or anybody could make it",
                self.input.kind()
            ),
            Some(_) if !needs_place => "it is for a plain hash over anything but fields".to_owned(),
            _ => return None,
        };
        Some(Fault::at("secret", detail))
    }

    fn joints_fault(&self) -> Option<Fault> {
        let mut joints = [("prefix", &self.prefix), ("separator", &self.separator)].into_iter();
        if let Some(fault) = joints.find_map(|(key, joint)| joint_fault(key, joint)) {
            return Some(fault);
        }
        if self.separator.is_empty() {
            return None;
        }
        if self.prefix.contains(&self.separator) {
            let detail = "it holds the separator, so no signature could have it";
            return Some(Fault::at("prefix", detail));
        }
        let is_digit = |byte: u8| match self.encoding {
            Encoding::Hex => byte.is_ascii_hexdigit(),
            Encoding::Base64 => byte.is_ascii_alphanumeric() || b"+/=".contains(&byte),
            Encoding::Base64url => byte.is_ascii_alphanumeric() || b"-_=".contains(&byte),
        };
        let is_ambiguous = self.separator.bytes().all(is_digit);
        is_ambiguous.then(|| Fault::at("separator", "it could be part of a signature"))
    }

    /// Why no signature could ever be made with this secret; `None`: one could.
    pub(crate) fn secret_fault(&self, secret: &str) -> Option<String> {
        if secret.len() > SIGNING_SECRET_BYTES_MAX {
            return Some(format!("a secret has at most {SIGNING_SECRET_BYTES_MAX} bytes"));
        }
        match self.key.bytes(secret) {
            Some(bytes) if bytes.is_empty() => Some("an empty secret verifies nothing".to_owned()),
            Some(_) => None,
            None => Some("the secret is not base64, which the contract says it is".to_owned()),
        }
    }
}

fn joint_fault(key: &str, joint: &str) -> Option<Fault> {
    let is_long = joint.len() > JOINT_BYTES_MAX;
    is_long.then(|| Fault::at(key, format!("at most {JOINT_BYTES_MAX} bytes")))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(json: &str) -> Scheme {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    /// A scheme of these keys, and what is wrong with it.
    fn fault(algorithm: &str, rest: &str) -> String {
        let json = format!(r#"{{"algorithm":"{algorithm}",{rest}}}"#);
        scheme(&json).fault().map_or_else(|| "none".to_owned(), |fault| fault.to_string())
    }

    #[test]
    fn a_scheme_comes_back_as_it_was_written() {
        let written = [
            r#"{"algorithm":"md5","input":{"kind":"fields","fields":["a","{secret}"]}}"#,
            r#"{"algorithm":"hmac_sha1","encoding":"base64url","prefix":"v1,","separator":" ","key":"base64","input":{"kind":"url"}}"#,
            r#"{"algorithm":"sha256","secret":"after","input":{"kind":"body"}}"#,
            r#"{"algorithm":"sha1","secret":"before","input":{"kind":"sorted_query"}}"#,
            r#"{"algorithm":"hmac_sha256","encoding":"base64","input":{"kind":"webhook","id":"webhook-id","timestamp":"webhook-timestamp"}}"#,
            r#"{"algorithm":"hmac_sha256","input":{"kind":"fields","fields":["a","b"],"separator":":","optional":["b"],"integers":["a"],"values":"received"}}"#,
            r#"{"algorithm":"hmac_sha256","input":{"kind":"query"}}"#,
        ];
        for json in written {
            let read = scheme(json);
            assert_eq!(read.fault(), None, "{json}");
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
    }

    #[test]
    fn a_key_that_nobody_knows_is_an_error() {
        let wrong = [
            r#"{"algorithm":"md4","input":{"kind":"query"}}"#,
            r#"{"algorithm":"md5","input":{"kind":"cookie"}}"#,
            r#"{"algorithm":"md5","input":{"kind":"query","fields":["a"]}}"#,
            r#"{"algorithm":"md5","input":{"kind":"fields","field":["a"]}}"#,
            r#"{"algorithm":"md5","input":{"kind":"webhook","id":"a"}}"#,
            r#"{"algorithm":"md5","input":{"kind":"body"},"salt":"x"}"#,
            r#"{"algorithm":"md5","encoding":"base32","input":{"kind":"body"}}"#,
            r#"{"input":{"kind":"body"}}"#,
            r#"{"algorithm":"md5"}"#,
        ];
        for json in wrong {
            assert!(serde_json::from_str::<Scheme>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_scheme_that_makes_no_sense_is_told_so() {
        let fields = |algorithm: &str, fields: &str| {
            fault(algorithm, &format!(r#""input":{{"kind":"fields","fields":{fields}}}"#))
        };
        let many = format!("[{}]", vec![r#""a""#; FIELDS_MAX + 1].join(","));
        let long = "x".repeat(FIELD_BYTES_MAX + 1);
        let joint = "-".repeat(JOINT_BYTES_MAX + 1);
        let webhook = |id: &str, timestamp: &str| {
            let headers = format!(r#""id":"{id}","timestamp":"{timestamp}""#);
            fault("hmac_sha256", &format!(r#""input":{{"kind":"webhook",{headers}}}"#))
        };
        let told = [
            fields("md5", "[]"),
            fields("md5", &many),
            fields("md5", r#"["a",""]"#),
            fields("md5", &format!(r#"["{long}"]"#)),
            fields("md5", r#"["a","{key}"]"#),
            fields("md5", r#"["a"]"#),
            fields("md5", r#"["{secret}"]"#),
            fields("hmac_sha1", r#"["a","{secret}"]"#),
            fields("hmac_sha1", r#"["a"],"optional":["b"]"#),
            fields("hmac_sha1", r#"["a"],"optional":["a"]"#),
            fields("hmac_sha1", r#"["a"],"integers":["{secret}"]"#),
            fields("hmac_sha1", &format!(r#"["a"],"integers":{many}"#)),
            fields("hmac_sha1", &format!(r#"["a"],"separator":"{joint}""#)),
            fault("md5", r#""input":{"kind":"query"}"#),
            fault("hmac_sha1", r#""secret":"after","input":{"kind":"query"}"#),
            fault("md5", r#""secret":"after","input":{"kind":"fields","fields":["a","{secret}"]}"#),
            fault("hmac_sha1", &format!(r#""prefix":"{joint}","input":{{"kind":"url"}}"#)),
            fault("hmac_sha1", &format!(r#""separator":"{joint}","input":{{"kind":"url"}}"#)),
            fault("hmac_sha1", r#""prefix":"v1, ","separator":" ","input":{"kind":"url"}"#),
            fault("hmac_sha1", r#""separator":"a","input":{"kind":"url"}"#),
            fault("hmac_sha1", r#""separator":"+","encoding":"base64","input":{"kind":"url"}"#),
            webhook("", "b"),
            webhook("a", "a b"),
            webhook("cookie", "b"),
            webhook("a", "A"),
            fault("sha1", r#""input":{"kind":"webhook","id":"a","timestamp":"b"}"#),
        ];
        insta::assert_snapshot!(told.join("\n"), @r"
        input.fields: 1 to 30 fields
        input.fields: 1 to 30 fields
        input.fields[1]: a name has 1 to 100 bytes
        input.fields[0]: a name has 1 to 100 bytes
        input.fields[1]: `{key}` is neither a name nor `{secret}`
        input.fields: a plain hash needs `{secret}`, or anybody could make it
        input.fields: one at least that is not optional
        input.fields: an hmac has the secret as its key, not as a field
        input.optional[0]: `b` is none of the fields
        input.fields: one at least that is not optional
        input.integers[0]: `{secret}` is none of the fields
        input.integers: at most 30 names
        input.separator: at most 20 bytes
        secret: a plain hash over `query` needs `before` or `after`, or anybody could make it
        secret: it is for a plain hash over anything but fields
        secret: it is for a plain hash over anything but fields
        prefix: at most 20 bytes
        separator: at most 20 bytes
        prefix: it holds the separator, so no signature could have it
        separator: it could be part of a signature
        separator: it could be part of a signature
        input.id: `` is no header that is kept
        input.timestamp: `a b` is no header that is kept
        input.id: `cookie` is no header that is kept
        input.timestamp: another header than `id`
        algorithm: a webhook is signed by hmac_sha1 or hmac_sha256
        ");
    }

    #[test]
    fn an_encoding_reads_what_is_written_in_it_and_nothing_else() {
        let bytes = Some(vec![0xfb, 0xef, 0xff]);
        let written = [
            (Encoding::Hex, "fbefff", bytes.clone()),
            (Encoding::Hex, "FbEfFf", bytes.clone()),
            (Encoding::Hex, "fbeff", None),
            (Encoding::Hex, "fbefgf", None),
            (Encoding::Hex, "+bef", None),
            (Encoding::Hex, "\u{ff11}\u{ff11}", None),
            (Encoding::Base64, "++//", bytes.clone()),
            (Encoding::Base64, "--__", None),
            (Encoding::Base64url, "--__", bytes),
            (Encoding::Base64url, "++//", None),
            (Encoding::Base64, "AA==", Some(vec![0])),
            (Encoding::Base64, "AA", Some(vec![0])),
            (Encoding::Base64, "AB", None),
            (Encoding::Base64, "AA==x", None),
        ];
        for (encoding, text, bytes) in written {
            assert_eq!(encoding.decode(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_secret_that_makes_no_signature_is_told_so() {
        let of = |key: &str, secret: &str| {
            let json =
                format!(r#"{{"algorithm":"hmac_sha1","key":"{key}","input":{{"kind":"url"}}}}"#);
            scheme(&json).secret_fault(secret).unwrap_or_default()
        };
        assert_eq!(
            [of("text", "whsec_x"), of("base64", "whsec_AAAA"), of("base64", "AAAA")],
            ["", "", ""]
        );
        let empty = "an empty secret verifies nothing";
        assert_eq!([of("text", ""), of("base64", ""), of("base64", "whsec_")], [empty; 3]);
        assert!(of("base64", "s3cret!").contains("base64"));
        assert!(of("text", &"x".repeat(SIGNING_SECRET_BYTES_MAX + 1)).contains("500 bytes"));
    }
}
