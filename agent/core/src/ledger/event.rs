//! What goes into the ledger with an offer, and what it wants done.

use std::time::Duration;

use postern_protocol::code::Code;
use postern_protocol::message::v1::{Offer, Rejection, Report, StreamRef};
use postern_protocol::outcome::Changed;
use postern_protocol::time::Ago;
use postern_protocol::{Epoch, Failure, Outcome, StreamId, SystemName, TaskId, TaskKind, Timestamp};

#[cfg(doc)]
use super::Ledger;
use crate::write::Origin;

/// An offer as it came in, with what only the shell can know about it.
#[derive(Debug)]
pub struct Offered {
    /// The offer.
    pub offer: Offer,
    /// Where it came from.
    pub origin: Origin,
    /// Why it cannot be taken, if it cannot: unknown kind, unreadable request, sealed to others, a full disk.
    pub refusal: Option<Refusal>,
}

/// Why an offer cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: Rejection,
    /// The same for people.
    pub message: String,
    /// When the task may be offered here again; `None` if that would be of no use.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A reason that does not pass.
    pub fn lasting(reason: Rejection, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None }
    }

    /// There is no room for it, or it is too early, and after `wait` that may be over.
    pub fn overloaded(message: impl Into<String>, wait: Duration) -> Self {
        Self { reason: Rejection::Overloaded, message: message.into(), retry_after: Some(wait) }
    }
}

/// How an attempt ended without ending its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// What went wrong.
    pub failure: Failure,
    /// How long the connected system wants to be left alone; zero if it did not say.
    pub patience: Duration,
    /// How long after a call was begun it may still take effect.
    pub unsettled_for: Duration,
}

impl From<Failure> for Unfinished {
    fn from(failure: Failure) -> Self {
        Self { failure, patience: Duration::ZERO, unsettled_for: Duration::ZERO }
    }
}

/// Why no further attempt at a task follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// It failed for good. What its journal leaves open may have happened, nothing else.
    Failed,
    /// The same, and an attempt of another member may have had an effect as well.
    InDoubt,
    /// It was cancelled after it had begun.
    Cancelled,
    /// The process died in the same step of it again and again.
    ProcessDied,
}

/// A task that ended here, whoever decided how: an attempt, its journal, or the ledger by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: Code<TaskKind>,
    /// Its connected system.
    pub system: SystemName,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether anything was changed.
    pub changed: Changed,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
}

/// A task whose attempt failed, and that another attempt follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: Code<TaskKind>,
    /// Its connected system.
    pub system: SystemName,
    /// How long it waits before.
    pub after: Duration,
    /// Of what the attempt failed.
    pub failure: Failure,
}

/// What the shell has to act on.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Run an attempt.
    Start {
        /// The task as it was offered.
        offer: Box<Offer>,
        /// Where it came from.
        origin: Origin,
        /// An earlier attempt here wrote a journal: load it.
        resumed: bool,
        /// The lease under which this agent made its first attempt, if there was one.
        earlier: Option<Epoch>,
        /// When nothing more of it may be begun.
        deadline: Option<Timestamp>,
        /// Since when it has been alone with its target, at the least.
        alone: Ago,
    },
    /// No further attempt follows this failure, and the task has a journal: find out from it what is known, and end
    /// the task with [`Ledger::handle_concluded`].
    GiveUp {
        /// As it was offered.
        offer: Box<Offer>,
        /// Where it came from.
        origin: Origin,
        /// What went wrong.
        failure: Failure,
        /// Why there is no further attempt.
        why: GivenUp,
    },
    /// Ask a running attempt to stop where it can.
    Stop(TaskId),
    /// Tell a running attempt that its deadline has passed, of which it knows nothing.
    Late(TaskId),
    /// The intent under this ticket is on disk, and the task may act.
    Granted(u64),
    /// The intent under this ticket must not be acted on.
    Refused(u64, Failure),
    /// The entries under this ticket are on disk.
    Recorded(u64),
    /// Send a task's results to the controller, then call [`Ledger::handle_uploaded`]; if it does not want them,
    /// [`Ledger::handle_unwanted`]; and if the disk lost them, [`Ledger::handle_results_lost`].
    Upload(TaskId, StreamRef),
    /// A task is tried again after a wait. Told of each wait.
    Again(Box<Again>),
    /// A task ended, which is on disk. Told once of each.
    Ended(Box<Ended>),
    /// A task of this machine ended. Call [`Ledger::handle_local_taken`] when its report was shown.
    LocalReport(Box<Report>),
    /// These payloads are needed no more.
    Forget(Vec<StreamId>),
}
