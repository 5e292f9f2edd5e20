//! A file of facts as it is read: where each page of each column lies, and what key it begins
//! with.
//!
//! The index is all that is kept in memory, some 70 bytes for a thousand clicks, so that any
//! row is found with one read of its key's page and one for each column that is asked for. A
//! file is opened for as long as somebody reads from it, and no longer.

use super::layout::Layout;
use super::page::{self, Page};
use super::words::Words;
use super::{Error, Span, value};
use crate::disk::{Disk, File};
use bytes::{Buf, Bytes};
use domain::id::Position;
use domain::time::Timestamp;
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::RowGroupPageIndex;
use parquet::file::metadata::{
    ColumnChunkMask, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file: what it is, and where things are in it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) layout: &'static Layout,
    /// How many of the layout's columns the file has: those of the format it was written in.
    pub(super) columns: usize,
    pub(super) span: Span,
    /// How long the file is.
    pub(super) bytes: u64,
    pub(super) index: Index,
}

/// Where things are. Parquet has checksums for pages alone, so the writer puts one of all this
/// into the footer, and a reader compares.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) rows: u64,
    pub(super) groups: Vec<Group>,
    /// The first key of each page, over all row groups.
    page_keys: Vec<u128>,
    /// The greatest key.
    pub(super) last_key: u128,
}

/// A row group.
#[derive(Debug)]
pub(super) struct Group {
    /// Counted over the file.
    pub(super) first_row: u64,
    pub(super) rows: usize,
    /// The place of its first page in the file's keys.
    first_page: usize,
    chunks: Vec<ChunkAt>,
}

/// A column of a row group.
#[derive(Debug)]
pub(super) struct ChunkAt {
    pub(super) start: u64,
    pub(super) dictionary_bytes: u32,
    /// Where each page ends, from the chunk's start.
    pub(super) page_ends: Vec<u32>,
    /// No row has a value.
    pub(super) is_none: bool,
    /// The least and greatest value, of numbers and flags.
    pub(super) range: Option<(u32, u32)>,
}

impl Index {
    /// Adds a row group with the keys of its pages.
    pub(super) fn add(
        &mut self,
        rows: usize,
        chunks: Vec<ChunkAt>,
        keys: impl IntoIterator<Item = (u128, u128)>,
    ) {
        let first_page = self.page_keys.len();
        self.groups.push(Group { first_row: self.rows, rows, first_page, chunks });
        self.rows += rows as u64;
        for (first, last) in keys {
            self.page_keys.push(first);
            self.last_key = self.last_key.max(last);
        }
    }

    /// Adds the columns that there were not when the file was written: no row has a value.
    fn fill_up(&mut self, columns: usize) {
        for group in &mut self.groups {
            group.chunks.resize_with(columns, ChunkAt::none);
        }
    }

    /// A checksum of everything that questions rely on.
    pub(super) fn fingerprint(&self, span: &Span) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&span.journal);
        let mut number = |number: u64| crc.update(&number.to_le_bytes());
        number(span.from.0);
        number(span.to.0);
        for at in [span.first_at, span.newest_at] {
            number(at.as_us().cast_unsigned());
        }
        for group in &self.groups {
            number(group.rows as u64);
            for chunk in &group.chunks {
                number(chunk.start);
                number(u64::from(chunk.dictionary_bytes));
                number(u64::from(chunk.is_none));
                chunk.page_ends.iter().for_each(|end| number(u64::from(*end)));
                let (least, greatest) = chunk.range.unwrap_or((u32::MAX, 0));
                number(u64::from(least) << u32::BITS | u64::from(greatest));
            }
        }
        for key in self.page_keys.iter().chain([&self.last_key]) {
            crc.update(&key.to_le_bytes());
        }
        crc.finalize()
    }
}

impl ChunkAt {
    fn none() -> Self {
        let (start, dictionary_bytes, page_ends, range) = (0, 0, Vec::new(), None);
        Self { start, dictionary_bytes, page_ends, is_none: true, range }
    }
}

/// A page's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageAt {
    pub(super) group: usize,
    /// Counted in its row group.
    pub(super) page: usize,
}

impl Table {
    /// Reads a file's footer and index.
    pub(super) fn open(
        disk: &dyn Disk,
        path: &Path,
        layout: &'static Layout,
    ) -> Result<Self, Error> {
        let blob = Blob::open(disk, path)?;
        let mut reader = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .with_column_index_mask(ColumnChunkMask::columns([0]));
        let metadata = reader
            .try_parse(&blob)
            .and_then(|()| reader.finish())
            .map_err(|error| Error::parquet(path, error))?;
        let mut table = Self::index(path, layout, &metadata).map_err(|detail| Error::Corrupt {
            path: path.to_owned(),
            detail: detail.to_owned(),
        })?;
        table.bytes = blob.len();
        Ok(table)
    }

    fn index(
        path: &Path,
        layout: &'static Layout,
        metadata: &ParquetMetaData,
    ) -> Result<Self, &'static str> {
        let Footer { format, span, crc } =
            Footer::read(layout, metadata).ok_or("its footer lacks what we put in")?;
        let schema = layout.schema_of(format).ok_or("a later release wrote it")?;
        if metadata.file_metadata().schema() != schema.root_schema() {
            return Err("its columns are not those of its format");
        }
        let mut index = Index::default();
        for place in 0..metadata.num_row_groups() {
            let pages = metadata.page_index_for_row_group(place);
            add_group(&mut index, layout, metadata.row_group(place), &pages)
                .ok_or("its index is not one that this release writes")?;
        }
        index.page_keys.shrink_to_fit();
        if index.fingerprint(&span) != crc {
            return Err("its index is not the one that was written");
        }
        let columns = schema.num_columns();
        index.fill_up(layout.columns.len());
        Ok(Self { path: path.to_owned(), layout, columns, span, bytes: 0, index })
    }

    /// The least key; `None` without rows.
    pub(super) fn first_key(&self) -> Option<u128> {
        self.index.page_keys.first().copied()
    }

    /// The key of a row that is the first of its page.
    pub(super) fn page_key(&self, row: u64) -> u128 {
        let group = self.index.groups.partition_point(|group| group.first_row <= row) - 1;
        let group = &self.index.groups[group];
        let within = usize::try_from(row - group.first_row).expect("a row group is small");
        self.index.page_keys[group.first_page + within / self.layout.page_rows]
    }

    /// Whether the key may be here.
    pub(super) fn may_have(&self, key: u128) -> bool {
        self.first_key().is_some_and(|first| first <= key) && key <= self.index.last_key
    }

    /// The least and greatest value of a column of numbers or flags in a row group.
    pub(super) fn range(&self, group: usize, column: usize) -> Option<(u32, u32)> {
        self.index.groups[group].chunks[column].range
    }

    /// Whether no row of the row group has a value in the column.
    pub(super) fn is_none(&self, group: usize, column: usize) -> bool {
        self.index.groups[group].chunks[column].is_none
    }

    /// Whether the column of the row group is coded with a dictionary.
    pub(super) fn is_coded(&self, group: usize, column: usize) -> bool {
        self.index.groups[group].chunks[column].dictionary_bytes > 0
    }

    /// The page of so many, counted over the file.
    fn page_at(&self, page: usize) -> PageAt {
        let group = self.index.groups.partition_point(|group| group.first_page <= page) - 1;
        PageAt { group, page: page - self.index.groups[group].first_page }
    }

    /// How many rows a page has.
    pub(super) fn page_rows(&self, at: PageAt) -> usize {
        let before = at.page * self.layout.page_rows;
        self.layout.page_rows.min(self.index.groups[at.group].rows - before)
    }

    /// Opens the file for reading.
    pub(super) fn read<'t>(&'t self, disk: &dyn Disk) -> Result<Reading<'t>, Error> {
        let file = disk.open_read(&self.path).map_err(|error| Error::io(&self.path, error))?;
        Ok(Reading { table: self, file, buffer: Vec::new() })
    }

    /// What a page's header says is outside its checksum, and so is compared with what we know.
    fn expect(&self, page: &Page<'_>, at: PageAt, column: usize) -> Result<(), Error> {
        let encoding = self.layout.columns[column].form.encoding(self.is_coded(at.group, column));
        if page.rows != self.page_rows(at) || page.encoding != encoding {
            return Err(self.damaged(column, "a page is not what its index says"));
        }
        Ok(())
    }

    /// What could not be decoded.
    pub(super) fn damaged(&self, column: usize, detail: &str) -> Error {
        let name = self.layout.columns[column].name;
        Error::Corrupt { path: self.path.clone(), detail: format!("column {name}: {detail}") }
    }
}

/// Adds what the footer says of a row group; `None` where it cannot be.
fn add_group(
    index: &mut Index,
    layout: &Layout,
    group: &RowGroupMetaData,
    pages: &RowGroupPageIndex,
) -> Option<()> {
    let rows = usize::try_from(group.num_rows()).ok()?;
    let mut chunks = Vec::with_capacity(group.num_columns());
    for (place, chunk) in group.columns().iter().enumerate() {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let locations = pages.page_locations(place)?;
        let mut page_ends = Vec::with_capacity(locations.len());
        for (page, location) in locations.iter().enumerate() {
            let row = i64::try_from(page * layout.page_rows).ok()?;
            let end = location.offset.checked_add(i64::from(location.compressed_page_size))?;
            if location.first_row_index != row {
                return None;
            }
            page_ends.push(u32::try_from(end.checked_sub(start)?).ok()?);
        }
        let dictionary_bytes = locations.first()?.offset.checked_sub(start)?;
        if locations.len() != rows.div_ceil(layout.page_rows) || !page_ends.is_sorted() {
            return None;
        }
        let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
        chunks.push(ChunkAt {
            start: u64::try_from(start).ok()?,
            dictionary_bytes: u32::try_from(dictionary_bytes).ok()?,
            page_ends,
            is_none: nulls == Some(rows as u64),
            range: range_of(chunk.statistics()),
        });
    }
    index.add(rows, chunks, keys_of(pages.column_index(0)?)?);
    Some(())
}

/// The least and greatest key of each page.
fn keys_of(index: &ColumnIndexMetaData) -> Option<Vec<(u128, u128)>> {
    let pages = 0..usize::try_from(index.num_pages()).ok()?;
    match index {
        ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(index) => {
            let key = |key: Option<&[u8]>| Some(u128::from_be_bytes(key?.try_into().ok()?));
            pages
                .map(|page| Some((key(index.min_value(page))?, key(index.max_value(page))?)))
                .collect()
        }
        ColumnIndexMetaData::INT64(index) => {
            let key = |key: Option<&i64>| Some(u128::from(key?.cast_unsigned()));
            pages
                .map(|page| Some((key(index.min_value(page))?, key(index.max_value(page))?)))
                .collect()
        }
        _ => None,
    }
}

/// What a footer's statistics say of a column of numbers or flags.
pub(super) fn range_of(statistics: Option<&Statistics>) -> Option<(u32, u32)> {
    match statistics? {
        Statistics::Int32(values) => {
            Some((values.min_opt()?.cast_unsigned(), values.max_opt()?.cast_unsigned()))
        }
        Statistics::Boolean(values) => {
            Some((u32::from(*values.min_opt()?), u32::from(*values.max_opt()?)))
        }
        _ => None,
    }
}

/// What `Writer::finish` wrote into the footer.
struct Footer {
    format: usize,
    span: Span,
    /// The index's checksum.
    crc: u32,
}

impl Footer {
    fn read(layout: &Layout, metadata: &ParquetMetaData) -> Option<Self> {
        let pairs = metadata.file_metadata().key_value_metadata()?;
        let value = |name: &str| {
            let key = format!("counterfoil.{name}");
            pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
        };
        let number = |name: &str| value(name)?.parse().ok();
        let at = |name: &str| Some(Timestamp::from_us(value(name)?.parse().ok()?));
        if value("layout")? != layout.name {
            return None;
        }
        let format = value("format")?.parse().ok()?;
        let journal = u128::from_str_radix(value("journal")?, 16).ok()?;
        let span = Span {
            journal: journal.to_be_bytes(),
            from: Position(number("from")?),
            to: Position(number("to")?),
            first_at: at("first_at_us")?,
            newest_at: at("newest_at_us")?,
        };
        Some(Self { format, span, crc: u32::try_from(number("index_crc")?).ok()? })
    }
}

/// A file that is open.
pub(super) struct Reading<'t> {
    pub(super) table: &'t Table,
    file: Box<dyn File>,
    buffer: Vec<u8>,
}

impl Reading<'_> {
    fn fill(&mut self, start: u64, len: usize) -> Result<(), Error> {
        self.buffer.resize(len, 0);
        let read = self
            .file
            .read_at(&mut self.buffer, start)
            .map_err(|error| Error::io(&self.table.path, error))?;
        if read < len {
            let detail = "it ends before a page that its index has".to_owned();
            return Err(Error::Corrupt { path: self.table.path.clone(), detail });
        }
        Ok(())
    }

    /// Hands one page to `read`, whose `None` is damage. The column has values in the row group.
    pub(super) fn page<T>(
        &mut self,
        at: PageAt,
        column: usize,
        read: impl FnOnce(&Page<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        let chunk = &self.table.index.groups[at.group].chunks[column];
        let begin = match at.page {
            0 => chunk.dictionary_bytes,
            page => chunk.page_ends[page - 1],
        };
        let len = (chunk.page_ends[at.page] - begin) as usize;
        self.fill(chunk.start + u64::from(begin), len)?;
        let damaged = |detail| self.table.damaged(column, detail);
        let page = Page::read(&mut &self.buffer[..]).map_err(damaged)?;
        self.table.expect(&page, at, column)?;
        read(&page).ok_or_else(|| damaged("a page does not decode"))
    }

    /// Hands each of some neighbouring pages to `read`. The column has values in the row group.
    pub(super) fn pages(
        &mut self,
        group: usize,
        column: usize,
        pages: std::ops::Range<usize>,
        mut read: impl FnMut(&Page<'_>) -> Option<()>,
    ) -> Result<(), Error> {
        if pages.is_empty() {
            return Ok(());
        }
        let chunk = &self.table.index.groups[group].chunks[column];
        let begin = match pages.start {
            0 => chunk.dictionary_bytes,
            page => chunk.page_ends[page - 1],
        };
        let len = (chunk.page_ends[pages.end - 1] - begin) as usize;
        self.fill(chunk.start + u64::from(begin), len)?;
        let damaged = |detail| self.table.damaged(column, detail);
        let mut rest = &self.buffer[..];
        for place in pages {
            let page = Page::read(&mut rest).map_err(damaged)?;
            self.table.expect(&page, PageAt { group, page: place }, column)?;
            read(&page).ok_or_else(|| damaged("a page does not decode"))?;
        }
        Ok(())
    }

    /// The dictionary of a coded column.
    pub(super) fn words(&mut self, group: usize, column: usize) -> Result<Words, Error> {
        let chunk = &self.table.index.groups[group].chunks[column];
        self.fill(chunk.start, chunk.dictionary_bytes as usize)?;
        let damaged = |detail| self.table.damaged(column, detail);
        let (count, bytes) = page::read_words(&mut &self.buffer[..]).map_err(damaged)?;
        let mut words = Words::default();
        let form = self.table.layout.columns[column].form;
        let rest = value::read_plain(bytes, form, count, |word| words.push(word));
        match rest {
            Some([]) => Ok(words),
            _ => Err(damaged("the dictionary does not decode")),
        }
    }

    /// The first row whose key is not below `key`, counted over the file, and whether it has
    /// that key.
    pub(super) fn find(&mut self, key: u128) -> Result<(u64, bool), Error> {
        let table = self.table;
        if key > table.index.last_key {
            return Ok((table.index.rows, false));
        }
        let after = table.index.page_keys.partition_point(|first| *first < key);
        if let Some(before) = after.checked_sub(1) {
            // The key may stand in the page before, or be that of its last rows as well.
            let at = table.page_at(before);
            let (row, is_it) = self
                .page(at, 0, |page| value::lower_bound(page, table.layout.columns[0].form, key))?;
            if row < table.page_rows(at) {
                let first = table.index.groups[at.group].first_row;
                return Ok((first + (at.page * table.layout.page_rows + row) as u64, is_it));
            }
        }
        if after == table.index.page_keys.len() {
            return Ok((table.index.rows, false));
        }
        let at = table.page_at(after);
        let row =
            table.index.groups[at.group].first_row + (at.page * table.layout.page_rows) as u64;
        Ok((row, table.index.page_keys[after] == key))
    }

    /// The page that a row is on, and its place there. The row is below the table's count.
    pub(super) fn locate(&self, row: u64) -> (PageAt, usize) {
        let groups = &self.table.index.groups;
        let group = groups.partition_point(|group| group.first_row <= row) - 1;
        let within = usize::try_from(row - groups[group].first_row).expect("a group is small");
        let page_rows = self.table.layout.page_rows;
        (PageAt { group, page: within / page_rows }, within % page_rows)
    }
}

/// A whole file for the `parquet` crate to read from.
#[derive(Clone)]
pub(super) struct Blob {
    file: Arc<dyn File>,
    bytes: u64,
}

impl Blob {
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let file = disk.open_read(path).map_err(|error| Error::io(path, error))?;
        let bytes = file.len().map_err(|error| Error::io(path, error))?;
        Ok(Self { file: Arc::from(file), bytes })
    }
}

impl Length for Blob {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Blob {
    type T = BlobReader;

    fn get_read(&self, start: u64) -> Result<BlobReader, ParquetError> {
        Ok(BlobReader { blob: self.clone(), at: start, ahead: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.bytes);
        end.ok_or_else(|| ParquetError::EOF("the file is shorter than it says".to_owned()))?;
        let mut buffer = vec![0; length];
        let read = self.file.read_at(&mut buffer, start)?;
        buffer.truncate(read);
        match read == length {
            true => Ok(Bytes::from(buffer)),
            false => Err(ParquetError::EOF("the file became shorter".to_owned())),
        }
    }
}

/// How much of a file is read ahead.
const AHEAD_BYTES: usize = 64 * 1024;

/// Reads a file from some place on.
pub(super) struct BlobReader {
    blob: Blob,
    at: u64,
    ahead: Bytes,
}

impl io::Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let mut buffer = vec![0; AHEAD_BYTES];
            let read = self.blob.file.read_at(&mut buffer, self.at)?;
            buffer.truncate(read);
            self.at += read as u64;
            self.ahead = Bytes::from(buffer);
        }
        let taken = out.len().min(self.ahead.len());
        self.ahead.copy_to_slice(&mut out[..taken]);
        Ok(taken)
    }
}
