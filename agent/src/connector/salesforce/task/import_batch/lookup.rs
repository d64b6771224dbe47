//! The users that a unit is about, as the org has them now.

use std::collections::HashMap;

use jiff::Timestamp;
use postern_protocol::Failure;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::super::super::api::Longest;
use super::super::super::user::short;
use super::super::super::{Salesforce, error, time};
use super::memory::Accounts;
use super::plan::Plan;
use super::present::is_same_text;

/// A user. What was not asked for is not there.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) username: String,
    pub(super) is_active: bool,
    #[serde(default)]
    pub(super) email: Option<String>,
    #[serde(default)]
    pub(super) federation_identifier: Option<String>,
    #[serde(default)]
    pub(super) last_password_change_date: Option<String>,
    #[serde(default)]
    created_by_id: Option<String>,
    #[serde(default)]
    created_date: Option<String>,
    /// What tells it from any other user; only with its history.
    #[serde(skip)]
    marker: Option<Json>,
    #[serde(default)]
    last_modified_by_id: Option<String>,
    #[serde(default)]
    last_modified_date: Option<String>,
    #[serde(default)]
    last_login_date: Option<String>,
    #[serde(default)]
    pub(super) profile_id: Option<String>,
}

/// What is asked for beside id, name, and whether the user is active.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each stands for fields of its own")]
pub(super) struct Wanted {
    pub(super) email: bool,
    /// What an identity provider calls it; not every service account may see that.
    pub(super) federation: bool,
    /// When the password was changed last.
    pub(super) password: bool,
    /// Who made it and who changed it last, and when: what tells whether this task did.
    pub(super) history: bool,
    /// What it may do.
    pub(super) profile: bool,
}

impl Wanted {
    pub(super) const PASSWORD: Self =
        Self { email: false, federation: false, password: true, history: false, profile: false };
    pub(super) const ALL: Self = Self { email: true, federation: false, password: true, history: true, profile: false };

    fn fields(self) -> String {
        let fields = [
            (true, "Id, Username, IsActive"),
            (self.email, "Email"),
            (self.federation, "FederationIdentifier"),
            (self.password, "LastPasswordChangeDate"),
            (self.history, "CreatedById, CreatedDate, LastModifiedById, LastModifiedDate, LastLoginDate"),
            (self.profile, "ProfileId"),
        ];
        let wanted: Vec<&str> = fields.iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, names)| *names).collect();
        wanted.join(", ")
    }
}

/// Users by name and by id.
#[derive(Debug, Default)]
pub(super) struct Users {
    found: Vec<Found>,
    by_name: HashMap<String, usize>,
    by_id: HashMap<String, usize>,
}

impl Salesforce {
    /// Looks users up by names and ids.
    pub(super) async fn look_up(
        &self,
        names: &[&str],
        ids: &[&str],
        wanted: Wanted,
        longest: &Longest,
    ) -> Result<Users, Failure> {
        let (fields, lists) = (wanted.fields(), [("Username", names), ("Id", ids)]);
        let Some(marker) = self.settings.marker.as_deref().filter(|_| wanted.history) else {
            let found: Vec<Found> = self.query_lists(&format!("SELECT {fields} FROM User"), &lists, longest).await?;
            return Ok(found.into_iter().collect());
        };
        let is_there = fields.split(", ").any(|field| field.eq_ignore_ascii_case(marker));
        let more = if is_there { String::new() } else { format!(", {marker}") };
        let rows: Vec<Map<String, Json>> =
            self.query_lists(&format!("SELECT {fields}{more} FROM User"), &lists, longest).await?;
        rows.into_iter().map(|row| Found::marked(row, marker)).collect()
    }
}

impl FromIterator<Found> for Users {
    fn from_iter<I: IntoIterator<Item = Found>>(found: I) -> Self {
        let found: Vec<Found> = found.into_iter().collect();
        let by_name = found.iter().enumerate().map(|(index, it)| (it.username.to_lowercase(), index)).collect();
        let by_id = found.iter().enumerate().map(|(index, it)| (short(&it.id).to_owned(), index)).collect();
        Self { found, by_name, by_id }
    }
}

impl Users {
    pub(super) fn by_name(&self, name: &str) -> Option<&Found> {
        self.found.get(*self.by_name.get(&name.to_lowercase())?)
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Found> {
        self.found.get(*self.by_id.get(short(id))?)
    }
}

impl Found {
    fn marked(row: Map<String, Json>, marker: &str) -> Result<Self, Failure> {
        let value = row.iter().find(|(name, _)| name.eq_ignore_ascii_case(marker)).map(|(_, value)| value.clone());
        let found: Self = serde_json::from_value(Json::Object(row)).map_err(|_| error::strange(200))?;
        Ok(Self { marker: value, ..found })
    }

    /// Whether it is what an entry asked for whose making was not answered: one of `accounts` made it, at or after `since`, and
    /// it has the entry's marker, if that has one.
    pub(super) fn is_made_of(&self, plan: &Plan<'_>, accounts: &Accounts, since: Timestamp) -> bool {
        let is_same = match (&plan.marker, &self.marker) {
            (None, _) => true,
            (Some(Json::String(one)), Some(Json::String(other))) => is_same_text(one, other),
            (one, other) => one == other,
        };
        is_same && self.was_created_by(accounts, since)
    }

    /// Whether anybody may have signed in as it.
    pub(super) fn is_in_use(&self) -> bool {
        self.last_password_change_date.is_some() || self.last_login_date.is_some()
    }

    /// Whether one of `accounts` made it at or after `since`.
    fn was_created_by(&self, accounts: &Accounts, since: Timestamp) -> bool {
        was_by(self.created_by_id.as_deref(), self.created_date.as_deref(), accounts, since)
    }

    /// Whether one of `accounts` was the last to change it, at or after `since`.
    pub(super) fn was_modified_by(&self, accounts: &Accounts, since: Timestamp) -> bool {
        was_by(self.last_modified_by_id.as_deref(), self.last_modified_date.as_deref(), accounts, since)
    }
}

fn was_by(who: Option<&str>, when: Option<&str>, accounts: &Accounts, since: Timestamp) -> bool {
    who.is_some_and(|who| accounts.contains(short(who))) && when.and_then(time::parse).is_some_and(|when| when >= since)
}
