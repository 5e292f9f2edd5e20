//! Whatever happens in between: what a receiver of differences was told adds up to what stands, and
//! what any receiver hears last is what it was told last.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug)]
enum Step {
    Changes(i64),
    Delivers,
    /// It arrives, and nothing is heard of it.
    Unheard,
    /// It does not, and nothing is heard of that either.
    Lost,
    Fails,
    /// It does not want it; of what it has counted, it says that it has.
    Refused,
    Exhausted,
    /// What was delivered, or exhausted, refused, or all of it, is sent once more.
    Replayed(u8),
}

/// What a receiver makes of what it hears.
#[derive(Debug, Default)]
struct Receiver {
    /// By their keys, each of which counts once.
    arrived: BTreeSet<DeliveryId>,
    /// What was lost on the way, until it comes once more. Were it refused then, or given up, nobody
    /// could tell that it had never been counted.
    lost: BTreeSet<DeliveryId>,
    sum: i64,
    /// The last that was new.
    counted: i64,
    /// The last of all.
    heard: i64,
    log: Vec<String>,
}

impl Receiver {
    fn answer(&mut self, step: Step, one: &Delivery, again: Next) -> (Next, Fate) {
        let (next, fate) = match step {
            Step::Fails => return (again, Fate::TurnedAway),
            Step::Exhausted if !self.lost.contains(&one.id) => {
                return (Next::Exhausted, Fate::TurnedAway);
            }
            Step::Lost => {
                self.lost.insert(one.id);
                return (again, Fate::MayHaveArrived);
            }
            Step::Refused if self.arrived.contains(&one.id) => (Next::Rejected, Fate::TurnedAway),
            Step::Refused if !self.lost.contains(&one.id) => {
                return (Next::Rejected, Fate::TurnedAway);
            }
            Step::Unheard => (again, Fate::MayHaveArrived),
            _ => (Next::Delivered, Fate::MayHaveArrived),
        };
        let owed = &one.owed;
        self.heard = owed.payout.0;
        if self.arrived.insert(one.id) {
            self.counted = owed.payout.0;
            self.sum += owed.difference.0;
        }
        self.log.push(format!("{} {} {}", owed.sequence, owed.kind.name(), owed.difference));
        (next, fate)
    }
}

/// What the receiver has come to when all is sent.
async fn told(steps: &[Step]) -> Receiver {
    let mut queue = Queue::new();
    let (mut sequence, mut stands) = (0, 0);
    let mut receiver = Receiver::default();
    let last = std::iter::repeat_n(Step::Delivers, 40);
    for step in steps.iter().copied().chain(last) {
        if let Step::Changes(payout) = step {
            // As the ledger owes it: zero is a withdrawal.
            let kind = match (stands, payout) {
                (before, after) if before == after => continue,
                (0, _) => "notice",
                (_, 0) => "withdrawal",
                _ => "correction",
            };
            sequence += 1;
            let mut incoming =
                queue.incoming(&format!("1/{sequence} {kind} approved {payout}"), ONE);
            incoming.stored.owed.difference = Micros((payout - stands) * 1_000_000);
            queue.deliveries.take_over(vec![incoming]).await.unwrap();
            stands = payout;
            continue;
        }
        if let Step::Replayed(what) = step {
            let filter = match what {
                0 => DeliveryFilter { state: Some(State::Delivered), ..DeliveryFilter::default() },
                1 => DeliveryFilter { state: Some(State::Exhausted), ..DeliveryFilter::default() },
                2 => DeliveryFilter { state: Some(State::Rejected), ..DeliveryFilter::default() },
                _ => DeliveryFilter {
                    conversion_id: Some(ConversionId(1)),
                    ..DeliveryFilter::default()
                },
            };
            // A replay is known by when it was begun.
            queue.now = queue.now.plus_us(1);
            let counted = queue.deliveries.count_replayable(&filter).await.unwrap().count;
            let replayed = queue.deliveries.replay(&filter, queue.now).await.unwrap();
            assert_eq!(replayed, counted);
            continue;
        }
        queue.now = queue.now.plus_s(100);
        for lane in [Lane::First, Lane::Again, Lane::Past] {
            let times = (queue.now, queue.now.plus_s(60));
            for one in queue.deliveries.lease(ONE, lane, 1, times).await.unwrap() {
                let again = Next::Again { at: queue.now.plus_s(5) };
                let (next, fate) = receiver.answer(step, &one, again);
                queue.settle_as(one.id.0, one.attempts, next, fate).await;
            }
        }
    }
    receiver
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4_i64).prop_map(Step::Changes),
        1 => Just(Step::Delivers),
        1 => Just(Step::Unheard),
        1 => Just(Step::Lost),
        1 => Just(Step::Fails),
        1 => Just(Step::Refused),
        1 => Just(Step::Exhausted),
        1 => (0..4_u8).prop_map(Step::Replayed),
    ];
    prop::collection::vec(step, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn differences_add_up(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let receiver = runtime.block_on(told(&steps));
        prop_assert_eq!(receiver.sum, receiver.counted, "{:?}", receiver);
        prop_assert_eq!(receiver.heard, receiver.counted, "{:?}", receiver);
    }
}
