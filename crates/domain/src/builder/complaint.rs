//! What is wrong with a pasted URL as a whole, be each macro in it right: whom it is for, what it
//! lacks, and what stands fixed, encoded or twice in it.
//!
//! A postback URL is held against the integration that its key names. Where none is known, no more
//! is asked of it than that it names the click.

use super::check::{Use, path_of, texts};
use super::table::names_one;
use super::{carries_token, parameters};
use crate::contract::{Canonical, Contract};
use crate::integration::Integration;
use crate::macros::{is_unreplaced, macros_in};
use crate::partner::Partner;
use crate::postback::decode;
use std::collections::BTreeSet;

/// How the paths of our links begin.
const LINK_PATH: &str = "/c/";
/// No more of one URL is complained of.
const COMPLAINTS_MAX: usize = 50;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The parameter that it is about; `None`: the URL.
    pub parameter: Option<String>,
    pub detail: String,
}

impl Complaint {
    fn of_url(detail: impl Into<String>) -> Self {
        Self { parameter: None, detail: detail.into() }
    }

    fn of(parameter: &str, detail: String) -> Self {
        Self { parameter: Some(parameter.to_owned()), detail }
    }
}

/// Whether a URL has the path of a link of ours.
pub(super) fn is_link(url: &str) -> bool {
    let token = path_of(url).strip_prefix(LINK_PATH);
    token.is_some_and(|token| !token.is_empty() && !token.contains('/'))
}

/// What is wrong with `url`, which `partner` is to use; `reader` is the integration that its key
/// names.
pub fn complaints(
    partner: &Partner,
    reader: Option<&Integration>,
    url: &str,
    of: Use,
) -> Vec<Complaint> {
    let url = Pasted { all: pairs(url), texts: texts(partner), path: path_of(url) };
    let mut found = url.encoded();
    found.extend(url.doubled());
    match (of, &partner.contract) {
        (Use::Click, _) => {
            if !url.path.starts_with(LINK_PATH) {
                let detail = format!("links of ours have the path `/c/…`, not `{}`", url.path);
                found.push(Complaint::of_url(detail));
            }
            let fixed = url.named(&["external_id".to_owned()]).find(|pair| url.is_fixed(pair, &[]));
            found.extend(fixed.map(|pair| same_in_all(pair, "click", None)));
        }
        (Use::Postback, None) => {
            found.push(Complaint::of_url(format!("{} never calls us", partner.title)));
        }
        (Use::Postback, Some(theirs)) => {
            if url.path.starts_with(LINK_PATH) {
                let detail = "a link of ours is for visitors: nobody can send postbacks to it";
                found.push(Complaint::of_url(detail));
            }
            match reader {
                Some(reader) => found.extend(url.unlike(reader, partner)),
                None => found.extend(url.without_click(theirs)),
            }
        }
    }
    found.truncate(COMPLAINTS_MAX);
    found
}

/// A parameter of a URL, with its value as it was pasted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) name: String,
    value: &'a str,
}

/// The parameters of a URL, in their order.
pub(super) fn pairs(url: &str) -> Vec<Pair<'_>> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pair = |part| {
        let (name, value): (&str, &str) = str::split_once(part, '=').unwrap_or((part, ""));
        Pair { name: decoded(name), value }
    };
    parts.map(pair).collect()
}

fn decoded(text: &str) -> String {
    decode(text.as_bytes()).0
}

/// That an id would be one and the same each time.
fn same_in_all(pair: &Pair<'_>, noun: &str, right: Option<&str>) -> Complaint {
    let Pair { name, value } = pair;
    let right = right.map(|text| format!(", {text}")).unwrap_or_default();
    let detail = format!(
        "`{name}` would be `{value}` in every {noun}: what belongs there is the platform's macro{right}"
    );
    Complaint::of(name, detail)
}

struct Pasted<'a> {
    all: Vec<Pair<'a>>,
    /// The macros of the platform that it is for.
    texts: Vec<&'a str>,
    path: &'a str,
}

impl<'a> Pasted<'a> {
    /// The parameters of one of those names.
    fn named(&self, names: &[String]) -> impl Iterator<Item = &Pair<'a>> {
        self.all.iter().filter(|pair| names.contains(&pair.name))
    }

    fn has_macro(&self, text: &str) -> bool {
        !macros_in(text, &self.texts).is_empty()
    }

    /// Whether a value is there and is the same each time.
    fn is_fixed(&self, pair: &Pair<'_>, literals: &[String]) -> bool {
        let plain = decoded(pair.value);
        let is_macro = |text: &str| self.has_macro(text) || is_unreplaced(text.trim(), literals);
        !plain.trim().is_empty() && !is_macro(pair.value) && !is_macro(&plain)
    }

    fn encoded(&self) -> Vec<Complaint> {
        let complaint = |pair: &Pair<'_>| {
            let plain = decoded(pair.value);
            let is_hidden = !self.has_macro(pair.value) && self.has_macro(&plain);
            let (name, value) = (&pair.name, pair.value);
            is_hidden.then(|| {
                let detail = format!(
                    "`{value}` is `{plain}` percent-encoded, which nobody fills in: it has to \
                     stand there as `{plain}`"
                );
                Complaint::of(name, detail)
            })
        };
        self.all.iter().filter_map(complaint).collect()
    }

    fn doubled(&self) -> Vec<Complaint> {
        let mut seen = BTreeSet::new();
        let again = self.all.iter().filter(|pair| !seen.insert(&pair.name));
        let names: BTreeSet<&String> = again.map(|pair| &pair.name).collect();
        let told =
            names.into_iter().map(|name| Complaint::of(name, format!("`{name}` stands twice")));
        told.collect()
    }

    /// What the integration asks for, and is missing or fixed.
    fn unlike(&self, reader: &Integration, partner: &Partner) -> Vec<Complaint> {
        let contract = &reader.contract;
        let complaint = |filled: super::Filled<'_>| {
            let parameter = filled.parameter;
            let canonical = parameter.canonical;
            let is_elsewhere = filled.is_appended
                || parameter.in_header
                || contract.signs_bodies() && !canonical.is_secret();
            if is_elsewhere {
                return None;
            }
            let mut sent = self.named(&parameter.names);
            let is_needed = parameter.required
                || canonical == Canonical::ClickId
                || carries_token(reader, canonical);
            let Some(pair) = sent.find(|pair| !pair.value.trim().is_empty()) else {
                let right = filled.placeholder.map(|text| format!("={text}")).unwrap_or_default();
                let name = parameter.name();
                let detail = format!("it has to be there: `{name}{right}`");
                return is_needed.then(|| Complaint::of(name, detail));
            };
            let is_wrong = names_one(canonical) && self.is_fixed(pair, &contract.unreplaced);
            is_wrong.then(|| same_in_all(pair, "postback", filled.placeholder))
        };
        parameters(reader, Some(partner)).filter_map(complaint).collect()
    }

    /// Whether our click id comes with it, under the platform's own name for it, ours, or by its
    /// macro.
    fn without_click(&self, theirs: &Contract) -> Option<Complaint> {
        let own = theirs.parameter(Canonical::ClickId)?;
        if own.appended || own.in_header || theirs.signs_bodies() {
            return None;
        }
        let text = own.placeholder.as_deref();
        let has_it = |pair: &Pair<'_>| {
            text.is_some_and(|text| pair.value.contains(text) || decoded(pair.value).contains(text))
        };
        if self.all.iter().any(has_it) {
            return None;
        }
        let names: Vec<String> =
            own.names.iter().cloned().chain([Canonical::ClickId.to_string()]).collect();
        let mut sent = self.named(&names).filter(|pair| !pair.value.trim().is_empty());
        match sent.next() {
            Some(pair) => {
                self.is_fixed(pair, &theirs.unreplaced).then(|| same_in_all(pair, "postback", text))
            }
            None => {
                let right = text.map(|text| format!(", in the platform's macro {text}"));
                let right = right.unwrap_or_default();
                Some(Complaint::of_url(format!("it has to carry our click id{right}")))
            }
        }
    }
}
