//! Triage: what lacks the transaction id that it should have is recorded, pending and unpaid, for
//! somebody to find the id, until the contract's date.

use crate::contract::{Canonical, Contract};
use crate::postback::{Pairs, Problem, Reading};
use crate::reason::{Flag, Reason};
use crate::time::Timestamp;

/// How many conversions of one click may wait for their ids. Whoever knows a click id can make one
/// with each new word; what is beyond them is refused, as all is without triage.
pub const WAITING_MAX: u32 = 100;
/// How many values that may be the missing id are named.
const LIKELY_MAX: usize = 10;
/// How long a transaction id is at least that somebody may have sent under another name.
const LIKELY_BYTES_MIN: usize = 3;
/// Parts of names under which platforms send transaction ids.
const LIKELY_NAMES: [&str; 8] = ["id", "txn", "tx", "trans", "order", "lead", "ref", "action"];

/// Whether a hit is refused for nothing but its transaction id, while the contract has what lacks
/// it triaged.
pub(super) fn is_due(contract: &Contract, reading: &Reading, at: Timestamp) -> bool {
    let (Some(until), Err(problem)) = (contract.triage_until, &reading.result) else {
        return false;
    };
    at < until && is_about_txn_id(contract, problem)
}

fn is_about_txn_id(contract: &Contract, problem: &Problem) -> bool {
    let names = contract.parameter(Canonical::TxnId).map(|one| &one.names);
    // It may have been sent, and blank, under any of them.
    let is_its = problem.parameter.as_ref().zip(names).is_some_and(|(one, all)| all.contains(one));
    problem.reason == Reason::MissingParameter && is_its
}

/// The contract, but for the transaction id that it requires.
pub(super) fn lenient(contract: &Contract) -> Contract {
    let mut lenient = contract.clone();
    for parameter in &mut lenient.parameters {
        parameter.required &= parameter.canonical != Canonical::TxnId;
    }
    lenient
}

/// What was read without one. Events alone need none.
pub(super) fn flagged(mut reading: Reading) -> Reading {
    if let Ok(postback) = &mut reading.result
        && !postback.is_event_only
    {
        postback.flags.add(Flag::TxnIdMissing);
        // Of one that is made of several values, the others may be there.
        postback.txn_id = None;
    }
    reading
}

/// Names and values that `contract` does not read, and that look like a transaction id: by their
/// name, or because digits stand among other letters.
pub fn likely_ids(contract: &Contract, sent: &Pairs) -> Vec<(String, String)> {
    let is_read = |name: &String| contract.parameters.iter().any(|one| one.names.contains(name));
    let unread = sent.all.iter().filter(|pair| !pair.is_malformed && !is_read(&pair.name));
    let found = unread.filter_map(|pair| {
        let (name, text) = (pair.name.to_ascii_lowercase(), pair.text.trim());
        let is_named = LIKELY_NAMES.iter().any(|part| name.contains(part));
        (is_token(text) && (is_named || is_mixed(text)))
            .then(|| (pair.name.clone(), text.to_owned()))
    });
    found.take(LIKELY_MAX).collect()
}

fn is_token(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_.:/".contains(letter);
    text.len() >= LIKELY_BYTES_MIN && text.chars().all(is_plain)
}

fn is_mixed(text: &str) -> bool {
    let has = |is: fn(char) -> bool| text.chars().any(is);
    has(|letter| letter.is_ascii_digit()) && has(char::is_alphabetic)
}
