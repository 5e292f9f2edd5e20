//! `/integrations`: contracts in use, each with its own key, at global, advertiser or campaign
//! level.

use super::body::{Fields, Given, Sent, number, plain, text};
use super::campaigns::nothing_to_change;
use super::paging::{List, Slice, nouns};
use super::postback_url::{PostbackUrl, global};
use super::query::{self, PAGING};
use super::show::MASK;
use super::{Base, Id, command, created, draw, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::command::{Act, Answer, NewIntegration};
use domain::contract::{Contract, Secret};
use domain::id::{AdvertiserId, CampaignId, IntegrationId};
use domain::integration::{Integration, Scope};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

const NOUN: &str = "integration";
const FIELDS: &[&str] =
    &["level", "advertiser_id", "campaign_id", "partner", "landing_params", "secrets"];
const CHANGES: &[&str] = &["landing_params", "secrets"];
const FILTERS: &[&str] = &["archived", "level", "advertiser_id", "campaign_id", "partner"];
const LEVELS: [&str; 3] = ["global", "advertiser", "campaign"];
/// How many secrets one integration can be given; contracts have one each by now.
const SECRETS_MAX: usize = 20;

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
    if given.len() > SECRETS_MAX {
        return Err(Error::parameter(at, format!("at most {SECRETS_MAX} secrets")));
    }
    let read = |(name, value)| {
        let at = format!("{at}.{name}");
        let secret = text(&at, value)?;
        if secret == MASK {
            let detail = format!("`{MASK}` stands for a secret; give the secret itself");
            return Err(Error::parameter(&at, detail));
        }
        // Senders' values are trimmed before they are compared: a blank at the end of a pasted
        // secret would refuse every one of them.
        Ok((name, Secret::new(secret.trim().to_owned())))
    };
    given.into_iter().map(read).collect()
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
    query: query::Sent,
) -> Result<Response, Error> {
    let query = query.read(&[&PAGING[..], FILTERS].concat())?;
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
    Ok(Json(list).into_response())
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let id: IntegrationId = id.of(NOUN)?;
    let setup = app.live.setup();
    let integration = setup.integration(id).ok_or_else(|| not_found(NOUN, id))?;
    Ok(Json(show::Integration::of(&setup, &base, integration)).into_response())
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Base(base): Base,
    sent: Sent,
) -> Result<Response, Error> {
    let new = new_integration(sent.fields(FIELDS)?)?;
    let made = settle(&app, sent, Act::CreateIntegration(Box::new(new))).await?;
    Ok(created(show::Integration::of(&app.live.setup(), &base, &made)))
}

/// Secrets that are given take the place of all there were.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    let mut fields = sent.fields(CHANGES)?;
    if fields.is_empty() {
        return Err(nothing_to_change(CHANGES));
    }
    let landing_params = match fields.nullable("landing_params", text)? {
        Given::Absent => None,
        Given::Null => Some(None),
        Given::Value(params) => Some(Some(params)),
    };
    let secrets = fields.change("secrets", secrets)?;
    let act = Act::ChangeIntegration { id, landing_params, secrets };
    let changed = settle(&app, sent, act).await?;
    Ok(Json(show::Integration::of(&app.live.setup(), &base, &changed)).into_response())
}

pub(super) async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    sent: Sent,
) -> Result<Response, Error> {
    let id = id.of(NOUN)?;
    sent.nothing()?;
    let archived = settle(&app, sent, Act::ArchiveIntegration { id }).await?;
    Ok(Json(show::Integration::of(&app.live.setup(), &base, &archived)).into_response())
}

/// One version of the agreement.
#[derive(Serialize)]
struct Version {
    number: u32,
    status: &'static str,
    contract: Contract,
}

/// The contract with every length it allows, whether or not it says so itself.
fn spelt_out(contract: &Contract) -> Contract {
    let mut contract = contract.clone();
    for parameter in &mut contract.parameters {
        parameter.max_length = Some(parameter.length_max());
    }
    contract
}

/// Every version of the agreement. There is one, in force since the integration was made.
pub(super) async fn contracts(
    State(app): State<Arc<App>>,
    id: Id,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let id: IntegrationId = id.of(NOUN)?;
    let setup = app.live.setup();
    let integration = setup.integration(id).ok_or_else(|| not_found(NOUN, id))?;
    let contract = spelt_out(&integration.contract);
    let versions = vec![Version { number: integration.version, status: "active", contract }];
    Ok(Json(List::whole(versions)).into_response())
}

/// The URL for whoever has no level of their own.
pub(super) async fn postback_url(
    State(app): State<Arc<App>>,
    Base(base): Base,
    query: query::Sent,
) -> Result<Response, Error> {
    query.none()?;
    let setup = app.live.setup();
    let integration = global(&setup)?;
    Ok(Json(PostbackUrl::of(&base, integration, None, None)).into_response())
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
    }

    #[test]
    fn each_integration_gets_its_own_key() {
        let json = r#"{"level":"global","partner":"x"}"#;
        assert_ne!(read(json).unwrap().key, read(json).unwrap().key);
    }
}
