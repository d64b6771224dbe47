//! Make a user's password useless at once. Salesforce has no such call; its reset is what comes closest.
//!
//! Each reset makes another temporary password and sends another mail, so it is never repeated by itself.

use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::expire_password::{Output, Request};
use postern_protocol::{Failure, FailureClass};
use serde_json::{Value as Json, json};

use super::super::api::{Call, Undone};
use super::super::user::{User, inactive, not_found};
use super::super::{Salesforce, time};
use super::{made_at, proven, undecided};
use crate::connector::{AttemptCx, Conclusion};

const MESSAGE: &str = "Salesforce reset the password: the old one is useless at once, and the user was sent a mail with \
    a link to choose a new one.";
const MESSAGE_LOST: &str = "The password was changed at the time of the reset, whose answer was lost: the old one is \
    useless, and the user was sent a mail with a link. The temporary password that Salesforce made is not known.";
const LOOK: &str = "Look at when the user's password was last changed in Salesforce; submit a new task if it was not. \
    It is not repeated by itself: the user would get a second mail.";

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let Some(user) = org.find_user(&it.account).await? else { return proven(cx, not_found(&it.account)) };
    if cx.may_have_acted() {
        return from_earlier(org, &user, cx).await;
    }
    if !user.is_active {
        return Err(inactive(&it.account));
    }
    org.spare_service_account(&user).await?;
    let note = json!({ "user": user.id, "before": user.last_password_change_date }).to_string().into_bytes();
    match org.change(cx, 0, &note, &Call::reset_password(&user.id)).await {
        // The temporary password is nobody's business: the mail lets the user choose one.
        Ok(_) => Ok(expired(&user, MESSAGE)),
        Err(Undone::Not(failure)) if failure.code.as_str() == "INACTIVE_OWNER_OR_USER" => Err(inactive(&it.account)),
        Err(Undone::Not(failure)) => Err(failure),
        Err(Undone::Unknown(failure)) => {
            org.settle().await;
            match org.read_back(&user.id).await {
                Ok(now) if now.last_password_change_date != user.last_password_change_date => {
                    Ok(expired(&user, MESSAGE_LOST).probable())
                }
                Ok(_) => Ok(undecided(&failure, LOOK)),
                Err(failure) => Ok(undecided(&failure, LOOK)),
            }
        }
    }
}

/// An earlier attempt may have made the call; this one only looks.
async fn from_earlier(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    org.settle().await;
    let now = org.read_back(&user.id).await?;
    let moved = match note(cx) {
        Some(note) => now.last_password_change_date.as_deref() != note.get("before").and_then(Json::as_str),
        None => changed_since(&now, made_at(cx.task)),
    };
    if moved {
        return Ok(expired(user, MESSAGE_LOST).probable());
    }
    let summary = "an earlier attempt was about to reset the password, and no change is to be seen";
    Ok(undecided(&Failure::new(FailureClass::Interrupted, "no_answer", summary), LOOK))
}

/// The intent of an earlier attempt; its `before` is `LastPasswordChangeDate` as it was before the call.
fn note(cx: &AttemptCx) -> Option<Json> {
    serde_json::from_slice(&cx.open_intents().last()?.note).ok()
}

fn changed_since(user: &User, moment: i64) -> bool {
    let changed = user.last_password_change_date.as_deref().and_then(time::parse);
    changed.is_some_and(|at| at.as_millisecond() >= moment)
}

fn expired(user: &User, message: &str) -> Conclusion {
    let output = Output { user_id: Text::clipped(user.id.as_str()), message: Text::clipped(message) };
    Conclusion::succeeded(output, Changed::Yes)
}
