//! Which secrets a contract has a use for, and what is wrong with one.

use super::{Contract, ProofKind};
use crate::macros;
use crate::secret::Secret;
use std::collections::BTreeMap;

/// The name of the secret that is sent as it is.
pub const TOKEN: &str = "token";
/// The name of the secret that signatures are made with.
pub const SIGNATURE: &str = "signature";

/// Why a contract accepts nothing for want of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    NotSet,
    /// What is set proves nobody by it: why.
    Useless(String),
}

/// Why no value that is read could ever be the token; `None`: one could.
fn token_fault(token: &Secret, length_max: usize, unreplaced: &[String]) -> Option<String> {
    let token = token.expose();
    if token.is_empty() {
        return Some("an empty token verifies nothing".to_owned());
    }
    if token.len() > length_max {
        return Some(format!("a token has at most {length_max} bytes"));
    }
    if token.contains(char::is_control) {
        return Some("a token has no control characters".to_owned());
    }
    let is_macro = macros::is_unreplaced(token, unreplaced);
    is_macro.then(|| "a token that looks like a macro would be taken for one".to_owned())
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
                token_fault(&secret, carrier.length_max(), &self.unreplaced)
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
