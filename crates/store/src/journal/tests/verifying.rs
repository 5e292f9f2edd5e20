//! `verify` finds all damage and changes nothing.

use super::*;

type Records = Vec<(u64, Vec<u8>)>;

fn look(desk: &Desk) -> (Records, Vec<Damage>, Vec<Damage>, Verified) {
    let (mut records, mut damages, mut torn) = (Vec::new(), Vec::new(), Vec::new());
    let operations = desk.disk.operations();
    let verified = verify(&desk.disk, Path::new(DIR), &mut |found| match found {
        Found::Record(position, _, payload) => records.push((position.0, payload.to_vec())),
        Found::Damage(damage) => damages.push(damage),
        Found::Torn(damage) => torn.push(damage),
    })
    .unwrap();
    assert_eq!(desk.disk.operations(), operations, "it changes nothing");
    assert_eq!(verified.damages, damages.len() as u64);
    assert_eq!(verified.records, records.len() as u64);
    (records, damages, torn, verified)
}

fn filled() -> (Desk, Records) {
    let mut desk = Desk::new();
    let journal = desk.open();
    for record in 0..40_u8 {
        put(&journal, &[record; 300]).unwrap();
    }
    drop(journal);
    desk.options.skip = 10;
    let journal = desk.open();
    put(&journal, &[41; 300]).unwrap();
    let records = payloads(&journal);
    drop(journal);
    (desk, records)
}

#[test]
fn a_sound_journal_is_told_record_by_record() {
    let (desk, expected) = filled();
    let (records, damages, torn, verified) = look(&desk);
    assert_eq!(records, expected);
    assert_eq!((damages, torn), (vec![], vec![]));
    assert_eq!((verified.batches, verified.segments), (41, 5));
}

#[test]
fn all_damage_is_told_and_what_is_sound_behind_it_too() {
    let (desk, expected) = filled();
    let files = [segment(1), segment(2)];
    desk.disk.tamper(&files[0], |bytes| bytes[4096 + 100] ^= 1).unwrap();
    desk.disk.tamper(&files[1], |bytes| bytes[4096 + 352] ^= 1).unwrap();
    desk.disk.tamper(&files[1], |bytes| bytes[8190] ^= 1).unwrap();
    let (records, damages, torn, _) = look(&desk);
    let places: Vec<_> = damages.iter().map(|damage| (damage.segment, damage.offset)).collect();
    assert_eq!(places, [(1, 4096), (2, 4096 + 352), (2, 8190)]);
    assert_eq!(torn, []);
    let lost: Vec<_> = expected.iter().filter(|it| !records.contains(it)).map(|it| it.0).collect();
    assert_eq!(lost, [1, 13]);
}

#[test]
fn a_segment_that_ends_early_or_is_missing_is_told() {
    let (desk, _) = filled();
    desk.disk.tamper(&segment(2), |bytes| bytes[4096..].fill(0)).unwrap();
    desk.disk.tamper(&segment(3), |bytes| bytes[20] ^= 1).unwrap();
    let (_, damages, _, _) = look(&desk);
    let told: Vec<_> = damages.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "journal segment 00000003 is damaged at byte 0: the header does not read, and byte \
             4096 is not zero",
            "journal segment 00000004 is damaged at byte 0: the segment before it is missing; \
             there is 2",
        ]
    );
    desk.disk.tamper(&segment(3), |bytes| bytes[20] ^= 1).unwrap();
    let (_, damages, _, _) = look(&desk);
    assert_eq!(damages.len(), 1);
    assert_eq!((damages[0].segment, damages[0].offset), (2, 4096));
}

#[test]
fn what_the_next_start_cuts_is_told_apart_from_damage() {
    let (desk, expected) = filled();
    let file = segment(5);
    desk.disk.tamper(&file, |bytes| bytes[4096 + 200] ^= 1).unwrap();
    let (records, damages, torn, _) = look(&desk);
    assert_eq!(records, expected[..40]);
    assert_eq!(damages, []);
    assert_eq!((torn[0].segment, torn[0].offset), (5, 4096));
}

#[test]
fn a_journal_can_be_verified_while_it_is_written() {
    let desk = Desk::new();
    let journal = desk.open();
    put(&journal, b"durable").unwrap();
    let held = desk.disk.hold_syncs("00000001.log");
    let ticket = journal.append(Kind::Hit, 1, b"being written").unwrap();
    held.reached();
    desk.await_segment(2);
    let (_, damages, _, _) = look(&desk);
    assert_eq!(damages, []);
    drop(held);
    ticket.wait_blocking().unwrap();
}

#[test]
fn a_newer_segment_is_not_judged() {
    let (desk, _) = filled();
    desk.disk.tamper(&segment(2), |bytes| bytes[8] = 9).unwrap();
    let refused = verify(&desk.disk, Path::new(DIR), &mut |_| {});
    assert!(matches!(refused, Err(OpenError::Newer { segment: 2, version: 9 })));
}
