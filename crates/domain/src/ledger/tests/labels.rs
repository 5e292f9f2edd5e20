//! Labels, events and what a postback says about the click: they never cost a conversion.

use super::world::{LEAD, LINK, World, contract, plain};
use crate::contract::Canonical;
use crate::reason::Flag;

#[test]
fn a_label_that_cannot_be_read_is_dropped_not_refused() {
    let mut world = World::new(plain(), LEAD);
    let long = "x".repeat(501);
    for (label, name) in [
        ("sub1={zone}", "a"),
        ("param1=%7B%7Bx%7D%7D", "b"),
        (&*format!("param1={long}"), "c"),
        ("conversion_ref=%FF", "d"),
        ("param1=a%00b", "e"),
        ("placement=__PLACEMENT__", "f"),
        ("campaign={campaign}", "g"),
    ] {
        world.check(&format!(
            "?click_id=@{name}&revenue=1&{label} -> recorded approved 1/1.75 !label_dropped"
        ));
    }
    assert!(world.conversions.values().all(|one| one.values.is_empty()));
    assert!(world.conversions.values().all(|one| one.conversion_ref.is_none()));
}

#[test]
fn a_label_that_is_required_matters() {
    let contract = contract("click_id! sub1! revenue");
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&sub1={zone} -> refused macro_not_replaced sub1
        ?click_id=@a             -> refused missing_parameter sub1
        ?click_id=@a&sub_1=x     -> refused missing_parameter sub1 ~sub_1
        ?click_id=@a&sub2=x      -> refused missing_parameter sub1
        ",
    );
}

#[test]
fn what_decides_is_never_cut_or_dropped() {
    let mut world = World::new(plain(), LEAD);
    let (most, more) = ("x".repeat(255), "x".repeat(256));
    world.check(&format!(
        "
        ?click_id=@a&txn_id={more}             -> refused invalid_payload txn_id
        ?click_id=@a&revenue=1&txn_id={most}   -> recorded approved 1/1.75
        ?click_id=@a&goal={}                   -> refused invalid_payload goal
        ?click_id=@a&status=%FF                -> refused invalid_payload status
        ?click_id=@a&txn_id=a%0Ab              -> refused invalid_payload txn_id
        ?click_id=@a&txn_id=%                  -> refused invalid_payload txn_id
        ?click_id=@a&revenue={{payout}}        -> refused macro_not_replaced revenue
        ?click_id=@a&goal=${{goal}}            -> refused macro_not_replaced goal
        ?click_id=@a&currency=%5BCUR%5D        -> refused macro_not_replaced currency
        ?click_id={{click_id}}                 -> refused macro_not_replaced click_id
        ?click_id=%click_id%                   -> refused macro_not_replaced click_id
        ?click_id=REPLACE                      -> refused macro_not_replaced click_id
        ",
        "x".repeat(501)
    ));
}

#[test]
fn two_names_that_disagree_are_a_conflict_not_a_choice() {
    let contract = contract("click_id!=cid,click_id txn_id=txid,order revenue sub1");
    World::new(contract, LEAD).check(
        "
        ?cid=@a&click_id=@b&revenue=1        -> refused invalid_payload click_id
        ?cid=@a&txid=1&order=2               -> refused invalid_payload order
        ?cid=@a&txid=1&txid=2                -> refused invalid_payload txid
        ?cid=@a&sub1=x&sub1=y                -> refused invalid_payload sub1
        ?cid=@a&txid=1&order={order}         -> refused macro_not_replaced order
        ?cid=@a&txid=1&order=1&revenue=1     -> recorded approved 1/1.75
        ?cid=@a&click_id=@a&order=1&revenue=1 -> duplicate already_processed
        ?cid=@a&txid=&order=3&revenue=1      -> recorded approved 1/1.75
        ?cid=@a&sub1={x}&sub1=us&revenue=1   -> recorded approved 1/1.75 !sent_value_differs !label_dropped
        ",
    );
}

#[test]
fn a_percent_macro_that_begins_like_a_byte_is_a_macro() {
    let mut world = World::new(plain(), LEAD);
    for sent in ["%AFF_SUB%", "%ADV_SUB%", "%CAMPAIGN_ID%", "%DEVICE%", "%%AD%%", "[%AD_ID%]"] {
        world.check(&format!("?click_id={sent} -> refused macro_not_replaced click_id"));
    }
    world.check(
        "
        ?click_id={%CAMPAIGN%}            -> refused macro_not_replaced click_id
        ?click_id=@a&txn_id=%AF           -> refused invalid_payload txn_id
        ?click_id=@a&revenue=1&sub1=%AD%  -> recorded approved 1/1.75 !label_dropped
        ",
    );
}

#[test]
fn a_contract_knows_its_senders_own_words_for_nothing() {
    let mut contract = plain();
    contract.unreplaced = vec!["xxc1xx".to_owned(), "TAPGAGE_VAR_CLICKID".to_owned()];
    World::new(contract, LEAD).check(
        "
        ?click_id=xxc1xx                  -> refused macro_not_replaced click_id
        ?click_id=TAPGAGE_VAR_CLICKID     -> refused macro_not_replaced click_id
        ?click_id=XXC1XX                  -> refused unknown_click click_id
        ?click_id=@a&revenue=1&sub1=xxc1xx -> recorded approved 1/1.75 !label_dropped
        /postback/global?click_id=xxc1xx  -> refused unknown_click click_id
        ",
    );
}

#[test]
fn two_names_that_say_the_same_in_other_letters_do_not_disagree() {
    let contract = contract(
        "click_id!=cid,click_id status=status,state goal=goal,event currency=currency,cur \
         revenue txn_id=txn,txid",
    );
    let mut world = World::new(contract, LEAD);
    world.click("a", LINK);
    let upper = world.id("a").as_str().to_uppercase().replace('0', "O");
    world.check(&format!(
        "
        ?cid=@a&click_id={upper}&status=hold&state=HOLD&goal=lead&event=Lead&currency=usd&cur=USD \
            -> recorded pending 0/0 !amount_missing
        ?cid=@a&txn=a&txid=A&revenue=1 -> refused invalid_payload txid
        "
    ));
}

#[test]
fn what_is_said_about_the_click_is_flagged_where_it_differs() {
    let mut world = World::new(plain(), LEAD);
    world.labelled_click("a", &[("sub1", "us"), ("placement", "top")]);
    world.check(
        "
        ?click_id=@a&revenue=1&txn_id=1&sub1=us&placement=top -> recorded approved 1/1.75
        ?click_id=@a&revenue=1&txn_id=2&sub1=ca               -> recorded approved 1/1.75 !sent_value_differs
        ?click_id=@a&revenue=1&txn_id=3&sub2=x                -> recorded approved 1/1.75 !sent_value_differs
        ?click_id=@a&revenue=1&txn_id=4&placement=             -> recorded approved 1/1.75
        ?click_id=@a&revenue=1&txn_id=5&campaign=1            -> recorded approved 1/1.75
        ?click_id=@a&revenue=1&txn_id=6&campaign=spring       -> recorded approved 1/1.75
        ?click_id=@a&revenue=1&txn_id=7&campaign=autumn       -> recorded approved 1/1.75 !sent_value_differs
        ",
    );
    let said = |name: &str| {
        let all = world.conversions.values().flat_map(|one| &one.values);
        let mut said: Vec<_> = all.filter(|(own, _)| own == name).map(|(_, it)| &**it).collect();
        said.sort_unstable();
        said
    };
    assert_eq!(said("sub1"), ["ca", "us"], "what was sent is kept as it was sent");
    assert_eq!((said("placement"), said("sub2")), (vec!["top"], vec!["x"]));
    assert_eq!(said("campaign"), ["1", "autumn", "spring"]);
    for conversion in world.conversions.values() {
        let labels: Vec<_> = conversion.labels.iter().map(|(_, value)| value).collect();
        assert_eq!(labels, ["us", "top"], "reports use the click's");
        assert_eq!(conversion.external_id, b"external");
    }
}

#[test]
fn parameters_and_events_are_kept_with_the_conversion() {
    let mut world = World::new(plain(), LEAD);
    world.check(
        "?click_id=@a&revenue=1&param1=Hat&event1=7.5&conversion_ref=c-9 -> recorded approved 1/1.75",
    );
    let conversion = world.conversion();
    let values = [("param1", "Hat"), ("event1", "7.5")];
    assert_eq!(conversion.values, values.map(|(name, it)| (name.to_owned(), it.to_owned())));
    assert_eq!(conversion.conversion_ref.as_deref(), Some("c-9"));
}

#[test]
fn events_alone_make_no_conversion() {
    let mut world = World::new(plain(), LEAD);
    world.check(
        "
        ?click_id=@a&event1=3              -> recorded
        ?click_id=@a&event1=3              -> duplicate already_processed
        ?click_id=@a&event1=4&sub1=us      -> recorded !sent_value_differs
        ?click_id=@a&event1=3&campaign_id=2 -> refused campaign_mismatch campaign_id
        ?click_id=nobodys&event1=3         -> refused unknown_click click_id
        ",
    );
    assert!(world.conversions.is_empty() && world.entries.is_empty());
    world.check(
        "
        ?click_id=@a&event1=&revenue=2     -> recorded approved 2/1.75
        ?click_id=@a&event1=5              -> recorded
        ?click_id=@b&event1=               -> recorded approved 0/1.75 !amount_missing
        ?click_id=@b&event1=3              -> recorded
        ?click_id=@c&event1=3&status=hold  -> recorded pending 0/0 !amount_missing
        ?click_id=@d&event1=3&txn_id=1     -> recorded approved 0/1.75 !amount_missing
        ",
    );
    assert_eq!(world.conversions.len(), 4);
}

#[test]
fn an_event_that_is_no_number_is_as_good_as_none_beside_a_conversion() {
    World::new(plain(), LEAD).check(
        "
        ?click_id=@a&event1={event1}                   -> recorded approved 0/1.75 !amount_missing !label_dropped
        ?click_id=@b&event1=many&revenue=2             -> recorded approved 2/1.75 !label_dropped
        ?click_id=@c&event1={event1}&event1=3          -> recorded !label_dropped
        ",
    );
}

#[test]
fn names_that_nobody_asked_for_never_refuse() {
    let mut world = World::new(plain(), LEAD);
    let hit = world.hit("?click_id=@a&revenue=1&foo={foo}&bar=%FF&Click_ID=x");
    let keyring = super::world::keyring();
    let read = crate::ledger::read(&world.setup, &keyring, &hit, world.now);
    assert_eq!(read.reading.unread, ["foo", "bar", "Click_ID"]);
    assert!(world.receive(&hit).effect.is_some());
}

#[test]
fn a_refused_hit_still_says_which_click_it_was_about() {
    let mut world = World::new(plain(), LEAD);
    world.click("a", LINK);
    for query in ["&revenue=x", "&txn_id={txn_id}", "&status=%FF", "&txn_id=1&txn_id=2"] {
        let hit = world.hit(&format!("?click_id=@a{query}"));
        let keyring = super::world::keyring();
        let read = crate::ledger::read(&world.setup, &keyring, &hit, world.now);
        assert!(read.postback().is_err());
        assert_eq!(read.click_id, keyring.parse(world.id("a").as_str()), "{query}");
        assert_eq!(read.campaign.unwrap().id, super::world::CAMPAIGN);
        assert_eq!(read.key, None);
    }
}

#[test]
fn a_token_that_nobody_set_is_no_reason_to_refuse() {
    let mut contract = contract("click_id! revenue token");
    contract.verification.token = Some(Canonical::Token);
    let mut world = World::new(contract, LEAD);
    world.check("?click_id=@a&revenue=1&token={token} -> recorded approved 1/1.75 !label_dropped");
    assert!(world.conversion().flags.has(Flag::Unverified));
    world.set_token(super::world::OWN_ID, "secret");
    world.check("?click_id=@b&revenue=1&token={token} -> refused macro_not_replaced token");
}
