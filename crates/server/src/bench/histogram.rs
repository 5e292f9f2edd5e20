//! A histogram of latencies whose buckets are less than one percent wide.
//!
//! Each power of two is divided into as many buckets as the first ones have nanoseconds, so a
//! record costs a few instructions and no memory, and no percentile is off by more than a bucket.

use std::time::Duration;

/// Each power of two has 2 to this many buckets.
const PRECISION_BITS: u32 = 7;
const BUCKETS_EACH: u64 = 1 << PRECISION_BITS;
/// What takes longer than 2 to this many nanoseconds, some 18 minutes, counts as that.
const LONGEST_BITS: u32 = 40;
const BUCKETS: usize = ((LONGEST_BITS - PRECISION_BITS + 1) as usize) << PRECISION_BITS;

/// How long things took.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    longest_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, longest_ns: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.longest_ns = self.longest_ns.max(ns);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += others;
        }
        self.count += other.count;
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What `per_mille` of a thousand stayed within: 500 is the median, 999 is p99.9. Zero where
    /// nothing was recorded.
    pub(crate) fn within(&self, per_mille: u64) -> Duration {
        let wanted = (self.count * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (place, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_end(place).min(self.longest_ns));
            }
        }
        Duration::ZERO
    }
}

fn bucket(ns: u64) -> usize {
    let ns = ns.min((1 << LONGEST_BITS) - 1);
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
    let place = u64::from(shift) * BUCKETS_EACH + (ns >> shift);
    usize::try_from(place).expect("there are a few thousand buckets")
}

/// The longest time that falls into a bucket, in nanoseconds.
fn upper_end(place: usize) -> u64 {
    let place = place as u64;
    let shift = (place / BUCKETS_EACH).saturating_sub(1);
    let within = place - shift * BUCKETS_EACH;
    ((within + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(ns: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        for ns in ns {
            histogram.record(Duration::from_nanos(ns));
        }
        histogram
    }

    #[test]
    fn percentiles_of_a_thousand_different_times() {
        let histogram = of((1..=1_000).map(|us| us * 1_000));
        let within = |per_mille| histogram.within(per_mille).as_nanos();
        for (per_mille, exact) in [(500, 500_000), (990, 990_000), (999, 999_000)] {
            let off = within(per_mille) - exact;
            assert!(off * 100 < exact, "{per_mille}: {} is {off} more", within(per_mille));
        }
        assert_eq!(within(1_000), 1_000_000, "no more than the longest");
    }

    #[test]
    fn nothing_recorded_is_no_time() {
        assert_eq!(Histogram::default().within(999), Duration::ZERO);
    }

    #[test]
    fn one_slow_answer_in_a_thousand_is_p999_and_not_p99() {
        let histogram = of([1_000; 998].into_iter().chain([5_000_000; 2]));
        assert!(histogram.within(990) < Duration::from_micros(2));
        assert_eq!(histogram.within(999), Duration::from_millis(5));
    }

    #[test]
    fn what_is_merged_is_as_if_recorded_in_one() {
        let mut halves = of(1..500);
        halves.merge(&of(500..1_000_000));
        let whole = of(1..1_000_000);
        assert_eq!(halves.buckets, whole.buckets);
        assert_eq!((halves.count(), halves.within(1_000)), (whole.count(), whole.within(1_000)));
    }

    #[test]
    fn what_takes_for_ever_is_the_last_bucket() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket((1 << LONGEST_BITS) - 1), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_bucket_is_less_than_one_percent_wide(ns in 0..(1_u64 << LONGEST_BITS)) {
            let upper = upper_end(bucket(ns));
            prop_assert!(upper >= ns);
            prop_assert!((upper - ns) * 100 <= ns, "{} is {}", ns, upper);
            prop_assert!(bucket(upper) == bucket(ns) && bucket(upper + 1) != bucket(ns)
                || upper + 1 == 1 << LONGEST_BITS);
        }
    }
}
