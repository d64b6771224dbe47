//! Put a user that was taken out of use back: one call that enables it under its name and e-mail address, then its
//! password, which only active users can have.

use postern_protocol::bounded::Text;
use postern_protocol::task::Account;
use postern_protocol::task::restore_user::{Output, PASSWORD, Request};
use postern_protocol::{Failure, FailureClass};

use super::super::Salesforce;
use super::super::user::User;
use super::identity::{Identity, check_name, email_to_send, shows};
use super::new_password::{self, NewPassword};
use super::plan::{DoneBy, Plan};
use super::step::settle_earlier;
use super::{Stop, undecided};
use crate::connector::{AttemptCx, Conclusion};

const IDENTITY: u32 = 0;
const SET_PASSWORD: u32 = 1;

/// What the plan works on.
struct Work<'a> {
    org: &'a Salesforce,
    cx: &'a AttemptCx,
    plan: Plan<'a>,
    account: &'a Account,
    name: &'a Account,
    email: Option<&'a str>,
    /// As last read.
    user: User,
    password_set: bool,
}

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Stop> {
    check_name(&it.name)?;
    settle_earlier(org, cx).await;
    let mut plan = Plan::new(cx);
    let user = plan.user_to_change(org, &it.account, &it.name).await?;
    let email = Some(it.email.as_str()).filter(|email| !email.is_empty());
    Work { org, cx, plan, account: &it.account, name: &it.name, email, user, password_set: false }.run().await
}

impl Work<'_> {
    async fn run(&mut self) -> Result<Conclusion, Stop> {
        self.put_back().await?;
        if self.sets_password() {
            self.set_password().await?;
        }
        Ok(self.plan.finished(self.output()))
    }

    /// Active under its name and with its e-mail address, as far as it is not.
    async fn put_back(&mut self) -> Result<(), Stop> {
        let is_back = self.user.is_active && self.user.is_called(self.name);
        let shows = shows(&self.user, self.email, IDENTITY, self.cx);
        let done_by = if is_back { self.plan.seen_if(IDENTITY, shows).await? } else { DoneBy::Nobody };
        let email = email_to_send(self.org, &self.user, self.email, done_by)?;
        let has_nothing_to_put_back = is_back && email.is_none();
        if (!has_nothing_to_put_back || self.sets_password())
            && self.plan.may_be_another(self.org, &self.user, self.account).await?
        {
            return Err(self.stop_at_another().await?);
        }
        if has_nothing_to_put_back {
            return Ok(());
        }
        let username = (!self.user.is_called(self.name)).then_some(self.name);
        let identity = Identity { user: &self.user, username, email, activate: !self.user.is_active };
        match identity.bring_about(self.org, IDENTITY, self.cx).await {
            Ok(certainty) => self.plan.did(IDENTITY, certainty).await?,
            Err(stuck) => return Err(self.plan.stuck(stuck, &self.user, self.output())),
        }
        self.user = self.org.read_back(&self.user.id).await?;
        Ok(())
    }

    /// How the task ends that would change another user than is meant. What another member may have done of it, and may still
    /// come into force, nobody knows then.
    async fn stop_at_another(&self) -> Result<Stop, Failure> {
        let failure = another(self.account, self.name);
        if !self.cx.may_have_acted() {
            return Ok(failure.into());
        }
        self.org.outlast(self.cx.unanswered(IDENTITY), self.cx).await?;
        let look = format!("look whether it is the user that is meant. {}", if_meant(self.name));
        Ok(undecided(&failure, &self.user, &look).into())
    }

    async fn set_password(&mut self) -> Result<(), Stop> {
        if self.cx.is_done(SET_PASSWORD) {
            self.plan.seen(SET_PASSWORD).await?;
        } else {
            let new = || NewPassword::given(PASSWORD, self.cx);
            match new_password::set_or_find(self.org, &self.user, new, SET_PASSWORD, self.cx).await {
                Ok(certainty) => self.plan.did(SET_PASSWORD, certainty).await?,
                Err(stuck) => return Err(self.plan.stuck(stuck, &self.user, self.output())),
            }
        }
        self.password_set = true;
        Ok(())
    }

    fn sets_password(&self) -> bool {
        self.cx.journal.has_secret(PASSWORD)
    }

    fn output(&self) -> Output {
        Output {
            user_id: Text::clipped(self.user.id.as_str()),
            account: Account::clipped(self.user.username.as_str()),
            email_pending: self.email.is_some_and(|email| !self.user.has_email(email)),
            password_set: self.password_set,
        }
    }
}

/// The failure of a task for a user that the org does not have, when it has one of the name that user is to get.
fn another(account: &str, name: &str) -> Failure {
    let summary = format!("the org has no user `{account}`, and `{name}` may be somebody else's name by now");
    let next_step = format!("Look who `{name}` is (validate_user). {}", if_meant(name));
    Failure::new(FailureClass::Rejected, "user_not_found", summary).with_next_step(next_step)
}

fn if_meant(name: &str) -> String {
    format!("If it is the user that is meant, submit it with the `account` {name}; else correct `account`.")
}
