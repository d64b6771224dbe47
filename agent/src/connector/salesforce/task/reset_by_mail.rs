//! Salesforce's own reset of a password: a temporary one, and a mail to the user. A step of two kinds.
//!
//! Each reset makes another temporary password and sends another mail, so it is never repeated by itself.

use postern_protocol::{Failure, FailureClass};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::super::api::{Answer, Call, Undone};
use super::super::user::{User, inactive};
use super::super::{Salesforce, error};
use super::new_password::{is_moved, was_moved};
use super::{Stop, password_may_be_changed_by, step, undecided};
use crate::connector::AttemptCx;

const STEP: u32 = 0;
const LOOK: &str = "Last Password Change or Reset tells whether it was reset when this task ran; submit a new task if it was not. \
    It is not repeated by itself: the user would get a second mail.";

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

/// Resets the password of `user`, or finds out what an earlier attempt did.
pub(super) async fn run(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<Reset, Stop> {
    if cx.may_have_acted() {
        return from_earlier(org, user, cx).await;
    }
    if !user.is_active {
        return Err(inactive(&user.username).into());
    }
    step::spare_service_account(org, user, cx).await?;
    let note = json!({ "user": user.id, "before": user.last_password_change_date }).to_string().into_bytes();
    match org.change(cx, STEP, &note, &Call::reset_password(&user.id)).await {
        Ok(answer) => Ok(Reset::Answered(temporary(answer))),
        Err(Undone::Not(failure)) if failure.code.as_str() == "INACTIVE_OWNER_OR_USER" => {
            Err(inactive(&user.username).into())
        }
        Err(Undone::Not(failure)) => Err(failure.into()),
        Err(Undone::Unknown(failure)) => {
            match is_moved(org, &user.id, user.last_password_change_date.as_ref(), cx).await {
                Ok(true) => Ok(Reset::Seen),
                Ok(false) => Err(undecided(&failure, user, LOOK).into()),
                // Another attempt finds the intent, and only looks.
                Err(failure) if error::is_retryable(&failure) => Err(failure.into()),
                Err(failure) => Err(undecided(&failure, user, LOOK).into()),
            }
        }
    }
}

/// An earlier attempt may have made the call; this one only looks.
async fn from_earlier(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<Reset, Stop> {
    let moved = match note(cx) {
        Some(note) => {
            let before = note.get("before").and_then(Json::as_str).map(str::to_owned);
            was_moved(org, &user.id, before.as_ref(), cx).await
        }
        // An error falls on the side of a change that somebody else made shortly before: it passes for the reset, as
        // probable. The reset is not made again either way.
        None => {
            org.watch_earlier(cx, || async { Ok(password_may_be_changed_by(cx.task, &org.read_back(&user.id).await?)) })
                .await
        }
    };
    if moved? {
        return Ok(Reset::Seen);
    }
    let summary = "an earlier attempt was about to reset the password, and no change is to be seen";
    Err(undecided(&Failure::new(FailureClass::Interrupted, "no_answer", summary), user, LOOK).into())
}

/// The intent of an earlier attempt; its `before` is `LastPasswordChangeDate` as it was before the call.
fn note(cx: &AttemptCx) -> Option<Json> {
    serde_json::from_slice(&cx.open_intents().last()?.note).ok()
}

fn temporary(mut answer: Answer) -> Option<Zeroizing<String>> {
    match answer.json.get_mut("NewPassword").map(Json::take) {
        Some(Json::String(password)) => Some(Zeroizing::new(password)),
        _ => None,
    }
}
