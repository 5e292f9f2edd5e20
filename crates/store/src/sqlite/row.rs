//! How domain values stand in columns.

use super::FILE;
use crate::Error;
use domain::click::{Label, Labels};
use domain::click_id::ClickId;
use rusqlite::Row;

/// The columns of a click's labels, in the order of [`Label::ALL`].
pub(super) const LABEL_COLUMNS: &str =
    "sub1, sub2, sub3, sub4, sub5, sub6, sub7, sub8, sub9, sub10, source, creative, placement";

/// How many there are.
pub(super) const LABELS: usize = Label::ALL.len();

/// `?1, ?2, …`, for rows too wide to name each value twice.
pub(super) fn marks(count: usize) -> String {
    (1..=count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn labels(row: &Row<'_>) -> rusqlite::Result<Labels<'static>> {
    let mut labels = Labels::default();
    for label in Label::ALL {
        if let Some(value) = row.get::<_, Option<String>>(label.name())? {
            labels.set(label, value);
        }
    }
    Ok(labels)
}

pub(super) fn click_id(row: &Row<'_>) -> rusqlite::Result<Option<ClickId>> {
    Ok(row.get::<_, Option<[u8; 16]>>("click_id")?.map(ClickId::from_bytes))
}

/// A word that this release stored and should know.
pub(crate) fn word<T>(
    row: &Row<'_>,
    column: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, Error> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| Error::Corrupt {
        place: FILE.to_owned(),
        detail: format!("column {column}: `{text}` is not a word this release knows"),
    })
}

/// The same where the column may be null.
pub(super) fn optional_word<T>(
    row: &Row<'_>,
    column: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    match row.get::<_, Option<String>>(column)? {
        None => Ok(None),
        Some(_) => word(row, column, read).map(Some),
    }
}

/// SQLite's integers are signed; positions and ids never reach 2⁶³.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
