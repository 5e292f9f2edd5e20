//! Verifies what a sender signed, by its contract's scheme.
//!
//! Everything is computed over what was really received, never over what was read from it: a
//! field that was sent twice, or badly encoded, is no field. Signatures are compared as bytes and
//! in constant time. Nothing here says what would have been right.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use super::pairs::{self, Pair, Pairs};
use crate::contract::{
    Algorithm, Contract, Encoding, Input, Parameter, SECRET_FIELD, Scheme, SecretPlace, Values,
};
use crate::hit::Hit;
use crate::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use std::borrow::Cow;
use subtle::ConstantTimeEq;

/// How many signatures of one hit are looked at.
const SIGNATURES_MAX: usize = 10;
/// How many secrets are tried.
const SECRETS_MAX: usize = 10;
/// The ways in which senders write a query again: what stands for a blank, and what is left as it
/// is beside letters, digits and `-_.`: PHP, browsers, Python, RFC 3986, `encodeURIComponent`.
const SPELLINGS: [Spelling; 5] = [
    Spelling { blank: "+", plain: b"", times: 1 },
    Spelling { blank: "+", plain: b"*", times: 1 },
    Spelling { blank: "+", plain: b"~", times: 1 },
    Spelling { blank: "%20", plain: b"~", times: 1 },
    Spelling { blank: "%20", plain: b"~*!'()", times: 1 },
];
/// One sender's sample encodes values before it builds a query, which encodes them again.
const TWICE: Spelling = Spelling { blank: "+", plain: b"", times: 2 };

/// Why a signature does not hold, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// What carries it, or what it is made over, was not sent under this name.
    Missing {
        name: String,
        is_header: bool,
        detail: String,
    },
    Wrong(String),
}

impl Fault {
    fn missing(name: &str, is_header: bool) -> Self {
        let detail = match is_header {
            true => format!("the header `{name}` is missing"),
            false => format!("`{name}` is missing"),
        };
        Self::Missing { name: name.to_owned(), is_header, detail }
    }

    fn into_detail(self) -> String {
        match self {
            Self::Missing { detail, .. } | Self::Wrong(detail) => detail,
        }
    }
}

impl From<String> for Fault {
    fn from(detail: String) -> Self {
        Self::Wrong(detail)
    }
}

/// Whether one of `secrets` made the signature that `signature` carries, and whether it covers what
/// `contracts` read.
pub(super) fn verify(
    contracts: [&Contract; 2],
    scheme: &Scheme,
    signature: &Parameter,
    sent: &Pairs<'_>,
    secrets: &[&Secret],
) -> Result<(), Fault> {
    let given = given(scheme, signature, sent)?;
    if scheme.input.is_body() {
        check_url(contracts, sent)?;
    }
    check_headers(contracts, scheme, sent)?;
    let inputs = inputs(scheme, signature, sent)?;
    let mut is_made = false;
    for secret in secrets.iter().take(SECRETS_MAX) {
        // What is empty, or cannot be read, makes no signature.
        let Some(key) = scheme.key.bytes(secret.expose()).filter(|key| !key.is_empty()) else {
            continue;
        };
        for input in &inputs {
            let right = compute(scheme.algorithm, &key, input);
            is_made |= given.iter().any(|given| bool::from(given.as_slice().ct_eq(&right)));
        }
    }
    let name = sent.name_of(signature);
    let wrong = || Fault::Wrong(format!("`{name}` was not made with the agreed secret"));
    if is_made { Ok(()) } else { Err(wrong()) }
}

/// The signature that `sent` should carry, as its receiver expects it to be written.
pub(crate) fn sign(
    scheme: &Scheme,
    signature: &Parameter,
    sent: &Pairs<'_>,
    secret: &Secret,
) -> Result<String, String> {
    let key = scheme.key.bytes(secret.expose()).filter(|key| !key.is_empty());
    let key = key.ok_or("the secret is not written as the scheme says")?;
    let inputs = inputs(scheme, signature, sent).map_err(Fault::into_detail)?;
    let input = inputs.first().ok_or("there is nothing to sign")?;
    let made = compute(scheme.algorithm, &key, input);
    Ok(format!("{}{}", scheme.prefix, scheme.encoding.encode(&made)))
}

/// Beside a signed body, nothing that is read may stand in the URL, where whoever sees one request
/// could write another value. Labels decide too: events, what makes a transaction's id.
fn check_url(contracts: [&Contract; 2], sent: &Pairs<'_>) -> Result<(), String> {
    if pairs::is_bodiless(sent.hit) {
        return Err("there is no body that could be signed".to_owned());
    }
    let parameters = contracts.into_iter().flat_map(|contract| &contract.parameters);
    let is_read = |one: &&Parameter| !one.in_header && !one.canonical.is_secret();
    let read: Vec<&Parameter> = parameters.filter(is_read).collect();
    for part in pairs::parts(sent.hit.query()) {
        let (name, _) = pairs::decode(pairs::halves(part).0);
        if read.iter().any(|parameter| parameter.names.contains(&name)) {
            return Err(format!("`{name}` stands in the URL, and the body alone is signed"));
        }
    }
    Ok(())
}

/// Nothing that decides may stand in a header that is not signed.
fn check_headers(
    contracts: [&Contract; 2],
    scheme: &Scheme,
    sent: &Pairs<'_>,
) -> Result<(), String> {
    let is_open = |pair: &&Pair| {
        let mut contracts = contracts.into_iter();
        scheme.leaves_open(&pair.name)
            && contracts.any(|one| one.deciding_in_headers().any(|parameter| pair.is_of(parameter)))
    };
    match sent.headers.iter().find(is_open) {
        Some(Pair { name, .. }) => Err(format!("`{name}` stands in a header, which is not signed")),
        None => Ok(()),
    }
}

/// The signatures that were sent, as bytes.
fn given(scheme: &Scheme, signature: &Parameter, sent: &Pairs<'_>) -> Result<Vec<Vec<u8>>, Fault> {
    let name = sent.name_of(signature);
    let mut carriers = sent.of_parameter(signature);
    let missing = || Fault::missing(name, signature.in_header);
    let pair = carriers.next().ok_or_else(missing)?;
    if carriers.next().is_some() {
        return Err(format!("`{name}` was sent twice").into());
    }
    if pair.text.trim().is_empty() {
        return Err(missing());
    }
    let texts: Vec<&str> = match scheme.separator.as_str() {
        "" => vec![&pair.text],
        separator => pair.text.split(separator).take(SIGNATURES_MAX).collect(),
    };
    // A plus that was sent as it is reads as a blank.
    let has_plus = scheme.encoding == Encoding::Base64 && !pair.is_header;
    let has_plus = has_plus && !scheme.separator.contains(' ');
    let read = |text: &str| {
        let text = if has_plus { text } else { text.trim() };
        let bare = text.strip_prefix(&scheme.prefix)?;
        if has_plus {
            scheme.encoding.decode(&bare.replace(' ', "+"))
        } else {
            scheme.encoding.decode(bare)
        }
    };
    let given: Vec<Vec<u8>> = texts.into_iter().filter_map(read).collect();
    if given.is_empty() {
        return Err(format!("`{name}` is not written as the contract says").into());
    }
    Ok(given)
}

/// A part of what is hashed.
enum Piece<'a> {
    Bytes(Cow<'a, [u8]>),
    Secret,
}

impl<'a> Piece<'a> {
    fn text(text: &'a str) -> Self {
        Self::Bytes(Cow::Borrowed(text.as_bytes()))
    }
}

/// What may have been signed: more than one where senders disagree about the encoding.
fn inputs<'a>(
    scheme: &'a Scheme,
    signature: &Parameter,
    sent: &'a Pairs<'a>,
) -> Result<Vec<Vec<Piece<'a>>>, Fault> {
    let hit = sent.hit;
    let whole = match &scheme.input {
        Input::Fields { fields, separator, optional, integers, values } => {
            let joined = Fields { separator, optional, integers, values: *values };
            return Ok(vec![joined.of(fields, sent)?]);
        }
        Input::SortedQuery {} => sorted(parameters(hit, signature)?, signature),
        Input::Query {} => vec![Cow::Owned(without(parameters(hit, signature)?, signature))],
        Input::Url {} => vec![Cow::Owned(url(hit, signature)?)],
        Input::Body {} => vec![Cow::Borrowed(hit.body.as_slice())],
        Input::Webhook { id, timestamp } => {
            let header = |name| header(hit, name);
            let head = format!("{}.{}.", header(id)?, header(timestamp)?);
            let pieces = [Cow::Owned(head.into_bytes()), Cow::Borrowed(hit.body.as_slice())];
            return Ok(vec![pieces.map(Piece::Bytes).into()]);
        }
    };
    let with_secret = |bytes| match scheme.secret {
        None => vec![Piece::Bytes(bytes)],
        Some(SecretPlace::Before) => vec![Piece::Secret, Piece::Bytes(bytes)],
        Some(SecretPlace::After) => vec![Piece::Bytes(bytes), Piece::Secret],
    };
    Ok(whole.into_iter().map(with_secret).collect())
}

/// How the values of fields are joined.
struct Fields<'a> {
    separator: &'a str,
    optional: &'a [String],
    integers: &'a [String],
    values: Values,
}

impl<'a> Fields<'a> {
    fn of(&self, fields: &[String], sent: &'a Pairs<'a>) -> Result<Vec<Piece<'a>>, Fault> {
        let mut pieces = Vec::with_capacity(2 * fields.len());
        for field in fields {
            let piece = match field.as_str() {
                SECRET_FIELD => Piece::Secret,
                name => match self.value(name, sent)? {
                    Some(value) if self.runs_on(&value) => {
                        let joint = self.separator;
                        let detail = format!("`{name}`, which is signed, holds a `{joint}`");
                        return Err(detail.into());
                    }
                    Some(value) => Piece::Bytes(value),
                    None => continue,
                },
            };
            if !pieces.is_empty() {
                pieces.push(Piece::text(self.separator));
            }
            pieces.push(piece);
        }
        Ok(pieces)
    }

    /// Whether a value could pass for two where one that is optional drops out.
    fn runs_on(&self, value: &[u8]) -> bool {
        let joint = self.separator.as_bytes();
        let is_ambiguous = !self.optional.is_empty() && !joint.is_empty();
        is_ambiguous && value.windows(joint.len()).any(|window| window == joint)
    }

    /// `None`: it drops out.
    fn value(&self, name: &str, sent: &'a Pairs<'a>) -> Result<Option<Cow<'a, [u8]>>, Fault> {
        let mut all = sent.all.iter().filter(|pair| pair.name == name);
        let first = all.next();
        if all.next().is_some() {
            return Err(format!("`{name}`, which is signed, was sent twice").into());
        }
        let is_optional = self.optional.iter().any(|optional| optional == name);
        let pair = match first {
            Some(pair) if !(is_optional && pair.text.trim().is_empty()) => pair,
            None if !is_optional => {
                let (name, detail) =
                    (name.to_owned(), format!("`{name}`, which is signed, is missing"));
                return Err(Fault::Missing { name, is_header: false, detail });
            }
            _ => return Ok(None),
        };
        if pair.is_malformed {
            return Err(format!("`{name}`, which is signed, is not properly encoded").into());
        }
        if self.integers.iter().any(|integer| integer == name) {
            let whole = integer(&pair.text)
                .ok_or_else(|| format!("`{name}`, which is signed, is not a number"))?;
            return Ok(Some(Cow::Owned(whole.into_bytes())));
        }
        Ok(Some(match self.values {
            Values::Decoded => Cow::Borrowed(pair.text.as_bytes()),
            Values::Received => received(pair, sent.hit),
        }))
    }
}

/// What stands before the point, as a program would print it.
fn integer(text: &str) -> Option<String> {
    let whole = text.trim().split('.').next().unwrap_or_default();
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    match digits.trim_start_matches('0') {
        "" => Some("0".to_owned()),
        digits => Some(format!("{sign}{digits}")),
    }
}

/// A value as it was sent. JSON has no other form.
fn received<'a>(pair: &'a Pair, hit: &'a Hit) -> Cow<'a, [u8]> {
    let all = pairs::parts(hit.query()).chain(pairs::parts(pairs::form(hit).unwrap_or_default()));
    let own = all.map(pairs::halves).find(|(name, _)| pairs::decode(name).0 == pair.name);
    Cow::Borrowed(own.map_or(pair.text.as_bytes(), |(_, value)| value))
}

fn header<'a>(hit: &'a Hit, name: &str) -> Result<&'a str, Fault> {
    let mut all = hit.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    match (all.next(), all.next()) {
        (Some((_, value)), None) if !value.trim().is_empty() => Ok(value.trim()),
        (Some(_), Some(_)) => Err(format!("the header `{name}` was sent twice").into()),
        _ => Err(Fault::missing(name, true)),
    }
}

/// Where the parameters stand: the query, or a form that came without one. Of both together only
/// one would be signed.
fn parameters<'a>(hit: &'a Hit, signature: &Parameter) -> Result<&'a [u8], String> {
    if pairs::is_bodiless(hit) {
        return Ok(hit.query());
    }
    let has_query = pairs::parts(hit.query()).any(|part| !carries(part, signature));
    let form = pairs::form(hit).filter(|_| !has_query);
    form.ok_or_else(|| "a signature of the query says nothing about the body".to_owned())
}

fn carries(part: &[u8], signature: &Parameter) -> bool {
    let name = pairs::decode(pairs::halves(part).0).0;
    !signature.in_header && signature.names.contains(&name)
}

/// The query without the signature's pair and what joins it.
fn without(query: &[u8], signature: &Parameter) -> Vec<u8> {
    // Only a part that is taken out takes its `&` along: the rest stays byte for byte.
    let parts = query.split(|byte| *byte == b'&');
    let is_kept = |part: &&[u8]| part.is_empty() || !carries(part, signature);
    parts.filter(is_kept).collect::<Vec<_>>().join(&b'&')
}

fn url(hit: &Hit, signature: &Parameter) -> Result<Vec<u8>, String> {
    if hit.base.is_empty() {
        return Err("the address that the sender called is not known".to_owned());
    }
    if !pairs::is_bodiless(hit) {
        return Err("a signature of the URL says nothing about the body".to_owned());
    }
    let mut url = hit.base.trim_end_matches('/').as_bytes().to_vec();
    let has_query = hit.target.contains(&b'?');
    let query = without(hit.query(), signature);
    url.extend_from_slice(hit.path());
    if has_query && (!query.is_empty() || hit.query().is_empty()) {
        url.push(b'?');
        url.extend_from_slice(&query);
    }
    Ok(url)
}

/// The parameters by name, as they were received and in every spelling that differs from it.
fn sorted<'a>(query: &[u8], signature: &Parameter) -> Vec<Cow<'a, [u8]>> {
    let parts = pairs::parts(query).filter(|part| !carries(part, signature));
    let mut parts: Vec<(String, &[u8])> =
        parts.map(|part| (pairs::decode(pairs::halves(part).0).0, part)).collect();
    parts.sort_by(|(one, _), (other, _)| one.cmp(other));
    let received = parts.iter().map(|(_, part)| *part).collect::<Vec<_>>().join(&b'&');
    let mut all = vec![received];
    let values: Option<Vec<(&str, String)>> = parts
        .iter()
        .map(|(name, part)| {
            let (value, is_malformed) = pairs::decode(pairs::halves(part).1);
            (!is_malformed).then_some((name.as_str(), value))
        })
        .collect();
    for spelling in SPELLINGS.iter().chain([&TWICE]) {
        let Some(values) = &values else { break };
        let respelt = spelling.query(values);
        if !all.contains(&respelt) {
            all.push(respelt);
        }
    }
    all.into_iter().map(Cow::Owned).collect()
}

/// A way of writing a query.
struct Spelling {
    blank: &'static str,
    plain: &'static [u8],
    /// How often values are encoded.
    times: u32,
}

impl Spelling {
    fn query(&self, values: &[(&str, String)]) -> Vec<u8> {
        let mut query = Vec::new();
        for (name, value) in values {
            if !query.is_empty() {
                query.push(b'&');
            }
            self.write(name.as_bytes(), &mut query);
            query.push(b'=');
            let mut value = Cow::Borrowed(value.as_bytes());
            for _ in 1..self.times {
                let mut encoded = Vec::with_capacity(value.len());
                self.write(&value, &mut encoded);
                value = Cow::Owned(encoded);
            }
            self.write(&value, &mut query);
        }
        query
    }

    fn write(&self, text: &[u8], to: &mut Vec<u8>) {
        for &byte in text {
            match byte {
                b' ' => to.extend_from_slice(self.blank.as_bytes()),
                _ if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => to.push(byte),
                _ if self.plain.contains(&byte) => to.push(byte),
                _ => to.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            }
        }
    }
}

fn compute(algorithm: Algorithm, key: &[u8], input: &[Piece<'_>]) -> Vec<u8> {
    match algorithm {
        Algorithm::Md5 => plain::<Md5>(key, input),
        Algorithm::Sha1 => plain::<Sha1>(key, input),
        Algorithm::Sha256 => plain::<Sha256>(key, input),
        Algorithm::HmacSha1 => keyed::<Hmac<Sha1>>(key, input),
        Algorithm::HmacSha256 => keyed::<Hmac<Sha256>>(key, input),
    }
}

fn plain<H: Digest>(secret: &[u8], input: &[Piece<'_>]) -> Vec<u8> {
    let mut hash = H::new();
    for piece in input {
        hash.update(bytes(piece, secret));
    }
    hash.finalize().to_vec()
}

fn keyed<M: Mac + KeyInit>(key: &[u8], input: &[Piece<'_>]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("any length is a key");
    for piece in input {
        mac.update(bytes(piece, key));
    }
    mac.finalize().into_bytes().to_vec()
}

fn bytes<'a>(piece: &'a Piece<'_>, secret: &'a [u8]) -> &'a [u8] {
    match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::Secret => secret,
    }
}
