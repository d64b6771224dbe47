//! What was done, counted: proof that an effect happened once.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::id::RecordId;
use crate::secret::Secret;

/// A snapshot of everything counted since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// HTTP calls received, the admin path not counted.
    pub http_calls: u64,
    /// Those of them by HTTP/2.
    #[serde(default)]
    pub http2_calls: u64,
    /// Those of them with a compressed body.
    #[serde(default)]
    pub compressed_calls: u64,
    /// The most writes to roles, memberships or the activity of users with a role that were under way at once.
    #[serde(default)]
    pub role_writes_at_once: u64,
    /// HTTP calls for each route, such as `PATCH sobjects/User`.
    pub routes: BTreeMap<String, u64>,
    /// Logins tried, by any method.
    pub login_attempts: u64,
    /// Logins refused.
    pub login_failures: u64,
    /// What happened to each user, by its present username.
    pub users: BTreeMap<String, Effects>,
}

/// What happened to one user. Effects that were rolled back are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effects {
    /// Made through the API.
    pub creates: u64,
    /// Accepted updates of the User record.
    pub updates: u64,
    /// Accepted updates that said `IsActive: true`, even if it was.
    pub activations: u64,
    /// Accepted updates that said `IsActive: false`, even if it was.
    pub deactivations: u64,
    /// How often `IsActive` really changed.
    pub flips: u64,
    /// Passwords set.
    pub password_sets: u64,
    /// Passwords reset.
    pub password_resets: u64,
    /// Accepted updates that said `IsFrozen: true`.
    pub freezes: u64,
    /// Accepted updates that said `IsFrozen: false`.
    pub unfreezes: u64,
    /// Accepted updates that said `IsPasswordLocked: false`.
    pub unlocks: u64,
    /// Logins of this user that worked.
    pub logins: u64,
    /// Logins of this user that were refused.
    pub failed_logins: u64,
}

/// The counters while they run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) http_calls: u64,
    pub(crate) http2_calls: u64,
    pub(crate) compressed_calls: u64,
    pub(crate) role_writes_at_once: u64,
    pub(crate) routes: HashMap<&'static str, u64>,
    pub(crate) login_attempts: u64,
    pub(crate) login_failures: u64,
    pub(crate) users: HashMap<RecordId, Effects>,
    /// What somebody wanted to be a user's password, whether it was taken or not.
    pub(crate) wanted_passwords: HashMap<RecordId, Vec<Secret>>,
}

impl Tally {
    pub(crate) fn route(&mut self, name: &'static str) {
        *self.routes.entry(name).or_default() += 1;
    }

    pub(crate) fn user(&mut self, id: RecordId) -> &mut Effects {
        self.users.entry(id).or_default()
    }

    /// Counts a login; `user` is unknown when the name is.
    pub(crate) fn login(&mut self, user: Option<RecordId>, worked: bool) {
        self.login_attempts += 1;
        self.login_failures += u64::from(!worked);
        if let Some(user) = user {
            let effects = self.user(user);
            if worked { effects.logins += 1 } else { effects.failed_logins += 1 }
        }
    }

    pub(crate) fn snapshot(&self, name_of: impl Fn(RecordId) -> String) -> Counters {
        Counters {
            http_calls: self.http_calls,
            http2_calls: self.http2_calls,
            compressed_calls: self.compressed_calls,
            role_writes_at_once: self.role_writes_at_once,
            routes: self.routes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            login_attempts: self.login_attempts,
            login_failures: self.login_failures,
            users: self.users.iter().map(|(id, effects)| (name_of(*id), *effects)).collect(),
        }
    }
}
