//! What a postback says as a whole: what tells two apart that have no transaction id.

use super::route::clicked_at;
use crate::click_id::ClickId;
use crate::contract::{Canonical, Contract, Input, Parameter, ProofKind, Scheme};
use crate::integration::Integration;
use crate::postback::{Inside, Pair, Pairs};
use crate::setup::Setup;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Stands before the headers: a length that no name has.
const HEADERS: [u8; 8] = [0xff; 8];

/// A digest of what was sent.
pub(super) type Payload = [u8; 32];

/// The digests that what was sent may be known by, its own first: that of the contract that reads
/// it and what was agreed for its click. Another version names other things, and so makes another
/// digest of the same words; what its sender has tried before was read by any version of the
/// reader's since the click, or by what was agreed alone.
pub(super) fn digests(
    (setup, click_id): (&Setup, ClickId),
    (reader, contract): (Option<&Integration>, &Contract),
    agreed: Option<&Contract>,
    sent: &Pairs,
) -> Vec<Payload> {
    let since = clicked_at(click_id);
    let versions = reader.into_iter().flat_map(|one| setup.integration_since(one.id, since));
    let spoken = versions.flat_map(|one| {
        let in_sunset = one.in_sunset(since).map(|one| (one.version, &one.contract));
        std::iter::once((one.version, &one.contract)).chain(in_sunset)
    });
    let spoken: BTreeMap<u32, &Contract> = spoken.collect();
    let others = spoken.into_values().chain(agreed).filter(|one| *one != contract);
    let mut all = Vec::with_capacity(1);
    for one in std::iter::once(contract).chain(others) {
        let payload = digest([one, agreed.unwrap_or(one)], sent);
        if !all.contains(&payload) {
            all.push(payload);
        }
    }
    all
}

/// The digest of what was sent, whatever the order: without the click id, which stands beside it
/// in every key, without secrets, and without the time, which some senders set anew for each try.
/// Nor does it cover what whoever saw one signed request could add to it: a header that is not
/// signed, and what nobody reads in the URL beside a signed body, or anywhere beside signed fields.
/// `docs/chain.md` has the encoding.
fn digest(contracts: [&Contract; 2], sent: &Pairs) -> Payload {
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
    let field_lists: Vec<&Scheme> = contracts.into_iter().filter_map(enforced_fields).collect();
    let is_signed = |pair: &Pair| {
        let mut fields = field_lists.iter().flat_map(|scheme| scheme.input.fields());
        fields.any(|field| is_in(&pair.name, field))
    };
    let pairs = sent.all.iter().filter(|pair| pair.inside == Inside::Left);
    let is_added = |pair: &Pair| {
        is_body_signed && pair.is_in_url || !field_lists.is_empty() && !is_signed(pair)
    };
    let pairs = pairs.filter(|pair| !is_added(pair) || is_read(pair));
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

/// The scheme of a signature over fields. One that is only tried keeps nobody from other words.
fn enforced_fields(contract: &Contract) -> Option<&Scheme> {
    let rules = &contract.verification;
    let scheme = rules.signature.as_ref().filter(|_| rules.enforces(ProofKind::Signature))?;
    matches!(scheme.input, Input::Fields { .. }).then_some(scheme)
}

/// Whether the name is that of the field, or of what stands inside of it.
fn is_in(name: &str, field: &str) -> bool {
    name.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
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
