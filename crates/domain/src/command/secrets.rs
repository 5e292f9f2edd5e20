//! The secrets in a command: encrypted before it is journaled, decrypted before it is carried out,
//! and masked in the audit trail.

use super::{Act, Command};
use crate::secret::{NONCE_BYTES, Secret, SecretsKey, WrongKey};

impl Command {
    /// `draw` gives other random bytes each time.
    pub fn encrypt_secrets(&mut self, key: &SecretsKey, draw: impl Fn() -> [u8; NONCE_BYTES]) {
        self.secrets().into_iter().for_each(|secret| secret.encrypt(key, draw()));
    }

    pub fn decrypt_secrets(&mut self, key: Option<&SecretsKey>) -> Result<(), WrongKey> {
        self.secrets().into_iter().try_for_each(|secret| secret.decrypt(key))
    }

    /// The same without its secrets, for the audit trail.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut masked = self.clone();
        mask(masked.secrets());
        masked
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        match &mut self.act {
            Act::CreateIntegration(new) => new.secrets.values_mut().collect(),
            Act::ChangeIntegration { secrets: Some(secrets), .. } => {
                secrets.values_mut().flatten().collect()
            }
            Act::CreateDestination(new) => new.secrets.values_mut().collect(),
            Act::ChangeDestination { changes, .. } => {
                changes.secrets.values_mut().flatten().collect()
            }
            _ => Vec::new(),
        }
    }
}

pub(super) fn mask(secrets: Vec<&mut Secret>) {
    for secret in secrets {
        *secret = Secret::masked();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{self, Kind, Record};
    use std::cell::Cell;

    const KEY: [u8; 32] = [4; 32];

    /// Every act that takes secrets, with `"s3cret"` for each.
    fn acts() -> [&'static str; 4] {
        [
            r#"{"act":"create_integration","scope":{"level":"global"},"partner":"p","key":"k",
                "secrets":{"token":"s3cret","signature":"s3cret"}}"#,
            r#"{"act":"change_integration","id":1,"secrets":{"token":"s3cret","signature":null}}"#,
            r#"{"act":"create_destination","owner":{"level":"publisher","publisher_id":1},"outbound":{"partner":"p"},
                "secrets":{"signing":"s3cret"},"rules":{},"pace":{}}"#,
            r#"{"act":"change_destination","id":1,"changes":{"secrets":{"a":"s3cret","b":null}}}"#,
        ]
    }

    fn command(act: &str) -> Command {
        let act = serde_json::from_str(act).unwrap();
        Command { actor: "tester".to_owned(), idempotency: None, act }
    }

    #[test]
    fn no_secret_is_journaled_plainly_and_each_comes_back() {
        let key = SecretsKey::new(KEY);
        let drawn = Cell::new(0);
        let draw = || {
            drawn.set(drawn.get() + 1);
            [drawn.get(); NONCE_BYTES]
        };
        for act in acts() {
            let mut sent = command(act);
            sent.encrypt_secrets(&key, draw);
            let payload = record::write(&Record::Command(Box::new(sent.clone())));
            assert!(!String::from_utf8(payload.clone()).unwrap().contains("s3cret"), "{act}");
            let kind = Kind::Command;
            let read = record::read(kind as u8, kind.format(), record::RULES, &payload).unwrap();
            let Record::Command(mut read) = read else { panic!("it is a command") };
            assert_eq!(read.decrypt_secrets(None), Err(WrongKey), "{act}");
            read.decrypt_secrets(Some(&key)).unwrap();
            assert_eq!(*read, sent, "{act}");
            assert!(read.secrets().iter().all(|secret| secret.verifies("s3cret")), "{act}");
        }
        assert_eq!(drawn.get(), 5, "each with bytes of its own");
    }

    #[test]
    fn the_audit_trail_shows_that_there_were_secrets() {
        for act in acts() {
            let trail = serde_json::to_string(&command(act).masked().act).unwrap();
            assert!(!trail.contains("s3cret") && trail.contains(r#":"***""#), "{trail}");
        }
    }
}
