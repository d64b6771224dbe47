//! Several calls in one: `composite` with references between them, and `composite/batch` without.

use std::collections::HashMap;

use hyper::body::Bytes;
use serde_json::{Map, Value as Json, json};

use super::call::{Call, segments};
use super::rest;
use crate::http::reply::Reply;
use crate::problem::Problem;
use crate::world::World;

/// Calls in one (published limit).
const MAX_CALLS: usize = 25;
/// Of them queries and collections (published limit).
const MAX_QUERIES: usize = 5;

/// `POST composite`.
pub(crate) fn composite(world: &mut World, call: &Call<'_>) -> Reply {
    world.tally.route("POST composite");
    if call.method != "POST" {
        return super::method_not_allowed(call.method, "POST");
    }
    let body = match call.object() {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let calls = match list(&body, "compositeRequest") {
        Ok(calls) => calls,
        Err(problem) => return Reply::problem(400, &problem),
    };
    if calls.iter().filter(|it| is_query_or_collection(it)).count() > MAX_QUERIES {
        let text = format!("The request can't contain more than {MAX_QUERIES} queries and collections.");
        return Reply::problem(400, &Problem::new("LIMIT_EXCEEDED", text));
    }
    let all_or_none = body.get("allOrNone").is_some_and(|it| *it == Json::Bool(true));
    if all_or_none {
        world.begin();
    }
    let mut done: HashMap<String, Json> = HashMap::new();
    let mut answers = Vec::new();
    let mut failed = false;
    for inner in calls {
        let reference = inner.get("referenceId").and_then(Json::as_str).unwrap_or_default().to_owned();
        let reply = if failed && all_or_none { halted() } else { answer(world, call, inner, &done) };
        failed |= reply.status >= 400;
        let body = json_body(&reply);
        if reply.status < 400 {
            done.insert(reference.clone(), body.clone());
        }
        answers.push((reference, reply, body));
    }
    if all_or_none && failed {
        world.roll_back();
    } else if all_or_none {
        world.commit();
    }
    let undone = all_or_none && failed;
    let answers: Vec<Json> = answers.into_iter().map(|it| entry(it, undone)).collect();
    Reply::json(200, &json!({"compositeResponse": answers}))
}

/// One line of the answer; what worked before another call failed is undone with `allOrNone`.
fn entry((reference, reply, body): (String, Reply, Json), undone: bool) -> Json {
    let headers: Map<String, Json> = reply
        .headers
        .iter()
        .filter(|(name, _)| *name == "location")
        .map(|(_, value)| ("Location".to_owned(), Json::from(value.as_str())))
        .collect();
    let (status, body) = if undone && reply.status < 400 { (400, json_body(&halted())) } else { (reply.status, body) };
    json!({"body": body, "httpHeaders": headers, "httpStatusCode": status, "referenceId": reference})
}

fn halted() -> Reply {
    let text = "The transaction was rolled back since another operation in the same transaction failed.";
    Reply::problem(400, &Problem::new("PROCESSING_HALTED", text))
}

fn answer(world: &mut World, call: &Call<'_>, inner: &Json, done: &HashMap<String, Json>) -> Reply {
    let mut inner = inner.clone();
    if let Err(reference) = resolve(&mut inner, done) {
        let text = format!("Invalid reference specified. No value for {reference} found");
        return Reply::problem(400, &Problem::new("PROCESSING_HALTED", text));
    }
    let method = inner.get("method").and_then(Json::as_str).unwrap_or("GET").to_owned();
    let url = inner.get("url").and_then(Json::as_str).unwrap_or_default().to_owned();
    run(world, call, &method, &url, inner.get("body"))
}

/// Replaces `@{ref.path}` in every text of a call.
fn resolve(json: &mut Json, done: &HashMap<String, Json>) -> Result<(), String> {
    match json {
        Json::String(text) => {
            while let Some(start) = text.find("@{") {
                let rest = text.get(start + 2..).unwrap_or_default();
                let length = rest.find('}').ok_or_else(|| text.clone())?;
                let reference = rest.get(..length).unwrap_or_default().to_owned();
                let value = look_up(&reference, done).ok_or_else(|| reference.clone())?;
                text.replace_range(start..start + 3 + length, &value);
            }
            Ok(())
        }
        Json::Array(list) => list.iter_mut().try_for_each(|it| resolve(it, done)),
        Json::Object(object) => object.values_mut().try_for_each(|it| resolve(it, done)),
        Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
    }
}

/// `ref.records[0].Id`.
fn look_up(reference: &str, done: &HashMap<String, Json>) -> Option<String> {
    let (name, path) = reference.split_once('.').unwrap_or((reference, ""));
    let (name, first) = name.split_once('[').map_or((name, None), |(name, index)| (name, index.strip_suffix(']')));
    let mut at = done.get(name)?;
    if let Some(index) = first {
        at = at.get(index.parse::<usize>().ok()?)?;
    }
    for part in path.split('.').filter(|it| !it.is_empty()) {
        let (key, index) = part.split_once('[').map_or((part, None), |(key, index)| (key, index.strip_suffix(']')));
        at = at.get(key)?;
        if let Some(index) = index {
            at = at.get(index.parse::<usize>().ok()?)?;
        }
    }
    // A value that looks like a reference itself would be resolved forever.
    let text = at.as_str().filter(|it| !it.contains("@{")).map(str::to_owned);
    text.or_else(|| at.as_number().map(ToString::to_string))
}

/// `POST composite/batch`.
pub(crate) fn batch(world: &mut World, call: &Call<'_>) -> Reply {
    world.tally.route("POST composite/batch");
    if call.method != "POST" {
        return super::method_not_allowed(call.method, "POST");
    }
    let body = match call.object() {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let calls = match list(&body, "batchRequests") {
        Ok(calls) => calls,
        Err(problem) => return Reply::problem(400, &problem),
    };
    let halt = body.get("haltOnError").is_some_and(|it| *it == Json::Bool(true));
    let (mut results, mut has_errors) = (Vec::new(), false);
    for inner in calls {
        if has_errors && halt {
            let text = "Batch processing halted per request";
            let result = json!([{"errorCode": "BATCH_PROCESSING_HALTED", "message": text}]);
            results.push(json!({"statusCode": 412, "result": result}));
            continue;
        }
        let method = inner.get("method").and_then(Json::as_str).unwrap_or("GET");
        let url = inner.get("url").and_then(Json::as_str).unwrap_or_default();
        let reply = run(world, call, method, url, inner.get("richInput"));
        has_errors |= reply.status >= 400;
        results.push(json!({"statusCode": reply.status, "result": json_body(&reply)}));
    }
    Reply::json(200, &json!({"hasErrors": has_errors, "results": results}))
}

fn is_query_or_collection(inner: &Json) -> bool {
    let url = inner.get("url").and_then(Json::as_str).unwrap_or_default();
    ["/query", "/composite/sobjects"].iter().any(|it| url.contains(it))
}

fn list<'a>(body: &'a Map<String, Json>, name: &str) -> Result<&'a [Json], Problem> {
    let Some(Json::Array(calls)) = body.get(name) else {
        return Err(Problem::new("JSON_PARSER_ERROR", format!("{name} is required and must be a list")));
    };
    if calls.len() > MAX_CALLS {
        let text = format!("The request can't contain more than {MAX_CALLS} operations.");
        return Err(Problem::new("LIMIT_EXCEEDED", text));
    }
    Ok(calls)
}

/// Runs one inner call, whose URL is `/services/data/v66.0/…` or, in a batch, `v66.0/…`.
fn run(world: &mut World, outer: &Call<'_>, method: &str, url: &str, body: Option<&Json>) -> Reply {
    if world.assumptions.longest_inner_url.is_some_and(|most| url.len() > most) {
        let (status, code, text) = world.assumptions.too_long_inner_url.clone();
        return Reply::problem(status, &Problem::new(code, text));
    }
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let parts = segments(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (version, resource) = match parts.as_slice() {
        ["services", "data", version, resource @ ..] => (*version, resource),
        [version, resource @ ..] => (*version, resource),
        [] => return super::not_found(),
    };
    let version = match super::versions::parse(version) {
        Ok((_, version)) => version,
        Err(reply) => return reply,
    };
    // Composites do not nest: recursion needs a bound, and the service refuses them too.
    if matches!(resource, ["composite"] | ["composite", "batch"]) {
        return Reply::problem(400, &Problem::new("INVALID_BATCH_REQUEST", "Composite requests cannot be nested."));
    }
    let body = body.filter(|it| !it.is_null()).and_then(|it| serde_json::to_vec(it).ok()).unwrap_or_default();
    let body = Bytes::from(body);
    let call =
        Call { session: outer.session, version, method, query, body: &body, too_large: false, headers: outer.headers };
    rest::dispatch(world, &call, resource)
}

fn json_body(reply: &Reply) -> Json {
    serde_json::from_slice(&reply.body).unwrap_or(Json::Null)
}
