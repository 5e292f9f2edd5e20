//! Whatever happens in between: what a receiver of differences was told adds up to what stands.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Changes(i64),
    Delivers,
    /// It arrives, and nothing is heard of it.
    Unheard,
    /// It does not, and nothing is heard of that either.
    Lost,
    Fails,
    Refused,
}

/// What was told adds up to, what the last that was heard says, and all that was.
async fn told(steps: &[Step]) -> (i64, Option<i64>, Vec<String>) {
    let mut queue = Queue::new();
    let (mut sequence, mut stands, mut sum, mut heard) = (0, 0, 0, None);
    let mut arrived = std::collections::BTreeSet::new();
    let mut log = Vec::new();
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
        queue.now = queue.now.plus_s(100);
        for lane in [Lane::First, Lane::Again, Lane::Past] {
            let times = (queue.now, queue.now.plus_s(60));
            for one in queue.deliveries.lease(ONE, lane, 1, times).await.unwrap() {
                let again = Next::Again { at: queue.now.plus_s(5) };
                let (next, fate) = match step {
                    Step::Fails => (again, Fate::TurnedAway),
                    Step::Unheard | Step::Lost => (again, Fate::MayHaveArrived),
                    Step::Refused if !arrived.contains(&one.id) => {
                        (Next::Rejected, Fate::TurnedAway)
                    }
                    _ => (Next::Delivered, Fate::MayHaveArrived),
                };
                // The key is counted once.
                let arrives = fate == Fate::MayHaveArrived && !matches!(step, Step::Lost);
                if arrives && arrived.insert(one.id) {
                    heard = Some(one.owed.payout.0);
                    sum += one.owed.difference.0;
                    log.push(format!(
                        "{} {} {}",
                        one.owed.sequence,
                        one.owed.kind.name(),
                        one.owed.difference
                    ));
                }
                queue.settle_as(one.id.0, one.attempts, next, fate).await;
            }
        }
    }
    (sum, heard, log)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4_i64).prop_map(Step::Changes),
        1 => Just(Step::Delivers),
        1 => Just(Step::Unheard),
        1 => Just(Step::Lost),
        1 => Just(Step::Fails),
        1 => Just(Step::Refused),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn differences_add_up(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (sum, heard, log) = runtime.block_on(told(&steps));
        prop_assert_eq!(sum, heard.unwrap_or(0), "{:?}", log);
    }
}
