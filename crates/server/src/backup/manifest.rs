//! The list of a backup's files with their lengths and hashes: a file without checksums of its
//! own, such as a key, cannot rot unnoticed either.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The file it is kept in.
const NAME: &str = "backup.json";
/// The version of this format; a later one is refused.
const VERSION: u32 = 1;
/// What is read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// What a backup consists of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    /// Of the program that made it.
    release: String,
    /// By path within the backup, with `/`.
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    bytes: u64,
    /// In hex.
    sha256: String,
}

impl Manifest {
    /// Of everything that is in `dir` now.
    pub(super) fn of(dir: &Path) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        walk(dir, "", &mut files)?;
        files.remove(NAME);
        let release = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self { version: VERSION, release, files })
    }

    pub(super) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("plain data");
        let path = dir.join(NAME);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        super::copy::sync(&path)?;
        super::copy::sync_dirs(dir)
    }

    pub(super) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(NAME);
        let text = std::fs::read(&path)
            .with_context(|| format!("{} is no backup: it has no {NAME}", dir.display()))?;
        let manifest: Self =
            serde_json::from_slice(&text).with_context(|| format!("{NAME} does not read"))?;
        if manifest.version > VERSION {
            bail!("the backup was made by release {}: restore with that", manifest.release);
        }
        if let Some(name) = manifest.files.keys().find(|name| !is_within(name)) {
            bail!("{NAME} lists {name}, which is not within the backup");
        }
        Ok(manifest)
    }

    /// Whether `dir` has each of the files as it was; an error names the first that is not so.
    pub(super) fn check(&self, dir: &Path) -> anyhow::Result<()> {
        for (name, expected) in &self.files {
            let found = entry(&dir.join(name)).with_context(|| format!("{name} does not read"))?;
            if found != *expected {
                bail!("{name} is not as it was backed up");
            }
        }
        Ok(())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(super) fn files(&self) -> u64 {
        self.files.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

/// A path that leads nowhere else.
fn is_within(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn walk(dir: &Path, before: &str, files: &mut BTreeMap<String, Entry>) -> anyhow::Result<()> {
    for found in std::fs::read_dir(dir)? {
        let found = found?;
        let own = found.file_name();
        let own = own.to_str().context("a file's name is not UTF-8")?;
        let name = if before.is_empty() { own.to_owned() } else { format!("{before}/{own}") };
        if found.file_type()?.is_dir() {
            walk(&found.path(), &name, files)?;
        } else {
            let entry = entry(&found.path()).with_context(|| format!("{name} does not read"))?;
            files.insert(name, entry);
        }
    }
    Ok(())
}

fn entry(path: &Path) -> std::io::Result<Entry> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut block)? {
            0 => break,
            read => {
                bytes += read as u64;
                hash.update(&block[..read]);
            }
        }
    }
    Ok(Entry { bytes, sha256: crate::keys::hex(&hash.finalize()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_and_one_missing_file_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("keys")).unwrap();
        let key = dir.path().join("keys/a.key");
        std::fs::write(&key, "secret").unwrap();
        std::fs::write(dir.path().join("b"), "other").unwrap();
        Manifest::of(dir.path()).unwrap().write(dir.path()).unwrap();
        let manifest = Manifest::read(dir.path()).unwrap();
        assert_eq!(manifest.names().collect::<Vec<_>>(), ["b", "keys/a.key"]);
        assert_eq!((manifest.files(), manifest.bytes()), (2, 11));
        manifest.check(dir.path()).unwrap();
        std::fs::write(&key, "sEcret").unwrap();
        let error = manifest.check(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "keys/a.key is not as it was backed up");
        std::fs::remove_file(&key).unwrap();
        assert!(manifest.check(dir.path()).is_err());
    }

    #[test]
    fn a_list_that_leads_elsewhere_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Manifest::read(dir.path()).is_err(), "no list is no backup");
        for name in ["../x", "/etc/x", "a/../../x", "", "a//b", "./a"] {
            let entry = Entry { bytes: 0, sha256: String::new() };
            let files = BTreeMap::from([(name.to_owned(), entry)]);
            let manifest = Manifest { version: VERSION, release: "1".to_owned(), files };
            manifest.write(dir.path()).unwrap();
            assert!(Manifest::read(dir.path()).is_err(), "{name}");
        }
        let manifest = Manifest { version: 2, release: "9".to_owned(), files: BTreeMap::new() };
        manifest.write(dir.path()).unwrap();
        let error = Manifest::read(dir.path()).unwrap_err();
        assert!(error.to_string().contains("release 9"));
    }
}
