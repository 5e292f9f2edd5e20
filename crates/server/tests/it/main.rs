//! The real binary, seen from outside: every test starts a server of its own on an empty data
//! directory and speaks HTTP to it, as partners, visitors and people do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod builder;
mod client;
mod closed;
mod crash;
mod debugger;
mod described;
mod events;
mod hostile;
mod idempotency;
mod load;
mod mmdb;
mod network;
mod past;
mod paths;
mod receiver;
mod server;

mod alerts;
mod backfills;
mod contracts;
mod deliveries;
mod destinations;
mod mistakes;
mod once;
mod openapi;
mod receipts;
mod refusals;
mod rehearsals;
mod reports;
mod secrets;
mod seeds;
mod sending;
mod setup;
mod sub_labels;
mod tidy;
mod transactions;
mod triage;
mod trials;
mod visitors;
