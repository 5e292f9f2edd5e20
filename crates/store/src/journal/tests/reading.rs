//! Reading on from a position, reading one record, and removing what nobody reads any more.

use super::*;
use crate::disk::fault::Crash;

/// A journal of some segments, with records of many lengths in batches of many sizes.
fn filled(desk: &Desk) -> (Journal, Vec<(u64, Vec<u8>)>) {
    let journal = desk.open();
    let mut records = Vec::new();
    for batch in 0..40_u8 {
        let tickets: Vec<_> = (0..=batch % 5)
            .map(|record| {
                let payload = vec![batch; usize::from(batch) * 7 % 300 + usize::from(record)];
                (journal.append(Kind::Click, 1, &payload).unwrap(), payload)
            })
            .collect();
        for (ticket, payload) in tickets {
            records.push((ticket.wait_blocking().unwrap().0, payload));
        }
    }
    assert!(journal.segments().len() >= 4);
    (journal, records)
}

#[test]
fn a_reader_begins_at_any_position() {
    let desk = Desk::new();
    let (journal, records) = filled(&desk);
    for from in 0..=journal.next().0 {
        let reader = journal.reader(Position(from)).unwrap();
        assert_eq!(reader.position().0, from.max(1));
        let read: Vec<_> =
            all_from(&journal, from).into_iter().map(|(at, _, payload)| (at, payload)).collect();
        let from = usize::try_from(from.saturating_sub(1)).unwrap();
        assert_eq!(read, records[from..]);
    }
}

#[test]
fn chunks_keep_to_their_limits_and_leave_nothing_out() {
    let desk = Desk::new();
    let (journal, records) = filled(&desk);
    for (records_max, bytes_max) in [(1, 1 << 20), (3, 1 << 20), (1000, 0), (1000, 700), (7, 700)] {
        let mut reader = journal.reader(Position(1)).unwrap();
        let mut read = Vec::new();
        while let Some(chunk) = reader.next(records_max, bytes_max).unwrap() {
            assert_eq!(chunk.first().0, read.len() as u64 + 1);
            let bytes: usize = chunk.iter().map(|(_, _, payload)| payload.len() + 18).sum();
            assert!(chunk.len() <= records_max);
            assert!(bytes <= bytes_max || chunk.len() == 1);
            read.extend(chunk.iter().map(|(at, _, payload)| (at.0, payload.to_vec())));
            assert_eq!(chunk.end().0, read.len() as u64 + 1);
            assert_eq!(chunk.end(), reader.position());
        }
        assert_eq!(read, records);
    }
}

#[test]
fn a_reader_follows_the_writer_over_segments() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut reader = journal.reader(Position(1)).unwrap();
    for position in 1..200_u64 {
        assert!(reader.next(10, 10_000).unwrap().is_none());
        assert_eq!(put(&journal, &[1; 500]), Ok(position));
        let chunk = reader.next(10, 10_000).unwrap().unwrap();
        assert_eq!((chunk.first().0, chunk.len()), (position, 1));
    }
}

#[test]
fn a_record_is_found_by_its_position() {
    let desk = Desk::new();
    let (journal, records) = filled(&desk);
    let find_all = |journal: &Journal| {
        // Back and forth, so that the index is used as well as made.
        for (position, payload) in records.iter().rev().chain(&records) {
            let (header, found) = journal.read(Position(*position)).unwrap().unwrap();
            assert_eq!(&found, payload);
            assert_eq!((header.kind, header.format, header.node, header.rules), (1, 1, 5, 7));
        }
        assert_eq!(journal.read(Position(0)).unwrap(), None);
        assert_eq!(journal.read(journal.next()).unwrap(), None);
        assert_eq!(journal.read(Position(u64::MAX)).unwrap(), None);
    };
    find_all(&journal);
    drop(journal);
    find_all(&desk.open());
}

#[test]
fn a_record_is_found_in_a_long_segment() {
    let mut desk = Desk::new();
    desk.options.segment_bytes = 1 << 20;
    let journal = desk.open();
    for position in 1..=600_u64 {
        let long = vec![u8::try_from(position % 251).unwrap(); 1500];
        assert_eq!(put(&journal, &long), Ok(position));
    }
    assert_eq!(journal.segments().len(), 1);
    for position in (1..=600_u64).map(|position| position * 7 % 601) {
        let payload = journal.read(Position(position)).unwrap().unwrap().1;
        assert!(payload.iter().all(|byte| u64::from(*byte) == position % 251));
    }
}

#[test]
fn segments_go_when_all_in_them_is_before_a_position() {
    let desk = Desk::new();
    let (journal, records) = filled(&desk);
    let files = journal.segments();
    let second = files[1].from;
    assert_eq!(journal.remove_before(Position(second.0 - 1)).unwrap(), 0);
    assert_eq!(journal.remove_before(second).unwrap(), 1);
    assert_eq!(journal.oldest(), second);
    let left = desk.disk.after_crash(0, Crash::Dropped);
    assert!(left.bytes(&files[0].path).is_err() && left.bytes(&files[1].path).is_ok());
    let kept = &records[usize::try_from(second.0 - 1).unwrap()..];
    assert_eq!(payloads(&journal), kept);
    for gone in [0, 1, second.0 - 1] {
        let refused = journal.reader(Position(gone)).err();
        assert!(matches!(refused, Some(ReadError::Removed { oldest }) if oldest == second));
    }
    let refused = journal.read(Position(second.0 - 1));
    assert!(matches!(refused, Err(ReadError::Removed { oldest }) if oldest == second));
    assert_eq!(journal.remove_before(Position(u64::MAX)).unwrap(), files.len() - 2);
    assert_eq!(journal.segments().len(), 1, "the one that is written stays");
    let next = journal.next();
    drop(journal);
    let journal = desk.open();
    assert_eq!(journal.next(), next);
    assert_eq!(
        payloads(&journal).first(),
        Some(&records[usize::try_from(journal.oldest().0).unwrap() - 1])
    );
}

#[test]
fn a_reader_is_told_when_what_it_would_read_is_removed() {
    let desk = Desk::new();
    let (journal, _) = filled(&desk);
    let files = journal.segments();
    let mut behind = journal.reader(Position(1)).unwrap();
    behind.next(1, 1000).unwrap().unwrap();
    let mut ahead = journal.reader(files[2].from).unwrap();
    journal.remove_before(files[2].from).unwrap();
    // It has the first segment open, and may read that to its end; but it does not jump.
    let removed = loop {
        match behind.next(100, 10_000) {
            Ok(chunk) => assert!(chunk.unwrap().end() <= files[1].from),
            Err(error) => break error,
        }
    };
    assert!(matches!(removed, ReadError::Removed { oldest } if oldest == files[2].from));
    assert_eq!(ahead.next(1, 1000).unwrap().unwrap().first(), files[2].from);
}

#[test]
fn what_was_skipped_was_not_removed() {
    let mut desk = Desk::new();
    put(&desk.open(), b"before").unwrap();
    desk.options.skip = 10;
    let journal = desk.open();
    put(&journal, b"after").unwrap();
    assert_eq!(journal.remove_before(Position(2)).unwrap(), 1);
    assert_eq!(journal.oldest(), Position(2));
    assert!(matches!(journal.reader(Position(1)), Err(ReadError::Removed { .. })));
    for from in [2, 11, 12] {
        assert_eq!(all_from(&journal, from)[0].0, 12);
        assert_eq!(journal.read(Position(from)).unwrap().is_some(), from == 12);
    }
}

#[test]
fn files_tell_since_when_they_are_written() {
    let desk = Desk::new();
    let journal = desk.open();
    for now in 1..=60 {
        desk.at(now * 1000);
        put(&journal, &[1; 400]).unwrap();
    }
    let files = journal.segments();
    assert!(files.len() > 3);
    assert_eq!(files[0].since_us, i64::MIN);
    for file in &files[1..] {
        let before = journal.read(Position(file.from.0 - 1)).unwrap().unwrap().0.at_us;
        assert_eq!(file.since_us, before);
    }
    assert!(files.iter().rev().skip(1).all(|file| file.durable_bytes.is_none()));
    let end = files[files.len() - 1].durable_bytes.unwrap();
    assert!(end > SEGMENT_HEADER_BYTES);
}

#[test]
fn a_copy_of_what_is_durable_is_a_journal() {
    let desk = Desk::new();
    let (journal, records) = filled(&desk);
    let copy = Desk::new();
    copy.disk.create_dir_all(Path::new(DIR)).unwrap();
    for file in journal.segments() {
        let mut bytes = desk.disk.bytes(&file.path).unwrap();
        bytes.truncate(usize::try_from(file.durable_bytes.unwrap_or(u64::MAX)).unwrap());
        copy.disk.create(&file.path).unwrap().write_all_at(&bytes, 0).unwrap();
        put(&journal, &[1; 1000]).unwrap();
    }
    let copied = copy.open();
    assert_eq!(payloads(&copied), records);
    assert_eq!(copied.id(), journal.id());
}
