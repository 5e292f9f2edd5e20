//! The source itself: what STYLE.md asks for and no lint sees.

use domain::reason::Reason;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of modules that explain nothing.
const BANNED_NAMES: [&str; 7] = ["utils", "common", "helpers", "core", "models", "manager", "misc"];
/// A longer file becomes a folder.
const LINES_MAX: usize = 600;
/// What has no place in a finished change: notes to oneself, silenced lints and tests, and the
/// folders of somebody's own machine.
const BANNED_TEXTS: [&str; 9] =
    ["FIXME", "TODO", "dbg!(", "#[allow(", "#![allow(", "#[ignore", "/home/", "/Users/", "/root/"];

/// A file of the repository.
struct Source {
    /// From the repository's root.
    path: PathBuf,
    text: String,
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|other| other == extension)
    }

    /// The part of a file of Rust that is compiled for tests alone.
    fn tests(&self) -> &str {
        let is_test = |name: &std::ffi::OsStr| name == "tests" || name == "tests.rs";
        match self.text.find("#[cfg(test)]\nmod tests {") {
            _ if self.path.iter().any(is_test) => &self.text,
            Some(begin) => &self.text[begin..],
            None => "",
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Everything that people write, but for this file, which names what it bans.
fn sources() -> Vec<Source> {
    let root = root();
    let mut waiting: Vec<_> = ["crates", "docs", "partners"].map(|dir| root.join(dir)).into();
    let tops = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    waiting
        .extend(tops.filter(|path| path.extension().is_some_and(|it| it == "md" || it == "toml")));
    let mut sources = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.ends_with("tests/it/tidy.rs")
            // What is not text is nobody's style.
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(&root).unwrap().to_owned();
            sources.push(Source { path, text });
        }
    }
    assert!(sources.iter().filter(|source| source.is("rs")).count() > 100, "{}", root.display());
    sources
}

/// Each source that something is wrong with, and what.
fn none(wrong: impl Fn(&Source) -> Option<String>) {
    let found = |source: &Source| Some(format!("{}: {}", source.path.display(), wrong(source)?));
    let all: Vec<_> = sources().iter().filter_map(found).collect();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn no_module_has_a_name_that_explains_nothing() {
    none(|source| {
        let mut names = source.path.iter().filter_map(|part| part.to_str()?.split('.').next());
        names.find(|name| BANNED_NAMES.contains(name)).map(|name| format!("`{name}` says nothing"))
    });
}

#[test]
fn no_file_is_too_long_and_each_says_what_it_is_for() {
    none(|source| {
        let lines = source.text.lines().count();
        match source.is("rs") {
            true if lines > LINES_MAX => Some(format!("{lines} lines are more than {LINES_MAX}")),
            true if !source.text.starts_with("//! ") => Some("it opens without //!".to_owned()),
            _ => None,
        }
    });
}

#[test]
fn nothing_is_left_undone_silenced_or_tied_to_one_machine() {
    none(|source| {
        let found = BANNED_TEXTS.iter().find(|text| source.text.contains(*text))?;
        Some(format!("it has {found}"))
    });
}

#[test]
fn tests_wait_for_conditions_and_do_not_sleep() {
    none(|source| {
        let found = source.is("rs") && source.tests().contains("sleep(");
        found.then(|| "a test sleeps".to_owned())
    });
}

#[test]
fn every_reason_has_a_page_and_a_test() {
    let sources = sources();
    for reason in Reason::ALL {
        let name = reason.name();
        let page = Path::new("docs/reasons").join(name).with_extension("md");
        assert!(sources.iter().any(|source| source.path == page), "{name} has no page");
        let variant = format!("Reason::{reason:?}");
        let has =
            |source: &Source| source.tests().contains(name) || source.tests().contains(&variant);
        let is_tested = sources.iter().filter(|source| source.is("rs")).any(has);
        assert!(is_tested, "{name} is in no test");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = root();
    none(|source| {
        let dir = root.join(&source.path).parent()?.to_owned();
        let leads = |link: &str| {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => root.join(&source.path),
                file if dir.join(file).exists() => dir.join(file),
                file => root.join(file),
            };
            let text = fs::read_to_string(&path).unwrap_or_default();
            path.exists()
                && (heading.is_empty() || text.lines().any(|line| anchor(line) == heading))
        };
        let links = if source.is("md") { links(&source.text) } else { Vec::new() };
        let dead = links.into_iter().find(|link| !leads(link))?;
        Some(format!("{dead} leads nowhere"))
    });
}

/// Where a document points to within the repository: by a link, or by a document's name in quotes.
fn links(text: &str) -> Vec<&str> {
    let linked = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let inside = linked.filter(|link| !link.contains("://"));
    let is_document = |quoted: &&str| {
        let is_md = Path::new(quoted).extension().is_some_and(|extension| extension == "md");
        is_md && !quoted.contains(char::is_whitespace)
    };
    inside.chain(text.split('`').filter(is_document)).collect()
}

/// What a heading is linked by.
fn anchor(line: &str) -> String {
    let Some(heading) = line.strip_prefix('#') else { return String::new() };
    let kept = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    heading.chars().filter(kept).collect::<String>().replace(' ', "-")
}
