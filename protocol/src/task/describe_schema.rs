//! Say which attributes the connected system's records have, and what may be done with them.
//!
//! The answer is the task's one stream: the schema as XML, sealed to the requester like an export, see
//! [`export`](super::export).

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Repeat;
use crate::bounded::{List, Text};

/// It changes nothing.
pub const REPEAT: Repeat = Repeat::Freely;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];

/// What the schema is to hold.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The classes of records; empty: those of the schema in force.
    #[serde(default)]
    pub objects: List<Text<64>, 16>,
    /// Attributes to add to those of the schema in force, as `User.Size__c`.
    #[serde(default)]
    pub add: List<Text<200>, 200>,
    /// Whether to add every attribute that the connected system's owners made.
    #[serde(default)]
    pub custom: bool,
}

impl Request {
    #[allow(clippy::unused_self, reason = "every kind answers this; this one is about no single account")]
    pub(super) fn target(&self) -> Text<255> {
        Text::default()
    }
}

/// What the schema holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Classes of records in it.
    pub objects: u32,
    /// Attributes in it.
    pub attributes: u32,
    /// What a requester should know, e.g. which attributes the connected system lacks.
    pub warnings: List<Text<512>, 12>,
}
