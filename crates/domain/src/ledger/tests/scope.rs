//! Which integration reads a hit, whom its key serves, and who vouches for the sender.

use super::world::{
    CAMPAIGN, GLOBAL, LEAD, LINK, OWN, OWN_ID, World, campaign, contract, goals, keyring, plain,
};
use crate::campaign::Status;
use crate::command::Act;
use crate::contract::{Canonical, Contract, Network};
use crate::hit::Hit;
use crate::id::{AdvertiserId, CampaignId, IntegrationId};
use crate::integration::Scope;
use crate::ledger::{Route, is_ours, read, route};
use crate::reason::{Flag, Reason, Verdict};
use crate::settings::{Settings, Unverified};
use crate::time::Timestamp;

pub(super) fn guarded() -> Contract {
    let mut contract = contract("click_id! txn_id status revenue token");
    contract.verification.token = Some(Canonical::Token);
    contract
}

/// A second campaign, of another advertiser, with a link and a click `o`.
fn with_another_advertiser(world: &mut World) {
    world.act(Act::CreateAdvertiser { name: "Rival".to_owned() });
    let mut new = campaign("Theirs", goals(LEAD));
    new.advertiser_id = AdvertiserId(2);
    world.act(Act::CreateCampaign(Box::new(new)));
    let id = CampaignId(2);
    for to in [Status::PendingApproval, Status::Approved, Status::Active] {
        world.act(Act::SetCampaignStatus { id, to, key: "theirs".to_owned() });
    }
    let link = world.link(id, false);
    world.click("o", link);
}

#[test]
fn a_key_counts_only_for_clicks_in_its_scope() {
    let mut world = World::new(plain(), LEAD);
    with_another_advertiser(&mut world);
    let advertiser_id = AdvertiserId(1);
    world.integration(Scope::Advertiser { advertiser_id }, "it", "adv", "");
    world.check(
        "
        /postback/own?click_id=@o&revenue=1           -> refused campaign_mismatch
        /postback/adv?click_id=@o&revenue=1           -> refused campaign_mismatch
        /adv/postback?click_id=@o&revenue=1           -> refused campaign_mismatch
        /postback/theirs?click_id=@a&revenue=1        -> refused campaign_mismatch
        /postback/own?click_id=@o&status=ping         -> ignored status_ignored status
        /postback/own?click_id=@o&goal=nope           -> refused campaign_mismatch
        /postback/theirs?click_id=@o&revenue=1        -> recorded approved 1/1.75
        /postback/own?click_id=@o&revenue=1           -> refused campaign_mismatch
        /postback/adv?click_id=@a&revenue=1           -> recorded approved 1/1.75
        /own/postback?click_id=@b&revenue=1           -> recorded approved 1/1.75
        /postback/global?click_id=@c&revenue=1        -> recorded approved 1/1.75
        ",
    );
}

#[test]
fn a_key_that_does_not_serve_the_click_learns_nothing_of_its_conversion() {
    let mut world = World::new(plain(), LEAD);
    with_another_advertiser(&mut world);
    world.check("/postback/theirs?click_id=@o&revenue=1 -> recorded approved 1/1.75");
    let hit = world.hit("/postback/own?click_id=@o&revenue=1");
    let refused = world.receive(&hit);
    assert_eq!(refused.reason, Some(Reason::CampaignMismatch));
    assert_eq!((refused.conversion, refused.original), (None, None));
}

#[test]
fn an_integration_that_several_campaigns_share_serves_them_all() {
    let mut world = World::empty(plain());
    world.act(Act::CreateAdvertiser { name: "Shop".to_owned() });
    world.act(Act::CreatePublisher { name: "Blog".to_owned() });
    world.integration(Scope::Global, "it", "shared", "");
    for (number, name) in [(1, "One"), (2, "Two")] {
        let mut new = campaign(name, goals(LEAD));
        new.integration_id = Some(IntegrationId(2));
        world.act(Act::CreateCampaign(Box::new(new)));
        for to in [Status::PendingApproval, Status::Approved, Status::Active] {
            let id = CampaignId(number);
            world.act(Act::SetCampaignStatus { id, to, key: "unused".to_owned() });
        }
        world.link(CampaignId(number), false);
    }
    assert_eq!(world.setup.integrations.len(), 2, "approval made none");
    world.click("o", crate::id::LinkId(2));
    world.check(
        "
        /postback/shared?click_id=@a&revenue=1  -> recorded approved 1/1.75
        /postback/shared?click_id=@o&revenue=1  -> recorded approved 1/1.75
        /postback?click_id=@o&revenue=1         -> duplicate already_processed
        ",
    );
}

#[test]
fn a_more_specific_verification_is_not_passed_by() {
    let mut world = World::new(guarded(), LEAD);
    world.set_token(OWN_ID, "secret");
    world.check(
        "
        /postback/own?click_id=@a&revenue=1                    -> refused signature_mismatch token
        /postback/global?click_id=@a&revenue=1                 -> refused signature_mismatch token
        /postback/global?click_id=@a&revenue=1&token=wrong     -> refused signature_mismatch token
        /postback?click_id=@a&revenue=1                        -> refused signature_mismatch token
        /postback/global?click_id=@a&revenue=1&token=secret    -> recorded approved 1/1.75
        /postback/own?click_id=@a&revenue=1&token=secret       -> duplicate already_processed
        ",
    );
    world.shows_unverified = true;
    world.check("/postback/global?click_id=@b&revenue=1&token=secret -> recorded approved 1/1.75");
}

#[test]
fn the_reason_of_the_more_specific_verification_keeps_its_place() {
    let mut world = World::new(guarded(), LEAD);
    world.set_token(OWN_ID, "secret");
    world.check(
        "
        /postback/global?click_id=@a&goal={goal}      -> refused macro_not_replaced goal
        /postback/global?click_id=@a&revenue=x        -> refused invalid_payload revenue
        /postback/global?click_id=@a&campaign_id=2    -> refused signature_mismatch token
        /postback/global?click_id=nobodys             -> refused unknown_click click_id
        ",
    );
    let partner = super::world::partner("strict", contract("click_id! goal!"));
    world.act(Act::LoadCatalogue { partners: vec![partner], key: "unused".to_owned() });
    let scope = Scope::Advertiser { advertiser_id: AdvertiserId(1) };
    world.integration(scope, "strict", "adv", "");
    world.check(
        "
        /postback/adv?click_id=@a                -> refused signature_mismatch token
        /postback/adv?click_id=@a&token=secret   -> refused missing_parameter goal
        /postback/adv?click_id=nobodys           -> refused missing_parameter goal
        ",
    );
}

#[test]
fn a_less_specific_verification_is_not_asked_for() {
    let mut world = World::new(plain(), LEAD);
    world.integration(Scope::Global, "it", "other", "");
    let advertiser_id = AdvertiserId(1);
    // The partner under test has no token, so another one guards the advertiser's level.
    let partner = super::world::partner("guarded", guarded());
    world.act(Act::LoadCatalogue { partners: vec![partner], key: "unused".to_owned() });
    world.integration(Scope::Advertiser { advertiser_id }, "guarded", "adv", "secret");
    world.check(
        "
        /postback/own?click_id=@a&revenue=1                  -> recorded approved 1/1.75
        /postback/adv?click_id=@b&revenue=1                  -> refused signature_mismatch token
        /postback/adv?click_id=@b&revenue=1&token=secret     -> recorded approved 1/1.75
        /postback/other?click_id=@c&revenue=1                -> refused signature_mismatch token
        /postback/other?click_id=@c&revenue=1&token=secret   -> recorded approved 1/1.75
        ",
    );
}

#[test]
fn of_several_at_one_level_any_will_do() {
    let mut world = World::new(plain(), LEAD);
    let partner = super::world::partner("guarded", guarded());
    world.act(Act::LoadCatalogue { partners: vec![partner], key: "unused".to_owned() });
    let scope = Scope::Advertiser { advertiser_id: AdvertiserId(1) };
    world.integration(scope, "guarded", "first", "one");
    world.integration(scope, "guarded", "second", "two");
    world.check(
        "
        /postback/second?click_id=@a&revenue=1&token=two   -> recorded approved 1/1.75
        /postback/second?click_id=@b&revenue=1&token=one   -> refused signature_mismatch token
        /postback/global?click_id=@b&revenue=1&token=two   -> recorded approved 1/1.75
        /postback/global?click_id=@c&revenue=1&token=one   -> recorded approved 1/1.75
        /postback/global?click_id=@d&revenue=1&token=three -> refused signature_mismatch token
        ",
    );
}

#[test]
fn a_token_that_is_required_is_missed_until_it_is_set() {
    let mut contract = guarded();
    contract.verification.token_required = true;
    let mut world = World::new(contract, LEAD);
    world.check(
        "
        ?click_id=@a&revenue=1              -> refused signature_mismatch token
        ?click_id=@a&revenue=1&token=       -> refused signature_mismatch token
        ?click_id=@a&revenue=1&token=guess  -> refused signature_mismatch token
        /postback/global?click_id=@a&revenue=1 -> refused signature_mismatch token
        ",
    );
    world.set_token(OWN_ID, "secret");
    world.shows_unverified = true;
    world.check(
        "
        ?click_id=@a&revenue=1&token=Secret -> refused signature_mismatch token
        ?click_id=@a&revenue=1&token=secret -> recorded approved 1/1.75
        ",
    );
}

#[test]
fn the_sender_is_in_the_contracts_networks() {
    let mut contract = plain();
    let networks = ["203.0.113.0/24", "2001:db8::/32"];
    contract.verification.networks = networks.map(|net| Network::parse(net).unwrap()).to_vec();
    let mut world = World::new(contract, LEAD);
    world.check(
        "
        ?click_id=@a&revenue=1                     -> refused source_not_allowed
        from 203.0.114.1
        ?click_id=@a&revenue=1                     -> refused source_not_allowed
        /postback/global?click_id=@a&revenue=1     -> refused source_not_allowed
        from 203.0.113.255
        ?click_id=@a&revenue=1&txn_id=1            -> recorded approved 1/1.75
        from ::ffff:203.0.113.1
        ?click_id=@a&revenue=1&txn_id=2            -> recorded approved 1/1.75
        from 2001:db8:ffff::1
        ?click_id=@a&revenue=1&txn_id=3            -> recorded approved 1/1.75
        from 2001:db9::1
        ?click_id=@a&revenue=1&txn_id=4            -> refused source_not_allowed
        ",
    );
    let unverified = world.conversions.values().filter(|one| one.flags.has(Flag::Unverified));
    assert_eq!(unverified.count(), 0);
}

#[test]
fn a_forwarded_address_vouches_for_nobody() {
    let mut contract = plain();
    contract.verification.networks = vec![Network::parse("203.0.113.7").unwrap()];
    let mut world = World::new(contract, LEAD);
    world.from = Some("198.51.100.1".parse().unwrap());
    let mut hit = world.hit("?click_id=@a&revenue=1");
    hit.forwarded = Some("203.0.113.7".to_owned());
    assert_eq!(world.receive(&hit).reason, Some(Reason::SourceNotAllowed));
}

#[test]
fn what_nothing_verified_is_flagged() {
    let mut world = World::new(guarded(), LEAD);
    world.shows_unverified = true;
    world.check(
        "
        ?click_id=@a&revenue=1             -> recorded approved 1/1.75 !unverified
        ?click_id=@b&revenue=1&token=guess -> recorded approved 1/1.75 !unverified
        ",
    );
}

#[test]
fn a_timestamp_is_within_the_tolerance_on_both_sides() {
    let mut signed = contract("click_id! revenue timestamp!");
    signed.verification.timestamp_tolerance_s = Some(300);
    let mut world = World::new(signed, LEAD);
    let now = world.now.as_s();
    for (apart_s, is_fresh) in [(0, true), (299, true), (-299, true), (302, false), (-302, false)] {
        let sent = format!("?click_id=@a&revenue=1&timestamp={}", now + apart_s);
        let got = world.send(&sent);
        assert_ne!(got.starts_with("refused stale_timestamp timestamp"), is_fresh, "{sent}: {got}");
        world.conversions.clear();
    }
    world.check(
        "
        ?click_id=@a&revenue=1                              -> refused missing_parameter timestamp
        ?click_id=@b&revenue=1&timestamp=2026-11-20T10:00:00%2B01:00 -> recorded approved 1/1.75
        ?click_id=@c&revenue=1&timestamp=2026-11-20         -> refused invalid_payload timestamp
        ?click_id=@c&revenue=1&timestamp=1795000000000      -> refused invalid_payload timestamp
        ?click_id=@c&revenue=1&timestamp=99999999999999999999 -> refused invalid_payload timestamp
        ?click_id=@c&revenue=1&timestamp=-1                 -> refused invalid_payload timestamp
        ?click_id=@c&revenue=1&timestamp={ts}               -> refused macro_not_replaced timestamp
        ",
    );
    World::new(contract("click_id! revenue timestamp"), LEAD).check(
        "
        ?click_id=@a&revenue=1&timestamp=1    -> recorded approved 1/1.75
        ?click_id=@b&revenue=1&timestamp=soon -> recorded approved 1/1.75
        ?click_id=@c&revenue=1&timestamp={ts} -> recorded approved 1/1.75 !label_dropped
        ",
    );
}

#[test]
fn on_the_plain_path_the_click_says_who_reads() {
    let mut world = World::new(contract("click_id!=cid revenue=payout"), LEAD);
    with_another_advertiser(&mut world);
    world.check(
        "
        /postback?cid=@a&payout=3                 -> recorded approved 3/1.75
        /postback?click_id=@a&revenue=3           -> refused missing_parameter cid ~click_id
        /postback?cid=@a&click_id=@o              -> refused invalid_payload click_id
        /postback?cid=nobodys&payout=3            -> refused missing_parameter click_id
        /postback?click_id=nobodys                -> refused unknown_click click_id
        /postback?other=@a                        -> refused missing_parameter click_id ~other
        /postback                                 -> refused missing_parameter click_id
        ",
    );
}

#[test]
fn an_archived_key_reads_nothing_any_more() {
    let mut world = World::new(plain(), LEAD);
    let advertiser_id = AdvertiserId(1);
    world.integration(Scope::Advertiser { advertiser_id }, "it", "old", "");
    let id = world.setup.integration_by_key("old").unwrap().id;
    world.check("/postback/old?click_id=@a&revenue=1 -> recorded approved 1/1.75");
    world.act(Act::ArchiveIntegration { id });
    world.check("/postback/old?click_id=@b&revenue=1 -> refused unknown_integration");
}

#[test]
fn a_hit_is_read_with_the_setup_as_it_was_when_it_arrived() {
    let mut world = World::new(plain(), LEAD);
    let advertiser_id = AdvertiserId(1);
    world.integration(Scope::Advertiser { advertiser_id }, "it", "old", "");
    let id = world.setup.integration_by_key("old").unwrap().id;
    let mut bound = super::world::partner("bound", contract("click_id!=subid revenue=amount"));
    bound.paths = vec!["/click.php".to_owned()];
    let load = |bound| Act::LoadCatalogue { partners: vec![bound], key: "unused".to_owned() };
    world.act(load(bound.clone()));
    let by_key = world.hit("/postback/old?click_id=@a&revenue=1&txn_id=1");
    let by_path = world.hit("/click.php?subid=@a&amount=2");
    let arrived_at = world.now;
    world.wait_s(1);
    world.act(Act::ArchiveIntegration { id });
    bound.paths.clear();
    world.act(load(bound));
    assert_eq!(world.receive(&by_key).reason, Some(Reason::UnknownIntegration));
    assert_eq!(world.receive(&by_path).reason, Some(Reason::MissingParameter));
    assert_eq!(world.receive_again(&by_key, arrived_at).verdict, Verdict::Recorded);
    assert_eq!(world.receive_again(&by_path, arrived_at).verdict, Verdict::Recorded);
    assert_eq!(route(&world.setup, b"/click.php"), Route::Elsewhere);
    let early = world.setup.integration_by_key("own").unwrap().clone();
    let before = Timestamp::UNIX_EPOCH;
    assert_eq!(world.setup.as_of(before).integration_by_key(&early.key), None);
}

#[test]
fn what_is_decided_again_is_judged_by_its_arrival_and_entered_now() {
    let mut world = World::new(plain(), LEAD);
    world.click("a", LINK);
    let hit = world.hit("?click_id=@a&revenue=1");
    let arrived_at = world.now;
    world.wait_s(40 * 86_400);
    let now = world.now;
    assert_eq!(world.receive_again(&hit, arrived_at).verdict, Verdict::Recorded, "in the window");
    let conversion = world.conversion();
    assert_eq!((conversion.created_at, conversion.changed_at), (arrived_at, now));
    assert_eq!(world.entries[0].at, now);
}

#[test]
fn an_archived_integration_neither_reads_nor_verifies() {
    let mut world = World::new(guarded(), LEAD);
    world.set_token(OWN_ID, "secret");
    world.click("a", LINK);
    world.check("/postback?click_id=@a&revenue=1 -> refused signature_mismatch token");
    world.set_status(Status::Paused);
    world.act(Act::ArchiveCampaign { id: CAMPAIGN });
    world.act(Act::ArchiveIntegration { id: OWN_ID });
    world.check(
        "
        /postback?click_id=@a&revenue=1     -> recorded approved 1/1.75
        /postback/own?click_id=@a&revenue=1 -> refused unknown_integration
        ",
    );
}

#[test]
fn names_that_only_an_archived_integration_knew_say_nothing_any_more() {
    let mut world = World::new(plain(), LEAD);
    let other = super::world::partner("other", contract("click_id!=cid revenue"));
    world.act(Act::LoadCatalogue { partners: vec![other], key: "unused".to_owned() });
    world.integration(Scope::Global, "other", "other", "");
    let id = world.setup.integration_by_key("other").unwrap().id;
    world.click("b", LINK);
    let line = "/postback?click_id=@a&cid=@b&revenue=1";
    world.check(&format!("{line} -> refused invalid_payload cid"));
    world.act(Act::ArchiveIntegration { id });
    world.check(&format!("{line} -> recorded approved 1/1.75"));
}

#[test]
fn of_two_click_ids_and_a_macro_the_macro_is_told() {
    let mut world = World::new(contract("click_id!=cid,click_id txn_id revenue"), LEAD);
    world.check(
        "
        /postback?cid=@a&click_id=@b&txn_id={txn} -> refused macro_not_replaced txn_id
        /postback?cid=@a&click_id=@b&txn_id=1     -> refused invalid_payload click_id
        ",
    );
}

#[test]
fn a_click_of_ours_is_worth_keeping_whatever_is_wrong_with_the_rest() {
    let mut world = World::new(plain(), LEAD);
    let mut broken = world.hit("/postback?click_id=@a");
    broken.method = "POST".to_owned();
    broken.content_type = Some("application/json".to_owned());
    broken.body = b"{\"revenue\":".to_vec();
    let many = world.hit(&format!("/postback?{}click_id=@a", "x=1&".repeat(100)));
    for hit in [broken, many] {
        assert!(is_ours(&world.setup, &keyring(), &hit));
        let decision = world.receive(&hit);
        assert_eq!(decision.reason, Some(Reason::InvalidPayload));
        let read = read(&world.setup, &keyring(), &hit, world.now);
        assert_eq!(read.click_id, keyring().parse(world.id("a").as_str()));
    }
}

#[test]
fn a_hit_is_kept_for_a_key_or_a_click_of_ours() {
    let mut world = World::new(plain(), LEAD);
    world.click("a", LINK);
    let id = world.id("a");
    let mut is_kept = |line: &str| {
        let hit: Hit = world.hit(line);
        is_ours(&world.setup, &keyring(), &hit)
    };
    assert!(is_kept(&format!("/postback/{OWN}")));
    assert!(is_kept(&format!("/postback/{GLOBAL}?x=1")));
    assert!(is_kept(&format!("/postback?anything={id}")));
    assert!(is_kept(&format!("/nobody/postback?click_id={id}")));
    assert!(is_kept(&format!("/postback/{OWN}/postback/{OWN}?click_id={id}")));
    assert!(!is_kept("/postback/a/b?click_id=nobodys"));
    assert!(!is_kept("/postback?click_id=nobodys"));
    assert!(!is_kept("/postback/nobody?click_id=nobodys"));
    assert!(!is_kept(&format!("/elsewhere?click_id={id}")));
}

#[test]
fn a_network_says_what_becomes_of_hits_that_nothing_vouches_for() {
    let mut world = World::new(guarded(), LEAD);
    let settle = |world: &mut World, unverified| {
        world.act(Act::SetSettings { settings: Settings { unverified } });
    };
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=2 -> recorded approved 2/1.75
        ",
    );
    settle(&mut world, Unverified::Pending);
    world.check(
        "
        ?click_id=@a&txn_id=2&revenue=2                  -> recorded pending 0/0
        ?click_id=@a&txn_id=2&revenue=2&status=approved  -> duplicate already_processed
        ?click_id=@a&txn_id=1&revenue=2&status=reversed  -> updated reversed -2/-1.75
        ?click_id=@a&txn_id=1&revenue=3&status=approved  -> duplicate already_processed
        ",
    );
    settle(&mut world, Unverified::Refuse);
    world.check(
        "
        ?click_id=@a&txn_id=3&revenue=2 -> refused signature_mismatch
        ",
    );
    settle(&mut world, Unverified::Allow);
    world.check(
        "
        ?click_id=@a&txn_id=3&revenue=2 -> recorded approved 2/1.75
        ",
    );
    world.set_token(OWN_ID, "secret");
    world.check(
        "
        ?click_id=@a&txn_id=2&revenue=2&token=secret -> updated approved 2/1.75
        ",
    );
}
