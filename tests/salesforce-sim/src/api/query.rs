//! `query`, `queryAll` and the pages after the first.

use super::call::Call;
use crate::http::reply::Reply;
use crate::id::RecordId;
use crate::org::table::Tables;
use crate::problem::Problem;
use crate::schema::{ObjectKind, login_history, user_permission_access};
use crate::soql::plan::{Node, Output, Plan, plan};
use crate::soql::{SoqlError, eval, render};
use crate::value::write_json_text;
use crate::world::{Caller, Indexes, World};

/// Rows a page holds unless the caller asks for another size (published default and maximum).
const BATCH: usize = 2_000;
/// Smallest page a caller can ask for (published).
const MIN_BATCH: usize = 200;

/// `GET query?q=`. Users are never deleted, so `queryAll` finds the same.
pub(crate) fn first(world: &mut World, call: &Call<'_>) -> Reply {
    world.tally.route("GET query");
    if call.method != "GET" {
        return super::method_not_allowed(call.method, "GET,HEAD");
    }
    let Some(statement) = call.parameter("q") else {
        return Reply::problem(
            400,
            &Problem::new("MALFORMED_QUERY", "SOQL statement is required: parameter q is missing"),
        );
    };
    match run(world, call, &statement) {
        Ok(reply) => reply,
        Err(error) => Reply::problem(400, &Problem::new(error.code, error.message)),
    }
}

/// A statement checked against the schema and against what the caller may see.
pub(crate) fn prepared(world: &World, caller: Caller, statement: &str) -> Result<Plan, SoqlError> {
    let mut plan = plan(statement, world.now())?;
    let sees_all = world.org(caller.org).may_manage_users(caller.user);
    if matches!(plan.kind, ObjectKind::UserDevice | ObjectKind::UserLogin) && !sees_all {
        // Who lacks Manage Users (View Devices for the one) does not see that the object is there.
        let message = format!("sObject type '{}' is not supported.", plan.kind.object().name);
        return Err(SoqlError { code: "INVALID_TYPE", message });
    }
    if plan.kind == ObjectKind::LoginHistory && !sees_all {
        plan.only(login_history::USER_ID, caller.user);
    }
    if plan.kind == ObjectKind::UserPermissionAccess {
        plan.only(user_permission_access::USER_ID, caller.user);
    }
    Ok(plan)
}

/// What a prepared statement finds now.
pub(crate) fn found(world: &mut World, caller: Caller, plan: &Plan) -> Vec<RecordId> {
    let now = world.now();
    world.org_mut(caller.org).open_expired_locks(now);
    if plan.kind == ObjectKind::UserPermissionAccess {
        world.org_mut(caller.org).show_permissions(caller.user, now);
    }
    eval::run(plan, &world.org(caller.org).tables, &Indexes { world, org: caller.org })
}

fn run(world: &mut World, call: &Call<'_>, statement: &str) -> Result<Reply, SoqlError> {
    let caller = call.caller();
    let plan = prepared(world, caller, statement)?;
    let found = found(world, caller, &plan);
    let nodes = match &plan.output {
        Output::Count => return Ok(count(found.len())),
        Output::CountOf { path, column } => {
            let tables = &world.org(caller.org).tables;
            let rows = found.iter().filter_map(|id| tables.of(plan.kind).get(*id));
            let filled = rows.filter(|row| !eval::value(path, row, tables).is_null()).count();
            return Ok(aggregate(column, filled));
        }
        Output::Rows(nodes) => nodes,
    };
    let batch = batch_size(call);
    if found.len() <= batch {
        let tables = &world.org(caller.org).tables;
        return Ok(rows(call, &plan, nodes, handed_over(world, &found), tables, head(found.len(), None)));
    }
    let org = world.org(caller.org).number;
    let cursor = world.sessions.open_cursor(caller, org, plan, found, batch).id;
    Ok(page(world, call, cursor, 0).unwrap_or_else(no_such_locator))
}

/// `GET query/{locator}-{offset}`.
pub(crate) fn next(world: &mut World, call: &Call<'_>, locator: &str) -> Reply {
    world.tally.route("GET query/{locator}");
    let parsed = locator.rsplit_once('-').and_then(|(id, offset)| Some((RecordId::parse(id)?, offset.parse().ok()?)));
    parsed.and_then(|(id, offset)| page(world, call, id, offset)).unwrap_or_else(no_such_locator)
}

fn no_such_locator() -> Reply {
    Reply::problem(400, &Problem::new("INVALID_QUERY_LOCATOR", "invalid query locator"))
}

fn page(world: &World, call: &Call<'_>, id: RecordId, offset: usize) -> Option<Reply> {
    let caller = call.caller();
    let cursor = world.sessions.cursor(caller, id)?;
    let (plan, found): (&Plan, &[RecordId]) = (&cursor.plan, &cursor.found);
    let Output::Rows(nodes) = &plan.output else { return None };
    let end = offset.checked_add(cursor.batch)?.min(found.len());
    let here = found.get(offset..end).filter(|it| !it.is_empty())?;
    let following = (end < found.len()).then(|| format!("/services/data/v{}/query/{id}-{end}", call.version));
    let tables = &world.org(caller.org).tables;
    Some(rows(call, plan, nodes, handed_over(world, here), tables, head(found.len(), following.as_deref())))
}

/// What is really handed over of what should be.
fn handed_over<'a>(world: &World, ids: &'a [RecordId]) -> &'a [RecordId] {
    match ids.split_last() {
        Some((_, rest)) if world.faults.lost_records => rest,
        _ => ids,
    }
}

fn rows(call: &Call<'_>, plan: &Plan, nodes: &[Node], ids: &[RecordId], tables: &Tables, mut out: String) -> Reply {
    for (index, row) in ids.iter().filter_map(|id| tables.of(plan.kind).get(*id)).enumerate() {
        if index > 0 {
            out.push(',');
        }
        render::record(&mut out, call.version, plan.kind, nodes, row, tables);
    }
    out.push_str("]}");
    Reply::raw_json(200, out)
}

fn head(total: usize, following: Option<&str>) -> String {
    let mut out = format!("{{\"totalSize\":{total},\"done\":{}", following.is_none());
    if let Some(following) = following {
        out.push_str(",\"nextRecordsUrl\":");
        write_json_text(following, &mut out);
    }
    out.push_str(",\"records\":[");
    out
}

fn count(rows: usize) -> Reply {
    Reply::raw_json(200, format!("{{\"totalSize\":{rows},\"done\":true,\"records\":[]}}"))
}

fn aggregate(column: &str, rows: usize) -> Reply {
    let mut out = head(1, None);
    out.push_str("{\"attributes\":{\"type\":\"AggregateResult\"},");
    write_json_text(column, &mut out);
    out.push(':');
    out.push_str(&rows.to_string());
    out.push_str("}]}");
    Reply::raw_json(200, out)
}

/// What the caller asks for in `Sforce-Query-Options: batchSize=500`, within the published bounds.
fn batch_size(call: &Call<'_>) -> usize {
    let asked = call.header("sforce-query-options").and_then(|it| {
        it.split([',', ';']).find_map(|it| it.trim().strip_prefix("batchSize=")?.trim().parse::<usize>().ok())
    });
    asked.map_or(BATCH, |it| it.clamp(MIN_BATCH, BATCH))
}
