//! The web console: pages for people over the same API that programs use.
//!
//! It is a handful of files that the program carries; everything a page shows or does goes through `/v1`, with the session
//! that somebody opened with a token of the API. There is nothing here that the API would not let the same token do.

mod assets;
mod cookie;
mod sessions;

pub(crate) use cookie::session_of;
pub(crate) use sessions::{Key, Session, Sessions};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api::{Address, Api, Problem, read_body};

/// Nothing but what the controller serves itself, and nothing that stands in the page: no script, no style. Forms are sent
/// by scripts alone: a browser that sent one itself would put a secret into an address.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action \
     'none'; frame-ancestors 'none'; base-uri 'none'",
);

/// The largest body that signs somebody in: a token takes a twentieth of it.
const MAX_BODY: usize = 2 * 1024;

/// The console's routes. They need no token: who has none sees the page that asks for one.
pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/", get(async || Redirect::to("/console/")))
        .route("/console", get(async || Redirect::permanent("/console/")))
        .route("/console/", get(async || asset("index.html")))
        .route("/console/{file}", get(async |Path(file): Path<String>| asset(&file)))
        .route("/console/session", post(sign_in).delete(sign_out))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(with_policy))
}

async fn with_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response
}

fn asset(name: &str) -> Response {
    match assets::find(name) {
        Some(found) => ([(CONTENT_TYPE, found.media_type)], found.bytes).into_response(),
        None => {
            Problem::new(StatusCode::NOT_FOUND, "the console has no such page: it begins at /console/").into_response()
        }
    }
}

/// What is shown to sign in.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SignIn {
    token: String,
}

/// Opens a session for whoever has a token that is good. The token itself is kept nowhere.
async fn sign_in(
    State(api): State<Api>,
    Address(from): Address,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let origin = origin(&headers)?;
    let SignIn { token } = read_body(&body)?;
    let key = api.gate().open_session(&token, origin, from)?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie::set(&key, origin))]).into_response())
}

/// Ends the session of whoever asks.
async fn sign_out(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let origin = origin(&headers)?;
    if let Some(key) = session_of(&headers) {
        api.gate().sessions().close(&key);
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie::clear(origin))]).into_response())
}

/// The page that asks; it is one of ours, or the request would not have come so far.
fn origin(headers: &HeaderMap) -> Result<&HeaderValue, Problem> {
    headers.get(ORIGIN).ok_or_else(|| {
        Problem::new(
            StatusCode::FORBIDDEN,
            "only the console's own pages sign in here: programs send a token with each request",
        )
    })
}
