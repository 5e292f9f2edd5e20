//! The API's document and the API itself say the same.

use crate::server::PROGRAM;
use std::path::Path;
use std::process::Command;

/// What `counterfoil openapi` prints.
fn printed() -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM).arg("openapi").current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_document_in_the_repository_is_the_one_that_is_printed() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let is_the_same = std::fs::read_to_string(kept).is_ok_and(|text| text == printed());
    assert!(
        is_the_same,
        "docs/openapi.json is not what the routes say. Renew it, look at what changed, and commit \
         it with the change:\n    cargo run -- openapi > docs/openapi.json"
    );
}
