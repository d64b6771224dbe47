//! What the ledger wants on disk.

use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Epoch, Outcome, ReportNo, SessionNo, TaskId};

use crate::journal::JournalEntry;
use crate::membership::Membership;

/// Where a task came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The controller offered it; it runs under a lease.
    Controller,
    /// It is one of this machine.
    Local(Caller),
}

/// Who has a task run on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A person at a terminal, who waits for it.
    Person,
    /// A schedule: nobody waits for it.
    Schedule,
}

impl Origin {
    /// Whether it is a task of this machine, which needs no controller.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Local(_))
    }
}

/// How far a held task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// On disk, no effect begun.
    Journaled {
        /// How many attempts were begun since a process found the task on disk, and have not ended. If this is on disk
        /// when a process starts, the ones before it died as often in the task.
        unended: u32,
    },
    /// An effect may exist.
    Started {
        /// How many attempts were in the present step and have not ended. If this is on disk when a process starts, the
        /// ones before it died as often in the step.
        unended: u32,
    },
    /// It has its outcome, and results that must reach the controller before the report does.
    Concluded(Box<Report>),
}

/// An ended task whose report the controller has: enough to answer if it is offered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The task.
    pub task: TaskId,
    /// The newest lease under which it was reported.
    pub epoch: Epoch,
    /// The attempt that ended it.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether anything was changed.
    pub changed: Changed,
    /// What became of what came of it.
    pub payload: Payload,
    /// Its number among all that ended here: the smallest is forgotten first.
    pub ended: u64,
}

/// What became of the payload that came of an ended task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// None came of it, or nobody wanted it.
    None,
    /// It was handed over.
    HandedOver,
    /// The task was taken anew: the controller may have lost what it was told of it.
    Lost,
}

/// One change to what is on disk. Changes are made in their order; a report with the end of its task, and the entries of one
/// step, together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A task is held.
    PutTask(Box<Offer>, Origin),
    /// A held task is this far.
    PutState(TaskId, TaskState),
    /// A task's journal grows by one entry.
    PutJournal(TaskId, u32, JournalEntry),
    /// The audit log grows by one event. It counts with the write behind it, or, if there is none, by itself.
    PutAudit(Vec<u8>),
    /// A task is no longer held: offer, state and journal go.
    DeleteTask(TaskId),
    /// A report is owed to the controller, and the next one will have the number after it.
    PutReport(Box<Report>),
    /// A report is acknowledged.
    DeleteReport(ReportNo),
    /// An ended task is remembered.
    PutTombstone(Tombstone),
    /// An ended task is forgotten.
    DeleteTombstone(TaskId),
    /// The newest session.
    PutSession(SessionNo),
    /// The newest state of the member.
    PutMembership(Membership),
}
