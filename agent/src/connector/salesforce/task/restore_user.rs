//! Put a user that was taken out of use back: one call that enables it under its name and e-mail address, then its
//! password, which only active users can have.

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Certainty;
use postern_protocol::task::Account;
use postern_protocol::task::restore_user::{Output, PASSWORD, Request};

use super::super::Salesforce;
use super::super::user::{User, not_found};
use super::identity::{Identity, check_name, must_be_sent};
use super::new_password::{self, Earlier, NewPassword};
use super::plan::Plan;
use super::proven;
use super::step::Stuck;
use crate::connector::{AttemptCx, Conclusion};

const IDENTITY: u32 = 0;
const SET_PASSWORD: u32 = 1;

const LOOK: &str = "Look at the user in Salesforce, and submit the same again: it goes on where it stopped.";

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    check_name(&it.name)?;
    if cx.may_have_acted() {
        // What was sent before the process died may still take effect.
        org.settle().await;
    }
    let mut plan = Plan::new(cx);
    let Some(mut user) = find(org, &it, &plan).await? else { return proven(cx, not_found(&it.account)) };
    if let Err(failure) = org.spare_service_account(&user).await {
        return proven(cx, failure);
    }
    let email = Some(it.email.as_str()).filter(|email| !email.is_empty());
    let is_back = user.is_active && user.is_called(&it.name);
    let sent_here = is_back && plan.was_begun(IDENTITY);
    let to_send = email.filter(|email| {
        let missing = if is_back { must_be_sent(&user, email) } else { !user.has_email(email) };
        missing && !sent_here
    });
    if is_back {
        plan.seen(IDENTITY);
    }
    if !is_back || to_send.is_some() {
        let username = (!user.is_called(&it.name)).then_some(&it.name);
        let identity = Identity { user: &user, username, email: to_send, activate: !user.is_active };
        match identity.bring_about(org, IDENTITY, cx).await {
            Ok(certainty) => plan.did(IDENTITY, certainty).await?,
            Err(stuck) => return plan.stuck(stuck, output(&user, email, false), LOOK),
        }
        user = org.read_back(&user.id).await?;
    }
    if !cx.journal.has_secret(PASSWORD) {
        return Ok(plan.finished(output(&user, email, false)));
    }
    match set_password(org, &user, cx).await {
        Ok(_) if cx.is_done(SET_PASSWORD) => plan.seen(SET_PASSWORD),
        Ok(certainty) => plan.did(SET_PASSWORD, certainty).await?,
        Err(Ok(stuck)) => return plan.stuck(stuck, output(&user, email, false), LOOK),
        Err(Err(failure)) => return Err(failure),
    }
    Ok(plan.finished(output(&user, email, true)))
}

/// By Id, if an earlier attempt here noted it; else by the present name, then by the one it gets.
async fn find(org: &Salesforce, it: &Request, plan: &Plan<'_>) -> Result<Option<User>, Failure> {
    if let Some(id) = plan.user() {
        return org.read_back(&id).await.map(Some);
    }
    match org.find_user(&it.account).await? {
        Some(user) => Ok(Some(user)),
        None => org.find_user(&it.name).await,
    }
}

async fn set_password(org: &Salesforce, user: &User, cx: &AttemptCx) -> Result<Certainty, Result<Stuck, Failure>> {
    if cx.is_done(SET_PASSWORD) {
        return Ok(Certainty::Certain);
    }
    match new_password::from_earlier(org, user, SET_PASSWORD, cx).await.map_err(Err)? {
        Earlier::Set(_) => return Ok(Certainty::Probable),
        Earlier::Exhausted(_) => return Err(Ok(Stuck::Unknown(new_password::no_answer()))),
        Earlier::Nothing => (),
    }
    let new = NewPassword::given(PASSWORD, cx).map_err(|failure| Ok(Stuck::Refused(failure)))?;
    new_password::set(org, user, &new, SET_PASSWORD, cx).await.map_err(Ok)
}

fn output(user: &User, email: Option<&str>, password_set: bool) -> Output {
    Output {
        user_id: Text::clipped(user.id.as_str()),
        account: Account::clipped(user.username.as_str()),
        email_pending: email.is_some_and(|email| !user.has_email(email)),
        password_set,
    }
}
