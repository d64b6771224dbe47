//! A model of Salesforce: users that are active or not, passwords that were changed, users that were made.
//!
//! Nothing here is unique by name and nothing refuses a repetition: whatever is done twice shows.

use std::collections::BTreeMap;

use crate::agenda::Millis;

/// How long a call may take before its caller gives it up.
pub const CALL_TIMEOUT: Millis = 10_000;
/// How long after that it may still take effect.
pub const LATEST_COMMIT: Millis = 20_000;

/// What a call changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Whether a user may sign in.
    SetActive {
        /// The user.
        user: String,
        /// The wanted state.
        active: bool,
    },
    /// A password that the caller knows.
    SetPassword {
        /// The user.
        user: String,
        /// The password.
        value: String,
    },
    /// One that Salesforce makes up.
    ResetPassword {
        /// The user.
        user: String,
    },
    /// A new user.
    Create {
        /// Its marker.
        key: String,
    },
}

/// What a call reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A user.
    User(String),
    /// How many users were made under a marker.
    Made(String),
}

/// What it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whether the user may sign in.
    pub active: bool,
    /// When its password was last changed.
    pub password_changed: Option<Millis>,
    /// How many there are.
    pub made: usize,
}

#[derive(Debug, Clone, Default)]
struct User {
    inactive: bool,
    password_changed: Option<Millis>,
}

/// The org, and all that ever happened in it.
#[derive(Debug, Default)]
pub struct Salesforce {
    users: BTreeMap<String, User>,
    made: BTreeMap<String, usize>,
    /// How many changes took effect.
    pub effects: usize,
}

impl Salesforce {
    /// A change takes effect.
    pub fn commit(&mut self, change: &Change, now: Millis) {
        match change {
            Change::SetActive { user, active } => self.user(user).inactive = !active,
            Change::SetPassword { user, .. } | Change::ResetPassword { user } => {
                self.user(user).password_changed = Some(now);
            }
            Change::Create { key } => *self.made.entry(key.clone()).or_default() += 1,
        }
        self.effects += 1;
    }

    /// What there is now.
    pub fn look(&self, question: &Question) -> View {
        let user = match question {
            Question::User(name) => self.users.get(name).cloned().unwrap_or_default(),
            Question::Made(_) => User::default(),
        };
        let made = match question {
            Question::Made(key) => self.made.get(key).copied().unwrap_or_default(),
            Question::User(_) => 0,
        };
        View { active: !user.inactive, password_changed: user.password_changed, made }
    }

    /// Under which markers users were made, and how many.
    pub fn made(&self) -> impl Iterator<Item = (&String, usize)> {
        self.made.iter().map(|(key, count)| (key, *count))
    }

    fn user(&mut self, name: &str) -> &mut User {
        self.users.entry(name.to_owned()).or_default()
    }
}
