//! What makes two postbacks the same conversion.

use super::world::{LEAD, World, contract, keyring, plain};
use crate::click_id::ClickId;
use crate::command::Sunset;
use crate::contract::{Contract, Identity, TxnIdAbsent};
use crate::id::AdvertiserId;
use crate::ledger::{Home, Key, Occasion, Rehearsal, read};
use crate::reason::Reason;

fn world(identity: Identity) -> World {
    let mut contract = plain();
    contract.identity = identity;
    let goals = r#"[{"key":"lead","default":true,"revenue":"2"},{"key":"Sale","revenue":"5"}]"#;
    World::new(contract, goals)
}

#[test]
fn click_goal_and_transaction_make_a_conversion_one() {
    world(Identity::ClickGoalTxn).check(
        "
        ?click_id=@a&txn_id=1            -> recorded approved 2/0
        ?click_id=@a&txn_id=2            -> recorded approved 2/0
        ?click_id=@b&txn_id=1            -> recorded approved 2/0
        ?click_id=@a&txn_id=1&goal=sale  -> recorded approved 5/0
        ?click_id=@a&txn_id=1            -> duplicate already_processed
        ?click_id=@a&txn_id=1&goal=lead  -> duplicate already_processed
        ?click_id=@a&txn_id=1&goal=LEAD  -> duplicate already_processed
        ?click_id=@a&txn_id=1&goal=SALE  -> duplicate already_processed
        ",
    );
}

#[test]
fn without_a_transaction_there_is_one_conversion_of_click_and_goal() {
    world(Identity::ClickGoalTxn).check(
        "
        ?click_id=@a                     -> recorded approved 2/0
        ?click_id=@a&txn_id=             -> duplicate already_processed
        ?click_id=@a&txn_id=%20          -> duplicate already_processed
        ?click_id=@a&txn_id=1            -> recorded approved 2/0
        ?click_id=@a                     -> duplicate already_processed
        ?click_id=@a&goal=sale           -> recorded approved 5/0
        ",
    );
}

#[test]
fn click_and_goal_alone_can_make_it_one() {
    world(Identity::ClickGoal).check(
        "
        ?click_id=@a&txn_id=1            -> recorded approved 2/0
        ?click_id=@a&txn_id=2            -> duplicate already_processed
        ?click_id=@a&txn_id=2&goal=sale  -> recorded approved 5/0
        ",
    );
}

#[test]
fn a_click_alone_can_make_it_one() {
    let mut world = world(Identity::Click);
    world.check(
        "
        ?click_id=@a&txn_id=1            -> recorded approved 2/0
        ?click_id=@a&txn_id=2            -> duplicate already_processed
        ?click_id=@a&goal=sale           -> duplicate already_processed !sent_value_differs
        ?click_id=@b                     -> recorded approved 2/0
        ",
    );
    assert_eq!(world.total(), "4/0");
}

#[test]
fn a_second_goal_of_one_conversion_brings_no_terms_of_its_own() {
    let mut contract = plain();
    contract.identity = Identity::Click;
    contract.repeats.amount = crate::contract::RepeatedAmount::Replace;
    let goals = r#"[{"key":"lead","default":true,"revenue":"2"},
        {"key":"sale","revenue":{"from":"postback"}}]"#;
    World::new(contract, goals).check(
        "
        ?click_id=@a&status=pending       -> recorded pending 0/0
        ?click_id=@a&goal=sale&revenue=99 -> updated approved 2/0 !sent_amount_differs !sent_value_differs
        ",
    );
}

#[test]
fn a_transaction_keeps_its_case_unless_the_contract_folds_it() {
    world(Identity::ClickGoalTxn).check(
        "
        ?click_id=@a&txn_id=Order-1      -> recorded approved 2/0
        ?click_id=@a&txn_id=order-1      -> recorded approved 2/0
        ?click_id=@a&txn_id=+order-1+    -> duplicate already_processed
        ",
    );
    let mut contract = plain();
    contract.txn_id_folded = true;
    let mut folded = World::new(contract, LEAD);
    folded.check(
        "
        ?click_id=@a&txn_id=%C3%84-Order&revenue=1 -> recorded approved 1/1.75
        ?click_id=@a&txn_id=%C3%A4-oRDER&revenue=1 -> duplicate already_processed
        ",
    );
    assert_eq!(folded.conversion().txn_id.as_deref(), Some("\u{c4}-Order"), "it is kept as sent");
}

#[test]
fn one_act_counts_once_whichever_contract_reads_it() {
    let by_click = Identity::Click;
    world(by_click).check(
        "
        /postback/own?click_id=@a                       -> recorded approved 2/0
        /postback/global?click_id=@a                    -> duplicate already_processed
        /postback/global?click_id=@a&txn_id=1           -> duplicate already_processed
        /postback?click_id=@a&txn_id=2                  -> duplicate already_processed
        /postback/global?click_id=@b&txn_id=1           -> recorded approved 2/0
        /postback/own?click_id=@b&txn_id=2              -> duplicate already_processed
        /postback/global?click_id=@b&status=reversed    -> updated reversed -2/0
        ",
    );
    let mut folding = plain();
    folding.txn_id_folded = true;
    World::new(folding, LEAD).check(
        "
        /postback/own?click_id=@a&txn_id=A&revenue=1    -> recorded approved 1/1.75
        /postback/global?click_id=@a&txn_id=a&revenue=1 -> duplicate already_processed
        ",
    );
}

#[test]
fn a_partners_path_and_a_plain_one_lead_to_the_same_conversion() {
    let mut world = world(Identity::ClickGoalTxn);
    let mut other = super::world::contract("click_id! revenue=amount");
    other.identity = Identity::Click;
    let mut partner = super::world::partner("other", other);
    partner.paths = vec!["/conversion".to_owned()];
    let (partners, key) = (vec![partner], "unused".to_owned());
    world.act(crate::command::Act::LoadCatalogue { partners, key });
    world.check(
        "
        /conversion?click_id=@a   -> recorded approved 2/0
        /postback?click_id=@a     -> duplicate already_processed
        /postback/own?click_id=@b -> recorded approved 2/0
        /conversion?click_id=@b   -> duplicate already_processed
        ",
    );
}

#[test]
fn the_click_ids_own_case_makes_no_difference() {
    let mut world = world(Identity::ClickGoalTxn);
    world.check("?click_id=@a -> recorded approved 2/0");
    let upper = world.id("a").as_str().to_uppercase();
    world.check(&format!("?click_id={upper} -> duplicate already_processed"));
}

#[test]
fn parts_of_an_identity_cannot_run_into_each_other() {
    let world = &mut world(Identity::ClickGoalTxn);
    world.click("a", super::world::LINK);
    let id = super::world::keyring().parse(world.id("a").as_str()).unwrap();
    let key = |goal, txn| Key::new(Identity::ClickGoalTxn, AdvertiserId(1), id, goal, txn);
    assert_ne!(key("ab", Some("c")), key("a", Some("bc")));
    assert_ne!(key("a", Some("")), key("a", None));
    assert_ne!(
        Key::new(Identity::ClickGoal, AdvertiserId(1), id, "a", None),
        Key::new(Identity::Click, AdvertiserId(1), id, "a", None)
    );
    assert_eq!(key("A", None), key("a", None));
    assert_eq!(key("a", None).home, Home::of(id));
}

#[test]
fn homes_lie_in_the_order_of_their_clicks() {
    let id = |ms: u64, counter: u128| {
        let bits = u128::from(ms) << 80 | 7 << 48 | counter << 20 | 0xF_00D5;
        Home::of(ClickId::from_bytes(bits.to_be_bytes())).0
    };
    let homes = [id(0, 0), id(0, 1), id(0, 0x7FFF), id(1, 0), id(1, 9), id((1 << 48) - 1, 0x7FFF)];
    assert!(homes.is_sorted() && homes[0] >= 0, "{homes:?}");
    assert_eq!(id(5, 1 << 15 | 3), id(5, 3), "two clicks may share one");
}

#[test]
fn a_renamed_default_goal_makes_no_second_conversion() {
    use crate::command::{Act, CampaignChanges};
    let mut world = world(Identity::ClickGoalTxn);
    world.check("?click_id=@a&txn_id=1 -> recorded approved 2/0");
    let goals = super::world::goals(r#"[{"key":"purchase","default":true,"revenue":"9"}]"#);
    let changes = CampaignChanges { goals: Some(goals), ..CampaignChanges::default() };
    let id = super::world::CAMPAIGN;
    world.act(Act::ChangeCampaign { id, changes: Box::new(changes) });
    world.check(
        "
        ?click_id=@a&txn_id=1 -> duplicate already_processed
        ?click_id=@a&txn_id=2 -> recorded approved 2/0
        ?click_id=@b&txn_id=1 -> recorded approved 9/0
        ",
    );
}

/// A change of what is agreed.
type Change = fn(&mut Contract);

#[test]
fn what_was_agreed_when_the_click_was_made_tells_its_conversions_apart() {
    let click_goal = |contract: &mut Contract| contract.identity = Identity::ClickGoal;
    let folding = |contract: &mut Contract| contract.txn_id_folded = true;
    let by_payload = |contract: &mut Contract| contract.txn_id_absent = TxnIdAbsent::Payload;
    let changes: [(&str, Change, &str); 4] = [
        ("click_goal", click_goal, "txn_id=T1"),
        ("folded", folding, "txn_id=T1"),
        ("payload", by_payload, "order=x"),
        ("by click", |contract| contract.identity = Identity::Click, "txn_id=T1"),
    ];
    for (name, change, said) in changes {
        let sunset = Sunset::default();
        let mut world = world(Identity::ClickGoalTxn);
        world.check(&format!("?click_id=@a&{said} -> recorded approved 2/0"));
        let before = plain();
        let mut after = before.clone();
        change(&mut after);
        world.agree(after, sunset);
        world.check(&format!("?click_id=@a&{said} -> duplicate already_processed"));
        world.check("?click_id=@b&txn_id=T1 -> recorded approved 2/0");
        assert_eq!(world.total(), "4/0", "{name}");
        world.agree(before, sunset);
        world.check(
            "
            ?click_id=@b&txn_id=T1 -> duplicate already_processed
            ?click_id=@a&txn_id=T2 -> recorded approved 2/0
            ?click_id=@a&txn_id=t2 -> recorded approved 2/0
            ",
        );
    }
}

fn by_payload(speaks: &str) -> Contract {
    Contract { txn_id_absent: TxnIdAbsent::Payload, ..contract(speaks) }
}

/// A new version names what the sender always sent: the same words are the same payload.
#[test]
fn what_was_said_is_the_same_whichever_version_reads_it() {
    let speaks = "click_id!=cid txn_id revenue";
    let mut world = World::new(by_payload(speaks), LEAD);
    world.check(
        "
        ?cid=@a&revenue=2&ts=7&k=1 -> recorded approved 2/1.75
        ?cid=@a&revenue=3&ts=7&k=1 -> recorded approved 3/1.75
        ",
    );
    let with_time = format!("{speaks} timestamp=ts");
    world.agree(by_payload(&with_time), Sunset::default());
    world.check(
        "
        ?cid=@a&revenue=2&ts=7&k=1 -> duplicate already_processed
        ?cid=@a&revenue=4&ts=7&k=1 -> recorded approved 4/1.75
        ?cid=@a&revenue=4&ts=8&k=1 -> duplicate already_processed
        ",
    );
    // What the second one read is known to the third.
    world.agree(by_payload(&format!("{with_time} token=k")), Sunset::default());
    world.check(
        "
        ?cid=@a&revenue=2&ts=7&k=1 -> duplicate already_processed
        ?cid=@a&revenue=4&ts=9&k=1 -> duplicate already_processed
        ?cid=@a&revenue=5&ts=9&k=1 -> recorded approved 5/1.75
        ?cid=@a&revenue=5&ts=8&k=2 -> duplicate already_processed
        ",
    );
    let all: Vec<_> = world.conversions.values().map(|one| one.key.clone()).collect();
    assert_eq!(all.len(), 4);
}

/// The other way round: what was left out once says something again.
#[test]
fn what_an_earlier_version_left_out_is_found_without_it() {
    let speaks = "click_id!=cid txn_id revenue";
    let mut world = World::new(by_payload(&format!("{speaks} timestamp=ts")), LEAD);
    world.check("?cid=@a&revenue=2&ts=7 -> recorded approved 2/1.75");
    world.agree(by_payload(speaks), Sunset::Days(0));
    world.check("?cid=@a&revenue=2&ts=8 -> duplicate already_processed");
}

#[test]
fn a_rehearsal_knows_what_was_said_too() {
    let speaks = "click_id!=cid txn_id revenue";
    let mut world = World::new(by_payload(speaks), LEAD);
    let first = world.hit("?cid=@a&revenue=2&ts=7");
    let at = world.now;
    world.agree(by_payload(&format!("{speaks} timestamp=ts")), Sunset::default());
    let (setup, ring) = (world.setup.clone(), keyring());
    let mut rehearsal = Rehearsal::new(&setup);
    let reasons = [at, world.now].map(|at| {
        let occasion = Occasion { at, ..world.occasion() };
        world.enter([]);
        let mut read = read(&setup, &ring, &first, at);
        rehearsal.find(&setup, &mut read);
        rehearsal.decide(&read, None, occasion).reason
    });
    assert_eq!(reasons, [None, Some(Reason::AlreadyProcessed)]);
}
