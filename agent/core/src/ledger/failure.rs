//! What the ledger says when it does not let an attempt act, or a task go on.

use std::time::Duration;

use postern_protocol::{Failure, FailureClass};

/// What a person should look at: one account, or what the results of a batch do not tell of.
fn account(target: &str) -> String {
    if target.is_empty() { "the accounts that no result tells of".to_owned() } else { format!("`{target}`") }
}

/// What to do about a task of which some may have taken effect.
fn look_first(target: &str) -> String {
    look_first_at(target, IN_THE_SYSTEM)
}

fn look_first_at(target: &str, place: &str) -> String {
    format!("Look at {} {place} before submitting the task again", account(target))
}

/// Where to look at an account, as far as is known here.
pub const IN_THE_SYSTEM: &str = "in the connected system";

/// Why a task ended of which some may have taken effect: its next step is to look at its target, in that place.
#[must_use]
pub fn to_be_looked_at(failure: Failure, target: &str, place: &str) -> Failure {
    let look = look_first_at(target, place);
    let next_step = match failure.class.known() {
        // The ledger's own, which say so already.
        Some(FailureClass::Interrupted) => return failure,
        // What may pass needs nothing but to be tried again, and just that comes after the look.
        Some(FailureClass::Transient | FailureClass::RateLimited) => look,
        _ if failure.next_step.is_empty() => look,
        _ => format!("{look}. {}", failure.next_step),
    };
    failure.with_next_step(next_step)
}

pub(super) fn process_died(target: &str) -> Failure {
    Failure::new(
        FailureClass::Internal,
        "process_died",
        "The agent's process died again and again in the same step of this task, so the task is not run again by itself",
    )
    .with_next_step(format!(
        "Look at {} in the connected system, where its last call may still take effect for some minutes, and at the agent's log \
         before submitting it again",
        account(target)
    ))
}

/// What to do about a task in which the process died before it had begun anything.
pub(super) const NOTHING_WAS_CHANGED: &str = "Nothing was changed. Look at the agent's log before submitting it again";

/// The code of a failure of this agent's own: no lease is long enough for the calls that it may make.
pub const LEASES_TOO_SHORT: &str = "leases_too_short";

pub(super) fn never_long_enough(ttl: Duration, reach: Duration) -> Failure {
    let summary = format!(
        "The controller's leases last {} s, too short for a call that may take {} s",
        ttl.as_secs(),
        reach.as_secs()
    );
    Failure::new(FailureClass::Rejected, LEASES_TOO_SHORT, summary).with_next_step(
        "Lower the connected system's `request_timeout_secs` to at least a second less than two thirds of the lease, or have the controller's \
         `--lease-ttl-secs` raised: with its `--settle-secs` it may be 840 at most.",
    )
}

pub(super) fn abandoned(target: &str) -> Failure {
    Failure::new(
        FailureClass::Interrupted,
        "abandoned",
        "The command that ran this task on this machine was killed in the middle of it",
    )
    .with_next_step(format!(
        "Look at {} in the connected system before running it again. Run an import again with `--attribute \
         NAME=diff_with_target` for each of its attributes: what was done already is found `unchanged`",
        account(target)
    ))
}

pub(super) fn cancelled_too_late(target: &str) -> Failure {
    Failure::new(
        FailureClass::Interrupted,
        "cancelled_too_late",
        "The task was cancelled after it had begun; some of it may have taken effect",
    )
    .with_next_step(look_first(target))
}

pub(super) fn expired_in_doubt(target: &str) -> Failure {
    Failure::new(
        FailureClass::Interrupted,
        "expired_in_doubt",
        "The deadline passed; the member that had the task before may have done some of it",
    )
    .with_next_step(look_first(target))
}

pub(super) fn lease_lost(target: &str) -> Failure {
    Failure::new(
        FailureClass::Interrupted,
        "lease_lost",
        "The lease of the task was lost after it had begun; some of it may have taken effect",
    )
    .with_next_step(look_first(target))
}

/// A refusal of the next call: the attempt ends and changes nothing more.
fn interrupted(code: &str, why: &str) -> Failure {
    Failure::new(FailureClass::Interrupted, code, why)
}

pub(super) fn not_held() -> Failure {
    interrupted("not_held", "The task is no longer held by this agent")
}

pub(super) fn fenced() -> Failure {
    interrupted("fenced", "The lease of the task was lost to another member")
}

pub(super) fn leased_anew() -> Failure {
    interrupted("leased_anew", "The task is leased anew, so it is looked at anew before anything is changed")
}

pub(super) fn cancelled() -> Failure {
    interrupted("cancelled", "The task was cancelled")
}

/// The code of what ends an attempt that finds nothing begun when its deadline has passed.
pub const EXPIRED: &str = "expired";

pub(super) fn expired() -> Failure {
    interrupted(EXPIRED, "The deadline of the task passed before it began")
}

pub(super) fn not_enabled() -> Failure {
    interrupted("not_enabled", "The member may not begin work now")
}

pub(super) fn lease_too_short() -> Failure {
    let why = "The lease of the task could not be renewed in time, so the call that was to follow was not made";
    interrupted("lease_too_short", why)
}
