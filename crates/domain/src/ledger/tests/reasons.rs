//! Every reason, and their order: where several apply, the first in the manual's table is given.

use super::world::{CAMPAIGN, LEAD, OWN, OWN_ID, World, contract, plain};
use crate::campaign::Status as CampaignStatus;
use crate::click_id::{Keyring, Minter};
use crate::command::Sunset;
use crate::contract::{Canonical, Contract, Network, Parameter};
use crate::id::{CampaignId, LinkId, NodeId};
use crate::ledger::Decision;
use crate::reason::{Reason, Verdict};
use std::collections::BTreeMap;

/// A contract under which every reason can come about.
fn strict() -> Contract {
    let mut strict = contract(
        "click_id! campaign_id txn_id! status goal revenue sale_amount currency token! timestamp!",
    );
    strict.verification.token = Some(Canonical::Token);
    strict.verification.networks = vec![Network::parse("203.0.113.0/24").unwrap()];
    strict.verification.timestamp_tolerance_s = Some(300);
    strict
}

fn world() -> World {
    let mut earlier = strict();
    let is_sale = |one: &&mut Parameter| one.canonical == Canonical::SaleAmount;
    let sale = earlier.parameters.iter_mut().find(is_sale).unwrap();
    sale.names = vec!["payout".to_owned()];
    let mut world = World::new(earlier, LEAD);
    world.agree(strict(), Sunset::Days(0));
    world.set_token(OWN_ID, "secret");
    world.from = Some("203.0.113.7".parse().unwrap());
    world
}

#[test]
fn every_reason_is_given_for_what_it_says() {
    let mut world = world();
    let good = "token=secret&timestamp=@now";
    let foreign = Keyring::new([(0, [8; 32])]).unwrap();
    let id = Minter::new(NodeId::new(0).unwrap(), 0).next(1_795_000_000_000, LinkId(1), 0);
    let foreign = foreign.format(id);
    world.check(&format!(
        "
        /postback/nobody?click_id=@a&txn_id=1&{good} -> refused unknown_integration
        ?click_id=@a&txn_id={{txn_id}}&{good}        -> refused macro_not_replaced txn_id
        ?click_id=@a&txn_id=1&revenue=x&{good}       -> refused invalid_payload revenue
        ?click_id=@a&txn_id=1&revenue=-1&{good}      -> refused invalid_payload revenue
        ?click_id=@a&txn_id=1&txn_id=2&{good}        -> refused invalid_payload txn_id
        ?click_id=@a&txn_id=1&payout=1&{good}        -> refused contract_retired payout
        from 198.51.100.1
        ?click_id=@a&txn_id=1&{good}                 -> refused source_not_allowed
        from 203.0.113.7
        ?click_id=@a&txn_id=1&token=wrong            -> refused signature_mismatch token
        ?click_id=@a&txn_id=1                        -> refused signature_mismatch token
        ?click_id=@a&txid=1&{good}                   -> refused missing_parameter txn_id ~txid
        ?click_id=c_94f1f2&txn_id=1&{good}           -> refused unknown_click click_id
        ?click_id={foreign}&txn_id=1&{good}          -> refused unknown_click click_id
        ?click_id=@a&txn_id=1&revenue=2.5&{good}     -> recorded approved 2.5/1.75
        ?click_id=@a&txn_id=1&revenue=2.5&{good}     -> duplicate already_processed
        ?click_id=@a&txn_id=2&token=secret&timestamp=1 -> refused stale_timestamp timestamp
        ?click_id=@a&txn_id=2&status=ping&{good}     -> ignored status_ignored status
        ?click_id=@a&txn_id=2&revenue=2&currency=EUR&{good} -> parked rate_missing
        ?click_id=@a&txn_id=2&campaign_id=2&{good}   -> refused campaign_mismatch campaign_id
        ?click_id=@a&txn_id=2&goal=nope&{good}       -> refused unknown_goal goal
        ?click_id=@a&txn_id=2&status=nope&{good}     -> refused unknown_status status
        ?click_id=@a&txn_id=2&currency=QQQ&{good}    -> refused unknown_currency currency
        ?click_id=@a&txn_id=2&status=reversed&{good} -> refused transition_not_allowed status
        "
    ));
    world.set_status(CampaignStatus::Paused);
    world.check(&format!("?click_id=@p&txn_id=1&{good} -> refused campaign_inactive"));
    world.set_status(CampaignStatus::Active);
    world.check(&format!(
        "
        ?click_id=@b&txn_id=1&{good} -> recorded approved 0/1.75 !amount_missing
        wait 31d
        ?click_id=@b&txn_id=2&{good} -> refused late_window
        "
    ));
}

#[test]
fn a_decision_that_failed_is_parked() {
    let decision = Decision::internal_error();
    assert_eq!(decision.verdict, Verdict::Parked);
    assert_eq!(decision.reason, Some(Reason::InternalError));
    assert_eq!(decision.effect, None);
}

/// A postback that is good but for some ingredients, each of which brings one reason about.
#[derive(Clone)]
struct Sent {
    parameters: BTreeMap<&'static str, String>,
    /// Which ingredient filled each place: two cannot fill one.
    filled: BTreeMap<&'static str, Reason>,
}

impl Sent {
    fn good() -> Self {
        let parameters = [
            ("path", "/postback/own"),
            ("from", "203.0.113.7"),
            ("click_id", "@good"),
            ("txn_id", "1"),
            ("token", "secret"),
            ("timestamp", "@now"),
        ];
        let parameters =
            parameters.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        Self { parameters, filled: BTreeMap::new() }
    }

    /// The same with `reason`'s ingredients; `None` where another one is in their place.
    fn with(&self, reason: Reason) -> Option<Self> {
        let ingredients: &[(&str, &str)] = match reason {
            Reason::UnknownIntegration => &[("path", "/postback/nobody")],
            Reason::MacroNotReplaced => &[("sale_amount", "{amount}")],
            Reason::InvalidPayload => &[("campaign_id", "1"), ("campaign_id ", "2")],
            Reason::ContractRetired => &[("payout", "1")],
            Reason::SourceNotAllowed => &[("from", "198.51.100.1")],
            Reason::SignatureMismatch => &[("token", "wrong")],
            Reason::MissingParameter => &[("txn_id", "")],
            Reason::UnknownClick => &[("click_id", "nobodys")],
            Reason::AlreadyProcessed => &[("txn_id", "seen")],
            Reason::StaleTimestamp => &[("timestamp", "1")],
            Reason::StatusIgnored => &[("status", "ping")],
            Reason::RateMissing => &[("currency", "EUR"), ("revenue", "1")],
            Reason::CampaignMismatch => &[("campaign_id", "2")],
            Reason::UnknownGoal => &[("goal", "nope")],
            Reason::UnknownStatus => &[("status", "nope")],
            Reason::UnknownCurrency => &[("currency", "QQQ")],
            Reason::TransitionNotAllowed => &[("status", "reversed")],
            Reason::CampaignInactive => &[("click_id", "@paused")],
            Reason::LateWindow => &[("click_id", "@late")],
            Reason::InternalError => return None,
        };
        let mut with = self.clone();
        for (name, value) in ingredients {
            if with.filled.insert(name, reason).is_some() {
                return None;
            }
            with.parameters.insert(name, (*value).to_owned());
        }
        Some(with)
    }

    fn send(&self, world: &mut World) -> Option<Reason> {
        world.from = Some(self.parameters["from"].parse().unwrap());
        let is_sent = |name: &&str| !["path", "from"].contains(name);
        let query: Vec<String> = self
            .parameters
            .iter()
            .filter(|(name, _)| is_sent(name))
            .map(|(name, value)| format!("{}={value}", name.trim()))
            .collect();
        let hit = world.hit(&format!("{}?{}", self.parameters["path"], query.join("&")));
        world.receive(&hit).reason
    }
}

/// A world with a click of each kind, in which `txn_id=seen` was recorded already.
fn world_of_the_order() -> World {
    let mut world = world();
    world.check(
        "
        ?click_id=@good&txn_id=seen&token=secret&timestamp=@now \
            -> recorded approved 0/1.75 !amount_missing
        ?click_id=@late&txn_id=seen&token=secret&timestamp=@now \
            -> recorded approved 0/1.75 !amount_missing
        wait 31d
        ",
    );
    world.set_status(CampaignStatus::Paused);
    world.click("paused", LinkId(1));
    world.set_status(CampaignStatus::Active);
    world.click("good", LinkId(1));
    world.check(
        "?click_id=@good&txn_id=seen&token=secret&timestamp=@now \
            -> recorded approved 0/1.75 !amount_missing",
    );
    world
}

#[test]
fn of_two_reasons_the_earlier_one_is_given() {
    let world = world_of_the_order();
    let mut pairs = 0;
    for (place, first) in Reason::ALL.into_iter().enumerate() {
        let Some(with_first) = Sent::good().with(first) else { continue };
        assert_eq!(with_first.send(&mut world.clone()), Some(first), "{first:?} alone");
        for second in &Reason::ALL[place + 1..] {
            let Some(with_both) = with_first.with(*second) else { continue };
            // A click that is not ours has no conversion, goal or campaign; what was said before
            // was said in the same words; and without a goal no rate is needed.
            let is_contradiction = matches!(
                (first, second),
                (
                    Reason::AlreadyProcessed,
                    Reason::RateMissing
                        | Reason::StatusIgnored
                        | Reason::CampaignMismatch
                        | Reason::UnknownGoal
                        | Reason::UnknownStatus
                        | Reason::UnknownCurrency
                        | Reason::TransitionNotAllowed
                        | Reason::CampaignInactive
                ) | (Reason::RateMissing, Reason::UnknownGoal)
            );
            if !is_contradiction {
                let given = with_both.send(&mut world.clone());
                assert_eq!(given, Some(first), "{first:?} and {second:?}");
                pairs += 1;
            }
        }
    }
    assert!(pairs >= 110, "only {pairs} pairs were tried");
}

#[test]
fn what_is_identical_is_a_duplicate_whatever_else_has_changed_since() {
    let mut world = world();
    let sent = "?click_id=@a&txn_id=1&revenue=2.5&token=secret&timestamp=@now";
    world.check(&format!("{sent} -> recorded approved 2.5/1.75"));
    world.check(&format!(
        "
        ?click_id=@a&txn_id=1&status=reversed&token=secret&timestamp=@now \
            -> updated reversed -2.5/-1.75
        {sent} -> duplicate already_processed
        wait 400d
        {} -> duplicate already_processed
        ",
        sent.replace("timestamp=@now", "timestamp=1700000000")
    ));
    world.set_status(CampaignStatus::Ended);
    world.check(&format!("{sent} -> duplicate already_processed"));
    assert_eq!(world.total(), "0/0");
}

#[test]
fn a_duplicate_names_the_hit_that_made_the_conversion() {
    let mut world = World::new(plain(), LEAD);
    let hit = world.hit("?click_id=@a&revenue=1");
    let first = world.receive(&hit);
    assert_eq!(first.original, None);
    let made_by = world.conversion().created_by;
    let again = world.receive(&hit);
    assert_eq!(again.original, Some(made_by));
    assert_eq!(again.conversion, first.conversion);
    let other = world.hit("?click_id=@a&revenue=3");
    assert_eq!(world.receive(&other).original, Some(made_by));
}

#[test]
fn a_refusal_says_which_conversion_it_was_about() {
    let mut world = World::new(plain(), LEAD);
    world.check("?click_id=@a&revenue=1 -> recorded approved 1/1.75");
    let hit = world.hit("?click_id=@a&status=rejected");
    let refused = world.receive(&hit);
    assert_eq!(refused.reason, Some(Reason::TransitionNotAllowed));
    assert_eq!(refused.conversion, Some((world.conversion().id, world.conversion().status)));
    assert_eq!(refused.effect, None);
}

#[test]
fn the_campaign_id_is_the_clicks() {
    let mut world = World::new(plain(), LEAD);
    assert_eq!((CAMPAIGN, OWN), (CampaignId(1), "own"));
    world.check(
        "
        ?click_id=@a&campaign_id=2                    -> refused campaign_mismatch campaign_id
        ?click_id=@a&campaign_id=spring               -> refused campaign_mismatch campaign_id
        ?click_id=@a&campaign_id=99999999999999999999 -> refused campaign_mismatch campaign_id
        ?click_id=@a&campaign_id=1&revenue=1          -> recorded approved 1/1.75
        ",
    );
}
