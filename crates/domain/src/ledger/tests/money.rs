//! Amounts: a goal's terms applied to what postbacks say.

use super::world::{LEAD, World, contract, plain};
use crate::contract::{Canonical, RepeatedAmount, Unit};
use crate::reason::Flag;

fn world(terms: &str) -> World {
    World::new(plain(), &format!(r#"[{{"key":"lead","default":true,{terms}}}]"#))
}

#[test]
fn a_fixed_term_counts_whatever_was_sent() {
    let mut world = world(r#""revenue":"2.50","payout":"1.75""#);
    world.check(
        "
        ?click_id=@a                          -> recorded approved 2.5/1.75
        ?click_id=@b&revenue=2.5              -> recorded approved 2.5/1.75
        ?click_id=@c&revenue=99               -> recorded approved 2.5/1.75 !sent_amount_differs
        ?click_id=@d&payout=99                -> recorded approved 2.5/1.75 !sent_amount_differs
        ?click_id=@e&revenue=0                -> recorded approved 2.5/1.75 !sent_amount_differs
        ",
    );
    let sent: Vec<_> = world.conversions.values().filter_map(|one| one.sent_amount).collect();
    assert_eq!(sent.len(), 4, "what was sent is kept");
}

#[test]
fn a_share_is_taken_of_the_sale() {
    let mut world = world(r#""revenue":{"percent":"10"},"payout":{"percent":"7.5"}"#);
    world.check(
        "
        ?click_id=@a&sale_amount=100          -> recorded approved 10/7.5
        ?click_id=@b&sale_amount=0.01         -> recorded approved 0.001/0.00075
        ?click_id=@c&sale_amount=0.000005     -> recorded approved 0/0
        ?click_id=@d&sale_amount=0            -> recorded approved 0/0
        ?click_id=@e                          -> recorded approved 0/0 !amount_missing
        ?click_id=@f&revenue=5                -> recorded approved 0/0 !amount_missing
        ?click_id=@g&sale_amount=1000000000   -> recorded approved 100000000/75000000
        ?click_id=@h&sale_amount=1000000000.000001 -> refused invalid_payload sale_amount
        ",
    );
}

#[test]
fn an_amount_can_come_from_the_postback() {
    let both = r#""revenue":{"from":"postback"},"payout":{"from":"postback"}"#;
    let mut both = world(both);
    both.check(
        "
        ?click_id=@a&revenue=5&payout=3       -> recorded approved 5/3
        ?click_id=@b&revenue=5                -> recorded approved 5/0 !amount_missing
        ?click_id=@c&payout=3                 -> recorded approved 0/3 !amount_missing
        ?click_id=@d                          -> recorded approved 0/0 !amount_missing
        ?click_id=@e&revenue=0&payout=0       -> recorded approved 0/0
        ",
    );
    let fallback = r#""revenue":{"from":"postback","default":"4"},"payout":"1""#;
    world(fallback).check(
        "
        ?click_id=@a&revenue=5                -> recorded approved 5/1
        ?click_id=@b                          -> recorded approved 4/1
        ?click_id=@c&revenue=                 -> recorded approved 4/1
        ?click_id=@d&revenue=0                -> recorded approved 0/1
        ",
    );
}

#[test]
fn a_payout_alone_is_our_revenue_where_the_contract_says_so() {
    let mut contract = plain();
    contract.payout_may_be_revenue = true;
    let goals = r#"[{"key":"lead","default":true,
        "revenue":{"from":"postback"},"payout":{"from":"postback","default":"1"}}]"#;
    World::new(contract, goals).check(
        "
        ?click_id=@a&payout=2.35              -> recorded approved 2.35/1
        ?click_id=@b&payout=2&revenue=3       -> recorded approved 3/2
        ?click_id=@c&revenue=3                -> recorded approved 3/1
        ",
    );
}

#[test]
fn an_amount_is_a_decimal_and_nothing_else() {
    let mut world = world(r#""revenue":{"from":"postback"}"#);
    let wrong = [
        "1,50",
        "1e3",
        "0x10",
        "%2B5",
        "NaN",
        "inf",
        "-0.01",
        "$5",
        "5+USD",
        "1_000",
        "1%20000",
        "9223372036854.775808",
        "1000000000.000001",
        "--1",
        ".",
        "1.2.3",
        "%D9%A1",
    ];
    for amount in wrong {
        world.check(&format!("?click_id=@a&revenue={amount} -> refused invalid_payload revenue"));
    }
    world.check(
        "
        ?click_id=@a&revenue=+5.10+               -> recorded approved 5.1/0
        ?click_id=@b&revenue=.5                   -> recorded approved 0.5/0
        ?click_id=@c&revenue=007.                 -> recorded approved 7/0
        ?click_id=@d&revenue=-0                   -> recorded approved 0/0
        ?click_id=@e&revenue=1.0000005            -> recorded approved 1/0 !amount_rounded
        ?click_id=@f&revenue=1.0000015            -> recorded approved 1.000002/0 !amount_rounded
        ?click_id=@g&revenue=1.0000000            -> recorded approved 1/0
        ?click_id=@h&revenue=1000000000           -> recorded approved 1000000000/0
        ",
    );
}

#[test]
fn minor_units_are_the_currencys() {
    let mut contract = contract("click_id! revenue currency");
    for parameter in &mut contract.parameters {
        if parameter.canonical == Canonical::Revenue {
            parameter.unit = Unit::Minor;
        }
    }
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&revenue=235              -> recorded approved 2.35/1.75
        ?click_id=@b&revenue=2.35             -> refused invalid_payload revenue
        ?click_id=@b&revenue=1                -> recorded approved 0.01/1.75
        ?click_id=@c&revenue=235&currency=JPY -> parked rate_missing
        ",
    );
}

#[test]
fn another_currency_waits_for_a_rate_only_where_its_amount_is_needed() {
    let mut fixed = world(r#""revenue":"2.50","payout":"1""#);
    fixed.check(
        "
        ?click_id=@a&revenue=2&currency=EUR   -> recorded approved 2.5/1 !sent_value_differs
        ?click_id=@b&currency=EUR             -> recorded approved 2.5/1 !sent_value_differs
        ?click_id=@c&currency=usd&revenue=2.5 -> recorded approved 2.5/1
        ",
    );
    assert!(
        fixed.conversions.values().all(|one| one.sent_amount.is_none_or(|it| it.0 == 2_500_000)),
        "euros are never shown as dollars"
    );
    world(r#""revenue":{"from":"postback"}"#).check(
        "
        ?click_id=@a&revenue=2&currency=EUR     -> parked rate_missing
        ?click_id=@a&revenue=2&currency=USD     -> recorded approved 2/0
        ?click_id=@b&currency=EUR               -> recorded approved 0/0 !amount_missing !sent_value_differs
        ?click_id=@c&sale_amount=2&currency=EUR -> recorded approved 0/0 !amount_missing !sent_value_differs
        ",
    );
    world(r#""revenue":{"percent":"10"}"#).check(
        "
        ?click_id=@a&sale_amount=2&currency=EUR -> parked rate_missing
        ?click_id=@a&revenue=2&currency=EUR     -> recorded approved 0/0 !amount_missing !sent_value_differs
        ",
    );
}

#[test]
fn what_is_parked_left_nothing_behind() {
    let mut world = world(r#""revenue":{"from":"postback"}"#);
    world.check("?click_id=@a&revenue=2&currency=EUR -> parked rate_missing");
    assert!(world.conversions.is_empty() && world.entries.is_empty());
    world.check("?click_id=@a&revenue=2&currency=EUR -> parked rate_missing");
}

#[test]
fn a_reversal_needs_no_amount_and_no_rate() {
    world(r#""revenue":{"from":"postback"},"payout":"1""#).check(
        "
        ?click_id=@a&revenue=2                                -> recorded approved 2/1
        ?click_id=@a&status=reversed&revenue=-9&currency=EUR  -> updated reversed -2/-1
        ?click_id=@b&revenue=2                                -> recorded approved 2/1
        ?click_id=@b&status=reversed&revenue=-2               -> updated reversed -2/-1
        ?click_id=@c&revenue=2                                -> recorded approved 2/1
        ?click_id=@c&status=approved&revenue=-2               -> refused invalid_payload revenue
        ?click_id=@d&revenue=-9223372036854.775808&status=reversed -> refused invalid_payload revenue
        ",
    );
}

#[test]
fn a_second_amount_is_kept_out_by_default() {
    let mut world = world(r#""revenue":{"from":"postback"}"#);
    world.check(
        "
        ?click_id=@a&revenue=2                 -> recorded approved 2/0
        ?click_id=@a&revenue=3                 -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&revenue=3&currency=EUR    -> duplicate already_processed !sent_value_differs
        ?click_id=@b&revenue=2&status=pending  -> recorded pending 0/0
        ?click_id=@b&revenue=3&status=approved -> updated approved 2/0 !sent_amount_differs
        ",
    );
    let flagged = world.conversions.values().filter(|one| one.flags.has(Flag::SentAmountDiffers));
    assert_eq!(flagged.count(), 1, "what was changed with a difference keeps the flag");
}

#[test]
fn a_second_amount_differs_where_it_is_not_the_one_that_counts() {
    world(r#""revenue":"2.50","payout":"1""#).check(
        "
        ?click_id=@a&status=pending               -> recorded pending 0/0
        ?click_id=@a&status=approved&revenue=2.5  -> updated approved 2.5/1
        ?click_id=@a&revenue=3                    -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&payout=3                     -> duplicate already_processed !sent_amount_differs
        ?click_id=@b&status=pending               -> recorded pending 0/0
        ?click_id=@b&sale_amount=10               -> updated approved 2.5/1
        ?click_id=@b&sale_amount=11               -> duplicate already_processed
        ",
    );
    world(r#""revenue":{"from":"postback","default":"4"}"#).check(
        "
        ?click_id=@a                              -> recorded approved 4/0
        ?click_id=@a&revenue=4                    -> duplicate already_processed
        ?click_id=@a&revenue=5                    -> duplicate already_processed !sent_amount_differs
        ",
    );
    world(r#""revenue":{"from":"postback"},"payout":{"from":"postback"}"#).check(
        "
        ?click_id=@a&revenue=5&payout=3           -> recorded approved 5/3
        ?click_id=@a&revenue=5&payout=4           -> duplicate already_processed !sent_amount_differs
        ",
    );
    world(r#""revenue":{"percent":"10"}"#).check(
        "
        ?click_id=@a&sale_amount=10               -> recorded approved 1/0
        ?click_id=@a&sale_amount=10&revenue=7     -> duplicate already_processed
        ?click_id=@a&sale_amount=11               -> duplicate already_processed !sent_amount_differs
        ",
    );
}

#[test]
fn a_fixed_term_is_held_against_what_is_sent_whatever_repeats_may_do() {
    for amount in [RepeatedAmount::Replace, RepeatedAmount::Add] {
        let mut contract = plain();
        contract.repeats.amount = amount;
        let goals = r#"[{"key":"lead","default":true,"revenue":"2.50","payout":"1"}]"#;
        let mut world = World::new(contract, goals);
        world.check(
            "
            ?click_id=@a             -> recorded approved 2.5/1
            ?click_id=@a&revenue=2.5 -> duplicate already_processed
            ?click_id=@a&revenue=9   -> duplicate already_processed !sent_amount_differs
            ?click_id=@a&status=reversed -> updated reversed -2.5/-1
            ?click_id=@a&status=approved&revenue=8 -> updated approved 2.5/1 !sent_amount_differs
            ",
        );
        assert!(world.conversion().flags.has(Flag::SentAmountDiffers));
    }
}

#[test]
fn what_was_sent_is_kept_though_nothing_that_counts_changed() {
    let mut first = world(r#""revenue":"2.50""#);
    first.check(
        "
        ?click_id=@a                             -> recorded approved 2.5/0
        ?click_id=@a&revenue=9&sale_amount=10    -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&revenue=8&sale_amount=11    -> duplicate already_processed !sent_amount_differs
        ",
    );
    let kept = |world: &World| {
        let one = world.conversion();
        [one.sent_amount, one.sale_amount].map(|it| it.map(|it| it.to_string()).unwrap_or_default())
    };
    assert_eq!(kept(&first), ["9", "10"]);
    assert_eq!(first.conversion().sequence, 1, "no entry was made");
    let mut contract = plain();
    contract.repeats.amount = RepeatedAmount::Replace;
    let mut last = World::new(contract, r#"[{"key":"lead","revenue":"2.50"}]"#);
    last.check(
        "
        ?click_id=@a&revenue=2.5              -> recorded approved 2.5/0
        ?click_id=@a&revenue=8&sale_amount=11 -> duplicate already_processed !sent_amount_differs
        ",
    );
    assert_eq!(kept(&last), ["8", "11"]);
}

#[test]
fn a_nought_that_was_sent_is_not_missing() {
    let mut world = world(r#""revenue":{"from":"postback"},"payout":{"from":"postback"}"#);
    world.check(
        "
        ?click_id=@a&revenue=0             -> recorded approved 0/0 !amount_missing
        ?click_id=@a&revenue=5             -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&payout=0              -> duplicate already_processed
        ?click_id=@a&payout=3              -> duplicate already_processed !sent_amount_differs
        ",
    );
    assert!(!world.conversion().flags.has(Flag::AmountMissing), "both were sent");
    world.check(
        "
        ?click_id=@a&status=reversed       -> updated reversed 0/0
        ",
    );
}

#[test]
fn only_an_amount_that_is_missing_waits_for_a_rate() {
    world(r#""revenue":{"from":"postback"},"payout":{"from":"postback"}"#).check(
        "
        ?click_id=@a&status=pending&revenue=5               -> recorded pending 0/0 !amount_missing
        ?click_id=@a&status=approved&revenue=4&currency=EUR -> updated approved 5/0 !sent_value_differs
        ?click_id=@a&payout=4&currency=EUR                  -> parked rate_missing
        ",
    );
}

#[test]
fn a_repeat_is_a_duplicate_though_adding_it_would_be_out_of_range() {
    let mut contract = plain();
    contract.repeats.amount = RepeatedAmount::Add;
    World::new(contract, LEAD).check(
        "
        ?click_id=@a&revenue=1000000000 -> recorded approved 1000000000/1.75
        ?click_id=@a&revenue=1000000000 -> duplicate already_processed
        ",
    );
}

#[test]
fn a_second_amount_can_replace_the_first() {
    let mut contract = plain();
    contract.repeats.amount = RepeatedAmount::Replace;
    let goals = r#"[{"key":"lead","default":true,
        "revenue":{"from":"postback"},"payout":{"from":"postback"}}]"#;
    let mut world = World::new(contract, goals);
    world.check(
        "
        ?click_id=@a&revenue=2&payout=1        -> recorded approved 2/1
        ?click_id=@a&revenue=5                 -> updated approved 3/0
        ?click_id=@a&revenue=2&payout=1        -> duplicate already_processed
        ?click_id=@a&revenue=1&payout=0        -> updated approved -4/-1
        ?click_id=@a&status=reversed&revenue=9 -> updated reversed -1/0
        ?click_id=@a&revenue=4&payout=2        -> updated approved 4/2
        ?click_id=@b&status=pending&revenue=1  -> recorded pending 0/0 !amount_missing
        ?click_id=@b&status=pending&revenue=2  -> updated pending 0/0
        ?click_id=@b&status=approved           -> updated approved 2/0
        ",
    );
    assert_eq!(world.total(), "6/2");
}

#[test]
fn amounts_can_add_up_and_each_counts_once() {
    let mut contract = plain();
    contract.repeats.amount = RepeatedAmount::Add;
    let goals = r#"[{"key":"lead","default":true,"revenue":{"from":"postback"},"payout":"1"},
        {"key":"sale","revenue":{"percent":"10"},"payout":{"from":"postback","default":"1"}}]"#;
    let mut world = World::new(contract, goals);
    world.check(
        "
        ?click_id=@a&revenue=2                           -> recorded approved 2/1
        ?click_id=@a&revenue=3                           -> updated approved 3/0
        ?click_id=@a&revenue=3                           -> duplicate already_processed
        ?click_id=@a&revenue=3&conversion_ref=second     -> updated approved 3/0
        ?click_id=@a&revenue=2                           -> duplicate already_processed
        ?click_id=@a                                     -> duplicate already_processed
        ?click_id=@b&goal=sale&sale_amount=10            -> recorded approved 1/1
        ?click_id=@b&goal=sale&sale_amount=0.000015      -> updated approved 0.000002/0
        ?click_id=@b&goal=sale&payout=2                  -> updated approved 0/2
        ?click_id=@c&revenue=2&status=pending            -> recorded pending 0/0
        ?click_id=@c&revenue=3&status=pending            -> updated pending 0/0
        ?click_id=@c&revenue=5&status=approved           -> updated approved 5/1
        ?click_id=@c&revenue=1&status=reversed           -> updated reversed -5/-1
        ?click_id=@d&revenue=1000000000                  -> recorded approved 1000000000/1
        ?click_id=@d&revenue=1&txn_id=                   -> refused invalid_payload
        ",
    );
    let a = world.conversions.values().find(|one| one.revenue.0 == 8_000_000).unwrap();
    assert_eq!(a.sent_amount.map(|it| it.to_string()).as_deref(), Some("8"));
}

#[test]
fn a_missing_amount_is_taken_from_the_postback_that_has_it() {
    let both = r#""revenue":{"from":"postback"},"payout":{"from":"postback"}"#;
    let mut world = world(both);
    world.check(
        "
        ?click_id=@a&status=pending                     -> recorded pending 0/0 !amount_missing
        ?click_id=@a&status=approved&revenue=5&payout=3 -> updated approved 5/3
        ?click_id=@b&revenue=5                          -> recorded approved 5/0 !amount_missing
        ?click_id=@b&revenue=9&payout=3                 -> updated approved 0/3 !sent_amount_differs
        ?click_id=@c                                    -> recorded approved 0/0 !amount_missing
        ?click_id=@c&revenue=5                          -> updated approved 5/0
        ?click_id=@c&payout=3                           -> updated approved 0/3
        ?click_id=@c&payout=4                           -> duplicate already_processed !sent_amount_differs
        ?click_id=@d                                    -> recorded approved 0/0 !amount_missing
        ?click_id=@d&revenue=5&currency=EUR             -> parked rate_missing
        ",
    );
    let missing = world.conversions.values().filter(|one| one.flags.has(Flag::AmountMissing));
    assert_eq!(missing.count(), 1, "only what is still missing says so");
}

#[test]
fn terms_are_the_clicks() {
    use crate::command::{Act, CampaignChanges};
    let mut world = world(r#""revenue":"2","payout":"1""#);
    world.click("before", super::world::LINK);
    let goals = super::world::goals(
        r#"[{"key":"lead","default":true,"revenue":"20","payout":"10"},
            {"key":"deposit","revenue":"7"}]"#,
    );
    let changes = CampaignChanges { goals: Some(goals), ..CampaignChanges::default() };
    let id = super::world::CAMPAIGN;
    world.act(Act::ChangeCampaign { id, changes: Box::new(changes) });
    world.check(
        "
        ?click_id=@before&txn_id=1      -> recorded approved 2/1
        ?click_id=@before&goal=lead     -> recorded approved 2/1
        ?click_id=@after&txn_id=1       -> recorded approved 20/10
        ?click_id=@before&goal=deposit  -> recorded approved 7/0
        ",
    );
}

#[test]
fn a_fixed_amount_stays_what_it_was_when_the_conversion_was_made() {
    use super::world::{CAMPAIGN, LINK, goals};
    use crate::command::{Act, CampaignChanges};
    let mut contract = plain();
    contract.repeats.amount = RepeatedAmount::Replace;
    let mut world = World::new(contract, LEAD);
    world.click("a", LINK);
    let set = |world: &mut World, revenue: &str| {
        let later = format!(r#"[{{"key":"lead"}},{{"key":"later","revenue":"{revenue}"}}]"#);
        let changes = CampaignChanges { goals: Some(goals(&later)), ..CampaignChanges::default() };
        world.act(Act::ChangeCampaign { id: CAMPAIGN, changes: Box::new(changes) });
    };
    set(&mut world, "7");
    world.check("?click_id=@a&goal=later -> recorded approved 7/0");
    set(&mut world, "70");
    world.check(
        "
        ?click_id=@a&goal=later&revenue=1 -> duplicate already_processed !sent_amount_differs
        ?click_id=@a&goal=later&revenue=7 -> duplicate already_processed
        ",
    );
    assert_eq!(world.total(), "7/0");
}
