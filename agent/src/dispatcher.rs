//! The one owner of the ledger, and how everybody else talks to it.

mod errands;
mod fail_points;
mod run;
mod told;

use std::time::Duration;

use postern_agent_core::ledger::Ending;
use postern_agent_core::{Caller, JournalEntry, Membership, Unfinished};
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Condition, Held, Offer, Report};
use postern_protocol::seal::KeyId;
use postern_protocol::{Failure, FailureClass, ReportNo, SessionNo, StreamId, TaskId};
use tokio::sync::{mpsc, oneshot};

pub use self::run::Loop;
pub use self::told::{Logged, Status, System, Waiting};
use crate::link::Frames;

/// Inputs waiting: every attempt, the link and the streams have a few under way at once.
const INPUTS: usize = 256;

/// What happens to the ledger.
enum Input {
    Introduce(oneshot::Sender<Standing>),
    Welcomed {
        session: SessionNo,
        membership: Membership,
        durable: oneshot::Sender<()>,
    },
    Established {
        acked: ReportNo,
        ttl: Duration,
        frames: Frames,
    },
    Disconnected,
    Frame(Box<FromController>),
    Local {
        offer: Box<Offer>,
        caller: Caller,
        watch: mpsc::Sender<LocalEvent>,
    },
    LocalTaken {
        task: TaskId,
        delivered: bool,
    },
    Intend {
        task: TaskId,
        entry: JournalEntry,
        reach: Duration,
        answer: oneshot::Sender<Result<(), Failure>>,
    },
    Record {
        task: TaskId,
        entries: Vec<JournalEntry>,
        audit: Vec<Vec<u8>>,
        answer: oneshot::Sender<Result<(), Failure>>,
    },
    Progress {
        task: TaskId,
        done: u64,
        total: u64,
        phase: String,
    },
    Ended {
        task: TaskId,
        ending: Result<Box<Ending>, Unfinished>,
    },
    PutOff(TaskId),
    Moved(Moved),
    ForgetKey {
        key: KeyId,
        answer: oneshot::Sender<bool>,
    },
    Stop,
    CutOff,
    Status(oneshot::Sender<Status>),
    Condition(oneshot::Sender<Condition>),
}

/// What a `Hello` says of the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The newest session on disk.
    pub session: SessionNo,
    /// The number of the next report.
    pub next_report: ReportNo,
    /// What is held.
    pub held: Held,
}

/// What a task of this machine tells whoever runs it.
#[derive(Debug)]
pub enum LocalEvent {
    /// How far it is.
    Progress {
        /// Records done.
        done: u64,
        /// Records in all; zero if not known.
        total: u64,
        /// What is being done.
        phase: String,
    },
    /// An attempt failed, and another follows.
    Again {
        /// How long it waits before.
        after: Duration,
        /// Of what the attempt failed.
        failure: Failure,
    },
    /// It ended.
    Ended(Box<Report>),
    /// It was not taken, and why. Nothing follows.
    NotTaken(String),
}

/// A handle to the dispatcher.
#[derive(Clone)]
pub struct Dispatcher(mpsc::Sender<Input>);

impl Dispatcher {
    /// A handle and the end the dispatcher takes inputs from.
    pub fn channel() -> (Self, Inputs) {
        let (sender, receiver) = mpsc::channel(INPUTS);
        (Self(sender), Inputs(receiver))
    }

    /// A handle that takes nothing more, and the end that nobody takes anything from.
    #[cfg(test)]
    pub fn full() -> (Self, Inputs) {
        let (dispatcher, inputs) = Self::channel();
        while dispatcher.0.try_send(Input::Stop).is_ok() {}
        (dispatcher, inputs)
    }

    async fn send(&self, input: Input) {
        // A closed channel means that the program is stopping.
        let _ = self.0.send(input).await;
    }

    async fn ask<T>(&self, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.send(input(answer)).await;
        answered.await.ok()
    }

    /// What to say in `Hello`; `None` if the program is stopping.
    pub async fn introduce(&self) -> Option<Standing> {
        self.ask(Input::Introduce).await
    }

    /// Makes what a `Welcome` brought durable. Returns whether it is.
    pub async fn welcomed(&self, session: SessionNo, membership: Membership) -> bool {
        self.ask(|durable| Input::Welcomed { session, membership, durable }).await.is_some()
    }

    /// A session is established; frames go there.
    pub async fn established(&self, acked: ReportNo, ttl: Duration, frames: Frames) {
        self.send(Input::Established { acked, ttl, frames }).await;
    }

    /// The session is over.
    pub async fn disconnected(&self) {
        self.send(Input::Disconnected).await;
    }

    /// A frame about work came.
    pub async fn frame(&self, frame: FromController) {
        self.send(Input::Frame(Box::new(frame))).await;
    }

    /// Runs a task of this machine.
    pub async fn run_local(&self, offer: Offer, caller: Caller, watch: mpsc::Sender<LocalEvent>) {
        self.send(Input::Local { offer: Box::new(offer), caller, watch }).await;
    }

    /// The outcome of a task of this machine was shown, and what came of it is `delivered` or lost.
    pub async fn local_taken(&self, task: TaskId, delivered: bool) {
        self.send(Input::LocalTaken { task, delivered }).await;
    }

    /// An attempt is about to act. `Ok` once its intent is on disk and it may.
    pub async fn intend(&self, task: TaskId, entry: JournalEntry, reach: Duration) -> Result<(), Failure> {
        let answer = self.ask(|answer| Input::Intend { task, entry, reach, answer }).await;
        answer.unwrap_or_else(|| Err(stopping()))
    }

    /// An attempt proved what became of its intents, of which the audit log tells these events. `Ok` once that is on disk.
    pub async fn record(&self, task: TaskId, entries: Vec<JournalEntry>, audit: Vec<Vec<u8>>) -> Result<(), Failure> {
        let answer = self.ask(|answer| Input::Record { task, entries, audit, answer }).await;
        answer.unwrap_or_else(|| Err(stopping()))
    }

    /// An attempt says how far it is. Dropped if there is much to do.
    pub fn progress(&self, task: TaskId, done: u64, total: u64, phase: &str) {
        let _ = self.0.try_send(Input::Progress { task, done, total, phase: phase.to_owned() });
    }

    /// An attempt ended: with the task, or with a failure of which its journal says what may have come.
    pub async fn ended(&self, task: TaskId, ending: Result<Box<Ending>, Unfinished>) {
        self.send(Input::Ended { task, ending }).await;
    }

    /// A task that is given up could not be ended before the agent stops.
    pub async fn put_off(&self, task: TaskId) {
        self.send(Input::PutOff(task)).await;
    }

    /// A place for what became of one payload, as soon as there is one; `None` if the program is stopping. For the streams,
    /// which take commands until then: the link waits for them.
    pub async fn place(&self) -> Option<Place<'_>> {
        self.0.reserve().await.ok().map(Place)
    }

    /// Opens nothing with this key any more, unless something that is held needs it. Returns whether it may be wiped.
    pub async fn forget_key(&self, key: KeyId) -> bool {
        self.ask(|answer| Input::ForgetKey { key, answer }).await.unwrap_or(false)
    }

    /// No new work; [`Loop::run`] returns when what can be finished is.
    pub async fn stop(&self) {
        self.send(Input::Stop).await;
    }

    /// [`Loop::run`] returns as soon as it is on disk that what runs was cut off, and did not die.
    pub async fn cut_off(&self) {
        self.send(Input::CutOff).await;
    }

    /// What the ledger looks like; `None` if the program is stopping.
    pub async fn status(&self) -> Option<Status> {
        self.ask(Input::Status).await
    }

    /// What the controller is told of it.
    pub async fn condition(&self) -> Option<Condition> {
        self.ask(Input::Condition).await
    }

    /// How many inputs wait to be taken.
    pub fn waiting(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }
}

/// What the dispatcher is told of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moved {
    /// A payload of a task is complete on this machine.
    Here(TaskId, StreamId),
    /// The results of a task are at the controller.
    Uploaded(TaskId),
    /// The controller does not want the results of a task.
    Unwanted(TaskId),
    /// The disk lost the results of a task.
    Lost(TaskId),
    /// A payload is deleted, and whatever else was to be said of it as it was is said.
    Forgotten(StreamId),
}

/// A place among what the dispatcher takes in.
pub struct Place<'a>(mpsc::Permit<'a, Input>);

impl Place<'_> {
    /// Tells of a payload.
    pub fn tell(self, moved: Moved) {
        self.0.send(Input::Moved(moved));
    }
}

fn stopping() -> Failure {
    Failure::new(FailureClass::Interrupted, "stopping", "The agent is stopping")
}

/// The end the dispatcher takes inputs from.
pub struct Inputs(mpsc::Receiver<Input>);

#[cfg(feature = "failpoints")]
impl Inputs {
    /// Answers the next question whether a sealing key may be wiped, in the place of a ledger.
    pub async fn answer_of_key(&mut self, may_go: &impl Fn(KeyId) -> bool) {
        if let Some(Input::ForgetKey { key, answer }) = self.0.recv().await {
            let _ = answer.send(may_go(key));
        }
    }
}
