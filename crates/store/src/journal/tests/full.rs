//! Writes that fail, disks that are full, and syncs after which nothing may be acknowledged.

use std::io::ErrorKind;

use super::*;
use crate::disk::fault::{Crash, Fault};
use crate::journal::ballast::BALLAST_BYTES;

const LAST: &str = "00000001.log";
/// A batch of this payload reaches over several sectors.
const LONG: [u8; 1500] = [9; 1500];

/// Whether the segment is zero behind its last batch, so that nothing of a failed one is left.
fn is_zero_behind(desk: &Desk, journal: &Journal) -> bool {
    let files = journal.segments();
    let last = &files[files.len() - 1];
    let end = usize::try_from(last.durable_bytes.unwrap()).unwrap();
    desk.disk.bytes(&last.path).unwrap()[end..].iter().all(|byte| *byte == 0)
}

#[test]
fn a_write_that_fails_is_cut_back_and_the_next_one_takes_its_place() {
    let kinds = [
        (ErrorKind::StorageFull, AppendError::Full),
        (ErrorKind::QuotaExceeded, AppendError::Full),
        (ErrorKind::Other, AppendError::Io(ErrorKind::Other)),
    ];
    for written in [0, 1, 31, 32, 33, 512, 1000, 1552] {
        for (kind, refused) in kinds {
            let desk = Desk::new();
            let journal = desk.open();
            put(&journal, b"before").unwrap();
            desk.disk.fail_write(LAST, Fault::Short(written, kind));
            assert_eq!(put(&journal, &LONG), Err(refused));
            assert!(is_zero_behind(&desk, &journal));
            for crash in [Crash::Dropped, Crash::Kept, Crash::Torn] {
                let after = Desk::on(desk.disk.after_crash(1, crash));
                assert_eq!(payloads(&after.open()), [(1, b"before".to_vec())]);
            }
            assert_eq!(put(&journal, b"after"), Ok(2));
            drop(journal);
            let expected = [(1, b"before".to_vec()), (2, b"after".to_vec())];
            assert_eq!(payloads(&desk.open()), expected);
            assert_eq!(desk.reasons(), [""; 0]);
        }
    }
}

#[test]
fn where_not_even_zeros_can_be_written_the_file_is_cut() {
    let desk = Desk::new();
    let journal = desk.open();
    put(&journal, b"before").unwrap();
    desk.disk.fail_write(LAST, Fault::Short(1000, ErrorKind::StorageFull));
    desk.disk.fail_write(LAST, Fault::Short(100, ErrorKind::StorageFull));
    assert_eq!(put(&journal, &LONG), Err(AppendError::Full));
    let end = journal.segments()[0].durable_bytes.unwrap();
    assert_eq!(desk.disk.bytes(&segment(1)).unwrap().len() as u64, end);
    assert_eq!(put(&journal, b"after"), Ok(2));
    drop(journal);
    let after = Desk::on(desk.disk.after_crash(1, Crash::Dropped));
    assert_eq!(payloads(&after.open()), [(1, b"before".to_vec()), (2, b"after".to_vec())]);
}

#[test]
fn where_cutting_back_fails_the_process_ends() {
    let desk = Desk::new();
    let journal = desk.open();
    desk.disk.fail_write(LAST, Fault::Short(1000, ErrorKind::StorageFull));
    desk.disk.fail_sync(LAST, Fault::Error(ErrorKind::Other));
    assert_eq!(put(&journal, &LONG), Err(AppendError::Stopped));
    assert_eq!(desk.reasons().len(), 1);
    assert_eq!(put(&journal, b"after"), Err(AppendError::Stopped));
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    let desk = Desk::new();
    let journal = desk.open();
    put(&journal, b"before").unwrap();
    desk.disk.fail_sync(LAST, Fault::Error(ErrorKind::Other));
    let held = desk.disk.hold_syncs(LAST);
    let unlucky = journal.append(Kind::Hit, 1, b"unlucky").unwrap();
    held.reached();
    let queued = journal.append(Kind::Hit, 1, b"queued").unwrap();
    drop(held);
    assert_eq!(unlucky.wait_blocking(), Err(AppendError::Stopped));
    assert_eq!(queued.wait_blocking(), Err(AppendError::Stopped));
    assert_eq!(put(&journal, b"after"), Err(AppendError::Stopped));
    assert_eq!((journal.next(), desk.reasons().len()), (Position(2), 1));
    assert!(journal.reader(Position(2)).unwrap().next(1, 1).unwrap().is_none());
    let settled = journal.settled();
    drop(journal);
    assert_eq!(*settled.borrow(), queued.batch());
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_made_durable_before_it_is_read() {
    for written_in_place in [false, true] {
        let desk = Desk::new();
        let journal = desk.open();
        put(&journal, b"before").unwrap();
        desk.disk.fail_sync(LAST, Fault::Error(ErrorKind::Other));
        put(&journal, &LONG).unwrap_err();
        // The process ends and starts again; the kernel shows the batch, half of it is not there.
        let restarted = Desk::on(desk.disk.after_crash(1, Crash::Kept));
        if written_in_place {
            restarted.disk.set_capacity(Some(1));
        }
        let seen = payloads(&restarted.open());
        assert_eq!(seen, [(1, b"before".to_vec()), (2, LONG.to_vec())]);
        let later = Desk::on(restarted.disk.after_crash(1, Crash::Dropped));
        assert_eq!(payloads(&later.open()), seen);
    }
}

#[test]
fn a_full_disk_refuses_records_until_there_is_room() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut expected = Vec::new();
    let fill = |expected: &mut Vec<(u64, Vec<u8>)>| loop {
        let payload = vec![u8::try_from(expected.len() % 251).unwrap(); 200];
        match put(&journal, &payload) {
            Ok(position) => expected.push((position, payload)),
            Err(error) => return error,
        }
    };
    let half_made = || {
        let names = desk.disk.list(Path::new(DIR)).unwrap();
        names.iter().any(|name| name.contains(segment::UNFINISHED))
    };
    for room in [3, 2, 5] {
        let used = desk.disk.used().next_multiple_of(SEGMENT_BYTES_MIN);
        desk.disk.set_capacity(Some(used + room * SEGMENT_BYTES_MIN));
        assert_eq!(fill(&mut expected), AppendError::Full);
        assert_eq!(put(&journal, &[0; 200]), Err(AppendError::Full), "it is still full");
        assert_eq!(payloads(&journal), expected);
        assert!(!half_made());
    }
    desk.disk.set_capacity(None);
    assert_eq!(put(&journal, b"at last"), Ok(expected.len() as u64 + 1));
    expected.push((expected.len() as u64 + 1, b"at last".to_vec()));
    assert_eq!(payloads(&journal), expected);
    assert!(expected.len() > 150 && desk.reasons().is_empty());
    drop(journal);
    assert_eq!(payloads(&desk.open()), expected);
}

#[test]
fn a_full_disk_is_not_tried_again_at_once() {
    let mut desk = Desk::new();
    desk.options.retry_full_after = Duration::from_hours(1);
    let journal = desk.open();
    desk.await_segment(2);
    desk.disk.set_capacity(Some(desk.disk.used()));
    while put(&journal, &[1; 500]).is_ok() {}
    desk.disk.set_capacity(None);
    let operations = desk.disk.operations();
    assert_eq!(put(&journal, &[1; 500]), Err(AppendError::Full));
    assert_eq!(desk.disk.operations(), operations, "nothing was tried");
    assert!(put(&journal, b"short").is_ok(), "what fits into the segment is taken");
}

#[test]
fn the_room_that_the_ballast_gave_up_is_not_written_to_find_out_whether_the_disk_is_full() {
    let mut desk = Desk::new();
    let ballast_bytes = 3 * SEGMENT_BYTES_MIN;
    let disk: Arc<dyn Disk> = Arc::new(desk.disk.clone());
    let ballast = Arc::new(Ballast::of(disk, PathBuf::from("ballast"), ballast_bytes));
    desk.options.ballast = Some(Arc::clone(&ballast));
    let journal = desk.open();
    desk.await_segment(2);
    desk.disk.set_capacity(Some(desk.disk.used()));
    while put(&journal, &[1; 500]).is_ok() {}
    assert!(!ballast.is_there());
    let operations = desk.disk.operations();
    assert_eq!(put(&journal, &[1; 500]), Err(AppendError::Full), "there is room for the ledger");
    assert_eq!(desk.disk.operations(), operations, "nothing was written");
    desk.disk.set_capacity(Some(desk.disk.used() + ballast_bytes + SEGMENT_BYTES_MIN));
    put(&journal, &[1; 500]).unwrap();
    drop(journal);
    assert!(ballast.is_there());
}

#[test]
fn a_segment_that_cannot_be_synced_ends_the_process_unless_it_is_for_want_of_room() {
    let kinds = [(ErrorKind::Other, true), (ErrorKind::StorageFull, false)];
    for (kind, is_fatal) in kinds {
        let desk = Desk::new();
        let journal = desk.open();
        desk.await_segment(2);
        desk.disk.fail_sync("00000003.log.new", Fault::Error(kind));
        let answers: Vec<_> = (0..60).map(|_| put(&journal, &[1; 500])).collect();
        assert_eq!(desk.reasons().len(), usize::from(is_fatal));
        let stopped = |answer: &Result<u64, AppendError>| *answer == Err(AppendError::Stopped);
        let failed: Vec<_> = answers.iter().skip_while(|answer| answer.is_ok()).collect();
        assert_eq!(!failed.is_empty(), is_fatal);
        assert!(failed.into_iter().all(stopped));
        assert_eq!(put(&journal, b"after").is_ok(), !is_fatal);
    }
}

#[test]
fn the_ballast_is_released_when_a_record_is_refused_and_made_again_when_there_is_room() {
    let mut desk = Desk::new();
    let shared: Arc<dyn Disk> = Arc::new(desk.disk.clone());
    desk.disk.create_dir_all(Path::new("data")).unwrap();
    let path = PathBuf::from("data/ballast");
    let ballast = Arc::new(Ballast::open(Arc::clone(&shared), path.clone()));
    assert!(ballast.is_there());
    assert_eq!(desk.disk.bytes(&path).unwrap().len() as u64, BALLAST_BYTES);
    desk.options.ballast = Some(Arc::clone(&ballast));
    let journal = desk.open();
    desk.disk.set_capacity(Some(desk.disk.used()));
    while put(&journal, &[1; 500]).is_ok() {
        assert!(ballast.is_there());
    }
    assert!(!ballast.is_there());
    assert!(desk.disk.bytes(&path).is_err());
    assert!(!ballast.release(), "there is nothing left to release");
    desk.disk.set_capacity(None);
    put(&journal, &[1; 500]).unwrap();
    drop(journal);
    assert!(ballast.is_there());
    drop(ballast);
    assert!(Ballast::open(shared, path).is_there(), "it is taken as it was left");
}

#[test]
fn no_ballast_is_left_half_made() {
    let disk = FaultDisk::new();
    disk.set_capacity(Some(BALLAST_BYTES - 1));
    let ballast = Ballast::open(Arc::new(disk.clone()), PathBuf::from("ballast"));
    assert!(!ballast.is_there());
    assert_eq!(disk.used(), 0);
    assert!(ballast.make().is_err());
    disk.set_capacity(None);
    ballast.make().unwrap();
    assert!(ballast.is_there());
}

#[test]
fn a_journal_opens_on_a_full_disk() {
    let desk = Desk::new();
    let journal = desk.open();
    put(&journal, b"before").unwrap();
    drop(journal);
    // What a crash in the middle of a batch leaves.
    desk.disk.tamper(&segment(1), |bytes| bytes[4096 + 64..4096 + 600].fill(8)).unwrap();
    desk.disk.set_capacity(Some(1));
    let journal = desk.open();
    let trace = desk.disk.trace();
    let renames =
        trace.lines().filter(|line| line.ends_with("rename data/journal/00000001.log.new"));
    assert_eq!(renames.count(), 1, "it was made, and then rewritten in place:\n{trace}");
    assert!(is_zero_behind(&desk, &journal));
    assert_eq!(put(&journal, b"after"), Ok(2), "there is room in the segment");
    let after = Desk::on(desk.disk.after_crash(1, Crash::Dropped));
    assert_eq!(payloads(&after.open()), [(1, b"before".to_vec()), (2, b"after".to_vec())]);
}

#[test]
fn an_operation_that_fails_once_costs_no_acknowledged_record() {
    let mut operation = 0;
    loop {
        operation += 1;
        let mut desk = Desk::new();
        let kinds = [ErrorKind::StorageFull, ErrorKind::Other];
        let kind = kinds[usize::try_from(operation % 2).unwrap()];
        let written = usize::try_from(operation * 37 % 600).unwrap();
        desk.disk.fail(operation, Fault::Short(written, kind));
        let ballast = Ballast::of(Arc::new(desk.disk.clone()), PathBuf::from("ballast"), 4096);
        desk.options.ballast = Some(Arc::new(ballast));
        let journal = match desk.try_open() {
            Ok(journal) => journal,
            Err(OpenError::Io(error)) => {
                assert_eq!(error.kind(), kind);
                // Another start finds nothing that hinders it.
                desk.open()
            }
            Err(error) => panic!("{error}"),
        };
        let mut expected = Vec::new();
        let mut refused = Vec::new();
        for record in 0..30_u8 {
            let payload = vec![record; 400];
            match put(&journal, &payload) {
                Ok(position) => expected.push((position, payload)),
                Err(error) => refused.push(error),
            }
        }
        if desk.reasons().is_empty() {
            assert!(refused.len() <= 1, "{refused:?}");
            assert!(expected.iter().map(|(position, _)| *position).eq(1..=expected.len() as u64));
        } else {
            assert!(refused.iter().all(|error| *error == AppendError::Stopped), "{refused:?}");
        }
        assert_eq!(payloads(&journal), expected, "operation {operation}\n{}", desk.disk.trace());
        drop(journal);
        for (seed, crash) in [(1, Crash::Dropped), (2, Crash::Kept), (3, Crash::Torn)] {
            let after = Desk::on(desk.disk.after_crash(seed, crash));
            let found = payloads(&after.open());
            assert_eq!(found[..expected.len()], expected, "{operation}\n{}", desk.disk.trace());
        }
        if desk.disk.operations() < operation {
            break;
        }
    }
    assert!(operation > 80);
}

#[test]
fn a_disk_that_is_full_once_while_a_journal_opens_costs_no_acknowledged_record() {
    for operation in 1.. {
        let desk = Desk::new();
        put(&desk.open(), b"before").unwrap();
        let planned = desk.disk.operations() + operation;
        desk.disk.fail(planned, Fault::Error(ErrorKind::StorageFull));
        let mut expected = vec![(1, b"before".to_vec())];
        if let Ok(journal) = desk.try_open() {
            expected.extend(put(&journal, b"after").map(|position| (position, b"after".to_vec())));
        }
        let trace = desk.disk.trace();
        for crash in [Crash::Dropped, Crash::Kept] {
            let after = Desk::on(desk.disk.after_crash(1, crash));
            let found = payloads(&after.open());
            assert!(found.starts_with(&expected), "operation {operation}: {found:?}\n{trace}");
        }
        if desk.disk.operations() < planned {
            assert!(operation > 7, "{trace}");
            break;
        }
    }
}
