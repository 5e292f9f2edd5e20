//! The queue of deliveries, step by step.

use super::*;
use crate::deliveries::{Fate, PausedBy, State};
use crate::list::StoredOwed;
use domain::conversion::Status;
use domain::destination::{Hearing, Next, Owed, OwedKind};
use domain::id::ConversionId;
use domain::money::Micros;

mod damage;
mod doubles;
mod filters;
mod keyed;
mod lanes;
mod lists;
mod news;
mod overview;
mod replays;
mod resumed;
mod retention;
mod sums;

const RULE: PauseRule = PauseRule { after_failures: 3, probe_every_s: 600 };
const NOW: Timestamp = Timestamp::from_s(1_800_000_000);
const ONE: DestinationId = DestinationId(1);
const TWO: DestinationId = DestinationId(2);

struct Queue {
    deliveries: SqliteDeliveries,
    dir: tempfile::TempDir,
    now: Timestamp,
    last: u64,
}

impl Queue {
    fn new() -> Self {
        Self::beside(Timestamp::UNIX_EPOCH)
    }

    /// New beside a journal that ends then.
    fn beside(ends_at: Timestamp) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let deliveries = SqliteDeliveries::open(&dir.path().join(FILE), [7; 16], ends_at).unwrap();
        Self { deliveries, dir, now: NOW, last: 0 }
    }

    fn reopen(self) -> Self {
        let Self { deliveries, dir, now, last } = self;
        drop(deliveries);
        let deliveries = SqliteDeliveries::open(&dir.path().join(FILE), [7; 16], now).unwrap();
        Self { deliveries, dir, now, last }
    }

    /// The same as it is in a backup, beside a journal that goes on until now.
    fn restored(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        copy(&self.dir.path().join(FILE), &path).unwrap();
        let deliveries = SqliteDeliveries::open(&path, [7; 16], self.now).unwrap();
        Self { deliveries, dir, now: self.now, last: self.last }
    }

    fn incoming(&mut self, text: &str, destination_id: DestinationId) -> Incoming {
        // `1/2 notice approved 2`
        let words: Vec<&str> = text.split([' ', '/']).collect();
        let [conversion, sequence, kind, status, payout] = words[..] else { panic!("{text}") };
        let payout = Micros(payout.parse::<i64>().unwrap() * 1_000_000);
        self.last += 1;
        let owed = Owed {
            destination_id,
            conversion_id: ConversionId(conversion.parse().unwrap()),
            sequence: sequence.parse().unwrap(),
            kind: OwedKind::from_name(kind).unwrap(),
            status: Status::from_name(status).unwrap(),
            payout,
            difference: payout,
            full_payout: payout,
            full_difference: payout,
            revenue: Micros::ZERO,
            at: self.now,
            backfilled_at: None,
        };
        let stored = StoredOwed { id: DeliveryId(self.last), owed };
        let is_heard = destination_id == ONE;
        let hearing = Hearing { corrections: is_heard, withdrawals: is_heard };
        Incoming { stored, due_at: self.now, hearing }
    }

    async fn take(&mut self, text: &str, destination: DestinationId) -> String {
        let incoming = self.incoming(text, destination);
        let id = incoming.stored.id;
        self.deliveries.take_over(vec![incoming]).await.unwrap();
        self.shown(id.0).await
    }

    /// State, kind and difference.
    async fn shown(&self, id: u64) -> String {
        let (found, _) = self.deliveries.find(DeliveryId(id)).await.unwrap().unwrap();
        let (state, kind) = (found.state.name(), found.owed.kind.name());
        format!("{state} {kind} {}", found.owed.difference)
    }

    async fn lease(&self, destination: DestinationId, lane: Lane, limit: u32) -> Vec<u64> {
        let times = (self.now, self.now.plus_s(60));
        let leased = self.deliveries.lease(destination, lane, limit, times).await.unwrap();
        leased.iter().map(|one| one.id.0).collect()
    }

    fn attempt(&self, id: u64, number: u32, next: Next) -> Attempt {
        let is_good = matches!(next, Next::Delivered | Next::Unverified);
        Attempt {
            delivery_id: DeliveryId(id),
            destination_id: ONE,
            number,
            at: self.now,
            latency_ms: 12,
            method: "GET".to_owned(),
            url: "https://t.example/".to_owned(),
            http_status: Some(if is_good { 200 } else { 503 }),
            answer: Some(vec![b'x'; 10_000]),
            error: None,
            fate: if is_good { Fate::MayHaveArrived } else { Fate::TurnedAway },
            next,
        }
    }

    async fn settle(&self, id: u64, number: u32, next: Next) -> Vec<DestinationId> {
        let attempt = self.attempt(id, number, next);
        self.deliveries.settle([attempt].into(), RULE).await.unwrap()
    }

    async fn settle_as(&self, id: u64, number: u32, next: Next, fate: Fate) {
        let attempt = Attempt { fate, ..self.attempt(id, number, next) };
        self.deliveries.settle([attempt].into(), RULE).await.unwrap();
    }

    /// Rows as they are, whatever has led there.
    fn put(&self, rows: impl IntoIterator<Item = Row>) {
        let mut connection = Connection::open(self.dir.path().join(FILE)).unwrap();
        let tx = connection.transaction().unwrap();
        let sql = "insert into delivery (id, destination_id, conversion_id, sequence, kind, status,
            payout, difference, full_payout, full_difference, revenue, at, state, lane, due_at,
            attempts, attempts_past, is_replay, may_have_arrived, hears_corrections,
            hears_withdrawals)
            values (?1, ?2, ?3, ?1, 'notice', 'approved', 0, 0, 0, 0, 0, ?4, ?5, ?6, ?7, 0, 0, 0, 0,
                1, 1)";
        for Row { id, destination, conversion, at, state, lane, due_at } in rows {
            let (at, due_at) = (at.as_us(), due_at.as_us());
            let values = (id, destination.0, conversion, at, state.name(), lane, due_at);
            tx.prepare_cached(sql).unwrap().execute(values).unwrap();
        }
        tx.commit().unwrap();
    }

    async fn again_after(&self, id: u64, number: u32, seconds: i64) -> Vec<DestinationId> {
        self.settle(id, number, Next::Again { at: self.now.plus_s(seconds) }).await
    }
}

/// What matters of a row.
#[derive(Clone, Copy, Debug)]
struct Row {
    id: u64,
    destination: DestinationId,
    conversion: u64,
    at: Timestamp,
    state: State,
    lane: u8,
    due_at: Timestamp,
}

impl Row {
    /// Of a conversion of its own.
    fn of(id: u64, destination: DestinationId, state: State) -> Self {
        Self { id, destination, conversion: id, at: NOW, state, lane: 0, due_at: NOW }
    }
}

/// Of a destination that nothing is wrong with.
fn due_of(
    destination_id: DestinationId,
    first: Option<Timestamp>,
    again: Option<Timestamp>,
) -> Due {
    Due { destination_id, first, again, past: None, failures: 0, is_paused: false, probe_at: None }
}

#[tokio::test]
async fn what_is_taken_over_twice_is_there_once() {
    let mut queue = Queue::new();
    let one = queue.incoming("1/1 notice approved 2", ONE);
    let two = queue.incoming("2/1 notice approved 2", ONE);
    queue.deliveries.take_over(vec![one.clone()]).await.unwrap();
    queue.deliveries.take_over(vec![one, two]).await.unwrap();
    assert_eq!(queue.deliveries.cursor().await.unwrap(), DeliveryId(2));
    let filter = DeliveryFilter { limit: 10, ..DeliveryFilter::default() };
    let all = queue.deliveries.list(&filter).await.unwrap();
    assert_eq!(all.items.iter().map(|one| one.id.0).collect::<Vec<_>>(), [2, 1]);
    let queue = queue.reopen();
    assert_eq!(queue.deliveries.cursor().await.unwrap(), DeliveryId(2));
}

#[tokio::test]
async fn what_was_not_sent_is_cancelled_by_what_takes_it_back() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", TWO).await;
    assert_eq!(queue.take("1/2 withdrawal reversed 0", TWO).await, "cancelled withdrawal 0");
    assert_eq!(queue.shown(1).await, "cancelled notice 2");
    assert!(queue.lease(TWO, Lane::First, 10).await.is_empty());
    // Approved once more, it is told.
    assert_eq!(queue.take("1/3 notice approved 2", TWO).await, "waiting notice 2");
}

#[tokio::test]
async fn what_was_sent_is_corrected_where_that_can_be_told() {
    for (destination, state) in [(ONE, "waiting"), (TWO, "uncorrectable")] {
        let mut queue = Queue::new();
        queue.take("1/1 notice approved 2", destination).await;
        queue.lease(destination, Lane::First, 1).await;
        // What is under way is waited for.
        queue.take("1/2 correction approved 5", destination).await;
        assert!(queue.lease(destination, Lane::First, 1).await.is_empty());
        queue.settle(1, 1, Next::Delivered).await;
        assert_eq!(queue.shown(2).await, format!("{state} correction 3"));
        let expected = format!("{state} correction 1");
        assert_eq!(queue.take("1/3 correction approved 3", destination).await, expected);
        // The corrections that wait were never sent either.
        let expected = format!("{state} withdrawal -2");
        assert_eq!(queue.take("1/4 withdrawal reversed 0", destination).await, expected);
    }
}

#[tokio::test]
async fn a_new_amount_replaces_a_notice_that_was_not_sent() {
    for destination in [ONE, TWO] {
        let mut queue = Queue::new();
        queue.take("1/1 notice approved 2", destination).await;
        let taken = queue.take("1/2 correction approved 3", destination).await;
        assert_eq!(taken, "waiting notice 3");
        assert_eq!(queue.lease(destination, Lane::First, 10).await, [2]);
    }
}

#[tokio::test]
async fn one_conversion_s_are_sent_in_their_order() {
    let mut queue = Queue::new();
    queue.take("1/1 notice pending 2", ONE).await;
    queue.take("1/2 notice approved 2", ONE).await;
    queue.take("2/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [1, 3]);
    assert!(queue.lease(ONE, Lane::First, 10).await.is_empty());
    queue.settle(3, 1, Next::Delivered).await;
    queue.again_after(1, 1, 5).await;
    assert!(queue.lease(ONE, Lane::First, 10).await.is_empty(), "the first has not arrived");
    let due = queue.deliveries.due().await.unwrap();
    assert_eq!((due[0].first, due[0].again), (None, Some(queue.now.plus_s(5))), "nor is it due");
    queue.now = queue.now.plus_s(5);
    assert_eq!(queue.lease(ONE, Lane::Again, 10).await, [1]);
    queue.settle(1, 2, Next::Delivered).await;
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [2]);
}

#[tokio::test]
async fn one_conversion_s_are_sent_in_their_order_once_more() {
    let mut queue = Queue::new();
    for (number, status) in (1..).zip(["pending", "approved", "reversed"]) {
        queue.take(&format!("1/{number} notice {status} 2"), ONE).await;
    }
    for id in [1, 2] {
        assert_eq!(queue.lease(ONE, Lane::First, 10).await, [id]);
        queue.settle(id, 1, Next::Delivered).await;
    }
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [3]);
    // While the last is under way the others would be heard after it.
    let delivered = DeliveryFilter { state: Some(State::Delivered), ..DeliveryFilter::default() };
    assert_eq!(queue.deliveries.replay(&delivered, queue.now).await.unwrap(), 0);
    queue.again_after(3, 1, 0).await;
    assert_eq!(queue.deliveries.replay(&delivered, queue.now).await.unwrap(), 2);
    for (lane, id) in [(Lane::Past, 1), (Lane::Past, 2), (Lane::Again, 3)] {
        assert_eq!(queue.lease(ONE, lane, 10).await, [id]);
        queue.settle(id, 2, Next::Delivered).await;
    }
}

#[tokio::test]
async fn what_is_behind_a_delivery_that_is_taken_back_moves_up() {
    let mut queue = Queue::beside(NOW);
    assert_eq!(queue.take("1/1 notice pending 2", ONE).await, "held notice 2");
    queue.now = queue.now.plus_s(1);
    queue.take("1/2 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [2]);
    queue.again_after(2, 1, 0).await;
    let held = DeliveryFilter { state: Some(State::Held), ..DeliveryFilter::default() };
    queue.deliveries.replay(&held, queue.now).await.unwrap();
    // The first may have arrived before the restore: that is found out, and taken back. The second
    // was turned away.
    queue.take("1/3 withdrawal reversed 0", ONE).await;
    assert_eq!(queue.shown(2).await, "cancelled notice 0");
    assert_eq!(queue.lease(ONE, Lane::Past, 10).await, [1]);
    queue.settle(1, 1, Next::Delivered).await;
    assert_eq!(queue.shown(3).await, "waiting withdrawal -2");
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [3]);
}

#[tokio::test]
async fn a_lease_that_has_run_out_is_another_s() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    assert!(queue.lease(ONE, Lane::First, 1).await.is_empty());
    queue.now = queue.now.plus_s(60);
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    // The first attempt comes back late: it is kept, and settles nothing.
    queue.settle(1, 1, Next::Rejected).await;
    assert_eq!(queue.shown(1).await, "waiting notice 2");
    queue.settle(1, 2, Next::Delivered).await;
    let (found, attempts) = queue.deliveries.find(DeliveryId(1)).await.unwrap().unwrap();
    assert_eq!((found.state, found.attempts), (State::Delivered, 2));
    let led_to: Vec<_> = attempts.iter().map(|one| (one.number, &*one.led_to)).collect();
    assert_eq!(led_to, [(1, "rejected"), (2, "delivered")]);
    assert_eq!(attempts[0].answer.as_ref().map(Vec::len), Some(4_096));
}

#[tokio::test]
async fn what_was_answered_is_settled_when_it_was() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    queue.lease(ONE, Lane::First, 1).await;
    let slow = Attempt { latency_ms: 15_000, ..queue.attempt(1, 1, Next::Delivered) };
    queue.deliveries.settle([slow].into(), RULE).await.unwrap();
    let (found, attempts) = queue.deliveries.find(DeliveryId(1)).await.unwrap().unwrap();
    assert_eq!((found.settled_at, attempts[0].at), (Some(NOW.plus_s(15)), NOW));
    let conditions = queue.deliveries.conditions().await.unwrap();
    assert_eq!(conditions[0].1.last_good_at, Some(NOW.plus_s(15)));
}

#[tokio::test]
async fn what_is_given_back_was_never_tried() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    queue.take("2/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 2).await, [1, 2]);
    for id in [1, 2] {
        queue.deliveries.give_back(DeliveryId(id), 1, id == 2, queue.now).await.unwrap();
        // Its lease is over.
        queue.deliveries.give_back(DeliveryId(id), 1, true, queue.now).await.unwrap();
    }
    assert_eq!(queue.shown(2).await, "uncorrectable notice 2");
    let (given, attempts) = queue.deliveries.find(DeliveryId(1)).await.unwrap().unwrap();
    assert_eq!((given.state, given.attempts, attempts.len()), (State::Waiting, 0, 0));
    assert_eq!(queue.lease(ONE, Lane::First, 2).await, [1], "in its lane");
    // What came meanwhile ends it then.
    queue.take("1/2 withdrawal reversed 0", ONE).await;
    assert_eq!(queue.shown(1).await, "waiting notice 2");
    queue.deliveries.give_back(DeliveryId(1), 1, false, queue.now).await.unwrap();
    assert_eq!(queue.shown(1).await, "cancelled notice 2");
    assert_eq!(queue.shown(3).await, "cancelled withdrawal 0");
}

#[tokio::test]
async fn first_attempts_and_others_are_due_apart() {
    let mut queue = Queue::new();
    for number in 1..=3 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.take("4/1 notice approved 2", TWO).await;
    queue.lease(ONE, Lane::First, 1).await;
    queue.again_after(1, 1, 5).await;
    let due = queue.deliveries.due().await.unwrap();
    let again = Some(queue.now.plus_s(5));
    let expected = [
        Due { failures: 1, ..due_of(ONE, Some(queue.now), again) },
        due_of(TWO, Some(queue.now), None),
    ];
    assert_eq!(due, expected);
}

#[tokio::test]
async fn one_that_keeps_failing_is_paused_and_one_success_brings_it_back() {
    let mut queue = Queue::new();
    for number in 1..=4 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 4).await;
    assert!(queue.again_after(1, 1, 5).await.is_empty());
    assert!(queue.again_after(2, 1, 5).await.is_empty());
    assert_eq!(queue.again_after(3, 1, 5).await, [ONE]);
    assert!(queue.again_after(4, 1, 5).await.is_empty(), "it is paused once");
    let condition = queue.deliveries.conditions().await.unwrap().remove(0).1;
    let pause = condition.pause.unwrap();
    assert_eq!((pause.by, pause.probe_at), (PausedBy::Failures, Some(queue.now.plus_s(600))));
    let due = queue.deliveries.due().await.unwrap().remove(0);
    assert_eq!((due.failures, due.is_paused, due.probe_at), (4, true, pause.probe_at));
    assert!(pause.why.contains("3 attempts") && pause.why.contains("503"), "{}", pause.why);
    queue.now = queue.now.plus_s(600);
    queue.lease(ONE, Lane::Again, 2).await;
    queue.again_after(1, 2, 300).await;
    let condition = queue.deliveries.conditions().await.unwrap().remove(0).1;
    assert_eq!(condition.pause.unwrap().probe_at, Some(queue.now.plus_s(600)));
    queue.settle(2, 2, Next::Delivered).await;
    let condition = queue.deliveries.conditions().await.unwrap().remove(0).1;
    assert_eq!((condition.failures, condition.pause), (0, None));
}

#[tokio::test]
async fn a_person_s_pause_is_ended_by_a_person() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    let pause =
        Pause { at: queue.now, by: PausedBy::Person, why: "a move".to_owned(), probe_at: None };
    queue.deliveries.pause(ONE, pause.clone()).await.unwrap();
    queue.lease(ONE, Lane::First, 1).await;
    queue.settle(1, 1, Next::Delivered).await;
    let condition = queue.deliveries.conditions().await.unwrap().remove(0).1;
    assert_eq!(condition.pause, Some(pause));
    queue.deliveries.resume(ONE).await.unwrap();
    assert_eq!(queue.deliveries.conditions().await.unwrap()[0].1.pause, None);
}

#[tokio::test]
async fn what_may_have_been_sent_before_a_restore_is_held() {
    let mut queue = Queue::beside(NOW);
    queue.take("1/1 notice approved 2", ONE).await;
    queue.take("2/1 notice approved 2", ONE).await;
    queue.now = queue.now.plus_s(1);
    queue.take("3/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [3]);
    let any = DeliveryFilter::default();
    assert_eq!(queue.deliveries.replay(&any, queue.now).await.unwrap(), 0);
    let held = DeliveryFilter { state: Some(State::Held), ..any };
    assert_eq!(queue.deliveries.count_replayable(&held).await.unwrap().count, 2);
    assert_eq!(queue.deliveries.replay(&held, queue.now).await.unwrap(), 2);
    assert_eq!(queue.lease(ONE, Lane::Past, 10).await, [1, 2]);
}

#[tokio::test]
async fn a_copy_holds_what_may_be_sent_meanwhile() {
    let mut queue = Queue::new();
    for number in 1..=3 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 2).await;
    queue.settle(1, 1, Next::Delivered).await;
    queue.now = queue.now.plus_s(1);
    let mut restored = queue.restored();
    // The journal's copy is newer than this file's.
    assert_eq!(restored.take("4/1 notice approved 2", ONE).await, "held notice 2");
    restored.now = restored.now.plus_s(1);
    assert_eq!(restored.take("5/1 notice approved 2", ONE).await, "waiting notice 2");
    assert_eq!(restored.shown(1).await, "delivered notice 2");
    assert_eq!(restored.shown(2).await, "held notice 2");
    assert_eq!(restored.shown(3).await, "held notice 2");
    assert_eq!(restored.lease(ONE, Lane::First, 9).await, [5]);
    assert_eq!(queue.lease(ONE, Lane::First, 9).await, [3], "the original goes on");
}

#[tokio::test]
async fn what_was_under_way_when_the_server_ended_is_begun_anew() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    let queue = queue.reopen();
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
}

#[tokio::test]
async fn what_is_sent_once_more_says_so_and_begins_its_waits_anew() {
    let mut queue = Queue::new();
    for number in 1..=3 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 2).await;
    queue.settle(1, 1, Next::Exhausted).await;
    queue.settle(2, 1, Next::Delivered).await;
    queue.now = queue.now.plus_s(100);
    let one = DeliveryFilter { conversion_id: Some(ConversionId(1)), ..DeliveryFilter::default() };
    assert_eq!(queue.deliveries.replay(&one, queue.now).await.unwrap(), 1);
    assert_eq!(queue.lease(ONE, Lane::Past, 10).await, [1]);
    let (found, _) = queue.deliveries.find(DeliveryId(1)).await.unwrap().unwrap();
    assert_eq!((found.attempts, found.attempts_past, found.is_replay), (2, 1, true));
    queue.settle(1, 2, Next::Delivered).await;
    let (_, attempts) = queue.deliveries.find(DeliveryId(1)).await.unwrap().unwrap();
    assert_eq!(attempts.iter().map(|one| one.is_replay).collect::<Vec<_>>(), [false, true]);
    let delivered = DeliveryFilter { state: Some(State::Delivered), ..DeliveryFilter::default() };
    assert_eq!(queue.deliveries.count_replayable(&delivered).await.unwrap().count, 2);
    let later = DeliveryFilter { from: Some(NOW.plus_s(1)), ..DeliveryFilter::default() };
    assert_eq!(queue.deliveries.count_replayable(&later).await.unwrap().count, 0);
    let second = DeliveryFilter { id: Some(DeliveryId(2)), ..DeliveryFilter::default() };
    assert_eq!(queue.deliveries.count_replayable(&second).await.unwrap().count, 1);
    let others = DeliveryFilter { except: vec![TWO, ONE], ..DeliveryFilter::default() };
    assert_eq!(queue.deliveries.replay(&others, queue.now).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_told_late_waits_behind_what_happens_now_and_is_tried_again() {
    let mut queue = Queue::beside(NOW);
    // What it tells of was there before the restore, and nobody was owed it.
    let mut late = queue.incoming("1/1 notice approved 2", ONE);
    late.stored.owed.backfilled_at = Some(NOW.plus_s(5));
    late.due_at = NOW.plus_s(5);
    queue.deliveries.take_over(vec![late]).await.unwrap();
    queue.now = queue.now.plus_s(5);
    assert_eq!(queue.take("2/1 notice approved 2", ONE).await, "waiting notice 2");
    let due = queue.deliveries.due().await.unwrap();
    let now = Some(queue.now);
    assert_eq!(due, [Due { past: now, ..due_of(ONE, now, None) }]);
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [2]);
    queue.again_after(2, 1, 0).await;
    let due = queue.deliveries.due().await.unwrap();
    assert_eq!(due, [Due { past: now, failures: 1, ..due_of(ONE, None, now) }]);
    assert_eq!(queue.lease(ONE, Lane::Again, 10).await, [2]);
    assert_eq!(queue.lease(ONE, Lane::Past, 10).await, [1]);
    // It stays behind them, tried again or resumed.
    queue.again_after(1, 1, 0).await;
    queue.again_after(2, 2, 0).await;
    queue.deliveries.resume(ONE).await.unwrap();
    let due = queue.deliveries.due().await.unwrap();
    assert_eq!(due, [Due { past: now, ..due_of(ONE, now, None) }]);
    let (found, _) = queue.deliveries.find(DeliveryId(1)).await.unwrap().unwrap();
    assert_eq!(found.owed.backfilled_at, now);
    // What is taken back before it was sent is not sent.
    let mut late = queue.incoming("3/1 notice approved 2", ONE);
    late.stored.owed.backfilled_at = now;
    queue.deliveries.take_over(vec![late]).await.unwrap();
    let taken = queue.take("3/2 withdrawal reversed 0", ONE).await;
    assert_eq!(taken, "cancelled withdrawal 0");
    assert_eq!(queue.shown(3).await, "cancelled notice 2");
    drop(queue.reopen());
}

#[tokio::test]
async fn what_waits_for_one_that_is_gone_is_cancelled() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    queue.take("2/1 notice approved 2", TWO).await;
    assert_eq!(queue.deliveries.cancel(ONE, queue.now).await.unwrap(), 1);
    assert_eq!(queue.shown(1).await, "cancelled notice 2");
    let figures = queue.deliveries.figures(queue.now).await.unwrap();
    let shown: Vec<_> = figures
        .iter()
        .map(|one| (one.destination_id, one.state.name(), one.count, one.oldest_due_at))
        .collect();
    assert_eq!(shown, [(ONE, "cancelled", 1, None), (TWO, "waiting", 1, Some(NOW))]);
}

#[tokio::test]
async fn what_is_held_for_one_that_is_gone_is_found_and_cancelled() {
    let mut queue = Queue::beside(NOW);
    assert_eq!(queue.take("1/1 notice approved 2", TWO).await, "held notice 2");
    assert_eq!(queue.deliveries.due().await.unwrap(), [due_of(TWO, None, None)]);
    assert_eq!(queue.deliveries.cancel(TWO, NOW).await.unwrap(), 1);
    assert_eq!(queue.shown(1).await, "cancelled notice 2");
    assert_eq!(queue.deliveries.due().await.unwrap(), []);
}

#[tokio::test]
async fn another_journal_s_file_and_one_that_is_newer_than_its_journal_are_refused() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    let path = queue.dir.path().join(FILE);
    let open = |journal: [u8; 16], ends_at| {
        let opened = SqliteDeliveries::open(&path, journal, ends_at);
        opened.map(drop).map_err(|error| error.to_string())
    };
    assert!(open([7; 16], NOW).is_ok());
    let before = Timestamp::from_us(NOW.as_us() - 1);
    assert!(open([7; 16], before).unwrap_err().contains("newer than the journal"));
    assert!(open([8; 16], NOW).unwrap_err().contains("another journal"));
}
