//! Secrets: used as they are, kept encrypted, and read with the right key alone.

use super::replay::panics_at_boom;
use super::world::{World, destination, open_with, secrets_key, shown};
use domain::command::Act;
use domain::destination::SIGNING;
use domain::id::{DestinationId, IntegrationId};
use domain::ledger;
use domain::secret::{Secret, SecretsKey};
use std::collections::BTreeMap;
use store::sqlite::Decide;
use store::{Error, Store};

const TOKEN: &str = "a-token-that-nobody-may-see";
const SIGNS: &str = "c2lnbnMgd2hhdCBpcyBzZW50";

/// One integration proves its senders by a token, and a destination is told with a signature.
async fn world() -> World {
    deciding_with(ledger::decide).await
}

async fn deciding_with(decide: Decide) -> World {
    let mut world = World::deciding_with(decide).await;
    let secret = |text: &str| Secret::new(text.to_owned());
    let secrets = Some(BTreeMap::from([("token".to_owned(), Some(secret(TOKEN)))]));
    let id = IntegrationId(2);
    let act = Act::ChangeIntegration { id, landing_params: None, secrets, old_secrets_until: None };
    world.done(act).await;
    let mut told = destination("https://t.example/?{click_id}");
    if let Act::CreateDestination(new) = &mut told {
        new.secrets.insert(SIGNING.to_owned(), secret(SIGNS));
    }
    world.done(told).await;
    world
}

#[tokio::test]
async fn what_is_encrypted_in_the_journal_proves_senders() {
    let mut world = world().await;
    let click = world.click("us").await;
    let mut verdicts = Vec::new();
    for token in [TOKEN, "another", ""] {
        let query = format!("click_id={{click}}&txn_id={token}&token={token}");
        verdicts.push(shown(&world.hit(click, &query).await));
    }
    let refused = "refused signature_mismatch";
    assert_eq!(verdicts, ["recorded", refused, refused]);
    let setup = world.store.setup().await.unwrap();
    let secrets = &setup.destination(DestinationId(1)).unwrap().secrets;
    assert!(secrets[SIGNING].verifies(SIGNS));
    assert_eq!(world.replayed().await, world.store.digest().await.unwrap());
}

#[tokio::test]
async fn secrets_are_known_after_a_batch_that_failed() {
    let mut world = deciding_with(panics_at_boom).await;
    let click = world.click("us").await;
    let query = |txn: &str| format!("click_id={{click}}&txn_id={txn}&token={TOKEN}");
    let boom = world.hit_record(click, &query("boom"));
    let failed = world.apply(std::slice::from_ref(&boom)).await;
    assert!(matches!(failed, Err(Error::Panicked { .. })), "{failed:?}");
    world.store.apply(std::slice::from_ref(&boom), &[boom.position], world.now).await.unwrap();
    assert_eq!(shown(&world.hit(click, &query("1")).await), "recorded");
    let setup = world.store.setup().await.unwrap();
    assert!(setup.integration(IntegrationId(2)).unwrap().secrets["token"].verifies(TOKEN));
}

#[tokio::test]
async fn no_file_shows_a_secret() {
    let world = world().await;
    let mut files = 0;
    for entry in std::fs::read_dir(&world.dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for secret in [TOKEN, SIGNS] {
                let is_shown = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!is_shown, "{secret} in {}", path.display());
            }
            files += 1;
        }
    }
    assert!(files > 0);
}

#[tokio::test]
async fn without_its_key_nothing_is_opened_or_applied() {
    let world = world().await;
    let other = || Some(SecretsKey::new([9; 32]));
    let error = open_with(other(), &world.dir, &world.memory, ledger::decide).err();
    let place = "integration 2".to_owned();
    assert!(matches!(&error, Some(Error::WrongKey { place: it }) if *it == place), "{error:?}");
    for key in [other(), None] {
        let dir = tempfile::tempdir().unwrap();
        let store = open_with(key, dir.path(), &world.memory, ledger::decide).unwrap();
        let error = store.apply(&world.records(), &[], world.now).await.unwrap_err();
        assert!(matches!(error, Error::WrongKey { .. }), "{error:?}");
        assert_eq!(store.position().await.unwrap().0, 0, "nothing of the batch was applied");
    }
}

#[tokio::test]
async fn whoever_only_looks_needs_no_key() {
    let world = world().await;
    let store = open_with(None, &world.dir, &world.memory, ledger::decide).unwrap();
    let mut setup = store.setup().await.unwrap();
    let token = |setup: &domain::setup::Setup| {
        setup.integration(IntegrationId(2)).unwrap().secrets["token"].clone()
    };
    assert!(token(&setup).is_empty());
    assert_eq!(setup.decrypt_secrets(&SecretsKey::new([9; 32])), Err("integration 2".to_owned()));
    setup.decrypt_secrets(&secrets_key()).unwrap();
    assert!(token(&setup).verifies(TOKEN));
    assert_eq!(store.digest().await.unwrap(), world.store.digest().await.unwrap());
}
