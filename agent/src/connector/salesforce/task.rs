//! One file a task kind.

pub(super) mod active;
pub(super) mod describe_schema;
pub(super) mod expire_password;
pub(super) mod export;
pub(super) mod import_batch;
pub(super) mod reset_password;
pub(super) mod test_connection;
pub(super) mod validate_user;

use postern_protocol::outcome::Changed;
use postern_protocol::{Failure, TaskId};

use super::error;
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
    let class = failure.class.known().unwrap_or(postern_protocol::FailureClass::Transient);
    Conclusion::unknown(Failure::new(class, failure.code.as_str(), summary).with_next_step(look_at))
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
