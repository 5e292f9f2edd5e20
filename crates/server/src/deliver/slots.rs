//! How many requests may be begun now: to one destination, at its pace, and to all together.
//!
//! Nobody takes what others need. Further attempts take half of the places at the most, so that
//! first ones find one; half of the places are for those who have none yet, so that those who
//! answer slowly hold up nobody else; who has failed lately gets fewer, so that those who do not
//! answer hold few places until they are paused.

use domain::destination::Pace;
use domain::id::DestinationId;
use domain::time::Timestamp;
use std::collections::HashMap;
use store::deliveries::Lane;

const US_PER_S: i64 = 1_000_000;
/// What was not used of a rate is kept for so long.
const BURST_US: i64 = US_PER_S / 10;

/// What is under way.
#[derive(Debug)]
pub(crate) struct Slots {
    concurrency: u32,
    all: UnderWay,
    /// How many of them are not their destination's only one.
    beyond_one: u32,
    destinations: HashMap<DestinationId, Own>,
}

#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    count: u32,
    /// How many of them are no first attempts.
    again: u32,
}

#[derive(Clone, Copy, Debug)]
struct Own {
    under_way: UnderWay,
    /// When the next may begin, where there is a rate: each moves it on.
    next_at: Timestamp,
}

/// For whom there is to be room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) id: DestinationId,
    pub(crate) lane: Lane,
    pub(crate) pace: Pace,
    /// How often it has failed since it last did not.
    pub(crate) failures: u32,
    /// One is sent to see whether it is back.
    pub(crate) is_paused: bool,
    pub(crate) now: Timestamp,
}

impl UnderWay {
    /// How many more there may be of so many.
    fn room(self, concurrency: u32, lane: Lane) -> u32 {
        let room = concurrency.saturating_sub(self.count);
        match lane {
            Lane::First => room,
            Lane::Again | Lane::Past => {
                room.min((concurrency / 2).max(1).saturating_sub(self.again))
            }
        }
    }

    fn begin(&mut self, lane: Lane) {
        self.count += 1;
        self.again += u32::from(lane != Lane::First);
    }

    fn end(&mut self, lane: Lane) {
        self.count = self.count.saturating_sub(1);
        self.again = self.again.saturating_sub(u32::from(lane != Lane::First));
    }
}

impl Slots {
    /// So many at once, to all together.
    pub(crate) fn new(concurrency: u32) -> Self {
        let all = UnderWay::default();
        Self { concurrency, all, beyond_one: 0, destinations: HashMap::new() }
    }

    /// How many may begin. Each failure halves how many may be under way, down to one.
    pub(crate) fn room(&self, asked: Asked) -> u32 {
        let Asked { id, lane, pace, failures, is_paused, now } = asked;
        let own = self.destinations.get(&id);
        let under_way = own.map(|own| own.under_way).unwrap_or_default();
        let at_once = match is_paused {
            true => 1,
            false => pace.concurrency.checked_shr(failures).unwrap_or(0).max(1),
        };
        let room = under_way
            .room(at_once, lane)
            .min(self.all.room(self.concurrency, lane))
            .min(self.share(under_way));
        let Some(interval_us) = interval_us(pace) else { return room };
        let next_at = own.map_or(now, |own| own.next_at).max(now.plus_us(-BURST_US));
        let saved_us = now.us_since(next_at);
        if saved_us < 0 {
            return 0;
        }
        let by_rate = u32::try_from(saved_us / interval_us + 1).unwrap_or(u32::MAX);
        room.min(by_rate)
    }

    /// How many more one may have that has so many: as long as fewer destinations than half of the
    /// places have anything under way, each finds a place for its first.
    fn share(&self, own: UnderWay) -> u32 {
        let reserve = self.concurrency / 2;
        let left = (self.concurrency - reserve).saturating_sub(self.beyond_one);
        left + u32::from(own.count == 0)
    }

    /// When there is room again by the rate; where only other requests are in the way, their end
    /// says it.
    pub(crate) fn next_at(&self, id: DestinationId, now: Timestamp) -> Timestamp {
        let own = self.destinations.get(&id).map(|own| own.next_at);
        own.filter(|next_at| *next_at > now).unwrap_or(Timestamp::MAX)
    }

    /// Another one begins.
    pub(crate) fn begin(&mut self, asked: Asked) {
        let Asked { id, lane, pace, now, .. } = asked;
        let new = Own { under_way: UnderWay::default(), next_at: now };
        let own = self.destinations.entry(id).or_insert(new);
        self.beyond_one += u32::from(own.under_way.count > 0);
        own.under_way.begin(lane);
        self.all.begin(lane);
        if let Some(interval_us) = interval_us(pace) {
            own.next_at = own.next_at.max(now.plus_us(-BURST_US)).plus_us(interval_us);
        }
    }

    pub(crate) fn end(&mut self, id: DestinationId, lane: Lane) {
        if let Some(own) = self.destinations.get_mut(&id) {
            let is_beyond_one = own.under_way.count > 1;
            self.beyond_one = self.beyond_one.saturating_sub(u32::from(is_beyond_one));
            own.under_way.end(lane);
            self.all.end(lane);
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

    fn asked(id: DestinationId, concurrency: u32, per_second: Option<u32>) -> Asked {
        let pace = Pace { concurrency, per_second };
        Asked { id, lane: Lane::First, pace, failures: 0, is_paused: false, now: NOW }
    }

    fn begin(slots: &mut Slots, asked: Asked, count: u32) {
        for _ in 0..count {
            slots.begin(asked);
        }
    }

    #[test]
    fn there_is_room_for_so_many_at_once() {
        let mut slots = Slots::new(5);
        let (one, two) = (asked(ONE, 4, None), asked(TWO, 4, None));
        assert_eq!(slots.room(one), 4);
        begin(&mut slots, one, 4);
        assert_eq!((slots.room(one), slots.room(two)), (0, 1));
        slots.end(ONE, Lane::First);
        assert_eq!((slots.room(one), slots.room(two)), (1, 2));
        let paused = |asked| Asked { is_paused: true, ..asked };
        assert_eq!((slots.room(paused(one)), slots.room(paused(two))), (0, 1));
    }

    #[test]
    fn further_attempts_leave_room_for_first_ones() {
        let mut slots = Slots::new(9);
        let again = |asked| Asked { lane: Lane::Again, ..asked };
        let (one, two) = (asked(ONE, 6, None), asked(TWO, 6, None));
        assert_eq!(slots.room(again(one)), 3);
        begin(&mut slots, again(one), 3);
        assert_eq!((slots.room(again(one)), slots.room(one)), (0, 3));
        assert_eq!((slots.room(again(two)), slots.room(two)), (1, 4), "4 of all 9");
        begin(&mut slots, again(two), 1);
        assert_eq!((slots.room(again(two)), slots.room(two)), (0, 3));
        slots.end(ONE, Lane::Again);
        assert_eq!((slots.room(again(two)), slots.room(again(one))), (1, 1));
        let alone = Asked { id: DestinationId(3), ..asked(ONE, 1, None) };
        assert_eq!(slots.room(again(alone)), 1, "who takes one at a time is tried again, too");
    }

    #[test]
    fn those_who_answer_slowly_leave_places_for_everybody_else() {
        let mut slots = Slots::new(256);
        for id in 1..=100 {
            let one = asked(DestinationId(id), 8, None);
            let room = slots.room(one);
            assert!(room > 0, "{id} finds none");
            begin(&mut slots, one, room);
        }
        // Who has one may have another when one of those ends.
        let last = asked(DestinationId(100), 8, None);
        assert_eq!(slots.room(last), 0);
        slots.end(ONE, Lane::First);
        assert_eq!(slots.room(last), 1);
    }

    #[test]
    fn who_keeps_failing_gets_fewer() {
        let slots = Slots::new(100);
        let room = |failures| slots.room(Asked { failures, ..asked(ONE, 8, None) });
        assert_eq!([0, 1, 2, 3, 4, 31, 32, u32::MAX].map(room), [8, 4, 2, 1, 1, 1, 1, 1]);
    }

    proptest! {
        /// Whatever is asked for and whenever, no second has more than its rate and a burst.
        #[test]
        fn a_rate_is_kept(
            rate in 1..2_000_u32,
            steps in prop::collection::vec((0..50_000_i64, 1..200_u32), 1..200),
        ) {
            let mut slots = Slots::new(u32::MAX);
            let mut one = asked(ONE, 100, Some(rate));
            let mut begun = 0_i64;
            for (later_us, wanted) in steps {
                one.now = one.now.plus_us(later_us);
                let count = slots.room(one).min(wanted);
                begin(&mut slots, one, count);
                for _ in 0..count {
                    slots.end(ONE, Lane::First);
                }
                begun += i64::from(count);
                let interval_us = US_PER_S / i64::from(rate);
                let passed_us = one.now.us_since(NOW);
                let most = (passed_us + BURST_US) / interval_us + 1;
                prop_assert!(begun <= most, "{begun} after {passed_us} us");
            }
        }

        /// What waits for its turn gets it.
        #[test]
        fn who_waits_gets_its_turn(rate in 1..2_000_u32) {
            let mut slots = Slots::new(10);
            let mut one = asked(ONE, 10, Some(rate));
            for _ in 0..20 {
                if slots.room(one) == 0 {
                    one.now = slots.next_at(ONE, one.now);
                    prop_assert!(slots.room(one) > 0);
                }
                let room = slots.room(one);
                begin(&mut slots, one, room);
                for _ in 0..room {
                    slots.end(ONE, Lane::First);
                }
            }
        }

        /// However attempts come and go, who has none under way finds a place, as long as fewer
        /// than half as many destinations as there are places have any.
        #[test]
        fn who_has_none_finds_a_place(
            concurrency in 2..40_u32,
            steps in prop::collection::vec((any::<u32>(), 1..50_u32, any::<bool>()), 1..200),
        ) {
            let mut slots = Slots::new(concurrency);
            let mut under_way = Vec::new();
            for (id, wanted, is_end) in steps {
                let one = asked(DestinationId(id % (concurrency / 2)), 50, None);
                if is_end && !under_way.is_empty() {
                    let ended = wanted as usize % under_way.len();
                    slots.end(under_way.swap_remove(ended), Lane::First);
                } else {
                    let count = slots.room(one).min(wanted);
                    begin(&mut slots, one, count);
                    under_way.extend((0..count).map(|_| one.id));
                }
                for id in (0..concurrency / 2).map(DestinationId) {
                    let has_none = !under_way.contains(&id);
                    prop_assert!(!has_none || slots.room(asked(id, 1, None)) == 1, "{under_way:?}");
                }
            }
        }

        /// However attempts come and go, none holds a place after all have ended.
        #[test]
        fn every_place_is_given_back(
            steps in prop::collection::vec((1..4_u32, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let mut slots = Slots::new(6);
            let mut under_way = Vec::new();
            for (id, is_again, is_end) in steps {
                let lane = if is_again { Lane::Again } else { Lane::First };
                let one = Asked { lane, ..asked(DestinationId(id), 4, None) };
                if is_end {
                    if let Some((id, lane)) = under_way.pop() {
                        slots.end(id, lane);
                    }
                } else if slots.room(one) > 0 {
                    slots.begin(one);
                    under_way.push((one.id, one.lane));
                }
                prop_assert!(under_way.len() <= 6);
                let again = under_way.iter().filter(|(_, lane)| *lane == Lane::Again).count();
                prop_assert!(again <= 3, "{again} further attempts");
            }
            for (id, lane) in under_way {
                slots.end(id, lane);
            }
            for id in 1..4 {
                prop_assert_eq!(slots.room(asked(DestinationId(id), 4, None)), 4);
            }
        }
    }
}
