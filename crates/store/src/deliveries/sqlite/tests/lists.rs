//! Figures say the same as every row would.

use super::*;
use proptest::prelude::*;

/// By destination and state, from every row there is.
fn counted(queue: &Queue) -> Vec<(u32, String, u64)> {
    let connection = Connection::open(queue.dir.path().join(FILE)).unwrap();
    let sql = "select destination_id, state, count(*) as count from delivery
        group by destination_id, state order by destination_id, state";
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get("destination_id")?, row.get("state")?, row.get("count")?))
    };
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn figures_say_since_when_the_oldest_is_due() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    queue.now = NOW.plus_s(5);
    queue.take("2/1 notice approved 2", ONE).await;
    queue.take("3/1 notice approved 2", TWO).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [1]);
    queue.again_after(1, 1, 60).await;
    let oldest = async |at| {
        let figures = queue.deliveries.figures(at).await.unwrap();
        figures.iter().map(|one| one.oldest_due_at).collect::<Vec<_>>()
    };
    let due_at = Some(NOW.plus_s(5));
    assert_eq!(oldest(NOW.plus_s(4)).await, [None, None]);
    assert_eq!(oldest(NOW.plus_s(99)).await, [due_at, due_at]);
    queue.settle(2, 1, Next::Delivered).await;
    assert_eq!(queue.lease(ONE, Lane::First, 1).await, [2]);
    queue.settle(2, 1, Next::Delivered).await;
    let figures = queue.deliveries.figures(NOW.plus_s(99)).await.unwrap();
    let waiting = figures.iter().find(|one| one.state == State::Waiting).unwrap();
    assert_eq!((waiting.count, waiting.oldest_due_at), (1, Some(NOW.plus_s(65))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn figures_are_what_counting_says(steps in prop::collection::vec((0..9_u8, 0..4_u8), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut queue = Queue::beside(NOW);
            for (sequence, (what, how)) in (1..).zip(steps) {
                let of = if how % 2 == 0 { ONE } else { TWO };
                match what {
                    0 | 1 => {
                        let kind = ["notice", "notice", "correction", "withdrawal"];
                        let kind = kind[usize::from(how)];
                        queue.take(&format!("{how}/{sequence} {kind} approved {how}"), of).await;
                    }
                    // Who cannot hear it is owed a correction of what was told.
                    7 | 8 => {
                        let kind = if what == 7 { "notice" } else { "correction" };
                        queue.take(&format!("9/{sequence} {kind} approved {sequence}"), TWO).await;
                    }
                    2 | 3 => for id in queue.lease(of, Lane::First, 10).await {
                        let next = match how {
                            0 | 1 => Next::Delivered,
                            2 => Next::Exhausted,
                            _ => Next::Again { at: queue.now },
                        };
                        queue.settle(id, 1, next).await;
                    },
                    4 => {
                        let filter = DeliveryFilter::default();
                        queue.deliveries.replay(&filter, queue.now).await.unwrap();
                    }
                    5 => {
                        queue.deliveries.cancel(of, queue.now).await.unwrap();
                    }
                    _ => queue = queue.restored(),
                }
                queue.now = queue.now.plus_s(1);
            }
            let figures = queue.deliveries.figures(queue.now).await.unwrap();
            let figures: Vec<_> = figures
                .iter()
                .map(|one| (one.destination_id.0, one.state.name().to_owned(), one.count))
                .collect();
            prop_assert_eq!(figures, counted(&queue));
            Ok(())
        })?;
    }
}
