//! `/campaigns`: what advertisers pay for, with goals and terms, and their life from draft to
//! ended.

use super::body::{Fields, Given, Sent, flag, list as list_of, number, plain, text};
use super::field::Field;
use super::kind::{Kind, read_as, words};
use super::paging::{ARCHIVED, List, PAGING, Slice, nouns};
use super::postback_url::{Level, PostbackUrl, of_campaign};
use super::query::Query;
use super::refusal;
use super::reply::{Body, Created};
use super::route::Route;
use super::{Base, Id, command, draw, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::campaign::{self, Campaign, GOALS_MAX, Goal, Status, Term, WINDOW_DAYS_MAX};
use domain::command::{Act, Answer, CampaignChanges, NewCampaign};
use domain::id::{AdvertiserId, CampaignId};
use domain::money::Currency;
use serde_json::{Value, json};
use std::sync::Arc;

const NOUN: &str = "campaign";
const NAME: Field =
    Field::required("name", Kind::Text, "1 to 200 bytes without control characters")
        .such_as("Spring");
const LANDING_URL: &str = "`http` or `https`, with host and port written out and macros after them";
const LANDING_URL_SUCH_AS: &str = "https://example.com/?cid={click_id}";
const FALLBACK_URL: Field = Field::optional(
    "fallback_url",
    Kind::Text,
    "Where visitors go while the campaign is not active; without it they get 410",
)
.such_as("https://example.com/sorry");
const TIME_ZONE: &str = "IANA name of the zone its days are counted in; `UTC` without it";
const WINDOW: Kind = Kind::Number(1, WINDOW_DAYS_MAX as u64);
const WINDOW_DAYS: &str = "Days between click and conversion; 30 without it";
const GOALS: Kind = Kind::List(&Kind::Object(GOAL_FIELDS), GOALS_MAX);
const FIELDS: &[Field] = &[
    Field::required("advertiser_id", Kind::Id, "Who pays").such_as("1"),
    NAME,
    Field::optional(
        "type",
        Kind::Word(|| words(&campaign::Kind::ALL, campaign::Kind::name)),
        "Proposes the default goal",
    )
    .such_as("cpi"),
    Field::required("landing_url", Kind::Text, LANDING_URL).such_as(LANDING_URL_SUCH_AS),
    FALLBACK_URL,
    Field::required("currency", Kind::Shape(read_as::<Currency>), "ISO 4217, in any case")
        .such_as("USD"),
    Field::optional("time_zone", Kind::Text, TIME_ZONE).such_as("Europe/Berlin"),
    Field::optional("window_days", WINDOW, WINDOW_DAYS).such_as("30"),
    Field::optional(
        "partner",
        Kind::Text,
        "Whose contract the campaign's own integration speaks; `counterfoil` without it",
    )
    .such_as("clickwall"),
    Field::optional(
        "integration_id",
        Kind::Id,
        "An integration to share, at global level or of the advertiser, in place of its own",
    ),
    Field::optional("goals", GOALS, "The first is the default where none says so"),
];
const CHANGES: &[Field] = &[
    Field::change("name", Kind::Text, "1 to 200 bytes without control characters")
        .such_as("Spring"),
    Field::change("landing_url", Kind::Text, LANDING_URL).such_as(LANDING_URL_SUCH_AS),
    FALLBACK_URL,
    Field::change("time_zone", Kind::Text, TIME_ZONE).such_as("Europe/Berlin"),
    Field::change("window_days", WINDOW, WINDOW_DAYS).such_as("7"),
    Field::change("goals", GOALS, "All of them: one that is left out is gone"),
];
const TERM: Kind = Kind::Shape(term_schema);
const GOAL_FIELDS: &[Field] = &[
    Field::required("key", Kind::Text, "What postbacks call it").such_as("registration"),
    Field::optional("name", Kind::Text, "The key without it").such_as("Registration"),
    Field::optional("default", Kind::Flag, "It is meant where a postback names no goal")
        .such_as("false"),
    Field::optional("revenue", TERM, "What the advertiser pays; `0.00` without it")
        .such_as("\"2.50\""),
    Field::optional("payout", TERM, "What the publisher is paid; `0.00` without it")
        .such_as("\"1.75\""),
];
const STATUS: &[Field] = &[Field::required(
    "to",
    Kind::Word(|| words(&Status::ALL, Status::name)),
    "The status it is to have",
)
.such_as("pending_approval")];
const FILTERS: &[Field] = &[
    ARCHIVED,
    Field::optional("advertiser_id", Kind::Id, "Only this advertiser's").such_as("1"),
    Field::optional("status", Kind::Word(|| words(&Status::ALL, Status::name)), "Only in it")
        .such_as("active"),
];
const OF_URL: &[Field] = &[
    Field::optional(
        "level",
        Kind::Word(|| words(&Level::ALL, Level::name)),
        "Whose integration reads the postbacks; `campaign` without it",
    )
    .such_as("global"),
    Field::optional(
        "goal",
        Kind::Text,
        "The key of the goal the URL is for; the default without it",
    ),
];

pub(super) fn routes() -> Vec<Route> {
    use refusal::{IN_USE, NOT_APPROVED, TRANSITION, WITHOUT_CLICK_ID};
    vec![
        Route::get("/campaigns", "Campaigns, which advertisers pay for", list)
            .query(&[PAGING, FILTERS]),
        Route::post("/campaigns", "Makes a campaign", create).body(FIELDS),
        Route::get("/campaigns/{id}", "A campaign", one),
        Route::patch("/campaigns/{id}", "Changes what is given of a campaign", change)
            .body(CHANGES)
            .refuses(&[refusal::ARCHIVED, WITHOUT_CLICK_ID]),
        Route::post("/campaigns/{id}/archive", "Takes a campaign out of use", archive)
            .refuses(&[refusal::ARCHIVED, IN_USE]),
        Route::post("/campaigns/{id}/status", "Gives a campaign another status", set_status)
            .body(STATUS)
            .refuses(&[refusal::ARCHIVED, TRANSITION, WITHOUT_CLICK_ID]),
        Route::post("/campaigns/{id}/goals", "Adds a goal to a campaign", add_goal)
            .body(GOAL_FIELDS)
            .refuses(&[refusal::ARCHIVED]),
        Route::get("/campaigns/{id}/postback-url", "The postback URL of a campaign", postback_url)
            .query(&[OF_URL])
            .refuses(&[NOT_APPROVED]),
    ]
}

/// What [`term`] reads.
fn term_schema() -> Value {
    let amount = json!({ "type": ["string", "number"], "description": "An amount such as `2.50`" });
    json!({ "anyOf": [
        amount,
        {
            "type": "object",
            "properties": { "percent": { "type": ["string", "number"] } },
            "required": ["percent"],
            "additionalProperties": false,
            "description": "That part of the sale amount",
        },
        {
            "type": "object",
            "properties": { "from": { "const": "postback" }, "default": amount },
            "required": ["from"],
            "additionalProperties": false,
            "description": "What the postback says, or the default",
        },
    ] })
}

async fn settle(app: &App, sent: Sent, act: Act) -> Result<Campaign, Error> {
    match command(app, sent, act).await? {
        Answer::Campaign(campaign) => Ok(campaign),
        other => Err(odd(&other)),
    }
}

fn shown(app: &App, campaign: &Campaign) -> Body<show::Campaign<'static>> {
    Body::of(show::Campaign::of(&app.live.setup(), campaign))
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
fn changes(fields: Fields) -> Result<CampaignChanges, Error> {
    let mut fields = fields.some()?;
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

pub(super) async fn list(
    State(app): State<Arc<App>>,
    query: Query,
) -> Result<Body<List<show::Campaign<'static>>>, Error> {
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
    Ok(Body::of(list))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
) -> Result<Body<show::Campaign<'static>>, Error> {
    let id: CampaignId = id.of(NOUN)?;
    let setup = app.live.setup();
    let campaign = setup.campaign(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Body::of(show::Campaign::of(&setup, campaign)))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    mut sent: Sent,
) -> Result<Created<show::Campaign<'static>>, Error> {
    let new = new_campaign(sent.fields())?;
    let made = settle(&app, sent, Act::CreateCampaign(Box::new(new))).await?;
    Ok(Created::of(show::Campaign::of(&app.live.setup(), &made)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<show::Campaign<'static>>, Error> {
    let id = id.of(NOUN)?;
    let changes = Box::new(changes(sent.fields())?);
    let campaign = settle(&app, sent, Act::ChangeCampaign { id, changes }).await?;
    Ok(shown(&app, &campaign))
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Body<show::Campaign<'static>>, Error> {
    let id = id.of(NOUN)?;
    let archived = settle(&app, sent, Act::ArchiveCampaign { id }).await?;
    Ok(shown(&app, &archived))
}

pub(super) async fn set_status(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<show::Campaign<'static>>, Error> {
    let id = id.of(NOUN)?;
    let to = sent.fields().required("to", plain)?;
    let act = Act::SetCampaignStatus { id, to, key: draw::key() };
    let changed = settle(&app, sent, act).await?;
    Ok(shown(&app, &changed))
}

/// 201 with the campaign, for the goal has no place of its own.
pub(super) async fn add_goal(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Created<show::Campaign<'static>>, Error> {
    let id = id.of(NOUN)?;
    let goal = goal_of(sent.fields())?;
    let changed = settle(&app, sent, Act::AddGoal { id, goal }).await?;
    Ok(Created::of(show::Campaign::of(&app.live.setup(), &changed)))
}

pub(super) async fn postback_url(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    query: Query,
) -> Result<Body<PostbackUrl<'static>>, Error> {
    let level = query.word("level", &Level::ALL, Level::name)?.unwrap_or_default();
    let id: CampaignId = id.of(NOUN)?;
    let setup = app.live.setup();
    let campaign = setup.campaign(id).ok_or_else(|| not_found(NOUN, id))?;
    let found = of_campaign(&setup, &base, campaign, level, query.text("goal"))?;
    Ok(Body::of(found))
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
        let read = |json: &str| changes(Fields::read(json.as_bytes(), CHANGES)?);
        let changes = read(r#"{"fallback_url":null,"window_days":7}"#).unwrap();
        assert_eq!(changes.fallback_url.as_deref(), Some(""));
        assert_eq!((changes.window_days, changes.name, changes.goals), (Some(7), None, None));
        assert!(read("{}").is_err());
        assert!(read(r#"{"name":null}"#).is_err());
        assert!(Fields::read(br#"{"currency":"EUR"}"#, CHANGES).is_err());
    }
}
