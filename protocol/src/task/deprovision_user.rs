//! Take an account out of use for good, in a system that deletes none: rename it, give it a password nobody knows,
//! disable it.
//!
//! If its e-mail address is changed too, somebody has to confirm that between the last two steps. The task ends there as
//! `partially_succeeded`; the same request, submitted again, goes on.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Account, Repeat, account_target};
use crate::bounded::Text;
use crate::code::Code;
use crate::codes;

/// Each step brings about a state.
pub const REPEAT: Repeat = Repeat::AfterReadBack;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];

codes! {
    /// The last step that is proved done.
    pub enum Stage {
        /// The account has its new name.
        1 Renamed = "renamed",
        /// It has a password that nobody knows.
        2 PasswordReplaced = "password_replaced",
        /// The same, and the new e-mail address waits for a person to confirm it.
        3 WaitingForConfirmation = "waiting_for_confirmation",
        /// It is disabled.
        4 Done = "done",
    }
}

/// Which account becomes what.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The account by the name it has had; the same again when the task is submitted again.
    #[serde(deserialize_with = "super::named")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub account: Account,
    /// Its new name; empty: the old one with `.deleted` behind it.
    #[serde(default)]
    pub new_name: Account,
    /// Its new e-mail address; empty: not changed.
    #[serde(default)]
    pub email: Text<128>,
}

impl Request {
    pub(super) fn target(&self) -> Text<255> {
        account_target(&self.account)
    }

    /// The name that the account is to have.
    pub fn name_to_be(&self) -> String {
        if self.new_name.is_empty() { format!("{}.deleted", self.account) } else { self.new_name.to_string() }
    }
}

/// How far the account is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Its id in the connected system.
    pub user_id: Text<32>,
    /// The name it has now.
    pub account: Account,
    /// The last step that is proved done.
    pub stage: Code<Stage>,
    /// Whether its new e-mail address waits to be confirmed.
    pub email_pending: bool,
    /// Whether this task gave it a password that nobody knows. An account that was disabled before gets none.
    pub password_replaced: bool,
}
