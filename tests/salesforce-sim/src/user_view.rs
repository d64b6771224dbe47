//! A user as a test sees it: its fields, and what the service shows to nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::counters::Effects;
use crate::schema::{ObjectKind, user};
use crate::secret::Secret;
use crate::world::World;

/// A snapshot of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts about a user")]
pub struct UserView {
    /// The record id, 18 characters.
    pub id: String,
    /// The present username.
    pub username: String,
    /// The name of the org.
    pub org: String,
    /// `IsActive`.
    pub active: bool,
    /// Whether the login is frozen.
    pub frozen: bool,
    /// Whether failed logins have locked the user out.
    pub locked: bool,
    /// Whether the password must be changed at the next login.
    pub password_expired: bool,
    /// The password, if one was ever set.
    pub password: Option<Secret>,
    /// The present security token.
    pub security_token: Secret,
    /// A changed e-mail that waits for its confirmation.
    pub pending_email: Option<String>,
    /// Every field of the User record, by API name.
    pub fields: BTreeMap<String, Json>,
    /// What was counted for the user.
    pub effects: Effects,
}

impl UserView {
    pub(crate) fn of(world: &World, username: &str) -> Option<Self> {
        let (org, id) = world.find_user(username)?;
        let org = world.org(org);
        let (row, account) = (org.user(id)?, org.accounts.get(&id)?);
        let fields = ObjectKind::User.object().fields.iter().enumerate().map(|(column, field)| {
            let mut json = String::new();
            row.get(column).write_json(&mut json);
            (field.name.to_owned(), serde_json::from_str(&json).unwrap_or_default())
        });
        Some(Self {
            id: id.to_string(),
            username: row.text(user::USERNAME).to_owned(),
            org: org.name.clone(),
            active: row.get(user::IS_ACTIVE).is_true(),
            frozen: account.frozen,
            locked: account.locked.is_closed(world.now()),
            password_expired: account.expired,
            password: account.password.clone(),
            security_token: account.token.clone(),
            pending_email: account.pending_email.clone(),
            fields: fields.collect(),
            effects: world.tally.users.get(&id).copied().unwrap_or_default(),
        })
    }

    /// A field as text; empty if it is null or not text.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Json::as_str).unwrap_or_default()
    }
}
