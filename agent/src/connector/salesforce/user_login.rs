//! UserLogin: whether a user is frozen, and whether wrong passwords locked it out.

use postern_protocol::Failure;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Salesforce, error, soql};

/// How a user's sign-in stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UserLogin {
    /// The id of this record, which is not the user's.
    pub(super) id: String,
    pub(super) is_frozen: bool,
    pub(super) is_password_locked: bool,
}

impl Salesforce {
    /// How the sign-in of a user stands; nothing if the service account may not see it.
    pub(super) async fn user_login(&self, user: &str) -> Result<Option<UserLogin>, Failure> {
        match self.query(&query(user)).await {
            Ok((rows, _)) => first(rows),
            // Without Manage Users the object is not there at all.
            Err(failure) if is_hidden(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The same after a change whose answer was lost.
    pub(super) async fn read_login_back(&self, user: &str) -> Result<UserLogin, Failure> {
        first(self.query_patiently(&query(user)).await?)?.ok_or_else(user_login_hidden)
    }
}

/// The failure of a task that needs what the service account may not see.
pub(super) fn user_login_hidden() -> Failure {
    error::own(
        "user_login_hidden",
        "the service account may not see UserLogin, through which users are frozen, unfrozen and unlocked",
    )
}

fn query(user: &str) -> String {
    format!("SELECT Id, IsFrozen, IsPasswordLocked FROM UserLogin WHERE UserId = {}", soql::literal(user))
}

fn first(rows: Vec<Json>) -> Result<Option<UserLogin>, Failure> {
    let read = |row| serde_json::from_value(row).map_err(|_| error::strange(200));
    rows.into_iter().next().map(read).transpose()
}

fn is_hidden(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "INVALID_TYPE" | "INVALID_FIELD") || error::says_not_permitted(failure)
}
