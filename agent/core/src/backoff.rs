//! When to try to connect again.

use std::time::Duration;

use postern_protocol::Timestamp;

/// The first window: a moment's glitch is over soon.
const FIRST: Duration = Duration::from_secs(1);
/// The last window: an hour's outage must not end in a day's wait, nor a thousand agents in one second.
const LAST: Duration = Duration::from_secs(60);
/// How long a session must have lasted, at least, for the next failure to count as the first.
const STABLE: Duration = Duration::from_secs(30);

/// Spaces reconnections: a uniform choice in a window that doubles from one second to sixty.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
    established: Option<Timestamp>,
    asked: Duration,
}

impl Backoff {
    /// A session was established.
    pub fn handle_established(&mut self, now: Timestamp) {
        self.established = Some(now);
    }

    /// The peer asked to stay away this long.
    pub fn handle_asked(&mut self, wait: Duration) {
        self.asked = wait.min(Duration::from_secs(600));
    }

    /// A session ended, or could not be established. Returns how long to wait; `random` is uniform over all its
    /// values.
    pub fn handle_failure(&mut self, now: Timestamp, random: u32) -> Duration {
        let stable = self.established.take().is_some_and(|since| {
            // A random share on top, so that a flapping controller does not see every agent reset together.
            now.since(since) >= STABLE + STABLE.mul_f64(f64::from(random) / f64::from(u32::MAX))
        });
        self.failures = if stable { 1 } else { self.failures.saturating_add(1) };
        let window = FIRST.saturating_mul(1 << (self.failures - 1).min(6)).min(LAST);
        let wait = window.mul_f64(f64::from(random) / f64::from(u32::MAX));
        wait.max(std::mem::take(&mut self.asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn the_window_doubles_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9).map(|_| backoff.handle_failure(at(0), u32::MAX).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn only_a_stable_session_resets_it() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.handle_failure(at(0), u32::MAX);
        }
        backoff.handle_established(at(100));
        assert_eq!(backoff.handle_failure(at(101), u32::MAX).as_secs(), 32);
        backoff.handle_established(at(200));
        assert_eq!(backoff.handle_failure(at(300), u32::MAX).as_secs(), 1);
    }

    #[test]
    fn the_peers_wish_is_honoured_once() {
        let mut backoff = Backoff::default();
        backoff.handle_asked(Duration::from_secs(20));
        assert_eq!(backoff.handle_failure(at(0), 0).as_secs(), 20);
        assert_eq!(backoff.handle_failure(at(0), 0).as_secs(), 0);
    }
}
