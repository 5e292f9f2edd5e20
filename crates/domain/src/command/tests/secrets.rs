//! The secrets that a contract needs, before it is activated and while it is in force.

use super::contracts::{ID, activate};
use super::*;
use crate::contract::ProofKind;

/// Accepts nothing without the token.
fn strict() -> Contract {
    let mut strict = plain();
    let token = contract("click_id! token").parameters.remove(1);
    strict.parameters.retain(|one| one.canonical != Canonical::Token);
    strict.parameters.push(token);
    strict.verification.token = Some(Canonical::Token);
    strict.verification.token_required = true;
    strict
}

/// Accepts nothing without a signature, by a secret that is written so.
fn signed(key: &str) -> Contract {
    let scheme = format!(r#"{{"algorithm":"hmac_sha1","key":"{key}","input":{{"kind":"query"}}}}"#);
    let mut signed = contract("click_id! signature=sig");
    signed.verification.signature = Some(serde_json::from_str(&scheme).unwrap());
    signed.verification.token_required = true;
    signed
}

fn set(
    world: &mut World,
    name: &str,
    secret: Option<&str>,
    old_secrets_until: Option<Timestamp>,
) -> Result<Answer, Failure> {
    let secret = secret.map(|secret| Secret::new(secret.to_owned()));
    let secrets = Some(BTreeMap::from([(name.to_owned(), secret)]));
    let (id, landing_params) = (ID, None);
    world.attempt(&Act::ChangeIntegration { id, landing_params, secrets, old_secrets_until })
}

#[test]
fn a_version_that_would_accept_nothing_is_not_activated() {
    let mut world = world();
    let guarded = strict();
    let mut tried = guarded.clone();
    tried.verification.shadow = [ProofKind::Token].into();
    for contract in [guarded, tried] {
        let number = drafted(&mut world, contract).number;
        sign(&mut world, number, &Role::ALL);
    }
    let failure = activate(&mut world, 2, Sunset::Usual).unwrap_err();
    assert_eq!(told(&failure), conflict("secret_missing"));
    let call = format!(
        r#"`token`, which is not set: set it first, with PATCH /api/v1/integrations/{ID} {{"secrets":{{"token":"…"}}}}"#
    );
    assert!(failure.detail.ends_with(&call), "{}", failure.detail);
    activate(&mut world, 3, Sunset::Usual).expect("what is only tried refuses nothing");
    set(&mut world, "token", Some("t0ken"), None).unwrap();
    activate(&mut world, 2, Sunset::Usual).unwrap();
    activate(&mut world, 1, Sunset::Usual).unwrap();
    set(&mut world, "token", None, None).unwrap();
    let back = activate(&mut world, 2, Sunset::Usual).unwrap_err();
    assert_eq!(told(&back), conflict("secret_missing"), "nor is one rolled back to");
}

#[test]
fn a_secret_on_its_way_out_is_not_enough_to_activate() {
    let mut lax = strict();
    lax.verification.token_required = false;
    let mut world = World::new(lax, LEAD);
    set(&mut world, "token", Some("t0ken"), None).unwrap();
    let until = world.now.plus_s(3_600);
    set(&mut world, "token", None, Some(until)).expect("nothing requires it");
    let number = drafted(&mut world, strict()).number;
    sign(&mut world, number, &Role::ALL);
    let failure = activate(&mut world, number, Sunset::Usual).unwrap_err();
    assert_eq!(told(&failure), conflict("secret_missing"));
    set(&mut world, "token", Some("another"), Some(until)).unwrap();
    activate(&mut world, number, Sunset::Usual).unwrap();
}

#[test]
fn a_secret_that_a_version_cannot_read_is_not_enough_to_activate() {
    let mut world = World::new(signed("text"), LEAD);
    set(&mut world, "signature", Some("s3cret!"), None).unwrap();
    let number = drafted(&mut world, signed("base64")).number;
    sign(&mut world, number, &Role::ALL);
    let failure = activate(&mut world, number, Sunset::Usual).unwrap_err();
    assert_eq!(told(&failure), conflict("secret_missing"));
    assert!(failure.detail.contains("not base64"), "{}", failure.detail);
    assert!(!failure.detail.contains("s3cret"), "{}", failure.detail);
    set(&mut world, "signature", Some("czNjcmV0"), None).expect("both can read it");
    activate(&mut world, number, Sunset::Usual).unwrap();
}

#[test]
fn a_secret_that_the_active_version_needs_is_replaced_and_not_taken_away() {
    let mut world = World::new(strict(), LEAD);
    set(&mut world, "token", None, None).expect("there is none to lose");
    set(&mut world, "token", Some("t0ken"), None).unwrap();
    let until = world.now.plus_s(3_600);
    for until in [None, Some(until)] {
        let failure = set(&mut world, "token", None, until).unwrap_err();
        assert_eq!(told(&failure), conflict_of("in_use", "secrets.token"));
    }
    set(&mut world, "token", Some("another"), None).unwrap();
    world.check("?click_id=@a&token=another -> recorded approved 0/1.75 !amount_missing");
    let mut tried = strict();
    tried.verification.shadow = [ProofKind::Token].into();
    let number = drafted(&mut world, tried).number;
    sign(&mut world, number, &Role::ALL);
    activate(&mut world, number, Sunset::Usual).unwrap();
    set(&mut world, "token", None, None).expect("what is only tried refuses nothing");
}

#[test]
fn a_secret_that_only_a_draft_can_read_replaces_none_that_the_active_version_needs() {
    let mut world = World::new(signed("base64"), LEAD);
    drafted(&mut world, signed("text"));
    set(&mut world, "signature", Some("s3cret!"), None).expect("there is none to lose");
    set(&mut world, "signature", Some("czNjcmV0"), None).unwrap();
    let failure = set(&mut world, "signature", Some("s3cret!"), None).unwrap_err();
    assert_eq!(told(&failure), invalid("secrets.signature"));
    assert!(failure.detail.contains("base64"), "{}", failure.detail);
}
