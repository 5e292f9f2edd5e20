//! What happens counts once: for its own delivery and destination, and for nothing else.

use super::*;

#[tokio::test]
async fn what_was_under_way_when_the_server_ended_may_have_arrived() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    let mut queue = queue.reopen();
    let (found, _) = queue.deliveries.find(DeliveryId(1)).await.unwrap().unwrap();
    assert!(found.may_have_arrived);
    queue.take("1/2 withdrawal reversed 0", ONE).await;
    // Whether there is anything to take back is found out first.
    assert_eq!(queue.shown(1).await, "waiting notice 2");
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.settle(1, 2, Next::Delivered).await;
    assert_eq!(queue.shown(2).await, "waiting withdrawal -2");
}

#[tokio::test]
async fn an_attempt_settles_once() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.again_after(1, 1, 5).await;
    // As after an error behind which it was written all the same.
    queue.settle(1, 1, Next::Exhausted).await;
    assert_eq!(queue.shown(1).await, "waiting notice 2");
    assert_eq!(queue.deliveries.due().await.unwrap()[0].failures, 1);
    let (_, attempts) = queue.deliveries.find(DeliveryId(1)).await.unwrap().unwrap();
    let led_to: Vec<_> = attempts.iter().map(|one| &*one.led_to).collect();
    assert_eq!(led_to, ["again"]);
}

#[tokio::test]
async fn what_is_under_way_is_not_cancelled() {
    let mut queue = Queue::new();
    for number in 1..=2 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    assert_eq!(queue.deliveries.cancel(ONE, queue.now).await.unwrap(), 1);
    assert_eq!(queue.deliveries.cancel(ONE, queue.now).await.unwrap(), 0);
    assert_eq!(queue.shown(1).await, "waiting notice 2");
    assert_eq!(queue.shown(2).await, "cancelled notice 2");
    // Once it is not, it is.
    queue.again_after(1, 1, 5).await;
    assert_eq!(queue.deliveries.cancel(ONE, queue.now).await.unwrap(), 1);
}

#[tokio::test]
async fn one_destination_s_is_not_overtaken_by_another_s() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.settle(1, 1, Next::Delivered).await;
    // The other came later, and is told of another change.
    queue.take("1/2 notice reversed 0", TWO).await;
    assert_eq!(queue.lease(TWO, Lane::First, 1).await, [2]);
    queue.settle(2, 1, Next::Delivered).await;
    let filter = DeliveryFilter { destination_id: Some(ONE), ..DeliveryFilter::default() };
    let replayable = queue.deliveries.count_replayable(&filter).await.unwrap();
    assert_eq!(replayable, Replayable { count: 1, overtaken: 0 });
    assert_eq!(queue.deliveries.replay(&filter, queue.now).await.unwrap(), 1);
}

#[tokio::test]
async fn all_of_what_comes_over_is_taken_or_none_of_it() {
    let mut queue = Queue::new();
    let one = queue.incoming("1/1 notice approved 2", ONE);
    let two = queue.incoming("2/1 notice approved 2", ONE);
    // The second of that number cannot be written.
    let batch = vec![one.clone(), one.clone(), two.clone()];
    assert!(queue.deliveries.take_over(batch).await.is_err());
    assert_eq!(queue.deliveries.cursor().await.unwrap(), DeliveryId(0));
    assert!(queue.deliveries.find(DeliveryId(1)).await.unwrap().is_none());
    queue.deliveries.take_over(vec![one, two]).await.unwrap();
    assert_eq!(queue.lease(ONE, Lane::First, 9).await, [1, 2]);
}

#[tokio::test]
async fn only_a_pause_by_failures_ends_by_a_success() {
    for (by, is_ended) in
        [(PausedBy::Failures, true), (PausedBy::Gone, false), (PausedBy::Person, false)]
    {
        let mut queue = Queue::new();
        queue.take("1/1 notice approved 2", ONE).await;
        queue.lease(ONE, Lane::First, 1).await;
        let pause = Pause { at: NOW, by, why: String::new(), probe_at: None };
        queue.deliveries.pause(ONE, pause).await.unwrap();
        // What was under way then ends well.
        queue.settle(1, 1, Next::Delivered).await;
        let condition = queue.deliveries.conditions().await.unwrap().remove(0).1;
        assert_eq!(condition.pause.is_none(), is_ended, "{by:?}");
    }
}

#[tokio::test]
async fn what_was_never_sent_says_nothing_of_a_destination() {
    let mut queue = Queue::new();
    for number in 1..=2 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 2).await;
    for (id, next) in [(1, Next::Rejected), (2, Next::Again { at: queue.now })] {
        queue.settle_as(id, 1, next, Fate::Unmade).await;
    }
    assert_eq!(queue.deliveries.recent(NOW).await.unwrap(), []);
    assert_eq!(queue.deliveries.conditions().await.unwrap(), []);
}
