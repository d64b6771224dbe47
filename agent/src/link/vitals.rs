//! How the link is, for whoever looks from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postern_health::Pulse;
use postern_protocol::Timestamp;

/// Stands for "there is a session".
const WITH_SESSION: u64 = u64::MAX;

/// How the link is. Clones are the same.
#[derive(Debug, Clone)]
pub struct LinkVitals {
    /// Shows that it comes round: in a session, or while it tries to get one.
    pub pulse: Pulse,
    without_since: Arc<AtomicU64>,
}

impl LinkVitals {
    /// Of a link that is about to begin.
    pub fn new(now: Timestamp) -> Self {
        Self { pulse: Pulse::default(), without_since: Arc::new(AtomicU64::new(now.as_millis())) }
    }

    /// For how long there has been no session; `None`: there is one.
    pub fn without_session(&self, now: Timestamp) -> Option<Duration> {
        let since = self.without_since.load(Ordering::Relaxed);
        (since != WITH_SESSION).then(|| now.since(Timestamp::from_millis(since)))
    }

    pub(super) fn established(&self) {
        self.without_since.store(WITH_SESSION, Ordering::Relaxed);
    }

    pub(super) fn lost(&self, now: Timestamp) {
        let lost = (WITH_SESSION, now.as_millis());
        let _ = self.without_since.compare_exchange(lost.0, lost.1, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_never_came_is_missed_from_the_beginning_on() {
        let at = |secs: u64| Timestamp::from_millis(secs * 1000);
        let link = LinkVitals::new(at(10));
        assert_eq!(link.without_session(at(15)), Some(Duration::from_secs(5)));
        link.lost(at(20));
        assert_eq!(link.without_session(at(25)), Some(Duration::from_secs(15)), "it was missed before");
        link.established();
        assert_eq!(link.without_session(at(30)), None);
        link.lost(at(40));
        assert_eq!(link.without_session(at(41)), Some(Duration::from_secs(1)));
    }
}
