//! Give a user a new password: a given one, or one made up here and sealed to the requester.
//!
//! The intent holds when the password was last changed before the call, so that a later look tells whether the call
//! took effect, and the sealed password, so that a made-up one is not lost with the process that made it.

use data_encoding::BASE64;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::seal::SealedOutput;
use postern_protocol::task::reset_password::{Output, PASSWORD, Request, Source};
use postern_protocol::{Failure, FailureClass, codec};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::api::{Call, Undone};
use super::super::user::{User, inactive, not_found};
use super::super::{Salesforce, error, password, time};
use super::{made_at, proven, undecided};
use crate::connector::{AttemptCx, Conclusion};

/// One call and, if it had no answer and no effect, one more.
const MAX_CALLS: u32 = 2;
const LOOK: &str =
    "Look at when the user's password was last changed in Salesforce; submit the task again if it was not.";

/// What a later attempt wants to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    user: String,
    /// `LastPasswordChangeDate` before the call.
    before: Option<String>,
    /// The number of the call, from 1.
    call: u32,
    /// A made-up password, sealed.
    sealed: Option<String>,
}

/// What the calls before this one may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    /// There were none.
    Clean,
    /// One may have set this very password.
    Doubtful,
}

struct NewPassword {
    value: Zeroizing<String>,
    sealed: Option<SealedOutput>,
}

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let Some(source) = it.source.known() else {
        return Err(Failure::new(
            FailureClass::Rejected,
            "unknown_source",
            "this version knows no such source of passwords",
        ));
    };
    let Some(user) = org.find_user(&it.account).await? else { return proven(cx, not_found(&it.account)) };
    if let Some(conclusion) = from_earlier(org, &user, source, cx).await? {
        return Ok(conclusion);
    }
    if !user.is_active {
        return proven(cx, inactive(&it.account));
    }
    if let Err(failure) = org.spare_service_account(&user).await {
        return proven(cx, failure);
    }
    let new = match source {
        Source::Given => given(cx)?,
        Source::Generated => made_up(cx)?,
    };
    set(org, &user, &new, cx).await
}

/// What earlier attempts have proved, if anything.
async fn from_earlier(
    org: &Salesforce,
    user: &User,
    source: Source,
    cx: &AttemptCx,
) -> Result<Option<Conclusion>, Failure> {
    let Some(note) = last_note(cx) else {
        return Ok((cx.reconcile && source == Source::Generated && changed_since(user, made_at(cx.task))).then(lost));
    };
    org.settle().await;
    let now = org.read_back(&user.id).await?;
    if now.last_password_change_date != note.before {
        return Ok(Some(applied(user, note.opened()).probable()));
    }
    if note.call >= MAX_CALLS {
        return Ok(Some(undecided_with(&no_answer(), note.opened())));
    }
    Ok(None)
}

async fn set(org: &Salesforce, user: &User, new: &NewPassword, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let call = Call::set_password(&user.id, &new.value);
    let earlier_calls = last_note(cx).map_or(0, |note| note.call);
    let mut past = if cx.may_have_acted() { Past::Doubtful } else { Past::Clean };
    let mut unanswered = None;
    for number in earlier_calls + 1..=MAX_CALLS {
        let note = Note::encoded(user, number, new)?;
        match org.change(cx, 0, &note, &call).await {
            Ok(_) => return Ok(applied(user, new.sealed.clone())),
            Err(Undone::Not(failure)) => return refused(org, user, new, failure, past, unanswered.is_some(), cx).await,
            Err(Undone::Unknown(failure)) => unanswered = Some(failure),
        }
        past = Past::Doubtful;
        org.settle().await;
        match org.read_back(&user.id).await {
            Ok(now) if now.last_password_change_date != user.last_password_change_date => {
                return Ok(applied(user, new.sealed.clone()).probable());
            }
            Ok(_) => (),
            Err(failure) => return Ok(undecided_with(&failure, new.sealed.clone())),
        }
    }
    Ok(undecided_with(&unanswered.unwrap_or_else(no_answer), new.sealed.clone()))
}

/// A refusal. "You used this password before" may mean: in the call before this one.
async fn refused(
    org: &Salesforce,
    user: &User,
    new: &NewPassword,
    failure: Failure,
    past: Past,
    unanswered: bool,
    cx: &AttemptCx,
) -> Result<Conclusion, Failure> {
    if past == Past::Clean {
        return Err(if failure.code.as_str() == "INACTIVE_OWNER_OR_USER" { inactive(&user.username) } else { failure });
    }
    if error::is_retryable(&failure) && !unanswered {
        return Err(failure);
    }
    let before = last_note(cx).map_or_else(|| user.last_password_change_date.clone(), |note| note.before);
    let moved = match org.read_back(&user.id).await {
        Ok(now) if last_note(cx).is_none() && !unanswered => changed_since(&now, made_at(cx.task)),
        Ok(now) => now.last_password_change_date != before,
        Err(failure) => return Ok(undecided_with(&failure, new.sealed.clone())),
    };
    if moved {
        return Ok(applied(user, new.sealed.clone()).probable());
    }
    if error::is_retryable(&failure) {
        return Ok(undecided_with(&failure, new.sealed.clone()));
    }
    Ok(Conclusion::failed(failure).probable())
}

fn given(cx: &AttemptCx) -> Result<NewPassword, Failure> {
    let bytes = cx.journal.secret(PASSWORD)?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.is_empty()).ok_or_else(|| {
        Failure::new(FailureClass::Rejected, "bad_password", "the given password is empty or not UTF-8 text")
    })?;
    Ok(NewPassword { value: Zeroizing::new(text.to_owned()), sealed: None })
}

fn made_up(cx: &AttemptCx) -> Result<NewPassword, Failure> {
    let value = password::generate();
    let sealed = Some(cx.journal.seal(PASSWORD, value.as_bytes())?);
    Ok(NewPassword { value, sealed })
}

fn applied(user: &User, sealed: Option<SealedOutput>) -> Conclusion {
    let conclusion = Conclusion::succeeded(Output { user_id: Text::clipped(user.id.as_str()) }, Changed::Yes);
    match sealed {
        Some(sealed) => conclusion.with_sealed(sealed),
        None => conclusion,
    }
}

/// Nobody knows whether the password is in force: a generated one goes to the requester all the same, who can try it.
fn undecided_with(failure: &Failure, sealed: Option<SealedOutput>) -> Conclusion {
    let conclusion = undecided(failure, LOOK);
    match sealed {
        Some(sealed) => conclusion.with_sealed(sealed),
        None => conclusion,
    }
}

/// Another member may have set a password that nobody knows any more.
fn lost() -> Conclusion {
    Conclusion::unknown(
        Failure::new(
            FailureClass::Interrupted,
            "password_lost",
            "the user's password was changed after this task was made, perhaps by a member that could not report it",
        )
        .with_next_step("Submit a new task to give the user another password."),
    )
}

fn no_answer() -> Failure {
    Failure::new(FailureClass::Transient, "no_answer", "Salesforce did not answer, and shows no change")
}

/// Whether the password was changed after `moment`, in milliseconds since 1970; half a minute is left for clocks.
fn changed_since(user: &User, moment: i64) -> bool {
    let changed = user.last_password_change_date.as_deref().and_then(time::parse);
    changed.is_some_and(|at| at.as_millisecond() >= moment - 30_000)
}

fn last_note(cx: &AttemptCx) -> Option<Note> {
    cx.open_intents().iter().rev().find_map(|entry| serde_json::from_slice(&entry.note).ok())
}

impl Note {
    fn encoded(user: &User, call: u32, new: &NewPassword) -> Result<Vec<u8>, Failure> {
        let internal =
            || Failure::new(FailureClass::Internal, "note_failed", "the journal's note could not be written");
        let sealed = match &new.sealed {
            Some(sealed) => Some(BASE64.encode(&codec::encode(sealed).map_err(|_| internal())?)),
            None => None,
        };
        let before = user.last_password_change_date.clone();
        serde_json::to_vec(&Self { user: user.id.clone(), before, call, sealed }).map_err(|_| internal())
    }

    fn opened(&self) -> Option<SealedOutput> {
        codec::decode(&BASE64.decode(self.sealed.as_ref()?.as_bytes()).ok()?).ok()
    }
}
