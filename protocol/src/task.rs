//! Every kind of task, from one table.
//!
//! A kind is one file in `task/` and one line in the table below. The table expands to [`TaskKind`], [`TaskRequest`]
//! and [`TaskOutput`]; connectors match over them exhaustively, so a new kind does not compile until each has answered.

pub mod collect;
pub mod deprovision_user;
pub mod describe_schema;
pub mod disable_user;
pub mod enable_user;
pub mod expire_password;
pub mod export;
pub mod freeze_user;
pub mod import_batch;
pub mod one_account;
pub mod reset_password;
pub mod restore_user;
pub mod test_connection;
pub mod unfreeze_user;
pub mod unlock_user;
pub mod validate_user;

use serde::{Deserialize as _, Deserializer, Serialize};
use serde_json::Value;

use crate::bounded::Text;
use crate::code::CodeSet;
use crate::codec::{self, CodecError};
use crate::codes;

/// The name of an account in a connected system, e.g. a Salesforce user name. Compared without regard to case.
pub type Account = Text<128>;

/// What may be done with a task whose effect may or may not have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It changes nothing: run it again.
    Freely,
    /// It brings about a state: read the state back, then bring it about again if need be.
    AfterReadBack,
    /// A second run would undo the first: read back, but never issue it again by itself.
    Never,
}

/// Why a request could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No such kind.
    #[error("this version knows no task kind {code}")]
    UnknownKind {
        /// The kind's number.
        code: u16,
    },
    /// The kind is known, the revision of its request is not.
    #[error("revision {rev} of {kind} is not known here")]
    UnknownRevision {
        /// The kind.
        kind: TaskKind,
        /// The revision.
        rev: u16,
    },
    /// The bytes are not a request of that kind.
    #[error("the request of {kind} is malformed")]
    Malformed {
        /// The kind.
        kind: TaskKind,
        /// What is wrong with it.
        #[source]
        source: CodecError,
    },
}

/// The JSON of a request is not one of its kind.
#[derive(Debug, thiserror::Error)]
#[error("the request of {kind} is malformed: {reason}")]
pub struct JsonError {
    /// The kind.
    pub kind: TaskKind,
    /// What is wrong, with the field's name.
    pub reason: String,
}

macro_rules! task_kinds {
    ($($(#[$doc:meta])* $code:literal $kind:ident = $module:ident $name:literal,)*) => {
        codes! {
            /// What a task does.
            pub enum TaskKind {
                $($(#[$doc])* $code $kind = $name,)*
            }
        }

        /// What a task is to do: the request of its kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum TaskRequest {
            $($(#[$doc])* $kind($module::Request),)*
        }

        /// What came of a task: the output of its kind.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum TaskOutput {
            $($(#[$doc])* $kind($module::Output),)*
        }

        impl TaskKind {
            /// What may be done with a task of this kind whose effect may or may not have happened.
            pub const fn repeat(self) -> Repeat {
                match self { $(Self::$kind => $module::REPEAT,)* }
            }

            /// The secrets a request of this kind may bring along, sealed.
            pub const fn sealed_fields(self) -> &'static [&'static str] {
                match self { $(Self::$kind => $module::SEALED_FIELDS,)* }
            }
        }

        #[cfg(feature = "schema")]
        impl TaskKind {
            /// What the JSON of a request of this kind is, as [`TaskRequest::read`] reads it.
            pub fn request_schema(self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self { $(Self::$kind => <$module::Request as schemars::JsonSchema>::json_schema(generator),)* }
            }

            /// What the JSON of an output of this kind is.
            pub fn output_schema(self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self { $(Self::$kind => <$module::Output as schemars::JsonSchema>::json_schema(generator),)* }
            }
        }

        impl TaskRequest {
            /// The revision in which this version writes requests. Every kind is in its first.
            pub const REV: u16 = 1;

            /// The kind.
            pub const fn kind(&self) -> TaskKind {
                match self { $(Self::$kind(_) => TaskKind::$kind,)* }
            }

            /// What must not be worked on twice at once; empty if nothing.
            pub fn target(&self) -> Text<255> {
                match self { $(Self::$kind(request) => request.target(),)* }
            }

            /// The request as it travels in an offer.
            pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
                match self { $(Self::$kind(request) => codec::encode(request),)* }
            }

            /// The request of kind number `code` in revision `rev`.
            pub fn decode(code: u16, rev: u16, bytes: &[u8]) -> Result<Self, RequestError> {
                let kind = TaskKind::from_code(code).ok_or(RequestError::UnknownKind { code })?;
                if rev != Self::REV {
                    return Err(RequestError::UnknownRevision { kind, rev });
                }
                match kind {
                    $(TaskKind::$kind => codec::decode(bytes)
                        .map(Self::$kind)
                        .map_err(|source| RequestError::Malformed { kind, source }),)*
                }
            }

            /// The request as JSON, for interfaces to people and programs.
            pub fn to_json(&self) -> Value {
                match self {
                    $(Self::$kind(request) => serde_json::to_value(request).unwrap_or_default(),)*
                }
            }

            /// The request of `kind` that this JSON object describes. Unknown fields are refused.
            pub fn from_json(kind: TaskKind, json: Value) -> Result<Self, JsonError> {
                Self::read(kind, json).map_err(|error| JsonError { kind, reason: crate::plain::json(&error) })
            }

            /// [`TaskRequest::from_json`] of whatever holds the object.
            pub fn read<'de, D: Deserializer<'de>>(kind: TaskKind, object: D) -> Result<Self, D::Error> {
                match kind { $(TaskKind::$kind => $module::Request::deserialize(object).map(Self::$kind),)* }
            }
        }

        impl TaskOutput {
            /// The kind.
            pub const fn kind(&self) -> TaskKind {
                match self { $(Self::$kind(_) => TaskKind::$kind,)* }
            }

            /// The output as it travels in a report.
            pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
                match self { $(Self::$kind(output) => codec::encode(output),)* }
            }

            /// The output of a task of `kind`.
            pub fn decode(kind: TaskKind, bytes: &[u8]) -> Result<Self, CodecError> {
                match kind { $(TaskKind::$kind => codec::decode(bytes).map(Self::$kind),)* }
            }
        }

        $(impl From<$module::Output> for TaskOutput {
            fn from(output: $module::Output) -> Self {
                Self::$kind(output)
            }
        })*
    };
}

task_kinds! {
    /// Prove that the connected system can be reached and signed in to.
    1 TestConnection = test_connection "test_connection",
    /// Look an account up.
    2 ValidateUser = validate_user "validate_user",
    /// Make an account active. One that is frozen stays so.
    3 EnableUser = enable_user "enable_user",
    /// Keep an account from signing in.
    4 DisableUser = disable_user "disable_user",
    /// Give an account a new password.
    5 ResetPassword = reset_password "reset_password",
    /// Make an account's password useless at once.
    6 ExpirePassword = expire_password "expire_password",
    /// Create and modify accounts from a dataset.
    7 ImportBatch = import_batch "import_batch",
    /// Suspend an account's sign-in at once.
    8 FreezeUser = freeze_user "freeze_user",
    /// End the suspension of an account's sign-in.
    9 UnfreezeUser = unfreeze_user "unfreeze_user",
    /// Let an account sign in again that too many wrong passwords locked.
    10 UnlockUser = unlock_user "unlock_user",
    /// Take an account out of use for good.
    11 DeprovisionUser = deprovision_user "deprovision_user",
    /// Put an account that was taken out of use back.
    12 RestoreUser = restore_user "restore_user",
    /// Read records and hand them over as a file.
    13 Export = export "export",
    /// Say which attributes records have, and what may be done with them.
    14 DescribeSchema = describe_schema "describe_schema",
    /// Gather everything there is to know about users, and tell who is there no longer.
    15 Collect = collect "collect",
}

impl TaskKind {
    /// The lane in which tasks of this kind wait.
    pub const fn lane(self) -> Lane {
        match self {
            Self::TestConnection
            | Self::ValidateUser
            | Self::DisableUser
            | Self::FreezeUser
            | Self::ResetPassword
            | Self::ExpirePassword
            | Self::UnlockUser => Lane::Interactive,
            Self::EnableUser | Self::UnfreezeUser | Self::DeprovisionUser | Self::RestoreUser => Lane::Provisioning,
            Self::ImportBatch | Self::Export | Self::DescribeSchema | Self::Collect => Lane::Batch,
        }
    }

    /// Whether it is about many records, makes many calls, and can wait: what is about one account comes first.
    pub const fn is_batch(self) -> bool {
        matches!(self.lane(), Lane::Batch)
    }
}

/// Where tasks wait for their turn: of two with the same priority, the one in the earlier lane goes first. Every fourth
/// turn is that of the lane or task that has waited longest, so that no lane starves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Somebody waits for it, or it shuts somebody out.
    Interactive,
    /// About one account, of the kind that systems ask for.
    Provisioning,
    /// About many records.
    Batch,
}

impl Lane {
    /// All of them, the one that goes first first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Provisioning, Self::Batch];

    /// Whether turn number `turn` is that of whoever has waited longest.
    pub const fn is_for_the_oldest(turn: u64) -> bool {
        turn % 4 == 3
    }
}

impl TaskOutput {
    /// An output of `kind` that is JSON already as names and words for people, nested fields under dotted names.
    pub fn fields(kind: TaskKind, output: &Value) -> Vec<(String, String)> {
        let mut told = named_words(output);
        if kind == TaskKind::TestConnection
            && let Some((_, words)) = told.iter_mut().find(|(name, _)| name == "trusted")
        {
            test_connection::trusted_in_words(output).clone_into(words);
        }
        if kind == TaskKind::ValidateUser {
            let hidden = |(name, words): &&mut (String, String)| {
                validate_user::MAY_BE_HIDDEN.contains(&name.as_str()) && words == NONE
            };
            told.iter_mut().filter(hidden).for_each(|(_, words)| validate_user::HIDDEN.clone_into(words));
        }
        told
    }
}

fn named_words(output: &Value) -> Vec<(String, String)> {
    let Value::Object(fields) = output else { return Vec::new() };
    let mut told = Vec::new();
    for (name, value) in fields {
        if value.is_object() {
            let nested = named_words(value).into_iter();
            told.extend(nested.map(|(inner, words)| (format!("{name}.{inner}"), words)));
        } else {
            told.push((name.clone(), words(value)));
        }
    }
    told
}

/// What is said of a field without a value.
const NONE: &str = "none";

fn words(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join("; "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// Reads the name of an account, which has to be one.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Account, D::Error> {
    let account = Account::deserialize(deserializer)?;
    if account.trim().is_empty() {
        return Err(serde::de::Error::custom("an account has a name that is not empty"));
    }
    Ok(account)
}

/// The key under which work on one account is serialized.
fn account_target(account: &Account) -> Text<255> {
    Text::clipped(account.to_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_kind_is_named_by_its_number() {
        let error = TaskRequest::decode(999, 1, &[]).unwrap_err();
        assert_eq!(error.to_string(), "this version knows no task kind 999");
    }

    #[test]
    fn a_request_survives_the_wire_and_json() {
        let request = TaskRequest::DisableUser(disable_user::Request {
            account: Text::new("Joe@Example.com").unwrap(),
            if_refused: disable_user::IfRefused::Freeze.into(),
        });
        let bytes = request.encode().unwrap();
        assert_eq!(TaskRequest::decode(TaskKind::DisableUser.code(), 1, &bytes).unwrap(), request);
        assert_eq!(TaskRequest::from_json(TaskKind::DisableUser, request.to_json()).unwrap(), request);
        assert_eq!(request.target().as_str(), "joe@example.com");
    }

    #[test]
    fn every_field_of_an_output_is_told_under_its_whole_name() {
        let output = json!({
            "user": { "id": "005", "active": true, "frozen": null, "locked": false, "role": null },
            "failed": 2,
            "licenses": ["Salesforce", { "needed": 1 }],
        });
        let fields = TaskOutput::fields(TaskKind::ValidateUser, &output);
        let told: BTreeMap<&str, &str> = fields.iter().map(|(name, words)| (name.as_str(), words.as_str())).collect();
        let expected = [
            ("user.id", "005"),
            ("user.active", "true"),
            ("user.frozen", "not known: the service account may not see it"),
            ("user.locked", "false"),
            ("user.role", "none"),
            ("failed", "2"),
            ("licenses", "Salesforce; {\"needed\":1}"),
        ];
        assert_eq!(told, BTreeMap::from(expected));
    }

    #[test]
    fn whether_an_address_is_trusted_is_told_in_words_that_say_what_it_was_compared_with() {
        for (address, trusted, expected) in [
            ("203.0.113.7", json!(true), "yes: the source address is in `trusted_ranges`"),
            ("203.0.113.7", json!(false), "no: the source address is in none of `trusted_ranges`"),
            ("203.0.113.7", json!(null), "not known: no `trusted_ranges` are configured"),
            ("", json!(null), "not known: no source address was told"),
        ] {
            let output = json!({ "source_address": address, "trusted": trusted });
            let fields = TaskOutput::fields(TaskKind::TestConnection, &output);
            let words = fields.iter().find_map(|(name, words)| (name == "trusted").then_some(words)).unwrap();
            assert!(words.starts_with(expected), "{words}");
        }
    }

    #[test]
    fn an_unknown_field_of_a_request_is_named() {
        let json = json!({ "account": "a@b.c", "acount": "x" });
        let error = TaskRequest::from_json(TaskKind::EnableUser, json).unwrap_err();
        assert!(error.to_string().contains("acount"), "{error}");
    }
}
