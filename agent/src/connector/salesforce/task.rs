//! One file a task kind.

pub(super) mod active;
pub(super) mod collect;
pub(super) mod deprovision_user;
pub(super) mod describe_schema;
pub(super) mod expire_password;
pub(super) mod export;
mod identity;
pub(super) mod import_batch;
pub(super) mod login_state;
pub(super) mod new_password;
mod plan;
pub(super) mod reset_by_mail;
pub(super) mod reset_password;
pub(super) mod restore_user;
mod step;
pub(super) mod test_connection;
pub(super) mod validate_user;

use jiff::{SignedDuration, Timestamp};
use postern_protocol::outcome::Changed;
use postern_protocol::{Failure, FailureClass, TaskId};

use super::user::User;
use super::{Salesforce, error, time};
use crate::clock;
use crate::connector::{AttemptCx, Conclusion};
pub(super) use step::noted_user;

/// How far the clock of a submitter, which stamps tasks, may be ahead of Salesforce's, which stamps users.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);

/// How a task ends that is not gone through with: with a conclusion, or with a failure of this attempt.
#[derive(Debug)]
pub(super) struct Stop(Result<Conclusion, Failure>);

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self(Err(failure))
    }
}

impl From<Conclusion> for Stop {
    fn from(conclusion: Conclusion) -> Self {
        Self(Ok(conclusion))
    }
}

impl Stop {
    /// A failure after the target was read: whatever earlier attempts did, this is how it is now. Only what may help
    /// again is left to another attempt.
    fn proven(cx: &AttemptCx, failure: Failure) -> Self {
        if !cx.may_have_acted() || error::is_retryable(&failure) {
            return failure.into();
        }
        Conclusion { changed: Changed::Unknown, ..Conclusion::failed(failure) }.into()
    }

    /// What the attempt ends with.
    pub(super) fn end(self) -> Result<Conclusion, Failure> {
        self.0
    }
}

/// What a person should know about an outcome that could not be found out. `look_at` says what tells it of the user, and
/// what to do then.
fn undecided(failure: &Failure, user: &User, look_at: &str) -> Conclusion {
    let summary = format!("it is not known whether it took effect: {}", failure.summary.as_str());
    let class = failure.class.known().unwrap_or(FailureClass::Transient);
    let next_step = format!("In Salesforce, open Setup, Users, `{}` (Id {}): {look_at}", user.username, user.id);
    Conclusion::unknown(Failure::new(class, failure.code.as_str(), summary).with_next_step(next_step))
}

/// The failure of a choice that only a later version offers.
fn unknown_choice(field: &str) -> Failure {
    Failure::new(FailureClass::Rejected, "unknown_choice", format!("this version does not know the value of `{field}`"))
        .with_next_step("Upgrade this agent, or choose what it knows.")
}

/// The failure of a task that cannot be meant so. Nothing was changed.
fn refused(code: &str, summary: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Rejected, code, summary.into()).with_next_step("Correct the task and submit it again")
}

/// The first moment, by Salesforce's clock, at which the task may have changed anything: ids begin with the time of
/// their making, by the submitter's. What others did shortly before the task was made seems to be the task's own then,
/// so that whatever is found this way is never more than probable.
fn may_have_begun(task: TaskId) -> Option<Timestamp> {
    let made = i64::try_from(task.made().0).ok()?;
    Timestamp::from_millisecond(made).ok()?.checked_sub(CLOCKS_APART).ok()
}

/// Warnings that name everything, each short enough for its place.
fn name_all(what: &str, names: &[String]) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for name in names {
        match warnings.last_mut() {
            Some(last) if last.len() + name.len() + 2 <= 500 => {
                last.push_str(", ");
                last.push_str(name);
            }
            _ => warnings.push(format!("{what}: {name}")),
        }
    }
    warnings
}

/// Waits until the org's clock has left the second in which a password was changed: another change within it would bear
/// the same stamp, and not be seen.
async fn leave_second_of(org: &Salesforce, changed: Option<&str>) {
    let wait = changed.and_then(time::parse).map(|changed| org.clock().until_after(changed));
    tokio::time::sleep(wait.unwrap_or_default()).await;
}

/// Whether a password was changed at a time when another member may have done it for the task. An error falls on the side
/// of yes.
fn password_may_be_changed_by(task: TaskId, changed: Option<&str>) -> bool {
    let changed = changed.and_then(time::parse);
    changed.zip(may_have_begun(task)).is_some_and(|(changed, begun)| changed >= begun)
}

/// Whether a password was changed at a time when no other task for the account was under way. An error falls on the side of
/// no: nobody is told that something was done for what an earlier task did.
fn password_is_changed_by(org: &Salesforce, changed: Option<&str>, cx: &AttemptCx) -> bool {
    let since = org.clock().at_most(cx.alone.ago, clock::now());
    changed.and_then(time::parse).zip(since).is_some_and(|(changed, since)| changed >= since)
}
