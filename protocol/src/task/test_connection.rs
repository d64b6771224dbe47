//! Prove that the connected system can be reached and signed in to.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Repeat;
use crate::bounded::{List, Text};

/// It changes nothing.
pub const REPEAT: Repeat = Repeat::Freely;
/// None.
pub const SEALED_FIELDS: &[&str] = &[];

/// There is nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {}

impl Request {
    #[allow(clippy::unused_self, reason = "every kind answers this; this one is about no single account")]
    pub(super) fn target(&self) -> Text<255> {
        Text::default()
    }
}

/// Where the connection led.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// One sentence that says it worked.
    pub message: Text<255>,
    /// The URL of the API, as the sign-in answered.
    pub instance: Text<255>,
    /// The organization's id.
    pub organization: Text<32>,
    /// The account the agent signs in with.
    pub account: Text<128>,
    /// How it signed in, e.g. `oauth-jwt`.
    pub method: Text<32>,
    /// For password methods: `trusted-ip` or `token`; else empty.
    pub network: Text<16>,
    /// The address the connected system saw the agent come from; empty if not known.
    pub source_address: Text<64>,
    /// Whether it lies in a range that the configuration calls trusted; nothing if not known.
    pub trusted: Option<bool>,
    /// How many API calls the organization has used in 24 hours; nothing if not told.
    pub api_calls_used: Option<u64>,
    /// How many it may use in 24 hours; nothing if not told.
    pub api_calls_limit: Option<u64>,
    /// What an administrator should know, e.g. that the method will be retired.
    pub warnings: List<Text<512>, 8>,
}

/// What `trusted` of an output that is JSON already means.
pub(super) fn trusted_in_words(output: &Value) -> &'static str {
    let address = output.get("source_address").and_then(Value::as_str).unwrap_or_default();
    match (output.get("trusted").and_then(Value::as_bool), address) {
        (Some(true), _) => "yes: the source address is in `trusted_ranges`",
        (Some(false), _) => "no: the source address is in none of `trusted_ranges`",
        (None, "") => "not known: no source address was told to compare with `trusted_ranges`",
        (None, _) => {
            "not known: no `trusted_ranges` are configured, or the source address is no IP address; signing in does \
             not depend on them"
        }
    }
}
