//! What must hold of the decision, in the field's words: one line a postback.

mod bodies;
mod clicks;
mod events;
mod identity;
mod labels;
mod manual;
mod mistakes;
mod modes;
mod money;
mod paths;
mod proofs;
mod properties;
mod reasons;
mod repeats;
mod reversals;
mod scope;
mod statuses;
mod sunset;
mod transactions;
mod triage;
pub(crate) mod world;
