//! PeerClick: an offer source set up once, with the parameter that carries the click id, and used
//! by several campaigns.

use super::figures::Figures;
use super::world::{Click, Must, NOTHING, Step, World, approved, each, filled, id_of};
use anyhow::{Context, bail};
use domain::money::Micros;
use serde_json::{Value, json};

const REVENUE: i64 = 1_250_000;

pub(super) async fn tell(world: &mut World) -> anyhow::Result<()> {
    let advertiser = world.advertiser("Peer Network").await?;
    let source = world
        .post(
            "/integrations",
            json!({ "level": "advertiser", "advertiser_id": advertiser, "partner": "peerclick",
                "landing_params": "aff_sub={clickid}" }),
        )
        .await?;
    let url = source["postback_url"].as_str().context("no postback URL")?.to_owned();
    let mut clicks = Vec::new();
    for (name, landing_url) in [
        ("Sweepstakes (PeerClick)", "https://offers.example/sweeps?offer=11"),
        ("Nutra Trial (PeerClick)", "https://offers.example/trial"),
    ] {
        let campaign = world
            .campaign(json!({
                "advertiser_id": advertiser, "name": name, "type": "cpl", "currency": "USD",
                "landing_url": landing_url, "integration_id": id_of(&source)?,
                "goals": [{ "key": "lead", "default": true,
                    "revenue": { "from": "postback" }, "payout": "0" }],
            }))
            .await?;
        world.activate(campaign).await?;
        clicks.push(world.visits(campaign, 40, "aff_sub").await?);
    }
    for (clicks, offer) in clicks.iter().zip(["first", "second"]) {
        leads(world, &url, clicks, offer).await?;
    }
    others(world, &url, &clicks[0][20..]).await?;
    world.chapter("PeerClick", "one offer source for two campaigns, with its landing parameter");
    Ok(())
}

fn of(url: &str, click: &Click, txid: &str, status: &str) -> String {
    let values = [
        ("{clickid}", click.id.as_str()),
        ("{payout}", "1.25"),
        ("{status}", status),
        ("{txid}", txid),
    ];
    filled(url, &values)
}

async fn leads(world: &mut World, url: &str, clicks: &[Click], offer: &str) -> anyhow::Result<()> {
    let lead = |click: &Click| of(url, click, "n-1", "");
    let step = Step {
        what: &format!("a lead of the {offer} offer, its status blank"),
        must: Must::be("recorded"),
        effect: &approved(REVENUE, 0),
    };
    world.step(step, &each(&clicks[..8], lead)).await?;
    let what = &format!("a lead of the {offer} offer, resent");
    let step = Step { what, must: Must::DUPLICATE, effect: NOTHING };
    world.step(step, &each(&clicks[..2], lead)).await
}

async fn others(world: &mut World, url: &str, clicks: &[Click]) -> anyhow::Result<()> {
    let step = Step { what: "hold", must: Must::be("recorded"), effect: &|f| f.pending += 1 };
    world.step(step, &each(&clicks[..2], |click| of(url, click, "h-1", "hold"))).await?;
    let step = Step { what: "hold, then sale", must: Must::be("updated"), effect: &sale };
    world.step(step, &each(&clicks[..1], |click| of(url, click, "h-1", "sale"))).await?;
    let step = Step {
        what: "stop: a subscription ends",
        must: Must {
            reason: Some("status_ignored"),
            parameter: Some("status"),
            ..Must::be("ignored")
        },
        effect: NOTHING,
    };
    world.step(step, &each(&clicks[2..3], |click| of(url, click, "s-1", "stop"))).await?;
    let step = Step {
        what: "an amount in another currency",
        must: Must { http: 202, reason: Some("rate_missing"), ..Must::be("parked") },
        effect: NOTHING,
    };
    let euro = |click: &Click| format!("{}&currency=EUR", of(url, click, "e-1", ""));
    world.step(step, &each(&clicks[3..4], euro)).await?;
    let step = Step {
        what: "a payout macro nobody filled in",
        must: Must::be_refused(400, "macro_not_replaced", Some("payout")),
        effect: NOTHING,
    };
    let unfilled = |click: &Click| of(url, click, "m-1", "").replace("=1.25", "={payout}");
    world.step(step, &each(&clicks[4..5], unfilled)).await?;
    let step = Step {
        what: "with an event and a parameter",
        must: Must::be("recorded"),
        effect: &approved(REVENUE, 0),
    };
    let more = |click: &Click| format!("{}&event1=3&param1=blue", of(url, click, "v-1", "sale"));
    world.step(step, &each(&clicks[5..6], more)).await?;
    let found = world.get(&format!("/conversions?click_id={}", clicks[5].id)).await?;
    let conversion = &found["items"][0];
    let text = |name: &str| conversion[name].as_str().map(str::to_owned);
    if (text("event1"), text("param1")) != (Some("3".to_owned()), Some("blue".to_owned())) {
        bail!("expected event1 and param1 on the conversion, found {}", Value::clone(conversion));
    }
    Ok(())
}

fn sale(figures: &mut Figures) {
    figures.pending -= 1;
    figures.approved += 1;
    figures.revenue = Micros(figures.revenue.0 + REVENUE);
}
