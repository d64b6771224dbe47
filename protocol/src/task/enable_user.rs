//! Make an account active. One that is frozen stays so.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Repeat;
pub use super::one_account::Request;
use crate::bounded::Text;

/// It brings about a state.
pub const REPEAT: Repeat = Repeat::AfterReadBack;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];

/// Which account it was.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Its id in the connected system.
    pub user_id: Text<32>,
}
