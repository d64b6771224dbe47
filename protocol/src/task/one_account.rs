//! The request of every kind that needs no more than an account.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Account, account_target};
use crate::bounded::Text;

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
