//! What must hold of commands: what each does to the setup, and what it refuses.

mod campaigns;
mod contracts;
mod journal;
mod secrets;
mod sub_labels;

use super::{
    Act, Answer, By, CampaignChanges, Command, DraftSource, Failure, FailureKind, IDS_SKIPPED,
    Idempotency, NewCampaign, NewIntegration, OWN_PARTNER, Outcome, Sunset,
};
use crate::campaign::{Campaign, GOALS_MAX, Kind, NAME_BYTES_MAX, Status, Term, WINDOW_DAYS_MAX};
use crate::click_id::ClickId;
use crate::contract::{Canonical, Contract, Role, Version};
use crate::conversion;
use crate::id::{
    AdvertiserId, CampaignId, ConversionId, IntegrationId, LinkId, Position, PublisherId,
};
use crate::integration::Scope;
use crate::ledger::tests::world::{
    CAMPAIGN, LEAD, LINK, OWN_ID, World, campaign, contract, goals, partner, plain,
};
use crate::money::Micros;
use crate::record::{self, Record};
use crate::secret::Secret;
use crate::setup::Change;
use crate::time::Timestamp;
use std::collections::BTreeMap;

const BY: By<'_> = By { actor: "tester", at: Timestamp::UNIX_EPOCH };

fn world() -> World {
    World::new(plain(), LEAD)
}

/// The setup before anything was made but the catalogue, an advertiser and a publisher.
fn fresh() -> World {
    let mut world = World::empty(plain());
    world.act(Act::CreateAdvertiser { name: "Shop".to_owned() });
    world.act(Act::CreatePublisher { name: "Blog".to_owned() });
    world
}

fn create(world: &mut World, new: NewCampaign) -> Result<Campaign, Failure> {
    world.attempt(&Act::CreateCampaign(Box::new(new))).map(|answer| match answer {
        Answer::Campaign(campaign) => campaign,
        other => panic!("{other:?}"),
    })
}

fn set(world: &mut World, to: Status) -> Result<Answer, Failure> {
    world.attempt(&Act::SetCampaignStatus { id: CAMPAIGN, to, key: "own".to_owned() })
}

fn change(world: &mut World, changes: CampaignChanges) -> Result<Answer, Failure> {
    world.attempt(&Act::ChangeCampaign { id: CAMPAIGN, changes: Box::new(changes) })
}

/// A draft of the campaign's own contract.
fn drafted(world: &mut World, contract: Contract) -> Version {
    let token = format!("page-{}", world.setup.contracts.len());
    let act = Act::DraftContract {
        integration_id: OWN_ID,
        source: DraftSource::Contract(Box::new(contract)),
        note: None,
        cutover_on: None,
        token,
    };
    version(world.act(act))
}

fn version(answer: Answer) -> Version {
    match answer {
        Answer::Contract(version) => *version,
        other => panic!("{other:?}"),
    }
}

fn sign(world: &mut World, number: u32, roles: &[Role]) -> Version {
    let sign = |world: &mut World, role| {
        let name = "A. Person".to_owned();
        version(world.act(Act::SignOffContract { integration_id: OWN_ID, number, role, name }))
    };
    roles.iter().map(|role| sign(world, *role)).last().expect("somebody signs")
}

/// Kind, code and parameter: what a caller acts on.
fn told(failure: &Failure) -> (FailureKind, &str, &str) {
    assert!(!failure.detail.is_empty());
    (failure.kind, &failure.code, failure.parameter.as_deref().unwrap_or_default())
}

fn invalid(parameter: &str) -> (FailureKind, &str, &str) {
    (FailureKind::Invalid, "invalid_parameter", parameter)
}

fn conflict(code: &str) -> (FailureKind, &str, &str) {
    (FailureKind::Conflict, code, "")
}

fn conflict_of<'a>(code: &'a str, parameter: &'a str) -> (FailureKind, &'a str, &'a str) {
    (FailureKind::Conflict, code, parameter)
}

#[test]
fn ids_are_counters_and_none_is_given_twice() {
    let mut world = World::empty(plain());
    for number in 1..=3 {
        let answer = world.act(Act::CreateAdvertiser { name: " Shop ".to_owned() });
        let Answer::Advertiser(advertiser) = answer else { panic!() };
        assert_eq!((advertiser.id, &*advertiser.name), (AdvertiserId(number), "Shop"));
    }
    world.act(Act::SkipIds);
    let answer = world.act(Act::CreatePublisher { name: "Blog".to_owned() });
    let Answer::Publisher(publisher) = answer else { panic!() };
    assert_eq!(publisher.id, PublisherId(3 + IDS_SKIPPED + 1));
}

#[test]
fn a_name_is_short_plain_text() {
    let mut world = World::empty(plain());
    for name in ["", "  ", "a\nb", "a\0b", &"x".repeat(NAME_BYTES_MAX + 1)] {
        let name = name.to_owned();
        for act in [Act::CreateAdvertiser { name: name.clone() }, Act::CreatePublisher { name }] {
            assert_eq!(told(&world.attempt(&act).unwrap_err()), invalid("name"));
        }
    }
    assert!(world.setup.advertisers.is_empty());
    world.act(Act::CreateAdvertiser { name: "x".repeat(NAME_BYTES_MAX) });
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    let mut world = fresh();
    let (id, name) = (9, "x".to_owned());
    let goal = goals(LEAD).remove(0);
    let acts = [
        Act::ChangeAdvertiser { id: AdvertiserId(id), name: name.clone() },
        Act::ArchiveAdvertiser { id: AdvertiserId(id) },
        Act::ChangePublisher { id: PublisherId(id), name },
        Act::ArchivePublisher { id: PublisherId(id) },
        Act::ChangeCampaign { id: CampaignId(id), changes: Box::default() },
        Act::ArchiveCampaign { id: CampaignId(id) },
        Act::SetCampaignStatus { id: CampaignId(id), to: Status::Active, key: String::new() },
        Act::AddGoal { id: CampaignId(id), goal },
        Act::ChangeLink { id: LinkId(id), landing_url: None },
        Act::ArchiveLink { id: LinkId(id) },
        Act::ChangeIntegration {
            id: IntegrationId(id),
            landing_params: None,
            secrets: None,
            old_secrets_until: None,
        },
        Act::ArchiveIntegration { id: IntegrationId(id) },
    ];
    for act in acts {
        let failure = world.attempt(&act).unwrap_err();
        assert_eq!(told(&failure), (FailureKind::NotFound, "not_found", ""), "{act:?}");
    }
}

#[test]
fn approval_makes_the_campaigns_own_integration_once() {
    let mut world = fresh();
    create(&mut world, campaign("It", goals(LEAD))).unwrap();
    set(&mut world, Status::PendingApproval).unwrap();
    let early = Act::CreateIntegration(Box::new(integration(
        Scope::Campaign { campaign_id: CAMPAIGN },
        "early",
    )));
    assert_eq!(
        told(&world.attempt(&early).unwrap_err()),
        conflict_of("campaign_not_approved", "campaign_id")
    );
    set(&mut world, Status::Approved).unwrap();
    let own = world.setup.campaign(CAMPAIGN).unwrap().integration_id.unwrap();
    let own = world.setup.integration(own).unwrap();
    assert_eq!(own.scope, Scope::Campaign { campaign_id: CAMPAIGN });
    assert_eq!((&*own.key, &*own.partner, own.version), ("own", "it", 1));
    let made = world.setup.integrations.len();
    set(&mut world, Status::Active).unwrap();
    assert_eq!(world.setup.integrations.len(), made);
}

fn integration(scope: Scope, key: &str) -> NewIntegration {
    NewIntegration {
        scope,
        partner: "it".to_owned(),
        key: key.to_owned(),
        landing_params: None,
        secrets: BTreeMap::new(),
    }
}

#[test]
fn what_is_archived_is_not_used_again() {
    let mut world = world();
    let failure = world.attempt(&Act::ArchiveCampaign { id: CAMPAIGN }).unwrap_err();
    assert_eq!(told(&failure), conflict("in_use"), "it is active");
    set(&mut world, Status::Paused).unwrap();
    world.act(Act::ArchiveCampaign { id: CAMPAIGN });
    assert_eq!(told(&set(&mut world, Status::Active).unwrap_err()), conflict("archived"));
    let link = |campaign_id, publisher_id| Act::CreateLink {
        campaign_id,
        publisher_id,
        token: "new".to_owned(),
        landing_url: None,
        test: false,
    };
    let failure = world.attempt(&link(CAMPAIGN, PublisherId(1))).unwrap_err();
    assert_eq!(told(&failure), invalid("campaign_id"));
    create(&mut world, campaign("Next", goals(LEAD))).unwrap();
    world.act(Act::ArchivePublisher { id: PublisherId(1) });
    let failure = world.attempt(&link(CampaignId(2), PublisherId(1))).unwrap_err();
    assert_eq!(told(&failure), invalid("publisher_id"));
    let failure = world.attempt(&link(CampaignId(9), PublisherId(1))).unwrap_err();
    assert_eq!(told(&failure), invalid("campaign_id"));
}

#[test]
fn what_is_archived_stays_as_it_is() {
    let mut world = world();
    world.integration(Scope::Global, "it", "spare", "");
    let spare = world.setup.integration_by_key("spare").unwrap().id;
    set(&mut world, Status::Paused).unwrap();
    world.act(Act::ArchiveCampaign { id: CAMPAIGN });
    let click_id = ClickId::from_bytes([1; 16]);
    let by_hand = Act::MakeTestClick { link_id: LINK, click_id };
    assert_eq!(told(&world.attempt(&by_hand).unwrap_err()), conflict("archived"));
    world.act(Act::ArchiveLink { id: LINK });
    world.act(Act::ArchiveIntegration { id: spare });
    world.act(Act::ArchiveAdvertiser { id: AdvertiserId(1) });
    world.act(Act::ArchivePublisher { id: PublisherId(1) });
    let name = "New".to_owned();
    let goal = goals(r#"[{"key":"more"}]"#).remove(0);
    let acts = [
        Act::ChangeAdvertiser { id: AdvertiserId(1), name: name.clone() },
        Act::ChangePublisher { id: PublisherId(1), name },
        Act::ChangeCampaign { id: CAMPAIGN, changes: Box::default() },
        Act::AddGoal { id: CAMPAIGN, goal },
        Act::ChangeLink { id: LINK, landing_url: None },
        Act::ChangeIntegration {
            id: spare,
            landing_params: None,
            secrets: None,
            old_secrets_until: None,
        },
    ];
    for act in acts {
        assert_eq!(told(&world.attempt(&act).unwrap_err()), conflict("archived"), "{act:?}");
    }
    let scope = Scope::Campaign { campaign_id: CAMPAIGN };
    let act = Act::CreateIntegration(Box::new(integration(scope, "more")));
    assert_eq!(told(&world.attempt(&act).unwrap_err()), invalid("campaign_id"));
}

#[test]
fn a_test_link_and_a_test_click_wait_for_approval() {
    let mut world = fresh();
    create(&mut world, campaign("It", goals(LEAD))).unwrap();
    let link = |test| Act::CreateLink {
        campaign_id: CAMPAIGN,
        publisher_id: PublisherId(1),
        token: format!("t{test}"),
        landing_url: None,
        test,
    };
    assert_eq!(
        told(&world.attempt(&link(true)).unwrap_err()),
        conflict_of("campaign_not_approved", "test")
    );
    world.act(link(false));
    let click_id = ClickId::from_bytes([1; 16]);
    let click = Act::MakeTestClick { link_id: LINK, click_id };
    assert_eq!(
        told(&world.attempt(&click).unwrap_err()),
        conflict_of("campaign_not_approved", "link_id")
    );
    set(&mut world, Status::PendingApproval).unwrap();
    set(&mut world, Status::Approved).unwrap();
    world.act(link(true));
    assert_eq!(world.act(click.clone()), Answer::TestClick { click_id, link_id: LINK });
    world.act(Act::ArchiveLink { id: LINK });
    assert_eq!(told(&world.attempt(&click).unwrap_err()), invalid("link_id"));
}

#[test]
fn tokens_and_keys_are_one_things_alone() {
    let mut world = world();
    let link = Act::CreateLink {
        campaign_id: CAMPAIGN,
        publisher_id: PublisherId(1),
        token: "link-0".to_owned(),
        landing_url: None,
        test: false,
    };
    assert_eq!(told(&world.attempt(&link).unwrap_err()), conflict("in_use"));
    let same = Act::CreateIntegration(Box::new(integration(Scope::Global, "own")));
    assert_eq!(told(&world.attempt(&same).unwrap_err()), conflict("in_use"));
    assert_eq!(world.setup.link_by_token("link-0").unwrap().id, LINK);
    assert_eq!(world.setup.integration_by_key("own").unwrap().id, OWN_ID);
}

#[test]
fn a_fresh_server_gets_one_global_integration_of_our_own() {
    let mut world = World::empty(plain());
    let all: Vec<_> = world.setup.integrations_of(Scope::Global).collect();
    assert_eq!((all.len(), &*all[0].partner, &*all[0].key), (1, OWN_PARTNER, "global"));
    let again = vec![partner("it", plain()), partner(OWN_PARTNER, plain())];
    let effect = world
        .setup
        .execute(&Act::LoadCatalogue { partners: again, key: "other".to_owned() }, BY)
        .unwrap();
    assert_eq!(effect.changes, [], "the same catalogue is no news");
    let newer = partner("it", contract("click_id!=cid"));
    let partners = vec![newer.clone(), partner(OWN_PARTNER, plain())];
    let effect =
        world.setup.execute(&Act::LoadCatalogue { partners, key: "k".to_owned() }, BY).unwrap();
    assert_eq!(effect.changes, [Change::Partner(newer)]);
    let mut faulty = partner("it", plain());
    faulty.contract.as_mut().unwrap().parameters.clear();
    let act = Act::LoadCatalogue { partners: vec![faulty], key: "k".to_owned() };
    assert_eq!(told(&world.attempt(&act).unwrap_err()), invalid("partners"));
}

#[test]
fn an_integration_keeps_the_contract_it_was_made_with() {
    let mut world = world();
    let before = world.setup.integration(OWN_ID).unwrap().contract.clone();
    let newer = partner("it", contract("click_id!=cid"));
    world.act(Act::LoadCatalogue { partners: vec![newer], key: "k".to_owned() });
    assert_eq!(world.setup.integration(OWN_ID).unwrap().contract, before);
    assert_ne!(world.setup.partner("it").unwrap().contract.as_ref(), Some(&before));
}

#[test]
fn an_integration_in_use_is_not_archived() {
    let mut world = world();
    for id in [OWN_ID, IntegrationId(1)] {
        let failure = world.attempt(&Act::ArchiveIntegration { id }).unwrap_err();
        assert_eq!(told(&failure), conflict("in_use"), "{id}");
    }
    world.integration(Scope::Global, "it", "second", "");
    world.act(Act::ArchiveIntegration { id: IntegrationId(1) });
    let left: Vec<_> = world.setup.integrations_of(Scope::Global).map(|one| one.id).collect();
    assert_eq!(left, [IntegrationId(3)]);
}

#[test]
fn secrets_are_those_the_contract_asks_for_and_never_shown() {
    let mut guarded = contract("click_id! token");
    guarded.verification.token = Some(Canonical::Token);
    let mut world = World::new(guarded, LEAD);
    let set = |name: &str, value: &str| Act::ChangeIntegration {
        id: OWN_ID,
        landing_params: None,
        secrets: Some(BTreeMap::from([(name.to_owned(), Some(Secret::new(value.to_owned())))])),
        old_secrets_until: None,
    };
    let failure = world.attempt(&set("tokens", "x")).unwrap_err();
    assert_eq!(told(&failure), invalid("secrets.tokens"));
    let failure = world.attempt(&set("token", "")).unwrap_err();
    assert_eq!(told(&failure), invalid("secrets.token"));
    for never_read in ["{token}", "YOUR_TOKEN", "a\tb", " \n ", &"x".repeat(501)] {
        let failure = world.attempt(&set("token", never_read)).unwrap_err();
        assert_eq!(told(&failure), invalid("secrets.token"), "{never_read:.10}");
    }
    world.act(set("token", " padded "));
    world.check("?click_id=@a&token=padded -> recorded approved 0/1.75 !amount_missing");
    let act = set("token", "hunter2");
    world.act(act.clone());
    assert!(!format!("{act:?}{:?}", world.setup).contains("hunter2"));
    let mut plain = self::world();
    assert_eq!(told(&plain.attempt(&set("token", "x")).unwrap_err()), invalid("secrets.token"));
}

#[test]
fn a_secret_that_signs_must_be_able_to() {
    let mut signed = contract("click_id! signature=sig");
    signed.verification.signature = serde_json::from_str(
        r#"{"algorithm":"hmac_sha1","key":"base64","input":{"kind":"query"}}"#,
    )
    .unwrap();
    let mut world = World::new(signed, LEAD);
    let set = |name: &str, value: &str| Act::ChangeIntegration {
        id: OWN_ID,
        landing_params: None,
        secrets: Some(BTreeMap::from([(name.to_owned(), Some(Secret::new(value.to_owned())))])),
        old_secrets_until: None,
    };
    for never_right in ["", "whsec_", "no base64!", &"A".repeat(504)] {
        let failure = world.attempt(&set("signature", never_right)).unwrap_err();
        assert_eq!(told(&failure), invalid("secrets.signature"), "{never_right:.10}");
    }
    assert_eq!(told(&world.attempt(&set("token", "x")).unwrap_err()), invalid("secrets.token"));
    world.act(set("signature", " whsec_AAAA "));
    world.check("?click_id=@a -> refused signature_mismatch sig");
    let mut plain = self::world();
    let failure = plain.attempt(&set("signature", "x")).unwrap_err();
    assert_eq!(told(&failure), invalid("secrets.signature"));
}

#[test]
fn replaced_secrets_count_for_a_while_where_that_is_asked_for() {
    let mut guarded = contract("click_id! token");
    guarded.verification.token = Some(Canonical::Token);
    let mut world = World::new(guarded, LEAD);
    let change = |token: Option<&str>, old_secrets_until: Option<Timestamp>| {
        let secret = |token: &str| ("token".to_owned(), Some(Secret::new(token.to_owned())));
        Act::ChangeIntegration {
            id: OWN_ID,
            landing_params: None,
            secrets: token.map(|token| BTreeMap::from([secret(token)])),
            old_secrets_until,
        }
    };
    world.act(change(Some("hunter0"), None));
    let now = world.now;
    for (token, until) in
        [(None, 60), (Some("x"), 0), (Some("x"), -60), (Some("x"), 90 * 86_400 + 1)]
    {
        let failure = world.attempt(&change(token, Some(now.plus_s(until)))).unwrap_err();
        assert_eq!(told(&failure), invalid("old_secrets_until"), "{until}");
    }
    let retiring = |world: &World| -> Vec<Timestamp> {
        let one = world.setup.integrations[&OWN_ID].latest();
        one.retiring.iter().map(|one| one.until).collect()
    };
    let answer = world.act(change(Some("hunter1"), Some(now.plus_s(60))));
    assert!(!serde_json::to_string(&answer).unwrap().contains("hunter"), "{answer:?}");
    assert_eq!(retiring(&world), [now.plus_s(60)]);
    world.act(change(Some("hunter1"), Some(now.plus_s(70))));
    assert_eq!(retiring(&world), [now.plus_s(60)], "what is in force does not retire");
    for number in 2..6 {
        world.act(change(Some(&format!("hunter{number}")), Some(now.plus_s(80))));
    }
    let failure = world.attempt(&change(Some("hunter6"), Some(now.plus_s(80)))).unwrap_err();
    assert_eq!(told(&failure), invalid("old_secrets_until"), "five count at the most");
    world.wait_s(61);
    world.act(change(Some("hunter6"), Some(now.plus_s(80))));
    assert_eq!(retiring(&world), [now.plus_s(80); 5]);
    world.act(change(Some("hunter7"), None));
    assert_eq!(retiring(&world), []);
}

#[test]
fn landing_parameters_are_checked() {
    let mut world = world();
    let set = |params: &str| Act::ChangeIntegration {
        id: OWN_ID,
        landing_params: Some(Some(params.to_owned())),
        secrets: None,
        old_secrets_until: None,
    };
    let odd =
        ["", " ? ", "a#b", &"a".repeat(10_000), "<script>", "a=1\r\nSet-Cookie: x=1", "a=b c"];
    for params in odd {
        let failure = world.attempt(&set(params)).unwrap_err();
        assert_eq!(told(&failure), invalid("landing_params"), "{params:.10}");
    }
}

#[test]
fn what_is_beside_the_setup_changes_nothing_in_it() {
    let world = world();
    let acts = [
        Act::ChangeConversionStatus {
            id: ConversionId(1),
            to: conversion::Status::Reversed,
            reason: "x".to_owned(),
        },
        Act::Quarantine { position: Position(1) },
        Act::Redecide { position: Position(1) },
    ];
    for act in acts {
        assert_eq!(world.setup.execute(&act, BY).unwrap().changes, [], "{act:?}");
    }
}

#[test]
fn a_senders_macros_are_those_of_the_contracts_parameters() {
    let mut world = world();
    let set = |world: &mut World, macros: &[(Canonical, &str)]| {
        let macros = macros.iter().map(|(canonical, text)| (*canonical, (*text).to_owned()));
        world.attempt(&Act::SetMacros { id: OWN_ID, macros: macros.collect() })
    };
    let first = [(Canonical::ClickId, "{aff_sub}"), (Canonical::TxnId, "#tid#")];
    set(&mut world, &first).unwrap();
    let saved = |world: &World| world.setup.integration(OWN_ID).unwrap().macros.clone();
    assert_eq!(saved(&world)[&Canonical::TxnId], "#tid#");
    set(&mut world, &first[..1]).unwrap();
    assert_eq!(saved(&world).len(), 1, "they take the place of all there were");
    let wrong = [
        (Canonical::Device, "{device}", "macros.device"),
        (Canonical::CampaignId, "{offer}", "macros.campaign_id"),
        (Canonical::ClickId, "", "macros.click_id"),
        (Canonical::ClickId, "{a b}", "macros.click_id"),
        (Canonical::ClickId, "{a}&x=1", "macros.click_id"),
        (Canonical::ClickId, "http://evil", "macros.click_id"),
        (Canonical::TxnId, "#", "macros.txn_id"),
    ];
    for (canonical, text, parameter) in wrong {
        let failure = set(&mut world, &[(canonical, text)]).unwrap_err();
        assert_eq!(told(&failure), invalid(parameter));
    }
    assert_eq!(saved(&world).len(), 1);
    set(&mut world, &[]).unwrap();
    assert!(saved(&world).is_empty());
}
