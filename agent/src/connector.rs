//! What the agent asks of the code for one type of connected system, and what it offers in return.
//!
//! A connector turns one [`TaskRequest`] into calls on its system. It never sees the store, the link or the dispatcher:
//! durability comes through [`AttemptCx::intend`], [`AttemptCx::take_back`], [`AttemptCx::memo`] and
//! [`AttemptCx::done`], memory through [`Keep`].

mod effect;
pub mod registry;
mod results;
pub mod salesforce;

use std::io::{ErrorKind, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use effect::{Effect, Known, MAX_EFFECT, Proved, Shift, is_false};
pub use postern_agent_core::{CallsLeft, Earlier, JournalEntry, Mark};
use postern_agent_core::{IN_THE_SYSTEM, LEASES_TOO_SHORT};
use postern_protocol::message::v1::{SignInState, StreamRef};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::plain::Chain;
use postern_protocol::seal::SealedOutput;
use postern_protocol::time::{Ago, UnixMillis};
use postern_protocol::{
    Epoch, Failure, FailureClass, Outcome, SystemName, TaskId, TaskKind, TaskOutput, TaskRequest, Timestamp,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use url::Url;
use zeroize::Zeroizing;

pub use registry::{ConnectorType, Cursors, SchemaFile, Schemas, Standing, TYPES, type_of};
pub use results::unpacked;

use crate::clock;
use crate::doctor::{Check, Finding};
use crate::http::Options;
use crate::policy::{self, Act, Policy};

/// A future that a trait object can return.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What looks at a key and its value.
pub type Visit<'a> = dyn FnMut(&str, &[u8]) -> Result<(), Failure> + 'a;

/// The code for one type of connected system, set up for one system.
pub trait Connector: Send + Sync + 'static {
    /// The type's name, as in the configuration.
    fn name(&self) -> &'static str;

    /// The kinds of task it can do.
    fn supports(&self) -> &'static [TaskKind];

    /// How long the system wants to be left alone after this failure of an attempt; zero if it did not say.
    fn patience(&self, _failure: &Failure) -> Duration {
        Duration::ZERO
    }

    /// How long after it was begun a call may still take effect.
    fn unsettled_for(&self) -> Duration {
        Duration::ZERO
    }

    /// Where a person finds the account of a task, as far as its journal tells, in the words that follow its name.
    fn place(&self, _journal: &Earlier) -> String {
        IN_THE_SYSTEM.to_owned()
    }

    /// What its journal has for the requester of a task that no attempt concludes: secrets that may be in force, and that
    /// nobody else knows.
    fn owed(&self, _kind: TaskKind, _journal: &Earlier) -> Vec<SealedOutput> {
        Vec::new()
    }

    /// How the system is reached, as the configuration says; nothing of it is secret.
    fn route(&self) -> Route {
        Route::default()
    }

    /// How signing in goes.
    fn sign_in(&self) -> SignIn {
        SignIn::default()
    }

    /// How many more calls the system takes; `None` if nobody knows, or there is no bound.
    fn calls_left(&self) -> Option<CallsLeft> {
        None
    }

    /// Looks at what stands between a task and its effect: how to sign in, what the service account may do, what is left of
    /// what the system grants. Signs in at most once, by the way that tasks do, and changes nothing. What was found is in
    /// `found` at once, because a look that takes too long is broken off.
    fn examine<'a>(&'a self, _reach: Reach, _found: &'a mut Vec<Finding>) -> Pending<'a, ()> {
        Box::pin(async {})
    }

    /// How much the system is asked.
    fn calls(&self) -> Calls {
        Calls::default()
    }

    /// Runs one attempt at a task.
    ///
    /// `Err` means that this attempt proved nothing beyond what it journaled; its class decides whether another attempt
    /// follows, which finds the journal in [`AttemptCx::earlier`]. If none does, the journal decides how the task ends, and
    /// that not before [`Self::unsettled_for`] is over. Everything else, an effect that was looked for as long as that and not
    /// seen included, is a [`Conclusion`].
    fn run<'a>(&'a self, request: TaskRequest, cx: &'a AttemptCx) -> Pending<'a, Result<Conclusion, Failure>>;
}

/// How far a look may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// To the system.
    Everything,
    /// No farther than what is known here.
    Nothing,
    /// No farther, because of something on the way that has to be mended first.
    Behind(Check),
}

/// Where a system is, and how it is reached.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    /// A page of it that anybody may read.
    pub page: Url,
    /// How it is reached.
    pub by: Options,
}

/// How much a connected system is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls {
    /// The calls that it took in a day and how many it takes, as it said last.
    pub used_of: Option<(u64, u64)>,
    /// Calls that run.
    pub running: usize,
}

/// How a connected system is reached, as the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The host it is signed in at.
    pub domain: String,
    /// How.
    pub login_method: String,
    /// Only encrypted connections are made.
    pub secure: bool,
    /// Answers may come compressed.
    pub compression: bool,
    /// How many seconds a connection may take to be made; zero: as long as the request.
    pub connect_timeout_secs: u32,
}

/// How signing in to a connected system goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignIn {
    /// Whether it may be done, and went well.
    pub state: SignInState,
    /// When it went well last, in this process; milliseconds since 1970.
    pub last: Option<UnixMillis>,
    /// The address the system saw the agent come from, when it was asked last.
    pub address: Option<String>,
    /// Why it failed, if it did; without secrets.
    pub failure: Option<String>,
}

impl Default for SignIn {
    fn default() -> Self {
        Self { state: SignInState::Untried, last: None, address: None, failure: None }
    }
}

/// How an attempt ended a task.
#[derive(Debug)]
pub struct Conclusion {
    /// How it ended.
    pub outcome: Outcome,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether anything was changed.
    pub changed: Changed,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The kind's output.
    pub output: Option<TaskOutput>,
    /// Secrets for the requester; those that a report has no room for are left out.
    pub sealed: Vec<SealedOutput>,
    /// The payload that came of it, if one did.
    pub payload: Option<StreamRef>,
}

impl Conclusion {
    /// It did what was asked.
    pub fn succeeded(output: impl Into<TaskOutput>, changed: Changed) -> Self {
        Self {
            outcome: Outcome::Succeeded,
            certainty: Certainty::Certain,
            changed,
            failure: None,
            output: Some(output.into()),
            sealed: Vec::new(),
            payload: None,
        }
    }

    /// The wanted state was there before.
    pub fn already_satisfied(output: impl Into<TaskOutput>) -> Self {
        Self { outcome: Outcome::AlreadySatisfied, ..Self::succeeded(output, Changed::No) }
    }

    /// It did not do what was asked, and nothing was changed: known although calls were made.
    pub fn failed(failure: Failure) -> Self {
        Self {
            outcome: Outcome::Failed,
            certainty: Certainty::Certain,
            changed: Changed::No,
            failure: Some(failure),
            output: None,
            sealed: Vec::new(),
            payload: None,
        }
    }

    /// Whether it took effect cannot be found out; `failure` says what a person should look at.
    pub fn unknown(failure: Failure) -> Self {
        Self {
            outcome: Outcome::Unknown,
            certainty: Certainty::Unknown,
            changed: Changed::Unknown,
            ..Self::failed(failure)
        }
    }

    /// The same, known from reading back rather than from an answer.
    #[must_use]
    pub fn probable(mut self) -> Self {
        self.certainty = Certainty::Probable;
        self
    }

    /// The same, with secrets for the requester.
    #[must_use]
    pub fn with_sealed(mut self, sealed: impl IntoIterator<Item = SealedOutput>) -> Self {
        self.sealed.extend(sealed);
        self
    }
}

/// A file for the requester while it is written, in clear here and sealed wherever it is kept. Dropped before it is
/// finished, nothing is left of it.
pub trait Payload: Write + Send {
    /// Completes it, and returns it with its key, sealed to the requester. Until then nobody takes it for whole.
    fn finish(self: Box<Self>) -> Result<(StreamRef, SealedOutput), Failure>;
}

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
        self.deadline.is_some_and(|deadline| clock::now() >= deadline)
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

/// Whether it is this agent that refuses, by its policy or for want of a lease, and not the connected system.
pub fn is_own_refusal(failure: &Failure) -> bool {
    [policy::CODE, LEASES_TOO_SHORT].contains(&failure.code.as_str())
}

/// The failure of an attempt that was asked to stop before it acted again.
pub fn stopped() -> Failure {
    Failure::new(FailureClass::Interrupted, "stopped", "The task was stopped before its next change")
}

/// The code of a failure for want of room on the disk.
pub const DISK_FULL: &str = "disk_full";

/// The failure that a payload which cannot be written is for its task.
pub fn unwritten(error: &std::io::Error) -> Failure {
    let failed = |class, code: &str, summary: &str| Failure::new(class, code, summary);
    if error.kind() == ErrorKind::StorageFull {
        return failed(FailureClass::Transient, DISK_FULL, "The agent's disk is too full for what comes of the task")
            .with_next_step("Make room on the disk of the agent's state directory, then submit the task again");
    }
    if error.kind() == ErrorKind::FileTooLarge {
        return failed(FailureClass::Rejected, "payload_too_large", "What comes of the task is larger than may be")
            .with_next_step("Ask for less: fewer attributes, or fewer records by a filter");
    }
    failed(FailureClass::Internal, "spool", &format!("What comes of the task cannot be written: {}", Chain(error)))
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

/// The most bytes of one bucket.
pub const MAX_BUCKET: usize = 192 * 1024;

/// The key of a bucket, and its content; `None`: it is forgotten.
pub type Bucket = (String, Option<Vec<u8>>);

/// Small facts a connector wants to find again after a restart, e.g. how it last signed in. Not for secrets.
pub trait Keep: Send + Sync {
    /// The value last kept under `key`.
    fn recall(&self, key: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// Keeps a value of at most [`MAX_NOTE`] bytes. Durable when it returns.
    fn keep<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Pending<'a, Result<(), Failure>>;

    /// Forgets what is kept under `key`.
    fn forget<'a>(&'a self, key: &'a str) -> Pending<'a, Result<(), Failure>>;

    /// The bucket last kept under `key`. Buckets and values have keys of their own.
    fn bucket(&self, key: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// Keeps buckets, or forgets them, in this order and each whole or not at all. All is durable when it returns; before,
    /// some may be.
    fn keep_buckets(&self, buckets: Vec<Bucket>) -> Pending<'_, Result<(), Failure>>;

    /// Shows every bucket whose key begins with `prefix`, with its key, in the order of keys. Blocks.
    fn each_bucket(&self, prefix: &str, visit: &mut Visit<'_>) -> Result<(), Failure>;

    /// Forgets every bucket whose key begins with `prefix`. Cut off in the middle, some are left.
    fn forget_buckets<'a>(&'a self, prefix: &'a str) -> Pending<'a, Result<(), Failure>>;

    /// Whether a task succeeded and what came of it is known to be in the hands of its requester's side.
    fn delivered(&self, task: TaskId) -> Result<bool, Failure>;
}
