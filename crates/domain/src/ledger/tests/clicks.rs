//! What a click decides: its campaign as it was, its window, its test, its detail.

use super::world::{CAMPAIGN, LEAD, LINK, World, campaign, goals, keyring, plain};
use crate::campaign::Status;
use crate::click_id::Minter;
use crate::command::{Act, CampaignChanges};
use crate::id::{CampaignId, LinkId, NodeId};

#[test]
fn a_click_converts_if_the_campaign_was_active_when_it_was_made() {
    let mut world = World::new(plain(), LEAD);
    world.click("live", LINK);
    world.set_status(Status::Paused);
    world.click("paused", LINK);
    world.check(
        "
        ?click_id=@live&revenue=1   -> recorded approved 1/1.75
        ?click_id=@paused&revenue=1 -> refused campaign_inactive
        ",
    );
    world.set_status(Status::Ended);
    world.click("ended", LINK);
    world.check(
        "
        ?click_id=@live&txn_id=2&revenue=1  -> recorded approved 1/1.75
        ?click_id=@ended&revenue=1          -> refused campaign_inactive
        ?click_id=@live&status=reversed     -> updated reversed -1/-1.75
        ",
    );
}

#[test]
fn without_the_clicks_row_its_id_says_enough() {
    let mut world = World::new(plain(), LEAD);
    world.labelled_click("a", &[("sub1", "us")]);
    world.forget("a");
    world.set_status(Status::Paused);
    world.click("paused", LINK);
    world.forget("paused");
    world.check(
        "
        ?click_id=@a&revenue=1&sub1=ca -> recorded approved 1/1.75 !click_detail_missing
        ?click_id=@paused&revenue=1    -> refused campaign_inactive !click_detail_missing
        ",
    );
    let conversion = world.conversion();
    assert_eq!((conversion.campaign_id, conversion.link_id), (CAMPAIGN, LINK));
    assert!(conversion.labels.is_empty() && conversion.external_id.is_empty());
    world.set_status(Status::Active);
    world.check("?click_id=@paused&revenue=1 -> refused campaign_inactive !click_detail_missing");
}

#[test]
fn what_is_known_of_the_hit_that_changed_a_conversion_is_known_of_the_conversion() {
    use crate::reason::Flag;
    let mut world = World::new(plain(), LEAD);
    world.labelled_click("a", &[("sub1", "us")]);
    world.check(
        "
        ?click_id=@a&revenue=1&status=pending  -> recorded pending 0/0
        ?click_id=@a&status=approved&sub1=ca   -> updated approved 1/1.75 !sent_value_differs
        ",
    );
    assert!(world.conversion().flags.has(Flag::SentValueDiffers));
    world.forget("a");
    world.check("?click_id=@a&status=reversed -> updated reversed -1/-1.75 !click_detail_missing");
    assert!(world.conversion().flags.has(Flag::ClickDetailMissing));
}

#[test]
fn without_the_clicks_row_a_link_that_was_archived_before_it_converts_nothing() {
    let mut world = World::new(plain(), LEAD);
    world.click("before", LINK);
    world.wait_s(1);
    world.act(Act::ArchiveLink { id: LINK });
    world.click("after", LINK);
    world.forget("before");
    world.forget("after");
    world.check(
        "
        ?click_id=@before&revenue=1 -> recorded approved 1/1.75 !click_detail_missing
        ?click_id=@after&revenue=1  -> refused campaign_inactive !click_detail_missing
        ",
    );
}

#[test]
fn a_campaign_that_was_set_up_in_the_clicks_millisecond_counts_for_it() {
    let mut world = World::new(plain(), LEAD);
    world.set_status(Status::Paused);
    world.now = world.now.plus_ms(5);
    let in_the_ms = world.now;
    world.now = in_the_ms.plus_us(300);
    world.set_status(Status::Active);
    world.now = in_the_ms.plus_us(600);
    world.click("a", LINK);
    world.forget("a");
    world.check("?click_id=@a&revenue=1 -> recorded approved 1/1.75 !click_detail_missing");
}

#[test]
fn the_window_is_the_campaigns_at_the_click_to_the_day() {
    let mut world = World::new(plain(), LEAD);
    world.click("a", LINK);
    let made_at = world.now;
    let changes = CampaignChanges { window_days: Some(1), ..CampaignChanges::default() };
    world.act(Act::ChangeCampaign { id: CAMPAIGN, changes: Box::new(changes) });
    world.click("b", LINK);
    world.now = made_at.plus_days(1).plus_s(1);
    world.check("?click_id=@b&revenue=1 -> refused late_window");
    world.now = made_at.plus_days(30).plus_s(-1);
    world.check("?click_id=@a&revenue=1&txn_id=1 -> recorded approved 1/1.75");
    world.now = made_at.plus_days(30).plus_s(1);
    world.check(
        "
        ?click_id=@a&revenue=1&txn_id=2       -> refused late_window
        ?click_id=@a&txn_id=1&status=reversed -> updated reversed -1/-1.75
        ?click_id=@a&revenue=1&txn_id=1       -> duplicate already_processed
        ",
    );
}

#[test]
fn a_goal_that_was_added_later_has_its_own_terms() {
    let mut world = World::new(plain(), LEAD);
    world.click("a", LINK);
    world.check("?click_id=@a&goal=deposit -> refused unknown_goal goal");
    let goal = goals(r#"[{"key":"Deposit","default":true,"revenue":"7"}]"#).remove(0);
    world.act(Act::AddGoal { id: CAMPAIGN, goal });
    world.check(
        "
        ?click_id=@a&goal=deposit  -> recorded approved 7/0
        ?click_id=@a&revenue=2     -> recorded approved 2/1.75
        ?click_id=@a&goal=nope     -> refused unknown_goal goal
        ?click_id=@b               -> recorded approved 7/0
        ",
    );
    let keys: Vec<_> = world.conversions.values().map(|one| &*one.goal).collect();
    assert_eq!(keys.iter().filter(|key| **key == "Deposit").count(), 2);
}

#[test]
fn a_goal_that_is_gone_still_has_its_conversions() {
    let mut world = World::new(plain(), LEAD);
    world.click("a", LINK);
    let set = |world: &mut World, json: &str| {
        let changes = CampaignChanges { goals: Some(goals(json)), ..CampaignChanges::default() };
        world.act(Act::ChangeCampaign { id: CAMPAIGN, changes: Box::new(changes) });
    };
    set(&mut world, r#"[{"key":"lead"},{"key":"Extra","revenue":"7"}]"#);
    world.check("?click_id=@a&goal=extra -> recorded approved 7/0");
    set(&mut world, r#"[{"key":"lead"}]"#);
    world.check(
        "
        ?click_id=@a&goal=extra&revenue=7        -> duplicate already_processed
        ?click_id=@a&goal=extra&status=reversed  -> updated reversed -7/0
        ?click_id=@a&goal=extra&txn_id=2         -> refused unknown_goal goal
        ?click_id=@a&goal=nope&status=reversed   -> refused unknown_goal goal
        ",
    );
}

#[test]
fn a_goal_can_go_by_the_senders_own_word() {
    let mut contract = plain();
    contract.goals.insert("3".to_owned(), "lead".to_owned());
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&goal=3&revenue=1     -> recorded approved 1/1.75
        ?click_id=@a&goal=lead&revenue=1  -> duplicate already_processed
        ?click_id=@a&goal=4&revenue=1     -> refused unknown_goal goal
        ",
    );
}

#[test]
fn the_event_type_is_the_goal_where_there_is_none() {
    let contract = super::world::contract("click_id! goal event_type revenue");
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&event_type=lead&revenue=1           -> recorded approved 1/1.75
        ?click_id=@b&event_type=nope&goal=lead&revenue=1 -> recorded approved 1/1.75
        ?click_id=@c&event_type=nope                     -> refused unknown_goal event_type
        ",
    );
    let contract = super::world::contract("click_id! event_type revenue");
    World::new(contract, LEAD)
        .check("?click_id=@c&event_type=nope -> refused unknown_goal event_type");
}

#[test]
fn test_clicks_convert_from_approval_on_and_say_so() {
    let mut world = World::new(plain(), LEAD);
    world.set_status(Status::Paused);
    let test = world.link(CAMPAIGN, true);
    world.click("t", test);
    world.click("gone", test);
    world.forget("gone");
    world.check(
        "
        ?click_id=@t&revenue=1    -> recorded approved 1/1.75
        ?click_id=@gone&revenue=1 -> recorded approved 1/1.75 !click_detail_missing
        ",
    );
    assert!(world.conversions.values().all(|one| one.is_test));
}

#[test]
fn a_click_made_by_hand_is_a_test_whatever_its_link() {
    let mut world = World::new(plain(), LEAD);
    world.click("t", LINK).is_test = true;
    world.check("?click_id=@t&revenue=1 -> recorded approved 1/1.75");
    assert!(world.conversion().is_test);
}

#[test]
fn an_id_of_a_link_that_we_do_not_have_is_nobodys() {
    let mut world = World::new(plain(), LEAD);
    let mut minter = Minter::new(NodeId::new(0).unwrap(), 0);
    let id = keyring().format(minter.next(1_795_000_000_000, LinkId(77), 0));
    world.check(&format!("?click_id={id}&revenue=1 -> refused unknown_click click_id"));
}

#[test]
fn campaigns_do_not_share_goals_or_terms() {
    let mut world = World::new(plain(), LEAD);
    let own = goals(r#"[{"key":"own","default":true,"revenue":"9"}]"#);
    world.act(Act::CreateCampaign(Box::new(campaign("Other", own))));
    let other = CampaignId(2);
    for to in [Status::PendingApproval, Status::Approved, Status::Active] {
        world.act(Act::SetCampaignStatus { id: other, to, key: "other".to_owned() });
    }
    let link = world.link(other, false);
    world.click("o", link);
    world.check(
        "
        /postback/other?click_id=@o             -> recorded approved 9/0
        /postback/other?click_id=@o&goal=lead   -> refused unknown_goal goal
        ?click_id=@a&goal=own                   -> refused unknown_goal goal
        ?click_id=@o&txn_id=2                   -> refused campaign_mismatch
        ",
    );
}

#[test]
fn an_unknown_goal_is_told_with_the_words_that_are_known() {
    let goal = "?click_id=@a&goal=nope";
    let detail = |contract| {
        let mut world = World::new(contract, LEAD);
        let hit = world.hit(goal);
        world.receive(&hit).detail.unwrap()
    };
    assert_eq!(detail(plain()), "`goal` is none of the campaign's goals: lead");
    let mut mapped = plain();
    for (word, key) in [("sold", "sale"), ("3", "lead")] {
        mapped.goals.insert(word.to_owned(), key.to_owned());
    }
    let told = "`goal` is none of the words that the contract maps (3, sold), and none of the \
                campaign's goals: lead";
    assert_eq!(detail(mapped), told);
}
