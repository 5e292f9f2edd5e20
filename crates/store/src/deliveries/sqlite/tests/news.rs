//! What is told is what is news to the receiver: whatever it refused, missed, or cannot hear.

use super::*;

impl Queue {
    /// Sends the next one at once, and settles it so.
    async fn try_next(&mut self, lane: Lane, id: u64, number: u32, next: Next) {
        assert_eq!(self.lease(ONE, lane, 1).await, [id]);
        self.settle(id, number, next).await;
    }

    /// The same of any destination.
    async fn settle_first(&mut self, destination: DestinationId, id: u64, next: Next) {
        assert_eq!(self.lease(destination, Lane::First, 1).await, [id]);
        self.settle(id, 1, next).await;
    }

    /// State, kind and payout: what `{payout}` says of a notice.
    async fn payout(&self, id: u64) -> String {
        let (found, _) = self.deliveries.find(DeliveryId(id)).await.unwrap().unwrap();
        format!("{} {} {}", found.state.name(), found.owed.kind.name(), found.owed.payout)
    }
}

#[tokio::test]
async fn what_was_told_and_could_not_be_taken_back_is_not_told_as_new() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", TWO).await;
    queue.settle_first(TWO, 1, Next::Delivered).await;
    assert_eq!(queue.take("1/2 withdrawal reversed 0", TWO).await, "uncorrectable withdrawal -2");
    // The receiver still counts 2: a second notice of 2 under another key makes it 4.
    let taken = queue.take("1/3 notice approved 2", TWO).await;
    assert!(!taken.starts_with("waiting"), "{taken}");
}

#[tokio::test]
async fn a_notice_on_top_of_a_withdrawal_that_was_never_sent_is_not_sent_whole() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    queue.try_next(Lane::First, 1, 1, Next::Delivered).await;
    // The destination is paused now, so none of these is sent.
    queue.take("1/2 withdrawal reversed 0", ONE).await;
    queue.take("1/3 notice approved 2", ONE).await;
    queue.take("1/4 correction approved 3", ONE).await;
    // The receiver has 2 and must come to 3: withdrawal and notice of 3, or a correction by 1.
    let (withdrawal, last) = (queue.payout(2).await, queue.payout(4).await);
    let is_right = last == "waiting correction 3" || withdrawal.starts_with("waiting");
    assert!(is_right, "{withdrawal}, {last}: the receiver comes to 2 + 3");
}

#[tokio::test]
async fn what_cannot_be_corrected_is_not_tried_again_once_it_is_taken_back() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", TWO).await;
    let again = Next::Again { at: queue.now.plus_s(5) };
    queue.settle_first(TWO, 1, again).await;
    queue.take("1/2 withdrawal reversed 0", TWO).await;
    queue.now = queue.now.plus_s(5);
    let sent = queue.lease(TWO, Lane::Again, 1).await;
    assert!(sent.is_empty(), "a reversed conversion is told as approved, for good: {sent:?}");
}

#[tokio::test]
async fn a_replay_does_not_tell_what_was_taken_back_since() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.settle_as(1, 1, Next::Exhausted, Fate::MayHaveArrived).await;
    assert_eq!(queue.take("1/2 withdrawal reversed 0", ONE).await, "waiting withdrawal -2");
    queue.try_next(Lane::First, 2, 1, Next::Delivered).await;
    let exhausted = DeliveryFilter { state: Some(State::Exhausted), ..DeliveryFilter::default() };
    let replayable = queue.deliveries.count_replayable(&exhausted).await.unwrap();
    assert_eq!(replayable, Replayable { count: 0, overtaken: 1 });
    assert_eq!(queue.deliveries.replay(&exhausted, queue.now).await.unwrap(), 0);
    // All of it may be told once more, in its order.
    let all = DeliveryFilter { conversion_id: Some(ConversionId(1)), ..DeliveryFilter::default() };
    let replayable = queue.deliveries.count_replayable(&all).await.unwrap();
    assert_eq!(replayable, Replayable { count: 2, overtaken: 0 });
    assert_eq!(queue.deliveries.replay(&all, queue.now).await.unwrap(), 2);
    queue.try_next(Lane::Past, 1, 2, Next::Delivered).await;
    queue.try_next(Lane::Past, 2, 2, Next::Delivered).await;
}

#[tokio::test]
async fn what_was_taken_back_unsaid_is_not_replayed() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    queue.try_next(Lane::First, 1, 1, Next::Rejected).await;
    assert_eq!(queue.take("1/2 withdrawal reversed 0", ONE).await, "cancelled withdrawal 0");
    let rejected = DeliveryFilter { state: Some(State::Rejected), ..DeliveryFilter::default() };
    let replayable = queue.deliveries.count_replayable(&rejected).await.unwrap();
    assert_eq!(replayable, Replayable { count: 0, overtaken: 1 });
    // Where it counts again, that is what is told.
    assert_eq!(queue.take("1/3 notice approved 2", ONE).await, "waiting notice 2");
}

#[tokio::test]
async fn what_is_under_way_is_tried_again_only_where_it_may_have_to_be_taken_back() {
    for (destination, fate, notice, withdrawal) in [
        (ONE, Fate::TurnedAway, "cancelled notice 2", "cancelled withdrawal 0"),
        (TWO, Fate::TurnedAway, "cancelled notice 2", "cancelled withdrawal 0"),
        (ONE, Fate::MayHaveArrived, "waiting notice 2", "waiting withdrawal 0"),
        (TWO, Fate::MayHaveArrived, "cancelled notice 2", "uncorrectable withdrawal -2"),
    ] {
        let mut queue = Queue::new();
        queue.take("1/1 notice approved 2", destination).await;
        assert_eq!(queue.lease(destination, Lane::First, 1).await, [1]);
        queue.take("1/2 withdrawal reversed 0", destination).await;
        queue.settle_as(1, 1, Next::Again { at: queue.now }, fate).await;
        assert_eq!(queue.shown(1).await, notice);
        assert_eq!(queue.shown(2).await, withdrawal);
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_tried_until_it_is_known_what_there_is_to_correct() {
    for (next, correction) in [
        (Next::Delivered, "waiting correction 1"),
        // It may not want what it has counted already.
        (Next::Rejected, "waiting correction 1"),
    ] {
        let mut queue = Queue::new();
        queue.take("1/1 notice approved 2", ONE).await;
        assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
        queue.settle_as(1, 1, Next::Again { at: queue.now }, Fate::MayHaveArrived).await;
        queue.take("1/2 correction approved 3", ONE).await;
        queue.try_next(Lane::Again, 1, 2, next).await;
        assert_eq!(queue.shown(2).await, correction);
    }
}

#[tokio::test]
async fn who_says_no_to_some_is_not_paused() {
    let mut queue = Queue::new();
    for number in 1..=4 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 4).await;
    for (id, status) in [(1, 503), (2, 503), (3, 200), (4, 503)] {
        let next = Next::Rejected;
        let attempt = Attempt { http_status: Some(status), ..queue.attempt(id, 1, next) };
        let paused = queue.deliveries.settle([attempt].into(), RULE).await.unwrap();
        assert_eq!(paused, [], "{id}");
    }
    let condition = queue.deliveries.conditions().await.unwrap().remove(0).1;
    assert_eq!((condition.failures, condition.last_good_at), (1, None));
}

#[tokio::test]
async fn who_is_back_is_sent_the_oldest_first() {
    let mut queue = Queue::new();
    for number in 1..=5 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
        queue.now = queue.now.plus_s(1);
    }
    queue.lease(ONE, Lane::First, 3).await;
    for id in 1..=3 {
        queue.again_after(id, 1, 3_600).await;
    }
    assert!(queue.deliveries.due().await.unwrap()[0].is_paused);
    queue.deliveries.resume(ONE).await.unwrap();
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_was_held_does_not_arrive_behind_its_own_withdrawal() {
    let mut queue = Queue::beside(NOW);
    assert_eq!(queue.take("1/1 notice approved 2", ONE).await, "held notice 2");
    queue.now = queue.now.plus_s(1);
    queue.take("1/2 withdrawal reversed 0", ONE).await;
    queue.try_next(Lane::First, 2, 1, Next::Delivered).await;
    let held = DeliveryFilter { state: Some(State::Held), ..DeliveryFilter::default() };
    queue.deliveries.replay(&held, queue.now).await.unwrap();
    let sent = queue.lease(ONE, Lane::Again, 10).await;
    assert!(sent.is_empty(), "the receiver counts a reversed conversion: {sent:?}");
}

#[tokio::test]
async fn what_the_receiver_refused_is_not_taken_back_from_it() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    queue.try_next(Lane::First, 1, 1, Next::Rejected).await;
    let taken = queue.take("1/2 withdrawal reversed 0", ONE).await;
    assert!(!taken.starts_with("waiting"), "{taken} of what it never counted");
}

#[tokio::test]
async fn a_probe_that_hears_that_it_is_gone_is_the_last() {
    let mut queue = Queue::new();
    for number in 1..=4 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 3).await;
    for id in 1..=3 {
        queue.again_after(id, 1, 5).await;
    }
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [4]);
    let gone = Attempt { http_status: Some(410), ..queue.attempt(4, 1, Next::Rejected) };
    queue.deliveries.settle([gone].into(), RULE).await.unwrap();
    let pause = queue.deliveries.conditions().await.unwrap().remove(0).1.pause.unwrap();
    assert_eq!((pause.by, pause.probe_at), (PausedBy::Gone, None));
}

#[tokio::test]
async fn what_was_never_sent_does_not_pause_whoever_never_failed() {
    let mut queue = Queue::new();
    for number in 1..=3 {
        queue.take(&format!("{number}/1 notice approved 2"), ONE).await;
    }
    queue.lease(ONE, Lane::First, 3).await;
    for id in 1..=3 {
        let unmade = Attempt {
            http_status: None,
            fate: Fate::Unmade,
            ..queue.attempt(id, 1, Next::Rejected)
        };
        queue.deliveries.settle([unmade].into(), RULE).await.unwrap();
    }
    let pauses = queue.deliveries.conditions().await.unwrap();
    assert!(pauses.iter().all(|(_, one)| one.pause.is_none()), "{pauses:?}");
}

#[tokio::test]
async fn what_arrived_while_its_destination_was_archived_is_shown_so() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.deliveries.cancel(ONE, queue.now).await.unwrap();
    queue.settle(1, 1, Next::Delivered).await;
    assert_eq!(queue.shown(1).await, "delivered notice 2");
}

/// A server that ended between a request and its answer has not heard a failure.
#[tokio::test]
async fn attempts_that_a_restart_cut_off_use_up_no_wait() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    for _ in 0..9 {
        assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
        queue = queue.reopen();
    }
    let times = (queue.now, queue.now.plus_s(60));
    let leased = queue.deliveries.lease(ONE, Lane::First, 1, times).await.unwrap().remove(0);
    // As the sender counts them.
    let tries = leased.attempts - leased.attempts_past;
    let outbound = domain::outbound::Outbound::calling("https://t.example/".to_owned());
    let schedule = domain::destination::Schedule::default();
    let none = domain::destination::Answer::None;
    let next = schedule.next(&outbound, none, (DeliveryId(1), tries), queue.now);
    assert_ne!(next, Next::Exhausted, "the first failure that was heard of is the last try");
}

#[tokio::test]
async fn a_probe_takes_the_oldest_that_waits_whether_it_is_due_or_not() {
    let mut queue = Queue::new();
    let times = |queue: &Queue| (queue.now, queue.now.plus_s(60));
    assert_eq!(queue.deliveries.probe(ONE, times(&queue)).await.unwrap(), None);
    for id in [1, 2] {
        queue.take(&format!("{id}/1 notice approved 2"), ONE).await;
        assert_eq!(queue.lease(ONE, Lane::First, 10).await, [id]);
        queue.again_after(id, 1, 3_600 * i64::try_from(id).unwrap()).await;
    }
    queue.take("3/1 notice approved 2", TWO).await;
    let probed = queue.deliveries.probe(ONE, times(&queue)).await.unwrap().unwrap();
    assert_eq!((probed.id, probed.attempts), (DeliveryId(1), 2));
    let other = queue.deliveries.probe(ONE, times(&queue)).await.unwrap().unwrap();
    assert_eq!(other.id, DeliveryId(2), "the first is under way");
    assert_eq!(queue.deliveries.probe(ONE, times(&queue)).await.unwrap(), None);
    queue.settle(1, 2, Next::Delivered).await;
    assert_eq!(queue.shown(1).await, "delivered notice 2");
    // Nothing was heard of the other one.
    queue.now = queue.now.plus_s(60);
    let again = queue.deliveries.probe(ONE, times(&queue)).await.unwrap().unwrap();
    assert_eq!((again.id, again.attempts, again.may_have_arrived), (DeliveryId(2), 3, true));
}

#[tokio::test]
async fn probes_use_up_no_waits_and_send_nothing_before_its_delay_is_over() {
    let mut queue = Queue::new();
    let times = |queue: &Queue| (queue.now, queue.now.plus_s(60));
    let mut delayed = queue.incoming("1/1 notice approved 2", ONE);
    delayed.due_at = queue.now.plus_days(7);
    queue.deliveries.take_over(vec![delayed]).await.unwrap();
    assert_eq!(queue.deliveries.probe(ONE, times(&queue)).await.unwrap(), None);
    queue.take("2/1 notice approved 2", ONE).await;
    assert_eq!(queue.lease(ONE, Lane::First, 10).await, [2]);
    queue.again_after(2, 1, 3_600).await;
    for number in 2..=20 {
        let probed = queue.deliveries.probe(ONE, times(&queue)).await.unwrap().unwrap();
        assert_eq!((probed.id, probed.attempts), (DeliveryId(2), number));
        assert_eq!(probed.attempts - probed.attempts_past, 1, "the first wait is begun again");
        queue.again_after(2, number, 3_600).await;
    }
}

#[tokio::test]
async fn a_probe_whose_request_cannot_be_made_just_now_is_not_made_again_at_once() {
    let mut queue = Queue::new();
    for id in 1..=RULE.after_failures {
        queue.take(&format!("{id}/1 notice approved 2"), ONE).await;
        assert_eq!(queue.lease(ONE, Lane::First, 1).await, [u64::from(id)]);
        queue.again_after(id.into(), 1, 3_600).await;
    }
    let probe_at = async |queue: &Queue| {
        let conditions = queue.deliveries.conditions().await.unwrap();
        conditions[0].1.pause.clone().unwrap().probe_at.unwrap()
    };
    let first = probe_at(&queue).await;
    queue.now = first;
    let times = (queue.now, queue.now.plus_s(60));
    let probed = queue.deliveries.probe(ONE, times).await.unwrap().unwrap();
    let next = Next::Again { at: queue.now };
    queue.settle_as(probed.id.0, probed.attempts, next, Fate::Unmade).await;
    assert!(probe_at(&queue).await > first);
}
