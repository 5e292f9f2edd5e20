//! `/integrations`: contracts in use, each with its own key, at global, advertiser or campaign
//! level.

use super::body::{Fields, Given, Sent, number, plain, text};
use super::field::Field;
use super::kind::Kind;
use super::paging::{ARCHIVED, List, PAGING, Slice, nouns};
use super::postback_url::{PostbackUrl, global};
use super::query::Query;
use super::refusal;
use super::reply::{Body, Created};
use super::route::Route;
use super::show::MASK;
use super::{Base, Id, command, draw, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::command::{Act, Answer, NewIntegration};
use domain::id::{AdvertiserId, CampaignId, IntegrationId};
use domain::integration::{Integration, Scope};
use domain::secret::Secret;
use domain::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

const NOUN: &str = "integration";
const LEVELS: [&str; 3] = ["global", "advertiser", "campaign"];
/// How many secrets one integration can be given; contracts have one each by now.
const SECRETS_MAX: usize = 20;

const LANDING_PARAMS: Field = Field::optional(
    "landing_params",
    Kind::Text,
    "Added to the landing URLs of campaigns that use it; null takes it away",
)
.such_as("aff_sub={clickid}");
const FIELDS: &[Field] = &[
    Field::required("level", Kind::Word(|| LEVELS.to_vec()), "Whose clicks its key counts for")
        .such_as("global"),
    Field::optional("advertiser_id", Kind::Id, "At advertiser level: whose"),
    Field::optional("campaign_id", Kind::Id, "At campaign level: whose"),
    Field::required("partner", Kind::Text, "Whose contract it speaks: a name of the catalogue")
        .such_as("kiwiwall"),
    LANDING_PARAMS,
    Field::optional("secrets", SECRETS, "By their names, such as `token`"),
];
const CHANGES: &[Field] = &[
    LANDING_PARAMS,
    Field::change("secrets", CHANGED_SECRETS, "By their names; null takes one away, others stay"),
    Field::optional("old_secrets_until", Kind::Instant, "Until when those count beside the new"),
];
const SECRETS: Kind = Kind::Map(&Kind::Text, SECRETS_MAX);
const CHANGED_SECRETS: Kind = Kind::Map(&Kind::TextOrNull, SECRETS_MAX);
const FILTERS: &[Field] = &[
    ARCHIVED,
    Field::optional("level", Kind::Word(|| LEVELS.to_vec()), "Only at it").such_as("global"),
    Field::optional("advertiser_id", Kind::Id, "Only this advertiser's").such_as("1"),
    Field::optional("campaign_id", Kind::Id, "Only this campaign's").such_as("1"),
    Field::optional("partner", Kind::Text, "Only this partner's").such_as("kiwiwall"),
];

pub(super) fn routes() -> Vec<Route> {
    use refusal::{IN_USE, NOT_APPROVED, WITHOUT_CLICK_ID};
    vec![
        Route::get("/integrations", "Integrations, which are contracts in use", list)
            .query(&[PAGING, FILTERS]),
        Route::post("/integrations", "Makes an integration", create)
            .body(FIELDS)
            .refuses(&[NOT_APPROVED]),
        Route::get("/integrations/{id}", "An integration", one),
        Route::patch("/integrations/{id}", "Changes what is given of an integration", change)
            .body(CHANGES)
            .refuses(&[refusal::ARCHIVED, IN_USE, WITHOUT_CLICK_ID]),
        Route::post("/integrations/{id}/archive", "Takes an integration out of use", archive)
            .refuses(&[refusal::ARCHIVED, IN_USE]),
        Route::get("/postback-url", "The postback URL of the global level", postback_url)
            .refuses(&[refusal::NOT_FOUND]),
    ]
}

async fn settle(app: &App, sent: Sent, act: Act) -> Result<Integration, Error> {
    match command(app, sent, act).await? {
        Answer::Integration(integration) => Ok(*integration),
        other => Err(odd(&other)),
    }
}

/// The level, and the id that belongs to it; an id of another level is a mistake.
fn scope(fields: &mut Fields) -> Result<Scope, Error> {
    let level = fields.required("level", text)?;
    let advertiser_id = fields.optional("advertiser_id", number)?;
    let campaign_id = fields.optional("campaign_id", number)?;
    let stray = |name: &str| {
        Error::parameter(name, format!("an integration at {level} level has no {name}"))
    };
    let missing = |name: &str| {
        Error::parameter(name, format!("an integration at {level} level needs a {name}"))
    };
    match (level.as_str(), advertiser_id, campaign_id) {
        ("global", None, None) => Ok(Scope::Global),
        ("advertiser", Some(advertiser_id), None) => Ok(Scope::Advertiser { advertiser_id }),
        ("campaign", None, Some(campaign_id)) => Ok(Scope::Campaign { campaign_id }),
        ("advertiser", None, _) => Err(missing("advertiser_id")),
        ("campaign", _, None) => Err(missing("campaign_id")),
        ("global" | "campaign", Some(_), _) => Err(stray("advertiser_id")),
        ("global" | "advertiser", _, Some(_)) => Err(stray("campaign_id")),
        _ => {
            let detail = format!("a level is one of: {}", LEVELS.join(", "));
            Err(Error::parameter("level", detail))
        }
    }
}

/// Secrets by their names. What we show in place of one is none.
fn secrets(at: &str, value: Value) -> Result<BTreeMap<String, Secret>, Error> {
    let given: BTreeMap<String, Value> = plain(at, value)?;
    let read = |(name, value): (String, Value)| {
        let secret = secret(&format!("{at}.{name}"), value)?;
        Ok((name, secret))
    };
    given.into_iter().map(read).collect()
}

/// The same in a change: null takes one away.
pub(super) fn changed_secrets(
    at: &str,
    value: Value,
) -> Result<BTreeMap<String, Option<Secret>>, Error> {
    let given: BTreeMap<String, Value> = plain(at, value)?;
    let read = |(name, value): (String, Value)| {
        let at = format!("{at}.{name}");
        let given = Some(value).filter(|value| !value.is_null());
        let secret = given.map(|value| secret(&at, value)).transpose()?;
        Ok((name, secret))
    };
    given.into_iter().map(read).collect()
}

pub(super) fn secret(at: &str, value: Value) -> Result<Secret, Error> {
    let secret = text(at, value)?;
    if secret == MASK {
        let detail = format!("`{MASK}` stands for a secret; give the secret itself");
        return Err(Error::parameter(at, detail));
    }
    // Senders' values are trimmed before they are compared: a blank at the end of a pasted
    // secret would refuse every one of them.
    Ok(Secret::new(secret.trim().to_owned()))
}

fn new_integration(mut fields: Fields) -> Result<NewIntegration, Error> {
    Ok(NewIntegration {
        scope: scope(&mut fields)?,
        partner: fields.required("partner", text)?,
        key: draw::key(),
        landing_params: fields.optional("landing_params", text)?,
        secrets: fields.optional("secrets", secrets)?.unwrap_or_default(),
    })
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Base(base): Base,
    query: Query,
) -> Result<Body<List<show::Integration<'static>>>, Error> {
    let (slice, archived) = (Slice::of(&query)?, query.flag("archived")?);
    let level = query.word("level", &LEVELS, |level| level)?;
    let advertiser_id: Option<AdvertiserId> = query.id("advertiser_id")?;
    let campaign_id: Option<CampaignId> = query.id("campaign_id")?;
    let is_asked = |one: &Integration| {
        archived.is_none_or(|archived| one.archived == archived)
            && level.is_none_or(|level| one.scope.level() == level)
            && query.text("partner").is_none_or(|partner| one.partner == partner)
            && advertiser_id
                .is_none_or(|advertiser_id| one.scope == Scope::Advertiser { advertiser_id })
            && campaign_id.is_none_or(|campaign_id| one.scope == Scope::Campaign { campaign_id })
    };
    let setup = app.live.setup();
    let list = nouns(&setup.integrations, &slice, is_asked, |history| {
        show::Integration::of(&setup, &base, history.latest())
    });
    Ok(Body::of(list))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
) -> Result<Body<show::Integration<'static>>, Error> {
    let id: IntegrationId = id.of(NOUN)?;
    let setup = app.live.setup();
    let integration = setup.integration(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Body::of(show::Integration::of(&setup, &base, integration)))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Created<show::Integration<'static>>, Error> {
    let new = new_integration(sent.fields())?;
    let made = settle(&app, sent, Act::CreateIntegration(Box::new(new))).await?;
    Ok(Created::of(show::Integration::of(&app.live.setup(), &base, &made)))
}

/// Secrets that are given take the place of those of their names.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Body<show::Integration<'static>>, Error> {
    let id = id.of(NOUN)?;
    let mut fields = sent.fields().some()?;
    let landing_params = match fields.nullable("landing_params", text)? {
        Given::Absent => None,
        Given::Null => Some(None),
        Given::Value(params) => Some(Some(params)),
    };
    let secrets = fields.change("secrets", changed_secrets)?;
    let old_secrets_until = fields.optional("old_secrets_until", plain::<Timestamp>)?;
    let act = Act::ChangeIntegration { id, landing_params, secrets, old_secrets_until };
    let changed = settle(&app, sent, act).await?;
    Ok(Body::of(show::Integration::of(&app.live.setup(), &base, &changed)))
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    sent: Sent,
) -> Result<Body<show::Integration<'static>>, Error> {
    let id = id.of(NOUN)?;
    let archived = settle(&app, sent, Act::ArchiveIntegration { id }).await?;
    Ok(Body::of(show::Integration::of(&app.live.setup(), &base, &archived)))
}

/// The URL for whoever has no level of their own.
pub(super) async fn postback_url(
    State(app): State<Arc<App>>,
    Base(base): Base,
) -> Result<Body<PostbackUrl<'static>>, Error> {
    let setup = app.live.setup();
    let integration = global(&setup)?;
    Ok(Body::of(PostbackUrl::of(&setup, &base, integration, None, None)))
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::blamed;
    use super::*;

    fn read(json: &str) -> Result<NewIntegration, Error> {
        new_integration(Fields::read(json.as_bytes(), FIELDS)?)
    }

    #[test]
    fn a_level_comes_with_the_id_that_belongs_to_it() {
        let scope = |json| read(json).map(|new| new.scope);
        let global = r#"{"level":"global","partner":"trackier"}"#;
        assert_eq!(scope(global).unwrap(), Scope::Global);
        let campaign = r#"{"level":"campaign","campaign_id":7,"partner":"clickwall"}"#;
        let campaign_id = CampaignId(7);
        assert_eq!(scope(campaign).unwrap(), Scope::Campaign { campaign_id });
        let wrong = [
            (r#"{"partner":"x"}"#, "level"),
            (r#"{"level":"network","partner":"x"}"#, "level"),
            (r#"{"level":"global","advertiser_id":1,"partner":"x"}"#, "advertiser_id"),
            (r#"{"level":"global","campaign_id":1,"partner":"x"}"#, "campaign_id"),
            (r#"{"level":"advertiser","partner":"x"}"#, "advertiser_id"),
            (r#"{"level":"advertiser","campaign_id":1,"partner":"x"}"#, "advertiser_id"),
            (r#"{"level":"campaign","advertiser_id":1,"partner":"x"}"#, "campaign_id"),
            (r#"{"level":"global"}"#, "partner"),
        ];
        for (json, name) in wrong {
            assert_eq!(blamed(read(json).unwrap_err()).0.as_deref(), Some(name), "{json}");
        }
    }

    #[test]
    fn what_stands_for_a_secret_is_none() {
        let with = |secrets: &str| {
            read(&format!(r#"{{"level":"global","partner":"x","secrets":{secrets}}}"#))
        };
        assert!(with(r#"{"token":"abc"}"#).unwrap().secrets["token"].verifies("abc"));
        for secrets in [r#"{"token":"***"}"#, r#"{"token":5}"#, r#"{"token":null}"#] {
            let (name, detail) = blamed(with(secrets).unwrap_err());
            assert_eq!(name.as_deref(), Some("secrets.token"), "{detail}");
        }
        assert!(with("[]").is_err());
        let given = serde_json::json!({ "token": null, "signature": " x " });
        let changed = changed_secrets("secrets", given).unwrap();
        assert!(changed["token"].is_none());
        assert!(changed["signature"].as_ref().unwrap().verifies("x"));
        let shown = serde_json::json!({ "token": "***" });
        let (name, _) = blamed(changed_secrets("secrets", shown).unwrap_err());
        assert_eq!(name.as_deref(), Some("secrets.token"));
    }

    #[test]
    fn each_integration_gets_its_own_key() {
        let json = r#"{"level":"global","partner":"x"}"#;
        assert_ne!(read(json).unwrap().key, read(json).unwrap().key);
    }
}
