//! Every route, with the least role that may use it. There is no other way into the router: a route without a role cannot
//! be written down.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};

use super::auth::Caller;
use super::described::Operation;
use super::fields::Fields;
use super::{
    Api, Problem, audit, ca, clusters, described, events, members, openapi, outbox, problem, records, status, streams,
    systems, tasks, tokens,
};
use crate::access::Role;
use crate::access::Role::{Administrator, Operator, Viewer};
use crate::membership::Action::{Disable, Drain, Enable, Revoke};

/// The largest JSON body: the largest task is about 90 KiB, a third more in base64.
const MAX_BODY: usize = 256 * 1024;

/// Who may do what. A path's `{…}` stands for any value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// The least role.
    pub least: Role,
    /// What it is called where it is told who did it.
    pub act: &'static str,
    body: Body,
    reads_query: bool,
    reads_body: bool,
}

/// What a request may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// A JSON object, or nothing.
    Json,
    /// Any bytes.
    Bytes,
}

impl Body {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Bytes => "application/octet-stream",
        }
    }
}

/// A method, with what its requests may bring.
#[derive(Clone, Copy)]
struct Verb {
    name: &'static str,
    filter: MethodFilter,
    body: Body,
}

const GET: Verb = Verb { name: "GET", filter: MethodFilter::GET, body: Body::Json };
const POST: Verb = Verb { name: "POST", filter: MethodFilter::POST, body: Body::Json };
const DELETE: Verb = Verb { name: "DELETE", filter: MethodFilter::DELETE, body: Body::Json };
const UPLOAD: Verb = Verb { name: "POST", filter: MethodFilter::POST, body: Body::Bytes };

/// The whole API.
#[allow(clippy::too_many_lines, reason = "it is one table")]
fn routes() -> Routes {
    Routes::new()
        .on(GET, "/v1/status", Viewer, "status.show", "How the controller is.", status::show)
        .on(GET, "/v1/openapi.json", Viewer, "api.describe", "This API in OpenAPI 3.1.", openapi::show)
        .on(GET, "/v1/whoami", Viewer, "caller.show", "Whose token this is.", tokens::whoami)
        .on(GET, "/v1/ca", Viewer, "ca.show", "The roots of the certificates, and how far their rotation is.", ca::show)
        .on(
            POST,
            "/v1/ca/rotation/{step}",
            Administrator,
            "ca.rotate",
            "Makes a step of the rotation to another root: `begin`, `switch`, `finish` or `back`.",
            ca::rotate,
        )
        .on(GET, "/v1/clusters", Viewer, "cluster.list", "The clusters.", clusters::list)
        .on(
            POST,
            "/v1/clusters",
            Administrator,
            "cluster.create",
            "Makes a cluster. One that is there already is no error.",
            clusters::create,
        )
        // Public keys: whoever may look may know what secrets are sealed to.
        .on(
            GET,
            "/v1/clusters/{cluster}/keys",
            Viewer,
            "cluster.keys",
            "The keys that secrets for a cluster are sealed to.",
            clusters::keys,
        )
        .on(
            POST,
            "/v1/tokens",
            Administrator,
            "enrollment_token.create",
            "Makes a token that lets one agent enroll within 15 minutes. It is shown this once.",
            clusters::create_token,
        )
        .on(GET, "/v1/members", Viewer, "member.list", "The members.", members::list)
        .on(GET, "/v1/members/{member}", Viewer, "member.show", "A member.", members::show)
        .on(
            DELETE,
            "/v1/members/{member}",
            Administrator,
            "member.remove",
            "Removes a member that is out, or was never in.",
            members::remove,
        )
        // Who belongs to the cluster is an administrator's to say; who works now, and who rests, an operator's.
        .on(
            POST,
            "/v1/members/{member}/approve",
            Administrator,
            "member.approve",
            "Lets a member in.",
            members::approve,
        )
        .on(
            POST,
            "/v1/members/{member}/accept",
            Administrator,
            "member.accept",
            "Accepts a certificate of a member that is newer than the one on record, as after a restore from a backup.",
            members::accept,
        )
        .on(
            POST,
            "/v1/members/{member}/revoke",
            Administrator,
            "member.revoke",
            "Puts a member out for good.",
            members::act(Revoke),
        )
        .on(POST, "/v1/members/{member}/enable", Operator, "member.enable", "Lets a member work.", members::act(Enable))
        .on(
            POST,
            "/v1/members/{member}/drain",
            Operator,
            "member.drain",
            "Has a member finish what it has and take nothing new.",
            members::act(Drain),
        )
        .on(
            POST,
            "/v1/members/{member}/disable",
            Operator,
            "member.disable",
            "Lets a member rest.",
            members::act(Disable),
        )
        // Outcomes, which only members tell otherwise.
        .on(
            POST,
            "/v1/outbox",
            Administrator,
            "outbox.hand_in",
            "Hands in a report that a revoked member owes: a line of `postern outbox export`.",
            outbox::hand_in,
        )
        .on(GET, "/v1/systems", Viewer, "system.list", "The connected systems.", systems::list)
        .on(POST, "/v1/systems", Administrator, "system.add", "Makes a connected system.", systems::add)
        .on(GET, "/v1/systems/{system}", Viewer, "system.show", "A connected system.", systems::show)
        .on(
            POST,
            "/v1/systems/{system}",
            Administrator,
            "system.edit",
            "Changes what is known of a connected system.",
            systems::edit,
        )
        .on(
            DELETE,
            "/v1/systems/{system}",
            Administrator,
            "system.remove",
            "Removes a connected system.",
            systems::remove,
        )
        .on(
            POST,
            "/v1/systems/{system}/associate",
            Administrator,
            "system.associate",
            "Says who works on a connected system.",
            systems::associate,
        )
        .on(
            POST,
            "/v1/systems/{system}/log-level",
            Operator,
            "system.log_level",
            "Has members log more, or less, of a connected system for a while.",
            systems::log_level,
        )
        .on(GET, "/v1/events", Viewer, "events.watch", "Tells what changes, as server-sent events.", events::watch)
        // What viewers are shown of a task lacks its sealed outputs, see `tasks::seen_by`.
        .on(GET, "/v1/tasks", Viewer, "task.list", "The tasks, the newest first.", tasks::list)
        .on(GET, "/v1/tasks/{task}", Viewer, "task.show", "A task.", tasks::show)
        .on(
            GET,
            "/v1/tasks/{task}/wait",
            Viewer,
            "task.wait",
            "A task, once it is finished or the time is over.",
            tasks::wait,
        )
        .on(
            POST,
            "/v1/tasks",
            Operator,
            "task.submit",
            "Takes a task in. The same task again is no error.",
            tasks::submit,
        )
        .on(
            POST,
            "/v1/tasks/{task}/cancel",
            Operator,
            "task.cancel",
            "Cancels a task, as far as it has not begun.",
            tasks::cancel,
        )
        .on(
            POST,
            "/v1/tasks/{task}/reseal",
            Operator,
            "task.reseal",
            "Seals the secrets of a task again, which no member can open.",
            tasks::reseal,
        )
        // Whole datasets, some of them in clear.
        .on(
            GET,
            "/v1/tasks/{task}/results",
            Operator,
            "task.results",
            "The payload that came of a task.",
            streams::results,
        )
        .on(
            GET,
            "/v1/tasks/{task}/records",
            Operator,
            "task.records",
            "What became of each entry of an import.",
            records::list,
        )
        .on(
            UPLOAD,
            "/v1/streams",
            Operator,
            "stream.upload",
            "Takes in the payload of a task to come: a sealed dataset of at most 256 MiB, with its `Content-Length`.",
            streams::upload,
        )
        .on(GET, "/v1/audit", Administrator, "audit.show", "The audit log, the newest line first.", audit::list)
        .on(
            GET,
            "/v1/api-tokens",
            Administrator,
            "api_token.list",
            "The tokens for this API, without their secrets.",
            tokens::list,
        )
        .on(
            POST,
            "/v1/api-tokens",
            Administrator,
            "api_token.create",
            "Makes a token for this API. It is shown this once.",
            tokens::create,
        )
        .on(
            DELETE,
            "/v1/api-tokens/{token}",
            Administrator,
            "api_token.revoke",
            "Takes a token for this API back, by its name or its id.",
            tokens::revoke,
        )
}

/// Who may do what, as the router has it.
pub fn permissions() -> Vec<Permission> {
    routes().table.into_iter().map(|it| it.permission).collect()
}

/// Every route, with what it takes and answers.
pub(super) fn all() -> Vec<Described> {
    routes().table
}

/// The router behind whoever lets callers in.
pub(super) fn router() -> Router<Api> {
    routes().router.fallback(problem::not_found).method_not_allowed_fallback(problem::not_allowed)
}

/// A route, and how it is described.
pub(super) struct Described {
    pub(super) permission: Permission,
    /// What it does, in a sentence.
    pub(super) summary: &'static str,
    /// Says what it takes and answers.
    pub(super) describe: fn(&mut Operation<'_>),
}

struct Routes {
    router: Router<Api>,
    table: Vec<Described>,
}

impl Routes {
    fn new() -> Self {
        Self { router: Router::new(), table: Vec::new() }
    }

    fn on<H: Handler<T, Api> + described::Described<U>, T: 'static, U>(
        mut self,
        verb: Verb,
        path: &'static str,
        least: Role,
        act: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        let it = Permission {
            method: verb.name,
            path,
            least,
            act,
            body: verb.body,
            reads_query: H::READS_QUERY,
            reads_body: H::READS_BODY,
        };
        let limit = match it.body {
            Body::Json => DefaultBodyLimit::max(MAX_BODY),
            Body::Bytes => DefaultBodyLimit::disable(),
        };
        let guarded = on(verb.filter, handler)
            .layer(limit)
            .layer(middleware::from_fn(move |request: Request, next: Next| guard(it, request, next)));
        self.router = self.router.route(it.path, guarded);
        self.table.push(Described { permission: it, summary, describe: H::describe });
        self
    }
}

/// What was asked for, for whoever counts answers.
#[derive(Clone, Copy)]
pub(super) struct Act(pub(super) &'static str);

async fn guard(it: Permission, request: Request, next: Next) -> Response {
    let mut answer = admit(it, request, next).await;
    answer.extensions_mut().insert(Act(it.act));
    answer
}

/// Lets a caller through who has the role, and brings what the route takes.
async fn admit(it: Permission, mut request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions_mut().get_mut::<Caller>() else {
        return Problem::new(StatusCode::UNAUTHORIZED, "nobody said who is calling").into_response();
    };
    caller.act = it.act;
    if caller.role() < it.least {
        let caller = caller.clone();
        return caller.turn_away(it.least, request.uri().path()).await.into_response();
    }
    match it.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

impl Permission {
    /// Refuses what nothing here would read: whoever sent it meant something by it.
    fn check(&self, request: &Request) -> Result<(), Problem> {
        if !self.reads_query {
            Fields::of_query(request.uri().query().unwrap_or_default())?.finish()?;
        }
        if !has_body(request.headers()) {
            return Ok(());
        }
        if !self.reads_body {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "no body is read here: leave it out"));
        }
        let unsupported = |detail: String| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        if !is(request.headers(), self.body.media_type()) {
            return unsupported(format!("the body has to come with `Content-Type: {}`", self.body.media_type()));
        }
        if request.headers().contains_key(CONTENT_ENCODING) {
            return unsupported("the body has to come as it is, without `Content-Encoding`".to_owned());
        }
        Ok(())
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|it| it.as_bytes() != b"0")
}

fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).and_then(|it| it.split(';').next());
    given.is_some_and(|it| it.trim().eq_ignore_ascii_case(media_type))
}
