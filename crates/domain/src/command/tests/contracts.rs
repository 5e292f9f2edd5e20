//! The life of a contract: who has to sign what, what is in force when, and what is still read.

use super::*;
use crate::contract::version::{DRAFTS_MAX, EARLIER_MAX, VERSIONS_MAX};
use crate::ledger::ContractRef;
use crate::reason::{Flag, Reason};

pub(super) const ID: IntegrationId = OWN_ID;

fn word(world: &World, number: u32) -> &'static str {
    world.setup.contract(ID, number).unwrap().status.word(world.now)
}

fn words(world: &World) -> Vec<&'static str> {
    world.setup.contracts_of(ID).map(|one| one.latest().status.word(world.now)).collect()
}

pub(super) fn activate(world: &mut World, number: u32, sunset: Sunset) -> Result<Answer, Failure> {
    world.attempt(&Act::ActivateContract { integration_id: ID, number, sunset })
}

/// The plain contract, whose click id goes by another name.
fn renamed(name: &str) -> Contract {
    let mut contract = plain();
    contract.parameters[0].names = vec![name.to_owned()];
    contract
}

#[test]
fn an_integration_has_its_first_contract_from_the_beginning() {
    let world = world();
    for id in [IntegrationId(1), ID] {
        let integration = world.setup.integration(id).unwrap();
        let first = world.setup.contract(id, 1).unwrap();
        assert_eq!(first.status.word(world.now), "active");
        assert_eq!(first.contract, integration.contract);
        assert_eq!(world.setup.contract_by_token(&first.token), Some(first));
    }
}

#[test]
fn a_contract_goes_from_draft_to_active_and_the_one_before_into_its_sunset() {
    let mut world = world();
    let draft = drafted(&mut world, renamed("cid"));
    assert_eq!((draft.number, draft.base, words(&world)), (2, Some(1), vec!["active", "draft"]));
    assert_eq!(world.setup.integration(ID).unwrap().version, 1, "a draft changes nothing");
    let failure = activate(&mut world, 2, Sunset::Usual).unwrap_err();
    assert_eq!(told(&failure), conflict("not_signed_off"));
    assert!(failure.detail.ends_with("operations and engineering"), "{}", failure.detail);
    sign(&mut world, 2, &[Role::Operations]);
    assert_eq!(word(&world, 2), "draft");
    let failure = activate(&mut world, 2, Sunset::Usual).unwrap_err();
    assert!(failure.detail.ends_with("by engineering"), "{}", failure.detail);
    let signed = sign(&mut world, 2, &[Role::Engineering]);
    assert_eq!(word(&world, 2), "signed_off");
    let by = &signed.sign_offs[&Role::Engineering];
    assert_eq!((&*by.name, &*by.actor), ("A. Person", "tester"));
    activate(&mut world, 2, Sunset::Usual).unwrap();
    assert_eq!(words(&world), ["sunset", "active"]);
    let integration = world.setup.integration(ID).unwrap();
    assert_eq!((integration.version, &integration.contract), (2, &renamed("cid")));
    world.wait_s(30 * 86_400);
    assert_eq!(words(&world), ["retired", "active"]);
}

#[test]
fn a_triage_that_is_over_is_not_drafted() {
    let mut world = world();
    let (now, later) = (world.now, world.now.plus_days(1));
    let with = |until: Timestamp| {
        let mut contract = plain();
        let txn_id = contract.parameters.iter_mut().find(|one| one.canonical == Canonical::TxnId);
        txn_id.unwrap().required = true;
        contract.triage_until = Some(until);
        Box::new(contract)
    };
    let draft = |source: DraftSource| Act::DraftContract {
        integration_id: ID,
        source,
        note: None,
        cutover_on: None,
        token: "triage".to_owned(),
    };
    let over = world.attempt(&draft(DraftSource::Contract(with(now)))).unwrap_err();
    assert_eq!(over.parameter.as_deref(), Some("contract.triage_until"));
    assert!(over.detail.contains("is over"), "{}", over.detail);
    let number = drafted(&mut world, *with(later)).number;
    let change = |until| Act::ChangeDraft {
        integration_id: ID,
        number,
        contract: Some(with(until)),
        note: None,
        cutover_on: None,
    };
    let over = world.attempt(&change(now)).unwrap_err();
    assert_eq!(over.parameter.as_deref(), Some("contract.triage_until"));
    world.attempt(&change(later)).unwrap();
    world.wait_s(2 * 86_400);
    world.attempt(&draft(DraftSource::Version(number))).unwrap();
}

#[test]
fn finance_signs_what_changes_money_and_nothing_else() {
    let with = |change: fn(&mut Contract)| {
        let mut contract = plain();
        change(&mut contract);
        let mut world = world();
        let number = drafted(&mut world, contract).number;
        sign(&mut world, number, &[Role::Operations, Role::Engineering]);
        activate(&mut world, number, Sunset::Usual).map_err(|failure| failure.detail)
    };
    let engineering: [fn(&mut Contract); 7] = [
        |_| {},
        |it| it.parameters[0].names.push("cid".to_owned()),
        |it| it.parameters.retain(|one| one.canonical != Canonical::Placement),
        |it| it.answers.retry_after_s = Some(9),
        |it| it.unreplaced.push("xx".to_owned()),
        |it| it.times.zone = "Europe/Berlin".to_owned(),
        |it| it.repeats.mark = true,
    ];
    for (place, change) in engineering.into_iter().enumerate() {
        assert!(with(change).is_ok(), "{place}");
    }
    let of = |contract: &mut Contract, canonical| {
        contract.parameters.iter().position(|one| one.canonical == canonical).unwrap()
    };
    let money: [fn(&mut Contract); 11] = [
        |it| it.parameters[1].required = true,
        |it| it.parameters[5].names.push("sum".to_owned()),
        |it| it.parameters[5].unit = crate::contract::Unit::Minor,
        |it| it.parameters.retain(|one| one.canonical != Canonical::Currency),
        |it| it.parameters[2].required = true,
        |it| it.statuses.ignore.clear(),
        |it| it.statuses.absent = Some(conversion::Status::Pending),
        |it| _ = it.goals.insert("1".to_owned(), "lead".to_owned()),
        |it| it.identity = crate::contract::Identity::Click,
        |it| it.repeats.amount = crate::contract::RepeatedAmount::Add,
        |it| it.txn_id_folded = true,
    ];
    let mut plain = plain();
    assert_eq!((of(&mut plain, Canonical::Revenue), of(&mut plain, Canonical::TxnId)), (5, 2));
    for (place, change) in money.into_iter().enumerate() {
        let detail = with(change).unwrap_err();
        assert!(detail.ends_with("signed off by finance"), "{place}: {detail}");
    }
}

#[test]
fn a_changed_draft_is_signed_anew_and_an_active_version_is_never_changed() {
    let mut world = world();
    let number = drafted(&mut world, renamed("cid")).number;
    sign(&mut world, number, &Role::ALL);
    let change = |number, contract: Option<Contract>, note: &str| Act::ChangeDraft {
        integration_id: ID,
        number,
        contract: contract.map(Box::new),
        note: Some(Some(note.to_owned())),
        cutover_on: Some(Some("2026-12-01".to_owned())),
    };
    let changed = version(world.act(change(number, Some(renamed("tid")), "Please.\nSoon.")));
    assert_eq!(word(&world, number), "draft");
    assert!(changed.sign_offs.is_empty() && changed.contract == renamed("tid"));
    assert_eq!(changed.note.as_deref(), Some("Please.\nSoon."));
    let kept = Act::ChangeDraft {
        integration_id: ID,
        number,
        contract: None,
        note: None,
        cutover_on: Some(None),
    };
    let kept = version(world.act(kept));
    assert_eq!((kept.note, kept.cutover_on), (changed.note, None));
    sign(&mut world, number, &Role::ALL);
    activate(&mut world, number, Sunset::Usual).unwrap();
    for (number, _) in [(1, "in sunset"), (2, "active")] {
        let acts = [
            change(number, None, "x"),
            Act::DiscardDraft { integration_id: ID, number },
            Act::SignOffContract {
                integration_id: ID,
                number,
                role: Role::Finance,
                name: "x".to_owned(),
            },
        ];
        for act in acts {
            assert_eq!(told(&world.attempt(&act).unwrap_err()), conflict("not_a_draft"));
        }
    }
    assert_eq!(
        told(&activate(&mut world, 2, Sunset::Usual).unwrap_err()),
        conflict("already_active")
    );
    assert_eq!(activate(&mut world, 9, Sunset::Usual).unwrap_err().kind, FailureKind::NotFound);
}

#[test]
fn what_was_signed_off_against_another_contract_is_looked_at_again() {
    let mut world = world();
    let mut minor = plain();
    minor.parameters[5].unit = crate::contract::Unit::Minor;
    let waiting = drafted(&mut world, renamed("cid")).number;
    sign(&mut world, waiting, &[Role::Operations, Role::Engineering]);
    assert_eq!(word(&world, waiting), "signed_off");
    world.agree(minor, Sunset::Usual);
    let failure = activate(&mut world, waiting, Sunset::Usual).unwrap_err();
    assert_eq!(told(&failure), conflict("not_signed_off"));
    assert!(failure.detail.ends_with("by finance"), "{}", failure.detail);
    sign(&mut world, waiting, &[Role::Finance]);
    activate(&mut world, waiting, Sunset::Usual).unwrap();
}

#[test]
fn a_draft_is_checked_and_discarded() {
    let mut world = world();
    let draft = |source, token: &str| Act::DraftContract {
        integration_id: ID,
        source,
        note: None,
        cutover_on: None,
        token: token.to_owned(),
    };
    let bad = contract("click_id! txn_id");
    let (mut faulty, mut unnamed, mut large) = (bad.clone(), bad.clone(), bad);
    faulty.parameters.remove(0);
    unnamed.parameters[1].names.clear();
    large.unreplaced = vec!["x".repeat(190); 50];
    for parameter in &mut large.parameters {
        parameter.allowed = vec!["y".repeat(1_000); 50];
    }
    for (source, parameter) in [
        (DraftSource::Contract(Box::new(faulty)), "contract.parameters"),
        (DraftSource::Contract(Box::new(unnamed)), "contract.parameters[1].names"),
        (DraftSource::Contract(Box::new(large)), "contract"),
        (DraftSource::Partner("nobody".to_owned()), "partner"),
        (DraftSource::Version(7), "from"),
    ] {
        let failure = world.attempt(&draft(source, "t")).unwrap_err();
        assert_eq!(told(&failure), invalid(parameter), "{}", failure.detail);
    }
    let own = version(world.act(draft(DraftSource::Partner(OWN_PARTNER.to_owned()), "t")));
    assert_eq!((own.number, own.base), (2, Some(1)));
    let taken = world.attempt(&draft(DraftSource::Version(1), "t")).unwrap_err();
    assert_eq!(told(&taken), conflict("in_use"));
    let copy = version(world.act(draft(DraftSource::Version(2), "t2")));
    assert_eq!((copy.number, copy.base, copy.contract), (3, Some(2), own.contract));
    world.act(Act::DiscardDraft { integration_id: ID, number: 3 });
    assert_eq!(word(&world, 3), "discarded");
    assert_eq!(told(&activate(&mut world, 3, Sunset::Usual).unwrap_err()), conflict("not_a_draft"));
    assert_eq!(drafted(&mut world, plain()).number, 4, "numbers are not given twice");
    let note = |note: &str, date: &str| Act::ChangeDraft {
        integration_id: ID,
        number: 4,
        contract: None,
        note: Some(Some(note.to_owned())),
        cutover_on: Some(Some(date.to_owned())),
    };
    for (act, parameter) in [
        (note("", "2026-12-01"), "note"),
        (note("a\u{7}", "2026-12-01"), "note"),
        (note("a", "2026-12-32"), "cutover_on"),
        (note("a", "2026-12-01T00:00"), "cutover_on"),
    ] {
        assert_eq!(told(&world.attempt(&act).unwrap_err()), invalid(parameter));
    }
}

#[test]
fn there_is_a_limit_to_drafts_versions_and_sunsets() {
    let mut world = world();
    for _ in 0..DRAFTS_MAX {
        drafted(&mut world, plain());
    }
    let one_more = |token: &str| Act::DraftContract {
        integration_id: ID,
        source: DraftSource::Version(1),
        note: None,
        cutover_on: None,
        token: token.to_owned(),
    };
    let failure = world.attempt(&one_more("more")).unwrap_err();
    assert_eq!(told(&failure), conflict("too_many_drafts"));
    let drafts = u32::try_from(DRAFTS_MAX).unwrap();
    for number in 2..drafts + 2 {
        sign(&mut world, number, &Role::ALL);
        activate(&mut world, number, Sunset::Usual).unwrap();
    }
    assert_eq!(world.setup.integration(ID).unwrap().earlier.len(), EARLIER_MAX);
    let number = drafted(&mut world, plain()).number;
    sign(&mut world, number, &Role::ALL);
    let failure = activate(&mut world, number, Sunset::Usual).unwrap_err();
    assert_eq!(told(&failure), conflict("too_many_in_sunset"));
    world.act(Act::RetireContract { integration_id: ID, number: 3 });
    activate(&mut world, number, Sunset::Usual).unwrap();
    let earlier = &world.setup.integration(ID).unwrap().earlier;
    assert_eq!(earlier.len(), EARLIER_MAX);
    assert!(earlier.iter().all(|one| one.version != 3), "the retired one made room");
    while world.setup.contracts_of(ID).count() < VERSIONS_MAX as usize {
        let number = drafted(&mut world, plain()).number;
        world.act(Act::DiscardDraft { integration_id: ID, number });
    }
    let failure = world.attempt(&one_more("last")).unwrap_err();
    assert_eq!(told(&failure), conflict("too_many_versions"));
}

#[test]
fn a_sunset_is_as_long_as_it_is_said_to_be() {
    for (sunset, parameter) in [
        (Sunset::Days(731), "sunset_days"),
        (Sunset::Until(Timestamp::UNIX_EPOCH), "sunset_until"),
        (Sunset::Until(Timestamp::MAX), "sunset_until"),
    ] {
        let mut world = world();
        let number = drafted(&mut world, plain()).number;
        sign(&mut world, number, &Role::ALL);
        assert_eq!(told(&activate(&mut world, number, sunset).unwrap_err()), invalid(parameter));
    }
    for (sunset, now) in [(Sunset::Days(0), "retired"), (Sunset::Days(1), "sunset")] {
        let mut world = world();
        world.agree(plain(), sunset);
        assert_eq!(word(&world, 1), now);
    }
}

#[test]
fn names_in_sunset_are_read_and_retired_ones_refused() {
    let mut world = world();
    world.click("a", LINK);
    world.agree(renamed("cid"), Sunset::Days(1));
    let until = world.setup.contract(ID, 1).unwrap().status;
    world.check(
        "
        ?cid=@a&txn_id=1&revenue=1        -> recorded approved 1/1.75
        ?click_id=@a&txn_id=2&revenue=1   -> recorded approved 1/1.75 !contract_in_sunset
        ?click_id=@a&txn_id=1&revenue=1   -> duplicate already_processed !contract_in_sunset
        ?cid=@a&click_id=@a&txn_id=3      -> recorded approved 0/1.75 !amount_missing
        /postback?click_id=@a&txn_id=4    -> recorded approved 0/1.75 !amount_missing !contract_in_sunset
        ",
    );
    let hit = world.hit("?click_id=@a&txn_id=5&revenue=1");
    let crate::contract::version::Status::Sunset { until } = until else { panic!("{until:?}") };
    let read = |world: &World, at| {
        let read =
            crate::ledger::read(&world.setup, &crate::ledger::tests::world::keyring(), &hit, at);
        (read.contract_ref, read.reading.result.map(|it| it.flags.has(Flag::ContractInSunset)))
    };
    let version = |version| Some(ContractRef::Integration { id: ID, version });
    assert_eq!(read(&world, until.plus_us(-1)), (version(1), Ok(true)));
    let (by, result) = read(&world, until);
    assert_eq!((by, result.unwrap_err().reason), (version(2), Reason::ContractRetired));
    world.now = until;
    world.check(
        "
        ?click_id=@a&txn_id=5&revenue=1           -> refused contract_retired click_id
        /postback?click_id=@a&txn_id=5            -> refused contract_retired click_id
        ?click_id=@a&txn_id={x}                   -> refused macro_not_replaced txn_id
        ?click_id=@a&cid=@a&txn_id=5&revenue=1    -> recorded approved 1/1.75
        ?click_id=&cid=@a&txn_id=6&revenue=1      -> recorded approved 1/1.75
        ?cid=@a&txn_id=7&revenue=1                -> recorded approved 1/1.75
        ",
    );
    let again = read(&world, until.plus_us(-1));
    assert_eq!(again, (version(1), Ok(true)), "as of the hit, whenever it is asked");
}

#[test]
fn a_retired_label_costs_no_conversion_and_retired_money_says_what_it_is_called() {
    let mut world =
        World::new(contract("click_id! txn_id revenue=payout sub1=s sale_amount"), LEAD);
    world.click("a", LINK);
    let new = contract("click_id! txn_id revenue=sum sub1=source");
    world.agree(new, Sunset::Days(0));
    world.check(
        "
        ?click_id=@a&txn_id=1&sum=1&s=x             -> recorded approved 1/1.75
        ?click_id=@a&txn_id=2&payout=1              -> refused contract_retired payout
        ?click_id=@a&txn_id=2&payout=1&sum=         -> refused contract_retired payout
        ?click_id=@a&txn_id=2&sum=1&payout=1        -> recorded approved 1/1.75
        ?click_id=@a&txn_id=3&sum=1&sale_amount=1   -> recorded approved 1/1.75
        ",
    );
    let hit = world.hit("?click_id=@a&txn_id=9&payout=1");
    let detail = world.receive(&hit).detail.unwrap();
    let wanted = "it is called `sum` now";
    assert!(detail.contains(wanted) && detail.contains("contract 2.1"), "{detail}");
}

#[test]
fn a_retired_header_is_told_from_a_parameter_of_its_name() {
    let mut with_header = contract("click_id! txn_id=x-order");
    with_header.parameters[1].in_header = true;
    let mut world = World::new(with_header, LEAD);
    world.click("a", LINK);
    world.agree(contract("click_id! txn_id"), Sunset::Days(0));
    let sent = |world: &mut World, query: &str, header: Option<&str>| {
        let mut hit = world.hit(query);
        hit.headers =
            header.map(|text| ("x-order".to_owned(), text.to_owned())).into_iter().collect();
        world.receive(&hit).reason
    };
    let retired = Some(Reason::ContractRetired);
    assert_eq!(sent(&mut world, "?click_id=@a", Some("1")), retired);
    assert_eq!(sent(&mut world, "?click_id=@a&txn_id=1", Some("1")), None);
    assert_eq!(sent(&mut world, "?click_id=@a&txn_id=2&x-order=2", None), None);
}

#[test]
fn a_path_of_the_catalogue_finds_clicks_under_names_of_any_version() {
    let mut world = world();
    let mut it = partner("it", plain());
    it.paths = vec!["/conversion".to_owned()];
    world.act(Act::LoadCatalogue { partners: vec![it], key: "unused".to_owned() });
    world.agree(renamed("cid"), Sunset::Days(1));
    world.check(
        "
        /conversion?cid=@a&txn_id=1&revenue=1      -> recorded approved 1/1.75
        /conversion?click_id=@a&txn_id=2&revenue=1 -> recorded approved 1/1.75 !contract_in_sunset
        wait 1d
        /conversion?click_id=@a&txn_id=3&revenue=1 -> refused contract_retired click_id
        ",
    );
}

#[test]
fn rolling_back_is_activating_the_earlier_one() {
    let mut world = world();
    world.click("a", LINK);
    world.agree(renamed("cid"), Sunset::Days(0));
    world.check("?click_id=@a&txn_id=1&revenue=1 -> refused contract_retired click_id");
    activate(&mut world, 1, Sunset::Days(1)).unwrap();
    assert_eq!(words(&world), ["active", "sunset"]);
    world.check(
        "
        ?click_id=@a&txn_id=1&revenue=1 -> recorded approved 1/1.75
        ?cid=@a&txn_id=2&revenue=1      -> recorded approved 1/1.75 !contract_in_sunset
        ",
    );
    let integration = world.setup.integration(ID).unwrap();
    assert_eq!(integration.earlier.iter().map(|one| one.version).collect::<Vec<_>>(), [2]);
    activate(&mut world, 2, Sunset::Days(1)).unwrap();
    let integration = world.setup.integration(ID).unwrap();
    assert_eq!(integration.version, 2);
    assert_eq!(integration.earlier.iter().map(|one| one.version).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_sunset_can_be_ended_and_the_active_one_cannot() {
    let mut world = world();
    world.click("a", LINK);
    world.agree(renamed("cid"), Sunset::Days(9));
    let retire = |number| Act::RetireContract { integration_id: ID, number };
    assert_eq!(told(&world.attempt(&retire(2)).unwrap_err()), conflict("not_in_sunset"));
    world.check(
        "?click_id=@a&txn_id=1 -> recorded approved 0/1.75 !amount_missing !contract_in_sunset",
    );
    world.act(retire(1));
    assert_eq!(word(&world, 1), "retired");
    world.check("?click_id=@a&txn_id=2 -> refused contract_retired click_id");
    assert_eq!(told(&world.attempt(&retire(1)).unwrap_err()), conflict("not_in_sunset"));
}

#[test]
fn nearer_verification_is_read_as_its_sender_speaks() {
    let mut guarded = contract("click_id! txn_id token");
    guarded.verification.token = Some(Canonical::Token);
    let mut world = World::new(guarded, LEAD);
    world.set_token(ID, "secret");
    world.click("a", LINK);
    let mut renamed = contract("click_id! txn_id token=secret_key");
    renamed.verification.token = Some(Canonical::Token);
    world.agree(renamed, Sunset::Days(1));
    world.check(
        "
        ?click_id=@a&txn_id=1&token=secret      -> recorded approved 0/1.75 !amount_missing !contract_in_sunset
        ?click_id=@a&txn_id=2&secret_key=secret -> recorded approved 0/1.75 !amount_missing
        ?click_id=@a&txn_id=3&token=wrong       -> refused signature_mismatch token
        /postback/global?click_id=@a&txn_id=4&token=secret      -> recorded approved 0/1.75 !amount_missing
        /postback/global?click_id=@a&txn_id=5&secret_key=secret -> recorded approved 0/1.75 !amount_missing
        /postback/global?click_id=@a&txn_id=6   -> refused signature_mismatch secret_key
        wait 1d
        ?click_id=@a&txn_id=7&token=secret      -> refused contract_retired token
        ",
    );
}

#[test]
fn what_is_archived_has_its_contracts_as_they_were() {
    let mut world = world();
    world.integration(Scope::Global, "it", "spare", "");
    let id = world.setup.integration_by_key("spare").unwrap().id;
    world.act(Act::ArchiveIntegration { id });
    let act = Act::DraftContract {
        integration_id: id,
        source: DraftSource::Version(1),
        note: None,
        cutover_on: None,
        token: "t".to_owned(),
    };
    assert_eq!(told(&world.attempt(&act).unwrap_err()), conflict("archived"));
    assert_eq!(
        told(&activate(&mut world, 1, Sunset::Usual).unwrap_err()),
        conflict("already_active")
    );
    let act = Act::ActivateContract { integration_id: id, number: 1, sunset: Sunset::Usual };
    assert_eq!(told(&world.attempt(&act).unwrap_err()), conflict("archived"));
}
