//! KiwiWall: a strict parameter map, a token for a signature, and one conversion for each click,
//! transaction and event.

use super::figures::Figures;
use super::world::{Click, Must, NOTHING, Step, World, approved, each, filled};
use anyhow::Context;
use domain::money::Micros;
use serde_json::json;

const REVENUE: i64 = 2_350_000;
const PAYOUT: i64 = 1_600_000;
const TOKEN: &str = "kiwi-token";

pub(super) async fn tell(world: &mut World) -> anyhow::Result<()> {
    let advertiser = world.advertiser("Kiwi Offers").await?;
    let campaign = world
        .campaign(json!({
            "advertiser_id": advertiser, "name": "Fruit Match (KiwiWall)", "type": "cpi",
            "landing_url": "https://fruit.example/?cid={click_id}&s1={sub1}&s2={sub2}",
            "currency": "USD", "partner": "kiwiwall",
            "goals": [{ "key": "install", "default": true,
                "revenue": { "from": "postback" }, "payout": "1.60" }],
        }))
        .await?;
    world.activate(campaign).await?;
    let shown = world.get(&format!("/campaigns/{campaign}")).await?;
    let integration = shown["integration_id"].as_u64().context("no integration was made")?;
    let token = json!({ "secrets": { "token": TOKEN } });
    world.patch(&format!("/integrations/{integration}"), token).await?;
    let url = world.get(&format!("/campaigns/{campaign}/postback-url")).await?;
    let url = url["url"].as_str().context("no postback URL")?.to_owned();
    let clicks = world.visits(campaign, 60, "cid").await?;
    conversions(world, &url, &clicks).await?;
    mistakes(world, &url, &clicks[40..]).await?;
    world.chapter("KiwiWall", "a strict parameter map, and a reason for every refusal");
    Ok(())
}

/// A postback as the guide has it, but for what `changes` says.
fn of(url: &str, click: &Click, txn_id: &str, status: &str) -> String {
    let values = [
        ("{click_id}", click.id.as_str()),
        ("{txn_id}", txn_id),
        ("{status}", status),
        ("{payout}", "2.35"),
        ("{signature}", TOKEN),
    ];
    filled(url, &values)
}

async fn conversions(world: &mut World, url: &str, clicks: &[Click]) -> anyhow::Result<()> {
    let recorded = approved(REVENUE, PAYOUT);
    let approved_at_once = |click: &Click| of(url, click, "t_7a8c1", "approved");
    let step = Step { what: "approved", must: Must::be("recorded"), effect: &recorded };
    world.step(step, &each(&clicks[..15], approved_at_once)).await?;
    let step = Step { what: "resent", must: Must::DUPLICATE, effect: NOTHING };
    world.step(step, &each(&clicks[..6], approved_at_once)).await?;
    let step = Step {
        what: "a second transaction of a click",
        must: Must::be("recorded"),
        effect: &recorded,
    };
    world.step(step, &each(&clicks[..2], |click| of(url, click, "t_7a8c2", "approved"))).await?;
    let held = &clicks[15..20];
    let step = Step { what: "pending", must: Must::be("recorded"), effect: &|f| f.pending += 1 };
    world.step(step, &each(held, |click| of(url, click, "t_9", "pending"))).await?;
    let step = Step { what: "pending, then approved", must: Must::be("updated"), effect: &approve };
    world.step(step, &each(&held[..4], |click| of(url, click, "t_9", "approved"))).await?;
    let step = Step { what: "pending, then rejected", must: Must::be("updated"), effect: &reject };
    world.step(step, &each(&held[4..], |click| of(url, click, "t_9", "rejected"))).await?;
    let step = Step { what: "blanks around ids", must: Must::be("recorded"), effect: &recorded };
    let padded = |click: &Click| {
        of(url, click, "%20t_5%20", "approved").replace(&click.id, &format!("%20{}%20", click.id))
    };
    world.step(step, &each(&clicks[20..21], padded)).await
}

fn approve(figures: &mut Figures) {
    figures.pending -= 1;
    figures.approved += 1;
    figures.revenue = Micros(figures.revenue.0 + REVENUE);
    figures.payout = Micros(figures.payout.0 + PAYOUT);
}

fn reject(figures: &mut Figures) {
    figures.pending -= 1;
    figures.rejected += 1;
}

/// What is wrong, the status, reason and parameter it is answered with, and what stands for what.
type Mistake<'m> = (&'m str, u16, &'static str, &'static str, (&'m str, &'m str));

async fn mistakes(world: &mut World, url: &str, clicks: &[Click]) -> anyhow::Result<()> {
    let good = |click: &Click| of(url, click, "t_1", "approved");
    let mistakes: [Mistake<'_>; 5] = [
        ("without a transaction id", 400, "missing_parameter", "txn_id", ("&txn_id=t_1", "")),
        ("without a status", 400, "missing_parameter", "status", ("&status=approved", "")),
        ("another signature", 401, "signature_mismatch", "signature", (TOKEN, "guessed")),
        ("an amount that is none", 400, "invalid_payload", "payout", ("=2.35", "=a+lot")),
        ("a status nobody agreed on", 422, "unknown_status", "status", ("=approved", "=great")),
    ];
    for ((what, http, reason, parameter, (from, to)), click) in mistakes.into_iter().zip(clicks) {
        let must = Must::be_refused(http, reason, Some(parameter));
        let sent = [(Some(click), good(click).replace(from, to))];
        world.step(Step { what, must, effect: NOTHING }, &sent).await?;
    }
    Ok(())
}
