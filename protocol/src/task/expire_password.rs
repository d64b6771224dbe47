//! Make an account's password useless at once.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Account, Repeat, account_target};
use crate::bounded::Text;

/// Each run issues another temporary password and another mail.
pub const REPEAT: Repeat = Repeat::Never;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];

/// Which account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The account.
    #[serde(deserialize_with = "super::named")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub account: Account,
    /// Whether the member that got no answer does it once more after it saw no effect, rather than to leave it unknown.
    #[serde(default)]
    pub repeat_if_unknown: bool,
}

impl Request {
    pub(super) fn target(&self) -> Text<255> {
        account_target(&self.account)
    }
}

/// Which account it was, and how the connected system expires passwords.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Its id in the connected system.
    pub user_id: Text<32>,
    /// What the connected system did, in a sentence.
    pub message: Text<512>,
}
