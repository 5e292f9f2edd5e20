//! When something is tried again, and what an answer leads to.

use crate::id::DeliveryId;
use crate::outbound::{Outbound, Verdict};
use crate::time::Timestamp;
use sha2::{Digest, Sha256};

/// Seconds from one attempt to the next: after the last there is none.
pub const WAITS_S: [u32; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Each wait is up to so many percent shorter or longer, so that what failed together does not
/// come back together.
pub const JITTER_PERCENT: u32 = 20;
/// No `Retry-After` is followed for longer, in seconds.
pub const RETRY_AFTER_S_MAX: u32 = 86_400;

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    Answered {
        status: u16,
        body: &'a [u8],
        retry_after_s: Option<u32>,
    },
    /// There was none: no connection, no time left, nothing that reads.
    None,
}

/// What it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// It was received, and nothing says whether it counted.
    Unverified,
    /// The answer is no, and would be no again.
    Rejected,
    /// The last attempt has failed.
    Exhausted,
    Again {
        at: Timestamp,
    },
}

/// The waits between attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    waits_s: Vec<u32>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { waits_s: WAITS_S.to_vec() }
    }
}

impl Schedule {
    pub fn new(waits_s: Vec<u32>) -> Self {
        Self { waits_s }
    }

    /// What attempt number `attempt`, from 1 on, has led to.
    pub fn next(
        &self,
        outbound: &Outbound,
        answer: Answer<'_>,
        tries: (DeliveryId, u32),
        now: Timestamp,
    ) -> Next {
        let retry_after_s = match answer {
            Answer::None => None,
            Answer::Answered { status, body, retry_after_s } => {
                match outbound.verdict_of(status, body) {
                    Verdict::Delivered => return Next::Delivered,
                    Verdict::Unverified => return Next::Unverified,
                    Verdict::Rejected if !may_change(status) => return Next::Rejected,
                    Verdict::Rejected => retry_after_s,
                }
            }
        };
        self.again(tries, retry_after_s, now)
    }

    /// What one that came to nothing has led to.
    pub fn failed(&self, tries: (DeliveryId, u32), now: Timestamp) -> Next {
        self.again(tries, None, now)
    }

    fn again(
        &self,
        (id, attempt): (DeliveryId, u32),
        retry_after_s: Option<u32>,
        now: Timestamp,
    ) -> Next {
        let wait = attempt.checked_sub(1).and_then(|past| self.waits_s.get(past as usize));
        let Some(wait_s) = wait else { return Next::Exhausted };
        let wait_ms = i64::from(*wait_s) * i64::from(1_000 + jitter(id, attempt));
        let asked_ms = i64::from(retry_after_s.unwrap_or(0).min(RETRY_AFTER_S_MAX)) * 1_000;
        Next::Again { at: now.plus_ms(wait_ms.max(asked_ms)) }
    }
}

/// Whether the same request may be answered otherwise later, by the status of its answer.
fn may_change(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

/// In thousandths; of one attempt always the same.
fn jitter(id: DeliveryId, attempt: u32) -> i32 {
    let mut hash = Sha256::new_with_prefix(b"counterfoil jitter 1");
    hash.update(id.0.to_be_bytes());
    hash.update(attempt.to_be_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let number = u32::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"));
    let span = JITTER_PERCENT * 10;
    i32::try_from(number % (2 * span + 1)).expect("it is small") - span.cast_signed()
}
