//! Who reads what comes on a path of the catalogue, or with a key that is none of ours.

use super::scope::guarded;
use super::world::{CAMPAIGN, LEAD, LINK, OWN_ID, World, contract, keyring, partner, plain};
use crate::command::{Act, Sunset};
use crate::contract::Identity;
use crate::integration::Scope;
use crate::ledger::{ContractRef, Route, read, route};
use crate::partner::Partner;
use crate::reason::{Reason, Verdict};
use crate::settings::{Settings, Unverified};

#[test]
fn a_path_says_who_reads() {
    let mut catalogue = partner("bound", contract("click_id!=subid revenue=amount"));
    catalogue.paths = ["/click.php", "/api/s/post/"].map(str::to_owned).to_vec();
    let mut world = World::new(plain(), LEAD);
    world.act(Act::LoadCatalogue { partners: vec![catalogue], key: "unused".to_owned() });
    let cases: [(&str, Route<'_>); 21] = [
        ("/postback", Route::Plain),
        ("/postback/", Route::Plain),
        ("//postback", Route::Plain),
        ("/postback/own", Route::Key("own")),
        ("/postback/own/", Route::Key("own")),
        ("//postback//own//", Route::Key("own")),
        ("/own/postback", Route::Key("own")),
        ("/own//postback/", Route::Key("own")),
        ("/postback/postback", Route::Key("postback")),
        ("/postback/own/postback/own", Route::Key("own/postback/own")),
        ("/postback//a/b/", Route::Key("a/b")),
        ("/click.php", Route::Path("/click.php")),
        ("/click.php/", Route::Path("/click.php/")),
        ("/api/s/post", Route::Path("/api/s/post")),
        ("/api//s/post/", Route::Path("/api//s/post/")),
        ("/api/s/post/x", Route::Elsewhere),
        ("/a/b/postback", Route::Elsewhere),
        ("/postbacks", Route::Elsewhere),
        ("/postbacks/own", Route::Elsewhere),
        ("//", Route::Elsewhere),
        ("/", Route::Elsewhere),
    ];
    for (path, wanted) in cases {
        assert_eq!(route(&world.setup, path.as_bytes()), wanted, "{path}");
    }
    assert_eq!(route(&world.setup, b"/postback/\xFF"), Route::Elsewhere);
    world.check(
        "
        /click.php?subid=@a&amount=2      -> recorded approved 2/1.75
        /click.php?click_id=@a            -> refused missing_parameter subid ~click_id
        /click.php?subid=nobodys          -> refused unknown_click subid
        //click.php/?subid=@b&amount=2    -> recorded approved 2/1.75
        /api/s/post?subid=@c&amount=2     -> recorded approved 2/1.75
        /postback/?click_id=@d&revenue=1  -> recorded approved 1/1.75
        /postback/own/?click_id=@e        -> recorded approved 0/1.75 !amount_missing
        /postback/own/postback/own?click_id=@f -> refused unknown_integration
        /postback/own/x?click_id=@f       -> refused unknown_integration
        ",
    );
    let key = "bound-key";
    world.integration(Scope::Campaign { campaign_id: CAMPAIGN }, "bound", key, "");
    let hit = world.hit("/click.php?subid=@a&amount=2");
    let ring = keyring();
    let read = read(&world.setup, &ring, &hit, world.now);
    let reader = world.setup.integration_by_key(key).unwrap();
    let by = ContractRef::Integration { id: reader.id, version: 1 };
    assert_eq!(read.contract_ref, Some(by));
}

#[test]
fn partners_may_share_a_path() {
    let shared = |name: &str, speaks: &str, paths: &[&str]| {
        let mut one = partner(name, contract(speaks));
        one.paths = paths.iter().map(|path| (*path).to_owned()).collect();
        one
    };
    let served = "/{key}/postback";
    let partners = vec![
        shared("first", "click_id!=cid revenue=sum", &["/conv", "/postback", served]),
        shared("second", "click_id!=tid txn_id=cid revenue=amount", &["/conv"]),
        shared("elsewhere", "click_id!=other", &["/other"]),
    ];
    let mut world = World::new(plain(), LEAD);
    world.act(Act::LoadCatalogue { partners, key: "unused".to_owned() });
    let path = |world: &World, path: &str| format!("{:?}", route(&world.setup, path.as_bytes()));
    assert_eq!(path(&world, "/postback"), "Plain");
    assert_eq!(path(&world, served), "Key(\"{key}\")");
    let by = |world: &mut World, sent: &str| {
        let ring = keyring();
        let hit = world.hit(sent);
        read(&world.setup, &ring, &hit, world.now).contract_ref.unwrap().to_string()
    };
    assert_eq!(by(&mut world, "/conv?cid=@a&sum=1"), "first");
    assert_eq!(by(&mut world, "/conv?tid=@a&cid=77"), "second", "our id came under its name");
    assert_eq!(by(&mut world, "/conv?cid=nobodys&tid=nobodys"), "first");
    world.check(
        "
        /conv?cid=@a&sum=2            -> recorded approved 2/1.75
        /conv?tid=@b&cid=77&amount=3  -> recorded approved 3/1.75
        /conv?cid=@c&tid=@a           -> refused invalid_payload tid
        ",
    );
    world.integration(Scope::Campaign { campaign_id: CAMPAIGN }, "second", "second-key", "");
    let own = world.setup.integration_by_key("second-key").unwrap().id;
    assert_eq!(by(&mut world, "/conv?cid=@a&sum=1"), format!("{own}.1"), "it is around the click");
    assert_eq!(by(&mut world, "/other?other=@a"), "elsewhere");
}

#[test]
fn a_partners_old_key_is_read_by_the_click_that_came_under_its_name() {
    let keyed = |name: &str, speaks: &str, path: &str| {
        let mut one = partner(name, contract(speaks));
        one.paths = vec![path.to_owned()];
        one
    };
    let mut world = World::new(plain(), LEAD);
    world.integration(Scope::Global, "it", "old", "");
    let old = world.setup.integration_by_key("old").unwrap().id;
    world.act(Act::ArchiveIntegration { id: old });
    world.check("/f0r3ign/postback?subid=@a&sum=2 -> refused unknown_integration");
    let served = "/{key}/postback";
    let partners = vec![
        keyed("keyed", "click_id!=subid txn_id=tid revenue=sum", served),
        keyed("other", "click_id!=cid", "/x"),
    ];
    world.act(Act::LoadCatalogue { partners, key: "unused".to_owned() });
    world.check(
        "
        /f0r3ign/postback?subid=@a&sum=2&tid=1   -> recorded approved 2/1.75
        /an-other_1/postback?subid=@a&sum=2&tid=1 -> duplicate already_processed
        /postback?click_id=@a&revenue=2&txn_id=1 -> duplicate already_processed
        /f0r3ign/postback?subid=nobodys&sum=2    -> refused unknown_integration
        /f0r3ign/postback?cid=@a&sum=2           -> refused unknown_integration
        /f0r3ign/postback?click_id=@a&sum=2      -> refused unknown_integration
        /f0r3ign/postback                        -> refused unknown_integration
        /postback/f0r3ign?subid=@a&sum=2         -> refused unknown_integration
        /old/postback?subid=@a&sum=2             -> refused unknown_integration
        /{key}/postback?subid=@a&sum=2           -> refused unknown_integration
        /%7Bkey%7D/postback?subid=@a&sum=2       -> refused unknown_integration
        /own/postback?click_id=@a&revenue=2&txn_id=2 -> recorded approved 2/1.75
        //f0r3ign//postback/?subid=@a&sum=2&tid=3 -> recorded approved 2/1.75
        //postback/f0r3ign/?subid=@a&sum=2       -> refused unknown_integration
        /postback/f0r3ign/x?subid=@a&sum=2       -> refused unknown_integration
        ",
    );
    let foreign = |world: &mut World, line: &str| {
        let (ring, hit) = (keyring(), world.hit(line));
        let read = read(&world.setup, &ring, &hit, world.now);
        (read.contract_ref.map(|by| by.to_string()), read.has_foreign_key)
    };
    let line = "/f0r3ign/postback?subid=@a&sum=2";
    assert_eq!(foreign(&mut world, line), (Some("keyed".to_owned()), true));
    assert!(!foreign(&mut world, "/own/postback?click_id=@a").1);
    let arrived_at = world.now;
    let hit = world.hit("/f0r3ign/postback?subid=@b&sum=2");
    world.wait_s(1);
    world.integration(Scope::Campaign { campaign_id: CAMPAIGN }, "keyed", "k", "");
    let own = world.setup.integration_by_key("k").unwrap().id;
    assert_eq!(foreign(&mut world, line), (Some(format!("{own}.1")), true));
    let partners = vec![keyed("keyed", "click_id!=subid", "/y")];
    world.act(Act::LoadCatalogue { partners, key: "unused".to_owned() });
    world.check(&format!("{line} -> refused unknown_integration"));
    assert_eq!(world.receive_again(&hit, arrived_at).verdict, Verdict::Recorded, "as it was then");
}

#[test]
fn a_foreign_key_passes_by_nobody_who_verifies() {
    let mut world = World::new(guarded(), LEAD);
    world.set_token(OWN_ID, "secret");
    let mut keyed = partner("keyed", contract("click_id!=subid revenue token"));
    keyed.paths = vec!["/{key}/postback".to_owned()];
    world.act(Act::LoadCatalogue { partners: vec![keyed], key: "unused".to_owned() });
    world.check(
        "
        /f0r3ign/postback?subid=@a&revenue=2              -> refused signature_mismatch token
        /f0r3ign/postback?subid=@a&revenue=2&token=secret -> recorded approved 2/1.75
        ",
    );
}

/// The catalogue's partners on `/postback`, as they share the path.
fn on_the_plain_path() -> Vec<Partner> {
    let on_it = |name: &str, speaks: &str| {
        let mut one = partner(name, contract(speaks));
        one.paths = vec!["/postback".to_owned()];
        one
    };
    let mut elsewhere = partner("elsewhere", contract("click_id!=aid revenue=sum"));
    elsewhere.paths = vec!["/conv".to_owned()];
    vec![
        on_it("first", "click_id!=cid txn_id=txid revenue=payout"),
        on_it("second", "click_id!=subid,clickid revenue=sum"),
        elsewhere,
    ]
}

#[test]
fn on_the_plain_path_a_partner_reads_what_nobody_in_charge_does() {
    let mut world = World::new(contract("click_id! txn_id revenue"), LEAD);
    world.act(Act::LoadCatalogue { partners: on_the_plain_path(), key: "unused".to_owned() });
    world.check(
        "
        /postback?cid=@a&payout=2&txid=1             -> recorded approved 2/1.75
        /postback?click_id=@a&revenue=2&txn_id=1     -> duplicate already_processed
        /postback?subid=@b&sum=3                     -> recorded approved 3/1.75
        /postback?click_id=x&cid=@c&payout=4         -> refused unknown_click click_id ~cid
        /postback?click_id=x&cid=@c&payout=4&txid=1  -> recorded approved 4/1.75
        /postback?cid=@d&subid=@e                    -> refused invalid_payload subid
        /postback?click_id=@d&cid=@e&revenue=1       -> recorded approved 1/1.75
        /postback?aid=@e&sum=1                       -> refused missing_parameter click_id ~aid
        /postback/own?cid=@e&payout=1                -> refused missing_parameter click_id ~cid
        /postback/nobodys?cid=@e&payout=1            -> refused unknown_integration
        ",
    );
    let by = |world: &mut World, line: &str| {
        let (ring, hit) = (keyring(), world.hit(line));
        let read = read(&world.setup, &ring, &hit, world.now);
        (read.contract_ref.unwrap().to_string(), read.has_foreign_name)
    };
    assert_eq!(by(&mut world, "/postback?cid=@a"), ("first".to_owned(), true));
    assert_eq!(by(&mut world, "/postback?clickid=@a"), ("second".to_owned(), true));
    let own = (format!("{OWN_ID}.1"), false);
    assert_eq!(by(&mut world, "/postback?click_id=@a&cid=@a"), own);
    assert_eq!(by(&mut world, "/postback?click_id=@a&cid=@b"), own, "it reads what it knows");
    let arrived_at = world.now;
    let hit = world.hit("/postback?cid=@f&payout=2");
    world.wait_s(1);
    world.integration(Scope::Campaign { campaign_id: CAMPAIGN }, "second", "k", "");
    assert_eq!(by(&mut world, "/postback?cid=@a").0, "first", "it is of the other partner");
    let second = world.setup.integration_by_key("k").unwrap().id;
    assert_eq!(by(&mut world, "/postback?clickid=@a"), (format!("{second}.1"), true));
    let mut partners = on_the_plain_path();
    partners[0].paths.clear();
    world.act(Act::LoadCatalogue { partners, key: "unused".to_owned() });
    assert_eq!(world.receive(&hit).reason, Some(Reason::MissingParameter));
    assert_eq!(world.receive_again(&hit, arrived_at).verdict, Verdict::Recorded, "as it was then");
}

#[test]
fn a_partner_reads_on_the_plain_path_only_what_it_knows_better() {
    let mut world = World::new(contract("click_id! txn_id revenue"), LEAD);
    let mut partners = on_the_plain_path();
    let mut third = partner("third", contract("click_id!=clickid txn_id=tid revenue=sum"));
    third.paths = vec!["/postback".to_owned()];
    partners.push(third);
    world.act(Act::LoadCatalogue { partners, key: "unused".to_owned() });
    world.check(
        "
        /postback?clickid=@a&txn_id=1&revenue=2 -> refused missing_parameter click_id ~clickid
        /postback?clickid=@a&txn_id=1           -> refused missing_parameter click_id ~clickid
        /postback?clickid=@a&tid=1&sum=2        -> recorded approved 2/1.75
        /postback?click_id=@a&txn_id=1          -> duplicate already_processed
        /postback?clickid=@b&sum=2              -> recorded approved 2/1.75
        ",
    );
}

#[test]
fn a_name_of_an_earlier_contract_is_still_its_integrations() {
    let mut world = World::new(contract("click_id!=cid revenue=payout"), LEAD);
    world.act(Act::LoadCatalogue { partners: on_the_plain_path(), key: "unused".to_owned() });
    world.agree(contract("click_id!=id revenue=payout"), Sunset::Days(1));
    world.check(
        "
        /postback?cid=@a&payout=2 -> recorded approved 2/1.75 !contract_in_sunset
        wait 2d
        /postback?cid=@b&payout=2 -> refused contract_retired cid
        ",
    );
}

#[test]
fn a_foreign_name_passes_by_nobody_who_verifies_nor_what_was_agreed() {
    let mut strict = guarded();
    strict.identity = Identity::Click;
    let mut world = World::new(strict, LEAD);
    world.set_token(OWN_ID, "secret");
    world.act(Act::LoadCatalogue { partners: on_the_plain_path(), key: "unused".to_owned() });
    world.check(
        "
        /postback?cid=@a&payout=2&txid=1              -> refused signature_mismatch token
        /postback?cid=@a&payout=2&txid=1&token=wrong  -> refused signature_mismatch token
        /postback?cid=@a&payout=2&txid=1&token=secret -> recorded approved 2/1.75
        /postback?cid=@a&payout=2&txid=2&token=secret -> duplicate already_processed
        ",
    );
    let mut world = World::new(plain(), LEAD);
    world.act(Act::LoadCatalogue { partners: on_the_plain_path(), key: "unused".to_owned() });
    let unverified = Unverified::Refuse;
    world.act(Act::SetSettings { settings: Settings { unverified } });
    world.check("/postback?cid=@b&payout=2 -> refused signature_mismatch");
}

#[test]
fn a_click_under_a_name_that_nobody_reads_is_shown_all_the_same() {
    let mut world = World::new(contract("click_id!=clk,click_ref txn_id revenue sub1"), LEAD);
    world.click("a", LINK);
    let click = keyring().parse(world.id("a").as_str());
    let shown = |world: &mut World, line: &str| {
        let (ring, hit) = (keyring(), world.hit(line));
        let read = read(&world.setup, &ring, &hit, world.now);
        let found = read.click_id.zip(read.campaign.map(|campaign| campaign.id));
        let decision = world.receive(&hit);
        assert_eq!(decision.verdict, Verdict::Refused, "{line}");
        (found, decision.detail.unwrap_or_default())
    };
    let found = click.zip(Some(CAMPAIGN));
    let told = "`aff` holds our click id; this contract calls it `clk`".to_owned();
    assert_eq!(shown(&mut world, "?aff=@a&revenue=1"), (found, told.clone()));
    assert_eq!(shown(&mut world, "?aff=@a&click_ref=x"), (found, told));
    let label = "`sub1` holds our click id; this contract calls it `clk`".to_owned();
    assert_eq!(shown(&mut world, "?sub1=@a"), (found, label));
    let (click, detail) = shown(&mut world, "?aff=@a&revenue=x");
    assert_eq!(
        (click, detail.as_str()),
        (found, "`revenue` is not an amount: not a decimal such as 12.5")
    );
    assert_eq!(shown(&mut world, "?aff=@a&other=@b").0, None, "they do not agree");
    assert_eq!(shown(&mut world, "/postback/nobodys?aff=@a").0, None, "nothing was read");
    world.check("?clk=@b&aff=@a&revenue=1 -> recorded approved 1/1.75");
}
