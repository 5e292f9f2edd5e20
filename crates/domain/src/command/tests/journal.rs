//! What is written into the journal and the ledger comes back as it was.

use super::*;
use crate::destination::Period;
use crate::id::DestinationId;
use crate::settings::{Settings, Unverified};
use crate::setup::Setup;
use crate::sub_labels::SubLabels;

fn named() -> BTreeMap<String, String> {
    BTreeMap::from([("sub1".to_owned(), "Site".to_owned())])
}

fn more_acts() -> [Act; 5] {
    let text = || "a text".to_owned();
    [
        Act::ChangeConversionStatus {
            id: ConversionId(u64::MAX),
            to: conversion::Status::Rejected,
            reason: text(),
        },
        Act::SetSubLabels { publisher_id: None, labels: named() },
        Act::SetSettings { settings: Settings { unverified: Unverified::Pending } },
        Act::RepairTxnId { id: ConversionId(1), txn_id: text(), reason: text() },
        Act::MergeConversion { id: ConversionId(1), into: ConversionId(u64::MAX), reason: text() },
    ]
}

/// The journal is read for ever: what was written comes back as it was, nothing told from `null`.
#[test]
fn every_command_comes_back_from_the_journal() {
    let mut names = Vec::new();
    let token = BTreeMap::from([
        ("token".to_owned(), Some(Secret::new("t".to_owned()))),
        ("signature".to_owned(), None),
    ]);
    let id = OWN_ID;
    let text = || "x".to_owned();
    let scope = |scope| Act::CreateIntegration(Box::new(integration(scope, "k")));
    let acts = vec![
        Act::CreateAdvertiser { name: text() },
        Act::ChangeAdvertiser { id: AdvertiserId(u32::MAX), name: text() },
        Act::ArchiveAdvertiser { id: AdvertiserId(1) },
        Act::CreatePublisher { name: text() },
        Act::ChangePublisher { id: PublisherId(1), name: text() },
        Act::ArchivePublisher { id: PublisherId(1) },
        Act::CreateLink {
            campaign_id: CAMPAIGN,
            publisher_id: PublisherId(1),
            token: text(),
            landing_url: Some(text()),
            test: true,
        },
        Act::ChangeLink { id: LINK, landing_url: None },
        Act::ArchiveLink { id: LINK },
        scope(Scope::Global),
        scope(Scope::Advertiser { advertiser_id: AdvertiserId(1) }),
        scope(Scope::Campaign { campaign_id: CAMPAIGN }),
        Act::ChangeIntegration { id, landing_params: None, secrets: None, old_secrets_until: None },
        Act::ChangeIntegration {
            id,
            landing_params: Some(None),
            secrets: Some(BTreeMap::new()),
            old_secrets_until: None,
        },
        Act::ChangeIntegration {
            id,
            landing_params: Some(Some(text())),
            secrets: Some(token),
            old_secrets_until: None,
        },
        Act::ArchiveIntegration { id },
        Act::SetMacros { id, macros: BTreeMap::from([(Canonical::Sub(1), text())]) },
        Act::MakeTestClick { link_id: LINK, click_id: ClickId::from_bytes([0xFF; 16]) },
        Act::LoadCatalogue { partners: vec![partner("it", plain())], key: text() },
        Act::Quarantine { position: Position(u64::MAX) },
        Act::Redecide { position: Position(0) },
        Act::Replay { id, hits: vec![Position(0), Position(u64::MAX)], found: 9, overtaken: 0 },
        Act::SkipIds,
    ];
    let acts = acts.into_iter().chain(campaign_acts()).chain(contract_acts());
    for act in acts.chain(destination_acts()).chain(more_acts()) {
        names.push(act.name());
        let json = serde_json::to_value(&act).unwrap();
        assert_eq!(json["act"], act.name());
        let idempotency = Some(Idempotency { key: text(), request: text() });
        for idempotency in [None, idempotency] {
            let command = Command { actor: text(), idempotency, act: act.clone() };
            let record = Record::Command(Box::new(command));
            let payload = record::write(&record);
            let kind = record.kind() as u8;
            let read = record::read(kind, record::Kind::Command.format(), record::RULES, &payload)
                .unwrap();
            assert_eq!(read, record);
        }
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 39, "every act is here: {names:?}");
}

fn campaign_acts() -> Vec<Act> {
    let text = || "x".to_owned();
    let mut full = campaign("It", goals(LEAD));
    full.kind = Some(Kind::Cps);
    full.fallback_url = Some(text());
    full.time_zone = Some(text());
    full.integration_id = Some(OWN_ID);
    let terms = r#"[{"key":"a","revenue":{"percent":"12.5"},"payout":{"from":"postback","default":"0.000001"}}]"#;
    let changes = CampaignChanges { goals: Some(goals(terms)), ..CampaignChanges::default() };
    vec![
        Act::CreateCampaign(Box::new(full)),
        Act::CreateCampaign(Box::new(campaign("It", Vec::new()))),
        Act::ChangeCampaign { id: CAMPAIGN, changes: Box::new(changes) },
        Act::ChangeCampaign { id: CAMPAIGN, changes: Box::default() },
        Act::ArchiveCampaign { id: CAMPAIGN },
        Act::SetCampaignStatus { id: CAMPAIGN, to: Status::PendingApproval, key: text() },
        Act::AddGoal { id: CAMPAIGN, goal: goals(LEAD).remove(0) },
    ]
}

fn contract_acts() -> Vec<Act> {
    let (id, text) = (OWN_ID, || "x".to_owned());
    vec![
        Act::DraftContract {
            integration_id: id,
            source: DraftSource::Contract(Box::new(plain())),
            note: Some(text()),
            cutover_on: Some(text()),
            token: text(),
        },
        Act::DraftContract {
            integration_id: id,
            source: DraftSource::Partner(text()),
            note: None,
            cutover_on: None,
            token: text(),
        },
        Act::ChangeDraft {
            integration_id: id,
            number: 2,
            contract: Some(Box::new(plain())),
            note: Some(None),
            cutover_on: None,
        },
        Act::ChangeDraft {
            integration_id: id,
            number: 2,
            contract: None,
            note: None,
            cutover_on: Some(Some(text())),
        },
        Act::DiscardDraft { integration_id: id, number: u32::MAX },
        Act::SignOffContract { integration_id: id, number: 2, role: Role::Finance, name: text() },
        Act::ActivateContract { integration_id: id, number: 2, sunset: Sunset::Usual },
        Act::ActivateContract { integration_id: id, number: 2, sunset: Sunset::Days(0) },
        Act::ActivateContract {
            integration_id: id,
            number: 2,
            sunset: Sunset::Until(Timestamp::from_us(1)),
        },
        Act::RetireContract { integration_id: id, number: 1 },
    ]
}

fn destination_acts() -> Vec<Act> {
    let id = DestinationId(1);
    let outbound = r#"{"own":{"url":"https://t.example/?{click_id}","method":"POST"}}"#;
    let create = |owner: &str, outbound: &str| {
        let of = format!(
            r#"{{"act":"create_destination","owner":{owner},"outbound":{outbound},
                "account":{{"a":"b"}},"secrets":{{"signing":"t"}},
                "rules":{{"delay_s":5,"statuses":["approved","reversed"]}},"pace":{{"concurrency":2}}}}"#
        );
        serde_json::from_str(&of).unwrap()
    };
    let period = Period { from: Timestamp::from_us(1), to: Timestamp::MAX, after: None };
    let after = Some(ConversionId(u64::MAX));
    vec![
        create(r#"{"level":"publisher","publisher_id":1}"#, outbound),
        create(r#"{"level":"link","link_id":1}"#, r#"{"partner":"p"}"#),
        Act::ChangeDestination { id, changes: Box::default() },
        Act::ArchiveDestination { id },
        Act::BackfillDestination { id, period },
        Act::BackfillDestination { id, period: Period { after, ..period } },
    ]
}

#[test]
fn outcomes_and_changes_come_back_from_the_ledger() {
    let mut world = world();
    world.agree(contract("click_id!=cid"), Sunset::Days(1));
    let done = Outcome::Done(Box::new(world.act(Act::ArchiveLink { id: LINK })));
    let failed = Outcome::Failed(world.attempt(&Act::ArchiveLink { id: LinkId(9) }).unwrap_err());
    let test_click =
        Answer::TestClick { click_id: ClickId::from_bytes([7; 16]), link_id: LinkId(u32::MAX) };
    let other = [Answer::Conversion(ConversionId(7)), Answer::Hit(Position(8)), Answer::Nothing];
    let answers = other.into_iter().chain([test_click]);
    let outcomes = answers.map(|answer| Outcome::Done(Box::new(answer))).chain([done, failed]);
    for outcome in outcomes {
        let json = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome, "{json}");
    }
    let setup = &world.setup;
    let changes = [
        Change::Advertiser(setup.advertiser(AdvertiserId(1)).unwrap().clone()),
        Change::Publisher(setup.publisher(PublisherId(1)).unwrap().clone()),
        Change::Campaign(setup.campaign(CAMPAIGN).unwrap().clone()),
        Change::Link(setup.link(LINK).unwrap().clone()),
        Change::Integration(setup.integration(OWN_ID).unwrap().clone()),
        Change::Contract(setup.contract(OWN_ID, 1).unwrap().clone()),
        Change::Contract(setup.contract(OWN_ID, 2).unwrap().clone()),
        Change::Partner(setup.partner("it").unwrap().clone()),
        Change::SubLabels(SubLabels { publisher_id: Some(PublisherId(1)), labels: named() }),
        Change::Settings(Settings { unverified: Unverified::Refuse }),
        Change::IdFloor(7),
    ];
    for change in changes {
        let json = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change, "{json}");
    }
}

#[test]
fn what_happens_after_a_restore_is_told_from_what_happened_before() {
    let mut world = world();
    let before = world.now;
    assert_eq!(world.setup.restored_at(before), None);
    let mut restored = Vec::new();
    for days in [1, 2] {
        world.now = before.plus_days(days);
        world.act(Act::SkipIds);
        restored.push(world.setup.restored_at(world.now).unwrap());
    }
    let again = |at: Timestamp| {
        let mut again = Setup::default();
        world.setup.in_force().for_each(|(since, change)| again.put(since, change));
        assert_eq!(again.restored_at(at), world.setup.restored_at(at));
        again.restored_at(at)
    };
    assert!(before.plus_days(1) <= restored[0] && before.plus_days(2) <= restored[1]);
    assert_eq!(again(before), None);
    assert_eq!(again(restored[1].plus_us(-1)), Some(restored[0]));
    assert_eq!(again(restored[1]), Some(restored[1]));
}

/// A restart builds the setup from its changes: the same ones make the same setup.
#[test]
fn the_same_changes_make_the_same_setup() {
    let mut world = world();
    world.integration(Scope::Global, "it", "second", "");
    set(&mut world, Status::Paused).unwrap();
    world.agree(contract("click_id!=cid"), Sunset::Days(1));
    world.act(Act::SetSubLabels { publisher_id: None, labels: named() });
    world.act(Act::SetSettings { settings: Settings { unverified: Unverified::Pending } });
    let setup = &world.setup;
    let mut again = crate::setup::Setup::default();
    let mut changes: Vec<(crate::time::Timestamp, Change)> = Vec::new();
    macro_rules! collect {
        ($($nouns:ident $make:expr;)*) => {$(
            for history in setup.$nouns.values() {
                changes.extend(history.versions().map(|(at, one)| (at, $make(one.clone()))));
            }
        )*};
    }
    collect! {
        advertisers Change::Advertiser;
        publishers Change::Publisher;
        campaigns Change::Campaign;
        links Change::Link;
        contracts Change::Contract;
        integrations Change::Integration;
        partners Change::Partner;
        sub_labels Change::SubLabels;
        settings Change::Settings;
    }
    changes.sort_by_key(|(at, _)| *at);
    for (at, change) in changes {
        again.put(at, change);
    }
    assert_eq!(&again, setup);
}

/// A snapshot has what is in force, without what was before.
#[test]
fn what_is_in_force_makes_the_same_setup_without_its_history() {
    let mut world = world();
    world.agree(contract("click_id!=cid"), Sunset::Days(1));
    drafted(&mut world, plain());
    let setup = &world.setup;
    let mut again = crate::setup::Setup::default();
    for (at, change) in setup.in_force() {
        again.put(at, change);
    }
    assert_eq!(again.in_force().collect::<Vec<_>>(), setup.in_force().collect::<Vec<_>>());
    assert!(again.latest().is_click_id_name("click_id"), "of the contract in its sunset");
    for version in setup.contracts_of(OWN_ID).map(crate::setup::History::latest) {
        assert_eq!(again.contract_by_token(&version.token), Some(version));
    }
}
