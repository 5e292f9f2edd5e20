//! The bytes of a small segment. They are those of every journal that was ever written: a change
//! here is a new format version.

use super::*;
use crate::journal::format::{BatchHeader, NoSegment, Seed, SegmentHeader};

/// Explains these bytes, and has the same.
const DOCUMENT: &str = include_str!("../../../../../docs/journal.md");
const SEGMENT_HEADER: &str = "
    43 4e 54 52 46 4f 49 4c 01 00 00 00 01 00 00 00
    61 20 6a 6f 75 72 6e 61 6c 27 73 20 69 64 2e 2e
    05 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
    01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 80
    2f 67 ab 68";
const BATCHES: &str = "
    42 54 43 48 01 00 00 00 01 00 00 00 00 00 00 00
    01 00 00 00 12 00 00 00 36 96 55 b3 4c 21 97 59
    01 04 05 00 40 22 20 18 24 0a 06 00 07 00 00 00
    00 00 00 00 00 00 00 00
    42 54 43 48 01 00 00 00 02 00 00 00 00 00 00 00
    02 00 00 00 2b 00 00 00 87 9e 54 bc ac 0c f4 15
    01 01 05 00 40 22 20 18 24 0a 06 00 07 00 05 00
    00 00 63 6c 69 63 6b 02 03 05 00 40 22 20 18 24
    0a 06 00 07 00 02 00 00 00 7b 7d 00 00 00 00 00";

/// A segment: the header's page, the batches, zeros.
fn golden() -> Vec<u8> {
    let bytes = |hex: &str| -> Vec<u8> {
        hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    };
    let mut segment = bytes(SEGMENT_HEADER);
    segment.resize(4096, 0);
    segment.extend(bytes(BATCHES));
    segment.resize(8192, 0);
    segment
}

#[test]
fn a_segment_is_written_as_these_bytes() {
    let desk = Desk::new();
    desk.at(1_700_000_000_123_456);
    let journal = desk.open();
    let held = desk.disk.hold_syncs("00000001.log");
    let tick = journal.append(Kind::Tick, 1, b"").unwrap();
    held.reached();
    journal.append(Kind::Click, 1, b"click").unwrap();
    let command = journal.append(Kind::Command, 2, b"{}").unwrap();
    drop(held);
    assert_eq!(tick.wait_blocking(), Ok(Position(1)));
    assert_eq!(command.wait_blocking(), Ok(Position(3)));
    assert_eq!(desk.disk.bytes(&segment(1)).unwrap(), golden());
}

#[test]
fn these_bytes_are_read_as_a_segment() {
    let desk = Desk::new();
    drop(desk.open());
    desk.disk.tamper(&segment(1), |bytes| *bytes = golden()).unwrap();
    let journal = desk.open();
    assert_eq!(journal.id(), ID);
    assert_eq!(journal.last_at_us(), 1_700_000_000_123_456);
    let header = |kind: Kind, format| Header {
        format,
        kind: kind as u8,
        node: 5,
        at_us: 1_700_000_000_123_456,
        rules: 7,
    };
    let expected = [
        (1, header(Kind::Tick, 1), b"".to_vec()),
        (2, header(Kind::Click, 1), b"click".to_vec()),
        (3, header(Kind::Command, 2), b"{}".to_vec()),
    ];
    assert_eq!(all_from(&journal, 1), expected);
}

#[test]
fn the_document_shows_these_bytes() {
    let golden = golden();
    let mut shown = 0;
    let hex =
        |text: &str| usize::from_str_radix(text, 16).ok().filter(|_| text.len().is_multiple_of(2));
    for line in DOCUMENT.lines().filter(|line| line.len() > 6 && line[4..].starts_with("  ")) {
        let Some(at) = line.get(..4).and_then(hex) else { continue };
        let bytes: Vec<u8> = line[6..]
            .split(' ')
            .map_while(|text| hex(text).filter(|_| text.len() == 2))
            .map(|byte| u8::try_from(byte).unwrap())
            .collect();
        assert_eq!(bytes, golden[at..at + bytes.len()], "{line}");
        shown += bytes.len();
    }
    assert_eq!(shown, 68 + 1 + 56 + 80 + 1);
}

#[test]
fn headers_read_as_they_were_written() {
    let segment = SegmentHeader {
        number: 0x0102_0304,
        id: ID,
        node: 1023,
        follows: 0x1122_3344_5566_7788,
        first: 0x1122_3344_5567_7788,
        floor_us: -1,
    };
    assert_eq!(SegmentHeader::decode(&segment.encode()), Ok(segment));
    let seed = Seed::new(&ID);
    let batch = BatchHeader { segment: 9, first: 1 << 40, count: 3, bytes: 77, crc: 0xdead_beef };
    assert_eq!(BatchHeader::decode(&batch.encode(seed), seed), Some(batch.clone()));
    assert_eq!(batch.len(), 112);
    assert_eq!(BatchHeader::decode(&batch.encode(Seed::new(&[0; 16])), seed), None);
}

#[test]
fn no_bit_of_a_header_is_without_its_checksum() {
    let (segment, seed) = (golden(), Seed::new(&ID));
    for bit in 0..68 * 8 {
        let mut page = segment[..4096].to_vec();
        page[bit / 8] ^= 1 << (bit % 8);
        let version = u32::from_le_bytes(page[8..12].try_into().unwrap());
        let expected = if version > 1 { NoSegment::Newer(version) } else { NoSegment::Invalid };
        assert_eq!(SegmentHeader::decode(&page), Err(expected), "bit {bit}");
    }
    for bit in 0..32 * 8 {
        let mut batch = segment[4096..4128].to_vec();
        batch[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(BatchHeader::decode(&batch, seed), None, "bit {bit}");
    }
}
