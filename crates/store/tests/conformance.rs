//! What every store must do, whatever it keeps its rows in.
//!
//! A test takes a fresh store from [`world::World`] and speaks to it through the trait alone.
//! What only one store has (files, triggers, schemas) is tested beside that store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance {
    pub(crate) mod agreements;
    pub(crate) mod backfills;
    pub(crate) mod decisions;
    pub(crate) mod deliveries;
    pub(crate) mod once_more;
    pub(crate) mod replay;
    pub(crate) mod secrets;
    pub(crate) mod sqlite;
    pub(crate) mod world;
}
