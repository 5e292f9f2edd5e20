//! A column of a row group on its way into a file.
//!
//! Rows are added one after the other, and written as pages that begin at the same rows in every
//! column. A column whose words are few is written as codes and left uncompressed, so that one
//! row of it is found without unpacking others; one whose words are many is compressed instead.

use super::bits::{width_of, write_deltas, write_runs};
use super::layout::{Form, Layout, Spec};
use super::page::{self, Encoding, Rows};
use super::words::{Interner, NONE, Words};
use std::ops::Range;

/// The longest a dictionary may be; a row group with more words has its values written out.
pub(super) const DICTIONARY_BYTES_MAX: usize = 128 * 1024;
/// The fastest, and of all the one that ids become smallest with.
const COMPRESSION: i32 = 1;

/// The rows of one column, as [`Form`] asks.
#[derive(Debug)]
pub(super) enum Column {
    Fixed {
        width: usize,
        bytes: Vec<u8>,
    },
    Long(Vec<i64>),
    /// 0 or 1.
    Flag(Vec<u32>),
    /// [`NONE`] where a row has no value.
    Coded {
        words: Interner,
        codes: Vec<u32>,
    },
    /// For each row 1 or 0, and the values of those with 1.
    Bytes {
        levels: Vec<u32>,
        values: Words,
    },
}

impl Column {
    pub(super) fn new(form: Form) -> Self {
        match form {
            Form::Id => Self::Fixed { width: 16, bytes: Vec::new() },
            Form::Fixed(width) => Self::Fixed { width, bytes: Vec::new() },
            Form::Count | Form::AtMs | Form::AtUs => Self::Long(Vec::new()),
            Form::Flag => Self::Flag(Vec::new()),
            Form::Number | Form::Amount | Form::Text => {
                Self::Coded { words: Interner::default(), codes: Vec::new() }
            }
            Form::Bytes => Self::Bytes { levels: Vec::new(), values: Words::default() },
        }
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Fixed { width, bytes } => bytes.len() / width,
            Self::Long(values) => values.len(),
            Self::Flag(values) => values.len(),
            Self::Coded { codes, .. } => codes.len(),
            Self::Bytes { levels, .. } => levels.len(),
        }
    }

    /// How much memory it takes, about.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Fixed { bytes, .. } => bytes.len(),
            Self::Long(values) => values.len() * 8,
            Self::Flag(values) => values.len() * 4,
            Self::Coded { words, codes } => words.words().heap_bytes() + codes.len() * 4,
            Self::Bytes { levels, values } => levels.len() * 4 + values.heap_bytes(),
        }
    }

    pub(super) fn push_fixed(&mut self, value: &[u8]) {
        let Self::Fixed { width, bytes } = self else { panic!("the layout has bytes here") };
        assert_eq!(*width, value.len(), "the layout tells how many bytes");
        bytes.extend_from_slice(value);
    }

    pub(super) fn push_long(&mut self, value: i64) {
        let Self::Long(values) = self else { panic!("the layout has a number here") };
        values.push(value);
    }

    pub(super) fn push_flag(&mut self, value: bool) {
        let Self::Flag(values) = self else { panic!("the layout has a flag here") };
        values.push(u32::from(value));
    }

    /// Adds a word, a number's bytes, or bytes of any kind.
    pub(super) fn push_word(&mut self, value: Option<&[u8]>) {
        match (self, value) {
            (Self::Coded { words, codes }, Some(value)) => codes.push(words.intern(value)),
            (Self::Coded { codes, .. }, None) => codes.push(NONE),
            (Self::Bytes { levels, values }, value) => {
                levels.push(u32::from(value.is_some()));
                if let Some(value) = value {
                    values.push(value);
                }
            }
            _ => panic!("the layout has words here"),
        }
    }
}

/// A column of a row group as it stands in a file.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// All its pages, the dictionary first.
    pub(super) bytes: Vec<u8>,
    /// The dictionary's length; 0 without one.
    pub(super) dictionary_bytes: usize,
    pub(super) pages: Vec<PageSpan>,
    pub(super) rows: usize,
    pub(super) nulls: usize,
    /// Before compression.
    pub(super) plain_bytes: usize,
    pub(super) is_packed: bool,
    pub(super) encoding: Option<Encoding>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PageSpan {
    /// From the chunk's beginning.
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) rows: usize,
}

/// Turns columns into chunks; keeps what that needs from one to the next.
pub(super) struct Encoder {
    packer: zstd::bulk::Compressor<'static>,
    levels: Vec<u8>,
    values: Vec<u8>,
    codes: Vec<u32>,
}

impl Encoder {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            packer: zstd::bulk::Compressor::new(COMPRESSION)?,
            levels: Vec::new(),
            values: Vec::new(),
            codes: Vec::new(),
        })
    }

    /// The column as pages of the layout's size.
    pub(super) fn encode(
        &mut self,
        layout: &Layout,
        spec: &Spec,
        column: &Column,
    ) -> std::io::Result<Chunk> {
        let is_coded = is_coded(column);
        let encoding = spec.form.encoding(is_coded);
        let rows = column.rows();
        let mut chunk = Chunk { rows, encoding: Some(encoding), ..Chunk::default() };
        let mut width = 0;
        if let (true, Column::Coded { words, .. }) = (is_coded, column) {
            self.values.clear();
            words.words().iter().for_each(|word| write_plain(spec.form, word, &mut self.values));
            page::write_words(words.words().len(), &self.values, &mut chunk.bytes);
            chunk.dictionary_bytes = chunk.bytes.len();
            chunk.plain_bytes = chunk.bytes.len();
            width = width_of(words.words().len());
        }
        chunk.is_packed = is_packed(spec, column, is_coded);
        let mut value = 0;
        for start in (0..rows).step_by(layout.page_rows) {
            let range = start..rows.min(start + layout.page_rows);
            self.levels.clear();
            self.values.clear();
            let nulls = if spec.is_optional { self.levels(column, range.clone()) } else { 0 };
            self.values(spec, column, range.clone(), width, value);
            value += range.len() - nulls;
            chunk.nulls += nulls;
            let span = chunk.bytes.len();
            let rows = Rows {
                count: range.len(),
                nulls,
                encoding,
                levels: &self.levels,
                values: &self.values,
            };
            let packer = chunk.is_packed.then_some(&mut self.packer);
            chunk.plain_bytes += page::write_rows(&rows, packer, &mut chunk.bytes)?;
            let len = chunk.bytes.len() - span;
            chunk.pages.push(PageSpan { start: span, len, rows: range.len() });
        }
        Ok(chunk)
    }

    /// Writes which rows have a value; answers how many have none.
    fn levels(&mut self, column: &Column, range: Range<usize>) -> usize {
        self.codes.clear();
        match column {
            Column::Coded { codes, .. } => {
                self.codes.extend(codes[range].iter().map(|code| u32::from(*code != NONE)));
            }
            Column::Bytes { levels, .. } => self.codes.extend_from_slice(&levels[range]),
            _ => panic!("only coded columns and bytes are optional"),
        }
        write_runs(&self.codes, 1, &mut self.levels);
        self.codes.iter().filter(|level| **level == 0).count()
    }

    /// Writes the values of the rows that have one. `value` is the first one's place among them.
    fn values(
        &mut self,
        spec: &Spec,
        column: &Column,
        range: Range<usize>,
        width: u32,
        value: usize,
    ) {
        let out = &mut self.values;
        match column {
            Column::Fixed { width, bytes } => {
                out.extend_from_slice(&bytes[range.start * width..range.end * width]);
            }
            Column::Long(values) => write_deltas(&values[range], out),
            Column::Flag(values) => {
                out.extend_from_slice(&[0; 4]);
                write_runs(&values[range], 1, out);
                let runs = u32::try_from(out.len() - 4).expect("a page of flags is short");
                out[..4].copy_from_slice(&runs.to_le_bytes());
            }
            Column::Coded { words, codes } => {
                let present = codes[range].iter().filter(|code| **code != NONE);
                if width == 0 {
                    for code in present {
                        let word = words.words().get(*code as usize);
                        write_plain(spec.form, word.expect("a code has a word"), out);
                    }
                } else {
                    out.push(width.to_le_bytes()[0]);
                    self.codes.clear();
                    self.codes.extend(present);
                    write_runs(&self.codes, width, out);
                }
            }
            Column::Bytes { levels, values } => {
                let count = levels[range].iter().sum::<u32>() as usize;
                for place in value..value + count {
                    let word = values.get(place).expect("each level 1 has a value");
                    write_plain(spec.form, word, out);
                }
            }
        }
    }
}

/// A value as Parquet's plain encoding has it.
fn write_plain(form: Form, word: &[u8], out: &mut Vec<u8>) {
    if form.width().is_none() {
        let length = u32::try_from(word.len()).expect("what a request holds is short");
        out.extend_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(word);
}

/// Whether the column is written as a dictionary and codes.
fn is_coded(column: &Column) -> bool {
    let Column::Coded { words, .. } = column else { return false };
    let bytes = words.words().iter().map(|word| word.len() + 4).sum::<usize>();
    bytes > 0 && bytes <= DICTIONARY_BYTES_MAX
}

/// Whether compression is worth its while: not for codes, which a look-up then reads in place.
fn is_packed(spec: &Spec, column: &Column, is_coded: bool) -> bool {
    match column {
        Column::Fixed { .. } => spec.form == Form::Id,
        Column::Long(_) | Column::Flag(_) => false,
        Column::Coded { words, .. } => !is_coded && words.words().len() > 0,
        Column::Bytes { values, .. } => values.len() > 0,
    }
}
