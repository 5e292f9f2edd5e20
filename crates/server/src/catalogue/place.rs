//! Where something stands in the files of the catalogue, for complaints.
//!
//! An entry may be made of several files, one extending another. So each file has a stretch of
//! numbers of its own, and a span says by itself which file it is of.

use std::fmt;
use std::ops::Range;

/// The longest a file may be, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 64 * 1024;

/// A file as it was handed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    /// Such as `affise.toml`.
    pub(super) file: &'a str,
    pub(super) content: &'a str,
    /// The number of its first byte.
    pub(super) base: usize,
}

/// All files that are read together.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts<'a> {
    all: Vec<Text<'a>>,
}

impl<'a> Texts<'a> {
    pub(super) fn of(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut base = 0;
        let mut all = Vec::new();
        for (file, text) in files {
            all.push(Text { file, content: text, base });
            base += text.len() + 1;
        }
        Self { all }
    }

    pub(super) fn all(&self) -> &[Text<'a>] {
        &self.all
    }

    /// The file of that name.
    pub(super) fn of_name(&self, name: &str) -> Option<Text<'a>> {
        let is_it = |text: &&Text<'a>| text.file.strip_suffix(".toml") == Some(name);
        self.all.iter().find(is_it).copied()
    }

    /// A complaint about what stands there.
    pub(super) fn fault(&self, span: &Range<usize>, detail: impl Into<String>) -> Fault {
        let detail = detail.into();
        let after = self.all.partition_point(|text| text.base <= span.start);
        let Some(text) = after.checked_sub(1).and_then(|place| self.all.get(place)) else {
            return Fault { file: String::new(), line: 1, key: String::new(), detail };
        };
        let before = text.content.get(..span.start - text.base).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let content = text.content.lines().nth(line - 1).unwrap_or_default();
        let key = content.split('=').next().unwrap_or_default();
        let key: String = key.trim().trim_matches(['[', ']']).chars().take(KEY_CHARS_MAX).collect();
        Fault { file: text.file.to_owned(), line, key, detail }
    }
}

impl Fault {
    /// The same about a key that stands elsewhere: a list may begin on a line before.
    pub(super) fn about(self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self }
    }
}

/// No more of a line is repeated.
const KEY_CHARS_MAX: usize = 60;

/// What is wrong with a file of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) file: String,
    /// From 1 on.
    pub(crate) line: usize,
    /// What stands before the line's `=`, or the table it opens; empty: it is about no one key.
    pub(crate) key: String,
    pub(crate) detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.detail)
    }
}
