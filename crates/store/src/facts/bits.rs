//! The bit-level encodings of Parquet that the facts use, both ways.
//!
//! Reading trusts nothing: what does not decode is `None`, never a panic, and the caller says
//! which file it was. The formats are those of
//! <https://github.com/apache/parquet-format/blob/master/Encodings.md>.

/// The widest code that is packed: a row group has fewer rows than this can count.
pub(super) const WIDTH_MAX: u32 = 20;

/// Values of one kind in a row from which a run is written as one.
const REPEAT_MIN: usize = 16;
/// Packed values come in groups of this many.
const PACK: usize = 8;
/// How a block of differences is divided.
const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// How many bits the numbers below `count` need: at least one, for not every reader takes none.
pub(super) fn width_of(count: usize) -> u32 {
    count.saturating_sub(1).checked_ilog2().map_or(1, |bits| bits + 1)
}

pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Reads a number from the front of `bytes` and takes it off.
pub(super) fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Small numbers of either sign as small numbers without one.
pub(super) fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends `codes` as runs: repeated ones once with their count, others packed into `width` bits
/// each. Each code is below 2 to the `width`.
pub(super) fn write_runs(codes: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < codes.len() {
        let repeats = codes[at..].iter().take_while(|code| **code == codes[at]).count();
        if repeats >= REPEAT_MIN {
            write_packed(&codes[packed_from..at], width, out);
            write_varint((repeats as u64) << 1, out);
            let code = codes[at].to_le_bytes();
            out.extend_from_slice(&code[..width.div_ceil(8) as usize]);
            at += repeats;
            packed_from = at;
        } else {
            at += PACK;
        }
    }
    write_packed(&codes[packed_from..], width, out);
}

/// A packed run; only the last of a page may have a count that is no multiple of eight.
fn write_packed(codes: &[u32], width: u32, out: &mut Vec<u8>) {
    if codes.is_empty() {
        return;
    }
    let groups = codes.len().div_ceil(PACK);
    write_varint((groups as u64) << 1 | 1, out);
    let padding = groups * PACK - codes.len();
    pack(
        codes.iter().map(|code| u64::from(*code)).chain(std::iter::repeat_n(0, padding)),
        width,
        out,
    );
}

/// Appends values of `width` bits each, least significant first.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let mut held = 0_u128;
    let mut bits = 0;
    for value in values {
        held |= u128::from(value) << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&held.to_le_bytes()[..8]);
            held >>= u64::BITS;
            bits -= u64::BITS;
        }
    }
    out.extend_from_slice(&held.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

/// A stretch of codes.
enum Run<'a> {
    Repeat {
        code: u32,
        count: usize,
    },
    /// Its count may be more than the page holds: the rest is padding.
    Packed {
        bytes: &'a [u8],
        count: usize,
    },
}

impl Run<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Repeat { count, .. } | Self::Packed { count, .. } => *count,
        }
    }
}

/// Takes the first run off `bytes`.
fn read_run<'a>(bytes: &mut &'a [u8], width: u32) -> Option<Run<'a>> {
    if !(1..=WIDTH_MAX).contains(&width) {
        return None;
    }
    let header = read_varint(bytes)?;
    let count = usize::try_from(header >> 1).ok()?;
    if header & 1 == 1 {
        let (packed, rest) = bytes.split_at_checked(count.checked_mul(width as usize)?)?;
        *bytes = rest;
        return Some(Run::Packed { bytes: packed, count: count.checked_mul(PACK)? });
    }
    let (code, rest) = bytes.split_at_checked(width.div_ceil(8) as usize)?;
    *bytes = rest;
    let mut whole = [0; 4];
    whole.get_mut(..code.len())?.copy_from_slice(code);
    Some(Run::Repeat { code: u32::from_le_bytes(whole), count })
}

/// Appends the `count` codes that were written with [`write_runs`].
pub(super) fn read_runs(
    mut bytes: &[u8],
    width: u32,
    count: usize,
    out: &mut Vec<u32>,
) -> Option<()> {
    let end = out.len() + count;
    while out.len() < end {
        let left = end - out.len();
        match read_run(&mut bytes, width)? {
            Run::Repeat { code, count } => out.resize(out.len() + count.min(left), code),
            Run::Packed { bytes, count } => {
                unpack(bytes, width, out)?;
                out.truncate(out.len() - count.saturating_sub(left));
            }
        }
    }
    Some(())
}

/// The code at `index` of those written with [`write_runs`].
pub(super) fn run_at(mut bytes: &[u8], width: u32, mut index: usize) -> Option<u32> {
    loop {
        let run = read_run(&mut bytes, width)?;
        if index >= run.count() {
            index -= run.count();
            continue;
        }
        return match run {
            Run::Repeat { code, .. } => Some(code),
            Run::Packed { bytes, .. } => {
                let code = bits_at(bytes, index.checked_mul(width as usize)?, width)?;
                u32::try_from(code).ok()
            }
        };
    }
}

/// How many of the first `count` one-bit codes are 1.
pub(super) fn ones_before(mut bytes: &[u8], mut count: usize) -> Option<usize> {
    let mut ones = 0;
    while count > 0 {
        let run = read_run(&mut bytes, 1)?;
        let taken = run.count().min(count);
        ones += match run {
            Run::Repeat { code, .. } => taken * code as usize,
            Run::Packed { bytes, .. } => {
                let whole = bytes[..taken / 8].iter().map(|byte| byte.count_ones()).sum::<u32>();
                let rest = taken % 8;
                let part = if rest == 0 { 0 } else { bytes[taken / 8] & ((1 << rest) - 1) };
                (whole + part.count_ones()) as usize
            }
        };
        count -= taken;
        if taken == 0 {
            return None;
        }
    }
    Some(ones)
}

/// How many of `count` one-bit codes are 1, where they are all that `bytes` has.
pub(super) fn count_ones(bytes: &[u8], count: usize) -> Option<usize> {
    let (mut rest, mut left) = (bytes, count);
    while left > 0 {
        left = left.saturating_sub(read_run(&mut rest, 1)?.count());
    }
    if rest.is_empty() { ones_before(bytes, count) } else { None }
}

/// Appends all values of a packed run.
fn unpack(bytes: &[u8], width: u32, out: &mut Vec<u32>) -> Option<()> {
    // A loop for each width, so that its shifts are constants: three times as fast as one loop.
    match width {
        1 => unpack_of::<1>(bytes, out),
        2 => unpack_of::<2>(bytes, out),
        3 => unpack_of::<3>(bytes, out),
        4 => unpack_of::<4>(bytes, out),
        5 => unpack_of::<5>(bytes, out),
        6 => unpack_of::<6>(bytes, out),
        7 => unpack_of::<7>(bytes, out),
        8 => unpack_of::<8>(bytes, out),
        9 => unpack_of::<9>(bytes, out),
        10 => unpack_of::<10>(bytes, out),
        11 => unpack_of::<11>(bytes, out),
        12 => unpack_of::<12>(bytes, out),
        13 => unpack_of::<13>(bytes, out),
        14 => unpack_of::<14>(bytes, out),
        15 => unpack_of::<15>(bytes, out),
        16 => unpack_of::<16>(bytes, out),
        17 => unpack_of::<17>(bytes, out),
        18 => unpack_of::<18>(bytes, out),
        19 => unpack_of::<19>(bytes, out),
        20 => unpack_of::<20>(bytes, out),
        _ => return None,
    }
    Some(())
}

fn unpack_of<const WIDTH: usize>(bytes: &[u8], out: &mut Vec<u32>) {
    let (groups, _) = bytes.as_chunks::<WIDTH>();
    out.reserve(groups.len() * PACK);
    for group in groups {
        let mut values = [0_u32; PACK];
        for (index, value) in values.iter_mut().enumerate() {
            let first = index * WIDTH;
            let mut held = 0_u32;
            // A value of at most 20 bits lies in at most four bytes.
            for part in 0..4 {
                let byte = first / 8 + part;
                if byte < WIDTH && byte * 8 < first + WIDTH {
                    held |= u32::from(group[byte]) << (part * 8);
                }
            }
            *value = held >> (first % 8) & ((1 << WIDTH) - 1);
        }
        out.extend_from_slice(&values);
    }
}

/// `width` bits from the bit `from` on; 64 at most.
fn bits_at(bytes: &[u8], from: usize, width: u32) -> Option<u64> {
    if width > u64::BITS {
        return None;
    }
    let first = from / 8;
    let last = (from + width as usize).div_ceil(8);
    let part = bytes.get(first..last)?;
    let mut whole = [0; 16];
    whole[..part.len()].copy_from_slice(part);
    let mask = (1_u128 << width) - 1;
    u64::try_from(u128::from_le_bytes(whole) >> (from % 8) & mask).ok()
}

/// Appends numbers as differences, each block of them packed as narrow as it goes.
pub(super) fn write_deltas(values: &[i64], out: &mut Vec<u8>) {
    for number in [BLOCK, MINIBLOCKS, values.len()] {
        write_varint(number as u64, out);
    }
    write_varint(zigzag(values.first().copied().unwrap_or(0)), out);
    let deltas: Vec<i64> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    for block in deltas.chunks(BLOCK) {
        let least = block.iter().copied().min().expect("a chunk is not empty");
        write_varint(zigzag(least), out);
        let above = |delta: &i64| delta.wrapping_sub(least).cast_unsigned();
        let widths: [u32; MINIBLOCKS] = std::array::from_fn(|mini| {
            let part = block.iter().skip(mini * MINIBLOCK).take(MINIBLOCK);
            part.map(|delta| 64 - above(delta).leading_zeros()).max().unwrap_or(0)
        });
        out.extend(widths.map(|width| width.to_le_bytes()[0]));
        for (mini, part) in block.chunks(MINIBLOCK).enumerate() {
            let padding = std::iter::repeat_n(0, MINIBLOCK - part.len());
            pack(part.iter().map(above).chain(padding), widths[mini], out);
        }
    }
}

/// Appends the first `count` numbers written with [`write_deltas`], or all where there are fewer.
pub(super) fn read_deltas(mut bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Option<()> {
    let block = usize::try_from(read_varint(&mut bytes)?).ok()?;
    let minis = usize::try_from(read_varint(&mut bytes)?).ok()?;
    let total = usize::try_from(read_varint(&mut bytes)?).ok()?;
    if block != BLOCK || minis != MINIBLOCKS {
        return None;
    }
    let mut value = unzigzag(read_varint(&mut bytes)?);
    let mut left = total.min(count);
    if left == 0 {
        return Some(());
    }
    out.push(value);
    left -= 1;
    while left > 0 {
        let least = unzigzag(read_varint(&mut bytes)?);
        let (widths, rest) = bytes.split_first_chunk::<MINIBLOCKS>()?;
        bytes = rest;
        for width in widths {
            let width = u32::from(*width);
            if left == 0 || width > 64 {
                break;
            }
            let (packed, rest) = bytes.split_at_checked(MINIBLOCK * width as usize / 8)?;
            bytes = rest;
            for index in 0..MINIBLOCK.min(left) {
                let above = bits_at(packed, index * width as usize, width)?;
                value = value.wrapping_add(least).wrapping_add(above.cast_signed());
                out.push(value);
            }
            left = left.saturating_sub(MINIBLOCK);
        }
        if widths.iter().any(|width| *width > 64) {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn codes() -> impl Strategy<Value = (Vec<u32>, u32)> {
        let runs = proptest::collection::vec((any::<u32>(), 1..40_usize), 0..40);
        (runs, 1..=WIDTH_MAX).prop_map(|(runs, width)| {
            let of = |(code, count): (u32, usize)| {
                std::iter::repeat_n(u64::from(code) % (1 << width), count)
            };
            let codes = runs.into_iter().flat_map(of);
            (codes.map(|code| u32::try_from(code).unwrap()).collect(), width)
        })
    }

    proptest! {
        #[test]
        fn codes_read_as_they_were_written((codes, width) in codes()) {
            let mut bytes = Vec::new();
            write_runs(&codes, width, &mut bytes);
            let mut read = vec![9];
            prop_assert_eq!(read_runs(&bytes, width, codes.len(), &mut read), Some(()));
            prop_assert_eq!(&read[1..], &codes[..]);
            for (index, code) in codes.iter().enumerate() {
                prop_assert_eq!(run_at(&bytes, width, index), Some(*code));
            }
        }

        #[test]
        fn bits_are_counted_up_to_any_row(bits in proptest::collection::vec(0..2_u32, 0..300)) {
            let mut bytes = Vec::new();
            write_runs(&bits, 1, &mut bytes);
            for count in 0..=bits.len() {
                let ones = bits[..count].iter().sum::<u32>() as usize;
                prop_assert_eq!(ones_before(&bytes, count), Some(ones));
            }
            let ones = bits.iter().sum::<u32>() as usize;
            prop_assert_eq!(count_ones(&bytes, bits.len()), Some(ones));
            bytes.push(2);
            prop_assert_eq!(count_ones(&bytes, bits.len()), None);
        }

        #[test]
        fn numbers_read_as_they_were_written(
            values in proptest::collection::vec(prop_oneof![any::<i64>(), 0..50_i64], 0..400),
        ) {
            let mut bytes = Vec::new();
            write_deltas(&values, &mut bytes);
            for count in [0, 1, values.len() / 2, values.len()] {
                let count = count.min(values.len());
                let mut read = Vec::new();
                prop_assert_eq!(read_deltas(&bytes, count, &mut read), Some(()));
                prop_assert_eq!(&read[..], &values[..count]);
            }
        }

        #[test]
        fn noise_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), width in 0..=32_u32) {
            _ = read_runs(&bytes, width, 100, &mut Vec::new());
            _ = run_at(&bytes, width, 77);
            _ = ones_before(&bytes, 77);
            _ = read_deltas(&bytes, 100, &mut Vec::new());
        }
    }

    #[test]
    fn a_width_holds_the_codes_below_a_count() {
        for (count, width) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (1 << 20, 20)] {
            assert_eq!(width_of(count), width, "{count}");
        }
    }
}
