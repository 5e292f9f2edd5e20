//! Reads the files of the catalogue.

use super::family;
use super::fixture::{Answered, Called, Fixture};
use super::place::{Fault, Text, Texts};
use domain::contract::Contract;
use domain::destination::Corrections;
use domain::outbound::Outbound;
use domain::partner::{ClickParameter, Confidence, Partner};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A file that reads: a partner, and what is tried on it.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) partner: Partner,
    /// The entry that it takes from.
    pub(crate) extends: Option<String>,
    /// Requests as its senders make them.
    pub(super) fixtures: Vec<Spanned<Fixture>>,
    /// Requests that we make.
    pub(super) called: Vec<Spanned<Called>>,
    /// Answers to them.
    pub(super) answered: Vec<Spanned<Answered>>,
    /// For complaints: the table it was read from.
    table: DeTable<'a>,
    span: Range<usize>,
}

/// A file as it is written, with what it takes from others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<String>,
    title: String,
    kind: String,
    confidence: Confidence,
    sources: Vec<String>,
    source_on: String,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    extends: Option<String>,
    #[serde(default)]
    menu: Option<String>,
    #[serde(default)]
    landing_params: Option<String>,
    #[serde(default)]
    click: Click,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    outbound: Option<Box<Outbound>>,
    #[serde(default)]
    contract: Option<Contract>,
    #[serde(default)]
    fixtures: Vec<Spanned<Fixture>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Click {
    parameters: Vec<ClickParameter>,
}

/// What stands in the table of an outbound URL and is no part of it: what is tried on it, and what
/// is taken where a destination does not say otherwise.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Beside {
    corrections: Option<Corrections>,
    fixtures: Vec<Spanned<Called>>,
    answers: Vec<Spanned<Answered>>,
}

/// Reads one file, and those that it extends.
pub(super) fn read<'a>(texts: &Texts<'a>, text: Text<'a>) -> Result<Entry<'a>, Fault> {
    let table = family::table(texts, text)?;
    let span = table.span();
    let mut whole = table.clone();
    let beside = take_beside(&mut whole).unwrap_or_default();
    let told = |error: toml::de::Error| {
        let at = error.span().unwrap_or(span.clone());
        texts.fault(&at, error.message())
    };
    let beside: Beside =
        Beside::deserialize(toml::Deserializer::from(Spanned::new(span.clone(), beside)))
            .map_err(told)?;
    let written = Written::deserialize(toml::Deserializer::from(whole)).map_err(told)?;
    let name = written.name.get_ref();
    if text.file.strip_suffix(".toml") != Some(name) {
        let detail = "a file is called as its partner is";
        return Err(texts.fault(&written.name.span(), detail));
    }
    let partner = Partner {
        name: written.name.into_inner(),
        title: written.title,
        kind: written.kind,
        confidence: Some(written.confidence),
        sources: written.sources,
        source_on: written.source_on,
        notes: written.notes,
        menu: written.menu,
        landing_params: written.landing_params,
        click: written.click.parameters,
        paths: written.paths,
        outbound: written.outbound,
        corrections: beside.corrections,
        contract: written.contract,
    };
    let entry = Entry {
        partner,
        extends: written.extends,
        fixtures: written.fixtures,
        called: beside.fixtures,
        answered: beside.answers,
        table: table.into_inner(),
        span,
    };
    match entry.fault() {
        Some((at, detail)) => Err(texts.fault(&at, detail)),
        None => Ok(entry),
    }
}

/// Takes out of the outbound table what is no part of what is called.
fn take_beside<'a>(whole: &mut Spanned<DeTable<'a>>) -> Option<DeTable<'a>> {
    let DeValue::Table(outbound) = whole.get_mut().get_mut("outbound")?.get_mut() else {
        return None;
    };
    let beside = ["corrections", "fixtures", "answers"].into_iter();
    Some(beside.filter_map(|key| outbound.remove_entry(key)).collect())
}

impl Entry<'_> {
    /// What is wrong with the partner, and where.
    fn fault(&self) -> Option<(Range<usize>, String)> {
        let detail = self.partner.fault()?;
        let path = detail.split(':').next().unwrap_or_default();
        Some((self.place_of(path), detail))
    }

    /// The place of the contract's parameter of that number.
    pub(super) fn parameter(&self, place: usize) -> Range<usize> {
        let parameters = value(&self.table, "contract")
            .and_then(|contract| value(contract.as_table()?, "parameters")?.as_array());
        let parameter = parameters.and_then(|all| all.get(place));
        let canonical =
            parameter.and_then(|one| one.get_ref().as_table()?.get("canonical").map(Spanned::span));
        canonical.or_else(|| parameter.map(Spanned::span)).unwrap_or(self.span.clone())
    }

    /// The place of a key such as `outbound.url`, else of the nearest table around it; where the
    /// first part is no key of the file, it is looked for in the contract.
    pub(super) fn place_of(&self, path: &str) -> Range<usize> {
        let found = walk(&self.table, path);
        let found = found.or_else(|| walk(&self.table, &format!("contract.{path}")));
        found.or_else(|| walk(&self.table, "contract")).unwrap_or(self.span.clone())
    }
}

/// Blank keys, and what stands in a list and is blank or stands there before: by the list's key,
/// its place, and in words.
type Odd = (String, Range<usize>, String);

impl Entry<'_> {
    pub(super) fn odd_items(&self) -> Vec<Odd> {
        let mut found = Vec::new();
        odd_in_table(&self.table, &mut found);
        found
    }
}

fn odd_in_table(table: &DeTable<'_>, found: &mut Vec<Odd>) {
    for (key, value) in table {
        if key.get_ref().trim().is_empty() {
            found.push((String::new(), key.span(), "a blank key".to_owned()));
        }
        match value.get_ref() {
            DeValue::Table(inner) => odd_in_table(inner, found),
            DeValue::Array(items) => odd_in_list(key.get_ref(), items, found),
            _ => {}
        }
    }
}

fn odd_in_list(key: &str, items: &DeArray<'_>, found: &mut Vec<Odd>) {
    let mut seen = BTreeSet::new();
    for item in items {
        let mut add = |detail: String| found.push((key.to_owned(), item.span(), detail));
        match item.get_ref() {
            DeValue::String(text) if text.trim().is_empty() => add("a blank text".to_owned()),
            DeValue::String(text) if !seen.insert(text.trim()) => {
                add(format!("`{}` stands twice", text.trim()));
            }
            DeValue::Table(inner) => odd_in_table(inner, found),
            _ => {}
        }
    }
}

fn value<'t, 'a>(table: &'t DeTable<'a>, key: &str) -> Option<&'t DeValue<'a>> {
    Some(table.get(key)?.get_ref())
}

/// The place of the last part of a path that is there.
fn walk(table: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let mut found = None;
    let mut table = Some(table);
    for part in path.split('.') {
        let (name, places) = part.split_once('[').unwrap_or((part, ""));
        let Some((key, value)) = table.and_then(|table| table.get_key_value(name)) else { break };
        found = Some(key.span());
        let mut value = value;
        // Of `parameters[3]` what stands behind the name is `3]`.
        for place in places.split(['[', ']']).filter_map(|place| place.parse::<usize>().ok()) {
            let Some(item) = value.get_ref().as_array().and_then(|all| all.get(place)) else {
                return found;
            };
            found = Some(item.span());
            value = item;
        }
        table = value.get_ref().as_table();
    }
    found
}
