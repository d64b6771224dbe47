//! What the agent asks of the code for one type of connected system, and what it offers in return.
//!
//! A connector turns one [`TaskRequest`] into calls on its system. It never sees the store, the link or the dispatcher:
//! durability comes through [`AttemptCx::intend`], [`AttemptCx::take_back`], [`AttemptCx::memo`] and
//! [`AttemptCx::done`], memory through [`Keep`].

mod attempt;
mod effect;
mod keep;
pub mod registry;
mod results;
pub mod salesforce;

use std::io::{ErrorKind, Write};
use std::pin::Pin;
use std::time::Duration;

pub use attempt::{Alone, AttemptCx, Journal, MAX_NOTE, stopped};
pub use effect::{Effect, Known, MAX_EFFECT, Proved, Shift, is_false};
pub use keep::{Bucket, Keep, MAX_BUCKET, Visit};
pub use postern_agent_core::{CallsLeft, Earlier, JournalEntry, Mark};
use postern_agent_core::{IN_THE_SYSTEM, LEASES_TOO_SHORT};
use postern_protocol::message::v1::{SignInState, StreamRef};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::plain::Chain;
use postern_protocol::seal::SealedOutput;
use postern_protocol::time::UnixMillis;
use postern_protocol::{Failure, FailureClass, Outcome, TaskKind, TaskOutput, TaskRequest};
use serde::{Deserialize, Serialize};
use url::Url;

pub use registry::{ConnectorType, Cursors, SchemaFile, Schemas, Standing, TYPES, type_of};
pub use results::unpacked;

use crate::doctor::{Check, Finding};
use crate::http::Options;
use crate::policy;

/// A future that a trait object can return.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

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

/// Whether it is this agent that refuses, by its policy or for want of a lease, and not the connected system.
pub fn is_own_refusal(failure: &Failure) -> bool {
    [policy::CODE, LEASES_TOO_SHORT].contains(&failure.code.as_str())
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
