//! One authorized call of the REST API, whether it came by itself or inside a composite.

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use serde_json::{Map, Value as Json};

use crate::http::reply::Reply;
use crate::problem::Problem;
use crate::session::Session;
use crate::world::Caller;

/// A call after its session was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) session: &'a Session,
    /// As in `66.0`.
    pub(crate) version: &'a str,
    pub(crate) method: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a Bytes,
    /// Whether there was more of the body than is taken, so that nothing of it was kept.
    pub(crate) too_large: bool,
    pub(crate) headers: &'a HeaderMap,
}

impl Call<'_> {
    pub(crate) fn caller(&self) -> Caller {
        self.session.caller
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        crate::http::request::parameter(self.query, name)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as a JSON object, or the reply that refuses it.
    pub(crate) fn object(&self) -> Result<Map<String, Json>, Reply> {
        let problem = match serde_json::from_slice(self.body) {
            Ok(Json::Object(object)) => return Ok(object),
            Ok(_) => Problem::new("JSON_PARSER_ERROR", "The HTTP entity body must be a JSON object"),
            Err(_) if self.body.is_empty() => Problem::new(
                "JSON_PARSER_ERROR",
                "The HTTP entity body is required, but this request has no entity body.",
            ),
            Err(error) => Problem::new(
                "JSON_PARSER_ERROR",
                format!("Unexpected character or end of input at [line:{}, column:{}]", error.line(), error.column()),
            ),
        };
        Err(Reply::problem(400, &problem))
    }
}

/// The answer to a token nobody knows, or no longer knows.
pub(crate) fn expired_session() -> Problem {
    Problem::new("INVALID_SESSION_ID", "Session expired or invalid")
}

/// The pieces of a path, percent-decoded; empty ones are skipped, so `/query` and `/query/` are the same.
pub(crate) fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|it| !it.is_empty()).map(decode).collect()
}

fn decode(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    // A form decoder reads `+` as a blank; in a path it is itself.
    let form = format!("x={}", segment.replace('+', "%2B"));
    crate::http::request::parameter(&form, "x").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_and_decoded() {
        assert_eq!(segments("/services//data/v66.0/a%20b+c/"), ["services", "data", "v66.0", "a b+c"]);
    }
}
