//! Which alerts hold: what an operator is told of deliveries without asking for it.
//!
//! It follows from what is seen and from what held before, and from nothing else.

use domain::id::DestinationId;
use domain::time::Timestamp;
use std::collections::BTreeMap;
use store::deliveries::{Condition, Outcomes, Pause, PausedBy, Recent, State, Undecided};

/// A first attempt that is due for longer is too late, in seconds.
pub(super) const LATE_S: i64 = 60;
/// Fewer attempts than that say nothing of a rate.
const RATE_ATTEMPTS_MIN: u64 = 20;
/// By more points of a hundred than that the share of good attempts has fallen.
const RATE_FALLS_BY: u32 = 20;
/// It is back when it lacks no more than that: an alert that comes and goes is not heard.
const RATE_LACKS_MAX: u32 = 10;
/// For how long a person is reminded of what is exhausted or held: to leave it is a decision, too.
const UNDECIDED_DAYS: i64 = 7;

/// What is to be done about a file that is damaged.
const DAMAGED: &str = "`counterfoil verify` on the stopped server says what is wrong with the file; a \
    damaged one is put back from a backup, or moved away before a start: then what changed before it \
    is held.";

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    DeliveriesClosed,
    DestinationPaused,
    FirstAttemptsLate,
    SuccessRate,
    DeliveriesExhausted,
    DeliveriesHeld,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::DeliveriesClosed,
        Self::DestinationPaused,
        Self::FirstAttemptsLate,
        Self::SuccessRate,
        Self::DeliveriesExhausted,
        Self::DeliveriesHeld,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DeliveriesClosed => "deliveries_closed",
            Self::DestinationPaused => "destination_paused",
            Self::FirstAttemptsLate => "first_attempts_late",
            Self::SuccessRate => "success_rate",
            Self::DeliveriesExhausted => "deliveries_exhausted",
            Self::DeliveriesHeld => "deliveries_held",
        }
    }

    /// How its beginning and its end stand in the log.
    pub(super) fn said(self) -> (&'static str, &'static str) {
        match self {
            Self::DeliveriesClosed => {
                ("the deliveries do not open or answer", "the deliveries open and answer")
            }
            Self::DestinationPaused => {
                ("a destination is paused", "a destination is resumed or archived")
            }
            Self::FirstAttemptsLate => {
                ("first attempts are over a minute late", "first attempts are in time again")
            }
            Self::SuccessRate => (
                "a destination takes much less than before",
                "a destination does not take much less than before any more",
            ),
            Self::DeliveriesExhausted => {
                ("deliveries are exhausted", "no deliveries are exhausted of late")
            }
            Self::DeliveriesHeld => ("deliveries are held", "no deliveries are held of late"),
        }
    }
}

/// Something that an operator should know of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) kind: Kind,
    pub(crate) destination_id: Option<DestinationId>,
    pub(crate) since: Timestamp,
    /// What is so, and what to do about it.
    pub(crate) detail: String,
}

/// All that hold; of one kind there is one for each destination.
pub(super) type Standing = BTreeMap<(Kind, Option<DestinationId>), Alert>;

/// What is seen of deliveries.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) conditions: Vec<(DestinationId, Condition)>,
    /// Since when the first attempts are due that are due for [`LATE_S`].
    pub(super) late: Vec<(DestinationId, Timestamp)>,
    pub(super) recent: Vec<(DestinationId, Recent)>,
    pub(super) undecided: Vec<Undecided>,
}

/// What holds `now` of the destinations that are in use.
pub(super) fn standing(
    seen: &Seen,
    is_in_use: impl Fn(DestinationId) -> bool,
    before: &Standing,
    now: Timestamp,
) -> Standing {
    let paused = seen.conditions.iter().filter_map(|(id, one)| Some((*id, one.pause.as_ref()?)));
    let is_paused = |id: DestinationId| paused.clone().any(|(paused, _)| paused == id);
    let mut all = Vec::new();
    let mut alert = |kind, id, since, detail| {
        all.push(Alert { kind, destination_id: Some(id), since, detail });
    };
    for (id, pause) in paused.clone() {
        alert(Kind::DestinationPaused, id, pause.at, paused_detail(id, pause));
    }
    for (id, due_at) in &seen.late {
        // The one that was late first may have been sent since.
        let held = before.get(&(Kind::FirstAttemptsLate, Some(*id)));
        let since = held.map_or(due_at.plus_s(LATE_S), |held| held.since);
        alert(Kind::FirstAttemptsLate, *id, since, late_detail(*id, *due_at));
    }
    for (id, recent) in seen.recent.iter().filter(|(id, _)| !is_paused(*id)) {
        let held = before.get(&(Kind::SuccessRate, Some(*id)));
        let span = span(recent);
        if has_fallen(span, recent.week_before, held.is_some()) {
            let since = held.map_or(now, |held| held.since);
            alert(Kind::SuccessRate, *id, since, rate_detail(*id, span, recent.week_before));
        }
    }
    for Undecided { destination_id: id, state, last_at } in &seen.undecided {
        let kind = match state {
            State::Held => Kind::DeliveriesHeld,
            _ => Kind::DeliveriesExhausted,
        };
        if last_at.plus_days(UNDECIDED_DAYS) > now {
            let held = before.get(&(kind, Some(*id)));
            let since = held.map_or(*last_at, |held| held.since);
            alert(kind, *id, since, undecided_detail(*id, kind));
        }
    }
    let in_use = all.into_iter().filter(|one| one.destination_id.is_some_and(&is_in_use));
    in_use.map(|one| ((one.kind, one.destination_id), one)).collect()
}

/// What holds while nothing can be seen: what held before, and that.
pub(super) fn unseen(why: &str, before: &Standing, since: Timestamp) -> Standing {
    let detail = format!(
        "deliveries.db does not open or answer: {why}. Visitors are redirected and postbacks \
         decided; what destinations are owed is kept, and sent when it is open, which is tried all \
         the time. {DAMAGED}"
    );
    closed(before.clone(), detail, before, since)
}

/// What holds while some of what is asked of it fails.
pub(super) fn troubled(
    mut seen: Standing,
    why: &str,
    before: &Standing,
    since: Timestamp,
) -> Standing {
    // Its pace is not what holds up a destination now.
    for (_, late) in seen.iter_mut().filter(|((kind, _), _)| *kind == Kind::FirstAttemptsLate) {
        let since = late.since;
        late.detail = format!(
            "first attempts at a destination are late since {since}, while deliveries.db does not \
             answer as it should: that is to be mended first."
        );
    }
    let detail = format!(
        "deliveries.db does not answer as it should: {why}. What it answers for is sent as before; \
         what is owed is kept. Where it cannot take over what is newly owed, nothing new is sent. Where it cannot be written what came of an attempt, it is made again, \
         later each time, under the same key. A full disk is to be given room. {DAMAGED}"
    );
    closed(seen, detail, before, since)
}

fn closed(mut all: Standing, detail: String, before: &Standing, since: Timestamp) -> Standing {
    let key = (Kind::DeliveriesClosed, None);
    let since = before.get(&key).map_or(since, |held| held.since);
    all.insert(key, Alert { kind: key.0, destination_id: None, since, detail });
    all
}

/// This hour, with the one before while it has too few attempts.
fn span(recent: &Recent) -> Outcomes {
    let Recent { hour, hour_before, .. } = recent;
    if hour.attempts >= RATE_ATTEMPTS_MIN {
        return *hour;
    }
    Outcomes { attempts: hour.attempts + hour_before.attempts, good: hour.good + hour_before.good }
}

/// Whether the share of good attempts is so much smaller than it was: in points of a hundred,
/// multiplied out.
fn has_fallen(now: Outcomes, was: Outcomes, held: bool) -> bool {
    if now.attempts < RATE_ATTEMPTS_MIN || was.attempts < RATE_ATTEMPTS_MIN {
        return false;
    }
    let points = if held { RATE_LACKS_MAX } else { RATE_FALLS_BY };
    let (now_all, was_all) = (u128::from(now.attempts), u128::from(was.attempts));
    let was_good = 100 * u128::from(was.good) * now_all;
    let now_good = 100 * u128::from(now.good) * was_all;
    was_good.saturating_sub(now_good) > u128::from(points) * now_all * was_all
}

fn paused_detail(id: DestinationId, pause: &Pause) -> String {
    let why = &pause.why;
    match (pause.by, pause.probe_at) {
        (PausedBy::Failures, Some(probe_at)) => format!(
            "destination {id} is paused by its failures: {why}. What it is owed is kept; one \
             delivery is tried again at {probe_at}, and the first success resumes it. Look at the \
             attempts, and ask whoever runs it."
        ),
        (PausedBy::Person, _) => format!(
            "a person has paused destination {id}: {why}. What it is owed is kept until a person \
             resumes it."
        ),
        (PausedBy::Gone | PausedBy::Failures, _) => format!(
            "destination {id} is paused: {why}. What it is owed is kept. Ask its publisher where \
             to send it, change the destination and resume it, or archive it."
        ),
    }
}

fn late_detail(id: DestinationId, due_at: Timestamp) -> String {
    format!(
        "a first attempt at destination {id} is due since {due_at}: more is owed than is sent at \
         its pace. Look at how long it takes to answer, and raise its `concurrency` or \
         `per_second` if it can take more."
    )
}

fn rate_detail(id: DestinationId, now: Outcomes, was: Outcomes) -> String {
    format!(
        "of {} attempts at destination {id} of late {} went well; in the week before it was {} of \
         {}. Look at the answers to its newest deliveries, and ask whoever runs it.",
        now.attempts, now.good, was.good, was.attempts
    )
}

fn undecided_detail(id: DestinationId, kind: Kind) -> String {
    let state = match kind {
        Kind::DeliveriesHeld => State::Held,
        _ => State::Exhausted,
    };
    let name = state.name();
    let (what, first) = match state {
        State::Held => (
            "may have been sent before a restore, and are held",
            "compare them with what its publisher has",
        ),
        _ => ("have failed at their last attempt", "have what is wrong there mended"),
    };
    format!(
        "deliveries to destination {id} {what}. Nothing more is sent by itself: {first}, and send \
         them once more with `counterfoil deliveries replay --destination {id} --state {name} \
         --yes`, or leave them: this is told for {UNDECIDED_DAYS} days."
    )
}

#[cfg(test)]
mod tests;
