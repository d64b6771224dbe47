//! Which call means what: routes of the service, and of the admin path.

pub(crate) mod admin;
pub(crate) mod call;
pub(crate) mod collections;
pub(crate) mod composite;
pub(crate) mod jobs;
pub(crate) mod limits;
pub(crate) mod oauth;
pub(crate) mod password;
pub(crate) mod query;
pub(crate) mod records;
pub(crate) mod rest;
pub(crate) mod soap;
pub(crate) mod versions;

use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::problem::Problem;
use crate::world::World;

/// The path that steers the simulator; the service itself has no such path.
const ADMIN: &str = "/__sim";

pub(crate) fn is_admin(request: &Request) -> bool {
    request.path.strip_prefix(ADMIN).is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

/// Answers one call of the service.
pub(crate) fn handle(world: &mut World, request: &Request) -> Reply {
    let date = crate::time::format_http(world.now());
    let segments = call::segments(&request.path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let reply = match (request.method.as_str(), segments.as_slice()) {
        ("GET" | "HEAD", ["services", "data"]) => versions::list(world),
        ("POST", ["services", "oauth2", "token"]) => oauth::token(world, request),
        ("POST" | "GET", ["services", "oauth2", "revoke"]) => oauth::revoke(world, request),
        ("GET" | "POST", ["services", "oauth2", "userinfo"]) => oauth::user_info(world, request),
        ("GET" | "POST", ["id", _, _]) => oauth::identity(world, request),
        ("POST", ["services", "Soap", kind @ ("u" | "c"), version, ..]) => soap::handle(world, request, kind, version),
        (_, ["services", "data", version, resource @ ..]) => rest::handle(world, request, version, resource),
        _ => not_found(),
    };
    reply.with("date", date)
}

pub(crate) fn not_found() -> Reply {
    Reply::problem(404, &Problem::new("NOT_FOUND", "The requested resource does not exist"))
}

pub(crate) fn method_not_allowed(method: &str, allowed: &str) -> Reply {
    let text = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
    Reply::problem(405, &Problem::new("METHOD_NOT_ALLOWED", text)).with("allow", allowed)
}

/// The answer a fault puts in place of the real one.
pub(crate) fn spoiled(status: u16, code: Option<String>, message: Option<String>) -> Reply {
    if code.is_none() && message.is_none() && status >= 500 {
        return Reply::html(status, "Service Unavailable");
    }
    let mut problem = match status {
        401 => call::expired_session(),
        429 => Problem::new("REQUEST_LIMIT_EXCEEDED", "Too many requests."),
        _ => Problem::new("UNKNOWN_EXCEPTION", "A fault was asked for."),
    };
    if let Some(code) = code {
        problem.code = code.into();
    }
    if let Some(message) = message {
        problem.message = message;
    }
    let reply = Reply::problem(status, &problem);
    if status == 429 { reply.with("retry-after", "1") } else { reply }
}
