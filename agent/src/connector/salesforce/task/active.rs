//! Let a user sign in, or keep it from doing so: one field, two kinds.

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::{Account, disable_user, enable_user};
use serde_json::json;

use super::super::Salesforce;
use super::super::api::Call;
use super::super::user::{User, not_found};
use super::proven;
use super::step::{self, Wanted, bring_about};
use crate::connector::{AttemptCx, Conclusion};

const LOOK: &str = "Look at the user in Salesforce, and submit the task again.";

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum State {
    Enabled,
    Disabled,
}

/// The state of one user.
pub(super) struct Active<'a> {
    pub(super) user: &'a str,
    pub(super) state: State,
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

impl Wanted for Active<'_> {
    fn call(&self) -> Call {
        Call::patch(format!("sobjects/User/{}", self.user), json!({ "IsActive": self.state.is_active() }))
    }

    async fn is_there(&self, org: &Salesforce) -> Result<bool, Failure> {
        Ok(self.state.is_state_of(&org.read_back(self.user).await?))
    }
}

pub(in super::super) async fn run(
    org: &Salesforce,
    account: &Account,
    state: State,
    cx: &AttemptCx,
) -> Result<Conclusion, Failure> {
    if cx.may_have_acted() {
        // What was sent before the process died may still take effect.
        org.settle().await;
    }
    let Some(user) = org.find_user(account).await? else { return proven(cx, not_found(account)) };
    if state.is_state_of(&user) {
        return Ok(step::found(state.succeeded(&user, Changed::No), cx));
    }
    if state == State::Disabled
        && let Err(failure) = org.spare_service_account(&user).await
    {
        return proven(cx, failure);
    }
    let note = json!({ "user": user.id, "was": user.is_active }).to_string().into_bytes();
    match bring_about(org, &Active { user: &user.id, state }, (0, &note), cx).await {
        Ok(certainty) => Ok(Conclusion { certainty, ..state.succeeded(&user, Changed::Yes) }),
        Err(stuck) => stuck.conclude(LOOK, cx),
    }
}
