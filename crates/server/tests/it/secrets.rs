//! Secrets of integrations and destinations: used, never shown, and on disk only encrypted.

use crate::deliveries::Scene;
use serde_json::json;
use std::path::{Path, PathBuf};

const TOKEN: &str = "t0ken-that-senders-know";
const ACCOUNT_KEY: &str = "k3y/of the account";
const SIGNING: &str = "c2VjcmV0LW9mLXRoZS1zaWduYXR1cmVz";

/// A campaign whose sender has a token, and a destination with a key and a signature.
fn scene() -> Scene {
    let mut scene = Scene::start(&[]);
    let integration = scene.integration();
    scene.network.set_token(integration, "an earlier one");
    scene.network.set_token(integration, TOKEN);
    let secrets = json!({ "secrets": { "key": ACCOUNT_KEY }, "secret": SIGNING });
    scene.destination("/told?c={external_id}&k={account.key}", &secrets);
    scene
}

/// Every file below, but for the keys.
fn files(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            all.push(path);
        } else if !path.ends_with("keys") {
            files(&path, all);
        }
    }
}

#[test]
fn secrets_are_on_disk_only_encrypted_and_work_after_a_restart() {
    let mut scene = scene();
    for _ in 0..2 {
        assert!(scene.network.server.stop().success());
        let mut all = Vec::new();
        files(&scene.network.server.data(), &mut all);
        let names: Vec<_> = all.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        for name in ["ledger.db", "deliveries.db", "setup.json"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        for path in &all {
            let bytes = std::fs::read(path).unwrap();
            for secret in [TOKEN, "an earlier one", ACCOUNT_KEY, SIGNING] {
                let is_there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!is_there, "{secret} is in {}", path.display());
            }
        }
        scene.network.server.restart();
        scene.network.client = scene.network.server.client();
    }
    let click = scene.click("ext-1");
    let refused = scene.answer_to(&click, "an earlier one");
    assert_eq!(refused["reason"], "signature_mismatch");
    assert_eq!(scene.answer_to(&click, TOKEN)["verdict"], "recorded");
    let told = scene.receiver.hears(1).remove(0);
    assert_eq!(told.target, "/told?c=ext-1&k=k3y%2Fof%20the%20account");
    assert!(told.header("webhook-signature").starts_with("v1,"));
}

#[test]
fn without_the_key_of_the_secrets_nothing_starts() {
    let mut scene = scene();
    let server = &mut scene.network.server;
    assert!(server.stop().success());
    let key = server.data().join("keys/secrets.key");
    let (kept, other) = (std::fs::read_to_string(&key).unwrap(), "7".repeat(64));
    std::fs::write(&key, other).unwrap();
    for (command, place) in [("serve", "integration 2"), ("verify", "integration 2")] {
        let output = server.run(&[command]);
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("keys/secrets.key") && said.contains(place), "{said}");
        assert!(!said.contains(TOKEN) && !said.contains(&"7".repeat(64)), "{said}");
    }
    std::fs::write(&key, kept).unwrap();
    server.restart();
}

#[test]
fn a_key_that_is_lost_is_not_replaced_by_another_in_silence() {
    let mut scene = scene();
    let server = &mut scene.network.server;
    assert!(server.stop().success());
    let key = server.data().join("keys/secrets.key");
    let kept = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let verified = server.run(&["verify"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    assert!(!key.exists(), "whoever looks changes nothing");
    for _ in 0..2 {
        assert_eq!(server.run(&["serve"]).status.code(), Some(1));
    }
    std::fs::write(&key, kept).unwrap();
    server.restart();
    assert!(server.stop().success());
    assert!(server.run(&["verify"]).status.success());
}
