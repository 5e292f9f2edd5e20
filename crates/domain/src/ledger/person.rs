//! What a person may do to a conversion: change its status; and, where it lacks the transaction id
//! that it should have, give it one or say which other conversion it is.

use super::entry::settle;
use super::{Conversion, Effect, Key, Occasion, route};
use crate::command::{Failure, REASON_BYTES_MAX};
use crate::contract::{Canonical, Contract, Identity, Parameter, TXN_ID_BYTES};
use crate::conversion::{Status, may_change};
use crate::macros;
use crate::reason::Flag;
use crate::setup::Setup;

/// What a person's change of status does.
pub fn change_by_person(
    old: &Conversion,
    to: Status,
    reason: &str,
    occasion: Occasion,
) -> Result<Effect, Failure> {
    check_reason(reason)?;
    check_merged(old)?;
    if old.triaged.is_some() && to.is_paid() {
        let detail = "its transaction id is missing: repair it, or merge it into the conversion \
                      that it is";
        return Err(Failure::conflict("transition_not_allowed", detail));
    }
    if !may_change(Some(old.status), to) {
        let next = Status::ALL.into_iter().filter(|next| may_change(Some(old.status), *next));
        let next: Vec<&str> = next.map(Status::name).collect();
        let detail = format!(
            "a conversion that is {} can become {}, not {}",
            old.status.name(),
            next.join(" or "),
            to.name()
        );
        return Err(Failure::conflict("transition_not_allowed", detail).of("to"));
    }
    let mut new = old.clone();
    new.status = to;
    by_command(new, old.status, occasion)
}

fn check_reason(reason: &str) -> Result<(), Failure> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        let detail = format!("a reason of 1 to {REASON_BYTES_MAX} bytes, for whoever asks later");
        return Err(Failure::invalid("reason", detail));
    }
    Ok(())
}

fn check_merged(old: &Conversion) -> Result<(), Failure> {
    let Some(into) = old.merged_into else { return Ok(()) };
    let detail = format!("it was merged into conversion {into}, which stands for it");
    Err(Failure::conflict("transition_not_allowed", detail))
}

/// The status it was sent with.
fn check_triage(old: &Conversion) -> Result<Status, Failure> {
    old.triaged.ok_or_else(|| {
        let detail = format!("conversion {} is not in triage", old.id);
        Failure::conflict("not_in_triage", detail)
    })
}

/// What makes a conversion one that gets `txn_id`, by what was agreed with its advertiser when the
/// click was made.
pub fn repaired_key(setup: &Setup, old: &Conversion, txn_id: &str) -> Result<Key, Failure> {
    check_triage(old)?;
    let campaign = setup.campaign(old.campaign_id);
    let campaign = campaign.ok_or_else(|| Failure::not_found("campaign", old.campaign_id))?;
    let agreed = route::agreed_with(setup, campaign, old.click_id);
    let txn_id = checked_txn_id(agreed, txn_id)?;
    let txn_id = agreed.map_or(txn_id.into(), |one| route::folded(one.txn_id_folded, txn_id));
    let rule = match agreed.map_or(Identity::default(), |agreed| agreed.identity) {
        // It stays where it lives.
        Identity::Txn => Identity::ClickGoalTxn,
        rule => rule,
    };
    Ok(Key::new(rule, campaign.advertiser_id, old.click_id, &old.goal, Some(&txn_id)))
}

/// A transaction id as a postback could have brought it.
fn checked_txn_id<'a>(agreed: Option<&Contract>, txn_id: &'a str) -> Result<&'a str, Failure> {
    let txn_id = txn_id.trim();
    let parameter = agreed.and_then(|agreed| agreed.parameter(Canonical::TxnId));
    let length_max = parameter.map_or(TXN_ID_BYTES, Parameter::length_max);
    if txn_id.is_empty() || txn_id.len() > length_max || txn_id.contains(char::is_control) {
        let detail =
            format!("a transaction id has 1 to {length_max} bytes and no control characters");
        return Err(Failure::invalid("txn_id", detail));
    }
    let words = agreed.map_or(&[][..], |agreed| &agreed.unreplaced);
    if macros::is_unreplaced(txn_id, words) {
        return Err(Failure::invalid("txn_id", "it is a macro that nobody has filled in"));
    }
    Ok(txn_id)
}

/// Gives a conversion in triage its transaction id: it becomes an ordinary one, in the status it
/// was sent with. One that a person has rejected stays rejected. `existing` is the conversion that
/// has the key already.
pub fn repair(
    old: &Conversion,
    key: Key,
    txn_id: &str,
    reason: &str,
    existing: Option<&Conversion>,
    occasion: Occasion,
) -> Result<Effect, Failure> {
    check_reason(reason)?;
    let sent = check_triage(old)?;
    if let Some(existing) = existing {
        let detail = format!("it is conversion {} already: merge instead", existing.id);
        return Err(Failure::conflict("already_exists", detail));
    }
    let mut new = old.clone();
    new.triage_identity = Some(std::mem::replace(&mut new.key, key).identity);
    new.txn_id = Some(txn_id.trim().to_owned());
    new.triaged = None;
    new.flags.remove(Flag::TxnIdMissing);
    if old.status == Status::Pending {
        new.status = sent;
    }
    by_command(new, old.status, occasion)
}

/// Says that a conversion in triage is another one: it ends rejected, and the other one remembers
/// what was said, so that a late repeat cannot count. What becomes of the two, in this order.
pub fn merge(
    old: &Conversion,
    into: &Conversion,
    reason: &str,
    occasion: Occasion,
) -> Result<[Effect; 2], Failure> {
    check_reason(reason)?;
    check_triage(old)?;
    let are_two = old.id != into.id && into.merged_into.is_none();
    let is_of_both = (old.click_id, old.campaign_id) == (into.click_id, into.campaign_id);
    if !are_two || !is_of_both {
        let detail =
            "another conversion of the same click and campaign, which is not merged itself";
        return Err(Failure::invalid("into", detail));
    }
    let mut new = old.clone();
    new.status = Status::Rejected;
    new.triaged = None;
    new.merged_into = Some(into.id);
    let mut into = into.clone();
    let unseen = old.seen.iter().filter(|said| !into.has_seen(**said));
    let unseen: Vec<[u8; 8]> = unseen.copied().collect();
    for said in unseen {
        into.remember(said);
    }
    let into = Effect { conversion: into, entry: None };
    Ok([by_command(new, old.status, occasion)?, into])
}

fn by_command(new: Conversion, from: Status, occasion: Occasion) -> Result<Effect, Failure> {
    settle(new, Some(from), occasion.cause, occasion.entered_at, occasion.evidence)
        .ok_or_else(|| Failure::conflict("out_of_range", "an amount is out of range"))
}
