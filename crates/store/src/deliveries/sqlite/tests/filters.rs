//! Whatever is asked for, the same rows are found as by looking at every one, and no others are
//! looked at than those of the narrowest index.

use super::*;
use crate::deliveries::sqlite::filter::Walk;
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

/// Whether rows are sorted, and all of them read before.
fn is_sorted(steps: &str) -> bool {
    steps.contains("TEMP B-TREE")
}

/// A filter and the index that its rows are found in.
fn asked() -> Vec<(DeliveryFilter, &'static str)> {
    let all = DeliveryFilter::default();
    let id = DeliveryFilter { id: Some(DeliveryId(1)), ..all.clone() };
    let of_a_conversion = DeliveryFilter { conversion_id: Some(ConversionId(1)), ..all.clone() };
    let of_one = DeliveryFilter { destination_id: Some(ONE), ..all.clone() };
    let of_a_time = DeliveryFilter { from: Some(NOW), to: Some(NOW), ..all.clone() };
    let exhausted = |filter: &DeliveryFilter| DeliveryFilter {
        state: Some(State::Exhausted),
        ..filter.clone()
    };
    let then = |filter: &DeliveryFilter| DeliveryFilter {
        from: Some(NOW),
        to: Some(NOW),
        ..filter.clone()
    };
    let conversion = "INDEX delivery_conversion (conversion_id=?";
    let destination = "INDEX delivery_destination (destination_id=? AND state=?";
    vec![
        (exhausted(&id), "INTEGER PRIMARY KEY (rowid=?)"),
        (of_a_conversion.clone(), conversion),
        (exhausted(&of_a_conversion), conversion),
        (DeliveryFilter { destination_id: Some(ONE), ..exhausted(&of_a_conversion) }, conversion),
        (then(&of_a_conversion), conversion),
        (of_one.clone(), destination),
        (exhausted(&of_one), destination),
        (then(&of_one), destination),
        (then(&exhausted(&of_one)), destination),
        (exhausted(&all), "INDEX delivery_state (state=?"),
        (then(&exhausted(&all)), "INDEX delivery_state (state=?"),
        (of_a_time.clone(), "INDEX delivery_at (at>? AND at<?)"),
        (DeliveryFilter { to: None, ..of_a_time.clone() }, "INDEX delivery_at (at>?)"),
        (DeliveryFilter { from: None, ..of_a_time }, "INDEX delivery_at (at<?)"),
        (all, "SCAN delivery"),
    ]
}

#[test]
fn a_list_finds_its_rows_within_the_narrowest_index() {
    for (filter, index) in asked() {
        for before in [None, Some(9)] {
            let filter = DeliveryFilter { before, ..filter.clone() };
            // In the order of the ids, which is the table's.
            let is_of_all = index.starts_with("SCAN") && before.is_some();
            let index = if is_of_all { "INTEGER PRIMARY KEY (rowid<?)" } else { index };
            let (sql, values) = rows::list_query(&filter, 50);
            let found = steps(&sql, &values);
            assert!(found.contains(index), "{filter:?}\n{found}");
            // The rows that are shown are read by their ids.
            assert!(found.contains("SEARCH delivery USING INTEGER PRIMARY KEY"), "{found}");
            // Only what nobody has many of is sorted, and a time.
            let may_be = filter.conversion_id.is_some() || index.contains("delivery_at");
            assert_eq!(is_sorted(&found), may_be, "{filter:?}\n{found}");
        }
    }
}

#[test]
fn what_a_replay_would_do_is_counted_within_the_narrowest_index() {
    for (filter, index) in asked() {
        let (sql, values) = rows::count_query(&filter);
        let found = steps(&sql, &values);
        assert!(found.lines().any(|line| line.contains(index)), "{filter:?}\n{found}");
        let later = "later USING INDEX delivery_conversion (conversion_id=? AND destination_id=? \
            AND sequence>?)";
        assert!(found.contains(later), "{filter:?}\n{found}");
    }
}

/// Each chunk would sort all that are left.
#[test]
fn chunks_go_through_an_index_in_the_order_of_the_ids() {
    for (filter, index) in asked() {
        let index = match index.contains("delivery_at") || index.starts_with("SCAN") {
            true => "INTEGER PRIMARY KEY (rowid>?)",
            false => index,
        };
        let states = rows::replayable_states(&filter);
        let also = format!(" and {} and id > 7", rows::replayable(&filter));
        let walk = Walk { filter: &filter, states, also: &also, order: "asc", limit: 1_000 };
        let (sql, values) = walk.query();
        let found = steps(&sql, &values);
        assert!(found.contains(index), "{filter:?}\n{found}");
        assert_eq!(is_sorted(&found), filter.conversion_id.is_some(), "{filter:?}\n{found}");
    }
}

#[test]
fn what_is_cancelled_is_found_in_its_state() {
    let filter = DeliveryFilter { destination_id: Some(ONE), ..DeliveryFilter::default() };
    let states = [State::Waiting, State::Held];
    let also = " and leased_until is null";
    let walk = Walk { filter: &filter, states: &states, also, order: "asc", limit: 1_000 };
    let (sql, values) = walk.query();
    let found = steps(&sql, &values);
    let searched = found.matches("INDEX delivery_destination (destination_id=? AND state=?)");
    assert_eq!(searched.count(), 2, "{found}");
    assert!(!is_sorted(&found) && !found.contains("SCAN d"), "{found}");
}

/// More than one chunk of them.
const MANY: u64 = 2_001;

#[tokio::test]
async fn all_chunks_are_sent_once_more_and_each_delivery_once() {
    let states = [State::Delivered, State::Unverified].into_iter().cycle();
    let rows = (1..=MANY).zip(states).map(|(id, state)| Row::of(id, ONE, state));
    let one = DeliveryFilter { destination_id: Some(ONE), ..DeliveryFilter::default() };
    for filter in [DeliveryFilter::default(), one] {
        let queue = Queue::new();
        queue.put(rows.clone());
        assert_eq!(queue.deliveries.replay(&filter, NOW).await.unwrap(), MANY);
        let figures = queue.deliveries.figures(NOW).await.unwrap();
        let left: Vec<_> = figures.iter().map(|one| (one.state, one.count)).collect();
        assert_eq!(left, [(State::Waiting, MANY)]);
    }
}

#[tokio::test]
async fn all_chunks_are_cancelled_but_what_is_under_way() {
    let queue = Queue::new();
    let states = [State::Waiting, State::Held, State::Delivered];
    let states = states.into_iter().cycle();
    queue.put((1..=MANY).zip(states).map(|(id, state)| Row::of(id, ONE, state)));
    queue.put([Row::of(MANY + 1, TWO, State::Waiting), Row::of(MANY + 2, TWO, State::Held)]);
    let under_way = queue.lease(ONE, Lane::First, 5).await;
    let mut cancelled = 0;
    loop {
        match queue.deliveries.cancel(ONE, NOW).await.unwrap() {
            0 => break,
            count => cancelled += count,
        }
    }
    assert_eq!(cancelled, MANY * 2 / 3 - 5);
    for id in under_way {
        assert_eq!(queue.shown(id).await, "waiting notice 0");
    }
    assert_eq!(queue.shown(MANY + 1).await, "waiting notice 0");
    assert_eq!(queue.shown(MANY + 2).await, "held notice 0");
}

fn filters() -> impl Strategy<Value = DeliveryFilter> {
    let time = || prop::option::weighted(0.3, 0..20_i64);
    let some = |to: u64| prop::option::weighted(0.4, 1..=to);
    let state = prop::option::weighted(0.5, prop::sample::select(State::ALL.to_vec()));
    let except = prop::collection::vec(1..4_u32, 0..2);
    (some(40), some(3), some(10), state, except, (time(), time(), some(40))).prop_map(
        |(id, destination, conversion, state, except, (from, to, before))| DeliveryFilter {
            id: id.filter(|id| id % 4 == 0).map(DeliveryId),
            destination_id: destination.map(|id| DestinationId(u32::try_from(id).unwrap())),
            conversion_id: conversion.map(ConversionId),
            state,
            except: except.into_iter().map(DestinationId).collect(),
            from: from.map(|s| NOW.plus_s(s)),
            to: to.map(|s| NOW.plus_s(s)),
            before,
            limit: 3,
        },
    )
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (1..4_u32, 1..10_u64, 0..20_i64, prop::sample::select(State::ALL.to_vec()));
    prop::collection::vec(row, 0..40).prop_map(|rows| {
        let row = |(id, (destination, conversion, s, state))| {
            let row = Row::of(id, DestinationId(destination), state);
            Row { conversion, at: NOW.plus_s(s), ..row }
        };
        (1..).zip(rows).map(row).collect()
    })
}

fn is_asked_for(filter: &DeliveryFilter, row: &Row) -> bool {
    filter.id.is_none_or(|id| id.0 == row.id)
        && filter.destination_id.is_none_or(|id| id == row.destination)
        && filter.conversion_id.is_none_or(|id| id.0 == row.conversion)
        && filter.state.is_none_or(|state| state == row.state)
        && !filter.except.contains(&row.destination)
        && filter.from.is_none_or(|from| row.at >= from)
        && filter.to.is_none_or(|to| row.at < to)
        && filter.before.is_none_or(|before| row.id < before)
}

async fn ids(queue: &Queue, filter: &DeliveryFilter) -> Vec<u64> {
    let mut filter = filter.clone();
    let mut ids = Vec::new();
    loop {
        let page = queue.deliveries.list(&filter).await.unwrap();
        ids.extend(page.items.iter().map(|one| one.id.0));
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return ids,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_was_asked_for(
        rows in rows(),
        filters in prop::collection::vec(filters(), 8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let queue = Queue::new();
            queue.put(rows.iter().copied());
            for filter in &filters {
                let asked: Vec<&Row> = rows.iter().filter(|row| is_asked_for(filter, row)).collect();
                let mut expected: Vec<u64> = asked.iter().map(|row| row.id).collect();
                expected.reverse();
                prop_assert_eq!(ids(&queue, filter).await, expected, "{:?}", filter);
                let states = rows::replayable_states(filter);
                let expected = asked.iter().filter(|row| states.contains(&row.state)).count();
                let found = queue.deliveries.count_replayable(filter).await.unwrap();
                prop_assert_eq!(found.count + found.overtaken, expected as u64, "{:?}", filter);
            }
            let filter = &filters[0];
            let found = queue.deliveries.count_replayable(filter).await.unwrap();
            let count = queue.deliveries.replay(filter, NOW).await.unwrap();
            prop_assert_eq!(count, found.count, "{:?}", filter);
            Ok(())
        })?;
    }
}
