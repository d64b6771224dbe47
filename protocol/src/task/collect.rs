//! Gather everything there is to know about users, and tell who is there no longer.
//!
//! The answer is the task's one stream, JSON Lines sealed to the requester like an export, see [`export`](super::export).

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Repeat;
use crate::bounded::{List, Text};
use crate::code::Code;
use crate::codes;

/// It changes nothing.
pub const REPEAT: Repeat = Repeat::Freely;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];

codes! {
    /// Which users are gathered, by whether they may sign in.
    pub enum UserStatus {
        /// Those who may.
        1 Active = "active",
        /// Those who may not.
        2 Inactive = "inactive",
        /// All.
        3 All = "all",
    }
}

/// The name of a collection.
pub type Name = Text<64>;

/// Which users, and how much of each.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The collection: who was seen is remembered under this name, by the member that did it.
    pub name: Name,
    /// Which users.
    #[serde(default = "all")]
    pub user_status: Code<UserStatus>,
    /// How many sign-ins are told of each user, the newest ones; at most 100.
    #[serde(default = "ten")]
    pub logins: u16,
}

/// The most sign-ins that can be told of a user.
pub const MAX_LOGINS: u16 = 100;

fn all() -> Code<UserStatus> {
    UserStatus::All.into()
}

const fn ten() -> u16 {
    Request::LOGINS
}

impl Request {
    /// How many sign-ins are told if nobody says otherwise.
    pub const LOGINS: u16 = 10;

    /// Two runs of one collection would each take the users of the other for gone.
    pub(super) fn target(&self) -> Text<255> {
        Text::clipped(self.name.as_str().to_lowercase())
    }
}

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Users in the file.
    pub users: u64,
    /// Users who were seen by an earlier run, and not by this one.
    pub removed: u64,
    /// When the run began, by the clock of the member's host, as RFC 3339 in UTC.
    pub started: Text<32>,
    /// When it ended.
    pub ended: Text<32>,
    /// When the newest run began that is known to have been handed over; empty: there is none.
    pub since: Text<32>,
    /// What a requester should know, e.g. which attributes the connected system lacks.
    pub warnings: List<Text<512>, 12>,
}
