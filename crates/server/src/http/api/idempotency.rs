//! `Idempotency-Key`: a request that is sent again under the same key is answered as before and
//! done once.
//!
//! The key travels inside the command, so whether it was used is decided where commands are
//! applied, in the journal's order: two requests at once cannot both be the first.

use super::auth;
use crate::app::App;
use crate::http::Error;
use crate::keys::hex;
use axum::http::request::Parts;
use domain::command::{IDEMPOTENCY_KEY_BYTES_MAX, Idempotency};
use domain::secret::SecretsKey;
use store::list::StoredCommand;

const HEADER: &str = "Idempotency-Key";

/// The request's key, and what the request was; `None` where it has no key.
pub(super) fn read(
    parts: &Parts,
    body: &[u8],
    key: &SecretsKey,
) -> Result<Option<Idempotency>, Error> {
    let mut all = parts.headers.get_all(HEADER).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let sent =
        first.to_str().ok().map(str::trim).filter(|key| {
            (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && all.next().is_none()
        });
    let Some(sent) = sent else {
        let detail = format!("one key of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} ASCII characters");
        return Err(Error::parameter(HEADER, detail));
    };
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    // Bodies hold secrets that are short enough to be tried out.
    let request = hex(&key.fingerprint([method.as_bytes(), path.as_bytes(), body]));
    Ok(Some(Idempotency { key: sent.to_owned(), request }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    /// Reads a request that has these keys.
    fn sent(
        method: &str,
        path: &str,
        body: &str,
        keys: &[&[u8]],
    ) -> Result<Option<Idempotency>, Error> {
        let mut request = Request::builder().method(method).uri(path);
        for key in keys {
            request = request.header(HEADER, *key);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        read(&parts, body.as_bytes(), &SecretsKey::new([1; 32]))
    }

    fn given(keys: &[&[u8]]) -> Result<Option<Idempotency>, Error> {
        sent("POST", "/links", "{}", keys)
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
        let of = |method, path, body| sent(method, path, body, &[b"k"]).unwrap().unwrap().request;
        let one = of("POST", "/links", "{}");
        assert_ne!(of("PATCH", "/links", "{}"), one);
        assert_ne!(of("POST", "/links/1", "{}"), one);
        assert_ne!(of("POST", "/links", "{ }"), one);
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
