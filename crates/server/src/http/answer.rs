//! What the sender of a hit is told: a verdict in the words of its contract's profile.
//!
//! The receipt goes into the headers of every profile. Nothing here says an amount: whoever has
//! the receipt may read it.

use super::ring::Kept;
use crate::app::App;
use axum::Json;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::contract::{Answers, ContentType, Profile};
use domain::conversion::Status;
use domain::id::Position;
use domain::reason::{Flag, Reason, Verdict};
use domain::receipt::Place;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use store::list::StoredVerdict;

/// The header that carries the receipt.
pub(super) const RECEIPT: HeaderName = HeaderName::from_static("counterfoil-receipt");

/// What is known of a hit, as anybody may see it who has its receipt. The order of the fields is
/// that of the answer.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "Receipt")]
pub(crate) struct Answer {
    pub(crate) receipt: String,
    /// `None`: it is on disk, and not decided yet.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) reason: Option<Reason>,
    pub(crate) parameter: Option<String>,
    /// The conversion's id.
    pub(crate) conversion: Option<u64>,
    /// The conversion's status after it.
    pub(crate) status: Option<Status>,
    pub(crate) flags: Vec<Flag>,
    /// For a duplicate: the receipt of the hit that made the conversion.
    pub(crate) original: Option<String>,
    /// The same request may succeed later.
    pub(crate) retriable: bool,
    pub(crate) retry_after_s: Option<u32>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) received_at: Option<Timestamp>,
    pub(crate) decided_at: Option<Timestamp>,
    pub(crate) contract: Option<String>,
    /// What its sender is answered with.
    pub(crate) http_status: u16,
    /// The name that was sent and is nearest to a missing one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nearest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl Answer {
    /// A hit that has been decided.
    pub(crate) fn decided(app: &App, verdict: &StoredVerdict) -> Self {
        let receipt = |position| app.keys.receipt.format(app.node, Place::Journal(position));
        Self {
            verdict: Some(verdict.verdict),
            reason: verdict.reason,
            parameter: verdict.parameter.clone(),
            conversion: verdict.conversion_id.map(|id| id.0),
            status: verdict.status,
            flags: verdict.flags.iter().collect(),
            original: verdict.original.map(receipt),
            received_at: Some(verdict.at),
            decided_at: Some(verdict.decided_at),
            contract: verdict.contract.clone(),
            http_status: verdict.http_status,
            nearest: verdict.nearest.clone(),
            detail: verdict.detail.clone(),
            ..Self::empty(receipt(verdict.position))
        }
    }

    /// A hit that was not journaled.
    pub(crate) fn ring(app: &App, kept: &Kept) -> Self {
        let receipt = app.keys.receipt.format(app.node, Place::Ring(kept.ordinal));
        Self {
            verdict: Some(kept.verdict),
            reason: Some(kept.reason),
            parameter: kept.parameter.clone(),
            received_at: Some(kept.at),
            decided_at: Some(kept.at),
            contract: kept.contract.clone(),
            http_status: kept.http_status,
            nearest: kept.nearest.clone(),
            detail: Some(kept.detail.clone()),
            ..Self::empty(receipt)
        }
    }

    /// A hit that is on disk and not decided.
    pub(super) fn received(app: &App, position: Position, at: Option<Timestamp>) -> Self {
        let receipt = app.keys.receipt.format(app.node, Place::Journal(position));
        Self { received_at: at, ..Self::empty(receipt) }
    }

    fn empty(receipt: String) -> Self {
        Self {
            receipt,
            verdict: None,
            reason: None,
            parameter: None,
            conversion: None,
            status: None,
            flags: Vec::new(),
            original: None,
            retriable: false,
            retry_after_s: None,
            max_retries: None,
            received_at: None,
            decided_at: None,
            contract: None,
            http_status: Answers::default().http_status(None, None),
            nearest: None,
            detail: None,
        }
    }

    /// The answer to the hit itself: `returned` where its sender chose the body, else the reply
    /// that its contract spells out, else the profile's.
    pub(super) fn respond(mut self, answers: &Answers, returned: Option<String>) -> Response {
        if self.verdict.is_none() {
            self.http_status = answers.http_status(None, None);
        }
        let receipt = self.receipt.clone();
        let status = StatusCode::from_u16(self.http_status).expect("contracts have statuses");
        let is_refused = self.verdict == Some(Verdict::Refused);
        let returned = returned.filter(|_| !is_refused);
        let mut answer = match (returned, answers.reply(self.verdict), answers.profile) {
            (Some(body), ..) => {
                (status, [(CONTENT_TYPE, ContentType::Plain.name())], body).into_response()
            }
            (None, Some(reply), _) => {
                let body = reply.filled(|name| self.part(name));
                (status, [(CONTENT_TYPE, reply.content_type.name())], body).into_response()
            }
            (None, None, Profile::Receipt) => (status, Json(self)).into_response(),
            (None, None, Profile::Acknowledge) => (status, "OK").into_response(),
        };
        seal(&mut answer, &receipt);
        answer
    }

    /// What a spelt-out reply may hold.
    fn part(&self, name: &str) -> Option<&str> {
        match name {
            "receipt" => Some(&self.receipt),
            "verdict" => Some(self.verdict.map_or("received", Verdict::name)),
            "reason" => Some(self.reason.map_or("", Reason::name)),
            "detail" => Some(self.detail.as_deref().unwrap_or_default()),
            _ => None,
        }
    }
}

/// What every answer to a hit carries. It is about this request, and about no other like it; and
/// what a sender chose itself is no page.
fn seal(answer: &mut Response, receipt: &str) {
    let receipt = HeaderValue::from_str(receipt).expect("receipts are base32");
    let headers = answer.headers_mut();
    headers.insert(RECEIPT, receipt);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
