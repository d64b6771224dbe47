//! Up to 200 records in one call.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::call::Call;
use super::records::{self, create_one, record_json, update_named};
use crate::http::reply::Reply;
use crate::id::RecordId;
use crate::org::user_input;
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::world::{Caller, World};

/// Records in one call (published limit).
const MAX_RECORDS: usize = 200;

/// The fate of one record. Failed ones have no id.
#[derive(Serialize)]
struct SaveResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    success: bool,
    errors: Vec<RowError>,
}

/// Rows say `statusCode` where single records say `errorCode`.
#[derive(Serialize)]
struct RowError {
    #[serde(rename = "statusCode")]
    code: String,
    message: String,
    fields: Vec<&'static str>,
}

impl From<Result<RecordId, Problem>> for SaveResult {
    fn from(result: Result<RecordId, Problem>) -> Self {
        match result {
            Ok(id) => Self { id: Some(id.to_string()), success: true, errors: Vec::new() },
            Err(it) => {
                let error = RowError { code: it.code.into_owned(), message: it.message, fields: it.fields };
                Self { id: None, success: false, errors: vec![error] }
            }
        }
    }
}

/// `POST`, `PATCH` and `DELETE` on `composite/sobjects`.
pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Reply {
    match call.method {
        "POST" => write(world, call, "POST composite/sobjects", insert),
        "PATCH" => write(world, call, "PATCH composite/sobjects", change),
        "DELETE" => delete(world, call),
        method => super::method_not_allowed(method, "DELETE,PATCH,POST"),
    }
}

type WriteOne = fn(&mut World, Caller, &Map<String, Json>) -> Result<RecordId, Problem>;

fn write(world: &mut World, call: &Call<'_>, route: &'static str, write_one: WriteOne) -> Reply {
    world.tally.route(route);
    let body = match call.object() {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let Some(Json::Array(list)) = body.get("records") else {
        return Reply::problem(400, &Problem::new("JSON_PARSER_ERROR", "The request body must have a list of records"));
    };
    if let Err(problem) = check(list) {
        return Reply::problem(400, &problem);
    }
    let all_or_none = body.get("allOrNone").is_some_and(|it| *it == Json::Bool(true));
    let (caller, none) = (call.caller(), Map::new());
    let results = write_all(world, list, all_or_none, |world, record| {
        write_one(world, caller, record.as_object().unwrap_or(&none))
    });
    let results: Vec<SaveResult> = results.into_iter().map(SaveResult::from).collect();
    Reply::json(200, &results)
}

fn check(list: &[Json]) -> Result<(), Problem> {
    if list.len() > MAX_RECORDS {
        let text = format!("The number of records in the request ({}) exceeds the limit of {MAX_RECORDS}.", list.len());
        return Err(Problem::new("EXCEEDED_ID_LIMIT", text));
    }
    let mut types: Vec<&str> = list.iter().filter_map(type_name).collect();
    if types.len() != list.len() {
        return Err(Problem::new("INVALID_FIELD", "attributes with a type are required on every record"));
    }
    types.sort_unstable_by_key(|it| it.to_ascii_lowercase());
    types.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    // Every object here is a setup object, and setup objects do not mix.
    if types.len() > 1 {
        let text = format!("Setup objects cannot be mixed with other objects in one request: {}", types.join(", "));
        return Err(Problem::new("MIXED_DML_OPERATION", text));
    }
    // The reader of the body refuses all of it, before there are rows.
    list.iter().filter_map(Json::as_object).try_for_each(|record| match kind_of(record) {
        Ok(kind) => user_input::check_readable(kind, record),
        Err(_) => Ok(()),
    })
}

fn type_name(record: &Json) -> Option<&str> {
    record.get("attributes")?.get("type")?.as_str()
}

fn write_all<T>(
    world: &mut World,
    list: &[T],
    all_or_none: bool,
    write_one: impl Fn(&mut World, &T) -> Result<RecordId, Problem>,
) -> Vec<Result<RecordId, Problem>> {
    if all_or_none {
        world.begin();
    }
    let results: Vec<_> = list.iter().map(|it| write_one(world, it)).collect();
    if !all_or_none {
        return results;
    }
    if results.iter().all(Result::is_ok) {
        world.commit();
        return results;
    }
    world.roll_back();
    results.into_iter().map(|it| it.and_then(|_| Err(rolled_back()))).collect()
}

fn rolled_back() -> Problem {
    Problem::new(
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "Record rolled back because not all records were valid and the request was using AllOrNone header",
    )
}

fn kind_of(record: &Map<String, Json>) -> Result<ObjectKind, Problem> {
    let name = record.get("attributes").and_then(|it| it.get("type")).and_then(Json::as_str).unwrap_or_default();
    ObjectKind::by_name(name)
        .ok_or_else(|| Problem::new("INVALID_TYPE", format!("sObject type '{name}' is not supported.")))
}

fn insert(world: &mut World, caller: Caller, record: &Map<String, Json>) -> Result<RecordId, Problem> {
    create_one(world, caller, kind_of(record)?, record)
}

fn change(world: &mut World, caller: Caller, record: &Map<String, Json>) -> Result<RecordId, Problem> {
    let kind = kind_of(record)?;
    let mut record = record.clone();
    let key = record.keys().find(|it| it.eq_ignore_ascii_case("id")).cloned();
    let id = key.and_then(|it| record.remove(&it));
    update_named(world, caller, kind, id.as_ref().and_then(Json::as_str), &record)
}

/// `DELETE composite/sobjects?ids=&allOrNone=`.
fn delete(world: &mut World, call: &Call<'_>) -> Reply {
    world.tally.route("DELETE composite/sobjects");
    let ids = call.parameter("ids").unwrap_or_default();
    let list: Vec<&str> = ids.split(',').map(str::trim).filter(|it| !it.is_empty()).take(MAX_RECORDS).collect();
    let all_or_none = call.parameter("allOrNone").is_some_and(|it| it == "true");
    let caller = call.caller();
    let results = write_all(world, &list, all_or_none, |world, id| {
        let kind = ObjectKind::ALL.into_iter().find(|it| id.starts_with(it.object().prefix));
        let kind = kind.ok_or_else(|| Problem::new("MALFORMED_ID", format!("bad id {id}")))?;
        records::delete_named(world, caller, kind, Some(id))
    });
    Reply::json(200, &results.into_iter().map(SaveResult::from).collect::<Vec<_>>())
}

/// `GET composite/sobjects/{object}?ids=&fields=`, or `POST` with both in the body. Unknown ids give null.
pub(crate) fn read(world: &mut World, call: &Call<'_>, name: &str) -> Reply {
    world.tally.route("GET composite/sobjects");
    let Some(kind) = ObjectKind::by_name(name) else { return super::not_found() };
    let (ids, fields) = match call.method {
        "GET" => (call.parameter("ids").unwrap_or_default(), call.parameter("fields")),
        "POST" => match call.object() {
            Ok(body) => (joined(&body, "ids").unwrap_or_default(), joined(&body, "fields")),
            Err(reply) => return reply,
        },
        method => return super::method_not_allowed(method, "GET,POST"),
    };
    let mut out = String::from("[");
    for (index, id) in ids.split(',').filter(|it| !it.is_empty()).enumerate() {
        if index > 0 {
            out.push(',');
        }
        let found = records::find(world, call.caller(), kind, id.trim());
        let Ok(id) = found else {
            out.push_str("null");
            continue;
        };
        if let Err(problem) = record_json(world, call, kind, id, fields.as_deref(), &mut out) {
            return records::refusal(&problem);
        }
    }
    out.push(']');
    Reply::raw_json(200, out)
}

fn joined(body: &Map<String, Json>, name: &str) -> Option<String> {
    let list = body.get(name)?.as_array()?;
    Some(list.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(","))
}
