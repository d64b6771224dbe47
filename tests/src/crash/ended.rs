//! What is known of a task when it has ended: what the controller says, and what the simulator saw.

use postern_protocol::{TaskId, TaskKind};
use serde_json::Value;
use tokio::time::Instant;

/// A task with its outcome.
pub(super) struct Ended {
    pub(super) id: TaskId,
    pub(super) kind: TaskKind,
    /// The account, or who imports and exports.
    pub(super) of: String,
    /// When it was submitted.
    pub(super) from: Instant,
    /// When its outcome was known.
    pub(super) to: Instant,
    /// Whether somebody wanted it cancelled.
    pub(super) cancelled: bool,
    /// Whether a call of it took effect late.
    pub(super) late: bool,
    pub(super) told: Told,
    pub(super) seen: Seen,
}

/// What the controller says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) outcome: String,
    pub(super) certainty: String,
    pub(super) changed: String,
    /// How many leases it had.
    pub(super) attempts: u64,
    /// Whether a member told it; else the controller gave up waiting for one.
    pub(super) by_member: bool,
    pub(super) output: Value,
    pub(super) why: String,
}

impl Told {
    pub(super) fn of(task: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            outcome: text(&task["outcome"]),
            certainty: text(&task["certainty"]),
            changed: text(&task["changed"]),
            attempts: task["attempt"].as_u64().unwrap_or(0),
            by_member: task["member"].is_string(),
            output: task["output"].clone(),
            why: format!(
                "{} {}{}",
                text(&task["failure"]["code"]),
                text(&task["failure"]["summary"]),
                text(&task["note"])
            ),
        }
    }
}

/// What was seen from outside.
pub(super) enum Seen {
    /// Of enabling, disabling or expiring: the effects, and whether the account is as was asked.
    Account { effects: Twice<Effects>, as_asked: bool },
    /// Of a given password: the calls, and whether it is the account's.
    Password { calls: Twice<Calls>, is_set: bool },
    /// Of an import.
    Import { entries: Vec<Entry>, results: Option<Result<Vec<u8>, String>> },
    /// Of an export: the names in the file.
    Export { names: Result<Vec<String>, String> },
}

/// Something looked at when the outcome was known, and when the latest call of the task had taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Twice<T> {
    pub(super) at_end: T,
    pub(super) after: T,
}

/// What a task did to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effects {
    /// How often it was enabled, disabled or its password expired.
    pub(super) issued: u64,
    /// How often it was asked to be enabled or disabled and was already.
    pub(super) needless: u64,
}

/// Calls that give an account a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calls {
    /// With the task's own.
    pub(super) own: u64,
    /// With any other.
    pub(super) foreign: u64,
    /// Those that took effect.
    pub(super) taken: u64,
}

/// An entry of an import.
pub(super) struct Entry {
    pub(super) account: String,
    pub(super) is_new: bool,
    /// Whether there is such an account with the values of this entry.
    pub(super) is_there: Twice<bool>,
    /// Calls that gave it a password, if it was to have one.
    pub(super) calls: Option<Calls>,
    /// Whether it has that password in the end.
    pub(super) is_set: bool,
}
