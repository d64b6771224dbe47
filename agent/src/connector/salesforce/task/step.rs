//! One step of a task: a call that brings about a state, and what is known of it when its answer was lost.

use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::Account;
use postern_protocol::{Failure, FailureClass, Outcome};
use serde_json::{Value as Json, json};

use super::super::api::{Call, MAX_CALLS, Undone};
use super::super::user::{User, not_found, same_id};
use super::super::{Salesforce, error};
use super::{Stop, undecided};
use crate::connector::{AttemptCx, Conclusion, Earlier};

/// A state of a record that one call brings about.
pub(super) trait Wanted: Sync {
    /// The id of the user that it is about.
    fn user(&self) -> &str;

    /// The call.
    fn call(&self) -> Call;

    /// Whether the org shows the state.
    fn is_there(&self, org: &Salesforce) -> impl Future<Output = Result<bool, Failure>> + Send;
}

/// Why a step was not proved done.
#[derive(Debug)]
pub(super) enum Stuck {
    /// The one call that was made had no effect.
    Refused(Failure),
    /// The last call was refused, and of those before it, which had no answer, no effect is to be seen.
    Unseen(Failure),
    /// The last call was refused. There is an effect, perhaps of one before it, which wanted something else.
    Another(Failure),
    /// There may be an effect.
    Unknown(Failure),
    /// The same, and it could not be looked at: if another attempt follows, that looks.
    Later(Failure),
}

impl Stuck {
    /// The same, with its failure said in other words.
    pub(super) fn map(self, said: impl FnOnce(Failure) -> Failure) -> Self {
        match self {
            Self::Refused(failure) => Self::Refused(said(failure)),
            Self::Unseen(failure) => Self::Unseen(said(failure)),
            Self::Another(failure) => Self::Another(failure),
            Self::Unknown(failure) => Self::Unknown(failure),
            Self::Later(failure) => Self::Later(failure),
        }
    }

    /// How a task ends whose only step this is. `look` says what of the user a person should look at who wants to know.
    pub(super) fn stop(self, user: &User, look: &str, cx: &AttemptCx) -> Stop {
        match self {
            Self::Refused(failure) => Stop::proven(cx, failure),
            Self::Unseen(failure) => Conclusion::failed(failure).probable().into(),
            Self::Another(failure) | Self::Unknown(failure) => undecided(&failure, user, look).into(),
            Self::Later(failure) => failure.into(),
        }
    }
}

/// Lets what earlier attempts sent before they died take effect, if it ever will, before anything is looked at.
pub(super) async fn settle_earlier(org: &Salesforce, cx: &AttemptCx) {
    if cx.may_have_acted() {
        org.settle().await;
    }
}

/// The user that the task is about, by its name. If that is no more the name of whom earlier attempts on this agent were about to
/// change, it is not known what came of that; `look` is as in [`Stuck::stop`].
pub(super) async fn user_to_change(
    org: &Salesforce,
    account: &Account,
    look: &str,
    cx: &AttemptCx,
) -> Result<User, Stop> {
    let user = org.find_user(account).await?;
    let is_another = |id: &String| user.as_ref().is_none_or(|user| !same_id(id, &user.id));
    if let Some(id) = noted_user(&cx.earlier).filter(is_another) {
        let noted = org.read_back(&id).await?;
        org.outlast(cx.earlier.open_intents().count(), cx).await?;
        let summary = format!("the user that it was about to change is called `{}` now", noted.username);
        let failure = Failure::new(FailureClass::Interrupted, "renamed_meanwhile", summary);
        return Err(undecided(&failure, &noted, look).into());
    }
    user.ok_or_else(|| Stop::proven(cx, not_found(account)))
}

/// Ends a task that would change the account the agent itself signs in with.
pub(super) async fn spare_service_account(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<(), Stop> {
    org.spare_service_account(user).await.map_err(|failure| Stop::proven(cx, failure))
}

/// The id of the user that earlier attempts on this agent were about to change, or have changed.
pub(in super::super) fn noted_user(earlier: &Earlier) -> Option<String> {
    earlier.open().iter().find_map(|entry| {
        let note: Json = serde_json::from_slice(&entry.note).ok()?;
        Some(note.get("user")?.as_str()?.to_owned())
    })
}

/// What an intent tells later attempts of a change to a user.
pub(super) fn user_note(user: &str) -> Vec<u8> {
    json!({ "user": user }).to_string().into_bytes()
}

/// Brings a state about that was looked for and is not there, as step `step`. Says how sure it is that it is there then.
pub(super) async fn bring_about(
    org: &Salesforce,
    wanted: &impl Wanted,
    step: u32,
    cx: &AttemptCx,
) -> Result<Certainty, Stuck> {
    // It is not asked for any more, so that it matters whether what was sent before has an effect after all.
    if cx.finds_out && is_there_after_all(org, wanted, step, cx).await? {
        return Ok(Certainty::Probable);
    }
    let (note, call) = (user_note(wanted.user()), wanted.call());
    let (mut round, mut unanswered) = (1, cx.unanswered(step));
    loop {
        let undone = match org.change(cx, step, &note, &call).await {
            Ok(_) => {
                org.outlast(unanswered, cx).await.map_err(Stuck::Later)?;
                return Ok(Certainty::Certain);
            }
            Err(Undone::Not(failure)) if round == 1 => return Err(Stuck::Refused(failure)),
            Err(undone) => undone,
        };
        let is_last = round == MAX_CALLS || matches!(undone, Undone::Not(_));
        let is_there = if is_last {
            org.watch(cx, || wanted.is_there(org)).await
        } else {
            org.settle().await;
            wanted.is_there(org).await
        };
        match (is_there, undone) {
            (Ok(true), _) => {
                // One of them is what was seen.
                org.outlast(unanswered, cx).await.map_err(Stuck::Later)?;
                return Ok(Certainty::Probable);
            }
            (Ok(false), Undone::Not(refused)) if !error::is_retryable(&refused) => {
                cx.take_back_earlier(step).await.map_err(Stuck::Later)?;
                for _ in 1..round {
                    cx.take_back(step, note.clone()).await.map_err(Stuck::Later)?;
                }
                return Err(Stuck::Unseen(refused));
            }
            (Ok(false), Undone::Not(refused)) => return Err(Stuck::Later(refused)),
            (Ok(false), Undone::Unknown(failure)) if round == MAX_CALLS => return Err(Stuck::Unknown(failure)),
            (Ok(false), Undone::Unknown(_)) => {
                round += 1;
                unanswered += 1;
            }
            (Err(failure), _) => return Err(Stuck::Later(failure)),
        }
    }
}

/// Whether what earlier attempts on this agent sent of a step has brought its state about. If it has not, it never
/// will, and is taken back.
pub(super) async fn is_there_after_all(
    org: &Salesforce,
    wanted: &impl Wanted,
    step: u32,
    cx: &AttemptCx,
) -> Result<bool, Stuck> {
    if !cx.is_open(step) {
        return Ok(false);
    }
    if org.watch_earlier(cx, || wanted.is_there(org)).await.map_err(Stuck::Later)? {
        return Ok(true);
    }
    cx.take_back_earlier(step).await.map_err(Stuck::Later)?;
    Ok(false)
}

/// The conclusion when the state was there before this attempt. Whether before the task, an earlier attempt's intent
/// decides. `satisfied` is the success that changed nothing.
pub(super) async fn found(
    org: &Salesforce,
    satisfied: Conclusion,
    step: u32,
    cx: &AttemptCx,
) -> Result<Conclusion, Failure> {
    org.outlast(cx.unanswered(step).saturating_sub(1), cx).await?;
    if cx.is_open(step) {
        return Ok(Conclusion { changed: Changed::Yes, ..satisfied }.probable());
    }
    Ok(found_now(satisfied, cx))
}

/// The same where no step that is open can have brought the state about.
pub(super) fn found_now(satisfied: Conclusion, cx: &AttemptCx) -> Conclusion {
    if cx.may_have_acted() {
        Conclusion { changed: Changed::Unknown, ..satisfied }.probable()
    } else {
        Conclusion { outcome: Outcome::AlreadySatisfied, ..satisfied }
    }
}
