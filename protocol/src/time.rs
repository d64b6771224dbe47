//! Time as the state machines see it: a number somebody else read from a clock.

use std::time::Duration;

/// A moment on a clock that never goes back and keeps counting through suspend, in milliseconds from an arbitrary
/// origin.
///
/// Two timestamps compare only if one process read both. Nothing that crosses the wire is a `Timestamp`: deadlines
/// and leases travel as remaining time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A moment `millis` after the clock's origin.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock's origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Something that was so long ago, as of a moment: it may have been before the clock began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ago {
    /// How long.
    pub long: Duration,
    /// As of when.
    pub as_of: Timestamp,
}

impl Ago {
    /// How long ago it is at `now`.
    pub fn at(self, now: Timestamp) -> Duration {
        self.long.saturating_add(now.since(self.as_of))
    }
}

/// A length of time as people write it on a command line.
pub fn length(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 4] = [('d', 24 * 60 * 60), ('h', 60 * 60), ('m', 60), ('s', 1)];
    let parsed = UNITS.into_iter().find_map(|(unit, secs)| text.strip_suffix(unit).map(|count| (count, secs)));
    parsed
        .and_then(|(count, secs)| count.parse::<u64>().ok()?.checked_mul(secs))
        .filter(|secs| *secs > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| "a number of days, hours, minutes or seconds: 90d, 12h, 30m, 45s".to_owned())
}

/// A wall-clock moment in milliseconds since 1970, for people to read. Decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);
