//! What went wrong with a request, as its sender is told.
//!
//! One enum and one answer: `{"code","detail","parameter"?}`. What is our fault is logged here,
//! once, and its details never leave.

use crate::ingest::Unavailable;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::command::{Failure, FailureKind};
use serde::Serialize;

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
    Method(&'static str),
    /// It is right, but not now: 409.
    #[error("{detail}")]
    Conflict { code: &'static str, detail: String },
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
    /// 415.
    #[error("the body is JSON, with `Content-Type: application/json`")]
    NotJson,
    /// A command that had no effect, by its kind.
    #[error("{}", .0.detail)]
    Failed(Failure),
    /// It was not journaled: 503.
    #[error("not journaled: {0:?}")]
    Unavailable(Unavailable),
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
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong(_) => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Failed(failure) => match failure.kind {
                FailureKind::Invalid => StatusCode::BAD_REQUEST,
                FailureKind::NotFound => StatusCode::NOT_FOUND,
                FailureKind::Conflict => StatusCode::CONFLICT,
                FailureKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Unavailable(_)
            | Self::Late
            | Self::Behind
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
            Self::Slow => "request_too_slow",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::TargetTooLong(_) => "target_too_long",
            Self::HeadTooLarge(_) => "head_too_large",
            Self::NotJson => "not_json",
            Self::Unavailable(_) | Self::Store(store::Error::Unavailable(_)) => "unavailable",
            Self::Late | Self::Behind => "not_applied_yet",
            Self::Store(store::Error::TooLarge(_)) => "too_large",
            Self::Failed(_) | Self::Store(_) | Self::Internal(_) => "internal_error",
        }
    }

    /// What may leave.
    fn detail(&self) -> String {
        let status = self.status();
        if matches!(self, Self::Late | Self::Behind) {
            self.to_string()
        } else if status == StatusCode::SERVICE_UNAVAILABLE {
            format!("nothing was changed; try again in {RETRY_AFTER_S} seconds")
        } else if status.is_server_error() {
            "it is our fault, and in our log".to_owned()
        } else {
            self.to_string()
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

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::MissingJsonContentType(_) => Self::NotJson,
            other => {
                Self::Invalid { code: "invalid_body", parameter: None, detail: other.body_text() }
            }
        }
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self::request(rejection.body_text())
    }
}

/// The body of every answer that is an error.
#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        match &self {
            // The journal's state is logged when it changes: a full disk is not filled with that.
            Self::Unavailable(_) | Self::Late | Self::Behind => {
                metrics::counter!("counterfoil_requests_unavailable_total").increment(1);
            }
            _ if status.is_server_error() => tracing::error!(error = %self, "a request failed"),
            _ => {}
        }
        let body = Body { code: self.code(), detail: self.detail(), parameter: self.blamed() };
        let mut answer = (status, axum::Json(body)).into_response();
        let headers = answer.headers_mut();
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Method(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
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
    async fn what_is_on_disk_already_is_not_called_unchanged() {
        let (status, body) = body(Error::from(Unavailable::Late)).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("not_applied_yet")));
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.contains("on disk") && detail.contains("Idempotency-Key"), "{detail}");
    }

    #[test]
    fn what_may_be_sent_again_says_when() {
        let answer = Error::from(Unavailable::Disk).into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[RETRY_AFTER], "5");
        assert_eq!(Error::Behind.into_response().headers()[RETRY_AFTER], "5");
        assert_eq!(Error::Method("GET, POST").into_response().headers()[ALLOW], "GET, POST");
        assert_eq!(Error::Unauthorized.into_response().headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
