//! What JSON schemas say of ids, names and codes, for the controller's description of its API.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::bounded::Text;
use crate::code::{Code, CodeSet};
use crate::id::{ApiTokenId, ApiTokenName, Incarnation};
use crate::message::v1::{LogLevel, LogLevelVerdict, MembershipState, Mode};
use crate::outcome::{Certainty, Changed, FailureClass};
use crate::seal::SealingPublicKey;
use crate::time::UnixMillis;
use crate::{ClusterName, Epoch, MemberId, Outcome, StreamId, SystemName, TaskId, TaskKind};

macro_rules! texts {
    ($($name:ident, $pattern:literal;)*) => {
        $(impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        })*
    };
}

macro_rules! numbers {
    ($($name:ident;)*) => {
        $(impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "integer", "minimum": 0 })
            }
        })*
    };
}

macro_rules! words {
    ($($name:ident;)*) => {
        $(impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let words: Vec<_> = $name::ALL.iter().map(|it| it.name()).collect();
                json_schema!({ "type": "string", "enum": words })
            }
        })*
    };
}

texts! {
    TaskId, "^tsk_[0-9a-f]{32}$";
    MemberId, "^mbr_[0-9a-f]{32}$";
    StreamId, "^str_[0-9a-f]{32}$";
    Incarnation, "^inc_[0-9a-f]{32}$";
    ApiTokenId, "^apt_[0-9a-f]{32}$";
    ClusterName, "^[a-z0-9][a-z0-9._-]{0,62}$";
    SystemName, "^[a-z0-9][a-z0-9._-]{0,62}$";
    ApiTokenName, "^[a-z0-9][a-z0-9._-]{0,62}$";
    SealingPublicKey, "^[0-9a-f]{64}$";
}

numbers! {
    Epoch;
    UnixMillis;
}

words! {
    TaskKind;
    Outcome;
    Certainty;
    Changed;
    FailureClass;
    LogLevel;
    LogLevelVerdict;
    MembershipState;
    Mode;
}

/// One of a newer version is told by its number.
impl<E: CodeSet + JsonSchema> JsonSchema for Code<E> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Code_of_{}", E::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<E>(), { "type": "string", "pattern": "^code [0-9]+$" }] })
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text_of_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX })
    }
}
