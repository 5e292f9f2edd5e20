//! Who may use the API: whoever has the admin key.
//!
//! It is checked before anything else, the body included, and for paths that do not exist too, so
//! a stranger learns nothing of what there is.

use crate::app::App;
use crate::http::Error;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// Who commands are noted as having come from.
pub(super) const ACTOR: &str = "admin";

const SCHEME: &str = "Bearer";

/// Lets requests in that carry the admin key.
pub(in crate::http) fn check(app: &App, headers: &HeaderMap) -> Result<(), Error> {
    match bearer(headers) {
        Some(key) if app.keys.is_admin(key) => Ok(()),
        _ => Err(Error::Unauthorized),
    }
}

/// The key of the one `Authorization` header; none where there are several.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, key) = only.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case(SCHEME) && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn key(values: &[&'static [u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn a_bearer_key_is_read() {
        assert_eq!(key(&[b"Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(key(&[b"bearer  abc "]).as_deref(), Some("abc"));
    }

    #[test]
    fn anything_else_carries_no_key() {
        let wrong: [&[&'static [u8]]; 7] = [
            &[],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Basic abc"],
            &[b"abc"],
            &[b"Bearer \xff"],
            &[b"Bearer abc", b"Bearer abc"],
        ];
        for values in wrong {
            assert_eq!(key(values), None, "{values:?}");
        }
    }
}
