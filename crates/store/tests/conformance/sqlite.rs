//! What the embedded store promises beyond the trait: its file guards itself.

use super::world::{Memory, World, destination, open, open_sqlite};
use domain::command::{Act, Command};
use domain::id::Position;
use domain::ledger;
use domain::record::Record;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use store::sqlite::{copy, saved_position};
use store::{Error, Store};

fn tampered(world: &World, sql: &str) -> rusqlite::Result<()> {
    Connection::open(world.dir.join("ledger.db"))?.execute_batch(sql)
}

async fn world_with_a_conversion() -> World {
    let mut world = World::new().await;
    world.done(destination("https://t.example/?{click_id}")).await;
    let click = world.click("us").await;
    world.hit(click, "click_id={click}&txn_id=1&status=pending").await;
    world.hit(click, "click_id={click}&txn_id=1&status=approved").await;
    world
}

#[tokio::test]
async fn entries_and_setup_are_never_changed_or_deleted() {
    let world = world_with_a_conversion().await;
    for sql in [
        "update entry set revenue = 0",
        "delete from entry",
        "update setup set body = '{}'",
        "delete from setup",
        "update delivery set payout = 0",
        "delete from delivery",
    ] {
        let error = tampered(&world, sql).unwrap_err().to_string();
        assert!(error.contains("never"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn verify_says_where_a_ledger_was_tampered_with() {
    let open_gate = "drop trigger entry_is_never_changed; drop trigger entry_is_never_deleted;
        drop trigger setup_is_never_changed; drop trigger delivery_is_never_changed;
        drop trigger delivery_is_never_deleted;";
    for (sql, place) in [
        ("update entry set revenue = revenue + 1 where number = 2", "entry 2"),
        ("update entry set at = at + 1 where number = 1", "entry 1"),
        ("delete from entry where number = 1", "entry 1"),
        ("delete from entry where number = 2", "state"),
        ("update conversion set paid_payout = 0", "conversion 1"),
        ("update conversion set status = 'pending'", "conversion 1"),
        ("update conversion set publisher_id = 2", "conversion 1"),
        ("delete from conversion", "conversion 1"),
        ("delete from verdict", "conversion 1"),
        ("update state set chain = zeroblob(32)", "state"),
        ("update entry set currency = '?' where number = 1", "entry 1"),
        ("update conversion set seen = x'00'", "conversion 1"),
        ("update conversion set home = 1", "conversion 1"),
        ("update setup set body = '?' where number = 1", "setup"),
        ("update entry set currency = '?' where number = 1; delete from verdict", "conversion 1"),
        ("update entry set hash = zeroblob(32) where number = 1", "entry 2"),
        ("update delivery set status = 'rejected'", "delivery 1"),
        ("update delivery set sequence = 9", "delivery 1"),
        ("update delivery set id = 7", "delivery 7"),
        ("update delivery set backfilled_at = at", "delivery 1"),
    ] {
        let world = world_with_a_conversion().await;
        tampered(&world, &format!("{open_gate} {sql}")).unwrap();
        let faults = world.store.verify().await.unwrap();
        assert_eq!(world.store.verify().await.unwrap(), faults, "{sql}: always in this order");
        assert!(faults.iter().any(|fault| fault.place == place), "{sql}: {faults:?}");
    }
}

#[tokio::test]
async fn a_ledger_of_a_later_release_or_another_journal_is_refused() {
    let world = World::new().await;
    let again = || open(&world.dir, &Memory::default(), ledger::decide).map(|_| ());
    again().unwrap();
    tampered(&world, "update state set journal_id = zeroblob(16)").unwrap();
    let error = again().unwrap_err();
    assert!(error.to_string().contains("another journal"), "{error}");
    tampered(&world, "update migration set checksum = zeroblob(32)").unwrap();
    assert!(matches!(again().unwrap_err(), Error::Corrupt { .. }));
    tampered(&world, "insert into migration values (999, 'later', x'00')").unwrap();
    assert!(matches!(again().unwrap_err(), Error::Newer(_)));
}

#[tokio::test]
async fn the_saved_position_is_read_without_a_store() {
    let world = world_with_a_conversion().await;
    let ledger = world.dir.join("ledger.db");
    let applied = world.store.position().await.unwrap();
    assert_eq!(saved_position(&ledger).unwrap(), Some(applied), "beside the server");
    let World { store, dir, _temporary, .. } = world;
    drop(store);
    assert_eq!(saved_position(&ledger).unwrap(), Some(applied));
    let none = dir.join("none.db");
    assert_eq!(saved_position(&none).unwrap(), None);
    assert!(!none.exists());
    for (bytes, is_ledger) in [(&b""[..], true), (b"something else altogether", false)] {
        std::fs::write(&none, bytes).unwrap();
        assert_eq!(saved_position(&none).is_ok(), is_ledger);
        assert_eq!(std::fs::read(&none).unwrap(), bytes);
    }
}

/// How many entries the file has, with nothing beside it.
fn entries(ledger: &Path) -> i64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let ledger = Connection::open_with_flags(ledger, flags).unwrap();
    ledger.query_row("select count(*) from entry", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_copy_is_whole_and_changes_nothing() {
    let world = world_with_a_conversion().await;
    let (ledger, copied) = (world.dir.join("ledger.db"), world.dir.join("copy.db"));
    // As a later release may have left it.
    tampered(&world, "insert into migration values (999, 'later', x'00')").unwrap();
    let before = std::fs::read(&ledger).unwrap();
    copy(&ledger, &copied).unwrap();
    assert_eq!(entries(&copied), 2);
    assert_eq!(std::fs::read(&ledger).unwrap(), before);
    assert!(copy(&ledger, &copied).is_err(), "it is there already");
    assert!(copy(&world.dir.join("none.db"), &world.dir.join("other.db")).is_err());
}

#[tokio::test]
async fn after_a_full_checkpoint_the_file_alone_holds_everything() {
    let mut world = world_with_a_conversion().await;
    let (ledger, alone) = (world.dir.join("ledger.db"), world.dir.join("alone.db"));
    let store = open_sqlite(&world.dir, &world.memory, ledger::decide).unwrap();
    let (_, click) = world.click_record("us");
    let next = Position(click.position.0 + 1);
    store.apply(&[click], &[], world.now).await.unwrap();
    std::fs::copy(&ledger, &alone).unwrap();
    assert_ne!(saved_position(&alone).unwrap(), Some(next));
    store.checkpoint_fully().await.unwrap();
    std::fs::copy(&ledger, &alone).unwrap();
    assert_eq!(saved_position(&alone).unwrap(), Some(next));
    assert_eq!(entries(&alone), 2);
}

/// Some failures let SQLite roll back by itself, others leave the transaction open.
#[tokio::test]
async fn a_batch_that_fails_half_way_leaves_nothing_and_says_why() {
    for raised in ["rollback", "abort"] {
        let mut world = world_with_a_conversion().await;
        let click = world.click("us").await;
        let (before, setup) =
            (world.store.digest().await.unwrap(), world.store.setup().await.unwrap());
        let fails = format!(
            "create trigger no_room before insert on verdict
            begin select raise({raised}, 'no room here'); end"
        );
        tampered(&world, &fails).unwrap();
        let act = Act::CreateAdvertiser { name: "Late".to_owned() };
        let command = Command { actor: "tester".to_owned(), idempotency: None, act };
        let batch = [
            world.record(Record::Command(Box::new(command))),
            world.hit_record(click, "click_id={click}"),
        ];
        for _ in 0..2 {
            let error = world.apply(&batch).await.unwrap_err();
            assert!(error.to_string().contains("no room here"), "{raised}: {error}");
            assert!(matches!(error, Error::Corrupt { .. }), "it would fail again: {error}");
            assert_eq!(world.store.setup().await.unwrap(), setup, "{raised}");
            assert_eq!(world.store.digest().await.unwrap(), before, "{raised}");
        }
        tampered(&world, "drop trigger no_room").unwrap();
        assert_eq!(world.apply(&batch).await.unwrap().len(), 2);
        let advertisers = world.store.setup().await.unwrap().advertisers.len();
        assert_eq!(advertisers, setup.advertisers.len() + 1);
        assert_eq!(world.store.verify().await.unwrap(), []);
    }
}

/// Words are for people: a release that puts them better replays an old journal all the same.
#[tokio::test]
async fn the_digest_sees_what_was_decided_and_not_how_it_is_put() {
    let mut world = world_with_a_conversion().await;
    let click = world.click("us").await;
    world.hit(click, "click_id={click}&revenue=x").await;
    world.act(Act::ArchiveCampaign { id: domain::id::CampaignId(99) }).await;
    let change = |sql: &str| {
        let connection = Connection::open(world.dir.join("ledger.db")).unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
    };
    let digest = world.store.digest().await.unwrap();
    for words in [
        "update verdict set detail = 'said otherwise' where detail is not null",
        r#"update command set outcome = replace(outcome, '"detail":"', '"detail":"Well: ')"#,
        "update verdict set decided_at = decided_at + 1",
    ] {
        change(words);
        assert_eq!(world.store.digest().await.unwrap(), digest, "{words}");
    }
    let mut digests = vec![digest];
    for meaning in [
        "update verdict set reason = 'unknown_goal' where reason is not null",
        "update verdict set parameter = 'sum' where parameter is not null",
        "update verdict set nearest = 'sum' where parameter is not null",
        "update verdict set flags = flags + 1",
        r#"update command set outcome = replace(outcome, '"code":"not', '"code":"was_not')"#,
    ] {
        change(meaning);
        let digest = world.store.digest().await.unwrap();
        assert!(!digests.contains(&digest), "{meaning}");
        digests.push(digest);
    }
}
