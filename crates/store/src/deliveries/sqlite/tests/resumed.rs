//! A destination that is back is sent what waits, oldest first, however much it is: it is put back in
//! its place a chunk at a time, for others go on meanwhile.

use super::*;

/// More than two chunks of it.
const MANY: u64 = 2_500;
const FIRST: u8 = 0;
const AGAIN: u8 = 1;
const PAST: u8 = 2;

/// What waits of a destination that was away: every second one was tried.
fn waiting(destination: DestinationId, ids: std::ops::RangeInclusive<u64>) -> Vec<Row> {
    let row = |id| {
        let at = NOW.plus_s(i64::try_from(id).unwrap());
        let (lane, due_at) = if id % 2 == 0 { (AGAIN, at.plus_s(86_400)) } else { (FIRST, at) };
        Row { at, lane, due_at, ..Row::of(id, destination, State::Waiting) }
    };
    ids.map(row).collect()
}

impl Queue {
    /// How many are to be tried again at their time.
    fn tried(&self, destination: DestinationId) -> u64 {
        let connection = Connection::open(self.dir.path().join(FILE)).unwrap();
        let sql = "select count(*) from delivery
            where destination_id = ?1 and state = 'waiting' and lane = 1";
        connection.query_row(sql, [destination.0], |row| row.get(0)).unwrap()
    }

    fn put_paused(&self, by: PausedBy, destination: DestinationId) {
        let sql = "insert into destination (id, failures, paused_at, paused_by, paused_why)
            values (?1, 9, 0, ?2, '')";
        let connection = Connection::open(self.dir.path().join(FILE)).unwrap();
        connection.execute(sql, (destination.0, by.name())).unwrap();
    }
}

#[tokio::test]
async fn what_was_tried_is_put_back_in_chunks_and_goes_on_after_a_restart() {
    let mut queue = Queue::new();
    queue.put(waiting(ONE, 1..=MANY));
    queue.put_paused(PausedBy::Person, ONE);
    queue.now = NOW.plus_s(86_400);
    assert_eq!(queue.tried(ONE), 1_250);
    queue.deliveries.resume(ONE).await.unwrap();
    assert_eq!(queue.tried(ONE), 750);
    assert!(!queue.deliveries.due().await.unwrap()[0].is_paused);
    assert_eq!(queue.tried(ONE), 250);
    let queue = queue.reopen();
    let mut sent = Vec::new();
    while sent.len() < 2_500 {
        queue.deliveries.due().await.unwrap();
        sent.extend(queue.lease(ONE, Lane::First, 90).await);
    }
    assert!(sent.is_sorted(), "oldest first: {sent:?}");
    assert_eq!(queue.tried(ONE), 0);
}

#[tokio::test]
async fn one_success_puts_back_no_more_than_a_chunk_at_once() {
    let mut queue = Queue::new();
    queue.put(waiting(ONE, 1..=MANY));
    queue.put_paused(PausedBy::Failures, ONE);
    queue.now = NOW.plus_s(86_400);
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.settle(1, 1, Next::Delivered).await;
    let left = queue.tried(ONE);
    assert!((740..=760).contains(&left), "{left}");
    for _ in 0..2 {
        queue.deliveries.due().await.unwrap();
    }
    assert_eq!(queue.tried(ONE), 0);
}

#[tokio::test]
async fn what_is_tried_after_all_was_put_back_waits_its_time() {
    let mut queue = Queue::new();
    queue.put(waiting(ONE, 1..=10));
    queue.put_paused(PausedBy::Person, ONE);
    queue.now = NOW.plus_s(86_400);
    queue.deliveries.resume(ONE).await.unwrap();
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.again_after(1, 1, 5).await;
    let due = queue.deliveries.due().await.unwrap();
    assert_eq!(due[0].again, Some(queue.now.plus_s(5)));
    assert_eq!(queue.tried(ONE), 1);
}

#[tokio::test]
async fn each_of_many_that_are_back_gets_a_share_and_others_none() {
    let queue = Queue::new();
    let destinations: Vec<_> = (1..=25).map(DestinationId).collect();
    let of = |number: u64| (number * 2_000 + 1)..=(number * 2_000 + 1_300);
    for (number, destination) in (0..).zip(&destinations) {
        queue.put(waiting(*destination, of(number)));
        queue.put_paused(PausedBy::Person, *destination);
    }
    let backfilled = Row { lane: PAST, ..Row::of(99_000, ONE, State::Waiting) };
    queue.put([backfilled]);
    for destination in &destinations[..24] {
        queue.deliveries.resume(*destination).await.unwrap();
    }
    for left in [150, 100, 50, 0] {
        let tried: Vec<u64> = destinations.iter().map(|one| queue.tried(*one)).collect();
        assert_eq!(tried[..24], [left; 24]);
        assert_eq!(tried[24], 650, "it is paused");
        queue.deliveries.due().await.unwrap();
    }
    let (found, _) = queue.deliveries.find(DeliveryId(99_000)).await.unwrap().unwrap();
    assert_eq!(found.due_at, NOW);
    assert_eq!(queue.lease(ONE, Lane::Past, 1).await, [99_000]);
}
