//! `/hits`: what senders sent, and what became of it.
//!
//! Hits that were not worth the journal are listed apart, with `journaled=false`, for as long as
//! they are remembered. Secrets are masked; a request that has been removed shows as null.

use super::body::Sent;
use super::field::{Field, names};
use super::kind::{Kind, words};
use super::mask::Mask;
use super::paging::{List, PAGING, Slice};
use super::query::Query;
use super::refusal;
use super::reply::Body;
use super::route::Route;
use super::{Id, command, not_found, odd};
use crate::app::App;
use crate::http::receipt::received_at;
use crate::http::ring::Kept;
use crate::http::{Answer, Error};
use axum::extract::State;
use domain::command::{Act, Answer as Done};
use domain::hit::Hit;
use domain::id::{CampaignId, Position, PublisherId};
use domain::reason::{Flag, Reason, Verdict};
use domain::receipt::Place;
use domain::setup::Setup;
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use store::list::{StoredVerdict, VerdictFilter};

const NOUN: &str = "hit";
/// What a receipt looks like.
const RECEIPT_EXAMPLE: &str = "00000000000g5s3x9qf1w7kz2c";
const FILTERS: &[Field] = &[
    Field::optional("receipt", Kind::Text, "The one with it; no other filter goes with that"),
    Field::optional("click_id", Kind::Text, "Only those that named this click"),
    Field::optional("txn_id", Kind::Text, "Only with this transaction id").such_as("order-1001"),
    Field::optional("campaign_id", Kind::Id, "Only this campaign's").such_as("1"),
    Field::optional("conversion_id", Kind::Id, "Only those of this conversion").such_as("1"),
    Field::optional("reason", Kind::Word(|| words(&Reason::ALL, Reason::name)), "Only for it")
        .such_as("unknown_click"),
    Field::optional("verdict", Kind::Word(|| words(&Verdict::ALL, Verdict::name)), "Only with it")
        .such_as("refused"),
    Field::optional("flag", Kind::Word(|| words(&Flag::ALL, Flag::name)), "Only with this flag")
        .such_as("shadow_refused"),
    Field::optional("integration_id", Kind::Id, "Only those that it read").such_as("1"),
    Field::optional("from", Kind::Instant, "Received then or later")
        .such_as("2026-11-20T00:00:00Z"),
    Field::optional("to", Kind::Instant, "Received before").such_as("2026-11-21T00:00:00Z"),
    Field::optional("journaled", Kind::Flag, "`false`: those that were not worth the journal")
        .such_as("true"),
];
/// What is known only of hits that a contract has read.
const OF_READ_HITS: [&str; 6] =
    ["click_id", "txn_id", "campaign_id", "conversion_id", "flag", "integration_id"];

/// Above so many bytes of requests a page ends, whatever number of hits was asked for.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) fn routes() -> Vec<Route> {
    use refusal::{HIT_REMOVED, NOT_PARKED, OVERTAKEN};
    vec![
        Route::get("/hits", "Hits, which senders sent, newest first", list)
            .query(&[PAGING, FILTERS]),
        Route::get("/hits/{receipt}", "A hit", one),
        Route::post("/hits/{receipt}/redecide", "Has a parked hit decided again", redecide)
            .refuses(&[NOT_PARKED, HIT_REMOVED, OVERTAKEN]),
    ]
}

/// A hit: the receipt's fields, then the request.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Hit")]
pub(super) struct Shown {
    #[serde(flatten)]
    answer: Answer,
    journaled: bool,
    click_id: Option<String>,
    txn_id: Option<String>,
    campaign_id: Option<CampaignId>,
    publisher_id: Option<PublisherId>,
    goal: Option<String>,
    is_test: bool,
    #[serde(flatten)]
    request: Request,
}

/// A request as it was sent; all null once it has been removed.
#[derive(Debug, Default, JsonSchema, Serialize)]
struct Request {
    method: Option<String>,
    /// Path and query.
    url: Option<String>,
    content_type: Option<String>,
    body: Option<String>,
    remote_ip: Option<IpAddr>,
}

impl Request {
    fn of(setup: &Setup, contract: Option<&str>, hit: &Hit) -> Self {
        let mask = Mask::of(setup, contract);
        Self {
            method: Some(hit.method.clone()),
            url: Some(mask.target(hit)),
            content_type: hit.content_type.clone(),
            body: mask.body(hit),
            remote_ip: hit.peer,
        }
    }

    /// About how long it is.
    fn bytes(&self) -> usize {
        [&self.url, &self.body].into_iter().flatten().map(String::len).sum()
    }
}

/// The receipt of a journaled hit.
pub(super) fn receipt(app: &App, position: Position) -> String {
    app.keys.receipt.format(app.node, Place::Journal(position))
}

/// A hit that was decided, with its request as far as it is kept.
pub(super) async fn shown(app: &App, verdict: StoredVerdict) -> Result<Shown, Error> {
    let hit = app.store.hit(verdict.position).await?.and_then(|kept| kept.hit);
    let contract = verdict.contract.as_deref();
    let request = hit.map(|hit| Request::of(&app.live.setup(), contract, &hit));
    Ok(Shown {
        answer: Answer::decided(app, &verdict),
        journaled: true,
        click_id: verdict.click_id.map(|id| app.keys.click.format(id).to_string()),
        txn_id: verdict.txn_id,
        campaign_id: verdict.campaign_id,
        publisher_id: verdict.publisher_id,
        goal: verdict.goal,
        is_test: verdict.is_test,
        request: request.unwrap_or_default(),
    })
}

/// A hit of which nothing is known but what was sent.
fn bare(app: &App, answer: Answer, journaled: bool, hit: Option<&Hit>) -> Shown {
    let request = hit.map(|hit| Request::of(&app.live.setup(), answer.contract.as_deref(), hit));
    Shown {
        answer,
        journaled,
        click_id: None,
        txn_id: None,
        campaign_id: None,
        publisher_id: None,
        goal: None,
        is_test: false,
        request: request.unwrap_or_default(),
    }
}

fn in_ring(app: &App, kept: &Kept) -> Shown {
    bare(app, Answer::ring(app, kept), false, Some(&kept.hit))
}

/// The hit of a receipt, wherever it is; `None` where it is not kept any more.
async fn by_place(app: &App, place: Place) -> Result<Option<Shown>, Error> {
    let position = match place {
        Place::Ring(ordinal) => {
            return Ok(app.ring.find(ordinal).map(|kept| in_ring(app, &kept)));
        }
        Place::Journal(position) => position,
    };
    if let Some(verdict) = app.store.verdict(position).await? {
        return shown(app, verdict).await.map(Some);
    }
    let answer = received_at(app, position).map(|at| Answer::received(app, position, Some(at)));
    Ok(answer.map(|answer| bare(app, answer, true, None)))
}

/// Where the hit of a receipt is; `None` where the text is no receipt that we gave.
fn place_of(app: &App, receipt: &str) -> Option<Place> {
    let (node, place) = app.keys.receipt.parse(receipt)?;
    (node == app.node).then_some(place)
}

fn filter(query: &Query, app: &App) -> Result<VerdictFilter, Error> {
    let slice: Slice<u64> = Slice::of(query)?;
    let click_id =
        query.value("click_id", "a click id that we made", |text| app.keys.click.parse(text))?;
    Ok(VerdictFilter {
        click_id,
        txn_id: query.owned("txn_id"),
        campaign_id: query.id("campaign_id")?,
        conversion_id: query.id("conversion_id")?,
        verdict: query.word("verdict", &Verdict::ALL, Verdict::name)?,
        reason: query.word("reason", &Reason::ALL, Reason::name)?,
        flag: query.word("flag", &Flag::ALL, Flag::name)?,
        integration_id: query.id("integration_id")?,
        from: query.instant("from")?,
        to: query.instant("to")?,
        before: slice.cursor,
        limit: slice.limit,
    })
}

/// The newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Query,
) -> Result<Body<List<Shown>>, Error> {
    let filter = filter(&query, &app)?;
    let journaled = query.flag("journaled")?;
    if let Some(text) = query.text("receipt") {
        let mut others = names(FILTERS).into_iter().filter(|name| *name != "receipt");
        if let Some(other) = others.find(|name| query.text(name).is_some()) {
            let detail = "a receipt names one hit: no other filter goes with it";
            return Err(Error::parameter(other, detail));
        }
        let place = place_of(&app, text).ok_or_else(|| {
            let detail =
                format!("`receipt` is one that we gave, such as `{RECEIPT_EXAMPLE}`; this is none");
            Error::parameter("receipt", detail)
        })?;
        let found = by_place(&app, place).await?;
        return Ok(Body::of(List::whole(found.into_iter().collect())));
    }
    if journaled == Some(false) {
        if let Some(name) = OF_READ_HITS.into_iter().find(|name| query.text(name).is_some()) {
            let detail = "hits that are not journaled were read by no contract and have none";
            return Err(Error::parameter(name, detail));
        }
        return Ok(Body::of(remembered(&app, &filter)));
    }
    Ok(Body::of(decided(&app, &filter).await?))
}

/// A page of the hits that were decided.
async fn decided(app: &App, filter: &VerdictFilter) -> Result<List<Shown>, Error> {
    let page = app.store.verdicts(filter).await?;
    let mut next = page.next.map(|next| next.to_string());
    let mut items = Vec::with_capacity(page.items.len());
    let mut bytes = 0;
    let mut verdicts = page.items.into_iter().peekable();
    while let Some(verdict) = verdicts.next() {
        let position = verdict.position;
        let one = shown(app, verdict).await?;
        bytes += one.request.bytes();
        items.push(one);
        if bytes > PAGE_BYTES_MAX && verdicts.peek().is_some() {
            next = Some(position.to_string());
            break;
        }
    }
    Ok(List { items, next })
}

/// The hit of a receipt, journaled or not.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Id(receipt): Id,
) -> Result<Body<Shown>, Error> {
    let place = place_of(&app, &receipt).ok_or_else(|| not_found(NOUN, &receipt))?;
    let found = by_place(&app, place).await?.ok_or_else(|| not_found(NOUN, &receipt))?;
    Ok(Body::of(found))
}

/// A page of the hits that are not journaled.
fn remembered(app: &App, filter: &VerdictFilter) -> List<Shown> {
    let all = app.ring.list(filter.before, usize::MAX);
    let is_asked = |kept: &&Arc<Kept>| {
        filter.verdict.is_none_or(|verdict| kept.verdict == verdict)
            && filter.reason.is_none_or(|reason| kept.reason == reason)
            && filter.from.is_none_or(|from| kept.at >= from)
            && filter.to.is_none_or(|to| kept.at < to)
    };
    let mut asked = all.iter().filter(is_asked).peekable();
    let (mut items, mut next, mut bytes) = (Vec::new(), None, 0);
    while let Some(kept) = asked.next() {
        let one = in_ring(app, kept);
        bytes += one.request.bytes();
        items.push(one);
        if items.len() >= filter.limit as usize || bytes > PAGE_BYTES_MAX {
            next = asked.peek().map(|_| kept.ordinal.to_string());
            break;
        }
    }
    List { items, next }
}

/// Has a parked hit decided again, and answers with the hit as it stands then.
pub(super) async fn redecide(
    State(app): State<Arc<App>>,
    Id(receipt): Id,
    sent: Sent,
) -> Result<Body<Shown>, Error> {
    let place = place_of(&app, &receipt).ok_or_else(|| not_found(NOUN, &receipt))?;
    let Place::Journal(position) = place else {
        return Err(Error::Conflict {
            code: "not_parked",
            detail: "the hit is not journaled: only parked ones wait".to_owned(),
        });
    };
    match command(&app, sent, Act::Redecide { position }).await? {
        Done::Hit(position) => {
            let verdict = app.store.verdict(position).await?;
            let verdict = verdict.ok_or_else(|| not_found(NOUN, &receipt))?;
            Ok(Body::of(shown(&app, verdict).await?))
        }
        other => Err(odd(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::{contract_of, integration, parameter};
    use super::*;
    use domain::contract::Canonical;
    use domain::integration::Scope;
    use domain::setup::Change;
    use domain::time::Timestamp;
    use serde_json::json;

    #[test]
    fn a_request_is_shown_as_it_was_sent_but_for_its_secrets() {
        let contract = contract_of(vec![
            parameter(Canonical::ClickId, true),
            parameter(Canonical::Token, false),
        ]);
        let mut setup = Setup::default();
        let one = integration(Scope::Global, contract);
        setup.put(Timestamp::UNIX_EPOCH, Change::Integration(one));
        let hit = Hit {
            method: "POST".to_owned(),
            target: b"/postback/k3y?token=s3cret".to_vec(),
            content_type: Some("application/json".to_owned()),
            body: br#"{"click_id":"x","token":"s3cret"}"#.to_vec(),
            peer: Some("2001:db8::1".parse().unwrap()),
            ..Hit::default()
        };
        let shown = serde_json::to_value(Request::of(&setup, Some("3.1"), &hit)).unwrap();
        let expected = json!({
            "method": "POST",
            "url": "/postback/k3y?token=***",
            "content_type": "application/json",
            "body": r#"{"click_id":"x","token":"***"}"#,
            "remote_ip": "2001:db8::1",
        });
        assert_eq!(shown, expected);
    }
}
