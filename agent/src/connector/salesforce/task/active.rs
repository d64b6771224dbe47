//! Let a user sign in, or keep it from doing so: one field, two kinds.

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::{Account, disable_user, enable_user};
use serde_json::json;

use super::super::api::{Call, Undone};
use super::super::user::{User, not_found};
use super::super::{Salesforce, error};
use super::{proven, undecided};
use crate::connector::{AttemptCx, Conclusion};

/// A change without an answer is looked at and, if need be, made once more. It brings about a state: a second time
/// does no harm.
const ROUNDS: u32 = 2;
const LOOK: &str = "Look at the user in Salesforce, and submit the task again.";

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum State {
    Enabled,
    Disabled,
}

impl State {
    fn is_active(self) -> bool {
        self == Self::Enabled
    }

    fn is_state_of(self, user: &User) -> bool {
        user.is_active == self.is_active()
    }

    fn succeeded(self, user: &User, changed: Changed) -> Conclusion {
        let user_id = Text::clipped(user.id.as_str());
        match self {
            Self::Enabled => Conclusion::succeeded(enable_user::Output { user_id }, changed),
            Self::Disabled => Conclusion::succeeded(disable_user::Output { user_id }, changed),
        }
    }
}

pub(in super::super) async fn run(
    org: &Salesforce,
    account: &Account,
    wanted: State,
    cx: &AttemptCx,
) -> Result<Conclusion, Failure> {
    if cx.may_have_acted() {
        // What was sent before the process died may still take effect.
        org.settle().await;
    }
    let Some(user) = org.find_user(account).await? else { return proven(cx, not_found(account)) };
    if wanted.is_state_of(&user) {
        return Ok(found(wanted, &user, cx));
    }
    if wanted == State::Disabled
        && let Err(failure) = org.spare_service_account(&user).await
    {
        return proven(cx, failure);
    }
    bring_about(org, &user, wanted, cx).await
}

/// The state was there before this attempt. Whether before the task, an earlier attempt's intent decides.
fn found(wanted: State, user: &User, cx: &AttemptCx) -> Conclusion {
    let satisfied = wanted.succeeded(user, Changed::No);
    if !cx.open_intents().is_empty() {
        Conclusion { changed: Changed::Yes, ..satisfied }.probable()
    } else if cx.reconcile {
        Conclusion { changed: Changed::Unknown, ..satisfied }.probable()
    } else {
        Conclusion { outcome: postern_protocol::Outcome::AlreadySatisfied, ..satisfied }
    }
}

async fn bring_about(org: &Salesforce, user: &User, wanted: State, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let note = json!({ "user": user.id, "was": user.is_active }).to_string().into_bytes();
    let call = Call::patch(format!("sobjects/User/{}", user.id), json!({ "IsActive": wanted.is_active() }));
    let mut unanswered = None;
    for _ in 0..ROUNDS {
        let refused = match org.change(cx, 0, &note, &call).await {
            Ok(_) => return Ok(wanted.succeeded(user, Changed::Yes)),
            Err(Undone::Not(failure)) if unanswered.is_none() => return proven(cx, failure),
            Err(Undone::Not(failure)) => Some(failure),
            Err(Undone::Unknown(failure)) => {
                unanswered = Some(failure);
                None
            }
        };
        org.settle().await;
        match (org.read_back(&user.id).await, refused) {
            (Ok(now), _) if wanted.is_state_of(&now) => {
                return Ok(wanted.succeeded(user, Changed::Yes).probable());
            }
            (Ok(_), Some(refused)) if !error::is_retryable(&refused) => {
                return Ok(Conclusion::failed(refused).probable());
            }
            (Ok(_), Some(refused)) => return Ok(undecided(&refused, LOOK)),
            (Ok(_), None) => (),
            (Err(failure), _) => return Ok(undecided(&failure, LOOK)),
        }
    }
    Ok(undecided(&unanswered.unwrap_or_else(|| error::strange(0)), LOOK))
}
