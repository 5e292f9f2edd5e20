//! The ledger as requests find it: open, or closed until it can be opened.
//!
//! While it is closed, visitors are still sent on and postbacks are still journaled; every
//! question to it is answered as unavailable, and nothing is lost by it.

use async_trait::async_trait;
use domain::click::Click;
use domain::click_id::ClickId;
use domain::destination::{Backfilled, Destination, Period};
use domain::id::{ConversionId, DeliveryId, Position, PublisherId};
use domain::ledger::{ClickEvents, Conversion, Key};
use domain::record::Stamped;
use domain::report;
use domain::setup::Setup;
use domain::time::Timestamp;
use std::sync::{Arc, OnceLock};
use store::list::{
    ConversionFilter, Fault, KeptHit, Page, StoredCommand, StoredEntry, StoredOwed, StoredVerdict,
    VerdictFilter,
};
use store::{Applied, Error, Store};

/// A store that may be opened later than the server starts.
#[derive(Default)]
pub(crate) struct Ledger(OnceLock<Arc<dyn Store>>);

impl Ledger {
    /// From now on `store` answers. It is opened once.
    pub(crate) fn open(&self, store: Arc<dyn Store>) {
        assert!(self.0.set(store).is_ok(), "a ledger is opened once");
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.get().is_some()
    }

    fn store(&self) -> Result<&dyn Store, Error> {
        let store = self.0.get().map(|store| &**store);
        store.ok_or_else(|| Error::Unavailable("the ledger is not open".to_owned()))
    }
}

#[async_trait]
impl Store for Ledger {
    async fn position(&self) -> Result<Position, Error> {
        self.store()?.position().await
    }

    async fn apply(
        &self,
        records: &[Stamped<'_>],
        quarantined: &[Position],
        decided_at: Timestamp,
    ) -> Result<Vec<Applied>, Error> {
        self.store()?.apply(records, quarantined, decided_at).await
    }

    async fn setup(&self) -> Result<Setup, Error> {
        self.store()?.setup().await
    }

    async fn click(&self, id: ClickId) -> Result<Option<(Position, Click<'static>)>, Error> {
        self.store()?.click(id).await
    }

    async fn conversion(
        &self,
        id: ConversionId,
    ) -> Result<Option<(Conversion, Vec<StoredEntry>)>, Error> {
        self.store()?.conversion(id).await
    }

    async fn conversion_by_key(&self, key: &Key) -> Result<Option<Conversion>, Error> {
        self.store()?.conversion_by_key(key).await
    }

    async fn conversions(&self, filter: &ConversionFilter) -> Result<Page<Conversion>, Error> {
        self.store()?.conversions(filter).await
    }

    async fn events(&self, id: ClickId) -> Result<Option<ClickEvents>, Error> {
        self.store()?.events(id).await
    }

    async fn owed(&self, after: DeliveryId, limit: u32) -> Result<Vec<StoredOwed>, Error> {
        self.store()?.owed(after, limit).await
    }

    async fn backfillable(
        &self,
        destination: &Destination,
        publisher: PublisherId,
        period: Period,
        at: Timestamp,
    ) -> Result<Option<Backfilled>, Error> {
        self.store()?.backfillable(destination, publisher, period, at).await
    }

    async fn verdict(&self, position: Position) -> Result<Option<StoredVerdict>, Error> {
        self.store()?.verdict(position).await
    }

    async fn verdicts(&self, filter: &VerdictFilter) -> Result<Page<StoredVerdict>, Error> {
        self.store()?.verdicts(filter).await
    }

    async fn hit(&self, position: Position) -> Result<Option<KeptHit>, Error> {
        self.store()?.hit(position).await
    }

    async fn command(&self, position: Position) -> Result<Option<StoredCommand>, Error> {
        self.store()?.command(position).await
    }

    async fn command_by_key(&self, actor: &str, key: &str) -> Result<Option<StoredCommand>, Error> {
        self.store()?.command_by_key(actor, key).await
    }

    async fn report(&self, query: &report::Query) -> Result<report::Answer, Error> {
        self.store()?.report(query).await
    }

    async fn digest(&self) -> Result<[u8; 32], Error> {
        self.store()?.digest().await
    }

    async fn verify(&self) -> Result<Vec<Fault>, Error> {
        self.store()?.verify().await
    }
}
