//! Secrets: what senders prove themselves with, what requests are signed with, and what opens an
//! account. They are never shown, and encrypted wherever they are written.
//!
//! Encrypted once, before it is journaled, a secret stays the same bytes wherever it is copied to:
//! the ledger made from a journal is the same however often it is made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

/// How many random bytes go into encrypting one secret.
pub const NONCE_BYTES: usize = 24;
/// Keep the uses of one key apart.
const ENCRYPTS: &[u8] = b"counterfoil secrets 1";
const FINGERPRINTS: &[u8] = b"counterfoil fingerprint 1";

/// What must not be shown. Its `Debug` and `Display` print `***`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Secret {
    /// `None`: it has not been decrypted yet.
    text: Option<String>,
    /// In base64; `None`: it is written as it is.
    encrypted: Option<String>,
}

/// A secret in the journal and the ledger.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(String),
    Encrypted { encrypted: String },
}

impl From<Written> for Secret {
    fn from(written: Written) -> Self {
        match written {
            Written::Plain(text) => Self::new(text),
            Written::Encrypted { encrypted } => Self { text: None, encrypted: Some(encrypted) },
        }
    }
}

impl From<Secret> for Written {
    fn from(secret: Secret) -> Self {
        match secret.encrypted {
            Some(encrypted) => Self::Encrypted { encrypted },
            None => Self::Plain(secret.text.unwrap_or_default()),
        }
    }
}

impl Secret {
    pub fn new(text: String) -> Self {
        Self { text: Some(text), encrypted: None }
    }

    /// What stands in a secret's place where it is shown or kept for the record.
    pub(crate) fn masked() -> Self {
        Self::new("***".to_owned())
    }

    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// What is sent, compared and signed with. Nothing, while it is encrypted: that verifies
    /// nobody.
    pub(crate) fn expose(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// As values are compared: without blanks around it.
    #[must_use]
    pub(crate) fn trimmed(&self) -> Self {
        let text = self.expose().trim();
        if text == self.expose() { self.clone() } else { Self::new(text.to_owned()) }
    }

    /// Whether both are the same, however they are written.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.text.is_some() && self.text == other.text
    }

    /// Compares in constant time; an empty secret never verifies.
    pub fn verifies(&self, value: &str) -> bool {
        use subtle::ConstantTimeEq;
        !self.is_empty() && bool::from(self.expose().as_bytes().ct_eq(value.as_bytes()))
    }

    /// From now on it is written encrypted. One that is already stays as it is. No two secrets may
    /// have the same `nonce`.
    pub fn encrypt(&mut self, key: &SecretsKey, nonce: [u8; NONCE_BYTES]) {
        if self.encrypted.is_none() {
            self.encrypted = Some(key.encrypt(self.expose(), nonce));
        }
    }

    /// From now on it can be used. One that is not encrypted needs no key.
    pub fn decrypt(&mut self, key: Option<&SecretsKey>) -> Result<(), WrongKey> {
        if let (None, Some(encrypted)) = (&self.text, &self.encrypted) {
            let text = key.and_then(|key| key.decrypt(encrypted));
            self.text = Some(text.ok_or(WrongKey)?);
        }
        Ok(())
    }
}

/// A secret was encrypted with another key than what is there, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKey;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What secrets are encrypted with.
#[derive(Clone)]
pub struct SecretsKey {
    cipher: XChaCha20Poly1305,
    fingerprints: Hmac<Sha256>,
}

impl SecretsKey {
    pub fn new(secret: [u8; 32]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length is a key");
        let key: [u8; 32] = mac.clone().chain_update(ENCRYPTS).finalize().into_bytes().into();
        Self {
            cipher: XChaCha20Poly1305::new(&key.into()),
            fingerprints: mac.chain_update(FINGERPRINTS),
        }
    }

    /// The same for the same parts, and by which nobody without the key can try out what they may
    /// have been.
    pub fn fingerprint<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 32] {
        let mut mac = self.fingerprints.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn encrypt(&self, text: &str, nonce: [u8; NONCE_BYTES]) -> String {
        let payload = Payload { msg: text.as_bytes(), aad: ENCRYPTS };
        let made = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let made = made.expect("a secret is far shorter than what can be encrypted");
        STANDARD.encode([&nonce[..], &made].concat())
    }

    fn decrypt(&self, encrypted: &str) -> Option<String> {
        let bytes = STANDARD.decode(encrypted).ok()?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg, aad: ENCRYPTS };
        let text = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        String::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> SecretsKey {
        SecretsKey::new([byte; 32])
    }

    fn written(secret: &Secret) -> String {
        serde_json::to_string(secret).unwrap()
    }

    fn encrypted(text: &str) -> Secret {
        let mut secret = Secret::new(text.to_owned());
        secret.encrypt(&key(1), [7; NONCE_BYTES]);
        secret
    }

    #[test]
    fn a_secret_that_was_written_plainly_reads() {
        let mut secret: Secret = serde_json::from_str(r#""s3cret""#).unwrap();
        secret.decrypt(None).unwrap();
        assert!(secret.verifies("s3cret"));
        assert_eq!(written(&secret), r#""s3cret""#);
    }

    #[test]
    fn an_encrypted_one_proves_nobody_before_it_is_decrypted() {
        let secret = encrypted("s3cret");
        assert!(secret.verifies("s3cret"), "whoever encrypted it knows it");
        let mut read: Secret = serde_json::from_str(&written(&secret)).unwrap();
        assert!(read.is_empty() && !read.verifies("s3cret") && !read.verifies(""));
        assert!(!read.is_same(&read.clone()), "nobody knows");
        assert_eq!(read.decrypt(None), Err(WrongKey));
        read.decrypt(Some(&key(1))).unwrap();
        assert!(read.verifies("s3cret") && read.is_same(&Secret::new("s3cret".to_owned())));
        assert_eq!(read, secret);
    }

    #[test]
    fn what_is_encrypted_stays_the_same_bytes() {
        let secret = encrypted("s3cret");
        let mut again = secret.clone();
        again.encrypt(&key(2), [8; NONCE_BYTES]);
        assert_eq!(written(&again), written(&secret));
        assert_eq!(written(&secret.trimmed()), written(&secret));
    }

    /// The format is frozen: journals keep it.
    #[test]
    fn the_manuals_example_decrypts() {
        let text =
            r#"{"encrypted":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHx2m2Jk42M8DZyV5nziTQaU8mjYVPSg=="}"#;
        let example: Secret = serde_json::from_str(text).unwrap();
        assert_eq!(written(&encrypted("s3cret")), text);
        let mut read = example;
        read.decrypt(Some(&key(1))).unwrap();
        assert!(read.verifies("s3cret"));
    }

    #[test]
    fn another_key_and_every_change_are_noticed() {
        let text = written(&encrypted("s3cret"));
        let read = |text: &str| serde_json::from_str::<Secret>(text).unwrap();
        assert_eq!(read(&text).decrypt(Some(&key(2))), Err(WrongKey));
        let at = text.find("Bw").unwrap();
        for place in at..text.len() - 2 {
            let other = if &text[place..=place] == "A" { "B" } else { "A" };
            let changed = [&text[..place], other, &text[place + 1..]].concat();
            assert_eq!(read(&changed).decrypt(Some(&key(1))), Err(WrongKey), "{place}");
        }
        for short in ["", "AAAA", "not base64"] {
            let text = format!(r#"{{"encrypted":"{short}"}}"#);
            assert_eq!(read(&text).decrypt(Some(&key(1))), Err(WrongKey), "{short}");
        }
    }

    #[test]
    fn a_fingerprint_tells_its_parts_apart() {
        let of = |parts: &[&str]| key(1).fingerprint(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_ne!(of(&["a", "b"]), of(&["a", "b", ""]));
        assert_ne!(of(&["a"]), key(2).fingerprint([&b"a"[..]]));
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_is_nowhere_to_be_seen(text in "\\PC{8,40}", nonce: [u8; 24]) {
            let mut secret = Secret::new(text.clone());
            secret.encrypt(&key(3), nonce);
            let json = written(&secret);
            let shown = format!("{secret:?}{secret}");
            prop_assert!(!json.contains(&text) && !shown.contains(&text));
            let mut read: Secret = serde_json::from_str(&json).unwrap();
            read.decrypt(Some(&key(3))).unwrap();
            prop_assert_eq!(read.expose(), text);
        }
    }
}
