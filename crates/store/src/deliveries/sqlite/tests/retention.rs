//! What is old and personal is removed, and nothing else.

use super::*;

/// Stands in every URL, and in every answer.
const ADDRESS: &str = "198.51.100.77";

/// One attempt at a delivery of its own, then.
async fn attempted(queue: &mut Queue, number: u64, at: Timestamp) {
    queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    queue.lease(ONE, Lane::First, 1).await;
    let attempt = Attempt {
        delivery_id: DeliveryId(number),
        destination_id: ONE,
        number: 1,
        at,
        latency_ms: 12,
        method: "GET".to_owned(),
        url: format!("https://t.example/?ip={ADDRESS}"),
        http_status: Some(200),
        answer: Some(ADDRESS.repeat(200).into_bytes()),
        error: Some("it says no".to_owned()),
        fate: Fate::MayHaveArrived,
        next: Next::Rejected,
    };
    queue.deliveries.settle([attempt].into(), RULE).await.unwrap();
}

async fn found(queue: &Queue, number: u64) -> StoredAttempt {
    queue.deliveries.find(DeliveryId(number)).await.unwrap().unwrap().1.remove(0)
}

#[tokio::test]
async fn old_attempts_say_nothing_of_visitors() {
    let mut queue = Queue::new();
    attempted(&mut queue, 1, NOW).await;
    attempted(&mut queue, 2, NOW.plus_s(1)).await;
    let (whole, young) = (found(&queue, 1).await, found(&queue, 2).await);
    assert_eq!(queue.deliveries.remove_personal_before(NOW).await.unwrap(), 0);
    assert_eq!(found(&queue, 1).await, whole);
    assert_eq!(queue.deliveries.remove_personal_before(NOW.plus_s(1)).await.unwrap(), 1);
    let bare = StoredAttempt { url: None, answer: None, ..whole };
    assert_eq!((found(&queue, 1).await, found(&queue, 2).await), (bare, young));
    assert_eq!(queue.deliveries.remove_personal_before(NOW.plus_s(1)).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_removed_is_not_in_the_file_any_more() {
    let mut queue = Queue::new();
    for number in 1..=1_001 {
        attempted(&mut queue, number, NOW).await;
    }
    let file = |queue: &Queue| {
        let connection = Connection::open(queue.dir.path().join(FILE)).unwrap();
        connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())).unwrap();
        std::fs::read(queue.dir.path().join(FILE)).unwrap()
    };
    let holds = |bytes: &[u8]| bytes.windows(ADDRESS.len()).any(|one| one == ADDRESS.as_bytes());
    assert!(holds(&file(&queue)));
    let removed = queue.deliveries.remove_personal_before(NOW.plus_s(1)).await.unwrap();
    assert_eq!(removed, 1_001, "more than one chunk");
    assert!(!holds(&file(&queue)));
}
