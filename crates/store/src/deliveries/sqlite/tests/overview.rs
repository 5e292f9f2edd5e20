//! What is counted of attempts, and seen of the queue as a whole.

use super::*;
use crate::deliveries::{Outcomes, Undecided, Waiting};

const HOUR_S: i64 = 3_600;
/// How many wait where looking at them is timed.
const MANY: u64 = 200_000;

fn outcomes(attempts: u64, good: u64) -> Outcomes {
    Outcomes { attempts, good }
}

#[tokio::test]
async fn attempts_are_counted_by_destination_and_hour() {
    let mut queue = Queue::new();
    for number in 1..=2 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 2).await;
    let attempt = |id: u64, destination_id, next| Attempt {
        delivery_id: DeliveryId(id),
        destination_id,
        number: 1,
        at: NOW,
        latency_ms: 1,
        method: "GET".to_owned(),
        url: String::new(),
        http_status: None,
        answer: None,
        error: None,
        fate: Fate::TurnedAway,
        next,
    };
    let batch = vec![
        attempt(1, ONE, Next::Delivered),
        attempt(2, ONE, Next::Unverified),
        attempt(3, TWO, Next::Again { at: NOW }),
        attempt(4, TWO, Next::Rejected),
        attempt(5, TWO, Next::Exhausted),
        attempt(6, TWO, Next::Delivered),
    ];
    queue.deliveries.settle(batch.into(), RULE).await.unwrap();
    queue.settle(1, 1, Next::Rejected).await;
    let recent = queue.deliveries.recent(NOW).await.unwrap();
    let hours: Vec<_> = recent.iter().map(|(id, recent)| (*id, recent.hour)).collect();
    assert_eq!(hours, [(ONE, outcomes(3, 2)), (TWO, outcomes(4, 1))]);
}

#[tokio::test]
async fn attempts_fall_out_of_an_hour_a_day_and_a_week() {
    let mut queue = Queue::new();
    queue.now = NOW.plus_s(HOUR_S - 1);
    queue.settle(1, 1, Next::Delivered).await;
    let none = outcomes(0, 0);
    let one = outcomes(1, 1);
    for (hours, expected) in [
        (0, Some([one, none, one, none])),
        (1, Some([none, one, one, none])),
        (2, Some([none, none, one, one])),
        (23, Some([none, none, one, one])),
        (24, Some([none, none, none, one])),
        (169, Some([none, none, none, one])),
        (170, Some([none; 4])),
        (192, None),
    ] {
        let recent = queue.deliveries.recent(NOW.plus_s(hours * HOUR_S)).await.unwrap();
        let found =
            recent.first().map(|(_, one)| [one.hour, one.hour_before, one.day, one.week_before]);
        assert_eq!(found, expected, "{hours}");
        let at = NOW.plus_s(hours * HOUR_S);
        let of_one = queue.deliveries.recent_of(ONE, at).await.unwrap();
        assert_eq!(of_one, recent.first().map(|(_, one)| *one).unwrap_or_default(), "{hours}");
        let of_other = queue.deliveries.recent_of(TWO, at).await.unwrap();
        assert_eq!(of_other, Recent::default());
    }
}

#[tokio::test]
async fn what_is_over_a_week_old_is_removed() {
    let mut queue = Queue::new();
    let rows = |queue: &Queue| -> u32 {
        let connection = Connection::open(queue.dir.path().join(FILE)).unwrap();
        let count = connection.query_row("select count(*) from outcome", [], |row| row.get(0));
        count.unwrap()
    };
    queue.settle(1, 1, Next::Delivered).await;
    queue.now = NOW.plus_s(191 * HOUR_S);
    queue.settle(2, 1, Next::Delivered).await;
    assert_eq!(rows(&queue), 2);
    queue.now = NOW.plus_s(192 * HOUR_S);
    queue.settle(3, 1, Next::Delivered).await;
    assert_eq!(rows(&queue), 2);
}

#[tokio::test]
async fn what_waits_is_counted_and_what_is_due_of_it() {
    let mut queue = Queue::new();
    for number in 1..=3 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.take("4/1 notice approved 2", TWO).await;
    queue.lease(ONE, Lane::First, 2).await;
    queue.settle(1, 1, Next::Delivered).await;
    queue.again_after(2, 1, 100).await;
    let waiting = queue.deliveries.waiting(NOW).await.unwrap();
    assert_eq!(waiting, Waiting { count: 3, due: 2 });
    let waiting = queue.deliveries.waiting(NOW.plus_s(100)).await.unwrap();
    assert_eq!(waiting, Waiting { count: 3, due: 3 });
    // What is behind another one waits, and is not due before that is settled.
    queue.take("4/2 notice reversed 0", TWO).await;
    let waiting = queue.deliveries.waiting(NOW.plus_s(100)).await.unwrap();
    assert_eq!(waiting, Waiting { count: 4, due: 3 });
    assert_eq!(Queue::new().deliveries.waiting(NOW).await.unwrap(), Waiting::default());
}

#[tokio::test]
async fn only_first_attempts_that_could_be_made_are_late() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.again_after(1, 1, 0).await;
    let late = async |queue: &Queue, s: i64| queue.deliveries.late(NOW.plus_s(s)).await.unwrap();
    assert_eq!(late(&queue, 99).await, [], "a second attempt is no first one");
    queue.take("1/2 withdrawal reversed 0", ONE).await;
    assert_eq!(late(&queue, 99).await, [], "it waits for the one before");
    queue.now = NOW.plus_s(7);
    queue.take("2/1 notice approved 2", ONE).await;
    queue.take("3/1 notice approved 2", TWO).await;
    assert_eq!(late(&queue, 7).await, []);
    let seven = NOW.plus_s(7);
    assert_eq!(late(&queue, 8).await, [(ONE, seven), (TWO, seven)]);
    let pause = Pause { at: NOW, by: PausedBy::Person, why: "x".to_owned(), probe_at: None };
    queue.deliveries.pause(ONE, pause).await.unwrap();
    assert_eq!(late(&queue, 8).await, [(TWO, seven)]);
}

#[tokio::test]
async fn a_person_decides_on_what_is_exhausted_or_held() {
    let mut queue = Queue::beside(NOW);
    assert_eq!(queue.deliveries.undecided().await.unwrap(), []);
    queue.take("1/1 notice approved 2", TWO).await;
    queue.now = NOW.plus_s(5);
    for number in 2..=3 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 2).await;
    queue.settle(2, 1, Next::Exhausted).await;
    queue.now = NOW.plus_s(9);
    queue.settle(3, 1, Next::Exhausted).await;
    let of = |destination_id, state, last_at| Undecided { destination_id, state, last_at };
    let undecided = queue.deliveries.undecided().await.unwrap();
    let ended_at = queue.attempt(3, 1, Next::Exhausted).ended_at();
    let held = of(TWO, State::Held, NOW);
    assert_eq!(undecided, [of(ONE, State::Exhausted, ended_at), held]);
    let exhausted = DeliveryFilter { state: Some(State::Exhausted), ..DeliveryFilter::default() };
    queue.deliveries.replay(&exhausted, queue.now).await.unwrap();
    assert_eq!(queue.deliveries.undecided().await.unwrap(), [held]);
}

#[tokio::test]
async fn many_that_wait_are_counted_and_looked_through() {
    let queue = Queue::new();
    let connection = Connection::open(queue.dir.path().join(FILE)).unwrap();
    let sql = "with recursive number (n) as (
            select 1 union all select n + 1 from number where n < ?1)
        insert into delivery (id, destination_id, conversion_id, sequence, kind, status, payout,
            difference, full_payout, full_difference, revenue, at, state, lane, due_at, attempts,
            attempts_past, is_replay, may_have_arrived, hears_corrections, hears_withdrawals)
        select n, n % 50, n, 1, 'notice', 'approved', 0, 0, 0, 0, 0, 0, 'waiting', 0, n, 0, 0, 0,
            0, 0, 0
        from number";
    connection.execute(sql, [MANY]).unwrap();
    let waiting = queue.deliveries.waiting(Timestamp::from_us(10)).await.unwrap();
    assert_eq!(waiting, Waiting { count: MANY, due: 10 });
    assert_eq!(queue.deliveries.late(Timestamp::from_us(10)).await.unwrap().len(), 9);
    assert_eq!(queue.deliveries.due().await.unwrap().len(), 50);
}
