//! A journal record's payload: what each kind and format of record holds.
//!
//! Formats are frozen: a change to one of these structs is a new format number beside the old
//! one, and a reader refuses numbers it does not know. `docs/journal.md` lists them.

use crate::click::Click;
use crate::command::Command;
use crate::hit::Hit;
use crate::id::Position;
use crate::time::Timestamp;

/// The rules this build decides by, stamped on each record it journals.
pub const RULES: u16 = 1;
/// The format this build writes, for every kind of record.
pub const FORMAT: u8 = 1;

/// The kind of a record, by its stable number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Click = 1,
    Hit = 2,
    Command = 3,
    Tick = 4,
}

/// Everything that changes what counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'a> {
    Click(Click<'a>),
    Hit(Hit),
    Command(Box<Command>),
    /// What time brings about by itself happens here, at the record's time.
    Tick,
}

/// A record with its place in the journal and the time it was journaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped<'a> {
    pub position: Position,
    pub at: Timestamp,
    /// The rules in force when it was journaled.
    pub rules: u16,
    pub record: Record<'a>,
}

/// Why a payload does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Written by a later release.
    Newer { kind: u8, format: u8, rules: u16 },
    /// The checksum was right and yet it is not what its format says.
    Damaged { kind: u8, detail: String },
}

impl Record<'_> {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Click(_) => Kind::Click,
            Self::Hit(_) => Kind::Hit,
            Self::Command(_) => Kind::Command,
            Self::Tick => Kind::Tick,
        }
    }
}

/// A click's payload, appended to `out`.
pub fn write_click(click: &Click<'_>, out: &mut Vec<u8>) {
    let taken = std::mem::take(out);
    *out = postcard::to_extend(click, taken).expect("writing to memory cannot fail");
}

/// The payload of any record.
pub fn write(record: &Record<'_>) -> Vec<u8> {
    match record {
        Record::Click(click) => {
            let mut out = Vec::with_capacity(128);
            write_click(click, &mut out);
            out
        }
        Record::Hit(hit) => postcard::to_allocvec(hit).expect("writing to memory cannot fail"),
        // Commands are few, nested and grow: JSON reads itself, and an auditor can read it too.
        Record::Command(command) => {
            serde_json::to_vec(command).expect("a command has no map with other keys than text")
        }
        Record::Tick => Vec::new(),
    }
}

/// Reads a payload that [`write()`] made. Clicks borrow from it.
pub fn read(kind: u8, format: u8, rules: u16, payload: &[u8]) -> Result<Record<'_>, Unreadable> {
    if format > FORMAT || rules > RULES || kind > Kind::Tick as u8 {
        return Err(Unreadable::Newer { kind, format, rules });
    }
    let damaged = |detail: String| Unreadable::Damaged { kind, detail };
    match kind {
        1 => postcard::from_bytes(payload).map(Record::Click).map_err(|e| damaged(e.to_string())),
        2 => postcard::from_bytes(payload).map(Record::Hit).map_err(|e| damaged(e.to_string())),
        3 => serde_json::from_slice(payload)
            .map(|command| Record::Command(Box::new(command)))
            .map_err(|e| damaged(e.to_string())),
        4 => Ok(Record::Tick),
        _ => Err(damaged("no such kind".to_owned())),
    }
}
