//! The five guides that the product is held against, each walked step by step over real HTTP.

mod clickwall;
mod kiwiwall;
mod peerclick;
mod pushground;
mod trackier;
