//! Whether the process is up, whether it should get traffic, and its figures.

use super::error::RETRY_AFTER_S;
use crate::app::App;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use metrics::gauge;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long a record may wait to be applied before the server counts as behind, in seconds.
const BEHIND_S_MAX: i64 = 10;
/// The text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the journal took the last record that it was given.
#[derive(Debug, Default)]
pub(super) struct Taking {
    failed: AtomicBool,
}

impl Taking {
    /// Costs one look where nothing has changed. A change is logged once, not per request.
    pub(super) fn note(&self, is_taken: bool) {
        if self.failed.load(Ordering::Relaxed) != is_taken {
            return;
        }
        match (self.failed.swap(!is_taken, Ordering::Relaxed), is_taken) {
            (true, true) => tracing::info!("the journal takes records again"),
            (false, false) => tracing::error!("the journal does not take records"),
            _ => {}
        }
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// The process is up.
pub(super) fn alive() -> Response {
    "ok".into_response()
}

/// It takes what it is sent, and decides it soon.
pub(super) fn ready(app: &App, taking: &Taking) -> Response {
    let fault = if !app.ledger.is_open() {
        Some("the ledger is closed: visitors are redirected, postbacks are kept".to_owned())
    } else if taking.has_failed() {
        Some("the journal did not take the last record".to_owned())
    } else {
        behind_s(app)
            .filter(|seconds| *seconds > BEHIND_S_MAX)
            .map(|seconds| format!("records wait to be applied since {seconds} seconds"))
    };
    match fault {
        None => "ready".into_response(),
        Some(fault) => {
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, RETRY_AFTER_S)], fault).into_response()
        }
    }
}

/// For how long the first record that is not applied has been waiting; `None`: there is none.
fn behind_s(app: &App) -> Option<i64> {
    let position = app.progress.position();
    if position >= app.journal.next() {
        return None;
    }
    // Skipped ones and those just removed are as good as applied.
    let (header, _) = app.journal.read(position).ok().flatten()?;
    Some((app.clock.now().as_us() - header.at_us) / 1_000_000)
}

/// The figures, as Prometheus reads them.
#[expect(clippy::cast_precision_loss, reason = "figures for people: gauges are floats")]
pub(super) fn metrics(app: &App) -> Response {
    gauge!("counterfoil_ledger_open").set(if app.ledger.is_open() { 1.0 } else { 0.0 });
    gauge!("counterfoil_journal_position").set(app.journal.next().0 as f64);
    gauge!("counterfoil_applied_position").set(app.progress.position().0 as f64);
    ([(CONTENT_TYPE, TEXT_FORMAT)], app.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_tells_whether_the_journal_takes_them() {
        let taking = Taking::default();
        assert!(!taking.has_failed());
        for is_taken in [true, false, false, true, true, false] {
            taking.note(is_taken);
            assert_eq!(taking.has_failed(), !is_taken);
        }
    }
}
