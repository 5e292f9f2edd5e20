//! What vouches for a sender, and what comes of it.

use super::world::{GLOBAL, LEAD, OWN_ID, World, contract, partner, plain};
use crate::command::Act;
use crate::contract::{Canonical, Contract, Network, ProofKind, TxnIdAbsent};
use crate::hit::Hit;
use crate::id::{AdvertiserId, IntegrationId};
use crate::integration::Scope;
use crate::ledger::read;
use crate::reason::Verdict;
use crate::secret::Secret;
use crate::settings::{Settings, Unverified};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// printf '%s' 'user-1:2.35:s3cret' | md5sum, and the fields it is made of.
pub(super) const SIGNED: &str = "revenue=2.35&geo=user-1&sig=f43125e8ce2ceb5f608cf7d84f64d74f";
/// printf '%s' 'user-1:2.35:another' | md5sum
const RENEWED: &str = "revenue=2.35&geo=user-1&sig=3a2be4c834681bdc0e2481a9543b0941";

const ADVERTISER: Scope = Scope::Advertiser { advertiser_id: AdvertiserId(1) };

pub(super) fn signed(parameters: &str) -> Contract {
    let mut contract = contract(parameters);
    contract.verification.signature = serde_json::from_str(
        r#"{"algorithm":"md5","input":{"kind":"fields","fields":["geo","revenue","{secret}"],
            "separator":":"}}"#,
    )
    .unwrap();
    assert_eq!(contract.fault(), None);
    contract
}

fn set(world: &mut World, name: &str, secret: &str) {
    set_of(world, OWN_ID, name, secret);
}

fn set_of(world: &mut World, id: IntegrationId, name: &str, secret: &str) {
    let secret = Secret::new(secret.to_owned());
    let secrets = BTreeMap::from([(name.to_owned(), Some(secret))]);
    let act = Act::ChangeIntegration {
        id,
        landing_params: None,
        secrets: Some(secrets),
        old_secrets_until: None,
    };
    world.act(act);
}

const PARAMETERS: &str = "click_id! txn_id status goal revenue geo signature=sig";

#[test]
fn a_signature_vouches_for_its_sender() {
    let mut world = World::new(signed(PARAMETERS), LEAD);
    world.shows_unverified = true;
    world.check("?click_id=@o&revenue=1&sig=x -> recorded approved 1/1.75 !unverified");
    set(&mut world, "signature", "s3cret");
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}            -> recorded approved 2.35/1.75
        ?click_id=@a&{SIGNED}&txn_id=7   -> recorded approved 2.35/1.75
        ?click_id=@b&{SIGNED}0           -> refused signature_mismatch sig
        ?click_id=@b&{SIGNED}&geo=user-1 -> refused signature_mismatch sig
        ?click_id=@b&revenue=2.35        -> refused signature_mismatch sig
        ?click_id=@b&revenue=2.35&sig=   -> refused signature_mismatch sig
        ?click_id=@b&revenue=2&sig={{hash}} -> refused macro_not_replaced sig
        ?click_id=@b&{SIGNED}&goal={{goal}} -> refused macro_not_replaced goal
        ?click_id=nobodys&{SIGNED}       -> refused unknown_click click_id
        ?{SIGNED}                        -> refused missing_parameter click_id
        ?sig=0                           -> refused signature_mismatch sig
        "
    ));
}

#[test]
fn nothing_is_accepted_before_the_secret_that_proves_it() {
    let mut strict = signed(PARAMETERS);
    strict.verification.token_required = true;
    let mut world = World::new(strict, LEAD);
    world.check(&format!("?click_id=@a&{SIGNED} -> refused signature_mismatch sig"));
    set(&mut world, "signature", "s3cret");
    world.check(&format!("?click_id=@a&{SIGNED} -> recorded approved 2.35/1.75"));
}

#[test]
fn all_that_is_asked_for_must_hold() {
    let mut all = signed("click_id! revenue geo token signature=sig");
    all.verification.token = Some(Canonical::Token);
    all.verification.networks = vec![Network::parse("203.0.113.0/24").unwrap()];
    let mut world = World::new(all, LEAD);
    set(&mut world, "token", "t0ken");
    set(&mut world, "signature", "s3cret");
    world.shows_unverified = true;
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}&token=t0ken   -> refused source_not_allowed
        from 203.0.113.7
        ?click_id=@a&{SIGNED}&token=t0ke    -> refused signature_mismatch token
        ?click_id=@a&{SIGNED}&token=        -> refused signature_mismatch token
        ?click_id=@a&token=t0ken&sig=00     -> refused signature_mismatch geo
        ?click_id=@a&{SIGNED}&token=t0ken   -> recorded approved 2.35/1.75
        "
    ));
}

#[test]
fn a_secret_on_its_way_out_counts_until_its_end() {
    let mut world = World::new(signed(PARAMETERS), LEAD);
    set(&mut world, "signature", "s3cret");
    let in_an_hour = world.now.plus_s(3_600);
    replace(&mut world, "another", Some(in_an_hour));
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}   -> recorded approved 2.35/1.75
        ?click_id=@b&{RENEWED}  -> recorded approved 2.35/1.75
        wait 1h
        ?click_id=@c&{SIGNED}   -> refused signature_mismatch sig
        ?click_id=@c&{RENEWED}  -> recorded approved 2.35/1.75
        "
    ));
    let in_an_hour = world.now.plus_s(3_600);
    replace(&mut world, "s3cret", Some(in_an_hour));
    world.check(&format!("?click_id=@d&{RENEWED} -> recorded approved 2.35/1.75"));
    // Whoever replaces a secret that has leaked names no end.
    replace(&mut world, "s3cret", None);
    world.check(&format!("?click_id=@e&{RENEWED} -> refused signature_mismatch sig"));
}

fn replace(world: &mut World, secret: &str, old_secrets_until: Option<Timestamp>) {
    let secret = Secret::new(secret.to_owned());
    let secrets = Some(BTreeMap::from([("signature".to_owned(), Some(secret))]));
    let act =
        Act::ChangeIntegration { id: OWN_ID, landing_params: None, secrets, old_secrets_until };
    world.act(act);
}

#[test]
fn a_header_is_none_of_the_parameters_and_a_parameter_no_header() {
    let mut by_header = signed("click_id! revenue geo signature=X-Sig conversion_ref=ref");
    for place in [3, 4] {
        by_header.parameters[place].in_header = true;
    }
    let mut world = World::new(by_header, LEAD);
    set(&mut world, "signature", "s3cret");
    let fields = "revenue=2.35&geo=user-1";
    let signature = "f43125e8ce2ceb5f608cf7d84f64d74f";
    world.check(&format!(
        "?click_id=@a&{fields}&X-Sig={signature} -> refused signature_mismatch X-Sig ~X-Sig"
    ));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let bare = world.hit(&format!("?click_id=@a&{fields}&ref=1"));
    let headers = vec![header("x-sig", signature), header("revenue", "9"), header("click_id", "9")];
    let hit = Hit { headers, ..bare.clone() };
    let reading = read(&world.setup, &super::world::keyring(), &hit, world.now).reading;
    assert_eq!(reading.unread, ["ref"], "headers that nobody asked for are not listed");
    assert_eq!(reading.result.unwrap().conversion_ref(), None);
    let decision = world.receive(&hit);
    assert_eq!(decision.verdict, Verdict::Recorded, "{decision:?}");
    assert_eq!(world.total(), "2.35/1.75");
    let twice = vec![header("x-sig", signature), header("x-sig", signature)];
    let decision = world.receive(&Hit { headers: twice, ..bare });
    assert_eq!(decision.verdict, Verdict::Refused);
}

#[test]
fn a_shadow_refuses_nothing_and_says_what_it_would() {
    let mut tried = signed("click_id! txn_id revenue geo token! timestamp! signature=sig");
    tried.verification.shadow = ProofKind::ALL.into();
    tried.verification.token = Some(Canonical::Token);
    tried.verification.timestamp_tolerance_s = Some(300);
    tried.verification.networks = vec![Network::parse("203.0.113.0/24").unwrap()];
    let mut world = World::new(tried, LEAD);
    set(&mut world, "token", "t0ken");
    set(&mut world, "signature", "s3cret");
    world.shows_unverified = true;
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}&token=t0ken&timestamp=@now -> recorded approved 2.35/1.75 !unverified !shadow_refused
        from 203.0.113.7
        ?click_id=@b&{SIGNED}&token=t0ken&timestamp=@now -> recorded approved 2.35/1.75
        ?click_id=@c&{SIGNED}&token=t&timestamp=@now     -> recorded approved 2.35/1.75 !unverified !shadow_refused
        ?click_id=@d&{SIGNED}&timestamp=@now             -> recorded approved 2.35/1.75 !unverified !shadow_refused
        ?click_id=@e&{SIGNED}&token={{t}}&timestamp=@now -> recorded approved 2.35/1.75 !unverified !shadow_refused
        ?click_id=@f&{SIGNED}0&token=t0ken&timestamp=@now -> recorded approved 2.35/1.75 !unverified !shadow_refused
        ?click_id=@g&{SIGNED}&token=t0ken&timestamp=7    -> recorded approved 2.35/1.75 !unverified !shadow_refused
        ?click_id=@g&{SIGNED}&token=t&timestamp=@now     -> duplicate already_processed !unverified !shadow_refused
        ?click_id=@h&token=t0ken&timestamp=x             -> recorded approved 0/1.75 !amount_missing !unverified !shadow_refused
        "
    ));
    let hit = world.hit(&format!("?click_id=@i&{SIGNED}0&token=t0ken&timestamp=@now"));
    let decision = world.receive(&hit);
    assert_eq!(decision.detail.as_deref(), Some("`sig` is not written as the contract says"));
    assert_eq!(decision.reason, None);
}

/// A version that adds a signature to try it asks for the token as the one before it did.
#[test]
fn a_proof_that_is_only_tried_suspends_no_other() {
    let mut tried = signed("click_id! txn_id revenue geo token timestamp! signature=sig");
    tried.verification.shadow = [ProofKind::Signature, ProofKind::Timestamp].into();
    tried.verification.token = Some(Canonical::Token);
    tried.verification.timestamp_tolerance_s = Some(300);
    assert_eq!(tried.fault(), None);
    let mut world = World::new(tried, LEAD);
    set(&mut world, "token", "t0ken");
    set(&mut world, "signature", "s3cret");
    world.shows_unverified = true;
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}&token=t0ken&timestamp=@now  -> recorded approved 2.35/1.75
        ?click_id=@b&{SIGNED}0&token=t0ken&timestamp=@now -> recorded approved 2.35/1.75 !shadow_refused
        ?click_id=@c&{SIGNED}&token=t0ken&timestamp=7     -> recorded approved 2.35/1.75 !shadow_refused
        ?click_id=@d&{SIGNED}&token=t0ken                 -> recorded approved 2.35/1.75 !shadow_refused
        ?click_id=@e&{SIGNED}&token=t&timestamp=@now      -> refused signature_mismatch token
        ?click_id=@e&{SIGNED}&timestamp=@now              -> refused signature_mismatch token
        "
    ));
}

/// An integration of the advertiser that asks for a token, and has it.
fn guard(world: &mut World) {
    let mut guarded = contract("click_id! revenue token");
    guarded.verification.token = Some(Canonical::Token);
    speak(world, "guarded", guarded);
    world.integration(ADVERTISER, "guarded", "adv", "t0ken");
}

/// Another partner for the catalogue.
fn speak(world: &mut World, name: &str, contract: Contract) {
    let partners = vec![partner(name, contract)];
    world.act(Act::LoadCatalogue { partners, key: "unused".to_owned() });
}

/// All of its proofs are tried alone, and one of them fails: nothing vouches for it.
#[test]
fn what_a_stale_time_leaves_unverified_is_judged_so() {
    let mut tried = contract("click_id! revenue token timestamp!");
    tried.verification.token = Some(Canonical::Token);
    tried.verification.timestamp_tolerance_s = Some(300);
    tried.verification.shadow = [ProofKind::Token, ProofKind::Timestamp].into();
    for (unverified, outcome) in [
        (Unverified::Allow, "recorded approved 2/1.75 !unverified !shadow_refused"),
        (Unverified::Pending, "recorded pending 0/0 !unverified !shadow_refused"),
        (Unverified::Refuse, "refused signature_mismatch"),
    ] {
        let mut world = World::new(tried.clone(), LEAD);
        set(&mut world, "token", "t0ken");
        world.shows_unverified = true;
        world.act(Act::SetSettings { settings: Settings { unverified } });
        world.check(&format!(
            "
            ?click_id=@a&revenue=2&token=t0ken&timestamp=7    -> {outcome}
            ?click_id=@b&revenue=2&token=t0ken&timestamp=x    -> {outcome}
            ?click_id=@d&revenue=2&token=t0ken                -> {outcome}
            ?click_id=@c&revenue=2&token=t0ken&timestamp=@now -> recorded approved 2/1.75
            "
        ));
    }
}

/// What is enforced vouches whatever becomes of what is only tried; a token that nobody has set is
/// not enforced yet.
#[test]
fn a_token_that_nobody_has_set_does_not_vouch_for_a_stale_time() {
    let mut tried = signed("click_id! revenue geo token timestamp! signature=sig");
    tried.verification.token = Some(Canonical::Token);
    tried.verification.timestamp_tolerance_s = Some(300);
    tried.verification.shadow = [ProofKind::Signature, ProofKind::Timestamp].into();
    let mut world = World::new(tried, LEAD);
    set(&mut world, "signature", "s3cret");
    world.shows_unverified = true;
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}&timestamp=@now -> recorded approved 2.35/1.75
        ?click_id=@b&{SIGNED}&timestamp=7    -> recorded approved 2.35/1.75 !unverified !shadow_refused
        "
    ));
}

/// The campaign's own integration is a shadow; the call comes by the global key.
#[test]
fn a_shadow_beside_the_reader_lets_nobody_pass_and_nobody_fail() {
    let mut tried = signed(PARAMETERS);
    tried.verification.shadow = [ProofKind::Signature].into();
    let mut world = World::new(tried, LEAD);
    set(&mut world, "signature", "s3cret");
    world.shows_unverified = true;
    world.check(&format!(
        "
        /postback/{GLOBAL}?click_id=@a&{SIGNED}   -> recorded approved 2.35/1.75
        /postback/{GLOBAL}?click_id=@b&revenue=1  -> recorded approved 1/1.75 !unverified !shadow_refused
        "
    ));
    guard(&mut world);
    world.check(&format!(
        "
        /postback/{GLOBAL}?click_id=@c&{SIGNED}             -> refused signature_mismatch token
        /postback/{GLOBAL}?click_id=@c&{SIGNED}&token=t0ken -> recorded approved 2.35/1.75
        /postback/{GLOBAL}?click_id=@d&revenue=1&token=t0ken -> recorded approved 1/1.75 !shadow_refused
        "
    ));
}

/// A token that nobody has set, and a signature that is only tried.
fn unset_and_tried() -> Contract {
    let mut tried = signed("click_id! txn_id revenue geo token signature=sig");
    tried.verification.token = Some(Canonical::Token);
    tried.verification.shadow = [ProofKind::Signature].into();
    tried
}

#[test]
fn a_nearer_integration_that_nobody_can_fail_hides_no_other() {
    let mut world = World::new(unset_and_tried(), LEAD);
    guard(&mut world);
    world.shows_unverified = true;
    let bare =
        format!("/postback/{GLOBAL}?click_id=@a&revenue=9 -> refused signature_mismatch token");
    world.check(&bare);
    // So that it can be tried.
    set(&mut world, "signature", "s3cret");
    world.check(&bare);
    world.check(&format!(
        "
        /postback/{GLOBAL}?click_id=@b&revenue=1&token=t0ken -> recorded approved 1/1.75 !shadow_refused
        /postback/{GLOBAL}?click_id=@c&{SIGNED}&token=t0ken  -> recorded approved 2.35/1.75
        "
    ));
}

/// One of those at a level must be satisfied; whoever asks for nothing yet satisfies for nobody.
#[test]
fn a_neighbour_that_nobody_can_fail_satisfies_for_nobody() {
    let mut world = World::new(contract("click_id! revenue"), LEAD);
    guard(&mut world);
    speak(&mut world, "tried", unset_and_tried());
    world.integration(ADVERTISER, "tried", "adv-tried", "");
    let bare =
        format!("/postback/{GLOBAL}?click_id=@a&revenue=9 -> refused signature_mismatch token");
    world.check(&bare);
    let id = world.setup.integration_by_key("adv-tried").unwrap().id;
    set_of(&mut world, id, "signature", "s3cret");
    world.check(&bare);
}

fn timed() -> Contract {
    let mut timed = contract("click_id! revenue token timestamp!=ts");
    timed.verification.token = Some(Canonical::Token);
    timed.verification.timestamp_tolerance_s = Some(300);
    timed
}

#[test]
fn a_time_that_a_nearer_integration_asks_for_is_not_passed_by() {
    let mut world = World::new(timed(), LEAD);
    set(&mut world, "token", "t0ken");
    world.shows_unverified = true;
    let sent = "revenue=9&token=t0ken";
    world.check(&format!(
        "
        ?click_id=@a&{sent}&ts=7                      -> refused stale_timestamp ts
        /postback/{GLOBAL}?click_id=@a&{sent}&ts=7    -> refused stale_timestamp ts
        /postback/{GLOBAL}?click_id=@a&{sent}         -> refused missing_parameter ts
        /postback/{GLOBAL}?click_id=@a&{sent}&ts=     -> refused missing_parameter ts
        /postback/{GLOBAL}?click_id=@a&{sent}&timestam=7 -> refused missing_parameter ts ~timestam
        /postback/{GLOBAL}?click_id=@a&{sent}&ts=x    -> refused invalid_payload ts
        /postback/{GLOBAL}?click_id=@a&{sent}&ts={{t}} -> refused macro_not_replaced ts
        /postback/{GLOBAL}?click_id=@a&revenue=9&ts=7 -> refused signature_mismatch token
        /postback/{GLOBAL}?click_id=@a&{sent}&ts=@now -> recorded approved 9/1.75
        /postback/{GLOBAL}?click_id=@a&{sent}&ts=7    -> duplicate already_processed
        "
    ));
}

#[test]
fn a_time_that_a_nearer_integration_only_tries_is_noted() {
    let mut tried = timed();
    tried.verification.shadow = [ProofKind::Timestamp].into();
    let mut world = World::new(tried.clone(), LEAD);
    set(&mut world, "token", "t0ken");
    world.shows_unverified = true;
    let sent = "revenue=9&token=t0ken";
    world.check(&format!(
        "
        /postback/{GLOBAL}?click_id=@a&{sent}&ts=7    -> recorded approved 9/1.75 !shadow_refused
        /postback/{GLOBAL}?click_id=@b&{sent}         -> recorded approved 9/1.75 !shadow_refused
        /postback/{GLOBAL}?click_id=@c&{sent}&ts=x    -> recorded approved 9/1.75 !shadow_refused
        /postback/{GLOBAL}?click_id=@d&{sent}&ts=@now -> recorded approved 9/1.75
        "
    ));
    // Where nothing is enforced, what is tried vouches only where all of it holds.
    for shadow in [&[ProofKind::Token][..], &[ProofKind::Token, ProofKind::Timestamp]] {
        tried.verification.shadow = shadow.iter().copied().collect();
        let mut world = World::new(tried.clone(), LEAD);
        set(&mut world, "token", "t0ken");
        world.shows_unverified = true;
        world.check(&format!(
            "
            /postback/{GLOBAL}?click_id=@a&{sent}&ts=7    -> recorded approved 9/1.75 !unverified !shadow_refused
            /postback/{GLOBAL}?click_id=@b&{sent}         -> recorded approved 9/1.75 !unverified !shadow_refused
            /postback/{GLOBAL}?click_id=@c&{sent}&ts=@now -> recorded approved 9/1.75
            "
        ));
    }
}

/// One of those at a level must be satisfied, its time included.
#[test]
fn a_neighbour_satisfies_in_place_of_one_whose_time_is_over() {
    for order in [["timed", "guarded"], ["guarded", "timed"]] {
        let mut world = World::new(contract("click_id! revenue"), LEAD);
        let mut guarded = contract("click_id! revenue token=other");
        guarded.verification.token = Some(Canonical::Token);
        speak(&mut world, "guarded", guarded);
        speak(&mut world, "timed", timed());
        for name in order {
            world.integration(ADVERTISER, name, name, "t0ken");
        }
        world.shows_unverified = true;
        world.check(&format!(
            "
            /postback/{GLOBAL}?click_id=@a&token=t0ken&ts=7             -> refused stale_timestamp ts
            /postback/{GLOBAL}?click_id=@a&token=t0ken&ts=7&other=no    -> refused stale_timestamp ts
            /postback/{GLOBAL}?click_id=@a&token=t0ken&ts=7&other=t0ken -> recorded approved 0/1.75 !amount_missing
            "
        ));
    }
}

#[test]
fn an_integration_without_secrets_asks_for_none() {
    let mut world = World::new(plain(), LEAD);
    let failure = world.attempt(&Act::ChangeIntegration {
        id: OWN_ID,
        landing_params: None,
        secrets: Some(BTreeMap::from([(
            "signature".to_owned(),
            Some(Secret::new("x".to_owned())),
        )])),
        old_secrets_until: None,
    });
    assert_eq!(failure.unwrap_err().parameter.as_deref(), Some("secrets.signature"));
}

/// Whoever saw one signed request adds a parameter that nobody reads, and would be paid again.
#[test]
fn what_is_not_among_the_signed_fields_tells_nothing_apart() {
    let mut fields = signed("click_id! txn_id revenue geo sub1 signature=sig");
    fields.txn_id_absent = TxnIdAbsent::Payload;
    let mut world = World::new(fields.clone(), LEAD);
    set(&mut world, "signature", "s3cret");
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}      -> recorded approved 2.35/1.75
        ?click_id=@a&{SIGNED}&n=1  -> duplicate already_processed
        "
    ));
    // What is read tells them apart, and so does all of it where the signature is only tried.
    world.check(&format!(
        "?click_id=@a&{SIGNED}&sub1=x -> recorded approved 2.35/1.75 !sent_value_differs"
    ));
    fields.verification.shadow = [ProofKind::Signature].into();
    let mut world = World::new(fields, LEAD);
    set(&mut world, "signature", "s3cret");
    world.check(&format!(
        "
        ?click_id=@a&{SIGNED}      -> recorded approved 2.35/1.75
        ?click_id=@a&{SIGNED}&n=1  -> recorded approved 2.35/1.75
        "
    ));
}

#[test]
fn a_signed_field_that_nobody_reads_tells_one_from_another() {
    let mut fields = contract("click_id! txn_id revenue signature=sig");
    fields.verification.signature = serde_json::from_str(
        r#"{"algorithm":"md5","input":{"kind":"fields","fields":["user","revenue","{secret}"],
            "separator":":"}}"#,
    )
    .unwrap();
    fields.txn_id_absent = TxnIdAbsent::Payload;
    let mut world = World::new(fields, LEAD);
    world.check(
        "
        ?click_id=@a&revenue=2&user=1        -> recorded approved 2/1.75
        ?click_id=@a&revenue=2&user=1&n=1    -> duplicate already_processed
        ?click_id=@a&revenue=2&user=2        -> recorded approved 2/1.75
        ",
    );
}
