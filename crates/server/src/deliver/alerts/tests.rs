//! Tables of what is seen, and of the alerts that hold then.

use super::*;

const NOW: Timestamp = Timestamp::from_s(1_800_000_000);
const ONE: DestinationId = DestinationId(1);
const TWO: DestinationId = DestinationId(2);

fn of(good: u64, attempts: u64) -> Outcomes {
    Outcomes { attempts, good }
}

fn paused(by: PausedBy, why: &str, probe_at: Option<Timestamp>) -> Condition {
    let pause = Pause { at: NOW, by, why: why.to_owned(), probe_at };
    Condition { pause: Some(pause), ..Condition::default() }
}

/// Names, destinations and how long they hold, of destinations in use: all but the third.
fn found(seen: &Seen, before: &Standing) -> Vec<(&'static str, u32, i64)> {
    let standing = standing(seen, |id| id != DestinationId(3), before, NOW);
    let shown = |one: &Alert| {
        let id = one.destination_id.map_or(0, |id| id.0);
        (one.kind.name(), id, NOW.us_since(one.since) / 1_000_000)
    };
    standing.values().map(shown).collect()
}

#[test]
fn a_pause_is_told_with_who_has_paused_it() {
    let conditions = [
        (paused(PausedBy::Failures, "10 have failed", Some(NOW.plus_s(600))), "is tried again at"),
        (paused(PausedBy::Gone, "it answered 410", None), "Ask its publisher"),
        (paused(PausedBy::Person, "they move", None), "a person has paused destination 1: they m"),
    ];
    for (condition, says) in conditions {
        let seen = Seen { conditions: vec![(ONE, condition.clone())], ..Seen::default() };
        assert_eq!(found(&seen, &Standing::new()), [("destination_paused", 1, 0)]);
        let standing = standing(&seen, |_| true, &Standing::new(), NOW);
        let detail = &standing.values().next().unwrap().detail;
        let why = condition.pause.unwrap().why;
        assert!(detail.contains(says) && detail.contains(&why), "{detail}");
    }
    let conditions = vec![(ONE, Condition { failures: 9, ..Condition::default() })];
    assert_eq!(found(&Seen { conditions, ..Seen::default() }, &Standing::new()), []);
}

#[test]
fn what_is_late_is_so_a_minute_after_it_was_due() {
    let late = vec![(TWO, NOW.plus_s(-100)), (DestinationId(3), NOW.plus_s(-900))];
    let seen = Seen { late, ..Seen::default() };
    assert_eq!(found(&seen, &Standing::new()), [("first_attempts_late", 2, 40)]);
    let before = standing(&seen, |_| true, &Standing::new(), NOW);
    let seen = Seen { late: vec![(TWO, NOW.plus_s(-61))], ..Seen::default() };
    assert_eq!(found(&seen, &before), [("first_attempts_late", 2, 40)], "it goes on");
}

#[test]
fn what_is_late_while_the_file_is_damaged_is_not_blamed_on_a_pace() {
    let seen = Seen { late: vec![(ONE, NOW.plus_s(-100))], ..Seen::default() };
    let seen = standing(&seen, |_| true, &Standing::new(), NOW);
    let before = troubled(seen.clone(), "no page", &Standing::new(), NOW.plus_s(-30));
    let after = troubled(seen, "no page", &before, NOW);
    assert_eq!(after, before, "it goes on");
    let details: Vec<&str> = after.values().map(|one| one.detail.as_str()).collect();
    assert!(details[0].contains("no page") && details[0].contains("verify"), "{details:?}");
    assert!(!details[1].contains("concurrency"), "{details:?}");
}

#[test]
fn a_rate_that_has_fallen_is_told_until_it_is_back() {
    let none = of(0, 0);
    let table = [
        // This hour, the one before, the week before those; whether it begins, and goes on.
        ("as before", of(95, 100), none, of(950, 1_000), (false, false)),
        ("better", of(100, 100), none, of(500, 1_000), (false, false)),
        ("fallen by 20 points", of(75, 100), none, of(950, 1_000), (false, true)),
        ("by a bit more", of(749, 1_000), none, of(950, 1_000), (true, true)),
        ("back but for 11", of(84, 100), none, of(950, 1_000), (false, true)),
        ("back but for 10", of(85, 100), none, of(950, 1_000), (false, false)),
        ("all of it", of(0, 20), none, of(20, 20), (true, true)),
        ("too few now", of(0, 19), none, of(1_000, 1_000), (false, false)),
        ("too few then", of(0, 1_000), none, of(19, 19), (false, false)),
        ("enough with the hour before", of(0, 1), of(0, 19), of(20, 20), (true, true)),
        ("this hour is enough", of(20, 20), of(0, 500), of(20, 20), (false, false)),
        ("it was never good", of(0, 100), none, of(0, 100), (false, false)),
        ("many", of(0, 1 << 50), none, of(1 << 50, 1 << 50), (true, true)),
    ];
    let held = Alert {
        kind: Kind::SuccessRate,
        destination_id: Some(ONE),
        since: NOW.plus_s(-77),
        detail: String::new(),
    };
    let held = Standing::from([((Kind::SuccessRate, Some(ONE)), held)]);
    for (name, hour, hour_before, week_before, (begins, goes_on)) in table {
        let recent = Recent { hour, hour_before, week_before, day: none };
        let seen = Seen { recent: vec![(ONE, recent)], ..Seen::default() };
        let begun = found(&seen, &Standing::new());
        assert_eq!(begun, begins.then_some(("success_rate", 1, 0)).as_slice(), "{name}");
        let on = found(&seen, &held);
        assert_eq!(on, goes_on.then_some(("success_rate", 1, 77)).as_slice(), "{name}");
    }
}

#[test]
fn a_pause_says_it_all() {
    let recent = Recent { hour: of(0, 50), week_before: of(50, 50), ..Recent::default() };
    let seen = Seen {
        conditions: vec![(ONE, paused(PausedBy::Failures, "x", Some(NOW)))],
        recent: vec![(ONE, recent), (TWO, recent)],
        ..Seen::default()
    };
    let expected = [("destination_paused", 1, 0), ("success_rate", 2, 0)];
    assert_eq!(found(&seen, &Standing::new()), expected);
}

#[test]
fn what_a_person_decides_on_is_told_for_a_week() {
    let week_s = UNDECIDED_DAYS * 24 * 3_600;
    let one =
        |destination_id, state, s| Undecided { destination_id, state, last_at: NOW.plus_s(s) };
    let seen = Seen {
        undecided: vec![
            one(ONE, State::Exhausted, -week_s),
            one(TWO, State::Exhausted, 1 - week_s),
            one(ONE, State::Held, -9),
            one(DestinationId(3), State::Held, -9),
        ],
        ..Seen::default()
    };
    let expected = [("deliveries_exhausted", 2, week_s - 1), ("deliveries_held", 1, 9)];
    assert_eq!(found(&seen, &Standing::new()), expected);
    let standing = standing(&seen, |_| true, &Standing::new(), NOW);
    for ((kind, _), one) in &standing {
        let state = kind.name().trim_start_matches("deliveries_");
        assert!(one.detail.contains(&format!("--state {state} ")), "{}", one.detail);
    }
}

#[test]
fn what_cannot_be_seen_is_an_alert_and_ends_no_other() {
    let seen = Seen { late: vec![(ONE, NOW.plus_s(-61))], ..Seen::default() };
    let before = standing(&seen, |_| true, &Standing::new(), NOW);
    let closed = unseen("it is no database", &before, NOW);
    let kinds: Vec<Kind> = closed.values().map(|one| one.kind).collect();
    assert_eq!(kinds, [Kind::DeliveriesClosed, Kind::FirstAttemptsLate]);
    assert!(closed.values().next().unwrap().detail.contains("it is no database"));
    let later = unseen("it is busy", &closed, NOW.plus_s(9));
    assert_eq!(later.values().next().unwrap().since, NOW, "it is the same alert");
    assert_eq!(standing(&seen, |_| true, &later, NOW), before);
}
