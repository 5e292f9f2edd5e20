//! The journal's bytes. `docs/journal.md` describes them for who writes another reader.
//!
//! Everything is little-endian, and nothing here does I/O. The checksum of a batch header begins
//! with the journal's random id, which no sender knows: a payload that imitates a batch cannot be
//! taken for one when recovery looks for batches behind a torn one.

/// The first bytes of a segment.
pub(super) const SEGMENT_MAGIC: [u8; 8] = *b"CNTRFOIL";
/// The version of this encoding. A reader refuses later ones.
pub(super) const VERSION: u32 = 1;
/// What a segment's header takes: a whole page, so that no batch is ever written into the sector
/// that holds the header.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 4096;
/// What of that page has a meaning. The rest is zero.
const SEGMENT_HEADER_USED: usize = 68;
pub(super) const BATCH_MAGIC: [u8; 4] = *b"BTCH";
pub(super) const BATCH_HEADER_BYTES: usize = 32;
pub(super) const RECORD_HEADER_BYTES: usize = 18;
/// Batches begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

/// What stands at the start of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u32,
    /// Drawn once for each journal, the same in all its segments.
    pub(super) id: [u8; 16],
    pub(super) node: u16,
    /// Where the segment before ends: the ordinal after its last record.
    pub(super) follows: u64,
    /// The ordinal of this segment's first record; more than `follows` where some were skipped.
    pub(super) first: u64,
    /// No record in this segment is older, no record in those before is later.
    pub(super) floor_us: i64,
}

/// Why there is no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSegment {
    /// The magic or the checksum is wrong.
    Invalid,
    /// It is one, of a version that is not known here.
    Newer(u32),
}

impl SegmentHeader {
    /// The whole page.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::new();
        page.extend(SEGMENT_MAGIC);
        page.extend(VERSION.to_le_bytes());
        page.extend(self.number.to_le_bytes());
        page.extend(self.id);
        page.extend(self.node.to_le_bytes());
        page.extend([0; 6]);
        page.extend(self.follows.to_le_bytes());
        page.extend(self.first.to_le_bytes());
        page.extend(self.floor_us.to_le_bytes());
        page.extend(crc32c::crc32c(&page).to_le_bytes());
        page.resize(usize::try_from(SEGMENT_HEADER_BYTES).expect("a page is small"), 0);
        page
    }

    /// Reads the start of a file.
    pub(super) fn decode(page: &[u8]) -> Result<Self, NoSegment> {
        let (used, _) = page.split_at_checked(SEGMENT_HEADER_USED).ok_or(NoSegment::Invalid)?;
        if used[..8] != SEGMENT_MAGIC {
            return Err(NoSegment::Invalid);
        }
        let version = u32_at(used, 8);
        if version > VERSION {
            return Err(NoSegment::Newer(version));
        }
        if version != VERSION || crc32c::crc32c(&used[..64]) != u32_at(used, 64) {
            return Err(NoSegment::Invalid);
        }
        Ok(Self {
            number: u32_at(used, 12),
            id: array_at(used, 16),
            node: u16_at(used, 32),
            follows: u64_at(used, 40),
            first: u64_at(used, 48),
            floor_us: i64::from_le_bytes(array_at(used, 56)),
        })
    }
}

/// What a checksum of a batch header begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    pub(super) fn new(id: &[u8; 16]) -> Self {
        Self(crc32c::crc32c(id))
    }
}

/// What stands before the records that were written together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) segment: u32,
    /// The ordinal of the first record.
    pub(super) first: u64,
    pub(super) count: u32,
    /// What the records take, without the zeros behind them.
    pub(super) bytes: u32,
    /// Of the records and the zeros behind them.
    pub(super) crc: u32,
}

impl BatchHeader {
    pub(super) fn encode(&self, seed: Seed) -> [u8; BATCH_HEADER_BYTES] {
        let mut raw = [0; BATCH_HEADER_BYTES];
        raw[..4].copy_from_slice(&BATCH_MAGIC);
        raw[4..8].copy_from_slice(&self.segment.to_le_bytes());
        raw[8..16].copy_from_slice(&self.first.to_le_bytes());
        raw[16..20].copy_from_slice(&self.count.to_le_bytes());
        raw[20..24].copy_from_slice(&self.bytes.to_le_bytes());
        raw[24..28].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32c::crc32c_append(seed.0, &raw[..28]);
        raw[28..].copy_from_slice(&crc.to_le_bytes());
        raw
    }

    /// `None` where no batch of this journal begins.
    pub(super) fn decode(raw: &[u8], seed: Seed) -> Option<Self> {
        let (raw, _) = raw.split_at_checked(BATCH_HEADER_BYTES)?;
        let checked =
            raw[..4] == BATCH_MAGIC && crc32c::crc32c_append(seed.0, &raw[..28]) == u32_at(raw, 28);
        checked.then(|| Self {
            segment: u32_at(raw, 4),
            first: u64_at(raw, 8),
            count: u32_at(raw, 16),
            bytes: u32_at(raw, 20),
            crc: u32_at(raw, 24),
        })
    }

    /// The whole batch in the file: header, records, zeros up to the alignment.
    pub(super) fn len(&self) -> u64 {
        (BATCH_HEADER_BYTES as u64 + u64::from(self.bytes)).next_multiple_of(ALIGNMENT as u64)
    }

    /// The ordinal after the last record.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(self.count.into())
    }
}

/// What the journal knows of a record beside its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The payload's format, among those of its kind.
    pub format: u8,
    /// The number of a [`domain::record::Kind`], or of one that a later release has added.
    pub kind: u8,
    pub node: u16,
    /// When it was journaled, in microseconds since 1970. Never less than the record's before.
    pub at_us: i64,
    /// The rules that were in force then.
    pub rules: u16,
}

/// Appends a record. Its time is left zero, for [`stamp`].
pub(super) fn put_record(header: &Header, payload: &[u8], to: &mut Vec<u8>) {
    let bytes = u32::try_from(payload.len()).expect("a record's length is checked before");
    let mut raw = [0; RECORD_HEADER_BYTES];
    raw[0] = header.format;
    raw[1] = header.kind;
    raw[2..4].copy_from_slice(&header.node.to_le_bytes());
    raw[4..12].copy_from_slice(&header.at_us.to_le_bytes());
    raw[12..14].copy_from_slice(&header.rules.to_le_bytes());
    raw[14..].copy_from_slice(&bytes.to_le_bytes());
    to.extend_from_slice(&raw);
    to.extend_from_slice(payload);
}

/// Sets the time of every record in `records`, which [`put_record`] made.
pub(super) fn stamp(records: &mut [u8], at_us: i64) {
    let mut at = 0;
    while at < records.len() {
        records[at + 4..at + 12].copy_from_slice(&at_us.to_le_bytes());
        let payload = u32_at(records, at + 14);
        at += RECORD_HEADER_BYTES + usize::try_from(payload).expect("it is in memory");
    }
}

/// The first record of `records`, its payload, and what follows; `None` where they end too soon.
pub(super) fn split_record(records: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let (raw, rest) = records.split_at_checked(RECORD_HEADER_BYTES)?;
    let (payload, rest) = rest.split_at_checked(usize::try_from(u32_at(raw, 14)).ok()?)?;
    let header = Header {
        format: raw[0],
        kind: raw[1],
        node: u16_at(raw, 2),
        at_us: i64::from_le_bytes(array_at(raw, 4)),
        rules: u16_at(raw, 12),
    };
    Some((header, payload, rest))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes is an array of N bytes")
}
