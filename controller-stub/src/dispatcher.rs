//! The owner of the [`State`]: one request after the other, many to a commit, and nobody hears of anything before it
//! is durable.

mod fail_points;

use std::time::Duration;

use postern_health::Pulse;
use postern_protocol::StreamId;
use postern_protocol::plain::Chain;
use postern_store::Spool;
use postern_traces::Spans;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Moment};
use crate::state::State;
use crate::state::ledger::{Ledger, LedgerError, spool_id};
use crate::traces::Traces;

/// How many requests may wait for the owner; whoever comes later waits before sending.
const WAITING: usize = 1024;
/// The most requests decided in one turn, and the changes after which a turn ends early: about one commit.
const MAX_JOBS: usize = 64;
const MAX_CHANGES: usize = 256;
/// The bytes of tasks and reports after which a turn ends early. The largest task that may follow has about 90 KiB, so
/// that a turn usually fits a commit, which takes 256 KiB.
const MAX_BYTES: usize = 96 * 1024;
/// How often leases and deadlines are looked at: often enough for the shortest lease a test sets.
const TICK: Duration = Duration::from_millis(100);

/// Lets a reply out once what it tells of is durable.
type After = Box<dyn FnOnce() + Send>;

/// What is done on the state, and what is said once that is durable.
type Work = Box<dyn FnOnce(&mut State, Moment) -> Option<After> + Send>;

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
        let work = Box::new(move |state: &mut State, at: Moment| -> Option<After> {
            let result = work(state, at);
            Some(Box::new(move || {
                // Whoever asked may have gone meanwhile.
                let _ = reply.send(result);
            }))
        });
        self.jobs.send(Job { bytes, work }).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// How many requests wait for the owner.
    pub fn waiting(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }

    /// Has `work` done on the state, which adds about `bytes` to the commit, without waiting for it.
    pub async fn tell(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut State, Moment) + Send + 'static,
    ) -> Result<(), Stopped> {
        let work = Box::new(move |state: &mut State, at: Moment| -> Option<After> {
            work(state, at);
            None
        });
        self.jobs.send(Job { bytes, work }).await.map_err(|_| Stopped)
    }
}

/// Owns the state until it is told to stop.
pub struct Dispatcher {
    state: State,
    ledger: Ledger,
    spool: Spool,
    jobs: mpsc::Receiver<Job>,
    /// What is told of tasks, if anything is.
    traces: Option<Traces>,
    /// About how many bytes are decided and not committed yet.
    carried: usize,
    pulse: Pulse,
}

impl Dispatcher {
    /// Takes the state over.
    pub fn new(state: State, ledger: Ledger, spool: Spool) -> (Self, Handle) {
        let (sender, jobs) = mpsc::channel(WAITING);
        (
            Self { state, ledger, spool, jobs, traces: None, carried: 0, pulse: Pulse::default() },
            Handle { jobs: sender },
        )
    }

    /// Shows that it comes round, at the latest with every tick.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Tells of tasks as traces.
    #[must_use]
    pub fn telling(mut self, spans: Option<Spans>) -> Self {
        self.traces = spans.map(Traces::new);
        if self.traces.is_some() {
            self.state.tell_leases();
        }
        self
    }

    /// Works until `stop`, or until the ledger fails: then the process must end, because what it decided last is not
    /// durable.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), LedgerError> {
        let ended = self.turn(stop).await;
        self.pulse.rest();
        ended
    }

    async fn turn(&mut self, stop: CancellationToken) -> Result<(), LedgerError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.pulse.beat();
            let mut after = Vec::new();
            let mut is_tick = false;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => {
                    self.state.tick(clock::moment());
                    is_tick = true;
                }
                job = self.jobs.recv() => match job {
                    Some(job) => self.work(job, &mut after),
                    None => return Ok(()),
                },
            }
            self.state.assign(clock::moment())?;
            // Nobody hears of it yet, so it can become durable together with what comes next, or at the next tick.
            if !is_tick && after.is_empty() && self.state.is_quiet() && self.state.pending() < MAX_CHANGES {
                continue;
            }
            self.settle(after).await?;
            if is_tick {
                // On a slow disk this turn took as long as it is to the next tick, which goes before the requests: they would
                // have none for as long as each tick has something to write.
                tick.reset();
            }
        }
    }

    /// Decides one request, and those that wait behind it.
    fn work(&mut self, first: Job, after: &mut Vec<After>) {
        let mut bytes = self.carried + first.bytes;
        after.extend((first.work)(&mut self.state, clock::moment()));
        for _ in 1..MAX_JOBS {
            if bytes >= MAX_BYTES || self.state.pending() >= MAX_CHANGES {
                break;
            }
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.bytes;
            after.extend((job.work)(&mut self.state, clock::moment()));
        }
        self.carried = bytes;
    }

    /// Persist, then speak.
    async fn settle(&mut self, after: Vec<After>) -> Result<(), LedgerError> {
        self.carried = 0;
        let mut turn = self.state.end_turn();
        let writes = std::mem::take(&mut turn.writes);
        let traced = self.traces.as_mut().map(|it| it.notice(&writes, &self.ledger, clock::wall())).transpose()?;
        if !writes.is_empty() {
            self.ledger.commit(writes).await?;
        }
        if let Some((traces, spans)) = self.traces.as_ref().zip(traced) {
            traces.tell(spans);
        }
        fail_points::after(&turn);
        // Nothing before this line was heard outside.
        turn.publish();
        for reply in after {
            reply();
        }
        let forgotten = std::mem::take(&mut turn.forgotten);
        turn.speak();
        if !forgotten.is_empty() {
            self.remove(forgotten).await;
        }
        Ok(())
    }

    /// Removes the files of payloads that the ledger does not name any more. What is left goes at the next start.
    async fn remove(&self, payloads: Vec<StreamId>) {
        let spool = self.spool.clone();
        let removed =
            tokio::task::spawn_blocking(move || payloads.into_iter().try_for_each(|id| spool.delete(spool_id(id))));
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(error = %Chain(&error), "the file of a payload could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::sync::Arc;

    use postern_protocol::outcome::{Certainty, Changed};
    use postern_protocol::time::UnixMillis;
    use postern_protocol::{Epoch, Outcome, TaskId, TaskKind};
    use postern_store::{Disk, Options, RealDisk, Store, StoreKey};

    use super::*;
    use crate::state::ledger::Write;
    use crate::state::record::{Finish, TaskRecord, TaskState};
    use crate::state::{Retention, Settings, lab};

    /// A disk on which whatever is written takes longer than it is to the next tick.
    #[derive(Debug)]
    struct Slow;

    impl Disk for Slow {
        fn sync(&self, db: &File) -> io::Result<()> {
            std::thread::sleep(TICK + TICK / 2);
            RealDisk.sync(db)
        }

        fn free(&self, db: &File) -> io::Result<u64> {
            RealDisk.free(db)
        }
    }

    fn finished_long_ago(number: u64) -> Write {
        let finish = Finish {
            outcome: Outcome::Succeeded,
            certainty: Certainty::Certain,
            changed: Changed::Yes,
            member: None,
            epoch: Epoch(1),
            note: String::new(),
            at: UnixMillis(number),
        };
        let (cluster, system) = ("acme".parse().unwrap(), "sf".parse().unwrap());
        let id = TaskId::from_random(number, [1; 10]);
        let record = TaskRecord::queued(id, cluster, system, TaskKind::EnableUser, String::new());
        Write::Task(TaskRecord { state: TaskState::Finished, finish: Some(finish), ..record })
    }

    /// Have the next tick be due so long after the last one began, and nobody is answered before all there is to forget is
    /// forgotten, and leases run out whose renewals wait.
    #[tokio::test]
    async fn requests_have_their_turn_between_ticks_that_take_long() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { disk: Arc::new(Slow), ..Options::default() };
        let store =
            Store::open(&folder.path().join("store"), &StoreKey::from_bytes([1; 32]), &options, 1).unwrap().store;
        let (ledger, spool) = (Ledger::new(store.clone()), store.spool().unwrap());
        ledger.commit((0..640).map(finished_long_ago).collect()).await.unwrap();
        let settings = Settings { keep: Retention { days: 1, newest: 0 }, ..lab::SETTINGS };
        let state = lab::state(folder.path(), &ledger, settings, clock::moment());
        let (dispatcher, handle) = Dispatcher::new(state, ledger, spool);
        let asking = async {
            let mut left = 640;
            while left == 640 {
                left = handle.ask(|state, _| state.finished()).await.unwrap();
            }
            assert!(left > 0, "nobody was answered before all were forgotten");
        };
        tokio::select! {
            ended = dispatcher.run(CancellationToken::new()) => panic!("the owner ended: {ended:?}"),
            () = asking => (),
        }
    }
}
