//! Take a user out of use for good: rename it, give it a password nobody knows, disable it. Salesforce deletes no users.
//!
//! A new e-mail address has to be confirmed by a person while the user is active, so that the task ends before the last
//! step and is submitted again. Whoever goes on, with or without the journal, finds the user by one of its two names.

use postern_protocol::bounded::Text;
use postern_protocol::task::Account;
use postern_protocol::task::deprovision_user::{Output, Request, Stage};
use postern_protocol::{Failure, FailureClass};
use serde::{Deserialize, Serialize};

use super::super::user::User;
use super::super::{Salesforce, error};
use super::Stop;
use super::active::{Active, blocked};
use super::identity::{Identity, check_name, email_to_send, shows};
use super::new_password::{self, NewPassword};
use super::plan::{DoneBy, Plan};
use super::step::{Stuck, bring_about, settle_earlier};
use crate::connector::{AttemptCx, Conclusion, is_own_refusal};

const RENAME: u32 = 0;
const PASSWORD: u32 = 1;
const DISABLE: u32 = 2;

const FORMER_PASSWORD: &str = "The user is disabled all the same, and has the former password: give another one, if the user takes one, \
    before the user is enabled again";

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
enum Password {
    Former,
    Replaced,
    /// Salesforce does not replace it, for this reason.
    Refused(Failure),
}

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Stop> {
    let new_name = new_name(&it)?;
    settle_earlier(org, cx).await;
    let mut plan = Plan::new(cx);
    let user = plan.user_to_change(org, &it.account, &new_name).await?;
    let email = Some(it.email.as_str()).filter(|email| !email.is_empty());
    Work { org, cx, plan, new_name, email, user, password: Password::Former }.run().await
}

/// What is remembered of a password that was not replaced.
#[derive(Serialize, Deserialize)]
struct Note {
    refused: Failure,
}

fn refused_earlier(cx: &AttemptCx) -> Option<Failure> {
    let mut notes = cx.earlier.memos(PASSWORD).rev();
    notes.find_map(|entry| serde_json::from_slice::<Note>(&entry.note).ok()).map(|note| note.refused)
}

/// Whether Salesforce has refused for good what it was asked for. Of what it refuses to the service account, what is about the
/// session or the sign-in says nothing of the user.
fn is_final(failure: &Failure) -> bool {
    match failure.class.known() {
        Some(FailureClass::Rejected) => !is_own_refusal(failure),
        Some(FailureClass::Unauthorized) => error::says_not_permitted(failure),
        _ => false,
    }
}

fn new_name(it: &Request) -> Result<Account, Failure> {
    let name = it.name_to_be();
    check_name(&name)?;
    Account::new(name).map_err(|_| error::own("name_too_long", "the new name is too long"))
}

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
            self.plan.seen(DISABLE).await?;
            if self.cx.is_done(PASSWORD) {
                self.password = Password::Replaced;
            } else if let Some(failure) = refused_earlier(self.cx) {
                self.password = Password::Refused(failure);
            }
        }
        let output = self.output(Stage::Done);
        Ok(match &self.password {
            Password::Refused(failure) => self.plan.stopped(failure.clone().with_next_step(FORMER_PASSWORD), output),
            Password::Former | Password::Replaced => self.plan.finished(output),
        })
    }

    /// The new name and the new e-mail address, as far as they are not there. Says who did it, this task or an earlier
    /// one.
    async fn rename(&mut self) -> Result<DoneBy, Stop> {
        let is_renamed = self.user.is_called(&self.new_name);
        let shows = shows(&self.user, self.email, RENAME, self.cx);
        let renamed_by = if is_renamed { self.plan.seen_if(RENAME, shows).await? } else { DoneBy::Nobody };
        let email = email_to_send(self.org, &self.user, self.email, renamed_by)?;
        let username = (!is_renamed).then_some(&self.new_name);
        if username.is_none() && email.is_none() {
            return Ok(renamed_by);
        }
        let identity = Identity { user: &self.user, username, email, activate: false };
        match identity.bring_about(self.org, RENAME, self.cx).await {
            Ok(certainty) => self.plan.did(RENAME, certainty).await?,
            Err(stuck) => return Err(self.plan.stuck(stuck, &self.user, self.output(Stage::Renamed))),
        }
        self.user = self.org.read_back(&self.user.id).await?;
        Ok(if is_renamed { renamed_by } else { DoneBy::ThisTask })
    }

    /// A password nobody knows. That one was set before cannot be seen in Salesforce, so a task that is submitted again
    /// sets another.
    async fn replace_password(&mut self, renamed_by: DoneBy) -> Result<(), Stop> {
        if self.cx.is_done(PASSWORD) {
            self.plan.seen(PASSWORD).await?;
            self.password = Password::Replaced;
            return Ok(());
        }
        let new = || Ok(NewPassword::for_nobody());
        let certainty = match new_password::set_or_find(self.org, &self.user, new, PASSWORD, self.cx).await {
            Ok(certainty) => certainty,
            // A made-up password keeps to every policy but one: it must not be changed twice a day. That must not keep a
            // user active whose password was replaced by the submission before.
            Err(
                Stuck::Refused(failure) | Stuck::Unseen(failure) | Stuck::Another(failure) | Stuck::Unknown(failure),
            ) if renamed_by == DoneBy::AnEarlierOne && failure.code.as_str() == "INVALID_NEW_PASSWORD" => {
                return Ok(());
            }
            // Users of a single sign-on get none, ever. Whoever is to go must not keep access for that.
            Err(Stuck::Refused(failure) | Stuck::Unseen(failure)) if is_final(&failure) => {
                // Once the user is disabled, nothing shows it any more.
                let note = Note { refused: failure.with_next_step("") };
                self.cx.memo(PASSWORD, serde_json::to_vec(&note).unwrap_or_default()).await?;
                self.password = Password::Refused(note.refused);
                return Ok(());
            }
            Err(stuck) => return Err(self.plan.stuck(stuck, &self.user, self.output(Stage::Renamed))),
        };
        self.password = Password::Replaced;
        Ok(self.plan.did(PASSWORD, certainty).await?)
    }

    async fn disable(&mut self) -> Result<(), Stop> {
        let active = Active { user: &self.user, active: false };
        match bring_about(self.org, &active, DISABLE, self.cx).await {
            Ok(certainty) => Ok(self.plan.did(DISABLE, certainty).await?),
            Err(stuck) => {
                let is_refused = matches!(self.password, Password::Refused(_));
                let stage = if is_refused { Stage::Renamed } else { Stage::PasswordReplaced };
                Err(self.plan.stuck(stuck.map(blocked), &self.user, self.output(stage)))
            }
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
            password_replaced: matches!(self.password, Password::Replaced),
        }
    }
}
