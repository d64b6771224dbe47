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

/// How far the time of day may go ahead of [`now`] before the host is taken to have been paused: more than clocks are put
/// right by all the time, and less than a controller waits before it gives the task of a lease that ran out to another.
const NOTICED_MS: i128 = 2_000;

/// Notices that the host was paused from outside, as a virtual machine is: [`now`] does not count that, and the time of
/// day does as soon as it was put right. A clock that was only set looks the same.
#[derive(Debug)]
pub struct Pauses {
    /// How far the time of day was ahead, at the least.
    ahead: i128,
}

impl Pauses {
    /// Looks for pauses from here on.
    pub fn new(now: Timestamp, day: UnixMillis) -> Self {
        Self { ahead: ahead(now, day) }
    }

    /// Whether there was one since it was last noticed.
    pub fn notice(&mut self, now: Timestamp, day: UnixMillis) -> bool {
        let ahead = ahead(now, day);
        let paused = ahead > self.ahead + NOTICED_MS;
        self.ahead = if paused { ahead } else { self.ahead.min(ahead) };
        paused
    }
}

fn ahead(now: Timestamp, day: UnixMillis) -> i128 {
    i128::from(day.0) - i128::from(now.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_noticed_once_and_a_clock_that_is_set_back_is_none() {
        let at = Timestamp::from_millis;
        let mut pauses = Pauses::new(at(1_000), UnixMillis(501_000));
        assert!(!pauses.notice(at(2_000), UnixMillis(502_000)));
        assert!(!pauses.notice(at(3_000), UnixMillis(504_900)), "put right by a little");
        assert!(pauses.notice(at(4_000), UnixMillis(506_001)), "and by a little more");
        assert!(!pauses.notice(at(5_000), UnixMillis(507_001)));
        assert!(!pauses.notice(at(6_000), UnixMillis(400_000)), "set back");
        assert!(pauses.notice(at(7_000), UnixMillis(404_000)), "and paused after that");
    }

    #[test]
    fn the_clock_does_not_go_back() {
        let earlier = now();
        assert!(now() >= earlier);
    }
}
