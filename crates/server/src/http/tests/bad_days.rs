//! Bad days: a disk that is full, and a ledger that does not get on.

use super::postback::{click, key, receipt};
use super::{PATIENCE, Reply, Rig, TOKEN};
use async_trait::async_trait;
use domain::click::Click;
use domain::click_id::ClickId;
use domain::destination::{Backfilled, Destination, Period};
use domain::id::{ConversionId, DeliveryId, Position, PublisherId};
use domain::ledger::{ClickEvents, Conversion, Key};
use domain::record::{Record, Stamped};
use domain::report;
use domain::setup::Setup;
use domain::time::Timestamp;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use store::disk::{Disk, File, Lock, RealDisk};
use store::list::{
    ConversionFilter, Fault, KeptHit, Page, StoredCommand, StoredEntry, StoredOwed, StoredVerdict,
    VerdictFilter,
};
use store::{Applied, Error, Store};
use tokio::sync::watch;

const ADMIN_KEY: &str = "k3y";

/// The machine's own disk, which is full when it is told so.
#[derive(Clone, Default)]
struct Filling(Arc<AtomicBool>);

impl Filling {
    fn set_full(&self, is_full: bool) {
        self.0.store(is_full, Ordering::SeqCst);
    }

    fn file(&self, file: io::Result<Box<dyn File>>) -> io::Result<Box<dyn File>> {
        Ok(Box::new(FillingFile { file: file?, is_full: self.0.clone() }))
    }
}

impl Disk for Filling {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(RealDisk.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.file(RealDisk.open(path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        RealDisk.open_read(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        RealDisk.lock(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        if self.0.load(Ordering::SeqCst) { Ok(0) } else { RealDisk.free_bytes(dir) }
    }
}

struct FillingFile {
    file: Box<dyn File>,
    is_full: Arc<AtomicBool>,
}

impl File for FillingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// A store that applies nothing while it is told so, and may have no decision on a hit.
struct Stalling {
    store: Arc<dyn Store>,
    stalls: watch::Receiver<bool>,
    panics: bool,
    /// It does not find clicks.
    is_blind: bool,
}

#[async_trait]
impl Store for Stalling {
    async fn apply(
        &self,
        records: &[Stamped<'_>],
        quarantined: &[Position],
        decided_at: Timestamp,
    ) -> Result<Vec<Applied>, Error> {
        _ = self.stalls.clone().wait_for(|stalls| !stalls).await;
        let is_hit = |one: &&Stamped<'_>| matches!(one.record, Record::Hit(_));
        let panics = |one: &&Stamped<'_>| self.panics && !quarantined.contains(&one.position);
        if let Some(one) = records.iter().filter(is_hit).find(panics) {
            let detail = "it was told to".to_owned();
            return Err(Error::Panicked { position: one.position, detail });
        }
        self.store.apply(records, quarantined, decided_at).await
    }

    async fn position(&self) -> Result<Position, Error> {
        self.store.position().await
    }

    async fn setup(&self) -> Result<Setup, Error> {
        self.store.setup().await
    }

    async fn click(&self, id: ClickId) -> Result<Option<(Position, Click<'static>)>, Error> {
        if self.is_blind {
            return Err(Error::Unavailable("it was told to".to_owned()));
        }
        self.store.click(id).await
    }

    async fn conversion(
        &self,
        id: ConversionId,
    ) -> Result<Option<(Conversion, Vec<StoredEntry>)>, Error> {
        self.store.conversion(id).await
    }

    async fn conversion_by_key(&self, key: &Key) -> Result<Option<Conversion>, Error> {
        self.store.conversion_by_key(key).await
    }

    async fn conversions(&self, filter: &ConversionFilter) -> Result<Page<Conversion>, Error> {
        self.store.conversions(filter).await
    }

    async fn events(&self, id: ClickId) -> Result<Option<ClickEvents>, Error> {
        self.store.events(id).await
    }

    async fn owed(&self, after: DeliveryId, limit: u32) -> Result<Vec<StoredOwed>, Error> {
        self.store.owed(after, limit).await
    }

    async fn backfillable(
        &self,
        destination: &Destination,
        publisher: PublisherId,
        period: Period,
        at: Timestamp,
    ) -> Result<Option<Backfilled>, Error> {
        self.store.backfillable(destination, publisher, period, at).await
    }

    async fn verdict(&self, position: Position) -> Result<Option<StoredVerdict>, Error> {
        self.store.verdict(position).await
    }

    async fn verdicts(&self, filter: &VerdictFilter) -> Result<Page<StoredVerdict>, Error> {
        self.store.verdicts(filter).await
    }

    async fn hit(&self, position: Position) -> Result<Option<KeptHit>, Error> {
        self.store.hit(position).await
    }

    async fn command(&self, position: Position) -> Result<Option<StoredCommand>, Error> {
        self.store.command(position).await
    }

    async fn command_by_key(&self, actor: &str, key: &str) -> Result<Option<StoredCommand>, Error> {
        self.store.command_by_key(actor, key).await
    }

    async fn report(&self, query: &report::Query) -> Result<report::Answer, Error> {
        self.store.report(query).await
    }

    async fn digest(&self) -> Result<[u8; 32], Error> {
        self.store.digest().await
    }

    async fn verify(&self) -> Result<Vec<Fault>, Error> {
        self.store.verify().await
    }
}

/// A call of the API.
fn api(rig: &Rig, method: &str, path: &str, body: &str) -> Reply {
    rig.ask(format!(
        "{method} /api/v1{path} HTTP/1.1\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// Asks again until it is answered so.
fn until(ask: impl Fn() -> Reply, is_it: impl Fn(&Reply) -> bool) -> Reply {
    let since = Instant::now();
    loop {
        let reply = ask();
        if is_it(&reply) {
            return reply;
        }
        assert!(since.elapsed() < PATIENCE, "{}", reply.text);
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_is_told_to_everybody_and_gone_when_there_is_room() {
    let disk = Filling::default();
    let rig = Rig::start_on(
        Arc::new(disk.clone()),
        |store| store,
        |config| config.admin_key = Some(serde_json::from_value(ADMIN_KEY.into()).unwrap()),
    );
    let target = format!("/postback/{}?click_id={}&txn_id=a", key(&rig), click(&rig));
    assert_eq!(rig.get("/readyz").status(), 200);
    disk.set_full(true);
    let before = rig.app.journal.next();
    let refused = rig.get(&target);
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("60")));
    assert_eq!(refused.header("counterfoil-receipt"), None, "it was not received");
    assert_eq!(refused.json()["retriable"], true);
    let refused = api(&rig, "POST", "/publishers", r#"{"name":"Late"}"#);
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("5")));
    assert_eq!(refused.json()["code"], "unavailable");
    assert_eq!(rig.get(&format!("/c/{TOKEN}")).status(), 302, "visitors go on");
    assert_eq!(rig.get("/readyz").status(), 503);
    assert_eq!(rig.get("/healthz").status(), 200);
    assert_eq!(rig.app.journal.next(), before);
    disk.set_full(false);
    let ready = until(|| rig.get("/readyz"), |reply| reply.status() == 200);
    assert_eq!(ready.body(), "ready", "without any other request");
    assert_eq!(rig.get(&target).json()["verdict"], "recorded");
    assert_eq!(api(&rig, "POST", "/publishers", r#"{"name":"Late"}"#).status(), 201);
}

#[test]
fn a_ledger_that_does_not_get_on_loses_nothing() {
    let (stall, stalls) = watch::channel(false);
    let rig = Rig::start_on(
        Arc::new(RealDisk),
        move |store| {
            Arc::new(Stalling { store, stalls: stalls.clone(), panics: false, is_blind: false })
        },
        |config| {
            config.answer_within_ms = 50;
            config.admin_key = Some(serde_json::from_value(ADMIN_KEY.into()).unwrap());
        },
    );
    let target = format!("/postback/{}?click_id={}&txn_id=a", key(&rig), click(&rig));
    stall.send_replace(true);
    let received = rig.get(&target);
    assert_eq!((received.status(), received.json()["http_status"].as_u64()), (202, Some(202)));
    assert_eq!(received.json()["verdict"], serde_json::Value::Null);
    let receipt = format!("/receipts/{}", receipt(&received));
    assert_eq!(rig.get(&receipt).json(), received.json());
    for question in ["/hits", "/campaigns"] {
        let behind = api(&rig, "GET", question, "");
        assert_eq!((behind.status(), behind.header("retry-after")), (503, Some("5")), "{question}");
        assert_eq!(behind.json()["code"], "not_applied_yet", "no answer without what came before");
    }
    stall.send_replace(false);
    let decided = until(|| rig.get(&receipt), |reply| !reply.json()["verdict"].is_null());
    assert_eq!(decided.json()["verdict"], "recorded");
    assert_eq!(api(&rig, "GET", "/hits", "").json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_test_click_whose_command_is_applied_is_not_called_unchanged() {
    let (_stall, stalls) = watch::channel(false);
    let rig = Rig::start_on(
        Arc::new(RealDisk),
        move |store| {
            Arc::new(Stalling { store, stalls: stalls.clone(), panics: false, is_blind: true })
        },
        |config| config.admin_key = Some(serde_json::from_value(ADMIN_KEY.into()).unwrap()),
    );
    let late = api(&rig, "POST", "/test-clicks", r#"{"link_id":1}"#);
    assert_eq!((late.status(), late.header("retry-after")), (503, Some("5")));
    assert_eq!(late.json()["code"], "not_applied_yet", "{}", late.text);
}

#[test]
fn a_quarantine_waits_for_the_disk_like_everything_else() {
    let disk = Filling::default();
    let (stall, stalls) = watch::channel(false);
    let rig = Rig::start_on(
        Arc::new(disk.clone()),
        move |store| {
            Arc::new(Stalling { store, stalls: stalls.clone(), panics: true, is_blind: false })
        },
        |config| config.answer_within_ms = 50,
    );
    let target = format!("/postback/{}?click_id={}&txn_id=a", key(&rig), click(&rig));
    stall.send_replace(true);
    let received = rig.get(&target);
    assert_eq!(received.status(), 202);
    disk.set_full(true);
    stall.send_replace(false);
    let waits = async { tokio::time::timeout(PATIENCE, rig.app.progress.waits()).await };
    let waits = rig.runtime.block_on(waits);
    assert!(waits.is_ok(), "a start would wait for it and answer nobody");
    assert_eq!(rig.get("/readyz").status(), 503);
    disk.set_full(false);
    let receipt = format!("/receipts/{}", receipt(&received));
    let parked = until(|| rig.get(&receipt), |reply| !reply.json()["verdict"].is_null());
    assert_eq!(parked.json()["verdict"], "parked");
    assert_eq!(parked.json()["reason"], "internal_error");
}
