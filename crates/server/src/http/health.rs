//! Whether the process is up, whether it should get traffic, and its figures.

use super::error::RETRY_AFTER_S;
use crate::app::App;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use metrics::gauge;

/// How long a record may wait to be applied before the server counts as behind, in seconds.
const BEHIND_S_MAX: i64 = 10;
/// The text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process is up.
pub(super) fn alive() -> Response {
    "ok".into_response()
}

/// It takes what it is sent, and decides it soon.
pub(super) fn ready(app: &App) -> Response {
    let fault = if !app.ledger.is_open() {
        Some("the ledger is closed: visitors are redirected, postbacks are kept".to_owned())
    } else if app.ingest.taking().has_refused() {
        Some("the journal has just refused a record".to_owned())
    } else {
        behind_s(app)
            .filter(|seconds| *seconds > BEHIND_S_MAX)
            .map(|seconds| format!("records wait to be applied since {seconds} seconds"))
    };
    match fault {
        // Whoever is sent to another server is not delivered to from there either.
        None if app.deliveries.get().is_none() => {
            "ready; the deliveries are closed: nothing is sent to destinations".into_response()
        }
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
