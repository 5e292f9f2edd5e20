//! `/campaigns`: what advertisers pay for, with goals and terms, and their life from draft to
//! ended.

use super::body::{Fields, Given, Sent, flag, list as list_of, number, plain, text};
use super::paging::{Slice, nouns};
use super::postback_url::{Level, of_campaign};
use super::query::{self, PAGING};
use super::{Base, Id, command, created, draw, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::campaign::{Campaign, GOALS_MAX, Goal, Status, Term};
use domain::command::{Act, Answer, CampaignChanges, NewCampaign};
use domain::id::{AdvertiserId, CampaignId};
use serde_json::Value;
use std::sync::Arc;

const NOUN: &str = "campaign";
const FIELDS: &[&str] = &[
    "advertiser_id",
    "name",
    "type",
    "landing_url",
    "fallback_url",
    "currency",
    "time_zone",
    "window_days",
    "partner",
    "integration_id",
    "goals",
];
const CHANGES: &[&str] =
    &["name", "landing_url", "fallback_url", "time_zone", "window_days", "goals"];
const GOAL_FIELDS: &[&str] = &["key", "name", "default", "revenue", "payout"];

async fn settle(app: &App, sent: Sent, act: Act) -> Result<Campaign, Error> {
    match command(app, sent, act).await? {
        Answer::Campaign(campaign) => Ok(campaign),
        other => Err(odd(&other)),
    }
}

fn shown(app: &App, campaign: &Campaign) -> Response {
    Json(show::Campaign::of(&app.live.setup(), campaign)).into_response()
}

fn goal_of(mut fields: Fields) -> Result<Goal, Error> {
    Ok(Goal {
        key: fields.required("key", text)?,
        name: fields.optional("name", text)?.unwrap_or_default(),
        default: fields.optional("default", flag)?.unwrap_or_default(),
        revenue: fields.optional("revenue", term)?.unwrap_or_default(),
        payout: fields.optional("payout", term)?.unwrap_or_default(),
    })
}

/// A term. Its numbers are handed on as the digits they were written with.
fn term(at: &str, value: Value) -> Result<Term, Error> {
    let digits = |value: Value| match value {
        Value::Number(number) => Value::String(number.to_string()),
        other => other,
    };
    let value = match value {
        Value::Object(given) => {
            Value::Object(given.into_iter().map(|(name, value)| (name, digits(value))).collect())
        }
        other => digits(other),
    };
    plain(at, value)
}

fn goals(at: &str, value: Value) -> Result<Vec<Goal>, Error> {
    if value.as_array().is_some_and(|goals| goals.len() > GOALS_MAX) {
        return Err(Error::parameter(at, format!("a campaign has at most {GOALS_MAX} goals")));
    }
    list_of(at, value, |at, value| goal_of(Fields::of(at, value, GOAL_FIELDS)?))
}

fn new_campaign(mut fields: Fields) -> Result<NewCampaign, Error> {
    Ok(NewCampaign {
        advertiser_id: fields.required("advertiser_id", number)?,
        name: fields.required("name", text)?,
        kind: fields.optional("type", plain)?,
        landing_url: fields.required("landing_url", text)?,
        fallback_url: fields.optional("fallback_url", text)?,
        currency: fields.required("currency", plain)?,
        time_zone: fields.optional("time_zone", text)?,
        window_days: fields.optional("window_days", number)?,
        partner: fields.optional("partner", text)?,
        integration_id: fields.optional("integration_id", number)?,
        goals: fields.optional("goals", goals)?.unwrap_or_default(),
    })
}

/// An empty fallback URL takes it away, and so does null.
fn changes(mut fields: Fields) -> Result<CampaignChanges, Error> {
    if fields.is_empty() {
        return Err(nothing_to_change(CHANGES));
    }
    Ok(CampaignChanges {
        name: fields.change("name", text)?,
        landing_url: fields.change("landing_url", text)?,
        fallback_url: match fields.nullable("fallback_url", text)? {
            Given::Absent => None,
            Given::Null => Some(String::new()),
            Given::Value(url) => Some(url),
        },
        time_zone: fields.change("time_zone", text)?,
        window_days: fields.change("window_days", number)?,
        goals: fields.change("goals", goals)?,
    })
}

pub(super) fn nothing_to_change(fields: &[&str]) -> Error {
    Error::request(format!("it changes nothing; what can change is: {}", fields.join(", ")))
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: query::Sent,
) -> Result<Response, Error> {
    let query = query.read(&[&PAGING[..], &["archived", "advertiser_id", "status"]].concat())?;
    let (slice, archived) = (Slice::of(&query)?, query.flag("archived")?);
    let advertiser_id: Option<AdvertiserId> = query.id("advertiser_id")?;
    let status = query.word("status", &Status::ALL, Status::name)?;
    let is_asked = |one: &Campaign| {
        archived.is_none_or(|archived| one.archived == archived)
            && advertiser_id.is_none_or(|id| one.advertiser_id == id)
            && status.is_none_or(|status| one.status == status)
    };
    let setup = app.live.setup();
    let list = nouns(&setup.campaigns, &slice, is_asked, |history| {
        show::Campaign::of(&setup, history.latest())
    });
    Ok(Json(list).into_response())
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let id: CampaignId = id.of(NOUN)?;
    let setup = app.live.setup();
    let campaign = setup.campaign(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Json(show::Campaign::of(&setup, campaign)).into_response())
}

pub(super) async fn create(State(app): State<Arc<App>>, sent: Sent) -> Result<Response, Error> {
    let new = new_campaign(sent.fields(FIELDS)?)?;
    let made = settle(&app, sent, Act::CreateCampaign(Box::new(new))).await?;
    Ok(created(show::Campaign::of(&app.live.setup(), &made)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    let changes = Box::new(changes(sent.fields(CHANGES)?)?);
    let campaign = settle(&app, sent, Act::ChangeCampaign { id, changes }).await?;
    Ok(shown(&app, &campaign))
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    sent.nothing()?;
    let archived = settle(&app, sent, Act::ArchiveCampaign { id }).await?;
    Ok(shown(&app, &archived))
}

pub(super) async fn set_status(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    let to = sent.fields(&["to"])?.required("to", plain)?;
    let act = Act::SetCampaignStatus { id, to, key: draw::key() };
    let changed = settle(&app, sent, act).await?;
    Ok(shown(&app, &changed))
}

/// 201 with the campaign, for the goal has no place of its own.
pub(super) async fn add_goal(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    let goal = goal_of(sent.fields(GOAL_FIELDS)?)?;
    let changed = settle(&app, sent, Act::AddGoal { id, goal }).await?;
    Ok(created(show::Campaign::of(&app.live.setup(), &changed)))
}

pub(super) async fn postback_url(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    query: query::Sent,
) -> Result<Response, Error> {
    let query = query.read(&["level", "goal"])?;
    let level = query.word("level", &Level::ALL, Level::name)?.unwrap_or_default();
    let id: CampaignId = id.of(NOUN)?;
    let setup = app.live.setup();
    let campaign = setup.campaign(id).ok_or_else(|| not_found(NOUN, id))?;
    let found = of_campaign(&setup, &base, campaign, level, query.text("goal"))?;
    Ok(Json(found).into_response())
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::blamed;
    use super::*;
    use domain::campaign::Kind;
    use domain::money::Micros;

    fn read(json: &serde_json::Value) -> Result<NewCampaign, Error> {
        new_campaign(Fields::read(json.to_string().as_bytes(), FIELDS)?)
    }

    #[test]
    fn a_new_campaign_is_read() {
        let json = serde_json::json!({
            "advertiser_id": 1, "name": "Spring", "type": "cpi", "currency": "USD",
            "landing_url": "https://example.com/?c={click_id}",
            "goals": [
                { "key": "install", "default": true, "revenue": "2.50", "payout": 1.75 },
                { "key": "purchase", "revenue": { "percent": 12.5 },
                  "payout": { "from": "postback", "default": "1.00" } },
            ],
        });
        let new = read(&json).unwrap();
        assert_eq!(new.kind, Some(Kind::Cpi));
        assert_eq!(new.goals[0].payout, Term::Fixed(Micros(1_750_000)));
        assert_eq!(new.goals[1].revenue, Term::Percent("12.5".parse().unwrap()));
        let default = Some(Micros(1_000_000));
        assert_eq!(new.goals[1].payout, Term::FromPostback { default });
        assert_eq!(new.window_days, None);
    }

    #[test]
    fn the_field_that_is_wrong_is_named_however_deep_it_stands() {
        let good = serde_json::json!({
            "advertiser_id": 1, "name": "A", "currency": "USD", "landing_url": "https://e.com/",
            "goals": [{ "key": "a" }],
        });
        let cases = [
            ("/advertiser_id", serde_json::json!("1"), "advertiser_id"),
            ("/advertiser_id", serde_json::json!(-1), "advertiser_id"),
            ("/advertiser_id", serde_json::json!(null), "advertiser_id"),
            ("/name", serde_json::json!(["A"]), "name"),
            ("/currency", serde_json::json!("EURO"), "currency"),
            ("/goals", serde_json::json!({}), "goals"),
            ("/goals", serde_json::json!(vec![0; GOALS_MAX + 1]), "goals"),
            ("/goals/0", serde_json::json!(1), "goals[0]"),
            ("/goals/0", serde_json::json!({ "key": 1 }), "goals[0].key"),
            ("/goals/0", serde_json::json!({ "name": "x" }), "goals[0].key"),
            ("/goals/0", serde_json::json!({ "key": "a", "revenue": "1,5" }), "goals[0].revenue"),
            ("/goals/0", serde_json::json!({ "key": "a", "payout": {} }), "goals[0].payout"),
            ("/goals/0", serde_json::json!({ "key": "a", "defualt": true }), "goals[0].defualt"),
        ];
        assert!(read(&good).is_ok());
        for (place, wrong, name) in cases {
            let mut json = good.clone();
            *json.pointer_mut(place).unwrap() = wrong;
            assert_eq!(blamed(read(&json).unwrap_err()).0.as_deref(), Some(name), "{json}");
        }
    }

    #[test]
    fn a_change_leaves_the_rest_and_null_takes_the_fallback_away() {
        let read = |json: &str| changes(Fields::read(json.as_bytes(), CHANGES).unwrap());
        let changes = read(r#"{"fallback_url":null,"window_days":7}"#).unwrap();
        assert_eq!(changes.fallback_url.as_deref(), Some(""));
        assert_eq!((changes.window_days, changes.name, changes.goals), (Some(7), None, None));
        assert!(read("{}").is_err());
        assert!(read(r#"{"name":null}"#).is_err());
        assert!(Fields::read(br#"{"currency":"EUR"}"#, CHANGES).is_err());
    }
}
