//! However rows come to lie in memory and files, the answers are the same.

use super::model::{check, check_files, merge_all, query, sums, without_personal};
use super::{Bench, START, id};
use crate::facts::Found;
use domain::click::Label;
use domain::id::{CampaignId, Position, PublisherId};
use domain::report::{Dimension, Query, Test};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// So many records, after a pause of so many seconds.
    Add(u64, u64),
    Seal,
    Merge,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..60_u64, 0..100_000_u64).prop_map(|(count, pause)| Step::Add(count, pause)),
        3 => Just(Step::Seal),
        1 => Just(Step::Merge),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..40)
}

fn dimension() -> impl Strategy<Value = Dimension> {
    prop_oneof![
        Just(Dimension::Day),
        Just(Dimension::Campaign),
        Just(Dimension::Publisher),
        Just(Dimension::Goal),
        (0..13_u8).prop_map(|code| Dimension::Label(Label::from_code(code).unwrap())),
    ]
}

fn queries() -> impl Strategy<Value = Query> {
    let test = prop_oneof![Just(Test::Without), Just(Test::Only), Just(Test::With)];
    (
        proptest::collection::btree_set(0..600_000_000_000_i64, 2..6),
        proptest::collection::vec(dimension(), 0..=4),
        proptest::option::weighted(0.3, 0..7_u32),
        proptest::option::weighted(0.3, 0..11_u32),
        test,
    )
        .prop_map(|(bounds, mut group_by, campaign, publisher, test)| {
            group_by.sort_unstable();
            group_by.dedup();
            Query {
                // Microseconds: an instant between two milliseconds.
                day_bounds: bounds.into_iter().map(|us| START.plus_us(us)).collect(),
                group_by,
                campaign_id: campaign.map(CampaignId),
                publisher_id: publisher.map(PublisherId),
                test,
            }
        })
}

fn run(steps: &[Step]) -> Bench {
    let mut bench = Bench::new();
    let mut number = 0;
    for step in steps {
        match step {
            Step::Add(count, pause) => {
                number += pause * 2;
                bench.add_records(number, *count);
                number += count;
            }
            Step::Seal => drop(bench.facts.seal_all().unwrap()),
            Step::Merge => drop(merge_all(&bench.facts).unwrap()),
            Step::Reopen => bench = bench.reopen(),
        }
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sums_do_not_depend_on_seals_and_merges(
        steps in steps(),
        queries in proptest::collection::vec(queries(), 1..6),
    ) {
        let bench = run(&steps);
        for query in queries {
            let expected = sums(&bench.journal, &query);
            prop_assert_eq!(bench.facts.sum_clicks(&query).unwrap(), expected, "{:?}", query);
        }
    }

    #[test]
    fn all_is_found_wherever_it_lies(steps in steps()) {
        let bench = run(&steps);
        check(&bench, START, START);
        check_files(&bench, START);
    }

    #[test]
    fn a_click_is_hidden_from_what_came_before_it(steps in steps(), before in 0..400_u64) {
        let bench = run(&steps);
        let clicks = bench.journal.clicks();
        let mut ids: Vec<_> = clicks.iter().map(|(_, _, click)| click.id).collect();
        ids.push(id(0, 1, 1));
        ids.push(id(u64::MAX >> 16, 1, 1));
        ids.push(id(clicks.first().map_or(7, |(_, _, click)| click.id.at_ms()), 1, 1));
        let found = bench.facts.find(&ids, Position(before)).unwrap();
        for (place, found) in found.into_iter().enumerate() {
            let expected = clicks.get(place).filter(|(position, ..)| position.0 < before);
            let expected = expected.map(|(position, _, click)| {
                Found { position: *position, click: without_personal(click) }
            });
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn the_sum_of_the_days_is_the_whole() {
    let bench = run(&[Step::Add(50, 0), Step::Seal, Step::Add(50, 100_000), Step::Seal]);
    let by_day = bench.facts.sum_clicks(&query(&[Dimension::Day])).unwrap();
    let whole = bench.facts.sum_clicks(&query(&[])).unwrap();
    assert!(by_day.len() > 1);
    assert_eq!(by_day.values().sum::<u64>(), whole.values().sum::<u64>());
}
