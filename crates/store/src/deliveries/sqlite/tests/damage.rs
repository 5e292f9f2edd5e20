//! What is damaged is called by the name of its file: whoever reads it moves that one away.

use super::*;

fn said<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn is_of_this_file(said: &str) -> bool {
    said.starts_with("deliveries.db is damaged: ")
}

#[tokio::test]
async fn damage_that_is_met_is_said_to_be_of_this_file() {
    let mut queue = Queue::new();
    queue.take("1/1 notice approved 2", ONE).await;
    let connection = Connection::open(queue.dir.path().join(FILE)).unwrap();
    connection.execute("update delivery set state = 'lost'", []).unwrap();
    let found = said(queue.deliveries.find(DeliveryId(1)).await);
    assert!(is_of_this_file(&found) && found.contains("column state: `lost`"), "{found}");
    connection.execute("drop table outcome", []).unwrap();
    let settled = queue.deliveries.settle([].into(), RULE).await;
    assert_eq!(said(settled), "nothing");
    let attempt = queue.attempt(1, 1, Next::Delivered);
    let settled = said(queue.deliveries.settle([attempt].into(), RULE).await);
    assert!(is_of_this_file(&settled), "{settled}");
    let recent = said(queue.deliveries.recent(NOW).await);
    assert!(is_of_this_file(&recent), "{recent}");
}

#[test]
fn damage_is_said_to_be_of_this_file_where_it_does_not_open_or_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    drop(SqliteDeliveries::open(&path, [7; 16], NOW).unwrap());
    let mut torn = std::fs::read(&path).unwrap();
    torn[100..9_000].fill(0xff);
    for bytes in [b"no database at all".repeat(1_000), torn] {
        std::fs::write(&path, bytes).unwrap();
        let opened = said(SqliteDeliveries::open(&path, [7; 16], NOW));
        assert!(is_of_this_file(&opened), "{opened}");
        let copied = said(copy(&path, &dir.path().join("copy.db")));
        assert!(is_of_this_file(&copied), "{copied}");
    }
}
