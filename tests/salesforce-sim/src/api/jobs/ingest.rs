//! `jobs/ingest`: make a job, upload its file, hand it over, ask how it goes, fetch what became of the records.

use serde_json::{Map, Value as Json, json};

use super::{
    abort, asked_text, check_version, delete, dialect, find, info, invalid_state, list, not_taken, object, progress,
    take,
};
use crate::api::call::Call;
use crate::api::{method_not_allowed, not_found};
use crate::bulk::ingest::{Ingest, Operation, Outcome};
use crate::bulk::job::{Job, Order, State, Work};
use crate::http::reply::Reply;
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::world::World;

/// Answers a call below `jobs/ingest`.
pub(crate) fn handle(world: &mut World, call: &Call<'_>, rest: &[&str]) -> Reply {
    let answer = match (call.method, rest) {
        ("POST", []) => create(world, call),
        ("GET", []) => {
            world.tally.route("GET jobs/ingest");
            list(world, call, "jobs/ingest", ["V2Ingest", "Classic", "BigObjectIngest"], listed)
        }
        (method, []) => Ok(method_not_allowed(method, "GET,POST")),
        ("GET", [id]) => poll(world, call, id),
        ("PATCH", [id]) => change(world, call, id),
        ("DELETE", [id]) => {
            world.tally.route("DELETE jobs/ingest");
            Ok(delete(world, call, id))
        }
        (method, [_]) => Ok(method_not_allowed(method, "DELETE,GET,PATCH")),
        ("PUT", [id, "batches"]) => upload(world, call, id),
        (method, [_, "batches"]) => Ok(method_not_allowed(method, "PUT")),
        ("GET", [id, results]) => fetch(world, call, id, results),
        _ => Ok(not_found()),
    };
    answer.unwrap_or_else(|reply| reply)
}

fn create(world: &mut World, call: &Call<'_>) -> Result<Reply, Reply> {
    world.tally.route("POST jobs/ingest");
    let asked = call.object()?;
    let (kind, operation, dialect) = order(&asked).map_err(|it| Reply::problem(400, &it))?;
    let work = Work::Ingest(Ingest::new(operation));
    let (owner, version) = (call.caller(), call.version.to_owned());
    let job = Job::new(world, Order { owner, version, kind, dialect, work });
    let reply = Reply::json(200, &short_info(&job));
    world.bulk.put(job);
    Ok(reply)
}

fn order(asked: &Map<String, Json>) -> Result<(ObjectKind, Operation, crate::csv::Dialect), Problem> {
    let missing = |name: &str| Problem::new("JSON_PARSER_ERROR", format!("{name} is missing"));
    let kind = object(asked_text(asked, "object")?.ok_or_else(|| missing("object"))?)?;
    let key = asked_text(asked, "externalIdFieldName")?;
    let operation = match asked_text(asked, "operation")?.ok_or_else(|| missing("operation"))? {
        "insert" => Operation::Insert,
        "update" => Operation::Update,
        "delete" => Operation::Delete,
        "upsert" => {
            let name = key.ok_or_else(|| missing("externalIdFieldName"))?;
            let field = kind.object().column(name).filter(|(_, it)| it.is_id_lookup());
            let (_, field) = field.ok_or_else(|| {
                let text = format!(
                    "Field name provided, {name} does not match an External ID, Salesforce Id, or indexed field for {}",
                    kind.object().name
                );
                Problem::new("INVALIDJOB", text)
            })?;
            Operation::Upsert(field)
        }
        _ => return Err(not_taken("operation")),
    };
    Ok((kind, operation, dialect(asked)?))
}

/// What is told about an ingest job when it is made or changed; nothing about other jobs.
fn short_info(job: &Job) -> Option<Map<String, Json>> {
    let operation = job.work.ingest()?.operation;
    let mut short = info(job, operation.name());
    let url = format!("services/data/v{}/jobs/ingest/{}/batches", job.version, job.id);
    short.insert("contentUrl".to_owned(), json!(url));
    if let Operation::Upsert(key) = operation {
        short.insert("externalIdFieldName".to_owned(), json!(key.name));
    }
    Some(short)
}

/// What the list tells about an ingest job: nothing of how far it is.
fn listed(job: &Job) -> Option<Map<String, Json>> {
    let mut listed = short_info(job)?;
    listed.insert("jobType".to_owned(), json!("V2Ingest"));
    Some(listed)
}

fn full_info(job: &Job) -> Option<Map<String, Json>> {
    let ingest = job.work.ingest()?;
    let mut full = short_info(job)?;
    for (name, value) in progress(job, "V2Ingest", ingest.settled()) {
        full.insert(name.to_owned(), value);
    }
    full.insert("apiActiveProcessingTime".to_owned(), json!(job.processing_millis()));
    full.insert("apexProcessingTime".to_owned(), json!(0));
    full.insert("numberRecordsFailed".to_owned(), json!(ingest.failed()));
    Some(full)
}

/// The job a path names, if it is one of this kind and of this version.
fn find_ingest<'a>(world: &'a World, call: &Call<'_>, id: &str) -> Result<&'a Job, Reply> {
    let job = find(world, call, id)?;
    job.work.ingest().ok_or_else(not_found)?;
    check_version(job, call)?;
    Ok(job)
}

fn take_ingest(world: &mut World, call: &Call<'_>, id: &str) -> Result<Job, Reply> {
    find_ingest(world, call, id)?;
    take(world, call, id)
}

fn poll(world: &mut World, call: &Call<'_>, id: &str) -> Result<Reply, Reply> {
    world.tally.route("GET jobs/ingest/{id}");
    let mut job = take_ingest(world, call, id)?;
    job.poll(world);
    let reply = Reply::json(200, &full_info(&job));
    world.bulk.put(job);
    Ok(reply)
}

fn change(world: &mut World, call: &Call<'_>, id: &str) -> Result<Reply, Reply> {
    world.tally.route("PATCH jobs/ingest");
    let wanted = wanted(call)?;
    let mut job = take_ingest(world, call, id)?;
    let changed = if wanted == State::Aborted {
        abort(&mut job, world)
    } else if job.state == State::Open {
        job.start(world);
        Ok(())
    } else {
        let state = job.state.name();
        Err(invalid_state(format!("Job Transition Not Allowed : Unable to transition from {state}")))
    };
    let reply = Reply::json(200, &short_info(&job));
    world.bulk.put(job);
    changed.map(|()| reply)
}

fn wanted(call: &Call<'_>) -> Result<State, Reply> {
    match super::wanted_state(call)?.as_str() {
        "UploadComplete" => Ok(State::UploadComplete),
        "Aborted" => Ok(State::Aborted),
        _ => Err(Reply::problem(400, &not_taken("state"))),
    }
}

fn upload(world: &mut World, call: &Call<'_>, id: &str) -> Result<Reply, Reply> {
    world.tally.route("PUT jobs/ingest/batches");
    let state = find_ingest(world, call, id)?.state;
    if state != State::Open {
        return Err(invalid_state(format!("Job must be Open to take data, but is {}", state.name())));
    }
    if call.header("content-type").is_some_and(|it| !it.starts_with("text/csv")) {
        return Err(Reply::problem(415, &Problem::new("UNSUPPORTED_MEDIA_TYPE", "The content of a job is text/csv.")));
    }
    if call.too_large {
        let (status, code, text) = world.assumptions.oversized_upload.clone();
        return Err(Reply::problem(status, &Problem::new(code, text)));
    }
    let mut job = take_ingest(world, call, id)?;
    let first = match &mut job.work {
        Work::Ingest(ingest) => ingest.upload(call.body.clone()),
        Work::Query(_) => false,
    };
    let id = job.id;
    world.bulk.put(job);
    if first {
        return Ok(Reply::empty(201));
    }
    let text = format!(
        "Found multiple contents for job: <{id}>, please 'Close' / 'Abort' / 'Delete' the current Job then create a \
         new Job and make sure you only do 'PUT' once on a given Job."
    );
    Err(Reply::problem(400, &Problem::new("INVALIDBATCH", text)))
}

/// The two spellings of the last resource are both in use.
fn fetch(world: &mut World, call: &Call<'_>, id: &str, results: &str) -> Result<Reply, Reply> {
    world.tally.route("GET jobs/ingest/results");
    let outcome = match results.to_ascii_lowercase().as_str() {
        "successfulresults" => Outcome::Successful,
        "failedresults" => Outcome::Failed,
        "unprocessedrecords" => Outcome::Unprocessed,
        _ => return Err(not_found()),
    };
    let job = find_ingest(world, call, id)?;
    let ingest = job.work.ingest().ok_or_else(not_found)?;
    if !job.state.is_over() {
        return Err(invalid_state(format!("The results of a job in state {} are not there yet", job.state.name())));
    }
    Ok(Reply::csv(ingest.results(outcome, job.dialect)))
}
