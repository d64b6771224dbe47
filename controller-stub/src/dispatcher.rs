//! The owner of the [`State`]: one request after the other, many to a commit, and nobody hears of anything before it
//! is durable.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Moment};
use crate::state::State;
use crate::state::ledger::{Ledger, LedgerError};

/// How many requests may wait for the owner; whoever comes later waits before sending.
const WAITING: usize = 1024;
/// The most requests decided in one turn, and the changes after which a turn ends early. The largest change is a task
/// of about 90 KiB, and a commit takes 256 KiB.
const MAX_JOBS: usize = 64;
const MAX_CHANGES: usize = 256;
/// The most bytes of tasks in one turn: with the largest that may follow they still fit a commit.
const MAX_BYTES: usize = 96 * 1024;
/// How often leases and deadlines are looked at: often enough for the shortest lease a test sets.
const TICK: Duration = Duration::from_millis(100);

/// Lets a reply out once what it tells of is durable.
type After = Box<dyn FnOnce() + Send>;

/// What is done on the state, and what is said once that is durable.
type Work = Box<dyn FnOnce(&mut State, Moment) -> After + Send>;

/// One request, with about how many bytes it adds to the commit.
struct Job {
    bytes: usize,
    work: Work,
}

/// The controller is stopping and takes no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the controller is stopping: try again in a moment")]
pub struct Stopped;

/// How everybody else reaches the state.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
}

impl Handle {
    /// Has `work` done on the state and resolves with its result once everything it changed is durable.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State, Moment) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        self.ask_large(0, work).await
    }

    /// [`Handle::ask`] for work that adds about `bytes` to the commit.
    pub async fn ask_large<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut State, Moment) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |state: &mut State, at: Moment| -> After {
            let result = work(state, at);
            Box::new(move || {
                // Whoever asked may have gone meanwhile.
                let _ = reply.send(result);
            })
        });
        self.jobs.send(Job { bytes, work }).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Has `work` done on the state, which adds about `bytes` to the commit, without waiting for it.
    pub async fn tell(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut State, Moment) + Send + 'static,
    ) -> Result<(), Stopped> {
        let work = Box::new(move |state: &mut State, at: Moment| -> After {
            work(state, at);
            Box::new(|| ())
        });
        self.jobs.send(Job { bytes, work }).await.map_err(|_| Stopped)
    }
}

/// Owns the state until it is told to stop.
pub struct Dispatcher {
    state: State,
    ledger: Ledger,
    jobs: mpsc::Receiver<Job>,
}

impl Dispatcher {
    /// Takes the state over.
    pub fn new(state: State, ledger: Ledger) -> (Self, Handle) {
        let (sender, jobs) = mpsc::channel(WAITING);
        (Self { state, ledger, jobs }, Handle { jobs: sender })
    }

    /// Works until `stop`, or until the ledger fails: then the process must end, because what it decided last is not
    /// durable.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), LedgerError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut after = Vec::new();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => self.state.tick(clock::moment()),
                job = self.jobs.recv() => match job {
                    Some(job) => self.work(job, &mut after),
                    None => return Ok(()),
                },
            }
            self.state.assign(clock::moment())?;
            self.settle(after).await?;
        }
    }

    /// Decides one request, and those that wait behind it.
    fn work(&mut self, first: Job, after: &mut Vec<After>) {
        let mut bytes = first.bytes;
        after.push((first.work)(&mut self.state, clock::moment()));
        while after.len() < MAX_JOBS && bytes < MAX_BYTES && self.state.pending() < MAX_CHANGES {
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.bytes;
            after.push((job.work)(&mut self.state, clock::moment()));
        }
    }

    /// Persist, then speak.
    async fn settle(&mut self, after: Vec<After>) -> Result<(), LedgerError> {
        let turn = self.state.end_turn();
        if !turn.writes.is_empty() {
            let batch = self.ledger.batch(&turn.writes)?;
            self.ledger.commit(batch).await?;
        }
        // Nothing before this line was heard outside.
        for reply in after {
            reply();
        }
        turn.speak();
        Ok(())
    }
}
