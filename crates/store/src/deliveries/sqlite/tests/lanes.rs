//! Whatever happens to the deliveries of a conversion, they get their turn, and in their order.

use super::*;
use proptest::prelude::*;

async fn holds(queue: &Queue) -> Result<(), TestCaseError> {
    let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    let mut all = queue.deliveries.list(&filter).await.unwrap().items;
    all.retain(|one| one.state == State::Waiting);
    all.sort_by_key(|one| one.owed.sequence);
    let due = queue.deliveries.due().await.unwrap();
    let is_due = due.iter().any(|one| one.lanes().iter().any(|(_, due_at)| due_at.is_some()));
    prop_assert_eq!(is_due, !all.is_empty(), "stuck: {:?}", all);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn they_get_their_turn_in_their_order(steps in prop::collection::vec((0..9_u8, 0..4_u8), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut queue = Queue::beside(NOW);
            let (mut sequence, mut told) = (0, false);
            let mut under_way: Vec<(u64, u32)> = Vec::new();
            for (what, how) in steps {
                match what {
                    0 | 1 => {
                        sequence += 1;
                        let kind = match (told, how) {
                            (false, _) | (true, 1) => "notice",
                            (true, 0) => "withdrawal",
                            (true, _) => "correction",
                        };
                        told = kind != "withdrawal";
                        queue.take(&format!("1/{sequence} {kind} approved {how}"), ONE).await;
                    }
                    2 | 3 => {
                        let lanes = if what == 2 { [Lane::First, Lane::First] } else { [Lane::Again, Lane::Past] };
                        let times = (queue.now, queue.now.plus_s(60));
                        let mut leased = Vec::new();
                        for lane in lanes {
                            leased.extend(
                                queue.deliveries.lease(ONE, lane, 10, times).await.unwrap(),
                            );
                        }
                        prop_assert!(leased.len() <= 1, "{leased:?}");
                        for one in leased {
                            let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
                            let all = queue.deliveries.list(&filter).await.unwrap().items;
                            let before = all.iter().find(|other| other.state == State::Waiting
                                && other.owed.sequence < one.owed.sequence);
                            prop_assert!(before.is_none(), "{one:?} before {before:?}");
                            under_way.push((one.id.0, one.attempts));
                        }
                    }
                    4 | 5 => {
                        if let Some((id, number)) = under_way.pop() {
                            let next = match how {
                                0 => Next::Delivered,
                                1 => Next::Rejected,
                                2 => Next::Exhausted,
                                _ => Next::Again { at: queue.now.plus_s(5) },
                            };
                            queue.settle(id, number, next).await;
                        }
                    }
                    6 => {
                        let state = [None, Some(State::Held), Some(State::Exhausted), Some(State::Delivered)];
                        let filter = DeliveryFilter { state: state[usize::from(how)], ..DeliveryFilter::default() };
                        queue.deliveries.replay(&filter, queue.now).await.unwrap();
                    }
                    7 => queue.now = queue.now.plus_s([1, 5, 61, 3][usize::from(how)]),
                    _ if how == 0 => {
                        queue.deliveries.cancel(ONE, queue.now).await.unwrap();
                    }
                    _ => queue = queue.reopen(),
                }
                holds(&queue).await?;
            }
            Ok(())
        })?;
    }
}
