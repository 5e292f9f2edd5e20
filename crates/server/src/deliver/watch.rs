//! Looks at the deliveries from time to time: which alerts begin and end, and how much waits.

use super::alerts::{self, Alert, Kind, LATE_S, Seen, Standing};
use super::trouble::Trouble;
use crate::app::App;
use domain::id::DestinationId;
use domain::time::Timestamp;
use metrics::gauge;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::deliveries::Deliveries;
use tokio::sync::watch;

/// How long nothing may be looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Counting what waits takes at most one part in so many of the time: whoever reads lists waits
/// for it.
const COUNT_SHARE: u32 = 100;

/// What is known of the deliveries as a whole.
#[derive(Default)]
pub(crate) struct Watch {
    known: tokio::sync::Mutex<Known>,
    /// Since when they are closed, and why.
    closed: Mutex<Option<(Timestamp, String)>>,
    /// What goes wrong with them while they are open. What wakes whoever looks is beside it.
    pub(crate) trouble: Arc<Trouble>,
}

#[derive(Default)]
struct Known {
    standing: Standing,
    /// What waits is not counted before.
    count_at: Option<Instant>,
}

impl Watch {
    /// Until `stopped` says so.
    pub(crate) async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            app.watch.look(&app).await;
            tokio::select! {
                () = app.watch.trouble.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stopped.changed() => {}
            }
        }
    }

    /// They could not be opened.
    pub(crate) fn close(&self, why: String, now: Timestamp) {
        let mut closed = self.closed.lock().expect("no panic happens under this lock");
        let since = closed.as_ref().map_or(now, |(since, _)| *since);
        *closed = Some((since, why));
    }

    /// Every alert that holds now. Those that begin or end with it are logged.
    pub(crate) async fn look(&self, app: &App) -> Vec<Alert> {
        // Without a ledger there is neither a destination nor a delivery; that is told elsewhere.
        if !app.ledger.is_open() {
            return Vec::new();
        }
        let mut known = self.known.lock().await;
        let now = app.clock.now();
        let seen = match app.deliveries.get() {
            Some(deliveries) => {
                let seen = known.see(&**deliveries, now).await;
                seen.map_err(|error| (now, error.to_string()))
            }
            None => {
                let closed = self.closed.lock().expect("no panic happens under this lock").clone();
                Err(closed.unwrap_or_else(|| (now, "it is not open yet".to_owned())))
            }
        };
        let standing = match seen {
            Ok(seen) => {
                let setup = app.live.setup();
                let is_in_use =
                    |id: DestinationId| setup.destination(id).is_some_and(|one| !one.archived);
                count_paused(&seen, is_in_use);
                let standing = alerts::standing(&seen, is_in_use, &known.standing, now);
                match self.trouble.all() {
                    None => standing,
                    Some((since, why)) => alerts::troubled(standing, &why, &known.standing, since),
                }
            }
            Err((since, why)) => alerts::unseen(&why, &known.standing, since),
        };
        say(&known.standing, &standing);
        show(&standing);
        known.standing = standing;
        known.standing.values().cloned().collect()
    }
}

impl Known {
    #[expect(clippy::cast_precision_loss, reason = "figures for people: gauges are floats")]
    async fn see(
        &mut self,
        deliveries: &dyn Deliveries,
        now: Timestamp,
    ) -> Result<Seen, store::Error> {
        let begun = Instant::now();
        if self.count_at.is_none_or(|at| at <= begun) {
            let waiting = deliveries.waiting(now).await?;
            gauge!("counterfoil_deliveries_waiting").set(waiting.count as f64);
            gauge!("counterfoil_deliveries_due").set(waiting.due as f64);
            self.count_at = begun.checked_add(begun.elapsed() * COUNT_SHARE);
        }
        let conditions = deliveries.conditions().await?;
        Ok(Seen {
            conditions,
            late: deliveries.late(now.plus_s(-LATE_S)).await?,
            recent: deliveries.recent(now).await?,
            undecided: deliveries.undecided().await?,
        })
    }
}

/// One that is archived is sent nothing, paused or not.
#[expect(clippy::cast_precision_loss, reason = "figures for people: gauges are floats")]
fn count_paused(seen: &Seen, is_in_use: impl Fn(DestinationId) -> bool) {
    let paused = seen.conditions.iter().filter(|(id, one)| one.pause.is_some() && is_in_use(*id));
    gauge!("counterfoil_destinations_paused").set(paused.count() as f64);
}

/// Logs what is different.
fn say(before: &Standing, after: &Standing) {
    let begun = after.iter().filter(|(key, _)| !before.contains_key(key));
    for (_, Alert { kind, destination_id, since, detail }) in begun {
        let (id, said) = (destination_id.map(|id| id.0), kind.said().0);
        match kind {
            Kind::DeliveriesClosed => {
                tracing::error!(alert = kind.name(), %since, detail, "{said}");
            }
            _ => {
                tracing::warn!(alert = kind.name(), destination.id = id, %since, detail, "{said}");
            }
        }
    }
    for ((kind, id), Alert { since, .. }) in
        before.iter().filter(|(key, _)| !after.contains_key(key))
    {
        let id = id.map(|id| id.0);
        tracing::info!(alert = kind.name(), destination.id = id, %since, "{}", kind.said().1);
    }
}

/// How many there are of each kind.
fn show(standing: &Standing) {
    for kind in Kind::ALL {
        let count = standing.keys().filter(|(of, _)| *of == kind).count();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        gauge!("counterfoil_alerts", "kind" => kind.name()).set(count);
    }
}
