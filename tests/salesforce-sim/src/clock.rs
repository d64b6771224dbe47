//! The only place that reads time. Tests move it forward instead of waiting.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time of the simulated world: the host's clock plus what tests added.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead: Duration,
}

impl Clock {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[allow(clippy::disallowed_methods, reason = "this is the module that reads time")]
    pub(crate) fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.ahead;
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Moves the world into the future: sessions, locks and passwords age by `step`.
    pub(crate) fn advance(&mut self, step: Duration) {
        self.ahead = self.ahead.saturating_add(step);
    }
}
