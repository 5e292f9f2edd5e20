//! What contracts can agree on beside one conversion for each click, goal and transaction id.

use super::world::{World, shown};
use domain::click_id::ClickId;
use serde_json::{Value, json};
use store::list::{ConversionFilter, VerdictFilter};

/// The parameters of a contract: canonical names, `!` where required.
fn parameters(text: &str) -> Value {
    let parameter = |name: &str| {
        let bare = name.trim_end_matches('!');
        json!({"canonical": bare, "names": [bare], "required": bare != name})
    };
    text.split_whitespace().map(parameter).collect()
}

async fn conversions_of(world: &World, click: ClickId) -> Vec<u64> {
    let filter = ConversionFilter { click_id: Some(click), limit: 100, ..Default::default() };
    let found = world.store.conversions(&filter).await.unwrap().items;
    found.iter().map(|one| one.id.0).collect()
}

async fn hits_of(world: &World, conversion: u64) -> usize {
    let conversion_id = Some(domain::id::ConversionId(conversion));
    let filter = VerdictFilter { conversion_id, limit: 100, ..Default::default() };
    world.store.verdicts(&filter).await.unwrap().items.len()
}

#[tokio::test]
async fn a_transaction_id_makes_one_conversion_of_many_clicks_and_is_found_by_its_own() {
    let mut world = World::agreeing(json!({
        "identity": "txn",
        "parameters": parameters("click_id! txn_id! status revenue token"),
    }))
    .await;
    let (one, other) = (world.click("us").await, world.click("ca").await);
    let mut said = Vec::new();
    for (click, query) in [
        (one, "txn_id=1&status=pending"),
        (other, "txn_id=1"),
        (other, "txn_id=1"),
        (one, "txn_id=2"),
        (other, "txn_id=3"),
    ] {
        said.push(shown(&world.hit(click, &format!("click_id={{click}}&{query}")).await));
    }
    let duplicate = "duplicate already_processed";
    assert_eq!(said, ["recorded", "updated", duplicate, "recorded", "recorded"]);
    assert_eq!(conversions_of(&world, one).await, [2, 1]);
    assert_eq!(conversions_of(&world, other).await, [3]);
    assert_eq!(hits_of(&world, 1).await, 3, "those of other clicks too");
    assert_eq!(hits_of(&world, 2).await, 1);
    assert_eq!(hits_of(&world, 9).await, 0);
    assert_eq!(world.store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn what_comes_after_the_first_of_a_click_is_marked() {
    let keys = json!({"txn_id_absent": "payload", "repeats": {"mark": true}});
    let mut world = World::agreeing(keys).await;
    let (one, other) = (world.click("us").await, world.click("ca").await);
    let mut said = Vec::new();
    for (click, query) in [
        (one, "x=1"),
        (one, "x=2"),
        (one, "x=2"),
        (one, "txn_id=1"),
        (one, "goal=sale"),
        (other, "x=1"),
    ] {
        let verdict = world.hit(click, &format!("click_id={{click}}&revenue=1&{query}")).await;
        let flags = verdict.flags.names().into_iter().filter(|name| *name == "repeated");
        said.push([vec![verdict.verdict.name()], flags.collect()].concat().join(" "));
    }
    let marked = "recorded repeated";
    assert_eq!(said, ["recorded", marked, "duplicate", marked, "recorded", "recorded"]);
    assert_eq!(conversions_of(&world, one).await, [4, 3, 2, 1]);
    assert_eq!(hits_of(&world, 2).await, 2);
    assert_eq!(world.store.verify().await.unwrap(), []);
}
