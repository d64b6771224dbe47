//! The only door to background work: nothing is spawned that cannot be waited for.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everything one part of the program has running.
#[derive(Debug, Clone, Default)]
pub struct Spawner {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Spawner {
    /// Runs `task`. It is given a token that fires when it should stop.
    pub fn spawn<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task(self.stop.child_token()));
    }

    /// Runs `work`, which blocks, on a thread that may.
    pub fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        self.tracker.spawn_blocking(work);
    }

    /// Asks everything to stop and waits for `grace`. Returns whether all did.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}
