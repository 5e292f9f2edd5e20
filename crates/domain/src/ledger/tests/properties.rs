//! What holds of any postbacks whatever, in any order.

use super::world::{World, contract, keyring, plain};
use crate::contract::{Contract, Identity, RepeatedAmount, Repeats};
use crate::conversion::{Status, may_change};
use crate::hit::Hit;
use crate::ledger::{Decision, Entry};
use crate::money::Micros;
use crate::reason::{Reason, Verdict};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;

const TERMS: &str = r#"[
    {"key":"lead","default":true,"revenue":{"from":"postback"},"payout":"1.75"},
    {"key":"sale","revenue":{"percent":"10"},"payout":{"from":"postback","default":"1"}}]"#;

/// A line of a script; few different ones, so that they meet.
fn lines() -> impl Strategy<Value = String> {
    let part = |name: &'static str, values: &'static [&'static str]| {
        option::of(select(values)).prop_map(move |value| {
            value.map(|value| format!("&{name}={value}")).unwrap_or_default()
        })
    };
    (
        select(&["@a", "@b", "nobodys"][..]),
        part("txn_id", &["1", "2"]),
        part("status", &["pending", "approved", "rejected", "reversed", "ping", "zzz", "hold"]),
        part("revenue", &["0", "1", "2.5", "x"]),
        part("sale_amount", &["10", "0.000005"]),
        part("payout", &["3"]),
        part("currency", &["USD", "EUR"]),
        part("goal", &["lead", "sale", "nope"]),
        part("conversion_ref", &["r"]),
    )
        .prop_map(|(id, a, b, c, d, e, f, g, h)| format!("?click_id={id}{a}{b}{c}{d}{e}{f}{g}{h}"))
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    amount: RepeatedAmount,
    identity: Identity,
    status: bool,
}

fn rules() -> impl Strategy<Value = Rules> {
    let amounts = [RepeatedAmount::Keep, RepeatedAmount::Replace, RepeatedAmount::Add];
    let identities = [Identity::ClickGoalTxn, Identity::ClickGoal, Identity::Click];
    (select(amounts.to_vec()), select(identities.to_vec()), any::<bool>())
        .prop_map(|(amount, identity, status)| Rules { amount, identity, status })
}

impl Rules {
    fn contract(self) -> Contract {
        let mut contract = plain();
        contract.repeats =
            Repeats { amount: self.amount, status: self.status, ..Repeats::default() };
        contract.identity = self.identity;
        contract
    }
}

/// What a ledger is judged by: everything but when it happened and by which hit.
fn figures(world: &World) -> Vec<String> {
    let all = world.conversions.values().map(|one| {
        format!(
            "{} {:?} {}/{} {}/{} {:?} {:?}",
            one.goal,
            one.status,
            one.revenue,
            one.payout,
            one.paid_revenue,
            one.paid_payout,
            one.sent_amount,
            one.sale_amount
        )
    });
    all.collect()
}

fn send_all(world: &mut World, lines: &[String]) -> Vec<Decision> {
    let sent = lines.iter().map(|line| {
        let hit = world.hit(line);
        world.receive(&hit)
    });
    sent.collect()
}

fn world(contract: Contract) -> World {
    let mut world = World::new(contract, TERMS);
    world.click("a", super::world::LINK);
    world.click("b", super::world::LINK);
    world
}

fn counts(decision: &Decision) -> bool {
    decision.effect.as_ref().is_some_and(|effect| effect.entry.is_some())
}

/// The two that a resend can make count: a reversal that came before its approval, and what was
/// parked.
fn may_count_later(decision: &Decision) -> bool {
    decision.reason == Some(Reason::TransitionNotAllowed) || decision.verdict == Verdict::Parked
}

proptest! {
    #[test]
    fn resending_everything_changes_nothing(
        rules in rules(), lines in vec(lines(), 0..12), times in 1..4_usize,
    ) {
        let mut world = world(rules.contract());
        let first = send_all(&mut world, &lines);
        if first.iter().any(may_count_later) {
            // Each counts once at most, so there is an end to it.
            for _ in &lines {
                send_all(&mut world, &lines);
            }
        }
        let (entries, figures_then) = (world.entries.clone(), figures(&world));
        for _ in 0..times {
            let again = send_all(&mut world, &lines);
            prop_assert!(!again.iter().any(counts));
        }
        prop_assert_eq!(figures(&world), figures_then);
        prop_assert_eq!(&world.entries, &entries);
    }

    /// The part of the property above that has no exception.
    #[test]
    fn no_postback_counts_twice(rules in rules(), lines in vec(lines(), 0..30)) {
        let mut world = world(rules.contract());
        let mut counted = BTreeSet::new();
        for (line, decision) in lines.iter().zip(send_all(&mut world, &lines)) {
            if counts(&decision) {
                prop_assert!(counted.insert(line), "{}", line);
            }
        }
    }

    #[test]
    fn entries_always_add_up_to_what_is_paid(
        rules in rules(), lines in vec(lines(), 0..30), person in vec(0..4_usize, 0..3),
    ) {
        let mut world = world(rules.contract());
        send_all(&mut world, &lines);
        for to in person {
            if world.conversions.len() == 1 {
                _ = world.change_by_person(Status::ALL[to]);
            }
            send_all(&mut world, &lines);
        }
        for conversion in world.conversions.values() {
            let of = |entry: &&Entry| entry.conversion_id == conversion.id;
            let entries: Vec<_> = world.entries.iter().filter(of).collect();
            let sum = |of: fn(&Entry) -> Micros| {
                entries.iter().map(|entry| of(entry).0).sum::<i64>()
            };
            let (revenue, payout) = (sum(|entry| entry.revenue), sum(|entry| entry.payout));
            prop_assert_eq!(revenue, conversion.paid_revenue.0);
            prop_assert_eq!(payout, conversion.paid_payout.0);
            let owed = if conversion.status == Status::Approved {
                (conversion.revenue, conversion.payout)
            } else {
                (Micros::ZERO, Micros::ZERO)
            };
            prop_assert_eq!((conversion.paid_revenue, conversion.paid_payout), owed);
            prop_assert!(!conversion.revenue.is_negative() && !conversion.payout.is_negative());
            let mut from = None;
            for (place, entry) in entries.iter().enumerate() {
                prop_assert_eq!(entry.sequence as usize, place + 1);
                prop_assert_eq!(entry.from, from);
                let is_same = from == Some(entry.to);
                prop_assert!(is_same || may_change(from, entry.to));
                from = Some(entry.to);
            }
            prop_assert_eq!(from, Some(conversion.status));
            prop_assert_eq!(entries.len(), conversion.sequence as usize);
        }
    }

    #[test]
    fn clicks_do_not_hear_of_each_other(rules in rules(), lines in vec(lines(), 0..20)) {
        let is_of = |name: &'static str| {
            move |line: &&String| line.starts_with(&format!("?click_id={name}"))
        };
        let mut mixed = world(rules.contract());
        let mut apart = mixed.clone();
        send_all(&mut mixed, &lines);
        for name in ["@b", "nobodys", "@a"] {
            let own: Vec<_> = lines.iter().filter(is_of(name)).cloned().collect();
            send_all(&mut apart, &own);
        }
        prop_assert_eq!(figures(&mixed), figures(&apart));
    }

    #[test]
    fn whatever_is_sent_is_decided(
        target in vec(any::<u8>(), 0..200),
        body in vec(any::<u8>(), 0..200),
        content_type in option::of(select(&[
            "application/json", "application/x-www-form-urlencoded", "text/plain", "x", "",
        ][..])),
        peer: Option<std::net::IpAddr>,
    ) {
        let mut world = world(contract("click_id! txn_id revenue status event1"));
        let content_type = content_type.map(str::to_owned);
        let hit = Hit { method: "POST".into(), target, content_type, body, peer, ..Hit::default() };
        world.receive(&hit);
    }

    /// The same, where it gets past the key and the click id.
    #[test]
    fn whatever_is_said_of_a_click_is_decided(
        path in select(&["/postback", "/postback/own", "/postback/global", "/own/postback"][..]),
        pairs in vec((select(&[
            "txn_id", "status", "goal", "revenue", "payout", "sale_amount", "currency", "sub1",
            "event1", "campaign_id", "campaign", "placement", "conversion_ref", "x",
        ][..]), vec(any::<u8>(), 0..20)), 0..6),
        json: Option<String>,
    ) {
        let mut world = world(plain());
        let mut hit = world.hit(&format!("{path}?click_id=@a"));
        for (name, value) in pairs {
            hit.target.extend_from_slice(format!("&{name}=").as_bytes());
            hit.target.extend(value.into_iter().filter(|byte| *byte != b'&'));
        }
        if let Some(json) = json {
            hit.method = "POST".to_owned();
            hit.content_type = Some("application/json".to_owned());
            hit.body = format!("{{\"goal\":{json}}}").into_bytes();
        }
        let read = crate::ledger::read(&world.setup, &keyring(), &hit, world.now);
        prop_assert!(read.contract_ref.is_some());
        world.receive(&hit);
    }

    /// Every field has a place of its own in the encoding, so nothing is lost in it.
    #[test]
    fn an_entry_can_be_read_back_from_its_encoding(
        numbers: (u64, u32, i64, u64, i64, i64), from in option::of(0..4_usize), to in 0..4_usize,
        by_person: bool, evidence: [u8; 32], previous: [u8; 32],
    ) {
        use crate::conversion::Status;
        use crate::id::{ConversionId, Position};
        use crate::ledger::{Cause, ENCODED_BYTES};
        use crate::money::Currency;
        use crate::time::Timestamp;
        let (id, sequence, at, position, revenue, payout) = numbers;
        let cause = if by_person { Cause::Command } else { Cause::Hit };
        let entry = Entry {
            conversion_id: ConversionId(id),
            sequence,
            at: Timestamp::from_us(at),
            cause: cause(Position(position)),
            evidence,
            from: from.map(|place| Status::ALL[place]),
            to: Status::ALL[to],
            revenue: Micros(revenue),
            payout: Micros(payout),
            currency: Currency::EUR,
        };
        let bytes = entry.encode(&previous);
        prop_assert_eq!(bytes.len(), ENCODED_BYTES);
        let number = |from: usize| i64::from_be_bytes(bytes[from..from + 8].try_into().unwrap());
        let position = Position(number(22).cast_unsigned());
        let read = Entry {
            conversion_id: ConversionId(number(1).cast_unsigned()),
            sequence: u32::from_be_bytes(bytes[9..13].try_into().unwrap()),
            at: Timestamp::from_us(number(13)),
            cause: if bytes[21] == 2 { Cause::Command(position) } else { Cause::Hit(position) },
            from: Status::from_code(bytes[30]),
            to: Status::from_code(bytes[31]).unwrap(),
            revenue: Micros(number(32)),
            payout: Micros(number(40)),
            currency: str::from_utf8(&bytes[48..51]).unwrap().parse().unwrap(),
            evidence: bytes[51..83].try_into().unwrap(),
        };
        prop_assert_eq!(read, entry);
        prop_assert_eq!(&bytes[83..], previous);
    }
}
