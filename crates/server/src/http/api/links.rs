//! `/links`: publishers' ways into campaigns.

use super::body::{Sent, flag, number, text};
use super::field::Field;
use super::kind::Kind;
use super::paging::{ARCHIVED, List, PAGING, Slice, nouns};
use super::query::Query;
use super::refusal;
use super::reply::{Body, Created};
use super::route::Route;
use super::{Base, Id, command, draw, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::campaign::Link;
use domain::command::{Act, Answer};
use domain::id::{CampaignId, LinkId, PublisherId};
use std::sync::Arc;

const NOUN: &str = "link";
const LANDING_URL: Field =
    Field::optional("landing_url", Kind::Text, "Its own, in place of the campaign's")
        .such_as("https://example.com/b?cid={click_id}");
const FIELDS: &[Field] = &[
    Field::required("campaign_id", Kind::Id, "Where it leads").such_as("1"),
    Field::required("publisher_id", Kind::Id, "Whose it is").such_as("1"),
    LANDING_URL,
    Field::optional("test", Kind::Flag, "What comes through it is kept out of money")
        .such_as("true"),
];
const CHANGES: &[Field] = &[LANDING_URL];
const FILTERS: &[Field] = &[
    ARCHIVED,
    Field::optional("campaign_id", Kind::Id, "Only this campaign's").such_as("1"),
    Field::optional("publisher_id", Kind::Id, "Only this publisher's").such_as("1"),
    Field::optional("test", Kind::Flag, "Only test links, or only others").such_as("true"),
];

pub(super) fn routes() -> Vec<Route> {
    use refusal::{NOT_APPROVED, WITHOUT_CLICK_ID};
    vec![
        Route::get("/links", "Links, which are publishers' ways into campaigns", list)
            .query(&[PAGING, FILTERS]),
        Route::post("/links", "Makes a link", create)
            .body(FIELDS)
            .refuses(&[NOT_APPROVED, WITHOUT_CLICK_ID]),
        Route::get("/links/{id}", "A link", one),
        Route::patch("/links/{id}", "Changes a link's own landing URL; null takes it away", change)
            .body(CHANGES)
            .refuses(&[refusal::ARCHIVED, WITHOUT_CLICK_ID]),
        Route::post("/links/{id}/archive", "Takes a link out of use", archive)
            .refuses(&[refusal::ARCHIVED]),
    ]
}

async fn settle(app: &App, sent: Sent, act: Act) -> Result<Link, Error> {
    match command(app, sent, act).await? {
        Answer::Link(link) => Ok(link),
        other => Err(odd(&other)),
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Base(base): Base,
    query: Query,
) -> Result<Body<List<show::Link<'static>>>, Error> {
    let (slice, archived, test) =
        (Slice::of(&query)?, query.flag("archived")?, query.flag("test")?);
    let campaign_id: Option<CampaignId> = query.id("campaign_id")?;
    let publisher_id: Option<PublisherId> = query.id("publisher_id")?;
    let is_asked = |one: &Link| {
        archived.is_none_or(|archived| one.archived == archived)
            && test.is_none_or(|test| one.test == test)
            && campaign_id.is_none_or(|id| one.campaign_id == id)
            && publisher_id.is_none_or(|id| one.publisher_id == id)
    };
    let setup = app.live.setup();
    let list = nouns(&setup.links, &slice, is_asked, |history| {
        show::Link::of(&setup, &base, history.latest())
    });
    Ok(Body::of(list))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
) -> Result<Body<show::Link<'static>>, Error> {
    let id: LinkId = id.of(NOUN)?;
    let setup = app.live.setup();
    let link = setup.link(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Body::of(show::Link::of(&setup, &base, link)))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Created<show::Link<'static>>, Error> {
    let mut fields = sent.fields();
    let act = Act::CreateLink {
        campaign_id: fields.required("campaign_id", number)?,
        publisher_id: fields.required("publisher_id", number)?,
        token: draw::token(&app.live.setup())?,
        landing_url: fields.optional("landing_url", text)?,
        test: fields.optional("test", flag)?.unwrap_or_default(),
    };
    let made = settle(&app, sent, act).await?;
    Ok(Created::of(show::Link::of(&app.live.setup(), &base, &made)))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Body<show::Link<'static>>, Error> {
    let id = id.of(NOUN)?;
    let landing_url = sent.fields().some()?.optional("landing_url", text)?;
    let changed = settle(&app, sent, Act::ChangeLink { id, landing_url }).await?;
    Ok(Body::of(show::Link::of(&app.live.setup(), &base, &changed)))
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    sent: Sent,
) -> Result<Body<show::Link<'static>>, Error> {
    let id = id.of(NOUN)?;
    let archived = settle(&app, sent, Act::ArchiveLink { id }).await?;
    Ok(Body::of(show::Link::of(&app.live.setup(), &base, &archived)))
}
