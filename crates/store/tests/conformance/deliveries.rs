//! What destinations are owed is written with the change that it tells of, once.

use super::world::{World, destination};
use domain::command::Act;
use domain::conversion::Status;
use domain::id::{ConversionId, DeliveryId, DestinationId};

pub(super) const URL: &str = "https://t.example/?c={click_id}&p={payout}";

/// All that is owed, as `1: 1/1 to 1 notice approved 1.75`.
pub(super) async fn owed(world: &World) -> Vec<String> {
    let all = world.store.owed(DeliveryId(0), 1_000).await.unwrap();
    let shown = all.iter().map(|one| {
        let owed = &one.owed;
        let (kind, status) = (owed.kind.name(), owed.status.name());
        format!(
            "{}: {}/{} to {} {kind} {status} {}",
            one.id, owed.conversion_id, owed.sequence, owed.destination_id, owed.payout
        )
    });
    shown.collect()
}

#[tokio::test]
async fn a_change_is_owed_once_and_a_duplicate_is_not() {
    let mut world = World::new().await;
    let click = world.click("us").await;
    world.hit(click, "click_id={click}&txn_id=0").await;
    world.done(destination(URL)).await;
    assert!(owed(&world).await.is_empty(), "what was before it is not told");
    world.hit(click, "click_id={click}&txn_id=1&status=pending").await;
    assert!(owed(&world).await.is_empty());
    for _ in 0..2 {
        world.hit(click, "click_id={click}&txn_id=1&status=approved").await;
    }
    world.hit(click, "click_id={click}&txn_id=2").await;
    world.hit(click, "click_id={click}&txn_id=1&status=reversed").await;
    let expected = [
        "1: 2/2 to 1 notice approved 1.75",
        "2: 3/1 to 1 notice approved 1.75",
        "3: 2/3 to 1 withdrawal reversed 0",
    ];
    assert_eq!(owed(&world).await, expected);
    let later = world.store.owed(DeliveryId(1), 1).await.unwrap();
    assert_eq!(later.iter().map(|one| one.id).collect::<Vec<_>>(), [DeliveryId(2)]);
    assert_eq!(world.store.verify().await.unwrap(), []);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}

/// What it was told last decides what is owed, not what it was told first.
#[tokio::test]
async fn what_was_taken_back_and_counts_again_is_told_anew() {
    let mut world = World::new().await;
    world.done(destination(URL)).await;
    let click = world.click("us").await;
    world.hit(click, "click_id={click}&txn_id=1&status=approved").await;
    for to in [Status::Reversed, Status::Approved, Status::Reversed] {
        let (id, reason) = (ConversionId(1), "fraud, or not".to_owned());
        world.done(Act::ChangeConversionStatus { id, to, reason }).await;
    }
    let expected = [
        "1: 1/1 to 1 notice approved 1.75",
        "2: 1/2 to 1 withdrawal reversed 0",
        "3: 1/3 to 1 notice approved 1.75",
        "4: 1/4 to 1 withdrawal reversed 0",
    ];
    assert_eq!(owed(&world).await, expected);
}

#[tokio::test]
async fn what_a_person_does_is_told_as_well() {
    let mut world = World::new().await;
    world.done(destination(URL)).await;
    world.done(destination(URL)).await;
    let click = world.click("us").await;
    world.hit(click, "click_id={click}").await;
    world.done(Act::ArchiveDestination { id: DestinationId(2) }).await;
    let (id, to, reason) = (ConversionId(1), Status::Reversed, "fraud".to_owned());
    world.done(Act::ChangeConversionStatus { id, to, reason }).await;
    let expected = [
        "1: 1/1 to 1 notice approved 1.75",
        "2: 1/1 to 2 notice approved 1.75",
        "3: 1/2 to 1 withdrawal reversed 0",
    ];
    assert_eq!(owed(&world).await, expected);
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}
