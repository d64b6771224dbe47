//! Set a password that is known here, given or made up. A step of several kinds.
//!
//! The intent holds when the password was last changed before the call, so that a later look tells whether the call
//! took effect, and the sealed password, so that a made-up one is not lost with the process that made it.

use data_encoding::BASE64;
use postern_protocol::outcome::Certainty;
use postern_protocol::seal::SealedOutput;
use postern_protocol::{Failure, FailureClass, codec};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::api::{Call, Undone};
use super::super::user::{User, inactive};
use super::super::{Salesforce, error, password};
use super::step::Stuck;
use super::{made_at, password_changed_since};
use crate::connector::AttemptCx;

/// One call and, if it had no answer and no effect, one more.
const MAX_CALLS: u32 = 2;
/// What the clocks of submitter and Salesforce may be apart.
const CLOCKS: i64 = 30_000;

/// A password on its way.
pub(super) struct NewPassword {
    value: Zeroizing<String>,
    /// What the requester gets.
    pub(super) sealed: Option<SealedOutput>,
}

/// What earlier attempts on this agent prove of the step.
pub(super) enum Earlier {
    /// Nothing: the call may be made.
    Nothing,
    /// The password was set, and this is what the requester gets.
    Set(Option<SealedOutput>),
    /// No call had an answer or an effect, and no further one may be made.
    Exhausted(Option<SealedOutput>),
}

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

impl NewPassword {
    /// The one in the task's sealed field.
    pub(super) fn given(field: &str, cx: &AttemptCx) -> Result<Self, Failure> {
        let bytes = cx.journal.secret(field)?;
        let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.is_empty()).ok_or_else(|| {
            Failure::new(FailureClass::Rejected, "bad_password", "the given password is empty or not UTF-8 text")
        })?;
        Ok(Self { value: Zeroizing::new(text.to_owned()), sealed: None })
    }

    /// One that is made up, and sealed to the requester under this name.
    pub(super) fn made_up(name: &str, cx: &AttemptCx) -> Result<Self, Failure> {
        let value = password::generate();
        let sealed = Some(cx.journal.seal(name, value.as_bytes())?);
        Ok(Self { value, sealed })
    }

    /// One that is made up for nobody.
    pub(super) fn for_nobody() -> Self {
        Self { value: password::generate(), sealed: None }
    }
}

/// Whether earlier attempts left a note of this step.
pub(super) fn was_begun(step: u32, cx: &AttemptCx) -> bool {
    last_note(step, cx).is_some()
}

/// What earlier attempts have proved.
pub(super) async fn from_earlier(org: &Salesforce, user: &User, step: u32, cx: &AttemptCx) -> Result<Earlier, Failure> {
    let Some(note) = last_note(step, cx) else { return Ok(Earlier::Nothing) };
    org.settle().await;
    let now = org.read_back(&user.id).await?;
    Ok(if now.last_password_change_date != note.before {
        Earlier::Set(note.opened())
    } else if note.call >= MAX_CALLS {
        Earlier::Exhausted(note.opened())
    } else {
        Earlier::Nothing
    })
}

/// Sets the password. Says how sure it is that it is in force.
pub(super) async fn set(
    org: &Salesforce,
    user: &User,
    new: &NewPassword,
    step: u32,
    cx: &AttemptCx,
) -> Result<Certainty, Stuck> {
    let call = Call::set_password(&user.id, &new.value);
    let earlier_calls = last_note(step, cx).map_or(0, |note| note.call);
    let mut unanswered = None;
    for number in earlier_calls + 1..=MAX_CALLS {
        let note = Note::encoded(user, number, new).map_err(Stuck::Refused)?;
        match org.change(cx, step, &note, &call).await {
            Ok(_) => return Ok(Certainty::Certain),
            Err(Undone::Not(failure)) => return refused(org, user, failure, unanswered.is_some(), step, cx).await,
            Err(Undone::Unknown(failure)) => unanswered = Some(failure),
        }
        org.settle().await;
        match org.read_back(&user.id).await {
            Ok(now) if now.last_password_change_date != user.last_password_change_date => {
                return Ok(Certainty::Probable);
            }
            Ok(_) => (),
            Err(failure) => return Err(Stuck::unseeable(failure)),
        }
    }
    Err(Stuck::Unknown(unanswered.unwrap_or_else(no_answer)))
}

/// A refusal. "You used this password before" may mean: in the call before this one.
async fn refused(
    org: &Salesforce,
    user: &User,
    failure: Failure,
    unanswered: bool,
    step: u32,
    cx: &AttemptCx,
) -> Result<Certainty, Stuck> {
    let earlier = last_note(step, cx);
    let is_first = !unanswered && !cx.reconcile && earlier.is_none();
    if is_first && failure.code.as_str() == "INACTIVE_OWNER_OR_USER" {
        return Err(Stuck::Refused(inactive(&user.username)));
    }
    if is_first || error::is_retryable(&failure) && !unanswered {
        return Err(Stuck::Refused(failure));
    }
    let moved = match org.read_back(&user.id).await {
        Ok(now) if earlier.is_none() && !unanswered => password_changed_since(&now, made_at(cx.task) - CLOCKS),
        Ok(now) => {
            let before = earlier.map_or_else(|| user.last_password_change_date.clone(), |note| note.before);
            now.last_password_change_date != before
        }
        Err(failure) => return Err(Stuck::unseeable(failure)),
    };
    if moved {
        return Ok(Certainty::Probable);
    }
    Err(if error::is_retryable(&failure) { Stuck::Later(failure) } else { Stuck::Unseen(failure) })
}

/// Whether another member may have set a password for this task; half a minute is left for clocks.
pub(super) fn may_be_of_another_member(user: &User, cx: &AttemptCx) -> bool {
    cx.reconcile && password_changed_since(user, made_at(cx.task) - CLOCKS)
}

pub(super) fn no_answer() -> Failure {
    Failure::new(FailureClass::Transient, "no_answer", "Salesforce did not answer, and shows no change")
}

fn last_note(step: u32, cx: &AttemptCx) -> Option<Note> {
    let open = cx.open_intents();
    let mut notes = open.into_iter().filter(|entry| entry.step == step).rev();
    notes.find_map(|entry| serde_json::from_slice(&entry.note).ok())
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
