//! Campaigns: what they begin with, their goals, and their life from draft to ended.

use super::*;

#[test]
fn a_campaign_begins_as_a_draft_with_what_it_was_given() {
    let mut world = fresh();
    let made = create(&mut world, campaign(" Spring ", goals(LEAD))).unwrap();
    assert_eq!((made.id, &*made.name, made.status), (CAMPAIGN, "Spring", Status::Draft));
    assert_eq!((&*made.time_zone, made.window_days, &*made.partner), ("UTC", 30, "it"));
    assert_eq!((made.integration_id, made.archived), (None, false));
    let bare = NewCampaign { partner: None, window_days: None, ..campaign("Bare", Vec::new()) };
    let bare = create(&mut world, bare).unwrap();
    assert_eq!((&*bare.partner, bare.window_days), (OWN_PARTNER, 30));
    assert_eq!((&*bare.goals[0].key, bare.goals[0].default), ("conversion", true));
}

#[test]
fn the_campaigns_type_proposes_the_default_goal() {
    let mut world = fresh();
    let kinds = [
        (Kind::Cpi, "install"),
        (Kind::Cpl, "lead"),
        (Kind::Cpa, "action"),
        (Kind::Cps, "purchase"),
    ];
    for (kind, key) in kinds {
        let new = NewCampaign { kind: Some(kind), ..campaign("It", Vec::new()) };
        let goals = create(&mut world, new).unwrap().goals;
        assert_eq!((goals.len(), &*goals[0].key), (1, key));
        assert_eq!(goals[0].revenue, Term::Fixed(Micros::ZERO));
    }
    let new = NewCampaign { kind: Some(Kind::Cpi), ..campaign("It", goals(LEAD)) };
    assert_eq!(create(&mut world, new).unwrap().goals[0].key, "lead", "a proposal, not a rule");
}

#[test]
fn a_campaign_that_makes_no_sense_is_refused_by_field() {
    let mut world = fresh();
    let good = || campaign("Spring", goals(LEAD));
    let cases: Vec<(NewCampaign, &str)> = vec![
        (NewCampaign { advertiser_id: AdvertiserId(9), ..good() }, "advertiser_id"),
        (NewCampaign { name: String::new(), ..good() }, "name"),
        (NewCampaign { landing_url: "shop.example".to_owned(), ..good() }, "landing_url"),
        (NewCampaign { fallback_url: Some("x".to_owned()), ..good() }, "fallback_url"),
        (NewCampaign { time_zone: Some("Mars/Olympus".to_owned()), ..good() }, "time_zone"),
        (NewCampaign { window_days: Some(0), ..good() }, "window_days"),
        (NewCampaign { window_days: Some(WINDOW_DAYS_MAX + 1), ..good() }, "window_days"),
        (NewCampaign { partner: Some("nobody".to_owned()), ..good() }, "partner"),
        (NewCampaign { integration_id: Some(IntegrationId(9)), ..good() }, "integration_id"),
        (NewCampaign { integration_id: Some(IntegrationId(1)), ..good() }, "partner"),
    ];
    for (new, parameter) in cases {
        let failure = create(&mut world, new).unwrap_err();
        assert_eq!(told(&failure), invalid(parameter));
    }
    world.act(Act::ArchiveAdvertiser { id: AdvertiserId(1) });
    assert_eq!(told(&create(&mut world, good()).unwrap_err()), invalid("advertiser_id"));
    assert!(world.setup.campaigns.is_empty());
}

#[test]
fn goals_have_unique_keys_and_one_default() {
    let mut world = fresh();
    for (json, parameter) in [
        (r#"[{"key":""}]"#, "goals[0].key"),
        (r#"[{"key":"a\nb"}]"#, "goals[0].key"),
        (r#"[{"key":"a","name":"a\nb"}]"#, "goals[0].name"),
        (r#"[{"key":"a"},{"key":"A"}]"#, "goals[1].key"),
        (r#"[{"key":"a"},{"key":" a "}]"#, "goals[1].key"),
        (r#"[{"key":"a","default":true},{"key":"b","default":true}]"#, "goals[1].default"),
        (r#"[{"key":"a"},{"key":"b","revenue":"-1"}]"#, "goals[1].revenue"),
        (r#"[{"key":"a","payout":{"from":"postback","default":"-1"}}]"#, "goals[0].payout"),
    ] {
        let failure = create(&mut world, campaign("It", goals(json))).unwrap_err();
        assert_eq!(told(&failure), invalid(parameter), "{json}");
    }
    let many = format!(
        "[{}]",
        (0..=GOALS_MAX).map(|n| format!(r#"{{"key":"g{n}"}}"#)).collect::<Vec<_>>().join(",")
    );
    assert_eq!(
        told(&create(&mut world, campaign("It", goals(&many))).unwrap_err()),
        invalid("goals")
    );
    let made = create(&mut world, campaign("It", goals(r#"[{"key":" a "},{"key":"b"}]"#))).unwrap();
    let shown: Vec<_> = made.goals.iter().map(|one| (&*one.key, &*one.name, one.default)).collect();
    assert_eq!(shown, [("a", "a", true), ("b", "b", false)], "the first one where none is named");
}

#[test]
fn a_goal_that_is_added_can_become_the_default() {
    let mut world = world();
    let goal = goals(r#"[{"key":"sale","default":true}]"#).remove(0);
    world.act(Act::AddGoal { id: CAMPAIGN, goal: goal.clone() });
    let campaign = world.setup.campaign(CAMPAIGN).unwrap();
    assert_eq!(campaign.default_goal().unwrap().key, "sale");
    assert_eq!(campaign.goals.len(), 2);
    let failure = world.attempt(&Act::AddGoal { id: CAMPAIGN, goal }).unwrap_err();
    assert_eq!(told(&failure), invalid("key"));
    let goal = goals(r#"[{"key":"lead","revenue":"-1"}]"#).remove(0);
    let failure = world.attempt(&Act::AddGoal { id: CAMPAIGN, goal }).unwrap_err();
    assert_eq!(told(&failure), invalid("revenue"));
}

#[test]
fn a_campaign_goes_through_its_life_in_order() {
    for from in Status::ALL {
        let path: &[Status] = match from {
            Status::Draft => &[],
            Status::PendingApproval => &[Status::PendingApproval],
            Status::Approved => &[Status::PendingApproval, Status::Approved],
            Status::Rejected => &[Status::PendingApproval, Status::Rejected],
            Status::Active => &[Status::PendingApproval, Status::Approved, Status::Active],
            Status::Paused => {
                &[Status::PendingApproval, Status::Approved, Status::Active, Status::Paused]
            }
            Status::Ended => {
                &[Status::PendingApproval, Status::Approved, Status::Active, Status::Ended]
            }
        };
        for to in Status::ALL {
            let mut world = fresh();
            create(&mut world, campaign("It", goals(LEAD))).unwrap();
            for status in path {
                set(&mut world, *status).unwrap();
            }
            match set(&mut world, to) {
                Ok(Answer::Campaign(campaign)) => {
                    assert!(from.may_become(to), "{from:?} {to:?}");
                    assert_eq!(campaign.status, to);
                }
                Ok(other) => panic!("{other:?}"),
                Err(failure) => {
                    assert!(!from.may_become(to), "{from:?} {to:?}");
                    assert_eq!(told(&failure), conflict_of("transition_not_allowed", "to"));
                    assert!(failure.detail.contains(from.name()));
                }
            }
        }
    }
}

#[test]
fn activation_wants_our_click_id_in_the_landing_url() {
    let mut world = fresh();
    let new = NewCampaign {
        landing_url: "https://shop.example/?offer=1".to_owned(),
        ..campaign("It", goals(LEAD))
    };
    create(&mut world, new).unwrap();
    set(&mut world, Status::PendingApproval).unwrap();
    set(&mut world, Status::Approved).unwrap();
    let missing = (FailureKind::Conflict, "landing_url_without_click_id", "landing_url");
    assert_eq!(told(&set(&mut world, Status::Active).unwrap_err()), missing);
    let landing_params = Some(Some("?aff_sub={clickid}".to_owned()));
    world.act(Act::ChangeIntegration {
        id: OWN_ID,
        landing_params,
        secrets: None,
        old_secrets_until: None,
    });
    set(&mut world, Status::Active).unwrap();
    let away = Act::ChangeIntegration {
        id: OWN_ID,
        landing_params: Some(None),
        secrets: None,
        old_secrets_until: None,
    };
    let failure = world.attempt(&away).unwrap_err();
    assert_eq!(told(&failure), conflict_of("landing_url_without_click_id", "landing_params"));
    let kept = world.setup.integration(OWN_ID).unwrap().landing_params.as_deref();
    assert_eq!(kept, Some("aff_sub={clickid}"));
}

#[test]
fn an_active_campaign_keeps_its_click_id() {
    let mut world = world();
    let without = || CampaignChanges {
        landing_url: Some("https://shop.example/".to_owned()),
        ..CampaignChanges::default()
    };
    let missing = (FailureKind::Conflict, "landing_url_without_click_id", "landing_url");
    assert_eq!(told(&change(&mut world, without()).unwrap_err()), missing);
    set(&mut world, Status::Paused).unwrap();
    assert_eq!(told(&change(&mut world, without()).unwrap_err()), missing);
    let link = Act::ChangeLink { id: LINK, landing_url: Some("https://shop.example/".to_owned()) };
    assert_eq!(told(&world.attempt(&link).unwrap_err()), missing);
}

#[test]
fn before_activation_a_links_landing_url_may_be_without_our_click_id() {
    let mut world = fresh();
    create(&mut world, campaign("Spring", goals(LEAD))).unwrap();
    let link = world.link(CAMPAIGN, false);
    let landing_url = Some("https://other.example/".to_owned());
    world.act(Act::ChangeLink { id: link, landing_url: landing_url.clone() });
    set(&mut world, Status::PendingApproval).unwrap();
    set(&mut world, Status::Approved).unwrap();
    let missing = (FailureKind::Conflict, "landing_url_without_click_id", "landing_url");
    assert_eq!(told(&set(&mut world, Status::Active).unwrap_err()), missing);
    world.act(Act::ChangeLink { id: link, landing_url: None });
    set(&mut world, Status::Active).unwrap();
    let failure = world.attempt(&Act::ChangeLink { id: link, landing_url }).unwrap_err();
    assert_eq!(told(&failure), missing);
}

#[test]
fn a_goal_that_no_postback_could_name_is_refused() {
    let mut world = fresh();
    for key in ["{goal}", "enter_amount", "REPLACE"] {
        let json = format!(r#"[{{"key":"{key}"}}]"#);
        let failure = create(&mut world, campaign("Spring", goals(&json))).unwrap_err();
        assert_eq!(told(&failure), invalid("goals[0].key"), "{key}");
    }
    let json = r#"[{"key":"lead","revenue":"1000000000.01"}]"#;
    let failure = create(&mut world, campaign("Spring", goals(json))).unwrap_err();
    assert_eq!(told(&failure), invalid("goals[0].revenue"));
}

/// A link's own landing URL may lean on parameters that an integration adds.
#[test]
fn a_links_landing_url_keeps_the_click_id_too() {
    let mut world = world();
    let landing_params = Some(Some("s={click_id}".to_owned()));
    world.act(Act::ChangeIntegration {
        id: OWN_ID,
        landing_params,
        secrets: None,
        old_secrets_until: None,
    });
    let landing_url = Some("https://other.example/".to_owned());
    world.act(Act::ChangeLink { id: LINK, landing_url });
    let away = Act::ChangeIntegration {
        id: OWN_ID,
        landing_params: Some(None),
        secrets: None,
        old_secrets_until: None,
    };
    let failure = world.attempt(&away).unwrap_err();
    assert_eq!(told(&failure), conflict_of("landing_url_without_click_id", "landing_params"));
    set(&mut world, Status::Paused).unwrap();
    world.act(away);
    let missing = (FailureKind::Conflict, "landing_url_without_click_id", "landing_url");
    assert_eq!(told(&set(&mut world, Status::Active).unwrap_err()), missing);
    world.act(Act::ArchiveLink { id: LINK });
    set(&mut world, Status::Active).unwrap();
}

#[test]
fn what_a_change_leaves_out_stays() {
    let mut world = world();
    let before = world.setup.campaign(CAMPAIGN).unwrap().clone();
    change(&mut world, CampaignChanges::default()).unwrap();
    assert_eq!(world.setup.campaign(CAMPAIGN).unwrap(), &before);
    let all = CampaignChanges {
        name: Some("Autumn".to_owned()),
        landing_url: Some("https://b.example/{click_id}".to_owned()),
        fallback_url: Some("https://c.example/".to_owned()),
        time_zone: Some("Europe/Berlin".to_owned()),
        window_days: Some(7),
        goals: Some(goals(r#"[{"key":"sale","revenue":"1"}]"#)),
    };
    change(&mut world, all).unwrap();
    let after = world.setup.campaign(CAMPAIGN).unwrap().clone();
    assert_eq!(
        (&*after.name, &*after.time_zone, after.window_days),
        ("Autumn", "Europe/Berlin", 7)
    );
    assert_eq!(after.fallback_url.as_deref(), Some("https://c.example/"));
    assert_eq!(after.goals[0].key, "sale");
    assert_eq!((after.status, after.partner), (before.status, before.partner));
    let gone = CampaignChanges { fallback_url: Some(String::new()), ..CampaignChanges::default() };
    change(&mut world, gone).unwrap();
    assert_eq!(world.setup.campaign(CAMPAIGN).unwrap().fallback_url, None);
}

#[test]
fn a_change_holds_from_then_on_and_not_before() {
    let mut world = world();
    let before = world.now;
    world.wait_s(60);
    let changes = CampaignChanges { window_days: Some(7), ..CampaignChanges::default() };
    let since = world.now;
    change(&mut world, changes).unwrap();
    let days = |at| world.setup.campaign_at(CAMPAIGN, at).unwrap().window_days;
    assert_eq!((days(before), days(since.plus_us(-1)), days(since)), (30, 30, 7));
    let history = &world.setup.campaigns[&CAMPAIGN];
    assert_eq!(history.versions().last().map(|(at, _)| at), Some(since));
    assert_eq!(history.at(crate::time::Timestamp::MIN).status, Status::Draft, "the first one");
    assert!(history.versions().zip(history.versions().skip(1)).all(|(a, b)| a.0 <= b.0));
}
