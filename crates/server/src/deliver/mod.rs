//! Tells destinations what they are owed.

mod caller;
mod guard;
mod sender;
mod slots;
