//! Bad days: a disk that is full, and a ledger that does not answer.

use super::*;
use domain::id::NodeId;
use std::path::Path;
use store::disk::fault::FaultDisk;
use store::journal::Options;

fn journal(disk: &FaultDisk) -> Arc<Journal> {
    let mut options = Options::new(NodeId::new(0).unwrap(), record::RULES, [1; 16]);
    options.segment_bytes = 8 << 10;
    let journal = Journal::open(Arc::new(disk.clone()), Path::new("j"), options, Arc::new(|| 1));
    Arc::new(journal.unwrap())
}

fn handle(disk: &FaultDisk) -> Handle {
    Handle::new(journal(disk), SecretsKey::new([1; 32]))
}

fn hit() -> Hit {
    Hit { method: "GET".to_owned(), target: vec![b'a'; 1_000], ..Hit::default() }
}

#[tokio::test]
async fn nobody_is_kept_in_the_queue_whom_a_full_disk_has_refused() {
    let disk = FaultDisk::new();
    let handle = handle(&disk);
    disk.set_capacity(Some(0));
    let mut refused = 0;
    for _ in 0..3 * ASKERS_SWEPT {
        refused += usize::from(handle.receive(&hit()).await.is_err());
    }
    // What a segment had been made for before fits in.
    assert!(refused > 2 * ASKERS_SWEPT, "{refused}");
    assert!(handle.askers().queue.len() <= ASKERS_SWEPT + 1);
    assert!(handle.taking().has_refused());
}

#[tokio::test]
async fn nobody_is_kept_in_the_queue_who_has_gone() {
    let handle = handle(&FaultDisk::new());
    for _ in 0..3 * ASKERS_SWEPT {
        drop(handle.receive(&hit()).await.unwrap());
    }
    assert!(handle.askers().queue.len() <= ASKERS_SWEPT + 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_not_applied_in_time_is_late_and_not_lost() {
    let handle = handle(&FaultDisk::new());
    let before = handle.journal.next();
    let act = domain::command::Act::SkipIds;
    let command = Command { actor: SYSTEM.to_owned(), idempotency: None, act };
    assert_eq!(handle.command(command).await, Err(Unavailable::Late));
    assert_eq!(handle.journal.next().0, before.0 + 1, "it is on disk");
    assert!(!handle.taking().has_refused());
}

#[tokio::test]
async fn what_is_too_long_for_a_record_is_no_fault_of_the_disk() {
    let handle = handle(&FaultDisk::new());
    let hit = Hit { body: vec![0; 10 << 10], ..Hit::default() };
    let refused = handle.receive(&hit).await.err();
    assert!(matches!(refused, Some(Unavailable::TooLarge { .. })), "{refused:?}");
    assert!(!handle.taking().has_refused());
}
