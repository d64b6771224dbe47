//! Salesforce's own reset of a password: a temporary one, and a mail to the user. A step of two kinds.
//!
//! Each reset makes another temporary password and sends another mail, so it is never repeated by itself.

use postern_protocol::{Failure, FailureClass};
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::super::api::{Answer, Call, Undone};
use super::super::user::{User, inactive};
use super::super::{Salesforce, error};
use super::{made_at, password_changed_since, proven, undecided};
use crate::connector::{AttemptCx, Conclusion};

const LOOK: &str = "Look at when the user's password was last changed in Salesforce; submit a new task if it was not. \
    It is not repeated by itself: the user would get a second mail.";

/// A reset that took effect.
pub(super) enum Reset {
    /// It was answered, with the temporary password.
    Answered(Option<Zeroizing<String>>),
    /// The password was changed at that time; what it is now is not known.
    Seen,
}

/// Resets the password of `user`, or finds out what an earlier attempt did. `Err` holds how the task ends otherwise.
pub(super) async fn run(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<Reset, Result<Conclusion, Failure>> {
    if cx.may_have_acted() {
        return from_earlier(org, user, cx).await;
    }
    if !user.is_active {
        return Err(Err(inactive(&user.username)));
    }
    if let Err(failure) = org.spare_service_account(user).await {
        return Err(proven(cx, failure));
    }
    let note = json!({ "user": user.id, "before": user.last_password_change_date }).to_string().into_bytes();
    match org.change(cx, 0, &note, &Call::reset_password(&user.id)).await {
        Ok(answer) => Ok(Reset::Answered(temporary(answer))),
        Err(Undone::Not(failure)) if failure.code.as_str() == "INACTIVE_OWNER_OR_USER" => {
            Err(Err(inactive(&user.username)))
        }
        Err(Undone::Not(failure)) => Err(Err(failure)),
        Err(Undone::Unknown(failure)) => {
            org.settle().await;
            match org.read_back(&user.id).await {
                Ok(now) if now.last_password_change_date != user.last_password_change_date => Ok(Reset::Seen),
                Ok(_) => Err(Ok(undecided(&failure, LOOK))),
                // Another attempt finds the intent, and only looks.
                Err(failure) if error::is_retryable(&failure) => Err(Err(failure)),
                Err(failure) => Err(Ok(undecided(&failure, LOOK))),
            }
        }
    }
}

/// An earlier attempt may have made the call; this one only looks.
async fn from_earlier(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<Reset, Result<Conclusion, Failure>> {
    org.settle().await;
    let now = org.read_back(&user.id).await.map_err(Err)?;
    let moved = match note(cx) {
        Some(note) => now.last_password_change_date.as_deref() != note.get("before").and_then(Json::as_str),
        None => password_changed_since(&now, made_at(cx.task)),
    };
    if moved {
        return Ok(Reset::Seen);
    }
    let summary = "an earlier attempt was about to reset the password, and no change is to be seen";
    Err(Ok(undecided(&Failure::new(FailureClass::Interrupted, "no_answer", summary), LOOK)))
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
