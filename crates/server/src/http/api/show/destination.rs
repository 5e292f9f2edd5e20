//! A destination as JSON: what is called and when, and how it is doing. Of a secret it is shown
//! only that it is set.

use super::{Amount, MASK, since};
use domain::contract::Scheme;
use domain::conversion::Status;
use domain::destination::{self, Corrections, Owner, SIGNING};
use domain::id::{DestinationId, LinkId, PublisherId};
use domain::outbound::{Condition, Method};
use domain::setup::Setup;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use store::deliveries as stored;

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Destination")]
pub(in crate::http::api) struct Shown<'a> {
    id: DestinationId,
    publisher_id: Option<PublisherId>,
    link_id: Option<LinkId>,
    partner: Option<&'a str>,
    method: Method,
    url: &'a str,
    headers: &'a BTreeMap<String, String>,
    content_type: Option<&'a str>,
    body: Option<&'a str>,
    success: Option<&'a Condition>,
    failure: &'a [Condition],
    verifiable: bool,
    account: &'a BTreeMap<String, String>,
    secrets: BTreeMap<&'a str, &'static str>,
    /// What signs, where something does.
    secret: Option<&'static str>,
    scheme: Option<&'a Scheme>,
    statuses: &'a BTreeSet<Status>,
    goals: &'a BTreeSet<String>,
    sampling: String,
    payout_share: String,
    min_payout: Option<Amount>,
    delay_s: u32,
    tests: bool,
    corrections: &'a Corrections,
    concurrency: u32,
    per_second: Option<u32>,
    /// Null while the deliveries are closed.
    condition: Option<DestinationCondition<'a>>,
    archived: bool,
    created_at: Option<Timestamp>,
}

/// How it is doing.
#[derive(JsonSchema, Serialize)]
struct DestinationCondition<'a> {
    /// Attempts that failed since the last that did not.
    failures: u32,
    last_good_at: Option<Timestamp>,
    /// Why nothing is sent to it.
    pause: Option<Pause<'a>>,
    /// Attempts in this hour of the clock and the one before.
    hour: Outcomes,
    /// In this hour and the 23 before.
    day: Outcomes,
}

/// How attempts have ended.
#[derive(JsonSchema, Serialize)]
struct Outcomes {
    attempts: u64,
    /// Those of them that are delivered or unverified.
    good: u64,
}

/// What is known of how a destination is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http::api) struct Doing {
    pub(in crate::http::api) condition: stored::Condition,
    pub(in crate::http::api) recent: stored::Recent,
}

impl Doing {
    fn shown(&self) -> DestinationCondition<'_> {
        let Self { condition, recent } = self;
        let (hour, before, day) = (recent.hour, recent.hour_before, recent.day);
        let pause = condition.pause.as_ref().map(|pause| Pause {
            at: pause.at,
            by: pause.by.name(),
            why: &pause.why,
            probe_at: pause.probe_at,
        });
        DestinationCondition {
            failures: condition.failures,
            last_good_at: condition.last_good_at,
            pause,
            hour: Outcomes {
                attempts: hour.attempts + before.attempts,
                good: hour.good + before.good,
            },
            day: Outcomes { attempts: day.attempts, good: day.good },
        }
    }
}

#[derive(JsonSchema, Serialize)]
struct Pause<'a> {
    at: Timestamp,
    /// `failures`, `gone` or `person`.
    by: &'static str,
    why: &'a str,
    /// When one delivery is tried; null: never before a person resumes it.
    probe_at: Option<Timestamp>,
}

impl<'a> Shown<'a> {
    pub(in crate::http::api) fn of(
        setup: &Setup,
        one: &'a destination::Destination,
        doing: Option<&'a Doing>,
    ) -> Self {
        let (publisher_id, link_id) = match one.owner {
            Owner::Publisher { publisher_id } => (Some(publisher_id), None),
            Owner::Link { link_id } => (None, Some(link_id)),
        };
        let (outbound, rules) = (&one.outbound, &one.rules);
        let of_account = one.secrets.keys().filter(|name| *name != SIGNING);
        Self {
            id: one.id,
            publisher_id,
            link_id,
            partner: one.partner.as_deref(),
            method: outbound.method,
            url: &outbound.url,
            headers: &outbound.headers,
            content_type: outbound.content_type.as_deref(),
            body: outbound.body.as_deref(),
            success: outbound.success.as_ref(),
            failure: &outbound.failure,
            verifiable: outbound.verifiable,
            account: &one.account,
            secrets: of_account.map(|name| (name.as_str(), MASK)).collect(),
            secret: one.secrets.contains_key(SIGNING).then_some(MASK),
            scheme: one.scheme.as_ref(),
            statuses: &rules.statuses,
            goals: &rules.goals,
            sampling: rules.sampling.to_string(),
            payout_share: rules.payout_share.to_string(),
            min_payout: rules.min_payout.map(Amount),
            delay_s: rules.delay_s,
            tests: rules.tests,
            corrections: &rules.corrections,
            concurrency: one.pace.concurrency,
            per_second: one.pace.per_second,
            condition: doing.map(Doing::shown),
            archived: one.archived,
            created_at: since(&setup.destinations, &one.id),
        }
    }
}
