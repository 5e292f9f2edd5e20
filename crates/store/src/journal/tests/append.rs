//! Group commit: what is acknowledged is durable, once, in order.

use super::*;
use crate::disk::RealDisk;

/// How many threads append at once, and how many records each.
const THREADS: u64 = 8;
const RECORDS: u64 = 400;

#[test]
fn what_many_threads_append_is_there_once_and_in_order() {
    let desk = Desk::new();
    let journal = desk.open();
    let acknowledged: Vec<Vec<(u64, Vec<u8>)>> = std::thread::scope(|scope| {
        let append = |thread: u64| {
            let journal = &journal;
            move || -> Vec<(u64, Vec<u8>)> {
                let payloads = (0..RECORDS).map(|record| format!("{thread}/{record}").into_bytes());
                let put = |payload: Vec<u8>| (put(journal, &payload).unwrap(), payload);
                payloads.map(put).collect()
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(append(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for thread in &acknowledged {
        assert!(thread.is_sorted_by_key(|(position, _)| *position));
    }
    let mut expected = acknowledged.concat();
    expected.sort();
    assert!(expected.iter().map(|(position, _)| *position).eq(1..=THREADS * RECORDS));
    assert_eq!(payloads(&journal), expected);
    assert!(journal.segments().len() > 5, "it went over to new segments");
    drop(journal);
    assert_eq!(payloads(&desk.open()), expected);
}

#[test]
fn what_queues_up_during_a_sync_is_the_next_batch() {
    let desk = Desk::new();
    let journal = desk.open();
    let settled = journal.settled();
    let held = desk.disk.hold_syncs("00000001.log");
    let first = journal.append(Kind::Hit, 1, b"first").unwrap();
    held.reached();
    let later: Vec<Ticket> =
        (0..50).map(|_| journal.append(Kind::Hit, 1, b"later").unwrap()).collect();
    assert_eq!((first.batch(), first.result(), first.at_us()), (1, None, None));
    assert!(later.iter().all(|ticket| ticket.batch() == 2 && ticket.result().is_none()));
    assert_eq!(*settled.borrow(), 0);
    drop(held);
    later[49].wait_blocking().unwrap();
    assert_eq!(first.result(), Some(Ok(Position(1))));
    for (ticket, position) in later.iter().zip(2..) {
        assert_eq!(ticket.result(), Some(Ok(Position(position))));
    }
    drop(journal);
    assert_eq!(*settled.borrow(), 2);
    let trace = desk.disk.trace();
    let count = |what| trace.lines().filter(|line| line.ends_with(what)).count();
    assert_eq!(count("write data/journal/00000001.log"), 2);
    assert_eq!(count("sync data/journal/00000001.log"), 2);
}

#[test]
fn nothing_is_seen_before_it_is_durable() {
    let desk = Desk::new();
    let journal = desk.open();
    put(&journal, b"durable").unwrap();
    let durable = journal.durable();
    let mut reader = journal.reader(Position(2)).unwrap();
    let held = desk.disk.hold_syncs("00000001.log");
    let ticket = journal.append(Kind::Hit, 1, b"not yet").unwrap();
    held.reached();
    assert_eq!(journal.next(), Position(2));
    assert_eq!(*durable.borrow(), Position(2));
    assert!(reader.next(10, 1000).unwrap().is_none());
    assert_eq!(journal.read(Position(2)).unwrap(), None);
    assert!(matches!(journal.reader(Position(3)), Err(ReadError::Ahead { next: Position(2) })));
    drop(held);
    ticket.wait_blocking().unwrap();
    assert_eq!(journal.next(), Position(3));
    assert_eq!(*durable.borrow(), Position(3));
    assert_eq!(reader.next(10, 1000).unwrap().unwrap().first(), Position(2));
    assert_eq!(journal.read(Position(2)).unwrap().unwrap().1, b"not yet");
}

#[test]
fn a_record_that_is_too_long_is_refused() {
    let mut desk = Desk::new();
    desk.options.segment_bytes = 2 * RECORD_BYTES_MAX as u64;
    let journal = desk.open();
    let refused = journal.append(Kind::Hit, 1, &vec![1; RECORD_BYTES_MAX + 1]);
    assert_eq!(refused.err(), Some(AppendError::TooLarge { max: RECORD_BYTES_MAX }));
    let longest = vec![2; RECORD_BYTES_MAX];
    assert_eq!(put(&journal, &longest), Ok(1));
    assert_eq!(journal.read(Position(1)).unwrap().unwrap().1, longest);
}

#[test]
fn what_waits_for_the_disk_is_bounded() {
    let desk = Desk::new();
    let journal = desk.open();
    let held = desk.disk.hold_syncs("00000001.log");
    let mut tickets = vec![journal.append(Kind::Hit, 1, b"first").unwrap()];
    held.reached();
    let busy = loop {
        match journal.append(Kind::Hit, 1, &[7; 100]) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
    };
    assert_eq!(busy, AppendError::Busy);
    let room = SEGMENT_BYTES_MIN - SEGMENT_HEADER_BYTES - 32;
    assert_eq!(tickets.len() as u64, 1 + room / (18 + 100));
    drop(held);
    for (ticket, position) in tickets.iter().zip(1..) {
        assert_eq!(ticket.wait_blocking(), Ok(Position(position)));
    }
    assert!(put(&journal, b"there is room again").is_ok());
}

#[test]
fn a_batch_may_fill_a_segment_and_not_more() {
    let desk = Desk::new();
    let journal = desk.open();
    let room = usize::try_from(SEGMENT_BYTES_MIN - SEGMENT_HEADER_BYTES).unwrap() - 32;
    assert_eq!(put(&journal, &vec![1; room - 18]), Ok(1));
    assert!(matches!(put(&journal, &vec![1; room - 17]), Err(AppendError::TooLarge { .. })));
    let held = desk.disk.hold_syncs("00000002.log");
    let first = journal.append(Kind::Hit, 1, b"first").unwrap();
    held.reached();
    journal.append(Kind::Hit, 1, &vec![2; 3000 - 18]).unwrap();
    let more = journal.append(Kind::Hit, 1, &vec![3; room - 3000 - 17]);
    assert_eq!(more.err(), Some(AppendError::Busy));
    let last = journal.append(Kind::Hit, 1, &vec![3; room - 3000 - 18]).unwrap();
    drop(held);
    assert_eq!(first.wait_blocking(), Ok(Position(2)));
    assert_eq!(last.wait_blocking(), Ok(Position(4)));
    assert_eq!(journal.segments().len(), 3);
}

#[test]
fn time_never_goes_back_even_across_a_restart() {
    let desk = Desk::new();
    let mut journal = desk.open();
    assert_eq!(journal.last_at_us(), i64::MIN);
    for (now, stamped) in [(50, 50), (40, 50), (60, 60), (10, 60)] {
        desk.at(now);
        let ticket = journal.append(Kind::Tick, 1, b"").unwrap();
        let position = ticket.wait_blocking().unwrap();
        assert_eq!(ticket.at_us(), Some(stamped));
        assert_eq!(journal.read(position).unwrap().unwrap().0.at_us, stamped);
        assert_eq!(journal.last_at_us(), stamped);
        drop(journal);
        journal = desk.open();
        assert_eq!(journal.last_at_us(), stamped);
    }
}

#[test]
fn time_does_not_go_back_in_a_segment_without_records() {
    let mut desk = Desk::new();
    desk.at(90);
    put(&desk.open(), b"late").unwrap();
    desk.options.skip = 1;
    desk.at(10);
    let journal = desk.open();
    assert_eq!(journal.last_at_us(), 90);
    let at = put(&journal, b"early").unwrap();
    assert_eq!(journal.read(Position(at)).unwrap().unwrap().0.at_us, 90);
}

#[test]
fn what_is_queued_when_a_journal_is_closed_is_written() {
    let desk = Desk::new();
    let journal = desk.open();
    let held = desk.disk.hold_syncs("00000001.log");
    let first = journal.append(Kind::Hit, 1, b"first").unwrap();
    held.reached();
    let second = journal.append(Kind::Hit, 1, b"second").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(journal));
        drop(held);
    });
    assert_eq!(first.result(), Some(Ok(Position(1))));
    assert_eq!(second.result(), Some(Ok(Position(2))));
    assert_eq!(payloads(&desk.open()).len(), 2);
}

#[test]
fn a_journal_is_open_once() {
    let desk = Desk::new();
    let journal = desk.open();
    assert!(matches!(desk.try_open(), Err(OpenError::Locked)));
    drop(journal);
    desk.open();
}

#[test]
fn a_journal_on_a_real_disk_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("data/journal");
    let desk = Desk::new();
    let open = || Journal::open(Arc::new(RealDisk), &dir, desk.options.clone(), Arc::new(|| 12));
    let journal = open().unwrap();
    assert_eq!(put(&journal, b"one"), Ok(1));
    assert!(matches!(open(), Err(OpenError::Locked)));
    drop(journal);
    let journal = open().unwrap();
    let long = [3; 3000];
    for position in 2..40 {
        assert_eq!(put(&journal, &long), Ok(position));
    }
    assert_eq!(journal.remove_before(Position(30)).unwrap(), 28);
    drop(journal);
    let journal = open().unwrap();
    let expected: Vec<_> = (30..40).map(|position| (position, long.to_vec())).collect();
    assert_eq!(payloads(&journal), expected);
}

#[tokio::test]
async fn tasks_wait_without_a_thread_each() {
    let mut desk = Desk::new();
    desk.options.segment_bytes = 1 << 20;
    let journal = Arc::new(desk.open());
    let task = |record: u32| {
        let journal = Arc::clone(&journal);
        async move {
            let ticket = journal.append(Kind::Hit, 1, &record.to_le_bytes()).unwrap();
            let position = ticket.wait().await.unwrap();
            assert_eq!(ticket.result(), Some(Ok(position)), "and again, without waiting");
            (position.0, record.to_le_bytes().to_vec())
        }
    };
    let tasks: Vec<_> = (0..300).map(|record| tokio::spawn(task(record))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers.sort();
    assert_eq!(payloads(&journal), answers);
}

#[tokio::test]
async fn a_worker_can_watch_for_the_batches_of_all_its_tasks() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut settled = journal.settled();
    let tickets: Vec<Ticket> =
        (0..20).map(|_| journal.append(Kind::Hit, 1, b"a hit").unwrap()).collect();
    let last = tickets.iter().map(Ticket::batch).max().unwrap();
    settled.wait_for(|batch| *batch >= last).await.unwrap();
    assert!(tickets.iter().all(|ticket| matches!(ticket.result(), Some(Ok(_)))));
}

#[test]
fn a_segment_is_left_a_day_after_its_first_record_so_that_it_can_be_removed() {
    for is_reopened in [false, true] {
        let desk = Desk::new();
        let mut journal = desk.open();
        put(&journal, b"yesterday").unwrap();
        if is_reopened {
            drop(journal);
            journal = desk.open();
        }
        desk.at(1_000 + SEGMENT_AGE_MAX_US - 1);
        put(&journal, b"the same day").unwrap();
        assert_eq!(journal.segments().len(), 1);
        await_ready(&journal, 2);
        desk.at(1_000 + SEGMENT_AGE_MAX_US);
        put(&journal, b"today").unwrap();
        assert_eq!(journal.segments().len(), 2);
        assert_eq!(journal.remove_before(Position(3)).unwrap(), 1);
        assert_eq!(payloads(&journal), [(3, b"today".to_vec())]);
    }
}

#[test]
fn a_segment_is_left_when_nothing_more_comes() {
    let mut desk = Desk::new();
    desk.options.idle_after = Duration::from_millis(1);
    let journal = desk.open();
    put(&journal, b"the last one").unwrap();
    desk.at(1_000 + SEGMENT_AGE_MAX_US);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while journal.segments().len() < 2 {
        assert!(std::time::Instant::now() < deadline, "it is not left");
        std::thread::yield_now();
    }
    assert_eq!(journal.remove_before(journal.next()).unwrap(), 1);
    assert!(payloads(&journal).is_empty());
    assert_eq!(put(&journal, b"after months"), Ok(2));
    drop(journal);
    assert_eq!(payloads(&desk.open()), [(2, b"after months".to_vec())]);
}

#[test]
fn an_old_segment_takes_records_while_there_is_no_room_for_another() {
    let desk = Desk::new();
    let journal = desk.open();
    put(&journal, b"yesterday").unwrap();
    await_ready(&journal, 2);
    desk.disk.set_capacity(Some(desk.disk.used()));
    desk.at(1_000 + SEGMENT_AGE_MAX_US);
    put(&journal, b"there is a second segment").unwrap();
    assert_eq!(journal.segments().len(), 2);
    desk.at(1_000 + 2 * SEGMENT_AGE_MAX_US);
    put(&journal, b"and no third").unwrap();
    assert_eq!((journal.segments().len(), journal.next()), (2, Position(4)));
}

#[test]
fn an_old_segment_takes_records_while_the_next_is_being_made() {
    let desk = Desk::new();
    put(&desk.open(), b"yesterday").unwrap();
    let held = desk.disk.hold_syncs("00000002.log.new");
    let journal = desk.open();
    held.reached();
    desk.at(1_000 + SEGMENT_AGE_MAX_US);
    let ticket = journal.append(Kind::Hit, 1, b"nobody waits").unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while ticket.result().is_none() {
        assert!(std::time::Instant::now() < deadline, "it waits for the next segment");
        std::thread::yield_now();
    }
    assert_eq!((ticket.result(), journal.segments().len()), (Some(Ok(Position(2))), 1));
    drop(held);
    await_ready(&journal, 2);
    put(&journal, b"today").unwrap();
    assert_eq!(journal.segments().len(), 2);
}

#[test]
fn a_restored_journal_skips_positions_in_a_segment_of_its_own() {
    let mut desk = Desk::new();
    put(&desk.open(), b"backed up").unwrap();
    desk.options.skip = RESTORE_SKIP;
    let journal = desk.open();
    assert_eq!(journal.next(), Position(2 + RESTORE_SKIP));
    assert_eq!(put(&journal, b"restored"), Ok(2 + RESTORE_SKIP));
    assert_eq!(journal.segments().len(), 2);
    drop(journal);
    desk.options.skip = 0;
    let journal = desk.open();
    let expected = [(1, b"backed up".to_vec()), (2 + RESTORE_SKIP, b"restored".to_vec())];
    assert_eq!(payloads(&journal), expected);
    for skipped in [2, 3, 1 + RESTORE_SKIP] {
        assert_eq!(journal.read(Position(skipped)).unwrap(), None);
        assert_eq!(all_from(&journal, skipped).len(), 1);
    }
}
