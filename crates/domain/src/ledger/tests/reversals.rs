//! How senders take back what they said, each in its own way.

use super::world::{LEAD, World, contract, plain};
use crate::contract::{Canonical, Reversal};
use crate::conversion::Status;

#[test]
fn an_undone_conversion_is_reversed_where_it_was_approved_and_else_rejected() {
    let mut contract = plain();
    contract.statuses.undone = vec!["Undone".to_owned()];
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&revenue=2.5                   -> recorded approved 2.5/1.75
        ?click_id=@a&revenue=2.5&status=undone     -> updated reversed -2.5/-1.75
        ?click_id=@a&revenue=2.5&status=undone     -> duplicate already_processed
        ?click_id=@a&revenue=-2.5&status=UNDONE    -> duplicate already_processed
        ?click_id=@a&status=reversed               -> duplicate already_processed
        ?click_id=@b&revenue=2.5&status=hold       -> recorded pending 0/0
        ?click_id=@b&revenue=2.5&status=undone     -> updated rejected 0/0
        ?click_id=@b&status=undone                 -> duplicate already_processed
        ?click_id=@b&revenue=2.5&status=approved   -> updated approved 2.5/1.75
        ?click_id=@c&revenue=2.5&status=undone     -> recorded rejected 0/0
        ",
    );
}

#[test]
fn a_reversal_finds_its_conversion_by_the_id_it_reverses() {
    let mut contract = contract("click_id! txn_id! status revenue param1=ref");
    contract.reversal =
        Some(Reversal { txn_id_prefix: "r-".to_owned(), txn_id: Some(Canonical::Param(1)) });
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&txn_id=7&revenue=2.5                           -> recorded approved 2.5/1.75
        ?click_id=@a&txn_id=8&revenue=1                             -> recorded approved 1/1.75
        ?click_id=@a&txn_id=r-7&revenue=2.5&status=reversed         -> updated reversed -2.5/-1.75
        ?click_id=@a&txn_id=r-7&revenue=2.5&status=reversed         -> duplicate already_processed
        ?click_id=@a&txn_id=r-9&status=reversed                     -> refused transition_not_allowed status
        ?click_id=@a&txn_id=99&ref=8&revenue=1&status=reversed      -> updated reversed -1/-1.75
        ",
    );
}

#[test]
fn a_minus_alone_can_be_a_reversal() {
    let mut contract = contract("click_id! txn_id revenue status");
    contract.statuses.negative = Some(Status::Reversed);
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&txn_id=7&revenue=2    -> recorded approved 2/1.75
        ?click_id=@a&txn_id=7&revenue=-2   -> updated reversed -2/-1.75
        ?click_id=@a&txn_id=7&revenue=-2   -> duplicate already_processed
        ?click_id=@a&txn_id=8&revenue=-2   -> refused transition_not_allowed status
        ",
    );
}

#[test]
fn a_test_of_the_senders_counts_for_nothing() {
    let mut contract = contract("click_id! txn_id revenue status param9=debug");
    contract.ignore_where.insert(Canonical::Param(9), vec!["true".to_owned()]);
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&revenue=2&debug=true    -> ignored status_ignored debug
        ?click_id=@a&revenue=2&debug=false   -> recorded approved 2/1.75
        ?click_id=@a&revenue=2&debug=true    -> ignored status_ignored debug
        ",
    );
}
