//! One step of a task: a call that brings about a state, and what is known of it when its answer was lost.

use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Failure, Outcome};

use super::super::api::{Call, Undone};
use super::super::{Salesforce, error};
use super::{proven, undecided};
use crate::connector::{AttemptCx, Conclusion};

/// A change without an answer is looked at and, if need be, made once more. It brings about a state: a second time
/// does no harm.
const ROUNDS: u32 = 2;

/// A state of a record that one call brings about.
pub(super) trait Wanted: Sync {
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
    /// There may be an effect.
    Unknown(Failure),
    /// The same, but what kept it from being looked at may pass: another attempt looks.
    Later(Failure),
}

impl Stuck {
    /// The same, with its failure said in other words.
    pub(super) fn map(self, said: impl FnOnce(Failure) -> Failure) -> Self {
        match self {
            Self::Refused(failure) => Self::Refused(said(failure)),
            Self::Unseen(failure) => Self::Unseen(said(failure)),
            Self::Unknown(failure) => Self::Unknown(failure),
            Self::Later(failure) => Self::Later(failure),
        }
    }

    /// There may be an effect, and it could not be looked at.
    pub(super) fn unseeable(failure: Failure) -> Self {
        if error::is_retryable(&failure) { Self::Later(failure) } else { Self::Unknown(failure) }
    }

    /// The conclusion of a task whose only step this is. `look` is what a person should do who wants to know.
    pub(super) fn conclude(self, look: &str, cx: &AttemptCx) -> Result<Conclusion, Failure> {
        match self {
            Self::Refused(failure) => proven(cx, failure),
            Self::Unseen(failure) => Ok(Conclusion::failed(failure).probable()),
            Self::Unknown(failure) => Ok(undecided(&failure, look)),
            Self::Later(failure) => Err(failure),
        }
    }
}

/// Brings a state about that was looked for and is not there, as step `step` with `note` for later attempts. Says how
/// sure it is that it is there then.
pub(super) async fn bring_about(
    org: &Salesforce,
    wanted: &impl Wanted,
    (step, note): (u32, &[u8]),
    cx: &AttemptCx,
) -> Result<Certainty, Stuck> {
    cx.take_back_earlier(step).await.map_err(Stuck::Later)?;
    let call = wanted.call();
    let mut unanswered = None;
    for _ in 0..ROUNDS {
        let refused = match org.change(cx, step, note, &call).await {
            Ok(_) => return Ok(Certainty::Certain),
            Err(Undone::Not(failure)) if unanswered.is_none() => return Err(Stuck::Refused(failure)),
            Err(Undone::Not(failure)) => Some(failure),
            Err(Undone::Unknown(failure)) => {
                unanswered = Some(failure);
                None
            }
        };
        org.settle().await;
        match (wanted.is_there(org).await, refused) {
            (Ok(true), _) => return Ok(Certainty::Probable),
            (Ok(false), Some(refused)) if !error::is_retryable(&refused) => return Err(Stuck::Unseen(refused)),
            (Ok(false), Some(refused)) => return Err(Stuck::Later(refused)),
            (Ok(false), None) => (),
            (Err(failure), _) => return Err(Stuck::unseeable(failure)),
        }
    }
    Err(Stuck::Unknown(unanswered.unwrap_or_else(|| error::strange(0))))
}

/// The conclusion when the state was there before this attempt. Whether before the task, an earlier attempt's intent
/// decides. `satisfied` is the success that changed nothing.
pub(super) fn found(satisfied: Conclusion, cx: &AttemptCx) -> Conclusion {
    if !cx.open_intents().is_empty() {
        Conclusion { changed: Changed::Yes, ..satisfied }.probable()
    } else if cx.reconcile {
        Conclusion { changed: Changed::Unknown, ..satisfied }.probable()
    } else {
        Conclusion { outcome: Outcome::AlreadySatisfied, ..satisfied }
    }
}
