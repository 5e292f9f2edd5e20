//! Mistakes that other trackers make. Each test says what must hold instead.

use super::world::{CAMPAIGN, LEAD, LINK, OWN_ID, World, campaign, contract, goals, plain};
use crate::campaign::Status as CampaignStatus;
use crate::command::Act;
use crate::contract::{Canonical, RepeatedAmount};
use crate::id::{AdvertiserId, CampaignId};
use crate::integration::Scope;
use crate::reason::{Reason, Verdict};
use crate::secret::Secret;

const FIXED: &str = r#"[{"key":"lead","default":true,"revenue":"2.5","payout":"1.75"}]"#;

/// A second campaign that is active, with a click `name`.
fn another_campaign(world: &mut World, name: &str) {
    world.act(Act::CreateCampaign(Box::new(campaign("Other", goals(LEAD)))));
    let id = CampaignId(2);
    for to in [CampaignStatus::PendingApproval, CampaignStatus::Approved, CampaignStatus::Active] {
        world.act(Act::SetCampaignStatus { id, to, key: "other".to_owned() });
    }
    let link = world.link(id, false);
    world.click(name, link);
}

#[test]
fn twenty_identical_postbacks_without_a_transaction_are_one_conversion() {
    let mut world = World::new(plain(), FIXED);
    world.check("?click_id=@a -> recorded approved 2.5/1.75");
    for _ in 1..20 {
        world.check("?click_id=@a -> duplicate already_processed");
    }
    assert_eq!((world.entries.len(), &*world.total()), (1, "2.5/1.75"));
}

#[test]
fn a_replay_has_no_effect_that_could_be_told_to_anybody() {
    let mut world = World::new(plain(), LEAD);
    let hit = world.hit("?click_id=@a&revenue=2");
    assert!(world.receive(&hit).effect.unwrap().entry.is_some());
    for _ in 0..3 {
        assert_eq!(world.receive(&hit).effect, None);
    }
    let reworded = world.hit("?click_id=@a&revenue=2&status=approved");
    assert_eq!(world.receive(&reworded).effect.unwrap().entry, None);
}

#[test]
fn a_negative_amount_is_refused_aloud() {
    for name in ["revenue", "payout", "sale_amount"] {
        let mut world = World::new(plain(), LEAD);
        world.check(&format!("?click_id=@a&{name}=-5 -> refused invalid_payload {name}"));
        assert!(world.conversions.is_empty());
    }
}

#[test]
fn an_amount_of_zero_is_an_amount() {
    World::new(plain(), LEAD).check("?click_id=@a&revenue=0 -> recorded approved 0/1.75");
}

#[test]
fn an_unexpanded_macro_is_no_amount_and_inherits_none() {
    let mut world = World::new(plain(), LEAD);
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=9        -> recorded approved 9/1.75
        ?click_id=@a&txn_id=2&revenue={payout} -> refused macro_not_replaced revenue
        ",
    );
    assert_eq!(world.total(), "9/1.75");
}

#[test]
fn what_does_not_parse_is_never_zero() {
    let mut world = World::new(plain(), LEAD);
    for amount in ["free", "1,50", "null", "2.5USD"] {
        world.check(&format!("?click_id=@a&revenue={amount} -> refused invalid_payload revenue"));
    }
}

#[test]
fn what_was_sent_never_overwrites_the_terms() {
    let mut world = World::new(plain(), FIXED);
    world.check(
        "
        ?click_id=@a&revenue=99 -> recorded approved 2.5/1.75 !sent_amount_differs
        ?click_id=@b            -> recorded approved 2.5/1.75
        ",
    );
}

#[test]
fn counting_up_click_ids_converts_nothing() {
    let mut world = World::new(plain(), FIXED);
    world.click("a", LINK);
    for number in 0..20 {
        world.check(&format!("?click_id={number} -> refused unknown_click click_id"));
    }
    let id = world.id("a").as_str().to_owned();
    for place in 0..id.len() {
        let digit = if id.as_bytes()[place] == b'7' { "8" } else { "7" };
        let mut other = id.clone();
        other.replace_range(place..=place, digit);
        world.check(&format!("?click_id={other} -> refused unknown_click click_id"));
    }
}

#[test]
fn without_a_click_id_no_click_is_looked_for() {
    let mut world = World::new(plain(), FIXED);
    world.from = Some("203.0.113.7".parse().unwrap());
    world.click("a", LINK);
    world.check(
        "
        ?click_id=0   -> refused unknown_click click_id
        ?click_id=    -> refused missing_parameter click_id
        ?txn_id=1     -> refused missing_parameter click_id
        ",
    );
    assert_eq!(Reason::UnknownClick.http_status(), 404, "and it is said so");
}

#[test]
fn a_duplicate_is_no_error_to_its_sender() {
    assert_eq!(Reason::AlreadyProcessed.verdict(), Verdict::Duplicate);
    assert_eq!(Reason::AlreadyProcessed.http_status(), 200);
}

#[test]
fn an_approval_after_pending_is_no_duplicate() {
    World::new(plain(), FIXED).check(
        "
        ?click_id=@a&txn_id=1&status=pending  -> recorded pending 0/0
        ?click_id=@a&txn_id=1&status=approved -> updated approved 2.5/1.75
        ?click_id=@a&txn_id=1&status=reversed -> updated reversed -2.5/-1.75
        ",
    );
}

#[test]
fn an_unknown_status_is_not_an_approval() {
    let mut world = World::new(plain(), FIXED);
    world.check("?click_id=@a&status=zzz -> refused unknown_status status");
    assert!(world.conversions.is_empty());
}

#[test]
fn a_missing_status_approves_only_where_the_contract_says_so() {
    let mut strict = plain();
    strict.statuses.absent = None;
    strict.parameters.iter_mut().find(|one| one.canonical == Canonical::Status).unwrap().required =
        true;
    World::new(strict, FIXED).check("?click_id=@a -> refused missing_parameter status");
}

#[test]
fn a_rejected_conversion_is_worth_nothing() {
    let mut world = World::new(plain(), FIXED);
    world.check("?click_id=@a&status=rejected -> recorded rejected 0/0");
    assert_eq!(world.total(), "0/0");
}

#[test]
fn another_clicks_order_of_the_same_number_is_another_conversion() {
    let mut world = World::new(plain(), LEAD);
    another_campaign(&mut world, "o");
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=2                -> recorded approved 2/1.75
        ?click_id=@b&txn_id=1&revenue=2                -> recorded approved 2/1.75
        /postback/other?click_id=@o&txn_id=1&revenue=2 -> recorded approved 2/1.75
        ",
    );
}

#[test]
fn a_click_belongs_to_one_campaign_whoever_calls() {
    let mut world = World::new(plain(), LEAD);
    another_campaign(&mut world, "o");
    world.check(
        "
        /postback?click_id=@a&revenue=2 -> recorded approved 2/1.75
        /postback?click_id=@o&revenue=2 -> recorded approved 2/1.75
        /postback?click_id=@o&campaign_id=1&txn_id=2 -> refused campaign_mismatch campaign_id
        ",
    );
    let mut campaigns: Vec<_> = world.conversions.values().map(|one| one.campaign_id).collect();
    campaigns.sort();
    assert_eq!(campaigns, [CAMPAIGN, CampaignId(2)]);
}

#[test]
fn amounts_add_up_exactly() {
    let mut contract = plain();
    contract.repeats.amount = RepeatedAmount::Add;
    let mut world = World::new(contract, r#"[{"key":"lead","revenue":{"from":"postback"}}]"#);
    world.check(
        "
        ?click_id=@a&revenue=0.1 -> recorded approved 0.1/0
        ?click_id=@a&revenue=0.2 -> updated approved 0.2/0
        ",
    );
    assert_eq!(world.total(), "0.3/0");
}

#[test]
fn another_amount_for_the_same_conversion_is_not_passed_over_in_silence() {
    World::new(plain(), LEAD).check(
        "
        ?click_id=@a&revenue=2 -> recorded approved 2/1.75
        ?click_id=@a&revenue=3 -> duplicate already_processed !sent_amount_differs
        ",
    );
}

#[test]
fn a_repeat_is_a_duplicate_however_late_it_is() {
    World::new(plain(), LEAD).check(
        "
        ?click_id=@a&revenue=2 -> recorded approved 2/1.75
        wait 3650d
        ?click_id=@a&revenue=2 -> duplicate already_processed
        ",
    );
}

#[test]
fn an_empty_secret_verifies_nobody() {
    assert!(!Secret::new(String::new()).verifies(""));
    let mut guarded = contract("click_id! revenue token");
    guarded.verification.token = Some(Canonical::Token);
    let mut world = World::new(guarded, LEAD);
    let secrets = [("token".to_owned(), Some(Secret::new(String::new())))].into();
    let (landing_params, secrets) = (None, Some(secrets));
    let set = world.attempt(&Act::ChangeIntegration {
        id: OWN_ID,
        landing_params,
        secrets,
        old_secrets_until: None,
    });
    assert_eq!(set.unwrap_err().parameter.as_deref(), Some("secrets.token"));
}

#[test]
fn a_forgery_uses_nothing_up() {
    let mut guarded = contract("click_id! revenue token");
    guarded.verification.token = Some(Canonical::Token);
    let mut world = World::new(guarded, LEAD);
    world.set_token(OWN_ID, "secret");
    world.check(
        "
        ?click_id=@a&revenue=2&token=guess  -> refused signature_mismatch token
        ?click_id=@a&revenue=2&token=secret -> recorded approved 2/1.75
        ",
    );
}

#[test]
fn a_clock_that_is_a_little_ahead_is_no_forgery() {
    let mut signed = contract("click_id! revenue timestamp!");
    signed.verification.timestamp_tolerance_s = Some(300);
    let mut world = World::new(signed, LEAD);
    let ahead = world.now.as_s() + 60;
    world.check(&format!("?click_id=@a&revenue=2&timestamp={ahead} -> recorded approved 2/1.75"));
}

#[test]
fn a_reversal_without_a_conversion_pays_nobody_back() {
    let mut world = World::new(plain(), LEAD);
    world.check("?click_id=@a&status=reversed&revenue=-5 -> refused transition_not_allowed status");
    assert_eq!(world.total(), "0/0");
}

#[test]
fn one_advertisers_key_pays_for_no_other_advertisers_clicks() {
    let mut world = World::new(plain(), LEAD);
    world.act(Act::CreateAdvertiser { name: "Rival".to_owned() });
    let scope = Scope::Advertiser { advertiser_id: AdvertiserId(2) };
    world.integration(scope, "it", "rival", "");
    world.check("/postback/rival?click_id=@a&revenue=2 -> refused campaign_mismatch");
}
