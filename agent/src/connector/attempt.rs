//! What one attempt may know and use, and what it writes before it acts.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use postern_agent_core::{Earlier, JournalEntry, Mark};
use postern_protocol::seal::SealedOutput;
use postern_protocol::time::Ago;
use postern_protocol::{Epoch, Failure, FailureClass, SystemName, TaskId, Timestamp};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{Payload, Pending, Proved, results};
use crate::clock;
use crate::policy::{self, Act, Policy};

/// The most bytes of one note.
pub const MAX_NOTE: usize = 3 * 1024;

/// Where an attempt writes before it acts.
pub trait Journal: Send + Sync {
    /// Makes an intent durable, having checked that the task may still act: lease, membership, deadline, cancel, and
    /// before the first one of a task about one account the policy. `reach` is how long the call that follows may take;
    /// the lease must outlive it.
    fn intend(&self, entry: JournalEntry, reach: Duration) -> Pending<'_, Result<(), Failure>>;

    /// Asks the policy about changes that a batch is about to begin; each may be refused. Those that may begin are
    /// counted, durably, when this returns.
    fn admit<'a>(&'a self, acts: &'a [Act]) -> Pending<'a, Result<Vec<Result<(), policy::Refused>>, Failure>>;

    /// Makes what is proved of steps, or to be remembered of them, durable, together with what the audit log tells of
    /// their effects.
    fn record(&self, entries: Vec<JournalEntry>, proved: Proved) -> Pending<'_, Result<(), Failure>>;

    /// The results of a batch so far, from their beginning: what is told of the steps that are done. Reads block: use it
    /// on a thread that may.
    fn results(&self) -> Box<dyn Read + Send>;

    /// Says how far the task is. Lossy; the newest wins.
    fn progress(&self, done: u64, total: u64, phase: &str);

    /// Whether the task brought this sealed field.
    fn has_secret(&self, field: &str) -> bool;

    /// Opens a sealed field of the task.
    fn secret(&self, field: &str) -> Result<Zeroizing<Vec<u8>>, Failure>;

    /// Whether somebody is there to seal a secret to.
    fn has_requester(&self) -> bool;

    /// Seals a secret to the task's requester.
    fn seal(&self, name: &str, secret: &[u8]) -> Result<SealedOutput, Failure>;

    /// The task's dataset in clear, from its beginning. Reads block: use it on a thread that may.
    fn dataset(&self) -> Result<Box<dyn Read + Send>, Failure>;

    /// A new file for the requester; its key becomes the sealed output `key`. Writes block: use it on a thread that may.
    fn payload(&self, key: &str) -> Result<Box<dyn Payload>, Failure>;
}

/// Since when no other task for the same target was under way. What happened to it before, another task may have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alone {
    /// The lease that the attempt is made under.
    pub lease: Epoch,
    /// The lease of the task from which on it was alone.
    pub since: Epoch,
    /// How long ago that began, at the least.
    pub ago: Ago,
}

impl Alone {
    /// Whether no other task was leased since this one had that lease.
    pub fn has_been_since(&self, lease: Epoch) -> bool {
        lease >= self.since
    }

    /// Whether no other member had the task since this one had that lease.
    pub fn was_kept_since(&self, lease: Epoch) -> bool {
        lease.next() >= self.lease
    }
}

/// What one attempt at one task may know and use.
pub struct AttemptCx {
    /// The task.
    pub task: TaskId,
    /// The connected system it is for.
    pub system: SystemName,
    /// An attempt elsewhere may have had an effect: read back before any effect.
    pub reconcile: bool,
    /// Since when it is nobody else's doing what happens to the target.
    pub alone: Alone,
    /// What earlier attempts on this agent journaled.
    pub earlier: Earlier,
    /// When nothing more of the task may be begun: what has begun is gone on with, so that no record is left half done.
    pub deadline: Option<Timestamp>,
    /// Fires when the controller tells of a deadline that has passed, and that was forgotten here.
    pub late: CancellationToken,
    /// Fires when the task should stop at the next point where it can.
    pub stop: CancellationToken,
    /// Whether that was so before the attempt began: it is there to find out what became of what was sent.
    pub finds_out: bool,
    /// Fires when the agent is about to stop.
    pub stopping: CancellationToken,
    /// What may be done to the system.
    pub policy: Arc<Policy>,
    /// Where to write before acting.
    pub journal: Arc<dyn Journal>,
}

impl AttemptCx {
    /// Fires when there is no time to wait for what was sent before.
    pub fn hurry(&self) -> &CancellationToken {
        if self.finds_out { &self.stopping } else { &self.stop }
    }

    /// Makes the intent of a mutating call durable, with what the call is to change. Must precede every mutating call;
    /// if it fails, nothing may be sent.
    pub async fn intend(&self, step: u32, note: Vec<u8>, effect: Vec<u8>, reach: Duration) -> Result<(), Failure> {
        if self.stop.is_cancelled() {
            return Err(stopped());
        }
        self.journal.intend(JournalEntry { step, mark: Mark::Intent, note: checked(note)?, effect }, reach).await
    }

    /// Makes durable that the call announced by the last intent of this step and note had no effect, so that no later
    /// attempt takes it for one that may have had.
    pub async fn take_back(&self, step: u32, note: Vec<u8>) -> Result<(), Failure> {
        self.record(entry(step, Mark::TakenBack, checked(note)?)).await
    }

    /// Takes back what earlier attempts on this agent announced of this step: it was looked for, and is not there.
    pub async fn take_back_earlier(&self, step: u32) -> Result<(), Failure> {
        let entries: Vec<_> = self.earlier.intents(step).map(JournalEntry::taken_back).collect();
        if entries.is_empty() { Ok(()) } else { self.journal.record(entries, Proved::Nothing).await }
    }

    /// Makes something durable that later attempts want to know until the step is done. It announces no call.
    pub async fn memo(&self, step: u32, note: Vec<u8>) -> Result<(), Failure> {
        self.record(entry(step, Mark::Memo, checked(note)?)).await
    }

    async fn record(&self, entry: JournalEntry) -> Result<(), Failure> {
        self.journal.record(vec![entry], Proved::Nothing).await
    }

    /// Makes the end of a step that changed something durable, with what is told of it: its part of the results of a
    /// batch.
    pub async fn done(&self, step: u32, told: &[u8], proved: Proved) -> Result<(), Failure> {
        self.end(step, Mark::Done, told, proved).await
    }

    /// The same for a step that changed nothing.
    pub async fn done_without_change(&self, step: u32, told: &[u8]) -> Result<(), Failure> {
        self.end(step, Mark::Unchanged, told, Proved::Nothing).await
    }

    async fn end(&self, step: u32, mark: Mark, told: &[u8], proved: Proved) -> Result<(), Failure> {
        let notes = results::packed(told).map_err(|error| {
            Failure::new(
                FailureClass::Internal,
                "note_failed",
                format!("what is told of a step cannot be packed: {error}"),
            )
        })?;
        self.journal.record(notes.into_iter().map(|note| entry(step, mark, note)).collect(), proved).await
    }

    /// Whether an earlier attempt proved this step done.
    pub fn is_done(&self, step: u32) -> bool {
        self.earlier.is_done(step)
    }

    /// Whether nothing more of the task may be begun.
    pub fn is_late(&self) -> bool {
        self.late.is_cancelled() || self.deadline.is_some_and(|deadline| clock::now() >= deadline)
    }

    /// Resolves when nothing more of the task may be begun; never if it has no deadline.
    pub async fn until_late(&self) {
        tokio::select! {
            () = self.late.cancelled() => (),
            () = clock::sleep_until(self.deadline) => (),
        }
    }

    /// Whether earlier attempts on this agent may have brought this step about.
    pub fn is_open(&self, step: u32) -> bool {
        self.earlier.intents(step).next().is_some()
    }

    /// How many calls of earlier attempts at this step, here or elsewhere, may have had no answer. Of another member no
    /// more is known than that there may have been one.
    pub fn unanswered(&self, step: u32) -> usize {
        self.earlier.intents(step).count() + usize::from(self.reconcile)
    }

    /// Whether an earlier attempt, here or elsewhere, may have had an effect that is not proved yet.
    pub fn may_have_acted(&self) -> bool {
        self.reconcile || self.earlier.open_intents().next().is_some()
    }
}

/// The failure of an attempt that was asked to stop before it acted again.
pub fn stopped() -> Failure {
    Failure::new(FailureClass::Interrupted, "stopped", "The task was stopped before its next change")
}

fn entry(step: u32, mark: Mark, note: Vec<u8>) -> JournalEntry {
    JournalEntry { step, mark, note, effect: Vec::new() }
}

fn checked(note: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if note.len() > MAX_NOTE {
        return Err(Failure::new(FailureClass::Internal, "note_too_long", "A journal note was longer than its place"));
    }
    Ok(note)
}
