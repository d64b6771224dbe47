//! What a route takes and answers, read off the types of its handler: what is described is what is read and written.

use axum::Json;
use axum::body::Body as Octets;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::asked::{Body, Form, Path, Query};
use super::auth::Caller;
use super::{Api, Problem};

/// The description of one route in the making.
pub(super) struct Operation<'a> {
    path: &'static str,
    /// Of what is read: every schema stands where it is used.
    read: SchemaGenerator,
    /// Of what is written: views have a place of their own, which is shared.
    written: &'a mut SchemaGenerator,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) answers: Map<String, Value>,
}

impl<'a> Operation<'a> {
    /// Of the route at a path.
    pub(super) fn at(path: &'static str, written: &'a mut SchemaGenerator) -> Self {
        let mut settings = SchemaSettings::draft2020_12().for_deserialize();
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        let read = settings.into_generator();
        Self { path, read, written, parameters: Vec::new(), body: None, answers: Map::new() }
    }

    pub(super) fn parameter(&mut self, place: &str, name: &str, required: bool, mut schema: Value) {
        let description = schema.as_object_mut().and_then(|it| it.remove("description"));
        let mut parameter = json!({ "in": place, "name": name, "required": required, "schema": schema });
        if let (Some(description), Some(parameter)) = (description, parameter.as_object_mut()) {
            parameter.insert("description".to_owned(), description);
        }
        self.parameters.push(parameter);
    }

    /// A header that a caller may send.
    pub(super) fn header(&mut self, name: &str, description: &str) {
        self.parameter("header", name, false, json!({ "type": "string", "description": description }));
    }

    pub(super) fn answer(&mut self, status: &str, description: &str, media_type: &str, schema: &Value) {
        let content = json!({ media_type: { "schema": schema } });
        self.answers.insert(status.to_owned(), json!({ "description": description, "content": content }));
    }

    fn view<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }
}

/// What a handler takes.
pub(super) trait Taken {
    /// It is read from the query.
    const IN_QUERY: bool = false;
    /// It is read from the body.
    const IN_BODY: bool = false;

    /// Says so.
    fn describe(operation: &mut Operation<'_>);
}

impl Taken for State<Api> {
    fn describe(_: &mut Operation<'_>) {}
}

impl Taken for Caller {
    fn describe(_: &mut Operation<'_>) {}
}

impl Taken for HeaderMap {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T: JsonSchema> Taken for Path<T> {
    fn describe(operation: &mut Operation<'_>) {
        let name = operation.path.split(['{', '}']).nth(1).unwrap_or_default();
        let schema = operation.read.subschema_for::<T>().to_value();
        operation.parameter("path", name, true, schema);
    }
}

impl<T: Form> Taken for Query<T> {
    const IN_QUERY: bool = true;

    fn describe(operation: &mut Operation<'_>) {
        let schema = T::schema(&mut operation.read).to_value();
        let required = names(&schema, "required");
        for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            operation.parameter("query", name, required.contains(name), there(schema));
        }
    }
}

impl<T: Form> Taken for Body<T> {
    const IN_BODY: bool = true;

    fn describe(operation: &mut Operation<'_>) {
        let mut schema = T::schema(&mut operation.read);
        schema.insert("additionalProperties".to_owned(), Value::Bool(false));
        let required = !names(schema.as_value(), "required").is_empty();
        operation.body = Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }));
    }
}

impl Taken for Octets {
    const IN_BODY: bool = true;

    fn describe(operation: &mut Operation<'_>) {
        let content = json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } });
        operation.body = Some(json!({ "required": true, "content": content }));
    }
}

/// What is said of something that is there: in a query, nothing is `null`.
fn there(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|it| it != "null");
    }
    if let Some(some) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        some.retain(|it| it.get("type").is_none_or(|kind| kind != "null"));
    }
    schema
}

fn names(schema: &Value, key: &str) -> Vec<String> {
    let names = schema.get(key).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a handler answers.
pub(super) trait Answer {
    /// Says so.
    fn describe(operation: &mut Operation<'_>);
}

impl<T: JsonSchema> Answer for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.view::<T>();
        operation.answer("200", "Done.", "application/json", &schema);
    }
}

/// Done, or taken in.
impl<T: JsonSchema> Answer for (StatusCode, Json<T>) {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.view::<T>();
        operation.answer("200", "It is finished.", "application/json", &schema);
        operation.answer("202", "It is taken in.", "application/json", &schema);
    }
}

impl<T: Answer> Answer for Result<T, Problem> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}

/// An answer of any bytes.
pub(super) struct Payload(pub(super) Response);

impl IntoResponse for Payload {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Answer for Payload {
    fn describe(operation: &mut Operation<'_>) {
        let schema = json!({ "type": "string", "format": "binary" });
        operation.answer("200", "The payload as the member sent it.", "application/octet-stream", &schema);
    }
}

/// An answer of server-sent events.
pub(super) struct Events(pub(super) Response);

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Answer for Events {
    fn describe(operation: &mut Operation<'_>) {
        let description = "Events for as long as the caller listens: `task`, `progress`, `member`, `cluster`, `system` with \
                           the view of the thing as `data`, or what was removed, and `reset`.";
        operation.answer("200", description, "text/event-stream", &json!({ "type": "string" }));
    }
}

/// A handler, whose types say what it takes and answers.
pub(super) trait Described<T> {
    /// Whether it reads the query.
    const READS_QUERY: bool;
    /// Whether it reads the body.
    const READS_BODY: bool;

    /// Says so.
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! described {
    ($($taken:ident)*) => {
        impl<F, Fut, A, $($taken),*> Described<($($taken,)*)> for F
        where
            F: Fn($($taken),*) -> Fut,
            Fut: Future<Output = A>,
            A: Answer,
            $($taken: Taken,)*
        {
            const READS_QUERY: bool = false $(|| $taken::IN_QUERY)*;
            const READS_BODY: bool = false $(|| $taken::IN_BODY)*;

            fn describe(operation: &mut Operation<'_>) {
                $($taken::describe(operation);)*
                A::describe(operation);
            }
        }
    };
}

described!();
described!(A1);
described!(A1 A2);
described!(A1 A2 A3);
described!(A1 A2 A3 A4);
described!(A1 A2 A3 A4 A5);
described!(A1 A2 A3 A4 A5 A6);

/// The fields of both.
pub(super) fn beside(mut one: Schema, other: &Schema) -> Schema {
    for key in ["properties", "required"] {
        let Some(more) = other.get(key) else { continue };
        match (one.get_mut(key), more) {
            (Some(Value::Object(all)), Value::Object(more)) => all.extend(more.clone()),
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more.iter().cloned()),
            _ => drop(one.insert(key.to_owned(), more.clone())),
        }
    }
    one
}
