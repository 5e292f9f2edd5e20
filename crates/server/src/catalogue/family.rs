//! An entry's table: its own file, and what it takes from the one that it extends.

use super::place::{FILE_BYTES_MAX, Fault, Text, Texts};
use domain::contract::{Canonical, PARAMETERS_MAX};
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// How many files an entry may be made of.
const GENERATIONS_MAX: usize = 4;
/// What stands for the number in the names and the macro of a range of parameters.
const NUMBER: &str = "{n}";
/// What stands between the first and the last of a range.
const RANGE: &str = "..";
/// What no entry takes from another.
const OWN: [&str; 3] = ["name", "title", "extends"];

type Value<'a> = Spanned<DeValue<'a>>;
type Refused = (Range<usize>, String);

/// The whole table of an entry.
pub(super) fn table<'a>(texts: &Texts<'a>, text: Text<'a>) -> Result<Spanned<DeTable<'a>>, Fault> {
    let mut whole = own_table(texts, text)?;
    let mut generations = vec![text.file];
    let mut next = parent(texts, whole.get_ref())?;
    while let Some((span, text)) = next {
        if generations.contains(&text.file) {
            let detail = format!("{} extends itself: {}", text.file, generations.join(" → "));
            return Err(texts.fault(&span, detail));
        }
        generations.push(text.file);
        if generations.len() > GENERATIONS_MAX {
            let detail = format!("more than {GENERATIONS_MAX} files: {}", generations.join(" → "));
            return Err(texts.fault(&span, detail));
        }
        let family = own_table(texts, text)?.into_inner();
        next = parent(texts, &family)?;
        merge(whole.get_mut(), family, "");
    }
    Ok(whole)
}

/// The table of one file, with its ranges spelt out.
fn own_table<'a>(texts: &Texts<'a>, text: Text<'a>) -> Result<Spanned<DeTable<'a>>, Fault> {
    let base = text.base;
    if text.content.len() > FILE_BYTES_MAX {
        let detail = format!("a file has at most {FILE_BYTES_MAX} bytes");
        return Err(texts.fault(&(base..base), detail));
    }
    let parsed = DeTable::parse(text.content).map_err(|error| {
        let span = error.span().unwrap_or_default();
        texts.fault(&(base + span.start..base + span.end), error.message())
    })?;
    let span = parsed.span();
    let mut table =
        Spanned::new(base + span.start..base + span.end, moved(parsed.into_inner(), base));
    spell_out(table.get_mut()).map_err(|(span, detail)| texts.fault(&span, detail))?;
    Ok(table)
}

/// The file that a table extends, and where it says so.
fn parent<'a>(
    texts: &Texts<'a>,
    table: &DeTable<'a>,
) -> Result<Option<(Range<usize>, Text<'a>)>, Fault> {
    let Some(extends) = table.get("extends") else { return Ok(None) };
    let span = extends.span();
    let Some(name) = extends.get_ref().as_str() else {
        return Err(texts.fault(&span, "the name of another entry"));
    };
    match texts.of_name(name) {
        Some(text) => Ok(Some((span, text))),
        None => Err(texts.fault(&span, format!("there is no entry `{name}`"))),
    }
}

/// The same table with every span moved by `base`.
fn moved(table: DeTable<'_>, base: usize) -> DeTable<'_> {
    let entries = table.into_iter().map(|(key, value)| {
        let span = key.span();
        let key = Spanned::new(base + span.start..base + span.end, key.into_inner());
        (key, moved_value(value, base))
    });
    entries.collect()
}

fn moved_value(value: Value<'_>, base: usize) -> Value<'_> {
    let span = value.span();
    let inner = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved(table, base)),
        DeValue::Array(array) => {
            DeValue::Array(array.into_iter().map(|one| moved_value(one, base)).collect())
        }
        plain => plain,
    };
    Spanned::new(base + span.start..base + span.end, inner)
}

/// Adds to `own` what it does not say itself. `at` is the path of the table.
fn merge<'a>(own: &mut DeTable<'a>, family: DeTable<'a>, at: &str) {
    for (key, theirs) in family {
        let name = key.get_ref().as_ref();
        if at.is_empty() && OWN.contains(&name) {
            continue;
        }
        let path = format!("{at}{name}");
        let Some(ours) = own.get_mut(name) else {
            own.insert(key, theirs);
            continue;
        };
        match (ours.get_mut(), theirs.into_inner()) {
            (DeValue::Table(ours), DeValue::Table(theirs)) => {
                merge(ours, theirs, &format!("{path}."));
            }
            (DeValue::Array(ours), DeValue::Array(theirs)) if path == "contract.parameters" => {
                *ours = merged_parameters(std::mem::replace(ours, DeArray::new()), theirs);
            }
            _ => {}
        }
    }
}

/// The family's parameters in their order, those that are said again in their places; then the
/// others.
fn merged_parameters<'a>(
    ours: impl IntoIterator<Item = Value<'a>>,
    theirs: impl IntoIterator<Item = Value<'a>>,
) -> DeArray<'a> {
    let mut ours: Vec<Value<'a>> = ours.into_iter().collect();
    let mut merged = Vec::new();
    for their in theirs {
        let canonical = text(&their, "canonical");
        let place =
            ours.iter().position(|our| canonical.is_some() && text(our, "canonical") == canonical);
        merged.push(place.map_or(their, |place| ours.remove(place)));
    }
    merged.into_iter().chain(ours).collect()
}

fn text<'v>(table: &'v Value<'_>, key: &str) -> Option<&'v str> {
    table.get_ref().as_table()?.get(key)?.get_ref().as_str()
}

/// Replaces each range of parameters by its parameters.
fn spell_out(table: &mut DeTable<'_>) -> Result<(), Refused> {
    let Some(DeValue::Table(contract)) = table.get_mut("contract").map(Spanned::get_mut) else {
        return Ok(());
    };
    let Some(DeValue::Array(parameters)) = contract.get_mut("parameters").map(Spanned::get_mut)
    else {
        return Ok(());
    };
    let mut all = Vec::new();
    for parameter in std::mem::replace(parameters, DeArray::new()) {
        let span = parameter.span();
        match text(&parameter, "canonical") {
            Some(canonical) if canonical.contains(RANGE) => {
                let names = range(canonical).map_err(|why| (span.clone(), why))?;
                for (number, canonical) in names {
                    all.push(numbered(&parameter, &number, canonical)?);
                }
            }
            _ => all.push(parameter),
        }
        if all.len() > PARAMETERS_MAX {
            return Err((span, format!("more than {PARAMETERS_MAX} parameters")));
        }
    }
    *parameters = all.into_iter().collect();
    Ok(())
}

/// One parameter of a range.
fn numbered<'a>(of: &Value<'a>, number: &str, canonical: Canonical) -> Result<Value<'a>, Refused> {
    let mut one = of.clone();
    let DeValue::Table(table) = one.get_mut() else { return Ok(one) };
    if let Some(name) = table.get_mut("canonical") {
        *name.get_mut() = DeValue::String(Cow::Owned(canonical.to_string()));
    }
    if let Some(DeValue::Array(names)) = table.get_mut("names").map(Spanned::get_mut) {
        for name in names.iter_mut() {
            let span = name.span();
            let DeValue::String(text) = name.get_mut() else { continue };
            if !text.contains(NUMBER) {
                let why = format!("`{text}` names a range, so it has {NUMBER} in it");
                return Err((span, why));
            }
            *text = Cow::Owned(text.replace(NUMBER, number));
        }
    }
    if let Some(DeValue::String(text)) = table.get_mut("macro").map(Spanned::get_mut) {
        *text = Cow::Owned(text.replace(NUMBER, number));
    }
    Ok(one)
}

/// The canonical parameters of `sub1..sub10`, each with its number.
pub(super) fn range(text: &str) -> Result<Vec<(String, Canonical)>, String> {
    let canonical = |name: &str| Canonical::try_from(name.to_owned());
    let (first, last) = text.split_once(RANGE).unwrap_or((text, text));
    canonical(first)?;
    canonical(last)?;
    let stem = first.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let number = |name: &str| name.strip_prefix(stem).and_then(|digits| digits.parse::<u8>().ok());
    let (Some(from), Some(to)) = (number(first), number(last)) else {
        return Err(format!("`{text}` is no range such as `sub1{RANGE}sub10`"));
    };
    if from >= to {
        return Err(format!("`{text}` ends before it begins"));
    }
    (from..=to).map(|n| Ok((n.to_string(), canonical(&format!("{stem}{n}"))?))).collect()
}
