//! Macros: `{name}` in what we send visitors to, and those that others forgot to fill in.
//!
//! Every delimiter but our own single braces passes through untouched, and so does every name we
//! do not know: it may be meant for the next one in the chain.

mod landing;
mod nearest;
mod template;
mod unreplaced;

pub use landing::{LandingError, LandingUrl, PARAMS_BYTES_MAX, URL_BYTES_MAX};
pub use nearest::{nearest, nearest_in_words, nearest_to_any};
pub use template::{Macro, Template, Value};
pub(crate) use template::{encode, is_unreserved};
pub(crate) use unreplaced::is_instruction;
pub use unreplaced::{is_unreplaced, macros_in};
