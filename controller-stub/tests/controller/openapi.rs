//! The API is as it is described, and everything that is wrong is a problem.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use postern_controller_stub::access::Role;
use postern_controller_stub::api::{Problem, openapi, permissions, read_submission};
use postern_protocol::bounded::Bytes;
use postern_protocol::message::v1::Report;
use postern_protocol::{TaskKind, TaskOutput};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::access::{Caller, filled, token};
use crate::lab::{Lab, new_task};
use crate::member::{Session, succeeded, with_sealed_output};

const REGENERATE: &str = "run `postern-controller openapi > docs/reference/openapi.json` and \
                          `postern-controller openapi --markdown > docs/reference/api.md`";

fn operation<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    &document["paths"][path][method.to_lowercase()]
}

#[test]
fn every_route_is_described_with_its_role_and_nothing_else_is() {
    let document = openapi();
    let methods = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, it)| methods(it).into_iter().map(|method| (method.to_uppercase(), path.clone())))
        .collect();
    let routes: BTreeSet<_> = permissions().iter().map(|it| (it.method.to_owned(), it.path.to_owned())).collect();
    assert_eq!(described, routes);
    for it in permissions() {
        let operation = operation(&document, it.method, it.path);
        assert_eq!(operation["x-role"], it.least.text(), "{}", it.act);
        assert_eq!(operation["operationId"], it.act);
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let of_path = parameters.filter(|it| it["in"] == "path").count();
        assert_eq!(of_path, it.path.matches('{').count(), "{}", it.act);
        assert!(operation["responses"]["default"]["$ref"].is_string());
    }
}

#[tokio::test]
async fn what_is_written_down_is_what_the_program_describes() {
    let lab = Lab::start().await;
    let written = [(vec!["openapi"], "openapi.json"), (vec!["openapi", "--markdown"], "api.md")];
    for (arguments, file) in written {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(file);
        let written = std::fs::read_to_string(path).unwrap();
        let (code, out, err) = lab.program(&arguments);
        assert_eq!(code, Some(0), "{err}");
        assert!(out == written, "docs/reference is out of date: {REGENERATE}");
    }
    let served: Value = lab.client().get("/v1/openapi.json").await.unwrap();
    assert_eq!(served, openapi());
}

/// Whether a value is what a schema says, and nothing that it does not say. A word of schemas that is not known here is
/// refused, so that nothing is passed over.
fn check(value: &Value, schema: &Value, document: &Value) -> Result<(), String> {
    let Some(schema) = schema.as_object() else { return Ok(()) };
    let wrong = |why: &str| Err(format!("{why}: {value} for {}", json!(schema)));
    for (word, said) in schema {
        match word.as_str() {
            "$ref" => {
                let pointer = said.as_str().unwrap().trim_start_matches('#');
                check(value, document.pointer(pointer).unwrap(), document)?;
            }
            "type" => {
                let kinds = said.as_array().cloned().unwrap_or_else(|| vec![said.clone()]);
                if !kinds.iter().any(|kind| is(value, kind.as_str().unwrap())) {
                    return wrong("another type");
                }
            }
            "anyOf" | "oneOf" => {
                let fits = |one: &Value| check(value, &beside_its_fields(schema, one), document).is_ok();
                if !said.as_array().unwrap().iter().any(fits) {
                    return wrong("none of them");
                }
            }
            "allOf" => said.as_array().unwrap().iter().try_for_each(|one| check(value, one, document))?,
            "enum" if !said.as_array().unwrap().contains(value) => return wrong("another word"),
            "const" if said != value => return wrong("another word"),
            "required" if value.is_object() => {
                for name in said.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return wrong(&format!("{name} is missing"));
                    }
                }
            }
            "properties" if value.is_object() => {
                for (name, value) in value.as_object().unwrap() {
                    match (said.get(name), schema.get("additionalProperties")) {
                        (Some(schema), _) => check(value, schema, document)?,
                        (None, Some(_)) => (),
                        (None, None) => return wrong(&format!("{name} is not described")),
                    }
                }
            }
            "additionalProperties" if said.is_object() => {
                let known = schema.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if !known.is_some_and(|known| known.contains_key(name)) {
                        check(value, said, document)?;
                    }
                }
            }
            "items" => value.as_array().into_iter().flatten().try_for_each(|it| check(it, said, document))?,
            "minimum" if value.as_f64().is_some_and(|it| it < said.as_f64().unwrap()) => return wrong("too small"),
            "maxLength" if value.as_str().is_some_and(|it| it.len() > said.as_u64().unwrap().try_into().unwrap()) => {
                return wrong("too long");
            }
            "enum"
            | "const"
            | "required"
            | "properties"
            | "additionalProperties"
            | "minimum"
            | "maximum"
            | "minLength"
            | "maxLength"
            | "minItems"
            | "maxItems"
            | "pattern"
            | "description"
            | "format"
            | "default"
            | "title"
            | "uniqueItems" => (),
            other => return wrong(&format!("`{other}` is not known here")),
        }
    }
    Ok(())
}

/// One form of an object. Of the fields that all forms have it says only what is special of it.
fn beside_its_fields(all: &Map<String, Value>, one: &Value) -> Value {
    let mut one = one.clone();
    if let (Some(shared), Some(own)) = (all.get("properties"), one.get_mut("properties")) {
        for (name, schema) in shared.as_object().unwrap() {
            own.as_object_mut().unwrap().entry(name).or_insert_with(|| schema.clone());
        }
    }
    one
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type: {other}"),
    }
}

/// Leave a field out of what is described, and it is found here.
#[tokio::test]
async fn real_answers_are_as_they_are_described() {
    let lab = Lab::start().await;
    let (identity, mut session) = lab.working_member().await;
    let _: Value = lab.client().post("/v1/systems/sf", &json!({ "in": "de", "display_name": "x" })).await.unwrap();
    let done = lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    let [output] = &outputs(TaskKind::EnableUser)[..] else { panic!("another sample") };
    let output = Bytes::new(output.encode().unwrap()).unwrap();
    session.send(with_sealed_output(Report { output, ..succeeded(1, &offer) })).await;
    assert_eq!(session.acked().await, 1);
    let held = lab.submit("enable_user", "b").await;
    session.offer().await;
    let administrator = token(&lab, "x", Role::Administrator).await;
    let (caller, document) = (Caller::of(&lab), openapi());
    let (member, task) = (identity.member, new_task());
    let submit = json!({ "id": task, "system": "sf", "kind": "enable_user", "params": { "account": "c" } });
    let calls = [
        ("GET", "/v1/status", json!(null)),
        ("GET", "/v1/whoami", json!(null)),
        ("GET", "/v1/ca", json!(null)),
        ("POST", "/v1/ca/rotation/begin", json!({})),
        ("POST", "/v1/ca/rotation/back", json!({ "force": true })),
        ("GET", "/v1/clusters", json!(null)),
        ("POST", "/v1/clusters", json!({ "name": "new" })),
        ("GET", "/v1/clusters/acme/keys", json!(null)),
        ("POST", "/v1/tokens", json!({ "cluster": "acme" })),
        ("GET", "/v1/members", json!(null)),
        ("GET", &format!("/v1/members/{member}"), json!(null)),
        ("POST", &format!("/v1/members/{member}/drain"), json!({})),
        ("POST", &format!("/v1/members/{member}/approve"), json!({ "fingerprint": "none" })),
        ("POST", &format!("/v1/members/{member}/accept"), json!({ "fingerprint": "none" })),
        ("GET", "/v1/systems", json!(null)),
        ("POST", "/v1/systems", json!({ "name": "other", "association": "acme" })),
        ("GET", "/v1/systems/sf", json!(null)),
        ("POST", "/v1/systems/other", json!({ "add_owners": ["ann"] })),
        ("POST", "/v1/systems/other/associate", json!({ "association": "server" })),
        ("POST", "/v1/systems/other/log-level", json!({ "level": "debug", "for_secs": 60 })),
        ("DELETE", "/v1/systems/other", json!(null)),
        ("GET", "/v1/tasks", json!(null)),
        ("POST", "/v1/tasks", submit),
        ("GET", &format!("/v1/tasks/{done}"), json!(null)),
        ("GET", &format!("/v1/tasks/{held}"), json!(null)),
        ("GET", &format!("/v1/tasks/{done}/wait"), json!(null)),
        ("POST", &format!("/v1/tasks/{held}/cancel"), json!({})),
        ("GET", &format!("/v1/tasks/{done}/records"), json!(null)),
        ("GET", "/v1/audit", json!(null)),
        ("GET", "/v1/api-tokens", json!(null)),
        ("POST", "/v1/api-tokens", json!({ "name": "new", "role": "viewer", "expires_secs": 60 })),
        ("DELETE", "/v1/api-tokens/new", json!(null)),
        ("GET", "/v1/nothing", json!(null)),
    ];
    for (method, path, body) in calls {
        let request = caller.request(method, path).bearer_auth(&administrator);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        let (status, media_type) = (response.status(), response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned());
        let value: Value = response.json().await.unwrap();
        let schema = if status.is_success() {
            let route = route_of(method, path);
            let answer = &operation(&document, method, route)["responses"][status.as_str()];
            &answer["content"][&media_type]["schema"]
        } else {
            &document["components"]["responses"]["Problem"]["content"][&media_type]["schema"]
        };
        assert!(schema.is_object(), "{method} {path}: {status} {media_type} is not described: {value}");
        check(&value, schema, &document).unwrap_or_else(|why| panic!("{method} {path}: {why}"));
    }
    drop(Session::open(&lab, &identity));
}

/// The route that a path is of.
fn route_of(method: &str, path: &str) -> &'static str {
    let fits = |route: &str| {
        let parts: Vec<_> = route.split('/').zip(path.split('/')).collect();
        route.split('/').count() == path.split('/').count() && parts.iter().all(|(a, b)| a == b || a.starts_with('{'))
    };
    permissions().into_iter().find(|it| it.method == method && fits(it.path)).unwrap().path
}

/// Some value that is what a schema says.
fn sample(schema: &Value, document: &Value) -> Value {
    if let Some(pointer) = schema["$ref"].as_str() {
        return sample(document.pointer(pointer.trim_start_matches('#')).unwrap(), document);
    }
    // The last one, of conditions, has no others in it.
    let mut forms = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()).into_iter().flatten();
    if let Some(form) = forms.rfind(|it| it["type"] != "null") {
        return sample(form, document);
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| &kinds[0]);
    match kind.as_str().unwrap() {
        "string" => json!("x"),
        "integer" => json!(1),
        "boolean" => json!(true),
        "array" => json!([sample(&schema["items"], document)]),
        "object" => {
            let required = schema["required"].as_array().into_iter().flatten().map(|it| it.as_str().unwrap());
            required.map(|name| (name.to_owned(), sample(&schema["properties"][name], document))).collect()
        }
        other => panic!("no sample of {other}: {schema}"),
    }
}

/// Describe a parameter otherwise than it is read, or by a list of its own, and it is found here.
#[test]
fn the_parameters_of_every_kind_are_described_as_they_are_read() {
    let document = openapi();
    let body = &operation(&document, "POST", "/v1/tasks")["requestBody"]["content"]["application/json"]["schema"];
    let read = |kind: TaskKind, params: &Value| -> Result<(), Problem> {
        let task = json!({ "id": new_task(), "system": "sf", "kind": kind, "params": params });
        read_submission(task.to_string().as_bytes()).map(drop)
    };
    let field = |kind, params: &Value| read(kind, params).unwrap_err().field.unwrap();
    for kind in TaskKind::ALL {
        let form = body["oneOf"].as_array().unwrap().iter().find(|it| it["properties"]["kind"]["const"] == json!(kind));
        let form = form.unwrap_or_else(|| panic!("{kind} is not described"));
        let refer = form["properties"]["params"]["$ref"].as_str().unwrap();
        let schema = document.pointer(refer.trim_start_matches('#')).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{kind}");
        let least = sample(schema, &document);
        read(*kind, &least).unwrap_or_else(|problem| panic!("{kind} {least}: {}", problem.detail));
        let with = |name: &str, value: Value| {
            let mut params = least.clone();
            params[name] = value;
            params
        };
        assert_eq!(field(*kind, &with("colour", json!(1))), "params.colour", "{kind}");
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("params.{name}");
            let good = with(name, sample(schema, &document));
            read(*kind, &good).unwrap_or_else(|problem| panic!("{kind} {good}: {}", problem.detail));
            check(&good[name], schema, &document).unwrap_or_else(|why| panic!("{kind} {name}: {why}"));
            let wrong = if schema["type"].to_string().contains("array") { json!("x") } else { json!([[]]) };
            assert_eq!(field(*kind, &with(name, wrong)), place, "{kind}");
            if let Some(default) = schema.get("default") {
                assert!(default.is_null() || read(*kind, &with(name, default.clone())).is_ok(), "{kind} {name}");
            }
            if schema["minLength"] == 1 {
                assert_eq!(field(*kind, &with(name, json!(""))), place, "{kind}");
            }
            if let Some(most) = schema["maxLength"].as_u64() {
                assert_eq!(field(*kind, &with(name, json!("x".repeat(usize::try_from(most).unwrap() + 1)))), place);
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().map(|it| it.as_str().unwrap()) {
            let mut params = least.clone();
            params.as_object_mut().unwrap().remove(name);
            assert_eq!(field(*kind, &params), format!("params.{name}"), "{kind}");
            assert_eq!(form["required"], json!(["kind", "params"]), "{kind}");
        }
    }
}

/// Outputs of a kind, as members have sent them.
fn outputs(kind: TaskKind) -> Vec<TaskOutput> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/golden");
    let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let is_one = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(&format!("{kind}.output"));
    let decoded = |file: PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        TaskOutput::decode(kind, &HEXLOWER.decode(digits.as_bytes()).unwrap()).unwrap()
    };
    files.filter(is_one).map(decoded).collect()
}

/// Describe an output by a list of its own, leave a kind out or take one for another, and it is found here.
#[test]
fn the_output_of_every_kind_is_described_as_it_is_told() {
    let document = openapi();
    let task = &document["components"]["schemas"]["TaskView"];
    let forms = task["oneOf"].as_array().unwrap();
    for kind in TaskKind::ALL {
        let fitting = |output: &Value| -> Vec<&Value> {
            let task = json!({ "kind": kind, "output": output });
            let fit = forms.iter().filter(|form| check(&task, form, &document).is_ok());
            fit.map(|form| &form["properties"]["kind"]["const"]).collect()
        };
        let outputs = outputs(*kind);
        assert!(!outputs.is_empty(), "{kind}");
        for output in outputs {
            let told = serde_json::to_value(output).unwrap();
            assert_eq!(fitting(&told), [&json!(kind)], "{told}");
            check(&told, &task["properties"]["output"], &document).unwrap();
            let fields = told.as_object().unwrap();
            for name in fields.keys() {
                let less: Map<String, Value> = fields.clone().into_iter().filter(|(it, _)| it != name).collect();
                assert!(fitting(&less.into()).is_empty(), "{kind} without {name}");
            }
            let more: Map<String, Value> =
                fields.clone().into_iter().chain([("colour".to_owned(), json!(1))]).collect();
            assert!(fitting(&more.into()).is_empty(), "{kind} with more");
        }
        assert_eq!(fitting(&Value::Null), [&json!(kind)]);
    }
}

/// Take the content encoding for nothing, and a dataset that somebody compressed is kept as if it were the dataset.
#[tokio::test]
async fn a_body_that_is_encoded_or_of_another_type_is_refused() {
    let lab = Lab::start().await;
    let administrator = token(&lab, "x", Role::Administrator).await;
    let caller = Caller::of(&lab);
    for (path, right) in [("/v1/clusters", "application/json"), ("/v1/streams?sha256=00", "application/octet-stream")] {
        for (media_type, encoding) in [("text/plain", None), (right, Some("gzip"))] {
            let request = caller.request("POST", path).bearer_auth(&administrator).header(CONTENT_TYPE, media_type);
            let request = request.body(r#"{"name":"acme"}"#);
            let request = if let Some(it) = encoding { request.header("content-encoding", it) } else { request };
            assert_eq!(request.send().await.unwrap().status(), 415, "{path} {media_type} {encoding:?}");
        }
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_a_problem_that_names_it_for_every_route() {
    let lab = Lab::start().await;
    let administrator = token(&lab, "x", Role::Administrator).await;
    let (caller, document) = (Caller::of(&lab), openapi());
    for it in permissions() {
        let operation = operation(&document, it.method, it.path);
        let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
        // The last are those of which a problem names one.
        let mut wrong: Vec<(String, Option<String>, u16, Vec<String>)> = Vec::new();
        if let Some(named) = parameters.iter().find(|it| it["in"] == "path" && it["name"] != "step") {
            let name = named["name"].as_str().unwrap();
            let place = format!("{{{name}}}");
            wrong.push((it.path.replace(&place, "No%20Good"), None, 422, vec![name.to_owned()]));
            wrong.push((it.path.replace(&place, "%ff"), None, 400, Vec::new()));
        }
        wrong.push((format!("{}?colour=red", filled(&it)), None, 422, vec!["colour".to_owned()]));
        if operation["requestBody"].is_null() {
            wrong.push((filled(&it), Some("{}".to_owned()), 400, Vec::new()));
        }
        if operation["requestBody"]["content"]["application/json"].is_object() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let mut body = |body: &str, status, fields: &[&str]| {
                let fields = fields.iter().map(|&it| it.to_owned()).collect();
                wrong.push((filled(&it), Some(body.to_owned()), status, fields));
            };
            body("{", 400, &[]);
            body("[]", 400, &[]);
            body("{\"colour\":1,\"colour\":2}", 422, &["colour"]);
            body(&format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024)), 413, &[]);
            body("{\"colour\":1}", 422, &["colour"]);
            let required: Vec<&str> =
                schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if !required.is_empty() {
                body("{}", 422, &required);
            }
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                // A list in place of a list is right.
                let is_list = schema["type"].to_string().contains("array");
                let value = if is_list { json!("x") } else { json!([[]]) };
                body(&json!({ name: value }).to_string(), 422, &[]);
            }
        }
        for (path, body, status, fields) in wrong {
            let request = caller.request(it.method, &path).bearer_auth(&administrator);
            let said = body.clone().unwrap_or_default();
            let request = match body {
                Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
                None => request,
            };
            let response = request.send().await.unwrap();
            let what = format!("{} {path} {}", it.method, said.get(..said.len().min(60)).unwrap());
            assert_eq!(response.status().as_u16(), status, "{what}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json", "{what}");
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["status"], status, "{what}: {problem}");
            assert!(!problem["detail"].as_str().unwrap().is_empty(), "{what}: {problem}");
            if status == 422 {
                assert!(problem["field"].is_string(), "{what}: {problem}");
            }
            if !fields.is_empty() {
                let named = problem["field"].as_str().unwrap();
                assert!(fields.iter().any(|it| it == named), "{what}: {problem}");
            }
        }
    }
}
