//! The values of a page: one of them, or all.
//!
//! Nothing here knows which column it reads; [`Form`] says how, and whoever read the page has
//! compared its encoding with that. `None` is damage.

use super::bits::{read_deltas, read_runs, run_at};
use super::layout::Form;
use super::page::{Encoding, Page};
use super::words::{NONE, Words};

/// Hands the first `count` plain values to `each`; answers what comes after them.
pub(super) fn read_plain<'b>(
    mut bytes: &'b [u8],
    form: Form,
    count: usize,
    mut each: impl FnMut(&'b [u8]),
) -> Option<&'b [u8]> {
    for _ in 0..count {
        let length = match form.width() {
            Some(width) => width,
            None => {
                let (length, rest) = bytes.split_first_chunk()?;
                bytes = rest;
                u32::from_le_bytes(*length) as usize
            }
        };
        let (value, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        each(value);
    }
    Some(bytes)
}

/// The row's value of a column of [`Form::Count`] or of time.
pub(super) fn long_at(page: &Page<'_>, row: usize) -> Option<i64> {
    let mut values = Vec::with_capacity(row + 1);
    read_deltas(&page.values, row + 1, &mut values)?;
    values.get(row).copied()
}

/// Whether the row's flag is set.
pub(super) fn flag_at(page: &Page<'_>, row: usize) -> Option<bool> {
    Some(run_at(page.flags()?, 1, row)? == 1)
}

/// What a coded column or one of bytes has in a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cell {
    None,
    /// The place of the word in the dictionary.
    Code(usize),
    Bytes(Vec<u8>),
}

/// The row's word or bytes.
pub(super) fn cell_at(page: &Page<'_>, form: Form, row: usize) -> Option<Cell> {
    let Some(place) = page.place(row)? else {
        return Some(Cell::None);
    };
    match page.encoding {
        Encoding::Codes => {
            let (width, runs) = page.codes()?;
            Some(Cell::Code(run_at(runs, width, place)? as usize))
        }
        Encoding::Plain => {
            let mut last = None;
            read_plain(&page.values, form, place + 1, |value| last = Some(value))?;
            Some(Cell::Bytes(last?.to_vec()))
        }
        _ => None,
    }
}

/// The row's bytes of a column of [`Form::Fixed`].
pub(super) fn fixed_at<const WIDTH: usize>(page: &Page<'_>, row: usize) -> Option<[u8; WIDTH]> {
    page.values.get(row * WIDTH..(row + 1) * WIDTH)?.try_into().ok()
}

/// The first row of a page of keys that is not below `key`, and whether it is `key`.
pub(super) fn lower_bound(page: &Page<'_>, form: Form, key: u128) -> Option<(usize, bool)> {
    if form != Form::Id {
        let mut keys = Vec::with_capacity(page.rows);
        read_deltas(&page.values, page.rows, &mut keys)?;
        let key_of = |key: &i64| u128::from(key.cast_unsigned());
        let row = keys.partition_point(|value| key_of(value) < key);
        return Some((row, keys.get(row).is_some_and(|value| key_of(value) == key)));
    }
    let (ids, rest) = page.values.as_chunks::<16>();
    if ids.len() != page.rows || !rest.is_empty() {
        return None;
    }
    let row = ids.partition_point(|id| u128::from_be_bytes(*id) < key);
    Some((row, ids.get(row).is_some_and(|id| u128::from_be_bytes(*id) == key)))
}

/// All rows of a page.
#[derive(Debug)]
pub(super) enum Values {
    Fixed {
        width: usize,
        bytes: Vec<u8>,
    },
    Long(Vec<i64>),
    /// 0 or 1.
    Flags(Vec<u32>),
    /// [`NONE`] where a row has no value.
    Codes(Vec<u32>),
    /// 1 for each row with a value, 0 for others; and the values.
    Words {
        levels: Vec<u32>,
        words: Words,
    },
}

/// Reads all rows of a page. `words` is how many the column's dictionary has.
pub(super) fn read_all(page: &Page<'_>, form: Form, words: usize) -> Option<Values> {
    match (form, page.encoding) {
        (Form::Id | Form::Fixed(_), Encoding::Plain) => {
            let width = form.width()?;
            let bytes = page.values.to_vec();
            (bytes.len() == page.rows * width).then_some(Values::Fixed { width, bytes })
        }
        (Form::Count | Form::AtMs | Form::AtUs, Encoding::Deltas) => {
            let mut values = Vec::with_capacity(page.rows);
            read_deltas(&page.values, page.rows, &mut values)?;
            (values.len() == page.rows).then_some(Values::Long(values))
        }
        (Form::Flag, Encoding::Runs) => {
            let mut flags = Vec::with_capacity(page.rows);
            read_runs(page.flags()?, 1, page.rows, &mut flags)?;
            Some(Values::Flags(flags))
        }
        (Form::Number | Form::Amount | Form::Text, Encoding::Codes) => {
            let mut codes = Vec::with_capacity(page.rows);
            read_codes(page, words, &mut codes)?;
            Some(Values::Codes(codes))
        }
        (Form::Number | Form::Amount | Form::Text | Form::Bytes, Encoding::Plain) => {
            let mut levels = Vec::with_capacity(page.rows);
            page.read_levels(&mut levels)?;
            let mut words = Words::default();
            let present = page.present();
            let rest = read_plain(&page.values, form, present, |value| words.push(value))?;
            rest.is_empty().then_some(Values::Words { levels, words })
        }
        _ => None,
    }
}

/// Appends the code of each row, [`NONE`] where it has no value. All are below `words`.
pub(super) fn read_codes(page: &Page<'_>, words: usize, out: &mut Vec<u32>) -> Option<()> {
    let start = out.len();
    let (width, runs) = page.codes()?;
    read_runs(runs, width, page.present(), out)?;
    let greatest = out[start..].iter().copied().max();
    if greatest.is_some_and(|code| code as usize >= words) {
        return None;
    }
    if page.nulls == 0 {
        return Some(());
    }
    // Spread from the back, so that no code is overwritten before it has moved.
    let mut levels = Vec::with_capacity(page.rows);
    page.read_levels(&mut levels)?;
    out.resize(start + page.rows, NONE);
    let mut place = start + page.present();
    for (row, level) in levels.iter().enumerate().rev() {
        out[start + row] = if *level == 1 {
            place = place.checked_sub(1).filter(|place| *place >= start)?;
            out[place]
        } else {
            NONE
        };
    }
    (place == start).then_some(())
}
