//! `/conversions`: what is paid for, with each entry that led there, the hits that named it, and
//! how the hit that made it was read.

use super::body::{Sent, plain, text};
use super::clicks::made_at;
use super::field::Field;
use super::hits;
use super::kind::{Kind, words};
use super::paging::{List, PAGING, Slice};
use super::query::Query;
use super::refusal;
use super::reply::Body;
use super::route::Route;
use super::show::{Amount, ExternalId, ShownLabels};
use super::trace::Trace;
use super::triage::{self, Triage};
use super::{Id, command, not_found, odd};
use crate::app::App;
use crate::http::Error;
use crate::keys::hex;
use axum::extract::State;
use domain::click_id::Keyring;
use domain::command::{Act, Answer};
use domain::contract::Canonical;
use domain::conversion::Status;
use domain::id::{CampaignId, ConversionId, LinkId, PublisherId};
use domain::ledger::{Cause, Conversion};
use domain::money::Currency;
use domain::reason::Flag;
use domain::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;
use store::list::{ConversionFilter, StoredEntry, VerdictFilter};

pub(super) const NOUN: &str = "conversion";
const FILTERS: &[Field] = &[
    Field::optional("click_id", Kind::Text, "Only of this click"),
    Field::optional("txn_id", Kind::Text, "Only with this transaction id").such_as("order-1001"),
    Field::optional("campaign_id", Kind::Id, "Only this campaign's").such_as("1"),
    Field::optional("publisher_id", Kind::Id, "Only this publisher's").such_as("1"),
    Field::optional("goal", Kind::Text, "Only of the goal with this key").such_as("install"),
    Field::optional("status", Kind::Word(|| words(&Status::ALL, Status::name)), "Only in it")
        .such_as("approved"),
    Field::optional("triage", Kind::Flag, "Only what lacks its transaction id, or only others")
        .such_as("true"),
    Field::optional("test", Kind::Flag, "Only test ones, or only others").such_as("false"),
    Field::optional("from", Kind::Instant, "Made then or later").such_as("2026-11-20T00:00:00Z"),
    Field::optional("to", Kind::Instant, "Made before").such_as("2026-11-21T00:00:00Z"),
];
const STATUS: &[Field] = &[
    Field::required(
        "to",
        Kind::Word(|| words(&Status::ALL, Status::name)),
        "The status it is to have",
    )
    .such_as("reversed"),
    Field::required("reason", Kind::Text, "Why, in a person's words")
        .such_as("the order was returned"),
];
/// How many of the hits that named a conversion are shown with it: the newest.
const HITS_MAX: u32 = 100;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/conversions", "Conversions, which are paid for, newest first", list)
            .query(&[PAGING, FILTERS]),
        Route::get("/conversions/{id}", "A conversion, with all that led to it", one),
        Route::post(
            "/conversions/{id}/status",
            "A person's change of a conversion's status",
            set_status,
        )
        .body(STATUS)
        .refuses(&[refusal::TRANSITION, refusal::OUT_OF_RANGE]),
    ]
}

/// A conversion as it stands.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Conversion")]
pub(super) struct Shown<'a> {
    id: ConversionId,
    campaign_id: CampaignId,
    publisher_id: PublisherId,
    link_id: LinkId,
    goal: &'a str,
    click_id: String,
    txn_id: Option<&'a str>,
    status: Status,
    raw_status: Option<&'a str>,
    revenue: Amount,
    payout: Amount,
    currency: Currency,
    sent_amount: Option<Amount>,
    sale_amount: Option<Amount>,
    conversion_ref: Option<&'a str>,
    #[serde(flatten)]
    #[schemars(with = "Numbered")]
    values: Values<'a>,
    #[serde(flatten)]
    external_id: ExternalId<'a>,
    #[serde(flatten)]
    labels: ShownLabels<'a>,
    /// What its postback said of the click; the click's own stand beside it.
    #[serde(skip_serializing_if = "Values::is_empty")]
    said: Values<'a>,
    is_test: bool,
    flags: Vec<Flag>,
    contract: String,
    /// The conversion that it turned out to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_into: Option<ConversionId>,
    /// Of one that lacks its transaction id: alone, and where only those are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    triage: Option<Triage>,
    clicked_at: Timestamp,
    created_at: Timestamp,
    changed_at: Timestamp,
}

/// Names and values, where they were sent.
struct Values<'a>(Vec<&'a (String, String)>);

impl<'a> Values<'a> {
    /// `param1` …, `event1` …, or what is said of the click.
    fn of(one: &'a Conversion, of_the_click: bool) -> Self {
        let is_of_it = |name: &str| !name.starts_with("param") && !name.starts_with("event");
        Self(one.values.iter().filter(|(name, _)| is_of_it(name) == of_the_click).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl JsonSchema for Values<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}

/// What [`Values`] are that do not describe the click: those with numbers in their names.
struct Numbered;

impl JsonSchema for Numbered {
    fn schema_name() -> Cow<'static, str> {
        "Numbered".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all =
            (0..=u8::MAX).flat_map(|number| [format!("param{number}"), format!("event{number}")]);
        let known = all.filter(|name| Canonical::from_name(name).is_some());
        let properties: Map<String, Value> =
            known.map(|name| (name, json!({ "type": "string" }))).collect();
        json_schema!({ "type": "object", "properties": properties })
    }
}

impl<'a> Shown<'a> {
    pub(super) fn of(keyring: &Keyring, one: &'a Conversion) -> Self {
        Self {
            id: one.id,
            campaign_id: one.campaign_id,
            publisher_id: one.publisher_id,
            link_id: one.link_id,
            goal: &one.goal,
            click_id: keyring.format(one.click_id).to_string(),
            txn_id: one.txn_id.as_deref(),
            status: one.status,
            raw_status: one.raw_status.as_deref(),
            revenue: Amount(one.revenue),
            payout: Amount(one.payout),
            currency: one.currency,
            sent_amount: one.sent_amount.map(Amount),
            sale_amount: one.sale_amount.map(Amount),
            conversion_ref: one.conversion_ref.as_deref(),
            values: Values::of(one, false),
            external_id: ExternalId(&one.external_id),
            labels: ShownLabels(&one.labels),
            said: Values::of(one, true),
            is_test: one.is_test,
            flags: one.flags.iter().collect(),
            contract: one.contract.to_string(),
            merged_into: one.merged_into,
            triage: None,
            clicked_at: made_at(one.click_id),
            created_at: one.created_at,
            changed_at: one.changed_at,
        }
    }
}

fn filter(query: &Query, app: &App) -> Result<ConversionFilter, Error> {
    let slice: Slice<u64> = Slice::of(query)?;
    let click_id =
        query.value("click_id", "a click id that we made", |text| app.keys.click.parse(text))?;
    Ok(ConversionFilter {
        click_id,
        txn_id: query.owned("txn_id"),
        campaign_id: query.id("campaign_id")?,
        publisher_id: query.id("publisher_id")?,
        goal: query.owned("goal"),
        status: query.word("status", &Status::ALL, Status::name)?,
        is_test: query.flag("test")?,
        from: query.instant("from")?,
        to: query.instant("to")?,
        before: slice.cursor,
        is_triaged: query.flag("triage")?,
        limit: slice.limit,
        ..ConversionFilter::default()
    })
}

/// The newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Query,
) -> Result<Body<List<Shown<'static>>>, Error> {
    let mut filter = filter(&query, &app)?;
    let is_triage = filter.is_triaged == Some(true);
    if is_triage {
        filter.limit = filter.limit.min(triage::ROWS_MAX);
    }
    let page = app.store.conversions(&filter).await?;
    let next = page.next.map(|next| next.to_string());
    let mut items = Vec::with_capacity(page.items.len());
    for one in &page.items {
        let triage = if is_triage { triage::of(&app, one).await? } else { None };
        items.push(Shown { triage, ..Shown::of(&app.keys.click, one) });
    }
    Ok(Body::of(List { items, next }))
}

/// A conversion, and all that led to it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ConversionWithHistory")]
pub(super) struct Whole<'a> {
    #[serde(flatten)]
    conversion: Shown<'a>,
    /// The oldest first.
    entries: Vec<ShownEntry>,
    /// The oldest first.
    hits: Vec<hits::Shown>,
    /// Null where the request that made it has been removed.
    trace: Option<Trace>,
    /// Those that turned out to be it.
    merged: Vec<ConversionId>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Entry")]
struct ShownEntry {
    sequence: u32,
    at: Timestamp,
    cause: ShownCause,
    from: Option<Status>,
    to: Status,
    /// Signed: what it adds to what is owed.
    revenue: Amount,
    payout: Amount,
    currency: Currency,
    /// Of the request or command it commits to, in hexadecimal.
    evidence: String,
    /// The chain's after it, in hexadecimal.
    hash: String,
}

/// A hit, by its receipt, or a person.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(rename = "Cause")]
enum ShownCause {
    Hit { receipt: String },
    Person { actor: Option<String>, reason: Option<String> },
}

async fn cause(app: &App, cause: Cause) -> Result<ShownCause, Error> {
    let position = match cause {
        Cause::Hit(position) => {
            return Ok(ShownCause::Hit { receipt: hits::receipt(app, position) });
        }
        Cause::Command(position) => position,
    };
    let command = app.store.command(position).await?.map(|stored| stored.command);
    let actor = command.as_ref().map(|command| command.actor.clone());
    let reason = command.and_then(|command| match command.act {
        Act::ChangeConversionStatus { reason, .. }
        | Act::RepairTxnId { reason, .. }
        | Act::MergeConversion { reason, .. } => Some(reason),
        act @ Act::Replay { .. } => Some(act.name().to_owned()),
        _ => None,
    });
    Ok(ShownCause::Person { actor, reason })
}

async fn entry(app: &App, stored: StoredEntry) -> Result<ShownEntry, Error> {
    let StoredEntry { entry: one, hash } = stored;
    Ok(ShownEntry {
        sequence: one.sequence,
        at: one.at,
        cause: cause(app, one.cause).await?,
        from: one.from,
        to: one.to,
        revenue: Amount(one.revenue),
        payout: Amount(one.payout),
        currency: one.currency,
        evidence: hex(&one.evidence),
        hash: hex(&hash),
    })
}

/// The answer for one conversion, as it stands now.
pub(super) async fn whole(app: &App, id: ConversionId) -> Result<Body<Whole<'static>>, Error> {
    let (conversion, entries) =
        app.store.conversion(id).await?.ok_or_else(|| not_found(NOUN, id))?;
    let mut shown = Vec::with_capacity(entries.len());
    for one in entries {
        shown.push(entry(app, one).await?);
    }
    let filter =
        VerdictFilter { conversion_id: Some(id), limit: HITS_MAX, ..VerdictFilter::default() };
    let mut hits = Vec::new();
    for verdict in app.store.verdicts(&filter).await?.items.into_iter().rev() {
        hits.push(hits::shown(app, verdict).await?);
    }
    let made_by = app.store.hit(conversion.created_by).await?;
    let made_by = made_by.and_then(|kept| Some((kept.hit?, kept.at)));
    let verdict = app.store.verdict(conversion.created_by).await?;
    let trace = made_by.map(|(hit, at)| {
        let setup = app.live.setup();
        Trace::of(&setup, &app.keys.click, &hit, at, verdict.as_ref())
    });
    let merged = triage::merged_into(app, &conversion).await?;
    let triage = triage::of(app, &conversion).await?;
    let conversion = Shown { triage, ..Shown::of(&app.keys.click, &conversion) };
    Ok(Body::of(Whole { conversion, entries: shown, hits, trace, merged }))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
) -> Result<Body<Whole<'static>>, Error> {
    let id = id.of(NOUN)?;
    whole(&app, id).await
}

/// A person's change of status.
pub(super) async fn set_status(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<Whole<'static>>, Error> {
    let id = id.of(NOUN)?;
    let mut fields = sent.fields();
    let (to, reason) = (fields.required("to", plain)?, fields.required("reason", text)?);
    settle(&app, sent, Act::ChangeConversionStatus { id, to, reason }).await
}

/// Has the command carried out and answers with the conversion as it left it.
pub(super) async fn settle(app: &App, sent: Sent, act: Act) -> Result<Body<Whole<'static>>, Error> {
    match command(app, sent, act).await? {
        Answer::Conversion(id) => whole(app, id).await,
        other => Err(odd(&other)),
    }
}
