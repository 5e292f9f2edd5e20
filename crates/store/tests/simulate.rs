//! A network's life, drawn from a seed: visitors, senders who repeat and contradict themselves,
//! people, clocks that jump, seals, power cuts and ledgers that lose their last moments, over the
//! real journal, facts and ledger. A model of a hundred lines says what must come of it.
//!
//! A failure names its seed. `SIMULATE_SEED=7` runs that one alone, and `SIMULATE_S=60` goes on
//! with fresh seeds for a minute.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "simulate/machine.rs"]
mod machine;
#[path = "simulate/model.rs"]
mod model;
#[path = "simulate/network.rs"]
mod network;
#[path = "simulate/told.rs"]
mod told;

use network::Network;
use std::time::{Duration, Instant};

/// How many things happen in one life.
const STEPS: usize = 400;
/// The seeds of every run.
const SEEDS: std::ops::Range<u64> = 0..12;

fn live(seed: u64) {
    let result = std::panic::catch_unwind(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut network = Network::new(seed).await;
            for _ in 0..STEPS {
                network.step().await;
            }
            network.end().await;
        });
    });
    if let Err(panic) = result {
        eprintln!("the seed was {seed}");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn whatever_happens_the_ledger_says_what_the_model_says() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("SIMULATE_SEED") {
        return live(seed);
    }
    SEEDS.for_each(live);
    let Some(seconds) = number("SIMULATE_S") else { return };
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() << 20;
    while Instant::now() < until {
        live(seed);
        seed += 1;
    }
}
