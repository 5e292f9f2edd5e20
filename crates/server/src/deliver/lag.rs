//! How far sending is behind, as figures and, when it begins and ends to be much, in the log.

use domain::id::DestinationId;
use domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use store::deliveries::{Condition, Due};

/// A first attempt that is due for longer is too late, in seconds.
const LATE_S: i64 = 60;

/// What has been said of it.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    is_late: AtomicBool,
}

impl Lag {
    /// Of destinations that are not paused: since when the first attempt is due that has not ended.
    #[expect(clippy::cast_precision_loss, reason = "figures for people: gauges are floats")]
    pub(super) fn note(
        &self,
        due: &[Due],
        conditions: &HashMap<DestinationId, Condition>,
        now: Timestamp,
    ) {
        let is_paused =
            |id: &DestinationId| conditions.get(id).is_some_and(|one| one.pause.is_some());
        let paused = conditions.keys().filter(|id| is_paused(id)).count();
        let sending = due.iter().filter(|one| !is_paused(&one.destination_id));
        let oldest = sending.filter_map(|one| Some((one.first?, one.destination_id))).min();
        let lag_us = oldest.map_or(0, |(due_at, _)| now.us_since(due_at).max(0));
        metrics::gauge!("counterfoil_destinations_paused").set(paused as f64);
        metrics::gauge!("counterfoil_delivery_lag_seconds").set(lag_us as f64 / 1e6);
        let is_late = lag_us > LATE_S * 1_000_000;
        if self.is_late.swap(is_late, Ordering::Relaxed) == is_late {
            return;
        }
        match oldest.filter(|_| is_late) {
            Some((_, id)) => {
                tracing::warn!(destination.id = id.0, "first attempts are over a minute late");
            }
            None => tracing::info!("first attempts are in time again"),
        }
    }
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
    fn only_first_attempts_at_destinations_that_are_not_paused_can_be_late() {
        let pause = Pause { at: NOW, by: PausedBy::Person, why: String::new(), probe_at: None };
        let paused = Condition { pause: Some(pause), ..Condition::default() };
        let conditions = HashMap::from([(DestinationId(1), paused)]);
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let shown = recorder.handle();
        let lag = Lag::default();
        let figures = |due: &[Due]| {
            metrics::with_local_recorder(&recorder, || lag.note(due, &conditions, NOW));
            let text = shown.render();
            let value = |name: &str| {
                let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
                lines.next().unwrap().trim().to_owned()
            };
            let names = ["counterfoil_delivery_lag_seconds", "counterfoil_destinations_paused"];
            let mut values = names.map(value).to_vec();
            values.push(lag.is_late.load(Ordering::Relaxed).to_string());
            values
        };
        // Lag, paused ones, and whether it is late.
        assert_eq!(figures(&[due(1, -500), due(2, 5)]), ["0", "1", "false"]);
        assert_eq!(figures(&[due(1, -500), due(2, -61), due(3, -7)]), ["61", "1", "true"]);
        assert_eq!(figures(&[due(2, -60)]), ["60", "1", "false"]);
        assert_eq!(figures(&[]), ["0", "1", "false"]);
    }
}
