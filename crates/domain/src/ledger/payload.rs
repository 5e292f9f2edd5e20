//! What a postback says as a whole: what tells two apart that have no transaction id.

use crate::contract::{Canonical, Contract, Parameter};
use crate::postback::{Inside, Pair, Pairs};
use sha2::{Digest, Sha256};

/// Stands before the headers: a length that no name has.
const HEADERS: [u8; 8] = [0xff; 8];

/// The digest of what was sent, whatever the order: without the click id, which stands beside it
/// in every key, without secrets, and without the time, which some senders set anew for each try.
/// Nor does it cover what whoever saw one signed request could add to it: a header that is not
/// signed, and beside a signed body what nobody reads in the URL. `docs/chain.md` has the encoding.
pub(super) fn digest(contracts: [&Contract; 2], sent: &Pairs) -> [u8; 32] {
    let parameters = || contracts.iter().flat_map(|contract| &contract.parameters);
    let schemes = || contracts.iter().filter_map(|one| one.verification.signature.as_ref());
    let is_left_out = |pair: &Pair| {
        let mut left_out = parameters().filter(|parameter| {
            let canonical = parameter.canonical;
            canonical.is_secret() || matches!(canonical, Canonical::ClickId | Canonical::Timestamp)
        });
        left_out.any(|parameter| is_named(parameter, &pair.name))
    };
    let is_read = |pair: &Pair| parameters().any(|parameter| pair.is_of(parameter));
    let is_body_signed = schemes().any(|scheme| scheme.input.is_body());
    let pairs = sent.all.iter().filter(|pair| pair.inside == Inside::Left);
    let pairs = pairs.filter(|pair| !(is_body_signed && pair.is_in_url) || is_read(pair));
    let is_open = |pair: &Pair| schemes().any(|scheme| scheme.leaves_open(&pair.name));
    let headers = sent.headers.iter().filter(|pair| is_read(pair) && !is_open(pair));
    let pairs = pairs.filter(|pair| !is_left_out(pair));
    let headers = headers.filter(|pair| !is_left_out(pair));
    let mut hash = Sha256::new_with_prefix(b"counterfoil payload 1");
    update(&mut hash, pairs.map(|pair| (pair.name.clone(), said(pair))).collect());
    let headers: Vec<_> =
        headers.map(|pair| (pair.name.to_ascii_lowercase(), said(pair))).collect();
    if headers.iter().any(|(_, text)| !text.is_empty()) {
        hash.update(HEADERS);
        update(&mut hash, headers);
    }
    hash.finalize().into()
}

fn update(hash: &mut Sha256, mut said: Vec<(String, &str)>) {
    said.retain(|(_, text)| !text.is_empty());
    said.sort_unstable();
    said.dedup();
    for part in said.iter().flat_map(|(name, text)| [name.as_str(), text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
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
