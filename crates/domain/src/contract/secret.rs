//! A secret that a sender proves itself with: it is compared, and never shown.

use super::{Contract, ProofKind};
use crate::macros;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The name of the secret that is sent as it is.
pub const TOKEN: &str = "token";
/// The name of the secret that signatures are made with.
pub const SIGNATURE: &str = "signature";

/// What must not be shown. Its `Debug` and `Display` print `***`; it is written out only into the
/// journal and the ledger.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// What stands in a secret's place where it is shown or kept for the record.
    pub(crate) fn masked() -> Self {
        Self("***".to_owned())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What signatures are computed with.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// As values are compared: without blanks around it.
    #[must_use]
    pub(crate) fn trimmed(&self) -> Self {
        Self(self.0.trim().to_owned())
    }

    /// Why no value that is read could ever be it; `None`: one could.
    pub(crate) fn fault(&self, length_max: usize, unreplaced: &[String]) -> Option<String> {
        if self.0.is_empty() {
            return Some("an empty token verifies nothing".to_owned());
        }
        if self.0.len() > length_max {
            return Some(format!("a token has at most {length_max} bytes"));
        }
        if self.0.contains(char::is_control) {
            return Some("a token has no control characters".to_owned());
        }
        let is_macro = macros::is_unreplaced(&self.0, unreplaced);
        is_macro.then(|| "a token that looks like a macro would be taken for one".to_owned())
    }

    /// Compares in constant time; an empty secret never verifies.
    pub fn verifies(&self, value: &str) -> bool {
        use subtle::ConstantTimeEq;
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(value.as_bytes()))
    }
}

/// Why a contract accepts nothing for want of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    NotSet,
    /// What is set proves nobody by it: why.
    Useless(String),
}

/// What is wrong with a name that no secret has.
pub(crate) fn no_such_secret(name: &str) -> String {
    format!("no secret is called `{name}`; there are: {TOKEN}, {SIGNATURE}")
}

impl Contract {
    /// Whether a sender proves itself with the secret of that name.
    pub(crate) fn uses_secret(&self, name: &str) -> bool {
        let rules = &self.verification;
        match name {
            TOKEN => rules.token.is_some(),
            SIGNATURE => rules.signature.is_some(),
            _ => false,
        }
    }

    /// What keeps the contract from accepting anything, of the secret of that name, by an
    /// integration's secrets in force: those on their way out are soon gone. `None`: nothing does.
    pub(crate) fn lacks_secret(
        &self,
        name: &str,
        secrets: &BTreeMap<String, Secret>,
    ) -> Option<Lack> {
        let rules = &self.verification;
        let kind = match name {
            TOKEN => ProofKind::Token,
            SIGNATURE => ProofKind::Signature,
            _ => return None,
        };
        if !rules.token_required || !rules.enforces(kind) {
            return None;
        }
        match secrets.get(name) {
            None => Some(Lack::NotSet),
            Some(secret) => self.checked_secret(name, secret).err().map(Lack::Useless),
        }
    }

    /// A secret as it is kept under its name. `Err`: why the contract has no use for it.
    pub(crate) fn checked_secret(&self, name: &str, secret: &Secret) -> Result<Secret, String> {
        let secret = secret.trimmed();
        let fault = match name {
            TOKEN => {
                let carrier = self.verification.token.and_then(|token| self.parameter(token));
                let carrier = carrier.ok_or("the contract carries no token")?;
                secret.fault(carrier.length_max(), &self.unreplaced)
            }
            SIGNATURE => {
                let scheme = self.verification.signature.as_ref();
                scheme.ok_or("the contract has no signature")?.secret_fault(secret.expose())
            }
            _ => Some(no_such_secret(name)),
        };
        fault.map_or(Ok(secret), Err)
    }
}

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
