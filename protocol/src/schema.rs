//! What JSON schemas say of ids, names and codes, for the controller's description of its API.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::bounded::{List, Text};
use crate::code::{Code, CodeSet};
use crate::filter::{Attribute, Comparison, Filter, MAX_VALUE, MAX_VALUES};
use crate::id::{ApiTokenId, ApiTokenName, Incarnation};
use crate::message::v1::{LogLevel, LogLevelVerdict, MembershipState, Mode};
use crate::outcome::{Certainty, Changed, FailureClass};
use crate::seal::SealingPublicKey;
use crate::task::collect::UserStatus;
use crate::task::deprovision_user::Stage;
use crate::task::disable_user::IfRefused;
use crate::task::export::{Content, DayPattern, DeltaMode, RecordFormat, TimePattern, Way};
use crate::task::import_batch::{Delimiter, Difference, DynamicSystem, Format};
use crate::task::reset_password::Source;
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
    UserStatus;
    IfRefused;
    Content;
    DayPattern;
    DeltaMode;
    RecordFormat;
    TimePattern;
    Delimiter;
    Difference;
    DynamicSystem;
    Format;
    Source;
    Stage;
    Way;
}

/// One of a newer version is told by its number; what is read has to be known.
impl<E: CodeSet + JsonSchema> JsonSchema for Code<E> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Code_of_{}", E::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        if generator.contract().is_deserialize() {
            return generator.subschema_for::<E>();
        }
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

impl<T: JsonSchema, const MAX: usize> JsonSchema for List<T, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("List_of_{MAX}_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "maxItems": MAX, "items": generator.subschema_for::<T>() })
    }
}

/// As the filter's own reader has it.
impl JsonSchema for Filter {
    fn schema_name() -> Cow<'static, str> {
        "Filter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let filter = generator.subschema_for::<Self>();
        let attribute = generator.subschema_for::<Attribute>();
        let value = json_schema!({ "type": ["string", "number", "boolean"], "maxLength": MAX_VALUE });
        let joined = |word: &str, operand: Schema| {
            json_schema!({
                "type": "object", "properties": { word: operand }, "required": [word], "additionalProperties": false,
            })
        };
        let tested = |word: &str, operand: Schema| {
            json_schema!({
                "type": "object", "properties": { "attribute": attribute, word: operand },
                "required": ["attribute", word], "additionalProperties": false,
            })
        };
        let terms = json_schema!({ "type": "array", "minItems": 1, "items": filter });
        let values = json_schema!({ "type": "array", "minItems": 1, "maxItems": MAX_VALUES, "items": value });
        let mut forms = vec![joined("and", terms.clone()), joined("or", terms), joined("not", filter)];
        forms.extend(Comparison::all().map(|it| tested(it.name(), value.clone())));
        forms.push(tested("in", values));
        forms.push(tested("is_null", json_schema!({ "type": "boolean" })));
        let words: Vec<_> = Comparison::all().map(|it| format!("`{}`", it.name())).collect();
        let description = format!(
            "A condition on records: one of `and` and `or` with a list of conditions, `not` with one; or `attribute` with one of \
             {}, `in` with a list of values, and `is_null`.",
            words.join(", ")
        );
        json_schema!({ "description": description, "oneOf": forms })
    }
}
