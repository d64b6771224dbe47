//! Users as the connector reads them.

use jiff::Timestamp;
use postern_protocol::task::Account;
use postern_protocol::{Failure, FailureClass};
use serde::Deserialize;
use serde_json::Value as Json;

use super::role_lane::Role;
use super::{Salesforce, error, soql, time};
use crate::connector::{Effect, Shift};

/// How often a read after an unanswered change is tried before the outcome is called unknown.
const READ_BACK_TRIES: u32 = 3;

/// A user.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct User {
    pub(super) id: String,
    pub(super) username: String,
    pub(super) is_active: bool,
    #[serde(rename = "UserType", default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) last_login_date: Option<String>,
    #[serde(default)]
    pub(super) last_password_change_date: Option<String>,
    #[serde(default)]
    pub(super) profile: Option<Profile>,
    #[serde(rename = "UserRole", default)]
    pub(super) role: Option<Named>,
}

/// A user's profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Profile {
    pub(super) name: String,
    #[serde(default)]
    pub(super) user_license: Option<Named>,
}

/// Something with a name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    pub(super) name: String,
}

const FIELDS: &str = "Id, Username, IsActive, UserType, Email, LastLoginDate, LastPasswordChangeDate, \
    Profile.Name, Profile.UserLicense.Name, UserRole.Name";

impl User {
    /// What becomes of it, as the audit log tells it.
    pub(super) fn changed(&self, changes: Vec<Shift>) -> Effect {
        Effect::on(&self.username, &self.id, changes)
    }

    /// Whether this is its user name: Salesforce does not tell names apart by case.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.username.to_lowercase() == name.to_lowercase()
    }

    /// What is known of its role.
    pub(super) fn role(&self) -> Role {
        if self.role.is_some() { Role::Perhaps } else { Role::None }
    }

    /// Whether this is its e-mail address: Salesforce keeps them in lower case.
    pub(super) fn has_email(&self, email: &str) -> bool {
        self.email.as_ref().is_some_and(|it| it.to_lowercase() == email.to_lowercase())
    }
}

impl Salesforce {
    /// The user of that name, if the org has one. Whoever else the org may take for it is not: a policy looks at names.
    pub(super) async fn find_user(&self, account: &Account) -> Result<Option<User>, Failure> {
        let name = soql::literal(account);
        let (rows, _) = self.query(&format!("SELECT {FIELDS} FROM User WHERE Username = {name}")).await?;
        Ok(rows.into_iter().next().map(read).transpose()?.filter(|user| user.is_called(account)))
    }

    /// The user as it is after a change whose answer was lost. Tried a few times: what is not known here is unknown
    /// for good.
    pub(super) async fn read_back(&self, id: &str) -> Result<User, Failure> {
        let id = soql::literal(id);
        let rows = self.query_patiently(&format!("SELECT {FIELDS} FROM User WHERE Id = {id}")).await?;
        rows.into_iter().next().map_or_else(|| Err(gone()), read)
    }

    /// Whether the service account was the last to change a user, and not before `since`.
    pub(super) async fn was_changed_by_us(&self, id: &str, since: Timestamp) -> Result<bool, Failure> {
        let id = soql::literal(id);
        let query = format!("SELECT LastModifiedById, LastModifiedDate FROM User WHERE Id = {id}");
        let rows = self.query_patiently(&query).await?;
        let row = rows.into_iter().next().ok_or_else(gone)?;
        let text = |name: &str| row.get(name).and_then(Json::as_str);
        let (Some(by), Some(at)) = (text("LastModifiedById"), text("LastModifiedDate")) else {
            return Err(error::strange(200));
        };
        Ok(self.is_service_account(by).await? && time::parse(at).is_some_and(|at| at >= since))
    }

    /// A query that is tried a few times.
    pub(super) async fn query_patiently(&self, query: &str) -> Result<Vec<Json>, Failure> {
        let mut tries = 1;
        loop {
            match self.query(query).await {
                Ok((rows, _)) => return Ok(rows),
                Err(failure) if tries >= READ_BACK_TRIES || !error::is_retryable(&failure) => return Err(failure),
                Err(_) => tries += 1,
            }
            self.settle().await;
        }
    }

    /// Whether it is the account that the agent signs in with.
    pub(super) async fn is_service_account(&self, id: &str) -> Result<bool, Failure> {
        Ok(same_id(&self.sessions.current().await?.user, id))
    }

    /// Refuses what would cut off the branch the agent sits on.
    pub(super) async fn spare_service_account(&self, user: &User) -> Result<(), Failure> {
        if self.is_service_account(&user.id).await? { Err(protected()) } else { Ok(()) }
    }
}

/// Whether it has the form of an id. Without the service account's, nothing would keep it from being disabled.
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether somebody wrote an id as Salesforce does, with the check characters that are its own if it has any.
pub(super) fn is_sound_id(text: &str) -> bool {
    is_id(text) && text.get(15..).is_some_and(|it| it.is_empty() || it.eq_ignore_ascii_case(&check_characters(text)))
}

/// One for each five of the first 15 characters: it says which of them are capitals.
fn check_characters(id: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let letter = |five: &[u8]| {
        let capitals = five.iter().rev().fold(0, |bits, byte| bits << 1 | usize::from(byte.is_ascii_uppercase()));
        LETTERS.get(capitals).map_or('A', |it| char::from(*it))
    };
    short(id).as_bytes().chunks(5).map(letter).collect()
}

/// Ids compare on their first 15 characters; the other three only repeat their case.
pub(super) fn same_id(one: &str, other: &str) -> bool {
    short(one) == short(other)
}

/// An id without its check characters.
pub(super) fn short(id: &str) -> &str {
    id.get(..15).unwrap_or(id)
}

/// The failure of a name that the org does not have.
pub(super) fn not_found(account: &str) -> Failure {
    Failure::new(FailureClass::Rejected, "user_not_found", format!("the org has no user `{account}`"))
        .with_next_step("Check the user name; it is unique across all orgs, so the user may be in another org.")
}

/// Salesforce deletes no users.
fn gone() -> Failure {
    let summary = "the org does not have the user any more with whom the task began";
    Failure::new(FailureClass::Rejected, "user_gone", summary).with_next_step(
        "See whether `domain` leads to the same org as before: a sandbox that was refreshed has other users.",
    )
}

/// The failure of a task that is about the agent's own account.
pub(super) fn protected() -> Failure {
    Failure::new(
        FailureClass::Rejected,
        "service_account_protected",
        "this is the account that the agent itself signs in with; it is never disabled, frozen, renamed or given a \
         password, nor another e-mail address or FederationIdentifier",
    )
    .with_next_step("Change the service account in Salesforce, and then in the agent's configuration.")
}

/// The failure of a password for a user who may not sign in.
pub(super) fn inactive(account: &str) -> Failure {
    error::own("user_inactive", format!("the password of `{account}` cannot be changed while the user is inactive"))
}

fn read(row: Json) -> Result<User, Failure> {
    serde_json::from_value(row).map_err(|_| error::strange(200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_missing_parents_is_read() {
        let row = serde_json::json!({
            "attributes": {"type": "User"}, "Id": "0055g00000XyZ12AAF", "Username": "a@b.c", "IsActive": true,
            "UserType": "Standard", "LastPasswordChangeDate": null, "UserRole": null,
            "Profile": {"attributes": {}, "Name": "Standard User", "UserLicense": {"Name": "Salesforce"}},
        });
        let user = read(row).unwrap();
        assert!(user.role.is_none() && user.last_password_change_date.is_none());
        assert_eq!(user.profile.unwrap().user_license.unwrap().name, "Salesforce");
    }

    #[test]
    fn short_and_long_ids_are_the_same() {
        assert!(same_id("0055g00000XyZ12", "0055g00000XyZ12AAF"));
        assert!(!same_id("0055g00000XyZ12AAF", "0055g00000xYz12AAF"));
    }
}
