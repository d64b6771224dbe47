//! Freeze, unfreeze and unlock: three states of UserLogin, three kinds.

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::{Account, freeze_user, unfreeze_user, unlock_user};
use serde_json::json;

use super::super::Salesforce;
use super::super::api::Call;
use super::super::user::User;
use super::super::user_login::{UserLogin, user_login_hidden};
use super::Stop;
use super::step::{self, Wanted, bring_about};
use crate::connector::{AttemptCx, Conclusion, Shift};

const STEP: u32 = 0;
const LOOK: &str = "the buttons tell it: one who is frozen has Unfreeze, one who is locked out has Unlock. Then submit the task \
    again: what is there already is not done twice.";

/// How a user's sign-in should stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum State {
    Frozen,
    Unfrozen,
    Unlocked,
}

/// The state of one user's sign-in.
pub(super) struct Login<'a> {
    pub(super) user: &'a User,
    /// The UserLogin record.
    pub(super) record: &'a str,
    pub(super) state: State,
}

impl State {
    pub(super) fn is_state_of(self, login: &UserLogin) -> bool {
        match self {
            Self::Frozen => login.is_frozen,
            Self::Unfrozen => !login.is_frozen,
            Self::Unlocked => !login.is_password_locked,
        }
    }

    fn succeeded(self, user: &User, changed: Changed) -> Conclusion {
        let user_id = Text::clipped(user.id.as_str());
        match self {
            Self::Frozen => Conclusion::succeeded(freeze_user::Output { user_id }, changed),
            Self::Unfrozen => Conclusion::succeeded(unfreeze_user::Output { user_id }, changed),
            Self::Unlocked => Conclusion::succeeded(unlock_user::Output { user_id }, changed),
        }
    }
}

impl Wanted for Login<'_> {
    fn user(&self) -> &str {
        &self.user.id
    }

    fn call(&self) -> Call {
        let (field, value) = match self.state {
            State::Frozen => ("IsFrozen", true),
            State::Unfrozen => ("IsFrozen", false),
            State::Unlocked => ("IsPasswordLocked", false),
        };
        let effect = self.user.changed(vec![Shift::new(field, !value, value)]);
        Call::patch(format!("sobjects/UserLogin/{}", self.record), json!({ field: value })).telling(&effect)
    }

    async fn is_there(&self, org: &Salesforce) -> Result<bool, Failure> {
        Ok(self.state.is_state_of(&org.read_login_back(&self.user.id).await?))
    }
}

pub(in super::super) async fn run(
    org: &Salesforce,
    account: &Account,
    state: State,
    cx: &AttemptCx,
) -> Result<Conclusion, Stop> {
    step::settle_earlier(org, cx).await;
    let user = step::user_to_change(org, account, LOOK, cx).await?;
    let Some(login) = org.user_login(&user.id).await? else { return Err(Stop::proven(cx, user_login_hidden())) };
    if state.is_state_of(&login) {
        return Ok(step::found(org, state.succeeded(&user, Changed::No), STEP, cx).await?);
    }
    step::spare_service_account(org, &user, cx).await?;
    match bring_about(org, &Login { user: &user, record: &login.id, state }, STEP, cx).await {
        Ok(certainty) => Ok(Conclusion { certainty, ..state.succeeded(&user, Changed::Yes) }),
        Err(stuck) => Err(stuck.stop(&user, LOOK, cx)),
    }
}
