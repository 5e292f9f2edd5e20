//! What facts should answer, worked out one record after the other.

use super::super::{Error, Facts, Found, Kind, StoredHit, verify};
use super::{Bench, DIR, Journal};
use domain::click::{Click, Personal};
use domain::click_id::ClickId;
use domain::id::Position;
use domain::report::{Dimension, Group, Query, Test, Value};
use domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The click without what is personal.
pub(super) fn without_personal(click: &Click<'static>) -> Click<'static> {
    Click { personal: Personal::default(), ..click.clone() }
}

/// How many clicks each group has.
pub(super) fn sums(journal: &Journal, query: &Query) -> BTreeMap<Group, u64> {
    let mut sums = BTreeMap::new();
    for (_, _, click) in journal.clicks() {
        let at = Timestamp::from_ms(click.id.at_ms().cast_signed());
        let Some(day) = query.day(at) else { continue };
        if !query.test.admits(click.is_test)
            || query.campaign_id.is_some_and(|id| id != click.campaign_id)
            || query.publisher_id.is_some_and(|id| id != click.publisher_id)
        {
            continue;
        }
        let value = |dimension: &Dimension| match dimension {
            Dimension::Day => Value::Day(day),
            Dimension::Campaign => Value::Campaign(click.campaign_id),
            Dimension::Publisher => Value::Publisher(click.publisher_id),
            Dimension::Goal => Value::None,
            Dimension::Label(label) => {
                click.labels.get(*label).map_or(Value::None, |text| Value::Text(text.to_owned()))
            }
        };
        *sums.entry(query.group_by.iter().map(value).collect()).or_insert(0) += 1;
    }
    sums
}

/// A query over all days there are.
pub(super) fn query(group_by: &[Dimension]) -> Query {
    let day = |day| super::START.plus_days(day);
    Query {
        day_bounds: (-1..20).map(day).collect(),
        group_by: group_by.to_vec(),
        campaign_id: None,
        publisher_id: None,
        test: Test::With,
    }
}

/// Everything that was added is found, counted and readable, once. Of what was journaled before
/// `personal_from` or `hits_from`, personal data or hits may be gone.
pub(super) fn check(bench: &Bench, personal_from: Timestamp, hits_from: Timestamp) {
    let facts = &bench.facts;
    let clicks = bench.journal.clicks();
    let ids: Vec<ClickId> = clicks.iter().map(|(_, _, click)| click.id).collect();
    let found = facts.find(&ids, Position(u64::MAX)).unwrap();
    for ((position, at, click), found) in clicks.iter().zip(found) {
        let expected = Found { position: *position, click: without_personal(click) };
        assert_eq!(found, Some(expected));
        match facts.read_personal(*position).unwrap() {
            Some(personal) => assert_eq!(personal, click.personal),
            None => assert!(*at < personal_from, "{position}"),
        }
    }
    for (position, at, hit) in bench.journal.hits() {
        let Some(stored) = facts.read_hit(position).unwrap() else {
            assert!(at < hits_from, "{position}");
            continue;
        };
        let StoredHit { digest, request, method, path, .. } = stored;
        assert_eq!((stored.position, stored.at), (position, at));
        assert_eq!(digest, hit.digest());
        assert_eq!((method.as_bytes(), path.as_bytes()), (hit.method.as_bytes(), hit.path()));
        match request {
            Some(request) => assert_eq!(request, hit),
            None => assert!(at < personal_from, "{position}"),
        }
    }
    for group_by in [&[][..], &[Dimension::Day, Dimension::Campaign]] {
        let query = query(group_by);
        assert_eq!(facts.sum_clicks(&query).unwrap(), sums(&bench.journal, &query));
    }
}

/// The files hold each click and hit once and nothing else, and are whole. Hits that were
/// journaled before `hits_from` may be gone.
pub(super) fn check_files(bench: &Bench, hits_from: Timestamp) {
    let mut stored = BTreeSet::new();
    let problems = verify(&bench.disk, Path::new(DIR), &mut |fact| {
        assert!(stored.insert((fact.kind, fact.position)), "{fact:?} stands there twice");
        if fact.kind == Kind::Hit {
            assert_eq!(fact.click_id, None);
        }
    });
    assert_eq!(problems, []);
    let sealed = bench.facts.sealed();
    let clicks = bench.journal.clicks().into_iter().map(|(position, ..)| (Kind::Click, position));
    let hits = bench.journal.hits().into_iter().filter(|(_, at, _)| *at >= hits_from);
    for fact in clicks.chain(hits.map(|(position, ..)| (Kind::Hit, position))) {
        assert!(fact.1 >= sealed || stored.contains(&fact), "{fact:?}");
    }
}

/// Merges until there is nothing to merge; answers how often.
pub(super) fn merge_all(facts: &Facts) -> Result<usize, Error> {
    let mut merged = 0;
    while facts.merge()?.is_some() {
        merged += 1;
    }
    Ok(merged)
}
