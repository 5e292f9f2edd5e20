//! The catalogue: how known platforms speak, one TOML file each, built into the program.
//!
//! The files are `partners/*.toml`; `docs/partners.md` has their format. A file that does not read
//! is a mistake of this build, not of an operator, so a test reads them all. An operator's own
//! files are read from a folder, by `counterfoil partners --dir`.

mod family;
mod fixture;
mod lint;
mod place;
mod reader;

#[cfg(test)]
mod tests;

pub(crate) use place::{FILE_BYTES_MAX, Fault};
pub(crate) use reader::Entry;

use domain::command::OWN_PARTNER;
use domain::integration::Scope;
use domain::partner::Partner;
use domain::setup::Setup;
use place::Texts;
use std::sync::OnceLock;

/// Every file of `partners/`, by its name.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/partners.rs"));

/// All partners of this build, in the order of their names.
pub(crate) fn partners() -> Vec<Partner> {
    // They are asked for again and again by tests and benches, and are always the same.
    static PARTNERS: OnceLock<Vec<Partner>> = OnceLock::new();
    let read = || {
        let Catalogue { entries, faults, .. } = Catalogue::built_in();
        assert!(faults.is_empty(), "a test reads every file of the catalogue: {faults:?}");
        entries.into_iter().map(|entry| entry.partner).collect()
    };
    PARTNERS.get_or_init(read).clone()
}

/// How large the partners of one command may be as JSON, in bytes: a journal record takes a
/// whole command, and small segments take no large ones.
const LOAD_BYTES_MAX: usize = 64 * 1024;

/// The commands' worth of partners that a setup does not have yet, or has otherwise. Where there
/// is no global integration, our own contract's partner is among them: it comes with one.
pub(crate) fn loads(setup: &Setup, partners: Vec<Partner>) -> Vec<Vec<Partner>> {
    let has_global = setup.integrations_of(Scope::Global).next().is_some();
    let is_news = |partner: &Partner| {
        setup.partner(&partner.name) != Some(partner) || !has_global && partner.name == OWN_PARTNER
    };
    let mut loads: Vec<Vec<Partner>> = Vec::new();
    let mut bytes = 0;
    for partner in partners.into_iter().filter(is_news) {
        let own = serde_json::to_vec(&partner).map_or(0, |json| json.len());
        match loads.last_mut() {
            Some(load) if bytes + own <= LOAD_BYTES_MAX => {
                load.push(partner);
                bytes += own;
            }
            _ => {
                loads.push(vec![partner]);
                bytes = own;
            }
        }
    }
    loads
}

/// Files that were read together.
#[derive(Debug)]
pub(crate) struct Catalogue<'a> {
    /// Those that read, in the order of their names.
    pub(crate) entries: Vec<Entry<'a>>,
    /// Of those that do not.
    pub(crate) faults: Vec<Fault>,
    texts: Texts<'a>,
    /// The files of this build, where these are others.
    beside: &'static [(&'static str, &'static str)],
}

impl Catalogue<'static> {
    /// The files of this build.
    pub(crate) fn built_in() -> Self {
        Self::read(FILES.iter().copied(), &[])
    }
}

impl<'a> Catalogue<'a> {
    /// An operator's own files. They may extend those of this build.
    pub(crate) fn of_folder(files: &'a [(String, String)]) -> Self {
        let files = files.iter().map(|(file, text)| (file.as_str(), text.as_str()));
        Self { beside: FILES, ..Self::read(files, FILES) }
    }

    /// Reads files, given by their names and contents. They may extend each other, and
    /// `families`, which are not looked at for themselves.
    pub(crate) fn read(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        families: &[(&'a str, &'a str)],
    ) -> Self {
        let files: Vec<(&str, &str)> = files.into_iter().collect();
        let count = files.len();
        let is_other = |family: &&(&str, &str)| files.iter().all(|(file, _)| *file != family.0);
        let others: Vec<(&str, &str)> = families.iter().filter(is_other).copied().collect();
        let texts = Texts::of(files.into_iter().chain(others));
        let (mut entries, mut faults) = (Vec::new(), Vec::new());
        for text in &texts.all()[..count] {
            match reader::read(&texts, *text) {
                Ok(entry) => entries.push(entry),
                // One mistake of a family is all its members'.
                Err(fault) if faults.contains(&fault) => {}
                Err(fault) => faults.push(fault),
            }
        }
        entries.sort_by(|one, other| one.partner.name.cmp(&other.partner.name));
        Self { entries, faults, texts, beside: &[] }
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.partner.name == name)
    }

    /// What is wrong with an entry beyond what keeps it from being read.
    pub(crate) fn lint(&self, entry: &Entry<'_>) -> Vec<Fault> {
        lint::lint(&self.texts, entry)
    }

    /// What is wrong with the entries beside each other, and beside those of this build.
    pub(crate) fn lint_together(&self) -> Vec<Fault> {
        let mut faults = lint::same_titles(&self.texts, &self.entries);
        if !self.beside.is_empty() {
            let is_copy = |entry: &&Entry<'_>| {
                let text = self.texts.of_name(&entry.partner.name);
                text.is_some_and(|text| self.beside.contains(&(text.file, text.content)))
            };
            let own = self.entries.iter().filter(|entry| !is_copy(entry));
            faults.extend(lint::like_built_in(&self.texts, own, &partners()));
        }
        faults
    }

    /// Tries an entry's fixtures; what does not come out as it should.
    pub(crate) fn try_fixtures(&self, entry: &Entry<'_>) -> Vec<Fault> {
        entry.try_fixtures(&self.texts)
    }
}
