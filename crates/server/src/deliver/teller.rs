//! Tells one destination one thing: makes the request, calls, and says what the answer leads to.
//! What becomes of that is up to whoever asked.

use super::caller::{Caller, Failure, Heard};
use crate::clock::Clock;
use crate::keys;
use domain::click_id::Keyring;
use domain::destination::{Answer, Destination, Made, Next, Owed, Schedule, Told};
use domain::id::{DeliveryId, NodeId};
use domain::outbound::Field;
use domain::receipt::{Place, ReceiptKey};
use domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::deliveries::Fate;
use tokio::time::Instant;

/// What a receiver answers that takes nothing just now.
const UNAVAILABLE: u16 = 503;
/// How long it is waited after a store did not answer.
const STORE_AGAIN: Duration = Duration::from_millis(500);
/// How long it is waited for it in all: an attempt ends before its lease does.
const STORE_AWAY_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Teller {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) caller: Caller,
    pub(crate) keyring: Keyring,
    pub(crate) receipts: ReceiptKey,
    pub(crate) node: NodeId,
    pub(crate) schedule: Schedule,
}

/// What came of a call, with secrets masked.
pub(crate) struct Called {
    pub(crate) latency_ms: u64,
    pub(crate) http_status: Option<u16>,
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) error: Option<String>,
    pub(crate) fate: Fate,
    pub(crate) next: Next,
}

/// Why there is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmade {
    /// There will be none.
    Ever(String),
    /// What it tells cannot be read now.
    Now(String),
}

impl Unmade {
    pub(crate) fn why(self) -> String {
        match self {
            Self::Ever(why) | Self::Now(why) => why,
        }
    }
}

impl Teller {
    /// Sends a request; `key` stays the same however often that is done, and `tries` counts it.
    pub(crate) async fn call(
        &self,
        destination: &Destination,
        made: &Made,
        key: &str,
        tries: (DeliveryId, u32),
    ) -> Called {
        let begun = Instant::now();
        let called = self.caller.call(&made.request, key).await;
        let latency_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let answer = match &called {
            Ok(Heard { status, retry_after_s, body, .. }) => {
                Answer::Answered { status: *status, body, retry_after_s: *retry_after_s }
            }
            Err(_) => Answer::None,
        };
        let next = self.schedule.next(&destination.outbound, answer, tries, self.clock.now());
        let fate = match (&called, next) {
            // What is said to a repeat says nothing of the first.
            (Ok(_), Next::Delivered | Next::Unverified)
            | (Ok(Heard { is_repeat: true, .. }), _) => Fate::MayHaveArrived,
            // It would be the same the next time.
            (Err(Failure::Url(_)), _) => Fate::Unmade,
            (Err(failure), _) if failure.may_have_arrived() => Fate::MayHaveArrived,
            // Whoever failed may have done so after it had counted, and a gateway knows nothing of
            // who is behind it.
            (Ok(heard), Next::Again { .. } | Next::Exhausted)
                if heard.status >= 500 && heard.status != UNAVAILABLE =>
            {
                Fate::MayHaveArrived
            }
            _ => Fate::TurnedAway,
        };
        let next = if fate == Fate::Unmade { Next::Rejected } else { next };
        let bare = Called { latency_ms, http_status: None, answer: None, error: None, fate, next };
        match called {
            Ok(heard) => Called {
                http_status: Some(heard.status),
                answer: Some(destination.masked(&heard.body)),
                ..bare
            },
            Err(failure) => {
                let error = destination.masked(failure.to_string().as_bytes());
                Called { error: Some(String::from_utf8_lossy(&error).into_owned()), ..bare }
            }
        }
    }

    /// What a try that came to nothing leads to.
    pub(crate) fn again(&self, tries: (DeliveryId, u32)) -> Next {
        self.schedule.failed(tries, self.clock.now())
    }

    /// The request for what is owed, or why there is none.
    pub(crate) async fn request(
        &self,
        destination: &Destination,
        owed: &Owed,
        key: &str,
        at: Timestamp,
    ) -> Result<Made, Unmade> {
        let id = owed.conversion_id;
        let found = self.asked(|| self.store.conversion(id)).await?;
        let there_is_none = || Unmade::Ever(format!("there is no conversion {id}"));
        let (conversion, _) = found.ok_or_else(there_is_none)?;
        let click = match destination.fields().iter().any(Field::is_of_click) {
            true => self.asked(|| self.store.click(conversion.click_id)).await?,
            false => None,
        };
        let click_id = self.keyring.format(conversion.click_id);
        let told = Told {
            owed,
            idempotency_key: key,
            conversion: &conversion,
            click_id: click_id.as_str(),
            click: click.as_ref().map(|(_, click)| click),
            receipt: &self.receipts.format(self.node, Place::Journal(conversion.created_by)),
            at,
            random: u64::from_be_bytes(keys::random()),
        };
        destination.request(&told).map_err(|why| Unmade::Ever(why.to_string()))
    }

    /// A store that is away for a moment is no reason to give up.
    async fn asked<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Unmade>
    where
        F: Future<Output = Result<T, store::Error>>,
    {
        let begun = Instant::now();
        loop {
            match ask().await {
                Ok(found) => return Ok(found),
                Err(store::Error::Unavailable(_)) if begun.elapsed() < STORE_AWAY_MAX => {
                    tokio::time::sleep(STORE_AGAIN).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "what is to be told cannot be read");
                    let why = format!("what is to be told cannot be read: {error}");
                    return Err(Unmade::Now(why));
                }
            }
        }
    }
}
