//! Bulk API 2.0 over HTTP: what jobs of both kinds have in common.

pub(crate) mod ingest;
pub(crate) mod query;

use serde_json::{Map, Value as Json, json};

use super::call::Call;
use crate::bulk::job::{Job, State};
use crate::csv::{Delimiter, Dialect, LineEnding};
use crate::http::reply::Reply;
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::world::World;

/// The job a path names, of the caller's org. Of one that another user made it is told nothing.
fn find<'a>(world: &'a World, call: &Call<'_>, id: &str) -> Result<&'a Job, Reply> {
    let job = RecordId::parse(id).and_then(|it| world.bulk.get(it));
    let job = job.filter(|it| it.owner.org == call.caller().org).ok_or_else(super::not_found)?;
    if job.owner.user != call.caller().user {
        return Err(Reply::problem(400, &Problem::new("INVALIDUSER", "The job was created by another user")));
    }
    Ok(job)
}

/// Takes the job out of the world, to be changed and put back.
fn take(world: &mut World, call: &Call<'_>, id: &str) -> Result<Job, Reply> {
    let id = find(world, call, id)?.id;
    world.bulk.take(id).ok_or_else(super::not_found)
}

/// What every new job says: the object and how its CSV is written.
fn asked_text<'a>(asked: &'a Map<String, Json>, name: &str) -> Result<Option<&'a str>, Problem> {
    match asked.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(not_taken(name)),
    }
}

fn not_taken(name: &str) -> Problem {
    Problem::new("JSON_PARSER_ERROR", format!("The value of {name} is not one of those this call takes"))
}

fn dialect(asked: &Map<String, Json>) -> Result<Dialect, Problem> {
    if asked_text(asked, "contentType")?.is_some_and(|it| it != "CSV") {
        return Err(not_taken("contentType"));
    }
    let delimiter = match asked_text(asked, "columnDelimiter")? {
        None => Delimiter::Comma,
        Some(name) => Delimiter::by_name(name).ok_or_else(|| not_taken("columnDelimiter"))?,
    };
    let ending = match asked_text(asked, "lineEnding")? {
        None => LineEnding::Lf,
        Some(name) => LineEnding::by_name(name).ok_or_else(|| not_taken("lineEnding"))?,
    };
    Ok(Dialect { delimiter, ending })
}

fn object(name: &str) -> Result<ObjectKind, Problem> {
    let unknown = || Problem::new("INVALIDENTITY", format!("Entity '{name}' is not supported by the Bulk API."));
    ObjectKind::by_name(name).ok_or_else(unknown)
}

/// What is told about a job of either kind.
fn info(job: &Job, operation: &str) -> Map<String, Json> {
    let mut info = Map::new();
    for (name, value) in [
        ("id", json!(job.id.to_string())),
        ("operation", json!(operation)),
        ("object", json!(job.kind.object().name)),
        ("createdById", json!(job.owner.user.to_string())),
        ("createdDate", json!(crate::time::format(job.created))),
        ("systemModstamp", json!(crate::time::format(job.modified))),
        ("state", json!(job.state.name())),
        ("concurrencyMode", json!("Parallel")),
        ("contentType", json!("CSV")),
        ("apiVersion", json!(job.version.parse::<f64>().unwrap_or_default())),
        ("lineEnding", json!(job.dialect.ending.name())),
        ("columnDelimiter", json!(job.dialect.delimiter.name())),
    ] {
        info.insert(name.to_owned(), value);
    }
    if let Some(error) = &job.error {
        info.insert("errorMessage".to_owned(), json!(error));
    }
    info
}

/// What is told besides, once somebody asks how the work goes.
fn progress(job: &Job, job_type: &str, processed: usize) -> [(&'static str, Json); 4] {
    [
        ("jobType", json!(job_type)),
        ("retries", json!(0)),
        ("totalProcessingTime", json!(job.processing_millis())),
        ("numberRecordsProcessed", json!(processed)),
    ]
}

/// A page of the list of jobs, of everybody's in the org: those of this path's kind as `told`, if their type is asked for.
fn list(
    world: &World,
    call: &Call<'_>,
    path: &str,
    [own, others @ ..]: [&str; 3],
    told: impl Fn(&Job) -> Option<Map<String, Json>>,
) -> Result<Reply, Reply> {
    let asked = call.parameter("jobType");
    if asked.as_deref().is_some_and(|it| it != own && !others.contains(&it)) {
        return Err(Reply::problem(400, &not_taken("jobType")));
    }
    let is_asked = asked.is_none_or(|it| it == own);
    let org = call.caller().org;
    let cursor = RecordId::new("01g", world.org(org).number, world.bulk.locator_serial).to_string();
    let from = match call.parameter("queryLocator") {
        None => Some(0),
        Some(locator) => locator.strip_prefix(&format!("{cursor}-")).and_then(|it| it.parse::<usize>().ok()),
    };
    let from = from.ok_or_else(|| {
        let (status, code, text) = world.assumptions.invalid_bulk_locator.clone();
        Reply::problem(status, &Problem::new(code, text))
    })?;
    let mut rest = world.bulk.told(org, world.now()).filter_map(told).filter(|_| is_asked).skip(from);
    let records: Vec<_> = rest.by_ref().take(world.bulk.a_page).collect();
    let done = rest.next().is_none();
    let next = format!("/services/data/v{}/{path}?queryLocator={cursor}-{}", call.version, from + records.len());
    let next = (!done).then_some(next);
    Ok(Reply::json(200, &json!({"done": done, "records": records, "nextRecordsUrl": next})))
}

fn invalid_state(text: impl Into<String>) -> Reply {
    Reply::problem(400, &Problem::new("INVALIDJOBSTATE", text))
}

/// A job belongs to the version of the API that made it.
fn check_version(job: &Job, call: &Call<'_>) -> Result<(), Reply> {
    if job.version == call.version {
        return Ok(());
    }
    let text = format!("The job was made with version {}, and is asked for with it", job.version);
    Err(Reply::problem(409, &Problem::new("VERSION_CONFLICT", text)))
}

/// Ends a job before its time.
fn abort(job: &mut Job, world: &World) -> Result<(), Reply> {
    if job.state.is_over() {
        return Err(invalid_state("Aborting already Completed Job not allowed"));
    }
    job.abort(world);
    Ok(())
}

/// `DELETE jobs/…/{id}`: not while it waits for its file or is being worked on.
fn delete(world: &mut World, call: &Call<'_>, id: &str) -> Reply {
    let job = match find(world, call, id) {
        Ok(job) => job,
        Err(reply) => return reply,
    };
    if matches!(job.state, State::Open | State::InProgress) {
        return invalid_state(format!("A job in state {} cannot be deleted. Abort it first.", job.state.name()));
    }
    let id = job.id;
    world.bulk.take(id);
    Reply::empty(204)
}

/// The state a caller wants the job to be in.
fn wanted_state(call: &Call<'_>) -> Result<String, Reply> {
    let asked = call.object()?;
    let state = asked_text(&asked, "state").map_err(|it| Reply::problem(400, &it))?;
    state.map(str::to_owned).ok_or_else(|| Reply::problem(400, &Problem::new("JSON_PARSER_ERROR", "state is missing")))
}
