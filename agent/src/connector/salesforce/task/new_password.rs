//! Set a password that is known here, given or made up. A step of several kinds.
//!
//! The intent holds when the password was last changed before the call, so that a later look tells whether the call
//! took effect, and the sealed password, so that a made-up one is not lost with the process that made it.

use data_encoding::BASE64;
use postern_protocol::outcome::Certainty;
use postern_protocol::seal::SealedOutput;
use postern_protocol::{Epoch, Failure, FailureClass, codec};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::api::{Call, MAX_CALLS, Undone};
use super::super::user::{User, inactive};
use super::super::{Salesforce, error, password};
use super::step::Stuck;
use super::{leave_second_of, password_is_changed_by, password_may_be_changed_by};
use crate::connector::{AttemptCx, Earlier as Journal, Shift};

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
    /// No call had an answer, none is known to have had an effect, and no further one may be made.
    Exhausted(Failure, Option<SealedOutput>),
}

/// Who may have set the password before the call that is made now.
enum Before {
    Nobody,
    /// Another member, whose journal is not here; or an earlier attempt on this agent, and then another task for the account.
    AnotherMember,
    /// An earlier attempt on this agent, at a time when `LastPasswordChangeDate` was this.
    AnEarlierAttempt(Option<String>),
    /// This attempt, with a call that was not answered; the same `LastPasswordChangeDate`.
    ThisAttempt(Option<String>),
}

/// What a later attempt wants to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Note {
    user: String,
    /// The lease that the call is made under.
    lease: Epoch,
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
                .with_next_step("Submit the task again with a password")
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
    last_note(step, &cx.earlier).is_some()
}

/// What the requester gets of the password that earlier attempts may have set, if it was made up.
pub(super) fn sealed_earlier(step: u32, journal: &Journal) -> Option<SealedOutput> {
    last_note(step, journal)?.opened()
}

/// What earlier attempts have proved.
pub(super) async fn from_earlier(org: &Salesforce, user: &User, step: u32, cx: &AttemptCx) -> Result<Earlier, Failure> {
    let Some(note) = last_note(step, &cx.earlier) else { return Ok(Earlier::Nothing) };
    let is_moved = was_moved(org, &user.id, note.before.as_ref(), cx).await?;
    // A given one is the same, whichever member sent it. Of those that were made up one may be in force at most.
    let is_made_up = note.sealed.is_some();
    let is_ours = note.is_alone(cx) && (!is_made_up || cx.alone.was_kept_since(note.lease));
    Ok(if is_moved && is_ours {
        Earlier::Set(note.opened())
    } else if note.call >= MAX_CALLS || (is_moved && is_made_up) {
        Earlier::Exhausted(if is_moved { not_alone() } else { no_answer() }, note.opened())
    } else {
        Earlier::Nothing
    })
}

/// Sets the password, unless an earlier attempt on this agent has. Says how sure it is that it is in force.
pub(super) async fn set_or_find(
    org: &Salesforce,
    user: &User,
    new: impl FnOnce() -> Result<NewPassword, Failure>,
    step: u32,
    cx: &AttemptCx,
) -> Result<Certainty, Stuck> {
    match from_earlier(org, user, step, cx).await.map_err(Stuck::Later)? {
        Earlier::Set(_) => Ok(Certainty::Probable),
        Earlier::Exhausted(failure, _) => Err(Stuck::Unknown(failure)),
        Earlier::Nothing => set(org, user, &new().map_err(Stuck::Refused)?, step, cx).await,
    }
}

/// Sets the password, of which earlier attempts have proved [`Earlier::Nothing`]. Says how sure it is that it is in
/// force.
pub(super) async fn set(
    org: &Salesforce,
    user: &User,
    new: &NewPassword,
    step: u32,
    cx: &AttemptCx,
) -> Result<Certainty, Stuck> {
    let call = Call::set_password(&user.id, &new.value).telling(&user.changed(vec![Shift::password()]));
    let mut before = Before::of(step, cx);
    let mut number = last_note(step, &cx.earlier).map_or(1, |note| note.call + 1);
    if matches!(before, Before::AnotherMember) && new.sealed.is_none() {
        // The same password, perhaps set already: it is looked for, and then sent once.
        let is_set = || async { Ok(is_changed_by(org, &org.read_back(&user.id).await?, cx)) };
        if org.watch_earlier(cx, is_set).await.map_err(Stuck::Later)? {
            return Ok(Certainty::Probable);
        }
        number = MAX_CALLS;
    }
    leave_second_of(org, user.last_password_change_date.as_deref()).await;
    loop {
        let note = Note::encoded(user, number, new, cx).map_err(Stuck::Refused)?;
        let unanswered = match org.change(cx, step, &note, &call).await {
            Ok(_) => return Ok(Certainty::Certain),
            Err(Undone::Not(failure)) => return refused(org, user, new, failure, before, cx).await,
            Err(Undone::Unknown(failure)) => failure,
        };
        let as_read = user.last_password_change_date.as_ref();
        if is_moved(org, &user.id, as_read, cx).await.map_err(Stuck::Later)? {
            return Ok(Certainty::Probable);
        }
        if number >= MAX_CALLS {
            return Err(Stuck::Unknown(unanswered));
        }
        number += 1;
        before = before.and_this_attempt(user);
    }
}

/// Whether the password was changed since `before`, when it is certain that what was sent has no effect any more.
pub(super) async fn is_moved(
    org: &Salesforce,
    user: &str,
    before: Option<&String>,
    cx: &AttemptCx,
) -> Result<bool, Failure> {
    org.watch(cx, || async { Ok(org.read_back(user).await?.last_password_change_date.as_ref() != before) }).await
}

/// The same for what earlier attempts sent.
pub(super) async fn was_moved(
    org: &Salesforce,
    user: &str,
    before: Option<&String>,
    cx: &AttemptCx,
) -> Result<bool, Failure> {
    let is_moved = || async { Ok(org.read_back(user).await?.last_password_change_date.as_ref() != before) };
    org.watch_earlier(cx, is_moved).await
}

/// A refusal. "You used this password before" may mean: in the call before this one.
async fn refused(
    org: &Salesforce,
    user: &User,
    new: &NewPassword,
    failure: Failure,
    before: Before,
    cx: &AttemptCx,
) -> Result<Certainty, Stuck> {
    let now = async { org.read_back(&user.id).await.map_err(Stuck::Later) };
    let is_set = match before {
        Before::Nobody if failure.code.as_str() == "INACTIVE_OWNER_OR_USER" => {
            return Err(Stuck::Refused(inactive(&user.username)));
        }
        Before::Nobody => return Err(Stuck::Refused(failure)),
        Before::AnotherMember | Before::AnEarlierAttempt(_) if error::is_retryable(&failure) => {
            return Err(Stuck::Refused(failure));
        }
        // Another call had another password: what changed is not what was refused here.
        Before::AnotherMember | Before::AnEarlierAttempt(_) if new.sealed.is_some() => {
            let is_moved = now.await?.last_password_change_date != user.last_password_change_date;
            return Err(if is_moved { Stuck::Another(failure) } else { Stuck::Unseen(failure) });
        }
        Before::AnotherMember => {
            let user = now.await?;
            let is_set = is_changed_by(org, &user, cx);
            if !is_set && password_may_be_changed_by(cx.task, user.last_password_change_date.as_deref()) {
                return Err(Stuck::Unknown(failure));
            }
            is_set
        }
        Before::AnEarlierAttempt(former) | Before::ThisAttempt(former) => {
            now.await?.last_password_change_date != former
        }
    };
    if is_set {
        return Ok(Certainty::Probable);
    }
    Err(if error::is_retryable(&failure) { Stuck::Later(failure) } else { Stuck::Unseen(failure) })
}

/// Whether another member may have set a password for this task, when it is certain that what it sent has no effect any
/// more. An error falls on the side of yes: a made-up password that is perhaps in force is called lost, rather than another
/// set on top of it.
pub(super) async fn may_be_of_another_member(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<bool, Failure> {
    if !cx.reconcile {
        return Ok(false);
    }
    let may_be_set = || async {
        let now = org.read_back(&user.id).await?;
        Ok(password_may_be_changed_by(cx.task, now.last_password_change_date.as_deref()))
    };
    org.watch_earlier(cx, may_be_set).await
}

fn is_changed_by(org: &Salesforce, user: &User, cx: &AttemptCx) -> bool {
    password_is_changed_by(org, user.last_password_change_date.as_deref(), cx)
}

fn no_answer() -> Failure {
    Failure::new(FailureClass::Transient, "no_answer", "Salesforce did not answer, and shows no change")
}

fn not_alone() -> Failure {
    let summary = "Salesforce did not answer, and shows a change that another member or task may have made";
    Failure::new(FailureClass::Transient, "no_answer", summary)
}

fn last_note(step: u32, journal: &Journal) -> Option<Note> {
    journal.intents(step).rev().find_map(|entry| serde_json::from_slice(&entry.note).ok())
}

impl Before {
    /// As an attempt begins.
    fn of(step: u32, cx: &AttemptCx) -> Self {
        match last_note(step, &cx.earlier) {
            Some(note) if note.is_alone(cx) => Self::AnEarlierAttempt(note.before),
            Some(_) => Self::AnotherMember,
            None if cx.reconcile => Self::AnotherMember,
            None => Self::Nobody,
        }
    }

    /// After a call of this attempt was not answered.
    fn and_this_attempt(self, user: &User) -> Self {
        match self {
            Self::Nobody | Self::AnotherMember => Self::ThisAttempt(user.last_password_change_date.clone()),
            Self::AnEarlierAttempt(former) | Self::ThisAttempt(former) => Self::ThisAttempt(former),
        }
    }
}

impl Note {
    fn encoded(user: &User, call: u32, new: &NewPassword, cx: &AttemptCx) -> Result<Vec<u8>, Failure> {
        let internal =
            || Failure::new(FailureClass::Internal, "note_failed", "the journal's note could not be written");
        let sealed = match &new.sealed {
            Some(sealed) => Some(BASE64.encode(&codec::encode(sealed).map_err(|_| internal())?)),
            None => None,
        };
        let before = user.last_password_change_date.clone();
        let note = Self { user: user.id.clone(), lease: cx.alone.lease, before, call, sealed };
        serde_json::to_vec(&note).map_err(|_| internal())
    }

    /// Whether no other task for the account was under way since: whatever changed is the doing of this one.
    fn is_alone(&self, cx: &AttemptCx) -> bool {
        cx.alone.has_been_since(self.lease)
    }

    fn opened(&self) -> Option<SealedOutput> {
        codec::decode(&BASE64.decode(self.sealed.as_ref()?.as_bytes()).ok()?).ok()
    }
}
