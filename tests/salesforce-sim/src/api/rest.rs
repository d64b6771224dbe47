//! The REST API: session, daily limit, then the resource.

use super::call::{Call, expired_session};
use super::{collections, composite, jobs, limits, password, query, records, replication, versions};
use crate::http::reply::Reply;
use crate::http::request::{Request, TokenError};
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::schema::describe;
use crate::world::World;

/// Answers a call below `/services/data/{version}`.
pub(crate) fn handle(world: &mut World, request: &Request, version: &str, resource: &[&str]) -> Reply {
    let version = match versions::parse(version) {
        Ok((_, version)) => version,
        Err(reply) => return reply,
    };
    let token = match request.token() {
        Ok(token) => token,
        Err(TokenError::Missing) => return Reply::problem(401, &expired_session()),
        Err(TokenError::Malformed) => {
            return Reply::problem(401, &Problem::new("INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"));
        }
    };
    let Ok(session) = world.use_session(token) else {
        return Reply::problem(401, &expired_session()).with("www-authenticate", "Token");
    };
    let org = session.caller.org;
    if let Err(reply) = count(world, org) {
        return reply;
    }
    let call = Call {
        session: &session,
        version,
        method: &request.method,
        query: &request.query,
        body: &request.body,
        too_large: request.too_large,
        headers: &request.headers,
    };
    let reply = dispatch(world, &call, resource);
    let usage = &world.org(org).usage;
    reply.with("sforce-limit-info", format!("api-usage={}/{}", usage.used, usage.max))
}

/// One call of the daily allowance.
fn count(world: &mut World, org: usize) -> Result<(), Reply> {
    let (now, unlimited, exhausted) = (world.now(), world.unlimited, world.faults.api_exhausted);
    let within = world.org_mut(org).usage.count(now) || unlimited;
    if within && !exhausted {
        return Ok(());
    }
    Err(Reply::problem(403, &Problem::new("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")))
}

/// Answers a call by its resource, which stands behind the version in the path.
pub(crate) fn dispatch(world: &mut World, call: &Call<'_>, resource: &[&str]) -> Reply {
    if call.session.expired_password && !password::is_own(call, resource) {
        let text =
            "The users password has expired, you must call SetPassword before attempting any other API operations";
        let status = world.assumptions.expired_password_status;
        return Reply::problem(status, &Problem::new("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", text));
    }
    match resource {
        [] => resources(world, call),
        ["limits"] => limits::all(world, call),
        ["query" | "queryAll"] => query::first(world, call),
        ["query" | "queryAll", locator] => query::next(world, call, locator),
        ["sobjects"] => global_describe(world, call),
        ["sobjects", name, rest @ ..] => match ObjectKind::by_name(name) {
            Some(kind) => object(world, call, kind, rest),
            None => super::not_found(),
        },
        ["jobs", "ingest", rest @ ..] => jobs::ingest::handle(world, call, rest),
        ["jobs", "query", rest @ ..] => jobs::query::handle(world, call, rest),
        ["composite"] => composite::composite(world, call),
        ["composite", "batch"] => composite::batch(world, call),
        ["composite", "sobjects"] => collections::handle(world, call),
        ["composite", "sobjects", name] => collections::read(world, call, name),
        _ => super::not_found(),
    }
}

fn object(world: &mut World, call: &Call<'_>, kind: ObjectKind, rest: &[&str]) -> Reply {
    match (call.method, rest) {
        ("GET" | "HEAD", []) => {
            world.tally.route("GET sobjects/{object}");
            describe::basic(call.version, kind, world.assumptions.profile_replicateable)
        }
        ("POST", []) => records::create(world, call, kind),
        (method, []) => super::method_not_allowed(method, "GET,HEAD,POST"),
        ("GET" | "HEAD", ["describe"]) => {
            world.tally.route("GET describe");
            let since = call.header("if-modified-since").and_then(crate::time::parse_http);
            describe::full(call.version, kind, since, world.assumptions.profile_replicateable)
        }
        (_, [id, "password"]) if kind == ObjectKind::User => password::handle(world, call, id),
        ("GET" | "HEAD", ["updated"]) => replication::updated(world, call, kind),
        ("GET" | "HEAD", ["deleted"]) => replication::deleted(world, call, kind),
        ("GET" | "HEAD", [id]) => records::read(world, call, kind, id),
        ("PATCH", [id]) => records::update(world, call, kind, id),
        ("DELETE", [id]) => records::delete(world, call, kind, id),
        (method, [_]) => super::method_not_allowed(method, "DELETE,GET,HEAD,PATCH"),
        (_, [field, _]) if ["describe", "password", "updated", "deleted"].contains(field) => super::not_found(),
        (_, [field, _]) => {
            let text = format!("Provided external ID field does not exist or is not accessible: {field}");
            Reply::problem(404, &Problem::new("NOT_FOUND", text))
        }
        _ => super::not_found(),
    }
}

fn global_describe(world: &mut World, call: &Call<'_>) -> Reply {
    world.tally.route("GET sobjects");
    if call.method == "GET" {
        describe::global(call.version, world.assumptions.profile_replicateable)
    } else {
        super::method_not_allowed(call.method, "GET,HEAD")
    }
}

fn resources(world: &mut World, call: &Call<'_>) -> Reply {
    const NAMES: [&str; 6] = ["composite", "jobs", "limits", "query", "queryAll", "sobjects"];
    world.tally.route("GET resources");
    let base = format!("/services/data/v{}", call.version);
    let entries: Vec<String> = NAMES.iter().map(|it| format!("\"{it}\":\"{base}/{it}\"")).collect();
    Reply::raw_json(200, format!("{{{}}}", entries.join(",")))
}
