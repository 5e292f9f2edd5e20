//! Pushground: a tracker stands in the middle and carries the id through, and whoever fires a
//! postback is told 200, whatever came of it.

use super::world::{Click, Must, NOTHING, Step, World, approved, each};
use serde_json::json;

pub(super) async fn tell(world: &mut World) -> anyhow::Result<()> {
    let advertiser = world.advertiser("Push Buyers").await?;
    let campaign = world
        .campaign(json!({
            "advertiser_id": advertiser, "name": "Cleaner App (Pushground)", "type": "cpa",
            "landing_url": "http://tracker.example/go?your_parameter={click_id}&amount={payout}",
            "currency": "USD", "partner": "pushground",
            "goals": [{ "key": "action", "default": true,
                "revenue": { "from": "postback" }, "payout": "3.00" }],
        }))
        .await?;
    world.activate(campaign).await?;
    // The tracker keeps the parameter, and its advertiser fires with what it kept.
    let clicks = world.visits(campaign, 50, "your_parameter").await?;
    let fired = |click: &Click| format!("/conversion?click_id={}&amount=5", click.id);
    let step = Step {
        what: "a conversion",
        must: Must::be("recorded"),
        effect: &approved(5_000_000, 3_000_000),
    };
    world.step(step, &each(&clicks[..9], fired)).await?;
    let step = Step { what: "fired twice", must: Must::DUPLICATE, effect: NOTHING };
    world.step(step, &each(&clicks[..3], fired)).await?;
    let step = Step {
        what: "a negative amount",
        must: Must::be_refused(200, "invalid_payload", Some("amount")),
        effect: NOTHING,
    };
    let negative = |click: &Click| fired(click).replace("=5", "=-5");
    world.step(step, &each(&clicks[10..11], negative)).await?;
    let step = Step {
        what: "a click id of another network",
        must: Must {
            // Nothing in it is ours: it is remembered for a while, and not kept.
            is_journaled: false,
            ..Must::be_refused(200, "unknown_click", Some("click_id"))
        },
        effect: NOTHING,
    };
    let foreign = "/conversion?click_id=push_71872t38713891u12u0313&amount=5".to_owned();
    world.step(step, &[(None, foreign)]).await?;
    world.chapter("Pushground", "told 200 whatever the verdict, which the receipt tells");
    Ok(())
}
