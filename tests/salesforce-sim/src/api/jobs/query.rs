//! `jobs/query`: ask a statement, wait for it, fetch what it found page by page.

use data_encoding::BASE64URL_NOPAD;

use serde_json::{Map, Value as Json};

use super::{
    abort, asked_text, check_version, delete, dialect, find, info, invalid_state, list, not_taken, progress, take,
};
use crate::api::call::Call;
use crate::api::{method_not_allowed, not_found, query};
use crate::bulk::job::{Job, Order, State, Work};
use crate::bulk::query::Query;
use crate::http::reply::Reply;
use crate::problem::Problem;
use crate::soql::SoqlError;
use crate::soql::plan::{Output, Plan};
use crate::world::{Caller, World};

/// Rows of a page of which nobody said how many it may hold. The real service decides by size.
const PAGE: usize = 50_000;

/// Answers a call below `jobs/query`.
pub(crate) fn handle(world: &mut World, call: &Call<'_>, rest: &[&str]) -> Reply {
    let answer = match (call.method, rest) {
        ("POST", []) => create(world, call),
        ("GET", []) => {
            world.tally.route("GET jobs/query");
            list(world, call, "jobs/query", ["V2Query", "Classic", "V2Ingest"], full_info)
        }
        (method, []) => Ok(method_not_allowed(method, "GET,POST")),
        ("GET", [id]) => poll(world, call, id),
        ("PATCH", [id]) => change(world, call, id),
        ("DELETE", [id]) => {
            world.tally.route("DELETE jobs/query");
            Ok(delete(world, call, id))
        }
        (method, [_]) => Ok(method_not_allowed(method, "DELETE,GET,PATCH")),
        ("GET", [id, "results"]) => results(world, call, id),
        _ => Ok(not_found()),
    };
    answer.unwrap_or_else(|reply| reply)
}

fn create(world: &mut World, call: &Call<'_>) -> Result<Reply, Reply> {
    world.tally.route("POST jobs/query");
    let asked = call.object()?;
    let refused = |problem: Problem| Reply::problem(400, &problem);
    let operation = match asked_text(&asked, "operation").map_err(refused)? {
        Some("query") => "query",
        Some("queryAll") => "queryAll",
        _ => return Err(refused(not_taken("operation"))),
    };
    let dialect = dialect(&asked).map_err(refused)?;
    let statement = asked_text(&asked, "query").map_err(refused)?;
    let statement = statement.ok_or_else(|| refused(Problem::new("JSON_PARSER_ERROR", "query is missing")))?;
    let owner = call.caller();
    let plan = plan(world, owner, statement).map_err(|it| refused(Problem::new(it.code, it.message)))?;
    let (kind, work) = (plan.kind, Work::Query(Query::new(operation, plan)));
    let mut job = Job::new(world, Order { owner, version: call.version.to_owned(), kind, dialect, work });
    job.start(world);
    let reply = Reply::json(200, &info(&job, operation));
    world.bulk.put(job);
    Ok(reply)
}

/// What bulk queries cannot do is refused at once.
fn plan(world: &World, caller: Caller, statement: &str) -> Result<Plan, SoqlError> {
    let unsupported =
        |what: &str| SoqlError { code: "FEATURENOTENABLED", message: format!("{what} not supported in Bulk Query") };
    if has_sub_query(statement) {
        return Err(unsupported("Aggregate Relationships"));
    }
    let plan = query::prepared(world, caller, statement)?;
    if !matches!(plan.output, Output::Rows(_)) {
        return Err(unsupported("Aggregate Queries"));
    }
    if plan.columns.is_empty() {
        return Err(unsupported("FIELDS()"));
    }
    if plan.offset > 0 {
        return Err(unsupported("OFFSET"));
    }
    Ok(plan)
}

/// A statement in parentheses in front of FROM.
fn has_sub_query(statement: &str) -> bool {
    let lower = statement.to_ascii_lowercase();
    let selected = lower.split(" from ").next().unwrap_or_default();
    selected.split('(').skip(1).any(|it| it.trim_start().starts_with("select"))
}

/// What is told about a query job; nothing about other jobs.
fn full_info(job: &Job) -> Option<Map<String, Json>> {
    let query = job.work.query()?;
    let mut full = info(job, query.operation);
    for (name, value) in progress(job, "V2Query", query.count()) {
        full.insert(name.to_owned(), value);
    }
    Some(full)
}

/// The job a path names, if it is one of this kind.
fn take_query(world: &mut World, call: &Call<'_>, id: &str) -> Result<Job, Reply> {
    find(world, call, id)?.work.query().ok_or_else(not_found)?;
    take(world, call, id)
}

fn poll(world: &mut World, call: &Call<'_>, id: &str) -> Result<Reply, Reply> {
    world.tally.route("GET jobs/query/{id}");
    let mut job = take_query(world, call, id)?;
    job.poll(world);
    let told = full_info(&job);
    world.bulk.put(job);
    Ok(Reply::json(200, &told))
}

fn change(world: &mut World, call: &Call<'_>, id: &str) -> Result<Reply, Reply> {
    world.tally.route("PATCH jobs/query");
    if super::wanted_state(call)? != "Aborted" {
        return Err(Reply::problem(400, &not_taken("state")));
    }
    let mut job = take_query(world, call, id)?;
    let aborted = abort(&mut job, world);
    let told = full_info(&job);
    world.bulk.put(job);
    aborted.map(|()| Reply::json(200, &told))
}

fn results(world: &mut World, call: &Call<'_>, id: &str) -> Result<Reply, Reply> {
    world.tally.route("GET jobs/query/results");
    let job = find(world, call, id)?;
    let query = job.work.query().ok_or_else(not_found)?;
    check_version(job, call)?;
    if job.state != State::JobComplete {
        return Err(invalid_state(format!("The results of a job in state {} are not there", job.state.name())));
    }
    let max = match call.parameter("maxRecords").map(|it| it.parse::<usize>()) {
        None => PAGE,
        Some(Ok(max)) if max > 0 => max,
        Some(_) => {
            let problem = Problem::new("ILLEGAL_QUERY_PARAMETER_VALUE", "maxRecords must be a positive number");
            return Err(Reply::problem(400, &problem));
        }
    };
    let serial = world.bulk.locator_serial;
    let from = match call.parameter("locator") {
        None => Some(0),
        Some(locator) => row_of(&locator, serial),
    };
    let lost = usize::from(world.faults.lost_records);
    let page = from.and_then(|from| query.page(from, max, lost)).ok_or_else(|| {
        let (status, code, text) = world.assumptions.invalid_bulk_locator.clone();
        Reply::problem(status, &Problem::new(code, text))
    })?;
    // At the end the header says so in four letters.
    let locator = page.next.map_or_else(|| "null".to_owned(), |row| locator(row, serial));
    let count = page.rows.to_string();
    Ok(Reply::csv(page.csv).with("sforce-locator", locator).with("sforce-numberofrecords", count))
}

/// Locators are opaque, and those of before a switch was turned are no longer known.
fn locator(row: usize, serial: u64) -> String {
    BASE64URL_NOPAD.encode(format!("{serial}:{row}").as_bytes())
}

fn row_of(locator: &str, serial: u64) -> Option<usize> {
    let text = String::from_utf8(BASE64URL_NOPAD.decode(locator.as_bytes()).ok()?).ok()?;
    let (known, row) = text.split_once(':')?;
    (known == serial.to_string()).then(|| row.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_is_good_for_its_row_until_a_switch_is_turned() {
        assert_eq!(row_of(&locator(17, 3), 3), Some(17));
        assert_eq!(row_of(&locator(17, 3), 4), None);
        assert_eq!(row_of("nonsense", 3), None);
    }
}
