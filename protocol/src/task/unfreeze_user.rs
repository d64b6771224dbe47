//! End the suspension of an account's sign-in.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Account, Repeat, account_target};
use crate::bounded::Text;

/// It brings about a state.
pub const REPEAT: Repeat = Repeat::AfterReadBack;
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
}

impl Request {
    pub(super) fn target(&self) -> Text<255> {
        account_target(&self.account)
    }
}

/// Which account it was.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Its id in the connected system.
    pub user_id: Text<32>,
}
