//! Statuses: what raw words mean, and what may become of what.

use super::world::{LEAD, OWN_ID, World, contract, plain};
use crate::contract::{RepeatedAmount, Repeats};
use crate::conversion::{Status, may_change};
use crate::ledger::{CHANGES_MAX, Cause, IDLE_MAX};
use crate::reason::Reason;

const FIXED: &str = r#"[{"key":"lead","default":true,"revenue":"2.5","payout":"1.75"}]"#;

#[test]
fn each_transition_is_made_or_refused_as_the_table_says() {
    for from in [None].into_iter().chain(Status::ALL.map(Some)) {
        for to in Status::ALL {
            let mut world = World::new(plain(), FIXED);
            let path: &[Status] = match from {
                None => &[],
                Some(Status::Pending) => &[Status::Pending],
                Some(Status::Approved) => &[Status::Approved],
                Some(Status::Rejected) => &[Status::Rejected],
                Some(Status::Reversed) => &[Status::Approved, Status::Reversed],
            };
            for (step, status) in path.iter().enumerate() {
                let made = world.send(&format!("?click_id=@a&status={}", status.name()));
                assert!(made.starts_with(["recorded", "updated"][step]), "{made}");
            }
            // Another amount, or it would be the same postback again.
            let got = world.send(&format!("?click_id=@a&status={}&revenue=2.50", to.name()));
            let paid = |status: Option<Status>| status == Some(Status::Approved);
            let money = match (paid(from), to == Status::Approved) {
                (false, true) => "2.5/1.75",
                (true, false) => "-2.5/-1.75",
                _ => "0/0",
            };
            let wanted = match from {
                Some(from) if from == to => "duplicate already_processed".to_owned(),
                _ if !may_change(from, to) => "refused transition_not_allowed status".to_owned(),
                None => format!("recorded {} {money}", to.name()),
                Some(_) => format!("updated {} {money}", to.name()),
            };
            assert_eq!(got, wanted, "{from:?} {to:?}");
        }
    }
}

#[test]
fn a_conversion_goes_all_the_way_and_its_entries_follow() {
    let mut world = World::new(plain(), FIXED);
    world.check(
        "
        ?click_id=@a&txn_id=1&status=pending  -> recorded pending 0/0
        ?click_id=@a&txn_id=1&status=rejected -> updated rejected 0/0
        ?click_id=@a&txn_id=1&status=approved -> updated approved 2.5/1.75
        ?click_id=@a&txn_id=1&status=reversed -> updated reversed -2.5/-1.75
        ?click_id=@a&txn_id=1                 -> updated approved 2.5/1.75
        ",
    );
    let steps: Vec<_> = world.entries.iter().map(|one| (one.sequence, one.from, one.to)).collect();
    let wanted = [
        (1, None, Status::Pending),
        (2, Some(Status::Pending), Status::Rejected),
        (3, Some(Status::Rejected), Status::Approved),
        (4, Some(Status::Approved), Status::Reversed),
        (5, Some(Status::Reversed), Status::Approved),
    ];
    assert_eq!(steps, wanted);
    assert_eq!(world.total(), "2.5/1.75");
}

#[test]
fn raw_words_are_compared_without_case_and_the_last_one_is_kept() {
    let mut world = World::new(plain(), FIXED);
    world.check(
        "
        ?click_id=@a&status=HOLD      -> recorded pending 0/0
        ?click_id=@a&status=hold      -> duplicate already_processed
        ?click_id=@a&status=Approved+ -> updated approved 2.5/1.75
        ",
    );
    assert_eq!(world.conversion().raw_status.as_deref(), Some("Approved"));
}

#[test]
fn an_unknown_status_is_refused_never_guessed() {
    let mut world = World::new(plain(), FIXED);
    world.check(
        "
        ?click_id=@a&status=zzz   -> refused unknown_status status
        ?click_id=@a&status=3     -> refused unknown_status status
        ?click_id=@a&status=ping  -> ignored status_ignored status
        ",
    );
    assert!(world.conversions.is_empty());
    let hit = world.hit("?click_id=@a&status=zzz");
    let detail = world.receive(&hit).detail.unwrap_or_default();
    assert!(detail.contains("; it knows `"), "{detail}");
}

#[test]
fn an_absent_status_and_a_blank_one_mean_what_the_contract_says() {
    let world = |absent, blank| {
        let mut contract = contract("click_id! status");
        contract.statuses.absent = absent;
        contract.statuses.blank = blank;
        World::new(contract, FIXED)
    };
    world(Some(Status::Approved), None).check(
        "
        ?click_id=@a         -> recorded approved 2.5/1.75
        ?click_id=@b&status= -> recorded approved 2.5/1.75
        ",
    );
    world(Some(Status::Approved), Some(Status::Pending)).check(
        "
        ?click_id=@a           -> recorded approved 2.5/1.75
        ?click_id=@b&status=+  -> recorded pending 0/0
        ",
    );
    let mut contract = contract("click_id! status!");
    contract.statuses.absent = None;
    World::new(contract.clone(), FIXED).check(
        "
        ?click_id=@a         -> refused missing_parameter status
        ?click_id=@a&status= -> refused missing_parameter status
        ?click_id=@a&statsu=1 -> refused missing_parameter status ~statsu
        ",
    );
    contract.statuses.blank = Some(Status::Approved);
    World::new(contract, FIXED).check(
        "
        ?click_id=@a         -> refused missing_parameter status
        ?click_id=@a&status= -> recorded approved 2.5/1.75
        ",
    );
}

#[test]
fn a_contract_may_let_repeats_change_no_status() {
    let mut contract = plain();
    contract.repeats = Repeats { status: false, ..Repeats::default() };
    World::new(contract, FIXED).check(
        "
        ?click_id=@a&status=pending  -> recorded pending 0/0
        ?click_id=@a&status=approved -> duplicate already_processed
        ",
    );
}

#[test]
fn a_late_retry_of_the_approval_does_not_undo_a_reversal() {
    let mut world = World::new(plain(), LEAD);
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=2                 -> recorded approved 2/1.75
        ?click_id=@a&txn_id=1&revenue=2&currency=USD    -> duplicate already_processed
        ?click_id=@a&txn_id=1&revenue=3 \
            -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&txn_id=1&status=reversed           -> updated reversed -2/-1.75
        ?click_id=@a&txn_id=1&status=reversed&revenue=2 -> duplicate already_processed
        ?click_id=@a&txn_id=1&revenue=2                 -> duplicate already_processed
        ?click_id=@a&txn_id=1&revenue=2&currency=USD    -> duplicate already_processed
        ?click_id=@a&txn_id=1&revenue=3 \
            -> duplicate already_processed !sent_amount_differs
        ",
    );
    assert_eq!(world.total(), "0/0");
    // Said in new words, it is a new statement: reversals can be reversed.
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=2&status=approved -> updated approved 2/1.75
        ?click_id=@a&txn_id=1&status=reversed&revenue=2 -> duplicate already_processed
        ?click_id=@a&txn_id=1&status=reversed           -> duplicate already_processed
        ",
    );
    assert_eq!(world.total(), "2/1.75");
}

#[test]
fn a_late_retry_does_not_undo_what_a_person_did() {
    let mut world = World::new(plain(), LEAD);
    world.check("?click_id=@a&revenue=2 -> recorded approved 2/1.75");
    world.change_by_person(Status::Reversed).unwrap();
    world.check("?click_id=@a&revenue=2 -> duplicate already_processed");
    assert_eq!(world.total(), "0/0");
}

#[test]
fn a_person_is_held_to_the_same_transitions_and_gives_a_reason() {
    use crate::command::{FailureKind, REASON_BYTES_MAX};
    use crate::id::Position;
    use crate::ledger::{Occasion, change_by_person};
    let mut world = World::new(plain(), LEAD);
    world.check("?click_id=@a&revenue=2&status=pending -> recorded pending 0/0");
    let (at, entered_at) = (world.now, world.now);
    let occasion = Occasion {
        at,
        entered_at,
        position: Position(9),
        cause: Cause::Command(Position(9)),
        evidence: [3; 32],
    };
    for to in Status::ALL {
        let changed = change_by_person(world.conversion(), to, "asked", occasion);
        let is_allowed = may_change(Some(Status::Pending), to);
        assert_eq!(changed.is_ok(), is_allowed, "{to:?}");
        if let Err(failure) = changed {
            assert_eq!(failure.code, "transition_not_allowed");
            assert_eq!(failure.kind, FailureKind::Conflict);
        }
    }
    for reason in ["", "  ", &"x".repeat(REASON_BYTES_MAX + 1)] {
        let to = Status::Approved;
        let failure = change_by_person(world.conversion(), to, reason, occasion).unwrap_err();
        assert_eq!(failure.parameter.as_deref(), Some("reason"));
    }
    world.change_by_person(Status::Approved).unwrap();
    assert_eq!(world.total(), "2/1.75");
    assert_eq!(world.entries.last().unwrap().evidence, [1; 32]);
}

#[test]
fn a_reversal_that_overtook_its_approval_counts_once_it_is_sent_again() {
    let mut world = World::new(plain(), LEAD);
    world.check(
        "
        ?click_id=@a&txn_id=1&status=reversed           -> refused transition_not_allowed status
        ?click_id=@a&txn_id=1&status=pending&revenue=2  -> recorded pending 0/0
        ?click_id=@a&txn_id=1&status=reversed           -> refused transition_not_allowed status
        ?click_id=@a&txn_id=1&status=approved&revenue=2 -> updated approved 2/1.75
        ?click_id=@a&txn_id=1&status=reversed           -> updated reversed -2/-1.75
        ?click_id=@a&txn_id=1&status=reversed           -> duplicate already_processed
        ?click_id=@a&txn_id=1&status=approved&revenue=2 -> duplicate already_processed
        ",
    );
    assert_eq!(world.total(), "0/0");
}

#[test]
fn what_changed_a_conversion_is_never_forgotten_and_at_some_point_only_a_reversal_does() {
    let mut contract = plain();
    contract.repeats.amount = RepeatedAmount::Add;
    let mut world = World::new(contract, LEAD);
    for micros in 1..=CHANGES_MAX {
        let sent = world.send(&format!("?click_id=@a&revenue=0.{micros:06}"));
        assert!(sent.starts_with("recorded") || sent.starts_with("updated"), "{sent}");
    }
    world.check(
        "
        ?click_id=@a&revenue=0.000001      -> duplicate already_processed
        ?click_id=@a&revenue=7             -> refused transition_not_allowed
        ?click_id=@a                       -> duplicate already_processed
        ?click_id=@a&status=reversed       -> updated reversed -0.5005/-1.75
        ?click_id=@a&status=approved       -> refused transition_not_allowed
        ",
    );
    assert_eq!(world.total(), "0/0");
    world.change_by_person(Status::Approved).unwrap();
    assert_eq!(world.total(), "0.5005/1.75");
    assert_eq!(world.setup.integration(OWN_ID).unwrap().key, super::world::OWN);
}

#[test]
fn what_changes_nothing_uses_up_nothing_that_a_change_needs() {
    let mut world = World::new(plain(), LEAD);
    world.check("?click_id=@a&revenue=2 -> recorded approved 2/1.75");
    for cents in 0..2 * IDLE_MAX {
        let junk = world.hit(&format!("?click_id=@a&revenue=1.{cents:06}"));
        let decision = world.receive(&junk);
        assert_eq!(decision.reason, Some(Reason::AlreadyProcessed));
        assert_eq!(decision.effect.is_some(), cents < IDLE_MAX, "{cents}: no row is written");
    }
    world.check("?click_id=@a&status=reversed -> updated reversed -2/-1.75");
    assert_eq!(world.conversion().seen.len(), IDLE_MAX + 2);
}
