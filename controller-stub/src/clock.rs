//! The only place that reads time.

use std::time::Duration;

use postern_protocol::Timestamp;
use postern_protocol::time::UnixMillis;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The present moment, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// On the clock that decides.
    pub now: Timestamp,
    /// On the wall, for people and for what must outlive a restart: the life of tokens and deadlines.
    pub wall: UnixMillis,
}

/// Reads both clocks.
pub fn moment() -> Moment {
    Moment { now: now(), wall: wall() }
}

/// The clock that never goes back and counts through suspend: leases and signs of life.
pub fn now() -> Timestamp {
    Timestamp::from_millis(millis(clock_gettime(ClockId::Boottime)))
}

/// The wall clock.
pub fn wall() -> UnixMillis {
    UnixMillis(millis(clock_gettime(ClockId::Realtime)))
}

/// The moment on the wall `time` later.
pub fn after(wall: UnixMillis, time: Duration) -> UnixMillis {
    UnixMillis(wall.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

/// The moment on the wall `time` earlier.
pub fn before(wall: UnixMillis, time: Duration) -> UnixMillis {
    UnixMillis(wall.0.saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

/// Resolves when `at` has come.
pub async fn sleep_until(at: Timestamp) {
    tokio::time::sleep(at.since(now())).await;
}

fn millis(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000)
}
