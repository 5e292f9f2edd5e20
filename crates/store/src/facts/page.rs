//! A page: some 2,000 rows of one column, with a header and a checksum.
//!
//! Written here rather than by the `parquet` crate, for that writes no checksums, and pages of
//! all columns have to begin at the same rows for a look-up. Reading checks the sum before
//! anything else, and takes nothing for granted after it either.

use super::bits::{self, read_varint, unzigzag, write_varint, zigzag};
use std::borrow::Cow;
use std::cell::RefCell;
use std::num::NonZeroU8;

/// The most bytes a page may say it has: more is damage, not data.
const PAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How the values of a page are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    /// Runs of bits, with their length before them.
    Runs,
    Deltas,
    /// The width of a code, then runs of codes.
    Codes,
}

impl Encoding {
    /// Parquet's number for it.
    fn number(self) -> i64 {
        match self {
            Self::Plain => 0,
            Self::Runs => 3,
            Self::Deltas => 5,
            Self::Codes => 8,
        }
    }

    fn from_number(number: i64) -> Option<Self> {
        [Self::Plain, Self::Runs, Self::Deltas, Self::Codes]
            .into_iter()
            .find(|encoding| encoding.number() == number)
    }
}

/// Parquet's numbers for the kinds of pages used here.
const DICTIONARY_PAGE: i64 = 2;
const DATA_PAGE: i64 = 3;
/// The places of their own parts in a header.
const DICTIONARY_PLACE: u8 = 7;
const DATA_PLACE: u8 = 8;
/// Thrift's compact protocol: types of fields.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const STRUCT: u8 = 12;

/// What a page's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// Of the whole page, without the header.
    plain_bytes: usize,
    stored_bytes: usize,
    crc: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dictionary { words: usize },
    Data { rows: usize, nulls: usize, encoding: Encoding, level_bytes: usize, is_packed: bool },
}

/// The rows of a page before they are compressed.
pub(super) struct Rows<'a> {
    pub(super) count: usize,
    pub(super) nulls: usize,
    pub(super) encoding: Encoding,
    /// Runs of bits: which rows have a value. Empty where all must.
    pub(super) levels: &'a [u8],
    pub(super) values: &'a [u8],
}

/// Appends a page of rows; its values compressed, where there is a compressor. Answers how many
/// bytes it has before compression, with its header.
pub(super) fn write_rows(
    rows: &Rows<'_>,
    packer: Option<&mut zstd::bulk::Compressor<'static>>,
    out: &mut Vec<u8>,
) -> std::io::Result<usize> {
    let packed = match packer {
        Some(packer) => Some(packer.compress(rows.values)?),
        None => None,
    };
    let values = packed.as_deref().unwrap_or(rows.values);
    let mut crc = crc32fast::Hasher::new();
    crc.update(rows.levels);
    crc.update(values);
    let header = Header {
        plain_bytes: rows.levels.len() + rows.values.len(),
        stored_bytes: rows.levels.len() + values.len(),
        crc: crc.finalize(),
        kind: Kind::Data {
            rows: rows.count,
            nulls: rows.nulls,
            encoding: rows.encoding,
            level_bytes: rows.levels.len(),
            is_packed: packed.is_some(),
        },
    };
    let start = out.len();
    write_header(&header, out);
    let header_bytes = out.len() - start;
    out.extend_from_slice(rows.levels);
    out.extend_from_slice(values);
    Ok(header_bytes + header.plain_bytes)
}

/// Appends a page of so many words, as they are.
pub(super) fn write_words(words: usize, bytes: &[u8], out: &mut Vec<u8>) {
    let header = Header {
        plain_bytes: bytes.len(),
        stored_bytes: bytes.len(),
        crc: crc32fast::hash(bytes),
        kind: Kind::Dictionary { words },
    };
    write_header(&header, out);
    out.extend_from_slice(bytes);
}

fn write_header(header: &Header, out: &mut Vec<u8>) {
    let mut fields = Fields { out, last: 0 };
    let (kind, place) = match header.kind {
        Kind::Dictionary { .. } => (DICTIONARY_PAGE, DICTIONARY_PLACE),
        Kind::Data { .. } => (DATA_PAGE, DATA_PLACE),
    };
    fields.number(1, kind);
    fields.count(2, header.plain_bytes);
    fields.count(3, header.stored_bytes);
    fields.number(4, i64::from(header.crc.cast_signed()));
    fields.begin(place, STRUCT);
    let mut inner = Fields { out: fields.out, last: 0 };
    match header.kind {
        Kind::Dictionary { words } => {
            inner.count(1, words);
            inner.number(2, Encoding::Plain.number());
            inner.flag(3, false);
        }
        Kind::Data { rows, nulls, encoding, level_bytes, is_packed } => {
            inner.count(1, rows);
            inner.count(2, nulls);
            inner.count(3, rows);
            inner.number(4, encoding.number());
            inner.count(5, level_bytes);
            inner.count(6, 0);
            inner.flag(7, is_packed);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// Writes the fields of a struct in Thrift's compact protocol.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    last: u8,
}

impl Fields<'_> {
    fn begin(&mut self, place: u8, of: u8) {
        self.out.push((place - self.last) << 4 | of);
        self.last = place;
    }

    fn number(&mut self, place: u8, number: i64) {
        self.begin(place, I32);
        write_varint(zigzag(number), self.out);
    }

    fn count(&mut self, place: u8, count: usize) {
        let count = i32::try_from(count).expect("a page is far smaller than 2 GiB");
        self.number(place, i64::from(count));
    }

    fn flag(&mut self, place: u8, flag: bool) {
        self.begin(place, if flag { TRUE } else { FALSE });
    }
}

/// Takes a header off the front of `bytes`.
fn read_header(bytes: &mut &[u8]) -> Option<Header> {
    let outer = read_fields(bytes, true)?;
    let size = |place: usize| {
        let size = usize::try_from(outer.numbers[place]?).ok()?;
        (size <= PAGE_BYTES_MAX).then_some(size)
    };
    let (place, inner) = outer.inner?;
    let count = |place: usize| usize::try_from(inner[place]?).ok();
    let kind = match (outer.numbers[1]?, place) {
        (DICTIONARY_PAGE, DICTIONARY_PLACE)
            if inner[2..4] == [Some(Encoding::Plain.number()), Some(0)] =>
        {
            Kind::Dictionary { words: count(1)? }
        }
        // As many rows as values, and nothing is repeated.
        (DATA_PAGE, DATA_PLACE) if inner[1] == inner[3] && inner[6] == Some(0) => Kind::Data {
            rows: count(1)?,
            nulls: count(2)?,
            encoding: Encoding::from_number(inner[4]?)?,
            level_bytes: count(5)?,
            is_packed: inner[7]? == 1,
        },
        _ => return None,
    };
    let crc = i32::try_from(outer.numbers[4]?).ok()?.cast_unsigned();
    Some(Header { plain_bytes: size(2)?, stored_bytes: size(3)?, crc, kind })
}

/// The numbers of a struct by their places, and of the one struct within.
struct Read {
    numbers: [Option<i64>; 9],
    inner: Option<(u8, [Option<i64>; 9])>,
}

fn read_fields(bytes: &mut &[u8], is_outer: bool) -> Option<Read> {
    let mut read = Read { numbers: [None; 9], inner: None };
    let mut place = 0_u8;
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if *first == 0 {
            return Some(read);
        }
        // Places only grow, by at least one.
        place += NonZeroU8::new(first >> 4)?.get();
        let slot = read.numbers.get_mut(usize::from(place))?;
        match first & 0x0f {
            TRUE => *slot = Some(1),
            FALSE => *slot = Some(0),
            I32 => *slot = Some(unzigzag(read_varint(bytes)?)),
            STRUCT if is_outer => read.inner = Some((place, read_fields(bytes, false)?.numbers)),
            _ => return None,
        }
    }
}

/// A page that was read: its checksum was right.
pub(super) struct Page<'a> {
    pub(super) rows: usize,
    pub(super) nulls: usize,
    pub(super) encoding: Encoding,
    levels: &'a [u8],
    pub(super) values: Cow<'a, [u8]>,
}

/// Takes a page's header and bytes off the front of `bytes`.
fn split_page<'a>(bytes: &mut &'a [u8]) -> Result<(Header, &'a [u8]), &'static str> {
    let header = read_header(bytes).ok_or("a page's header does not read")?;
    let (stored, rest) =
        bytes.split_at_checked(header.stored_bytes).ok_or("a page is cut short")?;
    *bytes = rest;
    if crc32fast::hash(stored) != header.crc {
        return Err("a page's checksum is wrong");
    }
    Ok((header, stored))
}

/// Takes the dictionary off the front of `bytes`: how many words, and their bytes.
pub(super) fn read_words<'a>(bytes: &mut &'a [u8]) -> Result<(usize, &'a [u8]), &'static str> {
    match split_page(bytes)? {
        (Header { kind: Kind::Dictionary { words }, plain_bytes, .. }, stored)
            if plain_bytes == stored.len() =>
        {
            Ok((words, stored))
        }
        _ => Err("this is no dictionary"),
    }
}

/// Decompresses values.
fn unpack(packed: &[u8], plain_bytes: usize) -> Result<Vec<u8>, &'static str> {
    thread_local! {
        /// Making one takes as long as a page does.
        static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
            const { RefCell::new(None) };
    }
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = match unpacker {
            Some(unpacker) => unpacker,
            None => {
                let made = zstd::bulk::Decompressor::new();
                unpacker.insert(made.map_err(|_| "there is no memory to decompress with")?)
            }
        };
        unpacker.decompress(packed, plain_bytes).map_err(|_| "a page does not decompress")
    })
}

impl<'a> Page<'a> {
    /// Takes a page of rows off the front of `bytes`.
    pub(super) fn read(bytes: &mut &'a [u8]) -> Result<Self, &'static str> {
        let (header, stored) = split_page(bytes)?;
        let Kind::Data { rows, nulls, encoding, level_bytes, is_packed } = header.kind else {
            return Err("a dictionary stands where a page of rows should");
        };
        let (levels, packed) =
            stored.split_at_checked(level_bytes).ok_or("a page's levels are cut short")?;
        let plain_bytes = header.plain_bytes.checked_sub(level_bytes);
        let plain_bytes = plain_bytes.ok_or("a page's lengths contradict each other")?;
        let values = match is_packed {
            true => Cow::Owned(unpack(packed, plain_bytes)?),
            false => Cow::Borrowed(packed),
        };
        // The header is outside the checksum: what it says is held against what is inside.
        let present = match levels {
            [] => Some(rows),
            levels => bits::count_ones(levels, rows),
        };
        if present.is_none_or(|present| present + nulls != rows) || values.len() != plain_bytes {
            return Err("a page's header contradicts the page");
        }
        Ok(Self { rows, nulls, encoding, levels, values })
    }

    /// Where in the page's values a row's is; `Some(None)` where it has none, `None` where the page
    /// is not what it says.
    #[expect(clippy::option_option, reason = "damage and absence are different answers")]
    pub(super) fn place(&self, row: usize) -> Option<Option<usize>> {
        if self.nulls == 0 {
            return Some(Some(row));
        }
        if self.nulls == self.rows || bits::run_at(self.levels, 1, row)? == 0 {
            return Some(None);
        }
        bits::ones_before(self.levels, row).map(Some)
    }

    /// Appends for each row 1 where it has a value, else 0.
    pub(super) fn read_levels(&self, out: &mut Vec<u32>) -> Option<()> {
        if self.nulls == 0 || self.nulls == self.rows {
            out.resize(out.len() + self.rows, u32::from(self.nulls == 0));
            return Some(());
        }
        bits::read_runs(self.levels, 1, self.rows, out)
    }

    /// How many rows have a value.
    pub(super) fn present(&self) -> usize {
        self.rows - self.nulls
    }

    /// The width of the page's codes, and their runs.
    pub(super) fn codes(&self) -> Option<(u32, &[u8])> {
        let (width, runs) = self.values.split_first()?;
        Some((u32::from(*width), runs))
    }

    /// The runs of a page of flags, after their length.
    pub(super) fn flags(&self) -> Option<&[u8]> {
        let (length, runs) = self.values.split_first_chunk()?;
        (u32::from_le_bytes(*length) as usize == runs.len()).then_some(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(packer: Option<&mut zstd::bulk::Compressor<'static>>) -> Vec<u8> {
        let mut levels = Vec::new();
        bits::write_runs(&[1, 0, 1], 1, &mut levels);
        let rows = Rows {
            count: 3,
            nulls: 1,
            encoding: Encoding::Plain,
            levels: &levels,
            values: b"some values, some values, some values",
        };
        let mut out = Vec::new();
        write_rows(&rows, packer, &mut out).unwrap();
        out
    }

    #[test]
    fn a_page_reads_as_it_was_written() {
        let mut packer = zstd::bulk::Compressor::new(1).unwrap();
        for packer in [None, Some(&mut packer)] {
            let bytes = written(packer);
            let mut rest = &bytes[..];
            let page = Page::read(&mut rest).unwrap();
            assert!(rest.is_empty());
            assert_eq!((page.rows, page.nulls, page.encoding), (3, 1, Encoding::Plain));
            assert_eq!(&page.values[..], b"some values, some values, some values");
            let places: Vec<_> = (0..3).map(|row| page.place(row).unwrap()).collect();
            assert_eq!(places, [Some(0), None, Some(1)]);
        }
    }

    #[test]
    fn a_changed_bit_is_noticed() {
        let bytes = written(None);
        for place in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[place / 8] ^= 1 << (place % 8);
            // But for the encoding, which the caller knows.
            if let Ok(page) = Page::read(&mut &changed[..]) {
                assert_ne!(page.encoding, Encoding::Plain, "bit {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn noise_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            _ = read_words(&mut &bytes[..]);
            if let Ok(page) = Page::read(&mut &bytes[..]) {
                _ = (page.place(3), page.codes().is_some(), page.flags().is_some());
            }
        }
    }
}
