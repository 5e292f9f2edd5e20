//! The six ways of `RedTrack` with duplicate postbacks, in the keys of a contract as the manual has
//! them; and the identity that a transaction id alone makes.

use super::world::{LEAD, World, campaign, contract, goals, plain};
use crate::campaign::Status as CampaignStatus;
use crate::command::{Act, Answer};
use crate::contract::{Contract, Identity, TxnIdAbsent};
use crate::id::{AdvertiserId, CampaignId};
use crate::ledger::Key;
use serde_json::Value;

const MANUAL: &str = include_str!("../../../../../docs/verdicts.md");

/// What each mode makes of postbacks, in the manual's order.
const MODES: [(&str, &str); 6] = [
    (
        "create a new conversion",
        "
        ?click_id=@a&revenue=1                      -> recorded approved 1/1.75
        ?click_id=@a&revenue=2                      -> recorded approved 2/1.75
        ?click_id=@a&revenue=2&status=pending       -> recorded pending 0/0
        ?revenue=2&click_id=@a                      -> duplicate already_processed
        ?click_id=@b&revenue=2                      -> recorded approved 2/1.75
        ?click_id=@a&revenue=2&rdtk_event_id=1      -> recorded approved 2/1.75
        ?click_id=@a&revenue=3&rdtk_event_id=1      -> duplicate already_processed !sent_amount_differs
        ",
    ),
    (
        "create a new conversion: new or repeated",
        "
        ?click_id=@a&revenue=1                      -> recorded approved 1/1.75
        ?click_id=@a&revenue=2                      -> recorded approved 2/1.75 !repeated
        ?click_id=@a&revenue=2                      -> duplicate already_processed
        ?click_id=@b&revenue=2                      -> recorded approved 2/1.75
        ?click_id=@a&revenue=2&rdtk_event_id=1      -> recorded approved 2/1.75 !repeated
        ",
    ),
    (
        "ignore duplicate postbacks",
        "
        ?click_id=@a&revenue=1                      -> recorded approved 1/1.75
        ?click_id=@a&revenue=2&rdtk_event_id=1      -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&revenue=1&status=reversed      -> duplicate already_processed
        ?click_id=@b&revenue=2                      -> recorded approved 2/1.75
        ",
    ),
    (
        "edit the conversion with new data",
        "
        ?click_id=@a&revenue=1&status=pending       -> recorded pending 0/0
        ?click_id=@a&revenue=2                      -> updated approved 2/1.75
        ?click_id=@a&revenue=3&rdtk_event_id=1      -> updated approved 1/0
        ?click_id=@a&revenue=2                      -> duplicate already_processed
        ?click_id=@a&status=reversed                -> updated reversed -3/-1.75
        ",
    ),
    (
        "keep the original data, increment the payout",
        "
        ?click_id=@a&revenue=1                      -> recorded approved 1/1.75
        ?click_id=@a&revenue=2                      -> updated approved 2/0
        ?click_id=@a&revenue=2&rdtk_event_id=1      -> updated approved 2/0
        ?click_id=@a&revenue=4&status=rejected      -> updated approved 4/0
        ?click_id=@a&revenue=2                      -> duplicate already_processed
        ",
    ),
    (
        "ignore duplicates by event id",
        "
        ?click_id=@a&revenue=1&rdtk_event_id=1      -> recorded approved 1/1.75
        ?click_id=@a&revenue=2&rdtk_event_id=2      -> recorded approved 2/1.75
        ?click_id=@a&revenue=3&rdtk_event_id=2      -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&rdtk_event_id=1&status=reversed -> duplicate already_processed
        ",
    ),
];

/// The modes and their keys as the manual's table has them.
fn manual() -> Vec<(String, Value)> {
    let table =
        MANUAL.split("<!-- modes -->").nth(1).unwrap().split("<!-- end -->").next().unwrap();
    let rows = table.lines().filter(|line| line.contains('`'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let keys = cells[2].trim_matches('`');
        (cells[1].to_owned(), serde_json::from_str(keys).unwrap())
    })
    .collect()
}

fn with_keys(keys: &Value) -> Contract {
    let own = contract("click_id! txn_id=txn_id,rdtk_event_id status goal revenue");
    let mut json = serde_json::to_value(own).unwrap();
    for (key, value) in keys.as_object().unwrap() {
        json[key] = value.clone();
    }
    let contract: Contract = serde_json::from_value(json).unwrap();
    assert_eq!(contract.fault(), None);
    contract
}

#[test]
fn the_six_modes_are_contracts() {
    let manual = manual();
    let names = manual.iter().map(|(name, _)| name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), MODES.map(|(name, _)| name));
    for ((name, keys), (_, script)) in manual.iter().zip(MODES) {
        eprintln!("{name}");
        World::new(with_keys(keys), LEAD).check(script);
    }
}

#[test]
fn what_stands_for_a_transaction_id_is_all_that_is_said_but_click_secret_and_time() {
    let mut payload = contract("click_id!=cid,click_id goal revenue txn_id token timestamp=ts");
    payload.txn_id_absent = TxnIdAbsent::Payload;
    World::new(payload, LEAD).check(
        "
        ?cid=@a&revenue=1&x=1               -> recorded approved 1/1.75
        ?x=1&click_id=@a&revenue=%201&y=    -> duplicate already_processed
        ?cid=@a&revenue=1&x=1&token=t&ts=5  -> duplicate already_processed
        ?cid=@a&revenue=1&x=1&x=1           -> duplicate already_processed
        ?cid=@a&revenue=1&x=2               -> recorded approved 1/1.75
        ?cid=@a&revenue=1&X=1               -> recorded approved 1/1.75
        ?cid=@a&revenue=1&x=%zz             -> recorded approved 1/1.75
        ?cid=@a&revenue=1&x=%25zz           -> duplicate already_processed
        ",
    );
}

#[test]
fn a_contract_may_let_postbacks_change_less() {
    let mut few = plain();
    few.repeats.transitions = ["pending > approved".to_owned().try_into().unwrap()].into();
    let mut world = World::new(few, LEAD);
    world.check(
        "
        ?click_id=@a&status=rejected               -> recorded rejected 0/0 !amount_missing
        ?click_id=@a                               -> refused transition_not_allowed status
        ?click_id=@b&status=hold&revenue=1         -> recorded pending 0/0
        ?click_id=@b&status=rejected&revenue=1     -> refused transition_not_allowed status
        ?click_id=@b&revenue=1                     -> updated approved 1/1.75
        ?click_id=@b&status=reversed               -> refused transition_not_allowed status
        ",
    );
    let hit = world.hit("?click_id=@b&status=reversed&revenue=1");
    let detail = world.receive(&hit).detail.unwrap();
    assert_eq!(
        detail,
        "a conversion that is approved cannot become reversed: its contract does not let it"
    );
}

fn of_txn() -> World {
    let mut by_txn = contract("click_id! txn_id! status goal revenue");
    by_txn.identity = Identity::Txn;
    World::new(by_txn, LEAD)
}

#[test]
fn a_transaction_id_alone_can_make_it_one_whichever_click_it_is_told_of() {
    let mut world = of_txn();
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=1                  -> recorded approved 1/1.75
        ?click_id=@a&txn_id=1&revenue=1                  -> duplicate already_processed
        ?click_id=@b&txn_id=1&revenue=1                  -> duplicate already_processed !sent_value_differs
        ?click_id=@b&txn_id=1&status=reversed            -> updated reversed -1/-1.75 !sent_value_differs
        ?click_id=@a&txn_id=2&revenue=1                  -> recorded approved 1/1.75
        ?click_id=@a&txn_id=&revenue=1                   -> refused missing_parameter txn_id
        ",
    );
    let first = world.conversions.values().find(|one| one.txn_id.as_deref() == Some("1")).unwrap();
    assert_eq!(
        first.click_id,
        crate::ledger::tests::world::keyring().parse(world.id("a").as_str()).unwrap()
    );
    assert!(!first.key.is_of_click() && first.key.is_at_home(first.click_id));
}

/// Another campaign of `advertiser`, in use, and a click of it.
pub(super) fn another_campaign(
    world: &mut World,
    advertiser: AdvertiserId,
    terms: &str,
    click: &str,
) {
    let new =
        crate::command::NewCampaign { advertiser_id: advertiser, ..campaign("More", goals(terms)) };
    let Answer::Campaign(made) = world.act(Act::CreateCampaign(Box::new(new))) else { panic!() };
    let id = made.id;
    for to in [CampaignStatus::PendingApproval, CampaignStatus::Approved, CampaignStatus::Active] {
        world.act(Act::SetCampaignStatus { id, to, key: format!("key-{id}") });
    }
    assert_ne!(id, CampaignId(1));
    let link = world.link(id, false);
    world.click(click, link);
}

#[test]
fn terms_are_those_of_the_click_that_made_the_conversion() {
    let mut world = of_txn();
    let dearer = r#"[{"key":"lead","default":true,"revenue":"100","payout":"50"}]"#;
    another_campaign(&mut world, AdvertiserId(1), dearer, "dear");
    world.act(Act::CreateAdvertiser { name: "Other".to_owned() });
    another_campaign(&mut world, AdvertiserId(2), dearer, "foreign");
    world.check(
        "
        ?click_id=@a&txn_id=1&status=hold               -> recorded pending 0/0 !amount_missing
        /postback/global?click_id=@dear&txn_id=1&revenue=2 -> updated approved 2/1.75 !sent_value_differs
        /postback/key-3?click_id=@foreign&txn_id=1      -> recorded approved 100/50
        /postback/key-2?click_id=@dear&txn_id=2         -> recorded approved 100/50
        /postback/global?click_id=@a&txn_id=2&revenue=1 -> duplicate already_processed !sent_amount_differs !sent_value_differs
        ",
    );
}

#[test]
fn a_transaction_is_changed_by_whoever_may_speak_for_its_campaign() {
    let mut by_txn = contract("click_id! txn_id! status revenue token");
    by_txn.identity = Identity::Txn;
    by_txn.verification.token = Some(crate::contract::Canonical::Token);
    let mut world = World::new(by_txn, LEAD);
    another_campaign(&mut world, AdvertiserId(1), LEAD, "other");
    world.set_token(super::world::OWN_ID, "secret");
    world.shows_unverified = true;
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=1&token=secret                          -> recorded approved 1/1.75
        /postback/key-2?click_id=@other&txn_id=1&status=reversed              -> refused campaign_mismatch !unverified
        /postback/key-2?click_id=@other&txn_id=1&status=reversed&token=secret -> refused campaign_mismatch !unverified
        /postback/key-2?click_id=@other&txn_id=1&revenue=1                    -> refused campaign_mismatch !unverified
        /postback/global?click_id=@other&txn_id=1&status=reversed             -> refused campaign_mismatch !unverified
        /postback?click_id=@other&txn_id=1&status=reversed&token=wrong        -> refused campaign_mismatch !unverified
        /postback/global?click_id=@other&txn_id=1&status=ping                 -> ignored status_ignored status !unverified
        /postback/key-2?click_id=@other&txn_id=2&revenue=1                    -> recorded approved 1/1.75 !unverified
        /postback/global?click_id=@other&txn_id=1&status=reversed&token=secret -> updated reversed -1/-1.75 !sent_value_differs !unverified
        ",
    );
    let hit = world.hit("/postback/global?click_id=@other&txn_id=1");
    assert_eq!(world.receive(&hit).conversion, None, "who cannot speak for it learns nothing");
}

#[test]
fn a_transaction_is_not_changed_by_what_is_too_late_for_its_campaign() {
    let mut by_txn = contract("click_id! txn_id! status revenue token timestamp!=ts");
    by_txn.identity = Identity::Txn;
    by_txn.verification.token = Some(crate::contract::Canonical::Token);
    by_txn.verification.timestamp_tolerance_s = Some(300);
    let mut world = World::new(by_txn, LEAD);
    another_campaign(&mut world, AdvertiserId(1), LEAD, "other");
    world.set_token(super::world::OWN_ID, "secret");
    let reversed = "txn_id=1&status=reversed&token=secret";
    world.check(&format!(
        "
        ?click_id=@a&txn_id=1&revenue=1&token=secret&ts=@now  -> recorded approved 1/1.75
        /postback/global?click_id=@other&{reversed}&ts=7      -> refused campaign_mismatch
        /postback/global?click_id=@other&{reversed}           -> refused campaign_mismatch
        /postback/global?click_id=@other&{reversed}&ts=@now   -> updated reversed -1/-1.75 !sent_value_differs
        "
    ));
}

#[test]
fn nothing_without_a_transaction_id_gets_past_a_path_that_does_not_ask_for_one() {
    let mut world = of_txn();
    world.check(
        "
        /postback/global?click_id=@a              -> refused missing_parameter txn_id
        /postback/global?click_id=@a&event1=2     -> recorded
        /postback/global?click_id=@a&txn_id=1     -> recorded approved 0/1.75 !amount_missing
        ?click_id=@b&txn_id=1                     -> duplicate already_processed !sent_value_differs
        ",
    );
}

#[test]
fn a_payload_and_a_transaction_id_cannot_be_taken_for_each_other() {
    let mut world = World::new(plain(), LEAD);
    world.click("a", super::world::LINK);
    let id = super::world::keyring().parse(world.id("a").as_str()).unwrap();
    let payload = Key::of_payload(id, "Lead", &[7; 32]);
    assert_eq!(payload.identity[0], 5);
    assert_eq!(payload, Key::of_payload(id, "lead", &[7; 32]));
    assert_ne!(payload, Key::of_payload(id, "lead", &[8; 32]));
    assert!(payload.is_of_click() && payload.is_at_home(id));
}
