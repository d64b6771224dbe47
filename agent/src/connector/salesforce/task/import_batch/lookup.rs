//! The users that a unit is about, as the org has them now.

use std::collections::HashMap;

use jiff::Timestamp;
use postern_protocol::Failure;
use serde::Deserialize;

use super::super::super::user::{same_id, short};
use super::super::super::{Salesforce, error, soql, time};

/// A user, with what tells whether this task made it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Found {
    pub(super) id: String,
    username: String,
    pub(super) is_active: bool,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) last_password_change_date: Option<String>,
    #[serde(default)]
    created_by_id: Option<String>,
    #[serde(default)]
    created_date: Option<String>,
    #[serde(default)]
    last_modified_by_id: Option<String>,
    #[serde(default)]
    last_modified_date: Option<String>,
}

/// Users by name and by id, and when they were read by the org's clock.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_name: HashMap<String, Found>,
    by_id: HashMap<String, String>,
    pub(super) at: Option<Timestamp>,
}

const FIELDS: &str = "Id, Username, IsActive, Email, LastPasswordChangeDate, CreatedById, CreatedDate, \
    LastModifiedById, LastModifiedDate";

impl Salesforce {
    /// Looks users up by names and ids.
    pub(super) async fn look_up(&self, names: &[&str], ids: &[&str]) -> Result<Users, Failure> {
        let by_name = soql::in_lists(names.iter().copied()).into_iter().map(|list| ("Username", list));
        let by_id = soql::in_lists(ids.iter().copied()).into_iter().map(|list| ("Id", list));
        let mut users = Users::default();
        for (field, list) in by_name.chain(by_id) {
            let (rows, at) = self.query(&format!("SELECT {FIELDS} FROM User WHERE {field} IN ({list})")).await?;
            users.at = users.at.or(at);
            for row in rows {
                users.add(serde_json::from_value(row).map_err(|_| error::strange(200))?);
            }
        }
        Ok(users)
    }
}

impl Users {
    fn add(&mut self, found: Found) {
        let name = found.username.to_lowercase();
        self.by_id.insert(short(&found.id).to_owned(), name.clone());
        self.by_name.insert(name, found);
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Found> {
        self.by_name.get(&name.to_lowercase())
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Found> {
        self.by_name.get(self.by_id.get(short(id))?)
    }
}

impl Found {
    /// Whether `user` made it at or after `since`.
    pub(super) fn was_created_by(&self, user: &str, since: Timestamp) -> bool {
        was_by(self.created_by_id.as_deref(), self.created_date.as_deref(), user, since)
    }

    /// Whether `user` was the last to change it, at or after `since`.
    pub(super) fn was_modified_by(&self, user: &str, since: Timestamp) -> bool {
        was_by(self.last_modified_by_id.as_deref(), self.last_modified_date.as_deref(), user, since)
    }
}

fn was_by(who: Option<&str>, when: Option<&str>, user: &str, since: Timestamp) -> bool {
    who.is_some_and(|who| same_id(who, user)) && when.and_then(time::parse).is_some_and(|when| when >= since)
}
