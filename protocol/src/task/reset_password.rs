//! Give an account a new password.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Account, Repeat, account_target};
use crate::bounded::Text;
use crate::code::Code;
use crate::codes;

/// Setting the same password again is harmless; a generated one that is lost is replaced by another only if the
/// account shows that the first was never set. The connected system's own reset is read back and
/// never issued again by another member.
pub const REPEAT: Repeat = Repeat::AfterReadBack;

/// The sealed field of a given password, and the sealed output of one that was not given.
pub const PASSWORD: &str = "password";
/// The password, when it is given.
pub const SEALED_FIELDS: &[&str] = &[PASSWORD];

codes! {
    /// Where the new password comes from.
    pub enum Source {
        /// The submitter gives it in the sealed field [`PASSWORD`].
        1 Given = "given",
        /// The agent makes it up and seals it to the requester.
        2 Generated = "generated",
        /// The connected system makes up a temporary one and tells the user. It is sealed to the requester, if there is
        /// one.
        3 Service = "service",
    }
}

/// Which account gets which password.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The account.
    #[serde(deserialize_with = "super::named")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub account: Account,
    /// Where the password comes from.
    pub source: Code<Source>,
    /// Of the connected system's own reset: whether the member that got no answer does it once more after it saw no
    /// effect, rather than to leave it unknown.
    #[serde(default)]
    pub repeat_if_unknown: bool,
}

impl Request {
    pub(super) fn target(&self) -> Text<255> {
        account_target(&self.account)
    }
}

/// Which account it was. A password that was not given is a sealed output.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Its id in the connected system.
    pub user_id: Text<32>,
    /// What the connected system did, in a sentence; empty unless the password came from there.
    pub message: Text<512>,
}
