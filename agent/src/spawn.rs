//! The only door to background work: nothing is spawned that cannot be waited for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::{self, Exit};

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

    /// Runs a part without which the program does nothing: a panic in it ends the program, so that it is started again.
    pub fn spawn_part<F>(&self, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let part = AssertUnwindSafe(part(self.stop.child_token())).catch_unwind();
        self.tracker.spawn(async move { part.await.unwrap_or_else(|_| end()) });
    }

    /// The same of a part that blocks, on a thread that may.
    pub fn spawn_blocking_part(&self, part: impl FnOnce() + Send + 'static) {
        self.tracker.spawn_blocking(|| catch_unwind(AssertUnwindSafe(part)).unwrap_or_else(|_| end()));
    }

    /// Asks everything to stop and waits for `grace`. Returns whether all did.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

/// What panicked has said where.
fn end() -> ! {
    tracing::error!(
        "a part of the agent stopped working: the program ends, and goes on from its store when it is started again"
    );
    exit::at_once(Exit::Bug)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const PART: &str = "POSTERN_TEST_PART";

    /// Leave one to its panic, and the program lives on and does nothing.
    #[tokio::test]
    async fn a_part_that_panics_ends_the_program() {
        let parts = Spawner::default();
        match std::env::var(PART).as_deref() {
            Ok("future") => parts.spawn_part(|_| async { panic!("a defect") }),
            Ok(_) => parts.spawn_blocking_part(|| panic!("a defect")),
            Err(_) => {
                for part in ["future", "thread"] {
                    let mut again = Command::new(std::env::current_exe().unwrap());
                    again.args(["--exact", "spawn::tests::a_part_that_panics_ends_the_program"]).env(PART, part);
                    assert_eq!(again.output().unwrap().status.code(), Some(Exit::Bug.code().into()), "{part}");
                }
                return;
            }
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}
