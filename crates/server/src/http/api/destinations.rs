//! `/destinations`: where publishers want to be told of conversions, and of which.

use super::body::{Fields, Given, Sent, flag, number, plain, text};
use super::field::Field;
use super::integrations::{changed_secrets, secret};
use super::kind::{Kind, read_as, words};
use super::paging::{ARCHIVED, List, PAGING, Slice, nouns};
use super::query::Query;
use super::refusal;
use super::reply::{Body, Created};
use super::route::Route;
use super::show::destination::{Doing, Shown};
use super::{Id, auth, caught_up, command, deliveries, not_found, odd};
use crate::app::App;
use crate::http::Error;
use crate::ingest::Unavailable;
use axum::extract::State;
use domain::command::{Act, Answer, DestinationChanges, NewDestination, NewOutbound};
use domain::contract::Scheme;
use domain::conversion::Status;
use domain::destination::{
    CONCURRENCY_MAX, Corrections, DELAY_S_MAX, Destination, GOALS_MAX, Owner, PER_SECOND_MAX, Pace,
    Rules, SIGNING,
};
use domain::id::{DestinationId, LinkId, PublisherId};
use domain::outbound::{
    ACCOUNTS_MAX, Account, Condition, FAILURES_MAX, HEADERS_MAX, Method, Outbound,
};
use domain::secret::Secret;
use domain::setup::Setup;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use store::deliveries::{Pause, PausedBy};

pub(super) const NOUN: &str = "destination";

const METHODS: [&str; 2] = ["GET", "POST"];
/// How long a change waits for others that are being worked out and journaled.
const ALONE_WITHIN: Duration = Duration::from_secs(5);
/// The longest a reason may be, in bytes.
const WHY_BYTES_MAX: usize = 1_000;
/// How many of the fields say whose it is: those never change.
const OWNERS: usize = 2;
const FIELDS: &[Field] = &[
    Field::optional("publisher_id", Kind::Id, "Whose conversions it is told of").such_as("1"),
    Field::optional("link_id", Kind::Id, "In place of a publisher: one link's conversions"),
    Field::optional(
        "partner",
        Kind::Text,
        "A platform of the catalogue, which says what is called",
    ),
    Field::change("url", Kind::Text, "In place of a partner: what is called, with macros")
        .such_as("https://tracker.example/postback?cid={external_id}&payout={payout}"),
    Field::change("method", Kind::Word(|| METHODS.to_vec()), "GET without it").such_as("GET"),
    Field::change("headers", HEADERS, "By their names in lower case; values with macros"),
    Field::optional("content_type", Kind::Text, "Of the body: it says how values are written"),
    Field::optional("body", Kind::Text, "Of a POST, with macros"),
    Field::optional("success", CONDITION, "Which answer means delivered; any 2xx without it"),
    Field::change("failure", FAILURE, "Which answers mean rejected, whatever else holds"),
    Field::change("verifiable", Kind::Flag, "false: a good answer does not say that it counted")
        .such_as("true"),
    Field::change("account", ACCOUNT, "What the macros `{account.…}` stand for, by name"),
    Field::change("secrets", SECRETS, "The same, never shown; null takes one away, others stay"),
    Field::optional("secret", Kind::Text, "Signs what is sent; null takes it away"),
    Field::optional("scheme", SCHEME, "How `{signature}` is made; Standard Webhooks without it"),
    Field::change("statuses", STATUSES, "Which are told; approved without it")
        .such_as(r#"["approved"]"#),
    Field::change("goals", GOALS, "Only the goals with these keys; all without it"),
    Field::change("sampling", Kind::Text, "So many conversions of a hundred, always the same ones")
        .such_as("\"100\""),
    Field::change("payout_share", Kind::Text, "The percentage of the payout that is told")
        .such_as("\"100\""),
    Field::optional("min_payout", Kind::Text, "Below it a conversion is not told")
        .such_as("\"0.10\""),
    Field::change("delay_s", Kind::Number(0, DELAY_S_MAX as u64), "How long after the change")
        .such_as("0"),
    Field::change("tests", Kind::Flag, "Conversions of test clicks too").such_as("true"),
    Field::change("corrections", CORRECTIONS, "How it hears that what it was told has changed"),
    Field::change("concurrency", Kind::Number(1, CONCURRENCY_MAX as u64), "Requests at once")
        .such_as("8"),
    Field::optional("per_second", Kind::Number(1, PER_SECOND_MAX as u64), "Requests a second"),
];
const CHANGES: &[Field] = FIELDS.split_at(OWNERS).1;
const WHY: &[Field] =
    &[Field::required("why", Kind::Text, "In a person's words").such_as("their tracker moves")];
const FILTERS: &[Field] = &[
    ARCHIVED,
    Field::optional("publisher_id", Kind::Id, "Only this publisher's").such_as("1"),
    Field::optional("link_id", Kind::Id, "Only this link's").such_as("1"),
    Field::optional("partner", Kind::Text, "Only this platform's").such_as("voluum"),
    Field::optional("paused", Kind::Flag, "Only those that are, or are not").such_as("false"),
];
const HEADERS: Kind = Kind::Map(&Kind::Text, HEADERS_MAX);
const ACCOUNT: Kind = Kind::Map(&Kind::Text, ACCOUNTS_MAX);
const SECRETS: Kind = Kind::Map(&Kind::TextOrNull, ACCOUNTS_MAX);
const SCHEME: Kind = Kind::Shape(read_as::<Scheme>);
const CORRECTIONS: Kind = Kind::Shape(read_as::<Corrections>);
const CONDITION: Kind = Kind::Shape(read_as::<Condition>);
const FAILURE: Kind = Kind::List(&CONDITION, FAILURES_MAX);
const STATUSES: Kind =
    Kind::List(&Kind::Word(|| words(&Status::ALL, Status::name)), Status::ALL.len());
const GOALS: Kind = Kind::List(&Kind::Text, GOALS_MAX);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/destinations", "Destinations, which are told of conversions", list)
            .query(&[PAGING, FILTERS]),
        Route::post("/destinations", "Makes a destination", create)
            .body(FIELDS)
            .refuses(&[refusal::IN_USE]),
        Route::get("/destinations/{id}", "A destination", one),
        Route::patch("/destinations/{id}", "Changes a destination; what is left out stays", change)
            .body(CHANGES)
            .refuses(&[refusal::ARCHIVED]),
        Route::post("/destinations/{id}/pause", "Nothing is sent to it any more", pause)
            .body(WHY)
            .every_time()
            .refuses(&[refusal::ARCHIVED]),
        Route::post("/destinations/{id}/resume", "What waits for it is sent again", resume)
            .every_time()
            .refuses(&[refusal::ARCHIVED]),
        Route::post("/destinations/{id}/archive", "Takes a destination out of use", archive)
            .refuses(&[refusal::ARCHIVED]),
    ]
}

async fn settle(app: &App, sent: Sent, act: Act) -> Result<Destination, Error> {
    match command(app, sent, act).await? {
        Answer::Destination(destination) => Ok(*destination),
        other => Err(odd(&other)),
    }
}

fn owner(fields: &mut Fields) -> Result<Owner, Error> {
    let publisher_id = fields.optional("publisher_id", number)?.map(PublisherId);
    let link_id = fields.optional("link_id", number)?.map(LinkId);
    match (publisher_id, link_id) {
        (Some(publisher_id), None) => Ok(Owner::Publisher { publisher_id }),
        (None, Some(link_id)) => Ok(Owner::Link { link_id }),
        (None, None) => Err(Error::parameter("publisher_id", "it is required, or `link_id` is")),
        (Some(_), Some(_)) => {
            Err(Error::parameter("link_id", "a destination is a publisher's, or a link's"))
        }
    }
}

/// What is said of the secrets: those of the account, and the one that signs.
fn all_secrets(fields: &mut Fields) -> Result<BTreeMap<String, Option<Secret>>, Error> {
    let mut all = fields.change("secrets", changed_secrets)?.unwrap_or_default();
    if all.contains_key(SIGNING) {
        let at = format!("secrets.{SIGNING}");
        return Err(Error::parameter(&at, "what signs is given as `secret`"));
    }
    match fields.nullable("secret", secret)? {
        Given::Absent => {}
        Given::Null => _ = all.insert(SIGNING.to_owned(), None),
        Given::Value(secret) => _ = all.insert(SIGNING.to_owned(), Some(secret)),
    }
    Ok(all)
}

/// What is called: a partner's, or what is said of it here over what it was; `None`: as it was.
fn outbound(
    fields: &mut Fields,
    was: Option<&Destination>,
    account: Option<&BTreeMap<String, String>>,
    secrets: &BTreeMap<String, Option<Secret>>,
) -> Result<Option<NewOutbound>, Error> {
    let partner = fields.nullable("partner", text)?;
    let url = fields.change("url", text)?;
    let method: Option<Method> = fields.change("method", plain)?;
    let headers: Option<BTreeMap<String, String>> = fields.change("headers", plain)?;
    let content_type = fields.nullable("content_type", text)?;
    let body = fields.nullable("body", text)?;
    let success: Given<Condition> = fields.nullable("success", plain)?;
    let failure: Option<Vec<Condition>> = fields.change("failure", plain)?;
    let verifiable = fields.change("verifiable", flag)?;
    let said = [
        ("method", method.is_some()),
        ("headers", headers.is_some()),
        ("content_type", content_type != Given::Absent),
        ("body", body != Given::Absent),
        ("success", success != Given::Absent),
        ("failure", failure.is_some()),
        ("verifiable", verifiable.is_some()),
    ];
    let says_more = said.into_iter().find(|(_, is_said)| *is_said).map(|(name, _)| name);
    let (leaves, was_partner) = (partner == Given::Null, was.and_then(|was| was.partner.as_ref()));
    if let Given::Value(partner) = partner {
        if url.is_some() || says_more.is_some() {
            let detail =
                "the catalogue says what is called: give it, or `url` and what goes with it";
            return Err(Error::parameter("partner", detail));
        }
        return Ok(Some(NewOutbound::Partner(partner)));
    }
    if let (Some(name), Some(platform), false, None) = (says_more, was_partner, leaves, &url) {
        let detail = format!(
            "the catalogue says it, for `{platform}`: with `\"partner\":null` what is called \
             becomes the destination's own"
        );
        return Err(Error::parameter(name, detail));
    }
    // What the catalogue has says itself which values of the account it needs.
    let is_own = was_partner.is_none();
    let leaves = leaves && !is_own;
    let of_account = account.is_some() || secrets.keys().any(|name| name != SIGNING);
    let mut new = match (url, was) {
        (None, None) => return Err(Error::parameter("url", "it is required, or `partner` is")),
        (None, Some(_)) if !(leaves || says_more.is_some() || is_own && of_account) => {
            return Ok(None);
        }
        (None, Some(was)) => was.outbound.clone(),
        (Some(url), None) => Outbound::calling(url),
        (Some(url), Some(was)) => Outbound { url, ..was.outbound.clone() },
    };
    new.method = method.unwrap_or(new.method);
    new.headers = headers.unwrap_or(new.headers);
    set(&mut new.content_type, content_type);
    set(&mut new.body, body);
    set(&mut new.success, success);
    new.failure = failure.unwrap_or(new.failure);
    new.verifiable = verifiable.unwrap_or(new.verifiable);
    new.accounts = given_accounts(was, account, secrets);
    Ok(Some(NewOutbound::Own(Box::new(new))))
}

fn set<T>(to: &mut Option<T>, given: Given<T>) {
    match given {
        Given::Absent => {}
        Given::Null => *to = None,
        Given::Value(value) => *to = Some(value),
    }
}

/// The values that a URL of one's own may use: those that are given with it.
fn given_accounts(
    was: Option<&Destination>,
    account: Option<&BTreeMap<String, String>>,
    secrets: &BTreeMap<String, Option<Secret>>,
) -> Vec<Account> {
    let open = account.or(was.map(|was| &was.account)).into_iter().flat_map(BTreeMap::keys);
    let kept = was.into_iter().flat_map(|was| was.secrets.keys());
    let kept = kept.filter(|name| !secrets.contains_key(*name));
    let new = secrets.iter().filter_map(|(name, secret)| secret.as_ref().map(|_| name));
    let hidden = kept.chain(new).filter(|name| *name != SIGNING);
    let all = open.map(|name| (name, false)).chain(hidden.map(|name| (name, true)));
    let declared = all.map(|(name, secret)| {
        let mut known = was.into_iter().flat_map(|was| &was.outbound.accounts);
        let known = known.find(|one| one.name == *name).map(|one| one.about.clone());
        let about = known.unwrap_or_else(|| "it is given with the destination".to_owned());
        Account { name: name.clone(), about, secret }
    });
    declared.collect()
}

/// The rules as they are said, over those there were; `None`: nothing is said.
fn rules(fields: &mut Fields, was: &Rules) -> Result<Option<Rules>, Error> {
    let mut new = was.clone();
    if let Some(statuses) = fields.change("statuses", plain)? {
        new.statuses = statuses;
    }
    if let Some(goals) = fields.change("goals", plain)? {
        new.goals = goals;
    }
    new.sampling = fields.change("sampling", plain)?.unwrap_or(new.sampling);
    new.payout_share = fields.change("payout_share", plain)?.unwrap_or(new.payout_share);
    set(&mut new.min_payout, fields.nullable("min_payout", plain)?);
    new.delay_s = fields.change("delay_s", number)?.unwrap_or(new.delay_s);
    new.tests = fields.change("tests", flag)?.unwrap_or(new.tests);
    new.corrections = fields.change("corrections", plain)?.unwrap_or(new.corrections);
    Ok(Some(new).filter(|new| new != was))
}

fn pace(fields: &mut Fields, was: Pace) -> Result<Option<Pace>, Error> {
    let concurrency = fields.change("concurrency", number)?.unwrap_or(was.concurrency);
    let mut per_second = was.per_second;
    set(&mut per_second, fields.nullable("per_second", number)?);
    let new = Pace { concurrency, per_second };
    Ok(Some(new).filter(|new| *new != was))
}

/// The rules of which nothing is said: a platform of the catalogue may hear of changes.
fn usual_rules(setup: &Setup, outbound: &NewOutbound) -> Rules {
    let partner = match outbound {
        NewOutbound::Partner(name) => setup.partner(name),
        NewOutbound::Own(_) => None,
    };
    let corrections = partner.and_then(|one| one.corrections.clone());
    let rules = Rules::default();
    Rules { corrections: corrections.unwrap_or(rules.corrections), ..rules }
}

fn new_destination(mut fields: Fields, setup: &Setup) -> Result<NewDestination, Error> {
    let owner = owner(&mut fields)?;
    let account: BTreeMap<_, _> = fields.change("account", plain)?.unwrap_or_default();
    let secrets = all_secrets(&mut fields)?;
    let outbound = outbound(&mut fields, None, Some(&account), &secrets)?;
    let outbound = outbound.expect("without one there before, it is given or refused");
    let usual = usual_rules(setup, &outbound);
    Ok(NewDestination {
        owner,
        outbound,
        account,
        secrets: secrets.into_iter().filter_map(|(name, one)| Some((name, one?))).collect(),
        scheme: match fields.nullable("scheme", plain)? {
            Given::Absent | Given::Null => None,
            Given::Value(scheme) => Some(scheme),
        },
        rules: rules(&mut fields, &usual)?.unwrap_or(usual),
        pace: pace(&mut fields, Pace::default())?.unwrap_or_default(),
    })
}

/// How each of them is doing, where that is known.
struct Doings {
    is_known: bool,
    all: HashMap<DestinationId, Doing>,
    /// Of those that nothing was sent to yet.
    none: Doing,
}

impl Doings {
    /// Destinations are there while the deliveries are closed, too.
    async fn of(app: &App) -> Result<Self, Error> {
        let mut all: HashMap<DestinationId, Doing> = HashMap::new();
        let deliveries = app.deliveries.get();
        if let Some(deliveries) = deliveries {
            for (id, condition) in deliveries.conditions().await? {
                all.entry(id).or_default().condition = condition;
            }
            for (id, recent) in deliveries.recent(app.clock.now()).await? {
                all.entry(id).or_default().recent = recent;
            }
        }
        Ok(Self { is_known: deliveries.is_some(), all, none: Doing::default() })
    }

    /// Of one of them.
    async fn of_one(app: &App, id: DestinationId) -> Result<Self, Error> {
        let mut all: HashMap<DestinationId, Doing> = HashMap::new();
        let deliveries = app.deliveries.get();
        if let Some(deliveries) = deliveries {
            let mut conditions = deliveries.conditions().await?.into_iter();
            let condition = conditions.find(|(own, _)| *own == id).map(|(_, one)| one);
            let recent = deliveries.recent_of(id, app.clock.now()).await?;
            all.insert(id, Doing { condition: condition.unwrap_or_default(), recent });
        }
        Ok(Self { is_known: deliveries.is_some(), all, none: Doing::default() })
    }

    fn get(&self, id: DestinationId) -> Option<&Doing> {
        self.is_known.then(|| self.all.get(&id).unwrap_or(&self.none))
    }
}

async fn list(
    State(app): State<Arc<App>>,
    query: Query,
) -> Result<Body<List<Shown<'static>>>, Error> {
    let (slice, archived) = (Slice::of(&query)?, query.flag("archived")?);
    let paused = query.flag("paused")?;
    if paused.is_some() {
        deliveries::of(&app)?;
    }
    let publisher_id: Option<PublisherId> = query.id("publisher_id")?;
    let link_id: Option<LinkId> = query.id("link_id")?;
    let doings = Doings::of(&app).await?;
    // Nothing is sent to one that is archived: that it was paused before needs nobody's attention.
    let is_paused = |one: &Destination| {
        !one.archived && doings.get(one.id).is_some_and(|one| one.condition.pause.is_some())
    };
    let is_asked = |one: &Destination| {
        archived.is_none_or(|archived| one.archived == archived)
            && paused.is_none_or(|paused| is_paused(one) == paused)
            && publisher_id
                .is_none_or(|publisher_id| one.owner == Owner::Publisher { publisher_id })
            && link_id.is_none_or(|link_id| one.owner == Owner::Link { link_id })
            && query.text("partner").is_none_or(|name| one.partner.as_deref() == Some(name))
    };
    let setup = app.live.setup();
    let list = nouns(&setup.destinations, &slice, is_asked, |history| {
        let destination = history.latest();
        Shown::of(&setup, destination, doings.get(destination.id))
    });
    Ok(Body::of(list))
}

/// A destination that there is, in use or not.
pub(super) fn there(setup: &Setup, id: DestinationId) -> Result<&Destination, Error> {
    setup.destination(id).ok_or_else(|| not_found(NOUN, id))
}

/// Of one that is archived, there is nothing to pause and nothing to resume.
fn in_use(setup: &Setup, id: DestinationId) -> Result<(), Error> {
    if there(setup, id)?.archived {
        let detail = format!("destination {id} is archived: nothing is sent to it");
        return Err(Error::Conflict { code: "archived", detail });
    }
    Ok(())
}

async fn one(State(app): State<Arc<App>>, id: Id) -> Result<Body<Shown<'static>>, Error> {
    let id = id.of(NOUN)?;
    let doings = Doings::of_one(&app, id).await?;
    let setup = app.live.setup();
    Ok(Body::of(Shown::of(&setup, there(&setup, id)?, doings.get(id))))
}

async fn create(
    State(app): State<Arc<App>>,
    mut sent: Sent,
) -> Result<Created<Shown<'static>>, Error> {
    let new = new_destination(sent.fields(), &app.live.setup())?;
    let made = settle(&app, sent, Act::CreateDestination(Box::new(new))).await?;
    let doings = Doings::of_one(&app, made.id).await?;
    Ok(Created::of(Shown::of(&app.live.setup(), &made, doings.get(made.id))))
}

async fn change(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<Shown<'static>>, Error> {
    let id: DestinationId = id.of(NOUN)?;
    let turn = tokio::time::timeout(ALONE_WITHIN, app.changes.lock());
    let turn = turn.await.map_err(|_| Unavailable::Busy)?;
    // What another turn has journaled is part of what it was, whether or not that was heard of.
    caught_up(&app).await.map_err(|_| Unavailable::Busy)?;
    let was = there(&app.live.setup(), id)?.clone();
    let mut fields = sent.fields().some()?;
    let account: Option<BTreeMap<String, String>> = fields.change("account", plain)?;
    let secrets = all_secrets(&mut fields)?;
    let outbound = outbound(&mut fields, Some(&was), account.as_ref(), &secrets)?;
    let changes = DestinationChanges {
        outbound,
        account,
        secrets,
        scheme: match fields.nullable("scheme", plain)? {
            Given::Absent => None,
            Given::Null => Some(None),
            Given::Value(scheme) => Some(Some(scheme)),
        },
        rules: rules(&mut fields, &was.rules)?,
        pace: pace(&mut fields, was.pace)?,
    };
    let act = Act::ChangeDestination { id, changes: Box::new(changes) };
    let changed = settle(&app, sent, act).await?;
    // It is made: others need not wait for how it does.
    drop(turn);
    let doings = Doings::of_one(&app, id).await?;
    Ok(Body::of(Shown::of(&app.live.setup(), &changed, doings.get(id))))
}

async fn archive(
    State(app): State<Arc<App>>,
    id: Id,
    sent: Sent,
) -> Result<Body<Shown<'static>>, Error> {
    let id = id.of(NOUN)?;
    let archived = settle(&app, sent, Act::ArchiveDestination { id }).await?;
    let doings = Doings::of_one(&app, id).await?;
    app.wake_sender.notify_one();
    Ok(Body::of(Shown::of(&app.live.setup(), &archived, doings.get(id))))
}

/// Nothing is sent to it any more; what it is owed is kept.
async fn pause(
    State(app): State<Arc<App>>,
    id: Id,
    mut sent: Sent,
) -> Result<Body<Shown<'static>>, Error> {
    let id = id.of(NOUN)?;
    let why = sent.fields().required("why", text)?;
    if why.trim().is_empty() || why.len() > WHY_BYTES_MAX || why.contains(char::is_control) {
        let detail = format!("1 to {WHY_BYTES_MAX} bytes without control characters");
        return Err(Error::parameter("why", detail));
    }
    in_use(&app.live.setup(), id)?;
    let deliveries = deliveries::of(&app)?;
    {
        let _turn = app.pauses.lock().await;
        let halt = app.halted.halt(id);
        let at = app.clock.now();
        let pause = Pause { at, by: PausedBy::Person, why: why.clone(), probe_at: None };
        deliveries.pause(id, pause).await?;
        halt.keep();
    }
    tracing::info!(
        actor = auth::ACTOR,
        destination.id = id.0,
        why,
        "a person has paused a destination"
    );
    let doings = Doings::of_one(&app, id).await?;
    let setup = app.live.setup();
    Ok(Body::of(Shown::of(&setup, there(&setup, id)?, doings.get(id))))
}

/// What waits is sent from now on, oldest first and at its pace.
async fn resume(
    State(app): State<Arc<App>>,
    id: Id,
    _: Sent,
) -> Result<Body<Shown<'static>>, Error> {
    let id = id.of(NOUN)?;
    in_use(&app.live.setup(), id)?;
    let deliveries = deliveries::of(&app)?;
    {
        let _turn = app.pauses.lock().await;
        app.halted.release(id);
        deliveries.resume(id).await?;
    }
    tracing::info!(
        actor = auth::ACTOR,
        destination.id = id.0,
        "a person has resumed a destination"
    );
    app.wake_sender.notify_one();
    let doings = Doings::of_one(&app, id).await?;
    let setup = app.live.setup();
    Ok(Body::of(Shown::of(&setup, there(&setup, id)?, doings.get(id))))
}
