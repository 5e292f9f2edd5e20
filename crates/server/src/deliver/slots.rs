//! How many requests may be begun now: to one destination, at its pace, and to all together.

use domain::destination::Pace;
use domain::id::DestinationId;
use domain::time::Timestamp;
use std::collections::HashMap;

const US_PER_S: i64 = 1_000_000;
/// What was not used of a rate is kept for so long.
const BURST_US: i64 = US_PER_S / 10;

/// What is under way.
#[derive(Debug)]
pub(crate) struct Slots {
    concurrency: u32,
    all: u32,
    destinations: HashMap<DestinationId, Own>,
}

#[derive(Clone, Copy, Debug)]
struct Own {
    under_way: u32,
    /// When the next may begin, where there is a rate: each moves it on.
    next_at: Timestamp,
}

impl Slots {
    /// So many at once, to all together.
    pub(crate) fn new(concurrency: u32) -> Self {
        Self { concurrency, all: 0, destinations: HashMap::new() }
    }

    /// How many may begin. To one that is paused, one is sent to see whether it is back.
    pub(crate) fn room(
        &self,
        id: DestinationId,
        pace: Pace,
        is_paused: bool,
        now: Timestamp,
    ) -> u32 {
        let own = self.destinations.get(&id);
        let under_way = own.map_or(0, |own| own.under_way);
        let at_once = if is_paused { 1 } else { pace.concurrency };
        let room = at_once.saturating_sub(under_way).min(self.concurrency - self.all);
        let Some(interval_us) = interval_us(pace) else { return room };
        let next_at = own.map_or(now, |own| own.next_at).max(now.plus_us(-BURST_US));
        let saved_us = now.us_since(next_at);
        if saved_us < 0 {
            return 0;
        }
        let by_rate = u32::try_from(saved_us / interval_us + 1).unwrap_or(u32::MAX);
        room.min(by_rate)
    }

    /// When there is room again by the rate; where only other requests are in the way, their end
    /// says it.
    pub(crate) fn next_at(&self, id: DestinationId, now: Timestamp) -> Timestamp {
        let own = self.destinations.get(&id).map(|own| own.next_at);
        own.filter(|next_at| *next_at > now).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn begin(&mut self, id: DestinationId, pace: Pace, count: usize, now: Timestamp) {
        let count = u32::try_from(count).expect("no more than there is room for");
        if count == 0 {
            return;
        }
        let own = self.destinations.entry(id).or_insert(Own { under_way: 0, next_at: now });
        own.under_way += count;
        self.all += count;
        if let Some(interval_us) = interval_us(pace) {
            let from = own.next_at.max(now.plus_us(-BURST_US));
            own.next_at = from.plus_us(interval_us * i64::from(count));
        }
    }

    pub(crate) fn end(&mut self, id: DestinationId) {
        if let Some(own) = self.destinations.get_mut(&id) {
            own.under_way = own.under_way.saturating_sub(1);
            self.all = self.all.saturating_sub(1);
        }
    }
}

fn interval_us(pace: Pace) -> Option<i64> {
    pace.per_second.map(|rate| US_PER_S / i64::from(rate.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_s(1_800_000_000);
    const ONE: DestinationId = DestinationId(1);
    const TWO: DestinationId = DestinationId(2);

    fn pace(concurrency: u32, per_second: Option<u32>) -> Pace {
        Pace { concurrency, per_second }
    }

    #[test]
    fn there_is_room_for_so_many_at_once() {
        let mut slots = Slots::new(5);
        let four = pace(4, None);
        assert_eq!(slots.room(ONE, four, false, NOW), 4);
        slots.begin(ONE, four, 4, NOW);
        assert_eq!((slots.room(ONE, four, false, NOW), slots.room(TWO, four, false, NOW)), (0, 1));
        slots.end(ONE);
        assert_eq!((slots.room(ONE, four, false, NOW), slots.room(TWO, four, false, NOW)), (1, 2));
        // To one that is paused one is sent, and no more before that is back.
        assert_eq!((slots.room(ONE, four, true, NOW), slots.room(TWO, four, true, NOW)), (0, 1));
    }

    proptest! {
        /// Whatever is asked for and whenever, no second has more than its rate and a burst.
        #[test]
        fn a_rate_is_kept(
            rate in 1..2_000_u32,
            steps in prop::collection::vec((0..50_000_i64, 1..200_u32), 1..200),
        ) {
            let (mut slots, pace) = (Slots::new(u32::MAX), pace(100, Some(rate)));
            let (mut now, mut begun) = (NOW, 0_i64);
            for (later_us, asked) in steps {
                now = now.plus_us(later_us);
                let count = slots.room(ONE, pace, false, now).min(asked);
                slots.begin(ONE, pace, count as usize, now);
                for _ in 0..count {
                    slots.end(ONE);
                }
                begun += i64::from(count);
                let interval_us = US_PER_S / i64::from(rate);
                let most = (now.us_since(NOW) + BURST_US) / interval_us + 1;
                prop_assert!(begun <= most, "{begun} after {} us", now.us_since(NOW));
            }
        }

        /// What waits for its turn gets it.
        #[test]
        fn who_waits_gets_its_turn(rate in 1..2_000_u32) {
            let (mut slots, pace) = (Slots::new(10), pace(10, Some(rate)));
            let mut now = NOW;
            for _ in 0..20 {
                let room = slots.room(ONE, pace, false, now);
                if room == 0 {
                    now = slots.next_at(ONE, now);
                    prop_assert!(slots.room(ONE, pace, false, now) > 0);
                }
                let room = slots.room(ONE, pace, false, now);
                slots.begin(ONE, pace, room as usize, now);
                for _ in 0..room {
                    slots.end(ONE);
                }
            }
        }
    }
}
