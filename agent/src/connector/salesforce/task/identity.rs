//! Change what a user is called and where its mail goes, with one call. A step of two kinds.
//!
//! A user is known by its Id from the first look on: names are what changes here. Salesforce applies a new e-mail
//! address of an active user only when somebody clicks the link in a mail, and shows nowhere that it waits for that.

use postern_protocol::Failure;
use postern_protocol::outcome::Certainty;
use postern_protocol::task::Account;
use serde_json::{Map, Value as Json};

use super::super::api::Call;
use super::super::user::{User, same_id};
use super::super::{Salesforce, error};
use super::plan::DoneBy;
use super::step::{Stuck, Wanted, bring_about};
use crate::connector::{AttemptCx, Effect, JournalEntry, Shift, stopped};

/// The longest user name that Salesforce takes, in characters.
const MAX_NAME: usize = 80;

/// The attribute that a person may have to confirm.
const EMAIL: &str = "Email";

/// What a user is to have; what is not named stays.
pub(super) struct Identity<'a> {
    /// As it was read before.
    pub(super) user: &'a User,
    pub(super) username: Option<&'a Account>,
    pub(super) email: Option<&'a str>,
    pub(super) activate: bool,
}

impl Wanted for Identity<'_> {
    fn user(&self) -> &str {
        &self.user.id
    }

    fn call(&self) -> Call {
        let (mut fields, mut changes) = (Map::new(), Vec::new());
        let mut field = |name: &str, old: Json, new: Json| {
            changes.push(Shift::new(name, old, new.clone()));
            fields.insert(name.to_owned(), new);
        };
        if self.activate {
            field("IsActive", self.user.is_active.into(), true.into());
        }
        if let Some(username) = self.username {
            field("Username", self.user.username.as_str().into(), username.as_str().into());
        }
        if let Some(email) = self.email {
            field(EMAIL, self.user.email.as_deref().into(), email.into());
        }
        Call::patch_user(&self.user.id, self.user.role(), fields).telling(&self.user.changed(changes))
    }

    async fn is_there(&self, org: &Salesforce) -> Result<bool, Failure> {
        let now = org.read_back(&self.user.id).await?;
        // An address that waits to be confirmed cannot be seen, and leaves the record as it was: it came with what can be. Alone
        // it is sent again, and of two mails the link in the later one works.
        let mailed = !self.is_address_alone() || self.email.is_none_or(|email| now.has_email(email));
        Ok((now.is_active || !self.activate) && self.username.is_none_or(|name| now.is_called(name)) && mailed)
    }
}

impl Identity<'_> {
    const fn is_address_alone(&self) -> bool {
        self.username.is_none() && !self.activate
    }

    /// Changes it, as step `step`.
    pub(super) async fn bring_about(&self, org: &Salesforce, step: u32, cx: &AttemptCx) -> Result<Certainty, Stuck> {
        // Whether one that waits was sent before cannot be seen, and no more is asked for.
        if self.is_address_alone() && self.user.is_active && cx.is_open(step) && cx.finds_out {
            return Err(Stuck::Later(stopped()));
        }
        let certainty = self.change(org, step, cx).await?;
        if let Some(email) = self.email.filter(|_| self.user.is_active) {
            org.note_mail(self.user, email).await.map_err(Stuck::Later)?;
        }
        Ok(certainty)
    }

    async fn change(&self, org: &Salesforce, step: u32, cx: &AttemptCx) -> Result<Certainty, Stuck> {
        let stuck = match bring_about(org, self, step, cx).await {
            Ok(certainty) => return Ok(certainty),
            Err(stuck) => stuck,
        };
        match (stuck, self.username) {
            (Stuck::Refused(failure) | Stuck::Unseen(failure), Some(name)) if is_taken(&failure) => {
                self.taken(org, name).await
            }
            (stuck, _) => Err(stuck),
        }
    }

    /// Somebody has the name. If it is this very user, an earlier call gave it.
    async fn taken(&self, org: &Salesforce, name: &Account) -> Result<Certainty, Stuck> {
        match org.find_user(name).await {
            Ok(Some(owner)) if same_id(&owner.id, &self.user.id) => Ok(Certainty::Probable),
            Ok(Some(_)) => Err(Stuck::Refused(error::own(
                "username_taken_here",
                format!("the name `{name}` is that of another user of this org"),
            ))),
            Ok(None) => Err(Stuck::Refused(error::own(
                "username_taken_elsewhere",
                format!("the name `{name}` is that of a user of another Salesforce org"),
            ))),
            Err(failure) => Err(Stuck::Later(failure)),
        }
    }
}

/// Whether what earlier attempts on this agent announced of the step can be seen at `user` when it was done. An address that
/// went alone, and waits to be confirmed, cannot.
pub(super) fn shows(user: &User, email: Option<&str>, step: u32, cx: &AttemptCx) -> bool {
    let is_more =
        |intent: &JournalEntry| Effect::decode(&intent.effect).changes.iter().any(|shift| shift.attribute != EMAIL);
    email.is_none_or(|email| user.has_email(email)) || cx.earlier.intents(step).any(is_more)
}

/// The e-mail address as far as it has to go along. `done_by` did the rest of what the user is to be.
pub(super) fn email_to_send<'a>(
    org: &Salesforce,
    user: &User,
    email: Option<&'a str>,
    done_by: DoneBy,
) -> Result<Option<&'a str>, Failure> {
    let Some(email) = email.filter(|email| done_by != DoneBy::ThisTask && !user.has_email(email)) else {
        return Ok(None);
    };
    let waits = done_by == DoneBy::AnEarlierOne && user.is_active && org.has_mailed(user, email)?;
    Ok((!waits).then_some(email))
}

/// Refuses a name that Salesforce would not take.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    let length = name.chars().count();
    if length <= MAX_NAME {
        return Ok(());
    }
    let summary = format!("the name `{name}` has {length} characters, and Salesforce takes at most {MAX_NAME}");
    Err(error::own("name_too_long", summary))
}

fn is_taken(failure: &Failure) -> bool {
    failure.code.as_str() == "DUPLICATE_USERNAME"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_measured_in_characters() {
        assert!(check_name(&"é".repeat(80)).is_ok());
        assert_eq!(check_name(&"e".repeat(81)).unwrap_err().code.as_str(), "name_too_long");
    }
}
