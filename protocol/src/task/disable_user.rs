//! Keep an account from signing in.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Account, Repeat, account_target};
use crate::bounded::Text;
use crate::code::Code;
use crate::codes;

/// It brings about a state.
pub const REPEAT: Repeat = Repeat::AfterReadBack;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];

codes! {
    /// What becomes of an account that the connected system refuses to disable.
    pub enum IfRefused {
        /// The task fails and says what stands in the way.
        1 Fail = "fail",
        /// Its sign-in is suspended instead.
        2 Freeze = "freeze",
    }
}

/// Which account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The account.
    #[serde(deserialize_with = "super::named")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub account: Account,
    /// What becomes of it if the connected system refuses.
    #[serde(default = "fail")]
    pub if_refused: Code<IfRefused>,
}

fn fail() -> Code<IfRefused> {
    IfRefused::Fail.into()
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
    /// Whether it was frozen because it could not be disabled.
    pub frozen_instead: bool,
}
