//! The only place of the agent that reads time.

use std::time::{SystemTime, UNIX_EPOCH};

use postern_protocol::Timestamp;
use postern_protocol::time::UnixMillis;
use rustix::time::{ClockId, clock_gettime};

/// The moment on a clock that never goes back and keeps counting while the host is suspended. Decides everything.
///
/// `CLOCK_MONOTONIC` stops during suspend: a lease would seem to live on while its holder slept.
pub fn now() -> Timestamp {
    let time = clock_gettime(ClockId::Boottime);
    let millis = time.tv_sec.saturating_mul(1_000).saturating_add(time.tv_nsec / 1_000_000);
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// The time of day, for people and for comparing with what was written down before a restart.
#[allow(clippy::disallowed_methods, reason = "this is the module that reads time")]
pub fn unix_millis() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The same for calendars.
pub fn wall() -> jiff::Timestamp {
    let millis = i64::try_from(unix_millis().0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}

/// Waits until `when`, or for ever if there is no such moment.
///
/// The timer stands still while the machine sleeps, so whoever waits here looks at [`now`] before it acts.
pub async fn sleep_until(when: Option<Timestamp>) {
    match when {
        Some(when) => tokio::time::sleep(when.since(now())).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_does_not_go_back() {
        let earlier = now();
        assert!(now() >= earlier);
    }
}
