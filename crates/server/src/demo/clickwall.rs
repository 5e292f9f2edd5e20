//! ClickWall: a postback URL for each campaign once it is approved, two required ids, and one
//! conversion for a click however often it is told.

use super::figures::Figures;
use super::world::{Click, Must, NOTHING, Step, World, approved, each, filled};
use anyhow::Context;
use domain::money::Micros;
use serde_json::json;

const REVENUE: i64 = 2_000_000;
const PAYOUT: i64 = 1_500_000;

pub(super) async fn tell(world: &mut World) -> anyhow::Result<()> {
    let advertiser = world.advertiser("Acme Games").await?;
    let campaign = world
        .campaign(json!({
            "advertiser_id": advertiser, "name": "Acme Quest (ClickWall)", "type": "cpi",
            "landing_url": "https://quest.example/install?click={click_id}&geo={sub1}",
            "fallback_url": "https://quest.example/closed?click={click_id}",
            "currency": "USD", "partner": "clickwall",
            "goals": [{ "key": "install", "default": true, "revenue": "2.00", "payout": "1.50" }],
        }))
        .await?;
    let url_path = format!("/campaigns/{campaign}/postback-url");
    world.must_refuse(&url_path, 409, "campaign_not_approved").await?;
    world.activate(campaign).await?;
    let url = world.get(&url_path).await?;
    let url = url["url"].as_str().context("no postback URL")?.to_owned();
    let clicks = world.visits(campaign, 80, "click").await?;
    let of = |click: &Click| filled(&url, &[("{click_id}", &click.id)]);
    let step =
        Step { what: "an install", must: Must::be("recorded"), effect: &approved(REVENUE, PAYOUT) };
    world.step(step, &each(&clicks[..20], of)).await?;
    let step = Step { what: "the same once more", must: Must::DUPLICATE, effect: NOTHING };
    world.step(step, &each(&clicks[..5], of)).await?;
    let step = Step { what: "taken back", must: Must::be("updated"), effect: &reverse };
    let reversed = |click: &Click| format!("{}&status=reversed", of(click));
    world.step(step, &each(&clicks[..1], reversed)).await?;
    mistakes(world, &url, &clicks).await?;
    closed(world, campaign, &url).await?;
    world.chapter("ClickWall", "one postback URL a campaign, made by its approval");
    Ok(())
}

fn reverse(figures: &mut Figures) {
    figures.approved -= 1;
    figures.reversed += 1;
    figures.revenue = Micros(figures.revenue.0 - REVENUE);
    figures.payout = Micros(figures.payout.0 - PAYOUT);
}

async fn mistakes(world: &mut World, url: &str, clicks: &[Click]) -> anyhow::Result<()> {
    let click = &clicks[30];
    let good = filled(url, &[("{click_id}", &click.id)]);
    let step = Step {
        what: "a parameter by another name",
        must: Must {
            nearest: Some("clickid"),
            ..Must::be_refused(400, "missing_parameter", Some("click_id"))
        },
        effect: NOTHING,
    };
    world.step(step, &[(Some(click), good.replace("click_id=", "clickid="))]).await?;
    let step = Step {
        what: "without the campaign",
        must: Must::be_refused(400, "missing_parameter", Some("campaign_id")),
        effect: NOTHING,
    };
    let without = good.split("&campaign_id=").next().unwrap_or_default().to_owned();
    world.step(step, &[(Some(click), without)]).await?;
    let step = Step {
        what: "another campaign's id",
        must: Must::be_refused(422, "campaign_mismatch", Some("campaign_id")),
        effect: NOTHING,
    };
    let other = good.replace("campaign_id=", "campaign_id=9");
    world.step(step, &[(Some(click), other)]).await?;
    let step = Step {
        what: "a macro nobody filled in",
        must: Must::be_refused(400, "macro_not_replaced", Some("click_id")),
        effect: NOTHING,
    };
    world.step(step, &[(None, filled(url, &[]))]).await?;
    let step = Step {
        what: "a click id we never made",
        must: Must::be_refused(404, "unknown_click", Some("click_id")),
        effect: NOTHING,
    };
    world.step(step, &[(None, filled(url, &[("{click_id}", "c_94f1f2")]))]).await
}

/// A click that comes while the campaign is paused goes elsewhere, and does not convert.
async fn closed(world: &mut World, campaign: u64, url: &str) -> anyhow::Result<()> {
    let token = world.link(campaign, world.publishers[0], false).await?;
    world.status(campaign, "paused").await?;
    let click = world.visit(campaign, &token, "click", false).await?;
    world.status(campaign, "active").await?;
    let step = Step {
        what: "a click of a paused campaign",
        must: Must::be_refused(422, "campaign_inactive", None),
        effect: NOTHING,
    };
    world.step(step, &[(Some(&click), filled(url, &[("{click_id}", &click.id)]))]).await
}
