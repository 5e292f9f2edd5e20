//! URLs to be pasted elsewhere: a link for a source of visitors, a postback URL for its sender, the
//! table of a sender's macros, and what is wrong with a URL that somebody has pasted together.

use super::body::{Sent, text};
use super::field::Field;
use super::kind::{Kind, words};
use super::postback_url::PostbackUrl;
use super::query::Query;
use super::refusal;
use super::reply::Body;
use super::route::Route;
use super::{Base, Id, command, not_found, odd, show};
use crate::app::App;
use crate::http::Error;
use axum::extract::State;
use domain::builder::{self, CHECKED_BYTES_MAX, Use};
use domain::campaign::{Campaign, Goal};
use domain::command::{ALL_PARTNERS, Act, Answer};
use domain::contract::Canonical;
use domain::id::{IntegrationId, LinkId};
use domain::integration::{Integration, Scope};
use domain::macros::nearest_in_words;
use domain::partner::{Confidence, Partner};
use domain::setup::{History, Setup};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// No more goals are told of where an unknown one was asked for.
const KEYS_TOLD_MAX: usize = 50;
/// What stands beside the key in the path of a postback URL.
const POSTBACK: &str = "postback";

const OF_PARTNER: &[Field] =
    &[Field::required("partner", Kind::Text, "Whose macros: a name of the catalogue")
        .such_as("voluum")];
const OF_SENDER: &[Field] = &[
    Field::optional("partner", Kind::Text, "Whose macros; the contract's own without it")
        .such_as("affise"),
    Field::optional("goal", Kind::Text, "The goal that it is for, by its key").such_as("install"),
];
const CHECKED: &[Field] = &[
    Field::required("partner", Kind::Text, "Whose macros it should have").such_as("voluum"),
    Field::required("url", Kind::Text, "The URL as it was pasted, with its macros")
        .such_as("https://t.example/c/abc?external_id={clickid}"),
    Field::optional(
        "use",
        Kind::Word(|| words(&Use::ALL, Use::name)),
        "What it is for; by its path without it",
    )
    .such_as("click"),
];

/// A field for each thing that a contract can ask for and a sender can have a macro for.
static MACROS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let fields = Canonical::all().filter(|canonical| !canonical.is_secret());
    let fields = fields.map(|canonical| {
        // Once for the whole process.
        let name: &'static str = Box::leak(canonical.to_string().into_boxed_str());
        Field::optional(name, Kind::Text, "The sender's macro for it; null is none")
    });
    fields.collect()
});

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/links/{id}/click-url", "A link with the macros of a platform", click_url)
            .query(&[OF_PARTNER]),
        Route::get(
            "/integrations/{id}/postback-url",
            "The postback URL of an integration",
            postback_url,
        )
        .query(&[OF_SENDER]),
        Route::put(
            "/integrations/{id}/macros",
            "Sets the macros of an integration's sender, in place of all there were",
            set_macros,
        )
        .body(&MACROS)
        .refuses(&[refusal::ARCHIVED]),
        Route::post("/builder/check", "Judges a pasted URL, and each macro in it", check)
            .body(CHECKED),
    ]
}

/// A partner that was asked for by name.
fn partner<'a>(setup: &'a Setup, name: &str) -> Result<&'a Partner, Error> {
    setup.partner(name).ok_or_else(|| {
        let names = setup.partners.keys().map(String::as_str);
        let near = nearest_in_words(name, names);
        Error::parameter("partner", format!("no partner is called `{name}`{near}; {ALL_PARTNERS}"))
    })
}

/// A link for one platform.
#[derive(JsonSchema, Serialize)]
struct ClickUrl<'a> {
    url: String,
    parameters: Vec<ClickMacro<'a>>,
    /// Whose macros they are: a name of the catalogue.
    partner: &'a str,
    /// How well they are known; A: from its own documentation.
    confidence: Option<Confidence>,
    /// For whoever uses it: contradictions, traps, what is unknown.
    notes: &'a [String],
}

#[derive(JsonSchema, Serialize)]
struct ClickMacro<'a> {
    name: &'a str,
    #[serde(rename = "macro")]
    placeholder: &'a str,
}

async fn click_url(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    query: Query,
) -> Result<Body<ClickUrl<'static>>, Error> {
    let id: LinkId = id.of("link")?;
    let setup = app.live.setup();
    let link = setup.link(id).ok_or_else(|| not_found("link", id))?;
    let name = query.text("partner");
    let name = name.ok_or_else(|| Error::parameter("partner", "whose macros?"))?;
    let partner = partner(&setup, name)?;
    let url =
        builder::click_url(&format!("{base}/c/{}", link.token), partner).ok_or_else(|| {
            let detail = format!("`{name}` is not known to fill anything into links");
            Error::parameter("partner", detail)
        })?;
    let parameters = partner.click.iter();
    let parameters = parameters
        .map(|one| ClickMacro { name: &one.name, placeholder: &one.placeholder })
        .collect();
    let Partner { name, confidence, notes, .. } = partner;
    Ok(Body::of(ClickUrl { url, parameters, partner: name, confidence: *confidence, notes }))
}

async fn postback_url(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    query: Query,
) -> Result<Body<PostbackUrl<'static>>, Error> {
    let id: IntegrationId = id.of("integration")?;
    let setup = app.live.setup();
    let integration = setup.integration(id).ok_or_else(|| not_found("integration", id))?;
    let partner = query.text("partner").map(|name| partner(&setup, name)).transpose()?;
    if let Some(partner) = partner
        && partner.contract.is_none()
    {
        let detail = format!("`{}` never calls us", partner.name);
        return Err(Error::parameter("partner", detail));
    }
    if let Some((ours, theirs)) =
        partner.and_then(|partner| builder::unreadable(integration, partner))
    {
        let (theirs, ours, name) = (theirs.name(), ours.name(), &integration.partner);
        let detail = format!(
            "it adds `{theirs}` to any URL by itself, and the contract of `{name}` reads `{ours}` \
             instead: only an integration that reads `{theirs}` can be given to it"
        );
        return Err(Error::parameter("partner", detail));
    }
    let goal = query.text("goal").map(|key| goal(&setup, integration, key)).transpose()?;
    let campaign_id = match integration.scope {
        Scope::Campaign { campaign_id } => Some(campaign_id),
        Scope::Global | Scope::Advertiser { .. } => None,
    };
    Ok(Body::of(PostbackUrl::for_partner(&setup, &base, integration, partner, campaign_id, goal)))
}

/// The goal of that key, of any campaign whose postbacks the integration may read.
fn goal<'a>(setup: &'a Setup, integration: &Integration, key: &str) -> Result<&'a Goal, Error> {
    if builder::goal_parameter(&integration.contract).is_none() {
        let detail = "the contract has no parameter for a goal";
        return Err(Error::parameter("goal", detail));
    }
    let is_read = |campaign: &&Campaign| {
        !campaign.archived && integration.scope.covers(campaign.advertiser_id, campaign.id)
    };
    let read = || setup.campaigns.values().map(History::latest).filter(is_read);
    read().find_map(|campaign| campaign.goal(key)).ok_or_else(|| {
        let keys = read().flat_map(|campaign| &campaign.goals).map(|goal| goal.key.as_str());
        let keys: Vec<&str> =
            keys.collect::<BTreeSet<_>>().into_iter().take(KEYS_TOLD_MAX).collect();
        let detail = format!(
            "no campaign that it reads for has such a goal; there are: {}",
            keys.join(", ")
        );
        Error::parameter("goal", detail)
    })
}

async fn set_macros(
    State(app): State<Arc<App>>,
    id: Id,
    Base(base): Base,
    mut sent: Sent,
) -> Result<Body<show::Integration<'static>>, Error> {
    let id = id.of("integration")?;
    let mut fields = sent.fields();
    let mut macros = BTreeMap::new();
    for canonical in Canonical::all().filter(|canonical| !canonical.is_secret()) {
        if let Some(text) = fields.optional(&canonical.to_string(), text)? {
            macros.insert(canonical, text.trim().to_owned());
        }
    }
    let changed = match command(&app, sent, Act::SetMacros { id, macros }).await? {
        Answer::Integration(integration) => *integration,
        other => return Err(odd(&other)),
    };
    Ok(Body::of(show::Integration::of(&app.live.setup(), &base, &changed)))
}

/// What is said of a pasted URL.
#[derive(JsonSchema, Serialize)]
struct Report {
    /// What it was taken for.
    #[serde(rename = "use")]
    of: &'static str,
    /// Nothing in it is wrong.
    ok: bool,
    macros: Vec<Judged>,
    /// What is wrong with the whole: whom it is for, what it lacks, what stands fixed in it.
    complaints: Vec<Complaint>,
    /// Of the platform, for whoever uses it.
    notes: Vec<String>,
}

/// One macro of it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "JudgedMacro")]
struct Judged {
    /// The parameter it stands in.
    parameter: Option<String>,
    #[serde(rename = "macro")]
    text: String,
    /// `recognised`, `misspelt`, `elsewhere`, `gap` or `unknown`.
    #[serde(rename = "judged")]
    verdict: &'static str,
    /// What it is to us, by our word.
    means: Option<String>,
    /// The right one.
    nearest: Option<String>,
    note: Option<String>,
}

/// One thing that is wrong with it as a whole.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UrlComplaint")]
struct Complaint {
    /// The parameter that it is about; null: the URL.
    parameter: Option<String>,
    detail: String,
}

/// The integration whose key stands in a postback URL.
fn reader<'a>(setup: &'a Setup, url: &str) -> Option<&'a Integration> {
    let path = url.split_once("://")?.1.split(['?', '#']).next()?;
    let parts: Vec<&str> = path.split('/').skip(1).filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [POSTBACK, key] | [key, POSTBACK] => setup.integration_by_key(key),
        _ => None,
    }
}

async fn check(State(app): State<Arc<App>>, mut sent: Sent) -> Result<Body<Report>, Error> {
    let mut fields = sent.fields();
    let name = fields.required("partner", text)?;
    let url = fields.required("url", text)?;
    let of = fields.optional("use", text)?;
    if url.len() > CHECKED_BYTES_MAX {
        let detail = format!("at most {CHECKED_BYTES_MAX} bytes are looked at");
        return Err(Error::parameter("url", detail));
    }
    let url = url.trim();
    if !builder::is_url(url) {
        let detail = "a URL such as `https://track.example/c/a?external_id={clickid}`";
        return Err(Error::parameter("url", detail));
    }
    let setup = app.live.setup();
    let partner = partner(&setup, &name)?;
    let of = match of {
        None => Use::of(partner, url),
        Some(word) => Use::ALL.into_iter().find(|of| of.name() == word).ok_or_else(|| {
            let all = Use::ALL.map(Use::name).join(", ");
            Error::parameter("use", format!("one of: {all}"))
        })?,
    };
    let checked = builder::check(partner, url, of);
    let macros: Vec<Judged> = checked.into_iter().map(Judged::of).collect();
    let complaints = builder::complaints(partner, reader(&setup, url), url, of).into_iter();
    let complaints: Vec<Complaint> = complaints
        .map(|builder::Complaint { parameter, detail }| Complaint { parameter, detail })
        .collect();
    let is_known = |one: &Judged| one.verdict == builder::Judged::Recognised.name();
    let ok = complaints.is_empty() && macros.iter().all(is_known);
    Ok(Body::of(Report { of: of.name(), ok, macros, complaints, notes: partner.notes.clone() }))
}

impl Judged {
    fn of(one: builder::Checked) -> Self {
        let builder::Checked { parameter, text, judged, means, nearest, note } = one;
        Self { parameter, text, verdict: judged.name(), means, nearest, note }
    }
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::integration;
    use super::*;
    use crate::catalogue;
    use domain::builder::Judged;
    use domain::macros::is_unreplaced;

    /// A URL that we hand out has nothing in it that we ourselves would call unknown.
    #[test]
    fn every_postback_url_is_made_of_the_platforms_macros_and_of_gaps() {
        for partner in catalogue::partners() {
            let Some(contract) = partner.contract.clone() else { continue };
            let own = integration(Scope::Global, contract);
            let own = Integration { partner: partner.name.clone(), ..own };
            let url = builder::postback_url("https://t.example", &own, None, None, None);
            for one in builder::check(&partner, &url, Use::Postback) {
                let is_good = matches!(one.judged, Judged::Recognised | Judged::Gap);
                assert!(is_good, "{}: {one:?}", partner.name);
                let is_seen = is_unreplaced(&one.text, &own.contract.unreplaced);
                assert!(is_seen, "{}: {one:?}", partner.name);
            }
            for reader in [Some(&own), None] {
                let complaints = builder::complaints(&partner, reader, &url, Use::Postback);
                assert_eq!(complaints, [], "{}: {url}", partner.name);
            }
            let has_gap = url.contains("REPLACE_WITH_THEIR");
            let is_told = partner.notes.iter().any(|note| note.contains("REPLACE_WITH_"));
            assert_eq!(has_gap, is_told, "{}: {url}", partner.name);
        }
    }

    #[test]
    fn nothing_is_wrong_with_a_link_that_is_handed_out() {
        let link = "https://t.example/c/abc";
        for partner in catalogue::partners() {
            let Some(url) = builder::click_url(link, &partner) else { continue };
            assert_eq!(builder::link_fault(link, &partner), None, "{}", partner.name);
            assert!(builder::link_fault(&url, &partner).is_some(), "{url}");
            let complaints = builder::complaints(&partner, None, &url, Use::Click);
            assert_eq!(complaints, [], "{url}");
            for one in builder::check(&partner, &url, Use::Click) {
                assert_eq!(one.judged, Judged::Recognised, "{url}: {one:?}");
            }
        }
    }

    #[test]
    fn every_macro_of_the_catalogue_may_be_saved_for_a_sender() {
        for partner in catalogue::partners() {
            let contract = partner.contract.iter();
            for (contract, parameter) in
                contract.flat_map(|it| it.parameters.iter().map(move |one| (it, one)))
            {
                if let Some(text) = &parameter.placeholder {
                    let fault = builder::row_fault(contract, parameter.canonical, text);
                    assert_eq!(fault, None, "{}", partner.name);
                }
            }
        }
    }
}
