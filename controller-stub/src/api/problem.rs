//! Errors as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use postern_protocol::rate::TooOften;
use postern_store::SpoolError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dispatcher::Stopped;
use crate::state::{Refusal, RefusalKind};

/// After how many seconds to ask again for what there is no room for now: a task may end sooner, and whoever frees a disk
/// takes longer.
const ROOM_MAY_BE: u64 = 60;

/// Why a request was not done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Its words.
    pub title: String,
    /// What is wrong and what to do about it.
    pub detail: String,
    /// The field that is wrong, if one is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// After how many seconds to ask again, if that is all there is to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            detail: detail.into(),
            field: None,
            retry_after: None,
        }
    }

    /// There is no room for it now.
    pub(super) fn no_room(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { retry_after: Some(ROOM_MAY_BE), ..Self::new(status, detail) }
    }

    pub(super) fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        if let Some(secs) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Conflict => StatusCode::CONFLICT,
            RefusalKind::Unknown => StatusCode::UNAUTHORIZED,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
            RefusalKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            RefusalKind::Crowded => return Self::no_room(StatusCode::TOO_MANY_REQUESTS, refusal.message),
            RefusalKind::NoSpace => return Self::no_room(StatusCode::INSUFFICIENT_STORAGE, refusal.message),
            RefusalKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { field: refusal.field.map(str::to_owned), ..Self::new(status, refusal.message) }
    }
}

impl From<SpoolError> for Problem {
    fn from(error: SpoolError) -> Self {
        let status = match &error {
            SpoolError::Mismatch(_) => {
                return Self::field("sha256", "this is not the payload whose hash was announced: send it again");
            }
            SpoolError::TooLong { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            SpoolError::DiskFull(_) => return Self::no_room(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
            SpoolError::Missing(_) => StatusCode::NOT_FOUND,
            SpoolError::Directory(_) | SpoolError::Damaged { .. } | SpoolError::Io { .. } | SpoolError::Entropy(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<TooOften> for Problem {
    fn from(often: TooOften) -> Self {
        Self { retry_after: Some(often.secs()), ..Self::new(StatusCode::TOO_MANY_REQUESTS, often.to_string()) }
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string())
    }
}

/// There is something at this path, and that cannot be done with it.
pub(super) async fn not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "what is at this path cannot be asked for by this method")
}

/// There is nothing at this path.
pub(super) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path: the API begins with /v1")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Say nothing of it, and a script takes a queue that is full for a while for a no, and drops what it was to submit.
    #[test]
    fn what_passes_by_itself_says_when_to_ask_again_and_nothing_else_does() {
        for (kind, status, is_for_later) in [
            (RefusalKind::Crowded, 429, true),
            (RefusalKind::NoSpace, 507, true),
            (RefusalKind::Overloaded, 429, false),
            (RefusalKind::Conflict, 409, false),
        ] {
            let response = Problem::from(Refusal::new(kind, "")).into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), is_for_later, "{kind:?}");
        }
    }
}
