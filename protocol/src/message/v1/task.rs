//! Tasks: offers and answers, leases, outcomes, cancels and inventories.

use bincode::{Decode, Encode};

use super::{Extensions, StreamRef};
use crate::bounded::{Bytes, List, Text};
use crate::code::Code;
use crate::codes;
use crate::id::{Epoch, MemberId, ReportNo, SystemName, TaskId};
use crate::outcome::{Certainty, Changed, Failure, Outcome};
use crate::seal::{SealedField, SealedOutput, SealingPublicKey};
use crate::signature::TaskSignature;
use crate::task::{TaskKind, TaskRequest};

/// The most bytes the parameters of a task may have; anything larger is a stream.
pub const MAX_PARAMS: usize = 16 * 1024;
/// The most bytes the output of a task may have; anything larger is a stream.
pub const MAX_OUTPUT: usize = 8 * 1024;
/// The most sealed fields, streams in or streams out a task may have.
pub const MAX_PARTS: usize = 8;

codes! {
    /// Whether the submitter waits for the answer.
    pub enum Mode {
        /// The submitter waits.
        1 Sync = "sync",
        /// The submitter comes back for it.
        2 Async = "async",
    }
}

/// What an earlier holder of the task reported under an epoch that had passed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Observation {
    /// The holder.
    pub member: MemberId,
    /// The epoch it held.
    pub epoch: Epoch,
    /// What it reported.
    pub outcome: Code<Outcome>,
    /// How sure it was.
    pub certainty: Code<Certainty>,
}

/// A task to do, under a lease.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: Code<TaskKind>,
    /// The revision of the kind's request in `params`.
    pub kind_rev: u16,
    /// The lease's number.
    pub epoch: Epoch,
    /// Milliseconds left of the lease, from the moment the offer arrives.
    pub lease_ttl_ms: u32,
    /// Milliseconds left until the task must not be begun any more; zero is no deadline.
    pub deadline_ms: u64,
    /// Larger goes first.
    pub priority: u8,
    /// The connected system.
    pub system: SystemName,
    /// What must not be worked on twice at once, e.g. a user name in lower case; empty if nothing.
    pub target: Text<255>,
    /// Whether the submitter waits.
    pub mode: Code<Mode>,
    /// The number this attempt has over all members, from 1.
    pub attempt: u32,
    /// An earlier holder may have begun it: read back before any effect.
    pub reconcile: bool,
    /// The lease of it since which no other task for its system and target was leased: this one, or an earlier one.
    pub alone_since: Epoch,
    /// For how many milliseconds no other such task was under way, as the offer is made: since that lease, and some seconds
    /// before it.
    pub alone_ms: u64,
    /// What earlier holders reported too late.
    pub observations: List<Observation, 8>,
    /// The kind's request.
    pub params: Bytes<MAX_PARAMS>,
    /// Its secrets.
    pub sealed: List<SealedField, MAX_PARTS>,
    /// Payloads that come with it.
    pub streams: List<StreamRef, MAX_PARTS>,
    /// The key its secret outputs are sealed to.
    pub requester: Option<SealingPublicKey>,
    /// What its originator says to it.
    pub signature: Option<Box<TaskSignature>>,
    /// What later versions add.
    pub ext: Extensions,
}

impl Offer {
    /// What a task is to do, and nothing of how, by whom and until when. `params` is `request` as it is encoded.
    pub fn new(task: TaskId, system: SystemName, request: &TaskRequest, params: Bytes<MAX_PARAMS>) -> Self {
        Self {
            task,
            kind: request.kind().into(),
            kind_rev: TaskRequest::REV,
            epoch: Epoch(0),
            lease_ttl_ms: 0,
            deadline_ms: 0,
            priority: 0,
            system,
            target: request.target(),
            mode: Mode::Async.into(),
            attempt: 0,
            reconcile: false,
            alone_since: Epoch(0),
            alone_ms: 0,
            observations: List::default(),
            params,
            sealed: List::default(),
            streams: List::default(),
            requester: None,
            signature: None,
            ext: List::default(),
        }
    }
}

/// A task is on disk at the member.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Accept {
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
}

codes! {
    /// Why a member does not take a task.
    pub enum Rejection {
        /// The lease is older than one the member knows of.
        1 Fenced = "fenced",
        /// The deadline has passed.
        2 Expired = "expired",
        /// The kind, its revision, the connected system or a critical extension is not known.
        3 Unsupported = "unsupported",
        /// No room; try again later.
        4 Overloaded = "overloaded",
        /// A sealed field is for keys that the member does not have: the secret has to be sealed again.
        5 NeedsReseal = "needs_reseal",
        /// The member is draining or disabled.
        6 Draining = "draining",
        /// The member cannot write to its store.
        7 StoreFault = "store_fault",
        /// The request is not a valid one.
        8 Invalid = "invalid",
        /// The member's own policy does not let it through.
        9 Policy = "policy",
        /// The member takes signed tasks only, and the signature is missing, wrong, foreign, moved or too old.
        10 BadSignature = "bad_signature",
    }
}

/// A task is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Reject {
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
    /// Why.
    pub reason: Code<Rejection>,
    /// A sentence for people.
    pub message: Text<512>,
    /// Milliseconds after which it may be offered again; zero: not to this member.
    pub retry_after_ms: u32,
}

/// The intent of a task's next effect is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Started {
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
    /// The attempt.
    pub attempt: u32,
}

/// How far a task is. Lossy; the newest wins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Progress {
    /// The task.
    pub task: TaskId,
    /// Records done.
    pub done: u64,
    /// Records in all; zero if not known.
    pub total: u64,
    /// What is being done, for people.
    pub phase: Text<64>,
}

/// A task's outcome. On the member's disk before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// Its number.
    pub number: ReportNo,
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
    /// The attempt that ended so.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Code<Outcome>,
    /// How sure that is.
    pub certainty: Code<Certainty>,
    /// Whether anything was changed.
    pub changed: Code<Changed>,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The kind's output; empty if there is none.
    pub output: Bytes<MAX_OUTPUT>,
    /// Its secrets, sealed to the requester.
    pub sealed: List<SealedOutput, MAX_PARTS>,
    /// Payloads that go with it, stored at the controller before the report is.
    pub streams: List<StreamRef, MAX_PARTS>,
    /// What later versions add.
    pub ext: Extensions,
}

/// Reports are stored; the member may forget them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ReportAck {
    /// Every report up to this number.
    pub upto: ReportNo,
}

/// A task and the number of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LeaseRef {
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
}

/// Asks to keep leases.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Renew {
    /// Comes back in [`Renewed`], so that the member knows when it asked.
    pub nonce: u64,
    /// The leases.
    pub leases: List<LeaseRef, 256>,
}

codes! {
    /// What became of a lease.
    pub enum LeaseVerdict {
        /// It holds for another ttl.
        1 Kept = "kept",
        /// The task was cancelled.
        2 Cancelled = "cancelled",
        /// Another member, or a newer epoch, holds the task.
        3 Fenced = "fenced",
        /// The controller does not know the task.
        4 Unknown = "unknown",
        /// It holds for another ttl, and the deadline of the task has passed.
        5 Late = "late",
    }
}

/// What became of one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct RenewedLease {
    /// The lease.
    pub lease: LeaseRef,
    /// What became of it.
    pub verdict: Code<LeaseVerdict>,
}

/// What became of the leases asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Renewed {
    /// From the [`Renew`].
    pub nonce: u64,
    /// Milliseconds they hold from the moment the renewal was asked for.
    pub ttl_ms: u32,
    /// The leases.
    pub leases: List<RenewedLease, 256>,
}

/// A task is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Cancel {
    /// The task.
    pub task: TaskId,
}

codes! {
    /// What became of a cancel.
    pub enum CancelVerdict {
        /// The task had not begun; it is reported as cancelled.
        1 Dropped = "dropped",
        /// It has begun and stops at the next point where it can.
        2 Stopping = "stopping",
        /// It has ended; its report stands.
        3 AlreadyDone = "already_done",
        /// The member does not hold the task; if it is yet to be offered in this session, it is cancelled then.
        4 Parked = "parked",
    }
}

/// What became of a cancel.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CancelAck {
    /// The task.
    pub task: TaskId,
    /// What became of it.
    pub verdict: Code<CancelVerdict>,
}

/// Asks for the tasks held.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InventoryAsk {
    /// Comes back in [`Inventory`].
    pub nonce: u64,
}

codes! {
    /// How far a member is with a task it holds.
    pub enum HeldState {
        /// On disk, no effect begun.
        1 Journaled = "journaled",
        /// An effect may exist.
        2 Started = "started",
        /// The report is on disk.
        3 Reported = "reported",
    }
}

/// One task a member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct HeldTask {
    /// The task and its lease.
    pub lease: LeaseRef,
    /// How far it is.
    pub state: Code<HeldState>,
}

/// The tasks held, a page at a time.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Inventory {
    /// From the [`InventoryAsk`].
    pub nonce: u64,
    /// No page follows.
    pub last: bool,
    /// The tasks of this page.
    pub tasks: List<HeldTask, 512>,
}
