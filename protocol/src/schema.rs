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

macro_rules! inline {
    ($($name:ident: $schema:tt;)*) => {
        $(impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
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

inline! {
    TaskId: { "type": "string", "pattern": "^tsk_[0-9a-f]{32}$" };
    MemberId: { "type": "string", "pattern": "^mbr_[0-9a-f]{32}$" };
    StreamId: { "type": "string", "pattern": "^str_[0-9a-f]{32}$" };
    Incarnation: { "type": "string", "pattern": "^inc_[0-9a-f]{32}$" };
    ApiTokenId: { "type": "string", "pattern": "^apt_[0-9a-f]{32}$" };
    ClusterName: { "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$" };
    SystemName: { "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$" };
    ApiTokenName: { "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$" };
    SealingPublicKey: { "type": "string", "pattern": "^[0-9a-f]{64}$" };
    Epoch: { "type": "integer", "minimum": 0 };
    UnixMillis: { "type": "integer", "minimum": 0 };
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
