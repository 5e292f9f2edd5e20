//! Writes a file of facts: row groups of one layout, then a footer.
//!
//! The footer is the `parquet` crate's. A file is complete only once [`Writer::finish`] has
//! synced it, under a temporary name: whoever finds another one under that name throws it away.

use super::column::{Chunk, Column, Encoder};
use super::layout::{Form, Layout, Spec};
use super::page::Encoding;
use super::table::{ChunkAt, Index, range_of};
use super::{Error, Span};
use crate::disk::{Disk, File};
use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding as Encodings, Type as Physical};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, KeyValue, OffsetIndexBuilder, SortingColumn,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A row group is closed once its columns take this much memory.
pub(super) const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How much is written at once.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A new file, and the row group in the making.
pub(super) struct Writer {
    path: PathBuf,
    layout: &'static Layout,
    schema: Arc<SchemaDescriptor>,
    file: SerializedFileWriter<Sink>,
    encoder: Encoder,
    columns: Vec<Column>,
    index: Index,
}

impl Writer {
    /// Begins a file at `path`, in place of one that may be left there.
    pub(super) fn create(
        disk: &dyn Disk,
        path: &Path,
        layout: &'static Layout,
    ) -> Result<Self, Error> {
        // Not emptied but made anew: after a failed sync nothing is known of the old one's bytes.
        match disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(path, error));
            }
            _ => {}
        }
        let file = disk.create(path).map_err(|error| Error::io(path, error))?;
        let schema = layout.schema();
        let key = SortingColumn { column_idx: 0, descending: false, nulls_first: false };
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_created_by(concat!("counterfoil version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_sorting_columns(Some(vec![key]))
            .build();
        let sink = Sink { file, written: 0, buffer: Vec::with_capacity(BUFFER_BYTES) };
        let file = SerializedFileWriter::new(sink, schema.root_schema_ptr(), Arc::new(properties))
            .map_err(|error| Error::parquet(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            layout,
            schema,
            file,
            encoder: Encoder::new().map_err(|error| Error::io(path, error))?,
            columns: columns_of(layout),
            index: Index::default(),
        })
    }

    /// The columns of the row group in the making, for the caller to add the same number of rows
    /// to each, and then to call [`Writer::end_rows`].
    pub(super) fn columns(&mut self) -> &mut [Column] {
        &mut self.columns
    }

    /// How many rows may be added before [`Writer::end_rows`].
    pub(super) fn room(&self) -> usize {
        self.layout.group_rows - self.columns[0].rows()
    }

    /// Writes the row group where it is full. Answers whether it was: a word's code in its columns
    /// holds no longer then.
    pub(super) fn end_rows(&mut self) -> Result<bool, Error> {
        let heap_bytes = self.columns.iter().map(Column::heap_bytes).sum::<usize>();
        let is_full = self.room() == 0 || heap_bytes >= GROUP_BYTES_MAX;
        if is_full {
            self.write_group()?;
        }
        Ok(is_full)
    }

    fn write_group(&mut self) -> Result<(), Error> {
        let rows = self.columns[0].rows();
        if rows == 0 {
            return Ok(());
        }
        let columns = std::mem::replace(&mut self.columns, columns_of(self.layout));
        let failed = |error| Error::parquet(&self.path, error);
        let mut start = self.file.bytes_written() as u64;
        let mut group = self.file.next_row_group().map_err(failed)?;
        let mut chunks = Vec::with_capacity(columns.len());
        for (place, (spec, column)) in self.layout.columns.iter().zip(&columns).enumerate() {
            assert_eq!(column.rows(), rows, "every row has every column: {}", spec.name);
            let mut chunk = self
                .encoder
                .encode(self.layout, spec, column)
                .map_err(|error| Error::io(&self.path, error))?;
            let described =
                describe(&chunk, spec, column, self.schema.column(place)).map_err(failed)?;
            chunks.push(ChunkAt::of(&chunk, start, described.metadata.statistics()));
            start += chunk.bytes.len() as u64;
            let bytes = Bytes::from(std::mem::take(&mut chunk.bytes));
            group.append_column(&bytes, described).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.index.add(rows, chunks, keys_of(&columns[0], self.layout.page_rows));
        Ok(())
    }

    /// Writes what is left and the footer, and syncs the file. Answers how many rows it has.
    pub(super) fn finish(mut self, span: &Span) -> Result<usize, Error> {
        self.write_group()?;
        let crc = self.index.fingerprint(span);
        for (key, value) in span.to_metadata(self.layout, crc) {
            self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let sink = self.file.into_inner().map_err(|error| Error::parquet(&self.path, error))?;
        sink.finish().map_err(|error| Error::io(&self.path, error))?;
        Ok(usize::try_from(self.index.rows).expect("a file has fewer rows than memory has bytes"))
    }
}

impl ChunkAt {
    /// What a reader's index will have of a chunk that begins at `start`.
    fn of(chunk: &Chunk, start: u64, statistics: Option<&Statistics>) -> Self {
        let small = |bytes| u32::try_from(bytes).expect("a chunk is smaller than 4 GiB");
        let ends = chunk.pages.iter().map(|page| small(page.start + page.len));
        Self {
            start,
            dictionary_bytes: small(chunk.dictionary_bytes),
            page_ends: ends.collect(),
            is_none: chunk.nulls == chunk.rows,
            range: range_of(statistics),
        }
    }
}

/// The least and greatest key of each page.
fn keys_of(column: &Column, page_rows: usize) -> Vec<(u128, u128)> {
    let ends = |keys: &[u128]| {
        (keys.iter().min().copied().unwrap_or(0), keys.iter().max().copied().unwrap_or(0))
    };
    let keys: Vec<u128> = match column {
        Column::Fixed { bytes, .. } => {
            bytes.as_chunks::<16>().0.iter().map(|key| u128::from_be_bytes(*key)).collect()
        }
        Column::Long(values) => values.iter().map(|key| u128::from(key.cast_unsigned())).collect(),
        _ => panic!("a key is an id or a position"),
    };
    keys.chunks(page_rows).map(ends).collect()
}

impl Span {
    /// What stands in a file's footer, for [`Footer`](super::table).
    fn to_metadata(self, layout: &Layout, crc: u32) -> [(&'static str, String); 8] {
        [
            ("counterfoil.format", layout.format().to_string()),
            ("counterfoil.layout", layout.name.to_owned()),
            ("counterfoil.journal", format!("{:032x}", u128::from_be_bytes(self.journal))),
            ("counterfoil.from", self.from.to_string()),
            ("counterfoil.to", self.to.to_string()),
            ("counterfoil.first_at_us", self.first_at.as_us().to_string()),
            ("counterfoil.newest_at_us", self.newest_at.as_us().to_string()),
            ("counterfoil.index_crc", crc.to_string()),
        ]
    }
}

fn columns_of(layout: &Layout) -> Vec<Column> {
    layout.columns.iter().map(|spec| Column::new(spec.form)).collect()
}

/// What the footer says of a chunk.
fn describe(
    chunk: &Chunk,
    spec: &Spec,
    column: &Column,
    descriptor: ColumnDescPtr,
) -> Result<ColumnCloseResult, parquet::errors::ParquetError> {
    let mut offsets = OffsetIndexBuilder::new();
    for page in &chunk.pages {
        let len = i32::try_from(page.len).expect("a page is far smaller than 2 GiB");
        offsets.append_offset_and_size(to_i64(page.start), len);
        offsets.append_row_count(to_i64(page.rows));
    }
    let encoding = match chunk.encoding.unwrap_or(Encoding::Plain) {
        Encoding::Plain => Encodings::PLAIN,
        Encoding::Runs => Encodings::RLE,
        Encoding::Deltas => Encodings::DELTA_BINARY_PACKED,
        Encoding::Codes => Encodings::RLE_DICTIONARY,
    };
    let mut encodings = vec![encoding];
    // The levels of optional columns are runs, the dictionary is plain.
    if spec.is_optional && encoding != Encodings::RLE {
        encodings.push(Encodings::RLE);
    }
    if chunk.dictionary_bytes > 0 {
        encodings.push(Encodings::PLAIN);
    }
    let column_index = column_index(chunk, spec, column)?;
    let metadata = ColumnChunkMetaData::builder(descriptor)
        .set_encodings(encodings)
        .set_compression(match chunk.is_packed {
            true => Compression::ZSTD(parquet::basic::ZstdLevel::default()),
            false => Compression::UNCOMPRESSED,
        })
        .set_num_values(to_i64(chunk.rows))
        .set_total_compressed_size(to_i64(chunk.bytes.len()))
        .set_total_uncompressed_size(to_i64(chunk.plain_bytes))
        .set_dictionary_page_offset((chunk.dictionary_bytes > 0).then_some(0))
        .set_data_page_offset(to_i64(chunk.dictionary_bytes))
        .set_statistics(statistics(spec, column, chunk.nulls))
        .build()?;
    Ok(ColumnCloseResult {
        bytes_written: chunk.bytes.len() as u64,
        rows_written: chunk.rows as u64,
        metadata,
        bloom_filter: None,
        column_index,
        offset_index: Some(offsets.build()),
    })
}

/// The least and greatest value of each page, of the columns that are in order or nearly so.
fn column_index(
    chunk: &Chunk,
    spec: &Spec,
    column: &Column,
) -> Result<Option<ColumnIndexMetaData>, parquet::errors::ParquetError> {
    let physical = match column {
        Column::Fixed { .. } if spec.form == Form::Id => Physical::FIXED_LEN_BYTE_ARRAY,
        Column::Long(_) => Physical::INT64,
        _ => return Ok(None),
    };
    let mut index = ColumnIndexBuilder::new(physical);
    let mut row = 0;
    let mut is_ascending = true;
    let mut before = Vec::new();
    for page in &chunk.pages {
        let rows = row..row + page.rows;
        row = rows.end;
        let (least, greatest) = match column {
            Column::Fixed { width, bytes } => {
                let bytes = &bytes[rows.start * width..rows.end * width];
                let of = |value: Option<&[u8]>| value.map(<[u8]>::to_vec).unwrap_or_default();
                is_ascending &= of(bytes.chunks(*width).min()) >= before;
                before = of(bytes.chunks(*width).max());
                (of(bytes.chunks(*width).min()), before.clone())
            }
            Column::Long(values) => {
                let of = |value: Option<&i64>| value.copied().unwrap_or(0).to_le_bytes().to_vec();
                let values = &values[rows];
                is_ascending = false;
                (of(values.iter().min()), of(values.iter().max()))
            }
            _ => unreachable!("the others have no column index"),
        };
        index.append(false, least, greatest, 0, None);
    }
    if is_ascending {
        index.set_boundary_order(BoundaryOrder::ASCENDING);
    }
    index.build().map(Some)
}

/// The least and greatest value of a chunk, of numbers and flags.
fn statistics(spec: &Spec, column: &Column, nulls: usize) -> Statistics {
    let nulls = Some(nulls as u64);
    match column {
        Column::Fixed { width, bytes } => {
            let of = |value: Option<&[u8]>| {
                value.map(|value| FixedLenByteArray::from(ByteArray::from(value)))
            };
            let rows = || bytes.chunks(*width);
            Statistics::fixed_len_byte_array(of(rows().min()), of(rows().max()), None, nulls, false)
        }
        Column::Long(values) => {
            let (least, greatest) = (values.iter().min(), values.iter().max());
            Statistics::int64(least.copied(), greatest.copied(), None, nulls, false)
        }
        Column::Flag(values) => {
            let of = |value: Option<&u32>| value.map(|value| *value == 1);
            Statistics::boolean(
                of(values.iter().min()),
                of(values.iter().max()),
                None,
                nulls,
                false,
            )
        }
        Column::Coded { words, .. } if spec.form == Form::Number => {
            let numbers = || words.words().iter().filter_map(number);
            let of = |number: Option<u32>| number.map(u32::cast_signed);
            Statistics::int32(of(numbers().min()), of(numbers().max()), None, nulls, false)
        }
        Column::Coded { .. } if spec.form == Form::Amount => {
            Statistics::int64(None, None, None, nulls, false)
        }
        Column::Coded { .. } | Column::Bytes { .. } => {
            Statistics::byte_array(None, None, None, nulls, false)
        }
    }
}

/// A word of a column of numbers.
pub(super) fn number(word: &[u8]) -> Option<u32> {
    word.try_into().map(u32::from_le_bytes).ok()
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).expect("files are smaller than 8 EiB")
}

/// Where Parquet's writer writes to: a file, in large pieces.
struct Sink {
    file: Box<dyn File>,
    written: u64,
    buffer: Vec<u8>,
}

impl Sink {
    fn drain(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all_at(&self.buffer, self.written)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes what is left, and syncs.
    fn finish(mut self) -> io::Result<()> {
        self.drain()?;
        self.file.sync()
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.drain()?;
        }
        Ok(bytes.len())
    }

    /// Does nothing: what counts is [`Sink::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
