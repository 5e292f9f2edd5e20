//! Tells destinations what they are owed.

mod alerts;
mod caller;
mod guard;
mod halted;
mod idle;
mod lag;
mod names;
mod sender;
mod settling;
mod slots;
mod teller;
mod trouble;
mod watch;

pub(crate) use alerts::{Alert, Kind};
pub(crate) use caller::{Caller, FURTHER_MAX, Patience, headers};
pub(crate) use guard::Guard;
pub(crate) use halted::Halted;
pub(crate) use idle::IDLE_MAX;
pub(crate) use sender::Sender;
pub(crate) use settling::{Settling, Unsettled};
pub(crate) use slots::Slots;
pub(crate) use teller::{Called, Teller, Unmade};
pub(crate) use watch::Watch;

use crate::config::Config;
use domain::destination::Schedule;
use std::time::Duration;
use store::deliveries::PauseRule;

/// How much longer than a request may take nobody else begins the same: what the machine may be
/// held up.
const LEASE_BEYOND: Duration = Duration::from_secs(30);

/// What calls destinations, as it is configured.
pub(crate) fn caller(config: &Config) -> Caller {
    // A short one for all of it is often all that is set.
    // It ends before all of it does: then it is known that nothing was sent.
    let most_ms = config.outbound_timeout_ms - config.outbound_timeout_ms / 10;
    let connect_ms = config.outbound_connect_timeout_ms.min(most_ms);
    let patience = Patience {
        connect: Duration::from_millis(connect_ms),
        total: Duration::from_millis(config.outbound_timeout_ms),
    };
    Caller::new(Guard { allowed: config.outbound_allow.clone() }, patience)
}

/// When they are called again, as it is configured.
pub(crate) fn schedule(config: &Config) -> Schedule {
    Schedule::new(config.outbound_waits_s.clone())
}

/// When they are paused, as it is configured.
pub(crate) fn pause_rule(config: &Config) -> PauseRule {
    PauseRule {
        after_failures: config.outbound_pause_after,
        probe_every_s: config.outbound_probe_every_s,
    }
}

/// For how long an attempt is its own, as it is configured.
pub(crate) fn lease(config: &Config) -> Duration {
    Duration::from_millis(config.outbound_timeout_ms) + LEASE_BEYOND
}

/// Lets so much of the clock pass, in tests that have paused it.
#[cfg(test)]
async fn pass(time: Duration) {
    _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}
