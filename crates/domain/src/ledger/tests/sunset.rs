//! Which version of a contract reads a hit while an earlier one is in its sunset, and after it.

use super::proofs::{SIGNED, signed};
use super::world::{LEAD, OWN_ID, World, contract};
use crate::command::{Act, Sunset};
use crate::contract::{Canonical, Contract};
use crate::secret::Secret;
use std::collections::BTreeMap;

fn token(parameters: &str) -> Contract {
    let mut contract = contract(parameters);
    contract.verification.token = Some(Canonical::Token);
    contract
}

fn set(name: &str, secret: Option<&str>) -> Act {
    let secret = secret.map(|text| Secret::new(text.to_owned()));
    Act::ChangeIntegration {
        id: OWN_ID,
        landing_params: None,
        secrets: Some(BTreeMap::from([(name.to_owned(), secret)])),
        old_secrets_until: None,
    }
}

#[test]
fn labels_that_were_dropped_choose_no_contract() {
    let mut world = World::new(contract("click_id! txn_id revenue sub1 sub2 sub3"), LEAD);
    world.agree(contract("click_id! txn_id revenue=sum"), Sunset::Days(1));
    world.check(
        "
        ?click_id=@a&txn_id=1&sum=2&sub1=x&sub2=y&sub3=z -> recorded approved 2/1.75
        ?click_id=@b&txn_id=1&revenue=2&sub1=x -> recorded approved 2/1.75 !sent_value_differs !contract_in_sunset
        ?click_id=@c&txn_id=1&revenue=&sum=3      -> recorded approved 3/1.75
        ?click_id=@d&txn_id=1&revenue=3&sum=      -> recorded approved 3/1.75 !contract_in_sunset
        ?click_id=@e&txn_id=1&revenue=3&sum=4     -> recorded approved 4/1.75
        ",
    );
}

#[test]
fn a_label_that_both_require_is_read_under_its_old_name() {
    let mut world = World::new(contract("click_id! sub1! revenue"), LEAD);
    world.agree(contract("click_id! sub1!=sub revenue"), Sunset::Days(1));
    world.check(
        "
        ?click_id=@a&sub1=x&revenue=1 -> recorded approved 1/1.75 !sent_value_differs !contract_in_sunset
        ?click_id=@b&sub=x&revenue=1  -> recorded approved 1/1.75 !sent_value_differs
        ",
    );
}

#[test]
fn an_event_under_its_old_name_makes_no_conversion() {
    let mut world = World::new(contract("click_id! revenue event1=a event2=b event3=c"), LEAD);
    world.agree(contract("click_id! revenue=sum event1=x event2=y"), Sunset::Days(1));
    let old = world.hit("?click_id=@a&a=5");
    assert_eq!(world.receive(&old).verdict, crate::reason::Verdict::Recorded);
    assert!(world.conversions.is_empty(), "{:?}", world.conversions);
    world.check("?click_id=@b&sum=2&a=1&b=1&c=1 -> recorded approved 2/1.75");
}

#[test]
fn a_name_that_is_sent_often_or_was_dropped_picks_no_laxer_contract() {
    let mut world = World::new(contract("click_id! revenue payout geo"), LEAD);
    world.agree(signed("click_id! txn_id revenue geo signature=sig"), Sunset::Days(1));
    world.act(set("signature", Some("s3cret")));
    world.check(&format!(
        "
        ?click_id=@a&revenue=2.35&geo=user-1&geo=user-1&sub1=x&sub1=x -> refused signature_mismatch sig
        ?click_id=@a&{SIGNED}&payout=1    -> recorded approved 2.35/1.75
        ?click_id=@b&{SIGNED}0&payout=1   -> refused signature_mismatch sig
        ?click_id=@b&{SIGNED}0&payout=1&payout=1 -> refused signature_mismatch sig
        "
    ));
}

#[test]
fn each_version_asks_for_its_own_proof() {
    let mut world = World::new(token("click_id! txn_id goal payout revenue geo token"), LEAD);
    world.act(set("token", Some("t0ken")));
    let failure = world.attempt(&set("signature", Some("s3cret"))).unwrap_err();
    assert_eq!(failure.parameter.as_deref(), Some("secrets.signature"));
    let new = signed("click_id! txn_id revenue geo signature=sig");
    let number = world.draft(new.clone());
    world.act(set("signature", Some("s3cret")));
    world.act(Act::DiscardDraft { integration_id: OWN_ID, number });
    world.agree(new, Sunset::Days(1));
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}                     -> recorded approved 2.35/1.75
        ?click_id=@b&{SIGNED}&payout=1&txn_id=2   -> recorded approved 2.35/1.75
        ?click_id=@c&revenue=1&token=t0ken        -> recorded approved 1/1.75 !contract_in_sunset
        ?click_id=@d&revenue=1&token=wrong        -> refused signature_mismatch token
        ?click_id=@d&revenue=1&payout=1           -> refused signature_mismatch token
        ?click_id=@d&revenue=1                    -> refused signature_mismatch sig
        ?click_id=@d&revenue=1&token=             -> refused signature_mismatch sig
        ?click_id=@d&{SIGNED}0                    -> refused signature_mismatch sig
        "
    ));
    world.act(set("token", None));
    world.check("?click_id=@e&revenue=1&token=t0ken -> refused signature_mismatch sig");
}

#[test]
fn what_was_dropped_on_purpose_refuses_nothing_after_the_sunset() {
    let mut world = World::new(contract("click_id! txn_id payout revenue"), LEAD);
    world.agree(contract("click_id! txn_id revenue=sum"), Sunset::Days(0));
    world.check(
        "
        ?click_id=@a&sum=2&payout=1      -> recorded approved 2/1.75
        ?click_id=@b&revenue=2&payout=1  -> refused contract_retired revenue
        ?click_id=@b&revenue=2&sum=      -> refused contract_retired revenue
        ?click_id=@b&revenue=&sum=2      -> recorded approved 2/1.75
        ?click_id=@c&revenue=2&sum=2     -> recorded approved 2/1.75
        ",
    );
}

#[test]
fn a_payout_that_was_our_revenue_is_not_lost_after_the_sunset() {
    let mut old = contract("click_id! txn_id payout");
    old.payout_may_be_revenue = true;
    let mut world = World::new(old, LEAD);
    world.agree(contract("click_id! txn_id revenue"), Sunset::Days(0));
    world.check(
        "
        ?click_id=@a&payout=1            -> refused contract_retired payout
        ?click_id=@a&payout=1&revenue=2  -> recorded approved 2/1.75
        ",
    );
}

#[test]
fn a_secret_is_given_beside_the_others_and_taken_away_by_its_name() {
    let mut both = signed("click_id! revenue geo token signature=sig");
    both.verification.token = Some(Canonical::Token);
    let mut world = World::new(both, LEAD);
    let names = |world: &World| -> Vec<String> {
        world.setup.integrations[&OWN_ID].latest().secrets.keys().cloned().collect()
    };
    world.act(set("token", Some("t0ken")));
    world.act(set("signature", Some("s3cret")));
    assert_eq!(names(&world), ["signature", "token"]);
    world.check(&format!("?click_id=@a&{SIGNED} -> refused signature_mismatch token"));
    world.act(set("token", None));
    assert_eq!(names(&world), ["signature"]);
    world.check(&format!("?click_id=@a&{SIGNED} -> recorded approved 2.35/1.75"));
    let failure = world.attempt(&set("tokens", None)).unwrap_err();
    assert_eq!(failure.parameter.as_deref(), Some("secrets.tokens"));
}
