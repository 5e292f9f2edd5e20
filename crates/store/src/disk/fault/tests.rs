//! The disk in memory forgets what it should, and nothing else.

use super::*;

const DIR: &str = "data";
const FILE: &str = "data/file.log";
const NEW: &str = "data/file.log.new";

fn disk() -> FaultDisk {
    let disk = FaultDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

fn durable(disk: &FaultDisk, bytes: &[u8]) -> Box<dyn File> {
    let file = disk.create(Path::new(FILE)).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    file
}

#[test]
fn only_what_was_synced_survives_a_loss_of_power() {
    let disk = disk();
    let file = durable(&disk, b"one");
    file.write_all_at(b"two!", 0).unwrap();
    let lost = disk.after_crash(0, Crash::Dropped);
    assert_eq!(lost.bytes(Path::new(FILE)).unwrap(), b"one");
    let killed = disk.after_crash(0, Crash::Kept);
    assert_eq!(killed.bytes(Path::new(FILE)).unwrap(), b"two!");
    let lost_later = killed.after_crash(0, Crash::Dropped);
    assert_eq!(lost_later.bytes(Path::new(FILE)).unwrap(), b"one");
}

#[test]
fn a_name_is_durable_only_after_its_folder_is_synced() {
    let disk = disk();
    durable(&disk, b"old");
    let new = disk.create(Path::new(NEW)).unwrap();
    new.write_all_at(b"new", 0).unwrap();
    new.sync().unwrap();
    disk.rename(Path::new(NEW), Path::new(FILE)).unwrap();
    let seen: std::collections::BTreeSet<(Vec<String>, Vec<u8>)> = (0..40)
        .map(|seed| disk.after_crash(seed, Crash::Torn))
        .map(|left| (left.list(Path::new(DIR)).unwrap(), left.bytes(Path::new(FILE)).unwrap()))
        .collect();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = [
        (names(&["file.log"]), b"new".to_vec()),
        (names(&["file.log"]), b"old".to_vec()),
        (names(&["file.log", "file.log.new"]), b"old".to_vec()),
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_torn_sector_is_as_it_was_after_some_write() {
    let disk = disk();
    let file = durable(&disk, &[0; 3 * SECTOR_BYTES]);
    file.write_all_at(&[1; 3 * SECTOR_BYTES], 0).unwrap();
    file.write_all_at(&[2; 2 * SECTOR_BYTES], 0).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let bytes = disk.after_crash(seed, Crash::Torn).bytes(Path::new(FILE)).unwrap();
        for sector in bytes.chunks(SECTOR_BYTES) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
        }
        seen.insert(bytes.iter().step_by(SECTOR_BYTES).copied().collect::<Vec<_>>());
    }
    assert!(seen.iter().all(|it| it[2] < 2));
    assert!(seen.len() > 10, "{seen:?}");
}

#[test]
fn what_a_failed_sync_lost_is_shown_and_stays_lost() {
    let disk = disk();
    let file = durable(&disk, &[0; 2 * SECTOR_BYTES]);
    file.write_all_at(&[1; 2 * SECTOR_BYTES], 0).unwrap();
    disk.fail_sync(".log", Fault::Error(io::ErrorKind::Other));
    assert!(file.sync().is_err());
    file.sync().unwrap();
    assert_eq!(disk.bytes(Path::new(FILE)).unwrap(), [1; 2 * SECTOR_BYTES]);
    let left = disk.after_crash(0, Crash::Dropped).bytes(Path::new(FILE)).unwrap();
    assert_eq!((left[0], left[SECTOR_BYTES]), (1, 0));
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = disk();
    let file = durable(&disk, b"12345");
    disk.set_capacity(Some(8));
    let full = file.write_all_at(b"abcdef", 4).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.bytes(Path::new(FILE)).unwrap(), b"1234abcd");
    file.write_all_at(b"xy", 0).unwrap();
}

#[test]
fn everything_fails_from_a_crash_on() {
    let disk = disk();
    let file = durable(&disk, b"one");
    disk.fail(disk.operations() + 1, Fault::Crash);
    assert!(file.write_all_at(b"two", 0).is_err());
    assert!(disk.is_crashed());
    assert!(file.sync().is_err() && file.read_at(&mut [0], 0).is_err());
    assert!(disk.open(Path::new(FILE)).is_err());
}

#[test]
fn a_held_sync_waits() {
    let disk = disk();
    let file = durable(&disk, b"one");
    let held = disk.hold_syncs(".log");
    let sync = std::thread::spawn(move || file.sync());
    held.reached();
    assert!(!sync.is_finished());
    drop(held);
    sync.join().unwrap().unwrap();
}
