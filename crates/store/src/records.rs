//! The journal's records, read: what the facts and whoever applies records ask it for.

use crate::facts::{self, JournalId, Records};
use crate::journal::{Header, Journal, ReadError};
use domain::id::Position;
use domain::record::{self, Record, Stamped, Unreadable};
use domain::time::Timestamp;
use std::sync::Arc;

/// How many records are read in one go.
const READ_RECORDS_MAX: usize = 4_096;
/// How many bytes are.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a record's payload does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error(
        "record {position} (kind {kind}, format {format}, rules {rules}) was written by a later \
         release: start that one, or a later one"
    )]
    Newer { position: Position, kind: u8, format: u8, rules: u16 },
    #[error("record {position} does not read: {detail}")]
    Damaged { position: Position, detail: String },
}

/// Reads one record of the journal. A click borrows from its payload.
pub fn decode(
    position: Position,
    header: Header,
    payload: &[u8],
) -> Result<Stamped<'_>, DecodeError> {
    let at = Timestamp::from_us(header.at_us);
    match record::read(header.kind, header.format, header.rules, payload) {
        Ok(record) => Ok(Stamped { position, at, rules: header.rules, record }),
        Err(Unreadable::Newer { kind, format, rules }) => {
            Err(DecodeError::Newer { position, kind, format, rules })
        }
        Err(Unreadable::Damaged { detail, .. }) => Err(DecodeError::Damaged { position, detail }),
    }
}

/// A journal as the facts see it.
pub struct JournalRecords(pub Arc<Journal>);

impl Records for JournalRecords {
    fn id(&self) -> JournalId {
        self.0.id()
    }

    fn scan(
        &self,
        from: Position,
        to: Position,
        each: &mut dyn FnMut(Stamped<'_>) -> Result<(), facts::Error>,
    ) -> Result<(), facts::Error> {
        let mut reader = self.0.reader(from).map_err(unread)?;
        while let Some(chunk) = reader.next(READ_RECORDS_MAX, READ_BYTES_MAX).map_err(unread)? {
            for (position, header, payload) in chunk.iter() {
                if position >= to {
                    return Ok(());
                }
                each(decode(position, header, payload).map_err(failed)?)?;
            }
        }
        Ok(())
    }

    fn read(&self, position: Position) -> Result<Option<Stamped<'static>>, facts::Error> {
        let found = match self.0.read(position) {
            Ok(found) => found,
            Err(ReadError::Removed { .. } | ReadError::Ahead { .. }) => None,
            Err(error) => return Err(unread(error)),
        };
        let Some((header, payload)) = found else { return Ok(None) };
        let Stamped { position, at, rules, record } =
            decode(position, header, &payload).map_err(failed)?;
        let record = match record {
            Record::Click(click) => Record::Click(click.into_owned()),
            Record::Hit(hit) => Record::Hit(hit),
            Record::Command(command) => Record::Command(command),
            Record::Tick => Record::Tick,
        };
        Ok(Some(Stamped { position, at, rules, record }))
    }
}

/// A disk that fails may be read later; what is damaged or missing may not.
fn unread(error: ReadError) -> facts::Error {
    match error {
        ReadError::Io(source) => facts::Error::Io { path: "the journal".into(), source },
        error => failed(error),
    }
}

fn failed(error: impl std::fmt::Display) -> facts::Error {
    facts::Error::Journal { detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::disk::fault::{Fault, FaultDisk};
    use crate::journal::Options;
    use domain::id::NodeId;
    use domain::record::Kind;
    use std::path::Path;

    #[test]
    fn a_disk_that_does_not_read_is_no_damage() {
        let disk = FaultDisk::new();
        let mut options = Options::new(NodeId::new(0).unwrap(), 1, [1; 16]);
        options.segment_bytes = crate::journal::SEGMENT_BYTES_MIN;
        options.fatal = Arc::new(|_| {});
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let opened = Journal::open(shared, Path::new("journal"), options, Arc::new(|| 0));
        let journal = Arc::new(opened.unwrap());
        let ticket = journal.append(Kind::Tick, Kind::Tick.format(), &[]).unwrap();
        let position = ticket.wait_blocking().unwrap();
        disk.fail_write("00000001.log", Fault::Crash);
        let ticket = journal.append(Kind::Tick, Kind::Tick.format(), &[]).unwrap();
        ticket.wait_blocking().unwrap_err();
        let records = JournalRecords(journal);
        let read = records.read(position).unwrap_err();
        let scanned = records.scan(position, Position(9), &mut |_| Ok(())).unwrap_err();
        for error in [read, scanned] {
            assert!(matches!(error, facts::Error::Io { .. }), "{error}");
            assert!(matches!(error.into(), crate::Error::Unavailable(_)));
        }
    }
}
