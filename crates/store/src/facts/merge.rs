//! Merges small files into large ones, so that a look-up and a report have few to open.
//!
//! Files are merged with their neighbours of the same UTC day: the day's personal data can then
//! be removed with it. Inputs are read page by page and the output is written row group by row
//! group, so memory does not grow with the files. The merged file takes its name before those in
//! it lose theirs; a crash between leaves both, and the wider one counts.

use super::column::Column;
use super::folder::{Folder, Segment};
use super::layout::Form;
use super::table::{Reading, Table};
use super::value::{self, Values};
use super::words::{NONE, Words};
use super::write::Writer;
use super::{Error, Facts, Span, lock};
use crate::disk::Disk;
use domain::id::Position;
use std::ops::Range;
use std::sync::Arc;

/// A file of clicks is not merged beyond so many rows.
pub const MERGE_ROWS_MAX: u64 = 4_000_000;
/// Nor one of hits beyond so many: a hit is found by reading the index of its file first.
pub const MERGE_HITS_MAX: u64 = 500_000;
/// Nor any file, with its sidecar, beyond so many bytes.
pub const MERGE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// So many neighbours of about one size are merged while their day lasts; once it is over, all
/// that fit together.
pub const MERGE_FILES: usize = 8;

const DAY_S: i64 = 24 * 60 * 60;
/// Sizes differ when one is more than eight times the other, from so many rows on.
const SMALL_ROWS: u64 = 1_024;

/// What was merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// How many files became one.
    pub files: usize,
    pub rows: u64,
    pub from: Position,
    pub to: Position,
}

impl Facts {
    /// Merges some neighbouring files into one, where any should be. The caller repeats it until
    /// there is nothing left. Sealing and questions go on meanwhile.
    ///
    /// After an error everything is as it was, and another call tries again; a file that could
    /// not be read is left as it is until the next start.
    pub fn merge(&self) -> Result<Option<Merged>, Error> {
        let mut upkeep = lock(&self.upkeep);
        self.sweep(&mut upkeep)?;
        for (folder, rows_max) in [(&self.clicks, MERGE_ROWS_MAX), (&self.hits, MERGE_HITS_MAX)] {
            let snapshot = self.snapshot();
            let segments = folder.of(&snapshot);
            let size = |it: &Arc<Segment>| Size::of(it, upkeep.unreadable.contains(&it.serial));
            let sizes: Vec<_> = segments.iter().map(size).collect();
            let Some(range) = plan(&sizes, rows_max) else { continue };
            let merging = &segments[range];
            let span = span_of(merging);
            let merged = write(&*self.disk, folder, merging, &span)
                .and_then(|has_sidecar| folder.publish(&*self.disk, &span, has_sidecar))
                .inspect_err(|error| {
                    let unreadable = merging.iter().filter(|it| it.is_cause_of(error));
                    upkeep.unreadable.extend(unreadable.map(|it| it.serial));
                    // The file before its sidecar: it must not count without.
                    upkeep.debris.extend([false, true].map(|is| folder.path(&span, is)));
                    upkeep.debris.extend([false, true].map(|is| folder.temporary(&span, is)));
                })?;
            let answer = Merged {
                files: merging.len(),
                rows: merged.table.index.rows,
                from: span.from,
                to: span.to,
            };
            self.swap(|next| {
                let segments = folder.of_mut(next);
                let first = segments.iter().position(|segment| segment.span().from == span.from);
                let first = first.expect("only this thread takes files out of a snapshot");
                segments.splice(first..first + merging.len(), [merged]);
            });
            upkeep.retired.extend_from_slice(merging);
            drop(snapshot);
            self.sweep(&mut upkeep)?;
            return Ok(Some(answer));
        }
        Ok(None)
    }
}

/// What the plan looks at.
#[derive(Clone, Copy, Debug)]
struct Size {
    rows: u64,
    bytes: u64,
    day: i64,
    is_unreadable: bool,
}

impl Size {
    fn of(segment: &Segment, is_unreadable: bool) -> Self {
        let day = segment.span().first_at.as_s().div_euclid(DAY_S);
        Self { rows: segment.table.index.rows, bytes: segment.bytes(), day, is_unreadable }
    }

    /// Of one tier are files that are worth merging with each other while the day lasts.
    fn tier(self) -> u32 {
        (self.rows / SMALL_ROWS).checked_ilog2().map_or(0, |bits| bits / 3 + 1)
    }
}

/// Which neighbours to merge next.
fn plan(sizes: &[Size], rows_max: u64) -> Option<Range<usize>> {
    let newest = sizes.last()?.day;
    // From each place on, as many as may go together.
    let fitting = |from: usize, tier: u32| {
        let (mut rows, mut bytes) = (0, 0);
        let fits = |size: &&Size| {
            rows += size.rows;
            bytes += size.bytes;
            !size.is_unreadable
                && size.day == sizes[from].day
                && size.tier() <= tier
                && rows <= rows_max
                && bytes <= MERGE_BYTES_MAX
        };
        let count = sizes[from..].iter().take_while(fits).count();
        from..from + count
    };
    let old = sizes.iter().enumerate().filter(|(_, size)| size.day < newest);
    let mut ranges = old.map(|(from, _)| fitting(from, u32::MAX));
    if let Some(range) = ranges.find(|range| range.len() > 1) {
        return Some(range);
    }
    let tiers = 0..=sizes.iter().map(|size| size.tier()).max()?;
    tiers.into_iter().find_map(|tier| {
        (0..sizes.len()).map(|from| fitting(from, tier)).find(|range| {
            let rows = || sizes[range.clone()].iter().map(|size| size.rows);
            let (all, largest) = (rows().sum::<u64>(), rows().max().unwrap_or(0));
            // A row is copied only into a file four times as large, so it is copied few times.
            let grows = largest <= (all / 4).max(SMALL_ROWS);
            grows && (range.len() >= MERGE_FILES || all > rows_max / 8 * 7)
        })
    })
}

fn span_of(segments: &[Arc<Segment>]) -> Span {
    let spans = || segments.iter().map(|segment| segment.span());
    Span {
        journal: segments[0].span().journal,
        from: spans().map(|span| span.from).min().expect("a plan has files"),
        to: spans().map(|span| span.to).max().expect("a plan has files"),
        first_at: spans().map(|span| span.first_at).min().expect("a plan has files"),
        newest_at: spans().map(|span| span.newest_at).max().expect("a plan has files"),
    }
}

/// Writes the merged file and its sidecar, which there is where any input has one.
fn write(
    disk: &dyn Disk,
    folder: &Folder,
    segments: &[Arc<Segment>],
    span: &Span,
) -> Result<bool, Error> {
    let mut sidecars = Vec::new();
    for segment in segments.iter().filter(|segment| segment.has_sidecar()) {
        sidecars.push(Table::open(disk, &segment.sidecar, folder.personal)?);
    }
    let has_sidecar = !sidecars.is_empty();
    if has_sidecar {
        let path = folder.temporary(span, true);
        let writer = Writer::create(disk, &path, folder.personal)?;
        let rows = sidecars.iter().map(|table| table.index.rows).sum();
        merge(disk, &sidecars.iter().collect::<Vec<_>>(), writer, span, rows)?;
    }
    let tables: Vec<_> = segments.iter().map(|segment| &segment.table).collect();
    let writer = Writer::create(disk, &folder.temporary(span, false), folder.layout)?;
    let rows = tables.iter().map(|table| table.index.rows).sum();
    merge(disk, &tables, writer, span, rows)?;
    Ok(has_sidecar)
}

/// Writes the rows of all tables in the order of their keys.
fn merge(
    disk: &dyn Disk,
    tables: &[&Table],
    mut writer: Writer,
    span: &Span,
    rows: u64,
) -> Result<(), Error> {
    let mut inputs: Vec<_> = tables.iter().map(|table| Input::new(table)).collect();
    loop {
        let keys: Vec<_> = inputs.iter().map(Input::key).collect();
        let next = (0..keys.len()).filter(|place| keys[*place].is_some());
        let Some(next) = next.min_by_key(|place| keys[*place]) else { break };
        let others = keys.iter().enumerate().filter(|(place, _)| *place != next);
        let until = others.filter_map(|(_, key)| *key).min();
        let is_new_group = inputs[next].copy(disk, until, &mut writer)?;
        if is_new_group {
            inputs.iter_mut().for_each(Input::forget_codes);
        }
    }
    let written = writer.finish(span)? as u64;
    assert_eq!(written, rows, "each row is copied once");
    Ok(())
}

/// A table on its way into a merged one.
struct Input<'t> {
    table: &'t Table,
    /// Open from the first row until the last.
    reading: Option<Reading<'t>>,
    /// The next row, counted over the file.
    row: u64,
    page: Option<Loaded>,
    group: usize,
    dictionaries: Vec<Option<Dictionary>>,
}

/// A page of each column.
struct Loaded {
    rows: usize,
    keys: Vec<u128>,
    columns: Vec<Values>,
    /// In columns of words, how many values come before the next row.
    words: Vec<usize>,
    /// The next row, counted in the page.
    row: usize,
}

/// The words of a column in the present row group, and the codes they got in the output's.
struct Dictionary {
    words: Words,
    codes: Vec<u32>,
}

impl<'t> Input<'t> {
    fn new(table: &'t Table) -> Self {
        Self { table, reading: None, row: 0, page: None, group: usize::MAX, dictionaries: vec![] }
    }

    /// The key of the next row; `None` where there is none.
    fn key(&self) -> Option<u128> {
        match &self.page {
            Some(page) => Some(page.keys[page.row]),
            None if self.row < self.table.index.rows => Some(self.table.page_key(self.row)),
            None => None,
        }
    }

    /// Copies the next rows: those with keys below `until`, one at least, and no more than the
    /// page or the output's row group has. Answers whether that row group was completed.
    fn copy(
        &mut self,
        disk: &dyn Disk,
        until: Option<u128>,
        writer: &mut Writer,
    ) -> Result<bool, Error> {
        let mut page = match self.page.take() {
            Some(page) => page,
            None => self.load(disk)?,
        };
        let below = match until {
            Some(until) => page.keys[page.row..].partition_point(|key| *key < until),
            None => page.rows - page.row,
        };
        let rows = page.row..page.row + below.max(1).min(writer.room());
        for (place, out) in writer.columns().iter_mut().enumerate() {
            let dictionary = self.dictionaries[place].as_mut();
            copy_values(
                &page.columns[place],
                rows.clone(),
                &mut page.words[place],
                dictionary,
                out,
            );
        }
        self.row += rows.len() as u64;
        page.row = rows.end;
        if page.row < page.rows {
            self.page = Some(page);
        } else if self.row == self.table.index.rows {
            self.reading = None;
        }
        writer.end_rows()
    }

    /// Reads the page of the next row, whose first it is.
    fn load(&mut self, disk: &dyn Disk) -> Result<Loaded, Error> {
        let table = self.table;
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => table.read(disk)?,
        };
        let (at, row) = reading.locate(self.row);
        assert_eq!(row, 0, "pages are copied whole");
        if self.group != at.group {
            self.group = at.group;
            self.dictionaries.clear();
            for column in 0..table.layout.columns.len() {
                let dictionary = match table.is_coded(at.group, column) {
                    true => Some(Dictionary::new(reading.words(at.group, column)?)),
                    false => None,
                };
                self.dictionaries.push(dictionary);
            }
        }
        let rows = table.page_rows(at);
        let mut columns = Vec::with_capacity(table.layout.columns.len());
        for (place, spec) in table.layout.columns.iter().enumerate() {
            let words = self.dictionaries[place].as_ref().map_or(0, |words| words.codes.len());
            columns.push(match (table.is_none(at.group, place), spec.form) {
                (true, Form::Bytes) => {
                    Values::Words { levels: vec![0; rows], words: Words::default() }
                }
                (true, _) => Values::Codes(vec![NONE; rows]),
                _ => reading.page(at, place, |page| value::read_all(page, spec.form, words))?,
            });
        }
        let keys = match &columns[0] {
            Values::Fixed { bytes, .. } => bytes.as_chunks::<16>().0.iter(),
            _ => [].iter(),
        };
        let mut keys: Vec<_> = keys.map(|key| u128::from_be_bytes(*key)).collect();
        if let Values::Long(values) = &columns[0] {
            keys.extend(values.iter().map(|key| u128::from(key.cast_unsigned())));
        }
        if !keys.is_sorted() || keys.len() != rows {
            return Err(table.damaged(0, "the rows are not in order"));
        }
        self.reading = Some(reading);
        let words = vec![0; columns.len()];
        Ok(Loaded { rows, keys, columns, words, row: 0 })
    }

    /// Lets go of the output's codes: its next row group has others.
    fn forget_codes(&mut self) {
        for dictionary in self.dictionaries.iter_mut().flatten() {
            dictionary.codes.fill(NONE);
        }
    }
}

impl Dictionary {
    fn new(words: Words) -> Self {
        let codes = vec![NONE; words.len()];
        Self { words, codes }
    }
}

/// Appends rows of a column to the output's. `word` is the place of the first row's among the
/// page's words, and is moved on.
fn copy_values(
    from: &Values,
    rows: Range<usize>,
    word: &mut usize,
    dictionary: Option<&mut Dictionary>,
    out: &mut Column,
) {
    match (from, out) {
        (Values::Fixed { width, bytes }, Column::Fixed { bytes: out, .. }) => {
            out.extend_from_slice(&bytes[rows.start * width..rows.end * width]);
        }
        (Values::Long(values), Column::Long(out)) => out.extend_from_slice(&values[rows]),
        (Values::Flags(values), Column::Flag(out)) => out.extend_from_slice(&values[rows]),
        (Values::Codes(codes), Column::Coded { words, codes: out }) => {
            let Some(dictionary) = dictionary else {
                out.extend(codes[rows].iter().map(|_| NONE));
                return;
            };
            for code in &codes[rows] {
                let coded = match dictionary.codes.get_mut(*code as usize) {
                    Some(coded) if *coded == NONE => {
                        let word = dictionary.words.get(*code as usize);
                        *coded = words.intern(word.expect("a word for each code"));
                        *coded
                    }
                    Some(coded) => *coded,
                    None => NONE,
                };
                out.push(coded);
            }
        }
        (Values::Words { levels, words }, out) => {
            for level in &levels[rows] {
                if *level == 0 {
                    out.push_word(None);
                } else {
                    out.push_word(words.get(*word));
                    *word += 1;
                }
            }
        }
        _ => panic!("the layout is the same on both sides"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(of: &[(u64, i64)]) -> Vec<Size> {
        of.iter()
            .map(|(rows, day)| Size {
                rows: *rows,
                bytes: rows * 30,
                day: *day,
                is_unreadable: false,
            })
            .collect()
    }

    #[test]
    fn eight_neighbours_of_one_size_are_merged() {
        let mut of = vec![(500_000, 1); 7];
        assert_eq!(plan(&sizes(&of), MERGE_ROWS_MAX), None);
        of.push((500_000, 1));
        assert_eq!(plan(&sizes(&of), MERGE_ROWS_MAX), Some(0..8));
        of[0].0 = MERGE_ROWS_MAX;
        assert_eq!(plan(&sizes(&of), MERGE_ROWS_MAX), None);
        of.push((500_000, 1));
        assert_eq!(plan(&sizes(&of), MERGE_ROWS_MAX), Some(1..9));
        of.insert(4, (3_000_000, 1));
        assert_eq!(plan(&sizes(&of), MERGE_ROWS_MAX), None, "a large one is not copied for two");
        let of = vec![(510_000, 1); 7];
        assert_eq!(plan(&sizes(&of), MERGE_ROWS_MAX), Some(0..7), "an eighth would be too many");
    }

    #[test]
    fn a_day_that_is_over_becomes_as_few_files_as_fit() {
        let of = sizes(&[(10, 1), (3_000_000, 1), (2_000_000, 1), (5, 2)]);
        assert_eq!(plan(&of, MERGE_ROWS_MAX), Some(0..2));
        let of = sizes(&[(3_000_010, 1), (2_000_000, 1), (5, 2)]);
        assert_eq!(plan(&of, MERGE_ROWS_MAX), None);
    }

    #[test]
    fn files_of_two_days_stay_apart() {
        let of: Vec<_> = (0..20).map(|file| (100, file / 5)).collect();
        assert_eq!(plan(&sizes(&of), MERGE_ROWS_MAX), Some(0..5));
        let of = sizes(&[(500, 0), (500, 1), (500, 2), (500, 3), (100, 3)]);
        assert_eq!(plan(&of, MERGE_ROWS_MAX), None);
    }

    #[test]
    fn merging_comes_to_an_end_with_few_files() {
        let mut sizes = sizes(&[]);
        let mut copied = 0;
        for file in 0..960_u64 {
            let day = i64::try_from(file / 96).unwrap();
            sizes.push(Size { rows: 30_000, bytes: 1_000_000, day, is_unreadable: false });
            while let Some(range) = plan(&sizes, MERGE_ROWS_MAX) {
                let rows = sizes[range.clone()].iter().map(|size| size.rows).sum();
                let bytes = sizes[range.clone()].iter().map(|size| size.bytes).sum();
                copied += rows;
                let day = sizes[range.start].day;
                sizes.splice(range, [Size { rows, bytes, day, is_unreadable: false }]);
            }
        }
        assert!(sizes.len() <= 9 + 3 * MERGE_FILES, "{} files", sizes.len());
        assert!(copied <= 5 * 960 * 30_000, "{copied} rows were copied");
    }
}
