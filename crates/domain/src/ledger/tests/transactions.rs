//! What names a transaction and no click: it is about the conversion that has it.

use super::modes::another_campaign;
use super::world::{CAMPAIGN, LEAD, OWN_ID, World, contract, keyring, partner};
use crate::campaign::Campaign;
use crate::command::{Act, Sunset};
use crate::contract::{Canonical, Contract, Identity, RepeatedAmount};
use crate::id::AdvertiserId;
use crate::integration::Scope;
use crate::ledger::{Rehearsal, read};
use crate::reason::Reason;
use crate::settings::{Settings, Unverified};
use crate::setup::Change;

fn by_txn(speaks: &str) -> Contract {
    Contract { identity: Identity::Txn, ..contract(speaks) }
}

const SPEAKS: &str = "click_id=cid txn_id!=tid,sid status goal revenue sub1 event1 token";

fn world() -> World {
    World::new(by_txn(SPEAKS), LEAD)
}

#[test]
fn a_transaction_alone_leads_to_its_conversion_and_its_click() {
    let mut world = world();
    world.check(
        "
        ?sid=1&status=reversed                   -> refused unknown_click sid
        ?cid=@a&tid=1&revenue=2                  -> recorded approved 2/1.75
        ?sid=1&status=reversed                   -> updated reversed -2/-1.75
        ?sid=1&status=reversed                   -> duplicate already_processed
        ?sid=1&status=reversed&cid=              -> duplicate already_processed
        ?sid=1&revenue=2                         -> duplicate already_processed
        ?sid=1&revenue=2&status=approved         -> updated approved 2/1.75
        ?sid=1&status=hold                       -> refused transition_not_allowed status
        ?sid=1&status=never                      -> refused unknown_status status
        ?sid=1&status=ping                       -> ignored status_ignored status
        ?sid=1&revenue=3                         -> duplicate already_processed !sent_amount_differs
        ?sid=2                                   -> refused unknown_click sid
        ?sid=                                    -> refused missing_parameter sid
        ?status=reversed                         -> refused missing_parameter tid
        ?sid=1&cid={cid}                         -> refused macro_not_replaced cid
        ?sid=1&cid=nobodys                       -> refused unknown_click cid
        ?sid=2&CID=@a                            -> refused missing_parameter cid ~CID
        ?sid=1&event1=4&status=approved          -> duplicate already_processed
        wait 400d
        ?sid=1&status=reversed&revenue=2         -> updated reversed -2/-1.75
        ",
    );
    assert_eq!((world.conversions.len(), world.events_of("a").as_str()), (1, "1=4"));
    let hit = world.hit("?sid=1&status=reversed");
    let read = read(&world.setup, &keyring(), &hit, world.now);
    assert_eq!((read.click_id, &read.key), (None, &None));
    assert_eq!(read.asks_for(), [world.conversion().key.clone()]);
}

#[test]
fn only_the_key_of_who_agreed_so_may_leave_the_click_out() {
    let mut world = world();
    let mut shared = partner("shared", by_txn("click_id=cid txn_id!=sid status"));
    shared.paths = vec!["/shared".to_owned(), "/{key}/postback".to_owned()];
    let speaks = |name: &str, contract| partner(name, contract);
    let partners = vec![
        shared,
        speaks("byclick", contract("click_id=cid txn_id!=sid status")),
        speaks("strict", by_txn("click_id!=cid txn_id!=sid status")),
    ];
    world.act(Act::LoadCatalogue { partners, key: "unused".to_owned() });
    let scope = Scope::Advertiser { advertiser_id: AdvertiserId(1) };
    for name in ["byclick", "strict"] {
        world.integration(scope, name, name, "");
    }
    world.integration(Scope::Global, "shared", "global-shared", "");
    world.check(
        "
        ?cid=@a&tid=1&revenue=2                       -> recorded approved 2/1.75
        /shared?sid=1&status=reversed                 -> refused unknown_click cid
        /f0r3ign/postback?sid=1&status=reversed       -> refused unknown_integration
        /postback/byclick?sid=1&status=reversed       -> refused unknown_click cid
        /postback/strict?sid=1&status=reversed        -> refused missing_parameter cid
        /postback/global-shared?sid=1&status=reversed -> refused unknown_click cid
        /own/postback?sid=1&status=reversed           -> updated reversed -2/-1.75
        ",
    );
}

#[test]
fn the_key_has_to_serve_the_conversions_campaign() {
    let mut world = world();
    another_campaign(&mut world, AdvertiserId(1), LEAD, "other");
    world.act(Act::CreateAdvertiser { name: "Rival".to_owned() });
    another_campaign(&mut world, AdvertiserId(2), LEAD, "rival");
    let scope = Scope::Advertiser { advertiser_id: AdvertiserId(1) };
    world.integration(scope, "it", "adv", "");
    world.check(
        "
        ?cid=@a&tid=1&revenue=2                 -> recorded approved 2/1.75
        /postback/key-3?cid=@rival&tid=1&revenue=5 -> recorded approved 5/1.75
        /postback/key-2?sid=1&status=reversed   -> refused unknown_click sid
        /postback/adv?sid=1&status=reversed     -> updated reversed -2/-1.75
        /postback/key-3?sid=1&status=reversed   -> updated reversed -5/-1.75
        /postback/key-2?cid=@other&tid=2&revenue=4 -> recorded approved 4/1.75
        /postback/adv?sid=2&status=reversed     -> updated reversed -4/-1.75
        ",
    );
    let hit = world.hit("/postback/key-2?sid=1&status=reversed");
    let refused = world.receive(&hit);
    assert_eq!((refused.conversion, refused.original), (None, None), "it learns nothing of it");
}

#[test]
fn who_is_nearer_to_the_campaign_is_not_passed_by() {
    let mut guarded = by_txn(SPEAKS);
    guarded.verification.token = Some(Canonical::Token);
    let mut world = World::new(guarded, LEAD);
    world.set_token(OWN_ID, "secret");
    let open = partner("open", by_txn(SPEAKS));
    world.act(Act::LoadCatalogue { partners: vec![open], key: "unused".to_owned() });
    let scope = Scope::Advertiser { advertiser_id: AdvertiserId(1) };
    world.integration(scope, "open", "adv", "");
    world.shows_unverified = true;
    world.check(
        "
        ?cid=@a&tid=1&revenue=2&token=secret                -> recorded approved 2/1.75
        ?sid=1&status=reversed                              -> refused signature_mismatch token
        ?sid=1&status=reversed&token=wrong                  -> refused signature_mismatch token
        /postback/adv?sid=1&status=reversed                 -> refused signature_mismatch token
        /postback/adv?sid=1&status=reversed&token=secret    -> updated reversed -2/-1.75
        ?sid=1&revenue=2&token=secret&status=approved       -> updated approved 2/1.75
        ",
    );
    let mut open = self::world();
    open.check("?cid=@a&tid=1&revenue=2 -> recorded approved 2/1.75");
    open.act(Act::SetSettings { settings: Settings { unverified: Unverified::Refuse } });
    open.check("?sid=1&status=reversed -> refused signature_mismatch");
}

#[test]
fn it_is_repeated_as_was_agreed_for_the_click() {
    let mut adding = by_txn(SPEAKS);
    adding.repeats.amount = RepeatedAmount::Add;
    let mut world = World::new(adding, LEAD);
    world.check("?cid=@a&tid=1&revenue=2 -> recorded approved 2/1.75");
    world.agree(by_txn(SPEAKS), Sunset::default());
    world.check(
        "
        ?sid=1&revenue=3                  -> updated approved 3/0
        ?sid=1&revenue=3                  -> duplicate already_processed
        ?cid=@b&tid=2&revenue=2           -> recorded approved 2/1.75
        ?sid=2&revenue=3                  -> duplicate already_processed !sent_amount_differs
        ",
    );
}

#[test]
fn it_needs_to_name_no_goal_either() {
    let goals = r#"[{"key":"lead","default":true,"revenue":"1"},{"key":"sale","revenue":"9"}]"#;
    let mut world = World::new(by_txn(SPEAKS), goals);
    world.check(
        "
        ?cid=@a&tid=1&goal=sale           -> recorded approved 9/0
        ?sid=1&status=reversed            -> updated reversed -9/0
        ?sid=1&status=approved&goal=lead  -> updated approved 9/0 !sent_value_differs
        ",
    );
}

#[test]
fn an_id_is_folded_as_its_key_says() {
    let folding = Contract { txn_id_folded: true, ..by_txn(SPEAKS) };
    let mut world = World::new(folding, LEAD);
    world.check(
        "
        ?cid=@a&tid=Ab&revenue=2          -> recorded approved 2/1.75
        ?sid=aB&status=reversed           -> updated reversed -2/-1.75
        ",
    );
}

#[test]
fn what_several_advertisers_share_needs_the_click() {
    let mut world = World::empty(by_txn(SPEAKS));
    world.act(Act::CreateAdvertiser { name: "Shop".to_owned() });
    world.act(Act::CreateAdvertiser { name: "Rival".to_owned() });
    world.act(Act::CreatePublisher { name: "Blog".to_owned() });
    world.integration(Scope::Global, "it", "shared", "");
    let campaign = |world: &mut World, advertiser: u32, name: &str| {
        let mut new = super::world::campaign("One", super::world::goals(LEAD));
        new.advertiser_id = AdvertiserId(advertiser);
        new.name = name.to_owned();
        new.integration_id = Some(OWN_ID);
        world.act(Act::CreateCampaign(Box::new(new)));
    };
    campaign(&mut world, 1, "One");
    for to in [
        crate::campaign::Status::PendingApproval,
        crate::campaign::Status::Approved,
        crate::campaign::Status::Active,
    ] {
        world.act(Act::SetCampaignStatus { id: CAMPAIGN, to, key: "unused".to_owned() });
    }
    world.link(CAMPAIGN, false);
    world.check(
        "
        /postback/shared?cid=@a&tid=1&revenue=2  -> recorded approved 2/1.75
        /postback/shared?sid=1&status=reversed   -> updated reversed -2/-1.75
        ",
    );
    campaign(&mut world, 2, "Two");
    world.check(
        "
        /postback/shared?sid=1&revenue=2&status=approved      -> refused unknown_click cid
        /postback/shared?sid=1&revenue=2&status=approved&cid=@a -> updated approved 2/1.75
        ",
    );
}

#[test]
fn a_rehearsal_finds_it_too() {
    let mut world = world();
    let lines = ["?sid=1&status=reversed", "?cid=@a&tid=1&revenue=2", "?sid=1&status=reversed"];
    let hits = lines.map(|line| world.hit(line));
    let setup = world.setup.clone();
    let mut rehearsal = Rehearsal::new(&setup);
    let reasons = hits.each_ref().map(|hit| {
        let occasion = world.occasion();
        world.enter([]);
        let ring = keyring();
        let mut read = read(&setup, &ring, hit, occasion.at);
        rehearsal.find(&setup, &mut read);
        rehearsal.decide(&read, None, occasion).reason
    });
    assert_eq!(reasons, [Some(Reason::UnknownClick), None, None]);
    let (_, conversion) = rehearsal.conversions().next().unwrap();
    assert_eq!(conversion.status, crate::conversion::Status::Reversed);
}

/// With their click the same words find it, so without it they have to.
#[test]
fn an_id_is_folded_as_was_agreed_for_its_click() {
    let folding = Contract { txn_id_folded: true, ..by_txn(SPEAKS) };
    for (then, now) in [(by_txn(SPEAKS), folding.clone()), (folding.clone(), by_txn(SPEAKS))] {
        let mut world = World::new(then, LEAD);
        world.check("?cid=@a&tid=Ab&revenue=2 -> recorded approved 2/1.75");
        world.agree(now, Sunset::Days(0));
        let mut with = world.clone();
        with.check("?cid=@a&tid=Ab&status=reversed -> updated reversed -2/-1.75");
        world.check("?tid=Ab&status=reversed -> updated reversed -2/-1.75");
    }
    // One that is told apart by case is not found by another spelling, which hides none.
    let mut world = World::new(by_txn(SPEAKS), LEAD);
    world.check(
        "
        ?cid=@a&tid=ab&revenue=2  -> recorded approved 2/1.75
        ?cid=@a&tid=Ab&revenue=3  -> recorded approved 3/1.75
        ",
    );
    world.agree(folding, Sunset::Days(0));
    world.check(
        "
        ?tid=aB&status=reversed   -> refused unknown_click tid
        ?tid=Ab&status=reversed   -> updated reversed -3/-1.75
        ",
    );
}

#[test]
fn only_the_advertisers_of_now_share_an_integration() {
    let mut world = World::empty(by_txn(SPEAKS));
    for name in ["Shop", "Rival"] {
        world.act(Act::CreateAdvertiser { name: name.to_owned() });
    }
    world.integration(Scope::Global, "it", "shared", "");
    world.integration(Scope::Global, "it", "another", "");
    let another = world.setup.integration_by_key("another").unwrap().id;
    let campaign = |world: &mut World, advertiser: u32, name: &str, integration_id| {
        let mut new = super::world::campaign("One", super::world::goals(LEAD));
        new.advertiser_id = AdvertiserId(advertiser);
        (new.name, new.integration_id) = (name.to_owned(), Some(integration_id));
        world.act(Act::CreateCampaign(Box::new(new)));
    };
    let asks = |world: &World, at| {
        let hit = world.clone().hit("/postback/shared?sid=1&status=reversed");
        !read(&world.setup, &keyring(), &hit, at).asks_for().is_empty()
    };
    let before = world.now.plus_us(-1);
    campaign(&mut world, 1, "One", OWN_ID);
    campaign(&mut world, 1, "Two", OWN_ID);
    campaign(&mut world, 2, "Three", another);
    let alone = world.now.plus_us(-1);
    campaign(&mut world, 2, "Four", OWN_ID);
    let shared = world.now;
    let campaign = world.setup.campaigns.values().last().unwrap().latest().clone();
    world
        .setup
        .put(shared, Change::Campaign(Campaign { integration_id: Some(another), ..campaign }));
    assert_eq!(
        [before, alone, shared.plus_us(-1), shared].map(|at| asks(&world, at)),
        [false, true, false, true]
    );
}
