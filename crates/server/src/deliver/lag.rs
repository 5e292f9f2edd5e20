//! How far sending is behind, as a figure.

use domain::time::Timestamp;
use store::deliveries::Due;

/// Of destinations that are not paused: since when the first attempt is due that has not ended.
#[expect(clippy::cast_precision_loss, reason = "figures for people: gauges are floats")]
pub(super) fn note(due: &[Due], now: Timestamp) {
    let oldest = due.iter().filter(|one| !one.is_paused).filter_map(|one| one.first).min();
    let lag_us = oldest.map_or(0, |due_at| now.us_since(due_at).max(0));
    metrics::gauge!("counterfoil_delivery_lag_seconds").set(lag_us as f64 / 1e6);
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::DestinationId;

    const NOW: Timestamp = Timestamp::from_s(1_800_000_000);

    fn due(id: u32, first_s: i64) -> Due {
        Due {
            destination_id: DestinationId(id),
            first: Some(NOW.plus_s(first_s)),
            again: Some(Timestamp::UNIX_EPOCH),
            past: Some(Timestamp::UNIX_EPOCH),
            failures: 0,
            is_paused: id == 1,
            probe_at: None,
        }
    }

    #[test]
    fn only_first_attempts_at_destinations_that_are_not_paused_are_behind() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        let lag = |due: &[Due]| {
            metrics::with_local_recorder(&recorder, || note(due, NOW));
            let text = shown.render();
            let name = "counterfoil_delivery_lag_seconds";
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
            lines.next().unwrap().trim().to_owned()
        };
        assert_eq!(lag(&[due(1, -500), due(2, 5)]), "0");
        assert_eq!(lag(&[due(1, -500), due(2, -61), due(3, -7)]), "61");
        assert_eq!(lag(&[due(2, -60)]), "60");
        assert_eq!(lag(&[]), "0");
    }
}
