//! A hit: one request to a postback endpoint, kept byte for byte.
//!
//! Nothing in it has been judged: it is read through a contract later, and can be read again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Request targets above this are answered 414 and are no hit.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;
/// Bodies above this are answered 413 and are no hit.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// One request. `Authorization` and `Cookie` headers are never kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query as they were sent.
    pub target: Vec<u8>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    /// The client's address: the one that connected, or the one a trusted proxy names.
    pub peer: Option<IpAddr>,
    /// `X-Forwarded-For` as it was sent.
    pub forwarded: Option<String>,
    /// The headers that a contract names, in lower case, in the order they were sent.
    pub headers: Vec<(String, String)>,
    /// Scheme and host that the sender called, where a contract signs the whole URL; else empty.
    pub base: String,
    /// Drawn for this hit: the ledger commits to a digest that cannot be guessed from the
    /// request, and that means nothing any more once the salt is removed with the request.
    pub salt: [u8; 16],
}

impl Hit {
    /// What the ledger's chain commits to: SHA-256 over the salt and every part of the request,
    /// each preceded by its length. `docs/chain.md` has the encoding.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let has_more = !self.headers.is_empty() || !self.base.is_empty();
        hash.update(if has_more { b"counterfoil hit 2" } else { b"counterfoil hit 1" });
        hash.update(self.salt);
        let peer = self.peer.map(|peer| peer.to_string()).unwrap_or_default();
        let own: [&[u8]; 6] = [
            self.method.as_bytes(),
            &self.target,
            self.content_type.as_deref().unwrap_or_default().as_bytes(),
            &self.body,
            peer.as_bytes(),
            self.forwarded.as_deref().unwrap_or_default().as_bytes(),
        ];
        let headers = self.headers.iter();
        let headers = headers.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let more = has_more.then_some(self.base.as_bytes()).into_iter().chain(headers);
        for part in own.into_iter().chain(more) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// The path, without the query.
    pub fn path(&self) -> &[u8] {
        self.target.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// The query, without its `?`; empty where there is none.
    pub fn query(&self) -> &[u8] {
        match self.target.iter().position(|byte| *byte == b'?') {
            Some(place) => &self.target[place + 1..],
            None => &[],
        }
    }
}
