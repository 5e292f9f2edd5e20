//! What a replay sends once more: the last that the receiver hears says what stands, and nothing
//! counts twice.

use super::*;
use crate::deliveries::Replayable;

fn of_state(state: State) -> DeliveryFilter {
    DeliveryFilter { state: Some(state), ..DeliveryFilter::default() }
}

/// What is sent, one after the other, until nothing is due; all of it arrives.
async fn heard(queue: &Queue, destination: DestinationId) -> Vec<(u64, String)> {
    let mut heard = Vec::new();
    loop {
        let mut leased = Vec::new();
        for lane in [Lane::First, Lane::Again, Lane::Past] {
            let times = (queue.now, queue.now.plus_s(60));
            leased.extend(queue.deliveries.lease(destination, lane, 10, times).await.unwrap());
        }
        if leased.is_empty() {
            return heard;
        }
        for one in leased {
            let (kind, owed) = (one.owed.kind.name(), &one.owed);
            let text = format!("{kind} {} {}", owed.status.name(), owed.payout);
            heard.push((one.id.0, text));
            queue.settle(one.id.0, one.attempts, Next::Delivered).await;
        }
    }
}

#[tokio::test]
async fn a_withdrawal_that_failed_is_not_replayed_once_the_conversion_counts_again() {
    for failed in [Next::Exhausted, Next::Rejected] {
        let mut queue = Queue::new();
        queue.take("1/1 notice approved 2", ONE).await;
        heard(&queue, ONE).await;
        queue.take("1/2 withdrawal reversed 0", ONE).await;
        assert_eq!(queue.lease(ONE, Lane::First, 1).await, [2]);
        queue.settle(2, 1, failed).await;
        // The receiver still counts it, so that it counts again is no news.
        assert_eq!(queue.take("1/3 notice approved 2", ONE).await, "cancelled notice 2");
        let filter = DeliveryFilter { id: Some(DeliveryId(2)), ..DeliveryFilter::default() };
        let replayable = queue.deliveries.count_replayable(&filter).await.unwrap();
        queue.deliveries.replay(&filter, queue.now).await.unwrap();
        let heard = heard(&queue, ONE).await;
        assert_eq!(heard, [], "an approved conversion is withdrawn for good");
        assert_eq!(replayable, Replayable { count: 0, overtaken: 1 });
    }
}

#[tokio::test]
async fn a_correction_that_failed_is_not_replayed_once_the_amount_is_what_it_was() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    heard(&queue, ONE).await;
    queue.take("1/2 correction approved 3", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [2]);
    queue.settle(2, 1, Next::Exhausted).await;
    assert_eq!(queue.take("1/3 correction approved 2", ONE).await, "cancelled correction 2");
    queue.deliveries.replay(&of_state(State::Exhausted), queue.now).await.unwrap();
    assert_eq!(heard(&queue, ONE).await, [], "the receiver comes to 3, and 2 stands");
}

#[tokio::test]
async fn what_was_refused_is_not_replayed_before_what_is_tried_in_its_place() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.settle(1, 1, Next::Rejected).await;
    // Nothing was told, so the correction is told as the notice: in full.
    assert_eq!(queue.take("1/2 correction approved 3", ONE).await, "waiting notice 3");
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [2]);
    queue.again_after(2, 1, 0).await;
    queue.deliveries.replay(&of_state(State::Rejected), queue.now).await.unwrap();
    let heard = heard(&queue, ONE).await;
    let sum: i64 = heard
        .iter()
        .map(|(_, text)| text.rsplit(' ').next().unwrap().parse::<i64>().unwrap())
        .sum();
    assert_eq!(sum, 3, "two notices under two keys: {heard:?}");
}

#[tokio::test]
async fn an_approval_is_not_replayed_beside_its_reversal_that_is_under_way() {
    let mut wrong = Vec::new();
    for (reversal, is_replay) in [
        ("1/2 withdrawal reversed 0", true),
        ("1/2 notice reversed 0", true),
        ("1/2 notice reversed 0", false),
    ] {
        let mut queue = Queue::new();
        queue.take("1/1 notice approved 2", ONE).await;
        heard(&queue, ONE).await;
        queue.take(reversal, ONE).await;
        let mut number = 1;
        if is_replay {
            heard(&queue, ONE).await;
            let second = DeliveryFilter { id: Some(DeliveryId(2)), ..DeliveryFilter::default() };
            assert_eq!(queue.deliveries.replay(&second, queue.now).await.unwrap(), 1);
            assert_eq!(queue.lease(ONE, Lane::Past, 1).await, [2]);
            number = 2;
        } else {
            assert_eq!(queue.lease(ONE, Lane::First, 1).await, [2]);
        }
        // While the reversal is on its way.
        queue.deliveries.replay(&of_state(State::Delivered), queue.now).await.unwrap();
        queue.settle(2, number, Next::Delivered).await;
        let heard = heard(&queue, ONE).await;
        if !heard.is_empty() {
            wrong.push((reversal, is_replay, heard));
        }
    }
    assert_eq!(wrong, [], "the approval is the last that is heard");
}

#[tokio::test]
async fn what_was_taken_back_is_not_told_after_a_restart_to_who_cannot_hear_that() {
    let mut wrong = Vec::new();
    for is_restart in [true, false] {
        let mut queue = Queue::new();
        queue.take("1/1 notice approved 2", TWO).await;
        assert_eq!(queue.lease(TWO, Lane::First, 1).await, [1]);
        queue.take("1/2 withdrawal reversed 0", TWO).await;
        if is_restart {
            queue = queue.reopen();
        } else {
            queue.now = queue.now.plus_s(61);
        }
        let sent = queue.lease(TWO, Lane::First, 1).await;
        if !sent.is_empty() {
            wrong.push((is_restart, sent));
        }
    }
    assert_eq!(wrong, [], "a reversed conversion is told as approved");
}

#[tokio::test]
async fn what_has_arrived_is_taken_back_though_a_replay_of_it_was_called_a_duplicate() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    heard(&queue, ONE).await;
    let one = DeliveryFilter { id: Some(DeliveryId(1)), ..DeliveryFilter::default() };
    queue.deliveries.replay(&one, queue.now).await.unwrap();
    assert_eq!(queue.lease(ONE, Lane::Past, 1).await, [1]);
    // `409`, or `ERROR: already notified`.
    queue.settle(1, 2, Next::Rejected).await;
    let taken = queue.take("1/2 withdrawal reversed 0", ONE).await;
    assert_eq!(taken, "waiting withdrawal -2", "the receiver counts it for good");
}

#[tokio::test]
async fn a_replay_that_is_cut_short_does_not_leave_an_approval_as_the_last() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    heard(&queue, ONE).await;
    for number in 2..=1_001 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.take("1/2 withdrawal reversed 0", ONE).await;
    assert_eq!(heard(&queue, ONE).await.len(), 1_001);
    // The server ends after the first chunk, or the second cannot be written.
    let path = queue.dir.path().join(FILE);
    let mut connection = Connection::open(path).unwrap();
    let filter = DeliveryFilter { destination_id: Some(ONE), ..DeliveryFilter::default() };
    let begun = once::begin(&connection, None, queue.now).unwrap();
    chunk::replay(&mut connection, &filter, &begun, queue.now).unwrap();
    drop(connection);
    let queue = queue.reopen();
    let heard = heard(&queue, ONE).await;
    let of_one: Vec<_> = heard.iter().filter(|(id, _)| *id == 1 || *id == 1_002).collect();
    assert_ne!(of_one.last().map(|(id, _)| *id), Some(1), "{of_one:?}");
}

/// Whoever cannot hear corrections would hear the old amount for good.
#[tokio::test]
async fn what_was_refused_is_not_told_in_place_of_what_stands() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", TWO).await;
    assert_eq!(queue.lease(TWO, Lane::First, 1).await, [1]);
    queue.settle(1, 1, Next::Rejected).await;
    // The destination is paused, say.
    assert_eq!(queue.take("1/2 correction approved 3", TWO).await, "waiting notice 3");
    queue.deliveries.replay(&of_state(State::Rejected), queue.now).await.unwrap();
    let heard = heard(&queue, TWO).await;
    assert_eq!(heard.last().unwrap().1, "notice approved 3", "{heard:?}");
}

/// A receiver of differences that was told nothing before the restore.
#[tokio::test]
async fn what_was_held_can_be_told_though_it_was_corrected_since() {
    let mut queue = Queue::beside(NOW);
    assert_eq!(queue.take("1/1 notice approved 2", ONE).await, "held notice 2");
    queue.now = queue.now.plus_s(1);
    assert_eq!(queue.take("1/2 correction approved 3", ONE).await, "waiting correction 1");
    heard(&queue, ONE).await;
    let mut count = 0;
    for filter in [
        of_state(State::Held),
        DeliveryFilter { conversion_id: Some(ConversionId(1)), ..DeliveryFilter::default() },
    ] {
        queue.deliveries.replay(&filter, queue.now).await.unwrap();
        count += heard(&queue, ONE).await.iter().filter(|(id, _)| *id == 1).count();
    }
    assert_eq!(count, 1, "no replay sends it: what was told adds up to 1, and 3 stands");
}
