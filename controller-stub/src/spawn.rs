//! The one door to concurrency: nothing is spawned that cannot be stopped and waited for.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::{self, Exit};

/// Does work that may wait for the disk where it holds nobody up: a worker of the runtime has others to serve meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("work on the disk does not panic")
}

/// Spawns tasks, tells them to stop and waits for them. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Spawner {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Spawner {
    /// Runs `task`, which gets the token that asks it to stop.
    pub fn spawn<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task(self.stop.child_token()));
    }

    /// Runs a part without which the controller does nothing: a panic in it ends the program, so that it is started again.
    pub fn spawn_part<F>(&self, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(guard(part(self.stop.child_token())));
    }

    /// Asks every task to stop and waits for `grace`. Returns whether all did.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

/// Waits for a part without which the controller does nothing: a panic in it ends the program.
pub async fn guard<T>(part: impl Future<Output = T>) -> T {
    AssertUnwindSafe(part).catch_unwind().await.unwrap_or_else(|_| end())
}

/// What panicked has said where.
fn end() -> ! {
    tracing::error!(
        "a part of the controller stopped working: the program ends, and goes on from its ledger when it is started again"
    );
    exit::at_once(Exit::Bug)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const PART: &str = "POSTERN_TEST_PART";

    /// Leave one to its panic, and the controller looks alive and lets nobody in.
    #[tokio::test]
    async fn a_part_that_panics_ends_the_program() {
        match std::env::var(PART).as_deref() {
            Ok("spawned") => Spawner::default().spawn_part(|_| async { panic!("a defect") }),
            Ok(_) => guard(async { panic!("a defect") }).await,
            Err(_) => {
                for part in ["spawned", "waited for"] {
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
