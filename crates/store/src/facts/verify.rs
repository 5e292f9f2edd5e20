//! Checks a directory of facts without changing it.
//!
//! What the files' own reader takes on trust is looked at here: that no position is missing
//! between files, that every page's checksum is right and decodes, that rows are in order and
//! hold positions of their file. The `parquet` crate decodes each column once more, as another
//! reader would.

use super::folder::{Folder, Kind, Name, OF_ANOTHER_JOURNAL, is_temporary, standing};
use super::layout::{CLICK, Form, Layout, click};
use super::table::{Blob, PageAt, Reading, Table};
use super::value::{self, Values};
use super::{Error, JournalId};
use crate::disk::Disk;
use domain::click_id::ClickId;
use domain::id::Position;
use parquet::basic::Type as Physical;
use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// How many values the other reader decodes at once.
const BATCH: usize = 4_096;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    pub detail: String,
}

/// A row that stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    pub kind: Kind,
    pub position: Position,
    /// The click's; hits have none.
    pub click_id: Option<ClickId>,
}

/// Checks the facts in `dir`, and hands each row to `each`, so that the caller can hold it
/// against journal and ledger: clicks in the order of their ids within a file, hits in that of
/// their positions. What is not there is not checked; no problem is an empty answer.
pub fn verify(disk: &dyn Disk, dir: &Path, each: &mut dyn FnMut(Fact)) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut journal = None;
    for folder in [Folder::clicks(dir, None), Folder::hits(dir, None)] {
        let (journal, problems) = (&mut journal, &mut problems);
        Check { disk, folder: &folder, journal, problems }.folder(each);
    }
    problems
}

struct Check<'c> {
    disk: &'c dyn Disk,
    folder: &'c Folder,
    /// That of the first file: there is one for all.
    journal: &'c mut Option<JournalId>,
    problems: &'c mut Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, path: &Path, detail: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), detail: detail.into() });
    }

    fn folder(&mut self, each: &mut dyn FnMut(Fact)) {
        let dir = self.folder.dir().to_owned();
        let names = match self.disk.list(&dir) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.report(&dir, error.to_string()),
        };
        let parsed: BTreeSet<_> = names.iter().filter_map(|name| Name::parse(name)).collect();
        for name in &names {
            // An unfinished file is what a crash may leave, and is removed at the next start.
            if Name::parse(name).is_none() && !is_temporary(name) {
                self.report(&dir.join(name), "this is no file of ours");
            }
        }
        let all: Vec<_> = parsed.iter().copied().collect();
        let kept = match standing(&all) {
            Ok(kept) => kept,
            Err(detail) => return self.report(&dir, detail),
        };
        for name in kept {
            let personal = Name { is_personal: true, ..name };
            let positions = self.file(name, self.folder.layout, each);
            if parsed.contains(&personal) {
                let known = self.file(personal, self.folder.personal, &mut |_| {});
                if let (Some(positions), Some(known)) = (positions, known) {
                    self.compare(&dir.join(personal.file_name()), &positions, &known);
                }
            }
        }
    }

    /// Each row of a sidecar belongs to one of its file.
    fn compare(&mut self, path: &Path, positions: &[u64], known: &[u64]) {
        let strangers =
            known.iter().filter(|position| positions.binary_search(position).is_err()).count();
        if strangers > 0 {
            self.report(path, format!("{strangers} of its rows are not in the file beside it"));
        }
    }

    /// Checks one file; answers its positions in order, where it is whole.
    fn file(
        &mut self,
        name: Name,
        layout: &'static Layout,
        each: &mut dyn FnMut(Fact),
    ) -> Option<Vec<u64>> {
        let path = self.folder.dir().join(name.file_name());
        let before = self.problems.len();
        let table = match Table::open(self.disk, &path, layout) {
            Ok(table) => table,
            Err(error) => {
                self.failed(&path, error);
                return None;
            }
        };
        if (table.span.from, table.span.to) != (name.from, name.to) {
            self.report(&path, "its footer has other positions than its name");
        }
        if *self.journal.get_or_insert(table.span.journal) != table.span.journal {
            self.report(&path, OF_ANOTHER_JOURNAL);
        }
        let mut positions = Vec::new();
        let mut rows = Rows { before: None, positions: &mut positions, each };
        let details = match table.read(self.disk) {
            Ok(reading) => rows.check(&table, reading),
            Err(error) => vec![error.to_string()],
        };
        for detail in details {
            self.report(&path, detail);
        }
        positions.sort_unstable();
        if !positions.windows(2).all(|pair| pair[0] < pair[1]) {
            self.report(&path, "a position occurs twice");
        }
        // Only what has its checksums is shown to the other reader, which trusts more.
        if self.problems.len() == before
            && let Err(error) = decode_all(self.disk, &path)
        {
            self.report(&path, error.to_string());
        }
        (self.problems.len() == before).then_some(positions)
    }

    fn failed(&mut self, path: &Path, error: Error) {
        match error {
            Error::Corrupt { detail, .. } => self.report(path, detail),
            Error::Io { source, .. } => self.report(path, source.to_string()),
            other => self.report(path, other.to_string()),
        }
    }
}

/// The rows of a file, checked in order.
struct Rows<'r> {
    /// The key and position of the row before.
    before: Option<(u128, u64)>,
    positions: &'r mut Vec<u64>,
    each: &'r mut dyn FnMut(Fact),
}

impl Rows<'_> {
    /// Reads every page of every column; what is wrong, in words.
    fn check(&mut self, table: &Table, mut reading: Reading<'_>) -> Vec<String> {
        let mut details = Vec::new();
        for group in 0..table.index.groups.len() {
            let pages = table.index.groups[group].rows.div_ceil(table.layout.page_rows);
            for page in 0..pages {
                let at = PageAt { group, page };
                if let Err(error) = self.page(table, &mut reading, at) {
                    match error {
                        Error::Corrupt { detail, .. } => details.push(detail),
                        other => details.push(other.to_string()),
                    }
                }
            }
        }
        details
    }

    fn page(&mut self, table: &Table, reading: &mut Reading<'_>, at: PageAt) -> Result<(), Error> {
        let (mut keys, mut positions) = (Vec::new(), Vec::new());
        for (column, spec) in table.layout.columns[..table.columns].iter().enumerate() {
            let words = match table.is_coded(at.group, column) {
                true => reading.words(at.group, column)?.len(),
                false => 0,
            };
            let values =
                reading.page(at, column, |page| value::read_all(page, spec.form, words))?;
            match values {
                Values::Fixed { bytes, .. } if column == click::ID && spec.form == Form::Id => {
                    keys = bytes.as_chunks::<16>().0.to_vec();
                }
                Values::Long(values) if spec.name == "position" => positions = values,
                _ => {}
            }
        }
        let is_click = std::ptr::eq(table.layout, &raw const CLICK);
        for (row, position) in positions.iter().enumerate() {
            let position = position.cast_unsigned();
            let click_id = keys.get(row).copied().map(ClickId::from_bytes);
            let key = match click_id {
                Some(id) => u128::from_be_bytes(id.to_bytes()),
                None => u128::from(position),
            };
            if self.before.is_some_and(|before| before >= (key, position)) {
                return Err(table.damaged(0, "the rows are not in order"));
            }
            self.before = Some((key, position));
            if !(table.span.from.0..table.span.to.0).contains(&position) {
                return Err(table.damaged(0, "a position is not one of its name's"));
            }
            self.positions.push(position);
            let kind = if is_click { Kind::Click } else { Kind::Hit };
            (self.each)(Fact { kind, position: Position(position), click_id });
        }
        Ok(())
    }
}

/// Decodes every value with the `parquet` crate.
fn decode_all(disk: &dyn Disk, path: &Path) -> Result<(), ParquetError> {
    let blob = Blob::open(disk, path).map_err(|error| ParquetError::External(Box::new(error)))?;
    let file = SerializedFileReader::new(blob)?;
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        let rows = group.metadata().num_rows();
        for column in 0..group.num_columns() {
            let decoded = decode(group.get_column_reader(column)?)?;
            if i64::try_from(decoded) != Ok(rows) {
                let name = group.metadata().column(column).column_path().string();
                return Err(ParquetError::General(format!(
                    "column {name} has {decoded} rows, and its row group {rows}"
                )));
            }
        }
    }
    Ok(())
}

/// How many rows a column has.
fn decode(reader: ColumnReader) -> Result<usize, ParquetError> {
    macro_rules! rows {
        ($reader:expr) => {{
            let (mut reader, mut total) = ($reader, 0);
            let (mut values, mut levels) = (Vec::new(), Vec::new());
            loop {
                values.clear();
                levels.clear();
                let (rows, ..) =
                    reader.read_records(BATCH, Some(&mut levels), None, &mut values)?;
                if rows == 0 {
                    break Ok(total);
                }
                total += rows;
            }
        }};
    }
    match reader {
        ColumnReader::BoolColumnReader(reader) => rows!(reader),
        ColumnReader::Int32ColumnReader(reader) => rows!(reader),
        ColumnReader::Int64ColumnReader(reader) => rows!(reader),
        ColumnReader::ByteArrayColumnReader(reader) => rows!(reader),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => rows!(reader),
        _ => Err(ParquetError::General(format!(
            "a column is none of {:?}",
            [Physical::BOOLEAN, Physical::INT32, Physical::INT64, Physical::BYTE_ARRAY]
        ))),
    }
}
