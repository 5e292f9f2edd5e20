//! `/test-clicks`: a click made by hand. It and what follows from it are marked test and kept out
//! of money.

use super::body::{Sent, number};
use super::field::Field;
use super::kind::Kind;
use super::refusal;
use super::reply::Created;
use super::route::Route;
use super::{caught_up, command, odd};
use crate::app::App;
use crate::http::Error;
use crate::http::visitor::Asking;
use axum::extract::State;
use axum::http::StatusCode;
use domain::click::{Click, Labels, Personal};
use domain::click_id::ClickId;
use domain::command::{Act, Answer};
use domain::id::LinkId;
use domain::landing::{Target, Visit};
use domain::setup::Setup;
use domain::visitor::Visitor;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a test click waits for others that are being looked for and journaled.
const ALONE_WITHIN: Duration = Duration::from_secs(5);

/// Held while a test click is looked for and journaled where it is missing: two requests under one
/// key would make two records of it.
static JOURNALING: Mutex<()> = Mutex::const_new(());

const FIELDS: &[Field] =
    &[Field::required("link_id", Kind::Id, "The link it is made through").such_as("1")];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/test-clicks", "Makes a click by hand", create)
            .body(FIELDS)
            .refuses(&[refusal::ARCHIVED, refusal::NOT_APPROVED]),
    ]
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "TestClick")]
pub(super) struct Made<'a> {
    click_id: &'a str,
    link_id: LinkId,
    /// Where a visitor would be sent now; null where the link or campaign is not readable.
    landing_url: Option<String>,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Asking(visitor): Asking,
    mut sent: Sent,
) -> Result<Created<Made<'static>>, Error> {
    let link_id = sent.fields().required("link_id", number)?;
    let now_ms = u64::try_from(app.clock.now().as_ms()).unwrap_or(0);
    let click_id = {
        let random = u64::from_be_bytes(crate::keys::random());
        let mut minter = app.minter.lock().expect("nothing panics while it is held");
        minter.next(now_ms, link_id, random)
    };
    let answer = command(&app, sent, Act::MakeTestClick { link_id, click_id }).await?;
    let Answer::TestClick { click_id: made_id, link_id } = answer else {
        return Err(odd(&answer));
    };
    let click = test_click(&app.live.setup(), made_id, visitor)
        .ok_or_else(|| Error::Internal(format!("test click on {link_id}: no such link")))?;
    let click = made(&app, click).await?;
    let landing_url = landing_url(&app.live.setup(), &app, &click);
    let text = app.keys.click.format(made_id);
    Ok(Created::of(Made { click_id: text.as_str(), link_id, landing_url }))
}

/// The command names the click, and the click is a record of its own: whatever became of that at
/// an earlier try, it is on disk when this returns; answers with it as it is there. Where that
/// fails the command stands all the same, so it is answered as late: sent again under its key, it
/// makes the click.
async fn made(app: &App, click: Click<'static>) -> Result<Click<'static>, Error> {
    let Ok(_alone) = tokio::time::timeout(ALONE_WITHIN, JOURNALING.lock()).await else {
        return Err(Error::Late);
    };
    let is_late = |error: Error| match error.status() {
        StatusCode::SERVICE_UNAVAILABLE => Error::Late,
        _ => error,
    };
    caught_up(app).await.map_err(is_late)?;
    let found = app.store.click(click.id).await.map_err(|error| is_late(error.into()))?;
    if let Some((_, found)) = found {
        return Ok(found);
    }
    app.ingest.click(&click).await.map_err(|unavailable| is_late(unavailable.into()))?;
    Ok(click)
}

/// The click as it is kept. It is live whether or not the campaign is active: testing comes
/// before that.
fn test_click(setup: &Setup, id: ClickId, visitor: Visitor<'static>) -> Option<Click<'static>> {
    let link = setup.link(id.link())?;
    Some(Click {
        id,
        campaign_id: link.campaign_id,
        publisher_id: link.publisher_id,
        is_live: true,
        is_test: true,
        cost: None,
        external_id: Cow::Borrowed(&[]),
        labels: Labels::default(),
        personal: Personal::default(),
        visitor,
    })
}

fn landing_url(setup: &Setup, app: &App, click: &Click<'_>) -> Option<String> {
    let target = Target::of(setup, setup.link(click.id.link())?)?;
    let text = app.keys.click.format(click.id);
    let bytes = click.id.to_bytes();
    let (_, low) = bytes.split_last_chunk().expect("an id has 16 bytes");
    // From the id, so that the same request is answered with the same URL.
    let visit = Visit { click_id: &text, random: u64::from_be_bytes(*low) };
    let mut url = Vec::new();
    target.write_location(click, visit, &mut url).then_some(())?;
    String::from_utf8(url).ok()
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::a_campaign;
    use super::*;
    use domain::campaign::Link;
    use domain::click_id::Minter;
    use domain::id::{NodeId, PublisherId};
    use domain::setup::Change;
    use domain::time::Timestamp;

    #[test]
    fn a_test_click_is_test_and_live_whatever_its_link_is() {
        let campaign = a_campaign();
        let link = Link {
            id: LinkId(5),
            token: "t".to_owned(),
            campaign_id: campaign.id,
            publisher_id: PublisherId(2),
            landing_url: None,
            test: false,
            archived: false,
        };
        let mut setup = Setup::default();
        setup.put(Timestamp::UNIX_EPOCH, Change::Campaign(campaign.clone()));
        setup.put(Timestamp::UNIX_EPOCH, Change::Link(link));
        let mut minter = Minter::new(NodeId::MAX, 0);
        let make = |id| test_click(&setup, id, Visitor::default());
        let click = make(minter.next(1, LinkId(5), 0)).unwrap();
        assert!(click.is_test && click.is_live);
        assert_eq!((click.campaign_id, click.publisher_id), (campaign.id, PublisherId(2)));
        assert_eq!(make(minter.next(1, LinkId(6), 0)), None);
    }
}
