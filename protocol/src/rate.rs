//! How often something may be asked for, or told of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Timestamp;

/// How often something may be done: so many at once, and then one every so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    /// In microseconds: there may be thousands in a second.
    every: u64,
}

impl Rate {
    /// `burst` at once, then one `every` so often.
    pub fn new(burst: u32, every: Duration) -> Self {
        Self { burst: burst.max(1), every: u64::try_from(every.as_micros()).unwrap_or(u64::MAX).max(1) }
    }

    /// So many in each second, and twice as many at once.
    pub fn per_second(count: u32) -> Self {
        let count = count.max(1);
        Self::new(count.saturating_mul(2), Duration::from_secs(1) / count)
    }

    /// So many in each minute, all of them at once if need be.
    pub fn per_minute(count: u32) -> Self {
        let count = count.max(1);
        Self::new(count, Duration::from_secs(60) / count)
    }

    /// How far a bucket may be from full.
    fn depth(self) -> u64 {
        self.every.saturating_mul(self.burst.into())
    }
}

/// Too often: how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests: wait {} s", self.secs())]
pub struct TooOften {
    /// For how long.
    pub wait: Duration,
}

impl TooOften {
    /// The same in whole seconds, at least one.
    pub fn secs(self) -> u64 {
        u64::try_from(self.wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
    }
}

/// A token bucket for each key, for a bounded number of keys.
///
/// A bucket is the moment at which it will be full again. One that is full says nothing that a new one would not say, so
/// only full ones are forgotten: nobody gets rid of his own count by bringing others into the table. Keys for which
/// there is no room share one bucket.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    most: usize,
    full_at: BTreeMap<K, u64>,
    by_time: BTreeSet<(u64, K)>,
    rest: u64,
}

impl<K: Ord + Copy> Buckets<K> {
    /// Buckets of this rate for at most so many keys.
    pub const fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, full_at: BTreeMap::new(), by_time: BTreeSet::new(), rest: 0 }
    }

    /// Counts one, if it is not too many.
    pub fn take(&mut self, key: K, now: Timestamp) -> Result<(), TooOften> {
        let now = micros(now);
        self.forget_full(now);
        let known = self.full_at.get(&key).copied();
        if known.is_none() && self.full_at.len() >= self.most {
            self.rest = next(self.rate, self.rest, now)?;
            return Ok(());
        }
        let full_at = next(self.rate, known.unwrap_or(0), now)?;
        if let Some(before) = self.full_at.insert(key, full_at) {
            self.by_time.remove(&(before, key));
        }
        self.by_time.insert((full_at, key));
        Ok(())
    }

    fn forget_full(&mut self, now: u64) {
        while let Some((full_at, key)) = self.by_time.first().copied().filter(|(full_at, _)| *full_at <= now) {
            self.by_time.remove(&(full_at, key));
            self.full_at.remove(&key);
        }
    }
}

/// When a bucket is full again that will be so at `full_at`, if one is taken from it.
fn next(rate: Rate, full_at: u64, now: u64) -> Result<u64, TooOften> {
    let next = full_at.max(now).saturating_add(rate.every);
    match next.checked_sub(now.saturating_add(rate.depth())) {
        None | Some(0) => Ok(next),
        Some(wait) => Err(TooOften { wait: Duration::from_micros(wait) }),
    }
}

fn micros(at: Timestamp) -> u64 {
    at.as_millis().saturating_mul(1000)
}

/// Keeps others from filling the disk through a log: of each, 20 lines at once, to see what is the matter, and then one a
/// second and one that says how many are missing, which is 30 MiB in a day.
#[derive(Debug)]
pub struct Hush<K> {
    lines: Buckets<K>,
    unsaid: u64,
}

impl<K: Ord + Copy> Hush<K> {
    /// Tells at most so many apart.
    pub fn new(most: usize) -> Self {
        Self { lines: Buckets::new(Rate::new(20, Duration::from_secs(1)), most), unsaid: 0 }
    }

    /// Whether one more line may be written about one of them, and how many of anybody were not since the last that was.
    pub fn allows(&mut self, who: K, now: Timestamp) -> Option<u64> {
        if self.lines.take(who, now).is_err() {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn three_then_one_a_second() -> Rate {
        Rate::new(3, Duration::from_secs(1))
    }

    #[test]
    fn a_burst_passes_and_then_one_in_its_time() {
        let mut buckets = Buckets::new(three_then_one_a_second(), 10);
        for _ in 0..3 {
            assert_eq!(buckets.take(1, at(0)), Ok(()));
        }
        assert_eq!(buckets.take(1, at(0)).unwrap_err().wait, Duration::from_secs(1));
        assert_eq!(buckets.take(1, at(400)).unwrap_err().wait, Duration::from_millis(600));
        assert_eq!(buckets.take(1, at(1000)), Ok(()));
        assert!(buckets.take(1, at(1000)).is_err());
        assert_eq!(buckets.take(2, at(1000)), Ok(()), "another's bucket is its own");
        for _ in 0..3 {
            assert_eq!(buckets.take(1, at(60_000)), Ok(()), "and full again later");
        }
        assert!(buckets.take(1, at(60_000)).is_err());
    }

    /// Count what was refused as well and this fails.
    #[test]
    fn asking_too_early_does_not_make_the_wait_longer() {
        let mut buckets = Buckets::new(three_then_one_a_second(), 10);
        for _ in 0..1000 {
            let _ = buckets.take(1, at(0));
        }
        assert_eq!(buckets.take(1, at(1000)), Ok(()));
    }

    /// Make room for a key by forgetting any other, and the second assertion fails: with two addresses more than the table
    /// holds, an attacker would begin anew each time.
    #[test]
    fn nobody_gets_rid_of_a_count_by_filling_the_table() {
        let mut buckets = Buckets::new(three_then_one_a_second(), 10);
        for _ in 0..3 {
            buckets.take(0, at(0)).unwrap();
        }
        for other in 1..10_000 {
            let _ = buckets.take(other, at(0));
        }
        assert!(buckets.take(0, at(0)).is_err());
        assert!(buckets.full_at.len() <= 10, "and the table stays as large as it may be");
        assert_eq!(buckets.full_at.len(), buckets.by_time.len());
    }

    #[test]
    fn those_for_whom_there_is_no_room_share_one_bucket_until_there_is() {
        let mut buckets = Buckets::new(three_then_one_a_second(), 1);
        buckets.take(0, at(0)).unwrap();
        for stranger in 1..=3 {
            assert_eq!(buckets.take(stranger, at(0)), Ok(()));
        }
        assert!(buckets.take(4, at(0)).is_err());
        assert_eq!(buckets.take(4, at(1000)), Ok(()), "the first one's bucket is full and forgotten");
        assert!(buckets.full_at.contains_key(&4));
    }

    #[test]
    fn a_thousand_in_a_second_are_a_thousand() {
        let mut buckets = Buckets::new(Rate::per_second(1000), 10);
        let passed = (0..10_000).filter(|it| buckets.take(1, at(it / 10)).is_ok()).count();
        assert!((2_990..=3_010).contains(&passed), "the burst and one second: {passed}");
    }

    #[test]
    fn a_flood_does_not_fill_a_log_and_how_much_is_missing_is_known() {
        let mut hush = Hush::new(1);
        let mut allowed = |from: u64| (0..1000).filter_map(|n| hush.allows((), at(from + n))).collect::<Vec<u64>>();
        assert_eq!(allowed(20_000), [0; 20]);
        assert_eq!((allowed(21_000), allowed(22_000)), (vec![980], vec![999]));
        assert_eq!(allowed(60_000).len(), 20);
    }
}
