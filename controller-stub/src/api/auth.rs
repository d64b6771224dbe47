//! The bearer token.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq as _;

use super::{Api, Problem};

/// Lets a request through if it knows the token.
pub(super) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let known = given.is_some_and(|token| token.trim().as_bytes().ct_eq(api.token.expose().as_bytes()).into());
    if known {
        return next.run(request).await;
    }
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "the API needs its token: send `Authorization: Bearer TOKEN` with the content of `api.token` in the \
         controller's data directory",
    )
    .into_response()
}
