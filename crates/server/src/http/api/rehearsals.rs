//! Trying a contract on stored hits, which changes nothing; and having refused hits decided again,
//! which does.

use super::body::{Fields, Sent, flag, number};
use super::contracts::contract;
use super::field::Field;
use super::hits::receipt;
use super::kind::{Kind, read_as};
use super::refusal;
use super::reply::Body;
use super::route::Route;
use super::show::Amount;
use super::{ContractId, Id, answered, caught_up, command, idempotency, not_found, odd};
use crate::app::App;
use crate::http::Error;
use crate::rehearsal::{self, ConversionChange, Difference, HitChange, Told, rehearse};
use axum::extract::State;
use domain::command::{Act, Answer, REPLAY_HITS_MAX};
use domain::contract::{Contract, Fault};
use domain::conversion::Status;
use domain::id::{IntegrationId, Position};
use domain::integration::{EarlierContract, Integration};
use domain::ledger::Conversion;
use domain::money::{Currency, Micros};
use domain::reason::{Reason, Verdict};
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many days are looked at where nobody says.
pub(super) const DAYS: u32 = 7;
/// How many are at the most: as long as hits can be read whole.
pub(super) const DAYS_MAX: u32 = 90;
/// How long somebody waits for the one before to be done.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// How many hits, and how many conversions, are listed; all are counted.
const LISTED_MAX: usize = 200;

const WINDOW: Field = Field::optional(
    "days",
    Kind::Number(1, DAYS_MAX as u64),
    "The hits of so many days are looked at; 7 without it",
)
.such_as("7");
const WITH_SUNSET: Field = Field::optional(
    "with_sunset",
    Kind::Flag,
    "As long as the one it replaces is still read; without it, once that is over",
)
.such_as("false");
/// A contract that says as little as one can.
const SMALLEST: &str = r#"{"parameters":[{"canonical":"click_id","names":["click_id"],"required":true}],"statuses":{"absent":"approved"}}"#;
const TRIED: &[Field] = &[WINDOW, WITH_SUNSET];
const ANY: &[Field] = &[
    Field::required("contract", Kind::Shape(read_as::<Contract>), "The agreement to try")
        .such_as(SMALLEST),
    WINDOW,
    WITH_SUNSET,
];
const REPLAY: &[Field] = &[
    WINDOW,
    Field::optional("preview", Kind::Flag, "Only tells how many there are, and changes nothing")
        .such_as("true"),
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/integrations/{id}/contracts/{number}/try",
            "What a version would change in the stored hits, changing nothing",
            try_version,
        )
        .body(TRIED)
        .refuses(&[refusal::ARCHIVED, refusal::BUSY]),
        Route::post(
            "/integrations/{id}/try",
            "What a contract that nobody has drafted would change, changing nothing",
            try_any,
        )
        .body(ANY)
        .refuses(&[refusal::ARCHIVED, refusal::BUSY]),
        Route::post(
            "/integrations/{id}/replay",
            "Decides refused and parked hits again, as the integration speaks now",
            replay,
        )
        .body(REPLAY)
        .refuses(&[refusal::ARCHIVED, refusal::BUSY]),
    ]
}

/// What a contract would change.
#[derive(JsonSchema, Serialize)]
struct Tried {
    /// The hits that arrived from then on were looked at.
    from: Timestamp,
    /// How many the integration read, or would read.
    hits: usize,
    /// Whether all hits since then, and the others of their clicks, were looked at: there is a
    /// bound, and the newest come first.
    complete: bool,
    /// How many could not be looked at, because the request is not kept any more.
    removed: usize,
    verdicts: Vec<Move>,
    money: Vec<Money>,
    conversions: Counts,
    /// The first of the hits that would have another verdict.
    changed_hits: Vec<ChangedHit>,
    /// The first of the conversions that would differ.
    changed_conversions: Vec<ChangedConversion>,
}

/// How many hits would go from one verdict to another.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "VerdictChange")]
struct Move {
    was: ShownVerdict,
    would_be: ShownVerdict,
    hits: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[schemars(rename = "VerdictInShort")]
struct ShownVerdict {
    verdict: Verdict,
    reason: Option<Reason>,
}

/// What is paid in one currency, as it is and as it would be.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "MoneyChange")]
struct Money {
    currency: Currency,
    revenue: Amount,
    revenue_would_be: Amount,
    payout: Amount,
    payout_would_be: Amount,
}

#[derive(Default, JsonSchema, Serialize)]
#[schemars(rename = "ConversionCounts")]
struct Counts {
    added: usize,
    lost: usize,
    changed: usize,
}

#[derive(JsonSchema, Serialize)]
struct ChangedHit {
    receipt: String,
    received_at: Timestamp,
    was: ShownVerdict,
    would_be: ShownVerdict,
    /// What would be to blame.
    parameter: Option<String>,
}

#[derive(JsonSchema, Serialize)]
struct ChangedConversion {
    /// Of the hit that made it, or would.
    receipt: String,
    click_id: String,
    was: Option<Standing>,
    would_be: Option<Standing>,
}

/// A conversion in short.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ConversionInShort")]
pub(super) struct Standing {
    goal: String,
    txn_id: Option<String>,
    status: Status,
    revenue: Amount,
    payout: Amount,
    currency: Currency,
}

impl Standing {
    pub(super) fn of(one: &Conversion) -> Self {
        Self {
            goal: one.goal.clone(),
            txn_id: one.txn_id.clone(),
            status: one.status,
            revenue: Amount(one.revenue),
            payout: Amount(one.payout),
            currency: one.currency,
        }
    }
}

impl From<&Told> for ShownVerdict {
    fn from(told: &Told) -> Self {
        Self { verdict: told.verdict, reason: told.reason }
    }
}

impl Tried {
    fn of(app: &App, from: Timestamp, difference: &Difference) -> Self {
        let mut moves: BTreeMap<(ShownVerdict, ShownVerdict), usize> = BTreeMap::new();
        for change in &difference.verdicts {
            *moves.entry(((&change.was).into(), (&change.would).into())).or_default() += 1;
        }
        let verdicts =
            moves.into_iter().map(|((was, would_be), hits)| Move { was, would_be, hits });
        let hit = |change: &HitChange| ChangedHit {
            receipt: receipt(app, change.position),
            received_at: change.at,
            was: (&change.was).into(),
            would_be: (&change.would).into(),
            parameter: change.would.parameter.clone(),
        };
        let changed = |change: &ConversionChange| {
            let one = change.would.as_ref().or(change.was.as_ref());
            let click_id = one.map(|one| app.keys.click.format(one.click_id).to_string());
            ChangedConversion {
                receipt: receipt(app, change.made_by),
                click_id: click_id.unwrap_or_default(),
                was: change.was.as_ref().map(Standing::of),
                would_be: change.would.as_ref().map(Standing::of),
            }
        };
        Self {
            from,
            hits: difference.hits,
            complete: difference.is_complete,
            removed: difference.removed,
            verdicts: verdicts.collect(),
            money: money(&difference.conversions),
            conversions: counts(&difference.conversions),
            changed_hits: difference.verdicts.iter().take(LISTED_MAX).map(hit).collect(),
            changed_conversions: difference
                .conversions
                .iter()
                .take(LISTED_MAX)
                .map(changed)
                .collect(),
        }
    }
}

fn counts(changes: &[ConversionChange]) -> Counts {
    changes.iter().fold(Counts::default(), |mut counts, change| {
        match (&change.was, &change.would) {
            (None, _) => counts.added += 1,
            (_, None) => counts.lost += 1,
            _ => counts.changed += 1,
        }
        counts
    })
}

/// Of test conversions nothing is paid.
fn money(changes: &[ConversionChange]) -> Vec<Money> {
    let mut sums: BTreeMap<String, (Currency, [i64; 4])> = BTreeMap::new();
    for change in changes {
        let sides = [(&change.was, 0), (&change.would, 1)];
        for (one, side) in sides {
            let Some(one) = one.as_ref().filter(|one| !one.is_test) else { continue };
            let currency = one.currency;
            let (_, sums) = sums.entry(currency.to_string()).or_insert((currency, [0; 4]));
            sums[side] = sums[side].saturating_add(one.paid_revenue.0);
            sums[side + 2] = sums[side + 2].saturating_add(one.paid_payout.0);
        }
    }
    let shown =
        |(currency, [was, would_be, payout, payout_would_be]): (Currency, [i64; 4])| Money {
            currency,
            revenue: Amount(Micros(was)),
            revenue_would_be: Amount(Micros(would_be)),
            payout: Amount(Micros(payout)),
            payout_would_be: Amount(Micros(payout_would_be)),
        };
    sums.into_values().map(shown).collect()
}

fn the_integration(app: &App, id: IntegrationId) -> Result<Integration, Error> {
    let setup = app.live.setup();
    let found = setup.integration(id).cloned().ok_or_else(|| not_found("integration", id))?;
    if found.archived {
        let detail = format!("integration {id} is archived");
        return Err(Error::Conflict { code: "archived", detail });
    }
    Ok(found)
}

fn since(app: &App, fields: &mut Fields) -> Result<Timestamp, Error> {
    let days: u32 = fields.optional("days", number)?.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&days) {
        let detail = format!("1 to {DAYS_MAX} days: requests are not kept longer");
        return Err(Error::parameter("days", detail));
    }
    Ok(app.clock.now().plus_days(-i64::from(days)))
}

/// The integration as if `contract` were the one in force.
fn as_if(
    integration: Integration,
    version: u32,
    contract: Contract,
    with_sunset: bool,
) -> Integration {
    let (before, replaced) = (integration.version, integration.contract);
    let mut earlier = integration.earlier;
    if version != before {
        earlier.retain(|one| one.version != version);
        let until = Timestamp::MAX;
        earlier.insert(0, EarlierContract { version: before, until, contract: replaced });
    }
    if !with_sunset {
        // What only they know is refused as theirs then, and not as unknown.
        for one in &mut earlier {
            one.until = Timestamp::MIN;
        }
    }
    Integration { version, contract, earlier, ..integration }
}

/// The right to rehearse, which one request has at a time: all that is looked at is in memory.
async fn turn(stage: &Semaphore, within: Duration) -> Result<SemaphorePermit<'_>, Error> {
    let waited = tokio::time::timeout(within, stage.acquire()).await;
    let busy = Error::Busy("another contract is being tried, or a replay is being done");
    waited.map_err(|_| busy)?.map_err(|error| Error::Internal(error.to_string()))
}

async fn tried(
    app: &App,
    mut fields: Fields,
    integration: Integration,
    version: u32,
    contract: Contract,
) -> Result<Body<Tried>, Error> {
    let from = since(app, &mut fields)?;
    let with_sunset = fields.optional("with_sunset", flag)?.unwrap_or(false);
    let _turn = turn(&app.stage, TURN_WITHIN).await?;
    caught_up(app).await?;
    let integration = as_if(integration, version, contract, with_sunset);
    let difference = rehearse(app, integration, from).await?;
    Ok(Body::of(Tried::of(app, from, &difference)))
}

async fn try_version(
    State(app): State<Arc<App>>,
    id: ContractId,
    mut sent: Sent,
) -> Result<Body<Tried>, Error> {
    let (id, number) = id.of()?;
    let integration = the_integration(&app, id)?;
    let found = app.live.setup().contract(id, number).map(|version| version.contract.clone());
    let contract = found.ok_or_else(|| not_found("contract", format!("{id}.{number}")))?;
    tried(&app, sent.fields(), integration, number, contract).await
}

async fn try_any(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<Tried>, Error> {
    let integration = the_integration(&app, id.of("integration")?)?;
    let mut fields = sent.fields();
    let contract = fields.required("contract", contract)?;
    if let Some(Fault { path, detail }) = contract.fault() {
        return Err(Error::parameter(&format!("contract.{path}"), detail));
    }
    let version = integration.version + 1;
    tried(&app, fields, integration, version, *contract).await
}

/// What a replay did, or would do.
#[derive(JsonSchema, Serialize)]
struct Replay {
    /// How many hits can be decided again; no more than so many are at a time.
    found: usize,
    /// How many stay as they are, because what came later has changed their conversions.
    overtaken: usize,
    /// Those that were decided again now.
    replayed: Vec<ReplayedHit>,
    /// How many are left for the next call.
    left: usize,
    /// What it would change, of all that were found; null where it was done.
    changes: Option<Tried>,
}

#[derive(JsonSchema, Serialize)]
struct ReplayedHit {
    receipt: String,
    verdict: Verdict,
}

async fn replay(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<Replay>, Error> {
    let id: IntegrationId = id.of("integration")?;
    let mut fields = sent.fields();
    let from = since(&app, &mut fields)?;
    let preview = fields.optional("preview", flag)?.unwrap_or(false);
    let _turn = turn(&app.stage, TURN_WITHIN).await?;
    caught_up(&app).await?;
    if let Some(done) = idempotency::earlier(&app, sent.idempotency.as_ref()).await? {
        return Ok(Body::of(Replay::done(&app, &done.command.act, &answered(done.outcome)?)?));
    }
    let integration = the_integration(&app, id)?;
    let difference = rehearsal::replay(&app, &integration, from).await?;
    let (found, overtaken) = (difference.verdicts.len(), difference.overtaken);
    if preview {
        let changes = Some(Tried::of(&app, from, &difference));
        let replayed = Vec::new();
        return Ok(Body::of(Replay { found, overtaken, replayed, left: found, changes }));
    }
    let positions = difference.verdicts.iter().map(|one| one.position);
    let hits: Vec<Position> = positions.take(REPLAY_HITS_MAX).collect();
    let act = Act::Replay { id, hits, found, overtaken };
    let answer = command(&app, sent, act.clone()).await?;
    Ok(Body::of(Replay::done(&app, &act, &answer)?))
}

impl Replay {
    /// What a replay did, as its command and that one's answer say.
    fn done(app: &App, act: &Act, answer: &Answer) -> Result<Self, Error> {
        let (Act::Replay { found, overtaken, .. }, Answer::Replayed(replayed)) = (act, answer)
        else {
            return Err(odd(answer));
        };
        let shown = |(position, verdict): &(Position, Verdict)| ReplayedHit {
            receipt: receipt(app, *position),
            verdict: *verdict,
        };
        Ok(Self {
            found: *found,
            overtaken: *overtaken,
            replayed: replayed.iter().map(shown).collect(),
            left: found.saturating_sub(REPLAY_HITS_MAX),
            changes: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::RETRY_AFTER;
    use axum::response::IntoResponse;

    #[tokio::test]
    async fn who_has_no_turn_in_time_is_told_when_to_try_again() {
        let stage = Semaphore::new(1);
        let turn_now = || turn(&stage, Duration::ZERO);
        let first = turn_now().await.unwrap();
        let refused = turn_now().await.unwrap_err();
        assert!(refused.to_string().contains("being tried"), "{refused}");
        let answer = refused.into_response();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[RETRY_AFTER]),
            (429, &"5".parse().unwrap())
        );
        drop(first);
        assert!(turn_now().await.is_ok());
    }
}
