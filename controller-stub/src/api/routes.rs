//! Every route, with the least role that may use it. There is no other way into the router: a route without a role cannot
//! be written down.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};

use super::auth::Caller;
use super::{Api, Problem, ca, clusters, events, members, outbox, problem, status, streams, systems, tasks, tokens};
use crate::access::Role;
use crate::access::Role::{Administrator, Operator, Viewer};
use crate::membership::Action::{Approve, Disable, Drain, Enable, Revoke};

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
fn routes() -> Routes {
    Routes::new()
        .on(GET, "/v1/status", Viewer, "status.show", status::show)
        .on(GET, "/v1/whoami", Viewer, "caller.show", tokens::whoami)
        .on(GET, "/v1/ca", Viewer, "ca.show", ca::show)
        .on(POST, "/v1/ca/rotation/{step}", Administrator, "ca.rotate", ca::rotate)
        .on(GET, "/v1/clusters", Viewer, "cluster.list", clusters::list)
        .on(POST, "/v1/clusters", Administrator, "cluster.create", clusters::create)
        // Public keys: whoever may look may know what secrets are sealed to.
        .on(GET, "/v1/clusters/{cluster}/keys", Viewer, "cluster.keys", clusters::keys)
        .on(POST, "/v1/tokens", Administrator, "enrollment_token.create", clusters::create_token)
        .on(GET, "/v1/members", Viewer, "member.list", members::list)
        .on(GET, "/v1/members/{member}", Viewer, "member.show", members::show)
        .on(DELETE, "/v1/members/{member}", Administrator, "member.remove", members::remove)
        // Who belongs to the cluster is an administrator's to say; who works now, and who rests, an operator's.
        .on(POST, "/v1/members/{member}/approve", Administrator, "member.approve", members::act(Approve))
        .on(POST, "/v1/members/{member}/revoke", Administrator, "member.revoke", members::act(Revoke))
        .on(POST, "/v1/members/{member}/enable", Operator, "member.enable", members::act(Enable))
        .on(POST, "/v1/members/{member}/drain", Operator, "member.drain", members::act(Drain))
        .on(POST, "/v1/members/{member}/disable", Operator, "member.disable", members::act(Disable))
        // Outcomes, which only members tell otherwise.
        .on(POST, "/v1/outbox", Administrator, "outbox.hand_in", outbox::hand_in)
        .on(GET, "/v1/systems", Viewer, "system.list", systems::list)
        .on(POST, "/v1/systems", Administrator, "system.add", systems::add)
        .on(GET, "/v1/systems/{system}", Viewer, "system.show", systems::show)
        .on(POST, "/v1/systems/{system}", Administrator, "system.edit", systems::edit)
        .on(DELETE, "/v1/systems/{system}", Administrator, "system.remove", systems::remove)
        .on(POST, "/v1/systems/{system}/associate", Administrator, "system.associate", systems::associate)
        .on(POST, "/v1/systems/{system}/log-level", Operator, "system.log_level", systems::log_level)
        .on(GET, "/v1/events", Viewer, "events.watch", events::watch)
        // What viewers are shown of a task lacks its sealed outputs, see `tasks::seen_by`.
        .on(GET, "/v1/tasks", Viewer, "task.list", tasks::list)
        .on(GET, "/v1/tasks/{task}", Viewer, "task.show", tasks::show)
        .on(GET, "/v1/tasks/{task}/wait", Viewer, "task.wait", tasks::wait)
        .on(POST, "/v1/tasks", Operator, "task.submit", tasks::submit)
        .on(POST, "/v1/tasks/{task}/cancel", Operator, "task.cancel", tasks::cancel)
        .on(POST, "/v1/tasks/{task}/reseal", Operator, "task.reseal", tasks::reseal)
        // Whole datasets, some of them in clear.
        .on(GET, "/v1/tasks/{task}/results", Operator, "task.results", streams::results)
        .on(UPLOAD, "/v1/streams", Operator, "stream.upload", streams::upload)
        .on(GET, "/v1/api-tokens", Administrator, "api_token.list", tokens::list)
        .on(POST, "/v1/api-tokens", Administrator, "api_token.create", tokens::create)
        .on(DELETE, "/v1/api-tokens/{token}", Administrator, "api_token.revoke", tokens::revoke)
}

/// Who may do what, as the router has it.
pub fn permissions() -> Vec<Permission> {
    routes().table
}

/// The router behind whoever lets callers in.
pub(super) fn router() -> Router<Api> {
    routes().router.fallback(problem::not_found).method_not_allowed_fallback(problem::not_allowed)
}

struct Routes {
    router: Router<Api>,
    table: Vec<Permission>,
}

impl Routes {
    fn new() -> Self {
        Self { router: Router::new(), table: Vec::new() }
    }

    fn on<H: Handler<T, Api>, T: 'static>(
        mut self,
        verb: Verb,
        path: &'static str,
        least: Role,
        act: &'static str,
        handler: H,
    ) -> Self {
        let it = Permission { method: verb.name, path, least, act, body: verb.body };
        let limit = match it.body {
            Body::Json => DefaultBodyLimit::max(MAX_BODY),
            Body::Bytes => DefaultBodyLimit::disable(),
        };
        let guarded = on(verb.filter, handler)
            .layer(limit)
            .layer(middleware::from_fn(move |request: Request, next: Next| guard(it, request, next)));
        self.router = self.router.route(it.path, guarded);
        self.table.push(it);
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
    if request.method() == Method::POST && has_body(request.headers()) && !is(request.headers(), it.body.media_type()) {
        return Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the body has to come with `Content-Type: {}`", it.body.media_type()),
        )
        .into_response();
    }
    next.run(request).await
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|it| it.as_bytes() != b"0")
}

fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).and_then(|it| it.split(';').next());
    given.is_some_and(|it| it.trim().eq_ignore_ascii_case(media_type))
}
