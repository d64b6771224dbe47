//! What the measurements in `src/bin` share: a clock, a calibration, what to make of a few samples, and the two ways of
//! doing the same work.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

mod bare;
mod calibration;
mod elf;
mod people;
pub mod process;
pub mod program;
mod recorder;
mod replay;
mod salesforce;
mod submitter;

use std::error::Error;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

pub use bare::Bare;
pub use calibration::{Calibration, barrier, load};
pub use elf::mapped_bytes;
pub use people::{Kind, People, Person};
pub use process::{Usage, cpu_time, peak_memory, resident_memory};
pub use recorder::Recorder;
pub use replay::replay;
pub use salesforce::Salesforce;
pub use submitter::{Stored, Submitter};

/// A measurement that could not be made.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Runs `work` and says how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// The same for work that waits.
pub async fn timed_async<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let result = work.await;
    (result, start.elapsed())
}

/// The middle one of some samples; of an even number, the upper of the two. 0 for none.
pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(0.0)
}

/// A count as a number to calculate with; infinite beyond 32 bits, which no run of a few minutes reaches.
pub fn to_f64(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// What a turn came to.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Pieces of work done.
    pub done: u64,
    /// How long it took until the last of them was done.
    pub took: Duration,
}

impl Turn {
    /// Pieces of work a second.
    pub fn rate(self) -> f64 {
        to_f64(self.done) / self.took.as_secs_f64()
    }
}

/// Keeps `in_flight` pieces of work under way for about `length`: each of as many workers begins the next when its last
/// one is done, and none after `length`. `work` is given the worker's number.
///
/// # Errors
///
/// The first failure of any piece.
pub async fn keep_busy<F>(
    in_flight: usize,
    length: Duration,
    work: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Result<Turn, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send,
{
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..in_flight {
        let work = work.clone();
        workers.spawn(async move {
            let mut done: u64 = 0;
            while start.elapsed() < length {
                work(worker).await?;
                done += 1;
            }
            Ok::<_, Failure>(done)
        });
    }
    let mut done = 0;
    while let Some(worker) = workers.join_next().await {
        done += worker??;
    }
    Ok(Turn { done, took: start.elapsed() })
}

/// Does a piece of work for each item, so many at once.
///
/// # Errors
///
/// The first failure of any piece.
pub async fn keep_busy_until<T, F>(
    in_flight: usize,
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for item in items {
        if under_way.len() >= in_flight
            && let Some(ended) = under_way.join_next().await
        {
            ended??;
        }
        under_way.spawn(work(item));
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}
