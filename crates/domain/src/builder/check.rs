//! Looks at a URL that somebody has pasted together for a platform: is each macro in it one that
//! this platform fills in, here?

use super::Gap;
use crate::macros::{is_instruction, macros_in, nearest};
use crate::partner::Partner;

/// The longest URL that is looked at, in bytes.
pub const CHECKED_BYTES_MAX: usize = 16 * 1024;
/// No more macros of one URL are told of.
const CHECKED_MAX: usize = 200;

/// What a URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A link of ours: the platform sends visitors.
    Click,
    /// A postback URL of ours: the platform calls it.
    Postback,
}

impl Use {
    pub const ALL: [Self; 2] = [Self::Click, Self::Postback];

    pub fn name(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Postback => "postback",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Click => Self::Postback,
            Self::Postback => Self::Click,
        }
    }

    /// What URLs of that use are called.
    fn noun(self) -> &'static str {
        match self {
            Self::Click => "links",
            Self::Postback => "postbacks",
        }
    }

    /// What a URL looks like it is for: our links begin with `/c/`, postback URLs say so, and of any
    /// other path a platform that does only one of both is asked for that.
    pub fn of(partner: &Partner, url: &str) -> Self {
        let path = path_of(url);
        match (partner.contract.is_some(), partner.click.is_empty()) {
            _ if path.starts_with("/c/") => Self::Click,
            _ if path.split('/').any(|part| part == "postback") => Self::Postback,
            (false, false) => Self::Click,
            _ => Self::Postback,
        }
    }
}

/// The path of a URL, without its query.
pub(super) fn path_of(url: &str) -> &str {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = behind_scheme.find(['?', '#']).unwrap_or(behind_scheme.len());
    let whole = &behind_scheme[..end];
    whole.find('/').map_or("", |place| &whole[place..])
}

/// What one macro of a URL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    Recognised,
    /// Nearly one of the platform's.
    Misspelt,
    /// One of the platform's that it fills in elsewhere, and not here.
    Elsewhere,
    /// No macro: what a person was told to replace.
    Gap,
    /// Nothing that is known of this platform.
    Unknown,
}

impl Judged {
    pub const ALL: [Self; 5] =
        [Self::Recognised, Self::Misspelt, Self::Elsewhere, Self::Gap, Self::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            Self::Recognised => "recognised",
            Self::Misspelt => "misspelt",
            Self::Elsewhere => "elsewhere",
            Self::Gap => "gap",
            Self::Unknown => "unknown",
        }
    }
}

/// One macro of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The parameter it stands in; `None`: it stands in the path.
    pub parameter: Option<String>,
    pub text: String,
    pub judged: Judged,
    /// What it is to us.
    pub means: Option<String>,
    /// The right one, where there is a nearest.
    pub nearest: Option<String>,
    pub note: Option<String>,
}

/// A macro of a platform, and what it is to us.
#[derive(Clone, Debug)]
struct Known {
    text: String,
    means: String,
}

fn known(partner: &Partner, of: Use) -> Vec<Known> {
    match of {
        Use::Click => {
            let click = partner.click.iter();
            let one =
                |text: &str, means: &str| Known { text: text.to_owned(), means: means.to_owned() };
            click.map(|parameter| one(&parameter.placeholder, &parameter.name)).collect()
        }
        Use::Postback => {
            let parameters = partner.contract.iter().flat_map(|contract| &contract.parameters);
            let all = parameters.filter_map(|parameter| {
                let text = parameter.placeholder.clone()?;
                Some(Known { text, means: parameter.canonical.to_string() })
            });
            all.collect()
        }
    }
}

/// Whether a text is a whole URL, as it is pasted: with its scheme and host, and without blanks.
pub fn is_url(text: &str) -> bool {
    let is_web = |scheme: &str| ["http", "https"].iter().any(|it| scheme.eq_ignore_ascii_case(it));
    let is_odd = |letter: char| letter.is_whitespace() || letter.is_control();
    text.split_once("://").is_some_and(|(scheme, rest)| {
        is_web(scheme) && !rest.is_empty() && !rest.starts_with(['/', '?', '#'])
    }) && !text.contains(is_odd)
}

/// Every macro that a platform is known to fill in anywhere, the longest first.
pub(super) fn texts(partner: &Partner) -> Vec<&str> {
    let click = partner.click.iter().map(|one| one.placeholder.as_str());
    let parameters = partner.contract.iter().flat_map(|contract| &contract.parameters);
    let called = parameters.filter_map(|one| one.placeholder.as_deref());
    let mut texts: Vec<&str> = click.chain(called).collect();
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    texts
}

/// Judges every macro of `url`, in the order in which they stand.
pub fn check(partner: &Partner, url: &str, of: Use) -> Vec<Checked> {
    let (here, there) = (known(partner, of), known(partner, of.other()));
    let mut checked = Vec::new();
    for (place, text) in macros_in(url, &texts(partner)).into_iter().take(CHECKED_MAX) {
        let parameter = parameter_at(url, place);
        let judged = judge(partner, of, &here, &there, text);
        checked.push(Checked { parameter, ..judged });
    }
    checked
}

fn judge(partner: &Partner, of: Use, here: &[Known], there: &[Known], text: &str) -> Checked {
    let is_it = |one: &&Known| one.text == text;
    let means = |one: &Known| Some(one.means.clone());
    let checked = |judged| Checked {
        parameter: None,
        text: text.to_owned(),
        judged,
        means: None,
        nearest: None,
        note: None,
    };
    if let Some(one) = here.iter().find(is_it) {
        return Checked { means: means(one), ..checked(Judged::Recognised) };
    }
    if is_instruction(text) {
        return fill_in(here, checked(Judged::Gap));
    }
    let names: Vec<&str> = here.iter().map(|one| name_in(&one.text)).collect();
    let near = nearest(name_in(text), names.iter().copied());
    let near = near.and_then(|near| here.iter().find(|one| name_in(&one.text) == near));
    if let Some(one) = there.iter().find(is_it) {
        let same = here.iter().find(|other| stands_for(of, one, other));
        let nouns = (of.other().noun(), of.noun());
        let note = format!("{} fills it in in {}, not in {}", partner.title, nouns.0, nouns.1);
        let right = same.or(near).map(|one| one.text.clone());
        return Checked { nearest: right, note: Some(note), ..checked(Judged::Elsewhere) };
    }
    let note = trap(here, text);
    match near {
        Some(one) => Checked {
            means: means(one),
            nearest: Some(one.text.clone()),
            note,
            ..checked(Judged::Misspelt)
        },
        None => Checked { note, ..checked(Judged::Unknown) },
    }
}

/// What a person has to do about a gap, with the platform's macro for it where there is one.
fn fill_in(here: &[Known], gap: Checked) -> Checked {
    let means = match Gap::parse(&gap.text) {
        Some(Gap::Macro(canonical)) => Some(canonical.to_string()),
        Some(Gap::Campaign | Gap::Token) | None => None,
    };
    let advice = match Gap::parse(&gap.text) {
        Some(own) => own.advice(),
        None => "fill in what it stands for".to_owned(),
    };
    let known = here.iter().find(|one| Some(&one.means) == means.as_ref());
    Checked { nearest: known.map(|one| one.text.clone()), means, note: Some(advice), ..gap }
}

/// Whether what a platform fills in there for one thing has its like here: its id of the click
/// goes out in links, and ours comes back in postbacks.
fn stands_for(of: Use, there: &Known, here: &Known) -> bool {
    let (ours, theirs) = ("click_id", "external_id");
    match of {
        Use::Postback => there.means == theirs && here.means == ours,
        Use::Click => there.means == ours && here.means == theirs,
    }
}

/// What is known to go wrong with macros that look so.
fn trap(here: &[Known], text: &str) -> Option<String> {
    let has = |start: &str, end: &str| {
        here.iter().any(|one| one.text.starts_with(start) && one.text.ends_with(end))
    };
    let is_underscored =
        text.starts_with('_') && !text.starts_with("__") && !text.starts_with("_~");
    if is_underscored && has("__", "__") {
        return Some("this platform's macros have two underscores on each side".to_owned());
    }
    if text.starts_with('#') && !text.starts_with("#{") && !has("#", "#") {
        let note = "macros between # are of other platforms; here a # ends the URL, and what \
                    follows it never reaches the server";
        return Some(note.to_owned());
    }
    let is_single = |text: &str| text.starts_with('{') && !text.starts_with("{{");
    let has_single = here.iter().any(|one| is_single(&one.text));
    if text.starts_with("{{") && !has("{{", "}}") && has_single {
        return Some("this platform's macros have one brace on each side".to_owned());
    }
    if is_single(text) && has("{{", "}}") && !has_single {
        return Some("this platform's macros have two braces on each side".to_owned());
    }
    None
}

/// A macro without what stands around its name.
fn name_in(text: &str) -> &str {
    text.trim_matches(|letter: char| !letter.is_ascii_alphanumeric())
}

/// The name of the parameter that a place in a URL belongs to.
fn parameter_at(url: &str, place: usize) -> Option<String> {
    let before = &url[..place];
    let start = before.rfind(['?', '&'])? + 1;
    let name = before[start..].split('=').next().unwrap_or_default();
    Some(name.to_owned())
}
