//! Trackier: goals beside the default one, and postbacks at campaign, advertiser and global level.

use super::figures::Figures;
use super::world::{Click, Must, NOTHING, Step, World, approved, each, filled};
use anyhow::{Context, bail};
use serde_json::json;

pub(super) async fn tell(world: &mut World) -> anyhow::Result<()> {
    let advertiser = world.advertiser("Track Media").await?;
    let campaign = world
        .campaign(json!({
            "advertiser_id": advertiser, "name": "Pocket Shop (Trackier)", "type": "cpi",
            "landing_url": "https://pocket.example/get?click_id={click_id}",
            "currency": "USD", "partner": "trackier",
            "goals": [
                { "key": "install", "name": "Install", "default": true,
                  "revenue": "1.00", "payout": "0.70" },
                { "key": "registration", "name": "Registration",
                  "revenue": "2.00", "payout": "1.20" },
                { "key": "purchase", "name": "Purchase",
                  "revenue": { "percent": "10" }, "payout": { "percent": "6" } },
            ],
        }))
        .await?;
    world.activate(campaign).await?;
    let clicks = world.visits(campaign, 60, "click_id").await?;
    world.open_link = Some(world.link(campaign, world.publishers[0], false).await?);
    goals(world, campaign, &clicks).await?;
    levels(world, advertiser, &clicks[20..]).await?;
    test_link(world, campaign).await?;
    world.chapter("Trackier", "a default goal and two more, at three levels, and a test link");
    Ok(())
}

async fn url(world: &mut World, path: &str) -> anyhow::Result<String> {
    let url = world.get(path).await?;
    Ok(url["url"].as_str().with_context(|| format!("{path} has no URL"))?.to_owned())
}

fn of(url: &str, click: &Click, txn_id: &str) -> String {
    let values = [
        ("{click_id}", click.id.as_str()),
        ("{txn_id}", txn_id),
        ("{revenue}", ""),
        ("{status}", "approved"),
    ];
    filled(url, &values)
}

async fn goals(world: &mut World, campaign: u64, clicks: &[Click]) -> anyhow::Result<()> {
    let base = format!("/campaigns/{campaign}/postback-url");
    let install = url(world, &base).await?;
    let registration = url(world, &format!("{base}?goal=registration")).await?;
    let purchase = url(world, &format!("{base}?goal=purchase")).await?;
    let installed = |click: &Click| of(&install, click, "i-1");
    let step =
        Step { what: "Install", must: Must::be("recorded"), effect: &approved(1_000_000, 700_000) };
    world.step(step, &each(&clicks[..18], installed)).await?;
    let step = Step {
        what: "Registration",
        must: Must::be("recorded"),
        effect: &approved(2_000_000, 1_200_000),
    };
    world.step(step, &each(&clicks[..7], |click| of(&registration, click, "r-1"))).await?;
    let step = Step {
        what: "Purchase, 10 % of 50.00",
        must: Must::be("recorded"),
        effect: &approved(5_000_000, 3_000_000),
    };
    let bought = |click: &Click| format!("{}&sale_amount=50.00", of(&purchase, click, "p-1"));
    world.step(step, &each(&clicks[..3], bought)).await?;
    let step = Step { what: "an Install resent", must: Must::DUPLICATE, effect: NOTHING };
    world.step(step, &each(&clicks[..4], installed)).await?;
    let step = Step {
        what: "a goal the campaign does not have",
        must: Must::be_refused(422, "unknown_goal", Some("goal_value")),
        effect: NOTHING,
    };
    let other = |click: &Click| format!("{}&goal_value=signup", of(&install, click, "s-1"));
    world.step(step, &each(&clicks[..1], other)).await
}

/// The same contract for all campaigns of an advertiser, and our own for all there are.
async fn levels(world: &mut World, advertiser: u64, clicks: &[Click]) -> anyhow::Result<()> {
    let body = json!({ "level": "advertiser", "advertiser_id": advertiser, "partner": "trackier" });
    world.post("/integrations", body).await?;
    let levels = [
        ("Install, at advertiser level", format!("/advertisers/{advertiser}/postback-url")),
        ("Install, at global level", "/postback-url".to_owned()),
    ];
    for ((what, path), click) in levels.into_iter().zip(clicks) {
        let url = url(world, &path).await?;
        let (must, effect) = (Must::be("recorded"), approved(1_000_000, 700_000));
        let sent = [(Some(click), of(&url, click, "i-1"))];
        world.step(Step { what, must, effect: &effect }, &sent).await?;
    }
    Ok(())
}

/// What comes through a test link is seen, and kept out of the figures.
async fn test_link(world: &mut World, campaign: u64) -> anyhow::Result<()> {
    let token = world.link(campaign, world.publishers[0], true).await?;
    let click = world.visit(campaign, &token, "click_id", true).await?;
    let url = url(world, &format!("/campaigns/{campaign}/postback-url")).await?;
    let step = Step {
        what: "Install, through a test link",
        must: Must::be("recorded"),
        effect: &|_: &mut Figures| {},
    };
    world.step(step, &[(Some(&click), of(&url, &click, "test-1"))]).await?;
    let report = world.get("/reports?test=only").await?;
    let totals = &report["totals"];
    if (totals["clicks"].as_u64(), totals["approved"].as_u64()) != (Some(1), Some(1)) {
        bail!("expected one click and one conversion of the test link, found {totals}");
    }
    Ok(())
}
