//! One file a task kind.

pub(super) mod active;
pub(super) mod deprovision_user;
pub(super) mod describe_schema;
pub(super) mod expire_password;
pub(super) mod export;
mod identity;
pub(super) mod import_batch;
pub(super) mod login_state;
mod new_password;
mod plan;
mod reset_by_mail;
pub(super) mod reset_password;
pub(super) mod restore_user;
mod step;
pub(super) mod test_connection;
pub(super) mod validate_user;

use postern_protocol::outcome::Changed;
use postern_protocol::{Failure, FailureClass, TaskId};

use super::user::User;
use super::{error, time};
use crate::connector::{AttemptCx, Conclusion};

/// A failure after the target was read: whatever earlier attempts did, this is how it is now. Only what may help
/// again is left to another attempt.
fn proven(cx: &AttemptCx, failure: Failure) -> Result<Conclusion, Failure> {
    if !cx.may_have_acted() || error::is_retryable(&failure) {
        return Err(failure);
    }
    Ok(Conclusion { changed: Changed::Unknown, ..Conclusion::failed(failure) })
}

/// What a person should know about an outcome that could not be found out.
fn undecided(failure: &Failure, look_at: &str) -> Conclusion {
    let summary = format!("it is not known whether it took effect: {}", failure.summary.as_str());
    let class = failure.class.known().unwrap_or(FailureClass::Transient);
    Conclusion::unknown(Failure::new(class, failure.code.as_str(), summary).with_next_step(look_at))
}

/// The failure of a choice that only a later version offers.
fn unknown_choice(field: &str) -> Failure {
    Failure::new(FailureClass::Rejected, "unknown_choice", format!("this version does not know the value of `{field}`"))
        .with_next_step("Upgrade this agent, or choose what it knows.")
}

/// Whether the password was changed at `moment`, in milliseconds since 1970, or later.
fn password_changed_since(user: &User, moment: i64) -> bool {
    let changed = user.last_password_change_date.as_deref().and_then(time::parse);
    changed.is_some_and(|at| at.as_millisecond() >= moment)
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

/// When the task was made, in milliseconds since 1970, by its submitter's clock: ids begin with it.
fn made_at(task: TaskId) -> i64 {
    task.as_bytes().iter().take(6).fold(0, |millis, byte| millis << 8 | i64::from(*byte))
}
