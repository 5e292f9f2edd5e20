//! What lacks the transaction id that it should have: recorded, pending and unpaid, until somebody
//! finds the id, or the contract's date.

use super::world::{World, contract};
use crate::command::Failure;
use crate::contract::{Canonical, Contract, RepeatedAmount};
use crate::conversion::Status;
use crate::hit::Hit;
use crate::ledger::{
    Rehearsal, WAITING_MAX, change_by_person, likely_ids, merge, read, repair, repaired_key,
};
use crate::postback::Pairs;
use crate::reason::{Flag, Reason};
use crate::time::Timestamp;

const GOALS: &str = r#"[{"key":"lead","default":true,"revenue":{"from":"postback"},"payout":"1.75"},
    {"key":"sale","revenue":"10"}]"#;

fn triaging() -> Contract {
    let mut contract =
        contract("click_id!=cid txn_id! status goal revenue event1 sub1 token timestamp=ts");
    contract.triage_until = Some("2026-11-25T00:00:00Z".parse::<Timestamp>().unwrap());
    assert_eq!(contract.fault(), None);
    contract
}

fn world() -> World {
    World::new(triaging(), GOALS)
}

fn repaired(world: &mut World, id: u64, txn_id: &str) -> Result<(), Failure> {
    let old = world.conversion_by_id(id).clone();
    let key = repaired_key(&world.setup, &old, txn_id)?;
    let existing = world.conversions.get(&key);
    let effect = repair(&old, key, txn_id, "found in their log", existing, world.occasion())?;
    world.enter([effect]);
    Ok(())
}

fn merged(world: &mut World, id: u64, into: u64) -> Result<(), Failure> {
    let (old, into) = (world.conversion_by_id(id), world.conversion_by_id(into));
    let effects = merge(old, into, "the same order", world.occasion())?;
    world.enter(effects);
    Ok(())
}

fn code(result: Result<(), Failure>) -> String {
    result.expect_err("it is refused").code
}

#[test]
fn what_lacks_its_transaction_id_waits_unpaid_until_the_date() {
    let mut world = world();
    world.check(
        "
        ?cid=@a&revenue=5                 -> recorded pending 0/0 !txn_id_missing
        ?revenue=5&cid=@a&txn_id=%20      -> duplicate already_processed !txn_id_missing
        ?cid=@a&revenue=5&ts=1&token=t    -> duplicate already_processed !txn_id_missing
        ?cid=@a&revenue=5&order=7         -> recorded pending 0/0 !txn_id_missing
        ?cid=@a&revenue=5&goal=sale       -> recorded pending 0/0 !sent_amount_differs !txn_id_missing
        ?cid=@b&revenue=5                 -> recorded pending 0/0 !txn_id_missing
        ?cid=@b&revenue=5&status=rejected -> recorded pending 0/0 !txn_id_missing
        ?cid=@b&revenue=5&status=reversed -> refused transition_not_allowed status !txn_id_missing
        ?cid=@b&revenue=5&status=zzz      -> refused unknown_status status !txn_id_missing
        ?cid=@b&revenue=5&status=ping     -> ignored status_ignored status !txn_id_missing
        ?cid=@b&revenue=5&txn_id={txn}    -> refused macro_not_replaced txn_id
        ?revenue=5                        -> refused missing_parameter cid
        ?cid=@a&event1=3                  -> recorded
        ?cid=@a&revenue=5&txn_id=T-1      -> recorded approved 5/1.75
        wait 10d
        ?cid=@a&revenue=5                 -> refused missing_parameter txn_id
        ?cid=@a&revenue=5&txn-id=9        -> refused missing_parameter txn_id ~txn-id
        ",
    );
    let sent: Vec<_> = (1..=6).map(|id| world.conversion_by_id(id).triaged).collect();
    let (approved, rejected) = (Some(Status::Approved), Some(Status::Rejected));
    assert_eq!(sent, [approved, approved, approved, approved, rejected, None]);
    assert_eq!(world.total(), "5/1.75", "only what has an id is paid");
}

/// Whether two such requests, from whoever signs so or signs nothing, are one conversion.
fn are_one(scheme: Option<&str>, one: (&str, &str, &str), other: (&str, &str, &str)) -> bool {
    let mut contract = contract("click_id!=cid txn_id=order revenue sub1=x-sub sub2 signature=sig");
    contract.parameters[3].in_header = true;
    contract.txn_id_absent = crate::contract::TxnIdAbsent::Payload;
    contract.verification.signature = scheme.map(|scheme| serde_json::from_str(scheme).unwrap());
    assert_eq!(contract.fault(), None);
    let mut world = World::new(contract, GOALS);
    let mut receive = |(query, header, body): (&str, &str, &str)| {
        let hit = world.hit(&format!("?cid=@a&{query}"));
        let headers = vec![("X-Sub".to_owned(), header.to_owned())];
        let content_type = Some("application/json".to_owned());
        let hit = Hit { headers, content_type, body: body.as_bytes().to_vec(), ..hit };
        world.receive(&hit).verdict
    };
    let (first, second) = (receive(one), receive(other));
    assert_eq!(first, crate::reason::Verdict::Recorded);
    second == crate::reason::Verdict::Duplicate
}

#[test]
fn all_that_was_said_tells_one_from_another() {
    let same = [
        (("revenue=5", "", ""), ("revenue=5&n=", " ", "{}")),
        (
            ("n=1&revenue=5", "us", r#"{"o":{"id":7}}"#),
            ("revenue=5&n=1", "us", r#"{"o":{"id":7}}"#),
        ),
    ];
    for (one, other) in same {
        assert!(are_one(None, one, other), "{one:?} {other:?}");
    }
    let different = [
        (("revenue=5", "", r#"{"o":{"id":7}}"#), ("revenue=5", "", r#"{"o":{"id":8}}"#)),
        (("revenue=5", "", r#"{"o":[7]}"#), ("revenue=5", "", r#"{"o":[8]}"#)),
        (("revenue=5", "", r#"{"o":[]}"#), ("revenue=5", "", "{}")),
        (("revenue=5", "us", ""), ("revenue=5", "ca", "")),
        (("revenue=5", "us", ""), ("revenue=5&x-sub=us", "", "")),
    ];
    for (one, other) in different {
        assert!(!are_one(None, one, other), "{one:?} {other:?}");
    }
}

/// What anybody may add to a signed request makes no second conversion of it.
#[test]
fn what_is_not_signed_tells_nothing_apart() {
    let body = r#"{"algorithm":"hmac_sha256","input":{"kind":"body"}}"#;
    let query = r#"{"algorithm":"hmac_sha256","input":{"kind":"query"}}"#;
    let said = r#"{"revenue":"5"}"#;
    assert!(are_one(Some(body), ("", "us", said), ("n=2", "ca", said)));
    assert!(!are_one(Some(body), ("", "us", said), ("sub2=2", "us", said)), "it is read");
    assert!(!are_one(Some(query), ("n=1", "us", ""), ("n=2", "us", "")), "it is signed");
    assert!(are_one(Some(query), ("n=1", "us", ""), ("n=1", "ca", "")));
}

#[test]
fn a_repair_makes_it_what_it_would_have_been() {
    let mut world = world();
    world.check(
        "
        ?cid=@a&revenue=5              -> recorded pending 0/0 !txn_id_missing
        ?cid=@b&revenue=3&status=hold  -> recorded pending 0/0 !txn_id_missing
        ",
    );
    repaired(&mut world, 1, " T-1 ").unwrap();
    repaired(&mut world, 2, "T-2").unwrap();
    let first = world.conversion_by_id(1);
    assert_eq!((first.status, first.txn_id.as_deref()), (Status::Approved, Some("T-1")));
    assert!(first.triaged.is_none() && !first.flags.has(Flag::TxnIdMissing));
    assert_eq!(world.conversion_by_id(2).status, Status::Pending, "as it was sent");
    assert_eq!(world.total(), "5/1.75");
    world.check(
        "
        ?cid=@a&revenue=5                           -> duplicate already_processed !txn_id_missing
        ?cid=@a&revenue=5&txn_id=T-1                -> duplicate already_processed
        ?cid=@a&revenue=5&txn_id=T-1&status=reversed -> updated reversed -5/-1.75
        ?cid=@a&revenue=5                           -> duplicate already_processed !txn_id_missing
        ?cid=@b&revenue=3&txn_id=T-2                -> updated approved 3/1.75
        ",
    );
    assert_eq!(code(repaired(&mut world, 1, "T-9")), "not_in_triage");
    assert_eq!(world.conversions.len(), 2);
}

#[test]
fn what_was_said_without_the_id_counts_no_second_time_with_it() {
    for (amount, other) in [
        (RepeatedAmount::Add, "updated approved 7/0"),
        (RepeatedAmount::Replace, "updated approved 2/0"),
        (RepeatedAmount::Keep, "duplicate already_processed !sent_amount_differs"),
    ] {
        let mut adding = triaging();
        adding.repeats.amount = amount;
        let mut world = World::new(adding, GOALS);
        world.check(
            "
            ?cid=@a&revenue=5              -> recorded pending 0/0 !txn_id_missing
            ?cid=@b&revenue=5              -> recorded pending 0/0 !txn_id_missing
            ?cid=@b&revenue=4&txn_id=T-2   -> recorded approved 4/1.75
            ",
        );
        repaired(&mut world, 1, "T-1").unwrap();
        merged(&mut world, 2, 3).unwrap();
        let known = if amount == RepeatedAmount::Keep { " !sent_amount_differs" } else { "" };
        world.check(&format!(
            "
            ?cid=@a&revenue=5&txn_id=T-1   -> duplicate already_processed
            ?cid=@b&revenue=5&txn_id=T-2   -> duplicate already_processed{known}
            ?cid=@a&revenue=7&txn_id=T-1   -> {other}
            ?cid=@a&revenue=7&txn_id=T-1   -> duplicate already_processed{known}
            ?cid=@a&revenue=5&txn_id=T-9   -> recorded approved 5/1.75
            "
        ));
    }
    let mut world = world();
    world.check("?cid=@a&revenue=5 -> recorded pending 0/0 !txn_id_missing");
    world.change_by_person(Status::Rejected).unwrap();
    repaired(&mut world, 1, "T-1").unwrap();
    world.check("?cid=@a&revenue=5&txn_id=T-1 -> duplicate already_processed");
    assert_eq!(world.conversion().status, Status::Rejected, "a person's word stays");
}

#[test]
fn what_has_the_id_already_is_named_and_merged_into() {
    let mut world = world();
    world.check(
        "
        ?cid=@a&revenue=5             -> recorded pending 0/0 !txn_id_missing
        ?cid=@a&revenue=5&txn_id=T-1  -> recorded approved 5/1.75
        ?cid=@b&revenue=5&txn_id=T-1  -> recorded approved 5/1.75
        ",
    );
    let failure = repaired(&mut world, 1, "T-1").unwrap_err();
    assert_eq!(failure.code, "already_exists");
    assert_eq!(failure.detail, "it is conversion 2 already: merge instead");
    for wrong in [1, 3] {
        assert_eq!(code(merged(&mut world, 1, wrong)), "invalid_parameter");
    }
    merged(&mut world, 1, 2).unwrap();
    let first = world.conversion_by_id(1);
    assert_eq!((first.status, first.merged_into.map(|id| id.0)), (Status::Rejected, Some(2)));
    let said = first.seen[0];
    assert!(world.conversion_by_id(2).has_seen(said), "a late repeat cannot count");
    assert_eq!(world.total(), "10/3.5");
    assert_eq!(world.entries.len(), 4, "what it was merged into has no entry for it");
    world.check("?cid=@a&revenue=5 -> duplicate already_processed !txn_id_missing");
    assert_eq!(code(merged(&mut world, 1, 2)), "not_in_triage");
    assert_eq!(code(repaired(&mut world, 1, "T-5")), "not_in_triage");
    let old = world.conversion_by_id(1).clone();
    let again = change_by_person(&old, Status::Approved, "x", world.occasion()).unwrap_err();
    assert_eq!(again.code, "transition_not_allowed");
    assert!(again.detail.contains("merged into conversion 2"), "{}", again.detail);
}

#[test]
fn nobody_approves_what_is_in_triage_but_a_person_may_reject_it() {
    let mut world = world();
    world.check("?cid=@a&revenue=5 -> recorded pending 0/0 !txn_id_missing");
    let refused = world.change_by_person(Status::Approved).unwrap_err();
    assert_eq!(refused.code, "transition_not_allowed");
    assert!(refused.detail.starts_with("its transaction id is missing"), "{}", refused.detail);
    world.change_by_person(Status::Rejected).unwrap();
    assert_eq!(code(world.change_by_person(Status::Approved)), "transition_not_allowed");
    repaired(&mut world, 1, "T-1").unwrap();
    assert_eq!(world.conversion().status, Status::Rejected, "a person's word stays");
    world.change_by_person(Status::Approved).unwrap();
    assert_eq!(world.total(), "5/1.75");
}

#[test]
fn a_transaction_id_has_to_be_one_and_a_reason_given() {
    let mut world = world();
    world.check("?cid=@a&revenue=5 -> recorded pending 0/0 !txn_id_missing");
    for wrong in ["", "  ", "{txn_id}", "a\nb", &"x".repeat(256)] {
        let failure = repaired(&mut world, 1, wrong).unwrap_err();
        assert_eq!(failure.parameter.as_deref(), Some("txn_id"), "{wrong}");
    }
    let old = world.conversion().clone();
    let key = repaired_key(&world.setup, &old, "T-1").unwrap();
    let failure = repair(&old, key, "T-1", " ", None, world.occasion()).unwrap_err();
    assert_eq!(failure.parameter.as_deref(), Some("reason"));
    let failure = merge(&old, &old, "", world.occasion()).unwrap_err();
    assert_eq!(failure.parameter.as_deref(), Some("reason"));
}

#[test]
fn a_repaired_id_is_folded_as_a_sent_one() {
    let mut folding = triaging();
    folding.txn_id_folded = true;
    let mut world = World::new(folding, GOALS);
    world.check(
        "
        ?cid=@a&revenue=5             -> recorded pending 0/0 !txn_id_missing
        ?cid=@a&revenue=5&txn_id=T-1  -> recorded approved 5/1.75
        ",
    );
    assert_eq!(code(repaired(&mut world, 1, "t-1")), "already_exists");
}

#[test]
fn the_other_parts_of_an_id_are_no_id() {
    let mut made_of_two = triaging();
    made_of_two.txn_id_parts = vec![Canonical::TxnId, Canonical::Goal];
    let mut world = World::new(made_of_two, GOALS);
    world.check(
        "
        ?cid=@a&revenue=5&goal=lead          -> recorded pending 0/0 !txn_id_missing
        ?cid=@a&revenue=6&goal=lead          -> recorded pending 0/0 !txn_id_missing
        ?cid=@a&revenue=5&goal=lead&txn_id=T -> recorded approved 5/1.75
        ",
    );
    assert_eq!(code(repaired(&mut world, 1, "T_lead")), "already_exists");
    repaired(&mut world, 2, "U_lead").unwrap();
    world.check("?cid=@a&revenue=6&goal=lead&txn_id=U -> duplicate already_processed");
}

#[test]
fn only_so_many_of_one_click_wait() {
    let mut world = world();
    let send = |world: &mut World, number: u32| world.send(&format!("?cid=@a&n={number}"));
    for number in 0..WAITING_MAX {
        assert!(send(&mut world, number).starts_with("recorded pending"), "{number}");
    }
    let hit = world.hit("?cid=@a&goal=sale&n=new");
    let refused = world.receive(&hit);
    assert_eq!(refused.reason, Some(Reason::MissingParameter));
    assert_eq!(refused.parameter.as_deref(), Some("txn_id"));
    assert!(refused.detail.unwrap().contains("100 conversions of this click wait"));
    world.check(
        "
        ?cid=@a&n=7               -> duplicate already_processed !txn_id_missing
        ?cid=@a&goal=nope&n=new   -> refused missing_parameter txn_id !txn_id_missing
        ?cid=@a&event1=1          -> recorded
        ?cid=@a&revenue=1&txn_id=T-1 -> recorded approved 1/1.75
        ?cid=@b&n=new             -> recorded pending 0/0 !amount_missing !txn_id_missing
        ",
    );
    repaired(&mut world, 1, "T-2").unwrap();
    assert!(send(&mut world, WAITING_MAX).starts_with("recorded pending"), "one has its id");
    assert!(send(&mut world, WAITING_MAX + 1).starts_with("refused missing_parameter txn_id"));
}

#[test]
fn a_campaign_whose_conversions_need_no_id_has_no_triage() {
    let mut by_click = plain_click();
    by_click.identity = crate::contract::Identity::Click;
    let mut world = World::new(by_click, GOALS);
    let mut partner = super::world::partner("triaging", triaging());
    partner.paths = vec!["/triaging".to_owned()];
    let (partners, key) = (vec![partner], "unused".to_owned());
    world.act(crate::command::Act::LoadCatalogue { partners, key });
    world.check(
        "
        /triaging?cid=@a&revenue=5          -> refused missing_parameter txn_id
        /triaging?cid=@a&revenue=5&txn_id=1 -> recorded approved 5/1.75
        ",
    );
}

fn plain_click() -> Contract {
    contract("click_id! revenue")
}

#[test]
fn likely_ids_are_unread_and_look_like_one() {
    let contract = triaging();
    let target =
        b"/p?cid=a1b2&order_id=7788&revenue=5.00&x=A-17b&y=hello&amount=12&note=two%20words7\
        &ref=&transId=%00&tid=9z";
    let hit = Hit { target: target.to_vec(), ..Hit::default() };
    let found = likely_ids(&contract, &Pairs::of(&hit));
    let found: Vec<_> = found.iter().map(|(name, text)| format!("{name}={text}")).collect();
    assert_eq!(found, ["order_id=7788", "x=A-17b"]);
    let many = format!("/p?{}", "x1=ab1&".repeat(50));
    let hit = Hit { target: many.into_bytes(), ..Hit::default() };
    assert_eq!(likely_ids(&contract, &Pairs::of(&hit)).len(), 10);
}

#[test]
fn a_rehearsal_counts_what_waits() {
    let mut world = world();
    let lines: Vec<String> =
        (0..=WAITING_MAX).map(|number| format!("?cid=@a&n={number}")).collect();
    let hits: Vec<Hit> = lines.iter().map(|line| world.hit(line)).collect();
    let (setup, keyring) = (world.setup.clone(), super::world::keyring());
    let mut rehearsal = Rehearsal::new(&setup);
    let mut occasions = Vec::new();
    let mut send = |rehearsal: &mut Rehearsal<'_>, hit: &Hit| {
        let occasion = world.occasion();
        world.enter([]);
        occasions.push(occasion);
        rehearsal.decide(&read(&setup, &keyring, hit, occasion.at), None, occasion).reason
    };
    let last = hits.last().unwrap();
    for hit in &hits[..hits.len() - 1] {
        assert_eq!(send(&mut rehearsal, hit), None);
    }
    assert_eq!(send(&mut rehearsal, last), Some(Reason::MissingParameter));
    let first = occasions[0];
    rehearsal.repair(first.position, "T-1", "found", first);
    let again = read(&setup, &keyring, last, first.at);
    assert_eq!(rehearsal.decide(&again, None, first).reason, None, "one has its id");
    let more = world.hit("?cid=@a&n=more");
    let again = read(&setup, &keyring, &more, first.at);
    let second = occasions[1];
    assert_eq!(rehearsal.decision(&again, None, second).reason, Some(Reason::MissingParameter));
    rehearsal.change_status(second.position, Status::Rejected, "junk", second);
    assert_eq!(rehearsal.decision(&again, None, second).reason, None, "one is rejected");
}

#[test]
fn a_rehearsal_repairs_and_merges_as_people_did() {
    let mut world = world();
    let lines = ["&x=1", "&x=2", "&txn_id=T-1", "&x=1"];
    let hits = lines.map(|line| world.hit(&format!("?cid=@a&revenue=5{line}")));
    world.wait_s(1);
    let (setup, keyring) = (world.setup.clone(), super::world::keyring());
    let mut rehearsal = Rehearsal::new(&setup);
    let mut send = |rehearsal: &mut Rehearsal<'_>, hit: &Hit| {
        let occasion = world.occasion();
        world.enter([]);
        let read = read(&setup, &keyring, hit, occasion.at);
        rehearsal.decide(&read, None, occasion);
        occasion
    };
    let [one, two, three] = [0, 1, 2].map(|place| send(&mut rehearsal, &hits[place]));
    rehearsal.repair(one.position, "T-2", "found", three);
    rehearsal.merge(two.position, three.position, "the same", three);
    send(&mut rehearsal, &hits[3]);
    let mut all: Vec<_> = rehearsal.conversions().collect();
    all.sort_by_key(|(made_by, _)| *made_by);
    let shown = all.iter().map(|(_, one)| (one.status, one.txn_id.as_deref(), one.paid_revenue.0));
    let (approved, rejected) = (Status::Approved, Status::Rejected);
    let expected = [
        (approved, Some("T-2"), 5_000_000),
        (rejected, None, 0),
        (approved, Some("T-1"), 5_000_000),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[test]
fn a_blank_alias_of_the_transaction_id_is_triaged_too() {
    let mut contract = contract("click_id!=cid txn_id!=txn_id,tid status goal revenue");
    contract.triage_until = triaging().triage_until;
    World::new(contract, GOALS).check(
        "
        ?cid=@a&revenue=5&txn_id=   -> recorded pending 0/0 !txn_id_missing
        ?cid=@b&revenue=5&tid=      -> recorded pending 0/0 !txn_id_missing
        ?revenue=5&tid=             -> refused missing_parameter cid
        ",
    );
}

#[test]
fn what_a_person_rejected_makes_room() {
    let mut world = world();
    for n in 0..WAITING_MAX {
        world.send(&format!("?cid=@a&revenue=1&n={n}"));
    }
    world.check("?cid=@a&revenue=5 -> refused missing_parameter txn_id !txn_id_missing");
    let old = world.conversion_by_id(7).clone();
    let effect = change_by_person(&old, Status::Rejected, "junk", world.occasion()).unwrap();
    world.enter([effect]);
    world.check(
        "
        ?cid=@a&revenue=5 -> recorded pending 0/0 !txn_id_missing
        ?cid=@a&revenue=6 -> refused missing_parameter txn_id !txn_id_missing
        ",
    );
}
