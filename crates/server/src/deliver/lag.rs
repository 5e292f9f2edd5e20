//! How far sending is behind, as figures.

use domain::id::DestinationId;
use domain::time::Timestamp;
use std::collections::HashMap;
use store::deliveries::{Condition, Due};

/// Of destinations that are not paused: since when the first attempt is due that has not ended.
#[expect(clippy::cast_precision_loss, reason = "figures for people: gauges are floats")]
pub(super) fn note(due: &[Due], conditions: &HashMap<DestinationId, Condition>, now: Timestamp) {
    let is_paused = |id: &DestinationId| conditions.get(id).is_some_and(|one| one.pause.is_some());
    let paused = conditions.keys().filter(|id| is_paused(id)).count();
    let sending = due.iter().filter(|one| !is_paused(&one.destination_id));
    let oldest = sending.filter_map(|one| one.first).min();
    let lag_us = oldest.map_or(0, |due_at| now.us_since(due_at).max(0));
    metrics::gauge!("counterfoil_destinations_paused").set(paused as f64);
    metrics::gauge!("counterfoil_delivery_lag_seconds").set(lag_us as f64 / 1e6);
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::deliveries::{Pause, PausedBy};

    const NOW: Timestamp = Timestamp::from_s(1_800_000_000);

    fn due(id: u32, first_s: i64) -> Due {
        Due {
            destination_id: DestinationId(id),
            first: Some(NOW.plus_s(first_s)),
            again: Some(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn only_first_attempts_at_destinations_that_are_not_paused_are_behind() {
        let pause = Pause { at: NOW, by: PausedBy::Person, why: String::new(), probe_at: None };
        let paused = Condition { pause: Some(pause), ..Condition::default() };
        let conditions = HashMap::from([(DestinationId(1), paused)]);
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        let figures = |due: &[Due]| {
            metrics::with_local_recorder(&recorder, || note(due, &conditions, NOW));
            let text = shown.render();
            let value = |name: &str| {
                let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
                lines.next().unwrap().trim().to_owned()
            };
            let names = ["counterfoil_delivery_lag_seconds", "counterfoil_destinations_paused"];
            names.map(value)
        };
        // Lag, and paused ones.
        assert_eq!(figures(&[due(1, -500), due(2, 5)]), ["0", "1"]);
        assert_eq!(figures(&[due(1, -500), due(2, -61), due(3, -7)]), ["61", "1"]);
        assert_eq!(figures(&[due(2, -60)]), ["60", "1"]);
        assert_eq!(figures(&[]), ["0", "1"]);
    }
}
