//! The secrets in a setup, which is read with them encrypted.

use super::Setup;
use crate::secret::{SecretsKey, WrongKey};

impl Setup {
    /// From now on all of them can be used. `Err`: whose were not encrypted with that key.
    pub fn decrypt_secrets(&mut self, key: &SecretsKey) -> Result<(), String> {
        for (id, history) in &mut self.integrations {
            let mut secrets = history.versions_mut().flat_map(|one| one.secrets_mut());
            let decrypted = secrets.try_for_each(|secret| secret.decrypt(Some(key)));
            decrypted.map_err(|WrongKey| format!("integration {id}"))?;
        }
        for (id, history) in &mut self.destinations {
            let mut secrets = history.versions_mut().flat_map(|one| one.secrets_mut());
            let decrypted = secrets.try_for_each(|secret| secret.decrypt(Some(key)));
            decrypted.map_err(|WrongKey| format!("destination {id}"))?;
        }
        Ok(())
    }
}
