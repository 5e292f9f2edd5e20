//! Tells destinations what they are owed.

mod caller;
mod guard;
