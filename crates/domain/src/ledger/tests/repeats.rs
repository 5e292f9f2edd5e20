//! Whose agreement says what a second postback may do, whoever reads it.

use super::world::{LEAD, World, contract, partner, plain};
use crate::command::{Act, Sunset};
use crate::contract::{Contract, Identity, RepeatedAmount, RepeatedEvents, Repeats};
use crate::id::AdvertiserId;
use crate::integration::Scope;

/// A contract with all that repeats can be otherwise.
fn loose(mut contract: Contract) -> Contract {
    contract.repeats = Repeats {
        amount: RepeatedAmount::Replace,
        events: RepeatedEvents::Add,
        mark: true,
        ..Repeats::default()
    };
    contract
}

/// The campaign agreed on `own`; a catalogue's path and a key of its advertiser speak `other`.
fn world(own: Contract, other: Contract) -> World {
    let mut world = World::new(own, LEAD);
    let mut catalogue = partner("other", other);
    catalogue.paths = vec!["/click.php".to_owned()];
    world.act(Act::LoadCatalogue { partners: vec![catalogue], key: "unused".to_owned() });
    world
}

fn by_click(speaks: &str) -> Contract {
    Contract { identity: Identity::Click, ..contract(speaks) }
}

const OTHER: &str = "click_id!=cnv_id status revenue=payout goal event1";

#[test]
fn another_partners_path_changes_no_amount_that_is_agreed_to_stay() {
    let mut world = world(plain(), loose(contract(OTHER)));
    world.check(
        "
        ?click_id=@a&revenue=3                    -> recorded approved 3/1.75
        /click.php?cnv_id=@a&payout=1             -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&event1=2                     -> recorded
        /click.php?cnv_id=@a&event1=3             -> recorded
        ?click_id=@a&revenue=3&txn_id=1           -> recorded approved 3/1.75
        ",
    );
    assert_eq!(world.events_of("a"), "1=3", "the last one counts, as the campaign agreed");
}

#[test]
fn another_partners_path_changes_what_is_agreed_to_change() {
    let mut world = world(loose(plain()), contract(OTHER));
    world.check(
        "
        ?click_id=@a&revenue=3&txn_id=1           -> recorded approved 3/1.75
        /click.php?cnv_id=@a&payout=1             -> recorded approved 1/1.75 !repeated
        /click.php?cnv_id=@a&payout=4             -> updated approved 3/0
        ?click_id=@a&event1=2                     -> recorded
        /click.php?cnv_id=@a&event1=3             -> recorded
        ",
    );
    assert_eq!(world.events_of("a"), "1=5");
}

#[test]
fn another_partners_path_changes_no_status_that_is_agreed_to_stay() {
    let mut own = plain();
    own.repeats.status = false;
    world(own, contract(OTHER)).check(
        "
        ?click_id=@a&status=hold&revenue=3        -> recorded pending 0/0
        /click.php?cnv_id=@a&payout=3             -> duplicate already_processed
        ",
    );
    let mut few = plain();
    few.repeats.transitions = ["pending > approved".to_owned().try_into().unwrap()].into();
    world(few, contract(OTHER)).check(
        "
        ?click_id=@a&status=hold&revenue=3            -> recorded pending 0/0
        /click.php?cnv_id=@a&payout=3&status=rejected -> refused transition_not_allowed status
        /click.php?cnv_id=@a&payout=3                 -> updated approved 3/1.75
        /click.php?cnv_id=@a&status=reversed          -> refused transition_not_allowed status
        ",
    );
}

#[test]
fn amounts_add_up_on_every_path_where_that_is_agreed() {
    let mut own = by_click("click_id! status revenue");
    own.repeats.amount = RepeatedAmount::Add;
    let mut world = world(own, contract(OTHER));
    world.integration(Scope::Advertiser { advertiser_id: AdvertiserId(1) }, "other", "adv", "");
    world.check(
        "
        ?click_id=@a&revenue=1             -> recorded approved 1/1.75
        /click.php?cnv_id=@a&payout=2      -> updated approved 2/0
        /postback/adv?cnv_id=@a&payout=4   -> updated approved 4/0
        ?click_id=@a&revenue=4             -> duplicate already_processed
        ",
    );
}

#[test]
fn what_was_agreed_when_the_click_was_made_holds_for_its_conversions() {
    let mut world = World::new(plain(), LEAD);
    world.check("?click_id=@a&revenue=3 -> recorded approved 3/1.75");
    world.agree(loose(plain()), Sunset::default());
    world.check(
        "
        ?click_id=@a&revenue=1             -> duplicate already_processed !sent_amount_differs
        ?click_id=@b&revenue=3             -> recorded approved 3/1.75
        ?click_id=@b&revenue=1             -> updated approved -2/0
        ?click_id=@a&revenue=3&txn_id=2    -> recorded approved 3/1.75
        ?click_id=@b&revenue=3&txn_id=2    -> recorded approved 3/1.75 !repeated
        ",
    );
}

#[test]
fn a_transaction_of_another_campaign_is_repeated_as_that_one_agreed() {
    let of_txn = |contract| Contract { identity: Identity::Txn, ..contract };
    let keeps = of_txn(contract("click_id! txn_id! status revenue"));
    let replaces = of_txn(loose(contract("click_id! txn_id! status revenue")));
    for (own, more, outcome) in [
        (&keeps, &replaces, "duplicate already_processed !sent_amount_differs !sent_value_differs"),
        (&replaces, &keeps, "updated approved 1/0 !sent_value_differs"),
    ] {
        let mut world = World::new(own.clone(), LEAD);
        let speaks = vec![partner("it", more.clone())];
        world.act(Act::LoadCatalogue { partners: speaks, key: "unused".to_owned() });
        super::modes::another_campaign(&mut world, AdvertiserId(1), LEAD, "other");
        world.check(&format!(
            "
            ?click_id=@a&txn_id=1&revenue=1                     -> recorded approved 1/1.75
            /postback/global?click_id=@other&txn_id=1&revenue=2 -> {outcome}
            "
        ));
    }
}
