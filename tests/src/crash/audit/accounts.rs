//! Whether the effects on an account are those that the outcome of its task stands for.

use super::super::ended::{Calls, Effects, Ended, Twice};
use super::Trouble;

pub(super) fn check_effects(it: &Ended, trouble: Trouble, effects: Twice<Effects>, as_asked: bool) -> Vec<String> {
    let mut complaints = Vec::new();
    // A state that cannot be seen yet may be asked for a second time; nothing else is repeated.
    let again = u64::from(trouble.late && it.kind.repeat() == postern_protocol::task::Repeat::AfterReadBack);
    let (least, most) = match (it.told.outcome.as_str(), it.told.changed.as_str()) {
        ("succeeded", "yes") => (1, 1 + again),
        ("succeeded" | "already_satisfied" | "failed" | "cancelled", "no") => (0, 0),
        _ => (0, 1 + again),
    };
    let Effects { issued, needless } = effects.after;
    if issued < least || issued > most {
        complaints.push(format!("its outcome accounts for {least} to {most} effects, Salesforce saw {issued}"));
    }
    if needless > again {
        complaints.push(format!("{needless} of its effects were asked for although they were there"));
    }
    let is_success = matches!(it.told.outcome.as_str(), "succeeded" | "already_satisfied");
    if is_success && !as_asked {
        complaints.push("the account was not as asked when the task ended".to_owned());
    }
    complaints.extend(check_end(it, &effects));
    complaints
}

pub(super) fn check_password(it: &Ended, trouble: Trouble, calls: Twice<Calls>, is_set: bool) -> Vec<String> {
    let mut complaints = check_calls(it, trouble, calls.after);
    let taken = calls.after.taken;
    let (least, most) = match (it.told.outcome.as_str(), it.told.changed.as_str()) {
        ("succeeded", "yes") => (1, 1),
        ("succeeded" | "already_satisfied" | "failed" | "cancelled", "no") => (0, 0),
        _ => (0, 1),
    };
    if taken < least || taken > most {
        complaints.push(format!("its outcome accounts for {least} to {most} new passwords, Salesforce took {taken}"));
    }
    if is_set != (taken > 0) {
        complaints.push(format!("{taken} calls were taken, and whether the password is the account's: {is_set}"));
    }
    complaints.extend(check_end(it, &calls));
    complaints
}

/// A given password is sent twice by its first member, the second time after a look that showed nothing, and once under each
/// later lease at the most; always the same.
pub(super) fn check_calls(it: &Ended, trouble: Trouble, calls: Calls) -> Vec<String> {
    let mut complaints = Vec::new();
    let most = if trouble.may_have_lost_answers() { 1 + it.told.attempts.min(2) } else { 1 };
    if calls.own > most {
        complaints.push(format!("a password was sent {} times, {most} are allowed", calls.own));
    }
    if calls.foreign > 0 {
        complaints.push(format!("another password was sent {} times", calls.foreign));
    }
    complaints
}

/// No call takes effect after the end of its task, unless the task says that it does not know.
fn check_end<T: std::fmt::Debug + PartialEq>(it: &Ended, seen: &Twice<T>) -> Option<String> {
    let is_open = matches!(it.told.outcome.as_str(), "unknown" | "dead_lettered");
    (!is_open && seen.at_end != seen.after)
        .then(|| format!("a call took effect after the end: {:?} became {:?}", seen.at_end, seen.after))
}
