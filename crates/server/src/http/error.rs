//! What went wrong with a request, as its sender is told.
//!
//! One enum and one answer: `{"code","detail","parameter"?}`. What is our fault is logged here,
//! once, and its details never leave.

use crate::ingest::Unavailable;
use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::command::{Failure, FailureKind};
use domain::contract::Answers;
use domain::echo;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;

/// After how many seconds what could not be taken now may be sent again.
pub(crate) const RETRY_AFTER_S: u32 = 5;

/// Why a request was not answered as it wished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A field, a parameter or the body is wrong: 400.
    #[error("{detail}")]
    Invalid { code: &'static str, parameter: Option<String>, detail: String },
    /// 401.
    #[error("a valid key is required: `Authorization: Bearer …`")]
    Unauthorized,
    /// It names what there is not: 404.
    #[error("there is no {0}")]
    NotFound(String),
    /// 405; it names the methods there are.
    #[error("the methods here are: {0}")]
    Method(Cow<'static, str>),
    /// It is right, but not now: 409.
    #[error("{detail}")]
    Conflict { code: &'static str, detail: String },
    /// Something that is done one at a time, and is being done: 429.
    #[error("{0}; try again in {RETRY_AFTER_S} seconds")]
    Busy(&'static str),
    /// 408.
    #[error("the request did not arrive in time")]
    Slow,
    /// 413; it names the limit in bytes.
    #[error("a body has at most {0} bytes")]
    BodyTooLarge(usize),
    /// 414; it names the limit in bytes.
    #[error("a request target has at most {0} bytes")]
    TargetTooLong(usize),
    /// 431; it names the limit in bytes.
    #[error("a request's head has at most {0} bytes, and not too many lines")]
    HeadTooLarge(usize),
    /// A command that had no effect, by its kind.
    #[error("{}", .0.detail)]
    Failed(Failure),
    /// It was not journaled: 503.
    #[error("not journaled: {0:?}")]
    Unavailable(Unavailable),
    /// A hit was not journaled, and its contract says when and how often to repeat: 503.
    #[error("a hit was not journaled: {unavailable:?}")]
    NotReceived { unavailable: Unavailable, retry_after_s: u32, max_retries: Option<u32> },
    /// It is on disk, and what came of it is not known yet: 503, but it was received.
    #[error(
        "it is on disk and will be applied: look before you send it again, or send it under the \
         same Idempotency-Key"
    )]
    Late,
    /// What was acknowledged before a question is not applied yet: 503.
    #[error(
        "what was acknowledged before is not applied yet: ask again in {RETRY_AFTER_S} seconds"
    )]
    Behind,
    /// What has come of deliveries is not known, and nothing is done about them: 503.
    #[error(
        "the deliveries are closed, and `GET /alerts` says why: nothing was changed; try again in \
         {RETRY_AFTER_S} seconds"
    )]
    DeliveriesClosed,
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Our fault: 500.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A parameter is wrong.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::Invalid {
            code: "invalid_parameter",
            parameter: Some(name.to_owned()),
            detail: detail.into(),
        }
    }

    /// The disk did not take a hit that is read by a contract with these answers.
    pub(crate) fn not_received(unavailable: Unavailable, answers: &Answers) -> Self {
        match Self::from(unavailable) {
            Self::Unavailable(unavailable) => Self::NotReceived {
                unavailable,
                retry_after_s: answers.retry_after_s.unwrap_or(RETRY_AFTER_S),
                max_retries: answers.max_retries,
            },
            other => other,
        }
    }

    /// The request is wrong as a whole.
    pub(crate) fn request(detail: impl Into<String>) -> Self {
        Self::Invalid { code: "invalid_request", parameter: None, detail: detail.into() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid { .. } | Self::Store(store::Error::TooLarge(_)) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Failed(failure) => match failure.kind {
                FailureKind::Invalid => StatusCode::BAD_REQUEST,
                FailureKind::NotFound => StatusCode::NOT_FOUND,
                FailureKind::Conflict => StatusCode::CONFLICT,
                FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Unavailable(_)
            | Self::NotReceived { .. }
            | Self::Late
            | Self::Behind
            | Self::DeliveriesClosed
            | Self::Store(store::Error::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Invalid { code, .. } | Self::Conflict { code, .. } => code,
            Self::Failed(failure) if failure.kind != FailureKind::Internal => &failure.code,
            Self::Unauthorized => "unauthorized",
            Self::NotFound(_) => "not_found",
            Self::Method(_) => "method_not_allowed",
            Self::Busy(_) => "busy",
            Self::Slow => "request_too_slow",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::TargetTooLong(_) => "target_too_long",
            Self::HeadTooLarge(_) => "head_too_large",
            Self::Unavailable(_)
            | Self::NotReceived { .. }
            | Self::DeliveriesClosed
            | Self::Store(store::Error::Unavailable(_)) => "unavailable",
            Self::Late | Self::Behind => "not_applied_yet",
            Self::Store(store::Error::TooLarge(_)) => "too_large",
            Self::Failed(_) | Self::Store(_) | Self::Internal(_) => "internal_error",
        }
    }

    /// What may leave.
    fn detail(&self) -> String {
        let status = self.status();
        if matches!(self, Self::Late | Self::Behind | Self::DeliveriesClosed) {
            self.to_string()
        } else if status == StatusCode::SERVICE_UNAVAILABLE {
            format!("nothing was changed; try again in {} seconds", self.retry_after_s())
        } else if status.is_server_error() {
            "it is our fault, and in our log".to_owned()
        } else {
            self.to_string()
        }
    }

    /// After how many seconds a 503 may be tried again.
    fn retry_after_s(&self) -> u32 {
        match self {
            Self::NotReceived { retry_after_s, .. } => *retry_after_s,
            _ => RETRY_AFTER_S,
        }
    }

    fn blamed(&self) -> Option<&str> {
        match self {
            Self::Invalid { parameter, .. } => parameter.as_deref(),
            Self::Failed(failure) => failure.parameter.as_deref(),
            _ => None,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Late => Self::Late,
            Unavailable::TooLarge { max } => Self::BodyTooLarge(max),
            other => Self::Unavailable(other),
        }
    }
}

/// The body of every answer that is an error.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Error")]
pub(super) struct Body<'a> {
    /// A stable word for what went wrong.
    code: &'a str,
    /// What is wrong, and what would be right.
    detail: Cow<'a, str>,
    /// The field or parameter to blame, such as `goals[0].revenue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<Cow<'a, str>>,
    /// As a receipt would say it, where the sender of a hit may repeat.
    #[serde(flatten)]
    #[schemars(skip)]
    repeat: Option<Repeat>,
}

#[derive(Serialize)]
struct Repeat {
    retriable: bool,
    retry_after_s: u32,
    max_retries: Option<u32>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // That journal or ledger cannot be written is logged when it begins and ends: a full
            // disk is not filled with that.
            metrics::counter!("counterfoil_requests_unavailable_total").increment(1);
            tracing::debug!(error = %self, "a request has to wait");
        } else if status.is_server_error() {
            tracing::error!(error = %self, "a request failed");
        }
        let retry_after_s = self.retry_after_s();
        let repeat = match self {
            Self::NotReceived { max_retries, .. } => {
                Some(Repeat { retriable: true, retry_after_s, max_retries })
            }
            _ => None,
        };
        let (detail, parameter) = (self.detail(), self.blamed().map(echo::echoed));
        let detail = echo::bounded(&detail);
        let body = Body { code: self.code(), detail, parameter, repeat };
        let mut answer = (status, axum::Json(body)).into_response();
        let headers = answer.headers_mut();
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Busy(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
            }
            Self::Method(allowed) => {
                let allowed = HeaderValue::from_str(&allowed).expect("methods are ASCII");
                headers.insert(ALLOW, allowed);
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
            }
            _ => {}
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(error: Error) -> (u16, serde_json::Value) {
        let answer = error.into_response();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn the_sender_learns_its_own_mistake() {
        let failure = Failure::invalid("name", "a name has at most 200 bytes");
        let (status, body) = body(Error::from(failure)).await;
        assert_eq!(status, 400);
        let expected = serde_json::json!({
            "code": "invalid_parameter",
            "detail": "a name has at most 200 bytes",
            "parameter": "name",
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn a_question_that_is_too_large_is_told_what_would_be_right() {
        let (status, body) = body(store::Error::TooLarge("group by less".to_owned()).into()).await;
        assert_eq!(status, 400);
        assert_eq!(body, serde_json::json!({ "code": "too_large", "detail": "group by less" }));
    }

    #[tokio::test]
    async fn details_of_our_own_faults_never_leave() {
        let damage =
            || store::Error::Corrupt { place: "SECRET".to_owned(), detail: "SECRET".to_owned() };
        let mut failure = Failure::conflict("SECRET", "SECRET");
        failure.kind = FailureKind::Internal;
        for error in [Error::from(damage()), Error::Internal("SECRET".to_owned()), failure.into()] {
            let (status, body) = body(error).await;
            assert_eq!(status, 500);
            assert!(!body.to_string().contains("SECRET"), "{body}");
        }
        let error = Error::from(store::Error::Unavailable("SECRET".to_owned()));
        let (status, body) = body(error).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("unavailable")));
        assert!(!body.to_string().contains("SECRET"), "{body}");
    }

    #[tokio::test]
    async fn a_sender_is_told_what_its_contract_says_of_repeating() {
        let answers =
            Answers { retry_after_s: Some(60), max_retries: Some(9), ..Answers::default() };
        let refused = || Error::not_received(Unavailable::Disk, &answers);
        assert_eq!(refused().into_response().headers()[RETRY_AFTER], "60");
        let expected = serde_json::json!({
            "code": "unavailable",
            "detail": "nothing was changed; try again in 60 seconds",
            "retriable": true,
            "retry_after_s": 60,
            "max_retries": 9,
        });
        assert_eq!(body(refused()).await, (503, expected));
    }

    #[tokio::test]
    async fn what_is_on_disk_already_is_not_called_unchanged() {
        let (status, body) = body(Error::from(Unavailable::Late)).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("not_applied_yet")));
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.contains("on disk") && detail.contains("Idempotency-Key"), "{detail}");
    }

    #[test]
    fn whatever_is_unavailable_is_counted() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        let closed = || store::Error::Unavailable("the ledger is not open".to_owned());
        metrics::with_local_recorder(&recorder, || {
            for error in [closed().into(), Unavailable::Disk.into(), Error::Late, Error::Behind] {
                assert_eq!(error.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
            }
        });
        let text = shown.render();
        assert!(text.contains("counterfoil_requests_unavailable_total 4\n"), "{text}");
    }

    #[test]
    fn what_may_be_sent_again_says_when() {
        let answer = Error::from(Unavailable::Disk).into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[RETRY_AFTER], "5");
        assert_eq!(Error::Behind.into_response().headers()[RETRY_AFTER], "5");
        assert_eq!(Error::Method("GET, POST".into()).into_response().headers()[ALLOW], "GET, POST");
        assert_eq!(Error::Unauthorized.into_response().headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
