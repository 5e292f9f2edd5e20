//! What no crash can leave is refused, and what a crash can leave is not.

use proptest::prelude::*;

use super::*;
use crate::journal::format::SegmentHeader;

/// Some segments, the last with batches in it, and the records of all.
fn closed(desk: &Desk) -> Vec<(u64, Vec<u8>)> {
    let journal = desk.open();
    for record in 0..30_u8 {
        put(&journal, &vec![record; 300 + usize::from(record)]).unwrap();
    }
    while journal.segments().last().unwrap().durable_bytes.unwrap() < 6000 {
        put(&journal, &[33; 300]).unwrap();
    }
    payloads(&journal)
}

/// The number of the last segment in use; another one may be prepared.
fn last(desk: &Desk) -> u32 {
    let names = desk.disk.list(Path::new(DIR)).unwrap();
    let begun =
        |number: &u32| SegmentHeader::decode(&desk.disk.bytes(&segment(*number)).unwrap()).is_ok();
    names.iter().filter_map(|name| segment::number_of(name)).filter(begun).max().unwrap()
}

fn damage(opened: Result<Journal, OpenError>) -> Damage {
    match opened {
        Err(OpenError::Damaged(damage)) => damage,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it opened"),
    }
}

/// Where the batches of a segment begin.
fn batches(desk: &Desk, number: u32) -> Vec<usize> {
    let bytes = desk.disk.bytes(&segment(number)).unwrap();
    (4096..bytes.len()).step_by(8).filter(|at| bytes[*at..].starts_with(b"BTCH")).collect()
}

#[test]
fn what_looks_torn_and_was_applied_is_refused_and_not_cut() {
    for is_full in [false, true] {
        let mut desk = Desk::new();
        let records = closed(&desk);
        let number = last(&desk);
        let end = *batches(&desk, number).last().unwrap();
        desk.disk.tamper(&segment(number), |bytes| bytes[end + 40] ^= 1).unwrap();
        let before = desk.disk.bytes(&segment(number)).unwrap();
        let applied = Position(records.len() as u64 + 1);
        desk.options.must_reach = applied;
        desk.disk.set_capacity(is_full.then_some(1));
        let Err(OpenError::Short { next, must_reach }) = desk.try_open() else {
            panic!("a record that was applied is not there")
        };
        assert_eq!((next.0 + 1, must_reach), (applied.0, applied));
        assert_eq!(desk.disk.bytes(&segment(number)).unwrap(), before);
        desk.options.must_reach = next;
        assert_eq!(payloads(&desk.open()), records[..records.len() - 1]);
    }
    let mut desk = Desk::new();
    desk.options.must_reach = Position(2);
    assert!(matches!(desk.try_open(), Err(OpenError::Short { .. })), "it is not there at all");
    desk.options.must_reach = Position(1);
    desk.open();
}

#[test]
fn a_flipped_bit_before_the_last_batch_is_refused_and_not_cut() {
    let desk = Desk::new();
    closed(&desk);
    let number = last(&desk);
    let before = desk.disk.bytes(&segment(number)).unwrap();
    let starts = batches(&desk, number);
    assert!(starts.len() > 3);
    for pair in starts.windows(2) {
        for at in [pair[0], pair[0] + 9, pair[0] + 27, pair[0] + 31, pair[0] + 32, pair[1] - 1] {
            desk.disk.tamper(&segment(number), |bytes| bytes[at] ^= 4).unwrap();
            let damage = damage(desk.try_open());
            assert_eq!((damage.segment, damage.offset), (number, pair[0] as u64), "{damage}");
            assert!(damage.what.contains(&format!("at byte {}", pair[1])), "{damage}");
            desk.disk.tamper(&segment(number), |bytes| *bytes = before.clone()).unwrap();
        }
    }
    desk.open();
}

#[test]
fn a_flipped_bit_in_the_segment_before_is_refused() {
    let desk = Desk::new();
    closed(&desk);
    let number = last(&desk) - 1;
    let before = desk.disk.bytes(&segment(number)).unwrap();
    let starts = batches(&desk, number);
    let last_end = before.iter().rposition(|byte| *byte != 0).unwrap();
    for (at, offset) in
        [(starts[0], starts[0]), (starts[1] + 60, starts[1]), (last_end, *starts.last().unwrap())]
    {
        desk.disk.tamper(&segment(number), |bytes| bytes[at] ^= 1).unwrap();
        let damage = damage(desk.try_open());
        assert_eq!((damage.segment, damage.offset), (number, offset as u64), "{damage}");
        desk.disk.tamper(&segment(number), |bytes| *bytes = before.clone()).unwrap();
    }
    desk.disk.tamper(&segment(number), |bytes| bytes[8191] ^= 1).unwrap();
    let behind = damage(desk.try_open());
    assert!(behind.segment == number && behind.offset > last_end as u64, "{behind}");
    desk.disk.tamper(&segment(number), |bytes| *bytes = before.clone()).unwrap();
    // A batch that has become zeros altogether.
    let lost = *starts.last().unwrap();
    desk.disk.tamper(&segment(number), |bytes| bytes[lost..].fill(0)).unwrap();
    let damage = damage(desk.try_open());
    assert_eq!((damage.segment, damage.offset), (number, lost as u64), "{damage}");
    assert!(damage.what.contains("it ends before position"), "{damage}");
}

#[test]
fn damage_in_an_older_segment_is_met_by_who_reads_it() {
    let desk = Desk::new();
    let records = closed(&desk);
    let start = batches(&desk, 1)[3];
    desk.disk.tamper(&segment(1), |bytes| bytes[start + 50] ^= 1).unwrap();
    let journal = desk.open();
    let mut reader = journal.reader(Position(1)).unwrap();
    let good = reader.next(1000, 1 << 20).unwrap().unwrap();
    assert_eq!(good.len(), 3, "what stands before it is handed out");
    for _ in 0..2 {
        match reader.next(1000, 1 << 20) {
            Err(ReadError::Damaged(damage)) => {
                assert_eq!((damage.segment, damage.offset), (1, start as u64));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(journal.read(Position(4)), Err(ReadError::Damaged(_))));
    assert_eq!(journal.read(Position(5)).unwrap().unwrap().1, records[4].1);
    assert_eq!(all_from(&journal, 5).len(), records.len() - 4);
}

#[test]
fn an_older_segment_that_ends_early_is_met_by_who_reads_it() {
    let desk = Desk::new();
    closed(&desk);
    let lost = *batches(&desk, 1).last().unwrap();
    desk.disk.tamper(&segment(1), |bytes| bytes[lost..].fill(0)).unwrap();
    let journal = desk.open();
    let second = journal.segments()[1].from;
    let missing = Position(second.0 - 1);
    let is_told = |error: ReadError| match error {
        ReadError::Damaged(damage) => {
            let what =
                format!("it ends before position {missing}, and the next segment follows {second}");
            assert_eq!(damage, Damage::new(1, lost as u64, what));
        }
        error => panic!("{error}"),
    };
    is_told(journal.read(missing).unwrap_err());
    is_told(journal.reader(missing).err().unwrap());
    is_told(try_all_from(&journal, 1).unwrap_err());
    assert_eq!(all_from(&journal, second.0)[0].0, second.0);
}

#[test]
fn a_batch_that_does_not_add_up_is_refused_though_its_checksums_agree() {
    let record = |payload: &[u8]| {
        let mut bytes = Vec::new();
        let header = Header { format: 1, kind: 1, node: 5, at_us: 9, rules: 7 };
        format::put_record(&header, payload, &mut bytes);
        bytes
    };
    let two = [record(b"123456"), record(b"123456")].concat();
    let cases = [
        (1, 1, 1, "the records do not fill the batch"),
        (1, 1, 3, "the records do not fill the batch"),
        (1, 1, u32::MAX, "the records do not fill the batch"),
        (1, 1, 0, "the batch is empty"),
        (2, 1, 2, "the batch belongs to segment 2"),
        (1, 2, 2, "position 2 follows 1"),
    ];
    for (segment_number, first, count, what) in cases {
        let desk = Desk::new();
        drop(desk.open());
        let bytes = u32::try_from(two.len()).unwrap();
        let crc = crc32c::crc32c(&two);
        let header = format::BatchHeader { segment: segment_number, first, count, bytes, crc };
        let batch = [&header.encode(format::Seed::new(&ID))[..], &two].concat();
        desk.disk
            .tamper(&segment(1), |bytes| bytes[4096..4096 + batch.len()].copy_from_slice(&batch))
            .unwrap();
        assert_eq!(damage(desk.try_open()), Damage::new(1, 4096, what));
    }
}

#[test]
fn zeros_amid_a_segment_do_not_end_it() {
    let desk = Desk::new();
    closed(&desk);
    let journal = desk.open();
    let number = journal.segments().last().unwrap().path.clone();
    let start = *batches(&desk, last(&desk)).last().unwrap();
    desk.disk.tamper(&number, |bytes| bytes[start..].fill(0)).unwrap();
    let last = Position(journal.next().0 - 1);
    assert!(matches!(journal.read(last), Err(ReadError::Damaged(_))));
    let mut reader = journal.reader(Position(last.0 - 1)).unwrap();
    reader.next(10, 10_000).unwrap().unwrap();
    assert!(matches!(reader.next(10, 10_000), Err(ReadError::Damaged(_))));
}

#[test]
fn a_torn_batch_is_cut_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let mut records = closed(&desk);
    let number = last(&desk);
    let torn = *batches(&desk, number).last().unwrap();
    let end = desk.disk.bytes(&segment(number)).unwrap().iter().rposition(|it| *it != 0).unwrap();
    desk.disk.tamper(&segment(number), |bytes| bytes[end] ^= 1).unwrap();
    let journal = desk.open();
    records.pop();
    assert_eq!(payloads(&journal), records);
    let bytes = desk.disk.bytes(&segment(number)).unwrap();
    assert!(bytes.len() as u64 == SEGMENT_BYTES_MIN && bytes[torn..].iter().all(|it| *it == 0));
}

#[test]
fn a_payload_that_imitates_a_batch_is_not_taken_for_one() {
    let desk = Desk::new();
    drop(desk.open());
    // A sender who knows the encoding, but not this journal's id.
    let forged = format::BatchHeader { segment: 1, first: 99, count: 1, bytes: 18, crc: 0 };
    let mut payload = vec![0; 6];
    payload.extend(forged.encode(format::Seed::new(&[0; 16])).repeat(8));
    let journal = desk.open();
    put(&journal, b"before").unwrap();
    put(&journal, &payload).unwrap();
    drop(journal);
    desk.disk.tamper(&segment(1), |bytes| bytes[4096 + 56 + 40] ^= 1).unwrap();
    assert_eq!(payloads(&desk.open()), [(1, b"before".to_vec())]);
}

#[test]
fn a_newer_version_is_refused_in_so_many_words() {
    let desk = Desk::new();
    closed(&desk);
    for number in [1, last(&desk)] {
        desk.disk.tamper(&segment(number), |bytes| bytes[8] = 2).unwrap();
        let error = desk.try_open().err().unwrap();
        assert!(matches!(error, OpenError::Newer { version: 2, segment } if segment == number));
        assert_eq!(
            error.to_string(),
            format!(
                "journal segment {number:08} has format version 2, which a later release wrote; \
                 this one reads up to 1"
            )
        );
        desk.disk.tamper(&segment(number), |bytes| bytes[8] = 1).unwrap();
    }
    desk.open();
}

#[test]
fn another_nodes_journal_is_refused() {
    let mut desk = Desk::new();
    closed(&desk);
    desk.options.node = NodeId::new(6).unwrap();
    assert!(matches!(desk.try_open(), Err(OpenError::Node { found: 5, asked: 6 })));
}

#[test]
fn a_segment_that_is_missing_or_of_another_journal_is_refused() {
    let desk = Desk::new();
    closed(&desk);
    let bytes = desk.disk.bytes(&segment(2)).unwrap();
    desk.disk.remove(&segment(2)).unwrap();
    let missing = damage(desk.try_open());
    assert_eq!(missing.segment, 3);
    assert!(missing.what.contains("missing"), "{missing}");
    desk.disk.create(&segment(2)).unwrap();
    let empty = damage(desk.try_open());
    assert_eq!((empty.segment, empty.what.as_str()), (2, "the segment has no header"));
    let put_in = |change: &dyn Fn(&mut SegmentHeader)| {
        let mut header = SegmentHeader::decode(&bytes).unwrap();
        change(&mut header);
        let mut changed = header.encode();
        changed.extend(&bytes[4096..]);
        desk.disk.tamper(&segment(2), |bytes| *bytes = changed).unwrap();
        damage(desk.try_open())
    };
    assert!(put_in(&|header| header.id = [1; 16]).what.contains("another journal"));
    assert!(put_in(&|header| header.number = 7).what.contains("it is segment 7"));
    assert!(put_in(&|header| header.follows = 0).what.contains("positions"));
    assert!(put_in(&|header| header.first = 0).what.contains("positions"));
    desk.disk.tamper(&segment(2), |old| old.clone_from(&bytes)).unwrap();
    desk.open();
}

/// Bytes that depend on the journal they are put into.
type State<'a> = &'a dyn Fn(&Desk) -> Vec<u8>;

/// Every state in which a crash can leave the segment that was prepared.
#[test]
fn a_segment_that_was_not_begun_is_made_anew() {
    let header = |desk: &Desk| {
        let next = desk.open().next().0;
        let number = last(desk) + 1;
        let header =
            SegmentHeader { number, id: ID, node: 5, follows: next, first: next, floor_us: 5 };
        header.encode()
    };
    let states: [State<'_>; 6] = [
        &|_| Vec::new(),
        &|_| vec![0; 100],
        &|_| vec![0; 5000],
        &|desk| header(desk)[..30].to_vec(),
        &|desk| [&header(desk)[..60], &[0; 5000]].concat(),
        // Begun, and nothing written behind it yet.
        &|desk| [&header(desk)[..], &[0; 4096]].concat(),
    ];
    for state in states {
        let desk = Desk::new();
        let records = closed(&desk);
        let bytes = state(&desk);
        let number = last(&desk) + 1;
        desk.disk.create(&segment(number)).unwrap().write_all_at(&bytes, 0).unwrap();
        desk.disk.create(&unfinished(number + 1)).unwrap().write_all_at(&[1; 9], 0).unwrap();
        let journal = desk.open();
        assert_eq!(payloads(&journal), records);
        assert_eq!(put(&journal, &[1; 2000]), Ok(records.len() as u64 + 1));
        assert_eq!(put(&journal, &[2; 2000]), Ok(records.len() as u64 + 2));
        assert!(desk.reasons().is_empty());
    }
}

fn unfinished(number: u32) -> PathBuf {
    segment::unfinished_path_of(Path::new(DIR), number)
}

#[test]
fn a_lost_header_before_batches_is_refused() {
    let desk = Desk::new();
    closed(&desk);
    let number = last(&desk);
    // The prepared one is not there: the last segment is the one whose header is lost.
    _ = desk.disk.remove(&segment(number + 1));
    for header in [0, 0x5a] {
        desk.disk.tamper(&segment(number), |bytes| bytes[..4096].fill(header)).unwrap();
        let damage = damage(desk.try_open());
        assert_eq!((damage.segment, damage.offset), (number, 0));
        assert!(damage.what.contains("is not zero"), "{damage}");
    }
}

#[test]
fn a_batch_out_of_order_is_refused() {
    let desk = Desk::new();
    drop(desk.open());
    let journal = desk.open();
    for _ in 0..3 {
        put(&journal, b"12345678901234").unwrap();
    }
    drop(journal);
    // All three are 64 bytes long: the second is lost, and the first stands twice.
    desk.disk.tamper(&segment(1), |bytes| bytes.copy_within(4096..4160, 4160)).unwrap();
    let damage = damage(desk.try_open());
    assert_eq!((damage.offset, damage.what.as_str()), (4160, "position 1 follows 2"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever stands behind what was acknowledged, the journal opens and keeps that.
    #[test]
    fn any_tail_is_cut(
        lens in prop::collection::vec(0..300_usize, 1..12),
        cut in 0..4096_usize,
        garbage in prop::collection::vec(any::<u8>(), 0..600),
        gap in 0..64_usize,
    ) {
        let desk = Desk::new();
        let journal = desk.open();
        for len in &lens {
            put(&journal, &vec![7; *len]).unwrap();
        }
        let expected = payloads(&journal);
        let files = journal.segments();
        let end = usize::try_from(files[files.len() - 1].durable_bytes.unwrap()).unwrap();
        let last = files[files.len() - 1].path.clone();
        drop(journal);
        desk.disk.tamper(&last, |bytes| {
            bytes.truncate((end + cut).min(bytes.len()));
            if !garbage.is_empty() {
                bytes.resize(bytes.len().max(end + gap + garbage.len()), 0);
                bytes[end + gap..end + gap + garbage.len()].copy_from_slice(&garbage);
            }
        }).unwrap();
        let journal = desk.open();
        prop_assert_eq!(payloads(&journal), expected.clone());
        prop_assert_eq!(put(&journal, b"it goes on"), Ok(expected.len() as u64 + 1));
        drop(journal);
        prop_assert_eq!(payloads(&desk.open()).len(), expected.len() + 1);
    }

    /// However much of the last batch is there, what stands before it is kept, and of the batch
    /// all or nothing.
    #[test]
    fn a_batch_that_ends_early_is_there_whole_or_not_at_all(len in 0..2000_usize, cut in 0..2100_usize) {
        let desk = Desk::new();
        let journal = desk.open();
        put(&journal, b"before").unwrap();
        let start = usize::try_from(journal.segments()[0].durable_bytes.unwrap()).unwrap();
        put(&journal, &vec![7; len]).unwrap();
        let end = usize::try_from(journal.segments()[0].durable_bytes.unwrap()).unwrap();
        drop(journal);
        desk.disk.tamper(&segment(1), |bytes| bytes.truncate(start + cut)).unwrap();
        let whole = start + cut >= end;
        prop_assert_eq!(payloads(&desk.open()).len(), if whole { 2 } else { 1 });
    }
}
