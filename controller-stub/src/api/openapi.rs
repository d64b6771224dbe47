//! The API described: `OpenAPI` 3.1, and the same for people. Both are made of the table of routes and of the types that are
//! read and written; `docs/reference` has them.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::Json;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema as _, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::described::Operation;
use super::routes::{Described, all};
use super::{Problem, RemovedView, ResetView, TaskProgressView, tasks};
use crate::state::tasks::TaskView;

const DESCRIPTION: &str = "Plain HTTP on the loopback. Every caller has a token with a role; `x-role` is the least that may call a \
                           route. Lists come in pages, errors as problems that name the field.";

/// The API in `OpenAPI` 3.1.
pub fn openapi() -> Value {
    let mut written = generator(SchemaSettings::draft2020_12().for_serialize());
    let mut paths: Map<String, Value> = Map::new();
    for route in all() {
        let described = operation(&route, &mut written);
        let path = paths.entry(route.permission.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(route.permission.method.to_lowercase(), described);
        }
    }
    let problem = written.subschema_for::<Problem>();
    // What is told of as an event alone.
    let _ = written.subschema_for::<TaskProgressView>();
    let _ = (written.subschema_for::<RemovedView>(), written.subschema_for::<ResetView>());
    let outputs = tasks::outputs_of_kinds(&mut written);
    let mut schemas = written.take_definitions(true);
    schemas.extend(outputs);
    schemas.extend(tasks::params_of_kinds());
    if let Some(task) = schemas.get_mut(&*TaskView::schema_name()).and_then(Value::as_object_mut) {
        tasks::with_output(task);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Postern controller",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:7080" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": { "Problem": {
                "description": "It was not done, and why.",
                "content": { "application/problem+json": { "schema": problem } },
            } },
        },
    })
}

/// Makes schemas that have their place in the document.
pub(super) fn generator(mut settings: SchemaSettings) -> SchemaGenerator {
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.into_generator()
}

fn operation(route: &Described, written: &mut SchemaGenerator) -> Value {
    let it = route.permission;
    let mut operation = Operation::at(it.path, written);
    (route.describe)(&mut operation);
    let Operation { parameters, body, mut answers, .. } = operation;
    answers.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    let mut described = json!({
        "operationId": it.act,
        "summary": route.summary,
        "tags": [it.path.split('/').nth(2).unwrap_or_default()],
        "x-role": it.least,
        "responses": answers,
    });
    if let Some(described) = described.as_object_mut() {
        if !parameters.is_empty() {
            described.insert("parameters".to_owned(), parameters.into());
        }
        described.extend(body.map(|it| ("requestBody".to_owned(), it)));
    }
    described
}

/// As it is served: what it is made of does not change while a program runs, and to make it takes far longer than to send it.
static SERVED: LazyLock<Value> = LazyLock::new(openapi);

pub(super) async fn show() -> Json<&'static Value> {
    Json(&SERVED)
}

/// The API for people, in Markdown.
pub fn reference() -> String {
    let document = openapi();
    let mut text = "# The controller's API\n\nMade by `postern-controller openapi --markdown`; [openapi.json](openapi.json) says the \
                    same to programs. [The operator's guide](../operations/api.md#the-api-and-who-may-use-it) says how to call it.\n"
        .to_owned();
    for route in all() {
        let it = route.permission;
        let pointer = format!("/paths/{}/{}", it.path.replace('/', "~1"), it.method.to_lowercase());
        let operation = document.pointer(&pointer).unwrap_or(&Value::Null);
        let _ = write!(text, "\n## {} {}\n\n{} Role: {}.\n", it.method, it.path, route.summary, it.least);
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let mut rows: Vec<[String; 4]> = Vec::new();
        for parameter in parameters.into_iter().flatten() {
            rows.push(row(
                word(parameter, "in"),
                word(parameter, "name"),
                parameter.get("required") == Some(&Value::Bool(true)),
                parameter.get("schema").unwrap_or(&Value::Null),
                word(parameter, "description"),
            ));
        }
        let body = operation.pointer("/requestBody/content/application~1json/schema");
        for (name, schema) in body.and_then(|it| it.get("properties")?.as_object()).into_iter().flatten() {
            let required = body.and_then(|it| it.get("required")?.as_array());
            let is_required = required.is_some_and(|it| it.iter().any(|it| it == name));
            rows.push(row("body", name, is_required, schema, word(schema, "description")));
        }
        if !rows.is_empty() {
            text.push_str("\n| in | name | | what |\n|---|---|---|---|\n");
        }
        for [place, name, kind, what] in rows {
            let _ = writeln!(text, "| {place} | {name} | {kind} | {what} |");
        }
        let answers = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        let answers: Vec<String> = answers.filter(|(status, _)| *status != "default").map(answer).collect();
        let _ = write!(text, "\nAnswers {}.\n", answers.join(", "));
    }
    text.push_str("\n# What is answered\n");
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten();
    for (name, schema) in schemas {
        let _ = write!(text, "\n## {name}\n\n{}\n", word(schema, "description"));
        if let Some(words) = schema.get("enum") {
            let _ = write!(text, "\nOne of {}.\n", listed(words));
        }
        let properties = schema.get("properties").and_then(Value::as_object).filter(|it| !it.is_empty());
        if properties.is_some() {
            text.push_str("\n| name | | what |\n|---|---|---|\n");
        }
        // What is read may be left out, what is answered is there.
        let is_read = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let required = schema.get("required").and_then(Value::as_array).filter(|_| is_read);
        for (name, schema) in properties.into_iter().flatten() {
            let is_required = required.is_some_and(|it| it.iter().any(|it| it == name));
            let [_, name, kind, what] = row("", name, is_required, schema, word(schema, "description"));
            let _ = writeln!(text, "| {name} | {kind} | {what} |");
        }
    }
    text
}

fn row(place: &str, name: &str, required: bool, schema: &Value, what: &str) -> [String; 4] {
    let kind = if required { format!("{}, required", kind(schema)) } else { kind(schema) };
    [place.to_owned(), format!("`{name}`"), kind, cell(what)]
}

fn answer((status, it): (&String, &Value)) -> String {
    let (media_type, schema) = it
        .get("content")
        .and_then(Value::as_object)
        .and_then(|it| it.iter().next())
        .map_or(("", &Value::Null), |(name, it)| (name.as_str(), it.get("schema").unwrap_or(&Value::Null)));
    format!("{status} with {} (`{media_type}`)", kind(schema))
}

/// What a value is, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(words) = schema.get("enum") {
        return listed(words);
    }
    let some = ["anyOf", "oneOf", "allOf"].iter().find_map(|it| schema.get(*it)?.as_array());
    if let Some(some) = some {
        let kinds: Vec<String> = some.iter().map(kind).collect();
        return kinds.join(" or ");
    }
    if let Some(one) = schema.get("const") {
        return format!("`{}`", one.as_str().unwrap_or_default());
    }
    if let Some(items) = schema.get("items") {
        return format!("list of {}", kind(items));
    }
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any JSON".to_owned(),
    }
}

fn listed(words: &Value) -> String {
    let words = words.as_array().into_iter().flatten();
    words.map(|it| it.as_str().map_or_else(|| it.to_string(), |it| format!("`{it}`"))).collect::<Vec<_>>().join(", ")
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A text in one cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
