//! Salesforce's own reset of a password: a temporary one, and a mail to the user. A step of two kinds.
//!
//! Each reset makes another temporary password and sends another mail, so it is never repeated by itself, unless its task
//! allows that.

use postern_protocol::{Epoch, Failure, FailureClass};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::super::api::{Answer, Call, MAX_CALLS, Undone};
use super::super::user::{User, inactive};
use super::super::{Salesforce, error};
use super::new_password::{is_moved, was_moved};
use super::{Stop, leave_second_of, password_is_changed_by, step, undecided};
use crate::connector::{AttemptCx, Conclusion, Shift};

const STEP: u32 = 0;
/// What of the user tells whether it was reset.
pub(super) const LOOK: &str = "Last Password Change or Reset tells whether it was reset when this task ran; submit a new task \
    if it was not. It is not repeated by itself: the user would get a second mail.";

/// What the requester is told of a reset that was answered.
pub(super) const RESET: &str = "Salesforce reset the password: the old one is useless at once, and the user was sent a \
    mail with a link to choose a new one.";
/// What the requester is told of a reset that was seen only.
pub(super) const LOST: &str = "The password was changed at the time of the reset, whose answer was lost: the old one is \
    useless, and the user was sent a mail with a link. The temporary password is not known.";

/// A reset that took effect.
pub(super) enum Reset {
    /// It was answered, with the temporary password.
    Answered(Option<Zeroizing<String>>),
    /// The password was changed at that time; what it is now is not known.
    Seen,
}

/// What an intent tells later attempts.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Note {
    user: String,
    /// The lease that the first call was made under.
    lease: Epoch,
    /// `LastPasswordChangeDate` as it was before the first call.
    before: Option<String>,
}

/// Resets the password of `user`, or finds out what an earlier attempt did. `may_repeat`: a reset of this member that had
/// no answer, and no effect when it can have none any more, is made once more.
pub(super) async fn run(org: &Salesforce, user: &User, may_repeat: bool, cx: &AttemptCx) -> Result<Reset, Stop> {
    let most = if may_repeat { MAX_CALLS } else { 1 };
    let (mut number, note) = if cx.may_have_acted() {
        if was_reset(org, user, cx).await? {
            return Ok(Reset::Seen);
        }
        match only_call(cx).filter(|_| most > 1) {
            Some(first) => (2, first),
            None => return Err(undecided(&no_answer(), user, LOOK).into()),
        }
    } else {
        if !user.is_active {
            return Err(inactive(&user.username).into());
        }
        step::spare_service_account(org, user, cx).await?;
        let before = user.last_password_change_date.clone();
        (1, Note { user: user.id.clone(), lease: cx.alone.lease, before })
    };
    leave_second_of(org, note.before.as_deref()).await;
    let bytes = serde_json::to_vec(&note).unwrap_or_default();
    let call = Call::reset_password(&user.id).telling(&user.changed(vec![Shift::password()]));
    loop {
        let unanswered = match org.change(cx, STEP, &bytes, &call).await {
            Ok(answer) => return Ok(Reset::Answered(temporary(answer))),
            Err(Undone::Not(failure)) => return Err(refused(failure, user, number)),
            Err(Undone::Unknown(failure)) => failure,
        };
        match is_moved(org, &user.id, note.before.as_ref(), cx).await {
            Ok(true) => return Ok(Reset::Seen),
            Ok(false) if number < most => number += 1,
            Ok(false) => return Err(undecided(&unanswered, user, LOOK).into()),
            // Another attempt finds the intent, and looks.
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// Whether what earlier attempts sent has reset the password, when it is certain that it has no effect any more.
async fn was_reset(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<bool, Failure> {
    if let Some(note) = notes(cx).last().filter(|note| cx.alone.has_been_since(note.lease)) {
        return was_moved(org, &user.id, note.before.as_ref(), cx).await;
    }
    let is_ours = || async {
        let now = org.read_back(&user.id).await?;
        Ok(password_is_changed_by(org, now.last_password_change_date.as_deref(), cx))
    };
    org.watch_earlier(cx, is_ours).await
}

/// The call that is repeated, if this task may: the only one that was made, and by this member. An attempt that was told
/// to stop before it began repeats nothing.
fn only_call(cx: &AttemptCx) -> Option<Note> {
    let is_only = cx.unanswered(STEP) == 1 && !cx.finds_out;
    notes(cx).last().filter(|_| is_only)
}

/// What the intents that may have become effects say, oldest first.
fn notes(cx: &AttemptCx) -> impl Iterator<Item = Note> {
    cx.earlier.open_intents().filter_map(|entry| serde_json::from_slice(&entry.note).ok())
}

/// A call was refused. Of one before it no effect is to be seen.
fn refused(failure: Failure, user: &User, number: u32) -> Stop {
    let failure = match failure.code.as_str() {
        "INACTIVE_OWNER_OR_USER" => inactive(&user.username),
        _ => failure,
    };
    if number > 1 && !error::is_retryable(&failure) {
        return Conclusion::failed(failure).probable().into();
    }
    failure.into()
}

fn no_answer() -> Failure {
    let summary = "an earlier attempt was about to reset the password, and no change is to be seen";
    Failure::new(FailureClass::Interrupted, "no_answer", summary)
}

fn temporary(mut answer: Answer) -> Option<Zeroizing<String>> {
    match answer.json.get_mut("NewPassword").map(Json::take) {
        Some(Json::String(password)) => Some(Zeroizing::new(password)),
        _ => None,
    }
}
