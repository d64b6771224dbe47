//! Take a user out of use for good: rename it, give it a password nobody knows, disable it. Salesforce deletes no users.
//!
//! A new e-mail address has to be confirmed by a person while the user is active, so that the task ends before the last
//! step and is submitted again. Whoever goes on, with or without the journal, finds the user by one of its two names.

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Certainty;
use postern_protocol::task::Account;
use postern_protocol::task::deprovision_user::{Output, Request, Stage};

use super::super::user::{User, not_found};
use super::super::{Salesforce, error};
use super::active::{Active, blocked};
use super::identity::{Identity, check_name, must_be_sent};
use super::new_password::{self, Earlier, NewPassword};
use super::plan::Plan;
use super::proven;
use super::step::Stuck;
use crate::connector::{AttemptCx, Conclusion};

const RENAME: u32 = 0;
const PASSWORD: u32 = 1;
const DISABLE: u32 = 2;

const SUFFIX: &str = ".deleted";
const LOOK: &str = "Look at the user in Salesforce, and submit the same again: it goes on where it stopped.";

/// What the plan works on.
struct Work<'a> {
    org: &'a Salesforce,
    cx: &'a AttemptCx,
    plan: Plan<'a>,
    new_name: Account,
    email: Option<&'a str>,
    /// As last read.
    user: User,
    password: Password,
}

/// What is known of the user's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Password {
    Former,
    Replaced,
}

/// Who renamed the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RenamedBy {
    ThisTask,
    AnEarlierOne,
}

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let new_name = new_name(&it)?;
    if cx.may_have_acted() {
        // What was sent before the process died may still take effect.
        org.settle().await;
    }
    let plan = Plan::new(cx);
    let Some(user) = find(org, &it.account, &new_name, &plan).await? else {
        return proven(cx, not_found(&it.account));
    };
    if let Err(failure) = org.spare_service_account(&user).await {
        return proven(cx, failure);
    }
    let email = Some(it.email.as_str()).filter(|email| !email.is_empty());
    let mut work = Work { org, cx, plan, new_name, email, user, password: Password::Former };
    match work.run().await {
        Ok(conclusion) | Err(Ok(conclusion)) => Ok(conclusion),
        Err(Err(failure)) => Err(failure),
    }
}

/// By Id, if an earlier attempt here noted it; else by the old name, then by the new one.
async fn find(
    org: &Salesforce,
    old_name: &Account,
    new_name: &Account,
    plan: &Plan<'_>,
) -> Result<Option<User>, Failure> {
    if let Some(id) = plan.user() {
        return org.read_back(&id).await.map(Some);
    }
    match org.find_user(old_name).await? {
        Some(user) => Ok(Some(user)),
        None => org.find_user(new_name).await,
    }
}

fn new_name(it: &Request) -> Result<Account, Failure> {
    let name = if it.new_name.is_empty() { format!("{}{SUFFIX}", it.account) } else { it.new_name.to_string() };
    check_name(&name)?;
    Account::new(name).map_err(|_| error::own("name_too_long", "the new name is too long"))
}

/// How the task ends when it does not get through.
type Stop = Result<Conclusion, Failure>;

impl Work<'_> {
    async fn run(&mut self) -> Result<Conclusion, Stop> {
        let renamed_by = self.rename().await?;
        if self.user.is_active {
            self.replace_password(renamed_by).await?;
            if self.email_is_pending() {
                let summary = "the new e-mail address waits until the link in the mail to it is clicked";
                let failure = error::own("email_confirmation_pending", summary);
                return Ok(self.plan.stopped(failure, self.output(Stage::WaitingForConfirmation)));
            }
            self.disable().await?;
        } else {
            self.plan.seen(DISABLE);
            if self.cx.is_done(PASSWORD) {
                self.password = Password::Replaced;
            }
        }
        Ok(self.plan.finished(self.output(Stage::Done)))
    }

    /// The new name and the new e-mail address, as far as they are not there.
    async fn rename(&mut self) -> Result<RenamedBy, Stop> {
        let is_renamed = self.user.is_called(&self.new_name);
        let sent_here = is_renamed && self.plan.was_begun(RENAME);
        let email = self.email.filter(|email| {
            let missing = if is_renamed { must_be_sent(&self.user, email) } else { !self.user.has_email(email) };
            missing && !sent_here
        });
        if is_renamed {
            self.plan.seen(RENAME);
        }
        if is_renamed && email.is_none() {
            return Ok(if sent_here { RenamedBy::ThisTask } else { RenamedBy::AnEarlierOne });
        }
        let username = (!is_renamed).then_some(&self.new_name);
        let identity = Identity { user: &self.user, username, email, activate: false };
        match identity.bring_about(self.org, RENAME, self.cx).await {
            Ok(certainty) => self.plan.did(RENAME, certainty).await.map_err(Err)?,
            Err(stuck) => return Err(self.plan.stuck(stuck, self.output(Stage::Renamed), LOOK)),
        }
        self.user = self.org.read_back(&self.user.id).await.map_err(Err)?;
        Ok(if is_renamed { RenamedBy::AnEarlierOne } else { RenamedBy::ThisTask })
    }

    /// A password nobody knows. That one was set before cannot be seen in Salesforce, so a task that is submitted again
    /// sets another.
    async fn replace_password(&mut self, renamed_by: RenamedBy) -> Result<(), Stop> {
        if self.cx.is_done(PASSWORD) {
            self.plan.seen(PASSWORD);
            self.password = Password::Replaced;
            return Ok(());
        }
        let set = match new_password::from_earlier(self.org, &self.user, PASSWORD, self.cx).await.map_err(Err)? {
            Earlier::Set(_) => Ok(Certainty::Probable),
            Earlier::Exhausted(_) => Err(Stuck::Unknown(new_password::no_answer())),
            Earlier::Nothing => {
                new_password::set(self.org, &self.user, &NewPassword::for_nobody(), PASSWORD, self.cx).await
            }
        };
        let certainty = match set {
            Ok(certainty) => certainty,
            // A made-up password keeps to every policy but one: it must not be changed twice a day. That must not keep a
            // user active whose password was replaced by the submission before.
            Err(Stuck::Refused(failure) | Stuck::Unseen(failure))
                if renamed_by == RenamedBy::AnEarlierOne && failure.code.as_str() == "INVALID_NEW_PASSWORD" =>
            {
                return Ok(());
            }
            Err(stuck) => return Err(self.plan.stuck(stuck, self.output(Stage::Renamed), LOOK)),
        };
        self.password = Password::Replaced;
        self.plan.did(PASSWORD, certainty).await.map_err(Err)
    }

    async fn disable(&mut self) -> Result<(), Stop> {
        let active = Active { user: &self.user.id, active: false };
        match active.bring_about(self.org, DISABLE, self.cx).await {
            Ok(certainty) => self.plan.did(DISABLE, certainty).await.map_err(Err),
            Err(stuck) => Err(self.plan.stuck(stuck.map(blocked), self.output(Stage::PasswordReplaced), LOOK)),
        }
    }

    fn email_is_pending(&self) -> bool {
        self.email.is_some_and(|email| !self.user.has_email(email))
    }

    fn output(&self, stage: Stage) -> Output {
        Output {
            user_id: Text::clipped(self.user.id.as_str()),
            account: Account::clipped(self.user.username.as_str()),
            stage: stage.into(),
            email_pending: self.email_is_pending(),
            password_replaced: self.password == Password::Replaced,
        }
    }
}
