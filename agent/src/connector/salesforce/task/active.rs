//! Let a user sign in, or keep it from doing so: one field, two kinds.

use postern_protocol::bounded::Text;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::disable_user::IfRefused;
use postern_protocol::task::{disable_user, enable_user};
use postern_protocol::{Failure, FailureClass};
use serde_json::Map;

use super::super::Salesforce;
use super::super::api::Call;
use super::super::user::User;
use super::super::user_login::user_login_hidden;
use super::login_state::{self, Login};
use super::step::{self, Stuck, Wanted, bring_about};
use super::{Stop, unknown_choice};
use crate::connector::{AttemptCx, Conclusion, Shift, is_own_refusal};

const LOOK: &str = "Active and, of a user who is frozen instead, the button Unfreeze tell it. Then submit the task again: what is \
    there already is not done twice.";

/// The steps of disabling; enabling has the first alone.
const ACTIVE: u32 = 0;
const FREEZE: u32 = 1;

/// Whether a user may sign in.
pub(super) struct Active<'a> {
    pub(super) user: &'a User,
    pub(super) active: bool,
}

impl Wanted for Active<'_> {
    fn user(&self) -> &str {
        &self.user.id
    }

    fn call(&self) -> Call {
        let fields = Map::from_iter([("IsActive".to_owned(), self.active.into())]);
        let effect = self.user.changed(vec![Shift::new("IsActive", !self.active, self.active)]);
        Call::patch_user(&self.user.id, self.user.role(), fields).telling(&effect)
    }

    async fn is_there(&self, org: &Salesforce) -> Result<bool, Failure> {
        Ok(org.read_back(&self.user.id).await?.is_active == self.active)
    }
}

pub(in super::super) async fn enable(
    org: &Salesforce,
    it: enable_user::Request,
    cx: &AttemptCx,
) -> Result<Conclusion, Stop> {
    step::settle_earlier(org, cx).await;
    let user = step::user_to_change(org, &it.account, LOOK, cx).await?;
    let enabled =
        |changed| Conclusion::succeeded(enable_user::Output { user_id: Text::clipped(user.id.as_str()) }, changed);
    if user.is_active {
        return Ok(step::found(org, enabled(Changed::No), ACTIVE, cx).await?);
    }
    match bring_about(org, &Active { user: &user, active: true }, ACTIVE, cx).await {
        Ok(certainty) => Ok(Conclusion { certainty, ..enabled(Changed::Yes) }),
        Err(stuck) => Err(stuck.stop(&user, LOOK, cx)),
    }
}

pub(in super::super) async fn disable(
    org: &Salesforce,
    it: disable_user::Request,
    cx: &AttemptCx,
) -> Result<Conclusion, Stop> {
    let Some(if_refused) = it.if_refused.known() else { return Err(unknown_choice("if_refused").into()) };
    step::settle_earlier(org, cx).await;
    let user = step::user_to_change(org, &it.account, LOOK, cx).await?;
    if !user.is_active {
        return Ok(step::found(org, disabled(&user, FrozenInstead::No, Changed::No), ACTIVE, cx).await?);
    }
    step::spare_service_account(org, &user, cx).await?;
    let inactive = Active { user: &user, active: false };
    let done = |certainty| Conclusion { certainty, ..disabled(&user, FrozenInstead::No, Changed::Yes) };
    let may_freeze = |failure: &Failure| if_refused == IfRefused::Freeze && blocks(failure);
    match bring_about(org, &inactive, ACTIVE, cx).await {
        Ok(certainty) => Ok(done(certainty)),
        Err(Stuck::Refused(failure)) if may_freeze(&failure) => {
            match step::is_there_after_all(org, &inactive, ACTIVE, cx).await {
                Ok(true) => Ok(done(Certainty::Probable)),
                Ok(false) => freeze(org, &user, failure, cx).await,
                Err(stuck) => Err(stuck.stop(&user, LOOK, cx)),
            }
        }
        Err(Stuck::Unseen(failure)) if may_freeze(&failure) => freeze(org, &user, failure, cx).await,
        Err(stuck) => Err(stuck.map(blocked).stop(&user, LOOK, cx)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrozenInstead {
    No,
    Yes,
}

fn disabled(user: &User, frozen: FrozenInstead, changed: Changed) -> Conclusion {
    let user_id = Text::clipped(user.id.as_str());
    Conclusion::succeeded(disable_user::Output { user_id, frozen_instead: frozen == FrozenInstead::Yes }, changed)
}

/// Suspends the sign-in of a user that `blocker` keeps active.
async fn freeze(org: &Salesforce, user: &User, blocker: Failure, cx: &AttemptCx) -> Result<Conclusion, Stop> {
    let also = |failure: Failure| {
        let (why, freezing) = (blocker.summary.as_str(), failure.summary.as_str());
        let summary = format!("the user can be neither disabled ({why}) nor frozen instead: {freezing}");
        Failure { summary: Text::clipped(summary), ..failure }
    };
    let Some(login) = org.user_login(&user.id).await? else { return Err(Stop::proven(cx, also(user_login_hidden()))) };
    let state = login_state::State::Frozen;
    if state.is_state_of(&login) {
        return Ok(step::found(org, disabled(user, FrozenInstead::Yes, Changed::No), FREEZE, cx).await?);
    }
    match bring_about(org, &Login { user, record: &login.id, state }, FREEZE, cx).await {
        Ok(certainty) => Ok(Conclusion { certainty, ..disabled(user, FrozenInstead::Yes, Changed::Yes) }),
        Err(stuck) => Err(stuck.map(also).stop(user, LOOK, cx)),
    }
}

/// Whether it is the user, or what the org needs it for, that stands in the way.
fn blocks(failure: &Failure) -> bool {
    failure.class.known() == Some(FailureClass::Rejected) && !is_own_refusal(failure)
}

/// The refusal, said as what it is: Salesforce names what stands in the way in its own words only.
pub(super) fn blocked(failure: Failure) -> Failure {
    if !blocks(&failure) {
        return failure;
    }
    let summary = format!("Salesforce keeps the user active; what stands in the way: {}", failure.summary.as_str());
    let first = if failure.next_step.is_empty() {
        "Take the user out of the place that Salesforce names (default owner, workflow user, approver, …)."
    } else {
        failure.next_step.as_str()
    };
    let next_step = format!(
        "{first} Then submit the task again; or freeze the user (`if_refused: freeze`, or freeze_user), which blocks \
         sign-in and keeps the license."
    );
    Failure { summary: Text::clipped(summary), next_step: Text::clipped(next_step), ..failure }
}

#[cfg(test)]
mod tests {
    use postern_agent_core::LEASES_TOO_SHORT;

    use super::*;
    use crate::policy;

    #[test]
    fn what_this_agent_refuses_is_not_said_of_salesforce() {
        let refused = |code| blocked(Failure::new(FailureClass::Rejected, code, "why").with_next_step("Mend it."));
        assert!(refused("DELETE_FAILED").summary.contains("Salesforce keeps the user active"));
        for own in [LEASES_TOO_SHORT, policy::CODE] {
            let told = refused(own);
            assert_eq!((told.summary.as_str(), told.next_step.as_str()), ("why", "Mend it."), "{own}");
        }
    }
}
