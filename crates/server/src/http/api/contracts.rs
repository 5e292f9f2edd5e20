//! `/integrations/{id}/contracts`: the versions of a contract, from draft to retired.

use super::body::{Fields, Given, Sent, number, plain, text};
use super::field::Field;
use super::kind::{Kind, read_as, words};
use super::paging::{List, PAGING, Slice};
use super::query::Query;
use super::refusal;
use super::reply::{Body, Created};
use super::route::Route;
use super::{Base, ContractId, Id, command, draw, not_found, odd};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::command::{Act, Answer, DraftSource, Sunset};
use domain::contract::version::{self, SUNSET_DAYS_MAX};
use domain::contract::{Contract, Difference, Role, difference};
use domain::id::IntegrationId;
use domain::setup::{History, Setup};
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

const NOUN: &str = "contract";

const NOTE: Field = Field::optional("note", Kind::Text, "What the other side should know of it")
    .such_as("From December on we send `txn_id`.");
const CUTOVER_ON: Field =
    Field::optional("cutover_on", Kind::Date, "The date from which its sender is to speak so")
        .such_as("2026-12-01");
const DRAFT: &[Field] = &[
    Field::optional(
        "contract",
        Kind::Shape(read_as::<Contract>),
        "The whole agreement; without it, `partner` and `from`, a copy of the active one",
    ),
    Field::optional("partner", Kind::Text, "A partner's contract, as the catalogue has it now")
        .such_as("kiwiwall"),
    Field::optional("from", Kind::Number(1, 500), "A copy of that version"),
    NOTE,
    CUTOVER_ON,
];
const CHANGES: &[Field] = &[
    Field::change("contract", Kind::Shape(read_as::<Contract>), "The whole agreement"),
    NOTE,
    CUTOVER_ON,
];
const SIGN_OFF: &[Field] = &[
    Field::required("role", Kind::Word(|| words(&Role::ALL, Role::name)), "As what")
        .such_as("operations"),
    Field::required("name", Kind::Text, "Who signs").such_as("Ada Lovelace"),
];
const ACTIVATION: &[Field] = &[
    Field::optional(
        "sunset_days",
        Kind::Number(0, SUNSET_DAYS_MAX as u64),
        "For how long the one before is still read: 30 without it, 0: not at all",
    )
    .such_as("30"),
    Field::optional("sunset_until", Kind::Instant, "Until when, instead of for how long"),
];
const WITH: &[Field] = &[Field::optional(
    "with",
    Kind::Number(1, 500),
    "The version it is compared with; without it, the one it was drafted from",
)
.such_as("1")];

pub(super) fn routes() -> Vec<Route> {
    use refusal::{
        ALREADY_ACTIVE, ARCHIVED, IN_USE, NOT_A_DRAFT, NOT_IN_SUNSET, NOT_SIGNED_OFF,
        SECRET_MISSING, TOO_MANY_DRAFTS, TOO_MANY_IN_SUNSET, TOO_MANY_VERSIONS,
    };
    vec![
        Route::get(
            "/integrations/{id}/contracts",
            "Every version of an integration's contract",
            list,
        )
        .query(&[PAGING]),
        Route::post("/integrations/{id}/contracts", "Drafts a version of a contract", draft)
            .body(DRAFT)
            .refuses(&[ARCHIVED, IN_USE, TOO_MANY_DRAFTS, TOO_MANY_VERSIONS]),
        Route::get("/integrations/{id}/contracts/{number}", "A version of a contract", one),
        Route::patch(
            "/integrations/{id}/contracts/{number}",
            "Changes a drafted contract, which has to be signed off anew",
            change,
        )
        .body(CHANGES)
        .refuses(&[ARCHIVED, NOT_A_DRAFT]),
        Route::post(
            "/integrations/{id}/contracts/{number}/sign-off",
            "Signs a drafted contract off",
            sign,
        )
        .body(SIGN_OFF)
        .refuses(&[ARCHIVED, NOT_A_DRAFT]),
        Route::post(
            "/integrations/{id}/contracts/{number}/activate",
            "Puts a version of a contract in force, an earlier one too",
            activate,
        )
        .body(ACTIVATION)
        .refuses(&[
            ARCHIVED,
            ALREADY_ACTIVE,
            NOT_A_DRAFT,
            NOT_SIGNED_OFF,
            SECRET_MISSING,
            TOO_MANY_IN_SUNSET,
        ]),
        Route::post(
            "/integrations/{id}/contracts/{number}/retire",
            "Ends the sunset of a contract before its time",
            retire,
        )
        .refuses(&[ARCHIVED, NOT_IN_SUNSET]),
        Route::post(
            "/integrations/{id}/contracts/{number}/discard",
            "Discards a drafted contract",
            discard,
        )
        .refuses(&[ARCHIVED, NOT_A_DRAFT]),
        Route::get(
            "/integrations/{id}/contracts/{number}/diff",
            "What differs between two versions, in words",
            diff,
        )
        .query(&[WITH]),
    ]
}

/// One version of the agreement.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ContractVersion")]
pub(super) struct Version {
    number: u32,
    status: &'static str,
    contract: Contract,
    /// The number of the one it was drafted from.
    base: Option<u32>,
    sign_offs: Vec<SignOff>,
    /// Who has still to sign before it can be activated.
    sign_offs_missing: Vec<&'static str>,
    note: Option<String>,
    cutover_on: Option<String>,
    /// Until when it is or was read beside the one in its place.
    sunset_until: Option<Timestamp>,
    /// For the other side to read; null for a draft that was discarded.
    page_url: Option<String>,
    created_at: Option<Timestamp>,
    changed_at: Option<Timestamp>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SignOff")]
struct SignOff {
    role: &'static str,
    /// In that person's words.
    name: String,
    /// Whose key it came through.
    actor: String,
    at: Timestamp,
}

impl Version {
    fn of(setup: &Setup, base: &str, one: &version::Version, now: Timestamp) -> Self {
        let history = setup.contracts.get(&(one.integration_id, one.number));
        let active = setup.integration(one.integration_id).filter(|_| one.is_open());
        let missing = active.map(|active| one.roles_missing(&active.contract)).unwrap_or_default();
        let sign_off = |(role, signed): (&Role, &version::SignOff)| SignOff {
            role: role.name(),
            name: signed.name.clone(),
            actor: signed.actor.clone(),
            at: signed.at,
        };
        Self {
            number: one.number,
            status: one.status.word(now),
            contract: spelt_out(&one.contract),
            base: one.base,
            sign_offs: one.sign_offs.iter().map(sign_off).collect(),
            sign_offs_missing: missing.into_iter().map(Role::name).collect(),
            note: one.note.clone(),
            cutover_on: one.cutover_on.clone(),
            sunset_until: match one.status {
                version::Status::Sunset { until } => Some(until),
                _ => None,
            },
            page_url: (one.status != version::Status::Discarded)
                .then(|| format!("{base}/contracts/{}", one.token)),
            created_at: history.map(History::created_at),
            changed_at: history.map(History::changed_at),
        }
    }
}

/// The contract with every length it allows, whether or not it says so itself.
fn spelt_out(contract: &Contract) -> Contract {
    let mut contract = contract.clone();
    for parameter in &mut contract.parameters {
        parameter.max_length = Some(parameter.length_max());
    }
    contract
}

async fn settle(app: &App, base: &str, sent: Sent, act: Act) -> Result<Version, Error> {
    match command(app, sent, act).await? {
        Answer::Contract(made) => Ok(Version::of(&app.live.setup(), base, &made, app.clock.now())),
        other => Err(odd(&other)),
    }
}

fn find(setup: &Setup, (id, number): (IntegrationId, u32)) -> Result<&version::Version, Error> {
    setup.contract(id, number).ok_or_else(|| not_found(NOUN, format!("{id}.{number}")))
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    query: Query,
) -> Result<Body<List<Version>>, Error> {
    let id: IntegrationId = id.of("integration")?;
    let slice: Slice<u32> = Slice::of(&query)?;
    let setup = app.live.setup();
    setup.integration(id).ok_or_else(|| not_found("integration", id))?;
    let after = slice.cursor.unwrap_or_default();
    let all = setup.contracts_of(id).map(History::latest);
    let mut rows = all.filter(|one| one.number > after);
    let page: Vec<_> = rows.by_ref().take(slice.limit as usize).collect();
    let has_more = rows.next().is_some();
    let next = page.last().filter(|_| has_more).map(|one| one.number.to_string());
    let now = app.clock.now();
    let items = page.into_iter().map(|one| Version::of(&setup, &base, one, now)).collect();
    Ok(Body::of(List { items, next }))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    id: ContractId,
    Base(base): Base,
) -> Result<Body<Version>, Error> {
    let setup = app.live.setup();
    let found = find(&setup, id.of()?)?;
    Ok(Body::of(Version::of(&setup, &base, found, app.clock.now())))
}

pub(super) async fn draft(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Created<Version>, Error> {
    let integration_id: IntegrationId = id.of("integration")?;
    let mut fields = sent.fields();
    let source = match source(&mut fields)? {
        Some(source) => source,
        None => {
            let setup = app.live.setup();
            let active = setup.integration(integration_id);
            let active = active.ok_or_else(|| not_found("integration", integration_id))?;
            DraftSource::Version(active.version)
        }
    };
    let note = fields.optional("note", text)?;
    let cutover_on = fields.optional("cutover_on", text)?;
    let token = draw::key();
    let act = Act::DraftContract { integration_id, source, note, cutover_on, token };
    settle(&app, &base, sent, act).await.map(Created::of)
}

fn source(fields: &mut Fields) -> Result<Option<DraftSource>, Error> {
    let given = [
        fields.optional("contract", contract)?.map(DraftSource::Contract),
        fields.optional("partner", text)?.map(DraftSource::Partner),
        fields.optional("from", number)?.map(DraftSource::Version),
    ];
    let mut given = given.into_iter().flatten();
    let source = given.next();
    match given.next() {
        None => Ok(source),
        Some(DraftSource::Version(_)) => {
            Err(Error::parameter("from", "give one of `contract`, `partner` and `from` alone"))
        }
        Some(_) => {
            Err(Error::parameter("partner", "give one of `contract`, `partner` and `from` alone"))
        }
    }
}

/// A whole contract; what does not read is named by its place in it.
pub(super) fn contract(at: &str, value: Value) -> Result<Box<Contract>, Error> {
    plain(at, value).map(Box::new)
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    id: ContractId,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Body<Version>, Error> {
    let (integration_id, number) = id.of()?;
    let mut fields = sent.fields().some()?;
    let contract = fields.change("contract", contract)?;
    let note = given(fields.nullable("note", text)?);
    let cutover_on = given(fields.nullable("cutover_on", text)?);
    let act = Act::ChangeDraft { integration_id, number, contract, note, cutover_on };
    settle(&app, &base, sent, act).await.map(Body::of)
}

#[expect(clippy::option_option, reason = "nothing, null and a text are three things")]
fn given(given: Given<String>) -> Option<Option<String>> {
    match given {
        Given::Absent => None,
        Given::Null => Some(None),
        Given::Value(text) => Some(Some(text)),
    }
}

pub(super) async fn sign(
    State(app): State<Arc<App>>,
    id: ContractId,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Body<Version>, Error> {
    let (integration_id, number) = id.of()?;
    let mut fields = sent.fields();
    let role = fields.required("role", role)?;
    let name = fields.required("name", text)?;
    let act = Act::SignOffContract { integration_id, number, role, name };
    settle(&app, &base, sent, act).await.map(Body::of)
}

fn role(at: &str, value: Value) -> Result<Role, Error> {
    let word = text(at, value)?;
    let role = Role::ALL.into_iter().find(|role| role.name() == word);
    role.ok_or_else(|| {
        let names = words(&Role::ALL, Role::name);
        Error::parameter(at, format!("it is one of: {}", names.join(", ")))
    })
}

pub(super) async fn activate(
    State(app): State<Arc<App>>,
    id: ContractId,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Body<Version>, Error> {
    let (integration_id, number) = id.of()?;
    let sunset = sunset(sent.fields())?;
    let act = Act::ActivateContract { integration_id, number, sunset };
    settle(&app, &base, sent, act).await.map(Body::of)
}

fn sunset(mut fields: Fields) -> Result<Sunset, Error> {
    let days = fields.optional("sunset_days", number)?;
    let until = fields.optional("sunset_until", plain::<Timestamp>)?;
    match (days, until) {
        (None, None) => Ok(Sunset::Usual),
        (Some(days), None) => Ok(Sunset::Days(days)),
        (None, Some(until)) => Ok(Sunset::Until(until)),
        (Some(_), Some(_)) => {
            let detail = "give `sunset_days` or `sunset_until`, not both";
            Err(Error::parameter("sunset_until", detail))
        }
    }
}

pub(super) async fn retire(
    State(app): State<Arc<App>>,
    id: ContractId,
    Base(base): Base,
    sent: Sent,
) -> Result<Body<Version>, Error> {
    let (integration_id, number) = id.of()?;
    let act = Act::RetireContract { integration_id, number };
    settle(&app, &base, sent, act).await.map(Body::of)
}

pub(super) async fn discard(
    State(app): State<Arc<App>>,
    id: ContractId,
    Base(base): Base,
    sent: Sent,
) -> Result<Body<Version>, Error> {
    let (integration_id, number) = id.of()?;
    let act = Act::DiscardDraft { integration_id, number };
    settle(&app, &base, sent, act).await.map(Body::of)
}

/// What differs between two versions.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ContractDifferences")]
pub(super) struct Compared {
    from: u32,
    to: u32,
    /// Whether any of them may change what counts, as what, or how much for.
    touches_money: bool,
    differences: Vec<Difference>,
}

pub(super) async fn diff(
    State(app): State<Arc<App>>,
    id: ContractId,
    query: Query,
) -> Result<Body<Compared>, Error> {
    let (id, number) = id.of()?;
    let shape = "the number of a version of this integration";
    let with: Option<u32> = query.value("with", shape, |text| text.parse().ok())?;
    let setup = app.live.setup();
    let new = find(&setup, (id, number))?;
    let from = with.or(new.base).unwrap_or(number);
    let old = setup.contract(id, from);
    let old = old.ok_or_else(|| Error::parameter("with", format!("it is {shape}")))?;
    let differences = difference(&old.contract, &new.contract);
    let touches_money = differences.iter().any(Difference::is_money);
    Ok(Body::of(Compared { from, to: number, touches_money, differences }))
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::blamed;
    use super::*;
    use serde_json::json;

    fn fields(json: &Value, known: &'static [Field]) -> Fields {
        Fields::read(json.to_string().as_bytes(), known).unwrap()
    }

    #[test]
    fn a_draft_begins_as_one_thing() {
        let read = |json: Value| source(&mut fields(&json, DRAFT));
        assert_eq!(read(json!({})).unwrap(), None);
        assert_eq!(read(json!({ "from": 2 })).unwrap(), Some(DraftSource::Version(2)));
        let partner = DraftSource::Partner("x".to_owned());
        assert_eq!(read(json!({ "partner": "x" })).unwrap(), Some(partner));
        let (name, _) = blamed(read(json!({ "partner": "x", "from": 1 })).unwrap_err());
        assert_eq!(name.as_deref(), Some("from"));
    }

    #[test]
    fn a_sunset_is_given_in_one_way() {
        let read = |json: Value| sunset(fields(&json, ACTIVATION));
        assert_eq!(read(json!({})).unwrap(), Sunset::Usual);
        assert_eq!(read(json!({ "sunset_days": 0 })).unwrap(), Sunset::Days(0));
        let until = "2026-12-31T00:00:00Z";
        let wanted = Sunset::Until(until.parse().unwrap());
        assert_eq!(read(json!({ "sunset_until": until })).unwrap(), wanted);
        let both = json!({ "sunset_days": 1, "sunset_until": until });
        assert_eq!(blamed(read(both).unwrap_err()).0.as_deref(), Some("sunset_until"));
    }
}
