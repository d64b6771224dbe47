//! Put an account that was taken out of use back: enabled, under a name and an e-mail address, with a new password.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Account, Repeat, account_target};
use crate::bounded::Text;

/// Each step brings about a state.
pub const REPEAT: Repeat = Repeat::AfterReadBack;

/// The sealed field of its new password, if it is to get one.
pub const PASSWORD: &str = "password";
/// The password.
pub const SEALED_FIELDS: &[&str] = &[PASSWORD];

/// Which account becomes what.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The account by its present name.
    #[serde(deserialize_with = "super::named")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub account: Account,
    /// The name it gets back.
    #[serde(deserialize_with = "super::named")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub name: Account,
    /// The e-mail address it gets; empty: not changed.
    #[serde(default)]
    pub email: Text<128>,
}

impl Request {
    pub(super) fn target(&self) -> Text<255> {
        account_target(&self.account)
    }
}

/// What the account has now.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Its id in the connected system.
    pub user_id: Text<32>,
    /// Its name.
    pub account: Account,
    /// Whether its e-mail address waits to be confirmed by whoever reads it.
    pub email_pending: bool,
    /// Whether it has the password that was given.
    pub password_set: bool,
}
