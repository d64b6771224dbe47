//! Waiting for a condition instead of sleeping and hoping.

use std::fmt::Debug;
use std::time::Duration;

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(20);
/// How long a condition may take to come true: generous, because machines are slow under load, and no test waits for
/// it when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `look` returns `Ok`. What it returned last is shown if it never does.
///
/// # Panics
///
/// When the condition does not come true: the test has failed.
pub async fn wait_for<T, S: Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<T, S>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(last) if tokio::time::Instant::now() >= deadline => {
                panic!("waited {} s for {what}; last seen: {last:?}", PATIENCE.as_secs())
            }
            Err(_) => tokio::time::sleep(STEP).await,
        }
    }
}
