//! Upkeep goes on around what fails, and is missed when it does not.

use super::*;
use crate::keys;
use domain::click::{Click, Personal};
use domain::click_id::{Keyring, Minter};
use domain::command::{Act, Command};
use domain::conversion::Status;
use domain::destination::{Hearing, Next, Owed, OwedKind};
use domain::id::{
    CampaignId, ConversionId, DeliveryId, DestinationId, LinkId, NodeId, PublisherId,
};
use domain::money::Micros;
use domain::record::{self, Record, Stamped};
use domain::time::Timestamp;
use domain::visitor::Visitor;
use std::path::Path;
use store::deliveries::{Attempt, Fate, Incoming, PauseRule, SqliteDeliveries};
use store::disk::RealDisk;
use store::journal;
use store::list::StoredOwed;
use store::records::JournalRecords;
use store::sqlite;

/// A keeper of `clicks` clicks, each in a file of its own, on a clock that is far ahead of them.
fn keeper(dir: &Path, clicks: u32) -> Keeper {
    let config = Config::default();
    let node = NodeId::new(0).unwrap();
    let clock = Arc::new(Clock::default());
    let began_at = clock.now();
    let mut options = journal::Options::new(node, record::RULES, keys::random());
    options.segment_bytes = journal::SEGMENT_BYTES_MIN;
    let journal_clock = clock.clone();
    let now = Arc::new(move || journal_clock.now().as_us());
    let journal = Journal::open(Arc::new(RealDisk), &dir.join("journal"), options, now).unwrap();
    let journal = Arc::new(journal);
    let records = Arc::new(JournalRecords(journal.clone()));
    let facts = Arc::new(Facts::open(Arc::new(RealDisk), &dir.join("facts"), records).unwrap());
    let options = sqlite::Options {
        journal_id: journal.id(),
        keyring: Keyring::new([(0, [3; 32])]).unwrap(),
        secrets: None,
        decide: domain::ledger::decide,
    };
    let store = SqliteStore::open(&dir.join("ledger.db"), facts.clone(), options).unwrap();
    let mut minter = Minter::new(node, u64::try_from(began_at.as_ms()).unwrap());
    for number in 0..clicks {
        let click = Click {
            id: minter.next(0, LinkId(1), u64::from(number)),
            campaign_id: CampaignId(1),
            publisher_id: PublisherId(1),
            is_live: true,
            is_test: false,
            cost: None,
            external_id: Vec::new().into(),
            labels: domain::click::Labels::default(),
            personal: Personal { user_agent: "curl/8".into(), ..Personal::default() },
            visitor: Visitor::default(),
        };
        let payload = record::write(&Record::Click(click.clone()));
        let ticket =
            journal.append(record::Kind::Click, record::Kind::Click.format(), &payload).unwrap();
        facts.add_click(ticket.wait_blocking().unwrap(), began_at, &click);
        facts.seal_all().unwrap().unwrap();
    }
    clock.not_before(began_at.plus_days(i64::from(config.hits_keep_days)));
    let store = Arc::new(store);
    Keeper { facts, store, deliveries: Arc::default(), journal, clock, config }
}

/// The names of the files of clicks, in order.
fn names(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir.join("facts/click")).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_damaged_file_does_not_keep_old_personal_data() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = keeper(dir.path(), 10);
    let damaged = dir.path().join("facts/click").join(&names(dir.path())[2]);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[4..80].fill(0xff);
    std::fs::write(&damaged, bytes).unwrap();
    let (_stop, stopped) = watch::channel(false);
    let mut tasks = Tidying::default();
    keeper.tidy(&mut tasks, &stopped).await;
    assert_eq!((tasks.personal.failures, tasks.merges.failures), (0, 1));
    assert!(names(dir.path()).iter().all(|name| !name.contains("personal")));
    keeper.tidy(&mut tasks, &stopped).await;
    assert_eq!(tasks.merges.failures, 0, "it is left out");
}

/// What a destination was called at says who a visitor was, too.
#[tokio::test]
async fn old_attempts_at_deliveries_lose_what_is_personal() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = keeper(dir.path(), 1);
    let (days, now) = (i64::from(keeper.config.personal_data_days), keeper.clock.now());
    let path = dir.path().join("deliveries.db");
    let deliveries = SqliteDeliveries::open(&path, [7; 16], Timestamp::UNIX_EPOCH).unwrap();
    let ages = [(1, now.plus_days(-days - 1)), (2, now.plus_days(1 - days))];
    for (id, at) in ages {
        attempted(&deliveries, id, at).await;
    }
    let deliveries: Arc<dyn Deliveries> = Arc::new(deliveries);
    assert!(keeper.deliveries.set(deliveries.clone()).is_ok());
    let (_stop, stopped) = watch::channel(false);
    keeper.tidy(&mut Tidying::default(), &stopped).await;
    for (id, expected) in [(1, None), (2, Some("https://t.example/?ip=192.0.2.1"))] {
        let (_, attempts) = deliveries.find(DeliveryId(id)).await.unwrap().unwrap();
        assert_eq!(attempts[0].url.as_deref(), expected);
    }
}

/// Owed, and tried once, then.
async fn attempted(deliveries: &SqliteDeliveries, id: u64, at: Timestamp) {
    let owed = Owed {
        destination_id: DestinationId(1),
        conversion_id: ConversionId(id),
        sequence: 1,
        kind: OwedKind::Notice,
        status: Status::Approved,
        payout: Micros::ZERO,
        difference: Micros::ZERO,
        full_payout: Micros::ZERO,
        full_difference: Micros::ZERO,
        revenue: Micros::ZERO,
        at,
        backfilled_at: None,
    };
    let stored = StoredOwed { id: DeliveryId(id), owed };
    deliveries
        .take_over(vec![Incoming { stored, due_at: at, hearing: Hearing::default() }])
        .await
        .unwrap();
    let attempt = Attempt {
        delivery_id: DeliveryId(id),
        destination_id: DestinationId(1),
        number: 1,
        at,
        latency_ms: 1,
        method: "GET".to_owned(),
        url: "https://t.example/?ip=192.0.2.1".to_owned(),
        http_status: Some(200),
        answer: None,
        error: None,
        fate: Fate::MayHaveArrived,
        next: Next::Delivered,
    };
    let rule = PauseRule { after_failures: 10, probe_every_s: 600 };
    deliveries.settle([attempt].into(), rule).await.unwrap();
}

#[tokio::test]
async fn a_last_command_does_not_keep_the_journal_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = keeper(dir.path(), 1);
    let append = |bytes: usize| {
        let act = Act::CreateAdvertiser { name: "x".repeat(bytes) };
        let command = Command { actor: "key:1".to_owned(), idempotency: None, act };
        let record = Record::Command(Box::new(command));
        let payload = record::write(&record);
        let ticket =
            keeper.journal.append(record.kind(), record.kind().format(), &payload).unwrap();
        let (position, at) = (ticket.wait_blocking().unwrap(), keeper.clock.now());
        Stamped { position, at, rules: record::RULES, record }
    };
    let last = append(2_000);
    keeper.store.apply(std::slice::from_ref(&last), &[], last.at).await.unwrap();
    keeper.clock.not_before(last.at.plus_days(1));
    keeper.facts.seal(keeper.clock.now()).unwrap().unwrap();
    // No segment has room for both.
    append(3_000);
    assert_eq!(keeper.journal.oldest(), Position(1));
    let days = i64::from(keeper.config.journal_keep_days);
    keeper.clock.not_before(last.at.plus_days(1 + days));
    keeper.remove_journal().await.unwrap();
    assert_eq!(keeper.journal.oldest(), Position(last.position.0 + 1));
}

#[tokio::test]
async fn a_round_merges_all_there_is_to_merge() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = keeper(dir.path(), 17);
    let (_stop, stopped) = watch::channel(false);
    keeper.tidy(&mut Tidying::default(), &stopped).await;
    assert!(keeper.facts.merge().unwrap().is_none());
}

#[tokio::test]
async fn a_seal_that_fails_is_tried_ever_less_often_and_at_once_when_it_works() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = keeper(dir.path(), 1);
    let mut task = Task::new("seal");
    assert_eq!(keeper.seal(&mut task), SEAL_EVERY);
    // The journal does not have it, so it cannot be sealed.
    let long_ago = keeper.clock.now().plus_days(-1);
    keeper.facts.add_hit(keeper.journal.next(), long_ago, &domain::hit::Hit::default());
    let waits: Vec<_> = (0..12).map(|_| keeper.seal(&mut task)).collect();
    assert_eq!(waits[..3], [2, 4, 8].map(|times| SEAL_EVERY * times));
    assert_eq!(waits[11], SEAL_AGAIN_WITHIN);
    task.failures = u32::MAX;
    assert_eq!(keeper.seal(&mut task), SEAL_AGAIN_WITHIN);
    task.note(Ok::<_, String>(()));
    assert_eq!((task.failures, task.reason.as_str()), (0, ""));
}

#[tokio::test]
async fn a_panic_in_a_thread_is_said() {
    let (_stop, stopped) = watch::channel(false);
    let (sender, mut ended) = watch::channel(false);
    let thread = every("panic", &stopped, &sender, async || panic!("as it should")).unwrap();
    ended.wait_for(|ended| *ended).await.unwrap();
    assert!(thread.join().is_err());
}
