//! Random values: drawn by handlers, before anything is journaled, and never while applying.

use crate::http::Error;
use crate::keys::random;
use domain::base32;
use domain::setup::Setup;

/// How many characters a link's token has: 50 bits, for it only has to be unlike the others.
const TOKEN_CHARS: usize = 10;
/// How many bytes of randomness an integration's key has, because it must not be guessed.
const KEY_BYTES: usize = 16;
/// How often a token is drawn until there is one that no link has.
const DRAWS_MAX: usize = 8;

/// A key for an integration: 26 characters.
pub(crate) fn key() -> String {
    base32::to_string(&random::<KEY_BYTES>())
}

/// A token that no link of `setup` has.
pub(super) fn token(setup: &Setup) -> Result<String, Error> {
    for _ in 0..DRAWS_MAX {
        let mut token = base32::to_string(&random::<8>());
        token.truncate(TOKEN_CHARS);
        if setup.link_by_token(&token).is_none() {
            return Ok(token);
        }
    }
    Err(Error::Internal("every token drawn was taken".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_a_key_are_of_their_length_and_alphabet() {
        let texts = [(token(&Setup::default()).unwrap(), 10), (key(), 26)];
        for (text, length) in texts {
            assert_eq!(text.len(), length, "{text}");
            let is_kept = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
            assert!(text.bytes().all(|byte| is_kept(byte) && !b"ilou".contains(&byte)), "{text}");
        }
        assert_ne!(key(), key());
    }
}
