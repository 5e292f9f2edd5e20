//! Replays that are cut off, and asked for again under their key.

use super::*;

/// More than one chunk of them.
const MANY: u64 = 1_500;

#[tokio::test]
async fn a_replay_that_was_cut_off_goes_on_where_it_was() {
    let mut queue = Queue::new();
    let all =
        (1..=MANY).map(|number| queue.incoming(&format!("{number}/1 notice approved 2"), ONE));
    let all = all.collect();
    queue.deliveries.take_over(all).await.unwrap();
    let sent = async |queue: &Queue, lane: Lane, attempt: u32| {
        let limit = u32::try_from(MANY).unwrap();
        let ids = queue.lease(ONE, lane, limit).await;
        let attempts: Vec<_> =
            ids.iter().map(|id| queue.attempt(*id, attempt, Next::Delivered)).collect();
        queue.deliveries.settle(attempts.into(), RULE).await.unwrap();
        ids.len() as u64
    };
    assert_eq!(sent(&queue, Lane::First, 1).await, MANY);
    let filter = DeliveryFilter { destination_id: Some(ONE), ..DeliveryFilter::default() };
    let under = Idempotency { key: "k".to_owned(), request: "r".to_owned() };
    // One chunk is done, and then the server is gone.
    {
        let mut connection = Connection::open(queue.dir.path().join(FILE)).unwrap();
        let begun = once::begin(&connection, Some(&under), queue.now).unwrap();
        assert_eq!((begun.count, begun.last, begun.next), (0, MANY, Some(0)));
        let done = chunk::replay(&mut connection, &filter, &begun, queue.now).unwrap();
        assert_eq!(done, (1_000, Some(1_000)));
    }
    let queue = queue.reopen();
    let cut_off = Replayed { request: "r".to_owned(), count: 1_000, is_done: false };
    assert_eq!(queue.deliveries.replayed("k").await.unwrap(), Some(cut_off));
    assert_eq!(queue.deliveries.replayed("other").await.unwrap(), None);
    assert_eq!(sent(&queue, Lane::Past, 2).await, 1_000);
    for _ in 0..2 {
        let all = queue.deliveries.replay_once(&filter, &under, queue.now).await.unwrap();
        assert_eq!(all, MANY);
        let done = queue.deliveries.replayed("k").await.unwrap().unwrap();
        assert!(done.is_done && done.count == MANY, "{done:?}");
    }
    assert_eq!(sent(&queue, Lane::Past, 2).await, 500, "each once more, and once");
}

/// What is settled between two chunks is of the state that is replayed again.
#[tokio::test]
async fn what_a_replay_has_sent_once_more_it_does_not_send_again() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    for number in 2..=MANY {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    let deliver = async |queue: &Queue, lane: Lane| {
        let mut sent = Vec::new();
        loop {
            let ids = queue.lease(ONE, lane, 2_000).await;
            if ids.is_empty() {
                return sent;
            }
            let mut attempts = Vec::new();
            for id in &ids {
                let (found, _) = queue.deliveries.find(DeliveryId(*id)).await.unwrap().unwrap();
                attempts.push(queue.attempt(*id, found.attempts, Next::Delivered));
            }
            queue.deliveries.settle(attempts.into(), RULE).await.unwrap();
            sent.extend(ids);
        }
    };
    assert_eq!(deliver(&queue, Lane::First).await.len() as u64, MANY);
    queue.take("1/2 withdrawal reversed 0", ONE).await;
    assert_eq!(deliver(&queue, Lane::First).await, [MANY + 1]);
    let filter = DeliveryFilter { destination_id: Some(ONE), ..DeliveryFilter::default() };
    let mut connection = Connection::open(queue.dir.path().join(FILE)).unwrap();
    let mut begun = once::begin(&connection, None, queue.now).unwrap();
    queue.take("5000/1 notice approved 2", ONE).await;
    assert_eq!(deliver(&queue, Lane::First).await, [MANY + 2]);
    let mut sent = Vec::new();
    while begun.next.is_some() {
        let (count, next) = chunk::replay(&mut connection, &filter, &begun, queue.now).unwrap();
        (begun.count, begun.next) = (begun.count + count, next);
        sent.extend(deliver(&queue, Lane::Past).await);
    }
    sent.sort_unstable();
    assert_eq!(sent, (1..=MANY + 1).collect::<Vec<_>>(), "nor what came while it ran");
    assert_eq!(begun.count, MANY + 1);
}
