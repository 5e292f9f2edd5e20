//! The figures this server keeps of its own work, by name: what `/metrics` shows.
//!
//! Handles are made once, so that counting is one addition. Labels come from closed sets: nothing
//! a sender writes can become one.

use crate::deliver::Kind;
use crate::ingest::CAUSES;
use anyhow::Context;
use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge};
use metrics::{describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of every duration, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5];

/// Makes metrics go to the handle that is returned. Once in a process.
pub(crate) fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .context("the buckets are no buckets")?
        .install_recorder()
        .context("metrics are kept already")?;
    describe();
    register();
    Ok(handle)
}

/// What counts bad days, which are seldom: an alarm on an increase needs a figure to rise from.
const SELDOM: [&str; 6] = [
    "counterfoil_apply_failures_total",
    "counterfoil_seal_failures_total",
    "counterfoil_quarantined_total",
    "counterfoil_panics_total",
    "counterfoil_hits_late_total",
    "counterfoil_requests_unavailable_total",
];

fn register() {
    for name in SELDOM {
        drop(counter!(name));
    }
    for cause in CAUSES {
        drop(counter!("counterfoil_refused_records_total", "cause" => cause));
    }
    for kind in Kind::ALL {
        drop(gauge!("counterfoil_alerts", "kind" => kind.name()));
    }
}

fn describe() {
    describe_counter!("counterfoil_clicks_total", "Clicks, by what became of them");
    describe_histogram!("counterfoil_click_seconds", "From a click's request to its answer");
    describe_counter!("counterfoil_labels_dropped_total", "Click parameters that did not read");
    describe_counter!("counterfoil_hits_total", "Decided hits, by verdict and reason");
    describe_counter!("counterfoil_ring_hits_total", "Hits that were not journaled, by reason");
    describe_counter!("counterfoil_hits_late_total", "Hits answered before they were decided");
    describe_histogram!("counterfoil_hit_seconds", "From a postback's request to its answer");
    describe_counter!("counterfoil_refused_records_total", "Records not journaled, by cause");
    describe_gauge!("counterfoil_connections_open", "Open connections");
    describe_counter!("counterfoil_connections_total", "Connections accepted");
    describe_counter!("counterfoil_connections_refused_total", "Connections over the limit");
    describe_counter!("counterfoil_connections_slow_total", "Connections that took too long");
    describe_counter!("counterfoil_requests_refused_total", "Requests that could not be read");
    describe_counter!("counterfoil_requests_unavailable_total", "Requests answered 503");
    describe_counter!("counterfoil_apply_failures_total", "Times the ledger was not written");
    describe_counter!("counterfoil_seal_failures_total", "Times facts could not be sealed");
    describe_counter!("counterfoil_quarantined_total", "Records whose decision panicked");
    describe_counter!("counterfoil_panics_total", "Requests whose handler panicked");
    describe_gauge!("counterfoil_alerts", "Alerts that hold, by kind");
    describe_gauge!("counterfoil_deliveries_waiting", "Deliveries that are to be sent");
    describe_gauge!("counterfoil_deliveries_due", "Those of them that are due");
    describe_gauge!("counterfoil_ledger_open", "1, or 0 while the ledger cannot be opened");
    describe_gauge!("counterfoil_journal_position", "The position of the next record");
    describe_gauge!("counterfoil_applied_position", "The position of the next record to apply");
}

/// One handle for each figure that requests move.
#[derive(Clone)]
pub(super) struct Figures {
    pub(super) clicks: Clicks,
    pub(super) click_seconds: Histogram,
    pub(super) labels_dropped: Counter,
    pub(super) hits_late: Counter,
    pub(super) hit_seconds: Histogram,
    pub(super) connections_open: Gauge,
    pub(super) connections: Counter,
    pub(super) connections_refused: Counter,
    pub(super) connections_slow: Counter,
    pub(super) requests_refused: Counter,
    pub(super) panics: Counter,
}

/// A click has one outcome.
#[derive(Clone)]
pub(super) struct Clicks {
    /// Recorded, and sent on.
    pub(super) live: Counter,
    /// Recorded as a test, and sent on.
    pub(super) test: Counter,
    /// Recorded, of a campaign that is not active.
    pub(super) inactive: Counter,
    /// No such link.
    pub(super) unknown: Counter,
    /// Sent on, although the disk did not take it.
    pub(super) unrecorded: Counter,
    /// Refused, because the disk did not take it.
    pub(super) refused: Counter,
}

impl Figures {
    pub(super) fn new() -> Self {
        let clicks = |outcome| counter!("counterfoil_clicks_total", "outcome" => outcome);
        Self {
            clicks: Clicks {
                live: clicks("live"),
                test: clicks("test"),
                inactive: clicks("inactive"),
                unknown: clicks("unknown"),
                unrecorded: clicks("unrecorded"),
                refused: clicks("refused"),
            },
            click_seconds: histogram!("counterfoil_click_seconds"),
            labels_dropped: counter!("counterfoil_labels_dropped_total"),
            hits_late: counter!("counterfoil_hits_late_total"),
            hit_seconds: histogram!("counterfoil_hit_seconds"),
            connections_open: gauge!("counterfoil_connections_open"),
            connections: counter!("counterfoil_connections_total"),
            connections_refused: counter!("counterfoil_connections_refused_total"),
            connections_slow: counter!("counterfoil_connections_slow_total"),
            requests_refused: counter!("counterfoil_requests_refused_total"),
            panics: counter!("counterfoil_panics_total"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buckets_grow() {
        assert!(SECONDS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn an_alarm_has_a_figure_to_rise_from() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            register();
        });
        let text = shown.render();
        let caused = CAUSES.map(|cause| format!("_refused_records_total{{cause=\"{cause}\"}}"));
        let alerts = Kind::ALL.map(|kind| format!("_alerts{{kind=\"{}\"}}", kind.name()));
        for name in SELDOM.map(str::to_owned).iter().chain(&caused).chain(&alerts) {
            assert!(text.contains(&format!("{name} 0\n")), "{name} in {text}");
        }
    }

    #[test]
    fn every_figure_stands_in_the_operators_guide() {
        let guide = include_str!("../../../../docs/operating.md");
        let own = include_str!("figures.rs").split("mod tests").next().unwrap();
        let names = own.split('"').filter(|text| text.starts_with("counterfoil_"));
        let names: std::collections::BTreeSet<_> = names.collect();
        assert!(names.len() > 15, "{names:?}");
        for name in names {
            assert!(guide.contains(&format!("`{name}")), "{name}");
        }
    }

    #[test]
    fn what_is_counted_is_shown_by_its_name() {
        let recorder = PrometheusBuilder::new().set_buckets(&SECONDS).unwrap().build_recorder();
        let shown = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let figures = Figures::new();
            figures.clicks.live.increment(2);
            figures.click_seconds.record(0.004);
        });
        let text = shown.render();
        for line in [
            "counterfoil_clicks_total{outcome=\"live\"} 2",
            "counterfoil_clicks_total{outcome=\"refused\"} 0",
            "counterfoil_click_seconds_bucket{le=\"0.003\"} 0",
            "counterfoil_click_seconds_bucket{le=\"0.005\"} 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
