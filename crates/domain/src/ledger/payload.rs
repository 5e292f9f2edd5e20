//! What a postback says as a whole: what tells two apart that have no transaction id.

use crate::contract::{Canonical, Contract, Parameter};
use crate::postback::{Pair, Pairs};
use sha2::{Digest, Sha256};

/// The digest of what was sent, whatever the order: without the click id, which stands beside it
/// in every key, without secrets, and without the time, which some senders set anew for each try.
/// `docs/chain.md` has the encoding.
pub(super) fn digest(contracts: [&Contract; 2], sent: &Pairs) -> [u8; 32] {
    let is_left_out = |pair: &Pair| {
        let parameters = contracts.iter().flat_map(|contract| &contract.parameters);
        let mut left_out = parameters.filter(|parameter| {
            let canonical = parameter.canonical;
            canonical.is_secret() || matches!(canonical, Canonical::ClickId | Canonical::Timestamp)
        });
        left_out.any(|parameter| is_named(parameter, &pair.name))
    };
    let pairs = sent.all.iter().filter(|pair| !is_left_out(pair));
    let said = pairs.map(|pair| (pair.name.as_str(), said(pair)));
    let mut said: Vec<(&str, &str)> = said.filter(|(_, text)| !text.is_empty()).collect();
    said.sort_unstable();
    said.dedup();
    let mut hash = Sha256::new_with_prefix(b"counterfoil payload 1");
    for part in said.into_iter().flat_map(|(name, text)| [name, text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn said(pair: &Pair) -> &str {
    pair.raw.as_deref().unwrap_or(&pair.text).trim()
}

fn is_named(parameter: &Parameter, name: &str) -> bool {
    parameter
        .names
        .iter()
        .any(|own| own == name || parameter.in_header && own.eq_ignore_ascii_case(name))
}
