//! What an entry of the catalogue must be beyond what can be read: honest, and safe to hand out.

use super::fixture;
use super::place::{Fault, Texts};
use super::reader::Entry;
use domain::contract::{Canonical, Contract, Parameter};
use domain::macros;
use domain::outbound::{Field, Outbound, Syntax, Template};
use domain::partner::{Confidence, Partner};
use std::collections::BTreeMap;
use std::ops::Range;

/// Paths that are our own, or begin so.
const OUR_PATHS: [&str; 8] =
    ["/c", "/api/v1", "/receipts", "/healthz", "/readyz", "/metrics", "/contracts", "/assets"];
/// Paths that every partner may name: they are always served, by key or by click id.
const ALWAYS_SERVED: [&str; 4] = ["/postback", "/{key}/postback", "/postback/{key}", "/postback/"];
/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 200;
/// What a guide says in place of a value, and nobody may hand out.
const INSTRUCTION: &str = "REPLACE";

/// Everything that is wrong with an entry that reads.
pub(super) fn lint(texts: &Texts<'_>, entry: &Entry<'_>) -> Vec<Fault> {
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    sources(entry, &mut found);
    paths(entry, &mut found);
    if let Some(contract) = &entry.partner.contract {
        macros_come_back(entry, contract, &mut found);
        signature(entry, contract, &mut found);
        if entry.fixtures.is_empty() {
            let detail = "a contract has a fixture at least: a request as the platform sends it";
            found.push((entry.place_of("contract"), detail.to_owned()));
        }
    }
    if let Some(outbound) = &entry.partner.outbound {
        outbound_rules(entry, outbound, &mut found);
    }
    instructions(entry, &mut found);
    let found = found.into_iter().map(|(span, detail)| texts.fault(&span, detail));
    let odd = entry.odd_items().into_iter();
    found.chain(odd.map(|(key, span, detail)| texts.fault(&span, detail).about(&key))).collect()
}

/// Two entries that people could not tell apart.
pub(super) fn same_titles(texts: &Texts<'_>, entries: &[Entry<'_>]) -> Vec<Fault> {
    let mut titles: BTreeMap<String, &str> = BTreeMap::new();
    let mut faults = Vec::new();
    for entry in entries {
        let name = entry.partner.name.as_str();
        if let Some(other) = titles.insert(entry.partner.title.to_lowercase(), name) {
            let detail = format!("`{other}` has the same title");
            faults.push(texts.fault(&entry.place_of("title"), detail));
        }
    }
    faults
}

/// Entries that people could not tell from one of this build.
pub(super) fn like_built_in<'e>(
    texts: &Texts<'_>,
    entries: impl Iterator<Item = &'e Entry<'e>>,
    built_in: &[Partner],
) -> Vec<Fault> {
    let fault = |entry: &Entry<'_>| {
        let Partner { name, title, .. } = &entry.partner;
        if built_in.iter().any(|one| one.name == *name) {
            let detail = format!("another name: `{name}` is an entry of this build");
            return Some(texts.fault(&entry.place_of("name"), detail));
        }
        let title = title.to_lowercase();
        let other = built_in.iter().find(|one| one.title.to_lowercase() == title)?;
        let detail = format!("`{}` of this build has the same title", other.name);
        Some(texts.fault(&entry.place_of("title"), detail))
    };
    entries.filter_map(fault).collect()
}

fn sources(entry: &Entry<'_>, found: &mut Vec<(Range<usize>, String)>) {
    let partner = &entry.partner;
    let mut add = |key: &str, detail: &str| found.push((entry.place_of(key), detail.to_owned()));
    if partner.sources.is_empty() {
        add("sources", "at least one: a title, or a title and its URL");
    }
    if partner.sources.iter().any(|source| source.starts_with("http")) {
        add("sources", "a title before the URL: `Platform: title, https://example.com/guide`");
    }
    let is_date = partner
        .source_on
        .parse::<jiff::civil::Date>()
        .is_ok_and(|date| date.to_string() == partner.source_on);
    if !is_date {
        add("source_on", "a date such as 2026-11-20");
    }
    if partner.confidence == Some(Confidence::C) && partner.notes.is_empty() {
        add("confidence", "what is known from code alone needs `notes` that say so");
    }
    let is_noted = partner.notes.iter().any(|note| note.to_lowercase().contains("http"));
    let outbound = partner.outbound.as_ref();
    if outbound.is_some_and(|outbound| outbound.url.starts_with("http://")) && !is_noted {
        add("outbound.url", "https; where the platform has no more than http, `notes` say so");
    }
    if partner.contract.is_none() && partner.outbound.is_none() && partner.click.is_empty() {
        add("name", "it has no contract, no outbound URL and no click parameters");
    }
}

fn paths(entry: &Entry<'_>, found: &mut Vec<(Range<usize>, String)>) {
    for path in &entry.partner.paths {
        let mut add = |detail: String| found.push((entry.place_of("paths"), detail));
        if ALWAYS_SERVED.contains(&path.as_str()) {
            continue;
        }
        let is_ours = |own: &str| {
            path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(own) = OUR_PATHS.into_iter().find(|own| is_ours(own)) {
            add(format!("`{path}` would stand in the way of our own `{own}`"));
        }
        if path.starts_with("/postback/") || path.ends_with("/postback") {
            add(format!("`{path}` would be taken for one with a key in it"));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        let is_path = path.bytes().all(is_plain) && !path.contains("//") && path.len() > 1;
        if !is_path || path.len() > PATH_BYTES_MAX {
            add(format!("`{path}` is no path such as /click.php, without query"));
        }
    }
}

/// What comes back as it is must be seen to be no value.
fn macros_come_back(
    entry: &Entry<'_>,
    contract: &Contract,
    found: &mut Vec<(Range<usize>, String)>,
) {
    let is_noted = entry.partner.notes.iter().any(|note| note.to_lowercase().contains("macro"));
    for (place, parameter) in contract.parameters.iter().enumerate() {
        let span = entry.parameter(place);
        let canonical = parameter.canonical;
        match &parameter.placeholder {
            Some(_) if parameter.in_header => {
                found.push((span, format!("`{canonical}` is a header: it has no macro")));
            }
            Some(text) if !macros::is_unreplaced(text, &contract.unreplaced) => {
                let detail = format!(
                    "the macro of `{canonical}`, `{text}`, would be taken for a value when it \
                     comes back as it is: put it into `unreplaced`"
                );
                found.push((span, detail));
            }
            None if is_left_open(contract, parameter) && !is_noted => {
                let detail = format!(
                    "`{canonical}` must be sent, is not `appended` and has no macro: where nobody \
                     knows it, `notes` say so"
                );
                found.push((span, detail));
            }
            Some(_) | None => {}
        }
    }
}

/// Whether a URL of the contract needs it, and nothing says what is to stand there. Some are
/// filled in by us, or handed over by a way of their own.
fn is_left_open(contract: &Contract, parameter: &Parameter) -> bool {
    let canonical = parameter.canonical;
    let is_ours_to_fill = canonical == Canonical::CampaignId || canonical.is_secret();
    let is_needed = parameter.required || parameter.in_url;
    let is_elsewhere = parameter.in_header || parameter.appended || contract.signs_bodies();
    is_needed && !is_elsewhere && !is_ours_to_fill
}

fn signature(entry: &Entry<'_>, contract: &Contract, found: &mut Vec<(Range<usize>, String)>) {
    if contract.verification.signature.is_some() && fixture::vectors(entry).next().is_none() {
        let detail = "a signature needs a fixture that it verifies, with its `secret`, and with a \
                      `vector` that says by what other program it was computed";
        found.push((entry.place_of("contract.verification.signature"), detail.to_owned()));
    }
}

fn outbound_rules(entry: &Entry<'_>, outbound: &Outbound, found: &mut Vec<(Range<usize>, String)>) {
    let mut add = |key: &str, detail: &str| found.push((entry.place_of(key), detail.to_owned()));
    if entry.called.is_empty() {
        add("outbound", "a URL that we call has a fixture at least");
    }
    let judges = outbound.success.is_some() || !outbound.failure.is_empty();
    if judges && entry.answered.is_empty() {
        add("outbound", "what an answer means has at least one of `outbound.answers`");
    }
    let syntax = Syntax::of(outbound.content_type.as_deref().unwrap_or_default());
    let url = Template::parse(&outbound.url, Syntax::Url).ok();
    let body = outbound.body.as_deref().and_then(|body| Template::parse(body, syntax).ok());
    let mut fields = url.iter().chain(&body).flat_map(Template::fields);
    if !fields.any(|field| *field == Field::ExternalId) {
        add("outbound.url", "without {external_id} the platform cannot know which click it was");
    }
}

fn instructions(entry: &Entry<'_>, found: &mut Vec<(Range<usize>, String)>) {
    let partner = &entry.partner;
    let mut check = |key: &str, text: &str| {
        if text.contains(INSTRUCTION) {
            let detail = format!("`{INSTRUCTION}` is for a person to replace: {text}");
            found.push((entry.place_of(key), detail));
        }
    };
    for parameter in partner.contract.iter().flat_map(|contract| &contract.parameters) {
        check("contract.parameters", parameter.placeholder.as_deref().unwrap_or_default());
    }
    for parameter in &partner.click {
        check("click", &parameter.placeholder);
    }
    check("landing_params", partner.landing_params.as_deref().unwrap_or_default());
    if let Some(outbound) = &partner.outbound {
        check("outbound.url", &outbound.url);
        check("outbound.body", outbound.body.as_deref().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue::{Catalogue, FILES};

    fn told(file: &str, text: &str) -> String {
        let files = [(file.to_owned(), text.to_owned())];
        let catalogue = Catalogue::of_folder(&files);
        assert_eq!((&catalogue.faults[..], catalogue.entries.len()), (&[][..], 1), "{file}");
        let faults = catalogue.lint_together();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_file_of_ones_own_is_told_from_those_of_this_build() {
        let mine = |name: &str, title: &str| {
            let text = format!("name = \"{name}\"\ntitle = \"{title}\"\nextends = \"voluum\"\n");
            told(&format!("{name}.toml"), &text)
        };
        assert_eq!(mine("mine", "Mine"), "");
        let named = "affise.toml:1: name: another name: `affise` is an entry of this build";
        assert_eq!(mine("affise", "Mine"), named);
        assert_eq!(mine("affise", "Affise"), named, "one complaint is enough");
        let titled = "mine.toml:2: title: `affise` of this build has the same title";
        assert_eq!(mine("mine", "AFFISE"), titled);
        let (file, text) = FILES.iter().find(|(file, _)| *file == "affise.toml").unwrap();
        assert_eq!(told(file, text), "", "a copy is no other entry");
        assert_eq!(told(file, &format!("{text}\n# mine\n")).lines().count(), 1);
    }
}
