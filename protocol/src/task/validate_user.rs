//! Look an account up.

use bincode::{Decode, Encode};
use serde::Serialize;

pub use super::one_account::Request;
use super::{Account, Repeat};
use crate::bounded::Text;

/// It changes nothing.
pub const REPEAT: Repeat = Repeat::Freely;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];

/// What is known of the account. Not finding it is an answer, not a failure.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// The account, if there is one of that name.
    pub user: Option<User>,
}

/// What may be hidden from the service account, as people are told its name.
pub(super) const MAY_BE_HIDDEN: [&str; 2] = ["user.frozen", "user.locked"];
/// What people are told of it then.
pub(super) const HIDDEN: &str = "not known: the service account may not see it";

/// An account that was found.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct User {
    /// Its id in the connected system.
    pub id: Text<32>,
    /// Its name as the connected system spells it.
    pub account: Account,
    /// Whether it can sign in.
    pub active: bool,
    /// Whether sign-in is suspended; not known if the service account may not see it.
    pub frozen: Option<bool>,
    /// Whether too many wrong passwords locked it; not known if the service account may not see it.
    pub locked: Option<bool>,
    /// Its type, e.g. `Standard`.
    pub user_type: Text<64>,
    /// Its profile's name.
    pub profile: Text<128>,
    /// Its role's name; empty if it has none.
    pub role: Text<128>,
    /// The license it takes up; empty if not known.
    pub license: Text<128>,
    /// The e-mail address in force. One that waits to be confirmed is shown nowhere.
    pub email: Text<128>,
    /// When it last signed in, as `2026-11-25T17:03:00Z`; empty if never.
    pub last_login: Text<32>,
}
