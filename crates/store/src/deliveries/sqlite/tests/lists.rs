//! Lists and figures say the same as every row would, and do not read every row.

use super::*;
use proptest::prelude::*;

/// How SQLite goes about a query.
fn steps(sql: &str, values: &[rusqlite::types::Value]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = connect(&dir.path().join(FILE), CACHE_KIB).unwrap();
    migrate::migrate(&mut connection, FILE, MIGRATIONS).unwrap();
    let mut statement = connection.prepare(&format!("explain query plan\n{sql}")).unwrap();
    let values = rusqlite::params_from_iter(values);
    let steps = statement.query_map(values, |row| row.get::<_, String>("detail")).unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_list_finds_its_rows_within_an_index() {
    let one = DeliveryFilter::default();
    let of_a_time = DeliveryFilter { from: Some(NOW), to: Some(NOW), ..one.clone() };
    let of_one = DeliveryFilter { destination_id: Some(ONE), ..of_a_time.clone() };
    let exhausted = DeliveryFilter { state: Some(State::Exhausted), ..of_a_time.clone() };
    for (filter, index, is_in_order) in [
        (of_a_time.clone(), "COVERING INDEX delivery_at (at>? AND at<?)", false),
        (DeliveryFilter { to: None, ..of_a_time.clone() }, "delivery_at (at>?)", false),
        (of_one.clone(), "COVERING INDEX delivery_destination (destination_id=?)", true),
        (exhausted, "COVERING INDEX delivery_state (state=?)", true),
        (DeliveryFilter { before: Some(9), ..of_one }, "delivery_destination (dest", true),
        (DeliveryFilter { destination_id: Some(ONE), ..one }, "delivery_destination (dest", true),
    ] {
        let (sql, values) = rows::list_query(&filter, 50);
        let found = steps(&sql, &values);
        assert!(found.contains(index), "{filter:?}\n{found}");
        // The rows that are shown are read by their ids.
        assert!(found.contains("SEARCH delivery USING INTEGER PRIMARY KEY"), "{found}");
        let is_sorted = found.contains("B-TREE");
        assert_eq!(is_sorted, !is_in_order, "{filter:?}\n{found}");
    }
}

/// Each chunk would sort all that are left.
#[test]
fn what_goes_through_a_time_goes_by_its_ids() {
    let filter = DeliveryFilter { from: Some(NOW), to: Some(NOW), ..DeliveryFilter::default() };
    let (conditions, values) = rows::conditions(&filter);
    let sql = format!("select id from delivery {conditions} and id > 7 order by id limit 5000");
    let found = steps(&sql, &values);
    assert!(found.contains("INTEGER PRIMARY KEY (rowid>?)"), "{found}");
    assert!(!found.contains("B-TREE"), "{found}");
}

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
    fn figures_are_what_counting_says(steps in prop::collection::vec((0..7_u8, 0..4_u8), 1..20)) {
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
