//! `Idempotency-Key`: a request that is sent again under the same key is answered as before and
//! done once.
//!
//! The key travels inside the command, so whether it was used is decided where commands are
//! applied, in the journal's order: two requests at once cannot both be the first.

use super::auth;
use crate::app::App;
use crate::http::Error;
use crate::keys::hex;
use axum::http::{HeaderMap, Method};
use domain::command::{IDEMPOTENCY_KEY_BYTES_MAX, Idempotency};
use sha2::{Digest, Sha256};
use store::list::StoredCommand;

const HEADER: &str = "Idempotency-Key";

/// The request's key, and what the request was; `None` where it has no key.
pub(super) fn read(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<Idempotency>, Error> {
    let mut all = headers.get_all(HEADER).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let key =
        first.to_str().ok().map(str::trim).filter(|key| {
            (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && all.next().is_none()
        });
    let Some(key) = key else {
        let detail = format!("one key of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} ASCII characters");
        return Err(Error::parameter(HEADER, detail));
    };
    Ok(Some(Idempotency { key: key.to_owned(), request: digest(method, path, body) }))
}

/// The command that the same request has led to before, where everything that was acknowledged is
/// applied. For what has to be worked out before there is a command, and is not the same later.
pub(super) async fn earlier(
    app: &App,
    idempotency: Option<&Idempotency>,
) -> Result<Option<StoredCommand>, Error> {
    let Some(sent) = idempotency else { return Ok(None) };
    let earlier = app.store.command_by_key(auth::ACTOR, &sent.key).await?;
    // Another request under the key is refused where commands are applied.
    Ok(earlier.filter(|one| one.command.idempotency.as_ref() == Some(sent)))
}

/// SHA-256 over method, path and body, in hex. Neither of the first two can hold a line end.
fn digest(method: &Method, path: &str, body: &[u8]) -> String {
    let hash = Sha256::new()
        .chain_update(method.as_str())
        .chain_update("\n")
        .chain_update(path)
        .chain_update("\n")
        .chain_update(body)
        .finalize();
    hex(&hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn given(keys: &[&[u8]]) -> Result<Option<Idempotency>, Error> {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(HEADER, HeaderValue::from_bytes(key).unwrap());
        }
        read(&Method::POST, "/links", &headers, b"{}")
    }

    #[test]
    fn a_request_without_a_key_has_none() {
        assert_eq!(given(&[]).unwrap(), None);
    }

    #[test]
    fn a_key_comes_with_a_digest_of_its_request() {
        let one = given(&[b" k-1 "]).unwrap().unwrap();
        assert_eq!(one.key, "k-1");
        assert_eq!(one.request.len(), 64);
        assert_eq!(given(&[b"k-2"]).unwrap().unwrap().request, one.request);
    }

    #[test]
    fn method_path_and_body_each_make_another_request() {
        let one = digest(&Method::POST, "/links", b"{}");
        assert_ne!(digest(&Method::PATCH, "/links", b"{}"), one);
        assert_ne!(digest(&Method::POST, "/links/1", b"{}"), one);
        assert_ne!(digest(&Method::POST, "/links", b"{ }"), one);
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let long = [b'k'; IDEMPOTENCY_KEY_BYTES_MAX + 1];
        assert!(given(&[&long[1..]]).is_ok());
        let wrong: [&[&[u8]]; 4] = [&[b""], &[&long], &[b"\xff"], &[b"k-1", b"k-1"]];
        for keys in wrong {
            assert_eq!(given(keys).unwrap_err().status(), 400, "{keys:?}");
        }
    }
}
