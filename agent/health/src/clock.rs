//! How long things take, for metrics. Decides nothing.

use std::time::{Duration, Instant};

/// How long something takes, in small parts of a second.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// It runs.
    #[allow(clippy::disallowed_methods, reason = "this is the module that reads time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has run.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
